//! What holds for all packets.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A datagram of a protocol whose checksum is known here, and where a bit may
/// change without making it another kind of datagram.
fn datagram(ipv6: bool) -> impl Strategy<Value = (u8, Vec<u8>)> {
    let icmp_protocol = if ipv6 { 58 } else { 1 };
    let (request, reply) = if ipv6 { (128, 129) } else { (8, 0) };
    (0..6, vec(any::<u8>(), 0..120), any::<u32>()).prop_map(move |(which, data, word)| {
        let with = |mut header: Vec<u8>| {
            let at = header.len() - data.len();
            header[at..].copy_from_slice(&data);
            header
        };
        match which {
            0 => (6, with(tcp(data.len()))),
            1 => (17, with(udp(data.len()))),
            2 => (136, with(udp(data.len()))),
            3 => (33, with(tcp(data.len()))),
            4 => (icmp_protocol, icmp(request, 0, word, &data)),
            _ => (icmp_protocol, icmp(reply, 0, word, &data)),
        }
    })
}

fn whole4() -> impl Strategy<Value = Vec<u8>> {
    let fields = (any::<u8>(), any::<u16>(), any::<bool>(), 3..=255u8);
    (datagram(false), fields).prop_map(|((protocol, datagram), (tos, id, df, ttl))| {
        let h = ipv4::Header {
            tos,
            id,
            df,
            ttl,
            ..header4(protocol)
        };
        right(packet4(h, &datagram))
    })
}

fn whole6() -> impl Strategy<Value = Vec<u8>> {
    let fields = (any::<u8>(), 0..1u32 << 20, 2..=255u8);
    (datagram(true), fields).prop_map(|((protocol, datagram), (tc, label, hop_limit))| {
        let h = ipv6::Header {
            traffic_class: tc,
            flow_label: label,
            hop_limit,
            ..header6(protocol)
        };
        right(packet6(h, &datagram))
    })
}

/// An error about a packet from the other side, which may be cut short, padded
/// and followed by anything.
fn error4() -> impl Strategy<Value = Vec<u8>> {
    let sorts = prop_oneof![Just((3, 1)), Just((3, 4)), Just((11, 0)), Just((12, 0))];
    let lengths = prop_oneof![Just(0u32), 30..70u32, any::<u8>().prop_map(u32::from)];
    let extra = vec(any::<u8>(), 0..900);
    (whole4(), sorts, lengths, 28..200usize, extra).prop_map(
        |(mut inner, (kind, code), length, cut, extra)| {
            let ends: Vec<u8> = [&inner[16..20], &inner[12..16]].concat();
            inner[12..20].copy_from_slice(&ends);
            inner.truncate(cut);
            inner.extend(extra);
            let word = length << 16 | 1400;
            right(packet4(header4(1), &icmp(kind, code, word, &inner)))
        },
    )
}

fn error6() -> impl Strategy<Value = Vec<u8>> {
    let sorts = prop_oneof![Just((1, 0)), Just((2, 0)), Just((3, 0)), Just((4, 1))];
    let lengths = prop_oneof![Just(0u32), 14..40u32, any::<u8>().prop_map(u32::from)];
    let extra = vec(any::<u8>(), 0..900);
    let router = any::<bool>();
    (whole6(), sorts, lengths, 48..200usize, extra, router).prop_map(
        |(mut inner, (kind, code), length, cut, extra, router)| {
            let ends: Vec<u8> = [&inner[24..40], &inner[8..24]].concat();
            inner[8..40].copy_from_slice(&ends);
            inner.truncate(cut);
            inner.extend(extra);
            let mut h = header6(58);
            if router {
                h.src = sixteen(ROUTER6);
            }
            right(packet6(h, &icmp(kind, code, length << 24 | 1400, &inner)))
        },
    )
}

/// The same packet with some bytes changed, and its IPv4 header sealed again.
fn mutated(packets: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (packets, changes, any::<bool>()).prop_map(|(mut packet, changes, short)| {
        let len = packet.len();
        for (at, value) in changes {
            // Rather in the headers than behind them.
            let at = if value & 1 == 0 {
                at.index(len.min(100))
            } else {
                at.index(len)
            };
            packet[at] = value;
        }
        if packet[0] >> 4 == 4 && packet.len() >= usize::from(packet[0] & 15) * 4 {
            seal4(&mut packet);
        }
        if short {
            packet.truncate(len / 2);
        }
        packet
    })
}

/// All sets of rules and addresses that packets meet.
fn settings() -> impl Strategy<Value = (Rules, bool)> {
    let zero = prop_oneof![
        Just(UdpZero::Compute),
        Just(UdpZero::Drop),
        Just(UdpZero::Forward)
    ];
    let hairpin = prop_oneof![
        Just(Hairpin::Off),
        Just(Hairpin::Simple),
        Just(Hairpin::Intrinsic)
    ];
    let mtus = (any::<u16>(), any::<u16>(), any::<u16>());
    (zero, hairpin, mtus, any::<bool>()).prop_map(
        |(udp_zero, hairpin, (mtu4, mtu6, lowest_ipv6_mtu), hairpinned)| {
            let rules = Rules {
                udp_zero,
                hairpin,
                mtu4,
                mtu6,
                lowest_ipv6_mtu,
                ..rules()
            };
            (rules, hairpinned)
        },
    )
}

