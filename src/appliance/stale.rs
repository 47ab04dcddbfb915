//! Sockets of virtual devices that an appliance left when it was killed.
//!
//! DPDK's vhost and memif drivers refuse to listen where a file is, whoever
//! made it. One that nobody listens on is in nobody's use.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::config::check::device;

/// Removes what stands in the way of these devices.
pub(super) fn remove_sockets<'a>(devices: impl Iterator<Item = &'a str>) {
    for path in devices.filter_map(listens_at).map(Path::new) {
        if !is_stale(path) {
            continue;
        }
        match std::fs::remove_file(path) {
            Ok(()) => log::info!("{}: nobody listened there, removed", path.display()),
            Err(error) => log::warn!("{}: cannot be removed: {error}", path.display()),
        }
    }
}

/// The path of the socket that a device is the server of.
fn listens_at(device: &str) -> Option<&str> {
    let id = device::identity(device);
    let argument = |key| device::argument(device, key);
    if id.starts_with("net_vhost") || id.starts_with("eth_vhost") {
        return argument("iface").filter(|_| argument("client") != Some("1"));
    }
    // A client unless it says otherwise, and of an abstract name, which ends
    // with its process.
    let is_file = argument("socket-abstract") == Some("no");
    let serves = matches!(argument("role"), Some("server" | "master"));
    argument("socket").filter(|_| id.starts_with("net_memif") && is_file && serves)
}

fn is_stale(path: &Path) -> bool {
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    is_socket
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn servers_are_told_from_clients() {
        for (device, path) in [
            ("net_vhost0,iface=/run/a.sock,queues=2", Some("/run/a.sock")),
            ("net_vhost0,iface=/run/a.sock,client=0", Some("/run/a.sock")),
            ("net_vhost0,iface=/run/a.sock,client=1", None),
            (
                "net_memif0,role=server,socket=/m,socket-abstract=no",
                Some("/m"),
            ),
            ("net_memif0,role=server,socket=/m", None),
            ("net_memif0,role=client,socket=/m,socket-abstract=no", None),
            ("virtio_user0,path=/run/a.sock", None),
            ("net_tap0,iface=weft-a", None),
        ] {
            assert_eq!(listens_at(device), path, "{device}");
        }
    }

    #[test]
    fn only_what_nobody_listens_on_goes() {
        let folder = std::env::temp_dir().join(format!("weft-stale-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        drop(UnixListener::bind(at("left")).unwrap());
        let _listens = UnixListener::bind(at("used")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let devices = ["left", "used", "file", "absent"]
            .map(|name| format!("net_vhost0,iface={}", at(name).display()));
        remove_sockets(devices.iter().map(String::as_str));
        let there = ["left", "used", "file"].map(|name| at(name).exists());
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(there, [false, true, true]);
    }
}
