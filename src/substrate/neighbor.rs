//! One neighbour: the state machine of RFC 4861 section 7.3 and appendix C.
//!
//! Two things differ from the RFC, both because a next hop must leave within a
//! second. A next hop is *asked all the time*, not when traffic doubts it:
//! workers report no confirmations, so REACHABLE lasts only until the next
//! probe. And where the RFC deletes an entry that does not answer, a next hop
//! becomes FAILED and is asked again and again, ever more seldom. A FAILED
//! neighbour that is heard of without having answered us is asked at once but
//! not yet used: if it cannot hear us, using it would only flap.

use crate::time::Time;
use crate::wire::Mac;

use super::config::Timers;
use super::ignored::Ignored;
use super::wire::Flags;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asked for by multicast; no answer yet.
    Incomplete,
    /// Answered a moment ago.
    Reachable,
    /// Hardware address known, reachability not.
    Stale,
    /// About to be probed.
    Delay,
    /// Being probed by unicast.
    Probe,
    /// Does not answer; asked again from time to time.
    Failed,
    /// Given by configuration.
    Permanent,
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            State::Incomplete => "incomplete",
            State::Reachable => "reachable",
            State::Stale => "stale",
            State::Delay => "delay",
            State::Probe => "probe",
            State::Failed => "failed",
            State::Permanent => "permanent",
        }
    }
}

/// What a neighbour's timer asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// Solicit at its group.
    AskGroup,
    /// Solicit at its hardware address.
    Ask(Mac),
    /// Drop the entry.
    Forget,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Neighbor {
    pub(super) state: State,
    pub(super) mac: Option<Mac>,
    /// Says of itself that it is a router. Shown, not judged: routes are ours.
    pub(super) router: bool,
    /// A next hop of a route.
    pub(super) used: bool,
    /// When the timer runs out.
    pub(super) due: Option<Time>,
    /// When it was last heard of, for eviction.
    pub(super) heard: Time,
    /// When it last answered us; to be shown, no decision hangs on it.
    pub(super) confirmed: Option<Time>,
    tries: u8,
    wait: u64,
}

impl Neighbor {
    /// A next hop nothing is known of; its first solicitation is due now.
    pub(super) fn wanted(now: Time) -> Neighbor {
        Neighbor {
            state: State::Incomplete,
            mac: None,
            router: false,
            used: true,
            due: Some(now),
            heard: now,
            confirmed: None,
            tries: 0,
            wait: 0,
        }
    }

    /// Somebody who asked us, and so told its hardware address.
    pub(super) fn met(mac: Mac, timers: &Timers, now: Time) -> Neighbor {
        Neighbor {
            state: State::Stale,
            mac: Some(mac),
            used: false,
            due: Some(now.after(timers.forget)),
            ..Neighbor::wanted(now)
        }
    }

    pub(super) fn permanent(mac: Mac, now: Time) -> Neighbor {
        Neighbor {
            state: State::Permanent,
            mac: Some(mac),
            used: false,
            due: None,
            ..Neighbor::wanted(now)
        }
    }

    /// The hardware address packets may be sent to.
    pub(super) fn usable(&self) -> Option<Mac> {
        match self.state {
            State::Incomplete | State::Failed => None,
            _ => self.mac,
        }
    }

    /// Becomes, or stops to be, a next hop. `false` if nothing is left to keep.
    pub(super) fn set_used(&mut self, used: bool, timers: &Timers, now: Time) -> bool {
        if self.used == used {
            return true;
        }
        self.used = used;
        match (self.state, used) {
            (State::Permanent, _) => true,
            (State::Incomplete | State::Failed, false) => false,
            (State::Reachable, true) => {
                self.due = Some(now.after(timers.probe_interval));
                true
            }
            _ => {
                self.stale(timers, now);
                true
            }
        }
    }

    /// Its hardware address is no longer given: used on while it is asked for.
    pub(super) fn release(&mut self, timers: &Timers, now: Time) {
        self.stale(timers, now);
    }

    /// The link went away and came back: all that was known is in doubt.
    pub(super) fn restart(&mut self, now: Time) {
        if self.state != State::Permanent {
            self.ask_anew(now);
        }
    }

