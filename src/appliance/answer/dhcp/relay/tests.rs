//! Two hosts: a client at R, the server at S.

use super::super::mail::{ALL, Mail, NOBODY, from_node, hear};
use super::*;
use crate::appliance::testing::{built, mapped};
use crate::control::plant::Plant as _;
use crate::control::proto::{Event, LeaseChange};
use crate::datapath::Punt;

const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const G: Mac = Mac([2, 0, 0, 0, 0, 0x0c]);
const SERVER: [u8; 4] = [10, 0, 0, 3];
const NODES: [u8; 4] = [10, 0, 0, 2];

/// A host of the first vnet of README.md, its next hop known.
fn host(file: &str, binding: &str, via: &str) -> (Plant, Store) {
    let said = file
        .replacen(
            "[[vnet]]\n",
            "[[vnet]]\ndhcp = \"node\"\ndhcp_server = \"10.0.0.3\"\n",
            1,
        )
        .replacen("address = \"10.0.0.2\"\nport", &format!("{binding}port"), 1);
    let neighbor =
        format!("[[neighbor]]\nport = \"up\"\naddress = \"{via}\"\nmac = \"02:00:00:00:01:01\"\n");
    let (mut plant, store) = built(&format!("{said}\n{neighbor}"));
    let now = plant.now();
    plant.substrate.link(0, true, now);
    plant.mark_dirty();
    plant.step(&store);
    (plant, store)
}

fn r(binding: &str) -> (Plant, Store) {
    host(
        include_str!("../../../../../configs/first/r.toml"),
        binding,
        "2001:db8:ffff:d::2",
    )
}

fn s() -> (Plant, Store) {
    host(
        include_str!("../../../../../configs/first/s.toml"),
        "",
        "2001:db8:ffff:d::1",
    )
}

/// A request of A.
fn ask(options: &[u8]) -> Mail {
    Mail::of(A, options)
}

/// What G gives A: 10.0.0.`last` for 600 seconds, or nothing.
fn tell(kind: u8, last: u8) -> Mail {
    let lease: &[u8] = if kind == 6 {
        &[]
    } else {
        &[51, 4, 0, 0, 2, 88]
    };
    Mail {
        op: 2,
        yiaddr: if kind == 6 { NOBODY } else { [10, 0, 0, last] },
        options: [&[53, 1, kind, 54, 4, 10, 0, 0, 3], lease].concat(),
        ..ask(&[])
    }
}

fn only(replies: &Replies) -> (u16, Vec<u8>) {
    let [(port, frame)] = &replies.frames[..] else {
        panic!("{replies:?}")
    };
    (*port, frame.clone())
}

fn total(plant: &Plant, name: &str) -> u64 {
    plant.stats().counters[name].total
}

fn address(plant: &Plant) -> Vaddr {
    let node = plant.numbers.get("A").unwrap();
    plant.topology().node(node).unwrap().vaddr
}

fn changes(replies: &Replies) -> Vec<LeaseChange> {
    let change = |event: &Event| match event {
        Event::Lease { change, .. } => Some(*change),
        _ => None,
    };
    replies.events.iter().filter_map(change).collect()
}

/// A question of A from R to the server's port at S.
fn asks(r: &mut (Plant, Store), s: &mut (Plant, Store), mail: &Mail) -> Vec<u8> {
    let sent = from_node(&mut r.0, &r.1, "A", &mail.frame(A, [NOBODY, ALL]));
    let (port, frame) = only(&sent);
    assert_eq!(port, 0, "to the substrate");
    // From nobody of the vnet at R to everybody of it at S.
    assert_eq!(frame[..6], [2, 0, 0, 0, 1, 1]);
    let ends = |at: usize| (frame[at..at + 8].to_vec(), frame[at + 8..at + 16].to_vec());
    let z = [0, 0x5a, 0, 1];
    let low = |address: [u8; 4]| [&z[..], &address].concat();
    assert_eq!(ends(22).1[1..], low([0; 4])[1..]);
    assert_eq!(ends(38).1[1..], low(ALL)[1..]);
    let heard = hear(&mut s.0, &s.1, (Punt::DhcpBetween, 0), &frame);
    let (port, frame) = only(&heard);
    assert_eq!(port, 1, "to the server");
    frame
}

/// An answer of G from S to A's port at R.
fn tells(r: &mut (Plant, Store), s: &mut (Plant, Store), mail: &Mail) -> Replies {
    let to = [10, 0, 0, 20];
    let sent = from_node(&mut s.0, &s.1, "G", &mail.frame(G, [SERVER, to]));
    let (port, frame) = only(&sent);
    assert_eq!(port, 0, "to the substrate");
    hear(&mut r.0, &r.1, (Punt::DhcpBetween, 0), &frame)
}

const DISCOVER: &[u8] = &[53, 1, 1];

