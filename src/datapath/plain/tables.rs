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
use crate::wire::{Mac, Vaddr, ethernet, ipv6};

use super::super::topology::{
    self, HostRecord, NO_HOP, NodeRecord, PATHS, PortNodes, PortRecord, Topology, VnetRecord,
};

/// By the numbers that the topology gives ports, nodes, hosts and next hops.
#[derive(Debug, Default)]
pub struct Tables {
    pub(super) doors: Vec<Door>,
    pub(super) senders: Vec<Sender>,
    pub(super) receivers: Vec<Receiver>,
    pub(super) ways: Vec<Way>,
    pub(super) hops: Vec<Hop>,
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
                .map(|node| Sender::of(node, vnet(node), topology.entropy.mask()))
                .collect(),
            receivers: topology
                .nodes
                .iter()
                .map(|node| Receiver::of(node, topology.port(node.port)))
                .collect(),
            ways: topology
                .hosts
                .iter()
                .map(|host| Way::of(host, &topology.hops))
                .collect(),
            hops: topology.hops.iter().map(Hop::of).collect(),
            own: Own::of(topology),
        }
    }
}

/// A MAC as a number; what stands behind it in its eight bytes is zero.
pub(super) fn number(mac: Mac) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// No MAC as [`number`] has it.
const NO_MAC: u64 = u64::MAX;

/// A port that plain packets come in by.
#[derive(Debug)]
pub(super) struct Door {
    /// The node behind a port of one: its MAC under `mask`, which leaves
    /// nothing of one that is not given.
    pub mac: u64,
    pub mask: u64,
    pub node: NodeIndex,
    /// Several nodes: see the topology's port.
    pub many: bool,
}

