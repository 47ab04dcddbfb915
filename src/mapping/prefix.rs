//! Prefixes of a vnet behind one host or node, longest first.
//!
//! Asked only for keys without an entry of their own. They are kept in a
//! second table of the same kind, so that adding, removing and growing are as
//! cheap and as harmless to readers as for single addresses: a million
//! prefixes are changed one by one, without a snapshot of all of them.
//!
//! A vnet that has prefixes has a *directory* entry: a number for the vnet and
//! one bit per prefix length in use up to 16. A /16 of it in which there are
//! longer ones has another, a *region*, with a bit for each length used there. A
//! prefix is stored under (number, length, address), so a lookup costs a probe
//! for each directory and one for each length that there may be, from the
//! longest: few, for a /16 has few different lengths in it, however many the
//! vnet has. The number only makes the key fit 64 bits; it may be given to
//! another vnet later, so each entry also holds its vni, and a reader with an
//! old directory takes nothing from a foreign vnet.
//!
//! The probes of a burst go side by side, so that they wait for memory together.

use std::{fmt, net::Ipv4Addr};

use arrayvec::ArrayVec;
use hashbrown::HashMap;

use super::{
    InsertError, Progress,
    arch::prefetch,
    entry::{Key, Mapping, Words},
    grow::{Cursor, RawWriter, Verdict},
    hash::Seed,
    published::Subscriber,
    reader::BURST,
    reclaim::Domain,
    table::Table,
};

/// Marks directory keys.
const DIRECTORY: u64 = 1 << 63;
const NUMBER_SHIFT: u32 = 38;
const LENGTH_SHIFT: u32 = 32;
/// Stands for a length in the key of a region.
const REGION: u8 = 63;
/// The longest prefixes that stand in the directory itself.
const SHORT: u8 = 16;
/// In a directory's lengths: there are regions.
const LONGER: u64 = 1 << 63;
/// Numbers fit the 25 bits between length and [`DIRECTORY`].
const MAX_VNETS: usize = 1 << 25;

/// Addresses of one vnet that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    vni: u32,
    addr: u32,
    len: u8,
}

/// Why a prefix is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Longer than an address.
    #[error("prefix length {0} is above 32")]
    Length(u8),
    /// The address says more than the length covers.
    #[error("{}/{len} has bits set beyond its length; write {}/{len}", Ipv4Addr::from_bits(*addr),
        Ipv4Addr::from_bits(*addr & mask(*len)))]
    HostBits {
        /// The address, host byte order.
        addr: u32,
        /// The length.
        len: u8,
    },
}

/// The first `len` bits; `len` is at most 32.
const fn mask(len: u8) -> u32 {
    match u32::MAX.checked_shl(32 - len as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

impl Prefix {
    /// `addr` (host byte order) must have no bits beyond `len`.
    pub const fn new(vni: u32, addr: u32, len: u8) -> Result<Self, PrefixError> {
        if len > 32 {
            return Err(PrefixError::Length(len));
        }
        if addr & !mask(len) != 0 {
            return Err(PrefixError::HostBits { addr, len });
        }
        Ok(Self { vni, addr, len })
    }

    /// The vnet.
    pub const fn vni(self) -> u32 {
        self.vni
    }

    /// The first address, host byte order.
    pub const fn addr(self) -> u32 {
        self.addr
    }

    /// How many bits are shared.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a prefix has a length, not elements"
    )]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether `key` is one of the addresses.
    pub const fn contains(self, key: Key) -> bool {
        key.vni() == self.vni && key.vaddr() & mask(self.len) == self.addr
    }

    fn key(self, number: u32) -> u64 {
        key(number, self.len, self.addr)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addr = Ipv4Addr::from_bits(self.addr);
        write!(f, "{:#08x}/{addr}/{}", self.vni, self.len)
    }
}

fn key(number: u32, len: u8, addr: u32) -> u64 {
    u64::from(number) << NUMBER_SHIFT | u64::from(len) << LENGTH_SHIFT | u64::from(addr)
}

fn directory(vni: u32) -> u64 {
    DIRECTORY | u64::from(vni)
}

fn region(number: u32, addr: u32) -> u64 {
    key(number, REGION, addr & mask(SHORT))
}

