//! What a staged set changes, told by object and field.
//!
//! Nothing is compared here: the transaction has what was there before, the
//! store what is there now, and the difference is between their two JSON forms.
//! So a new kind of object is one line below.

use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use serde_json::{Map, Value};

use super::mappings::Slot;
use super::objects::Entry;
use super::{ObjectUndo, Store, Transaction};
use crate::control::proto::{Difference, Fate, FieldChange, Kind, fits};
use crate::model::Mapping;
use crate::wire::Vni;

/// What a transaction changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub list: Vec<Difference>,
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
    /// Left out of the list.
    pub unlisted: u64,
}

/// An object before and after.
type Both<'a> = (Kind, &'a str, Option<Value>, Option<Value>);

/// Which of the store's objects an undo note is about.
macro_rules! both {
    ($store:ident, $undo:ident: $($kind:ident => $objects:ident,)*) => {
        match $undo {
            $(ObjectUndo::$kind(key, old) => (
                Kind::$kind,
                key.as_str(),
                old.as_deref().map(object),
                $store.$objects.get(key).map(object),
            ),)*
        }
    };
}

impl Store {
    /// What a transaction has changed. Lists up to `mappings` of each sort of
    /// mappings, the relay's too, and what goes into about `room` bytes altogether.
    pub(crate) fn differences(
        &self,
        tx: &Transaction,
        mappings: u64,
        room: usize,
        now: u32,
    ) -> Differences {
        let mut all = Differences::default();
        let mut left = room;
        let mut objects: Vec<Both<'_>> = tx.objects.iter().map(|undo| self.both(undo)).collect();
        objects.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        for (kind, key, mut old, mut new) in objects {
            if kind == Kind::Member {
                seconds_left(&mut old, now);
                seconds_left(&mut new, now);
            }
            if let Some(fate) = fate(old.is_some(), new.is_some()) {
                all.count(fate);
                all.show(&mut left, || {
                    difference(kind, key.to_owned(), fate, old, new)
                });
            }
        }
        self.mapping_differences(&mut all, tx, mappings, &mut left, now);
        self.eam_differences(&mut all, tx, mappings, &mut left);
        all
    }

    fn mapping_differences(
        &self,
        all: &mut Differences,
        tx: &Transaction,
        most: u64,
        left: &mut usize,
        now: u32,
    ) {
        let before = Before::new(tx);
        let mut shown = [0; 3];
        for (key, old) in &tx.mappings {
            let new = self.mappings.get(*key);
            let Some(fate) = fate(old.is_some(), new.is_some()) else {
                continue;
            };
            all.count(fate);
            shown[fate as usize] += 1;
            match shown[fate as usize] <= most {
                true => all.show(left, || {
                    let old = old.as_ref().map(|slot| before.mapping(self, slot, now));
                    let new = new.map(|slot| self.mapping_now(&slot, now));
                    let vnet = new
                        .as_ref()
                        .or(old.as_ref())
                        .map_or("", |known| &known.vnet);
                    let name = format!("{vnet} {}", key.prefix);
                    let (old, new) = (old.as_ref().map(value), new.as_ref().map(value));
                    difference(Kind::Mapping, name, fate, old, new)
                }),
                false => all.unlisted += 1,
            }
        }
    }

    /// One that changes has two notes: taken out, and put in.
    fn eam_differences(
        &self,
        all: &mut Differences,
        tx: &Transaction,
        most: u64,
        left: &mut usize,
    ) {
        let mut seen = HashSet::new();
        let mut shown = [0; 3];
        for (ipv4, old) in &tx.eams {
            let new = self.eams.get(*ipv4);
            let Some(fate) = fate(old.is_some(), new.is_some()) else {
                continue;
            };
            if !seen.insert(*ipv4) {
                continue;
            }
            all.count(fate);
            shown[fate as usize] += 1;
            match shown[fate as usize] <= most {
                true => all.show(left, || {
                    let (old, new) = (old.map(|held| held.eam), new.map(|held| held.eam));
                    let (old, new) = (old.as_ref().map(value), new.as_ref().map(value));
                    difference(Kind::Eam, ipv4.to_string(), fate, old, new)
                }),
                false => all.unlisted += 1,
            }
        }
    }

