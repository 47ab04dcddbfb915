//! The usual packet, a burst at a time: TCP or UDP with a checksum, whole,
//! without options or extension headers, small enough and alive.
//!
//! Three passes over the burst, so that each is short and the lookups wait for
//! memory together:
//!
//! 1. Is it plain? If so its addresses are noted, and nothing else: the header
//!    is at hand when it is read again, and to carry it takes longer.
//! 2. The mappings of all addresses.
//! 3. Each packet is rewritten in one go, with lengths that are constants.
//!
//! A packet that fails in any of them is left as it came, for the walk by
//! stages, which knows why.

mod from4;
mod from6;

pub(super) use from4::{read as read4, to_ipv6, write as write6};
pub(super) use from6::{is_turned_around, read as read6, to_ipv4, write as write4};

use crate::packet::Meta;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{checksum, protocol, tcp, udp};

use super::super::BURST;
use super::super::topology::PortRecord;

/// Where the IP header begins, in frames without and with a tag.
pub(super) const BARE: usize = ethernet::HEADER_LEN;
pub(super) const TAGGED: usize = ethernet::HEADER_LEN + ethernet::TAG_LEN;

/// The bits of a burst's packets.
pub(super) fn all(packets: usize) -> u32 {
    match packets {
        BURST.. => u32::MAX,
        fewer => (1 << fewer) - 1,
    }
}

/// What the link header of a frame for the relay looks like.
struct Gate {
    mac: u64,
    vlan: u16,
    ethertype: u16,
}

impl Gate {
    fn of(port: &PortRecord, ethertype: u16) -> Gate {
        let [a, b, c, d, e, f] = port.mac.0;
        Gate {
            mac: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            vlan: port.vlan.unwrap_or(0),
            ethertype,
        }
    }

    /// Whether the tag is still in the frames; the first one tells for all.
    fn is_tagged(&self, metas: &[Meta]) -> bool {
        self.vlan != 0 && metas.first().is_some_and(|meta| meta.vlan == 0)
    }

    /// What follows a link header of `L3` bytes, if it is for the relay.
    #[inline(always)]
    fn pass<'p, const L3: usize>(&self, frame: &'p [u8], meta: &Meta) -> Option<&'p [u8]> {
        let (link, packet) = frame.split_first_chunk::<L3>()?;
        let mac = u64::from_be_bytes(*link.first_chunk()?) >> 16;
        let half = |at: usize| {
            let pair = link.get(at..at + 2).and_then(<[u8]>::first_chunk);
            pair.map_or(0, |pair| u16::from_be_bytes(*pair))
        };
        let tag = match L3 {
            TAGGED => {
                half(12) == ethertype::VLAN && half(14) & 0xfff == self.vlan && meta.vlan == 0
            }
            _ => meta.vlan == self.vlan,
        };
        (mac == self.mac && half(L3 - 2) == self.ethertype && tag).then_some(packet)
    }
}

/// Where the checksum of a TCP or UDP packet lies in it, and the least length
/// of its header.
#[inline(always)]
fn transport(protocol: u8) -> Option<(usize, usize)> {
    match protocol {
        protocol::TCP => Some((tcp::field::CHECKSUM, tcp::HEADER_LEN)),
        protocol::UDP => Some((udp::field::CHECKSUM, udp::HEADER_LEN)),
        _ => None,
    }
}

/// The transport checksum at a place.
#[inline(always)]
fn field(packet: &[u8], at: usize) -> Option<u16> {
    let field = packet.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*field))
}

/// The transport checksum after its addresses were exchanged. Of the two zeros
/// of one's complement, one means in UDP that there is no sum.
#[inline(always)]
fn adjusted(field: u16, protocol: u8, delta: u16) -> u16 {
    let sum = checksum::adjust(field, delta);
    if sum == 0 && protocol == protocol::UDP {
        0xffff
    } else {
        sum
    }
}

/// What a word adds to a sum.
#[inline(always)]
fn halves(word: u64) -> u64 {
    (word >> 32) + (word & 0xffff_ffff)
}
