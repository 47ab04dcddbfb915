//! The relay in the control thread: its two links, what workers read of it,
//! and what senders are told of packets that were dropped.

use std::net::Ipv6Addr;

use crate::control::plant::PlantError;
use crate::control::proto::{NeighborState, RelaySideState, RelayState};
use crate::control::store::Store;
use crate::datapath::Drop;
use crate::datapath::relay::is_logged;
use crate::datapath::topology::{Hop, RelayRecord, Topology};
use crate::link4::{self, Link4, Link4Config};
use crate::model::{self, NextHop, Role, Route};
use crate::siit::rfc7915::{Reply, Rules};
use crate::substrate::{self, Substrate, SubstrateConfig, Uplink};
use crate::time::Time;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Layout, Locator, Vaddr, icmpv4, icmpv6, ipv4};

use super::answer::Replies;
use super::compile::{Site, SitePort};
use super::plant::Plant;

/// A relay has one next hop, and all depends on it: a router that is exchanged
/// is found within seconds, asked as often as RFC 1122 allows.
const TIMERS: link4::Timers = link4::Timers {
    probe_interval: 1000,
    misses: 2,
    ..link4::Timers::DEFAULT
};

/// The relay's links, on an appliance with ports for them.
#[derive(Debug)]
pub(super) struct RelayLinks {
    port4: u16,
    port6: u16,
    /// Whether the devices' links are up.
    up: [bool; 2],
    /// `None` while the store has no relay.
    pub(super) link4: Option<Link4>,
    pub(super) link6: Substrate,
    /// What they were last told.
    told: Option<model::Relay>,
    /// How often they were told something.
    changes: u64,
    /// Next hops as they last could be used, and by which address: a new next
    /// hop takes over when it has answered, not before.
    last4: Option<(Vaddr, Hop)>,
    last6: Option<(Ipv6Addr, Hop)>,
    seed: u64,
}

impl RelayLinks {
    /// `None` without a port of either role.
    pub(super) fn new(site: &Site, seed: u64) -> Option<RelayLinks> {
        let port = |role| {
            let found = site.ports.iter().position(|port| port.config.role == role);
            found.map(|index| index as u16)
        };
        let no_uplinks = SubstrateConfig {
            seed,
            ..SubstrateConfig::new(None, Layout::default(), Vec::new())
        };
        Some(RelayLinks {
            port4: port(Role::Relay4)?,
            port6: port(Role::Relay6)?,
            up: [false; 2],
            link4: None,
            // Without uplinks there is nothing to refuse.
            link6: Substrate::new(no_uplinks).ok()?,
            told: None,
            changes: 0,
            last4: None,
            last6: None,
            seed,
        })
    }

    /// Changes whenever what workers should read of the links may have changed.
    pub(super) fn generation(&self) -> u64 {
        let link4 = self.link4.as_ref().map_or(0, Link4::generation);
        link4 + self.link6.generation() + (self.changes << 32)
    }

    /// Makes the links what the store says; if one refuses, both stay as they
    /// are.
    fn adopt(
        &mut self,
        site: &Site,
        relay: Option<&model::Relay>,
        now: Time,
    ) -> Result<(), PlantError> {
        if self.told.as_ref() == relay {
            return Ok(());
        }
        let refused = |why: &dyn std::fmt::Display| PlantError::Refused(format!("relay: {why}"));
        let config4 = relay.and_then(|relay| config4(site, self.port4, relay, self.seed));
        let config6 = relay.and_then(|relay| config6(site, self.port6, relay));
        // The new IPv4 engine is tried on the side: it has the least state.
        let fresh = config4.clone().map(Link4::new).transpose();
        let fresh = fresh.map_err(|why| refused(&why))?;
        let nothing = || SubstrateConfig::new(None, Layout::default(), Vec::new());
        self.link6
            .reconfigure(config6.unwrap_or_else(nothing), now)
            .map_err(|why| refused(&why))?;
        match (&mut self.link4, config4) {
            // What a fresh engine takes, a running one takes too.
            (Some(link4), Some(config)) => {
                link4
                    .reconfigure(config, now)
                    .map_err(|why| refused(&why))?;
            }
            (link4, _) => *link4 = fresh,
        }
        self.told = relay.cloned();
        self.changes += 1;
        // An engine that is new to a port takes its link for down.
        let [up4, up6] = self.up;
        self.link(self.port4, up4, now);
        self.link(self.port6, up6, now);
        Ok(())
    }

