//! Frames in: from bytes to one of the few messages that mean something here,
//! or to the reason why it means nothing.
//!
//! Not `smoltcp::wire`: its parsers have one error for everything, while here
//! every rejection is counted by name; they check lengths only, not hop
//! limits, codes, targets or the size of link-layer addresses; and they take
//! an MLDv1 query for a truncated one. It reads our frames back in the tests,
//! as a witness that did not write them.

use std::net::Ipv6Addr;

use crate::wire::checksum;
use crate::wire::ethernet::{Header, ethertype};
use crate::wire::{Mac, Saddr};

use super::ignored::Ignored;

pub(super) const IPV6_LEN: usize = 40;
pub(super) const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const FRAGMENT: u8 = 44;

/// ICMPv6 types.
pub(super) mod kind {
    pub(in super::super) const ECHO_REQUEST: u8 = 128;
    pub(in super::super) const ECHO_REPLY: u8 = 129;
    pub(in super::super) const QUERY: u8 = 130;
    pub(in super::super) const REPORT_V1: u8 = 131;
    pub(in super::super) const DONE_V1: u8 = 132;
    pub(in super::super) const ROUTER_SOLICITATION: u8 = 133;
    pub(in super::super) const ROUTER_ADVERTISEMENT: u8 = 134;
    pub(in super::super) const SOLICITATION: u8 = 135;
    pub(in super::super) const ADVERTISEMENT: u8 = 136;
    pub(in super::super) const REDIRECT: u8 = 137;
    pub(in super::super) const REPORT_V2: u8 = 143;
}

/// Options of neighbour messages.
pub(super) mod option {
    pub(in super::super) const SOURCE_LINK_ADDRESS: u8 = 1;
    pub(in super::super) const TARGET_LINK_ADDRESS: u8 = 2;
    /// RFC 3971; RFC 7527 tells a looped-back probe by it.
    pub(in super::super) const NONCE: u8 = 14;
}

/// Flags of a neighbour advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Flags {
    pub(super) router: bool,
    pub(super) solicited: bool,
    pub(super) overriding: bool,
}

pub(super) type Nonce = [u8; 6];

/// Who sent it, and to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Envelope {
    pub(super) from: Mac,
    pub(super) to: Mac,
    pub(super) vlan: Option<u16>,
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Message<'a> {
    Solicitation {
        target: Ipv6Addr,
        mac: Option<Mac>,
        nonce: Option<Nonce>,
    },
    Advertisement {
        target: Ipv6Addr,
        mac: Option<Mac>,
        flags: Flags,
    },
    /// Identifier, sequence number and data.
    Echo(&'a [u8]),
    /// `group` is `None` in a general query; `delay` in milliseconds.
    Query {
        version: u8,
        group: Option<Ipv6Addr>,
        delay: u64,
    },
}

/// What is between the link header and the ICMPv6 message.
struct Datagram<'a> {
    envelope: Envelope,
    hop_limit: u8,
    extended: bool,
    router_alert: bool,
    icmp: &'a [u8],
}

/// Takes a frame apart and checks all that can be checked without state.
pub(super) fn parse(frame: &[u8]) -> Result<(Envelope, Message<'_>), Ignored> {
    let datagram = datagram(frame)?;
    let envelope = datagram.envelope;
    let &[kind, code, ..] = datagram.icmp else {
        return Err(Ignored::TooShort);
    };
    refuse_by_kind(kind)?;
    let query = kind == kind::QUERY;
    if datagram.extended && !query {
        return Err(Ignored::ExtensionHeader);
    }
    let limit = match kind {
        kind::QUERY => Some(1),
        kind::ECHO_REQUEST => None,
        _ => Some(255),
    };
    if limit.is_some_and(|limit| limit != datagram.hop_limit) {
        return Err(Ignored::BadHopLimit);
    }
    if envelope.source.is_multicast() {
        return Err(Ignored::BadSource);
    }
    let parts = checksum::sum(&envelope.source.octets())
        + checksum::sum(&envelope.destination.octets())
        + datagram.icmp.len() as u64
        + u64::from(ICMPV6)
        + checksum::sum(datagram.icmp);
    if checksum::fold(parts) != 0xffff {
        return Err(Ignored::BadChecksum);
    }
    // RFC 3810 section 5.1.2: a query's code is ignored.
    if code != 0 && !query {
        return Err(Ignored::BadCode);
    }
    let message = match kind {
        kind::SOLICITATION => solicitation(&envelope, datagram.icmp),
        kind::ADVERTISEMENT => advertisement(&envelope, datagram.icmp),
        kind::QUERY => query_message(&datagram),
        _ => echo(&envelope, datagram.icmp),
    }?;
    Ok((envelope, message))
}

