//! Who gets a packet to several, in words, for `explain`.

use std::fmt::Write;
use std::net::Ipv6Addr;

use crate::packet::Packet;
use crate::wire::native;

use super::super::Context;
use super::super::watch::node_name;
use super::{Original, To, Whence};

/// Receivers named; a packet has no more than some hundreds.
const NAMED: usize = 32;

/// Everybody a packet would be copied to, if that is what becomes of it.
pub fn receivers<P: Packet>(cx: &Context<'_>, packet: &P, whence: Whence) -> String {
    let Ok(original) = Original::read(cx, packet, whence) else {
        return String::new();
    };
    let topology = cx.topology;
    let fans = &topology.fans;
    let members = fans.find(original.vni, original.src, original.dst);
    let mut words = String::new();
    for (n, to) in original.receivers(cx, members).enumerate() {
        if n == NAMED {
            words.push_str(", and others");
            break;
        }
        words.push_str(if n == 0 { "to " } else { ", " });
        // Writing to a string does not fail.
        let _ = match to {
            To::Listeners => {
                let group = native::compose(topology.layout, original.vni, original.dst);
                write!(words, "group {} of the substrate", Ipv6Addr::from(group))
            }
            To::Host(host) => {
                let name = topology.host(host).map_or("?", |host| host.name.as_str());
                write!(words, "host {name}")
            }
            To::Node(node) => write!(words, "node {}", node_name(topology, node)),
        };
    }
    match words.is_empty() {
        true => "to nobody".to_owned(),
        false => words,
    }
}
