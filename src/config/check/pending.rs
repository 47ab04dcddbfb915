//! Keys that are known and have no effect yet: they are refused, because nothing
//! may be accepted and then ignored. A key goes from here with the change that
//! makes something of it.

use super::{At, Findings};
use crate::config::Config;
use crate::model::{Dhcp, Vnet};

pub(super) fn check(config: &Config, out: &mut Findings) {
    for (nth, one) in config.vnet.iter().enumerate() {
        vnet(At::nth("vnet", nth), one, out);
    }
}

/// One vnet.
pub fn vnet(at: At<'_>, vnet: &Vnet, out: &mut Findings) {
    let keys = [
        // Not by a node of the vnet.
        ("dhcp", vnet.dhcp == Dhcp::Node),
        ("dhcp_server", vnet.dhcp_server.is_some()),
    ];
    refuse(at, &keys, out);
}

/// The first key of an object that says something: others belong to it.
fn refuse(at: At<'_>, keys: &[(&str, bool)], out: &mut Findings) {
    if let Some((key, _)) = keys.iter().find(|(_, given)| *given) {
        out.problem(at.key(key), format!("`{key}` is not supported yet"));
    }
}
