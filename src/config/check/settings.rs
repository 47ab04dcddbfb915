//! The tables that name no objects: threads, socket, limits, files.

use std::collections::HashMap;
use std::path::Path;

use super::{Findings, device, in_range, name};
use crate::config::{Carriage, Config, Control, GroupAccess, Idle, Limits};
use crate::model::Role;

/// `sun_path` has 108 bytes, one of them the closing zero.
const MAX_SOCKET_PATH: usize = 107;
/// DPDK is built for 128 lcores; one is control's.
const MAX_WORKERS: usize = 127;

/// EAL arguments that weft makes from other keys.
const OWN_ARGS: &[(&str, &str)] = &[
    ("-l", "runtime.workers"),
    ("-c", "runtime.workers"),
    ("--lcores", "runtime.workers"),
    ("--main-lcore", "runtime.control_cpu"),
    ("-a", "port.device"),
    ("--allow", "port.device"),
    ("--vdev", "port.device"),
    ("-m", "runtime.memory_mb"),
    ("--no-huge", "runtime.huge"),
    ("--in-memory", "runtime.in_memory"),
    ("--file-prefix", "runtime.file_prefix"),
];

pub(super) fn check(config: &Config, out: &mut Findings) {
    name(|| "name".to_owned(), &config.name, out);
    in_range(|| "mtu".to_owned(), "", "mtu", config.mtu.into(), out);
    runtime(config, out);
    control(&config.control, out);
    limits(&config.limits, out);
    multicast(config, out);
    fill(config, out);
    if let Some(journal) = &config.state.journal {
        absolute("state.journal", journal, out);
        if *journal == config.control.socket {
            let message = "the journal cannot be where the control socket is";
            out.problem("state.journal".to_owned(), message);
        }
    }
}

/// Groups of the substrate are reached by an uplink.
fn multicast(config: &Config, out: &mut Findings) {
    let uplink = config.port.iter().any(|port| port.role == Role::Uplink);
    if config.multicast.carriage == Carriage::Native && !uplink {
        out.hinted(
            "multicast.carriage".to_owned(),
            "`native` needs an uplink, and there is none",
            "add a port with `role = \"uplink\"`, or leave `carriage` out",
        );
    }
}

/// The ranges of several keys of a table.
fn ranges(path: &str, table: &str, keys: &[(&str, u32)], out: &mut Findings) {
    for (key, value) in keys {
        in_range(|| format!("{path}.{key}"), table, key, (*value).into(), out);
    }
}

pub(super) fn absolute(path: &str, file: &Path, out: &mut Findings) {
    if !file.is_absolute() {
        let message = format!("`{}` is not an absolute path", file.display());
        out.problem(path.to_owned(), message);
    }
}

fn runtime(config: &Config, out: &mut Findings) {
    let runtime = &config.runtime;
    ranges(
        "runtime",
        "Runtime",
        &[("control_cpu", runtime.control_cpu.into())],
        out,
    );
    let workers = &runtime.workers;
    if workers.is_empty() || workers.len() > MAX_WORKERS {
        out.hinted(
            "runtime.workers".to_owned(),
            format!(
                "{} workers; there must be 1 to {MAX_WORKERS}",
                workers.len()
            ),
            "name the CPU of each worker, such as `workers = [1, 2]`",
        );
    }
    let mut users = HashMap::from([(runtime.control_cpu, "control".to_owned())]);
    for (index, &cpu) in workers.iter().enumerate() {
        let path = format!("runtime.workers[{index}]");
        in_range(|| path.clone(), "Runtime", "workers", cpu.into(), out);
        let before = users.insert(cpu, format!("worker {index}"));
        if let (Some(before), Idle::Poll) = (before, runtime.idle) {
            out.hinted(
                path,
                format!(
                    "CPU {cpu} is {before}'s, and a worker that polls leaves nothing to others"
                ),
                "give each its own CPU, or set `idle = \"backoff\"`",
            );
        }
    }
    if let Some(memory) = runtime.memory_mb {
        ranges("runtime", "Runtime", &[("memory_mb", memory)], out);
    }
    if let Some(prefix) = &runtime.file_prefix {
        name(|| "runtime.file_prefix".to_owned(), prefix, out);
    }
    for (index, arg) in runtime.eal_args.iter().enumerate() {
        if !makes_a_member(config, arg) {
            eal_arg(format!("runtime.eal_args[{index}]"), arg, out);
        }
    }
}

/// `--vdev=net_af_packet8,iface=eth1` of a virtual device that a bonding
/// device joins: it is no port, so nothing else could say it.
fn makes_a_member(config: &Config, arg: &str) -> bool {
    let mut joined = config.port.iter().flat_map(|p| device::members(&p.device));
    device::made_by(arg).is_some_and(|made| joined.any(|name| name == made))
}

fn eal_arg(path: String, arg: &str, out: &mut Findings) {
    let option = arg.split('=').next().unwrap_or(arg);
    // Short options may have their value in the same word: -l0-3.
    let same = |own: &str| {
        option == own || (own.len() == 2 && !arg.starts_with("--") && arg.starts_with(own))
    };
    if let Some((_, key)) = OWN_ARGS.iter().find(|(own, _)| same(own)) {
        out.hinted(
            path,
            format!("`{option}` is made from `{key}`"),
            format!("remove the argument and set `{key}`"),
        );
    } else if arg.is_empty() || arg.contains('\0') {
        out.problem(path, "not an argument");
    }
}

