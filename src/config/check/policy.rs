//! What a vnet says of its nodes beside where they are.

use std::collections::HashSet;

use super::snmp::snmp;
use super::tenant::{inside, usable_prefix};
use super::{At, Findings, alone, in_range};
use crate::model::{Dhcp, Learn, LearnAs, Vnet};
use crate::wire::address::Prefix4;

/// Services and permissions of one vnet.
pub fn policy(at: At<'_>, vnet: &Vnet, out: &mut Findings) {
    match (vnet.dhcp, vnet.dhcp_server) {
        (Dhcp::Node, None) => out.hinted(
            at.key("dhcp"),
            "no node answers DHCP",
            "name the address of one in `dhcp_server`",
        ),
        (Dhcp::Off | Dhcp::Host, Some(server)) => out.hinted(
            at.key("dhcp_server"),
            format!("{server} is not asked"),
            "set `dhcp = \"node\"`, or leave the key out",
        ),
        (Dhcp::Node, Some(server)) => {
            let path = || at.key("dhcp_server");
            usable_prefix(path, alone(server), out);
            inside(path, vnet, alone(server), out);
        }
        _ => {}
    }
    if let Some(wanted) = &vnet.snmp {
        snmp(at, wanted, out);
    }
    let mut seen = HashSet::new();
    for (i, groups) in vnet.withheld.iter().enumerate() {
        let path = || at.key(&format!("withheld[{i}]"));
        if !is_multicast(*groups) {
            out.hinted(
                path(),
                format!("{groups} has no multicast groups, or others too"),
                "groups lie in 224.0.0.0/4",
            );
        }
        if !seen.insert(*groups) {
            out.problem(path(), format!("{groups} occurs twice"));
        }
    }
    let seconds = vnet.learn_seconds;
    in_range(
        || at.key("learn_seconds"),
        "Vnet",
        "learn_seconds",
        seconds.into(),
        out,
    );
    if vnet.learn == Learn::Never && vnet.learn_as != LearnAs::default() {
        out.hinted(
            at.key("learn_as"),
            "no address is learned",
            "set `learn`, or leave the key out",
        );
    }
    let waits = matches!(vnet.learn_as, LearnAs::Guess | LearnAs::Watch);
    if seconds != Vnet::new("", vnet.vni).learn_seconds && (vnet.learn == Learn::Never || !waits) {
        out.hinted(
            at.key("learn_seconds"),
            "nothing is waited for",
            "set `learn`, with `learn_as` \"guess\" or \"watch\", or leave the key out",
        );
    }
}

fn is_multicast(groups: Prefix4) -> bool {
    groups.len >= 4 && groups.address.is_multicast()
}
