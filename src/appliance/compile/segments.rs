//! Records of subnets and routers, and each node's place among them.

use hashbrown::HashMap;

use crate::appliance::routing::Routing;
use crate::control::store::Store;
use crate::datapath::segments::Segment;
use crate::datapath::topology::Topology;
use crate::model;
use crate::wire::Vni;

pub(super) fn install(topology: &mut Topology, routing: &Routing, vnets: &HashMap<&str, u32>) {
    (topology.subnets, topology.ifaces, topology.routers) = routing.records(vnets);
}

/// The network as a node sees it: its subnet, or all of its vnet.
pub(super) fn segment(
    store: &Store,
    routing: &Routing,
    binding: &model::Binding,
    vni: Vni,
) -> Segment {
    match store.subnet_at(&binding.vnet, binding.address) {
        Some(subnet) => routing.segment(vni, &subnet.name),
        None => Segment::default(),
    }
}
