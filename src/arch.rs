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
