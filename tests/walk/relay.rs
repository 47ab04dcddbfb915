//! The relay as workers run it: every reason for which it drops, pieces of what
//! is too large, and what control is told.

use weft::datapath::topology::{Hop, RelayRecord, Topology};
use weft::datapath::wiring::Notice;
use weft::datapath::{Drop, Punt};
use weft::model::{Eam, IcmpRate, Role};
use weft::siit::address_map::{AddressMap, AddressRules};
use weft::siit::rfc6052::Pool6;
use weft::siit::rfc7757::Eams;
use weft::siit::rfc7915::{ClassRule, Hairpin, Reply, Rules, UdpZero};
use weft::wire::{Mac, Saddr, Vaddr, ethernet};

use crate::common::frames::*;
use crate::common::topology::{hop, port};
use crate::common::{Host, Setup};

const V4: u16 = 0;
const V6: u16 = 1;
const OURS: Mac = Mac([2, 0, 0, 0, 0, 0x46]);
const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 0x01]);

fn vaddr(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn saddr(text: &str) -> Saddr {
    text.parse::<std::net::Ipv6Addr>().unwrap().octets()
}

/// 198.51.100.1 is 2001:db8:beef::1, all else lies in 2001:db8:64::/96, and
/// 10/8 is denied.
pub(crate) fn setup(udp_zero: UdpZero, icmp_rate: IcmpRate) -> Setup {
    let rules = Rules {
        traffic_class: ClassRule::Copy,
        tos: ClassRule::Copy,
        udp_zero,
        hairpin: Hairpin::Intrinsic,
        mtu4: 1400,
        mtu6: 1500,
        lowest_ipv6_mtu: 1280,
        mtu_plateaus: vec![65535, 1492, 68],
        error_source_extension: false,
    };
    let eam = Eam {
        ipv4: "198.51.100.1".parse().unwrap(),
        ipv6: "2001:db8:beef::1/128".parse().unwrap(),
    };
    let address_rules = AddressRules {
        pool6: Some(Pool6::new("2001:db8:64::/96".parse().unwrap()).unwrap()),
        deny4: vec!["10.0.0.0/8".parse().unwrap()],
        own4: Some(vaddr("192.0.2.1")),
        own6: Some(saddr("2001:db8:6::1")),
        ..AddressRules::default()
    };
    let mut out6 = hop(OURS, ROUTER, None);
    out6.port = V6;
    let link = ethernet::Header {
        destination: ROUTER,
        source: OURS,
        vlan: None,
        ethertype: ethernet::ethertype::IPV4,
        len: 0,
    };
    let out4 = Hop::new(V4, "fe80::1".parse().unwrap(), &link);
    let relay = RelayRecord {
        uncut6: 1280,
        rules,
        addresses: AddressMap::new(&address_rules, Eams::build(4, [eam]).unwrap()),
        own4: vaddr("192.0.2.1"),
        broadcast4: vaddr("192.0.2.255"),
        hop4: Some(out4),
        hop6: Some(out6),
        icmp_rate,
    };
    let side = |name, role| port(name, role, OURS, Default::default());
    let topology = Topology {
        ports: vec![side("v4", Role::Relay4), side("v6", Role::Relay6)],
        relay: Some(Box::new(relay)),
        ..Topology::default()
    };
    Setup::new(topology, Vec::new())
}

fn usual() -> Host {
    setup(UdpZero::Compute, IcmpRate::Unlimited).start()
}

fn frame4(ip: &Ip) -> Vec<u8> {
    ethernet(OURS, ROUTER, None, 0x0800, &ip.bytes())
}

fn frame6(ip: &Ip6) -> Vec<u8> {
    ethernet(OURS, ROUTER, None, 0x86dd, &ip.bytes())
}

/// From a stranger to the IPv6 system.
fn to_ipv6(len: usize) -> Ip {
    let data = vec![0x5a; len];
    udp(
        vaddr("203.0.113.9"),
        vaddr("198.51.100.1"),
        (1000, 53),
        &data,
    )
}

/// From the IPv6 system to a stranger.
fn to_ipv4(next_header: u8, payload: Vec<u8>) -> Ip6 {
    let (src, dst) = ("2001:db8:beef::1", "2001:db8:64::203.0.113.9");
    Ip6::new(saddr(src), saddr(dst), next_header, payload)
}

fn icmp(kind: u8, code: u8, quote: &[u8]) -> Ip {
    let mut payload = vec![kind, code, 0, 0, 0, 0, 0, 0];
    payload.extend(quote);
    let sum = internet_checksum(&payload);
    payload[2..4].copy_from_slice(&sum.to_be_bytes());
    Ip::new(vaddr("203.0.113.9"), vaddr("198.51.100.1"), ICMP, payload)
}

fn after4(change: impl Fn(&mut Ip)) -> Host {
    let mut ip = to_ipv6(32);
    change(&mut ip);
    after(usual(), V4, &frame4(&ip))
}

fn after6(ip: &Ip6) -> Host {
    after(usual(), V6, &frame6(ip))
}

fn after(mut host: Host, port: u16, frame: &[u8]) -> Host {
    host.send(port, frame);
    host.settle();
    host
}

fn from(src: &str) -> Host {
    after4(|ip| ip.src = vaddr(src))
}

/// A reason and what produces it.
type Case = (Drop, fn() -> Host);

/// The relay's own reasons; those it shares with vnets are `drops::CASES`.
pub(crate) const CASES: &[Case] = &[
    (Drop::TtlExceeded, || after4(|ip| ip.ttl = 1)),
    (Drop::Multicast, || {
        let mut frame = frame6(&Ip6 {
            dst: saddr("ff02::fb"),
            ..to_ipv4(UDP, vec![0; 16])
        });
        frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 0xfb]);
        after(usual(), V6, &frame)
    }),
    (Drop::FirstFragmentShort, || {
        after4(|ip| {
            (ip.mf, ip.df) = (true, false);
            ip.payload.truncate(4);
        })
    }),
    (Drop::UdpZeroChecksum, || {
        let mut ip = to_ipv6(32);
        ip.payload[6..8].fill(0);
        let host = setup(UdpZero::Drop, IcmpRate::Unlimited).start();
        after(host, V4, &frame4(&ip))
    }),
    (Drop::UdpZeroFragment, || {
        after4(|ip| {
            (ip.mf, ip.df) = (true, false);
            ip.payload[6..8].fill(0);
        })
    }),
    (Drop::IcmpType, || {
        after(usual(), V4, &frame4(&icmp(13, 0, &[0; 12])))
    }),
    (Drop::IcmpFragment, || {
        let ip = Ip {
            mf: true,
            df: false,
            ..icmp(8, 0, &[0; 24])
        };
        after(usual(), V4, &frame4(&ip))
    }),
    (Drop::InnerUntranslatable, || {
        after(usual(), V4, &frame4(&icmp(3, 1, &[0; 28])))
    }),
    (Drop::InnerError, || {
        let inner = Ip::new(
            vaddr("198.51.100.1"),
            vaddr("203.0.113.9"),
            ICMP,
            icmp(3, 1, &[]).payload,
        );
        after(usual(), V4, &frame4(&icmp(3, 1, &inner.bytes())))
    }),
    (Drop::IllegalSource, || from("127.0.0.1")),
    (Drop::IllegalDestination, || {
        after4(|ip| ip.dst = vaddr("240.0.0.1"))
    }),
    (Drop::AddressDenied, || from("10.1.2.3")),
    (Drop::SegmentsLeft, || {
        after6(&to_ipv4(
            43,
            vec![UDP, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 1, 1],
        ))
    }),
    (Drop::BadExtensions, || {
        after6(&to_ipv4(0, vec![UDP, 9, 0, 0, 0, 0, 0, 0]))
    }),
    (Drop::FragmentedExtensions, || {
        after6(&to_ipv4(
            44,
            vec![60, 0, 0, 1, 0, 0, 0, 7, 17, 0, 0, 0, 0, 0, 0, 0],
        ))
    }),
    (Drop::SourceUnmapped, || {
        let ip = to_ipv4(99, vec![0; 16]);
        after6(&Ip6 {
            src: saddr("2001:db8:dead::1"),
            ..ip
        })
    }),
    (Drop::DestinationUnmapped, || {
        let ip = to_ipv4(99, vec![0; 16]);
        after6(&Ip6 {
            dst: saddr("2001:db8:dead::1"),
            ..ip
        })
    }),
];

