//! SNMP of virtual routers: what an engine is asked, looked up in the store.
//!
//! Routes are kept in their order here, for routers that may be asked and have
//! been, because the store has them in the order of their names. They follow
//! the store change by change, but only when somebody asks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;

use crate::config::check::{EVERYTHING, Objects, address_in};
use crate::control::store::Store;
use crate::model::{
    self, Router, RouterInterface, SnmpAuth, SnmpUser, Subnet, Vroute, VrouteAction,
};
use crate::node::router::{Ask, Service};
use crate::node::snmp::{
    Access, Agent, Auth, Clock, Hop, Iface, Route, SnmpRefused, Source, System, Traffic, User,
    engine_id,
};
use crate::time::Time;
use crate::wire::address::Prefix4;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr};

/// From here on starts are counted, as if there had been one every second: they
/// must become more with every start, and fit into 31 bits.
const FIRST_START: u64 = 1_577_836_800;

/// IPv4 and UDP around a datagram.
const AROUND: u16 = 28;

const DESCRIPTION: &str = concat!("weft ", env!("CARGO_PKG_VERSION"), ", a virtual router");

/// Engines of all routers that were asked.
#[derive(Debug)]
pub(in crate::appliance) struct Snmp {
    boots: u32,
    salt: u64,
    devices: HashMap<String, Device>,
    pub(in crate::appliance) answered: u64,
    pub(in crate::appliance) refused: [u64; SnmpRefused::COUNT],
}

impl Default for Snmp {
    fn default() -> Snmp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs());
        let boots = seconds
            .saturating_sub(FIRST_START)
            .clamp(1, i32::MAX as u64);
        Snmp {
            boots: boots as u32,
            salt: 0,
            devices: HashMap::new(),
            answered: 0,
            refused: [0; SnmpRefused::COUNT],
        }
    }
}

/// A router as its engine shows it.
#[derive(Debug)]
struct Device {
    agent: Agent,
    tables: Tables,
}

#[derive(Debug, Default)]
struct Tables {
    /// How much of the store's history is in here.
    seen: Option<(u64, u64)>,
    places: Vec<Place>,
    routes: BTreeMap<(u32, u8), Way>,
}

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    subnet: String,
    address: Vaddr,
    prefix: Prefix4,
    mac: Mac,
}

/// What a route says. By which interface its next hop is reached is looked up
/// when somebody asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Connected(u32),
    Via(Vaddr),
    Blackhole,
    Prohibited,
}

impl Way {
    fn of(vroute: &Vroute) -> Way {
        match (vroute.via, vroute.action) {
            (Some(via), _) => Way::Via(via),
            (None, Some(VrouteAction::Prohibit)) => Way::Prohibited,
            (None, Some(VrouteAction::Blackhole) | None) => Way::Blackhole,
        }
    }
}

impl Tables {
    /// Brings everything in step with the store.
    fn follow(&mut self, store: &Store, router: &Router) {
        let now = (store.segment_changes(), store.vroute_changes());
        let seen = self.seen.replace(now);
        if seen == Some(now) {
            return;
        }
        let places = places(store, router);
        let moved = places != self.places;
        self.places = places;
        let changed = seen.filter(|_| !moved);
        let changed = changed.and_then(|(_, vroutes)| store.vroutes_since(vroutes));
        let Some(changed) = changed else {
            self.routes = store.vroutes_of(&router.name).map(entry).collect();
            for (number, place) in (1..).zip(&self.places) {
                self.routes
                    .insert(key(place.prefix), Way::Connected(number));
            }
            return;
        };
        for (name, prefix) in changed {
            // The way to a subnet is the router's own.
            let own = self.places.iter().any(|place| place.prefix == prefix);
            if name != router.name || own {
                continue;
            }
            match store.vroute(name, prefix) {
                Some(vroute) => self.routes.insert(key(prefix), Way::of(vroute)),
                None => self.routes.remove(&key(prefix)),
            };
        }
    }

    fn hop(&self, way: Way) -> Hop {
        match way {
            Way::Connected(number) => Hop::Connected(number),
            Way::Blackhole => Hop::Blackhole,
            Way::Prohibited => Hop::Prohibited,
            Way::Via(address) => {
                let mut places = (1..).zip(&self.places);
                let there = places.find(|(_, place)| place.prefix.contains(address));
                let iface = there.map_or(0, |(number, _)| number);
                Hop::Via { address, iface }
            }
        }
    }
}

fn key(prefix: Prefix4) -> (u32, u8) {
    (prefix.address.0, prefix.len)
}

fn entry(vroute: &Vroute) -> ((u32, u8), Way) {
    (key(vroute.prefix), Way::of(vroute))
}

/// Interfaces in the order in which the router names them: their numbers.
fn places(store: &Store, router: &Router) -> Vec<Place> {
    let Some(vnet) = store.vnet(&router.vnet) else {
        return Vec::new();
    };
    let place = |interface: &crate::model::RouterInterface| {
        let subnet = store.subnet(&interface.subnet)?;
        Some(Place {
            subnet: subnet.name.clone(),
            address: interface.address,
            prefix: subnet.prefix,
            mac: virtual_mac::of(Kind::Router, vnet.vni, interface.address),
        })
    };
    router.interfaces.iter().filter_map(place).collect()
}

