//! Devices on DPDK: opening them, and handing queues to workers.

use arrayvec::ArrayVec;
use dpdk::Mbuf;
use dpdk::eal::{Eal, EalConfig, Huge as EalHuge, LogLevel};
use dpdk::mempool::Mempool;
use dpdk::port::{DeviceInfo, Port, PortConfig, RssKey, RxQueue, Started, TxQueue};

use crate::config::{self, Config, Huge, PoolSize};
use crate::datapath::BURST;
use crate::model::{self, Role};
use crate::packet::HEADROOM;
use crate::port::dpdk::{DpdkPort, Guest, Out};
use crate::port::spread::Queues;
use crate::wire::Mac;

use super::dpdk_devices::Interface;

mod offload;

const AF_PACKET: &str = "net_af_packet";
const VHOST: &str = "net_vhost";

/// Drivers whose queues come in pairs: a transmit queue without a receive
/// queue beside it would be given packets that nobody fetches.
const PAIRED: [&str; 6] = [
    AF_PACKET,
    "net_af_xdp",
    "net_tap",
    VHOST,
    "net_virtio_user",
    "net_memif",
];

/// What the EAL is told.
pub(super) fn eal_config(config: &Config, no_huge: bool) -> EalConfig {
    let mut lcores = vec![(0, config.runtime.control_cpu)];
    lcores.extend((1u16..).zip(config.runtime.workers.iter().copied()));
    EalConfig {
        program: "weft".into(),
        file_prefix: Some(config.file_prefix()),
        in_memory: config.runtime.in_memory,
        huge: match config.runtime.huge {
            _ if no_huge => EalHuge::No,
            Huge::Auto => EalHuge::Auto,
            Huge::Yes => EalHuge::Yes,
            Huge::No => EalHuge::No,
        },
        memory_mb: Some(
            config
                .runtime
                .memory_mb
                .unwrap_or_else(|| config::memory_mb(config)),
        ),
        lcores,
        devices: devices(config),
        log_level: LogLevel::Error,
        extra: eal_args(config),
    }
}

/// The ports' devices, and those that a bonding device is made of: the EAL
/// looks for none that it is not told of. Members with arguments of their own
/// are in `eal_args`.
fn devices(config: &Config) -> Vec<String> {
    let ports = || config.port.iter().map(|port| port.device.as_str());
    let made = |name: &str| {
        let mut args = config.runtime.eal_args.iter();
        args.any(|arg| config::check::device::made_by(arg).is_some_and(|made| made == name))
    };
    let members = ports().flat_map(config::check::device::members);
    let members = members.filter(|name| !made(name)).map(str::to_owned);
    members
        .chain(config.port.iter().map(config::device_string))
        .collect()
}

/// What the file says, and what its devices need.
pub(super) fn eal_args(config: &Config) -> Vec<String> {
    let mut args = config.runtime.eal_args.clone();
    // virtio-user shares its memory with the other side file by file, at most
    // eight; hugepages of their own would be hundreds.
    let shares =
        |port: &model::Port| config::check::device::identity(&port.device).contains("virtio_user");
    if config.port.iter().any(shares) && !args.iter().any(|arg| arg == SINGLE_FILE) {
        args.push(SINGLE_FILE.to_owned());
    }
    args
}

const SINGLE_FILE: &str = "--single-file-segments";

/// Packet pools, one for each NUMA node that has ports.
pub(super) fn pools(eal: &Eal, config: &Config) -> Result<Vec<Mempool>, dpdk::Error> {
    let make = |size: PoolSize| {
        let room = size.data_room.saturating_sub(HEADROOM as u16);
        let name = format!("packets{}", size.socket);
        Mempool::create(
            eal,
            &name,
            size.mbufs,
            size.cache,
            room,
            Some(size.socket as u16),
        )
        // A NUMA node that the machine does not have, as in a container.
        .or_else(|_| Mempool::create(eal, &name, size.mbufs, size.cache, room, None))
    };
    config::pools(config).into_iter().map(make).collect()
}

/// A started port with the queues that are still to be handed out.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) port: Port,
    pub(super) mac: Mac,
    pub(super) driver: String,
    pub(super) rx_queues: u16,
    /// The kernel's interface below, where the driver does not look at it.
    pub(super) interface: Option<Interface>,
    rx: Vec<Option<RxQueue>>,
    tx: Vec<Option<TxQueue>>,
    pub(super) tx_queues: u16,
    /// Of a guest that may use several queues, which one worker sends by: those
    /// that it uses.
    pub(super) guest: Option<Queues>,
    pub(super) offloads: offload::Granted,
}

