//! Tag groups: sixteen bytes of twelve tags and a version lead to one of
//! twelve entries in a second array. Looked up in three passes: hash and fetch
//! the group; match tags and fetch the very entry; compare and copy.
//!
//! Twice: with entries of 32 bytes, from which the walk goes on to the host
//! table; and with 64-byte ones that are *ready made*, a line each, with all
//! that the walk writes into the frame. One writer in place, a version per
//! group. What a product needs besides (growing, removal) is left out; it
//! costs the reader nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use weft::arch::prefetch;
use weft::mapping::Key;

use crate::candidate::{BURST, Built, Far, Reader, Writer, host_of};
use crate::floor::Floor;
use crate::plan::{Asked, Plan};

const SLOTS: usize = 12;
const MASK: u32 = (1 << SLOTS) - 1;
const OVERFLOW: u64 = 1 << 32;
const WRITING: u64 = 1 << 33;
const PROBES: usize = 16;

/// An entry: its key and so many words.
pub(crate) trait Entry: Send + Sync + 'static {
    type Words: Copy + AsRef<[u64]>;
    const NOTHING: Self::Words;
    fn new() -> Self;
    fn key(&self) -> &AtomicU64;
    fn words(&self) -> &[AtomicU64];
    fn load(&self) -> Self::Words;
    fn make(floor: &Floor, key: Key, host: u32, revision: u32) -> Self::Words;
    fn far(floor: &Floor, key: Key, words: &Self::Words) -> Far;
}

/// 32 bytes: host, end, place before.
#[repr(C, align(32))]
pub(crate) struct Small([AtomicU64; 4]);

/// 64 bytes: the same, and address, checksum and next hop.
#[repr(C, align(64))]
pub(crate) struct Ready([AtomicU64; 8]);

impl Entry for Small {
    type Words = [u64; 2];
    const NOTHING: Self::Words = [u64::MAX; 2];

    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline]
    fn key(&self) -> &AtomicU64 {
        &self.0[0]
    }

    fn words(&self) -> &[AtomicU64] {
        &self.0[1..3]
    }

    #[inline]
    fn load(&self) -> [u64; 2] {
        std::array::from_fn(|i| self.0[1 + i].load(Ordering::Relaxed))
    }

    fn make(_: &Floor, _: Key, host: u32, revision: u32) -> [u64; 2] {
        [u64::from(host) | u64::from(revision) << 32, 0]
    }

    #[inline]
    fn far(floor: &Floor, key: Key, words: &[u64; 2]) -> Far {
        floor.host(words[0] as u32, key)
    }
}

impl Entry for Ready {
    type Words = [u64; 5];
    const NOTHING: Self::Words = [u64::MAX; 5];

    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    #[inline]
    fn key(&self) -> &AtomicU64 {
        &self.0[0]
    }

    fn words(&self) -> &[AtomicU64] {
        &self.0[1..6]
    }

    #[inline]
    fn load(&self) -> [u64; 5] {
        std::array::from_fn(|i| self.0[1 + i].load(Ordering::Relaxed))
    }

    fn make(floor: &Floor, key: Key, host: u32, revision: u32) -> [u64; 5] {
        let far = floor.host(host, key);
        [
            u64::from(host) | u64::from(revision) << 32,
            0,
            (far.address >> 64) as u64,
            far.address as u64,
            far.mac | u64::from(far.delta) << 48,
        ]
    }

    #[inline]
    fn far(_: &Floor, _: Key, words: &[u64; 5]) -> Far {
        Far {
            address: u128::from(words[2]) << 64 | u128::from(words[3]),
            delta: (words[4] >> 48) as u16,
            mac: words[4] & 0xffff_ffff_ffff,
        }
    }
}

#[repr(C, align(16))]
struct Group {
    low: AtomicU64,
    high: AtomicU64,
}

struct Table<E> {
    groups: Vec<Group>,
    entries: Vec<E>,
}

#[derive(Clone, Copy, Default)]
struct Hash(u64);

