//! What a client's frame says, once everything has been checked that can be
//! checked without knowing its subnet.

use crate::wire::dhcp::{self, CLIENT_PORT, Direction, Kind, Malformed, SERVER_PORT, option};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Vaddr, checksum, ipv4, protocol, udp};

use super::{Client, DhcpIgnored};

/// Longest name that is kept of what a client says (RFC 1035 section 2.3.4).
const MOST_NAME: usize = 255;

/// A client's message, with the VLAN it came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) vlan: Option<u16>,
    pub(super) message: dhcp::Message<'a>,
}

impl<'a> Request<'a> {
    /// Reads a frame of `client` to `server` or to everybody.
    pub(super) fn read(
        frame: &'a [u8],
        client: &Client,
        server: Vaddr,
    ) -> Result<Request<'a>, DhcpIgnored> {
        let link = ethernet::Header::parse(frame).ok_or(DhcpIgnored::BadPacket)?;
        if link.vlan != client.vlan {
            return Err(DhcpIgnored::WrongVlan);
        }
        let packet = frame
            .get(link.len..)
            .filter(|_| link.ethertype == ethertype::IPV4);
        let packet = packet.ok_or(DhcpIgnored::BadPacket)?;
        let (ip, data) = datagram_of(packet, (CLIENT_PORT, SERVER_PORT))?;
        if ip.dst != Vaddr(u32::MAX) && ip.dst != server {
            return Err(DhcpIgnored::WrongDestination);
        }
        let message = parsed(data)?;
        let fixed = &message.fixed;
        if fixed.direction != Direction::Request {
            return Err(DhcpIgnored::NotARequest);
        }
        if fixed.giaddr != Vaddr(0) || message.has(option::RELAY) {
            return Err(DhcpIgnored::Relayed);
        }
        if fixed.chaddr != link.source {
            return Err(DhcpIgnored::Chaddr);
        }
        if client.mac.is_some_and(|mac| mac != link.source) {
            return Err(DhcpIgnored::SpoofedMac);
        }
        if ip.src != Vaddr(0) && ip.src != fixed.ciaddr {
            return Err(DhcpIgnored::SpoofedAddress);
        }
        Ok(Request {
            kind: message.kind().ok_or(DhcpIgnored::NoKind)?,
            vlan: link.vlan,
            message,
        })
    }

    pub(super) fn ciaddr(&self) -> Vaddr {
        self.message.fixed.ciaddr
    }

    /// An option that must be an address if it is there.
    pub(super) fn address(&self, code: u8) -> Result<Option<Vaddr>, DhcpIgnored> {
        match self.message.address(code) {
            None if self.message.has(code) => Err(DhcpIgnored::BadOption),
            address => Ok(address),
        }
    }

    /// How the client calls itself: option 12 or, from clients that send a name
    /// with domain instead, option 81. Only what can stand in a terminal.
    pub(super) fn host_name(&self) -> String {
        let mut room = [0; MOST_NAME];
        let name = match self.message.joined(option::HOST_NAME, &mut room) {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => self.fqdn().map_or_else(String::new, |fqdn| fqdn.name()),
        };
        name.trim_end_matches('\0')
            .chars()
            .filter(|c| c.is_ascii_graphic())
            .collect()
    }

    /// Option 81.
    pub(super) fn fqdn(&self) -> Option<Fqdn> {
        let mut room = [0; MOST_NAME];
        let (head, name) = self
            .message
            .joined(option::FQDN, &mut room)?
            .split_first_chunk::<3>()?;
        Some(Fqdn {
            flags: head[0],
            name: name.to_vec(),
        })
    }
}

/// A client's name with its domain (RFC 4702 section 2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fqdn {
    pub(super) flags: u8,
    name: Vec<u8>,
}

impl Fqdn {
    /// The server is to enter the name into the DNS.
    pub(super) const S: u8 = 1;
    /// The server does not as the client wishes.
    pub(super) const O: u8 = 2;
    /// The name is in labels, as in the DNS; otherwise in ASCII.
    pub(super) const E: u8 = 4;
    /// The server enters nothing.
    pub(super) const N: u8 = 8;

    /// The name as it was written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.name
    }

    fn name(&self) -> String {
        if self.flags & Fqdn::E == 0 {
            return String::from_utf8_lossy(&self.name).into_owned();
        }
        let mut labels = Vec::new();
        let mut rest = &self.name[..];
        while let Some((len @ 1..=63, after)) = rest.split_first()
            && let Some((label, after)) = after.split_at_checked(usize::from(*len))
        {
            labels.push(String::from_utf8_lossy(label).into_owned());
            rest = after;
        }
        labels.join(".")
    }
}

/// The message of a datagram.
pub(super) fn parsed(data: &[u8]) -> Result<dhcp::Message<'_>, DhcpIgnored> {
    dhcp::Message::parse(data).map_err(|why| match why {
        Malformed::TooShort => DhcpIgnored::TooShort,
        Malformed::NoCookie => DhcpIgnored::NoCookie,
        Malformed::NotEthernet => DhcpIgnored::NotEthernet,
        Malformed::BadOption => DhcpIgnored::BadOption,
        Malformed::BadDirection => DhcpIgnored::NotARequest,
    })
}

/// The header and the data of a packet that is one UDP datagram between these
/// ports.
pub(super) fn datagram_of(
    packet: &[u8],
    ports: (u16, u16),
) -> Result<(ipv4::Header, &[u8]), DhcpIgnored> {
    let ip = ipv4::Header::parse(packet).map_err(|_| DhcpIgnored::BadPacket)?;
    if ip.is_fragment() || ip.protocol != protocol::UDP {
        return Err(DhcpIgnored::BadPacket);
    }
    let payload = packet.get(usize::from(ip.header_len)..usize::from(ip.total_len));
    let payload = payload.ok_or(DhcpIgnored::BadPacket)?;
    let header = udp::Header::parse(payload).ok_or(DhcpIgnored::BadPacket)?;
    if (header.source, header.destination) != ports {
        return Err(DhcpIgnored::WrongPort);
    }
    let whole = payload
        .get(..usize::from(header.len))
        .ok_or(DhcpIgnored::BadPacket)?;
    let data = whole.get(udp::HEADER_LEN..).ok_or(DhcpIgnored::BadPacket)?;
    let pseudo = pseudo_header(ip.src, ip.dst, header.len);
    // 0: the client computed none.
    if header.checksum != 0 && checksum::fold(pseudo + checksum::sum(whole)) != 0xffff {
        return Err(DhcpIgnored::BadPacket);
    }
    Ok((ip, data))
}

/// The sum of what a UDP checksum covers beside the datagram.
pub(super) fn pseudo_header(src: Vaddr, dst: Vaddr, len: u16) -> u64 {
    u64::from(src.0) + u64::from(dst.0) + u64::from(protocol::UDP) + u64::from(len)
}
