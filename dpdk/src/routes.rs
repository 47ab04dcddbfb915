//! DPDK's own tables of IPv4 routes, `rte_fib` (in its form of 24 bits and 8)
//! and `rte_lpm`: what longest-prefix match is held against. One thread adds,
//! takes out and looks up.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::eal::{Eal, Runtime};
use crate::error::{Errno, Error, c_string};

/// The answer for an address that is in no route.
pub const NOTHING: u32 = (1 << 24) - 1;

/// A table of either kind.
pub trait Routes {
    /// Adds a route, or replaces its value (below [`NOTHING`]); false when
    /// there is no room. `address` is in host byte order.
    fn add(&mut self, address: u32, len: u8, value: u32) -> bool;
    /// Takes a route out; false when it is not there.
    fn delete(&mut self, address: u32, len: u8) -> bool;
    /// The values of the longest routes, [`NOTHING`] where there is none.
    fn find<const N: usize>(&self, addresses: &[u32; N], values: &mut [u32; N]);
}

fn created<T>(raw: *mut T, name: &str) -> Result<NonNull<T>, Error> {
    NonNull::new(raw).ok_or_else(|| Error::Pool {
        pool: name.into(),
        doing: "creating it",
        errno: Errno::last(),
    })
}

/// `rte_fib`.
#[derive(Debug)]
pub struct Fib {
    raw: NonNull<dpdk_sys::rte_fib>,
    /// Keeps EAL's memory.
    _runtime: Arc<Runtime>,
    /// Neither `Send` nor `Sync`: the library has no lock.
    _thread: PhantomData<*const ()>,
}

impl Fib {
    /// For at most `most` routes, and of `groups` of 24 bits longer ones.
    pub fn new(eal: &Eal, name: &str, most: i32, groups: u32) -> Result<Fib, Error> {
        let c_name = c_string("table name", name)?;
        // SAFETY: EAL is initialised; the name lives until the call is over, and
        // is copied.
        let raw =
            unsafe { dpdk_sys::dpdk_sys_fib_create(c_name.as_ptr(), most, groups, NOTHING.into()) };
        Ok(Fib {
            raw: created(raw, name)?,
            _runtime: Arc::clone(eal.runtime()),
            _thread: PhantomData,
        })
    }
}

impl Drop for Fib {
    fn drop(&mut self) {
        // SAFETY: made by `dpdk_sys_fib_create`, and nobody else has it.
        unsafe { dpdk_sys::rte_fib_free(self.raw.as_ptr()) };
    }
}

impl Routes for Fib {
    fn add(&mut self, address: u32, len: u8, value: u32) -> bool {
        // SAFETY: the table lives; lengths above 32 are refused there.
        unsafe { dpdk_sys::rte_fib_add(self.raw.as_ptr(), address, len, value.into()) == 0 }
    }

    fn delete(&mut self, address: u32, len: u8) -> bool {
        // SAFETY: as in `add`.
        unsafe { dpdk_sys::rte_fib_delete(self.raw.as_ptr(), address, len) == 0 }
    }

    #[inline]
    fn find<const N: usize>(&self, addresses: &[u32; N], values: &mut [u32; N]) {
        let mut wide = [0u64; N];
        let mut addresses = *addresses;
        // SAFETY: `N` addresses, and room for as many values.
        unsafe {
            dpdk_sys::rte_fib_lookup_bulk(
                self.raw.as_ptr(),
                addresses.as_mut_ptr(),
                wide.as_mut_ptr(),
                N as i32,
            )
        };
        *values = wide.map(|value| value as u32);
    }
}

/// `rte_lpm`.
#[derive(Debug)]
pub struct Lpm {
    raw: NonNull<c_void>,
    /// Keeps EAL's memory.
    _runtime: Arc<Runtime>,
    _thread: PhantomData<*const ()>,
}

impl Lpm {
    /// For at most `most` routes, and of `groups` of 24 bits longer ones.
    pub fn new(eal: &Eal, name: &str, most: u32, groups: u32) -> Result<Lpm, Error> {
        let c_name = c_string("table name", name)?;
        // SAFETY: as in `Fib::new`.
        let raw = unsafe { dpdk_sys::dpdk_sys_lpm_create(c_name.as_ptr(), most, groups) };
        Ok(Lpm {
            raw: created(raw, name)?,
            _runtime: Arc::clone(eal.runtime()),
            _thread: PhantomData,
        })
    }
}

impl Drop for Lpm {
    fn drop(&mut self) {
        // SAFETY: made by `dpdk_sys_lpm_create`, and nobody else has it.
        unsafe { dpdk_sys::dpdk_sys_lpm_free(self.raw.as_ptr()) };
    }
}

impl Routes for Lpm {
    fn add(&mut self, address: u32, len: u8, value: u32) -> bool {
        // SAFETY: the table lives; lengths of 0 and above 32 are refused there.
        unsafe { dpdk_sys::dpdk_sys_lpm_add(self.raw.as_ptr(), address, len, value) == 0 }
    }

    fn delete(&mut self, address: u32, len: u8) -> bool {
        // SAFETY: as in `add`.
        unsafe { dpdk_sys::dpdk_sys_lpm_delete(self.raw.as_ptr(), address, len) == 0 }
    }

    #[inline]
    fn find<const N: usize>(&self, addresses: &[u32; N], values: &mut [u32; N]) {
        // SAFETY: `N` addresses, and room for as many values.
        unsafe {
            dpdk_sys::dpdk_sys_lpm_lookup(
                self.raw.as_ptr(),
                addresses.as_ptr(),
                values.as_mut_ptr(),
                N as u32,
                NOTHING,
            )
        };
    }
}
