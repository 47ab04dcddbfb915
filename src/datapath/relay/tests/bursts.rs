//! Bursts of whatever comes along: what nobody watches goes by the burst, what
//! is watched by the stages, and both come to the same ends.

use super::*;
use crate::datapath::tell::Tell;

/// Passes everything on, as a watcher does.
struct Watcher;

impl Tracer for Watcher {
    fn packet<P: Packet>(&mut self, _: usize, _: &Meta, _: &P) {}

    fn see<T: Tell>(&mut self, _: usize, _: Stage, verdict: Result<T, Exit>) -> Result<T, Exit> {
        verdict
    }

    fn done<P: Packet>(&mut self, _: usize, _: &P, _: &Result<Outcome, Exit>) {}
}

/// A packet of either family with anything in it that matters to the walk.
#[derive(Clone, Debug)]
struct Drawn {
    protocol: u8,
    body: Vec<u8>,
    alive: u8,
    df: bool,
    ends: (usize, usize),
    /// Which byte of the frame is spoilt, and how.
    spoilt: Option<(usize, u8)>,
    /// Where the frame ends too early.
    cut: Option<usize>,
    padding: usize,
    /// The tag in the frame, and the one that the device took off.
    tags: (Option<u16>, u16),
}

fn any_packet() -> impl Strategy<Value = Drawn> {
    let protocol = prop_oneof![
        8 => Just(protocol::UDP),
        4 => Just(protocol::TCP),
        1 => Just(protocol::ICMP),
        1 => Just(protocol::ICMPV6),
        1 => any::<u8>(),
    ];
    let body = prop::collection::vec(any::<u8>(), 0..64);
    let more = prop_oneof![8 => Just(0usize), 1 => 1180..1500usize];
    let alive = prop_oneof![9 => 2..=255u8, 1 => 0..2u8];
    let tags = prop_oneof![
        6 => Just((None, 0)),
        3 => Just((Some(7), 0)),
        1 => Just((None, 7)),
        1 => Just((Some(7), 7)),
        1 => Just((Some(0), 0)),
        1 => Just((Some(0x2007), 0)),
    ];
    let wrong = (
        prop::option::weighted(0.3, (0usize..70, any::<u8>())),
        prop::option::weighted(0.1, 0usize..80),
        0..20usize,
    );
    let inside = (protocol, body, more, alive, any::<bool>());
    let all = (inside, (0..8usize, 0..8usize), wrong, tags);
    all.prop_map(
        |((protocol, mut body, more, alive, df), ends, wrong, tags)| {
            body.resize(body.len() + more, 0xa5);
            Drawn {
                protocol,
                body,
                alive,
                df,
                ends,
                spoilt: wrong.0,
                cut: wrong.1,
                padding: wrong.2,
                tags,
            }
        },
    )
}

const ENDS4: [&str; 8] = [
    "203.0.113.9",
    "198.51.100.1",
    "198.51.100.2",
    "192.0.2.1",
    "192.0.2.255",
    "127.0.0.1",
    "224.0.0.1",
    "10.0.0.9",
];
const ENDS6: [&str; 8] = [
    "2001:db8:64::203.0.113.9",
    "2001:db8:beef::1",
    "2001:db8:beef::2",
    "2001:db8:64::198.51.100.2",
    "2001:db8:6::1",
    "2001:db8:64::192.0.2.1",
    "ff02::1",
    "2001:db8:64::10.0.0.9",
];

impl Drawn {
    fn packet4(&self) -> Vec<u8> {
        let mut packet = packet4(self.protocol, self.df, self.alive, &[], 0);
        packet[2..4].copy_from_slice(&(20 + self.body.len() as u16).to_be_bytes());
        packet[12..16].copy_from_slice(&vaddr(ENDS4[self.ends.0]).bytes());
        packet[16..20].copy_from_slice(&vaddr(ENDS4[self.ends.1]).bytes());
        packet[10..12].fill(0);
        let sum = checksum::checksum(&packet[..20]).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet.extend(&self.body);
        packet
    }

    fn packet6(&self) -> Vec<u8> {
        let mut packet = packet6(self.protocol, self.alive, &[], 0);
        packet[4..6].copy_from_slice(&(self.body.len() as u16).to_be_bytes());
        packet[8..24].copy_from_slice(&saddr(ENDS6[self.ends.0]));
        packet[24..40].copy_from_slice(&saddr(ENDS6[self.ends.1]));
        packet.extend(&self.body);
        packet
    }

    /// The frame, and the tag that the device took off.
    fn frame(&self, port: u16) -> (Vec<u8>, u16) {
        let (packet, kind, to) = match port {
            0 => (self.packet4(), ethertype::IPV4, OURS4),
            _ => (self.packet6(), ethertype::IPV6, OURS6),
        };
        let mut frame = match self.tags.0 {
            None => frame(to, ROUTER4, kind, &packet),
            Some(tag) => {
                let inside = [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &packet].concat();
                frame(to, ROUTER4, ethertype::VLAN, &inside)
            }
        };
        frame.resize(frame.len() + self.padding, 0);
        if let Some((at, bits)) = self.spoilt
            && let Some(byte) = frame.get_mut(at)
        {
            *byte ^= bits;
        }
        frame.truncate(self.cut.unwrap_or(frame.len()));
        (frame, self.tags.1)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn watched_packets_end_as_all_others_do(
        drawn in prop::collection::vec(any_packet(), 1..=crate::packet::BURST),
        vlan in prop::option::of(Just(7u16)),
        tagged: bool,
        hairpin in prop_oneof![
            Just(Hairpin::Intrinsic), Just(Hairpin::Simple), Just(Hairpin::Off),
        ],
    ) {
        let mut topology = parts(relay(Rules { hairpin, ..rules() }));
        (topology.ports[0].vlan, topology.ports[1].vlan) = (vlan, vlan);
        if let Some(relay) = topology.relay.as_mut().filter(|_| tagged) {
            relay.hop4 = Some(tagged_hop(0, 7, ethertype::IPV4));
            relay.hop6 = Some(tagged_hop(1, 9, ethertype::IPV6));
        }
        let topology = Snapshot::from(topology);
        for port in [0, 1] {
            let frames: Vec<_> = drawn.iter().map(|drawn| drawn.frame(port)).collect();
            let unwatched = walk_burst(&topology, port, &frames, &mut trace::Off);
            let watched = walk_burst(&topology, port, &frames, &mut Watcher);
            for (i, ends) in unwatched.iter().zip(&watched).enumerate() {
                prop_assert_eq!(ends.0, ends.1, "packet {} of port {}", i, port);
            }
            // What a packet becomes does not depend on the others.
            let alone = walk_burst(&topology, port, &frames[..1], &mut trace::Off);
            prop_assert_eq!(&unwatched[0], &alone[0]);
        }
    }
}
