use super::*;
use proptest::prelude::*;
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetFrame};

const A: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);
const VIRTUAL_G: Mac = Mac([0x0a, 0x5b, 0x0a, 0, 0, 3]);
const A_ADDRESS: Vaddr = Vaddr(0x0a00_0002);
const G_ADDRESS: Vaddr = Vaddr(0x0a00_0003);

/// A (10.0.0.2) asks everybody for G (10.0.0.3).
const ASKS: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x08, 0x06, // link
    0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
    0x02, 0, 0, 0, 0, 0x0a, 10, 0, 0, 2, // sender
    0, 0, 0, 0, 0, 0, 10, 0, 0, 3, // target
];
const ANSWERED: [u8; 42] = [
    0x02, 0, 0, 0, 0, 0x0a, 0x0a, 0x5b, 0x0a, 0, 0, 3, 0x08, 0x06, //
    0, 1, 0x08, 0, 6, 4, 0, 2, //
    0x0a, 0x5b, 0x0a, 0, 0, 3, 10, 0, 0, 3, //
    0x02, 0, 0, 0, 0, 0x0a, 10, 0, 0, 2,
];

/// A has a second address, and a prefix behind it.
fn is_a(address: Vaddr) -> bool {
    address == A_ADDRESS || address == Vaddr(0x0a00_001e) || address.0 >> 16 == 0x0a09
}

const NODE_A: Asker<'_> = Asker {
    owns: &is_a,
    mac: Some(A),
    vlan: None,
};

fn only_g(address: Vaddr) -> Result<Mac, ArpIgnored> {
    match address == G_ADDRESS {
        true => Ok(VIRTUAL_G),
        false => Err(ArpIgnored::UnknownTarget),
    }
}

fn tagged(frame: &[u8], id: u16) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    out.extend([0x81, 0x00]);
    out.extend(id.to_be_bytes());
    out.extend(&frame[12..]);
    out
}

