//! What becomes of sizes, fragments, options, tags, DSCP and paths.

use std::collections::{HashMap, HashSet};

use weft::datapath::topology::{PATHS, Topology};
use weft::datapath::wiring::Notice;
use weft::datapath::{Drop, topology};
use weft::model::{Dscp, Mode};
use weft::wire::Mac;

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, across};

/// Payload of the datagram that fragments make up; panics on holes, overlaps
/// and headers that differ.
fn reassemble(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut pieces: Vec<(usize, bool, Vec<u8>)> = Vec::new();
    let id = frames[0][18..20].to_vec();
    for frame in frames {
        let ip = &frame[14..];
        assert_eq!(internet_checksum(&ip[..20]), 0);
        assert_eq!(ip[4..6], id);
        let flags = u16::from_be_bytes([ip[6], ip[7]]);
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        assert_eq!(total, ip.len());
        let at = usize::from(flags & 0x1fff) * 8;
        pieces.push((at, flags & 0x2000 != 0, ip[20..total].to_vec()));
    }
    pieces.sort();
    let mut whole = Vec::new();
    let last = pieces.len() - 1;
    for (i, (at, more, payload)) in pieces.into_iter().enumerate() {
        assert_eq!(at, whole.len());
        assert_eq!(more, i != last);
        whole.extend(payload);
    }
    whole
}

#[test]
fn large_packets_are_cut_and_put_together_again() {
    for mode in [Mode::Siit, Mode::Transparent] {
        let set = |topology: &mut Topology| topology.vnets[0].mode = mode;
        let (mut r, mut s) = (with(setup_r(), set).start(), with(setup_s(), set).start());
        let mut sent = 0;
        for len in [1453, 1454, 1480, 2000, 2904, 2905, 8900, 65_507] {
            let data: Vec<u8> = (0..len).map(|i: u32| ((i * 7) >> 3) as u8).collect();
            for packet in [udp(A, G, (4000, 5000), &data), echo(A, G, 8, &data)] {
                let packet = Ip {
                    df: false,
                    ..packet
                };
                r.send(PORT_A, &from_a(&packet));
                r.settle();
                sent += 1;
                let pieces = r.drain(UPLINK);
                assert!(pieces.len() > 1, "{len}");
                for piece in &pieces {
                    check_substrate_frame(piece, false);
                    assert!(piece.len() - 14 <= usize::from(MTU), "{}", piece.len());
                    assert_eq!(piece[20], 44);
                    s.send(UPLINK, piece);
                }
                // All but the last are as large as eight bytes' steps allow.
                for piece in &pieces[..pieces.len() - 1] {
                    assert!(piece.len() - 14 > usize::from(MTU) - 8);
                }
                s.settle();
                let got = s.drain(PORT_G);
                assert_eq!(got.len(), pieces.len());
                assert_eq!(reassemble(&got), packet.payload, "{len} {mode}");
                assert_eq!(got[0][18..20], packet.id.to_be_bytes());
            }
        }
        assert_eq!(r.sum(|counters| counters.fragmented.get()), sent);
    }
}

#[test]
fn fragments_are_cut_further() {
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    let payload = vec![7; 3200];
    for (mf, offset) in [(true, 0), (true, 400), (false, 800)] {
        let fragment = Ip {
            df: false,
            mf,
            offset,
            ..Ip::new(A, G, UDP, payload.clone())
        };
        r.send(PORT_A, &from_a(&fragment));
    }
    r.settle();
    assert!(across(&r, &mut s) > 6);
    assert_eq!(reassemble(&s.drain(PORT_G)), vec![7; 9600]);
}

