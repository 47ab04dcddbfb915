//! Staging: one change checked and written into the store, with a note of
//! what was there before.

use super::check_member::ending;
use super::mappings::{Key, Place, Slot};
use super::objects::{
    Entry, FOREVER, NO_INDEX, Named, Objects, RELAY, Tomb, Verdict, admit_remove, admit_set,
    member_key, neighbor_key, vroute_key,
};
use super::{Indices, ObjectUndo, Store, Transaction};
use crate::control::proto::{
    Change, Error, ErrorCode, Kind, MAX_REVISION, MappingRemove, MappingSet,
};
use crate::model::{
    Binding, Host, Member, Neighbor, Origin, Outsider, Relay, Route, Router, Subnet, Vnet, Vroute,
};

/// A kind of object the store keeps.
pub(super) trait Object: Named + Clone + PartialEq {
    const KIND: Kind;

    fn objects(store: &mut Store) -> &mut Objects<Self>;
    fn undo(key: String, old: Option<Entry<Self>>) -> ObjectUndo;
    /// Is this object right, given everything else?
    fn check(&self, store: &Store) -> Result<(), Error>;
    /// An error that names what still refers to it.
    fn check_unused(&self, store: &Store) -> Result<(), Error>;
    fn limit(store: &Store) -> usize;
    fn link(_indices: &mut Indices, _entry: &mut Entry<Self>) {}
    fn unlink(_indices: &mut Indices, _entry: &Entry<Self>) {}
}

pub(super) fn check_revision(revision: u64) -> Result<(), Error> {
    match revision <= MAX_REVISION {
        true => Ok(()),
        false => Err(Error::new(
            ErrorCode::InvalidParams,
            format!("revision {revision} is above 2^53 - 1"),
        )
        .field("revision")),
    }
}

pub(super) fn held_by(kind: Kind, key: &str, owner: Origin, origin: Origin) -> Error {
    Error::new(
        ErrorCode::Conflict,
        format!(
            "{} is held by origin {owner}; origin {origin} cannot change it",
            kind.named(key)
        ),
    )
    .hint(format!("change it where it comes from: {owner}"))
}

pub(super) fn no_host(name: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no host {name}"))
        .field("host")
        .hint("add it with host.set first")
}

impl Store {
    /// A new request: hosts freed by those before can be given out again.
    pub(super) fn begin(&mut self) {
        let freed = std::mem::take(&mut self.indices.freed_hosts);
        self.indices.free_hosts.extend(freed);
    }

    pub(super) fn stage(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        change: &Change<'_>,
        now: u32,
    ) -> Result<(), Error> {
        match change {
            Change::VnetSet(c) => self
                .set(tx, origin, &c.vnet, c.revision, now)
                .map_err(|e| e.within("vnet")),
            Change::HostSet(c) => self
                .set(tx, origin, &c.host, c.revision, now)
                .map_err(|e| e.within("host")),
            Change::BindingSet(c) => self
                .set(tx, origin, &c.binding, c.revision, now)
                .map_err(|e| e.within("binding")),
            Change::RouteSet(c) => self
                .set(tx, origin, &c.route, c.revision, now)
                .map_err(|e| e.within("route")),
            Change::NeighborSet(c) => self
                .set(tx, origin, &c.neighbor, c.revision, now)
                .map_err(|e| e.within("neighbor")),
            Change::VnetRemove(c) => self.remove::<Vnet>(tx, origin, &c.name, c.revision, now),
            Change::HostRemove(c) => self.remove::<Host>(tx, origin, &c.name, c.revision, now),
            Change::BindingRemove(c) => {
                self.remove::<Binding>(tx, origin, &c.name, c.revision, now)
            }
            Change::RouteRemove(c) => {
                self.remove::<Route>(tx, origin, &c.prefix.to_string(), c.revision, now)
            }
            Change::NeighborRemove(c) => self.remove::<Neighbor>(
                tx,
                origin,
                &neighbor_key(&c.port, c.address),
                c.revision,
                now,
            ),
            Change::RelaySet(c) => super::check_relay::no_file(&c.relay)
                .and_then(|()| self.set(tx, origin, &c.relay, c.revision, now))
                .map_err(|e| e.within("relay")),
            Change::RelayRemove(c) => self.remove::<Relay>(tx, origin, RELAY, c.revision, now),
            Change::OutsiderSet(c) => self
                .set(tx, origin, &c.outsider, c.revision, now)
                .map_err(|e| e.within("outsider")),
            Change::OutsiderRemove(c) => {
                self.remove::<Outsider>(tx, origin, &c.name, c.revision, now)
            }
            Change::SubnetSet(c) => self
                .set(tx, origin, &c.subnet, c.revision, now)
                .map_err(|e| e.within("subnet")),
            Change::RouterSet(c) => self
                .set(tx, origin, &c.router, c.revision, now)
                .map_err(|e| e.within("router")),
            Change::VrouteSet(c) => self
                .set(tx, origin, &c.vroute, c.revision, now)
                .map_err(|e| e.within("vroute")),
            Change::SubnetRemove(c) => self.remove::<Subnet>(tx, origin, &c.name, c.revision, now),
            Change::RouterRemove(c) => self.remove::<Router>(tx, origin, &c.name, c.revision, now),
            Change::VrouteRemove(c) => {
                let key = vroute_key(&c.router, c.prefix);
                self.remove::<Vroute>(tx, origin, &key, c.revision, now)
            }
            Change::MemberSet(c) => self
                .set(tx, origin, &ending(&c.member, now), c.revision, now)
                .map_err(|e| e.within("member")),
            Change::MemberRemove(c) => {
                let key = member_key(&c.vnet, c.group, &c.host);
                self.remove::<Member>(tx, origin, &key, c.revision, now)
            }
            Change::EamSet(c) => self.set_eams(tx, origin, c, now),
            Change::EamRemove(c) => self.remove_eams(tx, origin, c, now),
            Change::MappingSet(c) => self.set_mappings(tx, origin, c, now),
            Change::MappingRemove(c) => self.remove_mappings(tx, origin, c, now),
        }
    }

