//! What a port counted.

use std::ffi::CStr;

use dpdk_sys as sys;

use super::Port;
use crate::error::Error;

/// The counters every driver has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// Dropped by the device, its receive queue being full.
    pub rx_missed: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    /// Dropped for want of a free buffer in the pool.
    pub rx_no_buffer: u64,
}

impl Port {
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut raw = sys::rte_eth_stats::default();
        // SAFETY: the port is valid; the structure is written.
        self.check("reading its statistics", unsafe {
            sys::rte_eth_stats_get(self.shared.id, &raw mut raw)
        })?;
        Ok(Stats {
            rx_packets: raw.ipackets,
            tx_packets: raw.opackets,
            rx_bytes: raw.ibytes,
            tx_bytes: raw.obytes,
            rx_missed: raw.imissed,
            rx_errors: raw.ierrors,
            tx_errors: raw.oerrors,
            rx_no_buffer: raw.rx_nombuf,
        })
    }

    /// The driver's own counters, by its own names.
    pub fn xstats(&self) -> Result<Vec<(String, u64)>, Error> {
        const DOING: &str = "reading its extended statistics";
        let id = self.shared.id;
        // SAFETY: the port is valid; no array asks for the number.
        let count = unsafe { sys::rte_eth_xstats_get_names(id, std::ptr::null_mut(), 0) };
        self.check(DOING, count)?;
        let count = count as usize;
        let mut names = vec![sys::rte_eth_xstat_name::default(); count];
        let mut values = vec![sys::rte_eth_xstat::default(); count];
        // SAFETY: the port is valid; both arrays have `count` elements. More
        // than `count` is returned, and nothing written, if there are more.
        let (named, valued) = unsafe {
            (
                sys::rte_eth_xstats_get_names(id, names.as_mut_ptr(), count as u32),
                sys::rte_eth_xstats_get(id, values.as_mut_ptr(), count as u32),
            )
        };
        self.check(DOING, named)?;
        self.check(DOING, valued)?;
        if named as usize > count || valued as usize > count {
            // The set changed in between; the next reading has it.
            return Ok(Vec::new());
        }
        let values = values.iter().take(valued as usize);
        Ok(values
            .filter_map(|value| {
                let name = &names.get(value.id as usize)?.name;
                // SAFETY: an array of chars as an array of bytes of its size.
                let bytes =
                    unsafe { std::slice::from_raw_parts(name.as_ptr().cast::<u8>(), name.len()) };
                let name = CStr::from_bytes_until_nul(bytes).ok()?;
                Some((name.to_string_lossy().into_owned(), value.value))
            })
            .collect())
    }

    pub fn reset_stats(&mut self) -> Result<(), Error> {
        // SAFETY: the port is valid.
        self.check("resetting its statistics", unsafe {
            sys::rte_eth_stats_reset(self.shared.id)
        })
    }

    pub fn reset_xstats(&mut self) -> Result<(), Error> {
        // SAFETY: the port is valid.
        self.check("resetting its extended statistics", unsafe {
            sys::rte_eth_xstats_reset(self.shared.id)
        })
    }
}
