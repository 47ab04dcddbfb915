//! What plain packets need of the topology, as it is compared and copied.
//!
//! The records of the topology say what an operator wants; here the same is
//! computed once for every snapshot into the words in which a frame has it. A
//! record that plain packets cannot be carried by (no next hop, a tag) is one
//! that no packet matches, so that the path has no case for it.

use crate::mapping::{Key, NodeIndex};
use crate::model::{Dscp, Mode, Role};
use crate::siit::plain::{self, Form};
use crate::wire::address::Prefix4;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Layout, Mac, Mark, Vaddr, ethernet, ipv4, ipv6};

use super::super::front::Form16;
use super::super::segments::{IfaceRecord, NONE, Segment};
use super::super::topology::{
    self, HostRecord, NodeRecord, PATHS, PortNodes, PortRecord, Topology, VnetRecord,
};
use super::spans::Spans;

/// By the numbers that the topology gives ports, nodes, hosts and next hops.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) doors: Vec<Door>,
    pub(super) senders: Vec<Sender>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) ways: Vec<Way>,
    pub(super) hops: Vec<Option<Hop>>,
    /// By the numbers of routers.
    pub(super) spans: Vec<Spans>,
    pub(super) own: Own,
}

impl Tables {
    pub fn of(topology: &Topology) -> Tables {
        let vnet = |node: &NodeRecord| topology.vnet(node.vnet);
        Tables {
            doors: topology
                .ports
                .iter()
                .map(|port| Door::of(port, topology.locator.is_some()))
                .collect(),
            senders: topology
                .nodes
                .iter()
                .enumerate()
                .map(|(index, node)| {
                    let mac = known_mac(topology, index);
                    Sender::of(topology, node, (vnet(node), mac))
                })
                .collect(),
            receivers: topology
                .nodes
                .iter()
                .map(|node| Receiver::of(node, topology.port(node.port), topology.layout))
                .collect(),
            ways: topology
                .hosts
                .iter()
                .map(|host| Way::of(host, &topology.hops))
                .collect(),
            hops: topology.hops.iter().map(Hop::of).collect(),
            spans: (0..topology.routers.len() as u32)
                .map(|router| Spans::of(topology, router))
                .collect(),
            own: Own::of(topology),
        }
    }
}

/// A port that plain packets come in by.
#[derive(Debug)]
pub(super) struct Door {
    /// Of an uplink: what its frames begin with.
    pub form: Form16,
    /// The node behind it, if it is one; if there are several, see the
    /// topology's port.
    pub node: NodeIndex,
    pub many: bool,
}

impl Door {
    fn of(port: &PortRecord, managed: bool) -> Door {
        let mut door = Door {
            form: Form16::NONE,
            node: NodeIndex::MAX,
            many: false,
        };
        match &port.nodes {
            PortNodes::Sole { vlan: 0, node, .. } if port.role == Role::Node => door.node = *node,
            PortNodes::Many(_) => door.many = port.role == Role::Node,
            _ if port.role == Role::Uplink && port.vlan.is_none() && managed => {
                let [a, b, c, d, e, f] = port.mac.0;
                door.form = Form16::new(
                    [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0x86, 0xdd, 0x60, 0],
                    [
                        255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 255, 255, 0xf0, 0,
                    ],
                );
            }
            _ => {}
        }
        door
    }
}

/// A node, as packets from it are checked and sent.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Sender {
    /// What its frames begin with: the MACs of its neighbours without their
    /// addresses, its own if it is known, an IPv4 header without options.
    pub form: Form16,
    /// Its vnet and address, as in a key.
    pub own: u64,
    /// Its address, and the range of its neighbours, as they lie in a packet.
    pub source: u32,
    pub net: u32,
    pub mask: u32,
    /// Its gateway's address, as it lies in a packet; of none, what is no
    /// router's.
    pub gateway: u32,
    /// The router there, and the interface by which it is there.
    pub router: u32,
    pub entry: u32,
    /// What its end adds to a checksum.
    pub part: u32,
    pub header: Form,
    pub saddr: [u8; 16],
    /// The bits of both ends' parts that count: none if checksums stay.
    pub adjusts: u32,
    /// Its SYNs are changed on their way: they are not plain.
    pub clamps: bool,
}

