//! The desired state: what the file, the operator and the agent have said,
//! put together.
//!
//! A change goes three steps. It is *staged*: checked against everything that
//! is, and written into the store with a note of what was there before; an
//! error rolls the notes back, so a batch is all or nothing. It is *pushed* to
//! the plant; a plant that refuses rolls it back too. The notes (a
//! [`Transaction`]) stay with the server until the journal has the change on
//! disk; only then it is acknowledged.
//!
//! Start-up, SIGHUP, `apply` and sync are one thing: a desired set that sweeps
//! only its own origin ([`Store::replace`], [`sync`]).

mod addresses;
mod check;
mod check_host;
mod check_member;
mod check_outsider;
mod check_relay;
mod check_router;
mod check_subnet;
mod check_vnet;
mod diff;
mod dump;
pub mod eams;
mod expiry;
mod list;
pub mod mappings;
pub mod objects;
mod record;
mod replace;
mod segments;
mod slot;
mod stage;
pub mod sync;
mod translate;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use hashbrown::HashMap;

use super::plant::{Plant, PlantError};
use super::proto::{Applied, Change, Error, Kind};
use crate::config::Config;
use crate::config::check::alone;
use crate::model::{
    Binding, Host, Member, Neighbor, Origin, Outsider, Port, Relay, Route, Router, Subnet, Vnet,
    Vroute,
};
use crate::siit::rfc7757::Eams;
use crate::wire::address::Prefix4;
use crate::wire::{Layout, Locator, Mac, Prefix6, Vni};
use eams::{HeldEam, HeldEams};
use mappings::{Key, Mappings, Slot};
use objects::{Entry, Objects, Tomb, Tombs};

pub use addresses::Unfit;
pub use diff::Differences;
pub use replace::{Changes, Desired, Staged};
pub use sync::SyncStep;

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub vnets: usize,
    pub hosts: usize,
    pub bindings: usize,
    pub routes: usize,
    pub neighbors: usize,
    pub mappings: usize,
    pub eams: usize,
    pub outsiders: usize,
    pub subnets: usize,
    pub routers: usize,
    pub vroutes: usize,
    pub members: usize,
    pub tombstones: usize,
    /// Seconds a tombstone is kept.
    pub tombstone_seconds: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            vnets: 65_536,
            hosts: 65_536,
            bindings: 65_536,
            routes: 4096,
            neighbors: 4096,
            mappings: 4 << 20,
            eams: 1 << 20,
            outsiders: 4096,
            subnets: 4096,
            routers: 4096,
            vroutes: 1 << 18,
            members: 65_536,
            tombstones: 1 << 18,
            tombstone_seconds: 60,
        }
    }
}

/// What the store must know of the appliance to check objects.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The appliance's own name.
    pub name: String,
    pub layout: Layout,
    /// The appliance's own locator; no host may claim it.
    pub locator: Option<Locator>,
    /// Of the substrate.
    pub mtu: u16,
    pub workers: u16,
    /// Ports there are.
    pub ports: Vec<Port>,
    pub limits: Limits,
}

impl Settings {
    /// Those of a file.
    pub fn of(config: &Config, limits: Limits) -> Settings {
        Settings {
            name: config.name.clone(),
            layout: config.layout,
            locator: config.locator,
            mtu: config.mtu,
            workers: config.workers(),
            ports: config.port.clone(),
            limits,
        }
    }
}

/// The desired state.
#[derive(Debug)]
pub struct Store {
    pub(crate) settings: Settings,
    pub(crate) vnets: Objects<Vnet>,
    pub(crate) hosts: Objects<Host>,
    pub(crate) bindings: Objects<Binding>,
    pub(crate) routes: Objects<Route>,
    pub(crate) neighbors: Objects<Neighbor>,
    /// One at most.
    pub(crate) relays: Objects<Relay>,
    pub(crate) outsiders: Objects<Outsider>,
    pub(crate) subnets: Objects<Subnet>,
    pub(crate) routers: Objects<Router>,
    pub(crate) vroutes: Objects<Vroute>,
    /// Their ends are seconds of the appliance's clock.
    pub(crate) members: Objects<Member>,
    pub(crate) eams: HeldEams,
    pub(crate) mappings: Mappings,
    indices: Indices,
    object_tombs: Tombs<(Kind, String)>,
    mapping_tombs: Tombs<Key>,
    eam_tombs: Tombs<Prefix4>,
    syncs: sync::Syncs,
    expiry: mappings::Cursor,
    /// Hosts on their way out, while mappings that name them are exchanged.
    leaving: Vec<(u32, Host)>,
    /// The journal is being loaded: its lines say what was, no matter what
    /// revisions and tombstones the store has.
    replaying: bool,
}

