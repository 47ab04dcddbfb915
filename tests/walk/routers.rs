//! Routers that nobody built: what crosses them, what ends at them, and what
//! nodes on both sides see of it.
//!
//! ```text
//! web 10.0.0.0/24: A at R (and E, F)      db 10.0.1.0/24: C at R, G at S
//! ```

use weft::datapath::route::{End, MOST_HOPS, follow};
use weft::datapath::topology::Topology;
use weft::datapath::wiring::Notice;
use weft::datapath::{Drop, Punt};
use weft::mapping::Mapping;
use weft::wire::virtual_mac::{self, Kind};
use weft::wire::{Mac, Vaddr, Vni, ipv4};

use super::common::frames::*;
use super::common::segments::{Router, install};
use super::common::topology::*;
use super::common::{Host, Setup};

/// C and G behind the router.
pub(super) const C2: Vaddr = Vaddr(0x0a00_0105);
pub(super) const G2: Vaddr = Vaddr(0x0a00_0103);
const WEB_GATEWAY: Vaddr = Vaddr(0x0a00_0001);
const DB_GATEWAY: Vaddr = Vaddr(0x0a00_0101);

const SUBNETS: [(&str, &str); 2] = [("10.0.0.0/24", "10.0.0.1"), ("10.0.1.0/24", "10.0.1.1")];

fn address(text: &str) -> Vaddr {
    text.parse().expect("an address")
}

pub(super) fn router_mac(vni: Vni, address: Vaddr) -> Mac {
    virtual_mac::of(Kind::Router, vni, address)
}

/// The world without its routers.
fn moved(mut setup: Setup) -> Setup {
    for node in setup.topology.nodes.iter_mut().filter(|node| node.vni == Z) {
        node.vaddr = match node.vaddr {
            C => C2,
            G => G2,
            other => other,
        };
    }
    for vnet in &mut setup.topology.vnets {
        vnet.prefixes = vec!["10.0.0.0/16".parse().expect("literal")];
    }
    for (place, _) in &mut setup.mappings {
        for (from, to) in [(C, C2), (G, G2)] {
            if *place == key(Z, from) {
                *place = key(Z, to);
            }
        }
    }
    setup
}

pub(super) fn routed(setup: Setup, routes: &[(&str, &str)]) -> Setup {
    let mut setup = moved(setup);
    let router = Router {
        name: "r1",
        addresses: vec![WEB_GATEWAY, DB_GATEWAY],
        routes: routes.to_vec(),
    };
    install(&mut setup.topology, 0, &SUBNETS, &[router]);
    setup
}

/// A chain of so many routers from web to db.
pub(super) fn chain(setup: Setup, routers: usize) -> Setup {
    let mut setup = moved(setup);
    let link = |i: usize| format!("10.0.{}.0/30", 100 + i);
    let links: Vec<String> = (1..routers).map(link).collect();
    let mut subnets = SUBNETS.to_vec();
    subnets.extend(links.iter().map(|link| (link.as_str(), "")));
    let names: Vec<_> = (1..=routers).map(|i| format!("r{i}")).collect();
    let vias: Vec<_> = (1..=routers)
        .map(|i| format!("via 10.0.{}.2", 100 + i))
        .collect();
    let chain: Vec<_> = (1..=routers)
        .map(|i| {
            let left = match i {
                1 => WEB_GATEWAY,
                _ => address(&format!("10.0.{}.2", 99 + i)),
            };
            let right = match i == routers {
                true => DB_GATEWAY,
                false => address(&format!("10.0.{}.1", 100 + i)),
            };
            Router {
                name: &names[i - 1],
                addresses: vec![left, right],
                routes: match i == routers {
                    true => vec![],
                    false => vec![("10.0.1.0/24", vias[i - 1].as_str())],
                },
            }
        })
        .collect();
    install(&mut setup.topology, 0, &subnets, &chain);
    setup
}

