//! What control asks devices: a seam, so that the rest of the appliance knows
//! no DPDK.

use crate::config::Config;
use crate::wire::Mac;

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

    /// Opens the device of a port of the file, to be the one of this slot;
    /// returns its address, or why it cannot be had.
    fn open(&mut self, config: &Config, index: usize, slot: u16) -> Result<Mac, String>;
    /// Gives up the device of a slot. It closes when no worker has part in it.
    fn close(&mut self, slot: u16);
    /// Whether nothing is left of the device that a slot had.
    fn is_free(&self, slot: u16) -> bool;
    /// Workers' snapshot knows what was opened, and no longer what was closed.
    fn hand_out(&mut self);
    /// Closes what workers have given up.
    fn collect(&mut self);
}

/// Fill of a packet pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolFill {
    pub name: String,
    pub size: u32,
    pub in_use: u32,
}
