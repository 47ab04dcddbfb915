//! The routers' part of the walk: A and the far nodes, or C, in subnets of
//! their own with one router between them.

use super::common::frames::{self, Ip};
use super::common::segments::{Router, install};
use super::common::topology::{A, MAC_A, NODE_C, Z};
use weft::datapath::Topology;
use weft::wire::Vaddr;
use weft::wire::virtual_mac::{self, Kind};

/// C, in the far subnet.
pub(crate) const C: Vaddr = Vaddr(0x0a7f_0005);
const NEAR: Vaddr = Vaddr(0x0a00_0001);
const FAR: Vaddr = Vaddr(0x0a7f_fffe);

/// A frame of A for its gateway.
pub(crate) fn frame(ip: &Ip) -> Vec<u8> {
    let gateway = virtual_mac::of(Kind::Router, Z, NEAR);
    frames::ethernet(gateway, MAC_A, None, 0x0800, &ip.bytes())
}

pub(crate) fn divide(topology: &mut Topology) {
    topology.nodes[NODE_C.index()].vaddr = C;
    let subnets = [
        ("10.0.0.0/24", "10.0.0.1"),
        ("10.64.0.0/10", "10.127.255.254"),
    ];
    let router = Router {
        name: "r1",
        addresses: vec![NEAR, FAR],
        routes: vec![("192.0.2.0/24", "blackhole")],
    };
    assert!(topology.nodes.iter().any(|node| node.vaddr == A));
    install(topology, 0, &subnets, &[router]);
}