/// Opens and starts a configured port.
pub(super) fn open(
    eal: &Eal,
    config: &Config,
    index: usize,
    pools: &[Mempool],
) -> Result<Opened, dpdk::Error> {
    let wanted = &config.port[index];
    let name = config::check::device::identity(&wanted.device);
    let mut port = Port::by_name(eal, &name)?;
    let info = port.info()?;
    // The default is lowered to what the device has; a number that was asked
    // for is not.
    let rx_queues = wanted
        .queues
        .unwrap_or_else(|| config.queues(wanted).min(info.max_rx_queues));
    let is_guest = info.driver == VHOST && wanted.role == Role::Node;
    let tx_most = match info.driver.as_str() {
        driver if PAIRED.contains(&driver) => rx_queues,
        _ => info.max_tx_queues,
    };
    let tx_queues = match is_guest {
        true => rx_queues,
        false => config.workers().min(tx_most).max(1),
    };
    if let Some(mac) = wanted.mac {
        port.set_mac(mac.0)?;
    }
    let uplink = wanted.role == Role::Uplink;
    let offloads = offload::wanted(config, wanted.offloads, &info.driver);
    let settings = PortConfig {
        rx_queues,
        tx_queues,
        rx_desc: wanted.descriptors,
        tx_desc: wanted.descriptors,
        mtu: mtu_to_set(&port, &info.driver, wanted.mtu),
        // A node may use any destination address, so that what it sends to a
        // wrong one is counted by name and not lost in the device.
        promiscuous: !uplink,
        rss: rx_queues > 1,
        rss_key: rss_key(wanted, &info, rx_queues)?,
        rx_offloads: offloads.rx,
        tx_offloads: offloads.tx,
        ..PortConfig::default()
    };
    let started = port.start(&settings, pools)?;
    let offloads = offload::Granted::of(&info, &started);
    let Started { mut rx, tx, .. } = started;
    if info.driver == AF_PACKET {
        warn_of_interface(wanted);
        rx.iter_mut().for_each(empty);
    }
    if uplink || wanted.nd_proxy {
        // Solicited-node groups are many; devices that cannot take all
        // multicast take it anyway when they are virtual.
        if let Err(error) = port.set_allmulticast(true) {
            log::debug!("{}: {error}", wanted.name);
        }
    }
    Ok(Opened {
        name: wanted.name.clone(),
        mac: Mac(port.mac()?),
        interface: Interface::below(&info.driver, &wanted.device),
        driver: info.driver,
        rx_queues: rx.len() as u16,
        tx_queues: tx.len() as u16,
        guest: (is_guest && tx.len() > 1).then(Queues::default),
        offloads,
        rx: rx.into_iter().map(Some).collect(),
        tx: tx.into_iter().map(Some).collect(),
        port,
    })
}

/// The key of the hash that spreads packets. Both directions of a flow come to
/// one queue, unless the file says otherwise: workers share less that way. A
/// key that the device cannot take is no reason to start with another one.
fn rss_key(port: &model::Port, info: &DeviceInfo, rx_queues: u16) -> Result<RssKey, dpdk::Error> {
    let length = usize::from(info.rss_key_len);
    let takes = rx_queues > 1 && length > 0 && !info.rss_types.is_empty();
    let refuse = |why: String| {
        let reason = format!(
            "of port `{}`: {why}; leave the key out, or write \"driver\"",
            port.name
        );
        Err(dpdk::Error::Config {
            field: "rss_key",
            reason,
        })
    };
    match &port.rss_key {
        None if takes => Ok(RssKey::Symmetric),
        None | Some(model::RssKey::Driver) => Ok(RssKey::Driver),
        Some(_) if rx_queues < 2 => refuse("the device has one receive queue".to_owned()),
        Some(_) if !takes => refuse(format!("{} takes no key", info.driver)),
        Some(model::RssKey::Bytes(bytes)) if bytes.len() != length => refuse(format!(
            "it has {} bytes, and the keys of {} have {length}",
            bytes.len(),
            info.driver
        )),
        Some(model::RssKey::Bytes(bytes)) => Ok(RssKey::Bytes(bytes.clone())),
    }
}

/// Throws away what a queue has before its worker sees it. Between its making
/// and its binding to an interface a packet socket takes the frames of all of
/// them: without this, a frame of another tenant's wire could count for this
/// one's, and its sender be learned as the node.
fn empty(queue: &mut RxQueue) {
    let mut frames = ArrayVec::<Mbuf, BURST>::new();
    // A ring has fewer places than this; a flood must not hold up the start.
    for _ in 0..0x1_0000 / BURST {
        if queue.rx_burst(&mut frames) == 0 {
            break;
        }
        frames.clear();
    }
}

