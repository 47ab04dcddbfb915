//! Longest-prefix match on IPv4: the trie, the hash by lengths of the mapping
//! table, and beside them a table of one load for 24 bits and one more for the
//! rest (the form of DPDK's `rte_fib` and `rte_lpm`), a hash asked for every
//! length in use, and a binary search over ranges.
//!
//! Routes have the lengths of a full Internet table: six in ten of 24 bits, the
//! rest of 16 to 22, and a few single addresses. Addresses asked for lie in
//! routes, each as often as any other (`hit`), or anywhere (`any`).
//!
//! The table that is printed gives TSC cycles for each of a burst of 32, without
//! those of the generator, as the median of rounds in which all take turns;
//! bytes for each route; and how long it takes to build it, and to change one
//! route with the table before still in use.

use std::hint::black_box;
use std::time::Instant;

use hashbrown::HashMap;
use weft::arch::rdtsc;
use weft::lpm::{BURST, Lpm};
use weft::mapping::{
    Domain, Found, HostIndex, Key, Limits, Mapping, Participant, Prefix, Reader, Target, Writer,
};
use weft::wire::Vaddr;
use weft::wire::address::Prefix4;

const ROUNDS: usize = 41;
const BURSTS: usize = 1 << 9;

/// A generator that is the same everywhere (xorshift).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }
}

fn routes(count: usize) -> Vec<(Prefix4, u32)> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut routes = HashMap::new();
    // Blocks of neighbours, as they are given out.
    while routes.len() < count {
        let block = random.next();
        for _ in 0..1 + random.next() % 16 {
            let len = match random.next() % 100 {
                0..60 => 24,
                60..70 => 22,
                70..78 => 23,
                78..84 => 21,
                84..90 => 20,
                90..94 => 19,
                94..96 => 18,
                96..98 => 16,
                98 => 17,
                _ => 32,
            };
            let address = block & 0xffff_0000 | random.next() & 0xffff;
            let address = Vaddr(address & Prefix4::mask(len));
            if routes.len() < count {
                let value = routes.len() as u32 % 251;
                routes.insert(Prefix4 { address, len }, value);
            }
        }
    }
    let mut routes: Vec<_> = routes.into_iter().collect();
    routes.sort_unstable_by_key(|(prefix, _)| (prefix.address.0, prefix.len));
    routes
}

/// One load for the first 24 bits; where that says so, one more.
struct Direct {
    first: Vec<u32>,
    second: Vec<[u32; 256]>,
}

const FURTHER: u32 = 1 << 31;
const NOTHING: u32 = FURTHER - 1;

impl Direct {
    fn build(routes: &[(Prefix4, u32)]) -> Direct {
        let mut table = Direct {
            first: vec![NOTHING; 1 << 24],
            second: Vec::new(),
        };
        let mut sorted = routes.to_vec();
        sorted.sort_by_key(|(prefix, _)| prefix.len);
        for (prefix, value) in sorted {
            let start = prefix.address.0 >> 8;
            if prefix.len <= 24 {
                let slots = 1 << (24 - prefix.len);
                table.first[start as usize..][..slots].fill(value);
                continue;
            }
            let slot = &mut table.first[start as usize];
            if *slot & FURTHER == 0 {
                table.second.push([*slot; 256]);
                *slot = FURTHER | (table.second.len() - 1) as u32;
            }
            let group = &mut table.second[(*slot & !FURTHER) as usize];
            let last = (prefix.address.0 & 0xff) as usize;
            group[last..][..1 << (32 - prefix.len)].fill(value);
        }
        table
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let mut value = self.first[(address.0 >> 8) as usize];
        if value & FURTHER != 0 {
            value = self.second[(value & !FURTHER) as usize][(address.0 & 0xff) as usize];
        }
        (value != NOTHING).then_some(value)
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.first) + size_of_val(&*self.second)
    }
}

/// A hash, asked for each length in use.
struct Lengths {
    table: HashMap<(u32, u8), u32>,
    used: Vec<u8>,
}

