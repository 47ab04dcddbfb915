//! What may follow the quoted packet in an ICMP error (RFC 4884), and the one
//! thing that translation itself adds there (RFC 5837).
//!
//! ```text
//! | ICMP header, with a length | quoted packet, zeros | extension header | objects |
//!                              ^ start                ^ start + length * unit
//! ```
//!
//! A message without the length has no extensions, whatever its bytes look
//! like (RFC 4884 section 5.5). Objects are opaque. A structure that does not
//! fit is left out as a whole: cut apart, its checksum and its last object
//! would be wrong.

use arrayvec::ArrayVec;

use super::MAX_HEAD;
use crate::wire::{Saddr, checksum, icmpv4, icmpv6};

/// The least room for the quoted packet in a message with extensions.
const LEAST_QUOTE: usize = 128;
/// Length of the extension header, and of an object's.
const HEADER_LEN: usize = 4;
const VERSION: u8 = 2;
/// RFC 5837: class of the object, and the role in its type's first two bits.
const INTERFACE: u8 = 2;
const ROLE_SHIFT: u32 = 6;
const ARRIVAL: u8 = 0;

/// Where a family keeps the length, and what it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    /// The sixth byte of the message, in words of 32 bits.
    Ipv4,
    /// The fifth, in words of 64 bits.
    Ipv6,
}

impl Family {
    fn shift(self) -> u32 {
        match self {
            Family::Ipv4 => 16,
            Family::Ipv6 => 24,
        }
    }

    fn unit(self) -> usize {
        match self {
            Family::Ipv4 => 4,
            Family::Ipv6 => 8,
        }
    }

    /// Whether messages of a type have room for the length.
    fn has_length(self, kind: u8) -> bool {
        match self {
            Family::Ipv4 => matches!(
                kind,
                icmpv4::kind::UNREACHABLE
                    | icmpv4::kind::TIME_EXCEEDED
                    | icmpv4::kind::PARAMETER_PROBLEM
            ),
            Family::Ipv6 => {
                matches!(
                    kind,
                    icmpv6::kind::UNREACHABLE | icmpv6::kind::TIME_EXCEEDED
                )
            }
        }
    }

    /// Parts what follows the ICMP header into the quoted packet and the
    /// extension structure, which is empty where there is none. A length that
    /// is below the least or beyond the message is none.
    pub(super) fn split<'a>(self, message: &icmpv6::Header, body: &'a [u8]) -> Parts<'a> {
        let words = (message.word >> self.shift()) as usize & 0xff;
        let len = words * self.unit();
        match body.split_at_checked(len) {
            Some((quote, structure)) if len >= LEAST_QUOTE && self.has_length(message.kind) => {
                Parts {
                    quote,
                    structure,
                    padded: true,
                }
            }
            _ => Parts {
                quote: body,
                structure: &[],
                padded: false,
            },
        }
    }

    /// Whether a structure fits a message of at most `limit` bytes whose quoted
    /// packet begins at `start`.
    pub(super) fn fits(self, structure: &[u8], start: usize, limit: usize) -> bool {
        start + LEAST_QUOTE + structure.len() <= limit
    }

    /// Ends a message of type `kind` whose quoted packet begins at `start` and
    /// is the last in `head` so far: the quoted packet is cut to what leaves
    /// room for the structure, padded, and followed by it. Returns the second
    /// word's bits that tell the length.
    pub(super) fn join(
        self,
        kind: u8,
        head: &mut ArrayVec<u8, MAX_HEAD>,
        (start, limit): (usize, usize),
        structure: &[u8],
    ) -> u32 {
        if structure.is_empty() || !self.has_length(kind) || !self.fits(structure, start, limit) {
            head.truncate(limit);
            return 0;
        }
        let unit = self.unit();
        let room = (limit - start - structure.len()) / unit * unit;
        head.truncate(start + room);
        let quoted = head.len() - start;
        let padded = quoted.max(LEAST_QUOTE).next_multiple_of(unit);
        head.extend((quoted..padded).map(|_| 0));
        head.extend(structure.iter().copied());
        ((padded / unit) as u32) << self.shift()
    }
}

/// What follows the ICMP header of an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parts<'a> {
    pub quote: &'a [u8],
    pub structure: &'a [u8],
    /// The quoted packet may have zeros behind it.
    pub padded: bool,
}

/// An extension structure that names an IPv6 address: `structure`, if there is
/// one, with one object more. `None` if it cannot be added to, or names an
/// arrival already: a second would make the message illegal (RFC 5837 section
/// 4.5).
pub(super) fn naming(structure: &[u8], address: &Saddr) -> Option<ArrayVec<u8, MAX_HEAD>> {
    let object = interface(address);
    let mut whole = ArrayVec::new();
    if structure.is_empty() {
        whole.extend([VERSION << 4, 0, 0, 0]);
        whole.try_extend_from_slice(&object).ok()?;
        let sum = checksum::checksum(&whole);
        whole[2..4].copy_from_slice(&sum.to_be_bytes());
        return Some(whole);
    }
    // Objects are of whole words, so the sum goes on where it ended.
    let [version, _, high, low] = *structure.first_chunk()?;
    if version >> 4 != VERSION || !may_be_added_to(structure) {
        return None;
    }
    whole.try_extend_from_slice(structure).ok()?;
    whole.try_extend_from_slice(&object).ok()?;
    let field = u16::from_be_bytes([high, low]);
    // Zero says that nothing was summed up.
    if field != 0 {
        let delta = checksum::fold(checksum::sum(&object));
        let sum = match checksum::adjust(field, delta) {
            0 => 0xffff,
            sum => sum,
        };
        whole[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    Some(whole)
}

/// Whether all objects are whole, and none is of an interface of arrival.
fn may_be_added_to(structure: &[u8]) -> bool {
    let mut rest = structure.get(HEADER_LEN..).unwrap_or(&[]);
    while let [high, low, class, sort, ..] = *rest {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let is_arrival = (class, sort >> ROLE_SHIFT) == (INTERFACE, ARRIVAL);
        if len < HEADER_LEN || !len.is_multiple_of(4) || is_arrival {
            return false;
        }
        let Some(behind) = rest.get(len..) else {
            return false;
        };
        rest = behind;
    }
    rest.is_empty()
}

/// RFC 5837 section 4: the interface that the packet at fault arrived at, by
/// its address. Of IPv6 though the message is now IPv4: that is what RFC 6791
/// section 4 asks for.
fn interface(address: &Saddr) -> [u8; 24] {
    const HAS_ADDRESS: u8 = 0x04;
    const FAMILY_IPV6: u8 = 2;
    let mut object = [0; 24];
    let sort = ARRIVAL << ROLE_SHIFT | HAS_ADDRESS;
    object[..HEADER_LEN].copy_from_slice(&[0, 24, INTERFACE, sort]);
    object[HEADER_LEN + 1] = FAMILY_IPV6;
    object[8..].copy_from_slice(address);
    object
}
