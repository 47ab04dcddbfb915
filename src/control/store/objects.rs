//! Named objects with their origin and revision, and the one rule by which a
//! change is admitted.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::hash::Hash;
use std::ops::Bound;

use hashbrown::HashMap;

use crate::control::proto::Held;
use crate::model::{
    Binding, Host, Member, Neighbor, Origin, Outsider, Relay, Route, Router, Subnet, Vnet, Vroute,
};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Index of objects that have none.
pub const NO_INDEX: u32 = u32::MAX;

/// A stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    pub object: T,
    pub origin: Origin,
    pub revision: u64,
    /// Named since the open sync of its origin began.
    pub mentioned: bool,
    /// Hosts: place in the host table.
    pub index: u32,
}

impl<T: Clone> Entry<T> {
    pub fn held(&self) -> Held<T> {
        Held {
            object: self.object.clone(),
            origin: self.origin,
            revision: self.revision,
            learned: None,
        }
    }
}

/// What every kind of object can say of itself.
pub trait Named {
    /// Text that identifies it among its kind.
    fn key(&self) -> String;
}

impl Named for Vnet {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Named for Host {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Named for Binding {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Named for Route {
    fn key(&self) -> String {
        self.prefix.to_string()
    }
}

impl Named for Neighbor {
    fn key(&self) -> String {
        neighbor_key(&self.port, self.address)
    }
}

/// There is only one.
pub const RELAY: &str = "relay";

impl Named for Relay {
    fn key(&self) -> String {
        RELAY.to_owned()
    }
}

impl Named for Outsider {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Named for Subnet {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Named for Router {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Named for Vroute {
    fn key(&self) -> String {
        vroute_key(&self.router, self.prefix)
    }
}

impl Named for Member {
    fn key(&self) -> String {
        member_key(&self.vnet, self.group, &self.host)
    }
}

pub fn member_key(vnet: &str, group: Vaddr, host: &str) -> String {
    format!("{vnet} {group} {host}")
}

/// Routes of one router lie together: no name has a space.
pub fn vroute_key(router: &str, prefix: Prefix4) -> String {
    format!("{router} {prefix}")
}

pub fn neighbor_key(port: &str, address: std::net::Ipv6Addr) -> String {
    format!("{port} {address}")
}

pub type Objects<T> = BTreeMap<String, Entry<T>>;

/// A page of a list, from after the cursor on.
pub fn page<T: Clone>(
    objects: &Objects<T>,
    cursor: Option<&str>,
    limit: usize,
    want: impl Fn(&T) -> bool,
) -> (Vec<Held<T>>, Option<String>) {
    let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
    let mut matching = objects
        .range::<str, _>((from, Bound::Unbounded))
        .filter(|(_, entry)| want(&entry.object));
    let mut last = None;
    let items: Vec<_> = matching
        .by_ref()
        .take(limit)
        .map(|(key, entry)| {
            last = Some(key);
            entry.held()
        })
        .collect();
    let next = match matching.next() {
        Some(_) => last.cloned(),
        None => None,
    };
    (items, next)
}

/// What is to become of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Takes effect with this revision.
    Apply(u64),
    Unchanged,
    Stale,
    /// Held by this stronger origin.
    Held(Origin),
}

/// Memory of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tomb {
    pub revision: u64,
    pub origin: Origin,
    /// Second after which it is forgotten; [`FOREVER`] for one that hides an
    /// object of the file.
    pub until: u32,
}

/// Lives until the object is set again.
pub const FOREVER: u32 = u32::MAX;

/// Decides on a set. Revisions order the statements of one origin only: a
/// stronger origin takes an object over whatever its revision, and revision 0
/// claims no order. A revision names one fact: the first to use it stays.
pub fn admit_set(
    now: Option<(Origin, u64)>,
    same: bool,
    tomb: Option<Tomb>,
    origin: Origin,
    revision: u64,
) -> Verdict {
    match (now, tomb) {
        (Some((owner, _)), _) if owner > origin => Verdict::Held(owner),
        (Some((owner, _)), _) if owner < origin => Verdict::Apply(revision),
        (Some((_, held)), _) => match revision {
            0 if same => Verdict::Unchanged,
            0 => Verdict::Apply(held),
            r if r < held => Verdict::Stale,
            r if r == held && same => Verdict::Unchanged,
            r if r == held => Verdict::Stale,
            r => Verdict::Apply(r),
        },
        (None, Some(tomb)) if origin == Origin::File && tomb.until == FOREVER => {
            Verdict::Held(tomb.origin)
        }
        (None, Some(tomb)) if tomb.origin == origin => match revision {
            0 => Verdict::Apply(tomb.revision),
            r if r <= tomb.revision => Verdict::Stale,
            r => Verdict::Apply(r),
        },
        (None, _) => Verdict::Apply(revision),
    }
}

/// Decides on a removal; `Apply` carries the revision of the tombstone.
pub fn admit_remove(now: Option<(Origin, u64)>, origin: Origin, revision: u64) -> Verdict {
    match now {
        None => Verdict::Unchanged,
        Some((owner, _)) if owner > origin => Verdict::Held(owner),
        Some((owner, _)) if owner < origin => Verdict::Apply(revision),
        Some((_, held)) if revision != 0 && revision < held => Verdict::Stale,
        Some((_, held)) => Verdict::Apply(revision.max(held)),
    }
}

/// Places for tombstones that are kept when there are none.
const KEEP: usize = 4096;

/// Tombstones, bounded: the oldest goes when there are too many. Those that
/// hide objects of the file are bounded by the file and never go by age.
#[derive(Debug)]
pub struct Tombs<K> {
    map: HashMap<K, Tomb>,
    order: VecDeque<(u32, K)>,
    limit: usize,
}

impl<K: Clone + Eq + Hash> Tombs<K> {
    pub fn new(limit: usize) -> Tombs<K> {
        Tombs {
            map: HashMap::new(),
            order: VecDeque::new(),
            limit,
        }
    }

    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn get(&self, key: &K, now: u32) -> Option<Tomb> {
        if self.map.is_empty() {
            return None;
        }
        self.map.get(key).copied().filter(|tomb| tomb.until > now)
    }

