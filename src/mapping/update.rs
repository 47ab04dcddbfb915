//! How the one writer changes a table that others are reading.
//!
//! Nothing here is called by two threads at a time: the table's only writer
//! owns it. Its own loads are therefore relaxed, they see its own stores. The
//! reading side is in [`table`](super::table).

use super::{
    entry::Words,
    hash::Hash,
    sync::{Ordering, fence},
    table::{Group, OVERFLOW, SLOTS, Table, WRITING, load, place_of},
};

/// Where the writer found a key.
#[derive(Clone, Copy)]
pub(super) struct Place {
    group: usize,
    slot: usize,
    /// The key went past this many groups.
    passed: usize,
}

impl Table {
    /// Finds a key for the writer.
    pub(super) fn locate(&self, key: u64) -> Option<Place> {
        let hash = self.hash(key);
        for passed in 0..self.probes() {
            let group = self.probe(hash, passed);
            let (mut mask, high) = self.candidates(group, hash.tag());
            while mask != 0 {
                let slot = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                if self.entry(group, slot).key.load(Ordering::Relaxed) == key {
                    return Some(Place {
                        group,
                        slot,
                        passed,
                    });
                }
            }
            if high & OVERFLOW == 0 {
                return None;
            }
        }
        None
    }

    /// What is at `place`.
    pub(super) fn words(&self, place: Place) -> Words {
        load(&self.entry(place.group, place.slot).words)
    }

    /// Replaces the words of a key; readers see the old or the new ones.
    pub(super) fn change(&self, place: Place, new: Words) {
        let entry = self.entry(place.group, place.slot);
        let old = load(&entry.words);
        let mut changed = (0..3).filter(|&i| old[i] != new[i]);
        let (first, second) = (changed.next(), changed.next());
        match (first, second) {
            (None, _) => {}
            // One word changes at once: never odd, so nobody looks at `undo`.
            (Some(i), None) => {
                // Release pairs with the acquire fence in `read_quiet`: who
                // sees this word sees the version after the change before, so
                // that two such changes are never seen in the wrong order.
                entry.words[i].store(new[i], Ordering::Release);
                let high = &self.group(place.group).high;
                let even = high.load(Ordering::Relaxed).wrapping_add(2 * WRITING);
                // Release pairs with the acquire load in `candidates`.
                high.store(even, Ordering::Release);
            }
            (Some(_), Some(_)) => {
                let group = self.group(place.group);
                let high = self.begin(group, place_of(place.group, place.slot), old);
                for (word, new) in entry.words.iter().zip(new) {
                    word.store(new, Ordering::Relaxed);
                }
                // Release pairs with the acquire load in `candidates`.
                let even = high.wrapping_add(WRITING);
                group.high.store(even, Ordering::Release);
            }
        }
    }

    /// Adds a key that is not there. False: all its groups are full.
    pub(super) fn add(&self, key: u64, words: Words) -> bool {
        let hash = self.hash(key);
        let free = |passed| {
            let group = self.probe(hash, passed);
            let (mask, _) = self.candidates(group, 0);
            (mask != 0).then(|| Place {
                group,
                slot: mask.trailing_zeros() as usize,
                passed,
            })
        };
        let Some(place) = (0..self.probes()).find_map(free) else {
            return false;
        };
        for i in 0..place.passed {
            self.go_past(self.probe(hash, i));
        }
        self.fill(place, hash, key, words);
        true
    }

    /// Takes a key out. Its words stay until the slot is used again, so a
    /// reader that saw the tag still reads the whole entry.
    pub(super) fn remove(&self, key: u64, place: Place) {
        let group = self.group(place.group);
        let (word, shift) = tag_of(group, place.slot);
        let tags = word.load(Ordering::Relaxed) & !(0xff << shift);
        // Release is not needed for the entry (it does not change); it pairs
        // with the acquire load in `candidates` where the word is `high`.
        word.store(tags, Ordering::Release);
        let hash = self.hash(key);
        for i in 0..place.passed {
            self.come_back(self.probe(hash, i));
        }
    }

