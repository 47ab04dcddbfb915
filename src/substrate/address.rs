//! Own addresses of an uplink: duplicate detection before use (RFC 4862
//! section 5.4), announcement, and who else was seen to use them.

use crate::model::Interface6;
use crate::time::Time;

use super::config::Timers;
use super::wire::Nonce;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressState {
    /// Being checked for duplicates, or waiting for the link to do so.
    Tentative,
    Valid,
    /// Another system has it: not used.
    Duplicate,
}

impl AddressState {
    pub const fn name(self) -> &'static str {
        match self {
            AddressState::Tentative => "tentative",
            AddressState::Valid => "valid",
            AddressState::Duplicate => "duplicate",
        }
    }
}

/// What an address's timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Solicit it from `::` with this nonce.
    Probe(Nonce),
    /// It is ours: say so, now for the first time.
    Ready,
    /// Say so again.
    Announce,
}

#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) interface: Interface6,
    pub(super) state: AddressState,
    pub(super) due: Option<Time>,
    nonce: Nonce,
    probed: bool,
    announcements: u8,
    conflict: Option<Time>,
}

impl Own {
    pub(super) fn new(interface: Interface6, nonce: Nonce) -> Own {
        Own {
            interface,
            state: AddressState::Tentative,
            due: None,
            nonce,
            probed: false,
            announcements: 0,
            conflict: None,
        }
    }

    /// The link is up. A valid address stays in use and is announced: taking
    /// it away for a second because a cable was moved would cost more than a
    /// duplicate that appears at that moment, which its defence reports.
    pub(super) fn link_up(&mut self, timers: &Timers, now: Time) {
        if self.state == AddressState::Valid {
            self.announcements = timers.announcements;
        } else {
            self.state = AddressState::Tentative;
            self.probed = false;
        }
        self.due = Some(now);
    }

    pub(super) fn link_down(&mut self) {
        self.due = None;
        self.probed = false;
    }

    pub(super) fn timer(&mut self, timers: &Timers, now: Time) -> Option<Due> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        match self.state {
            AddressState::Duplicate => {
                self.due = None;
                None
            }
            AddressState::Tentative if !self.probed && timers.dad > 0 => {
                self.probed = true;
                self.due = Some(now.after(timers.dad));
                Some(Due::Probe(self.nonce))
            }
            AddressState::Tentative => {
                self.state = AddressState::Valid;
                self.announcements = timers.announcements;
                self.announced(timers, now);
                Some(Due::Ready)
            }
            AddressState::Valid if self.announcements == 0 => {
                self.due = None;
                None
            }
            AddressState::Valid => {
                self.announced(timers, now);
                Some(Due::Announce)
            }
        }
    }

    fn announced(&mut self, timers: &Timers, now: Time) {
        self.announcements = self.announcements.saturating_sub(1);
        self.due = (self.announcements > 0).then(|| now.after(timers.announce_interval));
    }

    pub(super) fn is_own_probe(&self, nonce: Option<Nonce>) -> bool {
        nonce == Some(self.nonce)
    }

    /// Another system turned out to have it.
    pub(super) fn duplicate(&mut self) {
        self.state = AddressState::Duplicate;
        self.due = None;
    }

    /// Another system claims it while we use it. At most one defence and one
    /// report a second, so that two stubborn systems do not fill the link.
    pub(super) fn conflict(&mut self, now: Time) -> bool {
        let fresh = self.conflict.is_none_or(|last| now.since(last) >= 1000);
        if fresh {
            self.conflict = Some(now);
        }
        fresh
    }
}
