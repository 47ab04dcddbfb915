//! A whole set at once: the file at start, at SIGHUP and by `config.apply`.
//!
//! Objects are exchanged first and checked afterwards, all together: two vnets
//! may swap their network ids, which no order of single changes could do. A
//! set that is staged can be looked at before it is committed or discarded.

use std::collections::BTreeSet;

use super::check_member::ending;
use super::mappings::{Cursor, Key, Place};
use super::objects::{Entry, FOREVER, NO_INDEX, Objects, Tomb, Verdict, admit_set};
use super::stage::{Object, check_revision, no_host};
use super::{Store, Transaction};
use crate::config::Config;
use crate::control::plant::Plant;
use crate::control::proto::{Error, ErrorCode, Kind, Overridden};
use crate::model::{
    Binding, Eam, Host, Mapping, Member, Neighbor, Origin, Outsider, Relay, Route, Router, Subnet,
    Vnet, Vroute,
};
use crate::wire::Vni;
use crate::wire::address::Prefix4;

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
    pub subnets: Vec<Subnet>,
    pub routers: Vec<Router>,
    pub vroutes: Vec<Vroute>,
    pub members: Vec<Member>,
}

impl Desired {
    /// Takes the objects of a file; its settings are left.
    pub fn take(config: &mut Config) -> Desired {
        use std::mem::take;
        Desired {
            vnets: take(&mut config.vnet),
            hosts: take(&mut config.host),
            bindings: take(&mut config.binding),
            mappings: take(&mut config.mapping),
            routes: take(&mut config.route),
            neighbors: take(&mut config.neighbor),
            relay: take(&mut config.relay),
            eams: {
                let mut eams = take(&mut config.eam);
                eams.append(&mut take(&mut config.eam_file).eams);
                eams
            },
            outsiders: take(&mut config.outsider),
            subnets: take(&mut config.subnet),
            routers: take(&mut config.router),
            vroutes: take(&mut config.vroute),
            members: take(&mut config.member),
        }
    }
}

/// What a replacement came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub applied: u32,
    pub unchanged: u32,
    pub removed: u32,
    /// Objects that a stronger origin holds, changed or has removed: they stay
    /// as that origin wants them.
    pub overridden: Vec<Overridden>,
}

/// A set that is in the store and not yet in the plant. It must be committed or
/// discarded before anything else is done with the store.
#[derive(Debug)]
#[must_use]
pub struct Staged {
    pub changes: Changes,
    pub(super) transaction: Transaction,
}

