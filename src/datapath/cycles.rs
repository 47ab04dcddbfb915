//! Where a worker's cycles go, part by part, on the running appliance.
//!
//! To read the clock after every stage of every burst would cost more than some
//! stages do. So one round in about 256 is *sampled*: it is compiled a second
//! time, with a [`Recorder`] in the place of `()`, and reads the clock after each
//! part. All other rounds pay one decrement and one branch, whatever their ports
//! and bursts.
//!
//! How many rounds lie between two samples is random: traffic that repeats
//! itself (a generator's capture, a queue that fills every so often) would
//! otherwise be seen at the same place again and again.
//!
//! What reading the clock costs is measured at the head of each sample and
//! taken off. The clock does not wait for loads that are under way, so a cache
//! miss of one part may end in the next; over a burst that is little.
//!
//! A sampled round that took longer than a millisecond was interrupted: the
//! worker was not on its core. It would outweigh thousands of others, says
//! nothing of the parts, and is only counted.

use crate::clock::Clock;
use crate::packet::{BURST, Packet};
use crate::port::{Burst, Pool, Port};

use super::Context;
use super::counters::Counter;
use super::lane::Lane;
use super::plain::Meter;
use super::trace::Stage;

/// What a busy round consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Receive,
    Parse,
    Resolve,
    Rewrite,
    Walk,
    Send,
    Round,
}

impl Part {
    pub const ALL: [Part; 7] = [
        Part::Receive,
        Part::Parse,
        Part::Resolve,
        Part::Rewrite,
        Part::Walk,
        Part::Send,
        Part::Round,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Part::Receive => "rx",
            Part::Parse => "parse",
            Part::Resolve => "resolve",
            Part::Rewrite => "rewrite",
            Part::Walk => "walk",
            Part::Send => "tx",
            Part::Round => "round",
        }
    }

    /// What happens in it, and to which packets.
    pub fn help(self) -> &'static str {
        match self {
            Part::Receive => "taking packets from their port and counting them",
            Part::Parse => "headers checked, sender and addresses found, nodes' packets authorized",
            Part::Resolve => "looking up addresses",
            Part::Rewrite => "plain packets rewritten, those of the substrate authorized",
            Part::Walk => "the whole walk of packets that are not plain, and a relay's",
            Part::Send => "verdicts carried out, packets handed to their ports",
            Part::Round => "all else: empty queues, rings of other threads, waiting packets",
        }
    }

    /// The part that ends with a stage of the plain path.
    fn of(stage: Stage) -> Part {
        match stage {
            Stage::Parse | Stage::Classify | Stage::Authorize => Part::Parse,
            Stage::Resolve => Part::Resolve,
            Stage::Rewrite => Part::Rewrite,
            Stage::Tx => Part::Send,
        }
    }
}

/// Cycles of one part in sampled rounds, and packets that came to it.
#[derive(Debug, Default)]
pub struct PartCounters {
    pub cycles: Counter,
    pub packets: Counter,
}

/// Sizes of bursts that are told apart: 1, 2 and 3, 4 to 7, … and full ones.
pub const SIZES: usize = BURST.ilog2() as usize + 1;

/// The smallest and the largest burst of a size.
pub fn sizes(size: usize) -> (usize, usize) {
    let first = 1 << size;
    (first, (2 * first - 1).min(BURST))
}

/// A worker's block of all this: written by it alone.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Cycles {
    /// Bursts received, by size.
    pub bursts: [Counter; SIZES],
    /// By [`Part`].
    pub parts: [PartCounters; Part::ALL.len()],
    /// Rounds with packets that were sampled.
    pub sampled: Counter,
    /// Sampled rounds that were interrupted.
    pub interrupted: Counter,
}

impl Cycles {
    /// A burst of `n` packets, at least one, was received.
    #[inline(always)]
    pub fn burst(&self, n: usize) {
        self.bursts[((n | 1).ilog2() as usize).min(SIZES - 1)].add(1);
    }
}

/// Is told where a round has got to.
pub trait Stopwatch: Meter {
    /// What went on since the last word belongs to this part.
    fn ended(&mut self, part: Part, packets: usize);
}

/// Nobody measures.
impl Stopwatch for () {
    #[inline(always)]
    fn ended(&mut self, _: Part, _: usize) {}
}

/// Measures one round.
#[derive(Debug)]
pub struct Recorder<C> {
    clock: C,
    last: u64,
    /// What reading the clock costs.
    reading: u64,
    cycles: [u64; Part::ALL.len()],
    packets: [u64; Part::ALL.len()],
}

impl<C: FnMut() -> u64> Recorder<C> {
    pub fn new(mut clock: C) -> Recorder<C> {
        let first = clock();
        let last = clock();
        Recorder {
            clock,
            last,
            reading: last.wrapping_sub(first),
            cycles: [0; Part::ALL.len()],
            packets: [0; Part::ALL.len()],
        }
    }

    /// Counts what was measured, unless it took longer than `patience`.
    pub fn count(&self, counters: &Cycles, patience: u64) {
        if self.cycles.iter().sum::<u64>() > patience {
            return counters.interrupted.add(1);
        }
        counters.sampled.add(1);
        let measured = self.cycles.iter().zip(&self.packets);
        for (part, (cycles, packets)) in counters.parts.iter().zip(measured) {
            part.cycles.add(*cycles);
            part.packets.add(*packets);
        }
    }
}

