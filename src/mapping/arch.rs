//! The two things a lookup asks of the processor: fetch ahead, and compare
//! twelve tags at once. Both have a portable form, which is also the
//! reference in tests.

/// Starts loading the line of `place` into the nearest cache.
#[inline(always)]
pub(super) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect on memory, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Which of the sixteen bytes in `low` then `high` equal `tag`, one bit each.
#[inline(always)]
pub(super) fn match_bytes(low: u64, high: u64, tag: u8) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8,
        };
        // SAFETY: SSE2 belongs to every x86-64 processor.
        unsafe {
            let tags = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
            let equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(tag.cast_signed()));
            _mm_movemask_epi8(equal).cast_unsigned()
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    match_bytes_portable(low, high, tag)
}

/// [`match_bytes`] in ordinary arithmetic.
#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
#[inline]
pub(super) fn match_bytes_portable(low: u64, high: u64, tag: u8) -> u32 {
    match_word(low, tag) | match_word(high, tag) << 8
}

#[cfg_attr(target_arch = "x86_64", allow(dead_code))]
#[inline]
fn match_word(word: u64, tag: u8) -> u32 {
    const LOW_SEVEN: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differ = word ^ (u64::from(tag) * 0x0101_0101_0101_0101);
    // The top bit of each byte that is zero in `differ`; adding within seven
    // bits carries into no neighbour, so this is exact.
    let equal = !(((differ & LOW_SEVEN) + LOW_SEVEN) | differ | LOW_SEVEN);
    // Gathers the eight top bits into one byte.
    ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_hand(low: u64, high: u64, tag: u8) -> u32 {
        let bytes = low.to_le_bytes().into_iter().chain(high.to_le_bytes());
        bytes
            .enumerate()
            .map(|(i, byte)| u32::from(byte == tag) << i)
            .sum()
    }

    proptest! {
        #[test]
        fn both_forms_find_the_same(low: u64, high: u64, tag: u8, at in 0..16u32) {
            // Random bytes rarely match: plant one.
            let planted = u128::from(low) | u128::from(high) << 64;
            let planted = planted & !(0xff << (8 * at)) | u128::from(tag) << (8 * at);
            for word in [u128::from(low) | u128::from(high) << 64, planted] {
                let (low, high) = (word as u64, (word >> 64) as u64);
                let expected = by_hand(low, high, tag);
                prop_assert_eq!(match_bytes_portable(low, high, tag), expected);
                prop_assert_eq!(match_bytes(low, high, tag), expected);
            }
        }
    }

    #[test]
    fn neighbours_do_not_carry() {
        for (low, tag) in [
            (0x0001_0001_0001_0001, 1),
            (0x8000_7f80_ff00_0180, 0x80),
            (0, 0),
            (u64::MAX, 0xff),
        ] {
            assert_eq!(
                match_bytes_portable(low, !low, tag),
                by_hand(low, !low, tag)
            );
        }
    }
}
