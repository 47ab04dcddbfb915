//! The relay's walks on packets in memory. What the RFCs demand of single
//! packets is `tests/rfc7915`; here it is what the walks add.

mod bursts;

use proptest::prelude::*;

use super::*;
use crate::datapath::topology::{Hop, PortRecord, RelayRecord};
use crate::datapath::translate::{Cut, Side, Whose};
use crate::datapath::{FreshIds, Outcome, Punt, Snapshot, Topology, trace};
use crate::mapping::{Domain, Limits, Writer};
use crate::model::{Eam, IcmpRate, Role};
use crate::packet::Buffer;
use crate::siit::address_map::{AddressMap, AddressRules};
use crate::siit::rfc6052::Pool6;
use crate::siit::rfc7757::Eams;
use crate::siit::rfc7915::{self, ClassRule, Done, Hairpin, Rules, UdpZero};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Mac, Saddr, Vaddr, checksum, ipv4, ipv6, protocol};

const OURS4: Mac = Mac([2, 0, 0, 0, 0, 4]);
const OURS6: Mac = Mac([2, 0, 0, 0, 0, 6]);
const ROUTER4: Mac = Mac([2, 0, 0, 0, 1, 4]);
const ROUTER6: Mac = Mac([2, 0, 0, 0, 1, 6]);