impl Lengths {
    fn build(routes: &[(Prefix4, u32)]) -> Lengths {
        let mut used: Vec<u8> = routes.iter().map(|(prefix, _)| prefix.len).collect();
        used.sort_unstable_by(|a, b| b.cmp(a));
        used.dedup();
        let entry = |(prefix, value): &(Prefix4, u32)| ((prefix.address.0, prefix.len), *value);
        Lengths {
            table: routes.iter().map(entry).collect(),
            used,
        }
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let key = |len: &u8| (address.0 & Prefix4::mask(*len), *len);
        let mut lens = self.used.iter();
        lens.find_map(|len| self.table.get(&key(len)).copied())
    }
}

/// Ranges in order, found by halving.
struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    fn build(lpm: &Lpm, routes: &[(Prefix4, u32)]) -> Ranges {
        let ends = routes.iter().flat_map(|(prefix, _)| {
            let first = prefix.address.0;
            [
                Some(first),
                (first | !Prefix4::mask(prefix.len)).checked_add(1),
            ]
        });
        let mut starts: Vec<u32> = ends.flatten().chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let value = |start: u32| (start, lpm.find(Vaddr(start)).unwrap_or(NOTHING));
        Ranges(starts.into_iter().map(value).collect())
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= address.0);
        let value = self.0[after - 1].1;
        (value != NOTHING).then_some(value)
    }
}

const VNI: u32 = 0x5a_0001;

/// The prefixes of the mapping table.
struct Prefixes {
    writer: Writer,
    reader: Reader,
    worker: Participant,
}

impl Prefixes {
    fn build(routes: &[(Prefix4, u32)]) -> Prefixes {
        let domain = Domain::default();
        let limits = Limits {
            prefixes: routes.len() + 1,
            ..Limits::default()
        };
        let mut writer = Writer::new(&domain, limits).expect("memory");
        for (prefix, value) in routes {
            insert(&mut writer, *prefix, *value);
        }
        Prefixes {
            reader: writer.readers().reader(),
            worker: domain.register().expect("few"),
            writer,
        }
    }

    fn find_burst(&self, addresses: &[Vaddr; BURST]) -> usize {
        let keys = addresses.map(|address| Key::new(VNI, address.0));
        let mut out = [Found::NOTHING; BURST];
        self.reader.resolve_burst(&self.worker, &keys, &mut out);
        black_box(&out)
            .iter()
            .filter(|found| !found.is_nothing())
            .count()
    }
}

fn insert(writer: &mut Writer, prefix: Prefix4, value: u32) {
    let prefix = Prefix::new(VNI, prefix.address.0, prefix.len).expect("a prefix");
    let host = HostIndex::new(value).expect("small");
    let mapping = Mapping::new(Target::Remote(host));
    writer.insert_prefix(prefix, mapping).expect("room");
}

struct Subject {
    lpm: Lpm,
    direct: Direct,
    lengths: Lengths,
    ranges: Ranges,
    prefixes: Prefixes,
    asked: Vec<[Vaddr; BURST]>,
}

type Work = fn(&Subject, &[Vaddr; BURST]) -> usize;

fn each(addresses: &[Vaddr; BURST], find: impl Fn(Vaddr) -> Option<u32>) -> usize {
    let out = addresses.map(find);
    black_box(&out).iter().flatten().count()
}

const KINDS: [(&str, Work); 6] = [
    ("trie, one by one", |it, a| each(a, |a| it.lpm.find(a))),
    ("trie, burst", |it, a| {
        let mut out = [None; BURST];
        it.lpm.find_burst(a, u32::MAX, &mut out);
        black_box(&out).iter().flatten().count()
    }),
    ("24 bits and 8", |it, a| each(a, |a| it.direct.find(a))),
    ("hash, every length", |it, a| {
        each(a, |a| it.lengths.find(a))
    }),
    ("ranges", |it, a| each(a, |a| it.ranges.find(a))),
    ("mapping table, burst", |it, a| it.prefixes.find_burst(a)),
];

impl Subject {
    fn measure(&self, work: Work) -> f64 {
        let start = rdtsc();
        for i in 0..BURSTS {
            black_box(work(self, &self.asked[i % self.asked.len()]));
        }
        (rdtsc() - start) as f64 / (BURSTS * BURST) as f64
    }

