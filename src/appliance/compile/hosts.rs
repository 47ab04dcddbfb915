//! Records of what is reached over the substrate: hosts, outsiders, and the next
//! hops to them.

use hashbrown::HashMap;

use crate::control::store::Store;
use crate::datapath::outsider::{self, OutsiderRecord, Outsiders};
use crate::datapath::topology::{Hop, HostRecord, NO_HOP, PATHS};
use crate::mapping::{NodeIndex, SideIndex};
use crate::model::{self, Role};
use crate::substrate::EcmpSlots;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Locator, checksum};

use super::{Live, Numbers, Site};

/// Next hops, each once.
#[derive(Default)]
pub(super) struct HopTable {
    pub(super) hops: Vec<Hop>,
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

pub(super) fn outsider_records(
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

pub(super) fn hosts(
    site: &Site,
    store: &Store,
    live: &Live<'_>,
    hops: &mut HopTable,
) -> Vec<HostRecord> {
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
