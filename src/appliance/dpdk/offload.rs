//! Which offloads a port is started with: those that the device has and that
//! are of use here, no others. Some drivers send and receive by slower code
//! when they are asked for any, so a host without virtual machines asks for
//! nothing.

use dpdk::port::{DeviceInfo, RxOffloads, Started, TxOffloads};

use crate::config::{self, Config};
use crate::port::Capabilities;

/// Drivers of the virtual wires on which a packet may come unfinished: the
/// other end is asked to leave its checksums to us.
const UNFINISHED: [&str; 3] = ["net_vhost", "net_virtio", "net_virtio_user"];

/// Drivers that would do in software what is done here as well, and do less.
const SOFTWARE: [&str; 1] = ["net_tap"];

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) rx: RxOffloads,
    pub(super) tx: TxOffloads,
}

/// What to ask of a port's device.
pub(super) fn wanted(config: &Config, allowed: bool, driver: &str) -> Wanted {
    let mut wanted = Wanted {
        rx: RxOffloads::empty(),
        tx: TxOffloads::MULTI_SEGS,
    };
    let unfinished = UNFINISHED.contains(&driver);
    if !allowed || SOFTWARE.contains(&driver) {
        return wanted;
    }
    if unfinished {
        wanted.rx = RxOffloads::TCP_CHECKSUM | RxOffloads::UDP_CHECKSUM;
    }
    // Nothing is left to a card unless somebody leaves it.
    let mut names = config
        .port
        .iter()
        .map(|port| config::check::device::identity(&port.device));
    if unfinished || names.any(|name| name.contains("vhost") || name.contains("virtio")) {
        wanted.tx = wanted.tx
            | TxOffloads::TCP_CHECKSUM
            | TxOffloads::UDP_CHECKSUM
            | TxOffloads::IPV4_CHECKSUM
            | TxOffloads::TCP_TSO;
    }
    wanted
}

/// What a started port does.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::appliance) struct Granted {
    pub(super) capabilities: Capabilities,
    /// Whether packets may come unfinished, or in several buffers.
    pub(super) unfinished: bool,
    pub(in crate::appliance) names: Vec<String>,
}

impl Granted {
    pub(super) fn of(info: &DeviceInfo, started: &Started) -> Granted {
        granted(info, started.rx_offloads, started.tx_offloads)
    }
}

fn granted(info: &DeviceInfo, rx: RxOffloads, tx: TxOffloads) -> Granted {
    let most = match info.tx_segments {
        0 => u16::MAX,
        most => most,
    };
    let scattered = if tx.contains(TxOffloads::MULTI_SEGS) {
        most
    } else {
        1
    };
    Granted {
        capabilities: Capabilities {
            tcp_checksum: tx.contains(TxOffloads::TCP_CHECKSUM),
            udp_checksum: tx.contains(TxOffloads::UDP_CHECKSUM),
            ipv4_checksum: tx.contains(TxOffloads::IPV4_CHECKSUM),
            tcp_segments: tx.contains(TxOffloads::TCP_TSO),
            scattered,
        },
        // vhost delivers what a guest left to be cut in chains, asked or not.
        unfinished: UNFINISHED.contains(&info.driver.as_str()) || rx.contains(RxOffloads::SCATTER),
        names: names("rx", &rx.to_string())
            .chain(names("tx", &tx.to_string()))
            .collect(),
    }
}

fn names<'a>(direction: &'a str, set: &'a str) -> impl Iterator<Item = String> + 'a {
    let names = set.split(' ').filter(|name| *name != "none");
    names.map(move |name| format!("{direction}-{name}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::device;
    use super::*;

    fn config(devices: &[&str]) -> Config {
        let ports: String = devices
            .iter()
            .enumerate()
            .map(|(i, device)| {
                format!("[[port]]\nname = \"p{i}\"\ndevice = \"{device}\"\nrole = \"node\"\n")
            })
            .collect();
        toml::from_str(&format!("name = \"R\"\n{ports}")).unwrap()
    }

    #[test]
    fn offloads_are_asked_for_where_somebody_leaves_something() {
        let plain = Wanted {
            rx: RxOffloads::empty(),
            tx: TxOffloads::MULTI_SEGS,
        };
        let cards = config(&["17:00.0", "net_tap0,iface=weft-a"]);
        assert_eq!(wanted(&cards, true, "net_ice"), plain);
        let guests = config(&["17:00.0", "net_vhost0,iface=/run/a.sock,client=1"]);
        let card = wanted(&guests, true, "net_ice");
        assert!(card.rx.is_empty() && card.tx.contains(TxOffloads::TCP_TSO));
        assert!(
            card.tx
                .contains(TxOffloads::UDP_CHECKSUM | TxOffloads::TCP_CHECKSUM)
        );
        let guest = wanted(&guests, true, "net_vhost");
        assert!(
            guest
                .rx
                .contains(RxOffloads::TCP_CHECKSUM | RxOffloads::UDP_CHECKSUM)
        );
        assert_eq!(guest.tx, card.tx);
        for (allowed, driver) in [(false, "net_ice"), (false, "net_vhost"), (true, "net_tap")] {
            assert_eq!(wanted(&guests, allowed, driver), plain, "{driver}");
        }
    }

    #[test]
    fn a_port_does_what_its_device_granted() {
        let mut ice = device("net_ice", 52);
        ice.tx_segments = 8;
        let tx = TxOffloads::MULTI_SEGS | TxOffloads::TCP_CHECKSUM;
        let card = granted(&ice, RxOffloads::empty(), tx);
        assert_eq!(card.names, ["tx-tcp-checksum", "tx-multi-segs"]);
        assert_eq!(card.capabilities.scattered, 8);
        assert!(card.capabilities.tcp_checksum && !card.capabilities.tcp_segments);
        assert!(!card.unfinished);
        assert!(granted(&ice, RxOffloads::SCATTER, tx).unfinished);
        let vhost = device("net_vhost", 0);
        let guest = granted(&vhost, RxOffloads::empty(), TxOffloads::MULTI_SEGS);
        assert_eq!(
            (guest.unfinished, guest.capabilities.scattered),
            (true, u16::MAX)
        );
        let none = granted(&ice, RxOffloads::empty(), TxOffloads::empty());
        assert_eq!(
            none.capabilities,
            Capabilities {
                scattered: 1,
                ..Capabilities::default()
            }
        );
        assert!(none.names.is_empty());
    }
}
