//! Prefixes of a vnet behind one host or node, longest first.
//!
//! Asked only for keys without an entry of their own. They are kept in a
//! second table of the same kind, so that adding, removing and growing are as
//! cheap and as harmless to readers as for single addresses: a million
//! prefixes are changed one by one, without a snapshot of all of them.
//!
//! A prefix is stored under (number, length, address). The number
//! stands for the vnet, so that the key fits 64 bits. Which lengths there are for an
//! address, *nodes* say: entries of the same table under (number, level, first
//! bits of the address), of one word each, with a bit for each prefix of the
//! next five lengths. And a *directory* for each vnet says its number and which
//! levels have nodes at all. So a lookup asks one node for each level in use,
//! from the longest on, until one has a prefix that covers the address, and
//! then for that very prefix: no prefix is asked for in vain, however many
//! there are and whatever their lengths.
//!
//! A node is there only if a prefix ends in it, so that a prefix takes three
//! entries at most, and a change of one writes two or three.
//!
//! The probes of a burst go side by side, so that they wait for memory together.

mod find;
mod node;
mod numbers;
#[cfg(all(test, not(loom)))]
mod tests;
mod write;

use std::{fmt, net::Ipv4Addr};

use super::entry::{Key, Words};

pub(super) use find::{longest, longest_burst};
pub(super) use write::PrefixWriter;

/// Addresses of one vnet that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    vni: u32,
    addr: u32,
    len: u8,
}

/// Why a prefix is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Longer than an address.
    #[error("prefix length {0} is above 32")]
    Length(u8),
    /// The address says more than the length covers.
    #[error("{}/{len} has bits set beyond its length; write {}/{len}", Ipv4Addr::from_bits(*addr),
        Ipv4Addr::from_bits(*addr & mask(*len)))]
    HostBits {
        /// The address, host byte order.
        addr: u32,
        /// The length.
        len: u8,
    },
}

/// The first `len` bits; `len` is at most 32.
const fn mask(len: u8) -> u32 {
    match u32::MAX.checked_shl(32 - len as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

impl Prefix {
    /// `addr` (host byte order) must have no bits beyond `len`.
    pub const fn new(vni: u32, addr: u32, len: u8) -> Result<Self, PrefixError> {
        if len > 32 {
            return Err(PrefixError::Length(len));
        }
        if addr & !mask(len) != 0 {
            return Err(PrefixError::HostBits { addr, len });
        }
        Ok(Self { vni, addr, len })
    }

    /// The vnet.
    pub const fn vni(self) -> u32 {
        self.vni
    }

    /// The first address, host byte order.
    pub const fn addr(self) -> u32 {
        self.addr
    }

    /// How many bits are shared.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a prefix has a length, not elements"
    )]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether `key` is one of the addresses.
    pub const fn contains(self, key: Key) -> bool {
        key.vni() == self.vni && key.vaddr() & mask(self.len) == self.addr
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = Ipv4Addr::from_bits(self.addr);
        write!(f, "{:#08x}/{addr}/{}", self.vni, self.len)
    }
}