/// Virtual devices that carry any size refuse to be told one.
fn mtu_to_set(port: &Port, driver: &str, wanted: u16) -> Option<u16> {
    // Says of itself that it takes 1518 bytes, whatever its slots hold.
    if driver == AF_PACKET && wanted > 1500 {
        return None;
    }
    port.mtu().is_ok_and(|mtu| mtu != wanted).then_some(wanted)
}

/// A packet socket sends nothing larger than its interface's MTU, and counts
/// nothing when it does not. Who set the interface up is told at the start.
fn warn_of_interface(port: &model::Port) {
    let Some(interface) = config::check::device::argument(&port.device, "iface") else {
        return;
    };
    let path = format!("/sys/class/net/{interface}/mtu");
    let mtu = std::fs::read_to_string(path).ok();
    if let Some(mtu) = mtu.and_then(|text| text.trim().parse::<u32>().ok())
        && mtu < u32::from(port.mtu)
    {
        log::warn!(
            "port {}: its MTU is {}, but interface {interface} has {mtu}; larger packets will be \
             lost: ip link set {interface} mtu {}",
            port.name,
            port.mtu,
            port.mtu
        );
    }
}

impl Opened {
    /// The queues of one worker: its share of the receive queues, and its
    /// transmit queue if there are enough.
    pub(super) fn take(&mut self, rx: &[u16], worker: u16) -> DpdkPort {
        let rx = rx
            .iter()
            .filter_map(|queue| self.rx.get_mut(usize::from(*queue))?.take());
        let tx = match (&self.guest, worker) {
            (Some(used), 0) => {
                let queues = self.tx.iter_mut().filter_map(Option::take);
                Out::Guest(Box::new(Guest::new(queues.collect(), used.clone())))
            }
            (Some(_), _) => Out::Nowhere,
            (None, _) => {
                let own = self.tx.get_mut(usize::from(worker));
                own.and_then(Option::take).map_or(Out::Nowhere, Out::Queue)
            }
        };
        let offloads = &self.offloads;
        DpdkPort::new(rx.collect(), tx, offloads.capabilities, offloads.unfinished)
    }

    /// The worker that sends on this port for another one.
    pub(super) fn transmitter(&self, worker: u16) -> u16 {
        match self.guest {
            Some(_) => 0,
            None => worker % self.tx_queues.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use dpdk::port::{RssTypes, RxOffloads, TxOffloads};

    use super::*;

    pub(super) fn device(driver: &str, rss_key_len: u8) -> DeviceInfo {
        DeviceInfo {
            driver: driver.into(),
            socket: None,
            if_index: None,
            max_rx_queues: 8,
            max_tx_queues: 8,
            rx_descriptors: (0, 0),
            tx_descriptors: (0, 0),
            tx_segments: 0,
            min_mtu: 68,
            max_mtu: 9000,
            rx_offloads: RxOffloads::empty(),
            tx_offloads: TxOffloads::empty(),
            rss_types: match rss_key_len {
                0 => RssTypes::empty(),
                _ => RssTypes::IP,
            },
            rss_key_len,
            reta_size: 128,
        }
    }

    fn port(key: &str) -> model::Port {
        let text = format!("name = \"up\"\ndevice = \"17:00.0\"\nrole = \"uplink\"\n{key}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn keys_are_the_devices_or_refused() {
        let ice = device("net_ice", 52);
        let af_packet = device("net_af_packet", 0);
        assert_eq!(rss_key(&port(""), &ice, 2).unwrap(), RssKey::Symmetric);
        assert_eq!(rss_key(&port(""), &ice, 1).unwrap(), RssKey::Driver);
        assert_eq!(rss_key(&port(""), &af_packet, 2).unwrap(), RssKey::Driver);
        let driver = port("rss_key = \"driver\"");
        for device in [&ice, &af_packet] {
            assert_eq!(rss_key(&driver, device, 2).unwrap(), RssKey::Driver);
        }
        let given = |bytes: usize| port(&format!("rss_key = \"{}\"", "a5".repeat(bytes)));
        let fits = RssKey::Bytes(vec![0xa5; 52]);
        assert_eq!(rss_key(&given(52), &ice, 2).unwrap(), fits);
        for (bytes, device, queues, why) in [
            (
                40,
                &ice,
                2,
                "it has 40 bytes, and the keys of net_ice have 52",
            ),
            (52, &ice, 1, "the device has one receive queue"),
            (40, &af_packet, 2, "net_af_packet takes no key"),
        ] {
            let error = rss_key(&given(bytes), device, queues).unwrap_err();
            let text = error.to_string();
            let start = format!("rss_key: of port `up`: {why}; ");
            assert!(text.starts_with(&start), "{text}");
        }
    }
}
