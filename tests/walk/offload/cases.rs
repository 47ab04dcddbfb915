//! What becomes of such packets, card by card and case by case.

use super::*;

#[test]
fn a_card_does_all_it_can() {
    let large = [message(Some(1300), 60_000)];
    let small = [message(None, 1000), datagram(1000)];
    let of = |way, card, messages: &[Message]| counts(&carried_unfinished(way, card, messages).0);
    for way in WAYS {
        assert_eq!(of(way, NOTHING, &small), [0, 0, 2, 0], "{way:?}");
        assert_eq!(of(way, NOTHING, &large), [1, 0, 47, 0], "{way:?}");
        if way == Way::Transparent {
            // No card computes a checksum over addresses that are not there.
            assert_eq!(of(way, ALL, &small), [0, 0, 2, 0]);
            assert_eq!(of(way, ALL, &large), [1, 0, 47, 0]);
            continue;
        }
        assert_eq!(of(way, ALL, &small), [0, 0, 0, 2], "{way:?}");
        // ID and DF are made up for each packet.
        let from_ipv6 = matches!(way, Way::Inbound | Way::RelayTo4);
        let expected = if from_ipv6 {
            [1, 0, 0, 47]
        } else {
            [0, 1, 0, 0]
        };
        assert_eq!(of(way, ALL, &large), expected, "{way:?}");
        assert_eq!(of(way, CHECKSUMS, &large), [1, 0, 0, 47], "{way:?}");
        let to_ipv6 = matches!(way, Way::Siit | Way::RelayTo6);
        let expected = if to_ipv6 { [0, 1, 0, 0] } else { [1, 0, 0, 47] };
        assert_eq!(of(way, IPV6_ALONE, &large), expected, "{way:?}");
    }
}

#[test]
fn the_largest_packet_is_sent_whole() {
    // 65,535 bytes with the IPv4 header are 65,515 behind the one of IPv6.
    let largest = [message(Some(1400), 65_535 - 20 - 32)];
    let (host, frames) = carried_unfinished(Way::Siit, ALL, &largest);
    assert_eq!(counts(&host), [0, 1, 0, 0]);
    assert_eq!(frames, carried_finished(Way::Siit, &largest));
    // From IPv6 there can be more than IPv4 has room for.
    let larger = [message(Some(1300), 65_535 - 32)];
    let (host, frames) = carried_unfinished(Way::RelayTo4, ALL, &larger);
    assert_eq!(counts(&host)[..2], [1, 0]);
    assert_eq!(frames.len(), 51);
}

#[test]
fn what_a_sender_got_wrong_stays_wrong() {
    for card in [NOTHING, ALL] {
        let mut host = host(Way::Siit, card);
        let mut payload = datagram(100).payload(0, 0, &[7; 100]);
        payload[6..8].copy_from_slice(&[0x12, 0x34]);
        let frame = Way::Siit.frame(UDP, 1, payload);
        let meta = Meta {
            offload: Offload::PARTIAL,
            ..Meta::default()
        };
        host.wires[1].send_packet(Buffer::new(&frame), meta);
        host.settle();
        assert_eq!(counts(&host), [0, 0, 1, 0]);
        let out = host.receive(UPLINK).unwrap();
        check_substrate_frame(&out, false);
        assert!(std::panic::catch_unwind(|| check_substrate_frame(&out, true)).is_err());
    }
}

#[test]
fn udp_without_checksum_has_none_to_complete() {
    let mut host = host(Way::Siit, ALL);
    let frame = Way::Siit.frame(UDP, 1, datagram(9).payload(0, 0, &[7; 9]));
    let meta = Meta {
        offload: Offload::PARTIAL,
        ..Meta::default()
    };
    host.wires[1].send_packet(Buffer::new(&frame), meta);
    host.settle();
    assert_eq!(counts(&host), [0; 4]);
    assert_eq!(host.receive(UPLINK).unwrap()[60..62], [0, 0]);
}

#[test]
fn segments_obey_the_mtu_as_any_packet_does() {
    // Two bytes more than fit: 20 + 32 + 1428 are 1480.
    for card in [NOTHING, ALL] {
        let mut host = host(Way::Siit, card);
        let (packet, meta) = message(Some(1430), 5720).unfinished(Way::Siit);
        host.wires[1].send_packet(packet, meta);
        host.settle();
        assert_eq!(host.all(), []);
        let told: Vec<_> = host.notices();
        let is_too_big = |notice: &Notice<Buffer>| {
            matches!(
                notice,
                Notice::Refused {
                    why: Drop::TooBig,
                    node: NODE_A,
                    mtu: 1472,
                    ..
                }
            )
        };
        assert!(!told.is_empty() && told.iter().all(is_too_big), "{told:?}");
        // As a whole where the first segment went ahead.
        let dropped = if card == ALL { 1 } else { 4 };
        assert_eq!(host.drops(), [(Drop::TooBig, dropped)]);
    }
}

