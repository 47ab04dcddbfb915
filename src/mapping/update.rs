//! How the one writer changes a table that others are reading.
//!
//! Nothing here is called by two threads at a time: the table's only writer
//! owns it. Its own loads are therefore relaxed, they see its own stores. The
//! reading side is in [`table`](super::table).

use super::{
    entry::Words,
    sync::{Ordering, fence},
    table::{Bucket, OVERFLOW, RARE, SLOTS, Table, USED, WRITING, place_of},
};

/// Where the writer found a key.
#[derive(Clone, Copy)]
pub(super) struct Place {
    bucket: usize,
    slot: usize,
    /// The key went past this many buckets.
    passed: usize,
}

impl Table {
    /// Finds a key for the writer.
    pub(super) fn locate(&self, key: u64) -> Option<Place> {
        let hash = self.hash(key);
        for passed in 0..self.probes() {
            let index = self.probe(hash, passed);
            let bucket = self.bucket(index);
            let state = bucket.state.load(Ordering::Relaxed);
            let equal = bucket.slots_of(state, key);
            if equal != 0 {
                return Some(Place {
                    bucket: index,
                    slot: equal.trailing_zeros() as usize,
                    passed,
                });
            }
            if state & OVERFLOW == 0 {
                return None;
            }
        }
        None
    }

    /// What is at `place`.
    pub(super) fn words_at(&self, place: Place) -> Words {
        let state = self.bucket(place.bucket).state.load(Ordering::Relaxed);
        self.words(place.bucket, place.slot, state)
    }

    /// Replaces the words of a key; readers see the old or the new ones.
    pub(super) fn change(&self, place: Place, new: Words) {
        let bucket = self.bucket(place.bucket);
        let old = self.words_at(place);
        if old[1..] == new[1..] {
            // Release pairs with the acquire fence in `look`: who sees this
            // word sees what was published before it (hosts, nodes).
            bucket.words[place.slot].store(new[0], Ordering::Release);
            return;
        }
        let odd = self.begin(bucket, place, old);
        bucket.words[place.slot].store(new[0], Ordering::Relaxed);
        let rare = self.store_rare(place, new);
        let state = odd & !(RARE << place.slot) | rare;
        // Release pairs with the acquire load in `look`.
        bucket
            .state
            .store(state.wrapping_add(WRITING), Ordering::Release);
    }

    /// Adds a key that is not there. False: all its buckets are full.
    pub(super) fn add(&self, key: u64, words: Words) -> bool {
        let hash = self.hash(key);
        let free = |passed| {
            let bucket = self.probe(hash, passed);
            let state = self.bucket(bucket).state.load(Ordering::Relaxed);
            let slot = state.trailing_ones() as usize;
            let place = Place {
                bucket,
                slot,
                passed,
            };
            (slot < SLOTS).then_some(place)
        };
        let Some(place) = (0..self.probes()).find_map(free) else {
            return false;
        };
        for i in 0..place.passed {
            self.go_past(self.probe(hash, i));
        }
        self.fill(place, key, words);
        true
    }

    /// Takes a key out. Its words stay until the slot is used again, so a
    /// reader that was here just before still reads the whole entry.
    pub(super) fn remove(&self, key: u64, place: Place) {
        let state = &self.bucket(place.bucket).state;
        let without = state.load(Ordering::Relaxed) & !(1 << place.slot);
        // Nothing was written that the store would have to publish. That it
        // is seen before the slot is used again is the fence's in `fill`.
        state.store(without, Ordering::Relaxed);
        let hash = self.hash(key);
        for i in 0..place.passed {
            self.come_back(self.probe(hash, i));
        }
    }

    /// Calls `each` for the entries of a group.
    pub(super) fn for_each_in(&self, group: usize, mut each: impl FnMut(u64, Words)) {
        for index in self.group(group) {
            let bucket = self.bucket(index);
            let state = bucket.state.load(Ordering::Relaxed);
            let mut used = state & USED;
            while used != 0 {
                let slot = used.trailing_zeros() as usize;
                used &= used - 1;
                let key = bucket.keys[slot].load(Ordering::Relaxed);
                each(key, self.words(index, slot, state));
            }
        }
    }

