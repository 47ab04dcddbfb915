//! Packets that go as a whole through the engine of RFC 7915: the relay's that
//! are not plain, and those between nodes and outsiders.

use crate::mapping::{NodeIndex, SideIndex};
use crate::packet::Packet;
use crate::siit::rfc7915::Translated;
use crate::wire::ethernet;

use super::rewrite::move_front;
use super::topology::Hop;
use super::{Drop, Exit};

/// A family of addresses, as the side that a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    Ipv4,
    Ipv6,
}

/// A packet that is to be cut: it is as it came, or, after a hairpin turn, an
/// IPv4 packet without a link header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The family that the packet now is of.
    pub from: Side,
    pub l3: u16,
    pub id: u16,
    pub hairpinned: bool,
    pub whose: Whose,
}

/// Whose rules and addresses it is translated by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Relay,
    /// A node's, to an outsider.
    Outsider(SideIndex, NodeIndex),
    /// An outsider's, to a node.
    Node(NodeIndex),
}

/// What a packet leaves with before its IP header.
#[derive(Clone, Copy, Debug)]
pub enum Link<'a> {
    Hop(&'a Hop),
    Node(ethernet::Header),
}

impl Link<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Link::Hop(hop) => hop.link_len(),
            Link::Node(link) => ethernet::HEADER_LEN + link.vlan.map_or(0, |_| ethernet::TAG_LEN),
        }
    }

    /// Writes it to the front of a frame and returns what is behind it.
    pub(super) fn write<'f>(&self, frame: &'f mut [u8]) -> Option<&'f mut [u8]> {
        match self {
            Link::Hop(hop) => hop.write_link(frame),
            Link::Node(link) => {
                let (front, rest) = frame.split_at_mut_checked(self.len())?;
                link.emit(front);
                Some(rest)
            }
        }
    }
}

/// The IP packet, if it is in one piece. Buffers have room for whole frames, so
/// only a device that scatters one over several makes more of it.
pub(super) fn whole<P: Packet>(packet: &P, l3: u16) -> Result<&[u8], Exit> {
    let head = packet.head();
    if head.len() < packet.total_len() {
        return Err(Drop::HeadersSplit.into());
    }
    Ok(head.get(usize::from(l3)..).ok_or(Drop::TooShort)?)
}

/// Exchanges the front of a packet for what the engine wrote.
pub(super) fn put<P: Packet>(
    packet: &mut P,
    link: Link<'_>,
    l3: u16,
    translated: &Translated,
) -> Result<(), Exit> {
    let l3 = usize::from(l3);
    let rest = &translated.rest;
    // Where nothing is kept, the front takes the place of all there is.
    let (from, to) = match rest.is_empty() {
        true => (packet.total_len(), packet.total_len()),
        false => (l3 + rest.start, l3 + rest.end),
    };
    packet.truncate(to);
    let front = link.len() + translated.head.len();
    move_front(packet, front as isize - from as isize)?;
    let place = link.write(packet.head_mut()).ok_or(Drop::HeadersSplit)?;
    let place = place
        .get_mut(..translated.head.len())
        .ok_or(Drop::HeadersSplit)?;
    place.copy_from_slice(&translated.head);
    Ok(())
}

/// Exchanges all bytes of a packet.
pub(super) fn refill<P: Packet>(packet: &mut P, parts: &[&[u8]]) -> Result<(), Exit> {
    packet.truncate(0);
    for part in parts {
        packet.append(part)?;
    }
    Ok(())
}
