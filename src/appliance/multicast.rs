//! Control's side of groups and broadcasts: what nodes have joined, what hosts
//! are said to have members, and what workers read of both.
//!
//! Three things change on their own: memberships with every IGMP message,
//! objects with the store, and hosts of broadcast domains with mappings. From
//! all of them one table is made, at most once in a while, so that nodes that
//! join and leave all day do not keep control busy with snapshots.

mod joined;
mod spread;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::config::{Carriage, Config};
use crate::control::store::Store;
use crate::datapath::Topology;
use crate::datapath::fan::{Domain, Fans, Filter, Member, Members, VnetGroups};
use crate::datapath::segments;
use crate::mapping::{HostIndex, Key, NodeIndex};
use crate::model::Vnet;
use crate::node::igmp::{self, Groups, Limits, Link};
use crate::time::Time;
use crate::wire::address::Prefix4;
use crate::wire::{Layout, Saddr, Vaddr, Vni};

use spread::Spread;

/// Least time between two tables.
const PAUSE: u64 = 10;

/// All of a vnet without subnets.
const EVERYWHERE: Prefix4 = Prefix4 {
    address: Vaddr(0),
    len: 0,
};

/// What the store says of one vnet.
#[derive(Debug, Default)]
struct Wanted {
    withheld: Vec<Prefix4>,
    domains: Vec<DomainWanted>,
}

#[derive(Debug)]
struct DomainWanted {
    prefix: Prefix4,
    directed: Vec<Vaddr>,
    nodes: Vec<NodeIndex>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Multicast {
    pub(super) engine: Groups,
    vnets: HashMap<Vni, Wanted>,
    /// Hosts that are said to have members.
    hosts: HashMap<Key, Vec<HostIndex>>,
    spread: Spread,
    fans: Arc<Fans>,
    /// Groups of the substrate that nodes here have joined; `None` where it
    /// carries none.
    heard: Option<Arc<HashSet<Saddr>>>,
    /// The engine's generation that `fans` shows.
    shown: u64,
    stale: bool,
    next: Time,
}

impl Multicast {
    pub(super) fn new(settings: &Config, seed: u64) -> Multicast {
        let limits = &settings.limits;
        Multicast {
            engine: Groups::new(
                Limits {
                    groups: limits.groups as usize,
                    groups_per_node: limits.groups_per_node as usize,
                },
                seed,
            ),
            vnets: HashMap::new(),
            hosts: HashMap::new(),
            spread: Spread::default(),
            fans: Arc::default(),
            heard: match settings.multicast.carriage {
                Carriage::Copies => None,
                Carriage::Native => Some(Arc::default()),
            },
            shown: 0,
            stale: false,
            next: Time::ZERO,
        }
    }

    /// What workers are to read.
    pub(super) fn fans(&self) -> Arc<Fans> {
        self.fans.clone()
    }

    /// The groups of the substrate that workers are to take.
    pub(super) fn heard(&self) -> Option<Arc<HashSet<Saddr>>> {
        self.heard.clone()
    }

    /// The same to be joined; none where it carries none.
    pub(super) fn joined(&mut self, layout: Layout) -> BTreeSet<Ipv6Addr> {
        let Some(heard) = &mut self.heard else {
            return BTreeSet::new();
        };
        let now = joined::joined(&self.fans, layout);
        if **heard != now {
            *heard = Arc::new(now);
        }
        heard.iter().map(|group| Ipv6Addr::from(*group)).collect()
    }

    /// The store has changed, and `topology` shows its nodes.
    pub(super) fn look(&mut self, store: &Store, topology: &Topology, now: Time) {
        let nodes = topology.nodes.iter().zip(0..).filter_map(|(node, index)| {
            let there = !node.name.is_empty();
            there.then_some((NodeIndex::new(index)?, node))
        });
        let nodes: Vec<_> = nodes.collect();
        self.vnets = store
            .vnets()
            .map(|vnet| (vnet.vni, wanted(store, vnet)))
            .collect();
        for (index, node) in &nodes {
            let domains = self.vnets.get_mut(&node.vni).map(|vnet| &mut vnet.domains);
            for domain in domains.into_iter().flatten() {
                if domain.prefix.contains(node.vaddr) {
                    domain.nodes.push(*index);
                }
            }
        }
        let links = nodes.into_iter().map(|(index, node)| {
            let gateway = topology.ifaces.get(node.segment.gateway as usize);
            let withheld = self.vnets.get(&node.vni).map(|vnet| vnet.withheld.clone());
            let link = Link {
                name: node.name.clone(),
                vni: node.vni,
                querier: gateway
                    .filter(|_| node.segment.gateway != segments::NONE)
                    .map_or(Vaddr(0), |gateway| gateway.address),
                withheld: withheld.unwrap_or_default(),
            };
            (index, link)
        });
        self.engine.set_links(links, now);
        self.hosts = hosts_with_members(store);
        self.look_at_domains(store);
        self.stale = true;
    }

