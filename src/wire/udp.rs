//! UDP: where its fields are.

/// Length of the header.
pub const HEADER_LEN: usize = 8;

/// Where the fields lie.
pub mod field {
    pub const SOURCE: usize = 0;
    pub const DESTINATION: usize = 2;
    pub const LENGTH: usize = 4;
    pub const CHECKSUM: usize = 6;
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub source: u16,
    pub destination: u16,
    /// Of header and data, as the sender wrote it.
    pub len: u16,
    /// 0 if the sender computed none.
    pub checksum: u16,
}

impl Header {
    /// `None` if there are fewer than eight bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let word = u64::from_be_bytes(*bytes.first_chunk::<HEADER_LEN>()?);
        Some(Header {
            source: (word >> 48) as u16,
            destination: (word >> 32) as u16,
            len: (word >> 16) as u16,
            checksum: word as u16,
        })
    }

    #[inline]
    pub fn bytes(&self) -> [u8; HEADER_LEN] {
        (u64::from(self.source) << 48
            | u64::from(self.destination) << 32
            | u64::from(self.len) << 16
            | u64::from(self.checksum))
        .to_be_bytes()
    }

    /// Writes the header; `out` must hold 8 bytes.
    pub fn emit(&self, out: &mut [u8]) {
        out[..HEADER_LEN].copy_from_slice(&self.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 8] = [0x0f, 0xa0, 0x13, 0x88, 0x00, 0x11, 0xa8, 0x31];
    const HEADER: Header = Header {
        source: 4000,
        destination: 5000,
        len: 17,
        checksum: 0xa831,
    };

    #[test]
    fn deconstruct() {
        assert_eq!(Header::parse(&BYTES), Some(HEADER));
        for len in 0..HEADER_LEN {
            assert_eq!(Header::parse(&BYTES[..len]), None);
        }
    }

    #[test]
    fn construct() {
        let mut out = [0xa5; 10];
        HEADER.emit(&mut out);
        assert_eq!(out[..8], BYTES);
        assert_eq!(out[8..], [0xa5; 2]);
    }
}
