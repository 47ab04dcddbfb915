//! To a MAC that the node of the address was given, now or lately.

use super::{Frame, Way, neighbor};
use crate::datapath::given::Given;
use crate::datapath::{Context, Exit};
use crate::mapping::Key;

/// `None` of what is none; a computed MAC has been looked for before.
pub(super) fn decide(cx: &Context<'_>, it: &Frame<'_>) -> Option<Result<Way, Exit>> {
    let (vni, to) = (it.record.vni, it.ip.dst);
    let key = Key::new(vni.0, to.0);
    let now = it.record.sees_given.then(|| Given::of(cx).owner(vni, to));
    match now.flatten().filter(|owner| owner.mac == it.destination) {
        // What is behind a node is in no subnet: the node itself has to be.
        Some(owner) if !it.record.segment.prefix.contains(to) => match owner.node {
            Some(node) if node.vaddr != to => Some(neighbor::decide(cx, it, node.vaddr)),
            _ => Some(Ok(Way::Direct)),
        },
        Some(_) => Some(Ok(Way::Direct)),
        None if cx.topology.former_macs.has(key, it.destination, cx.seconds) => {
            Some(Ok(Way::Direct))
        }
        None => None,
    }
}
