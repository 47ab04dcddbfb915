//! Random and mutated frames on both sides: no panic, nothing to a wrong node,
//! nothing odd on the substrate, every loss named. A million each in a release
//! build, fewer in a debug one; always the same ones.

use proptest::prelude::*;
use weft::mapping::Mapping;
use weft::model::Mode;
use weft::wire::{Vaddr, Vni};

use super::common::Host;
use super::common::frames::*;
use super::common::topology::*;

const FRAMES: u32 = if cfg!(debug_assertions) {
    30_000
} else {
    1_000_000
};

/// xorshift64*, so that every run sends the same frames.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// Mostly a valid frame with a few bytes changed; sometimes noise alone.
    fn frame(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        if self.below(16) == 0 {
            let len = self.below(200);
            return (0..len).map(|_| self.next() as u8).collect();
        }
        let pick = self.below(corpus.len());
        let mut frame = corpus[pick].clone();
        for _ in 0..self.below(4) {
            self.change(&mut frame);
        }
        frame
    }

    fn change(&mut self, frame: &mut Vec<u8>) {
        // Headers are where it matters.
        let reach = if self.below(8) == 0 {
            frame.len()
        } else {
            frame.len().min(90)
        };
        let at = self.below(reach);
        match self.below(8) {
            0 => frame.truncate(at),
            1 => {
                let more = self.below(60);
                frame.extend((0..more).map(|i| i as u8));
            }
            2 if at < frame.len() => frame[at] = self.next() as u8,
            3 if at < frame.len() => {
                frame[at] = self.one_of(&[0, 1, 0x45, 0x60, 58, 44, 0x7f, 0xff])
            }
            4 if at + 1 < frame.len() => {
                let value = self.one_of(&[0u16, 1, 19, 20, 40, 1500, 0x7fff, 0xffff]);
                frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
            }
            _ if at < frame.len() => frame[at] ^= 1 << self.below(8),
            _ => {}
        }
    }

    /// Makes an IPv4 header's checksum right again, mostly.
    fn heal(&mut self, frame: &mut [u8], at: usize) {
        let header_len = frame.get(at).map_or(0, |first| usize::from(first & 15) * 4);
        if self.below(4) == 0 || header_len < 20 || frame.len() < at + header_len {
            return;
        }
        if self.below(8) == 0 {
            frame[at + 9] = self.next() as u8;
        }
        frame[at + 10..at + 12].fill(0);
        let sum = internet_checksum(&frame[at..at + header_len]);
        frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// What a frame that left by a node's port must be like.
fn check_delivered(host: &str, port: u16, frame: &[u8], vni: Vni) {
    let nodes: &[_] = if host == "R" {
        &[
            (PORT_A, None, MAC_A, Z, A),
            (PORT_C, Some(TAG_C), MAC_C, Z, C),
            (PORT_TWIN, None, MAC_TWIN, Y, A),
            (TRUNK, Some(TAG_E), MAC_E, Z, E),
            (TRUNK, Some(TAG_F), MAC_F, Z, F),
        ]
    } else {
        &[
            (PORT_G, None, MAC_G, Z, G),
            (PORT_G_TWIN, None, MAC_G, Y, G),
        ]
    };
    let tag = (frame[12..14] == [0x81, 0]).then(|| u16::from_be_bytes([frame[14], frame[15]]));
    let ip = &frame[if tag.is_some() { 18 } else { 14 }..];
    let dst = Vaddr(u32::from_be_bytes([ip[16], ip[17], ip[18], ip[19]]));
    let src = Vaddr(u32::from_be_bytes([ip[12], ip[13], ip[14], ip[15]]));
    let is_its = |&&(p, t, mac, v, a): &&(u16, Option<u16>, weft::wire::Mac, Vni, Vaddr)| {
        (p, t, v, a) == (port, tag, vni, dst) && frame[..6] == mac.0
    };
    assert!(
        nodes.iter().any(|node| is_its(&node)),
        "{port} got {frame:02x?}"
    );
    assert_eq!(frame[6..12], virtual_mac(vni, src).0);
    let header_len = usize::from(ip[0] & 15) * 4;
    assert_eq!(internet_checksum(&ip[..header_len]), 0);
    assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
}

fn corpus_of(src: Vaddr, frame: fn(&Ip) -> Vec<u8>) -> Vec<Vec<u8>> {
    let large = vec![0x55; 3000];
    let mut all = vec![
        frame(&udp(src, G, (4000, 5000), b"hello-onm")),
        frame(&tcp(src, G, (4000, 80), &large[..100])),
        frame(&echo(src, G, 8, &large[..56])),
        frame(&udp(src, C, (1, 2), b"local")),
        frame(&udp(src, E, (1, 2), b"trunk")),
        frame(&Ip::new(src, G, 47, large[..77].to_vec())),
        frame(&udp(src, NOBODY, (1, 2), b"")),
        frame(&udp(src, G, (1, 2), &large)),
    ];
    let mut fragment = udp(src, G, (4000, 5000), &large[..64]);
    (fragment.df, fragment.mf) = (false, true);
    all.push(frame(&fragment));
    fragment.offset = 77;
    all.push(frame(&fragment));
    let mut large = udp(src, G, (1, 2), &large);
    large.df = false;
    all.push(frame(&large));
    large.options = vec![7, 3, 4, 1];
    all.push(frame(&large));
    let mut options = udp(src, G, (1, 2), b"options");
    options.options = vec![1, 68, 7, 5, 0, 0, 0, 0];
    all.push(frame(&options));
    all
}

/// The packet that G should get, of a frame that A sent and nobody cut.
fn restored(sent: &[u8], got: &[u8]) -> Vec<u8> {
    let at = if sent[12..14] == [0x81, 0] { 18 } else { 14 };
    let ip = &sent[at..];
    let header_len = usize::from(ip[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let flags = u16::from_be_bytes([ip[6], ip[7]]);
    let whole = flags & 0x3fff == 0;
    let word = |at: usize| {
        Vaddr(u32::from_be_bytes([
            ip[at],
            ip[at + 1],
            ip[at + 2],
            ip[at + 3],
        ]))
    };
    Ip {
        tos: ip[1],
        id: match (whole, flags & 0x4000 != 0) {
            (true, true) => 0,
            (true, false) => u16::from_be_bytes([got[18], got[19]]),
            (false, _) => u16::from_be_bytes([ip[4], ip[5]]),
        },
        df: flags & 0x4000 != 0,
        mf: flags & 0x2000 != 0,
        offset: flags & 0x1fff,
        ttl: ip[8],
        protocol: ip[9],
        src: word(12),
        dst: word(16),
        options: Vec::new(),
        payload: ip[header_len..total].to_vec(),
    }
    .bytes()
}

/// Garbage from a node, through R and on to S.
fn from_a_node(port: u16, vni: Vni, mode: Mode, frame_of: fn(&Ip) -> Vec<u8>, seed: u64) {
    let mut random = Random(seed);
    let corpus = corpus_of(A, frame_of);
    let set = |setup| {
        with(setup, |topology| {
            topology.vnets.iter_mut().for_each(|v| v.mode = mode)
        })
    };
    let (mut r, mut s) = (set(setup_r()).start(), set(setup_s()).start());
    let (mut sent, mut cut, mut restored_well) = (0u64, 0u64, 0u64);
    for _ in 0..FRAMES / 4 {
        let mut frame = random.frame(&corpus);
        let l3 = if frame.get(12..14) == Some(&[0x81, 0]) {
            18
        } else {
            14
        };
        random.heal(&mut frame, l3);
        let pieces = r.sum(|counters| counters.fragmented.get());
        r.send(port, &frame);
        r.workers[0].round();
        sent += 1;
        let was_cut = r.sum(|counters| counters.fragmented.get()) > pieces;
        cut += u64::from(was_cut);
        for (by, out) in r.all() {
            if by != UPLINK {
                check_delivered("R", by, &out, vni);
                continue;
            }
            let (src, dst) = check_substrate_frame(&out, false);
            assert_eq!(src, saddr(&locator_r(), vni, A));
            assert_eq!(dst, saddr(&locator_s(), vni, G));
            s.send(UPLINK, &out);
        }
        s.workers[0].round();
        for (by, got) in s.all() {
            assert_ne!(by, UPLINK);
            check_delivered("S", by, &got, vni);
            // A reserved bit is the one thing that is not carried.
            if !was_cut && frame[l3 + 6] & 0x80 == 0 {
                assert_eq!(got[14..], restored(&frame, &got), "{frame:02x?}");
                restored_well += 1;
            }
        }
        r.punted();
        r.notices();
        if sent % 1024 == 0 {
            r.clock.advance(7);
        }
    }
    assert!(
        cut > 100 && restored_well > u64::from(FRAMES) / 50,
        "{cut} {restored_well}"
    );
    assert!(r.drops().len() > 12, "{:?}", r.drops());
    assert_eq!(s.drops(), [], "what R sends, S takes");
}

#[test]
fn garbage_of_a_node_in_siit() {
    from_a_node(PORT_A, Z, Mode::Siit, from_a, 1);
}

#[test]
fn garbage_of_a_node_in_transparent() {
    from_a_node(PORT_A, Z, Mode::Transparent, from_a, 2);
}

#[test]
fn garbage_of_the_twin() {
    from_a_node(PORT_TWIN, Y, Mode::Siit, from_twin, 3);
}

#[test]
fn garbage_on_a_tagged_port() {
    let mut random = Random(4);
    let corpus = corpus_of(C, from_c);
    let mut r = setup_r().start();
    for _ in 0..FRAMES / 4 {
        let mut frame = random.frame(&corpus);
        random.heal(&mut frame, 18);
        r.send(PORT_C, &frame);
        r.workers[0].round();
        for (by, out) in r.all() {
            if by == UPLINK {
                let (src, dst) = check_substrate_frame(&out, false);
                assert_eq!(src, saddr(&locator_r(), Z, C));
                assert_eq!(dst, saddr(&locator_s(), Z, G));
            } else {
                check_delivered("R", by, &out, Z);
            }
        }
        r.punted();
        r.notices();
    }
}

fn substrate_corpus() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let (mut r, mut s) = (setup_r().start(), setup_s().start());
    let mut collect = |s: &mut Host, vni, port, ip: &Ip| {
        s.send(port, &from_g(vni, ip));
        s.settle();
        all.extend(s.drain(UPLINK));
    };
    for mode in [Mode::Siit, Mode::Transparent] {
        let mut topology = topology_s();
        topology.vnets.iter_mut().for_each(|vnet| vnet.mode = mode);
        s.publish(topology);
        for (vni, port) in [(Z, PORT_G), (Y, PORT_G_TWIN)] {
            collect(&mut s, vni, port, &answer());
            collect(&mut s, vni, port, &tcp(G, A, (80, 4000), &[7; 40]));
            collect(&mut s, vni, port, &echo(G, A, 0, &[7; 56]));
            collect(&mut s, vni, port, &Ip::new(G, A, 47, vec![7; 40]));
            let mut large = udp(G, A, (1, 2), &[7; 3000]);
            large.df = false;
            collect(&mut s, vni, port, &large);
        }
    }
    let mut error = g_to_a();
    (error.label, error.next_header) = (0, 58);
    error.payload = [&[1, 4, 0, 0, 0, 0, 0, 0][..], &g_to_a().bytes()].concat();
    all.push(error.to_r());
    let mut solicitation = g_to_a();
    (solicitation.next_header, solicitation.dst) = (58, own_r());
    all.push(solicitation.to_r());
    r.settle();
    all
}

/// A frame of the substrate reaches a node only if its addresses say so, and
/// its source is where its mapping is.
fn from_the_substrate(port_vlan: Option<u16>, seed: u64, count: u32) {
    let mut random = Random(seed);
    let corpus = substrate_corpus();
    let moved = Mapping {
        previous: Some((HOST_T, 1000)),
        ..remote(HOST_S)
    };
    let setup = with(setup_r().map(Y, G, moved), |topology| {
        topology.ports[0].vlan = port_vlan
    });
    let mut r = setup.start();
    let mut delivered = 0;
    for _ in 0..count {
        let mut frame = random.frame(&corpus);
        if let (Some(vlan), true) = (port_vlan, frame.len() > 12) {
            let tag = [&[0x81, 0][..], &vlan.to_be_bytes()].concat();
            frame.splice(12..12, tag);
        }
        r.send(UPLINK, &frame);
        r.workers[0].round();
        for (by, out) in r.all() {
            let l3 = if port_vlan.is_some() { 18 } else { 14 };
            let ip = &frame[l3..];
            let at = |at: usize| <[u8; 16]>::try_from(&ip[at..at + 16]).expect("16");
            let (src, dst) = (at(8), at(24));
            let vni = if by == PORT_TWIN { Y } else { Z };
            check_delivered("R", by, &out, vni);
            let vaddr = |address: [u8; 16]| {
                Vaddr(u32::from_be_bytes([
                    address[12],
                    address[13],
                    address[14],
                    address[15],
                ]))
            };
            assert_eq!(dst, saddr(&locator_r(), vni, vaddr(dst)));
            let previous = vni == Y && src == saddr(&locator_t(), Y, G);
            assert!(
                src == saddr(&locator_s(), vni, G) || previous,
                "{frame:02x?}"
            );
            assert_eq!(frame[..6], MAC_R.0);
            delivered += 1;
        }
        r.punted();
        r.notices();
    }
    assert!(delivered > count / 10, "{delivered}");
    assert!(r.drops().len() > 12, "{:?}", r.drops());
}

#[test]
fn garbage_of_the_substrate() {
    from_the_substrate(None, 5, FRAMES / 4 * 3);
}

#[test]
fn garbage_of_a_tagged_substrate() {
    from_the_substrate(Some(42), 6, FRAMES / 4);
}

/// All that a Fragment header, a label and a payload can say.
#[test]
fn garbage_of_a_host_that_is_known() {
    let mut random = Random(7);
    let mut r = setup_r().start();
    for _ in 0..FRAMES / 4 {
        let len = random.below(80);
        let mut packet = g_to_a();
        packet.payload = (0..len).map(|_| random.next() as u8).collect();
        packet.label = random.next() & 0xf_ffff;
        packet.traffic_class = random.next() as u8;
        packet.next_header = random.one_of(&[0, 1, 6, 17, 43, 44, 44, 44, 50, 58, 59, 60, 200]);
        if let (44, Some(first)) = (packet.next_header, packet.payload.first_mut()) {
            *first = random.one_of(&[0, 1, 6, 17, 44, 58, 59, 135]);
        }
        r.send(UPLINK, &packet.to_r());
        r.workers[0].round();
        for (by, out) in r.all() {
            assert_eq!(by, PORT_A);
            check_delivered("R", by, &out, Z);
            assert!(
                ![0, 43, 44, 58, 59, 60, 135, 139, 140].contains(&out[23]),
                "{}",
                out[23]
            );
            assert_ne!(out[22], 0, "TTL");
        }
        r.punted();
    }
}

proptest! {
    /// Any packet that A can send in one piece arrives as it was sent.
    #[test]
    fn whatever_is_carried_is_restored(
        tos: u8,
        ttl in 1..=255u8,
        protocol: u8,
        df: bool,
        fragment in proptest::option::of((any::<bool>(), 0..8000u16)),
        payload in proptest::collection::vec(any::<u8>(), 0..1400),
        transparent: bool,
    ) {
        let mode = if transparent { Mode::Transparent } else { Mode::Siit };
        let set = |setup| with(setup, |topology| topology.vnets[0].mode = mode);
        let (mut r, mut s) = (set(setup_r()).start(), set(setup_s()).start());
        let (mf, offset) = fragment.unwrap_or((false, 0));
        let sent = Ip { tos, ttl, df, mf, offset, ..Ip::new(A, G, protocol, payload) };
        let frame = from_a(&sent);
        let out = r.carry(PORT_A, &frame);
        if [0, 43, 44, 58, 59, 60, 135, 139, 140].contains(&protocol) {
            prop_assert!(out.is_empty());
        } else {
            prop_assert_eq!(out.len(), 1);
            check_substrate_frame(&out[0].1, false);
            let got = s.carry_to(UPLINK, &out[0].1, PORT_G);
            prop_assert_eq!(&got[14..], &restored(&frame, &got)[..]);
        }
    }

    /// Bytes of any kind, on every port at once.
    #[test]
    fn nothing_makes_a_worker_fall(
        frames in proptest::collection::vec(
            (0..6u16, proptest::collection::vec(any::<u8>(), 0..120)),
            0..40,
        ),
    ) {
        let mut r = setup_r().start();
        for (port, frame) in &frames {
            r.send(*port, frame);
        }
        r.settle();
        r.assert_balanced();
    }
}
