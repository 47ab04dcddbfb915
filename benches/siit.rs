//! Translation of 64-byte packets in bursts of 32, each in a buffer of its own.
//!
//! Criterion's figures are of a whole burst there and back: parse, translate,
//! parse, restore, so that every round finds the packets as the first did. A
//! table at the end gives TSC cycles and nanoseconds per packet for each
//! direction alone, as the median and minimum of many bursts.
//!
//! Group `rfc7915` is the engine to the letter, one packet at a time, heads
//! written elsewhere and not copied back.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weft::arch::rdtsc;
use weft::siit::rfc7915::{
    self, Addresses, ClassRule, Hairpin, Mapped4, NoAddress, Rules, UdpZero,
};
use weft::siit::{
    Arrived, Inbound, Mode, Outbound, address_delta_of, growth, inbound, outbound,
    substrate_header_len,
};
use weft::wire::{Saddr, Vaddr, flow, icmpv4, ipv4, ipv6, protocol};

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

/// 64:ff9b::/96 and nothing else.
struct Prefix;

impl Addresses for Prefix {
    fn to_ipv6(&self, address: Vaddr, _: bool) -> Result<Saddr, NoAddress> {
        let prefix = 0x0064_ff9b << 96;
        Ok((prefix | u128::from(address.0)).to_be_bytes())
    }

    fn to_ipv4(&self, address: &Saddr) -> Result<Mapped4, NoAddress> {
        Ok(Mapped4 {
            address: Vaddr(u128::from_be_bytes(*address) as u32),
            explicit: false,
        })
    }

    fn is_explicit(&self, _: Vaddr) -> bool {
        false
    }

    fn error_source4(&self, _: &Saddr, _: Vaddr, _: u32) -> Option<Vaddr> {
        None
    }

    fn error_source6(&self, _: Vaddr, _: &Saddr) -> Option<Saddr> {
        None
    }
}

fn ipv4_packet(protocol: u8, mf: bool, payload: &[u8]) -> Vec<u8> {
    let h = ipv4::Header {
        tos: 0,
        total_len: (ipv4::HEADER_LEN + payload.len()) as u16,
        id: 1,
        reserved: false,
        df: false,
        mf,
        offset: 0,
        ttl: 64,
        protocol,
        src: Vaddr(0xc633_6407),
        dst: Vaddr(0xcb00_7109),
        header_len: 20,
    };
    [&h.bytes(), payload].concat()
}

/// Packets of the engine, as IPv4 and as IPv6.
fn engine_cases() -> Vec<(&'static str, Vec<u8>)> {
    // Ports, or an echo request; checksums are of no consequence.
    let payload = [8, 0, 0x12, 0x34, 0, 44, 1, 2].repeat(6);
    let inner = ipv4_packet(protocol::UDP, false, &payload[..44]);
    let error = [
        &[icmpv4::kind::UNREACHABLE, 1, 0x12, 0x34, 0, 0, 0, 0],
        &inner[..],
    ]
    .concat();
    let mut no_sum = payload[..44].to_vec();
    no_sum[6..8].fill(0);
    let mut cases = vec![
        ("udp", ipv4_packet(protocol::UDP, false, &payload[..44])),
        ("tcp", ipv4_packet(protocol::TCP, false, &payload[..44])),
        ("echo", ipv4_packet(protocol::ICMP, false, &payload[..44])),
        (
            "udp fragment",
            ipv4_packet(protocol::UDP, true, &payload[..48]),
        ),
        ("error", ipv4_packet(protocol::ICMP, false, &error)),
    ];
    let there = cases.iter().map(|(name, packet)| (*name, to_ipv6(packet)));
    let there: Vec<_> = there.collect();
    cases.push((
        "udp, sum computed",
        ipv4_packet(protocol::UDP, false, &no_sum),
    ));
    cases.extend(there);
    cases
}

fn engine_rules() -> Rules {
    Rules {
        traffic_class: ClassRule::Copy,
        tos: ClassRule::Copy,
        udp_zero: UdpZero::Compute,
        hairpin: Hairpin::Intrinsic,
        mtu4: 1500,
        mtu6: 1500,
        lowest_ipv6_mtu: ipv6::MIN_MTU as u16,
        mtu_plateaus: vec![1492, 1006],
        error_source_extension: true,
    }
}

fn context(rules: &Rules) -> rfc7915::Context<'_, Prefix> {
    rfc7915::Context {
        rules,
        addresses: &Prefix,
        id: 1,
        hairpinned: false,
    }
}

fn to_ipv6(packet: &[u8]) -> Vec<u8> {
    let rules = engine_rules();
    let pieces = rfc7915::pieces_to_ipv6(packet, &context(&rules)).expect("translates");
    let piece = pieces.iter().next().expect("one piece");
    piece.parts().concat()
}

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("rfc7915");
    group.throughput(Throughput::Elements(1));
    let rules = engine_rules();
    let cx = context(&rules);
    for (name, packet) in engine_cases() {
        if packet[0] >> 4 == 4 {
            group.bench_function(format!("to_ipv6 {name}"), |b| {
                b.iter(|| rfc7915::to_ipv6(black_box(&packet), &cx).is_ok());
            });
        } else {
            group.bench_function(format!("to_ipv4 {name}"), |b| {
                b.iter(|| rfc7915::to_ipv4(black_box(&packet), &cx).is_ok());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, engine, siit);
criterion_main!(benches);
