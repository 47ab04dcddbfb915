//! The IPv6 header and the Fragment header (RFC 8200), as whole words.

use super::locator::Saddr;
use super::protocol;

/// Length of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Length of a Fragment header.
pub const FRAGMENT_LEN: usize = 8;
/// The smallest MTU that a link with IPv6 may have.
pub const MIN_MTU: usize = 1280;

/// Where the fields lie.
pub mod field {
    pub const PAYLOAD_LEN: usize = 4;
    pub const NEXT_HEADER: usize = 6;
    pub const HOP_LIMIT: usize = 7;
    pub const SOURCE: usize = 8;
    pub const DESTINATION: usize = 24;
}

/// Why bytes are not an IPv6 packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("fewer bytes than an IPv6 header")]
    TooShort,
    #[error("the version is not 6")]
    BadVersion,
    #[error("the payload length is beyond the packet")]
    BadPayloadLength,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub traffic_class: u8,
    /// 20 bits.
    pub flow_label: u32,
    pub payload_len: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub src: Saddr,
    pub dst: Saddr,
}

/// A checked header as it was read: what a packet carries from one stage of
/// the walk to the next; [`Words::header`] costs only the fields that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    first: u64,
    pub src: Saddr,
    pub dst: Saddr,
}

impl Words {
    /// Reads the header from the first bytes of a packet that may go on in
    /// further segments; `available` counts the bytes in all of them.
    #[inline(always)]
    pub fn parse_within(bytes: &[u8], available: usize) -> Result<Words, Malformed> {
        let words = Words::parse_quoted(bytes)?;
        if usize::from(words.header().payload_len) + HEADER_LEN > available {
            return Err(Malformed::BadPayloadLength);
        }
        Ok(words)
    }

    /// Reads a header whose payload may be cut short, as in an ICMPv6 error.
    #[inline(always)]
    fn parse_quoted(bytes: &[u8]) -> Result<Words, Malformed> {
        let (first, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed::TooShort)?;
        let (src, rest) = rest.split_first_chunk::<16>().ok_or(Malformed::TooShort)?;
        let dst = rest.first_chunk::<16>().ok_or(Malformed::TooShort)?;
        let first = u64::from_be_bytes(*first);
        if first >> 60 != 6 {
            return Err(Malformed::BadVersion);
        }
        Ok(Words {
            first,
            src: *src,
            dst: *dst,
        })
    }

    /// The fields.
    #[inline(always)]
    pub fn header(&self) -> Header {
        Header {
            traffic_class: (self.first >> 52) as u8,
            flow_label: (self.first >> 32) as u32 & 0xf_ffff,
            payload_len: (self.first >> 16) as u16,
            next_header: (self.first >> 8) as u8,
            hop_limit: self.first as u8,
            src: self.src,
            dst: self.dst,
        }
    }
}

/// Source and destination of a header.
#[inline(always)]
pub fn addresses(bytes: &[u8; HEADER_LEN]) -> (Saddr, Saddr) {
    let mut ends = ([0; 16], [0; 16]);
    ends.0
        .copy_from_slice(&bytes[field::SOURCE..field::DESTINATION]);
    ends.1.copy_from_slice(&bytes[field::DESTINATION..]);
    ends
}

impl Header {
    /// Reads a packet that is wholly in `bytes`; padding may follow it.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Header, Malformed> {
        Words::parse_within(bytes, bytes.len()).map(|words| words.header())
    }

    /// Reads a header whose payload may be cut short, as in an ICMPv6 error.
    #[inline]
    pub fn parse_quoted(bytes: &[u8]) -> Result<Header, Malformed> {
        Words::parse_quoted(bytes).map(|words| words.header())
    }

    /// The header as words. Bits of the flow label above its 20 are dropped.
    #[inline(always)]
    pub fn words(&self) -> Words {
        let first = 6 << 60
            | u64::from(self.traffic_class) << 52
            | u64::from(self.flow_label & 0xf_ffff) << 32
            | u64::from(self.payload_len) << 16
            | u64::from(self.next_header) << 8
            | u64::from(self.hop_limit);
        Words {
            first,
            src: self.src,
            dst: self.dst,
        }
    }

    /// The bytes of [`words`](Self::words).
    #[inline(always)]
    pub fn bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..8].copy_from_slice(&self.words().first.to_be_bytes());
        out[8..24].copy_from_slice(&self.src);
        out[24..].copy_from_slice(&self.dst);
        out
    }

    /// Writes the header; `out` must hold 40 bytes.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        out[..HEADER_LEN].copy_from_slice(&self.bytes());
    }
}

/// The Fragment extension header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fragment {
    pub next_header: u8,
    /// In units of eight bytes, 13 bits.
    pub offset: u16,
    pub more: bool,
    pub id: u32,
}

