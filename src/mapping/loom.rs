//! Model checks: all interleavings and all reorderings the memory model
//! allows, in small. They are run from a crate of their own, `tests/loom`, which
//! has this module and nothing above it (`scripts/test loom`).
//!
//! An object that has been freed is recognised by its *grave*: a cell that the
//! destructor writes and readers read; the checker reports an access to it
//! that is not ordered with the other.

use ::loom::{cell::UnsafeCell, sync::Arc, thread};

use super::{
    Domain, DomainLimits, Publisher,
    entry::Words,
    hash::Seed,
    table::{First, Table},
};

fn domain() -> Domain {
    Domain::new(DomainLimits {
        participants: 2,
        items: 4,
        bytes: 1 << 20,
    })
}

/// Three forced switches of thread find all that is known to be findable.
fn model(check: impl Fn() + Sync + Send + 'static) {
    model_within(3, check);
}

fn model_within(switches: usize, check: impl Fn() + Sync + Send + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(check);
}

struct Grave(UnsafeCell<u64>);

// SAFETY: what is not ordered is what the checker looks for.
unsafe impl Sync for Grave {}

/// A value with a grave. The memory itself is given back like any other.
struct Mortal {
    value: u64,
    grave: Arc<Grave>,
}

impl Mortal {
    fn new(value: u64) -> Self {
        let grave = Arc::new(Grave(UnsafeCell::new(0)));
        // SAFETY: as in `read`. Written here, not in `new`, so that a reader
        // that is not ordered with it is reported.
        grave.0.with_mut(|grave| unsafe { *grave = value });
        Self { value, grave }
    }

    fn read(&self) -> u64 {
        // SAFETY: the checker fails the test if this is not ordered with the
        // write in `drop`.
        let alive = self.grave.0.with(|grave| unsafe { *grave });
        assert_eq!(alive, self.value);
        alive
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // SAFETY: as in `read`.
        self.grave.0.with_mut(|grave| unsafe { *grave = u64::MAX });
    }
}

/// A value is not freed while a reader holds it, and is read in full.
#[test]
fn replaced_values_outlive_their_readers() {
    model(|| {
        let domain = domain();
        let mut publisher = Publisher::new(&domain, Mortal::new(1));
        let subscriber = publisher.subscribe();
        let mut pin = domain.register().unwrap();
        let reader = thread::spawn(move || {
            let first = subscriber.get(&pin).read();
            pin.quiescent();
            let second = subscriber.get(&pin).read();
            assert!(first <= second);
        });
        publisher.replace(Mortal::new(2)).ok().unwrap();
        domain.collect();
        reader.join().unwrap();
        domain.collect();
        assert_eq!(domain.pending().items, 0);
    });
}

/// Going to sleep lets control free; coming back is seen in time.
#[test]
fn a_sleeper_comes_back_to_living_values() {
    model(|| {
        let domain = domain();
        let mut publisher = Publisher::new(&domain, Mortal::new(1));
        let subscriber = publisher.subscribe();
        let mut pin = domain.register().unwrap();
        let reader = thread::spawn(move || {
            pin.offline();
            pin.online();
            subscriber.get(&pin).read();
        });
        publisher.replace(Mortal::new(2)).ok().unwrap();
        domain.collect();
        reader.join().unwrap();
    });
}

/// Two readers of which one registers late, in a slot that is used again.
#[test]
fn a_late_reader_is_not_overlooked() {
    model(|| {
        let domain = domain();
        let mut publisher = Publisher::new(&domain, Mortal::new(1));
        let subscriber = publisher.subscribe();
        let first = domain.register().unwrap();
        let reader = {
            let domain = domain.clone();
            thread::spawn(move || {
                subscriber.get(&first).read();
                drop(first);
                let second = domain.register().unwrap();
                subscriber.get(&second).read();
            })
        };
        publisher.replace(Mortal::new(2)).ok().unwrap();
        domain.collect();
        reader.join().unwrap();
    });
}

const KEY: u64 = 7;

fn table() -> Arc<Table> {
    Arc::new(Table::new(1, Seed::from_words([0; 3])).unwrap())
}

fn whole(words: Words) -> u64 {
    assert!(
        words.iter().all(|&word| word == words[0]),
        "torn: {words:?}"
    );
    words[0]
}

fn change(table: &Table, key: u64, words: Words) {
    table.change(table.locate(key).unwrap(), words);
}

/// A key that is there is always found, whole, and never goes back.
#[test]
fn updates_are_whole() {
    model(|| {
        let table = table();
        assert!(table.add(KEY, [1; 3]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                let first = whole(table.find(KEY).expect("lost"));
                let second = whole(table.find(KEY).expect("lost"));
                assert!(first <= second);
            })
        };
        change(&table, KEY, [2; 3]);
        reader.join().unwrap();
        assert_eq!(table.find(KEY), Some([2; 3]));
    });
}

