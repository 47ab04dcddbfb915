//! Explicit mappings of single addresses: lookups one by one and in bursts of
//! 32 beside hashbrown, both addresses of a relay's packets, and changes of a
//! table whose clones are in use.
//!
//! Both tables get the same addresses from the same generator (a permutation
//! of all, so every mapping is asked for equally often). A table at the end
//! gives TSC cycles with the generator subtracted, rounds of all kinds
//! interleaved, and bytes per mapping.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use hashbrown::HashMap;
use weft::model::Eam;
use weft::siit::address_map::{AddressMap, AddressRules, Ends};
use weft::siit::halves::{Halves, halves};
use weft::siit::rfc6052::Pool6;
use weft::siit::rfc7757::{BURST, Eams, Entry};
use weft::wire::address::Prefix4;
use weft::wire::{Prefix6, Saddr, Vaddr};

const SIZES: [(&str, u32); 3] = [("1k", 1 << 10), ("64k", 1 << 16), ("1m", 1 << 20)];
/// Of the table printed at the end.
const ROUNDS: usize = 201;
/// Added to a number: one that no table holds, with neighbours that it does.
const ABSENT: u32 = 1 << 24;

/// From 198.18.0.0 on every other address; those between are absent.
fn ipv4(n: u32) -> Vaddr {
    Vaddr(0xc612_0000 + 2 * (n & (ABSENT - 1)) + n / ABSENT)
}

/// Servers of a data centre: 256 in each /64.
fn ipv6(n: u32) -> Saddr {
    (0x2001_0db8 << 96 | u128::from(n >> 8) << 64 | u128::from(n & 0xff)).to_be_bytes()
}

fn eam(n: u32) -> Eam {
    let (address, len) = (ipv4(n), 32);
    let ipv6 = Prefix6::new(ipv6(n).into(), 128).expect("no bits after it");
    Eam {
        ipv4: Prefix4 { address, len },
        ipv6,
    }
}

/// Prefixes of eight lengths, the short ones around nothing else.
fn mixed(n: u32) -> Eam {
    let one = eam(n);
    let bits = n % 8;
    if bits == 0 {
        return one;
    }
    let address = Vaddr(0x0200_0000 + (n << bits));
    let ipv6 = 0x2001_0db9 << 96 | u128::from(n) << 64;
    Eam {
        ipv4: Prefix4 {
            address,
            len: 32 - bits as u8,
        },
        ipv6: Prefix6::new(ipv6.into(), 128 - bits as u8).expect("no bits after it"),
    }
}

fn table(size: u32, eam: impl Fn(u32) -> Eam) -> Eams {
    Eams::build(usize::MAX, (0..size).map(eam)).expect("no two alike")
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
    fn next(&mut self) -> u32 {
        // A congruential step of full period (multiplier 1 mod 4, odd
        // increment), and a bijective stir so that neighbours do not meet.
        let next = self.at.wrapping_mul(1_664_525);
        self.at = next.wrapping_add(1_013_904_223) & self.mask;
        self.at ^ (self.at >> 9)
    }

    #[inline]
    fn burst<T>(&mut self, make: impl Fn(u32) -> T) -> [T; BURST] {
        std::array::from_fn(|_| make(self.next()))
    }
}

/// What is measured at one size.
struct Subject {
    eams: Eams,
    map: AddressMap,
    brown4: HashMap<Vaddr, Saddr>,
    brown6: HashMap<Saddr, Vaddr>,
    walk: Walk,
}

type Work = fn(&mut Subject) -> usize;

/// By name: what it does, and the generator alone.
const KINDS: [(&str, Work, Work); 13] = [
    ("find4", Subject::find4, Subject::idle4),
    ("find4 burst", Subject::find4_burst, Subject::idle4),
    ("hashbrown 4", Subject::hashbrown4, Subject::idle4),
    ("find4 miss", Subject::find4_miss, Subject::idle4),
    ("find4 stranger", Subject::find4_stranger, Subject::idle4),
    ("hashbrown 4 miss", Subject::hashbrown4_miss, Subject::idle4),
    ("find6", Subject::find6, Subject::idle6),
    ("find6 burst", Subject::find6_burst, Subject::idle6),
    ("hashbrown 6", Subject::hashbrown6, Subject::idle6),
    ("find6 miss", Subject::find6_miss, Subject::idle6),
    (
        "pairs to ipv6",
        Subject::pairs_to_ipv6,
        Subject::idle_pairs4,
    ),
    (
        "pairs to ipv4",
        Subject::pairs_to_ipv4,
        Subject::idle_pairs6,
    ),
    ("hashbrown 6 miss", Subject::hashbrown6_miss, Subject::idle6),
];

