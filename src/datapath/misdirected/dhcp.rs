//! DHCP: clients are answered by the host, and no node is a server but the one
//! that its vnet names.
//!
//! What clients send is theirs before they have an address: from 0.0.0.0, to
//! everybody. It goes to the control thread before the stage that would ask
//! whether the node may use that source. The same port and way serves a renewal,
//! which is sent to the gateway alone and so is nothing that a router passes on.
//! What the vnet's server says to clients goes to control too, whatever MAC it
//! bears: the server knows a client's own, which means nothing here, and the
//! client's host has to hear what the client was given.

use super::Frame;
use crate::datapath::{Context, Drop, Exit, Punt};
use crate::wire::dhcp::{CLIENT_PORT, SERVER_PORT};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, protocol, udp};

/// What becomes of a message between client and server; `None` of all else.
pub(super) fn decide(cx: &Context<'_>, it: &Frame<'_>) -> Option<Exit> {
    if it.ip.protocol != protocol::UDP || it.ip.is_fragment() {
        return None;
    }
    let datagram = it.packet.get(usize::from(it.ip.header_len)..)?;
    let ports = udp::Header::parse(datagram)?;
    match (ports.source, ports.destination) {
        (CLIENT_PORT, SERVER_PORT) if is_for_server(it) => {
            Some(Exit::Punt(Punt::Dhcp { node: it.node }))
        }
        (SERVER_PORT, CLIENT_PORT) if is_server(cx, it) => {
            Some(Exit::Punt(Punt::Dhcp { node: it.node }))
        }
        (SERVER_PORT, CLIENT_PORT) => Some(Drop::DhcpServer.into()),
        _ => None,
    }
}

/// From the vnet's server, by the address that it has as such.
fn is_server(cx: &Context<'_>, it: &Frame<'_>) -> bool {
    let vnet = cx.topology.vnet(it.record.vnet);
    let server = vnet.and_then(|vnet| vnet.dhcp_server);
    it.record.serves_dhcp && server == Some(it.ip.src)
}

/// To everybody, or to the address of the router whose MAC it bears.
fn is_for_server(it: &Frame<'_>) -> bool {
    match virtual_mac::recognise(it.destination, it.record.vni) {
        Some((Kind::Router, address)) => address == it.ip.dst,
        _ => it.destination == Mac::BROADCAST && it.ip.dst == Vaddr(u32::MAX),
    }
}
