//! Lookups in bursts of 32, hits and misses, beside hashbrown; updates by the
//! one writer.
//!
//! Both tables get the same keys from the same generator (a permutation of all
//! keys, so every entry is asked for equally often); its cost is in both of
//! criterion's figures and is also measured alone as `generator`. A table at
//! the end gives TSC cycles and nanoseconds per lookup with the generator
//! subtracted, rounds of both tables interleaved, and bytes per mapping.
//! `WEFT_BENCH_8M=1` adds eight million entries.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use hashbrown::HashMap;
use weft::mapping::{
    BURST, Domain, Found, HostIndex, Key, Limits, Mapping, Participant, Reader, Target, Writer,
};

const Z: u32 = 0x5A0001;
/// Of the table printed at the end.
const ROUNDS: usize = 201;
/// Added to a number: a key that no table holds.
const ABSENT: u32 = 1 << 24;

fn key(n: u32) -> Key {
    Key::new(Z + (n >> 16), 0x0A00_0000 | (n & 0xffff))
}

fn mapping(n: u32) -> Mapping {
    Mapping::new(Target::Remote(HostIndex::new(n & 0xff).expect("small")))
}

/// Numbers below a power of two in scattered order, each once per round.
struct Walk {
    at: u32,
    mask: u32,
}

impl Walk {
    fn over(size: u32) -> Self {
        assert!(size.is_power_of_two());
        let mask = size - 1;
        Self { at: 1, mask }
    }

    #[inline]
    fn burst(&mut self, base: u32) -> [Key; BURST] {
        std::array::from_fn(|_| {
            // A congruential step of full period (multiplier 1 mod 4, odd
            // increment), and a bijective stir so that neighbours do not meet.
            let next = self.at.wrapping_mul(1_664_525);
            self.at = next.wrapping_add(1_013_904_223) & self.mask;
            key(base + (self.at ^ (self.at >> 9)))
        })
    }
}

struct Ours {
    writer: Writer,
    reader: Reader,
    pin: Participant,
}

impl Ours {
    fn filled(size: u32) -> Self {
        let domain = Domain::default();
        let limits = Limits {
            mappings: size as usize,
            initial: 0,
            prefixes: 0,
        };
        let mut writer = Writer::new(&domain, limits).expect("memory");
        let mut pin = domain.register().expect("a slot");
        for n in 0..size {
            writer.insert(key(n), mapping(n)).expect("room");
            pin.quiescent();
        }
        domain.collect();
        Self {
            reader: writer.readers().reader(),
            writer,
            pin,
        }
    }

    #[inline]
    fn lookup(&mut self, keys: &[Key; BURST]) -> usize {
        let mut out = [Found::NOTHING; BURST];
        self.reader.lookup_burst(&self.pin, keys, &mut out);
        self.pin.quiescent();
        black_box(&out)
            .iter()
            .filter(|found| !found.is_nothing())
            .count()
    }
}

fn yardstick(size: u32) -> HashMap<Key, Mapping> {
    (0..size).map(|n| (key(n), mapping(n))).collect()
}

#[inline]
fn lookup_yardstick(map: &HashMap<Key, Mapping>, keys: &[Key; BURST]) -> usize {
    let out = keys.map(|key| map.get(&key).copied());
    black_box(&out).iter().flatten().count()
}

fn sizes() -> Vec<(&'static str, u32)> {
    let mut sizes = vec![("1k", 1 << 10), ("64k", 1 << 16), ("1m", 1 << 20)];
    if std::env::var_os("WEFT_BENCH_8M").is_some() {
        sizes.push(("8m", 1 << 23));
    }
    sizes
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    group
        .throughput(Throughput::Elements(BURST as u64))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    for (name, size) in sizes() {
        let mut walk = Walk::over(size);
        group.bench_function(BenchmarkId::new("generator", name), |b| {
            b.iter(|| walk.burst(0));
        });
        let mut ours = Ours::filled(size);
        for (kind, base) in [("hit", 0), ("miss", ABSENT)] {
            group.bench_function(BenchmarkId::new(format!("weft-{kind}"), name), |b| {
                b.iter(|| ours.lookup(&walk.burst(base)));
            });
        }
        drop(ours);
        let map = yardstick(size);
        for (kind, base) in [("hit", 0), ("miss", ABSENT)] {
            group.bench_function(BenchmarkId::new(format!("hashbrown-{kind}"), name), |b| {
                b.iter(|| lookup_yardstick(&map, &walk.burst(base)));
            });
        }
    }
    group.finish();
}

