//! Stage *authorize*: may this packet be sent, may it be delivered.
//!
//! Outbound, a node may use the addresses it is bound to and its vnet's
//! ranges. Inbound, the mapping of the sender must name the host the packet
//! came from: whoever forges a substrate source would have to sit behind that
//! very locator.

use crate::mapping::{Found, HostIndex, Key, NodeIndex, Target};
use crate::model::Verify;
use crate::wire::{Layout, Vaddr, Vni, ipv4};

use super::classify::{Classified, Incoming};
use super::misdirected::Way;
use super::topology::{NodeRecord, VnetRecord};
use super::{Context, Drop, Exit, Party, between, slot};

/// A packet that its node may send.
#[derive(Clone, Copy, Debug)]
pub struct Permitted<'t> {
    pub node: NodeIndex,
    pub record: &'t NodeRecord,
    pub vnet: &'t VnetRecord,
    pub l3: u16,
    pub flow: u32,
    pub key: Key,
    pub ip: ipv4::Words,
    pub way: Way,
}

/// A packet whose source is what it says.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    pub incoming: &'a Incoming,
}

#[inline(always)]
pub fn to_send<'t>(cx: &Context<'t>, it: Classified<'t>) -> Result<Permitted<'t>, Exit> {
    let (node, ip) = (it.record, it.ip.header());
    if !node.owns(ip.src) {
        return Err(strange(cx, (it.node, node), ip.src));
    }
    let vnet = cx.topology.vnet(node.vnet).ok_or(Drop::UnknownNode)?;
    match it.way {
        // Its routes say what it may reach.
        Way::Router(_) => {}
        _ if !vnet.contains(ip.dst) => {
            return Err(Exit::Refuse {
                why: Drop::OutsideVnet,
                node: it.node,
                mtu: 0,
            });
        }
        Way::Direct if !node.segment.prefix.contains(ip.dst) => {
            return Err(Drop::WrongSubnet.into());
        }
        _ => {}
    }
    Ok(Permitted {
        node: it.node,
        record: node,
        vnet,
        l3: it.l3,
        flow: it.flow,
        // The vni of the destination: the node's own, until a grant says
        // otherwise.
        key: Key::new(node.vni.0, ip.dst.0),
        ip: it.ip,
        way: it.way,
    })
}

/// A node sends from an address that is not its own: control may make it so,
/// and only of an address that a node of this place can have.
#[cold]
#[inline(never)]
fn strange(cx: &Context<'_>, (node, record): (NodeIndex, &NodeRecord), source: Vaddr) -> Exit {
    let vnet = cx.topology.vnet(record.vnet);
    let learns = vnet.is_some_and(|vnet| vnet.learns && vnet.contains(source));
    let of_one = source.0 != 0 && source != Vaddr::BROADCAST && !source.is_multicast();
    match learns && of_one && record.segment.prefix.contains(source) {
        true => Exit::Hold {
            why: Drop::SpoofedSource,
            key: Key::new(record.vni.0, source.0),
            whose: Party::node(node),
        },
        false => Drop::SpoofedSource.into(),
    }
}

#[inline(always)]
pub fn to_arrive<'a>(
    cx: &Context<'_>,
    it: &'a Incoming,
    source: Found,
) -> Result<Verified<'a>, Exit> {
    if it.source_vni != it.vni {
        return Err(stranger(cx, it, Drop::Denied));
    }
    if cx.topology.layout == Layout::Slot && !slot::is_a_source(it) {
        return Err(Drop::GroupBit.into());
    }
    let came_from = cx.topology.layout.locator(&it.packet.words.src);
    let host_is = |host: HostIndex| {
        cx.topology
            .host(host)
            .is_some_and(|host| host.locator.bits() == came_from)
    };
    match source.mapping() {
        Some(mapping) if !mapping.is_expired(cx.seconds) => match mapping.target {
            Target::Remote(host)
                if host_is(host) || mapping.previous_at(cx.seconds).is_some_and(host_is) =>
            {
                Ok(Verified { incoming: it })
            }
            _ => Err(unproven(cx, it, came_from, Drop::ForgedSource)),
        },
        _ => unknown_source(cx, it, came_from),
    }
}

/// The sender has no mapping: known hosts may be trusted by the vnet's rule.
#[cold]
fn unknown_source<'a>(
    cx: &Context<'_>,
    it: &'a Incoming,
    came_from: u128,
) -> Result<Verified<'a>, Exit> {
    if let Some(exit) = between::request(cx, it, came_from) {
        return Err(exit);
    }
    match vnet_of(cx, it.vni) {
        Some(Verify::Locator) if known(cx, came_from).is_some() => Ok(Verified { incoming: it }),
        _ => Err(unproven(cx, it, came_from, Drop::SourceUnknown)),
    }
}

/// A source that no mapping proves: its node may have come or moved, and its
/// packets are here before the news, if another host sent it. Nobody else has
/// anything to send.
#[cold]
fn unproven(cx: &Context<'_>, it: &Incoming, came_from: u128, why: Drop) -> Exit {
    if let Some(exit) = between::request(cx, it, came_from) {
        return exit;
    }
    match known(cx, came_from) {
        Some(host) if cx.topology.resolver => Exit::Hold {
            why,
            key: Key::new(it.source_vni.0, it.packet.src().0),
            whose: Party::host(host),
        },
        _ => stranger(cx, it, why),
    }
}

/// A source that is no host's: an outsider's flow label can look like ours.
#[cold]
fn stranger(cx: &Context<'_>, it: &Incoming, why: Drop) -> Exit {
    match cx.topology.outsiders.find(it.vni, &it.packet.words.src) {
        Some(_) => Exit::Foreign { why },
        None => why.into(),
    }
}

/// The other host of this locator.
fn known(cx: &Context<'_>, locator: u128) -> Option<HostIndex> {
    let own = cx.topology.locator.is_some_and(|own| own.bits() == locator);
    if own {
        return None;
    }
    cx.topology.host_by_locator.get(&locator).copied()
}

fn vnet_of(cx: &Context<'_>, vni: Vni) -> Option<Verify> {
    cx.topology
        .vnets
        .iter()
        .find(|vnet| vnet.vni == vni)
        .map(|vnet| vnet.verify)
}