    pub(super) fn admit_set(
        &self,
        held: Option<(Origin, u64)>,
        same: bool,
        tomb: Option<Tomb>,
        origin: Origin,
        revision: u64,
    ) -> Verdict {
        match (self.replaying, held) {
            (true, held) if held.is_none_or(|(owner, _)| owner <= origin) => {
                Verdict::Apply(revision)
            }
            _ => admit_set(held, same, tomb, origin, revision),
        }
    }

    /// Puts everything back, last change first.
    pub(super) fn roll_back(&mut self, tx: &mut Transaction) {
        while let Some(undo) = tx.objects.pop() {
            match undo {
                ObjectUndo::Vnet(key, old) => self.put_back::<Vnet>(key, old),
                ObjectUndo::Host(key, old) => self.put_back::<Host>(key, old),
                ObjectUndo::Binding(key, old) => self.put_back::<Binding>(key, old),
                ObjectUndo::Route(key, old) => self.put_back::<Route>(key, old),
                ObjectUndo::Neighbor(key, old) => self.put_back::<Neighbor>(key, old),
                ObjectUndo::Relay(key, old) => self.put_back::<Relay>(key, old),
                ObjectUndo::Outsider(key, old) => self.put_back::<Outsider>(key, old),
                ObjectUndo::Subnet(key, old) => self.put_back::<Subnet>(key, old),
                ObjectUndo::Router(key, old) => self.put_back::<Router>(key, old),
                ObjectUndo::Vroute(key, old) => self.put_back::<Vroute>(key, old),
                ObjectUndo::Member(key, old) => self.put_back::<Member>(key, old),
            }
        }
        while let Some((key, old)) = tx.mappings.pop() {
            match old {
                Some(slot) => self.mappings.put(slot),
                None => self.mappings.take(key),
            };
        }
        self.roll_back_eams(tx);
        while let Some((key, old)) = tx.object_tombs.pop() {
            self.object_tombs.restore(key, old);
        }
        while let Some((key, old)) = tx.mapping_tombs.pop() {
            self.mapping_tombs.restore(key, old);
        }
    }

    fn put_back<T: Object>(&mut self, key: String, old: Option<Box<Entry<T>>>) {
        match old {
            Some(entry) => drop(self.put(key, *entry)),
            None => drop(self.take::<T>(&key)),
        }
    }

    /// Stores without asking; a host without an index gets one.
    pub(super) fn put<T: Object>(&mut self, key: String, mut entry: Entry<T>) -> Option<Entry<T>> {
        let old = T::objects(self).remove(&key);
        if let Some(old) = &old {
            entry.index = old.index;
            T::unlink(&mut self.indices, old);
        }
        T::link(&mut self.indices, &mut entry);
        T::objects(self).insert(key, entry);
        old
    }

