//! From the desired state to what workers read.
//!
//! Pure: store, next hops and devices in, one [`Topology`] out. Indices of
//! nodes and hosts stay what they are as long as the object exists, because
//! mappings in the table name them.

use hashbrown::HashMap;

use crate::config;
use crate::control::store::Store;
use crate::datapath::outsider::{self, OutsiderRecord, Outsiders};
use crate::datapath::topology::{
    Entropy, Hop, HostRecord, NO_HOP, NodeRecord, PATHS, PortNodes, PortRecord, Topology,
    VnetRecord,
};
use crate::datapath::watch::Filter;
use crate::mapping::{HostIndex, NodeIndex, SideIndex};
use crate::model::{self, Role};
use crate::substrate::{AddressState, EcmpSlots, Substrate};
use crate::time::Time;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::virtual_mac::{Family, Kind};
use crate::wire::{Layout, Locator, Mac, Vaddr, Vni, checksum};

use super::relay::RelayLinks;

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

/// A number that the mapping table can name.
pub trait Index: Copy {
    fn new(number: u32) -> Option<Self>;
}

impl Index for NodeIndex {
    fn new(number: u32) -> Option<Self> {
        NodeIndex::new(number)
    }
}

impl Index for SideIndex {
    fn new(number: u32) -> Option<Self> {
        SideIndex::new(number)
    }
}

/// Numbers of nodes, or of outsiders, by name; kept for the life of each.
#[derive(Debug)]
pub struct Numbers<I> {
    by_name: HashMap<String, I>,
    free: Vec<I>,
    next: u32,
}

impl<I> Default for Numbers<I> {
    fn default() -> Self {
        Numbers {
            by_name: HashMap::new(),
            free: Vec::new(),
            next: 0,
        }
    }
}

impl<I: Index> Numbers<I> {
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
                let index = I::new(self.next)?;
                self.next += 1;
                Some(index)
            });
            if let Some(index) = fresh {
                self.by_name.insert(name.to_owned(), index);
            }
        }
        self.free.extend(freed);
    }

    pub fn get(&self, name: &str) -> Option<I> {
        self.by_name.get(name).copied()
    }
}

/// What changes without the store: links, learned addresses, watchers.
#[derive(Debug)]
pub(super) struct Live<'a> {
    pub substrate: &'a Substrate,
    pub relay: Option<&'a RelayLinks>,
    /// Hardware addresses that nodes were seen with.
    pub learned: &'a HashMap<NodeIndex, Mac>,
    /// MTUs that routers on the way named, by the host's locator.
    pub path_mtu: &'a HashMap<u128, u16>,
    pub watch: &'a [Filter],
    pub resolver: bool,
}

/// Everything the workers read beside the mapping table.
pub(super) fn topology(
    site: &Site,
    store: &Store,
    (numbers, outsiders): (&mut Numbers<NodeIndex>, &mut Numbers<SideIndex>),
    live: &Live<'_>,
) -> Topology {
    numbers.update(store.bindings().map(|binding| binding.name.as_str()));
    outsiders.update(store.outsiders().map(|outsider| outsider.name.as_str()));
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
        ports: ports(site, live),
        resolver: live.resolver,
        watch: live.watch.to_vec(),
        entropy: Entropy::Flow,
        ..Topology::default()
    };
    let mut hops = HopTable::default();
    topology.hosts = hosts(site, store, live, &mut hops);
    topology.outsiders = outsider_records(site, store, (numbers, outsiders), live, &mut hops);
    topology.hops = hops.hops;
    topology.relay = live
        .relay
        .and_then(|relay| relay.record(site, store).map(Box::new));
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

