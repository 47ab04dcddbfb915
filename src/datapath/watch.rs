//! Which packets somebody wants to see.
//!
//! Part of the topology snapshot: an empty list is what workers check, once a
//! burst, to know that nobody watches.

use std::net::IpAddr;

use crate::mapping::NodeIndex;
use crate::model::Role;
use crate::packet::{Meta, Packet};
use crate::wire::{Saddr, Vaddr, Vni, ethernet, ethernet::ethertype, ipv4, ipv6};

use super::topology::Topology;

/// One watcher's filter; every given field must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Below 64: the bit by which records tell whose filter wanted them.
    pub slot: u8,
    /// From or to this node.
    pub node: Option<(Vni, Vaddr)>,
    pub vni: Option<Vni>,
    /// Source or destination, virtual or on the substrate.
    pub address: Option<IpAddr>,
    /// Came in by this port.
    pub port: Option<u16>,
    /// Only what is dropped.
    pub drops: bool,
}

/// What a frame shows of itself, whichever side it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    port: u16,
    vni: Option<Vni>,
    /// Whose wire it came by: a node may write any address.
    sender: Option<Vaddr>,
    ends: Option<(Vaddr, Vaddr)>,
    substrate: Option<(Saddr, Saddr)>,
}

impl Glance {
    pub fn at<P: Packet>(topology: &Topology, meta: &Meta, packet: &P) -> Glance {
        let mut glance = Glance {
            port: meta.port,
            vni: None,
            sender: None,
            ends: None,
            substrate: None,
        };
        let head = packet.head();
        let (Some(link), Some(port)) = (ethernet::Header::parse(head), topology.port(meta.port))
        else {
            return glance;
        };
        let rest = head.get(link.len..).unwrap_or(&[]);
        match link.ethertype {
            ethertype::IPV4 | ethertype::ARP if port.role == Role::Node => {
                let vlan = link.vlan.unwrap_or(meta.vlan);
                let node = port.nodes.find(vlan, link.source);
                let node = node.and_then(|node| topology.node(node));
                glance.vni = node.map(|node| node.vni);
                glance.sender = node.map(|node| node.vaddr);
                glance.ends = match link.ethertype {
                    ethertype::ARP => arp_ends(rest),
                    _ => ipv4::Header::parse_unchecked(rest).map(|ip| (ip.src, ip.dst)),
                };
            }
            ethertype::IPV4 | ethertype::ARP if port.role == Role::Relay4 => {
                glance.ends = match link.ethertype {
                    ethertype::ARP => arp_ends(rest),
                    _ => ipv4::Header::parse_unchecked(rest).map(|ip| (ip.src, ip.dst)),
                };
            }
            ethertype::IPV6 => {
                let Ok(ip) = ipv6::Header::parse_quoted(rest) else {
                    return glance;
                };
                glance.substrate = Some((ip.src, ip.dst));
                if topology.locator.is_some_and(|own| own.contains(&ip.dst)) {
                    glance.vni = Some(Vni(topology.layout.vni(&ip.dst)));
                    glance.ends = Some((
                        topology.layout.vaddr(&ip.src),
                        topology.layout.vaddr(&ip.dst),
                    ));
                }
            }
            _ => {}
        }
        glance
    }

    /// Whether a filter wants the packet, its fate apart.
    pub fn matches(&self, topology: &Topology, filter: &Filter) -> bool {
        filter.port.is_none_or(|port| port == self.port)
            && filter.vni.is_none_or(|vni| self.vni == Some(vni))
            && filter.node.is_none_or(|(vni, vaddr)| {
                self.vni == Some(vni) && (self.sender == Some(vaddr) || self.has(vaddr))
            })
            && filter.address.is_none_or(|address| match address {
                IpAddr::V4(address) => self.has(address.into()),
                IpAddr::V6(address) => self.has_substrate(topology, address.octets()),
            })
    }

    fn has(&self, vaddr: Vaddr) -> bool {
        self.ends
            .is_some_and(|(source, destination)| source == vaddr || destination == vaddr)
    }

    /// A substrate address is matched on either side of the translation.
    fn has_substrate(&self, topology: &Topology, address: Saddr) -> bool {
        match self.substrate {
            Some((source, destination)) => source == address || destination == address,
            None => {
                self.vni == Some(Vni(topology.layout.vni(&address)))
                    && self.has(topology.layout.vaddr(&address))
            }
        }
    }
}

fn arp_ends(bytes: &[u8]) -> Option<(Vaddr, Vaddr)> {
    let end = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.first_chunk::<4>()?;
        Some(Vaddr::from_bytes(*bytes))
    };
    Some((end(14)?, end(24)?))
}

/// Names a node in a sentence.
pub fn node_name(topology: &Topology, node: NodeIndex) -> &str {
    topology.node(node).map_or("?", |node| node.name.as_str())
}
