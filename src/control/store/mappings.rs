//! A million mappings, compactly: 24 bytes each in hash tables.
//!
//! Sixty-four tables instead of one, because a table that grows is rehashed in
//! one go: a shard of a million takes a fraction of a millisecond, the whole
//! would stop the control thread for tens of them. Shards of equal shares would
//! all grow at the same moment and win nothing, so their shares differ: from
//! the first to the last by nearly a factor of two, in equal steps of the
//! logarithm, and one grows after the other. For the same reason every walk
//! over all mappings (sweep, expiry, listing) goes by a cursor in steps.

use hashbrown::{HashMap, HashTable};

use crate::model::Origin;
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr, Vni};

use super::slot::Packed;
pub use super::slot::{Key, Place, Slot};

const SHARDS: usize = 64;

fn shard_of(hash: u64) -> usize {
    usize::from(SHARES[(hash >> 40) as usize % SHARES.len()])
}

/// The shard of each of 4096 parts of all hashes: shard n gets those between
/// 2^(n/64) - 1 and 2^((n+1)/64) - 1.
static SHARES: [u8; 4096] = {
    // 2^(1/64)
    const STEP: f64 = 1.010_889_286_051_700_5;
    let mut shares = [0; 4096];
    let (mut shard, mut end) = (0, STEP);
    let mut part = 0;
    while part < shares.len() {
        if 1.0 + part as f64 / shares.len() as f64 >= end && shard + 1 < SHARDS as u8 {
            shard += 1;
            end *= STEP;
        }
        shares[part] = shard;
        part += 1;
    }
    shares
};

/// A place in a walk over all mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    shard: usize,
    bucket: usize,
    /// Buckets the shard had; when it has grown the shard is begun again.
    buckets: usize,
}

impl Cursor {
    pub fn to_text(self) -> String {
        format!("{}:{}:{}", self.shard, self.bucket, self.buckets)
    }

    pub fn from_text(text: &str) -> Option<Cursor> {
        let mut parts = text.split(':').map(|part| part.parse::<usize>().ok());
        let cursor = Cursor {
            shard: parts.next()??,
            bucket: parts.next()??,
            buckets: parts.next()??,
        };
        (parts.next().is_none() && cursor.shard < SHARDS).then_some(cursor)
    }
}

/// A part of all mappings, and the MACs of those that have one.
#[derive(Debug, Default)]
struct Shard {
    slots: HashTable<Packed>,
    macs: HashMap<Key, Mac>,
}

impl Shard {
    fn get(&self, hash: u64, key: Key) -> Option<Slot> {
        let packed = self.slots.find(hash, |slot| slot.key() == key)?;
        Some(self.whole(*packed))
    }

    fn whole(&self, packed: Packed) -> Slot {
        let mac = match packed.has_mac() {
            true => self.macs.get(&packed.key()).copied(),
            false => None,
        };
        Slot::of(packed, mac)
    }

    fn put(&mut self, hash: u64, slot: Slot) -> Option<Slot> {
        let key = slot.key();
        let mac = match slot.mac() {
            Some(mac) => self.macs.insert(key, mac),
            None if self.macs.is_empty() => None,
            None => self.macs.remove(&key),
        };
        let entry = self
            .slots
            .entry(hash, |other| other.key() == key, |other| other.key().hash());
        match entry {
            hashbrown::hash_table::Entry::Occupied(mut place) => {
                let old = std::mem::replace(place.get_mut(), slot.packed());
                Some(Slot::of(old, mac))
            }
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(slot.packed());
                None
            }
        }
    }

    fn take(&mut self, hash: u64, key: Key) -> Option<Slot> {
        let found = self.slots.find_entry(hash, |slot| slot.key() == key);
        let (packed, _) = found.ok()?.remove();
        let mac = match packed.has_mac() {
            true => self.macs.remove(&key),
            false => None,
        };
        Some(Slot::of(packed, mac))
    }
}

/// Every mapping there is.
#[derive(Debug)]
pub struct Mappings {
    shards: Vec<Shard>,
    len: usize,
    expiring: usize,
    /// Mappings by prefix length, so that a longest match tries few.
    lengths: [usize; 33],
    by_vni: HashMap<u32, usize>,
    /// Those of a vnet that have a MAC.
    macs: HashMap<u32, usize>,
    by_host: Vec<usize>,
    by_origin: [usize; 3],
}

impl Default for Mappings {
    fn default() -> Mappings {
        Mappings {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            len: 0,
            expiring: 0,
            lengths: [0; 33],
            by_vni: HashMap::new(),
            macs: HashMap::new(),
            by_host: Vec::new(),
            by_origin: [0; 3],
        }
    }
}

