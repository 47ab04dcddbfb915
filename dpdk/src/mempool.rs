//! Pools of packet buffers.
//!
//! A pool is never freed before EAL is: so an [`Mbuf`] needs neither a
//! lifetime nor a reference count to its pool. A handle may be cloned and used
//! from any thread; lcores and registered threads have a cache of their own,
//! others go to the shared ring.

use std::ptr::NonNull;
use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::eal::{Eal, Runtime};
use crate::error::{Errno, Error, c_string};
use crate::mbuf::Mbuf;

/// Bytes before the data of a fresh packet, for headers to grow into.
pub const HEADROOM: u16 = dpdk_sys::RTE_PKTMBUF_HEADROOM as u16;
const _: () = assert!(HEADROOM >= 128, "DPDK was built with too little headroom");

/// A handle to a pool.
#[derive(Clone, Debug)]
pub struct Mempool {
    pool: NonNull<dpdk_sys::rte_mempool>,
    name: Arc<str>,
    size: u32,
    data_room: u16,
    socket: Option<u16>,
    /// Keeps EAL, and with it the pool, alive.
    _runtime: Arc<Runtime>,
}

// SAFETY: pktmbuf pools are created without the single-producer and
// single-consumer flags, so any thread may allocate and free; per-lcore caches
// are chosen by the calling thread's lcore id.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Creates a pool of `count` buffers.
    ///
    /// `cache` is how many each lcore may keep for itself (at most 512, and
    /// two thirds of `count`); `data_room` is the bytes a buffer holds behind
    /// its [`HEADROOM`]; `socket` the NUMA node, `None` for any.
    pub fn create(
        eal: &Eal,
        name: &str,
        count: u32,
        cache: u32,
        data_room: u16,
        socket: Option<u16>,
    ) -> Result<Self, Error> {
        let c_name = c_string("pool name", name)?;
        let buffer = data_room
            .checked_add(HEADROOM)
            .ok_or_else(|| Error::Config {
                field: "data_room",
                reason: format!("{data_room} is above {}", u16::MAX - HEADROOM),
            })?;
        let on = socket.map_or(-1, i32::from);
        // SAFETY: (1) EAL is initialised; (2) the name is a NUL-terminated
        // string, copied by the callee; the rest is checked by the callee.
        let pool = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create(c_name.as_ptr(), count, cache, 0, buffer, on)
        };
        let Some(pool) = NonNull::new(pool) else {
            return Err(Error::Pool {
                pool: name.into(),
                doing: "creating it",
                errno: Errno::last(),
            });
        };
        let runtime = Arc::clone(eal.runtime());
        runtime.add_pool(name.into(), count, pool);
        Ok(Self {
            pool,
            name: name.into(),
            size: count,
            data_room,
            socket,
            _runtime: runtime,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// All buffers of the pool.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Bytes a buffer holds behind its headroom.
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    pub fn socket(&self) -> Option<u16> {
        self.socket
    }

    /// Buffers that are free, caches included. Walks all caches: for
    /// statistics, not for decisions on the packet path.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives as long as EAL, which `_runtime` keeps.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// Buffers held by somebody: drivers, queues, packets.
    pub fn in_use(&self) -> u32 {
        self.size.saturating_sub(self.available())
    }

    /// An empty packet with full headroom; `None` if the pool is exhausted.
    #[inline]
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives as long as EAL and is a pktmbuf pool.
        let raw = unsafe { dpdk_sys::dpdk_sys_pktmbuf_alloc(self.pool.as_ptr()) };
        // SAFETY: a fresh mbuf is owned by nobody else.
        NonNull::new(raw).map(|raw| unsafe { Mbuf::from_raw(raw) })
    }

    /// Adds `n` empty packets, or as many as the vector has room for; all of
    /// them or, if the pool has not enough, none. Returns how many.
    #[inline]
    pub fn alloc_bulk<const N: usize>(&self, n: usize, into: &mut ArrayVec<Mbuf, N>) -> usize {
        let n = n.min(into.remaining_capacity());
        let held = into.len();
        // SAFETY: (1) the pool lives as long as EAL; (2) behind `held` the
        // vector has room for n pointers, all of which are written on
        // success; Mbuf is a transparent pointer.
        let ret = unsafe {
            let end = into.as_mut_ptr().add(held).cast();
            dpdk_sys::dpdk_sys_pktmbuf_alloc_bulk(self.pool.as_ptr(), end, n as u32)
        };
        if ret != 0 {
            return 0;
        }
        // SAFETY: n more are initialised, not null and owned by nobody else.
        unsafe { into.set_len(held + n) };
        n
    }

    pub(crate) fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.pool.as_ptr()
    }
}
