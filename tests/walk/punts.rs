//! What the control thread gets, and what passes by it.

use weft::datapath::topology::PortNodes;
use weft::datapath::wiring::Notice;
use weft::datapath::{Drop, Punt};
use weft::wire::{Mac, icmpv6};

use super::common::frames::*;
use super::common::topology::*;

const ICMPV6: u8 = 58;

fn icmpv6(kind: u8, dst: [u8; 16], body: &[u8]) -> Ip6 {
    let src = saddr(&locator_s(), Z, G);
    let mut message = vec![kind, 0, 0, 0];
    message.extend(body);
    let sum = icmpv6::checksum(&src, &dst, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Ip6 {
        label: 0,
        hop_limit: 255,
        ..Ip6::new(src, dst, ICMPV6, message)
    }
}

fn multicast(packet: &Ip6) -> Vec<u8> {
    let mac = Mac::of_ipv6_group(packet.dst);
    ethernet(mac, MAC_S, None, 0x86dd, &packet.bytes())
}

#[test]
fn arp_of_a_node_goes_to_control_with_its_node_and_tag() {
    let mut r = setup_r().start();
    let arp = ethernet(Mac::BROADCAST, MAC_C, Some(TAG_C), 0x0806, &[1; 28]);
    assert_eq!(r.carry(PORT_C, &arp), []);
    let punted = r.punted();
    assert_eq!(punted.len(), 1);
    assert_eq!(punted[0].what, Punt::Arp { node: NODE_C });
    assert_eq!(
        (punted[0].port, punted[0].packet.frame()),
        (PORT_C, &arp[..])
    );
    let bare = ethernet(Mac::BROADCAST, MAC_C, None, 0x0806, &[1; 28]);
    r.send_stripped(PORT_C, &bare, TAG_C);
    r.settle();
    assert_eq!(r.punted()[0].what, Punt::Arp { node: NODE_C });
}

#[test]
fn a_guest_that_comes_is_told_of_by_its_hypervisor() {
    let mut r = setup_r().start();
    // A reverse request (RFC 903) with its hardware address and no other.
    let mut message = [0; 28];
    message[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 3]);
    message[8..14].copy_from_slice(&MAC_C.0);
    message[18..24].copy_from_slice(&MAC_C.0);
    let rarp = ethernet(Mac::BROADCAST, MAC_C, Some(TAG_C), 0x8035, &message);
    assert_eq!(r.carry(PORT_C, &rarp), []);
    let punted = r.punted();
    assert_eq!(punted.len(), 1);
    assert_eq!(punted[0].what, Punt::Rarp { node: NODE_C });
    // An answer to one is nobody's business, nor half a request.
    for (operation, len) in [(4, 28), (3, 27)] {
        message[7] = operation;
        let rarp = ethernet(Mac::BROADCAST, MAC_C, Some(TAG_C), 0x8035, &message[..len]);
        assert_eq!(r.carry(PORT_C, &rarp), []);
        assert!(r.punted().is_empty());
    }
    assert_eq!(r.dropped(Drop::EthertypeRarp), 2);
}

#[test]
fn neighbour_discovery_and_echo_for_the_host_go_to_control() {
    let mut r = setup_r().start();
    let control = weft::wire::Layout::P72.control_address(&locator_r());
    for frame in [
        icmpv6(135, own_r(), &[0; 20]).to_r(),
        icmpv6(128, control, &[0; 4]).to_r(),
        multicast(&icmpv6(130, all_nodes(), &[0; 20])),
    ] {
        assert_eq!(r.carry(UPLINK, &frame), []);
        let punted = r.punted();
        assert_eq!(punted.len(), 1);
        assert_eq!(punted[0].what, Punt::Substrate);
        assert_eq!(punted[0].packet.frame(), frame, "untouched");
    }
    // Groups that nobody joined, and solicitations for the locator, are not.
    let solicited = "ff02::1:ff00:2"
        .parse::<std::net::Ipv6Addr>()
        .expect("literal")
        .octets();
    let foreign = multicast(&icmpv6(135, solicited, &[0; 20]));
    assert_eq!(r.carry(UPLINK, &foreign), []);
    assert_eq!(r.drops(), [(Drop::NotForUs, 1)]);
    // Unless the uplink answers for the whole locator.
    let mut proxying = topology_r();
    proxying.ports[0].nd_proxy = true;
    r.publish(proxying);
    r.carry(UPLINK, &foreign);
    assert_eq!(r.punted().len(), 1);
}

/// No message of ICMPv6 but an echo of a node reaches a node.
#[test]
fn icmpv6_errors_of_the_substrate_go_to_control() {
    let mut r = setup_r().start();
    let a = saddr(&locator_r(), Z, A);
    for kind in (0..=255).filter(|kind| !matches!(kind, 128 | 129)) {
        assert_eq!(r.carry(UPLINK, &icmpv6(kind, a, &[0; 60]).to_r()), []);
        let punted = r.punted();
        assert_eq!(punted.len(), 1, "type {kind}");
        assert_eq!(punted[0].what, Punt::SubstrateError);
    }
}

