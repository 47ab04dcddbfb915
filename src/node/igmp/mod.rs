//! The multicast router that nodes see: who has joined which group, by IGMP of
//! all three versions.
//!
//! Every node has a link of its own, so there is a querier for each, and it is
//! always weft. General queries of many nodes are spread over time, and a
//! node's questions and reports concern nobody else. What is known is told as
//! a list of members by vnet and group; the data path gets a copy of it when
//! [`generation`](Groups::generation) has changed.

mod ignored;
mod membership;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::mapping::NodeIndex;
use crate::pace::Random;
use crate::time::Time;
use crate::wire::address::Prefix4;
use crate::wire::igmp::{self, Malformed, Message, Query, Record};
use crate::wire::{Vaddr, Vni, ipv4, protocol};

pub use ignored::IgmpIgnored;
pub use membership::{Filter, Membership, SOURCES};
use membership::{LAST_MEMBER, QUERY_INTERVAL, QUERY_RESPONSE, Question, ROBUSTNESS};

/// Queries with which a link begins, and the time between them (RFC 3376
/// sections 8.6 and 8.7).
const STARTUP_QUERIES: u8 = ROBUSTNESS;
const STARTUP_INTERVAL: u64 = QUERY_INTERVAL / 4;
/// Within which the first of them go out, so that a start with many nodes is
/// no burst.
const STARTUP_SPREAD: u64 = 1_000;
/// Within which they are answered. A link has one listener, so there are no
/// answers to keep apart, and a restart is over a second later.
const STARTUP_RESPONSE: u64 = 1_000;
/// Links that are served at once: what goes out in a millisecond.
const MOST_SERVED: usize = 64;

/// How much may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memberships in all.
    pub groups: usize,
    /// Memberships of one node.
    pub groups_per_node: usize,
}

/// The link of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Numbers of nodes are used again; names tell them apart.
    pub name: String,
    pub vni: Vni,
    /// Whom queries come from: the gateway of the node's subnet. 0.0.0.0 where
    /// there is none, which hosts answer all the same.
    pub querier: Vaddr,
    /// Groups that are not forwarded and therefore not joined.
    pub withheld: Vec<Prefix4>,
}

/// A packet for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToNode {
    pub node: NodeIndex,
    pub group: Vaddr,
    /// From the IPv4 header on.
    pub packet: Vec<u8>,
}

/// The first node has joined a group of a vnet, or the last has left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub vni: Vni,
    pub group: Vaddr,
    pub joined: bool,
}

/// What was received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub reports: u64,
    pub leaves: u64,
    pub queries: u64,
    pub ignored: [u64; IgmpIgnored::COUNT],
}

#[derive(Debug)]
struct Wire {
    link: Link,
    groups: BTreeMap<Vaddr, Membership>,
    /// When the next general query goes out.
    general: Time,
    /// General queries of the beginning that are still to be sent.
    startup: u8,
    /// Where it stands among the deadlines.
    due: Time,
}

impl Wire {
    fn next(&self) -> Time {
        let groups = self.groups.values().filter_map(Membership::due).min();
        groups.map_or(self.general, |due| due.min(self.general))
    }
}

/// All links, and what their nodes have joined.
#[derive(Debug)]
pub struct Groups {
    limits: Limits,
    wires: HashMap<NodeIndex, Wire>,
    due: BTreeSet<(Time, NodeIndex)>,
    members: BTreeMap<(Vni, Vaddr), BTreeSet<NodeIndex>>,
    memberships: usize,
    changes: Vec<Change>,
    generation: u64,
    random: Random,
    pub counts: Counts,
}

impl Groups {
    pub fn new(limits: Limits, seed: u64) -> Groups {
        Groups {
            limits,
            wires: HashMap::new(),
            due: BTreeSet::new(),
            members: BTreeMap::new(),
            memberships: 0,
            changes: Vec::new(),
            generation: 0,
            random: Random(seed),
            counts: Counts::default(),
        }
    }

