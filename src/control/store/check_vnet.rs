//! Vnets and bindings: what they may be, and who refers to them.

use super::check::{in_use, invalid, managed, mapping, name, no_vnet, some_of};
use super::check_relay::first;
use super::objects::{Entry, Objects};
use super::stage::Object;
use super::{Indices, ObjectUndo, Store, mappings};
use crate::config::check::{self, At, Findings, alone};
use crate::control::proto::{Error, ErrorCode, Kind};
use crate::model::{Binding, Macs, Role, Vnet};
use crate::wire::address::Prefix4;
use crate::wire::{Layout, Mark, Vaddr};

/// IPv4's smallest MTU (RFC 791), and what frames can be at most.
const MTU: std::ops::RangeInclusive<u16> = 68..=9216;

impl Object for Vnet {
    const KIND: Kind = Kind::Vnet;

    fn objects(store: &mut Store) -> &mut Objects<Vnet> {
        &mut store.vnets
    }

    fn undo(key: String, old: Option<Entry<Vnet>>) -> ObjectUndo {
        ObjectUndo::Vnet(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.vnets
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        name(&self.name)?;
        managed("name", store)?;
        let max = store.settings.layout.max_vni();
        if self.vni.0 == 0 || self.vni.0 > max {
            return Err(
                invalid("vni", format!("network id {} is out of range", self.vni))
                    .hint(format!("1 to {max:#x} in layout {}", store.settings.layout)),
            );
        }
        if let Some(other) = store.indices.vni.get(&self.vni.0)
            && *other != self.name
        {
            return Err(invalid(
                "vni",
                format!("network id {} is that of vnet {other}", self.vni),
            ));
        }
        if store.routers.contains_key(&self.name) {
            let message = format!(
                "{} is a router, and a vnet's own is called like it",
                self.name
            );
            return Err(invalid("name", message));
        }
        if let Some(mtu) = self.mtu.filter(|mtu| !MTU.contains(mtu)) {
            return Err(invalid("mtu", format!("MTU {mtu} is not from 68 to 9216")));
        }
        let mut findings = Findings::default();
        check::policy(At::only("vnet"), self, &mut findings);
        first(findings, "vnet")?;
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let field = format!("prefixes[{i}]");
            if prefix.address.is_multicast() {
                return Err(invalid(&field, format!("{prefix} is multicast")));
            }
            if let Some(other) = self.prefixes[..i]
                .iter()
                .find(|other| other.overlaps(*prefix))
            {
                return Err(invalid(&field, format!("{prefix} overlaps {other}")));
            }
        }
        let given = match self.macs {
            // A journal has the mappings behind the vnet.
            Macs::Computed if !store.replaying => store.mappings.macs_of(self.vni),
            Macs::Computed | Macs::Given => 0,
        };
        if given > 0 {
            let message = format!("{given} mappings of it have a MAC");
            return Err(in_use(message)
                .field("macs")
                .hint("set them without `mac` first"));
        }
        match store.vnets.get(&self.name) {
            Some(old) if old.object != *self => self.check_change(&old.object, store),
            _ => Ok(()),
        }
    }

    fn check_unused(&self, store: &Store) -> Result<(), Error> {
        let bindings = store.bindings().filter(|b| b.vnet == self.name);
        if let Some(names) = some_of(bindings.map(|b| b.name.as_str())) {
            return Err(in_use(format!(
                "vnet {} is used by bindings {names}",
                self.name
            )));
        }
        let outsiders = store.outsiders().filter(|o| o.vnet == self.name);
        if let Some(names) = some_of(outsiders.map(|o| o.name.as_str())) {
            return Err(in_use(format!(
                "vnet {} is used by outsiders {names}",
                self.name
            )));
        }
        if let Some(names) = store.segments_of(&self.name) {
            return Err(in_use(format!("vnet {} is used by {names}", self.name)));
        }
        let heard = store.members().filter(|one| one.vnet == self.name).count();
        if heard > 0 {
            let message = format!("vnet {} is used by {heard} members of groups", self.name);
            return Err(in_use(message));
        }
        match store.mappings.of_vni(self.vni) {
            0 => Ok(()),
            n => Err(in_use(format!(
                "vnet {} is used by {n} mappings",
                self.name
            ))),
        }
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Vnet>) {
        indices
            .vni
            .insert(entry.object.vni.0, entry.object.name.clone());
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Vnet>) {
        if indices.vni.get(&entry.object.vni.0) == Some(&entry.object.name) {
            indices.vni.remove(&entry.object.vni.0);
        }
    }
}

trait VnetChange {
    fn check_change(&self, old: &Vnet, store: &Store) -> Result<(), Error>;
}

