//! What a device is and whether its link is up.

use std::ffi::CStr;

use dpdk_sys as sys;

use super::{Port, RssTypes, RxOffloads, TxOffloads};
use crate::error::Error;

/// What a device is and can do.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    pub driver: String,
    /// The NUMA node it is attached to; `None` if it has none.
    pub socket: Option<u16>,
    /// The kernel's interface behind it, if there is one.
    pub if_index: Option<u32>,
    pub max_rx_queues: u16,
    pub max_tx_queues: u16,
    /// Least and most descriptors of a receive queue.
    pub rx_descriptors: (u16, u16),
    /// Least and most descriptors of a transmit queue.
    pub tx_descriptors: (u16, u16),
    /// Most segments of memory that a packet to send may lie in; 0 if it does
    /// not say.
    pub tx_segments: u16,
    pub min_mtu: u16,
    pub max_mtu: u16,
    pub rx_offloads: RxOffloads,
    pub tx_offloads: TxOffloads,
    pub rss_types: RssTypes,
    /// Bytes of its hash key; 0 if it does not say.
    pub rss_key_len: u8,
    /// Entries of its redirection table; 0 if it has none.
    pub reta_size: u16,
}

/// The state of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub up: bool,
    /// `None` if unknown.
    pub speed_mbps: Option<u32>,
    pub full_duplex: bool,
    pub autoneg: bool,
}

impl Port {
    pub(crate) fn raw_info(&self) -> Result<sys::rte_eth_dev_info, Error> {
        let mut info = sys::rte_eth_dev_info::default();
        // SAFETY: the port is valid; the structure is written.
        self.check("reading its capabilities", unsafe {
            sys::rte_eth_dev_info_get(self.shared.id, &raw mut info)
        })?;
        Ok(info)
    }

    pub fn info(&self) -> Result<DeviceInfo, Error> {
        let info = self.raw_info()?;
        let driver = if info.driver_name.is_null() {
            String::new()
        } else {
            // SAFETY: a NUL-terminated string that lives as long as the
            // driver.
            unsafe { CStr::from_ptr(info.driver_name) }
                .to_string_lossy()
                .into_owned()
        };
        // SAFETY: the port is valid.
        let socket = unsafe { sys::rte_eth_dev_socket_id(self.shared.id) };
        Ok(DeviceInfo {
            driver,
            socket: u16::try_from(socket).ok(),
            if_index: Some(info.if_index).filter(|index| *index != 0),
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            rx_descriptors: (info.rx_desc_lim.nb_min, info.rx_desc_lim.nb_max),
            tx_descriptors: (info.tx_desc_lim.nb_min, info.tx_desc_lim.nb_max),
            tx_segments: info.tx_desc_lim.nb_seg_max,
            min_mtu: info.min_mtu,
            max_mtu: info.max_mtu,
            rx_offloads: RxOffloads::from_bits(info.rx_offload_capa),
            tx_offloads: TxOffloads::from_bits(info.tx_offload_capa),
            rss_types: RssTypes::from_bits(info.flow_type_rss_offloads),
            rss_key_len: info.hash_key_size,
            reta_size: info.reta_size,
        })
    }

    /// The link as it is now, without waiting for it to settle.
    pub fn link(&self) -> Result<Link, Error> {
        let mut link = sys::dpdk_sys_link::default();
        // SAFETY: the port is valid; the structure is written.
        self.check("reading its link state", unsafe {
            sys::dpdk_sys_link_get_nowait(self.shared.id, &raw mut link)
        })?;
        Ok(Link {
            up: link.up != 0,
            speed_mbps: Some(link.speed_mbps).filter(|mbps| ![0, u32::MAX].contains(mbps)),
            full_duplex: link.full_duplex != 0,
            autoneg: link.autoneg != 0,
        })
    }
}
