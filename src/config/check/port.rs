//! Ports: their devices, roles and queues.

use std::collections::{HashMap, HashSet};

use super::{At, Findings, Index, MIN_MTU_6, Objects, Once, device, in_range, names};
use crate::config::load::bounds;
use crate::config::{Config, PoolSize, Problem, af_packet, pools};
use crate::model::{Port, Role};
use crate::wire::locator::Saddr;

/// The ports of a file, and what they share.
pub(super) fn check(config: &Config, index: &Index<'_>, out: &mut Findings) {
    names("port", config.port.iter().map(|p| p.name.as_str()), out);
    let mut devices = Once::new("port");
    let mut interfaces = Once::new("port");
    let mut addresses = Once::new("port");
    let mut takers: HashMap<&str, &str> = HashMap::new();
    for (nth, one) in config.port.iter().enumerate() {
        let at = At::nth("port", nth);
        port(at, one, index, out);
        let id = device::identity(&one.device);
        if let Some(first) = devices.again(id.clone(), nth) {
            let problem = Problem::new(
                at.key("device"),
                format!("device `{id}` is {first}'s already"),
            );
            out.problems.push(match id.contains(':') {
                true => problem,
                false => problem.hint("number virtual devices of one kind: net_tap0, net_tap1"),
            });
        } else if let Some(iface) = device::argument(&one.device, "iface")
            && let Some(first) = interfaces.again(iface, nth)
        {
            out.problem(
                at.key("device"),
                format!("interface `{iface}` is {first}'s already"),
            );
        }
        for (i, own) in one.addresses.iter().enumerate() {
            // Link-local addresses mean something else on each link.
            if !own.address.is_unicast_link_local()
                && let Some(first) = addresses.again(own.address, nth)
            {
                out.problem(
                    at.key(&format!("addresses[{i}]")),
                    format!("address {} is {first}'s already", own.address),
                );
            }
        }
        if one.role == Role::Uplink
            && let Some(taker) = one.exception.as_deref()
            && let Some(other) = takers.insert(taker, &one.name)
        {
            out.problem(
                at.key("exception"),
                format!("port `{taker}` takes the traffic of `{other}` already"),
            );
        }
    }
    for (nth, one) in config.port.iter().enumerate() {
        if one.role == Role::Exception && !takers.contains_key(one.name.as_str()) {
            out.hinted(
                At::nth("port", nth).key("role"),
                format!("no uplink names `{}`", one.name),
                format!("set `exception = \"{}\"` in an uplink", one.name),
            );
        }
    }
    idle_workers(config, out);
    buffers(config, out);
}

/// A worker without a queue is a core wasted.
fn idle_workers(config: &Config, out: &mut Findings) {
    let busy: HashSet<u16> = config.polls().iter().map(|poll| poll.worker).collect();
    for worker in 0..config.workers() {
        if !config.port.is_empty() && !busy.contains(&worker) {
            out.warn(
                format!("runtime.workers[{worker}]"),
                format!("worker {worker} has no queue to poll"),
                "give a port more `queues`, or name this `worker` in a node port",
            );
        }
    }
}

