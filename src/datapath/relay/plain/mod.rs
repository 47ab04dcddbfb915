//! The usual packet, a burst at a time: TCP or UDP with a checksum, whole,
//! without options or extension headers, in one segment, small enough and
//! alive.
//!
//! Three passes over the burst, so that each is short and the lookups wait for
//! memory together:
//!
//! 1. Is it plain? If so its addresses are noted, and the word of its header
//!    that holds all the rest.
//! 2. The mappings of all addresses.
//! 3. Each packet is rewritten in one go, word by word.
//!
//! Each pass is a [`Work`](crate::arch::Work). What the packets of a burst share is worked out once before them. A
//! packet that fails in any of them is left as it came, for the walk by
//! stages, which knows why.

mod from4;
mod from6;

pub(super) use from4::to_ipv6;
pub(super) use from6::to_ipv4;

use crate::model::ClassRule;
use crate::packet::Meta;
use crate::siit::address_map::{Ends, Ready};
use crate::siit::plain::First;
use crate::siit::rfc7757::Entry;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::load::chunk;
use crate::wire::{protocol, tcp, udp};

use super::super::BURST;
use super::super::front::Form16;
use super::super::topology::PortRecord;

/// Where the IP header begins, in frames without and with a tag.
const BARE: usize = ethernet::HEADER_LEN;
const TAGGED: usize = ethernet::HEADER_LEN + ethernet::TAG_LEN;

/// The bits of a burst's packets.
pub(super) fn all(packets: usize) -> u32 {
    match packets {
        BURST.. => u32::MAX,
        fewer => (1 << fewer) - 1,
    }
}

/// What the front of a frame for the relay looks like.
struct Gate {
    link: Form16,
    /// From the last ethertype on, where a tag is before it.
    net: Form16,
    /// The tag of its frames, 0 for none, and what a device says of it.
    vlan: u16,
    taken_off: u16,
}

impl Gate {
    /// `version` is the first byte of a packet, of which `known` bits matter.
    /// The first packet tells for all whether the tag is still in the frames.
    fn of(port: &PortRecord, metas: &[Meta], ethertype: u16, (version, known): (u8, u8)) -> Gate {
        let vlan = port.vlan.unwrap_or(0);
        let is_tagged = vlan != 0 && metas.first().is_some_and(|meta| meta.vlan == 0);
        let [a, b, c, d, e, f] = port.mac.0;
        let [g, h] = ethertype.to_be_bytes();
        let (inner, last) = match is_tagged {
            false => ([g, h, version, 0], [255, 255, known, 0]),
            true => {
                let ([g, h], [i, j]) = (ethertype::VLAN.to_be_bytes(), vlan.to_be_bytes());
                ([g, h, i, j], [255, 255, 0x0f, 255])
            }
        };
        let mut link = [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut all = [255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        link[12..].copy_from_slice(&inner);
        all[12..].copy_from_slice(&last);
        let net = |bytes: [u8; 3]| {
            let [a, b, c] = bytes;
            [a, b, c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        };
        Gate {
            link: Form16::new(link, all),
            net: Form16::new(net([g, h, version]), net([255, 255, known])),
            vlan,
            taken_off: if is_tagged { 0 } else { vlan },
        }
    }

    fn is_tagged(&self) -> bool {
        self.vlan != self.taken_off
    }

    /// Whether a frame is for the relay, with an IP header at `L3`.
    #[inline(always)]
    fn admits<const L3: usize, const N: usize>(&self, front: &[u8; N], meta: &Meta) -> bool {
        self.link.is_of(chunk(front, 0))
            && (L3 == BARE || self.net.is_of(chunk(front, L3 - 2)))
            && meta.vlan == self.taken_off
    }
}

/// What the first pass leaves to the others.
struct Noted<T> {
    ends: Ends<T>,
    firsts: [First; BURST],
}

impl<T: Copy> Noted<T> {
    #[inline(always)]
    fn new(nothing: T) -> Noted<T> {
        Noted {
            ends: Ends::new(nothing),
            firsts: [First(0); BURST],
        }
    }
}

/// The explicit mappings of both ends.
type Entries<'a> = (Option<&'a Entry>, Option<&'a Entry>);

/// Makes the new addresses of a packet. No closure, which could not be told to
/// be inlined.
trait Make<A, B> {
    fn make(&self, ends: (A, A), entries: Entries<'_>) -> Option<Ready<B>>;
}

/// The field of a [`ClassRule`] as bits that are kept and bits that are set.
fn kept_and_set(rule: ClassRule) -> (u8, u8) {
    (rule.of(0xff) & !rule.of(0), rule.of(0))
}

/// Whether the checksum of a packet, whose transport header is at `l4`, is
/// neither of the two zeros, which have rules of their own.
#[inline(always)]
fn has_usual_sum<const N: usize>(front: &[u8; N], l4: usize, protocol: u8) -> bool {
    let at = match protocol {
        protocol::TCP => tcp::field::CHECKSUM,
        _ => udp::field::CHECKSUM,
    };
    u16::from_ne_bytes(chunk(front, l4 + at)).wrapping_add(1) > 1
}
