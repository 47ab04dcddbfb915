//! Prefixes of a vnet behind one host or node, longest first.
//!
//! Asked only for keys without an entry of their own. They are kept in a
//! second table of the same kind, so that adding, removing and growing are as
//! cheap and as harmless to readers as for single addresses: a million
//! prefixes are changed one by one, without a snapshot of all of them.
//!
//! A vnet that has prefixes has a *directory* entry: a number for the vnet and
//! one bit per prefix length in use. A prefix is stored under (number, length,
//! address), so a lookup costs one probe for the directory and one for each
//! length in use, from the longest. The number only makes the key fit 64 bits;
//! it may be given to another vnet later, so each entry also holds its vni,
//! and a reader with an old directory takes nothing from a foreign vnet.

use std::{fmt, net::Ipv4Addr};

use hashbrown::HashMap;

use super::{
    InsertError, Progress,
    entry::{Key, Mapping, Words},
    grow::{Cursor, RawWriter, Verdict},
    hash::Seed,
    published::Subscriber,
    reclaim::Domain,
    table::Table,
};

/// Marks directory keys.
const DIRECTORY: u64 = 1 << 63;
const NUMBER_SHIFT: u32 = 38;
const LENGTH_SHIFT: u32 = 32;
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

/// The mapping of the longest prefix that covers `key`.
pub(super) fn longest(table: &Table, key: Key) -> Option<Mapping> {
    let [number, mut lengths, _] = table.find(directory(key.vni()))?;
    while lengths != 0 {
        let len = lengths.ilog2() as u8;
        lengths &= !(1 << len);
        let prefix = self::key(number as u32, len, key.vaddr() & mask(len));
        if let Some(words) = table.find(prefix)
            && words[2] == u64::from(key.vni())
        {
            return Some(Mapping::decode(words));
        }
    }
    None
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
    /// Prefixes of each length.
    lengths: Box<[u32; 33]>,
}

impl Vnet {
    fn directory(&self) -> Words {
        let used = |(len, count): (usize, &u32)| u64::from(*count > 0) << len;
        let lengths = self.lengths.iter().enumerate().map(used).sum();
        [u64::from(self.number), lengths, 0]
    }
}

impl PrefixWriter {
    pub(super) fn new(domain: &Domain, limit: usize, seed: Seed) -> Result<Self, InsertError> {
        // A directory entry comes with at least one prefix.
        let entries = limit.saturating_mul(2);
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
        let vnet = size_of::<(u32, Vnet)>() + size_of::<[u32; 33]>();
        self.table.memory_bytes() + self.vnets.len() * vnet
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
        // First the prefix, then the directory that leads to it.
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
        vnet.lengths[usize::from(prefix.len)] -= 1;
        let words = vnet.directory();
        if words[1] == 0 {
            self.free.push(vnet.number);
            self.vnets.remove(&prefix.vni);
            self.table.remove(directory(prefix.vni));
        } else if vnet.lengths[usize::from(prefix.len)] == 0 {
            // Replacing an entry takes no room, so it cannot fail.
            let replaced = self.table.insert(directory(prefix.vni), words);
            debug_assert!(replaced.is_ok());
        }
        Some(Mapping::decode(old))
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

    /// Notes a new prefix in its vnet's directory.
    fn enter(&mut self, prefix: Prefix, number: u32) -> Result<(), InsertError> {
        let vnet = self.vnets.entry(prefix.vni).or_insert_with(|| Vnet {
            number,
            lengths: Box::new([0; 33]),
        });
        vnet.lengths[usize::from(prefix.len)] += 1;
        if let Err(error) = self.table.insert(directory(prefix.vni), vnet.directory()) {
            // Only a vnet's first entry can be refused.
            self.vnets.remove(&prefix.vni);
            return Err(error);
        }
        if self.free.last() == Some(&number) {
            self.free.pop();
        }
        self.len += 1;
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

/// The prefix of a table entry; `None` for a directory.
fn decode(key: u64, words: Words) -> Option<Prefix> {
    (key & DIRECTORY == 0).then_some(Prefix {
        vni: words[2] as u32,
        addr: key as u32,
        len: (key >> LENGTH_SHIFT) as u8 & 0x3f,
    })
}