impl Staged {
    pub(crate) fn transaction(&self) -> &Transaction {
        &self.transaction
    }
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
        let staged = self.stage_set(origin, desired, now)?;
        let changes = staged.changes.clone();
        self.commit(plant, staged)?;
        Ok(changes)
    }

    /// Stages a whole set; an error has changed nothing.
    pub(crate) fn stage_set(
        &mut self,
        origin: Origin,
        desired: &Desired,
        now: u32,
    ) -> Result<Staged, Error> {
        if self.syncs.is_open(origin) {
            return Err(Error::new(
                ErrorCode::Sync,
                format!("a sync of origin {origin} is open"),
            ));
        }
        let mut tx = Transaction::default();
        let mut changes = Changes::default();
        self.begin();
        let outcome = self.stage_all(&mut tx, &mut changes, origin, desired, now);
        changes.applied = tx.applied.applied;
        changes.unchanged = tx.applied.unchanged;
        let staged = Staged {
            changes,
            transaction: tx,
        };
        match outcome {
            Ok(()) => Ok(staged),
            Err(error) => {
                self.discard(staged);
                Err(error)
            }
        }
    }

    /// Brings a staged set to the plant; if that refuses, all is as before. The
    /// transaction can be reverted until something else is changed.
    pub(crate) fn commit(
        &mut self,
        plant: &mut impl Plant,
        staged: Staged,
    ) -> Result<Transaction, Error> {
        let tx = staged.transaction;
        if let Err(error) = self.push(plant, &tx) {
            self.take_back(plant, tx);
            return Err(error.into());
        }
        Ok(tx)
    }

    /// Undoes a set that was committed.
    pub(crate) fn take_back(&mut self, plant: &mut impl Plant, tx: Transaction) {
        self.revert(plant, tx);
        self.rebuild_indices();
        self.watch_pool();
    }

    /// Undoes a set that was only staged.
    pub(crate) fn discard(&mut self, staged: Staged) {
        let mut tx = staged.transaction;
        self.roll_back(&mut tx);
        self.rebuild_indices();
        self.watch_pool();
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
        self.exchange(tx, changes, origin, &desired.subnets, now)?;
        self.exchange(tx, changes, origin, &desired.routers, now)?;
        self.exchange(tx, changes, origin, &desired.hosts, now)?;
        self.exchange(tx, changes, origin, &desired.bindings, now)?;
        self.exchange(tx, changes, origin, &desired.routes, now)?;
        self.exchange(tx, changes, origin, &desired.neighbors, now)?;
        self.exchange(tx, changes, origin, desired.relay.as_slice(), now)?;
        self.exchange(tx, changes, origin, &desired.outsiders, now)?;
        self.exchange(tx, changes, origin, &desired.vroutes, now)?;
        let members = desired.members.iter().map(|member| ending(member, now));
        self.exchange(tx, changes, origin, &members.collect::<Vec<_>>(), now)?;
        self.rebuild_indices();
        self.exchange_mappings(tx, changes, origin, &desired.mappings, now)?;
        let (overridden, gone) = self.exchange_eams(tx, origin, &desired.eams, now)?;
        changes.removed += u32::try_from(gone).unwrap_or(u32::MAX);
        let overridden = overridden.into_iter().map(|(eam, origin)| Overridden {
            kind: Kind::Eam,
            key: eam.ipv4.to_string(),
            origin,
        });
        changes.overridden.extend(overridden);
        self.watch_pool();
        self.check_all(tx)
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
                Verdict::Held(origin) => changes.overridden.push(Overridden {
                    kind: T::KIND,
                    key,
                    origin,
                }),
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
        // Runs of one vnet are usual: it is looked up once.
        let mut last: Option<(&str, (Vni, Vec<Prefix4>))> = None;
        for (i, mapping) in wanted.iter().enumerate() {
            let at = |error: Error| error.within(&format!("mapping[{i}]"));
            let (vni, prefixes) = match &last {
                Some((name, known)) if *name == mapping.vnet => known,
                _ => {
                    let known = self.vnet_for_mappings(&mapping.vnet).map_err(at)?;
                    &last.insert((&mapping.vnet, known)).1
                }
            };
            let key = Key {
                vni: *vni,
                prefix: mapping.address,
            };
            let (slot, mac) = (mapping.slot, mapping.mac);
            let place = self
                .host_index(&mapping.host)
                .map(|host| Place { host, slot, mac });
            if let Some(owner) = self.stronger_holder(origin, key, now) {
                match self
                    .mappings
                    .get(key)
                    .map(|held| Some(held.place()) == place)
                {
                    Some(true) => tx.applied.unchanged += 1,
                    _ => changes.overridden.push(Overridden {
                        kind: Kind::Mapping,
                        key: format!("{} {}", mapping.vnet, mapping.address),
                        origin: owner,
                    }),
                }
                continue;
            }
            let place = place.ok_or_else(|| at(no_host(&mapping.host)))?;
            super::check::mapping(&mapping.vnet, prefixes, mapping.address).map_err(at)?;
            self.not_an_outsiders(&mapping.vnet, mapping.address)
                .map_err(at)?;
            self.not_a_routers("address", &mapping.vnet, mapping.address)
                .map_err(at)?;
            check_revision(mapping.revision).map_err(at)?;
            self.check_slot(mapping.slot).map_err(at)?;
            self.check_mac(&mapping.vnet, mapping.mac).map_err(at)?;
            let expires = mapping
                .expires
                .map(|seconds| now.saturating_add(seconds).max(1));
            let row = (key, place, expires, mapping.revision);
            self.set_mapping(tx, origin, row, true, now).map_err(at)?;
        }
        let mut gone = Vec::new();
        self.mappings
            .walk(&mut Cursor::default(), usize::MAX, |slot| {
                if slot.origin() == origin && !slot.mark() {
                    gone.push(slot.key());
                }
                true
            });
        gone.sort_unstable_by_key(|key| (key.vni, key.prefix.address.0, key.prefix.len));
        changes.removed += u32::try_from(gone.len()).unwrap_or(u32::MAX);
        for key in gone {
            let old = self.mappings.take(key);
            tx.mappings.push((key, old));
        }
        Ok(())
    }

    /// The stronger origin that holds this mapping, or hides it.
    fn stronger_holder(&self, origin: Origin, key: Key, now: u32) -> Option<Origin> {
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
            Kind::Subnet => self.subnets.len(),
            Kind::Router => self.routers.len(),
            Kind::Vroute => self.vroutes.len(),
            Kind::Member => self.members.len(),
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
            + of(&self.subnets, origin)
            + of(&self.routers, origin)
            + of(&self.vroutes, origin)
            + of(&self.members, origin)
            + self.eams.of_origin(origin)
            + self.mappings.of_origin(origin)
    }
}
