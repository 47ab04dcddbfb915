//! The writer's side.
//!
//! An entry comes before what leads to it, and goes before it too, so that a
//! reader is never led past a prefix that is there all the while.

use hashbrown::HashMap;

use super::{
    Prefix,
    node::{self, Directory, LEVELS, MAX_VNETS, directory_key, node_key, prefix_key},
    numbers::Numbers,
};
use crate::mapping::{
    InsertError, Progress,
    entry::Mapping,
    grow::{Cursor, RawWriter, Verdict},
    hash::Seed,
    published::Subscriber,
    reclaim::Domain,
    table::Table,
};

pub(in super::super) struct PrefixWriter {
    /// Holds directories and nodes too.
    table: RawWriter,
    vnets: HashMap<u32, Vnet>,
    numbers: Numbers,
    len: usize,
    limit: usize,
}

struct Vnet {
    number: u32,
    /// Of the prefixes that stand in the directory.
    bits: u64,
    /// How many other prefixes there are, by level.
    counts: [u32; LEVELS as usize],
}

impl Vnet {
    fn new(number: u32) -> Vnet {
        Vnet {
            number,
            bits: 0,
            counts: [0; LEVELS as usize],
        }
    }

    fn directory(&self) -> Directory {
        let counts = self.counts.iter().rev();
        Directory {
            number: self.number,
            levels: counts.fold(0, |bits, count| bits << 1 | u8::from(*count > 0)),
            bits: self.bits,
        }
    }

    fn is_empty(&self) -> bool {
        self.bits == 0 && self.counts == [0; LEVELS as usize]
    }

    /// Counts a prefix that is new.
    fn add(&mut self, prefix: Prefix) {
        match node::bit(prefix) {
            (Some(level), _) => self.counts[usize::from(level)] += 1,
            (None, bit) => self.bits |= bit,
        }
    }

    fn take(&mut self, prefix: Prefix) {
        match node::bit(prefix) {
            (Some(level), _) => self.counts[usize::from(level)] -= 1,
            (None, bit) => self.bits &= !bit,
        }
    }
}

impl PrefixWriter {
    pub(in super::super) fn new(
        domain: &Domain,
        limit: usize,
        seed: Seed,
    ) -> Result<Self, InsertError> {
        // A directory comes with at least one prefix, and so does a node.
        let entries = limit.saturating_mul(3);
        Ok(Self {
            table: RawWriter::new(domain, entries, 0, seed)?,
            vnets: HashMap::new(),
            numbers: Numbers::new(domain, MAX_VNETS),
            len: 0,
            limit,
        })
    }

    pub(in super::super) fn subscribe(&self) -> Subscriber<Table> {
        self.table.subscribe()
    }

    pub(in super::super) fn len(&self) -> usize {
        self.len
    }

    pub(in super::super) fn memory_bytes(&self) -> usize {
        let vnets = self.vnets.capacity() * size_of::<(u32, Vnet)>();
        self.table.memory_bytes() + vnets + self.numbers.memory_bytes()
    }

    pub(in super::super) fn is_growing(&self) -> bool {
        self.table.is_growing()
    }

    pub(in super::super) fn step(&mut self, budget: usize) -> Progress {
        self.table.step(budget)
    }

    pub(in super::super) fn get(&self, prefix: Prefix) -> Option<Mapping> {
        let vnet = self.vnets.get(&prefix.vni)?;
        self.table
            .get(key(prefix, vnet.number))
            .map(Mapping::decode)
    }

    pub(in super::super) fn insert(
        &mut self,
        prefix: Prefix,
        mapping: Mapping,
    ) -> Result<Option<Mapping>, InsertError> {
        let known = self.vnets.get(&prefix.vni).map(|vnet| vnet.number);
        let has = |number| self.table.get(key(prefix, number)).is_some();
        if self.len >= self.limit && !known.is_some_and(has) {
            return Err(self.full());
        }
        let Some(number) = known.or_else(|| self.numbers.take(prefix.vni)) else {
            return Err(self.full());
        };
        let done = self.put(prefix, number, mapping);
        if done.is_err() && known.is_none() {
            self.numbers.give_back_unseen(number);
        }
        done
    }

