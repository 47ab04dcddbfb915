//! Subnets of vnets, the virtual routers between them, and their routes.

use std::collections::HashMap;

use super::dhcp::{dhcp, dhcp_server};
use super::outsider::Holders;
use super::snmp::snmp;
use super::tenant::{Short, broadcast_or_network, inside, unusable, usable_prefix, vnet_of};
use super::{At, Findings, Index, Objects, Once, names};
use crate::config::{Config, Problem};
use crate::model::{Router, Subnet, Vnet, Vroute};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// What a subnet can be as long as: one of 32 bits has no neighbours.
const LENGTHS: std::ops::RangeInclusive<u8> = 1..=31;
/// Subnets that a router joins at most: what it knows of each is searched in
/// order.
const MAX_INTERFACES: usize = 64;
/// Subnets named in a hint.
const SHOWN: usize = 5;

pub const EVERYTHING: Prefix4 = Prefix4 {
    address: Vaddr(0),
    len: 0,
};

pub(super) fn check(config: &Config, index: &Index<'_>, held: &Holders<'_>, out: &mut Findings) {
    let mut others: HashMap<_, _> = held.clone();
    for (nth, one) in config.outsider.iter().enumerate() {
        let key = (one.vnet.as_str(), one.address);
        others.entry(key).or_insert(At::nth("outsider", nth));
    }
    let vacant = |path: String, vnet: &str, address: Vaddr, out: &mut Findings| {
        if let Some(first) = others.get(&(vnet, alone(address))) {
            let message = format!("{address} of vnet `{vnet}` is {first}'s already");
            out.problem(path, message);
        }
    };
    let list = config.subnet.iter();
    names("subnet", list.map(|subnet| subnet.name.as_str()), out);
    for (nth, one) in config.subnet.iter().enumerate() {
        let at = At::nth("subnet", nth);
        subnet(at, one, index, out);
        if let Some(gateway) = one.gateway {
            vacant(at.key("gateway"), &one.vnet, gateway, out);
        }
        if let Some(server) = dhcp_server(one) {
            vacant(at.key("dhcp.server"), &one.vnet, server, out);
        }
    }
    let list = config.router.iter();
    names("router", list.map(|router| router.name.as_str()), out);
    let mut addresses = Once::new("router");
    for (nth, one) in config.router.iter().enumerate() {
        let at = At::nth("router", nth);
        router(at, one, index, out);
        for (i, interface) in one.interfaces.iter().enumerate() {
            let address = interface.address;
            let path = || at.key(&format!("interfaces[{i}].address"));
            vacant(path(), &one.vnet, address, out);
            if let Some(first) = addresses.again((one.vnet.as_str(), address), nth) {
                let message = format!("{address} of vnet `{}` is {first}'s already", one.vnet);
                out.problem(path(), message);
            }
        }
    }
    let mut routes = Once::new("vroute");
    for (nth, one) in config.vroute.iter().enumerate() {
        let at = At::nth("vroute", nth);
        vroute(at, one, index, out);
        if let Some(first) = routes.again((one.router.as_str(), one.prefix), nth) {
            let what = Short(one.prefix);
            let message = format!("{what} of router `{}` is {first} already", one.router);
            out.problem(at.key("prefix"), message);
        }
    }
}

/// One subnet.
pub fn subnet(at: At<'_>, subnet: &Subnet, objects: &impl Objects, out: &mut Findings) {
    let prefix = subnet.prefix;
    let path = || at.key("prefix");
    if !LENGTHS.contains(&prefix.len) {
        out.hinted(
            path(),
            format!("{prefix} is no subnet"),
            format!("of length {} to {}", LENGTHS.start(), LENGTHS.end()),
        );
    }
    usable_prefix(path, prefix, out);
    if let Some(vnet) = vnet_of(at, &subnet.vnet, objects, out) {
        inside(path, vnet, prefix, out);
    }
    let mut over = objects.subnets_over(&subnet.vnet, prefix);
    if let Some(other) = over.find(|other| other.name != subnet.name) {
        let (other, of) = (&other.name, other.prefix);
        out.problem(
            path(),
            format!("{prefix} overlaps {of} of subnet `{other}`"),
        );
    }
    if let Some(gateway) = subnet.gateway {
        on_link(|| at.key("gateway"), gateway, subnet, out);
    }
    dhcp(at, subnet, objects, out);
}

/// One virtual router.
pub fn router(at: At<'_>, router: &Router, objects: &impl Objects, out: &mut Findings) {
    let vnet = vnet_of(at, &router.vnet, objects, out);
    if objects.vnet(&router.name).is_some() {
        let message = format!(
            "the router of vnet `{0}` itself is called `{0}`",
            router.name
        );
        out.hinted(at.key("name"), message, "choose another name");
    }
    if router.interfaces.is_empty() || router.interfaces.len() > MAX_INTERFACES {
        let message = format!("{} interfaces", router.interfaces.len());
        let hint = format!("a router joins 1 to {MAX_INTERFACES} subnets");
        out.hinted(at.key("interfaces"), message, hint);
    }
    if let Some(wanted) = &router.snmp {
        snmp(at, wanted, out);
    }
    let mut once = Once::new("interfaces");
    for (i, interface) in router.interfaces.iter().enumerate() {
        let path = |key: &str| at.key(&format!("interfaces[{i}].{key}"));
        let name = &interface.subnet;
        if once.again(name, i).is_some() {
            let message = format!("this router is in subnet `{name}` already");
            out.problem(path("subnet"), message);
        }
        match objects.subnet(name) {
            Some(subnet) if subnet.vnet == router.vnet => {
                on_link(|| path("address"), interface.address, subnet, out);
            }
            Some(_) if vnet.is_none() => {}
            Some(subnet) => {
                let message = format!("subnet `{name}` is of vnet `{}`", subnet.vnet);
                let hint = format!("subnets of vnet `{}` only", router.vnet);
                out.hinted(path("subnet"), message, hint);
            }
            None => {
                let problem = Problem::new(path("subnet"), format!("no subnet is called `{name}`"));
                out.problems
                    .push(problem.known(name, objects.subnet_names()));
            }
        }
    }
}