/// Where to change ASKS, and to what.
type Changes<'a> = &'a [(usize, &'a [u8])];

fn with(changes: Changes) -> Vec<u8> {
    let mut frame = ASKS.to_vec();
    for (at, bytes) in changes {
        frame[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    frame
}

#[test]
fn a_known_target_is_answered_to_the_byte() {
    let answered = ArpOutcome::Answer(ANSWERED.to_vec());
    assert_eq!(answer(&ASKS, &NODE_A, only_g), answered);
    let unlearned = Asker {
        mac: None,
        ..NODE_A
    };
    assert_eq!(answer(&ASKS, &unlearned, only_g), answered);
    // Ethernet pads to 60 bytes; a refreshing request is not broadcast.
    let mut padded = with(&[(0, &VIRTUAL_G.0)]);
    padded.resize(60, 0xa5);
    assert_eq!(answer(&padded, &NODE_A, only_g), answered);
}

#[test]
fn a_node_names_its_own_hardware_address() {
    let other = Mac([0x02, 0, 0, 0, 0, 0x0c]);
    let moved = with(&[(6, &other.0), (22, &other.0)]);
    let unlearned = Asker {
        mac: None,
        ..NODE_A
    };
    assert_eq!(sender_of(&moved, &unlearned), Some(other));
    assert_eq!(sender_of(&ASKS, &NODE_A), NODE_A.mac);
    assert_eq!(sender_of(&moved, &NODE_A), None, "another was given");
    let probe = with(&[(28, &[0; 4])]);
    assert_eq!(sender_of(&probe, &unlearned), None, "nobody's address");
    assert_eq!(sender_of(&tagged(&ASKS, 100), &unlearned), None);
}

#[test]
fn a_second_address_asks_and_is_answered() {
    let asks = with(&[(28, &[10, 0, 0, 30])]);
    let mut answered = ANSWERED;
    answered[38..].copy_from_slice(&[10, 0, 0, 30]);
    let outcome = answer(&asks, &NODE_A, only_g);
    assert_eq!(outcome, ArpOutcome::Answer(answered.to_vec()));
    assert_eq!(sender_of(&asks, &NODE_A), Some(A));
}

/// RFC 5227 section 2.1.1: any answer means that the address is taken.
#[test]
fn a_probe_of_an_address_that_somebody_has_is_answered() {
    let probe = with(&[(28, &[0, 0, 0, 0])]);
    let mut answered = ANSWERED;
    answered[38..].copy_from_slice(&[0, 0, 0, 0]);
    let outcome = answer(&probe, &NODE_A, only_g);
    assert_eq!(outcome, ArpOutcome::Answer(answered.to_vec()));
    // Even one with everything behind it is not asked as 0.0.0.0.
    let everything = Asker {
        owns: &|_| true,
        mac: None,
        vlan: None,
    };
    assert_eq!(sender_of(&probe, &everything), None);
    let own = answer(&probe, &everything, only_g);
    assert_eq!(own, ArpOutcome::Ignored(ArpIgnored::Probe));
}

/// As QEMU sends it for a guest that has moved.
const ARRIVES: [u8; 60] = {
    let mut frame = [0; 60];
    let message = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0a, 0x80, 0x35, // link
        0, 1, 0x08, 0, 6, 4, 0, 3, // Ethernet, IPv4, reverse request
        0x02, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, // sender
        0x02, 0, 0, 0, 0, 0x0a, 0, 0, 0, 0, // target
    ];
    let mut i = 0;
    while i < message.len() {
        frame[i] = message[i];
        i += 1;
    }
    frame
};

#[test]
fn a_guest_that_comes_names_its_hardware_address() {
    use ArpIgnored::*;
    assert_eq!(arrival(&ARRIVES, &NODE_A), Ok(A));
    let unlearned = Asker {
        mac: None,
        ..NODE_A
    };
    assert_eq!(arrival(&ARRIVES, &unlearned), Ok(A));
    let other = [0x02, 0, 0, 0, 0, 0x0c];
    let cases: &[(Changes, ArpIgnored)] = &[
        (&[(12, &[0x08, 0x06])], NotArp),
        (&[(16, &[0x86, 0xdd])], BadOperation),
        (&[(20, &[0, 4])], BadOperation),
        (&[(22, &other)], BadSenderMac),
        (&[(6, &[0xff; 6]), (22, &[0xff; 6])], BadSenderMac),
        (&[(6, &other), (22, &other)], SpoofedMac),
    ];
    for (changes, reason) in cases {
        let mut frame = ARRIVES;
        for (at, bytes) in *changes {
            frame[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(arrival(&frame, &NODE_A), Err(*reason), "{changes:?}");
    }
    assert_eq!(arrival(&tagged(&ARRIVES, 7), &NODE_A), Err(WrongVlan));
    assert_eq!(arrival(&ARRIVES[..41], &NODE_A), Err(BadOperation));
    assert_eq!(arrival(&ARRIVES[..13], &NODE_A), Err(TooShort));
    assert_eq!(
        answer(&ARRIVES, &NODE_A, only_g),
        ArpOutcome::Ignored(NotArp)
    );
}

#[test]
fn tags_come_back() {
    let node = Asker {
        vlan: Some(100),
        ..NODE_A
    };
    assert_eq!(
        answer(&tagged(&ASKS, 100), &node, only_g),
        ArpOutcome::Answer(tagged(&ANSWERED, 100))
    );
    for (frame, node) in [
        (tagged(&ASKS, 101), node),
        (ASKS.to_vec(), node),
        (tagged(&ASKS, 100), NODE_A),
    ] {
        let ignored = ArpOutcome::Ignored(ArpIgnored::WrongVlan);
        assert_eq!(answer(&frame, &node, only_g), ignored);
    }
}

#[test]
fn everything_else_is_silence_by_name() {
    use ArpIgnored::*;
    let other = [0x02, 0, 0, 0, 0, 0x0c];
    let cases: &[(Changes, ArpIgnored)] = &[
        (&[(12, &[0x08, 0x00])], NotArp),
        (&[(14, &[0, 6])], NotEthernetIpv4),
        (&[(16, &[0x86, 0xdd])], NotEthernetIpv4),
        (&[(18, &[8])], NotEthernetIpv4),
        (&[(19, &[16])], NotEthernetIpv4),
        (&[(20, &[0, 0])], BadOperation),
        (&[(20, &[0, 3])], BadOperation),
        (&[(20, &[0, 2])], Reply),
        (&[(22, &other)], BadSenderMac),
        (&[(6, &other)], BadSenderMac),
        (&[(6, &[0xff; 6]), (22, &[0xff; 6])], BadSenderMac),
        (&[(6, &other), (22, &other)], SpoofedMac),
        (&[(28, &[10, 0, 0, 5])], SpoofedAddress),
        (&[(20, &[0, 2]), (28, &[10, 0, 0, 3])], SpoofedAddress),
        (&[(28, &[0, 0, 0, 0]), (38, &[10, 0, 0, 2])], Probe),
        (&[(28, &[0, 0, 0, 0]), (38, &[10, 0, 0, 30])], Probe),
        (&[(28, &[0, 0, 0, 0]), (38, &[10, 0, 0, 9])], UnknownTarget),
        (&[(28, &[0, 0, 0, 0]), (38, &[0, 0, 0, 0])], NoUnicastTarget),
        (&[(28, &[10, 0, 0, 30]), (38, &[10, 0, 0, 30])], Gratuitous),
        // From one of its addresses for another, or for what is behind it.
        (&[(28, &[10, 0, 0, 30]), (38, &[10, 0, 0, 2])], OwnAddress),
        (&[(38, &[10, 9, 0, 1])], OwnAddress),
        (&[(38, &[10, 0, 0, 2])], Gratuitous),
        (&[(38, &[10, 0, 0, 2]), (32, &VIRTUAL_G.0)], OwnAddress),
        (&[(38, &[0, 0, 0, 0])], NoUnicastTarget),
        (&[(38, &[255, 255, 255, 255])], NoUnicastTarget),
        (&[(38, &[224, 0, 0, 251])], NoUnicastTarget),
        (&[(38, &[10, 0, 0, 9])], UnknownTarget),
    ];
    for (changes, reason) in cases {
        let outcome = answer(&with(changes), &NODE_A, only_g);
        assert_eq!(outcome, ArpOutcome::Ignored(*reason), "{changes:?}");
    }
    for len in 0..ASKS.len() {
        let outcome = answer(&ASKS[..len], &NODE_A, only_g);
        assert_eq!(outcome, ArpOutcome::Ignored(TooShort), "{len}");
    }
}

#[test]
fn requests_and_answers_read_back_elsewhere() {
    let frame = request(A_ADDRESS, None, G_ADDRESS, VIRTUAL_G);
    let link = EthernetFrame::new_checked(&frame[..]).unwrap();
    assert_eq!(link.dst_addr().0, [0xff; 6]);
    let arp = ArpPacket::new_checked(link.payload()).unwrap();
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&arp).unwrap()
    else {
        panic!("not Ethernet and IPv4")
    };
    assert_eq!(operation, ArpOperation::Request);
    assert_eq!(source_hardware_addr.0, VIRTUAL_G.0);
    assert_eq!(source_protocol_addr.octets(), [10, 0, 0, 3]);
    assert_eq!(target_protocol_addr.octets(), [10, 0, 0, 2]);
    // A node that works as we do answers it.
    let peer = Asker {
        owns: &|address| address == G_ADDRESS,
        mac: Some(VIRTUAL_G),
        vlan: None,
    };
    let ArpOutcome::Answer(reply) = answer(&frame, &peer, |_| Ok(A)) else {
        panic!("no answer")
    };
    let asked = Asker {
        mac: None,
        ..NODE_A
    };
    assert_eq!(learn(&reply, &asked), Ok(A));
}

#[test]
fn only_the_node_itself_teaches_its_hardware_address() {
    let unlearned = Asker {
        mac: None,
        ..NODE_A
    };
    assert_eq!(learn(&ASKS, &unlearned), Ok(A));
    assert_eq!(learn(&ASKS, &NODE_A), Ok(A));
    let elsewhere = Asker {
        owns: &|address| address == G_ADDRESS,
        ..unlearned
    };
    assert_eq!(learn(&ASKS, &elsewhere), Err(ArpIgnored::NotAReply));
    let replaced = Asker {
        mac: Some(VIRTUAL_G),
        ..NODE_A
    };
    assert_eq!(learn(&ASKS, &replaced), Err(ArpIgnored::SpoofedMac));
    let probe = with(&[(28, &[0, 0, 0, 0])]);
    assert_eq!(learn(&probe, &unlearned), Err(ArpIgnored::Probe));
    let wrong = tagged(&ASKS, 7);
    assert_eq!(learn(&wrong, &unlearned), Err(ArpIgnored::WrongVlan));
}

proptest! {
    #[test]
    fn no_bytes_are_answered_but_good_ones(
        mut frame in prop::collection::vec(any::<u8>(), 0..80),
        at in 0usize..42, to: u8,
    ) {
        let outcome = answer(&frame, &NODE_A, |_| Ok(VIRTUAL_G));
        prop_assert!(matches!(outcome, ArpOutcome::Ignored(_)));
        frame.clear();
        frame.extend(ASKS);
        frame[at] = to;
        if let ArpOutcome::Answer(reply) = answer(&frame, &NODE_A, |_| Ok(VIRTUAL_G)) {
            // Whatever was changed, the answer goes to A about another.
            prop_assert_eq!(&reply[..6], &A.0);
            let to = Vaddr::from_bytes([reply[38], reply[39], reply[40], reply[41]]);
            prop_assert!(to == Vaddr(0) || is_a(to));
            let about = Vaddr::from_bytes([reply[28], reply[29], reply[30], reply[31]]);
            prop_assert!(!is_a(about));
        }
    }
}
