//! From the desired state to what workers read.
//!
//! Pure: store, next hops and devices in, one [`Topology`] out. Indices of
//! nodes and hosts stay what they are as long as the object exists, because
//! mappings in the table name them.

use hashbrown::HashMap;

use crate::config;
use crate::control::store::Store;
use crate::datapath::topology::{
    Entropy, Hop, HostRecord, NO_HOP, NodeRecord, PATHS, PortNodes, PortRecord, Topology,
    VnetRecord,
};
use crate::datapath::watch::Filter;
use crate::mapping::{HostIndex, NodeIndex};
use crate::model::{self, Role};
use crate::substrate::{AddressState, Substrate};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::virtual_mac::{Family, Kind};
use crate::wire::{Layout, Locator, Mac, Vaddr, Vni, checksum};

/// What does not change while the appliance runs.
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
}

/// Numbers of nodes by name, kept for the life of a node.
#[derive(Debug, Default)]
pub struct NodeNumbers {
    by_name: HashMap<String, NodeIndex>,
    free: Vec<NodeIndex>,
    next: u32,
}

impl NodeNumbers {
    /// Brings the numbers in step with the bindings there are. A freed number
    /// is given out again only at a later call, when nothing names it.
    pub fn update<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let wanted: hashbrown::HashSet<&str> = names.collect();
        let mut freed = Vec::new();
        self.by_name.retain(|name, index| {
            let keep = wanted.contains(name.as_str());
            if !keep {
                freed.push(*index);
            }
            keep
        });
        for name in wanted {
            if self.by_name.contains_key(name) {
                continue;
            }
            let fresh = self.free.pop().or_else(|| {
                let index = NodeIndex::new(self.next)?;
                self.next += 1;
                Some(index)
            });
            if let Some(index) = fresh {
                self.by_name.insert(name.to_owned(), index);
            }
        }
        self.free.extend(freed);
    }

    pub fn get(&self, name: &str) -> Option<NodeIndex> {
        self.by_name.get(name).copied()
    }
}

/// What changes without the store: links, learned addresses, watchers.
#[derive(Debug)]
pub struct Live<'a> {
    pub substrate: &'a Substrate,
    /// Hardware addresses that nodes were seen with.
    pub learned: &'a HashMap<NodeIndex, Mac>,
    /// MTUs that routers on the way named, by the host's locator.
    pub path_mtu: &'a HashMap<u128, u16>,
    pub watch: &'a [Filter],
    pub resolver: bool,
}

/// Everything the workers read beside the mapping table.
pub fn topology(
    site: &Site,
    store: &Store,
    numbers: &mut NodeNumbers,
    live: &Live<'_>,
) -> Topology {
    numbers.update(store.bindings().map(|binding| binding.name.as_str()));
    let vnets: Vec<VnetRecord> = store.vnets().map(vnet_record).collect();
    let vnet_numbers: HashMap<&str, u32> = vnets
        .iter()
        .enumerate()
        .map(|(i, vnet)| (vnet.name.as_str(), i as u32))
        .collect();
    let mut topology = Topology {
        layout: site.layout,
        locator: site.locator,
        substrate_mtu: site.mtu,
        ports: ports(site, live.substrate),
        resolver: live.resolver,
        watch: live.watch.to_vec(),
        entropy: Entropy::Flow,
        ..Topology::default()
    };
    let mut hops = HopTable::default();
    topology.hosts = hosts(site, store, live, &mut hops);
    topology.hops = hops.hops;
    for (index, host) in topology.hosts.iter().enumerate() {
        if let (false, Some(index)) = (host.locator.is_empty(), HostIndex::new(index as u32)) {
            topology.host_by_locator.insert(host.locator.bits(), index);
        }
    }
    topology.nodes = vec![vacant_node(); numbers.next as usize];
    for binding in store.bindings() {
        let place = (
            numbers.get(&binding.name),
            vnet_numbers.get(binding.vnet.as_str()),
        );
        if let (Some(index), Some(&vnet)) = place {
            add_node(
                site,
                &mut topology,
                binding,
                index,
                (vnet, vnets[vnet as usize].vni),
                live,
            );
        }
    }
    drop(vnet_numbers);
    topology.vnets = vnets;
    topology
}

fn vnet_record(vnet: &model::Vnet) -> VnetRecord {
    VnetRecord {
        name: vnet.name.clone(),
        vni: vnet.vni,
        mode: vnet.mode,
        dscp: vnet.dscp,
        verify: vnet.verify,
        mtu: vnet.mtu.unwrap_or(u16::MAX),
        prefixes: vnet.prefixes.clone(),
    }
}

