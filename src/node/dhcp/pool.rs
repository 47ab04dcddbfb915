//! Addresses of pools: which node was offered or granted which.
//!
//! A node's address follows from its name, then from what is free: so it tends
//! to be the same again when nothing else says which it was. A node that asks
//! for an address gets that one if it is free, which is how a client that was
//! restarted, or whose host was, keeps its own.
//!
//! What a node can take is bounded: one address at a time, and of those that it
//! declines a few.

use hashbrown::HashMap;

use crate::model::Range4;
use crate::time::Time;
use crate::wire::{Vaddr, Vni};

/// Milliseconds for which an offer is kept for a client that may take it.
const OFFERED: u64 = 60_000;
/// For which an address is given to nobody that a client found in use.
const RESTS: u64 = 600_000;
/// For which a pool without a free address is not searched again.
const EMPTY: u64 = 1000;
/// Addresses that rest because of one node.
const MOST_RESTING: usize = 8;

/// Who asks, and of which pool.
#[derive(Clone, Copy, Debug)]
pub struct Seeker<'a> {
    pub node: &'a str,
    pub vni: Vni,
    pub pool: Range4,
}

/// A node's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Claim {
    vni: Vni,
    address: Vaddr,
    /// When the offer ends; `None` once it is a lease, which ends elsewhere.
    until: Option<Time>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Rest {
    node: String,
    until: Time,
}

/// There is no free address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exhausted {
    /// It was not so a moment ago.
    pub news: bool,
}

/// Claims of all pools of a host. Whether an address is free beside them is for
/// the caller to say.
#[derive(Clone, Debug, Default)]
pub struct Pools {
    claims: HashMap<String, Claim>,
    /// The claims by address.
    nodes: HashMap<(Vni, Vaddr), String>,
    resting: HashMap<(Vni, Vaddr), Rest>,
    /// Pools without a free address, for all nodes or for one that declined what
    /// others may have.
    empty: HashMap<(Vni, Range4, Option<String>), Time>,
}

impl Pools {
    /// The address that a node is to be offered: its own, the one that it wishes
    /// for, or any.
    pub fn offer(
        &mut self,
        who: &Seeker<'_>,
        wish: Option<Vaddr>,
        now: Time,
        free: impl Fn(Vaddr) -> bool,
    ) -> Result<Vaddr, Exhausted> {
        let own = self.address(who.node);
        let good = |address: &Vaddr| self.fits(who, *address, now, &free);
        let chosen = [own, wish].into_iter().flatten().find(good);
        let chosen = match chosen {
            Some(address) => address,
            None => self.search(who, now, &free)?,
        };
        self.claim(who, chosen, now);
        Ok(chosen)
    }

    /// The address of a node that says which it wants: its own, or that one.
    pub fn request(
        &mut self,
        who: &Seeker<'_>,
        wish: Option<Vaddr>,
        now: Time,
        free: impl Fn(Vaddr) -> bool,
    ) -> Option<Vaddr> {
        let live = |claim: &&Claim| claim.until.is_none_or(|until| now < until);
        let own = self.claims.get(who.node).filter(live);
        let own = own.map(|claim| claim.address);
        let good = |address: &Vaddr| self.fits(who, *address, now, &free);
        let own = own.filter(good);
        let chosen = own.or(wish.filter(good))?;
        self.claim(who, chosen, now);
        Some(chosen)
    }

    /// What a node was offered or granted last.
    pub fn address(&self, node: &str) -> Option<Vaddr> {
        self.claims.get(node).map(|claim| claim.address)
    }

    /// A node has taken what it was offered.
    pub fn grant(&mut self, node: &str) {
        if let Some(claim) = self.claims.get_mut(node) {
            claim.until = None;
        }
    }

    /// A node has its address no more; false if it had none.
    pub fn end(&mut self, node: &str) -> bool {
        let Some(claim) = self.claims.remove(node) else {
            return false;
        };
        let place = (claim.vni, claim.address);
        if self.nodes.get(&place).is_some_and(|owner| owner == node) {
            self.nodes.remove(&place);
        }
        self.empty.clear();
        true
    }

