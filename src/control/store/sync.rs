//! Sync: a client states the whole set of some kinds; what it does not mention
//! goes at commit. Until then everything stays as it was, so forwarding has no
//! gap.
//!
//! Every mapping carries a mark. Beginning a sync flips which mark means
//! "mentioned", so nothing has to be touched; the sweep at commit walks the
//! tables in steps, between which the control thread does other work.

use super::mappings::Cursor;
use super::objects::Objects;
use super::stage::Object;
use super::{Store, Transaction};
use crate::control::plant::Plant;
use crate::control::proto::{Error, ErrorCode, Kind, Swept};
use crate::model::{
    Binding, Host, Member, Neighbor, Origin, Outsider, Relay, Route, Router, Subnet, Vnet, Vroute,
};

/// Places looked at, and mappings removed, in one step: a fraction of a
/// millisecond.
const STEP_BUCKETS: usize = 32_768;
const STEP_REMOVALS: usize = 1024;

/// The marks of one kind that comes in millions.
#[derive(Debug, Default)]
struct Marks {
    /// By origin: the mark that says "mentioned".
    said: [bool; 3],
    /// By origin: a sync was aborted, so marks are mixed.
    mixed: [bool; 3],
}

#[derive(Debug, Default)]
pub(super) struct Syncs {
    mappings: Marks,
    eams: Marks,
    /// By origin: kinds of the open sync.
    open: [Option<Vec<Kind>>; 3],
}

impl Syncs {
    pub(super) fn mark(&self, origin: Origin) -> bool {
        self.mappings.said[origin as usize]
    }

    pub(super) fn set_mark(&mut self, origin: Origin, mark: bool) {
        self.mappings.said[origin as usize] = mark;
    }

    pub(super) fn eam_mark(&self, origin: Origin) -> bool {
        self.eams.said[origin as usize]
    }

    pub(super) fn set_eam_mark(&mut self, origin: Origin, mark: bool) {
        self.eams.said[origin as usize] = mark;
    }

    fn marks(&mut self, kind: Kind) -> Option<&mut Marks> {
        match kind {
            Kind::Mapping => Some(&mut self.mappings),
            Kind::Eam => Some(&mut self.eams),
            _ => None,
        }
    }

    pub(super) fn is_open(&self, origin: Origin) -> bool {
        self.open[origin as usize].is_some()
    }
}

/// Work of a sync that goes in steps.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub enum SyncStep {
    /// Making marks alike after an aborted sync, before a new one.
    Prepare {
        origin: Origin,
        /// Kinds whose marks are still mixed.
        kinds: Vec<Kind>,
        cursor: Cursor,
    },
    /// Removing what was not mentioned.
    Sweep {
        origin: Origin,
        kinds: Vec<Kind>,
        cursor: Cursor,
        eam_cursor: Cursor,
        transaction: Transaction,
        swept: Swept,
    },
}

impl Store {
    /// Opens a sync; if there is a step to do first, it is done before the
    /// client is answered.
    pub fn sync_begin(
        &mut self,
        origin: Origin,
        kinds: &[Kind],
    ) -> Result<Option<SyncStep>, Error> {
        if kinds.is_empty() {
            return Err(Error::new(ErrorCode::InvalidParams, "no kind is named").field("kinds"));
        }
        if self.syncs.is_open(origin) {
            return Err(Error::new(
                ErrorCode::Sync,
                format!("another sync of origin {origin} is open"),
            )
            .hint("wait for its end; it is aborted when its client leaves"));
        }
        self.syncs.open[origin as usize] = Some(kinds.to_vec());
        for kind in kinds {
            match kind {
                Kind::Vnet => unmention(&mut self.vnets, origin),
                Kind::Host => unmention(&mut self.hosts, origin),
                Kind::Binding => unmention(&mut self.bindings, origin),
                Kind::Route => unmention(&mut self.routes, origin),
                Kind::Neighbor => unmention(&mut self.neighbors, origin),
                Kind::Relay => unmention(&mut self.relays, origin),
                Kind::Outsider => unmention(&mut self.outsiders, origin),
                Kind::Subnet => unmention(&mut self.subnets, origin),
                Kind::Router => unmention(&mut self.routers, origin),
                Kind::Vroute => unmention(&mut self.vroutes, origin),
                Kind::Member => unmention(&mut self.members, origin),
                Kind::Mapping | Kind::Eam => {}
            }
        }
        let i = origin as usize;
        let mut mixed = Vec::new();
        for kind in [Kind::Mapping, Kind::Eam] {
            if !kinds.contains(&kind) {
                continue;
            }
            if let Some(marks) = self.syncs.marks(kind) {
                match marks.mixed[i] {
                    true => mixed.push(kind),
                    false => marks.said[i] = !marks.said[i],
                }
            }
        }
        Ok((!mixed.is_empty()).then(|| SyncStep::Prepare {
            origin,
            kinds: mixed,
            cursor: Cursor::default(),
        }))
    }

