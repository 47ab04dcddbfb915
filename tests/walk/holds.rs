//! Packets that wait, and what they wait for.

use weft::datapath::Drop;
use weft::datapath::wiring::Notice;
use weft::wire::Vaddr;

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};

fn resolving() -> Setup {
    with(setup_r(), |topology| topology.resolver = true)
}

fn numbered(dst: Vaddr, i: u8) -> Vec<u8> {
    from_a(&udp(A, dst, (4000, 5000), &[i]))
}

fn held(host: &Host) -> u64 {
    host.sum(|counters| counters.held.get())
}

/// The last byte of each frame that left by the uplink.
fn arrivals(host: &Host) -> Vec<u8> {
    host.drain(UPLINK)
        .iter()
        .filter_map(|frame| frame.last().copied())
        .collect()
}

#[test]
fn a_miss_is_told_once_and_packets_follow_in_order() {
    let mut r = resolving().start();
    for i in 0..5 {
        r.send(PORT_A, &numbered(NOBODY, i));
        r.settle();
    }
    assert_eq!(held(&r), 5);
    assert_eq!(r.missed(), (Drop::NoMapping, key(Z, NOBODY), Some(NODE_A)));
    r.later(50);
    assert_eq!((held(&r), r.all()), (5, vec![]), "nothing has changed");
    r.map(Z, NOBODY, remote(HOST_S));
    r.later(1);
    assert_eq!(arrivals(&r), [0, 1, 2, 3, 4]);
    assert_eq!((held(&r), r.drops()), (0, vec![]));
}

/// Order holds also when more wait than one round tries again.
#[test]
fn many_destinations_keep_their_order() {
    let mut r = resolving().start();
    let node = |i: u32| Vaddr(0x0a00_0064 + i);
    // Eight packets for each of forty destinations, interleaved.
    for i in 0..8u8 {
        for n in 0..40 {
            r.send(
                PORT_A,
                &from_a(&udp(A, node(n), (n as u16, 5000), &[n as u8, i])),
            );
        }
        r.settle();
    }
    // Of 320 packets of one node, 256 may wait.
    assert_eq!((held(&r), r.dropped(Drop::HoldFull)), (256, 64));
    r.later(1);
    for n in 0..40 {
        r.map(Z, node(n), remote(HOST_S));
    }
    for _ in 0..10 {
        r.later(1);
    }
    let mut next = [0u8; 40];
    for frame in r.drain(UPLINK) {
        let [.., n, i] = frame[..] else {
            unreachable!()
        };
        assert_eq!(next[usize::from(n)], i, "destination {n}");
        next[usize::from(n)] += 1;
    }
    assert_eq!(next.iter().map(|n| u64::from(*n)).sum::<u64>(), 256);
}

