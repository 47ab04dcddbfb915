//! Packets to several by groups of the substrate: one packet, whoever listens.
//!
//! In Z, A, C and E of R and G of S have joined 239.1.2.3, and both hosts listen
//! to what that is on the substrate.

use std::sync::Arc;

use weft::datapath::fan::{Fans, Members, Native};
use weft::datapath::topology::{Hop, HostRecord, PATHS};
use weft::datapath::{Drop, Punt};
use weft::mapping::NodeIndex;
use weft::wire::ethernet::{self as link, ethertype};
use weft::wire::{Layout, Mac, Saddr, Vaddr, checksum, native};

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup, across};
use super::groups::{
    DIRECTED, EVERYBODY, GROUP, a_sends, a_to_group, fans, generated, members, ports, spoken,
    with_fans,
};

/// What the group is on the substrate, by the letter.
const GROUP6: &str = "ff15::5a:1:ef01:203";
const GROUP6_MAC: Mac = Mac([0x33, 0x33, 0xef, 1, 2, 3]);
const DIRECTED6: &str = "ff36::5a:1:a00:ff";
const EVERYBODY6: &str = "ff36::5a:1:ffff:ffff";

fn address(text: &str) -> Saddr {
    let address: std::net::Ipv6Addr = text.parse().expect("literal");
    address.octets()
}

fn listeners(some: Vaddr, mtu: u16, path: u16) -> HostRecord {
    let locator = native::prefix(Layout::P72, some);
    HostRecord {
        name: String::new(),
        checksum_part: checksum::fold(checksum::sum(&locator.bits().to_be_bytes())),
        locator,
        mtu,
        paths: [path; PATHS],
    }
}

/// Lets the substrate carry groups, by the only uplink.
fn natively(mut setup: Setup, own: Mac, heard: &[&str]) -> Setup {
    let topology = &mut setup.topology;
    let path = topology.hops.len() as u16;
    let header = link::Header {
        destination: Mac([0x33, 0x33, 0, 0, 0, 0]),
        source: own,
        vlan: None,
        ethertype: ethertype::IPV6,
        len: 0,
    };
    let nobody = std::net::Ipv6Addr::UNSPECIFIED;
    topology.hops.push(Hop::new(UPLINK, nobody, &header));
    topology.native = Some(Box::new(Native {
        port: Some(UPLINK),
        near: listeners(EVERYBODY, MTU, path),
        far: listeners(GROUP, MTU, path),
        heard: Arc::new(heard.iter().map(|group| address(group)).collect()),
    }));
    setup
}

fn world(setup: Setup, nodes: &[NodeIndex], own: Mac) -> Setup {
    let here = members(&[], nodes);
    let setup = with_fans(still(setup), fans(here.clone(), here));
    natively(setup, own, &[GROUP6, DIRECTED6, EVERYBODY6])
}

fn r() -> Setup {
    world(setup_r(), &[NODE_A, NODE_C, NODE_E], MAC_R)
}

fn s() -> Setup {
    world(setup_s(), &[NODE_G], MAC_S)
}

/// A's packet as R has sent it to the group, for R: from a node of S.
fn from_s(src: Vaddr, group: &str, mac: Mac) -> Vec<u8> {
    let payload = spoken(src, GROUP).payload;
    let ip = Ip6::new(saddr(&locator_s(), Z, src), address(group), UDP, payload);
    ethernet(mac, MAC_S, None, 0x86dd, &ip.bytes())
}

fn sent(host: &Host) -> u64 {
    host.sum(|counters| counters.native_sent.get())
}

fn received(host: &Host) -> u64 {
    host.sum(|counters| counters.native_received.get())
}

