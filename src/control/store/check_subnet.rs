//! Subnets, judged by the rules of the file, and what is in them.

use super::check::{in_use, managed, name, some_of};
use super::check_relay::first;
use super::objects::{Entry, Objects};
use super::segments::joins;
use super::stage::Object;
use super::{Indices, ObjectUndo, Store};
use crate::config::check::{self, At, Findings, Objects as _, address_in};
use crate::control::proto::{Error, Kind};
use crate::model::Subnet;
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

impl Object for Subnet {
    const KIND: Kind = Kind::Subnet;

    fn objects(store: &mut Store) -> &mut Objects<Subnet> {
        &mut store.subnets
    }

    fn undo(key: String, old: Option<Entry<Subnet>>) -> ObjectUndo {
        ObjectUndo::Subnet(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.subnets
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        name(&self.name)?;
        managed("name", store)?;
        let mut findings = Findings::default();
        check::subnet(At::only("subnet"), self, store, &mut findings);
        first(findings, "subnet")?;
        if let Some(gateway) = self.gateway {
            store.not_a_nodes("gateway", &self.vnet, gateway)?;
        }
        match self.dhcp.as_ref().and_then(|dhcp| dhcp.server) {
            Some(server) => store.not_a_nodes("dhcp.server", &self.vnet, server),
            None => Ok(()),
        }
    }

    fn check_unused(&self, store: &Store) -> Result<(), Error> {
        let used = |what: &str, names: String| {
            let message = format!("subnet {} is used by {what} {names}", self.name);
            Err(in_use(message))
        };
        let routers = store.routers().filter(|router| joins(router, &self.name));
        if let Some(names) = some_of(routers.map(|router| router.name.as_str())) {
            return used("routers", names);
        }
        let everything = Prefix4 {
            address: Vaddr(0),
            len: 0,
        };
        // Nodes are looked at when the request is over: a vnet whose last subnet
        // goes is flat again.
        let others = store.subnets_over(&self.vnet, everything).nth(1).is_some();
        if address_in(&self.vnet, self, store).is_none() {
            return Ok(());
        }
        let by_here = |via: Vaddr| self.prefix.contains(via);
        let own = store.vroutes_of(&self.vnet);
        let lost = own.filter(|vroute| !others || vroute.via.is_some_and(by_here));
        let prefixes: Vec<_> = lost.map(|vroute| vroute.prefix.to_string()).collect();
        match some_of(prefixes.iter().map(String::as_str)) {
            Some(names) => used("routes", names),
            None => Ok(()),
        }
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Subnet>) {
        indices.segments.add_subnet(&entry.object);
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Subnet>) {
        indices.segments.remove_subnet(&entry.object);
    }
}
