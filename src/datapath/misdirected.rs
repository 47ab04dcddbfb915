//! Frames whose destination MAC is not that of the address they are for.
//!
//! Nearly all frames of nodes go to a neighbour and bear its virtual MAC; that
//! is one comparison in [`classify`](super::classify). All others come here:
//! each kind of MAC has a file of its own, which says whether such a frame goes
//! on, and by which way. So do all frames of a vnet's DHCP server.

mod broadcast;
mod dhcp;
mod given;
mod group;
mod neighbor;
mod router;
mod unknown;

use crate::mapping::NodeIndex;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, ipv4};

use super::topology::NodeRecord;
use super::{Context, Exit};

/// How a packet leaves its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// To a neighbour of its subnet.
    Direct,
    /// To a router, by this interface of its.
    Router(u32),
    /// To this node of its subnet, which is to pass it on.
    Via(Vaddr),
}

/// A frame that is not for one node that could have the address.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Who sent it.
    pub node: NodeIndex,
    pub record: &'a NodeRecord,
    pub destination: Mac,
    pub ip: ipv4::Header,
    /// From its IPv4 header on, as far as it lies in the first segment.
    pub packet: &'a [u8],
}

/// Sorts by what the MAC is.
#[cold]
#[inline(never)]
pub(super) fn sort(cx: &Context<'_>, it: &Frame<'_>) -> Result<Way, Exit> {
    if let Some(exit) = dhcp::decide(cx, it) {
        return Err(exit);
    }
    if it.destination == it.record.neighbors.member(it.ip.dst) && !it.ip.dst.is_multicast() {
        return Ok(Way::Direct);
    }
    if it.destination == Mac::BROADCAST {
        return broadcast::decide(cx, it);
    }
    if it.destination.is_group() || it.ip.dst.is_multicast() {
        return group::decide(cx, it);
    }
    match virtual_mac::recognise(it.destination, it.record.vni) {
        Some((Kind::Router, address)) => router::decide(cx, it, address),
        other => match (given::decide(cx, it), other) {
            (Some(decided), _) => decided,
            (None, Some((_, address))) => neighbor::decide(cx, it, address),
            (None, None) => unknown::decide(cx, it),
        },
    }
}
