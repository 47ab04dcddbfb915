//! Stage *resolve*: from a tenant's address to a host and its next hop, or to
//! a node here. The table is asked for the whole burst at once, so that its
//! cache misses overlap.

use crate::mapping::{Found, HostIndex, Key, NodeIndex, SideIndex, Target};
use crate::wire::{Layout, Mark, Vaddr, Vni};

use super::authorize::{Permitted, Verified};
use super::classify::Incoming;
use super::misdirected::Way;
use super::results::Asked;
use super::topology::{NodeRecord, Topology};
use super::{Answers, BURST, Context, Drop, Exit, Party, Punt, between, fan, route, slot};

/// Where a node's packet goes.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    pub sent: &'a Permitted<'a>,
    pub to: Place<'a>,
    /// Routers that it crosses, each for one of its TTL; fewer than that.
    pub hops: u8,
    /// Of its address at a host, in layout `slot`.
    pub mark: Mark,
}

/// A host of the substrate, or a node of our own.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    Host(HostIndex),
    Node(NodeIndex, &'a NodeRecord),
    Outsider(SideIndex),
}

/// Which of our nodes a substrate packet is for.
#[derive(Clone, Copy, Debug)]
pub struct Inward<'a> {
    pub incoming: &'a Incoming,
    pub node: NodeIndex,
    pub record: &'a NodeRecord,
}

/// Fills keys that nobody asks for: vni 0 is in no table.
const NOBODY: Key = Key::new(0, 0);

pub fn destinations(cx: &Context<'_>, asked: &Asked<Permitted<'_>>) -> Answers<BURST> {
    let mut keys = [NOBODY; BURST];
    let mut found = [Found::NOTHING; BURST];
    for (key, (_, permitted)) in keys.iter_mut().zip(asked) {
        *key = permitted.key;
    }
    let n = asked.len();
    cx.mappings
        .resolve_burst(cx.pin, &keys[..n], &mut found[..n]);
    found
}

/// Sources and destinations of a burst, in one pass over the table: those of
/// packet `i` at `2 * i` and `2 * i + 1`.
pub fn both_ends(cx: &Context<'_>, asked: &Asked<Incoming>) -> Answers<{ 2 * BURST }> {
    let mut keys = [NOBODY; 2 * BURST];
    let mut found = [Found::NOTHING; 2 * BURST];
    for (ends, (_, incoming)) in keys.as_chunks_mut().0.iter_mut().zip(asked) {
        *ends = [
            Key::new(incoming.source_vni.0, incoming.packet.src().0),
            Key::new(incoming.vni.0, incoming.packet.dst().0),
        ];
    }
    let n = 2 * asked.len();
    cx.mappings
        .resolve_burst(cx.pin, &keys[..n], &mut found[..n]);
    found
}

#[inline(always)]
pub fn onward<'a>(
    cx: &Context<'a>,
    it: &'a Permitted<'a>,
    found: Found,
) -> Result<Onward<'a>, Exit> {
    let hops = match it.way {
        Way::Direct => 0,
        Way::Router(entry) => route::through(cx, it, found, entry)?,
        Way::Via(node) => route::via(cx, it, found, node).map(|()| 0)?,
    };
    let Some(mapping) = found.mapping() else {
        return Err(missing(cx, it, Drop::NoMapping));
    };
    if mapping.is_expired(cx.seconds) {
        return Err(missing(cx, it, Drop::Expired));
    }
    // Nearly all; asked for by itself, it is one comparison and no jump table.
    if let Target::Remote(host) = mapping.target {
        return Ok(Onward {
            sent: it,
            to: Place::Host(host),
            hops,
            mark: mapping.mark,
        });
    }
    let to = match mapping.target {
        Target::Remote(host) => Place::Host(host),
        Target::Local(node) if node == it.node => return Err(Drop::ToItself.into()),
        Target::Local(node) => {
            match having(cx.topology, node, Vni(it.key.vni()), Vaddr(it.key.vaddr())) {
                Some(record) => Place::Node(node, record),
                None => return Err(Drop::NotLocal.into()),
            }
        }
        Target::Blackhole => return Err(Drop::Blackholed.into()),
        Target::Side(outsider) => Place::Outsider(outsider),
        Target::Refused => return Err(refused(it, Drop::Denied)),
        Target::Gone => return Err(missing(cx, it, Drop::NoMapping)),
    };
    Ok(Onward {
        sent: it,
        to,
        hops,
        mark: Mark::NONE,
    })
}

#[inline(always)]
pub fn inward<'a>(cx: &Context<'a>, it: Verified<'a>, found: Found) -> Result<Inward<'a>, Exit> {
    let incoming = it.incoming;
    if cx.topology.layout == Layout::Slot
        && let Some(decided) = slot::inward(cx, incoming, found)
    {
        return decided;
    }
    let Some(Target::Local(node)) = found.mapping().map(|mapping| mapping.target) else {
        return Err(not_here(cx, incoming, found));
    };
    match having(cx.topology, node, incoming.vni, incoming.packet.dst()) {
        Some(record) => Ok(Inward {
            incoming,
            node,
            record,
        }),
        None => Err(not_here(cx, incoming, found)),
    }
}

/// Whoever writes to a node that was here is told, once, by control. All else
/// may be for several.
#[cold]
fn not_here(cx: &Context<'_>, incoming: &Incoming, found: Found) -> Exit {
    match found.mapping() {
        Some(mapping) if mapping.target == Target::Gone && !mapping.is_expired(cx.seconds) => {
            Exit::Punt(Punt::Gone)
        }
        _ => dhcp_between(cx, incoming).unwrap_or_else(|| fan::inward(cx, incoming)),
    }
}

fn dhcp_between(cx: &Context<'_>, incoming: &Incoming) -> Option<Exit> {
    let came_from = cx.topology.layout.locator(&incoming.packet.words.src);
    between::request(cx, incoming, came_from).or_else(|| between::answer(cx, incoming))
}

/// The node, if it has the address in this vnet. Table and topology are two
/// things that change one after the other; a frame must not reach a wrong node
/// in between.
#[inline(always)]
pub(super) fn having(
    topology: &Topology,
    node: NodeIndex,
    vni: Vni,
    address: Vaddr,
) -> Option<&NodeRecord> {
    let node = topology.node(node);
    node.filter(|node| node.vni == vni && node.owns(address))
}

/// Nobody knows the destination yet: wait if somebody can be asked, else tell
/// the sender.
#[cold]
fn missing(cx: &Context<'_>, it: &Permitted<'_>, why: Drop) -> Exit {
    if cx.topology.resolver {
        Exit::Hold {
            why,
            key: it.key,
            whose: Party::node(it.node),
        }
    } else {
        refused(it, why)
    }
}

#[cold]
fn refused(it: &Permitted<'_>, why: Drop) -> Exit {
    Exit::Refuse {
        why,
        node: it.node,
        mtu: 0,
    }
}
