//! What the engine is told: uplinks, routes, static neighbours, timers.
//!
//! Everything is checked here, once, so that the engine never meets a next
//! hop it has no uplink for.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use crate::model::{Interface6, Neighbor, NextHop, Port, Route};
use crate::wire::{Layout, Locator, Mac};

use super::route::SLOTS;

/// A port that joins the substrate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// Index of the port in the appliance.
    pub port: u16,
    /// Name by which routes and neighbours refer to it.
    pub name: String,
    pub mac: Mac,
    /// VLAN id of the substrate's frames; untagged when `None`.
    pub vlan: Option<u16>,
    pub addresses: Vec<Interface6>,
    /// Largest IPv6 packet.
    pub mtu: u16,
    /// Answer solicitations for every address of the locator. Their
    /// solicited-node groups are not reported by MLD (there are 2^24), so the
    /// port has to receive all multicast and the switch must not snoop.
    pub nd_proxy: bool,
}

impl Uplink {
    /// Of a configured port, with what only the device knows: its index and,
    /// where the configuration gives none, its hardware address.
    pub fn of(port: &Port, index: u16, device: Mac) -> Uplink {
        Uplink {
            port: index,
            name: port.name.clone(),
            mac: port.mac.unwrap_or(device),
            vlan: port.vlan,
            addresses: port.addresses.clone(),
            mtu: port.mtu,
            nd_proxy: port.nd_proxy,
        }
    }
}

/// Everything that can change on reload.
#[derive(Clone, Debug)]
pub struct SubstrateConfig {
    pub uplinks: Vec<Uplink>,
    /// Without one the host owns the addresses of its links and no more.
    pub locator: Option<Locator>,
    pub layout: Layout,
    pub routes: Vec<Route>,
    /// Static neighbours: never asked for, never doubted.
    pub neighbors: Vec<Neighbor>,
    pub timers: Timers,
    pub limits: Limits,
    /// Feeds response delays and nonces; give it random bits. Only read by `new`.
    pub seed: u64,
}

/// Milliseconds, except where the name says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Wait of duplicate address detection; 0 leaves it out.
    pub dad: u64,
    /// Between unsolicited advertisements.
    pub announce_interval: u64,
    /// How many unsolicited advertisements (RFC 4861: at most 3).
    pub announcements: u8,
    /// A next hop that answered is asked again after this.
    pub probe_interval: u64,
    /// An unanswered probe is a miss after this.
    pub probe_timeout: u64,
    /// So many misses in a row and the next hop is out. With the defaults a
    /// dead neighbour leaves 300 + 3 x 200 = 900 ms after its last answer.
    pub probe_misses: u8,
    /// Between the three multicast solicitations of a first resolution.
    pub resolve_interval: u64,
    /// From STALE to the first probe of a next hop. RFC 4861 has 5 s, for
    /// upper layers to confirm meanwhile; none does here.
    pub delay: u64,
    /// First wait, and what every further wait adds, before a failed next hop
    /// is asked again.
    pub retry_first: u64,
    /// Longest such wait.
    pub retry_max: u64,
    /// How long a neighbour that is no next hop counts as REACHABLE.
    pub reachable: u64,
    /// How long a STALE neighbour that is no next hop is remembered.
    pub forget: u64,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            dad: 1000,
            announce_interval: 1000,
            announcements: 3,
            probe_interval: 300,
            probe_timeout: 200,
            probe_misses: 3,
            resolve_interval: 300,
            delay: 100,
            retry_first: 1000,
            retry_max: 3000,
            reachable: 30_000,
            forget: 600_000,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Neighbours that are remembered beside next hops and static ones.
    pub neighbors: usize,
    /// Neighbour advertisements per port and second.
    pub answers: u32,
    /// Echo replies per port and second, apart from the above so that a ping
    /// flood never costs us our neighbours.
    pub echoes: u32,
    /// Frames that wait for `poll_frame`.
    pub frames: usize,
    /// Events that wait for `poll_event`.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            neighbors: 1024,
            answers: 1000,
            echoes: 1000,
            frames: 4096,
            events: 1024,
        }
    }
}