    pub(super) fn link(&mut self, port: u16, up: bool, now: Time) {
        if port == self.port4 {
            self.up[0] = up;
            if let Some(link4) = &mut self.link4 {
                link4.link(up, now);
            }
        } else if port == self.port6 {
            self.up[1] = up;
            self.link6.link(port, up, now);
        }
    }

    pub(super) fn poll(&mut self, now: Time) {
        if let Some(link4) = &mut self.link4 {
            link4.poll(now);
        }
        self.link6.poll(now);
    }

    /// A frame for the relay itself. What has no effect is counted by the
    /// engines, by reason.
    fn input(&mut self, port: u16, frame: &[u8], now: Time) {
        if port == self.port4 {
            let _ = self.link4.as_mut().map(|link4| link4.input(frame, now));
        } else {
            let _ = self.link6.input(port, frame, now);
        }
    }

    /// The own address of the IPv4 side, if this is its port.
    pub(super) fn own4(&self, port: u16) -> Option<String> {
        let own = self
            .link4
            .as_ref()
            .filter(|_| port == self.port4)?
            .own_address();
        let state = if own.conflict.is_some() {
            "conflict"
        } else {
            "valid"
        };
        Some(format!("{} ({state})", own.interface))
    }

    /// How the sides are doing.
    pub(super) fn state(&self, topology: &Topology) -> Option<RelayState> {
        let (told, record) = (self.told.as_ref()?, topology.relay()?);
        let hop4 = self.link4.as_ref()?.neighbors();
        let hop4 = hop4.iter().find(|view| view.address == told.ipv4.via);
        let hop6 = self.link6.neighbors();
        let hop6 = hop6.iter().find(|view| view.address == told.ipv6.via);
        let [up4, up6] = self.up;
        Some(RelayState {
            ipv4: RelaySideState {
                up: up4,
                mtu: record.rules.mtu4,
                next_hop: hop4.and_then(|view| view.mac),
                state: hop4.map(|view| neighbor_state(view.state)),
            },
            ipv6: RelaySideState {
                up: up6,
                mtu: record.rules.mtu6,
                next_hop: hop6.and_then(|view| view.mac),
                state: hop6.map(|view| super::reports::neighbor_state(view.state)),
            },
        })
    }

    /// What workers read. `None` while the store has no relay.
    pub(super) fn record(&self, site: &Site, store: &Store) -> Option<RelayRecord> {
        let relay = store.relay()?;
        let port = |index: u16| site.ports.get(usize::from(index)).map(|port| &port.config);
        let mtu4 = relay.ipv4.mtu.unwrap_or(port(self.port4)?.mtu);
        let mtu6 = relay.ipv6.mtu.unwrap_or(port(self.port6)?.mtu);
        let rules = Rules {
            traffic_class: relay.traffic_class,
            tos: relay.tos,
            udp_zero: relay.udp_zero_checksum,
            hairpin: relay.hairpin,
            mtu4,
            mtu6,
            lowest_ipv6_mtu: relay.lowest_ipv6_mtu,
            mtu_plateaus: relay.mtu_plateaus.clone(),
            error_source_extension: relay.error_source_extension,
        };
        let own = relay.ipv4.address;
        Some(RelayRecord {
            uncut6: rules.lowest_ipv6_mtu.min(mtu6),
            rules,
            addresses: store.address_map()?,
            own4: own.address,
            broadcast4: Vaddr(own.address.0 | !crate::wire::address::Prefix4::mask(own.len)),
            hop4: self.last4.as_ref().map(|(_, hop)| hop.clone()),
            hop6: self.last6.as_ref().map(|(_, hop)| hop.clone()),
            icmp_rate: relay.icmp_rate,
        })
    }

