//! The configuration of an appliance: one TOML file, read strictly.
//!
//! ```text
//! bytes -> document (toml with positions) -> types below -> check -> Config
//!          syntax errors                     unknown keys   meaning
//!                                            wrong types
//! ```
//!
//! The types are free of positions: a problem names the path of its key, such
//! as `binding[2].vnet`, and the document is asked afterwards where that is.
//! So [`check`] serves the control socket as well, whose objects come from no
//! file. Doc comments of the fields are the reference documentation
//! (`docs/configuration.md`), and every key here is used by the appliance.

mod af_packet;
pub mod check;
mod differ;
mod document;
mod eam_file;
mod load;
mod pools;
mod problem;
mod reference;
mod types;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    Binding, Eam, Host, Mapping, Member, Neighbor, Outsider, Port, Relay, Role, Route, Router,
    Subnet, Vnet, Vroute,
};
use crate::wire::{Layout, Locator};

pub use af_packet::device_string;
pub use differ::{PortChange, SettingChange, setting_changes, shown};
pub use eam_file::{EamFile, eam_of_line};
pub use load::places;
pub use pools::{PoolSize, memory_mb, needed, pools, pools_on};
pub use problem::{Problem, Problems, Warning};
pub use reference::reference;
pub use types::{
    Carriage, Control, FileMode, GroupAccess, Huge, Idle, Level, Limits, Log, Metrics, Multicast,
    Runtime, State,
};

/// Where the control socket is unless the file says otherwise; clients look here too.
pub const DEFAULT_SOCKET: &str = "/run/weft/weft.sock";

/// A host file: everything an appliance is told at its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this host, as other hosts' files, logs and metrics call it.
    pub name: String,
    /// How locator, network id and IPv4 address lie in a substrate address:
    /// the same on all hosts of a deployment.
    #[serde(default)]
    pub layout: Layout,
    /// This host's part of the substrate's address space, which the substrate
    /// routes to it: a /72 in layout `p72`, a /64 in the others. Only a plain
    /// relay does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locator: Option<Locator>,
    /// Largest IPv6 packet that the substrate carries between any two hosts.
    #[serde(default = "types::default_mtu")]
    #[schemars(range(min = 1280, max = 16000))]
    pub mtu: u16,
    /// Threads, cores and memory.
    #[serde(default)]
    pub runtime: Runtime,
    /// The control socket.
    #[serde(default)]
    pub control: Control,
    /// Bounds of tables, queues and rates. What exceeds one is refused or
    /// dropped, and counted.
    #[serde(default)]
    pub limits: Limits,
    /// Packets to groups and broadcasts.
    #[serde(default)]
    pub multicast: Multicast,
    /// Messages on standard error.
    #[serde(default)]
    pub log: Log,
    /// OpenMetrics over HTTP.
    #[serde(default)]
    pub metrics: Metrics,
    /// What survives a restart.
    #[serde(default)]
    pub state: State,
    /// DPDK ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub port: Vec<Port>,
    /// Tenants' virtual networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnet: Vec<Vnet>,
    /// Parts of vnets whose nodes are neighbours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnet: Vec<Subnet>,
    /// Virtual routers between subnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub router: Vec<Router>,
    /// Routes of virtual routers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vroute: Vec<Vroute>,
    /// Hosts that hear multicast groups of vnets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub member: Vec<Member>,
    /// Nodes on this host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binding: Vec<Binding>,
    /// The other hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<Host>,
    /// Nodes on other hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mapping: Vec<Mapping>,
    /// Routes of the substrate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<Route>,
    /// Neighbours with a given hardware address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neighbor: Vec<Neighbor>,
    /// The relay between other people's IPv4 and IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Relay>,
    /// Explicit mappings of the relay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub eam: Vec<Eam>,
    /// IPv6 systems that are no nodes and have an address in a vnet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outsider: Vec<Outsider>,
    /// What `relay.eam_file` holds; read with the file, no key of it.
    #[serde(skip)]
    pub eam_file: EamFile,
}