fn refuse_by_kind(kind: u8) -> Result<(), Ignored> {
    match kind {
        kind::SOLICITATION | kind::ADVERTISEMENT | kind::QUERY | kind::ECHO_REQUEST => Ok(()),
        kind::ECHO_REPLY => Err(Ignored::EchoReply),
        kind::REPORT_V1 | kind::DONE_V1 | kind::REPORT_V2 => Err(Ignored::ListenerReport),
        kind::ROUTER_SOLICITATION => Err(Ignored::RouterSolicitation),
        kind::ROUTER_ADVERTISEMENT => Err(Ignored::RouterAdvertisement),
        kind::REDIRECT => Err(Ignored::Redirect),
        0..128 => Err(Ignored::ErrorMessage),
        _ => Err(Ignored::UnknownType),
    }
}

fn datagram(frame: &[u8]) -> Result<Datagram<'_>, Ignored> {
    let link = Header::parse(frame).ok_or(Ignored::TooShort)?;
    if !link.source.is_unicast() {
        return Err(Ignored::BadSourceMac);
    }
    if link.ethertype != ethertype::IPV6 {
        return Err(Ignored::NotIpv6);
    }
    let packet = &frame[link.len..];
    let (header, rest) = packet
        .split_first_chunk::<IPV6_LEN>()
        .ok_or(Ignored::TooShort)?;
    if header[0] >> 4 != 6 {
        return Err(Ignored::NotIpv6);
    }
    let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // What follows is padding of the link.
    let payload = rest.get(..len).ok_or(Ignored::BadLength)?;
    let (next, extended, router_alert, icmp) = match header[6] {
        HOP_BY_HOP => {
            let (next, alert, rest) = hop_by_hop(payload)?;
            (next, true, alert, rest)
        }
        next => (next, false, false, payload),
    };
    match next {
        ICMPV6 => {}
        FRAGMENT => return Err(Ignored::Fragment),
        HOP_BY_HOP | 43 | 60 | 135 | 139 | 140 => return Err(Ignored::ExtensionHeader),
        _ => return Err(Ignored::NotIcmpv6),
    }
    Ok(Datagram {
        envelope: Envelope {
            from: link.source,
            to: link.destination,
            vlan: link.vlan,
            source: address(header, 8),
            destination: address(header, 24),
        },
        hop_limit: header[7],
        extended,
        router_alert,
        icmp,
    })
}

/// Next header, whether the MLD router alert (RFC 2711) is there, the rest.
fn hop_by_hop(payload: &[u8]) -> Result<(u8, bool, &[u8]), Ignored> {
    let &[next, len, ..] = payload else {
        return Err(Ignored::BadLength);
    };
    let len = (usize::from(len) + 1) * 8;
    let (header, rest) = payload.split_at_checked(len).ok_or(Ignored::BadLength)?;
    let mut options = &header[2..];
    let mut alert = false;
    while let [kind, tail @ ..] = options {
        if *kind == 0 {
            options = tail;
            continue;
        }
        let [len, tail @ ..] = tail else {
            return Err(Ignored::OptionTruncated);
        };
        let (data, tail) = tail
            .split_at_checked(usize::from(*len))
            .ok_or(Ignored::OptionTruncated)?;
        alert |= *kind == 5 && data == [0, 0];
        options = tail;
    }
    Ok((next, alert, rest))
}

fn solicitation<'a>(envelope: &Envelope, icmp: &'a [u8]) -> Result<Message<'a>, Ignored> {
    let target = target(icmp)?;
    let mut mac = None;
    let mut nonce = None;
    each_option(&icmp[24..], |kind, body| {
        match kind {
            option::SOURCE_LINK_ADDRESS if mac.is_none() => mac = Some(link_address(body)?),
            option::NONCE if nonce.is_none() => nonce = body.try_into().ok(),
            _ => {}
        }
        Ok(())
    })?;
    if envelope.source.is_unspecified()
        && (mac.is_some() || !is_solicited_node(envelope.destination))
    {
        return Err(Ignored::BadProbe);
    }
    Ok(Message::Solicitation { target, mac, nonce })
}

