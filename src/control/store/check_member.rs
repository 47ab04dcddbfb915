//! Members of groups, which end by themselves.

use super::check::managed;
use super::check_relay::first;
use super::objects::{Entry, Objects};
use super::stage::Object;
use super::{Indices, ObjectUndo, Store};
use crate::config::check::{self, At, Findings};
use crate::control::proto::{Error, Kind};
use crate::model::Member;

/// As it is kept: with the second it ends at.
pub(super) fn ending(member: &Member, now: u32) -> Member {
    let end = |seconds: u32| now.saturating_add(seconds).max(1);
    Member {
        expires: member.expires.map(end),
        ..member.clone()
    }
}

/// As it is told: with the seconds that are left.
pub(super) fn left(member: &Member, now: u32) -> Member {
    Member {
        expires: member.expires.map(|at| at.saturating_sub(now)),
        ..member.clone()
    }
}

impl Object for Member {
    const KIND: Kind = Kind::Member;

    fn objects(store: &mut Store) -> &mut Objects<Member> {
        &mut store.members
    }

    fn undo(key: String, old: Option<Entry<Member>>) -> ObjectUndo {
        ObjectUndo::Member(key, old.map(Box::new))
    }

    fn limit(store: &Store) -> usize {
        store.settings.limits.members
    }

    fn check(&self, store: &Store) -> Result<(), Error> {
        managed("vnet", store)?;
        let mut findings = Findings::default();
        check::member(At::only("member"), self, store, &mut findings);
        first(findings, "member")
    }

    fn check_unused(&self, _: &Store) -> Result<(), Error> {
        Ok(())
    }

    fn link(indices: &mut Indices, entry: &mut Entry<Member>) {
        if let Some(at) = entry.object.expires {
            let first = indices.member_ends.map_or(at, |first| first.min(at));
            indices.member_ends = Some(first);
        }
    }
}

impl Store {
    /// Hosts that hear groups. Their ends are seconds of the appliance's clock.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(|entry| &entry.object)
    }
}