    pub(super) fn take<T: Object>(&mut self, key: &str) -> Option<Entry<T>> {
        let old = T::objects(self).remove(key)?;
        T::unlink(&mut self.indices, &old);
        if old.index != NO_INDEX {
            self.indices.free_host(old.index);
        }
        Some(old)
    }

    pub(super) fn set<T: Object>(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        object: &T,
        revision: u64,
        now: u32,
    ) -> Result<(), Error> {
        check_revision(revision)?;
        let key = object.key();
        let tomb_key = (T::KIND, key.clone());
        let tomb = self.object_tombs.get(&tomb_key, now);
        let limit = T::limit(self);
        let held = T::objects(self).get(&key);
        let is_new = held.is_none();
        let same = held.is_some_and(|entry| entry.object == *object);
        let owner = held.map(|entry| (entry.origin, entry.revision));
        let revision = match self.admit_set(owner, same, tomb, origin, revision) {
            Verdict::Held(owner) => return Err(held_by(T::KIND, &key, owner, origin)),
            Verdict::Apply(revision) => revision,
            verdict => {
                match verdict {
                    Verdict::Stale => tx.applied.stale += 1,
                    _ => tx.applied.unchanged += 1,
                }
                // What is newer than the statement is not swept for it either.
                if let Some(entry) = T::objects(self).get_mut(&key) {
                    entry.mentioned = true;
                }
                return Ok(());
            }
        };
        if is_new && T::objects(self).len() >= limit {
            return Err(Error::new(
                ErrorCode::Limit,
                format!("there are {limit} objects of kind {} already", T::KIND),
            ));
        }
        object.check(self)?;
        let entry = Entry {
            object: object.clone(),
            origin,
            revision,
            mentioned: true,
            index: NO_INDEX,
        };
        let old = self.put(key.clone(), entry);
        tx.objects.push(T::undo(key, old));
        if let Some(tomb) = self.object_tombs.take(&tomb_key) {
            tx.object_tombs.push((tomb_key, Some(tomb)));
        }
        tx.applied.applied += 1;
        Ok(())
    }

    pub(super) fn remove<T: Object>(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        key: &str,
        revision: u64,
        now: u32,
    ) -> Result<(), Error> {
        check_revision(revision)?;
        let owner = T::objects(self)
            .get(key)
            .map(|entry| (entry.origin, entry.revision));
        let revision = match admit_remove(owner, origin, revision) {
            Verdict::Held(owner) => return Err(held_by(T::KIND, key, owner, origin)),
            Verdict::Stale => {
                tx.applied.stale += 1;
                return Ok(());
            }
            Verdict::Unchanged => {
                tx.applied.unchanged += 1;
                revision
            }
            Verdict::Apply(revision) => {
                if let Some(entry) = T::objects(self).get(key) {
                    let object = entry.object.clone();
                    object.check_unused(self)?;
                }
                let old = self.take::<T>(key);
                tx.objects.push(T::undo(key.to_owned(), old));
                tx.applied.applied += 1;
                revision
            }
        };
        if let Some(tomb) = self.tomb(tx, owner, origin, revision, now) {
            let key = (T::KIND, key.to_owned());
            let old = self.object_tombs.put(key.clone(), tomb);
            tx.object_tombs.push((key, old));
        }
        Ok(())
    }

    /// The tombstone a removal leaves, if it must leave one.
    pub(super) fn tomb(
        &self,
        tx: &mut Transaction,
        owner: Option<(Origin, u64)>,
        origin: Origin,
        revision: u64,
        now: u32,
    ) -> Option<Tomb> {
        let owner = owner.map(|(owner, _)| owner);
        tx.operator_lost |= owner == Some(Origin::Operator) && origin != Origin::Operator;
        let hides_file = owner == Some(Origin::File) && origin > Origin::File;
        let until = match hides_file {
            true => FOREVER,
            false => now
                .saturating_add(self.settings.limits.tombstone_seconds)
                .min(FOREVER - 1),
        };
        (hides_file || revision > 0).then_some(Tomb {
            revision,
            origin,
            until,
        })
    }

