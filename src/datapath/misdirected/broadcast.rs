//! To everybody on the link.

use super::{Frame, Way};
use crate::datapath::{Context, Drop, Exit, fan};

/// Not every broadcast frame is a broadcast: what is for one node is sent to
/// that node, or not at all (RFC 1122 section 3.3.6).
pub(super) fn decide(cx: &Context<'_>, it: &Frame<'_>) -> Result<Way, Exit> {
    let (fans, vni) = (&cx.topology.fans, it.record.vni);
    if !fans.has_broadcasts(vni) {
        return Err(Drop::Broadcast.into());
    }
    if !it.record.owns(it.ip.src) {
        return Err(Drop::SpoofedSource.into());
    }
    match fans.everybody(vni, it.ip.src, it.ip.dst) {
        Some(_) => Err(fan::outward(cx, it.node, it.record, &it.ip)),
        None => Err(Drop::MacMismatch.into()),
    }
}