impl Sender {
    fn of(
        topology: &Topology,
        node: &NodeRecord,
        (vnet, mac): (Option<&VnetRecord>, Mac),
    ) -> Sender {
        let (mode, dscp) = vnet.map_or_else(Default::default, |vnet| (vnet.mode, vnet.dscp));
        let tos = match dscp {
            Dscp::Copy => (0xff, 0),
            Dscp::Zero => (3, 0),
            Dscp::Fixed(dscp) => (3, dscp << 2),
        };
        let range = vnet.and_then(|vnet| neighbors_of(node, vnet));
        let gateway = gateway_of(topology, node);
        Sender {
            form: match range {
                // Without an address there is nothing that it may send; and what
                // a DHCP server sends may be for control.
                Some(_) if is_plain(node) => front(node, mac),
                _ => Form16::NONE,
            },
            own: key(node).number(),
            source: node.vaddr.0.to_be(),
            net: range.map_or(0, |range| range.address.0).to_be(),
            mask: range.map_or(0, |range| Prefix4::mask(range.len)).to_be(),
            gateway: gateway.map_or(u32::MAX, |gateway| gateway.address.0.to_be()),
            router: gateway.map_or(NONE, |gateway| gateway.router),
            entry: node.segment.gateway,
            part: plain::part(node.checksum_part),
            header: Form::new(mode, tos, topology.entropy.mask()),
            saddr: (u128::from_be_bytes(node.saddr) | u128::from(node.vaddr.0)).to_be_bytes(),
            adjusts: if mode == Mode::Siit { u32::MAX } else { 0 },
            clamps: vnet.is_some_and(|vnet| vnet.mss != 0),
        }
    }
}

/// Whether a node may send plain packets: those it has an address for, to MACs
/// that follow from their destinations.
fn is_plain(node: &NodeRecord) -> bool {
    node.vaddr.0 != 0 && !node.serves_dhcp && !node.sees_given
}

/// Whom a node reaches without a router, by plain packets: of several ranges of
/// a vnet only the first, and nobody in a subnet that no range contains.
fn neighbors_of(node: &NodeRecord, vnet: &VnetRecord) -> Option<Prefix4> {
    let everybody = Segment::default().prefix;
    let segment = &node.segment;
    if segment.subnet == NONE {
        return Some(vnet.prefixes.first().copied().unwrap_or(everybody));
    }
    let within =
        |range: &Prefix4| range.len <= segment.prefix.len && range.contains(segment.prefix.address);
    let inside = vnet.prefixes.is_empty() || vnet.prefixes.iter().any(within);
    inside.then_some(segment.prefix)
}

/// The interface behind a node's gateway.
fn gateway_of<'t>(topology: &'t Topology, node: &NodeRecord) -> Option<&'t IfaceRecord> {
    let gateway = topology.ifaces.get(node.segment.gateway as usize)?;
    let near = topology.router_near(node, gateway.address)?;
    (near == node.segment.gateway).then_some(gateway)
}

/// What the frames of a node begin with, from the MAC that its port knows it
/// by: zero is any. The MACs of neighbours and of routers differ in one bit.
fn front(node: &NodeRecord, mac: Mac) -> Form16 {
    let [to, also, ..] = node.neighbors.member(Vaddr(0)).0;
    let [a, b, c, d, e, f] = mac.0;
    let given = if mac == Mac::ZERO { 0 } else { 255 };
    let g = given;
    Form16::new(
        [to, also, 0, 0, 0, 0, a, b, c, d, e, f, 0x08, 0x00, 0x45, 0],
        [255, 255, 0, 0, 0, 0, g, g, g, g, g, g, 255, 255, 255, 0],
    )
}

/// The bit of a MAC's first byte that is clear in those of routers.
pub(super) const ROUTER: u8 = Kind::Node as u8 ^ Kind::Router as u8;

