//! Multicast listener of one uplink: RFC 3810, and RFC 2710 towards old
//! routers. Groups are the solicited-node groups of own addresses and those
//! that are listened to for nodes; of all-nodes the RFC says that nothing is
//! ever reported.
//!
//! Simpler than the RFC in two places. A query about sources of a group is
//! answered with the group's whole state, which says more, not less. And a
//! MLDv1 report of another listener does not keep ours back: solicited-node
//! groups hardly ever have two listeners, and routers that know no more than
//! MLDv1 have become rare.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::pace::Random;
use crate::time::Time;

use super::build::Record;

/// Robustness variable: so often is each change reported.
const ROBUSTNESS: u8 = 2;
/// Most that lies between two reports of a change.
const CHANGE_INTERVAL: u64 = 1000;
/// Older Version Querier Present Timeout with default intervals: 2 x 125 s + 10 s.
const OLD_QUERIER: u64 = 260_000;

/// What is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Report {
    V2(Vec<(Record, Ipv6Addr)>),
    V1 { listening: bool, group: Ipv6Addr },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Listener {
    /// Groups, and for how many own addresses and others each is listened to.
    groups: BTreeMap<Ipv6Addr, usize>,
    /// Changes still to be reported, and how often.
    changes: BTreeMap<Ipv6Addr, (Record, u8)>,
    change_due: Option<Time>,
    /// Answer to a general query.
    all_due: Option<Time>,
    /// Answers to queries for one group.
    each_due: BTreeMap<Ipv6Addr, Time>,
    /// Until then a router that only knows MLDv1 is about.
    old_until: Option<Time>,
    up: bool,
}

impl Listener {
    pub(super) fn groups(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.groups.keys().copied()
    }

    pub(super) fn contains(&self, group: Ipv6Addr) -> bool {
        self.groups.contains_key(&group)
    }

    pub(super) fn join(&mut self, group: Ipv6Addr, now: Time) {
        let members = self.groups.entry(group).or_default();
        *members += 1;
        if *members == 1 {
            self.change(group, Record::Joined, now);
        }
    }

    pub(super) fn leave(&mut self, group: Ipv6Addr, now: Time) {
        let Some(members) = self.groups.get_mut(&group) else {
            return;
        };
        *members -= 1;
        if *members == 0 {
            self.groups.remove(&group);
            self.each_due.remove(&group);
            self.change(group, Record::Left, now);
        }
    }

    fn change(&mut self, group: Ipv6Addr, record: Record, now: Time) {
        if self.up {
            self.changes.insert(group, (record, ROBUSTNESS));
            self.change_due = Some(now);
        }
    }

    /// Reports all groups as if just joined: the link came up, or there is a
    /// link-local address at last, and routers ignored what came from `::`.
    pub(super) fn announce(&mut self, now: Time) {
        self.up = true;
        for group in self.groups.keys() {
            self.changes.insert(*group, (Record::Joined, ROBUSTNESS));
        }
        self.change_due = (!self.changes.is_empty()).then_some(now);
    }

    pub(super) fn link_down(&mut self) {
        self.up = false;
        self.changes.clear();
        self.each_due.clear();
        self.change_due = None;
        self.all_due = None;
        self.old_until = None;
    }

    /// `false` if the query is for a group that is not ours.
    pub(super) fn query(
        &mut self,
        version: u8,
        group: Option<Ipv6Addr>,
        delay: u64,
        random: &mut Random,
        now: Time,
    ) -> bool {
        if version == 1 {
            self.old_until = Some(now.after(OLD_QUERIER));
        }
        let at = now.after(random.up_to(delay));
        match group {
            None => self.all_due = Some(self.all_due.map_or(at, |due| due.min(at))),
            Some(group) if !self.contains(group) => return false,
            // A sooner answer to the general query covers this one.
            Some(_) if self.all_due.is_some_and(|due| due <= at) => {}
            Some(group) => {
                let due = self.each_due.entry(group).or_insert(at);
                *due = at.min(*due);
            }
        }
        true
    }

    pub(super) fn due(&self) -> Option<Time> {
        let each = self.each_due.values().min().copied();
        [self.change_due, self.all_due, each]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn timer(&mut self, random: &mut Random, now: Time) -> Vec<Report> {
        if self.due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let mut records = Vec::new();
        if self.change_due.is_some_and(|due| due <= now) {
            records.extend(self.take_changes(random, now));
        }
        if self.all_due.is_some_and(|due| due <= now) {
            self.all_due = None;
            self.each_due.clear();
            records.extend(self.groups().map(|group| (Record::Listening, group)));
        }
        let ripe = |due: &Time| *due <= now;
        let each = self.each_due.iter().filter(|(_, due)| ripe(due));
        records.extend(each.map(|(group, _)| (Record::Listening, *group)));
        self.each_due.retain(|_, due| !ripe(due));
        self.in_their_version(records, now)
    }

    fn take_changes(&mut self, random: &mut Random, now: Time) -> Vec<(Record, Ipv6Addr)> {
        let records = self.changes.iter().map(|(group, (r, _))| (*r, *group));
        let records = records.collect();
        self.changes.retain(|_, (_, left)| {
            *left -= 1;
            *left > 0
        });
        let next = now.after(1 + random.up_to(CHANGE_INTERVAL - 1));
        self.change_due = (!self.changes.is_empty()).then_some(next);
        records
    }

    fn in_their_version(&mut self, records: Vec<(Record, Ipv6Addr)>, now: Time) -> Vec<Report> {
        if self.old_until.is_none_or(|until| until <= now) {
            self.old_until = None;
            return match records.is_empty() {
                true => Vec::new(),
                false => vec![Report::V2(records)],
            };
        }
        let v1 = |(record, group)| Report::V1 {
            listening: record != Record::Left,
            group,
        };
        records.into_iter().map(v1).collect()
    }
}

#[cfg(test)]
#[path = "tests/listener.rs"]
mod tests;