    /// Brings the next hops in step with the engines.
    pub(super) fn look_at_hops(&mut self) {
        let Some(relay) = &self.told else {
            return;
        };
        let (via4, via6) = (relay.ipv4.via, relay.ipv6.via);
        let link4 = self.link4.as_ref();
        match self.hop4(via4) {
            Some(hop) => self.last4 = Some((via4, hop)),
            None => {
                let views = link4.map(Link4::neighbors).unwrap_or_default();
                let view = views.iter().find(|view| view.address == via4);
                let asked = view.is_some_and(|v| v.state == link4::NeighborState::Incomplete);
                self.last4 = self.last4.take().filter(|(via, _)| asked && *via != via4);
            }
        }
        match self.hop6(via6) {
            Some(hop) => self.last6 = Some((via6, hop)),
            None => {
                let views = self.link6.neighbors();
                let view = views.iter().find(|view| view.address == via6);
                let asked = view.is_some_and(|v| v.state == substrate::NeighborState::Incomplete);
                self.last6 = self.last6.take().filter(|(via, _)| asked && *via != via6);
            }
        }
    }

    fn hop4(&self, via: Vaddr) -> Option<Hop> {
        let hop = self.link4.as_ref()?.hop(&via)?;
        let link = ethernet::Header {
            destination: hop.dst_mac,
            source: hop.src_mac,
            vlan: hop.vlan,
            ethertype: ethertype::IPV4,
            len: 0,
        };
        let address = std::net::Ipv4Addr::from(hop.address).to_ipv6_mapped();
        Some(Hop::new(self.port4, address, &link))
    }

    fn hop6(&self, via: Ipv6Addr) -> Option<Hop> {
        let hops = self.link6.hops_for_address(&via.octets());
        let hop = hops.first()?;
        let link = ethernet::Header {
            destination: hop.dst_mac,
            source: hop.src_mac,
            vlan: hop.vlan,
            ethertype: ethertype::IPV6,
            len: 0,
        };
        Some(Hop::new(self.port6, hop.address, &link))
    }
}

fn config4(site: &Site, port: u16, relay: &model::Relay, seed: u64) -> Option<Link4Config> {
    let SitePort { config, mac, .. } = site.ports.get(usize::from(port))?;
    let side = &relay.ipv4;
    let mtu = side.mtu.unwrap_or(config.mtu);
    Some(Link4Config {
        vlan: config.vlan,
        hops: vec![link4::Hop {
            address: side.via,
            mac: side.via_mac,
        }],
        timers: TIMERS,
        limits: link4::Limits {
            errors: relay.icmp_rate,
            ..link4::Limits::default()
        },
        seed,
        ..Link4Config::new(port, *mac, side.address, mtu)
    })
}

/// The IPv6 side as an uplink whose only route goes everywhere.
fn config6(site: &Site, port: u16, relay: &model::Relay) -> Option<SubstrateConfig> {
    let SitePort { config, mac, .. } = site.ports.get(usize::from(port))?;
    let side = &relay.ipv6;
    let uplink = Uplink {
        port,
        name: config.name.clone(),
        mac: *mac,
        vlan: config.vlan,
        addresses: vec![side.address],
        mtu: side.mtu.unwrap_or(config.mtu),
        nd_proxy: false,
    };
    let via = NextHop {
        address: side.via,
        port: config.name.clone(),
    };
    let given = side.via_mac.map(|mac| model::Neighbor {
        port: config.name.clone(),
        address: side.via,
        mac,
    });
    Some(SubstrateConfig {
        routes: vec![Route {
            prefix: Locator::ANY,
            via: vec![via],
        }],
        neighbors: given.into_iter().collect(),
        ..SubstrateConfig::new(None, Layout::default(), vec![uplink])
    })
}

impl Plant {
    pub(super) fn adopt_relay(&mut self, store: &Store) -> Result<(), PlantError> {
        let now = self.now();
        match (&mut self.relay, store.relay()) {
            (Some(links), relay) => links.adopt(&self.site, relay, now),
            (None, None) => Ok(()),
            (None, Some(_)) => Err(PlantError::Refused(
                "relay: there is no port of role `relay4` and `relay6`; ports are made at the start"
                    .to_owned(),
            )),
        }
    }

