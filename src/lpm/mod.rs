//! Longest-prefix match on IPv4 addresses: a number for each prefix, and for
//! an address the number of the longest prefix that it is in.
//!
//! [`Lpm`] is persistent, as the other tables of snapshots are: a clone costs
//! one count, and a change of one clone copies the few nodes on its way that
//! another one still has. So control changes its own and publishes a clone, and
//! readers follow references and nothing else, whatever is changed meanwhile.
//!
//! It is a trie of bytes, at most four nodes deep. What is behind a node is
//! written for reading: a byte for each of its 256 slots says which of its few
//! different values the slot has, so that 256 routes of one value take as much
//! as one, and finding a slot's is two loads. Nodes with nothing below them do
//! without the second table, that of children; most nodes are such.
//!
//! How it was chosen, and against what, is in docs/performance.md.

mod node;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use self::node::Node;
use crate::arch::prefetch;
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Addresses that are looked up together, a bit of a word for each.
pub const BURST: usize = u32::BITS as usize;

/// Numbers of IPv4 prefixes.
#[derive(Clone, Default)]
pub struct Lpm {
    root: Arc<Node>,
    len: usize,
}

impl Lpm {
    /// A table without prefixes.
    pub fn new() -> Lpm {
        Lpm::default()
    }

    /// A table of all these; of two with the same prefix the later one counts.
    /// Each node is written once, which takes a fraction of the time of
    /// inserting one by one.
    pub fn build(prefixes: impl IntoIterator<Item = (Prefix4, u32)>) -> Lpm {
        let mut root = Node::default();
        let mut len = 0;
        for (prefix, value) in prefixes {
            let old = root.put(prefix, value, 0, false);
            len += usize::from(old.is_none());
        }
        root.write_all();
        let root = Arc::new(root);
        Lpm { root, len }
    }

    /// How many prefixes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No prefix at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a prefix, or replaces its number; returns the old one.
    pub fn insert(&mut self, prefix: Prefix4, value: u32) -> Option<u32> {
        let old = Arc::make_mut(&mut self.root).put(prefix, value, 0, true);
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes a prefix out; returns its number.
    pub fn remove(&mut self, prefix: Prefix4) -> Option<u32> {
        // Nothing is copied in vain.
        self.get(prefix)?;
        let old = Arc::make_mut(&mut self.root).take(prefix, 0);
        self.len -= usize::from(old.is_some());
        old
    }

    /// The number of exactly this prefix.
    pub fn get(&self, prefix: Prefix4) -> Option<u32> {
        self.root.get(prefix, 0)
    }

    /// The number of the longest prefix that an address is in.
    #[inline]
    pub fn find(&self, address: Vaddr) -> Option<u32> {
        let mut node = &*self.root;
        let mut best = None;
        for slot in address.bytes() {
            best = node.value(slot).or(best);
            match node.child(slot) {
                Some(child) => node = child,
                None => break,
            }
        }
        best
    }

    /// [`find`](Self::find) for the addresses whose bit is set, level by level,
    /// so that their waits for memory overlap. `out[i]` is the answer for
    /// `addresses[i]`, and stays as it is if there is none.
    #[inline]
    pub fn find_burst(
        &self,
        addresses: &[Vaddr; BURST],
        asked: u32,
        out: &mut [Option<u32>; BURST],
    ) {
        find_all([&*self.root; BURST], addresses, asked, out);
    }

    /// The same with a table for each address.
    #[inline]
    pub fn find_each(
        tables: &[&Lpm; BURST],
        addresses: &[Vaddr; BURST],
        asked: u32,
        out: &mut [Option<u32>; BURST],
    ) {
        find_all(tables.map(|table| &*table.root), addresses, asked, out);
    }

    /// All prefixes, in no order.
    pub fn prefixes(&self) -> Vec<Prefix4> {
        let mut all = Vec::with_capacity(self.len);
        self.root.list(Vaddr(0), 0, &mut all);
        all
    }

    /// Bytes on the heap; what clones share counts for each of them.
    pub fn bytes(&self) -> usize {
        self.root.bytes()
    }
}

#[inline]
fn find_all(
    mut nodes: [&Node; BURST],
    addresses: &[Vaddr; BURST],
    asked: u32,
    out: &mut [Option<u32>; BURST],
) {
    let mut left = asked;
    for level in 0..4 {
        let mut below = 0;
        for (i, node) in nodes.iter_mut().enumerate() {
            if left >> i & 1 == 0 {
                continue;
            }
            let slot = addresses[i].bytes()[level];
            out[i] = node.value(slot).or(out[i]);
            if let Some(child) = node.child(slot) {
                prefetch(child);
                *node = child;
                below |= 1 << i;
            }
        }
        left = below;
        if left == 0 {
            return;
        }
    }
}

impl fmt::Debug for Lpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lpm")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
