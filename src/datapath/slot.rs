//! Layout `slot`: what the eight bits between locator and vni say of a packet.
//!
//! A node's packet bears its slot, and the slot of the node it is for where
//! the mapping has one. (vni, IPv4) names a node as in all layouts, so the slot
//! beside it decides nothing; a mapping that has none does no harm. It decides
//! where (vni, IPv4) names what is *behind* a node, and only that node's place
//! is known: then U/L is set, and the slot wins over whatever the table says.
//!
//! Nearly all packets have no flag and are plain. What is here is for the
//! walk, and apart from it: other layouts pay for one comparison a stage.

use crate::mapping::{Found, Mapping, NodeIndex, Target};
use crate::siit;
use crate::wire::{Layout, Mark, Saddr, Vaddr};

use super::classify::Incoming;
use super::resolve::Inward;
use super::topology::{NodeRecord, Topology};
use super::{Context, Drop, Exit, Punt, fan, rewrite};

/// Which node is in which slot; of no other layout any.
#[derive(Clone, Debug, Default)]
pub struct Slots(Vec<Option<NodeIndex>>);

impl Slots {
    pub fn put(&mut self, mark: Mark, node: NodeIndex) {
        self.0.resize(Mark::SLOTS, None);
        if let Some(place) = self.0.get_mut(usize::from(mark.slot())) {
            *place = Some(node);
        }
    }

    pub fn get(&self, mark: Mark) -> Option<NodeIndex> {
        *self.0.get(usize::from(mark.slot()))?
    }
}

/// The mark of the copies of a packet that is for several.
pub(super) fn of_group(topology: &Topology) -> Mark {
    match topology.layout {
        Layout::Slot => Mark::GROUP,
        Layout::P72 | Layout::P64 => Mark::NONE,
    }
}

/// Both addresses of a packet with their marks, and the checksum's delta.
#[cold]
#[inline(never)]
pub(super) fn ends(
    node: &NodeRecord,
    source: Vaddr,
    (destination, mark): (Saddr, Mark),
) -> (Saddr, Saddr, u16) {
    let source = self::source(Layout::Slot, node, source);
    let destination = mark.on(destination);
    let delta = siit::address_delta_of(&source, &destination);
    (source, destination, delta)
}

/// The substrate address of a node for a source of its: what is behind it is
/// marked as others mark it.
pub(super) fn source(layout: Layout, node: &NodeRecord, address: Vaddr) -> Saddr {
    let saddr = rewrite::with_vaddr(node.saddr, address);
    match layout == Layout::Slot && node.has_behind(address) {
        true => Mark::NONE.forwarded().on(saddr),
        false => saddr,
    }
}

/// Whether a destination is mapped to the node that a mapping is of: to its
/// host, and to its slot if both have one. Slot 0 is also what one without has.
pub(super) fn is_behind(next: &Mapping, mapping: &Mapping) -> bool {
    let slots = mapping.mark.is_forwarded() && next.mark != Mark::NONE;
    next.target == mapping.target && (!slots || mapping.mark.slot() == next.mark.slot())
}

/// No packet comes from several nodes.
pub(super) fn is_a_source(incoming: &Incoming) -> bool {
    !Mark::of(&incoming.packet.words.src).is_group()
}

/// Who gets a packet of the substrate, if its mark says so; `None` where the
/// table decides.
#[cold]
#[inline(never)]
pub(super) fn inward<'a>(
    cx: &Context<'a>,
    incoming: &'a Incoming,
    found: Found,
) -> Option<Result<Inward<'a>, Exit>> {
    let mark = Mark::of(&incoming.packet.words.dst);
    if mark.is_group() {
        return Some(Err(fan::inward(cx, incoming)));
    }
    let several = incoming.packet.dst();
    match several.is_multicast() || several == Vaddr::BROADCAST {
        true => Some(Err(Drop::GroupBit.into())),
        false if mark.is_forwarded() => Some(by_slot(cx, incoming, (mark, found))),
        false => None,
    }
}

/// The node in the slot, whatever (vni, IPv4) names; but never one of another
/// vnet.
fn by_slot<'a>(
    cx: &Context<'a>,
    incoming: &'a Incoming,
    (mark, found): (Mark, Found),
) -> Result<Inward<'a>, Exit> {
    let node = cx.topology.slots.get(mark);
    let Some((node, record)) = node.and_then(|node| Some((node, cx.topology.node(node)?))) else {
        return Err(nobody(cx, found));
    };
    match record.vni == incoming.vni {
        true => Ok(Inward {
            incoming,
            node,
            record,
        }),
        false => Err(Drop::SlotVnet.into()),
    }
}

/// Who still writes to what was here is told, as where the table decides.
fn nobody(cx: &Context<'_>, found: Found) -> Exit {
    match found.mapping() {
        Some(mapping) if mapping.target == Target::Gone && !mapping.is_expired(cx.seconds) => {
            Exit::Punt(Punt::Gone)
        }
        _ => Drop::UnknownSlot.into(),
    }
}
