//! Several workers: who sends, who takes over, and what is counted where.

use weft::datapath::Drop;

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};

/// Two workers: the second has the uplink, the first has the nodes.
fn two() -> Setup {
    let mut setup = setup_r();
    setup.workers = 2;
    setup.duty[usize::from(UPLINK)] = (1, 1);
    setup
}

fn of(host: &Host, worker: usize) -> (u64, u64, u64, u64) {
    let block = &host.counters[worker];
    (
        block.rx.get(),
        block.tx.get(),
        block.handed_over.get(),
        block.taken_over.get(),
    )
}

#[test]
fn frames_go_to_the_worker_that_has_the_port() {
    let mut r = two().start();
    r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    assert_eq!((of(&r, 0), of(&r, 1)), ((1, 0, 1, 0), (0, 1, 0, 1)));
    r.carry_to(UPLINK, &g_to_a().to_r(), PORT_A);
    assert_eq!((of(&r, 0), of(&r, 1)), ((1, 1, 1, 1), (1, 1, 1, 1)));
}

#[test]
fn nodes_of_one_host_on_two_workers() {
    let mut setup = setup_r();
    setup.workers = 2;
    setup.duty[usize::from(PORT_C)] = (1, 1);
    let mut r = setup.start();
    for i in 0..100u16 {
        r.send(PORT_A, &from_a(&udp(A, C, (i, 1), &i.to_be_bytes())));
        r.send(PORT_C, &from_c(&udp(C, A, (i, 1), &i.to_be_bytes())));
    }
    r.settle();
    for (port, at) in [(PORT_A, 42), (PORT_C, 46)] {
        let got = r.drain(port);
        assert_eq!(got.len(), 100);
        for (i, frame) in got.iter().enumerate() {
            assert_eq!(frame[at..at + 2], (i as u16).to_be_bytes(), "in order");
        }
    }
}

#[test]
fn a_full_ring_between_workers_drops_by_name() {
    let mut setup = two();
    setup.rings.handover = 4;
    let mut r = setup.start();
    for _ in 0..10 {
        r.send(PORT_A, &from_a(&hello()));
    }
    // The other worker is busy elsewhere.
    r.workers[0].round();
    assert_eq!(r.drops(), [(Drop::HandoffFull, 6)]);
    r.in_flight = 4;
    r.assert_balanced();
    r.in_flight = 0;
    r.settle();
    assert_eq!(r.drain(UPLINK).len(), 4);
}

#[test]
fn a_worker_tells_how_full_its_rings_to_others_are() {
    let mut setup = two();
    setup.rings.handover = 64;
    let mut r = setup.start();
    let fill = |r: &Host| r.control[0].handover.fill(1);
    for _ in 0..10 {
        r.send(PORT_A, &from_a(&hello()));
    }
    // The other worker is busy elsewhere.
    for _ in 0..256 {
        r.workers[0].round();
    }
    assert_eq!((fill(&r), r.control[0].handover.capacity()), (10, 64));
    r.settle();
    for _ in 0..256 {
        r.workers[0].round();
    }
    assert_eq!(fill(&r), 0, "told again when it is empty");
    assert_eq!(r.drain(UPLINK).len(), 10);
}

#[test]
fn pieces_and_held_packets_are_handed_over_too() {
    let mut setup = two();
    setup.topology.resolver = true;
    let mut r = setup.start();
    let large = Ip {
        df: false,
        ..udp(A, NOBODY, (1, 2), &[0; 4000])
    };
    r.send(PORT_A, &from_a(&large));
    r.settle();
    r.map(Z, NOBODY, remote(HOST_S));
    r.later(1);
    assert_eq!(r.drain(UPLINK).len(), 3);
    assert_eq!(r.sum(|counters| counters.generated.get()), 2);
}

/// Control answers through whichever worker got the question.
#[test]
fn answers_of_control_find_their_port() {
    let mut r = two().start();
    r.send_from_control(0, UPLINK, b"by the other worker");
    r.send_from_control(1, UPLINK, b"by its own");
    r.settle();
    let mut out = r.drain(UPLINK);
    out.sort();
    assert_eq!(
        out,
        [b"by its own".to_vec(), b"by the other worker".to_vec()]
    );
}

/// No worker has the port: a mistake of the wiring loses frames by name, and
/// does not send them round.
#[test]
fn a_port_that_nobody_transmits_on() {
    for duty in [(1, 9), (0, 9)] {
        let mut setup = two();
        setup.duty[usize::from(UPLINK)] = duty;
        let mut r = setup.start();
        assert_eq!(r.carry(PORT_A, &from_a(&hello())), []);
        assert_eq!(r.drops(), [(Drop::HandoffFull, 1)]);
    }
}

/// Real threads, a real clock: whatever the interleaving, nothing is lost that
/// is not named.
#[test]
fn two_threads_lose_nothing_unnamed() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut setup = two();
    setup.rings.handover = 32;
    let mut r = setup.start();
    let stop = AtomicBool::new(false);
    let workers = std::mem::take(&mut r.workers);
    const EACH: u64 = 20_000;
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| worker.run(&stop));
        }
        for i in 0..EACH {
            r.send(PORT_A, &from_a(&udp(A, G, (i as u16, 2), b"out")));
            r.send(UPLINK, &g_to_a().to_r());
            r.send(PORT_A, &from_a(&udp(A, C, (i as u16, 2), b"here")));
        }
        while r.sum(|counters| counters.rx.get()) < 3 * EACH {
            std::thread::yield_now();
        }
        // What is between the workers arrives.
        std::thread::sleep(std::time::Duration::from_millis(20));
        stop.store(true, Ordering::Relaxed);
    });
    let lost = r.dropped(Drop::HandoffFull);
    let left: usize = r.all().len();
    assert_eq!(left as u64 + lost, 3 * EACH, "{:?}", r.drops());
    let between = r.sum(|c| c.handed_over.get()) - r.sum(|c| c.taken_over.get());
    assert_eq!(between, 0);
}
