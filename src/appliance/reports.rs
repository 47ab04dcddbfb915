//! The plant, as the control socket sees it.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::control::plant::{Plant as PlantTrait, PlantError};
use crate::control::proto::{
    Counter, CyclesReport, Explain, ExplainReport, GroupReport, Learned, Lease, NeighborReport,
    NeighborState, PlantStatus, PortReport, RelayState, Seen, StatsReport, TraceStart,
};
use crate::control::store::Store;
use crate::control::store::mappings::Place;
use crate::datapath::Drop;
use crate::link4::{self, Link4};
use crate::model::Role;
use crate::node::arp::ArpIgnored;
use crate::node::router::RouterIgnored;
use crate::node::snmp::SnmpRefused;
use crate::substrate::{Counters as NdCounters, Ignored, NeighborState as EngineState, Substrate};
use crate::wire::Vni;
use crate::wire::address::Prefix4;

use super::plant::Plant;

impl PlantTrait for Plant {
    fn mapping_set(
        &mut self,
        vni: Vni,
        prefix: Prefix4,
        at: Place,
        expires_at: Option<u32>,
    ) -> Result<(), PlantError> {
        self.point(vni, prefix, at, expires_at)
    }

    fn mapping_remove(&mut self, vni: Vni, prefix: Prefix4) {
        self.unpoint(vni, prefix);
    }

    fn topology_changed(&mut self, store: &Store) -> Result<(), PlantError> {
        self.dhcp.forget(store);
        self.adopt(store)
    }

    fn status(&self) -> PlantStatus {
        let mut facts = BTreeMap::new();
        for pool in self.devices.pools() {
            facts.insert(
                format!("pool {}", pool.name),
                format!("{} of {} in use", pool.in_use, pool.size),
            );
        }
        facts.insert("table bytes".into(), self.writer.memory_bytes().to_string());
        facts.insert(
            "misses answered".into(),
            if self.has_resolver() { "yes" } else { "no" }.into(),
        );
        PlantStatus {
            uptime_ms: self.now().0,
            workers: self.counters.len() as u32,
            layout: self.site.layout.to_string(),
            locator: self
                .site
                .locator
                .map(|own| own.to_string())
                .unwrap_or_default(),
            facts,
        }
    }

    fn stats(&self) -> StatsReport {
        let mut counters = BTreeMap::new();
        self.worker_counters(&mut counters);
        self.cycle_counters(&mut counters);
        self.port_counters(&mut counters);
        self.slow_counters(&mut counters);
        self.ipv4_counters(&mut counters);
        self.table_counters(&mut counters);
        self.iface_counters(&mut counters);
        self.rings.report(&mut counters);
        StatsReport {
            uptime_ms: self.now().0,
            counters,
        }
    }

    fn cycles(&self) -> CyclesReport {
        self.cycles_report()
    }

    fn ports(&self) -> Vec<PortReport> {
        let reports = self.site.there().map(|(index, port)| {
            let index = index as u16;
            let link = self.devices.link(index);
            let facts = self.devices.facts(index);
            let own: Vec<_> = self
                .ipv6_links()
                .flat_map(Substrate::own_addresses)
                .collect();
            let own = own.iter().filter(|own| own.port == index);
            let relay = self.relay.as_ref().and_then(|relay| relay.own4(index));
            PortReport {
                name: port.config.name.clone(),
                role: port.config.role,
                device: port.config.device.clone(),
                driver: facts.driver,
                mac: port.mac,
                up: link.up,
                speed: link.speed,
                mtu: port.config.mtu,
                rx_queues: facts.rx_queues,
                tx_queues: facts.tx_queues,
                offloads: facts.offloads,
                addresses: own
                    .map(|own| format!("{} ({:?})", own.interface, own.state).to_lowercase())
                    .chain(relay)
                    .collect(),
                counters: self.devices.counters(index).into_iter().collect(),
            }
        });
        reports.collect()
    }