/// A frame of A for its gateway.
pub(super) fn to_gateway(ip: &Ip) -> Vec<u8> {
    let gateway = router_mac(Z, WEB_GATEWAY);
    ethernet(gateway, MAC_A, None, 0x0800, &ip.bytes())
}

pub(super) fn udp_to(dst: Vaddr, ttl: u8) -> Ip {
    Ip {
        ttl,
        ..udp(A, dst, (4000, 5000), b"routed")
    }
}

fn after(mut host: Host, frame: &[u8]) -> (Host, Vec<(u16, Vec<u8>)>) {
    let out = host.carry(PORT_A, frame);
    (host, out)
}

#[test]
fn a_packet_for_another_subnet_crosses_the_substrate_once() {
    let mut r = routed(setup_r(), &[]).start();
    let mut s = routed(setup_s(), &[]).start();
    let sent = r.carry_to(PORT_A, &to_gateway(&udp_to(G2, 64)), UPLINK);
    let (src, dst) = check_substrate_frame(&sent, true);
    assert_eq!(src, saddr(&locator_r(), Z, A));
    assert_eq!(dst, saddr(&locator_s(), Z, G2));
    let got = s.carry_to(UPLINK, &sent, PORT_G);
    // As its last router sends it.
    let from_gateway = router_mac(Z, DB_GATEWAY);
    let expected = Ip {
        id: 0,
        ..udp_to(G2, 63)
    };
    assert_eq!(
        got,
        ethernet(MAC_G, from_gateway, None, 0x0800, &expected.bytes())
    );
    assert_eq!(from_gateway, Mac([0x72, 0x5b, 10, 0, 1, 1]));
}

#[test]
fn a_packet_for_another_subnet_of_the_same_host_stays_there() {
    let mut r = routed(setup_r(), &[]).start();
    for payload in 0..=255u8 {
        let mut ip = udp(A, C2, (4000, 5000), &[payload; 3]);
        (ip.options, ip.id) = (vec![7, 3, 4, 0], u16::from(payload) << 7);
        let got = r.carry_to(PORT_A, &to_gateway(&ip), PORT_C);
        ip.ttl = 63;
        let gateway = router_mac(Z, DB_GATEWAY);
        let expected = ethernet(MAC_C, gateway, Some(TAG_C), 0x0800, &ip.bytes());
        assert_eq!(got, expected);
    }
    // A neighbour is written to directly, and may be by its router as well.
    let ip = udp_to(E, 2);
    let got = r.carry_to(PORT_A, &to_gateway(&ip), TRUNK);
    let node = virtual_mac(Z, A);
    let expected = ethernet(MAC_E, node, Some(TAG_E), 0x0800, &udp_to(E, 1).bytes());
    assert_eq!(got, expected);
}

#[test]
fn every_router_of_a_chain_spends_one() {
    for routers in 1..=usize::from(MOST_HOPS) {
        let spent = routers as u8;
        let mut r = chain(setup_r(), routers).start();
        let mut s = chain(setup_s(), routers).start();
        let sent = r.carry_to(PORT_A, &to_gateway(&udp_to(G2, 64)), UPLINK);
        let got = s.carry_to(UPLINK, &sent, PORT_G);
        assert_eq!(got[22], 64 - spent, "{routers} routers");
        // One more than there are routers is just enough.
        for ttl in 1..=spent + 1 {
            let out = r.carry(PORT_A, &to_gateway(&udp_to(C2, ttl)));
            assert_eq!(out.len(), usize::from(ttl > spent), "{routers}, TTL {ttl}");
            if let [(_, frame)] = &out[..] {
                assert_eq!(frame[18 + 8], ttl - spent);
                assert_eq!(internet_checksum(&frame[18..38]), 0);
            }
        }
        assert_eq!(r.drops(), [(Drop::TtlExceeded, u64::from(spent))]);
    }
    let r = chain(setup_r(), 17).start();
    let (r, out) = after(r, &to_gateway(&udp_to(C2, 64)));
    assert_eq!((out.len(), r.drops()), (0, vec![(Drop::RouteLoop, 1)]));
}

