//! Virtual routers and their routes, judged by the rules of the file.

use super::check::{in_use, invalid, managed, name};
use super::check_relay::first;
use super::objects::{Entry, Objects};
use super::stage::Object;
use super::{Indices, ObjectUndo, Store};
use crate::config::check::{self, At, Findings};
use crate::control::proto::{Error, Kind};
use crate::model::{Router, Vroute};

impl Object for Router {
    const KIND: Kind = Kind::Router;

    fn objects(store: &mut Store) -> &mut Objects<Router> {
        &mut store.routers
    }

    fn undo(key: String, old: Option<Entry<Router>>) -> ObjectUndo {
        ObjectUndo::Router(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.routers
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        name(&self.name)?;
        managed("name", store)?;
        let mut findings = Findings::default();
        check::router(At::only("router"), self, store, &mut findings);
        first(findings, "router")?;
        for (i, interface) in self.interfaces.iter().enumerate() {
            let field = format!("interfaces[{i}].address");
            let address = interface.address;
            store.not_a_nodes(&field, &self.vnet, address)?;
            match store.indices.segments.router_at(&self.vnet, address) {
                Some(other) if other != self.name => {
                    let message =
                        format!("{address} of vnet {} is that of router {other}", self.vnet);
                    return Err(invalid(&field, message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_unused(&self, store: &Store) -> Result<(), Error> {
        match store.vroutes_of(&self.name).count() {
            0 => Ok(()),
            n => Err(in_use(format!("router {} has {n} routes", self.name))),
        }
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Router>) {
        indices.segments.add_router(&entry.object);
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Router>) {
        indices.segments.remove_router(&entry.object);
    }
}

impl Object for Vroute {
    const KIND: Kind = Kind::Vroute;

    fn objects(store: &mut Store) -> &mut Objects<Vroute> {
        &mut store.vroutes
    }

    fn undo(key: String, old: Option<Entry<Vroute>>) -> ObjectUndo {
        ObjectUndo::Vroute(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.vroutes
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        let mut findings = Findings::default();
        check::vroute(At::only("vroute"), self, store, &mut findings);
        first(findings, "vroute")
    }

    fn check_unused(&self, _: &Store) -> Result<(), Error> {
        Ok(())
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Vroute>) {
        indices.segments.touch_vroute(&entry.object);
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Vroute>) {
        indices.segments.touch_vroute(&entry.object);
    }
}
