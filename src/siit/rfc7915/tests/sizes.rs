//! Fragments and sizes: RFC 7915 sections 4.1, 5.1 and 5.1.1, RFC 6946, 8021.

use super::*;

/// The pieces as packets.
fn pieces(cut: Result<Pieces<'_>, Refusal>) -> Vec<Vec<u8>> {
    cut.unwrap()
        .iter()
        .map(|piece| piece.parts().concat())
        .collect()
}

/// Puts IPv6 fragments together: their data, and the ID they all bear.
fn together6(pieces: &[Vec<u8>], mtu: usize) -> (Vec<u8>, u32) {
    let mut data = Vec::new();
    let mut ids = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= mtu);
        let h = ipv6::Header::parse(piece).unwrap();
        assert_eq!(usize::from(h.payload_len) + 40, piece.len());
        assert_eq!(h.next_header, 44);
        let fragment = ipv6::Fragment::parse(&piece[40..]).unwrap();
        assert_eq!(usize::from(fragment.offset) * 8, data.len());
        assert_eq!(fragment.more, i + 1 < pieces.len());
        data.extend(&piece[48..]);
        ids.push(fragment.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    (data, ids[0])
}

fn together4(pieces: &[Vec<u8>], mtu: usize) -> (Vec<u8>, u16) {
    let mut data = Vec::new();
    let mut ids = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= mtu);
        let h = ipv4::Header::parse(piece).unwrap();
        assert_eq!(usize::from(h.total_len), piece.len());
        assert_eq!(usize::from(h.offset) * 8, data.len());
        assert_eq!((h.mf, h.df), (i + 1 < pieces.len(), false));
        data.extend(&piece[20..]);
        ids.push(h.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    (data, ids[0])
}

fn may_be_cut(protocol: u8) -> ipv4::Header {
    ipv4::Header {
        df: false,
        ..header4(protocol)
    }
}

#[test]
fn ipv4_fragments_become_ipv6_fragments() {
    for (mf, offset) in [(true, 0), (true, 185), (false, 370), (false, 8100)] {
        let h = ipv4::Header {
            mf,
            offset,
            ..may_be_cut(17)
        };
        let there = six(&right(packet4(h, &udp(40))));
        let header = ipv6::Header::parse(&there).unwrap();
        assert_eq!((header.next_header, header.payload_len), (44, 56));
        let expected = ipv6::Fragment {
            next_header: 17,
            offset,
            more: mf,
            id: 0x4444,
        };
        assert_eq!(ipv6::Fragment::parse(&there[40..]), Some(expected));
    }
    // DF is no reason for a Fragment header, nor is its absence.
    assert_eq!(six(&packet4(may_be_cut(6), &tcp(0)))[6], 6);
}

#[test]
fn ipv6_fragments_become_ipv4_fragments() {
    // The third is atomic.
    for (more, offset) in [(true, 0), (true, 185), (false, 0), (false, 8000)] {
        let there = back(&fragment6(17, offset, more, &udp(1400)));
        let h = ipv4::Header::parse(&there).unwrap();
        assert_eq!((h.mf, h.offset, h.df, h.id), (more, offset, false, 0x4444));
        assert_eq!((h.protocol, h.total_len), (17, 1428));
    }
    // Behind other headers.
    let mut payload = vec![44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 9, 0, 0, 0, 7];
    payload.extend([0x5a; 24]);
    let there = back(&packet6(header6(0), &payload));
    let h = ipv4::Header::parse(&there).unwrap();
    assert_eq!((h.offset, h.mf, h.id, h.total_len), (1, true, 7, 44));
}

#[test]
fn headers_in_fragments_are_refused() {
    let rules = rules();
    for next_header in [0, 43, 44, 51, 60, 135, 139, 140] {
        for (offset, more) in [(0, true), (5, false), (0, false)] {
            let packet = fragment6(next_header, offset, more, &[1; 40]);
            let told = (Why::FragmentedExtensions, TOLD6);
            assert_eq!(refused(four_by(&packet, &rules)), told, "{next_header}");
        }
    }
    assert_eq!(back(&fragment6(50, 0, true, &[1; 40]))[9], 50);
}

#[test]
fn fragments_beyond_the_end_of_a_packet() {
    let rules = rules();
    // 8191 * 8 + 20 + 20 is beyond 65,535; 8186 * 8 + 20 + 20 is not.
    let h = |offset| ipv4::Header {
        offset,
        ..may_be_cut(6)
    };
    assert!(six_by(&packet4(h(8186), &tcp(0)), &rules).is_ok());
    let packet = packet4(h(8187), &tcp(0));
    assert_eq!(refused(six_by(&packet, &rules)), (Why::BadFragment, None));
    assert!(four_by(&fragment6(6, 8186, false, &tcp(0)), &rules).is_ok());
    let packet = fragment6(6, 8187, false, &tcp(0));
    assert_eq!(refused(four_by(&packet, &rules)), (Why::BadFragment, TOLD6));
}

