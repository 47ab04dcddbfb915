//! How many packet buffers an appliance can have in use at once.
//!
//! The pool of a NUMA node must never run dry while queues fill: a device
//! that finds no buffer drops at its door, uncounted by us. So the count is
//! everything that can hold a buffer at the same time: receive and transmit
//! descriptors of the ports on that node, and, since buffers of any pool can
//! be there, all rings between threads, all holds, every thread's cache and a
//! burst in each thread's hands.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Config, af_packet};
use crate::model::Port;
use crate::packet::HEADROOM;

/// Buffers that a thread keeps by it, so as not to touch the pool each time.
const CACHE: u32 = 256;
/// Buffers that a worker has in hand during one round, both walks included.
const IN_HAND: u32 = 256;
/// Ethernet header, two VLAN tags, and the checksum that some devices leave.
const FRAME: usize = 14 + 8 + 4;
/// What devices write at once: rx buffer sizes are multiples of it.
const STEP: usize = 1024;
/// Packets of up to 64 KiB that a worker has in hand where guests leave TCP to be
/// cut, each in as many buffers as it takes.
const UNCUT: u64 = 32;
/// Struct rte_mbuf and the pool's header before each object.
const OBJECT: u64 = 128 + 64;

/// A pool of packet buffers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolSize {
    /// NUMA node of the memory.
    pub socket: u32,
    /// Number of buffers: a power of two less one, which wastes least.
    pub mbufs: u32,
    /// Bytes of each buffer, headroom included.
    pub data_room: u16,
    /// Buffers in the cache of each thread.
    pub cache: u32,
}

impl PoolSize {
    /// Memory it takes.
    pub fn bytes(&self) -> u64 {
        let object = OBJECT + u64::from(self.data_room);
        u64::from(self.mbufs) * object.next_multiple_of(64)
    }
}

/// The pools of a configuration, one for each NUMA node that has a port.
pub fn pools(config: &Config) -> Vec<PoolSize> {
    pools_on(config, socket_of)
}

/// The same with the caller's knowledge of which port is on which NUMA node.
pub fn pools_on(config: &Config, socket_of: impl Fn(&Port) -> u32) -> Vec<PoolSize> {
    let data_room = data_room(config);
    needed_on(config, socket_of)
        .into_iter()
        .map(|(socket, needed)| PoolSize {
            socket,
            mbufs: config.limits.mbufs.unwrap_or_else(|| round(needed)),
            data_room,
            cache: CACHE,
        })
        .collect()
}

/// Buffers that can be in use at once, by NUMA node, whatever the file says
/// there are.
pub fn needed(config: &Config) -> BTreeMap<u32, u64> {
    needed_on(config, socket_of)
}

fn needed_on(config: &Config, socket_of: impl Fn(&Port) -> u32) -> BTreeMap<u32, u64> {
    let mut queues: BTreeMap<u32, u64> = BTreeMap::new();
    for port in &config.port {
        let rx = u64::from(config.queues(port));
        let tx = u64::from(config.workers());
        let held = (rx + tx) * u64::from(port.descriptors) + uncut(port) * rx;
        *queues.entry(socket_of(port)).or_default() += held;
    }
    if queues.is_empty() {
        queues.insert(0, 0);
    }
    let common = common(config);
    queues
        .values_mut()
        .for_each(|held| *held = held.saturating_add(common));
    queues
}

/// Buffers that are taken up by packets larger than any port's, until they are
/// cut. The smallest buffer holds 2 KiB.
fn uncut(port: &Port) -> u64 {
    let whole = u64::from(u16::MAX).div_ceil(2 * STEP as u64);
    match super::check::device::argument(&port.device, "tso") {
        Some("1") => UNCUT * whole,
        _ => 0,
    }
}

/// Memory of all pools in MiB, with room for DPDK's own needs: what the EAL
/// is asked for when `runtime.memory_mb` is absent and there are no hugepages
/// to take as they are needed.
pub fn memory_mb(config: &Config) -> u32 {
    let pools: u64 = pools(config).iter().map(PoolSize::bytes).sum();
    // Ordinary pages are one arena: what is not aligned to it is lost, and
    // devices take their rings from it too.
    let queues = 64 << 20;
    u32::try_from((pools + pools / 4 + queues) >> 20).unwrap_or(u32::MAX)
}

