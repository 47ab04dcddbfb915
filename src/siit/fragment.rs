//! What fits through the substrate or a node's own link, and into which pieces
//! the rest is cut.
//!
//! Pieces are cut as an IPv4 router would cut them: each is an ordinary IPv4
//! fragment with its own header, and is translated as such. So a checksum is
//! adjusted in the piece that contains it, ICMP travels byte-exact, and the
//! far node gets fragments that bear the sender's own ID.

use crate::wire::{ipv4, ipv6};

/// What becomes of a packet at a given substrate MTU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// Passes in one piece.
    Whole,
    /// Must be cut, into [`pieces`] or [`pieces_on_link`]; the sender allows it.
    Split,
    /// Must not be cut. The sender is told the MTU that nodes may use.
    TooBig { mtu: u16 },
    /// A fragment that reaches beyond what an offset can express: no sender
    /// of sense made it.
    Overlong,
}

/// The MTU of nodes: room for a fragment's headers, so that what fits a node's
/// link fits the substrate, cut or whole.
#[inline]
pub fn node_mtu(substrate_mtu: u16) -> u16 {
    const GROWTH: usize = ipv6::HEADER_LEN + ipv6::FRAGMENT_LEN - ipv4::HEADER_LEN;
    substrate_mtu.saturating_sub(GROWTH as u16)
}

/// Decides over a packet with header `h`. A substrate MTU below the 1280 that
/// IPv6 guarantees is taken for 1280.
#[inline]
pub fn fit(h: &ipv4::Header, substrate_mtu: u16) -> Fit {
    let mtu = substrate_mtu.max(ipv6::MIN_MTU as u16);
    if super::substrate_header_len(h) + h.payload_len() <= usize::from(mtu) {
        return Fit::Whole;
    }
    oversize(h, node_mtu(mtu))
}

/// The same for a node's own link, where IPv4 packets go as they are.
pub fn fit_on_link(h: &ipv4::Header, mtu: u16) -> Fit {
    if h.total_len <= mtu {
        return Fit::Whole;
    }
    oversize(h, mtu)
}

/// What becomes of a packet that does not pass whole.
fn oversize(h: &ipv4::Header, mtu: u16) -> Fit {
    if h.df {
        return Fit::TooBig { mtu };
    }
    // Also the last piece's offset must fit its 13 bits.
    if usize::from(h.offset) + h.payload_len() / 8 > usize::from(ipv4::MAX_OFFSET) {
        return Fit::Overlong;
    }
    Fit::Split
}

/// What a packet is cut into that must be cut.
pub fn pieces(h: &ipv4::Header, substrate_mtu: u16) -> Option<Pieces> {
    let mtu = substrate_mtu.max(ipv6::MIN_MTU as u16);
    let room = usize::from(mtu) - ipv6::HEADER_LEN - ipv6::FRAGMENT_LEN;
    (fit(h, mtu) == Fit::Split).then(|| Pieces::of(h, room))
}

/// What a packet is cut into for a node's own link. An MTU below the 68 that
/// IPv4 guarantees is taken for 68.
pub fn pieces_on_link(h: &ipv4::Header, mtu: u16) -> Option<Pieces> {
    let room = usize::from(mtu.max(ipv4::MIN_MTU)) - ipv4::HEADER_LEN;
    (fit_on_link(h, mtu) == Fit::Split).then(|| Pieces::of(h, room))
}

/// The pieces of a packet, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pieces {
    whole: ipv4::Header,
    step: usize,
    at: usize,
}

/// One piece: a fragment of its own, to be given to [`outbound`](super::outbound()).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Header of the fragment, without options.
    pub header: ipv4::Header,
    /// Where its payload lies in the packet's payload.
    pub payload_offset: usize,
    pub len: usize,
}

