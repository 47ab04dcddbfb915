//! The IPv4 header, read and written as whole words.
//!
//! [`Header`] is a value, not a window: rewriting overwrites the bytes it was
//! read from. Every check that a packet from a node must pass before anything
//! believes its header is in [`Words::parse_within`], once.

use super::address::Vaddr;
use super::checksum;

/// Length of a header without options.
pub const HEADER_LEN: usize = 20;
/// What every link of IPv4 takes (RFC 791 section 3.2).
pub const MIN_MTU: u16 = 68;
/// Length of the longest header.
pub const MAX_HEADER_LEN: usize = 60;
/// The largest fragment offset, in units of eight bytes.
pub const MAX_OFFSET: u16 = 0x1fff;

/// Where the fields lie.
pub mod field {
    pub const TTL: usize = 8;
    pub const PROTOCOL: usize = 9;
    pub const CHECKSUM: usize = 10;
    pub const SOURCE: usize = 12;
    pub const DESTINATION: usize = 16;
}

const RESERVED: u32 = 0x8000;
const DONT_FRAGMENT: u32 = 0x4000;
const MORE_FRAGMENTS: u32 = 0x2000;

/// Why bytes are not an IPv4 packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("fewer bytes than an IPv4 header")]
    TooShort,
    #[error("the version is not 4")]
    BadVersion,
    #[error("the header length is below 20 or beyond the packet")]
    BadHeaderLength,
    #[error("the total length is below the header length or beyond the packet")]
    BadTotalLength,
    #[error("the header checksum is wrong")]
    BadHeaderChecksum,
}

/// A checked header. Its checksum is not kept: it was right when it was read,
/// and is computed when it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub tos: u8,
    pub total_len: u16,
    pub id: u16,
    pub reserved: bool,
    pub df: bool,
    pub mf: bool,
    /// Fragment offset in units of eight bytes.
    pub offset: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub src: Vaddr,
    pub dst: Vaddr,
    /// Bytes of the header, options included.
    pub header_len: u8,
}

/// A checked header as it was read: what a packet carries from one stage of
/// the walk to the next. Five words are moved with less work than a dozen
/// fields, and [`Words::header`] costs only the fields that are then used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words([u32; HEADER_LEN / 4]);

impl Words {
    /// Reads the header from the first bytes of a packet that may go on in
    /// further segments; `available` counts the bytes in all of them.
    #[inline(always)]
    pub fn parse_within(bytes: &[u8], available: usize) -> Result<Words, Malformed> {
        let words = words(bytes).ok_or(Malformed::TooShort)?;
        if words[0] >> 28 != 4 {
            return Err(Malformed::BadVersion);
        }
        let header_len = (words[0] >> 24 & 0xf) as usize * 4;
        let total_len = (words[0] & 0xffff) as usize;
        let sum = if header_len == HEADER_LEN {
            sum_of(&words)
        } else {
            sum_with_options(bytes, header_len)?
        };
        if total_len < header_len || total_len > available {
            return Err(Malformed::BadTotalLength);
        }
        if checksum::fold(sum) != 0xffff {
            return Err(Malformed::BadHeaderChecksum);
        }
        Ok(Words(words))
    }

    /// Reads again what [`parse_within`](Self::parse_within) has checked.
    #[inline(always)]
    pub fn read(bytes: &[u8]) -> Option<Words> {
        words(bytes).map(Words)
    }

    /// The fields.
    #[inline(always)]
    pub fn header(&self) -> Header {
        Header::from_words(&self.0)
    }

    /// The fields of the usual header: no options, not a fragment. What is
    /// computed from it has constants for its lengths and offsets.
    #[inline(always)]
    pub fn plain(&self) -> Option<Header> {
        let fragment = MORE_FRAGMENTS | u32::from(MAX_OFFSET);
        let plain = self.0[0] >> 24 == 0x45 && self.0[1] & fragment == 0;
        plain.then(|| Header {
            mf: false,
            offset: 0,
            header_len: HEADER_LEN as u8,
            ..self.header()
        })
    }
}

