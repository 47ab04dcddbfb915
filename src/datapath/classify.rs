//! Stage *classify*: whose frame is it, and where does it want to go.
//!
//! The sender's vnet comes from its binding alone. Nothing in a packet can
//! name another one.

use crate::mapping::NodeIndex;
use crate::packet::{Meta, Packet};
use crate::siit;
use crate::wire::{Mac, Saddr, Vni, ethernet, ipv4, ipv6, protocol};

use super::misdirected::{self, Frame, Way};
use super::parse::{FromNode, FromSubstrate, NodeNet, SubstrateNet};
use super::topology::{NodeRecord, PortRecord};
use super::{Context, Drop, Exit, Punt};

/// An IPv4 packet of a node we know.
#[derive(Clone, Copy, Debug)]
pub struct Classified<'t> {
    pub node: NodeIndex,
    pub record: &'t NodeRecord,
    pub l3: u16,
    pub flow: u32,
    pub ip: ipv4::Words,
    pub way: Way,
}

/// A substrate packet for the locator.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    pub l3: u16,
    pub source_vni: Vni,
    pub vni: Vni,
    pub packet: siit::Arrived,
}

#[inline(always)]
pub fn from_node<'t, P: Packet>(
    cx: &Context<'t>,
    (port, meta): (Option<&PortRecord>, &Meta),
    packet: &P,
    it: FromNode,
) -> Result<Classified<'t>, Exit> {
    let port = port.ok_or(Drop::UnknownNode)?;
    let vlan = tag(&it.link, meta).ok_or(Drop::EthertypeVlan)?;
    let node = port
        .nodes
        .find(vlan, it.link.source)
        .ok_or(Drop::UnknownNode)?;
    let NodeNet::Ipv4(words, flow) = it.net else {
        return Err(Exit::Punt(match it.net {
            NodeNet::Rarp => Punt::Rarp { node },
            _ => Punt::Arp { node },
        }));
    };
    let ip = words.header();
    let record = cx.topology.node(node).ok_or(Drop::UnknownNode)?;
    let mut way = Way::Direct;
    let direct = it.link.destination == record.neighbors.member(ip.dst);
    if !direct || ip.dst.is_multicast() || record.serves_dhcp {
        let frame = Frame {
            node,
            record,
            destination: it.link.destination,
            ip,
            packet: packet.head().get(it.link.len..).unwrap_or(&[]),
        };
        way = misdirected::sort(cx, &frame)?;
    }
    if it.source_routed {
        return Err(Exit::Refuse {
            why: Drop::SourceRoute,
            node,
            mtu: 0,
        });
    }
    Ok(Classified {
        node,
        record,
        l3: it.link.len as u16,
        flow,
        ip: words,
        way,
    })
}

/// The frame's tag, 0 without one, whoever took it off. `None` if one more is
/// behind the tag that the device took off: the device's stands for the wire,
/// so another one must not name a node.
#[inline]
pub fn tag(link: &ethernet::Header, meta: &Meta) -> Option<u16> {
    match (link.vlan, meta.vlan) {
        (tag, 0) => Some(tag.unwrap_or(0)),
        (None, taken_off) => Some(taken_off),
        (Some(_), _) => None,
    }
}

#[inline(always)]
pub fn from_substrate<P: Packet>(
    cx: &Context<'_>,
    (port, meta): (Option<&PortRecord>, &Meta),
    packet: &P,
    it: FromSubstrate,
) -> Result<Incoming, Exit> {
    let port = port.ok_or(Drop::NotForUs)?;
    if tag(&it.link, meta) != Some(port.vlan.unwrap_or(0)) {
        return Err(Drop::WrongVlan.into());
    }
    let SubstrateNet::Ipv6(ip) = it.net else {
        return Err(other(port, Drop::NoExceptionPort));
    };
    let layout = cx.topology.layout;
    let ours = cx
        .topology
        .locator
        .is_some_and(|own| own.bits() == layout.locator(&ip.dst));
    let managed = ours && it.link.destination == port.mac && layout.vni(&ip.dst) != 0;
    if !managed && !is_for_a_group(cx, meta.port, &it.link, &ip) {
        return Err(to_the_host(
            cx,
            port,
            it.link.destination,
            (ip.dst, ip.header().next_header),
        ));
    }
    if packet.is_shared() {
        return Err(Drop::BufferShared.into());
    }
    let rest = packet
        .head()
        .get(it.link.len + ipv6::HEADER_LEN..)
        .unwrap_or(&[]);
    let packet = siit::Arrived::after(ip, rest).map_err(|why| foreign(cx, &ip, why))?;
    Ok(Incoming {
        l3: it.link.len as u16,
        source_vni: Vni(layout.vni(&ip.src)),
        vni: Vni(layout.vni(&ip.dst)),
        packet,
    })
}

/// A packet for a group of the substrate that nodes here have joined. What has
/// a hop-by-hop header is no node's: MLD asks who listens at the group itself.
#[cold]
fn is_for_a_group(cx: &Context<'_>, port: u16, link: &ethernet::Header, ip: &ipv6::Words) -> bool {
    let Some(native) = &cx.topology.native else {
        return false;
    };
    native.hears(port, &ip.dst)
        && link.destination == Mac::of_ipv6_group(ip.dst)
        && ip.header().next_header != protocol::HOP_BY_HOP
}

/// A frame that is not for a node: for the host itself, or for whoever
/// listens behind the exception port.
#[cold]
fn to_the_host(
    cx: &Context<'_>,
    port: &PortRecord,
    destination: Mac,
    (dst, next_header): (Saddr, u8),
) -> Exit {
    let group = destination.is_group();
    if !group && destination != port.mac {
        return Drop::WrongMac.into();
    }
    let proxied =
        port.nd_proxy && group && next_header == protocol::ICMPV6 && cx.topology.locator.is_some();
    if port.own.contains(&dst) || port.groups.contains(&dst) || proxied {
        return Exit::Punt(Punt::Substrate);
    }
    match &cx.topology.native {
        Some(native) if next_header == protocol::HOP_BY_HOP && native.heard.contains(&dst) => {
            Exit::Punt(Punt::Substrate)
        }
        Some(native) if native.is_group(&dst) => other(port, Drop::GroupNotHeard),
        _ => other(port, Drop::NotForUs),
    }
}

/// What no host of ours would have sent: an outsider may have.
#[cold]
fn foreign(cx: &Context<'_>, ip: &ipv6::Words, why: siit::Refusal) -> Exit {
    let exit = Exit::from(why);
    let vni = Vni(cx.topology.layout.vni(&ip.dst));
    match exit {
        // Errors of routers on the way to an outsider are control's, as all
        // are, because they come from anywhere and are limited in rate.
        Exit::Punt(_) if cx.topology.outsiders.find(vni, &ip.src).is_none() => exit,
        Exit::Punt(_) => Exit::Foreign { why: Drop::Denied },
        Exit::Drop(why) => Exit::Foreign { why },
        exit => exit,
    }
}

#[cold]
fn other(port: &PortRecord, why: Drop) -> Exit {
    match port.exception {
        Some(exception) => Exit::Pass { port: exception },
        None => why.into(),
    }
}