    fn look_at_domains(&mut self, store: &Store) {
        let vnets = self
            .vnets
            .iter()
            .filter(|(_, vnet)| !vnet.domains.is_empty());
        let prefixes = |vnet: &Wanted| vnet.domains.iter().map(|domain| domain.prefix).collect();
        let domains = vnets.map(|(vni, vnet)| (*vni, prefixes(vnet))).collect();
        if self.spread.set_domains(domains) {
            store.each_mapping(|vni, prefix, host| {
                self.spread.set(vni, prefix, HostIndex::new(host));
            });
        }
    }

    /// Whether mappings of the vnet matter.
    pub(super) fn concerns(&self, vni: Vni) -> bool {
        self.spread.concerns(vni)
    }

    /// A mapping now is so, or is gone.
    pub(super) fn mapped(&mut self, vni: Vni, prefix: Prefix4, host: Option<HostIndex>) {
        self.stale |= self.spread.set(vni, prefix, host);
    }

    /// Makes the table anew if it is behind; true if there is another one.
    pub(super) fn refresh(&mut self, now: Time) -> bool {
        let behind = self.stale || self.shown != self.engine.generation();
        if !behind || now < self.next {
            return false;
        }
        self.next = now.after(PAUSE);
        self.stale = false;
        self.shown = self.engine.generation();
        let fans = Fans {
            vnets: self
                .vnets
                .iter()
                .map(|(vni, vnet)| (*vni, self.vnet(*vni, vnet)))
                .collect(),
            groups: self.groups(),
        };
        let news = fans != *self.fans;
        if news {
            self.fans = Arc::new(fans);
        }
        news
    }

    fn vnet(&self, vni: Vni, wanted: &Wanted) -> VnetGroups {
        let domain = |domain: &DomainWanted| Domain {
            prefix: domain.prefix,
            directed: domain.directed.as_slice().into(),
            members: Members {
                hosts: match self.heard {
                    // They listen.
                    Some(_) => [].into(),
                    None => self.spread.hosts(vni, domain.prefix).collect(),
                },
                nodes: domain.nodes.iter().copied().map(Member::of_all).collect(),
            },
        };
        let mut domains: Vec<_> = wanted.domains.iter().map(domain).collect();
        domains.sort_by_key(|domain| domain.prefix.address);
        VnetGroups {
            withheld: wanted.withheld.as_slice().into(),
            domains: domains.into(),
        }
    }

    fn groups(&self) -> HashMap<Key, Members> {
        let mut groups = HashMap::new();
        for (vni, group, nodes) in self.engine.groups() {
            let member = |node: &NodeIndex| {
                let membership = self.engine.membership(*node, group)?;
                Some(Member {
                    node: *node,
                    filter: filter(membership.filter()),
                })
            };
            let members = Members {
                hosts: [].into(),
                nodes: nodes.iter().filter_map(member).collect(),
            };
            groups.insert(Key::new(vni.0, group.0), members);
        }
        for (key, hosts) in &self.hosts {
            let members: &mut Members = groups.entry(*key).or_default();
            members.hosts = hosts.as_slice().into();
        }
        groups
    }
}

fn filter(filter: igmp::Filter) -> Filter {
    match filter {
        igmp::Filter::Any => Filter::Any,
        igmp::Filter::Only(sources) => Filter::Only(sources.into()),
        igmp::Filter::Except(sources) => Filter::Except(sources.into()),
    }
}

/// What a vnet asks for.
fn wanted(store: &Store, vnet: &Vnet) -> Wanted {
    Wanted {
        withheld: vnet.withheld.clone(),
        domains: match vnet.broadcast {
            true => domains(store, vnet),
            false => Vec::new(),
        },
    }
}

/// The subnets of a vnet, or all of one that has none.
fn domains(store: &Store, vnet: &Vnet) -> Vec<DomainWanted> {
    let subnets = store.subnets().filter(|subnet| subnet.vnet == vnet.name);
    let domains: Vec<_> = subnets
        .map(|subnet| domain(subnet.prefix, &[subnet.prefix]))
        .collect();
    match domains.is_empty() {
        true => vec![domain(EVERYWHERE, &vnet.prefixes)],
        false => domains,
    }
}

/// A domain that is meant by the last address of each of these ranges.
fn domain(prefix: Prefix4, ranges: &[Prefix4]) -> DomainWanted {
    // Two addresses have no third one for both: RFC 3021.
    let wide = ranges.iter().filter(|range| range.len <= 30);
    DomainWanted {
        prefix,
        directed: wide
            .map(|range| Vaddr(range.address.0 | !Prefix4::mask(range.len)))
            .collect(),
        nodes: Vec::new(),
    }
}

/// Hosts by vnet and group, each once.
fn hosts_with_members(store: &Store) -> HashMap<Key, Vec<HostIndex>> {
    let mut hosts: HashMap<Key, Vec<HostIndex>> = HashMap::new();
    for member in store.members() {
        let vni = store.vnet(&member.vnet).map(|vnet| vnet.vni);
        let host = store.host_index(&member.host).and_then(HostIndex::new);
        if let (Some(vni), Some(host)) = (vni, host) {
            let key = Key::new(vni.0, member.group.0);
            hosts.entry(key).or_default().push(host);
        }
    }
    for hosts in hosts.values_mut() {
        hosts.sort_unstable();
        hosts.dedup();
    }
    hosts
}
