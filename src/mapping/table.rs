//! The shared memory of the exact table, and how it is read.
//!
//! # Layout
//! A *group* is 16 bytes: twelve tags of one byte (0: free slot), an overflow
//! bit and a version. Its twelve 32-byte entries lie in a second array: a key
//! and three words. Four groups fill a cache line and make a *block*. A key
//! starts at one group of one block, goes on to the other groups of that block
//! (same line, so at no cost) and then to at most seven more blocks at a
//! stride of its own. A group's overflow bit says that some key went past it;
//! a lookup stops at the first group without it. Slots are filled to at most two
//! thirds, so that about 99 of 100 keys are in their first group.
//!
//! # Protocol
//! One writer, in place. A key never moves inside a table, and what a group
//! says about one slot does not depend on the others, so a key that is present
//! all along is always found, whatever happens beside it. Growing makes a new
//! table ([`grow`](super::grow)).
//!
//! Each entry is guarded by its group's version, a seqlock over atomic words:
//! odd while one of the entries is being written. A reader takes the version,
//! copies the entry and looks at the version again; if it changed, it starts
//! over. Each such change is a write that completed in this very group within
//! some ten nanoseconds, so it does not happen twice in practice.
//!
//! A version that *stays* odd means that the writer lost its core in the
//! middle of a write. Readers do not wait for it: before it changes an entry,
//! the writer notes the place and the old words in the table's `undo` record,
//! and whoever finds the version odd takes the old words from there.
//!
//! The order of all stores is in [`update`](super::update); comments on either
//! side name the other.

use crossbeam_utils::CachePadded;

use super::{
    arch,
    entry::Words,
    hash::{Hash, Seed},
    region::{Region, Zeroed},
    sync::{AtomicU16, AtomicU64, Ordering, fence, spin_loop},
};

/// Entries of a group.
pub(super) const SLOTS: usize = 12;
/// Groups of a block: a cache line of them.
#[cfg(not(loom))]
pub(super) const GROUPS: usize = 4;
/// The model checker pays for each atomic.
#[cfg(loom)]
pub(super) const GROUPS: usize = 1;
/// Blocks a key may be in.
const MAX_BLOCKS: usize = 8;

const SLOT_MASK: u32 = (1 << SLOTS) - 1;

/// Entries of one block before the table should grow.
const BLOCK_ROOM: usize = GROUPS * SLOTS * 2 / 3;

/// How often a lookup starts over before it gives up and reports a miss. Each
/// time a write completed in this group between two loads a few nanoseconds
/// apart. A miss is then the answer that ends well: control asks itself, finds
/// the entry, and the frame is sent.
#[cfg(not(loom))]
const RETRIES: usize = 1024;
#[cfg(loom)]
const RETRIES: usize = 8;

/// In `Group::high`: some key went past this group.
pub(super) const OVERFLOW: u64 = 1 << 32;
/// In `Group::high`: the lowest bit of the version.
pub(super) const WRITING: u64 = 1 << 33;

/// Twelve tags, the overflow bit and the version.
#[repr(C, align(16))]
pub(super) struct Group {
    /// Tags of slots 0 to 7.
    pub(super) low: AtomicU64,
    /// Tags of slots 8 to 11 (32 bits), overflow (1), version (31).
    pub(super) high: AtomicU64,
}

/// A key and its words; half a cache line, never across two.
#[repr(C, align(32))]
pub(super) struct Entry {
    pub(super) key: AtomicU64,
    pub(super) words: [AtomicU64; 3],
}

/// The entry being changed, as it was before. See the head of this file.
pub(super) struct Undo {
    /// One more than the index of the entry; 0: a free slot is being filled.
    pub(super) place: AtomicU64,
    pub(super) words: [AtomicU64; 3],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Group>() == 16 && size_of::<Entry>() == 32);

fn zero() -> AtomicU64 {
    AtomicU64::new(0)
}

// SAFETY: atomics of zero bytes are zeros; none of them needs a drop.
unsafe impl Zeroed for Group {
    fn zero() -> Self {
        Self {
            low: zero(),
            high: zero(),
        }
    }
}

// SAFETY: as above.
unsafe impl Zeroed for Entry {
    fn zero() -> Self {
        Self {
            key: zero(),
            words: [zero(), zero(), zero()],
        }
    }
}

// SAFETY: as above.
unsafe impl Zeroed for AtomicU16 {
    fn zero() -> Self {
        AtomicU16::new(0)
    }
}

