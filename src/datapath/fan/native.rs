//! Groups that the substrate carries itself: one packet for all other hosts.
//!
//! A tenant's group is a group of the substrate, whose address is made of vnet
//! and group (`wire::native`). A host listens to those that its own nodes have
//! joined, by MLD, and the substrate's routers and switches do the rest. One
//! uplink is for all of them, to send and to hear: by two, whatever joins the
//! links would bring every packet twice.
//!
//! What leaves is translated as for any host; the group's prefix stands where
//! the host's locator does, and only the link's destination follows from the
//! address.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::packet::Packet;
use crate::wire::{Layout, Mac, Saddr, Vaddr, Vni, native};

use super::super::Drop;
use super::super::topology::HostRecord;

/// How groups are reached, and which are heard.
#[derive(Clone, Debug)]
pub struct Native {
    /// The uplink of both directions; `None` while there is none.
    pub port: Option<u16>,
    /// What stays on a link, as if all who listen were one host, without a name
    /// and without an address.
    pub near: HostRecord,
    /// All other groups.
    pub far: HostRecord,
    /// What nodes here have joined.
    pub heard: Arc<HashSet<Saddr>>,
}

impl Native {
    /// Where packets for a group go.
    pub fn towards(&self, layout: Layout, group: Vaddr) -> &HostRecord {
        match native::prefix(layout, group) == self.near.locator {
            true => &self.near,
            false => &self.far,
        }
    }

    /// Whether a packet for a group of the substrate is for nodes here.
    pub fn hears(&self, port: u16, group: &Saddr) -> bool {
        self.port == Some(port) && self.heard.contains(group)
    }

    /// Whether an address is that of any tenant's group.
    pub fn is_group(&self, address: &Saddr) -> bool {
        self.near.locator.contains(address) || self.far.locator.contains(address)
    }
}

/// Writes the group's MAC over the one that a next hop stands for.
pub(in crate::datapath) fn address_link<P: Packet>(
    layout: Layout,
    (vni, group): (Vni, Vaddr),
    packet: &mut P,
) -> Result<(), Drop> {
    let destination = packet.head_mut().first_chunk_mut();
    let mac = Mac::of_ipv6_group(native::compose(layout, vni, group));
    *destination.ok_or(Drop::HeadersSplit)? = mac.0;
    Ok(())
}
