//! The writer of a table of words: insertion, removal, growing and sweeping.
//!
//! # Growing
//! When a table is two thirds full, a larger one is made beside it. From
//! then on every change goes to both, and each insertion (and each call of
//! [`step`](RawWriter::step)) carries a few more groups over. Readers know
//! nothing of it: they keep to the old table, which stays complete, until the
//! new one is complete too and takes its place by one pointer. No call does
//! more than a bounded amount of work, no reader ever looks in two tables.
//! Before anything is carried over, the new table's pages are made in the same
//! small steps: the first thousand groups would touch all of them.
//! The price is memory for both while it lasts, and that the old table must
//! have room meanwhile: at two groups or pages per insertion it ends at most
//! six hundredths above the threshold.

use super::{
    InsertError, Progress,
    entry::Words,
    hash::Seed,
    published::{Publisher, Subscriber},
    reclaim::{Busy, Domain},
    table::Table,
};

/// Groups carried over by each insertion while growing.
const GROUPS_PER_INSERT: usize = 2;

/// Where a sweep over a table has got to.
///
/// A sweep visits every entry that is there from its begin to its end at least
/// once. If the table is replaced by a larger one meanwhile, the sweep starts
/// over, and entries are visited again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    group: usize,
    generation: u64,
}

/// What a sweep does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    Remove,
}

pub(super) struct RawWriter {
    table: Publisher<Table>,
    next: Option<Next>,
    len: usize,
    limit: usize,
    /// How often the table has been replaced.
    generation: u64,
    /// Keys a sweep is about to remove; kept to save the allocation.
    doomed: Vec<(u64, Words)>,
}

/// The larger table to come.
struct Next {
    table: Table,
    /// Pages of it made so far; `None` when all are.
    pages: Option<usize>,
    /// Groups of the old table carried over so far.
    carried: usize,
}

impl RawWriter {
    /// A table that holds at most `limit` keys and starts with room for
    /// `initial`.
    pub(super) fn new(
        domain: &Domain,
        limit: usize,
        initial: usize,
        seed: Seed,
    ) -> Result<Self, InsertError> {
        let entries = initial.min(limit);
        let table = Table::new(entries, seed).ok_or(InsertError::Memory { entries })?;
        let bytes = table.memory_bytes();
        Ok(Self {
            table: Publisher::new_sized(domain, table, bytes),
            next: None,
            len: 0,
            limit,
            generation: 0,
            doomed: Vec::new(),
        })
    }

