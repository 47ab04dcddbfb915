//! ICMP: where its fields are, and the error messages a node is sent.

use super::address::Vaddr;
use super::{checksum, ipv4, protocol};

/// Type, code, checksum and one word that depends on the type.
pub const HEADER_LEN: usize = 8;
/// The longest error message, IPv4 header included (RFC 1812 section 4.3.2.3).
pub const MAX_ERROR_LEN: usize = 576;
/// How much of the packet at fault fits into an error message.
pub const MAX_QUOTE_LEN: usize = MAX_ERROR_LEN - ipv4::HEADER_LEN - HEADER_LEN;

/// Where the fields lie.
pub mod field {
    pub const TYPE: usize = 0;
    pub const CODE: usize = 1;
    pub const CHECKSUM: usize = 2;
}

/// Message types that have a meaning here.
pub mod kind {
    pub const ECHO_REPLY: u8 = 0;
    pub const UNREACHABLE: u8 = 3;
    pub const SOURCE_QUENCH: u8 = 4;
    pub const REDIRECT: u8 = 5;
    pub const ECHO_REQUEST: u8 = 8;
    pub const TIME_EXCEEDED: u8 = 11;
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// Codes of "destination unreachable".
pub mod unreachable {
    pub const NET: u8 = 0;
    pub const HOST: u8 = 1;
    pub const PROTOCOL: u8 = 2;
    pub const PORT: u8 = 3;
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    pub const SOURCE_ROUTE_FAILED: u8 = 5;
    pub const NET_UNKNOWN: u8 = 6;
    pub const HOST_UNKNOWN: u8 = 7;
    pub const SOURCE_ISOLATED: u8 = 8;
    pub const NET_PROHIBITED: u8 = 9;
    pub const HOST_PROHIBITED: u8 = 10;
    pub const NET_FOR_TOS: u8 = 11;
    pub const HOST_FOR_TOS: u8 = 12;
    pub const COMMUNICATION_PROHIBITED: u8 = 13;
    pub const PRECEDENCE_VIOLATION: u8 = 14;
    pub const PRECEDENCE_CUTOFF: u8 = 15;
}

/// What an error message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// With one of the codes in [`mod@unreachable`].
    Unreachable(u8),
    /// Too big for what lies ahead, and marked not to be fragmented.
    FragmentationNeeded { mtu: u16 },
    /// Code 0: in transit; code 1: while reassembling.
    TimeExceeded(u8),
}

impl Problem {
    /// Type, code and the second word of the message.
    fn parts(self) -> (u8, u8, u32) {
        match self {
            Problem::Unreachable(code) => (kind::UNREACHABLE, code, 0),
            Problem::FragmentationNeeded { mtu } => (
                kind::UNREACHABLE,
                unreachable::FRAGMENTATION_NEEDED,
                u32::from(mtu),
            ),
            Problem::TimeExceeded(code) => (kind::TIME_EXCEEDED, code, 0),
        }
    }
}

/// Whether a packet may be answered with an error message at all (RFC 1122
/// section 3.2.2, RFC 1812 section 4.3.2.7). The caller, who knows the subnets
/// and the frame, also excludes directed broadcasts and group MACs.
/// `payload` is what follows the packet's header.
pub fn may_answer_with_error(header: &ipv4::Header, payload: &[u8]) -> bool {
    // 0/8, 127/8, and all from 224/4 up to broadcast name no single host.
    let one_host = |address: Vaddr| !matches!(address.bytes()[0], 0 | 127 | 224..);
    if !header.is_first() || !one_host(header.src) || !one_host(header.dst) {
        return false;
    }
    // Of ICMP only queries and their answers, known ones: an unknown type
    // could be an error.
    header.protocol != protocol::ICMP
        || matches!(
            payload.first(),
            Some(&kind::ECHO_REPLY | &kind::ECHO_REQUEST | 9 | 10 | 13..=18)
        )
}

/// Writes an error message, IPv4 header included, from `from` to the source of
/// the packet at fault and returns its length. `quote` begins with that
/// packet's header and holds as much of it as is at hand; what lies beyond its
/// total length (padding of the frame) is not quoted. `None` if it does not
/// begin with an IPv4 header.
pub fn error(
    problem: Problem,
    from: Vaddr,
    quote: &[u8],
    out: &mut [u8; MAX_ERROR_LEN],
) -> Option<usize> {
    error_of(problem.parts(), from, quote, out)
}

