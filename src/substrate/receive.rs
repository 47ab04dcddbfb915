//! What frames do to the engine.

use std::net::Ipv6Addr;

use crate::time::Time;
use crate::wire::Mac;

use super::build::{self, ALL_NODES, To};
use super::config;
use super::neighbor::Neighbor;
use super::wire::{self, Envelope, Flags, Message, Nonce};
use super::{AddressState, Destination, Event, Ignored, NeighborState, Substrate};

/// A solicitation, taken apart.
struct Solicitation {
    target: Ipv6Addr,
    mac: Option<Mac>,
    nonce: Option<Nonce>,
}

impl Substrate {
    /// Takes a frame that arrived on an uplink, as it was on the wire: with
    /// its VLAN tag, if the device did not keep that to itself. The answer
    /// says why a frame had no effect; it is counted already.
    pub fn input(&mut self, port: u16, frame: &[u8], now: Time) -> Result<(), Ignored> {
        let result = self.receive(port, frame, now);
        match result {
            Ok(()) => self.outbox.counters.accepted += 1,
            Err(reason) => self.outbox.counters.ignored[reason as usize] += 1,
        }
        result
    }

    fn receive(&mut self, port: u16, frame: &[u8], now: Time) -> Result<(), Ignored> {
        let index = self.ports.iter().position(|p| p.uplink.port == port);
        let index = index.ok_or(Ignored::UnknownPort)?;
        let uplink = &self.ports[index].uplink;
        if !self.ports[index].up {
            return Err(Ignored::LinkDown);
        }
        let (envelope, message) = wire::parse(frame)?;
        if envelope.vlan != uplink.vlan {
            return Err(Ignored::WrongVlan);
        }
        if !envelope.to.is_group() && envelope.to != uplink.mac {
            return Err(Ignored::OtherMac);
        }
        match message {
            Message::Solicitation { target, mac, nonce } => {
                let asked = Solicitation { target, mac, nonce };
                self.solicited(index, &envelope, asked, now)
            }
            Message::Advertisement { target, mac, flags } => {
                self.advertised(index, &envelope, target, mac, flags, now)
            }
            Message::Echo(body) => self.echo(index, &envelope, body, now),
            Message::Query {
                version,
                group,
                delay,
            } => {
                let listener = &mut self.ports[index].listener;
                match listener.query(version, group, delay, &mut self.random, now) {
                    true => Ok(()),
                    false => Err(Ignored::QueryGroup),
                }
            }
        }
    }

    fn solicited(
        &mut self,
        index: usize,
        envelope: &Envelope,
        asked: Solicitation,
        now: Time,
    ) -> Result<(), Ignored> {
        let target = asked.target;
        let place = self.place_of(index, target);
        let probe = envelope.source.is_unspecified();
        let proxied = match place {
            None if self.ports[index].uplink.nd_proxy && self.in_locator(&target.octets()) => true,
            None => return Err(Ignored::NotOurTarget),
            Some(place) => {
                let own = &self.ports[index].own[place];
                if probe && own.is_own_probe(asked.nonce) {
                    return Err(Ignored::LoopedBack);
                }
                match own.state {
                    AddressState::Duplicate => return Err(Ignored::DuplicateTarget),
                    // RFC 4862 section 5.4.3: who asks from an address of its
                    // own only resolves; who asks from :: wants the address.
                    AddressState::Tentative if !probe => return Err(Ignored::TentativeTarget),
                    AddressState::Tentative => {
                        self.lose_address(index, place, envelope.from);
                        return Ok(());
                    }
                    AddressState::Valid => false,
                }
            }
        };
        if self.place_of(index, envelope.source).is_some() {
            return Err(Ignored::OwnSource);
        }
        if !self.ports[index].answers.take(now) {
            return Err(Ignored::RateLimited);
        }
        if let (Some(mac), false) = (asked.mac, probe) {
            self.learn(index, envelope.source, mac, now);
        }
        let to = if probe {
            To::group(target, ALL_NODES)
        } else {
            To {
                mac: asked.mac.unwrap_or(envelope.from),
                source: target,
                destination: envelope.source,
            }
        };
        let flags = Flags {
            router: true,
            solicited: !probe,
            overriding: !proxied,
        };
        self.advertise(index, self.answering(index, to, proxied), target, flags);
        Ok(())
    }

    /// An address of the locator is on no interface; what speaks for it is the
    /// uplink, from its link-local address.
    fn answering(&self, index: usize, to: To, proxied: bool) -> To {
        match self.ports[index].link_local() {
            Some(source) if proxied => To { source, ..to },
            _ => to,
        }
    }

    fn advertised(
        &mut self,
        index: usize,
        envelope: &Envelope,
        target: Ipv6Addr,
        mac: Option<Mac>,
        flags: Flags,
        now: Time,
    ) -> Result<(), Ignored> {
        let claimed = mac.unwrap_or(envelope.from);
        if let Some(place) = self.place_of(index, target) {
            return self.claimed(index, place, claimed, now);
        }
        let key = (self.ports[index].uplink.port, target);
        let timers = self.timers;
        // Nobody is remembered for having spoken of itself (section 7.2.5).
        self.change(key, |n| n.advertised(mac, flags, &timers, now))
            .unwrap_or(Err(Ignored::UnknownNeighbor))
    }

