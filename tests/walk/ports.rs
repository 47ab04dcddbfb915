//! Ports that come and go under a worker.

use weft::datapath::Drop;
use weft::datapath::ports::{PortHandles, SPARE, Swap, rings};
use weft::port::memory::{MemoryPort, Wire};

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};

/// One worker, to which ports can be added.
fn growing(setup: Setup) -> (Host, PortHandles<MemoryPort>) {
    let mut host = setup.start();
    let (ends, mut handles) = rings(1, SPARE);
    let workers = std::mem::take(&mut host.workers).into_iter();
    host.workers = workers
        .zip(ends)
        .map(|(worker, ends)| worker.with_ports(ends))
        .collect();
    (host, handles.remove(0))
}

/// Workers look for ports once in many rounds.
fn many_rounds(host: &mut Host) {
    for _ in 0..256 {
        host.workers[0].round();
    }
}

fn swap(handles: &mut PortHandles<MemoryPort>, slot: u16, io: MemoryPort, ticket: u32) {
    let swap = Swap {
        slot,
        io,
        transmitter: 0,
        ticket,
    };
    handles.to_worker.push(swap).ok().unwrap();
}

#[test]
fn a_port_takes_the_place_of_another_and_gives_it_back() {
    let (mut r, mut handles) = growing(setup_r());
    r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    let other = Wire::new();
    swap(&mut handles, PORT_A, other.port(), 7);
    assert!(handles.back.pop().is_err(), "not before the worker looks");
    many_rounds(&mut r);
    let (ticket, old) = handles.back.pop().unwrap();
    assert_eq!(ticket, 7);
    assert_eq!(r.counters[0].ports[usize::from(PORT_A)].rx_packets.get(), 0);
    other.send(&from_a(&hello()));
    r.settle();
    assert!(r.receive(UPLINK).is_some());
    assert_eq!(r.counters[0].ports[usize::from(PORT_A)].rx_packets.get(), 1);
    // Nobody polls the old one any more, and it still is one.
    r.send(PORT_A, &from_a(&hello()));
    r.settle();
    assert!(r.receive(UPLINK).is_none());
    swap(&mut handles, PORT_A, old, 8);
    many_rounds(&mut r);
    assert!(r.receive(UPLINK).is_some());
    // For the balance that every test ends with: two went with their ports.
    let counters = &r.counters[0].ports[usize::from(PORT_A)];
    assert_eq!(counters.rx_packets.get(), 1);
    counters.rx_packets.add(2);
}

#[test]
fn what_is_for_a_port_that_is_gone_drops_by_name() {
    let (mut r, mut handles) = growing(setup_r());
    swap(&mut handles, PORT_A, Wire::new().absent(), 1);
    many_rounds(&mut r);
    r.send(UPLINK, &g_to_a().to_r());
    r.settle();
    assert_eq!(r.counters[0].dropped(), 1);
    assert_eq!(
        r.counters[0].drops[Drop::HandoffFull as usize].get(),
        1,
        "no worker has a queue to send on"
    );
}

#[test]
fn ports_are_added_where_there_is_room_only() {
    let (mut r, mut handles) = growing(setup_r());
    let (next, wire) = (r.wires.len() as u16, Wire::new());
    // Tests leave room for the ports of the topology and no more.
    swap(&mut handles, next, wire.port(), 3);
    many_rounds(&mut r);
    let (ticket, _) = handles.back.pop().unwrap();
    assert_eq!(ticket, 3, "given back");
    r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
}
