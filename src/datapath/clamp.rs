//! The largest segment that a node offers to take, lowered to what fits.
//!
//! A node tells its peer so in the option of its SYN (RFC 9293, 3.7.1). Where
//! path MTU discovery is known to fail, at an edge that swallows its messages,
//! a vnet may ask for that number to be lowered on the way. Both directions of
//! a connection leave by some node's outbound walk, so that is done there only.

use crate::packet::{Meta, Packet};
use crate::wire::{checksum, protocol, tcp};

use super::authorize::Permitted;

const END: u8 = 0;
const NOTHING: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: u8 = 4;

/// What a node offers in its packet, if that is a SYN, lowered to what its vnet
/// allows. Who has no such limit does not come here.
#[cold]
pub(super) fn lower_offer<P: Packet>(packet: &mut P, it: &Permitted<'_>, meta: &Meta) {
    let ip = it.ip.header();
    // A SYN in pieces is none that a host sends; its end decides what it is.
    if ip.protocol != protocol::TCP || ip.is_fragment() {
        return;
    }
    let l3 = usize::from(it.l3);
    let (from, to) = (
        l3 + usize::from(ip.header_len),
        l3 + usize::from(ip.total_len),
    );
    let head = packet.head_mut();
    let to = to.min(head.len());
    if let Some(segment) = head.get_mut(from..to) {
        clamp(segment, it.vnet.mss, meta.offload.is_partial());
    }
}

/// Whether a TCP segment without options before it begins a connection.
#[inline]
pub(super) fn is_syn(segment: &[u8]) -> bool {
    let flags = segment.get(tcp::field::FLAGS);
    flags.is_some_and(|flags| flags & tcp::flag::SYN != 0)
}

/// Lowers the option of a SYN to `most`. The checksum follows it, unless it is
/// `partial`: then the field has no sum of these bytes yet, and who completes
/// it adds up what is there then. Whatever is no TCP header, or has options
/// that do not end where they say, stays as it is: the receiver sees to it.
pub fn clamp(segment: &mut [u8], most: u16, partial: bool) -> bool {
    let Some(at) = option(segment) else {
        return false;
    };
    let Some(field) = segment
        .get_mut(at..)
        .and_then(|rest| rest.first_chunk_mut::<2>())
    else {
        return false;
    };
    let offered = u16::from_be_bytes(*field);
    if offered <= most {
        return false;
    }
    *field = most.to_be_bytes();
    if !partial {
        follow(segment, at, offered, most);
    }
    true
}

/// Where the number of the first such option of a SYN lies.
fn option(segment: &[u8]) -> Option<usize> {
    let header = tcp::Header::parse(segment)?;
    if header.flags & tcp::flag::SYN == 0 {
        return None;
    }
    let options = segment.get(..usize::from(header.header_len))?;
    let mut at = tcp::HEADER_LEN;
    loop {
        match *options.get(at)? {
            END => return None,
            NOTHING => at += 1,
            kind => {
                let len = *options.get(at + 1)?;
                // Shorter than its own two bytes: it would never end.
                if len < 2 || at + usize::from(len) > options.len() {
                    return None;
                }
                if (kind, len) == (MSS, MSS_LEN) {
                    return Some(at + 2);
                }
                at += usize::from(len);
            }
        }
    }
}

/// The checksum after one number has changed, which need not begin at a word.
fn follow(segment: &mut [u8], at: usize, old: u16, new: u16) {
    let (old, new) = match at % 2 {
        0 => (old, new),
        _ => (old.swap_bytes(), new.swap_bytes()),
    };
    let field = segment
        .get_mut(tcp::field::CHECKSUM..)
        .and_then(|rest| rest.first_chunk_mut::<2>());
    if let Some(field) = field {
        let delta = checksum::delta(old.into(), new.into());
        *field = checksum::adjust(u16::from_be_bytes(*field), delta).to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A segment with these options and flags, its checksum right.
    fn segment(options: &[u8], flags: u8) -> Vec<u8> {
        let mut bytes = vec![0u8; tcp::HEADER_LEN];
        bytes[..4].copy_from_slice(&[0x0f, 0xa0, 0x00, 0x50]);
        bytes.extend(options);
        bytes.resize(bytes.len().next_multiple_of(4), END);
        bytes[tcp::field::DATA_OFFSET] = (bytes.len() as u8 / 4) << 4;
        bytes[tcp::field::FLAGS] = flags;
        bytes.extend(b"data");
        let sum = checksum::checksum(&bytes);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn a_syn_offers_less_wherever_the_option_lies() {
        let options: [&[u8]; 4] = [
            &[2, 4, 0x05, 0xb4],
            &[1, 2, 4, 0x05, 0xb4],
            &[4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 0x05, 0xb4],
            &[1, 1, 1, 2, 4, 0x05, 0xb4],
        ];
        for options in options {
            for flags in [tcp::flag::SYN, tcp::flag::SYN | tcp::flag::ACK] {
                let mut bytes = segment(options, flags);
                assert!(clamp(&mut bytes, 1360, false), "{options:?}");
                let lowered = options.to_vec();
                let at = lowered.len() - 2;
                assert_eq!(bytes[20..20 + at], lowered[..at]);
                assert_eq!(bytes[20 + at..22 + at], 1360u16.to_be_bytes());
                assert_eq!(checksum::checksum(&bytes), 0, "{options:?}");
            }
        }
    }

    #[test]
    fn what_is_to_stay_stays() {
        let syn = tcp::flag::SYN;
        let cases = [
            ("it fits", segment(&[2, 4, 0x05, 0x50], syn)),
            ("no SYN", segment(&[2, 4, 0x05, 0xb4], tcp::flag::ACK)),
            ("behind the end", segment(&[0, 2, 4, 0x05, 0xb4], syn)),
            ("no option", segment(&[], syn)),
            ("of another length", segment(&[2, 6, 0x05, 0xb4, 0, 0], syn)),
            ("that never ends", segment(&[8, 0, 2, 4, 0x05, 0xb4], syn)),
            ("beyond the header", segment(&[1, 1, 2, 4], syn)),
            ("cut off", segment(&[2, 4, 0x05, 0xb4], syn)[..21].to_vec()),
            ("no header", vec![0; 13]),
        ];
        for (what, bytes) in cases {
            let mut after = bytes.clone();
            assert!(!clamp(&mut after, 1360, false), "{what}");
            assert_eq!(after, bytes, "{what}");
        }
    }

    #[test]
    fn a_partial_checksum_is_nobodys_yet() {
        let mut bytes = segment(&[2, 4, 0x05, 0xb4], tcp::flag::SYN);
        let before = bytes[16..18].to_vec();
        assert!(clamp(&mut bytes, 1360, true));
        assert_eq!(bytes[16..18], before);
        assert_eq!(bytes[22..24], 1360u16.to_be_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), most in 536u16..) {
            let mut after = bytes.clone();
            let changed = clamp(&mut after, most, true);
            let differ = bytes.iter().zip(&after).filter(|(a, b)| a != b).count();
            prop_assert!(differ <= 2 && (changed || differ == 0));
        }

        #[test]
        fn the_checksum_stays_right(
            before in prop::collection::vec(Just(NOTHING), 0..8),
            offered: u16,
            most in 536u16..,
        ) {
            let mut options = before;
            options.extend([MSS, MSS_LEN]);
            options.extend(offered.to_be_bytes());
            let mut bytes = segment(&options, tcp::flag::SYN);
            prop_assert_eq!(clamp(&mut bytes, most, false), offered > most);
            prop_assert_eq!(checksum::checksum(&bytes), 0);
        }
    }
}
