//! Frames of nodes and of the substrate through a whole worker of host R.
//!
//! Two of them get the same: one takes the plain path where it can, in the
//! other somebody watches, so that it walks. The same must come out of both.

#[path = "../../tests/walk/common/mod.rs"]
mod common;

use std::sync::Arc;

use weft::datapath::fan::{Domain, Fans, Member, Members, VnetGroups};
use weft::datapath::watch::Filter;
use weft::mapping::{HostIndex, Key, NodeIndex};
use weft::model::Mode;
use weft::packet::{Buffer, Meta, Offload};
use weft::wire::virtual_mac::{self, Kind};
use weft::wire::{Mac, Saddr, Vaddr, Vni};

use common::frames::{check_substrate_frame, internet_checksum};
use common::segments::{Router, install};
use common::topology::*;
use common::{Host, Setup};

const GROUP: Vaddr = Vaddr(0xef01_0203);
const DIRECTED: Vaddr = Vaddr(0x0a00_00ff);
/// A node: its port, tag, hardware address, vnet and address.
type Node = (u16, u16, Mac, Vni, Vaddr);
const NODES: [Node; 5] = [
    (PORT_A, 0, MAC_A, Z, A),
    (PORT_C, TAG_C, MAC_C, Z, C),
    (PORT_TWIN, 0, MAC_TWIN, Y, A),
    (TRUNK, TAG_E, MAC_E, Z, E),
    (TRUNK, TAG_F, MAC_F, Z, F),
];

/// The world of a first byte.
#[derive(Clone, Copy)]
struct World(u8);

impl World {
    fn has(self, bit: u8) -> bool {
        self.0 >> bit & 1 != 0
    }

    /// Z in two subnets with a router, and C and G in the second.
    fn routed(self) -> bool {
        self.has(0)
    }

    fn place(self, vni: Vni, vaddr: Vaddr) -> Vaddr {
        match vaddr {
            C | G if self.routed() && vni == Z => Vaddr(vaddr.0 | 0x20),
            _ => vaddr,
        }
    }

    fn gateway(self, vaddr: Vaddr) -> Vaddr {
        Vaddr(vaddr.0 & !0x1f | 1)
    }

    fn start(self, watched: bool) -> Host {
        let Setup {
            topology, mappings, ..
        } = setup_r();
        let places = mappings.into_iter().map(|(at, mapping)| {
            let known = [(Z, C), (Z, G)].into_iter();
            let mut moved = known.filter(|(vni, vaddr)| at == key(*vni, *vaddr));
            let moved = moved
                .next()
                .map(|(vni, vaddr)| key(vni, self.place(vni, vaddr)));
            (moved.unwrap_or(at), mapping)
        });
        let mut setup = Setup::new(topology, places.collect());
        let topology = &mut setup.topology;
        for node in &mut topology.nodes {
            node.vaddr = self.place(node.vni, node.vaddr);
        }
        for vnet in &mut topology.vnets {
            vnet.mode = [Mode::Siit, Mode::Transparent][usize::from(self.has(1))];
            vnet.mss = [0, 1300][usize::from(self.has(2))];
        }
        topology.resolver = self.has(3);
        if self.has(4) {
            topology.hosts.iter_mut().for_each(|host| host.mtu = 1280);
        }
        if self.routed() {
            let address = |text: &str| text.parse().expect("literal");
            let router = Router {
                name: "r1",
                addresses: vec![address("10.0.0.1"), address("10.0.0.33")],
                routes: vec![("10.0.0.64/26", "blackhole"), ("192.0.2.0/24", "prohibit")],
            };
            let subnets = [("10.0.0.0/28", "10.0.0.1"), ("10.0.0.32/28", "10.0.0.33")];
            install(topology, 0, &subnets, &[router]);
        }
        topology.fans = Arc::new(fans());
        if watched {
            topology.watch = vec![Filter::default()];
        }
        if self.has(5) {
            setup.pool = 3;
        }
        setup.start()
    }
}

fn fans() -> Fans {
    let members = |hosts: &[HostIndex], nodes: &[NodeIndex]| Members {
        hosts: hosts.into(),
        nodes: nodes.iter().copied().map(Member::of_all).collect(),
    };
    let domain = Domain {
        prefix: "0.0.0.0/0".parse().expect("literal"),
        directed: [DIRECTED].into(),
        members: members(&[HOST_S], &[NODE_A, NODE_C, NODE_E, NODE_F]),
    };
    let vnet = |domains: &[Domain]| VnetGroups {
        withheld: ["224.0.0.0/24".parse().expect("literal")].into(),
        domains: domains.into(),
    };
    let group = members(&[HOST_S, HOST_T], &[NODE_A, NODE_C, NODE_E]);
    Fans {
        vnets: [(Z, vnet(&[domain])), (Y, vnet(&[]))].into_iter().collect(),
        groups: [(Key::new(Z.0, GROUP.0), group)].into_iter().collect(),
    }
}