#[test]
fn one_packet_goes_to_all_who_listen() {
    let (mut r, mut s) = (r().start(), s().start());
    let said = spoken(A, GROUP);
    r.send(PORT_A, &a_to_group());
    r.settle();
    let out = r.all();
    assert_eq!(ports(&out), [UPLINK, PORT_C, TRUNK]);
    let frame = &out[0].1;
    assert_eq!(frame[..6], GROUP6_MAC.0);
    assert_eq!(frame[6..12], MAC_R.0);
    let ends = check_substrate_frame(frame, true);
    assert_eq!(ends, (saddr(&locator_r(), Z, A), address(GROUP6)));
    assert_eq!((sent(&r), generated(&r)), (1, 2));
    assert_eq!(r.sum(|counters| counters.replicated.get()), 3);
    // There it is for the members, as A has sent it.
    s.send(UPLINK, frame);
    s.settle();
    let got = s.all();
    assert_eq!(ports(&got), [PORT_G]);
    let head = ethernet(
        Mac([1, 0, 0x5e, 1, 2, 3]),
        virtual_mac(Z, A),
        None,
        0x0800,
        &[],
    );
    assert_eq!(got[0].1[..14], head);
    assert_eq!(got[0].1[26..], said.bytes()[12..]);
    assert_eq!((received(&s), sent(&s)), (1, 0), "it goes no further");
    assert_eq!((r.drops(), s.drops()), (vec![], vec![]));
}

#[test]
fn broadcasts_have_groups_too() {
    let (mut r, mut s) = (r().start(), s().start());
    for (dst, group) in [(EVERYBODY, EVERYBODY6), (DIRECTED, DIRECTED6)] {
        r.send(PORT_A, &a_sends(Mac::BROADCAST, &spoken(A, dst)));
        r.settle();
        let frames = r.drain(UPLINK);
        assert_eq!(frames.len(), 1);
        let [a, b, c, d] = dst.bytes();
        assert_eq!(frames[0][..6], [0x33, 0x33, a, b, c, d]);
        assert_eq!(check_substrate_frame(&frames[0], true).1, address(group));
        s.send(UPLINK, &frames[0]);
        s.settle();
        let got = s.all();
        assert_eq!(ports(&got), [PORT_G]);
        assert_eq!(got[0].1[..6], Mac::BROADCAST.0);
        assert_eq!(got[0].1[30..34], dst.bytes());
        assert_eq!(ports(&r.all()), [PORT_C, TRUNK]);
    }
    assert_eq!((r.drops(), s.drops()), (vec![], vec![]));
}

/// Who else listens is not known, so it is sent even if nobody here does.
#[test]
fn a_group_that_nobody_here_has_joined_is_sent_all_the_same() {
    let mut r = natively(with_fans(still(setup_r()), Fans::default()), MAC_R, &[]).start();
    let out = r.carry(PORT_A, &a_to_group());
    assert_eq!(ports(&out), [UPLINK]);
    assert_eq!(check_substrate_frame(&out[0].1, true).1, address(GROUP6));
    assert_eq!((r.drops(), generated(&r)), (vec![], 0));
    // A vnet that carries no broadcasts does not by groups either.
    let everybody = a_sends(Mac::BROADCAST, &spoken(A, EVERYBODY));
    assert_eq!(r.carry(PORT_A, &everybody), []);
    assert_eq!(r.drops(), [(Drop::Broadcast, 1)]);
}

#[test]
fn withheld_groups_stay() {
    let mut r = r().start();
    let mdns = a_sends(Mac([1, 0, 0x5e, 0, 0, 251]), &spoken(A, Vaddr(0xe000_00fb)));
    assert_eq!(r.carry(PORT_A, &mdns), []);
    assert_eq!(r.drops(), [(Drop::GroupWithheld, 1)]);
}

#[test]
fn hosts_that_do_not_listen_get_copies() {
    let group = members(&[HOST_T], &[NODE_C]);
    let setup = with_fans(still(setup_r()), fans(group, Members::default()));
    let mut r = natively(setup, MAC_R, &[GROUP6]).start();
    let out = r.carry(PORT_A, &a_to_group());
    assert_eq!(ports(&out), [UPLINK, UPLINK, PORT_C]);
    let to: Vec<_> = out[..2]
        .iter()
        .map(|(_, frame)| check_substrate_frame(frame, true).1)
        .collect();
    assert_eq!(to, [address(GROUP6), saddr(&locator_t(), Z, GROUP)]);
    // And what others copy to this host is taken as ever.
    let ip = Ip6::new(
        saddr(&locator_s(), Z, G),
        saddr(&locator_r(), Z, GROUP),
        UDP,
        spoken(G, GROUP).payload,
    );
    assert_eq!(ports(&r.carry(UPLINK, &ip.to_r())), [PORT_C]);
    assert_eq!(received(&r), 0);
}

