//! ICMPv6: the messages that reach a host from the substrate's routers, and
//! echo. Neighbour discovery is `smoltcp::wire`'s, on the control thread.

use super::locator::Saddr;
use super::{checksum, ipv6, protocol};

/// Type, code, checksum and one word that depends on the type.
pub const HEADER_LEN: usize = 8;
/// The longest error message, IPv6 header included (RFC 4443 section 2.4 c).
pub const MAX_ERROR_LEN: usize = ipv6::MIN_MTU;
/// How much of the packet at fault fits into an error message.
pub const MAX_QUOTE_LEN: usize = MAX_ERROR_LEN - ipv6::HEADER_LEN - HEADER_LEN;

/// Where the fields lie.
pub mod field {
    pub const TYPE: usize = 0;
    pub const CODE: usize = 1;
    pub const CHECKSUM: usize = 2;
}

/// Message types that have a meaning here.
pub mod kind {
    pub const UNREACHABLE: u8 = 1;
    pub const PACKET_TOO_BIG: u8 = 2;
    pub const TIME_EXCEEDED: u8 = 3;
    pub const PARAMETER_PROBLEM: u8 = 4;
    pub const ECHO_REQUEST: u8 = 128;
    pub const ECHO_REPLY: u8 = 129;
    pub const REDIRECT: u8 = 137;
}

/// Codes of "destination unreachable".
pub mod unreachable {
    pub const NO_ROUTE: u8 = 0;
    pub const PROHIBITED: u8 = 1;
    pub const BEYOND_SCOPE: u8 = 2;
    pub const ADDRESS: u8 = 3;
    pub const PORT: u8 = 4;
}

/// Codes of "parameter problem".
pub mod parameter {
    pub const FIELD: u8 = 0;
    pub const NEXT_HEADER: u8 = 1;
    pub const OPTION: u8 = 2;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub kind: u8,
    pub code: u8,
    pub checksum: u16,
    /// MTU of a "packet too big"; identifier and sequence number of an echo.
    pub word: u32,
}

impl Header {
    /// `None` if there are fewer than eight bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        bytes.first_chunk().map(|bytes| Header::from_bytes(*bytes))
    }

    #[inline]
    pub fn from_bytes(bytes: [u8; HEADER_LEN]) -> Header {
        let word = u64::from_be_bytes(bytes);
        Header {
            kind: (word >> 56) as u8,
            code: (word >> 48) as u8,
            checksum: (word >> 32) as u16,
            word: word as u32,
        }
    }

    #[inline]
    pub fn bytes(&self) -> [u8; HEADER_LEN] {
        (u64::from(self.kind) << 56
            | u64::from(self.code) << 48
            | u64::from(self.checksum) << 32
            | u64::from(self.word))
        .to_be_bytes()
    }

    /// Writes the header; `out` must hold 8 bytes.
    pub fn emit(&self, out: &mut [u8]) {
        out[..HEADER_LEN].copy_from_slice(&self.bytes());
    }

    /// An error message: these quote a packet and are never answered.
    #[inline]
    pub fn is_error(&self) -> bool {
        self.kind < 128
    }

    #[inline]
    pub fn is_echo(&self) -> bool {
        matches!(self.kind, kind::ECHO_REQUEST | kind::ECHO_REPLY)
    }
}

/// Whether a packet may be answered with an error message of this type and code
/// at all (RFC 4443 section 2.4 e). The caller, who knows the frame, also
/// excludes group MACs. `payload` is what follows the packet's fixed header.
pub fn may_answer_with_error(
    header: &ipv6::Header,
    payload: &[u8],
    (kind, code): (u8, u8),
) -> bool {
    let to_groups_too = matches!(
        (kind, code),
        (kind::PACKET_TOO_BIG, _) | (kind::PARAMETER_PROBLEM, parameter::OPTION)
    );
    // Unspecified, loopback and multicast sources name no single host.
    let from_one_host = header.src[0] != 0xff && u128::from_be_bytes(header.src) > 1;
    if !from_one_host || header.dst[0] == 0xff && !to_groups_too {
        return false;
    }
    !may_be_error(header.next_header, payload)
}

/// Whether a packet is an error or a redirect, as far as can be told: what
/// could be part of one is taken for one. Unlike [`ipv6::upper`] this goes on
/// behind headers for which a packet is refused.
fn may_be_error(mut next_header: u8, mut rest: &[u8]) -> bool {
    loop {
        let len = match next_header {
            protocol::ICMPV6 => {
                let kind = rest.first().copied().unwrap_or_default();
                return kind < 128 || kind == kind::REDIRECT;
            }
            protocol::FRAGMENT => match ipv6::Fragment::parse(rest) {
                Some(fragment) if fragment.offset == 0 => ipv6::FRAGMENT_LEN,
                // What lies behind a header is in an earlier fragment.
                Some(ipv6::Fragment { next_header, .. }) => {
                    return may_hold_error(next_header);
                }
                None => return rest.first().is_none_or(|&next| may_hold_error(next)),
            },
            // The one that counts in words of 32 bits (RFC 4302).
            protocol::AH => 8 + rest.get(1).map_or(0, |&len| usize::from(len) * 4),
            number if protocol::is_extension_header(number) => {
                8 + rest.get(1).map_or(0, |&len| usize::from(len) * 8)
            }
            _ => return false,
        };
        let (Some(&next), Some(behind)) = (rest.first(), rest.get(len..)) else {
            // Cut short: what it says to be followed by is not there.
            return rest.first().is_none_or(|&next| may_hold_error(next));
        };
        (next_header, rest) = (next, behind);
    }
}

