//! Layout `slot`: which bits packets bear beside the network id, and whom they
//! get to.
//!
//! A is in slot 3 of R, C in 4, Y's twin in 5; G is in slot 9 of S.

mod behind;
mod groups;

use std::net::Ipv6Addr;

use weft::datapath::outsider::{self, OutsiderRecord};
use weft::datapath::topology::PATHS;
use weft::datapath::trace::Stage;
use weft::datapath::watch::Filter;
use weft::datapath::{Drop, Punt};
use weft::mapping::{Mapping, SideIndex, Target};
use weft::model::{Eam, Mode};
use weft::siit::substrate_error;
use weft::wire::address::Prefix4;
use weft::wire::{Layout, Locator, Mark, Saddr, Vaddr, ipv6};

use super::common::frames::*;
use super::common::layouts::*;
use super::common::topology::*;
use super::common::{Host, Setup};

fn r() -> Setup {
    still(r_in(Layout::Slot))
}

fn s() -> Setup {
    still(s_in(Layout::Slot))
}

fn text(address: Saddr) -> String {
    Ipv6Addr::from(address).to_string()
}

fn ends(frame: &[u8]) -> [String; 2] {
    let (src, dst) = check_substrate_frame(frame, true);
    [text(src), text(dst)]
}

const A_AT_R: &str = "2001:db8:0:a:c5a:1:a00:2";
const G_AT_S: &str = "2001:db8:0:b:245a:1:a00:3";

/// What S sends to R, with these marks of G and of whom it is for.
fn came(from: Mark, to: Mark, dst: Vaddr) -> Vec<u8> {
    let payload = udp(G, dst, (5000, 4000), b"hello-onm").payload;
    let src = marked(locator_s(), from, Z, G);
    Ip6::new(src, marked(locator_r(), to, Z, dst), UDP, payload).to_r()
}

fn after_uplink(setup: Setup, frame: &[u8]) -> Host {
    let mut host = setup.start();
    host.send(UPLINK, frame);
    host.settle();
    host
}

#[test]
fn packets_bear_both_slots_and_come_out_as_they_were() {
    let packets = [
        udp(A, G, (4000, 5000), b"hello-onm"),
        tcp(A, G, (4000, 5000), b"hello-onm"),
        // Not plain.
        echo(A, G, 8, b"hello-onm"),
        Ip {
            options: vec![1; 4],
            ..udp(A, G, (4000, 5000), b"hello-onm")
        },
    ];
    for mode in [Mode::Siit, Mode::Transparent] {
        let moded = |setup| {
            with(setup, |topology| {
                topology.vnets.iter_mut().for_each(|vnet| vnet.mode = mode);
            })
        };
        let (mut r, mut s) = (moded(r()).start(), moded(s()).start());
        for ip in &packets {
            let sent = r.carry_to(PORT_A, &from_a(ip), UPLINK);
            let (src, dst) = check_substrate_frame(&sent, mode == Mode::Siit);
            assert_eq!([text(src), text(dst)], [A_AT_R, G_AT_S]);
            let got = s.carry_to(UPLINK, &sent, PORT_G);
            assert_eq!(got[..12], [MAC_G.0, virtual_mac(Z, A).0].concat());
            assert_eq!(got[34..], ip.payload[..], "checksums as they were");
            assert_eq!(internet_checksum(&got[14..34]), 0);
        }
        // And back.
        let sent = s.carry_to(PORT_G, &from_g(Z, &answer()), UPLINK);
        let got = r.carry_to(UPLINK, &sent, PORT_A);
        assert_eq!(got[34..], answer().payload[..]);
    }
}

#[test]
fn pieces_bear_both_slots() {
    let (mut r, mut s) = (r().start(), s().start());
    let ip = Ip {
        df: false,
        ..udp(A, G, (1, 2), &[7; 2000])
    };
    let out = r.carry(PORT_A, &from_a(&ip));
    assert_eq!(out.len(), 2);
    for (_, frame) in &out {
        assert_eq!(ends(frame), [A_AT_R, G_AT_S]);
        s.carry_to(UPLINK, frame, PORT_G);
    }
}