    fn put(
        &mut self,
        prefix: Prefix,
        number: u32,
        mapping: Mapping,
    ) -> Result<Option<Mapping>, InsertError> {
        let key = key(prefix, number);
        let old = self.table.insert(key, mapping.encode())?;
        if old.is_none()
            && let Err(error) = self.enter(prefix, number)
        {
            self.table.remove(key);
            return Err(error);
        }
        Ok(old.map(Mapping::decode))
    }

    pub(in super::super) fn remove(&mut self, prefix: Prefix) -> Option<Mapping> {
        let vnet = self.vnets.get_mut(&prefix.vni)?;
        let number = vnet.number;
        let old = self.table.remove(key(prefix, number))?;
        let before = vnet.directory();
        vnet.take(prefix);
        let (after, is_empty) = (vnet.directory(), vnet.is_empty());
        self.len -= 1;
        self.unmark(prefix, number);
        if is_empty {
            self.vnets.remove(&prefix.vni);
            self.table.remove(directory_key(prefix.vni));
            self.numbers.give_back(number);
        } else if after != before {
            // Replacing an entry takes no room, so it cannot fail.
            _ = self.table.insert(directory_key(prefix.vni), after.encode());
        }
        Some(Mapping::decode(old))
    }

    pub(in super::super) fn scan(
        &self,
        cursor: &mut Cursor,
        budget: usize,
        mut visit: impl FnMut(Prefix, Mapping),
    ) -> Progress {
        self.table.scan(cursor, budget, |key, words| {
            if let Some((number, len, addr)) = node::decode(key)
                && let Some(vni) = self.numbers.vnet(number)
            {
                visit(Prefix { vni, addr, len }, Mapping::decode(words));
            }
        })
    }

    pub(in super::super) fn sweep(
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

    /// Makes a new prefix known: first in its node, then in the directory,
    /// which leads there.
    fn enter(&mut self, prefix: Prefix, number: u32) -> Result<(), InsertError> {
        self.mark(prefix, number)?;
        let vnet = self.vnets.entry(prefix.vni);
        let vnet = vnet.or_insert_with(|| Vnet::new(number));
        let (is_new, before) = (vnet.is_empty(), vnet.directory());
        vnet.add(prefix);
        let after = vnet.directory();
        if after != before
            && let Err(error) = self.table.insert(directory_key(prefix.vni), after.encode())
        {
            vnet.take(prefix);
            if is_new {
                self.vnets.remove(&prefix.vni);
            }
            self.unmark(prefix, number);
            return Err(error);
        }
        self.len += 1;
        Ok(())
    }

    /// Sets the bit of a prefix in its node, which may be a new one.
    fn mark(&mut self, prefix: Prefix, number: u32) -> Result<(), InsertError> {
        if let (Some(level), bit) = node::bit(prefix) {
            let key = node_key(number, level, prefix.addr);
            let bits = self.table.get(key).map_or(0, |words| words[0]);
            self.table.insert(key, [bits | bit, 0, 0])?;
        }
        Ok(())
    }

    /// Clears it; a node of nothing is none.
    fn unmark(&mut self, prefix: Prefix, number: u32) {
        if let (Some(level), bit) = node::bit(prefix) {
            let key = node_key(number, level, prefix.addr);
            match self.table.get(key).map_or(0, |words| words[0]) & !bit {
                0 => _ = self.table.remove(key),
                // Replacing an entry takes no room, so it cannot fail.
                bits => _ = self.table.insert(key, [bits, 0, 0]),
            }
        }
    }

    fn full(&self) -> InsertError {
        InsertError::Full {
            limit: self.limit,
            current: self.len,
        }
    }
}

fn key(prefix: Prefix, number: u32) -> u64 {
    prefix_key(number, prefix.len, prefix.addr)
}
