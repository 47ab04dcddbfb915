//! What the appliance says without being asked: notifications of method
//! `event` whose params carry a `topic`.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::report::{NeighborState, TraceRecord};
use crate::model::Origin;
use crate::wire::{Mac, Vaddr};

/// What one can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// A node asked for an address that has no mapping.
    Miss,
    /// A node was seen, or its hardware address learned.
    Node,
    /// A node uses another address than its binding says.
    Address,
    /// A frame arrived for a node that has moved.
    Redirect,
    /// A port went up or down.
    Port,
    /// A next hop was found or lost.
    Neighbor,
    /// A limit was hit.
    Limit,
    /// The desired state changed.
    Config,
    /// A node's address by DHCP changed hands.
    Lease,
    /// The first node here joined a group, or the last one left it.
    Group,
}

impl Topic {
    pub const ALL: [Topic; 10] = [
        Topic::Miss,
        Topic::Node,
        Topic::Address,
        Topic::Redirect,
        Topic::Port,
        Topic::Neighbor,
        Topic::Limit,
        Topic::Config,
        Topic::Lease,
        Topic::Group,
    ];

    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What became of a node's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseChange {
    Granted,
    Renewed,
    /// The node asked for another address than its own.
    Refused,
    /// The node found its address in use.
    Declined,
    Released,
    Expired,
    /// The subnet's pool has no free address for the node.
    Exhausted,
}

/// An event. `topic` names the variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "topic", rename_all = "lowercase")]
pub enum Event {
    Miss {
        vnet: String,
        address: Vaddr,
        /// Node that asked.
        node: String,
        /// Packets held for it.
        held: u32,
    },
    Node {
        node: String,
        vnet: String,
        address: Vaddr,
        mac: Mac,
        port: String,
        /// By what it was seen.
        #[serde(default, skip_serializing_if = "Sighting::is_usual")]
        seen: Sighting,
    },
    Address {
        node: String,
        vnet: String,
        /// What its binding says.
        bound: Vaddr,
        seen: Vaddr,
        verdict: AddressVerdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<SeenBy>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac: Option<Mac>,
        /// The address that it takes the place of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<Vaddr>,
        /// Why it was refused or dropped: the name of a counter.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    Redirect {
        vnet: String,
        address: Vaddr,
        /// Substrate address of the host that sent to the old place.
        sender: Ipv6Addr,
        host: String,
    },
    Port {
        port: String,
        up: bool,
    },
    Neighbor {
        port: String,
        address: IpAddr,
        state: NeighborState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac: Option<Mac>,
    },
    Limit {
        /// Name of the limit.
        limit: String,
        detail: String,
    },
    Config {
        origin: Origin,
        /// `vnet.set`, `sync.commit`, … that changed it.
        method: String,
        /// Objects that took effect.
        applied: u32,
    },
    Lease {
        change: LeaseChange,
        node: String,
        vnet: String,
        address: Vaddr,
        mac: Mac,
        /// What the node calls itself; empty if it does not.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        host_name: String,
        /// Seconds it was granted for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<u32>,
    },
    Group {
        vnet: String,
        group: Vaddr,
        /// Otherwise left.
        joined: bool,
        /// Nodes here that are in the group now.
        members: u32,
    },
    /// A packet of a trace this client started; not subscribed to.
    Trace {
        trace: u64,
        record: TraceRecord,
    },
    /// Events that were dropped because this client reads too slowly.
    Lost {
        lost: u64,
    },
}

/// What becomes of an address that a node uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressVerdict {
    /// The node has it beside what it had.
    Added,
    /// The node has it in the place of another one.
    Changed,
    /// The node has it beside what it had, until it is known which ones it uses.
    Watching,
    /// It uses both: both stay.
    Kept,
    /// The node has it no longer.
    Dropped,
    Refused,
}

/// By what a node was seen to use an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenBy {
    /// A packet from it.
    Packet,
    /// ARP with it as the sender's.
    Arp,
    /// ARP by which the node announces it.
    Announce,
    /// A DHCP server gave it.
    Dhcp,
}

/// By what a node was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sighting {
    /// The first frame that names its hardware address.
    #[default]
    Frame,
    /// It announced its address by ARP.
    Announce,
    /// Its hypervisor says by RARP that it has come.
    Rarp,
}

impl Sighting {
    fn is_usual(&self) -> bool {
        *self == Sighting::Frame
    }
}

impl Event {
    /// Topic it is sent under; none for what goes to one client only.
    pub fn topic(&self) -> Option<Topic> {
        Some(match self {
            Event::Miss { .. } => Topic::Miss,
            Event::Node { .. } => Topic::Node,
            Event::Address { .. } => Topic::Address,
            Event::Redirect { .. } => Topic::Redirect,
            Event::Port { .. } => Topic::Port,
            Event::Neighbor { .. } => Topic::Neighbor,
            Event::Limit { .. } => Topic::Limit,
            Event::Config { .. } => Topic::Config,
            Event::Lease { .. } => Topic::Lease,
            Event::Group { .. } => Topic::Group,
            Event::Trace { .. } | Event::Lost { .. } => return None,
        })
    }
}