/// One table of fixed size.
pub(super) struct Table {
    groups: Region<Group>,
    entries: Region<Entry>,
    seed: Seed,
    blocks: usize,
    /// Groups a key may be in.
    probes: usize,
    pub(super) undo: CachePadded<Undo>,
    /// Per group, how many keys went past it. Only the writer looks here.
    passed: Region<AtomicU16>,
}

/// What a reader found where a tag matched.
enum Read {
    /// Another key.
    Other,
    Hit(Words),
    /// The group was written meanwhile: start over.
    Changed,
}

impl Table {
    /// A table that need not grow below `entries`; `None` when memory is short.
    pub(super) fn new(entries: usize, seed: Seed) -> Option<Self> {
        let blocks = Self::blocks_for(entries);
        let groups = blocks.checked_mul(GROUPS)?;
        Some(Self {
            groups: Region::new(groups)?,
            entries: Region::new(groups.checked_mul(SLOTS)?)?,
            seed,
            blocks,
            probes: GROUPS * blocks.min(MAX_BLOCKS),
            undo: CachePadded::new(Undo {
                place: zero(),
                words: [zero(), zero(), zero()],
            }),
            passed: Region::new(groups)?,
        })
    }

    /// Has up to `pages` pages made before they are touched, from page `from`
    /// of all on; returns how many there were to make.
    pub(super) fn populate(&mut self, from: usize, pages: usize) -> usize {
        let parts = [
            size_of_val(&*self.groups).div_ceil(4096),
            size_of_val(&*self.entries).div_ceil(4096),
        ];
        if from < parts[0] {
            self.groups.populate(from, pages)
        } else if from < parts[0] + parts[1] {
            self.entries.populate(from - parts[0], pages)
        } else {
            self.passed.populate(from - parts[0] - parts[1], pages)
        }
    }

    /// Blocks of a table that need not grow below `entries`.
    pub(super) fn blocks_for(entries: usize) -> usize {
        entries.div_ceil(BLOCK_ROOM).max(1)
    }

