//! What control asks devices: a seam, so that the rest of the appliance knows
//! no DPDK.

/// State of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub up: bool,
    /// Mbit/s, 0 when the device does not know.
    pub speed: u32,
}

/// A device as it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    pub driver: String,
    pub rx_queues: u16,
    pub tx_queues: u16,
    /// What is left to it, and what it leaves, by name.
    pub offloads: Vec<String>,
}

/// Control's handles of the ports, by port index.
pub trait Devices {
    fn link(&self, port: u16) -> Link;
    fn facts(&self, port: u16) -> DeviceFacts;
    /// Counters of the device itself, by name.
    fn counters(&self, port: u16) -> Vec<(String, u64)>;
    /// Facts about memory: pools and how full they are.
    fn pools(&self) -> Vec<PoolFill>;
}

/// Fill of a packet pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolFill {
    pub name: String,
    pub size: u32,
    pub in_use: u32,
}
