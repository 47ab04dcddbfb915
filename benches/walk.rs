//! The walk on 64-byte UDP packets in bursts of 32, nobody watching.
//!
//! `walk/…` is the walk alone: headers checked, sender known, lookup, rewrite
//! with checksums. `round/…` is a worker's whole round over ports that hand
//! out and take back warm packets: receiving, counting, sending and the
//! refilling of each packet included; `round/pass` is that with a walk that
//! does nothing (an exception port). Criterion's times are per burst; the
//! table at the end gives TSC cycles per packet, median and minimum over many
//! bursts.
//!
//! `WEFT_WALK_ROUNDS=walk/outbound-1k:1000` runs so many bursts of one case and
//! nothing else, to count instructions with callgrind: `scripts/test
//! instructions` does.

#[path = "../tests/walk/common/mod.rs"]
mod common;
#[path = "walk/count.rs"]
mod count;
#[path = "walk/relay.rs"]
mod relay;
#[path = "walk/routed.rs"]
mod routed;

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use criterion::{Criterion, Throughput, criterion_group};

use common::frames::{self, Ip, Ip6};
use common::topology::*;
use weft::arch::rdtsc;
use weft::clock::Clock;
use weft::datapath::counters::Counters;
use weft::datapath::hold::HoldLimits;
use weft::datapath::plain::Scratch;
use weft::datapath::wiring::{RingSizes, wire};
use weft::datapath::worker::{Idle, Settings, View, Worker};
use weft::datapath::{BURST, Context, FreshIds, Outcome, Snapshot, Topology, walk_plain};
use weft::mapping::{Domain, Limits, Participant, Publisher, Reader, Writer};
use weft::model::Mode;
use weft::packet::{HEADROOM, Meta, NoRoom, Packet};
use weft::port::{Burst, Pool, Port};
use weft::wire::{Vaddr, checksum};

/// A packet as a driver has it: a pointer to memory that is used again.
struct Slot {
    room: Box<[u8; 512]>,
    start: u16,
    end: u16,
}

impl Slot {
    fn new() -> Slot {
        Slot {
            room: Box::new([0; 512]),
            start: 0,
            end: 0,
        }
    }

    fn refill(&mut self, frame: &[u8]) {
        self.start = HEADROOM as u16;
        self.end = (HEADROOM + frame.len()) as u16;
        self.room[HEADROOM..][..frame.len()].copy_from_slice(frame);
    }
}

impl Packet for Slot {
    #[inline(always)]
    fn head(&self) -> &[u8] {
        &self.room[usize::from(self.start)..usize::from(self.end)]
    }

    #[inline(always)]
    fn head_mut(&mut self) -> &mut [u8] {
        &mut self.room[usize::from(self.start)..usize::from(self.end)]
    }

    #[inline]
    fn total_len(&self) -> usize {
        usize::from(self.end - self.start)
    }

    #[inline]
    fn is_shared(&self) -> bool {
        false
    }

