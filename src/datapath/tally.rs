//! What the interfaces of routers have passed on, at this host.
//!
//! A walk says which packets went by routers ([`Passage`]); the worker counts
//! them afterwards at each interface on their way. That way is not kept by
//! packet: one router, which is nearly all there is, is two interfaces, and
//! longer ways are followed once more for each destination.
//!
//! Counters belong to an interface, not to a snapshot: they lie behind it, a
//! block for each worker and one for control, and go when the interface does.

use super::authorize::Permitted;
use super::counters::Counter;
use super::results::Results;
use super::route::{self, End};
use super::topology::Topology;
use super::{Exit, Outcome};
use crate::wire::{Vaddr, ethernet};

/// Of one interface, as one thread saw it. Aligned, lest two threads write the
/// same cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct IfaceCounters {
    pub in_packets: Counter,
    pub in_bytes: Counter,
    pub out_packets: Counter,
    pub out_bytes: Counter,
    /// Of those that came in.
    pub dropped: Counter,
}

/// Of one interface. Without blocks nobody counts.
#[derive(Debug, Default)]
pub struct Traffic(Box<[IfaceCounters]>);

/// The same, added up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Totals {
    pub in_packets: u64,
    pub in_bytes: u64,
    pub out_packets: u64,
    pub out_bytes: u64,
    pub dropped: u64,
}

/// Who counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    Worker(u16),
    Control,
}

impl Traffic {
    /// With a block for each worker, and control's behind them.
    pub fn new(workers: usize) -> Traffic {
        Traffic((0..=workers).map(|_| IfaceCounters::default()).collect())
    }

    fn block(&self, by: By) -> Option<&IfaceCounters> {
        match by {
            By::Worker(worker) => self.0.split_last()?.1.get(usize::from(worker)),
            By::Control => self.0.last(),
        }
    }

    pub fn totals(&self) -> Totals {
        let sum = |of: fn(&IfaceCounters) -> &Counter| self.0.iter().map(|it| of(it).get()).sum();
        Totals {
            in_packets: sum(|it| &it.in_packets),
            in_bytes: sum(|it| &it.in_bytes),
            out_packets: sum(|it| &it.out_packets),
            out_bytes: sum(|it| &it.out_bytes),
            dropped: sum(|it| &it.dropped),
        }
    }
}

/// Packets of one node that went the same way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passage {
    /// The interface at which the first router got them.
    pub entry: u32,
    pub way: Along,
    pub packets: u32,
    /// Of their frames.
    pub bytes: u32,
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Along {
    /// Passed on by the first router, out of this interface.
    Out(u32),
    /// As their destination and TTL say, and perhaps not to the end.
    Routes { dst: Vaddr, ttl: u8, sent: bool },
}

/// A packet that a node gave to a router, at the end of its walk. One that waits
/// has not ended.
#[cold]
pub(super) fn walked(
    results: &mut Results,
    entry: u32,
    it: &Permitted<'_>,
    result: &Result<Outcome, Exit>,
) {
    let sent = match result {
        Ok(_) => true,
        Err(Exit::Hold { .. }) => return,
        Err(_) => false,
    };
    let ip = it.ip.header();
    let (dst, ttl) = (ip.dst, ip.ttl);
    results.passed(Passage {
        entry,
        way: Along::Routes { dst, ttl, sent },
        packets: 1,
        bytes: u32::from(ip.total_len) + ethernet::HEADER_LEN as u32,
    });
}

/// Counts a passage at every interface on its way.
pub fn count(topology: &Topology, passage: &Passage, by: By) {
    let (packets, bytes) = (passage.packets.into(), passage.bytes.into());
    let block = |iface: u32| topology.ifaces.get(iface as usize)?.traffic.block(by);
    let came = |iface| {
        if let Some(block) = block(iface) {
            block.in_packets.add(packets);
            block.in_bytes.add(bytes);
        }
    };
    let left = |iface| {
        if let Some(block) = block(iface) {
            block.out_packets.add(packets);
            block.out_bytes.add(bytes);
        }
    };
    let (dst, ttl, sent) = match passage.way {
        Along::Out(iface) => {
            came(passage.entry);
            return left(iface);
        }
        Along::Routes { dst, ttl, sent } => (dst, ttl, sent),
    };
    let mut out_of = None;
    let route = route::passed(topology, (passage.entry, dst, ttl), |at, out| {
        if let Some(out) = out_of.replace(out).flatten() {
            left(out);
        }
        came(at);
    });
    let goes_on = matches!(route.end, End::Connected | End::Node(_));
    if !goes_on {
        came(route.at);
    }
    // To a router behind, or to the node; what ends here has left only those before.
    if (!goes_on || sent)
        && let Some(out) = out_of.flatten()
    {
        left(out);
    }
    if let (false, Some(block)) = (sent || route.end == End::Own, block(route.at)) {
        block.dropped.add(packets);
    }
}

/// Counts what a router says to the sender of a packet, at every interface on
/// the packet's way, backwards.
pub fn count_answer(topology: &Topology, (entry, dst, ttl): (u32, Vaddr, u8), bytes: usize) {
    let block = |iface: u32| {
        topology
            .ifaces
            .get(iface as usize)?
            .traffic
            .block(By::Control)
    };
    let left = |iface| {
        if let Some(block) = block(iface) {
            block.out_packets.add(1);
            block.out_bytes.add(bytes as u64);
        }
    };
    let mut before: Option<(u32, Option<u32>)> = None;
    let back = |(at, out): (u32, Option<u32>)| {
        left(at);
        if let Some(block) = out.and_then(block) {
            block.in_packets.add(1);
            block.in_bytes.add(bytes as u64);
        }
    };
    let route = route::passed(topology, (entry, dst, ttl), |at, out| {
        if let Some(crossed) = before.replace((at, out)) {
            back(crossed);
        }
    });
    // The last one would have passed it on, and speaks instead.
    match (route.end, before) {
        (End::Connected | End::Node(_), _) => {}
        (_, Some(crossed)) => back(crossed),
        (_, None) => {}
    }
    left(route.at);
}
