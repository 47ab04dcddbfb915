//! Every row of the tables of RFC 7915 sections 4.2 and 5.2.

use super::*;
use crate::wire::icmpv6;

/// An error about a packet that went from the IPv6 system to the IPv4 one.
fn error4(kind: u8, code: u8, word: u32) -> Vec<u8> {
    let inner = ipv4::Header {
        src: four(EAM_A4),
        dst: four(V4),
        ..header4(6)
    };
    let inner = packet4(inner, &tcp(1440));
    right(packet4(header4(1), &icmp(kind, code, word, &inner[..100])))
}

fn error6(kind: u8, code: u8, word: u32) -> Vec<u8> {
    let inner = ipv6::Header {
        src: sixteen(V6),
        dst: sixteen(EAM_A6),
        ..header6(6)
    };
    let inner = packet6(inner, &tcp(1440));
    right(packet6(header6(58), &icmp(kind, code, word, &inner[..100])))
}

/// Type, code and word of the translation; its checksum must be right.
fn sort6(packet: &[u8], rules: &Rules) -> Option<(u8, u8, u32)> {
    let there = match six_by(packet, rules) {
        Ok(there) => there,
        Err(refusal) => {
            assert_eq!(refusal, Why::IcmpType.into());
            return None;
        }
    };
    assert!(is_right(&there));
    assert_eq!(there[6], 58);
    let message = icmpv6::Header::parse(&there[40..]).unwrap();
    Some((message.kind, message.code, message.word))
}

fn sort4(packet: &[u8], rules: &Rules) -> Option<(u8, u8, u32)> {
    let there = match four_by(packet, rules) {
        Ok(there) => there,
        Err(refusal) => {
            assert_eq!(refusal, Why::IcmpType.into());
            return None;
        }
    };
    assert!(is_right(&there));
    assert_eq!(there[9], 1);
    let message = icmpv6::Header::parse(&there[20..]).unwrap();
    Some((message.kind, message.code, message.word))
}

#[test]
fn queries_of_icmpv4() {
    let rules = rules();
    for kind in 0..=255 {
        if [3, 4, 5, 11, 12].contains(&kind) {
            continue;
        }
        let packet = right(packet4(header4(1), &icmp(kind, 0, 0x1234_0007, b"echo!")));
        let expected = match kind {
            8 => Some((128, 0, 0x1234_0007)),
            0 => Some((129, 0, 0x1234_0007)),
            _ => None,
        };
        assert_eq!(sort6(&packet, &rules), expected, "{kind}");
    }
    // Wrong stays wrong.
    let packet = packet4(header4(1), &icmp(8, 0, 0x1234_0007, b"echo!"));
    assert!(!is_right(&six(&packet)));
}

#[test]
fn queries_of_icmpv6() {
    let rules = rules();
    for kind in 128..=255 {
        let packet = right(packet6(header6(58), &icmp(kind, 0, 0x1234_0007, b"echo!")));
        let expected = match kind {
            128 => Some((8, 0, 0x1234_0007)),
            129 => Some((0, 0, 0x1234_0007)),
            _ => None,
        };
        assert_eq!(sort4(&packet, &rules), expected, "{kind}");
    }
    let packet = packet6(header6(58), &icmp(128, 0, 0x1234_0007, b"echo!"));
    assert!(!is_right(&back(&packet)));
}

#[test]
fn an_echo_reply_of_zeros_has_the_other_zero() {
    let rules = rules();
    let zeros = icmp(0, 0, 0, &[0; 9]);
    // With 0000 it is wrong in IPv4, with ffff right.
    let mut packet = packet4(header4(1), &zeros);
    assert!(!is_right(&packet) && !is_right(&six(&packet)));
    packet[22..24].fill(0xff);
    assert!(is_right(&packet) && is_right(&six(&packet)));
    let packet = right(packet6(header6(58), &icmp(129, 0, 0, &[0; 9])));
    let there = four_by(&packet, &rules).unwrap();
    assert!(is_right(&packet) && is_right(&there));
    assert_eq!(there[22..24], [0xff, 0xff]);
}

#[test]
fn unreachable_of_icmpv4() {
    let rules = rules();
    for code in 0..=255 {
        let expected = match code {
            0 | 1 | 5 | 6 | 7 | 8 | 11 | 12 => Some((1, 0, 0)),
            2 => Some((4, 1, 6)),
            3 => Some((1, 4, 0)),
            4 => Some((2, 0, 1420)),
            9 | 10 | 13 | 15 => Some((1, 1, 0)),
            _ => None,
        };
        assert_eq!(sort6(&error4(3, code, 1400), &rules), expected, "{code}");
    }
}

