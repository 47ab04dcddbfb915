//! What senders are told: RFC 7915 sections 4.4 and 5.4.

use super::*;

const OWN4: &str = "198.51.100.254";
const OWN6: &str = "2001:db8::fe";

/// The message about a packet, if it is refused with one.
fn told(packet: &[u8], rules: &Rules) -> Option<Vec<u8>> {
    if packet[0] >> 4 == 4 {
        let reply = to_ipv6(packet, &cx(rules)).unwrap_err().reply?;
        let mut out = [0; 576];
        let len = reply.to_ipv4(four(OWN4), packet, &mut out)?;
        return Some(out[..len].to_vec());
    }
    let reply = to_ipv4(packet, &cx(rules)).unwrap_err().reply?;
    let mut out = [0; 1280];
    let len = reply.to_ipv6(&sixteen(OWN6), packet, &mut out)?;
    Some(out[..len].to_vec())
}

#[test]
fn the_sender_of_an_ipv4_packet() {
    let rules = rules();
    let packet = packet4(header4(6), &tcp(1460));
    let message = told(&packet, &rules).unwrap();
    let h = ipv4::Header::parse(&message).unwrap();
    assert_eq!((h.src, h.dst, h.protocol), (four(OWN4), four(V4), 1));
    assert_eq!(message[20..22], [3, 4]);
    assert_eq!(message[24..28], 1480u32.to_be_bytes());
    assert_eq!(message[28..], packet[..548]);
    assert!(is_right(&message));
    let h = ipv4::Header {
        dst: four(UNMAPPED4),
        ..header4(6)
    };
    let message = told(&packet4(h, &tcp(0)), &rules).unwrap();
    assert_eq!(
        (message[20], message[21], &message[24..28]),
        (3, 13, &[0; 4][..])
    );
    assert!(is_right(&message));
    // Not of later fragments, nor of packets to groups.
    let later = ipv4::Header { offset: 9, ..h };
    assert_eq!(told(&packet4(later, &tcp(0)), &rules), None);
    let group = ipv4::Header {
        dst: four("224.0.0.5"),
        ..h
    };
    assert_eq!(told(&packet4(group, &tcp(0)), &rules), None);
}

#[test]
fn the_sender_of_an_ipv6_packet() {
    let mut rules = rules();
    rules.mtu4 = 1400;
    let packet = packet6(header6(6), &tcp(1440));
    let message = told(&packet, &rules).unwrap();
    let h = ipv6::Header::parse(&message).unwrap();
    assert_eq!((h.src, h.dst), (sixteen(OWN6), sixteen(EAM_A6)));
    assert_eq!((message[40], message[41], message.len()), (2, 0, 1280));
    assert_eq!(message[44..48], 1420u32.to_be_bytes());
    assert_eq!(message[48..], packet[..1232]);
    assert!(is_right(&message));
    // Of a route.
    let packet = packet6(header6(43), &[17, 0, 0, 1, 0, 0, 0, 0]);
    let message = told(&packet, &rules).unwrap();
    assert_eq!((message[40], message[41], message[47]), (4, 0, 43));
    assert!(is_right(&message));
    // An echo whose hops are spent is answered, an error is not.
    let h = ipv6::Header {
        hop_limit: 1,
        ..header6(58)
    };
    let echo = packet6(h, &icmp(128, 0, 0, &[]));
    assert_eq!(told(&echo, &rules).unwrap()[40..42], [3, 0]);
    let error = packet6(h, &icmp(1, 0, 0, &packet6(header6(6), &tcp(0))));
    assert_eq!(told(&error, &rules), None);
}

#[test]
fn bytes_that_are_no_packet_are_not_answered() {
    let reply = Reply {
        kind: 3,
        code: 13,
        word: 0,
    };
    for bytes in [&[][..], &[0x45; 19], &[0x60; 39]] {
        assert_eq!(reply.to_ipv4(four(OWN4), bytes, &mut [0; 576]), None);
        assert_eq!(reply.to_ipv6(&sixteen(OWN6), bytes, &mut [0; 1280]), None);
    }
}
