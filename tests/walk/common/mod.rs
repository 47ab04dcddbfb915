//! Two hosts on memory ports, driven round by round with a clock that stands
//! still. What a [`Host`] counted must balance when it goes, so every test
//! that uses one checks that too.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test binaries, of which each uses its part"
)]

pub mod frames;
pub mod layouts;
pub mod segments;
pub mod topology;

use std::sync::Arc;

use weft::clock::{Clock, ManualClock};
use weft::datapath::counters::Counters;
use weft::datapath::hold::HoldLimits;
use weft::datapath::topology::Topology;
use weft::datapath::wiring::{ControlEnds, Notice, Punted, RingSizes, wire};
use weft::datapath::worker::{Idle, Settings, View, Worker};
use weft::datapath::{Drop, Snapshot, wiring};
use weft::mapping::{Domain, Key, Limits, Mapping, NodeIndex, Publisher, Writer};
use weft::packet::{Buffer, Meta};
use weft::port::Capabilities;
use weft::port::memory::{MemoryPool, MemoryPort, Wire};
use weft::wire::{Vaddr, Vni};

/// What a host is made of, to be changed before it starts.
pub struct Setup {
    pub topology: Topology,
    pub mappings: Vec<(Key, Mapping)>,
    pub workers: u16,
    pub rings: RingSizes,
    pub holds: HoldLimits,
    /// Punts, misses and ICMP errors a second, of one node.
    pub rates: (u32, u32, u32),
    /// Copies a second of one node, and of one packet.
    pub flood: (u32, u32),
    /// Copies a second of another host's packets.
    pub group_rate: u32,
    /// By port: the worker that polls it and the one that transmits on it.
    pub duty: Vec<(u16, u16)>,
    /// Packets in the pool that pieces are made of.
    pub pool: usize,
    /// By port: what its card does to packets it sends; nothing if absent.
    pub cards: Vec<Capabilities>,
}

impl Setup {
    pub fn new(topology: Topology, mappings: Vec<(Key, Mapping)>) -> Setup {
        Setup {
            duty: vec![(0, 0); topology.ports.len()],
            cards: Vec::new(),
            topology,
            mappings,
            workers: 1,
            rings: RingSizes {
                protocol: 64,
                notices: 64,
                from_control: 64,
                handover: 64,
                trace: 64,
            },
            holds: HoldLimits {
                per_destination: 8,
                per_node: 256,
                total: 1024,
                ticks: 200,
                refusal_ticks: 1000,
            },
            rates: (1000, 1000, 32),
            flood: (1000, 256),
            group_rate: 100_000,
            pool: 1 << 20,
        }
    }

    pub fn map(mut self, vni: Vni, vaddr: Vaddr, mapping: Mapping) -> Setup {
        self.mappings.push((Key::new(vni.0, vaddr.0), mapping));
        self
    }

    pub fn start(self) -> Host {
        let domain = Domain::default();
        let mut writer = Writer::new(&domain, Limits::default()).expect("a small table");
        for (key, mapping) in &self.mappings {
            writer.insert(*key, *mapping).expect("room");
        }
        let nodes = self.topology.nodes.len();
        let ports = self.topology.ports.len();
        let topology = Publisher::new(&domain, Snapshot::from(self.topology));
        let (clock, hand) = Clock::manual();
        let card = |port: usize| self.cards.get(port).copied().unwrap_or_default();
        let wires: Vec<Wire> = (0..ports).map(|port| Wire::with(card(port))).collect();
        let (worker_ends, control) = wire(usize::from(self.workers), self.rings);
        let mut counters = Vec::new();
        let mut workers = Vec::new();
        for (index, ends) in worker_ends.into_iter().enumerate() {
            let index = index as u16;
            let block = Arc::new(Counters::new(ports));
            counters.push(block.clone());
            let end = |(wire, (polls, transmits)): (&Wire, &(u16, u16))| match (
                *polls == index,
                *transmits == index,
            ) {
                (true, true) => wire.port(),
                (true, false) => wire.receive_only(),
                (false, true) => wire.transmit_only(),
                (false, false) => wire.absent(),
            };
            workers.push(Worker::new(
                Settings {
                    index,
                    workers: self.workers,
                    idle: Idle::Poll,
                    holds: self.holds,
                    nodes,
                    punt_rate: self.rates.0,
                    miss_rate: self.rates.1,
                    icmp_rate: self.rates.2,
                    flood_rate: self.flood.0,
                    hosts: 16,
                    group_rate: self.group_rate,
                    fanout: self.flood.1,
                    transmitter: self.duty.iter().map(|(_, transmits)| *transmits).collect(),
                },
                View {
                    topology: topology.subscribe(),
                    mappings: writer.readers().reader(),
                    participant: domain.register().expect("few workers"),
                },
                wires.iter().zip(&self.duty).map(end).collect(),
                MemoryPool { left: self.pool },
                ends,
                block,
                clock.clone(),
            ));
        }
        Host {
            topology,
            writer,
            domain,
            wires,
            workers,
            control,
            counters,
            clock: hand,
            in_flight: 0,
        }
    }
}

/// A running appliance without devices.
pub struct Host {
    pub topology: Publisher<Snapshot>,
    pub writer: Writer,
    pub domain: Domain,
    pub wires: Vec<Wire>,
    pub workers: Vec<Worker<MemoryPort, MemoryPool>>,
    pub control: Vec<ControlEnds<Buffer>>,
    pub counters: Vec<Arc<Counters>>,
    pub clock: ManualClock,
    /// Frames that a test left in the rings between workers.
    pub in_flight: u64,
}

