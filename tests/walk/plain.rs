//! The plain path beside the walk: whatever it sends, the walk sends by the
//! same port with the same bytes; what it leaves, it has not touched.

use proptest::prelude::*;
use proptest::sample::select;

use weft::datapath::plain::{self, Rest, Scratch};
use weft::datapath::tally::{self, Totals};
use weft::datapath::topology::{PortNodes, Topology};
use weft::datapath::trace::Off;
use weft::datapath::{BURST, Context, FreshIds, Outcome, Results, Snapshot, walk, walk_plain};
use weft::mapping::{Domain, Limits, Mapping, Writer};
use weft::model::{Dscp, Mode};
use weft::packet::{Buffer, Meta};
use weft::wire::virtual_mac;
use weft::wire::{Layout, Mac, Mark, Saddr, Vaddr};

use crate::common::frames::{self, Ip, Ip6, TCP, UDP};
use crate::common::layouts::{self, SLOTS_R, SLOTS_S};
use crate::common::segments::{Router, install};
use crate::common::topology::*;

/// The second the walks are at.
const NOW: u32 = 100;

/// Everything that decides over a burst besides its packets.
#[derive(Clone, Debug)]
struct World {
    layout: Layout,
    mode: Mode,
    dscp: Dscp,
    /// Of the mapping of G.
    expires: u32,
    previous: bool,
    tagged_hop: bool,
    mtu: u16,
    own_ranges: usize,
    segments: Segments,
    /// Of the mapping of G: other layouts do not look at it.
    mark: u8,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Routes {
    Few,
    Many,
}

/// How Z is divided.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Segments {
    /// Not at all.
    Flat,
    /// A subnet without a router.
    Alone,
    /// A and E in one subnet, C and G in others, behind so many routers; with
    /// many routes, or with few.
    Routed(usize, Routes),
}

