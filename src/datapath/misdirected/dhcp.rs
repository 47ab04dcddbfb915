//! DHCP: clients are answered by the host, and no node is a server.
//!
//! What clients send is theirs before they have an address: from 0.0.0.0, to
//! everybody. It goes to the control thread before the stage that would ask
//! whether the node may use that source. The same port and way serves a renewal,
//! which is sent to the gateway alone and so is nothing that a router passes on.

use super::Frame;
use crate::datapath::{Drop, Exit, Punt};
use crate::wire::dhcp::{CLIENT_PORT, SERVER_PORT};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, protocol, udp};

/// What becomes of a message between client and server; `None` of all else.
pub(super) fn decide(it: &Frame<'_>) -> Option<Exit> {
    if it.ip.protocol != protocol::UDP || it.ip.is_fragment() {
        return None;
    }
    let datagram = it.packet.get(usize::from(it.ip.header_len)..)?;
    let ports = udp::Header::parse(datagram)?;
    match (ports.source, ports.destination) {
        (CLIENT_PORT, SERVER_PORT) if is_for_server(it) => {
            Some(Exit::Punt(Punt::Dhcp { node: it.node }))
        }
        (SERVER_PORT, CLIENT_PORT) => Some(Drop::DhcpServer.into()),
        _ => None,
    }
}

/// To everybody, or to the address of the router whose MAC it bears.
fn is_for_server(it: &Frame<'_>) -> bool {
    match virtual_mac::recognise(it.destination, it.record.vni) {
        Some((Kind::Router, address)) => address == it.ip.dst,
        _ => it.destination == Mac::BROADCAST && it.ip.dst == Vaddr(u32::MAX),
    }
}