    fn learned(&self, binding: &str) -> Option<Learned> {
        self.learned_of(binding)
    }

    fn slot_of(&self, binding: &str) -> Option<u8> {
        self.slots.get(binding)
    }

    fn leases(&self) -> Vec<Lease> {
        self.leases_now()
    }

    fn neighbors(&self) -> Vec<NeighborReport> {
        let now = self.now();
        let views = self.ipv6_links().flat_map(Substrate::neighbors);
        let views = views.map(|view| NeighborReport {
            port: self.port_name(view.port),
            address: view.address.into(),
            mac: view.mac,
            state: neighbor_state(view.state),
            origin: None,
            confirmed_ms: view.confirmed.map(|at| now.0.saturating_sub(at.0)),
        });
        let link4 = self.relay.as_ref().and_then(|relay| relay.link4.as_ref());
        let hops = link4.into_iter().flat_map(Link4::neighbors);
        let hops = hops.map(|view| NeighborReport {
            port: self.port_name(view.port),
            address: std::net::Ipv4Addr::from(view.address).into(),
            mac: view.mac,
            state: super::relay::neighbor_state(view.state),
            origin: None,
            confirmed_ms: view.confirmed.map(|at| now.0.saturating_sub(at.0)),
        });
        views.chain(hops).collect()
    }

    fn groups(&self, store: &Store) -> Vec<GroupReport> {
        self.group_reports(store)
    }

    fn relay_state(&self) -> Option<RelayState> {
        self.relay.as_ref()?.state(self.topology())
    }

    fn settings(&self) -> Config {
        self.settings.clone()
    }

    fn settings_changed(&mut self, settings: &Config) -> Result<(), PlantError> {
        if settings.log.level != self.settings.log.level {
            let level = log::LevelFilter::from(settings.log.level);
            super::logging::set(&level.to_string()).map_err(PlantError::Refused)?;
        }
        self.settings = settings.clone();
        Ok(())
    }

    fn ports_open(&mut self, wanted: &Config, names: &[&str]) -> Result<(), PlantError> {
        self.open_ports(wanted, names)
    }

    fn ports_close(&mut self, names: &[&str]) {
        self.close_ports(names);
    }

    fn has_room(&self, store: &Store) -> Result<(), PlantError> {
        self.measure(store)
    }

    fn explain(&mut self, request: &Explain) -> Result<ExplainReport, PlantError> {
        self.explain_packet(request)
    }

    fn trace_start(&mut self, request: &TraceStart) -> Result<u64, PlantError> {
        let topology = self.publisher.current();
        let id = self
            .watchers
            .start(&request.filter, request.count, topology)?;
        self.mark_dirty();
        Ok(id)
    }

    fn trace_stop(&mut self, trace: u64) -> Result<Seen, PlantError> {
        self.mark_dirty();
        let lost = self
            .counters
            .iter()
            .map(|counters| counters.trace_lost.get())
            .sum();
        self.watchers.stop(trace).map(|seen| Seen { lost, ..seen })
    }

    fn log_set(&mut self, filter: &str) -> Result<(), PlantError> {
        super::logging::set(filter).map_err(PlantError::Refused)
    }
}

/// The engine's states by the protocol's names.
pub(super) fn neighbor_state(state: EngineState) -> NeighborState {
    match state {
        EngineState::Permanent => NeighborState::Permanent,
        EngineState::Incomplete => NeighborState::Incomplete,
        EngineState::Reachable => NeighborState::Reachable,
        EngineState::Stale => NeighborState::Stale,
        EngineState::Delay => NeighborState::Delay,
        EngineState::Probe => NeighborState::Probe,
        EngineState::Failed => NeighborState::Failed,
    }
}

pub(super) type Counters = BTreeMap<String, Counter>;

/// Of the workers' own counters, those that go down too.
const GAUGES: [&str; 1] = ["held"];

impl Plant {
    fn port_name(&self, port: u16) -> String {
        self.site
            .ports
            .get(usize::from(port))
            .map_or_else(String::new, |port| port.config.name.clone())
    }

