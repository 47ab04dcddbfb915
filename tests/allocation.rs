//! Workers do not allocate: not for packets that pass, not for those that are
//! dropped, wait, go to control or to another worker, and not while watched.

#[path = "walk/common/mod.rs"]
mod common;

use allocation_counter::measure;

use common::frames::*;
use common::topology::*;
use common::{Host, Setup};
use weft::datapath::Drop;
use weft::datapath::watch::Filter;
use weft::packet::BURST;

/// Bursts of one kind of frame.
const BURSTS: usize = 8;

/// How often a worker allocated over some bursts of `frame`, once it has met
/// such frames before. Making the frames is not counted.
fn allocations(host: &mut Host, port: u16, frame: &[u8]) -> u64 {
    let mut counted = 0;
    for round in 0..2 {
        for _ in 0..BURSTS * BURST {
            host.send(port, frame);
        }
        counted = measure(|| host.settle()).count_total;
        // What left lies in the far end's queue, which has room for as many now.
        for port in 0..host.wires.len() as u16 {
            while host.receive(port).is_some() {}
        }
        assert!(round == 1 || host.sum(|block| block.rx.get()) > 0);
    }
    counted
}

fn arp_request() -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(MAC_A.0);
    arp.extend(A.bytes());
    arp.extend([0; 6]);
    arp.extend(G.bytes());
    ethernet(weft::wire::Mac::BROADCAST, MAC_A, None, 0x0806, &arp)
}

#[test]
fn packets_that_pass() {
    let mut r = setup_r().start();
    assert_eq!(allocations(&mut r, PORT_A, &from_a(&hello())), 0);
    assert_eq!(allocations(&mut r, UPLINK, &g_to_a().to_r()), 0);
    let local = from_a(&udp(A, C, (1, 2), b"next door"));
    assert_eq!(allocations(&mut r, PORT_A, &local), 0);
    assert_eq!(r.drops(), []);
}

#[test]
fn packets_for_the_other_worker() {
    let mut setup: Setup = setup_r();
    setup.workers = 2;
    setup.rings.handover = 1024;
    setup.duty[usize::from(UPLINK)] = (1, 1);
    let mut r = setup.start();
    assert_eq!(allocations(&mut r, PORT_A, &from_a(&hello())), 0);
    assert_eq!(allocations(&mut r, UPLINK, &g_to_a().to_r()), 0);
    assert!(r.sum(|block| block.handed_over.get()) >= (2 * BURSTS * BURST) as u64);
}

#[test]
fn packets_that_are_dropped_or_answered() {
    let mut r = setup_r().start();
    for frame in [
        from_a(&udp(C, G, (1, 2), b"not mine")),
        from_a(&udp(A, NOBODY, (1, 2), b"nowhere")),
        from_a(&udp(A, OUTSIDE, (1, 2), b"far out")),
        arp_request(),
        vec![0xff; 20],
    ] {
        assert_eq!(allocations(&mut r, PORT_A, &frame), 0);
    }
    assert!(r.dropped(Drop::SpoofedSource) > 0 && r.dropped(Drop::NoMapping) > 0);
    assert!(r.sum(|block| block.punted.get()) > 0);
}

#[test]
fn packets_that_wait() {
    let mut r = with(setup_r(), |topology| topology.resolver = true).start();
    let frame = from_a(&udp(A, NOBODY, (1, 2), b"who knows"));
    assert_eq!(allocations(&mut r, PORT_A, &frame), 0);
    assert!(r.sum(|block| block.held.get()) > 0);
    let ended = measure(|| r.later(1000));
    assert_eq!(ended.count_total, 0);
    assert_eq!(r.sum(|block| block.held.get()), 0);
}

#[test]
fn packets_that_are_watched() {
    let mut r = with(setup_r(), |topology| {
        topology.watch = vec![Filter::default()]
    })
    .start();
    assert_eq!(allocations(&mut r, PORT_A, &from_a(&hello())), 0);
    assert_eq!(allocations(&mut r, UPLINK, &g_to_a().to_r()), 0);
    assert!(
        r.sum(|block| block.trace_lost.get()) > 0,
        "the ring is small"
    );
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        measure(|| drop(std::hint::black_box(Box::new([0u8; 64])))).count_total,
        1
    );
}
