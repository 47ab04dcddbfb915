//! A token bucket in milliseconds, and the small random numbers of protocols.

use crate::time::Time;

use super::route::mix;

/// So many answers a second, with a burst of a tenth of a second's worth.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate: u64,
    /// Thousandths of a token, so that a millisecond adds `rate` of them.
    level: u64,
    filled: Time,
}

impl Bucket {
    pub(super) fn new(rate: u32, now: Time) -> Bucket {
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

    pub(super) fn take(&mut self, now: Time) -> bool {
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
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 to `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }
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
