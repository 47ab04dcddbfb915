//! Rate limits of what workers send to the control thread: token buckets, one
//! per node and per port, so that a scan by one node starves nobody else.

use crate::model::IcmpRate;

/// Refilled at `rate` a second, holding at most `burst`.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    refilled: u64,
}

impl Bucket {
    fn take(&mut self, burst: u32, ticks_per_token: u64, now: u64) -> bool {
        let earned = now.saturating_sub(self.refilled) / ticks_per_token;
        if earned > 0 {
            self.refilled += earned * ticks_per_token;
            let earned = earned.min(u64::from(u32::MAX)) as u32;
            self.tokens = burst.min(self.tokens.saturating_add(earned));
        }
        let allowed = self.tokens > 0;
        self.tokens -= u32::from(allowed);
        allowed
    }
}

/// Buckets by index, all of one rate. The memory is taken once.
#[derive(Debug)]
pub struct Limiter {
    buckets: Box<[Bucket]>,
    burst: u32,
    ticks_per_token: u64,
}

impl Limiter {
    pub fn new(buckets: usize, per_second: u32, burst: u32, hz: u64) -> Limiter {
        let bucket = Bucket {
            tokens: burst,
            refilled: 0,
        };
        Limiter {
            buckets: vec![bucket; buckets.max(1)].into_boxed_slice(),
            burst,
            ticks_per_token: (hz / u64::from(per_second.max(1))).max(1),
        }
    }

    /// Takes a token of bucket `index`, if there is one. An index beyond the
    /// buckets shares the last.
    pub fn allow(&mut self, index: usize, now: u64) -> bool {
        let last = self.buckets.len() - 1;
        self.buckets[index.min(last)].take(self.burst, self.ticks_per_token, now)
    }
}

/// Rate of the relay's own ICMP errors, by port. The rate is a setting that
/// changes while the appliance runs, so it comes with the question.
#[derive(Debug)]
pub struct RelayLimit {
    buckets: Box<[Bucket]>,
    hz: u64,
}

impl RelayLimit {
    pub fn new(ports: usize, hz: u64) -> RelayLimit {
        let bucket = Bucket {
            tokens: 0,
            refilled: 0,
        };
        RelayLimit {
            buckets: vec![bucket; ports].into_boxed_slice(),
            hz,
        }
    }

    /// Takes a token of the port's bucket, which holds those of a second.
    pub fn allow(&mut self, port: u16, rate: IcmpRate, now: u64) -> bool {
        let Some(bucket) = self.buckets.get_mut(usize::from(port)) else {
            return false;
        };
        match rate {
            IcmpRate::Unlimited => true,
            IcmpRate::PerSecond(0) => false,
            IcmpRate::PerSecond(rate) => bucket.take(rate, (self.hz / u64::from(rate)).max(1), now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_runs_dry_and_fills_again() {
        let mut limiter = Limiter::new(2, 10, 3, 1000);
        assert_eq!((0..5).filter(|_| limiter.allow(0, 0)).count(), 3);
        assert!(limiter.allow(1, 0), "the neighbour's bucket is full");
        assert!(!limiter.allow(0, 99));
        assert!(limiter.allow(0, 100));
        assert!(!limiter.allow(0, 100));
        assert_eq!((0..50).filter(|_| limiter.allow(0, 1_000_000)).count(), 3);
    }
}