impl VnetChange for Vnet {
    /// What is in the vnet must still fit.
    fn check_change(&self, old: &Vnet, store: &Store) -> Result<(), Error> {
        let mappings = store.mappings.of_vni(old.vni);
        if old.vni != self.vni && mappings > 0 {
            return Err(
                in_use(format!("{mappings} mappings use network id {}", old.vni)).field("vni"),
            );
        }
        if old.prefixes == self.prefixes || self.prefixes.is_empty() {
            return Ok(());
        }
        let fits = |address: Vaddr| self.prefixes.iter().any(|range| range.contains(address));
        let left_out = store
            .bindings()
            .filter(|b| b.vnet == self.name && !b.address.is_none_or(fits));
        if let Some(names) = some_of(left_out.map(|b| b.name.as_str())) {
            return Err(in_use(format!("bindings {names} would be outside")).field("prefixes"));
        }
        let inside = |one: &Prefix4| mapping(&self.name, &self.prefixes, *one).is_ok();
        let left_out = store
            .outsiders()
            .filter(|o| o.vnet == self.name && !inside(&o.address));
        if let Some(names) = some_of(left_out.map(|o| o.name.as_str())) {
            return Err(in_use(format!("outsiders {names} would be outside")).field("prefixes"));
        }
        let left_out = store
            .subnets()
            .filter(|s| s.vnet == self.name && !inside(&s.prefix));
        if let Some(names) = some_of(left_out.map(|s| s.name.as_str())) {
            return Err(in_use(format!("subnets {names} would be outside")).field("prefixes"));
        }
        let mut left_out = None;
        if mappings > 0 {
            store
                .mappings
                .walk(&mut mappings::Cursor::default(), usize::MAX, |slot| {
                    let key = slot.key();
                    if key.vni == old.vni
                        && mapping(&self.name, &self.prefixes, key.prefix).is_err()
                    {
                        left_out = Some(key.prefix);
                    }
                    left_out.is_none()
                });
        }
        match left_out {
            Some(prefix) => {
                Err(in_use(format!("mapping {prefix} would be outside")).field("prefixes"))
            }
            None => Ok(()),
        }
    }
}

impl Object for Binding {
    const KIND: Kind = Kind::Binding;

    fn objects(store: &mut Store) -> &mut Objects<Binding> {
        &mut store.bindings
    }

    fn undo(key: String, old: Option<Entry<Binding>>) -> ObjectUndo {
        ObjectUndo::Binding(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.bindings
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        name(&self.name)?;
        let vnet = store.vnet(&self.vnet).ok_or_else(|| no_vnet(&self.vnet))?;
        if let Some(address) = self.address {
            self.check_address(address, vnet, store)?;
        }
        store.check_port(&self.port, Role::Node)?;
        if let Some(vlan) = self.vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            return Err(invalid(
                "vlan",
                format!("VLAN id {vlan} is not from 1 to 4094"),
            ));
        }
        if let Some(mac) = self.mac.filter(|mac| !mac.is_unicast()) {
            return Err(invalid("mac", format!("{mac} is not a unicast address")));
        }
        let mut findings = Findings::default();
        check::addressed(At::only("binding"), self, vnet, store, &mut findings);
        first(findings, "binding")?;
        for (i, prefix) in self.prefixes.iter().enumerate() {
            store.not_a_routers(&format!("prefixes[{i}]"), &self.vnet, *prefix)?;
        }
        self.check_wire(store)?;
        self.check_slots(store)?;
        self.check_prefixes(store)?;
        self.check_outsiders(store)
    }

    fn check_unused(&self, store: &Store) -> Result<(), Error> {
        match some_of(store.outsiders_of(&self.name).map(|o| o.name.as_str())) {
            None => Ok(()),
            Some(names) => Err(in_use(format!(
                "binding {} is named by outsiders {names}",
                self.name
            ))),
        }
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Binding>) {
        let binding = &entry.object;
        if let Some(address) = binding.address {
            let place = (binding.vnet.clone(), address.0);
            indices.address.insert(place, binding.name.clone());
        }
        let wire = indices
            .wire
            .entry((binding.port.clone(), binding.vlan))
            .or_default();
        let same = wire.entry(binding.mac).or_default();
        same.push(binding.name.clone());
        for prefix in binding.prefixes.iter().filter(|prefix| prefix.len == 32) {
            let place = (binding.vnet.clone(), prefix.address.0);
            indices.second.insert(place, binding.name.clone());
        }
    }

