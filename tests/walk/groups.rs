//! One packet to several: members of groups, everybody of a subnet.
//!
//! In Z, A, C and E of R and G of S have joined 239.1.2.3; R knows that S and T
//! have members.

use std::sync::Arc;

use weft::datapath::fan::{Domain, Fans, Filter, Member, Members, VnetGroups};
use weft::datapath::segments::Segment;
use weft::datapath::{Drop, Punt};
use weft::mapping::{HostIndex, Key, NodeIndex};
use weft::packet::{Buffer, Meta, Offload};
use weft::wire::{Mac, Vaddr};

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup, across};

pub(super) const GROUP: Vaddr = Vaddr(0xef01_0203);
pub(super) const GROUP_MAC: Mac = Mac([1, 0, 0x5e, 1, 2, 3]);
pub(super) const EVERYBODY: Vaddr = Vaddr(0xffff_ffff);
/// Of 10.0.0.0/24.
pub(super) const DIRECTED: Vaddr = Vaddr(0x0a00_00ff);

pub(super) fn members(hosts: &[HostIndex], nodes: &[NodeIndex]) -> Members {
    Members {
        hosts: hosts.into(),
        nodes: nodes.iter().copied().map(Member::of_all).collect(),
    }
}

/// Both vnets withhold what they usually do, and Z carries broadcasts.
pub(super) fn fans(group: Members, everybody: Members) -> Fans {
    let withheld = ["224.0.0.0/24".parse().expect("literal")];
    let domain = Domain {
        prefix: "0.0.0.0/0".parse().expect("literal"),
        directed: [DIRECTED].into(),
        members: everybody,
    };
    let vnet = |domains: &[Domain]| VnetGroups {
        withheld: withheld.into(),
        domains: domains.into(),
    };
    Fans {
        vnets: [(Z, vnet(&[domain])), (Y, vnet(&[]))].into_iter().collect(),
        groups: [(Key::new(Z.0, GROUP.0), group)].into_iter().collect(),
    }
}

pub(super) fn with_fans(mut setup: Setup, fans: Fans) -> Setup {
    setup.topology.fans = Arc::new(fans);
    setup
}

fn r() -> Setup {
    let nodes = [NODE_A, NODE_C, NODE_E];
    let all = [NODE_A, NODE_C, NODE_E, NODE_F];
    let (group, all) = (members(&[HOST_S, HOST_T], &nodes), members(&[HOST_S], &all));
    with_fans(still(setup_r()), fans(group, all))
}

fn s() -> Setup {
    let all = members(&[HOST_R], &[NODE_G]);
    with_fans(still(setup_s()), fans(all.clone(), all))
}

pub(super) fn spoken(src: Vaddr, dst: Vaddr) -> Ip {
    udp(src, dst, (4000, 5000), b"to all who listen")
}

/// A's packet with this MAC.
pub(super) fn a_sends(destination: Mac, ip: &Ip) -> Vec<u8> {
    ethernet(destination, MAC_A, None, 0x0800, &ip.bytes())
}

pub(super) fn a_to_group() -> Vec<u8> {
    a_sends(GROUP_MAC, &spoken(A, GROUP))
}

fn c_to_group() -> Vec<u8> {
    let packet = spoken(C, GROUP).bytes();
    ethernet(GROUP_MAC, MAC_C, Some(TAG_C), 0x0800, &packet)
}

pub(super) fn ports(frames: &[(u16, Vec<u8>)]) -> Vec<u16> {
    frames.iter().map(|(port, _)| *port).collect()
}

pub(super) fn generated(host: &Host) -> u64 {
    host.sum(|counters| counters.generated.get())
}

#[test]
fn each_member_here_and_each_host_with_members_gets_it_once() {
    let mut r = r().start();
    let sent = spoken(A, GROUP);
    let out = r.carry(PORT_A, &a_to_group());
    assert_eq!(ports(&out), [UPLINK, UPLINK, PORT_C, TRUNK]);
    let hosts: Vec<_> = out[..2]
        .iter()
        .map(|(_, frame)| check_substrate_frame(frame, true))
        .collect();
    let from = saddr(&locator_r(), Z, A);
    let to = |locator| (from, saddr(&locator, Z, GROUP));
    assert_eq!(hosts, [to(locator_s()), to(locator_t())]);
    let here = |tag| {
        ethernet(
            GROUP_MAC,
            virtual_mac(Z, A),
            Some(tag),
            0x0800,
            &sent.bytes(),
        )
    };
    assert_eq!(out[2].1, here(TAG_C));
    assert_eq!(out[3].1, here(TAG_E));
    assert_eq!(r.drops(), []);
    assert_eq!(generated(&r), 3);
    assert_eq!(r.sum(|counters| counters.replicated.get()), 4);
}

