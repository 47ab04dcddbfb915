//! DHCP (RFC 2131) towards nodes: every message of a node to a server is
//! answered here, with what the node's registration and subnet say.
//!
//! A node is known by the wire it is on, and mostly its address by its binding:
//! then there is nothing to choose, to offer to two or to remember, and every
//! answer follows from the message alone. That is why such a client gets its
//! address again after any restart, of itself or of the host, and why a client
//! that asks for another one is refused at once (NAK) and not after its lease.
//! For a node whose binding names no address, one is chosen of its subnet's pool
//! ([`Pools`]) before the message is answered in the same way. What clients were
//! granted is kept beside it ([`Leases`]): of the latter it is what they own. In
//! a vnet whose server is a node, messages are passed on ([`Passing`]).
//!
//! What nodes could use to speak for others has no effect: a hardware address
//! in the message that is not the frame's, a relay's address or option, a
//! source address that the message does not name.

mod leases;
mod passing;
mod pool;
mod reply;
mod request;

pub use leases::{Change, Lease, Leases, end_of};
pub use passing::{Asker, Askers, Passing};
pub use pool::{Exhausted, Pools, Seeker};

use crate::reasons::reasons;
use crate::wire::address::Prefix4;
use crate::wire::dhcp::{Kind, option};
use crate::wire::{Mac, Vaddr};

use reply::Reply;
use request::Request;

/// The node a frame came from, by its binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// `None` while it is not known; then any is taken for its own.
    pub mac: Option<Mac>,
    /// VLAN id of its frames.
    pub vlan: Option<u16>,
}

/// What a node is told: its own address, and what it has in common with its
/// subnet. An empty list is not told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The node's address, 0.0.0.0 while it has none, and the subnet it lies in.
    pub address: Vaddr,
    pub subnet: Prefix4,
    /// Who answers: the gateway, or an address kept for it.
    pub server: Vaddr,
    pub server_mac: Mac,
    /// Seconds that a lease lasts at most.
    pub lease: u32,
    pub router: Option<Vaddr>,
    /// Further routes, beside the one by `router`.
    pub routes: Vec<(Prefix4, Vaddr)>,
    pub dns: Vec<Vaddr>,
    pub ntp: Vec<Vaddr>,
    /// Name of the node, without domain.
    pub host_name: Option<String>,
    pub domain: Option<String>,
    pub search: Vec<String>,
    pub mtu: Option<u16>,
}

reasons! {
    /// Why a message gets no answer and has no effect.
    pub enum DhcpIgnored {
        NotServed = "dhcp_not_served", "The node's subnet has no DHCP, or the node is in no subnet.";
        WrongVlan = "dhcp_wrong_vlan", "VLAN tag is not the node's.";
        BadPacket = "dhcp_bad_packet", "Not a whole IPv4 packet with a UDP datagram of right lengths and checksums.";
        WrongPort = "dhcp_wrong_port", "UDP datagram is not from port 68 to port 67.";
        WrongDestination = "dhcp_wrong_destination", "Sent neither to everybody nor to the server.";
        TooShort = "dhcp_too_short", "Datagram ends inside the fixed fields.";
        NoCookie = "dhcp_no_cookie", "No cookie before the options: BOOTP, not DHCP.";
        NotEthernet = "dhcp_not_ethernet", "Hardware type or length is not Ethernet's.";
        BadOption = "dhcp_bad_option", "An option is longer than the field it is in, or not of its length.";
        NoKind = "dhcp_no_type", "Message type is absent or unknown.";
        NotARequest = "dhcp_not_a_request", "A server's message, or an answer.";
        Relayed = "dhcp_relayed", "Has the address or the option of a relay.";
        Chaddr = "dhcp_chaddr", "Client's hardware address is not the frame's source.";
        SpoofedMac = "dhcp_spoofed_mac", "Client's hardware address is not the node's.";
        SpoofedAddress = "dhcp_spoofed_address", "Source address is not the one that the client says it has.";
        OtherServer = "dhcp_other_server", "For another server.";
        NoAddress = "dhcp_no_address", "Names no address, or not the node's, where the node's must be.";
        NotAnAnswer = "dhcp_not_an_answer", "Sent by the vnet's server, and none of its answers.";
        NoServer = "dhcp_no_server", "No host is known to have the vnet's DHCP server.";
        NoClient = "dhcp_no_client", "The server's answer is for nobody who asked.";
        TooLarge = "dhcp_too_large", "Message does not fit into a packet of the substrate.";
        OtherAddress = "dhcp_other_address", "The server gives a node another address than its binding.";
        HeldAddress = "dhcp_held_address", "The server gives a node an address that is not to be had.";
        PoolExhausted = "dhcp_pool_exhausted", "No address of the subnet's pool is free.";
    }
}

