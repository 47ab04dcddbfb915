//! Rate limits of what workers send to the control thread: token buckets, one
//! per node and per port, so that a scan by one node starves nobody else.

/// Refilled at `rate` a second, holding at most `burst`.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    refilled: u64,
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
        let bucket = &mut self.buckets[index.min(last)];
        let earned = now.saturating_sub(bucket.refilled) / self.ticks_per_token;
        if earned > 0 {
            bucket.refilled += earned * self.ticks_per_token;
            bucket.tokens = self.burst.min(
                bucket
                    .tokens
                    .saturating_add(earned.min(u64::from(u32::MAX)) as u32),
            );
        }
        let allowed = bucket.tokens > 0;
        bucket.tokens -= u32::from(allowed);
        allowed
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
