//! ICMPv6: the messages that reach a host from the substrate's routers, and
//! echo. Neighbour discovery is `smoltcp::wire`'s, on the control thread.

use super::locator::Saddr;
use super::{checksum, protocol};

/// Type, code, checksum and one word that depends on the type.
pub const HEADER_LEN: usize = 8;

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
}
