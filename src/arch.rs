//! The few processor intrinsics, behind safe functions.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::sync::atomic::{AtomicU8, Ordering};

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

/// What a processor has, as far as [`widest`] and [`columns`] tell them apart.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Width {
    /// Whatever all have.
    Narrow = 1,
    /// x86-64-v3: AVX2, BMI, MOVBE.
    Wide,
    /// x86-64-v4: AVX-512.
    Widest,
}

/// A [`Width`], or 0 before anybody asked: one load, where the standard library
/// takes one for each feature.
#[cfg(target_arch = "x86_64")]
static WIDTH: AtomicU8 = AtomicU8::new(0);

/// Runs `work` compiled for what x86-64-v3 processors have (AVX2, BMI, MOVBE),
/// where this one has it: the same code in fewer instructions.
#[inline(always)]
pub fn widest<W: Work>(work: W) -> W::Done {
    #[cfg(target_arch = "x86_64")]
    if has(Width::Wide) {
        // SAFETY: this processor has these features.
        return unsafe { wide(work) };
    }
    narrow(work)
}

/// The same, and with AVX-512 on x86-64-v4 processors: for loops over columns of
/// numbers. Not for what counts or chooses among a few, since the compiler takes
/// masks of comparisons apart bit by bit then.
#[inline(always)]
pub fn columns<W: Work>(work: W) -> W::Done {
    #[cfg(target_arch = "x86_64")]
    if has(Width::Widest) {
        // SAFETY: this processor has these features.
        return unsafe { wider(work) };
    }
    widest(work)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,avx2,bmi1,bmi2,fma,lzcnt,movbe,popcnt")]
fn wide<W: Work>(work: W) -> W::Done {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,avx2,bmi1,bmi2,fma,lzcnt,movbe,popcnt")]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl")]
fn wider<W: Work>(work: W) -> W::Done {
    work.run()
}

/// Out of line, as its counterparts are.
#[inline(never)]
fn narrow<W: Work>(work: W) -> W::Done {
    work.run()
}

/// Whether this processor has so much.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has(width: Width) -> bool {
    // Relaxed: whoever finds nothing there finds out by itself.
    let known = WIDTH.load(Ordering::Relaxed);
    if known == 0 {
        find_out();
        return false;
    }
    known >= width as u8
}

/// Does all work from now on, in all threads, as a processor does that has no
/// more than this: what others execute can be tested on one that has it all.
pub fn pretend(most: Width) {
    #[cfg(target_arch = "x86_64")]
    WIDTH.store(this_has().min(most as u8), Ordering::Relaxed);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = most;
}

/// Asks the processor, for all work from now on.
#[cfg(target_arch = "x86_64")]
#[cold]
#[inline(never)]
fn find_out() {
    WIDTH.store(this_has(), Ordering::Relaxed);
}

/// The [`Width`] of this processor.
#[cfg(target_arch = "x86_64")]
fn this_has() -> u8 {
    let wide = std::is_x86_feature_detected!("avx")
        && std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("bmi1")
        && std::is_x86_feature_detected!("bmi2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("lzcnt")
        && std::is_x86_feature_detected!("movbe")
        && std::is_x86_feature_detected!("popcnt");
    let wider = wide
        && std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512cd")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl");
    let width = match (wide, wider) {
        (_, true) => Width::Widest,
        (true, _) => Width::Wide,
        _ => Width::Narrow,
    };
    width as u8
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
        let narrow = narrow(Mix(&numbers));
        // The first time nobody has asked yet what this processor has.
        for _ in 0..2 {
            assert_eq!(widest(Mix(&numbers)), narrow);
            assert_eq!(columns(Mix(&numbers)), narrow);
        }
    }
}
