//! The atomics, locks and counted pointers of this module, so that the model
//! checker can stand in for them: built with `--cfg loom` they are loom's.
//!
//! Everything here that crosses threads is named through this file; nothing
//! else in `mapping/` may import `std::sync`.

#[cfg(not(loom))]
pub(super) use std::{
    hint::spin_loop,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence},
    },
};

#[cfg(loom)]
pub(super) use loom::{
    hint::spin_loop,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence},
    },
};
#[cfg(loom)]
pub(super) use std::sync::PoisonError;
