//! The own address: announced, and defended (RFC 5227).
//!
//! It is in use from the moment the link is up. RFC 5227 section 2.1 would
//! have it probed for seconds first; but it is the address a network sends its
//! traffic to by configuration, and an appliance that stays silent because of
//! a second claimant takes that network down, where one that speaks leaves it
//! to the operator, who is told, which of the two is to go. So it is announced
//! at once, with a single probe beside it that finds another owner: most
//! systems answer a probe, few an announcement. And it is defended for good
//! (section 2.4 c), at most once in ten seconds.

use crate::model::Interface4;
use crate::time::Time;
use crate::wire::Mac;

use super::config::Timers;
use super::view::Conflict;

/// What the address's timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Ask whether anybody else has it, and announce it.
    ProbeAndAnnounce,
    Announce,
}

#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) interface: Interface4,
    pub(super) due: Option<Time>,
    pub(super) conflict: Option<Conflict>,
    probed: bool,
    announcements: u8,
    defended: Option<Time>,
}

impl Own {
    pub(super) fn new(interface: Interface4) -> Own {
        Own {
            interface,
            due: None,
            conflict: None,
            probed: false,
            announcements: 0,
            defended: None,
        }
    }

    pub(super) fn link_up(&mut self, timers: &Timers, now: Time) {
        self.probed = false;
        self.announcements = timers.announcements;
        self.due = Some(now);
    }

    pub(super) fn link_down(&mut self) {
        self.due = None;
    }

    pub(super) fn timer(&mut self, timers: &Timers, now: Time) -> Option<Due> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.announcements = self.announcements.saturating_sub(1);
        self.due = (self.announcements > 0).then(|| now.after(timers.announce_interval));
        if std::mem::replace(&mut self.probed, true) {
            Some(Due::Announce)
        } else {
            Some(Due::ProbeAndAnnounce)
        }
    }

    /// Another system claims it. Whether it is to be defended: not if that was
    /// just done, so that two stubborn systems do not fill the link.
    pub(super) fn claimed(&mut self, mac: Mac, timers: &Timers, now: Time) -> bool {
        self.conflict = Some(Conflict { mac, seen: now });
        let defend = self
            .defended
            .is_none_or(|last| now.since(last) >= timers.defend_interval);
        if defend {
            self.defended = Some(now);
        }
        defend
    }
}
