//! Configuring and starting a port.

use std::sync::atomic::Ordering;

use dpdk_sys as sys;

use super::{Port, RssTypes, RxOffloads, RxQueue, TxOffloads, TxQueue};
use crate::error::{Direction, Error};
use crate::mempool::Mempool;

/// The bytes every Ethernet frame has besides the MTU: addresses, type, one
/// or two VLAN tags.
const L2_OVERHEAD: u32 = 14 + 2 * 4;
/// The usual hash key, for devices that do not say how long theirs is.
const RSS_KEY_LEN: usize = 40;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RssKey {
    /// The driver's own.
    #[default]
    Driver,
    /// Both directions of a flow hash alike.
    Symmetric,
    Bytes(Vec<u8>),
}

impl RssKey {
    /// The bytes for a device with keys of this length (0: not said).
    fn bytes(&self, device: u8) -> Result<Option<Vec<u8>>, Error> {
        let length = match usize::from(device) {
            0 => RSS_KEY_LEN,
            length => length,
        };
        match self {
            Self::Driver => Ok(None),
            // Repeating 16 bits makes the Toeplitz hash symmetric in source
            // and destination; these are the ones with the best spread.
            Self::Symmetric => Ok(Some(
                [0x6d, 0x5a].into_iter().cycle().take(length).collect(),
            )),
            Self::Bytes(bytes) if bytes.len() == length => Ok(Some(bytes.clone())),
            Self::Bytes(bytes) => Err(Error::Config {
                field: "rss_key",
                reason: format!("has {} bytes, the device's have {length}", bytes.len()),
            }),
        }
    }
}

#[derive(Clone, Debug)]
pub struct PortConfig {
    pub rx_queues: u16,
    pub tx_queues: u16,
    /// Descriptors per queue; rounded to what the device takes.
    pub rx_desc: u16,
    pub tx_desc: u16,
    /// `None` keeps the device's.
    pub mtu: Option<u16>,
    pub promiscuous: bool,
    /// Spread packets over the receive queues by flow, where there are
    /// several and the device can.
    pub rss: bool,
    pub rss_key: RssKey,
    pub rss_types: RssTypes,
    /// Wanted: enabled where the device has them, see [`Started`].
    /// `SCATTER` is added by itself if a frame may exceed a buffer.
    pub rx_offloads: RxOffloads,
    /// Wanted: enabled where the device has them, see [`Started`].
    /// `MBUF_FAST_FREE` promises that all packets of a queue come from one
    /// pool and are not shared.
    pub tx_offloads: TxOffloads,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_desc: 1024,
            tx_desc: 1024,
            mtu: None,
            promiscuous: false,
            rss: true,
            rss_key: RssKey::Driver,
            rss_types: RssTypes::IP | RssTypes::TCP | RssTypes::UDP,
            rx_offloads: RxOffloads::empty(),
            tx_offloads: TxOffloads::MULTI_SEGS,
        }
    }
}

impl PortConfig {
    /// By which fields to spread packets, of those the device can hash.
    fn spread_by(&self, capable: RssTypes) -> RssTypes {
        if self.rss && self.rx_queues > 1 {
            self.rss_types & capable
        } else {
            RssTypes::empty()
        }
    }
}

/// A started port's queues, and what it really does.
#[derive(Debug)]
pub struct Started {
    pub rx: Vec<RxQueue>,
    pub tx: Vec<TxQueue>,
    pub rx_offloads: RxOffloads,
    pub tx_offloads: TxOffloads,
    pub rx_desc: u16,
    pub tx_desc: u16,
    pub mtu: u16,
    /// By which fields packets are spread; empty if they are not.
    pub rss_types: RssTypes,
    pub promiscuous: bool,
}

/// What is decided before the device is touched.
struct Plan {
    rx_offloads: RxOffloads,
    tx_offloads: TxOffloads,
    rss_types: RssTypes,
    key: Option<Vec<u8>>,
    /// 0 for DPDK's default.
    mtu: u32,
}

