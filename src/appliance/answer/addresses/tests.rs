use super::*;
use crate::appliance::testing::{host_r, host_r_with};
use crate::control::plant::Plant as _;
use crate::control::proto::{BindingSet, Change, VnetSet};
use crate::control::store::mappings::Place;
use crate::model::{Learn, Origin};
use crate::wire::arp::Message;
use crate::wire::ethernet::ethertype;

const Z: Vni = Vni(0x5a_0001);
const A: Vaddr = Vaddr(0x0a00_0002);
const G: Vaddr = Vaddr(0x0a00_0003);
const C: Vaddr = Vaddr(0x0a00_0005);
const NEW: Vaddr = Vaddr(0x0a00_0009);
const CARD: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const OTHER_CARD: Mac = Mac([2, 0, 0, 0, 0, 0x1a]);
/// C, on a port of its own.
const WITH_C: &str = "[[port]]\nname = \"c\"\ndevice = \"net_af_packet2,iface=weft-r-c\"\nrole = \"node\"\n[[binding]]\nname = \"C\"\nvnet = \"Z\"\naddress = \"10.0.0.5\"\nport = \"c\"\n";

fn node(plant: &Plant, name: &str) -> NodeIndex {
    plant.numbers.get(name).unwrap()
}

/// Host R, whose A has been seen.
fn host(vnet: &str) -> (Plant, Store) {
    let (mut plant, store) = host_r_with(vnet, WITH_C);
    let a = node(&plant, "A");
    plant.learn(a, CARD);
    plant.step(&store);
    (plant, store)
}

fn packet(plant: &mut Plant, store: &Store, name: &str, from: Vaddr) -> Vec<Event> {
    let mut replies = Replies::default();
    let node = node(plant, name);
    plant.packet_from(node, (from, CARD), store, &mut replies);
    plant.step(store);
    replies.events
}

/// A's ARP of a card, from one address for another: what it is told, and
/// everybody else.
fn asks(plant: &mut Plant, store: &Store, card: Mac, [from, for_]: [Vaddr; 2]) -> Replies {
    let message = Message {
        is_request: true,
        sender_mac: card,
        sender: from,
        target_mac: Mac::ZERO,
        target: for_,
    };
    let mut frame = vec![0xff; 6];
    frame.extend(card.0);
    frame.extend(ethertype::ARP.to_be_bytes());
    frame.extend(message.bytes());
    let mut replies = Replies::default();
    plant.answer_arp(node(plant, "A"), 1, &frame, store, &mut replies);
    plant.step(store);
    replies
}

fn verdicts(events: &[Event]) -> Vec<(Vaddr, AddressVerdict, &str)> {
    let verdict = |event: &Event| match event {
        Event::Address {
            seen, verdict, why, ..
        } => Some((*seen, *verdict, why.clone())),
        _ => None,
    };
    let told = events.iter().filter_map(verdict);
    told.map(|(seen, verdict, why)| {
        let names = AddressRefused::ALL.iter().map(|why| why.name());
        let why = names.into_iter().find(|name| *name == why);
        (seen, verdict, why.unwrap_or(""))
    })
    .collect()
}

fn polled(plant: &mut Plant, store: &Store) -> Vec<Event> {
    let mut replies = Replies::default();
    plant.poll_addresses(store, &mut replies);
    plant.step(store);
    replies.events
}

fn own(plant: &Plant, name: &str) -> (Vaddr, Vec<String>) {
    let record = plant.topology().node(node(plant, name)).unwrap();
    let behind = record.prefixes.iter().map(|prefix| prefix.to_string());
    (record.vaddr, behind.collect())
}

fn target(plant: &Plant, address: Vaddr) -> Option<Target> {
    let own = crate::config::check::alone(address);
    plant.table_entry(Z, own).map(|entry| entry.target)
}

fn total(plant: &Plant, name: &str) -> u64 {
    plant.stats().counters[name].total
}

#[test]
fn a_packet_changes_the_address_of_its_node() {
    let (mut plant, store) = host("learn = \"auto\"");
    assert!(plant.topology().vnets[0].learns);
    let a = node(&plant, "A");
    let events = packet(&mut plant, &store, "A", NEW);
    let expected = Event::Address {
        node: "A".into(),
        vnet: "Z".into(),
        bound: A,
        seen: NEW,
        verdict: AddressVerdict::Changed,
        by: Some(SeenBy::Packet),
        mac: Some(CARD),
        replaced: Some(A),
        why: String::new(),
    };
    assert_eq!(events, [expected]);
    assert_eq!(own(&plant, "A"), (NEW, vec![]));
    assert_eq!(target(&plant, NEW), Some(Target::Local(a)));
    assert_eq!(target(&plant, A), Some(Target::Gone));
    let learned = plant.learned("A").unwrap();
    let shown = LearnedAddress {
        address: NEW,
        mac: CARD,
        by: SeenBy::Packet,
        instead: true,
        watched: false,
    };
    assert_eq!(learned.addresses, [shown]);
    // Once only.
    assert_eq!(packet(&mut plant, &store, "A", NEW), []);
    assert_eq!(total(&plant, "addresses_learned"), 1);
    // What A is bound to is kept for it.
    let events = packet(&mut plant, &store, "C", A);
    let taken = AddressVerdict::Refused;
    assert_eq!(verdicts(&events), [(A, taken, "address_taken")]);
    // And A goes back: it uses both.
    let events = packet(&mut plant, &store, "A", A);
    assert_eq!(verdicts(&events), [(A, AddressVerdict::Added, "")]);
    assert_eq!(own(&plant, "A"), (A, vec!["10.0.0.9/32".to_owned()]));
    assert_eq!(target(&plant, A), Some(Target::Local(a)));
}

