//! Messages of DHCP: what goes to the control thread, and what nobody hears.

use weft::datapath::{Drop, Punt};
use weft::wire::virtual_mac::{self, Kind};
use weft::wire::{Mac, Vaddr};

use super::common::Setup;
use super::common::frames::*;
use super::common::topology::*;

const NOBODY_YET: Vaddr = Vaddr(0);
const EVERYBODY: Vaddr = Vaddr(u32::MAX);
const GATEWAY: Vaddr = Vaddr(0x0a00_0001);

type Case = (Drop, &'static str, fn() -> Vec<u8>);

/// What the reasons of this file are shown by.
pub(crate) const CASES: &[Case] = &[
    (Drop::DhcpServer, "an offer to everybody", || {
        from(Mac::BROADCAST, &udp(A, EVERYBODY, (67, 68), &[0; 300]))
    }),
    (
        Drop::DhcpServer,
        "from an address that it does not have",
        || from(Mac::BROADCAST, &udp(G, EVERYBODY, (67, 68), &[0; 300])),
    ),
    (Drop::DhcpServer, "an offer to a client's own MAC", || {
        from(MAC_C, &udp(A, C, (67, 68), &[0; 300]))
    }),
    (Drop::DhcpServer, "an offer through a router", || {
        from(gateway(), &udp(A, G, (67, 68), &[0; 300]))
    }),
];

fn gateway() -> Mac {
    virtual_mac::of(Kind::Router, Z, GATEWAY)
}

fn from(to: Mac, packet: &Ip) -> Vec<u8> {
    ethernet(to, MAC_A, None, 0x0800, &packet.bytes())
}

#[test]
fn no_node_is_a_server() {
    for (why, what, frame) in CASES {
        let mut r = setup_r().start();
        assert_eq!(r.carry(PORT_A, &frame()), [], "{what}");
        assert_eq!(r.drops(), [(*why, 1)], "{what}");
        assert!(r.punted().is_empty(), "{what}");
    }
}

#[test]
fn clients_reach_the_control_thread() {
    let mut r = setup_r().start();
    for (what, frame) in [
        (
            "without an address",
            from(
                Mac::BROADCAST,
                &udp(NOBODY_YET, EVERYBODY, (68, 67), &[0; 300]),
            ),
        ),
        (
            "with one",
            from(Mac::BROADCAST, &udp(A, EVERYBODY, (68, 67), &[0; 300])),
        ),
        (
            "with another's: what is said decides",
            from(Mac::BROADCAST, &udp(G, EVERYBODY, (68, 67), &[0; 300])),
        ),
        (
            "renewing",
            from(gateway(), &udp(A, GATEWAY, (68, 67), &[0; 300])),
        ),
    ] {
        assert_eq!(r.carry(PORT_A, &frame), [], "{what}");
        let punted = r.punted();
        assert_eq!(punted.len(), 1, "{what}");
        assert_eq!(punted[0].what, Punt::Dhcp { node: NODE_A }, "{what}");
        assert_eq!(
            (punted[0].port, punted[0].packet.frame()),
            (PORT_A, &frame[..]),
            "{what}"
        );
    }
    let tagged = udp(NOBODY_YET, EVERYBODY, (68, 67), &[0; 300]).bytes();
    r.carry(
        PORT_C,
        &ethernet(Mac::BROADCAST, MAC_C, Some(TAG_C), 0x0800, &tagged),
    );
    assert_eq!(r.punted()[0].what, Punt::Dhcp { node: NODE_C });
    assert_eq!(r.drops(), []);
}

/// Everything that only looks like it stays what it was.
#[test]
fn other_broadcasts_do_not() {
    let fragment = |mf, offset| Ip {
        mf,
        offset,
        df: false,
        ..udp(NOBODY_YET, EVERYBODY, (68, 67), &[0; 300])
    };
    let other = virtual_mac::of(Kind::Router, Y, GATEWAY);
    for (what, why, frame) in [
        (
            "another port",
            Drop::Broadcast,
            from(Mac::BROADCAST, &udp(A, EVERYBODY, (68, 69), b"")),
        ),
        (
            "another source port",
            Drop::Broadcast,
            from(Mac::BROADCAST, &udp(A, EVERYBODY, (67, 67), b"")),
        ),
        (
            "the first part of one",
            Drop::Broadcast,
            from(Mac::BROADCAST, &fragment(true, 0)),
        ),
        (
            "the rest of one",
            Drop::Broadcast,
            from(Mac::BROADCAST, &fragment(false, 1)),
        ),
        (
            "another protocol",
            Drop::Broadcast,
            from(
                Mac::BROADCAST,
                &Ip {
                    protocol: 136,
                    ..fragment(false, 0)
                },
            ),
        ),
        (
            "ports cut off",
            Drop::Broadcast,
            from(
                Mac::BROADCAST,
                &Ip::new(A, EVERYBODY, 17, vec![0, 68, 0, 67]),
            ),
        ),
        (
            "to one, by everybody's MAC",
            Drop::Broadcast,
            from(Mac::BROADCAST, &udp(A, G, (68, 67), b"")),
        ),
        (
            "another vnet's gateway",
            Drop::MacMismatch,
            from(other, &udp(A, GATEWAY, (68, 67), b"")),
        ),
        (
            "through a gateway that there is not",
            Drop::MacMismatch,
            from(gateway(), &udp(A, G, (68, 67), b"")),
        ),
    ] {
        let mut r = setup_r().start();
        assert_eq!(r.carry(PORT_A, &frame), [], "{what}");
        assert_eq!(r.drops(), [(why, 1)], "{what}");
        assert!(r.punted().is_empty(), "{what}");
    }
}

/// Each has a rate of its own, so a flood of the one leaves the other alone.
#[test]
fn neither_arp_nor_another_nodes_flood_costs_a_node_its_address() {
    let mut setup = setup_r();
    setup.rates.0 = 10;
    setup.rings.protocol = 512;
    let mut r = setup.start();
    let arp = ethernet(Mac::BROADCAST, MAC_A, None, 0x0806, &[0; 28]);
    let discover = udp(NOBODY_YET, EVERYBODY, (68, 67), &[0; 300]).bytes();
    let discover = |mac| ethernet(Mac::BROADCAST, mac, None, 0x0800, &discover);
    for _ in 0..200 {
        r.send(PORT_A, &arp);
        r.send(PORT_TWIN, &discover(MAC_TWIN));
    }
    r.send(PORT_A, &discover(MAC_A));
    r.settle();
    let punted = r.punted();
    let of = |what| punted.iter().filter(|punted| punted.what == what).count();
    // As many as a burst.
    assert_eq!(of(Punt::Arp { node: NODE_A }), 32);
    assert_eq!(of(Punt::Dhcp { node: NODE_TWIN }), 32);
    assert_eq!(of(Punt::Dhcp { node: NODE_A }), 1);
    assert_eq!(r.dropped(Drop::PuntLimited), 336);
}

/// A node that has no address yet has none, not 0.0.0.0: whatever is behind it.
#[test]
fn who_has_no_address_sends_nothing_but_questions() {
    for behind in [&[][..], &["0.0.0.0/0"]] {
        let mut setup = setup_r();
        let node = &mut setup.topology.nodes[NODE_A.index()];
        node.vaddr = NOBODY_YET;
        node.prefixes = behind.iter().map(|text| text.parse().unwrap()).collect();
        let mut r = setup.start();
        let to_g = |src| {
            ethernet(
                virtual_mac(Z, G),
                MAC_A,
                None,
                0x0800,
                &udp(src, G, (7, 7), b"x").bytes(),
            )
        };
        for _ in 0..40 {
            r.send(PORT_A, &to_g(NOBODY_YET));
        }
        r.settle();
        assert_eq!(r.drops(), [(Drop::SpoofedSource, 40)], "{behind:?}");
        let own = r.carry(PORT_A, &to_g(A)).len();
        assert_eq!(own, behind.len(), "{behind:?}");
        r.carry(
            PORT_A,
            &from(
                Mac::BROADCAST,
                &udp(NOBODY_YET, EVERYBODY, (68, 67), &[0; 300]),
            ),
        );
        r.carry(
            PORT_A,
            &ethernet(Mac::BROADCAST, MAC_A, None, 0x0806, &[0; 28]),
        );
        let punted: Vec<_> = r.punted().iter().map(|punted| punted.what).collect();
        assert_eq!(
            punted,
            [Punt::Dhcp { node: NODE_A }, Punt::Arp { node: NODE_A }]
        );
    }
}

/// C is the server of Z.
fn served_by_c() -> Setup {
    let mut setup = setup_r();
    setup.topology.vnets[0].dhcp_server = Some(C);
    setup.topology.nodes[NODE_C.index()].serves_dhcp = true;
    setup
}

fn of_c(to: Mac, packet: &Ip) -> Vec<u8> {
    ethernet(to, MAC_C, Some(TAG_C), 0x0800, &packet.bytes())
}

#[test]
fn what_the_vnet_s_server_says_is_heard_whatever_its_mac() {
    let mut r = served_by_c().start();
    let client = Mac([2, 0, 0, 0, 0, 0x77]);
    for to in [Mac::BROADCAST, client, virtual_mac(Z, A), virtual_mac(Z, G)] {
        for dst in [EVERYBODY, A, G] {
            let answer = of_c(to, &udp(C, dst, (67, 68), &[0; 300]));
            assert_eq!(r.carry(PORT_C, &answer), [], "{to} {dst}");
            let punted = r.punted();
            assert_eq!(punted.len(), 1, "{to} {dst}");
            assert_eq!(punted[0].what, Punt::Dhcp { node: NODE_C });
        }
    }
    assert_eq!(r.drops(), []);
    // By no other address, and nobody else is one; nor it of another vnet's.
    let mut rogues = 0;
    for (port, frame) in [
        (
            PORT_C,
            of_c(Mac::BROADCAST, &udp(A, EVERYBODY, (67, 68), &[0; 300])),
        ),
        (
            PORT_A,
            from(Mac::BROADCAST, &udp(A, EVERYBODY, (67, 68), &[0; 300])),
        ),
        (PORT_A, from(client, &udp(C, A, (67, 68), &[0; 300]))),
    ] {
        assert_eq!(r.carry(port, &frame), []);
        rogues += 1;
        assert_eq!(r.drops(), [(Drop::DhcpServer, rogues)]);
    }
    assert!(r.punted().is_empty());
}

/// All else of its goes as that of other nodes, to the byte.
#[test]
fn a_server_is_a_node_like_others() {
    let mut served = served_by_c().start();
    let mut other = setup_r().start();
    for (to, packet) in [
        (virtual_mac(Z, A), udp(C, A, (7, 7), b"to a neighbour")),
        (virtual_mac(Z, G), udp(C, G, (67, 67), b"to another host")),
        (virtual_mac(Z, G), udp(C, A, (7, 7), b"by a wrong MAC")),
        (virtual_mac(Z, A), udp(A, G, (7, 7), b"not its own")),
        (Mac::BROADCAST, udp(C, EVERYBODY, (7, 7), b"to everybody")),
    ] {
        let frame = of_c(to, &packet);
        assert_eq!(served.carry(PORT_C, &frame), other.carry(PORT_C, &frame));
        assert_eq!(served.drops(), other.drops());
    }
}

/// A packet of S at R, from and to any addresses of Z.
fn between(src: Vaddr, dst: Vaddr, from: &weft::wire::Locator) -> Vec<u8> {
    let mut packet = g_to_a();
    packet.src = saddr(from, Z, src);
    packet.dst = saddr(&locator_r(), Z, dst);
    packet.to_r()
}

#[test]
fn hosts_pass_on_questions_and_answers_and_nothing_else() {
    let served = || {
        let mut setup = served_by_c();
        setup.topology.vnets[0].dhcp_server = Some(G);
        setup.start()
    };
    let stranger = "2001:db8:0:d:600::/72".parse().expect("literal");
    for (what, frame) in [
        ("a question", between(NOBODY_YET, EVERYBODY, &locator_s())),
        ("an answer", between(G, NOBODY_YET, &locator_s())),
    ] {
        let mut r = served();
        assert_eq!(r.carry(UPLINK, &frame), [], "{what}");
        assert_eq!(r.punted()[0].what, Punt::DhcpBetween, "{what}");
        assert_eq!(r.drops(), [], "{what}");
        // Only where a node is the server.
        let mut bare = setup_r().start();
        assert_eq!(bare.carry(UPLINK, &frame), [], "{what}");
        assert!(bare.punted().is_empty(), "{what}");
        assert_eq!(bare.drops().len(), 1, "{what}");
    }
    for (what, why, frame) in [
        (
            "a question of no known host",
            Drop::SourceUnknown,
            between(NOBODY_YET, EVERYBODY, &stranger),
        ),
        (
            "nobody to a node",
            Drop::SourceUnknown,
            between(NOBODY_YET, A, &locator_s()),
        ),
        (
            "an answer from elsewhere",
            Drop::ForgedSource,
            between(G, NOBODY_YET, &stranger),
        ),
    ] {
        let mut r = served();
        assert_eq!(r.carry(UPLINK, &frame), [], "{what}");
        assert_eq!(r.drops(), [(why, 1)], "{what}");
        assert!(r.punted().is_empty(), "{what}");
    }
}
