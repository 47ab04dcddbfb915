//! Outsiders: IPv6 systems that no host of ours manages and that have a
//! virtual address in a vnet all the same.
//!
//! Towards them a node's packet is translated to the letter of RFC 7915, from
//! the node's substrate address to the outsider's own; from them the reverse,
//! if the outsider may write to that node. There is no mapping to hold their
//! source against: whoever can forge an IPv6 source on the substrate is the
//! outsider. So none is accepted that was not named.

use hashbrown::{HashMap, HashSet};

use crate::mapping::{Key, NodeIndex, SideIndex, Target};
use crate::model::Eam;
use crate::packet::Packet;
use crate::siit::rfc7757::Eams;
use crate::siit::rfc7915::{
    self, Addresses, ClassRule, Done, Hairpin, Mapped4, NoAddress, Refusal, Rules, UdpZero,
};
use crate::wire::address::Prefix4;
use crate::wire::{
    Layout, Locator, Saddr, Vaddr, Vni, ethernet, flow, icmpv6, ipv4, ipv6, protocol,
};

use super::authorize::Permitted;
use super::topology::{NodeRecord, PATHS, Topology};
use super::translate::{Cut, Link, Side, Whose, put, whole};
use super::{Context, Drop, Exit, Outcome, rewrite, slot};

/// More than there may be of one vnet: the store has the limit.
const MOST: usize = 1 << 24;

/// All outsiders.
#[derive(Debug, Clone, Default)]
pub struct Outsiders {
    /// By the index that the mapping table names.
    pub records: Vec<OutsiderRecord>,
    /// By vnet: which address is which.
    pub maps: HashMap<u32, Eams>,
    by_prefix: HashMap<(u32, Prefix4), SideIndex>,
}

/// One of them, or a prefix of them.
#[derive(Debug, Clone)]
pub struct OutsiderRecord {
    pub name: String,
    pub vni: Vni,
    pub prefix: Prefix4,
    /// Nodes it has to do with; all of the vnet if `None`.
    pub nodes: Option<HashSet<NodeIndex>>,
    /// How to translate, with the MTUs of both ways.
    pub rules: Rules,
    /// Next hop of each path, as those of a host.
    pub paths: [u16; PATHS],
}

impl Outsiders {
    /// Puts one in its place; an index that is left out names nobody. One whose
    /// addresses another has already is nobody's either.
    pub fn add(&mut self, (index, eam): (SideIndex, Eam), record: OutsiderRecord) {
        let map = self.maps.entry(record.vni.0);
        let map = map.or_insert_with(|| Eams::new(MOST));
        if map.insert(eam).is_err() {
            return;
        }
        let place = index.index();
        if self.records.len() <= place {
            self.records.resize_with(place + 1, OutsiderRecord::vacant);
        }
        self.by_prefix.insert((record.vni.0, record.prefix), index);
        self.records[place] = record;
    }

    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    pub fn name(&self, index: SideIndex) -> &str {
        let record = self.records.get(index.index());
        record.map_or("?", |record| &record.name)
    }

    /// The outsider of a number, if it is one of this vnet's.
    pub fn get(&self, index: SideIndex, vni: Vni) -> Option<&OutsiderRecord> {
        let record = self.records.get(index.index());
        record.filter(|record| record.vni == vni)
    }

    /// The outsider that an IPv6 address of a vnet's world belongs to.
    pub fn find(&self, vni: Vni, address: &Saddr) -> Option<&OutsiderRecord> {
        let eam = self.maps.get(&vni.0)?.find6(address)?;
        self.get(*self.by_prefix.get(&(vni.0, eam.ipv4()))?, vni)
    }
}

impl OutsiderRecord {
    fn vacant() -> OutsiderRecord {
        OutsiderRecord {
            name: String::new(),
            vni: Vni(0),
            prefix: Prefix4 {
                address: Vaddr(0),
                len: 32,
            },
            nodes: None,
            rules: rules(0, 0),
            paths: [super::topology::NO_HOP; PATHS],
        }
    }

    /// Whether it and the node may write to each other.
    pub fn admits(&self, node: NodeIndex) -> bool {
        self.nodes
            .as_ref()
            .is_none_or(|nodes| nodes.contains(&node))
    }
}

/// How packets of outsiders are translated. IPv4 packets that may be cut are
/// cut to what every IPv6 path takes.
pub fn rules(mtu4: u16, mtu6: u16) -> Rules {
    Rules {
        traffic_class: ClassRule::Copy,
        tos: ClassRule::Copy,
        udp_zero: UdpZero::Compute,
        hairpin: Hairpin::Off,
        mtu4,
        mtu6,
        lowest_ipv6_mtu: ipv6::MIN_MTU as u16,
        mtu_plateaus: vec![4352, 2002, 1492, 1006, 508, 296, 68],
        error_source_extension: false,
    }
}

