//! Transport checksums across a change of addresses, shared by both
//! directions: whatever one does the other must undo.

use super::Refusal;
use crate::wire::{Vaddr, checksum, icmpv4, icmpv6, protocol, tcp, udp};

/// Where the checksum lies in a payload that begins `offset` units of eight
/// bytes into the datagram. `None` if it does not lie in it: another protocol,
/// a fragment without it, a packet shorter than its transport header.
#[inline(always)]
pub(super) fn checksum_at(protocol: u8, offset: u16, payload_len: usize) -> Option<usize> {
    let (field, header_len) = match protocol {
        protocol::TCP => (tcp::field::CHECKSUM, tcp::HEADER_LEN),
        protocol::UDP => (udp::field::CHECKSUM, udp::HEADER_LEN),
        _ => return None,
    };
    if offset == 0 {
        return (payload_len >= header_len).then_some(field);
    }
    // A first fragment may be as short as eight bytes.
    let at = field.checked_sub(usize::from(offset) * 8)?;
    (at + 2 <= payload_len).then_some(at)
}

/// The checksum's two bytes at `at`.
#[inline(always)]
pub(super) fn field(payload: &mut [u8], at: usize) -> Result<&mut [u8; 2], Refusal> {
    payload
        .get_mut(at..at + 2)
        .and_then(|field| field.first_chunk_mut())
        .ok_or(Refusal::HeadersSplit)
}

/// The checksum of TCP or UDP after `delta`.
#[inline(always)]
pub(super) fn adjust(protocol: u8, field: u16, delta: u16) -> u16 {
    let adjusted = checksum::adjust(field, delta);
    if protocol != protocol::UDP {
        return adjusted;
    }
    match (field, adjusted) {
        // No checksum stays no checksum.
        (0, _) => 0,
        // A computed zero is written as the other zero.
        (_, 0) => 0xffff,
        _ => adjusted,
    }
}

/// What turns the checksum of an ICMP echo of `len` bytes into that of an
/// ICMPv6 echo: the type's change, and a pseudo header where there was none.
#[inline]
pub(super) fn echo_delta(addresses: u16, src: Vaddr, dst: Vaddr, len: usize, request: bool) -> u16 {
    const REQUEST: u64 = ((icmpv6::kind::ECHO_REQUEST - icmpv4::kind::ECHO_REQUEST) as u64) << 8;
    const REPLY: u64 = ((icmpv6::kind::ECHO_REPLY - icmpv4::kind::ECHO_REPLY) as u64) << 8;
    checksum::fold(
        u64::from(addresses)
            + u64::from(src.0)
            + u64::from(dst.0)
            + len as u64
            + u64::from(protocol::ICMPV6)
            + if request { REQUEST } else { REPLY },
    )
}