/// The first byte is the world; then frame after frame: by which port and what
/// of it is made right, what its sender left to be done, its length in words,
/// its bytes.
pub(crate) fn frame(data: &[u8]) {
    let [choice, frames @ ..] = data else {
        return;
    };
    let world = World(*choice);
    let (mut plain, mut watched) = (world.start(false), world.start(true));
    let mut rest = frames;
    while let Some(([how, left, len], further)) = rest.split_first_chunk() {
        let (bytes, further) = further.split_at(further.len().min(usize::from(*len) * 4));
        rest = further;
        let port = [
            UPLINK, PORT_A, PORT_C, PORT_TWIN, EXCEPTION, TRUNK, PORT_A, UPLINK,
        ][usize::from(how & 7)];
        let mut frame = bytes.to_vec();
        if how & 8 != 0 && port == UPLINK {
            of_a_host(world, *how, &mut frame);
        } else if how & 8 != 0 {
            of_a_node(world, (port, *how), &mut frame);
        }
        let more = u16::from(left >> 4);
        let packet = || match left & 0xf {
            1 | 5 | 6 => Buffer::split(&frame, 14 + usize::from(more) * 8),
            2 => Buffer::shared(&frame),
            _ => Buffer::new(&frame),
        };
        let offload = match left & 0xf {
            1 => Offload::SCATTERED,
            3 => Offload::PARTIAL,
            4 => Offload::to_be_cut(16 + more * 100),
            5 => Offload::SCATTERED.and(Offload::PARTIAL),
            6 => Offload::SCATTERED.and(Offload::to_be_cut(16 + more * 100)),
            _ => Offload::NONE,
        };
        let meta = Meta {
            offload,
            ..Meta::default()
        };
        for host in [&mut plain, &mut watched] {
            host.wires[usize::from(port)].send_packet(packet(), meta);
            host.settle();
        }
        let out = plain.all();
        assert_eq!(
            out,
            watched.all(),
            "{:?}, {:?}",
            plain.drops(),
            watched.drops()
        );
        for (by, sent) in &out {
            check(world, (port, &frame), (*by, sent));
        }
        assert_eq!(plain.punted().len(), watched.punted().len());
        plain.notices();
        watched.notices();
    }
    // Whatever still waits ends by itself.
    for host in [&mut plain, &mut watched] {
        host.later(1000);
    }
    assert_eq!(plain.drops(), watched.drops());
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(field) = frame.get_mut(at..at + bytes.len()) {
        field.copy_from_slice(bytes);
    }
}

fn is_tagged(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[0x81, 0])
}

fn address(ip: &[u8], at: usize) -> Option<Vaddr> {
    let bytes = ip.get(at..)?.first_chunk()?;
    Some(Vaddr::from_bytes(*bytes))
}

/// Its tag, its own addresses, the IPv4 checksum, and whom its frame is for.
fn of_a_node(world: World, (port, how): (u16, u8), frame: &mut [u8]) {
    let l3 = if is_tagged(frame) { 18 } else { 14 };
    let mut nodes = NODES.iter().filter(|node| node.0 == port);
    let Some((_, vlan, mac, vni, vaddr)) = nodes.next() else {
        return;
    };
    put(frame, 6, &mac.0);
    if l3 == 18 {
        put(frame, 14, &vlan.to_be_bytes());
    }
    let own = world.place(*vni, *vaddr);
    if how & 0x40 == 0 {
        put(frame, l3 + 12, &own.bytes());
    }
    let Some(dst) = frame.get(l3..).and_then(|ip| address(ip, 16)) else {
        return;
    };
    let to = match how >> 4 & 3 {
        0 => None,
        1 => Some(virtual_mac::of(Kind::Node, *vni, dst)),
        2 => Some(virtual_mac::of(Kind::Router, *vni, world.gateway(own))),
        _ => {
            let [_, b, c, d] = dst.bytes();
            Some(Mac([1, 0, 0x5e, b & 0x7f, c, d]))
        }
    };
    if let Some(to) = to {
        put(frame, 0, &to.0);
    }
    if how & 0x80 == 0 {
        seal(&mut frame[l3..]);
    }
}

