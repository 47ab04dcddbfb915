//! Rounds of measurements, all tables in turn.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};
use weft::arch::rdtsc;

use crate::candidate::{BURST, Subject, Writes};
use crate::floor::Floor;
use crate::options::Options;
use crate::plan::{Plan, Stream};

/// Of one table, a value per round.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Bytes per mapping.
    pub(crate) bytes: f64,
    /// Cycles per lookup, nobody writing.
    pub(crate) alone: Vec<f64>,
    /// Cycles per lookup while the writer writes.
    pub(crate) beside: Vec<f64>,
    /// Cycles per packet of the least walk.
    pub(crate) walk: Vec<f64>,
    /// The same while the writer writes.
    pub(crate) walk_beside: Vec<f64>,
    /// Millions a second while lookups go on; nothing where nobody can write.
    pub(crate) updates: Vec<f64>,
}

/// Keeps this thread on a core; where there is no such core, anywhere.
pub(crate) fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

pub(crate) fn rounds(
    subjects: &mut [Subject],
    plan: Plan,
    mut stream: Stream,
    options: &Options,
) -> Vec<Row> {
    let row = |subject: &Subject| Row {
        name: subject.name,
        bytes: subject.bytes as f64 / f64::from(plan.size),
        alone: Vec::new(),
        beside: Vec::new(),
        walk: Vec::new(),
        walk_beside: Vec::new(),
        updates: Vec::new(),
    };
    let mut rows: Vec<Row> = subjects.iter().map(row).collect();
    let mut floor = Floor::new();
    let slice = options.slice();
    for _ in 0..options.rounds() {
        for (subject, row) in subjects.iter_mut().zip(&mut rows) {
            let (reads, writes) = (&mut subject.reads, &mut *subject.writes);
            let mut look = |bursts| reads.lookups(&mut stream, bursts);
            row.alone.push(cycles(slice, &mut look));
            let (beside, updates) = beside(writes, plan, || cycles(slice, &mut look));
            let mut walk = |bursts| reads.walk(&mut floor, &mut stream, bursts);
            row.walk.push(cycles(slice, &mut walk));
            let (walked, _) = self::beside(writes, plan, || cycles(slice, &mut walk));
            if subject.name == "hashbrown" {
                continue;
            }
            row.beside.push(beside);
            row.walk_beside.push(walked);
            row.updates.push(updates);
        }
    }
    assert_eq!(floor.missed, 0, "a mapping was not found");
    rows
}

/// Cycles per packet of `work`, which does so many bursts; warmed up before.
pub(crate) fn cycles(slice: Duration, work: &mut dyn FnMut(u32)) -> f64 {
    const STEP: u32 = 64;
    let warm = Instant::now();
    while warm.elapsed() < slice {
        work(STEP);
    }
    let (begin, started) = (rdtsc(), Instant::now());
    let mut bursts = 0u64;
    while started.elapsed() < slice {
        work(STEP);
        bursts += u64::from(STEP);
    }
    (rdtsc() - begin) as f64 / (bursts * BURST as u64) as f64
}

/// Runs `work` while `writer` writes on core 0; its result, and millions of
/// updates a second.
fn beside(writer: &mut dyn Writes, plan: Plan, work: impl FnOnce() -> f64) -> (f64, f64) {
    let (stop, started) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            pin(0);
            started.store(true, Ordering::Release);
            let begin = Instant::now();
            let updates = writer.run(plan, &stop);
            updates as f64 / begin.elapsed().as_secs_f64() / 1e6
        });
        while !started.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        let result = work();
        stop.store(true, Ordering::Relaxed);
        (result, writing.join().expect("the writer writes"))
    })
}

/// (median, tenth part, nine tenths).
pub(crate) fn spread(values: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |part: usize| sorted.get((sorted.len() * part / 10).min(sorted.len() - 1));
    if sorted.is_empty() {
        return None;
    }
    Some([*at(5)?, *at(1)?, *at(9)?])
}

/// The median of what each round says.
pub(crate) fn ratio(over: &[f64], under: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = over.iter().zip(under).map(|(a, b)| a / b).collect();
    spread(&ratios).map(|[median, ..]| median)
}
