//! What the operator does to the engine. Nothing is half applied: a call
//! checks all it was given before it changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use crate::model::{Interface6, Neighbor as Static, Route};
use crate::pace::{Bucket, Random, mix};
use crate::time::Time;
use crate::wire::Mac;

use super::address::Own;
use super::config::{self, Limits, own_interfaces};
use super::listener::Listener;
use super::neighbor::Neighbor;
use super::route::{HopKey, Routes, Via};
use super::wire::solicited_node;
use super::{NeighborState, Port, Substrate, SubstrateConfig, SubstrateError, Timers, Uplink};

impl Substrate {
    /// Becomes as `config` says, keeping what did not change: addresses that
    /// stay are not checked again, neighbours that stay keep their state, and a
    /// next hop whose hardware address is no longer given keeps it while it is
    /// asked for. A new uplink's link is down until `link` says otherwise.
    pub fn reconfigure(
        &mut self,
        config: SubstrateConfig,
        now: Time,
    ) -> Result<(), SubstrateError> {
        config.check()?;
        let limits_changed = self.outbox.limits != config.limits;
        self.outbox.limits = config.limits;
        self.timers = config.timers;
        self.locator = config.locator;
        self.layout = config.layout;
        self.generation += 1;
        let before: BTreeMap<HopKey, Option<Mac>> = self.next_hops().collect();

        self.apply_uplinks(config.uplinks, limits_changed, now);
        self.move_groups(now);
        let released = self.apply_neighbors(&config.neighbors, now);
        self.apply_routes(&config.routes, now);
        // What was given of others than next hops is not known any more.
        self.neighbors
            .retain(|key, n| n.used || !released.contains(key));

        let hops: Vec<HopKey> = self.next_hops().map(|(key, _)| key).collect();
        for key in hops {
            self.compare(key, before.get(&key).copied().flatten());
        }
        Ok(())
    }

