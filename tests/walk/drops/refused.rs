//! What is wrong with where a packet comes from or goes to, and what there is no
//! room or time for.

use weft::datapath::Drop;
use weft::mapping::{Mapping, Target};
use weft::packet::Buffer;
use weft::wire::Mac;

use super::{Case, after, r_after_a, r_after_uplink, transparent};
use crate::common::Setup;
use crate::common::frames::*;
use crate::common::topology::*;

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

pub(super) const CASES: &[Case] = &[
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