    /// Changes with every membership and every filter.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What has come and gone since last asked.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Groups that have members, with these.
    pub fn groups(&self) -> impl Iterator<Item = (Vni, Vaddr, &BTreeSet<NodeIndex>)> {
        let groups = self.members.iter();
        groups.map(|((vni, group), members)| (*vni, *group, members))
    }

    /// How many nodes of a vnet have joined a group.
    pub fn members(&self, vni: Vni, group: Vaddr) -> usize {
        self.members.get(&(vni, group)).map_or(0, BTreeSet::len)
    }

    pub fn membership(&self, node: NodeIndex, group: Vaddr) -> Option<&Membership> {
        self.wires.get(&node)?.groups.get(&group)
    }

    /// The nodes there are. What one had joined ends with it, and what has come
    /// to be withheld ends as well.
    pub fn set_links(&mut self, links: impl IntoIterator<Item = (NodeIndex, Link)>, now: Time) {
        let links: HashMap<NodeIndex, Link> = links.into_iter().collect();
        let same = |node: &NodeIndex, wire: &Wire| {
            let link = links.get(node);
            link.is_some_and(|link| link.name == wire.link.name && link.vni == wire.link.vni)
        };
        let gone = self.wires.iter().filter(|(node, wire)| !same(node, wire));
        let gone: Vec<_> = gone.map(|(node, _)| *node).collect();
        for node in gone {
            self.remove(node);
        }
        for (node, link) in links {
            match self.wires.get_mut(&node) {
                Some(wire) => {
                    wire.link = link;
                    self.withhold(node);
                }
                None => self.add(node, link, now),
            }
        }
    }

    fn add(&mut self, node: NodeIndex, link: Link, now: Time) {
        let general = now.after(self.random.up_to(STARTUP_SPREAD));
        self.due.insert((general, node));
        let wire = Wire {
            link,
            groups: BTreeMap::new(),
            general,
            startup: STARTUP_QUERIES,
            due: general,
        };
        self.wires.insert(node, wire);
    }

    fn remove(&mut self, node: NodeIndex) {
        if let Some(wire) = self.wires.remove(&node) {
            self.due.remove(&(wire.due, node));
            for group in wire.groups.keys() {
                self.left(node, wire.link.vni, *group);
            }
        }
    }

    fn withhold(&mut self, node: NodeIndex) {
        let Some(wire) = self.wires.get_mut(&node) else {
            return;
        };
        let (link, vni) = (&wire.link, wire.link.vni);
        let over = wire.groups.keys().copied();
        let over: Vec<_> = over.filter(|group| is_withheld(link, *group)).collect();
        wire.groups.retain(|group, _| !over.contains(group));
        for group in over {
            self.left(node, vni, group);
        }
    }

    /// A packet of a node, from the IPv4 header on. `owns` says which addresses
    /// the node may send from.
    pub fn input(
        &mut self,
        node: NodeIndex,
        packet: &[u8],
        owns: impl FnOnce(Vaddr) -> bool,
        now: Time,
    ) {
        if let Err(why) = self.read(node, packet, owns, now) {
            self.ignore(why);
        }
    }

    fn ignore(&mut self, why: IgmpIgnored) {
        self.counts.ignored[why as usize] += 1;
    }

