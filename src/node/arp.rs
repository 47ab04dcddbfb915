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
mod tests;