/// Without a flag a slot decides nothing: one that the sender's mapping does
/// not have, or that has changed, does no harm, and neither do checksums.
#[test]
fn without_a_flag_the_address_names_the_node() {
    let mut setup = r();
    setup.mappings.push((key(Z, G), remote(HOST_S)));
    let (mut r, mut s) = (setup.start(), s().start());
    let sent = r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    assert_eq!(ends(&sent), [A_AT_R, "2001:db8:0:b:5a:1:a00:3"]);
    let got = s.carry_to(UPLINK, &sent, PORT_G);
    assert_eq!(got[34..], hello().payload[..]);

    let mut r = self::r().start();
    for [from, to] in [[9, 3], [9, 0], [9, 4], [0, 3], [63, 63]] {
        let got = r.carry_to(UPLINK, &came(slot(from), slot(to), A), PORT_A);
        assert_eq!(got[34..], answer_to(A).payload[..], "{from} {to}");
    }
    // Not even of addresses that are nobody's.
    assert_eq!(r.carry(UPLINK, &came(slot(9), slot(3), NOBODY)), []);
    assert_eq!(r.drops(), [(Drop::NotLocal, 1)]);
}

fn answer_to(dst: Vaddr) -> Ip {
    udp(G, dst, (5000, 4000), b"hello-onm")
}

/// `came` is transparent; here checksums are to be adjusted.
#[test]
fn the_slot_wins_over_the_address() {
    let mut r = r().start();
    let label = label(64, true, 1);
    // An address of A's, of nobody's, and of C's own; all go to C, in slot 4.
    for dst in [A, NOBODY, C, OUTSIDE] {
        let src = marked(locator_s(), slot(9), Z, G);
        let to = marked(locator_r(), slot(4).forwarded(), Z, dst);
        let sent = answer_to(dst);
        let mut packet = Ip6::new(src, to, UDP, sent.payload.clone());
        packet.label = label;
        let sum = pseudo_delta(&packet, &sent);
        packet.payload[6..8].copy_from_slice(&sum.to_be_bytes());
        let got = r.carry_to(UPLINK, &packet.to_r(), PORT_C);
        let link = ethernet(MAC_C, virtual_mac(Z, G), Some(TAG_C), 0x0800, &[]);
        assert_eq!(got[..18], link);
        assert_eq!(got[34..38], dst.bytes());
        assert_eq!(got[38..], sent.payload[..], "{dst}");
    }
}

/// The checksum that a UDP datagram has over IPv6 addresses.
fn pseudo_delta(packet: &Ip6, sent: &Ip) -> u16 {
    let mut all = [packet.src, packet.dst].concat();
    all.extend((sent.payload.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, UDP]);
    all.extend(&sent.payload[..6]);
    all.extend([0, 0]);
    all.extend(&sent.payload[8..]);
    internet_checksum(&all)
}

#[test]
fn a_slot_is_no_way_into_another_vnet() {
    // The twin of Y is in slot 5, whatever address a packet of Z bears.
    for dst in [A, C, NOBODY] {
        let mut r = after_uplink(r(), &came(slot(9), slot(5).forwarded(), dst));
        assert_eq!(r.drops(), [(Drop::SlotVnet, 1)], "{dst}");
        assert_eq!(r.carry(UPLINK, &came(slot(9), slot(5), C)).len(), 1);
    }
}

#[test]
fn whoever_writes_to_what_was_behind_a_slot_is_told() {
    let frame = came(slot(9), slot(60).forwarded(), NOBODY);
    let gone = |expires| Mapping {
        expires,
        ..Mapping::new(Target::Gone)
    };
    let mut r = after_uplink(r().map(Z, NOBODY, gone(0)), &frame);
    let punted: Vec<_> = r.punted().iter().map(|it| it.what).collect();
    assert_eq!(punted, [Punt::Gone]);
    // And after a while it is nobody's.
    let mut setup = self::r().map(Z, NOBODY, gone(5)).start();
    setup.clock.advance(6000);
    assert_eq!(setup.carry(UPLINK, &frame), []);
    assert_eq!(setup.drops(), [(Drop::UnknownSlot, 1)]);
}

