//! What time does to the engine.

use crate::time::Time;
use crate::wire::{Mac, Vaddr};

use super::neighbor::Due;
use super::{Link4, own};

impl Link4 {
    /// Does all that is due.
    pub fn poll(&mut self, now: Time) {
        if !self.up {
            return;
        }
        match self.own.timer(&self.timers, now) {
            None => {}
            Some(own::Due::Announce) => self.announce(),
            Some(own::Due::ProbeAndAnnounce) => {
                let bytes = self.link_header().probe();
                self.outbox.counters.announcements_sent += self.send(bytes);
                self.announce();
            }
        }
        let timers = self.timers;
        let hops: Vec<Vaddr> = self.hops.keys().copied().collect();
        for address in hops {
            let due = self.change(address, |hop| hop.timer(&timers, now));
            let to = match due.flatten() {
                None => continue,
                Some(Due::AskAll) => Mac::BROADCAST,
                Some(Due::Ask(mac)) => mac,
            };
            let bytes = self.link_header().request(to, address);
            self.outbox.counters.requests_sent += self.send(bytes);
        }
    }

    /// When `poll` has something to do again; `None` if never.
    pub fn next_timeout(&self) -> Option<Time> {
        let hops = self.hops.values().map(|hop| hop.due);
        let due = hops.chain([self.own.due]).flatten().min();
        due.filter(|_| self.up)
    }

    /// The link went up or down. Down: next hops are out at once. Up: the own
    /// address is announced and next hops are asked for.
    pub fn link(&mut self, up: bool, now: Time) {
        if self.up == up {
            return;
        }
        self.change_all(|link| {
            link.up = up;
            match up {
                true => link.own.link_up(&link.timers, now),
                false => link.own.link_down(),
            }
        });
        if up {
            self.poll(now);
            return;
        }
        self.outbox.frames.clear();
        self.hops.values_mut().for_each(|hop| hop.restart(now));
    }

    /// Tells everybody that the own address is ours.
    pub(super) fn announce(&mut self) {
        let bytes = self.link_header().announcement();
        self.outbox.counters.announcements_sent += self.send(bytes);
    }
}
