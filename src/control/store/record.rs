//! The store and the journal: what a transaction has to leave there, a
//! snapshot of everything the operator said, and putting it back.

use std::collections::BTreeMap;

use super::check_member::left;
use super::mappings::{Cursor, Key, Slot};
use super::objects::Entry;
use super::{ObjectUndo, Store, Transaction};
use crate::control::proto::{
    BindingRemove, BindingSet, Change, EamSet, HostRemove, HostSet, Kind, MappingKey,
    MappingRemove, MappingRow, MappingSet, MemberRemove, MemberSet, NeighborRemove, NeighborSet,
    OutsiderRemove, OutsiderSet, RelayRemove, RelaySet, RouteRemove, RouteSet, RouterRemove,
    RouterSet, SubnetRemove, SubnetSet, VnetRemove, VnetSet, VrouteRemove, VrouteSet,
};
use crate::model::Origin;
use crate::wire::Vni;

/// Mappings, or objects, on one line of a snapshot.
const SNAPSHOT_ROWS: usize = 1000;

impl Store {
    /// Must the journal know of this?
    pub fn concerns_journal(&self, origin: Origin, tx: &Transaction) -> bool {
        !tx.is_empty() && (origin == Origin::Operator || tx.operator_lost)
    }

    /// What the transaction has made of the operator's objects: what is gone,
    /// from what refers to what is referred to, then what is, the other way.
    pub fn changes_of(&self, tx: &Transaction, now: u32) -> Vec<Change<'static>> {
        let (mut gone, mut set) = self.mapping_changes(tx, now);
        let [eams_gone, eams_set] = self.eam_changes(tx);
        gone.extend(eams_gone);
        set.extend(eams_set);
        let mut removes = BTreeMap::new();
        let mut sets = BTreeMap::new();
        for undo in &tx.objects {
            let (kind, key) = undo.name();
            match self.set_change(kind, key, now) {
                Held::Operator(change) => drop(sets.insert((kind, key), change)),
                Held::Nobody => {
                    if let Some(change) = remove_change(kind, key) {
                        removes.insert((std::cmp::Reverse(kind), key), change);
                    }
                }
                Held::Other => {}
            }
        }
        gone.extend(removes.into_values());
        gone.extend(sets.into_values());
        gone.append(&mut set);
        gone
    }

    fn mapping_changes(
        &self,
        tx: &Transaction,
        now: u32,
    ) -> (Vec<Change<'static>>, Vec<Change<'static>>) {
        let mut gone: BTreeMap<Vni, Vec<MappingKey>> = BTreeMap::new();
        let mut set: BTreeMap<Vni, Vec<MappingRow<'static>>> = BTreeMap::new();
        for (key, _) in &tx.mappings {
            match self.mappings.get(*key) {
                None => gone.entry(key.vni).or_default().push(MappingKey {
                    address: key.prefix,
                    revision: 0,
                }),
                Some(slot) if slot.origin() == Origin::Operator => {
                    set.entry(key.vni).or_default().extend(self.row(&slot, now));
                }
                Some(_) => {}
            }
        }
        let gone = gone.into_iter().filter_map(|(vni, mappings)| {
            let vnet = self.vnet_name_then(vni, tx)?.into();
            Some(Change::MappingRemove(MappingRemove { vnet, mappings }))
        });
        let set = set.into_iter().filter_map(|(vni, mappings)| {
            let vnet = self.vnet_of(vni)?.name.clone().into();
            Some(Change::MappingSet(MappingSet { vnet, mappings }))
        });
        (gone.collect(), set.collect())
    }

    /// The vnet's name now, or before the transaction removed it.
    fn vnet_name_then(&self, vni: Vni, tx: &Transaction) -> Option<String> {
        let before = tx.objects.iter().find_map(|undo| match undo {
            ObjectUndo::Vnet(name, Some(old)) if old.object.vni == vni => Some(name.clone()),
            _ => None,
        });
        before.or_else(|| Some(self.vnet_of(vni)?.name.clone()))
    }

    fn row(&self, slot: &Slot, now: u32) -> Option<MappingRow<'static>> {
        Some(MappingRow {
            address: slot.key().prefix,
            host: self.host(slot.host())?.name.clone().into(),
            expires: slot.expires().map(|at| at.saturating_sub(now)),
            revision: slot.revision(),
            slot: slot.place().slot,
            mac: slot.mac(),
        })
    }

    fn set_change(&self, kind: Kind, key: &str, now: u32) -> Held {
        fn of<T>(
            entry: Option<&Entry<T>>,
            change: impl FnOnce(&Entry<T>) -> Change<'static>,
        ) -> Held {
            match entry {
                None => Held::Nobody,
                Some(entry) if entry.origin == Origin::Operator => Held::Operator(change(entry)),
                Some(_) => Held::Other,
            }
        }
        match kind {
            Kind::Vnet => of(self.vnets.get(key), |e| {
                Change::VnetSet(VnetSet {
                    vnet: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Host => of(self.hosts.get(key), |e| {
                Change::HostSet(HostSet {
                    host: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Binding => of(self.bindings.get(key), |e| {
                Change::BindingSet(BindingSet {
                    binding: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Route => of(self.routes.get(key), |e| {
                Change::RouteSet(RouteSet {
                    route: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Neighbor => of(self.neighbors.get(key), |e| {
                Change::NeighborSet(NeighborSet {
                    neighbor: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Relay => of(self.relays.get(key), |e| {
                Change::RelaySet(Box::new(RelaySet {
                    relay: e.object.clone(),
                    revision: e.revision,
                }))
            }),
            Kind::Outsider => of(self.outsiders.get(key), |e| {
                Change::OutsiderSet(OutsiderSet {
                    outsider: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Subnet => of(self.subnets.get(key), |e| {
                Change::SubnetSet(Box::new(SubnetSet {
                    subnet: e.object.clone(),
                    revision: e.revision,
                }))
            }),
            Kind::Router => of(self.routers.get(key), |e| {
                Change::RouterSet(Box::new(RouterSet {
                    router: e.object.clone(),
                    revision: e.revision,
                }))
            }),
            Kind::Vroute => of(self.vroutes.get(key), |e| {
                Change::VrouteSet(VrouteSet {
                    vroute: e.object.clone(),
                    revision: e.revision,
                })
            }),
            Kind::Member => of(self.members.get(key), |e| {
                Change::MemberSet(MemberSet {
                    member: left(&e.object, now),
                    revision: e.revision,
                })
            }),
            Kind::Mapping | Kind::Eam => Held::Other,
        }
    }

    /// Everything the operator said, by journal line: removals of the file's
    /// objects first, then objects, then mappings.
    pub fn operator_snapshot(&self, now: u32) -> Vec<Vec<Change<'static>>> {
        let mut lines = Vec::new();
        let mut removes: Vec<_> = self
            .object_tombs
            .forever()
            .filter(|(_, tomb)| tomb.origin == Origin::Operator)
            .filter_map(|((kind, key), _)| Some((*kind, remove_change(*kind, key)?)))
            .collect();
        removes.sort_by_key(|(kind, _)| std::cmp::Reverse(*kind));
        let mut hidden: BTreeMap<Vni, Vec<MappingKey>> = BTreeMap::new();
        for (key, tomb) in self.mapping_tombs.forever() {
            if tomb.origin == Origin::Operator {
                let Key { vni, prefix } = *key;
                hidden.entry(vni).or_default().push(MappingKey {
                    address: prefix,
                    revision: 0,
                });
            }
        }
        for (vni, mappings) in hidden {
            if let Some(vnet) = self.vnet_of(vni) {
                let vnet = vnet.name.clone().into();
                lines.push(vec![Change::MappingRemove(MappingRemove {
                    vnet,
                    mappings,
                })]);
            }
        }
        lines.extend(self.hidden_eams().into_iter().map(|change| vec![change]));
        lines.push(removes.into_iter().map(|(_, change)| change).collect());
        let keys = |kind: Kind| -> Vec<&String> {
            match kind {
                Kind::Vnet => self.vnets.keys().collect(),
                Kind::Host => self.hosts.keys().collect(),
                Kind::Binding => self.bindings.keys().collect(),
                Kind::Route => self.routes.keys().collect(),
                Kind::Neighbor => self.neighbors.keys().collect(),
                Kind::Relay => self.relays.keys().collect(),
                Kind::Outsider => self.outsiders.keys().collect(),
                Kind::Subnet => self.subnets.keys().collect(),
                Kind::Router => self.routers.keys().collect(),
                Kind::Vroute => self.vroutes.keys().collect(),
                Kind::Member => self.members.keys().collect(),
                Kind::Mapping | Kind::Eam => Vec::new(),
            }
        };
        for kind in Kind::ALL {
            let said =
                keys(kind)
                    .into_iter()
                    .filter_map(|key| match self.set_change(kind, key, now) {
                        Held::Operator(change) => Some(change),
                        _ => None,
                    });
            let mut said: Vec<_> = said.collect();
            while !said.is_empty() {
                let rest = said.split_off(said.len().min(SNAPSHOT_ROWS));
                lines.push(std::mem::replace(&mut said, rest));
            }
        }
        let mut rows: BTreeMap<Vni, Vec<MappingRow<'static>>> = BTreeMap::new();
        self.mappings
            .walk(&mut Cursor::default(), usize::MAX, |slot| {
                if slot.origin() == Origin::Operator {
                    rows.entry(slot.key().vni)
                        .or_default()
                        .extend(self.row(slot, now));
                }
                true
            });
        for (vni, mut rows) in rows {
            let Some(vnet) = self.vnet_of(vni) else {
                continue;
            };
            while !rows.is_empty() {
                let rest = rows.split_off(rows.len().min(SNAPSHOT_ROWS));
                let mappings = std::mem::replace(&mut rows, rest);
                let vnet = vnet.name.clone().into();
                lines.push(vec![Change::MappingSet(MappingSet { vnet, mappings })]);
            }
        }
        let eams = self.operator_eams().into_iter();
        lines.extend(eams.map(|change| vec![change]));
        lines.retain(|changes| !changes.is_empty());
        lines
    }

    /// Puts a change of the journal back, written `age` seconds ago. A list of
    /// mappings of which some no longer fit is put back without those.
    pub(crate) fn restore(
        &mut self,
        mut change: Change<'_>,
        age: u32,
        now: u32,
        problems: &mut Vec<String>,
    ) {
        if let Change::MappingSet(set) = &mut change {
            for row in &mut set.mappings {
                row.expires = row.expires.map(|seconds| seconds.saturating_sub(age));
            }
            set.mappings.retain(|row| row.expires != Some(0));
        }
        if let Change::MemberSet(set) = &mut change {
            let left = set
                .member
                .expires
                .map(|seconds| seconds.saturating_sub(age));
            if left == Some(0) {
                return;
            }
            set.member.expires = left;
        }
        self.replaying = true;
        self.begin();
        let mut tx = Transaction::default();
        if let Err(error) = self.stage(&mut tx, Origin::Operator, &change, now) {
            self.roll_back(&mut tx);
            match change {
                Change::MappingSet(set) if set.mappings.len() > 1 => {
                    for row in set.mappings {
                        let one = MappingSet {
                            vnet: set.vnet.clone(),
                            mappings: vec![row],
                        };
                        self.restore(Change::MappingSet(one), 0, now, problems);
                    }
                }
                Change::EamSet(set) if set.eams.len() > 1 => {
                    for row in set.eams {
                        let one = EamSet { eams: vec![row] };
                        self.restore(Change::EamSet(one), 0, now, problems);
                    }
                }
                _ => problems.push(error.to_string()),
            }
        }
        self.replaying = false;
    }
}

/// Who holds an object, as far as the journal cares.
enum Held {
    Nobody,
    Operator(Change<'static>),
    Other,
}

impl ObjectUndo {
    fn name(&self) -> (Kind, &str) {
        match self {
            ObjectUndo::Vnet(key, _) => (Kind::Vnet, key),
            ObjectUndo::Host(key, _) => (Kind::Host, key),
            ObjectUndo::Binding(key, _) => (Kind::Binding, key),
            ObjectUndo::Route(key, _) => (Kind::Route, key),
            ObjectUndo::Neighbor(key, _) => (Kind::Neighbor, key),
            ObjectUndo::Relay(key, _) => (Kind::Relay, key),
            ObjectUndo::Outsider(key, _) => (Kind::Outsider, key),
            ObjectUndo::Subnet(key, _) => (Kind::Subnet, key),
            ObjectUndo::Router(key, _) => (Kind::Router, key),
            ObjectUndo::Vroute(key, _) => (Kind::Vroute, key),
            ObjectUndo::Member(key, _) => (Kind::Member, key),
        }
    }
}

fn remove_change(kind: Kind, key: &str) -> Option<Change<'static>> {
    let (name, revision) = (key.to_owned(), 0);
    Some(match kind {
        Kind::Vnet => Change::VnetRemove(VnetRemove { name, revision }),
        Kind::Host => Change::HostRemove(HostRemove { name, revision }),
        Kind::Binding => Change::BindingRemove(BindingRemove { name, revision }),
        Kind::Route => Change::RouteRemove(RouteRemove {
            prefix: key.parse().ok()?,
            revision,
        }),
        Kind::Neighbor => {
            let (port, address) = key.rsplit_once(' ')?;
            let (port, address) = (port.to_owned(), address.parse().ok()?);
            Change::NeighborRemove(NeighborRemove {
                port,
                address,
                revision,
            })
        }
        Kind::Relay => Change::RelayRemove(RelayRemove { revision }),
        Kind::Outsider => Change::OutsiderRemove(OutsiderRemove { name, revision }),
        Kind::Subnet => Change::SubnetRemove(SubnetRemove { name, revision }),
        Kind::Router => Change::RouterRemove(RouterRemove { name, revision }),
        Kind::Vroute => {
            let (router, prefix) = key.rsplit_once(' ')?;
            let (router, prefix) = (router.to_owned(), prefix.parse().ok()?);
            Change::VrouteRemove(VrouteRemove {
                router,
                prefix,
                revision,
            })
        }
        Kind::Member => {
            let mut parts = key.split(' ');
            let (vnet, group, host) = (parts.next()?, parts.next()?, parts.next()?);
            Change::MemberRemove(MemberRemove {
                vnet: vnet.to_owned(),
                group: group.parse().ok()?,
                host: host.to_owned(),
                revision,
            })
        }
        Kind::Mapping | Kind::Eam => return None,
    })
}
