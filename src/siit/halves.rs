//! IPv6 addresses as two words in processor order: what lookups compare and
//! what the usual packet's new header is written from.

use crate::wire::{Saddr, checksum};

/// The upper and the lower word of an IPv6 address.
pub type Halves = (u64, u64);

/// The two words of an address.
#[inline(always)]
pub fn halves(address: &Saddr) -> Halves {
    let bits = u128::from_be_bytes(*address);
    ((bits >> 64) as u64, bits as u64)
}

/// The address of two words.
#[inline(always)]
pub fn joined((high, low): Halves) -> Saddr {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// What a checksum changes by when an IPv4 address is replaced by this one.
#[inline(always)]
pub(super) fn delta(ipv4: u32, (high, low): Halves) -> u16 {
    let sum = |word: u64| (word >> 32) + (word & 0xffff_ffff);
    checksum::delta(u64::from(ipv4), sum(high) + sum(low))
}