/// Names of bindings of one wire.
type Neighbours = HashMap<Option<Mac>, Vec<String>>;

/// Ways to find an object by something else than its name, kept in step by
/// the `link` functions of `stage.rs`.
#[derive(Debug, Default)]
pub(crate) struct Indices {
    vni: HashMap<u32, String>,
    locator: BTreeMap<u128, String>,
    host: HashMap<String, u32>,
    /// Host names by index; freed places keep no name.
    host_names: Vec<Option<String>>,
    free_hosts: Vec<u32>,
    /// Freed by the request under way, not given out before the next.
    freed_hosts: Vec<u32>,
    address: HashMap<(String, u32), String>,
    /// Bindings of a wire (port, VLAN) by their hardware addresses, given or not:
    /// one of many must not be compared with all of them.
    wire: HashMap<(String, Option<u16>), Neighbours>,
    /// Outsiders by vnet and what they have there.
    outsider: HashMap<String, HashMap<Prefix4, String>>,
    /// Outsiders by vnet and what they are.
    system: HashMap<(String, Prefix6), String>,
    /// Second addresses of nodes: prefixes of one address behind bindings.
    second: HashMap<(String, u32), String>,
    segments: segments::Segments,
    /// No member of a group ends before.
    member_ends: Option<u32>,
}

/// What was there before a change, and what came of it.
#[derive(Debug, Default)]
pub struct Transaction {
    pub applied: Applied,
    objects: Vec<ObjectUndo>,
    mappings: Vec<(Key, Option<Slot>)>,
    object_tombs: Vec<((Kind, String), Option<Tomb>)>,
    mapping_tombs: Vec<(Key, Option<Tomb>)>,
    eams: Vec<(Prefix4, Option<HeldEam>)>,
    eam_tombs: Vec<(Prefix4, Option<Tomb>)>,
    /// Explicit mappings are gone, noted or not.
    swept_eams: bool,
    /// Something the operator had said is gone: the journal must know, even
    /// if it was not the operator who removed it.
    pub operator_lost: bool,
}

impl Transaction {
    /// Nothing took effect.
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty() && !self.changes_topology()
    }

    /// Anything but mappings has changed.
    fn changes_topology(&self) -> bool {
        !self.objects.is_empty() || !self.eams.is_empty() || self.swept_eams
    }
}

#[derive(Debug)]
enum ObjectUndo {
    Vnet(String, Option<Box<Entry<Vnet>>>),
    Host(String, Option<Box<Entry<Host>>>),
    Binding(String, Option<Box<Entry<Binding>>>),
    Route(String, Option<Box<Entry<Route>>>),
    Neighbor(String, Option<Box<Entry<Neighbor>>>),
    Relay(String, Option<Box<Entry<Relay>>>),
    Outsider(String, Option<Box<Entry<Outsider>>>),
    Subnet(String, Option<Box<Entry<Subnet>>>),
    Router(String, Option<Box<Entry<Router>>>),
    Vroute(String, Option<Box<Entry<Vroute>>>),
    Member(String, Option<Box<Entry<Member>>>),
}

