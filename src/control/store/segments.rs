//! Ways to find subnets and routers, what changes one by what becomes of the
//! others, and which routes have changed.
//!
//! Subnets and routers hold each other and the nodes: a subnet cannot move away
//! from under what is in it. A request may say several things, though, and only
//! together they have to be right; so this is checked once, at its end
//! ([`Store::check_segments`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use hashbrown::HashMap;

use super::check::{invalid, some_of};
use super::objects::{Named as _, vroute_key};
use super::stage::Object;
use super::{Key, ObjectUndo, Store, Transaction};
use crate::config::check::{self, At, Findings, Objects, alone};
use crate::control::proto::{Error, ErrorCode};
use crate::model::{Router, Subnet, Vnet, Vroute};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Changes of routes that are remembered one by one: a request of the usual
/// size.
const REMEMBERED: usize = 8192;

#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// Subnets of a vnet by their first addresses.
    subnets: HashMap<String, BTreeMap<u32, String>>,
    /// Routers by vnet and address.
    interfaces: HashMap<String, HashMap<u32, String>>,
    /// Changes of subnets and routers so far.
    changes: u64,
    /// Changes of routes so far, and the last of them.
    vroute_changes: u64,
    changed_vroutes: VecDeque<(String, Prefix4)>,
}

impl Segments {
    /// Forgets the ways to find what is about to be linked anew.
    pub(super) fn clear(&mut self) {
        self.subnets.clear();
        self.interfaces.clear();
    }

    pub(super) fn add_subnet(&mut self, subnet: &Subnet) {
        self.changes += 1;
        let of_vnet = self.subnets.entry(subnet.vnet.clone()).or_default();
        of_vnet.insert(subnet.prefix.address.0, subnet.name.clone());
    }

    pub(super) fn remove_subnet(&mut self, subnet: &Subnet) {
        self.changes += 1;
        if let Some(of_vnet) = self.subnets.get_mut(&subnet.vnet) {
            if of_vnet.get(&subnet.prefix.address.0) == Some(&subnet.name) {
                of_vnet.remove(&subnet.prefix.address.0);
            }
            if of_vnet.is_empty() {
                self.subnets.remove(&subnet.vnet);
            }
        }
    }

    pub(super) fn add_router(&mut self, router: &Router) {
        self.changes += 1;
        let of_vnet = self.interfaces.entry(router.vnet.clone()).or_default();
        for interface in &router.interfaces {
            of_vnet.insert(interface.address.0, router.name.clone());
        }
    }

    pub(super) fn remove_router(&mut self, router: &Router) {
        self.changes += 1;
        if let Some(of_vnet) = self.interfaces.get_mut(&router.vnet) {
            for interface in &router.interfaces {
                if of_vnet.get(&interface.address.0) == Some(&router.name) {
                    of_vnet.remove(&interface.address.0);
                }
            }
            if of_vnet.is_empty() {
                self.interfaces.remove(&router.vnet);
            }
        }
    }

    pub(super) fn touch_vroute(&mut self, vroute: &Vroute) {
        self.vroute_changes += 1;
        if self.changed_vroutes.len() == REMEMBERED {
            self.changed_vroutes.pop_front();
        }
        let key = (vroute.router.clone(), vroute.prefix);
        self.changed_vroutes.push_back(key);
    }

    pub(super) fn router_at(&self, vnet: &str, address: Vaddr) -> Option<&str> {
        let of_vnet = self.interfaces.get(vnet)?;
        of_vnet.get(&address.0).map(String::as_str)
    }

    /// Subnets of a vnet that overlap a prefix.
    pub(super) fn over<'a>(
        &'a self,
        vnet: &str,
        prefix: Prefix4,
        store: &'a Store,
    ) -> impl Iterator<Item = &'a Subnet> {
        let none = Prefix4 {
            address: Vaddr(u32::MAX),
            len: 32,
        };
        let of = move |name: &String| store.subnet(name).map_or(none, |subnet| subnet.prefix);
        let of_vnet = self.subnets.get(vnet).into_iter();
        let names = of_vnet.flat_map(move |all| check::over(all, prefix, of));
        names.filter_map(|name| store.subnet(name))
    }
}