/// An address that has to do with no mapping.
#[inline]
fn stranger(n: u32) -> Vaddr {
    Vaddr(n.wrapping_mul(0x9e37_79b1) >> 2 | 1 << 24)
}

fn behind_pool(address: Vaddr) -> Saddr {
    (0x0064_ff9b << 96 | u128::from(address.0)).to_be_bytes()
}

impl Subject {
    fn of(size: u32) -> Self {
        let eams = table(size, eam);
        let pool = "64:ff9b::/96".parse().expect("a prefix");
        let rules = AddressRules {
            pool6: Some(Pool6::new(pool).expect("of length 96")),
            own4: Some(Vaddr(0xc000_0201)),
            ..AddressRules::default()
        };
        Subject {
            map: AddressMap::new(&rules, eams.clone()),
            eams,
            brown4: (0..size).map(|n| (ipv4(n), ipv6(n))).collect(),
            brown6: (0..size).map(|n| (ipv6(n), ipv4(n))).collect(),
            walk: Walk::over(size),
        }
    }

    fn idle4(&mut self) -> usize {
        black_box(self.walk.burst(ipv4)).len()
    }

    fn idle6(&mut self) -> usize {
        black_box(self.walk.burst(ipv6)).len()
    }

    /// From a client of the IPv4 Internet to a server with a mapping.
    fn ends4(&mut self) -> Ends<Vaddr> {
        Ends {
            sources: self.walk.burst(stranger),
            destinations: self.walk.burst(ipv4),
        }
    }

    /// And back.
    fn ends6(&mut self) -> Ends<Halves> {
        Ends {
            sources: self.walk.burst(|n| halves(&ipv6(n))),
            destinations: self.walk.burst(|n| halves(&behind_pool(stranger(n)))),
        }
    }

    fn idle_pairs4(&mut self) -> usize {
        black_box(self.ends4()).sources.len()
    }

    fn idle_pairs6(&mut self) -> usize {
        black_box(self.ends6()).sources.len()
    }

    fn find4(&mut self) -> usize {
        found(&self.walk.burst(ipv4).map(|a| self.eams.find4(a)))
    }

    fn find4_miss(&mut self) -> usize {
        let addresses = self.walk.burst(|n| ipv4(n + ABSENT));
        found(&addresses.map(|a| self.eams.find4(a)))
    }

    fn find4_stranger(&mut self) -> usize {
        found(&self.walk.burst(stranger).map(|a| self.eams.find4(a)))
    }

    fn find4_burst(&mut self) -> usize {
        let addresses = self.walk.burst(ipv4);
        let mut out = [None; BURST];
        self.eams.find4_burst(&addresses, u32::MAX, &mut out);
        found(&out)
    }

    fn find6(&mut self) -> usize {
        found(&self.walk.burst(ipv6).map(|a| self.eams.find6(&a)))
    }

    fn find6_miss(&mut self) -> usize {
        let addresses = self.walk.burst(|n| ipv6(n + ABSENT));
        found(&addresses.map(|a| self.eams.find6(&a)))
    }

    fn find6_burst(&mut self) -> usize {
        let addresses = self.walk.burst(|n| halves(&ipv6(n)));
        let mut out = [None; BURST];
        self.eams.find6_burst(&addresses, u32::MAX, &mut out);
        found(&out)
    }

    fn hashbrown4(&mut self) -> usize {
        let out = self.walk.burst(ipv4).map(|a| self.brown4.get(&a));
        black_box(&out).iter().flatten().count()
    }

    fn hashbrown4_miss(&mut self) -> usize {
        let addresses = self.walk.burst(|n| ipv4(n + ABSENT));
        let out = addresses.map(|a| self.brown4.get(&a));
        black_box(&out).iter().flatten().count()
    }

    fn hashbrown6(&mut self) -> usize {
        let out = self.walk.burst(ipv6).map(|a| self.brown6.get(&a));
        black_box(&out).iter().flatten().count()
    }

    fn hashbrown6_miss(&mut self) -> usize {
        let addresses = self.walk.burst(|n| ipv6(n + ABSENT));
        let out = addresses.map(|a| self.brown6.get(&a));
        black_box(&out).iter().flatten().count()
    }

    fn pairs_to_ipv6(&mut self) -> usize {
        let ends = self.ends4();
        let found = self.map.find_to_ipv6(&ends, u32::MAX, true);
        let pair = |i: usize| {
            let entries = (found.sources[i], found.destinations[i]);
            let addresses = (ends.sources[i], ends.destinations[i]);
            black_box(self.map.pair6(addresses, entries)).is_ok()
        };
        (0..BURST).filter(|i| pair(*i)).count()
    }

