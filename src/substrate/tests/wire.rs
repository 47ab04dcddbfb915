//! Bytes to messages, and every way in which bytes are no message.

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetFrame, Icmpv6Packet, Icmpv6Repr, Ipv6Packet, NdiscNeighborFlags, NdiscRepr,
};

use super::super::build::{self, Link, Record, To};
use super::*;

const R: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);
const ROUTER: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
const LINK: Link = Link { mac: R, vlan: None };

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// The router (fe80::1) asks for 2001:db8:ffff::a.
#[rustfmt::skip]
pub(super) const ASKS: [u8; 86] = [
    0x33, 0x33, 0xff, 0x00, 0x00, 0x0a, 0x02, 0, 0, 0, 0, 0x01, 0x86, 0xdd,
    0x60, 0, 0, 0, 0, 32, 58, 255,
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x0a,
    135, 0, 0x4b, 0x4f, 0, 0, 0, 0,
    0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a,
    1, 1, 0x02, 0, 0, 0, 0, 0x01,
];

/// Where to change ASKS, and to what.
type Changes<'a> = &'a [(usize, &'a [u8])];

/// ASKS with bytes of the message changed and the checksum made right.
fn altered(changes: Changes) -> Vec<u8> {
    let mut frame = ASKS.to_vec();
    for (at, bytes) in changes {
        frame[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    sealed(frame)
}

/// The frame with its checksum made right; the message begins at 54.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let icmp = 54;
    frame[icmp + 2..icmp + 4].fill(0);
    let sum = checksum::sum(&frame[22..54])
        + (frame.len() - icmp) as u64
        + u64::from(ICMPV6)
        + checksum::sum(&frame[icmp..]);
    frame[icmp + 2..icmp + 4].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    frame
}

#[test]
fn a_solicitation_to_the_byte() {
    let to = To::group(ip("fe80::1"), ip("ff02::1:ff00:a"));
    let router = Link {
        mac: ROUTER,
        vlan: None,
    };
    let built = build::solicitation(router, to, ip("2001:db8:ffff::a"), [0; 6]);
    assert_eq!(built, ASKS);
    let (envelope, message) = parse(&ASKS).unwrap();
    assert_eq!(envelope.source, ip("fe80::1"));
    assert_eq!(envelope.destination, ip("ff02::1:ff00:a"));
    assert_eq!((envelope.from, envelope.vlan), (ROUTER, None));
    assert_eq!(
        message,
        Message::Solicitation {
            target: ip("2001:db8:ffff::a"),
            mac: Some(ROUTER),
            nonce: None
        }
    );
}

#[test]
fn an_advertisement_to_the_byte() {
    #[rustfmt::skip]
    let bytes: [u8; 90] = [
        0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x0a, 0x81, 0x00, 0x00, 0x64, 0x86, 0xdd,
        0x60, 0, 0, 0, 0, 32, 58, 255,
        0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a,
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        136, 0, 0x39, 0x91, 0xe0, 0, 0, 0,
        0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a,
        2, 1, 0x02, 0, 0, 0, 0, 0x0a,
    ];
    let link = Link {
        mac: R,
        vlan: Some(100),
    };
    let to = To {
        mac: ROUTER,
        source: ip("2001:db8:ffff::a"),
        destination: ip("fe80::1"),
    };
    let all = Flags {
        router: true,
        solicited: true,
        overriding: true,
    };
    assert_eq!(build::advertisement(link, to, to.source, all), bytes);
    let (envelope, message) = parse(&bytes).unwrap();
    assert_eq!(envelope.vlan, Some(100));
    assert_eq!(
        message,
        Message::Advertisement {
            target: to.source,
            mac: Some(R),
            flags: all
        }
    );
}

#[test]
fn a_report_to_the_byte() {
    #[rustfmt::skip]
    let bytes: [u8; 90] = [
        0x33, 0x33, 0, 0, 0, 0x16, 0x02, 0, 0, 0, 0, 0x0a, 0x86, 0xdd,
        0x60, 0, 0, 0, 0, 36, 0, 1,
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a,
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16,
        58, 0, 5, 2, 0, 0, 1, 0,
        143, 0, 0x70, 0xf5, 0, 0, 0, 1,
        4, 0, 0, 0,
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x0a,
    ];
    let group = solicited_node(ip("2001:db8:ffff::a"));
    let built = build::report(LINK, ip("fe80::a"), &[(Record::Joined, group)]);
    assert_eq!(built, bytes);
    assert_eq!(parse(&built), Err(Ignored::ListenerReport));
}

#[test]
fn what_we_build_reads_back_elsewhere() {
    let (source, destination) = (ip("2001:db8:ffff::a"), ip("2001:db8:ffff::1"));
    let to = To {
        mac: ROUTER,
        source,
        destination,
    };
    let flags = Flags {
        solicited: true,
        ..Flags::default()
    };
    let frames = [
        build::solicitation(LINK, to, destination, [0; 6]),
        build::advertisement(LINK, to, source, flags),
        build::echo_reply(LINK, to, b"\x12\x34\x00\x01ping"),
    ];
    let lladdr = Some(smoltcp::wire::EthernetAddress(R.0).into());
    let expected = [
        Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
            target_addr: destination,
            lladdr,
        }),
        Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
            flags: NdiscNeighborFlags::SOLICITED,
            target_addr: source,
            lladdr,
        }),
        Icmpv6Repr::EchoReply {
            ident: 0x1234,
            seq_no: 1,
            data: b"ping",
        },
    ];
    for (frame, expected) in frames.iter().zip(expected) {
        let link = EthernetFrame::new_checked(&frame[..]).unwrap();
        let packet = Ipv6Packet::new_checked(link.payload()).unwrap();
        let icmp = Icmpv6Packet::new_checked(packet.payload()).unwrap();
        // Checks the checksum too.
        let caps = ChecksumCapabilities::default();
        let read = Icmpv6Repr::parse(&source, &destination, &icmp, &caps).unwrap();
        assert_eq!(read, expected);
    }
    for listening in [true, false] {
        let report = build::report_v1(LINK, ip("fe80::a"), listening, ip("ff02::1:ff00:a"));
        let link = EthernetFrame::new_checked(&report[..]).unwrap();
        let packet = Ipv6Packet::new_checked(link.payload()).unwrap();
        assert_eq!((packet.hop_limit(), packet.payload_len()), (1, 32));
        let icmp = Icmpv6Packet::new_unchecked(&packet.payload()[8..]);
        assert!(icmp.verify_checksum(&packet.src_addr(), &packet.dst_addr()));
        assert_eq!(packet.payload()[8], if listening { 131 } else { 132 });
    }
}