    fn next_hops(&self) -> impl Iterator<Item = (HopKey, Option<Mac>)> + '_ {
        let used = self.neighbors.iter().filter(|(_, n)| n.used);
        used.map(|(key, _)| (*key, self.usable(*key)))
    }

    fn apply_uplinks(&mut self, uplinks: Vec<Uplink>, limits_changed: bool, now: Time) {
        let limits = self.outbox.limits;
        let mut old = std::mem::take(&mut self.ports);
        for uplink in uplinks {
            let same = old.iter().position(|p| p.uplink.port == uplink.port);
            let mut port = match same {
                Some(at) => old.swap_remove(at),
                None => new_port(&uplink, &limits, now),
            };
            if limits_changed {
                port.answers = Bucket::new(limits.answers, now);
                port.echoes = Bucket::new(limits.echoes, now);
            }
            let index = uplink.port;
            if adopt(&mut port, uplink, &self.timers, &mut self.random, now) {
                self.neighbors.retain(|key, _| key.0 != index);
            }
            self.ports.push(port);
        }
        self.neighbors.retain(|key, _| {
            let port = self.ports.iter().find(|p| p.uplink.port == key.0);
            port.is_some_and(|p| config::is_on_link(&p.uplink, key.1))
        });
    }

    /// Replaces all static neighbours; those that are none any more.
    fn apply_neighbors(&mut self, given: &[Static], now: Time) -> BTreeSet<HopKey> {
        let mut released = BTreeSet::new();
        for (key, neighbor) in &mut self.neighbors {
            if neighbor.state == NeighborState::Permanent {
                neighbor.release(&self.timers, now);
                released.insert(*key);
            }
        }
        for neighbor in given {
            if let Some(port) = self.index_of(&neighbor.port) {
                let key = (port, neighbor.address);
                let fixed = Neighbor::permanent(neighbor.mac, now);
                self.neighbors.insert(key, fixed);
                released.remove(&key);
            }
        }
        released
    }

    /// Replaces all routes.
    pub fn set_routes(&mut self, routes: &[Route], now: Time) -> Result<(), SubstrateError> {
        config::check_routes(&self.uplinks(), routes)?;
        self.apply_routes(routes, now);
        Ok(())
    }

    fn apply_routes(&mut self, routes: &[Route], now: Time) {
        let resolve = |route: &Route| Via {
            prefix: route.prefix,
            hops: route
                .via
                .iter()
                .filter_map(|hop| Some((self.index_of(&hop.port)?, hop.address)))
                .collect(),
        };
        self.routes = Routes::new(routes.iter().map(resolve).collect());
        self.generation += 1;

        let wanted: BTreeSet<HopKey> = self
            .routes
            .iter()
            .flat_map(|via| via.hops.clone())
            .collect();
        let timers = self.timers;
        self.neighbors
            .retain(|key, n| n.set_used(wanted.contains(key), &timers, now));
        for key in wanted {
            self.neighbors
                .entry(key)
                .or_insert_with(|| Neighbor::wanted(now));
        }
    }

    /// Sets a static neighbour, in place of whatever is known of it.
    pub fn set_neighbor(&mut self, neighbor: &Static, now: Time) -> Result<(), SubstrateError> {
        let port = config::check_neighbor(&self.uplinks(), "neighbor", neighbor)?;
        let key = (port, neighbor.address);
        let before = self.usable(key);
        let used = self.neighbors.get(&key).is_some_and(|n| n.used);
        let mut fixed = Neighbor::permanent(neighbor.mac, now);
        fixed.used = used;
        self.neighbors.insert(key, fixed);
        self.compare(key, before);
        Ok(())
    }

    /// Takes a static neighbour back; a next hop is then asked for. `false` if
    /// there is no such static neighbour.
    pub fn remove_neighbor(&mut self, port: &str, address: Ipv6Addr, now: Time) -> bool {
        let Some(port) = self.index_of(port) else {
            return false;
        };
        let key = (port, address);
        let before = self.usable(key);
        match self.neighbors.get_mut(&key) {
            Some(n) if n.state == NeighborState::Permanent && n.used => *n = Neighbor::wanted(now),
            Some(n) if n.state == NeighborState::Permanent => {
                self.neighbors.remove(&key);
            }
            _ => return false,
        }
        self.compare(key, before);
        true
    }

    fn index_of(&self, name: &str) -> Option<u16> {
        let port = self.ports.iter().find(|p| p.uplink.name == name)?;
        Some(port.uplink.port)
    }

    fn uplinks(&self) -> Vec<Uplink> {
        self.ports.iter().map(|p| p.uplink.clone()).collect()
    }
}

fn new_port(uplink: &Uplink, limits: &Limits, now: Time) -> Port {
    Port {
        uplink: uplink.clone(),
        up: false,
        own: Vec::new(),
        listener: Listener::default(),
        answers: Bucket::new(limits.answers, now),
        echoes: Bucket::new(limits.echoes, now),
    }
}

/// Gives a port its uplink's present addresses. `true` if it is in another
/// place now: whether an address is taken there is not known, all must hear of
/// us, and what was learned of neighbours is void.
fn adopt(port: &mut Port, uplink: Uplink, timers: &Timers, random: &mut Random, now: Time) -> bool {
    let wanted = own_interfaces(&uplink);
    let moved = (port.uplink.mac, port.uplink.vlan) != (uplink.mac, uplink.vlan);
    port.uplink = uplink;
    for own in std::mem::take(&mut port.own) {
        if !moved && wanted.contains(&own.interface) {
            port.own.push(own);
        } else {
            port.listener
                .leave(solicited_node(own.interface.address), now);
        }
    }
    for interface in wanted {
        if port.own.iter().any(|own| own.interface == interface) {
            continue;
        }
        port.listener.join(solicited_node(interface.address), now);
        port.own.push(new_address(
            interface,
            port.uplink.mac,
            port.up,
            timers,
            random,
            now,
        ));
    }
    moved
}

fn new_address(
    interface: Interface6,
    mac: Mac,
    up: bool,
    timers: &Timers,
    random: &mut Random,
    now: Time,
) -> Own {
    // Two hosts that were given the same seed still have different nonces.
    let mac = mac
        .0
        .iter()
        .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
    let [nonce @ .., _, _] = (random.next() ^ mix(mac)).to_be_bytes();
    let mut own = Own::new(interface, nonce);
    if up {
        own.link_up(timers, now);
    }
    own
}
