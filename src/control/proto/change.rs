//! The changes a client can ask for. One enum serves the single methods, the
//! elements of `batch` and the lines of the journal, so that the three cannot
//! drift apart.
//!
//! `mapping.set` is the method that carries a million objects: its strings are
//! borrowed from the line where they contain no escape.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::model::{
    Binding, Eam, Host, Member, Neighbor, Outsider, Relay, Route, Router, Subnet, Vnet, Vroute,
};
use crate::wire::address::Prefix4;
use crate::wire::{Locator, Mac, Prefix6, Vaddr};

/// Revisions must survive JSON readers that keep numbers as doubles.
pub const MAX_REVISION: u64 = (1 << 53) - 1;

pub(crate) fn is_zero(n: &u64) -> bool {
    *n == 0
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
            /// Revision of the change; absent or 0 claims no order.
            #[serde(default, skip_serializing_if = "is_zero")]
            pub revision: u64,
        }
    )*};
}

requests! {
    /// Adds or replaces a vnet.
    VnetSet { vnet: Vnet, }
    /// Removes a vnet that nothing refers to.
    VnetRemove { name: String, }
    /// Adds or replaces a binding.
    BindingSet { binding: Binding, }
    /// Removes a binding.
    BindingRemove { name: String, }
    /// Adds or replaces a host.
    HostSet { host: Host, }
    /// Removes a host that no mapping refers to.
    HostRemove { name: String, }
    /// Adds or replaces a route of the substrate.
    RouteSet { route: Route, }
    /// Adds or replaces the relay.
    RelaySet { relay: Relay, }
    /// Removes the relay, when it has no explicit mappings.
    RelayRemove { }
    /// Adds or replaces an outsider.
    OutsiderSet { outsider: Outsider, }
    /// Removes an outsider.
    OutsiderRemove { name: String, }
    /// Adds or replaces a subnet.
    SubnetSet { subnet: Subnet, }
    /// Removes a subnet that nothing refers to.
    SubnetRemove { name: String, }
    /// Adds or replaces a virtual router.
    RouterSet { router: Router, }
    /// Removes a virtual router that has no routes.
    RouterRemove { name: String, }
    /// Adds or replaces a route of a virtual router.
    VrouteSet { vroute: Vroute, }
    /// Removes a route of a virtual router.
    VrouteRemove { router: String, prefix: Prefix4, }
    /// Adds or replaces a host that hears a group.
    MemberSet { member: Member, }
    /// Removes a host that heard a group.
    MemberRemove { vnet: String, group: Vaddr, host: String, }
    /// Removes a route.
    RouteRemove { prefix: Locator, }
    /// Adds or replaces a static neighbour.
    NeighborSet { neighbor: Neighbor, }
    /// Removes a static neighbour.
    NeighborRemove { port: String, address: Ipv6Addr, }
}

/// Adds or replaces mappings of one vnet, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingSet<'a> {
    /// Name of the vnet.
    #[serde(borrow)]
    pub vnet: Cow<'a, str>,
    #[serde(borrow)]
    pub mappings: Vec<MappingRow<'a>>,
}

/// One mapping of a `mapping.set`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingRow<'a> {
    /// The node's address, or a prefix behind one host.
    pub address: Prefix4,
    /// Name of the host it is behind.
    #[serde(borrow)]
    pub host: Cow<'a, str>,
    /// Seconds from now; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
    /// Revision of this fact; absent or 0 claims no order.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// Slot of the node, in layout `slot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// Hardware address of the node, in a vnet with `macs = "given"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

/// Removes mappings of one vnet, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingRemove<'a> {
    #[serde(borrow)]
    pub vnet: Cow<'a, str>,
    pub mappings: Vec<MappingKey>,
}

/// One mapping of a `mapping.remove`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingKey {
    pub address: Prefix4,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
}

/// Explicit mappings on one line of the journal, and wherever else they go by
/// the thousand.
pub const MAX_EAM_ROWS: usize = 1000;

/// Adds or replaces explicit mappings of the relay, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EamSet {
    pub eams: Vec<EamRow>,
}