    /// A node found its address in use: it does not get it for a while, and
    /// others do if there is no other.
    pub fn decline(&mut self, node: &str, now: Time) {
        let Some(claim) = self.claims.get(node).copied() else {
            return;
        };
        self.end(node);
        self.resting.retain(|_, rest| now < rest.until);
        let its = self.resting.values().filter(|rest| rest.node == node);
        if its.count() < MOST_RESTING {
            let rest = Rest {
                node: node.to_owned(),
                until: now.after(RESTS),
            };
            self.resting.insert((claim.vni, claim.address), rest);
        }
    }

    /// Ends the claims of nodes to which an address cannot be given any more.
    pub fn forget(&mut self, keep: impl Fn(&str, Vni, Vaddr) -> bool) {
        self.claims
            .retain(|node, claim| keep(node, claim.vni, claim.address));
        let claims = &self.claims;
        self.nodes.retain(|_, node| claims.contains_key(node));
        self.empty.clear();
    }

    /// A lease of before a restart; false if somebody else has the address.
    pub fn restore(&mut self, node: &str, vni: Vni, address: Vaddr) -> bool {
        if self.nodes.contains_key(&(vni, address)) || self.claims.contains_key(node) {
            return false;
        }
        self.nodes.insert((vni, address), node.to_owned());
        let until = None;
        let claim = Claim {
            vni,
            address,
            until,
        };
        self.claims.insert(node.to_owned(), claim);
        true
    }

    fn claim(&mut self, who: &Seeker<'_>, address: Vaddr, now: Time) {
        let same = |claim: &Claim| (claim.vni, claim.address) == (who.vni, address);
        let until = match self.claims.get(who.node).copied() {
            // Who asks once more has it nevertheless.
            Some(claim) if same(&claim) && claim.until.is_none() => None,
            _ => Some(now.after(OFFERED)),
        };
        self.end(who.node);
        // Somebody's offer that is over.
        if let Some(before) = self.nodes.get(&(who.vni, address)).cloned() {
            self.end(&before);
        }
        self.resting.remove(&(who.vni, address));
        self.nodes.insert((who.vni, address), who.node.to_owned());
        let claim = Claim {
            vni: who.vni,
            address,
            until,
        };
        self.claims.insert(who.node.to_owned(), claim);
    }

    fn fits(
        &self,
        who: &Seeker<'_>,
        address: Vaddr,
        now: Time,
        free: &impl Fn(Vaddr) -> bool,
    ) -> bool {
        let rests = self.resting.get(&(who.vni, address));
        rests.is_none_or(|rest| rest.until <= now) && self.is_open(who, address, now, free)
    }

    /// Whether an address rests because another node declined it: that one's wire
    /// is not this node's.
    fn rests_elsewhere(
        &self,
        who: &Seeker<'_>,
        address: Vaddr,
        now: Time,
        free: &impl Fn(Vaddr) -> bool,
    ) -> bool {
        let rests = self.resting.get(&(who.vni, address));
        rests.is_some_and(|rest| rest.node != who.node) && self.is_open(who, address, now, free)
    }

    /// Whether an address of the pool is nobody's.
    fn is_open(
        &self,
        who: &Seeker<'_>,
        address: Vaddr,
        now: Time,
        free: &impl Fn(Vaddr) -> bool,
    ) -> bool {
        let other = self.nodes.get(&(who.vni, address));
        let other = other.filter(|node| *node != who.node);
        let other = other.and_then(|node| self.claims.get(node));
        who.pool.contains(address)
            && other.is_none_or(|claim| claim.until.is_some_and(|until| until <= now))
            && free(address)
    }