/// One receive queue and the worker that polls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Poll {
    /// Index into [`Config::port`].
    pub port: usize,
    pub queue: u16,
    /// Index into [`Runtime::workers`].
    pub worker: u16,
}

impl Config {
    /// Loadable TOML of all objects.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The EAL's file prefix: the one given, else one made from the name, so
    /// that two appliances on a machine do not meet.
    pub fn file_prefix(&self) -> String {
        match &self.runtime.file_prefix {
            Some(prefix) => prefix.clone(),
            None => format!("weft-{}", self.name),
        }
    }

    /// Number of workers.
    pub fn workers(&self) -> u16 {
        u16::try_from(self.runtime.workers.len()).unwrap_or(u16::MAX)
    }

    /// Receive queues of a port.
    pub fn queues(&self, port: &Port) -> u16 {
        port.queues.unwrap_or(match port.role {
            Role::Uplink | Role::Relay4 | Role::Relay6 => self.workers(),
            Role::Node | Role::Exception => 1,
        })
    }

    /// MTU of a vnet's nodes.
    pub fn vnet_mtu(&self, vnet: &Vnet) -> u16 {
        vnet.mtu.unwrap_or(self.mtu.saturating_sub(check::GROWTH))
    }

    /// Which worker polls which queue. Queue q of an uplink belongs to worker
    /// q. The first queue of another port belongs to the worker it names, or
    /// else to the next in turn; its further queues to the workers after that.
    pub fn polls(&self) -> Vec<Poll> {
        let workers = self.workers().max(1);
        let mut turn = 0;
        let mut polls = Vec::new();
        for (index, port) in self.port.iter().enumerate() {
            let first = match (port.role, port.worker) {
                (Role::Uplink | Role::Relay4 | Role::Relay6, _) => 0,
                (_, Some(worker)) => worker,
                (_, None) => {
                    turn += 1;
                    turn - 1
                }
            };
            polls.extend((0..self.queues(port)).map(|queue| Poll {
                port: index,
                queue,
                worker: ((u32::from(first) + u32::from(queue)) % u32::from(workers)) as u16,
            }));
        }
        polls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(workers: &str, ports: &[&str]) -> Config {
        let mut text = format!(
            "name = \"R\"\nlocator = \"2001:db8:0:a:100::/72\"\n[runtime]\nworkers = {workers}\n"
        );
        for (index, port) in ports.iter().enumerate() {
            text +=
                &format!("[[port]]\nname = \"p{index}\"\ndevice = \"net_tap{index}\"\n{port}\n");
        }
        let (config, _) = Config::parse("test", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        config
    }

    fn polls(config: &Config) -> Vec<(usize, u16, u16)> {
        let polls = config.polls().into_iter();
        polls
            .map(|poll| (poll.port, poll.queue, poll.worker))
            .collect()
    }

    #[test]
    fn queues_are_spread_over_workers() {
        let node = "role = \"node\"";
        let config = ports(
            "[1, 2, 3]",
            &[
                "role = \"uplink\"",
                node,
                "role = \"uplink\"\nqueues = 2",
                "role = \"node\"\nqueues = 2\nworker = 2",
                node,
                node,
                node,
            ],
        );
        assert_eq!(
            polls(&config),
            [
                (0, 0, 0),
                (0, 1, 1),
                (0, 2, 2),
                (1, 0, 0),
                (2, 0, 0),
                (2, 1, 1),
                (3, 0, 2),
                (3, 1, 0),
                (4, 0, 1),
                (5, 0, 2),
                (6, 0, 0),
            ]
        );
    }

    #[test]
    fn defaults_follow_from_the_rest() {
        let config = ports("[1]", &["role = \"uplink\""]);
        assert_eq!(config.file_prefix(), "weft-R");
        assert_eq!(config.queues(&config.port[0]), 1);
        let vnet = Vnet::new("Z", crate::wire::Vni(0x5a_0001));
        assert_eq!(config.vnet_mtu(&vnet), 1472);
    }
}