/// Whose address is whose, seen from one vnet on this host: outsiders' by
/// their table, all others are nodes here.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    layout: Layout,
    locator: &'a Locator,
    node: &'a NodeRecord,
    outsiders: &'a Eams,
}

impl<'a> World<'a> {
    /// As the node has to do with it.
    pub fn of(topology: &'a Topology, node: &'a NodeRecord) -> Option<World<'a>> {
        Some(World {
            layout: topology.layout,
            locator: topology.locator.as_ref()?,
            node,
            outsiders: topology.outsiders.maps.get(&node.vni.0)?,
        })
    }

    fn own_address(&self, address: Vaddr) -> Saddr {
        match self.node.owns(address) {
            true => slot::source(self.layout, self.node, address),
            false => self.layout.compose(self.locator, self.node.vni, address),
        }
    }
}

impl Addresses for World<'_> {
    fn to_ipv6(&self, address: Vaddr, _: bool) -> Result<Saddr, NoAddress> {
        Ok(match self.outsiders.find4(address) {
            Some(outsider) => outsider.to_ipv6(address),
            None => self.own_address(address),
        })
    }

    fn to_ipv4(&self, address: &Saddr) -> Result<Mapped4, NoAddress> {
        let vni = self.layout.vni(address);
        let here = self.locator.contains(address) && vni == self.node.vni.0;
        let mapped = |address, explicit| Mapped4 { address, explicit };
        if here {
            return Ok(mapped(self.layout.vaddr(address), false));
        }
        let outsider = self.outsiders.find6(address).ok_or(NoAddress::Unmapped)?;
        Ok(mapped(outsider.to_ipv4(address), true))
    }

    fn is_explicit(&self, address: Vaddr) -> bool {
        self.outsiders.find4(address).is_some()
    }

    /// A router on the way has no address in the vnet: its errors come from
    /// whom the node wrote to.
    fn error_source4(&self, _: &Saddr, about: Vaddr, _: u32) -> Option<Vaddr> {
        Some(about)
    }

    fn error_source6(&self, _: Vaddr, _: &Saddr) -> Option<Saddr> {
        None
    }
}

/// How a packet goes: by whose rules and addresses, and with which link header
/// out of which port.
#[derive(Debug)]
pub(super) struct Way<'t> {
    outsider: &'t OutsiderRecord,
    world: World<'t>,
    pub(super) link: Link<'t>,
    pub(super) port: u16,
}

impl Way<'_> {
    pub(super) fn engine(&self, id: u16) -> rfc7915::Context<'_, World<'_>> {
        rfc7915::Context {
            rules: &self.outsider.rules,
            addresses: &self.world,
            id,
            hairpinned: false,
        }
    }
}

/// The way of a node's packet to an outsider.
pub(super) fn way_out<'t>(
    cx: &Context<'t>,
    packet: &[u8],
    index: SideIndex,
    node: NodeIndex,
) -> Result<Way<'t>, Exit> {
    let topology = cx.topology;
    let refuse = |why| Exit::Refuse { why, node, mtu: 0 };
    let record = topology.node(node).ok_or(Drop::UnknownNode)?;
    let outsider = topology.outsiders.get(index, record.vni);
    let outsider = outsider.ok_or_else(|| refuse(Drop::NoMapping))?;
    if !outsider.admits(node) {
        return Err(refuse(Drop::Denied));
    }
    let ip = ipv4::Header::parse_unchecked(packet).ok_or(Drop::TooShort)?;
    let payload = packet.get(usize::from(ip.header_len)..).unwrap_or(&[]);
    let path = outsider.paths[flow::hash(&ip, payload) as usize % PATHS];
    let hop = topology
        .hops
        .get(usize::from(path))
        .ok_or(Drop::NoNeighbor)?;
    Ok(Way {
        outsider,
        world: World::of(topology, record).ok_or(Drop::NoMapping)?,
        link: Link::Hop(hop),
        port: hop.port,
    })
}

/// A node's packet to an outsider.
#[inline(never)]
pub(super) fn outward<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    it: &Permitted<'_>,
    index: SideIndex,
) -> Result<Outcome, Exit> {
    let bytes = whole(packet, it.l3)?;
    let way = way_out(cx, bytes, index, it.node)?;
    let header = it.ip.header();
    match rfc7915::to_ipv6(bytes, &way.engine(header.id)) {
        Ok(Done::Whole(translated)) => {
            put(packet, way.link, it.l3, &translated)?;
            Ok(Outcome::Send {
                port: way.port,
                options_removed: header.has_options(),
            })
        }
        Ok(Done::Cut) => Ok(Outcome::Cut(Cut {
            from: Side::Ipv4,
            l3: it.l3,
            id: header.id,
            hairpinned: false,
            whose: Whose::Outsider(index, it.node),
        })),
        Err(Refusal { why, reply: None }) => Err(Drop::from(why).into()),
        Err(Refusal {
            why,
            reply: Some(reply),
        }) => Err(Exit::Refuse {
            why: why.into(),
            node: it.node,
            mtu: reply.word as u16,
        }),
    }
}

