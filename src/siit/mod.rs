//! Translation between IPv4 and IPv6 in the managed modes, where both ends are
//! hosts of ours: bytes and a context in, bytes or a named refusal out.
//!
//! The addresses are composed by the caller; all else of an IPv4 header either
//! has its place in the IPv6 header, or travels in the flow label, or can be
//! computed anew at the far host. So
//!
//! ```text
//! inbound(outbound(packet)) == packet
//! ```
//!
//! for every packet without options, checksums right or wrong, except the ID of
//! an unfragmented packet (nobody may rely on it, RFC 6864) and the reserved
//! flag. [`outbound()`] and [`inbound()`] each work in place and say what they
//! write where; [`fragment`] decides what fits; [`substrate_error`] turns an
//! ICMPv6 error about a packet of ours into the node's language.
//!
//! | on IPv4 | on the substrate, `siit` | `transparent` |
//! |---|---|---|
//! | TCP, UDP | checksum adjusted by the addresses' delta | as it is |
//! | ICMP echo, whole, code 0 | ICMPv6 echo | next header 1, as it is |
//! | other ICMP, and every fragment of any | next header 1, as it is | as it is |
//! | all else | as it is | as it is |
//! | protocols 0 43 44 58 59 60 135 139 140 | refused | refused |
//!
//! ## Two zeros
//!
//! One's complement has two zeros, and adjusting makes one of them. UDP has no
//! use for 0000 as a checksum, so ffff it is. A TCP sender never computes ffff
//! (its pseudo header is not zero), so 0000 it is. A TCP packet that bears
//! ffff all the same is, alone, carried under the tag of `transparent`, which
//! the far host obeys packet by packet; an ICMP echo that bears ffff (that of
//! an echo reply of zeros only) is carried byte-exact like other ICMP. Without
//! this, wrong checksums could arrive right.

pub mod address_map;
pub mod fragment;
pub mod halves;
mod illegal;
pub mod inbound;
pub mod outbound;
pub mod plain;
pub mod rfc6052;
pub mod rfc7757;
pub mod rfc7915;
pub mod substrate_error;
#[cfg(test)]
mod tests;
mod transport;

pub use crate::model::Mode;
pub use inbound::{Arrived, Inbound, Restored, inbound};
pub use outbound::{Outbound, carry, check, growth, outbound, substrate_header_len};

use crate::wire::{Saddr, checksum};

/// Hop limit of what hosts send to each other: neither the node's TTL nor a
/// measure of it.
pub const HOP_LIMIT: u8 = 64;

/// Why a packet is not translated. Nothing of it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("fewer bytes than the headers need")]
    TooShort,
    #[error("the version is not 6")]
    BadVersion,
    #[error("the payload length is beyond the packet, or too long for IPv4")]
    BadPayloadLength,
    #[error("the headers go on in a further segment")]
    HeadersSplit,
    #[error("an IPv6 extension header other than one Fragment header")]
    ExtensionHeader,
    #[error("the protocol has another meaning as a next header")]
    ProtocolNotCarried,
    #[error("the TTL is 0")]
    TtlZero,
    #[error("the flow label does not come from a host")]
    LabelLost,
    #[error("the mode in the flow label is not known here")]
    LabelReserved,
    #[error("ICMPv6 of the substrate, not of a node")]
    SubstrateIcmp,
}

/// The delta that replacing IPv4 addresses by IPv6 addresses makes in a
/// checksum: `src` and `dst` are the [`checksum_part`]s of both ends. Both
/// directions are given this same delta; [`inbound()`] reverses it itself.
///
/// [`checksum_part`]: crate::wire::Layout::checksum_part
#[inline]
pub const fn address_delta(src: u64, dst: u64) -> u16 {
    checksum::fold(src + dst)
}

/// [`address_delta`] of two whole addresses, for where no table has it ready.
#[inline]
pub fn address_delta_of(src: &Saddr, dst: &Saddr) -> u16 {
    let part = |address: &Saddr| {
        let word = u128::from_be_bytes(*address);
        (word >> 96) as u64 + (word >> 64 & 0xffff_ffff) as u64 + (word >> 32 & 0xffff_ffff) as u64
    };
    checksum::fold(part(src) + part(dst))
}
