//! What the interfaces of routers have passed on, at this host.
//!
//! A walk says which packets went by routers ([`Passage`]); the worker counts
//! them afterwards at each interface on their way. That way is not kept by
//! packet: one router, which is nearly all there is, is two interfaces, and
//! longer ways are followed once more for each destination.
//!
//! Counters belong to an interface, not to a snapshot: they lie behind it, a
//! block for control and one for each worker, and go when the interface does.

use std::sync::Arc;

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

/// Of one interface, shared by the snapshots that it is in: control's block and
/// the workers'. Without blocks nobody counts.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<[IfaceCounters]>);

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
    /// With a block for each worker, behind control's.
    pub fn new(workers: usize) -> Traffic {
        Traffic((0..=workers).map(|_| IfaceCounters::default()).collect())
    }

    #[inline(always)]
    fn block(&self, by: By) -> Option<&IfaceCounters> {
        match by {
            By::Control => self.0.first(),
            By::Worker(worker) => self.0.get(usize::from(worker) + 1),
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

/// What is added at the interfaces on a way.
struct Share<'t> {
    topology: &'t Topology,
    by: By,
    packets: u64,
    bytes: u64,
}

impl Share<'_> {
    #[inline(always)]
    fn block(&self, iface: u32) -> Option<&IfaceCounters> {
        let iface = self.topology.ifaces.get(iface as usize)?;
        iface.traffic.block(self.by)
    }

    #[inline(always)]
    fn came(&self, iface: u32) {
        if let Some(block) = self.block(iface) {
            block.in_packets.add(self.packets);
            block.in_bytes.add(self.bytes);
        }
    }

    #[inline(always)]
    fn left(&self, iface: u32) {
        if let Some(block) = self.block(iface) {
            block.out_packets.add(self.packets);
            block.out_bytes.add(self.bytes);
        }
    }
}

/// Counts a passage at every interface on its way, and bytes that the walk did
/// not see.
#[inline(always)]
pub fn count(topology: &Topology, passage: &Passage, more: u32, by: By) {
    let share = Share {
        topology,
        by,
        packets: passage.packets.into(),
        bytes: u64::from(passage.bytes) + u64::from(more),
    };
    match passage.way {
        Along::Out(iface) => {
            share.came(passage.entry);
            share.left(iface);
        }
        Along::Routes { dst, ttl, sent } => count_along(&share, (passage.entry, dst, ttl), sent),
    }
}

/// The same where routes lead.
#[inline(never)]
fn count_along(share: &Share<'_>, (entry, dst, ttl): (u32, Vaddr, u8), sent: bool) {
    let mut out_of = None;
    let route = route::passed(share.topology, (entry, dst, ttl), |at, out| {
        if let Some(out) = out_of.replace(out).flatten() {
            share.left(out);
        }
        share.came(at);
    });
    let goes_on = matches!(route.end, End::Connected | End::Node(_));
    if !goes_on {
        share.came(route.at);
    }
    // To a router behind, or to the node; what ends here has left only those before.
    if (!goes_on || sent)
        && let Some(out) = out_of.flatten()
    {
        share.left(out);
    }
    if let (false, Some(block)) = (sent || route.end == End::Own, share.block(route.at)) {
        block.dropped.add(share.packets);
    }
}

/// Counts what a router says to the sender of a packet, at every interface on
/// the packet's way, backwards.
pub fn count_answer(topology: &Topology, (entry, dst, ttl): (u32, Vaddr, u8), bytes: usize) {
    let share = Share {
        topology,
        by: By::Control,
        packets: 1,
        bytes: bytes as u64,
    };
    let mut before: Option<(u32, Option<u32>)> = None;
    let back = |(at, out): (u32, Option<u32>)| {
        share.left(at);
        if let Some(out) = out {
            share.came(out);
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
    share.left(route.at);
}
