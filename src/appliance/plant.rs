//! The one writer: what the store's changes, links and neighbours do to the
//! mapping table and to the snapshot that workers read.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::check::alone;
use crate::control::plant::PlantError;
use crate::control::proto::Event;
use crate::control::store::Store;
use crate::control::store::mappings::Place;
use crate::datapath::counters::Counters;
use crate::datapath::{Snapshot, Topology};
use crate::mapping::{
    Domain, HostIndex, InsertError, Key, Mapping, NodeIndex, Participant, Prefix, Publisher,
    Reader, SideIndex, Target, Writer,
};
use crate::model::{Binding, Neighbor};
use crate::node::addresses::Addresses;
use crate::node::recent::Recent;
use crate::substrate::Substrate;
use crate::time::Time;
use crate::wire::address::Prefix4;
use crate::wire::{Layout, Mac, Mark, Vni};

use super::compile::{self, Live, Numbers, Site, Slots};
use super::devices::Devices;
use super::given::FormerMacs;
use super::gone::Gone;
use super::multicast::Multicast;
use super::path_mtu::PathMtus;
use super::relay::RelayLinks;
use super::routing::Routing;
use super::watchers::Watchers;

/// Seconds for which a moved node's packets from its old host are its own.
const PREVIOUS_SECONDS: u32 = 60;
/// For which what was told once is not told again.
const TOLD_MILLIS: u64 = 1000;

/// Control's half of the appliance.
pub struct Plant {
    pub(super) site: Site,
    pub(super) settings: Config,
    pub(super) substrate: Substrate,
    pub(super) relay: Option<RelayLinks>,
    pub(super) writer: Writer,
    pub(super) publisher: Publisher<Snapshot>,
    pub(super) numbers: Numbers<NodeIndex>,
    pub(super) outsiders: Numbers<SideIndex>,
    /// What the table says of our own nodes, and of outsiders.
    pub(super) locals: HashMap<(Vni, Prefix4), Target>,
    pub(super) learned: HashMap<NodeIndex, Mac>,
    /// Addresses that nodes have taken by themselves.
    pub(super) addresses: Addresses,
    /// What became of them otherwise than by a packet, to be told.
    pub(super) address_news: Vec<Event>,
    pub(super) address_counters: super::answer::addresses::AddressCounters,
    /// Addresses that nodes were refused.
    pub(super) refused_addresses: Recent,
    /// Addresses whose nodes were here until lately.
    pub(super) gone: Gone,
    /// MACs that addresses were given before.
    pub(super) former_macs: FormerMacs,
    /// Addresses that nobody had when a node asked for them.
    pub(super) unknowns: Recent,
    /// Addresses that were announced.
    pub(super) announced: Recent,
    pub(super) path_mtu: PathMtus,
    pub(super) multicast: Multicast,
    pub(super) watchers: Watchers,
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) slow: super::answer::SlowCounters,
    /// Subnets and routers as snapshots share them.
    routing: Routing,
    /// Of nodes that nobody gave one, too.
    pub(super) slots: Slots,
    pub(super) snmp: super::answer::snmp::Snmp,
    pub(super) dhcp: super::answer::Dhcps,
    pub(super) rings: super::rings::Rings,
    pub(super) devices: Box<dyn Devices>,
    pub(super) clock: Clock,
    /// For `explain`: control reads the table as a worker does.
    pub(super) reader: Reader,
    pub(super) participant: Participant,
    /// Static neighbours the engine has been told of.
    neighbors: Vec<Neighbor>,
    /// Whether somebody answers misses.
    resolver: bool,
    /// The snapshot is behind what is known here.
    dirty: bool,
    generation: u64,
}

impl std::fmt::Debug for Plant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plant")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