    fn worker_counters(&self, out: &mut Counters) {
        for block in &self.counters {
            for (name, help, value) in block.values() {
                let counter = out.entry(name.to_owned()).or_default();
                counter.help = help.to_owned();
                counter.gauge = GAUGES.contains(&name);
                counter.total += value;
                counter.workers.push(value);
            }
            for (why, value) in Drop::ALL.iter().zip(&block.drops) {
                let counter = out.entry(format!("drop_{why}")).or_default();
                counter.help = why.help().to_owned();
                counter.total += value.get();
                counter.workers.push(value.get());
            }
        }
    }

    fn port_counters(&self, out: &mut Counters) {
        for (index, port) in self.site.there() {
            let name = &port.config.name;
            let blocks = || {
                self.counters
                    .iter()
                    .filter_map(|block| block.ports.get(index))
            };
            let mut add = |what: &str, help: &str, values: Vec<u64>| {
                let total = values.iter().sum();
                let counter = Counter {
                    help: help.to_owned(),
                    total,
                    workers: values,
                    gauge: false,
                };
                out.insert(format!("port_{name}_{what}"), counter);
            };
            add(
                "rx_packets",
                "Packets received.",
                blocks().map(|b| b.rx_packets.get()).collect(),
            );
            add(
                "rx_bytes",
                "Bytes received.",
                blocks().map(|b| b.rx_bytes.get()).collect(),
            );
            add(
                "tx_packets",
                "Packets sent.",
                blocks().map(|b| b.tx_packets.get()).collect(),
            );
            add(
                "tx_bytes",
                "Bytes sent.",
                blocks().map(|b| b.tx_bytes.get()).collect(),
            );
            if port.config.role == Role::Uplink {
                let up = self.devices.link(index as u16).up;
                let counter = Counter {
                    help: "Whether the link is up.".to_owned(),
                    total: u64::from(up),
                    workers: Vec::new(),
                    gauge: true,
                };
                out.insert(format!("port_{name}_up"), counter);
            }
        }
    }

    fn slow_counters(&self, out: &mut Counters) {
        let slow = &self.slow;
        let sum = |of: fn(&NdCounters) -> u64| -> u64 {
            self.ipv6_links().map(|link| of(link.counters())).sum()
        };
        for (name, help, total) in [
            (
                "arp_answered",
                "ARP requests of nodes that were answered.",
                slow.arp_answered,
            ),
            (
                "arp_asked",
                "ARP requests sent to nodes for their hardware address.",
                slow.arp_asked,
            ),
            (
                "rarp_seen",
                "RARP requests by which nodes said that they have come.",
                slow.rarp_seen,
            ),
            (
                "gone_told",
                "Other hosts that were told that a node is here no longer.",
                slow.gone_told,
            ),
            (
                "router_answered",
                "Packets of nodes for routers that were answered.",
                slow.router_answered,
            ),
            (
                "snmp_answered",
                "Requests of SNMP for routers that were answered, also by a refusal.",
                self.snmp.answered,
            ),
            ("icmp_sent", "ICMP errors sent to nodes.", slow.icmp_sent),
            (
                "substrate_errors",
                "ICMPv6 errors of the substrate passed on to nodes.",
                slow.substrate_errors,
            ),
            (
                "substrate_errors_ignored",
                "ICMPv6 errors that quote no packet of this host.",
                slow.substrate_errors_ignored,
            ),
            (
                "misses",
                "Addresses that nodes asked for and nobody knew.",
                slow.misses,
            ),
            (
                "control_unsent",
                "Frames of the control thread that found no buffer or ring.",
                slow.unsent,
            ),
            (
                "nd_accepted",
                "Frames that the substrate engine acted on.",
                sum(|counters| counters.accepted),
            ),
            (
                "nd_solicitations_sent",
                "Neighbour solicitations sent.",
                sum(|counters| counters.solicitations_sent),
            ),
            (
                "nd_advertisements_sent",
                "Neighbour advertisements sent.",
                sum(|counters| counters.advertisements_sent),
            ),
            (
                "nd_echo_replies_sent",
                "ICMPv6 echo replies of the host itself.",
                sum(|counters| counters.echo_replies_sent),
            ),
            (
                "nd_listener_reports_sent",
                "MLD reports sent.",
                sum(|counters| counters.listener_reports_sent),
            ),
            (
                "nd_frames_lost",
                "Frames of the substrate engine without room to wait.",
                sum(|counters| counters.frames_lost),
            ),
            (
                "nd_next_hop_failures",
                "Next hops that stopped answering.",
                sum(|counters| counters.next_hop_failures),
            ),
        ] {
            insert(out, name, help, total);
        }
        self.group_counters(out);
        for (why, total) in ArpIgnored::ALL.iter().zip(slow.arp_ignored) {
            insert(out, why.name(), why.help(), total);
        }
        for (why, total) in RouterIgnored::ALL.iter().zip(slow.router_ignored) {
            insert(out, why.name(), why.help(), total);
        }
        out.extend(self.dhcp.counters());
        out.extend(self.address_counters.report());
        for (why, total) in SnmpRefused::ALL.iter().zip(self.snmp.refused) {
            insert(out, why.name(), why.help(), total);
        }
        for why in Ignored::ALL {
            insert(
                out,
                &format!("nd_ignored_{}", why.name()),
                why.help(),
                self.ipv6_links()
                    .map(|link| link.counters().ignored(*why))
                    .sum(),
            );
        }
    }