    fn both<'a>(&self, undo: &'a ObjectUndo) -> Both<'a> {
        both! { self, undo:
            Vnet => vnets,
            Host => hosts,
            Binding => bindings,
            Route => routes,
            Neighbor => neighbors,
            Relay => relays,
            Outsider => outsiders,
            Subnet => subnets,
            Router => routers,
            Vroute => vroutes,
            Member => members,
        }
    }

    fn mapping_now(&self, slot: &Slot, now: u32) -> Mapping {
        let vnet = self.vnet_of(slot.key().vni);
        let host = self.host(slot.host());
        mapping(
            slot,
            vnet.map_or("", |vnet| &vnet.name),
            host.map_or("", |host| &host.name),
            now,
        )
    }
}

/// Names that vnets and hosts had before a transaction, where it touched them.
#[derive(Default)]
struct Before<'a> {
    vnets: HashMap<Vni, &'a str>,
    hosts: HashMap<u32, &'a str>,
}

impl<'a> Before<'a> {
    fn new(tx: &'a Transaction) -> Before<'a> {
        let mut before = Before::default();
        for undo in &tx.objects {
            match undo {
                ObjectUndo::Vnet(name, Some(old)) => {
                    before.vnets.insert(old.object.vni, name);
                }
                ObjectUndo::Host(name, Some(old)) => {
                    before.hosts.insert(old.index, name);
                }
                _ => {}
            }
        }
        before
    }

    fn mapping(&self, store: &Store, slot: &Slot, now: u32) -> Mapping {
        let mut mapping = store.mapping_now(slot, now);
        if let Some(vnet) = self.vnets.get(&slot.key().vni) {
            mapping.vnet = (*vnet).to_owned();
        }
        if let Some(host) = self.hosts.get(&slot.host()) {
            mapping.host = (*host).to_owned();
        }
        mapping
    }
}

fn mapping(slot: &Slot, vnet: &str, host: &str, now: u32) -> Mapping {
    Mapping {
        vnet: vnet.to_owned(),
        address: slot.key().prefix,
        host: host.to_owned(),
        expires: slot.expires().map(|at| at.saturating_sub(now)),
        revision: slot.revision(),
        slot: slot.place().slot,
        mac: slot.mac(),
    }
}

impl Differences {
    fn count(&mut self, fate: Fate) {
        *match fate {
            Fate::Added => &mut self.added,
            Fate::Changed => &mut self.changed,
            Fate::Removed => &mut self.removed,
        } += 1;
    }

    fn show(&mut self, left: &mut usize, make: impl FnOnce() -> Difference) {
        let difference = (*left > 0).then(make);
        match difference.filter(|difference| fits(difference, left)) {
            Some(difference) => self.list.push(difference),
            None => self.unlisted += 1,
        }
    }
}

fn fate(was: bool, is: bool) -> Option<Fate> {
    match (was, is) {
        (false, false) => None,
        (false, true) => Some(Fate::Added),
        (true, true) => Some(Fate::Changed),
        (true, false) => Some(Fate::Removed),
    }
}

fn object<T: Serialize>(entry: &Entry<T>) -> Value {
    value(&entry.object)
}

/// Members are kept with the second they end at.
fn seconds_left(member: &mut Option<Value>, now: u32) {
    let end = member.as_mut().and_then(|member| member.get_mut("expires"));
    if let Some(end) = end
        && let Some(at) = end.as_u64()
    {
        *end = at.saturating_sub(now.into()).into();
    }
}

/// None of the types refuses to be written.
fn value<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn difference(
    kind: Kind,
    key: String,
    change: Fate,
    old: Option<Value>,
    new: Option<Value>,
) -> Difference {
    let table = |value: Option<Value>| match value {
        Some(Value::Object(table)) => table,
        _ => Map::new(),
    };
    let (old, new) = (table(old), table(new));
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let fields = new.keys().chain(gone).filter_map(|field| {
        let (old, new) = (old.get(field), new.get(field));
        (old != new).then(|| FieldChange {
            field: field.clone(),
            old: old.cloned(),
            new: new.cloned(),
        })
    });
    Difference {
        kind,
        key,
        change,
        fields: fields.collect(),
    }
}
