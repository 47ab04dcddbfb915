//! What connections begin with, in vnets that lower it.

use weft::datapath::topology::Topology;
use weft::packet::{Buffer, Meta, Offload};
use weft::wire::{Vaddr, checksum};

use super::common::across;
use super::common::frames::*;
use super::common::topology::*;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A segment that offers `mss`, between other options.
fn offering(to: Vaddr, flags: u8, mss: u16) -> Ip {
    let mut packet = tcp(A, to, (4000, 80), b"");
    let segment = &mut packet.payload;
    segment.truncate(20);
    segment.extend([1, 3, 3, 7, 2, 4]);
    segment.extend(mss.to_be_bytes());
    segment[12] = 7 << 4;
    segment[13] = flags;
    segment[16..18].fill(0);
    let sum = checksum::fold(pseudo(to, 28) + checksum::sum(segment));
    segment[16..18].copy_from_slice(&(!sum).to_be_bytes());
    packet
}

fn pseudo(to: Vaddr, len: u64) -> u64 {
    checksum::sum(&A.0.to_be_bytes()) + checksum::sum(&to.0.to_be_bytes()) + 6 + len
}

/// The offer of a frame that came out, whose checksum is right.
fn offered(frame: &[u8], to: Vaddr) -> u16 {
    // Behind whichever link header.
    let segment = &frame[frame.len() - 28..];
    assert_eq!(
        checksum::fold(pseudo(to, 28) + checksum::sum(segment)),
        0xffff
    );
    u16::from_be_bytes([segment[26], segment[27]])
}

#[test]
fn syns_offer_no_more_than_the_vnet_allows() {
    let clamps = |topology: &mut Topology| topology.vnets[0].mss = 1400;
    let mut r = with(setup_r(), clamps).start();
    // The one that delivers has no say.
    let mut s = setup_s().start();
    for (flags, offer, wanted) in [
        (SYN, 1460, 1400),
        (SYN | ACK, 1460, 1400),
        (SYN, 1400, 1400),
        (SYN, 536, 536),
        (ACK, 1460, 1460),
    ] {
        r.send(PORT_A, &from_a(&offering(G, flags, offer)));
        r.settle();
        assert_eq!(across(&r, &mut s), 1);
        let frame = s.drain(PORT_G).remove(0);
        assert_eq!(offered(&frame, G), wanted, "{flags} {offer}");
        let out = r.carry_to(PORT_A, &from_a(&offering(C, flags, offer)), PORT_C);
        assert_eq!(offered(&out, C), wanted, "{flags} {offer}, a neighbour");
    }
}

/// What a guest leaves to its device is completed with the lowered offer in it.
#[test]
fn a_partial_checksum_is_completed_over_what_is_offered() {
    let mut r = with(setup_r(), |topology| topology.vnets[0].mss = 1400).start();
    let mut packet = offering(C, SYN, 1460);
    let partial = checksum::fold(pseudo(C, 28));
    packet.payload[16..18].copy_from_slice(&partial.to_be_bytes());
    let meta = Meta {
        offload: Offload::PARTIAL,
        ..Meta::default()
    };
    r.wires[usize::from(PORT_A)].send_packet(Buffer::new(&from_a(&packet)), meta);
    r.settle();
    assert_eq!(offered(&r.drain(PORT_C).remove(0), C), 1400);
}

/// Nobody else's connections are looked into.
#[test]
fn other_vnets_offer_what_they_like() {
    let mut r = with(setup_r(), |topology| topology.vnets[1].mss = 1400).start();
    let out = r.carry_to(PORT_A, &from_a(&offering(C, SYN, 9000)), PORT_C);
    assert_eq!(offered(&out, C), 9000);
}
