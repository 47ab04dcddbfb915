//! What senders leave to devices, on ports whose cards can do this and that: in
//! every combination the bytes must leave that leave when the sender finishes
//! its packets itself and no card does anything.

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

#[test]
fn a_card_does_all_it_can() {
    let large = [message(Some(1300), 60_000)];
    let small = [message(None, 1000), datagram(1000)];
    let of = |way, card, messages: &[Message]| counts(&carried_unfinished(way, card, messages).0);
    for way in WAYS {
        assert_eq!(of(way, NOTHING, &small), [0, 0, 2, 0], "{way:?}");
        assert_eq!(of(way, NOTHING, &large), [1, 0, 47, 0], "{way:?}");
        if way == Way::Transparent {
            // No card computes a checksum over addresses that are not there.
            assert_eq!(of(way, ALL, &small), [0, 0, 2, 0]);
            assert_eq!(of(way, ALL, &large), [1, 0, 47, 0]);
            continue;
        }
        assert_eq!(of(way, ALL, &small), [0, 0, 0, 2], "{way:?}");
        // ID and DF are made up for each packet.
        let from_ipv6 = matches!(way, Way::Inbound | Way::RelayTo4);
        let expected = if from_ipv6 {
            [1, 0, 0, 47]
        } else {
            [0, 1, 0, 0]
        };
        assert_eq!(of(way, ALL, &large), expected, "{way:?}");
        assert_eq!(of(way, CHECKSUMS, &large), [1, 0, 0, 47], "{way:?}");
        let to_ipv6 = matches!(way, Way::Siit | Way::RelayTo6);
        let expected = if to_ipv6 { [0, 1, 0, 0] } else { [1, 0, 0, 47] };
        assert_eq!(of(way, IPV6_ALONE, &large), expected, "{way:?}");
    }
}

#[test]
fn the_largest_packet_is_sent_whole() {
    // 65,535 bytes with the IPv4 header are 65,515 behind the one of IPv6.
    let largest = [message(Some(1400), 65_535 - 20 - 32)];
    let (host, frames) = carried_unfinished(Way::Siit, ALL, &largest);
    assert_eq!(counts(&host), [0, 1, 0, 0]);
    assert_eq!(frames, carried_finished(Way::Siit, &largest));
    // From IPv6 there can be more than IPv4 has room for.
    let larger = [message(Some(1300), 65_535 - 32)];
    let (host, frames) = carried_unfinished(Way::RelayTo4, ALL, &larger);
    assert_eq!(counts(&host)[..2], [1, 0]);
    assert_eq!(frames.len(), 51);
}

#[test]
fn what_a_sender_got_wrong_stays_wrong() {
    for card in [NOTHING, ALL] {
        let mut host = host(Way::Siit, card);
        let mut payload = datagram(100).payload(0, 0, &[7; 100]);
        payload[6..8].copy_from_slice(&[0x12, 0x34]);
        let frame = Way::Siit.frame(UDP, 1, payload);
        let meta = Meta {
            offload: Offload::PARTIAL,
            ..Meta::default()
        };
        host.wires[1].send_packet(Buffer::new(&frame), meta);
        host.settle();
        assert_eq!(counts(&host), [0, 0, 1, 0]);
        let out = host.receive(UPLINK).unwrap();
        check_substrate_frame(&out, false);
        assert!(std::panic::catch_unwind(|| check_substrate_frame(&out, true)).is_err());
    }
}

#[test]
fn udp_without_checksum_has_none_to_complete() {
    let mut host = host(Way::Siit, ALL);
    let frame = Way::Siit.frame(UDP, 1, datagram(9).payload(0, 0, &[7; 9]));
    let meta = Meta {
        offload: Offload::PARTIAL,
        ..Meta::default()
    };
    host.wires[1].send_packet(Buffer::new(&frame), meta);
    host.settle();
    assert_eq!(counts(&host), [0; 4]);
    assert_eq!(host.receive(UPLINK).unwrap()[60..62], [0, 0]);
}

#[test]
fn segments_obey_the_mtu_as_any_packet_does() {
    // Two bytes more than fit: 20 + 32 + 1428 are 1480.
    for card in [NOTHING, ALL] {
        let mut host = host(Way::Siit, card);
        let (packet, meta) = message(Some(1430), 5720).unfinished(Way::Siit);
        host.wires[1].send_packet(packet, meta);
        host.settle();
        assert_eq!(host.all(), []);
        let told: Vec<_> = host.notices();
        let is_too_big = |notice: &Notice<Buffer>| {
            matches!(
                notice,
                Notice::Refused {
                    why: Drop::TooBig,
                    node: NODE_A,
                    mtu: 1472,
                    ..
                }
            )
        };
        assert!(!told.is_empty() && told.iter().all(is_too_big), "{told:?}");
        // As a whole where the first segment went ahead.
        let dropped = if card == ALL { 1 } else { 4 };
        assert_eq!(host.drops(), [(Drop::TooBig, dropped)]);
    }
}