#[test]
fn other_errors_of_icmpv4() {
    let rules = rules();
    for code in 0..=255 {
        let there = sort6(&error4(11, code, 0), &rules);
        assert_eq!(there, Some((3, code, 0)));
        assert_eq!(sort6(&error4(4, code, 0), &rules), None);
        assert_eq!(sort6(&error4(5, code, 0), &rules), None);
        let expected = [0, 2].contains(&code).then_some((4, 0, 7));
        assert_eq!(sort6(&error4(12, code, 8 << 24), &rules), expected);
    }
    for pointer in 0..=255u32 {
        let expected = match pointer {
            0 => Some(0),
            1 => Some(1),
            2 | 3 => Some(4),
            8 => Some(7),
            9 => Some(6),
            12..=15 => Some(8),
            16..=19 => Some(24),
            _ => None,
        };
        for code in [0, 2] {
            let there = sort6(&error4(12, code, pointer << 24), &rules);
            assert_eq!(there, expected.map(|pointer| (4, 0, pointer)), "{pointer}");
        }
    }
}

#[test]
fn unreachable_of_icmpv6() {
    let rules = rules();
    for code in 0..=255 {
        let expected = match code {
            0 | 2 | 3 => Some((3, 1, 0)),
            1 => Some((3, 10, 0)),
            4 => Some((3, 3, 0)),
            _ => None,
        };
        assert_eq!(sort4(&error6(1, code, 0), &rules), expected, "{code}");
    }
}

#[test]
fn other_errors_of_icmpv6() {
    let rules = rules();
    for code in 0..=255 {
        let there = sort4(&error6(2, code, 1400), &rules);
        assert_eq!(there, Some((3, 4, 1380)));
        let there = sort4(&error6(3, code, 0), &rules);
        assert_eq!(there, Some((11, code, 0)));
        let expected = match code {
            0 => Some((12, 0, 8 << 24)),
            1 => Some((3, 2, 0)),
            _ => None,
        };
        assert_eq!(sort4(&error6(4, code, 7), &rules), expected, "{code}");
    }
    for kind in (0..128).filter(|kind| !(1..5).contains(kind)) {
        assert_eq!(sort4(&error6(kind, 0, 0), &rules), None, "{kind}");
    }
    for pointer in (0..300).chain([u32::MAX, 1 << 24]) {
        let expected = match pointer {
            0 => Some(0),
            1 => Some(1),
            4 | 5 => Some(2),
            6 => Some(9),
            7 => Some(8),
            8..=23 => Some(12),
            24..=39 => Some(16),
            _ => None,
        };
        let there = sort4(&error6(4, 0, pointer), &rules);
        assert_eq!(there, expected.map(|pointer: u32| (12, 0, pointer << 24)));
    }
}

#[test]
fn the_mtu_grows_with_the_header_and_is_never_below_1280() {
    let mut rules = rules();
    for (named, mtu4, mtu6, mtu) in [
        (1400, 1500, 1500, 1420),
        (1480, 1500, 1500, 1500),
        (1500, 1500, 9000, 1520),
        (1492, 1400, 9000, 1420),
        (1492, 9000, 1450, 1450),
        (1260, 1500, 1500, 1280),
        (1259, 1500, 1500, 1280),
        (576, 1500, 1500, 1280),
        (68, 1500, 1500, 1280),
        (1, 1500, 1500, 1280),
        (65535, 65535, 65535, 65535),
        (1492, 68, 1500, 1280),
    ] {
        (rules.mtu4, rules.mtu6) = (mtu4, mtu6);
        let there = sort6(&error4(3, 4, named), &rules);
        assert_eq!(there, Some((2, 0, mtu)), "{named} {mtu4} {mtu6}");
        // What stands before the MTU is not part of it.
        let there = sort6(&error4(3, 4, named | 0x1200_0000), &rules);
        assert_eq!(there, Some((2, 0, mtu)));
    }
}

#[test]
fn an_mtu_of_zero_is_guessed_from_the_plateaus() {
    let mut rules = rules();
    (rules.mtu4, rules.mtu6) = (9000, 9000);
    for (total_len, mtu) in [
        (1500u16, 1512),
        (1493, 1512),
        // Not the plateau that the packet has itself; the next is below 1280.
        (1492, 1280),
        (1280, 1280),
        (576, 1280),
        (2003, 2022),
        (2002, 1512),
        (8000, 4372),
        (65535, 9000),
    ] {
        let mut packet = error4(3, 4, 0);
        packet[30..32].copy_from_slice(&total_len.to_be_bytes());
        let packet = right(packet);
        let there = sort6(&packet, &rules);
        assert_eq!(there, Some((2, 0, mtu)), "{total_len}");
    }
    rules.mtu_plateaus.clear();
    let there = sort6(&error4(3, 4, 0), &rules);
    assert_eq!(there, Some((2, 0, 1280)));
}

