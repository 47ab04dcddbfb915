//! Stage *rewrite*: the bytes change here and nowhere else, and only for
//! packets that have passed all the stages before.

use crate::mapping::{HostIndex, Key, NodeIndex, SideIndex};
use crate::model::Dscp;
use crate::packet::{NoRoom, Packet};
use crate::siit::fragment::{Fit, fit, fit_on_link};
use crate::siit::{self, Inbound, Outbound};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Layout, Mark, Saddr, Vaddr, Vni, flow, ipv4};

use super::authorize::Permitted;
use super::resolve::{Inward, Onward, Place};
use super::topology::{HostRecord, NodeRecord};
use super::{Context, Drop, Exit, Outcome, Party, given, outsider, slot};

/// A packet that is to be cut, and where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    pub node: NodeIndex,
    pub to: Toward,
    pub key: Key,
    pub l3: u16,
    pub flow: u32,
    /// What all pieces spend of their TTL.
    pub hops: u8,
}

/// Whom the pieces are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toward {
    Host(HostIndex, Mark),
    /// A node of this host.
    Node(NodeIndex),
    /// All hosts that listen to the group of the substrate.
    Listeners,
}

impl From<NoRoom> for Exit {
    fn from(_: NoRoom) -> Exit {
        Drop::NoBuffer.into()
    }
}

/// A node's packet, towards wherever `resolve` found its destination.
#[inline(always)]
pub fn onward<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: Onward<'_>,
) -> Result<Outcome, Exit> {
    match it.to {
        Place::Host(host) => to_host(cx, packet, (it.sent, it.hops), (host, it.mark)),
        Place::Node(node, record) => to_neighbor(cx, packet, (it.sent, it.hops), (node, record)),
        Place::Outsider(outsider) => to_outsider(cx, packet, (it.sent, it.hops), outsider),
    }
}

#[inline(always)]
fn to_host<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    (it, hops): (&Permitted<'_>, u8),
    (index, mark): (HostIndex, Mark),
) -> Result<Outcome, Exit> {
    let host = cx.topology.host(index).ok_or(Drop::NoMapping)?;
    match it.ip.plain() {
        Some(ip) if fit(&ip, host.mtu) == Fit::Whole => {
            write(cx, packet, it, (host, mark, spent(ip, hops)))
        }
        _ => unusual(cx, packet, (it, hops), (index, mark)),
    }
}

/// Options, fragments, and packets that do not fit. Not cold, but apart: the
/// path of all others is compiled for constant lengths.
#[inline(never)]
fn unusual<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    (it, hops): (&Permitted<'_>, u8),
    (index, mark): (HostIndex, Mark),
) -> Result<Outcome, Exit> {
    let host = cx.topology.host(index).ok_or(Drop::NoMapping)?;
    let ip = it.ip.header();
    match fit(&ip, host.mtu) {
        Fit::Whole => write(cx, packet, it, (host, mark, spent(ip, hops))),
        less => in_pieces((it, hops), Toward::Host(index, mark), less),
    }
}

/// What goes in one piece nowhere: cut, as a router of IPv4 would, or refused.
fn in_pieces((it, hops): (&Permitted<'_>, u8), to: Toward, fit: Fit) -> Result<Outcome, Exit> {
    match fit {
        Fit::Whole | Fit::Split => Ok(Outcome::Split(Cut {
            node: it.node,
            to,
            key: it.key,
            l3: it.l3,
            flow: it.flow,
            hops,
        })),
        Fit::TooBig { mtu } => Err(Exit::Refuse {
            why: Drop::TooBig,
            node: it.node,
            mtu,
        }),
        Fit::Overlong => Err(Drop::BadFragment.into()),
    }
}

/// A header as the last router on its way passes it on. Routers pass on
/// nothing whose TTL is not larger than their number.
#[inline(always)]
fn spent(ip: ipv4::Header, hops: u8) -> ipv4::Header {
    let ttl = ip.ttl.wrapping_sub(hops);
    ipv4::Header { ttl, ..ip }
}

/// Writes link and IPv6 header over a packet that fits.
pub fn to_substrate<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: &Permitted<'_>,
    (host, mark): (&HostRecord, Mark),
) -> Result<Outcome, Exit> {
    write(cx, packet, it, (host, mark, it.ip.header()))
}