#[test]
fn what_a_host_sends_is_for_members_there_and_goes_no_further() {
    let (mut r, mut s) = (r().start(), s().start());
    let sent = spoken(A, GROUP);
    r.send(PORT_A, &a_to_group());
    r.settle();
    // The second one is T's, which S drops.
    assert_eq!(across(&r, &mut s), 2);
    let out = s.all();
    assert_eq!(ports(&out), [PORT_G]);
    let frame = &out[0].1;
    assert_eq!(
        frame[..14],
        ethernet(GROUP_MAC, virtual_mac(Z, A), None, 0x0800, &[])
    );
    let (got, sent) = (&frame[14..], sent.bytes());
    // The ID of a packet that is not to be cut means nothing.
    assert_eq!((&got[..4], &got[6..10]), (&sent[..4], &sent[6..10]));
    assert_eq!(got[12..], sent[12..]);
    assert_eq!(internet_checksum(&got[..20]), 0);
    assert_eq!(s.drops(), [(Drop::NotForUs, 1)]);
    r.drain(PORT_C);
    r.drain(TRUNK);
}

#[test]
fn nobody_hears_itself() {
    let alone = fans(members(&[], &[NODE_A]), Members::default());
    let mut r = with_fans(setup_r(), alone).start();
    assert_eq!(r.carry(PORT_A, &a_to_group()), []);
    assert_eq!(r.drops(), [(Drop::NoMember, 1)]);
    // C does.
    assert_eq!(ports(&r.carry(PORT_C, &c_to_group())), [PORT_A]);
    assert_eq!(generated(&r), 0, "the packet itself");
}

#[test]
fn groups_of_another_vnet_are_others() {
    let mut r = r().start();
    let ip = spoken(A, GROUP);
    let frame = ethernet(GROUP_MAC, MAC_TWIN, None, 0x0800, &ip.bytes());
    assert_eq!(r.carry(PORT_TWIN, &frame), []);
    assert_eq!(r.drops(), [(Drop::NoMember, 1)]);
}

#[test]
fn members_get_the_sources_they_asked_for() {
    let only = |source: Vaddr| Filter::Only([source].into());
    let member = |node, filter| Member { node, filter };
    let group = Members {
        hosts: [].into(),
        nodes: [
            member(NODE_C, only(A)),
            member(NODE_E, only(G)),
            member(NODE_F, Filter::Except([A].into())),
        ]
        .into(),
    };
    let mut r = with_fans(setup_r(), fans(group, Members::default())).start();
    assert_eq!(ports(&r.carry(PORT_A, &a_to_group())), [PORT_C]);
    let from_g = |src| {
        let ip6 = Ip6::new(
            saddr(&locator_s(), Z, src),
            saddr(&locator_r(), Z, GROUP),
            UDP,
            spoken(src, GROUP).payload,
        );
        ip6.to_r()
    };
    let out = r.carry(UPLINK, &from_g(G));
    assert_eq!(ports(&out), [TRUNK, TRUNK]);
    assert_eq!(
        out[0].1[..16],
        ethernet(GROUP_MAC, virtual_mac(Z, G), Some(TAG_E), 0, &[])[..16]
    );
    // Of a source that is not where it says, or that nobody knows, nobody gets any.
    r.send(UPLINK, &from_g(A));
    r.send(UPLINK, &from_g(NOBODY));
    r.settle();
    assert_eq!(r.all(), []);
    assert_eq!(
        r.drops(),
        [(Drop::ForgedSource, 1), (Drop::SourceUnknown, 1)]
    );
}

#[test]
fn subnets_keep_their_groups_to_themselves() {
    let mut setup = r();
    let near = "10.0.0.0/29".parse().expect("literal");
    for node in &mut setup.topology.nodes {
        node.segment = Segment {
            prefix: near,
            ..Segment::default()
        };
    }
    // E has moved to another one.
    setup.topology.nodes[NODE_E.index()].segment.prefix = "10.0.0.64/29".parse().expect("literal");
    let mut r = setup.start();
    assert_eq!(
        ports(&r.carry(PORT_A, &a_to_group())),
        [UPLINK, UPLINK, PORT_C]
    );
}