#[test]
fn the_mtu_shrinks_with_the_header() {
    let mut rules = rules();
    for (named, mtu4, mtu6, mtu) in [
        (1400, 1500, 1500, 1380),
        (1280, 1500, 1500, 1260),
        (9000, 1500, 1500, 1480),
        (9000, 1300, 9000, 1300),
        (u32::MAX, 65535, 65535, 65515),
        (65536, 65535, 65535, 65515),
        // Below what IPv6 may name, but not below what IPv4 may.
        (1000, 1500, 1500, 980),
        (0, 1500, 1500, 68),
    ] {
        (rules.mtu4, rules.mtu6) = (mtu4, mtu6);
        let there = sort4(&error6(2, 0, named), &rules);
        assert_eq!(there, Some((3, 4, mtu)), "{named} {mtu4} {mtu6}");
    }
}

#[test]
fn the_mtu_leaves_room_for_a_fragment_header() {
    let mut rules = rules();
    let mut inner = fragment6(6, 0, true, &tcp(1000));
    inner[8..24].copy_from_slice(&sixteen(V6));
    inner[24..40].copy_from_slice(&sixteen(EAM_A6));
    let packet = |mtu| right(packet6(header6(58), &icmp(2, 0, mtu, &inner)));
    let there = sort4(&packet(1400), &rules);
    assert_eq!(there, Some((3, 4, 1372)));
    assert_eq!(sort4(&packet(9000), &rules), Some((3, 4, 1472)));
    rules.mtu4 = 1300;
    assert_eq!(sort4(&packet(1400), &rules), Some((3, 4, 1300)));
}

#[test]
fn fragments_of_icmp_are_dropped() {
    let rules = rules();
    let datagram = icmp(8, 0, 0, &[0x5a; 32]);
    for (mf, offset) in [(true, 0), (true, 5), (false, 5)] {
        let h = ipv4::Header {
            df: false,
            mf,
            offset,
            ..header4(1)
        };
        let told = (Why::IcmpFragment, TOLD4);
        assert_eq!(refused(six_by(&packet4(h, &datagram), &rules)), told);
        // Of ICMPv6 nobody is told.
        let packet = fragment6(58, offset, mf, &datagram);
        let told = (Why::IcmpFragment, None);
        assert_eq!(refused(four_by(&packet, &rules)), told);
    }
}

#[test]
fn atomic_fragments_of_icmpv6_are_whole() {
    let whole = right(packet6(header6(58), &icmp(128, 0, 7, &[0x5a; 32])));
    let atomic = fragment6(58, 0, false, &whole[40..]);
    let (expected, there) = (back(&whole), back(&atomic));
    assert!(is_right(&there));
    assert_eq!(there[20..], expected[20..]);
    assert_eq!(there[4..8], [0x44, 0x44, 0, 0]);
}

#[test]
fn short_messages_are_dropped() {
    let rules = rules();
    for len in 0..8 {
        for kind in [8, 3] {
            let packet = packet4(header4(1), &icmp(kind, 0, 0, &[])[..len]);
            assert_eq!(refused(six_by(&packet, &rules)), (Why::TooShort, TOLD4));
        }
        for kind in [128, 1] {
            let packet = packet6(header6(58), &icmp(kind, 0, 0, &[])[..len]);
            assert_eq!(refused(four_by(&packet, &rules)), (Why::TooShort, None));
        }
    }
    assert_eq!(
        six(&right(packet4(header4(1), &icmp(8, 0, 0, &[])))).len(),
        48
    );
}

#[test]
fn what_has_no_counterpart_is_so_whatever_it_quotes() {
    let rules = rules();
    for kind in [4, 5] {
        let packet = packet4(header4(1), &icmp(kind, 0, 0, b"no packet"));
        assert_eq!(refused(six_by(&packet, &rules)), (Why::IcmpType, None));
    }
    for kind in [0, 5, 100, 127] {
        let packet = packet6(header6(58), &icmp(kind, 0, 0, b"no packet"));
        assert_eq!(refused(four_by(&packet, &rules)), (Why::IcmpType, None));
    }
}
