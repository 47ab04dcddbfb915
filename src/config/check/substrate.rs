//! The substrate's side: other hosts, routes and neighbours.

use std::collections::{HashMap, HashSet};
use std::net::Ipv6Addr;

use super::{At, Findings, Index, Objects, Once, names, port::role};
use crate::config::{Config, Problem};
use crate::model::{Host, Neighbor, Port, Role, Route};
use crate::wire::Locator;

/// Next hops that share the flows of a route.
const MAX_HOPS: usize = 16;

pub(super) fn check(config: &Config, index: &Index<'_>, out: &mut Findings) {
    match &config.locator {
        Some(own) => locator("locator", own, index, out),
        None => locator_missing(config, out),
    }
    names("host", config.host.iter().map(|h| h.name.as_str()), out);
    let mut locators = Once::new("host");
    for (nth, one) in config.host.iter().enumerate() {
        let at = At::nth("host", nth);
        host(at, one, index, out);
        // All have the layout's length, or a problem of their own, so that
        // to overlap is to be equal.
        if let Some(first) = locators.again(one.locator.bits(), nth) {
            let message = format!("locator {} is {first}'s already", one.locator);
            out.problem(at.key("locator"), message);
        }
    }
    routes(config, index, out);
    let mut neighbors = Once::new("neighbor");
    for (nth, one) in config.neighbor.iter().enumerate() {
        let at = At::nth("neighbor", nth);
        neighbor(at, one, index, out);
        if let Some(first) = neighbors.again((&one.port, one.address), nth) {
            let message = format!("{} on `{}` is {first} already", one.address, one.port);
            out.problem(at.key("address"), message);
        }
    }
}

/// A plain relay needs no locator; whatever is managed does.
fn locator_missing(config: &Config, out: &mut Findings) {
    let port = config.port.iter().position(|port| port.role.has_nodes());
    let first = |list: &'static str, len: usize| (len > 0).then(|| At::nth(list, 0));
    let needs = port
        .map(|nth| At::nth("port", nth))
        .or(first("vnet", config.vnet.len()))
        .or(first("binding", config.binding.len()))
        .or(first("host", config.host.len()))
        .or(first("outsider", config.outsider.len()))
        .or(first("subnet", config.subnet.len()))
        .or(first("router", config.router.len()))
        .or(first("vroute", config.vroute.len()))
        .or(first("member", config.member.len()));
    let hint = "a /72 in layout `p72` that the substrate routes to this host; a /64 in the others";
    match (needs, &config.relay) {
        (Some(at), _) => {
            let what = match at.list {
                "port" => format!("the `role` of {at}"),
                _ => at.to_string(),
            };
            let message = format!("`locator` is missing, and {what} needs it");
            out.hinted("locator".to_owned(), message, hint);
        }
        (None, None) => out.hinted("locator".to_owned(), "`locator` is missing", hint),
        (None, Some(_)) => {}
    }
}

/// A locator, our own or another's.
fn locator(path: &str, locator: &Locator, objects: &impl Objects, out: &mut Findings) {
    let layout = objects.site().layout;
    if locator.len() != layout.locator_len() {
        out.hinted(
            path.to_owned(),
            format!("{locator} does not fit layout `{layout}`"),
            format!("its locators are of length {}", layout.locator_len()),
        );
    }
    let address = Ipv6Addr::from(locator.bits());
    if address.is_multicast() || address.is_unicast_link_local() || locator.bits() >> 64 == 0 {
        let message = format!("{locator} cannot be routed to a host");
        out.hinted(
            path.to_owned(),
            message,
            "a prefix of global or unique local addresses",
        );
    }
}

/// One host.
pub fn host(at: At<'_>, host: &Host, objects: &impl Objects, out: &mut Findings) {
    let site = objects.site();
    locator(&at.key("locator"), &host.locator, objects, out);
    if host.name == site.name {
        let message = format!("`{}` is this host itself", host.name);
        out.hinted(at.key("name"), message, "list the other hosts only");
    }
    if let Some(own) = site.locator.filter(|own| own.overlaps(&host.locator)) {
        let message = format!("{} overlaps this host's own {own}", host.locator);
        out.hinted(at.key("locator"), message, "list the other hosts only");
    }
    for port in objects.ports() {
        let inside = |own: &&crate::model::Interface6| host.locator.contains(&own.address.octets());
        if let Some(own) = port.addresses.iter().find(inside) {
            out.problem(
                at.key("locator"),
                format!(
                    "{} holds our own address {} on port `{}`",
                    host.locator, own.address, port.name
                ),
            );
        }
    }
}