/// [`error`] of any sort, by its type, code and second word.
pub fn error_of(
    (kind, code, word): (u8, u8, u32),
    from: Vaddr,
    quote: &[u8],
    out: &mut [u8; MAX_ERROR_LEN],
) -> Option<usize> {
    let fault = ipv4::Header::parse_unchecked(quote)?;
    let quote = &quote[..quote
        .len()
        .min(usize::from(fault.total_len))
        .min(MAX_QUOTE_LEN)];
    let total_len = ipv4::HEADER_LEN + HEADER_LEN + quote.len();
    let (header, message) = out[..total_len].split_first_chunk_mut()?;
    *header = ipv4::Header {
        // Internetwork control, as RFC 1812 section 4.3.2.5 asks.
        tos: 0xc0,
        total_len: total_len as u16,
        // Never fragmented, so it needs no identification.
        id: 0,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: 64,
        protocol: protocol::ICMP,
        src: from,
        dst: fault.src,
        header_len: ipv4::HEADER_LEN as u8,
    }
    .bytes();
    message[..4].copy_from_slice(&[kind, code, 0, 0]);
    message[4..HEADER_LEN].copy_from_slice(&word.to_be_bytes());
    message[HEADER_LEN..].copy_from_slice(quote);
    let sum = checksum::checksum(message);
    message[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    Some(total_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Vaddr = Vaddr(0x0a00_0001);

    fn fault(protocol: u8, payload_len: usize) -> Vec<u8> {
        let header = ipv4::Header {
            tos: 0,
            total_len: (20 + payload_len) as u16,
            id: 7,
            reserved: false,
            df: true,
            mf: false,
            offset: 0,
            ttl: 64,
            protocol,
            src: Vaddr(0x0a00_0002),
            dst: Vaddr(0x0a00_0003),
            header_len: 20,
        };
        let mut packet = header.bytes().to_vec();
        packet.extend((0..payload_len).map(|at| at as u8));
        packet
    }

    #[test]
    fn literal_message() {
        let mut out = [0xa5; MAX_ERROR_LEN];
        let packet = fault(17, 8);
        let problem = Problem::FragmentationNeeded { mtu: 1472 };
        assert_eq!(error(problem, GATEWAY, &packet, &mut out), Some(56));
        assert_eq!(
            out[..28],
            [
                0x45, 0xc0, 0, 56, 0, 0, 0x40, 0, 64, 1, 0x26, 0x03, 10, 0, 0, 1, 10, 0, 0,
                2, //
                3, 4, 0xeb, 0x2b, 0, 0, 0x05, 0xc0
            ]
        );
        assert_eq!(out[28..56], packet);
        assert_eq!(out[56..], [0xa5; 520]);
    }

    #[test]
    fn kinds_and_codes() {
        for (problem, expected) in [
            (Problem::Unreachable(unreachable::HOST), [3, 1]),
            (Problem::Unreachable(13), [3, 13]),
            (Problem::TimeExceeded(0), [11, 0]),
            (Problem::TimeExceeded(1), [11, 1]),
        ] {
            let mut out = [0xa5; MAX_ERROR_LEN];
            let len = error(problem, GATEWAY, &fault(6, 40), &mut out).unwrap();
            let header = ipv4::Header::parse(&out[..len]).unwrap();
            assert_eq!(header.payload_len(), 8 + 60);
            assert_eq!(out[20..22], expected);
            assert_eq!(out[24..28], [0; 4]);
            assert_eq!(checksum::checksum(&out[20..len]), 0);
        }
    }

    #[test]
    fn quotes_as_much_as_fits_and_no_padding() {
        let mut out = [0xa5; MAX_ERROR_LEN];
        let problem = Problem::TimeExceeded(0);
        let long = fault(17, 1400);
        assert_eq!(error(problem, GATEWAY, &long, &mut out), Some(576));
        assert_eq!(out[28..], long[..548]);
        // The frame of a short packet is padded.
        let mut padded = fault(17, 8);
        padded.resize(46, 0);
        assert_eq!(error(problem, GATEWAY, &padded, &mut out), Some(56));
        for len in 0..20 {
            assert_eq!(error(problem, GATEWAY, &long[..len], &mut out), None);
        }
        assert_eq!(error(problem, GATEWAY, &[0x60; 40], &mut out), None);
        // A total length that even its own header exceeds.
        let mut absurd = fault(17, 8);
        absurd[2..4].copy_from_slice(&[0, 3]);
        assert_eq!(error(problem, GATEWAY, &absurd, &mut out), Some(31));
    }

    #[test]
    fn what_is_never_answered() {
        let udp = ipv4::Header::parse(&fault(17, 8)).unwrap();
        assert!(may_answer_with_error(&udp, &[]));
        assert!(may_answer_with_error(
            &ipv4::Header { mf: true, ..udp },
            &[]
        ));
        assert!(!may_answer_with_error(
            &ipv4::Header { offset: 1, ..udp },
            &[]
        ));
        for group in [
            0xe000_0001,
            0xefff_fffa,
            0xffff_ffff,
            0,
            0x7f00_0001,
            0xf000_0001,
        ] {
            let dst = Vaddr(group);
            assert!(!may_answer_with_error(&ipv4::Header { dst, ..udp }, &[]));
            let src = Vaddr(group);
            assert!(!may_answer_with_error(&ipv4::Header { src, ..udp }, &[]));
        }
        let icmp = ipv4::Header { protocol: 1, ..udp };
        let answered: Vec<u8> = (0..=255)
            .filter(|&kind| may_answer_with_error(&icmp, &[kind, 0, 0, 0]))
            .collect();
        assert_eq!(answered, [0, 8, 9, 10, 13, 14, 15, 16, 17, 18]);
        assert!(!may_answer_with_error(&icmp, &[]));
    }
}