#[test]
fn segments_may_be_fragmented_and_arrive_right() {
    for card in [NOTHING, ALL] {
        let mut setup = setup_r();
        setup.cards = card_of(UPLINK, card);
        let (mut r, mut s) = (setup.start(), setup_s().start());
        let (mut packet, meta) = message(Some(2000), 6000).unfinished(Way::Siit);
        clear_df(weft::packet::Packet::head_mut(&mut packet));
        r.wires[1].send_packet(packet, meta);
        r.settle();
        assert_eq!(across(&r, &mut s), 6);
        let fragments = s.drain(PORT_G);
        for pair in fragments.chunks(2) {
            let mut segment = pair[0][34..].to_vec();
            segment.extend(&pair[1][34..]);
            let mut right = segment.clone();
            Ends::V4(A, G).finish(TCP, &mut right);
            assert_eq!(segment, right);
            assert_eq!(segment.len(), 2032);
        }
    }
}

fn clear_df(head: &mut [u8]) {
    head[20] &= !0x40;
    head[24..26].fill(0);
    let sum = internet_checksum(&head[14..34]);
    head[24..26].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn what_is_larger_than_a_buffer_is_told_the_mtu() {
    let mut host = host(Way::Siit, ALL);
    let (packet, meta) = message(Some(20_000), 60_000).unfinished(Way::Siit);
    host.wires[1].send_packet(packet, meta);
    host.settle();
    assert_eq!(host.drops(), [(Drop::TooBig, 1)]);
    assert_eq!(host.notices().len(), 1);
}

#[test]
fn packets_that_wait_are_finished_in_the_end() {
    for card in [NOTHING, ALL] {
        let mut setup = with(still(setup_r()), |topology| topology.resolver = true);
        setup.cards = card_of(UPLINK, card);
        setup.mappings.retain(|(mapped, _)| *mapped != key(Z, G));
        let mut host = setup.start();
        let messages = [datagram(500), message(None, 40), message(Some(1000), 3500)];
        for message in &messages {
            let (packet, meta) = message.unfinished(Way::Siit);
            host.wires[1].send_packet(packet, meta);
        }
        host.settle();
        host.later(2);
        host.later(2);
        assert_eq!((host.all(), host.sum(|c| c.held.get())), (vec![], 6));
        host.map(Z, G, remote(HOST_S));
        host.later(2);
        host.later(2);
        assert_eq!(host.drain(UPLINK), carried_finished(Way::Siit, &messages));
    }
}

#[test]
fn another_workers_device_is_not_asked() {
    let mut setup = still(setup_r());
    setup.workers = 2;
    setup.duty[usize::from(UPLINK)] = (1, 1);
    setup.cards = card_of(UPLINK, ALL);
    let mut host = setup.start();
    let messages = [message(Some(1000), 3500), datagram(300)];
    for message in &messages {
        let (packet, meta) = message.unfinished(Way::Siit);
        host.wires[1].send_packet(packet, meta);
    }
    host.settle();
    assert_eq!(counts(&host), [1, 0, 5, 0]);
    assert_eq!(host.drain(UPLINK), carried_finished(Way::Siit, &messages));
}

#[test]
fn what_a_routing_daemon_sends_is_finished_too() {
    let ends = Ends::V6(own_r(), saddr(&locator_s(), Z, G), 0);
    let mut payload = message(None, 300).payload(0x18, 1, &[3; 300]);
    let mut right = payload.clone();
    ends.leave_partial(TCP, &mut payload);
    ends.finish(TCP, &mut right);
    // Options for the destination before TCP.
    let frame = |payload: &[u8]| {
        let Ends::V6(src, dst, _) = ends else {
            unreachable!()
        };
        let payload = [&[TCP, 0, 1, 4, 0, 0, 0, 0], payload].concat();
        ethernet(
            MAC_S,
            MAC_R,
            None,
            0x86dd,
            &Ip6::new(src, dst, 60, payload).bytes(),
        )
    };
    for card in [NOTHING, ALL] {
        let mut setup = setup_r();
        // The card of the tests knows IPv6 without extensions.
        setup.cards = card_of(UPLINK, card);
        let mut host = setup.start();
        let meta = Meta {
            offload: Offload::PARTIAL,
            ..Meta::default()
        };
        host.wires[usize::from(EXCEPTION)].send_packet(Buffer::new(&frame(&payload)), meta);
        host.settle();
        assert_eq!(host.drain(UPLINK), [frame(&right)]);
        assert_eq!(counts(&host), [0, 0, 1, 0]);
    }
}

#[test]
fn a_driver_that_refuses_a_checksum_gets_a_finished_packet() {
    let host = &mut host(Way::Siit, ALL);
    host.wires[usize::from(UPLINK)].refuse_requests();
    let (packet, meta) = datagram(300).unfinished(Way::Siit);
    host.wires[1].send_packet(packet, meta);
    host.settle();
    assert_eq!(
        host.drain(UPLINK),
        carried_finished(Way::Siit, &[datagram(300)])
    );
}

#[test]
fn order_is_kept() {
    for card in CARDS {
        let messages: Vec<_> = (0..20)
            .map(|i| Message {
                sequence: i,
                ..match i % 4 {
                    0 => message(Some(900), 5000),
                    1 => message(None, 10),
                    2 => message(None, 0),
                    _ => datagram(20),
                }
            })
            .collect();
        let (_, got) = carried_unfinished(Way::Local, card, &messages);
        assert_eq!(got, carried_finished(Way::Local, &messages));
    }
}
