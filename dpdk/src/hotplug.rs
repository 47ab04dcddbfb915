//! Devices that come and go while the process runs.

use std::ffi::CString;

use dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::{Errno, Error, c_string};
use crate::port::{Port, PortId, name_of};

/// A port that could not be detached; still open if it is given back.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct DetachError {
    pub port: Option<Port>,
    #[source]
    pub error: Error,
}

impl Eal {
    /// Adds a device (`net_tap1,iface=…`, `0000:3b:00.1`) and returns its
    /// ports. They are not opened: use [`Port::by_id`].
    pub fn attach(&self, device: &str) -> Result<Vec<PortId>, Error> {
        let c_device = c_string("device", device)?;
        // SAFETY: EAL is initialised; a NUL-terminated string is read.
        let ret = unsafe { sys::rte_dev_probe(c_device.as_ptr()) };
        if ret < 0 {
            return Err(Error::Device {
                device: device.into(),
                doing: "adding it",
                errno: Errno::from_return(ret),
            });
        }
        let ports = ports_of(device, &c_device)?;
        if ports.is_empty() {
            return Err(Error::NoSuchPort(device.into()));
        }
        Ok(ports)
    }

    /// Closes the port and removes its device.
    ///
    /// Refused, with the port given back, while its queues are held, or while
    /// another port of the same device is open.
    pub fn detach(&self, mut port: Port) -> Result<(), DetachError> {
        let ready = port
            .without_queues()
            .and_then(|()| self.check_siblings(&port));
        let info = match ready.and_then(|()| port.raw_info()) {
            Ok(info) => info,
            Err(error) => {
                return Err(DetachError {
                    port: Some(port),
                    error,
                });
            }
        };
        let name = port.name().to_owned();
        let gone = |error| DetachError { port: None, error };
        port.close().map_err(gone)?;
        // SAFETY: the device is the one the port was on; it is valid until
        // removed, and no other port of it is open.
        let ret = unsafe { sys::rte_dev_remove(info.device) };
        if ret < 0 {
            return Err(gone(Error::Device {
                device: name,
                doing: "removing it",
                errno: Errno::from_return(ret),
            }));
        }
        Ok(())
    }

    /// Removing a device takes all its ports away.
    fn check_siblings(&self, port: &Port) -> Result<(), Error> {
        let device = port.raw_info()?.device;
        let open = self.runtime().open_ports().clone();
        for id in open.into_iter().filter(|id| *id != port.id().number()) {
            let mut info = sys::rte_eth_dev_info::default();
            // SAFETY: an open port is valid; the structure is written.
            let ret = unsafe { sys::rte_eth_dev_info_get(id, &raw mut info) };
            if ret == 0 && std::ptr::eq(info.device, device) {
                let name = name_of(id).unwrap_or_else(|| id.to_string());
                return Err(Error::PortInUse(name));
            }
        }
        Ok(())
    }
}

fn ports_of(device: &str, c_device: &CString) -> Result<Vec<PortId>, Error> {
    let mut ports = Vec::new();
    let mut iterator = sys::rte_dev_iterator::default();
    // SAFETY: the iterator is initialised before it is advanced, and is
    // advanced to its end, which frees what it holds.
    unsafe {
        let ret = sys::rte_eth_iterator_init(&raw mut iterator, c_device.as_ptr());
        if ret < 0 {
            return Err(Error::Device {
                device: device.into(),
                doing: "looking for its ports",
                errno: Errno::from_return(ret),
            });
        }
        loop {
            let id = sys::rte_eth_iterator_next(&raw mut iterator);
            if id >= sys::RTE_MAX_ETHPORTS as u16 {
                return Ok(ports);
            }
            ports.push(PortId(id));
        }
    }
}
