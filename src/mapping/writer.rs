//! What control calls: the one writer of the mapping table.
//!
//! All work is bounded. Single operations cost well under a microsecond, a few
//! while the table grows; what could be long (growing, expiry, dumps, sweeps)
//! takes a budget of *groups*, each of some twelve entries, and is called
//! again until it says [`Progress::Done`]. About 5,000 groups fit a
//! millisecond.
//!
//! At the limit the table goes on as before: mappings are replaced, removed and
//! expire, and only what would be one more is refused, with an error that names
//! the limit. Nothing has changed then.

use std::fmt;

use super::{
    InsertError, Progress,
    entry::{Key, Mapping},
    grow::{Cursor, RawWriter, Verdict},
    hash::Seed,
    prefix::{Prefix, PrefixWriter},
    reader::ReaderFactory,
    reclaim::Domain,
};

/// How large the tables may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most mappings of single addresses.
    pub mappings: usize,
    /// Mappings there is room for from the start; the table grows to `mappings`.
    pub initial: usize,
    /// Most prefixes.
    pub prefixes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mappings: 1 << 20,
            initial: 1 << 12,
            prefixes: 1 << 16,
        }
    }
}

/// The right to change the mapping table. There is one; it is not `Clone`.
pub struct Writer {
    exact: RawWriter,
    prefixes: PrefixWriter,
    /// Where the next call of [`expire`](Self::expire) goes on.
    expiring: Cursor,
    expiring_prefixes: Cursor,
}

impl Writer {
    /// Empty tables whose readers are participants of `domain`.
    pub fn new(domain: &Domain, limits: Limits) -> Result<Self, InsertError> {
        Self::with_seed(domain, limits, Seed::random())
    }

    pub(super) fn with_seed(
        domain: &Domain,
        limits: Limits,
        seed: Seed,
    ) -> Result<Self, InsertError> {
        Ok(Self {
            exact: RawWriter::new(domain, limits.mappings, limits.initial, seed)?,
            prefixes: PrefixWriter::new(domain, limits.prefixes, seed)?,
            expiring: Cursor::default(),
            expiring_prefixes: Cursor::default(),
        })
    }

    /// What workers make their readers with.
    pub fn readers(&self) -> ReaderFactory {
        ReaderFactory {
            exact: self.exact.subscribe(),
            prefixes: self.prefixes.subscribe(),
        }
    }

    /// Adds a mapping, or replaces it for readers at once; returns the old one.
    ///
    /// Publish what it refers to (hosts, nodes) before.
    pub fn insert(&mut self, key: Key, mapping: Mapping) -> Result<Option<Mapping>, InsertError> {
        let old = self.exact.insert(key.bits(), mapping.encode())?;
        Ok(old.map(Mapping::decode))
    }

    /// Takes a mapping out; returns it.
    pub fn remove(&mut self, key: Key) -> Option<Mapping> {
        self.exact.remove(key.bits()).map(Mapping::decode)
    }

    /// The mapping of exactly `key`.
    pub fn get(&self, key: Key) -> Option<Mapping> {
        self.exact.get(key.bits()).map(Mapping::decode)
    }

    /// Mappings of single addresses.
    pub fn len(&self) -> usize {
        self.exact.len()
    }

    /// Whether there is no mapping of a single address.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most there can be.
    pub fn limit(&self) -> usize {
        self.exact.limit()
    }

    /// All memory of both tables, without what waits to be freed
    /// ([`Domain::pending`]).
    pub fn memory_bytes(&self) -> usize {
        self.exact.memory_bytes() + self.prefixes.memory_bytes()
    }

    /// Whether a larger table is being filled.
    pub fn is_growing(&self) -> bool {
        self.exact.is_growing() || self.prefixes.is_growing()
    }

    /// Goes on growing, if it grows, over at most `budget` groups. Insertions
    /// do so too; calling this in idle rounds frees the old table earlier.
    pub fn step(&mut self, budget: usize) -> Progress {
        match self.exact.step(budget) {
            Progress::Done => self.prefixes.step(budget),
            Progress::More => Progress::More,
        }
    }