impl Hash {
    #[inline]
    fn of(key: u64) -> Self {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            product as u64 ^ (product >> 64) as u64
        };
        let once = fold(key ^ 0x2437_6A88_85A3_08D3, 0x9319_8A2E_0370_7345);
        Self(fold(once, 0xA409_3822_299F_31D1))
    }

    #[inline]
    fn tag(self) -> u8 {
        (self.0 as u8).max(1)
    }
}

/// Which of sixteen bytes equal `tag`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn match_tags(low: u64, high: u64, tag: u8) -> u32 {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    // SAFETY: SSE2 belongs to every x86-64 processor.
    unsafe {
        let tags = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        let equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(tag.cast_signed()));
        _mm_movemask_epi8(equal).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn match_tags(low: u64, high: u64, tag: u8) -> u32 {
    let bytes = low.to_le_bytes().into_iter().chain(high.to_le_bytes());
    bytes
        .enumerate()
        .map(|(i, b)| u32::from(b == tag) << i)
        .sum()
}

fn bits(key: Key) -> u64 {
    u64::from(key.vni()) << 32 | u64::from(key.vaddr())
}

impl<E: Entry> Table<E> {
    /// Two thirds of the slots are used.
    fn new(size: u32) -> Self {
        let groups = (size as usize).div_ceil(SLOTS * 2 / 3).next_multiple_of(4);
        let group = |_| Group {
            low: AtomicU64::new(0),
            high: AtomicU64::new(0),
        };
        Self {
            groups: (0..groups).map(group).collect(),
            entries: (0..groups * SLOTS).map(|_| E::new()).collect(),
        }
    }

    #[inline]
    fn home(&self, hash: Hash) -> usize {
        (((hash.0 >> 32) * self.groups.len() as u64) >> 32) as usize
    }

    /// Within a line first, then the lines that follow.
    fn probe(&self, home: usize, i: usize) -> usize {
        let line = (home / 4 + i / 4) * 4 % self.groups.len();
        line + (home + i) % 4
    }

    #[inline]
    fn candidates(&self, group: usize, tag: u8) -> (u32, u64) {
        let group = &self.groups[group];
        // Acquire pairs with the release stores of `high` below.
        let high = group.high.load(Ordering::Acquire);
        let low = group.low.load(Ordering::Relaxed);
        (match_tags(low, high, tag) & MASK, high)
    }

    /// The third pass. Each way out writes by itself: joined, they would go
    /// through memory written in pieces and read as a whole.
    #[inline(always)]
    fn finish(&self, hash: Hash, key: u64, mut mask: u32, high: u64, out: &mut E::Words) {
        let home = self.home(hash);
        while mask != 0 {
            let slot = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let entry = &self.entries[home * SLOTS + slot];
            if entry.key().load(Ordering::Relaxed) == key {
                let words = entry.load();
                // Pairs with the fence after the odd store in `write`.
                fence(Ordering::Acquire);
                let again = self.groups[home].high.load(Ordering::Relaxed);
                if again == high && high & WRITING == 0 {
                    *out = words;
                } else {
                    *out = self.again(home, slot);
                }
                return;
            }
        }
        if high & OVERFLOW == 0 {
            *out = E::NOTHING;
        } else {
            *out = self.search(hash, key);
        }
    }

    /// Until the writer is through.
    #[cold]
    fn again(&self, group: usize, slot: usize) -> E::Words {
        loop {
            let high = self.groups[group].high.load(Ordering::Acquire);
            let words = self.entries[group * SLOTS + slot].load();
            fence(Ordering::Acquire);
            if high & WRITING == 0 && self.groups[group].high.load(Ordering::Relaxed) == high {
                return words;
            }
            std::hint::spin_loop();
        }
    }

    #[inline(never)]
    fn search(&self, hash: Hash, key: u64) -> E::Words {
        match self.locate_from(hash, key) {
            Some((group, slot)) => self.again(group, slot),
            None => E::NOTHING,
        }
    }

    fn locate(&self, key: u64) -> Option<(usize, usize)> {
        self.locate_from(Hash::of(key), key)
    }

