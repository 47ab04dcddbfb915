//! What a device needs of this machine, looked for before its driver does: of an
//! interface whose name has a slip in it, drivers say "Operation not permitted".

use std::path::Path;

use crate::config::check::device;

/// Where a process sees the interfaces of its own network namespace.
const INTERFACES: &str = "/proc/self/net/dev";
const PCI_DEVICES: &str = "/sys/bus/pci/devices";

/// Why a device cannot be opened here, and what to do, as far as that is plain.
pub(super) fn reason(device: &str) -> Option<String> {
    let id = device::identity(device);
    let is = |driver: &str| id.starts_with(driver);
    let argument = |key| device::argument(device, key);
    if is("net_af_packet") || is("eth_af_packet") || is("net_af_xdp") {
        return argument("iface").and_then(no_interface);
    }
    if is("net_vhost") || is("eth_vhost") {
        // A client waits for whoever is to listen there.
        let listens = argument("client") != Some("1");
        return argument("iface").filter(|_| listens).and_then(no_directory);
    }
    if is("virtio_user") || is("net_virtio_user") {
        let connects = argument("server") != Some("1");
        return argument("path").filter(|_| connects).and_then(no_socket);
    }
    if is("net_memif") {
        let is_file = argument("socket-abstract") == Some("no");
        return argument("socket")
            .filter(|_| is_file)
            .and_then(no_directory);
    }
    no_pci(&id)
}

fn no_interface(name: &str) -> Option<String> {
    // What cannot be read says nothing.
    let known = std::fs::read_to_string(INTERFACES).ok()?;
    let mut names = known.lines().filter_map(|line| line.trim().split_once(':'));
    let found = names.any(|(known, _)| known == name);
    (!found).then(|| {
        format!(
            "there is no interface `{name}` in this network namespace; `ip link` lists those \
             there are"
        )
    })
}

fn no_directory(socket: &str) -> Option<String> {
    let directory = Path::new(socket).parent()?;
    let absent = directory != Path::new("") && !directory.is_dir();
    absent.then(|| {
        let directory = directory.display();
        format!("there is no directory {directory} for its socket; create it")
    })
}

fn no_socket(path: &str) -> Option<String> {
    (!Path::new(path).exists())
        .then(|| format!("there is no {path} to connect to; start who is to listen there"))
}

fn no_pci(id: &str) -> Option<String> {
    let all = Path::new(PCI_DEVICES);
    let named = device::is_pci(id) && all.is_dir();
    (named && !all.join(id).exists())
        .then(|| format!("there is no PCI device {id}; `lspci -D` lists those there are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named() {
        for (device, named) in [
            ("net_af_packet0,iface=weft-none", Some("`weft-none`")),
            ("net_af_xdp0,iface=weft-none", Some("`weft-none`")),
            ("net_af_packet0,iface=lo,qpairs=2", None),
            (
                "net_vhost0,iface=/weft-none/a.sock",
                Some("directory /weft-none "),
            ),
            ("net_vhost0,iface=/weft-none/a.sock,client=1", None),
            ("net_vhost0,iface=/tmp/a.sock", None),
            ("net_vhost0,iface=a.sock", None),
            (
                "virtio_user0,path=/weft-none/a",
                Some("no /weft-none/a to connect"),
            ),
            ("virtio_user0,path=/weft-none/a,server=1", None),
            (
                "net_memif0,role=server,socket=/weft-none/m,socket-abstract=no",
                Some("/weft-none"),
            ),
            ("net_memif0,socket=/weft-none/m", None),
            ("net_null0", None),
        ] {
            let told = reason(device);
            match named {
                None => assert_eq!(told, None, "{device}"),
                Some(named) => {
                    let told = told.unwrap_or_default();
                    assert!(told.contains(named), "{device}: {told}");
                }
            }
        }
        let pci = reason("fffe:fe:1f.7");
        assert_eq!(pci.is_some(), Path::new(PCI_DEVICES).is_dir());
    }
}