/// What others see of subnets, routers and routes; who follows them asks what
/// has changed.
impl Store {
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.subnets.values().map(|entry| &entry.object)
    }

    pub fn subnet(&self, name: &str) -> Option<&Subnet> {
        self.subnets.get(name).map(|entry| &entry.object)
    }

    /// The subnet that an address of a vnet lies in.
    pub fn subnet_at(&self, vnet: &str, address: Vaddr) -> Option<&Subnet> {
        self.subnets_over(vnet, alone(address)).next()
    }

    pub fn routers(&self) -> impl Iterator<Item = &Router> {
        self.routers.values().map(|entry| &entry.object)
    }

    pub fn router(&self, name: &str) -> Option<&Router> {
        self.routers.get(name).map(|entry| &entry.object)
    }

    pub fn vroutes(&self) -> impl Iterator<Item = &Vroute> {
        self.vroutes.values().map(|entry| &entry.object)
    }

    pub fn vroute(&self, router: &str, prefix: Prefix4) -> Option<&Vroute> {
        let entry = self.vroutes.get(&vroute_key(router, prefix))?;
        Some(&entry.object)
    }

    /// Routes of one router, or of a vnet's own.
    pub fn vroutes_of(&self, router: &str) -> impl Iterator<Item = &Vroute> {
        let first = format!("{router} ");
        let after = (Bound::Excluded(first.as_str()), Bound::Unbounded);
        let theirs = self.vroutes.range::<str, _>(after);
        let theirs = theirs.map(|(_, entry)| &entry.object);
        theirs.take_while(move |vroute| vroute.router == router)
    }

    /// Grows whenever a subnet or router changes.
    pub fn segment_changes(&self) -> u64 {
        self.indices.segments.changes
    }

    /// Grows by one whenever a route of a virtual router changes.
    pub fn vroute_changes(&self) -> u64 {
        self.indices.segments.vroute_changes
    }

    /// Routes that have changed, come or gone since there were so many changes;
    /// `None` if that is too long ago to tell.
    pub fn vroutes_since(&self, changes: u64) -> Option<impl Iterator<Item = (&str, Prefix4)>> {
        let segments = &self.indices.segments;
        let news = segments.vroute_changes.checked_sub(changes)?;
        let news = usize::try_from(news).ok()?;
        let first = segments.changed_vroutes.len().checked_sub(news)?;
        let news = segments.changed_vroutes.range(first..);
        Some(news.map(|(router, prefix)| (router.as_str(), *prefix)))
    }

    /// Subnets and routers of a vnet, in words.
    pub(super) fn segments_of(&self, vnet: &str) -> Option<String> {
        let subnets = self.subnets().filter(|subnet| subnet.vnet == vnet);
        let routers = self.routers().filter(|router| router.vnet == vnet);
        let subnets = some_of(subnets.map(|subnet| subnet.name.as_str()));
        let routers = some_of(routers.map(|router| router.name.as_str()));
        let subnets = subnets.map(|names| format!("subnets {names}"));
        subnets.or(routers.map(|names| format!("routers {names}")))
    }

    /// Refuses an address that a router has.
    pub(super) fn not_a_routers(
        &self,
        field: &str,
        vnet: &str,
        prefix: Prefix4,
    ) -> Result<(), Error> {
        if prefix.len != 32 || !self.indices.segments.subnets.contains_key(vnet) {
            return Ok(());
        }
        let address = prefix.address;
        let of = match self.indices.segments.router_at(vnet, address) {
            Some(router) => format!("that of router {router}"),
            None => match self.subnet_at(vnet, address) {
                Some(subnet) if subnet.gateway == Some(address) => {
                    format!("the gateway of subnet {}", subnet.name)
                }
                Some(subnet) if check::dhcp_server(subnet) == Some(address) => {
                    format!("the DHCP server of subnet {}", subnet.name)
                }
                _ => return Ok(()),
            },
        };
        Err(invalid(field, format!("{address} of vnet {vnet} is {of}")))
    }

    /// Whether an address is exactly that of a router, binding, mapping or
    /// outsider.
    pub fn is_held(&self, vnet: &str, address: Vaddr) -> bool {
        let free = self.not_a_routers("address", vnet, alone(address));
        free.and_then(|()| self.not_a_nodes("address", vnet, address))
            .is_err()
    }

    /// Refuses an address for a router that a node or outsider has.
    pub(super) fn not_a_nodes(&self, field: &str, vnet: &str, address: Vaddr) -> Result<(), Error> {
        let prefix = alone(address);
        let place = (vnet.to_owned(), address.0);
        let binding = self.indices.address.get(&place);
        let binding = binding.or_else(|| self.indices.second.get(&place));
        let mapped = || {
            let vni = self.vnet(vnet)?.vni;
            let slot = self.mappings.get(Key { vni, prefix })?;
            let host = self.host(slot.host())?;
            Some(format!("a node of host {}", host.name))
        };
        let outsider = || {
            let name = self.outsider_at(vnet, prefix)?;
            Some(format!("outsider {name}"))
        };
        let binding = binding.map(|name| format!("binding {name}"));
        match binding.or_else(mapped).or_else(outsider) {
            None => Ok(()),
            Some(holder) => Err(invalid(
                field,
                format!("{address} of vnet {vnet} is that of {holder}"),
            )),
        }
    }

    /// Is all that depends on the subnets and routers of a request still right?
    pub(super) fn check_segments(&self, tx: &Transaction) -> Result<(), Error> {
        let mut vnets = BTreeSet::new();
        let mut routers = BTreeSet::new();
        for undo in &tx.objects {
            match undo {
                ObjectUndo::Subnet(name, old) => {
                    let now = self.subnet(name).map(|subnet| &subnet.vnet);
                    vnets.extend(old.as_ref().map(|old| &old.object.vnet));
                    vnets.extend(now);
                    routers.extend(old.as_ref().map(|old| old.object.vnet.as_str()));
                    routers.extend(now.map(String::as_str));
                    let there = self.routers().filter(|router| joins(router, name));
                    routers.extend(there.map(|router| router.name.as_str()));
                }
                ObjectUndo::Router(name, old) => {
                    let now = self.router(name).map(|router| router.vnet.as_str());
                    routers.insert(name.as_str());
                    routers.extend(now);
                    routers.extend(old.as_ref().map(|old| old.object.vnet.as_str()));
                }
                ObjectUndo::Vnet(name, old) => {
                    if let Some(old) = old {
                        self.check_inside(name, &old.object)?;
                    }
                    self.check_answered(name)?;
                }
                _ => {}
            }
        }
        for vnet in vnets {
            self.check_places(vnet)?;
            let answered = self.check_answered(vnet);
            answered.map_err(|e| together("vnet", vnet, e))?;
        }
        for name in routers {
            match self.router(name) {
                Some(router) => router.check(self),
                // A vnet's own, which may have lost its last subnet.
                None => self.check_answered(name),
            }
            .map_err(|e| together("router", name, e))?;
            for vroute in self.vroutes_of(name) {
                let key = vroute_key(name, vroute.prefix);
                let checked = vroute.check(self);
                checked.map_err(|e| together("vroute", &key, e))?;
            }
        }
        Ok(())
    }

    /// What a vnet's subnets and members need of it, if that has changed.
    fn check_inside(&self, name: &str, old: &Vnet) -> Result<(), Error> {
        let Some(now) = self.vnet(name) else {
            return Ok(());
        };
        if now.dhcp != old.dhcp {
            self.check_places(name)?;
        }
        if now.dhcp != old.dhcp || now.mtu != old.mtu {
            for subnet in self.subnets().filter(|one| one.vnet == name) {
                let checked = subnet.check(self);
                checked.map_err(|e| together("subnet", &subnet.name, e))?;
            }
        }
        if now.withheld != old.withheld {
            for member in self.members().filter(|one| one.vnet == name) {
                let checked = member.check(self);
                checked.map_err(|e| together("member", &member.key(), e))?;
            }
        }
        Ok(())
    }

    /// Every node of a vnet with subnets is in one.
    fn check_places(&self, vnet: &str) -> Result<(), Error> {
        let Some(vnet) = self.vnet(vnet) else {
            return Ok(());
        };
        for binding in self.bindings().filter(|one| one.vnet == vnet.name) {
            let mut findings = Findings::default();
            check::addressed(At::only("binding"), binding, vnet, self, &mut findings);
            let placed = super::check_relay::first(findings, "binding");
            placed.map_err(|e| together("binding", &binding.name, e))?;
        }
        Ok(())
    }

    /// Hosts answer with what the vnet's subnets say, which may have come, or
    /// gone, with this very request.
    pub(super) fn check_answered(&self, vnet: &str) -> Result<(), Error> {
        let Some(vnet) = self.vnet(vnet) else {
            return Ok(());
        };
        let mut findings = Findings::default();
        check::answered(At::only("vnet"), vnet, self, &mut findings);
        super::check_relay::first(findings, "vnet").map_err(|error| error.within("vnet"))
    }
}

pub(super) fn joins(router: &Router, subnet: &str) -> bool {
    router.interfaces.iter().any(|one| one.subnet == subnet)
}

/// What is wrong is not said of the object that the request names.
fn together(kind: &str, name: &str, error: Error) -> Error {
    Error::new(
        ErrorCode::InUse,
        format!("{kind} {name} would be wrong: {}", error.message),
    )
    .hint("change both in one batch, what is referred to first")
}
