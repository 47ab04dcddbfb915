//! ARP (RFC 826) towards nodes: every request of a node is answered here, with
//! the virtual hardware address of whom it asks for, and goes no further.
//!
//! Silence is the only refusal that ARP knows. So there is none for what a
//! node asks about itself: an answer to a probe or an announcement (RFC 5227)
//! of its own address would tell it that the address is taken.

use crate::reasons::reasons;
use crate::wire::ethernet::{HEADER_LEN, Header, TAG_LEN, ethertype};
use crate::wire::{Mac, Vaddr, arp};

/// The node a frame came from, by its binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    pub address: Vaddr,
    /// `None` while it is not known; then any is taken for its own.
    pub mac: Option<Mac>,
    /// VLAN id of its frames.
    pub vlan: Option<u16>,
}

reasons! {
    /// Why a message gets no answer.
    pub enum ArpIgnored {
        TooShort = "arp_too_short", "Frame ends inside the ARP message.";
        NotArp = "arp_not_arp", "Ethertype is not ARP.";
        WrongVlan = "arp_wrong_vlan", "VLAN tag is not the node's.";
        NotEthernetIpv4 = "arp_not_ethernet_ipv4", "Hardware or protocol type or length is not Ethernet's and IPv4's.";
        BadOperation = "arp_bad_operation", "Neither request nor reply.";
        BadSenderMac = "arp_bad_sender_mac", "Sender's hardware address is a group or zero, or not the frame's source.";
        SpoofedMac = "arp_spoofed_mac", "Sender's hardware address is not the node's.";
        SpoofedAddress = "arp_spoofed_address", "Sender's IPv4 address is not the node's.";
        Probe = "arp_probe", "Probe for an address before its use; not answered.";
        Gratuitous = "arp_gratuitous", "Announcement of the node's own address.";
        OwnAddress = "arp_own_address", "Request for the node's own address.";
        NoUnicastTarget = "arp_no_unicast_target", "Request for a multicast, broadcast or zero address.";
        UnknownTarget = "arp_unknown_target", "Nobody in the vnet has the address.";
        Reply = "arp_reply", "Reply; read for the node's hardware address, never answered.";
        NotAReply = "arp_not_a_reply", "Not an answer of the node that was asked.";
    }
}

/// What becomes of a message of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ArpOutcome {
    /// Send this frame back to the node.
    Answer(Vec<u8>),
    Ignored(ArpIgnored),
}

/// A message and the VLAN it came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tagged {
    vlan: Option<u16>,
    message: arp::Message,
}

/// Reads a message and checks what can be checked without knowing the node.
fn parse(frame: &[u8]) -> Result<Tagged, ArpIgnored> {
    let link = Header::parse(frame).ok_or(ArpIgnored::TooShort)?;
    if link.ethertype != ethertype::ARP {
        return Err(ArpIgnored::NotArp);
    }
    let message = arp::Message::parse(&frame[link.len..]).map_err(|malformed| match malformed {
        arp::Malformed::TooShort => ArpIgnored::TooShort,
        arp::Malformed::NotEthernetIpv4 => ArpIgnored::NotEthernetIpv4,
        arp::Malformed::BadOperation => ArpIgnored::BadOperation,
    })?;
    if !message.sender_mac.is_unicast() || message.sender_mac != link.source {
        return Err(ArpIgnored::BadSenderMac);
    }
    Ok(Tagged {
        vlan: link.vlan,
        message,
    })
}

/// The hardware address that the node has by its own word, in whatever message
/// names it as the sender.
pub fn sender_of(frame: &[u8], asker: &Asker) -> Option<Mac> {
    let Tagged { vlan, message } = parse(frame).ok()?;
    let own = vlan == asker.vlan
        && message.sender == asker.address
        && asker.mac.is_none_or(|mac| mac == message.sender_mac);
    own.then_some(message.sender_mac)
}

/// The answer to a node's message, if it gets one. `lookup` gives the virtual
/// hardware address of an address that the node's vnet has.
pub fn answer(
    frame: &[u8],
    asker: &Asker,
    lookup: impl FnOnce(Vaddr) -> Option<Mac>,
) -> ArpOutcome {
    match decide(frame, asker, lookup) {
        Ok(frame) => ArpOutcome::Answer(frame),
        Err(reason) => ArpOutcome::Ignored(reason),
    }
}

