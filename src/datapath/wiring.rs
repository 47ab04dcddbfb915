//! The rings between threads: worker to control, control to worker, worker to
//! worker. All are bounded, with one producer and one consumer; a full ring
//! drops by name, and nobody ever waits for the other side.

use std::sync::Arc;

use crossbeam_utils::CachePadded;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::mapping::{Key, NodeIndex};
use crate::siit::rfc7915::Reply;
use crate::wire::{Mac, Vaddr};

use super::counters::Counter;
use super::record::Record;
use super::{Drop, Punt};

/// A packet for the control thread to answer.
#[derive(Debug)]
pub struct Punted<P> {
    pub what: Punt,
    pub port: u16,
    pub packet: P,
}

/// What control should know of a destination. Travels apart from [`Punted`],
/// so that a scan cannot delay neighbour discovery.
#[derive(Debug)]
pub enum Notice<P> {
    /// A packet waits for this.
    Miss {
        why: Drop,
        key: Key,
        node: Option<NodeIndex>,
    },
    /// A packet was dropped and its sender is to be told.
    Refused {
        why: Drop,
        node: NodeIndex,
        mtu: u16,
        packet: P,
    },
    /// The relay dropped a packet; whoever sent it is to be told this, if
    /// anything.
    RelayRefused {
        why: Drop,
        reply: Option<Reply>,
        port: u16,
        packet: P,
    },
    /// A node sent from this hardware address, and none was known.
    NodeSeen { node: NodeIndex, mac: Mac },
    /// A node sends from an address that is not its own, and the packet waits.
    AddressSeen {
        node: NodeIndex,
        address: Vaddr,
        mac: Mac,
    },
    /// A node sends from an address of its own that is watched.
    AddressUsed { node: NodeIndex, address: Vaddr },
}

/// A finished frame for a port.
#[derive(Debug)]
pub struct Outgoing<P> {
    pub port: u16,
    pub packet: P,
}

/// Slots of each kind of ring.
#[derive(Clone, Copy, Debug)]
pub struct RingSizes {
    pub protocol: usize,
    pub notices: usize,
    pub from_control: usize,
    pub handover: usize,
    pub trace: usize,
}

impl Default for RingSizes {
    fn default() -> Self {
        RingSizes {
            protocol: 512,
            notices: 512,
            from_control: 512,
            handover: 1024,
            trace: 1024,
        }
    }
}

/// How full one worker's rings to the others are, by index. Control has an end
/// of every other ring and can look; of these it has none, so the worker that
/// fills them says so now and then.
#[derive(Debug)]
pub struct Handover {
    fills: Vec<CachePadded<Counter>>,
    capacity: usize,
}

impl Handover {
    fn new(workers: usize, capacity: usize) -> Handover {
        Handover {
            fills: (0..workers).map(|_| CachePadded::default()).collect(),
            capacity,
        }
    }

    /// Frames that waited for a worker, as last told.
    pub fn fill(&self, worker: usize) -> u64 {
        self.fills.get(worker).map_or(0, |fill| fill.get())
    }

    /// Places in each of the rings.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

/// A worker's ends.
#[derive(Debug)]
pub struct WorkerEnds<P> {
    pub protocol: Producer<Punted<P>>,
    pub notices: Producer<Notice<P>>,
    pub from_control: Consumer<Outgoing<P>>,
    pub trace: Producer<Record>,
    /// To the other workers, by index; `None` to itself.
    pub to_workers: Vec<Option<Producer<Outgoing<P>>>>,
    pub from_workers: Vec<Consumer<Outgoing<P>>>,
    pub handover: Arc<Handover>,
}

impl<P> WorkerEnds<P> {
    /// Tells how full the rings to other workers are. Reads what their
    /// consumers write, so it is for once in many rounds.
    pub fn tell_fills(&self) {
        for (ring, fill) in self.to_workers.iter().zip(&self.handover.fills) {
            if let Some(ring) = ring {
                fill.set((ring.buffer().capacity() - ring.slots()) as u64);
            }
        }
    }
}

/// Control's ends towards one worker.
#[derive(Debug)]
pub struct ControlEnds<P> {
    pub protocol: Consumer<Punted<P>>,
    pub notices: Consumer<Notice<P>>,
    pub to_worker: Producer<Outgoing<P>>,
    pub trace: Consumer<Record>,
    /// Of the rings from this worker to the others.
    pub handover: Arc<Handover>,
}

/// All rings of an appliance with so many workers.
pub fn wire<P>(workers: usize, sizes: RingSizes) -> (Vec<WorkerEnds<P>>, Vec<ControlEnds<P>>) {
    let mut worker_ends = Vec::with_capacity(workers);
    let mut control_ends = Vec::with_capacity(workers);
    for _ in 0..workers {
        let (protocol, protocol_end) = RingBuffer::new(sizes.protocol);
        let (notices, notices_end) = RingBuffer::new(sizes.notices);
        let (to_worker, from_control) = RingBuffer::new(sizes.from_control);
        let (trace, trace_end) = RingBuffer::new(sizes.trace);
        let handover = Arc::new(Handover::new(workers, sizes.handover));
        worker_ends.push(WorkerEnds {
            protocol,
            notices,
            from_control,
            trace,
            to_workers: (0..workers).map(|_| None).collect(),
            from_workers: Vec::new(),
            handover: handover.clone(),
        });
        control_ends.push(ControlEnds {
            protocol: protocol_end,
            notices: notices_end,
            to_worker,
            trace: trace_end,
            handover,
        });
    }
    for from in 0..workers {
        for to in (0..workers).filter(|&to| to != from) {
            let (producer, consumer) = RingBuffer::new(sizes.handover);
            worker_ends[from].to_workers[to] = Some(producer);
            worker_ends[to].from_workers.push(consumer);
        }
    }
    (worker_ends, control_ends)
}