    fn read(
        &mut self,
        node: NodeIndex,
        packet: &[u8],
        owns: impl FnOnce(Vaddr) -> bool,
        now: Time,
    ) -> Result<(), IgmpIgnored> {
        let header = ipv4::Header::parse(packet).map_err(|_| IgmpIgnored::NotIgmp)?;
        if header.protocol != protocol::IGMP || header.is_fragment() {
            return Err(IgmpIgnored::NotIgmp);
        }
        // Who has no address yet may join (RFC 3376 section 4.2.13).
        if header.src != Vaddr(0) && !owns(header.src) {
            return Err(IgmpIgnored::SpoofedSource);
        }
        let payload = packet.get(usize::from(header.header_len)..usize::from(header.total_len));
        let message =
            Message::parse(payload.unwrap_or(&[])).map_err(|malformed| match malformed {
                Malformed::TooShort => IgmpIgnored::TooShort,
                Malformed::BadChecksum => IgmpIgnored::BadChecksum,
                Malformed::UnknownType => IgmpIgnored::UnknownType,
                Malformed::BadRecords => IgmpIgnored::BadRecords,
            })?;
        if !self.wires.contains_key(&node) {
            return Err(IgmpIgnored::UnknownNode);
        }
        match message {
            Message::Query => return Err(IgmpIgnored::Query),
            Message::ReportV1(group) | Message::ReportV2(group) => {
                self.counts.reports += 1;
                self.older(node, group, &message, now)?;
            }
            Message::Leave(group) => {
                self.counts.leaves += 1;
                self.older(node, group, &message, now)?;
            }
            Message::ReportV3(records) => {
                self.counts.reports += 1;
                for record in records {
                    if let Err(why) = self.record(node, &record, now) {
                        self.ignore(why);
                    }
                }
            }
        }
        self.schedule(node);
        Ok(())
    }

    fn older(
        &mut self,
        node: NodeIndex,
        group: Vaddr,
        message: &Message<'_>,
        now: Time,
    ) -> Result<(), IgmpIgnored> {
        self.update(node, group, |membership| {
            membership.older(message, now);
            Ok(())
        })
    }

    fn record(
        &mut self,
        node: NodeIndex,
        record: &Record<'_>,
        now: Time,
    ) -> Result<(), IgmpIgnored> {
        let kind = record.kind.ok_or(IgmpIgnored::UnknownRecord)?;
        let mut sources: Vec<_> = record.sources().collect();
        sources.sort_unstable();
        sources.dedup();
        self.update(node, record.group, |membership| {
            let done = membership.record(kind, &sources, now);
            done.map_err(|membership::TooManySources| IgmpIgnored::TooManySources)
        })
    }

    /// Changes what a node wants of a group, if it may want it at all.
    fn update(
        &mut self,
        node: NodeIndex,
        group: Vaddr,
        change: impl FnOnce(&mut Membership) -> Result<(), IgmpIgnored>,
    ) -> Result<(), IgmpIgnored> {
        if !group.is_multicast() || group == igmp::ALL_SYSTEMS {
            return Err(IgmpIgnored::BadGroup);
        }
        let wire = self.wires.get_mut(&node).ok_or(IgmpIgnored::UnknownNode)?;
        if is_withheld(&wire.link, group) {
            return Err(IgmpIgnored::Withheld);
        }
        let vni = wire.link.vni;
        let old = wire.groups.get(&group);
        let mut new = old.cloned().unwrap_or_default();
        change(&mut new)?;
        match (old, new.is_over()) {
            (None, true) => {}
            (None, false) if wire.groups.len() >= self.limits.groups_per_node => {
                return Err(IgmpIgnored::NodeFull);
            }
            (None, false) if self.memberships >= self.limits.groups => {
                return Err(IgmpIgnored::Full);
            }
            (None, false) => {
                wire.groups.insert(group, new);
                self.joined(node, vni, group);
            }
            (Some(_), true) => {
                wire.groups.remove(&group);
                self.left(node, vni, group);
            }
            (Some(old), false) => {
                self.generation += u64::from(old.filter() != new.filter());
                wire.groups.insert(group, new);
            }
        }
        Ok(())
    }

    fn joined(&mut self, node: NodeIndex, vni: Vni, group: Vaddr) {
        self.generation += 1;
        self.memberships += 1;
        let members = self.members.entry((vni, group)).or_default();
        members.insert(node);
        if members.len() == 1 {
            self.changed(vni, group, true);
        }
    }

