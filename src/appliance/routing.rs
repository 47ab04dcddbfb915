//! Subnets and routers of the store, as tables that the snapshot shares.
//!
//! A router may have a hundred thousand routes, and a snapshot is made whenever
//! a link or a hardware address changes. So the tables of routes are kept here
//! and follow the store route by route; a snapshot gets clones of them, which
//! cost a count each. A table says to *whom* a packet goes, in words that do
//! not change when others come and go; where that is in this snapshot is in the
//! router's legs, of which there are few.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::config::check::{Objects, alone};
use crate::control::store::Store;
use crate::datapath::segments::{IfaceRecord, Leg, NONE, RouterRecord, Segment, SubnetRecord};
use crate::datapath::tally::Traffic;
use crate::lpm::Lpm;
use crate::model::{Vroute, VrouteAction};
use crate::wire::address::Prefix4;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Vaddr, Vni};

/// Hops that a table may have named and names no longer, beside one for every
/// route, until it is written anew.
const SPARE_HOPS: usize = 1024;

/// What a route says, whoever else there is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Hop {
    Connected(Prefix4),
    Via(Vaddr),
    Own,
    Broadcast,
    Blackhole,
    Prohibited,
}

impl Hop {
    fn of(vroute: &Vroute) -> Hop {
        match (vroute.via, vroute.action) {
            (Some(via), _) => Hop::Via(via),
            (None, Some(VrouteAction::Prohibit)) => Hop::Prohibited,
            (None, Some(VrouteAction::Blackhole) | None) => Hop::Blackhole,
        }
    }
}

/// What interfaces have counted, by router, subnet and address.
type Counted = HashMap<(String, String, Vaddr), Traffic>;

#[derive(Debug)]
struct Subnet {
    name: String,
    vnet: String,
    prefix: Prefix4,
    gateway: u32,
    ifaces: Vec<u32>,
}

/// A router's routes.
#[derive(Debug, Default)]
struct Table {
    routes: Lpm,
    hops: Vec<Hop>,
    places: HashMap<Hop, u32>,
}

impl Table {
    fn place(&mut self, hop: Hop) -> u32 {
        *self.places.entry(hop).or_insert_with(|| {
            self.hops.push(hop);
            (self.hops.len() - 1) as u32
        })
    }
}

#[derive(Debug)]
struct Router {
    name: String,
    vnet: String,
    ifaces: Vec<u32>,
    /// What it knows because of where it is. No route of the store takes the
    /// place of one of these.
    fixed: HashMap<Prefix4, Hop>,
    /// `None` when it is to be written anew.
    table: Option<Table>,
    legs: Arc<[Leg]>,
}

/// Where routers are, and by which routes.
#[derive(Debug, Default)]
pub(super) struct Routing {
    /// How much of the store's history is in here.
    seen: Option<(u64, u64)>,
    subnets: Vec<Subnet>,
    subnet_numbers: HashMap<String, u32>,
    ifaces: Vec<IfaceRecord>,
    routers: Vec<Router>,
    router_numbers: HashMap<String, u32>,
    /// Workers that count at interfaces.
    workers: usize,
    traffic: Counted,
}

impl Routing {
    /// With interfaces at which so many workers count.
    pub(super) fn counted_by(workers: usize) -> Routing {
        Routing {
            workers,
            ..Routing::default()
        }
    }

    /// Brings everything in step with the store.
    pub(super) fn follow(&mut self, store: &Store) {
        let now = (store.segment_changes(), store.vroute_changes());
        let Some((segments, vroutes)) = self.seen.replace(now) else {
            self.place(store);
            return self.write(store, true);
        };
        let moved = segments != now.0;
        if moved {
            self.place(store);
        }
        if vroutes != now.1 {
            match store.vroutes_since(vroutes) {
                Some(changed) => {
                    for (router, prefix) in changed {
                        self.apply(store, router, prefix);
                    }
                }
                None => self
                    .routers
                    .iter_mut()
                    .for_each(|router| router.table = None),
            }
        }
        if moved || vroutes != now.1 {
            self.write(store, moved);
        }
    }

