//! What the appliance tells about itself: the replies of the reading methods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::event::SeenBy;
use crate::model::{Eam, Origin, Relay, Role};
use crate::wire::{Mac, Vaddr};

/// An object with who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held<T> {
    pub object: T,
    pub origin: Origin,
    pub revision: u64,
    /// What the appliance found out by itself; of bindings only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
}

/// What nobody said of an object and the appliance found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    /// Hardware address the node was seen with; none when one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Slot the node is in, in layout `slot`; none when one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// Addresses that the node has taken by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<LearnedAddress>,
}

/// An address that a node has taken by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedAddress {
    pub address: Vaddr,
    /// Hardware address it was seen with.
    pub mac: Mac,
    pub by: SeenBy,
    /// In the place of the binding's; otherwise beside it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub instead: bool,
    /// It is not known yet which of both the node uses.
    #[serde(default, skip_serializing_if = "is_false")]
    pub watched: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A page of a list. `next` is the cursor of the following page; absent on
/// the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An address that a node has by DHCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub node: String,
    pub vnet: String,
    pub address: Vaddr,
    pub mac: Mac,
    /// What the node calls itself; empty if it does not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host_name: String,
    /// Seconds until it ends; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// One counter of all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// One sentence: what it counts.
    pub help: String,
    pub total: u64,
    /// By worker index; empty when it is not kept by worker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<u64>,
    /// True: goes up and down (a fill), false: only up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gauge: bool,
}

/// Reply of `stats.get`: counters by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatsReport {
    /// Milliseconds since the appliance started, to make rates from.
    pub uptime_ms: u64,
    pub counters: BTreeMap<String, Counter>,
}

/// Reply of `status.get`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    pub version: String,
    pub pid: u32,
    /// Running objects by kind.
    pub objects: BTreeMap<String, u64>,
    /// Objects by origin, over all kinds.
    pub origins: BTreeMap<String, u64>,
    pub tombstones: u64,
    /// Bytes the stored mappings take.
    pub mapping_bytes: u64,
    /// Bytes the relay's explicit mappings take.
    #[serde(default, skip_serializing_if = "super::change::is_zero")]
    pub eam_bytes: u64,
    /// Connected clients.
    pub clients: u32,
    /// Counters of the socket: name -> value.
    pub socket: BTreeMap<String, u64>,
    /// Journal, when one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalReport>,
    /// What the data path says of itself.
    pub plant: PlantStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalReport {
    pub path: String,
    pub bytes: u64,
    pub records: u64,
    pub compactions: u64,
    /// The last error, when the journal refuses changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlantStatus {
    pub uptime_ms: u64,
    pub workers: u32,
    pub layout: String,
    pub locator: String,
    /// Further facts, name -> value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

/// A port as it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortReport {
    pub name: String,
    pub role: Role,
    pub device: String,
    pub driver: String,
    pub mac: Mac,
    pub up: bool,
    /// Mbit/s; 0 when the device does not know.
    pub speed: u32,
    pub mtu: u16,
    pub rx_queues: u16,
    pub tx_queues: u16,
    /// What the device and who sends by it leave to each other: names after
    /// `rx-` for packets received, after `tx-` for those sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offloads: Vec<String>,
    /// Own addresses, as text with prefix length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Counters of the device.
    pub counters: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub ports: Vec<PortReport>,
}

/// State of a next hop or neighbour (RFC 4861 section 7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NeighborState {
    /// Configured, never asked for.
    Permanent,
    Incomplete,
    Reachable,
    Stale,
    Delay,
    Probe,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighborReport {
    pub port: String,
    pub address: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    pub state: NeighborState,
    /// Who configured it; absent: learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Milliseconds since it was last confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_ms: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbors {
    pub neighbors: Vec<NeighborReport>,
}

/// Reply of `relay.get`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayReport {
    pub relay: Held<Relay>,
    /// Explicit mappings there are.
    pub eams: u64,
    /// What the data path says of it; absent until it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RelayState>,
}

