//! Outsiders: IPv6 systems that are no nodes and have an address in a vnet.

use std::collections::HashMap;

use super::eam::{Short6, suffix_fault, unusable6};
use super::tenant::{Short, inside, usable_prefix, vnet_of};
use super::{At, Findings, Index, Objects, Once, names};
use crate::config::{Config, Problem};
use crate::model::{Outsider, Role};
use crate::wire::address::Prefix4;

/// Who has an address or prefix of a vnet: the list and the index in it.
pub(super) type Holders<'a> = HashMap<(&'a str, Prefix4), At<'static>>;

pub(super) fn check(config: &Config, index: &Index<'_>, held: &Holders<'_>, out: &mut Findings) {
    let list = config.outsider.iter();
    names("outsider", list.map(|o| o.name.as_str()), out);
    let mut addresses = Once::new("outsider");
    let mut systems = Once::new("outsider");
    for (nth, one) in config.outsider.iter().enumerate() {
        let at = At::nth("outsider", nth);
        outsider(at, one, index, out);
        let key = (one.vnet.as_str(), one.address);
        let first = addresses.again(key, nth).or(held.get(&key).copied());
        if let Some(first) = first {
            let what = Short(one.address);
            let message = format!("{what} of vnet `{}` is {first}'s already", one.vnet);
            out.problem(at.key("address"), message);
        }
        if let Some(first) = systems.again((one.vnet.as_str(), one.ipv6), nth) {
            let what = Short6(one.ipv6);
            let message = format!("{what} is {first} of vnet `{}` already", one.vnet);
            out.problem(at.key("ipv6"), message);
        }
    }
    let uplink = config.port.iter().any(|port| port.role == Role::Uplink);
    if !uplink && !config.outsider.is_empty() {
        out.hinted(
            "outsider[0]".to_owned(),
            "outsiders are reached through the substrate, but no port leads there",
            "give one port `role = \"uplink\"`",
        );
    }
}

/// One outsider.
pub fn outsider(at: At<'_>, outsider: &Outsider, objects: &impl Objects, out: &mut Findings) {
    let site = objects.site();
    if let Some(vnet) = vnet_of(at, &outsider.vnet, objects, out) {
        inside(|| at.key("address"), vnet, outsider.address, out);
    }
    usable_prefix(|| at.key("address"), outsider.address, out);
    let path = || at.key("ipv6");
    let what = Short6(outsider.ipv6);
    if let Some(why) = unusable6(&outsider.ipv6) {
        out.problem(path(), format!("{what} {why}"));
    } else if let Some(fault) = suffix_fault(outsider.address, &outsider.ipv6) {
        let mut problem = Problem::new(path(), fault.message);
        problem.hint = fault.hint;
        out.problems.push(problem);
    } else if let Some(own) = site.locator.filter(|own| own.overlaps(&outsider.ipv6)) {
        let message = format!("{what} overlaps this host's own locator {own}");
        out.hinted(path(), message, "nodes of this host are bindings");
    } else if let Some(host) = objects.host_over(&outsider.ipv6) {
        let message = format!("{what} overlaps {} of host `{}`", host.locator, host.name);
        out.hinted(path(), message, "nodes of other hosts are mappings");
    }
    if site.locator.is_none() {
        out.hinted(
            at.key("vnet"),
            "this appliance has no locator, so it has no vnets",
            "set `locator` in the configuration file",
        );
    }
    nodes(at, outsider, objects, out);
}

/// Those it may talk with are nodes of this host, and of its vnet.
fn nodes(at: At<'_>, outsider: &Outsider, objects: &impl Objects, out: &mut Findings) {
    let mut once = Once::new("nodes");
    for (i, name) in outsider.nodes.iter().flatten().enumerate() {
        let path = || at.key(&format!("nodes[{i}]"));
        match objects.binding(name) {
            Some(node) if node.vnet == outsider.vnet => {}
            Some(node) => {
                let message = format!("node `{name}` is of vnet `{}`", node.vnet);
                let hint = format!("nodes of vnet `{}` only", outsider.vnet);
                out.hinted(path(), message, hint);
            }
            None => {
                let problem = Problem::new(path(), format!("no binding is called `{name}`"));
                out.problems
                    .push(problem.known(name, objects.binding_names()));
            }
        }
        if once.again(name, i).is_some() {
            out.problem(path(), format!("`{name}` occurs twice"));
        }
    }
}
