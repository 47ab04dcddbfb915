//! Addresses: RFC 7915 section 6, RFC 7757 section 4, RFC 6791.

use super::*;

fn ends4(src: &str, dst: &str) -> ipv4::Header {
    ipv4::Header {
        src: four(src),
        dst: four(dst),
        ..header4(17)
    }
}

fn ends6(src: &str, dst: &str) -> ipv6::Header {
    ipv6::Header {
        src: sixteen(src),
        dst: sixteen(dst),
        ..header6(17)
    }
}

#[test]
fn addresses_that_cannot_be_translated() {
    let rules = rules();
    for (src, dst, expected) in [
        (DENIED4, EAM_A4, (Why::Denied, TOLD4)),
        (V4, DENIED4, (Why::Denied, TOLD4)),
        (UNMAPPED4, EAM_A4, (Why::SourceUnmapped, TOLD4)),
        (V4, UNMAPPED4, (Why::DestinationUnmapped, TOLD4)),
        ("127.0.0.1", EAM_A4, (Why::IllegalSource, None)),
        ("0.0.0.0", EAM_A4, (Why::IllegalSource, None)),
        ("224.0.0.1", EAM_A4, (Why::IllegalSource, None)),
        (V4, "127.0.0.1", (Why::IllegalDestination, TOLD4)),
        (V4, "224.0.0.1", (Why::IllegalDestination, TOLD4)),
        // The source first.
        ("127.0.0.1", UNMAPPED4, (Why::IllegalSource, None)),
    ] {
        let packet = packet4(ends4(src, dst), &udp(1));
        assert_eq!(refused(six_by(&packet, &rules)), expected, "{src} {dst}");
    }
    for (src, dst, expected) in [
        (DENIED6, V6, (Why::Denied, TOLD6)),
        (EAM_A6, DENIED6, (Why::Denied, TOLD6)),
        (ROUTER6, V6, (Why::SourceUnmapped, TOLD6)),
        (EAM_A6, ROUTER6, (Why::DestinationUnmapped, TOLD6)),
        ("::1", V6, (Why::IllegalSource, None)),
        ("::", V6, (Why::IllegalSource, None)),
        ("ff02::1", V6, (Why::IllegalSource, None)),
        ("64:ff9b::7f00:1", V6, (Why::IllegalSource, None)),
        (EAM_A6, "64:ff9b::7f00:1", (Why::IllegalDestination, TOLD6)),
        ("::1", ROUTER6, (Why::IllegalSource, None)),
    ] {
        let packet = packet6(ends6(src, dst), &udp(1));
        assert_eq!(refused(four_by(&packet, &rules)), expected, "{src} {dst}");
    }
    // ICMPv6 is not answered with "prohibited".
    let h = ipv6::Header {
        next_header: 58,
        ..ends6(EAM_A6, ROUTER6)
    };
    let echo = packet6(h, &icmp(128, 0, 0, &[]));
    let told = (Why::DestinationUnmapped, None);
    assert_eq!(refused(four_by(&echo, &rules)), told);
}

/// An ICMP error between these, about a packet between those.
fn error4((src, dst): (&str, &str), (from, to): (&str, &str)) -> Vec<u8> {
    let inner = packet4(ends4(from, to), &udp(9));
    let h = ipv4::Header {
        protocol: 1,
        ..ends4(src, dst)
    };
    right(packet4(h, &icmp(3, 1, 0, &inner)))
}

fn error6((src, dst): (&str, &str), (from, to): (&str, &str)) -> Vec<u8> {
    let inner = right(packet6(ends6(from, to), &udp(9)));
    let h = ipv6::Header {
        next_header: 58,
        ..ends6(src, dst)
    };
    right(packet6(h, &icmp(1, 4, 0, &inner)))
}

