//! Bits 64 to 71 of a substrate address in layout `slot`.
//!
//! ```text
//! bit  64         70    71    72
//!      | slot 6  | U/L | I/G | vni
//! ```
//!
//! | U/L | I/G | the packet is for |
//! |---|---|---|
//! | 0 | 0 | the node that (vni, IPv4) names; it is in this slot |
//! | 1 | 0 | *virtual forwarding*: the node in this slot, whatever (vni, IPv4) names |
//! | - | 1 | several nodes of the host: a group, or a broadcast |
//!
//! Other layouts have other bits there, so nothing is ever guessed from them.

use super::locator::Saddr;

/// A slot and both flags, as they lie in an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Mark(u8);

const FORWARDED: u8 = 0b10;
const GROUP: u8 = 0b01;

impl Mark {
    /// Slots of a host.
    pub const SLOTS: usize = 64;
    /// Slot 0 and no flag, and that of all other layouts.
    pub const NONE: Mark = Mark(0);
    /// Of what is for several nodes.
    pub const GROUP: Mark = Mark(GROUP);

    /// The node in a slot; `None` above 63.
    #[inline]
    pub const fn of_slot(slot: u8) -> Option<Mark> {
        match (slot as usize) < Mark::SLOTS {
            true => Some(Mark(slot << 2)),
            false => None,
        }
    }

    /// Whatever is behind the node in this slot.
    #[inline]
    pub const fn forwarded(self) -> Mark {
        Mark(self.0 | FORWARDED)
    }

    #[inline]
    pub const fn from_byte(byte: u8) -> Mark {
        Mark(byte)
    }

    #[inline]
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// Of an address in layout `slot`.
    #[inline]
    pub const fn of(address: &Saddr) -> Mark {
        Mark(address[8])
    }

    /// An address that has no mark yet, with this one.
    #[inline]
    pub const fn on(self, mut address: Saddr) -> Saddr {
        address[8] |= self.0;
        address
    }

    #[inline]
    pub const fn slot(self) -> u8 {
        self.0 >> 2
    }

    /// Whether the slot decides who gets it.
    #[inline]
    pub const fn is_forwarded(self) -> bool {
        self.0 & (FORWARDED | GROUP) == FORWARDED
    }

    #[inline]
    pub const fn is_group(self) -> bool {
        self.0 & GROUP != 0
    }

    /// What it adds to a checksum over the address.
    #[inline]
    pub const fn sum(self) -> u16 {
        (self.0 as u16) << 8
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::wire::{Layout, Locator, Vaddr, Vni, checksum};

    const Z: Vni = Vni(0x5a_0001);

    fn compose(locator: &str, mark: Mark, vaddr: &str) -> Saddr {
        let locator: Locator = locator.parse().unwrap();
        mark.on(Layout::Slot.compose(&locator, Z, vaddr.parse().unwrap()))
    }

    fn slot(slot: u8) -> Mark {
        Mark::of_slot(slot).unwrap()
    }

    /// Topology 0x511c809 is locale 5, area 17, rack 200 and node 9 of one
    /// deployment, 0x400500c8 locale 5 and rack 200 of another: to us both are
    /// locators.
    #[test]
    fn worked_addresses() {
        for (locator, mark, vaddr, bytes) in [
            (
                "2001:db8:511:c809::/64",
                slot(3),
                "10.0.0.2",
                *b"\x20\x01\x0d\xb8\x05\x11\xc8\x09\x0c\x5a\x00\x01\x0a\x00\x00\x02",
            ),
            (
                "2001:db8:511:c809::/64",
                slot(3).forwarded(),
                "10.0.9.7",
                *b"\x20\x01\x0d\xb8\x05\x11\xc8\x09\x0e\x5a\x00\x01\x0a\x00\x09\x07",
            ),
            (
                "2001:db8:4005:c8::/64",
                slot(63),
                "10.0.0.3",
                *b"\x20\x01\x0d\xb8\x40\x05\x00\xc8\xfc\x5a\x00\x01\x0a\x00\x00\x03",
            ),
            (
                "2001:db8:0:b::/64",
                Mark::GROUP,
                "239.1.2.3",
                *b"\x20\x01\x0d\xb8\x00\x00\x00\x0b\x01\x5a\x00\x01\xef\x01\x02\x03",
            ),
        ] {
            let address = compose(locator, mark, vaddr);
            assert_eq!(address, bytes, "{}", Ipv6Addr::from(address));
            let parsed: Locator = locator.parse().unwrap();
            let layout = Layout::Slot;
            assert_eq!(layout.locator(&address), parsed.bits());
            assert_eq!(layout.vni(&address), Z.0);
            assert_eq!(layout.vaddr(&address), vaddr.parse::<Vaddr>().unwrap());
            assert_eq!(Mark::of(&address), mark);
        }
    }

    #[test]
    fn slots_are_six_bits() {
        assert_eq!(Mark::of_slot(63).map(Mark::slot), Some(63));
        assert_eq!(Mark::of_slot(64), None);
        for byte in 0..=u8::MAX {
            let mark = Mark::from_byte(byte);
            assert_eq!(mark.byte(), byte);
            assert_eq!(mark.slot(), byte / 4);
            assert_eq!(mark.is_group(), byte % 2 == 1);
            assert_eq!(mark.is_forwarded(), byte % 4 == 2);
        }
    }

    #[test]
    fn it_adds_to_a_checksum_what_it_changes() {
        let bare = compose("2001:db8:0:a::/64", Mark::NONE, "10.0.0.2");
        for mark in [slot(1), slot(63), slot(9).forwarded(), Mark::GROUP] {
            let parts = checksum::sum(&bare) + u64::from(mark.sum());
            let whole = checksum::sum(&mark.on(bare));
            assert_eq!(checksum::fold(parts), checksum::fold(whole), "{mark:?}");
        }
    }
}
