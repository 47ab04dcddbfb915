//! Control's half of an appliance without devices, for tests.

use super::compile;
use super::devices::{DeviceFacts, Devices, Link, PoolFill};
use super::plant::{Parts, Plant};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::proto::{Change, MappingRow, MappingSet};
use crate::control::store::{self, Desired, Store};
use crate::mapping::{Domain, Limits, Writer};
use crate::model::{Origin, Role};
use crate::substrate::{Substrate, SubstrateConfig, Uplink};
use crate::wire::Mac;

/// Devices that are there and no more.
struct Idle;

impl Devices for Idle {
    fn link(&self, _: u16) -> Link {
        Link { up: true, speed: 0 }
    }

    fn facts(&self, _: u16) -> DeviceFacts {
        DeviceFacts::default()
    }

    fn counters(&self, _: u16) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn pools(&self) -> Vec<PoolFill> {
        Vec::new()
    }

    fn open(&mut self, config: &Config, index: usize, slot: u16) -> Result<Mac, String> {
        match config.port[index].device.as_str() {
            "net_broken" => Err("it is broken".to_owned()),
            _ => Ok(Mac([2, 0, 0, 0, 1, slot as u8])),
        }
    }

    fn close(&mut self, _: u16) {}

    fn is_free(&self, _: u16) -> bool {
        true
    }

    fn hand_out(&mut self) {}

    fn collect(&mut self) {}
}

/// Host R of the first vnet of README.md; `vnet` is said of the vnet too.
pub(super) fn host_r(vnet: &str) -> (Plant, Store) {
    host_r_with(vnet, "")
}

/// The same, with more objects.
pub(super) fn host_r_with(vnet: &str, more: &str) -> (Plant, Store) {
    let file = include_str!("../../configs/first/r.toml");
    let said = file.replacen("[[vnet]]\n", &format!("[[vnet]]\n{vnet}\n"), 1);
    built(&format!("{said}\n{more}"))
}

/// The relay of configs/siit-relay.toml, next hops given, with a prefix that
/// may hold addresses of documentation.
pub(super) fn relay() -> (Plant, Store) {
    let file = include_str!("../../configs/siit-relay.toml");
    let given = |side: &str| format!("[relay.{side}]\nvia_mac = \"02:00:00:00:01:01\"\n");
    let said = file
        .replace("64:ff9b::/96", "2001:db8:64::/96")
        .replacen("[relay.ipv4]\n", &given("ipv4"), 1)
        .replacen("[relay.ipv6]\n", &given("ipv6"), 1);
    let (mut plant, store) = built(&said);
    let now = plant.now();
    let links = plant.relay.as_mut().unwrap();
    links.link(0, true, now);
    links.link(1, true, now);
    plant.mark_dirty();
    plant.step(&store);
    (plant, store)
}

/// That a node of Z is at a host.
pub(super) fn mapped(address: &str, host: &'static str) -> Change<'static> {
    let row = MappingRow {
        address: address.parse().unwrap(),
        host: host.into(),
        slot: None,
        mac: None,
        expires: None,
        revision: 0,
    };
    Change::MappingSet(MappingSet {
        vnet: "Z".into(),
        mappings: vec![row],
    })
}

/// What this file says.
pub(super) fn built(said: &str) -> (Plant, Store) {
    let (mut config, _) = Config::parse("said.toml", said.as_bytes()).unwrap();
    let desired = Desired::take(&mut config);
    let macs: Vec<Mac> = (1..=config.port.len() as u8)
        .map(|i| Mac([2, 0, 0, 0, 0, i]))
        .collect();
    let site = compile::site(&config, &macs);
    let domain = Domain::default();
    let uplinks = config.port.iter().zip(macs).take(1);
    let uplinks = uplinks.filter(|(port, _)| port.role == Role::Uplink);
    let uplinks = uplinks
        .map(|(port, mac)| Uplink::of(port, 0, mac))
        .collect();
    let substrate = SubstrateConfig::new(config.locator, config.layout, uplinks);
    let mut plant = Plant::new(Parts {
        site,
        settings: config.clone(),
        substrate: Substrate::new(substrate).unwrap(),
        writer: Writer::new(&domain, Limits::default()).unwrap(),
        domain,
        counters: Vec::new(),
        devices: Box::new(Idle),
        clock: Clock::manual().0,
        seed: 1,
    })
    .unwrap();
    let limits = store::Limits::default();
    let mut store = Store::new(store::Settings::of(&config, limits));
    store
        .replace(&mut plant, Origin::File, &desired, 0)
        .unwrap();
    (plant, store)
}
