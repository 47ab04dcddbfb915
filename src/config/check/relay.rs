//! The relay: its ports, its addresses and next hops, what it must not do.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use super::eam::unusable6;
use super::port::role;
use super::settings::absolute;
use super::tenant::{UNUSABLE, broadcast_or_network, unusable};
use super::{At, Findings, Index, MIN_MTU_4, MIN_MTU_6, Objects, in_range};
use crate::config::{Config, Problem};
use crate::model::{Port, Relay, RelaySide4, RelaySide6, Role};
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Prefix6};

/// Lengths of prefixes that can contain IPv4 addresses (RFC 6052 section 2.2).
const POOL_LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// MTUs to guess from.
const MAX_PLATEAUS: usize = 32;

pub(super) fn check(config: &Config, index: &Index<'_>, out: &mut Findings) {
    ports(config, out);
    let Some(one) = &config.relay else { return };
    relay(At::only("relay"), one, index, out);
    if let Some(file) = &one.eam_file {
        absolute("relay.eam_file", file, out);
    }
    let explicit = !config.eam.is_empty() || one.eam_file.is_some();
    if one.pool6.is_none() && !explicit {
        out.warn(
            "relay".to_owned(),
            "without `pool6` and explicit mappings nothing is translated",
            "set `pool6`, or add `[[eam]]` or `eam_file`",
        );
    }
}

/// A port of the relay's roles that the relay does not name does nothing.
fn ports(config: &Config, out: &mut Findings) {
    for (nth, port) in config.port.iter().enumerate() {
        let (side, named) = match (port.role, &config.relay) {
            (Role::Relay4, relay) => ("ipv4", relay.as_ref().map(|r| &r.ipv4.port)),
            (Role::Relay6, relay) => ("ipv6", relay.as_ref().map(|r| &r.ipv6.port)),
            _ => continue,
        };
        let path = At::nth("port", nth).key("role");
        let is = role(port.role);
        match named {
            Some(name) if *name == port.name => {}
            // One fault: the name that is wrong is told where it stands.
            Some(name) if !config.port.iter().any(|port| port.name == *name) => {}
            Some(name) => out.hinted(
                path,
                format!("the relay has no use for a second port of role `{is}`"),
                format!("`[relay.{side}]` names `{name}`; remove this port"),
            ),
            None => out.hinted(
                path,
                format!("there is no relay, and this is role `{is}`"),
                "add `[relay]`, or change the role",
            ),
        }
    }
}

/// The relay.
pub fn relay(at: At<'_>, relay: &Relay, objects: &impl Objects, out: &mut Findings) {
    pool6(at, relay, out);
    ipv4(at, &relay.ipv4, objects, out);
    ipv6(at, relay, objects, out);
    plateaus(at, &relay.mtu_plateaus, out);
    denied(at, relay, out);
    error_sources(at, relay, out);
}

/// `64:ff9b::/96` (RFC 6052 section 2.1).
fn well_known() -> Option<Prefix6> {
    Prefix6::new(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)
}

fn pool6(at: At<'_>, relay: &Relay, out: &mut Findings) {
    let path = || at.key("pool6");
    let Some(pool) = relay.pool6 else { return };
    let own = relay.ipv6.address.address;
    if !POOL_LENGTHS.contains(&pool.len()) {
        let message = format!("{pool} cannot contain IPv4 addresses");
        out.hinted(path(), message, "its length is 32, 40, 48, 56, 64 or 96");
    } else if pool.bits() >> 56 & 0xff != 0 {
        let message = format!("{pool} has other bits than zeros from 64 to 71");
        let hint = "RFC 6052 section 2.2 keeps them; use another prefix";
        out.hinted(path(), message, hint);
    } else if let Some(why) = unusable6(&pool) {
        out.problem(path(), format!("{pool} {why}"));
    } else if well_known().is_some_and(|known| known != pool && known.overlaps(&pool)) {
        let message = format!("{pool} holds the well-known prefix");
        out.hinted(path(), message, "use `64:ff9b::/96` itself, or another");
    } else if pool.contains(&own.octets()) {
        out.hinted(
            at.key("ipv6.address"),
            format!("{own} lies in `pool6`, {pool}, so it is an IPv4 system's"),
            "give the relay an address of its link outside of it",
        );
    } else if !relay.well_known_strict && well_known() != Some(pool) {
        out.warn(
            at.key("well_known_strict"),
            format!("{pool} is not the well-known prefix, so there is nothing to relax"),
            "leave the key out",
        );
    }
}