    /// RFC 4861 section 7.2.5.
    pub(super) fn advertised(
        &mut self,
        mac: Option<Mac>,
        flags: Flags,
        timers: &Timers,
        now: Time,
    ) -> Result<(), Ignored> {
        let differs = mac.is_some() && mac != self.mac;
        match self.state {
            State::Permanent => return Err(Ignored::StaticNeighbor),
            State::Incomplete | State::Failed if mac.is_none() => {
                return Err(Ignored::NoLinkAddress);
            }
            State::Failed if !flags.solicited => self.ask_anew(now),
            State::Incomplete | State::Failed => {
                self.mac = mac;
                if flags.solicited {
                    self.confirm(timers, now);
                } else {
                    self.stale(timers, now);
                }
            }
            State::Reachable if differs && !flags.overriding => {
                self.stale(timers, now);
                return Ok(());
            }
            _ if differs && !flags.overriding => return Err(Ignored::NotOverriding),
            _ => {
                self.mac = mac.or(self.mac);
                if flags.solicited {
                    self.confirm(timers, now);
                } else if differs {
                    self.stale(timers, now);
                }
            }
        }
        self.router = flags.router;
        self.heard = now;
        Ok(())
    }

    /// It solicited us and gave its hardware address (RFC 4861 section 7.2.3).
    pub(super) fn heard_from(&mut self, mac: Mac, timers: &Timers, now: Time) {
        self.heard = now;
        match self.state {
            State::Permanent => {}
            State::Failed => self.ask_anew(now),
            _ if self.mac == Some(mac) && self.state != State::Incomplete => {}
            _ => {
                self.mac = Some(mac);
                self.stale(timers, now);
            }
        }
    }

    /// What is to be done at `now`, if the timer ran out. Deadlines count from
    /// `now`, not from the deadline before, so that a control thread that was
    /// held up does not count answers as missed that it had no time to read.
    pub(super) fn timer(&mut self, timers: &Timers, now: Time) -> Option<Due> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        match self.state {
            State::Permanent => {
                self.due = None;
                None
            }
            State::Incomplete if self.tries >= timers.probe_misses => self.fail(timers, now, false),
            State::Incomplete => {
                self.tries += 1;
                self.due = Some(now.after(timers.resolve_interval));
                Some(Due::AskGroup)
            }
            State::Reachable if !self.used => {
                self.stale(timers, now);
                None
            }
            State::Stale if !self.used => Some(Due::Forget),
            State::Stale => {
                self.state = State::Delay;
                self.due = Some(now.after(timers.delay));
                None
            }
            State::Probe if self.tries >= timers.probe_misses => self.fail(timers, now, true),
            State::Reachable | State::Delay | State::Probe => self.probe(timers, now),
            State::Failed => {
                self.wait = (self.wait + timers.retry_first).min(timers.retry_max);
                self.due = Some(now.after(self.wait));
                Some(Due::AskGroup)
            }
        }
    }

    fn probe(&mut self, timers: &Timers, now: Time) -> Option<Due> {
        if self.state != State::Probe {
            self.state = State::Probe;
            self.tries = 0;
        }
        self.tries += 1;
        self.due = Some(now.after(timers.probe_timeout));
        self.mac.map(Due::Ask)
    }

    /// Gives up. After unicast probes the group is asked once at once: a
    /// router that changed its hardware address is back after a round trip.
    fn fail(&mut self, timers: &Timers, now: Time, ask: bool) -> Option<Due> {
        if !self.used {
            return Some(Due::Forget);
        }
        self.state = State::Failed;
        self.mac = None;
        self.wait = timers.retry_first;
        self.due = Some(now.after(self.wait));
        ask.then_some(Due::AskGroup)
    }

    fn confirm(&mut self, timers: &Timers, now: Time) {
        let hold = if self.used {
            timers.probe_interval
        } else {
            timers.reachable
        };
        self.state = State::Reachable;
        self.confirmed = Some(now);
        self.due = Some(now.after(hold));
    }

    fn stale(&mut self, timers: &Timers, now: Time) {
        let hold = if self.used { 0 } else { timers.forget };
        self.state = State::Stale;
        self.due = Some(now.after(hold));
    }

    fn ask_anew(&mut self, now: Time) {
        self.state = State::Incomplete;
        self.mac = None;
        self.tries = 0;
        self.due = Some(now);
    }
}

#[cfg(test)]
#[path = "tests/neighbor.rs"]
mod tests;
