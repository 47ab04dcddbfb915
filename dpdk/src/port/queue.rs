//! One receive or transmit queue, held by one thread.
//!
//! The handles are `Send`, to be moved into a worker, but neither `Sync` nor
//! `Clone`, and polling takes `&mut self`: two threads cannot poll the same
//! queue, which DPDK forbids. As long as one exists its port is started.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use arrayvec::ArrayVec;
use dpdk_sys as sys;

use super::Shared;
use crate::mbuf::Mbuf;

/// A queue to receive from.
#[derive(Debug)]
pub struct RxQueue {
    handle: Handle,
}

/// A queue to send to.
#[derive(Debug)]
pub struct TxQueue {
    handle: Handle,
}

#[derive(Debug)]
struct Handle {
    // First in the layout, beside each other: all that a burst reads.
    port: u16,
    queue: u16,
    shared: Arc<Shared>,
    _one_thread: PhantomData<Cell<()>>,
}

impl Handle {
    fn new(shared: &Arc<Shared>, queue: u16) -> Self {
        Self {
            port: shared.id,
            queue,
            shared: Arc::clone(shared),
            _one_thread: PhantomData,
        }
    }
}

impl RxQueue {
    pub(super) fn new(shared: &Arc<Shared>, queue: u16) -> Self {
        Self {
            handle: Handle::new(shared, queue),
        }
    }

    /// The number of the port.
    pub fn port(&self) -> u16 {
        self.handle.port
    }

    /// The number of the queue on its port.
    pub fn queue(&self) -> u16 {
        self.handle.queue
    }

    pub fn port_name(&self) -> &str {
        &self.handle.shared.name
    }

    /// Receives as many packets as there are and fit behind those already in
    /// the vector. Never waits. Returns how many were added.
    #[inline]
    pub fn rx_burst<const N: usize>(&mut self, into: &mut ArrayVec<Mbuf, N>) -> usize {
        let held = into.len();
        let room = into.remaining_capacity().min(usize::from(u16::MAX)) as u16;
        // SAFETY: (1) the port is started and has this queue, since the
        // handle exists; (2) `&mut self`: no other thread polls the queue;
        // (3) behind `held` the vector has room for `room` pointers; (4) the
        // first n of them are then valid mbufs that the driver hands over,
        // and Mbuf is a transparent non-null pointer.
        unsafe {
            let end = into.as_mut_ptr().add(held).cast();
            let n = sys::dpdk_sys_rx_burst(self.handle.port, self.handle.queue, end, room);
            let n = usize::from(n);
            into.set_len(held + n);
            n
        }
    }
}

impl TxQueue {
    pub(super) fn new(shared: &Arc<Shared>, queue: u16) -> Self {
        Self {
            handle: Handle::new(shared, queue),
        }
    }

    /// The number of the port.
    pub fn port(&self) -> u16 {
        self.handle.port
    }

    /// The number of the queue on its port.
    pub fn queue(&self) -> u16 {
        self.handle.queue
    }

    pub fn port_name(&self) -> &str {
        &self.handle.shared.name
    }

    /// Sends from the front as many packets as the queue takes. What it does
    /// not take stays in the vector, in order. Returns how many went.
    #[inline]
    pub fn tx_burst<const N: usize>(&mut self, packets: &mut ArrayVec<Mbuf, N>) -> usize {
        let held = packets.len();
        let offered = held.min(usize::from(u16::MAX)) as u16;
        let start = packets.as_mut_ptr();
        // SAFETY: (1) the port is started and has this queue, since the
        // handle exists; (2) `&mut self`: no other thread uses the queue; (3)
        // the first `offered` elements are owned mbufs, of which the driver
        // takes the first n; (4) the vector forgets those n before anything
        // can panic, and moves the rest to the front.
        unsafe {
            let raw = start.cast();
            let n = sys::dpdk_sys_tx_burst(self.handle.port, self.handle.queue, raw, offered);
            let n = usize::from(n);
            packets.set_len(held - n);
            if n < held {
                std::ptr::copy(start.add(n), start, held - n);
            }
            n
        }
    }

    /// Lets the driver check, and complete, packets with offload requests
    /// before they are sent. Returns how many from the front are fit to send;
    /// the next one, if any, is not and would be refused or stop the queue.
    #[inline]
    pub fn prepare(&mut self, packets: &mut [Mbuf]) -> usize {
        let offered = packets.len().min(usize::from(u16::MAX)) as u16;
        // SAFETY: as for tx_burst, except that ownership stays.
        let n = unsafe {
            let raw = packets.as_mut_ptr().cast();
            sys::dpdk_sys_tx_prepare(self.handle.port, self.handle.queue, raw, offered)
        };
        usize::from(n)
    }
}
