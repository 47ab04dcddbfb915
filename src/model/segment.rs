//! What is inside a vnet: subnets, the routers between them, and their routes.
//!
//! A vnet without subnets is flat: every node sees every other as a neighbour.
//! Routes are objects of their own, and not part of their router, because one of
//! a hundred thousand must be able to change without the others being said again.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Snmp, SubnetDhcp};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Nodes of a vnet that see each other as neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subnet {
    /// Name by which routers refer to it.
    pub name: String,
    /// Name of its vnet. Every node of a vnet that has subnets lies in one.
    pub vnet: String,
    /// Its addresses, apart from those of the vnet's other subnets.
    pub prefix: Prefix4,
    /// Address of its nodes' default router. One that no router has is that of
    /// the vnet's own, which is called like the vnet and joins all such subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Vaddr>,
    /// What its nodes are told by DHCP, beside their addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp: Option<SubnetDhcp>,
}

/// A virtual router between subnets of one vnet. Every host emulates it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Name by which routes refer to it; no vnet's.
    pub name: String,
    /// Name of its vnet.
    pub vnet: String,
    /// The subnets it joins, 1 to 64.
    pub interfaces: Vec<RouterInterface>,
    /// Whom it answers by SNMP; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snmp: Option<Snmp>,
}

/// A router's place in a subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouterInterface {
    /// Name of the subnet.
    pub subnet: String,
    /// The router's address in it.
    pub address: Vaddr,
}

/// A route of a virtual router, beside those to the subnets it joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vroute {
    /// Name of the router, or of the vnet for its own.
    pub router: String,
    /// Destinations, such as `10.0.2.0/24` or `0.0.0.0/0`.
    pub prefix: Prefix4,
    /// Next hop: a router or node in one of the router's subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Vaddr>,
    /// What becomes of packets instead of being passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<VrouteAction>,
}

/// What a route does with packets that it does not pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VrouteAction {
    /// They are dropped in silence.
    Blackhole,
    /// The sender is told that communication is prohibited.
    Prohibit,
}

impl fmt::Display for VrouteAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VrouteAction::Blackhole => "blackhole",
            VrouteAction::Prohibit => "prohibit",
        })
    }
}