    pub(super) fn set_mappings(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        set: &MappingSet<'_>,
        now: u32,
    ) -> Result<(), Error> {
        let (vni, prefixes) = self.vnet_for_mappings(&set.vnet)?;
        let mark = self.syncs.mark(origin);
        tx.mappings.reserve(set.mappings.len());
        // Runs of one host are usual: its name is looked up once.
        let mut last: Option<(&str, u32)> = None;
        for (i, row) in set.mappings.iter().enumerate() {
            let at = |error: Error| error.within(&format!("mappings[{i}]"));
            let host = match last {
                Some((name, index)) if name == row.host => index,
                _ => self
                    .host_index(&row.host)
                    .ok_or_else(|| at(no_host(&row.host)))?,
            };
            last = Some((&row.host, host));
            super::check::mapping(&set.vnet, &prefixes, row.address).map_err(at)?;
            self.not_an_outsiders(&set.vnet, row.address).map_err(at)?;
            self.not_a_routers("address", &set.vnet, row.address)
                .map_err(at)?;
            check_revision(row.revision).map_err(at)?;
            self.check_slot(row.slot).map_err(at)?;
            self.check_mac(&set.vnet, row.mac).map_err(at)?;
            let place = Place {
                host,
                slot: row.slot,
                mac: row.mac,
            };
            let key = Key {
                vni,
                prefix: row.address,
            };
            let expires = row
                .expires
                .map(|seconds| now.saturating_add(seconds).max(1));
            self.set_mapping(tx, origin, (key, place, expires, row.revision), mark, now)
                .map_err(at)?;
        }
        Ok(())
    }

    pub(super) fn set_mapping(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        (key, place, expires, revision): (Key, Place, Option<u32>, u64),
        mark: bool,
        now: u32,
    ) -> Result<(), Error> {
        let held = self.mappings.get(key);
        let owner = held.map(|slot| (slot.origin(), slot.revision()));
        let same = held.is_some_and(|slot| slot.place() == place);
        let tomb = self.mapping_tombs.get(&key, now);
        let revision = match self.admit_set(owner, same, tomb, origin, revision) {
            Verdict::Held(owner) => {
                return Err(
                    held_by(Kind::Mapping, &key.prefix.to_string(), owner, origin).field("address"),
                );
            }
            // The same fact, said again: only its end may have moved.
            Verdict::Unchanged if held.is_some_and(|slot| slot.expires() != expires) => {
                owner.map_or(revision, |(_, held)| held)
            }
            Verdict::Unchanged => {
                tx.applied.unchanged += 1;
                self.mappings.mark(key, mark);
                return Ok(());
            }
            Verdict::Stale => {
                tx.applied.stale += 1;
                self.mappings.mark(key, mark);
                return Ok(());
            }
            Verdict::Apply(revision) => revision,
        };
        if held.is_none() && self.mappings.len() >= self.settings.limits.mappings {
            return Err(Error::new(
                ErrorCode::Limit,
                format!("there are {} mappings already", self.mappings.len()),
            ));
        }
        let old = self
            .mappings
            .put(Slot::new(key, place, expires, origin, revision, mark));
        tx.mappings.push((key, old));
        if let Some(tomb) = self.mapping_tombs.take(&key) {
            tx.mapping_tombs.push((key, Some(tomb)));
        }
        tx.applied.applied += 1;
        Ok(())
    }

    fn remove_mappings(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        remove: &MappingRemove<'_>,
        now: u32,
    ) -> Result<(), Error> {
        let (vni, _) = self.vnet_for_mappings(&remove.vnet)?;
        for (i, row) in remove.mappings.iter().enumerate() {
            let at = |error: Error| error.within(&format!("mappings[{i}]"));
            check_revision(row.revision).map_err(at)?;
            let key = Key {
                vni,
                prefix: row.address,
            };
            let owner = self
                .mappings
                .get(key)
                .map(|slot| (slot.origin(), slot.revision()));
            let revision = match admit_remove(owner, origin, row.revision) {
                Verdict::Held(owner) => {
                    return Err(at(held_by(
                        Kind::Mapping,
                        &row.address.to_string(),
                        owner,
                        origin,
                    )
                    .field("address")));
                }
                Verdict::Stale => {
                    tx.applied.stale += 1;
                    continue;
                }
                Verdict::Unchanged => {
                    tx.applied.unchanged += 1;
                    row.revision
                }
                Verdict::Apply(revision) => {
                    let old = self.mappings.take(key);
                    tx.mappings.push((key, old));
                    tx.applied.applied += 1;
                    revision
                }
            };
            if let Some(tomb) = self.tomb(tx, owner, origin, revision, now) {
                let old = self.mapping_tombs.put(key, tomb);
                tx.mapping_tombs.push((key, old));
            }
        }
        Ok(())
    }
}