#[test]
fn truncations_are_too_short_or_of_bad_length() {
    for len in 0..ASKS.len() {
        let reason = match len {
            0..54 => Ignored::TooShort,
            _ => Ignored::BadLength,
        };
        assert_eq!(parse(&ASKS[..len]), Err(reason), "{len}");
    }
    // The same with a length that says so.
    for len in 0..32 {
        let mut frame = ASKS[..54 + len].to_vec();
        frame[19] = len as u8;
        assert!(parse(&frame).is_err(), "{len}");
    }
    let mut padded = ASKS.to_vec();
    padded.extend([0xa5; 7]);
    assert_eq!(parse(&padded), parse(&ASKS));
}

#[test]
fn every_flaw_has_its_name() {
    use Ignored::*;
    let unspecified: &[u8] = &[0; 16];
    let cases: &[(Changes, Ignored)] = &[
        (&[(6, &[0x33])], BadSourceMac),
        (&[(6, &[0; 6])], BadSourceMac),
        (&[(12, &[0x08, 0x00])], NotIpv6),
        (&[(14, &[0x45])], NotIpv6),
        (&[(19, &[33])], BadLength),
        (&[(20, &[17])], NotIcmpv6),
        (&[(20, &[44])], Fragment),
        (&[(20, &[60])], ExtensionHeader),
        (&[(20, &[43])], ExtensionHeader),
        (&[(21, &[254])], BadHopLimit),
        (&[(21, &[1])], BadHopLimit),
        (&[(22, &[0xff, 0x02])], BadSource),
        (&[(55, &[1])], BadCode),
        (&[(62, &[0xff])], TargetGroup),
        (&[(79, &[0])], OptionZeroLength),
        (&[(79, &[2])], OptionTruncated),
        (&[(80, &[0x03])], BadLinkAddress),
        (&[(80, &[0; 6])], BadLinkAddress),
        (&[(22, unspecified)], BadProbe),
        (&[(22, unspecified), (78, &[14]), (46, &[0; 8])], BadProbe),
        (&[(54, &[133])], RouterSolicitation),
        (&[(54, &[134])], RouterAdvertisement),
        (&[(54, &[137])], Redirect),
        (&[(54, &[1])], ErrorMessage),
        (&[(54, &[3])], ErrorMessage),
        (&[(54, &[129])], EchoReply),
        (&[(54, &[131])], ListenerReport),
        (&[(54, &[132])], ListenerReport),
        (&[(54, &[143])], ListenerReport),
        (&[(54, &[141])], UnknownType),
        (&[(54, &[255])], UnknownType),
        (&[(54, &[136]), (58, &[0x40])], SolicitedGroup),
        (&[(54, &[136]), (22, unspecified)], BadSource),
        (&[(54, &[128]), (22, unspecified)], BadSource),
    ];
    for (changes, reason) in cases {
        assert_eq!(parse(&altered(changes)), Err(*reason), "{changes:?}");
    }
    let mut wrong = ASKS;
    wrong[60] ^= 1;
    assert_eq!(parse(&wrong), Err(BadChecksum));
    // A longer link-layer address is none of Ethernet's.
    let mut long = altered(&[(79, &[2]), (19, &[40])]);
    long.extend([0; 8]);
    assert_eq!(parse(&sealed(long)), Err(BadLinkAddress));
    // Unknown options are passed over.
    let unknown = altered(&[(78, &[200])]);
    let (_, message) = parse(&unknown).unwrap();
    assert!(matches!(message, Message::Solicitation { mac: None, .. }));
}