/// Between nodes of one host, where the receiver's link takes less.
#[test]
fn neighbours_with_smaller_links_get_pieces() {
    let narrow = || {
        with(setup_r(), |topology| {
            topology.ports[usize::from(PORT_C)].mtu = 1000;
        })
    };
    let mut r = narrow().start();
    let whole = udp(A, C, (1, 2), &[7; 1464]);
    let may = Ip {
        df: false,
        ..whole.clone()
    };
    r.send(PORT_A, &from_a(&may));
    r.settle();
    let pieces = r.drain(PORT_C);
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [1014, 534]);
    let fits = udp(A, C, (1, 2), &[7; 972]);
    let link = r.carry_to(PORT_A, &from_a(&fits), PORT_C)[..18].to_vec();
    assert!(pieces.iter().all(|piece| piece[..18] == link));
    let untagged = |frames: Vec<Vec<u8>>| {
        let bare = |frame: &Vec<u8>| [&frame[..12], &frame[16..]].concat();
        frames.iter().map(bare).collect::<Vec<_>>()
    };
    assert_eq!(reassemble(&untagged(pieces)), whole.payload);
    assert_eq!(r.drops(), []);
    r.assert_balanced();
    // Pieces have no options; nor does the sender know of any.
    let optional = Ip {
        options: vec![1; 4],
        ..may.clone()
    };
    r.send(PORT_A, &from_a(&optional));
    r.settle();
    assert_eq!(reassemble(&untagged(r.drain(PORT_C))), whole.payload);
    assert_eq!(r.sum(|counters| counters.options_removed.get()), 1);
    // Who forbids it is told what the link takes.
    assert_eq!(r.carry(PORT_A, &from_a(&whole)), []);
    assert!(matches!(
        r.notices()[..],
        [Notice::Refused {
            why: Drop::TooBig,
            mtu: 1000,
            ..
        }]
    ));
    // Nothing is cut for whom nobody can reach yet.
    let unknown = with(narrow(), |topology| {
        topology.resolver = true;
        topology.nodes[NODE_C.index()].mac = None;
    });
    let mut r = unknown.start();
    assert_eq!(r.carry(PORT_A, &from_a(&may)), []);
    assert_eq!(r.sum(|counters| counters.held.get()), 1);
}

/// The largest packet that fits, and one byte more.
#[test]
fn what_fits_passes_and_what_does_not_is_told() {
    let mut r = setup_r().start();
    let fits = udp(A, G, (1, 2), &[0; 1452]);
    assert_eq!(r.carry_to(PORT_A, &from_a(&fits), UPLINK).len(), 14 + 1500);
    let too_big = from_a(&udp(A, G, (1, 2), &[0; 1453]));
    assert_eq!(r.carry(PORT_A, &too_big), []);
    match &r.notices()[..] {
        [
            Notice::Refused {
                why: Drop::TooBig,
                node: NODE_A,
                mtu: 1472,
                packet,
            },
        ] => {
            assert_eq!(packet.frame(), too_big);
        }
        other => panic!("{other:?}"),
    }
}

/// A path whose MTU a router has told is smaller for that host alone.
#[test]
fn jumbo_frames_and_narrow_paths() {
    let mut setup = with(setup_r(), |topology| {
        topology.hosts[HOST_S.index()].mtu = 9000;
        topology.hosts[HOST_T.index()].mtu = 1280;
    });
    setup.mappings.push((key(Z, NOBODY), remote(HOST_T)));
    let mut r = setup.start();
    let jumbo = udp(A, G, (1, 2), &[9; 8952]);
    let frame = r.carry_to(PORT_A, &from_a(&jumbo), UPLINK);
    assert_eq!(frame.len(), 14 + 9000);
    check_substrate_frame(&frame, true);
    assert_eq!(
        r.carry(PORT_A, &from_a(&udp(A, NOBODY, (1, 2), &[9; 1233]))),
        []
    );
    assert!(matches!(
        r.notices()[..],
        [Notice::Refused {
            why: Drop::TooBig,
            mtu: 1252,
            ..
        }]
    ));
    r.carry_to(PORT_A, &from_a(&udp(A, NOBODY, (1, 2), &[9; 1232])), UPLINK);
}

