//! Readers against a writer that never rests.
//!
//! Every value is derived from its key and a revision in all its words, so a
//! torn or foreign answer shows. Half of the keys are there all the time and
//! must be found by every lookup, whatever happens to the others. Two seconds,
//! or as many as `WEFT_TORTURE_SECONDS` says.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::*;
use crate::wire::Mark;

const READERS: usize = 3;

fn seconds() -> Duration {
    let seconds = std::env::var("WEFT_TORTURE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|s| s.parse().ok()).unwrap_or(2))
}

/// Xorshift: the tests need variety, not randomness.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * u64::from(below)) >> 32) as u32
    }
}

fn digest(key: Key, revision: u32) -> u32 {
    let mixed = (u64::from(key.vaddr()) ^ u64::from(revision) << 32 ^ u64::from(key.vni()) << 11)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

/// A mapping whose every field follows from key and revision. Half of them have
/// no previous place, so entries go to and fro between one word and two.
fn derived(key: Key, revision: u32) -> Mapping {
    let digest = digest(key, revision);
    let most = HostIndex::MAX.get();
    let previous = (HostIndex::new(digest >> 4 & most).unwrap(), !digest);
    Mapping {
        target: Target::Remote(HostIndex::new(digest & most).unwrap()),
        expires: revision,
        previous: (digest & 1 != 0).then_some(previous),
        mark: Mark::from_byte((digest >> 21) as u8 & !1),
        mac: None,
    }
}

fn check(key: Key, found: Mapping) -> u32 {
    assert_eq!(
        found,
        derived(key, found.expires),
        "torn or foreign: {key:?}"
    );
    found.expires
}

/// The same of an answer that leaves out where it was before.
fn check_reached(key: Key, found: Mapping) -> u32 {
    let previous = derived(key, found.expires).previous;
    let whole = Mapping { previous, ..found };
    assert_eq!(found.previous, None, "{key:?}");
    check(key, whole)
}

/// Keys below `steady` are always there; those from there up to `all` come and go.
struct Field {
    steady: u32,
    all: u32,
}

fn key(n: u32) -> Key {
    Key::new(0x5A0001 + (n & 1), 0x0A00_0000 + n)
}

fn read(field: &Field, domain: &Domain, reader: &Reader, stop: &AtomicBool, seed: u64) -> u64 {
    let mut pin = domain.register().unwrap();
    let mut dice = Dice(seed);
    let mut newest = vec![0u32; field.all as usize];
    let mut lookups = 0;
    let mut found = [Found::NOTHING; BURST];
    let mut reached = [Reached::NOTHING; BURST];
    while !stop.load(Ordering::Relaxed) {
        let numbers: [u32; BURST] = std::array::from_fn(|_| dice.roll(field.all));
        let keys = numbers.map(key);
        // Who leaves the rare words out by turns with who wants them.
        let whole = lookups & BURST as u64 == 0;
        let answers = if whole {
            reader.lookup_burst(&pin, &keys, &mut found);
            found.map(Found::mapping)
        } else {
            reader.reach_burst(&pin, &keys, &mut reached);
            reached.map(Reached::mapping)
        };
        let seen = numbers.into_iter().zip(answers);
        let seen = seen.map(|(n, found)| {
            let check = if whole { check } else { check_reached };
            let revision = found.map(|mapping| check(key(n), mapping));
            match revision {
                // Revisions of one key never go back, from burst to burst as
                // one reader sees them; within one they have no order.
                Some(revision) => {
                    assert!(revision >= newest[n as usize], "back in time: {n}");
                }
                None => assert!(n >= field.steady, "lost {n}"),
            }
            (n, revision.unwrap_or(0))
        });
        for (n, revision) in seen.collect::<Vec<_>>() {
            newest[n as usize] = newest[n as usize].max(revision);
        }
        lookups += BURST as u64;
        if lookups.is_multiple_of(1 << 16) {
            pin.offline();
            pin.online();
        }
        pin.quiescent();
    }
    lookups
}

/// Runs readers beside `write` until it returns.
fn run(field: &Field, limits: Limits, write: impl FnOnce(&mut Writer, &mut Dice)) -> Domain {
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, limits).unwrap();
    for n in 0..field.steady {
        writer.insert(key(n), derived(key(n), 1)).unwrap();
    }
    let stop = AtomicBool::new(false);
    let started = AtomicU32::new(0);
    thread::scope(|scope| {
        for i in 0..READERS {
            let (domain, stop, started) = (domain.clone(), &stop, &started);
            let reader = writer.readers().reader();
            scope.spawn(move || {
                // A failed reader ends the test instead of leaving the others.
                let _guard = StopOnPanic(stop);
                started.fetch_add(1, Ordering::SeqCst);
                let lookups = read(field, &domain, &reader, stop, 77 + i as u64);
                assert!(lookups > 0);
            });
        }
        while started.load(Ordering::SeqCst) < READERS as u32 {
            thread::yield_now();
        }
        let _guard = StopOnPanic(&stop);
        write(&mut writer, &mut Dice(4711));
        stop.store(true, Ordering::SeqCst);
    });
    domain
}

struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

/// Few keys, so that readers and writer meet in the same group all the time.
#[test]
fn updates_and_removals_in_few_groups() {
    let field = Field {
        steady: 24,
        all: 48,
    };
    let limits = Limits {
        mappings: 48,
        initial: 48,
        prefixes: 0,
    };
    run(&field, limits, |writer, dice| {
        let end = Instant::now() + seconds();
        let mut revision = 1;
        while Instant::now() < end {
            for _ in 0..100 {
                revision += 1;
                let n = dice.roll(field.all);
                if n >= field.steady && dice.roll(2) == 0 {
                    writer.remove(key(n));
                } else {
                    writer.insert(key(n), derived(key(n), revision)).unwrap();
                }
            }
        }
    });
}

/// Tables that grow and are replaced, with keys coming, going and expiring in
/// sweeps: those with the lowest revision go, unless they are steady.
#[test]
fn growth_under_readers() {
    let field = Field {
        steady: 300,
        all: 40_000,
    };
    let end = Instant::now() + seconds();
    let mut rounds = 0;
    while Instant::now() < end {
        let limits = Limits {
            mappings: 100_000,
            initial: 0,
            prefixes: 0,
        };
        let domain = run(&field, limits, |writer, dice| {
            let mut revision = 1;
            for n in field.steady..field.all {
                revision += 1;
                writer.insert(key(n), derived(key(n), revision)).unwrap();
                let other = dice.roll(n);
                if other < field.steady || dice.roll(4) > 0 {
                    writer
                        .insert(key(other), derived(key(other), revision))
                        .unwrap();
                } else {
                    writer.remove(key(other));
                }
                // Revisions are ends here: what is old enough is swept.
                if revision.is_multiple_of(10_000) {
                    for n in 0..field.steady {
                        revision += 1;
                        let fresh = derived(key(n), revision);
                        writer.insert(key(n), fresh).unwrap();
                    }
                    let before = revision - field.steady - 5_000;
                    let mut swept = 0;
                    while writer.expire(before, 100, |_, _| swept += 1) == Progress::More {}
                    assert!(swept > 0, "nothing had expired");
                }
            }
        });
        domain.collect();
        assert_eq!(domain.pending(), Pending::default());
        rounds += 1;
    }
    assert!(rounds > 0);
}

