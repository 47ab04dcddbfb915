//! What workers know beside the mapping table: ports, nodes, vnets, hosts and
//! next hops, as one immutable snapshot.
//!
//! Control compiles a new snapshot whenever one of these changes and publishes
//! it whole; a worker takes it once per burst. Mappings change a million times
//! a second and live in the table instead; these change with people and links.

use std::net::Ipv6Addr;
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashMap;

use super::fan::{Fans, Native};
use super::given::Formers;
use super::outsider::Outsiders;
use super::plain;
use super::segments::{IfaceRecord, RouterRecord, Segment, SubnetRecord};
use super::slot::Slots;
use super::watch::Filter;
use crate::mapping::{HostIndex, NodeIndex};
use crate::model::{Dscp, IcmpRate, Macs, Mode, Role, Verify};
use crate::siit::address_map::AddressMap;
use crate::siit::rfc7915::{self, Rules};
use crate::wire::address::Prefix4;
use crate::wire::ethernet;
use crate::wire::virtual_mac::Family;
use crate::wire::{Layout, Locator, Mac, Saddr, Vaddr, Vni};

/// A worker's whole view of the world, mappings apart.
#[derive(Debug, Default)]
pub struct Topology {
    pub layout: Layout,
    /// The host's own locator; `None` on a host without substrate.
    pub locator: Option<Locator>,
    pub substrate_mtu: u16,
    pub ports: Vec<PortRecord>,
    pub nodes: Vec<NodeRecord>,
    pub vnets: Vec<VnetRecord>,
    pub hosts: Vec<HostRecord>,
    pub hops: Vec<Hop>,
    /// Known hosts by the locator's bits, for sources that have no mapping.
    pub host_by_locator: HashMap<u128, HostIndex>,
    /// Somebody listens for misses, so packets wait for an answer.
    pub resolver: bool,
    /// What is watched; empty when nobody does.
    pub watch: Vec<Filter>,
    /// Whether a node's hardware address is still to be learned, or addresses of
    /// one are watched.
    pub learning: bool,
    /// A fixed value of the flow label's entropy, for byte-exact tests.
    pub entropy: Entropy,
    pub outsiders: Outsiders,
    /// MACs that addresses were given before.
    pub former_macs: Arc<Formers>,
    pub subnets: Vec<SubnetRecord>,
    /// Interfaces of routers in subnets.
    pub ifaces: Vec<IfaceRecord>,
    pub routers: Vec<RouterRecord>,
    /// Members of groups, and of subnets that hear broadcasts.
    pub fans: Arc<Fans>,
    /// Nodes by their slots, in layout `slot`.
    pub slots: Slots,
    /// The substrate's own groups, where they carry those of nodes.
    pub native: Option<Box<Native>>,
    /// The SIIT relay, if the appliance is one.
    pub relay: Option<Box<RelayRecord>>,
}

/// A topology as workers get it: nobody changes it any more, and what the plain
/// path needs of it is made ready.
#[derive(Debug, Default)]
pub struct Snapshot {
    topology: Topology,
    plain: plain::Tables,
}

impl Snapshot {
    #[inline(always)]
    pub(super) fn plain(&self) -> &plain::Tables {
        &self.plain
    }
}

impl From<Topology> for Snapshot {
    fn from(topology: Topology) -> Snapshot {
        let plain = plain::Tables::of(&topology);
        Snapshot { topology, plain }
    }
}

impl Deref for Snapshot {
    type Target = Topology;

    #[inline(always)]
    fn deref(&self) -> &Topology {
        &self.topology
    }
}

/// What fills the 9 bits of the flow label that spread flows over paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u16)]
pub enum Entropy {
    #[default]
    Flow = u16::MAX,
    Zero = 0,
}

impl Entropy {
    /// The bits of a flow's hash that are kept.
    #[inline(always)]
    pub fn mask(self) -> u16 {
        self as u16
    }
}

/// A port as the walk sees it.
#[derive(Debug, Clone)]
pub struct PortRecord {
    pub name: String,
    pub role: Role,
    pub mac: Mac,
    /// The uplink's own tag.
    pub vlan: Option<u16>,
    /// Own unicast addresses on this uplink, control address included.
    pub own: Vec<Saddr>,
    /// Groups this uplink listens to.
    pub groups: Vec<Saddr>,
    /// Largest IP packet on it.
    pub mtu: u16,
    /// Where this uplink's other traffic goes, and the reverse.
    pub exception: Option<u16>,
    /// Uplinks: solicitations for the locator are answered too.
    pub nd_proxy: bool,
    pub nodes: PortNodes,
}

