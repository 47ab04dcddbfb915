//! Headers by themselves: RFC 7915 sections 4.1 and 5.1.

use super::*;

#[test]
fn an_ipv4_header_becomes_an_ipv6_header() {
    let there = six(&right(packet4(header4(17), &udp(9))));
    let expected = ipv6::Header {
        traffic_class: 0xb8,
        flow_label: 0,
        payload_len: 17,
        next_header: 17,
        hop_limit: 63,
        src: sixteen(V6),
        dst: sixteen(EAM_A6),
    };
    assert_eq!(ipv6::Header::parse(&there), Ok(expected));
    assert_eq!(there.len(), 57);
    assert!(is_right(&there));
    assert_eq!(there[48..], udp(9)[8..]);
}

#[test]
fn an_ipv6_header_becomes_an_ipv4_header() {
    let there = back(&right(packet6(header6(17), &udp(9))));
    let expected = ipv4::Header {
        tos: 0xb8,
        total_len: 37,
        id: 0x1d1d,
        reserved: false,
        df: false,
        mf: false,
        offset: 0,
        ttl: 63,
        protocol: 17,
        src: four(EAM_A4),
        dst: four(V4),
        header_len: 20,
    };
    assert_eq!(ipv4::Header::parse(&there), Ok(expected));
    assert_eq!(there.len(), 37);
    assert!(is_right(&there));
    assert_eq!(there[28..], udp(9)[8..]);
}

#[test]
fn padding_of_the_frame_is_left_behind() {
    let mut packet = right(packet4(header4(17), &udp(0)));
    packet.resize(46, 0xa5);
    assert_eq!(six(&packet).len(), 48);
    let mut packet = right(packet6(header6(17), &udp(0)));
    packet.resize(60, 0xa5);
    assert_eq!(back(&packet).len(), 28);
}

#[test]
fn tos_and_traffic_class_are_set_by_rule() {
    let mut rules = rules();
    (rules.traffic_class, rules.tos) = (ClassRule::Set(0), ClassRule::Set(0x2e));
    let there = six_by(&packet4(header4(6), &tcp(0)), &rules).unwrap();
    assert_eq!(ipv6::Header::parse(&there).unwrap().traffic_class, 0);
    let there = four_by(&packet6(header6(6), &tcp(0)), &rules).unwrap();
    assert_eq!(ipv4::Header::parse(&there).unwrap().tos, 0x2e);
}

#[test]
fn every_protocol_is_passed_on() {
    for protocol in 0..=255 {
        let packet = packet4(header4(protocol), &[1; 40]);
        if [1, 2].contains(&protocol) {
            continue;
        }
        let there = six(&packet);
        assert_eq!(there[6], protocol);
    }
    for next_header in 0..=255 {
        // The three that are walked over, and ICMPv6.
        if [0, 43, 44, 58, 60].contains(&next_header) {
            continue;
        }
        let there = back(&packet6(header6(next_header), &[1; 40]));
        assert_eq!((there[9], there.len()), (next_header, 60));
    }
}

