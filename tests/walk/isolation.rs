//! Tenants with the same addresses, and senders that lie.

use weft::datapath::Drop;
use weft::datapath::topology::PortNodes;
use weft::mapping::Mapping;
use weft::model::Verify;
use weft::wire::Mac;

use super::common::across;
use super::common::frames::*;
use super::common::topology::*;

#[test]
fn twins_with_one_address_never_meet() {
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    for (port, frame, vni, port_of_g) in [
        (PORT_A, from_a(&hello()), Z, PORT_G),
        (PORT_TWIN, from_twin(&hello()), Y, PORT_G_TWIN),
    ] {
        let sent = r.carry_to(port, &frame, UPLINK);
        let (src, dst) = check_substrate_frame(&sent, true);
        assert_eq!(src, saddr(&locator_r(), vni, A));
        assert_eq!(dst, saddr(&locator_s(), vni, G));
        let got = s.carry_to(UPLINK, &sent, port_of_g);
        assert_eq!(got[6..12], virtual_mac(vni, A).0);
        // And back.
        let sent = s.carry_to(port_of_g, &from_g(vni, &answer()), UPLINK);
        r.carry_to(UPLINK, &sent, port);
    }
}

#[test]
fn a_twin_does_not_reach_the_other_vnets_nodes_of_its_host() {
    let mut r = setup_r().start();
    // C is of Z alone. Y has no such address, whatever MAC the frame bears.
    let to_c = udp(A, C, (1, 2), b"psst");
    assert_eq!(r.carry(PORT_TWIN, &from_twin(&to_c)), []);
    let with_macs_of_z = ethernet(virtual_mac(Z, C), MAC_TWIN, None, 0x0800, &to_c.bytes());
    assert_eq!(r.carry(PORT_TWIN, &with_macs_of_z), []);
    assert_eq!(r.drops(), [(Drop::MacMismatch, 1), (Drop::NoMapping, 1)]);
}

#[test]
fn nodes_of_one_host_reach_each_other_without_the_substrate() {
    let mut r = setup_r().start();
    // Tag on, tag off, tag changed; options stay, for nothing is translated.
    let mut to_c = udp(A, C, (1, 2), b"neighbour");
    to_c.options = vec![7, 3, 4, 0];
    let got = r.carry_to(PORT_A, &from_a(&to_c), PORT_C);
    let link = ethernet(MAC_C, virtual_mac(Z, A), Some(TAG_C), 0x0800, &to_c.bytes());
    assert_eq!(got, link);

    let to_a = udp(C, A, (2, 1), b"neighbour");
    let got = r.carry_to(PORT_C, &from_c(&to_a), PORT_A);
    assert_eq!(
        got,
        ethernet(MAC_A, virtual_mac(Z, C), None, 0x0800, &to_a.bytes())
    );

    let e_to_f = udp(E, F, (1, 2), b"one trunk");
    let frame = ethernet(
        virtual_mac(Z, F),
        MAC_E,
        Some(TAG_E),
        0x0800,
        &e_to_f.bytes(),
    );
    let got = r.carry_to(TRUNK, &frame, TRUNK);
    assert_eq!(
        got,
        ethernet(
            MAC_F,
            virtual_mac(Z, E),
            Some(TAG_F),
            0x0800,
            &e_to_f.bytes()
        )
    );
}

/// Tags that the device takes off and tags that stay are the same tags.
#[test]
fn a_tag_counts_whoever_takes_it_off() {
    let mut r = setup_r().start();
    let to_a = udp(C, A, (2, 1), b"x").bytes();
    let untagged = ethernet(virtual_mac(Z, A), MAC_C, None, 0x0800, &to_a);
    r.send_stripped(PORT_C, &untagged, TAG_C);
    r.settle();
    assert!(r.receive(PORT_A).is_some());
    // A tag with id 0 is a priority and nothing else.
    let priority = ethernet(
        virtual_mac(Z, G),
        MAC_A,
        Some(0xe000),
        0x0800,
        &hello().bytes(),
    );
    assert_eq!(
        r.carry_to(PORT_A, &priority, UPLINK),
        r.carry_to(PORT_A, &from_a(&hello()), UPLINK)
    );
}

#[test]
fn nodes_that_route_may_use_the_prefixes_behind_them() {
    let behind = "10.0.0.128/26".parse().expect("literal");
    let inside = "10.0.0.130".parse().expect("literal");
    let outside = "10.0.0.192".parse().expect("literal");
    let mut setup = with(setup_r(), |topology| {
        topology.nodes[NODE_A.index()].prefixes.push(behind);
    });
    setup.mappings.push((key(Z, inside), local(NODE_A)));
    let mut r = setup.start();
    let from_behind = udp(inside, G, (1, 2), b"");
    let frame = r.carry_to(PORT_A, &from_a(&from_behind), UPLINK);
    let (src, _) = check_substrate_frame(&frame, true);
    assert_eq!(src, saddr(&locator_r(), Z, inside));
    assert_eq!(r.carry(PORT_A, &from_a(&udp(outside, G, (1, 2), b""))), []);
    assert_eq!(r.drops(), [(Drop::SpoofedSource, 1)]);
    // What is sent there reaches A.
    let mut packet = g_to_a();
    packet.dst = saddr(&locator_r(), Z, inside);
    r.carry_to(UPLINK, &packet.to_r(), PORT_A);
}

