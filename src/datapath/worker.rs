//! A worker: one thread, one core, its own queues of every port.
//!
//! # Who may touch what
//!
//! The *main thread* is control: it owns the one mapping writer, compiles
//! topology snapshots, answers what is punted. *Workers* are EAL threads that
//! never lock, never allocate, never make a system call between receiving and
//! sending (a sleeping worker of `idle = "backoff"` has nothing received), and
//! never write memory that another worker writes.
//!
//! What a worker holds alone: its queues, its waiting packets, its rate
//! limits, its transmit buffers, its counters (others read them).
//!
//! What crosses threads:
//! - the mapping table and the topology, read through one [`Participant`]: all
//!   references end with the round, then a release store reports a quiescent
//!   state, and control may free what it replaced. A sleeping worker is
//!   offline, so control never waits for it;
//! - bounded rings to control (packets to answer; notices) and back, see
//!   [`wiring`](super::wiring);
//! - one ring per ordered pair of workers for frames whose port another
//!   worker transmits on. Full rings drop by name.
//!
//! # On reconfiguration
//!
//! Control publishes a new snapshot; a worker takes it at its next round. A
//! burst sees one snapshot from beginning to end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::clock::Clock;
use crate::mapping::{Key, NodeIndex, Participant, Reader, Subscriber};
use crate::model::Role;
use crate::packet::{Meta, Packet};
use crate::port::{Burst, Pool, Port};
use crate::wire::{ethernet, icmpv6, ipv6, protocol};

use super::classify;
use super::counters::Counters;
use super::fragment::Cutting;
use super::hold::{Held, HoldLimits, Holds, Waiting};
use super::limit::Limiter;
use super::record::{Record, Recorder, Slots};
use super::rewrite::Cut;
use super::topology::Topology;
use super::trace::{self, Tracer};
use super::wiring::{Notice, Outgoing, Punted, WorkerEnds};
use super::{BURST, Context, Drop, Exit, FreshIds, Outcome, Party, Punt, Results};

/// What a worker does when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Ask again: for cores that do nothing else.
    Poll,
    /// Pause, then sleep a little: for shared machines.
    Backoff,
}

/// What a worker is made of, besides its ports and rings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub index: u16,
    pub workers: u16,
    pub idle: Idle,
    pub holds: HoldLimits,
    /// Most nodes there can be: one bucket of each limiter for each.
    pub nodes: usize,
    /// Packets a second that one node, or one port, may send to control.
    pub punt_rate: u32,
    /// Unknown addresses a second that control is told of for one node.
    pub miss_rate: u32,
    /// Dropped packets a second whose sender is told by ICMP.
    pub icmp_rate: u32,
    /// By port: the worker that transmits on it for this one (itself, mostly).
    pub transmitter: Vec<u16>,
}

/// One worker, ready to run.
pub struct Worker<Io: Port, Po> {
    view: View,
    lane: Lane<Io, Po>,
}

/// The shared state, as one worker reads it.
#[derive(Debug)]
pub struct View {
    pub topology: Subscriber<Topology>,
    pub mappings: Reader,
    pub participant: Participant,
}

/// What the worker holds alone.
struct Lane<Io: Port, Po> {
    settings: Settings,
    ports: Vec<Io>,
    pool: Po,
    pending: Vec<ArrayVec<Io::Packet, BURST>>,
    ends: WorkerEnds<Io::Packet>,
    holds: Holds<Io::Packet>,
    punt_limit: Limiter,
    miss_limit: Limiter,
    icmp_limit: Limiter,
    counters: Arc<Counters>,
    clock: Clock,
    fresh: FreshIds,
    next_retry: u64,
    burst: Burst<Io::Packet>,
    slots: Slots,
}

/// How often waiting packets are tried again.
const RETRY: Duration = Duration::from_millis(1);
/// How many of them in one round.
const RETRIES: usize = 2 * BURST;