    /// All say the same.
    fn check(&self) {
        for addresses in &self.asked {
            for address in *addresses {
                let found = self.lpm.find(address);
                assert_eq!(self.direct.find(address), found);
                assert_eq!(self.lengths.find(address), found);
                assert_eq!(self.ranges.find(address), found);
                let key = Key::new(VNI, address.0);
                let by_table = self.prefixes.reader.resolve(&self.prefixes.worker, key);
                let host = |value| Target::Remote(HostIndex::new(value).expect("small"));
                assert_eq!(by_table.map(|it| it.target), found.map(host));
            }
        }
    }
}

fn timed<T>(what: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let made = what();
    (made, start.elapsed().as_secs_f64() * 1e3)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Microseconds for a change of the trie while its clone is in use.
fn change_of_trie(lpm: &Lpm, routes: &[(Prefix4, u32)]) -> f64 {
    let mut lpm = lpm.clone();
    let change = |n: usize| {
        let before = lpm.clone();
        let (prefix, value) = routes[n * 7919 % routes.len()];
        let ((), time) = timed(|| {
            lpm.remove(prefix);
            lpm.insert(prefix, value);
        });
        drop(before);
        // Two changes, the second of which shares nothing any more.
        time * 1e3
    };
    median((0..2000).map(change).collect())
}

fn change_of_table(prefixes: &mut Prefixes, routes: &[(Prefix4, u32)]) -> f64 {
    let mut change = |n: usize| {
        let (prefix, value) = routes[n * 7919 % routes.len()];
        let taken = Prefix::new(VNI, prefix.address.0, prefix.len).expect("a prefix");
        let ((), time) = timed(|| {
            prefixes.writer.remove_prefix(taken);
            insert(&mut prefixes.writer, prefix, value);
        });
        time * 1e3
    };
    median((0..2000).map(&mut change).collect())
}

fn report(name: &str, count: usize) {
    let routes = routes(count);
    let (lpm, trie_ms) = timed(|| Lpm::build(routes.iter().copied()));
    let (direct, direct_ms) = timed(|| Direct::build(&routes));
    let (prefixes, table_ms) = timed(|| Prefixes::build(&routes));
    let mut subject = Subject {
        lengths: Lengths::build(&routes),
        ranges: Ranges::build(&lpm, &routes),
        lpm,
        direct,
        prefixes,
        asked: Vec::new(),
    };
    let per_route = |bytes: usize| bytes as f64 / count as f64;
    println!("\n{name}: {count} routes");
    println!(
        "  bytes a route: trie {:.1}, 24 and 8 {:.1}, ranges {:.1}, mapping table {:.1}",
        per_route(subject.lpm.bytes()),
        per_route(subject.direct.bytes()),
        per_route(size_of_val(&*subject.ranges.0)),
        per_route(subject.prefixes.writer.memory_bytes()),
    );
    println!("  built in ms: trie {trie_ms:.1}, 24 and 8 {direct_ms:.1}, table {table_ms:.1}");
    println!(
        "  taken out and put back, in us: trie beside a clone {:.2}, table {:.2}",
        change_of_trie(&subject.lpm, &routes),
        change_of_table(&mut subject.prefixes, &routes),
    );
    let mut random = Random(1);
    for asked in ["hit", "any"] {
        let mut address = || match asked {
            "hit" => {
                let (prefix, _) = routes[random.next() as usize % routes.len()];
                Vaddr(prefix.address.0 | random.next() & !Prefix4::mask(prefix.len))
            }
            _ => Vaddr(random.next()),
        };
        let bursts = 0..1 << 13;
        subject.asked = bursts.map(|_| std::array::from_fn(|_| address())).collect();
        subject.check();
        let mut rounds = KINDS.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for ((_, work), rounds) in KINDS.iter().zip(&mut rounds) {
                rounds.push(subject.measure(*work));
            }
        }
        for ((kind, _), rounds) in KINDS.iter().zip(rounds) {
            println!("  {asked} {kind:<22} {:7.1} cycles", median(rounds));
        }
    }
}

fn main() {
    // Cargo passes this for `cargo bench`, not for `cargo test`.
    if std::env::args().any(|arg| arg == "--bench") {
        report("a large vnet", 100_000);
        report("a small vnet", 1_000);
    } else {
        report("few", 100);
    }
}
