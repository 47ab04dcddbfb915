//! What a worker holds alone, and one round of it: receive, walk, send.
//!
//! This is the path of nearly all packets. What becomes of the others is in
//! [`aside`](super::aside).

use std::sync::Arc;

use arrayvec::ArrayVec;
use crossbeam_utils::CachePadded;

use crate::clock::Clock;
use crate::model::Role;
use crate::packet::{Meta, Packet};
use crate::port::{Burst, Pool, Port};

use super::counters::Counters;
use super::cycles::{Part, Stopwatch};
use super::hold::Holds;
use super::limit::{Limiter, RelayLimit};
use super::plain::{self, Rest, Scratch};
use super::record::{Record, Recorder, Slots};
use super::trace::{self, Tracer};
use super::wiring::{Outgoing, WorkerEnds};
use super::worker::Settings;
use super::{BURST, Context, Drop, Exit, FreshIds, Outcome, Results, relay};

/// What the worker holds alone.
pub(super) struct Lane<Io: Port, Po> {
    pub(super) settings: Settings,
    /// Written with every burst, and so are the packets pending: padded, lest
    /// the neighbour in memory be another worker's.
    pub(super) ports: Vec<CachePadded<Io>>,
    pub(super) pool: Po,
    pub(super) pending: Vec<CachePadded<ArrayVec<Io::Packet, BURST>>>,
    pub(super) ends: WorkerEnds<Io::Packet>,
    pub(super) holds: Holds<Io::Packet>,
    pub(super) punt_limit: Limiter,
    pub(super) dhcp_limit: Limiter,
    pub(super) miss_limit: Limiter,
    pub(super) icmp_limit: Limiter,
    pub(super) flood_limit: Limiter,
    pub(super) group_limit: Limiter,
    pub(super) relay_limit: RelayLimit,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    pub(super) fresh: FreshIds,
    pub(super) next_retry: u64,
    pub(super) slots: Slots,
    pub(super) scratch: Scratch,
}

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Lane<Io, Po> {
    /// `watch` is told of every part, and is `()` for nearly all rounds.
    #[inline(always)]
    pub(super) fn round<W: Stopwatch>(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        now: u64,
        watch: &mut W,
    ) -> usize {
        let mut moved = 0;
        for port in 0..self.ports.len() {
            if self.ports[port].receives() {
                moved += self.receive(cx, burst, port as u16, now, watch);
            }
        }
        moved += self.take_over();
        moved += self.send_for_control();
        if !self.holds.is_empty() {
            self.retry(cx, now);
        }
        watch.ended(Part::Round, 0);
        self.flush();
        watch.ended(Part::Send, 0);
        moved
    }

    /// One burst of one port, through the walk its role asks for.
    fn receive<W: Stopwatch>(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        port: u16,
        now: u64,
        watch: &mut W,
    ) -> usize {
        let n = self.ports[usize::from(port)].rx_burst(burst);
        if n == 0 {
            watch.ended(Part::Round, 0);
            return 0;
        }
        self.counters.cycles.burst(n);
        let bytes: usize = burst.packets.iter().map(Packet::total_len).sum();
        for meta in &mut burst.metas {
            meta.port = port;
        }
        self.counters.rx.add(n as u64);
        let counters = &self.counters.ports[usize::from(port)];
        counters.rx_packets.add(n as u64);
        counters.rx_bytes.add(bytes as u64);
        if cx.topology.learning {
            self.learn(cx, burst, now);
        }
        watch.ended(Part::Receive, n);
        if burst.unfinished {
            self.receive_unfinished(cx, burst, now);
            watch.walked(n);
            return n;
        }
        let cx = &Context {
            fresh: self.fresh,
            ..*cx
        };
        let results = self.walk_any(cx, burst, now, watch);
        if !results.passages().is_empty() {
            self.tally(cx, &results, 0);
        }
        self.fresh.advance(n);
        self.finish(cx, burst, &results, now);
        watch.ended(Part::Send, 0);
        n
    }

    /// The effects of a burst's walk. Leaves the burst empty.
    fn finish(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        results: &Results,
        now: u64,
    ) {
        // Nearly always: a whole burst by one port that nothing waits for yet.
        if let Some(port) = results.only_port(burst.packets.len())
            && let Some(pending) = self.pending.get_mut(usize::from(port))
            && pending.is_empty()
        {
            std::mem::swap(&mut **pending, &mut burst.packets);
            return burst.metas.clear();
        }
        for (i, packet) in burst.packets.drain(..).enumerate() {
            match results.port(i) {
                Some(port) => self.send(port, packet),
                None => self.apply(cx, packet, burst.metas[i], results.get(i), now),
            }
        }
        burst.metas.clear();
    }

    /// The walk, seen by whoever watches.
    #[inline(always)]
    pub(super) fn walk_any<M: plain::Meter>(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        now: u64,
        meter: &mut M,
    ) -> Results {
        if cx.topology.watch.is_empty() {
            let scratch = &mut self.scratch;
            walk_plain(cx, &mut burst.packets, &burst.metas, scratch, meter)
        } else {
            let results = self.walk_watched(cx, burst, now);
            meter.walked(burst.packets.len());
            results
        }
    }

    #[cold]
    fn walk_watched(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        now: u64,
    ) -> Results {
        let (ring, lost) = (&mut self.ends.trace, &self.counters.trace_lost);
        let sink = |record: &Record| {
            if ring.push(record.clone()).is_err() {
                lost.add(1);
            }
        };
        let who = (self.settings.index, now);
        let mut recorder =
            Recorder::new(cx.topology, &cx.topology.watch, &mut self.slots, who, sink);
        walk(cx, &mut burst.packets, &burst.metas, &mut recorder)
    }

    /// The effects of one packet's walk.
    pub(super) fn apply(
        &mut self,
        cx: &Context<'_>,
        packet: Io::Packet,
        meta: Meta,
        result: Result<Outcome, Exit>,
        now: u64,
    ) {
        if !meta.offload.is_none() {
            return self.apply_unfinished(cx, packet, meta, result, now);
        }
        match result {
            Ok(Outcome::Send {
                port,
                options_removed,
            }) => {
                if options_removed {
                    self.counters.options_removed.add(1);
                }
                self.send(port, packet);
            }
            Err(Exit::Pass { port }) => self.send(port, packet),
            Ok(Outcome::Split(cut)) => self.split(cx, &packet, cut),
            Ok(Outcome::Cut(cut)) => self.cut(cx, packet, meta, cut, now),
            Err(Exit::Drop(why) | Exit::Foreign { why }) => self.counters.count(why),
            Err(Exit::Refuse { why, node, mtu }) => {
                self.counters.count(why);
                self.refuse(packet, why, node, mtu, now);
            }
            Err(Exit::Tell { why, reply }) => {
                self.counters.count(why);
                self.tell_sender(cx, packet, &meta, (why, reply), now);
            }
            Err(Exit::Punt(what)) => self.punt(packet, &meta, what, now),
            Err(Exit::Fan(whence)) => self.fan(cx, packet, whence, now),
            Err(Exit::Hold { why, key, whose }) => {
                self.hold(cx, packet, meta, (why, key, whose), now);
            }
        }
    }

    #[inline]
    pub(super) fn send(&mut self, port: u16, packet: Io::Packet) {
        let index = usize::from(port);
        let Some(pending) = self.pending.get_mut(index) else {
            return self.counters.count(Drop::TxFull);
        };
        if pending.is_full() {
            self.flush_port(index);
        }
        // A flush always makes room: what the device refuses is dropped.
        if self.pending[index].try_push(packet).is_err() {
            self.counters.count(Drop::TxFull);
        }
    }

    /// Packets that have left by a port or for another worker.
    pub(super) fn sent(&self) -> u64 {
        self.counters.tx.get() + self.counters.handed_over.get()
    }

    fn flush(&mut self) {
        for port in 0..self.pending.len() {
            if !self.pending[port].is_empty() {
                self.flush_port(port);
            }
        }
    }

    pub(super) fn flush_port(&mut self, port: usize) {
        if !self.ports[port].transmits() {
            return self.hand_over(port);
        }
        let pending = &mut self.pending[port];
        let counters = &self.counters.ports[port];
        while !pending.is_empty() {
            let bytes: usize = pending.iter().map(Packet::total_len).sum();
            let sent = self.ports[port].tx_burst(pending);
            let left: usize = pending.iter().map(Packet::total_len).sum();
            counters.tx_packets.add(sent as u64);
            counters.tx_bytes.add((bytes - left) as u64);
            self.counters.tx.add(sent as u64);
            if sent == 0 {
                self.counters.drops[Drop::TxFull as usize].add(pending.len() as u64);
                pending.clear();
            }
        }
    }

    /// Gives finished frames to the worker that owns the port's queue.
    fn hand_over(&mut self, port: usize) {
        let owner = self.settings.transmitter.get(port).copied().unwrap_or(0);
        let ring = self
            .ends
            .to_workers
            .get_mut(usize::from(owner))
            .and_then(Option::as_mut);
        let Some(ring) = ring else {
            self.counters.drops[Drop::HandoffFull as usize].add(self.pending[port].len() as u64);
            return self.pending[port].clear();
        };
        for packet in self.pending[port].drain(..) {
            match ring.push(Outgoing {
                port: port as u16,
                packet,
            }) {
                Ok(()) => self.counters.handed_over.add(1),
                Err(_) => self.counters.count(Drop::HandoffFull),
            }
        }
    }

    fn take_over(&mut self) -> usize {
        let mut taken = 0;
        for from in 0..self.ends.from_workers.len() {
            for _ in 0..BURST {
                let Ok(out) = self.ends.from_workers[from].pop() else {
                    break;
                };
                taken += 1;
                self.send(out.port, out.packet);
            }
        }
        self.counters.taken_over.add(taken as u64);
        taken
    }

    fn send_for_control(&mut self) -> usize {
        let mut sent = 0;
        while sent < BURST {
            let Ok(out) = self.ends.from_control.pop() else {
                break;
            };
            sent += 1;
            self.send(out.port, out.packet);
        }
        self.counters.from_control.add(sent as u64);
        sent
    }

    pub(super) fn shut_down(&mut self) {
        let mut ended = 0;
        while self.holds.take().is_some() {
            ended += 1;
        }
        self.counters.held.set(0);
        for ring in &mut self.ends.from_workers {
            while ring.pop().is_ok() {
                self.counters.taken_over.add(1);
                ended += 1;
            }
        }
        self.flush();
        self.counters.drops[Drop::Shutdown as usize].add(ended);
    }
}

