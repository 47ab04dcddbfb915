//! The lookup, as a worker calls it.
//!
//! At a million entries a lookup is two cache misses, one for the tags and one
//! for the entry, and each costs more than all the instructions together. So a
//! burst goes through three passes: hash every key and fetch its group; match
//! tags and fetch the very entry; compare and copy. The misses of a burst then
//! overlap. Without the second prefetch the same table takes three times as
//! long.

use std::{cell::Cell, fmt, marker::PhantomData};

use arrayvec::ArrayVec;

use super::{
    arch::prefetch,
    entry::{Found, Key, Mapping},
    hash::Hash,
    prefix,
    published::Subscriber,
    reclaim::Participant,
    table::{OVERFLOW, Table},
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
            .or_else(|| prefix::longest(self.prefixes.get(pin), key))
    }

    /// Looks up all `keys`; `out[i]` is the answer for `keys[i]`.
    ///
    /// # Panics
    /// When `out` is shorter than `keys`.
    #[inline]
    pub fn lookup_burst(&self, pin: &Participant, keys: &[Key], out: &mut [Found]) {
        let out = &mut out[..keys.len()];
        let table = self.exact.get(pin);
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            find_burst::<BURST>(table, keys, out);
        }
    }

    /// As [`lookup_burst`](Self::lookup_burst), and asks the prefixes for the
    /// keys that have no entry of their own.
    ///
    /// # Panics
    /// When `out` is shorter than `keys`.
    #[inline]
    pub fn resolve_burst(&self, pin: &Participant, keys: &[Key], out: &mut [Found]) {
        self.lookup_burst(pin, keys, out);
        for (keys, out) in keys.chunks(BURST).zip(out.chunks_mut(BURST)) {
            if out.iter().any(|found| found.is_nothing()) {
                self.resolve_rest(pin, keys, out);
            }
        }
    }

    /// The keys of a burst that nothing was found for.
    #[inline(never)]
    fn resolve_rest(&self, pin: &Participant, keys: &[Key], out: &mut [Found]) {
        let nothing = |(at, _): &(usize, &Key)| out[*at].is_nothing();
        let (places, rest): (ArrayVec<usize, BURST>, ArrayVec<Key, BURST>) = keys
            .iter()
            .enumerate()
            .filter(nothing)
            .map(|(at, key)| (at, *key))
            .unzip();
        prefix::longest_burst(self.prefixes.get(pin), &rest, |at, words| {
            out[places[at]] = Found::new(words);
        });
    }
}

/// One burst of at most `N` keys.
#[inline]
fn find_burst<const N: usize>(table: &Table, keys: &[Key], out: &mut [Found]) {
    let n = keys.len().min(out.len()).min(N);
    let (keys, out) = (&keys[..n], &mut out[..n]);

    let mut hashes = [Hash::default(); N];
    let mut homes = [0usize; N];
    for ((key, hash), home) in keys.iter().zip(&mut hashes).zip(&mut homes) {
        *hash = table.hash(key.bits());
        *home = table.home(*hash);
        prefetch(table.group(*home));
    }

    let mut candidates = [(0u32, 0u64); N];
    for ((hash, home), found) in hashes[..n].iter().zip(&homes).zip(&mut candidates) {
        *found = table.candidates(*home, hash.tag());
        if found.0 != 0 {
            prefetch(table.entry(*home, found.0.trailing_zeros() as usize));
        }
    }

    let places = hashes.iter().zip(&homes).zip(&candidates);
    for ((key, out), ((hash, home), found)) in keys.iter().zip(out).zip(places) {
        finish(table, *key, *hash, *home, *found, out);
    }
}

/// The last pass for one key. Each way out writes `out` by itself: joined, they
/// would go through memory that is written in pieces and read as a whole,
/// which stalls for longer than all the rest takes.
#[inline(always)]
fn finish(
    table: &Table,
    key: Key,
    hash: Hash,
    home: usize,
    (mut mask, high): (u32, u64),
    out: &mut Found,
) {
    while mask != 0 {
        let slot = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        if table.holds(home, slot, key.bits()) {
            match table.read_quiet(home, slot, high) {
                Some(words) => *out = Found::new(words),
                None => search(table, hash, 0, key, out),
            }
            return;
        }
    }
    if high & OVERFLOW != 0 {
        search(table, hash, 1, key, out);
    } else {
        *out = Found::NOTHING;
    }
}

/// Out of line: a few keys in a hundred need it, and the others its registers.
#[inline(never)]
fn search(table: &Table, hash: Hash, from: usize, key: Key, out: &mut Found) {
    let words = table.find_from(hash, from, key.bits());
    *out = words.map_or(Found::NOTHING, Found::new);
}
