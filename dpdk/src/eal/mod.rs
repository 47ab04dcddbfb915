//! DPDK's environment: memory, lcores, drivers.
//!
//! It exists once per process, cannot be started a second time even after a
//! failure, and is controlled by the thread that started it: [`Eal`] is
//! neither `Send` nor `Sync`. That thread becomes the main lcore and is
//! pinned to its CPU; threads it starts afterwards inherit that pinning.

mod args;
mod memory;
mod thread;

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int};
use std::fs;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::{Errno, Error, c_string};

pub use thread::{RegisteredThread, lcore_id, register_thread, tsc};

/// How many packets, and where, decides whether hugepages are worth it; the
/// default takes them where they are to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Huge {
    /// Hugepages if enough are free, else ordinary pages.
    #[default]
    Auto,
    /// Hugepages, or initialisation fails.
    Yes,
    /// Ordinary pages: needs no privilege, and devices that need physical
    /// addresses do not work.
    No,
}

/// The least important message that DPDK still prints, on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    Critical,
    Error,
    #[default]
    Warning,
    Notice,
    Info,
    Debug,
}

#[derive(Clone, Debug)]
pub struct EalConfig {
    pub program: String,
    /// Separates instances on one machine (`--file-prefix`).
    pub file_prefix: Option<String>,
    /// No files at all, so that a killed process leaves none behind.
    pub in_memory: bool,
    pub huge: Huge,
    /// Memory to reserve at the start. Without hugepages it is all there is.
    pub memory_mb: Option<u32>,
    /// (logical id, CPU). The first is the main lcore; several ids may share
    /// a CPU.
    pub lcores: Vec<(u16, u16)>,
    /// Device strings (`net_tap0,iface=…`) or bus addresses (`0000:3b:00.1`).
    pub devices: Vec<String>,
    pub log_level: LogLevel,
    /// Passed to EAL as they are, last.
    pub extra: Vec<String>,
}

impl Default for EalConfig {
    fn default() -> Self {
        Self {
            program: "dpdk".into(),
            file_prefix: None,
            in_memory: true,
            huge: Huge::Auto,
            memory_mb: None,
            lcores: vec![(0, 0)],
            devices: Vec::new(),
            log_level: LogLevel::default(),
            extra: Vec::new(),
        }
    }
}

/// What pools, ports and queues share: as long as one of them holds it, EAL
/// is not cleaned up. It has no destructor on purpose, see [`Eal::shutdown`].
#[derive(Debug)]
pub(crate) struct Runtime {
    open_ports: Mutex<BTreeSet<u16>>,
    pools: Mutex<Vec<PoolEntry>>,
}

#[derive(Debug)]
struct PoolEntry {
    name: String,
    size: u32,
    pool: NonNull<dpdk_sys::rte_mempool>,
}

// SAFETY: the pointer is only handed to rte_mempool_avail_count, which may be
// called from any thread.
unsafe impl Send for PoolEntry {}

impl Runtime {
    pub(crate) fn open_ports(&self) -> MutexGuard<'_, BTreeSet<u16>> {
        self.open_ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_pool(&self, name: String, size: u32, pool: NonNull<dpdk_sys::rte_mempool>) {
        self.pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(PoolEntry { name, size, pool });
    }
}

static INITIALISED: AtomicBool = AtomicBool::new(false);
/// For threads that register themselves and cannot reach the `Eal`.
static RUNTIME: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());

/// The running environment.
#[derive(Debug)]
pub struct Eal {
    /// `None` once shut down.
    runtime: Option<Arc<Runtime>>,
    main: u16,
    workers: Vec<u16>,
    memory_note: String,
    huge: bool,
    /// The main lcore is a thread: not `Send`, not `Sync`.
    _thread: PhantomData<*const ()>,
}

