//! Explicit mappings with who said them.
//!
//! The table itself is the one that translates ([`Eams`]): the plant takes a
//! clone of it, which costs nothing. What only the store must know of a mapping
//! (origin, revision, mark) is kept beside it as the mappings of vnets keep
//! theirs, under the IPv4 prefix, and goes by the same rules.

use std::collections::BTreeMap;

use super::mappings::{Cursor, Key, Mappings, Place, Slot};
use super::objects::{Tomb, Verdict, admit_remove};
use super::stage::{check_revision, held_by};
use super::{Store, Transaction};
use crate::config::check::eam_fault;
use crate::control::proto::{
    Change, EamKey, EamRemove, EamRow, EamSet, Error, ErrorCode, Kind, MAX_EAM_ROWS,
};
use crate::model::{Eam, Origin};
use crate::siit::rfc7757::{BadEam, Eams};
use crate::wire::Vni;
use crate::wire::address::Prefix4;

/// The explicit mappings and what is known of each.
#[derive(Debug)]
pub struct HeldEams {
    table: Eams,
    facts: Mappings,
}

/// One of them, as it is put and given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldEam {
    pub eam: Eam,
    pub origin: Origin,
    pub revision: u64,
    pub mark: bool,
}

/// Facts have no vnet.
const fn key(prefix: Prefix4) -> Key {
    Key {
        vni: Vni(0),
        prefix,
    }
}

impl HeldEams {
    pub fn new(limit: usize) -> HeldEams {
        HeldEams {
            table: Eams::new(limit),
            facts: Mappings::default(),
        }
    }

    pub fn table(&self) -> &Eams {
        &self.table
    }

    pub fn table_mut(&mut self) -> &mut Eams {
        &mut self.table
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.table.bytes() + self.facts.bytes()
    }

    pub fn of_origin(&self, origin: Origin) -> usize {
        self.facts.of_origin(origin)
    }

    /// The mapping of exactly this prefix.
    pub fn get(&self, ipv4: Prefix4) -> Option<HeldEam> {
        let slot = self.facts.get(key(ipv4))?;
        self.held(&slot)
    }

    fn held(&self, slot: &Slot) -> Option<HeldEam> {
        Some(HeldEam {
            eam: self.table.get(slot.key().prefix)?.eam(),
            origin: slot.origin(),
            revision: slot.revision(),
            mark: slot.mark(),
        })
    }

    /// Adds one; neither of its prefixes may be there.
    pub fn put(&mut self, held: HeldEam) -> Result<(), BadEam> {
        self.table.insert(held.eam)?;
        let HeldEam {
            eam,
            origin,
            revision,
            mark,
        } = held;
        let slot = Slot::new(key(eam.ipv4), Place::host(0), None, origin, revision, mark);
        self.facts.put(slot);
        Ok(())
    }

    pub fn take(&mut self, ipv4: Prefix4) -> Option<HeldEam> {
        let held = self.get(ipv4)?;
        self.facts.take(key(ipv4));
        self.table.remove(ipv4);
        Some(held)
    }

    pub fn mark(&mut self, ipv4: Prefix4, mark: bool) {
        self.facts.mark(key(ipv4), mark);
    }

    /// As [`Mappings::walk`].
    pub fn walk(
        &self,
        cursor: &mut Cursor,
        buckets: usize,
        mut visit: impl FnMut(HeldEam) -> bool,
    ) -> bool {
        self.facts.walk(cursor, buckets, |slot| {
            self.held(slot).is_none_or(&mut visit)
        })
    }

    /// As [`Mappings::remark`].
    pub fn remark(
        &mut self,
        cursor: &mut Cursor,
        buckets: usize,
        origin: Origin,
        mark: bool,
    ) -> bool {
        self.facts.remark(cursor, buckets, origin, mark)
    }
}

fn no_relay() -> Error {
    Error::new(ErrorCode::NotFound, "there is no relay")
        .hint("explicit mappings are the relay's; add one with relay.set first")
}

/// Why a mapping cannot be in the table beside the others.
fn refused(bad: BadEam) -> Error {
    let (code, field) = match bad {
        BadEam::SuffixTooLong { .. } | BadEam::Ipv6Taken { .. } => {
            (ErrorCode::InvalidParams, "ipv6")
        }
        BadEam::Ipv4Taken { .. } => (ErrorCode::InvalidParams, "ipv4"),
        BadEam::Full { .. } => (ErrorCode::Limit, ""),
    };
    let error = Error::new(code, bad.to_string());
    match field {
        "" => error.hint("the limit is `limits.eams` of the configuration"),
        field => error.field(field),
    }
}