const _: () = assert!(size_of::<Receiver>() == 32 && size_of::<Sender>() == 128);
const _: () = assert!(ROUTER.is_power_of_two() && Kind::Node as u8 & ROUTER != 0);
// Form16::NONE is not the router's form of anything.
const _: () = assert!(ROUTER != 1);

/// The MAC that the node's port knows it by; zero if it is alone there, and
/// whichever it uses. Among several, who it is has been found by its MAC.
fn known_mac(topology: &Topology, index: usize) -> Mac {
    let nodes = topology
        .nodes
        .get(index)
        .and_then(|node| topology.port(node.port))
        .map(|port| &port.nodes);
    match nodes {
        Some(PortNodes::Sole { mac, node, .. }) if node.index() == index => *mac,
        _ => Mac::ZERO,
    }
}

fn key(node: &NodeRecord) -> Key {
    Key::new(node.vni.0, node.vaddr.0)
}

/// A node, as packets are delivered to it.
#[derive(Debug)]
#[repr(align(32))]
pub(super) struct Receiver {
    /// (vni, address), 0 for a node that nothing plain is delivered to.
    pub key: u64,
    /// Its MAC, and what the MACs of its neighbours begin with, the first byte
    /// lowest.
    pub front: u64,
    /// Its gateway's address as it lies in a packet, for what comes from beyond
    /// its subnet.
    pub gateway: u32,
    /// What takes its end back out of a checksum.
    pub back: u32,
    pub port: u16,
    /// The largest payload of IPv4 that its port takes.
    pub room: u16,
    /// Of its own address, in layout `slot`.
    pub mark: Mark,
    /// How many of an address's last bits tell its neighbours apart.
    pub shift: u8,
}

impl Receiver {
    fn of(node: &NodeRecord, port: Option<&PortRecord>, layout: Layout) -> Receiver {
        let [a, b, ..] = node.neighbors.member(Vaddr(0)).0;
        let gateway = match node.segment.gateway_mac {
            None => Some((Vaddr(0), u32::BITS as u8)),
            Some(mac) => match virtual_mac::recognise(mac, node.vni) {
                Some((Kind::Router, address)) => {
                    Some((address, u32::BITS as u8 - node.segment.prefix.len))
                }
                _ => None,
            },
        };
        let ready = node.mac.zip(port);
        let ready = ready.filter(|_| node.vlan == 0 && gateway.is_some() && !node.sees_given);
        Receiver {
            key: match ready {
                Some(_) => key(node).number(),
                None => 0,
            },
            front: ready.map_or(0, |(Mac([c, d, e, f, g, h]), _)| {
                u64::from_le_bytes([c, d, e, f, g, h, a, b])
            }),
            gateway: gateway.map_or(0, |(address, _)| address.0.swap_bytes()),
            shift: gateway.map_or(0, |(_, shift)| shift),
            back: plain::back(node.checksum_part),
            port: node.port,
            room: ready.map_or(0, |(_, port)| {
                port.mtu.saturating_sub(ipv4::HEADER_LEN as u16)
            }),
            mark: match layout {
                Layout::Slot => Mark::of(&node.saddr),
                Layout::P72 | Layout::P64 => Mark::NONE,
            },
        }
    }
}

impl Receiver {
    /// The link header of what it gets from `source`, a neighbour, and two bytes
    /// more, which are written over.
    #[inline(always)]
    pub(super) fn link_of_neighbor(&self, source: Vaddr) -> [u8; LINK] {
        link_from(self.front, source.0.swap_bytes())
    }

    /// The same of what it gets from `source`, wherever that is.
    #[inline(always)]
    pub(super) fn link(&self, source: Vaddr) -> [u8; LINK] {
        let near = u64::from(source.0 ^ self.key as u32) >> self.shift == 0;
        match near {
            true => self.link_of_neighbor(source),
            false => link_from(self.front ^ u64::from(ROUTER) << 48, self.gateway),
        }
    }
}

