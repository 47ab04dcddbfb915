//! One packet to several: members of a group, everybody of a subnet.
//!
//! The sender's host makes the copies, one for each host with members and one
//! for each member of its own; a host that gets one makes those for its own
//! members and no others, so nothing goes round. Each copy goes through the
//! same rewrite as any packet. The walk leaves such a packet untouched, since
//! it ends in many ways at once, and the worker copies it here.
//!
//! Where the substrate has groups of its own ([`Native`]), one packet to such a
//! group stands for the copies to all hosts that listen; those that are said to
//! have members all the same do not listen, and get theirs.
//!
//! A packet is counted as it came; each copy beyond the first is `generated`,
//! and ends sent or dropped by name. What one packet can cause is bounded by
//! `fanout`, what one node can by `flood_rate` copies a second, and what another
//! host's packets can by `group_rate` of them.

mod members;
mod native;
mod told;

use crate::mapping::{HostIndex, Key, NodeIndex};
use crate::packet::Packet;
use crate::port::{Pool, Port};
use crate::siit::fragment::{Fit, fit};
use crate::siit::{self, Arrived, Inbound};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Layout, Mac, Mark, Vaddr, Vni, igmp, ipv4, ipv6};

pub use members::{Domain, Fans, Filter, Member, Members, VnetGroups};
pub use native::Native;
pub(in crate::datapath) use native::address_link;
pub use told::receivers;

use super::authorize::Permitted;
use super::classify::Incoming;
use super::given;
use super::lane::Lane;
use super::misdirected::Way;
use super::parse::{self, FromNode, FromSubstrate, NodeNet, SubstrateNet};
use super::rewrite::{self, Cut, Toward};
use super::topology::{HostRecord, NodeRecord};
use super::{Context, Drop, Exit, Outcome, slot};

/// Whose packet is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    Node(NodeIndex),
    Substrate,
}

/// A node's packet to an address that means several.
#[cold]
pub(super) fn outward(
    cx: &Context<'_>,
    node: NodeIndex,
    record: &NodeRecord,
    ip: &ipv4::Header,
) -> Exit {
    if !record.owns(ip.src) {
        return Drop::SpoofedSource.into();
    }
    // Who else listens to a group of the substrate is not known here.
    let beyond = cx.topology.native.is_some() && ip.dst.is_multicast();
    match cx.topology.fans.find(record.vni, ip.src, ip.dst) {
        None if !beyond => Drop::NoMember.into(),
        _ => Exit::Fan(Whence::Node(node)),
    }
}

/// A packet of another host for an address that is none of our nodes'.
#[cold]
pub(super) fn inward(cx: &Context<'_>, it: &Incoming) -> Exit {
    let (vni, from, to) = (it.vni, it.packet.src(), it.packet.dst());
    let several = to.is_multicast() || to == Vaddr(u32::MAX);
    let slots = cx.topology.layout == Layout::Slot;
    let marked = slots && Mark::of(&it.packet.words.dst).is_group();
    match cx.topology.fans.find(vni, from, to) {
        Some(_) if slots && !marked => Drop::GroupBit.into(),
        Some(_) => Exit::Fan(Whence::Substrate),
        None if several => Drop::NoMember.into(),
        None if marked => Drop::GroupBit.into(),
        None => Drop::NotLocal.into(),
    }
}

/// A packet to be copied, its headers read again.
#[derive(Clone, Copy, Debug)]
struct Original<'a> {
    vni: Vni,
    src: Vaddr,
    dst: Vaddr,
    /// Bytes that belong to it; padding does not.
    len: usize,
    from: Source<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Node(Permitted<'a>),
    Substrate { l3: usize, packet: Arrived },
}

/// Where a copy goes.
#[derive(Clone, Copy, Debug)]
enum To {
    /// All hosts that listen to a group of the substrate.
    Listeners,
    Host(HostIndex),
    Node(NodeIndex),
}