    pub(super) fn subscribe(&self) -> Subscriber<Table> {
        self.table.subscribe()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn is_growing(&self) -> bool {
        self.next.is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let next = self.next.as_ref().map_or(0, |n| n.table.memory_bytes());
        self.table.current().memory_bytes() + next
    }

    pub(super) fn get(&self, key: u64) -> Option<Words> {
        let table = self.table.current();
        table.locate(key).map(|place| table.words_at(place))
    }

    /// Adds or replaces; returns what was there.
    pub(super) fn insert(&mut self, key: u64, words: Words) -> Result<Option<Words>, InsertError> {
        let table = self.table.current();
        if let Some(place) = table.locate(key) {
            let old = table.words_at(place);
            table.change(place, words);
            self.mirror(key, words);
            return Ok(Some(old));
        }
        if self.len >= self.limit {
            return Err(InsertError::Full {
                limit: self.limit,
                current: self.len,
            });
        }
        self.make_room();
        while !self.table.current().add(key, words) {
            self.grow_now()?;
        }
        self.mirror(key, words);
        self.len += 1;
        Ok(None)
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Words> {
        let table = self.table.current();
        let place = table.locate(key)?;
        let words = table.words_at(place);
        table.remove(key, place);
        if let Some(next) = &self.next
            && let Some(place) = next.table.locate(key)
        {
            next.table.remove(key, place);
        }
        self.len -= 1;
        Some(words)
    }

    /// Goes on growing, over `budget` groups: eight buckets each, of twelve entries when full.
    pub(super) fn step(&mut self, budget: usize) -> Progress {
        self.carry(budget);
        match self.finish() {
            Ok(()) if self.next.is_none() => Progress::Done,
            // Refused for now: the old table goes on serving.
            _ => Progress::More,
        }
    }

    /// Calls `visit` for the entries of `budget` groups from `cursor` on, and
    /// removes those it says; `removed` hears of each.
    pub(super) fn sweep(
        &mut self,
        cursor: &mut Cursor,
        budget: usize,
        mut visit: impl FnMut(u64, Words) -> Verdict,
        mut removed: impl FnMut(u64, Words),
    ) -> Progress {
        let mut doomed = std::mem::take(&mut self.doomed);
        let progress = self.scan(cursor, budget, |key, words| {
            if visit(key, words) == Verdict::Remove {
                doomed.push((key, words));
            }
        });
        for (key, words) in doomed.drain(..) {
            self.remove(key);
            removed(key, words);
        }
        self.doomed = doomed;
        progress
    }

    /// Calls `visit` for the entries of `budget` groups from `cursor` on.
    pub(super) fn scan(
        &self,
        cursor: &mut Cursor,
        budget: usize,
        mut visit: impl FnMut(u64, Words),
    ) -> Progress {
        if cursor.generation != self.generation {
            *cursor = Cursor {
                group: 0,
                generation: self.generation,
            };
        }
        let table = self.table.current();
        let end = table.group_count().min(cursor.group.saturating_add(budget));
        for group in cursor.group..end {
            table.for_each_in(group, &mut visit);
        }
        cursor.group = end;
        if end < table.group_count() {
            return Progress::More;
        }
        cursor.group = 0;
        Progress::Done
    }

    /// Before an insertion: starts to grow when it is time, or goes on.
    fn make_room(&mut self) {
        if self.next.is_some() {
            // Refused for now or not complete yet: the old table has room.
            let _ = self.step(GROUPS_PER_INSERT);
        } else if self.len >= self.table.current().room() {
            // Without memory the old table is filled to the brim first.
            let _ = self.start(2);
        }
    }

    /// Starts a table `factor` times as large, or just as large as the limit
    /// asks for.
    fn start(&mut self, factor: usize) -> Result<(), InsertError> {
        let table = self.table.current();
        let room = table.room();
        let mut entries = room.saturating_mul(factor);
        if self.limit > room {
            entries = entries.min(self.limit);
        }
        // Keys that met by accident, or by somebody's patience, part again.
        let table = Table::new(entries, Seed::random()).ok_or(InsertError::Memory { entries })?;
        let (pages, carried) = (Some(0), 0);
        self.next = Some(Next {
            table,
            pages,
            carried,
        });
        Ok(())
    }

    /// The old table has no place for a key: the new one must replace it in
    /// this call, however long that takes. At two thirds this needs
    /// some 400 keys to meet by accident; it also happens when a stalled worker
    /// kept the new table from being published until the old one was full.
    #[cold]
    fn grow_now(&mut self) -> Result<(), InsertError> {
        let mut factor = 2;
        loop {
            if self.next.is_none() {
                self.start(factor)?;
            }
            self.carry(usize::MAX);
            // `carry` gives up a table that is too small in its turn.
            if self.next.is_some() {
                return Ok(self.finish()?);
            }
            factor *= 2;
        }
    }

    /// Makes up to `budget` pages of the next table, or copies up to `budget`
    /// more groups to it.
    fn carry(&mut self, budget: usize) {
        let Some(next) = &mut self.next else { return };
        if let Some(pages) = &mut next.pages {
            let made = next.table.populate(*pages, budget);
            *pages += made;
            // All at once is what somebody waits for: then it goes on.
            if made > 0 && budget < usize::MAX {
                return;
            }
            next.pages = None;
        }
        let table = self.table.current();
        let end = table.group_count().min(next.carried.saturating_add(budget));
        let mut fits = true;
        for group in next.carried..end {
            table.for_each_in(group, |key, words| {
                // What changed since growing began is there already.
                fits &= next.table.locate(key).is_some() || next.table.add(key, words);
            });
        }
        next.carried = end;
        if !fits {
            // It was never published, so nobody reads it.
            self.next = None;
        }
    }

    /// Publishes the next table once it is complete.
    fn finish(&mut self) -> Result<(), Busy> {
        let complete = self.table.current().group_count();
        let Some(next) = self.next.take_if(|next| next.carried == complete) else {
            return Ok(());
        };
        let bytes = next.table.memory_bytes();
        match self.table.replace_sized(next.table, bytes) {
            Ok(()) => {
                self.generation += 1;
                Ok(())
            }
            Err(refused) => {
                self.next = Some(Next {
                    table: refused.value,
                    pages: None,
                    carried: complete,
                });
                Err(refused.busy)
            }
        }
    }

    /// Brings a change to the next table too.
    fn mirror(&mut self, key: u64, words: Words) {
        let Some(next) = &self.next else { return };
        match next.table.locate(key) {
            Some(place) => next.table.change(place, words),
            None if next.table.add(key, words) => {}
            None => self.next = None,
        }
    }
}

#[cfg(all(test, not(loom)))]
impl RawWriter {
    /// Buckets that some key went past.
    pub(super) fn overflowing(&self) -> usize {
        let table = self.table.current();
        let groups = 0..table.group_count();
        groups
            .flat_map(|group| table.group(group))
            .filter(|&bucket| table.overflows(bucket))
            .count()
    }

    /// Keys that are not in their first group.
    pub(super) fn away_from_home(&self) -> usize {
        let table = self.table.current();
        let mut away = 0;
        for group in 0..table.group_count() {
            table.for_each_in(group, |key, _| {
                away += usize::from(table.is_away(key));
            });
        }
        away
    }
}