#[test]
fn large_ipv4_packets_not_to_be_cut_are_told_the_mtu() {
    let mut rules = rules();
    let told = |mtu| (Why::TooBig, Some((3, 4, mtu)));
    assert!(six_by(&packet4(header4(6), &tcp(1440)), &rules).is_ok());
    let packet = packet4(header4(6), &tcp(1441));
    assert_eq!(refused(six_by(&packet, &rules)), told(1480));
    // A fragment needs room for its header.
    let mut h = ipv4::Header {
        mf: true,
        ..header4(6)
    };
    assert!(six_by(&packet4(h, &tcp(1432)), &rules).is_ok());
    let packet = packet4(h, &tcp(1433));
    assert_eq!(refused(six_by(&packet, &rules)), told(1472));
    // What the sender is told, it can do: options count for it as well.
    h.mf = false;
    let packet = with_options(h, &[1; 8], &tcp(1433));
    assert_eq!(refused(six_by(&packet, &rules)), told(1480));
    assert!(six_by(&with_options(h, &[1; 8], &tcp(1432)), &rules).is_ok());
    rules.mtu4 = 1400;
    let packet = packet4(header4(6), &tcp(1460));
    // Whatever the link takes that it came by.
    assert_eq!(refused(six_by(&packet, &rules)), told(1480));
    (rules.mtu4, rules.mtu6) = (9000, 9000);
    assert!(six_by(&packet4(header4(6), &tcp(8940)), &rules).is_ok());
    let packet = packet4(header4(6), &tcp(8941));
    assert_eq!(refused(six_by(&packet, &rules)), told(8980));
}

#[test]
fn large_ipv4_packets_are_cut() {
    let mut rules = rules();
    for (lowest, mtu6, most, uncut) in [
        (1280, 1500, 1280, 1232),
        (1400, 1500, 1400, 1352),
        (9000, 1500, 1500, 1452),
    ] {
        (rules.lowest_ipv6_mtu, rules.mtu6) = (lowest, mtu6);
        let cx = cx(&rules);
        let fitting = packet4(may_be_cut(17), &udp(most - 48));
        assert_eq!(six_by(&fitting, &rules).unwrap().len(), most);
        for data_len in [most - 47, 4000, 65_507] {
            let whole = right(packet4(may_be_cut(17), &udp(data_len)));
            assert_eq!(to_ipv6(&whole, &cx), Ok(Done::Cut));
            let pieces = pieces(pieces_to_ipv6(&whole, &cx));
            let (data, id) = together6(&pieces, most);
            assert_eq!((data.len(), id), (8 + data_len, 0x4444));
            assert_eq!(total(&sixteen(V6), &sixteen(EAM_A6), 17, &data), 0xffff);
            assert_eq!(data[8..], whole[28..]);
            assert_eq!(pieces[0].len() - 48, uncut & !7);
            assert_eq!(pieces[0][7], 63);
        }
    }
}

#[test]
fn a_checksum_is_computed_before_the_packet_is_cut() {
    let rules = rules();
    let whole = packet4(may_be_cut(17), &udp(5000));
    let (data, _) = together6(&pieces(pieces_to_ipv6(&whole, &cx(&rules))), 1280);
    assert_eq!(total(&sixteen(V6), &sixteen(EAM_A6), 17, &data), 0xffff);
    assert_ne!(data[6..8], [0, 0]);
}

#[test]
fn a_long_echo_is_cut_after_it_was_translated() {
    let rules = rules();
    let whole = right(packet4(may_be_cut(1), &icmp(8, 0, 7, &[0x5a; 3000])));
    let (data, _) = together6(&pieces(pieces_to_ipv6(&whole, &cx(&rules))), 1280);
    assert_eq!(data[0], 128);
    assert_eq!(total(&sixteen(V6), &sixteen(EAM_A6), 58, &data), 0xffff);
}

#[test]
fn fragments_are_cut_again() {
    let rules = rules();
    let h = ipv4::Header {
        mf: true,
        offset: 185,
        ..may_be_cut(17)
    };
    let data: Vec<u8> = (0..1480).map(|at| at as u8).collect();
    let packet = packet4(h, &data);
    assert_eq!(to_ipv6(&packet, &cx(&rules)), Ok(Done::Cut));
    let cut = pieces(pieces_to_ipv6(&packet, &cx(&rules)));
    let fragments: Vec<_> = cut
        .iter()
        .map(|piece| ipv6::Fragment::parse(&piece[40..]).unwrap())
        .map(|fragment| (fragment.offset, fragment.more, fragment.id))
        .collect();
    assert_eq!(fragments, [(185, true, 0x4444), (339, true, 0x4444)]);
    assert_eq!([&cut[0][48..], &cut[1][48..]].concat(), data);
    // The last one stays the last.
    let packet = packet4(ipv4::Header { mf: false, ..h }, &data);
    let cut = pieces(pieces_to_ipv6(&packet, &cx(&rules)));
    let last = ipv6::Fragment::parse(&cut[1][40..]).unwrap();
    assert!(!last.more);
}

