//! The tenants' side: vnets, bindings and mappings.

use std::collections::{HashMap, HashSet};

use super::dhcp::{addressed, answered};
use super::outsider::Holders;
use super::policy::policy;
use super::segment::alone;
use super::{
    At, Findings, GROWTH, Index, MAX_REVISION, MIN_MTU_4, Objects, Once, names, port::role,
    port::vlan_id,
};
use crate::config::{Config, Problem};
use crate::model::{Binding, Macs, Mapping, Role, Vnet};
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr};

/// Ranges in which no node can be (RFC 6890).
pub(super) const UNUSABLE: &[(Vaddr, u8, &str)] = &[
    (Vaddr(0x0000_0000), 8, "lies in 0.0.0.0/8, \"this network\""),
    (Vaddr(0x7f00_0000), 8, "is a loopback address"),
    (Vaddr(0xe000_0000), 4, "is a multicast address"),
    (
        Vaddr(0xf000_0000),
        4,
        "lies in 240.0.0.0/4, which is reserved",
    ),
];

/// Returns who has which address, for outsiders and routers.
pub(super) fn check<'a>(config: &'a Config, index: &Index<'_>, out: &mut Findings) -> Holders<'a> {
    vnets(config, index, out);
    let bound = bindings(config, index, out);
    mappings(config, index, &bound, out);
    let asked = config.outsider.len() + config.subnet.len() + config.router.len();
    if asked == 0 {
        return Holders::new();
    }
    let bound = bound.into_iter();
    let mut held: Holders<'_> = bound
        .map(|(key, nth)| (key, At::nth("binding", nth)))
        .collect();
    for (nth, one) in config.mapping.iter().enumerate() {
        let key = (one.vnet.as_str(), one.address);
        held.entry(key).or_insert(At::nth("mapping", nth));
    }
    held
}

fn vnets(config: &Config, index: &Index<'_>, out: &mut Findings) {
    names("vnet", config.vnet.iter().map(|v| v.name.as_str()), out);
    let mut vnis = Once::new("vnet");
    for (nth, one) in config.vnet.iter().enumerate() {
        let at = At::nth("vnet", nth);
        vnet(at, one, index, out);
        if let Some(first) = vnis.again(one.vni, nth) {
            let message = format!("network id {} is {first}'s already", one.vni);
            out.problem(at.key("vni"), message);
        }
    }
}

/// One vnet.
pub fn vnet(at: At<'_>, vnet: &Vnet, objects: &impl Objects, out: &mut Findings) {
    let site = objects.site();
    let most = site.layout.max_vni();
    if vnet.vni.0 > most {
        let message = format!("{} does not fit layout `{}`", vnet.vni, site.layout);
        out.hinted(at.key("vni"), message, format!("1 to {most:#x}"));
    }
    policy(at, vnet, out);
    answered(at, vnet, objects, out);
    let mut seen = HashSet::new();
    for (i, prefix) in vnet.prefixes.iter().enumerate() {
        let path = || at.key(&format!("prefixes[{i}]"));
        usable_prefix(path, *prefix, out);
        if !seen.insert(*prefix) {
            out.problem(path(), format!("{prefix} occurs twice"));
        }
    }
    if let Some(mtu) = vnet.mtu {
        let most = site.mtu.saturating_sub(GROWTH);
        if !(MIN_MTU_4..=most).contains(&mtu) {
            out.hinted(
                at.key("mtu"),
                format!("{mtu} is out of range, which is {MIN_MTU_4} to {most}"),
                format!(
                    "packets grow by {GROWTH} bytes on the substrate, whose MTU is {}",
                    site.mtu
                ),
            );
        }
    }
}

/// The bindings; returns who is bound where, for the mappings.
fn bindings<'a>(
    config: &'a Config,
    index: &Index<'_>,
    out: &mut Findings,
) -> HashMap<(&'a str, Prefix4), usize> {
    names(
        "binding",
        config.binding.iter().map(|b| b.name.as_str()),
        out,
    );
    let mut bound = HashMap::new();
    let mut wires: HashMap<(&str, Option<u16>), Vec<Seat>> = HashMap::new();
    for (nth, one) in config.binding.iter().enumerate() {
        let at = At::nth("binding", nth);
        binding(at, one, index, out);
        let mut claim = |path: String, prefix: Prefix4| {
            let first = *bound.entry((one.vnet.as_str(), prefix)).or_insert(nth);
            if first != nth {
                let what = Short(prefix);
                let first = At::nth("binding", first);
                let message = format!("{what} of vnet `{}` is {first}'s already", one.vnet);
                out.problem(path, message);
            }
        };
        if let Some(address) = one.address {
            claim(at.key("address"), alone(address));
        }
        for (i, prefix) in one.prefixes.iter().enumerate() {
            claim(at.key(&format!("prefixes[{i}]")), *prefix);
        }
        wires
            .entry((&one.port, one.vlan))
            .or_default()
            .push((nth, one.mac));
    }
    let mut wires: Vec<_> = wires.into_values().collect();
    wires.sort();
    wires.iter().for_each(|wire| told_apart(wire, out));
    bound
}