fn worlds() -> impl Strategy<Value = World> {
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
    fn saddr(&self, (host, vaddr): (u8, Vaddr), twist: u8) -> Saddr {
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

    fn topology(&self) -> Topology {
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
    fn place(&self, vaddr: Vaddr) -> Vaddr {
        match (self.segments, vaddr) {
            (Segments::Routed(..), C) => Vaddr(0x0a00_0025),
            (Segments::Routed(..), G) => Vaddr(0x0a00_0023),
            _ => vaddr,
        }
    }

    fn mappings(&self, writer: &mut Writer) {
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

/// A number, mostly one of a few that matter.
fn mostly<T: Copy + std::fmt::Debug + 'static, S: Strategy<Value = T>>(
    usual: &[T],
    any: S,
) -> impl Strategy<Value = T> + use<T, S> {
    prop_oneof![9 => select(usual.to_vec()), 1 => any]
}

/// One packet: by which port, and what.
type Frame = (u16, Vec<u8>, Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Whole,
    Split,
    Shared,
    Stripped,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let odd = select(vec![Kind::Split, Kind::Shared, Kind::Stripped]);
    prop_oneof![12 => Just(Kind::Whole), 1 => odd]
}

fn payloads() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = mostly(&[TCP, UDP, UDP], any::<u8>());
    let len = mostly(&[18, 20, 40, 1300, 1452, 1472], 0..64usize);
    let sum = mostly(&[0, 0xffff, 0x1234, 0x5aa5], any::<u16>());
    (protocol, len, sum, any::<u32>()).prop_map(|(protocol, len, sum, ports)| {
        let mut payload = vec![0x5a; len];
        let at = if protocol == TCP { 16 } else { 6 };
        if let Some(field) = payload.get_mut(at..at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        if let Some(field) = payload.get_mut(..4) {
            field.copy_from_slice(&ports.to_be_bytes());
        }
        (protocol, payload)
    })
}

/// What happens to a finished frame on its way here.
fn accidents() -> impl Strategy<Value = (usize, usize, Option<(usize, u8)>)> {
    let padding = mostly(&[0, 0, 14], 0..30usize);
    let cut = mostly(&[0, 0, 0], 0..80usize);
    let flip = prop_oneof![12 => Just(None), 1 => (0..80usize, 1..=255u8).prop_map(Some)];
    (padding, cut, flip)
}

fn suffer(mut frame: Vec<u8>, accident: (usize, usize, Option<(usize, u8)>)) -> Vec<u8> {
    let (padding, cut, flip) = accident;
    frame.resize(frame.len() + padding, 0);
    frame.truncate(frame.len().saturating_sub(cut).max(1));
    if let Some((at, bits)) = flip {
        let at = at % frame.len();
        frame[at] ^= bits;
    }
    frame
}

/// Of a node. Addresses and MACs are those of the world it is sent in.
#[derive(Clone, Debug)]
struct Sent {
    port: u16,
    mac: Mac,
    ip: Ip,
    to: To,
    kind: Kind,
    accident: (usize, usize, Option<(usize, u8)>),
}

#[derive(Clone, Copy, Debug)]
enum To {
    /// Whom it has to give it to.
    Right,
    Neighbor,
    Gateway,
    /// That of another subnet.
    OtherGateway,
    Nobody,
    All,
}

impl Sent {
    fn frame(self, world: &World) -> Frame {
        let vni = if self.port == PORT_TWIN { Y } else { Z };
        let place = |vaddr| match vni {
            Z => world.place(vaddr),
            _ => vaddr,
        };
        let ip = Ip {
            src: place(self.ip.src),
            dst: place(self.ip.dst),
            ..self.ip
        };
        let gateways = match ip.src.0 & 0x20 {
            0 => [0x0a00_0001, 0x0a00_0021],
            _ => [0x0a00_0021, 0x0a00_0001],
        };
        let router = |address| virtual_mac::of(virtual_mac::Kind::Router, vni, Vaddr(address));
        let routed = matches!(world.segments, Segments::Routed(..)) && vni == Z;
        let elsewhere = ip.src.0 >> 4 != ip.dst.0 >> 4;
        let to = match self.to {
            To::Right if routed && elsewhere => router(gateways[0]),
            To::Right | To::Neighbor => frames::virtual_mac(vni, ip.dst),
            To::Gateway => router(gateways[0]),
            To::OtherGateway => router(gateways[1]),
            To::Nobody => router(u32::MAX),
            To::All => Mac::BROADCAST,
        };
        let frame = frames::ethernet(to, self.mac, None, 0x0800, &ip.bytes());
        (self.port, suffer(frame, self.accident), self.kind)
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let source = select(vec![
        (PORT_A, MAC_A, A),
        (PORT_A, MAC_A, A),
        (PORT_C, MAC_C, C),
        (PORT_TWIN, MAC_TWIN, A),
        (TRUNK, MAC_TWIN, E),
        (TRUNK, MAC_E, E),
        (PORT_C, MAC_C, Vaddr(0x0a00_0011)),
        (PORT_A, MAC_C, A),
        (PORT_A, MAC_A, C),
    ]);
    let dst = mostly(
        &[G, G, G, C, A, E],
        select(vec![
            NOBODY,
            OUTSIDE,
            Vaddr(0xe000_0001),
            Vaddr(0x0a00_0011),
            // Routers, broadcasts, and behind routes.
            Vaddr(0x0a00_0001),
            Vaddr(0x0a00_0021),
            Vaddr(0x0a00_002f),
            Vaddr(0x0a00_0032),
            Vaddr(0x0a00_0029),
            Vaddr(0x0a00_0041),
            Vaddr(u32::MAX),
        ]),
    );
    let header = (
        mostly(&[0, 0xb8], any::<u8>()),
        any::<u16>(),
        any::<bool>(),
        mostly(&[false], any::<bool>()),
        mostly(&[0], 0..200u16),
        mostly(&[64, 1, 2, 3, 255], any::<u8>()),
    );
    let options = mostly(&[0], select(vec![4usize, 8]));
    let to = mostly(
        &[To::Right],
        select(vec![
            To::Neighbor,
            To::Gateway,
            To::OtherGateway,
            To::Nobody,
            To::All,
        ]),
    );
    (
        source,
        dst,
        header,
        payloads(),
        (options, to, kinds()),
        accidents(),
    )
        .prop_map(
            |(
                (port, mac, src),
                dst,
                header,
                (protocol, payload),
                (options, to, kind),
                accident,
            )| {
                let (tos, id, df, mf, offset, ttl) = header;
                let ip = Ip {
                    tos,
                    id,
                    df,
                    mf,
                    offset,
                    ttl,
                    options: vec![1; options],
                    ..Ip::new(src, dst, protocol, payload)
                };
                Sent {
                    port,
                    mac,
                    ip,
                    to,
                    kind,
                    accident,
                }
            },
        )
}

/// Of the substrate. The addresses are made when the layout is known.
#[derive(Clone, Debug)]
struct Came {
    from: (u8, Vaddr),
    to: (u8, Vaddr),
    /// Bits of their marks that are not what they should be.
    twists: (u8, u8),
    header: (u8, u32, u8),
    payload: Vec<u8>,
    kind: Kind,
    accident: (usize, usize, Option<(usize, u8)>),
}

fn came() -> impl Strategy<Value = Came> {
    let host = |usual| mostly(&[usual], 0..3u8);
    let from = (host(1), mostly(&[G], select(vec![A, NOBODY, OUTSIDE])));
    let to = (host(0), mostly(&[A, A, C], select(vec![G, E, NOBODY])));
    let label = (
        mostly(&[64u8, 1], any::<u8>()),
        any::<bool>(),
        mostly(&[1u32, 1, 2], 0..4u32),
    );
    let label = (label, 0..512u32)
        .prop_map(|((ttl, df, tag), entropy)| frames::label(ttl, df, tag) | entropy);
    let header = (any::<u8>(), label, kinds(), accidents());
    let twist = || mostly(&[0, 0, 0, 4], any::<u8>());
    (from, to, (twist(), twist()), header, payloads()).prop_map(
        |(from, to, twists, (class, label, kind, accident), (next_header, payload))| Came {
            from,
            to,
            twists,
            header: (class, label, next_header),
            payload,
            kind,
            accident,
        },
    )
}

impl Came {
    fn frame(self, world: &World) -> Frame {
        let ends = (
            world.saddr(self.from, self.twists.0),
            world.saddr(self.to, self.twists.1),
        );
        let (traffic_class, label, next_header) = self.header;
        let ip = Ip6 {
            traffic_class,
            label,
            ..Ip6::new(ends.0, ends.1, next_header, self.payload)
        };
        (UPLINK, suffer(ip.to_r(), self.accident), self.kind)
    }
}

/// A burst through both. All its packets come in by the port of the first.
fn both(world: &World, frames: &[Frame]) -> Result<usize, TestCaseError> {
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, Limits::default()).expect("a small table");
    world.mappings(&mut writer);
    let snapshot = Snapshot::from(world.topology());
    let cx = Context {
        topology: &snapshot,
        mappings: &writer.readers().reader(),
        pin: &domain.register().expect("one"),
        seconds: NOW,
        fresh: FreshIds::new(1, 4),
    };
    let port = frames[0].0;
    let frames: Vec<_> = frames.iter().filter(|frame| frame.0 == port).collect();
    let metas: Vec<_> = frames
        .iter()
        .map(|(_, _, kind)| Meta {
            port,
            vlan: if matches!(kind, Kind::Stripped) { 5 } else { 0 },
            ..Meta::default()
        })
        .collect();
    let packets = || -> Vec<Buffer> {
        let packet = |(_, frame, kind): &&Frame| match kind {
            Kind::Split => Buffer::split(frame, frame.len() / 2),
            Kind::Shared => Buffer::shared(frame),
            Kind::Whole | Kind::Stripped => Buffer::new(frame),
        };
        frames.iter().map(packet).collect()
    };
    let (mut walked, mut quick) = (packets(), packets());
    let expected = walk(&cx, &mut walked, &metas, &mut Off);
    let (mut results, mut scratch) = (Results::default(), Scratch::default());
    let rest: Rest = if port == UPLINK {
        plain::inbound(&cx, &mut quick, &metas, &mut scratch, &mut results, &mut ())
    } else {
        plain::outbound(&cx, &mut quick, &metas, &mut scratch, &mut results, &mut ())
    };
    let mut sent = 0;
    for i in 0..frames.len() {
        if rest.has(i) {
            prop_assert_eq!(quick[i].frame(), &frames[i].1[..], "packet {} is left", i);
            continue;
        }
        sent += 1;
        prop_assert_eq!(results.get(i), expected.get(i), "packet {}", i);
        let walked_by = matches!(expected.get(i), Ok(Outcome::Send { .. }));
        prop_assert!(walked_by, "packet {} is sent", i);
        prop_assert_eq!(quick[i].frame(), walked[i].frame(), "packet {}", i);
    }
    let mut again = packets();
    let whole = walk_plain(&cx, &mut again, &metas, &mut scratch, &mut ());
    let [expected, whole] = [expected, whole].map(|results| counted(&snapshot, &results));
    prop_assert_eq!(expected, whole, "what interfaces of routers count");
    Ok(sent)
}

/// What a walk adds to what interfaces have counted.
fn counted(topology: &Topology, results: &Results) -> Vec<[u64; 5]> {
    let now = || -> Vec<[u64; 5]> {
        let ifaces = topology.ifaces.iter().map(|iface| iface.traffic.totals());
        let fields = |it: Totals| {
            let packets = [it.in_packets, it.out_packets, it.dropped];
            [
                packets[0],
                packets[1],
                packets[2],
                it.in_bytes,
                it.out_bytes,
            ]
        };
        ifaces.map(fields).collect()
    };
    let before = now();
    for passage in results.passages() {
        tally::count(topology, passage, 0, tally::By::Worker(0));
    }
    let pairs = now().into_iter().zip(before);
    pairs
        .map(|(now, before)| std::array::from_fn(|i| now[i] - before[i]))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn what_nodes_send(world in worlds(), frames in prop::collection::vec(sent(), 1..=BURST)) {
        let frames: Vec<_> = frames.into_iter().map(|frame| frame.frame(&world)).collect();
        both(&world, &frames)?;
    }

    #[test]
    fn what_the_substrate_brings(
        world in worlds(),
        frames in prop::collection::vec(came(), 1..=BURST),
    ) {
        let frames: Vec<_> = frames.into_iter().map(|frame| frame.frame(&world)).collect();
        both(&world, &frames)?;
    }
}

/// Packets that cross routers take it as well, and those that end there do not.
#[test]
fn packets_through_routers_are_plain() {
    let worlds = [1, 2].map(|routers| [(routers, Routes::Few), (routers, Routes::Many)]);
    for (routers, routes) in worlds.into_iter().flatten() {
        let world = World {
            layout: Layout::P72,
            mode: Mode::Siit,
            dscp: Dscp::Copy,
            expires: 0,
            previous: false,
            tagged_hop: false,
            mtu: 1500,
            own_ranges: 1,
            segments: Segments::Routed(routers, routes),
            mark: 9 << 2,
        };
        let sent = |dst, ttl| {
            let sent = Sent {
                port: PORT_A,
                mac: MAC_A,
                ip: Ip {
                    ttl,
                    ..frames::udp(A, dst, (4000, 5000), &[7; 30])
                },
                to: To::Right,
                kind: Kind::Whole,
                accident: (0, 0, None),
            };
            sent.frame(&world)
        };
        let least = routers as u8 + 1;
        let crossing = [sent(G, 64), sent(C, 64), sent(G, least), sent(C, least)];
        assert_eq!(both(&world, &crossing).unwrap(), crossing.len());
        let direct = [sent(E, 1)];
        assert_eq!(both(&world, &direct).unwrap(), 0, "E is behind a tag");
        let ending = [
            sent(G, least - 1),
            sent(C, least - 1),
            sent(Vaddr(0x0a00_0021), 64),
            sent(Vaddr(0x0a00_0029), 64),
            sent(A, 64),
        ];
        assert_eq!(both(&world, &ending).unwrap(), 0, "{routers}");
    }
}

/// The packets that the path is for do take it, or the tests above say nothing.
#[test]
fn usual_packets_are_plain() {
    let usual = World {
        layout: Layout::P72,
        mode: Mode::Siit,
        dscp: Dscp::Copy,
        expires: 0,
        previous: false,
        tagged_hop: false,
        mtu: 1500,
        own_ranges: 1,
        segments: Segments::Flat,
        mark: 9 << 2,
    };
    for layout in [Layout::P72, Layout::P64, Layout::Slot] {
        for mode in [Mode::Siit, Mode::Transparent] {
            let world = World {
                layout,
                mode,
                ..usual.clone()
            };
            let ports = (4000, 5000);
            let frame = |ip: &Ip| (PORT_A, frames::from_a(ip), Kind::Whole);
            let mut unchecked = frames::udp(A, G, ports, &[7; 30]);
            unchecked.payload[6..8].fill(0);
            let sent = [
                frame(&frames::udp(A, G, ports, &[7; 30])),
                frame(&frames::tcp(A, G, ports, &[7; 9])),
                frame(&frames::udp(A, C, ports, &[7; 1400])),
                frame(&frames::tcp(A, C, ports, &[])),
                frame(&frames::udp(A, G, ports, &[7; 4])),
                frame(&frames::udp(A, C, ports, &[])),
                frame(&unchecked),
            ];
            assert_eq!(both(&world, &sent).unwrap(), sent.len(), "{world:?}");
            let tag = if mode == Mode::Siit { 1 } else { 2 };
            let came = |Ip { payload, .. }: Ip, next_header| {
                let came = Came {
                    from: (1, G),
                    to: (0, A),
                    twists: (0, 0),
                    header: (0, frames::label(64, true, tag), next_header),
                    payload,
                    kind: Kind::Whole,
                    accident: (0, 0, None),
                };
                came.frame(&world)
            };
            let came = [
                came(frames::udp(G, A, ports, &[7; 30]), UDP),
                came(frames::tcp(G, A, ports, &[7; 30]), TCP),
                came(frames::udp(G, A, ports, &[]), UDP),
            ];
            assert_eq!(both(&world, &came).unwrap(), came.len(), "{world:?}");
        }
    }
}
