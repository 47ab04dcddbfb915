//! Longest-prefix match on IPv4: the trie, the prefixes of the mapping table,
//! the explicit mappings, and beside them DPDK's `rte_fib` and `rte_lpm` and
//! tables of the bench's own (24 bits and 8, a hash asked for every length in
//! use, ranges).
//!
//! Routes have the lengths of a full Internet table: six in ten of 24 bits, the
//! rest of 16 to 23, and a few single addresses. Addresses asked for lie in
//! routes, each as often as any other (`hit`), or anywhere (`any`).
//!
//! The tables that are printed give TSC cycles for each of a burst of 32, as
//! median and least of rounds in which all take turns, each round with other
//! addresses than the last; bytes for each route; how long it takes to build a
//! table; and to take one route out and put it back.
//!
//! `--huge` gives DPDK's tables large pages; `--rounds N` does so many.

mod candidate;
mod models;
mod ours;
mod routes;
#[cfg(feature = "dpdk")]
mod rte;

use std::hint::black_box;
use std::time::Instant;

use rustix::thread::{CpuSet, sched_setaffinity};
use weft::arch::rdtsc;
use weft::lpm::BURST;
use weft::wire::Vaddr;
use weft::wire::address::Prefix4;

use candidate::{Candidate, NOTHING};
use models::{Direct, Lengths, Model, Ranges};
use ours::{Explicit, Prefixes, Trie};
use routes::{Random, Route};

/// Bursts of a round, and of all that are asked for by turns.
const BURSTS: usize = 1 << 9;
const ASKED: usize = 1 << 13;

struct Options {
    rounds: usize,
    #[cfg_attr(not(feature = "dpdk"), allow(dead_code))]
    huge: bool,
    /// Under `cargo test`: that it works, not how fast.
    check: bool,
}

impl Options {
    fn parse() -> Options {
        let args: Vec<String> = std::env::args().collect();
        let after = |name| args.iter().skip_while(move |arg| *arg != name).nth(1);
        Options {
            rounds: after("--rounds")
                .and_then(|n| n.parse().ok())
                .unwrap_or(101),
            huge: args.iter().any(|arg| arg == "--huge"),
            check: !args.iter().any(|arg| arg == "--bench"),
        }
    }
}

/// Keeps this thread on a core; where there is no such core, anywhere.
fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    let _ = sched_setaffinity(None, &set);
}

struct Subject {
    candidate: Box<dyn Candidate>,
    build_ms: f64,
}

fn timed<C: Candidate + 'static>(build: impl FnOnce() -> C) -> Subject {
    let start = Instant::now();
    let candidate = build();
    Subject {
        build_ms: start.elapsed().as_secs_f64() * 1e3,
        candidate: Box::new(candidate),
    }
}

/// DPDK's tables, or why there are none.
#[cfg(feature = "dpdk")]
struct Dpdk(Result<dpdk::Eal, String>);

#[cfg(feature = "dpdk")]
impl Dpdk {
    fn start(options: &Options) -> Dpdk {
        if options.check {
            return Dpdk(Err("only measured".into()));
        }
        let eal = rte::start(options.huge).map_err(|error| error.to_string());
        // EAL has bound this thread to a core of its own choice.
        pin(1);
        Dpdk(eal)
    }

    fn subjects(&self, name: &str, vnets: &[Vec<Route>], subjects: &mut Vec<Subject>) {
        let eal = match &self.0 {
            Ok(eal) => eal,
            Err(why) => return println!("  rte_fib, rte_lpm: {why}"),
        };
        let start = Instant::now();
        let mut add = |start: Instant, made: Result<Box<dyn Candidate>, dpdk::Error>| match made {
            Ok(candidate) => subjects.push(Subject {
                candidate,
                build_ms: start.elapsed().as_secs_f64() * 1e3,
            }),
            Err(why) => println!("  {why}"),
        };
        add(
            start,
            rte::fib(eal, name, vnets).map(|it| Box::new(it) as _),
        );
        let start = Instant::now();
        add(
            start,
            rte::lpm(eal, name, vnets).map(|it| Box::new(it) as _),
        );
    }
}

#[cfg(not(feature = "dpdk"))]
struct Dpdk;

#[cfg(not(feature = "dpdk"))]
impl Dpdk {
    fn start(_: &Options) -> Dpdk {
        Dpdk
    }