#[test]
fn what_fits_is_one_piece() {
    let rules = rules();
    let packet = right(packet4(header4(17), &udp(9)));
    let one = pieces(pieces_to_ipv6(&packet, &cx(&rules)));
    assert_eq!(one, [six(&packet)]);
    let packet = packet4(header4(99), &[]);
    let one = pieces(pieces_to_ipv6(&packet, &cx(&rules)));
    assert_eq!(one, [six(&packet)]);
    let packet = right(packet6(header6(17), &udp(9)));
    let one = pieces(pieces_to_ipv4(&packet, &cx(&rules)));
    assert_eq!(one, [back(&packet)]);
}

#[test]
fn packets_up_to_1260_may_be_cut_later() {
    for (payload_len, df) in [(1220, false), (1240, false), (1241, true), (1480, true)] {
        let there = back(&packet6(header6(6), &tcp(payload_len - 20)));
        let h = ipv4::Header::parse(&there).unwrap();
        assert_eq!((h.df, h.id), (df, 0x1d1d), "{payload_len}");
    }
    // With extension headers the result counts.
    let mut payload = vec![6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    payload.extend(tcp(1220));
    let there = back(&packet6(header6(60), &payload));
    assert!(!ipv4::Header::parse(&there).unwrap().df);
}

#[test]
fn large_ipv6_packets_are_told_the_mtu() {
    let mut rules = rules();
    let told = |mtu| (Why::TooBig, Some((2, 0, mtu)));
    for (mtu4, mtu6, mtu) in [
        (1400, 1500, 1420),
        (1280, 1500, 1300),
        (1260, 1500, 1280),
        (576, 1500, 1280),
        (1490, 1500, 1510),
        (9000, 1500, 9020),
    ] {
        (rules.mtu4, rules.mtu6) = (mtu4, mtu6);
        let len = usize::from(mtu4).max(1260);
        let fitting = packet6(header6(6), &tcp(len - 40));
        assert!(to_ipv4(&fitting, &cx(&rules)).is_ok(), "{mtu4}");
        let packet = packet6(header6(6), &tcp(len - 39));
        assert_eq!(refused(four_by(&packet, &rules)), told(mtu));
    }
    // Longer than any IPv4 packet.
    (rules.mtu4, rules.mtu6) = (u16::MAX, u16::MAX);
    assert!(four_by(&packet6(header6(6), &tcp(65_495)), &rules).is_ok());
    let packet = packet6(header6(6), &tcp(65_496));
    assert_eq!(refused(four_by(&packet, &rules)), told(65_555));
}

#[test]
fn small_ipv6_packets_are_cut_for_narrow_links() {
    let mut rules = rules();
    for mtu4 in [1259, 1000, 576, 68, 0] {
        rules.mtu4 = mtu4;
        let cx = cx(&rules);
        let most = usize::from(mtu4.max(68));
        let whole = right(packet6(header6(17), &udp(1232)));
        assert_eq!(to_ipv4(&whole, &cx), Ok(Done::Cut));
        let (data, id) = together4(&pieces(pieces_to_ipv4(&whole, &cx)), most);
        assert_eq!((data.len(), id), (1240, 0x1d1d));
        assert_eq!(
            total(&four(EAM_A4).bytes(), &four(V4).bytes(), 17, &data),
            0xffff
        );
        assert_eq!(data[8..], whole[48..]);
    }
    // Fragments are cut whatever their size, and keep their ID.
    rules.mtu4 = 1400;
    let packet = fragment6(17, 0, false, &udp(1440));
    assert_eq!(to_ipv4(&packet, &cx(&rules)), Ok(Done::Cut));
    let (data, id) = together4(&pieces(pieces_to_ipv4(&packet, &cx(&rules))), 1400);
    assert_eq!((data, id), (udp(1440), 0x4444));
}

#[test]
fn pieces_of_an_ipv6_fragment_stay_in_its_place() {
    let mut rules = rules();
    rules.mtu4 = 576;
    let data: Vec<u8> = (0..1000).map(|at| at as u8).collect();
    for more in [true, false] {
        let packet = fragment6(17, 5, more, &data);
        let cut = pieces(pieces_to_ipv4(&packet, &cx(&rules)));
        let headers: Vec<_> = cut
            .iter()
            .map(|piece| ipv4::Header::parse(piece).unwrap())
            .map(|h| (h.offset, h.mf, h.df, h.id))
            .collect();
        let expected = [(5, true, false, 0x4444), (74, more, false, 0x4444)];
        assert_eq!(headers, expected);
        assert_eq!([&cut[0][20..], &cut[1][20..]].concat(), data);
    }
}