    /// An advertisement for an own address.
    fn claimed(&mut self, index: usize, place: usize, mac: Mac, now: Time) -> Result<(), Ignored> {
        let port = &mut self.ports[index];
        let own = &mut port.own[place];
        let address = own.interface.address;
        match own.state {
            AddressState::Duplicate => Err(Ignored::DuplicateTarget),
            AddressState::Tentative => {
                self.lose_address(index, place, mac);
                Ok(())
            }
            AddressState::Valid if mac == port.uplink.mac => Err(Ignored::LoopedBack),
            AddressState::Valid => {
                if own.conflict(now) {
                    let port = port.uplink.port;
                    self.outbox
                        .tell(Event::AddressConflict { port, address, mac });
                    self.announce(index, address);
                }
                Ok(())
            }
        }
    }

    fn lose_address(&mut self, index: usize, place: usize, mac: Mac) {
        self.change_port(index, |port| port.own[place].duplicate());
        let port = &self.ports[index];
        let address = port.own[place].interface.address;
        let port = port.uplink.port;
        self.outbox
            .tell(Event::AddressDuplicate { port, address, mac });
    }

    /// Remembers who asked (RFC 4861 section 7.2.3), if it is of this link.
    fn learn(&mut self, index: usize, source: Ipv6Addr, mac: Mac, now: Time) {
        let key = (self.ports[index].uplink.port, source);
        let timers = self.timers;
        let known = self.change(key, |n| n.heard_from(mac, &timers, now));
        if known.is_some() || !config::is_on_link(&self.ports[index].uplink, source) {
            return;
        }
        let passing = |n: &Neighbor| !n.used && n.state != NeighborState::Permanent;
        let others = self.neighbors.iter().filter(|(_, n)| passing(n));
        if others.clone().count() >= self.outbox.limits.neighbors {
            let Some(oldest) = others.min_by_key(|(_, n)| n.heard).map(|(key, _)| *key) else {
                return;
            };
            self.neighbors.remove(&oldest);
            self.outbox.counters.neighbors_evicted += 1;
        }
        self.neighbors.insert(key, Neighbor::met(mac, &timers, now));
    }

    fn echo(
        &mut self,
        index: usize,
        envelope: &Envelope,
        body: &[u8],
        now: Time,
    ) -> Result<(), Ignored> {
        let asked = envelope.destination;
        if !self.answers_at(index, asked) {
            return Err(Ignored::EchoNotOurs);
        }
        if self.classify_destination(&envelope.source.octets()) == Destination::Own {
            return Err(Ignored::OwnSource);
        }
        let port = &mut self.ports[index];
        // Four bytes of type, code and checksum stand before the body.
        if body.len() + 4 + wire::IPV6_LEN > usize::from(port.uplink.mtu) {
            return Err(Ignored::BadLength);
        }
        if !port.echoes.take(now) {
            return Err(Ignored::RateLimited);
        }
        // Back to where it came from: a reply needs no route, and shows that
        // the way back works that the asker's packets took.
        let to = To {
            mac: envelope.from,
            source: asked,
            destination: envelope.source,
        };
        let bytes = build::echo_reply(port.link(), to, body);
        let sent = self.outbox.send(port.uplink.port, bytes);
        self.outbox.counters.echo_replies_sent += u64::from(sent);
        Ok(())
    }

    /// Whether an echo request that came in by this uplink is answered: at the
    /// control address and, by whichever uplink, at every valid own address
    /// that is not bound to another link.
    fn answers_at(&self, index: usize, address: Ipv6Addr) -> bool {
        if Some(address.octets()) == self.control_address() {
            return true;
        }
        let here = |at: usize| at == index || !address.is_unicast_link_local();
        self.ports
            .iter()
            .enumerate()
            .any(|(at, port)| here(at) && port.valid().any(|i| i.address == address))
    }

    fn place_of(&self, index: usize, address: Ipv6Addr) -> Option<usize> {
        let own = &self.ports[index].own;
        own.iter().position(|own| own.interface.address == address)
    }

    pub(super) fn advertise(&mut self, index: usize, to: To, target: Ipv6Addr, flags: Flags) {
        let port = &self.ports[index];
        let bytes = build::advertisement(port.link(), to, target, flags);
        let sent = self.outbox.send(port.uplink.port, bytes);
        self.outbox.counters.advertisements_sent += u64::from(sent);
    }

    /// Tells all nodes of the link that an address is ours.
    pub(super) fn announce(&mut self, index: usize, address: Ipv6Addr) {
        let flags = Flags {
            router: true,
            solicited: false,
            overriding: true,
        };
        self.advertise(index, To::group(address, ALL_NODES), address, flags);
    }
}