#[test]
fn what_is_somebody_elses_is_refused() {
    let subnet = "[[subnet]]\nname = \"web\"\nvnet = \"Z\"\nprefix = \"10.0.0.0/28\"\ngateway = \"10.0.0.1\"\n";
    let (mut plant, store) = host_r_with("learn = \"auto\"", &format!("{WITH_C}{subnet}"));
    plant.step(&store);
    for (what, address, why) in [
        ("mapped to another host", G, "address_taken"),
        ("bound here", C, "address_taken"),
        ("the gateway's", Vaddr(0x0a00_0001), "address_router"),
        ("broadcast", Vaddr(0x0a00_000f), "address_outside"),
        ("of no subnet", Vaddr(0x0a00_0020), "address_outside"),
        ("outside the vnet", Vaddr(0xc000_0201), "address_outside"),
        ("loopback", Vaddr(0x7f00_0001), "address_outside"),
    ] {
        let before = total(&plant, why);
        let events = packet(&mut plant, &store, "A", address);
        let refused = (address, AddressVerdict::Refused, why);
        assert_eq!(verdicts(&events), [refused], "{what}");
        // Each is counted, and told once.
        assert_eq!(packet(&mut plant, &store, "A", address), [], "{what}");
        assert_eq!(total(&plant, why), before + 2, "{what}");
        assert_eq!(own(&plant, "A"), (A, vec![]), "{what}");
    }
    assert!(matches!(target(&plant, G), Some(Target::Remote(_))));
    assert_eq!(plant.learned("A"), None);
}

#[test]
fn what_another_node_learned_is_taken() {
    let (mut plant, store) = host("learn = \"auto\"\nlearn_as = \"add\"");
    packet(&mut plant, &store, "A", NEW);
    let events = packet(&mut plant, &store, "C", NEW);
    let refused = (NEW, AddressVerdict::Refused, "address_taken");
    assert_eq!(verdicts(&events), [refused]);
    assert_eq!(own(&plant, "A").1, ["10.0.0.9/32"]);
}

#[test]
fn arp_teaches_and_is_answered_in_one_go() {
    let (mut plant, store) = host("learn = \"auto\"\nlearn_as = \"add\"");
    let told = asks(&mut plant, &store, CARD, [NEW, G]);
    assert_eq!(verdicts(&told.events), [(NEW, AddressVerdict::Added, "")]);
    assert_eq!(told.frames.len(), 1, "G's MAC");
    assert_eq!(total(&plant, "arp_spoofed_address"), 0);
    // As anybody else's it is a forgery.
    let told = asks(&mut plant, &store, CARD, [C, G]);
    let refused = (C, AddressVerdict::Refused, "address_taken");
    assert_eq!(verdicts(&told.events), [refused]);
    assert_eq!(told.frames.len(), 0);
    assert_eq!(total(&plant, "arp_spoofed_address"), 1);
}

#[test]
fn only_announcements_count_where_they_must() {
    let (mut plant, store) = host("learn = \"announce\"");
    assert!(
        !plant.topology().vnets[0].learns,
        "packets are dropped at once"
    );
    let told = asks(&mut plant, &store, CARD, [NEW, G]);
    assert!(told.events.is_empty() && told.frames.is_empty());
    assert_eq!(total(&plant, "arp_spoofed_address"), 1);
    let told = asks(&mut plant, &store, CARD, [NEW, NEW]);
    assert_eq!(verdicts(&told.events), [(NEW, AddressVerdict::Changed, "")]);
    assert!(told.frames.is_empty(), "nobody has it but the node");
    let told = asks(&mut plant, &store, CARD, [NEW, G]);
    assert_eq!(told.frames.len(), 1);
    // Never is never.
    let (mut plant, store) = host("");
    let told = asks(&mut plant, &store, CARD, [NEW, NEW]);
    assert!(told.events.is_empty());
    assert_eq!(own(&plant, "A"), (A, vec![]));
}

#[test]
fn another_card_is_another_interface() {
    let (mut plant, store) = host("learn = \"auto\"");
    let told = asks(&mut plant, &store, OTHER_CARD, [NEW, G]);
    assert_eq!(verdicts(&told.events), [(NEW, AddressVerdict::Added, "")]);
    assert_eq!(told.frames[0].1[..6], OTHER_CARD.0, "it is told itself");
    let a = node(&plant, "A");
    let macs = |plant: &Plant| {
        let record = plant.topology().node(a).unwrap();
        (record.mac, record.macs.clone())
    };
    assert_eq!(macs(&plant), (Some(CARD), vec![(NEW, OTHER_CARD)]));
    // The card of one changes, and the other's stays.
    asks(&mut plant, &store, CARD, [NEW, G]);
    assert_eq!(macs(&plant), (Some(CARD), vec![]));
}

