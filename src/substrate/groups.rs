//! Groups that are listened to for others than the host itself: those of the
//! substrate that carry what nodes send to several.
//!
//! All of them by one uplink, the first whose link is up. By two, what a network
//! brings to both would come twice; and whoever sends to them has to know by
//! which without asking anybody.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use crate::time::Time;

use super::Substrate;
use super::listener::Listener;

impl Substrate {
    /// Listens to exactly these groups, beside those of own addresses.
    pub fn listen(&mut self, groups: BTreeSet<Ipv6Addr>, now: Time) {
        if groups == self.wanted {
            return;
        }
        let before = std::mem::replace(&mut self.wanted, groups);
        self.generation += 1;
        let wanted = std::mem::take(&mut self.wanted);
        if let Some(listener) = self.groups_listener() {
            for group in before.difference(&wanted) {
                listener.leave(*group, now);
            }
            for group in wanted.difference(&before) {
                listener.join(*group, now);
            }
        }
        self.wanted = wanted;
    }

    /// The uplink by which groups are listened to, and sent to; `None` while no
    /// link is up.
    pub fn groups_by(&self) -> Option<u16> {
        self.groups_by
    }

    /// Links or uplinks have changed: listens by another one, if need be.
    pub(super) fn move_groups(&mut self, now: Time) {
        let first = self.ports.iter().find(|port| port.up);
        let by = first.map(|port| port.uplink.port);
        if by == self.groups_by {
            return;
        }
        self.generation += 1;
        let wanted = std::mem::take(&mut self.wanted);
        if let Some(listener) = self.groups_listener() {
            wanted.iter().for_each(|group| listener.leave(*group, now));
        }
        self.groups_by = by;
        if let Some(listener) = self.groups_listener() {
            wanted.iter().for_each(|group| listener.join(*group, now));
        }
        self.wanted = wanted;
    }

    fn groups_listener(&mut self) -> Option<&mut Listener> {
        let by = self.groups_by?;
        let port = self.ports.iter_mut().find(|port| port.uplink.port == by);
        port.map(|port| &mut port.listener)
    }
}

#[cfg(test)]
#[path = "tests/groups.rs"]
mod tests;