/// A further address of a node is its own: nothing is forwarded.
#[test]
fn further_addresses_are_marked_as_the_first() {
    let second = Vaddr(0x0a00_001e);
    let mut setup = with(r(), |topology| {
        let own = Prefix4 {
            address: second,
            len: 32,
        };
        topology.nodes[NODE_A.index()].prefixes.push(own);
    });
    setup.mappings.push((key(Z, second), local(NODE_A)));
    let mut r = setup.start();
    let sent = r.carry_to(PORT_A, &from_a(&udp(second, G, (1, 2), b"")), UPLINK);
    assert_eq!(ends(&sent)[0], "2001:db8:0:a:c5a:1:a00:1e");
    r.carry_to(UPLINK, &came(slot(9), slot(3), second), PORT_A);
}

/// Routers of the substrate quote what they saw; the node is told what it sent.
#[test]
fn errors_of_the_substrate_are_understood() {
    let mut r = r().start();
    let ip = udp(A, G, (4000, 5000), &[7; 1400]);
    let sent = r.carry_to(PORT_A, &from_a(&ip), UPLINK);
    let mut message = vec![2, 0, 0, 0];
    message.extend(1400u32.to_be_bytes());
    message.extend(&sent[14..14 + 1200]);
    let router: Ipv6Addr = "2001:db8:ffff::1".parse().expect("literal");
    let mut error = Ip6::new(
        router.octets(),
        sent[22..38].try_into().expect("16"),
        58,
        message,
    );
    error.label = 0;
    let mut all = [error.src, error.dst].concat();
    all.extend((error.payload.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, 58]);
    all.extend(&error.payload);
    let sum = internet_checksum(&all);
    error.payload[2..4].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(r.carry(UPLINK, &error.to_r()), []);
    let punted: Vec<_> = r.punted().iter().map(|it| it.what).collect();
    assert_eq!(punted, [Punt::SubstrateError]);
    let bytes = error.bytes();
    let outer = ipv6::Header::parse_quoted(&bytes).expect("a header");
    let own: Locator = locator(Layout::Slot, locator_r());
    let read = substrate_error::read(&outer, &bytes[40..], Layout::Slot, &own);
    let read = read.expect("an error about a packet of ours");
    assert_eq!((read.vni, read.src, read.dst), (Z, A, G));
    assert_eq!(read.quote()[20..], ip.payload[..read.quote().len() - 20]);
}

/// Hosts of different layouts do not understand each other, and nothing gets
/// to a wrong node.
#[test]
fn hosts_of_another_layout_are_strangers() {
    let sent = s().start().carry_to(PORT_G, &from_g(Z, &answer()), UPLINK);
    // The slots are part of the network ids, which so differ.
    let mut r = r_in(Layout::P64).start();
    assert_eq!(r.carry(UPLINK, &sent), []);
    assert_eq!(r.drops(), [(Drop::Denied, 1)]);
    // They are part of the locator, which is nobody's.
    let mut r = r_in(Layout::P72).start();
    assert_eq!(r.carry(UPLINK, &sent), []);
    assert_eq!(r.drops(), [(Drop::NotForUs, 1)]);
    // What p72 has in its locators is flags here: 1 is a group of R's.
    let mut s72 = setup_s().start();
    let sent = s72.carry_to(PORT_G, &from_g(Z, &answer()), UPLINK);
    let mut r = self::r().start();
    assert_eq!(r.carry(UPLINK, &sent), []);
    assert_eq!(r.drops(), [(Drop::GroupBit, 1)]);
    // p64 has nothing there: only slots and flags tell them apart.
    let mut s64 = s_in(Layout::P64).start();
    let sent = s64.carry_to(PORT_G, &from_g(Z, &answer()), UPLINK);
    r.carry_to(UPLINK, &sent, PORT_A);
}