/// The relay as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayState {
    pub ipv4: RelaySideState,
    pub ipv6: RelaySideState,
}

/// One side of the relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelaySideState {
    /// Its port's link.
    pub up: bool,
    /// Largest packet that is sent here.
    pub mtu: u16,
    /// Hardware address of the next hop, given or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<Mac>,
    /// How the next hop is doing; absent while it was never asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<NeighborState>,
}

/// Reply of `eam.get`: an address and what it is on the other side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translation {
    pub address: IpAddr,
    /// The address on the other side, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translated: Option<IpAddr>,
    /// The explicit mapping of the longest match; without one `pool6` decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eam: Option<Held<Eam>>,
    /// Why it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Reply of `config.dump`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Running settings and objects as loadable TOML, without mappings of
    /// vnets and of the relay and without routes of virtual routers
    /// and members of groups.
    pub toml: String,
    /// Mappings there are; fetch them with `mapping.list`.
    pub mappings: u64,
    /// Explicit mappings there are; fetch them with `eam.list`.
    #[serde(default, skip_serializing_if = "super::change::is_zero")]
    pub eams: u64,
    /// Routes of virtual routers there are; fetch them with `vroute.list`.
    #[serde(default, skip_serializing_if = "super::change::is_zero")]
    pub vroutes: u64,
    /// Hosts that hear groups; fetch them with `member.list`.
    #[serde(default, skip_serializing_if = "super::change::is_zero")]
    pub members: u64,
}

/// One stage of the walk and what it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub stage: String,
    pub verdict: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Reply of `explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainReport {
    pub steps: Vec<Step>,
    /// As in a trace: `sent`, … or the name of the drop.
    pub outcome: String,
    /// Port it would leave by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The frame before and after, in hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after: String,
}

/// A packet as a trace saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceRecord {
    /// Microseconds since the appliance started.
    pub time_us: u64,
    pub worker: u32,
    pub steps: Vec<Step>,
    /// `sent`, `fragmented`, `delivered`, `passed`, `held`, `punted` or the name of the drop.
    pub outcome: String,
    /// Port it was received by.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub port: String,
    /// Port it left by; empty when it did not, or its worker does not know.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub out_port: String,
    /// The frame before and after, in hexadecimal, maybe cut short.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub before: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub after: String,
    /// Lengths of the frames; 0: what is here is all of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub before_length: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_length: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Which packets a trace keeps; every given field must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Name of a binding: packets from or to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnet: Option<String>,
    /// A virtual (IPv4) or substrate (IPv6) address, source or destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Only packets that were dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drops: bool,
}

/// Transport protocol of an `explain`: a word or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Icmp,
    Tcp,
    Udp,
    #[serde(untagged)]
    Number(u8),
}

/// Sends a made-up packet of a node through the real stages, without effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Name of the binding it comes from; at a relay, the source address.
    pub from: String,
    /// Where it goes; of the same family as an address in `from`.
    pub to: IpAddr,
    #[serde(default)]
    pub protocol: Protocol,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Length of the IPv4 packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dscp: Option<u8>,
    /// Don't-fragment bit; set when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df: Option<bool>,
}

/// Reply of `group.list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    pub groups: Vec<GroupReport>,
}

/// A group of a vnet that has members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    pub vnet: String,
    pub group: Vaddr,
    /// Nodes here that have joined.
    pub members: Vec<GroupMember>,
    /// Names of other hosts that are said to have members.
    pub hosts: Vec<String>,
}

/// A node in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    pub node: String,
    /// Oldest version of IGMP that it was heard with of late.
    pub version: u8,
    pub sources: GroupSources,
    /// Sources that it named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Vaddr>,
    /// Seconds until it is forgotten, if it says no more.
    pub expires: u32,
}

/// From whom a member takes packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupSources {
    Any,
    /// From those it named.
    Only,
    /// From all but those.
    Except,
}
