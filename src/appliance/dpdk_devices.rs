//! Devices on DPDK, as control asks them.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use arrayvec::ArrayVec;
use dpdk::mempool::Mempool;
use dpdk::port::Port;

use crate::config::{self, Config};
use crate::port::spread::{self, Queues};
use crate::wire::Mac;

use super::devices::{DeviceFacts, Devices, Link, PoolFill};
use super::dpdk::Opened;
use super::dpdk_hotplug::Hotplug;

/// An interface of the kernel that a driver with a packet socket uses. Such
/// drivers of DPDK call the link up whatever happens to it, at least up to
/// 22.11.
#[derive(Debug)]
pub(super) struct Interface {
    directory: PathBuf,
    /// One of the same name that is made later is not the one in use.
    index: String,
}

impl Interface {
    /// `None` as well if it cannot be seen from here, as in a container with
    /// another's `/sys`.
    pub(super) fn below(driver: &str, device: &str) -> Option<Interface> {
        if !matches!(driver, "net_af_packet" | "net_af_xdp") {
            return None;
        }
        let name = config::check::device::argument(device, "iface")?;
        let directory = Path::new("/sys/class/net").join(name);
        let index = fs::read_to_string(directory.join("ifindex")).ok()?;
        Some(Interface { directory, index })
    }

    fn is_up(&self) -> bool {
        let read = |file| fs::read_to_string(self.directory.join(file)).unwrap_or_default();
        // Of an interface that is switched off the carrier cannot be read.
        read("carrier").trim() == "1" && read("ifindex") == self.index
    }
}

/// A started device, as control sees it.
#[derive(Debug)]
pub(super) struct Device {
    port: Port,
    name: String,
    facts: DeviceFacts,
    interface: Option<Interface>,
    guest: Option<Queues>,
    /// Its link could not be asked for, which is said once.
    silent: Cell<bool>,
}

impl Device {
    pub(super) fn new(opened: Opened) -> Device {
        Device {
            facts: DeviceFacts {
                driver: opened.driver,
                rx_queues: opened.rx_queues,
                tx_queues: opened.tx_queues,
                offloads: opened.offloads.names,
            },
            interface: opened.interface,
            guest: opened.guest,
            name: opened.name,
            port: opened.port,
            silent: Cell::new(false),
        }
    }

    /// Which of its queues the guest uses now.
    fn follow_guest(&self) {
        let Some(guest) = &self.guest else {
            return;
        };
        let told = std::iter::from_fn(|| self.port.vhost_queue_event());
        // Each queue and direction once: more is news of meanwhile.
        let told: ArrayVec<_, { 2 * spread::MOST }> = told.take(2 * spread::MOST).collect();
        if !told.is_empty() {
            let events = told.iter().filter(|event| !event.guest_sends);
            guest.follow(events.map(|event| (event.queue, event.enabled)));
        }
    }

    fn link(&self) -> Link {
        if self.port.is_removed() {
            return Link::default();
        }
        // A tap is asked for by its interface's name in this namespace, and
        // is not there once it is given to another: its own end is always up.
        if self.facts.driver == "net_tap" {
            return Link { up: true, speed: 0 };
        }
        if self.interface.as_ref().is_some_and(|below| !below.is_up()) {
            return Link::default();
        }
        match self.port.link() {
            Ok(link) => Link {
                up: link.up,
                speed: link.speed_mbps.unwrap_or(0),
            },
            Err(error) => {
                if !self.silent.replace(true) {
                    log::warn!(
                        "port {}: its link state is not known, taken for down: {error}",
                        self.name
                    );
                }
                Link::default()
            }
        }
    }
}

/// Control's handles of the ports.
#[derive(Debug)]
pub(super) struct DpdkDevices {
    /// By slot.
    devices: Vec<Option<Device>>,
    pools: Vec<Mempool>,
    hotplug: Hotplug,
}

impl DpdkDevices {
    pub(super) fn new(opened: Vec<Opened>, pools: Vec<Mempool>, hotplug: Hotplug) -> DpdkDevices {
        DpdkDevices {
            devices: opened.into_iter().map(Device::new).map(Some).collect(),
            pools,
            hotplug,
        }
    }

    fn device(&self, slot: u16) -> Option<&Device> {
        self.devices.get(usize::from(slot))?.as_ref()
    }
}

impl Devices for DpdkDevices {
    fn link(&self, port: u16) -> Link {
        self.device(port).map_or_else(Link::default, Device::link)
    }

    fn facts(&self, port: u16) -> DeviceFacts {
        self.device(port)
            .map_or_else(DeviceFacts::default, |device| device.facts.clone())
    }

    fn counters(&self, port: u16) -> Vec<(String, u64)> {
        let device = self.device(port);
        device.map_or_else(Vec::new, |device| device.port.xstats().unwrap_or_default())
    }

    fn open(&mut self, config: &Config, index: usize, slot: u16) -> Result<Mac, String> {
        let (device, mac) = self.hotplug.open(config, index, slot, &self.pools)?;
        let slot = usize::from(slot);
        if slot >= self.devices.len() {
            self.devices.resize_with(slot + 1, || None);
        }
        self.devices[slot] = Some(device);
        Ok(mac)
    }

    fn close(&mut self, slot: u16) {
        let device = self.devices.get_mut(usize::from(slot));
        if let Some(device) = device.and_then(Option::take) {
            self.hotplug.close(slot, device.name, device.port);
        }
    }

    fn is_free(&self, slot: u16) -> bool {
        self.device(slot).is_none() && self.hotplug.is_free(slot)
    }

    fn hand_out(&mut self) {
        self.hotplug.hand_out();
    }

    fn collect(&mut self) {
        self.hotplug.collect();
        let devices = self.devices.iter().flatten();
        devices.for_each(Device::follow_guest);
    }

    fn pools(&self) -> Vec<PoolFill> {
        let fill = |pool: &Mempool| PoolFill {
            name: pool.name().to_owned(),
            size: pool.size(),
            in_use: pool.in_use(),
        };
        self.pools.iter().map(fill).collect()
    }
}
