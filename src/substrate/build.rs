//! Frames out.

use std::net::Ipv6Addr;

use crate::wire::ethernet::{HEADER_LEN, Header, TAG_LEN, ethertype};
use crate::wire::{Mac, checksum};

use super::wire::{Flags, ICMPV6, IPV6_LEN, Nonce, kind, option};

pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
/// Hop-by-hop header: router alert for MLD (RFC 2711), padded by PadN.
const ROUTER_ALERT: [u8; 8] = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// The link a frame leaves by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) mac: Mac,
    pub(super) vlan: Option<u16>,
}

/// Addresses of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct To {
    pub(super) mac: Mac,
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
}

impl To {
    pub(super) fn group(source: Ipv6Addr, group: Ipv6Addr) -> To {
        To {
            mac: Mac::of_ipv6_group(group.octets()),
            source,
            destination: group,
        }
    }
}

/// Asks for `target`. From `::` it is a probe for duplicates, which carries a
/// nonce to be known again (RFC 7527) and no link-layer address.
pub(super) fn solicitation(link: Link, to: To, target: Ipv6Addr, nonce: Nonce) -> Vec<u8> {
    let mut icmp = vec![kind::SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(target.octets());
    if to.source.is_unspecified() {
        icmp.extend([option::NONCE, 1]);
        icmp.extend(nonce);
    } else {
        icmp.extend([option::SOURCE_LINK_ADDRESS, 1]);
        icmp.extend(link.mac.0);
    }
    frame(link, to, 255, false, icmp)
}

pub(super) fn advertisement(link: Link, to: To, target: Ipv6Addr, flags: Flags) -> Vec<u8> {
    let bits = u8::from(flags.router) << 7
        | u8::from(flags.solicited) << 6
        | u8::from(flags.overriding) << 5;
    let mut icmp = vec![kind::ADVERTISEMENT, 0, 0, 0, bits, 0, 0, 0];
    icmp.extend(target.octets());
    icmp.extend([option::TARGET_LINK_ADDRESS, 1]);
    icmp.extend(link.mac.0);
    frame(link, to, 255, false, icmp)
}

/// `body` is all after the checksum, as it came.
pub(super) fn echo_reply(link: Link, to: To, body: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind::ECHO_REPLY, 0, 0, 0];
    icmp.extend(body);
    frame(link, to, 64, false, icmp)
}

/// One record of an MLDv2 report; the lists of sources are always empty here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record {
    /// MODE_IS_EXCLUDE {}: listening.
    Listening = 2,
    /// CHANGE_TO_INCLUDE {}: listens no more.
    Left = 3,
    /// CHANGE_TO_EXCLUDE {}: begins to listen.
    Joined = 4,
}

pub(super) fn report(link: Link, source: Ipv6Addr, records: &[(Record, Ipv6Addr)]) -> Vec<u8> {
    let [high, low] = (records.len() as u16).to_be_bytes();
    let mut icmp = vec![kind::REPORT_V2, 0, 0, 0, 0, 0, high, low];
    for (record, group) in records {
        icmp.extend([*record as u8, 0, 0, 0]);
        icmp.extend(group.octets());
    }
    frame(link, To::group(source, ALL_MLDV2_ROUTERS), 1, true, icmp)
}

/// An MLDv1 report, or done message when `listening` is over.
pub(super) fn report_v1(link: Link, source: Ipv6Addr, listening: bool, group: Ipv6Addr) -> Vec<u8> {
    let (kind, destination) = if listening {
        (kind::REPORT_V1, group)
    } else {
        (kind::DONE_V1, ALL_ROUTERS)
    };
    let mut icmp = vec![kind, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(group.octets());
    frame(link, To::group(source, destination), 1, true, icmp)
}

/// Puts the headers before an ICMPv6 message and its checksum inside.
fn frame(link: Link, to: To, hop_limit: u8, alert: bool, mut icmp: Vec<u8>) -> Vec<u8> {
    let sum = checksum::sum(&to.source.octets())
        + checksum::sum(&to.destination.octets())
        + icmp.len() as u64
        + u64::from(ICMPV6)
        + checksum::sum(&icmp);
    icmp[2..4].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());

    let options: &[u8] = if alert { &ROUTER_ALERT } else { &[] };
    let mut out = Vec::with_capacity(HEADER_LEN + TAG_LEN + IPV6_LEN + 8 + icmp.len());
    out.resize(
        HEADER_LEN + if link.vlan.is_some() { TAG_LEN } else { 0 },
        0,
    );
    Header {
        destination: to.mac,
        source: link.mac,
        vlan: link.vlan,
        ethertype: ethertype::IPV6,
        len: out.len(),
    }
    .emit(&mut out);
    out.extend([0x60, 0, 0, 0]);
    // A message is at most as long as one that came in a frame.
    out.extend(((options.len() + icmp.len()) as u16).to_be_bytes());
    out.extend([if alert { 0 } else { ICMPV6 }, hop_limit]);
    out.extend(to.source.octets());
    out.extend(to.destination.octets());
    out.extend(options);
    out.extend(icmp);
    out
}
