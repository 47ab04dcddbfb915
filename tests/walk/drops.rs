//! Every reason to drop is produced by a packet here, alone: the table below
//! is the list of what the walks and the worker refuse. A reason without a
//! row fails the last assertion.

use crate::{dhcp, groups, native, offload, relay, routers, slot};
use weft::datapath::Drop;
use weft::mapping::{Mapping, Target};
use weft::packet::{Buffer, Meta};
use weft::wire::Mac;

use super::common::frames::*;
use super::common::topology::*;
use super::common::{Host, Setup};

type Case = (Drop, &'static str, fn() -> Host);

/// A host as given, after these frames came in by a port.
fn after(setup: Setup, port: u16, frames: &[Vec<u8>]) -> Host {
    let mut host = setup.start();
    for frame in frames {
        host.send(port, frame);
    }
    host.settle();
    host
}

fn r_after_a(frame: Vec<u8>) -> Host {
    after(setup_r(), PORT_A, &[frame])
}

fn r_after_uplink(frame: Vec<u8>) -> Host {
    after(setup_r(), UPLINK, &[frame])
}

fn from_a_with_ethertype(ethertype: u16) -> Host {
    r_after_a(ethernet(
        virtual_mac(Z, G),
        MAC_A,
        None,
        ethertype,
        &hello().bytes(),
    ))
}

/// Bytes of the IPv4 header changed, its checksum made right again.
fn r_after_header(change: fn(&mut [u8])) -> Host {
    let mut frame = from_a(&hello());
    change(&mut frame[14..]);
    frame[24..26].fill(0);
    let sum = internet_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    r_after_a(frame)
}

fn with_options(options: &[u8]) -> Vec<u8> {
    from_a(&Ip {
        options: options.to_vec(),
        ..hello()
    })
}

fn transparent(change: fn(&mut Ip6)) -> Host {
    let mut packet = g_to_a();
    change(&mut packet);
    r_after_uplink(packet.to_r())
}

fn resolver(mut setup: Setup) -> Setup {
    setup.topology.resolver = true;
    setup
}

fn to_nobody() -> Vec<u8> {
    from_a(&Ip {
        dst: NOBODY,
        ..hello()
    })
}

const CASES: &[Case] = &[
    (Drop::TooShort, "no Ethernet header", || {
        r_after_a(vec![2; 13])
    }),
    (Drop::TooShort, "no IPv4 header", || {
        r_after_a(from_a(&hello())[..33].to_vec())
    }),
    (Drop::TooShort, "no Ethernet header, uplink", || {
        r_after_uplink(vec![2; 13])
    }),
    (Drop::TooShort, "no IPv6 header", || {
        r_after_uplink(g_to_a().to_r()[..53].to_vec())
    }),
    (Drop::HeadersSplit, "link header split", || {
        split(PORT_A, from_a(&hello()), 10)
    }),
    (Drop::HeadersSplit, "IPv4 header split", || {
        split(PORT_A, from_a(&hello()), 30)
    }),
    (Drop::HeadersSplit, "options split", || {
        split(PORT_A, with_options(&[1; 8]), 36)
    }),
    (Drop::HeadersSplit, "UDP header split", || {
        split(PORT_A, from_a(&hello()), 38)
    }),
    (Drop::HeadersSplit, "IPv6 header split", || {
        split(UPLINK, g_to_a().to_r(), 50)
    }),
    (Drop::HeadersSplit, "UDP header split, uplink", || {
        let mut packet = g_to_a();
        packet.label = label(64, true, 1);
        split(UPLINK, packet.to_r(), 58)
    }),
    (Drop::BufferShared, "shared, node", || {
        shared(PORT_A, from_a(&hello()))
    }),
    (Drop::BufferShared, "shared, uplink", || {
        shared(UPLINK, g_to_a().to_r())
    }),
    (Drop::BadVersion, "IPv6 under the ethertype of IPv4", || {
        r_after_header(|ip| ip[0] = 0x65)
    }),
    (Drop::BadVersion, "IPv4 under the ethertype of IPv6", || {
        r_after_uplink(ethernet(
            MAC_R,
            MAC_S,
            None,
            0x86dd,
            &udp(G, A, (1, 2), &[0; 40]).bytes(),
        ))
    }),
    (Drop::BadHeaderLength, "16 bytes", || {
        r_after_header(|ip| ip[0] = 0x44)
    }),
    (Drop::BadHeaderLength, "beyond the packet", || {
        r_after_header(|ip| ip[0] = 0x4f)
    }),
    (Drop::BadTotalLength, "beyond the frame", || {
        r_after_header(|ip| ip[3] += 1)
    }),
    (Drop::BadTotalLength, "below the header", || {
        r_after_header(|ip| ip[3] = 19)
    }),
    (Drop::BadTotalLength, "IPv6, beyond the frame", || {
        let mut frame = g_to_a().to_r();
        frame[19] += 1;
        r_after_uplink(frame)
    }),
    (Drop::BadTotalLength, "IPv6, more than IPv4 can say", || {
        transparent(|packet| packet.payload = vec![0; 65_516])
    }),
    (
        Drop::BadTotalLength,
        "IPv6, no room for the Fragment header",
        || transparent(|packet| (packet.next_header, packet.payload) = (44, vec![17; 7])),
    ),
    (Drop::BadHeaderChecksum, "one bit", || {
        let mut frame = from_a(&hello());
        frame[15] ^= 1;
        r_after_a(frame)
    }),
    (Drop::ProtocolNotCarried, "ICMPv6 from a node", || {
        r_after_header(|ip| ip[9] = 58)
    }),
    (
        Drop::ProtocolNotCarried,
        "ICMPv6 echo under the tag of transparent",
        || {
            transparent(|packet| {
                packet.next_header = 58;
                packet.payload = vec![128, 0, 0, 0, 0, 0, 0, 1];
            })
        },
    ),
    (Drop::ProtocolNotCarried, "no next header", || {
        transparent(|packet| packet.next_header = 59)
    }),
    (Drop::TtlZero, "from a node", || {
        r_after_header(|ip| ip[8] = 0)
    }),
    (Drop::TtlZero, "in the label", || {
        transparent(|packet| packet.label = label(0, true, 2))
    }),
    (Drop::SourceRoute, "loose", || {
        r_after_a(with_options(&[131, 7, 4, 10, 0, 0, 9, 0]))
    }),
    (Drop::SourceRoute, "strict", || {
        r_after_a(with_options(&[137, 7, 4, 10, 0, 0, 9, 0]))
    }),
    (Drop::BadOptions, "length 1", || {
        r_after_a(with_options(&[7, 1, 0, 0]))
    }),
    (Drop::BadOptions, "beyond the header", || {
        r_after_a(with_options(&[7, 9, 4, 0]))
    }),
    (Drop::ExtensionHeader, "hop by hop", || {
        transparent(|packet| packet.next_header = 0)
    }),
    (Drop::ExtensionHeader, "routing", || {
        transparent(|packet| packet.next_header = 43)
    }),
    (Drop::ExtensionHeader, "in a fragment", || {
        transparent(|packet| {
            packet.next_header = 44;
            packet.payload.splice(..0, [60, 0, 0, 1, 0, 0, 0, 1]);
        })
    }),
    (Drop::BadFragment, "beyond 65,535 bytes", || {
        r_after_a(from_a(&Ip {
            df: false,
            offset: 0x1ff0,
            ..udp(A, G, (1, 2), &[0; 2000])
        }))
    }),
    (Drop::LabelLost, "label 0", || {
        transparent(|packet| packet.label = 0)
    }),
    (Drop::LabelInvalid, "tag 3", || {
        transparent(|packet| packet.label = label(64, true, 3))
    }),
    (Drop::EthertypeIpv6, "a node's IPv6", || {
        from_a_with_ethertype(0x86dd)
    }),
    (Drop::EthertypeRarp, "", || from_a_with_ethertype(0x8035)),
    (Drop::EthertypeLldp, "", || from_a_with_ethertype(0x88cc)),
    (Drop::EthertypeVlan, "802.1ad", || {
        from_a_with_ethertype(0x88a8)
    }),
    (Drop::EthertypeVlan, "two tags", || {
        let inner = [&[0, 100, 0x08, 0x00][..], &hello().bytes()].concat();
        r_after_a(ethernet(
            virtual_mac(Z, G),
            MAC_A,
            Some(100),
            0x8100,
            &inner,
        ))
    }),
    (
        Drop::EthertypeVlan,
        "a tag behind the one that the device took off",
        || {
            let mut r = setup_r().start();
            r.send_stripped(PORT_C, &from_c(&udp(C, G, (1, 2), b"hop")), 99);
            r.settle();
            r
        },
    ),
    (Drop::EthertypeOther, "MPLS", || {
        from_a_with_ethertype(0x8847)
    }),
    (Drop::EthertypeOther, "an 802.3 length", || {
        from_a_with_ethertype(100)
    }),
    (Drop::UnknownNode, "tagged on an untagged port", || {
        let bytes = hello().bytes();
        r_after_a(ethernet(virtual_mac(Z, G), MAC_A, Some(7), 0x0800, &bytes))
    }),
    (
        Drop::UnknownNode,
        "not the MAC that the binding names",
        || {
            r_after_a(ethernet(
                virtual_mac(Z, G),
                MAC_C,
                None,
                0x0800,
                &hello().bytes(),
            ))
        },
    ),
    (Drop::UnknownNode, "ARP from such a MAC", || {
        r_after_a(ethernet(Mac::BROADCAST, MAC_C, None, 0x0806, &[0; 28]))
    }),
    (Drop::UnknownNode, "no such MAC on the trunk", || {
        let bytes = udp(E, G, (1, 2), b"").bytes();
        after(
            setup_r(),
            TRUNK,
            &[ethernet(
                virtual_mac(Z, G),
                MAC_F,
                Some(TAG_E),
                0x0800,
                &bytes,
            )],
        )
    }),
    (Drop::WrongVlan, "a tag on an untagged uplink", || {
        r_after_uplink(ethernet(MAC_R, MAC_S, Some(9), 0x86dd, &g_to_a().bytes()))
    }),
    (Drop::WrongVlan, "untagged on a tagged uplink", || {
        let setup = with(setup_r(), |topology| topology.ports[0].vlan = Some(9));
        after(setup, UPLINK, &[g_to_a().to_r()])
    }),
    (Drop::WrongVlan, "the right tag behind another", || {
        let setup = with(setup_r(), |topology| topology.ports[0].vlan = Some(9));
        let mut r = setup.start();
        let frame = ethernet(MAC_R, MAC_S, Some(9), 0x86dd, &g_to_a().bytes());
        r.send_stripped(UPLINK, &frame, 8);
        r.settle();
        r
    }),
    (Drop::WrongMac, "a frame that a switch flooded", || {
        r_after_uplink(ethernet(MAC_A, MAC_S, None, 0x86dd, &g_to_a().bytes()))
    }),
    (Drop::Broadcast, "", || {
        r_after_a(ethernet(
            Mac::BROADCAST,
            MAC_A,
            None,
            0x0800,
            &hello().bytes(),
        ))
    }),
    (Drop::MacMismatch, "G's address, C's MAC", || {
        r_after_a(ethernet(
            virtual_mac(Z, C),
            MAC_A,
            None,
            0x0800,
            &hello().bytes(),
        ))
    }),
    (Drop::MacMismatch, "the MAC of another vnet's node", || {
        r_after_a(ethernet(
            virtual_mac(Y, G),
            MAC_A,
            None,
            0x0800,
            &hello().bytes(),
        ))
    }),
    (Drop::NotForUs, "another host's locator", || {
        transparent(|packet| packet.dst = saddr(&locator_t(), Z, A))
    }),
    (Drop::NotForUs, "vni 0, not the control address", || {
        transparent(|packet| {
            packet.dst = saddr(&locator_r(), Z, A);
            packet.dst[9..12].fill(0);
        })
    }),
    (Drop::NoExceptionPort, "ARP on the uplink", || {
        r_after_uplink(ethernet(Mac::BROADCAST, MAC_S, None, 0x0806, &[0; 28]))
    }),
    (Drop::SpoofedSource, "C's address", || {
        r_after_a(from_a(&Ip { src: C, ..hello() }))
    }),
    (Drop::SpoofedSource, "nobody's", || {
        r_after_a(from_a(&Ip {
            src: OUTSIDE,
            ..hello()
        }))
    }),
    (
        Drop::Denied,
        "source and destination of different vnets",
        || transparent(|packet| packet.src = saddr(&locator_s(), Y, G)),
    ),
    (Drop::Denied, "refused by the manager", || {
        let setup = setup_r().map(Z, NOBODY, Mapping::new(Target::Refused));
        after(setup, PORT_A, &[to_nobody()])
    }),
    (Drop::ForgedSource, "another host's locator", || {
        transparent(|packet| packet.src = saddr(&locator_t(), Z, G))
    }),
    (Drop::ForgedSource, "a locator that no host has", || {
        let nowhere = "2001:db8:0:f:900::/72".parse().expect("literal");
        let mut packet = g_to_a();
        packet.src = saddr(&nowhere, Z, G);
        r_after_uplink(packet.to_r())
    }),
    (Drop::ForgedSource, "our own locator", || {
        transparent(|packet| packet.src = saddr(&locator_r(), Z, C))
    }),
    (
        Drop::ForgedSource,
        "the place it had before, too late",
        || {
            let mapping = Mapping {
                previous: Some((HOST_T, 10)),
                ..remote(HOST_S)
            };
            let mut r = setup_r().map(Z, G, mapping).start();
            r.clock.advance(10_000);
            let mut packet = g_to_a();
            packet.src = saddr(&locator_t(), Z, G);
            r.send(UPLINK, &packet.to_r());
            r.settle();
            r
        },
    ),
    (Drop::SourceUnknown, "no mapping, nobody to ask", || {
        transparent(|packet| packet.src = saddr(&locator_s(), Z, NOBODY))
    }),
    (
        Drop::SourceUnknown,
        "a host that nobody knows is not asked about",
        || {
            let nowhere = "2001:db8:0:f:900::/72".parse().expect("literal");
            let mut packet = g_to_a();
            packet.src = saddr(&nowhere, Z, NOBODY);
            after(resolver(setup_r()), UPLINK, &[packet.to_r()])
        },
    ),
    (Drop::OutsideVnet, "", || {
        r_after_a(from_a(&Ip {
            dst: OUTSIDE,
            ..hello()
        }))
    }),
    (Drop::NoMapping, "nobody to ask", || r_after_a(to_nobody())),
    (Drop::NoMapping, "no answer in time", || {
        let mut r = after(resolver(setup_r()), PORT_A, &[to_nobody()]);
        r.later(200);
        r
    }),
    (Drop::Expired, "", || {
        let mapping = Mapping {
            expires: 5,
            ..remote(HOST_S)
        };
        let mut r = setup_r().map(Z, G, mapping).start();
        r.clock.advance(5000);
        r.send(PORT_A, &from_a(&hello()));
        r.settle();
        r
    }),
    (Drop::Blackholed, "", || {
        let setup = setup_r().map(Z, NOBODY, Mapping::new(Target::Blackhole));
        after(setup, PORT_A, &[to_nobody()])
    }),
    (Drop::NotLocal, "no mapping", || {
        transparent(|packet| packet.dst = saddr(&locator_r(), Z, NOBODY))
    }),
    (Drop::NotLocal, "mapped to another host", || {
        let setup = setup_r().map(Z, A, remote(HOST_T));
        after(setup, UPLINK, &[g_to_a().to_r()])
    }),
    (
        Drop::NotLocal,
        "the table names a node that does not have the address",
        || {
            let setup = setup_r().map(Z, A, local(NODE_TWIN));
            after(setup, UPLINK, &[g_to_a().to_r()])
        },
    ),
    (Drop::NotLocal, "the same between nodes of one host", || {
        let setup = setup_r().map(Z, C, local(NODE_TWIN));
        after(setup, PORT_A, &[from_a(&Ip { dst: C, ..hello() })])
    }),
    (Drop::HoldFull, "nine for one destination", || {
        let frames: Vec<_> = (0..9).map(|_| to_nobody()).collect();
        let mut r = after(resolver(setup_r()), PORT_A, &frames);
        assert_eq!(r.dropped(Drop::HoldFull), 1);
        r.map(Z, NOBODY, remote(HOST_S));
        r.later(1);
        r
    }),
    (Drop::TooBig, "to another host, DF", || {
        r_after_a(from_a(&udp(A, G, (1, 2), &[0; 1453])))
    }),
    (Drop::TooBig, "to a node of this host", || {
        let setup = with(setup_r(), |topology| {
            topology.ports[usize::from(PORT_C)].mtu = 1000
        });
        after(setup, PORT_A, &[from_a(&udp(A, C, (1, 2), &[0; 973]))])
    }),
    (
        Drop::TooBig,
        "from another host, for the node's port",
        || {
            let setup = with(setup_r(), |topology| {
                topology.ports[usize::from(PORT_A)].mtu = 1000
            });
            let mut packet = g_to_a();
            packet.payload = udp(G, A, (1, 2), &[0; 973]).payload;
            after(setup, UPLINK, &[packet.to_r()])
        },
    ),
    (Drop::NodeMacUnknown, "not in time", || {
        let setup = with(resolver(setup_r()), |topology| {
            topology.nodes[NODE_A.index()].mac = None;
        });
        let mut r = after(setup, UPLINK, &[g_to_a().to_r()]);
        assert_eq!(r.sum(|counters| counters.held.get()), 1);
        r.later(200);
        r
    }),
    (Drop::NoNeighbor, "no path", || {
        let setup = with(setup_r(), |topology| {
            topology.hosts[HOST_S.index()]
                .paths
                .fill(weft::datapath::topology::NO_HOP);
        });
        after(setup, PORT_A, &[from_a(&hello())])
    }),
    (Drop::NoBuffer, "no room in front", || {
        let mut r = setup_r().start();
        let mut packet = Buffer::new(&[]);
        weft::packet::Packet::prepend(&mut packet, 120).expect("room");
        weft::packet::Packet::head_mut(&mut packet)[..51].copy_from_slice(&from_a(&hello()));
        weft::packet::Packet::truncate(&mut packet, 120);
        r.send_packet(PORT_A, packet);
        r.settle();
        r
    }),
    (Drop::NoBuffer, "no packet for a piece", || {
        let mut setup = setup_r();
        setup.pool = 1;
        let ip = Ip {
            df: false,
            ..udp(A, G, (1, 2), &[0; 3000])
        };
        let r = after(setup, PORT_A, &[from_a(&ip)]);
        assert_eq!(r.sum(|counters| counters.generated.get()), 1);
        r
    }),
    (Drop::TxFull, "", || {
        let mut r = setup_r().start();
        r.wires[usize::from(UPLINK)].limit(3);
        for _ in 0..4 {
            r.send(PORT_A, &from_a(&hello()));
        }
        r.settle();
        r
    }),
    (Drop::HandoffFull, "", || {
        let mut setup = setup_r();
        setup.workers = 2;
        setup.rings.handover = 4;
        setup.duty[usize::from(UPLINK)] = (1, 1);
        let mut r = setup.start();
        for _ in 0..5 {
            r.send(PORT_A, &from_a(&hello()));
        }
        r.settle();
        r
    }),
    (Drop::PuntFull, "", || {
        let mut setup = setup_r();
        setup.rings.protocol = 2;
        let arp = ethernet(Mac::BROADCAST, MAC_A, None, 0x0806, &[0; 28]);
        after(setup, PORT_A, &[arp.clone(), arp.clone(), arp])
    }),
    (Drop::PuntLimited, "", || {
        let mut setup = setup_r();
        setup.rates.0 = 1;
        let arp = ethernet(Mac::BROADCAST, MAC_A, None, 0x0806, &[0; 28]);
        after(setup, PORT_A, &vec![arp; 33])
    }),
    (Drop::Shutdown, "held when the worker stopped", || {
        let mut r = after(resolver(setup_r()), PORT_A, &[to_nobody()]);
        let stop = std::sync::atomic::AtomicBool::new(true);
        for worker in std::mem::take(&mut r.workers) {
            worker.run(&stop);
        }
        r
    }),
    (
        Drop::Shutdown,
        "on the way to a worker that stopped",
        || {
            let mut setup = setup_r();
            setup.workers = 2;
            setup.duty[usize::from(UPLINK)] = (1, 1);
            let mut r = setup.start();
            r.send(PORT_A, &from_a(&hello()));
            r.workers[0].round();
            let stop = std::sync::atomic::AtomicBool::new(true);
            for worker in std::mem::take(&mut r.workers) {
                worker.run(&stop);
            }
            r
        },
    ),
];

fn split(port: u16, frame: Vec<u8>, at: usize) -> Host {
    let mut r = setup_r().start();
    r.send_packet(port, Buffer::split(&frame, at));
    r.settle();
    r
}

fn shared(port: u16, frame: Vec<u8>) -> Host {
    let mut r = setup_r().start();
    r.wires[usize::from(port)].send_packet(Buffer::shared(&frame), Meta::default());
    r.settle();
    r
}

#[test]
fn every_reason_has_a_packet() {
    let mut wrong = Vec::new();
    for (why, what, produce) in CASES {
        let host = produce();
        let drops = host.drops();
        if !matches!(drops[..], [(only, n)] if only == *why && n > 0) {
            wrong.push(format!(
                "{why} ({what}): {drops:?}, sent {}",
                host.all().len()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "not the one reason:\n{}",
        wrong.join("\n")
    );
    let never: Vec<_> = Drop::ALL
        .iter()
        .filter(|why| !CASES.iter().any(|(produced, ..)| produced == *why))
        .filter(|why| !dhcp::CASES.iter().any(|(produced, ..)| produced == *why))
        .filter(|why| !groups::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !native::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !relay::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !offload::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !routers::CASES.iter().any(|(produced, _)| produced == *why))
        .filter(|why| !slot::CASES.iter().any(|(produced, _)| produced == *why))
        .collect();
    assert!(never.is_empty(), "no packet produces {never:?}");
}

#[test]
fn no_protocol_of_a_node_becomes_a_header_of_the_substrate() {
    let mut r = setup_r().start();
    for protocol in 0..=255u8 {
        let out = r.carry(PORT_A, &from_a(&Ip::new(A, G, protocol, vec![0x55; 40])));
        let refused = [0, 43, 44, 58, 59, 60, 135, 139, 140].contains(&protocol);
        assert_eq!(out.is_empty(), refused, "protocol {protocol}");
        for (_, frame) in out {
            check_substrate_frame(&frame, false);
            assert_eq!(frame[20], protocol);
        }
    }
    assert_eq!(r.drops(), [(Drop::ProtocolNotCarried, 9)]);
}
