//! What a burst of the plain path is held to besides its packets: worlds that
//! differ in all that decides over one.

use proptest::prelude::*;
use proptest::sample::select;

use weft::datapath::topology::{PortNodes, Topology};
use weft::mapping::{Mapping, Writer};
use weft::model::{Dscp, Mode};
use weft::wire::{Layout, Mac, Mark, Saddr, Vaddr};

use super::NOW;
use super::drawn::mostly;
use crate::common::layouts::{self, SLOTS_R, SLOTS_S};
use crate::common::segments::{Router, install};
use crate::common::topology::*;

/// Everything that decides over a burst besides its packets.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) layout: Layout,
    pub(super) mode: Mode,
    pub(super) dscp: Dscp,
    /// Of the mapping of G.
    pub(super) expires: u32,
    pub(super) previous: bool,
    pub(super) tagged_hop: bool,
    pub(super) mtu: u16,
    pub(super) own_ranges: usize,
    pub(super) segments: Segments,
    /// Of the mapping of G: other layouts do not look at it.
    pub(super) mark: u8,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Routes {
    Few,
    Many,
}

/// How Z is divided.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Segments {
    /// Not at all.
    Flat,
    /// A subnet without a router.
    Alone,
    /// A and E in one subnet, C and G in others, behind so many routers; with
    /// many routes, or with few.
    Routed(usize, Routes),
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let layout = select(vec![Layout::P72, Layout::P64, Layout::Slot]);
    let mode = select(vec![Mode::Siit, Mode::Transparent]);
    let dscp = select(vec![Dscp::Copy, Dscp::Zero, Dscp::Fixed(46)]);
    let expires = select(vec![0, 0, 0, NOW - 1, NOW, NOW + 1, u32::MAX]);
    let rest = (
        any::<bool>(),
        0..8u8,
        select(vec![1280, 1500, 1500]),
        0..3usize,
        select(vec![
            Segments::Flat,
            Segments::Alone,
            Segments::Routed(1, Routes::Few),
            Segments::Routed(1, Routes::Many),
            Segments::Routed(2, Routes::Few),
            Segments::Routed(2, Routes::Many),
        ]),
        mostly(
            &[9 << 2, 9 << 2, 0],
            any::<u8>().prop_map(|mark| mark & 0xfe),
        ),
    );
    (layout, mode, dscp, expires, rest).prop_map(
        |(layout, mode, dscp, expires, (previous, tagged, mtu, own_ranges, segments, mark))| {
            World {
                layout,
                mode,
                dscp,
                expires,
                previous,
                tagged_hop: tagged == 0,
                mtu,
                own_ranges,
                segments,
                mark,
            }
        },
    )
}

impl World {
    /// A node's address as a host would write it, with its mark changed.
    pub(super) fn saddr(&self, (host, vaddr): (u8, Vaddr), twist: u8) -> Saddr {
        let of = [locator_r, locator_s, locator_t][usize::from(host)]();
        let address = self
            .layout
            .compose(&layouts::locator(self.layout, of), Z, self.place(vaddr));
        let place = |nodes: &[Vaddr]| nodes.iter().position(|node| *node == vaddr);
        let slots = match host {
            0 => place(&[A, C, NOBODY, E]).map(|at| SLOTS_R[at]),
            _ => place(&[G]).map(|at| SLOTS_S[at]),
        };
        match self.layout {
            Layout::Slot => {
                let mark = layouts::slot(slots.unwrap_or_default()).byte() ^ twist;
                Mark::from_byte(mark).on(address)
            }
            _ => address,
        }
    }