    /// Ends a sync; the step sweeps.
    pub fn sync_commit(&mut self, origin: Origin) -> Result<SyncStep, Error> {
        match self.syncs.open[origin as usize].take() {
            Some(kinds) => Ok(SyncStep::Sweep {
                origin,
                kinds,
                cursor: Cursor::default(),
                eam_cursor: Cursor::default(),
                transaction: Transaction::default(),
                swept: Swept::default(),
            }),
            None => Err(no_sync(origin)),
        }
    }

    /// Ends a sync without sweeping.
    pub fn sync_abort(&mut self, origin: Origin) -> Result<(), Error> {
        match self.syncs.open[origin as usize].take() {
            Some(kinds) => {
                for kind in kinds {
                    if let Some(marks) = self.syncs.marks(kind) {
                        marks.mixed[origin as usize] = true;
                    }
                }
                Ok(())
            }
            None => Err(no_sync(origin)),
        }
    }

    /// Does a piece of the work; true when it is done.
    pub fn sync_step(
        &mut self,
        plant: &mut impl Plant,
        step: &mut SyncStep,
        now: u32,
    ) -> Result<bool, Error> {
        match step {
            SyncStep::Prepare {
                origin,
                kinds,
                cursor,
            } => {
                if let Some(kind) = kinds.last()
                    && self.alike(*kind, *origin, cursor)
                {
                    kinds.pop();
                    *cursor = Cursor::default();
                }
                Ok(kinds.is_empty())
            }
            SyncStep::Sweep {
                origin,
                kinds,
                cursor,
                eam_cursor,
                transaction,
                swept,
            } => {
                if kinds.contains(&Kind::Mapping)
                    && !self.sweep_mappings(plant, *origin, cursor, transaction, swept, now)
                {
                    return Ok(false);
                }
                if kinds.contains(&Kind::Eam) {
                    let step = (STEP_BUCKETS, STEP_REMOVALS);
                    let (end, gone) = self.sweep_eams(*origin, eam_cursor, step, transaction, now);
                    swept.removed += gone;
                    if !end {
                        return Ok(false);
                    }
                }
                self.sweep_objects(plant, *origin, kinds, transaction, swept, now)?;
                Ok(true)
            }
        }
    }

    /// Makes the marks of one kind alike, then flips what they mean; true when
    /// that is done.
    fn alike(&mut self, kind: Kind, origin: Origin, cursor: &mut Cursor) -> bool {
        let mark = self
            .syncs
            .marks(kind)
            .map(|marks| marks.said[origin as usize]);
        let mark = mark.unwrap_or_default();
        let end = match kind {
            Kind::Eam => self.eams.remark(cursor, STEP_BUCKETS, origin, mark),
            _ => self.mappings.remark(cursor, STEP_BUCKETS, origin, mark),
        };
        if let (true, Some(marks)) = (end, self.syncs.marks(kind)) {
            marks.mixed[origin as usize] = false;
            marks.said[origin as usize] = !mark;
        }
        end
    }

