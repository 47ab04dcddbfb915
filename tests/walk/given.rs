//! A vnet whose nodes see each other by the MACs that they were given: A, E and
//! F of R have theirs, G has its at S; C was given none.

use std::sync::Arc;

use weft::datapath::Drop;
use weft::datapath::given::Formers;
use weft::datapath::topology::Topology;
use weft::mapping::{Mapping, Prefix};
use weft::model::Macs;
use weft::wire::virtual_mac::{self, Kind};
use weft::wire::{Mac, Vaddr};

use super::common::frames::*;
use super::common::segments::{Router, install};
use super::common::topology::*;
use super::common::{Host, Setup};
use super::groups::{EVERYBODY, fans, members, with_fans};

const LATER_G: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x06]);
const GATEWAY: Vaddr = Vaddr(0x0a00_0001);

fn see(topology: &mut Topology) {
    topology.vnets[0].macs = Macs::Given;
    for node in topology.nodes.iter_mut().filter(|node| node.vni == Z) {
        node.sees_given = true;
        node.given = node.mac.filter(|_| node.vaddr != C);
    }
}

fn as_given(mapping: Mapping, mac: Mac) -> Mapping {
    let mac = Some(mac);
    Mapping { mac, ..mapping }
}

fn r() -> Setup {
    let setup = with(still(setup_r()), see);
    setup.map(Z, G, as_given(remote(HOST_S), MAC_G))
}