/// Why a configuration is refused: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubstrateError {
    #[error("{place}: there is no uplink named `{name}`; uplinks are: {known}")]
    UnknownUplink {
        place: String,
        name: String,
        known: String,
    },
    #[error("uplink `{name}` appears twice (name or port index {port}); give each its own")]
    RepeatedUplink { name: String, port: u16 },
    #[error(
        "uplink `{name}`: hardware address {mac} is a group or zero; give it an individual one"
    )]
    UplinkMac { name: String, mac: Mac },
    #[error("uplink `{name}`: mtu {mtu} is below 1280, the least that IPv6 allows; raise it")]
    UplinkMtu { name: String, mtu: u16 },
    #[error("uplink `{name}`: vlan {vlan} is out of range; use 1 to 4094")]
    UplinkVlan { name: String, vlan: u16 },
    #[error("{place}: address {address} appears twice on uplink `{uplink}`; remove one")]
    RepeatedAddress {
        place: String,
        address: Ipv6Addr,
        uplink: String,
    },
    #[error("{place}: route {prefix} appears twice; merge their next hops in one `via`")]
    RepeatedRoute { place: String, prefix: Locator },
    #[error("{place}: route {prefix} has {count} next hops; give 1 to {SLOTS}")]
    HopCount {
        place: String,
        prefix: Locator,
        count: usize,
    },
    #[error("{place}: next hop {address} appears twice on uplink `{uplink}`; remove one")]
    RepeatedHop {
        place: String,
        address: Ipv6Addr,
        uplink: String,
    },
    #[error(
        "{place}: {address} is not on the link of uplink `{uplink}`; use a link-local address \
         or one inside the prefixes of that uplink's `addresses`"
    )]
    OffLink {
        place: String,
        address: Ipv6Addr,
        uplink: String,
    },
    #[error("{place}: {address} is an own address of uplink `{uplink}`; name another system")]
    OwnAddress {
        place: String,
        address: Ipv6Addr,
        uplink: String,
    },
    #[error("{place}: hardware address {mac} is a group or zero; give an individual one")]
    NeighborMac { place: String, mac: Mac },
}

impl SubstrateConfig {
    /// Defaults for all that is not about this appliance's place.
    pub fn new(locator: Option<Locator>, layout: Layout, uplinks: Vec<Uplink>) -> SubstrateConfig {
        SubstrateConfig {
            uplinks,
            locator,
            layout,
            routes: Vec::new(),
            neighbors: Vec::new(),
            timers: Timers::default(),
            limits: Limits::default(),
            seed: 0,
        }
    }

    pub(super) fn check(&self) -> Result<(), SubstrateError> {
        check_uplinks(&self.uplinks)?;
        check_routes(&self.uplinks, &self.routes)?;
        for (at, neighbor) in self.neighbors.iter().enumerate() {
            check_neighbor(&self.uplinks, &format!("neighbors[{at}]"), neighbor)?;
        }
        Ok(())
    }
}

fn check_uplinks(uplinks: &[Uplink]) -> Result<(), SubstrateError> {
    for (at, uplink) in uplinks.iter().enumerate() {
        let name = uplink.name.clone();
        let twin = |other: &Uplink| other.name == name || other.port == uplink.port;
        if uplinks[..at].iter().any(twin) {
            let port = uplink.port;
            return Err(SubstrateError::RepeatedUplink { name, port });
        }
        if !uplink.mac.is_unicast() {
            let mac = uplink.mac;
            return Err(SubstrateError::UplinkMac { name, mac });
        }
        if uplink.mtu < 1280 {
            let mtu = uplink.mtu;
            return Err(SubstrateError::UplinkMtu { name, mtu });
        }
        if let Some(vlan) = uplink.vlan.filter(|id| !(1..=4094).contains(id)) {
            return Err(SubstrateError::UplinkVlan { name, vlan });
        }
        let mut seen = HashSet::new();
        for (at, interface) in uplink.addresses.iter().enumerate() {
            if !seen.insert(interface.address) {
                return Err(SubstrateError::RepeatedAddress {
                    place: format!("addresses[{at}]"),
                    address: interface.address,
                    uplink: name,
                });
            }
        }
    }
    Ok(())
}

