//! A safe, small wrapper around the parts of DPDK that a packet appliance
//! needs: the environment, pools, packets and ports.
//!
//! What keeps it safe, in one place:
//!
//! * **One environment.** [`Eal`] is created once per process and stays on
//!   the thread that created it. Every [`Mempool`], [`Port`] and queue holds
//!   a reference to it; DPDK's memory is given back only when none of them
//!   and no packet is left, and is otherwise left to the end of the process.
//! * **Packets are owned.** [`Mbuf`] is one packet; dropping it returns it to
//!   its pool, from any thread. It is as large as a pointer, and an array of
//!   them is exactly what DPDK's burst calls read and write.
//! * **Queues are handles.** [`RxQueue`] and [`TxQueue`] cannot be cloned or
//!   shared, so a queue is polled by one thread at a time. A port stops only
//!   when all of them have been dropped: no safe code can poll a stopped or
//!   closed port.
//! * **Ports are controlled by one thread at a time.** [`Port`] is not `Sync`
//!   and can be opened only once.
//!
//! The compiler holds to it:
//!
//! ```
//! fn may_move<T: Send>() {}
//! fn may_be_shared<T: Send + Sync>() {}
//! may_move::<(dpdk::Mbuf, dpdk::RxQueue, dpdk::TxQueue, dpdk::Port)>();
//! may_be_shared::<(dpdk::Mempool, dpdk::Error)>();
//! ```
//! ```compile_fail,E0277
//! fn may_be_shared<T: Sync>() {}
//! may_be_shared::<dpdk::RxQueue>();
//! ```
//! ```compile_fail,E0277
//! fn may_be_shared<T: Sync>() {}
//! may_be_shared::<dpdk::TxQueue>();
//! ```
//! ```compile_fail,E0277
//! fn may_be_shared<T: Sync>() {}
//! may_be_shared::<dpdk::Port>();
//! ```
//! ```compile_fail,E0277
//! fn may_move<T: Send>() {}
//! may_move::<dpdk::Eal>();
//! ```
//! ```compile_fail,E0599
//! fn twice(queue: dpdk::RxQueue) -> (dpdk::RxQueue, dpdk::RxQueue) {
//!     (queue.clone(), queue)
//! }
//! ```
//!
//! On the packet path nothing here allocates, locks or makes a system call,
//! apart from what the driver itself does.

pub mod eal;
pub mod error;
pub mod hash;
pub mod hotplug;
pub mod mbuf;
pub mod mempool;
pub mod port;
pub mod routes;

pub use eal::{Eal, EalConfig, Huge, LogLevel};
pub use error::{Errno, Error};
pub use mbuf::{Mbuf, NoRoom};
pub use mempool::Mempool;
pub use port::{Port, PortConfig, PortId, RxQueue, TxQueue};

/// Packets taken or sent at once. DPDK's vector drivers work in multiples of
/// this, and 32 pointers are four cache lines.
pub const BURST: usize = 32;

/// A fixed array of packets with room for one burst.
pub type Burst = arrayvec::ArrayVec<Mbuf, BURST>;
