//! What a router says that nobody built: answers to packets for one of its own
//! addresses.
//!
//! It answers pings, resets TCP, and says of all else that nobody listens, as
//! a router without services does. A service is what stands behind a port of
//! UDP in [`Services`]; that is how anything else that can be asked of a device
//! is added.

use std::collections::HashMap;
use std::fmt;

use crate::reasons::reasons;
use crate::wire::icmpv4::{self, Problem, kind, unreachable};
use crate::wire::{Vaddr, checksum, ipv4, protocol, tcp, udp};

/// TTL of what a router sends.
const TTL: u8 = 64;

reasons! {
    /// Why a packet for a router gets no answer.
    pub enum RouterIgnored {
        Malformed = "router_malformed", "Packet for a router that ends within its headers, or whose checksum is wrong.";
        Fragment = "router_fragment", "Fragment for a router: none is put together.";
        TooLong = "router_too_long", "Packet for a router that is longer than what is answered.";
        IcmpType = "router_icmp_type", "ICMP message for a router other than an echo request.";
        Error = "router_error", "Packet for a router that must not be answered by an error.";
        Service = "router_service", "Request that a router's service does not answer.";
    }
}

/// A datagram for a service.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub vnet: &'a str,
    pub router: &'a str,
    /// The interface's address that was asked.
    pub own: Vaddr,
    pub from: (Vaddr, u16),
    pub data: &'a [u8],
}

/// Answers datagrams to one port.
pub trait Service {
    /// The data of the answer, if there is one.
    fn answer(&mut self, ask: &Ask<'_>) -> Option<Vec<u8>>;
}

/// The services of a router by their port of UDP. They are made for one packet,
/// so that they can borrow what they tell of.
#[derive(Default)]
pub struct Services<'a>(HashMap<u16, Box<dyn Service + 'a>>);

impl<'a> Services<'a> {
    pub fn add(&mut self, port: u16, service: Box<dyn Service + 'a>) {
        self.0.insert(port, service);
    }
}

impl fmt::Debug for Services<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub struct Router<'a> {
    pub vnet: &'a str,
    pub name: &'a str,
    /// The address that the packet is for.
    pub own: Vaddr,
    /// Routers in between, which the packet and the answer cross.
    pub hops: u8,
}

/// The IPv4 packet that a router answers `packet` with.
pub fn answer(
    packet: &[u8],
    router: &Router<'_>,
    services: &mut Services<'_>,
) -> Result<Vec<u8>, RouterIgnored> {
    let header = ipv4::Header::parse_unchecked(packet).ok_or(RouterIgnored::Malformed)?;
    if header.is_fragment() {
        return Err(RouterIgnored::Fragment);
    }
    let payload = packet
        .get(usize::from(header.header_len)..usize::from(header.total_len))
        .ok_or(RouterIgnored::TooLong)?;
    match header.protocol {
        protocol::ICMP => echo(&header, payload, router),
        protocol::TCP => reset(&header, payload, router),
        protocol::UDP => datagram(&header, (packet, payload), router, services),
        _ => refuse(unreachable::PROTOCOL, packet, router),
    }
}

fn echo(
    header: &ipv4::Header,
    message: &[u8],
    router: &Router<'_>,
) -> Result<Vec<u8>, RouterIgnored> {
    if message.len() < icmpv4::HEADER_LEN || checksum::checksum(message) != 0 {
        return Err(RouterIgnored::Malformed);
    }
    if message[..2] != [kind::ECHO_REQUEST, 0] {
        return Err(RouterIgnored::IcmpType);
    }
    let mut reply = message.to_vec();
    reply[icmpv4::field::TYPE] = kind::ECHO_REPLY;
    put_checksum(&mut reply, icmpv4::field::CHECKSUM, 0);
    Ok(packet(header, router, header.tos, &reply))
}

