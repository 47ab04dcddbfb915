//! What protocol engines have in common: a token bucket in milliseconds, and
//! small random numbers that a replay gives again.

use crate::time::Time;

/// So many answers a second, with a burst of a tenth of a second's worth.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: u64,
    /// Thousandths of a token, so that a millisecond adds `rate` of them.
    level: u64,
    filled: Time,
}

impl Bucket {
    /// A full one of `rate` tokens a second; one of rate 0 never has any.
    pub fn new(rate: u32, now: Time) -> Bucket {
        let mut bucket = Bucket {
            rate: u64::from(rate),
            level: 0,
            filled: now,
        };
        bucket.level = bucket.depth();
        bucket
    }

    fn depth(&self) -> u64 {
        match self.rate {
            0 => 0,
            rate => (rate * 100).max(1000),
        }
    }

    /// Whether there was a token left, which is then gone.
    pub fn take(&mut self, now: Time) -> bool {
        // Longer than a bucket takes to fill need not be multiplied out.
        let gained = now.since(self.filled).min(1 << 20) * self.rate;
        self.level = (self.level + gained).min(self.depth());
        self.filled = self.filled.max(now);
        let granted = self.level >= 1000;
        if granted {
            self.level -= 1000;
        }
        granted
    }
}

/// Reproducible: the same seed, the same delays and nonces.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Any number.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to `most`.
    pub fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }
}

/// The finaliser of splitmix64: every bit of the result hangs on all of `x`.
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_any_second() {
        let mut bucket = Bucket::new(1000, Time::ZERO);
        let granted = (0..10_000u64).filter(|n| bucket.take(Time(n / 10))).count();
        assert!((1000..=1100).contains(&granted), "{granted}");
        assert!(bucket.take(Time(5000)));
    }

    #[test]
    fn low_rates_grant_one_and_zero_none() {
        let mut slow = Bucket::new(1, Time::ZERO);
        assert!(slow.take(Time(0)));
        assert!(!slow.take(Time(999)));
        assert!(slow.take(Time(1000)));
        assert!(!Bucket::new(0, Time::ZERO).take(Time(u64::MAX)));
    }

    #[test]
    fn a_clock_that_steps_back_grants_nothing_extra() {
        let mut bucket = Bucket::new(10, Time(1000));
        assert!(bucket.take(Time(1000)));
        assert!(!bucket.take(Time(0)));
        assert!(!bucket.take(Time(1050)));
        assert!(bucket.take(Time(1100)));
    }
}
