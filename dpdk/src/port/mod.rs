//! Ethernet ports.
//!
//! [`Port`] is control, by one thread at a time: DPDK's control calls are not
//! reentrant, so it is `Send` but not `Sync` and each port can be opened once.
//! Starting it yields its queues ([`RxQueue`], [`TxQueue`]), which each hold a
//! reference; stopping and closing are refused until all are dropped. If the
//! `Port` itself goes first, the last queue to go closes the device.

mod config;
mod info;
mod offload;
mod queue;
mod stats;
mod vhost;

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk_sys as sys;

use crate::eal::{Eal, Runtime};
use crate::error::{Errno, Error, c_string};

pub use config::{PortConfig, RssKey, Started};
pub use info::{DeviceInfo, Link};
pub use offload::{RssTypes, RxOffloads, TxOffloads};
pub use queue::{RxQueue, TxQueue};
pub use stats::Stats;
pub use vhost::QueueEvent;

/// A port's number, as packets carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub(crate) u16);

impl PortId {
    pub fn number(self) -> u16 {
        self.0
    }
}

/// What a port and its queues share. The last to go closes the device.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) id: u16,
    pub(crate) name: String,
    started: AtomicBool,
    /// False once closed by hand.
    open: AtomicBool,
    runtime: Arc<Runtime>,
}

impl Shared {
    fn stop(&self) -> Result<(), Error> {
        if !self.started.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // SAFETY: the port is valid and no thread polls it, since no queue
        // handle exists (the callers made sure).
        check(&self.name, "stopping", unsafe {
            sys::rte_eth_dev_stop(self.id)
        })
    }

    fn close(&self) -> Result<(), Error> {
        if !self.open.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let stopped = self.stop();
        // SAFETY: the port is valid, stopped, and no queue handle exists.
        let ret = unsafe { sys::rte_eth_dev_close(self.id) };
        self.runtime.open_ports().remove(&self.id);
        stopped.and(check(&self.name, "closing", ret))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.close();
    }
}

/// The control handle of a port.
#[derive(Debug)]
pub struct Port {
    pub(crate) shared: Arc<Shared>,
    /// Control calls are not reentrant: not `Sync`.
    _one_thread: PhantomData<Cell<()>>,
}

impl Port {
    /// The ports there are, by number and name, opened or not.
    pub fn list(_eal: &Eal) -> Vec<(PortId, String)> {
        let mut ports = Vec::new();
        // SAFETY: EAL is initialised; any number may be asked for.
        let mut id = unsafe { sys::rte_eth_find_next(0) };
        while id < sys::RTE_MAX_ETHPORTS as u16 {
            if let Some(name) = name_of(id) {
                ports.push((PortId(id), name));
            }
            // SAFETY: as above.
            id = unsafe { sys::rte_eth_find_next(id + 1) };
        }
        ports
    }