    /// Calls `visit` for the mappings in the next `budget` groups. Start with a
    /// default cursor; when it says [`Progress::Done`] the cursor is back at
    /// the start. See [`Cursor`] for what growing does to it.
    pub fn for_each_chunk(
        &self,
        cursor: &mut Cursor,
        budget: usize,
        mut visit: impl FnMut(Key, Mapping),
    ) -> Progress {
        self.exact.scan(cursor, budget, |key, words| {
            visit(Key::from_bits(key), Mapping::decode(words));
        })
    }

    /// Removes those of the next `budget` groups' mappings that `keep` rejects.
    pub fn retain_chunk(
        &mut self,
        cursor: &mut Cursor,
        budget: usize,
        mut keep: impl FnMut(Key, &Mapping) -> bool,
    ) -> Progress {
        let visit = |key, words| verdict(keep(Key::from_bits(key), &Mapping::decode(words)));
        self.exact.sweep(cursor, budget, visit, |_, _| {})
    }

    /// Removes the mappings that have expired at `now` from the next `budget`
    /// groups; `removed` hears of each. Goes round the table for ever;
    /// [`Progress::Done`] marks the end of a round.
    pub fn expire(
        &mut self,
        now: u32,
        budget: usize,
        mut removed: impl FnMut(Key, Mapping),
    ) -> Progress {
        let mut cursor = self.expiring;
        let progress = self.exact.sweep(
            &mut cursor,
            budget,
            |_, words| verdict(!Mapping::decode(words).is_expired(now)),
            |key, words| removed(Key::from_bits(key), Mapping::decode(words)),
        );
        self.expiring = cursor;
        progress
    }

    /// Adds or replaces the mapping of a prefix; returns the old one.
    pub fn insert_prefix(
        &mut self,
        prefix: Prefix,
        mapping: Mapping,
    ) -> Result<Option<Mapping>, InsertError> {
        self.prefixes.insert(prefix, mapping)
    }

    /// Takes a prefix out; returns its mapping.
    pub fn remove_prefix(&mut self, prefix: Prefix) -> Option<Mapping> {
        self.prefixes.remove(prefix)
    }

    /// The mapping of exactly this prefix.
    pub fn get_prefix(&self, prefix: Prefix) -> Option<Mapping> {
        self.prefixes.get(prefix)
    }

    /// Prefixes in all vnets.
    pub fn prefix_len(&self) -> usize {
        self.prefixes.len()
    }

    /// As [`for_each_chunk`](Self::for_each_chunk), over prefixes.
    pub fn for_each_prefix_chunk(
        &self,
        cursor: &mut Cursor,
        budget: usize,
        visit: impl FnMut(Prefix, Mapping),
    ) -> Progress {
        self.prefixes.scan(cursor, budget, visit)
    }

    /// As [`retain_chunk`](Self::retain_chunk), over prefixes.
    pub fn retain_prefix_chunk(
        &mut self,
        cursor: &mut Cursor,
        budget: usize,
        mut keep: impl FnMut(Prefix, &Mapping) -> bool,
    ) -> Progress {
        let visit = |prefix, mapping| verdict(keep(prefix, &mapping));
        self.prefixes.sweep(cursor, budget, visit, |_, _| {})
    }

    /// As [`expire`](Self::expire), over prefixes.
    pub fn expire_prefixes(
        &mut self,
        now: u32,
        budget: usize,
        removed: impl FnMut(Prefix, Mapping),
    ) -> Progress {
        let mut cursor = self.expiring_prefixes;
        let visit = |_, mapping: Mapping| verdict(!mapping.is_expired(now));
        let progress = self.prefixes.sweep(&mut cursor, budget, visit, removed);
        self.expiring_prefixes = cursor;
        progress
    }
}

fn verdict(keep: bool) -> Verdict {
    if keep { Verdict::Keep } else { Verdict::Remove }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("len", &self.len())
            .field("limit", &self.limit())
            .field("prefixes", &self.prefix_len())
            .field("growing", &self.is_growing())
            .finish()
    }
}