    /// A frame for the relay itself.
    pub(super) fn answer_for_relay(&mut self, port: u16, frame: &[u8]) {
        let now = self.now();
        if let Some(links) = &mut self.relay {
            links.input(port, frame, now);
        }
    }

    /// A packet that was dropped, whose sender is told so, or the log.
    pub(super) fn tell_sender(
        &mut self,
        (why, reply, port): (Drop, Option<Reply>, u16),
        frame: &[u8],
        replies: &mut Replies,
    ) {
        if is_logged(why) {
            log_packet(why, frame);
        }
        let Some(reply) = reply else {
            return;
        };
        let message = ethernet::Header::parse(frame).and_then(|link| {
            let quote = frame.get(link.len..)?;
            self.error_message(port, &link, reply, quote)
        });
        if let Some(message) = message {
            self.slow.icmp_sent += 1;
            replies.frames.push((port, message));
        }
    }

    /// An ICMP error as a frame, back to where the packet came from.
    fn error_message(
        &self,
        port: u16,
        came: &ethernet::Header,
        reply: Reply,
        quote: &[u8],
    ) -> Option<Vec<u8>> {
        let record = self.topology().port(port)?;
        if !came.source.is_unicast() {
            return None;
        }
        let mut message = [0; icmpv6::MAX_ERROR_LEN];
        let len = match record.role {
            Role::Relay4 => {
                let own = self.topology().relay()?.own4;
                let out = message.first_chunk_mut::<{ icmpv4::MAX_ERROR_LEN }>()?;
                reply.to_ipv4(own, quote, out)?
            }
            Role::Relay6 | Role::Uplink => {
                let own = self.own6(port)?;
                reply.to_ipv6(&own.octets(), quote, &mut message)?
            }
            Role::Node | Role::Exception => return None,
        };
        let link = ethernet::Header {
            destination: came.source,
            source: record.mac,
            vlan: came.vlan.or(record.vlan),
            ethertype: came.ethertype,
            len: 0,
        };
        let mut frame = vec![0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
        let link_len = link.emit(&mut frame);
        frame.truncate(link_len);
        frame.extend_from_slice(message.get(..len)?);
        Some(frame)
    }

    /// The address by which the host speaks of itself on a port.
    fn own6(&self, port: u16) -> Option<Ipv6Addr> {
        match self.topology().port(port)?.role {
            Role::Relay6 => self
                .relay
                .as_ref()?
                .told
                .as_ref()
                .map(|relay| relay.ipv6.address.address),
            _ => self
                .site
                .locator
                .map(|own| self.site.layout.control_address(&own).into()),
        }
    }
}

/// The IPv4 engine's states by the protocol's names.
pub(super) fn neighbor_state(state: link4::NeighborState) -> NeighborState {
    match state {
        link4::NeighborState::Permanent => NeighborState::Permanent,
        link4::NeighborState::Incomplete => NeighborState::Incomplete,
        link4::NeighborState::Reachable => NeighborState::Reachable,
        link4::NeighborState::Probe => NeighborState::Probe,
        link4::NeighborState::Failed => NeighborState::Failed,
    }
}

/// RFC 7915 wants the management to hear of some packets, with their addresses
/// and ports. Which packets these are is limited in rate by the workers.
fn log_packet(why: Drop, frame: &[u8]) {
    let Some(packet) = ethernet::Header::parse(frame).and_then(|link| frame.get(link.len..)) else {
        return;
    };
    if let Some(ip) = ipv4::Header::parse_unchecked(packet) {
        let ports = packet
            .get(usize::from(ip.header_len)..)
            .and_then(|rest| rest.first_chunk::<4>());
        let ports = ports.filter(|_| ip.is_first()).map(|[a, b, c, d]| {
            let [from, to] = [[*a, *b], [*c, *d]].map(u16::from_be_bytes);
            format!(", ports {from} > {to}")
        });
        log::warn!(
            "{why}: {} > {}{}",
            ip.src,
            ip.dst,
            ports.unwrap_or_default()
        );
    } else if let Ok(ip) = crate::wire::ipv6::Header::parse_quoted(packet) {
        let [src, dst] = [ip.src, ip.dst].map(Ipv6Addr::from);
        log::warn!("{why}: {src} > {dst}");
    }
}
