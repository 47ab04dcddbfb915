//! DPDK device strings, as far as they can be judged without DPDK.

/// Beginnings of the names of virtual devices.
const VIRTUAL: &[&str] = &["net_", "eth_", "virtio_user"];

/// Arguments without which drivers do not open, and do not say why.
const NEEDED: &[(&str, &str)] = &[
    ("net_af_packet", "iface"),
    ("eth_af_packet", "iface"),
    ("net_af_xdp", "iface"),
    ("net_vhost", "iface"),
    ("eth_vhost", "iface"),
    ("virtio_user", "path"),
    ("net_virtio_user", "path"),
];

/// Whether a string can be a device at all. Typical slips are the name of a
/// kernel interface and spaces after commas.
pub(super) fn check(device: &str) -> Result<(), String> {
    if device.is_empty() {
        return Err("the device is missing".to_owned());
    }
    if device.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{device}` has blanks in it"));
    }
    let id = device.split(',').next().unwrap_or_default();
    let bare = NEEDED
        .iter()
        .find(|(driver, key)| id.starts_with(driver) && argument(device, key).is_none());
    if let Some((_, key)) = bare {
        return Err(format!("`{device}` lacks `{key}=`"));
    }
    let with_bus = id.contains([':', '=']);
    if with_bus || is_pci(id) || VIRTUAL.iter().any(|name| id.starts_with(name)) {
        Ok(())
    } else {
        Err(format!("`{id}` is not a DPDK device"))
    }
}

/// What makes a device itself: the string up to its first argument, a PCI
/// address with its domain.
pub fn identity(device: &str) -> String {
    let id = device.split(',').next().unwrap_or_default();
    let id = id.strip_prefix("pci:").unwrap_or(id);
    match is_pci(id) {
        true if id.matches(':').count() == 1 => format!("0000:{}", id.to_lowercase()),
        true => id.to_lowercase(),
        false => id.to_owned(),
    }
}

/// Value of an argument: `iface` of `net_tap0,iface=a` is `a`.
pub fn argument<'a>(device: &'a str, key: &str) -> Option<&'a str> {
    let mut arguments = device.split(',').skip(1);
    arguments.find_map(|argument| argument.strip_prefix(key)?.strip_prefix('='))
}

/// The devices that a bonding device joins, as its arguments name them
/// (`slave` until DPDK 23.11, `member` since).
pub fn members(device: &str) -> impl Iterator<Item = &str> {
    let arguments = device.split(',').skip(1);
    arguments.filter_map(|argument| match argument.split_once('=') {
        Some(("slave" | "member", name)) => Some(name),
        _ => None,
    })
}

/// The device that an argument of the EAL makes: `--vdev=net_tap8,iface=a`.
pub fn made_by(arg: &str) -> Option<String> {
    arg.strip_prefix("--vdev=").map(identity)
}

/// `0000:17:00.0`, with or without the domain.
pub fn is_pci(id: &str) -> bool {
    let hex = |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_hexdigit());
    let Some((rest, function)) = id.rsplit_once('.') else {
        return false;
    };
    let parts: Vec<_> = rest.split(':').collect();
    let slot = match parts[..] {
        [bus, slot] => hex(bus, 2) && hex(slot, 2),
        [domain, bus, slot] => hex(domain, 4) && hex(bus, 2) && hex(slot, 2),
        _ => false,
    };
    slot && matches!(function.as_bytes(), [b'0'..=b'7'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_meet_where_devices_do() {
        for (device, id) in [
            ("17:00.0", "0000:17:00.0"),
            ("0000:17:00.0,mprq_en=1", "0000:17:00.0"),
            ("pci:0000:AF:00.1", "0000:af:00.1"),
            ("net_tap0,iface=a", "net_tap0"),
            ("auxiliary:mlx5_core.sf.4", "auxiliary:mlx5_core.sf.4"),
            ("", ""),
        ] {
            assert_eq!(identity(device), id, "{device}");
        }
        assert!(!is_pci("17:00.8"));
        assert!(!is_pci("1:00.0"));
        assert!(!is_pci("00000:17:00.0"));
    }

    #[test]
    fn members_of_a_bonding_device() {
        let device = "net_bonding0,mode=1,slave=0000:17:00.0,slave=net_tap0,member=17:00.1,x";
        let all: Vec<_> = members(device).collect();
        assert_eq!(all, ["0000:17:00.0", "net_tap0", "17:00.1"]);
        assert_eq!(members("net_tap0,iface=slave").count(), 0);
        assert_eq!(
            made_by("--vdev=net_tap0,iface=a").as_deref(),
            Some("net_tap0")
        );
        assert_eq!(made_by("--log-level=debug"), None);
    }

    #[test]
    fn slips_are_told_from_devices() {
        for good in [
            "17:00.0",
            "net_null0,no-rx=1",
            "virtio_user0,path=/x",
            "net_bonding0,mode=1,slave=0000:17:00.0",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "eth0",
            "net_tap0, iface=a",
            "net_tap0\n",
            "net_af_packet0",
            "net_vhost0,ifaces=/x",
            "virtio_user0,server=1",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(argument("net_tap0,iface=a,mac=fixed", "iface"), Some("a"));
        assert_eq!(argument("net_vhost0,ifaces=a", "iface"), None);
        assert_eq!(argument("iface=a", "iface"), None);
    }
}