/// Which node a frame of a port comes from.
#[derive(Debug, Clone, Default)]
pub enum PortNodes {
    #[default]
    None,
    /// The usual port of a VM: one node, with one tag or none, of one MAC. MAC
    /// zero: whichever it uses.
    Sole {
        vlan: u16,
        mac: Mac,
        node: NodeIndex,
    },
    /// Several nodes, told apart by tag and source MAC. A node whose MAC is
    /// not known yet is alone on its tag and stands under MAC zero.
    Many(HashMap<(u16, Mac), NodeIndex>),
}

impl PortNodes {
    #[inline]
    pub fn find(&self, vlan: u16, source: Mac) -> Option<NodeIndex> {
        match self {
            PortNodes::None => None,
            PortNodes::Sole {
                vlan: own,
                mac,
                node,
            } => (*own == vlan && (*mac == source || *mac == Mac::ZERO)).then_some(*node),
            PortNodes::Many(nodes) => find_among(nodes, vlan, source),
        }
    }

    /// Adds a node; with MAC zero, one whose address is not given.
    pub fn add(&mut self, vlan: u16, mac: Mac, node: NodeIndex) {
        *self = match std::mem::take(self) {
            PortNodes::None => PortNodes::Sole { vlan, mac, node },
            PortNodes::Sole {
                vlan: other_vlan,
                mac: other_mac,
                node: other,
            } => {
                let both = [((other_vlan, other_mac), other), ((vlan, mac), node)];
                PortNodes::Many(both.into_iter().collect())
            }
            PortNodes::Many(mut nodes) => {
                nodes.insert((vlan, mac), node);
                PortNodes::Many(nodes)
            }
        };
    }
}

#[inline(never)]
fn find_among(nodes: &HashMap<(u16, Mac), NodeIndex>, vlan: u16, source: Mac) -> Option<NodeIndex> {
    let node = nodes.get(&(vlan, source));
    node.or_else(|| nodes.get(&(vlan, Mac::ZERO))).copied()
}

/// A node of ours.
#[derive(Debug, Clone)]
pub struct NodeRecord {
    pub name: String,
    pub vni: Vni,
    /// 0.0.0.0 while it has none.
    pub vaddr: Vaddr,
    pub vnet: u32,
    pub port: u16,
    /// Tag of its frames, 0 for none.
    pub vlan: u16,
    /// Given, learned, or not known yet.
    pub mac: Option<Mac>,
    /// Prefixes behind it.
    pub prefixes: Vec<Prefix4>,
    /// Its address in the substrate with its slot, IPv4 part zero; whichever
    /// source address the node uses is put into it.
    pub saddr: Saddr,
    /// What the MACs of other nodes of its vnet begin with.
    pub neighbors: Family,
    /// Its vnet's nodes see each other by the MACs that they were given.
    pub sees_given: bool,
    /// The one that it was given, in such a vnet.
    pub given: Option<Mac>,
    /// Sum of locator, slot and vni on the source side and of the vni on the
    /// destination side: what does not depend on the destination host.
    pub checksum_part: u16,
    pub segment: Segment,
    /// Addresses of the node that are behind another hardware address.
    pub macs: Vec<(Vaddr, Mac)>,
    /// Addresses that control wants to hear of as soon as the node sends from
    /// one.
    pub watched: Vec<Vaddr>,
    /// It is the DHCP server of its vnet.
    pub serves_dhcp: bool,
}

impl NodeRecord {
    /// Whether the node may send from, and gets what is sent to, an address.
    #[inline]
    pub fn owns(&self, address: Vaddr) -> bool {
        let own = self.vaddr == address || self.prefixes.iter().any(|p| p.contains(address));
        own && address.0 != 0
    }

    /// Whether an address of its is one that it routes to, and not its own.
    pub fn has_behind(&self, address: Vaddr) -> bool {
        let own = |p: &Prefix4| p.len == 32 && p.address == address;
        self.vaddr != address && !self.prefixes.iter().any(own)
    }

    /// The node's hardware address for what is sent to `address`, if it is known.
    #[inline(always)]
    pub fn mac_at(&self, address: Vaddr) -> Option<Mac> {
        match self.macs.is_empty() {
            true => self.mac,
            false => self.mac_among(address),
        }
    }

    #[cold]
    fn mac_among(&self, address: Vaddr) -> Option<Mac> {
        let mut others = self.macs.iter();
        let other = others.find(|(of, _)| *of == address);
        other.map(|(_, mac)| *mac).or(self.mac)
    }

    /// The MAC that packets of `source` come from: its own within the subnet,
    /// its gateway's from elsewhere.
    #[inline(always)]
    pub fn neighbor(&self, source: Vaddr) -> Mac {
        match self.segment.gateway_mac {
            Some(gateway) if !self.segment.prefix.contains(source) => gateway,
            _ => self.neighbors.member(source),
        }
    }
}

