//! What nodes of a subnet are told by DHCP, and who gets an address by it.

use super::segment::{EVERYTHING, address_in, alone, on_link, placed};
use super::tenant::{unusable, usable_prefix};
use super::{At, Findings, GROWTH, MIN_MTU_4, Objects, in_range};
use crate::config::Problem;
use crate::model::{Binding, Dhcp, Range4, Subnet, SubnetDhcp, Vnet};
use crate::wire::Vaddr;

/// Servers, or domains, of a list: an answer has to hold them.
const MOST: usize = 16;
const MOST_ROUTES: usize = 32;
/// Addresses of a pool: all of them are looked at when it is nearly empty.
const MOST_LEASES: u32 = 1 << 16;

/// The address that answers where there is no gateway.
pub fn dhcp_server(subnet: &Subnet) -> Option<Vaddr> {
    subnet.dhcp.as_ref()?.server
}

pub(super) fn dhcp(at: At<'_>, subnet: &Subnet, objects: &impl Objects, out: &mut Findings) {
    let Some(vnet) = objects.vnet(&subnet.vnet) else {
        return;
    };
    let served = vnet.dhcp == Dhcp::Host;
    if served && subnet.gateway.is_none() && dhcp_server(subnet).is_none() {
        out.hinted(
            at.key("gateway"),
            "DHCP has no address to answer from",
            "give the subnet a `gateway`, or a `server` in `[subnet.dhcp]`",
        );
    }
    let Some(dhcp) = &subnet.dhcp else {
        return;
    };
    if !served {
        let message = format!("hosts do not answer DHCP in vnet `{}`", vnet.name);
        out.hinted(at.key("dhcp"), message, "set `dhcp = \"host\"` at the vnet");
    }
    let key = |key: &str| at.key(&format!("dhcp.{key}"));
    if let Some(server) = dhcp.server {
        on_link(|| key("server"), server, subnet, out);
        if let Some(gateway) = subnet.gateway {
            let message = format!("the gateway {gateway} answers");
            out.hinted(key("server"), message, "leave `server` or `gateway` out");
        }
    }
    let lease = dhcp.lease_seconds;
    in_range(
        || key("lease_seconds"),
        "SubnetDhcp",
        "lease_seconds",
        lease.into(),
        out,
    );
    if let Some(mtu) = dhcp.mtu {
        let most = vnet
            .mtu
            .unwrap_or(objects.site().mtu.saturating_sub(GROWTH));
        if !(MIN_MTU_4..=most).contains(&mtu) {
            let message = format!("{mtu} is out of range, which is {MIN_MTU_4} to {most}");
            out.hinted(
                key("mtu"),
                message,
                "no more than the MTU of the vnet's nodes",
            );
        }
    }
    if let Some(one) = dhcp.pool {
        pool(|| key("pool"), one, subnet, out);
    }
    lists(key, dhcp, out);
    for (i, route) in dhcp.routes.iter().enumerate() {
        usable_prefix(|| key(&format!("routes[{i}].prefix")), route.prefix, out);
        on_link(|| key(&format!("routes[{i}].via")), route.via, subnet, out);
    }
}

fn pool(path: impl Fn() -> String, pool: Range4, subnet: &Subnet, out: &mut Findings) {
    let ends = [pool.first, pool.last];
    if let Some(end) = ends.iter().find(|end| !subnet.prefix.contains(**end)) {
        let message = format!("{end} lies outside subnet `{}`", subnet.name);
        out.problem(path(), format!("{message}, {}", subnet.prefix));
    } else if pool.last.0 - pool.first.0 >= MOST_LEASES {
        let count = u64::from(pool.last.0 - pool.first.0) + 1;
        out.problem(
            path(),
            format!("{count} addresses are more than {MOST_LEASES}"),
        );
    }
}

/// Hosts answer with what subnets say, and as the vnet's own router: without any
/// there is nothing to say.
pub fn answered(at: At<'_>, vnet: &Vnet, objects: &impl Objects, out: &mut Findings) {
    let mut subnets = objects.subnets_over(&vnet.name, EVERYTHING);
    if vnet.dhcp == Dhcp::Host && subnets.next().is_none() {
        out.hinted(
            at.key("dhcp"),
            format!(
                "vnet `{}` has no subnet, so no node gets an answer",
                vnet.name
            ),
            "give it a `[[subnet]]` with a `gateway`, or leave the key out",
        );
    }
    let mut subnets = objects.subnets_over(&vnet.name, EVERYTHING);
    let mut has_router = || subnets.any(|subnet| address_in(&vnet.name, subnet, objects).is_some());
    if vnet.snmp.is_some() && !has_router() {
        out.hinted(
            at.key("snmp"),
            format!("vnet `{}` has no router of its own", vnet.name),
            "give one of its subnets a `gateway` that no other router has, or leave the table out",
        );
    }
}