    /// Puts subnets and routers in their places. Tables of routers that stay
    /// where they are stay as well.
    fn place(&mut self, store: &Store) {
        let mut old: HashMap<String, Router> = std::mem::take(&mut self.routers)
            .into_iter()
            .map(|router| (router.name.clone(), router))
            .collect();
        let counted = std::mem::take(&mut self.traffic);
        self.ifaces.clear();
        self.router_numbers.clear();
        self.subnets = store
            .subnets()
            .map(|subnet| Subnet {
                name: subnet.name.clone(),
                vnet: subnet.vnet.clone(),
                prefix: subnet.prefix,
                gateway: NONE,
                ifaces: Vec::new(),
            })
            .collect();
        let names = (0..).zip(&self.subnets);
        self.subnet_numbers = names
            .map(|(number, subnet)| (subnet.name.clone(), number))
            .collect();
        for router in store.routers() {
            let number = self.add_router(&router.name, &router.vnet);
            for interface in &router.interfaces {
                if let Some(&subnet) = self.subnet_numbers.get(&interface.subnet) {
                    self.add_iface(&counted, number, subnet, interface.address);
                }
            }
        }
        self.place_own_routers(&counted, store);
        for (subnet, said) in self.subnets.iter_mut().zip(store.subnets()) {
            let is_gateway = |at: &&u32| {
                let iface = self.ifaces.get(**at as usize);
                iface.is_some_and(|iface| Some(iface.address) == said.gateway)
            };
            let gateway = subnet.ifaces.iter().find(is_gateway);
            let gateway = gateway.or_else(|| subnet.ifaces.first());
            subnet.gateway = gateway.copied().unwrap_or(NONE);
        }
        for number in 0..self.routers.len() {
            let fixed = self.fixed(number);
            let router = &mut self.routers[number];
            let before = old.remove(&router.name);
            let before = before.filter(|before| before.fixed == fixed);
            router.table = before.and_then(|before| before.table);
            router.fixed = fixed;
        }
    }

    /// The routers of vnets themselves: where a gateway is that no other has.
    fn place_own_routers(&mut self, counted: &Counted, store: &Store) {
        for subnet in store.subnets() {
            let Some(gateway) = subnet.gateway else {
                continue;
            };
            if store.router_at(&subnet.vnet, gateway).is_some() {
                continue;
            }
            let number = match self.router_numbers.get(&subnet.vnet) {
                Some(&number) => number,
                None => self.add_router(&subnet.vnet, &subnet.vnet),
            };
            if let Some(&subnet) = self.subnet_numbers.get(&subnet.name) {
                self.add_iface(counted, number, subnet, gateway);
            }
        }
    }

    fn add_router(&mut self, name: &str, vnet: &str) -> u32 {
        let number = self.routers.len() as u32;
        self.router_numbers.insert(name.to_owned(), number);
        self.routers.push(Router {
            name: name.to_owned(),
            vnet: vnet.to_owned(),
            ifaces: Vec::new(),
            fixed: HashMap::new(),
            table: None,
            legs: Arc::new([]),
        });
        number
    }

    /// What one has counted that stays where it is stays with it.
    fn add_iface(&mut self, counted: &Counted, router: u32, subnet: u32, address: Vaddr) {
        let iface = self.ifaces.len() as u32;
        let names = (
            self.routers[router as usize].name.clone(),
            self.subnets[subnet as usize].name.clone(),
        );
        let place = (names.0, names.1, address);
        let traffic = counted.get(&place).cloned();
        let traffic = traffic.unwrap_or_else(|| Traffic::new(self.workers));
        self.traffic.insert(place, traffic.clone());
        self.ifaces.push(IfaceRecord {
            router,
            subnet,
            address,
            traffic,
        });
        self.routers[router as usize].ifaces.push(iface);
        self.subnets[subnet as usize].ifaces.push(iface);
    }

    /// The subnets of a router, with its interfaces there.
    fn joined(&self, router: &Router) -> impl Iterator<Item = (u32, &Subnet)> {
        let subnet = |iface: &u32| {
            let subnet = self.ifaces.get(*iface as usize)?.subnet;
            Some((*iface, self.subnets.get(subnet as usize)?))
        };
        router.ifaces.iter().filter_map(subnet)
    }

    /// What a router knows because of where it is.
    fn fixed(&self, router: usize) -> HashMap<Prefix4, Hop> {
        let router = &self.routers[router];
        let mut fixed = HashMap::new();
        let at = |iface: &u32| self.ifaces.get(*iface as usize);
        for (_, subnet) in self.joined(router) {
            fixed.insert(subnet.prefix, Hop::Connected(subnet.prefix));
            let hosts = !Prefix4::mask(subnet.prefix.len);
            if subnet.prefix.len <= 30 {
                for end in [0, hosts] {
                    let address = Vaddr(subnet.prefix.address.0 | end);
                    fixed.insert(alone(address), Hop::Broadcast);
                }
            }
            for iface in subnet.ifaces.iter().filter_map(at) {
                fixed.insert(alone(iface.address), Hop::Via(iface.address));
            }
        }
        for iface in router.ifaces.iter().filter_map(at) {
            fixed.insert(alone(iface.address), Hop::Own);
        }
        fixed
    }