#[test]
fn whoever_ends_a_packet_is_known_by_its_interface() {
    let topology = chain(setup_r(), 3).topology;
    let entry = topology.subnets[0].gateway;
    let at = |dst, ttl| {
        let route = follow(&topology, entry, dst, ttl);
        let at = topology.ifaces[route.at as usize].address.to_string();
        (route.end, route.hops, at)
    };
    let told = |end, hops, at: &str| (end, hops, at.to_owned());
    assert_eq!(at(C2, 1), told(End::TimeExceeded, 0, "10.0.0.1"));
    assert_eq!(at(C2, 2), told(End::TimeExceeded, 1, "10.0.101.2"));
    assert_eq!(at(C2, 3), told(End::TimeExceeded, 2, "10.0.102.2"));
    assert_eq!(at(C2, 4), told(End::Connected, 3, "10.0.102.2"));
    // Own addresses need one TTL less, on either side.
    assert_eq!(at(WEB_GATEWAY, 1), told(End::Own, 0, "10.0.0.1"));
    assert_eq!(at(address("10.0.101.1"), 1), told(End::Own, 0, "10.0.0.1"));
    assert_eq!(
        at(address("10.0.101.2"), 2),
        told(End::Own, 1, "10.0.101.2")
    );
    assert_eq!(at(DB_GATEWAY, 3), told(End::Own, 2, "10.0.102.2"));
    assert_eq!(at(DB_GATEWAY, 2), told(End::TimeExceeded, 1, "10.0.101.2"));
    // The second router knows no way back, and nobody any to elsewhere.
    assert_eq!(
        at(address("10.9.9.9"), 1),
        told(End::NoRoute, 0, "10.0.0.1")
    );
    assert_eq!(
        at(address("10.0.1.255"), 9),
        told(End::Broadcast, 2, "10.0.102.2")
    );
}

#[test]
fn routes_that_go_round_end() {
    let mut setup = moved(setup_r());
    let link = ("10.0.9.0/24", "");
    let pair = [
        ("r1", WEB_GATEWAY, "10.0.9.1", "via 10.0.9.2"),
        ("r2", DB_GATEWAY, "10.0.9.2", "via 10.0.9.1"),
    ];
    let routers = pair.map(|(name, own, inner, via)| Router {
        name,
        addresses: vec![own, address(inner)],
        routes: vec![("192.0.2.0/24", via)],
    });
    let subnets = [SUBNETS[0], SUBNETS[1], link];
    install(&mut setup.topology, 0, &subnets, &routers);
    let mut r = setup.start();
    r.carry(PORT_A, &to_gateway(&udp_to(OUTSIDE, 16)));
    assert_eq!(r.drops(), [(Drop::TtlExceeded, 1)]);
    r.carry(PORT_A, &to_gateway(&udp_to(OUTSIDE, 17)));
    assert_eq!(r.drops(), [(Drop::TtlExceeded, 1), (Drop::RouteLoop, 1)]);
}

/// What A's packet to `dst` ends by, and who is told.
fn ends(routes: &[(&str, &str)], dst: &str) -> (Vec<(Drop, u64)>, usize) {
    let r = routed(setup_r(), routes).start();
    let (mut r, out) = after(r, &to_gateway(&udp_to(address(dst), 64)));
    assert_eq!(out, [], "{dst}");
    let told = r.notices().into_iter();
    let told = told.filter(|notice| matches!(notice, Notice::Refused { .. }));
    (r.drops(), told.count())
}