impl<'a> Original<'a> {
    fn read<P: Packet>(cx: &Context<'a>, packet: &P, whence: Whence) -> Result<Original<'a>, Exit> {
        match whence {
            Whence::Node(node) => Original::of_node(cx, parse::from_node(packet)?, node),
            Whence::Substrate => Original::of_substrate(cx, packet, parse::from_substrate(packet)?),
        }
    }

    fn of_node(cx: &Context<'a>, it: FromNode, node: NodeIndex) -> Result<Original<'a>, Exit> {
        let NodeNet::Ipv4(words, flow) = it.net else {
            return Err(Drop::EthertypeOther.into());
        };
        if it.source_routed {
            return Err(Drop::SourceRoute.into());
        }
        let record = cx.topology.node(node).ok_or(Drop::UnknownNode)?;
        let ip = words.header();
        let permitted = Permitted {
            node,
            record,
            vnet: cx.topology.vnet(record.vnet).ok_or(Drop::UnknownNode)?,
            l3: it.link.len as u16,
            flow,
            key: Key::new(record.vni.0, ip.dst.0),
            ip: words,
            way: Way::Direct,
        };
        Ok(Original {
            vni: record.vni,
            src: ip.src,
            dst: ip.dst,
            len: it.link.len + usize::from(ip.total_len),
            from: Source::Node(permitted),
        })
    }

    fn of_substrate<P: Packet>(
        cx: &Context<'a>,
        packet: &P,
        it: FromSubstrate,
    ) -> Result<Original<'a>, Exit> {
        let SubstrateNet::Ipv6(words) = it.net else {
            return Err(Drop::NotForUs.into());
        };
        let l3 = it.link.len;
        let rest = packet.head().get(l3 + ipv6::HEADER_LEN..).unwrap_or(&[]);
        let arrived = Arrived::after(words, rest)?;
        Ok(Original {
            vni: Vni(cx.topology.layout.vni(&words.dst)),
            src: arrived.src(),
            dst: arrived.dst(),
            len: l3 + usize::from(arrived.header_len) + usize::from(arrived.payload_len),
            from: Source::Substrate {
                l3,
                packet: arrived,
            },
        })
    }

    fn sender(&self) -> Option<NodeIndex> {
        match &self.from {
            Source::Node(permitted) => Some(permitted.node),
            Source::Substrate { .. } => None,
        }
    }

    /// The group of the substrate that carries it, if one does.
    fn carrier(&self, cx: &Context<'a>) -> Option<&'a HostRecord> {
        let native = cx.topology.native.as_ref()?;
        self.sender()?;
        Some(native.towards(cx.topology.layout, self.dst))
    }

    /// Whether it came by a group of the substrate.
    fn came_by_group(&self) -> bool {
        match &self.from {
            Source::Node(_) => false,
            Source::Substrate { packet, .. } => packet.words.dst[0] == 0xff,
        }
    }

    /// Everybody who gets a copy: never the sender, never a host what came from
    /// a host, and no node of another subnet.
    fn receivers<'m>(
        &'m self,
        cx: &'m Context<'a>,
        members: Option<&'m Members>,
    ) -> impl Iterator<Item = To> + 'm {
        let hosts = match (&self.from, members) {
            (Source::Node(_), Some(members)) => &members.hosts[..],
            _ => &[],
        };
        let near = move |member: &&Member| {
            let record = cx.topology.node(member.node);
            Some(member.node) != self.sender()
                && member.filter.admits(self.src)
                && record.is_some_and(|record| {
                    record.vni == self.vni && record.segment.prefix.contains(self.src)
                })
        };
        let nodes = members.map_or(&[][..], |members| &members.nodes);
        let nodes = nodes.iter().filter(near);
        let listeners = self.carrier(cx).map(|_| To::Listeners);
        let hosts = hosts.iter().map(|host| To::Host(*host));
        let hosts = listeners.into_iter().chain(hosts);
        hosts.chain(nodes.map(|member| To::Node(member.node)))
    }

