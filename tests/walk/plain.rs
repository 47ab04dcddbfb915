//! The plain path beside the walk: whatever it sends, the walk sends by the
//! same port with the same bytes; what it leaves, it has not touched.

mod drawn;
mod world;

use proptest::prelude::*;

use weft::arch::{self, Width};
use weft::datapath::plain::{self, Rest, Scratch};
use weft::datapath::tally::{self, Totals};
use weft::datapath::topology::Topology;
use weft::datapath::trace::Off;
use weft::datapath::{BURST, Context, FreshIds, Outcome, Results, Snapshot, walk, walk_plain};
use weft::mapping::{Domain, Limits, Writer};
use weft::model::{Dscp, Mode};
use weft::packet::{Buffer, Meta};
use weft::wire::{Layout, Vaddr};

use self::drawn::{Came, Frame, Kind, Sent, To, came, sent};
use self::world::{Routes, Segments, World, worlds};
use crate::common::frames::{self, Ip, TCP, UDP};
use crate::common::topology::*;

/// The second the walks are at.
const NOW: u32 = 100;

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

/// What processors have. Other tests at the same time work as this one says.
fn widths() -> impl Strategy<Value = Width> {
    prop::sample::select(vec![Width::Narrow, Width::Wide, Width::Widest])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn what_nodes_send(
        world in worlds(),
        frames in prop::collection::vec(sent(), 1..=BURST),
        width in widths(),
    ) {
        arch::pretend(width);
        let frames: Vec<_> = frames.into_iter().map(|frame| frame.frame(&world)).collect();
        both(&world, &frames)?;
    }

    #[test]
    fn what_the_substrate_brings(
        world in worlds(),
        frames in prop::collection::vec(came(), 1..=BURST),
        width in widths(),
    ) {
        arch::pretend(width);
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
