//! Given MACs: in a vnet that wants it so, nodes see each other by the MACs of
//! their bindings and mappings, and by computed ones where none is given.
//!
//! What a node was told stands in its ARP cache for as long as it likes. So an
//! address keeps its computed MAC, and for a day each one that it was given
//! before: frames for them go where the address says. Nothing here is on the way
//! of other vnets, and packets of these take the general path.

use hashbrown::HashMap;

use crate::mapping::{Key, Participant, Reader, Target};
use crate::wire::{Mac, Vaddr, Vni};

use super::topology::{NodeRecord, Topology};
use super::{Context, resolve};

/// What the table and the topology say of given MACs.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    pub topology: &'a Topology,
    pub mappings: &'a Reader,
    pub pin: &'a Participant,
}

/// Whose MAC an address has.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'t> {
    pub mac: Mac,
    /// The node, if it is one of this host.
    pub node: Option<&'t NodeRecord>,
}

impl<'a> Given<'a> {
    #[inline]
    pub fn of(cx: &Context<'a>) -> Given<'a> {
        Given {
            topology: cx.topology,
            mappings: cx.mappings,
            pin: cx.pin,
        }
    }

    /// The MAC that an address was given, whether its mapping has ended or not:
    /// that is another question.
    pub fn owner(&self, vni: Vni, address: Vaddr) -> Option<Owner<'a>> {
        let mapping = self
            .mappings
            .resolve(self.pin, Key::new(vni.0, address.0))?;
        let Target::Local(node) = mapping.target else {
            let mac = mapping.mac?;
            return Some(Owner { mac, node: None });
        };
        let node = resolve::having(self.topology, node, vni, address)?;
        let mac = node.given?;
        let node = Some(node);
        Some(Owner { mac, node })
    }

    /// The MAC by which a node sees the one of its subnet that has an address.
    pub fn neighbor(&self, node: &NodeRecord, address: Vaddr) -> Mac {
        let given = node.sees_given.then(|| self.owner(node.vni, address));
        let given = given.flatten().map(|owner| owner.mac);
        given.unwrap_or(node.neighbors.member(address))
    }
}

/// The MAC that what a node gets from an address comes from.
#[inline(always)]
pub(super) fn seen(cx: &Context<'_>, node: &NodeRecord, source: Vaddr) -> Mac {
    match node.sees_given {
        false => node.neighbor(source),
        true => seen_given(cx, node, source),
    }
}

#[cold]
#[inline(never)]
fn seen_given(cx: &Context<'_>, node: &NodeRecord, source: Vaddr) -> Mac {
    match node.segment.gateway_mac {
        Some(gateway) if !node.segment.prefix.contains(source) => gateway,
        _ => Given::of(cx).neighbor(node, source),
    }
}

/// MACs that addresses were given before, and the second until which frames for
/// them are still theirs.
#[derive(Clone, Debug, Default)]
pub struct Formers(HashMap<(Key, Mac), u32>);

impl Formers {
    pub fn has(&self, key: Key, mac: Mac, now: u32) -> bool {
        self.0.get(&(key, mac)).is_some_and(|until| now < *until)
    }

    pub fn add(&mut self, key: Key, mac: Mac, until: u32) {
        self.0.insert((key, mac), until);
    }

    pub fn remove(&mut self, key: Key, mac: Mac) {
        self.0.remove(&(key, mac));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