impl<Io: Port, Po> fmt::Debug for Worker<Io, Po> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("settings", &self.lane.settings)
            .finish_non_exhaustive()
    }
}

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Worker<Io, Po> {
    pub fn new(
        settings: Settings,
        view: View,
        ports: Vec<Io>,
        pool: Po,
        ends: WorkerEnds<Io::Packet>,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> Worker<Io, Po> {
        let buckets = settings.nodes + 2 * ports.len();
        let limiter = |rate: u32| Limiter::new(buckets, rate, rate.max(BURST as u32), clock.hz());
        Worker {
            lane: Lane {
                pending: ports.iter().map(|_| ArrayVec::new()).collect(),
                holds: Holds::new(settings.holds),
                punt_limit: limiter(settings.punt_rate),
                miss_limit: limiter(settings.miss_rate),
                icmp_limit: Limiter::new(
                    buckets,
                    settings.icmp_rate,
                    settings.icmp_rate,
                    clock.hz(),
                ),
                fresh: FreshIds::new(settings.index, settings.workers),
                next_retry: 0,
                burst: Burst::default(),
                slots: Slots::default(),
                settings,
                ports,
                pool,
                ends,
                counters,
                clock,
            },
            view,
        }
    }

    /// Works until told to stop, then gives back what it held.
    pub fn run(mut self, stop: &AtomicBool) {
        let mut empty_rounds = 0u32;
        while !stop.load(Ordering::Relaxed) {
            if self.round() > 0 {
                empty_rounds = 0;
                continue;
            }
            empty_rounds = empty_rounds.saturating_add(1);
            if self.lane.settings.idle == Idle::Backoff {
                self.back_off(empty_rounds);
            }
        }
        self.lane.shut_down();
    }

    /// Once around all queues and rings. Returns how many packets moved.
    pub fn round(&mut self) -> usize {
        let started = self.lane.clock.now();
        let pin = &self.view.participant;
        let cx = Context {
            topology: self.view.topology.get(pin),
            mappings: &self.view.mappings,
            pin,
            seconds: self.lane.clock.seconds(started),
            fresh: self.lane.fresh,
        };
        let moved = self.lane.round(&cx, started);
        self.view.participant.quiescent();
        let spent = self.lane.clock.now().wrapping_sub(started);
        let counters = &self.lane.counters;
        counters.rounds.add(1);
        if moved > 0 {
            counters.busy_rounds.add(1);
            counters.busy_cycles.add(spent);
        } else {
            counters.idle_cycles.add(spent);
        }
        moved
    }

    /// Spins a little, then sleeps: long enough to leave the core to others,
    /// short enough not to be felt.
    fn back_off(&mut self, empty_rounds: u32) {
        if empty_rounds < 64 {
            std::hint::spin_loop();
            return;
        }
        let before = self.lane.clock.now();
        self.view.participant.offline();
        std::thread::sleep(Duration::from_micros(if empty_rounds < 1024 {
            50
        } else {
            200
        }));
        self.view.participant.online();
        self.lane
            .counters
            .idle_cycles
            .add(self.lane.clock.now().wrapping_sub(before));
    }

    pub fn counters(&self) -> &Counters {
        &self.lane.counters
    }
}

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Lane<Io, Po> {
    fn round(&mut self, cx: &Context<'_>, now: u64) -> usize {
        let mut moved = 0;
        for port in 0..self.ports.len() {
            if self.ports[port].receives() {
                moved += self.receive(cx, port as u16, now);
            }
        }
        moved += self.take_over();
        moved += self.send_for_control();
        if !self.holds.is_empty() && now >= self.next_retry {
            self.next_retry = now + self.clock.ticks(RETRY);
            self.retry(cx, now);
        }
        self.flush();
        moved
    }

    /// One burst of one port, through the walk its role asks for.
    fn receive(&mut self, cx: &Context<'_>, port: u16, now: u64) -> usize {
        let mut burst = std::mem::take(&mut self.burst);
        let n = self.ports[usize::from(port)].rx_burst(&mut burst);
        if n > 0 {
            let bytes: usize = burst.packets.iter().map(Packet::total_len).sum();
            for meta in &mut burst.metas {
                meta.port = port;
            }
            self.counters.rx.add(n as u64);
            let counters = &self.counters.ports[usize::from(port)];
            counters.rx_packets.add(n as u64);
            counters.rx_bytes.add(bytes as u64);
            self.walk(cx, &mut burst, now);
        }
        self.burst = burst;
        n
    }

    /// Takes the walk that fits the port the burst came in by.
    fn walk(&mut self, cx: &Context<'_>, burst: &mut Burst<Io::Packet>, now: u64) {
        if cx.topology.learning {
            self.learn(cx, burst, now);
        }
        let cx = &Context {
            fresh: self.fresh,
            ..*cx
        };
        let results = if cx.topology.watch.is_empty() {
            take_walk(cx, burst, &mut trace::Off)
        } else {
            self.walk_watched(cx, burst, now)
        };
        self.fresh.advance(burst.packets.len());
        for ((packet, meta), result) in burst
            .packets
            .drain(..)
            .zip(burst.metas.drain(..))
            .zip(results)
        {
            self.apply(cx, packet, meta, result, now);
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
        take_walk(cx, burst, &mut recorder)
    }

    /// The effects of one packet's walk.
    fn apply(
        &mut self,
        cx: &Context<'_>,
        packet: Io::Packet,
        meta: Meta,
        result: Result<Outcome, Exit>,
        now: u64,
    ) {
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
            Err(Exit::Drop(why)) => self.counters.count(why),
            Err(Exit::Refuse { why, node, mtu }) => {
                self.counters.count(why);
                self.refuse(packet, why, node, mtu, now);
            }
            Err(Exit::Punt(what)) => self.punt(packet, &meta, what, now),
            Err(Exit::Hold { why, key, whose }) => {
                match self.holds.put(packet, meta, (why, key, whose), now) {
                    Ok(Waiting::First) => self.tell_miss(why, key, whose, meta.port, now),
                    Ok(Waiting::Further) => {}
                    Err((_, Drop::HoldFull)) => self.counters.count(Drop::HoldFull),
                    Err((packet, why)) => {
                        self.apply(cx, packet, meta, Err(end_of_wait(why, whose)), now);
                    }
                }
                self.counters.held.set(self.holds.len() as u64);
            }
        }
    }

    /// Asks control for what a packet waits for, unless its node asks too much.
    fn tell_miss(&mut self, why: Drop, key: Key, whose: Party, port: u16, now: u64) {
        let node = match whose {
            Party::Node(node) => Some(node),
            Party::Host(_) => None,
        };
        let bucket = node.map_or(self.settings.nodes + usize::from(port), NodeIndex::index);
        let notice = Notice::Miss { why, key, node };
        if !self.miss_limit.allow(bucket, now) || self.ends.notices.push(notice).is_err() {
            self.counters.miss_lost.add(1);
        }
    }

    fn send(&mut self, port: u16, packet: Io::Packet) {
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

    fn flush(&mut self) {
        for port in 0..self.pending.len() {
            if !self.pending[port].is_empty() {
                self.flush_port(port);
            }
        }
    }

    fn flush_port(&mut self, port: usize) {
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

    fn split(&mut self, cx: &Context<'_>, packet: &Io::Packet, cut: Cut) {
        let mut cutting = Cutting::new(cx, packet, cut);
        let mut pieces = 0;
        while let Some(piece) = cutting.next(&mut self.pool) {
            match piece {
                Ok((port, piece)) => {
                    pieces += 1;
                    self.send(port, piece);
                }
                // What was sent is of no use to the receiver, and costs it
                // only a reassembly timer.
                Err(why) => {
                    self.counters.count(why);
                    return self.counters.generated.add(pieces);
                }
            }
        }
        self.counters.fragmented.add(1);
        if cutting.removes_options() {
            self.counters.options_removed.add(1);
        }
        self.counters.generated.add(pieces.saturating_sub(1));
    }

    fn punt(&mut self, packet: Io::Packet, meta: &Meta, what: Punt, now: u64) {
        let bucket = match what {
            Punt::Arp { node } => node.index(),
            Punt::Substrate | Punt::SubstrateError => {
                // Pings and errors have a bucket apart, so that no flood of
                // them silences neighbour discovery.
                let other = usize::from(!is_neighbor_discovery(&packet));
                self.settings.nodes + 2 * usize::from(meta.port) + other
            }
        };
        if !self.punt_limit.allow(bucket, now) {
            return self.counters.count(Drop::PuntLimited);
        }
        let punted = Punted {
            what,
            port: meta.port,
            packet,
        };
        match self.ends.protocol.push(punted) {
            Ok(()) => self.counters.punted.add(1),
            Err(_) => self.counters.count(Drop::PuntFull),
        }
    }

    /// Tells control of nodes whose hardware address was not known.
    #[cold]
    fn learn(&mut self, cx: &Context<'_>, burst: &Burst<Io::Packet>, now: u64) {
        for (packet, meta) in burst.packets.iter().zip(&burst.metas) {
            let Some(link) = ethernet::Header::parse(packet.head()) else {
                continue;
            };
            let vlan = classify::tag(&link, meta);
            let nodes = cx.topology.port(meta.port).map(|port| &port.nodes);
            let node = nodes
                .zip(vlan)
                .and_then(|(nodes, vlan)| nodes.find(vlan, link.source));
            let Some(node) = node else {
                continue;
            };
            let unknown = cx
                .topology
                .node(node)
                .is_some_and(|record| record.mac.is_none());
            if unknown && link.source.is_unicast() && self.miss_limit.allow(node.index(), now) {
                let notice = Notice::NodeSeen {
                    node,
                    mac: link.source,
                };
                if self.ends.notices.push(notice).is_err() {
                    self.counters.miss_lost.add(1);
                }
            }
        }
    }

    fn refuse(&mut self, packet: Io::Packet, why: Drop, node: NodeIndex, mtu: u16, now: u64) {
        if !self.icmp_limit.allow(node.index(), now) {
            return;
        }
        match self.ends.notices.push(Notice::Refused {
            why,
            node,
            mtu,
            packet,
        }) {
            Ok(()) => self.counters.refused.add(1),
            Err(_) => self.counters.miss_lost.add(1),
        }
    }

    /// Lets waiting packets walk again, oldest first.
    fn retry(&mut self, cx: &Context<'_>, now: u64) {
        for _ in 0..RETRIES.min(self.holds.len()) {
            let Some(mut held) = self.holds.take() else {
                break;
            };
            let ended = held.deadline <= now;
            if !ended && self.holds.is_behind(&held) {
                self.holds.keep(held);
                continue;
            }
            match self.walk_again(cx, &mut held, ended, now) {
                Err(Exit::Hold { why, key, whose }) if !ended => {
                    // It has its mapping and lacks the node's address, say.
                    if why != held.why {
                        self.tell_miss(why, key, whose, held.meta.port, now);
                        held.why = why;
                    }
                    self.holds.keep(held);
                }
                Err(Exit::Hold { why, whose, .. }) => {
                    self.holds.refuse(held.key, now);
                    let end = Err(end_of_wait(why, whose));
                    self.apply(cx, held.packet, held.meta, end, now);
                }
                result => self.apply(cx, held.packet, held.meta, result, now),
            }
        }
        self.counters.held.set(self.holds.len() as u64);
    }

    /// One walk of a waiting packet. Who watches it sees the last one.
    fn walk_again(
        &mut self,
        cx: &Context<'_>,
        held: &mut Held<Io::Packet>,
        ended: bool,
        now: u64,
    ) -> Result<Outcome, Exit> {
        let cx = &Context {
            fresh: self.fresh,
            ..*cx
        };
        self.fresh.advance(1);
        let (packet, metas) = (std::slice::from_mut(&mut held.packet), &[held.meta]);
        let nothing = || Err(Drop::UnknownNode.into());
        if cx.topology.watch.is_empty() {
            return walk_of(cx, packet, metas, &mut trace::Off)
                .pop()
                .unwrap_or_else(nothing);
        }
        let (ring, lost) = (&mut self.ends.trace, &self.counters.trace_lost);
        let sink = |record: &Record| {
            let waits = matches!(record.result, Some(Err(Exit::Hold { .. })));
            if !waits && ring.push(record.clone()).is_err() {
                lost.add(1);
            }
        };
        let who = (self.settings.index, now);
        let mut recorder =
            Recorder::new(cx.topology, &cx.topology.watch, &mut self.slots, who, sink);
        let result = walk_of(cx, packet, metas, &mut recorder)
            .pop()
            .unwrap_or_else(nothing);
        if let (true, Err(Exit::Hold { why, whose, .. })) = (ended, result) {
            recorder.done(0, &held.packet, &Err(end_of_wait(why, whose)));
        }
        result
    }

    fn shut_down(&mut self) {
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

/// What becomes of a packet that waited in vain: its node is told, if it was
/// the one that sent it.
fn end_of_wait(why: Drop, whose: Party) -> Exit {
    match (why, whose) {
        (Drop::NoMapping | Drop::Expired, Party::Node(node)) => Exit::Refuse { why, node, mtu: 0 },
        _ => Exit::Drop(why),
    }
}

/// Whether an IPv6 frame is of the messages without which a link is dead. No
/// router passes them on (RFC 4861 section 3.1), so a flood of them comes from
/// the link itself.
fn is_neighbor_discovery<P: Packet>(packet: &P) -> bool {
    let head = packet.head();
    let rest = ethernet::Header::parse(head).and_then(|link| head.get(link.len..));
    rest.is_some_and(|rest| {
        let kind = rest.get(ipv6::HEADER_LEN + icmpv6::field::TYPE);
        rest.get(ipv6::field::NEXT_HEADER) == Some(&protocol::ICMPV6)
            && rest.get(ipv6::field::HOP_LIMIT) == Some(&255)
            && matches!(kind, Some(133..=137))
    })
}

fn take_walk<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    burst: &mut Burst<P>,
    tracer: &mut T,
) -> Results {
    walk_of(cx, &mut burst.packets, &burst.metas, tracer)
}

/// The walk of packets that came in by one port.
pub fn walk_of<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let port = metas.first().map_or(0, |meta| meta.port);
    match cx
        .topology
        .port(port)
        .map(|port| (port.role, port.exception))
    {
        Some((Role::Node, _)) => super::outbound(cx, packets, metas, tracer),
        Some((Role::Uplink, _)) => super::inbound(cx, packets, metas, tracer),
        // What a routing daemon sends leaves by its uplink as it is.
        Some((Role::Exception, Some(uplink))) => packets
            .iter()
            .map(|_| Err(Exit::Pass { port: uplink }))
            .collect(),
        _ => packets
            .iter()
            .map(|_| Err(Drop::UnknownNode.into()))
            .collect(),
    }
}