fn ports(site: &Site, live: &Live<'_>) -> Vec<PortRecord> {
    let links = || std::iter::once(live.substrate).chain(live.relay.map(|relay| &relay.link6));
    let own: Vec<_> = links().flat_map(Substrate::own_addresses).collect();
    let listened: Vec<_> = links().flat_map(Substrate::own_groups).collect();
    let control = site
        .locator
        .map(|locator| site.layout.control_address(&locator));
    let number = |name: &str| {
        site.ports
            .iter()
            .position(|port| port.config.name == name)
            .map(|index| index as u16)
    };
    let records = site.ports.iter().enumerate().map(|(index, port)| {
        let index = index as u16;
        let uplink = port.config.role == Role::Uplink;
        // A tentative address must hear of its duplicates; a duplicate is not ours.
        let addresses = own
            .iter()
            .filter(|own| own.port == index && own.state != AddressState::Duplicate)
            .map(|own| own.interface.address.octets());
        let groups = listened.iter().filter(|(port, _)| *port == index);
        let tagged = uplink || matches!(port.config.role, Role::Relay4 | Role::Relay6);
        PortRecord {
            name: port.config.name.clone(),
            role: port.config.role,
            mac: port.mac,
            vlan: port.config.vlan.filter(|_| tagged),
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

impl HopTable {
    /// The places of the next hops of each path.
    fn paths(&mut self, ecmp: &EcmpSlots) -> [u16; PATHS] {
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
            let place = self.places.entry((hop.port, hop.address));
            *path = *place.or_insert_with(|| {
                self.hops.push(Hop::new(hop.port, hop.address, &link));
                (self.hops.len() - 1) as u16
            });
        }
        paths
    }
}

/// Largest packet that every next hop takes.
fn link_mtu(site: &Site, ecmp: &EcmpSlots) -> u16 {
    let least = ecmp.hops.iter().map(|hop| hop.mtu).min();
    least.unwrap_or(site.mtu).min(site.mtu)
}

fn outsider_records(
    site: &Site,
    store: &Store,
    (nodes, numbers): (&Numbers<NodeIndex>, &Numbers<SideIndex>),
    live: &Live<'_>,
    hops: &mut HopTable,
) -> Outsiders {
    let mut outsiders = Outsiders::default();
    let node_ports = site
        .ports
        .iter()
        .filter(|port| port.config.role == Role::Node);
    let mtu4 = node_ports
        .map(|port| port.config.mtu)
        .min()
        .unwrap_or(site.mtu);
    for outsider in store.outsiders() {
        let vni = store.vnet(&outsider.vnet).map(|vnet| vnet.vni);
        let (Some(vni), Some(index)) = (vni, numbers.get(&outsider.name)) else {
            continue;
        };
        let ecmp = live.substrate.ecmp_for(&outsider.ipv6);
        let eam = model::Eam {
            ipv4: outsider.address,
            ipv6: outsider.ipv6,
        };
        let listed = outsider.nodes.as_ref().map(|names| {
            let numbers = names.iter().filter_map(|name| nodes.get(name));
            numbers.collect()
        });
        outsiders.add(
            (index, eam),
            OutsiderRecord {
                name: outsider.name.clone(),
                vni,
                prefix: outsider.address,
                nodes: listed,
                rules: outsider::rules(mtu4, link_mtu(site, &ecmp)),
                paths: hops.paths(&ecmp),
            },
        );
    }
    outsiders
}

fn hosts(site: &Site, store: &Store, live: &Live<'_>, hops: &mut HopTable) -> Vec<HostRecord> {
    let mut records = Vec::new();
    for (index, host) in store.hosts() {
        let index = index as usize;
        if records.len() <= index {
            records.resize_with(index + 1, vacant_host);
        }
        let ecmp = live.substrate.ecmp_for(&host.locator);
        let path_mtu = live
            .path_mtu
            .get(&host.locator.bits())
            .copied()
            .unwrap_or(u16::MAX);
        records[index] = HostRecord {
            name: host.name.clone(),
            locator: host.locator,
            checksum_part: checksum::fold(checksum::sum(&host.locator.bits().to_be_bytes())),
            mtu: link_mtu(site, &ecmp).min(path_mtu),
            paths: hops.paths(&ecmp),
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
                vacant: None,
            })
            .collect(),
    }
}
