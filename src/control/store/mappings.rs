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
use crate::wire::{Vaddr, Vni};

const SHARDS: usize = 64;

/// What identifies a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub vni: Vni,
    pub prefix: Prefix4,
}

impl Key {
    /// Folded multiplication: spreads consecutive addresses over shards,
    /// buckets and tags, which look at different bits of it.
    fn hash(self) -> u64 {
        let word = u64::from(self.vni.0) << 32 | u64::from(self.prefix.address.0);
        let word = word ^ u64::from(self.prefix.len).wrapping_mul(0xa076_1d64_78bd_642f);
        let product = u128::from(word ^ 0x2d35_8dcc_aa6c_78a5) * 0x8bb8_4b93_962e_acc9;
        (product >> 64) as u64 ^ product as u64
    }
}

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

/// One stored mapping. `meta` holds the revision (53 bits), the origin (2),
/// the sync mark (1) and the prefix length (6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    vni: u32,
    address: u32,
    /// Host (24 bits) and, one more than it is, the slot at that host (8).
    place: u32,
    /// Second after which it is void; 0: never.
    expires: u32,
    meta: u64,
}

const _: () = assert!(size_of::<Slot>() == 24);

const REVISION: u64 = (1 << 53) - 1;
const HOST_BITS: u32 = 24;

/// Where something is: the index of a host, and a slot there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub host: u32,
    pub slot: Option<u8>,
}

impl Place {
    /// At no slot of its own.
    pub fn host(host: u32) -> Place {
        Place { host, slot: None }
    }

    fn word(self) -> u32 {
        debug_assert!(self.host >> HOST_BITS == 0, "fewer hosts than that");
        let slot = self.slot.map_or(0, |slot| u32::from(slot) + 1);
        slot << HOST_BITS | self.host
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("key", &self.key())
            .field("place", &self.place())
            .field("expires", &self.expires())
            .field("origin", &self.origin())
            .field("revision", &self.revision())
            .finish()
    }
}

impl Slot {
    pub fn new(
        key: Key,
        place: Place,
        expires: Option<u32>,
        origin: Origin,
        revision: u64,
        mark: bool,
    ) -> Slot {
        Slot {
            vni: key.vni.0,
            address: key.prefix.address.0,
            place: place.word(),
            expires: expires.unwrap_or(0),
            meta: (revision & REVISION)
                | (origin as u64) << 53
                | u64::from(mark) << 55
                | u64::from(key.prefix.len) << 56,
        }
    }

    pub fn key(&self) -> Key {
        Key {
            vni: Vni(self.vni),
            prefix: Prefix4 {
                address: Vaddr(self.address),
                len: (self.meta >> 56) as u8 & 0x3f,
            },
        }
    }

    pub fn place(&self) -> Place {
        let slot = (self.place >> HOST_BITS) as u8;
        Place {
            host: self.host(),
            slot: slot.checked_sub(1),
        }
    }

    pub fn host(&self) -> u32 {
        self.place & ((1 << HOST_BITS) - 1)
    }

    pub fn expires(&self) -> Option<u32> {
        (self.expires != 0).then_some(self.expires)
    }

    pub fn revision(&self) -> u64 {
        self.meta & REVISION
    }

    pub fn origin(&self) -> Origin {
        match self.meta >> 53 & 3 {
            0 => Origin::File,
            1 => Origin::Operator,
            _ => Origin::Agent,
        }
    }

    pub fn mark(&self) -> bool {
        self.meta >> 55 & 1 != 0
    }

    pub fn set_mark(&mut self, mark: bool) {
        self.meta = self.meta & !(1 << 55) | u64::from(mark) << 55;
    }
}

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

/// Every mapping there is.
#[derive(Debug)]
pub struct Mappings {
    shards: Vec<HashTable<Slot>>,
    len: usize,
    expiring: usize,
    /// Mappings by prefix length, so that a longest match tries few.
    lengths: [usize; 33],
    by_vni: HashMap<u32, usize>,
    by_host: Vec<usize>,
    by_origin: [usize; 3],
}