    fn fill(&self, place: Place, key: u64, words: Words) {
        let bucket = self.bucket(place.bucket);
        // A reader may still be at this slot for the key that was here before.
        // Pairs with the acquire fence in `look`: who sees a word that is
        // written below sees the slot free, or used again by a later version.
        fence(Ordering::Release);
        bucket.keys[place.slot].store(key, Ordering::Relaxed);
        bucket.words[place.slot].store(words[0], Ordering::Relaxed);
        let rare = self.store_rare(place, words);
        let state = bucket.state.load(Ordering::Relaxed) & !(RARE << place.slot);
        let used = state.wrapping_add(2 * WRITING) | rare | 1 << place.slot;
        // Release pairs with the acquire load in `look`.
        bucket.state.store(used, Ordering::Release);
    }

    /// Stores the rare words, if there are any: returns their bit.
    fn store_rare(&self, place: Place, [_, second, third]: Words) -> u64 {
        if second == 0 && third == 0 {
            return 0;
        }
        if !self.has_rare.load(Ordering::Relaxed) {
            self.has_rare.store(true, Ordering::Relaxed);
        }
        let rare = self.rare(place.bucket, place.slot);
        rare.0[0].store(second, Ordering::Relaxed);
        rare.0[1].store(third, Ordering::Relaxed);
        RARE << place.slot
    }

    /// Makes the version odd; returns the state. `old` is the entry to be
    /// changed, for readers that come by if we get no further.
    fn begin(&self, bucket: &Bucket, place: Place, old: Words) -> u64 {
        // Pairs with the acquire fence in `find_in`: who sees this record sees
        // that the write before has ended.
        fence(Ordering::Release);
        let record = place_of(place.bucket, place.slot);
        self.undo.place.store(record, Ordering::Relaxed);
        for (word, old) in self.undo.words.iter().zip(old) {
            word.store(old, Ordering::Relaxed);
        }
        let odd = bucket.state.load(Ordering::Relaxed).wrapping_add(WRITING);
        // Release pairs with the acquire load in `find_in`: who sees the odd
        // version sees the record.
        bucket.state.store(odd, Ordering::Release);
        // Pairs with the acquire fence in `look`: who sees a word that is
        // written after this sees the odd version.
        fence(Ordering::Release);
        odd
    }

    fn go_past(&self, index: usize) {
        let bucket = self.bucket(index);
        let count = bucket.passed.load(Ordering::Relaxed);
        bucket.passed.store(count + 1, Ordering::Relaxed);
        if count == 0 {
            // Set before the key is there; a reader that has not seen it yet
            // looked before the key was added.
            let state = bucket.state.load(Ordering::Relaxed) | OVERFLOW;
            bucket.state.store(state, Ordering::Release);
        }
    }

    fn come_back(&self, index: usize) {
        let bucket = self.bucket(index);
        let count = bucket.passed.load(Ordering::Relaxed);
        bucket
            .passed
            .store(count.saturating_sub(1), Ordering::Relaxed);
        if count == 1 {
            let state = bucket.state.load(Ordering::Relaxed) & !OVERFLOW;
            bucket.state.store(state, Ordering::Release);
        }
    }
}

#[cfg(all(test, loom))]
impl Table {
    /// A change whose writer is never seen again after the first word.
    pub(super) fn change_half(&self, place: Place, new: Words) {
        let bucket = self.bucket(place.bucket);
        self.begin(bucket, place, self.words_at(place));
        bucket.words[place.slot].store(new[0], Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
impl Table {
    /// Whether some key went past a bucket.
    pub(super) fn overflows(&self, bucket: usize) -> bool {
        self.bucket(bucket).state.load(Ordering::Relaxed) & OVERFLOW != 0
    }

    /// Whether a key that is there is not in its first bucket.
    pub(super) fn is_away(&self, key: u64) -> bool {
        self.locate(key).is_some_and(|place| place.passed > 0)
    }
}
