//! Stage *parse*: bytes to checked headers. Nothing behind this stage reads a
//! length or an offset from the packet again.

use crate::packet::Packet;
use crate::siit;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{arp, flow, ipv4, ipv6};

use super::{Drop, Exit};

/// A frame of a node.
#[derive(Clone, Copy, Debug)]
pub struct FromNode {
    pub link: ethernet::Header,
    pub net: NodeNet,
    /// Wants to choose its way itself.
    pub source_routed: bool,
}

/// What a node may send.
#[derive(Clone, Copy, Debug)]
pub enum NodeNet {
    Ipv4(ipv4::Words, u32),
    Arp,
    /// A guest that has just come.
    Rarp,
}

/// A frame of the substrate.
#[derive(Clone, Copy, Debug)]
pub struct FromSubstrate {
    pub link: ethernet::Header,
    pub net: SubstrateNet,
}

/// What the substrate may send. Whether anything but IPv6 is of use is for
/// `classify` to say: an exception port may want it.
#[derive(Clone, Copy, Debug)]
pub enum SubstrateNet {
    Ipv6(ipv6::Words),
    Other,
}

#[inline(always)]
pub fn from_node<P: Packet>(packet: &P) -> Result<FromNode, Exit> {
    let head = packet.head();
    let link = ethernet::Header::parse(head).ok_or_else(|| short(packet))?;
    if link.ethertype != ethertype::IPV4 {
        let net = not_ipv4(link.ethertype, head.get(link.len..).unwrap_or(&[]))?;
        return Ok(FromNode {
            link,
            net,
            source_routed: false,
        });
    }
    let bytes = head.get(link.len..).unwrap_or(&[]);
    let available = packet.total_len() - link.len;
    let words =
        ipv4::Words::parse_within(bytes, available).map_err(|why| malformed(packet, why))?;
    let ip = words.header();
    let payload = bytes
        .get(usize::from(ip.header_len)..)
        .ok_or_else(|| short(packet))?;
    siit::check(&ip)?;
    if packet.is_shared() {
        return Err(Drop::BufferShared.into());
    }
    Ok(FromNode {
        link,
        net: NodeNet::Ipv4(words, flow::hash(&ip, payload)),
        source_routed: ip.has_options() && wants_source_route(bytes, ip.header_len)?,
    })
}

/// ARP goes on, and RARP if it is a request; all else has a name.
#[cold]
fn not_ipv4(ethertype: u16, message: &[u8]) -> Result<NodeNet, Drop> {
    match ethertype {
        ethertype::ARP => Ok(NodeNet::Arp),
        ethertype::RARP if arp::reverse_request(message).is_some() => Ok(NodeNet::Rarp),
        ethertype::IPV6 => Err(Drop::EthertypeIpv6),
        ethertype::RARP => Err(Drop::EthertypeRarp),
        ethertype::LLDP => Err(Drop::EthertypeLldp),
        ethertype::VLAN | ethertype::QINQ => Err(Drop::EthertypeVlan),
        _ => Err(Drop::EthertypeOther),
    }
}

#[inline(always)]
pub fn from_substrate<P: Packet>(packet: &P) -> Result<FromSubstrate, Exit> {
    let head = packet.head();
    let link = ethernet::Header::parse(head).ok_or_else(|| short(packet))?;
    let net = match link.ethertype {
        ethertype::IPV6 => {
            let bytes = head.get(link.len..).unwrap_or(&[]);
            let available = packet.total_len() - link.len;
            let ip = ipv6::Words::parse_within(bytes, available).map_err(|why| match why {
                ipv6::Malformed::TooShort => short(packet),
                ipv6::Malformed::BadVersion => Drop::BadVersion,
                ipv6::Malformed::BadPayloadLength => Drop::BadTotalLength,
            })?;
            SubstrateNet::Ipv6(ip)
        }
        _ => SubstrateNet::Other,
    };
    Ok(FromSubstrate { link, net })
}

/// Whether the options ask for one; or they do not add up.
#[cold]
fn wants_source_route(bytes: &[u8], header_len: u8) -> Result<bool, Drop> {
    let options = bytes.get(ipv4::HEADER_LEN..usize::from(header_len));
    match ipv4::options(options.unwrap_or(&[])) {
        ipv4::Options::Removable => Ok(false),
        ipv4::Options::SourceRoute => Ok(true),
        ipv4::Options::Malformed => Err(Drop::BadOptions),
    }
}

#[cold]
pub(super) fn malformed<P: Packet>(packet: &P, why: ipv4::Malformed) -> Drop {
    match why {
        ipv4::Malformed::TooShort => short(packet),
        ipv4::Malformed::BadVersion => Drop::BadVersion,
        // Below 20, or options beyond what there is.
        ipv4::Malformed::BadHeaderLength => match short(packet) {
            Drop::HeadersSplit if announces_options(packet) => Drop::HeadersSplit,
            _ => Drop::BadHeaderLength,
        },
        ipv4::Malformed::BadTotalLength => Drop::BadTotalLength,
        ipv4::Malformed::BadHeaderChecksum => Drop::BadHeaderChecksum,
    }
}

/// A header longer than 20 bytes.
fn announces_options<P: Packet>(packet: &P) -> bool {
    let head = packet.head();
    let first = ethernet::Header::parse(head).and_then(|link| head.get(link.len));
    first.is_some_and(|first| first & 0xf > 5)
}

/// Too short, or only the first segment is?
#[cold]
pub(super) fn short<P: Packet>(packet: &P) -> Drop {
    if packet.total_len() > packet.head().len() {
        Drop::HeadersSplit
    } else {
        Drop::TooShort
    }
}