    /// One route that has changed, come or gone.
    fn apply(&mut self, store: &Store, router: &str, prefix: Prefix4) {
        let number = self.router_numbers.get(router);
        let Some(router) = number.and_then(|at| self.routers.get_mut(*at as usize)) else {
            return;
        };
        let Some(table) = &mut router.table else {
            return;
        };
        if router.fixed.contains_key(&prefix) {
            return;
        }
        match store.vroute(&router.name, prefix) {
            Some(vroute) => {
                let place = table.place(Hop::of(vroute));
                table.routes.insert(prefix, place);
            }
            None => {
                table.routes.remove(prefix);
            }
        }
    }

    /// Tables that are to be written anew, and legs where they may differ.
    fn write(&mut self, store: &Store, moved: bool) {
        for number in 0..self.routers.len() {
            let router = &mut self.routers[number];
            let grown = |table: &Table| table.hops.len() > table.routes.len() + SPARE_HOPS;
            if router.table.as_ref().is_none_or(grown) {
                let mut table = Table::default();
                let vroutes = store.vroutes_of(&router.name);
                let mut all: HashMap<Prefix4, Hop> = vroutes
                    .map(|vroute| (vroute.prefix, Hop::of(vroute)))
                    .collect();
                all.extend(router.fixed.iter().map(|(prefix, hop)| (*prefix, *hop)));
                let all = all.into_iter();
                let all = all.map(|(prefix, hop)| (prefix, table.place(hop)));
                table.routes = Lpm::build(all.collect::<Vec<_>>());
                router.table = Some(table);
                router.legs = Arc::new([]);
            }
            let router = &self.routers[number];
            let hops = router.table.as_ref().map_or(&[][..], |table| &table.hops);
            if moved || hops.len() != router.legs.len() {
                let legs = hops.iter().map(|hop| self.leg(router, *hop)).collect();
                self.routers[number].legs = legs;
            }
        }
    }

    /// Where a hop leads now.
    fn leg(&self, router: &Router, hop: Hop) -> Leg {
        match hop {
            Hop::Own => Leg::Own,
            Hop::Broadcast => Leg::Broadcast,
            Hop::Blackhole => Leg::Blackhole,
            Hop::Prohibited => Leg::Prohibited,
            Hop::Connected(prefix) => {
                let mut joined = self.joined(router);
                let here = joined.find(|(_, subnet)| subnet.prefix == prefix);
                here.map_or(Leg::Unreachable, |(iface, _)| Leg::Connected { iface })
            }
            Hop::Via(via) => {
                let mut joined = self.joined(router);
                let here = joined.find(|(_, subnet)| subnet.prefix.contains(via));
                let Some((iface, subnet)) = here else {
                    return Leg::Unreachable;
                };
                let mut others = subnet.ifaces.iter();
                let next = others.find_map(|at| {
                    let iface = self.ifaces.get(*at as usize)?;
                    (iface.address == via).then_some((iface.router, *at))
                });
                match next {
                    Some((router, iface)) => Leg::Next { router, iface },
                    None => Leg::Node { via, iface },
                }
            }
        }
    }

    /// The records of a snapshot; `vnets` are its numbers by name.
    pub(super) fn records(
        &self,
        vnets: &HashMap<&str, u32>,
    ) -> (Vec<SubnetRecord>, Vec<IfaceRecord>, Vec<RouterRecord>) {
        let vnet = |name: &str| vnets.get(name).copied().unwrap_or(NONE);
        let subnets = self.subnets.iter().map(|subnet| SubnetRecord {
            name: subnet.name.clone(),
            vnet: vnet(&subnet.vnet),
            prefix: subnet.prefix,
            gateway: subnet.gateway,
            ifaces: subnet.ifaces.clone(),
        });
        let routers = self.routers.iter().map(|router| RouterRecord {
            name: router.name.clone(),
            vnet: vnet(&router.vnet),
            routes: match &router.table {
                Some(table) => table.routes.clone(),
                None => Lpm::new(),
            },
            legs: router.legs.clone(),
        });
        (subnets.collect(), self.ifaces.clone(), routers.collect())
    }

    /// The network as a node in this subnet sees it.
    pub(super) fn segment(&self, vni: Vni, subnet: &str) -> Segment {
        let Some(&number) = self.subnet_numbers.get(subnet) else {
            return Segment::default();
        };
        let subnet = &self.subnets[number as usize];
        let gateway = self.ifaces.get(subnet.gateway as usize);
        Segment {
            subnet: number,
            prefix: subnet.prefix,
            gateway: subnet.gateway,
            gateway_mac: gateway.map(|iface| virtual_mac::of(Kind::Router, vni, iface.address)),
        }
    }
}

#[cfg(test)]
#[path = "routing/tests.rs"]
mod tests;