fn vaddr(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn saddr(text: &str) -> Saddr {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

fn rules() -> Rules {
    Rules {
        traffic_class: ClassRule::Copy,
        tos: ClassRule::Copy,
        udp_zero: UdpZero::Compute,
        hairpin: Hairpin::Intrinsic,
        mtu4: 1500,
        mtu6: 1500,
        lowest_ipv6_mtu: 1280,
        mtu_plateaus: vec![65535, 1492, 1006, 508, 296, 68],
        error_source_extension: false,
    }
}

fn hop(port: u16, mac: Mac, ours: Mac, ethertype: u16) -> Hop {
    let link = ethernet::Header {
        destination: mac,
        source: ours,
        vlan: None,
        ethertype,
        len: 0,
    };
    Hop::new(port, std::net::Ipv6Addr::LOCALHOST, &link)
}

/// 198.51.100.1 and .2 are 2001:db8:beef::1 and ::2; all else is behind
/// 2001:db8:64::/96.
fn relay(rules: Rules) -> RelayRecord {
    let eam = |last: u8| Eam {
        ipv4: format!("198.51.100.{last}").parse().unwrap(),
        ipv6: format!("2001:db8:beef::{last}/128").parse().unwrap(),
    };
    let address_rules = AddressRules {
        pool6: Some(Pool6::new("2001:db8:64::/96".parse().unwrap()).unwrap()),
        own4: Some(vaddr("192.0.2.1")),
        own6: Some(saddr("2001:db8:6::1")),
        ..AddressRules::default()
    };
    RelayRecord {
        uncut6: rules.lowest_ipv6_mtu.min(rules.mtu6),
        rules,
        addresses: AddressMap::new(&address_rules, Eams::build(16, [eam(1), eam(2)]).unwrap()),
        own4: vaddr("192.0.2.1"),
        broadcast4: vaddr("192.0.2.255"),
        hop4: Some(hop(0, ROUTER4, OURS4, ethertype::IPV4)),
        hop6: Some(hop(1, ROUTER6, OURS6, ethertype::IPV6)),
        icmp_rate: IcmpRate::Unlimited,
    }
}

fn port(role: Role, mac: Mac, own: Vec<Saddr>) -> PortRecord {
    PortRecord {
        name: format!("{role:?}"),
        role,
        mac,
        vlan: None,
        own,
        groups: vec![saddr("ff02::1")],
        mtu: 1500,
        exception: None,
        nd_proxy: false,
        nodes: Default::default(),
    }
}

fn topology(relay: RelayRecord) -> Snapshot {
    parts(relay).into()
}

fn parts(relay: RelayRecord) -> Topology {
    Topology {
        ports: vec![
            port(Role::Relay4, OURS4, Vec::new()),
            port(Role::Relay6, OURS6, vec![saddr("2001:db8:6::1")]),
        ],
        relay: Some(Box::new(relay)),
        ..Topology::default()
    }
}

type End = (Result<Outcome, Exit>, Vec<u8>);

/// A burst through the walk of its port: frames, each with the tag that the
/// device took off.
fn walk_burst(
    topology: &Snapshot,
    port: u16,
    frames: &[(Vec<u8>, u16)],
    tracer: &mut impl Tracer,
) -> Vec<End> {
    let domain = Domain::default();
    let writer = Writer::new(&domain, Limits::default()).unwrap();
    let reader = writer.readers().reader();
    let cx = Context {
        topology,
        mappings: &reader,
        pin: &domain.register().unwrap(),
        seconds: 0,
        fresh: FreshIds::new(0, 1),
    };
    let mut packets: Vec<_> = frames.iter().map(|it| Buffer::new(&it.0)).collect();
    let metas: Vec<_> = frames
        .iter()
        .map(|it| Meta {
            port,
            vlan: it.1,
            ..Meta::default()
        })
        .collect();
    let results = match port {
        0 => to_ipv6(&cx, &mut packets, &metas, tracer),
        _ => to_ipv4(&cx, &mut packets, &metas, tracer),
    };
    let end = |(i, packet): (usize, &Buffer)| (results.get(i), packet.frame().to_vec());
    packets.iter().enumerate().map(end).collect()
}

/// One frame through the walk of its port.
fn walk(topology: &Snapshot, port: u16, frame: &[u8]) -> End {
    let frames = [(frame.to_vec(), 0)];
    walk_burst(topology, port, &frames, &mut trace::Off).remove(0)
}

fn frame4(payload: &[u8]) -> Vec<u8> {
    frame(OURS4, ROUTER4, ethertype::IPV4, payload)
}

fn frame6(payload: &[u8]) -> Vec<u8> {
    frame(OURS6, ROUTER6, ethertype::IPV6, payload)
}

fn frame(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&to.0[..], &from.0].concat();
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A packet with a transport checksum that is right, or not.
fn packet4(protocol: u8, df: bool, ttl: u8, body: &[u8], wrong: u16) -> Vec<u8> {
    let (src, dst) = (vaddr("203.0.113.9"), vaddr("198.51.100.1"));
    let header = ipv4::Header {
        tos: 0xb9,
        total_len: (ipv4::HEADER_LEN + body.len()) as u16,
        id: 7,
        reserved: false,
        df,
        mf: false,
        offset: 0,
        ttl,
        protocol,
        src,
        dst,
        header_len: ipv4::HEADER_LEN as u8,
    };
    let mut packet = header.bytes().to_vec();
    let pseudo = u64::from(src.0) + u64::from(dst.0);
    packet.extend(sealed(protocol, body, pseudo, wrong));
    packet
}

fn packet6(next_header: u8, hop_limit: u8, body: &[u8], wrong: u16) -> Vec<u8> {
    let (src, dst) = (saddr("2001:db8:beef::1"), saddr("2001:db8:64::203.0.113.9"));
    let header = ipv6::Header {
        traffic_class: 0xb9,
        flow_label: 0x12345,
        payload_len: body.len() as u16,
        next_header,
        hop_limit,
        src,
        dst,
    };
    let mut packet = header.bytes().to_vec();
    let pseudo = checksum::sum(&src) + checksum::sum(&dst);
    packet.extend(sealed(next_header, body, pseudo, wrong));
    packet
}

fn sealed(protocol: u8, body: &[u8], pseudo: u64, wrong: u16) -> Vec<u8> {
    let mut body = body.to_vec();
    let at = match protocol {
        protocol::TCP => 16,
        protocol::UDP => 6,
        _ => return body,
    };
    if let Some(field) = body.get_mut(at..at + 2) {
        field.fill(0);
        let sum = pseudo + checksum::sum(&body) + body.len() as u64 + u64::from(protocol);
        let sum = (!checksum::fold(sum)).wrapping_add(wrong);
        body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    body
}

/// What the engine makes of a packet, as a frame.
fn by_engine(relay: &RelayRecord, port: u16, packet: &[u8]) -> Option<Vec<u8>> {
    let engine = relay.engine(0, false);
    let (done, link) = match port {
        0 => (
            rfc7915::to_ipv6(packet, &engine),
            (ROUTER6, OURS6, ethertype::IPV6),
        ),
        _ => (
            rfc7915::to_ipv4(packet, &engine),
            (ROUTER4, OURS4, ethertype::IPV4),
        ),
    };
    let Ok(Done::Whole(translated)) = done else {
        return None;
    };
    let rest = &packet[translated.rest.clone()];
    Some(frame(
        link.0,
        link.1,
        link.2,
        &[&translated.head, rest].concat(),
    ))
}

proptest! {
    /// The path of plain packets and the engine are two ways of the same
    /// thing.
    #[test]
    fn plain_packets_are_what_the_engine_makes(
        protocol in prop_oneof![Just(protocol::TCP), Just(protocol::UDP), Just(protocol::SCTP)],
        df: bool,
        ttl in 1u8..,
        body in proptest::collection::vec(any::<u8>(), 0..1600),
        wrong in prop_oneof![Just(0), any::<u16>()],
        padding in 0usize..40,
    ) {
        let topology = topology(relay(rules()));
        let relay = topology.relay().unwrap();
        for (port, packet) in [
            (0, packet4(protocol, df, ttl, &body, wrong)),
            (1, packet6(protocol, ttl, &body, wrong)),
        ] {
            let mut frame = if port == 0 { frame4(&packet) } else { frame6(&packet) };
            frame.resize(frame.len() + padding, 0);
            let (end, out) = walk(&topology, port, &frame);
            match by_engine(relay, port, &packet) {
                Some(expected) => {
                    prop_assert_eq!(end, Ok(Outcome::Send { port: 1 - port, options_removed: false }));
                    prop_assert_eq!(out, expected);
                }
                None => prop_assert!(!matches!(end, Ok(Outcome::Send { .. })), "{:?}", end),
            }
        }
    }
}

fn tagged_hop(port: u16, vlan: u16, ethertype: u16) -> Hop {
    let link = ethernet::Header {
        destination: ROUTER6,
        source: OURS6,
        vlan: Some(vlan),
        ethertype,
        len: 0,
    };
    Hop::new(port, std::net::Ipv6Addr::LOCALHOST, &link)
}

fn udp(payload: usize) -> Vec<u8> {
    let len = (8 + payload) as u16;
    let mut body = [1000u16, 2000, len, 0].map(u16::to_be_bytes).concat();
    body.resize(8 + payload, 0x5a);
    body
}

#[test]
fn what_is_for_the_relay_is_for_control() {
    let topology = topology(relay(rules()));
    let mut to_itself = packet4(protocol::UDP, true, 64, &udp(8), 0);
    to_itself[16..20].copy_from_slice(&[192, 0, 2, 1]);
    to_itself[10..12].fill(0);
    let sum = checksum::checksum(&to_itself[..20]).to_be_bytes();
    to_itself[10..12].copy_from_slice(&sum);
    let punt = Err(Exit::Punt(Punt::Relay));
    assert_eq!(walk(&topology, 0, &frame4(&to_itself)).0, punt);
    let arp = frame(Mac::BROADCAST, ROUTER4, ethertype::ARP, &[0; 28]);
    assert_eq!(walk(&topology, 0, &arp).0, punt);
    let mut solicited = packet6(protocol::ICMPV6, 255, &[135, 0, 0, 0, 0, 0, 0, 0], 0);
    solicited[24..40].copy_from_slice(&saddr("ff02::1"));
    let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let frame = frame(group, ROUTER6, ethertype::IPV6, &solicited);
    assert_eq!(walk(&topology, 1, &frame).0, punt);
}

#[test]
fn frames_of_others_are_dropped_by_name() {
    let topology = topology(relay(rules()));
    let packet = packet4(protocol::UDP, true, 64, &udp(8), 0);
    let end = |to, kind| walk(&topology, 0, &frame(to, ROUTER4, kind, &packet)).0;
    assert_eq!(end(ROUTER6, ethertype::IPV4), Err(Drop::WrongMac.into()));
    assert_eq!(
        end(Mac::BROADCAST, ethertype::IPV4),
        Err(Drop::Broadcast.into())
    );
    assert_eq!(end(OURS4, ethertype::IPV6), Err(Drop::EthertypeIpv6.into()));
    assert_eq!(end(OURS4, ethertype::LLDP), Err(Drop::EthertypeLldp.into()));
    let tagged = [&[0, 7, 8, 0][..], &packet].concat();
    let end = walk(
        &topology,
        0,
        &frame(OURS4, ROUTER4, ethertype::VLAN, &tagged),
    )
    .0;
    assert_eq!(end, Err(Drop::WrongVlan.into()));
    let packet = packet6(protocol::UDP, 64, &udp(8), 0);
    let end = |to, kind| walk(&topology, 1, &frame(to, ROUTER6, kind, &packet)).0;
    assert_eq!(end(ROUTER4, ethertype::IPV6), Err(Drop::WrongMac.into()));
    assert_eq!(
        end(OURS6, ethertype::IPV4),
        Err(Drop::EthertypeOther.into())
    );
}

#[test]
fn nothing_leaves_without_a_next_hop() {
    let topology = topology(RelayRecord {
        hop4: None,
        hop6: None,
        ..relay(rules())
    });
    let told = |kind, code| {
        let reply = rfc7915::Reply {
            kind,
            code,
            word: 0,
        };
        Err(Exit::Tell {
            why: Drop::NoNeighbor,
            reply: Some(reply),
        })
    };
    let packet = packet4(protocol::UDP, true, 64, &udp(8), 0);
    assert_eq!(walk(&topology, 0, &frame4(&packet)).0, told(3, 1));
    let packet = packet6(protocol::UDP, 64, &udp(8), 0);
    assert_eq!(walk(&topology, 1, &frame6(&packet)).0, told(1, 3));
}

#[test]
fn what_is_too_big_is_cut_or_refused() {
    let topology = topology(relay(rules()));
    let cut = |from, l3| Cut {
        from,
        l3,
        id: 0,
        hairpinned: false,
        whose: Whose::Relay,
    };
    let packet = packet4(protocol::UDP, false, 64, &udp(1400), 0);
    assert_eq!(
        walk(&topology, 0, &frame4(&packet)).0,
        Ok(Outcome::Cut(cut(Side::Ipv4, 14)))
    );
    let packet = packet4(protocol::UDP, true, 64, &udp(1480), 0);
    let Err(Exit::Tell {
        why,
        reply: Some(reply),
    }) = walk(&topology, 0, &frame4(&packet)).0
    else {
        panic!("not told");
    };
    assert_eq!(
        (why, reply.kind, reply.code, reply.word),
        (Drop::TooBig, 3, 4, 1480)
    );
}

#[test]
fn tags_of_either_side_come_off_and_on() {
    let mut topology = parts(RelayRecord {
        hop4: Some(tagged_hop(0, 7, ethertype::IPV4)),
        hop6: Some(tagged_hop(1, 9, ethertype::IPV6)),
        ..relay(rules())
    });
    (topology.ports[0].vlan, topology.ports[1].vlan) = (Some(7), Some(9));
    let topology = Snapshot::from(topology);
    let packet = packet4(protocol::UDP, true, 64, &udp(8), 0);
    let bare = walk(&topology, 0, &frame4(&packet)).0;
    assert_eq!(bare, Err(Drop::WrongVlan.into()));
    let inside = [&[0, 7, 8, 0][..], &packet].concat();
    let arrived = frame(OURS4, ROUTER4, ethertype::VLAN, &inside);
    let (end, out) = walk(&topology, 0, &arrived);
    assert!(matches!(end, Ok(Outcome::Send { port: 1, .. })), "{end:?}");
    assert_eq!(out[12..18], [0x81, 0, 0, 9, 0x86, 0xdd]);
    // An answer of a kind that goes through the engine: an echo.
    let mut echo = vec![129, 0, 0, 0, 0, 1, 0, 1];
    let packet = packet6(protocol::ICMPV6, 64, &echo, 0);
    let sum = checksum::sum(&packet[8..40]) + checksum::sum(&echo) + 8 + 58;
    echo[2..4].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    let packet = packet6(protocol::ICMPV6, 64, &echo, 0);
    let inside = [&[0, 9, 0x86, 0xdd][..], &packet].concat();
    let arrived = frame(OURS6, ROUTER6, ethertype::VLAN, &inside);
    let (end, out) = walk(&topology, 1, &arrived);
    assert!(matches!(end, Ok(Outcome::Send { port: 0, .. })), "{end:?}");
    assert_eq!(out[12..18], [0x81, 0, 0, 7, 8, 0]);
    assert_eq!(checksum::checksum(&out[38..]), 0, "an ICMP message");
}

#[test]
fn a_hairpin_is_turned_around() {
    let topology = topology(relay(rules()));
    let mut packet = packet6(protocol::UDP, 64, &udp(8), 0);
    packet[24..40].copy_from_slice(&saddr("2001:db8:64::198.51.100.2"));
    let body = packet.split_off(40);
    let pseudo = checksum::sum(&packet[8..40]);
    packet.extend(sealed(protocol::UDP, &body, pseudo, 0));
    let (end, out) = walk(&topology, 1, &frame6(&packet));
    assert_eq!(
        end,
        Ok(Outcome::Send {
            port: 1,
            options_removed: false
        })
    );
    let header = ipv6::Header::parse(&out[14..]).unwrap();
    assert_eq!(header.src, saddr("2001:db8:64::198.51.100.1"));
    assert_eq!(header.dst, saddr("2001:db8:beef::2"));
    assert_eq!(header.hop_limit, 63, "spent once");
    let sum = checksum::sum(&out[22..54]) + checksum::sum(&out[54..]) + 16 + 17;
    assert_eq!(checksum::fold(sum), 0xffff, "checksum right");
}
