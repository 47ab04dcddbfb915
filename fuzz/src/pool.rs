//! Addresses of pools: nodes ask, take, decline, leave and come back in any
//! order, beside a plain list of who has what. Whatever was said, nobody gets an
//! address that another has, that it has declined a while ago, or that is not of
//! its pool; and nobody gets none while there is one.

use std::collections::BTreeMap;

use weft::model::Range4;
use weft::node::dhcp::{Exhausted, Pools, Seeker};
use weft::time::Time;
use weft::wire::{Vaddr, Vni};

const NODES: [&str; 8] = ["A", "C", "E", "G", "twin", "n5", "n6", "n7"];
const VNETS: [Vni; 2] = [Vni(0x5a_0001), Vni(0x59_0001)];
/// A small one, and one in which a node can decline more than it may.
const POOLS: [Range4; 2] = [range(100, 103), range(112, 127)];

/// For how long an offer is kept, an address rests, and a pool without any is
/// not searched.
const OFFERED: u64 = 60_000;
const RESTS: u64 = 600_000;
const EMPTY: u64 = 1000;
const MOST_RESTING: usize = 8;
/// What passes before something is said: about those times, and beyond.
const LATER: [u64; 8] = [0, 0, 1, 999, 1000, 59_999, 60_000, 600_000];

const fn range(first: u32, last: u32) -> Range4 {
    Range4 {
        first: Vaddr(0x0a00_0000 + first),
        last: Vaddr(0x0a00_0000 + last),
    }
}

type Place = (Vni, Vaddr);

/// What is known of all that was said.
#[derive(Default)]
struct List {
    now: u64,
    /// Place of a node, and when its offer ends unless it was taken.
    has: BTreeMap<&'static str, (Place, Option<u64>)>,
    /// Who declined an address, and until when nobody gets it.
    rests: BTreeMap<Place, (&'static str, u64)>,
    /// Pools that were found without an address, by one node or by all.
    empty: BTreeMap<(Vni, Vaddr, Option<&'static str>), u64>,
}

/// One thing that is said.
struct Said {
    what: u8,
    node: &'static str,
    vni: Vni,
    pool: Range4,
    wish: Option<Vaddr>,
    address: Vaddr,
    taken: u8,
}

impl Said {
    /// Whether nobody beside the pools has an address.
    fn free(&self, address: Vaddr) -> bool {
        match self.taken {
            0 => true,
            1 => address.0 % 2 == 1,
            2 => address.0 % 16 > 5,
            _ => false,
        }
    }

    fn seeker(&self) -> Seeker<'static> {
        Seeker {
            node: self.node,
            vni: self.vni,
            pool: self.pool,
        }
    }
}

/// Four bytes each: what, who, which address, and after what time.
pub(crate) fn pool(data: &[u8]) {
    let (mut pools, mut list) = (Pools::default(), List::default());
    for [what, who, address, later] in data.as_chunks::<4>().0 {
        let address = Vaddr(0x0a00_0000 + 96 + u32::from(address % 40));
        let said = Said {
            what: what % 8,
            node: NODES[usize::from(who % 8)],
            vni: VNETS[usize::from(what >> 3 & 1)],
            pool: POOLS[usize::from(what >> 4 & 1)],
            wish: (what >> 5 & 1 != 0).then_some(address),
            address,
            taken: what >> 6,
        };
        list.now += LATER[usize::from(later % 8)];
        list.say(&said, &mut pools);
        for node in NODES {
            let place = list.has.get(node).map(|((_, address), _)| *address);
            assert_eq!(pools.address(node), place, "{node}");
        }
    }
}

impl List {
    fn say(&mut self, said: &Said, pools: &mut Pools) {
        let (node, now) = (said.node, Time(self.now));
        match said.what {
            0..=1 => self.offered(said, pools),
            2 => self.asked_for(said, pools),
            3 => {
                pools.grant(node);
                if let Some((_, until)) = self.has.get_mut(node) {
                    *until = None;
                }
            }
            4 => assert_eq!(pools.end(node), self.end(node)),
            5 => {
                pools.decline(node, now);
                self.decline(node);
            }
            6 => {
                let keep = |_: &str, vni, address| vni == said.vni || address < said.address;
                pools.forget(keep);
                self.has
                    .retain(|node, ((vni, address), _)| keep(node, *vni, *address));
                self.empty.clear();
            }
            _ => {
                let place = (said.vni, said.address);
                let taken = self.has.values().any(|(other, _)| *other == place);
                let may = !taken && !self.has.contains_key(node);
                assert_eq!(pools.restore(node, said.vni, said.address), may);
                if may {
                    self.has.insert(node, (place, None));
                }
            }
        }
    }

