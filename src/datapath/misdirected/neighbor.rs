//! To the virtual MAC of another node than the address names.
//!
//! A node may route: it has addresses behind it, and its neighbours reach them
//! by its MAC. Whether it has this one is for the table to say, so that is
//! decided in [`route`](crate::datapath::route).

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit};
use crate::wire::Vaddr;

pub(super) fn decide(_: &Context<'_>, it: &Frame<'_>, address: Vaddr) -> Result<Way, Exit> {
    match it.record.segment.prefix.contains(address) {
        true => Ok(Way::Via(address)),
        false => Err(Drop::MacMismatch.into()),
    }
}