#[test]
fn segments_may_be_fragmented_and_arrive_right() {
    for card in [NOTHING, ALL] {
        let mut setup = setup_r();
        setup.cards = card_of(UPLINK, card);
        let (mut r, mut s) = (setup.start(), setup_s().start());
        let (mut packet, meta) = message(Some(2000), 6000).unfinished(Way::Siit);
        clear_df(weft::packet::Packet::head_mut(&mut packet));
        r.wires[1].send_packet(packet, meta);
        r.settle();
        assert_eq!(across(&r, &mut s), 6);
        let fragments = s.drain(PORT_G);
        for pair in fragments.chunks(2) {
            let mut segment = pair[0][34..].to_vec();
            segment.extend(&pair[1][34..]);
            let mut right = segment.clone();
            Ends::V4(A, G).finish(TCP, &mut right);
            assert_eq!(segment, right);
            assert_eq!(segment.len(), 2032);
        }
    }
}

fn clear_df(head: &mut [u8]) {
    head[20] &= !0x40;
    head[24..26].fill(0);
    let sum = internet_checksum(&head[14..34]);
    head[24..26].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn what_is_larger_than_a_buffer_is_told_the_mtu() {
    let mut host = host(Way::Siit, ALL);
    let (packet, meta) = message(Some(20_000), 60_000).unfinished(Way::Siit);
    host.wires[1].send_packet(packet, meta);
    host.settle();
    assert_eq!(host.drops(), [(Drop::TooBig, 1)]);
    assert_eq!(host.notices().len(), 1);
}

#[test]
fn packets_that_wait_are_finished_in_the_end() {
    for card in [NOTHING, ALL] {
        let mut setup = with(still(setup_r()), |topology| topology.resolver = true);
        setup.cards = card_of(UPLINK, card);
        setup.mappings.retain(|(mapped, _)| *mapped != key(Z, G));
        let mut host = setup.start();
        let messages = [datagram(500), message(None, 40), message(Some(1000), 3500)];
        for message in &messages {
            let (packet, meta) = message.unfinished(Way::Siit);
            host.wires[1].send_packet(packet, meta);
        }
        host.settle();
        host.later(2);
        host.later(2);
        assert_eq!((host.all(), host.sum(|c| c.held.get())), (vec![], 6));
        host.map(Z, G, remote(HOST_S));
        host.later(2);
        host.later(2);
        assert_eq!(host.drain(UPLINK), carried_finished(Way::Siit, &messages));
    }
}

#[test]
fn another_workers_device_is_not_asked() {
    let mut setup = still(setup_r());
    setup.workers = 2;
    setup.duty[usize::from(UPLINK)] = (1, 1);
    setup.cards = card_of(UPLINK, ALL);
    let mut host = setup.start();
    let messages = [message(Some(1000), 3500), datagram(300)];
    for message in &messages {
        let (packet, meta) = message.unfinished(Way::Siit);
        host.wires[1].send_packet(packet, meta);
    }
    host.settle();
    assert_eq!(counts(&host), [1, 0, 5, 0]);
    assert_eq!(host.drain(UPLINK), carried_finished(Way::Siit, &messages));
}

#[test]
fn what_a_routing_daemon_sends_is_finished_too() {
    let ends = Ends::V6(own_r(), saddr(&locator_s(), Z, G), 0);
    let mut payload = message(None, 300).payload(0x18, 1, &[3; 300]);
    let mut right = payload.clone();
    ends.leave_partial(TCP, &mut payload);
    ends.finish(TCP, &mut right);
    // Options for the destination before TCP.
    let frame = |payload: &[u8]| {
        let Ends::V6(src, dst, _) = ends else {
            unreachable!()
        };
        let payload = [&[TCP, 0, 1, 4, 0, 0, 0, 0], payload].concat();
        ethernet(
            MAC_S,
            MAC_R,
            None,
            0x86dd,
            &Ip6::new(src, dst, 60, payload).bytes(),
        )
    };
    for card in [NOTHING, ALL] {
        let mut setup = setup_r();
        // The card of the tests knows IPv6 without extensions.
        setup.cards = card_of(UPLINK, card);
        let mut host = setup.start();
        let meta = Meta {
            offload: Offload::PARTIAL,
            ..Meta::default()
        };
        host.wires[usize::from(EXCEPTION)].send_packet(Buffer::new(&frame(&payload)), meta);
        host.settle();
        assert_eq!(host.drain(UPLINK), [frame(&right)]);
        assert_eq!(counts(&host), [0, 0, 1, 0]);
    }
}

#[test]
fn a_driver_that_refuses_a_checksum_gets_a_finished_packet() {
    let host = &mut host(Way::Siit, ALL);
    host.wires[usize::from(UPLINK)].refuse_requests();
    let (packet, meta) = datagram(300).unfinished(Way::Siit);
    host.wires[1].send_packet(packet, meta);
    host.settle();
    assert_eq!(
        host.drain(UPLINK),
        carried_finished(Way::Siit, &[datagram(300)])
    );
}

#[test]
fn order_is_kept() {
    for card in CARDS {
        let messages: Vec<_> = (0..20)
            .map(|i| Message {
                sequence: i,
                ..match i % 4 {
                    0 => message(Some(900), 5000),
                    1 => message(None, 10),
                    2 => message(None, 0),
                    _ => datagram(20),
                }
            })
            .collect();
        let (_, got) = carried_unfinished(Way::Local, card, &messages);
        assert_eq!(got, carried_finished(Way::Local, &messages));
    }
}

fn after(setup: Setup, packets: Vec<(Buffer, Meta)>) -> Host {
    let mut host = setup.start();
    for (packet, meta) in packets {
        host.wires[usize::from(PORT_A)].send_packet(packet, meta);
    }
    host.settle();
    host
}

type Case = (Drop, fn() -> Host);

/// The reasons that only such packets have, and others that they have too.
pub(crate) const CASES: &[Case] = &[
    (Drop::UdpSegmentation, || {
        let (packet, _) = datagram(3000).unfinished(Way::Siit);
        let meta = Meta {
            offload: Offload::to_be_cut(1400),
            ..Meta::default()
        };
        after(setup_r(), vec![(packet, meta)])
    }),
    (Drop::BadSegmentation, || {
        after(
            setup_r(),
            vec![message(Some(1), 1025).unfinished(Way::Siit)],
        )
    }),
    (Drop::BadSegmentation, || {
        let (packet, _) = message(None, 3000).unfinished(Way::Siit);
        let mut bytes = packet.frame().to_vec();
        // A fragment.
        bytes[20] |= 0x20;
        let meta = Meta {
            offload: Offload::to_be_cut(1400),
            ..Meta::default()
        };
        after(setup_r(), vec![(Buffer::new(&bytes), meta)])
    }),
    (Drop::HeadersSplit, || {
        let (packet, meta) = message(Some(1000), 3000).unfinished(Way::Siit);
        // Within the TCP options.
        let packet = Buffer::split(packet.frame(), 14 + 20 + 24);
        after(setup_r(), vec![(packet, meta)])
    }),
    (Drop::BufferShared, || {
        let (packet, meta) = datagram(30).unfinished(Way::Siit);
        after(setup_r(), vec![(Buffer::shared(packet.frame()), meta)])
    }),
    (Drop::BadHeaderChecksum, || {
        let (packet, meta) = message(Some(1000), 3000).unfinished(Way::Siit);
        let mut bytes = packet.frame().to_vec();
        bytes[24] ^= 0x40;
        after(setup_r(), vec![(Buffer::new(&bytes), meta)])
    }),
    (Drop::NoBuffer, || {
        let mut setup = setup_r();
        setup.pool = 0;
        after(setup, vec![message(Some(1000), 3000).unfinished(Way::Siit)])
    }),
    (Drop::OffloadRefused, || {
        let mut setup = setup_r();
        setup.cards = card_of(UPLINK, ALL);
        let host = setup.start();
        host.wires[usize::from(UPLINK)].refuse_requests();
        let (packet, meta) = message(Some(1000), 3000).unfinished(Way::Siit);
        host.wires[usize::from(PORT_A)].send_packet(packet, meta);
        let mut host = host;
        host.settle();
        host
    }),
];

#[test]
fn every_reason_has_a_packet() {
    for (why, produce) in CASES {
        let host = produce();
        assert!(
            matches!(host.drops()[..], [(only, _)] if only == *why),
            "{why}: {:?}",
            host.drops()
        );
        assert_eq!(host.all(), [], "{why}");
    }
}

#[test]
fn a_pool_that_runs_dry_costs_the_rest_of_one_packet() {
    let mut setup = setup_r();
    setup.pool = 2;
    let host = after(setup, vec![message(Some(1000), 4500).unfinished(Way::Siit)]);
    assert_eq!(host.drops(), [(Drop::NoBuffer, 1)]);
    assert_eq!(host.drain(UPLINK).len(), 2);
}