#[test]
fn broadcasts_go_to_everybody_of_the_subnet() {
    let (mut r, mut s) = (r().start(), s().start());
    for dst in [EVERYBODY, DIRECTED] {
        let ip = spoken(A, dst);
        r.send(PORT_A, &a_sends(Mac::BROADCAST, &ip));
        r.settle();
        assert_eq!(across(&r, &mut s), 1);
        let out = s.all();
        assert_eq!(ports(&out), [PORT_G]);
        assert_eq!(
            out[0].1[..14],
            ethernet(Mac::BROADCAST, virtual_mac(Z, A), None, 0x0800, &[])
        );
        assert_eq!(out[0].1[30..34], dst.bytes());
        let out = r.all();
        assert_eq!(ports(&out), [PORT_C, TRUNK, TRUNK]);
        let here = |tag| {
            ethernet(
                Mac::BROADCAST,
                virtual_mac(Z, A),
                Some(tag),
                0x0800,
                &ip.bytes(),
            )
        };
        assert_eq!(out[2].1, here(TAG_F));
    }
    assert_eq!(r.drops(), []);
    // Y carries none.
    let ip = spoken(A, EVERYBODY);
    let frame = ethernet(Mac::BROADCAST, MAC_TWIN, None, 0x0800, &ip.bytes());
    assert_eq!(r.carry(PORT_TWIN, &frame), []);
    assert_eq!(r.drops(), [(Drop::Broadcast, 1)]);
}

#[test]
fn a_broadcast_frame_for_one_node_is_none() {
    let mut r = r().start();
    assert_eq!(r.carry(PORT_A, &a_sends(Mac::BROADCAST, &hello())), []);
    assert_eq!(r.drops(), [(Drop::MacMismatch, 1)]);
}

#[test]
fn a_node_sends_to_groups_as_itself() {
    let mut r = r().start();
    for (destination, dst) in [(GROUP_MAC, GROUP), (Mac::BROADCAST, EVERYBODY)] {
        assert_eq!(r.carry(PORT_A, &a_sends(destination, &spoken(C, dst))), []);
    }
    assert_eq!(r.drops(), [(Drop::SpoofedSource, 2)]);
}

#[test]
fn what_is_too_big_for_some_reaches_the_others_and_tells_nobody() {
    let mut setup = r();
    setup.topology.hosts[HOST_T.index()].mtu = 1400;
    let mut r = setup.start();
    let ip = udp(A, GROUP, (1, 2), &[7; 1400]);
    let out = r.carry(PORT_A, &a_sends(GROUP_MAC, &ip));
    assert_eq!(ports(&out), [UPLINK, PORT_C, TRUNK]);
    assert_eq!(r.drops(), [(Drop::TooBig, 1)]);
    assert!(r.notices().is_empty());
    // What may be cut is cut where it must be.
    let out = r.carry(PORT_A, &a_sends(GROUP_MAC, &Ip { df: false, ..ip }));
    assert_eq!(ports(&out), [UPLINK, UPLINK, UPLINK, PORT_C, TRUNK]);
    assert_eq!(r.sum(|counters| counters.fragmented.get()), 1);
}

#[test]
fn what_leaves_by_another_worker_is_handed_over() {
    let mut setup = r();
    setup.workers = 2;
    setup.duty[usize::from(PORT_C)] = (1, 1);
    let mut r = setup.start();
    let out = r.carry(PORT_A, &a_to_group());
    assert_eq!(ports(&out), [UPLINK, UPLINK, PORT_C, TRUNK]);
    assert_eq!(r.sum(|counters| counters.handed_over.get()), 1);
}

#[test]
fn a_pool_that_is_dry_costs_copies_by_name() {
    let mut setup = r();
    setup.pool = 1;
    let mut r = setup.start();
    let out = r.carry(PORT_A, &a_to_group());
    // One copy, and the packet itself for the last.
    assert_eq!(ports(&out), [UPLINK, TRUNK]);
    assert_eq!(r.drops(), [(Drop::NoBuffer, 2)]);
}

#[test]
fn a_node_causes_so_many_copies_a_second() {
    let mut setup = r();
    setup.flood = (10, 6);
    let mut r = setup.start();
    r.send(PORT_A, &a_to_group());
    r.send(PORT_A, &a_to_group());
    r.settle();
    // Four copies of the first, two of the second.
    assert_eq!(
        ports(&r.all()),
        [UPLINK, UPLINK, UPLINK, UPLINK, PORT_C, TRUNK]
    );
    assert_eq!(r.drops(), [(Drop::FloodLimited, 1)]);
    // Another node has copies of its own.
    assert_eq!(r.carry(PORT_C, &c_to_group()).len(), 4);
    // And after a while there are some again.
    r.later(100);
    assert_eq!(r.carry(PORT_A, &a_to_group()).len(), 1);
    assert_eq!(r.drops(), [(Drop::FloodLimited, 2)]);
}

