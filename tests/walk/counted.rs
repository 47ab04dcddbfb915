//! What interfaces of routers count: everything that nodes here gave to a router,
//! once, at each interface on its way.

use weft::datapath::Drop;
use weft::datapath::tally::Totals;
use weft::mapping::{Mapping, Target};
use weft::wire::Vaddr;

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};
use super::routers::{C2, G2, chain, routed, to_gateway, udp_to};

/// A packet of 34 bytes in a frame.
const FRAME: u64 = 14 + 34;

fn came(packets: u64) -> Totals {
    Totals {
        in_packets: packets,
        in_bytes: packets * FRAME,
        ..Totals::default()
    }
}

fn left(packets: u64) -> Totals {
    Totals {
        out_packets: packets,
        out_bytes: packets * FRAME,
        ..Totals::default()
    }
}

fn dropped(packets: u64) -> Totals {
    Totals {
        dropped: packets,
        ..came(packets)
    }
}

const NOTHING: Totals = Totals {
    in_packets: 0,
    in_bytes: 0,
    out_packets: 0,
    out_bytes: 0,
    dropped: 0,
};

fn totals(host: &Host) -> Vec<Totals> {
    let ifaces = host.topology.current().ifaces.iter();
    ifaces.map(|iface| iface.traffic.totals()).collect()
}

/// What interfaces count of these packets of A.
fn counted(setup: Setup, sent: &[(Vaddr, u8)]) -> Vec<Totals> {
    let mut host = setup.start();
    for (dst, ttl) in sent {
        host.send(PORT_A, &to_gateway(&udp_to(*dst, *ttl)));
    }
    host.settle();
    host.all();
    totals(&host)
}

#[test]
fn what_a_router_passes_on_is_counted_at_both_sides() {
    // To another host and to a node of this one, which is behind a tag.
    let sent = [(G2, 64), (G2, 64), (C2, 64), (G2, 2)];
    assert_eq!(counted(routed(setup_r(), &[]), &sent), [came(4), left(4)]);
    assert_eq!(counted(routed(setup_r(), &[]), &[]), [NOTHING; 2]);
}

#[test]
fn what_stays_in_its_subnet_is_no_routers() {
    let mut r = routed(setup_r(), &[]).start();
    let near = udp(A, E, (4000, 5000), b"near");
    let frame = ethernet(virtual_mac(Z, E), MAC_A, None, 0x0800, &near.bytes());
    assert_eq!(r.carry(PORT_A, &frame).len(), 1);
    assert_eq!(totals(&r), [NOTHING; 2]);
}

#[test]
fn what_arrives_was_routed_where_it_was_sent() {
    let mut s = routed(setup_s(), &[]).start();
    let mut r = routed(setup_r(), &[]).start();
    let sent = r.carry_to(PORT_A, &to_gateway(&udp_to(G2, 64)), UPLINK);
    s.carry_to(UPLINK, &sent, PORT_G);
    assert_eq!(totals(&s), [NOTHING; 2]);
    assert_eq!(totals(&r), [came(1), left(1)]);
}

#[test]
fn every_router_of_a_chain_counts() {
    let way = [came(3), left(3), came(3), left(3), came(3), left(3)];
    let sent = [(G2, 64), (G2, 64), (G2, 9)];
    assert_eq!(counted(chain(setup_r(), 3), &sent), way);
    // Its TTL ends at the second.
    let ends = [came(1), left(1), dropped(1), NOTHING, NOTHING, NOTHING];
    assert_eq!(counted(chain(setup_r(), 3), &[(G2, 2)]), ends);
    // The second is whom it is for.
    let second = Vaddr(0x0a00_6502);
    let own = [came(1), left(1), came(1), NOTHING, NOTHING, NOTHING];
    assert_eq!(counted(chain(setup_r(), 3), &[(second, 64)]), own);
}

#[test]
fn what_ends_at_a_router_came_to_it() {
    let routes = [
        ("192.0.2.0/24", "blackhole"),
        ("198.51.100.0/24", "prohibit"),
    ];
    let ended = [
        (Vaddr(0xc000_0201), 64),
        (Vaddr(0xc633_6401), 64),
        (Vaddr(0xcb00_7101), 64),
        (G2, 1),
        // In a subnet of the router's, and nowhere.
        (Vaddr(0x0a00_0163), 64),
    ];
    let counted = counted(routed(setup_r(), &routes), &ended);
    assert_eq!(counted, [dropped(5), NOTHING]);
}

#[test]
fn fragments_count_as_they_came() {
    let mut r = routed(setup_r(), &[]).start();
    let ip = Ip {
        df: false,
        ..udp(A, G2, (1, 2), &[7; 1472])
    };
    r.send(PORT_A, &to_gateway(&ip));
    r.settle();
    assert_eq!(r.drain(UPLINK).len(), 2, "cut on its way");
    let [at, out] = totals(&r)[..] else {
        panic!("two interfaces")
    };
    assert_eq!((at.in_packets, at.in_bytes), (1, 1514));
    assert_eq!((out.out_packets, out.out_bytes), (1, 1514));
}

#[test]
fn what_waits_counts_when_it_goes_on() {
    let mut setup = routed(setup_r(), &[]);
    setup.topology.resolver = true;
    setup.mappings.retain(|(place, _)| *place != key(Z, G2));
    let mut r = setup.start();
    assert_eq!(r.carry(PORT_A, &to_gateway(&udp_to(G2, 64))), []);
    r.later(1);
    assert_eq!(totals(&r), [NOTHING; 2]);
    r.map(Z, G2, Mapping::new(Target::Remote(HOST_S)));
    r.later(2);
    assert_eq!(r.drain(UPLINK).len(), 1);
    assert_eq!(totals(&r), [came(1), left(1)]);
    assert!(!r.notices().is_empty());
}

#[test]
fn workers_count_by_themselves() {
    let mut setup = routed(setup_r(), &[]);
    setup.workers = 2;
    setup.duty[usize::from(TRUNK)] = (1, 1);
    let mut r = setup.start();
    r.send(PORT_A, &to_gateway(&udp_to(G2, 64)));
    let gateway = super::routers::router_mac(Z, Vaddr(0x0a00_0001));
    let from_e = udp(E, G2, (4000, 5000), b"routed");
    r.send(
        TRUNK,
        &ethernet(gateway, MAC_E, Some(TAG_E), 0x0800, &from_e.bytes()),
    );
    r.settle();
    assert_eq!(r.drain(UPLINK).len(), 2);
    assert_eq!(totals(&r), [came(2), left(2)]);
    assert_eq!(r.drops(), [] as [(Drop, u64); 0]);
}

#[test]
fn counters_outlive_snapshots() {
    let setup = routed(setup_r(), &[]);
    let again = routed(setup_r(), &[]);
    let kept: Vec<_> = setup
        .topology
        .ifaces
        .iter()
        .map(|iface| iface.traffic.clone())
        .collect();
    let mut r = setup.start();
    r.carry(PORT_A, &to_gateway(&udp_to(G2, 64)));
    let mut topology = again.topology;
    for (iface, kept) in topology.ifaces.iter_mut().zip(kept) {
        iface.traffic = kept;
    }
    r.publish(topology);
    r.carry(PORT_A, &to_gateway(&udp_to(G2, 64)));
    assert_eq!(totals(&r), [came(2), left(2)]);
}
