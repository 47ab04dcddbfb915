//! Packets that nobody sent, for `weft explain`.

use crate::control::plant::PlantError;
use crate::control::proto::{Explain, Protocol};
use crate::wire::{Saddr, Vaddr, checksum, ethernet, icmpv4, icmpv6, protocol};

/// An IPv4 packet as the request describes it.
pub(super) fn ipv4(src: Vaddr, dst: Vaddr, request: &Explain) -> Result<Vec<u8>, PlantError> {
    use crate::wire::ipv4;
    let number = number(request.protocol, protocol::ICMP);
    let mut body = body(number, ipv4::HEADER_LEN, request)?;
    let pseudo = u64::from(src.0) + u64::from(dst.0);
    let pseudo = (number != protocol::ICMP).then_some(pseudo);
    fill_checksum(number, pseudo, &mut body);
    let header = ipv4::Header {
        tos: request.dscp.unwrap_or(0) << 2,
        total_len: (ipv4::HEADER_LEN + body.len()) as u16,
        id: 1,
        reserved: false,
        df: request.df.unwrap_or(true),
        mf: false,
        offset: 0,
        ttl: request.ttl.unwrap_or(64),
        protocol: number,
        src,
        dst,
        header_len: ipv4::HEADER_LEN as u8,
    };
    Ok([&header.bytes()[..], &body].concat())
}

/// An IPv6 packet as the request describes it.
pub(super) fn ipv6(src: Saddr, dst: Saddr, request: &Explain) -> Result<Vec<u8>, PlantError> {
    use crate::wire::ipv6;
    if request.df == Some(false) {
        return Err(PlantError::Refused(
            "df: an IPv6 packet has no such bit; leave it out".to_owned(),
        ));
    }
    let number = number(request.protocol, protocol::ICMPV6);
    let mut body = body(number, ipv6::HEADER_LEN, request)?;
    let pseudo = checksum::sum(&src) + checksum::sum(&dst);
    fill_checksum(number, Some(pseudo), &mut body);
    let header = ipv6::Header {
        traffic_class: request.dscp.unwrap_or(0) << 2,
        flow_label: 0,
        payload_len: body.len() as u16,
        next_header: number,
        hop_limit: request.ttl.unwrap_or(64),
        src,
        dst,
    };
    Ok([&header.bytes()[..], &body].concat())
}

pub(super) fn frame(link: &ethernet::Header, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
    let len = link.emit(&mut frame);
    frame.truncate(len);
    frame.extend_from_slice(packet);
    frame
}

fn number(protocol: Protocol, icmp: u8) -> u8 {
    match protocol {
        Protocol::Icmp => icmp,
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
        Protocol::Number(number) => number,
    }
}

/// What follows the header, of the length that is asked for.
fn body(number: u8, header_len: usize, request: &Explain) -> Result<Vec<u8>, PlantError> {
    let mut body = transport(number, request);
    let least = header_len + body.len();
    let length = request.length.map_or(least, usize::from);
    if length < least {
        return Err(PlantError::Refused(format!(
            "length: {length} is too short; at least {least}"
        )));
    }
    body.resize(length - header_len, 0);
    Ok(body)
}

/// The shortest transport header of a protocol, checksum left out.
fn transport(number: u8, request: &Explain) -> Vec<u8> {
    let source = request.source_port.unwrap_or(49152).to_be_bytes();
    let destination = request.destination_port.unwrap_or(7).to_be_bytes();
    match number {
        protocol::ICMP => vec![icmpv4::kind::ECHO_REQUEST, 0, 0, 0, 0, 1, 0, 1],
        protocol::ICMPV6 => vec![icmpv6::kind::ECHO_REQUEST, 0, 0, 0, 0, 1, 0, 1],
        protocol::UDP => [&source[..], &destination, &[0, 8, 0, 0]].concat(),
        protocol::TCP => {
            let mut header = [&source[..], &destination].concat();
            header.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
            header
        }
        _ => vec![0; 8],
    }
}

/// `pseudo` is the sum of both addresses, where the checksum covers them.
fn fill_checksum(number: u8, pseudo: Option<u64>, body: &mut [u8]) {
    let at = match number {
        protocol::ICMP | protocol::ICMPV6 => 2,
        protocol::UDP => 6,
        protocol::TCP => 16,
        _ => return,
    };
    if number == protocol::UDP {
        let len = (body.len() as u16).to_be_bytes();
        body[4..6].copy_from_slice(&len);
    }
    let mut sum = checksum::sum(body);
    if let Some(addresses) = pseudo {
        sum += addresses + u64::from(number) + body.len() as u64;
    }
    let sum = match !checksum::fold(sum) {
        0 if number == protocol::UDP => 0xffff,
        sum => sum,
    };
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}