    /// All of a pool, from a place that the node's name says.
    fn search(
        &mut self,
        who: &Seeker<'_>,
        now: Time,
        free: &impl Fn(Vaddr) -> bool,
    ) -> Result<Vaddr, Exhausted> {
        let [mine, everybody] = [Some(who.node.to_owned()), None];
        for whose in [&mine, &everybody] {
            let until = self.empty.get(&(who.vni, who.pool, whose.clone()));
            if until.is_some_and(|until| now < *until) {
                return Err(Exhausted { news: false });
            }
        }
        let (first, last) = (u64::from(who.pool.first.0), u64::from(who.pool.last.0));
        let size = last - first + 1;
        let start = hash(who.node) % size;
        let all = || (0..size).map(|n| Vaddr((first + (start + n) % size) as u32));
        let rested = all().find(|address| self.fits(who, *address, now, free));
        // Or else one node could decline a small pool away from all others.
        let any = || all().find(|address| self.rests_elsewhere(who, *address, now, free));
        match rested.or_else(any) {
            Some(address) => Ok(address),
            None => {
                let rests =
                    |(vni, address): &(Vni, Vaddr)| *vni == who.vni && who.pool.contains(*address);
                let whose = match self.resting.keys().any(rests) {
                    true => mine,
                    false => everybody,
                };
                let place = (who.vni, who.pool, whose);
                self.empty.insert(place, now.after(EMPTY));
                Err(Exhausted { news: true })
            }
        }
    }
}

