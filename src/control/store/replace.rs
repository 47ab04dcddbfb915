//! A whole set at once: the file at start and at SIGHUP.
//!
//! Objects are exchanged first and checked afterwards, all together: two vnets
//! may swap their network ids, which no order of single changes could do.

use std::collections::BTreeSet;

use super::mappings::{Cursor, Key};
use super::objects::{Entry, FOREVER, NO_INDEX, Objects, Tomb, Verdict, admit_set};
use super::stage::Object;
use super::{Store, Transaction};
use crate::control::plant::Plant;
use crate::control::proto::{Error, ErrorCode, Kind, MappingRow, MappingSet};
use crate::model::{Binding, Eam, Host, Mapping, Neighbor, Origin, Outsider, Relay, Route, Vnet};

/// Everything an origin wants to exist.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    pub vnets: Vec<Vnet>,
    pub hosts: Vec<Host>,
    pub bindings: Vec<Binding>,
    pub mappings: Vec<Mapping>,
    pub routes: Vec<Route>,
    pub neighbors: Vec<Neighbor>,
    pub relay: Option<Relay>,
    /// Those of a file that the relay names, too.
    pub eams: Vec<Eam>,
    pub outsiders: Vec<Outsider>,
}

/// What a replacement came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub applied: u32,
    pub unchanged: u32,
    pub removed: u32,
    /// Objects that a stronger origin holds, changed or has removed: they stay
    /// as that origin wants them.
    pub overridden: Vec<String>,
}

impl Store {
    /// Makes the objects of `origin` be exactly these.
    pub fn replace(
        &mut self,
        plant: &mut impl Plant,
        origin: Origin,
        desired: &Desired,
        now: u32,
    ) -> Result<Changes, Error> {
        if self.syncs.is_open(origin) {
            return Err(Error::new(
                ErrorCode::Sync,
                format!("a sync of origin {origin} is open"),
            ));
        }
        let mut tx = Transaction::default();
        let mut changes = Changes::default();
        self.begin();
        let staged = self.stage_all(&mut tx, &mut changes, origin, desired, now);
        if let Err(error) = staged {
            self.roll_back(&mut tx);
            self.rebuild_indices();
            return Err(error);
        }
        changes.applied = tx.applied.applied;
        changes.unchanged = tx.applied.unchanged;
        if let Err(error) = self.push(plant, &tx) {
            self.revert(plant, tx);
            self.rebuild_indices();
            return Err(error.into());
        }
        Ok(changes)
    }

    fn stage_all(
        &mut self,
        tx: &mut Transaction,
        changes: &mut Changes,
        origin: Origin,
        desired: &Desired,
        now: u32,
    ) -> Result<(), Error> {
        self.exchange(tx, changes, origin, &desired.vnets, now)?;
        self.exchange(tx, changes, origin, &desired.hosts, now)?;
        self.exchange(tx, changes, origin, &desired.bindings, now)?;
        self.exchange(tx, changes, origin, &desired.routes, now)?;
        self.exchange(tx, changes, origin, &desired.neighbors, now)?;
        self.exchange(tx, changes, origin, desired.relay.as_slice(), now)?;
        self.exchange(tx, changes, origin, &desired.outsiders, now)?;
        self.rebuild_indices();
        self.exchange_mappings(tx, changes, origin, &desired.mappings, now)?;
        let (overridden, gone) = self.exchange_eams(tx, origin, &desired.eams, now)?;
        changes.removed += u32::try_from(gone).unwrap_or(u32::MAX);
        changes.overridden.extend(
            overridden
                .iter()
                .map(|(eam, owner)| format!("{} {}: held by origin {owner}", Kind::Eam, eam.ipv4)),
        );
        self.watch_pool();
        self.check_all()
    }