/// The rules for one mapping by itself.
fn check(row: &EamRow) -> Result<(), Error> {
    check_revision(row.revision)?;
    match eam_fault(&row.eam()) {
        None => Ok(()),
        Some(fault) => {
            let error = Error::new(ErrorCode::InvalidParams, fault.message).field(fault.key);
            Err(match fault.hint {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
    }
}

impl Store {
    /// Rows that change make room first and are added afterwards, so that two
    /// of one request may exchange their IPv6 prefixes.
    pub(super) fn set_eams(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        set: &EamSet,
        now: u32,
    ) -> Result<(), Error> {
        if self.relay().is_none() {
            return Err(no_relay());
        }
        let mark = self.syncs.eam_mark(origin);
        let at = |i: usize, error: Error| error.within(&format!("eams[{i}]"));
        let mut fresh = Vec::with_capacity(set.eams.len());
        for (i, row) in set.eams.iter().enumerate() {
            check(row).map_err(|error| at(i, error))?;
            let admitted = self.admit_eam(tx, origin, row, mark, now);
            if let Some(revision) = admitted.map_err(|error| at(i, error))? {
                self.vacate(tx, row.ipv4);
                let eam = row.eam();
                let held = HeldEam {
                    eam,
                    origin,
                    revision,
                    mark,
                };
                fresh.push((i, held));
            }
        }
        for (i, held) in fresh {
            self.fill(tx, held).map_err(|error| at(i, refused(error)))?;
        }
        Ok(())
    }

    /// The revision with which a row takes effect, if it does.
    fn admit_eam(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        row: &EamRow,
        mark: bool,
        now: u32,
    ) -> Result<Option<u64>, Error> {
        let held = self.eams.get(row.ipv4);
        let owner = held.map(|held| (held.origin, held.revision));
        let same = held.is_some_and(|held| held.eam == row.eam());
        let tomb = self.eam_tombs.get(&row.ipv4, now);
        match self.admit_set(owner, same, tomb, origin, row.revision) {
            Verdict::Held(owner) => {
                Err(held_by(Kind::Eam, &row.ipv4.to_string(), owner, origin).field("ipv4"))
            }
            Verdict::Apply(revision) => Ok(Some(revision)),
            verdict => {
                match verdict {
                    Verdict::Stale => tx.applied.stale += 1,
                    _ => tx.applied.unchanged += 1,
                }
                self.eams.mark(row.ipv4, mark);
                Ok(None)
            }
        }
    }

    /// Takes what is there, with a note.
    fn vacate(&mut self, tx: &mut Transaction, ipv4: Prefix4) {
        let old = self.eams.take(ipv4);
        if old.is_some() {
            tx.eams.push((ipv4, old));
        }
    }

    /// Adds to a place that is free, with a note.
    fn fill(&mut self, tx: &mut Transaction, held: HeldEam) -> Result<(), BadEam> {
        let ipv4 = held.eam.ipv4;
        self.eams.put(held)?;
        tx.eams.push((ipv4, None));
        if let Some(tomb) = self.eam_tombs.take(&ipv4) {
            tx.eam_tombs.push((ipv4, Some(tomb)));
        }
        tx.applied.applied += 1;
        Ok(())
    }

    pub(super) fn remove_eams(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        remove: &EamRemove,
        now: u32,
    ) -> Result<(), Error> {
        for (i, row) in remove.eams.iter().enumerate() {
            let at = |error: Error| error.within(&format!("eams[{i}]"));
            check_revision(row.revision).map_err(at)?;
            let held = self.eams.get(row.ipv4);
            let owner = held.map(|held| (held.origin, held.revision));
            let revision = match admit_remove(owner, origin, row.revision) {
                Verdict::Held(owner) => {
                    let error = held_by(Kind::Eam, &row.ipv4.to_string(), owner, origin);
                    return Err(at(error.field("ipv4")));
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
                    self.vacate(tx, row.ipv4);
                    tx.applied.applied += 1;
                    revision
                }
            };
            if let Some(tomb) = self.tomb(tx, owner, origin, revision, now) {
                let old = self.eam_tombs.put(row.ipv4, tomb);
                tx.eam_tombs.push((row.ipv4, old));
            }
        }
        Ok(())
    }

    /// Undoes notes, last first. What is put back fits: it was there before.
    pub(super) fn roll_back_eams(&mut self, tx: &mut Transaction) {
        while let Some((ipv4, old)) = tx.eams.pop() {
            match old {
                None => drop(self.eams.take(ipv4)),
                Some(held) => {
                    if let Err(error) = self.eams.put(held) {
                        log::error!("explicit mapping {ipv4} is lost: {error}");
                    }
                }
            }
        }
        while let Some((ipv4, old)) = tx.eam_tombs.pop() {
            self.eam_tombs.restore(ipv4, old);
        }
    }

    /// Makes the mappings of `origin` be exactly these; returns those that a
    /// stronger origin holds or hides, and how many are gone.
    pub(super) fn exchange_eams(
        &mut self,
        tx: &mut Transaction,
        origin: Origin,
        wanted: &[Eam],
        now: u32,
    ) -> Result<(Vec<(Eam, Origin)>, usize), Error> {
        let end = usize::MAX;
        self.eams.remark(&mut Cursor::default(), end, origin, false);
        self.syncs.set_eam_mark(origin, true);
        let mut overridden = Vec::new();
        let mut fresh = Vec::new();
        for (i, eam) in wanted.iter().enumerate() {
            let row = EamRow::of(*eam, 0);
            check(&row).map_err(|error| error.within(&format!("eam[{i}]")))?;
            let held = self.eams.get(eam.ipv4);
            let owner = held.map(|held| (held.origin, held.revision));
            let same = held.is_some_and(|held| held.eam == *eam);
            let tomb = self.eam_tombs.get(&eam.ipv4, now);
            match self.admit_set(owner, same, tomb, origin, 0) {
                Verdict::Held(_) if same => tx.applied.unchanged += 1,
                Verdict::Held(owner) => overridden.push((*eam, owner)),
                Verdict::Apply(revision) => {
                    self.vacate(tx, eam.ipv4);
                    fresh.push((i, *eam, revision));
                }
                _ => {
                    tx.applied.unchanged += 1;
                    self.eams.mark(eam.ipv4, true);
                }
            }
        }
        let (gone, _) = self.unmentioned_eams(&mut Cursor::default(), (end, end), origin, true);
        for ipv4 in &gone {
            self.vacate(tx, *ipv4);
        }
        for (i, eam, revision) in fresh {
            let held = HeldEam {
                eam,
                origin,
                revision,
                mark: true,
            };
            self.fill(tx, held)
                .map_err(|error| refused(error).within(&format!("eam[{i}]")))?;
        }
        Ok((overridden, gone.len()))
    }

    /// Prefixes of an origin whose mark is another, from the cursor on: so many
    /// places and so many prefixes; true at the end.
    fn unmentioned_eams(
        &self,
        cursor: &mut Cursor,
        (buckets, most): (usize, usize),
        origin: Origin,
        mark: bool,
    ) -> (Vec<Prefix4>, bool) {
        let mut gone = Vec::new();
        let end = self.eams.facts.walk(cursor, buckets, |slot| {
            if slot.origin() == origin && slot.mark() != mark {
                gone.push(slot.key().prefix);
            }
            gone.len() < most
        });
        (gone, end)
    }

    /// Removes what a sync did not mention, a few places a call; true at the
    /// end. The plant is told once, by who sweeps the objects.
    pub(super) fn sweep_eams(
        &mut self,
        origin: Origin,
        cursor: &mut Cursor,
        step: (usize, usize),
        tx: &mut Transaction,
        now: u32,
    ) -> (bool, u64) {
        let mark = self.syncs.eam_mark(origin);
        let (gone, end) = self.unmentioned_eams(cursor, step, origin, mark);
        for ipv4 in &gone {
            let Some(old) = self.eams.take(*ipv4) else {
                continue;
            };
            let owner = Some((origin, old.revision));
            let tomb = self.tomb(
                &mut Transaction::default(),
                owner,
                origin,
                old.revision,
                now,
            );
            tx.swept_eams = true;
            // As with mappings: only the operator's may have to come back.
            if origin == Origin::Operator {
                tx.eams.push((*ipv4, Some(old)));
            }
            if let Some(tomb) = tomb {
                self.eam_tombs.put(*ipv4, tomb);
            }
        }
        (end, gone.len() as u64)
    }

    /// What the journal must know of a transaction: what is gone, what is.
    pub(super) fn eam_changes(&self, tx: &Transaction) -> [Option<Change<'static>>; 2] {
        let mut gone = Vec::new();
        let mut set = BTreeMap::new();
        for (ipv4, _) in &tx.eams {
            match self.eams.get(*ipv4) {
                None => gone.push(EamKey {
                    ipv4: *ipv4,
                    revision: 0,
                }),
                Some(held) if held.origin == Origin::Operator => {
                    set.insert(*ipv4, EamRow::of(held.eam, held.revision));
                }
                Some(_) => {}
            }
        }
        let set: Vec<_> = set.into_values().collect();
        [
            (!gone.is_empty()).then_some(Change::EamRemove(EamRemove { eams: gone })),
            (!set.is_empty()).then_some(Change::EamSet(EamSet { eams: set })),
        ]
    }

    /// Removals of the file's mappings by the operator.
    pub(super) fn hidden_eams(&self) -> Vec<Change<'static>> {
        let said = |tomb: &&Tomb| tomb.origin == Origin::Operator;
        let hidden = self.eam_tombs.forever();
        let keys = hidden
            .filter(|(_, tomb)| said(tomb))
            .map(|(ipv4, _)| EamKey {
                ipv4: *ipv4,
                revision: 0,
            });
        let keys: Vec<_> = keys.collect();
        let lines = keys.chunks(MAX_EAM_ROWS);
        let remove = |eams: &[EamKey]| {
            Change::EamRemove(EamRemove {
                eams: eams.to_vec(),
            })
        };
        lines.map(remove).collect()
    }

    /// The operator's mappings, a thousand in a change.
    pub(super) fn operator_eams(&self) -> Vec<Change<'static>> {
        let mut rows = Vec::new();
        self.eams.walk(&mut Cursor::default(), usize::MAX, |held| {
            if held.origin == Origin::Operator {
                rows.push(EamRow::of(held.eam, held.revision));
            }
            true
        });
        let lines = rows.chunks(MAX_EAM_ROWS);
        let set = |eams: &[EamRow]| {
            Change::EamSet(EamSet {
                eams: eams.to_vec(),
            })
        };
        lines.map(set).collect()
    }
}
