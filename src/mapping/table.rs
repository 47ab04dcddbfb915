//! The shared memory of the exact table, and how it is read.
//!
//! # Layout
//! A *bucket* is one cache line: a word of state, three keys, and the first
//! word of each key's mapping (where to, until when). So a lookup is one line,
//! and its address follows from the key alone. The other two words of a
//! mapping are zero but for nodes that have moved or were given a MAC; they are
//! *rare*, and lie in a second array that is not even backed by pages until one
//! is stored.
//!
//! A key belongs to one bucket, goes on to the other of its pair (the
//! neighbouring line, which processors fetch along) and then to further pairs
//! at a stride of its own. A bucket's overflow bit says that some key went past
//! it; a lookup stops at the first bucket without it. Half of the slots are
//! used at most, so that 94 of 100 keys are in their first bucket.
//!
//! # Protocol
//! One writer, in place. A key never moves inside a table, and what a bucket
//! says about one slot does not depend on the others, so a key that is present
//! all along is always found, whatever happens beside it. Growing makes a new
//! table ([`grow`](super::grow)).
//!
//! A reader loads the state, compares the keys, loads the word of the one that
//! is equal, and looks at the state again: if it is still the same, the slot
//! was that key's all the while. The state has a version, which changes when a
//! slot is used again. A word that is replaced by another needs none of this:
//! it is one atomic store.
//!
//! Only where rare words change, several stores belong together. Then the
//! version is odd while they are written. A reader that finds it odd does not
//! wait: before it changes an entry, the writer notes the place and the old
//! words in the table's `undo` record, and they are taken from there. So a
//! writer that loses its core in the middle holds nobody up.
//!
//! The order of all stores is in [`update`](super::update); comments on either
//! side name the other.

use crossbeam_utils::CachePadded;

use super::{
    entry::Words,
    hash::{Hash, Seed},
    region::{Region, Zeroed},
    sync::{AtomicBool, AtomicU64, Ordering, fence, spin_loop},
};

/// Keys of a bucket.
pub(super) const SLOTS: usize = 3;
/// Buckets of a pair: what is fetched together.
const PAIR: usize = 2;
/// Keys of a pair before the table should grow.
const PAIR_ROOM: usize = 3;
/// Pairs a key may be in. One pair in ten is full in a table that is as full
/// as it gets, so that none of them has room does not happen by chance.
const MAX_PAIRS: usize = 16;
/// Buckets that are counted as one where work is cut into pieces.
const GROUP: usize = 8;

/// In a bucket's state: slots that hold a key, one bit each.
pub(super) const USED: u64 = (1 << SLOTS) - 1;
/// The bit of slot 0 that it has rare words.
pub(super) const RARE: u64 = 1 << SLOTS;
const RARE_MASK: u64 = USED << SLOTS;
/// Some key went past this bucket.
pub(super) const OVERFLOW: u64 = 1 << 7;
/// The lowest bit of the version: an entry with rare words is being written.
pub(super) const WRITING: u64 = 1 << 8;

/// How often a lookup starts over before it gives up and reports a miss. Each
/// time a write completed in this bucket between two loads a few nanoseconds
/// apart. A miss is then the answer that ends well: control asks itself, finds
/// the entry, and the frame is sent.
#[cfg(not(loom))]
const RETRIES: usize = 1024;
#[cfg(loom)]
const RETRIES: usize = 8;

/// A line of the table.
#[repr(C, align(64))]
pub(super) struct Bucket {
    /// Slots used (3), slots with rare words (3), overflow, version (56).
    pub(super) state: AtomicU64,
    /// How many keys went past. Only the writer looks here.
    pub(super) passed: AtomicU64,
    pub(super) keys: [AtomicU64; SLOTS],
    pub(super) words: [AtomicU64; SLOTS],
}

/// What follows the first word of an entry, where it is not zero.
pub(super) struct Rare(pub(super) [AtomicU64; 2]);

/// The entry being changed, as it was before. See the head of this file.
pub(super) struct Undo {
    /// One more than the index of the entry.
    pub(super) place: AtomicU64,
    pub(super) words: [AtomicU64; 3],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Bucket>() == 64 && size_of::<Rare>() == 16);

fn zero() -> AtomicU64 {
    AtomicU64::new(0)
}

// SAFETY: atomics of zero bytes are zeros; none of them needs a drop.
unsafe impl Zeroed for Bucket {
    fn zero() -> Self {
        Self {
            state: zero(),
            passed: zero(),
            keys: [zero(), zero(), zero()],
            words: [zero(), zero(), zero()],
        }
    }
}

