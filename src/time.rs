//! The clock of the control thread: milliseconds since the process started.
//!
//! Nothing below `control` reads a clock. Time comes in as an argument, so
//! that a test plays hours in a microsecond and a replay gives the same bytes.

/// A moment, in milliseconds since start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    pub const ZERO: Time = Time(0);

    /// The moment `ms` later; the end of time when there is no such moment.
    #[inline]
    #[must_use]
    pub fn after(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, 0 if that lies ahead.
    #[inline]
    pub fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_end_of_time_wraps() {
        assert_eq!(Time(5).after(7), Time(12));
        assert_eq!(Time(u64::MAX - 1).after(7), Time(u64::MAX));
        assert_eq!(Time(12).since(Time(5)), 7);
        assert_eq!(Time(5).since(Time(12)), 0);
    }
}