    pub fn put(&mut self, key: K, tomb: Tomb) -> Option<Tomb> {
        if tomb.until != FOREVER {
            if self.order.len() >= self.limit {
                self.drop_oldest();
            }
            self.order.push_back((tomb.until, key.clone()));
        }
        self.map.insert(key, tomb)
    }

    pub fn take(&mut self, key: &K) -> Option<Tomb> {
        if self.map.is_empty() {
            return None;
        }
        self.map.remove(key)
    }

    /// Puts back what [`Tombs::put`] or [`Tombs::take`] gave.
    pub fn restore(&mut self, key: K, old: Option<Tomb>) {
        match old {
            Some(tomb) => {
                self.put(key, tomb);
            }
            None => {
                self.map.remove(&key);
            }
        }
    }

    /// Forgets up to `most` whose time is over.
    pub fn expire(&mut self, now: u32, most: usize) {
        for _ in 0..most {
            match self.order.front() {
                Some((until, _)) if *until <= now => self.drop_oldest(),
                _ => break,
            }
        }
        // A sweep may have left very many.
        if self.map.is_empty() && self.map.capacity() > KEEP {
            self.map = HashMap::new();
            self.order = VecDeque::new();
        }
    }

    /// A key may have been set and removed again since: only the tombstone
    /// this place stands for is dropped.
    fn drop_oldest(&mut self) {
        if let Some((until, key)) = self.order.pop_front()
            && self.map.get(&key).is_some_and(|tomb| tomb.until == until)
        {
            self.map.remove(&key);
        }
    }

    pub fn forever(&self) -> impl Iterator<Item = (&K, &Tomb)> {
        self.map.iter().filter(|(_, tomb)| tomb.until == FOREVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Origin::{Agent, File, Operator};

    #[test]
    fn a_set_is_judged_by_origin_then_revision() {
        use Verdict::*;
        let tomb = |origin, revision, until| {
            Some(Tomb {
                revision,
                origin,
                until,
            })
        };
        for (now, same, tomb, origin, revision, verdict) in [
            (None, false, None, File, 0, Apply(0)),
            (Some((Agent, 1)), false, None, Operator, 9, Held(Agent)),
            (Some((Agent, 1)), true, None, File, 1, Held(Agent)),
            (Some((File, 9)), true, None, Operator, 1, Apply(1)),
            (Some((Agent, 5)), false, None, Agent, 4, Stale),
            (Some((Agent, 5)), true, None, Agent, 5, Unchanged),
            (Some((Agent, 5)), false, None, Agent, 5, Stale),
            (Some((Agent, 5)), true, None, Agent, 6, Apply(6)),
            (Some((Agent, 5)), false, None, Agent, 0, Apply(5)),
            (Some((Agent, 5)), true, None, Agent, 0, Unchanged),
            (None, false, tomb(Agent, 5, 60), Agent, 5, Stale),
            (None, false, tomb(Agent, 5, 60), Agent, 6, Apply(6)),
            (None, false, tomb(Agent, 5, 60), Agent, 0, Apply(5)),
            (None, false, tomb(Agent, 5, 60), Operator, 1, Apply(1)),
            (
                None,
                false,
                tomb(Operator, 0, FOREVER),
                File,
                0,
                Held(Operator),
            ),
            (None, false, tomb(Operator, 0, FOREVER), Agent, 0, Apply(0)),
        ] {
            assert_eq!(
                admit_set(now, same, tomb, origin, revision),
                verdict,
                "{now:?} {same} {tomb:?} {origin} {revision}"
            );
        }
    }

    #[test]
    fn a_removal_is_judged_the_same_way() {
        assert_eq!(admit_remove(None, Agent, 3), Verdict::Unchanged);
        assert_eq!(
            admit_remove(Some((Agent, 1)), File, 3),
            Verdict::Held(Agent)
        );
        assert_eq!(admit_remove(Some((Agent, 5)), Agent, 4), Verdict::Stale);
        assert_eq!(admit_remove(Some((Agent, 5)), Agent, 0), Verdict::Apply(5));
        assert_eq!(admit_remove(Some((Agent, 5)), Agent, 7), Verdict::Apply(7));
        assert_eq!(admit_remove(Some((File, 5)), Agent, 1), Verdict::Apply(1));
    }

    #[test]
    fn tombstones_are_bounded_and_forgotten() {
        let mut tombs = Tombs::new(2);
        let tomb = |until| Tomb {
            revision: 1,
            origin: Agent,
            until,
        };
        for n in 0..3 {
            tombs.put(n, tomb(10 + n));
        }
        assert_eq!((tombs.len(), tombs.get(&0, 0)), (2, None));
        tombs.put(9, tomb(FOREVER));
        tombs.expire(11, 10);
        assert_eq!((tombs.get(&1, 0), tombs.get(&2, 0).is_some()), (None, true));
        assert!(tombs.get(&2, 12).is_none());
        tombs.expire(1000, 10);
        assert!(tombs.get(&9, 1000).is_some());
    }
}
