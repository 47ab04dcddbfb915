//! What each stage says of a packet, in words, for `trace` and `explain`.

use std::fmt::{self, Write};

use crate::mapping::NodeIndex;
use crate::wire::{Layout, Mark, Vaddr};

use super::authorize::{Permitted, Verified};
use super::classify::{Classified, Incoming};
use super::fan::Whence;
use super::misdirected::Way;
use super::parse::{FromNode, FromSubstrate, NodeNet, SubstrateNet};
use super::resolve::{Inward, Onward, Place};
use super::topology::Topology;
use super::watch::node_name;
use super::{Exit, Outcome, Punt, route};

/// Says what was decided. Names come from the topology.
pub trait Tell {
    fn tell(&self, topology: &Topology, out: &mut impl Write) -> fmt::Result;
}

impl Tell for FromNode {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        match &self.net {
            NodeNet::Arp => write!(out, "arp from {}", self.link.source),
            NodeNet::Rarp => write!(out, "rarp from {}", self.link.source),
            NodeNet::Ipv4(words, _) => {
                let ip = words.header();
                write!(out, "ipv4 {} > {} protocol {}", ip.src, ip.dst, ip.protocol)?;
                write!(out, " length {} ttl {}", ip.total_len, ip.ttl)?;
                out.write_str(if ip.df { " df" } else { "" })?;
                if ip.is_fragment() {
                    write!(out, " fragment at {}", u32::from(ip.offset) * 8)?;
                }
                Ok(())
            }
        }
    }
}

impl Tell for FromSubstrate {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        match &self.net {
            SubstrateNet::Other => write!(out, "ethertype {:#06x}", self.link.ethertype),
            SubstrateNet::Ipv6(ip) => {
                let [src, dst] = [ip.src, ip.dst].map(std::net::Ipv6Addr::from);
                write!(
                    out,
                    "ipv6 {src} > {dst} next header {}",
                    ip.header().next_header
                )
            }
        }
    }
}

impl Tell for Classified<'_> {
    fn tell(&self, topology: &Topology, out: &mut impl Write) -> fmt::Result {
        write!(out, "from node {}", whose(topology, self.node))
    }
}

impl Tell for Incoming {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        let packet = &self.packet;
        let what = match packet.words.dst[0] {
            0xff => "a group of the substrate",
            _ => "the locator",
        };
        write!(out, "for {what}: {}/{}", self.source_vni, packet.src())?;
        write!(
            out,
            " > {}/{} {:?}",
            self.vni,
            packet.dst(),
            packet.label().tag
        )
    }
}

impl Tell for Permitted<'_> {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        write!(out, "may use {}", self.ip.header().src)
    }
}

impl Tell for Verified<'_> {
    fn tell(&self, _: &Topology, out: &mut impl Write) -> fmt::Result {
        write!(out, "source is where it is mapped to")
    }
}

impl Tell for Onward<'_> {
    fn tell(&self, topology: &Topology, out: &mut impl Write) -> fmt::Result {
        if let Way::Router(entry) = self.sent.way {
            by_routers(topology, entry, self.sent.ip.header().dst, out)?;
        }
        match self.to {
            Place::Node(node, _) => write!(out, "node {} of this host", whose(topology, node)),
            Place::Host(host) => match topology.host(host) {
                Some(host) => {
                    write!(out, "host {} {}", host.name, host.locator)?;
                    slot_of(topology, self.mark, out)
                }
                None => out.write_str("a host that is gone"),
            },
            Place::Outsider(outsider) => {
                write!(out, "outsider {}", topology.outsiders.name(outsider))
            }
        }
    }
}

impl Tell for Inward<'_> {
    fn tell(&self, topology: &Topology, out: &mut impl Write) -> fmt::Result {
        write!(out, "node {}", whose(topology, self.node))?;
        let mark = Mark::of(&self.incoming.packet.words.dst);
        match topology.layout == Layout::Slot && mark.is_forwarded() {
            true => write!(out, ", which is in slot {}", mark.slot()),
            false => Ok(()),
        }
    }
}

