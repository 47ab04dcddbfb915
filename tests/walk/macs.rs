//! Frames for MACs that nobody was told of, in a vnet where the address alone
//! decides.

use weft::datapath::{Drop, Punt};
use weft::wire::virtual_mac::{self, Kind};
use weft::wire::{Mac, Vaddr};

use super::common::Setup;
use super::common::frames::*;
use super::common::segments::{Router, install};
use super::common::topology::*;

/// A card that a node remembers from elsewhere.
const STALE: Mac = Mac([0x52, 0x54, 0, 1, 2, 3]);
const GATEWAY: Vaddr = Vaddr(0x0a00_0001);
/// G in another subnet.
const FAR: Vaddr = Vaddr(0x0a00_0103);

fn resolving() -> Setup {
    with(setup_r(), |topology| topology.vnets[0].resolves = true)
}

/// A's subnet is 10.0.0.0/24, and G's another.
fn routed() -> Setup {
    let mut setup = resolving().map(Z, FAR, remote(HOST_S));
    setup.topology.vnets[0].prefixes = vec!["10.0.0.0/16".parse().unwrap()];
    let router = Router {
        name: "r1",
        addresses: vec![GATEWAY, Vaddr(0x0a00_0101)],
        routes: vec![],
    };
    let subnets = [("10.0.0.0/24", "10.0.0.1"), ("10.0.1.0/24", "10.0.1.1")];
    install(&mut setup.topology, 0, &subnets, &[router]);
    setup
}

fn to(mac: Mac, destination: Vaddr) -> Vec<u8> {
    let packet = udp(A, destination, (4000, 5000), b"by address");
    ethernet(mac, MAC_A, None, 0x0800, &packet.bytes())
}

#[test]
fn it_goes_where_a_frame_with_the_right_mac_goes() {
    let mut r = resolving().start();
    for (destination, port) in [(G, UPLINK), (E, TRUNK)] {
        let right = r.carry_to(PORT_A, &to(virtual_mac(Z, destination), destination), port);
        let stale = r.carry_to(PORT_A, &to(STALE, destination), port);
        assert_eq!(stale, right, "{destination}");
    }
    let mut r = routed().start();
    let gateway = virtual_mac::of(Kind::Router, Z, GATEWAY);
    let right = r.carry_to(PORT_A, &to(gateway, FAR), UPLINK);
    assert_eq!(r.carry_to(PORT_A, &to(STALE, FAR), UPLINK), right);
    // The router itself is reached too.
    assert_eq!(r.carry(PORT_A, &to(STALE, GATEWAY)), []);
    assert_eq!(r.punted()[0].what, Punt::Router { node: NODE_A });
    assert_eq!(r.drops(), []);
}

/// It waits for its mapping as any other does.
#[test]
fn what_is_not_known_is_asked_for() {
    let mut setup = resolving();
    setup.topology.resolver = true;
    let mut r = setup.start();
    r.carry(PORT_A, &to(STALE, NOBODY));
    assert_eq!(r.notices().len(), 1);
    r.map(Z, NOBODY, remote(HOST_S));
    r.later(1);
    assert_eq!(r.drain(UPLINK).len(), 1);
}

/// Another vnet's MAC is nobody's here; what is sent to it stays in this one.
#[test]
fn another_vnets_mac_leads_to_no_other_vnet() {
    let mut r = resolving().start();
    let frame = r.carry_to(PORT_A, &to(virtual_mac(Y, G), G), UPLINK);
    let (_, destination) = check_substrate_frame(&frame, true);
    assert_eq!(destination, saddr(&locator_s(), Z, G));
}

#[test]
fn everything_else_is_as_strict_as_ever() {
    let broadcast = Vaddr::BROADCAST;
    let of_subnet = Vaddr(0x0a00_00ff);
    for (what, setup, frame, why) in [
        ("no such rule", setup_r(), to(STALE, G), Drop::MacMismatch),
        (
            "another node's",
            resolving(),
            to(virtual_mac(Z, C), G),
            Drop::MacMismatch,
        ),
        (
            "outside",
            resolving(),
            to(STALE, OUTSIDE),
            Drop::OutsideVnet,
        ),
        ("to all", resolving(), to(STALE, broadcast), Drop::Broadcast),
        (
            "to all of a subnet",
            routed(),
            to(STALE, of_subnet),
            Drop::Broadcast,
        ),
        ("to itself", resolving(), to(STALE, A), Drop::ToItself),
    ] {
        let mut r = setup.start();
        assert_eq!(r.carry(PORT_A, &frame), [], "{what}");
        assert_eq!(r.drops(), [(why, 1)], "{what}");
    }
    // A subnet that no router is in has no way out.
    let mut setup = routed();
    let segment = &mut setup.topology.nodes[NODE_A.index()].segment;
    (segment.gateway, segment.gateway_mac) = (weft::datapath::segments::NONE, None);
    let mut r = setup.start();
    assert_eq!(r.carry(PORT_A, &to(STALE, FAR)), []);
    assert_eq!(r.drops(), [(Drop::WrongSubnet, 1)]);
}
