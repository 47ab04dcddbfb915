//! Frames in: from bytes to what they say, or to the reason why they say
//! nothing, as far as that can be told without knowing whose link it is.

use crate::wire::ethernet::{Header, ethertype};
use crate::wire::{Mac, arp, checksum, icmpv4, ipv4, protocol, udp};

use super::config::is_one_system;
use super::ignored::Ignored;

/// Who sent it, and to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Envelope {
    pub(super) from: Mac,
    pub(super) to: Mac,
    pub(super) vlan: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Message<'a> {
    Arp(arp::Message),
    /// A packet, padding removed, with a header that is right in itself.
    Packet(ipv4::Header, &'a [u8]),
}

/// What a packet for the own address wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish<'a> {
    /// Identifier, sequence number and data.
    Echo(&'a [u8]),
    /// A protocol or port that is not served.
    Unserved(icmpv4::Problem),
}

/// Takes a frame apart.
pub(super) fn parse(frame: &[u8]) -> Result<(Envelope, Message<'_>), Ignored> {
    let link = Header::parse(frame).ok_or(Ignored::TooShort)?;
    let envelope = Envelope {
        from: link.source,
        to: link.destination,
        vlan: link.vlan,
    };
    if !envelope.from.is_unicast() {
        return Err(Ignored::BadSourceMac);
    }
    let payload = &frame[link.len..];
    let message = match link.ethertype {
        ethertype::ARP => Message::Arp(arp_message(payload)?),
        ethertype::IPV4 => {
            let header = ipv4::Header::parse(payload).map_err(malformed)?;
            Message::Packet(header, &payload[..usize::from(header.total_len)])
        }
        _ => return Err(Ignored::NotIpv4),
    };
    Ok((envelope, message))
}

/// The sender's hardware address need not be the frame's: routers that share
/// an address answer with one that is not their own.
fn arp_message(payload: &[u8]) -> Result<arp::Message, Ignored> {
    let message = arp::Message::parse(payload).map_err(|malformed| match malformed {
        arp::Malformed::TooShort => Ignored::TooShort,
        arp::Malformed::NotEthernetIpv4 => Ignored::ArpNotEthernetIpv4,
        arp::Malformed::BadOperation => Ignored::ArpOperation,
    })?;
    if !message.sender_mac.is_unicast() {
        return Err(Ignored::ArpSenderMac);
    }
    match message.sender.0 {
        0 if message.is_request => Ok(message),
        0 => Err(Ignored::ArpProbeReply),
        _ if is_one_system(message.sender) => Ok(message),
        _ => Err(Ignored::ArpSender),
    }
}

fn malformed(malformed: ipv4::Malformed) -> Ignored {
    match malformed {
        ipv4::Malformed::TooShort => Ignored::TooShort,
        ipv4::Malformed::BadVersion => Ignored::NotIpv4,
        ipv4::Malformed::BadHeaderLength | ipv4::Malformed::BadTotalLength => Ignored::BadLength,
        ipv4::Malformed::BadHeaderChecksum => Ignored::BadHeaderChecksum,
    }
}

/// Reads a packet for the own address.
pub(super) fn wish<'a>(header: &ipv4::Header, packet: &'a [u8]) -> Result<Wish<'a>, Ignored> {
    let header_len = usize::from(header.header_len);
    match ipv4::options(&packet[ipv4::HEADER_LEN..header_len]) {
        ipv4::Options::Removable => {}
        ipv4::Options::SourceRoute => return Err(Ignored::SourceRoute),
        ipv4::Options::Malformed => return Err(Ignored::BadOptions),
    }
    if header.is_fragment() {
        return Err(Ignored::Fragment);
    }
    let payload = &packet[header_len..];
    match header.protocol {
        protocol::ICMP => icmp(payload).map(Wish::Echo),
        protocol::UDP => {
            check_udp(header, payload)?;
            let code = icmpv4::unreachable::PORT;
            Ok(Wish::Unserved(icmpv4::Problem::Unreachable(code)))
        }
        _ => {
            let code = icmpv4::unreachable::PROTOCOL;
            Ok(Wish::Unserved(icmpv4::Problem::Unreachable(code)))
        }
    }
}

/// What an echo request wants to have back.
fn icmp(message: &[u8]) -> Result<&[u8], Ignored> {
    use icmpv4::kind;
    let (&[kind, code, ..], true) = (message, message.len() >= icmpv4::HEADER_LEN) else {
        return Err(Ignored::BadLength);
    };
    if checksum::fold(checksum::sum(message)) != 0xffff {
        return Err(Ignored::BadChecksum);
    }
    match kind {
        kind::ECHO_REQUEST if code != 0 => Err(Ignored::BadCode),
        kind::ECHO_REQUEST => Ok(&message[4..]),
        kind::ECHO_REPLY => Err(Ignored::EchoReply),
        kind::REDIRECT => Err(Ignored::Redirect),
        kind::UNREACHABLE | kind::SOURCE_QUENCH | kind::TIME_EXCEEDED | kind::PARAMETER_PROBLEM => {
            Err(Ignored::ErrorMessage)
        }
        _ => Err(Ignored::UnknownType),
    }
}

/// A datagram that is broken was perhaps not for us: no error about it.
fn check_udp(header: &ipv4::Header, datagram: &[u8]) -> Result<(), Ignored> {
    let udp = udp::Header::parse(datagram).ok_or(Ignored::BadLength)?;
    let len = usize::from(udp.len);
    if !(udp::HEADER_LEN..=datagram.len()).contains(&len) {
        return Err(Ignored::BadLength);
    }
    let sum = checksum::sum(&header.src.bytes())
        + checksum::sum(&header.dst.bytes())
        + u64::from(protocol::UDP)
        + u64::from(udp.len)
        + checksum::sum(&datagram[..len]);
    match udp.checksum {
        0 => Ok(()),
        _ if checksum::fold(sum) == 0xffff => Ok(()),
        _ => Err(Ignored::BadChecksum),
    }
}

#[cfg(test)]
#[path = "tests/wire.rs"]
mod tests;
