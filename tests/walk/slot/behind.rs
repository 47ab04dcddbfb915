//! Nodes that route, in all layouts: what is behind them goes to them.

use weft::datapath::Drop;
use weft::mapping::{Mapping, Prefix};
use weft::wire::address::Prefix4;
use weft::wire::{Layout, Mark, Vaddr};

use super::{A_AT_R, ends, r, s};
use crate::common::frames::*;
use crate::common::layouts::*;
use crate::common::topology::*;
use crate::common::{Host, Setup};

/// Behind G, and behind E.
const BEHIND_G: Vaddr = Vaddr(0xac11_0304);
const BEHIND_E: Vaddr = Vaddr(0xac10_0304);

fn behind(host: &mut Host, range: &str, mapping: Mapping) {
    let range: Prefix4 = range.parse().expect("literal");
    let prefix = Prefix::new(Z.0, range.address.0, range.len).expect("a prefix");
    host.writer.insert_prefix(prefix, mapping).expect("room");
}

/// G has 172.17.0.0/16 behind it, and E 172.16.0.0/16.
fn routing(setup: Setup) -> Host {
    let mut setup = still(setup);
    for node in &mut setup.topology.nodes {
        let range = match (node.vni, node.vaddr) {
            (Z, E) => "172.16.0.0/16",
            (Z, G) => "172.17.0.0/16",
            _ => continue,
        };
        node.prefixes = vec![range.parse().expect("literal")];
    }
    for vnet in &mut setup.topology.vnets {
        vnet.prefixes
            .push("172.16.0.0/12".parse().expect("literal"));
    }
    setup.start()
}

fn by_mac_of(node: Vaddr, ip: &Ip) -> Vec<u8> {
    ethernet(virtual_mac(Z, node), MAC_A, None, 0x0800, &ip.bytes())
}

/// Several addresses are behind one node: packets for them go to it, by way of
/// its MAC; what comes from there keeps the address of who sent it.
#[test]
fn nodes_that_route_in_all_layouts() {
    for (layout, source, destination) in [
        (
            Layout::P72,
            "2001:db8:0:a:15a:1:a00:2",
            "2001:db8:0:b:25a:1:ac11:304",
        ),
        (
            Layout::P64,
            "2001:db8:0:a:5a:1:a00:2",
            "2001:db8:0:b:5a:1:ac11:304",
        ),
        // By the slot of G, and so marked.
        (Layout::Slot, A_AT_R, "2001:db8:0:b:265a:1:ac11:304"),
    ] {
        let mark = match layout {
            Layout::Slot => slot(9).forwarded(),
            _ => Mark::NONE,
        };
        let (mut r, mut s) = (routing(r_in(layout)), routing(s_in(layout)));
        behind(&mut r, "172.17.0.0/16", remote_in(HOST_S, mark));
        behind(&mut r, "172.16.0.0/16", local(NODE_E));
        behind(&mut s, "172.17.0.0/16", local(NODE_G));
        let to = udp(A, BEHIND_G, (4000, 5000), b"hello-onm");
        let sent = r.carry_to(PORT_A, &by_mac_of(G, &to), UPLINK);
        assert_eq!(ends(&sent), [source, destination]);
        let got = s.carry_to(UPLINK, &sent, PORT_G);
        assert_eq!(got[..6], MAC_G.0);
        assert_eq!(
            (&got[30..34], &got[34..]),
            (&BEHIND_G.bytes()[..], &to.payload[..])
        );
        // Back, through G and as somebody else.
        let from = udp(BEHIND_G, A, (5000, 4000), b"hello-onm");
        let sent = s.carry_to(PORT_G, &from_g(Z, &from), UPLINK);
        assert_eq!(ends(&sent), [destination, source]);
        let got = r.carry_to(UPLINK, &sent, PORT_A);
        assert_eq!(
            (&got[26..30], &got[34..]),
            (&BEHIND_G.bytes()[..], &from.payload[..])
        );
        // On one host.
        let near = udp(A, BEHIND_E, (4000, 5000), b"hello-onm");
        let got = r.carry_to(PORT_A, &by_mac_of(E, &near), TRUNK);
        assert_eq!(got[..6], MAC_E.0);
        // Not through whoever it is not behind.
        for (node, ip) in [(F, &near), (E, &to), (G, &near)] {
            assert_eq!(r.carry(PORT_A, &by_mac_of(node, ip)), []);
        }
        assert_eq!(r.drops(), [(Drop::MacMismatch, 3)], "{layout}");
    }
}

/// The host behind which a range is need not know that it is there.
#[test]
fn a_range_goes_by_its_slot_alone() {
    let (mut r, mut s) = (routing(r()), routing(s()));
    let mark = slot(9).forwarded();
    behind(&mut r, "172.17.0.0/16", remote_in(HOST_S, mark));
    let to = udp(A, BEHIND_G, (1, 2), b"");
    let sent = r.carry_to(PORT_A, &by_mac_of(G, &to), UPLINK);
    s.carry_to(UPLINK, &sent, PORT_G);
    // A range of another slot of the same host is not behind G.
    behind(
        &mut r,
        "172.18.0.0/16",
        remote_in(HOST_S, slot(10).forwarded()),
    );
    let to = udp(A, Vaddr(0xac12_0001), (1, 2), b"");
    assert_eq!(r.carry(PORT_A, &by_mac_of(G, &to)), []);
    assert_eq!(r.drops(), [(Drop::MacMismatch, 1)]);
    // One whose mapping has no slot is found by its address, there.
    behind(&mut r, "172.17.0.0/16", remote(HOST_S));
    let to = udp(A, BEHIND_G, (1, 2), b"");
    let sent = r.carry_to(PORT_A, &by_mac_of(G, &to), UPLINK);
    assert_eq!(ends(&sent)[1], "2001:db8:0:b:5a:1:ac11:304");
    assert_eq!(s.carry(UPLINK, &sent), []);
    behind(&mut s, "172.17.0.0/16", local(NODE_G));
    s.carry_to(UPLINK, &sent, PORT_G);
    assert_eq!(s.drops(), [(Drop::NotLocal, 1)]);
}
