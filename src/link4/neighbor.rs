//! One next hop: asked for, used, asked again, given up, asked on.
//!
//! RFC 826 has no states and RFC 1122 section 2.3.2.1 leaves them to us; these
//! are those of neighbour discovery, less what is for hosts with much traffic
//! and many neighbours. Two rules are ours. Only an answer to a question makes
//! a next hop usable: one that is heard of but does not hear us would flap.
//! And what is usable stays so, at the hardware address that it last named,
//! until it left every question unanswered.

use crate::time::Time;
use crate::wire::Mac;

use super::config::Timers;
use super::ignored::Ignored;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asked for; no answer yet.
    Incomplete,
    /// Answered a while ago.
    Reachable,
    /// Being asked again, first at its hardware address, then everywhere.
    Probe,
    /// Does not answer; asked on.
    Failed,
    /// Given by configuration.
    Permanent,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Incomplete => "incomplete",
            State::Reachable => "reachable",
            State::Probe => "probe",
            State::Failed => "failed",
            State::Permanent => "permanent",
        }
    }
}

/// What a next hop's timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Ask everybody.
    AskAll,
    /// Ask at this hardware address.
    Ask(Mac),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Neighbor {
    pub(super) state: State,
    pub(super) mac: Option<Mac>,
    /// When the timer runs out.
    pub(super) due: Option<Time>,
    /// When it last answered us; to be shown, no decision hangs on it.
    pub(super) confirmed: Option<Time>,
    /// Since when it has its hardware address.
    since: Time,
    tries: u8,
    /// A question waits for an answer.
    asked: bool,
}

impl Neighbor {
    /// Nothing is known of it, or all by configuration.
    pub(super) fn new(given: Option<Mac>, now: Time) -> Neighbor {
        Neighbor {
            state: match given {
                Some(_) => State::Permanent,
                None => State::Incomplete,
            },
            mac: given,
            due: given.is_none().then_some(now),
            confirmed: None,
            since: now,
            tries: 0,
            asked: false,
        }
    }

    /// What configuration now says of its hardware address. One that is no
    /// longer given stays in use while it is asked for.
    pub(super) fn give(&mut self, given: Option<Mac>, now: Time) {
        match (given, self.state) {
            (Some(_), _) => *self = Neighbor::new(given, now),
            (None, State::Permanent) => self.doubt(now),
            (None, _) => {}
        }
    }

    /// The hardware address packets may be sent to.
    pub(super) fn usable(&self) -> Option<Mac> {
        match self.state {
            State::Incomplete | State::Failed => None,
            _ => self.mac,
        }
    }

    /// The link was another in between: all that was learned is void.
    pub(super) fn restart(&mut self, now: Time) {
        if self.state != State::Permanent {
            *self = Neighbor {
                confirmed: self.confirmed,
                ..Neighbor::new(None, now)
            };
        }
    }

    /// It named its hardware address: `to_us` in a reply to the own address,
    /// else in a request or an announcement.
    pub(super) fn heard(
        &mut self,
        mac: Mac,
        to_us: bool,
        timers: &Timers,
        now: Time,
    ) -> Result<(), Ignored> {
        let differs = self.mac != Some(mac);
        let answers = to_us && self.asked;
        match self.state {
            State::Permanent if differs => return Err(Ignored::StaticNeighbor),
            State::Permanent => {}
            // It is being asked every moment anyway.
            State::Incomplete | State::Failed if !answers => {}
            State::Reachable | State::Probe if differs && now.since(self.since) < timers.settle => {
                // The first to answer a question is believed. But if it was
                // the wrong one, that must show soon.
                if self.state == State::Reachable {
                    self.doubt(self.since.after(timers.settle));
                }
                return Err(Ignored::Settling);
            }
            _ => {
                if differs {
                    self.mac = Some(mac);
                    self.since = now;
                }
                if answers {
                    self.confirm(timers, now);
                } else if differs {
                    self.doubt(now);
                }
            }
        }
        Ok(())
    }

    /// What is to be done at `now`, if the timer ran out. Deadlines count from
    /// `now`, not from the deadline before, so that a control thread that was
    /// held up does not count answers as missed that it had no time to read.
    pub(super) fn timer(&mut self, timers: &Timers, now: Time) -> Option<Due> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        if self.state == State::Permanent {
            self.due = None;
            return None;
        }
        let everybody = timers.misses.saturating_mul(2);
        match self.state {
            State::Reachable => self.doubt(now),
            State::Incomplete if self.tries >= timers.misses => self.fail(),
            State::Probe if self.tries >= everybody => self.fail(),
            _ => {}
        }
        self.tries = self.tries.saturating_add(1);
        self.asked = true;
        self.due = Some(now.after(timers.ask_interval));
        match self.mac {
            Some(mac) if self.tries <= timers.misses => Some(Due::Ask(mac)),
            _ => Some(Due::AskAll),
        }
    }

    fn confirm(&mut self, timers: &Timers, now: Time) {
        self.state = State::Reachable;
        self.confirmed = Some(now);
        self.due = Some(now.after(timers.probe_interval));
        self.asked = false;
    }

    /// Still used, but asked again from `at` on.
    fn doubt(&mut self, at: Time) {
        self.state = State::Probe;
        self.tries = 0;
        self.due = Some(at);
    }

    fn fail(&mut self) {
        self.state = State::Failed;
        self.mac = None;
    }
}

#[cfg(test)]
#[path = "tests/neighbor.rs"]
mod tests;