/// Whoever says where an address is knows better than a host that saw it.
#[test]
fn a_mapping_takes_the_address() {
    let (mut plant, store) = host("learn = \"auto\"");
    packet(&mut plant, &store, "A", NEW);
    let host = store.host_index("S").unwrap();
    let prefix = crate::config::check::alone(NEW);
    plant.point(Z, prefix, Place::host(host), None).unwrap();
    let events = polled(&mut plant, &store);
    let dropped = (NEW, AddressVerdict::Dropped, "address_taken");
    assert_eq!(verdicts(&events), [dropped]);
    assert!(matches!(target(&plant, NEW), Some(Target::Remote(_))));
    // What A is bound to is its own again.
    assert_eq!(own(&plant, "A"), (A, vec![]));
    assert_eq!(target(&plant, A), Some(Target::Local(node(&plant, "A"))));
    let events = packet(&mut plant, &store, "A", NEW);
    assert_eq!(verdicts(&events)[0].1, AddressVerdict::Refused);
}

fn say(plant: &mut Plant, store: &mut Store, change: Change<'static>) {
    store.apply(plant, Origin::Operator, &[change], 0).unwrap();
}

#[test]
fn a_binding_makes_it_lasting() {
    let (mut plant, mut store) = host("learn = \"auto\"");
    packet(&mut plant, &store, "A", NEW);
    let mut binding = store.binding("A").unwrap().clone();
    binding.address = Some(NEW);
    let revision = 0;
    let set = Change::BindingSet(BindingSet { binding, revision });
    say(&mut plant, &mut store, set);
    assert_eq!(polled(&mut plant, &store), []);
    assert_eq!(own(&plant, "A"), (NEW, vec![]));
    assert_eq!(target(&plant, NEW), Some(Target::Local(node(&plant, "A"))));
    assert_eq!(plant.learned("A").unwrap().addresses, []);
}

#[test]
fn what_was_learned_ends_with_the_permission() {
    let (mut plant, mut store) = host("learn = \"auto\"\nlearn_as = \"add\"");
    packet(&mut plant, &store, "A", NEW);
    let mut vnet = store.vnet("Z").unwrap().clone();
    (vnet.learn, vnet.learn_as) = (Learn::Never, Default::default());
    let revision = 0;
    say(
        &mut plant,
        &mut store,
        Change::VnetSet(VnetSet { vnet, revision }),
    );
    let events = polled(&mut plant, &store);
    assert_eq!(verdicts(&events), [(NEW, AddressVerdict::Dropped, "")]);
    assert_eq!(own(&plant, "A"), (A, vec![]));
    assert_eq!(target(&plant, NEW), Some(Target::Gone));
}

#[test]
fn dhcp_teaches_for_as_long_as_the_lease_lasts() {
    let (mut plant, store) = host("learn = \"announce\"");
    let a = node(&plant, "A");
    let by_dhcp = |plant: &mut Plant, seconds| {
        let mut replies = Replies::default();
        let taken = plant.address_by_dhcp(a, (NEW, CARD), Some(seconds), &store, &mut replies);
        (taken, replies.events)
    };
    let (taken, events) = by_dhcp(&mut plant, 60);
    assert!(taken);
    assert_eq!(verdicts(&events), [(NEW, AddressVerdict::Changed, "")]);
    assert_eq!(polled(&mut plant, &store), []);
    // It is renewed, and then let go.
    let (taken, events) = by_dhcp(&mut plant, 0);
    assert!(taken && events.is_empty());
    let events = polled(&mut plant, &store);
    assert_eq!(verdicts(&events), [(NEW, AddressVerdict::Dropped, "")]);
    assert_eq!(own(&plant, "A"), (A, vec![]));
    // Where nothing is learned, a server's word is no permission.
    let (mut plant, store) = host_r("");
    let a = node(&plant, "A");
    let mut replies = Replies::default();
    assert!(!plant.address_by_dhcp(a, (NEW, CARD), None, &store, &mut replies));
    assert_eq!(total(&plant, "address_forbidden"), 1);
}

#[test]
fn workers_are_asked_which_of_both_is_used() {
    let (mut plant, store) = host("learn = \"auto\"\nlearn_as = \"watch\"");
    let events = packet(&mut plant, &store, "A", NEW);
    assert_eq!(verdicts(&events), [(NEW, AddressVerdict::Watching, "")]);
    let a = node(&plant, "A");
    let watched = |plant: &Plant| {
        let topology = plant.topology();
        (topology.learning, topology.node(a).unwrap().watched.clone())
    };
    // C's card is not known, so there is something to learn in any case.
    assert_eq!(watched(&plant), (true, vec![A]));
    assert!(plant.learned("A").unwrap().addresses[0].watched);
    plant.address_used(a, A);
    plant.step(&store);
    assert_eq!(watched(&plant).1, []);
}
