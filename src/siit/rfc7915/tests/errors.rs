//! ICMP errors and the packets inside: RFC 7915 sections 4.3 and 5.3.

use super::*;

/// What an IPv6 system sent to an IPv4 one, as both know it.
fn sent4(protocol: u8) -> ipv4::Header {
    ipv4::Header {
        src: four(EAM_A4),
        dst: four(OTHER4),
        ttl: 1,
        ..header4(protocol)
    }
}

/// The other way round.
fn sent6(next_header: u8) -> ipv6::Header {
    ipv6::Header {
        src: sixteen(OTHER6),
        dst: sixteen(EAM_A6),
        hop_limit: 1,
        ..header6(next_header)
    }
}

fn about4(inner: &[u8]) -> Vec<u8> {
    right(packet4(header4(1), &icmp(3, 1, 0, inner)))
}

fn about6(inner: &[u8]) -> Vec<u8> {
    right(packet6(header6(58), &icmp(1, 4, 0, inner)))
}

/// The translated inner packet.
fn inner6(inner: &[u8]) -> Vec<u8> {
    let there = six(&about4(inner));
    assert!(is_right(&there));
    there[48..].to_vec()
}

fn inner4(inner: &[u8]) -> Vec<u8> {
    let there = back(&about6(inner));
    assert!(is_right(&there));
    there[28..].to_vec()
}

#[test]
fn the_inner_packet_is_translated_but_its_ttl_not_spent() {
    let inner = inner6(&right(packet4(sent4(17), &udp(20))));
    let expected = ipv6::Header {
        traffic_class: 0xb8,
        flow_label: 0,
        payload_len: 28,
        next_header: 17,
        hop_limit: 1,
        src: sixteen(EAM_A6),
        dst: sixteen(OTHER6),
    };
    assert_eq!(ipv6::Header::parse(&inner), Ok(expected));
    assert!(is_right(&inner));
    let inner = inner4(&right(packet6(sent6(6), &tcp(20))));
    let expected = ipv4::Header {
        tos: 0xb8,
        total_len: 60,
        id: 0,
        reserved: false,
        df: false,
        mf: false,
        offset: 0,
        ttl: 1,
        protocol: 6,
        src: four(OTHER4),
        dst: four(EAM_A4),
        header_len: 20,
    };
    assert_eq!(ipv4::Header::parse(&inner), Ok(expected));
    assert!(is_right(&inner));
}

#[test]
fn a_wrong_checksum_stays_wrong() {
    let mut packet = about4(&packet4(sent4(17), &udp(20)));
    packet[22] ^= 4;
    assert!(!is_right(&six(&packet)));
    let mut packet = about6(&packet6(sent6(17), &udp(20)));
    packet[42] ^= 4;
    assert!(!is_right(&back(&packet)));
}

#[test]
fn inner_packets_are_cut_short_anywhere() {
    for (protocol, datagram) in [(6, tcp(90)), (17, udp(90)), (1, icmp(8, 0, 7, &[1; 90]))] {
        let whole = right(packet4(sent4(protocol), &datagram));
        let expected = inner6(&whole);
        for len in 20..whole.len() {
            let inner = inner6(&whole[..len]);
            let h = ipv6::Header::parse_quoted(&inner).unwrap();
            // Reckoned from the header.
            assert_eq!(usize::from(h.payload_len), datagram.len());
            assert_eq!(inner.len(), len + 20);
            let at = 40 + place(protocol).unwrap();
            let same = if inner.len() < at + 2 {
                at.min(inner.len())
            } else {
                inner.len()
            };
            assert_eq!(inner[..same], expected[..same], "{protocol} {len}");
        }
    }
    for (next_header, datagram) in [(6, tcp(90)), (17, udp(90)), (58, icmp(128, 0, 7, &[1; 90]))] {
        let whole = right(packet6(sent6(next_header), &datagram));
        let expected = inner4(&whole);
        for len in 40..whole.len() {
            let inner = inner4(&whole[..len]);
            let h = ipv4::Header::parse_unchecked(&inner).unwrap();
            assert_eq!(h.payload_len(), datagram.len());
            assert_eq!(inner.len(), len - 20);
            let at = 20 + place(next_header).unwrap();
            let same = if inner.len() < at + 2 {
                at.min(inner.len())
            } else {
                inner.len()
            };
            assert_eq!(inner[..same], expected[..same], "{next_header} {len}");
        }
    }
}

