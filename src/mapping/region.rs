//! Zeroed memory for a table, straight from the system.
//!
//! A table of a million entries is tens of megabytes. Taken from the heap it
//! may have to be cleared by hand, milliseconds at a time, in the thread that
//! answers ARP; anonymous pages are cleared by the kernel when first touched.
//! A table that has just begun to grow is touched everywhere at once, so its
//! pages are asked for ahead, a few at a time ([`Region::populate`]).
//!
//! Giving them back takes as long (a large table has ten thousands of pages),
//! so a region goes back in pieces: one when it is dropped, the others by
//! [`give_back`], which every round of reclamation calls.

#[cfg(loom)]
pub(super) use model::{Region, give_back};
#[cfg(not(loom))]
pub(super) use system::{Region, give_back};

/// A type for which all-zero bytes are a value, and which needs no drop.
///
/// # Safety
/// Both must hold; a [`Region`] relies on it.
pub(super) unsafe trait Zeroed: Sized {
    /// That value.
    #[cfg_attr(not(loom), allow(dead_code, reason = "the system zeroes pages"))]
    fn zero() -> Self;
}

#[cfg(not(loom))]
mod system {
    use std::{
        ops::{Deref, DerefMut},
        ptr::{self, NonNull},
        sync::{Mutex, PoisonError},
    };

    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

    use super::Zeroed;

    /// A slice of its own pages; a boxed slice otherwise.
    pub(in super::super) struct Region<T> {
        start: NonNull<T>,
        len: usize,
    }

    // SAFETY: a region owns its elements like a boxed slice.
    unsafe impl<T: Send> Send for Region<T> {}
    // SAFETY: as above.
    unsafe impl<T: Sync> Sync for Region<T> {}

    impl<T: Zeroed> Region<T> {
        /// `len` (not 0) zero elements; `None` when memory is short.
        pub(in super::super) fn new(len: usize) -> Option<Self> {
            const { assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0) };
            let bytes = len.checked_mul(size_of::<T>())?;
            let access = ProtFlags::READ | ProtFlags::WRITE;
            // SAFETY: a new private anonymous mapping at an address of the
            // kernel's choice touches no memory that anybody uses.
            let start =
                unsafe { mmap_anonymous(ptr::null_mut(), bytes, access, MapFlags::PRIVATE) };
            let start: NonNull<T> = NonNull::new(start.ok()?.cast())?;
            Some(Self { start, len })
        }

        /// Asks for large pages, where the system has them, for memory that is
        /// read all over and so large that it would miss in the translation
        /// cache as often as in that for data. Not for less: to make one, the
        /// kernel may have to move others together first, which takes tens of
        /// milliseconds of the thread that answers ARP.
        pub(in super::super) fn with_large_pages(self) -> Self {
            let bytes = self.len * size_of::<T>();
            if bytes < LARGE {
                return self;
            }
            // A wish; refused, it is as it was.
            // SAFETY: the whole mapping; what is in its pages does not change.
            let _ = unsafe { madvise(self.start.as_ptr().cast(), bytes, Advice::LinuxHugepage) };
            self
        }