    /// What one copy becomes.
    fn rewrite<P: Packet>(
        &self,
        cx: &Context<'_>,
        packet: &mut P,
        to: To,
        id: u16,
    ) -> Result<Outcome, Exit> {
        match (&self.from, to) {
            (Source::Node(it), To::Host(host)) => {
                let record = cx.topology.host(host).ok_or(Drop::NoNeighbor)?;
                let to = Toward::Host(host, slot::of_group(cx.topology));
                to_host(cx, packet, it, (to, record))
            }
            (Source::Node(it), To::Listeners) => {
                let group = self.carrier(cx).ok_or(Drop::NoNeighbor)?;
                let sent = to_host(cx, packet, it, (Toward::Listeners, group))?;
                if let Outcome::Send { .. } = sent {
                    self.address_link(cx, packet)?;
                }
                Ok(sent)
            }
            (Source::Node(it), To::Node(node)) => {
                let record = cx.topology.node(node).ok_or(Drop::NotLocal)?;
                let (l3, len) = (usize::from(it.l3), it.ip.header().total_len);
                self.for_member(cx, packet, record, (l3, len))
            }
            (Source::Substrate { l3, packet: it }, To::Node(node)) => {
                let record = cx.topology.node(node).ok_or(Drop::NotLocal)?;
                packet.truncate(self.len);
                let translation = Inbound {
                    checksum_delta: siit::address_delta_of(&it.words.src, &it.words.dst),
                    id,
                };
                let bytes = packet.head_mut().get_mut(*l3..).ok_or(Drop::HeadersSplit)?;
                let restored = siit::inbound(bytes, it, &translation)?;
                let len = restored.header.total_len;
                self.for_member(cx, packet, record, (l3 + restored.offset, len))
            }
            (Source::Substrate { .. }, To::Host(_) | To::Listeners) => Err(Drop::NotLocal.into()),
        }
    }

    fn address_link<P: Packet>(&self, cx: &Context<'_>, packet: &mut P) -> Result<(), Drop> {
        native::address_link(cx.topology.layout, (self.vni, self.dst), packet)
    }

    /// Puts the link header of the group in front of a packet whose IPv4
    /// header begins at `l3`.
    fn for_member<P: Packet>(
        &self,
        cx: &Context<'_>,
        packet: &mut P,
        node: &NodeRecord,
        (l3, len): (usize, u16),
    ) -> Result<Outcome, Exit> {
        let port = cx.topology.port(node.port).ok_or(Drop::NotLocal)?;
        if len > port.mtu {
            return Err(Drop::TooBig.into());
        }
        packet.truncate(l3 + usize::from(len));
        let link = ethernet::Header {
            destination: match self.dst.is_multicast() {
                true => igmp::mac_of(self.dst),
                false => Mac::BROADCAST,
            },
            source: given::seen(cx, node, self.src),
            vlan: (node.vlan != 0).then_some(node.vlan),
            ethertype: ethertype::IPV4,
            len: 0,
        };
        rewrite::replace_link(packet, l3, &link)?;
        Ok(Outcome::Send {
            port: node.port,
            options_removed: false,
        })
    }
}

