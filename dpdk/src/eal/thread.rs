//! Work on lcores, and threads of others that want to be known to DPDK.

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::{Eal, RUNTIME, Runtime};
use crate::error::{Errno, Error};

/// Double, since a fat pointer does not fit through C's one word.
type Work = Box<dyn FnOnce() + Send>;

const DONE: c_int = 0;
const PANICKED: c_int = 1;

impl Eal {
    /// Runs a closure on a worker lcore, which is pinned to its CPU.
    ///
    /// What it owns (its queues) is dropped there when it returns.
    pub fn launch<F>(&self, lcore: u16, work: F) -> Result<(), Error>
    where
        F: FnOnce() + Send + 'static,
    {
        self.check_worker(lcore)?;
        let work: Box<Work> = Box::new(Box::new(work));
        let raw = Box::into_raw(work);
        // SAFETY: (1) on the main lcore, which owns the Eal; (2) the lcore is
        // an enabled worker; (3) `run` takes ownership of the box, once.
        let ret =
            unsafe { dpdk_sys::rte_eal_remote_launch(Some(run), raw.cast(), u32::from(lcore)) };
        if ret != 0 {
            // SAFETY: the launch was refused, so nobody else has the box.
            drop(unsafe { Box::from_raw(raw) });
            return Err(Error::Lcore {
                lcore,
                reason: "is busy with earlier work",
            });
        }
        Ok(())
    }

    /// Waits until the lcore's work has returned.
    pub fn wait(&self, lcore: u16) -> Result<(), Error> {
        self.check_worker(lcore)?;
        // SAFETY: called on the main lcore with the id of a worker.
        match unsafe { dpdk_sys::rte_eal_wait_lcore(u32::from(lcore)) } {
            DONE => Ok(()),
            _ => Err(Error::Lcore {
                lcore,
                reason: "its work panicked",
            }),
        }
    }

    /// Whether the lcore is at work.
    pub fn is_running(&self, lcore: u16) -> Result<bool, Error> {
        self.check_worker(lcore)?;
        // SAFETY: called on the main lcore with the id of a worker.
        let state = unsafe { dpdk_sys::rte_eal_get_lcore_state(u32::from(lcore)) };
        Ok(state == dpdk_sys::RUNNING)
    }

    fn check_worker(&self, lcore: u16) -> Result<(), Error> {
        let reason = if self.workers().contains(&lcore) {
            return Ok(());
        } else if lcore == self.main_lcore() {
            "is the main lcore and cannot be given work"
        } else {
            "is not one of the configured lcores"
        };
        Err(Error::Lcore { lcore, reason })
    }
}

/// What an lcore calls. A panic must not unwind into C.
extern "C" fn run(work: *mut c_void) -> c_int {
    // SAFETY: `launch` passes a box of this type and gives up ownership.
    let work = unsafe { Box::from_raw(work.cast::<Work>()) };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(()) => DONE,
        Err(_) => PANICKED,
    }
}

/// The calling thread's lcore id; none for threads DPDK does not know.
pub fn lcore_id() -> Option<u16> {
    // SAFETY: no preconditions; the shim reads a thread-local variable.
    let id = unsafe { dpdk_sys::dpdk_sys_lcore_id() };
    // LCORE_ID_ANY is u32::MAX and does not fit.
    u16::try_from(id).ok()
}

/// Makes the calling thread known to DPDK until the guard is dropped.
///
/// It then has an lcore id and caches of its own in every pool. Threads that
/// are not registered may allocate and free packets too, only more slowly.
/// Registering ends the possibility of secondary processes.
pub fn register_thread() -> Result<RegisteredThread, Error> {
    let runtime = RUNTIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .upgrade()
        .ok_or(Error::NotInitialised)?;
    if lcore_id().is_some() {
        return Err(Error::Config {
            field: "thread",
            reason: "is already an lcore".into(),
        });
    }
    // SAFETY: EAL is initialised and stays so while `runtime` is held.
    let ret = unsafe { dpdk_sys::rte_thread_register() };
    if ret != 0 {
        return Err(Error::Eal {
            doing: "registering a thread".into(),
            errno: Errno::last(),
        });
    }
    Ok(RegisteredThread {
        _runtime: runtime,
        _thread: PhantomData,
    })
}

/// See [`register_thread`].
#[derive(Debug)]
pub struct RegisteredThread {
    _runtime: Arc<Runtime>,
    _thread: PhantomData<*const ()>,
}

impl Drop for RegisteredThread {
    fn drop(&mut self) {
        // SAFETY: not `Send`, so this is the thread that was registered.
        unsafe { dpdk_sys::rte_thread_unregister() };
    }
}

/// The time-stamp counter; see [`Eal::tsc_hz`].
#[inline(always)]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 CPU has it.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: no preconditions.
    unsafe {
        dpdk_sys::dpdk_sys_rdtsc()
    }
}