#[test]
fn a_packet_causes_so_many_copies() {
    let mut setup = r();
    setup.flood = (1000, 3);
    let mut r = setup.start();
    let out = r.carry(PORT_A, &a_to_group());
    assert_eq!(ports(&out), [UPLINK, UPLINK, PORT_C]);
    assert_eq!(r.drops(), [(Drop::FanoutLimited, 1)]);
}

#[test]
fn igmp_goes_to_control_at_the_rate_of_its_node() {
    let mut setup = r();
    setup.rates.0 = 32;
    let mut r = setup.start();
    let report = Ip {
        ttl: 1,
        options: vec![0x94, 4, 0, 0],
        ..Ip::new(A, GROUP, 2, vec![0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3])
    };
    for _ in 0..40 {
        r.send(PORT_A, &a_sends(GROUP_MAC, &report));
    }
    r.settle();
    let punted = r.punted();
    assert_eq!(punted.len(), 32);
    assert!(
        punted
            .iter()
            .all(|it| it.what == Punt::Igmp { node: NODE_A })
    );
    assert_eq!(r.drops(), [(Drop::PuntLimited, 8)]);
    assert_eq!(r.all(), []);
}

#[test]
fn a_checksum_left_undone_is_done_in_every_copy() {
    let mut r = r().start();
    let ip = spoken(A, GROUP);
    let mut partial = a_to_group();
    // The sum over the pseudo header, as a driver leaves it.
    let mut pseudo = Vec::from(A.bytes());
    pseudo.extend(GROUP.bytes());
    pseudo.extend([0, UDP]);
    pseudo.extend((ip.payload.len() as u16).to_be_bytes());
    let sum = !internet_checksum(&pseudo);
    partial[40..42].copy_from_slice(&sum.to_be_bytes());
    let meta = Meta {
        offload: Offload::PARTIAL,
        ..Meta::default()
    };
    r.wires[usize::from(PORT_A)].send_packet(Buffer::new(&partial), meta);
    r.settle();
    let out = r.all();
    assert_eq!(ports(&out), [UPLINK, UPLINK, PORT_C, TRUNK]);
    for (_, frame) in &out[..2] {
        check_substrate_frame(frame, true);
    }
    for (_, frame) in &out[2..] {
        assert_eq!(frame[18..], ip.bytes());
    }
}

#[test]
fn options_stay_here_and_are_left_out_on_the_substrate() {
    let mut r = r().start();
    let ip = Ip {
        options: vec![0x94, 4, 0, 0],
        ..spoken(A, GROUP)
    };
    let out = r.carry(PORT_A, &a_sends(GROUP_MAC, &ip));
    check_substrate_frame(&out[0].1, true);
    assert_eq!(out[2].1[18..], ip.bytes());
    assert_eq!(r.sum(|counters| counters.options_removed.get()), 2);
}

/// A reason and what produces it.
type Case = (Drop, fn() -> Host);

fn after(setup: Setup, frame: Vec<u8>) -> Host {
    let mut host = setup.start();
    host.send(PORT_A, &frame);
    host.settle();
    host
}

pub(crate) const CASES: &[Case] = &[
    (Drop::GroupMismatch, || {
        after(r(), a_sends(Mac([1, 0, 0x5e, 0, 0, 251]), &hello()))
    }),
    (Drop::GroupMismatch, || {
        after(r(), a_sends(virtual_mac(Z, GROUP), &spoken(A, GROUP)))
    }),
    (Drop::GroupMismatch, || {
        after(r(), a_sends(Mac([1, 0, 0x5e, 1, 2, 4]), &spoken(A, GROUP)))
    }),
    (Drop::GroupWithheld, || {
        let everyone = Vaddr(0xe000_00fb);
        after(
            r(),
            a_sends(Mac([1, 0, 0x5e, 0, 0, 251]), &spoken(A, everyone)),
        )
    }),
    (Drop::NoMember, || {
        let other = Vaddr(GROUP.0 + 1);
        after(r(), a_sends(Mac([1, 0, 0x5e, 1, 2, 4]), &spoken(A, other)))
    }),
    (Drop::FloodLimited, || {
        let mut setup = r();
        setup.flood = (1, 6);
        let mut host = after(setup, a_to_group());
        host.carry(PORT_A, &a_to_group());
        host
    }),
    (Drop::FanoutLimited, || {
        let mut setup = r();
        setup.flood = (100, 1);
        after(setup, a_to_group())
    }),
];

#[test]
fn every_reason_of_groups_has_a_packet() {
    for (why, produce) in CASES {
        let host = produce();
        assert_eq!(host.drops(), [(*why, 1)], "sent {}", host.all().len());
        host.assert_balanced();
    }
}