/// One port.
pub fn port(at: At<'_>, port: &Port, objects: &impl Objects, out: &mut Findings) {
    let site = objects.site();
    if let Err(problem) = device::check(&port.device) {
        out.hinted(
            at.key("device"),
            problem,
            "a PCI address such as `0000:17:00.0`, or a virtual device such as `net_af_packet0,iface=eth0`",
        );
    }
    if device::argument(&port.device, "legacy-ol-flags").is_some_and(|value| value != "0") {
        out.hinted(
            at.key("device"),
            "with `legacy-ol-flags` nobody learns which checksums a guest left unfinished",
            "leave the argument out",
        );
    }
    if let Err(unfit) = af_packet::check(port) {
        out.hinted(at.key("device"), unfit.message, unfit.hint);
    }
    if let Some(queues) = port.queues
        && !(1..=site.workers).contains(&queues)
    {
        out.hinted(
            at.key("queues"),
            format!("{queues} queues and {} workers", site.workers),
            "1 to as many as there are workers; a worker gains nothing by a second queue",
        );
    }
    let queues = port.queues.unwrap_or(match port.role {
        Role::Uplink | Role::Relay4 | Role::Relay6 => site.workers,
        Role::Node | Role::Exception => 1,
    });
    vhost_queues(at, port, queues, out);
    if port.rss_key.is_some() && queues == 1 {
        out.hinted(
            at.key("rss_key"),
            "with one receive queue there is nothing to spread",
            "give the port more `queues`, or leave the key out",
        );
    }
    let descriptors = u64::from(port.descriptors);
    in_range(
        || at.key("descriptors"),
        "Port",
        "descriptors",
        descriptors,
        out,
    );
    in_range(|| at.key("mtu"), "Port", "mtu", port.mtu.into(), out);
    if let Some(mac) = port.mac
        && !mac.is_unicast()
    {
        out.problem(
            at.key("mac"),
            format!("{mac} is not the address of one device"),
        );
    }
    match port.role {
        Role::Uplink => uplink(at, port, objects, out),
        Role::Relay4 | Role::Relay6 => relay(at, port, out),
        Role::Node | Role::Exception => {
            for_uplinks(at, port, out);
            one_worker(at, port, site.workers, out);
        }
    }
}

/// A guest is told how many queues the device has and uses them all; what it
/// sends by one that no worker polls would be lost without a word.
fn vhost_queues(at: At<'_>, port: &Port, polled: u16, out: &mut Findings) {
    let driver = port
        .device
        .trim_start_matches("eth_")
        .trim_start_matches("net_");
    if !driver.starts_with("vhost") {
        return;
    }
    let offered = device::argument(&port.device, "queues").and_then(|text| text.parse().ok());
    if let Some(offered) = offered.filter(|offered: &u16| *offered > polled) {
        out.hinted(
            at.key("queues"),
            format!("the device offers {offered} queues, and {polled} would be polled"),
            format!(
                "set `queues = {offered}`, which takes as many workers, or `queues={polled}` in the device"
            ),
        );
    }
}

fn uplink(at: At<'_>, port: &Port, objects: &impl Objects, out: &mut Findings) {
    let site = objects.site();
    let possible = bounds("", "mtu").is_none_or(|(_, most)| u64::from(site.mtu) <= most);
    if port.mtu < site.mtu && possible {
        out.hinted(
            at.key("mtu"),
            format!(
                "an uplink of MTU {} cannot carry the substrate's {}",
                port.mtu, site.mtu
            ),
            format!(
                "set `mtu = {}` here, or a smaller `mtu` at the top",
                site.mtu
            ),
        );
    }
    all_workers(at, port, out);
    if let Some(vlan) = port.vlan {
        vlan_id(at, vlan, out);
    }
    let mut seen = HashSet::new();
    for (i, own) in port.addresses.iter().enumerate() {
        let path = || at.key(&format!("addresses[{i}]"));
        if !seen.insert(own.address) {
            out.problem(path(), format!("{} occurs twice on this port", own.address));
        }
        let bytes: Saddr = own.address.octets();
        if own.address.is_loopback() {
            out.problem(path(), format!("{} is a loopback address", own.address));
        } else if let Some(locator) = site.locator.filter(|own| own.contains(&bytes)) {
            out.hinted(
                path(),
                format!("{} lies in this host's locator {locator}", own.address),
                "an uplink has an address of its link; the locator is routed to it",
            );
        }
    }
    if let Some(name) = &port.exception {
        exception(at, name, objects, out);
    }
}

fn exception(at: At<'_>, name: &str, objects: &impl Objects, out: &mut Findings) {
    let at = at.key("exception");
    let takers = objects.ports().filter(|port| port.role == Role::Exception);
    let takers = takers.map(|port| port.name.as_str());
    let message = match objects.port(name) {
        Some(taker) if taker.role == Role::Exception => return,
        Some(taker) => format!(
            "port `{name}` is of role `{}`, not `exception`",
            role(taker.role)
        ),
        None => format!("no port of role `exception` is called `{name}`"),
    };
    out.problems
        .push(Problem::new(at, message).known(name, takers));
}

