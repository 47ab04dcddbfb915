//! What is wrong with objects that are well formed one by one.
//!
//! Two layers. A function for each kind of object checks one of them against
//! the others it refers to, which it reaches through [`Objects`]: the control
//! socket's store implements that trait too, so a change over the socket is
//! judged by the rules of the file. [`check`] runs these over a whole
//! configuration and adds what only shows in the set: names, network ids,
//! addresses and devices that occur twice.
//!
//! Every check is at most O(n log n): a file may hold a million mappings.

pub mod device;
mod dhcp;
mod eam;
mod member;
mod outsider;
mod policy;
mod port;
mod relay;
mod segment;
mod settings;
mod slot;
mod snmp;
mod substrate;
mod tenant;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hash;

use super::load::bounds;
use super::{Config, Problem};
use crate::model::{Binding, Host, Port, Router, Subnet, Vnet};
use crate::wire::address::Prefix4;
use crate::wire::{Layout, Locator, Prefix6, Vaddr, ipv4};

pub use dhcp::{addressed, answered, dhcp_server};
pub use eam::{EamFault, eam, eam_fault};
pub use member::member;
pub use outsider::outsider;
pub use policy::policy;
pub use port::port;
pub use relay::relay;
pub use segment::{EVERYTHING, address_in, alone, placed, router, subnet, vnet_of_router, vroute};
pub use slot::slot;
pub use substrate::{host, neighbor, route};
pub use tenant::{binding, given_mac, mapping, vnet};

/// Bytes by which a packet grows at most on the substrate: from the IPv4
/// header of 20 to the IPv6 header of 40 and a Fragment header of 8.
pub const GROWTH: u16 = 28;
/// Least MTU of an IPv4 link (RFC 791 section 3.2).
pub const MIN_MTU_4: u16 = ipv4::MIN_MTU;
/// Least MTU of an IPv6 link (RFC 8200 section 5).
pub const MIN_MTU_6: u16 = 1280;
/// Revisions are numbers in JSON, which is exact up to here.
pub const MAX_REVISION: u64 = (1 << 53) - 1;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Findings {
    fn problem(&mut self, path: String, message: impl Into<String>) {
        self.problems.push(Problem::new(path, message));
    }

    fn hinted(&mut self, path: String, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(path, message).hint(hint));
    }

    fn warn(&mut self, path: String, message: impl Into<String>, hint: impl Into<String>) {
        self.warnings.push(Problem::new(path, message).hint(hint));
    }
}

/// What all objects of an appliance have in common.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub name: &'a str,
    pub layout: Layout,
    /// `None` on a plain relay.
    pub locator: Option<Locator>,
    /// Of the substrate.
    pub mtu: u16,
    pub workers: u16,
}

/// The objects that others refer to.
pub trait Objects {
    fn site(&self) -> Site<'_>;
    fn port(&self, name: &str) -> Option<&Port>;
    fn vnet(&self, name: &str) -> Option<&Vnet>;
    fn host(&self, name: &str) -> Option<&Host>;
    fn binding(&self, name: &str) -> Option<&Binding>;
    fn subnet(&self, name: &str) -> Option<&Subnet>;
    /// Subnets of a vnet that overlap a prefix.
    fn subnets_over(&self, vnet: &str, prefix: Prefix4) -> impl Iterator<Item = &Subnet>;
    fn router(&self, name: &str) -> Option<&Router>;
    /// A router that has an address; not the vnet's own.
    fn router_at(&self, vnet: &str, address: Vaddr) -> Option<&Router>;
    /// A host whose locator overlaps a prefix.
    fn host_over(&self, prefix: &Prefix6) -> Option<&Host>;
    /// All ports: there are few.
    fn ports(&self) -> impl Iterator<Item = &Port>;
    /// Names for suggestions; asked for only when one is wrong.
    fn vnet_names(&self) -> impl Iterator<Item = &str>;
    fn host_names(&self) -> impl Iterator<Item = &str>;
    fn binding_names(&self) -> impl Iterator<Item = &str>;
    fn subnet_names(&self) -> impl Iterator<Item = &str>;
    fn router_names(&self) -> impl Iterator<Item = &str>;
}

/// Where an object is: `binding[2]`, or a name of the caller's own. Becomes
/// text only when there is something to say.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub list: &'a str,
    pub index: Option<usize>,
}

