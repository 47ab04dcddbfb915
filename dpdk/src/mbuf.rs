//! One packet.
//!
//! [`Mbuf`] is a non-null pointer and nothing else, so that an array of them
//! is what DPDK's burst calls read and write. Fields are read and written in
//! place, at offsets the C compiler computed: growing a header is one
//! comparison and three stores, without a call.
//!
//! A packet may consist of several segments (`nb_segs`), each a buffer of its
//! own. `data`, `prepend` and `trim_front` work on the first, `append` and
//! `trim_back` on the last; `len` is the first segment, `pkt_len` all.
//!
//! Bytes that become visible by `prepend` or `append` are whatever the buffer
//! held before: write them before the packet leaves.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use arrayvec::ArrayVec;
use dpdk_sys as sys;

use crate::mempool::Mempool;

mod offload;

pub use offload::{L3, L4, RxChecksum, TxChecksums};

/// The buffer does not have the bytes that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the packet buffer has no room for that many bytes")]
pub struct NoRoom;

/// An owned packet; returns to its pool when dropped.
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// Bursts are arrays of pointers to C, and Option costs nothing.
const _: () = assert!(size_of::<Mbuf>() == size_of::<*mut sys::rte_mbuf>());
const _: () = assert!(size_of::<Option<Mbuf>>() == size_of::<*mut sys::rte_mbuf>());

// SAFETY: an mbuf is owned by one handle, and its pool takes it back from any
// thread.
unsafe impl Send for Mbuf {}

/// A field of the packet's first segment, as a place.
macro_rules! field {
    ($mbuf:expr, $offset:ident : $type:ty) => {
        // In bounds: the offset comes from offsetof on this very structure.
        *$mbuf
            .as_ptr()
            .cast::<u8>()
            .add(sys::$offset as usize)
            .cast::<$type>()
    };
}
use field;

type Raw = NonNull<sys::rte_mbuf>;

/// The next segment.
///
/// # Safety
/// `raw` is a valid mbuf.
#[inline(always)]
unsafe fn next(raw: Raw) -> Option<Raw> {
    // SAFETY: the caller's; `next` is NULL or a valid segment.
    unsafe { NonNull::new(field!(raw, DPDK_SYS_MBUF_OFF_NEXT: *mut sys::rte_mbuf)) }
}

/// The bytes of one segment.
///
/// # Safety
/// `raw` is a valid mbuf and nobody writes to its data while `'a` lasts.
#[inline(always)]
unsafe fn bytes<'a>(raw: Raw) -> &'a [u8] {
    // SAFETY: the caller's; data_off + data_len <= buf_len is the invariant
    // of an mbuf, and the buffer is mapped, initialised memory.
    unsafe {
        let start = field!(raw, DPDK_SYS_MBUF_OFF_BUF_ADDR: *const u8)
            .add(usize::from(field!(raw, DPDK_SYS_MBUF_OFF_DATA_OFF: u16)));
        let len = usize::from(field!(raw, DPDK_SYS_MBUF_OFF_DATA_LEN: u16));
        std::slice::from_raw_parts(start, len)
    }
}

/// Whether a write to the segment's buffer could be seen through another.
///
/// # Safety
/// `raw` is a valid mbuf.
#[inline(always)]
unsafe fn shared(raw: Raw) -> bool {
    // SAFETY: the caller's; other owners change the count atomically.
    unsafe {
        let count = raw
            .as_ptr()
            .cast::<u8>()
            .add(sys::DPDK_SYS_MBUF_OFF_REFCNT as usize)
            .cast::<u16>();
        AtomicU16::from_ptr(count).load(Ordering::Relaxed) != 1
            || field!(raw, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64) & sys::DPDK_SYS_F_INDIRECT != 0
    }
}

// In all blocks below `self.0` is a valid mbuf that only `self` owns: that is
// the invariant of the type, established by `from_raw`.
impl Mbuf {
    /// Takes ownership.
    ///
    /// # Safety
    /// `raw` is a valid mbuf of a pktmbuf pool, first of its segments, and
    /// its owner hands it over.
    #[inline(always)]
    pub unsafe fn from_raw(raw: NonNull<sys::rte_mbuf>) -> Self {
        Self(raw)
    }

    /// Gives ownership up, to `from_raw` or to C.
    #[inline(always)]
    pub fn into_raw(self) -> NonNull<sys::rte_mbuf> {
        let raw = self.0;
        std::mem::forget(self);
        raw
    }

