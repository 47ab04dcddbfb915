//! What senders leave to devices, on ports whose cards can do this and that: in
//! every combination the bytes must leave that leave when the sender finishes
//! its packets itself and no card does anything.

mod cases;
mod drops;

pub(crate) use drops::CASES;

use proptest::prelude::*;
use weft::datapath::Drop;
use weft::datapath::wiring::Notice;
use weft::model::{IcmpRate, Mode};
use weft::packet::{Buffer, Meta, Offload};
use weft::port::Capabilities;
use weft::siit::rfc7915::UdpZero;
use weft::wire::{Mac, Saddr, Vaddr};

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup, across};
use super::relay;

/// A card with everything.
const ALL: Capabilities = Capabilities {
    tcp_checksum: true,
    udp_checksum: true,
    ipv4_checksum: true,
    tcp_segments: true,
    scattered: 8,
};
const NOTHING: Capabilities = Capabilities {
    tcp_checksum: false,
    udp_checksum: false,
    ipv4_checksum: false,
    tcp_segments: false,
    scattered: 1,
};
const CHECKSUMS: Capabilities = Capabilities {
    tcp_segments: false,
    ..ALL
};
/// Cuts, but only what lies in one piece.
const ONE_PIECE: Capabilities = Capabilities {
    scattered: 1,
    ..ALL
};
/// Cuts, but writes no IPv4 header.
const IPV6_ALONE: Capabilities = Capabilities {
    ipv4_checksum: false,
    ..ALL
};
const CARDS: [Capabilities; 5] = [NOTHING, CHECKSUMS, ONE_PIECE, IPV6_ALONE, ALL];

/// Only this port has one.
fn card_of(port: u16, card: Capabilities) -> Vec<Capabilities> {
    let mut cards = vec![NOTHING; usize::from(port)];
    cards.push(card);
    cards
}

/// A way through: who sends, from where, and by which port it leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Siit,
    Transparent,
    Local,
    Inbound,
    RelayTo6,
    RelayTo4,
}

const WAYS: [Way; 6] = [
    Way::Siit,
    Way::Transparent,
    Way::Local,
    Way::Inbound,
    Way::RelayTo6,
    Way::RelayTo4,
];

impl Way {
    fn setup(self) -> Setup {
        match self {
            Way::Transparent => with(setup_r(), |topology| {
                topology.vnets[0].mode = Mode::Transparent;
            }),
            Way::RelayTo6 | Way::RelayTo4 => relay::setup(UdpZero::Compute, IcmpRate::Unlimited),
            Way::Siit | Way::Local | Way::Inbound => setup_r(),
        }
    }

    /// In by the first port, out by the second.
    fn ports(self) -> (u16, u16) {
        match self {
            Way::Siit | Way::Transparent => (PORT_A, UPLINK),
            Way::Local => (PORT_A, PORT_C),
            Way::Inbound => (UPLINK, PORT_A),
            Way::RelayTo6 => (0, 1),
            Way::RelayTo4 => (1, 0),
        }
    }

    fn ends(self) -> Ends {
        let six = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
        match self {
            Way::Siit | Way::Transparent => Ends::V4(A, G),
            Way::Local => Ends::V4(A, C),
            Way::Inbound => Ends::V6(
                saddr(&locator_s(), Z, G),
                saddr(&locator_r(), Z, A),
                label(64, true, 1),
            ),
            Way::RelayTo6 => Ends::V4(
                "203.0.113.9".parse().unwrap(),
                "198.51.100.1".parse().unwrap(),
            ),
            Way::RelayTo4 => Ends::V6(six("2001:db8:beef::1"), six("2001:db8:64::203.0.113.9"), 0),
        }
    }

    fn link(self) -> (Mac, Mac) {
        const RELAY: (Mac, Mac) = (Mac([2, 0, 0, 0, 0, 0x46]), Mac([2, 0, 0, 0, 0, 0x01]));
        match self {
            Way::Siit | Way::Transparent => (virtual_mac(Z, G), MAC_A),
            Way::Local => (virtual_mac(Z, C), MAC_A),
            Way::Inbound => (MAC_R, MAC_S),
            Way::RelayTo6 | Way::RelayTo4 => RELAY,
        }
    }

