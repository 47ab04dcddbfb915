//! Addresses that nodes have taken by themselves, in step with the mapping table
//! and with what is said of everybody's addresses.

use hashbrown::HashMap;

use crate::config::check::alone;
use crate::control::plant::PlantError;
use crate::control::store::Store;
use crate::mapping::{Mapping, NodeIndex, Target};
use crate::model::{Binding, Learn};
use crate::node::addresses::{AddressRefused, Verdict};
use crate::wire::address::Prefix4;
use crate::wire::{Vaddr, Vni};

use super::answer::addresses::Told;
use super::plant::Plant;

impl Plant {
    /// Puts the addresses into the table that a node has now, and takes those
    /// out that it had. Nothing has changed if one finds no room.
    pub(super) fn settle(
        &mut self,
        (node, vni, bound): (NodeIndex, Vni, Vaddr),
        before: &[Vaddr],
    ) -> Result<(), PlantError> {
        let after = self.addresses.all_of(node, bound);
        let target = Target::Local(node);
        for address in after.iter().filter(|address| !before.contains(address)) {
            let own = alone(*address);
            self.put(vni, own, Mapping::new(target))?;
            self.locals.insert((vni, own), target);
        }
        for address in before.iter().filter(|address| !after.contains(address)) {
            let own = alone(*address);
            if self.locals.remove(&(vni, own)).is_some() {
                self.leave(vni, own);
            }
        }
        self.mark_dirty();
        Ok(())
    }

    /// Somebody says where an address is that a node here has learned: it knows
    /// better.
    pub(super) fn give_up(&mut self, vni: Vni, prefix: Prefix4) {
        if self.addresses.is_empty() || prefix.len != 32 {
            return;
        }
        let Some(Target::Local(node)) = self.locals.get(&(vni, prefix)).copied() else {
            return;
        };
        let learned = self.addresses.of(node).map(|learned| learned.bound());
        let (Some(bound), true) = (learned, self.addresses.has(node, prefix.address)) else {
            return;
        };
        let mut before = self.addresses.all_of(node, bound);
        before.retain(|address| *address != prefix.address);
        self.addresses.forget(node, prefix.address);
        // What is said now stands in its place in the table.
        self.locals.remove(&(vni, prefix));
        if let Err(error) = self.settle((node, vni, bound), &before) {
            log::error!("{bound}: {error}");
        }
        let why = Some(AddressRefused::Taken);
        self.lost_address((node, bound), prefix.address, why);
    }

    /// Vnets, bindings, subnets or routers have changed.
    pub(super) fn review_addresses(&mut self, store: &Store) {
        if self.addresses.is_empty() {
            return;
        }
        let numbered = |binding| Some((self.numbers.get(name_of(binding))?, binding));
        let bindings: HashMap<NodeIndex, &Binding> =
            store.bindings().filter_map(numbered).collect();
        let bound = |node: NodeIndex| {
            let binding = bindings.get(&node)?;
            let vnet = store.vnet(&binding.vnet)?;
            Some((vnet.vni, binding.address?))
        };
        let given = |binding: &Binding, address| {
            let mut prefixes = binding.prefixes.iter();
            prefixes.any(|prefix| prefix.contains(address))
        };
        let keep = |node: NodeIndex, address: Vaddr| {
            bindings.get(&node).is_some_and(|binding| {
                let vnet = store.vnet(&binding.vnet);
                let learns = vnet.is_some_and(|vnet| vnet.learn != Learn::Never);
                learns && !given(binding, address) && store.fits(binding, address).is_ok()
            })
        };
        let lost = self.addresses.review(bound, keep);
        for (node, address) in lost {
            let binding = bindings.get(&node);
            // What was made lasting is not lost.
            if let Some(binding) = binding.filter(|binding| !given(binding, address)) {
                let bound = binding.address.unwrap_or(Vaddr(0));
                self.lost_address((node, bound), address, None);
            }
        }
    }

    fn lost_address(
        &mut self,
        (node, bound): (NodeIndex, Vaddr),
        address: Vaddr,
        why: Option<AddressRefused>,
    ) {
        let told = Told {
            node,
            bound,
            address,
            verdict: Verdict::Dropped,
            why,
            seen: None,
        };
        let event = self.address_event(told);
        self.address_news.extend(event);
    }
}

fn name_of(binding: &Binding) -> &str {
    &binding.name
}
