//! The command line EAL is given, built from [`EalConfig`]. Pure, so that it
//! is tested without starting anything.

use super::memory::Memory;
use super::{EalConfig, LogLevel};
use crate::error::Error;

/// DPDK is built with this many lcore ids (RTE_MAX_LCORE) at the least.
const LCORES: u16 = 128;

pub(super) fn build(config: &EalConfig, memory: &Memory) -> Result<Vec<String>, Error> {
    let mut args = vec![config.program.clone()];
    args.push("--lcores".into());
    args.push(lcores(&config.lcores)?);
    if let Some((main, _)) = config.lcores.first() {
        args.push(format!("--main-lcore={main}"));
    }
    if let Some(prefix) = &config.file_prefix {
        args.push(format!("--file-prefix={prefix}"));
    }
    if config.in_memory {
        // Ordinary pages are never files, but EAL counts them as its legacy
        // memory mode, with which --in-memory is refused: what is left to
        // keep off the disk is the shared configuration.
        let option = match memory.huge {
            true => "--in-memory",
            false => "--no-shconf",
        };
        args.push(option.into());
    }
    if !memory.huge {
        args.push("--no-huge".into());
    }
    if let Some(mb) = memory.mb {
        args.push("-m".into());
        args.push(mb.to_string());
    }
    devices(&config.devices, &mut args)?;
    args.push("--no-telemetry".into());
    args.push(format!("--log-level=*:{}", level_name(config.log_level)));
    args.extend(config.extra.iter().cloned());
    Ok(args)
}

/// `0@0,1@1`: ids are logical, several may name the same CPU.
fn lcores(pairs: &[(u16, u16)]) -> Result<String, Error> {
    let refuse = |reason: String| Error::Config {
        field: "lcores",
        reason,
    };
    if pairs.is_empty() {
        return Err(refuse("at least the main lcore is needed".into()));
    }
    for (at, (id, _)) in pairs.iter().enumerate() {
        if *id >= LCORES {
            return Err(refuse(format!("id {id} is above {}", LCORES - 1)));
        }
        if pairs[..at].iter().any(|(other, _)| other == id) {
            return Err(refuse(format!("id {id} is given twice")));
        }
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(id, cpu)| format!("{id}@{cpu}"))
        .collect();
    Ok(pairs.join(","))
}

fn devices(devices: &[String], args: &mut Vec<String>) -> Result<(), Error> {
    let mut on_bus = false;
    for device in devices {
        let name = device.split(',').next().unwrap_or_default();
        if name.is_empty() {
            return Err(Error::Config {
                field: "devices",
                reason: format!("{device:?} names no device"),
            });
        }
        if is_pci_address(name) || name.contains(':') {
            // PCI and the other buses that are scanned: an allowlist.
            on_bus = true;
            args.push("-a".into());
            args.push(device.clone());
        } else {
            args.push(format!("--vdev={device}"));
        }
    }
    if !on_bus {
        // Otherwise EAL would take over every NIC bound to vfio.
        args.push("--no-pci".into());
    }
    Ok(())
}

/// `[dddd:]bb:dd.f`, in hexadecimal.
fn is_pci_address(name: &str) -> bool {
    let hex = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let Some((rest, function)) = name.rsplit_once('.') else {
        return false;
    };
    let mut parts = rest.rsplit(':');
    let device = parts.next().is_some_and(|part| hex(part, 2));
    let bus = parts.next().is_some_and(|part| hex(part, 2));
    let domain = parts.next().is_none_or(|part| hex(part, 8));
    hex(function, 1) && device && bus && domain && parts.next().is_none()
}

pub(super) fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Critical => "critical",
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Notice => "notice",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(huge: bool, mb: Option<u32>) -> Memory {
        Memory {
            huge,
            mb,
            note: String::new(),
        }
    }

    fn line(config: &EalConfig, memory: &Memory) -> String {
        build(config, memory).unwrap().join(" ")
    }

    #[test]
    fn the_whole_line() {
        let config = EalConfig {
            program: "weft".into(),
            file_prefix: Some("weft-r".into()),
            lcores: vec![(0, 0), (1, 1), (2, 1)],
            devices: vec!["net_ring0".into(), "net_null0,no-rx=1".into()],
            extra: vec!["--single-file-segments".into()],
            ..EalConfig::default()
        };
        assert_eq!(
            line(&config, &memory(false, Some(256))),
            "weft --lcores 0@0,1@1,2@1 --main-lcore=0 --file-prefix=weft-r --no-shconf \
             --no-huge -m 256 --vdev=net_ring0 --vdev=net_null0,no-rx=1 --no-pci \
             --no-telemetry --log-level=*:warning --single-file-segments"
        );
    }

    #[test]
    fn the_first_lcore_is_main_even_if_its_id_is_not_the_lowest() {
        let config = EalConfig {
            lcores: vec![(5, 0), (1, 0)],
            ..EalConfig::default()
        };
        let line = line(&config, &memory(true, None));
        assert!(line.contains("--lcores 5@0,1@0 --main-lcore=5"), "{line}");
        assert!(line.contains(" --in-memory "), "{line}");
        assert!(
            !line.contains("--no-huge") && !line.contains("-m "),
            "{line}"
        );
    }

    #[test]
    fn pci_devices_are_an_allowlist() {
        let config = EalConfig {
            devices: vec!["0000:3b:00.1,dv_flow_en=1".into(), "net_null0".into()],
            ..EalConfig::default()
        };
        let line = line(&config, &memory(true, None));
        assert!(
            line.contains("-a 0000:3b:00.1,dv_flow_en=1 --vdev=net_null0"),
            "{line}"
        );
        assert!(!line.contains("--no-pci"), "{line}");
    }

    #[test]
    fn pci_addresses() {
        for good in ["3b:00.1", "0000:3b:00.1", "10000:e1:1f.7"] {
            assert!(is_pci_address(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "net_tap0",
            "3b:00",
            "3b:00.",
            "g0:00.1",
            "3b.1",
            "1:2:3:4.5",
        ] {
            assert!(!is_pci_address(bad), "{bad}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        for (lcores, reason) in [
            (vec![], "at least the main lcore"),
            (vec![(1, 0), (1, 1)], "id 1 is given twice"),
            (vec![(128, 0)], "id 128 is above 127"),
        ] {
            let config = EalConfig {
                lcores,
                ..EalConfig::default()
            };
            let error = build(&config, &memory(true, None)).unwrap_err().to_string();
            assert!(
                error.starts_with("lcores: ") && error.contains(reason),
                "{error}"
            );
        }
        let config = EalConfig {
            devices: vec![",no-rx=1".into()],
            ..EalConfig::default()
        };
        assert!(build(&config, &memory(true, None)).is_err());
    }
}
