//! The rings between threads: worker to control, control to worker, worker to
//! worker. All are bounded, with one producer and one consumer; a full ring
//! drops by name, and nobody ever waits for the other side.

use rtrb::{Consumer, Producer, RingBuffer};

use crate::mapping::{Key, NodeIndex};

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
    /// A node sent from this hardware address, and none was known.
    NodeSeen {
        node: NodeIndex,
        mac: crate::wire::Mac,
    },
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
}

/// Control's ends towards one worker.
#[derive(Debug)]
pub struct ControlEnds<P> {
    pub protocol: Consumer<Punted<P>>,
    pub notices: Consumer<Notice<P>>,
    pub to_worker: Producer<Outgoing<P>>,
    pub trace: Consumer<Record>,
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
        worker_ends.push(WorkerEnds {
            protocol,
            notices,
            from_control,
            trace,
            to_workers: (0..workers).map(|_| None).collect(),
            from_workers: Vec::new(),
        });
        control_ends.push(ControlEnds {
            protocol: protocol_end,
            notices: notices_end,
            to_worker,
            trace: trace_end,
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