/// What layout `slot` adds to the host.
fn slot_of(topology: &Topology, mark: Mark, out: &mut impl Write) -> fmt::Result {
    match topology.layout {
        Layout::Slot if mark.is_forwarded() => write!(out, ", behind slot {}", mark.slot()),
        Layout::Slot => write!(out, ", slot {}", mark.slot()),
        Layout::P72 | Layout::P64 => Ok(()),
    }
}

impl Tell for Outcome {
    fn tell(&self, topology: &Topology, out: &mut impl Write) -> fmt::Result {
        match self {
            Outcome::Send {
                port,
                options_removed,
            } => {
                let options = if *options_removed {
                    " without its options"
                } else {
                    ""
                };
                write!(out, "out of port {}{options}", port_name(topology, *port))
            }
            Outcome::Split(_) => out.write_str("cut into pieces, each rewritten"),
            Outcome::Cut(_) => out.write_str("cut into pieces, each translated"),
        }
    }
}

impl Tell for Exit {
    fn tell(&self, topology: &Topology, out: &mut impl Write) -> fmt::Result {
        match self {
            Exit::Drop(why) => write!(out, "drop {why}: {}", why.help()),
            Exit::Refuse { why, .. } => write!(out, "drop {why}, sender told: {}", why.help()),
            Exit::Pass { port } => {
                write!(out, "unchanged out of port {}", port_name(topology, *port))
            }
            Exit::Punt(Punt::Arp { .. }) => out.write_str("answered by the control thread (ARP)"),
            Exit::Punt(Punt::Rarp { .. }) => out.write_str("noted by the control thread (RARP)"),
            Exit::Punt(Punt::Router { .. }) => out.write_str("for a router, which answers"),
            Exit::Punt(Punt::Dhcp { .. }) => out.write_str("answered by the control thread (DHCP)"),
            Exit::Punt(Punt::DhcpBetween) => {
                out.write_str("passed on by the control thread (DHCP)")
            }
            Exit::Punt(Punt::Substrate) => out.write_str("for the host itself"),
            Exit::Punt(Punt::SubstrateError) => {
                out.write_str("an error of the substrate, for the control thread")
            }
            Exit::Punt(Punt::Gone) => out.write_str("for a node that was here; its sender is told"),
            Exit::Punt(Punt::Relay) => out.write_str("for the relay itself"),
            Exit::Punt(Punt::Igmp { .. }) => out.write_str("answered by the control thread (IGMP)"),
            Exit::Fan(Whence::Node(_)) if topology.native.is_some() => {
                out.write_str("sent once to a group of the substrate, and copied to members here")
            }
            Exit::Fan(Whence::Node(_)) => out.write_str("copied to members here and their hosts"),
            Exit::Fan(Whence::Substrate) => out.write_str("copied to members here"),
            Exit::Tell { why, reply: None } => write!(out, "drop {why}, logged: {}", why.help()),
            Exit::Tell { why, .. } => write!(out, "drop {why}, sender told: {}", why.help()),
            Exit::Foreign { .. } => out.write_str("not from a host"),
            Exit::Hold { why, .. } => write!(out, "waits, then drop {why}: {}", why.help()),
        }
    }
}

/// The routers that a packet crosses.
fn by_routers(topology: &Topology, entry: u32, dst: Vaddr, out: &mut impl Write) -> fmt::Result {
    let mut before = "by router ";
    let mut hops = 0;
    let mut said = Ok(());
    route::follow_with(topology, (entry, dst, u8::MAX), |router| {
        hops += 1;
        said = said.and_then(|()| write!(out, "{before}{}", router.name));
        before = ", ";
    });
    let hop = if hops == 1 { "hop" } else { "hops" };
    said.and_then(|()| write!(out, " ({hops} {hop}), to "))
}

fn port_name(topology: &Topology, port: u16) -> &str {
    topology.port(port).map_or("?", |port| port.name.as_str())
}

/// A node's name with its vnet.
fn whose(topology: &Topology, index: NodeIndex) -> impl fmt::Display + '_ {
    struct Whose<'a>(&'a Topology, NodeIndex);
    impl fmt::Display for Whose<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(node_name(self.0, self.1))?;
            let vnet = self.0.node(self.1).and_then(|node| self.0.vnet(node.vnet));
            match vnet {
                Some(vnet) => write!(f, " (vnet {})", vnet.name),
                None => Ok(()),
            }
        }
    }
    Whose(topology, index)
}
