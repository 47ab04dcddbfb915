//! The relay, judged by the rules of the file.

use super::check::in_use;
use super::objects::{Entry, Objects};
use super::stage::Object;
use super::{ObjectUndo, Store};
use crate::config::check::{self, At, Findings, Site, overlapping};
use crate::control::proto::{Error, ErrorCode, Kind};
use crate::model::{Binding, Host, Port, Relay, Router, Subnet, Vnet};
use crate::wire::address::Prefix4;
use crate::wire::{Prefix6, Vaddr};

/// The first thing that is wrong, its field as seen from the object.
pub(super) fn first(findings: Findings, object: &str) -> Result<(), Error> {
    let Some(problem) = findings.problems.into_iter().next() else {
        return Ok(());
    };
    let field = problem.path.strip_prefix(object).unwrap_or(&problem.path);
    let error =
        Error::new(ErrorCode::InvalidParams, problem.message).field(field.trim_start_matches('.'));
    Err(match problem.hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// Only the appliance's own file names a file of explicit mappings.
pub(super) fn no_file(relay: &Relay) -> Result<(), Error> {
    match &relay.eam_file {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorCode::InvalidParams,
            "only the configuration file names a file of explicit mappings",
        )
        .field("eam_file")
        .hint("leave it out and add the mappings with eam.set")),
    }
}

impl Object for Relay {
    const KIND: Kind = Kind::Relay;

    fn objects(store: &mut Store) -> &mut Objects<Relay> {
        &mut store.relays
    }

    fn undo(key: String, old: Option<Entry<Relay>>) -> ObjectUndo {
        ObjectUndo::Relay(key, old.map(Box::new))
    }

    fn limit(_: &Store) -> usize {
        1
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        let mut findings = Findings::default();
        check::relay(At::only("relay"), self, store, &mut findings);
        first(findings, "relay")
    }

    fn check_unused(&self, store: &Store) -> Result<(), Error> {
        store.no_eams("the relay has")
    }
}

impl Store {
    fn no_eams(&self, who: &str) -> Result<(), Error> {
        match self.eams.len() {
            0 => Ok(()),
            n => Err(in_use(format!("{who} {n} explicit mappings"))),
        }
    }

    /// After a whole set was replaced.
    pub(super) fn check_eams(&self) -> Result<(), Error> {
        match self.relay() {
            Some(_) => Ok(()),
            None => self.no_eams("there is no relay, and there are"),
        }
    }
}

impl check::Objects for Store {
    fn site(&self) -> Site<'_> {
        Site {
            name: &self.settings.name,
            layout: self.settings.layout,
            locator: self.settings.locator,
            mtu: self.settings.mtu,
            workers: self.settings.workers,
        }
    }

    fn port(&self, name: &str) -> Option<&Port> {
        self.settings.ports.iter().find(|port| port.name == name)
    }

    fn vnet(&self, name: &str) -> Option<&Vnet> {
        Store::vnet(self, name)
    }

    fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name).map(|entry| &entry.object)
    }

    fn binding(&self, name: &str) -> Option<&Binding> {
        Store::binding(self, name)
    }

    fn subnet(&self, name: &str) -> Option<&Subnet> {
        self.subnets.get(name).map(|entry| &entry.object)
    }

    fn subnets_over(&self, vnet: &str, prefix: Prefix4) -> impl Iterator<Item = &Subnet> {
        self.indices.segments.over(vnet, prefix, self)
    }

    fn router(&self, name: &str) -> Option<&Router> {
        self.routers.get(name).map(|entry| &entry.object)
    }

    fn router_at(&self, vnet: &str, address: Vaddr) -> Option<&Router> {
        check::Objects::router(self, self.indices.segments.router_at(vnet, address)?)
    }

    fn host_over(&self, prefix: &Prefix6) -> Option<&Host> {
        let host = |name: &String| self.hosts.get(name).map(|entry| &entry.object);
        let locator = |name: &String| host(name).map_or(Prefix6::ANY, |host| host.locator);
        host(overlapping(&self.indices.locator, prefix, locator)?)
    }

    fn ports(&self) -> impl Iterator<Item = &Port> {
        self.settings.ports.iter()
    }

    fn vnet_names(&self) -> impl Iterator<Item = &str> {
        self.vnets.keys().map(String::as_str)
    }

    fn host_names(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    fn binding_names(&self) -> impl Iterator<Item = &str> {
        self.bindings.keys().map(String::as_str)
    }

    fn subnet_names(&self) -> impl Iterator<Item = &str> {
        self.subnets.keys().map(String::as_str)
    }

    fn router_names(&self) -> impl Iterator<Item = &str> {
        self.routers.keys().map(String::as_str)
    }
}
