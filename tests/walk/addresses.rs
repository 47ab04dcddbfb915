//! Addresses that nodes take by themselves: their first packet waits, and what
//! control has decided holds for all that follow.

use weft::datapath::cycles::Part;
use weft::datapath::wiring::Notice;
use weft::datapath::{Drop, Topology};
use weft::wire::{Mac, Vaddr};

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};

/// In Z's range, and A's from now on.
const NEW: Vaddr = Vaddr(0x0a00_0009);
const OTHER_CARD: Mac = Mac([0x02, 0, 0, 0, 0, 0x1b]);

fn learning() -> Setup {
    with(setup_r(), learns)
}

fn learns(topology: &mut Topology) {
    topology.vnets[0].learns = true;
}

/// The same after control has decided.
fn learned() -> Topology {
    let mut topology = topology_r();
    learns(&mut topology);
    let own = format!("{NEW}/32").parse().unwrap();
    topology.nodes[NODE_A.index()].prefixes = vec![own];
    topology
}

fn from(source: Vaddr, i: u8) -> Vec<u8> {
    from_a(&udp(source, G, (4000, 5000), &[i]))
}

fn held(host: &Host) -> u64 {
    host.sum(|counters| counters.held.get())
}

/// Addresses that control was asked about: whose, which, and from which card.
fn asked(host: &mut Host) -> Vec<(u32, Vaddr, Mac)> {
    let notices = host.notices().into_iter();
    let asked = notices.filter_map(|notice| match notice {
        Notice::AddressSeen { node, address, mac } => Some((node.get(), address, mac)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn the_first_packet_waits_and_is_not_lost() {
    let mut r = learning().start();
    for i in 0..3 {
        assert_eq!(r.carry(PORT_A, &from(NEW, i)), []);
    }
    assert_eq!(held(&r), 3);
    // One question for all of them.
    assert_eq!(asked(&mut r), [(NODE_A.get(), NEW, MAC_A)]);
    r.later(50);
    assert_eq!((held(&r), r.all()), (3, vec![]), "nothing is decided");
    r.publish(learned());
    r.later(1);
    let sent = r.drain(UPLINK);
    let last: Vec<_> = sent.iter().filter_map(|frame| frame.last()).collect();
    assert_eq!(last, [&0, &1, &2], "in order");
    for frame in &sent {
        let (source, destination) = check_substrate_frame(frame, true);
        assert_eq!(source, saddr(&locator_r(), Z, NEW));
        assert_eq!(destination, saddr(&locator_s(), Z, G));
    }
    assert_eq!((held(&r), r.drops()), (0, vec![]));
    // What follows waits for nothing.
    r.carry_to(PORT_A, &from(NEW, 4), UPLINK);
}

/// It waits for its destination too, in one go.
#[test]
fn it_may_have_to_wait_for_two_things() {
    let mut setup = learning();
    setup.topology.resolver = true;
    let mut r = setup.start();
    r.carry(PORT_A, &from_a(&udp(NEW, NOBODY, (1, 2), b"x")));
    assert_eq!(asked(&mut r).len(), 1);
    let mut topology = learned();
    topology.resolver = true;
    r.publish(topology);
    r.later(1);
    assert_eq!(held(&r), 1);
    assert_eq!(r.missed(), (Drop::NoMapping, key(Z, NOBODY), Some(NODE_A)));
    r.map(Z, NOBODY, remote(HOST_S));
    r.later(1);
    assert_eq!(r.drain(UPLINK).len(), 1);
}

#[test]
fn what_is_refused_is_not_asked_for_again_within_a_second() {
    let mut r = learning().start();
    r.carry(PORT_A, &from(NEW, 0));
    assert_eq!(asked(&mut r).len(), 1);
    r.later(200);
    assert_eq!((held(&r), r.dropped(Drop::SpoofedSource)), (0, 1));
    for _ in 0..50 {
        r.send(PORT_A, &from(NEW, 1));
    }
    r.settle();
    assert_eq!((held(&r), r.dropped(Drop::SpoofedSource)), (0, 51));
    assert_eq!(asked(&mut r), []);
    // Of another node it is another question: it waits, and is asked for.
    r.carry(PORT_C, &from_c(&udp(NEW, G, (1, 2), b"C")));
    assert_eq!(asked(&mut r), [(NODE_C.get(), NEW, MAC_C)]);
    r.later(1000);
    r.carry(PORT_A, &from(NEW, 2));
    assert_eq!(asked(&mut r).len(), 1);
}

/// Somebody waits for the address to come up, and has been told that it is not
/// there: that must not cost its node the first packet.
#[test]
fn who_writes_to_it_waits_apart() {
    let mut setup = learning();
    setup.topology.resolver = true;
    let mut r = setup.start();
    let to_it = from_c(&udp(C, NEW, (1, 2), b"is it there"));
    r.carry(PORT_C, &to_it);
    r.later(200);
    assert_eq!(r.dropped(Drop::NoMapping), 1);
    r.notices();
    r.carry(PORT_A, &from(NEW, 0));
    assert_eq!((held(&r), asked(&mut r).len()), (1, 1));
}

#[test]
fn what_cannot_be_the_nodes_is_dropped_at_once() {
    let elsewhere: [(&str, Vaddr); 5] = [
        ("outside of the vnet", OUTSIDE),
        ("nobody's", Vaddr(0)),
        ("everybody's", Vaddr::BROADCAST),
        ("a group's", Vaddr(0xe000_0009)),
        ("of another subnet", Vaddr(0x0a00_0042)),
    ];
    for (what, source) in elsewhere {
        let mut setup = learning();
        if what != "outside of the vnet" {
            setup.topology.vnets[0].prefixes.clear();
        }
        let segment = &mut setup.topology.nodes[NODE_A.index()].segment;
        segment.prefix = "10.0.0.0/26".parse().unwrap();
        let mut r = setup.start();
        r.carry(PORT_A, &from(source, 0));
        assert_eq!(r.drops(), [(Drop::SpoofedSource, 1)], "{what}");
        assert_eq!((held(&r), asked(&mut r)), (0, vec![]), "{what}");
    }
    // And everything in a vnet that does not learn by packets.
    let mut r = setup_r().start();
    r.carry(PORT_A, &from(NEW, 0));
    assert_eq!(r.drops(), [(Drop::SpoofedSource, 1)]);
    assert_eq!(asked(&mut r), []);
}

/// A node that uses any source it likes has its own share of the waiting room,
/// and its own number of questions.
#[test]
fn a_node_that_makes_addresses_up_is_bounded() {
    let mut setup = learning();
    setup.rates.1 = 10;
    setup.holds.per_node = 20;
    let mut r = setup.start();
    for i in 0..100 {
        r.send(PORT_A, &from(Vaddr(0x0a00_0080 + i), 0));
    }
    r.send(PORT_C, &from_c(&udp(NEW, G, (1, 2), b"C")));
    r.settle();
    assert_eq!((held(&r), r.dropped(Drop::HoldFull)), (21, 80));
    let asked = asked(&mut r);
    assert!(asked.contains(&(NODE_C.get(), NEW, MAC_C)));
    assert!(asked.len() < 34, "{}", asked.len());
    r.later(200);
    assert_eq!((held(&r), r.dropped(Drop::SpoofedSource)), (0, 21));
}

/// An address behind another card of the node is reached by that card's MAC.
#[test]
fn addresses_may_be_behind_another_card() {
    let mut topology = learned();
    topology.nodes[NODE_A.index()].macs = vec![(NEW, OTHER_CARD)];
    let mut r = Setup::new(topology, setup_r().mappings)
        .map(Z, NEW, local(NODE_A))
        .start();
    let cards = |r: &Host| -> Vec<_> {
        let frames = r.drain(PORT_A);
        frames.iter().map(|frame| frame[..6].to_vec()).collect()
    };
    let mut from_g = g_to_a();
    r.send(UPLINK, &from_g.to_r());
    from_g.dst = saddr(&locator_r(), Z, NEW);
    r.send(UPLINK, &from_g.to_r());
    r.settle();
    assert_eq!(cards(&r), [MAC_A.0, OTHER_CARD.0]);
    r.send(PORT_C, &from_c(&udp(C, A, (1, 2), b"C")));
    r.send(PORT_C, &from_c(&udp(C, NEW, (1, 2), b"C")));
    r.settle();
    assert_eq!(cards(&r), [MAC_A.0, OTHER_CARD.0]);
}

#[test]
fn the_use_of_a_watched_address_is_told() {
    let mut topology = learned();
    topology.learning = true;
    topology.nodes[NODE_A.index()].watched = vec![NEW];
    let mut r = Setup::new(topology, setup_r().mappings).start();
    for i in 0..5 {
        r.send(PORT_A, &from(NEW, i));
        r.send(PORT_A, &from(A, i));
    }
    r.settle();
    match r.notices()[..] {
        [
            Notice::AddressUsed {
                node: NODE_A,
                address: NEW,
            },
        ] => {}
        ref other => panic!("{other:?}"),
    }
    assert_eq!(r.drain(UPLINK).len(), 10);
    // Once known, it is asked for no more.
    r.publish(learned());
    r.carry_to(PORT_A, &from(NEW, 9), UPLINK);
    assert!(r.notices().is_empty());
}

/// One that took another's place goes by the plain path, as any other does.
#[test]
fn a_changed_address_is_plain() {
    let mut topology = topology_r();
    learns(&mut topology);
    topology.nodes[NODE_A.index()].vaddr = NEW;
    let mut r = Setup::new(topology, setup_r().mappings)
        .map(Z, NEW, local(NODE_A))
        .start();
    let payload = udp(G, NEW, (5000, 4000), &[0; 18]).payload;
    let (src, dst) = (saddr(&locator_s(), Z, G), saddr(&locator_r(), Z, NEW));
    let mut to_it = Ip6::new(src, dst, UDP, payload);
    to_it.label = label(64, true, 1);
    r.send(PORT_A, &from_a(&udp(NEW, G, (4000, 5000), &[0; 18])));
    r.send(UPLINK, &to_it.to_r());
    // The first round of all is sampled.
    assert_eq!(r.workers[0].round(), 2);
    assert_eq!((r.drain(UPLINK).len(), r.drain(PORT_A).len()), (1, 1));
    let walked = &r.counters[0].cycles.parts[Part::Walk as usize];
    assert_eq!(walked.packets.get(), 0);
    // The old one is none of its own any more.
    r.carry(PORT_A, &from(A, 2));
    assert_eq!(held(&r), 1);
    r.later(200);
}