/// Nobody is told of a group's packet that is too big: RFC 1122 section 3.2.2.
fn to_host<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: &Permitted<'_>,
    (to, host): (Toward, &HostRecord),
) -> Result<Outcome, Exit> {
    let mark = slot::of_group(cx.topology);
    match fit(&it.ip.header(), host.mtu) {
        Fit::Whole => rewrite::to_substrate(cx, packet, it, (host, mark)),
        Fit::Split => Ok(Outcome::Split(Cut {
            node: it.node,
            to,
            key: it.key,
            l3: it.l3,
            flow: it.flow,
            hops: 0,
        })),
        Fit::TooBig { .. } => Err(Drop::TooBig.into()),
        Fit::Overlong => Err(Drop::BadFragment.into()),
    }
}

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Lane<Io, Po> {
    /// Copies a packet to everybody it is for. The last of them gets the packet
    /// itself.
    #[cold]
    pub(super) fn fan(&mut self, cx: &Context<'_>, packet: Io::Packet, whence: Whence, now: u64) {
        let original = match Original::read(cx, &packet, whence) {
            Ok(original) => original,
            Err(exit) => return self.counters.count(why(exit)),
        };
        let fans = &cx.topology.fans;
        let members = fans.find(original.vni, original.src, original.dst);
        if original.came_by_group() {
            self.counters.native_received.add(1);
        }
        let id = self.fresh.of(0);
        self.fresh.advance(1);
        let (mut last, mut stopped) = (None, None);
        for (n, to) in original.receivers(cx, members).enumerate() {
            stopped = self.may_copy(cx, n, &original, now).err();
            if stopped.is_some() {
                break;
            }
            if let Some(to) = last.replace(to) {
                self.copy(cx, &packet, &original, (to, id));
            }
        }
        match (last, stopped) {
            (Some(to), None) => self.deliver(cx, packet, &original, (to, id)),
            (None, stopped) => self.counters.count(stopped.unwrap_or(Drop::NoMember)),
            (Some(to), Some(why)) => {
                // Stands for all the copies that are not made.
                self.counters.generated.add(1);
                self.counters.count(why);
                self.deliver(cx, packet, &original, (to, id));
            }
        }
    }

    /// Whether a further copy may be made; `n` there are.
    fn may_copy(
        &mut self,
        cx: &Context<'_>,
        n: usize,
        original: &Original<'_>,
        now: u64,
    ) -> Result<(), Drop> {
        if n >= self.settings.fanout as usize {
            return Err(Drop::FanoutLimited);
        }
        match &original.from {
            Source::Node(it) => match self.flood_limit.allow(it.node.index(), now) {
                true => Ok(()),
                false => Err(Drop::FloodLimited),
            },
            Source::Substrate { packet, .. } => {
                let locator = cx.topology.layout.locator(&packet.words.src);
                let host = cx.topology.host_by_locator.get(&locator);
                // A host that is gone shares the last bucket.
                let bucket = host.map_or(usize::MAX, |host| host.index());
                match self.group_limit.allow(bucket, now) {
                    true => Ok(()),
                    false => Err(Drop::GroupLimited),
                }
            }
        }
    }

    fn copy(
        &mut self,
        cx: &Context<'_>,
        packet: &Io::Packet,
        original: &Original<'_>,
        to: (To, u16),
    ) {
        self.counters.generated.add(1);
        let Some(mut copy) = self.pool.alloc() else {
            return self.counters.count(Drop::NoBuffer);
        };
        let mut copied = Ok(());
        packet.visit(0, original.len, |bytes| {
            copied = copied.and_then(|()| copy.append(bytes));
        });
        match copied {
            Ok(()) => self.deliver(cx, copy, original, to),
            Err(_) => self.counters.count(Drop::NoBuffer),
        }
    }

    fn deliver(
        &mut self,
        cx: &Context<'_>,
        mut packet: Io::Packet,
        original: &Original<'_>,
        (to, id): (To, u16),
    ) {
        let made = original.rewrite(cx, &mut packet, to, id);
        if let (To::Listeners, Ok(_)) = (to, &made) {
            self.counters.native_sent.add(1);
        }
        match made {
            Ok(Outcome::Send {
                port,
                options_removed,
            }) => {
                self.counters.replicated.add(1);
                if options_removed {
                    self.counters.options_removed.add(1);
                }
                self.send(port, packet);
            }
            Ok(Outcome::Split(cut)) => {
                self.counters.replicated.add(1);
                self.split(cx, &packet, cut);
            }
            Ok(Outcome::Cut(_)) => self.counters.count(Drop::TooBig),
            Err(exit) => self.counters.count(why(exit)),
        }
    }
}

/// Where an exit ends for a copy: nobody waits for one, and nobody is told.
fn why(exit: Exit) -> Drop {
    match exit {
        Exit::Drop(why)
        | Exit::Foreign { why }
        | Exit::Refuse { why, .. }
        | Exit::Tell { why, .. }
        | Exit::Hold { why, .. } => why,
        Exit::Pass { .. } | Exit::Punt(_) | Exit::Fan(_) => Drop::NotForUs,
    }
}
