//! Subnets and routers, put into a topology by hand.

use std::sync::Arc;

use weft::datapath::segments::{IfaceRecord, Leg, NONE, RouterRecord, Segment, SubnetRecord};
use weft::datapath::tally::Traffic;
use weft::datapath::topology::Topology;
use weft::lpm::Lpm;
use weft::wire::Vaddr;
use weft::wire::address::Prefix4;
use weft::wire::virtual_mac::{self, Kind};

/// A router: its addresses, and its routes ("via 10.0.9.1", "blackhole",
/// "prohibit").
pub struct Router<'a> {
    pub name: &'a str,
    pub addresses: Vec<Vaddr>,
    pub routes: Vec<(&'a str, &'a str)>,
}

fn prefix(text: &str) -> Prefix4 {
    text.parse().expect("a prefix")
}

fn only(address: Vaddr) -> Prefix4 {
    Prefix4 { address, len: 32 }
}

/// Puts them into vnet `vnet`. Subnets are prefixes with their gateways.
pub fn install(
    topology: &mut Topology,
    vnet: u32,
    subnets: &[(&str, &str)],
    routers: &[Router<'_>],
) {
    let (first_subnet, first_router) = (topology.subnets.len(), topology.routers.len());
    for (range, _) in subnets {
        topology.subnets.push(SubnetRecord {
            name: (*range).to_owned(),
            vnet,
            prefix: prefix(range),
            gateway: NONE,
            ifaces: Vec::new(),
        });
    }
    for (number, router) in (first_router..).zip(routers) {
        for address in &router.addresses {
            let mut places = topology.subnets[first_subnet..].iter();
            let subnet = places.position(|subnet| subnet.prefix.contains(*address));
            let subnet = first_subnet + subnet.expect("a subnet for every address");
            let iface = topology.ifaces.len() as u32;
            topology.ifaces.push(IfaceRecord {
                router: number as u32,
                subnet: subnet as u32,
                address: *address,
                traffic: Traffic::new(2),
            });
            topology.subnets[subnet].ifaces.push(iface);
        }
    }
    for (subnet, (_, gateway)) in topology.subnets[first_subnet..].iter_mut().zip(subnets) {
        let gateway: Option<Vaddr> = gateway.parse().ok();
        let found = subnet.ifaces.iter().copied();
        let mut found = found.filter(|at| Some(topology.ifaces[*at as usize].address) == gateway);
        subnet.gateway = found.next().unwrap_or(NONE);
    }
    for (number, router) in (first_router..).zip(routers) {
        let record = table(topology, vnet, number as u32, router);
        topology.routers.push(record);
    }
    for node in topology.nodes.iter_mut().filter(|node| node.vnet == vnet) {
        let mut places = (0..).zip(&topology.subnets).skip(first_subnet);
        let place = places.find(|(_, subnet)| subnet.prefix.contains(node.vaddr));
        let (index, subnet) = place.expect("a subnet for every node");
        let gateway = topology.ifaces.get(subnet.gateway as usize);
        node.segment = Segment {
            subnet: index,
            prefix: subnet.prefix,
            gateway: subnet.gateway,
            gateway_mac: gateway
                .map(|iface| virtual_mac::of(Kind::Router, node.vni, iface.address)),
        };
    }
}

fn table(topology: &Topology, vnet: u32, number: u32, router: &Router<'_>) -> RouterRecord {
    let ifaces = || (0u32..).zip(&topology.ifaces);
    let of_address = |address: Vaddr| ifaces().find(|(_, iface)| iface.address == address);
    let mine = || ifaces().filter(|(_, iface)| iface.router == number);
    let subnet = |iface: &IfaceRecord| &topology.subnets[iface.subnet as usize];
    let mut entries: Vec<(Prefix4, Leg)> = Vec::new();
    for (range, action) in &router.routes {
        let leg = match *action {
            "blackhole" => Leg::Blackhole,
            "prohibit" => Leg::Prohibited,
            "unreachable" => Leg::Unreachable,
            via => {
                let via: Vaddr = via.strip_prefix("via ").expect("via").parse().expect("one");
                match of_address(via) {
                    Some((iface, next)) => Leg::Next {
                        router: next.router,
                        iface,
                    },
                    None => {
                        let mut out = mine();
                        let out = out.find(|(_, iface)| subnet(iface).prefix.contains(via));
                        let (iface, _) = out.expect("a next hop near the router");
                        Leg::Node { via, iface }
                    }
                }
            }
        };
        entries.push((prefix(range), leg));
    }
    for (iface, record) in mine() {
        let subnet = subnet(record);
        entries.push((subnet.prefix, Leg::Connected { iface }));
        let hosts = !Prefix4::mask(subnet.prefix.len);
        for end in [0, hosts] {
            let address = Vaddr(subnet.prefix.address.0 | end);
            entries.push((only(address), Leg::Broadcast));
        }
        for other in &subnet.ifaces {
            let theirs = &topology.ifaces[*other as usize];
            let leg = Leg::Next {
                router: theirs.router,
                iface: *other,
            };
            entries.push((only(theirs.address), leg));
        }
    }
    entries.extend(mine().map(|(_, iface)| (only(iface.address), Leg::Own)));
    let places = (0..).zip(&entries).map(|(at, (prefix, _))| (*prefix, at));
    RouterRecord {
        name: router.name.to_owned(),
        vnet,
        routes: Lpm::build(places),
        legs: entries.iter().map(|(_, leg)| *leg).collect::<Arc<[Leg]>>(),
    }
}