/// What a message means for the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Its address was offered: nothing has changed.
    Offered,
    /// It has its address for so many seconds from now.
    Granted { seconds: u32 },
    /// It asked for an address that is not its own, and was told so.
    Refused { asked: Vaddr },
    /// It was told what its network is like, without a lease.
    Informed,
    /// It found another system to use its address.
    Declined,
    /// It needs its address no more.
    Released,
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    pub heard: Kind,
    pub effect: Effect,
    /// What the node calls itself; empty if it does not.
    pub host_name: String,
    /// The frame that goes back, and what it is.
    pub reply: Option<(Kind, Vec<u8>)>,
    /// Options that found no room in it.
    pub left_out: u32,
}

/// What a message says of addresses, before anything is made of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    pub kind: Kind,
    /// The address that it asks for, or has.
    pub address: Option<Vaddr>,
}

/// What a client's message to this server asks for.
pub fn asked(frame: &[u8], client: &Client, server: Vaddr) -> Result<Asked, DhcpIgnored> {
    let request = Request::read(frame, client, server)?;
    let meant = request.address(option::SERVER)?;
    if meant.is_some_and(|meant| meant != server) {
        return Err(DhcpIgnored::OtherServer);
    }
    let own = Some(request.ciaddr()).filter(|own| own.0 != 0);
    Ok(Asked {
        kind: request.kind,
        address: request.address(option::REQUESTED_ADDRESS)?.or(own),
    })
}

/// What a node's message means and the answer to it.
pub fn answer(frame: &[u8], client: &Client, terms: &Terms) -> Result<Answer, DhcpIgnored> {
    let request = Request::read(frame, client, terms.server)?;
    let effect = decide(&request, terms)?;
    let mut answer = Answer {
        heard: request.kind,
        effect,
        host_name: request.host_name(),
        reply: None,
        left_out: 0,
    };
    let reply = match answer.effect {
        Effect::Offered => Reply::lease(Kind::Offer, lease_of(&request, terms)),
        Effect::Granted { seconds } => Reply::lease(Kind::Ack, seconds),
        Effect::Informed => Reply::informing(),
        Effect::Refused { .. } => Reply::refusing(),
        Effect::Declined | Effect::Released => return Ok(answer),
    };
    answer.reply = Some((
        reply.kind,
        reply.write(&request, terms, &mut answer.left_out),
    ));
    Ok(answer)
}

/// RFC 2131 section 4.3, for a server that has one address for each client.
fn decide(request: &Request, terms: &Terms) -> Result<Effect, DhcpIgnored> {
    let server = request.address(option::SERVER)?;
    if server.is_some_and(|server| server != terms.server) {
        return Err(DhcpIgnored::OtherServer);
    }
    let own = |address: Vaddr| address == terms.address && address.0 != 0;
    match request.kind {
        Kind::Discover => Ok(Effect::Offered),
        Kind::Request => {
            // Selecting and rebooting clients name the address in an option,
            // renewing and rebinding ones use it already (section 4.3.2).
            let asked = match request.address(option::REQUESTED_ADDRESS)? {
                Some(asked) => asked,
                None if request.ciaddr() != Vaddr(0) => request.ciaddr(),
                None => return Err(DhcpIgnored::NoAddress),
            };
            Ok(match own(asked) {
                true => Effect::Granted {
                    seconds: lease_of(request, terms),
                },
                false => Effect::Refused { asked },
            })
        }
        Kind::Decline => match request.address(option::REQUESTED_ADDRESS)? {
            Some(address) if own(address) => Ok(Effect::Declined),
            _ => Err(DhcpIgnored::NoAddress),
        },
        Kind::Release if own(request.ciaddr()) => Ok(Effect::Released),
        Kind::Inform if own(request.ciaddr()) => Ok(Effect::Informed),
        Kind::Release | Kind::Inform => Err(DhcpIgnored::NoAddress),
        Kind::Offer | Kind::Ack | Kind::Nak => Err(DhcpIgnored::NotARequest),
    }
}

/// A client may have less than the subnet grants, but not so little that it
/// does nothing else than to renew.
fn lease_of(request: &Request, terms: &Terms) -> u32 {
    const LEAST: u32 = 60;
    let asked = request
        .message
        .exactly(option::LEASE)
        .map(u32::from_be_bytes);
    asked.map_or(terms.lease, |asked| asked.max(LEAST).min(terms.lease))
}

#[cfg(test)]
mod tests;