    fn locate_from(&self, hash: Hash, key: u64) -> Option<(usize, usize)> {
        let home = self.home(hash);
        (0..PROBES).find_map(|i| {
            let group = self.probe(home, i);
            let (mask, _) = self.candidates(group, hash.tag());
            let same = |slot: &usize| {
                let key_of = self.entries[group * SLOTS + slot].key();
                mask >> slot & 1 != 0 && key_of.load(Ordering::Relaxed) == key
            };
            (0..SLOTS).find(same).map(|slot| (group, slot))
        })
    }

    fn add(&self, key: u64, words: E::Words) {
        let hash = Hash::of(key);
        let home = self.home(hash);
        for i in 0..PROBES {
            let index = self.probe(home, i);
            let (free, high) = self.candidates(index, 0);
            let group = &self.groups[index];
            if free == 0 {
                group.high.store(high | OVERFLOW, Ordering::Release);
                continue;
            }
            let slot = free.trailing_zeros() as usize;
            self.entries[index * SLOTS + slot]
                .key()
                .store(key, Ordering::Relaxed);
            self.write(index, slot, words);
            let (word, shift) = match slot {
                0..8 => (&group.low, 8 * slot),
                _ => (&group.high, 8 * (slot - 8)),
            };
            word.fetch_or(u64::from(hash.tag()) << shift, Ordering::Release);
            return;
        }
        panic!("no room");
    }

    fn write(&self, group: usize, slot: usize, words: E::Words) {
        let high = &self.groups[group].high;
        let even = high.load(Ordering::Relaxed);
        high.store(even.wrapping_add(WRITING), Ordering::Relaxed);
        // Pairs with the fence in `read`.
        fence(Ordering::Release);
        let entry = &self.entries[group * SLOTS + slot];
        for (word, new) in entry.words().iter().zip(words.as_ref()) {
            word.store(*new, Ordering::Relaxed);
        }
        // Pairs with the acquire load in `candidates`.
        high.store(even.wrapping_add(2 * WRITING), Ordering::Release);
    }
}

pub(crate) struct Groups<E>(Arc<Table<E>>);

/// Knows the hosts, as control does, to make entries ready.
pub(crate) struct Pen<E>(Arc<Table<E>>, Floor);

pub(crate) fn build<E: Entry>(plan: Plan) -> Built<Groups<E>, Pen<E>> {
    let (table, floor) = (Table::<E>::new(plan.size), Floor::new());
    for (n, key) in plan.keys() {
        table.add(bits(key), E::make(&floor, key, host_of(n, 0), 0));
    }
    let table = Arc::new(table);
    Built {
        bytes: size_of_val(&*table.groups) + size_of_val(&*table.entries),
        reader: Groups(Arc::clone(&table)),
        writer: Pen(table, floor),
    }
}

impl<E: Entry> Reader for Groups<E> {
    type Answer = E::Words;
    const NOTHING: Self::Answer = E::NOTHING;

    #[inline]
    fn burst(&mut self, asked: Asked<'_>, out: &mut [Self::Answer]) {
        let table = &*self.0;
        let mut hashes = [Hash::default(); BURST];
        for (hash, key) in hashes.iter_mut().zip(asked.keys) {
            *hash = Hash::of(bits(*key));
            prefetch(&table.groups[table.home(*hash)]);
        }
        let mut places = [(0, 0); BURST];
        for (place, hash) in places.iter_mut().zip(&hashes) {
            let home = table.home(*hash);
            *place = table.candidates(home, hash.tag());
            if place.0 != 0 {
                prefetch(&table.entries[home * SLOTS + place.0.trailing_zeros() as usize]);
            }
        }
        for (((key, out), hash), (mask, high)) in
            asked.keys.iter().zip(out).zip(&hashes).zip(places)
        {
            table.finish(*hash, bits(*key), mask, high, out);
        }
    }

    #[inline]
    fn far(floor: &Floor, key: Key, answer: &Self::Answer) -> Option<Far> {
        (answer.as_ref()[0] != u64::MAX).then(|| E::far(floor, key, answer))
    }
}

impl<E: Entry> Writer for Pen<E> {
    fn update(&mut self, key: Key, n: u32, revision: u32) {
        let (group, slot) = self.0.locate(bits(key)).expect("it is there");
        let words = E::make(&self.1, key, host_of(n, revision), revision);
        self.0.write(group, slot, words);
    }
}