#[inline(always)]
fn write<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: &Permitted<'_>,
    (host, mark, ip): (&HostRecord, Mark, ipv4::Header),
) -> Result<Outcome, Exit> {
    let (node, vnet) = (it.record, it.vnet);
    let hop = cx.topology.hop(host, it.flow).ok_or(Drop::NoNeighbor)?;
    let l3 = usize::from(it.l3);
    packet.truncate(l3 + usize::from(ip.total_len));
    move_front(
        packet,
        hop.link_len() as isize + siit::growth(&ip) - l3 as isize,
    )?;
    let rest = hop
        .write_link(packet.head_mut())
        .ok_or(Drop::HeadersSplit)?;
    let layout = cx.topology.layout;
    let dst = layout.compose(&host.locator, Vni(it.key.vni()), ip.dst);
    let (src, dst, checksum_delta) = match layout {
        Layout::Slot => slot::ends(node, ip.src, (dst, mark)),
        Layout::P72 | Layout::P64 => {
            let parts = [node.checksum_part, host.checksum_part].map(u64::from);
            let delta = siit::address_delta(parts[0], parts[1]);
            (with_vaddr(node.saddr, ip.src), dst, delta)
        }
    };
    let translation = Outbound {
        src,
        dst,
        checksum_delta,
        mode: vnet.mode,
        traffic_class: traffic_class(vnet.dscp, ip.tos),
        entropy: flow::entropy(it.flow) & cx.topology.entropy.mask(),
    };
    siit::carry(rest, &ip, &translation)?;
    Ok(Outcome::Send {
        port: hop.port,
        options_removed: ip.has_options(),
    })
}

/// To an outsider, by routers or without: what translates it counts as one
/// more. Nothing has changed of a packet that is not sent.
fn to_outsider<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    (it, hops): (&Permitted<'_>, u8),
    index: SideIndex,
) -> Result<Outcome, Exit> {
    if hops == 0 {
        return outsider::outward(cx, packet, it, index);
    }
    let ttl = it.ip.header().ttl;
    set_ttl(packet, it.l3, ttl.wrapping_sub(hops))?;
    let sent = outsider::outward(cx, packet, it, index);
    if sent.is_err() {
        set_ttl(packet, it.l3, ttl)?;
    }
    sent
}

#[cold]
fn set_ttl<P: Packet>(packet: &mut P, l3: u16, ttl: u8) -> Result<(), Exit> {
    let header = packet.head_mut().get_mut(usize::from(l3)..);
    let header = header.and_then(|bytes| bytes.first_chunk_mut());
    ipv4::set_ttl(header.ok_or(Drop::HeadersSplit)?, ttl);
    Ok(())
}

/// To a node of this host: the link header is all that changes, and the TTL
/// behind a router.
#[inline(always)]
fn to_neighbor<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    (it, hops): (&Permitted<'_>, u8),
    (index, node): (NodeIndex, &NodeRecord),
) -> Result<Outcome, Exit> {
    let ip = it.ip.header();
    let link = link_to(cx, (node, index), (ip.src, ip.dst))?;
    let port = cx.topology.port(node.port).ok_or(Drop::NotLocal)?;
    if ip.total_len > port.mtu {
        return oversize((it, hops), index, port.mtu);
    }
    let l3 = usize::from(it.l3);
    packet.truncate(l3 + usize::from(ip.total_len));
    if hops != 0 {
        set_ttl(packet, it.l3, ip.ttl.wrapping_sub(hops))?;
    }
    replace_link(packet, l3, &link)?;
    Ok(Outcome::Send {
        port: node.port,
        options_removed: false,
    })
}

/// Larger than a node's link takes.
#[cold]
fn oversize(it: (&Permitted<'_>, u8), index: NodeIndex, mtu: u16) -> Result<Outcome, Exit> {
    let fit = fit_on_link(&it.0.ip.header(), mtu);
    in_pieces(it, Toward::Node(index), fit)
}

/// A substrate packet, to the node it is for. `i` is its place in the burst.
#[inline(always)]
pub fn inward<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: Inward<'_>,
    i: usize,
) -> Result<Outcome, Exit> {
    let id = cx.fresh.of(i);
    match it.incoming.packet.plain() {
        Some(plain) => restore(cx, packet, &it, (&plain, id)),
        None => restore_fragment(cx, packet, &it, id),
    }
}