#[test]
fn every_reason_of_the_relay_has_a_packet() {
    for (why, produce) in CASES {
        let host = produce();
        assert_eq!(host.drops(), [(*why, 1)], "sent {}", host.all().len());
        host.assert_balanced();
    }
}

#[test]
fn what_may_be_cut_leaves_in_pieces() {
    let mut host = usual();
    let mut ip = to_ipv6(3000);
    ip.df = false;
    let pieces = host.carry(V4, &frame4(&ip));
    assert_eq!(pieces.len(), 3);
    let carried: usize = pieces.iter().map(|(_, frame)| frame.len() - 14 - 48).sum();
    assert_eq!(carried, 3008);
    assert!(
        pieces
            .iter()
            .all(|(port, frame)| *port == V6 && frame.len() <= 14 + 1280)
    );
    // An IPv6 fragment that is larger than IPv4 takes is cut once more.
    let mut fragment = vec![UDP, 0, 0, 1, 0, 0, 0, 7];
    fragment.extend(vec![0x5a; 1432]);
    let pieces = host.carry(V6, &frame6(&to_ipv4(44, fragment)));
    assert_eq!(pieces.len(), 2);
    assert_eq!(host.sum(|c| c.fragmented.get()), 2);
    host.assert_balanced();
}

#[test]
fn cutting_without_buffers_drops_all_of_it() {
    let mut setup = setup(UdpZero::Compute, IcmpRate::Unlimited);
    setup.pool = 1;
    let mut host = setup.start();
    let mut ip = to_ipv6(3000);
    ip.df = false;
    assert_eq!(host.carry(V4, &frame4(&ip)), []);
    assert_eq!(host.drops(), [(Drop::NoBuffer, 1)]);
    host.assert_balanced();
}