#[test]
fn every_end_has_its_name_and_errors_where_they_belong() {
    let routes = [
        ("172.16.0.0/12", "blackhole"),
        ("172.16.1.0/24", "prohibit"),
        ("172.17.0.0/16", "unreachable"),
        ("10.0.1.64/26", "blackhole"),
    ];
    for (dst, why, told) in [
        ("172.16.0.1", Drop::Blackholed, 0),
        ("172.16.1.1", Drop::RouteProhibited, 1),
        ("172.17.0.1", Drop::NoRoute, 1),
        ("192.0.2.1", Drop::NoRoute, 1),
        // The longest prefix counts, also within a subnet.
        ("10.0.1.65", Drop::Blackholed, 0),
        ("10.0.1.99", Drop::Blackholed, 0),
        ("10.0.1.200", Drop::NoMapping, 1),
        ("10.0.1.255", Drop::Broadcast, 0),
        ("10.0.1.0", Drop::Broadcast, 0),
        ("255.255.255.255", Drop::Broadcast, 0),
        ("224.0.0.9", Drop::GroupMismatch, 0),
    ] {
        assert_eq!(ends(&routes, dst), (vec![(why, 1)], told), "{dst}");
    }
}

#[test]
fn a_router_is_heard_in_its_subnets_only() {
    let mut r = routed(setup_r(), &[]).start();
    for mac in [
        router_mac(Z, DB_GATEWAY),
        router_mac(Y, WEB_GATEWAY),
        router_mac(Z, A),
        virtual_mac(Z, WEB_GATEWAY),
    ] {
        let frame = ethernet(mac, MAC_A, None, 0x0800, &udp_to(G2, 64).bytes());
        assert_eq!(r.carry(PORT_A, &frame), []);
    }
    assert_eq!(r.drops(), [(Drop::MacMismatch, 4)]);
    // Nobody of another subnet is a neighbour.
    assert_eq!(r.carry(PORT_A, &from_a(&udp_to(G2, 64))), []);
    assert_eq!(r.dropped(Drop::WrongSubnet), 1);
    // Y has no routers: all of it is one link.
    let to_g = udp(A, G, (1, 2), b"flat");
    r.carry_to(PORT_TWIN, &from_twin(&to_g), UPLINK);
    let frame = ethernet(router_mac(Y, G), MAC_TWIN, None, 0x0800, &to_g.bytes());
    assert_eq!(r.carry(PORT_TWIN, &frame), []);
    assert_eq!(r.dropped(Drop::MacMismatch), 5);
}

#[test]
fn what_is_for_a_router_goes_to_control() {
    let mut r = routed(setup_r(), &[]).start();
    for dst in [WEB_GATEWAY, DB_GATEWAY] {
        let ping = echo(A, dst, 8, b"who are you");
        assert_eq!(r.carry(PORT_A, &to_gateway(&ping)), []);
        let punted = r.punted();
        assert_eq!(punted.len(), 1);
        assert_eq!(punted[0].what, Punt::Router { node: NODE_A });
    }
    assert_eq!(r.drops(), []);
    // A liar is not heard.
    let ping = echo(C2, WEB_GATEWAY, 8, b"");
    assert_eq!(r.carry(PORT_A, &to_gateway(&ping)), []);
    assert_eq!(r.drops(), [(Drop::SpoofedSource, 1)]);
}

#[test]
fn one_nodes_flood_of_a_router_is_limited() {
    let mut setup = routed(setup_r(), &[]);
    setup.rates.0 = 10;
    let mut r = setup.start();
    for _ in 0..40 {
        r.send(PORT_A, &to_gateway(&echo(A, WEB_GATEWAY, 8, b"")));
    }
    r.settle();
    assert!(r.dropped(Drop::PuntLimited) > 0);
    assert_eq!(r.drops().len(), 1);
}

