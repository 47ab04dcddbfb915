//! What upkeep of the table costs a reader: lookups go on, on core 1, while
//! control on core 0 does what takes long. Each row has a baseline of its own,
//! of the same table before anything is done to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use weft::arch::rdtsc;
use weft::mapping::{Cursor, Domain, Key, Limits, Mapping, Progress, Writer};

use crate::candidate::{BURST, Reader};
use crate::measure::{pin, ratio, spread};
use crate::options::Options;
use crate::ours::{Ours, mapping};
use crate::plan::{Plan, Spread, Stream};
use crate::report::Report;

pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Per lookup, one value for some hundred bursts.
    pub(crate) cycles: Vec<f64>,
    /// Over the median of the baseline.
    pub(crate) slower: f64,
    pub(crate) longest_us: f64,
    pub(crate) took_ms: f64,
}

/// Groups of a step: what control does within a fraction of a millisecond.
const STEP: usize = 256;

type Work = fn(&mut Writer, &Domain, Plan);

const ROWS: [(&str, Work); 5] = [
    ("nothing", |_, _, _| {
        std::thread::sleep(std::time::Duration::from_millis(300));
    }),
    ("growth to twice as many", grow),
    ("expiry of half of them", expire),
    ("iteration, ten times", iterate),
    ("resync of all", resync),
];

/// As many keys again, in vnets of their own.
fn more(plan: Plan) -> impl Iterator<Item = (u32, Key)> {
    let other = |key: Key| Key::new(key.vni() ^ 1 << 23, key.vaddr());
    plan.keys().map(move |(n, key)| (n, other(key)))
}

fn grow(writer: &mut Writer, domain: &Domain, plan: Plan) {
    for (i, (n, key)) in more(plan).enumerate() {
        writer.insert(key, mapping(n, 0)).expect("room");
        if i % 1000 == 0 {
            domain.collect();
        }
    }
    while writer.step(STEP) == Progress::More {
        domain.collect();
    }
}

/// The half that the reader does not ask for is the one that ends.
fn expire(writer: &mut Writer, domain: &Domain, _: Plan) {
    while writer.expire(1, STEP, |_, _| {}) == Progress::More {
        domain.collect();
    }
}

fn iterate(writer: &mut Writer, _: &Domain, _: Plan) {
    for _ in 0..10 {
        let (mut cursor, mut seen) = (Cursor::default(), 0);
        while writer.for_each_chunk(&mut cursor, STEP, |_, _| seen += 1) == Progress::More {}
        assert_eq!(seen, writer.len());
    }
}

/// Everything is said again, changed; what was not said goes.
fn resync(writer: &mut Writer, domain: &Domain, plan: Plan) {
    for (n, key) in plan.keys() {
        writer.insert(key, mapping(n, 7)).expect("room");
    }
    let mut cursor = Cursor::default();
    while writer.retain_chunk(&mut cursor, STEP, |_, it| it.expires == 7) == Progress::More {
        domain.collect();
    }
    assert_eq!(writer.len(), plan.size as usize);
}

pub(crate) fn run(options: &Options, report: &mut Report) {
    let plan = Plan {
        size: options.upkeep_size(),
    };
    for (name, work) in ROWS {
        let rows = (0..options.rounds().min(5)).map(|_| one(name, work, plan));
        report.upkeep(&merged(rows.collect()));
    }
}

/// The medians over rounds; the longest burst of all.
fn merged(rows: Vec<Row>) -> Row {
    let of = |value: fn(&Row) -> f64| rows.iter().map(value).collect::<Vec<f64>>();
    let median = |values: Vec<f64>| spread(&values).map_or(0.0, |[median, ..]| median);
    Row {
        name: rows[0].name,
        slower: median(of(|row| row.slower)),
        longest_us: of(|row| row.longest_us).into_iter().fold(0.0, f64::max),
        took_ms: median(of(|row| row.took_ms)),
        cycles: rows.into_iter().flat_map(|row| row.cycles).collect(),
    }
}

fn one(name: &'static str, work: Work, plan: Plan) -> Row {
    let domain = Domain::default();
    let limits = Limits {
        mappings: 2 * plan.size as usize,
        initial: plan.size as usize,
        prefixes: 0,
    };
    let mut writer = Writer::new(&domain, limits).expect("memory");
    for (n, key) in plan.keys() {
        writer.insert(key, mapping(n, 0)).expect("room");
    }
    if name.starts_with("expiry") || name.starts_with("resync") {
        for (n, key) in more(plan) {
            let ends = Mapping {
                expires: 1,
                ..mapping(n, 0)
            };
            writer.insert(key, ends).expect("room");
        }
    }
    let mut ours = Ours {
        reader: writer.readers().reader(),
        pin: domain.register().expect("a slot"),
    };
    let mut stream = Stream::new(plan, Spread::Uniform);
    while writer.step(STEP) == Progress::More {
        ours.pin.quiescent();
    }
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let until = || begin.elapsed().as_millis() > 300;
    let before = read(&mut ours, &mut stream, &until);
    let (during, took_ms) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            pin(0);
            let begin = Instant::now();
            work(&mut writer, &domain, plan);
            let took = begin.elapsed();
            stop.store(true, Ordering::Relaxed);
            took.as_secs_f64() * 1e3
        });
        let during = read(&mut ours, &mut stream, &|| stop.load(Ordering::Relaxed));
        (during, writing.join().expect("it ends"))
    });
    let median = |values: &[f64]| spread(values).map_or(0.0, |[median, ..]| median);
    let slower = ratio(&[median(&during.0)], &[median(&before.0)]).unwrap_or(1.0);
    Row {
        name,
        cycles: during.0,
        slower,
        longest_us: during.1,
        took_ms,
    }
}

/// Cycles per lookup of each few hundred bursts, and the longest burst in
/// microseconds.
fn read(ours: &mut Ours, stream: &mut Stream, until: &dyn Fn() -> bool) -> (Vec<f64>, f64) {
    const PIECE: u32 = 250;
    let (mut cycles, mut longest) = (Vec::new(), 0);
    let (begin, started) = (rdtsc(), Instant::now());
    while !until() || cycles.is_empty() {
        let mut sum = 0;
        for _ in 0..PIECE {
            let mut out = [Ours::NOTHING; BURST];
            let asked = stream.burst(BURST);
            let start = rdtsc();
            ours.burst(asked, &mut out);
            let took = rdtsc() - start;
            assert!(out.iter().all(|found| !found.is_nothing()), "lost");
            sum += took;
            longest = longest.max(took);
        }
        cycles.push(sum as f64 / f64::from(PIECE * BURST as u32));
    }
    let per_us = (rdtsc() - begin) as f64 / started.elapsed().as_secs_f64() / 1e6;
    (cycles, longest as f64 / per_us)
}