// SAFETY: as above.
unsafe impl Zeroed for Rare {
    fn zero() -> Self {
        Self([zero(), zero()])
    }
}

/// One table of fixed size.
pub(super) struct Table {
    buckets: Region<Bucket>,
    rare: Region<Rare>,
    seed: Seed,
    pairs: usize,
    /// Buckets a key may be in.
    probes: usize,
    pub(super) undo: CachePadded<Undo>,
    /// Whether a rare word was ever stored, and so the second array has pages.
    pub(super) has_rare: AtomicBool,
}

/// What the first bucket of a key says.
pub(super) enum First {
    Hit(u64),
    Nothing,
    /// It may be in another.
    Further,
    /// It is in this one, and one look does not settle what it is.
    Unclear,
}

impl Bucket {
    /// The slots that hold `key`, one bit each: at most one.
    #[inline(always)]
    pub(super) fn slots_of(&self, state: u64, key: u64) -> u64 {
        // Relaxed: a key that is present all along never changes, and one that
        // is just being written makes the state differ afterwards.
        let equal = |i: usize| u64::from(self.keys[i].load(Ordering::Relaxed) == key) << i;
        (equal(0) | equal(1) | equal(2)) & state
    }

    /// One look, which is enough for nearly all keys. `whole` says whether the
    /// rare words are wanted too: they are not in this line.
    #[inline(always)]
    pub(super) fn look(&self, key: u64, whole: bool) -> First {
        // Acquire pairs with the release stores of `state` in `update`: a slot
        // that is used shows the key and the words it was filled with.
        let state = self.state.load(Ordering::Acquire);
        let equal = self.slots_of(state, key);
        if equal == 0 {
            return if state & OVERFLOW == 0 {
                First::Nothing
            } else {
                First::Further
            };
        }
        let slot = equal.trailing_zeros() as usize;
        debug_assert!(slot < SLOTS);
        // SAFETY: `slots_of` sets no bit from SLOTS on, and one is set.
        let word = unsafe { self.words.get_unchecked(slot) }.load(Ordering::Relaxed);
        // Pairs with the release fence in `fill`: if the key or the word above
        // is of a later use of the slot, the load below sees that its use by
        // `key` has ended. And with that of the store in `change`: what was
        // published before this word is seen after it.
        fence(Ordering::Acquire);
        let again = self.state.load(Ordering::Relaxed);
        let unclear = if whole { WRITING | RARE_MASK } else { WRITING };
        if (again ^ state) | (state & unclear) == 0 {
            First::Hit(word)
        } else {
            First::Unclear
        }
    }
}

impl Table {
    /// A table that need not grow below `entries`; `None` when memory is short.
    pub(super) fn new(entries: usize, seed: Seed) -> Option<Self> {
        let pairs = entries.div_ceil(PAIR_ROOM).max(1);
        let buckets = pairs.checked_mul(PAIR)?;
        // A hash picks a bucket with 32 of its bits.
        u32::try_from(buckets).ok()?;
        Some(Self {
            buckets: Region::new(buckets)?.with_large_pages(),
            rare: Region::new(buckets.checked_mul(SLOTS)?)?,
            seed,
            pairs,
            probes: PAIR * pairs.min(MAX_PAIRS),
            undo: CachePadded::new(Undo {
                place: zero(),
                words: [zero(), zero(), zero()],
            }),
            has_rare: AtomicBool::new(false),
        })
    }

    /// Has up to `pages` pages made before they are touched, from page `from`
    /// of all on; returns how many there were to make.
    pub(super) fn populate(&mut self, from: usize, pages: usize) -> usize {
        self.buckets.populate(from, pages)
    }

    /// Entries above which the table should grow.
    pub(super) fn room(&self) -> usize {
        self.pairs * PAIR_ROOM
    }

    /// Pieces of eight buckets, the last perhaps of fewer.
    pub(super) fn group_count(&self) -> usize {
        self.buckets.len().div_ceil(GROUP)
    }

    /// The buckets of a piece.
    pub(super) fn group(&self, group: usize) -> std::ops::Range<usize> {
        let first = group * GROUP;
        first..(first + GROUP).min(self.buckets.len())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let rare = match self.has_rare.load(Ordering::Relaxed) {
            true => size_of_val(&*self.rare),
            false => 0,
        };
        size_of_val(&*self.buckets) + rare + size_of::<Self>()
    }

    #[inline(always)]
    pub(super) fn hash(&self, key: u64) -> Hash {
        self.seed.hash(key)
    }

