//! Transport headers: RFC 7915 sections 4.5 and 5.5.

use super::*;

fn first4(h: ipv4::Header, payload: &[u8]) -> Vec<u8> {
    let h = ipv4::Header {
        df: false,
        mf: true,
        ..h
    };
    packet4(h, payload)
}

#[test]
fn right_stays_right_and_wrong_stays_wrong() {
    for (protocol, datagram) in [
        (6, tcp(0)),
        (6, tcp(33)),
        (17, udp(0)),
        (17, udp(33)),
        (136, udp(33)),
        (33, tcp(5)),
    ] {
        let there = right(packet4(header4(protocol), &datagram));
        let here = right(packet6(header6(protocol), &datagram));
        assert!(is_right(&six(&there)) && is_right(&back(&here)));
        let at = place(protocol).unwrap();
        for flip in [1, 0x80] {
            let (mut there, mut here) = (there.clone(), here.clone());
            there[20 + at] ^= flip;
            here[40 + at] ^= flip;
            assert!(!is_right(&six(&there)) && !is_right(&back(&here)));
        }
        // Nothing else of the datagram changes.
        let out = six(&there);
        assert_eq!(out[40..40 + at], there[20..20 + at]);
        assert_eq!(out[42 + at..], there[22 + at..]);
    }
}

#[test]
fn others_are_passed_on_as_they_are() {
    let bytes: Vec<u8> = (1..60).collect();
    for protocol in [132, 50, 47, 4, 41, 89, 255] {
        assert_eq!(six(&packet4(header4(protocol), &bytes))[40..], bytes);
        assert_eq!(back(&packet6(header6(protocol), &bytes))[20..], bytes);
    }
    // Also when they are too short for a checksum.
    for protocol in [33, 136] {
        for len in 0..8 {
            assert_eq!(
                six(&packet4(header4(protocol), &bytes[..len])).len(),
                40 + len
            );
            assert_eq!(
                back(&packet6(header6(protocol), &bytes[..len])).len(),
                20 + len
            );
        }
    }
    // UDP-Lite without checksum is wrong, and stays so.
    assert_eq!(six(&packet4(header4(136), &udp(4)))[40..], udp(4));
}

#[test]
fn a_computed_zero_of_udp_is_written_as_the_other() {
    // The data is chosen so that the IPv6 checksum is zero.
    let mut datagram = udp(2);
    datagram[8..].fill(0);
    let sum = |datagram: &[u8]| total(&sixteen(V6), &sixteen(EAM_A6), 17, datagram);
    let fill = !sum(&datagram);
    datagram[8..].copy_from_slice(&fill.to_be_bytes());
    assert_eq!(sum(&datagram), 0xffff);
    let packet = right(packet4(header4(17), &datagram));
    assert_ne!(packet[26..28], [0, 0]);
    assert_eq!(six(&packet)[46..48], [0xff, 0xff]);
    // And computed anew.
    assert_eq!(six(&packet4(header4(17), &datagram))[46..48], [0xff, 0xff]);
    // Back again it is what it was.
    let there = six(&packet);
    let mut swapped = there.clone();
    swapped[8..24].copy_from_slice(&there[24..40]);
    swapped[24..40].copy_from_slice(&there[8..24]);
    assert!(is_right(&swapped) && is_right(&back(&swapped)));
}

#[test]
fn udp_without_checksum_goes_by_rule() {
    let packet = packet4(header4(17), &udp(7));
    let mut rules = rules();
    let there = six_by(&packet, &rules).unwrap();
    assert!(is_right(&there) && there[46..48] != [0, 0]);
    // Only what UDP itself says is its own.
    let mut longer = udp(7);
    longer.extend([0x77; 5]);
    let there = six_by(&packet4(header4(17), &longer), &rules).unwrap();
    assert!(is_right(&there));
    assert_eq!(there.len(), 60);
    for bad in [0, 7, 16, 0xffff] {
        let mut datagram = udp(7);
        datagram[4..6].copy_from_slice(&u16::to_be_bytes(bad));
        let packet = packet4(header4(17), &datagram);
        assert_eq!(refused(six_by(&packet, &rules)), (Why::BadLength, TOLD4));
    }
    rules.udp_zero = UdpZero::Drop;
    let told = (Why::UdpZeroChecksum, TOLD4);
    assert_eq!(refused(six_by(&packet, &rules)), told);
    rules.udp_zero = UdpZero::Forward;
    assert_eq!(six_by(&packet, &rules).unwrap()[40..], udp(7));
}