/// The mapping of the longest prefix that covers `key`.
pub(super) fn longest(table: &Table, key: Key) -> Option<Mapping> {
    let mut mapping = None;
    longest_burst(table, &[key], |_, words| {
        mapping = Some(Mapping::decode(words))
    });
    mapping
}

/// A key that is looked for, and what is still to be asked for it.
struct Search {
    /// Its place in the burst.
    at: usize,
    key: Key,
    number: u32,
    /// A bit for each length that there may be a prefix of; not 0.
    lengths: u64,
}

type Searches = ArrayVec<Search, BURST>;

impl Search {
    /// The longest prefix that may be there, as the table has it.
    fn prefix(&self) -> u64 {
        let len = self.lengths.ilog2() as u8;
        key(self.number, len, self.key.vaddr() & mask(len.min(32)))
    }

    /// Of an answer, what is of the key's own vnet.
    fn own(&self, words: Option<Words>) -> Option<Words> {
        words.filter(|words| words[2] == u64::from(self.key.vni()))
    }
}

/// [`longest`] for each of at most [`BURST`] keys: `found` hears of each that is
/// in a prefix, by its place.
pub(super) fn longest_burst(table: &Table, keys: &[Key], mut found: impl FnMut(usize, Words)) {
    let mut left = enter_directories(table, keys);
    enter_regions(table, &mut left);
    while !left.is_empty() {
        let answers = find_all(table, left.iter().map(Search::prefix));
        let mut answers = answers.into_iter();
        left.retain(|search| {
            let words = search.own(answers.next().flatten());
            if let Some(words) = words {
                found(search.at, words);
            }
            search.lengths ^= 1 << search.lengths.ilog2();
            words.is_none() && search.lengths != 0
        });
    }
}

/// The keys whose vnet has prefixes. Those of a burst are mostly of one vnet.
fn enter_directories(table: &Table, keys: &[Key]) -> Searches {
    let mut last = None;
    let search = |(at, key): (usize, &Key)| {
        let vnet = match last {
            Some((vni, vnet)) if vni == key.vni() => vnet,
            _ => table.find(directory(key.vni())),
        };
        last = Some((key.vni(), vnet));
        let [number, lengths, _] = vnet?;
        Some(Search {
            at,
            key: *key,
            number: number as u32,
            lengths,
        })
    };
    let keys = keys.iter().take(BURST).enumerate();
    keys.filter_map(search).collect()
}

/// Adds the lengths of each key's region, where the vnet has such.
fn enter_regions(table: &Table, left: &mut Searches) {
    let has = |search: &&Search| search.lengths & LONGER != 0;
    let regions = left.iter().filter(has);
    let answers = find_all(
        table,
        regions.map(|search| region(search.number, search.key.vaddr())),
    );
    let mut answers = answers.into_iter();
    left.retain(|search| {
        if search.lengths & LONGER != 0 {
            let words = search.own(answers.next().flatten());
            search.lengths = search.lengths & !LONGER | words.map_or(0, |words| words[1]);
        }
        search.lengths != 0
    });
}

/// The entries of at most [`BURST`] keys: all are fetched before any is read.
fn find_all(table: &Table, keys: impl Iterator<Item = u64>) -> ArrayVec<Option<Words>, BURST> {
    let keys: ArrayVec<u64, BURST> = keys.collect();
    let home = |key: &u64| table.home(table.hash(*key));
    keys.iter()
        .for_each(|key| prefetch(table.bucket(home(key))));
    // Prefixes have words in the second array too.
    keys.iter()
        .for_each(|key| table.fetch_rare(home(key), *key));
    keys.iter().map(|key| table.find(*key)).collect()
}

/// The writer's side.
pub(super) struct PrefixWriter {
    /// Holds directory entries too.
    table: RawWriter,
    vnets: HashMap<u32, Vnet>,
    /// Numbers that vnets without prefixes have given back.
    free: Vec<u32>,
    len: usize,
    limit: usize,
}

struct Vnet {
    number: u32,
    /// Prefixes of each length, of those of up to [`SHORT`] bits.
    short: [u32; SHORT as usize + 1],
    /// By their first two bytes, how many longer prefixes there are.
    regions: HashMap<u16, Region>,
}