#[test]
fn without_an_answer_the_wait_ends_and_the_sender_is_told() {
    let mut r = resolving().start();
    r.carry(PORT_A, &numbered(NOBODY, 0));
    assert_eq!(r.notices().len(), 1);
    r.later(199);
    assert_eq!((held(&r), r.dropped(Drop::NoMapping)), (1, 0));
    r.later(1);
    assert_eq!((held(&r), r.dropped(Drop::NoMapping)), (0, 1));
    match &r.notices()[..] {
        [
            Notice::Refused {
                why: Drop::NoMapping,
                node: NODE_A,
                mtu: 0,
                packet,
            },
        ] => {
            assert_eq!(packet.frame(), numbered(NOBODY, 0));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_knew_is_not_asked_for_again_within_a_second() {
    let mut r = resolving().start();
    r.carry(PORT_A, &numbered(NOBODY, 0));
    r.later(200);
    r.notices();
    // A scan costs neither buffers nor questions.
    for _ in 0..50 {
        r.send(PORT_A, &numbered(NOBODY, 1));
    }
    r.settle();
    assert_eq!((held(&r), r.dropped(Drop::NoMapping)), (0, 51));
    assert!(
        !r.notices()
            .iter()
            .any(|notice| matches!(notice, Notice::Miss { .. }))
    );
    // An answer that comes late counts at once.
    r.map(Z, NOBODY, remote(HOST_S));
    r.carry_to(PORT_A, &numbered(NOBODY, 2), UPLINK);
    r.writer.remove(key(Z, NOBODY));
    r.later(1000);
    r.carry(PORT_A, &numbered(NOBODY, 3));
    assert_eq!(held(&r), 1);
    r.missed();
}

#[test]
fn the_bounds_are_per_destination_per_node_and_in_all() {
    let mut setup = resolving();
    setup.holds.per_destination = 2;
    setup.holds.per_node = 5;
    setup.holds.total = 7;
    let mut r = setup.start();
    let nobody = |i: u32| Vaddr(NOBODY.0 + i);
    for _ in 0..3 {
        r.send(PORT_A, &numbered(NOBODY, 0));
    }
    r.settle();
    assert_eq!(
        (held(&r), r.dropped(Drop::HoldFull)),
        (2, 1),
        "per destination"
    );
    for i in 1..5 {
        r.send(PORT_A, &numbered(nobody(i), 0));
    }
    r.settle();
    assert_eq!((held(&r), r.dropped(Drop::HoldFull)), (5, 2), "per node");
    for i in 5..8 {
        r.send(PORT_C, &from_c(&udp(C, nobody(i), (1, 2), b"")));
    }
    r.settle();
    assert_eq!((held(&r), r.dropped(Drop::HoldFull)), (7, 3), "in all");
    r.later(200);
    assert_eq!(held(&r), 0);
}

#[test]
fn an_expired_mapping_is_asked_for_again() {
    let mut r = resolving().start();
    let mut mapping = remote(HOST_S);
    mapping.expires = 5;
    r.map(Z, G, mapping);
    r.clock.advance(5000);
    r.carry(PORT_A, &from_a(&hello()));
    assert_eq!(r.missed().0, Drop::Expired);
    mapping.expires = 50;
    r.map(Z, G, mapping);
    r.later(1);
    assert_eq!(r.drain(UPLINK).len(), 1);
}

#[test]
fn a_frame_for_a_node_without_mac_waits_for_it() {
    let mut setup = resolving();
    setup.topology.nodes[NODE_A.index()].mac = None;
    let mut r = setup.start();
    // From the substrate, and from a node of the host.
    r.carry(UPLINK, &g_to_a().to_r());
    r.carry(PORT_C, &from_c(&udp(C, A, (1, 2), b"C")));
    assert_eq!(held(&r), 2);
    assert_eq!(r.missed(), (Drop::NodeMacUnknown, key(Z, A), Some(NODE_A)));
    r.publish(resolving().topology);
    r.later(1);
    let got = r.drain(PORT_A);
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|frame| frame[..6] == MAC_A.0));
    assert_eq!(got[0][14..], Ip { id: 0, ..answer() }.bytes());
}

#[test]
fn an_unknown_source_is_asked_for_if_its_host_is_known() {
    let mut r = resolving().start();
    let mut packet = g_to_a();
    packet.src = saddr(&locator_s(), Z, NOBODY);
    r.carry(UPLINK, &packet.to_r());
    assert_eq!(r.missed(), (Drop::SourceUnknown, key(Z, NOBODY), None));
    r.map(Z, NOBODY, remote(HOST_S));
    r.later(1);
    assert_eq!(r.drain(PORT_A).len(), 1);
}

/// The node has moved and its first packets are here before the news.
#[test]
fn a_source_at_another_known_host_is_asked_for_before_it_is_a_forgery() {
    let mut r = resolving().start();
    let mut moved = g_to_a();
    moved.src = saddr(&locator_t(), Z, G);
    r.carry(UPLINK, &moved.to_r());
    let (why, _, node) = r.missed();
    assert_eq!((why, node), (Drop::ForgedSource, None));
    r.map(Z, G, remote(HOST_T));
    r.later(1);
    assert_eq!(r.drain(PORT_A).len(), 1);
    // No news: a forgery.
    r.carry(UPLINK, &g_to_a().to_r());
    r.later(200);
    assert_eq!(r.drops(), [(Drop::ForgedSource, 1)]);
    // From our own locator, or from nobody's, there is nothing to ask.
    for locator in [
        locator_r(),
        "2001:db8:0:f:900::/72".parse().expect("literal"),
    ] {
        let mut forged = g_to_a();
        forged.src = saddr(&locator, Z, C);
        r.carry(UPLINK, &forged.to_r());
    }
    assert_eq!(r.drops(), [(Drop::ForgedSource, 3)]);
}

/// A host cannot fill the waiting room with sources that nobody knows.
#[test]
fn one_hosts_unknown_sources_leave_room_for_others() {
    let mut setup = resolving();
    setup.holds.per_node = 16;
    setup.rings.notices = 512;
    let mut r = setup.start();
    for i in 0..200 {
        let mut packet = g_to_a();
        packet.src = saddr(&locator_s(), Z, Vaddr(0x0a00_0040 + i));
        r.send(UPLINK, &packet.to_r());
    }
    r.settle();
    assert_eq!((held(&r), r.dropped(Drop::HoldFull)), (16, 184));
    let mut packet = g_to_a();
    packet.src = saddr(&locator_t(), Z, NOBODY);
    r.carry(UPLINK, &packet.to_r());
    assert_eq!(held(&r), 17);
    r.later(200);
}

#[test]
fn a_full_ring_of_notices_is_counted() {
    let mut setup = resolving();
    setup.rings.notices = 2;
    let mut r = setup.start();
    for i in 0..3 {
        r.send(PORT_A, &numbered(Vaddr(NOBODY.0 + i), 0));
    }
    r.settle();
    assert_eq!(r.sum(|counters| counters.miss_lost.get()), 1);
    assert_eq!(held(&r), 3);
    r.later(200);
}