fn user(user: &SnmpUser) -> User {
    let auth = match user.auth {
        Some(SnmpAuth::Sha1) => Some(Auth::Sha1),
        Some(SnmpAuth::Sha256) => Some(Auth::Sha256),
        None => None,
    };
    let privacy = user.privacy.and(user.privacy_key.clone());
    User {
        name: user.name.clone(),
        auth: auth.zip(user.auth_key.clone()),
        privacy,
    }
}

/// What a router, or a vnet's own, says of who may ask it.
pub(super) fn wanted<'s>(store: &'s Store, name: &str) -> Option<&'s model::Snmp> {
    match store.router(name) {
        Some(router) => router.snmp.as_ref(),
        None => store.vnet(name)?.snmp.as_deref(),
    }
}

/// The router of this name. A vnet's own is nowhere said: it joins the subnets
/// whose gateway no other router has, in the order of their addresses.
fn router<'s>(store: &'s Store, name: &str) -> Option<Cow<'s, Router>> {
    if let Some(router) = store.router(name) {
        return Some(Cow::Borrowed(router));
    }
    let vnet = store.vnet(name)?;
    let interface = |subnet: &Subnet| {
        let address = address_in(name, subnet, store)?;
        let subnet = subnet.name.clone();
        Some(RouterInterface { subnet, address })
    };
    let mut subnets: Vec<_> = store.subnets_over(name, EVERYTHING).collect();
    subnets.sort_unstable_by_key(|subnet| subnet.prefix.address);
    let subnets = subnets.into_iter();
    Some(Cow::Owned(Router {
        name: vnet.name.clone(),
        vnet: vnet.name.clone(),
        interfaces: subnets.filter_map(interface).collect(),
        snmp: vnet.snmp.as_deref().cloned(),
    }))
}

/// A datagram to a router that lets itself be asked.
pub(super) struct Asked<'a> {
    pub(super) snmp: &'a mut Snmp,
    pub(super) store: &'a Store,
    /// This host's locator.
    pub(super) host: &'a str,
    /// The longest packet that the node who asks may get.
    pub(super) node_mtu: u16,
    pub(super) vnet_mtu: u16,
    /// What a router's interface with this address has passed on.
    pub(super) traffic: &'a dyn Fn(&str, Vaddr) -> Option<Traffic>,
    pub(super) now: Time,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked at {:?}", self.now)
    }
}

impl Service for Asked<'_> {
    fn answer(&mut self, ask: &Ask<'_>) -> Option<Vec<u8>> {
        let wanted = wanted(self.store, ask.router)?;
        let router = &*router(self.store, ask.router)?;
        let access = Access {
            communities: wanted.communities.clone(),
            users: wanted.users.iter().map(user).collect(),
        };
        let snmp = &mut *self.snmp;
        if !snmp.devices.contains_key(ask.router) {
            snmp.devices
                .retain(|name, _| self::wanted(self.store, name).is_some());
        }
        let host = self.host.as_bytes();
        let new = |access| Agent::new(access, engine_id(host, ask.vnet, ask.router));
        let devices = snmp.devices.entry(ask.router.to_owned());
        let device = devices.or_insert_with(|| Device {
            agent: new(access.clone()),
            tables: Tables::default(),
        });
        if *device.agent.access() != access {
            device.agent = new(access);
        }
        device.tables.follow(self.store, router);
        let looked = Looked {
            router,
            tables: &device.tables,
            mtu: self.vnet_mtu,
            traffic: self.traffic,
        };
        let mut clock = Clock {
            boots: snmp.boots,
            ticks: self.now.0 / 10,
            salt: snmp.salt,
        };
        let limit = usize::from(self.node_mtu.saturating_sub(AROUND));
        let outcome = device.agent.answer(ask.data, &looked, &mut clock, limit);
        snmp.salt = clock.salt;
        snmp.answered += u64::from(outcome.reply.is_some());
        if let Some(why) = outcome.refused
            && let Some(count) = snmp.refused.get_mut(why as usize)
        {
            *count += 1;
        }
        outcome.reply
    }
}

struct Looked<'a> {
    router: &'a Router,
    tables: &'a Tables,
    mtu: u16,
    traffic: &'a dyn Fn(&str, Vaddr) -> Option<Traffic>,
}

impl Source for Looked<'_> {
    fn system(&self) -> System<'_> {
        let said = self.router.snmp.as_ref();
        System {
            description: DESCRIPTION,
            contact: said.map_or("", |snmp| &snmp.contact),
            name: &self.router.name,
            location: said.map_or("", |snmp| &snmp.location),
        }
    }

    fn iface_count(&self) -> u32 {
        self.tables.places.len() as u32
    }

    fn iface(&self, number: u32) -> Option<Iface<'_>> {
        let at = number.checked_sub(1)?;
        let place = self.tables.places.get(at as usize)?;
        Some(Iface {
            name: &place.subnet,
            address: place.address,
            prefix: place.prefix,
            mac: place.mac,
            mtu: self.mtu,
            traffic: (self.traffic)(&self.router.name, place.address),
        })
    }

    fn route_count(&self) -> u32 {
        self.tables.routes.len() as u32
    }

    fn route_from(&self, address: u32, len: u8) -> Option<Route> {
        let mut routes = self.tables.routes.range((address, len)..);
        let (&(address, len), &way) = routes.next()?;
        let prefix = Prefix4 {
            address: Vaddr(address),
            len,
        };
        Some(Route {
            prefix,
            hop: self.tables.hop(way),
        })
    }
}

#[cfg(test)]
#[path = "snmp/tests.rs"]
mod tests;