    /// Calls `each` for the entries of a group.
    pub(super) fn for_each_in(&self, group: usize, mut each: impl FnMut(u64, Words)) {
        let (free, _) = self.candidates(group, 0);
        let mut used = !free & ((1 << SLOTS) - 1);
        while used != 0 {
            let slot = used.trailing_zeros() as usize;
            used &= used - 1;
            let entry = self.entry(group, slot);
            each(entry.key.load(Ordering::Relaxed), load(&entry.words));
        }
    }

    fn fill(&self, place: Place, hash: Hash, key: u64, words: Words) {
        let group = self.group(place.group);
        let entry = self.entry(place.group, place.slot);
        // A reader may still be at this slot by the tag of the key that was
        // here before: the version tells it.
        let high = self.begin(group, 0, [0; 3]);
        entry.key.store(key, Ordering::Relaxed);
        for (word, new) in entry.words.iter().zip(words) {
            word.store(new, Ordering::Relaxed);
        }
        // Release pairs with the acquire load in `candidates`.
        let even = high.wrapping_add(WRITING);
        group.high.store(even, Ordering::Release);
        // The tag comes last: no reader looks here while the entry is written.
        // Release pairs with the acquire fence in `read_quiet`: who sees the
        // tag and had taken the version before, sees that it has changed.
        let (word, shift) = tag_of(group, place.slot);
        let tags = word.load(Ordering::Relaxed) | u64::from(hash.tag()) << shift;
        word.store(tags, Ordering::Release);
    }

    /// Makes the version odd. `place` and `old` are the entry to be changed,
    /// for readers that come by if we get no further.
    fn begin(&self, group: &Group, place: u64, old: Words) -> u64 {
        // Pairs with the acquire fence in `read_beside_writer`: who sees this
        // record sees that the write before has ended.
        fence(Ordering::Release);
        self.undo.place.store(place, Ordering::Relaxed);
        for (word, old) in self.undo.words.iter().zip(old) {
            word.store(old, Ordering::Relaxed);
        }
        let odd = group.high.load(Ordering::Relaxed).wrapping_add(WRITING);
        // Release pairs with the acquire load in `candidates`: who sees the
        // odd version sees the record.
        group.high.store(odd, Ordering::Release);
        // Pairs with the acquire fence in `read_quiet`: who sees a word that is
        // written after this sees the odd version.
        fence(Ordering::Release);
        odd
    }

    fn go_past(&self, group: usize) {
        let passed = self.passed(group);
        let count = passed.load(Ordering::Relaxed);
        passed.store(count.saturating_add(1), Ordering::Relaxed);
        if count == 0 {
            let high = &self.group(group).high;
            // Set before the key is there; a reader that has not seen it yet
            // looked before the key was added.
            let word = high.load(Ordering::Relaxed) | OVERFLOW;
            high.store(word, Ordering::Release);
        }
    }

    fn come_back(&self, group: usize) {
        let passed = self.passed(group);
        let count = passed.load(Ordering::Relaxed);
        // A count that was ever full is no longer exact: the bit stays.
        if count == u16::MAX {
            return;
        }
        passed.store(count.saturating_sub(1), Ordering::Relaxed);
        if count == 1 {
            let high = &self.group(group).high;
            let word = high.load(Ordering::Relaxed) & !OVERFLOW;
            high.store(word, Ordering::Release);
        }
    }
}

/// The word that holds a slot's tag, and where in it.
fn tag_of(group: &Group, slot: usize) -> (&super::sync::AtomicU64, usize) {
    if slot < 8 {
        (&group.low, 8 * slot)
    } else {
        (&group.high, 8 * (slot - 8))
    }
}

#[cfg(all(test, loom))]
impl Table {
    /// A change whose writer is never seen again after the first word.
    pub(super) fn change_half(&self, place: Place, new: Words) {
        let entry = self.entry(place.group, place.slot);
        let old = load(&entry.words);
        self.begin(
            self.group(place.group),
            place_of(place.group, place.slot),
            old,
        );
        entry.words[0].store(new[0], Ordering::Relaxed);
    }
}
