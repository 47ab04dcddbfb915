//! Stage *parse* of the IPv4 side. That of the IPv6 side is an uplink's.

use crate::packet::Packet;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::ipv4;

use super::super::parse::{malformed, short};
use super::{Drop, Exit};

/// A frame of the IPv4 side.
#[derive(Clone, Copy, Debug)]
pub(super) struct From4 {
    pub link: ethernet::Header,
    pub net: Net4,
}

/// What may come from there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Net4 {
    Ipv4(ipv4::Words),
    Arp,
}

#[inline(always)]
pub(super) fn from_ipv4<P: Packet>(packet: &P) -> Result<From4, Exit> {
    let head = packet.head();
    let link = ethernet::Header::parse(head).ok_or_else(|| short(packet))?;
    let net = match link.ethertype {
        ethertype::IPV4 => {
            let bytes = head.get(link.len..).unwrap_or(&[]);
            let available = packet.total_len() - link.len;
            let words = ipv4::Words::parse_within(bytes, available)
                .map_err(|why| malformed(packet, why))?;
            Net4::Ipv4(words)
        }
        ethertype::ARP => Net4::Arp,
        other => return Err(not_ipv4(other).into()),
    };
    Ok(From4 { link, net })
}

#[cold]
fn not_ipv4(ethertype: u16) -> Drop {
    match ethertype {
        ethertype::IPV6 => Drop::EthertypeIpv6,
        ethertype::LLDP => Drop::EthertypeLldp,
        ethertype::VLAN | ethertype::QINQ => Drop::EthertypeVlan,
        _ => Drop::EthertypeOther,
    }
}
