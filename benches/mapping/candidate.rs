//! What every table under test can do, and what is done with it.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use weft::mapping::Key;

use crate::floor::{Floor, HOSTS};
use crate::plan::{Dice, Plan, Stream};

pub(crate) const BURST: usize = 32;

/// Where a frame goes: what the walk writes into it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Far {
    pub(crate) address: u128,
    /// What both addresses add to a checksum.
    pub(crate) delta: u16,
    /// Next hop.
    pub(crate) mac: u64,
}

/// The host of key `n` in its `revision`th version.
#[inline]
pub(crate) fn host_of(n: u32, revision: u32) -> u32 {
    (n ^ revision) % HOSTS
}

pub(crate) trait Reader {
    type Answer: Copy;
    /// There is no mapping.
    const NOTHING: Self::Answer;
    /// `out[i]` answers `asked.keys[i]`; both have one length.
    fn burst(&mut self, asked: crate::plan::Asked<'_>, out: &mut [Self::Answer]);
    fn far(floor: &Floor, key: Key, answer: &Self::Answer) -> Option<Far>;
}

pub(crate) trait Writer {
    /// Gives key `n` another host and another end.
    fn update(&mut self, key: Key, n: u32, revision: u32);
    /// Makes what was updated visible, where that is a step of its own.
    fn publish(&mut self) {}
}

/// A filled table.
pub(crate) struct Built<R, W> {
    pub(crate) reader: R,
    pub(crate) writer: W,
    pub(crate) bytes: usize,
}

/// The reading side behind one call for many bursts, so that everything within
/// them is compiled for the very table.
pub(crate) trait Reads {
    fn lookups(&mut self, stream: &mut Stream, bursts: u32);
    fn walk(&mut self, floor: &mut Floor, stream: &mut Stream, bursts: u32);
    /// Every key of the plan, found or not.
    fn missing(&mut self, floor: &Floor, plan: Plan) -> usize;
}

/// The writing side, likewise.
pub(crate) trait Writes: Send {
    /// Updates until told to stop; returns how many.
    fn run(&mut self, plan: Plan, stop: &AtomicBool) -> u64;
}

impl<R: Reader> Reads for R {
    fn lookups(&mut self, stream: &mut Stream, bursts: u32) {
        let mut out = [R::NOTHING; BURST];
        for _ in 0..bursts {
            self.burst(stream.burst(BURST), &mut out);
            black_box(&out);
        }
    }

    fn walk(&mut self, floor: &mut Floor, stream: &mut Stream, bursts: u32) {
        for _ in 0..bursts {
            floor.burst(self, stream.burst(BURST));
        }
    }

    fn missing(&mut self, floor: &Floor, plan: Plan) -> usize {
        let mut missing = 0;
        for first in (0..plan.size).step_by(BURST) {
            let numbers: [u32; BURST] = std::array::from_fn(|i| first + i as u32);
            let keys = numbers.map(|n| plan.key(n));
            let mut out = [R::NOTHING; BURST];
            let (keys, numbers) = (&keys, &numbers);
            self.burst(crate::plan::Asked { keys, numbers }, &mut out);
            let right = |i: usize| {
                let expected = floor.host(host_of(numbers[i], 0), keys[i]).address;
                R::far(floor, keys[i], &out[i]).is_some_and(|far| far.address == expected)
            };
            missing += (0..BURST).filter(|i| !right(*i)).count();
        }
        missing
    }
}

impl<W: Writer + Send> Writes for W {
    fn run(&mut self, plan: Plan, stop: &AtomicBool) -> u64 {
        let mut dice = Dice(0xD1CE);
        let mut revision = 0;
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..BURST {
                revision += 1;
                let n = dice.roll(plan.size);
                self.update(plan.key(n), n, revision);
            }
            self.publish();
        }
        u64::from(revision)
    }
}

/// One table of the comparison.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) reads: Box<dyn Reads>,
    pub(crate) writes: Box<dyn Writes>,
    pub(crate) bytes: usize,
}

impl Subject {
    pub(crate) fn new<R: Reader + 'static, W: Writer + Send + 'static>(
        name: &'static str,
        built: Built<R, W>,
    ) -> Self {
        Self {
            name,
            reads: Box::new(built.reader),
            writes: Box::new(built.writer),
            bytes: built.bytes,
        }
    }
}
