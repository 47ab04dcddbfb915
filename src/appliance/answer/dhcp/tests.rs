//! A node's messages, and what control makes of them.

use super::mail::{Mail, from_node, hear};
use super::*;
use crate::appliance::testing::host_r_with;
use crate::control::plant::Plant as _;
use crate::datapath::Punt;

const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const SUBNET: &str = "[[subnet]]\nname = \"web\"\nvnet = \"Z\"\nprefix = \"10.0.0.0/24\"\ngateway = \"10.0.0.1\"\n[subnet.dhcp]\nlease_seconds = 600\n";

fn told(plant: &mut Plant, store: &Store, options: &[u8]) -> Replies {
    from_node(plant, store, "A", &Mail::of(A, options).broadcast())
}

fn total(plant: &Plant, name: &str) -> u64 {
    plant.stats().counters[name].total
}

const DISCOVER: &[u8] = &[53, 1, 1];
const REQUEST: &[u8] = &[53, 1, 3, 50, 4, 10, 0, 0, 2, 12, 1, b'x'];

#[test]
fn a_node_gets_the_address_of_its_binding() {
    let (mut plant, store) = host_r_with("dhcp = \"host\"", SUBNET);
    let replies = told(&mut plant, &store, DISCOVER);
    assert!(replies.events.is_empty());
    let [(1, offer)] = &replies.frames[..] else {
        panic!("{replies:?}")
    };
    assert_eq!(
        offer[..14],
        [2, 0, 0, 0, 0, 0x0a, 0x72, 0x5b, 10, 0, 0, 1, 8, 0]
    );
    assert_eq!(offer[26..34], [10, 0, 0, 1, 10, 0, 0, 2]);
    assert_eq!(offer[58..62], [10, 0, 0, 2]);
    // The MTU of the vnet, as far as the port has it, and the name.
    let has = |option: &[u8]| offer.windows(option.len()).any(|at| at == option);
    assert!(has(&[26, 2, 5, 0xc0]) && has(&[12, 1, b'A']) && has(&[51, 4, 0, 0, 2, 88]));

    assert!(plant.leases().is_empty(), "an offer is none");
    let replies = told(&mut plant, &store, REQUEST);
    assert_eq!(replies.frames[0].1[284], 5, "an ACK");
    let granted = Event::Lease {
        change: LeaseChange::Granted,
        node: "A".into(),
        vnet: "Z".into(),
        address: Vaddr(0x0a00_0002),
        mac: A,
        host_name: "x".into(),
        seconds: Some(600),
    };
    assert_eq!(replies.events[0], granted);
    // It was not asked for its hardware address, and is known by it now.
    assert!(matches!(replies.events[1], Event::Node { mac: A, .. }));
    assert_eq!(plant.learned("A").unwrap().mac, Some(A));
    let [lease] = &plant.leases()[..] else {
        panic!()
    };
    assert_eq!((lease.node.as_str(), lease.expires), ("A", Some(600)));
    for (name, expected) in [
        ("dhcp_discover_in", 1),
        ("dhcp_request_in", 1),
        ("dhcp_offer_out", 1),
        ("dhcp_ack_out", 1),
        ("dhcp_nak_out", 0),
    ] {
        assert_eq!(total(&plant, name), expected, "{name}");
    }
}

#[test]
fn nodes_without_dhcp_get_no_answer() {
    let bare = SUBNET.replace("[subnet.dhcp]\nlease_seconds = 600\n", "");
    let (mut plant, store) = host_r_with("", &bare);
    let replies = told(&mut plant, &store, DISCOVER);
    assert!(replies.frames.is_empty() && replies.events.is_empty());
    assert_eq!(total(&plant, "dhcp_not_served"), 1);
}

#[test]
fn the_server_is_found_by_arp_and_says_what_it_must() {
    let alone = SUBNET.replace("gateway = \"10.0.0.1\"\n", "");
    let alone = format!("{alone}server = \"10.0.0.6\"\n");
    for (more, server) in [(SUBNET, 1), (alone.as_str(), 6)] {
        let (mut plant, store) = host_r_with("dhcp = \"host\"", more);
        let replies = told(&mut plant, &store, DISCOVER);
        assert_eq!(replies.frames[0].1[26..30], [10, 0, 0, server]);
        let router = replies.frames[0]
            .1
            .windows(6)
            .any(|at| at == [3, 4, 10, 0, 0, 1]);
        assert_eq!(router, server == 1);
        let mut arp = [&[0xff; 6], &A.0[..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &A.0].concat();
        arp.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, server]);
        let node = plant.numbers.get("A").unwrap();
        let replies = hear(&mut plant, &store, (Punt::Arp { node }, 1), &arp);
        assert_eq!(replies.frames[0].1[6..12], [0x72, 0x5b, 10, 0, 0, server]);
    }
}

#[test]
fn leases_end_and_go_with_their_binding() {
    let (mut plant, mut store) = host_r_with("dhcp = \"host\"", SUBNET);
    told(&mut plant, &store, REQUEST);
    let mut replies = Replies::default();
    plant.poll_dhcp(&mut replies);
    assert!(replies.events.is_empty());
    let ended = plant.dhcp.leases.poll(Time(600_000));
    assert_eq!(ended.len(), 1);
    told(&mut plant, &store, REQUEST);
    let mut binding = store.binding("A").unwrap().clone();
    binding.address = Some(Vaddr(0x0a00_0009));
    let set = proto::Change::BindingSet(proto::BindingSet {
        binding,
        revision: 0,
    });
    store
        .apply(&mut plant, crate::model::Origin::Operator, &[set], 0)
        .unwrap();
    assert!(plant.leases().is_empty());
    let mut replies = Replies::default();
    plant.poll_dhcp(&mut replies);
    assert!(replies.events.is_empty(), "its address decides");
    // The client wants what it had, and is told to begin anew.
    plant.step(&store);
    let replies = told(&mut plant, &store, REQUEST);
    assert_eq!(replies.frames[0].1[284], 6, "a NAK");
    assert!(matches!(
        replies.events[..],
        [Event::Lease {
            change: LeaseChange::Refused,
            ..
        }]
    ));
}

#[test]
fn host_names_are_those_of_machines() {
    let long = "a".repeat(64);
    for good in ["a", "A", "web-1", "4", &long[1..]] {
        assert!(is_host_name(good), "{good}");
    }
    for bad in ["", "-a", "a-", "a.b", "a_b", "ä", &long] {
        assert!(!is_host_name(bad), "{bad}");
    }
}

#[test]
fn every_message_is_counted_once() {
    let mut dhcp = Dhcps::default();
    for (n, what) in Message::ALL.into_iter().enumerate() {
        (0..=n).for_each(|_| dhcp.count(what));
    }
    let counters = dhcp.counters();
    let reasons = DhcpIgnored::COUNT + 1;
    let messages = counters.iter().take(counters.len() - reasons);
    assert_eq!(messages.clone().count(), Message::ALL.len());
    assert_eq!(messages.map(|(_, counter)| counter.total).sum::<u64>(), 36);
}