impl<C: FnMut() -> u64> Meter for Recorder<C> {
    fn passed(&mut self, stage: Stage, packets: usize) {
        self.ended(Part::of(stage), packets);
    }

    fn walked(&mut self, packets: usize) {
        self.ended(Part::Walk, packets);
    }
}

impl<C: FnMut() -> u64> Stopwatch for Recorder<C> {
    fn ended(&mut self, part: Part, packets: usize) {
        let now = (self.clock)();
        let spent = now.wrapping_sub(self.last).saturating_sub(self.reading);
        self.last = now;
        self.cycles[part as usize] += spent;
        self.packets[part as usize] += packets as u64;
    }
}

/// Mean of rounds from one sample to the next.
pub const INTERVAL: u32 = 256;

/// When a worker's next round is sampled.
#[derive(Debug)]
pub struct Sampling {
    left: u32,
    random: u32,
    /// Ticks after which a round was interrupted.
    patience: u64,
}

impl Sampling {
    pub fn new(clock: &Clock, worker: u16) -> Sampling {
        Sampling {
            left: 1,
            random: worker.into(),
            patience: (clock.hz() / 1000).max(1),
        }
    }

    /// Whether this round is to be sampled.
    #[inline(always)]
    pub fn is_due(&mut self) -> bool {
        self.left -= 1;
        self.left == 0
    }

    /// After how many rounds the next one is: from half the interval to one and
    /// a half.
    fn next(&mut self) -> u32 {
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        INTERVAL / 2 + (self.random >> 16) % INTERVAL
    }

    /// One round, measured. Returns how many packets moved.
    #[cold]
    #[inline(never)]
    pub(super) fn round<Io: Port, Po: Pool<Packet = Io::Packet>>(
        &mut self,
        lane: &mut Lane<Io, Po>,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        now: u64,
    ) -> usize
    where
        Io::Packet: Packet,
    {
        self.left = self.next();
        let clock = lane.clock.clone();
        let mut recorder = Recorder::new(|| clock.now());
        let sent = lane.sent();
        let moved = lane.round(cx, burst, now, &mut recorder);
        recorder.ended(Part::Round, moved);
        recorder.packets[Part::Send as usize] = lane.sent() - sent;
        if moved > 0 {
            recorder.count(&lane.counters.cycles, self.patience);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_between_two_words_is_the_parts_without_the_clock_itself() {
        // Each reading costs 5.
        let mut times = [100, 105, 120, 165, 175, 180, 200].into_iter();
        let mut recorder = Recorder::new(|| times.next().unwrap());
        recorder.ended(Part::Receive, 32);
        recorder.passed(Stage::Authorize, 31);
        recorder.passed(Stage::Rewrite, 31);
        recorder.walked(1);
        recorder.ended(Part::Round, 32);
        let counters = Cycles::default();
        recorder.count(&counters, 1000);
        let told = |part: Part| {
            let part = &counters.parts[part as usize];
            (part.cycles.get(), part.packets.get())
        };
        assert_eq!(told(Part::Receive), (10, 32));
        assert_eq!(told(Part::Parse), (40, 31));
        assert_eq!(told(Part::Resolve), (0, 0));
        assert_eq!(told(Part::Rewrite), (5, 31));
        assert_eq!(told(Part::Walk), (0, 1), "never less than nothing");
        assert_eq!(told(Part::Round), (15, 32));
        assert_eq!((counters.sampled.get(), counters.interrupted.get()), (1, 0));
    }

    #[test]
    fn an_interrupted_round_is_no_sample() {
        let mut times = [0, 0, 1_000_001].into_iter();
        let mut recorder = Recorder::new(|| times.next().unwrap());
        recorder.ended(Part::Rewrite, 32);
        let counters = Cycles::default();
        recorder.count(&counters, 1_000_000);
        assert_eq!((counters.sampled.get(), counters.interrupted.get()), (0, 1));
        assert!(counters.parts.iter().all(|part| part.packets.get() == 0));
    }

    #[test]
    fn every_burst_has_its_size() {
        let counters = Cycles::default();
        (1..=BURST).for_each(|n| counters.burst(n));
        for (size, counted) in counters.bursts.iter().enumerate() {
            let (first, last) = sizes(size);
            assert_eq!(
                counted.get(),
                (last - first + 1) as u64,
                "{first} to {last}"
            );
        }
        assert_eq!(sizes(0), (1, 1));
        assert_eq!(sizes(SIZES - 1), (BURST, BURST));
    }

    #[test]
    fn samples_are_as_rare_as_said_and_do_not_repeat() {
        let mut sampling = Sampling::new(&Clock::manual().0, 0);
        let mut gaps = Vec::new();
        for _ in 0..1000 {
            sampling.left = sampling.next();
            gaps.push(sampling.left);
            while !sampling.is_due() {}
        }
        let mean = gaps.iter().sum::<u32>() / 1000;
        assert!((INTERVAL - 10..INTERVAL + 10).contains(&mean), "{mean}");
        gaps.sort_unstable();
        gaps.dedup();
        assert!(gaps.len() > 200);
    }
}
