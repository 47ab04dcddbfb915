//! Subnets, the routers between them, and what nodes need of both.
//!
//! No router is anywhere: each host does for its own nodes' packets what the
//! routers on their way would have done. So all hosts have all subnets and
//! routes of their vnets, and a packet that crosses ten routers crosses the
//! substrate once.
//!
//! A router's table has an entry for every address that is something else than
//! a node of a connected subnet: own addresses, those of other routers, and
//! broadcasts. One lookup so decides, without exceptions behind it.

use std::sync::Arc;

use crate::lpm::Lpm;
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr};

use super::tally::Traffic;
use super::topology::{NodeRecord, Topology};

/// The place of a node that is in no subnet, or of an interface that there is
/// not.
pub const NONE: u32 = u32::MAX;

/// A subnet of a vnet.
#[derive(Clone, Debug)]
pub struct SubnetRecord {
    pub name: String,
    pub vnet: u32,
    pub prefix: Prefix4,
    /// The interface that its nodes know as their gateway, or [`NONE`].
    pub gateway: u32,
    /// All interfaces of routers in it.
    pub ifaces: Vec<u32>,
}

/// Where a router is in a subnet.
#[derive(Clone, Debug)]
pub struct IfaceRecord {
    pub router: u32,
    pub subnet: u32,
    pub address: Vaddr,
    /// What it has passed on; snapshots share it.
    pub traffic: Traffic,
}

/// A router.
#[derive(Clone, Debug)]
pub struct RouterRecord {
    pub name: String,
    pub vnet: u32,
    /// Places in `legs`.
    pub routes: Lpm,
    pub legs: Arc<[Leg]>,
}

/// What a router does with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leg {
    /// For a node of a subnet that it is in, out of this interface.
    Connected {
        iface: u32,
    },
    /// To another router, which gets it by this interface.
    Next {
        router: u32,
        iface: u32,
    },
    /// To a node that has the destination behind it.
    Node {
        via: Vaddr,
        iface: u32,
    },
    /// For itself.
    Own,
    /// To all of a connected subnet.
    Broadcast,
    Blackhole,
    Prohibited,
    /// The route's next hop is gone.
    Unreachable,
}

impl RouterRecord {
    /// What it does with packets for an address; `None` without a route.
    #[inline]
    pub fn leg(&self, address: Vaddr) -> Option<Leg> {
        let place = self.routes.find(address)?;
        self.legs.get(place as usize).copied()
    }
}

impl SubnetRecord {
    /// Whether an address names all of it, as its first and last do.
    pub fn is_broadcast(&self, address: Vaddr) -> bool {
        let hosts = !Prefix4::mask(self.prefix.len);
        let host = address.0 & hosts;
        self.prefix.len <= 30 && self.prefix.contains(address) && (host == 0 || host == hosts)
    }
}

impl Topology {
    /// The interface by which a router with this address is in a node's subnet.
    pub fn router_near(&self, node: &NodeRecord, address: Vaddr) -> Option<u32> {
        let subnet = self.subnets.get(node.segment.subnet as usize)?;
        let mut ifaces = subnet.ifaces.iter().copied();
        ifaces.find(|at| {
            let iface = self.ifaces.get(*at as usize);
            iface.is_some_and(|iface| iface.address == address)
        })
    }
}

/// The network as a node sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its subnet's number, or [`NONE`].
    pub subnet: u32,
    /// Whom it reaches without a router; everybody in a vnet without subnets.
    pub prefix: Prefix4,
    /// The interface of its gateway, or [`NONE`], and the gateway's MAC, from
    /// which packets of other subnets come.
    pub gateway: u32,
    pub gateway_mac: Option<Mac>,
}

impl Default for Segment {
    fn default() -> Segment {
        Segment {
            subnet: NONE,
            prefix: Prefix4 {
                address: Vaddr(0),
                len: 0,
            },
            gateway: NONE,
            gateway_mac: None,
        }
    }
}
