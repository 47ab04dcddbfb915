//! The few processor intrinsics, behind safe functions.
#![allow(unsafe_code)]

/// The time stamp counter.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn rdtsc() -> u64 {
    // SAFETY: RDTSC reads a register. It could only fault where the operating
    // system disables it (CR4.TSD), which DPDK would not start on either.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Asks for a cache line that will be read soon.
#[inline]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: prefetching is a hint; it does not access memory in any way the
    // program can see, and the address is that of a live reference anyway.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(
            std::ptr::from_ref(place).cast(),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// A piece of work with its arguments, for [`widest`]. A trait and no closure,
/// since only a method can be told to be inlined.
pub trait Work {
    type Done;

    /// To be marked `#[inline(always)]`, and so must be what it calls: only
    /// what is inlined is compiled for other processors.
    fn run(self) -> Self::Done;
}

/// Runs `work` compiled for what x86-64-v3 processors have (AVX2, BMI, MOVBE),
/// where this one has it: the same code in fewer instructions.
#[inline(always)]
pub fn widest<W: Work>(work: W) -> W::Done {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx,avx2,bmi1,bmi2,fma,lzcnt,movbe,popcnt")]
        fn wide<W: Work>(work: W) -> W::Done {
            work.run()
        }
        if is_wide() {
            // SAFETY: this processor has these features.
            return unsafe { wide(work) };
        }
    }
    narrow(work)
}

/// Out of line, as its counterpart is.
#[inline(never)]
fn narrow<W: Work>(work: W) -> W::Done {
    work.run()
}

/// Whether this processor has what [`widest`] uses.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub fn is_wide() -> bool {
    // One load each; the standard library asks the processor once.
    std::is_x86_feature_detected!("avx")
        && std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("lzcnt")
        && std::is_x86_feature_detected!("movbe")
        && std::is_x86_feature_detected!("popcnt")
}

/// Whether this processor has what [`widest`] uses.
#[cfg(not(target_arch = "x86_64"))]
pub fn is_wide() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mix<'a>(&'a [u64]);

    impl Work for Mix<'_> {
        type Done = u64;

        #[inline(always)]
        fn run(self) -> u64 {
            let mix = |sum: u64, i: &u64| sum.wrapping_add(i.rotate_left(7) ^ i.swap_bytes());
            self.0.iter().fold(0, mix)
        }
    }

    #[test]
    fn wide_or_not_the_result_is_the_same() {
        let numbers: Vec<u64> = (0..1000).map(|i| i * 0x0123_4567_89ab).collect();
        assert_eq!(widest(Mix(&numbers)), narrow(Mix(&numbers)));
    }
}
