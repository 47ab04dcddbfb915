//! Records of the ports.

use crate::datapath::topology::{PortNodes, PortRecord};
use crate::model::Role;
use crate::substrate::{AddressState, Substrate};

use super::{Live, Site, SitePort};

pub(super) fn ports(site: &Site, live: &Live<'_>) -> Vec<PortRecord> {
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