impl Mappings {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the tables, the empty places included.
    pub fn bytes(&self) -> usize {
        let of = |shard: &Shard| shard.slots.allocation_size() + shard.macs.allocation_size();
        self.shards.iter().map(of).sum()
    }

    /// How many may expire.
    pub fn expiring(&self) -> usize {
        self.expiring
    }

    /// Those of addresses, and those of prefixes.
    pub fn by_length(&self) -> (usize, usize) {
        let addresses = self.lengths[32];
        (addresses, self.len - addresses)
    }

    pub fn of_vni(&self, vni: Vni) -> usize {
        self.by_vni.get(&vni.0).copied().unwrap_or(0)
    }

    /// How many of a vnet have a MAC.
    pub fn macs_of(&self, vni: Vni) -> usize {
        self.macs.get(&vni.0).copied().unwrap_or(0)
    }

    pub fn of_host(&self, host: u32) -> usize {
        self.by_host.get(host as usize).copied().unwrap_or(0)
    }

    pub fn of_origin(&self, origin: Origin) -> usize {
        self.by_origin[origin as usize]
    }

    pub fn get(&self, key: Key) -> Option<Slot> {
        let hash = key.hash();
        self.shards[shard_of(hash)].get(hash, key)
    }

    /// Longest prefix that holds the address.
    pub fn longest(&self, vni: Vni, address: Vaddr) -> Option<Slot> {
        (0..=32u8)
            .rev()
            .filter(|len| self.lengths[usize::from(*len)] > 0)
            .find_map(|len| {
                let address = Vaddr(address.0 & Prefix4::mask(len));
                let prefix = Prefix4 { address, len };
                self.get(Key { vni, prefix })
            })
    }

    /// Stores; gives back what was there.
    pub fn put(&mut self, slot: Slot) -> Option<Slot> {
        let hash = slot.key().hash();
        self.count(&slot, true);
        let old = self.shards[shard_of(hash)].put(hash, slot)?;
        self.count(&old, false);
        Some(old)
    }

    pub fn take(&mut self, key: Key) -> Option<Slot> {
        let hash = key.hash();
        let slot = self.shards[shard_of(hash)].take(hash, key)?;
        self.count(&slot, false);
        Some(slot)
    }

    /// Sets the sync mark of one.
    pub fn mark(&mut self, key: Key, mark: bool) {
        let hash = key.hash();
        let slots = &mut self.shards[shard_of(hash)].slots;
        if let Some(slot) = slots.find_mut(hash, |slot| slot.key() == key) {
            slot.set_mark(mark);
        }
    }