/// A binding's index and its hardware address.
type Seat = (usize, Option<Mac>);

/// Nodes on one wire are told apart by their hardware addresses.
fn told_apart(wire: &[Seat], out: &mut Findings) {
    if wire.len() < 2 {
        return;
    }
    let mut once = Once::new("binding");
    for &(nth, mac) in wire {
        let at = At::nth("binding", nth);
        match mac {
            None => out.hinted(
                at.key("mac"),
                "without `mac` a node is alone on its port and VLAN, and here are others",
                "give each its `mac`, or a `vlan` or port of its own",
            ),
            Some(mac) => {
                if let Some(first) = once.again(mac, nth) {
                    let message = format!("{mac} on this port and VLAN is {first}'s already");
                    out.problem(at.key("mac"), message);
                }
            }
        }
    }
}

/// One binding.
pub fn binding(at: At<'_>, binding: &Binding, objects: &impl Objects, out: &mut Findings) {
    match objects.port(&binding.port) {
        Some(port) if port.role == Role::Node => {}
        Some(port) => out.hinted(
            at.key("port"),
            format!("port `{}` is of role `{}`", port.name, role(port.role)),
            "nodes are behind ports of role `node`",
        ),
        None => {
            let nodes = objects.ports().filter(|port| port.role == Role::Node);
            let problem = Problem::new(
                at.key("port"),
                format!("no port is called `{}`", binding.port),
            );
            out.problems
                .push(problem.known(&binding.port, nodes.map(|port| port.name.as_str())));
        }
    }
    if let Some(vlan) = binding.vlan {
        vlan_id(at, vlan, out);
    }
    if let Some(mac) = binding.mac
        && !mac.is_unicast()
    {
        out.problem(
            at.key("mac"),
            format!("{mac} is not the address of one device"),
        );
    }
    let own = binding.address.map(alone);
    if let Some(own) = own {
        usable_prefix(|| at.key("address"), own, out);
    }
    let mut seen = HashSet::new();
    seen.extend(own);
    for (i, prefix) in binding.prefixes.iter().enumerate() {
        let path = || at.key(&format!("prefixes[{i}]"));
        usable_prefix(path, *prefix, out);
        if !seen.insert(*prefix) {
            out.problem(
                path(),
                format!("{} occurs twice in this binding", Short(*prefix)),
            );
        }
    }
    let Some(vnet) = vnet_of(at, &binding.vnet, objects, out) else {
        return;
    };
    let before = out.problems.len();
    if let Some(own) = own {
        inside(|| at.key("address"), vnet, own, out);
    }
    if out.problems.len() == before {
        addressed(at, binding, vnet, objects, out);
    }
    for (i, prefix) in binding.prefixes.iter().enumerate() {
        inside(|| at.key(&format!("prefixes[{i}]")), vnet, *prefix, out);
    }
    if let Some(port) = objects.port(&binding.port) {
        let mtu = vnet
            .mtu
            .unwrap_or(objects.site().mtu.saturating_sub(GROWTH));
        if port.role == Role::Node && port.mtu < mtu {
            out.warn(
                at.key("port"),
                format!(
                    "port `{}` has MTU {}, and nodes of vnet `{}` may send {mtu}",
                    port.name, port.mtu, vnet.name
                ),
                format!("set `mtu = {mtu}` at the port, or a smaller `mtu` at the vnet"),
            );
        }
    }
}

fn mappings(
    config: &Config,
    index: &Index<'_>,
    bound: &HashMap<(&str, Prefix4), usize>,
    out: &mut Findings,
) {
    let mut once = Once::new("mapping");
    let uplink = config.port.iter().any(|port| port.role == Role::Uplink);
    for (nth, one) in config.mapping.iter().enumerate() {
        let at = At::nth("mapping", nth);
        mapping(at, one, index, out);
        let key = (one.vnet.as_str(), one.address);
        let what = Short(one.address);
        if let Some(first) = once.again(key, nth) {
            let message = format!("{what} of vnet `{}` is mapped by {first} already", one.vnet);
            out.problem(at.key("address"), message);
        }
        if let Some(&binding) = bound.get(&key) {
            let first = At::nth("binding", binding);
            out.hinted(
                at.key("address"),
                format!("{what} of vnet `{}` is on this host: {first}", one.vnet),
                "a node is bound here or mapped to another host, not both",
            );
        }
    }
    if !uplink && !config.mapping.is_empty() {
        out.hinted(
            "mapping[0]".to_owned(),
            "nodes are mapped to other hosts, but no port leads there",
            "give one port `role = \"uplink\"`",
        );
    }
}

