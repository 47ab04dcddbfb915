//! What is refused, in which words, and that nothing of it is written.

use super::*;

#[test]
fn refused_going_out() {
    for mode in [Mode::Siit, Mode::Transparent] {
        for number in 0..=255 {
            for mf in [false, true] {
                let h = ipv4::Header {
                    mf,
                    ..header(number, 8)
                };
                let refused = matches!(number, 0 | 43 | 44 | 58 | 59 | 60 | 135 | 139 | 140);
                let there = translate(&packet(&h, &[9; 8]), mode);
                let expected = refused.then_some(Refusal::ProtocolNotCarried);
                assert_eq!(there.err(), expected, "{number}");
            }
        }
        let spent = ipv4::Header {
            ttl: 0,
            ..header(17, 8)
        };
        assert_eq!(
            translate(&packet(&spent, &[9; 8]), mode),
            Err(Refusal::TtlZero)
        );
    }
}

/// A packet whose headers end early, in room or in the first segment, is
/// refused by name and left as it was.
#[test]
fn nothing_is_half_written() {
    for (number, mf, needs) in [
        (6, false, 58),
        (17, false, 48),
        (1, false, 48),
        (6, true, 66),
    ] {
        let h = ipv4::Header {
            mf,
            ..header(number, 24)
        };
        let front = substrate_header_len(&h);
        for len in 0..needs {
            let mut buf = vec![0xa5; len];
            let expected = if len < front {
                Refusal::TooShort
            } else {
                Refusal::HeadersSplit
            };
            let result = outbound(&mut buf, &h, &context(Mode::Siit, 0));
            assert_eq!(result, Err(expected), "{number} {len}");
            assert_eq!(buf, vec![0xa5; len]);
        }
        let mut buf = vec![0; needs];
        let total = outbound(&mut buf, &h, &context(Mode::Siit, 0));
        assert_eq!(total, Ok(front + 24));
        // And back: the rest lies in a further segment.
        for len in 0..needs {
            let mut cut = buf[..len].to_vec();
            let cx = Inbound {
                checksum_delta: 1,
                id: 0,
            };
            let refusal = Arrived::parse(&cut, front + 24)
                .and_then(|arrived| inbound(&mut cut, &arrived, &cx))
                .expect_err("cut");
            assert!(matches!(refusal, Refusal::TooShort | Refusal::HeadersSplit));
            assert_eq!(cut, buf[..len], "{number} {len}");
        }
    }
}

#[test]
fn refused_coming_in() {
    let udp = packet(&header(17, 8), &[0, 1, 0, 2, 0, 8, 0, 0]);
    let good = translate(&udp, Mode::Siit).unwrap();
    assert!(restore(&good).is_ok());
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        restore(&packet)
    };
    for next in [0, 43, 60, 135, 139, 140] {
        assert_eq!(with(&|p| p[6] = next), Err(Refusal::ExtensionHeader));
        let behind_fragment = with(&|p| {
            p[6] = 44;
            p[40..48].copy_from_slice(&[next, 0, 0, 1, 0, 0, 0, 1]);
        });
        assert_eq!(behind_fragment, Err(Refusal::ExtensionHeader));
    }
    let twice = with(&|p| {
        p[6] = 44;
        p[40..48].copy_from_slice(&[44, 0, 0, 1, 0, 0, 0, 1]);
    });
    assert_eq!(twice, Err(Refusal::ExtensionHeader));
    assert_eq!(with(&|p| p[6] = 59), Err(Refusal::ProtocolNotCarried));
    assert_eq!(with(&|p| p[2] &= 0xf9), Err(Refusal::LabelLost));
    assert_eq!(with(&|p| p[2] |= 0x06), Err(Refusal::LabelReserved));
    assert_eq!(with(&|p| (p[1], p[2]) = (0, 0x0a)), Err(Refusal::TtlZero));
    assert_eq!(with(&|p| p[0] = 0x45), Err(Refusal::BadVersion));
    assert_eq!(with(&|p| p[5] = 9), Err(Refusal::BadPayloadLength));
    assert_eq!(
        with(&|p| (p[5], p[6]) = (7, 44)),
        Err(Refusal::BadPayloadLength)
    );
    // Trailing padding is cut off.
    let padded = with(&|p| p.extend([0; 6]));
    assert_eq!(padded, restore(&good));
    // Too long for IPv4.
    let mut long = good.clone();
    long[4..6].copy_from_slice(&65516u16.to_be_bytes());
    let refusal = Arrived::parse(&long, 70000).err();
    assert_eq!(refusal, Some(Refusal::BadPayloadLength));
    long[4..6].copy_from_slice(&65515u16.to_be_bytes());
    assert!(Arrived::parse(&long, 70000).is_ok());
}

#[test]
fn icmpv6_that_is_not_a_nodes() {
    let h = header(protocol::ICMP, 8);
    let good = translate(&packet(&h, &[8, 0, 1, 2, 0, 0, 0, 1]), Mode::Siit).unwrap();
    for (kind, code) in (0..=255)
        .map(|kind| (kind, 0))
        .chain([(128, 1), (129, 255)])
    {
        let mut other = good.clone();
        (other[40], other[41]) = (kind, code);
        // Whatever label a router writes.
        for label in [0, good[2], 0x0c, 0x0e] {
            other[2] = label;
            let refusal = restore(&other).err();
            let echo = kind >> 1 == 64 && code == 0;
            let expected = match label {
                _ if !echo => Some(Refusal::SubstrateIcmp),
                0 => Some(Refusal::LabelLost),
                0x0c => Some(Refusal::ProtocolNotCarried),
                0x0e => Some(Refusal::LabelReserved),
                _ => None,
            };
            assert_eq!(refusal, expected, "{kind} {code} {label:02x}");
        }
    }
    let mut short = good[..47].to_vec();
    short[5] = 7;
    assert_eq!(restore(&short), Err(Refusal::SubstrateIcmp));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
        next in prop_oneof![Just(44u8), Just(58), Just(6), Just(17), any::<u8>()],
        inner in prop_oneof![Just(58u8), Just(6), Just(17), any::<u8>()],
        payload_len in 0..120u8,
        cut in 0..120usize,
        shape in 0..4usize,
    ) {
        if shape > 0 && bytes.len() > 48 {
            bytes[0] = 0x60 | bytes[0] & 0xf;
            bytes[4..6].copy_from_slice(&[0, payload_len]);
            bytes[6] = next;
            bytes[40] = if next == 44 { inner } else { bytes[40] };
        }
        let available = bytes.len();
        bytes.truncate(cut.max(available * (shape & 1)));
        if let Ok(arrived) = Arrived::parse(&bytes, available) {
            let _ = inbound(&mut bytes, &arrived, &Inbound { checksum_delta: 7, id: 0 });
        }
    }
}