#[test]
fn sources_are_checked_as_ever_and_nothing_comes_back() {
    let mut r = r().start();
    let good = from_s(G, GROUP6, GROUP6_MAC);
    assert_eq!(ports(&r.carry(UPLINK, &good)), [PORT_A, PORT_C, TRUNK]);
    // Of a node that is somewhere else, of nobody, of another vnet, and its own.
    for src in [
        saddr(&locator_s(), Z, A),
        saddr(&locator_s(), Z, NOBODY),
        saddr(&locator_s(), Y, G),
        saddr(&locator_r(), Z, A),
    ] {
        let ip = Ip6::new(src, address(GROUP6), UDP, spoken(G, GROUP).payload);
        let frame = ethernet(GROUP6_MAC, MAC_S, None, 0x86dd, &ip.bytes());
        assert_eq!(r.carry(UPLINK, &frame), []);
    }
    let drops = r.drops();
    let expected = [
        (Drop::Denied, 1),
        (Drop::ForgedSource, 2),
        (Drop::SourceUnknown, 1),
    ];
    assert_eq!(drops, expected);
}

#[test]
fn mld_at_a_group_is_for_the_host() {
    let mut r = r().start();
    let mut query = Ip6::new(address("fe80::1"), address(GROUP6), 0, vec![58, 0, 5, 2]);
    query.payload.extend([0, 0, 1, 0, 130, 0, 0, 0]);
    let frame = ethernet(GROUP6_MAC, MAC_S, None, 0x86dd, &query.bytes());
    assert_eq!(r.carry(UPLINK, &frame), []);
    let punted: Vec<_> = r.punted().iter().map(|it| it.what).collect();
    assert_eq!(punted, [Punt::Substrate]);
}

#[test]
fn what_is_too_big_is_cut_or_dropped_and_nobody_told() {
    let mut setup = r();
    if let Some(native) = &mut setup.topology.native {
        native.far.mtu = 1400;
    }
    let (mut r, mut s) = (setup.start(), s().start());
    let ip = udp(A, GROUP, (1, 2), &[7; 1400]);
    let group_mac = Mac([1, 0, 0x5e, 1, 2, 3]);
    assert_eq!(
        ports(&r.carry(PORT_A, &a_sends(group_mac, &ip))),
        [PORT_C, TRUNK]
    );
    assert_eq!(r.drops(), [(Drop::TooBig, 1)]);
    assert!(r.notices().is_empty());
    r.send(PORT_A, &a_sends(group_mac, &Ip { df: false, ..ip }));
    r.settle();
    let pieces = r.drain(UPLINK);
    assert_eq!(pieces.len(), 2);
    for piece in &pieces {
        assert!(piece.len() <= 14 + 1400);
        assert_eq!(piece[..6], GROUP6_MAC.0);
        assert_eq!(check_substrate_frame(piece, true).1, address(GROUP6));
        s.send(UPLINK, piece);
    }
    s.settle();
    assert_eq!(ports(&s.all()), [PORT_G, PORT_G]);
    assert_eq!(r.sum(|counters| counters.fragmented.get()), 1);
    r.all();
}

#[test]
fn without_a_link_the_others_here_hear_it() {
    let mut setup = r();
    if let Some(native) = &mut setup.topology.native {
        native.port = None;
        native.far.paths = [u16::MAX; PATHS];
    }
    let mut r = setup.start();
    assert_eq!(ports(&r.carry(PORT_A, &a_to_group())), [PORT_C, TRUNK]);
    assert_eq!(r.drops(), [(Drop::NoNeighbor, 1)]);
    let arriving = from_s(G, GROUP6, GROUP6_MAC);
    assert_eq!(r.carry(UPLINK, &arriving), []);
    assert_eq!(r.dropped(Drop::GroupNotHeard), 1);
}