/// Whatever comes of a packet is a packet of the other family; its pieces are,
/// too, and together what the whole would be.
fn check(packet: &[u8], rules: &Rules, hairpinned: bool) -> Result<(), TestCaseError> {
    let cx = Context {
        hairpinned,
        ..cx(rules)
    };
    for (done, cut) in [
        (to_ipv6(packet, &cx), pieces_to_ipv6(packet, &cx)),
        (to_ipv4(packet, &cx), pieces_to_ipv4(packet, &cx)),
    ] {
        let pieces: Vec<Vec<u8>> = match &cut {
            Ok(cut) => cut.iter().map(|piece| piece.parts().concat()).collect(),
            Err(refusal) => {
                prop_assert_eq!(&done, &Err(*refusal));
                continue;
            }
        };
        let expected = match done.unwrap() {
            Done::Whole(translated) => {
                prop_assert!(translated.rest.end <= packet.len());
                let mut bytes = translated.head.to_vec();
                bytes.extend(&packet[translated.rest]);
                Some(bytes)
            }
            Done::Cut => None,
        };
        prop_assert_eq!(pieces.len() == 1, expected.is_some());
        if let Some(expected) = expected {
            prop_assert_eq!(&pieces[0], &expected);
        }
        for piece in &pieces {
            let len = match piece[0] >> 4 {
                4 => usize::from(ipv4::Header::parse(piece).unwrap().total_len),
                _ => 40 + usize::from(ipv6::Header::parse(piece).unwrap().payload_len),
            };
            prop_assert_eq!(len, piece.len());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_translated(
        mut bytes in vec(any::<u8>(), 0..300), version in 0..3, (rules, hairpinned) in settings(),
    ) {
        // Random versions, lengths and checksums are hardly ever right.
        if bytes.len() >= 40 {
            let len = bytes.len() as u16;
            match version {
                0 => {
                    bytes[0] = 0x45 + (bytes[0] & 1);
                    bytes[2..4].copy_from_slice(&len.to_be_bytes());
                    bytes[9] %= 20;
                    bytes[12] = 198;
                    bytes[16] = 198;
                    seal4(&mut bytes);
                }
                1 => {
                    bytes[0] = 0x60;
                    bytes[4..6].copy_from_slice(&(len - 40).to_be_bytes());
                    bytes[6] %= 61;
                    let ends = [sixteen(EAM_A6), sixteen(V6)].concat();
                    bytes[8..40].copy_from_slice(&ends);
                }
                _ => {}
            }
        }
        check(&bytes, &rules, hairpinned)?;
    }

    #[test]
    fn changed_packets_are_refused_or_translated(
        packet in mutated(prop_oneof![
            whole4().boxed(), whole6().boxed(), error4().boxed(), error6().boxed()
        ]),
        (rules, hairpinned) in settings(),
    ) {
        check(&packet, &rules, hairpinned)?;
    }

    #[test]
    fn right_if_it_was_right_and_only_then(
        packet in prop_oneof![
            whole4().boxed(), whole6().boxed(), error4().boxed(), error6().boxed()
        ],
        change in proptest::option::of(1..=255u8),
    ) {
        let mut packet = packet;
        let ipv4 = packet[0] >> 4 == 4;
        let (start, protocol) = if ipv4 { (20, packet[9]) } else { (40, packet[6]) };
        if let Some(change) = change {
            let at = start + place(protocol).unwrap();
            packet[at] ^= change;
            // That would say that there is no checksum.
            prop_assume!(packet[at..at + 2] != [0, 0]);
        }
        prop_assert_eq!(is_right(&packet), change.is_none());
        let there = if ipv4 { six(&packet) } else { back(&packet) };
        prop_assert_eq!(is_right(&there), change.is_none());
    }

    #[test]
    fn there_and_back_nothing_is_lost_that_need_not_be(packet in whole4()) {
        let there = six(&packet);
        let here = back(&there);
        let (before, after) = (ipv4::Header::parse(&packet)?, ipv4::Header::parse(&here)?);
        prop_assert_eq!(ipv4::Header { ttl: before.ttl - 2, id: 0x1d1d, df: false, ..before }, after);
        prop_assert_eq!(&packet[20..], &here[20..]);
    }

    #[test]
    fn fragments_there_and_back(
        (protocol, datagram) in datagram(false), offset in 0..8000u16, mf: bool, id: u16,
    ) {
        // ICMP has none, so something that is not looked into stands for it.
        let protocol = if protocol == 1 { 132 } else { protocol };
        let mf = mf || offset == 0;
        let h = ipv4::Header { id, mf, offset, df: false, ..header4(protocol) };
        let mut packet = packet4(h, &datagram);
        // A checksum, though not of this part alone.
        if let Some(at) = place(protocol) {
            packet[20 + at] = 0x5a;
        }
        let here = back(&six(&packet));
        let (before, after) = (ipv4::Header::parse(&packet)?, ipv4::Header::parse(&here)?);
        prop_assert_eq!(ipv4::Header { ttl: 62, ..before }, after);
        prop_assert_eq!(&packet[20..], &here[20..]);
    }

    #[test]
    fn errors_there_and_back(packet in error4()) {
        let there = six(&packet);
        prop_assert!(there.len() <= 1280);
        let here = back(&there);
        prop_assert!(here.len() <= 576 && is_right(&here));
        // The same inner packet, as far as either quotes it.
        let inner = usize::from(u16::from_be_bytes([packet[30], packet[31]]));
        let len = here.len().min(packet.len()).min(28 + inner.min(100));
        prop_assert_eq!(&packet[40..len], &here[40..len]);
    }
}