/// Every worker polls a queue of it.
fn all_workers(at: At<'_>, port: &Port, out: &mut Findings) {
    if port.worker.is_some() {
        out.hinted(
            at.key("worker"),
            "only a node or exception port has one worker",
            format!(
                "queue q of a port of role `{}` is polled by worker q; see `queues`",
                role(port.role)
            ),
        );
    }
}

/// The relay's ports: their addresses are the relay's.
fn relay(at: At<'_>, port: &Port, out: &mut Findings) {
    all_workers(at, port, out);
    if let Some(vlan) = port.vlan {
        vlan_id(at, vlan, out);
    }
    if port.role == Role::Relay6 && port.mtu < MIN_MTU_6 {
        let message = format!("{} is too small for IPv6", port.mtu);
        out.hinted(at.key("mtu"), message, format!("at least {MIN_MTU_6}"));
    }
    for_uplinks(at, port, out);
}

/// Keys that only uplinks have; relay ports have a VLAN too.
fn for_uplinks(at: At<'_>, port: &Port, out: &mut Findings) {
    let relay = matches!(port.role, Role::Relay4 | Role::Relay6);
    for (key, given) in [
        ("vlan", port.vlan.is_some() && !relay),
        ("addresses", !port.addresses.is_empty()),
        ("exception", port.exception.is_some()),
        ("nd_proxy", port.nd_proxy),
    ] {
        if given {
            let hint = match key {
                "vlan" => "the VLAN of a node stands in its binding",
                "addresses" if relay => {
                    "the relay's addresses stand in `[relay.ipv4]` and `[relay.ipv6]`"
                }
                _ if relay => "remove the key",
                _ => "remove the key, or set `role = \"uplink\"`",
            };
            let message = format!(
                "`{key}` is for uplinks, and this is role `{}`",
                role(port.role)
            );
            out.hinted(at.key(key), message, hint);
        }
    }
}

fn one_worker(at: At<'_>, port: &Port, workers: u16, out: &mut Findings) {
    if let Some(worker) = port.worker
        && worker >= workers
    {
        out.hinted(
            at.key("worker"),
            format!("there is no worker {worker}"),
            format!(
                "they are numbered 0 to {}, in the order of `runtime.workers`",
                workers.saturating_sub(1)
            ),
        );
    }
}

pub(super) fn vlan_id(at: At<'_>, vlan: u16, out: &mut Findings) {
    if !(1..=4094).contains(&vlan) {
        let message = format!("{vlan} is out of range, which is 1 to 4094");
        out.hinted(
            at.key("vlan"),
            message,
            "leave the key out for untagged frames",
        );
    }
}

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Uplink => "uplink",
        Role::Node => "node",
        Role::Exception => "exception",
        Role::Relay4 => "relay4",
        Role::Relay6 => "relay6",
    }
}

/// A number of buffers that was given must do for the queues.
fn buffers(config: &Config, out: &mut Findings) {
    let Some(given) = config.limits.mbufs else {
        return;
    };
    let mut free = config.clone();
    free.limits.mbufs = None;
    let need = pools(&free)
        .iter()
        .map(|pool: &PoolSize| pool.mbufs)
        .max()
        .unwrap_or(0);
    let path = || "limits.mbufs".to_owned();
    let hint = "leave the key out for a number that follows from queues, rings and holds";
    let receive = |port: &Port| u64::from(config.queues(port)) * u64::from(port.descriptors);
    let least: u64 = config.port.iter().map(receive).sum();
    if u64::from(given) <= least {
        out.hinted(
            path(),
            format!("{given} buffers do not fill the {least} receive descriptors"),
            hint,
        );
    } else if given < need {
        out.warn(
            path(),
            format!("{given} buffers may run out; queues, rings and holds can take up {need}"),
            hint,
        );
    }
}
