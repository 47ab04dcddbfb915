//! Packets to translate, addresses to translate by, and a checksum that is
//! computed the slow way.

mod addresses;
mod errors;
mod extensions;
mod headers;
mod icmp;
mod properties;
mod sizes;
mod tell;
mod transport;

use std::net::Ipv6Addr;

use super::*;
use crate::wire::{ipv4, ipv6};

/// IPv4 addresses: two systems of IPv4, and two explicit mappings (RFC 7757
/// figure 1).
const V4: &str = "198.51.100.7";
const OTHER4: &str = "203.0.113.9";
const EAM_A4: &str = "192.0.2.1";
const EAM_B4: &str = "192.0.2.2";
/// The same as IPv6 knows them.
const V6: &str = "64:ff9b::c633:6407";
const OTHER6: &str = "64:ff9b::cb00:7109";
const EAM_A6: &str = "2001:db8:aaaa::";
const EAM_B6: &str = "2001:db8:bbbb::b";
/// What an IPv4 router cannot be, and an IPv6 router without IPv4 address.
const DENIED4: &str = "203.0.113.66";
const DENIED6: &str = "2001:db8:dead::1";
const UNMAPPED4: &str = "203.0.113.200";
const ROUTER6: &str = "2001:db8::1234";
/// Whose errors nobody may be said to send.
const NOBODY6: &str = "2001:db8:ffff::1";
/// Sources of errors (RFC 6791).
const POOL4: &str = "198.51.100.1";
const POOL6: &str = "2001:db8:0:e::1";

fn four(text: &str) -> Vaddr {
    text.parse().unwrap()
}

fn sixteen(text: &str) -> Saddr {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

#[derive(Clone, Copy, Debug)]
struct Map;

impl Map {
    fn illegal4(address: Vaddr) -> bool {
        matches!(address.bytes()[0], 0 | 127 | 224..)
    }

    fn pairs() -> [(Vaddr, Saddr); 2] {
        [(EAM_A4, EAM_A6), (EAM_B4, EAM_B6)].map(|(a, b)| (four(a), sixteen(b)))
    }
}

impl Addresses for Map {
    fn to_ipv6(&self, address: Vaddr, explicit: bool) -> Result<Saddr, NoAddress> {
        if address == four(DENIED4) {
            return Err(NoAddress::Denied);
        }
        if Map::illegal4(address) {
            return Err(NoAddress::Illegal);
        }
        if address == four(UNMAPPED4) {
            return Err(NoAddress::Unmapped);
        }
        let pair = Map::pairs().into_iter().find(|pair| pair.0 == address);
        if let Some(pair) = pair.filter(|_| explicit) {
            return Ok(pair.1);
        }
        let mut embedded = sixteen("64:ff9b::");
        embedded[12..].copy_from_slice(&address.bytes());
        Ok(embedded)
    }

    fn to_ipv4(&self, address: &Saddr) -> Result<Mapped4, NoAddress> {
        if *address == sixteen(DENIED6) {
            return Err(NoAddress::Denied);
        }
        if address[0] == 0xff || u128::from_be_bytes(*address) < 2 {
            return Err(NoAddress::Illegal);
        }
        if let Some(pair) = Map::pairs().into_iter().find(|pair| pair.1 == *address) {
            return Ok(Mapped4 {
                address: pair.0,
                explicit: true,
            });
        }
        if address[..12] != sixteen("64:ff9b::")[..12] {
            return Err(NoAddress::Unmapped);
        }
        let embedded = Vaddr::from_bytes(address[12..].try_into().unwrap());
        if Map::illegal4(embedded) {
            return Err(NoAddress::Illegal);
        }
        Ok(Mapped4 {
            address: embedded,
            explicit: false,
        })
    }

    fn is_explicit(&self, address: Vaddr) -> bool {
        Map::pairs().iter().any(|pair| pair.0 == address)
    }

    fn error_source4(&self, source: &Saddr, _: Vaddr, _: u32) -> Option<Vaddr> {
        (*source != sixteen(NOBODY6)).then(|| four(POOL4))
    }

    fn error_source6(&self, _: Vaddr, _: &Saddr) -> Option<Saddr> {
        Some(sixteen(POOL6))
    }
}

fn rules() -> Rules {
    Rules {
        traffic_class: ClassRule::Copy,
        tos: ClassRule::Copy,
        udp_zero: UdpZero::Compute,
        hairpin: Hairpin::Off,
        mtu4: 1500,
        mtu6: 1500,
        lowest_ipv6_mtu: 1280,
        mtu_plateaus: vec![
            65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68,
        ],
        error_source_extension: true,
    }
}

fn cx(rules: &Rules) -> Context<'_, Map> {
    Context {
        rules,
        addresses: &Map,
        id: 0x1d1d,
        hairpinned: false,
    }
}

/// From an IPv4 system to an IPv6 one, without payload.
fn header4(protocol: u8) -> ipv4::Header {
    ipv4::Header {
        tos: 0xb8,
        total_len: 20,
        id: 0x4444,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: 64,
        protocol,
        src: four(V4),
        dst: four(EAM_A4),
        header_len: 20,
    }
}

/// The way back.
fn header6(next_header: u8) -> ipv6::Header {
    ipv6::Header {
        traffic_class: 0xb8,
        flow_label: 0xabcde,
        payload_len: 0,
        next_header,
        hop_limit: 64,
        src: sixteen(EAM_A6),
        dst: sixteen(V6),
    }
}

fn packet4(h: ipv4::Header, payload: &[u8]) -> Vec<u8> {
    let total_len = (20 + payload.len()) as u16;
    let mut packet = ipv4::Header { total_len, ..h }.bytes().to_vec();
    packet.extend(payload);
    packet
}