impl Eal {
    /// Starts DPDK's environment with the devices of the configuration.
    ///
    /// Whatever the configuration can be blamed for is refused before the
    /// one attempt that a process has is spent.
    pub fn init(config: &EalConfig) -> Result<Self, Error> {
        check_cpus(&config.lcores)?;
        let memory = memory::Memory::plan(config)?;
        let args = args::build(config, &memory)?
            .iter()
            .map(|arg| c_string("EAL argument", arg))
            .collect::<Result<Vec<_>, _>>()?;
        if INITIALISED.swap(true, Ordering::AcqRel) {
            return Err(Error::AlreadyInitialised);
        }
        start(args)?;
        if config.in_memory {
            remove_runtime_dir();
        }
        let runtime = Arc::new(Runtime {
            open_ports: Mutex::default(),
            pools: Mutex::default(),
        });
        *RUNTIME.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&runtime);
        Ok(Self {
            runtime: Some(runtime),
            main: config.lcores[0].0,
            workers: config.lcores[1..].iter().map(|(id, _)| *id).collect(),
            memory_note: memory.note,
            huge: memory.huge,
            _thread: PhantomData,
        })
    }

    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        match &self.runtime {
            Some(runtime) => runtime,
            // Only shutdown and drop take it, and both own the Eal.
            None => unreachable!("the environment is shut down"),
        }
    }

    /// Which kind of memory is used, and why; one line for the log.
    pub fn memory_note(&self) -> &str {
        &self.memory_note
    }

    pub fn uses_hugepages(&self) -> bool {
        self.huge
    }

    /// The lcore of the thread that owns the `Eal`.
    pub fn main_lcore(&self) -> u16 {
        self.main
    }

    /// The lcores that can be given work, in the order of the configuration.
    pub fn workers(&self) -> &[u16] {
        &self.workers
    }

    /// Ticks of the time-stamp counter per second.
    pub fn tsc_hz(&self) -> u64 {
        // SAFETY: EAL is initialised, which is when it measures the TSC.
        unsafe { dpdk_sys::rte_get_tsc_hz() }
    }

    /// For everything registered so far; drivers loaded later start with the
    /// level of the configuration.
    pub fn set_log_level(&self, level: LogLevel) -> Result<(), Error> {
        let number = match level {
            LogLevel::Critical => dpdk_sys::RTE_LOG_CRIT,
            LogLevel::Error => dpdk_sys::RTE_LOG_ERR,
            LogLevel::Warning => dpdk_sys::RTE_LOG_WARNING,
            LogLevel::Notice => dpdk_sys::RTE_LOG_NOTICE,
            LogLevel::Info => dpdk_sys::RTE_LOG_INFO,
            LogLevel::Debug => dpdk_sys::RTE_LOG_DEBUG,
        };
        // SAFETY: the pattern is a NUL-terminated string that is only read;
        // this is the one thread that controls EAL.
        let ret = unsafe { dpdk_sys::rte_log_set_level_pattern(c"*".as_ptr(), number) };
        if ret < 0 {
            return Err(Error::Eal {
                doing: format!("setting the log level to {}", args::level_name(level)),
                errno: Errno::from_return(ret),
            });
        }
        Ok(())
    }

    /// DPDK's name and version.
    pub fn version() -> String {
        // SAFETY: no preconditions; the result is a NUL-terminated string in
        // static memory.
        unsafe { std::ffi::CStr::from_ptr(dpdk_sys::rte_version()) }
            .to_string_lossy()
            .into_owned()
    }

    /// Waits for all workers and gives DPDK's memory back.
    ///
    /// Refused, and the memory left to the end of the process, while a pool,
    /// port or queue handle or a single packet is still held anywhere: that
    /// is a leak at worst, where cleaning up would be a use after free.
    pub fn shutdown(mut self) -> Result<(), Error> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some(runtime) = self.runtime.take() else {
            return Ok(());
        };
        for lcore in &self.workers {
            // SAFETY: called on the main lcore with the id of a worker.
            unsafe { dpdk_sys::rte_eal_wait_lcore(u32::from(*lcore)) };
        }
        let runtime = Arc::try_unwrap(runtime).map_err(|_| {
            Error::StillInUse("a pool, port, queue or registered thread is held".into())
        })?;
        let pools = runtime
            .pools
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for entry in &pools {
            // SAFETY: pools are freed only by rte_eal_cleanup below.
            let free = unsafe { dpdk_sys::rte_mempool_avail_count(entry.pool.as_ptr()) };
            if free < entry.size {
                return Err(Error::StillInUse(format!(
                    "{} packets of pool {} are held",
                    entry.size - free,
                    entry.name
                )));
            }
        }
        // SAFETY: (1) on the main lcore; (2) all workers have returned; (3) no
        // handle exists, since the runtime had this one owner; (4) no packet
        // exists, since every pool is full.
        let ret = unsafe { dpdk_sys::rte_eal_cleanup() };
        if ret != 0 {
            return Err(Error::Eal {
                doing: "cleaning up".into(),
                errno: Errno::from_return(ret),
            });
        }
        Ok(())
    }
}