/// Whether what follows under this number could be an error.
fn may_hold_error(next_header: u8) -> bool {
    matches!(next_header, protocol::ICMPV6 | protocol::AH)
        || protocol::is_extension_header(next_header)
}

/// Writes an error message of this type, code and second word, IPv6 header
/// included, from `from` to the source of the packet at fault and returns its
/// length. `quote` begins with that packet's header and holds as much of it as
/// is at hand; what lies beyond its length (padding of the frame) is not
/// quoted. `None` if it does not begin with an IPv6 header.
pub fn error(
    (kind, code, word): (u8, u8, u32),
    from: &Saddr,
    quote: &[u8],
    out: &mut [u8; MAX_ERROR_LEN],
) -> Option<usize> {
    let fault = ipv6::Header::parse_quoted(quote).ok()?;
    let fault_len = ipv6::HEADER_LEN + usize::from(fault.payload_len);
    let quote = &quote[..quote.len().min(fault_len).min(MAX_QUOTE_LEN)];
    let len = HEADER_LEN + quote.len();
    let (header, message) = out[..ipv6::HEADER_LEN + len].split_first_chunk_mut()?;
    *header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len: len as u16,
        next_header: protocol::ICMPV6,
        hop_limit: 64,
        src: *from,
        dst: fault.src,
    }
    .bytes();
    Header {
        kind,
        code,
        checksum: 0,
        word,
    }
    .emit(message);
    message[HEADER_LEN..].copy_from_slice(quote);
    let sum = checksum(from, &fault.src, message);
    message[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    Some(ipv6::HEADER_LEN + len)
}

/// The sum over pseudo header and message (RFC 8200 section 8.1).
fn sum(src: &Saddr, dst: &Saddr, message: &[u8]) -> u64 {
    checksum::sum(src)
        + checksum::sum(dst)
        + message.len() as u64
        + u64::from(protocol::ICMPV6)
        + checksum::sum(message)
}

/// The checksum field for a message whose own field is zero.
pub fn checksum(src: &Saddr, dst: &Saddr, message: &[u8]) -> u16 {
    !checksum::fold(sum(src, dst, message))
}

