//! From the desired state to what workers read.
//!
//! Pure: store, next hops and devices in, one [`Topology`] out.

mod hosts;
mod native;
mod nodes;
mod numbers;
mod ports;
mod segments;
mod slots;

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::config;
use crate::control::store::Store;
use crate::datapath::fan::Fans;
use crate::datapath::topology::{Entropy, Topology, VnetRecord};
use crate::datapath::watch::Filter;
use crate::mapping::{HostIndex, NodeIndex, SideIndex};
use crate::model;
use crate::node::addresses::Addresses;
use crate::node::dhcp::Leases;
use crate::substrate::Substrate;
use crate::time::Time;
use crate::wire::{Layout, Locator, Mac, Saddr};

use super::relay::RelayLinks;
use super::routing::Routing;

pub use numbers::{Index, Numbers};
pub(in crate::appliance) use segments::subnet_of;
pub use slots::Slots;

/// What does not change while the appliance runs, but for ports that come and go.
#[derive(Clone, Debug)]
pub struct Site {
    pub layout: Layout,
    /// `None` on a plain relay, which has no nodes.
    pub locator: Option<Locator>,
    pub mtu: u16,
    pub ports: Vec<SitePort>,
}

/// A port as configured, with the address its device has.
#[derive(Clone, Debug)]
pub struct SitePort {
    pub config: model::Port,
    pub mac: Mac,
    /// Since when there is none: its number waits for another port.
    pub vacant: Option<Time>,
}

impl Site {
    /// The ports that there are, with their slots.
    pub fn there(&self) -> impl Iterator<Item = (usize, &SitePort)> {
        let ports = self.ports.iter().enumerate();
        ports.filter(|(_, port)| port.vacant.is_none())
    }
}

/// What changes without the store: links, learned addresses, watchers.
#[derive(Debug)]
pub(in crate::appliance) struct Live<'a> {
    pub substrate: &'a Substrate,
    pub relay: Option<&'a RelayLinks>,
    /// Hardware addresses that nodes were seen with.
    pub learned: &'a HashMap<NodeIndex, Mac>,
    /// Addresses that nodes have taken by themselves.
    pub addresses: &'a Addresses,
    /// MTUs that routers on the way named, by the host's locator.
    pub path_mtu: &'a HashMap<u128, u16>,
    pub routing: &'a Routing,
    pub slots: &'a Slots,
    pub watch: &'a [Filter],
    pub resolver: bool,
    /// Who is to get what is sent to several.
    pub fans: Arc<Fans>,
    /// The groups of the substrate that nodes have joined, where it carries
    /// groups.
    pub native: Option<Arc<HashSet<Saddr>>>,
    /// Addresses of nodes whose bindings have none.
    pub leases: &'a Leases,
}

/// Everything the workers read beside the mapping table.
pub(in crate::appliance) fn topology(
    site: &Site,
    store: &Store,
    (numbers, outsiders): (&mut Numbers<NodeIndex>, &mut Numbers<SideIndex>),
    live: &Live<'_>,
) -> Topology {
    numbers.update(store.bindings().map(|binding| binding.name.as_str()));
    outsiders.update(store.outsiders().map(|outsider| outsider.name.as_str()));
    let vnets: Vec<VnetRecord> = store
        .vnets()
        .map(|vnet| nodes::vnet_record(vnet, site.mtu))
        .collect();
    let vnet_numbers: HashMap<&str, u32> = vnets
        .iter()
        .enumerate()
        .map(|(i, vnet)| (vnet.name.as_str(), i as u32))
        .collect();
    let mut topology = Topology {
        layout: site.layout,
        locator: site.locator,
        substrate_mtu: site.mtu,
        ports: ports::ports(site, live),
        resolver: live.resolver,
        watch: live.watch.to_vec(),
        entropy: Entropy::Flow,
        fans: live.fans.clone(),
        ..Topology::default()
    };
    let mut hops = hosts::HopTable::default();
    topology.hosts = hosts::hosts(site, store, live, &mut hops);
    topology.outsiders =
        hosts::outsider_records(site, store, (numbers, outsiders), live, &mut hops);
    let heard = live.native.clone();
    topology.native = heard.map(|heard| Box::new(native::record(site, live, heard, &mut hops)));
    topology.hops = hops.hops;
    topology.relay = live
        .relay
        .and_then(|relay| relay.record(site, store).map(Box::new));
    for (index, host) in topology.hosts.iter().enumerate() {
        if let (false, Some(index)) = (host.locator.is_empty(), HostIndex::new(index as u32)) {
            topology.host_by_locator.insert(host.locator.bits(), index);
        }
    }
    segments::install(&mut topology, live.routing, &vnet_numbers);
    topology.nodes = vec![nodes::vacant_node(); numbers.next as usize];
    for binding in store.bindings() {
        let place = (
            numbers.get(&binding.name),
            vnet_numbers.get(binding.vnet.as_str()),
        );
        if let (Some(index), Some(&vnet)) = place {
            let record = &vnets[vnet as usize];
            let segment = segments::segment(store, live.routing, binding, record.vni);
            let place = (index, (vnet, record), segment);
            nodes::add_node(site, &mut topology, binding, place, live);
        }
    }
    drop(vnet_numbers);
    topology.vnets = vnets;
    topology
}

/// Settings of a file, as the site they describe.
pub fn site(config: &config::Config, macs: &[Mac]) -> Site {
    let ports = config.port.iter().zip(macs);
    Site {
        layout: config.layout,
        locator: config.locator,
        mtu: config.mtu,
        ports: ports
            .map(|(port, mac)| SitePort {
                config: port.clone(),
                mac: *mac,
                vacant: None,
            })
            .collect(),
    }
}
