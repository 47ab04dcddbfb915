//! TCP: where its fields are. Nothing here looks into a stream; the walk needs
//! ports for hashing and the checksum for translation.

/// Length of a header without options.
pub const HEADER_LEN: usize = 20;

/// Where the fields lie.
pub mod field {
    pub const SOURCE: usize = 0;
    pub const DESTINATION: usize = 2;
    pub const DATA_OFFSET: usize = 12;
    pub const FLAGS: usize = 13;
    pub const CHECKSUM: usize = 16;
}

/// Bits of the flags byte.
pub mod flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
}

/// The fields that a policy or a trace looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub source: u16,
    pub destination: u16,
    /// Bytes of the header, options included.
    pub header_len: u8,
    pub flags: u8,
    pub checksum: u16,
}

impl Header {
    /// `None` if there are fewer than 20 bytes or the data offset is below 20.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.first_chunk::<HEADER_LEN>()?;
        let at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let header_len = (bytes[field::DATA_OFFSET] >> 4) * 4;
        (usize::from(header_len) >= HEADER_LEN).then(|| Header {
            source: at(field::SOURCE),
            destination: at(field::DESTINATION),
            header_len,
            flags: bytes[field::FLAGS],
            checksum: at(field::CHECKSUM),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: [u8; 20] = [
        0x0f, 0xa0, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 0x02, 0xff, 0xff, 0xab, 0xcd, 0, 0,
    ];

    #[test]
    fn deconstruct() {
        assert_eq!(
            Header::parse(&SYN),
            Some(Header {
                source: 4000,
                destination: 80,
                header_len: 24,
                flags: flag::SYN,
                checksum: 0xabcd,
            })
        );
    }

    #[test]
    fn impossible_lengths() {
        for len in 0..HEADER_LEN {
            assert_eq!(Header::parse(&SYN[..len]), None);
        }
        let mut bytes = SYN;
        bytes[field::DATA_OFFSET] = 0x40;
        assert_eq!(Header::parse(&bytes), None);
    }
}