/// A packet of the substrate that no host of ours sent, to a node of ours.
/// `None` if it has to do with no outsider.
#[cold]
pub fn inward<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    id: u16,
) -> Option<Result<Outcome, Exit>> {
    if cx.topology.outsiders.is_empty() {
        return None;
    }
    let head = packet.head();
    let link = ethernet::Header::parse(head)?;
    let rest = head.get(link.len..)?;
    let ip = ipv6::Header::parse_quoted(rest).ok()?;
    if ip.dst[0] == 0xff {
        return None;
    }
    let vni = Vni(cx.topology.layout.vni(&ip.dst));
    let outsiders = &cx.topology.outsiders;
    let ours = outsiders.find(vni, &ip.src).is_some()
        || quoted_destination(&ip, rest).is_some_and(|dst| outsiders.find(vni, &dst).is_some());
    ours.then(|| deliver(cx, packet, link.len as u16, (vni, ip.dst), id))
}

/// Whom a node wrote to, of an ICMPv6 error about it.
fn quoted_destination(ip: &ipv6::Header, packet: &[u8]) -> Option<Saddr> {
    let message = packet.get(ipv6::HEADER_LEN..)?;
    let icmp = icmpv6::Header::parse(message)?;
    if ip.next_header != protocol::ICMPV6 || !icmp.is_error() {
        return None;
    }
    let quoted = ipv6::Header::parse_quoted(message.get(icmpv6::HEADER_LEN..)?).ok()?;
    (quoted.src == ip.dst).then_some(quoted.dst)
}

/// To which of our nodes it goes.
fn deliver<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    l3: u16,
    (vni, dst): (Vni, Saddr),
    id: u16,
) -> Result<Outcome, Exit> {
    let vaddr = cx.topology.layout.vaddr(&dst);
    let found = cx.mappings.resolve(cx.pin, Key::new(vni.0, vaddr.0));
    let Some(Target::Local(node)) = found.map(|mapping| mapping.target) else {
        return Err(Drop::NotLocal.into());
    };
    let bytes = whole(packet, l3)?;
    let way = way_in(cx, bytes, node)?;
    match rfc7915::to_ipv4(bytes, &way.engine(id))? {
        Done::Whole(translated) => {
            put(packet, way.link, l3, &translated)?;
            Ok(Outcome::Send {
                port: way.port,
                options_removed: false,
            })
        }
        Done::Cut => Ok(Outcome::Cut(Cut {
            from: Side::Ipv6,
            l3,
            id,
            hairpinned: false,
            whose: Whose::Node(node),
        })),
    }
}

/// The way of an outsider's packet, or of an error about one, to a node.
pub(super) fn way_in<'t>(
    cx: &Context<'t>,
    packet: &[u8],
    node: NodeIndex,
) -> Result<Way<'t>, Exit> {
    let topology = cx.topology;
    let record = topology.node(node).ok_or(Drop::NotLocal)?;
    let ip = ipv6::Header::parse_quoted(packet).map_err(|_| Drop::TooShort)?;
    let (vni, vaddr) = (topology.layout.vni(&ip.dst), topology.layout.vaddr(&ip.dst));
    if record.vni.0 != vni || !record.owns(vaddr) {
        return Err(Drop::NotLocal.into());
    }
    let world = World::of(topology, record).ok_or(Drop::NotLocal)?;
    // A router's error comes from whom the node wrote to.
    let about = quoted_destination(&ip, packet);
    let speaker = |address: &Saddr| topology.outsiders.find(record.vni, address);
    let (outsider, address) = match (speaker(&ip.src), about) {
        (Some(outsider), _) => (outsider, ip.src),
        (None, Some(about)) => (speaker(&about).ok_or(Drop::Denied)?, about),
        (None, None) => return Err(Drop::Denied.into()),
    };
    if !outsider.admits(node) {
        return Err(Drop::Denied.into());
    }
    let source = world.to_ipv4(&address).map_err(|_| Drop::SourceUnmapped)?;
    Ok(Way {
        outsider,
        world,
        link: Link::Node(rewrite::link_to(
            cx,
            (record, node),
            (source.address, vaddr),
        )?),
        port: record.port,
    })
}