    /// The engines of all links with IPv6.
    fn ipv6_links(&self) -> impl Iterator<Item = &Substrate> {
        let relay = self.relay.as_ref().map(|relay| &relay.link6);
        std::iter::once(&self.substrate).chain(relay)
    }

    /// What the relay's IPv4 link counts; nothing on an appliance without one.
    fn ipv4_counters(&self, out: &mut Counters) {
        let link4 = self.relay.as_ref().and_then(|relay| relay.link4.as_ref());
        let Some(counters) = link4.map(Link4::counters) else {
            return;
        };
        for (name, help, total) in [
            (
                "ipv4_accepted",
                "Frames of the relay's IPv4 link that its engine acted on.",
                counters.accepted,
            ),
            (
                "ipv4_requests_sent",
                "ARP requests to and for the relay's next hop.",
                counters.requests_sent,
            ),
            (
                "ipv4_replies_sent",
                "ARP replies for the relay's own address.",
                counters.replies_sent,
            ),
            (
                "ipv4_announcements_sent",
                "Announcements of the relay's own address.",
                counters.announcements_sent,
            ),
            (
                "ipv4_echo_replies_sent",
                "ICMP echo replies of the relay itself.",
                counters.echo_replies_sent,
            ),
            (
                "ipv4_errors_sent",
                "ICMP errors about packets for the relay itself.",
                counters.errors_sent,
            ),
            (
                "ipv4_conflicts",
                "Claims of others to the relay's own IPv4 address.",
                counters.conflicts,
            ),
            (
                "ipv4_frames_lost",
                "Frames of the IPv4 engine without room to wait.",
                counters.frames_lost,
            ),
            (
                "ipv4_next_hop_failures",
                "Times that the relay's IPv4 next hop stopped answering.",
                counters.next_hop_failures,
            ),
        ] {
            insert(out, name, help, total);
        }
        for why in link4::Ignored::ALL {
            let name = format!("ipv4_ignored_{}", why.name());
            insert(out, &name, why.help(), counters.ignored(*why));
        }
    }
}

pub(super) fn insert(out: &mut Counters, name: &str, help: &str, total: u64) {
    let counter = Counter {
        help: help.to_owned(),
        total,
        workers: Vec::new(),
        gauge: false,
    };
    out.insert(name.to_owned(), counter);
}