/// Twenty copies a second for nodes here, of whatever another host sends.
#[test]
fn what_another_host_causes_here_is_bounded() {
    let mut setup = r();
    setup.flood = (1000, 4);
    setup.group_rate = 20;
    let mut r = setup.start();
    for _ in 0..3 {
        r.send(UPLINK, &from_s(G, GROUP6, GROUP6_MAC));
    }
    r.settle();
    // Four at once: three of the first, and one.
    assert_eq!(r.all().len(), 4);
    assert_eq!(r.dropped(Drop::GroupLimited), 2);
    // Copies to this host count as well, and nodes here have their own.
    assert_eq!(r.carry(PORT_A, &a_to_group()).len(), 3);
    let copy = Ip6::new(
        saddr(&locator_s(), Z, G),
        saddr(&locator_r(), Z, GROUP),
        UDP,
        spoken(G, GROUP).payload,
    );
    assert_eq!(r.carry(UPLINK, &copy.to_r()), []);
    r.later(100);
    assert_eq!(r.carry(UPLINK, &copy.to_r()).len(), 2);
}

/// A reason and what produces it.
type Case = (Drop, fn() -> Host);

fn after(setup: Setup, frame: Vec<u8>) -> Host {
    let mut host = setup.start();
    host.send(UPLINK, &frame);
    host.settle();
    host
}

pub(crate) const CASES: &[Case] = &[
    // Of another vnet, of no member's, with another MAC, and none of weft's.
    (Drop::GroupNotHeard, || {
        after(r(), from_s(G, "ff15::59:1:ef01:203", GROUP6_MAC))
    }),
    (Drop::GroupNotHeard, || {
        let mac = Mac([0x33, 0x33, 0xef, 1, 2, 4]);
        after(r(), from_s(G, "ff15::5a:1:ef01:204", mac))
    }),
    (Drop::GroupNotHeard, || {
        after(r(), from_s(G, GROUP6, Mac([0x33, 0x33, 0xef, 1, 2, 4])))
    }),
    (Drop::NotForUs, || {
        after(r(), from_s(G, "ff15:0:0:1:5a:1:ef01:203", GROUP6_MAC))
    }),
    // Where the substrate carries no groups.
    (Drop::NotForUs, || {
        let mut setup = r();
        setup.topology.native = None;
        after(setup, from_s(G, GROUP6, GROUP6_MAC))
    }),
    (Drop::GroupLimited, || {
        let mut setup = r();
        (setup.flood, setup.group_rate) = ((1000, 3), 1);
        let mut host = after(setup, from_s(G, GROUP6, GROUP6_MAC));
        host.carry(UPLINK, &from_s(G, GROUP6, GROUP6_MAC));
        host
    }),
];

#[test]
fn every_reason_of_substrate_groups_has_a_packet() {
    for (why, produce) in CASES {
        let host = produce();
        assert_eq!(host.drops(), [(*why, 1)], "sent {}", host.all().len());
        host.assert_balanced();
    }
}

/// The substrate gives it to everybody who listens, and nobody gets it twice.
#[test]
fn both_ways_at_once_there_are_no_doubles() {
    let (mut r, mut s) = (r().start(), s().start());
    r.send(PORT_A, &a_to_group());
    let from_g = ethernet(
        Mac([1, 0, 0x5e, 1, 2, 3]),
        MAC_G,
        None,
        0x0800,
        &spoken(G, GROUP).bytes(),
    );
    s.send(PORT_G, &from_g);
    r.settle();
    s.settle();
    let (r_sent, s_sent) = (r.drain(UPLINK), s.drain(UPLINK));
    r.all();
    // Each hears both, its own as a switch without manners brings it back.
    for frame in r_sent.iter().chain(&s_sent) {
        r.send(UPLINK, frame);
        s.send(UPLINK, frame);
    }
    r.settle();
    s.settle();
    assert_eq!(ports(&r.all()), [PORT_A, PORT_C, TRUNK], "G's, once each");
    assert_eq!(ports(&s.all()), [PORT_G], "A's");
    assert_eq!(r.drops(), [(Drop::ForgedSource, 1)]);
    assert_eq!(s.drops(), [(Drop::ForgedSource, 1)]);
    assert_eq!(across(&r, &mut s), 0);
}