fn ports(site: &Site, substrate: &Substrate) -> Vec<PortRecord> {
    let own = substrate.own_addresses();
    let control = site.locator.map(|own| site.layout.control_address(&own));
    let number = |name: &str| {
        site.ports
            .iter()
            .position(|port| port.config.name == name)
            .map(|index| index as u16)
    };
    let records = site.ports.iter().enumerate().map(|(index, port)| {
        let index = index as u16;
        let uplink = port.config.role == Role::Uplink;
        let relay = matches!(port.config.role, Role::Relay4 | Role::Relay6);
        // A tentative address must hear of its duplicates; a duplicate is not ours.
        let addresses = own
            .iter()
            .filter(|own| own.port == index && own.state != AddressState::Duplicate)
            .map(|own| own.interface.address.octets());
        let groups = substrate
            .own_groups()
            .into_iter()
            .filter(|(port, _)| *port == index);
        PortRecord {
            name: port.config.name.clone(),
            role: port.config.role,
            mac: port.mac,
            vlan: port.config.vlan.filter(|_| uplink || relay),
            own: addresses.chain(control.filter(|_| uplink)).collect(),
            groups: groups.map(|(_, group)| group.octets()).collect(),
            mtu: port.config.mtu,
            exception: match port.config.role {
                Role::Uplink => port.config.exception.as_deref().and_then(number),
                Role::Exception => uplink_of(site, &port.config.name),
                Role::Node | Role::Relay4 | Role::Relay6 => None,
            },
            nd_proxy: port.config.nd_proxy,
            nodes: PortNodes::None,
        }
    });
    records.collect()
}

/// The uplink whose other traffic an exception port takes.
fn uplink_of(site: &Site, exception: &str) -> Option<u16> {
    let takes = |port: &SitePort| port.config.exception.as_deref() == Some(exception);
    site.ports.iter().position(takes).map(|index| index as u16)
}

/// Next hops, each once.
#[derive(Default)]
struct HopTable {
    hops: Vec<Hop>,
    places: HashMap<(u16, std::net::Ipv6Addr), u16>,
}

fn hosts(site: &Site, store: &Store, live: &Live<'_>, hops: &mut HopTable) -> Vec<HostRecord> {
    let mut records = Vec::new();
    for (index, host) in store.hosts() {
        let index = index as usize;
        if records.len() <= index {
            records.resize_with(index + 1, vacant_host);
        }
        let ecmp = live.substrate.ecmp_for(&host.locator);
        let mut paths = [NO_HOP; PATHS];
        for (path, slot) in paths.iter_mut().zip(ecmp.slots) {
            let Some(hop) = ecmp.hops.get(usize::from(slot)) else {
                continue;
            };
            let link = ethernet::Header {
                destination: hop.dst_mac,
                source: hop.src_mac,
                vlan: hop.vlan,
                ethertype: ethertype::IPV6,
                len: 0,
            };
            *path = *hops
                .places
                .entry((hop.port, hop.address))
                .or_insert_with(|| {
                    hops.hops.push(Hop::new(hop.port, hop.address, &link));
                    (hops.hops.len() - 1) as u16
                });
        }
        let link_mtu = ecmp
            .hops
            .iter()
            .map(|hop| hop.mtu)
            .min()
            .unwrap_or(site.mtu);
        let path_mtu = live
            .path_mtu
            .get(&host.locator.bits())
            .copied()
            .unwrap_or(u16::MAX);
        records[index] = HostRecord {
            name: host.name.clone(),
            locator: host.locator,
            checksum_part: checksum::fold(checksum::sum(&host.locator.bits().to_be_bytes())),
            mtu: site.mtu.min(link_mtu).min(path_mtu),
            paths,
        };
    }
    records
}

/// Stands where a host was removed: no packet finds a way to it.
fn vacant_host() -> HostRecord {
    HostRecord {
        name: String::new(),
        locator: Locator::ANY,
        checksum_part: 0,
        mtu: 0,
        paths: [NO_HOP; PATHS],
    }
}

/// Stands where a node was removed: it owns no address and no port.
fn vacant_node() -> NodeRecord {
    NodeRecord {
        name: String::new(),
        vni: Vni(0),
        vaddr: Vaddr(0),
        vnet: u32::MAX,
        port: u16::MAX,
        vlan: 0,
        mac: None,
        prefixes: Vec::new(),
        saddr: [0; 16],
        neighbors: Family::new(Kind::Node, Vni(0)),
        checksum_part: 0,
    }
}

fn add_node(
    site: &Site,
    topology: &mut Topology,
    binding: &model::Binding,
    index: NodeIndex,
    (vnet, vni): (u32, Vni),
    live: &Live<'_>,
) {
    let port = site
        .ports
        .iter()
        .position(|port| port.config.name == binding.port);
    let (Some(port), Some(own)) = (port, site.locator) else {
        return;
    };
    let mac = binding.mac.or_else(|| live.learned.get(&index).copied());
    let vlan = binding.vlan.unwrap_or(0);
    // Both ends' vni parts lie in the same vnet: the far one is added here
    // once, the locators' parts are the node's own and the host's.
    let source = site.layout.checksum_part(&own, vni);
    let nowhere = Locator::new(std::net::Ipv6Addr::UNSPECIFIED, site.layout.locator_len());
    let far_vni = nowhere.map_or(0, |nowhere| site.layout.checksum_part(&nowhere, vni));
    if let Some(place) = topology.nodes.get_mut(index.index()) {
        *place = NodeRecord {
            name: binding.name.clone(),
            vni,
            vaddr: binding.address,
            vnet,
            port: port as u16,
            vlan,
            mac,
            prefixes: binding.prefixes.clone(),
            saddr: site.layout.compose(&own, vni, Vaddr(0)),
            neighbors: Family::new(Kind::Node, vni),
            checksum_part: checksum::fold(source + far_vni),
        };
    }
    topology.learning |= mac.is_none();
    topology.ports[port]
        .nodes
        .add(vlan, binding.mac.unwrap_or(Mac::ZERO), index);
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
            })
            .collect(),
    }
}
