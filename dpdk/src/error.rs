//! What can go wrong, said with the place, the thing being done and DPDK's
//! own text for the reason.

use std::ffi::{CStr, CString};
use std::fmt;

/// An error number as DPDK uses them: those of the system and its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// From a return value; DPDK returns negative numbers for errors.
    pub(crate) fn from_return(value: i32) -> Self {
        Self(value.saturating_abs())
    }

    /// The calling thread's `rte_errno`, set by the call that just failed.
    pub(crate) fn last() -> Self {
        // SAFETY: no preconditions; the shim reads a thread-local variable.
        Self::from_return(unsafe { dpdk_sys::dpdk_sys_errno() })
    }

    /// The positive number, comparable with `libc`'s constants.
    pub fn code(self) -> i32 {
        self.0
    }

    /// True for ENOTSUP, with which drivers decline what they do not offer.
    pub fn is_not_supported(self) -> bool {
        const ENOTSUP: i32 = 95;
        self.0 == ENOTSUP
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: rte_strerror takes any number and returns a NUL-terminated
        // string in static or thread-local memory, which is copied before
        // this thread can call it again.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        write!(f, "{} (error {})", text.to_string_lossy(), self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Errno {}

/// Which side of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Rx,
    Tx,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rx => "receive",
            Self::Tx => "transmit",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("DPDK's environment can be initialised only once per process")]
    AlreadyInitialised,
    #[error("DPDK's environment is not initialised")]
    NotInitialised,
    #[error(
        "DPDK's environment is still in use: {0}; its memory is left to the end of the process"
    )]
    StillInUse(String),
    /// Refused before DPDK was asked.
    #[error("{field}: {reason}")]
    Config { field: &'static str, reason: String },
    #[error("DPDK's environment: {doing}: {errno}")]
    Eal { doing: String, errno: Errno },
    #[error("lcore {lcore}: {reason}")]
    Lcore { lcore: u16, reason: &'static str },
    #[error("pool {pool}: {doing}: {errno}")]
    Pool {
        pool: String,
        doing: &'static str,
        errno: Errno,
    },
    #[error("there is no port {0}; its device string is missing, or its driver refused it")]
    NoSuchPort(String),
    #[error("port {0} is already open")]
    PortInUse(String),
    #[error("port {0}: its queues are still held; drop them before it is stopped or closed")]
    QueuesInUse(String),
    #[error(
        "port {port}: {wanted} {direction} queues were asked for; the device has at most {max}"
    )]
    TooManyQueues {
        port: String,
        direction: Direction,
        wanted: u16,
        max: u16,
    },
    #[error("port {port}: MTU {wanted} is outside what the device takes, {min} to {max}")]
    Mtu {
        port: String,
        wanted: u16,
        min: u16,
        max: u16,
    },
    #[error("port {port}: {doing}: {errno}")]
    Port {
        port: String,
        doing: &'static str,
        errno: Errno,
    },
    #[error("device {device}: {doing}: {errno}")]
    Device {
        device: String,
        doing: &'static str,
        errno: Errno,
    },
}

impl Error {
    /// The number DPDK gave, where DPDK was asked at all.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Eal { errno, .. }
            | Self::Pool { errno, .. }
            | Self::Port { errno, .. }
            | Self::Device { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

/// A string for C, or an error that names the field it came from.
pub(crate) fn c_string(field: &'static str, text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Config {
        field,
        reason: format!("{text:?} contains a NUL byte"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_place_and_dpdks_text() {
        let error = Error::Port {
            port: "net_ring0".into(),
            doing: "starting",
            errno: Errno::from_return(-16),
        };
        assert_eq!(
            error.to_string(),
            "port net_ring0: starting: Device or resource busy (error 16)"
        );
        assert_eq!(error.errno().map(Errno::code), Some(16));
        assert!(Errno::from_return(-95).is_not_supported());
        assert_eq!(Errno::from_return(i32::MIN).code(), i32::MAX);
    }

    #[test]
    fn nul_bytes_are_refused_by_field() {
        let error = c_string("devices", "net_\0null").unwrap_err();
        assert!(error.to_string().starts_with("devices: "), "{error}");
    }
}
