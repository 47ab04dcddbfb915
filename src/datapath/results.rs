//! What a walk leaves behind: one end per packet of the burst.
//!
//! Nearly all packets end the same way, sent by a port. So the port is kept in
//! a plain array, and all other ends in a second one, which is empty most of
//! the time. One array of `Result<Outcome, Exit>` would be written in pieces
//! and read as a whole, which stalls a core for longer than a stage takes.

use arrayvec::ArrayVec;

use super::tally::Passage;
use super::{BURST, Drop, Exit, Outcome};

/// From here on an entry is no port but a place among the other ends.
const OTHERS: u16 = 0x8000;

/// The ends of a burst's packets, in the order of the burst.
#[derive(Debug)]
pub struct Results {
    ways: [u16; BURST],
    others: ArrayVec<Result<Outcome, Exit>, BURST>,
    passages: ArrayVec<Passage, BURST>,
}

impl Default for Results {
    fn default() -> Self {
        Results {
            ways: [u16::MAX; BURST],
            others: ArrayVec::new(),
            passages: ArrayVec::new(),
        }
    }
}

impl Results {
    /// The end of packet `i`.
    #[inline(always)]
    pub(super) fn set(&mut self, i: usize, result: Result<Outcome, Exit>) {
        let way = match result {
            Ok(Outcome::Send {
                port,
                options_removed: false,
            }) if port < OTHERS => port,
            other => {
                let place = self.others.len() as u16;
                self.others.push(other);
                OTHERS + place
            }
        };
        if let Some(place) = self.ways.get_mut(i) {
            *place = way;
        }
    }

    /// Packet `i` leaves by `port`, and there is no more to say.
    #[inline(always)]
    pub(super) fn sent(&mut self, i: usize, port: u16) {
        debug_assert!(port < OTHERS, "ports are few");
        if let Some(place) = self.ways.get_mut(i) {
            *place = port;
        }
    }

    /// Some packets went by routers. There are no more of them than packets.
    #[inline(always)]
    pub(super) fn passed(&mut self, passage: Passage) {
        let _ = self.passages.try_push(passage);
    }

    /// Which packets went by routers, for the worker to count.
    #[inline(always)]
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// The port by which packet `i` leaves and there is no more to say.
    #[inline(always)]
    pub fn port(&self, i: usize) -> Option<u16> {
        self.ways.get(i).copied().filter(|way| *way < OTHERS)
    }

    /// The port by which all of the first `n` packets leave, if it is one.
    #[inline]
    pub fn only_port(&self, n: usize) -> Option<u16> {
        let ways = self.ways.get(..n)?;
        let first = *ways.first()?;
        // Without a way out in between, so that the compiler compares many at once.
        let differ = ways.iter().fold(0, |differ, way| differ | (way ^ first));
        (first < OTHERS && differ == 0).then_some(first)
    }

    /// The end of packet `i`. A place that no walk filled in is none.
    pub fn get(&self, i: usize) -> Result<Outcome, Exit> {
        let way = self.ways.get(i).copied().unwrap_or(u16::MAX);
        if way < OTHERS {
            return Ok(Outcome::Send {
                port: way,
                options_removed: false,
            });
        }
        let other = self.others.get(usize::from(way - OTHERS)).copied();
        other.unwrap_or(Err(Exit::Drop(Drop::UnknownNode)))
    }
}

impl FromIterator<Result<Outcome, Exit>> for Results {
    fn from_iter<I: IntoIterator<Item = Result<Outcome, Exit>>>(ends: I) -> Results {
        let mut results = Results::default();
        for (i, end) in ends.into_iter().enumerate() {
            results.set(i, end);
        }
        results
    }
}

/// What the first half of a walk leaves for the second: the packets that are
/// still on their way, each with its place in the burst.
pub(super) type Asked<T> = ArrayVec<(usize, T), BURST>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_kept_in_its_place() {
        let sent = |port, options_removed| {
            Ok(Outcome::Send {
                port,
                options_removed,
            })
        };
        let ends = [
            sent(3, false),
            Err(Exit::Drop(Drop::NoMapping)),
            sent(4, true),
            sent(OTHERS - 1, false),
            sent(OTHERS, false),
            Err(Exit::Pass { port: 3 }),
        ];
        let mut results: Results = ends.into_iter().collect();
        for (i, end) in ends.into_iter().enumerate() {
            assert_eq!(results.get(i), end);
        }
        let plain: Vec<_> = (0..7).map(|i| results.port(i)).collect();
        assert_eq!(
            plain,
            [Some(3), None, None, Some(OTHERS - 1), None, None, None]
        );
        assert_eq!(results.get(6), Err(Exit::Drop(Drop::UnknownNode)));
        assert_eq!(results.only_port(1), Some(3));
        assert_eq!(results.only_port(2), None);
        assert_eq!(results.only_port(0), None);
        results.set(6, sent(1, false));
        results.set(0, Err(Exit::Drop(Drop::TooBig)));
        assert_eq!(results.get(6), sent(1, false));
        assert_eq!(results.get(0), Err(Exit::Drop(Drop::TooBig)));
        assert_eq!(results.get(1), ends[1]);
    }
}