impl Host {
    pub fn send(&self, port: u16, frame: &[u8]) {
        self.wires[usize::from(port)].send(frame);
    }

    pub fn send_packet(&self, port: u16, packet: Buffer) {
        self.wires[usize::from(port)].send_packet(packet, Meta::default());
    }

    /// As a device that takes the tag off sends it up.
    pub fn send_stripped(&self, port: u16, frame: &[u8], vlan: u16) {
        let meta = Meta {
            vlan,
            ..Meta::default()
        };
        self.wires[usize::from(port)].send_packet(Buffer::new(frame), meta);
    }

    /// Lets all workers go round until nothing moves any more.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            let moved: usize = self.workers.iter_mut().map(Worker::round).sum();
            if moved == 0 {
                return;
            }
        }
        panic!("frames go round and round");
    }

    /// One millisecond or more later.
    pub fn later(&mut self, millis: u64) {
        self.clock.advance(millis);
        self.settle();
    }

    pub fn receive(&self, port: u16) -> Option<Vec<u8>> {
        self.wires[usize::from(port)].receive()
    }

    pub fn drain(&self, port: u16) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.receive(port)).collect()
    }

    /// What a frame becomes: everything that leaves, by port.
    pub fn carry(&mut self, port: u16, frame: &[u8]) -> Vec<(u16, Vec<u8>)> {
        self.send(port, frame);
        self.settle();
        self.all()
    }

    /// Everything that has left, by port.
    pub fn all(&self) -> Vec<(u16, Vec<u8>)> {
        let ports = 0..self.wires.len() as u16;
        ports
            .flat_map(|port| self.drain(port).into_iter().map(move |frame| (port, frame)))
            .collect()
    }

    /// The one frame that leaves, which must leave by `port`.
    pub fn carry_to(&mut self, from: u16, frame: &[u8], port: u16) -> Vec<u8> {
        let mut out = self.carry(from, frame);
        assert_eq!(out.len(), 1, "one frame leaves; drops: {:?}", self.drops());
        let (by, frame) = out.pop().expect("one");
        assert_eq!(by, port);
        frame
    }

    /// Drops so far, by name.
    pub fn drops(&self) -> Vec<(Drop, u64)> {
        Drop::ALL
            .iter()
            .map(|why| (*why, self.dropped(*why)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    pub fn dropped(&self, why: Drop) -> u64 {
        self.sum(|c| c.drops[why as usize].get())
    }

    pub fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.counters.iter().map(|block| of(block)).sum()
    }

    pub fn punted(&mut self) -> Vec<Punted<Buffer>> {
        self.control
            .iter_mut()
            .flat_map(|ends| std::iter::from_fn(|| ends.protocol.pop().ok()))
            .collect()
    }

    /// The one thing that control is told: a miss, why, and who waits.
    #[track_caller]
    pub fn missed(&mut self) -> (Drop, Key, Option<NodeIndex>) {
        match &self.notices()[..] {
            [Notice::Miss { why, key, node }] => (*why, *key, *node),
            other => panic!("{other:?}"),
        }
    }

    pub fn notices(&mut self) -> Vec<Notice<Buffer>> {
        self.control
            .iter_mut()
            .flat_map(|ends| std::iter::from_fn(|| ends.notices.pop().ok()))
            .collect()
    }

    /// As the control thread sends a frame.
    pub fn send_from_control(&mut self, worker: usize, port: u16, frame: &[u8]) {
        let out = wiring::Outgoing {
            port,
            packet: Buffer::new(frame),
        };
        self.control[worker].to_worker.push(out).expect("room");
    }

    /// Replaces the topology by a changed one.
    pub fn publish(&mut self, topology: Topology) {
        self.topology.replace(topology.into()).expect("room");
    }

    pub fn map(&mut self, vni: Vni, vaddr: Vaddr, mapping: Mapping) {
        let key = Key::new(vni.0, vaddr.0);
        self.writer.insert(key, mapping).expect("room");
    }

    /// rx + generated + from control = tx + drops + punted + held: a packet is
    /// somewhere, or somebody said why it is not.
    pub fn assert_balanced(&self) {
        assert!(self.wires.iter().all(|wire| wire.misused() == 0));
        let came = self.sum(|c| c.rx.get() + c.generated.get() + c.from_control.get());
        let went = self.sum(|c| c.tx.get() + c.dropped() + c.punted.get() + c.held.get());
        let between = self.sum(|c| c.handed_over.get()) - self.sum(|c| c.taken_over.get());
        assert_eq!(between, self.in_flight, "frames between workers");
        assert_eq!(came, went + between, "drops: {:?}", self.drops());
        for block in &self.counters {
            let came = block.rx.get()
                + block.generated.get()
                + block.from_control.get()
                + block.taken_over.get();
            let went = block.tx.get()
                + block.dropped()
                + block.punted.get()
                + block.held.get()
                + block.handed_over.get();
            assert_eq!(came, went, "of one worker");
            let ports = |of: fn(&weft::datapath::counters::PortCounters) -> u64| -> u64 {
                block.ports.iter().map(of).sum()
            };
            assert_eq!(block.rx.get(), ports(|port| port.rx_packets.get()));
            assert_eq!(block.tx.get(), ports(|port| port.tx_packets.get()));
        }
    }
}

impl std::ops::Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_balanced();
        }
    }
}

/// Takes what left one host's uplink to the other's.
pub fn across(from: &Host, to: &mut Host) -> usize {
    let frames = from.drain(topology::UPLINK);
    for frame in &frames {
        to.send(topology::UPLINK, frame);
    }
    to.settle();
    frames.len()
}
