//! One packet from A to G, byte for byte, in both modes; and that what node A
//! sent is what G gets, and the other way round.

use weft::model::Mode;

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Setup, across};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ascii"), 16).expect("hex")
    };
    digits.chunks(2).map(byte).collect()
}

const SENT: &str = "765b0a000003 02000000000a 0800
    45b8002512344000401113d80a0000020a000003
    0fa013880011a831 68656c6c6f2d6f6e6d";

const DELIVERED: &str = "020000000006 765b0a000002 0800
    45b80025000040004011260c0a0000020a000003
    0fa013880011a831 68656c6c6f2d6f6e6d";

fn walk_of_the_example(mode: Mode, first_word: &str, udp_checksum: &str) {
    let set = |setup: Setup| still(with(setup, |topology| topology.vnets[0].mode = mode));
    let (mut r, mut s) = (set(setup_r()).start(), set(setup_s()).start());

    let on_the_substrate = r.carry_to(PORT_A, &hex(SENT), UPLINK);
    let expected = format!(
        "020000000200 020000000100 86dd
         {first_word} 00111140
         20010db80000000a015a00010a000002
         20010db80000000b025a00010a000003
         0fa013880011{udp_checksum} 68656c6c6f2d6f6e6d"
    );
    assert_eq!(on_the_substrate, hex(&expected));
    check_substrate_frame(&on_the_substrate, mode == Mode::Siit);

    assert_eq!(
        s.carry_to(UPLINK, &on_the_substrate, PORT_G),
        hex(DELIVERED)
    );
}

#[test]
fn the_walk_byte_by_byte_in_siit() {
    walk_of_the_example(Mode::Siit, "6b840a00", "48f4");
}

#[test]
fn the_walk_byte_by_byte_in_transparent() {
    walk_of_the_example(Mode::Transparent, "6b840c00", "a831");
}

#[test]
fn the_frame_of_the_example_is_the_one_other_tests_send() {
    assert_eq!(from_a(&hello()), hex(SENT));
}

/// All kinds of packets, there and back, in every mode: what the far node gets
/// is what was sent, but for the ID of a packet that nobody may fragment.
#[test]
fn nodes_get_what_nodes_sent() {
    let data: Vec<u8> = (0..=255).cycle().take(700).map(|n: u32| n as u8).collect();
    let mut packets = vec![
        udp(A, G, (4000, 5000), b""),
        udp(A, G, (4000, 5000), &data),
        tcp(A, G, (4000, 80), b""),
        tcp(A, G, (4000, 80), &data[..333]),
        echo(A, G, 8, &data[..56]),
        echo(A, G, 0, b"odd"),
        Ip::new(A, G, 47, data.clone()),
        Ip::new(A, G, 50, data[..40].to_vec()),
        Ip::new(A, G, 132, data[..17].to_vec()),
        // An ICMP error travels byte by byte.
        echo(A, G, 3, &data[..28]),
        // Too short for their protocols.
        Ip::new(A, G, UDP, b"seven b".to_vec()),
        Ip::new(A, G, TCP, b"nineteen bytes of T".to_vec()),
        Ip::new(A, G, ICMP, b"icmp".to_vec()),
    ];
    let mut no_checksum = udp(A, G, (1, 2), b"zero");
    no_checksum.payload[6..8].fill(0);
    packets.push(no_checksum);
    for sum in [0u16, 1, 0xfffe, 0xffff] {
        let mut wrong = tcp(A, G, (1, 2), b"wrong");
        wrong.payload[16..18].copy_from_slice(&sum.to_be_bytes());
        packets.push(wrong);
    }
    for (mf, offset) in [(true, 0), (true, 2), (false, 100)] {
        packets.push(Ip {
            mf,
            offset,
            df: false,
            ..udp(A, G, (4000, 5000), &data[..88])
        });
    }
    for mode in [Mode::Siit, Mode::Transparent] {
        let set = |setup: Setup| with(setup, |topology| topology.vnets[0].mode = mode);
        let (mut r, mut s) = (set(setup_r()).start(), set(setup_s()).start());
        for (tos, ttl, df) in [(0, 64, true), (0xb9, 1, false), (0x03, 255, true)] {
            for packet in &packets {
                let sent = Ip {
                    tos,
                    ttl,
                    df: df && !packet.mf && packet.offset == 0,
                    ..packet.clone()
                };
                r.send(PORT_A, &from_a(&sent));
                r.settle();
                assert_eq!(across(&r, &mut s), 1, "{:?}", r.drops());
                let got = s.receive(PORT_G).expect("delivered");
                let id = u16::from_be_bytes([got[18], got[19]]);
                let fragment = sent.mf || sent.offset != 0;
                let expected = Ip {
                    id: match (fragment, sent.df) {
                        (true, _) => sent.id,
                        (false, true) => 0,
                        (false, false) => id,
                    },
                    ..sent
                };
                assert_eq!(got[14..], expected.bytes(), "{mode} {expected:?}");
                assert_eq!(got[..6], MAC_G.0);
                assert_eq!(got[6..12], virtual_mac(Z, A).0);
                s.send(
                    PORT_G,
                    &from_g(
                        Z,
                        &Ip {
                            src: G,
                            dst: A,
                            ..answer()
                        },
                    ),
                );
                s.settle();
                assert_eq!(across(&s, &mut r), 1);
                assert!(r.receive(PORT_A).is_some());
            }
        }
    }
}

