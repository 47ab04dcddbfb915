//! The translation of plain packets, in words.
//!
//! TCP and UDP, whole and without options: most of both headers is the same
//! for all packets between two nodes, so it is made ready once ([`Form`]), and
//! what remains moves from one word to the other by shifts. [`outbound`] and
//! [`inbound`] say what is to come out; tests hold this to their bytes.
//!
//! ```text
//! IPv4, words a, b  version, IHL 8 | TOS 8 | total length 16 | ID 16 | DF ... 16
//!      words c - e  TTL 8 | protocol 8 | checksum 16 | source | destination
//! IPv6, first two   version 4 | class 8 | TTL 8 | DF 1 | tag 2 | entropy 9
//!                   | payload length 16 | next header 8 | hop limit 8
//! ```
//!
//! One's complement sums do not depend on the order of bytes, so checksums are
//! added up as they lie in memory.
//!
//! [`outbound`]: super::outbound()
//! [`inbound`]: super::inbound()

use super::{HOP_LIMIT, Mode};
use crate::wire::flowlabel::{ENTROPY_MASK, Tag};
use crate::wire::{ipv4, ipv6, protocol, tcp, udp};

/// Version and hop limit, which all packets have in common.
const COMMON: u64 = 6 << 60 | HOP_LIMIT as u64;
/// Where a flow label's parts lie in the first two words.
const TTL: u32 = 44;
const DF: u32 = 43;
const TAG: u32 = 41;
const ENTROPY: u32 = 32;
const CLASS: u32 = 52;
const LENGTH: u32 = 16;
const NEXT_HEADER: u32 = 8;
/// DF in the first two words of IPv4.
const DF4: u64 = 0x4000;

/// What the IPv6 header of all plain packets of a node has in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    set: u64,
    /// Bits of class and entropy that are the packet's own.
    keep: u64,
}

impl Form {
    /// `keep` of the TOS and `set` in it; the bits of a flow's entropy that
    /// are shown.
    pub fn new(mode: Mode, (keep, set): (u8, u8), entropy: u16) -> Form {
        let tag = match mode {
            Mode::Siit => Tag::Siit,
            Mode::Transparent => Tag::Transparent,
        };
        Form {
            set: COMMON | u64::from(set) << CLASS | (tag as u64) << TAG,
            keep: u64::from(keep) << CLASS | u64::from(entropy & ENTROPY_MASK) << ENTROPY,
        }
    }

    /// The first two words of the IPv6 header of a packet, from the first four
    /// of its IPv4 header.
    #[inline(always)]
    pub fn first(&self, [ab, cd]: [u64; 2], entropy: u16) -> First {
        let tos = ab << (CLASS - 48) & 0xff << CLASS;
        let own = (tos | u64::from(entropy) << ENTROPY) & self.keep;
        // The header is not counted in IPv6.
        let length = (ab >> (32 - LENGTH) & 0xffff << LENGTH)
            .wrapping_sub((ipv4::HEADER_LEN as u64) << LENGTH);
        let ttl = cd >> (56 - TTL) & 0xff << TTL;
        let next_header = cd >> (48 - NEXT_HEADER) & 0xff << NEXT_HEADER;
        First(self.set | own | (ab & DF4) << (DF - 14) | ttl | length | next_header)
    }
}

/// What is read of the first two words of an IPv6 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First(pub u64);

impl First {
    #[inline(always)]
    pub fn payload_len(self) -> u16 {
        (self.0 >> LENGTH) as u16
    }

    #[inline(always)]
    pub fn protocol(self) -> u8 {
        (self.0 >> NEXT_HEADER) as u8
    }

    /// Whether the protocol is this, asked of the word as a whole: so of
    /// several words at once.
    #[inline(always)]
    pub fn is(self, protocol: u8) -> bool {
        self.0 & 0xff << NEXT_HEADER == u64::from(protocol) << NEXT_HEADER
    }