/// Prefixes of each length from [`SHORT`] and one on.
type Region = [u32; 32 - SHORT as usize];

/// A bit for each length of which there are some, the first being `first`.
fn used(counts: &[u32], first: u8) -> u64 {
    let bits = counts.iter().rev();
    bits.fold(0, |bits, count| bits << 1 | u64::from(*count > 0)) << first
}

impl Vnet {
    fn new(number: u32) -> Vnet {
        Vnet {
            number,
            short: [0; SHORT as usize + 1],
            regions: HashMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.regions.is_empty() && self.short.iter().all(|count| *count == 0)
    }

    fn directory(&self) -> Words {
        let longer = if self.regions.is_empty() { 0 } else { LONGER };
        [u64::from(self.number), used(&self.short, 0) | longer, 0]
    }

    /// What stands in the region's entry, if it has prefixes.
    fn region(&self, prefix: Prefix) -> Option<Words> {
        let region = self.regions.get(&place(prefix))?;
        let lengths = used(region, SHORT + 1);
        Some([u64::from(self.number), lengths, u64::from(prefix.vni)])
    }

    fn count(&mut self, prefix: Prefix) -> &mut u32 {
        match prefix.len {
            0..=SHORT => &mut self.short[usize::from(prefix.len)],
            longer => {
                let region = self.regions.entry(place(prefix)).or_default();
                &mut region[usize::from(longer - SHORT - 1)]
            }
        }
    }

    /// Counts one less; a region of nothing is none.
    fn forget(&mut self, prefix: Prefix) {
        *self.count(prefix) -= 1;
        let is_empty = |region: &Region| region.iter().all(|count| *count == 0);
        if self.regions.get(&place(prefix)).is_some_and(is_empty) {
            self.regions.remove(&place(prefix));
        }
    }
}

fn place(prefix: Prefix) -> u16 {
    (prefix.addr >> 16) as u16
}

impl PrefixWriter {
    pub(super) fn new(domain: &Domain, limit: usize, seed: Seed) -> Result<Self, InsertError> {
        // A directory entry comes with at least one prefix, and so does a
        // region.
        let entries = limit.saturating_mul(3);
        Ok(Self {
            table: RawWriter::new(domain, entries, 0, seed)?,
            vnets: HashMap::new(),
            free: Vec::new(),
            len: 0,
            limit,
        })
    }

    pub(super) fn subscribe(&self) -> Subscriber<Table> {
        self.table.subscribe()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let regions = self.vnets.values().map(|vnet| vnet.regions.capacity());
        let regions = regions.sum::<usize>() * size_of::<(u16, Region)>();
        self.table.memory_bytes() + self.vnets.len() * size_of::<(u32, Vnet)>() + regions
    }

    pub(super) fn is_growing(&self) -> bool {
        self.table.is_growing()
    }

    pub(super) fn step(&mut self, budget: usize) -> Progress {
        self.table.step(budget)
    }

    pub(super) fn get(&self, prefix: Prefix) -> Option<Mapping> {
        let vnet = self.vnets.get(&prefix.vni)?;
        self.table.get(prefix.key(vnet.number)).map(Mapping::decode)
    }

    pub(super) fn insert(
        &mut self,
        prefix: Prefix,
        mapping: Mapping,
    ) -> Result<Option<Mapping>, InsertError> {
        let number = match self.vnets.get(&prefix.vni) {
            Some(vnet) => vnet.number,
            None => self.next_number()?,
        };
        let mut words = mapping.encode();
        words[2] = u64::from(prefix.vni);
        let key = prefix.key(number);
        if self.len >= self.limit && self.table.get(key).is_none() {
            return Err(self.full());
        }
        // First the prefix, then the directories that lead to it.
        let old = self.table.insert(key, words)?;
        if old.is_none()
            && let Err(error) = self.enter(prefix, number)
        {
            self.table.remove(key);
            return Err(error);
        }
        Ok(old.map(Mapping::decode))
    }