/// Apart: the path of all others is compiled for constant lengths.
#[inline(never)]
fn restore_fragment<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: &Inward<'_>,
    id: u16,
) -> Result<Outcome, Exit> {
    restore(cx, packet, it, (&it.incoming.packet, id))
}

/// Writes link and IPv4 header over a packet from the substrate.
#[inline(always)]
fn restore<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: &Inward<'_>,
    (arrived, id): (&siit::Arrived, u16),
) -> Result<Outcome, Exit> {
    let node = it.record;
    let link = link_to(cx, (node, it.node), (arrived.src(), arrived.dst()))?;
    let port = cx.topology.port(node.port).ok_or(Drop::NotLocal)?;
    if usize::from(arrived.payload_len) + ipv4::HEADER_LEN > usize::from(port.mtu) {
        return Err(Drop::TooBig.into());
    }
    let l3 = usize::from(it.incoming.l3);
    let len = usize::from(arrived.header_len) + usize::from(arrived.payload_len);
    packet.truncate(l3 + len);
    let translation = Inbound {
        checksum_delta: siit::address_delta_of(&arrived.words.src, &arrived.words.dst),
        id,
    };
    let bytes = packet.head_mut().get_mut(l3..).ok_or(Drop::HeadersSplit)?;
    let restored = siit::inbound(bytes, arrived, &translation)?;
    replace_link(packet, l3 + restored.offset, &link)?;
    Ok(Outcome::Send {
        port: node.port,
        options_removed: false,
    })
}

/// The link header of what `node` gets from `source` at an address of its;
/// waits if the node's hardware address is not known.
#[inline(always)]
pub(super) fn link_to(
    cx: &Context<'_>,
    (node, index): (&NodeRecord, NodeIndex),
    (source, address): (Vaddr, Vaddr),
) -> Result<ethernet::Header, Exit> {
    let Some(destination) = node.mac_at(address) else {
        return Err(mac_unknown(node.vni, node.vaddr, index));
    };
    Ok(ethernet::Header {
        destination,
        source: given::seen(cx, node, source),
        vlan: (node.vlan != 0).then_some(node.vlan),
        ethertype: ethertype::IPV4,
        len: 0,
    })
}

#[cold]
fn mac_unknown(vni: Vni, vaddr: Vaddr, node: NodeIndex) -> Exit {
    Exit::Hold {
        why: Drop::NodeMacUnknown,
        key: Key::new(vni.0, vaddr.0),
        whose: Party::node(node),
    }
}

/// Puts a link header in front of the network header, which begins at `l3`.
#[inline(always)]
pub(super) fn replace_link<P: Packet>(
    packet: &mut P,
    l3: usize,
    link: &ethernet::Header,
) -> Result<(), Exit> {
    let len = ethernet::HEADER_LEN + link.vlan.map_or(0, |_| ethernet::TAG_LEN);
    move_front(packet, len as isize - l3 as isize)?;
    let front = packet.head_mut().get_mut(..len).ok_or(Drop::HeadersSplit)?;
    link.emit(front);
    Ok(())
}

/// Moves the packet's first byte outward by `n`, or inward if `n` is negative.
#[inline(always)]
pub(super) fn move_front<P: Packet>(packet: &mut P, n: isize) -> Result<(), NoRoom> {
    if n >= 0 {
        packet.prepend(n as usize)
    } else {
        packet.trim_front(n.unsigned_abs())
    }
}

/// The node's substrate address for the source it uses.
#[inline]
pub(super) fn with_vaddr(base: Saddr, vaddr: Vaddr) -> Saddr {
    (u128::from_be_bytes(base) | u128::from(vaddr.0)).to_be_bytes()
}

/// TOS on the substrate; ECN bits are the node's in any case.
#[inline]
fn traffic_class(rule: Dscp, tos: u8) -> u8 {
    match rule {
        Dscp::Copy => tos,
        Dscp::Zero => tos & 3,
        Dscp::Fixed(dscp) => dscp << 2 | tos & 3,
    }
}
