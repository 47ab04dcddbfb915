//! Ethernet II framing and 802.1Q tags.

use super::Mac;

/// An untagged header: destination, source, ethertype.
pub const HEADER_LEN: usize = 14;
/// What one 802.1Q tag adds.
pub const TAG_LEN: usize = 4;

/// Ethertypes that have a meaning here.
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const RARP: u16 = 0x8035;
    pub const IPV6: u16 = 0x86dd;
    pub const QINQ: u16 = 0x88a8;
    pub const LLDP: u16 = 0x88cc;
}

/// A frame's link header, tag taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub destination: Mac,
    pub source: Mac,
    /// VLAN id of the one tag, if there is one. Priority bits are not kept.
    pub vlan: Option<u16>,
    pub ethertype: u16,
    /// Where the payload begins.
    pub len: usize,
}

impl Header {
    /// Reads the header of a frame with at most one tag; a second tag shows
    /// as its ethertype. `None` if the frame is too short.
    #[inline(always)]
    pub fn parse(frame: &[u8]) -> Option<Header> {
        let (head, rest) = frame.split_first_chunk::<HEADER_LEN>()?;
        let (destination, head) = head.split_first_chunk()?;
        let (source, ethertype) = head.split_first_chunk()?;
        let (destination, source) = (Mac(*destination), Mac(*source));
        let ethertype = u16::from_be_bytes(*ethertype.first_chunk()?);
        if ethertype != ethertype::VLAN {
            return Some(Header {
                destination,
                source,
                vlan: None,
                ethertype,
                len: HEADER_LEN,
            });
        }
        let tag = rest.first_chunk::<TAG_LEN>()?;
        Some(Header {
            destination,
            source,
            // A tag with id 0 carries only a priority (802.1Q 6.9.1).
            vlan: match u16::from_be_bytes([tag[0], tag[1]]) & 0xfff {
                0 => None,
                id => Some(id),
            },
            ethertype: u16::from_be_bytes([tag[2], tag[3]]),
            len: HEADER_LEN + TAG_LEN,
        })
    }

    /// Writes the header; `out` must hold `HEADER_LEN`, and `TAG_LEN` more
    /// with a tag. Returns how long it is.
    #[inline(always)]
    pub fn emit(&self, out: &mut [u8]) -> usize {
        out[..6].copy_from_slice(&self.destination.0);
        out[6..12].copy_from_slice(&self.source.0);
        let mut at = 12;
        if let Some(id) = self.vlan {
            out[at..at + 2].copy_from_slice(&ethertype::VLAN.to_be_bytes());
            out[at + 2..at + 4].copy_from_slice(&id.to_be_bytes());
            at += TAG_LEN;
        }
        out[at..at + 2].copy_from_slice(&self.ethertype.to_be_bytes());
        at + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 15] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45];
    const TAGGED: [u8; 19] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0xe0, 0x64, 0x86, 0xdd, 0x60,
    ];

    #[test]
    fn deconstruct() {
        let header = Header::parse(&PLAIN).unwrap();
        assert_eq!(header.destination, Mac([2, 0, 0, 0, 0, 1]));
        assert_eq!(header.source, Mac([2, 0, 0, 0, 0, 2]));
        assert_eq!(
            (header.vlan, header.ethertype, header.len),
            (None, ethertype::IPV4, 14)
        );
        let header = Header::parse(&TAGGED).unwrap();
        assert_eq!(
            (header.vlan, header.ethertype, header.len),
            (Some(100), ethertype::IPV6, 18)
        );
    }

    #[test]
    fn construct() {
        let mut out = [0xa5; 18];
        let header = Header {
            vlan: Some(100),
            ..Header::parse(&TAGGED).unwrap()
        };
        assert_eq!(header.emit(&mut out), 18);
        // Priority bits are not kept, all else is.
        assert_eq!(out[14..16], [0x00, 0x64]);
        assert_eq!((&out[..14], &out[16..]), (&TAGGED[..14], &TAGGED[16..18]));
    }

    #[test]
    fn short_frames_have_no_header() {
        for len in 0..14 {
            assert_eq!(Header::parse(&PLAIN[..len]), None);
        }
        for len in 14..18 {
            assert_eq!(Header::parse(&TAGGED[..len]), None);
        }
    }
}
