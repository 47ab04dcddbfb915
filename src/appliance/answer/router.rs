//! Packets of nodes for the routers of their vnets.

use crate::control::store::Store;
use crate::datapath::route::{self, End};
use crate::datapath::segments::NONE;
use crate::datapath::{Topology, tally};
use crate::mapping::NodeIndex;
use crate::node::router::{self, Router, Services};
use crate::node::snmp::{PORT, Traffic};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, ipv4};

use super::{Replies, snmp};
use crate::appliance::plant::Plant;

impl Plant {
    pub(super) fn answer_for_router(
        &mut self,
        node: NodeIndex,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        let Some(link) = ethernet::Header::parse(frame) else {
            return;
        };
        let packet = frame.get(link.len..).unwrap_or(&[]);
        let Some(ip) = ipv4::Header::parse_unchecked(packet) else {
            return;
        };
        let (now, host) = (self.now(), self.site.locator);
        let host = host.map_or_else(String::new, |own| own.to_string());
        let topology = self.publisher.current();
        let entry = self.router_of(node, link.destination);
        let route = entry.map(|entry| route::follow(topology, entry, ip.dst, ip.ttl));
        // Routes may have changed since.
        let Some(route) = route.filter(|route| route.end == End::Own) else {
            return;
        };
        let router = topology
            .ifaces
            .get(route.at as usize)
            .and_then(|iface| topology.routers.get(iface.router as usize));
        let (Some(router), Some(record)) = (router, topology.node(node)) else {
            return;
        };
        let asked = Router {
            vnet: topology.vnet(router.vnet).map_or("", |vnet| &vnet.name),
            name: &router.name,
            own: ip.dst,
            hops: route.hops,
        };
        let (port, vlan) = (record.port, record.vlan);
        let traffic = |router: &str, address| traffic_at(topology, router, address);
        let mut services = Services::default();
        if snmp::wanted(store, asked.name).is_some() {
            let vnet = store.vnet(asked.vnet);
            let vnet_mtu = vnet.map_or(0, |vnet| self.settings.vnet_mtu(vnet));
            let port_mtu = topology.port(port).map_or(0, |port| port.mtu);
            let asked = snmp::Asked {
                snmp: &mut self.snmp,
                store,
                host: &host,
                node_mtu: vnet_mtu.min(port_mtu),
                vnet_mtu,
                traffic: &traffic,
                now,
            };
            services.add(PORT, Box::new(asked));
        }
        match router::answer(packet, &asked, &mut services) {
            Ok(reply) => {
                self.slow.router_answered += 1;
                let link = [link.source, link.destination];
                if let Some(entry) = entry {
                    let bytes = ethernet::HEADER_LEN + reply.len();
                    tally::count_answer(topology, (entry, ip.dst, ip.ttl), bytes);
                }
                replies.frames.push((port, framed(link, vlan, &reply)));
            }
            Err(why) => self.slow.router_ignored[why as usize] += 1,
        }
    }

    /// The interface of the router that a node means by this MAC.
    pub(super) fn router_of(&self, node: NodeIndex, mac: Mac) -> Option<u32> {
        let record = self.topology().node(node)?;
        match virtual_mac::recognise(mac, record.vni) {
            Some((Kind::Router, address)) => self.topology().router_near(record, address),
            Some((Kind::Node, _)) => None,
            // Where the vnet lets the address alone decide.
            None => {
                let vnet = self.topology().vnet(record.vnet)?;
                let gateway = record.segment.gateway;
                (vnet.resolves && gateway != NONE).then_some(gateway)
            }
        }
    }
}

/// What a router has passed on at one of its interfaces.
fn traffic_at(topology: &Topology, router: &str, address: Vaddr) -> Option<Traffic> {
    let mut ifaces = topology.ifaces.iter();
    let is_its = |router_of: u32| {
        let router_of = topology.routers.get(router_of as usize);
        router_of.is_some_and(|it| it.name == router)
    };
    let iface = ifaces.find(|iface| iface.address == address && is_its(iface.router))?;
    let totals = iface.traffic.totals();
    Some(Traffic {
        in_packets: totals.in_packets,
        in_bytes: totals.in_bytes,
        out_packets: totals.out_packets,
        out_bytes: totals.out_bytes,
        dropped: totals.dropped,
    })
}

/// A frame to a node.
pub(super) fn framed([to, from]: [Mac; 2], vlan: u16, packet: &[u8]) -> Vec<u8> {
    let link = ethernet::Header {
        destination: to,
        source: from,
        vlan: (vlan != 0).then_some(vlan),
        ethertype: ethertype::IPV4,
        len: 0,
    };
    let mut frame = vec![0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
    let len = link.emit(&mut frame);
    frame.truncate(len);
    frame.extend_from_slice(packet);
    frame
}

#[cfg(test)]
#[path = "router/tests.rs"]
mod tests;
