//! The two sides of the table: what is looked for on each.

use super::entry::Entry;
use super::hash::Seed;

/// By which of its prefixes an entry is found.
pub(super) trait Side {
    type Key: Copy;
    fn key(entry: &Entry) -> Self::Key;
    fn hash(seed: Seed, key: Self::Key) -> u64;
    fn holds(entry: &Entry, key: Self::Key) -> bool;
}

/// Address and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side4;

impl Side for Side4 {
    type Key = (u32, u8);

    #[inline(always)]
    fn key(entry: &Entry) -> Self::Key {
        (entry.ipv4, entry.len4)
    }

    #[inline(always)]
    fn hash(seed: Seed, (address, len): Self::Key) -> u64 {
        seed.of4(address, len)
    }

    #[inline(always)]
    fn holds(entry: &Entry, (address, len): Self::Key) -> bool {
        (entry.ipv4 == address) & (entry.len4 == len)
    }
}

/// Both halves and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side6;

impl Side for Side6 {
    type Key = (u64, u64, u8);

    #[inline(always)]
    fn key(entry: &Entry) -> Self::Key {
        (entry.high, entry.low, entry.len6)
    }

    #[inline(always)]
    fn hash(seed: Seed, (high, low, len): Self::Key) -> u64 {
        seed.of6(high, low, len)
    }

    #[inline(always)]
    fn holds(entry: &Entry, (high, low, len): Self::Key) -> bool {
        (entry.high == high) & (entry.low == low) & (entry.len6 == len)
    }
}