fn updates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("update");
    group
        .throughput(Throughput::Elements(BURST as u64))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .sample_size(30);
    for (name, size) in sizes() {
        let mut ours = Ours::filled(size);
        let mut walk = Walk::over(size);
        let mut revision = 0;
        group.bench_function(BenchmarkId::new("replace", name), |b| {
            b.iter(|| {
                revision += 1;
                for key in walk.burst(0) {
                    let new = Mapping {
                        expires: revision,
                        previous: Some((HostIndex::MAX, revision)),
                        ..mapping(revision)
                    };
                    ours.writer.insert(key, new).expect("it is there");
                }
            });
        });
        group.bench_function(BenchmarkId::new("remove-insert", name), |b| {
            b.iter(|| {
                for key in walk.burst(0) {
                    let old = ours.writer.remove(key).expect("it is there");
                    ours.writer.insert(key, old).expect("room");
                }
            });
        });
    }
    group.finish();
}

/// TSC cycles and time since a start.
struct Stopwatch {
    cycles: u64,
    time: Instant,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            cycles: cycles(),
            time: Instant::now(),
        }
    }

    /// Cycles and nanoseconds per piece of work.
    fn per(&self, pieces: u64) -> [f64; 2] {
        let cycles = cycles() - self.cycles;
        let time = self.time.elapsed();
        [cycles as f64, time.as_nanos() as f64].map(|total| total / pieces as f64)
    }
}

#[cfg(target_arch = "x86_64")]
fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has it, and Linux lets users read it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn cycles() -> u64 {
    0
}

fn measure(mut work: impl FnMut() -> usize) -> [f64; 2] {
    // About a millisecond: most rounds are then not interrupted.
    const BURSTS: u64 = 1 << 11;
    let watch = Stopwatch::start();
    for _ in 0..BURSTS {
        black_box(work());
    }
    watch.per(BURSTS * BURST as u64)
}

fn summary(mut rounds: Vec<[f64; 2]>) -> String {
    rounds.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let at = |part: usize| rounds[rounds.len() * part / 10];
    let ([cycles, time], low, high) = (at(5), at(1), at(9));
    format!("{cycles:.1} [{:.1}, {:.1}] ({time:.2} ns)", low[0], high[0])
}

fn interleaved() {
    println!("TSC cycles per lookup without the generator, median [10 %, 90 %] of {ROUNDS} rounds");
    for (name, size) in sizes() {
        let mut ours = Ours::filled(size);
        let map = yardstick(size);
        for (kind, base) in [("hit", 0), ("miss", ABSENT)] {
            let (mut weft, mut brown) = (Vec::new(), Vec::new());
            let mut walk = Walk::over(size);
            for _ in 0..ROUNDS {
                let idle = measure(|| black_box(walk.burst(base)).len());
                let net = |gross: [f64; 2]| [gross[0] - idle[0], gross[1] - idle[1]];
                weft.push(net(measure(|| ours.lookup(&walk.burst(base)))));
                brown.push(net(measure(|| lookup_yardstick(&map, &walk.burst(base)))));
            }
            let (weft, brown) = (summary(weft), summary(brown));
            println!("{name:>4} {kind:<4}  weft {weft:<32} hashbrown {brown}");
        }
        let per_mapping = |bytes: usize| bytes as f64 / f64::from(size);
        println!(
            "{name:>4} bytes per mapping: weft {:.1}, hashbrown {:.1}",
            per_mapping(ours.writer.memory_bytes()),
            per_mapping(map.allocation_size())
        );
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    lookups(&mut criterion);
    updates(&mut criterion);
    criterion.final_summary();
    // Cargo passes this for `cargo bench`, not for `cargo test`.
    if std::env::args().any(|arg| arg == "--bench") {
        interleaved();
    }
}