    /// A frame with this payload, whatever its checksum.
    fn frame(self, protocol: u8, id: u16, payload: Vec<u8>) -> Vec<u8> {
        let (to, from) = self.link();
        match self.ends() {
            Ends::V4(src, dst) => {
                let ip = Ip {
                    id,
                    ..Ip::new(src, dst, protocol, payload)
                };
                ethernet(to, from, None, 0x0800, &ip.bytes())
            }
            Ends::V6(src, dst, label) => {
                let ip = Ip6 {
                    label,
                    hop_limit: 64,
                    ..Ip6::new(src, dst, protocol, payload)
                };
                ethernet(to, from, None, 0x86dd, &ip.bytes())
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Ends {
    V4(Vaddr, Vaddr),
    V6(Saddr, Saddr, u32),
}

impl Ends {
    /// The sum over the pseudo header, complemented by its author or not.
    fn pseudo_header(&self, protocol: u8, len: usize) -> Vec<u8> {
        let mut all = match self {
            Ends::V4(src, dst) => [src.bytes(), dst.bytes()].concat(),
            Ends::V6(src, dst, _) => [*src, *dst].concat(),
        };
        all.extend((len as u32).to_be_bytes());
        all.extend([0, 0, 0, protocol]);
        all
    }

    fn finish(&self, protocol: u8, payload: &mut [u8]) {
        let mut all = self.pseudo_header(protocol, payload.len());
        let at = field(protocol);
        payload[at..at + 2].fill(0);
        all.extend(&*payload);
        let sum = match (internet_checksum(&all), protocol) {
            (0, UDP) => 0xffff,
            (sum, _) => sum,
        };
        payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    fn leave_partial(&self, protocol: u8, payload: &mut [u8]) {
        let sum = !internet_checksum(&self.pseudo_header(protocol, payload.len()));
        let at = field(protocol);
        payload[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

fn field(protocol: u8) -> usize {
    if protocol == TCP { 16 } else { 6 }
}

/// What a sender wants to say, before it is finished in one way or another.
#[derive(Clone, Debug)]
struct Message {
    tcp: bool,
    /// TCP options in words.
    options: u8,
    flags: u8,
    sequence: u32,
    id: u16,
    data: Vec<u8>,
    /// Where a scattered packet is split, behind its headers.
    split: Option<usize>,
    /// Bytes of data of a segment, if it is to be cut.
    size: Option<u16>,
}

impl Message {
    fn protocol(&self) -> u8 {
        if self.tcp { TCP } else { UDP }
    }

    /// TCP or UDP header, checksum apart, and so much of the data.
    fn payload(&self, flags: u8, sequence: u32, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0x0f, 0xa0, 0x13, 0x88];
        if self.tcp {
            out.extend(sequence.to_be_bytes());
            out.extend([
                0,
                0,
                0,
                7,
                (5 + self.options) << 4,
                flags,
                0x20,
                0,
                0,
                0,
                0,
                0,
            ]);
            out.extend(std::iter::repeat_n(1, usize::from(self.options) * 4));
        } else {
            out.extend((8 + data.len() as u16).to_be_bytes());
            out.extend([0, 0]);
        }
        out.extend(data);
        out
    }

    /// As a sender without any help sends it.
    fn finished(&self, way: Way) -> Vec<Vec<u8>> {
        let size = self.size.map_or(usize::MAX, usize::from);
        let mut parts: Vec<&[u8]> = self.data.chunks(size).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let last = parts.len() - 1;
        let mut frames = Vec::new();
        for (i, part) in parts.into_iter().enumerate() {
            let mut flags = self.flags;
            if i < last {
                flags &= !(1 | 8);
            }
            if i > 0 {
                flags &= !0x80;
            }
            let sequence = self.sequence.wrapping_add((i * size.min(1 << 20)) as u32);
            let mut payload = self.payload(flags, sequence, part);
            way.ends().finish(self.protocol(), &mut payload);
            let id = self.id.wrapping_add(i as u16);
            frames.push(way.frame(self.protocol(), id, payload));
        }
        frames
    }

    /// As it is left to devices.
    fn unfinished(&self, way: Way) -> (Buffer, Meta) {
        let mut payload = self.payload(self.flags, self.sequence, &self.data);
        way.ends().leave_partial(self.protocol(), &mut payload);
        let frame = way.frame(self.protocol(), self.id, payload);
        let headers = frame.len() - self.data.len();
        let mut offload = self.size.map_or(Offload::PARTIAL, Offload::to_be_cut);
        let packet = match self.split {
            Some(at) => {
                offload = offload.and(Offload::SCATTERED);
                Buffer::split(&frame, headers + at % self.data.len().max(1))
            }
            None => Buffer::new(&frame),
        };
        let meta = Meta {
            offload,
            ..Meta::default()
        };
        (packet, meta)
    }
}

fn messages() -> impl Strategy<Value = Message> {
    let size = prop_oneof![
        3 => Just(None),
        4 => (64..1300u16).prop_map(Some),
        1 => Just(Some(1)),
    ];
    let shape = (
        any::<bool>(),
        0..11u8,
        any::<u8>(),
        any::<u32>(),
        any::<u16>(),
    );
    let split = prop_oneof![Just(None), any::<usize>().prop_map(Some)];
    (shape, split, size, any::<u64>(), 0..30_000usize).prop_map(
        |((tcp, options, flags, sequence, id), split, size, seed, len)| {
            let size = size.filter(|_| tcp);
            let most = match size {
                Some(1) => 40,
                Some(_) => len,
                None => len % 1200,
            };
            let data = (0..most as u64)
                .map(|i| (seed.rotate_left((i % 64) as u32) ^ (i * 0x9d)) as u8)
                .collect();
            Message {
                tcp,
                options,
                flags,
                sequence,
                id,
                data,
                split,
                size,
            }
        },
    )
}

fn host(way: Way, card: Capabilities) -> Host {
    let mut setup = still(way.setup());
    setup.cards = card_of(way.ports().1, card);
    setup.start()
}

fn carried_finished(way: Way, messages: &[Message]) -> Vec<Vec<u8>> {
    let (from, to) = way.ports();
    let mut host = host(way, NOTHING);
    for frame in messages.iter().flat_map(|message| message.finished(way)) {
        host.send(from, &frame);
    }
    host.settle();
    assert_eq!(host.drops(), []);
    host.drain(to)
}

fn carried_unfinished(way: Way, card: Capabilities, messages: &[Message]) -> (Host, Vec<Vec<u8>>) {
    let (from, to) = way.ports();
    let mut host = host(way, card);
    for message in messages {
        let (packet, meta) = message.unfinished(way);
        host.wires[usize::from(from)].send_packet(packet, meta);
    }
    host.settle();
    assert_eq!(host.drops(), []);
    let frames = host.drain(to);
    (host, frames)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 400 }))]
    #[test]
    fn the_same_bytes_leave_whoever_finishes_them(
        messages in prop::collection::vec(messages(), 1..5)
    ) {
        for way in WAYS {
            let expected = carried_finished(way, &messages);
            if way == Way::Siit {
                for frame in &expected {
                    check_substrate_frame(frame, true);
                }
            }
            for card in CARDS {
                let (_, got) = carried_unfinished(way, card, &messages);
                prop_assert_eq!(got.len(), expected.len(), "{:?} {:?}", way, card);
                for (got, expected) in got.iter().zip(&expected) {
                    prop_assert_eq!(got, expected, "{:?} {:?}", way, card);
                }
            }
        }
    }
}

fn message(size: Option<u16>, len: usize) -> Message {
    Message {
        tcp: true,
        options: 3,
        flags: 0x99,
        sequence: 0xffff_f000,
        id: 0xfffe,
        data: (0..len).map(|i| ((i * 7) >> 3) as u8).collect(),
        split: None,
        size,
    }
}

fn datagram(len: usize) -> Message {
    Message {
        tcp: false,
        ..message(None, len)
    }
}

fn counts(host: &Host) -> [u64; 4] {
    [
        host.sum(|c| c.segmented.get()),
        host.sum(|c| c.segments_left.get()),
        host.sum(|c| c.checksums_completed.get()),
        host.sum(|c| c.checksums_left.get()),
    ]
}