/// One mapping.
pub fn mapping(at: At<'_>, mapping: &Mapping, objects: &impl Objects, out: &mut Findings) {
    if objects.host(&mapping.host).is_none() {
        let problem = Problem::new(
            at.key("host"),
            format!("no host is called `{}`", mapping.host),
        );
        out.problems.push(if mapping.host == objects.site().name {
            problem.hint("this is the host itself; its own nodes are bindings")
        } else {
            problem.known(&mapping.host, objects.host_names())
        });
    }
    usable_prefix(|| at.key("address"), mapping.address, out);
    if mapping.expires == Some(0) {
        out.hinted(
            at.key("expires"),
            "it would have expired already",
            "leave the key out for a mapping that stays",
        );
    }
    if mapping.revision > MAX_REVISION {
        out.problem(
            at.key("revision"),
            format!("{} is more than {MAX_REVISION}", mapping.revision),
        );
    }
    if let Some(vnet) = vnet_of(at, &mapping.vnet, objects, out) {
        inside(|| at.key("address"), vnet, mapping.address, out);
        if let Some(mac) = mapping.mac {
            given_mac(at, mac, vnet, out);
        }
    }
}

/// The MAC that a mapping gives to its node.
pub fn given_mac(at: At<'_>, mac: Mac, vnet: &Vnet, out: &mut Findings) {
    if !mac.is_unicast() {
        let message = format!("{mac} is not the address of one device");
        out.problem(at.key("mac"), message);
    }
    if vnet.macs == Macs::Computed {
        let message = format!("vnet `{}` has computed MACs", vnet.name);
        let hint = "leave it out, or set `macs = \"given\"` at the vnet";
        out.hinted(at.key("mac"), message, hint);
    }
}

pub(super) fn vnet_of<'a>(
    at: At<'_>,
    name: &str,
    objects: &'a impl Objects,
    out: &mut Findings,
) -> Option<&'a Vnet> {
    let vnet = objects.vnet(name);
    if vnet.is_none() {
        let problem = Problem::new(at.key("vnet"), format!("no vnet is called `{name}`"));
        out.problems.push(problem.known(name, objects.vnet_names()));
    }
    vnet
}

/// An address or prefix must lie in one of the vnet's ranges, and an address
/// must be neither the first nor the last of the narrowest.
pub(super) fn inside(path: impl Fn() -> String, vnet: &Vnet, what: Prefix4, out: &mut Findings) {
    if vnet.prefixes.is_empty() {
        return;
    }
    let around = |range: &&Prefix4| range.len <= what.len && range.contains(what.address);
    let Some(range) = vnet
        .prefixes
        .iter()
        .filter(around)
        .max_by_key(|range| range.len)
    else {
        let ranges: Vec<_> = vnet.prefixes.iter().map(Prefix4::to_string).collect();
        let message = format!("{} lies in no range of vnet `{}`", Short(what), vnet.name);
        out.hinted(
            path(),
            message,
            format!("its ranges are {}", ranges.join(", ")),
        );
        return;
    };
    if what.len < 32 {
        return;
    }
    if let Some(kind) = broadcast_or_network(what.address, *range) {
        out.problem(
            path(),
            format!("{} is the {kind} address of {range}", what.address),
        );
    }
}

/// The first and the last address of a link are nobody's.
pub(super) fn broadcast_or_network(address: Vaddr, link: Prefix4) -> Option<&'static str> {
    let host = address.0 & !Prefix4::mask(link.len);
    match host {
        _ if link.len > 30 => None,
        0 => Some("network"),
        _ if host == !Prefix4::mask(link.len) => Some("broadcast"),
        _ => None,
    }
}

/// No node can be at an address, or in a prefix, of the unusable ranges.
pub(super) fn usable_prefix(path: impl Fn() -> String, what: Prefix4, out: &mut Findings) {
    if let Some(why) = unusable(what) {
        out.problem(path(), format!("{} {why}", Short(what)));
    }
}

/// Why no host can be there.
pub(super) fn unusable(what: Prefix4) -> Option<&'static str> {
    if what.address.0 == u32::MAX {
        return Some("is the broadcast address");
    }
    // 0.0.0.0/0 and the like are wider, and meant.
    let within = |&&(address, len, _): &&(Vaddr, u8, _)| {
        what.len >= len && Prefix4 { address, len }.contains(what.address)
    };
    UNUSABLE.iter().find(within).map(|(_, _, why)| *why)
}

/// A prefix of one address is written as the address.
pub(super) struct Short(pub(super) Prefix4);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.len {
            32 => self.0.address.fmt(f),
            _ => self.0.fmt(f),
        }
    }
}
