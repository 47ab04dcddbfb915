//! The substrate's side: hosts, routes, neighbours.

use std::net::Ipv6Addr;

use super::check::{in_use, invalid, managed, name};
use super::objects::{Entry, NO_INDEX, Objects};
use super::stage::Object;
use super::{Indices, ObjectUndo, Store};
use crate::control::proto::{Error, Kind};
use crate::model::{Host, Neighbor, Role, Route};

const MAX_NEXT_HOPS: usize = 16;

impl Object for Host {
    const KIND: Kind = Kind::Host;

    fn objects(store: &mut Store) -> &mut Objects<Host> {
        &mut store.hosts
    }

    fn undo(key: String, old: Option<Entry<Host>>) -> ObjectUndo {
        ObjectUndo::Host(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.hosts
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        name(&self.name)?;
        managed("name", store)?;
        let wanted = store.settings.layout.locator_len();
        if self.locator.len() != wanted {
            return Err(
                invalid("locator", format!("{} is not a /{wanted}", self.locator)).hint(format!(
                    "layout {} has locators of {wanted} bits",
                    store.settings.layout
                )),
            );
        }
        if store.settings.locator == Some(self.locator) {
            return Err(invalid(
                "locator",
                format!("{} is this appliance's own", self.locator),
            ));
        }
        match store.indices.locator.get(&self.locator.bits()) {
            Some(other) if *other != self.name => Err(invalid(
                "locator",
                format!("{} is that of host {other}", self.locator),
            )),
            _ => self.check_outsiders(store),
        }
    }

    fn check_unused(&self, store: &Store) -> Result<(), Error> {
        let index = store.host_index(&self.name).unwrap_or(NO_INDEX);
        let heard = store.members().filter(|one| one.host == self.name).count();
        if heard > 0 {
            let message = format!("host {} is used by {heard} members of groups", self.name);
            return Err(in_use(message));
        }
        match store.mappings.of_host(index) {
            0 => Ok(()),
            n => Err(in_use(format!(
                "host {} is used by {n} mappings",
                self.name
            ))),
        }
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Host>) {
        indices
            .locator
            .insert(entry.object.locator.bits(), entry.object.name.clone());
        indices.claim_host(entry);
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Host>) {
        let bits = entry.object.locator.bits();
        if indices.locator.get(&bits) == Some(&entry.object.name) {
            indices.locator.remove(&bits);
        }
    }
}

trait HostParts {
    fn check_outsiders(&self, store: &Store) -> Result<(), Error>;
}

impl HostParts for Host {
    /// No outsider is where its nodes are. A locator that is there already was
    /// held against them, or is when they are.
    fn check_outsiders(&self, store: &Store) -> Result<(), Error> {
        let known = store.hosts.get(&self.name);
        if known.is_some_and(|held| held.object.locator == self.locator) {
            return Ok(());
        }
        let mut outsiders = store.outsiders();
        match outsiders.find(|outsider| outsider.ipv6.overlaps(&self.locator)) {
            None => Ok(()),
            Some(outsider) => Err(invalid(
                "locator",
                format!(
                    "{} overlaps {} of outsider {}",
                    self.locator, outsider.ipv6, outsider.name
                ),
            )),
        }
    }
}

fn is_node6(address: Ipv6Addr) -> bool {
    !address.is_multicast() && !address.is_unspecified() && !address.is_loopback()
}

impl Object for Route {
    const KIND: Kind = Kind::Route;

    fn objects(store: &mut Store) -> &mut Objects<Route> {
        &mut store.routes
    }

    fn undo(key: String, old: Option<Entry<Route>>) -> ObjectUndo {
        ObjectUndo::Route(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.routes
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        if self.via.is_empty() || self.via.len() > MAX_NEXT_HOPS {
            return Err(invalid(
                "via",
                format!("a route has 1 to {MAX_NEXT_HOPS} next hops"),
            ));
        }
        for (i, hop) in self.via.iter().enumerate() {
            let at = |error: Error| error.within(&format!("via[{i}]"));
            if !is_node6(hop.address) {
                return Err(at(invalid(
                    "address",
                    format!("{} is not a router's address", hop.address),
                )));
            }
            store.check_port(&hop.port, Role::Uplink).map_err(at)?;
            if self.via[..i].contains(hop) {
                return Err(at(invalid(
                    "address",
                    format!("{} is there twice", hop.address),
                )));
            }
        }
        Ok(())
    }

    fn check_unused(&self, _: &Store) -> Result<(), Error> {
        Ok(())
    }
}

impl Object for Neighbor {
    const KIND: Kind = Kind::Neighbor;

    fn objects(store: &mut Store) -> &mut Objects<Neighbor> {
        &mut store.neighbors
    }

    fn undo(key: String, old: Option<Entry<Neighbor>>) -> ObjectUndo {
        ObjectUndo::Neighbor(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.neighbors
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        store.check_port(&self.port, Role::Uplink)?;
        if !is_node6(self.address) {
            return Err(invalid(
                "address",
                format!("{} is not a neighbour's address", self.address),
            ));
        }
        match self.mac.is_unicast() {
            true => Ok(()),
            false => Err(invalid(
                "mac",
                format!("{} is not a unicast address", self.mac),
            )),
        }
    }

    fn check_unused(&self, _: &Store) -> Result<(), Error> {
        Ok(())
    }
}

impl Indices {
    /// Gives the host the index it had, or a free one.
    fn claim_host(&mut self, entry: &mut Entry<Host>) {
        if entry.index == NO_INDEX {
            entry.index = self
                .free_hosts
                .pop()
                .unwrap_or(self.host_names.len() as u32);
        } else {
            self.free_hosts.retain(|index| *index != entry.index);
            self.freed_hosts.retain(|index| *index != entry.index);
        }
        let place = entry.index as usize;
        if self.host_names.len() <= place {
            self.host_names.resize(place + 1, None);
        }
        self.host_names[place] = Some(entry.object.name.clone());
        self.host.insert(entry.object.name.clone(), entry.index);
    }

    pub(super) fn free_host(&mut self, index: u32) {
        if let Some(name) = self
            .host_names
            .get_mut(index as usize)
            .and_then(Option::take)
        {
            self.host.remove(&name);
            self.freed_hosts.push(index);
        }
    }
}
