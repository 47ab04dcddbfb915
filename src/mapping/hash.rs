//! Where a key's entry may be.
//!
//! Two folded multiplications (64 x 64 -> 128 bits, halves xored) with three
//! secret words per table. Tenants choose their addresses; without the seed
//! they cannot choose which of them collide. One multiplication is not enough:
//! its high bits walk over neighbouring addresses in even strides, and with an
//! unlucky multiplier those land on few buckets. The bits of the hash are used
//! once each: the high half picks the bucket, the low one the step to further
//! pairs of buckets.

use std::hash::{BuildHasher, RandomState};

/// The secret of one table.
#[derive(Clone, Copy)]
pub(super) struct Seed {
    add: u64,
    first: u64,
    second: u64,
}

impl Seed {
    /// From the standard library's per-process random keys.
    pub(super) fn random() -> Self {
        let state = RandomState::new();
        Self::from_words([1u8, 2, 3].map(|i| state.hash_one(i)))
    }

    pub(super) fn from_words([add, first, second]: [u64; 3]) -> Self {
        // Odd, and with bits at both ends, or a multiplier of few bits would
        // leave half of the product empty.
        const ENDS: u64 = 1 << 63 | 1 << 31 | 1;
        Self {
            add,
            first: first | ENDS,
            second: second | ENDS,
        }
    }

    #[inline(always)]
    pub(super) fn hash(self, key: u64) -> Hash {
        Hash(fold(fold(key ^ self.add, self.first), self.second))
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hash(u64);

impl Hash {
    /// A number below `count` (which fits 32 bits), evenly spread.
    #[inline(always)]
    pub(super) fn below(self, count: usize) -> usize {
        (((self.0 >> 32) * count as u64) >> 32) as usize
    }

    /// How far apart this key's pairs are: 1 to `pairs - 1`, or 0 when there
    /// is only one.
    pub(super) fn step(self, pairs: usize) -> usize {
        let bits = self.0 & 0xffff_ffff;
        match pairs {
            0 | 1 => 0,
            _ => 1 + ((bits * (pairs as u64 - 1)) >> 32) as usize,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_in_range() {
        let seed = Seed::from_words([3, 5, 7]);
        for count in [1, 2, 3, 48, 1 << 20] {
            for key in (0..2000).map(|i| i * 0x1_0000_0001) {
                let hash = seed.hash(key);
                assert!(hash.below(count) < count);
                assert!(hash.step(count) < count);
                assert!(count == 1 || hash.step(count) > 0);
            }
        }
    }

    /// Neighbouring addresses, as tenants have them, spread like random ones
    /// whatever the seed: the variance of the buckets' loads is that of chance.
    #[test]
    fn sequences_spread_like_chance() {
        const BUCKETS: usize = 1000;
        const KEYS: u64 = 20_000;
        for round in 0..100 {
            let seed = Seed::random();
            for stride in [1, 2, 256, 65536, 1 << 32] {
                let mut loads = vec![0f64; BUCKETS];
                for n in 0..KEYS {
                    let hash = seed.hash((0x5A0001 << 32 | 0x0A00_0000) + n * stride);
                    loads[hash.below(BUCKETS)] += 1.0;
                }
                let mean = KEYS as f64 / BUCKETS as f64;
                let squares: f64 = loads.iter().map(|load| (load - mean).powi(2)).sum();
                // 1 by chance, with a standard deviation of 0.045.
                let excess = squares / KEYS as f64;
                assert!((0.7..1.3).contains(&excess), "{round} {stride}: {excess}");
            }
        }
    }
}
