//! Devices that come and go: opened by control, handed to workers queue by
//! queue when the snapshot knows them, closed when all queues have come back.

use std::rc::Rc;

use dpdk::eal::Eal;
use dpdk::mempool::Mempool;
use dpdk::port::Port;

use crate::config::{self, Config};
use crate::datapath::ports::{PortHandles, Swap};
use crate::port::dpdk::DpdkPort;
use crate::wire::Mac;

use super::dpdk::{eal_args, open};
use super::dpdk_devices::Device;

/// What hotplug needs beside the devices themselves.
#[derive(Debug)]
pub(super) struct Hotplug {
    eal: Rc<Eal>,
    /// The EAL's arguments cannot change.
    eal_args: Vec<String>,
    /// One for each worker.
    workers: Vec<PortHandles<DpdkPort>>,
    /// Queues that wait for the snapshot.
    coming: Vec<(u16, Vec<Swap<DpdkPort>>)>,
    leaving: Vec<Leaving>,
    tickets: u32,
}

/// A port whose queues are still with workers.
#[derive(Debug)]
struct Leaving {
    slot: u16,
    name: String,
    port: Port,
    ticket: u32,
    told: bool,
    /// Workers that have not given up their part.
    left: usize,
}

impl Hotplug {
    pub(super) fn new(
        eal: Rc<Eal>,
        config: &Config,
        workers: Vec<PortHandles<DpdkPort>>,
    ) -> Hotplug {
        Hotplug {
            eal,
            eal_args: eal_args(config),
            workers,
            coming: Vec::new(),
            leaving: Vec::new(),
            tickets: 0,
        }
    }

    /// Adds the device of a port and starts it.
    pub(super) fn open(
        &mut self,
        config: &Config,
        index: usize,
        slot: u16,
        pools: &[Mempool],
    ) -> Result<(Device, Mac), String> {
        let wanted = &config.port[index];
        let name = config::check::device::identity(&wanted.device);
        if self
            .leaving
            .iter()
            .any(|leaving| leaving.port.name() == name)
        {
            return Err(format!("{name} is still closing; try again"));
        }
        self.check(config, index, pools)?;
        if let Some(why) = super::absent::reason(&wanted.device) {
            return Err(format!("device {}: {why}", wanted.device));
        }
        super::stale::remove_sockets(std::iter::once(wanted.device.as_str()));
        let device = config::device_string(wanted);
        self.eal
            .attach(&device)
            .map_err(|error| error.to_string())?;
        let mut opened = open(&self.eal, config, index, pools).map_err(|error| {
            self.remove(wanted);
            error.to_string()
        })?;
        let mut actual = config.clone();
        actual.port[index].queues = Some(opened.rx_queues);
        let polls = actual.polls();
        self.tickets += 1;
        let swaps = (0..config.workers()).map(|worker| {
            let mine = polls
                .iter()
                .filter(|poll| poll.port == index && poll.worker == worker);
            let rx: Vec<u16> = mine.map(|poll| poll.queue).collect();
            Swap {
                slot,
                io: opened.take(&rx, worker),
                transmitter: opened.transmitter(worker),
                ticket: self.tickets,
            }
        });
        let swaps = swaps.collect();
        self.coming.push((slot, swaps));
        let mac = opened.mac;
        Ok((Device::new(opened), mac))
    }

    /// What was settled at the start and cannot be made to fit a new port.
    fn check(&self, config: &Config, index: usize, pools: &[Mempool]) -> Result<(), String> {
        let wanted = &config.port[index];
        let members = config::check::device::members(&wanted.device);
        if eal_args(config) != self.eal_args || members.count() > 0 {
            let device = config::check::device::identity(&wanted.device);
            return Err(format!(
                "{device} needs what only a start can set up; restart the appliance with this file"
            ));
        }
        let sizes = config::pools(config);
        for pool in pools {
            let room = sizes.iter().map(|size| size.data_room).max().unwrap_or(0);
            if usize::from(pool.data_room()) + crate::packet::HEADROOM < usize::from(room) {
                return Err(format!(
                    "its MTU of {} needs larger packet buffers than there are; restart the \
                     appliance with this file",
                    wanted.mtu
                ));
            }
        }
        let needed: u64 = config::needed(config).values().sum();
        let size: u64 = pools.iter().map(|pool| u64::from(pool.size())).sum();
        if config.limits.mbufs.is_none() && needed > size {
            return Err(format!(
                "with it {needed} packet buffers can be in use, and there are {size}: give it \
                 fewer `descriptors`, or restart the appliance, with a larger `limits.mbufs` if \
                 more ports will come"
            ));
        }
        Ok(())
    }

    /// Takes away a device that could not be opened.
    fn remove(&self, wanted: &crate::model::Port) {
        let name = config::check::device::identity(&wanted.device);
        if let Ok(port) = Port::by_name(&self.eal, &name)
            && let Err(error) = self.eal.detach(port)
        {
            log::warn!("{name}: {error}");
        }
    }

    /// Closes a device, as soon as no worker has a queue of it.
    pub(super) fn close(&mut self, slot: u16, name: String, port: Port) {
        if let Some(at) = self.coming.iter().position(|(coming, _)| *coming == slot) {
            // No worker has seen it.
            self.coming.swap_remove(at);
            return self.detach(&name, port);
        }
        self.tickets += 1;
        self.leaving.push(Leaving {
            slot,
            name,
            port,
            ticket: self.tickets,
            told: false,
            left: self.workers.len(),
        });
    }

    fn detach(&self, name: &str, port: Port) {
        match self.eal.detach(port) {
            Ok(()) => log::info!("port {name} is gone"),
            Err(error) => log::error!("port {name}: {error}"),
        }
    }

    pub(super) fn is_free(&self, slot: u16) -> bool {
        !self.leaving.iter().any(|leaving| leaving.slot == slot)
    }

    /// The snapshot that workers read knows what has come, and no longer what
    /// leaves.
    pub(super) fn hand_out(&mut self) {
        for (_, swaps) in self.coming.drain(..) {
            for (worker, swap) in self.workers.iter_mut().zip(swaps) {
                // Rings have room for all slots.
                let _ = worker.to_worker.push(swap);
            }
        }
        for leaving in self.leaving.iter_mut().filter(|leaving| !leaving.told) {
            leaving.told = true;
            for worker in &mut self.workers {
                let swap = Swap {
                    slot: leaving.slot,
                    io: DpdkPort::default(),
                    transmitter: 0,
                    ticket: leaving.ticket,
                };
                let _ = worker.to_worker.push(swap);
            }
        }
    }

    /// Closes what all workers have given up.
    pub(super) fn collect(&mut self) {
        for worker in &mut self.workers {
            while let Ok((ticket, queues)) = worker.back.pop() {
                drop(queues);
                let mut leaving = self.leaving.iter_mut();
                if let Some(leaving) = leaving.find(|leaving| leaving.ticket == ticket) {
                    leaving.left -= 1;
                }
            }
        }
        while let Some(at) = self.leaving.iter().position(|leaving| leaving.left == 0) {
            let gone = self.leaving.swap_remove(at);
            self.detach(&gone.name, gone.port);
        }
    }
}