impl Fragment {
    /// Reads the header; `None` if there are not enough bytes. The reserved
    /// fields are ignored on reception, as the RFC asks.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Fragment> {
        let word = u64::from_be_bytes(*bytes.first_chunk::<FRAGMENT_LEN>()?);
        Some(Fragment {
            next_header: (word >> 56) as u8,
            offset: (word >> 35) as u16 & 0x1fff,
            more: word >> 32 & 1 != 0,
            id: word as u32,
        })
    }

    #[inline]
    pub fn bytes(&self) -> [u8; FRAGMENT_LEN] {
        (u64::from(self.next_header) << 56
            | u64::from(self.offset & 0x1fff) << 35
            | u64::from(self.more) << 32
            | u64::from(self.id))
        .to_be_bytes()
    }

    /// Writes the header; `out` must hold 8 bytes.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        out[..FRAGMENT_LEN].copy_from_slice(&self.bytes());
    }

    /// A packet that carries the header but is whole (RFC 6946).
    #[inline]
    pub fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// What a packet carries behind its extension headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upper {
    /// Of the first header that is not walked over: AH and ESP are not, they
    /// are what IPv4 would carry as well.
    pub protocol: u8,
    /// Where it begins, counted from the end of the fixed header.
    pub offset: usize,
    pub fragment: Option<Fragment>,
}

impl Upper {
    /// Whole, or the first of several fragments.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.fragment.is_none_or(|fragment| fragment.offset == 0)
    }

    /// One of several fragments; an atomic one is a whole packet.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| !fragment.is_atomic())
    }
}

/// Why extension headers cannot be walked over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadChain {
    /// With the place of the length that does not fit, or of the Fragment header,
    /// which has none; counted from the end of the fixed header.
    #[error("an extension header is longer than the packet")]
    TooShort(usize),
    /// A routing header's path is not yet at its end; with the place of its
    /// Segments Left field, counted likewise.
    #[error("a routing header has segments left")]
    SegmentsLeft(usize),
    #[error("an extension header follows the Fragment header")]
    Fragmented,
}