    pub(super) fn topology(&self) -> Topology {
        let mut topology = topology_r();
        topology.entropy = Default::default();
        layouts::lay(&mut topology, self.layout, &SLOTS_R);
        for host in &mut topology.hosts {
            host.mtu = self.mtu;
        }
        for vnet in &mut topology.vnets {
            (vnet.mode, vnet.dscp) = (self.mode, self.dscp);
            let ranges = ["10.0.0.0/24", "192.0.2.0/24"];
            let ranges = ranges[..self.own_ranges].iter();
            vnet.prefixes = ranges
                .map(|range| range.parse().expect("literal"))
                .collect();
        }
        // C without a tag, so that A has a plain neighbour.
        topology.nodes[NODE_C.index()].vlan = 0;
        topology.ports[usize::from(PORT_C)].nodes = PortNodes::Sole {
            vlan: 0,
            mac: Mac::ZERO,
            node: NODE_C,
        };
        topology.nodes[NODE_C.index()].prefixes = vec!["10.0.0.16/28".parse().expect("literal")];
        if let PortNodes::Many(nodes) = &mut topology.ports[usize::from(TRUNK)].nodes {
            nodes.insert((0, MAC_TWIN), NODE_E);
        }
        self.divide(&mut topology);
        if self.tagged_hop {
            topology.hops = vec![hop(MAC_R, MAC_S, Some(7))];
        }
        topology
    }

    /// Z in subnets of sixteen addresses, and C and G elsewhere: A has
    /// 10.0.0.2, E 10.0.0.6.
    fn divide(&self, topology: &mut Topology) {
        let subnets = [
            ("10.0.0.0/28", "10.0.0.1"),
            ("10.0.0.32/28", "10.0.0.33"),
            ("10.0.0.48/30", ""),
        ];
        let address = |text: &str| text.parse::<Vaddr>().expect("literal");
        match self.segments {
            Segments::Flat => return,
            Segments::Alone => {
                install(topology, 0, &[("10.0.0.0/27", "")], &[]);
                return;
            }
            Segments::Routed(..) => {}
        }
        for node in topology.nodes.iter_mut().filter(|node| node.vni == Z) {
            node.vaddr = self.place(node.vaddr);
        }
        // Each two of them with something else in between.
        let many: Vec<_> = (0..100).map(|i| format!("10.9.{}.0/24", 2 * i)).collect();
        let many = many.iter().map(|range| (range.as_str(), "blackhole"));
        let crowded = matches!(self.segments, Segments::Routed(_, Routes::Many));
        let mut routes = vec![
            ("10.0.0.40/30", "blackhole"),
            ("192.0.2.0/24", "prohibit"),
            ("10.0.0.64/26", "via 10.0.0.6"),
        ];
        routes.extend(many.filter(|_| crowded));
        let r1 = |last: &str| Router {
            name: "r1",
            addresses: vec![address("10.0.0.1"), address(last)],
            routes: routes.clone(),
        };
        match self.segments {
            Segments::Routed(2, _) => {
                let mut first = r1("10.0.0.49");
                first.routes.push(("10.0.0.32/28", "via 10.0.0.50"));
                let second = Router {
                    name: "r2",
                    addresses: vec![address("10.0.0.50"), address("10.0.0.33")],
                    routes: vec![("10.0.0.0/28", "via 10.0.0.49")],
                };
                install(topology, 0, &subnets, &[first, second]);
            }
            _ => install(topology, 0, &subnets[..2], &[r1("10.0.0.33")]),
        }
    }

    /// Where a node of Z is.
    pub(super) fn place(&self, vaddr: Vaddr) -> Vaddr {
        match (self.segments, vaddr) {
            (Segments::Routed(..), C) => Vaddr(0x0a00_0025),
            (Segments::Routed(..), G) => Vaddr(0x0a00_0023),
            _ => vaddr,
        }
    }

    pub(super) fn mappings(&self, writer: &mut Writer) {
        let g = Mapping {
            expires: self.expires,
            previous: self.previous.then_some((HOST_T, NOW + 1)),
            mark: Mark::from_byte(self.mark),
            ..remote(HOST_S)
        };
        for (key, mapping) in [
            (key(Z, A), local(NODE_A)),
            (key(Z, self.place(C)), local(NODE_C)),
            (key(Z, E), local(NODE_E)),
            (key(Y, A), local(NODE_TWIN)),
            (key(Z, self.place(G)), g),
            (key(Y, G), remote(HOST_S)),
            (key(Z, OUTSIDE), remote(HOST_T)),
        ] {
            writer.insert(key, mapping).expect("room");
        }
    }
}
