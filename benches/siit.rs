//! Translation of 64-byte packets in bursts of 32, each in a buffer of its own.
//!
//! Criterion's figures are of a whole burst there and back: parse, translate,
//! parse, restore, so that every round finds the packets as the first did. A
//! table at the end gives TSC cycles and nanoseconds per packet for each
//! direction alone, as the median and minimum of many bursts.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weft::arch::rdtsc;
use weft::siit::{
    Arrived, Inbound, Mode, Outbound, address_delta_of, growth, inbound, outbound,
    substrate_header_len,
};
use weft::wire::{Vaddr, flow, ipv4, protocol};

const BURST: usize = 32;
const LEN: usize = 64;
const SRC: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0xa, 1, 0x5a, 0, 1, 10, 0, 0, 2];
const DST: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0xb, 2, 0x5a, 0, 1, 10, 0, 0, 3];
const CASES: [(&str, Mode, u8, bool); 6] = [
    ("siit udp", Mode::Siit, protocol::UDP, false),
    ("siit tcp", Mode::Siit, protocol::TCP, false),
    ("siit echo", Mode::Siit, protocol::ICMP, false),
    ("siit udp fragment", Mode::Siit, protocol::UDP, true),
    ("transparent udp", Mode::Transparent, protocol::UDP, false),
    ("transparent tcp", Mode::Transparent, protocol::TCP, false),
];

/// One packet, its front at `growth`.
#[repr(align(64))]
struct Place([u8; 2048]);

struct Burst {
    places: Vec<Place>,
    growth: usize,
    out: Outbound,
    back: Inbound,
}

impl Burst {
    fn new(mode: Mode, protocol: u8, mf: bool) -> Burst {
        let h = ipv4::Header {
            tos: 0,
            total_len: LEN as u16,
            id: 1,
            reserved: false,
            df: !mf,
            mf,
            offset: 0,
            ttl: 64,
            protocol,
            src: Vaddr(0x0a00_0002),
            dst: Vaddr(0x0a00_0003),
            header_len: 20,
        };
        let front = substrate_header_len(&h);
        let growth = growth(&h) as usize;
        let places = (0..BURST).map(|n| {
            let mut place = Place([0x5a; 2048]);
            h.emit(&mut place.0[growth..]);
            // An echo request, or ports.
            place.0[front..front + 8].copy_from_slice(&[8, 0, 0x12, n as u8, 0, 44, 1, 2]);
            place
        });
        let checksum_delta = address_delta_of(&SRC, &DST);
        Burst {
            places: places.collect(),
            growth,
            out: Outbound {
                src: SRC,
                dst: DST,
                checksum_delta,
                mode,
                traffic_class: 0,
                entropy: 0,
            },
            back: Inbound {
                checksum_delta,
                id: 1,
            },
        }
    }

    #[inline(never)]
    fn there(&mut self) -> usize {
        let mut bytes = 0;
        for place in &mut self.places {
            let packet = &mut place.0[..self.growth + LEN];
            let Ok(h) = ipv4::Header::parse(&packet[self.growth..]) else {
                continue;
            };
            let cx = Outbound {
                entropy: flow::entropy(flow::hash(&h, &packet[self.growth + 20..])),
                traffic_class: h.tos,
                ..self.out
            };
            bytes += outbound(packet, &h, &cx).unwrap_or(0);
        }
        bytes
    }

    #[inline(never)]
    fn back(&mut self) -> usize {
        let mut bytes = 0;
        for place in &mut self.places {
            let packet = &mut place.0[..self.growth + LEN];
            let Ok(arrived) = Arrived::parse(packet, packet.len()) else {
                continue;
            };
            if let Ok(restored) = inbound(packet, &arrived, &self.back) {
                bytes += usize::from(restored.header.total_len);
            }
        }
        bytes
    }
}

fn siit(c: &mut Criterion) {
    let mut group = c.benchmark_group("siit");
    group.throughput(Throughput::Elements(BURST as u64));
    for (name, mode, protocol, mf) in CASES {
        let mut burst = Burst::new(mode, protocol, mf);
        assert_eq!(burst.there(), BURST * (burst.growth + LEN), "{name}");
        assert_eq!(burst.back(), BURST * LEN, "{name}");
        group.bench_function(name, |b| {
            b.iter(|| black_box(burst.there()) + black_box(burst.back()));
        });
    }
    group.finish();
    table();
}

/// Median and minimum of the cycles per packet in many bursts.
fn table() {
    const ROUNDS: usize = 20_000;
    println!(
        "{:20} {:>24} {:>24}",
        "cycles (ns) per packet", "outbound", "inbound"
    );
    let (started, first) = (Instant::now(), rdtsc());
    for (name, mode, protocol, mf) in CASES {
        let mut burst = Burst::new(mode, protocol, mf);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let before = rdtsc();
            black_box(burst.there());
            let between = rdtsc();
            black_box(burst.back());
            back.push(rdtsc() - between);
            out.push(between - before);
        }
        let per_ns = (rdtsc() - first) as f64 / started.elapsed().as_nanos() as f64;
        let show = |mut cycles: Vec<u64>| {
            cycles.sort_unstable();
            let per_packet = |cycles: u64| cycles as f64 / BURST as f64;
            let median = per_packet(cycles[ROUNDS / 2]);
            let min = per_packet(cycles[0]);
            format!("{median:.1} ({:.1}), min {min:.1}", median / per_ns)
        };
        println!("{name:20} {:>24} {:>24}", show(out), show(back));
    }
}

criterion_group!(benches, siit);
criterion_main!(benches);