    fn unlink(indices: &mut Indices, entry: &Entry<Binding>) {
        let binding = &entry.object;
        if let Some(address) = binding.address {
            let place = (binding.vnet.clone(), address.0);
            if indices.address.get(&place) == Some(&binding.name) {
                indices.address.remove(&place);
            }
        }
        if let Some(wire) = indices.wire.get_mut(&(binding.port.clone(), binding.vlan))
            && let Some(same) = wire.get_mut(&binding.mac)
        {
            same.retain(|name| *name != binding.name);
            if same.is_empty() {
                wire.remove(&binding.mac);
            }
        }
        for prefix in binding.prefixes.iter().filter(|prefix| prefix.len == 32) {
            let place = (binding.vnet.clone(), prefix.address.0);
            if indices.second.get(&place) == Some(&binding.name) {
                indices.second.remove(&place);
            }
        }
    }
}

trait BindingParts {
    fn check_address(&self, address: Vaddr, vnet: &Vnet, store: &Store) -> Result<(), Error>;
    fn check_wire(&self, store: &Store) -> Result<(), Error>;
    fn check_slots(&self, store: &Store) -> Result<(), Error>;
    fn check_prefixes(&self, store: &Store) -> Result<(), Error>;
    fn check_outsiders(&self, store: &Store) -> Result<(), Error>;
}

impl BindingParts for Binding {
    /// It is one that a node can have, and nobody else has it.
    fn check_address(&self, address: Vaddr, vnet: &Vnet, store: &Store) -> Result<(), Error> {
        mapping(&vnet.name, &vnet.prefixes, alone(address))?;
        if address.0 == 0 || address.0 == u32::MAX {
            return Err(invalid(
                "address",
                format!("{address} is not a node's address"),
            ));
        }
        let place = (self.vnet.clone(), address.0);
        if let Some(other) = store.indices.address.get(&place)
            && *other != self.name
        {
            let message = format!("{address} in vnet {} is that of binding {other}", self.vnet);
            return Err(invalid("address", message));
        }
        store.not_a_routers("address", &self.vnet, alone(address))?;
        store.not_an_outsiders(&self.vnet, alone(address))
    }

    /// Frames of a wire are told apart by their source address: two nodes
    /// there need one each, and different ones.
    fn check_wire(&self, store: &Store) -> Result<(), Error> {
        let wire = store.indices.wire.get(&(self.port.clone(), self.vlan));
        let Some(wire) = wire else {
            return Ok(());
        };
        let other = |names: &Vec<String>| names.iter().find(|name| **name != self.name).cloned();
        let alone = match self.mac {
            None => wire.values().find_map(other),
            Some(_) => wire.get(&None).and_then(other),
        };
        if let Some(other) = alone {
            let message = format!("binding {other} is on the same port and VLAN");
            return Err(invalid("mac", message).hint("give both their hardware addresses"));
        }
        let same = self
            .mac
            .and_then(|mac| Some((mac, other(wire.get(&Some(mac))?)?)));
        match same {
            None => Ok(()),
            Some((mac, other)) => Err(invalid(
                "mac",
                format!("{mac} on port {} is that of binding {other}", self.port),
            )),
        }
    }

    /// In layout `slot` there are so many nodes as slots, each in one.
    fn check_slots(&self, store: &Store) -> Result<(), Error> {
        store.check_slot(self.slot)?;
        if store.settings.layout != Layout::Slot {
            return Ok(());
        }
        let others = || store.bindings().filter(|other| other.name != self.name);
        if others().count() >= Mark::SLOTS {
            let message = format!("all {} slots of this host are taken", Mark::SLOTS);
            return Err(Error::new(ErrorCode::Limit, message).field("slot"));
        }
        let given = others().find(|other| self.slot.is_some() && other.slot == self.slot);
        match (given, self.slot) {
            (Some(other), Some(slot)) => Err(invalid(
                "slot",
                format!("slot {slot} is that of binding {}", other.name),
            )),
            _ => Ok(()),
        }
    }

    fn check_prefixes(&self, store: &Store) -> Result<(), Error> {
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let taken = |b: &&Binding| {
                b.vnet == self.vnet && b.name != self.name && b.prefixes.contains(prefix)
            };
            if let Some(other) = store.bindings().find(taken) {
                return Err(invalid(
                    &format!("prefixes[{i}]"),
                    format!("{prefix} is behind binding {} already", other.name),
                ));
            }
        }
        Ok(())
    }
    /// What is behind it is no outsider's, and who names it is of the same vnet.
    fn check_outsiders(&self, store: &Store) -> Result<(), Error> {
        for (i, prefix) in self.prefixes.iter().enumerate() {
            let taken = store.not_an_outsiders(&self.vnet, *prefix);
            taken.map_err(|error| error.field(format!("prefixes[{i}]")))?;
        }
        let mut others = store.outsiders_of(&self.name);
        match others.find(|outsider| outsider.vnet != self.vnet) {
            None => Ok(()),
            Some(outsider) => Err(in_use(format!(
                "outsider {} of vnet {} names it",
                outsider.name, outsider.vnet
            ))
            .field("vnet")),
        }
    }
}