    fn pairs_to_ipv4(&mut self) -> usize {
        let ends = self.ends6();
        let found = self.map.find_to_ipv4(&ends, u32::MAX);
        let pair = |i: usize| {
            let entries = (found.sources[i], found.destinations[i]);
            let addresses = (ends.sources[i], ends.destinations[i]);
            black_box(self.map.pair4(addresses, entries)).is_ok()
        };
        (0..BURST).filter(|i| pair(*i)).count()
    }
}

#[inline]
fn found(out: &[Option<&Entry>; BURST]) -> usize {
    black_box(out).iter().flatten().count()
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("eam");
    group
        .throughput(Throughput::Elements(BURST as u64))
        .measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(300))
        .sample_size(30);
    for (name, size) in SIZES {
        let mut subject = Subject::of(size);
        for (kind, work, _) in KINDS {
            group.bench_function(BenchmarkId::new(kind, name), |b| {
                b.iter(|| work(&mut subject));
            });
        }
    }
    let mut walk = Walk::over(1 << 20);
    let eams = table(1 << 20, mixed);
    group.bench_function("mixed lengths/1m", |b| {
        b.iter(|| {
            let addresses = walk.burst(|n| mixed(n).ipv4.address);
            let mut out = [None; BURST];
            eams.find4_burst(&addresses, u32::MAX, &mut out);
            found(&out)
        });
    });
    group.finish();
}

/// Each on a clone, as control does it while workers have the table before.
fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("eam-change");
    group
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(300))
        .sample_size(20);
    for (name, size) in SIZES {
        let eams = table(size, eam);
        let mut walk = Walk::over(size);
        let fresh = |b: &mut criterion::Bencher<'_>, change: &mut dyn FnMut(&mut Eams)| {
            let routine = |mut clone: Eams| {
                change(&mut clone);
                clone
            };
            b.iter_batched(|| eams.clone(), routine, BatchSize::SmallInput);
        };
        group.bench_function(BenchmarkId::new("insert", name), |b| {
            fresh(b, &mut |eams| {
                eams.insert(eam(ABSENT + walk.next())).expect("not there");
            });
        });
        group.bench_function(BenchmarkId::new("remove", name), |b| {
            fresh(b, &mut |eams| {
                eams.remove(eam(walk.next()).ipv4).expect("there");
            });
        });
        group.bench_function(BenchmarkId::new("clone and drop", name), |b| {
            b.iter(|| eams.clone());
        });
    }
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(4));
    for (name, make) in [("build", eam as fn(u32) -> Eam), ("build mixed", mixed)] {
        group.bench_function(BenchmarkId::new(name, "1m"), |b| {
            b.iter_with_large_drop(|| table(1 << 20, make));
        });
    }
    group.finish();
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

/// Cycles and nanoseconds for each of a burst.
fn measure(subject: &mut Subject, work: Work) -> [f64; 2] {
    // Well below a millisecond: most rounds are then not interrupted.
    const BURSTS: u64 = 1 << 9;
    let (start, time) = (cycles(), Instant::now());
    for _ in 0..BURSTS {
        black_box(work(subject));
    }
    let totals = [(cycles() - start) as f64, time.elapsed().as_nanos() as f64];
    totals.map(|total| total / (BURSTS * BURST as u64) as f64)
}

fn summary(mut rounds: Vec<[f64; 2]>) -> String {
    rounds.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let at = |part: usize| rounds[rounds.len() * part / 10];
    let ([cycles, time], low, high) = (at(5), at(1), at(9));
    format!(
        "{cycles:6.1} [{:.1}, {:.1}] ({time:.2} ns)",
        low[0], high[0]
    )
}

fn interleaved() {
    println!("TSC cycles each without the generator, median [10 %, 90 %] of {ROUNDS} rounds");
    for (name, size) in SIZES {
        let mut subject = Subject::of(size);
        let mut rounds = KINDS.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for ((_, work, idle), rounds) in KINDS.iter().zip(&mut rounds) {
                let idle = measure(&mut subject, *idle);
                let gross = measure(&mut subject, *work);
                rounds.push([gross[0] - idle[0], gross[1] - idle[1]]);
            }
        }
        for ((kind, ..), rounds) in KINDS.iter().zip(rounds) {
            println!("{name:>4} {kind:<17} {}", summary(rounds));
        }
        let brown = subject.brown4.allocation_size() + subject.brown6.allocation_size();
        let per_mapping = |bytes: usize| bytes as f64 / f64::from(size);
        println!(
            "{name:>4} bytes per mapping: weft {:.1}, two of hashbrown {:.1}",
            per_mapping(subject.eams.bytes()),
            per_mapping(brown)
        );
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    lookups(&mut criterion);
    changes(&mut criterion);
    criterion.final_summary();
    // Cargo passes this for `cargo bench`, not for `cargo test`.
    if std::env::args().any(|arg| arg == "--bench") {
        interleaved();
    }
}