/// One route of a virtual router.
pub fn vroute(at: At<'_>, vroute: &Vroute, objects: &impl Objects, out: &mut Findings) {
    let (name, prefix) = (&vroute.router, vroute.prefix);
    usable_prefix(|| at.key("prefix"), prefix, out);
    match (vroute.via, vroute.action) {
        (Some(_), Some(action)) => out.hinted(
            at.key("action"),
            format!("packets cannot be passed on and met with `{action}`"),
            "leave `via` or `action` out",
        ),
        (None, None) => out.hinted(
            at.key("via"),
            "the route says neither where packets go nor what becomes of them",
            "give `via` or `action`",
        ),
        _ => {}
    }
    let Some(vnet) = vnet_of_router(name, objects) else {
        let problem = Problem::new(at.key("router"), format!("no router is called `{name}`"));
        let known = objects.router_names().chain(objects.vnet_names());
        out.problems.push(problem.known(name, known));
        return;
    };
    let joined = |prefix: Prefix4| {
        let over = objects.subnets_over(vnet, prefix);
        over.filter(|subnet| address_in(name, subnet, objects).is_some())
    };
    if objects.router(name).is_none() && joined(EVERYTHING).next().is_none() {
        out.hinted(
            at.key("router"),
            format!("vnet `{name}` has no router of its own"),
            "give one of its subnets a `gateway` that no other router has",
        );
        return;
    }
    if let Some(same) = joined(prefix).find(|subnet| subnet.prefix == prefix) {
        let message = format!("router `{name}` is in subnet `{}` itself", same.name);
        out.problem(at.key("prefix"), message);
    }
    let Some(via) = vroute.via else {
        return;
    };
    let path = || at.key("via");
    match joined(alone(via)).next() {
        None => out.hinted(
            path(),
            format!("{via} is in no subnet of router `{name}`"),
            "the next hop is a router or node that it has for a neighbour",
        ),
        Some(subnet) if address_in(name, subnet, objects) == Some(via) => {
            out.problem(path(), format!("{via} is router `{name}` itself"));
        }
        Some(subnet) => on_link(path, via, subnet, out),
    }
}

/// A node of a vnet that has subnets is in one of them.
pub fn placed(
    path: impl Fn() -> String,
    vnet: &Vnet,
    node: Vaddr,
    objects: &impl Objects,
    out: &mut Findings,
) {
    match objects.subnets_over(&vnet.name, alone(node)).next() {
        Some(subnet) => {
            if let Some(kind) = broadcast_or_network(node, subnet.prefix) {
                let (name, prefix) = (&subnet.name, subnet.prefix);
                let message = format!("{node} is the {kind} address of subnet `{name}`, {prefix}");
                out.problem(path(), message);
            }
        }
        None => {
            let all = objects.subnets_over(&vnet.name, EVERYTHING);
            let all: Vec<_> = all.take(SHOWN + 1).map(|s| s.prefix.to_string()).collect();
            let more = if all.len() > SHOWN { " and others" } else { "" };
            let shown = all
                .iter()
                .take(SHOWN)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            if !all.is_empty() {
                let message = format!("{node} lies in no subnet of vnet `{}`", vnet.name);
                out.hinted(path(), message, format!("its subnets are {shown}{more}"));
            }
        }
    }
}

/// The vnet of a router, or the vnet whose own router it is.
pub fn vnet_of_router<'a>(name: &str, objects: &'a impl Objects) -> Option<&'a str> {
    let explicit = objects.router(name).map(|router| router.vnet.as_str());
    explicit.or_else(|| objects.vnet(name).map(|vnet| vnet.name.as_str()))
}

/// The address that a router has in a subnet, if it is there. A vnet's own
/// router is where the gateway is that no other has.
pub fn address_in(router: &str, subnet: &Subnet, objects: &impl Objects) -> Option<Vaddr> {
    match objects.router(router) {
        Some(router) => {
            let mut all = router.interfaces.iter();
            let here = all.find(|interface| interface.subnet == subnet.name)?;
            Some(here.address)
        }
        None if subnet.vnet == router => {
            let own = |gateway: &Vaddr| objects.router_at(&subnet.vnet, *gateway).is_none();
            subnet.gateway.filter(own)
        }
        None => None,
    }
}

/// An address by itself.
pub fn alone(address: Vaddr) -> Prefix4 {
    Prefix4 { address, len: 32 }
}

pub(super) fn on_link(
    path: impl Fn() -> String,
    address: Vaddr,
    subnet: &Subnet,
    out: &mut Findings,
) {
    let (name, prefix) = (&subnet.name, subnet.prefix);
    if !prefix.contains(address) {
        out.problem(
            path(),
            format!("{address} lies outside subnet `{name}`, {prefix}"),
        );
    } else if let Some(kind) = broadcast_or_network(address, prefix) {
        let message = format!("{address} is the {kind} address of subnet `{name}`, {prefix}");
        out.problem(path(), message);
    } else if let Some(why) = unusable(alone(address)) {
        // Said of the subnet already, unless it is wider than what is unusable.
        if unusable(prefix).is_none() {
            out.problem(path(), format!("{address} {why}"));
        }
    }
}
