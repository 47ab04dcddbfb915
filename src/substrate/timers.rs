//! What time does to the engine.

use std::net::Ipv6Addr;

use crate::time::Time;

use super::address;
use super::build::{self, Record, To};
use super::listener::Report;
use super::neighbor;
use super::route::HopKey;
use super::wire::{Nonce, solicited_node};
use super::{Event, NeighborState, Substrate};

impl Substrate {
    /// Does all that is due.
    pub fn poll(&mut self, now: Time) {
        for index in 0..self.ports.len() {
            if self.ports[index].up {
                self.poll_addresses(index, now);
                self.poll_listener(index, now);
            }
        }
        let timers = self.timers;
        let due = self.askable().filter(|(_, due)| *due <= now);
        let keys: Vec<HopKey> = due.map(|(key, _)| key).collect();
        for key in keys {
            let due = self.change(key, |n| n.timer(&timers, now)).flatten();
            match due {
                None => {}
                Some(neighbor::Due::AskGroup) => {
                    let group = solicited_node(key.1);
                    self.ask(key, |source| To::group(source, group));
                }
                Some(neighbor::Due::Ask(mac)) => self.ask(key, |source| To {
                    mac,
                    source,
                    destination: key.1,
                }),
                Some(neighbor::Due::Forget) => {
                    self.neighbors.remove(&key);
                }
            }
        }
    }

    /// When `poll` has something to do again; `None` if never.
    pub fn next_timeout(&self) -> Option<Time> {
        let up = self.ports.iter().filter(|p| p.up);
        let of_ports = up.flat_map(|p| p.own.iter().map(|own| own.due).chain([p.listener.due()]));
        let of_neighbors = self.askable().map(|(_, due)| due);
        of_ports.flatten().chain(of_neighbors).min()
    }

    /// Neighbours with a running timer on uplinks by which they can be asked.
    fn askable(&self) -> impl Iterator<Item = (HopKey, Time)> + '_ {
        let reachable = |port: u16| self.port(port).is_some_and(super::Port::can_ask);
        let due = move |(key, n): (&HopKey, &super::Neighbor)| match n.due {
            Some(due) if reachable(key.0) => Some((*key, due)),
            _ => None,
        };
        self.neighbors.iter().filter_map(due)
    }

    /// The link of an uplink went up or down. Down: its next hops are out at
    /// once. Up: own addresses are checked or announced, groups reported, and
    /// next hops asked for.
    pub fn link(&mut self, port: u16, up: bool, now: Time) {
        let Some(index) = self.ports.iter().position(|p| p.uplink.port == port) else {
            return;
        };
        if self.ports[index].up == up {
            return;
        }
        let timers = self.timers;
        self.change_port(index, |port| {
            port.up = up;
            if up {
                port.own
                    .iter_mut()
                    .for_each(|own| own.link_up(&timers, now));
                port.listener.announce(now);
            } else {
                port.own.iter_mut().for_each(address::Own::link_down);
                port.listener.link_down();
            }
        });
        self.move_groups(now);
        if up {
            self.poll(now);
            return;
        }
        self.outbox.frames.retain(|output| output.port != port);
        let fixed = |n: &super::Neighbor| n.used || n.state == NeighborState::Permanent;
        self.neighbors.retain(|key, n| key.0 != port || fixed(n));
        let hops: Vec<HopKey> = self.next_hops_of(port).collect();
        for key in hops {
            self.change(key, |n| n.restart(now));
        }
    }

    fn poll_addresses(&mut self, index: usize, now: Time) {
        for place in 0..self.ports[index].own.len() {
            let own = &mut self.ports[index].own[place];
            let address = own.interface.address;
            match own.timer(&self.timers, now) {
                None => {}
                Some(address::Due::Probe(nonce)) => self.probe(index, address, nonce),
                Some(address::Due::Announce) => self.announce(index, address),
                Some(address::Due::Ready) => self.ready(index, address, now),
            }
        }
    }

    /// An own address passed its check.
    fn ready(&mut self, index: usize, address: Ipv6Addr, now: Time) {
        let port = self.ports[index].uplink.port;
        self.outbox.tell(Event::AddressReady { port, address });
        self.announce(index, address);
        // The first address makes next hops usable that had been found by
        // another one before; change_port cannot see that from in here.
        self.generation += 1;
        if address.is_unicast_link_local() {
            self.ports[index].listener.announce(now);
        }
    }

    fn poll_listener(&mut self, index: usize, now: Time) {
        let reports = self.ports[index].listener.timer(&mut self.random, now);
        let port = &self.ports[index];
        let link = port.link();
        // RFC 3590: from :: while there is no link-local address, for the
        // switches; routers wait for the report that follows.
        let source = port.link_local().unwrap_or(Ipv6Addr::UNSPECIFIED);
        // Headers of IPv6, router alert and report; a record takes 20 bytes.
        let most = (usize::from(port.uplink.mtu) - 56) / 20;
        let index = port.uplink.port;
        for report in reports {
            let frames = match report {
                Report::V1 { listening, group } => {
                    vec![build::report_v1(link, source, listening, group)]
                }
                Report::V2(records) => {
                    let some = |some: &[(Record, Ipv6Addr)]| build::report(link, source, some);
                    records.chunks(most).map(some).collect()
                }
            };
            for bytes in frames {
                let sent = self.outbox.send(index, bytes);
                self.outbox.counters.listener_reports_sent += u64::from(sent);
            }
        }
    }

    fn probe(&mut self, index: usize, address: Ipv6Addr, nonce: Nonce) {
        let port = &self.ports[index];
        let to = To::group(Ipv6Addr::UNSPECIFIED, solicited_node(address));
        let bytes = build::solicitation(port.link(), to, address, nonce);
        let sent = self.outbox.send(port.uplink.port, bytes);
        self.outbox.counters.solicitations_sent += u64::from(sent);
    }

    fn ask(&mut self, key: HopKey, to: impl FnOnce(Ipv6Addr) -> To) {
        let Some(port) = self.port(key.0) else {
            return;
        };
        let Some(source) = port.source_for(key.1) else {
            return;
        };
        let bytes = build::solicitation(port.link(), to(source), key.1, Nonce::default());
        let sent = self.outbox.send(key.0, bytes);
        self.outbox.counters.solicitations_sent += u64::from(sent);
    }
}
