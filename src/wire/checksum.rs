//! The Internet checksum (RFC 1071) and its incremental form (RFC 1624).
//!
//! A *sum* is an unfolded one's complement accumulator; partial sums of a
//! packet add up in any order. A *delta* is what changes a checksum field when
//! words are exchanged: the new words' sum plus the complement of the old
//! words' sum. Deltas of addresses are computed once per host and vnet and
//! kept in tables, so the packet path only adds and folds.

/// Fold a sum to 16 bits, end-around carries included.
///
/// A number plus itself with its halves exchanged has in its upper half the
/// sum of both and the carry of the lower one, which is the same sum's.
#[inline(always)]
pub const fn fold(sum: u64) -> u16 {
    let word = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (word.wrapping_add(word.rotate_left(16)) >> 16) as u16
}

/// The sum over bytes, a trailing odd one padded with zero.
#[inline]
pub fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0u64;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        total += u64::from(u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    }
    let rest = words.remainder();
    let mut tail = [0; 4];
    tail[..rest.len()].copy_from_slice(rest);
    total + u64::from(u32::from_be_bytes(tail))
}

/// The checksum field for bytes whose own field is zero.
#[inline]
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// What replaces `old` words by `new` ones in a checksum, as a folded delta.
#[inline]
pub const fn delta(old: u64, new: u64) -> u16 {
    fold(new + (!fold(old)) as u64)
}

/// RFC 1624 equation 3: the field after `delta` was applied.
#[inline(always)]
pub const fn adjust(field: u16, delta: u16) -> u16 {
    !fold(!field as u64 + delta as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_rfc_1071() {
        // The example of RFC 1071 section 3: the sum is ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes)), 0xddf2);
        assert_eq!(checksum(&bytes), !0xddf2);
        assert_eq!(fold(sum(&[0xab])), 0xab00);
        assert_eq!(fold(sum(&[0, 1, 2])), 0x0201);
        assert_eq!(fold(u64::MAX), 0xffff);
        assert_eq!(fold(0), 0);
        // Carries out of either half.
        assert_eq!(fold(0xffff_ffff_0000_0001), 1);
        assert_eq!(fold(0x0000_0001_ffff_ffff), 1);
        assert_eq!(fold(0x8000_8000_8000_8001), 2 + 1);
    }

    #[test]
    fn adjusting_equals_computing_anew() {
        let mut bytes =
            *b"\x45\x00\x00\x25\x12\x34\x40\x00\x40\x11\x00\x00\x0a\x00\x00\x02\x0a\x00\x00\x03";
        let before = checksum(&bytes);
        let old = sum(&bytes[12..20]);
        bytes[12..20].copy_from_slice(&[192, 0, 2, 1, 198, 51, 100, 7]);
        let new = sum(&bytes[12..20]);
        assert_eq!(adjust(before, delta(old, new)), checksum(&bytes));
    }

    #[test]
    fn a_delta_and_its_reverse_cancel() {
        for field in [0x0001u16, 0x1234, 0xfffe, 0x8000] {
            for (old, new) in [(0x1111, 0x2222), (0xffff, 0x0001), (0x1_0000, 0xfedc_ba98)] {
                let there = adjust(field, delta(old, new));
                assert_eq!(
                    adjust(there, delta(new, old)),
                    field,
                    "{field:04x} {old:x} {new:x}"
                );
            }
        }
    }
}