#[test]
fn fragments_and_large_packets_are_cut_with_their_ttl_spent() {
    let mut r = chain(setup_r(), 2).start();
    let mut s = chain(setup_s(), 2).start();
    let mut ip = udp(A, G2, (4000, 5000), &[7; 1472]);
    (ip.df, ip.ttl) = (false, 9);
    let pieces = r.carry(PORT_A, &to_gateway(&ip));
    assert_eq!(pieces.len(), 2);
    for (_, piece) in pieces {
        let got = s.carry_to(UPLINK, &piece, PORT_G);
        let header = ipv4::Header::parse(&got[14..]).expect("an IPv4 packet");
        assert_eq!((header.ttl, header.is_fragment()), (7, true));
    }
    ip.df = true;
    assert_eq!(r.carry(PORT_A, &to_gateway(&ip)), []);
    assert_eq!(r.drops(), [(Drop::TooBig, 1)]);
    let mut part = udp_to(G2, 3);
    (part.df, part.mf, part.options) = (false, true, vec![1; 4]);
    let sent = r.carry_to(PORT_A, &to_gateway(&part), UPLINK);
    assert_eq!(s.carry_to(UPLINK, &sent, PORT_G)[22], 1);
}

#[test]
fn a_packet_that_waits_spends_once() {
    let mut setup = chain(setup_r(), 2);
    setup.topology.resolver = true;
    setup.mappings.retain(|(place, _)| *place != key(Z, G2));
    let mut r = setup.start();
    let mut s = chain(setup_s(), 2).start();
    assert_eq!(r.carry(PORT_A, &to_gateway(&udp_to(G2, 3))), []);
    r.later(5);
    r.map(Z, G2, remote(HOST_S));
    r.later(5);
    let sent = r.receive(UPLINK).expect("it was held");
    assert_eq!(s.carry_to(UPLINK, &sent, PORT_G)[22], 1);
    assert_eq!(r.drops(), []);
}

/// E routes: 172.16.0.0/16 is behind it. G, at S, has 172.17.0.0/16.
fn phantom(setup: Setup) -> Setup {
    let mut setup = routed(
        setup,
        &[
            ("172.16.0.0/16", "via 10.0.0.6"),
            ("172.17.0.0/16", "via 10.0.1.3"),
            ("172.18.0.0/16", "via 10.0.1.3"),
            ("172.19.0.0/16", "via 10.0.0.200"),
        ],
    );
    for node in &mut setup.topology.nodes {
        let behind = match (node.vni, node.vaddr) {
            (Z, E) => "172.16.0.0/16",
            (Z, G2) => "172.17.0.0/16",
            _ => continue,
        };
        node.prefixes = vec![behind.parse().expect("literal")];
    }
    for vnet in &mut setup.topology.vnets {
        vnet.prefixes
            .push("172.16.0.0/12".parse().expect("literal"));
    }
    setup
}

fn phantom_r() -> Host {
    let mut r = phantom(setup_r()).start();
    for (range, target) in [
        ("172.16.0.0/16", local(NODE_E)),
        ("172.17.0.0/16", remote(HOST_S)),
        ("172.18.0.0/16", remote(HOST_T)),
        ("172.19.0.0/16", remote(HOST_S)),
    ] {
        behind(&mut r, range, target);
    }
    r
}

fn behind(host: &mut Host, range: &str, mapping: Mapping) {
    let range: weft::wire::address::Prefix4 = range.parse().expect("literal");
    let prefix = weft::mapping::Prefix::new(Z.0, range.address.0, range.len).expect("a prefix");
    host.writer.insert_prefix(prefix, mapping).expect("room");
}

#[test]
fn nodes_may_route() {
    let mut r = phantom_r();
    let mut s = phantom(setup_s()).start();
    behind(&mut s, "172.17.0.0/16", local(NODE_G));
    let far = address("172.17.3.4");
    let sent = r.carry_to(PORT_A, &to_gateway(&udp_to(far, 64)), UPLINK);
    let got = s.carry_to(UPLINK, &sent, PORT_G);
    assert_eq!((got[..6].to_vec(), got[22]), (MAC_G.0.to_vec(), 63));
    assert_eq!(got[30..34], far.bytes());
    let near = address("172.16.3.4");
    let got = r.carry_to(PORT_A, &to_gateway(&udp_to(near, 64)), TRUNK);
    assert_eq!((got[..6].to_vec(), got[18 + 8]), (MAC_E.0.to_vec(), 63));
    // A host of another route's node, and a next hop that nobody is.
    for (dst, why) in [
        ("172.18.0.1", Drop::NotBehind),
        ("172.19.0.1", Drop::NoMapping),
    ] {
        let before = r.dropped(why);
        assert_eq!(r.carry(PORT_A, &to_gateway(&udp_to(address(dst), 64))), []);
        assert_eq!(r.dropped(why), before + 1, "{dst}");
    }
}