    pub(super) fn remove(&mut self, prefix: Prefix) -> Option<Mapping> {
        let vnet = self.vnets.get_mut(&prefix.vni)?;
        let old = self.table.remove(prefix.key(vnet.number))?;
        self.len -= 1;
        vnet.forget(prefix);
        self.leave(prefix);
        Some(Mapping::decode(old))
    }

    /// Makes the directories say what is counted, after something was taken
    /// out.
    fn leave(&mut self, prefix: Prefix) {
        let Some(vnet) = self.vnets.get(&prefix.vni) else {
            return;
        };
        if prefix.len > SHORT {
            let region = region(vnet.number, prefix.addr);
            match vnet.region(prefix) {
                // Replacing an entry takes no room, so it cannot fail.
                Some(words) => _ = self.table.insert(region, words),
                None => _ = self.table.remove(region),
            }
        }
        if vnet.is_empty() {
            self.free.push(vnet.number);
            self.vnets.remove(&prefix.vni);
            self.table.remove(directory(prefix.vni));
        } else {
            _ = self.table.insert(directory(prefix.vni), vnet.directory());
        }
    }

    pub(super) fn scan(
        &self,
        cursor: &mut Cursor,
        budget: usize,
        mut visit: impl FnMut(Prefix, Mapping),
    ) -> Progress {
        self.table.scan(cursor, budget, |key, words| {
            if let Some(prefix) = decode(key, words) {
                visit(prefix, Mapping::decode(words));
            }
        })
    }

    pub(super) fn sweep(
        &mut self,
        cursor: &mut Cursor,
        budget: usize,
        mut visit: impl FnMut(Prefix, Mapping) -> Verdict,
        mut removed: impl FnMut(Prefix, Mapping),
    ) -> Progress {
        let mut doomed = Vec::new();
        let progress = self.scan(cursor, budget, |prefix, mapping| {
            if visit(prefix, mapping) == Verdict::Remove {
                doomed.push((prefix, mapping));
            }
        });
        for (prefix, mapping) in doomed {
            self.remove(prefix);
            removed(prefix, mapping);
        }
        progress
    }

    /// Notes a new prefix in the directories of its vnet.
    fn enter(&mut self, prefix: Prefix, number: u32) -> Result<(), InsertError> {
        let vnet = self.vnets.entry(prefix.vni);
        let vnet = vnet.or_insert_with(|| Vnet::new(number));
        let is_first = vnet.is_empty();
        *vnet.count(prefix) += 1;
        if let Err(error) = self.write_directories(prefix) {
            // Only a first entry of its kind can be refused.
            let Some(vnet) = self.vnets.get_mut(&prefix.vni) else {
                return Err(error);
            };
            vnet.forget(prefix);
            if is_first {
                self.table.remove(region(number, prefix.addr));
                self.vnets.remove(&prefix.vni);
            } else {
                self.leave(prefix);
            }
            return Err(error);
        }
        if self.free.last() == Some(&number) {
            self.free.pop();
        }
        self.len += 1;
        Ok(())
    }

    /// The region before the vnet, which leads to it.
    fn write_directories(&mut self, prefix: Prefix) -> Result<(), InsertError> {
        let Some(vnet) = self.vnets.get(&prefix.vni) else {
            return Ok(());
        };
        if prefix.len > SHORT
            && let Some(words) = vnet.region(prefix)
        {
            self.table.insert(region(vnet.number, prefix.addr), words)?;
        }
        self.table.insert(directory(prefix.vni), vnet.directory())?;
        Ok(())
    }

    /// The number the next new vnet gets.
    fn next_number(&self) -> Result<u32, InsertError> {
        match self.free.last() {
            Some(&number) => Ok(number),
            None if self.vnets.len() < MAX_VNETS => Ok(self.vnets.len() as u32),
            None => Err(self.full()),
        }
    }

    fn full(&self) -> InsertError {
        InsertError::Full {
            limit: self.limit,
            current: self.len,
        }
    }
}

/// The prefix of a table entry; `None` for a directory or a region.
fn decode(key: u64, words: Words) -> Option<Prefix> {
    let len = (key >> LENGTH_SHIFT) as u8 & 0x3f;
    (key & DIRECTORY == 0 && len != REGION).then_some(Prefix {
        vni: words[2] as u32,
        addr: key as u32,
        len,
    })
}
