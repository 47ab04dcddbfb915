//! Outsiders, judged by the rules of the file, and who may not be where they
//! are.

use super::check::{invalid, name};
use super::check_relay::first;
use super::mappings::Key;
use super::objects::{Entry, Objects};
use super::stage::Object;
use super::{Indices, ObjectUndo, Store};
use crate::config::check::{self, At, Findings};
use crate::control::proto::{Error, Kind};
use crate::model::Outsider;
use crate::wire::address::Prefix4;

impl Object for Outsider {
    const KIND: Kind = Kind::Outsider;

    fn objects(store: &mut Store) -> &mut Objects<Outsider> {
        &mut store.outsiders
    }

    fn undo(key: String, old: Option<Entry<Outsider>>) -> ObjectUndo {
        ObjectUndo::Outsider(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.outsiders
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        name(&self.name)?;
        let mut findings = Findings::default();
        check::outsider(At::only("outsider"), self, store, &mut findings);
        first(findings, "outsider")?;
        let taken = |by: String| {
            let message = format!("{} of vnet {} is that of {by}", self.address, self.vnet);
            Err(invalid("address", message))
        };
        if let Some(holder) = store.holder(&self.vnet, self.address) {
            return taken(holder);
        }
        if let Some(other) = store.outsider_at(&self.vnet, self.address)
            && *other != self.name
        {
            return taken(format!("outsider {other}"));
        }
        store.not_a_routers("address", &self.vnet, self.address)?;
        let system = (self.vnet.clone(), self.ipv6);
        match store.indices.system.get(&system) {
            Some(other) if *other != self.name => Err(invalid(
                "ipv6",
                format!("{} is outsider {other} of vnet {}", self.ipv6, self.vnet),
            )),
            _ => Ok(()),
        }
    }

    fn check_unused(&self, _: &Store) -> Result<(), Error> {
        Ok(())
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Outsider>) {
        let Outsider {
            name,
            vnet,
            address,
            ipv6,
            ..
        } = &entry.object;
        let of_vnet = indices.outsider.entry(vnet.clone()).or_default();
        of_vnet.insert(*address, name.clone());
        indices.system.insert((vnet.clone(), *ipv6), name.clone());
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Outsider>) {
        let outsider = &entry.object;
        if let Some(of_vnet) = indices.outsider.get_mut(&outsider.vnet) {
            if of_vnet.get(&outsider.address) == Some(&outsider.name) {
                of_vnet.remove(&outsider.address);
            }
            if of_vnet.is_empty() {
                indices.outsider.remove(&outsider.vnet);
            }
        }
        let system = (outsider.vnet.clone(), outsider.ipv6);
        if indices.system.get(&system) == Some(&outsider.name) {
            indices.system.remove(&system);
        }
    }
}

impl Store {
    pub(super) fn outsider_at(&self, vnet: &str, prefix: Prefix4) -> Option<&String> {
        self.indices.outsider.get(vnet)?.get(&prefix)
    }

    /// The binding or mapping that has exactly this prefix.
    fn holder(&self, vnet: &str, prefix: Prefix4) -> Option<String> {
        let behind = |b: &&crate::model::Binding| {
            let own = prefix.len == 32 && b.address == Some(prefix.address);
            b.vnet == vnet && (own || b.prefixes.contains(&prefix))
        };
        if let Some(binding) = self.bindings().find(behind) {
            return Some(format!("binding {}", binding.name));
        }
        let vni = self.vnet(vnet)?.vni;
        let slot = self.mappings.get(Key { vni, prefix })?;
        let host = self.host(slot.host())?;
        Some(format!("a node of host {}", host.name))
    }

    /// Refuses what an outsider has.
    pub(super) fn not_an_outsiders(&self, vnet: &str, prefix: Prefix4) -> Result<(), Error> {
        match self.outsider_at(vnet, prefix) {
            None => Ok(()),
            Some(outsider) => Err(invalid(
                "address",
                format!("{prefix} of vnet {vnet} is that of outsider {outsider}"),
            )),
        }
    }

    /// Outsiders whose list of nodes has this one.
    pub(super) fn outsiders_of(&self, node: &str) -> impl Iterator<Item = &Outsider> {
        let names = move |outsider: &&Outsider| outsider.nodes.iter().flatten().any(|n| n == node);
        self.outsiders().filter(names)
    }
}