/// The same in every release: FNV-1a.
fn hash(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: Vni = Vni(0x5a_0001);
    const Y: Vni = Vni(0x59_0001);

    fn address(last: u32) -> Vaddr {
        Vaddr(0x0a00_0000 + last)
    }

    /// One of 10.0.0.100 and the three after it.
    fn seeker(node: &str) -> Seeker<'_> {
        Seeker {
            node,
            vni: Z,
            pool: Range4 {
                first: address(100),
                last: address(103),
            },
        }
    }

    fn any(_: Vaddr) -> bool {
        true
    }

    const START: Time = Time(0);

    #[test]
    fn everybody_gets_one_until_there_is_none() {
        let mut pools = Pools::default();
        let names = ["A", "B", "C", "D"];
        let mut given: Vec<_> = names
            .iter()
            .map(|name| pools.offer(&seeker(name), None, START, any).unwrap())
            .collect();
        for (name, own) in names.iter().zip(&given) {
            let again = pools.offer(&seeker(name), Some(address(100)), START, any);
            assert_eq!(again, Ok(*own), "{name} keeps what it was offered");
            pools.grant(name);
        }
        given.sort();
        assert_eq!(given, [100, 101, 102, 103].map(address));
        let late = |pools: &mut Pools, at| pools.offer(&seeker("E"), None, Time(at), any);
        assert_eq!(late(&mut pools, 0), Err(Exhausted { news: true }));
        assert_eq!(late(&mut pools, 999), Err(Exhausted { news: false }));
        assert_eq!(late(&mut pools, 1000), Err(Exhausted { news: true }));
        // Another vnet has addresses of its own.
        let other = Seeker {
            vni: Y,
            ..seeker("F")
        };
        assert!(pools.offer(&other, None, START, any).is_ok());
        let free = pools.address("C").unwrap();
        assert!(pools.end("C") && !pools.end("C"));
        assert_eq!(late(&mut pools, 1001), Ok(free));
    }

    #[test]
    fn wishes_are_heard_if_they_are_free_and_in_the_pool() {
        let mut pools = Pools::default();
        let mut offer = |node: &str, wish: u32, taken: u32| {
            let free = |one: Vaddr| one != address(taken);
            pools.offer(&seeker(node), Some(address(wish)), START, free)
        };
        assert_eq!(offer("A", 102, 0), Ok(address(102)));
        assert_ne!(offer("B", 102, 0), Ok(address(102)), "it is A's");
        assert_ne!(offer("C", 9, 0), Ok(address(9)), "of no pool");
        assert_ne!(offer("D", 103, 103), Ok(address(103)), "somebody has it");
        // What has become another's is not offered again.
        assert_ne!(offer("A", 102, 102), Ok(address(102)));
    }

    #[test]
    fn offers_end_and_leases_do_not() {
        let mut pools = Pools::default();
        let wish = Some(address(101));
        let offer = |pools: &mut Pools, node: &str, at| {
            pools.offer(&seeker(node), wish, Time(at), any).unwrap()
        };
        assert_eq!(offer(&mut pools, "A", 0), address(101));
        assert_ne!(offer(&mut pools, "B", 59_999), address(101));
        pools.end("B");
        assert_eq!(offer(&mut pools, "B", 60_000), address(101));
        assert_eq!(pools.address("A"), None);
        pools.grant("B");
        assert_ne!(offer(&mut pools, "A", 1 << 40), address(101));
        // Asking anew does not make an offer of a lease.
        assert_eq!(offer(&mut pools, "B", 1 << 40), address(101));
        assert_ne!(offer(&mut pools, "C", 1 << 41), address(101));
    }

    #[test]
    fn who_is_not_known_gets_what_it_says_it_has() {
        let mut pools = Pools::default();
        let mut request = |node: &str, wish: u32, at: u64| {
            pools.request(&seeker(node), Some(address(wish)), Time(at), any)
        };
        assert_eq!(request("A", 101, 0), Some(address(101)));
        assert_eq!(request("B", 101, 0), None, "it is A's");
        assert_eq!(request("B", 99, 0), None);
        // Who has one hears of that one, whatever it asks for.
        assert_eq!(request("A", 102, 0), Some(address(101)));
        assert_eq!(
            request("A", 102, 60_000),
            Some(address(102)),
            "it was offered"
        );
    }

    #[test]
    fn declined_addresses_rest() {
        let mut pools = Pools::default();
        let wish = Some(address(101));
        for n in 0..20 {
            let got = pools.offer(&seeker("A"), wish, Time(n), any);
            if n < 4 {
                assert!(got.is_ok_and(|got| n == 0 || got != address(101)), "{n}");
            } else {
                assert!(got.is_err(), "{n}: all of them rest");
            }
            pools.decline("A", Time(n));
        }
        assert_eq!(
            pools.offer(&seeker("A"), wish, Time(600_000), any),
            Ok(address(101))
        );
        pools.decline("nobody", START);
    }

    #[test]
    fn nobody_declines_a_pool_away() {
        let mut pools = Pools::default();
        for _ in 0..4 {
            pools.offer(&seeker("A"), None, START, any).unwrap();
            pools.decline("A", START);
        }
        let mut offer = |node: &str| pools.offer(&seeker(node), None, START, any);
        assert_eq!(offer("A"), Err(Exhausted { news: true }));
        let given = offer("B").unwrap();
        assert_eq!(offer("B"), Ok(given), "it rests no more");
        assert_eq!(offer("A"), Err(Exhausted { news: true }));
        assert_eq!(offer("A"), Err(Exhausted { news: false }));
        for node in ["C", "D", "E"] {
            assert!(offer(node).is_ok(), "{node}");
        }
        assert_eq!(offer("F"), Err(Exhausted { news: true }));
        assert_eq!(offer("G"), Err(Exhausted { news: false }));
    }

    #[test]
    fn one_node_declines_a_few() {
        let mut pools = Pools::default();
        fn wide(node: &str) -> Seeker<'_> {
            Seeker {
                pool: Range4 {
                    first: address(0),
                    last: address(99),
                },
                ..seeker(node)
            }
        }
        for _ in 0..30 {
            pools.offer(&wide("A"), None, START, any).unwrap();
            pools.decline("A", START);
        }
        assert_eq!(pools.resting.len(), MOST_RESTING);
        let others = (0..92).map(|n| format!("n{n}"));
        for name in others {
            assert!(
                pools.offer(&wide(&name), None, START, any).is_ok(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_forgotten_is_free() {
        let mut pools = Pools::default();
        assert!(pools.restore("A", Z, address(100)));
        assert!(!pools.restore("B", Z, address(100)), "it is A's");
        assert!(!pools.restore("A", Z, address(101)), "it has one");
        assert!(pools.restore("B", Z, address(101)));
        pools.forget(|node, vni, _| node == "B" && vni == Z);
        assert_eq!(
            (pools.address("A"), pools.address("B")),
            (None, Some(address(101)))
        );
        let again = pools.request(&seeker("C"), Some(address(100)), START, any);
        assert_eq!(again, Some(address(100)));
    }
}
