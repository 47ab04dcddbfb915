//! Where packets come from and go to.
//!
//! A [`Port`] is one worker's end of a device: the queues it alone holds. The
//! appliance runs on `dpdk`; tests and replays on `memory` and `pcap`.

use arrayvec::ArrayVec;

use crate::packet::{Meta, Packet};

pub use crate::packet::BURST;

#[cfg(feature = "dpdk")]
pub mod dpdk;
pub mod memory;

/// Packets on their way, each with what is known of it.
#[derive(Debug)]
pub struct Burst<P> {
    pub packets: ArrayVec<P, BURST>,
    pub metas: ArrayVec<Meta, BURST>,
}

impl<P> Default for Burst<P> {
    fn default() -> Self {
        Burst {
            packets: ArrayVec::new(),
            metas: ArrayVec::new(),
        }
    }
}

/// One worker's end of a device.
pub trait Port: Send {
    type Packet: Packet;

    /// Fills an empty burst with what has arrived. `metas` carry what the
    /// device says; the worker fills in the port's index.
    fn rx_burst(&mut self, into: &mut Burst<Self::Packet>) -> usize;

    /// Sends from the front; what the device did not take stays.
    fn tx_burst(&mut self, packets: &mut ArrayVec<Self::Packet, BURST>) -> usize;

    /// Whether this worker has a receive queue of the device.
    fn receives(&self) -> bool;

    /// Whether this worker has a transmit queue of the device.
    fn transmits(&self) -> bool;
}

/// Where new packets come from: pieces of larger ones, copies, answers.
pub trait Pool: Send {
    type Packet: Packet;

    /// An empty packet with headroom, or `None` when the pool is exhausted.
    fn alloc(&mut self) -> Option<Self::Packet>;
}