#[test]
fn inner_packets_without_a_whole_header_are_refused() {
    let rules = rules();
    let told = (Why::InnerUntranslatable, None);
    let inner = packet4(sent4(6), &tcp(0));
    for len in 0..20 {
        assert_eq!(refused(six_by(&about4(&inner[..len]), &rules)), told);
    }
    let options = with_options(sent4(6), &[1; 8], &tcp(0));
    assert_eq!(refused(six_by(&about4(&options[..27]), &rules)), told);
    assert!(six_by(&about4(&options[..28]), &rules).is_ok());
    for (at, value) in [(0, 0x65), (0, 0x44), (3, 19)] {
        let mut bad = inner.clone();
        bad[at] = value;
        assert_eq!(refused(six_by(&about4(&bad), &rules)), told);
    }
    let inner = packet6(sent6(6), &tcp(0));
    for len in 0..40 {
        assert_eq!(refused(four_by(&about6(&inner[..len]), &rules)), told);
    }
    let mut bad = inner.clone();
    bad[0] = 0x45;
    assert_eq!(refused(four_by(&about6(&bad), &rules)), told);
    // Longer than any IPv4 packet.
    let mut long = inner.clone();
    long[4..6].copy_from_slice(&[0xff, 0xec]);
    assert_eq!(refused(four_by(&about6(&long), &rules)), told);
    long[4..6].copy_from_slice(&[0xff, 0xeb]);
    assert!(four_by(&about6(&long), &rules).is_ok());
}