/// A change of the first word alone, then one of the rare words: seen in the
/// order they were made, and what was published before is seen with them.
#[test]
fn plain_and_rare_changes_keep_their_order() {
    model(|| {
        let table = table();
        assert!(table.add(KEY, [0; 3]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                let known = [[0, 0, 0], [1, 0, 0], [1, 1, 0]];
                let place = |found| known.iter().position(|words| *words == found);
                let [first, second] = [0, 1].map(|_| place(table.find(KEY).expect("lost")));
                assert!(first.is_some() && first <= second, "{first:?} {second:?}");
            })
        };
        change(&table, KEY, [1, 0, 0]);
        change(&table, KEY, [1, 1, 0]);
        reader.join().unwrap();
    });
}

/// The first look of a burst: what it calls a hit is the key's, also when the
/// slot is given to another and back meanwhile.
#[test]
fn one_look_suffices() {
    one_look::<true>(0);
}

/// The same of who leaves the rare words out, which it then is not told of.
#[test]
fn one_look_suffices_without_rare_words() {
    one_look::<false>(7);
}

fn one_look<const WHOLE: bool>(rare: u64) {
    // Rare words are two stores more, whose orders would take minutes.
    model_within(if WHOLE { 3 } else { 2 }, move || {
        let table = table();
        assert!(table.add(KEY, [1, rare, 0]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                let home = table.home(table.hash(KEY));
                if let First::Hit(word) = table.bucket(home).look(KEY, WHOLE) {
                    assert!([1, 3].contains(&word), "another key's: {word}");
                }
            })
        };
        table.remove(KEY, table.locate(KEY).unwrap());
        assert!(table.add(KEY + 1, [2, 0, 0]));
        table.remove(KEY + 1, table.locate(KEY + 1).unwrap());
        assert!(table.add(KEY, [3, 0, rare]));
        reader.join().unwrap();
    });
}

/// A table with more room takes another's place: a reader finds the key before
/// and after, and the old table is not freed under it.
#[test]
fn growing_hides_no_key() {
    model_within(2, || {
        let domain = domain();
        let mut publisher = Publisher::new(&domain, Grown::new(&[KEY]));
        let subscriber = publisher.subscribe();
        let mut pin = domain.register().unwrap();
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                let grown = subscriber.get(&pin);
                grown.alive.read();
                assert_eq!(whole(grown.table.find(KEY).expect("lost")), 1);
                pin.quiescent();
            }
        });
        let next = Grown::new(&[KEY, KEY + 1]);
        publisher.replace(next).ok().unwrap();
        domain.collect();
        reader.join().unwrap();
        domain.collect();
        assert_eq!(domain.pending().items, 0);
    });
}

/// A table with a grave.
struct Grown {
    table: Table,
    alive: Mortal,
}

impl Grown {
    fn new(keys: &[u64]) -> Self {
        let table = Table::new(keys.len(), Seed::from_words([0; 3])).unwrap();
        assert!(keys.iter().all(|key| table.add(*key, [1; 3])));
        let alive = Mortal::new(keys.len() as u64);
        Self { table, alive }
    }
}

/// A writer that never gets to the end of its change holds nobody up: the old
/// words are found.
#[test]
fn a_lost_writer_holds_nobody_up() {
    model(|| {
        let table = table();
        assert!(table.add(KEY, [1; 3]));
        assert!(table.add(KEY + 1, [5; 3]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                assert_eq!(whole(table.find(KEY).expect("lost")), 1);
                assert_eq!(whole(table.find(KEY + 1).expect("lost")), 5);
            })
        };
        table.change_half(table.locate(KEY).unwrap(), [2; 3]);
        reader.join().unwrap();
    });
}

/// Who finds the version odd and is slow to look at the undo record does not
/// take the record of a later change for this one's.
#[test]
fn a_later_record_is_not_taken() {
    // With three this takes half a minute, and finds nothing else.
    model_within(2, || {
        let table = table();
        assert!(table.add(KEY, [1; 3]));
        assert!(table.add(KEY + 1, [5; 3]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                let found = whole(table.find(KEY).expect("lost"));
                assert!([1, 2].contains(&found), "another key's: {found}");
            })
        };
        change(&table, KEY, [2; 3]);
        change(&table, KEY + 1, [6; 3]);
        reader.join().unwrap();
    });
}

/// The slot of a removed key is used again by another of the same bucket:
/// a reader of the first never gets words of the second.
#[test]
fn reused_slots_are_not_mixed_up() {
    model(|| {
        let table = table();
        let twin = (KEY + 1..)
            .find(|&other| table.home(table.hash(other)) == table.home(table.hash(KEY)))
            .unwrap();
        assert!(table.add(KEY, [1; 3]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                assert!(matches!(table.find(KEY), None | Some([1, 1, 1])));
                assert!(matches!(table.find(twin), None | Some([2, 2, 2])));
            })
        };
        table.remove(KEY, table.locate(KEY).unwrap());
        assert!(table.add(twin, [2; 3]));
        reader.join().unwrap();
    });
}

/// A key is added beside one that stays.
#[test]
fn neighbours_do_not_disturb() {
    model(|| {
        let table = table();
        assert!(table.add(KEY, [1; 3]));
        let reader = {
            let table = table.clone();
            thread::spawn(move || {
                assert_eq!(whole(table.find(KEY).expect("lost")), 1);
                if let Some(words) = table.find(KEY + 1) {
                    assert_eq!(whole(words), 2);
                }
            })
        };
        assert!(table.add(KEY + 1, [2; 3]));
        reader.join().unwrap();
    });
}