/// RFC 9293 section 3.10.7.1: nobody listens on any port.
fn reset(
    header: &ipv4::Header,
    segment: &[u8],
    router: &Router<'_>,
) -> Result<Vec<u8>, RouterIgnored> {
    let read = tcp::Header::parse(segment);
    let read = read.filter(|_| sum_of(header, segment) == 0xffff);
    let tcp = read.ok_or(RouterIgnored::Malformed)?;
    if tcp.flags & tcp::flag::RST != 0 {
        return Err(RouterIgnored::Error);
    }
    let word = |at: usize| {
        let bytes = segment
            .get(at..at + 4)
            .and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let (sequence, acknowledged, flags) = if tcp.flags & tcp::flag::ACK != 0 {
        (word(8), 0, tcp::flag::RST)
    } else {
        let ends = tcp.flags & (tcp::flag::SYN | tcp::flag::FIN);
        let data = segment.len().saturating_sub(usize::from(tcp.header_len));
        let len = data as u32 + ends.count_ones();
        (
            0,
            word(4).wrapping_add(len),
            tcp::flag::RST | tcp::flag::ACK,
        )
    };
    let mut reply = Vec::with_capacity(tcp::HEADER_LEN);
    reply.extend(tcp.destination.to_be_bytes());
    reply.extend(tcp.source.to_be_bytes());
    reply.extend(sequence.to_be_bytes());
    reply.extend(acknowledged.to_be_bytes());
    reply.extend([5 << 4, flags, 0, 0, 0, 0, 0, 0]);
    let pseudo = pseudo_sum(router.own, header.src, protocol::TCP, reply.len());
    put_checksum(&mut reply, tcp::field::CHECKSUM, pseudo);
    Ok(packet(header, router, 0, &reply))
}

fn datagram(
    header: &ipv4::Header,
    (whole, payload): (&[u8], &[u8]),
    router: &Router<'_>,
    services: &mut Services<'_>,
) -> Result<Vec<u8>, RouterIgnored> {
    let udp = udp::Header::parse(payload).ok_or(RouterIgnored::Malformed)?;
    let datagram = payload.get(..usize::from(udp.len));
    let datagram = datagram.filter(|datagram| datagram.len() >= udp::HEADER_LEN);
    let datagram = datagram.ok_or(RouterIgnored::Malformed)?;
    if udp.checksum != 0 && sum_of(header, datagram) != 0xffff {
        return Err(RouterIgnored::Malformed);
    }
    let Some(service) = services.0.get_mut(&udp.destination) else {
        return refuse(unreachable::PORT, whole, router);
    };
    let ask = Ask {
        vnet: router.vnet,
        router: router.name,
        own: router.own,
        from: (header.src, udp.source),
        data: &datagram[udp::HEADER_LEN..],
    };
    let data = service.answer(&ask).ok_or(RouterIgnored::Service)?;
    let len = u16::try_from(udp::HEADER_LEN + data.len()).ok();
    let len = len.filter(|len| *len <= u16::MAX - ipv4::HEADER_LEN as u16);
    let back = udp::Header {
        source: udp.destination,
        destination: udp.source,
        len: len.ok_or(RouterIgnored::Service)?,
        checksum: 0,
    };
    let mut reply = back.bytes().to_vec();
    reply.extend(data);
    let pseudo = pseudo_sum(router.own, header.src, protocol::UDP, reply.len());
    put_checksum(&mut reply, udp::field::CHECKSUM, pseudo);
    if reply[udp::field::CHECKSUM..][..2] == [0, 0] {
        reply[udp::field::CHECKSUM..][..2].fill(0xff);
    }
    Ok(packet(header, router, 0, &reply))
}

/// "Unreachable", where an error may be sent at all.
fn refuse(code: u8, whole: &[u8], router: &Router<'_>) -> Result<Vec<u8>, RouterIgnored> {
    let problem = Problem::Unreachable(code);
    error(problem, whole, router.own, router.hops).ok_or(RouterIgnored::Error)
}

/// An error of a router, `hops` routers behind the one that a packet was given
/// to, about that packet; `None` about one that must not be answered.
pub fn error(problem: Problem, packet: &[u8], own: Vaddr, hops: u8) -> Option<Vec<u8>> {
    let header = ipv4::Header::parse_unchecked(packet)?;
    let payload = packet.get(usize::from(header.header_len)..).unwrap_or(&[]);
    if !icmpv4::may_answer_with_error(&header, payload) {
        return None;
    }
    let mut message = [0; icmpv4::MAX_ERROR_LEN];
    let mut quote = packet.to_vec();
    // As that router got it.
    let first = quote.first_chunk_mut()?;
    ipv4::set_ttl(first, header.ttl.saturating_sub(hops));
    let len = icmpv4::error(problem, own, &quote, &mut message)?;
    let mut message = message.get(..len)?.to_vec();
    ipv4::set_ttl(message.first_chunk_mut()?, TTL.saturating_sub(hops));
    Some(message)
}

/// A packet to whoever sent `asked`.
fn packet(asked: &ipv4::Header, router: &Router<'_>, tos: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        tos,
        total_len: (ipv4::HEADER_LEN + payload.len()) as u16,
        id: 0,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: TTL.saturating_sub(router.hops),
        protocol: asked.protocol,
        src: router.own,
        dst: asked.src,
        header_len: ipv4::HEADER_LEN as u8,
    };
    let mut packet = header.bytes().to_vec();
    packet.extend_from_slice(payload);
    packet
}

fn pseudo_sum(src: Vaddr, dst: Vaddr, protocol: u8, len: usize) -> u64 {
    let addresses = checksum::sum(&src.bytes()) + checksum::sum(&dst.bytes());
    addresses + u64::from(protocol) + len as u64
}

/// The folded sum over a transport header, its data and the pseudo header.
fn sum_of(header: &ipv4::Header, payload: &[u8]) -> u16 {
    let pseudo = pseudo_sum(header.src, header.dst, header.protocol, payload.len());
    checksum::fold(pseudo + checksum::sum(payload))
}

fn put_checksum(bytes: &mut [u8], at: usize, pseudo: u64) {
    bytes[at..at + 2].fill(0);
    let sum = !checksum::fold(pseudo + checksum::sum(bytes));
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
#[path = "router/tests.rs"]
mod tests;