impl Pieces {
    fn of(h: &ipv4::Header, room: usize) -> Pieces {
        Pieces {
            whole: h.without_options(),
            step: room & !7,
            at: 0,
        }
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let payload_len = self.whole.payload_len();
        let len = payload_len.checked_sub(self.at)?.min(self.step);
        if len == 0 {
            return None;
        }
        let payload_offset = self.at;
        self.at += len;
        Some(Piece {
            header: ipv4::Header {
                total_len: (ipv4::HEADER_LEN + len) as u16,
                mf: self.whole.mf || self.at < payload_len,
                offset: self.whole.offset + (payload_offset / 8) as u16,
                ..self.whole
            },
            payload_offset,
            len,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::siit::tests::header;

    fn whole(payload_len: usize, df: bool) -> ipv4::Header {
        ipv4::Header {
            df,
            ..header(17, payload_len)
        }
    }

    fn pieces(h: &ipv4::Header, mtu: u16) -> Vec<Piece> {
        super::pieces(h, mtu).unwrap().collect()
    }

    #[test]
    fn limits_are_exact() {
        // Whole packets up to S-20, fragments up to S-28.
        for df in [false, true] {
            assert_eq!(fit(&whole(1480 - 20, df), 1500), Fit::Whole);
            let fragment = ipv4::Header {
                mf: true,
                ..whole(1472 - 20, df)
            };
            assert_eq!(fit(&fragment, 1500), Fit::Whole);
        }
        let too_big = Fit::TooBig { mtu: 1472 };
        assert_eq!(fit(&whole(1481 - 20, true), 1500), too_big);
        let fragment = ipv4::Header {
            offset: 10,
            ..whole(1473 - 20, true)
        };
        assert_eq!(fit(&fragment, 1500), too_big);
        assert_eq!(pieces(&whole(1481 - 20, false), 1500).len(), 2);
    }

    #[test]
    fn literal_pieces() {
        // 1500 - 48 = 1452 is 1448 in steps of eight.
        let h = whole(3000, false);
        let got: Vec<_> = pieces(&h, 1500)
            .iter()
            .map(|p| (p.payload_offset, p.len, p.header.offset, p.header.mf))
            .collect();
        assert_eq!(
            got,
            [
                (0, 1448, 0, true),
                (1448, 1448, 181, true),
                (2896, 104, 362, false)
            ]
        );
    }

    #[test]
    fn a_fragment_is_cut_into_fragments_of_the_same_datagram() {
        let h = ipv4::Header {
            mf: true,
            offset: 100,
            ..whole(2896, false)
        };
        let got = pieces(&h, 1500);
        assert_eq!((got[0].header.offset, got[1].header.offset), (100, 281));
        assert!(got.iter().all(|p| p.header.mf && p.header.id == h.id));
        assert_eq!(got.iter().map(|p| p.len).sum::<usize>(), 2896);
    }

    #[test]
    fn options_do_not_count_and_are_not_copied() {
        let mut h = whole(1460, true);
        (h.header_len, h.total_len) = (60, 1520);
        assert_eq!(fit(&h, 1500), Fit::Whole);
        let mut h = whole(1461, false);
        (h.header_len, h.total_len) = (60, 1521);
        assert!(pieces(&h, 1500).iter().all(|p| p.header.header_len == 20));
    }

    #[test]
    fn every_length_is_covered_without_gap() {
        for payload_len in 1233..4000 {
            let h = whole(payload_len, false);
            let mut at = 0;
            if fit(&h, 1280) == Fit::Whole {
                continue;
            }
            for piece in pieces(&h, 1280) {
                assert_eq!(piece.payload_offset, at);
                assert_eq!(usize::from(piece.header.offset) * 8, at);
                assert_eq!(piece.header.payload_len(), piece.len);
                assert!(piece.len > 0 && 48 + piece.len <= 1280);
                at += piece.len;
                assert_eq!(piece.header.mf, at < payload_len);
                assert!(!piece.header.mf || piece.len % 8 == 0);
            }
            assert_eq!(at, payload_len);
        }
    }

    #[test]
    fn a_link_of_ipv4_takes_what_is_as_long_as_its_mtu() {
        let told = Fit::TooBig { mtu: 1000 };
        for (payload_len, df, fits) in [
            (980, true, Fit::Whole),
            (980, false, Fit::Whole),
            (981, true, told),
            (981, false, Fit::Split),
        ] {
            assert_eq!(fit_on_link(&whole(payload_len, df), 1000), fits);
        }
        // 1000 - 20 = 980 is 976 in steps of eight.
        let lens = |h: ipv4::Header, mtu| {
            Some(pieces_on_link(&h, mtu)?.map(|p| p.len).collect::<Vec<_>>())
        };
        assert_eq!(lens(whole(981, false), 1000), Some(vec![976, 5]));
        assert_eq!(lens(whole(980, false), 1000), None);
        assert_eq!(lens(whole(100, false), 0), Some(vec![48, 48, 4]));
    }

    #[test]
    fn extremes() {
        assert_eq!(node_mtu(1500), 1472);
        assert_eq!(node_mtu(3), 0);
        // No link with IPv6 has less than 1280.
        assert_eq!(fit(&whole(1240, true), 0), Fit::Whole);
        assert_eq!(fit(&whole(1241, true), 0), Fit::TooBig { mtu: 1252 });
        assert!(pieces(&whole(65515, false), 1280).len() > 50);
        let overlong = ipv4::Header {
            offset: ipv4::MAX_OFFSET - 100,
            ..whole(1300, false)
        };
        assert_eq!(fit(&overlong, 1280), Fit::Overlong);
    }
}
