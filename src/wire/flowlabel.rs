//! What travels in the flow label between hosts.
//!
//! ```text
//! bit  0           8  9    11          20
//!      |   TTL     |DF|mode| entropy   |
//! ```
//!
//! Translation would lose TTL and DF; here they reach the far host, which
//! restores them. The receiver goes by the mode tag and not by what it is set
//! to itself, so a network's mode can change while packets are in flight. A
//! sender drops TTL 0, so the label of a carried packet is never 0, and tag 0
//! from a host tells that something on the way cleared the label.

/// How the packet was written. Two bits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Tag {
    /// Not written by a host, or the label was lost.
    Foreign = 0,
    Siit = 1,
    Transparent = 2,
    Reserved = 3,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    pub ttl: u8,
    pub df: bool,
    pub tag: Tag,
    /// Nine bits that tell flows apart for routers that balance by label.
    pub entropy: u16,
}

/// Mask of the entropy bits.
pub const ENTROPY_MASK: u16 = 0x1ff;

impl Label {
    /// The 20 bits. Entropy above its nine bits is dropped.
    #[inline]
    pub const fn encode(self) -> u32 {
        (self.ttl as u32) << 12
            | (self.df as u32) << 11
            | (self.tag as u32) << 9
            | (self.entropy & ENTROPY_MASK) as u32
    }

    #[inline]
    pub const fn decode(label: u32) -> Label {
        Label {
            ttl: (label >> 12) as u8,
            df: label >> 11 & 1 != 0,
            tag: match label >> 9 & 3 {
                0 => Tag::Foreign,
                1 => Tag::Siit,
                2 => Tag::Transparent,
                _ => Tag::Reserved,
            },
            entropy: label as u16 & ENTROPY_MASK,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_packet_walk() {
        let label = Label {
            ttl: 64,
            df: true,
            tag: Tag::Siit,
            entropy: 0,
        };
        assert_eq!(label.encode(), 0x40a00);
        let tag = Tag::Transparent;
        assert_eq!(Label { tag, ..label }.encode(), 0x40c00);
    }

    #[test]
    fn every_label_decodes_to_itself() {
        for label in 0..1 << 20 {
            assert_eq!(Label::decode(label).encode(), label);
        }
    }

    #[test]
    fn entropy_never_reaches_the_other_fields() {
        let label = Label {
            ttl: 0,
            df: false,
            tag: Tag::Foreign,
            entropy: 0xffff,
        };
        assert_eq!(label.encode(), 0x1ff);
    }
}
