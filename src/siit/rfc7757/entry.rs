//! One explicit mapping as it is kept: 24 bytes, the same on both sides.

use crate::model::Eam;
use crate::siit::halves::{Halves, delta, halves, joined};
use crate::wire::address::Prefix4;
use crate::wire::{Prefix6, Saddr, Vaddr};

/// An explicit mapping, ready to translate by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub(super) high: u64,
    pub(super) low: u64,
    pub(super) ipv4: u32,
    /// Between the two prefixes; between the two addresses if they are such.
    /// As it lies in memory of a packet.
    part: u16,
    /// [`FREE`] in a place without entry.
    pub(super) len4: u8,
    pub(super) len6: u8,
}

const FREE: u8 = 0xff;

impl Entry {
    pub(super) const FREE: Entry = Entry {
        high: 0,
        low: 0,
        ipv4: 0,
        part: 0,
        len4: FREE,
        len6: FREE,
    };

    /// One that [`Eams::insert`](super::Eams::insert) takes.
    pub(in crate::siit) fn new(eam: Eam) -> Entry {
        let bits = eam.ipv6.bits();
        let (high, low) = ((bits >> 64) as u64, bits as u64);
        Entry {
            high,
            low,
            ipv4: eam.ipv4.address.0,
            part: delta(eam.ipv4.address.0, (high, low)).to_be(),
            len4: eam.ipv4.len,
            len6: eam.ipv6.len(),
        }
    }

    #[inline(always)]
    pub(super) fn is_free(&self) -> bool {
        self.len4 == FREE
    }

    #[inline(always)]
    fn bits(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// As it was configured.
    pub fn eam(&self) -> Eam {
        Eam {
            ipv4: self.ipv4(),
            // Its bits came from a prefix of that length.
            ipv6: Prefix6::new(self.bits().into(), self.len6).unwrap_or(Prefix6::ANY),
        }
    }

    /// The IPv4 prefix.
    pub fn ipv4(&self) -> Prefix4 {
        Prefix4 {
            address: Vaddr(self.ipv4),
            len: self.len4,
        }
    }

    /// The bits of an IPv6 address after the suffix of the IPv4 address: 128
    /// for an address behind `::/0`, else less.
    #[inline(always)]
    fn beyond(&self) -> u32 {
        96 + u32::from(self.len4) - u32::from(self.len6)
    }

    /// RFC 7757 section 3.3.1, steps 3 to 6, of an address in the IPv4 prefix.
    #[inline(always)]
    pub fn to_ipv6(&self, address: Vaddr) -> Saddr {
        joined(self.to_halves(address))
    }

    /// [`to_ipv6`](Self::to_ipv6) as two words.
    #[inline(always)]
    pub fn to_halves(&self, address: Vaddr) -> Halves {
        if self.len4 == 32 {
            return (self.high, self.low);
        }
        let suffix = u128::from(address.0 & !Prefix4::mask(self.len4));
        let bits = self.bits() | suffix << self.beyond();
        ((bits >> 64) as u64, bits as u64)
    }

    /// RFC 7757 section 3.3.2, steps 3 to 6, of an address in the IPv6 prefix.
    #[inline(always)]
    pub fn to_ipv4(&self, address: &Saddr) -> Vaddr {
        self.to_vaddr(halves(address))
    }

    /// [`to_ipv4`](Self::to_ipv4) of two words.
    #[inline(always)]
    pub fn to_vaddr(&self, (high, low): Halves) -> Vaddr {
        if self.len4 == 32 {
            return Vaddr(self.ipv4);
        }
        // Bits of the prefix are above those that are wanted.
        let bits = u128::from(high) << 64 | u128::from(low);
        let suffix = (bits >> self.beyond()) as u32;
        Vaddr(self.ipv4 | suffix & !Prefix4::mask(self.len4))
    }

    /// What a checksum changes by when an IPv4 address is replaced by an IPv6
    /// address, both of this mapping.
    #[inline(always)]
    pub fn delta(&self, ipv4: Vaddr, ipv6: Halves) -> u16 {
        if self.len6 == 128 {
            return u16::from_be(self.part);
        }
        delta(ipv4.0, ipv6)
    }
}

/// What is less work where the suffix of an IPv4 address is the end of its
/// counterpart.
impl Entry {
    #[inline(always)]
    pub fn is_aligned(&self) -> bool {
        self.len6.wrapping_sub(self.len4) == 96
    }

    #[inline(always)]
    fn suffix(&self) -> u64 {
        u64::from(u32::MAX) >> (self.len4 & 63)
    }

    /// [`to_halves`](Self::to_halves) of an aligned mapping.
    #[inline(always)]
    pub fn aligned_halves(&self, address: Vaddr) -> Halves {
        (self.high, self.low | u64::from(address.0) & self.suffix())
    }

    /// [`to_vaddr`](Self::to_vaddr) of an aligned mapping.
    #[inline(always)]
    pub fn aligned_vaddr(&self, (_, low): Halves) -> Vaddr {
        Vaddr(self.ipv4 | (low & self.suffix()) as u32)
    }

    /// Whether the first 96 bits of an address are the mapping's.
    #[inline(always)]
    pub fn begins(&self, (high, low): Halves) -> bool {
        (high ^ self.high) | (low ^ self.low) >> 32 == 0
    }

    /// [`delta`](Self::delta) of an aligned mapping, which is the same for all
    /// addresses, as it lies in memory of a packet.
    #[inline(always)]
    pub fn part(&self) -> u16 {
        self.part
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.is_free() {
            true => f.write_str("free"),
            false => std::fmt::Debug::fmt(&self.eam(), f),
        }
    }
}