#[test]
fn fragmented_udp_without_checksum_is_dropped() {
    let mut rules = rules();
    let first = first4(header4(17), &udp(8));
    for rule in [UdpZero::Compute, UdpZero::Drop] {
        rules.udp_zero = rule;
        let told = (Why::UdpZeroFragment, TOLD4);
        assert_eq!(refused(six_by(&first, &rules)), told);
    }
    rules.udp_zero = UdpZero::Forward;
    assert_eq!(six_by(&first, &rules).unwrap()[48..], udp(8));
}

#[test]
fn ipv6_udp_without_checksum_stays_without() {
    assert_eq!(back(&packet6(header6(17), &udp(7)))[20..], udp(7));
    let there = back(&fragment6(17, 0, true, &udp(8)));
    assert_eq!(there[20..], udp(8));
}

#[test]
fn transport_headers_must_be_whole() {
    let rules = rules();
    for (protocol, len) in [(6, 20), (17, 8)] {
        let mut bytes = [1; 20];
        bytes[4..6].copy_from_slice(&[0, 8]);
        for short in 0..len {
            let whole = packet4(header4(protocol), &bytes[..short]);
            assert_eq!(refused(six_by(&whole, &rules)), (Why::TooShort, TOLD4));
            let whole = packet6(header6(protocol), &bytes[..short]);
            assert_eq!(refused(four_by(&whole, &rules)), (Why::TooShort, TOLD6));
            let first = first4(header4(protocol), &bytes[..short]);
            let told = (Why::FirstFragmentTooShort, TOLD4);
            assert_eq!(refused(six_by(&first, &rules)), told);
            let first = fragment6(protocol, 0, true, &bytes[..short]);
            let told = (Why::FirstFragmentTooShort, TOLD6);
            assert_eq!(refused(four_by(&first, &rules)), told);
        }
        assert!(six_by(&first4(header4(protocol), &bytes[..len]), &rules).is_ok());
        assert!(four_by(&fragment6(protocol, 0, true, &bytes[..len]), &rules).is_ok());
    }
}

#[test]
fn first_fragments_are_adjusted_and_later_ones_not() {
    for (protocol, datagram) in [(6, tcp(60)), (17, udp(72))] {
        let at = place(protocol).unwrap();
        let whole = right(packet4(header4(protocol), &datagram));
        let expected = six(&whole);
        let first = six(&first4(header4(protocol), &whole[20..60]));
        let later = ipv4::Header {
            df: false,
            offset: 5,
            ..header4(protocol)
        };
        let later = six(&packet4(later, &whole[60..]));
        assert_eq!(first[48..], expected[40..80]);
        assert_ne!(first[48 + at..50 + at], whole[20 + at..22 + at]);
        assert_eq!(later[48..], whole[60..]);
        // And the other way.
        let whole = right(packet6(header6(protocol), &datagram));
        let expected = back(&whole);
        let first = back(&fragment6(protocol, 0, true, &whole[40..80]));
        let later = back(&fragment6(protocol, 5, false, &whole[80..]));
        assert_eq!(first[20..], expected[20..60]);
        assert_eq!(later[20..], whole[80..]);
    }
    // Even where a checksum would lie, in a fragment that begins with it.
    let later = ipv4::Header {
        df: false,
        offset: 1,
        ..header4(6)
    };
    assert_eq!(six(&packet4(later, &tcp(0)))[48..], tcp(0));
}
