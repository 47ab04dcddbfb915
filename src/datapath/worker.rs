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

use crossbeam_utils::CachePadded;

use crate::clock::Clock;
use crate::mapping::{Participant, Reader, Subscriber};
use crate::port::{Burst, Pool, Port};

use super::counters::Counters;
use super::cycles::Sampling;
use super::hold::{HoldLimits, Holds};
use super::lane::Lane;
use super::limit::{Limiter, RelayLimit};
use super::plain::Scratch;
use super::ports::PortEnds;
use super::record::Slots;
use super::topology::Snapshot;
use super::wiring::WorkerEnds;
use super::{BURST, Context, FreshIds};

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
    /// Copies a second of one node's packets to groups and of its broadcasts.
    pub flood_rate: u32,
    /// Most hosts there can be, and copies a second of one host's packets.
    pub hosts: usize,
    pub group_rate: u32,
    /// The most copies of one packet.
    pub fanout: u32,
    /// By port: the worker that transmits on it for this one (itself, mostly).
    pub transmitter: Vec<u16>,
}

/// Rounds after which a worker tells how full its rings to others are, and looks
/// for ports that come or go: seldom enough to cost nothing, and even an idle one
/// does it several times a second.
const SELDOM: u64 = 256;

/// One worker, ready to run.
#[repr(align(128))]
pub struct Worker<Io: Port, Po> {
    view: View,
    lane: Lane<Io, Po>,
    changes: Option<PortEnds<Io>>,
    burst: Burst<Io::Packet>,
    sampling: Sampling,
    /// When the last round began, and whether it found packets.
    started: u64,
    busy: bool,
}

/// The shared state, as one worker reads it.
#[derive(Debug)]
pub struct View {
    pub topology: Subscriber<Snapshot>,
    pub mappings: Reader,
    pub participant: Participant,
}

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
        let started = clock.now();
        let mut settings = settings;
        // Ports may come: what is kept by port has room for all there can be.
        let slots = counters.ports.len().max(ports.len());
        let spare = slots - ports.len();
        let (mut queues, mut pending) = (Vec::with_capacity(slots), Vec::with_capacity(slots));
        pending.extend(ports.iter().map(|_| CachePadded::default()));
        queues.extend(ports.into_iter().map(CachePadded::new));
        settings.transmitter.reserve_exact(spare);
        let buckets = settings.nodes + 2 * slots;
        let limiter = |rate: u32| Limiter::new(buckets, rate, rate.max(BURST as u32), clock.hz());
        Worker {
            sampling: Sampling::new(&clock, settings.index),
            lane: Lane {
                pending,
                holds: Holds::new(settings.holds),
                punt_limit: limiter(settings.punt_rate),
                dhcp_limit: limiter(settings.punt_rate),
                miss_limit: limiter(settings.miss_rate),
                icmp_limit: Limiter::new(
                    buckets,
                    settings.icmp_rate,
                    settings.icmp_rate,
                    clock.hz(),
                ),
                flood_limit: Limiter::new(
                    settings.nodes,
                    settings.flood_rate,
                    settings.fanout,
                    clock.hz(),
                ),
                // A tenth of a second at once, and one packet in any case.
                group_limit: Limiter::new(
                    settings.hosts + 1,
                    settings.group_rate,
                    settings.fanout.max(settings.group_rate / 10),
                    clock.hz(),
                ),
                relay_limit: RelayLimit::new(slots, clock.hz()),
                fresh: FreshIds::new(settings.index, settings.workers),
                next_retry: 0,
                slots: Slots::default(),
                scratch: Scratch::default(),
                settings,
                ports: queues,
                pool,
                ends,
                counters,
                clock,
            },
            view,
            changes: None,
            burst: Burst::default(),
            started,
            busy: false,
        }
    }

    /// Ports may come and go from now on.
    pub fn with_ports(mut self, ends: PortEnds<Io>) -> Worker<Io, Po> {
        self.changes = Some(ends);
        self
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
        self.account(started);
        let pin = &self.view.participant;
        let cx = Context {
            topology: self.view.topology.get(pin),
            mappings: &self.view.mappings,
            pin,
            seconds: self.lane.clock.seconds(started),
            fresh: self.lane.fresh,
        };
        let (lane, burst) = (&mut self.lane, &mut self.burst);
        let moved = if self.sampling.is_due() {
            self.sampling.round(lane, &cx, burst, started)
        } else {
            lane.round(&cx, burst, started, &mut ())
        };
        self.view.participant.quiescent();
        let counters = &self.lane.counters;
        counters.rounds.add(1);
        self.busy = moved > 0;
        if self.busy {
            counters.busy_rounds.add(1);
        }
        if counters.rounds.get().is_multiple_of(SELDOM) {
            self.seldom();
        }
        moved
    }

    fn seldom(&mut self) {
        self.lane.ends.tell_fills();
        if let Some(changes) = &mut self.changes {
            self.lane.swap_ports(changes);
        }
    }

    /// What the round before took, sleep after it included: reading the clock
    /// once a round is enough, and costs as much as half a packet.
    fn account(&mut self, now: u64) {
        let spent = now.wrapping_sub(self.started);
        self.started = now;
        let counters = &self.lane.counters;
        if self.busy {
            counters.busy_cycles.add(spent);
        } else {
            counters.idle_cycles.add(spent);
        }
    }

    /// Spins a little, then sleeps: long enough to leave the core to others,
    /// short enough not to be felt.
    fn back_off(&mut self, empty_rounds: u32) {
        if empty_rounds < 64 {
            std::hint::spin_loop();
            return;
        }
        self.view.participant.offline();
        std::thread::sleep(Duration::from_micros(if empty_rounds < 1024 {
            50
        } else {
            200
        }));
        self.view.participant.online();
    }

    pub fn counters(&self) -> &Counters {
        &self.lane.counters
    }
}
