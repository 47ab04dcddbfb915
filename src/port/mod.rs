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
pub mod spread;

/// Packets on their way, each with what is known of it.
#[derive(Debug)]
pub struct Burst<P> {
    pub packets: ArrayVec<P, BURST>,
    pub metas: ArrayVec<Meta, BURST>,
    /// Whether any of them has something left to be done
    /// ([`Meta::offload`]): what decides for the whole burst.
    pub unfinished: bool,
}

impl<P> Default for Burst<P> {
    fn default() -> Self {
        Burst {
            packets: ArrayVec::new(),
            metas: ArrayVec::new(),
            unfinished: false,
        }
    }
}

/// What a device does to the packets it sends, as far as it is used here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Completes the checksum of TCP.
    pub tcp_checksum: bool,
    /// Completes the checksum of UDP.
    pub udp_checksum: bool,
    /// Completes the header checksum of IPv4.
    pub ipv4_checksum: bool,
    /// Cuts TCP into segments.
    pub tcp_segments: bool,
    /// Sends packets of as many segments of memory as this; 1 or less: of one.
    pub scattered: u16,
}

/// A device will not do what a packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// One worker's end of a device.
pub trait Port: Send {
    type Packet: Packet;

    /// Fills an empty burst with what has arrived. `metas` carry what the
    /// device says, of which `unfinished` is the sum; the worker fills in the
    /// port's index.
    fn rx_burst(&mut self, into: &mut Burst<Self::Packet>) -> usize;

    /// Sends from the front; what the device did not take stays.
    fn tx_burst(&mut self, packets: &mut ArrayVec<Self::Packet, BURST>) -> usize;

    /// What may be asked of the device.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Lets the device look at a packet with a request, and fit it to what
    /// its hardware wants, before it is sent.
    fn prepare(&mut self, _packet: &mut Self::Packet) -> Result<(), Refused> {
        Err(Refused)
    }

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