    /// Whether the label is one that a host writes, of a packet that may be
    /// delivered.
    #[inline(always)]
    pub fn is_from_host(self) -> bool {
        // Tags 1 and 2 are the only ones whose two bits differ.
        let tag = (self.0 >> TAG ^ self.0 >> (TAG + 1)) & 1 == 1;
        tag & (self.0 >> TTL & 0xff != 0)
    }

    #[inline(always)]
    pub fn ttl(self) -> u8 {
        (self.0 >> TTL) as u8
    }

    /// The same with so much less of a TTL that is larger.
    #[inline(always)]
    pub fn spent(self, hops: u8) -> First {
        First(self.0.wrapping_sub(u64::from(hops) << TTL))
    }

    #[inline(always)]
    pub fn df(self) -> bool {
        self.0 >> DF & 1 != 0
    }

    #[inline(always)]
    pub fn is_siit(self) -> bool {
        self.0 >> TAG & 3 == Tag::Siit as u64
    }

    /// The IPv4 header: its first two words, its third and fourth, and its
    /// fifth as a number of 32 bits, which `dst` and `id` of 16 are too. Of
    /// `src` the lower 32 bits count.
    #[inline(always)]
    pub fn restored(self, src: u64, dst: u64, id: u64) -> [u64; 3] {
        let (df, id) = (self.0 >> (DF - 14) & DF4, id << 16);
        let tos = self.0 >> (CLASS - 48) & 0xff << 48;
        let length = (self.0 << (32 - LENGTH) & 0xffff << 32) + ((ipv4::HEADER_LEN as u64) << 32);
        let ab = 0x45 << 56 | tos | length | id | df;
        let ttl = self.0 << (56 - TTL) & 0xff << 56;
        let cd = ttl | (self.0 << (48 - NEXT_HEADER) & 0xff << 48) | src & 0xffff_ffff;
        // By halves, so that there is no carry to be looked for.
        let halves = |word: u64| (word & 0xffff_ffff) + (word >> 32);
        let checksum = !fold_halves(halves(ab) + halves(cd) + dst) & 0xffff;
        [ab, cd | checksum << 32, dst]
    }
}