/// With options, padded to whole words.
fn with_options(h: ipv4::Header, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = packet4(h, payload);
    let mut options = options.to_vec();
    options.resize(options.len().next_multiple_of(4), 0);
    packet[0] += (options.len() / 4) as u8;
    let total_len = (packet.len() + options.len()) as u16;
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    packet.splice(20..20, options.iter().copied());
    seal4(&mut packet);
    packet
}

/// Makes the header checksum right after a change.
fn seal4(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = !ones(&[&packet[..len]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn packet6(h: ipv6::Header, payload: &[u8]) -> Vec<u8> {
    let payload_len = payload.len() as u16;
    let mut packet = ipv6::Header { payload_len, ..h }.bytes().to_vec();
    packet.extend(payload);
    packet
}

fn fragment6(next_header: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let fragment = ipv6::Fragment {
        next_header,
        offset,
        more,
        id: 0xfade_4444,
    };
    let mut bytes = fragment.bytes().to_vec();
    bytes.extend(payload);
    packet6(header6(44), &bytes)
}

/// RFC 1071, word by word.
fn ones(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for word in part.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            sum += u32::from(word[0]) * 256 + u32::from(low);
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    sum as u16
}

/// Where the checksum of a protocol lies, and whether ICMP has a pseudo header.
fn place(protocol: u8) -> Option<usize> {
    match protocol {
        6 => Some(16),
        17 | 33 | 136 => Some(6),
        1 | 58 => Some(2),
        _ => None,
    }
}

/// The sum over pseudo header and datagram: ffff if its checksum is right.
fn total(src: &[u8], dst: &[u8], protocol: u8, datagram: &[u8]) -> u16 {
    if protocol == 1 {
        return ones(&[datagram]);
    }
    // UDP's own length, which may be less than what IP carries.
    let len = match protocol {
        17 => usize::from(u16::from_be_bytes([datagram[4], datagram[5]])),
        _ => datagram.len(),
    };
    let pseudo = [(len >> 8) as u8, len as u8, 0, protocol];
    ones(&[src, dst, &pseudo, &datagram[..len]])
}

/// Whether the checksum of a whole packet's datagram is right.
fn is_right(packet: &[u8]) -> bool {
    if packet[0] >> 4 == 4 {
        let h = ipv4::Header::parse(packet).unwrap();
        let datagram = &packet[usize::from(h.header_len)..usize::from(h.total_len)];
        return total(&h.src.bytes(), &h.dst.bytes(), h.protocol, datagram) == 0xffff;
    }
    let h = ipv6::Header::parse(packet).unwrap();
    let behind = &packet[40..40 + usize::from(h.payload_len)];
    let upper = ipv6::upper(h.next_header, behind).unwrap();
    total(&h.src, &h.dst, upper.protocol, &behind[upper.offset..]) == 0xffff
}

/// Writes the right checksum into the datagram of a whole packet without
/// extension headers.
fn right(mut packet: Vec<u8>) -> Vec<u8> {
    let (start, ends, protocol) = if packet[0] >> 4 == 4 {
        (usize::from(packet[0] & 15) * 4, 12..20, packet[9])
    } else {
        (40, 8..40, packet[6])
    };
    let Some(at) = place(protocol) else {
        return packet;
    };
    packet[start + at..start + at + 2].fill(0);
    let ends = &packet[ends];
    let (src, dst) = ends.split_at(ends.len() / 2);
    let sum = match !total(src, dst, protocol, &packet[start..]) {
        0 if protocol == 17 => 0xffff,
        sum => sum,
    };
    packet[start + at..start + at + 2].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// A UDP datagram without checksum.
fn udp(data_len: usize) -> Vec<u8> {
    let len = (8 + data_len) as u16;
    let mut bytes = vec![0x0f, 0xa0, 0x13, 0x88];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend((0..data_len).map(|at| at as u8));
    bytes
}

/// A TCP segment without checksum.
fn tcp(data_len: usize) -> Vec<u8> {
    let mut bytes = vec![0x0f, 0xa0, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 9, 9];
    bytes.extend([0; 4]);
    bytes.extend((0..data_len).map(|at| (at * 7) as u8));
    bytes
}

/// An ICMP message without checksum.
fn icmp(kind: u8, code: u8, word: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(word.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The bytes of what came of a packet.
fn joined(packet: &[u8], done: Result<Done, Refusal>) -> Result<Vec<u8>, Refusal> {
    match done? {
        Done::Whole(translated) => {
            let mut bytes = translated.head.to_vec();
            bytes.extend(&packet[translated.rest]);
            Ok(bytes)
        }
        Done::Cut => panic!("to be cut"),
    }
}

fn six_by(packet: &[u8], rules: &Rules) -> Result<Vec<u8>, Refusal> {
    joined(packet, to_ipv6(packet, &cx(rules)))
}

fn six(packet: &[u8]) -> Vec<u8> {
    six_by(packet, &rules()).unwrap()
}

fn four_by(packet: &[u8], rules: &Rules) -> Result<Vec<u8>, Refusal> {
    joined(packet, to_ipv4(packet, &cx(rules)))
}

/// The IPv4 translation of an IPv6 packet.
fn back(packet: &[u8]) -> Vec<u8> {
    four_by(packet, &rules()).unwrap()
}

/// Type, code and word of what is told, if anything is.
fn refused(result: Result<Vec<u8>, Refusal>) -> (Why, Option<(u8, u8, u32)>) {
    let refusal = result.unwrap_err();
    let reply = refusal.reply;
    (
        refusal.why,
        reply.map(|reply| (reply.kind, reply.code, reply.word)),
    )
}

const TOLD4: Option<(u8, u8, u32)> = Some((3, 13, 0));
const TOLD6: Option<(u8, u8, u32)> = Some((1, 1, 0));