    fn left(&mut self, node: NodeIndex, vni: Vni, group: Vaddr) {
        self.generation += 1;
        self.memberships -= 1;
        if let Some(members) = self.members.get_mut(&(vni, group)) {
            members.remove(&node);
            if members.is_empty() {
                self.members.remove(&(vni, group));
                self.changed(vni, group, false);
            }
        }
    }

    /// What came and went unseen is no news.
    fn changed(&mut self, vni: Vni, group: Vaddr, joined: bool) {
        let opposite = Change {
            vni,
            group,
            joined: !joined,
        };
        match self.changes.iter().position(|change| *change == opposite) {
            Some(at) => {
                self.changes.remove(at);
            }
            None => self.changes.push(Change { vni, group, joined }),
        }
    }

    fn schedule(&mut self, node: NodeIndex) {
        if let Some(wire) = self.wires.get_mut(&node) {
            self.due.remove(&(wire.due, node));
            wire.due = wire.next();
            self.due.insert((wire.due, node));
        }
    }

    /// What is due by now: queries, and the end of what nobody confirmed.
    pub fn poll(&mut self, now: Time) -> Vec<ToNode> {
        let mut out = Vec::new();
        for _ in 0..MOST_SERVED {
            let Some(&(due, node)) = self.due.first() else {
                break;
            };
            if due > now {
                break;
            }
            self.serve(node, now, &mut out);
            self.schedule(node);
        }
        self.counts.queries += out.len() as u64;
        out
    }

    fn serve(&mut self, node: NodeIndex, now: Time, out: &mut Vec<ToNode>) {
        let Some(wire) = self.wires.get_mut(&node) else {
            return;
        };
        let (vni, querier) = (wire.link.vni, wire.link.querier);
        if wire.general <= now {
            out.push(general(node, querier, wire.startup > 0));
            wire.startup = wire.startup.saturating_sub(1);
            let interval = match wire.startup {
                0 => QUERY_INTERVAL,
                _ => STARTUP_INTERVAL,
            };
            wire.general = now.after(interval);
        }
        let mut over = Vec::new();
        for (group, membership) in &mut wire.groups {
            if membership.due().is_none_or(|due| due > now) {
                continue;
            }
            let before = membership.filter();
            for question in membership.timer(now) {
                out.push(specific(node, querier, *group, &question));
            }
            if membership.is_over() {
                over.push(*group);
            } else if membership.filter() != before {
                self.generation += 1;
            }
        }
        for group in &over {
            wire.groups.remove(group);
        }
        for group in over {
            self.left(node, vni, group);
        }
    }
}

fn is_withheld(link: &Link, group: Vaddr) -> bool {
    link.withheld.iter().any(|prefix| prefix.contains(group))
}

fn general(node: NodeIndex, querier: Vaddr, startup: bool) -> ToNode {
    let response = if startup {
        STARTUP_RESPONSE
    } else {
        QUERY_RESPONSE
    };
    to_node(node, querier, &query(None, response, false, &[]))
}

fn specific(node: NodeIndex, querier: Vaddr, group: Vaddr, question: &Question) -> ToNode {
    let query = query(
        Some(group),
        LAST_MEMBER,
        question.suppress,
        &question.sources,
    );
    to_node(node, querier, &query)
}

fn query(group: Option<Vaddr>, response: u64, suppress: bool, sources: &[Vaddr]) -> Query<'_> {
    Query {
        group,
        max_response: (response / 100) as u16,
        suppress,
        robustness: ROBUSTNESS,
        interval: (QUERY_INTERVAL / 1000) as u16,
        sources,
    }
}

fn to_node(node: NodeIndex, querier: Vaddr, query: &Query<'_>) -> ToNode {
    let mut bytes = [0; igmp::MOST_BYTES];
    let len = query.packet(querier, &mut bytes);
    ToNode {
        node,
        group: query.group.unwrap_or(igmp::ALL_SYSTEMS),
        packet: bytes[..len].to_vec(),
    }
}

#[cfg(test)]
mod tests;