fn seal(ip: &mut [u8]) {
    let len = usize::from(ip.first().map_or(0, |first| first & 15)) * 4;
    if len >= 20 && ip.len() >= len {
        ip[10..12].fill(0);
        let sum = internet_checksum(&ip[..len]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Its link, its version and length, where it comes from and whom it is for.
fn of_a_host(world: World, how: u8, frame: &mut [u8]) {
    put(frame, 0, &MAC_R.0);
    put(frame, 12, &[0x86, 0xdd]);
    let Some(len) = frame.len().checked_sub(54) else {
        return;
    };
    put(frame, 14, &[0x60 | frame[14] & 0xf]);
    put(frame, 18, &(len as u16).to_be_bytes());
    let vni = if how & 0x80 == 0 { Z } else { Y };
    if how & 0x10 == 0 {
        put(frame, 22, &saddr(&locator_s(), vni, world.place(vni, G)));
    }
    let to = match how >> 5 & 3 {
        0 => A,
        1 => world.place(vni, C),
        2 => GROUP,
        _ => Vaddr(u32::from_be_bytes([10, 0, 0, frame[53]])),
    };
    put(frame, 38, &saddr(&locator_r(), vni, to));
}

/// What must hold for a frame that leaves, whatever came.
fn check(world: World, (port, frame): (u16, &[u8]), (by, sent): (u16, &[u8])) {
    if port == EXCEPTION {
        assert_eq!((by, sent), (UPLINK, frame));
        return;
    }
    let sender = sender_of(port, frame);
    assert!(
        sender.is_some() || port == UPLINK,
        "nobody's frame became {by}"
    );
    if by == UPLINK {
        let (_, _, _, vni, vaddr) = sender.expect("of a node");
        let (src, dst) = check_substrate_frame(sent, false);
        assert_eq!(src, saddr(&locator_r(), *vni, world.place(*vni, *vaddr)));
        let last = dst
            .last_chunk()
            .copied()
            .map(Vaddr::from_bytes)
            .expect("four");
        let place = |locator| saddr(&locator, *vni, last);
        assert!([place(locator_s()), place(locator_t())].contains(&dst));
        return;
    }
    let vni = delivered(world, (by, sent), sender.map(|node| node.3));
    let l3 = if is_tagged(sent) { 18 } else { 14 };
    let src = address(&sent[l3..], 12).expect("a header");
    match sender {
        Some((_, _, _, _, vaddr)) => assert_eq!(src, world.place(vni, *vaddr)),
        None => {
            let from: Option<&Saddr> = frame.get(22..).and_then(|ip| ip.first_chunk());
            let from = from.expect("a source");
            assert_eq!(src, world.place(vni, G));
            assert_eq!(*from, saddr(&locator_s(), vni, src));
        }
    }
}

/// The node that a frame came from, by its port, tag and hardware address.
fn sender_of(port: u16, frame: &[u8]) -> Option<&'static Node> {
    let tag = match is_tagged(frame) {
        true => u16::from_be_bytes(*frame.get(14..)?.first_chunk()?) & 0xfff,
        false => 0,
    };
    let source = frame.get(6..12)?;
    // Nobody said which hardware address C has.
    let mut nodes = NODES.iter();
    nodes.find(|node| (node.0, node.1) == (port, tag) && (node.2.0 == source || port == PORT_C))
}

/// A frame to a node: that one's, whole, and from somebody of its vnet.
fn delivered(world: World, (by, sent): (u16, &[u8]), of: Option<Vni>) -> Vni {
    let tagged = is_tagged(sent);
    let tag = if tagged {
        u16::from_be_bytes([sent[14], sent[15]])
    } else {
        0
    };
    let ip = &sent[if tagged { 18 } else { 14 }..];
    let mut nodes = NODES.iter().filter(|node| (node.0, node.1) == (by, tag));
    let (_, _, mac, vni, vaddr) = nodes.next().expect("a node's port and tag");
    assert!(of.is_none_or(|of| of == *vni), "another vnet's");
    let dst = address(ip, 16).expect("a header");
    if dst.is_multicast() || dst.0 == u32::MAX || dst == DIRECTED {
        assert_eq!(sent[0] & 1, 1);
    } else {
        assert_eq!((dst, &sent[..6]), (world.place(*vni, *vaddr), &mac.0[..]));
    }
    let src = address(ip, 12).expect("a header");
    let own = world.place(*vni, *vaddr);
    let neighbor = virtual_mac::of(Kind::Node, *vni, src);
    let gateway = virtual_mac::of(Kind::Router, *vni, world.gateway(own));
    let routed = world.routed() && *vni == Z && src.0 >> 4 != own.0 >> 4;
    assert_eq!(sent[6..12], if routed { gateway } else { neighbor }.0);
    let header_len = usize::from(ip[0] & 15) * 4;
    assert_eq!(ip[0] >> 4, 4);
    assert_eq!(internet_checksum(&ip[..header_len]), 0);
    assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
    assert_ne!(ip[8], 0, "TTL");
    *vni
}
