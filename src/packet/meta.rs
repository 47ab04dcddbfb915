//! What is known of a packet beside its bytes.

use std::fmt;
use std::num::NonZeroU16;

/// Travels in parallel to its packet through one burst. Filled by the
/// receiving port; nothing in here outlives the burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Index of the port the frame came in by.
    pub port: u16,
    /// A tag that the device took off (its id), 0 without one.
    pub vlan: u16,
    /// What the sender left to be done.
    pub offload: Offload,
}

const _: () = assert!(size_of::<Meta>() <= 16, "Meta is copied for every packet");

impl Meta {
    /// Of a packet of which only the port is to be filled in.
    pub const PLAIN: Meta = Meta {
        port: 0,
        vlan: 0,
        offload: Offload::NONE,
    };

    /// Whether there is nothing to know of the packet but its bytes.
    #[inline(always)]
    pub fn is_plain(&self) -> bool {
        self.vlan == 0
    }
}

/// What the sender of a packet left to the devices on its way, and in which
/// form the packet came. Zero for nearly every packet, so that one comparison
/// tells the others apart; see [`datapath::offload`](crate::datapath::offload).
///
/// A checksum that a device found to be wrong has no bit: it travels on wrong,
/// and the receiver finds it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Offload(u32);

impl Offload {
    /// A finished packet in one segment.
    pub const NONE: Offload = Offload(0);
    /// The field of the TCP or UDP checksum holds the sum over the pseudo
    /// header and no more.
    pub const PARTIAL: Offload = Offload(1 << 16);
    /// The bytes lie in several segments of memory.
    pub const SCATTERED: Offload = Offload(1 << 17);

    const SIZE: u32 = 0xffff;

    /// A packet to be cut into TCP segments with so many bytes of data each,
    /// whose checksum is partial by necessity.
    pub const fn to_be_cut(size: u16) -> Offload {
        Offload(size as u32 | Offload::PARTIAL.0)
    }

    #[must_use]
    pub const fn and(self, other: Offload) -> Offload {
        Offload(self.0 | other.0)
    }

    #[inline(always)]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub const fn is_partial(self) -> bool {
        self.0 & Offload::PARTIAL.0 != 0
    }

    pub const fn is_scattered(self) -> bool {
        self.0 & Offload::SCATTERED.0 != 0
    }

    /// Bytes of data of each segment, if the packet is to be cut.
    pub const fn size(self) -> Option<NonZeroU16> {
        NonZeroU16::new((self.0 & Offload::SIZE) as u16)
    }

    /// The same packet, not to be cut.
    #[must_use]
    pub const fn whole(self) -> Offload {
        Offload(self.0 & !Offload::SIZE)
    }

    /// The same packet in one segment.
    #[must_use]
    pub const fn in_one(self) -> Offload {
        Offload(self.0 & !Offload::SCATTERED.0)
    }

    /// The same packet with its checksum completed.
    #[must_use]
    pub const fn complete(self) -> Offload {
        Offload(self.0 & !Offload::PARTIAL.0)
    }
}

impl fmt::Debug for Offload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload")
            .field("partial", &self.is_partial())
            .field("scattered", &self.is_scattered())
            .field("size", &self.size())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_zero_and_parts_are_apart() {
        assert_eq!(Offload::default(), Offload::NONE);
        let all = Offload::to_be_cut(1448).and(Offload::SCATTERED);
        assert!(all.is_partial() && all.is_scattered() && !all.is_none());
        assert_eq!(all.size().map(NonZeroU16::get), Some(1448));
        assert_eq!(all.whole(), Offload::PARTIAL.and(Offload::SCATTERED));
        assert_eq!(all.whole().complete(), Offload::SCATTERED);
        assert_eq!(Offload::PARTIAL.size(), None);
        assert!(Offload::to_be_cut(u16::MAX).whole().complete().is_none());
    }
}
