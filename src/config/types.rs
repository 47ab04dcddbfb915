//! The tables of a host file that name no objects, with their defaults.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::address::{ParseError, serde_as_text};

pub(super) fn default_mtu() -> u16 {
    1500
}

/// Threads, cores and memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Runtime {
    /// CPU of the control thread.
    #[schemars(range(min = 0, max = 1023))]
    pub control_cpu: u16,
    /// CPU of each worker; as many workers as there are CPUs named. CPUs may
    /// be shared only with `idle = "backoff"`.
    #[schemars(inner(range(min = 0, max = 1023)))]
    pub workers: Vec<u16>,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
    /// Whether packets lie in hugepages.
    pub huge: Huge,
    /// Memory to take at the start, in MiB. When absent, what the packet
    /// pools need.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 1048576))]
    pub memory_mb: Option<u32>,
    /// Keep no files in hugetlbfs, so that a killed appliance leaves nothing behind.
    pub in_memory: bool,
    /// Prefix of the files that DPDK makes; `weft-` and the host's name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_prefix: Option<String>,
    /// Further arguments for DPDK's EAL, such as `--log-level=pmd.net.tap:debug`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub eal_args: Vec<String>,
}

impl Default for Runtime {
    fn default() -> Self {
        Runtime {
            control_cpu: 0,
            workers: vec![1],
            idle: Idle::Poll,
            huge: Huge::Auto,
            memory_mb: None,
            in_memory: true,
            file_prefix: None,
            eal_args: Vec::new(),
        }
    }
}

/// What an idle worker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Idle {
    /// Polls on: for cores that have nothing else to do.
    #[default]
    Poll,
    /// Pauses, then sleeps briefly after some empty rounds: for shared cores.
    Backoff,
}

/// Use of hugepages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Huge {
    /// Hugepages when there are enough of them, else ordinary pages.
    #[default]
    Auto,
    /// Hugepages, or no start.
    Yes,
    /// Ordinary pages: for unprivileged tests.
    No,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Path of the socket.
    pub socket: PathBuf,
    /// Permissions of the socket, in octal. Others than its user and group can
    /// have none.
    pub mode: FileMode,
    /// Group of the socket, by name or number; the process's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What members of the socket's group may do. Root and the appliance's own
    /// user may do everything.
    pub group_access: GroupAccess,
    /// Clients at a time.
    #[schemars(range(min = 1, max = 4096))]
    pub clients: u32,
    /// Longest request line, in bytes.
    #[schemars(range(min = 1024, max = 67108864))]
    pub line_bytes: u32,
    /// Most objects in one request.
    #[schemars(range(min = 1, max = 1048576))]
    pub batch: u32,
    /// Answers and events that may wait for a client, in bytes; a client that
    /// reads more slowly is cut off.
    #[schemars(range(min = 4096, max = 1073741824))]
    pub queue_bytes: u32,
}

impl Default for Control {
    fn default() -> Self {
        Control {
            socket: super::DEFAULT_SOCKET.into(),
            mode: FileMode(0o660),
            group: None,
            group_access: GroupAccess::ReadWrite,
            clients: 64,
            line_bytes: 4 << 20,
            batch: 4096,
            queue_bytes: 8 << 20,
        }
    }
}

/// What the socket's group may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GroupAccess {
    /// Look at everything and change nothing.
    #[serde(rename = "ro")]
    ReadOnly,
    /// Change everything.
    #[serde(rename = "rw")]
    ReadWrite,
}