/// What packets need of a vnet.
#[derive(Debug, Clone)]
pub struct VnetRecord {
    pub name: String,
    pub vni: Vni,
    pub mode: Mode,
    pub dscp: Dscp,
    pub verify: Verify,
    /// Most that its nodes are told as MTU, whatever the path takes.
    pub mtu: u16,
    /// Largest TCP segment that its nodes may offer to take; 0: any.
    pub mss: u16,
    pub prefixes: Vec<Prefix4>,
    /// A packet from an address that is not the node's waits until control has
    /// decided whether it becomes so.
    pub learns: bool,
    /// A frame for a MAC that nobody has goes where its address says.
    pub resolves: bool,
    /// The node that gives its nodes their addresses, if it is one.
    pub dhcp_server: Option<Vaddr>,
    /// By which MACs its nodes see each other.
    pub macs: Macs,
}

impl VnetRecord {
    #[inline]
    pub fn contains(&self, address: Vaddr) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|p| p.contains(address))
    }
}

/// Paths that a flow's hash chooses from; losing one moves only its flows.
pub const PATHS: usize = 16;

/// No usable next hop.
pub const NO_HOP: u16 = u16::MAX;

/// Another appliance.
#[derive(Debug, Clone)]
pub struct HostRecord {
    pub name: String,
    pub locator: Locator,
    /// Folded sum of the locator, for checksum differences.
    pub checksum_part: u16,
    /// Largest IPv6 packet on the way there: the substrate's MTU, or what a
    /// router on the way said.
    pub mtu: u16,
    /// Next hop of each path; all equal when there is one, `NO_HOP` without any.
    pub paths: [u16; PATHS],
}

/// A usable next hop with the link header that leads to it.
#[derive(Debug, Clone)]
pub struct Hop {
    pub port: u16,
    pub address: Ipv6Addr,
    header: [u8; ethernet::HEADER_LEN + ethernet::TAG_LEN],
    tagged: bool,
}

impl Hop {
    pub fn new(port: u16, address: Ipv6Addr, link: &ethernet::Header) -> Hop {
        let mut header = [0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
        link.emit(&mut header);
        Hop {
            port,
            address,
            header,
            tagged: link.vlan.is_some(),
        }
    }

    /// How long its link header is.
    #[inline(always)]
    pub fn link_len(&self) -> usize {
        if self.tagged {
            self.header.len()
        } else {
            ethernet::HEADER_LEN
        }
    }

    /// Writes the link header to the front of a frame and returns what is
    /// behind it. Two fixed lengths: a copy of any length is a call.
    #[inline(always)]
    pub fn write_link<'a>(&self, frame: &'a mut [u8]) -> Option<&'a mut [u8]> {
        if !self.tagged {
            let (front, rest) = frame.split_first_chunk_mut::<{ ethernet::HEADER_LEN }>()?;
            *front = *self.header.first_chunk()?;
            Some(rest)
        } else {
            let (front, rest) = frame.split_first_chunk_mut()?;
            *front = self.header;
            Some(rest)
        }
    }
}

/// What the relay's walks need.
#[derive(Debug, Clone)]
pub struct RelayRecord {
    pub rules: Rules,
    pub addresses: AddressMap,
    /// Own address of the IPv4 side; that of the IPv6 side is its port's.
    pub own4: Vaddr,
    /// Broadcast address of the IPv4 side's link.
    pub broadcast4: Vaddr,
    /// `None` while the next hop's hardware address is not known.
    pub hop4: Option<Hop>,
    pub hop6: Option<Hop>,
    /// Largest IPv6 packet that an IPv4 packet may become uncut, if it may be
    /// cut.
    pub uncut6: u16,
    pub icmp_rate: IcmpRate,
}

impl RelayRecord {
    /// What the engine reads beside a packet.
    #[inline]
    pub fn engine(&self, id: u16, hairpinned: bool) -> rfc7915::Context<'_, AddressMap> {
        rfc7915::Context {
            rules: &self.rules,
            addresses: &self.addresses,
            id,
            hairpinned,
        }
    }
}

impl Topology {
    #[inline]
    pub fn relay(&self) -> Option<&RelayRecord> {
        self.relay.as_deref()
    }

    #[inline]
    pub fn port(&self, index: u16) -> Option<&PortRecord> {
        self.ports.get(usize::from(index))
    }

    #[inline]
    pub fn node(&self, index: NodeIndex) -> Option<&NodeRecord> {
        self.nodes.get(index.index())
    }

    #[inline]
    pub fn host(&self, index: HostIndex) -> Option<&HostRecord> {
        self.hosts.get(index.index())
    }

    #[inline]
    pub fn vnet(&self, index: u32) -> Option<&VnetRecord> {
        self.vnets.get(index as usize)
    }

    /// The next hop of a flow towards a host.
    #[inline]
    pub fn hop(&self, host: &HostRecord, flow: u32) -> Option<&Hop> {
        self.hops
            .get(usize::from(host.paths[flow as usize % PATHS]))
    }
}
