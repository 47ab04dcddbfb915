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

/// The subnet that a node is in, if its vnet has any.
pub(in crate::appliance) fn subnet_of<'s>(
    store: &'s Store,
    binding: &model::Binding,
) -> Option<&'s model::Subnet> {
    match (binding.address, &binding.subnet) {
        (Some(address), _) => store.subnet_at(&binding.vnet, address),
        (None, Some(name)) => store.subnet(name),
        (None, None) => None,
    }
}

/// The network as a node sees it: its subnet, or all of its vnet.
pub(super) fn segment(
    store: &Store,
    routing: &Routing,
    binding: &model::Binding,
    vni: Vni,
) -> Segment {
    match subnet_of(store, binding) {
        Some(subnet) => routing.segment(vni, &subnet.name),
        None => Segment::default(),
    }
}
