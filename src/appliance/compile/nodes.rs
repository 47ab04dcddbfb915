//! Records of the nodes and of their vnets.

use crate::config::check::GROWTH;
use crate::datapath::segments::Segment;
use crate::datapath::topology::{NodeRecord, Topology, VnetRecord};
use crate::mapping::NodeIndex;
use crate::model::{self, MssClamp};
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
        checksum_part: 0,
        segment: Segment::default(),
    }
}

pub(super) fn add_node(
    site: &Site,
    topology: &mut Topology,
    binding: &model::Binding,
    (index, vnet, vni, segment): (NodeIndex, u32, Vni, Segment),
    live: &Live<'_>,
) {
    let port = site
        .ports
        .iter()
        .position(|port| port.config.name == binding.port);
    let (Some(port), Some(own)) = (port, site.locator) else {
        return;
    };
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
            saddr: mark.on(site.layout.compose(&own, vni, Vaddr(0))),
            neighbors: Family::new(Kind::Node, vni),
            checksum_part: checksum::fold(source + far_vni + u64::from(mark.sum())),
            segment,
        };
    }
    if site.layout == Layout::Slot {
        topology.slots.put(mark, index);
    }
    topology.learning |= mac.is_none();
    topology.ports[port]
        .nodes
        .add(vlan, binding.mac.unwrap_or(Mac::ZERO), index);
}