impl<'a> At<'a> {
    pub fn nth(list: &'a str, index: usize) -> At<'a> {
        At {
            list,
            index: Some(index),
        }
    }

    /// The only one of its kind.
    pub fn only(list: &'a str) -> At<'a> {
        At { list, index: None }
    }

    /// Path of a key of the object.
    pub fn key(self, key: &str) -> String {
        format!("{self}.{key}")
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.list)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}

/// Checks everything a file says.
pub fn check(config: &Config) -> Findings {
    let mut out = Findings::default();
    let index = Index::new(config);
    settings::check(config, &mut out);
    port::check(config, &index, &mut out);
    let held = tenant::check(config, &index, &mut out);
    slot::check(config, &mut out);
    substrate::check(config, &index, &mut out);
    relay::check(config, &index, &mut out);
    eam::check(config, &mut out);
    outsider::check(config, &index, &held, &mut out);
    segment::check(config, &index, &held, &mut out);
    member::check(config, &index, &mut out);
    out
}

/// A configuration by name. Of two objects of one name the first is meant;
/// the second is a problem of its own.
struct Index<'a> {
    config: &'a Config,
    ports: HashMap<&'a str, &'a Port>,
    vnets: HashMap<&'a str, &'a Vnet>,
    hosts: HashMap<&'a str, &'a Host>,
    bindings: HashMap<&'a str, &'a Binding>,
    locators: BTreeMap<u128, &'a Host>,
    subnets: HashMap<&'a str, &'a Subnet>,
    routers: HashMap<&'a str, &'a Router>,
    /// Subnets by vnet and first address: of two that overlap the first.
    grounds: HashMap<&'a str, BTreeMap<u32, &'a Subnet>>,
    interfaces: HashMap<(&'a str, Vaddr), &'a Router>,
}

impl<'a> Index<'a> {
    fn new(config: &'a Config) -> Self {
        fn by_name<T>(list: &[T], name: fn(&T) -> &str) -> HashMap<&str, &T> {
            list.iter().rev().map(|item| (name(item), item)).collect()
        }
        Index {
            config,
            ports: by_name(&config.port, |port| &port.name),
            vnets: by_name(&config.vnet, |vnet| &vnet.name),
            hosts: by_name(&config.host, |host| &host.name),
            bindings: by_name(&config.binding, |binding| &binding.name),
            locators: config
                .host
                .iter()
                .map(|host| (host.locator.bits(), host))
                .collect(),
            subnets: by_name(&config.subnet, |subnet| &subnet.name),
            routers: by_name(&config.router, |router| &router.name),
            grounds: grounds(config),
            interfaces: interfaces(config),
        }
    }
}

fn grounds(config: &Config) -> HashMap<&str, BTreeMap<u32, &Subnet>> {
    let mut grounds: HashMap<&str, BTreeMap<u32, &Subnet>> = HashMap::new();
    for subnet in &config.subnet {
        let of_vnet = grounds.entry(&subnet.vnet).or_default();
        let mut over = over(of_vnet, subnet.prefix, |subnet| subnet.prefix);
        if over.next().is_none() {
            drop(over);
            of_vnet.insert(subnet.prefix.address.0, subnet);
        }
    }
    grounds
}

fn interfaces(config: &Config) -> HashMap<(&str, Vaddr), &Router> {
    let all = config.router.iter().rev().flat_map(|router| {
        let addresses = router.interfaces.iter().map(|one| one.address);
        addresses.map(move |address| ((router.vnet.as_str(), address), router))
    });
    all.collect()
}

impl Objects for Index<'_> {
    fn site(&self) -> Site<'_> {
        Site {
            name: &self.config.name,
            layout: self.config.layout,
            locator: self.config.locator,
            mtu: self.config.mtu,
            workers: self.config.workers(),
        }
    }

    fn port(&self, name: &str) -> Option<&Port> {
        self.ports.get(name).copied()
    }

    fn vnet(&self, name: &str) -> Option<&Vnet> {
        self.vnets.get(name).copied()
    }

    fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name).copied()
    }

    fn binding(&self, name: &str) -> Option<&Binding> {
        self.bindings.get(name).copied()
    }

    fn subnet(&self, name: &str) -> Option<&Subnet> {
        self.subnets.get(name).copied()
    }

    fn subnets_over(&self, vnet: &str, prefix: Prefix4) -> impl Iterator<Item = &Subnet> {
        let of_vnet = self.grounds.get(vnet).into_iter();
        of_vnet.flat_map(move |all| over(all, prefix, |subnet| subnet.prefix).copied())
    }

    fn router(&self, name: &str) -> Option<&Router> {
        self.routers.get(name).copied()
    }

    fn router_at(&self, vnet: &str, address: Vaddr) -> Option<&Router> {
        self.interfaces.get(&(vnet, address)).copied()
    }

    fn host_over(&self, prefix: &Prefix6) -> Option<&Host> {
        overlapping(&self.locators, prefix, |host| host.locator).copied()
    }

    fn ports(&self) -> impl Iterator<Item = &Port> {
        self.config.port.iter()
    }

    fn vnet_names(&self) -> impl Iterator<Item = &str> {
        self.config.vnet.iter().map(|vnet| vnet.name.as_str())
    }

    fn host_names(&self) -> impl Iterator<Item = &str> {
        self.config.host.iter().map(|host| host.name.as_str())
    }

    fn binding_names(&self) -> impl Iterator<Item = &str> {
        let bindings = self.config.binding.iter();
        bindings.map(|binding| binding.name.as_str())
    }

    fn subnet_names(&self) -> impl Iterator<Item = &str> {
        self.config.subnet.iter().map(|subnet| subnet.name.as_str())
    }

    fn router_names(&self) -> impl Iterator<Item = &str> {
        self.config.router.iter().map(|router| router.name.as_str())
    }
}

/// Of prefixes that do not overlap each other, by their first addresses, those
/// that overlap one: they lie together, the last of them before its end.
pub fn over<T>(
    starts: &BTreeMap<u32, T>,
    prefix: Prefix4,
    of: impl Fn(&T) -> Prefix4,
) -> impl Iterator<Item = &T> {
    let last = prefix.address.0 | !Prefix4::mask(prefix.len);
    let before = starts.range(..=last).rev().map(|(_, one)| one);
    before.take_while(move |one| of(one).overlaps(prefix))
}

/// Of locators that do not overlap each other, by their bits, one that
/// overlaps a prefix: the last before its end, if any.
pub fn overlapping<'a, T>(
    locators: &'a BTreeMap<u128, T>,
    prefix: &Prefix6,
    locator: impl Fn(&T) -> Locator,
) -> Option<&'a T> {
    let rest = u128::MAX.checked_shr(prefix.len().into()).unwrap_or(0);
    let (_, last) = locators.range(..=prefix.bits() | rest).next_back()?;
    locator(last).overlaps(prefix).then_some(last)
}

/// A name is what people type in commands and see in metrics.
fn name(path: impl FnOnce() -> String, name: &str, out: &mut Findings) {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > 63 || !name.bytes().all(good) {
        out.hinted(
            path(),
            format!("`{name}` is not a name"),
            "1 to 63 letters, digits, `_`, `.` and `-`",
        );
    }
}

/// A number must lie in the range that its type declares for the key; the
/// same declaration stands in the reference.
fn in_range(path: impl FnOnce() -> String, table: &str, key: &str, value: u64, out: &mut Findings) {
    if let Some((least, most)) = bounds(table, key)
        && !(least..=most).contains(&value)
    {
        let message = format!("{value} is out of range, which is {least} to {most}");
        out.problem(path(), message);
    }
}

/// Notes every value that occurred before, with the place of the first.
struct Once<K> {
    seen: HashMap<K, usize>,
    list: &'static str,
}

impl<K: Hash + Eq> Once<K> {
    fn new(list: &'static str) -> Self {
        Once {
            seen: HashMap::new(),
            list,
        }
    }

    /// The first place of a value that was there before.
    fn again(&mut self, value: K, index: usize) -> Option<At<'static>> {
        let first = *self.seen.entry(value).or_insert(index);
        (first != index).then_some(At::nth(self.list, first))
    }
}

/// Checks the names of a list and that none occurs twice.
fn names<'a>(list: &'static str, names: impl Iterator<Item = &'a str>, out: &mut Findings) {
    let mut once = Once::new(list);
    for (index, text) in names.enumerate() {
        let path = || At::nth(list, index).key("name");
        name(path, text, out);
        if let Some(first) = once.again(text, index) {
            out.problem(path(), format!("the name `{text}` is taken by {first}"));
        }
    }
}
