//! What A, in subnet `web` of configs/subnets.toml, is told by routers: r1 is
//! its gateway, r2 the next one on the way to `db`.

use crate::appliance::answer::Replies;
use crate::appliance::plant::Plant;
use crate::appliance::testing;
use crate::control::store::Store;
use crate::datapath::wiring::{Notice, Punted};
use crate::datapath::{Drop, Punt};
use crate::mapping::NodeIndex;
use crate::packet::Buffer;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, Vni, checksum, ipv4};

const Z: Vni = Vni(0x5a_0001);
const A: &str = "10.0.1.2";
const MAC_A: Mac = Mac([2, 0, 0, 0, 0, 9]);

fn world() -> (Plant, Store, NodeIndex) {
    let (mut plant, store) = testing::built(include_str!("../../../../configs/subnets.toml"));
    let node = plant.numbers.get("A").unwrap();
    plant.learn(node, MAC_A);
    plant.step(&store);
    (plant, store, node)
}

fn address(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn router(address: &str) -> Mac {
    virtual_mac::of(Kind::Router, Z, self::address(address))
}

fn frame(to: Mac, dst: &str, (protocol, ttl): (u8, u8), payload: &[u8]) -> Vec<u8> {
    let ip = ipv4::Header {
        tos: 0,
        total_len: 20 + payload.len() as u16,
        id: 1,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl,
        protocol,
        src: address(A),
        dst: address(dst),
        header_len: 20,
    };
    let mut frame = [to.0, MAC_A.0].concat();
    frame.extend([8, 0]);
    frame.extend(ip.bytes());
    frame.extend(payload);
    frame
}

/// The error about a refused frame: its router, type and code, and the TTL of
/// what it quotes.
fn told(why: Drop, to: Mac, dst: &str, ttl: u8) -> Option<(String, [u8; 2], u8)> {
    let (mut plant, store, node) = world();
    let sent = frame(to, dst, (17, ttl), &[0; 12]);
    let refused = Notice::Refused {
        why,
        node,
        mtu: 1400,
        packet: Buffer::new(&sent),
    };
    let mut replies = Replies::default();
    plant.notice(refused, &store, &mut replies);
    let (port, reply) = replies.frames.pop()?;
    assert!(replies.frames.is_empty());
    assert_eq!(port, 1);
    assert_eq!(reply[..6], MAC_A.0);
    assert_eq!(
        reply[6..12],
        router("10.0.1.1").0,
        "it comes by the gateway"
    );
    let header = ipv4::Header::parse(&reply[14..]).unwrap();
    assert_eq!(header.dst, address(A));
    assert_eq!(checksum::checksum(&reply[34..]), 0);
    let quoted = ipv4::Header::parse_unchecked(&reply[42..]).unwrap();
    assert_eq!(checksum::checksum(&reply[42..62]), 0);
    // As many hops back as there were.
    assert_eq!(header.ttl, 64 - (ttl - quoted.ttl));
    let kind = [reply[34], reply[35]];
    Some((header.src.to_string(), kind, quoted.ttl))
}

#[test]
fn errors_come_from_the_router_that_found_them() {
    let gateway = router("10.0.1.1");
    let by = |from: &str, kind, ttl| Some((from.to_owned(), kind, ttl));
    for (why, dst, ttl, expected) in [
        (Drop::TtlExceeded, "10.0.2.5", 1, by("10.0.1.1", [11, 0], 1)),
        (
            Drop::TtlExceeded,
            "10.0.2.5",
            2,
            by("10.0.255.2", [11, 0], 1),
        ),
        (
            Drop::NoMapping,
            "10.0.2.77",
            64,
            by("10.0.255.2", [3, 1], 63),
        ),
        (Drop::Denied, "10.0.2.5", 64, by("10.0.255.2", [3, 13], 63)),
        (Drop::TooBig, "10.0.2.5", 9, by("10.0.255.2", [3, 4], 8)),
        (Drop::NoRoute, "10.0.255.1", 9, by("10.0.1.1", [3, 0], 9)),
        (
            Drop::RouteProhibited,
            "192.0.2.1",
            9,
            by("10.0.1.1", [3, 13], 9),
        ),
        (Drop::NotBehind, "10.0.2.5", 3, by("10.0.255.2", [3, 1], 2)),
        // Nothing is said of what was for a whole subnet.
        (Drop::NoMapping, "10.0.2.255", 64, None),
        (Drop::NoMapping, "224.0.0.9", 64, None),
    ] {
        assert_eq!(told(why, gateway, dst, ttl), expected, "{why} {dst} {ttl}");
    }
    // To a neighbour: from the gateway as well.
    let neighbor = virtual_mac::of(Kind::Node, Z, address("10.0.1.77"));
    let direct = told(Drop::NoMapping, neighbor, "10.0.1.77", 64);
    assert_eq!(direct, by("10.0.1.1", [3, 1], 64));
    let all = virtual_mac::of(Kind::Node, Z, address("10.0.1.255"));
    assert_eq!(told(Drop::NoMapping, all, "10.0.1.255", 64), None);
}

/// What a frame for a router is answered with.
fn asked(plant: &mut Plant, store: &Store, node: NodeIndex, frame: &[u8]) -> Vec<Vec<u8>> {
    let punted = Punted {
        what: Punt::Router { node },
        port: 1,
        packet: Buffer::new(frame),
    };
    let mut replies = Replies::default();
    plant.answer(&punted, store, &mut replies);
    replies.frames.into_iter().map(|(_, frame)| frame).collect()
}

#[test]
fn every_interface_answers_pings() {
    let (mut plant, store, node) = world();
    let gateway = router("10.0.1.1");
    let mut ping = vec![8, 0, 0, 0, 0, 1, 0, 2];
    let sum = checksum::checksum(&ping);
    ping[2..4].copy_from_slice(&sum.to_be_bytes());
    for (dst, hops) in [
        ("10.0.1.1", 0),
        ("10.0.255.1", 0),
        ("10.0.255.2", 1),
        ("10.0.2.1", 1),
    ] {
        let frame = frame(gateway, dst, (1, 64), &ping);
        let replies = asked(&mut plant, &store, node, &frame);
        let [reply] = &replies[..] else {
            panic!("{dst}: {replies:?}");
        };
        assert_eq!(reply[..12], [MAC_A.0, gateway.0].concat());
        let header = ipv4::Header::parse(&reply[14..]).unwrap();
        assert_eq!((header.src, header.dst), (address(dst), address(A)));
        assert_eq!((header.ttl, reply[34]), (64 - hops, 0), "{dst}");
    }
    assert_eq!(plant.slow.router_answered, 4);
    // What its routes no longer lead to, and a router that is not near.
    let far = frame(gateway, "10.0.2.5", (1, 64), &ping);
    assert_eq!(asked(&mut plant, &store, node, &far), Vec::<Vec<u8>>::new());
    let other = frame(router("10.0.2.1"), "10.0.2.1", (1, 64), &ping);
    assert_eq!(
        asked(&mut plant, &store, node, &other),
        Vec::<Vec<u8>>::new()
    );
    let stamp = frame(
        gateway,
        "10.0.1.1",
        (1, 64),
        &[13, 0, 0xf2, 0xff, 0, 0, 0, 0],
    );
    assert_eq!(
        asked(&mut plant, &store, node, &stamp),
        Vec::<Vec<u8>>::new()
    );
    assert_eq!(plant.slow.router_ignored.iter().sum::<u64>(), 1);
}

/// An ARP request of A, and what stands in the answer.
fn arp(plant: &mut Plant, store: &Store, node: NodeIndex, target: &str) -> Option<Mac> {
    let mut frame = [Mac::BROADCAST.0, MAC_A.0].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(MAC_A.0);
    frame.extend(address(A).bytes());
    frame.extend([0; 6]);
    frame.extend(address(target).bytes());
    let punted = Punted {
        what: Punt::Arp { node },
        port: 1,
        packet: Buffer::new(&frame),
    };
    let mut replies = Replies::default();
    plant.answer(&punted, store, &mut replies);
    let (_, reply) = replies.frames.pop()?;
    Some(Mac(*reply[22..28].first_chunk()?))
}

#[test]
fn arp_tells_of_the_subnet_and_its_routers() {
    let (mut plant, store, node) = world();
    let mut arp = |target| arp(&mut plant, &store, node, target);
    assert_eq!(arp("10.0.1.1"), Some(router("10.0.1.1")));
    let neighbor = virtual_mac::of(Kind::Node, Z, address("10.0.1.3"));
    assert_eq!(arp("10.0.1.3"), Some(neighbor));
    // Nobody; a node and a router of other subnets.
    for target in ["10.0.1.77", "10.0.2.5", "10.0.255.1", "10.0.2.1"] {
        assert_eq!(arp(target), None, "{target}");
    }
}

#[test]
fn a_node_is_asked_for_its_mac_by_its_gateway() {
    let (mut plant, store, _) = world();
    let node = plant.numbers.get("C").unwrap();
    let miss = Notice::Miss {
        why: Drop::NodeMacUnknown,
        key: crate::mapping::Key::new(Z.0, address("10.0.2.5").0),
        node: Some(node),
    };
    let mut replies = Replies::default();
    plant.notice::<Buffer>(miss, &store, &mut replies);
    let [(2, request)] = &replies.frames[..] else {
        panic!("{replies:?}");
    };
    // A node believes what it is asked with.
    assert_eq!(request[22..28], router("10.0.2.1").0);
    assert_eq!(request[28..32], address("10.0.2.1").bytes());
}