/// The port of a side.
fn port_of<'a>(
    path: String,
    name: &str,
    wanted: Role,
    objects: &'a impl Objects,
    out: &mut Findings,
) -> Option<&'a Port> {
    let is = role(wanted);
    match objects.port(name) {
        Some(port) if port.role == wanted => return Some(port),
        Some(port) => {
            let message = format!("port `{name}` is of role `{}`", role(port.role));
            out.hinted(path, message, format!("this side needs one of role `{is}`"));
        }
        None => {
            let fitting = objects.ports().filter(|port| port.role == wanted);
            let names: Vec<_> = fitting.map(|port| port.name.as_str()).collect();
            let problem = Problem::new(path, format!("no port is called `{name}`"));
            out.problems.push(match names.is_empty() {
                true => problem.hint(format!(
                    "there is none of role `{is}`: ports are the configuration file's, and made at the start"
                )),
                false => problem.known(name, names),
            });
        }
    }
    None
}

/// What a side sends at most must fit its port.
fn mtu(path: String, mtu: u16, table: &str, port: &Port, out: &mut Findings) {
    let before = out.problems.len();
    in_range(|| path.clone(), table, "mtu", mtu.into(), out);
    if out.problems.len() == before && mtu > port.mtu {
        out.hinted(
            path,
            format!("{mtu} is more than port `{}` carries", port.name),
            format!("its `mtu` is {}; raise it there, or lower this", port.mtu),
        );
    }
}

fn hop_mac(path: String, mac: Option<Mac>, out: &mut Findings) {
    if let Some(mac) = mac.filter(|mac| !mac.is_unicast()) {
        out.problem(path, format!("{mac} is not the address of one device"));
    }
}

fn ipv4(at: At<'_>, side: &RelaySide4, objects: &impl Objects, out: &mut Findings) {
    let key = |key: &str| at.key(&format!("ipv4.{key}"));
    if let Some(port) = port_of(key("port"), &side.port, Role::Relay4, objects, out)
        && let Some(given) = side.mtu
    {
        mtu(key("mtu"), given, "RelaySide4", port, out);
    }
    hop_mac(key("via_mac"), side.via_mac, out);
    let (own, via) = (side.address.address, side.via);
    let link = Prefix4 {
        address: crate::wire::Vaddr(own.0 & Prefix4::mask(side.address.len)),
        len: side.address.len,
    };
    let single = |address| Prefix4 { address, len: 32 };
    if let Some(kind) = broadcast_or_network(own, link) {
        let message = format!("{own} is the {kind} address of {link}");
        out.problem(key("address"), message);
    }
    if via == own {
        let message = format!("{via} is the relay's own address");
        out.hinted(key("via"), message, "name the router of this side");
    } else if let Some(why) = unusable(single(via)) {
        out.problem(key("via"), format!("{via} {why}"));
    } else if !side.address.reaches(via) {
        out.hinted(
            key("via"),
            format!("{via} is not on the link of {}", side.address),
            "a router with an address of the same link, or a shorter length in `address`",
        );
    } else if let Some(kind) = broadcast_or_network(via, link) {
        let message = format!("{via} is the {kind} address of {link}");
        out.problem(key("via"), message);
    }
}

fn ipv6(at: At<'_>, relay: &Relay, objects: &impl Objects, out: &mut Findings) {
    let side = &relay.ipv6;
    let key = |key: &str| at.key(&format!("ipv6.{key}"));
    let port = port_of(key("port"), &side.port, Role::Relay6, objects, out);
    if let (Some(port), Some(given)) = (port, side.mtu) {
        mtu(key("mtu"), given, "RelaySide6", port, out);
    }
    hop_mac(key("via_mac"), side.via_mac, out);
    let lowest = relay.lowest_ipv6_mtu;
    let before = out.problems.len();
    let path = || at.key("lowest_ipv6_mtu");
    in_range(path, "Relay", "lowest_ipv6_mtu", lowest.into(), out);
    if let Some(most) = side.mtu.or(port.map(|port| port.mtu))
        && out.problems.len() == before
        && lowest > most
        && most >= MIN_MTU_6
    {
        let message = format!("{lowest} is more than the IPv6 side sends, {most}");
        out.hinted(path(), message, format!("at most {most}"));
    }
    addresses6(key, side, out);
}