fn s() -> Setup {
    let setup = with(still(setup_s()), see);
    setup.map(Z, A, as_given(remote(HOST_R), MAC_A))
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hex") as u8;
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn to(mac: Mac, destination: Vaddr) -> Vec<u8> {
    let packet = udp(A, destination, (4000, 5000), b"by name");
    ethernet(mac, MAC_A, None, 0x0800, &packet.bytes())
}

/// Destination and source of a frame.
fn ends(frame: &[u8]) -> [Mac; 2] {
    let mac = |at: usize| Mac(frame[at..at + 6].try_into().expect("six bytes"));
    [mac(0), mac(6)]
}

fn counted(host: &mut Host, frame: &[u8], why: Drop) {
    let before = host.dropped(why);
    assert_eq!(host.carry(PORT_A, frame), []);
    assert_eq!(host.dropped(why), before + 1, "{:?}", host.drops());
}

#[test]
fn the_walk_byte_by_byte_with_given_macs() {
    let sent = "020000000006 02000000000a 0800
        45b8002512344000401113d80a0000020a000003
        0fa013880011a831 68656c6c6f2d6f6e6d";
    let (mut r, mut s) = (r().start(), s().start());
    let carried = r.carry_to(PORT_A, &hex(sent), UPLINK);
    let expected = "020000000200 020000000100 86dd
        6b840a00 00111140
        20010db80000000a015a00010a000002
        20010db80000000b025a00010a000003
        0fa01388001148f4 68656c6c6f2d6f6e6d";
    assert_eq!(carried, hex(expected));
    let delivered = "020000000006 02000000000a 0800
        45b80025000040004011260c0a0000020a000003
        0fa013880011a831 68656c6c6f2d6f6e6d";
    assert_eq!(s.carry_to(UPLINK, &carried, PORT_G), hex(delivered));
    // Back, and what the substrate carries is what it ever was.
    let back = ethernet(MAC_A, MAC_G, None, 0x0800, &answer().bytes());
    let carried = s.carry_to(PORT_G, &back, UPLINK);
    let delivered = r.carry_to(UPLINK, &carried, PORT_A);
    assert_eq!(ends(&delivered), [MAC_A, MAC_G]);
}

#[test]
fn on_one_host_too_and_who_was_given_none_has_a_computed_one() {
    let mut r = r().start();
    let got = r.carry_to(PORT_A, &to(MAC_E, E), TRUNK);
    assert_eq!(ends(&got), [MAC_E, MAC_A]);
    let got = r.carry_to(PORT_A, &to(virtual_mac(Z, C), C), PORT_C);
    assert_eq!(ends(&got), [MAC_C, MAC_A]);
    let packet = udp(C, A, (4000, 5000), b"by name");
    let sent = ethernet(MAC_A, MAC_C, Some(TAG_C), 0x0800, &packet.bytes());
    let got = r.carry_to(PORT_C, &sent, PORT_A);
    assert_eq!(ends(&got), [MAC_A, virtual_mac(Z, C)]);
    // What C has is not what it was given.
    counted(&mut r, &to(MAC_C, C), Drop::MacMismatch);
}

#[test]
fn mac_and_address_have_to_agree() {
    let mut r = r().start();
    for (mac, address) in [
        (MAC_G, E),
        (MAC_E, G),
        (MAC_E, F),
        (LATER_G, G),
        (virtual_mac(Z, C), G),
        (virtual_mac(Y, G), G),
        (MAC_G, NOBODY),
    ] {
        counted(&mut r, &to(mac, address), Drop::MacMismatch);
    }
    // Computed ones are an address's own as ever; so is a new one at once.
    let right = r.carry_to(PORT_A, &to(MAC_G, G), UPLINK);
    assert_eq!(r.carry_to(PORT_A, &to(virtual_mac(Z, G), G), UPLINK), right);
    r.map(Z, G, as_given(remote(HOST_S), LATER_G));
    assert_eq!(r.carry_to(PORT_A, &to(LATER_G, G), UPLINK), right);
    counted(&mut r, &to(MAC_G, G), Drop::MacMismatch);
}

#[test]
fn other_vnets_hear_nothing_of_it() {
    let given = as_given(remote(HOST_S), MAC_G);
    let mut r = r().map(Y, G, given).start();
    let packet = udp(A, G, (4000, 5000), b"in Y");
    let sent = ethernet(MAC_G, MAC_TWIN, None, 0x0800, &packet.bytes());
    assert_eq!(r.carry(PORT_TWIN, &sent), []);
    assert_eq!(r.drops(), [(Drop::MacMismatch, 1)]);
    let sent = from_twin(&packet);
    assert_eq!(r.carry(PORT_TWIN, &sent).len(), 1);
}

#[test]
fn a_mac_of_before_leads_to_its_address_until_its_time_is_over() {
    let mut formers = Formers::default();
    formers.add(key(Z, G), LATER_G, 10);
    let mut r = with(r(), |topology| topology.former_macs = Arc::new(formers)).start();
    let right = r.carry_to(PORT_A, &to(MAC_G, G), UPLINK);
    assert_eq!(r.carry_to(PORT_A, &to(LATER_G, G), UPLINK), right);
    counted(&mut r, &to(LATER_G, E), Drop::MacMismatch);
    r.later(10_000);
    counted(&mut r, &to(LATER_G, G), Drop::MacMismatch);
}

/// A mapping that has ended is asked for, whichever MAC the node remembers.
#[test]
fn the_mac_of_a_mapping_that_has_ended_is_still_its_own() {
    let ended = Mapping {
        expires: 1,
        ..as_given(remote(HOST_S), MAC_G)
    };
    let mut setup = r().map(Z, G, ended);
    setup.topology.resolver = true;
    let mut r = setup.start();
    r.later(2000);
    r.carry(PORT_A, &to(MAC_G, G));
    assert_eq!(r.notices().len(), 1);
    r.map(Z, G, as_given(remote(HOST_S), MAC_G));
    r.later(1);
    assert_eq!(r.drain(UPLINK).len(), 1);
}

fn behind(host: &mut Host, prefix: &str, mapping: Mapping) {
    let (address, len) = prefix.split_once('/').expect("a prefix");
    let address: Vaddr = address.parse().expect("an address");
    let prefix = Prefix::new(Z.0, address.0, len.parse().expect("a length")).expect("one");
    host.writer.insert_prefix(prefix, mapping).expect("room");
}

fn routing(mut setup: Setup) -> Setup {
    setup.topology.vnets[0].prefixes.clear();
    let e = &mut setup.topology.nodes[NODE_E.index()];
    e.prefixes = vec!["172.17.0.0/16".parse().expect("a prefix")];
    setup
}

#[test]
fn what_is_behind_a_node_is_reached_by_its_mac() {
    let mut r = routing(r()).start();
    behind(&mut r, "172.16.0.0/16", as_given(remote(HOST_S), MAC_G));
    behind(&mut r, "172.17.0.0/16", local(NODE_E));
    let [remote, here] = [Vaddr(0xac10_0304), Vaddr(0xac11_0304)];
    r.carry_to(PORT_A, &to(MAC_G, remote), UPLINK);
    r.carry_to(PORT_A, &to(MAC_E, here), TRUNK);
    for (mac, address) in [(MAC_E, remote), (MAC_G, here), (MAC_F, here)] {
        counted(&mut r, &to(mac, address), Drop::MacMismatch);
    }
}

/// A node here that routes is in a subnet, as all know; where another host's
/// is, its prefix does not say.
#[test]
fn in_a_subnet_only_by_the_mac_of_a_node_that_is_in_it() {
    let mut setup = routing(r());
    let router = Router {
        name: "r1",
        addresses: vec![GATEWAY],
        routes: vec![],
    };
    install(
        &mut setup.topology,
        0,
        &[("10.0.0.0/24", "10.0.0.1")],
        &[router],
    );
    let mut r = setup.start();
    behind(&mut r, "172.16.0.0/16", as_given(remote(HOST_S), MAC_G));
    behind(&mut r, "172.17.0.0/16", local(NODE_E));
    let [remote, here] = [Vaddr(0xac10_0304), Vaddr(0xac11_0304)];
    r.carry_to(PORT_A, &to(MAC_E, here), TRUNK);
    counted(&mut r, &to(MAC_G, remote), Drop::WrongSubnet);
    // The gateway has a computed one, and what comes by it bears that.
    let gateway = virtual_mac::of(Kind::Router, Z, GATEWAY);
    counted(&mut r, &to(gateway, remote), Drop::NoRoute);
    let packet = udp(Vaddr(0xac11_0304), A, (4000, 5000), b"from beyond");
    let sent = ethernet(MAC_A, MAC_E, Some(TAG_E), 0x0800, &packet.bytes());
    let got = r.carry_to(TRUNK, &sent, PORT_A);
    assert_eq!(ends(&got), [MAC_A, gateway]);
}

#[test]
fn copies_of_a_broadcast_bear_it_too() {
    let all = [NODE_A, NODE_C, NODE_E, NODE_F];
    let fans = fans(members(&[], &[]), members(&[], &all));
    let mut r = with_fans(r(), fans).start();
    let packet = udp(A, EVERYBODY, (4000, 5000), b"to all");
    let sent = ethernet(Mac::BROADCAST, MAC_A, None, 0x0800, &packet.bytes());
    let got = r.carry(PORT_A, &sent);
    assert_eq!(got.len(), 3);
    for (_, frame) in got {
        assert_eq!(ends(&frame), [Mac::BROADCAST, MAC_A]);
    }
}
