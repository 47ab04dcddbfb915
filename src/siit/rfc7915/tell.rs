//! What the sender of a refused packet is told.

use super::Reply;
use crate::wire::{Saddr, Vaddr, icmpv4, icmpv6, ipv4, ipv6};

impl Reply {
    fn parts(self) -> (u8, u8, u32) {
        (self.kind, self.code, self.word)
    }

    /// Writes the message about an IPv4 packet, from `from` to its source, and
    /// returns its length. `None` if the packet must not be answered (RFC 1122
    /// section 3.2.2, RFC 1812 section 4.3.2.7).
    pub fn to_ipv4(
        self,
        from: Vaddr,
        packet: &[u8],
        out: &mut [u8; icmpv4::MAX_ERROR_LEN],
    ) -> Option<usize> {
        let header = ipv4::Header::parse_unchecked(packet)?;
        let payload = packet.get(header.header_len.into()..).unwrap_or(&[]);
        icmpv4::may_answer_with_error(&header, payload)
            .then(|| icmpv4::error_of(self.parts(), from, packet, out))?
    }

    /// The same about an IPv6 packet (RFC 4443 section 2.4).
    pub fn to_ipv6(
        self,
        from: &Saddr,
        packet: &[u8],
        out: &mut [u8; icmpv6::MAX_ERROR_LEN],
    ) -> Option<usize> {
        let header = ipv6::Header::parse_quoted(packet).ok()?;
        let payload = packet.get(ipv6::HEADER_LEN..)?;
        icmpv6::may_answer_with_error(&header, payload, (self.kind, self.code))
            .then(|| icmpv6::error(self.parts(), from, packet, out))?
    }
}