#[test]
fn padding_is_trimmed() {
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    let bare = from_a(&hello());
    let padded = [&bare[..], &[0xee; 9]].concat();
    let frame = r.carry_to(PORT_A, &padded, UPLINK);
    assert_eq!(frame, r.carry_to(PORT_A, &bare, UPLINK));
    let got = s.carry_to(UPLINK, &[&frame[..], &[0xee; 30]].concat(), PORT_G);
    assert_eq!(got, s.carry_to(UPLINK, &frame, PORT_G));
    let to_c = from_a(&udp(A, C, (1, 2), b"x"));
    assert_eq!(
        r.carry_to(PORT_A, &[&to_c[..], &[0xee; 17]].concat(), PORT_C),
        r.carry_to(PORT_A, &to_c, PORT_C)
    );
}

#[test]
fn options_are_left_out_and_counted() {
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    for options in [
        vec![1; 4],
        // Record route; time stamps; an expired source route; all 40 bytes.
        vec![7, 7, 4, 0, 0, 0, 0, 0],
        vec![68, 8, 5, 0, 0, 0, 0, 0],
        vec![131, 7, 8, 10, 0, 0, 9, 0],
        vec![1; 40],
    ] {
        let frame = r.carry_to(PORT_A, &from_a(&Ip { options, ..hello() }), UPLINK);
        assert_eq!(frame, r.carry_to(PORT_A, &from_a(&hello()), UPLINK));
        let got = s.carry_to(UPLINK, &frame, PORT_G);
        assert_eq!(got[14..], Ip { id: 0, ..hello() }.bytes());
    }
    assert_eq!(r.sum(|counters| counters.options_removed.get()), 5);
    // Also of what is cut, once a packet; not of what stays on the host.
    let mut cut = udp(A, G, (1, 2), &[0; 3000]);
    (cut.df, cut.options) = (false, vec![1; 12]);
    r.send(PORT_A, &from_a(&cut));
    r.settle();
    assert_eq!(
        r.drain(UPLINK)
            .iter()
            .map(|frame| frame.len() - 62)
            .sum::<usize>(),
        3008
    );
    let mut to_c = udp(A, C, (1, 2), b"");
    to_c.options = vec![1; 4];
    r.carry_to(PORT_A, &from_a(&to_c), PORT_C);
    assert_eq!(r.sum(|counters| counters.options_removed.get()), 6);
}

#[test]
fn dscp_follows_the_vnet_and_ecn_the_node() {
    for (rule, expected) in [
        (Dscp::Copy, [0xb8, 0xbb, 0x01]),
        (Dscp::Zero, [0x00, 0x03, 0x01]),
        (Dscp::Fixed(10), [0x28, 0x2b, 0x29]),
    ] {
        let mut r = with(setup_r(), |topology| topology.vnets[0].dscp = rule).start();
        for (tos, expected) in [0xb8, 0xbb, 0x01].into_iter().zip(expected) {
            let frame = r.carry_to(PORT_A, &from_a(&Ip { tos, ..hello() }), UPLINK);
            assert_eq!(
                frame[14] << 4 | frame[15] >> 4,
                expected,
                "{rule:?} {tos:#x}"
            );
            check_substrate_frame(&frame, true);
        }
    }
}

/// The mode changes at one end, then at the other, with packets on the way.
#[test]
fn a_mode_changes_while_packets_are_in_flight() {
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    let mode = |host: &mut Host, topology: fn() -> Topology, mode| {
        let mut changed = topology();
        changed.vnets[0].mode = mode;
        host.publish(changed);
    };
    let mut flying = Vec::new();
    for (at_r, at_s) in [
        (Mode::Siit, Mode::Siit),
        (Mode::Transparent, Mode::Siit),
        (Mode::Transparent, Mode::Transparent),
        (Mode::Siit, Mode::Transparent),
    ] {
        mode(&mut r, topology_r, at_r);
        flying.push(r.carry_to(PORT_A, &from_a(&hello()), UPLINK));
        mode(&mut s, topology_s, at_s);
        for frame in &flying {
            let got = s.carry_to(UPLINK, frame, PORT_G);
            assert_eq!(got[14..], Ip { id: 0, ..hello() }.bytes());
        }
    }
}

