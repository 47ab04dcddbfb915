//! Addresses that nobody knows, told to whoever subscribes.

use crate::control::proto::Event;
use crate::control::store::Store;
use crate::mapping::{Key, NodeIndex};
use crate::wire::{Vaddr, Vni};

use super::Replies;
use crate::appliance::plant::Plant;

impl Plant {
    pub(super) fn tell_miss(
        &mut self,
        key: Key,
        node: Option<NodeIndex>,
        store: &Store,
        replies: &mut Replies,
    ) {
        self.slow.misses += 1;
        let Some(vnet) = store.vnet_of(Vni(key.vni())) else {
            return;
        };
        let node = node.and_then(|node| self.topology().node(node));
        replies.events.push(Event::Miss {
            vnet: vnet.name.clone(),
            address: Vaddr(key.vaddr()),
            node: node.map_or_else(String::new, |node| node.name.clone()),
            held: 1,
        });
    }

    /// A node asked who has an address, and nobody has: no packet waits for it.
    pub(super) fn tell_unknown(
        &mut self,
        key: Key,
        node: NodeIndex,
        store: &Store,
        replies: &mut Replies,
    ) {
        let Some(vnet) = store.vnet_of(Vni(key.vni())) else {
            return;
        };
        self.slow.misses += 1;
        let node = self.topology().node(node);
        replies.events.push(Event::Miss {
            vnet: vnet.name.clone(),
            address: Vaddr(key.vaddr()),
            node: node.map_or_else(String::new, |node| node.name.clone()),
            held: 0,
        });
    }
}