#[test]
fn neighbours_reach_what_is_behind_a_node_by_its_mac() {
    let mut r = phantom_r();
    let by_mac_of = |node: Vaddr, dst: &str| {
        let mac = virtual_mac(Z, node);
        ethernet(mac, MAC_A, None, 0x0800, &udp_to(address(dst), 64).bytes())
    };
    let got = r.carry_to(PORT_A, &by_mac_of(E, "172.16.3.4"), TRUNK);
    // The node spends TTL itself.
    assert_eq!(got[18 + 8], 64);
    for (node, dst) in [
        // Nobody's; behind another one; itself a node; in another subnet.
        (E, "172.31.0.1"),
        (F, "172.16.3.4"),
        (E, "10.0.0.7"),
        (G2, "172.17.3.4"),
    ] {
        let before = r.dropped(Drop::MacMismatch);
        assert_eq!(r.carry(PORT_A, &by_mac_of(node, dst)), [], "{dst}");
        assert_eq!(r.dropped(Drop::MacMismatch), before + 1, "{dst}");
    }
}

#[test]
fn routes_change_while_packets_come() {
    let mut r = routed(setup_r(), &[("10.0.1.3/32", "blackhole")]).start();
    let frame = to_gateway(&udp_to(G2, 64));
    assert_eq!(r.carry(PORT_A, &frame), []);
    r.publish(routed(setup_r(), &[]).topology);
    r.carry_to(PORT_A, &frame, UPLINK);
    // A router that is gone is nobody's MAC.
    r.publish(Topology {
        subnets: Vec::new(),
        ..routed(setup_r(), &[]).topology
    });
    assert_eq!(r.carry(PORT_A, &frame), []);
    assert_eq!(r.drops(), [(Drop::MacMismatch, 1), (Drop::Blackholed, 1)]);
}

type Case = (Drop, fn() -> Host);

fn r_after(routes: &[(&str, &str)], frame: &[u8]) -> Host {
    after(routed(setup_r(), routes).start(), frame).0
}

/// The routers' own reasons.
pub(crate) const CASES: &[Case] = &[
    (Drop::WrongSubnet, || r_after(&[], &from_a(&udp_to(G2, 64)))),
    (Drop::ToItself, || r_after(&[], &from_a(&udp_to(A, 64)))),
    (Drop::ToItself, || r_after(&[], &to_gateway(&udp_to(A, 64)))),
    (Drop::ToItself, || {
        after(setup_r().start(), &from_a(&udp_to(A, 64))).0
    }),
    (Drop::NoRoute, || {
        r_after(&[], &to_gateway(&udp_to(OUTSIDE, 64)))
    }),
    (Drop::RouteProhibited, || {
        let routes = [("192.0.2.0/24", "prohibit")];
        r_after(&routes, &to_gateway(&udp_to(OUTSIDE, 64)))
    }),
    (Drop::RouteLoop, || {
        after(chain(setup_r(), 17).start(), &to_gateway(&udp_to(C2, 64))).0
    }),
    (Drop::NotBehind, || {
        let frame = to_gateway(&udp_to(address("172.18.0.1"), 64));
        after(phantom_r(), &frame).0
    }),
];

#[test]
fn every_reason_of_the_routers_has_a_packet() {
    for (why, produce) in CASES {
        assert_eq!(produce().drops(), [(*why, 1)]);
    }
}