    /// Opens a port by its device name: `net_tap0`, `0000:3b:00.1`.
    pub fn by_name(eal: &Eal, name: &str) -> Result<Self, Error> {
        let c_name = c_string("port name", name)?;
        let mut id = 0;
        // SAFETY: EAL is initialised; a NUL-terminated name is read and the
        // id written.
        let ret = unsafe { sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &raw mut id) };
        if ret != 0 {
            return Err(Error::NoSuchPort(name.into()));
        }
        Self::by_id(eal, PortId(id))
    }

    /// Opens a port by its number.
    pub fn by_id(eal: &Eal, id: PortId) -> Result<Self, Error> {
        let PortId(id) = id;
        // SAFETY: EAL is initialised; any number may be asked about.
        let valid = unsafe { sys::rte_eth_dev_is_valid_port(id) } != 0;
        let Some(name) = name_of(id).filter(|_| valid) else {
            return Err(Error::NoSuchPort(id.to_string()));
        };
        let runtime = Arc::clone(eal.runtime());
        if !runtime.open_ports().insert(id) {
            return Err(Error::PortInUse(name));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                id,
                name,
                started: AtomicBool::new(false),
                open: AtomicBool::new(true),
                runtime,
            }),
            _one_thread: PhantomData,
        })
    }

    pub fn id(&self) -> PortId {
        PortId(self.shared.id)
    }

    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub fn is_started(&self) -> bool {
        self.shared.started.load(Ordering::Acquire)
    }

    /// Refuses while a queue handle exists. Acquires what the threads that
    /// dropped them did: their last poll is over.
    pub(crate) fn without_queues(&mut self) -> Result<(), Error> {
        match Arc::get_mut(&mut self.shared) {
            Some(_) => Ok(()),
            None => Err(Error::QueuesInUse(self.name().into())),
        }
    }

    /// Stops the port, keeping it open; it can be started again.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.without_queues()?;
        self.shared.stop()
    }

    /// Closes the device. If queues are still held, this is refused and the
    /// device closes when the last of them is dropped.
    pub fn close(mut self) -> Result<(), Error> {
        self.without_queues()?;
        self.shared.close()
    }

    pub fn mac(&self) -> Result<[u8; 6], Error> {
        let mut mac = sys::rte_ether_addr::default();
        // SAFETY: the port is open, hence valid; the address is written.
        self.check("reading its MAC address", unsafe {
            sys::rte_eth_macaddr_get(self.shared.id, &raw mut mac)
        })?;
        Ok(mac.addr_bytes)
    }

    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), Error> {
        let mut mac = sys::rte_ether_addr { addr_bytes: mac };
        // SAFETY: the port is valid; the address is read.
        self.check("setting its MAC address", unsafe {
            sys::rte_eth_dev_default_mac_addr_set(self.shared.id, &raw mut mac)
        })
    }

    pub fn mtu(&self) -> Result<u16, Error> {
        let mut mtu = 0;
        // SAFETY: the port is valid; the MTU is written.
        self.check("reading its MTU", unsafe {
            sys::rte_eth_dev_get_mtu(self.shared.id, &raw mut mtu)
        })?;
        Ok(mtu)
    }

    /// Sets the MTU. Some drivers want the port stopped for that.
    pub fn set_mtu(&mut self, mtu: u16) -> Result<(), Error> {
        // SAFETY: the port is valid.
        self.check("setting its MTU", unsafe {
            sys::rte_eth_dev_set_mtu(self.shared.id, mtu)
        })
    }

    pub fn promiscuous(&self) -> bool {
        // SAFETY: the port is valid.
        unsafe { sys::rte_eth_promiscuous_get(self.shared.id) == 1 }
    }

    pub fn set_promiscuous(&mut self, on: bool) -> Result<(), Error> {
        let id = self.shared.id;
        if on {
            // SAFETY: the port is valid.
            self.check("entering promiscuous mode", unsafe {
                sys::rte_eth_promiscuous_enable(id)
            })
        } else {
            // SAFETY: the port is valid.
            self.check("leaving promiscuous mode", unsafe {
                sys::rte_eth_promiscuous_disable(id)
            })
        }
    }

    pub fn set_allmulticast(&mut self, on: bool) -> Result<(), Error> {
        let id = self.shared.id;
        if on {
            // SAFETY: the port is valid.
            self.check("accepting all multicast", unsafe {
                sys::rte_eth_allmulticast_enable(id)
            })
        } else {
            // SAFETY: the port is valid.
            self.check("ceasing to accept all multicast", unsafe {
                sys::rte_eth_allmulticast_disable(id)
            })
        }
    }

    /// Whether the hardware (or the peer behind a virtual device) is gone.
    pub fn is_removed(&self) -> bool {
        // SAFETY: the port is valid.
        unsafe { sys::rte_eth_dev_is_removed(self.shared.id) == 1 }
    }

    pub(crate) fn check(&self, doing: &'static str, ret: c_int) -> Result<(), Error> {
        check(&self.shared.name, doing, ret)
    }
}

/// DPDK's return value as a result.
fn check(port: &str, doing: &'static str, ret: c_int) -> Result<(), Error> {
    if ret >= 0 {
        return Ok(());
    }
    Err(Error::Port {
        port: port.into(),
        doing,
        errno: Errno::from_return(ret),
    })
}

pub(crate) fn name_of(id: u16) -> Option<String> {
    let mut name = [0 as c_char; sys::RTE_ETH_NAME_MAX_LEN as usize];
    // SAFETY: EAL is initialised wherever a port number is known; the buffer
    // has the size the callee requires, and is NUL-terminated on success.
    unsafe {
        if sys::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) != 0 {
            return None;
        }
        Some(CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
    }
}
