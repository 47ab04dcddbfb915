//! The plant, as the control socket sees it.

use std::collections::BTreeMap;

use crate::control::plant::{Plant as PlantTrait, PlantError};
use crate::control::proto::{
    Counter, Explain, ExplainReport, NeighborReport, NeighborState, PlantStatus, PortReport, Seen,
    StatsReport, TraceStart,
};
use crate::control::store::Store;
use crate::datapath::Drop;
use crate::model::Role;
use crate::node::arp::ArpIgnored;
use crate::substrate::{Ignored, NeighborState as EngineState};
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vni};

use super::plant::Plant;

impl PlantTrait for Plant {
    fn mapping_set(
        &mut self,
        vni: Vni,
        prefix: Prefix4,
        host: u32,
        expires_at: Option<u32>,
    ) -> Result<(), PlantError> {
        self.point(vni, prefix, host, expires_at)
    }

    fn mapping_remove(&mut self, vni: Vni, prefix: Prefix4) {
        self.take(vni, prefix);
    }

    fn topology_changed(&mut self, store: &Store) -> Result<(), PlantError> {
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
        self.port_counters(&mut counters);
        self.slow_counters(&mut counters);
        self.table_counters(&mut counters);
        self.rings.report(&mut counters);
        StatsReport {
            uptime_ms: self.now().0,
            counters,
        }
    }

    fn ports(&self) -> Vec<PortReport> {
        let reports = self.site.ports.iter().enumerate().map(|(index, port)| {
            let index = index as u16;
            let link = self.devices.link(index);
            let facts = self.devices.facts(index);
            let own = self.substrate.own_addresses();
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
                addresses: own
                    .iter()
                    .filter(|own| own.port == index)
                    .map(|own| format!("{} ({:?})", own.interface, own.state).to_lowercase())
                    .collect(),
                counters: self.devices.counters(index).into_iter().collect(),
            }
        });
        reports.collect()
    }

    fn learned_mac(&self, binding: &str) -> Option<Mac> {
        let node = self.numbers.get(binding)?;
        self.learned.get(&node).copied()
    }

    fn neighbors(&self) -> Vec<NeighborReport> {
        let now = self.now();
        let views = self
            .substrate
            .neighbors()
            .into_iter()
            .map(|view| NeighborReport {
                port: self.port_name(view.port),
                address: view.address,
                mac: view.mac,
                state: neighbor_state(view.state),
                origin: None,
                confirmed_ms: view.confirmed.map(|at| now.0.saturating_sub(at.0)),
            });
        views.collect()
    }

    fn settings_toml(&self) -> String {
        self.settings.clone()
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
        for (index, port) in self.site.ports.iter().enumerate() {
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
        let engine = self.substrate.counters();
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
                engine.accepted,
            ),
            (
                "nd_solicitations_sent",
                "Neighbour solicitations sent.",
                engine.solicitations_sent,
            ),
            (
                "nd_advertisements_sent",
                "Neighbour advertisements sent.",
                engine.advertisements_sent,
            ),
            (
                "nd_echo_replies_sent",
                "ICMPv6 echo replies of the host itself.",
                engine.echo_replies_sent,
            ),
            (
                "nd_listener_reports_sent",
                "MLD reports sent.",
                engine.listener_reports_sent,
            ),
            (
                "nd_frames_lost",
                "Frames of the substrate engine without room to wait.",
                engine.frames_lost,
            ),
            (
                "nd_next_hop_failures",
                "Next hops that stopped answering.",
                engine.next_hop_failures,
            ),
        ] {
            insert(out, name, help, total);
        }
        for (why, total) in ArpIgnored::ALL.iter().zip(slow.arp_ignored) {
            insert(out, why.name(), why.help(), total);
        }
        for why in Ignored::ALL {
            insert(
                out,
                &format!("nd_ignored_{}", why.name()),
                why.help(),
                engine.ignored(*why),
            );
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