impl Port {
    /// Configures and starts the port and hands out its queues. Received
    /// packets come from the pool on the device's NUMA node if there is one,
    /// else from the first.
    ///
    /// A running port is stopped first, for which its queues must be dropped.
    pub fn start(&mut self, config: &PortConfig, pools: &[Mempool]) -> Result<Started, Error> {
        self.stop()?;
        let info = self.raw_info()?;
        self.check_queues(config, &info)?;
        let socket = self.info()?.socket;
        let pool = pools
            .iter()
            .find(|pool| socket.is_some() && pool.socket() == socket)
            .or(pools.first());
        if config.rx_queues > 0 && pool.is_none() {
            return Err(Error::Config {
                field: "pools",
                reason: format!("port {} receives and needs one", self.name()),
            });
        }
        let plan = self.plan(config, &info, pool)?;
        self.configure(config, &plan)?;
        let (rx_desc, tx_desc) = self.set_up_queues(config, &plan, &info, pool)?;
        if let Some(mtu) = config.mtu {
            self.apply_mtu(mtu)?;
        }
        // SAFETY: the port is valid, configured, and its queues are set up.
        self.check("starting", unsafe {
            sys::rte_eth_dev_start(self.shared.id)
        })?;
        self.shared.started.store(true, Ordering::Release);
        if config.promiscuous {
            match self.set_promiscuous(true) {
                Err(error) if !error.errno().is_some_and(|e| e.is_not_supported()) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(Started {
            mtu: self.mtu()?,
            promiscuous: self.promiscuous(),
            rx_offloads: plan.rx_offloads,
            tx_offloads: plan.tx_offloads,
            rss_types: plan.rss_types,
            rx_desc,
            tx_desc,
            rx: (0..config.rx_queues)
                .map(|queue| RxQueue::new(&self.shared, queue))
                .collect(),
            tx: (0..config.tx_queues)
                .map(|queue| TxQueue::new(&self.shared, queue))
                .collect(),
        })
    }

    fn check_queues(&self, config: &PortConfig, info: &sys::rte_eth_dev_info) -> Result<(), Error> {
        if config.rx_queues == 0 && config.tx_queues == 0 {
            return Err(Error::Config {
                field: "queues",
                reason: format!("port {} would have none at all", self.name()),
            });
        }
        for (direction, wanted, max) in [
            (Direction::Rx, config.rx_queues, info.max_rx_queues),
            (Direction::Tx, config.tx_queues, info.max_tx_queues),
        ] {
            if wanted > max {
                return Err(Error::TooManyQueues {
                    port: self.name().into(),
                    direction,
                    wanted,
                    max,
                });
            }
        }
        if let Some(mtu) = config.mtu
            && (mtu < info.min_mtu || mtu > info.max_mtu)
        {
            return Err(Error::Mtu {
                port: self.name().into(),
                wanted: mtu,
                min: info.min_mtu,
                max: info.max_mtu,
            });
        }
        Ok(())
    }

    fn plan(
        &self,
        config: &PortConfig,
        info: &sys::rte_eth_dev_info,
        pool: Option<&Mempool>,
    ) -> Result<Plan, Error> {
        let rx_capable = RxOffloads::from_bits(info.rx_offload_capa);
        let tx_capable = TxOffloads::from_bits(info.tx_offload_capa);
        let mut rx_wanted = config.rx_offloads;
        // Left unsaid, DPDK would set 1500 whatever the device has.
        let mtu = config.mtu.map_or_else(|| self.mtu(), Ok)?;
        let frame = u32::from(mtu) + L2_OVERHEAD;
        if pool.is_some_and(|pool| frame > u32::from(pool.data_room())) {
            rx_wanted = rx_wanted | RxOffloads::SCATTER;
        }
        let rss_types = config.spread_by(RssTypes::from_bits(info.flow_type_rss_offloads));
        Ok(Plan {
            rx_offloads: rx_wanted & rx_capable,
            tx_offloads: config.tx_offloads & tx_capable,
            rss_types,
            mtu: match (info.min_mtu..=info.max_mtu).contains(&mtu) {
                true => u32::from(mtu),
                false => 0,
            },
            key: match rss_types.is_empty() {
                true => None,
                false => config.rss_key.bytes(info.hash_key_size)?,
            },
        })
    }

    fn configure(&mut self, config: &PortConfig, plan: &Plan) -> Result<(), Error> {
        let mut conf = sys::rte_eth_conf::default();
        conf.rxmode.offloads = plan.rx_offloads.bits();
        conf.txmode.offloads = plan.tx_offloads.bits();
        conf.rxmode.mtu = plan.mtu;
        let mut key = plan.key.clone();
        if !plan.rss_types.is_empty() {
            conf.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf = rss_conf(plan.rss_types, key.as_deref_mut());
        }
        // SAFETY: the port is valid and stopped; the structure, and the key
        // it points to, live through the call, which copies them.
        self.check("configuring", unsafe {
            sys::rte_eth_dev_configure(
                self.shared.id,
                config.rx_queues,
                config.tx_queues,
                &raw const conf,
            )
        })
    }

    /// Returns the numbers of descriptors that the device settled for.
    fn set_up_queues(
        &mut self,
        config: &PortConfig,
        plan: &Plan,
        info: &sys::rte_eth_dev_info,
        pool: Option<&Mempool>,
    ) -> Result<(u16, u16), Error> {
        let id = self.shared.id;
        let (mut rx_desc, mut tx_desc) = (config.rx_desc, config.tx_desc);
        // SAFETY: the port is valid; both numbers are read and written.
        self.check("choosing the number of descriptors", unsafe {
            sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &raw mut rx_desc, &raw mut tx_desc)
        })?;
        // SAFETY: the port is valid. SOCKET_ID_ANY (-1) passes through.
        let socket = unsafe { sys::rte_eth_dev_socket_id(id) } as u32;
        if let Some(pool) = pool {
            let mut conf = info.default_rxconf;
            conf.offloads = plan.rx_offloads.bits();
            for queue in 0..config.rx_queues {
                // SAFETY: the port is configured with more than `queue`
                // queues and stopped; the pool lives until EAL is cleaned up,
                // which this port's existence prevents.
                self.check("setting up a receive queue", unsafe {
                    let conf = &raw const conf;
                    sys::rte_eth_rx_queue_setup(id, queue, rx_desc, socket, conf, pool.as_ptr())
                })?;
            }
        }
        let mut conf = info.default_txconf;
        conf.offloads = plan.tx_offloads.bits();
        for queue in 0..config.tx_queues {
            // SAFETY: the port is configured with more than `queue` queues
            // and stopped.
            self.check("setting up a transmit queue", unsafe {
                sys::rte_eth_tx_queue_setup(id, queue, tx_desc, socket, &raw const conf)
            })?;
        }
        Ok((rx_desc, tx_desc))
    }

    /// Configuring has passed the MTU on, but a device with an interface in
    /// the kernel changes that one only when told so. Devices without such a
    /// notion carry any frame.
    fn apply_mtu(&mut self, mtu: u16) -> Result<(), Error> {
        match self.set_mtu(mtu) {
            Err(error) if error.errno().is_some_and(|e| e.is_not_supported()) => Ok(()),
            result => result,
        }
    }

    /// Changes hash key and fields of a started port.
    pub fn set_rss(&mut self, key: &RssKey, types: RssTypes) -> Result<(), Error> {
        let mut key = key.bytes(self.raw_info()?.hash_key_size)?;
        let mut conf = rss_conf(types, key.as_deref_mut());
        // SAFETY: the port is valid; the structure, and the key it points to,
        // live through the call.
        self.check("setting its RSS key", unsafe {
            sys::rte_eth_dev_rss_hash_update(self.shared.id, &raw mut conf)
        })
    }

    /// The hash key in use.
    pub fn rss_key(&self) -> Result<Vec<u8>, Error> {
        let length = match self.raw_info()?.hash_key_size {
            0 => RSS_KEY_LEN,
            length => usize::from(length),
        };
        let mut key = vec![0; length];
        let mut conf = rss_conf(RssTypes::empty(), Some(&mut key));
        // SAFETY: the port is valid; the key has room for the device's.
        self.check("reading its RSS key", unsafe {
            sys::rte_eth_dev_rss_hash_conf_get(self.shared.id, &raw mut conf)
        })?;
        Ok(key)
    }
}

/// Points into `key`, which must outlive the result.
fn rss_conf(types: RssTypes, key: Option<&mut [u8]>) -> sys::rte_eth_rss_conf {
    let mut conf = sys::rte_eth_rss_conf {
        rss_hf: types.bits(),
        ..Default::default()
    };
    if let Some(key) = key {
        conf.rss_key_len = key.len() as u8;
        conf.rss_key = key.as_mut_ptr();
    }
    conf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_spread_by_what_the_device_can_hash() {
        const IPV6: u64 = 1 << 8;
        const IPV6_TCP: u64 = 1 << 10;
        const IPV6_UDP: u64 = 1 << 11;
        // Of a device that hashes IPv6 with ports, and Ethernet addresses.
        let device = RssTypes::from_bits(IPV6 | IPV6_TCP | IPV6_UDP | 1 << 14);
        let two = PortConfig {
            rx_queues: 2,
            ..PortConfig::default()
        };
        assert_eq!(two.spread_by(device).bits(), IPV6 | IPV6_TCP | IPV6_UDP);
        let addresses = RssTypes::from_bits(IPV6);
        assert_eq!(two.spread_by(addresses), addresses);
        assert!(two.spread_by(RssTypes::empty()).is_empty());
        assert!(PortConfig::default().spread_by(device).is_empty());
    }

    #[test]
    fn keys_fit_the_device() {
        assert_eq!(RssKey::Driver.bytes(40).unwrap(), None);
        let symmetric = RssKey::Symmetric.bytes(52).unwrap().unwrap();
        assert_eq!(
            (symmetric.len(), &symmetric[..3]),
            (52, &[0x6d, 0x5a, 0x6d][..])
        );
        assert_eq!(RssKey::Symmetric.bytes(0).unwrap().unwrap().len(), 40);
        assert!(RssKey::Bytes(vec![1; 40]).bytes(40).unwrap().is_some());
        let error = RssKey::Bytes(vec![1; 39])
            .bytes(40)
            .unwrap_err()
            .to_string();
        assert!(error.contains("39") && error.contains("40"), "{error}");
    }
}