/// One mapping of an `eam.set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EamRow {
    /// IPv4 prefix, by which it is known.
    pub ipv4: Prefix4,
    /// IPv6 prefix with at least as many bits after it.
    #[serde(with = "crate::wire::address::prefix6_or_address")]
    pub ipv6: Prefix6,
    /// Revision of this fact; absent or 0 claims no order.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
}

impl EamRow {
    pub fn of(eam: Eam, revision: u64) -> EamRow {
        let Eam { ipv4, ipv6 } = eam;
        EamRow {
            ipv4,
            ipv6,
            revision,
        }
    }

    pub fn eam(&self) -> Eam {
        Eam {
            ipv4: self.ipv4,
            ipv6: self.ipv6,
        }
    }
}

/// Removes explicit mappings of the relay, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EamRemove {
    pub eams: Vec<EamKey>,
}

/// One mapping of an `eam.remove`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EamKey {
    pub ipv4: Prefix4,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
}

/// Any change: `{"method": "vnet.remove", "params": {"name": "Z"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", deny_unknown_fields)]
pub enum Change<'a> {
    #[serde(rename = "vnet.set")]
    VnetSet(VnetSet),
    #[serde(rename = "vnet.remove")]
    VnetRemove(VnetRemove),
    #[serde(rename = "binding.set")]
    BindingSet(BindingSet),
    #[serde(rename = "binding.remove")]
    BindingRemove(BindingRemove),
    #[serde(rename = "host.set")]
    HostSet(HostSet),
    #[serde(rename = "host.remove")]
    HostRemove(HostRemove),
    #[serde(rename = "mapping.set", borrow)]
    MappingSet(MappingSet<'a>),
    #[serde(rename = "mapping.remove", borrow)]
    MappingRemove(MappingRemove<'a>),
    #[serde(rename = "route.set")]
    RouteSet(RouteSet),
    #[serde(rename = "route.remove")]
    RouteRemove(RouteRemove),
    #[serde(rename = "neighbor.set")]
    NeighborSet(NeighborSet),
    #[serde(rename = "neighbor.remove")]
    NeighborRemove(NeighborRemove),
    #[serde(rename = "relay.set")]
    RelaySet(Box<RelaySet>),
    #[serde(rename = "relay.remove")]
    RelayRemove(RelayRemove),
    #[serde(rename = "eam.set")]
    EamSet(EamSet),
    #[serde(rename = "eam.remove")]
    EamRemove(EamRemove),
    #[serde(rename = "outsider.set")]
    OutsiderSet(OutsiderSet),
    #[serde(rename = "outsider.remove")]
    OutsiderRemove(OutsiderRemove),
    #[serde(rename = "subnet.set")]
    SubnetSet(Box<SubnetSet>),
    #[serde(rename = "subnet.remove")]
    SubnetRemove(SubnetRemove),
    #[serde(rename = "router.set")]
    RouterSet(Box<RouterSet>),
    #[serde(rename = "router.remove")]
    RouterRemove(RouterRemove),
    #[serde(rename = "vroute.set")]
    VrouteSet(VrouteSet),
    #[serde(rename = "vroute.remove")]
    VrouteRemove(VrouteRemove),
    #[serde(rename = "member.set")]
    MemberSet(MemberSet),
    #[serde(rename = "member.remove")]
    MemberRemove(MemberRemove),
}

impl Change<'_> {
    /// Objects it speaks of, for the batch limit.
    pub fn size(&self) -> usize {
        match self {
            Change::MappingSet(set) => set.mappings.len(),
            Change::MappingRemove(remove) => remove.mappings.len(),
            Change::EamSet(set) => set.eams.len(),
            Change::EamRemove(remove) => remove.eams.len(),
            _ => 1,
        }
    }
}

/// Changes that are applied all or none, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch<'a> {
    #[serde(borrow)]
    pub changes: Vec<Change<'a>>,
}

/// What became of a change, counted by object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Took effect.
    pub applied: u32,
    /// Were so already.
    pub unchanged: u32,
    /// Are older than what is known, and had no effect.
    pub stale: u32,
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Applied) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.stale += other.stale;
    }
}