    fn sweep_mappings(
        &mut self,
        plant: &mut impl Plant,
        origin: Origin,
        cursor: &mut Cursor,
        tx: &mut Transaction,
        swept: &mut Swept,
        now: u32,
    ) -> bool {
        let mark = self.syncs.mark(origin);
        let mut gone = Vec::new();
        let end = self.mappings.walk(cursor, STEP_BUCKETS, |slot| {
            if slot.origin() == origin && slot.mark() != mark {
                gone.push((slot.key(), slot.revision()));
            }
            gone.len() < STEP_REMOVALS
        });
        swept.removed += gone.len() as u64;
        for (key, revision) in gone {
            let old = self.mappings.take(key);
            // Only the operator's sweep may have to be undone (a journal that
            // cannot be written); an agent's is a million entries of nothing.
            if origin == Origin::Operator {
                tx.mappings.push((key, old));
            }
            if let Some(tomb) = self.tomb(
                &mut Transaction::default(),
                Some((origin, revision)),
                origin,
                revision,
                now,
            ) {
                self.mapping_tombs.put(key, tomb);
            }
            plant.mapping_remove(key.vni, key.prefix);
        }
        end
    }

    fn sweep_objects(
        &mut self,
        plant: &mut impl Plant,
        origin: Origin,
        kinds: &[Kind],
        tx: &mut Transaction,
        swept: &mut Swept,
        now: u32,
    ) -> Result<(), Error> {
        self.begin();
        let before = swept.removed;
        let mut objects = Transaction::default();
        // What refers goes before what is referred to.
        for kind in [
            Kind::Member,
            Kind::Vroute,
            Kind::Relay,
            Kind::Outsider,
            Kind::Neighbor,
            Kind::Route,
            Kind::Binding,
            Kind::Host,
            Kind::Router,
            Kind::Subnet,
            Kind::Vnet,
        ] {
            if !kinds.contains(&kind) {
                continue;
            }
            let tx = &mut objects;
            match kind {
                Kind::Neighbor => self.sweep::<Neighbor>(tx, origin, swept, now),
                Kind::Route => self.sweep::<Route>(tx, origin, swept, now),
                Kind::Binding => self.sweep::<Binding>(tx, origin, swept, now),
                Kind::Host => self.sweep::<Host>(tx, origin, swept, now),
                Kind::Vnet => self.sweep::<Vnet>(tx, origin, swept, now),
                Kind::Relay => self.sweep::<Relay>(tx, origin, swept, now),
                Kind::Outsider => self.sweep::<Outsider>(tx, origin, swept, now),
                Kind::Subnet => self.sweep::<Subnet>(tx, origin, swept, now),
                Kind::Router => self.sweep::<Router>(tx, origin, swept, now),
                Kind::Vroute => self.sweep::<Vroute>(tx, origin, swept, now),
                Kind::Member => self.sweep::<Member>(tx, origin, swept, now),
                Kind::Mapping | Kind::Eam => {}
            }
        }
        if let Err(error) = self.check_segments(&objects) {
            self.roll_back(&mut objects);
            objects = Transaction::default();
            swept.removed = before;
            swept.kept.push(error.message);
        }
        // The plant learns of explicit mappings with everything else.
        objects.swept_eams = tx.swept_eams;
        if let Err(error) = self.push(plant, &objects) {
            self.revert(plant, objects);
            return Err(error.into());
        }
        tx.objects.append(&mut objects.objects);
        tx.object_tombs.append(&mut objects.object_tombs);
        Ok(())
    }

    fn sweep<T: Object>(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        swept: &mut Swept,
        now: u32,
    ) {
        let gone: Vec<String> = T::objects(self)
            .iter()
            .filter(|(_, entry)| entry.origin == origin && !entry.mentioned)
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            match self.remove::<T>(tx, origin, &key, 0, now) {
                Ok(()) => swept.removed += 1,
                Err(error) => swept.kept.push(error.message),
            }
        }
    }
}

fn no_sync(origin: Origin) -> Error {
    Error::new(
        ErrorCode::Sync,
        format!("no sync of origin {origin} is open"),
    )
    .hint("sync.begin first")
}

fn unmention<T>(objects: &mut Objects<T>, origin: Origin) {
    for entry in objects.values_mut().filter(|entry| entry.origin == origin) {
        entry.mentioned = false;
    }
}
