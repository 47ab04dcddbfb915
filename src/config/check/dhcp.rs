//! What nodes of a subnet are told by DHCP.

use super::segment::{alone, on_link};
use super::tenant::{unusable, usable_prefix};
use super::{At, Findings, GROWTH, MIN_MTU_4, Objects, in_range};
use crate::model::{Dhcp, Subnet, SubnetDhcp};
use crate::wire::Vaddr;

/// Servers, or domains, of a list: an answer has to hold them.
const MOST: usize = 16;
const MOST_ROUTES: usize = 32;

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
    if let Some(pool) = dhcp.pool {
        for end in [pool.first, pool.last] {
            if !subnet.prefix.contains(end) {
                let message = format!("{end} lies outside subnet `{}`", subnet.name);
                out.problem(key("pool"), format!("{message}, {}", subnet.prefix));
                break;
            }
        }
    }
    lists(key, dhcp, out);
    for (i, route) in dhcp.routes.iter().enumerate() {
        usable_prefix(|| key(&format!("routes[{i}].prefix")), route.prefix, out);
        on_link(|| key(&format!("routes[{i}].via")), route.via, subnet, out);
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