#[test]
fn igmp_is_dropped_silently() {
    let packet = packet4(header4(2), &[0x16, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(refused(six_by(&packet, &rules())), (Why::IcmpType, None));
}

#[test]
fn malformed_ipv4_is_dropped_silently() {
    let packet = packet4(header4(17), &udp(8));
    let rules = rules();
    let why = |packet: &[u8]| refused(six_by(packet, &rules));
    for len in 0..packet.len() {
        let expected = if len < 20 {
            Why::TooShort
        } else {
            Why::BadLength
        };
        assert_eq!(why(&packet[..len]), (expected, None));
    }
    let mut bad = packet.clone();
    bad[0] = 0x65;
    assert_eq!(why(&bad), (Why::BadVersion, None));
    bad[0] = 0x44;
    assert_eq!(why(&bad), (Why::BadHeaderLength, None));
    let mut bad = packet.clone();
    bad[3] = 19;
    seal4(&mut bad);
    assert_eq!(why(&bad), (Why::BadLength, None));
    let mut bad = packet.clone();
    bad[1] ^= 1;
    assert_eq!(why(&bad), (Why::BadHeaderChecksum, None));
}

#[test]
fn malformed_ipv6_is_dropped_and_extensions_told() {
    let packet = packet6(header6(17), &udp(8));
    let rules = rules();
    let why = |packet: &[u8]| refused(four_by(packet, &rules));
    for len in 0..packet.len() {
        let expected = if len < 40 {
            Why::TooShort
        } else {
            Why::BadLength
        };
        assert_eq!(why(&packet[..len]), (expected, None));
    }
    let mut bad = packet.clone();
    bad[0] = 0x45;
    assert_eq!(why(&bad), (Why::BadVersion, None));
    // Extension headers beyond the payload, though not beyond the bytes.
    for (next_header, payload, pointer) in [
        (60, &[17, 1, 0, 0, 0, 0, 0, 0][..], 41),
        (60, &[60, 0, 0, 0, 0, 0, 0, 0, 17, 0], 49),
        (0, &[17, 0, 0], 41),
        (44, &[17, 0, 0, 0, 0, 0, 0], 40),
        (43, &[17, 0], 41),
    ] {
        let mut packet = packet6(header6(next_header), payload);
        packet.extend([0; 40]);
        let told = (Why::BadExtensions, Some((4, 0, pointer)));
        assert_eq!(why(&packet), told, "{next_header}");
    }
}

#[test]
fn options_are_left_out_but_for_source_routes() {
    let rules = rules();
    let datagram = &right(packet4(header4(17), &udp(4)))[20..];
    let plain = six(&packet4(header4(17), datagram));
    // Record route, timestamp, router alert; a source route that is used up.
    for options in [
        &[7, 7, 4, 0, 0, 0, 0][..],
        &[68, 8, 5, 0, 0, 0, 0, 0],
        &[148, 4, 0, 0],
        &[131, 7, 8, 10, 0, 0, 1],
        &[1, 137, 7, 8, 10, 0, 0, 1],
        &[0, 131, 1, 1],
    ] {
        let packet = with_options(header4(17), options, datagram);
        assert_eq!(six_by(&packet, &rules).unwrap(), plain, "{options:?}");
    }
    for kind in [131, 137] {
        let packet = with_options(header4(17), &[1, kind, 7, 4, 10, 0, 0, 1], datagram);
        let told = (Why::SourceRoute, Some((3, 5, 0)));
        assert_eq!(refused(six_by(&packet, &rules)), told);
    }
    for options in [&[7, 1][..], &[7, 99], &[7, 0], &[131, 2], &[131], &[7]] {
        let mut packet = with_options(header4(17), &[1, 1, 1, 1], datagram);
        let at = 24 - options.len();
        packet[at..24].copy_from_slice(options);
        seal4(&mut packet);
        assert_eq!(six_by(&packet, &rules).unwrap(), plain, "{options:?}");
    }
    // A route that is found before what cannot be read, or is itself cut.
    for options in [
        &[131, 3, 1, 7, 99, 0, 0, 0][..],
        &[1, 137, 11, 4, 10, 0, 0, 1],
    ] {
        let packet = with_options(header4(17), options, datagram);
        let told = (Why::SourceRoute, Some((3, 5, 0)));
        assert_eq!(refused(six_by(&packet, &rules)), told, "{options:?}");
    }
}

#[test]
fn ttl_and_hop_limit_are_spent() {
    let rules = rules();
    for (ttl, left) in [(0, None), (1, None), (2, Some(1)), (255, Some(254))] {
        let h = ipv4::Header { ttl, ..header4(6) };
        let there = six_by(&packet4(h, &tcp(0)), &rules);
        match left {
            Some(left) => assert_eq!(there.unwrap()[7], left),
            None => assert_eq!(refused(there), (Why::TtlExceeded, Some((11, 0, 0)))),
        }
        let h = ipv6::Header {
            hop_limit: ttl,
            ..header6(6)
        };
        let there = four_by(&packet6(h, &tcp(0)), &rules);
        match left {
            Some(left) => assert_eq!(there.unwrap()[8], left),
            None => assert_eq!(refused(there), (Why::TtlExceeded, Some((3, 0, 0)))),
        }
    }
    // Of echo too: that is how routes are traced.
    let h = ipv6::Header {
        hop_limit: 1,
        ..header6(58)
    };
    let echo = packet6(h, &icmp(128, 0, 0, &[]));
    let told = (Why::TtlExceeded, Some((3, 0, 0)));
    assert_eq!(refused(four_by(&echo, &rules)), told);
}

#[test]
fn extension_headers_are_left_out() {
    let datagram = &right(packet6(header6(17), &udp(4)))[40..];
    let plain = back(&packet6(header6(17), datagram));
    let chain = |first: u8, headers: &[u8]| {
        let payload = [headers, datagram].concat();
        packet6(header6(first), &payload)
    };
    let hop_by_hop = chain(0, &[17, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(back(&hop_by_hop), plain);
    // An option that hosts must refuse is nothing to a translator.
    let options = chain(60, &[17, 0, 0xc7, 4, 0, 0, 0, 0]);
    assert_eq!(back(&options), plain);
    let mut all = vec![43, 0, 1, 4, 0, 0, 0, 0];
    all.extend([60, 2, 0, 0]);
    all.extend([0; 20]);
    all.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(back(&chain(0, &all)), plain);
}

#[test]
fn a_route_with_segments_left_is_told_by_pointer() {
    let rules = rules();
    for (first, headers, pointer) in [
        (43, &[17, 0, 4, 1, 0, 0, 0, 0][..], 43),
        (0, &[43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 2, 200, 0, 0, 0, 0], 51),
    ] {
        let payload = [headers, &udp(4)].concat();
        let packet = packet6(header6(first), &payload);
        let told = (Why::SegmentsLeft, Some((4, 0, pointer)));
        assert_eq!(refused(four_by(&packet, &rules)), told);
    }
}

#[test]
fn authentication_and_encryption_are_protocols() {
    // AH before TCP: TCP is not looked into.
    let mut ah = vec![6, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    ah.extend([0xa5; 12]);
    ah.extend(tcp(4));
    let there = back(&packet6(header6(51), &ah));
    assert_eq!((there[9], &there[20..]), (51, &ah[..]));
    let there = back(&packet6(header6(50), &ah));
    assert_eq!((there[9], &there[20..]), (50, &ah[..]));
    let there = six(&packet4(header4(51), &ah));
    assert_eq!((there[6], &there[40..]), (51, &ah[..]));
}