impl Door {
    fn of(port: &PortRecord, managed: bool) -> Door {
        let mut door = Door {
            mac: NO_MAC,
            mask: u64::MAX,
            node: NodeIndex::MAX,
            many: false,
        };
        match &port.nodes {
            PortNodes::Sole { vlan: 0, mac, node } if port.role == Role::Node => {
                door.mask = if *mac == Mac::ZERO { 0 } else { u64::MAX };
                door.mac = number(*mac);
                door.node = *node;
            }
            PortNodes::Many(_) => door.many = port.role == Role::Node,
            _ if port.role == Role::Uplink && port.vlan.is_none() && managed => {
                door.mac = number(port.mac);
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
    /// Its vnet and address, as in a key.
    pub own: u64,
    /// What the MACs of its neighbours begin with, as in [`number`]; no MAC
    /// for a node that sends nothing plain.
    pub neighbors: u64,
    /// The range of its vnet.
    pub net: u32,
    pub mask: u32,
    pub form: Form,
    /// What its end adds to a checksum, if checksums are adjusted.
    pub part: u32,
    pub siit: bool,
    pub saddr: [u8; 16],
}

const _: () = assert!(size_of::<Sender>() == 64, "one line of the cache");

impl Sender {
    fn of(node: &NodeRecord, vnet: Option<&VnetRecord>, entropy: u16) -> Sender {
        let (mode, dscp) = vnet.map_or_else(Default::default, |vnet| (vnet.mode, vnet.dscp));
        let tos = match dscp {
            Dscp::Copy => (0xff, 0),
            Dscp::Zero => (3, 0),
            Dscp::Fixed(dscp) => (3, dscp << 2),
        };
        // Of several ranges the first; packets to another one are not plain.
        let range = vnet.and_then(|vnet| vnet.prefixes.first());
        Sender {
            own: key(node).number(),
            neighbors: match vnet {
                Some(_) => number(node.neighbors.member(Vaddr(0))),
                None => NO_MAC,
            },
            net: range.map_or(0, |range| range.address.0),
            mask: range.map_or(0, |range| Prefix4::mask(range.len)),
            form: Form::new(mode, tos, entropy),
            part: plain::part(node.checksum_part),
            siit: mode == Mode::Siit,
            saddr: (u128::from_be_bytes(node.saddr) | u128::from(node.vaddr.0)).to_be_bytes(),
        }
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
    /// Its MAC as the first six of eight bytes.
    pub mac: u64,
    /// What the MACs of its neighbours begin with, as in [`number`].
    pub neighbors: u64,
    pub part: u32,
    pub port: u16,
    /// The largest IPv4 packet that its port takes.
    pub room: u16,
}

impl Receiver {
    fn of(node: &NodeRecord, port: Option<&PortRecord>) -> Receiver {
        let ready = node.mac.zip(port).filter(|_| node.vlan == 0);
        Receiver {
            key: match ready {
                Some(_) => key(node).number(),
                None => 0,
            },
            mac: ready.map_or(0, |(mac, _)| number(mac) << 16),
            neighbors: number(node.neighbors.member(Vaddr(0))),
            part: plain::part(node.checksum_part),
            port: node.port,
            room: ready.map_or(0, |(_, port)| port.mtu),
        }
    }
}

impl Receiver {
    /// The link header of what it gets from `source`.
    #[inline(always)]
    pub(super) fn link(&self, source: Vaddr) -> [u8; ethernet::HEADER_LEN] {
        let from = self.neighbors | u64::from(source.0);
        let last = from << 16 | u64::from(ethernet::ethertype::IPV4);
        let mut link = [0; ethernet::HEADER_LEN];
        link[..8].copy_from_slice(&self.mac.to_be_bytes());
        link[6..].copy_from_slice(&last.to_be_bytes());
        link
    }
}

/// Another host, as packets to and from it are written and checked.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Way {
    /// Upper half of its locator, as it lies in a packet.
    pub high: [u8; 8],
    /// Lower half, without vni and address.
    pub low: u64,
    pub part: u32,
    /// The largest payload of IPv6 that passes in one piece.
    pub room: u16,
    /// Next hops by path; one that is none where plain packets cannot go.
    pub hops: [u16; PATHS],
}

const _: () = assert!(size_of::<Way>() == 64, "one line of the cache");

impl Way {
    fn of(host: &HostRecord, hops: &[topology::Hop]) -> Way {
        let bits = host.locator.bits();
        let mtu = host.mtu.max(ipv6::MIN_MTU as u16);
        let tagged = |hop: u16| {
            hops.get(usize::from(hop))
                .is_none_or(|hop| hop.link_len() != ethernet::HEADER_LEN)
        };
        Way {
            high: ((bits >> 64) as u64).to_be_bytes(),
            low: bits as u64,
            part: plain::part(host.checksum_part),
            room: mtu - ipv6::HEADER_LEN as u16,
            hops: host.paths.map(|hop| if tagged(hop) { NO_HOP } else { hop }),
        }
    }
}

/// A next hop: the link header that leads to it.
#[derive(Debug)]
#[repr(align(16))]
pub(super) struct Hop {
    pub link: [u8; ethernet::HEADER_LEN],
    pub port: u16,
}

impl Hop {
    fn of(hop: &topology::Hop) -> Hop {
        let mut link = [0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
        hop.write_link(&mut link);
        let mut untagged = [0; ethernet::HEADER_LEN];
        untagged.copy_from_slice(&link[..ethernet::HEADER_LEN]);
        Hop {
            link: untagged,
            port: hop.port,
        }
    }
}

/// What tells packets for nodes of this host.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The own locator.
    pub high: u64,
    pub low: u64,
    /// The bits of an address's lower half that are vni and address: a key.
    pub key: u64,
    /// And all others: the locator's, and those of a slot, of which plain
    /// packets have none.
    pub mask: u64,
}

impl Own {
    fn of(topology: &Topology) -> Own {
        // Without a locator there is nothing plain: the port has no MAC then.
        let bits = topology.locator.map_or(0, |own| own.bits());
        let key = u64::from(topology.layout.max_vni()) << 32 | u64::from(u32::MAX);
        Own {
            high: (bits >> 64) as u64,
            low: bits as u64,
            key,
            mask: !key,
        }
    }
}
