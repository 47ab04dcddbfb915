//! Views of the packet path: one packet each, its bytes in the cache.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use weft::wire::{Vaddr, checksum, flow, ipv4, ipv6, protocol};

fn udp64() -> Vec<u8> {
    let header = ipv4::Header {
        tos: 0,
        total_len: 64,
        id: 1,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: 64,
        protocol: protocol::UDP,
        src: Vaddr(0x0a00_0002),
        dst: Vaddr(0x0a00_0003),
        header_len: 20,
    };
    let mut packet = header.bytes().to_vec();
    packet.resize(64, 0x5a);
    packet
}

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("wire");
    let packet = udp64();
    let header = ipv4::Header::parse(&packet).unwrap();

    group.bench_function("ipv4/parse", |b| {
        b.iter(|| ipv4::Header::parse(black_box(&packet)));
    });
    group.bench_function("ipv4/write", |b| b.iter(|| black_box(&header).bytes()));
    let six = ipv6::Header {
        traffic_class: 0,
        flow_label: 0x40a00,
        payload_len: 0,
        next_header: protocol::UDP,
        hop_limit: 64,
        src: [0x20; 16],
        dst: [0x21; 16],
    };
    let bytes = six.bytes();
    group.bench_function("ipv6/parse", |b| {
        b.iter(|| ipv6::Header::parse(black_box(&bytes)));
    });
    group.bench_function("flow/hash", |b| {
        b.iter(|| flow::hash(black_box(&header), black_box(&packet[20..])));
    });
    group.bench_function("checksum/adjust", |b| {
        b.iter(|| checksum::adjust(black_box(0x1234), black_box(0x5678)));
    });
    let long = vec![0x5a; 1480];
    group.bench_function("checksum/1480 bytes", |b| {
        b.iter(|| checksum::checksum(black_box(&long)));
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
