//! To everybody on the link.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit};

pub(super) fn decide(_: &Context<'_>, _: &Frame<'_>) -> Result<Way, Exit> {
    Err(Drop::Broadcast.into())
}
