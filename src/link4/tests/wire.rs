//! Bytes to messages, and every way in which bytes are no message.

use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetFrame};

use super::super::build::Link;
use super::*;
use crate::wire::Vaddr;

const LINK: Link = Link {
    mac: Mac([0x02, 0, 0, 0, 0, 0x0a]),
    vlan: None,
    address: Vaddr(0xc000_020a),
};
const ROUTER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
const ROUTER: Vaddr = Vaddr(0xc000_0201);

/// 192.0.2.10 asks everybody for 192.0.2.1.
#[rustfmt::skip]
const ASKS: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06,
    0, 1, 0x08, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x0a, 192, 0, 2, 10,
    0, 0, 0, 0, 0, 0, 192, 0, 2, 1,
];

/// 192.0.2.1 pings 192.0.2.10 with "ping".
#[rustfmt::skip]
const PINGS: [u8; 46] = [
    0x02, 0, 0, 0, 0, 0x0a, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00,
    0x45, 0x20, 0, 32, 0, 7, 0x40, 0, 9, 1, 0xed, 0xaa, 192, 0, 2, 1, 192, 0, 2, 10,
    8, 0, 0x06, 0xfa, 0x12, 0x34, 0, 1, b'p', b'i', b'n', b'g',
];

/// Where to change a frame, and to what.
type Changes<'a> = &'a [(usize, &'a [u8])];

fn altered(frame: &[u8], changes: Changes) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for (at, bytes) in changes {
        frame[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    frame
}

/// Both checksums made right.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let end = 14 + usize::from(frame[14] & 0xf) * 4;
    for (at, from, to) in [(24, 14, end), (end + 2, end, frame.len())] {
        frame[at..at + 2].fill(0);
        let sum = checksum::checksum(&frame[from..to]);
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

fn wished(frame: &[u8]) -> Result<Wish<'_>, Ignored> {
    match parse(frame)?.1 {
        Message::Packet(header, packet) => wish(&header, packet),
        Message::Arp(_) => panic!("not a packet"),
    }
}

#[test]
fn arp_to_the_byte() {
    assert_eq!(LINK.request(Mac::BROADCAST, ROUTER), ASKS);
    assert_eq!(
        LINK.request(ROUTER_MAC, ROUTER),
        altered(&ASKS, &[(0, &ROUTER_MAC.0)])
    );
    assert_eq!(LINK.announcement(), altered(&ASKS, &[(41, &[10])]));
    assert_eq!(LINK.probe(), altered(&ASKS, &[(28, &[0; 4]), (41, &[10])]));
    let router_asks = arp::Message {
        is_request: true,
        sender_mac: ROUTER_MAC,
        sender: ROUTER,
        target_mac: Mac::ZERO,
        target: LINK.address,
    };
    let reply: Changes = &[(0, &ROUTER_MAC.0), (21, &[2]), (32, &ROUTER_MAC.0)];
    assert_eq!(LINK.reply(&router_asks), altered(&ASKS, reply));
    let tagged = Link {
        vlan: Some(100),
        ..LINK
    };
    let mut expected = ASKS[..12].to_vec();
    expected.extend([0x81, 0x00, 0, 100]);
    expected.extend(&ASKS[12..]);
    assert_eq!(tagged.request(Mac::BROADCAST, ROUTER), expected);
}

#[test]
fn what_we_ask_reads_back_elsewhere() {
    let frame = LINK.request(Mac::BROADCAST, ROUTER);
    let link = EthernetFrame::new_checked(&frame[..]).unwrap();
    let arp = ArpPacket::new_checked(link.payload()).unwrap();
    let expected = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: smoltcp::wire::EthernetAddress(LINK.mac.0),
        source_protocol_addr: [192, 0, 2, 10].into(),
        target_hardware_addr: smoltcp::wire::EthernetAddress([0; 6]),
        target_protocol_addr: [192, 0, 2, 1].into(),
    };
    assert_eq!(ArpRepr::parse(&arp).unwrap(), expected);
}

#[test]
fn an_echo_to_the_byte() {
    let Ok(Wish::Echo(body)) = wished(&PINGS) else {
        panic!("no echo")
    };
    assert_eq!(body, b"\x12\x34\0\x01ping");
    let Message::Packet(header, _) = parse(&PINGS).unwrap().1 else {
        panic!("not a packet")
    };
    #[rustfmt::skip]
    let expected: [u8; 46] = [
        0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x00,
        0x45, 0x20, 0, 32, 0xab, 0xcd, 0, 0, 64, 1, 0x4a, 0xe4, 192, 0, 2, 10, 192, 0, 2, 1,
        0, 0, 0x0e, 0xfa, 0x12, 0x34, 0, 1, b'p', b'i', b'n', b'g',
    ];
    assert_eq!(LINK.echo_reply(ROUTER_MAC, &header, 0xabcd, body), expected);
    // Of the class the congestion bits are the request's own.
    let marked = sealed(altered(&PINGS, &[(15, &[0x23])]));
    let Message::Packet(header, _) = parse(&marked).unwrap().1 else {
        panic!("not a packet")
    };
    assert_eq!(LINK.echo_reply(ROUTER_MAC, &header, 0xabcd, body), expected);
    // Ethernet pads; an odd byte counts as the upper one of a word.
    let mut odd = altered(&PINGS, &[(16, &[0, 31]), (44, b"n")]);
    odd.pop();
    let mut odd = sealed(odd);
    odd.resize(60, 0xa5);
    assert_eq!(wished(&odd), Ok(Wish::Echo(b"\x12\x34\0\x01pin")));
}

#[test]
fn every_flaw_of_arp_has_its_name() {
    use Ignored::*;
    let cases: &[(Changes, Ignored)] = &[
        (&[(12, &[0x86, 0xdd])], NotIpv4),
        (&[(6, &[0xff; 6])], BadSourceMac),
        (&[(6, &[0; 6])], BadSourceMac),
        (&[(6, &[0x01])], BadSourceMac),
        (&[(15, &[6])], ArpNotEthernetIpv4),
        (&[(16, &[0x86, 0xdd])], ArpNotEthernetIpv4),
        (&[(18, &[8])], ArpNotEthernetIpv4),
        (&[(19, &[16])], ArpNotEthernetIpv4),
        (&[(21, &[0])], ArpOperation),
        (&[(21, &[3])], ArpOperation),
        (&[(20, &[1])], ArpOperation),
        (&[(22, &[0xff; 6])], ArpSenderMac),
        (&[(22, &[0; 6])], ArpSenderMac),
        (&[(22, &[0x03])], ArpSenderMac),
        (&[(28, &[224, 0, 0, 1])], ArpSender),
        (&[(28, &[255, 255, 255, 255])], ArpSender),
        (&[(28, &[127, 0, 0, 1])], ArpSender),
        (&[(28, &[0, 0, 0, 1])], ArpSender),
        (&[(21, &[2]), (28, &[0, 0, 0, 0])], ArpProbeReply),
    ];
    for (changes, reason) in cases {
        assert_eq!(parse(&altered(&ASKS, changes)), Err(*reason), "{changes:?}");
    }
    // Not of the frame's source: as routers that share an address do it.
    assert!(parse(&altered(&ASKS, &[(27, &[0x77])])).is_ok());
    for len in 0..ASKS.len() {
        assert_eq!(parse(&ASKS[..len]), Err(TooShort), "{len}");
    }
}

#[test]
fn every_flaw_of_a_packet_has_its_name() {
    use Ignored::*;
    // With right checksums.
    let cases: &[(Changes, Ignored)] = &[
        (&[(14, &[0x65])], NotIpv4),
        (&[(14, &[0x44])], BadLength),
        (&[(16, &[0, 19])], BadLength),
        (&[(16, &[0, 33])], BadLength),
        (&[(20, &[0x20, 0])], Fragment),
        (&[(20, &[0, 1])], Fragment),
        (&[(16, &[0, 27])], BadLength),
        (&[(34, &[8, 1])], BadCode),
        (&[(34, &[0])], EchoReply),
        (&[(34, &[3])], ErrorMessage),
        (&[(34, &[4])], ErrorMessage),
        (&[(34, &[5])], Redirect),
        (&[(34, &[11])], ErrorMessage),
        (&[(34, &[12])], ErrorMessage),
        (&[(34, &[13])], UnknownType),
        (&[(34, &[10])], UnknownType),
    ];
    for (changes, reason) in cases {
        let frame = sealed(altered(&PINGS, changes));
        assert_eq!(wished(&frame), Err(*reason), "{changes:?}");
    }
    let wrong = altered(&PINGS, &[(24, &[0])]);
    assert_eq!(wished(&wrong), Err(BadHeaderChecksum));
    let wrong = altered(&PINGS, &[(45, b"G")]);
    assert_eq!(wished(&wrong), Err(BadChecksum));
    for len in 0..PINGS.len() {
        let expected = if len < 34 { TooShort } else { BadLength };
        assert_eq!(wished(&PINGS[..len]), Err(expected), "{len}");
    }
}

#[test]
fn options_are_skipped_unless_they_route() {
    let with = |options: [u8; 4]| {
        let mut frame = altered(&PINGS, &[(14, &[0x46]), (16, &[0, 36])]);
        frame.splice(34..34, options);
        sealed(frame)
    };
    for (options, result) in [
        ([1, 1, 1, 0], Ok(Wish::Echo(b"\x12\x34\0\x01ping"))),
        ([131, 3, 4, 0], Ok(Wish::Echo(b"\x12\x34\0\x01ping"))),
        ([131, 4, 4, 0], Err(Ignored::SourceRoute)),
        ([137, 4, 4, 0], Err(Ignored::SourceRoute)),
        ([7, 5, 4, 0], Err(Ignored::BadOptions)),
    ] {
        assert_eq!(wished(&with(options)), result, "{options:?}");
    }
}

#[test]
fn what_is_not_served_is_told_apart() {
    // Ports 4000 to 33434, eight bytes; then the checksum.
    let udp = |sum: [u8; 2]| {
        let mut frame = altered(&PINGS, &[(16, &[0, 28]), (23, &[17])]);
        frame.truncate(42);
        frame[34..40].copy_from_slice(&[0x0f, 0xa0, 0x82, 0x9a, 0, 8]);
        frame = sealed(frame);
        frame[36..38].copy_from_slice(&[0x82, 0x9a]);
        frame[40..42].copy_from_slice(&sum);
        frame
    };
    let port = Wish::Unserved(icmpv4::Problem::Unreachable(3));
    let protocol = Wish::Unserved(icmpv4::Problem::Unreachable(2));
    assert_eq!(wished(&udp([0, 0])), Ok(port));
    assert_eq!(wished(&udp([0xe9, 0x97])), Ok(port));
    assert_eq!(wished(&udp([0xe9, 0x98])), Err(Ignored::BadChecksum));
    for len in [7, 9, 0xff] {
        let mut frame = udp([0, 0]);
        frame[39] = len;
        assert_eq!(wished(&frame), Err(Ignored::BadLength), "{len}");
    }
    for number in [6, 2, 50, 132] {
        let frame = sealed(altered(&PINGS, &[(23, &[number])]));
        assert_eq!(wished(&frame), Ok(protocol), "{number}");
    }
}