pub(super) fn check_routes(uplinks: &[Uplink], routes: &[Route]) -> Result<(), SubstrateError> {
    let mut prefixes = HashSet::new();
    for (at, route) in routes.iter().enumerate() {
        let prefix = route.prefix;
        if !prefixes.insert(prefix) {
            let place = format!("routes[{at}]");
            return Err(SubstrateError::RepeatedRoute { place, prefix });
        }
        let count = route.via.len();
        if !(1..=SLOTS).contains(&count) {
            let place = format!("routes[{at}].via");
            return Err(SubstrateError::HopCount {
                place,
                prefix,
                count,
            });
        }
        let mut hops = HashSet::new();
        for (hop_at, NextHop { address, port }) in route.via.iter().enumerate() {
            let place = format!("routes[{at}].via[{hop_at}]");
            let uplink = on_link(uplinks, &place, port, *address)?;
            if !hops.insert((uplink.port, *address)) {
                return Err(SubstrateError::RepeatedHop {
                    place,
                    address: *address,
                    uplink: port.clone(),
                });
            }
        }
    }
    Ok(())
}

pub(super) fn check_neighbor(
    uplinks: &[Uplink],
    place: &str,
    neighbor: &Neighbor,
) -> Result<u16, SubstrateError> {
    let uplink = on_link(uplinks, place, &neighbor.port, neighbor.address)?;
    if !neighbor.mac.is_unicast() {
        return Err(SubstrateError::NeighborMac {
            place: place.to_owned(),
            mac: neighbor.mac,
        });
    }
    Ok(uplink.port)
}

pub(super) fn find<'a>(
    uplinks: &'a [Uplink],
    place: &str,
    name: &str,
) -> Result<&'a Uplink, SubstrateError> {
    let found = uplinks.iter().find(|uplink| uplink.name == name);
    found.ok_or_else(|| SubstrateError::UnknownUplink {
        place: place.to_owned(),
        name: name.to_owned(),
        known: match uplinks {
            [] => "none".to_owned(),
            _ => {
                let names: Vec<&str> = uplinks.iter().map(|u| u.name.as_str()).collect();
                names.join(", ")
            }
        },
    })
}

/// The uplink a neighbour's address is on, if it can be there.
fn on_link<'a>(
    uplinks: &'a [Uplink],
    place: &str,
    name: &str,
    address: Ipv6Addr,
) -> Result<&'a Uplink, SubstrateError> {
    let uplink = find(uplinks, place, name)?;
    let (place, name) = (place.to_owned(), name.to_owned());
    if own_interfaces(uplink).iter().any(|i| i.address == address) {
        return Err(SubstrateError::OwnAddress {
            place,
            address,
            uplink: name,
        });
    }
    if !is_on_link(uplink, address) {
        return Err(SubstrateError::OffLink {
            place,
            address,
            uplink: name,
        });
    }
    Ok(uplink)
}

/// Link-local, or inside a prefix of the uplink.
pub(super) fn is_on_link(uplink: &Uplink, address: Ipv6Addr) -> bool {
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return false;
    }
    address.is_unicast_link_local()
        || uplink
            .addresses
            .iter()
            .any(|own| same_prefix(*own, address))
}

pub(super) fn same_prefix(own: Interface6, address: Ipv6Addr) -> bool {
    let differing = u128::from(own.address) ^ u128::from(address);
    differing.leading_zeros() >= u32::from(own.len)
}

/// The uplink's addresses, with a link-local one made from its hardware
/// address (RFC 4291 appendix A) if none is given: ND and MLD need one.
pub(super) fn own_interfaces(uplink: &Uplink) -> Vec<Interface6> {
    let mut interfaces = uplink.addresses.clone();
    let link_local = |i: &Interface6| i.address.is_unicast_link_local();
    if !interfaces.iter().any(link_local) {
        interfaces.push(Interface6 {
            address: eui64(uplink.mac),
            len: 64,
        });
    }
    interfaces
}

fn eui64(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let mut bytes = [0; 16];
    bytes[0] = 0xfe;
    bytes[1] = 0x80;
    bytes[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from(bytes)
}