/// The walk of packets that came in by one port.
pub fn walk<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let mut results = Results::default();
    let these = Rest::all(packets.len());
    match role_of(cx, metas) {
        Some((Role::Node, _)) => {
            super::outbound(cx, packets, metas, these, tracer, &mut results);
        }
        Some((Role::Uplink, _)) => {
            super::inbound(cx, packets, metas, these, tracer, &mut results);
        }
        Some((Role::Relay4, _)) => return relay::to_ipv6(cx, packets, metas, tracer),
        Some((Role::Relay6, _)) => return relay::to_ipv4(cx, packets, metas, tracer),
        // What a routing daemon sends leaves by its uplink as it is.
        Some((Role::Exception, Some(uplink))) => {
            return packets
                .iter()
                .map(|_| Err(Exit::Pass { port: uplink }))
                .collect();
        }
        _ => {
            return packets
                .iter()
                .map(|_| Err(Drop::UnknownNode.into()))
                .collect();
        }
    }
    results
}

/// The same when nobody watches: the [plain path](plain) first, and the walk
/// for what it leaves.
#[inline(never)]
pub fn walk_plain<P: Packet, M: plain::Meter>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    scratch: &mut Scratch,
    meter: &mut M,
) -> Results {
    let mut results = Results::default();
    let off = &mut trace::Off;
    match role_of(cx, metas) {
        Some((Role::Node, _)) => {
            let rest = plain::outbound(cx, packets, metas, scratch, &mut results, meter);
            if !rest.is_empty() {
                super::outbound(cx, packets, metas, rest, off, &mut results);
                meter.walked(rest.len());
            }
        }
        Some((Role::Uplink, _)) => {
            let rest = plain::inbound(cx, packets, metas, scratch, &mut results, meter);
            if !rest.is_empty() {
                super::inbound(cx, packets, metas, rest, off, &mut results);
                meter.walked(rest.len());
            }
        }
        _ => {
            // By itself: nothing is to be copied.
            let walked = walk(cx, packets, metas, off);
            meter.walked(packets.len());
            return walked;
        }
    }
    results
}

/// What the port is for that the packets came in by, and where its other
/// traffic goes.
fn role_of(cx: &Context<'_>, metas: &[Meta]) -> Option<(Role, Option<u16>)> {
    let port = cx.topology.port(metas.first()?.port)?;
    Some((port.role, port.exception))
}