impl Header {
    /// Reads a packet that is wholly in `bytes`; padding may follow it.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Header, Malformed> {
        Words::parse_within(bytes, bytes.len()).map(|words| words.header())
    }

    /// The fields of bytes whose checksum and lengths nobody has checked:
    /// what an ICMP error quotes. `None` if it is not an IPv4 header at all.
    #[inline]
    pub fn parse_unchecked(bytes: &[u8]) -> Option<Header> {
        let words = words(bytes)?;
        (words[0] >> 28 == 4 && words[0] >> 24 & 0xf >= 5).then(|| Header::from_words(&words))
    }

    #[inline(always)]
    fn from_words(words: &[u32; 5]) -> Header {
        Header {
            tos: (words[0] >> 16) as u8,
            total_len: words[0] as u16,
            id: (words[1] >> 16) as u16,
            reserved: words[1] & RESERVED != 0,
            df: words[1] & DONT_FRAGMENT != 0,
            mf: words[1] & MORE_FRAGMENTS != 0,
            offset: words[1] as u16 & MAX_OFFSET,
            ttl: (words[2] >> 24) as u8,
            protocol: (words[2] >> 16) as u8,
            src: Vaddr(words[3]),
            dst: Vaddr(words[4]),
            header_len: (words[0] >> 24 & 0xf) as u8 * 4,
        }
    }

    /// Bytes after the header.
    #[inline]
    pub fn payload_len(&self) -> usize {
        usize::from(self.total_len).saturating_sub(usize::from(self.header_len))
    }

    /// Part of a datagram, not the whole of one.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.mf | (self.offset != 0)
    }

    /// Begins the datagram: a whole one, or its first fragment.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.offset == 0
    }

    #[inline]
    pub fn has_options(&self) -> bool {
        usize::from(self.header_len) > HEADER_LEN
    }

    /// The header that stands in front of the same payload without options.
    #[inline]
    pub fn without_options(&self) -> Header {
        Header {
            total_len: (HEADER_LEN + self.payload_len()) as u16,
            header_len: HEADER_LEN as u8,
            ..*self
        }
    }

    /// The header as words, checksum included. Options are not kept, so the
    /// header length is 20 whatever it was; `total_len` is written as it is.
    #[inline(always)]
    pub fn words(&self) -> Words {
        let mut words = [
            0x4500_0000 | u32::from(self.tos) << 16 | u32::from(self.total_len),
            u32::from(self.id) << 16
                | if self.reserved { RESERVED } else { 0 }
                | if self.df { DONT_FRAGMENT } else { 0 }
                | if self.mf { MORE_FRAGMENTS } else { 0 }
                | u32::from(self.offset & MAX_OFFSET),
            u32::from(self.ttl) << 24 | u32::from(self.protocol) << 16,
            self.src.0,
            self.dst.0,
        ];
        words[2] |= u32::from(!checksum::fold(sum_of(&words)));
        Words(words)
    }

    /// The bytes of [`words`](Self::words).
    #[inline(always)]
    pub fn bytes(&self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        for (four, word) in out.as_chunks_mut().0.iter_mut().zip(self.words().0) {
            *four = word.to_be_bytes();
        }
        out
    }

    /// Writes the header, checksum included; `out` must hold 20 bytes.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        out[..HEADER_LEN].copy_from_slice(&self.bytes());
    }
}

/// Source and destination of a header.
#[inline(always)]
pub fn addresses(bytes: &[u8; HEADER_LEN]) -> (Vaddr, Vaddr) {
    let [.., a, b, c, d, e, f, g, h] = bytes;
    let address = Vaddr::from_bytes;
    (address([*a, *b, *c, *d]), address([*e, *f, *g, *h]))
}

/// Writes another TTL into a header, and keeps its checksum right without
/// reading the rest of it.
#[inline]
pub fn set_ttl(header: &mut [u8; HEADER_LEN], ttl: u8) {
    let old = u64::from(header[field::TTL]) << 8;
    header[field::TTL] = ttl;
    let sum = [header[field::CHECKSUM], header[field::CHECKSUM + 1]];
    let delta = checksum::delta(old, u64::from(ttl) << 8);
    let sum = checksum::adjust(u16::from_be_bytes(sum), delta).to_be_bytes();
    [header[field::CHECKSUM], header[field::CHECKSUM + 1]] = sum;
}

#[inline]
fn words(bytes: &[u8]) -> Option<[u32; 5]> {
    let bytes = bytes.first_chunk::<HEADER_LEN>()?;
    let mut words = [0; 5];
    for (word, four) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*four);
    }
    Some(words)
}

/// The sum over a header that is not 20 bytes long; an error if it is shorter,
/// or longer than what is there.
#[cold]
fn sum_with_options(bytes: &[u8], header_len: usize) -> Result<u64, Malformed> {
    bytes
        .get(..header_len)
        .filter(|whole| whole.len() > HEADER_LEN)
        .map(checksum::sum)
        .ok_or(Malformed::BadHeaderLength)
}

#[inline]
fn sum_of(words: &[u32; 5]) -> u64 {
    words.iter().map(|&word| u64::from(word)).sum()
}

/// What stands in a header's options that decides over the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Options {
    /// Nothing that a host must obey: they may be removed.
    Removable,
    /// A loose or strict source route with hops left to go. Removing it would
    /// deliver to a hop as if it were the goal.
    SourceRoute,
    /// An option's length does not fit.
    Malformed,
}

/// Walks the options: the header's bytes after the first 20.
pub fn options(mut bytes: &[u8]) -> Options {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    loop {
        bytes = match bytes {
            [] | [END, ..] => return Options::Removable,
            [NO_OPERATION, rest @ ..] => rest,
            [kind, len, ..] => {
                let is_route = matches!(*kind, LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE);
                // The third byte points at the next hop, counted from 1; beyond
                // the option's end, the route is used up. One that is cut short
                // is a route all the same.
                if is_route && *len >= 3 && bytes.get(2).is_some_and(|pointer| pointer <= len) {
                    return Options::SourceRoute;
                }
                let least = if is_route { 3 } else { 2 };
                match bytes.split_at_checked(usize::from(*len)) {
                    Some((option, rest)) if option.len() >= least => rest,
                    _ => return Options::Malformed,
                }
            }
            [_] => return Options::Malformed,
        };
    }
}

#[cfg(test)]
mod tests;