    /// The first bucket of a key.
    #[inline(always)]
    pub(super) fn home(&self, hash: Hash) -> usize {
        hash.below(self.buckets.len())
    }

    pub(super) fn probes(&self) -> usize {
        self.probes
    }

    /// The `i`th bucket of a key, `i` below [`probes`](Self::probes).
    pub(super) fn probe(&self, hash: Hash, i: usize) -> usize {
        let home = self.home(hash);
        if i < PAIR {
            return home ^ i;
        }
        let stride = (i / PAIR) * hash.step(self.pairs);
        let pair = (home / PAIR + stride) % self.pairs;
        pair * PAIR + (home ^ i) % PAIR
    }

    #[inline(always)]
    pub(super) fn bucket(&self, bucket: usize) -> &Bucket {
        self.buckets().at(bucket)
    }

    /// All buckets, for who looks at many: where they are is then asked once.
    #[inline(always)]
    pub(super) fn buckets(&self) -> Buckets<'_> {
        Buckets(&self.buckets)
    }

    pub(super) fn rare(&self, bucket: usize, slot: usize) -> &Rare {
        &self.rare[bucket * SLOTS + slot]
    }

    /// All words of a slot, where nothing is written or the caller checks it.
    pub(super) fn words(&self, bucket: usize, slot: usize, state: u64) -> Words {
        // Relaxed: the caller's fence and second look order them.
        let word = self.bucket(bucket).words[slot].load(Ordering::Relaxed);
        if state & RARE << slot == 0 {
            return [word, 0, 0];
        }
        let Rare(rare) = self.rare(bucket, slot);
        let [second, third] = [0, 1].map(|i: usize| rare[i].load(Ordering::Relaxed));
        [word, second, third]
    }

    /// Looks a key up by itself, from its `from`th bucket on.
    pub(super) fn find_from(&self, from: usize, key: u64) -> Option<Words> {
        let hash = self.hash(key);
        for i in from..self.probes {
            match self.find_in(self.probe(hash, i), key) {
                Ok(words) => return Some(words),
                Err(state) if state & OVERFLOW == 0 => return None,
                Err(_) => {}
            }
        }
        None
    }

    /// Looks a key up by itself.
    pub(super) fn find(&self, key: u64) -> Option<Words> {
        self.find_from(0, key)
    }

    /// The words, or the state of a bucket that does not have the key.
    fn find_in(&self, index: usize, key: u64) -> Result<Words, u64> {
        let bucket = self.bucket(index);
        for _ in 0..RETRIES {
            // The orderings are those of `Bucket::look`.
            let state = bucket.state.load(Ordering::Acquire);
            let equal = bucket.slots_of(state, key);
            if equal == 0 {
                return Err(state);
            }
            let slot = equal.trailing_zeros() as usize;
            let words = self.words(index, slot, state);
            // An odd version was stored with release in `update::begin`, after
            // the record of this write.
            let place = self.undo.place.load(Ordering::Relaxed);
            let old = load(&self.undo.words);
            // Pairs with the release fences in `fill` and `begin`: had any
            // load above seen a later write's record or words, the load below
            // would see the state past what it was.
            fence(Ordering::Acquire);
            if bucket.state.load(Ordering::Relaxed) != state {
                spin_loop();
            } else if state & WRITING != 0 && place == place_of(index, slot) {
                return Ok(old);
            } else {
                return Ok(words);
            }
        }
        Err(0)
    }
}

/// The buckets of a table.
#[derive(Clone, Copy)]
pub(super) struct Buckets<'a>(&'a [Bucket]);

impl<'a> Buckets<'a> {
    #[inline(always)]
    pub(super) fn at(self, bucket: usize) -> &'a Bucket {
        debug_assert!(bucket < self.0.len());
        // SAFETY: buckets come from `home`, `probe` and `group`: `Hash::below`
        // keeps to its bound and the remainder in `probe` is below `pairs`
        // (both tested), of which each has PAIR buckets; `group` ends at the
        // number of buckets; `mate` stays within the pair.
        unsafe { self.0.get_unchecked(bucket) }
    }
}

/// The other bucket of a pair.
#[inline(always)]
pub(super) fn mate(bucket: usize) -> usize {
    bucket ^ 1
}

/// How `Undo::place` names an entry.
pub(super) fn place_of(bucket: usize, slot: usize) -> u64 {
    (bucket * SLOTS + slot + 1) as u64
}

fn load(words: &[AtomicU64; 3]) -> Words {
    [0, 1, 2].map(|i: usize| words[i].load(Ordering::Relaxed))
}