/// Whether the message's checksum is right.
pub fn is_valid(src: &Saddr, dst: &Saddr, message: &[u8]) -> bool {
    checksum::fold(sum(src, dst, message)) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ff02::1 in reply to fe80::1, computed by hand.
    const SRC: Saddr = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const DST: Saddr = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    /// fe80 + 0001 + ff02 + 0001 + 0008 + 003a + 8000 + 1234 + 0007 = 29001,
    /// folded 9003, complement 6ffc.
    const ECHO: [u8; 8] = [128, 0, 0x6f, 0xfc, 0x12, 0x34, 0, 7];

    #[test]
    fn deconstruct() {
        let header = Header::parse(&ECHO).unwrap();
        assert_eq!((header.kind, header.code), (kind::ECHO_REQUEST, 0));
        assert_eq!((header.checksum, header.word), (0x6ffc, 0x1234_0007));
        assert!(header.is_echo() && !header.is_error());
        for len in 0..HEADER_LEN {
            assert_eq!(Header::parse(&ECHO[..len]), None);
        }
    }

    #[test]
    fn construct() {
        let mut out = [0xa5; 9];
        Header::from_bytes(ECHO).emit(&mut out);
        assert_eq!((&out[..8], out[8]), (&ECHO[..], 0xa5));
    }

    #[test]
    fn checksum_has_a_pseudo_header() {
        assert!(is_valid(&SRC, &DST, &ECHO));
        let mut bare = ECHO;
        bare[2..4].fill(0);
        assert_eq!(checksum(&SRC, &DST, &bare), 0x6ffc);
        for bit in 0..64 {
            let mut wrong = ECHO;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_valid(&SRC, &DST, &wrong), "bit {bit}");
        }
    }

    /// A packet from 2001:db8::1 to `dst` with this next header.
    fn fault(dst: [u8; 2], next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut ends = [[0; 16]; 2];
        ends[0][..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        ends[0][15] = 1;
        ends[1][..2].copy_from_slice(&dst);
        ends[1][15] = 2;
        let header = ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_len: payload.len() as u16,
            next_header,
            hop_limit: 64,
            src: ends[0],
            dst: ends[1],
        };
        let mut packet = header.bytes().to_vec();
        packet.extend(payload);
        packet
    }

    #[test]
    fn errors_quote_as_much_as_fits_and_no_padding() {
        for (payload_len, there, len) in [
            (8, 48, 96),
            // Padding of the frame.
            (8, 60, 96),
            (1192, 1232, 1280),
            (1193, 1233, 1280),
            (1460, 1500, 1280),
            // The rest is not at hand.
            (1460, 100, 148),
        ] {
            let mut packet = fault([0x20, 1], 17, &vec![0x5a; payload_len]);
            packet.resize(there, 0);
            let mut out = [0xa5; MAX_ERROR_LEN];
            let sort = (kind::PACKET_TOO_BIG, 0, 1400);
            assert_eq!(error(sort, &DST, &packet, &mut out), Some(len));
            let header = ipv6::Header::parse(&out[..len]).unwrap();
            assert_eq!(usize::from(header.payload_len), len - 40);
            assert_eq!(
                (&header.src[..], &header.dst[..]),
                (&DST[..], &packet[8..24])
            );
            assert!(is_valid(&header.src, &header.dst, &out[40..len]));
            assert_eq!(out[40..42], [2, 0]);
            assert_eq!(out[44..48], [0, 0, 0x05, 0x78]);
            assert_eq!(out[48..len], packet[..len - 48]);
            assert!(out[len..].iter().all(|&byte| byte == 0xa5));
        }
        let mut out = [0; MAX_ERROR_LEN];
        assert_eq!(error((1, 1, 0), &DST, &[0x60; 39], &mut out), None);
        assert_eq!(error((1, 1, 0), &DST, &[0x45; 60], &mut out), None);
    }

    #[test]
    fn what_is_never_answered() {
        const PROHIBITED: (u8, u8) = (kind::UNREACHABLE, unreachable::PROHIBITED);
        let may = |packet: &[u8], sort| {
            let header = ipv6::Header::parse_quoted(packet).unwrap();
            may_answer_with_error(&header, &packet[40..], sort)
        };
        let here = [0x20, 1];
        assert!(may(&fault(here, 17, &[]), PROHIBITED));
        // To groups only of size and of options.
        for (sort, answered) in [
            (PROHIBITED, false),
            ((2, 0), true),
            ((3, 0), false),
            ((4, 0), false),
            ((4, 2), true),
        ] {
            assert_eq!(may(&fault([0xff, 0x0e], 17, &[]), sort), answered);
        }
        // Sources that are no single host.
        for (first, last) in [(0, 0), (0, 1), (0xff, 5)] {
            let mut packet = fault(here, 17, &[]);
            packet[8..24].fill(0);
            (packet[8], packet[23]) = (first, last);
            assert!(!may(&packet, (2, 0)));
        }
        // Errors and redirects, also behind an extension header.
        for (kind, answered) in [
            (1, false),
            (127, false),
            (128, true),
            (129, true),
            (137, false),
        ] {
            assert_eq!(may(&fault(here, 58, &[kind]), PROHIBITED), answered);
            let behind = [58, 0, 1, 4, 0, 0, 0, 0, kind];
            assert_eq!(may(&fault(here, 60, &behind), PROHIBITED), answered);
        }
        assert!(!may(&fault(here, 58, &[]), PROHIBITED));
        // A later fragment of ICMPv6 may be one of an error.
        let later = [58, 0, 0, 8, 0, 0, 0, 1, 128];
        assert!(!may(&fault(here, 44, &later), PROHIBITED));
        assert!(may(
            &fault(here, 44, &[17, 0, 0, 8, 0, 0, 0, 1]),
            PROHIBITED
        ));
        for (cut, answered) in [(17, true), (6, true), (58, false), (44, false)] {
            let fault = fault(here, 60, &[cut, 9]);
            assert_eq!(may(&fault, PROHIBITED), answered, "{cut}");
        }
        assert!(!may(&fault(here, 60, &[]), PROHIBITED));
        // What is refused for a header is answered by what lies behind that:
        // a route with segments left, options in a fragment, authentication.
        for (first, header) in [
            (43, vec![58, 0, 0, 1, 0, 0, 0, 0]),
            (
                44,
                [60, 0, 0, 1, 0, 0, 0, 1, 58, 0, 1, 4, 0, 0, 0, 0].into(),
            ),
            (51, [vec![58, 4], vec![1; 22]].concat()),
        ] {
            for (kind, answered) in [(1, false), (128, true)] {
                let packet = fault(here, first, &[&header[..], &[kind]].concat());
                assert_eq!(may(&packet, (4, 0)), answered, "{first} {kind}");
            }
            assert!(!may(&fault(here, first, &header), (4, 0)));
            assert!(!may(&fault(here, first, &header[..5]), (4, 0)));
        }
        // Of a later fragment with options nobody knows.
        assert!(!may(&fault(here, 44, &[60, 0, 0, 8, 0, 0, 0, 1]), (1, 1)));
    }
}