        /// Has the kernel make up to `pages` pages from page `from` on; returns
        /// how many pages there were to make.
        pub(in super::super) fn populate(&mut self, from: usize, pages: usize) -> usize {
            let all = (self.len * size_of::<T>()).div_ceil(PAGE);
            let pages = pages.min(all.saturating_sub(from));
            if pages > 0 {
                let start = self.start.cast::<u8>().as_ptr().wrapping_add(from * PAGE);
                // Where the kernel is too old for it, or short of memory, the
                // pages are made when they are touched.
                // SAFETY: within the mapping, which ends at a page's end; what
                // is in its pages does not change.
                let _ = unsafe { madvise(start.cast(), pages * PAGE, Advice::LinuxPopulateWrite) };
            }
            pages
        }
    }

    /// The kernel's, or a part of it.
    const PAGE: usize = 4096;

    /// From here on the table of some three million mappings, or another of that
    /// size, has large pages.
    const LARGE: usize = 128 << 20;

    impl<T> Deref for Region<T> {
        type Target = [T];

        #[inline]
        fn deref(&self) -> &[T] {
            // SAFETY: `new` mapped `len` elements, page-aligned and zero, which
            // is a value of `T` (`Zeroed`); they live as long as `self`.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
        }
    }

    impl<T> DerefMut for Region<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            // SAFETY: as in `deref`, and `self` is borrowed mutably.
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
        }
    }

    impl<T> Drop for Region<T> {
        fn drop(&mut self) {
            let mut pages = Pages {
                start: self.start.as_ptr().expose_provenance(),
                bytes: self.len * size_of::<T>(),
            };
            // SAFETY: exactly what `new` mapped; nothing borrows it any more.
            unsafe { pages.give_back_piece() };
            if pages.bytes > 0 {
                rest().push(pages);
            }
        }
    }

    /// What is given back at once: a large page or some 500 others, a fraction
    /// of a millisecond.
    pub(super) const PIECE: usize = 2 << 20;

    /// Mapped pages that nobody uses any more.
    struct Pages {
        start: usize,
        bytes: usize,
    }

    impl Pages {
        /// # Safety
        /// The pages are a mapping of a `Region`, and this is their only owner.
        unsafe fn give_back_piece(&mut self) {
            // To where a large page ends, so that none is torn.
            let piece = self.bytes.min(PIECE - self.start % PIECE);
            let start = ptr::with_exposed_provenance_mut(self.start);
            // SAFETY: by the caller. Unmapping memory of one's own can only
            // fail for want of kernel memory; leaking it is then all that is
            // left.
            let _ = unsafe { munmap(start, piece) };
            self.start += piece;
            self.bytes -= piece;
        }
    }

    /// The rest of regions that were dropped. Touched by control only.
    static REST: Mutex<Vec<Pages>> = Mutex::new(Vec::new());

    fn rest() -> std::sync::MutexGuard<'static, Vec<Pages>> {
        REST.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back one piece of what was dropped. True: there is more.
    pub(in super::super) fn give_back() -> bool {
        let mut rest = rest();
        let Some(pages) = rest.last_mut() else {
            return false;
        };
        // SAFETY: only `Region::drop` puts pages here, with what is left.
        unsafe { pages.give_back_piece() };
        if pages.bytes == 0 {
            rest.pop();
        }
        !rest.is_empty()
    }
}

#[cfg(loom)]
mod model {
    use std::ops::{Deref, DerefMut};

    use super::Zeroed;

    /// The model checker's atomics cannot be made from zero bytes.
    pub(in super::super) struct Region<T>(Box<[T]>);

    impl<T: Zeroed> Region<T> {
        pub(in super::super) fn new(len: usize) -> Option<Self> {
            Some(Self((0..len).map(|_| T::zero()).collect()))
        }

        pub(in super::super) fn with_large_pages(self) -> Self {
            self
        }

        pub(in super::super) fn populate(&mut self, _from: usize, _pages: usize) -> usize {
            0
        }
    }

    impl<T> Deref for Region<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }

    impl<T> DerefMut for Region<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            &mut self.0
        }
    }

    pub(in super::super) fn give_back() -> bool {
        false
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{system::PIECE, *};

    // SAFETY: zero is an integer, and integers need no drop.
    unsafe impl Zeroed for u64 {
        fn zero() -> Self {
            0
        }
    }

    #[test]
    fn pages_are_zero_and_large_regions_go_back_in_pieces() {
        let len = 3 * PIECE / 8 + 1;
        let mut region = Region::<u64>::new(len).unwrap();
        assert!(region.iter().all(|&word| word == 0));
        let pages = 3 * PIECE / 4096 + 1;
        assert_eq!(region.populate(0, 5), 5);
        assert_eq!(region.populate(5, usize::MAX), pages - 5);
        assert_eq!(region.populate(pages, 1), 0);
        assert!(region.iter().all(|&word| word == 0));
        let last = len - 1;
        region[last] = 7;
        assert_eq!((region.len(), region[last]), (len, 7));
        drop(region);
        // Other tests drop tables too, so only the end is certain.
        while give_back() {}
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Region::<u64>::new(usize::MAX).is_none());
        assert!(Region::<u64>::new(usize::MAX / 16).is_none());
    }
}