/// A binding that names no MAC takes any that is a node's.
#[test]
fn a_mac_that_was_learned_may_change() {
    let mut r = with(setup_r(), |topology| {
        topology.ports[usize::from(PORT_A)].nodes = PortNodes::Sole {
            vlan: 0,
            mac: Mac::ZERO,
            node: NODE_A,
        };
    })
    .start();
    let other = ethernet(virtual_mac(Z, G), MAC_C, None, 0x0800, &hello().bytes());
    r.carry_to(PORT_A, &other, UPLINK);
}

#[test]
fn a_moved_node_is_believed_at_both_places_until_its_time() {
    let moved = Mapping {
        previous: Some((HOST_T, 10)),
        ..remote(HOST_S)
    };
    let mut r = setup_r().map(Z, G, moved).start();
    let mut old = g_to_a();
    old.src = saddr(&locator_t(), Z, G);
    for (seconds, from_old_place) in [(0, 1), (9, 1), (10, 0)] {
        r.clock
            .advance(seconds * 1000 - 1000 * u64::from(seconds == 10) * 9);
        assert_eq!(
            r.carry(UPLINK, &old.to_r()).len(),
            from_old_place,
            "{seconds}"
        );
        assert_eq!(r.carry(UPLINK, &g_to_a().to_r()).len(), 1, "{seconds}");
    }
}

#[test]
fn unknown_sources_of_known_hosts_are_the_vnets_choice() {
    let mut from_nobody = g_to_a();
    from_nobody.src = saddr(&locator_s(), Z, NOBODY);
    let mut from_nowhere = from_nobody.clone();
    from_nowhere.src = saddr(
        &"2001:db8:0:f:900::/72".parse().expect("literal"),
        Z,
        NOBODY,
    );

    let mut r = with(setup_r(), |topology| {
        topology.vnets[0].verify = Verify::Locator;
    })
    .start();
    r.carry_to(UPLINK, &from_nobody.to_r(), PORT_A);
    assert_eq!(r.carry(UPLINK, &from_nowhere.to_r()), []);
    // Y is strict still.
    let mut to_twin = from_nobody.clone();
    to_twin.src = saddr(&locator_s(), Y, NOBODY);
    to_twin.dst = saddr(&locator_r(), Y, A);
    assert_eq!(r.carry(UPLINK, &to_twin.to_r()), []);
    // Nor does a looser rule help a forger.
    let mut forged = g_to_a();
    forged.src = saddr(&locator_t(), Z, G);
    assert_eq!(r.carry(UPLINK, &forged.to_r()), []);
    assert_eq!(
        r.drops(),
        [(Drop::ForgedSource, 1), (Drop::SourceUnknown, 2)]
    );
}

/// Refusals are told once to control, with the packet, and not without end.
#[test]
fn senders_of_refused_packets_are_told_within_limits() {
    use weft::datapath::wiring::Notice;
    let mut r = setup_r().start();
    let frame = from_a(&Ip {
        dst: NOBODY,
        ..hello()
    });
    assert_eq!(r.carry(PORT_A, &frame), []);
    match &r.notices()[..] {
        [
            Notice::Refused {
                why: Drop::NoMapping,
                node: NODE_A,
                mtu: 0,
                packet,
            },
        ] => {
            assert_eq!(packet.frame(), frame, "as the node sent it");
        }
        other => panic!("{other:?}"),
    }
    for _ in 0..100 {
        r.send(PORT_A, &frame);
    }
    r.settle();
    assert!(r.notices().len() < 40, "limited");
    assert_eq!(r.dropped(Drop::NoMapping), 101);
}

#[test]
fn what_one_host_sends_the_other_takes() {
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    for i in 0..500u16 {
        r.send(PORT_A, &from_a(&udp(A, G, (i, 5000), &i.to_be_bytes())));
        r.send(PORT_TWIN, &from_twin(&udp(A, G, (i, 5000), b"Y")));
    }
    r.settle();
    assert_eq!(across(&r, &mut s), 1000);
    let got = s.drain(PORT_G);
    assert_eq!(got.len(), 500);
    for (i, frame) in got.iter().enumerate() {
        assert_eq!(frame[42..44], (i as u16).to_be_bytes(), "in order");
    }
    assert_eq!(s.drain(PORT_G_TWIN).len(), 500);
    assert_eq!((r.drops(), s.drops()), (vec![], vec![]));
}