/// A one's complement sum of less than 2^48, folded: a loop over it is done
/// several at once.
#[inline(always)]
fn fold_halves(sum: u64) -> u64 {
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

/// The one's complement sum of an IPv4 header, in either order of bytes.
#[inline(always)]
pub fn sum(ab: u64, cd: u64, e: u32) -> u64 {
    let (abcd, carry) = ab.overflowing_add(cd);
    let (all, more) = abcd.overflowing_add(u64::from(e) + u64::from(carry));
    // Where the second addition overflows little is left: no third carry.
    all + u64::from(more)
}

/// The length of the shortest transport header of a protocol; none is so long
/// of one whose packets are not plain.
#[inline(always)]
pub fn least(protocol: u8) -> usize {
    const LEAST: [u16; 256] = {
        let mut least = [u16::MAX; 256];
        least[protocol::UDP as usize] = udp::HEADER_LEN as u16;
        least[protocol::TCP as usize] = tcp::HEADER_LEN as u16;
        least
    };
    usize::from(LEAST[usize::from(protocol)])
}

/// A checksum part as it is added in memory's order.
pub const fn part(part: u16) -> u32 {
    part.to_be() as u32
}

/// The [`part`] of a [`Mark`] with this byte: so of several at once.
///
/// [`Mark`]: crate::wire::Mark
#[inline(always)]
pub const fn part_of_mark(byte: u64) -> u64 {
    match cfg!(target_endian = "little") {
        true => byte,
        false => byte << 8,
    }
}

/// What takes a [`part`] back.
pub const fn back(part: u16) -> u32 {
    !part.to_be() as u32
}

/// Where the checksum is in a transport header.
#[inline(always)]
pub fn checksum_at(protocol: u8) -> usize {
    // A table: of mixed traffic no branch foretells it.
    const AT: [u8; 256] = {
        let mut at = [udp::field::CHECKSUM as u8; 256];
        at[protocol::TCP as usize] = tcp::field::CHECKSUM as u8;
        at
    };
    usize::from(AT[usize::from(protocol)])
}

/// Adjusts the checksum in a transport header to new addresses; `parts` is the
/// sum of both ends' [`part`]s. `None`, and nothing has changed, for one of the
/// zeros that have rules of their own: see "Two zeros" at [`siit`](super).
#[inline(always)]
pub fn adjust(transport: &mut [u8], protocol: u8, parts: u32) -> Option<()> {
    let at = checksum_at(protocol);
    let field = transport.get_mut(at..at + 2)?.first_chunk_mut()?;
    let value = u16::from_ne_bytes(*field);
    // 0 or ffff.
    if value.wrapping_add(1) < 2 {
        // No checksum of UDP stays none.
        return (value == 0 && protocol == protocol::UDP).then_some(());
    }
    let sum = fold32(!value as u32 + parts);
    // A computed zero of UDP is written as the other zero: chosen without a
    // branch, as traffic is mixed.
    let changed = if (sum == 0xffff) & (protocol == protocol::UDP) {
        sum
    } else {
        !sum
    };
    *field = changed.to_ne_bytes();
    Some(())
}

/// Writes what [`adjusted`] has made.
#[inline(always)]
pub fn set_checksum(transport: &mut [u8], protocol: u8, sum: u16) {
    let at = checksum_at(protocol);
    if let Some(field) = transport.get_mut(at..at + 2) {
        field.copy_from_slice(&sum.to_ne_bytes());
    }
}

/// What [`adjust`] makes of a checksum, as it lies in the packet, and a second
/// number that is zero unless it is left to others. With the sum of both ends'
/// [`back`]s the reverse. Without a branch, so that several are done at once.
#[inline(always)]
pub fn adjusted(value: u64, is_udp: bool, parts: u64) -> (u64, u64) {
    let sum = (value ^ 0xffff) + parts;
    let sum = (sum & 0xffff) + (sum >> 16);
    let changed = ((sum & 0xffff) + (sum >> 16)) ^ 0xffff;
    let zero = if is_udp { 0xffff } else { 0 };
    let changed = if changed == 0 { zero } else { changed };
    let odd = if value == 0xffff { 1 } else { 0 };
    let none = if value == 0 { zero ^ 0xffff } else { 0 };
    (if value == 0 { 0 } else { changed }, odd | none)
}

#[inline(always)]
const fn fold32(sum: u32) -> u16 {
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

const _: () = assert!(ipv6::HEADER_LEN == 40 && ipv4::HEADER_LEN == 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_marks() {
        for byte in 0..=255 {
            let sum = crate::wire::Mark::from_byte(byte).sum();
            assert_eq!(part_of_mark(byte.into()), u64::from(part(sum)));
        }
    }

    /// Every checksum, there and back: columns say what packets get.
    #[test]
    fn columns_and_packets_agree() {
        for protocol in [protocol::UDP, protocol::TCP] {
            let is_udp = protocol == protocol::UDP;
            let at = checksum_at(protocol);
            for (value, one) in (0..=u16::MAX).flat_map(|v| [(v, 0), (v, 0x1234), (v, 0xffff)]) {
                let other = 0x0a5a;
                let mut header = [0; 20];
                header[at..at + 2].copy_from_slice(&value.to_ne_bytes());
                let parts = part(one) + part(other);
                let done = adjust(&mut header, protocol, parts);
                let (sum, odd) = adjusted(value.into(), is_udp, parts.into());
                assert_eq!(done.is_some(), odd == 0, "{value:x}");
                if odd != 0 {
                    continue;
                }
                let mut written = [0; 20];
                set_checksum(&mut written, protocol, sum as u16);
                assert_eq!(written, header, "{value:x}");
                let (again, odd) = adjusted(sum, is_udp, (back(one) + back(other)).into());
                assert!(odd != 0 || again == u64::from(value), "{value:x} {again:x}");
            }
        }
    }
}
