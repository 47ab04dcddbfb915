//! Records of the nodes and of their vnets.

use crate::config::check::GROWTH;
use crate::datapath::segments::Segment;
use crate::datapath::topology::{NodeRecord, Topology, VnetRecord};
use crate::mapping::NodeIndex;
use crate::model::{self, Learn, Macs, MssClamp, UnknownMac};
use crate::node::addresses::Node;
use crate::wire::address::Prefix4;
use crate::wire::virtual_mac::{Family, Kind};
use crate::wire::{Layout, Locator, Mac, Mark, Vaddr, Vni, checksum, ipv4, tcp};

use super::{Live, Site};

/// `mtu` is that of the substrate.
pub(super) fn vnet_record(vnet: &model::Vnet, mtu: u16) -> VnetRecord {
    VnetRecord {
        name: vnet.name.clone(),
        vni: vnet.vni,
        mode: vnet.mode,
        dscp: vnet.dscp,
        verify: vnet.verify,
        mtu: vnet.mtu.unwrap_or(u16::MAX),
        mss: largest_segment(vnet, mtu),
        prefixes: vnet.prefixes.clone(),
        learns: vnet.learn == Learn::Auto,
        resolves: vnet.unknown_mac == UnknownMac::Resolve,
        dhcp_server: vnet.dhcp_server,
        macs: vnet.macs,
    }
}

/// What a SYN may offer; 0: anything.
fn largest_segment(vnet: &model::Vnet, mtu: u16) -> u16 {
    let nodes = vnet.mtu.unwrap_or(mtu.saturating_sub(GROWTH));
    match vnet.mss_clamp {
        MssClamp::Off => 0,
        MssClamp::Mtu => nodes.saturating_sub((ipv4::HEADER_LEN + tcp::HEADER_LEN) as u16),
        MssClamp::Fixed(most) => most,
    }
}

/// Stands where a node was removed: it owns no address and no port.
pub(super) fn vacant_node() -> NodeRecord {
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
        sees_given: false,
        given: None,
        checksum_part: 0,
        segment: Segment::default(),
        macs: Vec::new(),
        watched: Vec::new(),
        serves_dhcp: false,
    }
}

pub(super) fn add_node(
    site: &Site,
    topology: &mut Topology,
    binding: &model::Binding,
    (index, (vnet, its), segment): (NodeIndex, (u32, &VnetRecord), Segment),
    live: &Live<'_>,
) {
    let port = site
        .ports
        .iter()
        .position(|port| port.config.name == binding.port);
    let (Some(port), Some(own)) = (port, site.locator) else {
        return;
    };
    let vni = its.vni;
    let mark = match site.layout {
        Layout::Slot => match live.slots.get(&binding.name).and_then(Mark::of_slot) {
            Some(mark) => mark,
            None => return,
        },
        Layout::P72 | Layout::P64 => Mark::NONE,
    };
    let mac = binding.mac.or_else(|| live.learned.get(&index).copied());
    let vlan = binding.vlan.unwrap_or(0);
    // Both ends' vni parts lie in the same vnet: the far one is added here
    // once, the locators' parts are the node's own and the host's. The far
    // slot is its mapping's.
    let source = site.layout.checksum_part(&own, vni);
    let nowhere = Locator::new(std::net::Ipv6Addr::UNSPECIFIED, site.layout.locator_len());
    let far_vni = nowhere.map_or(0, |nowhere| site.layout.checksum_part(&nowhere, vni));
    let found = live.addresses.of(index);
    let watched = found.map_or_else(Vec::new, Node::unused);
    topology.learning |= mac.is_none() || !watched.is_empty();
    let serves_dhcp = its.dhcp_server.is_some() && its.dhcp_server == binding.address;
    let leased = || live.leases.address(&binding.name);
    let address = binding.address.or_else(leased).unwrap_or(Vaddr(0));
    if let Some(place) = topology.nodes.get_mut(index.index()) {
        *place = NodeRecord {
            name: binding.name.clone(),
            vni,
            vaddr: found.map_or(address, Node::own),
            vnet,
            port: port as u16,
            vlan,
            mac,
            prefixes: prefixes(binding, found),
            saddr: mark.on(site.layout.compose(&own, vni, Vaddr(0))),
            neighbors: Family::new(Kind::Node, vni),
            sees_given: its.macs == Macs::Given,
            given: binding.mac.filter(|_| its.macs == Macs::Given),
            checksum_part: checksum::fold(source + far_vni + u64::from(mark.sum())),
            segment,
            macs: other_macs(binding, found, mac),
            watched,
            serves_dhcp,
        };
    }
    if site.layout == Layout::Slot {
        topology.slots.put(mark, index);
    }
    topology.ports[port]
        .nodes
        .add(vlan, binding.mac.unwrap_or(Mac::ZERO), index);
}

/// What is behind a node, and addresses that it has beside its own.
fn prefixes(binding: &model::Binding, found: Option<&Node>) -> Vec<Prefix4> {
    let beside = found.into_iter().flat_map(Node::beside);
    let beside = beside.map(|learned| Prefix4 {
        address: learned.address,
        len: 32,
    });
    binding.prefixes.iter().copied().chain(beside).collect()
}

/// Addresses that are behind another card than the node's first one. A node
/// whose hardware address is given has no other.
fn other_macs(
    binding: &model::Binding,
    found: Option<&Node>,
    mac: Option<Mac>,
) -> Vec<(Vaddr, Mac)> {
    if binding.mac.is_some() {
        return Vec::new();
    }
    let beside = found.into_iter().flat_map(Node::beside);
    let others = beside.filter(|learned| Some(learned.mac) != mac);
    others
        .map(|learned| (learned.address, learned.mac))
        .collect()
}
