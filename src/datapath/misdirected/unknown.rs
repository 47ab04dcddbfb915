//! To a MAC that was never handed out in this vnet.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit};

pub(super) fn decide(_: &Context<'_>, _: &Frame<'_>) -> Result<Way, Exit> {
    Err(Drop::MacMismatch.into())
}
