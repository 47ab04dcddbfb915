//! The substrate side of the control thread: neighbour discovery, multicast
//! listening, echo, and which next hops a locator has right now.
//!
//! A pure engine in the manner of quinn-proto: frames and time go in
//! ([`Substrate::input`], [`Substrate::poll`], [`Substrate::link`]); frames,
//! events and answers come out ([`Substrate::poll_frame`],
//! [`Substrate::poll_event`], [`Substrate::hops_for`]). No sockets, no
//! threads, no clock. Control runs it like this, protocol frames first so that
//! an answer that waits in a ring is never taken for a missing one:
//!
//! ```text
//! for each port whose link changed   substrate.link(port, up, now)
//! for each punted frame              substrate.input(port, frame, now)
//! substrate.poll(now)
//! while let Some(output)             hand it to the port
//! while let Some(event)              publish it
//! if substrate.generation() changed  compile next hops anew for the workers
//! sleep until next_timeout()
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config` | what the engine is told, checked |
//! | `wire`, `build` | frames to messages, messages to frames |
//! | `ignored` | every reason for which a frame has no effect |
//! | `neighbor` | one neighbour's state machine |
//! | `address` | one own address: duplicate detection, announcement |
//! | `listener` | MLD of one uplink |
//! | `groups` | groups that are listened to for others |
//! | `route` | longest prefix, slots of flows |
//! | `view` | what comes out: frames, events, counters, states |
//! | `receive`, `timers`, `reload` | the engine itself: what frames, time and the operator do to it |
//!
//! A weft host hands packets on that are not addressed to it, so it is a
//! router to its neighbours (R flag set); it advertises nothing and believes
//! no advertisement, because its routes are configured.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;

use crate::model::Interface6;
use crate::pace::{Bucket, Random};
use crate::time::Time;
use crate::wire::{Layout, Locator, Mac, Saddr};

mod address;
mod build;
mod config;
mod groups;
mod ignored;
mod listener;
mod neighbor;
mod receive;
mod reload;
mod route;
mod timers;
mod view;
mod wire;

pub use address::AddressState;
pub use config::{Limits, SubstrateConfig, SubstrateError, Timers, Uplink};
pub use ignored::Ignored;
pub use neighbor::State as NeighborState;
pub use route::{EcmpSlots, ResolvedHop, SLOTS};
pub use view::{Counters, Destination, Event, NeighborView, Output, OwnAddress};

use address::Own;
use listener::Listener;
use neighbor::Neighbor;
use route::{HopKey, Routes};

/// An uplink and all that belongs to it alone.
#[derive(Debug)]
struct Port {
    uplink: Uplink,
    up: bool,
    own: Vec<Own>,
    listener: Listener,
    answers: Bucket,
    echoes: Bucket,
}

impl Port {
    fn link(&self) -> build::Link {
        build::Link {
            mac: self.uplink.mac,
            vlan: self.uplink.vlan,
        }
    }

    fn valid(&self) -> impl Iterator<Item = Interface6> + '_ {
        let valid = |own: &&Own| own.state == AddressState::Valid;
        self.own.iter().filter(valid).map(|own| own.interface)
    }

    fn link_local(&self) -> Option<Ipv6Addr> {
        let mut addresses = self.valid().map(|i| i.address);
        addresses.find(Ipv6Addr::is_unicast_link_local)
    }

    /// The address to ask `target` from: one of the same prefix, else the
    /// link-local one, else any.
    fn source_for(&self, target: Ipv6Addr) -> Option<Ipv6Addr> {
        let near = self.valid().find(|i| config::same_prefix(*i, target));
        near.map(|i| i.address)
            .or_else(|| self.link_local())
            .or_else(|| self.valid().next().map(|i| i.address))
    }

    fn can_ask(&self) -> bool {
        self.up && self.valid().next().is_some()
    }
}

/// Frames and events on their way out, and what is counted.
#[derive(Debug, Default)]
struct Outbox {
    frames: VecDeque<Output>,
    events: VecDeque<Event>,
    limits: Limits,
    counters: Counters,
}

impl Outbox {
    /// Whether there was room.
    fn send(&mut self, port: u16, bytes: Vec<u8>) -> bool {
        let room = self.frames.len() < self.limits.frames;
        if room {
            self.frames.push_back(Output { port, bytes });
        } else {
            self.counters.frames_lost += 1;
        }
        room
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < self.limits.events {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }
}

/// The engine. All links are down until [`Substrate::link`] says otherwise.
#[derive(Debug)]
pub struct Substrate {
    ports: Vec<Port>,
    locator: Option<Locator>,
    layout: Layout,
    timers: Timers,
    routes: Routes,
    neighbors: BTreeMap<HopKey, Neighbor>,
    /// Groups that are listened to for others than the host itself, and by which
    /// uplink.
    wanted: BTreeSet<Ipv6Addr>,
    groups_by: Option<u16>,
    random: Random,
    generation: u64,
    outbox: Outbox,
}

impl Substrate {
    pub fn new(config: SubstrateConfig) -> Result<Substrate, SubstrateError> {
        let mut substrate = Substrate {
            ports: Vec::new(),
            locator: config.locator,
            layout: config.layout,
            timers: config.timers,
            routes: Routes::default(),
            neighbors: BTreeMap::new(),
            wanted: BTreeSet::new(),
            groups_by: None,
            random: Random(config.seed),
            generation: 0,
            outbox: Outbox::default(),
        };
        substrate.reconfigure(config, Time::ZERO)?;
        Ok(substrate)
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

    /// Changes whenever an answer of `hops_for`, `ecmp_for`, `own_addresses`
    /// or `own_groups` may have changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The next hops that packets to a host can be sent to now, in configured
    /// order. Of several routes that cover the locator as a whole the longest
    /// counts that has any: a route without next hops is as if it were absent.
    pub fn hops_for(&self, destination: &Locator) -> Vec<ResolvedHop> {
        self.ecmp_for(destination).hops
    }

    /// As `hops_for`, with the slots of flows.
    pub fn ecmp_for(&self, destination: &Locator) -> EcmpSlots {
        self.resolve(destination.bits().to_be_bytes(), destination.len())
    }

    /// As `hops_for`, for one address, which more specific routes may cover.
    pub fn hops_for_address(&self, destination: &Saddr) -> Vec<ResolvedHop> {
        self.ecmp_for_address(destination).hops
    }

    pub fn ecmp_for_address(&self, destination: &Saddr) -> EcmpSlots {
        self.resolve(*destination, 128)
    }

    fn resolve(&self, destination: Saddr, longest: u8) -> EcmpSlots {
        for via in self.routes.covering(destination, longest) {
            let usable: Vec<_> = via.hops.iter().map(|hop| self.resolved(*hop)).collect();
            if usable.iter().any(Option::is_some) {
                return EcmpSlots::fill(&via.hops, &usable);
            }
        }
        EcmpSlots::default()
    }

    fn resolved(&self, hop: HopKey) -> Option<ResolvedHop> {
        let dst_mac = self.usable(hop)?;
        let uplink = &self.port(hop.0)?.uplink;
        Some(ResolvedHop {
            port: hop.0,
            address: hop.1,
            src_mac: uplink.mac,
            dst_mac,
            vlan: uplink.vlan,
            mtu: uplink.mtu,
        })
    }

    /// A neighbour's hardware address, if packets may be sent there. Without
    /// a valid own address a neighbour cannot be asked and so not be trusted.
    fn usable(&self, key: HopKey) -> Option<Mac> {
        let port = self.port(key.0)?;
        let neighbor = self.neighbors.get(&key)?;
        let fixed = neighbor.state == NeighborState::Permanent;
        (port.up && (fixed || port.can_ask())).then(|| neighbor.usable())?
    }

    fn port(&self, port: u16) -> Option<&Port> {
        self.ports.iter().find(|p| p.uplink.port == port)
    }

    /// The address the host answers at in its own locator; on no link.
    pub fn control_address(&self) -> Option<Saddr> {
        Some(self.layout.control_address(&self.locator?))
    }

    fn in_locator(&self, address: &Saddr) -> bool {
        self.locator.is_some_and(|own| own.contains(address))
    }

    /// Whose an address is, seen from all uplinks together.
    pub fn classify_destination(&self, destination: &Saddr) -> Destination {
        let address = Ipv6Addr::from(*destination);
        if address.is_multicast() {
            let proxied = self.ports.iter().any(|p| p.uplink.nd_proxy);
            let listened = self.ports.iter().any(|p| p.listener.contains(address));
            return match address {
                build::ALL_NODES => Destination::OwnGroup,
                _ if listened => Destination::OwnGroup,
                _ if proxied && wire::is_solicited_node(address) => Destination::OwnGroup,
                _ => Destination::Other,
            };
        }
        let own = self.ports.iter().flat_map(|p| &p.own);
        let mut used = own.filter(|own| own.state != AddressState::Duplicate);
        if Some(*destination) == self.control_address()
            || used.any(|own| own.interface.address == address)
        {
            Destination::Own
        } else if self.in_locator(destination) {
            Destination::Locator
        } else {
            Destination::Other
        }
    }

    /// Own addresses on links, link-local ones included.
    pub fn own_addresses(&self) -> Vec<OwnAddress> {
        let of = |port: &Port| {
            let index = port.uplink.port;
            let views = port.own.iter().map(move |own| OwnAddress {
                port: index,
                interface: own.interface,
                state: own.state,
            });
            views.collect::<Vec<_>>()
        };
        self.ports.iter().flat_map(of).collect()
    }

    /// The groups each uplink has to receive for the host itself.
    pub fn own_groups(&self) -> Vec<(u16, Ipv6Addr)> {
        let mut groups = Vec::new();
        for port in &self.ports {
            let index = port.uplink.port;
            groups.push((index, build::ALL_NODES));
            let own = port.listener.groups();
            let own = own.filter(|group| !self.wanted.contains(group));
            groups.extend(own.map(|group| (index, group)));
        }
        groups
    }

    pub fn neighbors(&self) -> Vec<NeighborView> {
        let view = |(key, neighbor): (&HopKey, &Neighbor)| NeighborView {
            port: key.0,
            address: key.1,
            mac: neighbor.mac,
            state: neighbor.state,
            confirmed: neighbor.confirmed,
            router: neighbor.router,
            used: neighbor.used,
        };
        self.neighbors.iter().map(view).collect()
    }

    /// Changes a neighbour; tells and counts if that changes what can be used.
    fn change<R>(&mut self, key: HopKey, act: impl FnOnce(&mut Neighbor) -> R) -> Option<R> {
        let before = self.usable(key);
        let result = act(self.neighbors.get_mut(&key)?);
        self.compare(key, before);
        Some(result)
    }

    /// Tells what became of a next hop that was usable at `before`.
    fn compare(&mut self, key: HopKey, before: Option<Mac>) {
        let after = self.usable(key);
        if before == after || !self.neighbors.get(&key).is_some_and(|n| n.used) {
            return;
        }
        self.generation += 1;
        let (port, address) = key;
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

    /// Runs `act` on an uplink and tells what that did to its next hops.
    fn change_port(&mut self, index: usize, act: impl FnOnce(&mut Port)) {
        let port = self.ports[index].uplink.port;
        let keys: Vec<HopKey> = self.next_hops_of(port).collect();
        let before: Vec<_> = keys.iter().map(|key| self.usable(*key)).collect();
        act(&mut self.ports[index]);
        self.generation += 1;
        for (key, before) in keys.into_iter().zip(before) {
            self.compare(key, before);
        }
    }

    fn next_hops_of(&self, port: u16) -> impl Iterator<Item = HopKey> + '_ {
        let mine = move |(key, n): &(&HopKey, &Neighbor)| key.0 == port && n.used;
        self.neighbors.iter().filter(mine).map(|(key, _)| *key)
    }
}

#[cfg(test)]
mod tests;