/// What a plant is made of.
pub struct Parts {
    pub site: Site,
    /// The file without its objects.
    pub settings: Config,
    pub substrate: Substrate,
    pub domain: Domain,
    pub writer: Writer,
    pub counters: Vec<Arc<Counters>>,
    pub devices: Box<dyn Devices>,
    pub clock: Clock,
    /// Bits that a neighbour cannot guess.
    pub seed: u64,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl Plant {
    pub fn new(parts: Parts) -> Result<Plant, crate::mapping::TooManyParticipants> {
        let participant = parts.domain.register()?;
        Ok(Plant {
            publisher: Publisher::new(&parts.domain, Snapshot::default()),
            reader: parts.writer.readers().reader(),
            participant,
            relay: RelayLinks::new(&parts.site, parts.seed),
            multicast: Multicast::new(&parts.settings, parts.seed),
            addresses: Addresses::new(parts.settings.limits.learned as usize),
            address_news: Vec::new(),
            address_counters: super::answer::addresses::AddressCounters::default(),
            refused_addresses: Recent::new(TOLD_MILLIS),
            site: parts.site,
            settings: parts.settings,
            substrate: parts.substrate,
            writer: parts.writer,
            numbers: Numbers::default(),
            outsiders: Numbers::default(),
            locals: HashMap::new(),
            learned: HashMap::new(),
            gone: Gone::default(),
            former_macs: FormerMacs::default(),
            unknowns: Recent::new(TOLD_MILLIS),
            announced: Recent::new(TOLD_MILLIS),
            path_mtu: PathMtus::default(),
            watchers: Watchers::default(),
            routing: Routing::counted_by(parts.counters.len()),
            counters: parts.counters,
            slow: super::answer::SlowCounters::default(),
            slots: Slots::default(),
            snmp: super::answer::snmp::Snmp::default(),
            dhcp: super::answer::Dhcps::default(),
            rings: super::rings::Rings::default(),
            devices: parts.devices,
            clock: parts.clock,
            neighbors: Vec::new(),
            resolver: false,
            dirty: true,
            generation: u64::MAX,
        })
    }

    pub fn now(&self) -> Time {
        Time(self.clock.millis(self.clock.now()))
    }

    /// Seconds of the clock that expiry is on.
    pub fn seconds(&self) -> u32 {
        self.clock.seconds(self.clock.now())
    }

    /// What workers read now.
    pub fn topology(&self) -> &Topology {
        self.publisher.current()
    }

    pub fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// Misses are worth waiting for only while somebody answers them.
    pub fn set_resolver(&mut self, present: bool) {
        self.dirty |= self.resolver != present;
        self.resolver = present;
    }

    /// A node was seen with a hardware address; true if that is news.
    pub fn learn(&mut self, node: NodeIndex, mac: Mac) -> bool {
        let news = self.learned.insert(node, mac) != Some(mac);
        self.dirty |= news;
        news
    }

    pub(super) fn has_resolver(&self) -> bool {
        self.resolver
    }

    /// Housekeeping of one slice: growth goes on, freed memory is collected,
    /// and a snapshot that is behind is made anew.
    pub fn step(&mut self, store: &Store) {
        let _ = self.writer.step(256);
        self.devices.collect();
        self.participant.quiescent();
        self.publisher.domain().collect();
        self.dirty |= self.path_mtu.expire(self.now());
        self.forget_gone(self.seconds());
        if self.dhcp.take_moved()
            && let Err(error) = self.adopt_nodes(store)
        {
            log::error!("addresses by DHCP: {error}");
        }
        if self.dirty || self.generation != self.links_generation() {
            self.publish(store);
        }
    }

    /// Changes whenever a next hop or own address may have changed.
    fn links_generation(&self) -> u64 {
        let relay = self.relay.as_ref().map_or(0, RelayLinks::generation);
        self.substrate.generation() + relay
    }

    /// Compiles and publishes. When too much freed memory waits for a worker
    /// that stands still, the next slice tries again.
    fn publish(&mut self, store: &Store) {
        let now = self.now();
        self.substrate
            .listen(self.multicast.joined(self.site.layout), now);
        self.generation = self.links_generation();
        if let Some(relay) = &mut self.relay {
            relay.look_at_hops();
        }
        self.routing.follow(store);
        if self.site.layout == Layout::Slot {
            let bindings: Vec<_> = store.bindings().collect();
            self.slots.update(&bindings);
        }
        let live = Live {
            substrate: &self.substrate,
            relay: self.relay.as_ref(),
            learned: &self.learned,
            addresses: &self.addresses,
            path_mtu: self.path_mtu.by_locator(),
            routing: &self.routing,
            slots: &self.slots,
            watch: self.watchers.filters(),
            resolver: self.resolver,
            fans: self.multicast.fans(),
            native: self.multicast.heard(),
            leases: self.dhcp.leases(),
        };
        let mut topology = compile::topology(
            &self.site,
            store,
            (&mut self.numbers, &mut self.outsiders),
            &live,
        );
        self.note_former_nodes(&mut topology);
        let bytes = size_of::<Snapshot>()
            + topology.nodes.len() * 384
            + topology.hosts.len() * 192
            + topology.ports.len() * 256
            + (topology.subnets.len() + topology.routers.len()) * 192
            + topology.ifaces.len() * 16;
        self.dirty = match self.publisher.replace_sized(topology.into(), bytes) {
            Ok(()) => {
                self.devices.hand_out();
                false
            }
            Err(refused) => {
                log::warn!("the workers' view is behind: {}", refused.busy);
                true
            }
        };
    }

    /// Vnets, hosts, bindings, routes or neighbours have changed.
    pub(super) fn adopt(&mut self, store: &Store) -> Result<(), PlantError> {
        self.adopt_substrate(store)?;
        self.adopt_relay(store)?;
        self.adopt_nodes(store)
    }

    /// Who is here has changed, or where.
    fn adopt_nodes(&mut self, store: &Store) -> Result<(), PlantError> {
        let names = store.bindings().map(|binding| binding.name.as_str());
        self.numbers.update(names);
        let names = store.outsiders().map(|outsider| outsider.name.as_str());
        self.outsiders.update(names);
        self.review_addresses(store);
        let wanted = self.wanted_locals(store);
        // A node that is gone leaves the table before its number goes.
        let gone: Vec<_> = self
            .locals
            .keys()
            .filter(|place| !wanted.contains_key(*place))
            .copied()
            .collect();
        for (vni, prefix) in gone {
            self.locals.remove(&(vni, prefix));
            self.leave(vni, prefix);
        }
        self.forget_learned(store);
        self.publish(store);
        let now = self.now();
        self.multicast.look(store, self.publisher.current(), now);
        for (place, target) in wanted {
            if self.locals.get(&place) != Some(&target) {
                self.put(place.0, place.1, Mapping::new(target))?;
                self.locals.insert(place, target);
            }
        }
        Ok(())
    }

    /// What was ours is not any more. A node leaves word for a while; what is
    /// another host's by now stays.
    pub(super) fn leave(&mut self, vni: Vni, prefix: Prefix4) {
        match self.table_entry(vni, prefix).map(|entry| entry.target) {
            Some(Target::Local(_)) => {}
            Some(Target::Remote(_)) => return,
            _ => return self.take(vni, prefix),
        }
        let until = self.seconds() + self.settings.limits.gone_seconds;
        let word = Mapping {
            expires: until,
            ..Mapping::new(Target::Gone)
        };
        if until == self.seconds() || self.put(vni, prefix, word).is_err() {
            return self.take(vni, prefix);
        }
        self.gone.add(vni, prefix, until);
    }

    /// Words that were left and whose time is over make room.
    pub(super) fn forget_gone(&mut self, now: u32) {
        for (vni, prefix) in self.gone.ended(now) {
            let entry = self.table_entry(vni, prefix);
            if entry.is_some_and(|entry| entry.target == Target::Gone) {
                self.take(vni, prefix);
            }
        }
    }

    fn adopt_substrate(&mut self, store: &Store) -> Result<(), PlantError> {
        let now = self.now();
        let refused =
            |error: crate::substrate::SubstrateError| PlantError::Refused(error.to_string());
        let mut routes: Vec<_> = store.routes().cloned().collect();
        routes.sort_by_key(|route| (route.prefix.bits(), route.prefix.len()));
        self.substrate.set_routes(&routes, now).map_err(refused)?;
        let wanted: Vec<Neighbor> = store.neighbors().cloned().collect();
        let gone: Vec<_> = self
            .neighbors
            .iter()
            .filter(|old| !wanted.contains(old))
            .cloned()
            .collect();
        for neighbor in gone {
            self.substrate
                .remove_neighbor(&neighbor.port, neighbor.address, now);
        }
        for neighbor in &wanted {
            if !self.neighbors.contains(neighbor) {
                self.substrate
                    .set_neighbor(neighbor, now)
                    .map_err(refused)?;
            }
        }
        self.neighbors = wanted;
        Ok(())
    }

    fn wanted_locals(&self, store: &Store) -> HashMap<(Vni, Prefix4), Target> {
        let mut wanted = HashMap::new();
        for binding in store.bindings() {
            let vni = store.vnet(&binding.vnet).map(|vnet| vnet.vni);
            let (Some(vni), Some(node)) = (vni, self.numbers.get(&binding.name)) else {
                continue;
            };
            let leased = || self.dhcp.leases().address(&binding.name);
            let first = binding.address.or_else(leased);
            for address in first.map_or_else(Vec::new, |own| self.addresses.all_of(node, own)) {
                wanted.insert((vni, alone(address)), Target::Local(node));
            }
            for prefix in &binding.prefixes {
                wanted.insert((vni, *prefix), Target::Local(node));
            }
        }
        for outsider in store.outsiders() {
            let vni = store.vnet(&outsider.vnet).map(|vnet| vnet.vni);
            if let (Some(vni), Some(index)) = (vni, self.outsiders.get(&outsider.name)) {
                wanted.insert((vni, outsider.address), Target::Side(index));
            }
        }
        wanted
    }

    /// What was learned of a binding ends with it, and when it is on another wire:
    /// who is there has to say so itself.
    fn forget_learned(&mut self, store: &Store) {
        let topology = self.topology();
        let stays = |node: NodeIndex, binding: &Binding| {
            topology.node(node).is_none_or(|record| {
                let port = topology.port(record.port);
                record.vlan == binding.vlan.unwrap_or(0)
                    && port.is_some_and(|port| port.name == binding.port)
            })
        };
        let kept: hashbrown::HashSet<NodeIndex> = store
            .bindings()
            .filter(|binding| binding.mac.is_none())
            .filter_map(|binding| Some((self.numbers.get(&binding.name)?, binding)))
            .filter(|(node, binding)| stays(*node, binding))
            .map(|(node, _)| node)
            .collect();
        self.learned.retain(|node, _| kept.contains(node));
    }

    /// Points an address at a host. What moved keeps its old host as the
    /// previous one for a while, so that its packets in flight are accepted.
    pub(super) fn point(
        &mut self,
        vni: Vni,
        prefix: Prefix4,
        Place { host, slot, mac }: Place,
        expires: Option<u32>,
    ) -> Result<(), PlantError> {
        let too_many = PlantError::Full {
            table: "hosts",
            limit: HostIndex::MAX.index(),
        };
        let host = HostIndex::new(host).ok_or(too_many)?;
        self.give_up(vni, prefix);
        let previous = match self.table_entry(vni, prefix) {
            Some(Mapping {
                target: Target::Remote(old),
                ..
            }) if old != host => Some((old, self.seconds() + PREVIOUS_SECONDS)),
            Some(Mapping {
                target: Target::Remote(_),
                previous,
                ..
            }) => previous,
            _ => None,
        };
        let target = Target::Remote(host);
        self.put(
            vni,
            prefix,
            Mapping {
                target,
                expires: expires.unwrap_or(0),
                previous,
                mark: mark(prefix, slot),
                mac,
            },
        )
    }

    /// What the table holds for exactly this address or prefix.
    pub(super) fn table_entry(&self, vni: Vni, prefix: Prefix4) -> Option<Mapping> {
        match table_prefix(vni, prefix) {
            None => self.writer.get(Key::new(vni.0, prefix.address.0)),
            Some(prefix) => self.writer.get_prefix(prefix),
        }
    }

    pub(super) fn put(
        &mut self,
        vni: Vni,
        prefix: Prefix4,
        mapping: Mapping,
    ) -> Result<(), PlantError> {
        match prefix.len {
            32 => self.unknowns.forget(vni, prefix.address),
            _ => self.unknowns.clear(),
        }
        if self.multicast.concerns(vni) {
            let host = match mapping.target {
                Target::Remote(host) => Some(host),
                _ => None,
            };
            self.multicast.mapped(vni, prefix, host);
        }
        let outcome = match table_prefix(vni, prefix) {
            None => self
                .writer
                .insert(Key::new(vni.0, prefix.address.0), mapping),
            Some(prefix) => self.writer.insert_prefix(prefix, mapping),
        };
        match outcome {
            Ok(old) => {
                let before = old.and_then(|old| old.mac);
                self.note_former((vni, prefix), before, mapping.mac);
                Ok(())
            }
            Err(InsertError::Full { .. }) if !self.gone.is_empty() => {
                self.forget_gone(u32::MAX);
                self.put(vni, prefix, mapping)
            }
            Err(InsertError::Full { limit, .. }) => Err(PlantError::Full {
                table: if prefix.len == 32 {
                    "limits.mappings"
                } else {
                    "limits.prefixes"
                },
                limit,
            }),
            Err(other) => Err(PlantError::Refused(other.to_string())),
        }
    }

    /// A mapping is gone; a node of ours that has the address is not.
    pub(super) fn unpoint(&mut self, vni: Vni, prefix: Prefix4) {
        match self.locals.get(&(vni, prefix)) {
            None => self.take(vni, prefix),
            Some(target) => {
                // In place of the mapping, if there is one: it needs no room.
                let local = Mapping::new(*target);
                if self.table_entry(vni, prefix).is_some()
                    && let Err(error) = self.put(vni, prefix, local)
                {
                    log::error!("{prefix}: {error}");
                }
            }
        }
    }

    /// Whether what the store holds fits into the table.
    pub(super) fn measure(&self, store: &Store) -> Result<(), PlantError> {
        let (addresses, prefixes) = store.table_entries();
        let full = |table, limit| Err(PlantError::Full { table, limit });
        let most = self.settings.limits.prefixes as usize;
        match addresses > self.writer.limit() {
            true => full("limits.mappings", self.writer.limit()),
            false if prefixes > most => full("limits.prefixes", most),
            false => Ok(()),
        }
    }

    fn take(&mut self, vni: Vni, prefix: Prefix4) {
        self.multicast.mapped(vni, prefix, None);
        let old = match table_prefix(vni, prefix) {
            None => self.writer.remove(Key::new(vni.0, prefix.address.0)),
            Some(prefix) => self.writer.remove_prefix(prefix),
        };
        self.note_former((vni, prefix), old.and_then(|old| old.mac), None);
    }
}

/// The mark of what is mapped: what is behind a node goes by its slot.
fn mark(prefix: Prefix4, slot: Option<u8>) -> Mark {
    match slot.and_then(Mark::of_slot) {
        Some(mark) if prefix.len < 32 => mark.forwarded(),
        Some(mark) => mark,
        None => Mark::NONE,
    }
}

/// A prefix as the table knows it; single addresses are in the exact table.
fn table_prefix(vni: Vni, prefix: Prefix4) -> Option<Prefix> {
    (prefix.len < 32).then(|| Prefix::new(vni.0, prefix.address.0, prefix.len).ok())?
}