    fn count(&mut self, slot: &Slot, more: bool) {
        let (host, vni) = (slot.host() as usize, slot.key().vni.0);
        if self.by_host.len() <= host {
            self.by_host.resize(host + 1, 0);
        }
        let counts = [
            &mut self.len,
            &mut self.lengths[usize::from(slot.key().prefix.len).min(32)],
            &mut self.by_host[host],
            &mut self.by_origin[slot.origin() as usize],
            self.by_vni.entry(vni).or_insert(0),
        ];
        let of_mac = slot.has_mac().then(|| self.macs.entry(vni).or_insert(0));
        for count in counts.into_iter().chain(of_mac) {
            *count = if more {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
        if slot.expires().is_some() {
            self.expiring = match more {
                true => self.expiring + 1,
                false => self.expiring.saturating_sub(1),
            };
        }
    }

    /// Shows up to `buckets` places from the cursor on to `visit`, which stops
    /// the walk by returning false. True: the walk is at its end.
    pub fn walk(
        &self,
        cursor: &mut Cursor,
        mut buckets: usize,
        mut visit: impl FnMut(&Slot) -> bool,
    ) -> bool {
        while let Some(shard) = self.shards.get(cursor.shard) {
            let slots = &shard.slots;
            if cursor.buckets != slots.num_buckets() {
                cursor.buckets = slots.num_buckets();
                cursor.bucket = 0;
            }
            while cursor.bucket < cursor.buckets {
                if buckets == 0 {
                    return false;
                }
                buckets -= 1;
                cursor.bucket += 1;
                if let Some(packed) = slots.get_bucket(cursor.bucket - 1)
                    && !visit(&shard.whole(*packed))
                {
                    return false;
                }
            }
            *cursor = Cursor {
                shard: cursor.shard + 1,
                ..Cursor::default()
            };
        }
        true
    }

    /// Sets the mark of those of one origin; as [`Mappings::walk`].
    pub fn remark(
        &mut self,
        cursor: &mut Cursor,
        buckets: usize,
        origin: Origin,
        mark: bool,
    ) -> bool {
        let mut left = buckets;
        while let Some(shard) = self.shards.get_mut(cursor.shard) {
            while cursor.bucket < shard.slots.num_buckets() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                if let Some(slot) = shard.slots.get_bucket_mut(cursor.bucket)
                    && slot.origin() == origin
                {
                    slot.set_mark(mark);
                }
                cursor.bucket += 1;
            }
            *cursor = Cursor {
                shard: cursor.shard + 1,
                ..Cursor::default()
            };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32, len: u8) -> Key {
        Key {
            vni: Vni(0x5a_0001),
            prefix: Prefix4 {
                address: Vaddr(n & Prefix4::mask(len)),
                len,
            },
        }
    }

    #[test]
    fn counts_follow_what_is_stored() {
        let mut all = Mappings::default();
        for n in 0..1000 {
            all.put(Slot::new(
                key(n, 32),
                Place::host(n % 3),
                (n < 10).then_some(5),
                Origin::Agent,
                1,
                false,
            ));
        }
        assert_eq!(
            (all.len(), all.expiring(), all.of_vni(Vni(0x5a_0001))),
            (1000, 10, 1000)
        );
        assert_eq!(all.of_host(0), 334);
        all.put(Slot::new(
            key(0, 32),
            Place::host(1),
            None,
            Origin::File,
            2,
            false,
        ));
        assert_eq!(
            (all.of_host(0), all.of_host(1), all.expiring()),
            (333, 334, 9)
        );
        for n in 0..1000 {
            assert!(all.take(key(n, 32)).is_some());
        }
        assert_eq!((all.len(), all.expiring(), all.of_host(1)), (0, 0, 0));
        assert!(all.take(key(0, 32)).is_none());
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mut all = Mappings::default();
        all.put(Slot::new(
            key(0, 0),
            Place::host(0),
            None,
            Origin::File,
            0,
            false,
        ));
        all.put(Slot::new(
            key(0x0a00_0000, 24),
            Place::host(1),
            None,
            Origin::File,
            0,
            false,
        ));
        all.put(Slot::new(
            key(0x0a00_0003, 32),
            Place::host(2),
            None,
            Origin::File,
            0,
            false,
        ));
        let host = |n| {
            all.longest(Vni(0x5a_0001), Vaddr(n))
                .map(|slot| slot.host())
        };
        assert_eq!(host(0x0a00_0003), Some(2));
        assert_eq!(host(0x0a00_0004), Some(1));
        assert_eq!(host(0x0b00_0004), Some(0));
        assert!(all.longest(Vni(1), Vaddr(0)).is_none());
    }

    #[test]
    fn shards_do_not_grow_all_at_once() {
        let mut all = Mappings::default();
        let mut most = 0;
        for batch in 0..256 {
            let before: Vec<usize> = all
                .shards
                .iter()
                .map(|shard| shard.slots.capacity())
                .collect();
            for n in batch * 1000..(batch + 1) * 1000 {
                let origin = Origin::Agent;
                all.put(Slot::new(
                    key(0x0a80_0000 + n, 32),
                    Place::host(0),
                    None,
                    origin,
                    1,
                    false,
                ));
            }
            let moved = all.shards.iter().zip(&before);
            let grown = moved.filter(|(shard, before)| shard.slots.capacity() != **before);
            // Entries that had to move in this batch.
            let moved: usize = grown.map(|(_, before)| before).sum();
            if batch >= 64 {
                most = most.max(moved);
            }
        }
        assert!(most < 256_000 / 8, "{most} entries moved in one batch");
        let (first, last) = (
            all.shards[0].slots.len(),
            all.shards[SHARDS - 1].slots.len(),
        );
        assert!(
            first * 3 / 2 < last && last < first * 5 / 2,
            "{first} {last}"
        );
    }

    #[test]
    fn a_walk_in_steps_sees_everything_once() {
        let mut all = Mappings::default();
        for n in 0..5000 {
            let slot = Slot::new(key(n, 32), Place::host(0), None, Origin::File, 0, false);
            all.put(slot);
        }
        let mut seen = vec![0; 5000];
        let mut cursor = Cursor::default();
        while !all.walk(&mut cursor, 100, |slot| {
            seen[slot.key().prefix.address.0 as usize] += 1;
            true
        }) {
            cursor = Cursor::from_text(&cursor.to_text()).unwrap();
        }
        assert!(seen.iter().all(|n| *n == 1));
        for bad in ["", "1", "1:2", "64:0:0", "1:2:3:4", "x:0:0", "-1:0:0"] {
            assert!(Cursor::from_text(bad).is_none(), "{bad}");
        }
    }
}