    /// The bytes of the first segment.
    #[inline(always)]
    pub fn data(&self) -> &[u8] {
        // SAFETY: valid; `&self` keeps owners from writing, see `is_shared`.
        unsafe { bytes(self.0) }
    }

    /// The bytes of the first segment, to write.
    ///
    /// A driver may deliver segments that others hold too; they are
    /// read-only. Check [`Mbuf::is_shared`] once on receipt and replace such
    /// a packet by a [`Mbuf::copy`].
    #[inline(always)]
    pub fn data_mut(&mut self) -> &mut [u8] {
        debug_assert!(!self.first_is_shared(), "a shared segment is read-only");
        // SAFETY: valid; `&mut self` is the only access, the segment not
        // being shared; the rest as in `bytes`.
        unsafe {
            let start = field!(self.0, DPDK_SYS_MBUF_OFF_BUF_ADDR: *mut u8)
                .add(usize::from(field!(self.0, DPDK_SYS_MBUF_OFF_DATA_OFF: u16)));
            std::slice::from_raw_parts_mut(start, self.len())
        }
    }

    /// Bytes in the first segment.
    #[inline(always)]
    pub fn len(&self) -> usize {
        // SAFETY: valid, owned.
        usize::from(unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_DATA_LEN: u16) })
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes in all segments.
    #[inline(always)]
    pub fn pkt_len(&self) -> usize {
        // SAFETY: valid, owned.
        unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) as usize }
    }

    #[inline(always)]
    pub fn nb_segs(&self) -> u16 {
        // SAFETY: valid, owned.
        unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_NB_SEGS: u16) }
    }

    /// Owners of the first segment.
    #[inline]
    pub fn refcnt(&self) -> u16 {
        // SAFETY: valid; other owners change the count atomically.
        unsafe {
            let count = self
                .0
                .as_ptr()
                .cast::<u8>()
                .add(sys::DPDK_SYS_MBUF_OFF_REFCNT as usize);
            AtomicU16::from_ptr(count.cast()).load(Ordering::Relaxed)
        }
    }

    /// Whether the first segment is read-only.
    #[inline(always)]
    fn first_is_shared(&self) -> bool {
        // SAFETY: valid.
        unsafe { shared(self.0) }
    }

    /// Whether any segment is held by others too, or borrows another's
    /// buffer: such a packet must not be written to.
    #[inline]
    pub fn is_shared(&self) -> bool {
        // `next` is in the mbuf's second cache line, the count of segments in
        // its first.
        if self.nb_segs() == 1 {
            return self.first_is_shared();
        }
        let mut segment = Some(self.0);
        while let Some(raw) = segment {
            // SAFETY: segments of a valid mbuf are valid.
            unsafe {
                if shared(raw) {
                    return true;
                }
                segment = next(raw);
            }
        }
        false
    }

    /// Whether the packet is one segment that nobody else holds, with a buffer
    /// of its own.
    #[inline(always)]
    pub fn is_simple(&self) -> bool {
        // Count of references and of segments, 1 and 1, lie beside each other
        // in what drivers set by one store.
        const AFTER: u32 = sys::DPDK_SYS_MBUF_OFF_REFCNT;
        const _: () = assert!(sys::DPDK_SYS_MBUF_OFF_NB_SEGS == AFTER + 2);
        // SAFETY: valid; others may write the count, at worst that of a packet
        // which is refused then: who owns a packet of one reference is alone
        // with it. The two are not where a word of their size would be.
        unsafe {
            let counts = self.0.as_ptr().cast::<u8>().add(AFTER as usize);
            let counts = std::ptr::read_unaligned(counts.cast::<u32>());
            let indirect =
                field!(self.0, DPDK_SYS_MBUF_OFF_OL_FLAGS: u64) & sys::DPDK_SYS_F_INDIRECT;
            counts == 0x0001_0001 && indirect == 0
        }
    }

    /// Moves the packet's first byte outward by `out`, or inward, and makes the
    /// packet `len` bytes long. Returns the bytes of the first segment.
    #[inline(always)]
    pub fn reshape(&mut self, out: isize, len: usize) -> Result<&mut [u8], NoRoom> {
        if self.nb_segs() != 1 {
            return self.reshape_segments(out, len);
        }
        let off = self.headroom() as isize - out;
        let end = self.headroom() + self.len();
        // What is there ends where it ended, or before.
        if off < 0 || off as usize + len > end {
            return Err(NoRoom);
        }
        // SAFETY: valid, owned, one segment; off is within the buffer, and
        // off + len at most what the data ended at.
        unsafe {
            field!(self.0, DPDK_SYS_MBUF_OFF_DATA_OFF: u16) = off as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_DATA_LEN: u16) = len as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) = len as u32;
            let start = field!(self.0, DPDK_SYS_MBUF_OFF_BUF_ADDR: *mut u8).offset(off);
            Ok(std::slice::from_raw_parts_mut(start, len))
        }
    }

    #[cold]
    fn reshape_segments(&mut self, out: isize, len: usize) -> Result<&mut [u8], NoRoom> {
        let now = self.pkt_len() as isize + out;
        let excess = usize::try_from(now)
            .ok()
            .and_then(|now| now.checked_sub(len));
        let excess = excess.ok_or(NoRoom)?;
        if out >= 0 {
            self.prepend(out as usize)?;
        } else {
            self.trim_front(out.unsigned_abs())?;
        }
        if excess > 0 {
            self.trim_back(excess)?;
        }
        Ok(self.data_mut())
    }

    /// Bytes free before the first segment's data.
    #[inline(always)]
    pub fn headroom(&self) -> usize {
        // SAFETY: valid, owned.
        usize::from(unsafe { field!(self.0, DPDK_SYS_MBUF_OFF_DATA_OFF: u16) })
    }

    /// Bytes free behind the last segment's data.
    #[inline]
    pub fn tailroom(&self) -> usize {
        // SAFETY: the last segment of a valid mbuf is valid, and owned.
        unsafe {
            let last = self.last();
            let used = usize::from(field!(last, DPDK_SYS_MBUF_OFF_DATA_OFF: u16))
                + usize::from(field!(last, DPDK_SYS_MBUF_OFF_DATA_LEN: u16));
            usize::from(field!(last, DPDK_SYS_MBUF_OFF_BUF_LEN: u16)).saturating_sub(used)
        }
    }

    #[inline]
    fn last(&self) -> Raw {
        let mut last = self.0;
        // SAFETY: segments of a valid mbuf are valid.
        while let Some(following) = unsafe { next(last) } {
            last = following;
        }
        last
    }

    /// Grows the data by `n` bytes at the front.
    #[inline(always)]
    pub fn prepend(&mut self, n: usize) -> Result<(), NoRoom> {
        if n > self.headroom() {
            return Err(NoRoom);
        }
        // SAFETY: valid, owned; n is at most data_off, so data_off stays at
        // least 0 and data_len at most buf_len.
        unsafe {
            field!(self.0, DPDK_SYS_MBUF_OFF_DATA_OFF: u16) -= n as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_DATA_LEN: u16) += n as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) += n as u32;
        }
        Ok(())
    }

    /// Removes `n` bytes from the front of the first segment.
    #[inline(always)]
    pub fn trim_front(&mut self, n: usize) -> Result<(), NoRoom> {
        if n > self.len() {
            return Err(NoRoom);
        }
        // SAFETY: valid, owned; n is at most data_len, which is at most
        // pkt_len, so that nothing wraps and the end of the data stays.
        unsafe {
            field!(self.0, DPDK_SYS_MBUF_OFF_DATA_OFF: u16) += n as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_DATA_LEN: u16) -= n as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) -= n as u32;
        }
        Ok(())
    }

    /// Grows the data by `n` bytes at the end and returns them.
    #[inline]
    pub fn append(&mut self, n: usize) -> Result<&mut [u8], NoRoom> {
        if n > self.tailroom() {
            return Err(NoRoom);
        }
        let last = self.last();
        debug_assert!(!self.is_shared(), "a shared segment is read-only");
        // SAFETY: valid, owned; n is at most the tailroom, so the slice lies
        // within the buffer of the last segment.
        unsafe {
            let old = usize::from(field!(last, DPDK_SYS_MBUF_OFF_DATA_LEN: u16));
            let start = field!(last, DPDK_SYS_MBUF_OFF_BUF_ADDR: *mut u8)
                .add(usize::from(field!(last, DPDK_SYS_MBUF_OFF_DATA_OFF: u16)) + old);
            field!(last, DPDK_SYS_MBUF_OFF_DATA_LEN: u16) += n as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) += n as u32;
            Ok(std::slice::from_raw_parts_mut(start, n))
        }
    }

    /// Removes `n` bytes from the end of the last segment.
    #[inline]
    pub fn trim_back(&mut self, n: usize) -> Result<(), NoRoom> {
        let last = self.last();
        // SAFETY: valid, owned; n is at most data_len, so nothing wraps.
        unsafe {
            if n > usize::from(field!(last, DPDK_SYS_MBUF_OFF_DATA_LEN: u16)) {
                return Err(NoRoom);
            }
            field!(last, DPDK_SYS_MBUF_OFF_DATA_LEN: u16) -= n as u16;
            field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) -= n as u32;
        }
        Ok(())
    }

    /// Moves all segments into the first. Fails, changing nothing, if it has
    /// too little room or is shared; a [`Mbuf::copy`] into a pool with larger
    /// buffers is the way out.
    pub fn linearise(&mut self) -> Result<(), NoRoom> {
        if self.nb_segs() == 1 {
            return Ok(());
        }
        if self.first_is_shared() {
            return Err(NoRoom);
        }
        // SAFETY: valid, owned, and its first segment may be written to.
        match unsafe { sys::dpdk_sys_pktmbuf_linearize(self.0.as_ptr()) } {
            0 => Ok(()),
            _ => Err(NoRoom),
        }
    }

    /// A copy of the whole packet with its metadata, in buffers of `pool`
    /// alone; in one segment if it fits in one. `None` if the pool is
    /// exhausted.
    pub fn copy(&self, pool: &Mempool) -> Option<Self> {
        // SAFETY: a valid mbuf is read, a live pktmbuf pool allocated from;
        // a length of u32::MAX means to the end.
        let raw = unsafe { sys::rte_pktmbuf_copy(self.0.as_ptr(), pool.as_ptr(), 0, u32::MAX) };
        // SAFETY: the copy is owned by nobody else.
        NonNull::new(raw).map(|raw| unsafe { Self::from_raw(raw) })
    }

    /// Hangs another packet behind this one, without copying.
    pub fn chain(&mut self, tail: Mbuf) -> Result<(), Mbuf> {
        let segments = u32::from(self.nb_segs()) + u32::from(tail.nb_segs());
        let Some(length) = self.pkt_len().checked_add(tail.pkt_len()) else {
            return Err(tail);
        };
        let (Ok(segments), Ok(length)) = (u16::try_from(segments), u32::try_from(length)) else {
            return Err(tail);
        };
        let tail = tail.into_raw();
        // SAFETY: both valid and owned; the tail's ownership moves into this
        // packet. Only a packet's first segment counts, so the tail's own
        // totals become those of one segment, as DPDK does it.
        unsafe {
            field!(self.last(), DPDK_SYS_MBUF_OFF_NEXT: *mut sys::rte_mbuf) = tail.as_ptr();
            field!(self.0, DPDK_SYS_MBUF_OFF_NB_SEGS: u16) = segments;
            field!(self.0, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) = length;
            field!(tail, DPDK_SYS_MBUF_OFF_PKT_LEN: u32) =
                u32::from(field!(tail, DPDK_SYS_MBUF_OFF_DATA_LEN: u16));
        }
        Ok(())
    }

    /// The bytes of each segment in turn.
    #[inline]
    pub fn segments(&self) -> Segments<'_> {
        Segments {
            at: Some(self.0),
            _packet: std::marker::PhantomData,
        }
    }

    /// Asks the CPU to fetch the packet's own fields, for a later look.
    #[inline(always)]
    pub fn prefetch(&self) {
        prefetch(self.0.as_ptr().cast());
    }

    /// Asks the CPU to fetch the start of the data.
    #[inline(always)]
    pub fn prefetch_data(&self) {
        prefetch(self.data().as_ptr());
    }
}