#[test]
fn a_client_gets_its_address_from_a_server_on_another_host() {
    let (mut r, mut s) = (r(""), s());
    assert_eq!(address(&r.0), Vaddr(0));
    let frame = asks(&mut r, &mut s, &ask(DISCOVER));
    // To everybody on the server's wire, from nobody's virtual MAC; the server
    // is to answer everybody.
    assert_eq!(
        frame[..14],
        [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x76, 0x5b, 0, 0, 0, 0, 8, 0
        ]
    );
    assert_eq!(
        frame[26..38],
        [0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67]
    );
    let mut expected = ask(DISCOVER).data();
    expected[10] = 0x80;
    assert_eq!(frame[42..], expected);

    let offered = tells(&mut r, &mut s, &tell(2, 20));
    let (port, frame) = only(&offered);
    assert_eq!((port, &frame[42..]), (1, &tell(2, 20).data()[..]));
    assert_eq!(
        frame[..12],
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x76, 0x5b, 10, 0, 0, 3]
    );
    assert_eq!(
        frame[26..38],
        [10, 0, 0, 3, 255, 255, 255, 255, 0, 67, 0, 68]
    );
    assert_eq!((changes(&offered), address(&r.0)), (vec![], Vaddr(0)));

    asks(&mut r, &mut s, &ask(&[53, 1, 3, 50, 4, 10, 0, 0, 20]));
    let granted = tells(&mut r, &mut s, &tell(5, 20));
    let own = Vaddr(0x0a00_0014);
    assert_eq!(changes(&granted), [LeaseChange::Granted]);
    assert_eq!((only(&granted).0, address(&r.0)), (1, own));
    assert_eq!(r.0.leases()[0].expires, Some(600));
    assert_eq!(r.0.learned("A").unwrap().mac, Some(A));

    // The server is asked to renew by itself, so that nobody waits for this one.
    let renews = Mail {
        xid: 9,
        ciaddr: own.bytes(),
        ..tell(5, 20)
    };
    let unheard = from_node(&mut s.0, &s.1, "G", &renews.frame(G, [SERVER, own.bytes()]));
    assert!(unheard.frames.is_empty(), "S does not know where A is");
    assert_eq!(total(&s.0, "dhcp_no_client"), 1);
    point(&mut s);
    let renewed = tells(&mut r, &mut s, &renews);
    assert_eq!(changes(&renewed), [LeaseChange::Renewed]);
    let (_, frame) = only(&renewed);
    assert_eq!(frame[..6], A.0);
    assert_eq!(frame[30..34], own.bytes());

    // It is refused, and has nothing.
    asks(&mut r, &mut s, &ask(&[53, 1, 3, 50, 4, 10, 0, 0, 20]));
    let refused = tells(&mut r, &mut s, &tell(6, 0));
    assert_eq!(changes(&refused), [LeaseChange::Refused]);
    assert_eq!(address(&r.0), Vaddr(0));
}

/// S is told where A is.
fn point((plant, store): &mut (Plant, Store)) {
    let origin = crate::model::Origin::Operator;
    let at_r = mapped("10.0.0.20", "R");
    store.apply(plant, origin, &[at_r], 0).unwrap();
    plant.step(store);
}

#[test]
fn what_is_not_of_the_server_or_for_nobody_goes_nowhere() {
    let (mut r, mut s) = (r(""), s());
    for (why, mail) in [
        ("dhcp_no_client", tell(2, 20)),
        (
            "dhcp_not_an_answer",
            Mail {
                op: 2,
                ..ask(DISCOVER)
            },
        ),
        (
            "dhcp_no_type",
            Mail {
                op: 2,
                ..ask(&[53, 1, 9])
            },
        ),
    ] {
        let replies = from_node(&mut s.0, &s.1, "G", &mail.frame(G, [SERVER, ALL]));
        assert!(replies.frames.is_empty());
        assert_eq!(total(&s.0, why), 1, "{why}");
    }
    // A relay's, another's, a server's: at R as when R itself answers.
    for (why, mail, from) in [
        ("dhcp_relayed", ask(&[53, 1, 1, 82, 2, 1, 0]), A),
        ("dhcp_chaddr", ask(DISCOVER), G),
        ("dhcp_not_a_request", ask(&[53, 1, 2]), A),
    ] {
        let replies = from_node(&mut r.0, &r.1, "A", &mail.frame(from, [NOBODY, ALL]));
        assert!(replies.frames.is_empty());
        assert_eq!(total(&r.0, why), 1, "{why}");
    }
    // What another host sends is no more than that.
    let replies = hear(&mut s.0, &s.1, (Punt::DhcpBetween, 0), &[0; 60]);
    assert!(replies.frames.is_empty());
    assert_eq!(total(&s.0, "dhcp_bad_packet"), 1);
}

#[test]
fn a_node_with_an_address_has_no_other() {
    let (mut r, mut s) = (r("address = \"10.0.0.2\"\n"), s());
    asks(&mut r, &mut s, &ask(DISCOVER));
    let other = tells(&mut r, &mut s, &tell(5, 20));
    assert!(other.frames.is_empty() && other.events.is_empty());
    assert_eq!(total(&r.0, "dhcp_other_address"), 1);
    let own = tells(&mut r, &mut s, &tell(5, 2));
    assert_eq!(changes(&own), [LeaseChange::Granted]);
    assert_eq!(address(&r.0), Vaddr::from_bytes(NODES));
    // And nobody has one that is somebody's already.
    let mut r = self::r("");
    asks(&mut r, &mut s, &ask(DISCOVER));
    for taken in [3, 255] {
        let replies = tells(&mut r, &mut s, &tell(5, taken));
        assert!(replies.frames.is_empty(), "{taken}");
    }
    assert_eq!(total(&r.0, "dhcp_held_address"), 2);
    assert_eq!(address(&r.0), Vaddr(0));
}
