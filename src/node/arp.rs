//! ARP (RFC 826) towards nodes: every request of a node is answered here, with
//! the virtual hardware address of whom it asks for, and goes no further.
//!
//! Silence is the only refusal that ARP knows. And there is nothing else for what
//! a node asks about itself: an answer to a probe or an announcement (RFC 5227)
//! of its own address would tell it that the address is taken. A probe of
//! somebody else's address is answered, because it is.

use crate::reasons::reasons;
use crate::wire::ethernet::{HEADER_LEN, Header, TAG_LEN, ethertype};
use crate::wire::{Mac, Vaddr, arp};

/// The node a frame came from, by its binding.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Whether an address is the node's: a node may have several.
    pub owns: &'a dyn Fn(Vaddr) -> bool,
    /// `None` while it is not known; then any is taken for its own.
    pub mac: Option<Mac>,
    /// VLAN id of its frames.
    pub vlan: Option<u16>,
}

impl std::fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker")
            .field("mac", &self.mac)
            .field("vlan", &self.vlan)
            .finish_non_exhaustive()
    }
}

impl Asker<'_> {
    /// Whether it may speak from an address. 0.0.0.0 is nobody's, whatever
    /// prefix is behind the node.
    fn is(&self, sender: Vaddr) -> bool {
        sender != Vaddr(0) && (self.owns)(sender)
    }
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
        SpoofedAddress = "arp_spoofed_address", "Sender's IPv4 address is none of the node's.";
        Probe = "arp_probe", "Probe of the node for an address of its own.";
        Gratuitous = "arp_gratuitous", "Announcement of the node's own address.";
        OwnAddress = "arp_own_address", "Request for an address of the node itself.";
        NoUnicastTarget = "arp_no_unicast_target", "Request for a multicast, broadcast or zero address.";
        WrongSubnet = "arp_wrong_subnet", "Request for an address outside the node's subnet.";
        Withheld = "arp_withheld", "Request for an address that the node may not reach.";
        CachedUnknown = "arp_cached_unknown", "Request for an address that nobody had a moment ago.";
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
pub fn sender_of(frame: &[u8], asker: &Asker<'_>) -> Option<Mac> {
    let Tagged { vlan, message } = parse(frame).ok()?;
    let own = vlan == asker.vlan
        && asker.is(message.sender)
        && asker.mac.is_none_or(|mac| mac == message.sender_mac);
    own.then_some(message.sender_mac)
}

/// An address that a node says it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    pub address: Vaddr,
    pub mac: Mac,
    /// It was not asked, and asks nobody (RFC 5227 section 2.3).
    pub announces: bool,
}

/// What a node says of itself, whether or not the address is its own. `mac` is
/// its hardware address, if it is given.
pub fn claim(frame: &[u8], vlan: Option<u16>, mac: Option<Mac>) -> Option<Claim> {
    let Tagged { vlan: its, message } = parse(frame).ok()?;
    let own = its == vlan && mac.is_none_or(|mac| mac == message.sender_mac);
    (own && message.sender != Vaddr(0)).then_some(Claim {
        address: message.sender,
        mac: message.sender_mac,
        announces: message.sender == message.target,
    })
}

/// The hardware address by which a node says that it has just come to its port:
/// a hypervisor sends a reverse request (RFC 903) for a guest that it took over.
pub fn arrival(frame: &[u8], asker: &Asker<'_>) -> Result<Mac, ArpIgnored> {
    let link = Header::parse(frame).ok_or(ArpIgnored::TooShort)?;
    let message = frame.get(link.len..).unwrap_or(&[]);
    let sender = match arp::reverse_request(message) {
        _ if link.ethertype != ethertype::RARP => return Err(ArpIgnored::NotArp),
        Some(sender) => sender,
        None => return Err(ArpIgnored::BadOperation),
    };
    if link.vlan != asker.vlan {
        return Err(ArpIgnored::WrongVlan);
    }
    if !sender.is_unicast() || sender != link.source {
        return Err(ArpIgnored::BadSenderMac);
    }
    match asker.mac.is_none_or(|mac| mac == sender) {
        true => Ok(sender),
        false => Err(ArpIgnored::SpoofedMac),
    }
}

/// The answer to a node's message, if it gets one. `lookup` gives the hardware
/// address that the node is told of an address, or why it is told none.
pub fn answer(
    frame: &[u8],
    asker: &Asker<'_>,
    lookup: impl FnOnce(Vaddr) -> Result<Mac, ArpIgnored>,
) -> ArpOutcome {
    match decide(frame, asker, lookup) {
        Ok(frame) => ArpOutcome::Answer(frame),
        Err(reason) => ArpOutcome::Ignored(reason),
    }
}

fn decide(
    frame: &[u8],
    asker: &Asker<'_>,
    lookup: impl FnOnce(Vaddr) -> Result<Mac, ArpIgnored>,
) -> Result<Vec<u8>, ArpIgnored> {
    let Tagged { vlan, message } = parse(frame)?;
    if vlan != asker.vlan {
        return Err(ArpIgnored::WrongVlan);
    }
    if asker.mac.is_some_and(|mac| mac != message.sender_mac) {
        return Err(ArpIgnored::SpoofedMac);
    }
    // Before the operation: a spoofed reply is first of all spoofed.
    let probes = message.sender == Vaddr(0);
    if !probes && !asker.is(message.sender) {
        return Err(ArpIgnored::SpoofedAddress);
    }
    if !message.is_request {
        return Err(ArpIgnored::Reply);
    }
    if message.target != Vaddr(0) && asker.is(message.target) {
        return Err(match message.target_mac {
            _ if probes => ArpIgnored::Probe,
            _ if message.target != message.sender => ArpIgnored::OwnAddress,
            Mac::ZERO | Mac::BROADCAST => ArpIgnored::Gratuitous,
            mac if mac == message.sender_mac => ArpIgnored::Gratuitous,
            _ => ArpIgnored::OwnAddress,
        });
    }
    if message.target.0 == 0 || message.target.0 == u32::MAX || message.target.is_multicast() {
        return Err(ArpIgnored::NoUnicastTarget);
    }
    let mac = lookup(message.target)?;
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
pub fn learn(frame: &[u8], node: &Asker<'_>) -> Result<Mac, ArpIgnored> {
    let Tagged { vlan, message } = parse(frame)?;
    if vlan != node.vlan {
        return Err(ArpIgnored::WrongVlan);
    }
    if message.sender == Vaddr(0) {
        return Err(ArpIgnored::Probe);
    }
    if !node.is(message.sender) {
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
}
