//! An IPv4 link of the control thread: ARP for the one own address and for the
//! next hops, and ping.
//!
//! The sibling of [`substrate`](crate::substrate), and as pure: frames and time
//! go in ([`Link4::input`], [`Link4::poll`], [`Link4::link`]); frames, events
//! and answers come out ([`Link4::poll_frame`], [`Link4::poll_event`],
//! [`Link4::hop`]). No sockets, no threads, no clock. Control runs it like
//! this, frames first so that an answer that waits in a ring is never taken
//! for a missing one:
//!
//! ```text
//! if the port's link changed         link4.link(up, now)
//! for each punted frame              link4.input(frame, now)
//! link4.poll(now)
//! while let Some(output)             hand it to the port
//! while let Some(event)              publish it
//! if link4.generation() changed      compile next hops anew for the workers
//! sleep until next_timeout()
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config` | what the engine is told, checked |
//! | `wire`, `build` | frames to messages, messages to frames |
//! | `ignored` | every reason for which a frame has no effect |
//! | `neighbor` | one next hop's state machine |
//! | `own` | the own address: announcement, defence |
//! | `view` | what comes out: frames, events, counters, states |
//! | `receive`, `timers`, `reload` | the engine itself: what frames, time and the operator do to it |
//!
//! It serves a translator between networks, not a host of one. So it has a
//! cache of next hops and of nobody else: a neighbour that pings the own
//! address is answered at the hardware address its frame came from.

use std::collections::{BTreeMap, VecDeque};

use crate::pace::{Bucket, Random};
use crate::time::Time;
use crate::wire::{Mac, Vaddr};

mod build;
mod config;
mod ignored;
mod neighbor;
mod own;
mod receive;
mod reload;
mod timers;
mod view;
mod wire;

pub use config::{Hop, Limits, Link4Config, Link4Error, Timers};
pub use ignored::Ignored;
pub use neighbor::State as NeighborState;
pub use view::{Conflict, Counters, Event, NeighborView, Output, OwnAddress, ResolvedHop};

use neighbor::Neighbor;
use own::Own;

/// Frames and events on their way out, and what is counted.
#[derive(Debug)]
struct Outbox {
    frames: VecDeque<Output>,
    events: VecDeque<Event>,
    limits: Limits,
    counters: Counters,
}

impl Outbox {
    fn tell(&mut self, event: Event) {
        if self.events.len() < self.limits.events {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }
}

/// The engine. The link is down until [`Link4::link`] says otherwise.
#[derive(Debug)]
pub struct Link4 {
    port: u16,
    mac: Mac,
    vlan: Option<u16>,
    mtu: u16,
    up: bool,
    own: Own,
    hops: BTreeMap<Vaddr, Neighbor>,
    timers: Timers,
    answers: Bucket,
    echoes: Bucket,
    /// None: without limit.
    errors: Option<Bucket>,
    /// Identification of the last packet sent that may be fragmented.
    id: u16,
    generation: u64,
    outbox: Outbox,
}

impl Link4 {
    pub fn new(config: Link4Config) -> Result<Link4, Link4Error> {
        config.check()?;
        let now = Time::ZERO;
        let (answers, echoes, errors) = reload::buckets(&config.limits, now);
        let hop = |hop: &Hop| (hop.address, Neighbor::new(hop.mac, now));
        Ok(Link4 {
            port: config.port,
            mac: config.mac,
            vlan: config.vlan,
            mtu: config.mtu,
            up: false,
            own: Own::new(config.address),
            hops: config.hops.iter().map(hop).collect(),
            timers: config.timers,
            answers,
            echoes,
            errors,
            id: Random(config.seed).next() as u16,
            generation: 0,
            outbox: Outbox {
                frames: VecDeque::new(),
                events: VecDeque::new(),
                limits: config.limits,
                counters: Counters::default(),
            },
        })
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<Output> {
        self.outbox.frames.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.events.pop_front()
    }

    pub fn counters(&self) -> &Counters {
        &self.outbox.counters
    }

    /// Changes whenever an answer of `hop` may have changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A next hop, if packets can be sent to it now.
    pub fn hop(&self, address: &Vaddr) -> Option<ResolvedHop> {
        Some(ResolvedHop {
            port: self.port,
            address: *address,
            src_mac: self.mac,
            dst_mac: self.usable(*address)?,
            vlan: self.vlan,
            mtu: self.mtu,
        })
    }

    pub fn own_address(&self) -> OwnAddress {
        OwnAddress {
            port: self.port,
            interface: self.own.interface,
            conflict: self.own.conflict,
        }
    }

    /// All next hops.
    pub fn neighbors(&self) -> Vec<NeighborView> {
        let view = |(address, hop): (&Vaddr, &Neighbor)| NeighborView {
            port: self.port,
            address: *address,
            mac: hop.mac,
            state: hop.state,
            confirmed: hop.confirmed,
        };
        self.hops.iter().map(view).collect()
    }

    fn link_header(&self) -> build::Link {
        build::Link {
            mac: self.mac,
            vlan: self.vlan,
            address: self.own.interface.address,
        }
    }

    /// How many frames there was room for: one or none.
    fn send(&mut self, bytes: Vec<u8>) -> u64 {
        let outbox = &mut self.outbox;
        if outbox.frames.len() >= outbox.limits.frames {
            outbox.counters.frames_lost += 1;
            return 0;
        }
        let port = self.port;
        outbox.frames.push_back(Output { port, bytes });
        1
    }

    fn usable(&self, address: Vaddr) -> Option<Mac> {
        self.hops.get(&address)?.usable().filter(|_| self.up)
    }

    /// Changes a next hop; tells and counts if that changes what can be used.
    fn change<R>(&mut self, address: Vaddr, act: impl FnOnce(&mut Neighbor) -> R) -> Option<R> {
        let before = self.usable(address);
        let result = act(self.hops.get_mut(&address)?);
        if before != self.usable(address) {
            self.generation += 1;
        }
        self.compare(address, before);
        Some(result)
    }

    /// Changes the link and tells what that did to its next hops.
    fn change_all(&mut self, act: impl FnOnce(&mut Link4)) {
        let hops = self.hops.keys();
        let before: Vec<_> = hops.map(|hop| (*hop, self.usable(*hop))).collect();
        act(self);
        self.generation += 1;
        let added = |hop: &&Vaddr| !before.iter().any(|(known, _)| known == *hop);
        let added: Vec<_> = self
            .hops
            .keys()
            .filter(added)
            .map(|hop| (*hop, None))
            .collect();
        for (hop, before) in before.into_iter().chain(added) {
            self.compare(hop, before);
        }
    }

    /// Tells what became of a next hop that was usable at `before`. One that
    /// is no longer configured is no news to who took it away.
    fn compare(&mut self, address: Vaddr, before: Option<Mac>) {
        let after = self.usable(address);
        if before == after || !self.hops.contains_key(&address) {
            return;
        }
        let port = self.port;
        match (before, after) {
            (_, None) => {
                self.outbox.counters.next_hop_failures += 1;
                self.outbox.tell(Event::NeighborDown { port, address });
            }
            (None, Some(mac)) => self.outbox.tell(Event::NeighborUp { port, address, mac }),
            (Some(_), Some(mac)) => self
                .outbox
                .tell(Event::NeighborMoved { port, address, mac }),
        }
    }
}

#[cfg(test)]
mod tests;
