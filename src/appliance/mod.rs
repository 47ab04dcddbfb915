//! `weft run`: configuration, devices, workers and the control thread, put
//! together.
//!
//! | File | What |
//! |---|---|
//! | `compile` | desired state, links and neighbours -> the workers' snapshot |
//! | `plant` | the one writer of table and snapshot |
//! | `answer` | what workers leave to the control thread |
//! | `multicast` | who is to get what nodes send to groups and to everybody |
//! | `reports`, `gauges`, `rings`, `explain`, `watchers` | what can be asked of a running appliance |
//! | `control` | the control thread's loop |
//! | `devices` | what control asks devices; `dpdk` opens the real ones, `dpdk_devices` asks them |
//! | `hotplug`, `dpdk_hotplug` | ports that come and go meanwhile |
//! | `absent`, `stale` | what devices need of the machine, and what stands in their way |
//! | `start` | the way up and the way down |

#[cfg(feature = "dpdk")]
mod absent;
mod addresses;
pub mod answer;
pub mod compile;
pub mod control;
mod cycles;
pub mod devices;
#[cfg(feature = "dpdk")]
mod dpdk;
#[cfg(feature = "dpdk")]
mod dpdk_devices;
#[cfg(feature = "dpdk")]
mod dpdk_hotplug;
mod explain;
mod gauges;
mod given;
mod gone;
#[cfg(feature = "dpdk")]
mod group;
mod hotplug;
mod ifaces;
mod links;
pub mod logging;
mod made_up;
pub mod metrics;
mod multicast;
pub mod notify;
mod path_mtu;
pub mod plant;
mod relay;
mod reports;
mod rings;
mod routing;
#[cfg(feature = "dpdk")]
mod signal;
#[cfg(feature = "dpdk")]
mod stale;
#[cfg(feature = "dpdk")]
mod start;
#[cfg(test)]
mod testing;
mod watchers;

#[cfg(feature = "dpdk")]
pub use start::{Error, Options, run};