#[test]
fn inner_options_and_extension_headers_are_left_out() {
    let whole = right(packet4(sent4(17), &udp(20)));
    let options = with_options(sent4(17), &[7, 7, 4, 0, 0, 0, 0], &whole[20..]);
    assert_eq!(inner6(&options), inner6(&whole));
    let whole = right(packet6(sent6(17), &udp(20)));
    let chain = [
        &[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0],
        &whole[40..],
    ]
    .concat();
    assert_eq!(inner4(&packet6(sent6(0), &chain)), inner4(&whole));
    // Not to be read to their end, or with a way still to go.
    let told = (Why::InnerUntranslatable, None);
    let rules = rules();
    let packet = packet6(sent6(0), &chain);
    assert_eq!(refused(four_by(&about6(&packet[..52]), &rules)), told);
    let route = packet6(sent6(43), &[17, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(refused(four_by(&about6(&route), &rules)), told);
}

#[test]
fn inner_fragments_stay_fragments() {
    let h = ipv4::Header {
        df: false,
        mf: true,
        ..sent4(17)
    };
    let whole = right(packet4(sent4(17), &udp(20)));
    let first = inner6(&packet4(h, &whole[20..]));
    let fragment = ipv6::Fragment::parse(&first[40..]).unwrap();
    assert_eq!(
        (first[6], fragment.next_header, fragment.offset),
        (44, 17, 0)
    );
    assert_eq!((fragment.more, fragment.id), (true, 0x4444));
    assert_eq!(ipv6::Header::parse(&first).unwrap().payload_len, 36);
    // Its checksum is adjusted, as in the whole.
    assert_eq!(first[48..], inner6(&whole)[40..]);
    let later = ipv4::Header { offset: 9, ..h };
    let later = inner6(&packet4(later, &whole[20..]));
    assert_eq!(later[48..], whole[20..]);

    let whole = right(packet6(sent6(17), &udp(20)));
    for (offset, more, same) in [(0, true, false), (9, false, true), (0, false, false)] {
        let fragment = ipv6::Fragment {
            next_header: 17,
            offset,
            more,
            id: 0xfade_4444,
        };
        let payload = [&fragment.bytes(), &whole[40..]].concat();
        let inner = inner4(&packet6(sent6(44), &payload));
        let h = ipv4::Header::parse(&inner).unwrap();
        assert_eq!((h.offset, h.mf, h.df, h.id), (offset, more, false, 0x4444));
        let payload = &inner[20..];
        assert_eq!(payload == &whole[40..], same);
        assert_eq!(payload == &inner4(&whole)[20..], !same);
    }
}

#[test]
fn inner_fragments_of_icmp_change_their_type_alone() {
    let datagram = right(packet4(sent4(1), &icmp(8, 0, 7, &[1; 32])))[20..].to_vec();
    for (offset, mf, kind) in [(0, true, 128), (3, true, 8), (3, false, 8)] {
        let h = ipv4::Header {
            df: false,
            mf,
            offset,
            ..sent4(1)
        };
        let inner = inner6(&packet4(h, &datagram));
        assert_eq!((inner[40], inner[48]), (58, kind));
        assert_eq!(inner[49..], datagram[1..]);
    }
    for (offset, more, kind) in [(0, true, 0), (3, false, 129)] {
        let fragment = ipv6::Fragment {
            next_header: 58,
            offset,
            more,
            id: 1,
        };
        let payload = [&fragment.bytes()[..], &icmp(129, 0, 7, &[1; 32])].concat();
        let inner = inner4(&packet6(sent6(44), &payload));
        assert_eq!((inner[9], inner[20]), (1, kind));
        assert_eq!(inner[21..], payload[9..]);
    }
}

#[test]
fn inner_echoes_are_adjusted_and_errors_refused() {
    let rules = rules();
    let inner = inner6(&right(packet4(sent4(1), &icmp(8, 0, 7, &[1; 32]))));
    assert!(is_right(&inner) && inner[40] == 128);
    let inner = inner4(&right(packet6(sent6(58), &icmp(128, 0, 7, &[1; 32]))));
    assert!(is_right(&inner) && inner[20] == 8);
    for (kind, why) in [
        (3, Why::InnerError),
        (11, Why::InnerError),
        (5, Why::InnerError),
        (13, Why::InnerUntranslatable),
        (42, Why::InnerUntranslatable),
    ] {
        let packet = about4(&packet4(sent4(1), &icmp(kind, 0, 0, &[])));
        assert_eq!(refused(six_by(&packet, &rules)), (why, None));
    }
    for (kind, why) in [
        (1, Why::InnerError),
        (127, Why::InnerError),
        (135, Why::InnerUntranslatable),
    ] {
        let packet = about6(&packet6(sent6(58), &icmp(kind, 0, 0, &[])));
        assert_eq!(refused(four_by(&packet, &rules)), (why, None));
    }
}

#[test]
fn inner_udp_without_checksum_stays_without() {
    assert_eq!(inner6(&packet4(sent4(17), &udp(20)))[40..], udp(20));
    assert_eq!(inner4(&packet6(sent6(17), &udp(20)))[20..], udp(20));
}

#[test]
fn messages_are_cut_to_what_every_host_takes() {
    let whole = right(packet4(sent4(17), &udp(1400)));
    let packet = about4(&whole);
    let there = six(&packet);
    assert_eq!(there.len(), 1280);
    assert!(is_right(&there));
    assert_eq!(there[48..], inner6(&whole[..1212])[..]);
    // One byte less, one byte more.
    assert_eq!(six(&about4(&whole[..1211])).len(), 1279);
    assert_eq!(six(&about4(&whole[..1213])).len(), 1280);
    let whole = right(packet6(sent6(17), &udp(1400)));
    let there = back(&about6(&whole[..1232]));
    assert_eq!(there.len(), 576);
    assert!(is_right(&there));
    assert_eq!(there[28..], inner4(&whole[..568])[..]);
    assert_eq!(back(&about6(&whole[..567])).len(), 575);
    assert_eq!(back(&about6(&whole[..569])).len(), 576);
}

#[test]
fn errors_are_never_too_large() {
    let mut rules = rules();
    (rules.mtu4, rules.mtu6) = (300, 1280);
    let whole = right(packet4(sent4(17), &udp(1400)));
    assert_eq!(six_by(&about4(&whole), &rules).unwrap().len(), 1280);
    // For a narrow link they are cut: they say they may be.
    let whole = right(packet6(sent6(17), &udp(1400)));
    let packet = about6(&whole[..1232]);
    assert_eq!(to_ipv4(&packet, &cx(&rules)), Ok(Done::Cut));
    let cut = pieces_to_ipv4(&packet, &cx(&rules)).unwrap();
    let pieces: Vec<Vec<u8>> = cut.iter().map(|piece| piece.parts().concat()).collect();
    assert_eq!(pieces.len(), 2);
    let data: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece[20..].to_vec())
        .collect();
    assert_eq!(data, back(&packet)[20..]);
}

#[test]
fn the_outer_hop_limit_is_spent_and_nobody_told() {
    let rules = rules();
    let h = ipv4::Header {
        ttl: 1,
        ..header4(1)
    };
    let packet = right(packet4(h, &icmp(3, 1, 0, &packet4(sent4(6), &tcp(0)))));
    assert_eq!(refused(six_by(&packet, &rules)), (Why::TtlExceeded, None));
    let h = ipv6::Header {
        hop_limit: 1,
        ..header6(58)
    };
    let packet = right(packet6(h, &icmp(1, 4, 0, &packet6(sent6(6), &tcp(0)))));
    assert_eq!(refused(four_by(&packet, &rules)), (Why::TtlExceeded, None));
    assert_eq!(six(&about4(&packet4(sent4(6), &tcp(0))))[7], 63);
}
