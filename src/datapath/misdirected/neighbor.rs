//! To the virtual MAC of another node than the address names.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit};
use crate::wire::Vaddr;

pub(super) fn decide(_: &Context<'_>, _: &Frame<'_>, _: Vaddr) -> Result<Way, Exit> {
    Err(Drop::MacMismatch.into())
}