    /// Entries above which the table should grow.
    pub(super) fn room(&self) -> usize {
        self.blocks * BLOCK_ROOM
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.groups)
            + size_of_val(&*self.entries)
            + size_of_val(&*self.passed)
            + size_of::<Self>()
    }

    #[inline]
    pub(super) fn hash(&self, key: u64) -> Hash {
        self.seed.hash(key)
    }

    /// The first group of a key.
    #[inline]
    pub(super) fn home(&self, hash: Hash) -> usize {
        hash.block(self.blocks) * GROUPS + hash.group(GROUPS)
    }

    pub(super) fn probes(&self) -> usize {
        self.probes
    }

    /// The `i`th group of a key, `i` below [`probes`](Self::probes).
    pub(super) fn probe(&self, hash: Hash, i: usize) -> usize {
        if i < GROUPS {
            // The group within the block is the lowest bits of its index.
            return self.home(hash) ^ i;
        }
        let stride = (i / GROUPS) * hash.step(self.blocks);
        let block = (hash.block(self.blocks) + stride) % self.blocks;
        block * GROUPS + (hash.group(GROUPS) ^ (i % GROUPS))
    }

    #[inline]
    pub(super) fn group(&self, group: usize) -> &Group {
        debug_assert!(group < self.groups.len());
        // SAFETY: groups come from `home`, `probe` and loops below
        // `group_count`: `Hash::block` and the remainder in `probe` are below
        // `blocks`, the group within a block is below GROUPS (both tested),
        // and there are blocks * GROUPS groups.
        unsafe { self.groups.get_unchecked(group) }
    }

    #[inline]
    pub(super) fn entry(&self, group: usize, slot: usize) -> &Entry {
        debug_assert!(slot < SLOTS && group < self.groups.len());
        // SAFETY: `group` as in `group()`; slots come from masks of SLOTS
        // bits; there are SLOTS entries for each group.
        unsafe { self.entries.get_unchecked(group * SLOTS + slot) }
    }

    pub(super) fn passed(&self, group: usize) -> &AtomicU16 {
        &self.passed[group]
    }

    /// The slots of a group that may hold a key with `tag`, and the high word
    /// to check them against.
    #[inline]
    pub(super) fn candidates(&self, group: usize, tag: u8) -> (u32, u64) {
        let group = self.group(group);
        // Acquire pairs with the release stores of `high` in `update`: an even
        // version shows the entries it was set over. It comes first, so that
        // the tags below are at least as new.
        let high = group.high.load(Ordering::Acquire);
        // Relaxed: a tag that is too new for `high` is caught by `read_quiet`, which
        // will find the version changed (release store of `low` in `fill`).
        let low = group.low.load(Ordering::Relaxed);
        (arch::match_bytes(low, high, tag) & SLOT_MASK, high)
    }

    /// Looks for `key` in the candidate slots of a group.
    fn read(&self, group: usize, (mask, high): (u32, u64), key: u64) -> Read {
        let mut mask = mask;
        while mask != 0 {
            let slot = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            match self.read_slot(group, slot, high, key) {
                Read::Other => {}
                found => return found,
            }
        }
        Read::Other
    }

    fn read_slot(&self, group: usize, slot: usize, high: u64, key: u64) -> Read {
        if !self.holds(group, slot, key) {
            return Read::Other;
        }
        match self.read_quiet(group, slot, high) {
            Some(words) => Read::Hit(words),
            None => self.read_beside_writer(group, slot, high),
        }
    }

    /// Whether a slot has `key`, as far as one load can tell.
    #[inline]
    pub(super) fn holds(&self, group: usize, slot: usize, key: u64) -> bool {
        // Relaxed: a key that is present all along never changes, and one that
        // is just being written makes the version differ afterwards.
        self.entry(group, slot).key.load(Ordering::Relaxed) == key
    }

    /// The words of a slot that [`holds`](Self::holds) the key, if no entry of
    /// the group was written since `high`.
    #[inline]
    pub(super) fn read_quiet(&self, group: usize, slot: usize, high: u64) -> Option<Words> {
        let words = load(&self.entry(group, slot).words);
        // Pairs with the release fence after the odd store in `update::begin`:
        // if any load above, of the key too, saw a word of a later write, the
        // load below sees that write's version.
        fence(Ordering::Acquire);
        let again = self.group(group).high.load(Ordering::Relaxed);
        (again == high && high & WRITING == 0).then_some(words)
    }

    /// The group was or is being written, at this slot or another.
    #[cold]
    fn read_beside_writer(&self, group: usize, slot: usize, high: u64) -> Read {
        if high & WRITING == 0 {
            return Read::Changed;
        }
        // The acquire load that gave the odd `high` pairs with its release
        // store in `update::begin`: this write's undo record is visible.
        let place = self.undo.place.load(Ordering::Relaxed);
        let old = load(&self.undo.words);
        let words = load(&self.entry(group, slot).words);
        // Pairs with the release fence that opens `update::begin` and the one
        // that ends it: had any load above seen a later write's record or
        // words, the load below would see the version past `high`.
        fence(Ordering::Acquire);
        if self.group(group).high.load(Ordering::Relaxed) != high {
            Read::Changed
        } else if place == place_of(group, slot) {
            Read::Hit(old)
        } else {
            Read::Hit(words)
        }
    }

    /// Looks a key up by itself, from its `from`th group on.
    pub(super) fn find_from(&self, hash: Hash, from: usize, key: u64) -> Option<Words> {
        for i in from..self.probes {
            let group = self.probe(hash, i);
            match self.find_in(group, hash, key) {
                Ok(words) => return Some(words),
                Err(high) if high & OVERFLOW == 0 => return None,
                Err(_) => {}
            }
        }
        None
    }

    /// Looks a key up by itself.
    pub(super) fn find(&self, key: u64) -> Option<Words> {
        self.find_from(self.hash(key), 0, key)
    }

    /// The words, or the high word of a group that does not have the key.
    fn find_in(&self, group: usize, hash: Hash, key: u64) -> Result<Words, u64> {
        for _ in 0..RETRIES {
            let (mask, high) = self.candidates(group, hash.tag());
            match self.read(group, (mask, high), key) {
                Read::Hit(words) => return Ok(words),
                Read::Other => return Err(high),
                Read::Changed => spin_loop(),
            }
        }
        Err(0)
    }
}

/// How `Undo::place` names an entry.
pub(super) fn place_of(group: usize, slot: usize) -> u64 {
    (group * SLOTS + slot + 1) as u64
}

#[inline]
pub(super) fn load(words: &[AtomicU64; 3]) -> Words {
    // Relaxed: the caller's fence and version check order them.
    [
        words[0].load(Ordering::Relaxed),
        words[1].load(Ordering::Relaxed),
        words[2].load(Ordering::Relaxed),
    ]
}