fn decide(
    frame: &[u8],
    asker: &Asker,
    lookup: impl FnOnce(Vaddr) -> Option<Mac>,
) -> Result<Vec<u8>, ArpIgnored> {
    let Tagged { vlan, message } = parse(frame)?;
    if vlan != asker.vlan {
        return Err(ArpIgnored::WrongVlan);
    }
    if asker.mac.is_some_and(|mac| mac != message.sender_mac) {
        return Err(ArpIgnored::SpoofedMac);
    }
    // Before the operation: a spoofed reply is first of all spoofed.
    if message.sender != asker.address && message.sender != Vaddr(0) {
        return Err(ArpIgnored::SpoofedAddress);
    }
    if !message.is_request {
        return Err(ArpIgnored::Reply);
    }
    if message.sender == Vaddr(0) {
        return Err(ArpIgnored::Probe);
    }
    if message.target == message.sender {
        return Err(match message.target_mac {
            Mac::ZERO | Mac::BROADCAST => ArpIgnored::Gratuitous,
            mac if mac == message.sender_mac => ArpIgnored::Gratuitous,
            _ => ArpIgnored::OwnAddress,
        });
    }
    if message.target.0 == 0 || message.target.0 == u32::MAX || message.target.is_multicast() {
        return Err(ArpIgnored::NoUnicastTarget);
    }
    let mac = lookup(message.target).ok_or(ArpIgnored::UnknownTarget)?;
    let answer = arp::Message {
        is_request: false,
        sender_mac: mac,
        sender: message.target,
        target_mac: message.sender_mac,
        target: message.sender,
    };
    Ok(build(vlan, answer))
}

/// Asks a node for its hardware address, as `peer` would: the system whose
/// packet waits for the answer, by its address and virtual hardware address.
///
/// Not as a probe from 0.0.0.0: to a node that just checks its own address
/// for duplicates, that is another system about to take it, and it gives the
/// address up (RFC 5227 section 2.1.1). And what the node learns from the
/// request about the peer it is told by [`answer`] too. When the peer is not in
/// the node's subnet, ask as the virtual router: nodes with reverse path
/// checks do not answer strangers.
pub fn request(node: Vaddr, vlan: Option<u16>, peer: Vaddr, peer_mac: Mac) -> Vec<u8> {
    let question = arp::Message {
        is_request: true,
        sender_mac: peer_mac,
        sender: peer,
        target_mac: Mac::ZERO,
        target: node,
    };
    build(vlan, question)
}

/// The hardware address that a node tells of itself, in a reply or in any
/// other valid message: it may announce itself before it is asked.
pub fn learn(frame: &[u8], node: &Asker) -> Result<Mac, ArpIgnored> {
    let Tagged { vlan, message } = parse(frame)?;
    if vlan != node.vlan {
        return Err(ArpIgnored::WrongVlan);
    }
    if message.sender == Vaddr(0) {
        return Err(ArpIgnored::Probe);
    }
    if message.sender != node.address {
        return Err(ArpIgnored::NotAReply);
    }
    if node.mac.is_some_and(|mac| mac != message.sender_mac) {
        return Err(ArpIgnored::SpoofedMac);
    }
    Ok(message.sender_mac)
}

/// A request goes to everybody, a reply to whom it is for.
fn build(vlan: Option<u16>, message: arp::Message) -> Vec<u8> {
    let tag = if vlan.is_some() { TAG_LEN } else { 0 };
    let mut out = vec![0; HEADER_LEN + tag];
    Header {
        destination: match message.is_request {
            true => Mac::BROADCAST,
            false => message.target_mac,
        },
        source: message.sender_mac,
        vlan,
        ethertype: ethertype::ARP,
        len: out.len(),
    }
    .emit(&mut out);
    out.extend(message.bytes());
    out
}

#[cfg(test)]
mod tests {
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

    const NODE_A: Asker = Asker {
        address: A_ADDRESS,
        mac: Some(A),
        vlan: None,
    };

    fn only_g(address: Vaddr) -> Option<Mac> {
        (address == G_ADDRESS).then_some(VIRTUAL_G)
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
            (&[(28, &[0, 0, 0, 0])], Probe),
            (&[(28, &[0, 0, 0, 0]), (38, &[10, 0, 0, 2])], Probe),
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
            address: G_ADDRESS,
            mac: Some(VIRTUAL_G),
            vlan: None,
        };
        let ArpOutcome::Answer(reply) = answer(&frame, &peer, |_| Some(A)) else {
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
            address: G_ADDRESS,
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
            let outcome = answer(&frame, &NODE_A, |_| Some(VIRTUAL_G));
            prop_assert!(matches!(outcome, ArpOutcome::Ignored(_)));
            frame.clear();
            frame.extend(ASKS);
            frame[at] = to;
            if let ArpOutcome::Answer(reply) = answer(&frame, &NODE_A, |_| Some(VIRTUAL_G)) {
                // Whatever was changed, the answer goes to A about another.
                prop_assert_eq!(&reply[..6], &A.0);
                prop_assert_eq!(&reply[38..], &[10, 0, 0, 2]);
                prop_assert_ne!(&reply[28..32], &[10, 0, 0, 2]);
            }
        }
    }
}