impl Drop for Eal {
    /// As [`Eal::shutdown`], without the reason if it is refused. Waits for
    /// the workers: tell them to stop first.
    fn drop(&mut self) {
        let _ = self.finish();
    }
}

/// Calls `rte_eal_init`. Once per process: the caller has made sure.
fn start(args: Vec<CString>) -> Result<(), Error> {
    let line = args
        .iter()
        .map(|arg| arg.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let mut argv: Vec<*mut c_char> = args.into_iter().map(CString::into_raw).collect();
    let argc = argv.len() as c_int;
    argv.push(std::ptr::null_mut());
    // EAL and drivers keep pointers into the strings: both live for ever.
    let argv = argv.leak();
    // SAFETY: log_to_stderr takes nothing. rte_eal_init: (1) called once, (2)
    // argv holds argc writable NUL-terminated strings and a NULL, (3) they
    // are never freed.
    let ret = unsafe {
        dpdk_sys::dpdk_sys_log_to_stderr();
        dpdk_sys::rte_eal_init(argc, argv.as_mut_ptr())
    };
    if ret < 0 {
        return Err(Error::Eal {
            doing: format!("starting with: {line}"),
            errno: Errno::last(),
        });
    }
    Ok(())
}

/// EAL ends the process if it cannot pin a worker: refuse before.
fn check_cpus(lcores: &[(u16, u16)]) -> Result<(), Error> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(());
    };
    let Some(list) = status
        .lines()
        .find_map(|l| l.strip_prefix("Cpus_allowed_list:"))
    else {
        return Ok(());
    };
    let list = list.trim();
    for (id, cpu) in lcores {
        if !in_cpu_list(list, *cpu) {
            return Err(Error::Config {
                field: "lcores",
                reason: format!("lcore {id} wants CPU {cpu}; this process may use {list}"),
            });
        }
    }
    Ok(())
}

/// Whether a kernel CPU list such as `0-3,8` holds the CPU.
fn in_cpu_list(list: &str, cpu: u16) -> bool {
    list.split(',').any(|part| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        match (low.trim().parse::<u16>(), high.trim().parse::<u16>()) {
            (Ok(low), Ok(high)) => (low..=high).contains(&cpu),
            _ => false,
        }
    })
}

/// DPDK makes a directory for its files even when it is told to make none.
/// Removed at once, so that a killed process leaves nothing; one that is in
/// use is not empty and stays.
fn remove_runtime_dir() {
    // SAFETY: called after a successful rte_eal_init; the result is a
    // NUL-terminated string in static storage, or null.
    let dir = unsafe {
        let dir = dpdk_sys::rte_eal_get_runtime_dir();
        (!dir.is_null()).then(|| CStr::from_ptr(dir))
    };
    if let Some(Ok(dir)) = dir.map(CStr::to_str) {
        drop(std::fs::remove_dir(dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        for (list, cpu, held) in [
            ("0", 0, true),
            ("0-1", 1, true),
            ("0-1", 2, false),
            ("0-3,8,10-11", 8, true),
            ("0-3,8,10-11", 9, false),
            ("0-3,8,10-11", 11, true),
            ("", 0, false),
        ] {
            assert_eq!(in_cpu_list(list, cpu), held, "{list} {cpu}");
        }
    }

    #[test]
    fn a_cpu_that_is_not_there_is_refused_before_eal_starts() {
        let config = EalConfig {
            lcores: vec![(0, 0), (1, 9999)],
            ..EalConfig::default()
        };
        let error = Eal::init(&config).unwrap_err().to_string();
        assert!(error.contains("lcore 1 wants CPU 9999"), "{error}");
        assert!(!INITIALISED.load(Ordering::Acquire));
    }
}
