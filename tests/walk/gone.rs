//! Addresses of nodes that were here until lately.

use weft::datapath::{Drop, Punt};
use weft::mapping::{Mapping, Target};

use super::common::frames::*;
use super::common::topology::*;

fn gone(until: u32) -> Mapping {
    Mapping {
        expires: until,
        ..Mapping::new(Target::Gone)
    }
}

#[test]
fn what_comes_for_a_node_that_was_here_goes_to_control_for_a_while() {
    let mut r = setup_r().map(Z, A, gone(60)).start();
    let frame = g_to_a().to_r();
    assert_eq!(r.carry(UPLINK, &frame), []);
    let punted = r.punted();
    assert_eq!(punted.len(), 1);
    assert_eq!(punted[0].what, Punt::Gone);
    assert_eq!(punted[0].packet.frame(), &frame[..]);
    r.map(Z, A, Mapping::new(Target::Blackhole));
    assert_eq!(r.carry(UPLINK, &frame), []);
    assert_eq!(r.dropped(Drop::NotLocal), 1);
}

#[test]
fn to_its_neighbours_it_is_not_there() {
    let mut r = setup_r().map(Z, C, gone(60)).start();
    assert_eq!(r.carry(PORT_A, &from_a(&udp(A, C, (1, 2), b"anybody"))), []);
    assert_eq!(r.dropped(Drop::NoMapping), 1);
}