/// What control is told of dropped packets.
fn told(host: &mut Host) -> Vec<(Drop, Option<Reply>, u16)> {
    let notices = host.notices().into_iter().map(|notice| match notice {
        Notice::RelayRefused {
            why, reply, port, ..
        } => (why, reply, port),
        other => panic!("{other:?}"),
    });
    notices.collect()
}

#[test]
fn senders_are_told_as_often_as_the_rate_allows() {
    let expired = frame4(&Ip {
        ttl: 1,
        ..to_ipv6(8)
    });
    for (rate, expected) in [
        (IcmpRate::PerSecond(0), 0),
        (IcmpRate::PerSecond(5), 5),
        (IcmpRate::Unlimited, 20),
    ] {
        let mut host = setup(UdpZero::Compute, rate).start();
        host.later(2000);
        for _ in 0..20 {
            host.send(V4, &expired);
        }
        host.settle();
        let told = told(&mut host);
        assert_eq!(told.len(), expected, "{rate:?}");
        let reply = Reply {
            kind: 11,
            code: 0,
            word: 0,
        };
        assert!(
            told.iter()
                .all(|it| *it == (Drop::TtlExceeded, Some(reply), V4))
        );
        assert_eq!(host.dropped(Drop::TtlExceeded), 20);
    }
}

#[test]
fn what_is_to_be_logged_is_told_without_errors_too() {
    let mut ip = to_ipv6(32);
    ip.payload[6..8].fill(0);
    let mut host = setup(UdpZero::Drop, IcmpRate::PerSecond(0)).start();
    host.later(2000);
    host.send(V4, &frame4(&ip));
    host.settle();
    assert_eq!(told(&mut host), [(Drop::UdpZeroChecksum, None, V4)]);
}

#[test]
fn what_is_for_the_relay_itself_goes_to_control() {
    let mut host = usual();
    let mut ip = to_ipv6(8);
    ip.dst = vaddr("192.0.2.1");
    host.send(V4, &frame4(&ip));
    host.send(
        V4,
        &ethernet(Mac::BROADCAST, ROUTER, None, 0x0806, &[0; 28]),
    );
    host.settle();
    let punted = host.punted();
    assert_eq!(punted.len(), 2);
    assert!(
        punted
            .iter()
            .all(|it| it.what == Punt::Relay && it.port == V4)
    );
    host.assert_balanced();
}
