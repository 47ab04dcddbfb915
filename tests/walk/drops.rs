//! Every reason to drop is produced by a packet here, alone: the tables of
//! `drops/` are the list of what the walks and the worker refuse. A reason
//! without a row fails the last assertion.

mod refused;
mod written;

use weft::datapath::Drop;

use crate::common::frames::*;
use crate::common::topology::*;
use crate::common::{Host, Setup};
use crate::{dhcp, groups, native, offload, relay, routers, slot};

type Case = (Drop, &'static str, fn() -> Host);

/// A host as given, after these frames came in by a port.
fn after(setup: Setup, port: u16, frames: &[Vec<u8>]) -> Host {
    let mut host = setup.start();
    for frame in frames {
        host.send(port, frame);
    }
    host.settle();
    host
}

fn r_after_a(frame: Vec<u8>) -> Host {
    after(setup_r(), PORT_A, &[frame])
}

fn r_after_uplink(frame: Vec<u8>) -> Host {
    after(setup_r(), UPLINK, &[frame])
}

fn transparent(change: fn(&mut Ip6)) -> Host {
    let mut packet = g_to_a();
    change(&mut packet);
    r_after_uplink(packet.to_r())
}

#[test]
fn every_reason_has_a_packet() {
    let mut wrong = Vec::new();
    let cases = || written::CASES.iter().chain(refused::CASES);
    for (why, what, produce) in cases() {
        let host = produce();
        let drops = host.drops();
        if !matches!(drops[..], [(only, n)] if only == *why && n > 0) {
            wrong.push(format!(
                "{why} ({what}): {drops:?}, sent {}",
                host.all().len()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "not the one reason:\n{}",
        wrong.join("\n")
    );
    let never: Vec<_> = Drop::ALL
        .iter()
        .filter(|why| !cases().any(|(produced, ..)| produced == *why))
        .filter(|why| !dhcp::CASES.iter().any(|(produced, ..)| produced == *why))
        .filter(|why| !groups::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !native::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !relay::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !offload::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !routers::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !slot::CASES.iter().any(|(produced, _)| produced == *why))
        .collect();
    assert!(never.is_empty(), "no packet produces {never:?}");
}

#[test]
fn no_protocol_of_a_node_becomes_a_header_of_the_substrate() {
    let mut r = setup_r().start();
    for protocol in 0..=255u8 {
        let out = r.carry(PORT_A, &from_a(&Ip::new(A, G, protocol, vec![0x55; 40])));
        let refused = [0, 43, 44, 58, 59, 60, 135, 139, 140].contains(&protocol);
        assert_eq!(out.is_empty(), refused, "protocol {protocol}");
        for (_, frame) in out {
            check_substrate_frame(&frame, false);
            assert_eq!(frame[20], protocol);
        }
    }
    assert_eq!(r.drops(), [(Drop::ProtocolNotCarried, 9)]);
}