/// An uplink with a tag of its own, kept in the frame or taken off by the
/// device.
#[test]
fn a_tagged_uplink() {
    let tagged = |topology: &mut Topology| {
        topology.ports[0].vlan = Some(42);
        topology.hops = vec![hop(MAC_R, MAC_S, Some(42))];
    };
    let mut r = with(setup_r(), tagged).start();
    let frame = r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    assert_eq!(frame[12..18], [0x81, 0, 0, 42, 0x86, 0xdd]);
    let untagged = [&frame[..12], &frame[16..]].concat();
    check_substrate_frame(&untagged, true);

    let packet = g_to_a().bytes();
    let plain = r.carry_to(
        UPLINK,
        &ethernet(MAC_R, MAC_S, Some(42), 0x86dd, &packet),
        PORT_A,
    );
    r.send_stripped(UPLINK, &ethernet(MAC_R, MAC_S, None, 0x86dd, &packet), 42);
    r.settle();
    assert_eq!(r.receive(PORT_A), Some(plain));
}

/// Flows spread over the paths; a flow stays on its path, with all fragments,
/// and with its label; losing a path moves only its flows.
#[test]
fn flows_stick_to_their_paths() {
    let router = |i: u8| Mac([2, 0, 0, 0, 0xff, i]);
    let spread = |paths: [u16; PATHS]| {
        move |topology: &mut Topology| {
            topology.hops = (0..4).map(|i| hop(MAC_R, router(i), None)).collect();
            topology.hosts[HOST_S.index()].paths = paths;
        }
    };
    let all: [u16; PATHS] = std::array::from_fn(|i| i as u16 % 4);
    let less = all.map(|hop| if hop == 2 { 3 } else { hop });
    let mut r = with(setup_r(), spread(all)).start();
    let flows = || (0..400u16).map(|i| udp(A, G, (1000 + i, 5000), b"x"));
    let path_of = |r: &mut Host, ip: &Ip| {
        let frame = r.carry_to(PORT_A, &from_a(ip), UPLINK);
        let label = u32::from_be_bytes([0, frame[15] & 0xf, frame[16], frame[17]]);
        (frame[5], label & 0x1ff)
    };
    let first: Vec<_> = flows().map(|ip| path_of(&mut r, &ip)).collect();
    let again: Vec<_> = flows().map(|ip| path_of(&mut r, &ip)).collect();
    assert_eq!(first, again);
    let mut load = HashMap::new();
    for (path, _) in &first {
        *load.entry(path).or_insert(0) += 1;
    }
    assert_eq!(load.len(), 4);
    assert!(
        load.values().all(|flows| (60..140).contains(flows)),
        "{load:?}"
    );
    let labels: HashSet<_> = first.iter().map(|(_, label)| label).collect();
    assert!(
        labels.len() > 200,
        "{} of 512 labels for 400 flows",
        labels.len()
    );

    let mut changed = topology_r();
    spread(less)(&mut changed);
    r.publish(changed);
    for (ip, (path, _)) in flows().zip(first) {
        let (now, _) = path_of(&mut r, &ip);
        assert_eq!(now, if path == 2 { 3 } else { path });
    }

    let large = Ip {
        df: false,
        ..udp(A, G, (7, 7), &[0; 9000])
    };
    r.send(PORT_A, &from_a(&large));
    r.settle();
    let ways: HashSet<_> = r
        .drain(UPLINK)
        .iter()
        .map(|frame| (frame[5], frame[17]))
        .collect();
    assert_eq!(ways.len(), 1, "all pieces take one path under one label");
    assert_eq!(topology::NO_HOP, u16::MAX);
}