fn advertisement<'a>(envelope: &Envelope, icmp: &'a [u8]) -> Result<Message<'a>, Ignored> {
    let target = target(icmp)?;
    let flags = Flags {
        router: icmp[4] & 0x80 != 0,
        solicited: icmp[4] & 0x40 != 0,
        overriding: icmp[4] & 0x20 != 0,
    };
    let mut mac = None;
    each_option(&icmp[24..], |kind, body| {
        if kind == option::TARGET_LINK_ADDRESS && mac.is_none() {
            mac = Some(link_address(body)?);
        }
        Ok(())
    })?;
    if envelope.source.is_unspecified() {
        return Err(Ignored::BadSource);
    }
    if envelope.destination.is_multicast() && flags.solicited {
        return Err(Ignored::SolicitedGroup);
    }
    Ok(Message::Advertisement { target, mac, flags })
}

fn echo<'a>(envelope: &Envelope, icmp: &'a [u8]) -> Result<Message<'a>, Ignored> {
    if envelope.source.is_unspecified() || envelope.source.is_loopback() {
        return Err(Ignored::BadSource);
    }
    if icmp.len() < 8 {
        return Err(Ignored::TooShort);
    }
    Ok(Message::Echo(&icmp[4..]))
}

/// RFC 3810 section 5.1 and, by its length of 24, RFC 2710 section 3.
fn query_message<'a>(datagram: &Datagram<'a>) -> Result<Message<'a>, Ignored> {
    if !datagram.envelope.source.is_unicast_link_local() {
        return Err(Ignored::QuerySource);
    }
    if !datagram.router_alert {
        return Err(Ignored::QueryAlert);
    }
    let icmp = datagram.icmp;
    let version = match icmp.len() {
        24 => 1,
        28.. => {
            let sources = usize::from(u16::from_be_bytes([icmp[26], icmp[27]]));
            if icmp.len() < 28 + 16 * sources {
                return Err(Ignored::QueryLength);
            }
            2
        }
        _ => return Err(Ignored::QueryLength),
    };
    let group = address(icmp, 8);
    if !group.is_unspecified() && !group.is_multicast() {
        return Err(Ignored::QueryGroup);
    }
    let code = u16::from_be_bytes([icmp[4], icmp[5]]);
    let delay = match code {
        // A small floating-point number: 1 | exponent 3 | mantissa 12.
        0x8000.. if version == 2 => (u64::from(code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3),
        _ => u64::from(code),
    };
    Ok(Message::Query {
        version,
        group: (!group.is_unspecified()).then_some(group),
        delay,
    })
}

fn target(icmp: &[u8]) -> Result<Ipv6Addr, Ignored> {
    if icmp.len() < 24 {
        return Err(Ignored::TooShort);
    }
    let target = address(icmp, 8);
    if target.is_multicast() {
        return Err(Ignored::TargetGroup);
    }
    Ok(target)
}

fn each_option<'a>(
    mut options: &'a [u8],
    mut read: impl FnMut(u8, &'a [u8]) -> Result<(), Ignored>,
) -> Result<(), Ignored> {
    while !options.is_empty() {
        let &[kind, len, ..] = options else {
            return Err(Ignored::OptionTruncated);
        };
        if len == 0 {
            return Err(Ignored::OptionZeroLength);
        }
        let (this, rest) = options
            .split_at_checked(usize::from(len) * 8)
            .ok_or(Ignored::OptionTruncated)?;
        read(kind, &this[2..])?;
        options = rest;
    }
    Ok(())
}

fn link_address(body: &[u8]) -> Result<Mac, Ignored> {
    let mac = body.try_into().map(Mac);
    mac.ok()
        .filter(|mac| mac.is_unicast())
        .ok_or(Ignored::BadLinkAddress)
}

/// The address at `at`; the caller has checked that there are 16 bytes.
fn address(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut address: Saddr = [0; 16];
    address.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(address)
}

/// The group at which an address is solicited (RFC 4291 section 2.7.1).
pub(super) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

pub(super) fn is_solicited_node(address: Ipv6Addr) -> bool {
    solicited_node(address) == address
}

#[cfg(test)]
#[path = "tests/wire.rs"]
mod tests;