    fn subjects(&self, _: &str, _: &[Vec<Route>], _: &mut Vec<Subject>) {
        println!("  rte_fib, rte_lpm: built without DPDK");
    }
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Bursts, each of one vnet.
type Asked = Vec<(usize, [Vaddr; BURST])>;

fn asked(vnets: &[Vec<Route>], hit: bool) -> Asked {
    let mut random = Random(1);
    let burst = |_| {
        let vnet = random.below(vnets.len());
        let address = |_| {
            let (prefix, _) = vnets[vnet][random.below(vnets[vnet].len())];
            let within = random.next() & !Prefix4::mask(prefix.len);
            match hit {
                true => Vaddr(prefix.address.0 | within),
                false => Vaddr(random.next()),
            }
        };
        (vnet, std::array::from_fn(address))
    };
    (0..ASKED).map(burst).collect()
}

/// All say the same as the first.
fn check(subjects: &[Subject], asked: &Asked) {
    for (vnet, addresses) in asked {
        let mut expected = [0; BURST];
        subjects[0].candidate.find(*vnet, addresses, &mut expected);
        for subject in &subjects[1..] {
            let mut found = [0; BURST];
            subject.candidate.find(*vnet, addresses, &mut found);
            let name = subject.candidate.name();
            if name == "explicit mappings" {
                // It answers with an entry; its values are checked by `report`.
                let has = |values: [u32; BURST]| values.map(|value| value == NOTHING);
                assert_eq!(has(found), has(expected), "{name}");
            } else {
                assert_eq!(found, expected, "{name}");
            }
        }
    }
}

/// Cycles for each address, for each subject in each round.
fn rounds(subjects: &[Subject], asked: &Asked, rounds: usize) -> Vec<Vec<f64>> {
    let mut figures = vec![Vec::new(); subjects.len()];
    let mut out = [0; BURST];
    for round in 0..rounds {
        let from = round * BURSTS % asked.len();
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            let start = rdtsc();
            for (vnet, addresses) in &asked[from..from + BURSTS] {
                subject.candidate.find(*vnet, addresses, &mut out);
                black_box(&mut out);
            }
            figures.push((rdtsc() - start) as f64 / (BURSTS * BURST) as f64);
        }
    }
    figures
}

/// Microseconds to take a route out and put it back, where that is a change.
fn change(candidate: &mut dyn Candidate, vnets: &[Vec<Route>]) -> Option<f64> {
    let mut figures = Vec::new();
    for n in 0..2000 {
        let vnet = n % vnets.len();
        let route = vnets[vnet][n * 7919 % vnets[vnet].len()];
        let start = Instant::now();
        if !candidate.change(vnet, route) {
            return None;
        }
        figures.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Some(median(&mut figures))
}

fn report(name: &str, vnets: &[Vec<Route>], explicit: bool, dpdk: &Dpdk, options: &Options) {
    let count: usize = vnets.iter().map(Vec::len).sum();
    println!("\n{name}: {count} routes in {} vnets", vnets.len());
    let mut subjects = vec![timed(|| Trie::build(vnets, true))];
    subjects.push(timed(|| Trie::build(vnets, false)));
    subjects.push(timed(|| Prefixes::build(vnets)));
    if explicit {
        let table = Explicit::build(&vnets[0]);
        let trie = Trie::build(vnets, false);
        for (_, addresses) in asked(vnets, true) {
            for address in addresses {
                assert_eq!(table.value(address), trie.vnets[0].find(address));
            }
        }
        subjects.push(timed(|| Explicit::build(&vnets[0])));
    }
    dpdk.subjects(name, vnets, &mut subjects);
    if let [routes] = vnets {
        let lpm = &Trie::build(vnets, true).vnets[0];
        subjects.push(timed(|| Model::Direct(Direct::build(routes))));
        subjects.push(timed(|| Model::Lengths(Lengths::build(routes))));
        subjects.push(timed(|| Model::Ranges(Ranges::build(lpm, routes))));
    }
    let mut columns = Vec::new();
    for hit in [true, false] {
        let asked = asked(vnets, hit);
        check(&subjects, &asked);
        let mut figures = rounds(&subjects, &asked, options.rounds);
        columns.push(
            figures
                .iter_mut()
                .map(|it| (median(it), it[0]))
                .collect::<Vec<_>>(),
        );
    }
    println!(
        "  {:20} {:>15} {:>15} {:>9} {:>9} {:>9}",
        "cycles: median, least", "hit", "any", "bytes", "built ms", "change us"
    );
    for (i, subject) in subjects.iter_mut().enumerate() {
        let [hit, any] = [columns[0][i], columns[1][i]];
        let candidate = &mut *subject.candidate;
        let change = change(candidate, vnets).map_or("all".into(), |us| format!("{us:.2}"));
        println!(
            "  {:20} {:8.1} {:6.1} {:8.1} {:6.1} {:9.1} {:9.1} {change:>9}  readers {}",
            candidate.name(),
            hit.0,
            hit.1,
            any.0,
            any.1,
            candidate.bytes() as f64 / count as f64,
            subject.build_ms,
            candidate.beside(),
        );
    }
}

fn main() {
    let options = Options::parse();
    pin(1);
    let dpdk = Dpdk::start(&options);
    if options.check {
        let options = Options {
            rounds: 1,
            ..options
        };
        return report("few", &[routes::internet(100, 1)], true, &dpdk, &options);
    }
    report(
        "a large vnet",
        &[routes::internet(100_000, 1)],
        false,
        &dpdk,
        &options,
    );
    let vnets: Vec<_> = (1..=16).map(|seed| routes::internet(1000, seed)).collect();
    report("small vnets", &vnets, false, &dpdk, &options);
    report(
        "mappings",
        &[routes::single(1_000_000)],
        true,
        &dpdk,
        &options,
    );
}