#[test]
fn inner_addresses_that_cannot_be_translated() {
    let rules = rules();
    for (inner, why) in [
        ((DENIED4, V4), Why::Denied),
        ((EAM_A4, DENIED4), Why::Denied),
        ((EAM_A4, UNMAPPED4), Why::InnerUntranslatable),
        ((UNMAPPED4, V4), Why::InnerUntranslatable),
        ((EAM_A4, "127.0.0.1"), Why::InnerUntranslatable),
    ] {
        let packet = error4((V4, EAM_A4), inner);
        assert_eq!(refused(six_by(&packet, &rules)), (why, None));
    }
    for (inner, why) in [
        ((DENIED6, EAM_A6), Why::Denied),
        ((V6, DENIED6), Why::Denied),
        ((V6, ROUTER6), Why::InnerUntranslatable),
        ((ROUTER6, EAM_A6), Why::InnerUntranslatable),
        (("::1", EAM_A6), Why::InnerUntranslatable),
    ] {
        let packet = error6((EAM_A6, V6), inner);
        assert_eq!(refused(four_by(&packet, &rules)), (why, None));
    }
}

#[test]
fn errors_of_sources_without_address_get_another() {
    let rules = rules();
    // Also of illegal ones: their errors may still tell something.
    for src in [UNMAPPED4, "127.0.0.1", "0.0.0.0"] {
        let there = six(&error4((src, EAM_A4), (EAM_A4, V4)));
        assert!(is_right(&there));
        assert_eq!(there[8..24], sixteen(POOL6));
    }
    let packet = error4((DENIED4, EAM_A4), (EAM_A4, V4));
    assert_eq!(refused(six_by(&packet, &rules)), (Why::Denied, None));
    let there = back(&error6((ROUTER6, V6), (V6, EAM_A6)));
    assert!(is_right(&there));
    assert_eq!(there[12..16], four(POOL4).bytes());
    for (src, why) in [
        (NOBODY6, Why::SourceUnmapped),
        (DENIED6, Why::Denied),
        ("::1", Why::IllegalSource),
    ] {
        let packet = error6((src, V6), (V6, EAM_A6));
        assert_eq!(refused(four_by(&packet, &rules)), (why, None));
    }
    // The destination is not made up.
    let packet = error6((ROUTER6, ROUTER6), (V6, EAM_A6));
    let told = (Why::DestinationUnmapped, None);
    assert_eq!(refused(four_by(&packet, &rules)), told);
}

/// Outer and inner addresses of an IPv6 packet; inner `None` if it has none.
fn ends(packet: &[u8]) -> [Saddr; 4] {
    let at = |at: usize| packet[at..at + 16].try_into().unwrap();
    match packet[6] {
        58 => [at(8), at(24), at(56), at(72)],
        _ => [at(8), at(24), [0; 16], [0; 16]],
    }
}

/// The IPv4 packet that turns around, and what comes of it.
fn turned(packet: &[u8], rules: &Rules) -> Option<(Vec<u8>, Vec<u8>)> {
    let Ok(Done::Whole(translated)) = to_ipv4(packet, &cx(rules)) else {
        panic!("not translated");
    };
    let turns = translated.hairpin;
    let middle = joined(packet, Ok(Done::Whole(translated))).unwrap();
    turns.then(|| {
        let again = Context {
            hairpinned: true,
            ..cx(rules)
        };
        let end = joined(&middle, to_ipv6(&middle, &again)).unwrap();
        (middle, end)
    })
}

fn intrinsic() -> Rules {
    Rules {
        hairpin: Hairpin::Intrinsic,
        ..rules()
    }
}

/// The IPv4-converted addresses of both explicit mappings.
const A_BY_PREFIX: &str = "64:ff9b::c000:201";
const B_BY_PREFIX: &str = "64:ff9b::c000:202";

#[test]
fn a_packet_turns_around() {
    // RFC 7757 figures 8 and 11.
    for (src, dst, from, to) in [
        (EAM_A6, B_BY_PREFIX, A_BY_PREFIX, EAM_B6),
        (EAM_B6, A_BY_PREFIX, B_BY_PREFIX, EAM_A6),
    ] {
        let packet = right(packet6(ends6(src, dst), &udp(9)));
        let (middle, end) = turned(&packet, &intrinsic()).unwrap();
        assert!(is_right(&middle) && is_right(&end));
        assert_eq!(ends(&end)[..2], [sixteen(from), sixteen(to)]);
        // Spent once.
        assert_eq!((middle[8], end[7]), (63, 63));
    }
    // Not what goes to IPv4, nor by the mapping itself.
    for dst in [V6, EAM_B6] {
        let packet = right(packet6(ends6(EAM_A6, dst), &udp(9)));
        assert_eq!(turned(&packet, &intrinsic()), None);
    }
    let packet = right(packet6(ends6(EAM_A6, B_BY_PREFIX), &udp(9)));
    for hairpin in [Hairpin::Simple, Hairpin::Off] {
        let rules = Rules { hairpin, ..rules() };
        assert_eq!(turned(&packet, &rules), None);
    }
}

