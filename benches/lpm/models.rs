//! Tables of the bench's own: what else could have been chosen.

use hashbrown::HashMap;
use weft::lpm::{BURST, Lpm};
use weft::wire::Vaddr;
use weft::wire::address::Prefix4;

use crate::candidate::{Candidate, NOTHING, each};
use crate::routes::Route;

/// One load for the first 24 bits; where that says so, one more.
pub(crate) struct Direct {
    first: Vec<u32>,
    second: Vec<[u32; 256]>,
}

const FURTHER: u32 = 1 << 31;

impl Direct {
    pub(crate) fn build(routes: &[Route]) -> Direct {
        let mut table = Direct {
            first: vec![NOTHING; 1 << 24],
            second: Vec::new(),
        };
        let mut sorted = routes.to_vec();
        sorted.sort_by_key(|(prefix, _)| prefix.len);
        for (prefix, value) in sorted {
            let start = prefix.address.0 >> 8;
            if prefix.len <= 24 {
                let slots = 1 << (24 - prefix.len);
                table.first[start as usize..][..slots].fill(value);
                continue;
            }
            let slot = &mut table.first[start as usize];
            if *slot & FURTHER == 0 {
                table.second.push([*slot; 256]);
                *slot = FURTHER | (table.second.len() - 1) as u32;
            }
            let group = &mut table.second[(*slot & !FURTHER) as usize];
            let last = (prefix.address.0 & 0xff) as usize;
            group[last..][..1 << (32 - prefix.len)].fill(value);
        }
        table
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let mut value = self.first[(address.0 >> 8) as usize];
        if value & FURTHER != 0 {
            value = self.second[(value & !FURTHER) as usize][(address.0 & 0xff) as usize];
        }
        (value != NOTHING).then_some(value)
    }
}

/// A hash, asked for each length in use.
pub(crate) struct Lengths {
    table: HashMap<(u32, u8), u32>,
    used: Vec<u8>,
}

impl Lengths {
    pub(crate) fn build(routes: &[Route]) -> Lengths {
        let mut used: Vec<u8> = routes.iter().map(|(prefix, _)| prefix.len).collect();
        used.sort_unstable_by(|a, b| b.cmp(a));
        used.dedup();
        let entry = |(prefix, value): &(Prefix4, u32)| ((prefix.address.0, prefix.len), *value);
        Lengths {
            table: routes.iter().map(entry).collect(),
            used,
        }
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let key = |len: &u8| (address.0 & Prefix4::mask(*len), *len);
        let mut lens = self.used.iter();
        lens.find_map(|len| self.table.get(&key(len)).copied())
    }
}

/// Ranges in order, found by halving.
pub(crate) struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    pub(crate) fn build(lpm: &Lpm, routes: &[Route]) -> Ranges {
        let ends = routes.iter().flat_map(|(prefix, _)| {
            let first = prefix.address.0;
            [
                Some(first),
                (first | !Prefix4::mask(prefix.len)).checked_add(1),
            ]
        });
        let mut starts: Vec<u32> = ends.flatten().chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let value = |start: u32| (start, lpm.find(Vaddr(start)).unwrap_or(NOTHING));
        Ranges(starts.into_iter().map(value).collect())
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let after = self.0.partition_point(|(start, _)| *start <= address.0);
        let value = self.0[after - 1].1;
        (value != NOTHING).then_some(value)
    }
}

/// As candidates, for one vnet.
pub(crate) enum Model {
    Direct(Direct),
    Lengths(Lengths),
    Ranges(Ranges),
}

impl Candidate for Model {
    fn name(&self) -> &'static str {
        match self {
            Model::Direct(_) => "24 bits and 8, own",
            Model::Lengths(_) => "hash, every length",
            Model::Ranges(_) => "ranges, by halving",
        }
    }

    fn find(&self, _: usize, addresses: &[Vaddr; BURST], out: &mut [u32; BURST]) {
        match self {
            Model::Direct(it) => each(addresses, out, |address| it.find(address)),
            Model::Lengths(it) => each(addresses, out, |address| it.find(address)),
            Model::Ranges(it) => each(addresses, out, |address| it.find(address)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Model::Direct(it) => size_of_val(&*it.first) + size_of_val(&*it.second),
            Model::Lengths(it) => it.table.allocation_size(),
            Model::Ranges(it) => size_of_val(&*it.0),
        }
    }

    fn change(&mut self, _: usize, _: Route) -> bool {
        false
    }

    fn beside(&self) -> &'static str {
        "go on, with the table before"
    }
}