    #[inline(always)]
    fn has_headroom(&self, n: usize) -> bool {
        usize::from(self.start) >= n
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> Result<(), NoRoom> {
        self.start = self.start.checked_sub(n as u16).ok_or(NoRoom)?;
        Ok(())
    }

    #[inline]
    fn trim_front(&mut self, n: usize) -> Result<(), NoRoom> {
        if n > self.total_len() {
            return Err(NoRoom);
        }
        self.start += n as u16;
        Ok(())
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        if len < self.total_len() {
            self.end = self.start + len as u16;
        }
    }

    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize {
        let bytes = self.head().get(offset..).unwrap_or(&[]);
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        n
    }

    fn append(&mut self, _: &[u8]) -> Result<(), NoRoom> {
        Err(NoRoom)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Outbound,
    Inbound,
    Local,
    /// As outbound and local, through a router.
    Routed,
    RoutedLocal,
    Pass,
    /// Of the relay: from IPv4, and from IPv6.
    Relay4,
    Relay6,
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    direction: Direction,
    mode: Mode,
    mappings: u32,
}

const fn case(name: &'static str, direction: Direction, mode: Mode, mappings: u32) -> Case {
    Case {
        name,
        direction,
        mode,
        mappings,
    }
}

const CASES: [Case; 13] = [
    case("outbound-1k", Direction::Outbound, Mode::Siit, 1 << 10),
    case("outbound-1m", Direction::Outbound, Mode::Siit, 1 << 20),
    case("inbound-1k", Direction::Inbound, Mode::Siit, 1 << 10),
    case("inbound-1m", Direction::Inbound, Mode::Siit, 1 << 20),
    case(
        "outbound-transparent-1k",
        Direction::Outbound,
        Mode::Transparent,
        1 << 10,
    ),
    case(
        "inbound-transparent-1k",
        Direction::Inbound,
        Mode::Transparent,
        1 << 10,
    ),
    case("local-1k", Direction::Local, Mode::Siit, 1 << 10),
    case("routed-1k", Direction::Routed, Mode::Siit, 1 << 10),
    case(
        "routed-local-1k",
        Direction::RoutedLocal,
        Mode::Siit,
        1 << 10,
    ),
    case("relay-4to6-1k", Direction::Relay4, Mode::Siit, 1 << 10),
    case("relay-4to6-1m", Direction::Relay4, Mode::Siit, 1 << 20),
    case("relay-6to4-1k", Direction::Relay6, Mode::Siit, 1 << 10),
    case("relay-6to4-1m", Direction::Relay6, Mode::Siit, 1 << 20),
];

const PASS: Case = case("pass", Direction::Pass, Mode::Siit, 1 << 10);

/// 18 bytes of data fill a frame of 60 bytes.
const DATA: [u8; 18] = [0x5a; 18];

/// Makes the frames of a case: one form, in which the far node's address is
/// changed from packet to packet.
struct Source {
    case: Case,
    frame: Vec<u8>,
    random: u32,
}

impl Source {
    fn new(case: Case) -> Source {
        let frame = match case.direction {
            Direction::Outbound => frames::from_a(&frames::udp(A, far(0), (4000, 5000), &DATA)),
            Direction::Local => frames::from_a(&frames::udp(A, C, (4000, 5000), &DATA)),
            Direction::Routed => routed::frame(&frames::udp(A, far(0), (4000, 5000), &DATA)),
            Direction::RoutedLocal => {
                routed::frame(&frames::udp(A, routed::C, (4000, 5000), &DATA))
            }
            Direction::Inbound | Direction::Pass => {
                let Ip { payload, .. } = frames::udp(far(0), A, (5000, 4000), &DATA);
                let src = saddr(&locator_s(), Z, far(0));
                let mut packet = Ip6::new(src, saddr(&locator_r(), Z, A), frames::UDP, payload);
                let tag = if case.mode == Mode::Siit { 1 } else { 2 };
                packet.label = frames::label(64, true, tag);
                packet.to_r()
            }
            Direction::Relay4 => {
                let packet = frames::udp(relay::PEER, far(0), (4000, 5000), &DATA).bytes();
                [relay::link(), vec![8, 0], packet].concat()
            }
            Direction::Relay6 => {
                let Ip { payload, .. } = frames::udp(far(0), relay::PEER, (5000, 4000), &DATA);
                let (src, dst) = (relay::host(far(0)), relay::behind_pool(relay::PEER));
                let packet = Ip6::new(src, dst, frames::UDP, payload);
                [relay::link(), vec![0x86, 0xdd], packet.bytes()].concat()
            }
        };
        Source {
            case,
            frame,
            random: 1,
        }
    }

    /// The next frame, into `slot`.
    #[inline(never)]
    fn next(&mut self, slot: &mut Slot) {
        self.random = self
            .random
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let far = far((self.random >> 8) % self.case.mappings).bytes();
        match self.case.direction {
            Direction::Outbound | Direction::Routed | Direction::Relay4 => {
                if self.case.direction == Direction::Outbound {
                    self.frame[2..6].copy_from_slice(&far);
                }
                self.frame[30..34].copy_from_slice(&far);
                self.frame[24..26].fill(0);
                let sum = checksum::checksum(&self.frame[14..34]);
                self.frame[24..26].copy_from_slice(&sum.to_be_bytes());
            }
            Direction::Inbound | Direction::Relay6 => self.frame[34..38].copy_from_slice(&far),
            Direction::Local | Direction::RoutedLocal | Direction::Pass => {}
        }
        slot.refill(&self.frame);
    }
}

/// Addresses of the nodes at S.
fn far(i: u32) -> Vaddr {
    Vaddr(0x0a40_0400 + i)
}

struct Tables {
    topology: Publisher<Snapshot>,
    reader: Reader,
    domain: Domain,
    _writer: Writer,
}

fn topology_of(case: Case) -> Topology {
    if matches!(case.direction, Direction::Relay4 | Direction::Relay6) {
        return relay::topology((0..case.mappings).map(far));
    }
    let mut topology = topology_r();
    topology.vnets[0].mode = case.mode;
    topology.vnets[0].prefixes = vec!["10.0.0.0/8".parse().expect("literal")];
    if let PortNodes::Sole { vlan, .. } = &mut topology.ports[usize::from(PORT_C)].nodes {
        *vlan = 0;
    }
    topology.nodes[NODE_C.index()].vlan = 0;
    if matches!(case.direction, Direction::Routed | Direction::RoutedLocal) {
        routed::divide(&mut topology);
    }
    topology
}

/// By which port its frames come in.
fn receiver(case: Case) -> u16 {
    match case.direction {
        Direction::Outbound | Direction::Local | Direction::Routed | Direction::RoutedLocal => {
            PORT_A
        }
        Direction::Inbound => UPLINK,
        Direction::Pass => EXCEPTION,
        Direction::Relay4 => relay::V4,
        Direction::Relay6 => relay::V6,
    }
}

fn tables(case: Case) -> Tables {
    let topology = topology_of(case);
    let domain = Domain::default();
    let limits = Limits {
        mappings: case.mappings as usize + 3,
        ..Limits::default()
    };
    let mut writer = Writer::new(&domain, limits).expect("memory");
    for i in 0..case.mappings {
        writer.insert(key(Z, far(i)), remote(HOST_S)).expect("room");
    }
    writer.insert(key(Z, A), local(NODE_A)).expect("room");
    writer.insert(key(Z, C), local(NODE_C)).expect("room");
    writer
        .insert(key(Z, routed::C), local(NODE_C))
        .expect("room");
    Tables {
        topology: Publisher::new(&domain, topology.into()),
        reader: writer.readers().reader(),
        domain,
        _writer: writer,
    }
}

use weft::datapath::topology::PortNodes;

/// The walk alone: bursts are made ready while no clock runs.
struct Walk {
    tables: Tables,
    pin: Participant,
    source: Source,
    slots: Vec<Slot>,
    metas: [Meta; BURST],
    scratch: Scratch,
}

impl Walk {
    fn new(case: Case) -> Walk {
        let tables = tables(case);
        let port = receiver(case);
        Walk {
            pin: tables.domain.register().expect("few"),
            tables,
            source: Source::new(case),
            slots: (0..BURST).map(|_| Slot::new()).collect(),
            metas: [Meta {
                port,
                ..Meta::default()
            }; BURST],
            scratch: Scratch::default(),
        }
    }

    /// Walks one burst; returns how long that took by `clock`.
    fn burst<T>(&mut self, clock: impl Fn() -> T) -> (T, T) {
        for slot in &mut self.slots {
            self.source.next(slot);
        }
        let topology = self.tables.topology.subscribe();
        let cx = Context {
            topology: topology.get(&self.pin),
            mappings: &self.tables.reader,
            pin: &self.pin,
            seconds: 1,
            fresh: FreshIds::new(0, 1),
        };
        let started = clock();
        let results = walk_plain(
            &cx,
            &mut self.slots,
            &self.metas,
            &mut self.scratch,
            &mut (),
        );
        let ended = clock();
        let sent = |result: Result<Outcome, _>| matches!(result, Ok(Outcome::Send { .. }));
        assert!((0..BURST).all(|i| sent(results.get(i))), "{results:?}");
        black_box(&self.slots);
        (started, ended)
    }
}

/// Packets that are sent come back to be received.
type Shelf = Arc<Mutex<Vec<Slot>>>;

struct Belt {
    shelf: Shelf,
    /// Of the port that receives.
    source: Option<Source>,
}

impl Port for Belt {
    type Packet = Slot;

    fn rx_burst(&mut self, into: &mut Burst<Slot>) -> usize {
        let (Some(source), Ok(mut shelf)) = (&mut self.source, self.shelf.lock()) else {
            return 0;
        };
        let from = shelf.len() - BURST;
        for mut slot in shelf.drain(from..) {
            source.next(&mut slot);
            into.packets.push(slot);
            into.metas.push(Meta::default());
        }
        BURST
    }

    fn tx_burst(&mut self, packets: &mut ArrayVec<Slot, BURST>) -> usize {
        let n = packets.len();
        if let Ok(mut shelf) = self.shelf.lock() {
            shelf.extend(packets.drain(..));
        }
        n
    }

    fn receives(&self) -> bool {
        self.source.is_some()
    }

    fn transmits(&self) -> bool {
        true
    }
}

struct NoPool;

impl Pool for NoPool {
    type Packet = Slot;

    fn alloc(&mut self) -> Option<Slot> {
        None
    }
}

struct Rounds {
    case: Case,
    worker: Worker<Belt, NoPool>,
    _tables: Tables,
}

impl Rounds {
    fn new(case: Case) -> Rounds {
        let tables = tables(case);
        let shelf: Shelf = Arc::new(Mutex::new((0..2 * BURST).map(|_| Slot::new()).collect()));
        let receiver = receiver(case);
        let ports = tables.topology.current().ports.len();
        let belts = (0..ports as u16).map(|port| Belt {
            shelf: shelf.clone(),
            source: (port == receiver).then(|| Source::new(case)),
        });
        let (mut ends, _control) = wire(1, RingSizes::default());
        let settings = Settings {
            index: 0,
            workers: 1,
            idle: Idle::Poll,
            holds: HoldLimits {
                per_destination: 8,
                per_node: 256,
                total: 4096,
                ticks: 1 << 30,
                refusal_ticks: 1 << 30,
            },
            nodes: 16,
            punt_rate: 100,
            miss_rate: 100,
            icmp_rate: 10,
            flood_rate: 1000,
            hosts: 16,
            group_rate: 100_000,
            fanout: 256,
            transmitter: vec![0; ports],
        };
        let view = View {
            topology: tables.topology.subscribe(),
            mappings: tables._writer.readers().reader(),
            participant: tables.domain.register().expect("few"),
        };
        let worker = Worker::new(
            settings,
            view,
            belts.collect(),
            NoPool,
            ends.remove(0),
            Arc::new(Counters::new(ports)),
            Clock::tsc(2_000_000_000),
        );
        Rounds {
            case,
            worker,
            _tables: tables,
        }
    }

    #[inline(never)]
    fn round(&mut self) {
        assert_eq!(self.worker.round(), BURST);
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        let counters = self.worker.counters();
        assert_eq!(counters.rx.get(), counters.tx.get());
    }
}

/// Median and minimum of cycles per packet.
fn cycles(mut burst: impl FnMut() -> u64) -> (f64, f64) {
    let mut samples: Vec<u64> = (0..20_000).map(|_| burst()).skip(2_000).collect();
    samples.sort_unstable();
    let per_packet = |cycles: u64| cycles as f64 / BURST as f64;
    (
        per_packet(samples[samples.len() / 2]),
        per_packet(samples[0]),
    )
}

fn walks(c: &mut Criterion) {
    let mut lines = Vec::new();
    let mut group = c.benchmark_group("walk");
    group.throughput(Throughput::Elements(BURST as u64));
    group
        .sample_size(20)
        .measurement_time(Duration::from_millis(700));
    group.warm_up_time(Duration::from_millis(200));
    for case in CASES {
        let mut walk = Walk::new(case);
        group.bench_function(case.name, |b| {
            b.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let (started, ended) = walk.burst(Instant::now);
                    spent += ended - started;
                }
                spent
            });
        });
        let (median, least) = cycles(|| {
            let (started, ended) = walk.burst(rdtsc);
            ended - started
        });
        lines.push(format!("walk/{:<28} {median:7.1} {least:7.1}", case.name));
    }
    group.finish();
    println!(
        "\n{:<33} {:>7} {:>7}   cycles per packet",
        "", "median", "min"
    );
    lines.iter().for_each(|line| println!("{line}"));
}

fn rounds(c: &mut Criterion) {
    let mut lines = Vec::new();
    let mut group = c.benchmark_group("round");
    group.throughput(Throughput::Elements(BURST as u64));
    group
        .sample_size(20)
        .measurement_time(Duration::from_millis(700));
    group.warm_up_time(Duration::from_millis(200));
    for case in [PASS].into_iter().chain(CASES) {
        let mut rounds = Rounds::new(case);
        group.bench_function(case.name, |b| b.iter(|| rounds.round()));
        let (median, least) = cycles(|| {
            let started = rdtsc();
            rounds.round();
            rdtsc() - started
        });
        lines.push(format!("round/{:<27} {median:7.1} {least:7.1}", case.name));
    }
    group.finish();
    println!(
        "\n{:<33} {:>7} {:>7}   cycles per packet",
        "", "median", "min"
    );
    lines.iter().for_each(|line| println!("{line}"));
}

criterion_group!(benches, walks, rounds);

pub(crate) fn main() {
    let asked = std::env::var("WEFT_WALK_ROUNDS").ok();
    match asked.as_deref() {
        Some(asked) => count::count(asked),
        None => {
            benches();
            Criterion::default().configure_from_args().final_summary();
        }
    }
}
