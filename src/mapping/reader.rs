//! The lookup, as a worker calls it.
//!
//! At a million entries a lookup is a cache miss, and that costs more than all
//! the instructions together. So a burst goes through passes: hash every key
//! and fetch its bucket; compare and copy; look further for the few that are
//! not in their first. The misses of a burst then overlap.

use std::{cell::Cell, fmt, marker::PhantomData};

use arrayvec::ArrayVec;

use crate::arch::{Work, widest};

use super::{
    arch::prefetch,
    entry::{Answer, Found, Key, Mapping, Reached},
    prefix,
    published::Subscriber,
    reclaim::Participant,
    table::{First, Table, mate},
};

/// Keys that go through the passes together. Longer slices are cut up; a burst
/// of this many fetches stays within what a core keeps under way.
pub const BURST: usize = 32;

/// Makes readers; can be handed to any thread.
#[derive(Clone, Debug)]
pub struct ReaderFactory {
    pub(super) exact: Subscriber<Table>,
    pub(super) prefixes: Subscriber<Table>,
}

impl ReaderFactory {
    /// A reader for one worker.
    pub fn reader(&self) -> Reader {
        Reader {
            exact: self.exact.clone(),
            prefixes: self.prefixes.clone(),
            _not_sync: PhantomData,
        }
    }
}

/// A worker's view of the mapping table. Never blocks, never allocates, writes
/// nothing that is shared.
///
/// What a found mapping refers to (hosts, nodes) was published before it; so
/// take the host table from its [`Subscriber`] *after* the lookup, or treat an
/// index beyond its end as a miss.
pub struct Reader {
    exact: Subscriber<Table>,
    prefixes: Subscriber<Table>,
    _not_sync: PhantomData<Cell<()>>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// The mapping of exactly `key`. One by one this waits for memory twice;
    /// the packet path uses bursts.
    ///
    /// # Panics
    /// As all lookups do, when `pin` is offline or of another domain than the
    /// writer.
    pub fn lookup(&self, pin: &Participant, key: Key) -> Option<Mapping> {
        self.exact.get(pin).find(key.bits()).map(Mapping::decode)
    }

    /// The mapping of `key`, or of the longest prefix that covers it.
    pub fn resolve(&self, pin: &Participant, key: Key) -> Option<Mapping> {
        self.lookup(pin, key)
            .or_else(|| prefix::longest(self.prefixes.get(pin), key).map(Mapping::decode))
    }

    /// Looks up all `keys`; `out[i]` is the answer for `keys[i]`. They are asked
    /// at once: if a mapping changes meanwhile, a key that is there twice may
    /// get the new answer first and the old one second.
    ///
    /// # Panics
    /// When `out` is shorter than `keys`.
    #[inline]
    pub fn lookup_burst(&self, pin: &Participant, keys: &[Key], out: &mut [Found]) {
        self.find_all(pin, keys, out);
    }

    /// Whether all were found.
    #[inline]
    fn find_all<A: Answer>(&self, pin: &Participant, keys: &[Key], out: &mut [A]) -> bool {
        let out = &mut out[..keys.len()];
        let table = self.exact.get(pin);
        let mut all = true;
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            all &= widest(FindBurst { table, keys, out });
        }
        all
    }

    /// As [`lookup_burst`](Self::lookup_burst), and asks the prefixes for the
    /// keys that have no entry of their own.
    ///
    /// # Panics
    /// When `out` is shorter than `keys`.
    #[inline]
    pub fn resolve_burst(&self, pin: &Participant, keys: &[Key], out: &mut [Found]) {
        if !self.find_all(pin, keys, out) {
            self.resolve_missing(pin, keys, out);
        }
    }

    /// As [`resolve_burst`](Self::resolve_burst), of who has no use for the
    /// hosts that nodes were at before: answers leave them out, and do not
    /// touch the memory they lie in. After a million nodes have moved that is
    /// a twelfth of a packet's time.
    ///
    /// # Panics
    /// When `out` is shorter than `keys`.
    #[inline]
    pub fn reach_burst(&self, pin: &Participant, keys: &[Key], out: &mut [Reached]) {
        if !self.find_all(pin, keys, out) {
            self.resolve_missing(pin, keys, out);
        }
    }

    fn resolve_missing<A: Answer>(&self, pin: &Participant, keys: &[Key], out: &mut [A]) {
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            if out.iter().any(|found| found.is_nothing()) {
                self.resolve_rest(pin, keys, out);
            }
        }
    }

    /// The keys of a burst that nothing was found for.
    #[inline(never)]
    fn resolve_rest<A: Answer>(&self, pin: &Participant, keys: &[Key], out: &mut [A]) {
        let nothing = |(at, _): &(usize, &Key)| out[*at].is_nothing();
        let (places, rest): (ArrayVec<usize, BURST>, ArrayVec<Key, BURST>) = keys
            .iter()
            .enumerate()
            .filter(nothing)
            .map(|(at, key)| (at, *key))
            .unzip();
        prefix::longest_burst(self.prefixes.get(pin), &rest, |at, words| {
            out[places[at]] = A::new(words);
        });
    }
}

/// One burst; whether all were found.
struct FindBurst<'a, A> {
    table: &'a Table,
    keys: &'a [Key],
    out: &'a mut [A],
}

impl<A: Answer> Work for FindBurst<'_, A> {
    type Done = bool;

    #[inline(always)]
    fn run(self) -> bool {
        find_burst::<BURST, A>(self.table, self.keys, self.out)
    }
}

/// One burst of at most `N` keys; whether all were found.
#[inline(always)]
fn find_burst<const N: usize, A: Answer>(table: &Table, keys: &[Key], out: &mut [A]) -> bool {
    let n = keys.len().min(out.len()).min(N);
    let mut homes = [0u32; N];
    let (keys, out, homes) = (&keys[..n], &mut out[..n], &mut homes[..n]);
    let buckets = table.buckets();
    for i in 0..n {
        let home = table.home(table.hash(keys[i].bits()));
        prefetch(buckets.at(home));
        homes[i] = home as u32;
    }
    // A few keys in a hundred are not where they belong. They are noted, and
    // looked for when their next line has had time to arrive.
    let (mut later, mut count, mut all) = ([0u8; N], 0, true);
    for i in 0..n {
        let home = homes[i] as usize;
        match buckets.at(home).look(keys[i].bits(), A::WHOLE) {
            First::Hit(word) => out[i] = A::new([word, 0, 0]),
            First::Nothing => {
                out[i] = A::NOTHING;
                all = false;
            }
            First::Further | First::Unclear => {
                prefetch(buckets.at(mate(home)));
                later[count % N] = i as u8;
                count += 1;
            }
        }
    }
    for i in &later[..count.min(N)] {
        let i = usize::from(*i) % N;
        all &= search(table, homes[i] as usize, keys[i], &mut out[i]);
    }
    all
}

/// What the first look did not settle. Out of line: the others need its
/// registers.
#[inline(never)]
fn search<A: Answer>(table: &Table, home: usize, key: Key, out: &mut A) -> bool {
    // Nearly always there. If the first bucket is what is unclear, the key is
    // not in this one.
    if let First::Hit(word) = table.bucket(mate(home)).look(key.bits(), A::WHOLE) {
        *out = A::new([word, 0, 0]);
        return true;
    }
    let words = table.find(key.bits());
    *out = words.map_or(A::NOTHING, A::new);
    words.is_some()
}