fn addresses6(key: impl Fn(&str) -> String, side: &RelaySide6, out: &mut Findings) {
    let (own, via) = (side.address.address, side.via);
    let why_not = |address| Prefix6::new(address, 128).and_then(|one| unusable6(&one));
    if let Some(why) = why_not(own) {
        out.hinted(
            key("address"),
            format!("{own} {why}"),
            "a global or unique local address: errors come from it",
        );
    }
    let mask = u128::MAX
        .checked_shl(128 - u32::from(side.address.len))
        .unwrap_or(0);
    let same_link = (u128::from(own) ^ u128::from(via)) & mask == 0;
    let link_local = via.is_unicast_link_local();
    if via == own {
        let message = format!("{via} is the relay's own address");
        out.hinted(key("via"), message, "name the router of this side");
    } else if let Some(why) = why_not(via).filter(|_| !link_local) {
        out.problem(key("via"), format!("{via} {why}"));
    } else if !same_link && !link_local {
        out.hinted(
            key("via"),
            format!("{via} is not on the link of {}", side.address),
            "a link-local address, or one of the same link",
        );
    }
}

fn plateaus(at: At<'_>, plateaus: &[u16], out: &mut Findings) {
    if !(1..=MAX_PLATEAUS).contains(&plateaus.len()) {
        out.hinted(
            at.key("mtu_plateaus"),
            format!("{} values; there are 1 to {MAX_PLATEAUS}", plateaus.len()),
            "leave the key out for those of RFC 1191",
        );
        return;
    }
    for (i, value) in plateaus.iter().enumerate() {
        let path = || at.key(&format!("mtu_plateaus[{i}]"));
        if *value < MIN_MTU_4 {
            let message = format!("{value} is out of range, which is {MIN_MTU_4} to 65535");
            out.problem(path(), message);
        } else if i > 0 && plateaus.get(i - 1).is_some_and(|before| before <= value) {
            out.hinted(
                path(),
                format!("{value} does not come after a greater value"),
                "write them in descending order, each once",
            );
        }
    }
}

/// What is denied cannot be the relay itself.
fn denied(at: At<'_>, relay: &Relay, out: &mut Findings) {
    const HINT: &str = "packets for it are never translated; deny prefixes beside it";
    let mut seen = HashSet::new();
    for (i, prefix) in relay.deny4.iter().enumerate() {
        let path = || at.key(&format!("deny4[{i}]"));
        let own = relay.ipv4.address.address;
        if prefix.contains(own) {
            let message = format!("{prefix} holds the relay's own address {own}");
            out.hinted(path(), message, HINT);
        } else if !seen.insert(*prefix) {
            out.problem(path(), format!("{prefix} occurs twice"));
        }
    }
    let mut seen = HashSet::new();
    for (i, prefix) in relay.deny6.iter().enumerate() {
        let path = || at.key(&format!("deny6[{i}]"));
        let own = relay.ipv6.address.address;
        if prefix.contains(&own.octets()) {
            let message = format!("{prefix} holds the relay's own address {own}");
            out.hinted(path(), message, HINT);
        } else if !seen.insert(*prefix) {
            out.problem(path(), format!("{prefix} occurs twice"));
        }
    }
}

/// Sources of errors are addresses of hosts.
fn error_sources(at: At<'_>, relay: &Relay, out: &mut Findings) {
    const HINT: &str = "addresses or prefixes of your own, one is picked for each error";
    let mut seen = HashSet::new();
    for (i, prefix) in relay.error_sources4.iter().enumerate() {
        let path = || at.key(&format!("error_sources4[{i}]"));
        // A range that is left out of a wider one would be picked from it.
        let wrong = UNUSABLE
            .iter()
            .find(|(address, len, _)| {
                let range = Prefix4 {
                    address: *address,
                    len: *len,
                };
                prefix.overlaps(range)
            })
            .map(|(_, _, why)| *why);
        if let Some(why) = wrong {
            let what = match unusable(*prefix) {
                Some(_) => format!("{prefix} {why}"),
                None => format!("{prefix} holds addresses no host can have"),
            };
            out.hinted(path(), what, HINT);
        } else if !seen.insert(*prefix) {
            out.problem(path(), format!("{prefix} occurs twice"));
        }
    }
    if let Some(address) = relay.error_source6
        && let Some(why) = Prefix6::new(address, 128).and_then(|one| unusable6(&one))
    {
        out.problem(at.key("error_source6"), format!("{address} {why}"));
    }
}
