//! Ports that come and go while workers run.
//!
//! Control opens a device, publishes the snapshot that knows it, and only then
//! hands each worker its queues, by a ring of its own. Taking a port away is
//! the same with no queues: what the worker had goes back to control, which
//! closes the device when the last worker has given up its part. Workers look
//! at that ring once in many rounds; nobody waits, and other ports never stop.
//!
//! A port has a *slot*, its number everywhere. Room for as many as there can
//! ever be is taken at the start, so that a worker allocates nothing here.

use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::port::{Pool, Port};

use super::lane::Lane;

/// Ports that there can be beyond those of the start.
pub const SPARE: usize = 64;

/// What a worker is to have in a slot from now on.
#[derive(Debug)]
pub struct Swap<Io> {
    pub slot: u16,
    pub io: Io,
    /// The worker that transmits on the port for this one.
    pub transmitter: u16,
    /// Names the swap when the queues that were there before come back.
    pub ticket: u32,
}

/// A worker's ends.
#[derive(Debug)]
pub struct PortEnds<Io> {
    wanted: Consumer<Swap<Io>>,
    back: Producer<(u32, Io)>,
}

/// Control's ends towards one worker.
#[derive(Debug)]
pub struct PortHandles<Io> {
    pub to_worker: Producer<Swap<Io>>,
    pub back: Consumer<(u32, Io)>,
}

/// Rings for so many workers and slots. A slot can have one swap of each sort
/// on its way, so they are never full.
pub fn rings<Io>(workers: usize, slots: usize) -> (Vec<PortEnds<Io>>, Vec<PortHandles<Io>>) {
    let pair = |_| {
        let (to_worker, wanted) = RingBuffer::new(2 * slots);
        let (back, returned) = RingBuffer::new(2 * slots);
        let handles = PortHandles {
            to_worker,
            back: returned,
        };
        (PortEnds { wanted, back }, handles)
    };
    (0..workers).map(pair).unzip()
}

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Lane<Io, Po> {
    /// Does what control wants of the ports.
    #[cold]
    pub(super) fn swap_ports(&mut self, ends: &mut PortEnds<Io>) {
        while let Ok(swap) = ends.wanted.pop() {
            let ticket = swap.ticket;
            if let Some(old) = self.swap_port(swap) {
                // Rings have room for all slots.
                let _ = ends.back.push((ticket, old));
            }
        }
    }

    /// Puts queues into a slot, and returns those that were there. What waits
    /// for the old ones is sent first.
    fn swap_port(&mut self, swap: Swap<Io>) -> Option<Io> {
        let slot = usize::from(swap.slot);
        if let Some(counters) = self.counters.ports.get(slot) {
            // A new port counts from nothing; this worker is the one that writes.
            if swap.io.receives() || swap.io.transmits() {
                for counter in [
                    &counters.rx_packets,
                    &counters.rx_bytes,
                    &counters.tx_packets,
                    &counters.tx_bytes,
                ] {
                    counter.set(0);
                }
            }
        }
        if slot < self.ports.len() {
            if !self.pending[slot].is_empty() {
                self.flush_port(slot);
            }
            self.settings.transmitter[slot] = swap.transmitter;
            let old = std::mem::replace(&mut self.ports[slot], CachePadded::new(swap.io));
            return Some(old.into_inner());
        }
        let room = self.ports.capacity().min(self.pending.capacity());
        // Control gives out slots in order, and no more than there is room for.
        if slot > self.ports.len() || slot >= room {
            return Some(swap.io);
        }
        self.ports.push(CachePadded::new(swap.io));
        self.pending.push(CachePadded::default());
        self.settings.transmitter.push(swap.transmitter);
        None
    }
}