impl Store {
    pub fn new(settings: Settings) -> Store {
        let limit = settings.limits.tombstones;
        let eams = HeldEams::new(settings.limits.eams);
        Store {
            settings,
            vnets: Objects::new(),
            hosts: Objects::new(),
            bindings: Objects::new(),
            routes: Objects::new(),
            neighbors: Objects::new(),
            relays: Objects::new(),
            outsiders: Objects::new(),
            subnets: Objects::new(),
            routers: Objects::new(),
            vroutes: Objects::new(),
            members: Objects::new(),
            eams,
            mappings: Mappings::default(),
            indices: Indices::default(),
            object_tombs: Tombs::new(limit),
            mapping_tombs: Tombs::new(limit),
            eam_tombs: Tombs::new(limit),
            syncs: sync::Syncs::default(),
            expiry: mappings::Cursor::default(),
            leaving: Vec::new(),
            replaying: false,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Applies changes in order, all or none.
    pub fn apply(
        &mut self,
        plant: &mut impl Plant,
        origin: Origin,
        changes: &[Change<'_>],
        now: u32,
    ) -> Result<Transaction, Error> {
        let mut transaction = Transaction::default();
        self.begin();
        for (i, change) in changes.iter().enumerate() {
            if let Err(error) = self.stage(&mut transaction, origin, change, now) {
                self.roll_back(&mut transaction);
                return Err(match changes.len() {
                    1 => error,
                    _ => error.within("params").within(&format!("changes[{i}]")),
                });
            }
        }
        if let Err(error) = self.check_segments(&transaction) {
            self.roll_back(&mut transaction);
            return Err(error);
        }
        self.watch_pool();
        match self.push(plant, &transaction) {
            Ok(()) => Ok(transaction),
            Err(error) => {
                self.revert(plant, transaction);
                Err(error.into())
            }
        }
    }

    /// Undoes a transaction, in the store and in the plant. The plant accepted
    /// the old state before; if it now refuses, that is logged and the store
    /// is still right.
    pub fn revert(&mut self, plant: &mut impl Plant, mut transaction: Transaction) {
        let touched = Transaction {
            mappings: transaction.mappings.clone(),
            objects: Vec::new(),
            ..Transaction::default()
        };
        let topology = transaction.changes_topology();
        self.roll_back(&mut transaction);
        let none = Vec::new();
        if let Err(error) = self.push_touched(plant, &touched.mappings, none, topology) {
            log::error!("going back to the state before a refused change: {error}");
        }
    }

    fn push(&mut self, plant: &mut impl Plant, tx: &Transaction) -> Result<(), PlantError> {
        let removed = |undo: &ObjectUndo| match undo {
            ObjectUndo::Host(name, Some(old)) if !self.hosts.contains_key(name) => {
                Some((old.index, old.object.clone()))
            }
            _ => None,
        };
        let leaving: Vec<(u32, Host)> = match tx.mappings.is_empty() {
            true => Vec::new(),
            false => tx.objects.iter().filter_map(removed).collect(),
        };
        self.push_touched(plant, &tx.mappings, leaving, tx.changes_topology())
    }

    /// Brings the plant to the store's state for everything touched, so that an
    /// address has a mapping all the time if it had one before and has one
    /// afterwards: hosts that are new come first, then mappings are set, then
    /// those that are gone are removed, and last the hosts that no mapping
    /// names any more.
    fn push_touched(
        &mut self,
        plant: &mut impl Plant,
        touched: &[(Key, Option<Slot>)],
        leaving: Vec<(u32, Host)>,
        topology: bool,
    ) -> Result<(), PlantError> {
        let twice = !leaving.is_empty();
        if topology {
            self.leaving = leaving;
            let changed = plant.topology_changed(self);
            self.leaving = Vec::new();
            changed?;
        }
        match self.push_sets(plant, touched) {
            // What goes makes room.
            Err(PlantError::Full { .. }) => {
                self.push_removals(plant, touched);
                self.push_sets(plant, touched)?;
            }
            other => {
                other?;
                self.push_removals(plant, touched);
            }
        }
        match twice {
            true => plant.topology_changed(self),
            false => Ok(()),
        }
    }

    fn push_sets(
        &self,
        plant: &mut impl Plant,
        touched: &[(Key, Option<Slot>)],
    ) -> Result<(), PlantError> {
        for (key, _) in touched {
            if let Some(slot) = self.mappings.get(*key) {
                show(plant, key, &slot)?;
            }
        }
        Ok(())
    }

    fn push_removals(&self, plant: &mut impl Plant, touched: &[(Key, Option<Slot>)]) {
        for (key, _) in touched {
            if self.mappings.get(*key).is_none() {
                plant.mapping_remove(key.vni, key.prefix);
            }
        }
    }

    /// Shows everything to a plant that starts.
    pub fn push_all(&self, plant: &mut impl Plant) -> Result<(), PlantError> {
        plant.topology_changed(self)?;
        let mut outcome = Ok(());
        self.mappings
            .walk(&mut mappings::Cursor::default(), usize::MAX, |slot| {
                let key = slot.key();
                outcome = show(plant, &key, slot);
                outcome.is_ok()
            });
        outcome
    }

    /// A vnet by name.
    pub fn vnet(&self, name: &str) -> Option<&Vnet> {
        self.vnets.get(name).map(|entry| &entry.object)
    }

    /// A vnet by network id.
    pub fn vnet_of(&self, vni: Vni) -> Option<&Vnet> {
        self.vnet(self.indices.vni.get(&vni.0)?)
    }

    /// A host by the index mappings carry.
    pub fn host(&self, index: u32) -> Option<&Host> {
        let name = self.indices.host_names.get(index as usize)?.as_deref()?;
        self.hosts.get(name).map(|entry| &entry.object)
    }

    pub fn host_index(&self, name: &str) -> Option<u32> {
        self.indices.host.get(name).copied()
    }

    /// Hosts with their indices, in no order; those too that are leaving while
    /// the plant is told of a change.
    pub fn hosts(&self) -> impl Iterator<Item = (u32, &Host)> {
        let leaving = self.leaving.iter().map(|(index, host)| (*index, host));
        let held = self.hosts.values();
        leaving.chain(held.map(|entry| (entry.index, &entry.object)))
    }

    pub fn vnets(&self) -> impl Iterator<Item = &Vnet> {
        self.vnets.values().map(|entry| &entry.object)
    }

    /// The ports there are from now on; returns those that there were.
    pub(crate) fn set_ports(&mut self, ports: Vec<Port>) -> Vec<Port> {
        std::mem::replace(&mut self.settings.ports, ports)
    }

    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values().map(|entry| &entry.object)
    }

    pub fn binding(&self, name: &str) -> Option<&Binding> {
        self.bindings.get(name).map(|entry| &entry.object)
    }

    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values().map(|entry| &entry.object)
    }

    pub fn neighbors(&self) -> impl Iterator<Item = &Neighbor> {
        self.neighbors.values().map(|entry| &entry.object)
    }

    /// Who configured this neighbour, if anybody did.
    pub fn neighbor_origin(&self, port: &str, address: Ipv6Addr) -> Option<Origin> {
        let entry = self.neighbors.get(&objects::neighbor_key(port, address))?;
        Some(entry.origin)
    }

    /// Shows every mapping: its vnet, its place, the index of its host.
    pub fn each_mapping(&self, mut visit: impl FnMut(Vni, Prefix4, u32)) {
        let mut cursor = mappings::Cursor::default();
        self.mappings.walk(&mut cursor, usize::MAX, |slot| {
            let key = slot.key();
            visit(key.vni, key.prefix, slot.host());
            true
        });
    }

    /// Mappings there are.
    pub fn mapping_count(&self) -> usize {
        self.mappings.len()
    }

    /// Addresses and prefixes that mappings, nodes and outsiders take up in a
    /// table.
    pub fn table_entries(&self) -> (usize, usize) {
        let (mut addresses, mut prefixes) = self.mappings.by_length();
        // A node without address may get one at any time.
        addresses += self.bindings().filter(|one| one.address.is_none()).count();
        let nodes = self.bindings().flat_map(|binding| {
            let own = binding.address.map(alone);
            let places = own.into_iter().chain(binding.prefixes.iter().copied());
            places.map(|prefix| (binding.vnet.as_str(), prefix))
        });
        let outsiders = self
            .outsiders()
            .map(|outsider| (outsider.vnet.as_str(), outsider.address));
        for (vnet, prefix) in nodes.chain(outsiders) {
            let Some(vni) = self.vnet(vnet).map(|vnet| vnet.vni) else {
                continue;
            };
            match (self.mappings.get(Key { vni, prefix }), prefix.len) {
                (Some(_), _) => {}
                (None, 32) => addresses += 1,
                (None, _) => prefixes += 1,
            }
        }
        (addresses, prefixes)
    }

    pub fn mapping_bytes(&self) -> usize {
        self.mappings.bytes()
    }

    pub fn tombstones(&self) -> usize {
        self.object_tombs.len() + self.mapping_tombs.len() + self.eam_tombs.len()
    }

    /// The relay, if there is one.
    pub fn relay(&self) -> Option<&Relay> {
        self.relays.values().next().map(|entry| &entry.object)
    }

    /// The relay's explicit mappings; a clone costs a few counts.
    pub fn eams(&self) -> &Eams {
        self.eams.table()
    }

    pub fn eam_bytes(&self) -> usize {
        self.eams.bytes()
    }

    pub fn outsiders(&self) -> impl Iterator<Item = &Outsider> {
        self.outsiders.values().map(|entry| &entry.object)
    }
}

/// Shows a mapping to the plant.
fn show(plant: &mut impl Plant, key: &Key, slot: &Slot) -> Result<(), PlantError> {
    plant.mapping_set(key.vni, key.prefix, slot.place(), slot.expires())
}
