//! What gets no answer, by name.

use super::DhcpIgnored::*;
use super::*;

const C: Mac = Mac([0x02, 0, 0, 0, 0, 0x0c]);

#[test]
fn messages_without_effect() {
    let ask = || Ask::new("350101");
    let renewing = || Ask::unicast(A_ADDRESS, "350103");
    let other = Vaddr(0x0a00_0007);
    let cases = [
        (
            Ask {
                vlan: Some(7),
                ..ask()
            },
            WrongVlan,
        ),
        (
            Ask {
                ports: (68, 68),
                ..ask()
            },
            WrongPort,
        ),
        (
            Ask {
                ports: (67, 67),
                ..ask()
            },
            WrongPort,
        ),
        (
            Ask {
                ports: (67, 68),
                ..ask()
            },
            WrongPort,
        ),
        (
            Ask {
                dst: other,
                ..renewing()
            },
            WrongDestination,
        ),
        (
            Ask {
                dst: Vaddr(0x0a00_00ff),
                ..ask()
            },
            WrongDestination,
        ),
        (
            Ask {
                direction: 2,
                ..ask()
            },
            NotARequest,
        ),
        (Ask::new("350102"), NotARequest),
        (Ask::new("350105"), NotARequest),
        (Ask::new("350106"), NotARequest),
        (Ask::new(""), NoKind),
        (Ask::new("350100"), NoKind),
        (Ask::new("350109"), NoKind),
        (Ask::new("35020101"), NoKind),
        (Ask::new("350101 350101"), NoKind),
        (Ask::new("350101 0cff"), BadOption),
        (Ask::new("350101 3403010203"), BadOption),
        (
            Ask {
                giaddr: other,
                ..ask()
            },
            Relayed,
        ),
        (Ask::new("350101 5204 01020a0b"), Relayed),
        (Ask { chaddr: C, ..ask() }, Chaddr),
        (Ask { from: C, ..ask() }, Chaddr),
        (
            Ask {
                from: C,
                chaddr: C,
                ..ask()
            },
            SpoofedMac,
        ),
        (
            Ask {
                src: A_ADDRESS,
                ..ask()
            },
            SpoofedAddress,
        ),
        (
            Ask {
                src: other,
                ..renewing()
            },
            SpoofedAddress,
        ),
        (Ask::new("350103 36040a000009 32040a000002"), OtherServer),
        (Ask::new("350101 36040a000009"), OtherServer),
        (Ask::unicast(A_ADDRESS, "350107 36040a000009"), OtherServer),
        (Ask::new("350103 36030a0000 32040a000002"), BadOption),
        (Ask::new("350103"), NoAddress),
        (Ask::new("350103 36040a000001"), NoAddress),
        (Ask::new("350103 32030a0000"), BadOption),
        (Ask::new("350104"), NoAddress),
        (Ask::new("350104 32040a000007"), NoAddress),
        (Ask::new("350107"), NoAddress),
        (Ask::unicast(other, "350107"), NoAddress),
        (Ask::new("350108"), NoAddress),
        (Ask::unicast(other, "350108"), NoAddress),
    ];
    for (at, (ask, why)) in cases.into_iter().enumerate() {
        assert_eq!(ask.answer(), Err(why), "{at}");
    }
}

#[test]
fn frames_that_are_no_message() {
    let good = Ask::new("350101").frame();
    let ignored = |frame: &[u8]| answer(frame, &NODE_A, &terms()).err();
    assert_eq!(ignored(&good), None);
    for len in 0..good.len() {
        assert_eq!(ignored(&good[..len]), Some(BadPacket), "{len}");
    }
    // Padding is no part of it.
    let padded = [&good[..], &[0xa5; 9]].concat();
    assert_eq!(ignored(&padded), None);
    for (at, bytes, why) in [
        (12, &[0x08, 0x06][..], BadPacket),
        // A checksum of the link's payload, and one of the datagram's.
        (20, &[0x20], BadPacket),
        (100, &[1], BadPacket),
        (40, &[1, 2], BadPacket),
    ] {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(ignored(&bad), Some(why), "{at}");
    }
    // Fragments and other protocols, with right header checksums.
    for (at, byte) in [(20, 0x20), (21, 1), (23, 6)] {
        let mut bad = good.clone();
        bad[at] = byte;
        seal(&mut bad);
        assert_eq!(ignored(&bad), Some(BadPacket), "{at}");
    }
    // Without a datagram's checksum there is none to be wrong.
    let mut unsummed = good.clone();
    unsummed[40..42].fill(0);
    unsummed[300] = 1;
    assert_eq!(ignored(&unsummed), None);
    // What must be checked by name needs a message without one.
    for (at, bytes, why) in [
        (43, &[6][..], NotEthernet),
        (44, &[8], NotEthernet),
        (278, &[0], NoCookie),
        (42, &[0], NotARequest),
        // The datagram ends before the message does, or before itself.
        (38, &[0, 8], TooShort),
        (38, &[0, 247], TooShort),
        (38, &[0, 7], BadPacket),
        (38, &[1, 0x35], BadPacket),
    ] {
        let mut bad = good.clone();
        bad[40..42].fill(0);
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(ignored(&bad), Some(why), "{at}");
    }
}

/// Makes the header checksum right again after a change.
fn seal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = checksum::checksum(&frame[14..34]).to_be_bytes();
    frame[24..26].copy_from_slice(&sum);
}

/// A node whose hardware address is not known yet may have any.
#[test]
fn unknown_hardware_addresses_are_taken() {
    let moved = Ask {
        from: C,
        chaddr: C,
        ..Ask::new("350101")
    };
    let unlearned = Client {
        mac: None,
        vlan: None,
    };
    let answer = answer(&moved.frame(), &unlearned, &terms()).unwrap();
    let (_, frame) = answer.reply.unwrap();
    assert_eq!(frame[..6], C.0);
    assert_eq!(frame[70..76], C.0);
}
