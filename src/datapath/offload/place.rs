//! Where the transport header of a frame lies, before or after the walk.
//!
//! The stages have their own parsed headers; this is for the few packets that
//! are looked at once more on either side of the walk, in either family.

use crate::wire::ethernet::{self, ethertype};
use crate::wire::{checksum, ipv4, ipv6, protocol, tcp, udp};

use crate::packet::Transport;

/// A whole TCP or UDP packet, its network header in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) l3: usize,
    pub(super) l4: usize,
    /// Bytes from `l4` to the packet's end; padding is not among them.
    pub(super) len: usize,
    pub(super) ipv6: bool,
    /// Whether the IP packet ends there too. UDP says its own length, and what
    /// follows is in no checksum.
    pub(super) exact: bool,
    pub(super) transport: Transport,
    /// The sum over both addresses.
    addresses: u64,
}

impl Place {
    /// In a frame of so many bytes in all, the first of which are `head`.
    /// `None` of anything but TCP and UDP, of fragments, and where the header
    /// does not lie in `head`.
    pub(super) fn of_frame(head: &[u8], total: usize) -> Option<Place> {
        let link = ethernet::Header::parse(head)?;
        match link.ethertype {
            ethertype::IPV4 => Place::of_ipv4(head, link.len, total),
            ethertype::IPV6 => Place::of_ipv6(head, link.len, total),
            _ => None,
        }
    }

    /// The same where only the network header's place is known.
    pub(super) fn of_packet(head: &[u8], l3: usize, total: usize) -> Option<Place> {
        match head.get(l3)? >> 4 {
            4 => Place::of_ipv4(head, l3, total),
            6 => Place::of_ipv6(head, l3, total),
            _ => None,
        }
    }

    fn of_ipv4(head: &[u8], l3: usize, total: usize) -> Option<Place> {
        let bytes = head.get(l3..)?;
        let ip = ipv4::Header::parse_unchecked(bytes)?;
        let (header_len, total_len) = (usize::from(ip.header_len), usize::from(ip.total_len));
        let inside = header_len >= ipv4::HEADER_LEN && l3 + total_len <= total;
        if ip.is_fragment() || !inside {
            return None;
        }
        Place {
            l3,
            l4: l3 + header_len,
            len: total_len.checked_sub(header_len)?,
            ipv6: false,
            exact: true,
            transport: transport(ip.protocol)?,
            addresses: u64::from(ip.src.0) + u64::from(ip.dst.0),
        }
        .checked(head)
    }

    fn of_ipv6(head: &[u8], l3: usize, total: usize) -> Option<Place> {
        let bytes = head.get(l3..)?;
        let ip = ipv6::Header::parse_quoted(bytes).ok()?;
        let end = l3 + ipv6::HEADER_LEN + usize::from(ip.payload_len);
        let (mut l4, mut next) = (l3 + ipv6::HEADER_LEN, ip.next_header);
        // Only what a routing daemon sends has any of these.
        while matches!(
            next,
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS
        ) {
            let extension = head.get(l4..)?.first_chunk::<2>()?;
            next = extension[0];
            l4 += 8 * (usize::from(extension[1]) + 1);
        }
        if end > total {
            return None;
        }
        Place {
            l3,
            l4,
            len: end.checked_sub(l4)?,
            ipv6: true,
            exact: true,
            transport: transport(next)?,
            addresses: checksum::sum(&ip.src) + checksum::sum(&ip.dst),
        }
        .checked(head)
    }

    fn checked(self, head: &[u8]) -> Option<Place> {
        let bytes = head.get(self.l4..)?;
        let (least, len) = match self.transport {
            Transport::Tcp => {
                tcp::Header::parse(bytes)?;
                (tcp::HEADER_LEN, self.len)
            }
            Transport::Udp => {
                let header = udp::Header::parse(bytes)?;
                (udp::HEADER_LEN, usize::from(header.len))
            }
        };
        (least <= len && len <= self.len).then_some(Place {
            len,
            exact: len == self.len,
            ..self
        })
    }

    /// The sum over the pseudo header of a packet with so many bytes from the
    /// transport header on.
    pub(super) fn pseudo_header(&self, len: usize) -> u16 {
        let protocol = match self.transport {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
        };
        checksum::fold(self.addresses + u64::from(protocol) + len as u64)
    }

    /// Where the checksum's two bytes lie.
    fn field(&self) -> usize {
        self.l4
            + match self.transport {
                Transport::Tcp => tcp::field::CHECKSUM,
                Transport::Udp => udp::field::CHECKSUM,
            }
    }

    pub(super) fn checksum(&self, head: &[u8]) -> u16 {
        let field = head.get(self.field()..).and_then(<[u8]>::first_chunk);
        field.map_or(0, |field| u16::from_be_bytes(*field))
    }

    pub(super) fn set_checksum(&self, head: &mut [u8], value: u16) {
        let field = head.get_mut(self.field()..);
        if let Some(field) = field.and_then(<[u8]>::first_chunk_mut) {
            *field = value.to_be_bytes();
        }
    }
}

fn transport(number: u8) -> Option<Transport> {
    match number {
        protocol::TCP => Some(Transport::Tcp),
        protocol::UDP => Some(Transport::Udp),
        _ => None,
    }
}