#[inline(always)]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86_64, and a prefetch never faults.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: valid, owned, and never used again.
        unsafe { sys::dpdk_sys_pktmbuf_free(self.0.as_ptr()) };
    }
}

/// Frees all packets at once: one call instead of one for each.
#[inline]
pub fn free_bulk<const N: usize>(packets: &mut ArrayVec<Mbuf, N>) {
    let n = packets.len() as u32;
    // SAFETY: the first n elements are owned mbufs; the vector forgets them
    // before they are freed, and Mbuf is a transparent pointer.
    unsafe {
        packets.set_len(0);
        sys::rte_pktmbuf_free_bulk(packets.as_mut_ptr().cast(), n);
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("port", &self.port())
            .field("len", &self.len())
            .field("pkt_len", &self.pkt_len())
            .field("nb_segs", &self.nb_segs())
            .finish_non_exhaustive()
    }
}

/// See [`Mbuf::segments`].
#[derive(Debug)]
pub struct Segments<'a> {
    at: Option<Raw>,
    _packet: std::marker::PhantomData<&'a Mbuf>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let raw = self.at?;
        // SAFETY: segments of a valid mbuf are valid, and the packet is
        // borrowed for 'a.
        unsafe {
            self.at = next(raw);
            Some(bytes(raw))
        }
    }
}