/// A link header, from numbers whose lowest byte comes first.
#[inline(always)]
fn link_from(front: u64, address: u32) -> [u8; LINK] {
    const IPV4: u64 = ethernet::ethertype::IPV4.swap_bytes() as u64;
    let last = IPV4 << 32 | u64::from(address);
    (u128::from(last) << 64 | u128::from(front)).to_le_bytes()
}

/// Another host, as packets to and from it are written and checked.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Way {
    /// Upper half of its locator, as it lies in a packet.
    pub high: [u8; 8],
    /// Lower half, without vni and address.
    pub low: u64,
    /// What its end adds to a checksum, and before that the largest payload of
    /// IPv6 that passes in one piece: one word to be gathered.
    pub room_and_part: u64,
    /// What takes its end back out of a checksum.
    pub back: u32,
    /// The next hop of all paths, of a host that has only one.
    pub hop: Option<Hop>,
    /// Next hops by path.
    pub hops: [u16; PATHS],
}

impl Way {
    fn of(host: &HostRecord, hops: &[topology::Hop]) -> Way {
        let bits = host.locator.bits();
        let mtu = host.mtu.max(ipv6::MIN_MTU as u16);
        let hop = |path: &u16| hops.get(usize::from(*path)).and_then(Hop::of);
        let first = hop(&host.paths[0]);
        let one = host.paths.iter().all(|path| *path == host.paths[0]);
        // Where one path has a tag, or none leads, nothing is plain.
        let room = match host.paths.iter().all(|path| hop(path).is_some()) {
            true => mtu - ipv6::HEADER_LEN as u16,
            false => 0,
        };
        Way {
            high: ((bits >> 64) as u64).to_be_bytes(),
            low: bits as u64,
            room_and_part: u64::from(room) << 32 | u64::from(plain::part(host.checksum_part)),
            back: plain::back(host.checksum_part),
            hop: first.filter(|_| one),
            hops: host.paths,
        }
    }

    /// The next hop of a path; `None` where plain packets cannot go.
    #[inline(always)]
    pub(super) fn hop<'a>(&'a self, hops: &'a [Option<Hop>], path: u8) -> Option<&'a Hop> {
        match &self.hop {
            Some(hop) => Some(hop),
            None => {
                let hop = self.hops[usize::from(path) % PATHS];
                hops.get(usize::from(hop))?.as_ref()
            }
        }
    }
}

const LINK: usize = ethernet::HEADER_LEN + 2;

/// A next hop: the link header that leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hop {
    /// And two bytes that nobody reads: sixteen are copied in one go.
    pub link: [u8; LINK],
    pub port: u16,
}

impl Hop {
    /// `None` for one with a tag.
    fn of(hop: &topology::Hop) -> Option<Hop> {
        let mut link = [0; LINK];
        let untagged = hop.link_len() == ethernet::HEADER_LEN;
        untagged.then(|| hop.write_link(&mut link))?;
        Some(Hop {
            link,
            port: hop.port,
        })
    }
}

/// What tells packets for nodes of this host.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The own locator, the upper half as it lies in a packet.
    pub high: [u8; 8],
    pub low: u64,
    /// The bits of an address's lower half that are vni and address: a key.
    pub key: u64,
    /// And all others: the locator's, and the flags beside a slot, of which
    /// plain packets have none. The slot itself belongs to neither.
    pub mask: u64,
    /// Whether addresses have slots.
    pub slots: bool,
}

impl Own {
    fn of(topology: &Topology) -> Own {
        // Without a locator there is nothing plain: the port has no MAC then.
        let bits = topology.locator.map_or(0, |own| own.bits());
        let key = u64::from(topology.layout.max_vni()) << 32 | u64::from(u32::MAX);
        let slot = match topology.layout {
            Layout::Slot => 0xfc << 56,
            Layout::P72 | Layout::P64 => 0,
        };
        Own {
            high: ((bits >> 64) as u64).to_be_bytes(),
            low: bits as u64,
            key,
            mask: !key & !slot,
            slots: slot != 0,
        }
    }

    /// The bits of a mark that count: all, or none in layouts without slots.
    #[inline(always)]
    pub(super) fn marked(&self) -> u64 {
        if self.slots { 0xff } else { 0 }
    }
}