/// Buffers that may be anywhere but in a device. In 64 bits, since it is also
/// asked about configurations whose numbers are refused in the end.
fn common(config: &Config) -> u64 {
    let workers = u64::from(config.workers());
    let rings = workers * 3 + workers * workers.saturating_sub(1);
    // A cache is flushed at one and a half times its size.
    let caches = (workers + 1) * u64::from(CACHE * 3 / 2 + IN_HAND);
    rings
        .saturating_mul(config.limits.ring.into())
        .saturating_add(caches + u64::from(config.limits.holds))
}

fn round(mbufs: u64) -> u32 {
    let mbufs = mbufs.min(u64::from(u32::MAX));
    u32::try_from((mbufs + 1).next_power_of_two() - 1).unwrap_or(u32::MAX)
}

/// Room for the largest frame of any port in one segment.
fn data_room(config: &Config) -> u16 {
    let mtu = config
        .port
        .iter()
        .map(|port| port.mtu)
        .chain([config.mtu])
        .max();
    let frame = usize::from(mtu.unwrap_or(config.mtu)) + FRAME;
    let slots = config.port.iter().map(af_packet::room).max();
    let room = frame
        .max(slots.unwrap_or(0) as usize)
        .next_multiple_of(STEP)
        .max(2 * STEP)
        + HEADROOM;
    u16::try_from(room).unwrap_or(u16::MAX)
}

/// NUMA node of a PCI device, as the kernel tells; 0 for anything else.
fn socket_of(port: &Port) -> u32 {
    let device = super::check::device::identity(&port.device);
    let path = format!("/sys/bus/pci/devices/{device}/numa_node");
    let node = std::fs::read_to_string(path).ok();
    node.and_then(|node| node.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let (config, _) = Config::parse("test", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        config
    }

    const TWO: &str = "\
name = \"R\"
locator = \"2001:db8:0:a:100::/72\"
mtu = 1500
[runtime]
workers = [1, 2]
[limits]
holds = 1000
holds_per_node = 100
ring = 512
[[port]]
name = \"up\"
device = \"0000:00:00.7\"
role = \"uplink\"
descriptors = 1024
[[port]]
name = \"nodes\"
device = \"net_tap0\"
role = \"node\"
descriptors = 256
mtu = 9000
";

    #[test]
    fn everything_that_holds_a_buffer_is_counted() {
        let config = config(TWO);
        // up: (2 rx + 2 tx) x 1024; nodes: (1 rx + 2 tx) x 256.
        let queues = 4096 + 768;
        // 2 x (2 to control, 1 back) + 2 handoffs, of 512 places each.
        let rings = 8 * 512;
        let caches = 3 * (384 + 256);
        let all: u32 = queues + rings + caches + 1000;
        assert_eq!(all, 11_880);
        let pools = pools_on(&config, |_| 0);
        assert_eq!(
            pools,
            [PoolSize {
                socket: 0,
                mbufs: 16_383,
                data_room: 9216 + 128,
                cache: 256
            }]
        );
        assert_eq!(pools[0].bytes(), 16_383 * (9216 + 128 + 192));
    }

    #[test]
    fn guests_that_leave_tcp_to_be_cut_fill_more_buffers() {
        let guest = TWO.replace("net_tap0", "net_vhost0,iface=/run/a.sock,tso=1");
        let more = pools_on(&config(&guest), |port| u32::from(port.name == "nodes"));
        let usual = pools_on(&config(TWO), |port| u32::from(port.name == "nodes"));
        assert_eq!(more[0], usual[0]);
        // 7,784 and a burst of 32 packets in 32 buffers each are 8,808.
        assert_eq!((usual[1].mbufs, more[1].mbufs), (8191, 16_383));
    }

    #[test]
    fn each_numa_node_with_a_port_has_a_pool() {
        let mut config = config(TWO);
        let by_role = |port: &Port| u32::from(port.role == crate::model::Role::Node);
        let pools = pools_on(&config, by_role);
        assert_eq!(
            pools.iter().map(|pool| pool.socket).collect::<Vec<_>>(),
            [0, 1]
        );
        assert!(pools[0].mbufs >= 4096 + 7016 && pools[1].mbufs >= 768 + 7016);
        config.limits.mbufs = Some(5000);
        assert!(
            pools_on(&config, by_role)
                .iter()
                .all(|pool| pool.mbufs == 5000)
        );
    }

    #[test]
    fn room_is_two_steps_at_least_and_the_headroom() {
        let mut config = config(TWO);
        for (mtu, room) in [(68, 2048), (2022, 2048), (2023, 3072), (16_000, 16_384)] {
            config.port[1].mtu = mtu;
            assert_eq!(pools_on(&config, |_| 0)[0].data_room, room + 128, "{mtu}");
        }
    }
}