fn routes(config: &Config, index: &Index<'_>, out: &mut Findings) {
    let mut once = Once::new("route");
    for (nth, one) in config.route.iter().enumerate() {
        let at = At::nth("route", nth);
        route(at, one, index, out);
        if let Some(first) = once.again(one.prefix, nth) {
            out.hinted(
                at.key("prefix"),
                format!("{} is routed by {first} already", one.prefix),
                "put all next hops into the `via` of one route",
            );
        }
    }
    // Prefix lengths are few, so one look-up for each finds any route.
    let mut by_len: HashMap<u8, HashSet<u128>> = HashMap::new();
    for one in &config.route {
        by_len
            .entry(one.prefix.len())
            .or_default()
            .insert(one.prefix.bits());
    }
    for (nth, one) in config.host.iter().enumerate() {
        let routed = by_len.iter().any(|(&len, prefixes)| {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            len <= one.locator.len() && prefixes.contains(&(one.locator.bits() & mask))
        });
        if !routed {
            out.warn(
                At::nth("host", nth).key("locator"),
                format!("no route leads to {} of host `{}`", one.locator, one.name),
                format!(
                    "add a [[route]] with `prefix = \"{}\"` or a wider one",
                    one.locator
                ),
            );
        }
    }
}

/// One route.
pub fn route(at: At<'_>, route: &Route, objects: &impl Objects, out: &mut Findings) {
    let site = objects.site();
    if !(1..=MAX_HOPS).contains(&route.via.len()) {
        out.hinted(
            at.key("via"),
            format!("{} next hops; a route has 1 to {MAX_HOPS}", route.via.len()),
            "such as `via = [{ address = \"fe80::1\", port = \"up\" }]`",
        );
    }
    let inside = |own: &Locator| {
        own.contains(&route.prefix.bits().to_be_bytes()) && route.prefix.len() >= own.len()
    };
    if let Some(own) = site.locator.filter(inside) {
        let message = format!("{} lies in this host's own locator {own}", route.prefix);
        out.problem(at.key("prefix"), message);
    }
    let mut once = Once::new("via");
    for (i, hop) in route.via.iter().enumerate() {
        let key = |key: &str| at.key(&format!("via[{i}].{key}"));
        if let Some(port) = uplink(key("port"), &hop.port, objects, out) {
            on_link(key("address"), hop.address, port, objects, out);
        }
        if once.again(hop, i).is_some() {
            out.problem(
                key("address"),
                format!(
                    "{} on `{}` occurs twice in this route",
                    hop.address, hop.port
                ),
            );
        }
    }
}

/// One neighbour.
pub fn neighbor(at: At<'_>, neighbor: &Neighbor, objects: &impl Objects, out: &mut Findings) {
    if let Some(port) = uplink(at.key("port"), &neighbor.port, objects, out) {
        on_link(at.key("address"), neighbor.address, port, objects, out);
    }
    if !neighbor.mac.is_unicast() {
        out.problem(
            at.key("mac"),
            format!("{} is not the address of one device", neighbor.mac),
        );
    }
}

/// The uplink of a name.
fn uplink<'a>(
    path: String,
    name: &str,
    objects: &'a impl Objects,
    out: &mut Findings,
) -> Option<&'a Port> {
    match objects.port(name) {
        Some(port) if port.role == Role::Uplink => return Some(port),
        Some(port) => {
            let message = format!("port `{name}` is of role `{}`", role(port.role));
            out.hinted(
                path,
                message,
                "routes and neighbours are on ports of role `uplink`",
            );
        }
        None => {
            let uplinks = objects.ports().filter(|port| port.role == Role::Uplink);
            let problem = Problem::new(path, format!("no port is called `{name}`"));
            out.problems
                .push(problem.known(name, uplinks.map(|port| port.name.as_str())));
        }
    }
    None
}

/// A neighbour is reached without a router: it is link-local or in the prefix
/// of one of the uplink's addresses, and it is somebody else.
fn on_link(
    path: String,
    address: Ipv6Addr,
    port: &Port,
    objects: &impl Objects,
    out: &mut Findings,
) {
    if address.is_multicast() || address.is_unspecified() || address.is_loopback() {
        out.problem(path, format!("{address} is not the address of a neighbour"));
        return;
    }
    let own = |port: &Port| port.addresses.iter().any(|own| own.address == address);
    if own(port) || (!address.is_unicast_link_local() && objects.ports().any(own)) {
        out.problem(path, format!("{address} is this host's own address"));
        return;
    }
    let same_link = port.addresses.iter().any(|own| {
        let mask = u128::MAX.checked_shl(128 - u32::from(own.len)).unwrap_or(0);
        (u128::from(own.address) ^ u128::from(address)) & mask == 0
    });
    if !same_link && !address.is_unicast_link_local() {
        let links: Vec<_> = port.addresses.iter().map(|own| own.to_string()).collect();
        let hint = match links.is_empty() {
            true => format!(
                "port `{}` has no `addresses`; use the neighbour's link-local address",
                port.name
            ),
            false => format!("port `{}` has {}", port.name, links.join(", ")),
        };
        out.hinted(
            path,
            format!("{address} is not on the link of port `{}`", port.name),
            hint,
        );
    }
}