/// Errors and pings in any number leave neighbour discovery its share.
#[test]
fn a_flood_of_errors_does_not_silence_neighbour_discovery() {
    let mut setup = setup_r();
    setup.rates.0 = 40;
    setup.rings.protocol = 512;
    let mut r = setup.start();
    let a = saddr(&locator_r(), Z, A);
    let control = weft::wire::Layout::P72.control_address(&locator_r());
    for _ in 0..200 {
        r.send(UPLINK, &icmpv6(3, a, &[0; 60]).to_r());
        let mut ping = icmpv6(128, control, &[0; 60]);
        ping.hop_limit = 63;
        r.send(UPLINK, &ping.to_r());
    }
    let solicitation = icmpv6(135, own_r(), &[0; 20]).to_r();
    r.send(UPLINK, &solicitation);
    r.settle();
    let punted = r.punted();
    assert_eq!(r.dropped(Drop::PuntLimited) + punted.len() as u64, 401);
    assert!(r.dropped(Drop::PuntLimited) > 300);
    assert!(
        punted
            .iter()
            .any(|punted| punted.packet.frame() == solicitation)
    );
}

#[test]
fn one_nodes_flood_of_arp_does_not_silence_another() {
    let mut setup = setup_r();
    setup.rates.0 = 10;
    let mut r = setup.start();
    let arp = |mac| ethernet(Mac::BROADCAST, mac, None, 0x0806, &[0; 28]);
    for _ in 0..1000 {
        r.send(PORT_A, &arp(MAC_A));
    }
    r.send(PORT_TWIN, &arp(MAC_TWIN));
    r.settle();
    let of_twin = Punt::Arp { node: NODE_TWIN };
    let punted = r.punted();
    assert_eq!(punted.len(), 33);
    assert!(punted.iter().any(|punted| punted.what == of_twin));
}

#[test]
fn an_exception_port_takes_the_uplinks_other_traffic() {
    let mut r = with(setup_r(), |topology| {
        topology.ports[0].exception = Some(EXCEPTION)
    })
    .start();
    let mut foreign = g_to_a();
    foreign.dst = "2001:db8:ffff::99"
        .parse::<std::net::Ipv6Addr>()
        .expect("literal")
        .octets();
    let arp = ethernet(Mac::BROADCAST, MAC_S, None, 0x0806, &[0; 28]);
    let bgp = foreign.to_r();
    let ospf = ethernet(
        Mac([0x33, 0x33, 0, 0, 0, 5]),
        MAC_S,
        None,
        0x86dd,
        &foreign.bytes(),
    );
    for frame in [arp, bgp, ospf] {
        assert_eq!(r.carry_to(UPLINK, &frame, EXCEPTION), frame, "as it came");
    }
    // And what the daemon sends leaves by the uplink.
    let hello = ethernet(MAC_S, MAC_R, None, 0x86dd, b"whatever it is");
    assert_eq!(r.carry_to(EXCEPTION, &hello, UPLINK), hello);
    assert_eq!(r.drops(), []);
    // Never a node's.
    assert_eq!(r.carry_to(UPLINK, &g_to_a().to_r(), PORT_A).len(), 51);
}

#[test]
fn control_sends_by_any_port() {
    let mut r = setup_r().start();
    r.send_from_control(0, PORT_A, b"an answer");
    r.send_from_control(0, UPLINK, b"a solicitation");
    r.settle();
    assert_eq!(
        r.all(),
        [
            (UPLINK, b"a solicitation".to_vec()),
            (PORT_A, b"an answer".to_vec())
        ]
    );
    r.send_from_control(0, 99, b"nowhere");
    r.settle();
    assert_eq!(r.drops(), [(Drop::TxFull, 1)]);
}

#[test]
fn a_nodes_mac_is_learned_from_its_frames() {
    let learning = |topology: &mut weft::datapath::Topology| {
        topology.learning = true;
        topology.nodes[NODE_A.index()].mac = None;
        topology.ports[usize::from(PORT_A)].nodes = PortNodes::Sole {
            vlan: 0,
            mac: Mac::ZERO,
            node: NODE_A,
        };
    };
    let mut r = with(setup_r(), learning).start();
    // Frames of a bridge on the way, and of whoever uses another's address.
    let ipv6 = ethernet(virtual_mac(Z, G), MAC_C, None, 0x86dd, &hello().bytes());
    r.carry(PORT_A, &ipv6);
    r.carry(
        PORT_A,
        &ethernet(
            virtual_mac(Z, G),
            MAC_C,
            None,
            0x0800,
            &udp(C, G, (1, 2), b"").bytes(),
        ),
    );
    assert!(r.notices().is_empty());
    r.carry_to(PORT_A, &from_a(&hello()), UPLINK);
    r.carry_to(PORT_C, &from_c(&udp(C, G, (1, 2), b"")), UPLINK);
    assert!(matches!(
        r.notices()[..],
        [Notice::NodeSeen {
            node: NODE_A,
            mac: MAC_A
        }]
    ));
    // A group address is nobody's.
    let odd = ethernet(
        virtual_mac(Z, G),
        Mac::BROADCAST,
        None,
        0x0800,
        &hello().bytes(),
    );
    r.carry(PORT_A, &odd);
    assert!(r.notices().is_empty());
}