#[test]
fn a_trace_tells_slots() {
    let watched = with(r(), |topology| topology.watch = vec![Filter::default()]);
    let mut r = watched.start();
    let mut resolved = |port, frame: &[u8]| {
        r.carry(port, frame);
        let record = r.control[0].trace.pop().expect("a record");
        let mut steps = record.steps();
        let step = steps.find(|(stage, _)| *stage == Stage::Resolve);
        step.map_or(String::new(), |(_, verdict)| verdict.to_owned())
    };
    assert_eq!(
        resolved(PORT_A, &from_a(&hello())),
        "host S 2001:db8:0:b::/64, slot 9"
    );
    assert_eq!(
        resolved(UPLINK, &came(slot(9), slot(3), A)),
        "node A (vnet Z)"
    );
    assert_eq!(
        resolved(UPLINK, &came(slot(9), slot(4).forwarded(), A)),
        "node C (vnet Z), which is in slot 4"
    );
    let unknown = resolved(UPLINK, &came(slot(9), slot(60).forwarded(), A));
    assert!(
        unknown.starts_with("drop unknown_slot: No node"),
        "{unknown}"
    );
}

/// To a system that no host of ours manages a node has its slot as well, and
/// is found whatever slot it is answered at.
#[test]
fn outsiders_know_nodes_by_their_slots() {
    let address = Vaddr(0x0a00_00c8);
    let ipv6: Ipv6Addr = "2001:db8:0:77::9".parse().expect("literal");
    let index = SideIndex::new(0).expect("small");
    let setup = r().map(Z, address, Mapping::new(Target::Side(index)));
    let mut r = with(setup, |topology| {
        let ipv4 = Prefix4 { address, len: 32 };
        let eam = Eam {
            ipv4,
            ipv6: Locator::new(ipv6, 128).expect("an address"),
        };
        let record = OutsiderRecord {
            name: "storage".to_owned(),
            vni: Z,
            prefix: ipv4,
            nodes: None,
            rules: outsider::rules(MTU, MTU),
            paths: [0; PATHS],
        };
        topology.outsiders.add((index, eam), record);
    })
    .start();
    let sent = Ip {
        ttl: 65,
        ..udp(A, address, (1, 2), b"to storage")
    };
    let out = r.carry_to(PORT_A, &from_a(&sent), UPLINK);
    assert_eq!(ends(&out), [A_AT_R.to_owned(), ipv6.to_string()]);
    for mark in [slot(3), slot(0)] {
        let answer = udp(address, A, (2, 1), b"from storage");
        let to = marked(locator_r(), mark, Z, A);
        let mut packet = Ip6::new(ipv6.octets(), to, UDP, answer.payload.clone());
        packet.label = 0;
        let sum = pseudo_delta(&packet, &answer);
        packet.payload[6..8].copy_from_slice(&sum.to_be_bytes());
        let got = r.carry_to(UPLINK, &packet.to_r(), PORT_A);
        assert_eq!(got[34..], answer.payload[..]);
    }
    assert_eq!(r.drops(), []);
}

type Case = (Drop, fn() -> Host);

/// The layout's own reasons.
pub(crate) const CASES: &[Case] = &[
    (Drop::UnknownSlot, || {
        after_uplink(r(), &came(slot(9), slot(60).forwarded(), A))
    }),
    (Drop::SlotVnet, || {
        after_uplink(r(), &came(slot(9), slot(5).forwarded(), A))
    }),
    (Drop::GroupBit, || {
        after_uplink(r(), &came(slot(9), Mark::GROUP, A))
    }),
];

#[test]
fn every_reason_of_the_layout_has_a_packet() {
    for (why, produce) in CASES {
        assert_eq!(produce().drops(), [(*why, 1)]);
    }
}
