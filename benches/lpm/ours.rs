//! The tables of weft.

use hashbrown::HashMap;
use weft::lpm::{BURST, Lpm};
use weft::mapping::{
    Domain, Found, HostIndex, Key, Limits, Mapping, Participant, Prefix, Reader, Target, Writer,
};
use weft::model::Eam;
use weft::siit::rfc7757::Eams;
use weft::wire::address::Prefix4;
use weft::wire::{Prefix6, Vaddr};

use crate::candidate::{Candidate, NOTHING, each};
use crate::routes::Route;

/// The persistent trie, one for each vnet.
pub(crate) struct Trie {
    pub(crate) vnets: Vec<Lpm>,
    pub(crate) by_burst: bool,
}

impl Trie {
    pub(crate) fn build(vnets: &[Vec<Route>], by_burst: bool) -> Trie {
        let trie = |routes: &Vec<Route>| Lpm::build(routes.iter().copied());
        Trie {
            vnets: vnets.iter().map(trie).collect(),
            by_burst,
        }
    }
}

impl Candidate for Trie {
    fn name(&self) -> &'static str {
        if self.by_burst {
            "trie, burst"
        } else {
            "trie, one by one"
        }
    }

    fn find(&self, vnet: usize, addresses: &[Vaddr; BURST], out: &mut [u32; BURST]) {
        let trie = &self.vnets[vnet];
        if !self.by_burst {
            return each(addresses, out, |address| trie.find(address));
        }
        let mut found = [None; BURST];
        trie.find_burst(addresses, u32::MAX, &mut found);
        *out = found.map(|value| value.unwrap_or(NOTHING));
    }

    fn bytes(&self) -> usize {
        self.vnets.iter().map(Lpm::bytes).sum()
    }

    fn change(&mut self, vnet: usize, (prefix, value): Route) -> bool {
        // Workers have it.
        let _before = self.vnets[vnet].clone();
        self.vnets[vnet].remove(prefix);
        self.vnets[vnet].insert(prefix, value);
        true
    }

    fn beside(&self) -> &'static str {
        "go on, with the table before"
    }
}

fn vni(vnet: usize) -> u32 {
    0x5a_0001 + vnet as u32
}

/// The prefixes of the mapping table, all vnets in one.
pub(crate) struct Prefixes {
    writer: Writer,
    reader: Reader,
    worker: Participant,
}

impl Prefixes {
    pub(crate) fn build(vnets: &[Vec<Route>]) -> Prefixes {
        let domain = Domain::default();
        let limits = Limits {
            prefixes: vnets.iter().map(Vec::len).sum::<usize>() + 1,
            ..Limits::default()
        };
        let mut writer = Writer::new(&domain, limits).expect("memory");
        for (vnet, routes) in vnets.iter().enumerate() {
            for route in routes {
                insert(&mut writer, vnet, *route);
            }
        }
        Prefixes {
            reader: writer.readers().reader(),
            worker: domain.register().expect("few"),
            writer,
        }
    }
}

fn insert(writer: &mut Writer, vnet: usize, (prefix, value): Route) {
    let prefix = Prefix::new(vni(vnet), prefix.address.0, prefix.len).expect("a prefix");
    let mapping = Mapping::new(Target::Remote(HostIndex::new(value).expect("small")));
    writer.insert_prefix(prefix, mapping).expect("room");
}

impl Candidate for Prefixes {
    fn name(&self) -> &'static str {
        "mapping table"
    }

    fn find(&self, vnet: usize, addresses: &[Vaddr; BURST], out: &mut [u32; BURST]) {
        let keys = addresses.map(|address| Key::new(vni(vnet), address.0));
        let mut found = [Found::NOTHING; BURST];
        self.reader.resolve_burst(&self.worker, &keys, &mut found);
        *out = found.map(|found| match found.mapping().map(|it| it.target) {
            Some(Target::Remote(host)) => host.get(),
            _ => NOTHING,
        });
    }

    fn bytes(&self) -> usize {
        self.writer.memory_bytes()
    }

    fn change(&mut self, vnet: usize, route: Route) -> bool {
        let (prefix, _) = route;
        let taken = Prefix::new(vni(vnet), prefix.address.0, prefix.len).expect("a prefix");
        self.writer.remove_prefix(taken);
        insert(&mut self.writer, vnet, route);
        true
    }

    fn beside(&self) -> &'static str {
        "go on, see it at once"
    }
}

/// The explicit mappings: hash for single addresses, trie for the length of
/// others. The values are kept beside, as the bench checks them.
pub(crate) struct Explicit {
    eams: Eams,
    values: HashMap<Prefix4, u32>,
}

impl Explicit {
    pub(crate) fn build(routes: &[Route]) -> Explicit {
        Explicit {
            eams: Eams::build(usize::MAX, routes.iter().map(eam)).expect("no two alike"),
            values: routes.iter().copied().collect(),
        }
    }

    /// What the address is in, by value.
    pub(crate) fn value(&self, address: Vaddr) -> Option<u32> {
        let entry = self.eams.find4(address)?;
        self.values.get(&entry.ipv4()).copied()
    }
}

fn eam((prefix, value): &Route) -> Eam {
    let bits = 32 - prefix.len;
    let ipv6 = 0x2001_0db8 << 96 | u128::from(*value) << 32;
    Eam {
        ipv4: *prefix,
        ipv6: Prefix6::new(ipv6.into(), 128 - bits).expect("no bits after it"),
    }
}

impl Candidate for Explicit {
    fn name(&self) -> &'static str {
        "explicit mappings"
    }

    fn find(&self, _: usize, addresses: &[Vaddr; BURST], out: &mut [u32; BURST]) {
        let mut found = [None; BURST];
        self.eams.find4_burst(addresses, u32::MAX, &mut found);
        *out = found.map(|entry| entry.map_or(NOTHING, |it| u32::from(it.ipv4().len)));
    }

    fn bytes(&self) -> usize {
        self.eams.bytes()
    }

    fn change(&mut self, _: usize, route: Route) -> bool {
        let _before = self.eams.clone();
        self.eams.remove(route.0);
        self.eams.insert(eam(&route)).expect("it was there");
        true
    }

    fn beside(&self) -> &'static str {
        "go on, with the table before"
    }
}