/// Walks over hop-by-hop options, destination options, finished routing headers
/// and one Fragment header. `next_header` is the fixed header's, `payload` what
/// follows it.
#[inline]
pub fn upper(next_header: u8, payload: &[u8]) -> Result<Upper, BadChain> {
    let mut upper = Upper {
        protocol: next_header,
        offset: 0,
        fragment: None,
    };
    let mut length_at = 0;
    loop {
        let rest = payload.get(upper.offset..);
        let rest = rest.ok_or(BadChain::TooShort(length_at))?;
        match upper.protocol {
            protocol::FRAGMENT => {
                let fragment = Fragment::parse(rest).ok_or(BadChain::TooShort(upper.offset))?;
                upper.protocol = fragment.next_header;
                upper.offset += FRAGMENT_LEN;
                upper.fragment = Some(fragment);
                if protocol::is_extension_header(upper.protocol) || upper.protocol == protocol::AH {
                    return Err(BadChain::Fragmented);
                }
                return Ok(upper);
            }
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION_OPTIONS => {
                length_at = upper.offset + 1;
                let header = rest.first_chunk::<8>();
                let header = header.ok_or(BadChain::TooShort(length_at))?;
                if upper.protocol == protocol::ROUTING && header[3] != 0 {
                    return Err(BadChain::SegmentsLeft(upper.offset + 3));
                }
                upper.protocol = header[0];
                upper.offset += 8 + usize::from(header[1]) * 8;
            }
            _ => return Ok(upper),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BYTES: [u8; 40] = [
        0x6b, 0x84, 0x0a, 0x00, 0x00, 0x11, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0x0a,
        0x01, 0x5a, 0, 1, 10, 0, 0, 2, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0x0b, 0x02, 0x5a, 0, 1, 10,
        0, 0, 3,
    ];

    fn header() -> Header {
        Header {
            traffic_class: 0xb8,
            flow_label: 0x40a00,
            payload_len: 17,
            next_header: 17,
            hop_limit: 64,
            src: "2001:db8:0:a:15a:1:a00:2"
                .parse::<std::net::Ipv6Addr>()
                .unwrap()
                .octets(),
            dst: "2001:db8:0:b:25a:1:a00:3"
                .parse::<std::net::Ipv6Addr>()
                .unwrap()
                .octets(),
        }
    }

    #[test]
    fn deconstruct() {
        let mut packet = BYTES.to_vec();
        packet.resize(57, 0xa5);
        assert_eq!(Header::parse(&packet), Ok(header()));
        // With padding behind.
        packet.resize(64, 0);
        assert_eq!(Header::parse(&packet), Ok(header()));
    }

    #[test]
    fn construct() {
        let mut out = [0xa5; 42];
        header().emit(&mut out);
        assert_eq!(out[..40], BYTES);
        assert_eq!(out[40..], [0xa5; 2]);
        let wide = Header {
            flow_label: u32::MAX,
            ..header()
        };
        assert_eq!(wide.bytes()[..4], [0x6b, 0x8f, 0xff, 0xff]);
    }

    #[test]
    fn every_impossible_length() {
        let mut packet = BYTES.to_vec();
        packet.resize(57, 0xa5);
        for len in 0..57 {
            let expected = if len < 40 {
                Malformed::TooShort
            } else {
                Malformed::BadPayloadLength
            };
            assert_eq!(Header::parse(&packet[..len]), Err(expected), "{len}");
        }
        assert_eq!(
            Words::parse_within(&BYTES, 57).map(|words| words.header()),
            Ok(header())
        );
        assert_eq!(Header::parse_quoted(&BYTES), Ok(header()));
        for version in (0..16).filter(|&version| version != 6) {
            packet[0] = version << 4;
            assert_eq!(Header::parse(&packet), Err(Malformed::BadVersion));
        }
    }

    #[test]
    fn fragment_header() {
        const BYTES: [u8; 8] = [6, 0, 0x05, 0xa9, 0, 0, 0x12, 0x34];
        let fragment = Fragment {
            next_header: 6,
            offset: 181,
            more: true,
            id: 0x1234,
        };
        assert_eq!(Fragment::parse(&BYTES), Some(fragment));
        let mut out = [0xa5; 9];
        fragment.emit(&mut out);
        assert_eq!((&out[..8], out[8]), (&BYTES[..], 0xa5));
        // The reserved fields are ignored.
        assert_eq!(
            Fragment::parse(&[6, 0xff, 0x05, 0xaf, 0, 0, 0x12, 0x34]),
            Some(fragment)
        );
        for len in 0..8 {
            assert_eq!(Fragment::parse(&BYTES[..len]), None);
        }
        assert!(!fragment.is_atomic());
        assert!(
            Fragment::parse(&[6, 0, 0, 0, 0, 0, 0, 1])
                .unwrap()
                .is_atomic()
        );
    }

    #[test]
    fn extension_headers_are_walked_over() {
        let at = |protocol, offset| Upper {
            protocol,
            offset,
            fragment: None,
        };
        assert_eq!(upper(6, &[]), Ok(at(6, 0)));
        // AH, ESP, mobility and "no next header" are not walked over.
        for stops in [50, 51, 59, 135, 139, 140, 41, 58] {
            assert_eq!(upper(stops, &[17, 0, 0, 0, 0, 0, 0, 0]), Ok(at(stops, 0)));
        }
        // Hop-by-hop of 8, destination options of 16, a finished route of 8.
        let mut chain = vec![60, 0, 1, 4, 0, 0, 0, 0];
        chain.extend([43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        chain.extend([44, 0, 2, 0, 0, 0, 0, 0]);
        chain.extend([17, 0, 0, 9, 0, 0, 0, 7]);
        let found = upper(0, &chain).unwrap();
        assert_eq!((found.protocol, found.offset), (17, 40));
        let fragment = found.fragment.unwrap();
        assert_eq!((fragment.offset, fragment.more, fragment.id), (1, true, 7));
        assert!(found.is_fragment() && !found.is_first());
        for len in 0..chain.len() {
            // The header that is cut: by its length, the Fragment header as such.
            let at = match len {
                0..8 => 1,
                8..24 => 9,
                24..32 => 25,
                _ => 32,
            };
            let cut = Err(BadChain::TooShort(at));
            assert_eq!(upper(0, &chain[..len]), cut, "{len}");
        }
        // The route's next stop is not its end.
        chain[27] = 1;
        assert_eq!(upper(0, &chain), Err(BadChain::SegmentsLeft(27)));
        chain[27] = 0;
        for bad in [0, 43, 44, 51, 60, 135, 139, 140] {
            chain[32] = bad;
            assert_eq!(upper(0, &chain), Err(BadChain::Fragmented), "{bad}");
        }
        chain[32] = 50;
        assert_eq!(upper(0, &chain).map(|upper| upper.protocol), Ok(50));
        // Longer than what is there.
        assert_eq!(
            upper(60, &[6, 1, 0, 0, 0, 0, 0, 0]),
            Err(BadChain::TooShort(1))
        );
    }

    proptest! {
        #[test]
        fn any_chain_is_walked_or_refused(
            next in 0..64u8, bytes in proptest::collection::vec(0..64u8, 0..200),
        ) {
            if let Ok(upper) = upper(next, &bytes) {
                prop_assert!(upper.offset <= bytes.len());
            }
        }

        #[test]
        fn every_fragment_header_is_read_back(
            next_header: u8, offset in 0..0x2000u16, more: bool, id: u32,
        ) {
            let fragment = Fragment { next_header, offset, more, id };
            prop_assert_eq!(Fragment::parse(&fragment.bytes()), Some(fragment));
        }
    }
}
