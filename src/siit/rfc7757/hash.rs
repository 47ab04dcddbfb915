//! Where a prefix is kept: folded multiplications (64 x 64 -> 128 bits, halves
//! xored) with secret words. Senders choose the addresses that are looked up;
//! without the seed they cannot choose ones that meet in a crowded place.

use std::hash::{BuildHasher, RandomState};

/// The secret of one table and of what is cloned from it.
#[derive(Clone, Copy)]
pub(super) struct Seed {
    add: u64,
    first: u64,
    second: u64,
}

impl Seed {
    /// From the standard library's per-process random keys.
    pub(super) fn random() -> Seed {
        // Odd, and with bits at both ends, or a multiplier of few bits would
        // leave half of the product empty.
        const ENDS: u64 = 1 << 63 | 1 << 31 | 1;
        let state = RandomState::new();
        let [add, first, second] = [1u8, 2, 3].map(|i| state.hash_one(i));
        Seed {
            add,
            first: first | ENDS,
            second: second | ENDS,
        }
    }

    #[inline(always)]
    pub(super) fn of4(self, address: u32, len: u8) -> u64 {
        let key = u64::from(len) << 32 | u64::from(address);
        fold(fold(key ^ self.add, self.first), self.second)
    }

    #[inline(always)]
    pub(super) fn of6(self, high: u64, low: u64, len: u8) -> u64 {
        // The length makes no half of another address: it moves the product.
        let mixed = fold(high ^ self.add, low ^ self.first);
        fold(mixed ^ u64::from(len) ^ high.rotate_left(32), self.second)
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