/// Bounds of tables, queues and rates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Mappings of single addresses.
    #[schemars(range(min = 1, max = 268435456))]
    pub mappings: u32,
    /// Mappings of prefixes, and prefixes behind bindings.
    #[schemars(range(min = 0, max = 1048576))]
    pub prefixes: u32,
    /// Nodes on this host.
    #[schemars(range(min = 1, max = 1048576))]
    pub nodes: u32,
    /// Other hosts.
    #[schemars(range(min = 1, max = 1048576))]
    pub hosts: u32,
    /// Explicit mappings of the relay, those of `relay.eam_file` included.
    #[schemars(range(min = 0, max = 16777216))]
    pub eams: u32,
    /// Outsiders.
    #[schemars(range(min = 0, max = 65536))]
    pub outsiders: u32,
    /// Subnets of vnets.
    #[schemars(range(min = 0, max = 1048576))]
    pub subnets: u32,
    /// Virtual routers, those of the vnets not counted.
    #[schemars(range(min = 0, max = 65536))]
    pub routers: u32,
    /// Routes of virtual routers.
    #[schemars(range(min = 0, max = 4194304))]
    pub vroutes: u32,
    /// Hosts that hear multicast groups, counted by group.
    #[schemars(range(min = 0, max = 1048576))]
    pub members: u32,
    /// Packets held for one unresolved destination.
    #[schemars(range(min = 0, max = 1024))]
    pub holds_per_destination: u32,
    /// Packets of one node that are held.
    #[schemars(range(min = 0, max = 65535))]
    pub holds_per_node: u32,
    /// Packets held in all.
    #[schemars(range(min = 0, max = 1048576))]
    pub holds: u32,
    /// How long a packet is held before it is dropped, in milliseconds.
    #[schemars(range(min = 1, max = 10000))]
    pub hold_ms: u32,
    /// Frames of a node (ARP and the like) that control handles each second.
    #[schemars(range(min = 1, max = 1000000))]
    pub punt_rate: u32,
    /// Unknown destinations that a node may ask for each second.
    #[schemars(range(min = 1, max = 1000000))]
    pub miss_rate: u32,
    /// ICMP errors sent to a node each second.
    #[schemars(range(min = 0, max = 1000000))]
    pub icmp_rate: u32,
    /// Seconds for which the host of a removed node tells who still writes to it;
    /// 0 for not at all.
    #[schemars(range(min = 0, max = 86400))]
    pub gone_seconds: u32,
    /// Addresses that one node may take by itself.
    #[schemars(range(min = 0, max = 64))]
    pub learned: u32,
    /// Copies of one node's packets to groups, and of its broadcasts, each
    /// second.
    #[schemars(range(min = 1, max = 1000000))]
    pub flood_rate: u32,
    /// Copies, for nodes here, of packets that one other host sends to groups and
    /// as broadcasts, each second.
    #[schemars(range(min = 1, max = 10000000))]
    pub group_rate: u32,
    /// Copies of one packet: hosts with members, and members here.
    #[schemars(range(min = 1, max = 4096))]
    pub fanout: u32,
    /// Memberships of nodes in groups.
    #[schemars(range(min = 0, max = 1048576))]
    pub groups: u32,
    /// Groups that one node may join.
    #[schemars(range(min = 0, max = 4096))]
    pub groups_per_node: u32,
    /// Places in each ring of packets or notices between threads: a power of
    /// two.
    #[schemars(range(min = 64, max = 65536))]
    pub ring: u32,
    /// Packet buffers of each NUMA node. When absent, what queues, rings,
    /// caches and holds can take up; `weft check` prints the figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1023, max = 67108864))]
    pub mbufs: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            mappings: 1 << 20,
            prefixes: 4096,
            nodes: 4096,
            hosts: 4096,
            eams: 1 << 20,
            outsiders: 4096,
            subnets: 4096,
            routers: 4096,
            vroutes: 1 << 18,
            members: 65536,
            holds_per_destination: 8,
            holds_per_node: 256,
            holds: 4096,
            hold_ms: 200,
            punt_rate: 100,
            miss_rate: 100,
            icmp_rate: 10,
            gone_seconds: 300,
            learned: 8,
            flood_rate: 1000,
            group_rate: 100_000,
            fanout: 256,
            groups: 4096,
            groups_per_node: 64,
            ring: 1024,
            mbufs: None,
        }
    }
}

/// Packets to several: groups, and everybody of a subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Multicast {
    /// How they reach other hosts.
    pub carriage: Carriage,
}

/// How packets to several reach other hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Carriage {
    /// A copy for each host that has members.
    #[default]
    Copies,
    /// One packet to a group of the substrate, which hosts with members have
    /// joined by MLD; and a copy for each host that members name.
    Native,
}

/// Messages on standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least important messages that are shown.
    pub level: Level,
}

/// Importance of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => log::LevelFilter::Error,
            Level::Warn => log::LevelFilter::Warn,
            Level::Info => log::LevelFilter::Info,
            Level::Debug => log::LevelFilter::Debug,
            Level::Trace => log::LevelFilter::Trace,
        }
    }
}

/// OpenMetrics over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port to listen on, such as `127.0.0.1:9464`; nothing
    /// listens when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub listen: Option<SocketAddr>,
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// File in which operators' changes are kept, and beside it the leases of
    /// nodes that have no other address. When absent they last until the
    /// appliance stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<PathBuf>,
}

/// Permissions of a file, written in octal: `"0660"`. Text, because 660 as a
/// number would be something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileMode(pub u32);

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for FileMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<FileMode, ParseError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match u32::from_str_radix(text, 8) {
            Ok(mode @ 0..=0o777) if digits => Ok(FileMode(mode)),
            _ => Err(ParseError::new(text, "permissions in octal such as 0660")),
        }
    }
}

serde_as_text!(FileMode);

impl JsonSchema for FileMode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FileMode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "Permissions in octal." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_modes_are_octal_text() {
        assert_eq!("0660".parse(), Ok(FileMode(0o660)));
        assert_eq!("600".parse(), Ok(FileMode(0o600)));
        assert_eq!(FileMode(0o600).to_string(), "0600");
        for bad in ["", "0o660", "0888", "+660", "1777", "-1", "rw-rw----"] {
            assert!(bad.parse::<FileMode>().is_err(), "{bad}");
        }
    }
}
