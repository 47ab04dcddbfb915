//! A mapping as the store has it, and the 24 bytes that it is kept as.

use crate::model::Origin;
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr, Vni};

/// What identifies a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub vni: Vni,
    pub prefix: Prefix4,
}

impl Key {
    /// Folded multiplication: spreads consecutive addresses over shards,
    /// buckets and tags, which look at different bits of it.
    pub(super) fn hash(self) -> u64 {
        let word = u64::from(self.vni.0) << 32 | u64::from(self.prefix.address.0);
        let word = word ^ u64::from(self.prefix.len).wrapping_mul(0xa076_1d64_78bd_642f);
        let product = u128::from(word ^ 0x2d35_8dcc_aa6c_78a5) * 0x8bb8_4b93_962e_acc9;
        (product >> 64) as u64 ^ product as u64
    }
}

/// One mapping. What it is kept as has no room for a MAC, which few have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    packed: Packed,
    mac: Option<Mac>,
}

/// `meta` holds the revision (53 bits), the origin (2), the sync mark (1), the
/// prefix length (6), and whether there is a MAC (1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    vni: u32,
    address: u32,
    /// Host (24 bits) and, one more than it is, the slot at that host (8).
    place: u32,
    /// Second after which it is void; 0: never.
    expires: u32,
    meta: u64,
}

const _: () = assert!(size_of::<Packed>() == 24);

const REVISION: u64 = (1 << 53) - 1;
const HOST_BITS: u32 = 24;
const HAS_MAC: u64 = 1 << 62;

/// Where something is, and as what: the index of a host, a slot there, and the
/// MAC that it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub host: u32,
    pub slot: Option<u8>,
    pub mac: Option<Mac>,
}

impl Place {
    /// At no slot of its own, and with no MAC.
    pub fn host(host: u32) -> Place {
        Place {
            host,
            slot: None,
            mac: None,
        }
    }

    fn word(self) -> u32 {
        debug_assert!(self.host >> HOST_BITS == 0, "fewer hosts than that");
        let slot = self.slot.map_or(0, |slot| u32::from(slot) + 1);
        slot << HOST_BITS | self.host
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("key", &self.key())
            .field("place", &self.place())
            .field("expires", &self.expires())
            .field("origin", &self.origin())
            .field("revision", &self.revision())
            .finish()
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.key(), f)
    }
}

impl std::ops::Deref for Slot {
    type Target = Packed;

    fn deref(&self) -> &Packed {
        &self.packed
    }
}

impl Slot {
    pub fn new(
        key: Key,
        place: Place,
        expires: Option<u32>,
        origin: Origin,
        revision: u64,
        mark: bool,
    ) -> Slot {
        let mut packed = Packed {
            vni: key.vni.0,
            address: key.prefix.address.0,
            place: place.word(),
            expires: expires.unwrap_or(0),
            meta: (revision & REVISION)
                | (origin as u64) << 53
                | u64::from(mark) << 55
                | u64::from(key.prefix.len) << 56,
        };
        if place.mac.is_some() {
            packed.meta |= HAS_MAC;
        }
        let mac = place.mac;
        Slot { packed, mac }
    }

    /// Of what was kept apart.
    pub(super) fn of(packed: Packed, mac: Option<Mac>) -> Slot {
        Slot { packed, mac }
    }

    pub(super) fn packed(self) -> Packed {
        self.packed
    }

    pub fn place(&self) -> Place {
        let slot = (self.packed.place >> HOST_BITS) as u8;
        Place {
            host: self.host(),
            slot: slot.checked_sub(1),
            mac: self.mac,
        }
    }

    pub fn mac(&self) -> Option<Mac> {
        self.mac
    }
}

impl Packed {
    pub fn key(&self) -> Key {
        Key {
            vni: Vni(self.vni),
            prefix: Prefix4 {
                address: Vaddr(self.address),
                len: (self.meta >> 56) as u8 & 0x3f,
            },
        }
    }

    pub fn host(&self) -> u32 {
        self.place & ((1 << HOST_BITS) - 1)
    }

    pub fn expires(&self) -> Option<u32> {
        (self.expires != 0).then_some(self.expires)
    }

    pub fn revision(&self) -> u64 {
        self.meta & REVISION
    }

    pub fn origin(&self) -> Origin {
        match self.meta >> 53 & 3 {
            0 => Origin::File,
            1 => Origin::Operator,
            _ => Origin::Agent,
        }
    }

    pub fn mark(&self) -> bool {
        self.meta >> 55 & 1 != 0
    }

    pub fn set_mark(&mut self, mark: bool) {
        self.meta = self.meta & !(1 << 55) | u64::from(mark) << 55;
    }

    pub(super) fn has_mac(&self) -> bool {
        self.meta & HAS_MAC != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_slot_comes_back() {
        let mac = Mac([2, 0, 0, 0, 0, 3]);
        for (len, origin, revision, mark, (at, mac)) in [
            (0, Origin::File, 0, false, (None, None)),
            (32, Origin::Operator, REVISION, true, (Some(0), Some(mac))),
            (24, Origin::Agent, 5, false, (Some(63), None)),
        ] {
            let key = Key {
                vni: Vni(0x5a_0001),
                prefix: Prefix4 {
                    address: Vaddr(0x0a00_0003 & Prefix4::mask(len)),
                    len,
                },
            };
            let place = Place {
                host: 0x10_0000,
                slot: at,
                mac,
            };
            let slot = Slot::new(key, place, Some(9), origin, revision, mark);
            assert_eq!(slot.key(), key);
            assert_eq!((slot.place(), slot.expires()), (place, Some(9)));
            assert_eq!((slot.host(), slot.has_mac()), (place.host, mac.is_some()));
            assert_eq!(
                (slot.origin(), slot.revision(), slot.mark()),
                (origin, revision, mark)
            );
            assert_eq!(Slot::of(slot.packed(), mac), slot);
        }
    }
}