#[test]
fn an_error_turns_around() {
    // RFC 7757 figures 9 and 10: of a router, of the destination itself.
    for (src, from) in [
        (ROUTER6, "64:ff9b::c633:6401"),
        (EAM_B6, "64:ff9b::c000:202"),
    ] {
        let packet = error6((src, A_BY_PREFIX), (A_BY_PREFIX, EAM_B6));
        let (middle, end) = turned(&packet, &intrinsic()).unwrap();
        assert!(is_right(&middle) && is_right(&end));
        let expected = [from, EAM_A6, EAM_A6, B_BY_PREFIX];
        assert_eq!(ends(&end), expected.map(sixteen));
        assert!(is_right(&end[48..48 + 57]));
    }
    // About a packet that did not turn.
    let packet = error6((EAM_B6, V6), (V6, EAM_B6));
    assert_eq!(turned(&packet, &intrinsic()), None);
    // About one whose source was translated by its mapping.
    let packet = error6((EAM_B6, EAM_A6), (EAM_A6, EAM_B6));
    assert_eq!(turned(&packet, &intrinsic()), None);
    // The condition is on the inner packet, not on the outer destination.
    let packet = error6((EAM_B6, A_BY_PREFIX), (V6, EAM_B6));
    assert_eq!(turned(&packet, &intrinsic()), None);
}

#[test]
fn no_mtu_of_ipv4_lies_in_a_turn() {
    let rules = Rules {
        mtu4: 68,
        ..intrinsic()
    };
    let packet = right(packet6(ends6(EAM_A6, B_BY_PREFIX), &udp(1452)));
    let (_, end) = turned(&packet, &rules).unwrap();
    assert_eq!(end.len(), 1500);
    // Nor the size of errors.
    let inner = right(packet6(ends6(A_BY_PREFIX, EAM_B6), &udp(1200)));
    let h = ipv6::Header {
        next_header: 58,
        ..ends6(EAM_B6, A_BY_PREFIX)
    };
    let packet = right(packet6(h, &icmp(1, 4, 0, &inner[..1232])));
    let (_, end) = turned(&packet, &rules).unwrap();
    assert!(is_right(&end));
    assert_eq!(end.len(), 1280);
}

#[test]
fn simple_hairpinning_leaves_mappings_aside() {
    let by_rule = |hairpin, packet: &[u8]| {
        let rules = Rules { hairpin, ..rules() };
        ends(&six_by(packet, &rules).unwrap())
    };
    // Rule 1.
    let packet = right(packet4(ends4(EAM_A4, EAM_B4), &udp(9)));
    let simple = by_rule(Hairpin::Simple, &packet);
    assert_eq!(simple[..2], [A_BY_PREFIX, EAM_B6].map(sixteen));
    for hairpin in [Hairpin::Intrinsic, Hairpin::Off] {
        let others = by_rule(hairpin, &packet);
        assert_eq!(others[..2], [EAM_A6, EAM_B6].map(sixteen));
    }
    // Rule 2 alone: the error is another's.
    let packet = error4((EAM_B4, EAM_A4), (EAM_A4, V4));
    let simple = by_rule(Hairpin::Simple, &packet);
    assert_eq!(simple, [EAM_B6, EAM_A6, EAM_A6, V6].map(sixteen));
    let packet = error4((V4, EAM_A4), (EAM_A4, EAM_B4));
    let simple = by_rule(Hairpin::Simple, &packet);
    assert_eq!(simple, [V6, EAM_A6, EAM_A6, B_BY_PREFIX].map(sixteen));
    // Rules 2 and 3: it is that of the packet's destination.
    let packet = error4((EAM_B4, EAM_A4), (EAM_A4, EAM_B4));
    let simple = by_rule(Hairpin::Simple, &packet);
    assert_eq!(
        simple,
        [B_BY_PREFIX, EAM_A6, EAM_A6, B_BY_PREFIX].map(sixteen)
    );
    let off = by_rule(Hairpin::Off, &packet);
    assert_eq!(off, [EAM_B6, EAM_A6, EAM_A6, EAM_B6].map(sixteen));
}