    fn exchange<T: Object>(
        &mut self,
        tx: &mut Transaction,
        changes: &mut Changes,
        origin: Origin,
        wanted: &[T],
        now: u32,
    ) -> Result<(), Error> {
        let mut keys = BTreeSet::new();
        for object in wanted {
            let key = object.key();
            if !keys.insert(key.clone()) {
                return Err(Error::new(
                    ErrorCode::InvalidParams,
                    format!("{} {key} is there twice", T::KIND),
                ));
            }
            let tomb = self.object_tombs.get(&(T::KIND, key.clone()), now);
            let held = T::objects(self).get(&key);
            let same = held.is_some_and(|entry| entry.object == *object);
            let owner = held.map(|entry| (entry.origin, entry.revision));
            match admit_set(owner, same, tomb, origin, 0) {
                Verdict::Apply(revision) => {
                    let entry = Entry {
                        object: object.clone(),
                        origin,
                        revision,
                        mentioned: true,
                        index: NO_INDEX,
                    };
                    let old = self.put(key.clone(), entry);
                    tx.objects.push(T::undo(key, old));
                    tx.applied.applied += 1;
                }
                Verdict::Held(_) if same => tx.applied.unchanged += 1,
                Verdict::Held(owner) => changes
                    .overridden
                    .push(format!("{}: held by origin {owner}", T::KIND.named(&key))),
                Verdict::Unchanged | Verdict::Stale => tx.applied.unchanged += 1,
            }
        }
        let limit = T::limit(self);
        let gone: Vec<String> = T::objects(self)
            .iter()
            .filter(|(key, entry)| entry.origin == origin && !keys.contains(*key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            let old = self.take::<T>(&key);
            tx.objects.push(T::undo(key, old));
            changes.removed += 1;
        }
        match T::objects(self).len() > limit {
            true => Err(Error::new(
                ErrorCode::Limit,
                format!("more than {limit} objects of kind {}", T::KIND),
            )),
            false => Ok(()),
        }
    }

    fn exchange_mappings(
        &mut self,
        tx: &mut Transaction,
        changes: &mut Changes,
        origin: Origin,
        wanted: &[Mapping],
        now: u32,
    ) -> Result<(), Error> {
        self.mappings
            .remark(&mut Cursor::default(), usize::MAX, origin, false);
        self.syncs.set_mark(origin, true);
        for (i, mapping) in wanted.iter().enumerate() {
            let at = |error: Error| error.within(&format!("mappings[{i}]"));
            if let Some(owner) = self.stronger_holder(origin, mapping, now) {
                changes.overridden.push(format!(
                    "mapping {} {}: held by origin {owner}",
                    mapping.vnet, mapping.address
                ));
                continue;
            }
            let row = MappingRow {
                address: mapping.address,
                host: mapping.host.as_str().into(),
                expires: mapping.expires,
                revision: mapping.revision,
            };
            let set = MappingSet {
                vnet: mapping.vnet.as_str().into(),
                mappings: vec![row],
            };
            self.set_mappings(tx, origin, &set, now)
                .map_err(|mut error| {
                    // The row is not in a list of its own for who reads this.
                    if let Some(data) = &mut error.data {
                        data.field = data.field.trim_start_matches("mappings[0].").to_owned();
                    }
                    at(error)
                })?;
        }
        let mut gone = Vec::new();
        self.mappings
            .walk(&mut Cursor::default(), usize::MAX, |slot| {
                if slot.origin() == origin && !slot.mark() {
                    gone.push(slot.key());
                }
                true
            });
        changes.removed += u32::try_from(gone.len()).unwrap_or(u32::MAX);
        for key in gone {
            let old = self.mappings.take(key);
            tx.mappings.push((key, old));
        }
        Ok(())
    }

    /// The stronger origin that holds this mapping, or hides it.
    fn stronger_holder(&self, origin: Origin, mapping: &Mapping, now: u32) -> Option<Origin> {
        let vni = self.vnet(&mapping.vnet)?.vni;
        let key = Key {
            vni,
            prefix: mapping.address,
        };
        let hidden = self.mapping_tombs.get(&key, now);
        let hidden = hidden.filter(|tomb: &Tomb| tomb.until == FOREVER && origin == Origin::File);
        let held = self.mappings.get(key).map(|slot| slot.origin());
        held.filter(|owner| *owner > origin)
            .or(hidden.map(|tomb| tomb.origin))
    }

    /// Objects of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Vnet => self.vnets.len(),
            Kind::Host => self.hosts.len(),
            Kind::Binding => self.bindings.len(),
            Kind::Mapping => self.mappings.len(),
            Kind::Route => self.routes.len(),
            Kind::Neighbor => self.neighbors.len(),
            Kind::Relay => self.relays.len(),
            Kind::Eam => self.eams.len(),
            Kind::Outsider => self.outsiders.len(),
        }
    }

    /// Objects of an origin, of all kinds.
    pub fn count_of(&self, origin: Origin) -> usize {
        fn of<T>(objects: &Objects<T>, origin: Origin) -> usize {
            objects
                .values()
                .filter(|entry| entry.origin == origin)
                .count()
        }
        of(&self.vnets, origin)
            + of(&self.hosts, origin)
            + of(&self.bindings, origin)
            + of(&self.routes, origin)
            + of(&self.neighbors, origin)
            + of(&self.relays, origin)
            + of(&self.outsiders, origin)
            + self.eams.of_origin(origin)
            + self.mappings.of_origin(origin)
    }
}
