//! Packets for several nodes bear the group bit, and no others do.

use std::sync::Arc;

use weft::datapath::Drop;
use weft::datapath::fan::{Fans, Member, Members, VnetGroups};
use weft::wire::{Mac, Mark, Vaddr};

use super::{A_AT_R, after_uplink, came, ends, r, s};
use crate::common::frames::*;
use crate::common::layouts::*;
use crate::common::topology::*;
use crate::common::{Setup, across};

const GROUP: Vaddr = Vaddr(0xef01_0203);
const GROUP_MAC: Mac = Mac([1, 0, 0x5e, 1, 2, 3]);
fn grouped(setup: Setup, members: Members) -> Setup {
    let vnet = VnetGroups {
        withheld: [].into(),
        domains: [].into(),
    };
    with(setup, |topology| {
        topology.fans = Arc::new(Fans {
            vnets: [(Z, vnet)].into_iter().collect(),
            groups: [(key(Z, GROUP), members)].into_iter().collect(),
        });
    })
}

fn r_with_members() -> Setup {
    let nodes = [NODE_A, NODE_C].map(Member::of_all);
    grouped(
        r(),
        Members {
            hosts: [HOST_S].into(),
            nodes: nodes.into(),
        },
    )
}

#[test]
fn packets_for_several_bear_the_group_bit() {
    let mut r = r_with_members().start();
    let mut s = grouped(
        s(),
        Members {
            hosts: [].into(),
            nodes: [Member::of_all(NODE_G)].into(),
        },
    )
    .start();
    let sent = udp(A, GROUP, (1, 2), b"to all who listen");
    let frame = ethernet(GROUP_MAC, MAC_A, None, 0x0800, &sent.bytes());
    r.send(PORT_A, &frame);
    r.settle();
    let out = r.drain(UPLINK);
    assert_eq!(out.len(), 1);
    assert_eq!(ends(&out[0]), [A_AT_R, "2001:db8:0:b:15a:1:ef01:203"]);
    assert_eq!(r.drain(PORT_C).len(), 1);
    let got = s.carry_to(UPLINK, &out[0], PORT_G);
    assert_eq!(got[34..], sent.payload[..]);
    // So do the pieces of one that is cut.
    let large = Ip {
        df: false,
        ..udp(A, GROUP, (1, 2), &[7; 2000])
    };
    r.send(
        PORT_A,
        &ethernet(GROUP_MAC, MAC_A, None, 0x0800, &large.bytes()),
    );
    r.settle();
    assert_eq!(across(&r, &mut s), 2);
    assert_eq!(s.drain(PORT_G).len(), 2);
    assert_eq!(s.drops(), []);
    r.drain(PORT_C);
}

#[test]
fn the_group_bit_and_the_address_agree() {
    for (from, to, dst) in [
        // A group without it, alone and with a slot that decides.
        (slot(9), slot(3), GROUP),
        (slot(9), slot(3).forwarded(), GROUP),
        (slot(9), slot(3), Vaddr::BROADCAST),
        // A node with it.
        (slot(9), Mark::GROUP, A),
        // And a source that is several.
        (Mark::GROUP, slot(3), A),
    ] {
        let r = after_uplink(r_with_members(), &came(from, to, dst));
        assert_eq!(r.drops(), [(Drop::GroupBit, 1)], "{from:?} {to:?} {dst}");
    }
    // A group that nobody here has joined is no error.
    let other = Vaddr(GROUP.0 + 1);
    let r = after_uplink(r_with_members(), &came(slot(9), Mark::GROUP, other));
    assert_eq!(r.drops(), [(Drop::NoMember, 1)]);
}
