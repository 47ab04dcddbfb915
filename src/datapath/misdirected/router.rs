//! To the virtual MAC of a router.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit};
use crate::wire::Vaddr;

/// Only a router of the sender's own subnet hears it.
pub(super) fn decide(cx: &Context<'_>, it: &Frame<'_>, address: Vaddr) -> Result<Way, Exit> {
    match cx.topology.router_near(it.record, address) {
        // No router passes on what is for a whole link.
        Some(_) if it.ip.dst == Vaddr::BROADCAST => Err(Drop::Broadcast.into()),
        Some(iface) => Ok(Way::Router(iface)),
        None => Err(Drop::MacMismatch.into()),
    }
}