/// Expiry, iteration, resync and growth of many, beside a reader: it finds
/// what is there in each lookup, and takes about as long as before. How much
/// longer is measured by `cargo bench --bench mapping -- --upkeep`; here a
/// machine that is busy with other tests must not matter, so the best of many
/// pieces are compared, and a factor of three is allowed.
#[test]
fn upkeep_stops_no_reader() {
    const STEADY: u32 = 50_000;
    let domain = Domain::default();
    let limits = Limits {
        mappings: 3 * STEADY as usize,
        initial: STEADY as usize,
        prefixes: 0,
    };
    let mut writer = Writer::new(&domain, limits).unwrap();
    for n in 0..STEADY {
        let lasting = Mapping::new(Target::Blackhole);
        writer.insert(key(n), lasting).unwrap();
    }
    let reader = writer.readers().reader();
    let (stop, working) = (AtomicBool::new(false), AtomicBool::new(false));
    let [quiet, during] = thread::scope(|scope| {
        let (domain, stop, working) = (&domain, &stop, &working);
        let reading = scope.spawn(move || {
            let _guard = StopOnPanic(stop);
            time_lookups(domain, &reader, STEADY, stop, working)
        });
        thread::sleep(Duration::from_millis(100));
        working.store(true, Ordering::Relaxed);
        let _guard = StopOnPanic(stop);
        let end = Instant::now() + Duration::from_millis(400);
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            // Grows at the first time, and is a resync at all others.
            for n in 0..2 * STEADY {
                let mapping = Mapping {
                    expires: if n < STEADY { 0 } else { 1 },
                    ..Mapping::new(Target::Refused)
                };
                writer.insert(key(n), mapping).unwrap();
            }
            let (mut cursor, mut seen) = (Cursor::default(), 0);
            while writer.for_each_chunk(&mut cursor, 64, |_, _| seen += 1) == Progress::More {}
            assert!(seen >= 2 * STEADY);
            let mut gone = 0;
            while writer.expire(1, 64, |_, _| gone += 1) == Progress::More {}
            assert_eq!((gone, writer.len()), (STEADY, STEADY as usize));
            domain.collect();
        }
        stop.store(true, Ordering::Relaxed);
        reading.join().unwrap()
    });
    assert!(during < 3 * quiet, "{during:?} against {quiet:?}");
}

/// The shortest time of a piece of lookups, before and while control works.
fn time_lookups(
    domain: &Domain,
    reader: &Reader,
    steady: u32,
    stop: &AtomicBool,
    working: &AtomicBool,
) -> [Duration; 2] {
    let mut pin = domain.register().unwrap();
    let mut dice = Dice(7);
    let mut best = [Duration::MAX; 2];
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let which = usize::from(working.load(Ordering::Relaxed));
        for _ in 0..50 {
            let keys: [Key; BURST] = std::array::from_fn(|_| key(dice.roll(steady)));
            let mut found = [Found::NOTHING; BURST];
            reader.lookup_burst(&pin, &keys, &mut found);
            assert!(found.iter().all(|found| !found.is_nothing()), "lost");
            pin.quiescent();
        }
        best[which] = best[which].min(begin.elapsed());
    }
    best
}

/// The same through `Published`: whole values, replaced and freed.
#[test]
fn published_values_under_readers() {
    let domain = Domain::default();
    let mut publisher = Publisher::new(&domain, vec![0u64; 64]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..READERS {
            let (subscriber, domain, stop) = (publisher.subscribe(), domain.clone(), &stop);
            scope.spawn(move || {
                let _guard = StopOnPanic(stop);
                let mut pin = domain.register().unwrap();
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    let value = subscriber.get(&pin);
                    assert!(value.iter().all(|&word| word == value[0]));
                    assert!(value[0] >= newest);
                    newest = value[0];
                    pin.quiescent();
                }
            });
        }
        let _guard = StopOnPanic(&stop);
        let end = Instant::now() + seconds() / 2;
        let mut revision = 0;
        while Instant::now() < end && !stop.load(Ordering::Relaxed) {
            revision += 1;
            // Refused while a reader has lost its core: it comes back.
            while publisher.replace(vec![revision; 64]).is_err() {
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    domain.collect();
    assert_eq!(domain.pending(), Pending::default());
}
