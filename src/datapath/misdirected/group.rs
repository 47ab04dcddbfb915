//! To a group of the link, or to a group's address.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit};

pub(super) fn decide(_: &Context<'_>, _: &Frame<'_>) -> Result<Way, Exit> {
    Err(Drop::Multicast.into())
}