/// A node has an address where its vnet has room for it, or gets one by DHCP.
pub fn addressed(
    at: At<'_>,
    binding: &Binding,
    vnet: &Vnet,
    objects: &impl Objects,
    out: &mut Findings,
) {
    let Some(address) = binding.address else {
        return from_pool(at, binding, vnet, objects, out);
    };
    placed(|| at.key("address"), vnet, address, objects, out);
    if binding.subnet.is_some() {
        out.hinted(
            at.key("subnet"),
            format!("which subnet it is in says its address, {address}"),
            "leave `subnet` out, or `address` for one from the subnet's pool",
        );
    }
}

fn from_pool(
    at: At<'_>,
    binding: &Binding,
    vnet: &Vnet,
    objects: &impl Objects,
    out: &mut Findings,
) {
    if vnet.dhcp == Dhcp::Off {
        return out.hinted(
            at.key("address"),
            format!(
                "it has none, and nobody answers DHCP in vnet `{}`",
                vnet.name
            ),
            "give the node an `address`, or set `dhcp` at the vnet",
        );
    }
    let pooled = vnet.dhcp == Dhcp::Host;
    let Some(name) = &binding.subnet else {
        let flat = || {
            objects
                .subnets_over(&vnet.name, EVERYTHING)
                .next()
                .is_none()
        };
        if pooled || !flat() {
            out.hinted(
                at.key("address"),
                "it has none, and no subnet that would give it one",
                "name the node's `subnet`, or give it an `address`",
            );
        }
        return;
    };
    match objects.subnet(name) {
        Some(subnet) if subnet.vnet != vnet.name => out.problem(
            at.key("subnet"),
            format!("subnet `{name}` is of vnet `{}`", subnet.vnet),
        ),
        Some(subnet) if pooled && subnet.dhcp.as_ref().is_none_or(|dhcp| dhcp.pool.is_none()) => {
            out.hinted(
                at.key("subnet"),
                format!("subnet `{name}` has no pool"),
                "give it a `pool` in `[subnet.dhcp]`, or the node an `address`",
            )
        }
        Some(_) => {}
        None => {
            let problem = Problem::new(at.key("subnet"), format!("no subnet is called `{name}`"));
            out.problems
                .push(problem.known(name, objects.subnet_names()));
        }
    }
}

fn lists(key: impl Fn(&str) -> String, dhcp: &SubnetDhcp, out: &mut Findings) {
    for (name, count, most) in [
        ("dns", dhcp.dns.len(), MOST),
        ("ntp", dhcp.ntp.len(), MOST),
        ("search", dhcp.search.len(), MOST),
        ("routes", dhcp.routes.len(), MOST_ROUTES),
    ] {
        if count > most {
            out.problem(key(name), format!("{count} are more than {most}"));
        }
    }
    for (name, servers) in [("dns", &dhcp.dns), ("ntp", &dhcp.ntp)] {
        for (i, server) in servers.iter().enumerate() {
            if let Some(why) = unusable(alone(*server)) {
                out.problem(key(&format!("{name}[{i}]")), format!("{server} {why}"));
            }
        }
    }
    if let Some(domain) = &dhcp.domain {
        domain_name(|| key("domain"), domain, out);
    }
    for (i, domain) in dhcp.search.iter().enumerate() {
        domain_name(|| key(&format!("search[{i}]")), domain, out);
    }
}

/// Labels of letters, digits and hyphens (RFC 1123 section 2.1).
fn domain_name(path: impl Fn() -> String, name: &str, out: &mut Findings) {
    let label = |label: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let hyphens = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && label.bytes().all(good) && !hyphens
    };
    if name.len() > 253 || !name.split('.').all(label) {
        out.hinted(
            path(),
            format!("`{name}` is not a domain"),
            "such as `lab.example.net`, without a dot at its end",
        );
    }
}