    fn offered(&mut self, said: &Said, pools: &mut Pools) {
        let known = [self.address(said.node), said.wish].into_iter().flatten();
        let known = known.into_iter().find(|address| self.fits(said, *address));
        let all = || (said.pool.first.0..=said.pool.last.0).map(Vaddr);
        let rested = all().any(|address| self.fits(said, address));
        let rests = |address| self.rests.get(&(said.vni, address));
        // Where there is none else, what others have declined.
        let other = |address| rests(address).is_some_and(|(who, _)| *who != said.node);
        let others = all().any(|address| other(address) && self.is_open(said, address));
        let pool = |whose| (said.vni, said.pool.first, whose);
        let tired = [None, Some(said.node)].into_iter().any(|whose| {
            let end = self.empty.get(&pool(whose));
            end.is_some_and(|end| self.now < *end)
        });
        let got = pools.offer(&said.seeker(), said.wish, Time(self.now), |address| {
            said.free(address)
        });
        match got {
            Ok(address) => {
                assert!(self.is_open(said, address), "{address} is not to be had");
                let rested = rested || known.is_some();
                assert!(self.fits(said, address) || !rested && other(address));
                assert!(known.is_none_or(|known| known == address), "{address}");
                assert!(known.is_some() || !tired, "searched again");
                self.claim(said, address);
            }
            Err(Exhausted { news }) => {
                assert!(known.is_none() && news != tired);
                assert!(tired || !rested && !others, "there is one");
                if news {
                    let whose = all().any(|address| rests(address).is_some());
                    let whose = whose.then_some(said.node);
                    self.empty.insert(pool(whose), self.now + EMPTY);
                }
            }
        }
    }

    fn asked_for(&mut self, said: &Said, pools: &mut Pools) {
        let own = self.has.get(said.node);
        let own = own.filter(|(_, until)| until.is_none_or(|until| self.now < until));
        let own = own.map(|((_, address), _)| *address);
        let known = [own, said.wish].into_iter().flatten();
        let known = known.into_iter().find(|address| self.fits(said, *address));
        let got = pools.request(&said.seeker(), said.wish, Time(self.now), |address| {
            said.free(address)
        });
        assert_eq!(got, known);
        if let Some(address) = got {
            self.claim(said, address);
        }
    }

    fn address(&self, node: &str) -> Option<Vaddr> {
        self.has.get(node).map(|((_, address), _)| *address)
    }

    /// Whether an address of the pool is nobody's.
    fn is_open(&self, said: &Said, address: Vaddr) -> bool {
        let place = (said.vni, address);
        let live = |until: &Option<u64>| until.is_none_or(|until| self.now < until);
        let mut others = self.has.iter().filter(|(node, _)| **node != said.node);
        said.pool.contains(address)
            && said.free(address)
            && !others.any(|(_, (its, until))| *its == place && live(until))
    }

    fn fits(&self, said: &Said, address: Vaddr) -> bool {
        let rests = self.rests.get(&(said.vni, address));
        rests.is_none_or(|(_, end)| *end <= self.now) && self.is_open(said, address)
    }

    fn claim(&mut self, said: &Said, address: Vaddr) {
        let place = (said.vni, address);
        let until = match self.has.get(said.node) {
            Some((its, None)) if *its == place => None,
            _ => Some(self.now + OFFERED),
        };
        self.end(said.node);
        let late = self.has.iter().find(|(_, (its, _))| *its == place);
        if let Some(late) = late.map(|(node, _)| *node) {
            self.end(late);
        }
        self.rests.remove(&place);
        self.has.insert(said.node, (place, until));
    }

    fn end(&mut self, node: &str) -> bool {
        let had = self.has.remove(node).is_some();
        if had {
            self.empty.clear();
        }
        had
    }

    fn decline(&mut self, node: &'static str) {
        let Some((place, _)) = self.has.get(node).copied() else {
            return;
        };
        self.end(node);
        self.rests.retain(|_, (_, end)| self.now < *end);
        let its = self.rests.values().filter(|(who, _)| *who == node);
        if its.count() < MOST_RESTING {
            self.rests.insert(place, (node, self.now + RESTS));
        }
    }
}