impl Default for Mappings {
    fn default() -> Mappings {
        Mappings {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            len: 0,
            expiring: 0,
            lengths: [0; 33],
            by_vni: HashMap::new(),
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
        self.shards.iter().map(HashTable::allocation_size).sum()
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

    pub fn of_host(&self, host: u32) -> usize {
        self.by_host.get(host as usize).copied().unwrap_or(0)
    }

    pub fn of_origin(&self, origin: Origin) -> usize {
        self.by_origin[origin as usize]
    }

    pub fn get(&self, key: Key) -> Option<&Slot> {
        let hash = key.hash();
        self.shards[shard_of(hash)].find(hash, |slot| slot.key() == key)
    }

    /// Longest prefix that holds the address.
    pub fn longest(&self, vni: Vni, address: Vaddr) -> Option<&Slot> {
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
        let key = slot.key();
        let hash = key.hash();
        self.count(&slot, true);
        let entry = self.shards[shard_of(hash)].entry(
            hash,
            |other| other.key() == key,
            |other| other.key().hash(),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(mut place) => {
                let old = std::mem::replace(place.get_mut(), slot);
                self.count(&old, false);
                Some(old)
            }
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(slot);
                None
            }
        }
    }

    pub fn take(&mut self, key: Key) -> Option<Slot> {
        let hash = key.hash();
        let found = self.shards[shard_of(hash)].find_entry(hash, |slot| slot.key() == key);
        let (slot, _) = found.ok()?.remove();
        self.count(&slot, false);
        Some(slot)
    }

    /// Sets the sync mark of one.
    pub fn mark(&mut self, key: Key, mark: bool) {
        let hash = key.hash();
        if let Some(slot) = self.shards[shard_of(hash)].find_mut(hash, |slot| slot.key() == key) {
            slot.set_mark(mark);
        }
    }

    fn count(&mut self, slot: &Slot, more: bool) {
        let host = slot.host() as usize;
        if self.by_host.len() <= host {
            self.by_host.resize(host + 1, 0);
        }
        let counts = [
            &mut self.len,
            &mut self.lengths[usize::from(slot.key().prefix.len).min(32)],
            &mut self.by_host[host],
            &mut self.by_origin[slot.origin() as usize],
            self.by_vni.entry(slot.vni).or_insert(0),
        ];
        for count in counts {
            *count = if more {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
        if slot.expires != 0 {
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
            if cursor.buckets != shard.num_buckets() {
                cursor.buckets = shard.num_buckets();
                cursor.bucket = 0;
            }
            while cursor.bucket < cursor.buckets {
                if buckets == 0 {
                    return false;
                }
                buckets -= 1;
                cursor.bucket += 1;
                if let Some(slot) = shard.get_bucket(cursor.bucket - 1)
                    && !visit(slot)
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
            while cursor.bucket < shard.num_buckets() {
                if left == 0 {
                    return false;
                }
                left -= 1;
                if let Some(slot) = shard.get_bucket_mut(cursor.bucket)
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
    fn every_field_of_a_slot_comes_back() {
        for (len, origin, revision, mark, at) in [
            (0, Origin::File, 0, false, None),
            (32, Origin::Operator, REVISION, true, Some(0)),
            (24, Origin::Agent, 5, false, Some(63)),
        ] {
            let key = key(0x0a00_0003, len);
            let place = Place {
                host: 0x10_0000,
                slot: at,
            };
            let slot = Slot::new(key, place, Some(9), origin, revision, mark);
            assert_eq!(slot.key(), key);
            assert_eq!((slot.place(), slot.expires()), (place, Some(9)));
            assert_eq!(slot.host(), place.host);
            assert_eq!(
                (slot.origin(), slot.revision(), slot.mark()),
                (origin, revision, mark)
            );
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
        let host = |n| all.longest(Vni(0x5a_0001), Vaddr(n)).map(Slot::host);
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
            let before: Vec<usize> = all.shards.iter().map(HashTable::capacity).collect();
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
            let grown = moved.filter(|(shard, before)| shard.capacity() != **before);
            // Entries that had to move in this batch.
            let moved: usize = grown.map(|(_, before)| before).sum();
            if batch >= 64 {
                most = most.max(moved);
            }
        }
        assert!(most < 256_000 / 8, "{most} entries moved in one batch");
        let (first, last) = (all.shards[0].len(), all.shards[SHARDS - 1].len());
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
