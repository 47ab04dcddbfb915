//! A node of the trie: the prefixes that end in one byte of an address, and
//! what is below it.
//!
//! The list of its prefixes is the truth; the tables that are read are written
//! anew from it whenever it changes, which takes a microsecond or two.

use std::sync::Arc;

use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

const SLOTS: usize = 256;

/// Its place among the 511 prefixes of zero to eight bits: a one and the bits,
/// so that order is by length first.
type Place = u16;

#[derive(Clone)]
pub(super) struct Node {
    /// Which of `values` each slot has.
    value_of: [u8; SLOTS],
    values: Box<[Option<u32>]>,
    /// One more than which of `children`; 0 is none.
    child_of: Option<Box<[u16; SLOTS]>>,
    children: Vec<Arc<Node>>,
    /// In order.
    prefixes: Vec<(Place, u32)>,
}

impl Default for Node {
    fn default() -> Node {
        Node {
            value_of: [0; SLOTS],
            values: Box::new([None]),
            child_of: None,
            children: Vec::new(),
            prefixes: Vec::new(),
        }
    }
}

/// What of a prefix is a node's: its place, or the slot of the child it goes
/// on in.
enum Step {
    Here(Place),
    Below(u8),
}

fn step(prefix: Prefix4, level: u8) -> Step {
    let byte = prefix.address.bytes()[usize::from(level & 3)];
    match prefix.len - 8 * level {
        bits @ 0..=8 => Step::Here(1 << bits | u16::from(byte) >> (8 - bits)),
        _ => Step::Below(byte),
    }
}

/// The slots of a place.
fn span(place: Place) -> std::ops::Range<usize> {
    let bits = place.ilog2();
    let first = usize::from(place ^ 1 << bits) << (8 - bits);
    first..first + (SLOTS >> bits)
}

impl Node {
    /// The longest prefix of this node at a slot.
    #[inline(always)]
    pub(super) fn value(&self, slot: u8) -> Option<u32> {
        let which = self.value_of[usize::from(slot)];
        self.values.get(usize::from(which)).copied().flatten()
    }

    #[inline(always)]
    pub(super) fn child(&self, slot: u8) -> Option<&Node> {
        let which = self.child_of.as_ref()?[usize::from(slot)];
        let child = self.children.get(usize::from(which).wrapping_sub(1))?;
        Some(child)
    }

    /// Its prefixes and those below; `base` are the bits before its own.
    pub(super) fn list(&self, base: Vaddr, level: u8, out: &mut Vec<Prefix4>) {
        let shift = 24 - 8 * u32::from(level);
        for (place, _) in &self.prefixes {
            let first = span(*place).start as u32;
            out.push(Prefix4 {
                address: Vaddr(base.0 | first << shift),
                len: 8 * level + place.ilog2() as u8,
            });
        }
        for slot in 0..=u8::MAX {
            if let Some(child) = self.child(slot) {
                let base = Vaddr(base.0 | u32::from(slot) << shift);
                child.list(base, level + 1, out);
            }
        }
    }

    fn child_mut(&mut self, slot: u8) -> Option<&mut Arc<Node>> {
        let which = self.child_of.as_ref()?[usize::from(slot)];
        self.children.get_mut(usize::from(which).wrapping_sub(1))
    }

    pub(super) fn get(&self, prefix: Prefix4, level: u8) -> Option<u32> {
        match step(prefix, level) {
            Step::Here(place) => {
                let at = self.prefixes.binary_search_by_key(&place, |it| it.0);
                at.ok().map(|at| self.prefixes[at].1)
            }
            Step::Below(slot) => self.child(slot)?.get(prefix, level + 1),
        }
    }

    /// Adds or replaces; with `write` false the tables of values are left as
    /// they are, for [`write_all`](Self::write_all).
    pub(super) fn put(
        &mut self,
        prefix: Prefix4,
        value: u32,
        level: u8,
        write: bool,
    ) -> Option<u32> {
        let place = match step(prefix, level) {
            Step::Here(place) => place,
            Step::Below(slot) => {
                let child = self.child_or_new(slot);
                return Arc::make_mut(child).put(prefix, value, level + 1, write);
            }
        };
        let old = match self.prefixes.binary_search_by_key(&place, |it| it.0) {
            Ok(at) => Some(std::mem::replace(&mut self.prefixes[at].1, value)),
            Err(at) => {
                self.prefixes.insert(at, (place, value));
                None
            }
        };
        if write {
            self.write_values();
        }
        old
    }

    fn child_or_new(&mut self, slot: u8) -> &mut Arc<Node> {
        let child_of = self.child_of.get_or_insert_with(|| Box::new([0; SLOTS]));
        let which = &mut child_of[usize::from(slot)];
        if *which == 0 {
            self.children.push(Arc::default());
            *which = self.children.len() as u16;
        }
        &mut self.children[usize::from(*which) - 1]
    }

    /// Takes out what [`get`](Self::get) finds.
    pub(super) fn take(&mut self, prefix: Prefix4, level: u8) -> Option<u32> {
        match step(prefix, level) {
            Step::Here(place) => {
                let at = self.prefixes.binary_search_by_key(&place, |it| it.0);
                let (_, old) = self.prefixes.remove(at.ok()?);
                self.prefixes.shrink_to(2 * self.prefixes.len());
                self.write_values();
                Some(old)
            }
            Step::Below(slot) => {
                let child = Arc::make_mut(self.child_mut(slot)?);
                let old = child.take(prefix, level + 1);
                if child.prefixes.is_empty() && child.children.is_empty() {
                    self.remove_child(slot);
                }
                old
            }
        }
    }

    fn remove_child(&mut self, slot: u8) {
        let Some(child_of) = &mut self.child_of else {
            return;
        };
        let gone = std::mem::take(&mut child_of[usize::from(slot)]);
        self.children.swap_remove(usize::from(gone) - 1);
        let moved = self.children.len() as u16 + 1;
        if let Some(which) = child_of.iter_mut().find(|which| **which == moved) {
            *which = gone;
        }
        self.children.shrink_to(2 * self.children.len());
        if self.children.is_empty() {
            self.child_of = None;
        }
    }

    /// Writes the values of this node and of all below it.
    pub(super) fn write_all(&mut self) {
        self.write_values();
        self.children.shrink_to_fit();
        self.prefixes.shrink_to_fit();
        for child in &mut self.children {
            Arc::make_mut(child).write_all();
        }
    }

    /// Shorter prefixes first, so that longer ones write over them; then equal
    /// neighbours share a value. Different ones are at most as many as slots.
    fn write_values(&mut self) {
        let mut slots = [None; SLOTS];
        for (place, value) in &self.prefixes {
            slots[span(*place)].fill(Some(*value));
        }
        let mut values = Vec::with_capacity(16);
        for (slot, which) in slots.iter().zip(&mut self.value_of) {
            if values.last() != Some(slot) {
                values.push(*slot);
            }
            *which = (values.len() - 1) as u8;
        }
        self.values = values.into();
    }

    pub(super) fn bytes(&self) -> usize {
        // Two counts before a shared node.
        let own = 16 + size_of::<Node>() + size_of_val(&*self.values);
        let child_of = self.child_of.as_ref().map_or(0, |it| size_of_val(&**it));
        let lists = self.children.capacity() * size_of::<Arc<Node>>()
            + self.prefixes.capacity() * size_of::<(Place, u32)>();
        let below: usize = self.children.iter().map(|child| child.bytes()).sum();
        own + child_of + lists + below
    }
}
