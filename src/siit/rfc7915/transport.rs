//! Checksums of what an IP packet carries, across a change of its addresses.
//!
//! They are adjusted by the difference (RFC 1624), never computed anew: what was
//! wrong when it came is wrong when it leaves. The one exception is UDP that
//! had no checksum.

use super::Why;
use crate::wire::{checksum, icmpv6, protocol, tcp, udp};

/// Which part of a datagram a packet carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Whole,
    First,
    Later,
}

impl Part {
    pub(super) fn of(offset: u16, more: bool) -> Part {
        match (offset, more) {
            (0, false) => Part::Whole,
            (0, true) => Part::First,
            _ => Part::Later,
        }
    }

    /// What a packet is that ends before its transport header does. Nobody can
    /// use it: it is not passed on, as its checksum could not be adjusted.
    pub(super) fn too_short(self) -> Why {
        match self {
            Part::First => Why::FirstFragmentTooShort,
            Part::Whole | Part::Later => Why::TooShort,
        }
    }
}

/// A transport header that covers the addresses by its checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Covered {
    /// Where the checksum lies.
    pub at: usize,
    /// Least length of the header.
    pub len: usize,
    /// Zero says that there is no checksum, and never is one.
    zero_is_none: bool,
    /// Whether a packet without the whole header is refused.
    pub required: bool,
}

impl Covered {
    /// ICMP is not among these: it changes in more than its checksum. What is
    /// not known here is passed on as it is, as the RFC demands.
    pub(super) fn of(protocol: u8) -> Option<Covered> {
        let covered = |at, len, zero_is_none, required| {
            Some(Covered {
                at,
                len,
                zero_is_none,
                required,
            })
        };
        match protocol {
            protocol::TCP => covered(tcp::field::CHECKSUM, tcp::HEADER_LEN, false, true),
            protocol::UDP => covered(udp::field::CHECKSUM, udp::HEADER_LEN, true, true),
            // Ports, then a coverage, or an offset and a coverage, then the
            // checksum: as with UDP (RFC 3828), as with TCP (RFC 4340).
            protocol::UDP_LITE => covered(6, 8, true, false),
            protocol::DCCP => covered(6, 12, false, false),
            _ => None,
        }
    }

    /// The checksum in `header` after `delta`; false if it says that there is
    /// none.
    pub(super) fn adjust(&self, header: &mut [u8], delta: u16) -> bool {
        let field = header.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut);
        let Some(field) = field else { return true };
        let value = u16::from_be_bytes(*field);
        if self.zero_is_none && value == 0 {
            return false;
        }
        *field = match checksum::adjust(value, delta) {
            0 if self.zero_is_none => [0xff; 2],
            adjusted => adjusted.to_be_bytes(),
        };
        true
    }
}

/// The checksum of a whole UDP datagram that has none; `addresses` is the sum
/// over both.
pub(super) fn udp_checksum(datagram: &[u8], addresses: u64) -> Result<u16, Why> {
    let header = udp::Header::parse(datagram).ok_or(Why::TooShort)?;
    let covered = datagram
        .get(..usize::from(header.len))
        .filter(|covered| covered.len() >= udp::HEADER_LEN)
        .ok_or(Why::BadLength)?;
    let sum = addresses + u64::from(header.len) + u64::from(protocol::UDP) + checksum::sum(covered);
    Ok(match !checksum::fold(sum) {
        0 => 0xffff,
        sum => sum,
    })
}

/// What ICMPv6 sums up before the message (RFC 8200 section 8.1).
pub(super) fn pseudo_header(addresses: u64, message_len: usize) -> u64 {
    addresses + message_len as u64 + u64::from(protocol::ICMPV6)
}

/// Whether bytes are all zero. One's complement sums of zeros alone are the
/// other zero: such a message of ICMPv4 bears ffff, and with 0000 is wrong.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The header of a translated message, its checksum adjusted from `sum`, which
/// the old message had without its checksum, to `new_sum`.
pub(super) fn icmp_header(
    old: &icmpv6::Header,
    sort: super::icmp::Sort,
    (sum, new_sum): (u64, u64),
) -> icmpv6::Header {
    icmpv6::Header {
        kind: sort.kind,
        code: sort.code,
        checksum: checksum::adjust(old.checksum, checksum::delta(sum, new_sum)),
        word: sort.word,
    }
}