/// A query from fe80::1, `body` being all after the checksum.
fn query(source: &str, hop_limit: u8, options: &[u8], body: &[u8]) -> Vec<u8> {
    let (source, group) = (ip(source), ip("ff02::1"));
    let mut icmp = vec![130, 0, 0, 0];
    icmp.extend(body);
    let sum = checksum::sum(&source.octets())
        + checksum::sum(&group.octets())
        + icmp.len() as u64
        + 58
        + checksum::sum(&icmp);
    icmp[2..4].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    let mut out = ASKS[..14].to_vec();
    out.extend([0x60, 0, 0, 0]);
    out.extend(((options.len() + icmp.len()) as u16).to_be_bytes());
    out.extend([if options.is_empty() { 58 } else { 0 }, hop_limit]);
    out.extend(source.octets());
    out.extend(group.octets());
    out.extend(options);
    out.extend(icmp);
    out
}

#[test]
fn queries_of_both_versions() {
    let alert = [58, 0, 5, 2, 0, 0, 1, 0];
    let body = |code: [u8; 2], group: &str, more: usize| {
        let mut body = vec![code[0], code[1], 0, 0];
        body.extend(ip(group).octets());
        body.resize(body.len() + more, 0);
        body
    };
    let general = |version, delay| Message::Query {
        version,
        group: None,
        delay,
    };
    let read = |frame: &[u8]| parse(frame).map(|(_, m)| format!("{m:?}"));
    let is = |m: Message<'_>| Ok(format!("{m:?}"));

    let v1 = query("fe80::1", 1, &alert, &body([0x27, 0x10], "::", 0));
    assert_eq!(read(&v1), is(general(1, 10_000)));
    let v2 = query("fe80::1", 1, &alert, &body([0x27, 0x10], "::", 4));
    assert_eq!(read(&v2), is(general(2, 10_000)));
    // 0x8000: mantissa 0, exponent 0, so 0x1000 << 3.
    let v2 = query("fe80::1", 1, &alert, &body([0x80, 0], "::", 4));
    assert_eq!(read(&v2), is(general(2, 32_768)));
    let v1 = query("fe80::1", 1, &alert, &body([0x80, 0], "::", 0));
    assert_eq!(read(&v1), is(general(1, 32_768)));
    let v2 = query("fe80::1", 1, &alert, &body([0xff, 0xff], "::", 4));
    assert_eq!(read(&v2), is(general(2, 0x1fff << 10)));
    let group = query("fe80::1", 1, &alert, &body([0, 0], "ff02::1:ff00:a", 4));
    assert_eq!(
        read(&group),
        is(Message::Query {
            version: 2,
            group: Some(ip("ff02::1:ff00:a")),
            delay: 0
        })
    );

    use Ignored::*;
    let good = body([0, 0], "::", 4);
    let pad: [u8; 8] = [58, 0, 1, 4, 0, 0, 0, 0];
    let rsvp: [u8; 8] = [58, 0, 5, 2, 0, 1, 1, 0];
    let huge: [u8; 8] = [58, 9, 5, 2, 0, 0, 1, 0];
    let torn: [u8; 8] = [58, 0, 5, 9, 0, 0, 1, 0];
    let mut sources = good.clone();
    sources[23] = 1;
    for (frame, reason) in [
        (query("2001:db8::1", 1, &alert, &good), QuerySource),
        (query("fe80::1", 2, &alert, &good), BadHopLimit),
        (query("fe80::1", 255, &alert, &good), BadHopLimit),
        (query("fe80::1", 1, &[], &good), QueryAlert),
        (query("fe80::1", 1, &pad, &good), QueryAlert),
        (query("fe80::1", 1, &rsvp, &good), QueryAlert),
        (query("fe80::1", 1, &torn, &good), OptionTruncated),
        (query("fe80::1", 1, &huge, &good), BadLength),
        (query("fe80::1", 1, &alert, &good[..19]), QueryLength),
        (query("fe80::1", 1, &alert, &good[..22]), QueryLength),
        (query("fe80::1", 1, &alert, &sources), QueryLength),
        (
            query("fe80::1", 1, &alert, &body([0, 0], "fe80::1", 4)),
            QueryGroup,
        ),
    ] {
        assert_eq!(read(&frame), Err(reason));
    }
}