/// Right checksums stay right, computed anew by somebody else's code.
#[test]
fn checksums_on_the_substrate_are_right_in_siit() {
    let mut r = setup_r().start();
    for seed in 0..2000u32 {
        let data: Vec<u8> = (0..seed % 64)
            .map(|i| (seed.wrapping_mul(i + 7) >> 3) as u8)
            .collect();
        let ports = (seed as u16, (seed >> 3) as u16 ^ 0x5555);
        for packet in [
            udp(A, G, ports, &data),
            tcp(A, G, ports, &data),
            echo(A, G, 8, &data),
            echo(A, G, 0, &data),
        ] {
            let frame = r.carry_to(PORT_A, &from_a(&packet), UPLINK);
            let (src, dst) = check_substrate_frame(&frame, true);
            assert_eq!(src, saddr(&locator_r(), Z, A));
            assert_eq!(dst, saddr(&locator_s(), Z, G));
        }
    }
}

/// Packets that may be fragmented on the way get IDs that differ, whichever
/// burst, port or worker restored them.
#[test]
fn fresh_ids_do_not_repeat() {
    use std::collections::HashSet;
    // Four uplinks, so that a worker has several bursts a round.
    const UPLINKS: [u16; 4] = [UPLINK, 6, 7, 8];
    for workers in [1u16, 2, 3] {
        let mut setup = with(setup_r(), |topology| {
            for _ in 0..3 {
                topology.ports.push(topology.ports[0].clone());
            }
        });
        setup.workers = workers;
        setup.rings.handover = 1024;
        setup.duty = vec![(0, 0); 9];
        for (uplink, i) in UPLINKS.iter().zip(0..) {
            setup.duty[usize::from(*uplink)] = (i % workers, i % workers);
        }
        let mut r = setup.start();
        let mut frame = g_to_a();
        frame.label = label(64, false, 2);
        let mut ids = HashSet::new();
        let mut sent = 0usize;
        // Once around all IDs there are, less a burst of each uplink.
        while sent + 4 * 32 * 3 < 65_536 / usize::from(workers) {
            for uplink in UPLINKS {
                for _ in 0..32 {
                    r.send(uplink, &frame.to_r());
                    sent += 1;
                }
            }
            r.settle();
            for got in r.drain(PORT_A) {
                assert!(
                    ids.insert([got[18], got[19]]),
                    "{workers} workers, {sent} sent"
                );
            }
        }
        assert_eq!(ids.len(), sent);
    }
}