fn control(control: &Control, out: &mut Findings) {
    absolute("control.socket", &control.socket, out);
    let length = control.socket.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        out.problem(
            "control.socket".to_owned(),
            format!("the path has {length} bytes; a socket's path has at most {MAX_SOCKET_PATH}"),
        );
    }
    if control.mode.0 & 0o600 != 0o600 {
        out.hinted(
            "control.mode".to_owned(),
            format!(
                "with mode {} the owner could not use the socket",
                control.mode
            ),
            "such as \"0660\"",
        );
    }
    if control.mode.0 & 0o007 != 0 {
        out.hinted(
            "control.mode".to_owned(),
            format!(
                "mode {} lets in others than the socket's user and group",
                control.mode
            ),
            "name a `group` and use \"0660\"",
        );
    }
    if let Some(group) = &control.group {
        name(|| "control.group".to_owned(), group, out);
    }
    // To connect is to write.
    let closed = control.mode.0 & 0o020 == 0;
    for (key, given) in [
        ("group", control.group.is_some()),
        (
            "group_access",
            control.group_access == GroupAccess::ReadOnly,
        ),
    ] {
        if closed && given {
            out.hinted(
                format!("control.{key}"),
                format!("with mode {} nobody of the group can connect", control.mode),
                "use mode \"0660\", or leave the key out",
            );
        }
    }
    let keys = [
        ("clients", control.clients),
        ("line_bytes", control.line_bytes),
        ("batch", control.batch),
        ("queue_bytes", control.queue_bytes),
    ];
    ranges("control", "Control", &keys, out);
}

fn limits(limits: &Limits, out: &mut Findings) {
    let mut keys = vec![
        ("mappings", limits.mappings),
        ("prefixes", limits.prefixes),
        ("nodes", limits.nodes),
        ("hosts", limits.hosts),
        ("eams", limits.eams),
        ("outsiders", limits.outsiders),
        ("subnets", limits.subnets),
        ("routers", limits.routers),
        ("vroutes", limits.vroutes),
        ("members", limits.members),
        ("holds_per_destination", limits.holds_per_destination),
        ("holds_per_node", limits.holds_per_node),
        ("holds", limits.holds),
        ("hold_ms", limits.hold_ms),
        ("punt_rate", limits.punt_rate),
        ("miss_rate", limits.miss_rate),
        ("icmp_rate", limits.icmp_rate),
        ("gone_seconds", limits.gone_seconds),
        ("learned", limits.learned),
        ("flood_rate", limits.flood_rate),
        ("group_rate", limits.group_rate),
        ("fanout", limits.fanout),
        ("groups", limits.groups),
        ("groups_per_node", limits.groups_per_node),
        ("ring", limits.ring),
    ];
    keys.extend(limits.mbufs.map(|mbufs| ("mbufs", mbufs)));
    ranges("limits", "Limits", &keys, out);
    if !limits.ring.is_power_of_two() && (64..=1 << 16).contains(&limits.ring) {
        out.hinted(
            "limits.ring".to_owned(),
            format!("{} is not a power of two", limits.ring),
            format!("such as {}", limits.ring.next_power_of_two()),
        );
    }
    for (inner, few, outer, many) in [
        (
            "holds_per_destination",
            limits.holds_per_destination,
            "holds_per_node",
            limits.holds_per_node,
        ),
        (
            "holds_per_node",
            limits.holds_per_node,
            "holds",
            limits.holds,
        ),
        (
            "groups_per_node",
            limits.groups_per_node,
            "groups",
            limits.groups,
        ),
    ] {
        if few > many {
            let message = format!("{few} is more than `{outer}`, which is {many}");
            out.problem(format!("limits.{inner}"), message);
        }
    }
}

/// What the file itself holds must fit.
fn fill(config: &Config, out: &mut Findings) {
    let (single, wide): (Vec<_>, Vec<_>) = config.mapping.iter().partition(|m| m.address.len == 32);
    let behind = config.binding.iter().map(|binding| binding.prefixes.len());
    for (key, what, count, limit) in [
        (
            "mappings",
            "mappings of single addresses",
            single.len(),
            config.limits.mappings,
        ),
        (
            "prefixes",
            "prefixes",
            wide.len() + behind.sum::<usize>(),
            config.limits.prefixes,
        ),
        (
            "nodes",
            "bindings",
            config.binding.len(),
            config.limits.nodes,
        ),
        ("hosts", "hosts", config.host.len(), config.limits.hosts),
        (
            "eams",
            "explicit mappings",
            config.eam.len() + config.eam_file.eams.len(),
            config.limits.eams,
        ),
        (
            "outsiders",
            "outsiders",
            config.outsider.len(),
            config.limits.outsiders,
        ),
        (
            "subnets",
            "subnets",
            config.subnet.len(),
            config.limits.subnets,
        ),
        (
            "routers",
            "routers",
            config.router.len(),
            config.limits.routers,
        ),
        (
            "vroutes",
            "routes of virtual routers",
            config.vroute.len(),
            config.limits.vroutes,
        ),
        (
            "members",
            "members of groups",
            config.member.len(),
            config.limits.members,
        ),
    ] {
        let path = format!("limits.{key}");
        let told = out.problems.iter().any(|problem| problem.path == path);
        if count > limit as usize && !told {
            let message = format!("{limit}, but this file has {count} {what}");
            out.problem(path, message);
        }
    }
}
