//! To a MAC that was never handed out in this vnet: what a node remembers from
//! elsewhere, or was given by hand.

use super::{Frame, Way};
use crate::datapath::segments::NONE;
use crate::datapath::{Context, Drop, Exit};
use crate::wire::Vaddr;

/// Dropped, unless the vnet lets the address alone decide: to a neighbour, or
/// by the gateway to all others, as the node itself should have known.
pub(super) fn decide(cx: &Context<'_>, it: &Frame<'_>) -> Result<Way, Exit> {
    let vnet = cx.topology.vnet(it.record.vnet);
    if !vnet.is_some_and(|vnet| vnet.resolves) {
        return Err(Drop::MacMismatch.into());
    }
    let (segment, to) = (&it.record.segment, it.ip.dst);
    let subnet = cx.topology.subnets.get(segment.subnet as usize);
    if to == Vaddr::BROADCAST || subnet.is_some_and(|subnet| subnet.is_broadcast(to)) {
        return Err(Drop::Broadcast.into());
    }
    if let Some(router) = cx.topology.router_near(it.record, to) {
        return Ok(Way::Router(router));
    }
    match segment.prefix.contains(to) {
        true => Ok(Way::Direct),
        false if segment.gateway != NONE => Ok(Way::Router(segment.gateway)),
        false => Err(Drop::WrongSubnet.into()),
    }
}
