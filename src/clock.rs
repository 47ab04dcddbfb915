//! Time, read once per burst and handed down as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A source of ticks that a worker can read without a system call. Tests
/// drive theirs by hand.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    start: u64,
    hz: u64,
}

#[derive(Clone, Debug)]
enum Source {
    /// The processor's time stamp counter.
    #[cfg(target_arch = "x86_64")]
    Tsc,
    /// Nanoseconds of the operating system's clock.
    Os(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The time stamp counter, of a known frequency; the operating system's
    /// clock where there is none.
    pub fn tsc(hz: u64) -> Clock {
        #[cfg(target_arch = "x86_64")]
        if hz != 0 {
            return Clock {
                source: Source::Tsc,
                start: crate::arch::rdtsc(),
                hz,
            };
        }
        Clock::os()
    }

    pub fn os() -> Clock {
        Clock {
            source: Source::Os(Instant::now()),
            start: 0,
            hz: 1_000_000_000,
        }
    }

    /// A clock of a thousand ticks a second that stands still until moved.
    pub fn manual() -> (Clock, ManualClock) {
        let ticks = Arc::new(AtomicU64::new(0));
        let clock = Clock {
            source: Source::Manual(ticks.clone()),
            start: 0,
            hz: 1000,
        };
        (clock, ManualClock { ticks })
    }

    /// Ticks since the clock was made.
    #[inline]
    pub fn now(&self) -> u64 {
        let ticks = match &self.source {
            #[cfg(target_arch = "x86_64")]
            Source::Tsc => crate::arch::rdtsc(),
            Source::Os(start) => start.elapsed().as_nanos() as u64,
            Source::Manual(ticks) => ticks.load(Relaxed),
        };
        ticks.wrapping_sub(self.start)
    }

    pub fn hz(&self) -> u64 {
        self.hz
    }

    pub fn ticks(&self, duration: Duration) -> u64 {
        (duration.as_nanos() * u128::from(self.hz) / 1_000_000_000) as u64
    }

    /// Whole seconds since the clock was made.
    pub fn seconds(&self, now: u64) -> u32 {
        (now / self.hz.max(1)) as u32
    }

    /// Microseconds since the clock was made.
    pub fn micros(&self, now: u64) -> u64 {
        (u128::from(now) * 1_000_000 / u128::from(self.hz.max(1))) as u64
    }

    /// Milliseconds since the clock was made.
    pub fn millis(&self, now: u64) -> u64 {
        (u128::from(now) * 1000 / u128::from(self.hz.max(1))) as u64
    }
}

/// Moves a [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct ManualClock {
    ticks: Arc<AtomicU64>,
}

impl ManualClock {
    pub fn advance(&self, millis: u64) {
        self.ticks.fetch_add(millis, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_measure_time() {
        for clock in [Clock::os(), Clock::tsc(2_000_000_000)] {
            let before = clock.now();
            std::thread::sleep(Duration::from_millis(2));
            assert!(clock.now() > before);
        }
        let (clock, hand) = Clock::manual();
        assert_eq!(clock.now(), 0);
        hand.advance(1500);
        assert_eq!(
            (clock.seconds(clock.now()), clock.millis(clock.now())),
            (1, 1500)
        );
        assert_eq!(clock.ticks(Duration::from_millis(200)), 200);
    }
}
