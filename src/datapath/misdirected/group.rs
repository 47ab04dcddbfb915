//! To a group of the link, or to a group's address.
//!
//! IGMP is answered by control, as ARP is, and goes no further; all else is
//! copied to the group's members.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit, Punt, fan};
use crate::wire::{igmp, protocol};

pub(super) fn decide(cx: &Context<'_>, it: &Frame<'_>) -> Result<Way, Exit> {
    let group = it.ip.dst;
    if !group.is_multicast() || it.destination != igmp::mac_of(group) {
        return Err(Drop::GroupMismatch.into());
    }
    if it.ip.protocol == protocol::IGMP {
        return Err(Exit::Punt(Punt::Igmp { node: it.node }));
    }
    if cx.topology.fans.is_withheld(it.record.vni, group) {
        return Err(Drop::GroupWithheld.into());
    }
    Err(fan::outward(cx, it.node, it.record, &it.ip))
}
