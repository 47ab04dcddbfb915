//! Hugepages or not, decided before EAL starts: EAL can be initialised only
//! once, so trying one and then the other is not possible.

use std::fs;
use std::path::Path;

use super::{EalConfig, Huge};
use crate::error::Error;

/// What is reserved when nothing is said: enough for the pools of a few
/// ports, little enough for a test machine.
const DEFAULT_MB: u32 = 256;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) huge: bool,
    /// For `-m`; with hugepages EAL grows on demand if nothing is given.
    pub(super) mb: Option<u32>,
    /// Why, for the log.
    pub(super) note: String,
}

impl Memory {
    pub(super) fn plan(config: &EalConfig) -> Result<Self, Error> {
        Self::plan_in(
            config,
            Path::new("/sys/kernel/mm/hugepages"),
            Path::new("/proc/mounts"),
        )
    }

    fn plan_in(config: &EalConfig, sysfs: &Path, mounts: &Path) -> Result<Self, Error> {
        if config.memory_mb == Some(0) {
            return Err(Error::Config {
                field: "memory_mb",
                reason: "must be above 0".into(),
            });
        }
        let wanted = config.memory_mb.unwrap_or(DEFAULT_MB);
        match config.huge {
            Huge::Yes => Ok(Self::huge(config, "hugepages, as configured".into())),
            Huge::No => Ok(Self::small(wanted, "no hugepages, as configured".into())),
            Huge::Auto => {
                let free = free_mb(sysfs);
                if free < u64::from(wanted) {
                    let note = format!(
                        "no hugepages: {wanted} MB are needed and {free} MB are free \
                         (see vm.nr_hugepages)"
                    );
                    return Ok(Self::small(wanted, note));
                }
                if !config.in_memory && !hugetlbfs_mounted(mounts) {
                    let note = "no hugepages: no hugetlbfs is mounted and in_memory is off".into();
                    return Ok(Self::small(wanted, note));
                }
                let note = format!("hugepages: {free} MB are free, {wanted} MB are needed");
                Ok(Self::huge(config, note))
            }
        }
    }

    fn huge(config: &EalConfig, note: String) -> Self {
        Self {
            huge: true,
            mb: config.memory_mb,
            note,
        }
    }

    /// No buffer crosses a boundary of the pages that a pool lies in, and of
    /// 4 KiB each there is room for one of 2 KiB and its header: up to twice
    /// as much is needed. What stays unused is never touched, and costs nothing.
    fn small(mb: u32, note: String) -> Self {
        Self {
            huge: false,
            mb: Some(mb.saturating_mul(2)),
            note,
        }
    }
}

/// Free hugepages of all sizes. Anything unreadable counts as none.
fn free_mb(sysfs: &Path) -> u64 {
    let Ok(sizes) = fs::read_dir(sysfs) else {
        return 0;
    };
    sizes
        .flatten()
        .filter_map(|size| {
            let name = size.file_name();
            let kb: u64 = name
                .to_str()?
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?
                .parse()
                .ok()?;
            let free: u64 = fs::read_to_string(size.path().join("free_hugepages"))
                .ok()?
                .trim()
                .parse()
                .ok()?;
            Some(kb.saturating_mul(free) / 1024)
        })
        .sum()
}

fn hugetlbfs_mounted(mounts: &Path) -> bool {
    fs::read_to_string(mounts).is_ok_and(|text| {
        text.lines()
            .any(|line| line.split(' ').nth(2) == Some("hugetlbfs"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory like sysfs's, with this many free 2 MB pages.
    fn sysfs(test: &str, free: u32) -> std::path::PathBuf {
        let root = std::env::temp_dir().join(format!("weft-dpdk-{}-{test}", std::process::id()));
        let size = root.join("hugepages-2048kB");
        fs::create_dir_all(&size).unwrap();
        fs::write(size.join("free_hugepages"), format!("{free}\n")).unwrap();
        fs::create_dir_all(root.join("hugepages-1048576kB")).unwrap();
        fs::write(root.join("hugepages-1048576kB/free_hugepages"), "0\n").unwrap();
        root
    }

    fn plan(test: &str, free: u32, config: &EalConfig, mounts: &str) -> Memory {
        let root = sysfs(test, free);
        let mount_file = root.join("mounts");
        fs::write(&mount_file, mounts).unwrap();
        let plan = Memory::plan_in(config, &root, &mount_file).unwrap();
        fs::remove_dir_all(&root).unwrap();
        plan
    }

    const MOUNTED: &str = "hugetlbfs /dev/hugepages hugetlbfs rw,relatime 0 0\n";

    #[test]
    fn auto_takes_hugepages_only_if_enough_are_free() {
        let config = EalConfig {
            memory_mb: Some(128),
            ..EalConfig::default()
        };
        let enough = plan("enough", 64, &config, "");
        assert!(enough.huge && enough.mb == Some(128), "{enough:?}");
        let short = plan("short", 63, &config, MOUNTED);
        assert!(!short.huge && short.mb == Some(256), "{short:?}");
        assert!(
            short.note.contains("128 MB are needed and 126 MB are free"),
            "{short:?}"
        );
    }

    #[test]
    fn without_in_memory_a_mount_is_needed() {
        let config = EalConfig {
            in_memory: false,
            ..EalConfig::default()
        };
        assert!(!plan("unmounted", 512, &config, "tmpfs /hugetlbfs tmpfs rw 0 0\n").huge);
        let plan = plan("mounted", 512, &config, MOUNTED);
        assert!(plan.huge && plan.mb.is_none(), "{plan:?}");
    }

    #[test]
    fn what_is_configured_is_done() {
        let mut config = EalConfig {
            huge: Huge::Yes,
            ..EalConfig::default()
        };
        assert!(plan("yes", 0, &config, "").huge);
        config.huge = Huge::No;
        let none = plan("no", 512, &config, MOUNTED);
        assert!(!none.huge && none.mb == Some(2 * DEFAULT_MB), "{none:?}");
        config.memory_mb = Some(0);
        assert!(Memory::plan(&config).is_err());
    }

    #[test]
    fn a_machine_without_the_directory_has_none() {
        assert_eq!(free_mb(Path::new("/nonexistent")), 0);
    }
}
