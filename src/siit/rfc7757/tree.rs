//! One side of the table: prefixes by hash, in small open tables under a trie.
//!
//! A leaf is an open table of up to [`LEAF`] entries. A fuller one is split
//! into [`FAN`] leaves under a branch that picks by the next six bits of the
//! hash; so a table grows where it must, in steps of one leaf, and is never
//! built anew as a whole. Everything hangs on `Arc`s that are copied before
//! they are changed if anybody else has them: a change costs two branches and
//! a leaf, and a clone of the tree is one count.

use std::marker::PhantomData;
use std::sync::Arc;

use super::entry::Entry;
use super::hash::Seed;
use crate::arch::prefetch;

/// Entries of a leaf before it is split: at most 60 kB to copy.
const LEAF: usize = 1024;
/// Leaves or branches under a branch.
const FAN: usize = 64;
/// Branches above a leaf. Leaves below so many only grow.
const DEPTH: u32 = 5;

/// By which of its prefixes an entry is found.
pub(super) trait Side {
    type Key: Copy;
    fn key(entry: &Entry) -> Self::Key;
    fn hash(seed: Seed, key: Self::Key) -> u64;
    fn holds(entry: &Entry, key: Self::Key) -> bool;
}

/// Address and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side4;

impl Side for Side4 {
    type Key = (u32, u8);

    #[inline(always)]
    fn key(entry: &Entry) -> Self::Key {
        (entry.ipv4, entry.len4)
    }

    #[inline(always)]
    fn hash(seed: Seed, (address, len): Self::Key) -> u64 {
        seed.of4(address, len)
    }

    #[inline(always)]
    fn holds(entry: &Entry, (address, len): Self::Key) -> bool {
        (entry.ipv4 == address) & (entry.len4 == len)
    }
}

/// Both halves and length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side6;

impl Side for Side6 {
    type Key = (u64, u64, u8);

    #[inline(always)]
    fn key(entry: &Entry) -> Self::Key {
        (entry.high, entry.low, entry.len6)
    }

    #[inline(always)]
    fn hash(seed: Seed, (high, low, len): Self::Key) -> u64 {
        seed.of6(high, low, len)
    }

    #[inline(always)]
    fn holds(entry: &Entry, (high, low, len): Self::Key) -> bool {
        (entry.high == high) & (entry.low == low) & (entry.len6 == len)
    }
}

#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    Branch(Arc<[Node; FAN]>),
}

/// An open table with linear probing, at most half full, so that a search
/// always ends at a free place.
#[derive(Clone)]
struct Leaf {
    slots: Arc<[Entry]>,
    used: usize,
}

pub(super) struct Tree<S> {
    root: Node,
    seed: Seed,
    side: PhantomData<S>,
}

// Not derived, or it would ask it of the side.
impl<S> Clone for Tree<S> {
    fn clone(&self) -> Self {
        Tree {
            root: self.root.clone(),
            seed: self.seed,
            side: PhantomData,
        }
    }
}

/// Where a search begins; its first line is on the way.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    slots: &'a [Entry],
    at: usize,
}

impl Place<'_> {
    /// Where nothing is found.
    pub(super) const NOWHERE: Place<'static> = Place { slots: &[], at: 0 };
}

impl<S: Side> Tree<S> {
    pub(super) fn new(seed: Seed) -> Self {
        Tree {
            root: Node::Leaf(Leaf::of::<S>(seed, [], 0)),
            seed,
            side: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, key: S::Key) -> Option<&Entry> {
        let place = self.place(key);
        Self::search(place, key)
    }

    #[inline(always)]
    fn place(&self, key: S::Key) -> Place<'_> {
        let hash = S::hash(self.seed, key);
        let mut node = &self.root;
        let mut bits = hash;
        while let Node::Branch(children) = node {
            node = &children[top(bits)];
            bits <<= 6;
        }
        match node {
            Node::Leaf(leaf) => Place {
                slots: &leaf.slots,
                at: home(hash, leaf.slots.len()),
            },
            Node::Branch(_) => Place::NOWHERE,
        }
    }

    /// The first of two steps: where to search, and the order to fetch it.
    #[inline(always)]
    pub(super) fn fetch(&self, key: S::Key) -> Place<'_> {
        let place = self.place(key);
        if let Some(slot) = place.slots.get(place.at) {
            prefetch(slot);
        }
        place
    }

    /// The second step.
    #[inline(always)]
    pub(super) fn search<'a>(place: Place<'a>, key: S::Key) -> Option<&'a Entry> {
        let mut at = place.at;
        loop {
            let slot = place.slots.get(at)?;
            if S::holds(slot, key) {
                return Some(slot);
            }
            if slot.is_free() {
                return None;
            }
            at = next(at, place.slots.len());
        }
    }

    /// Adds an entry whose key is not there.
    pub(super) fn insert(&mut self, entry: Entry) {
        let hash = S::hash(self.seed, S::key(&entry));
        let mut node = &mut self.root;
        let mut depth = 0;
        loop {
            if let Node::Leaf(leaf) = node
                && leaf.used >= LEAF
                && depth < DEPTH
            {
                *node = leaf.split::<S>(self.seed, depth);
            }
            match node {
                Node::Leaf(leaf) => return leaf.insert::<S>(self.seed, entry, hash),
                Node::Branch(children) => {
                    node = &mut Arc::make_mut(children)[top(hash << (6 * depth))];
                    depth += 1;
                }
            }
        }
    }

    /// Takes an entry out, if it is there. Branches with little left under
    /// them become leaves again.
    pub(super) fn remove(&mut self, key: S::Key) {
        if self.find(key).is_some() {
            let hash = S::hash(self.seed, key);
            self.root.remove::<S>(self.seed, key, hash);
        }
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter {
            slots: [].iter(),
            nodes: vec![std::slice::from_ref(&self.root).iter()],
        }
    }

    /// Bytes on the heap, counted once however often they are shared.
    pub(super) fn bytes(&self) -> usize {
        self.root.bytes()
    }
}

/// Which child the top bits choose.
#[inline(always)]
fn top(bits: u64) -> usize {
    (bits >> 58) as usize
}

/// The place to start from; of the low half of the hash, as [`top`] takes the
/// high one.
#[inline(always)]
fn home(hash: u64, slots: usize) -> usize {
    ((hash & 0xffff_ffff) * slots as u64 >> 32) as usize
}

#[inline(always)]
fn next(at: usize, slots: usize) -> usize {
    if at + 1 == slots { 0 } else { at + 1 }
}

impl Leaf {
    /// A leaf of `used` entries, with room for a quarter more.
    fn of<S: Side>(seed: Seed, entries: impl IntoIterator<Item = Entry>, used: usize) -> Leaf {
        let mut slots = vec![Entry::FREE; 2 * (used + used / 4 + 1)];
        for entry in entries {
            put::<S>(&mut slots, entry, S::hash(seed, S::key(&entry)));
        }
        Leaf {
            slots: slots.into(),
            used,
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter(|slot| !slot.is_free())
    }

    fn insert<S: Side>(&mut self, seed: Seed, entry: Entry, hash: u64) {
        if 2 * (self.used + 1) > self.slots.len() {
            let entries = self.entries().copied().chain([entry]);
            *self = Leaf::of::<S>(seed, entries, self.used + 1);
        } else {
            put::<S>(Arc::make_mut(&mut self.slots), entry, hash);
            self.used += 1;
        }
    }

    fn remove<S: Side>(&mut self, seed: Seed, key: S::Key) {
        let left = self.entries().copied().filter(|slot| !S::holds(slot, key));
        *self = Leaf::of::<S>(seed, left, self.used.saturating_sub(1));
    }

    fn split<S: Side>(&self, seed: Seed, depth: u32) -> Node {
        let mut parts: [Vec<Entry>; FAN] = std::array::from_fn(|_| Vec::new());
        for entry in self.entries() {
            parts[top(S::hash(seed, S::key(entry)) << (6 * depth))].push(*entry);
        }
        Node::Branch(Arc::new(parts.map(|part| {
            let used = part.len();
            Node::Leaf(Leaf::of::<S>(seed, part, used))
        })))
    }
}

fn put<S: Side>(slots: &mut [Entry], entry: Entry, hash: u64) {
    let mut at = home(hash, slots.len());
    while !slots[at].is_free() {
        at = next(at, slots.len());
    }
    slots[at] = entry;
}

impl Node {
    fn remove<S: Side>(&mut self, seed: Seed, key: S::Key, bits: u64) {
        match self {
            Node::Leaf(leaf) => leaf.remove::<S>(seed, key),
            Node::Branch(children) => {
                let children = Arc::make_mut(children);
                children[top(bits)].remove::<S>(seed, key, bits << 6);
                if let Some(used) = few(children) {
                    let entries = children.iter().flat_map(Node::leaf).flat_map(Leaf::entries);
                    *self = Node::Leaf(Leaf::of::<S>(seed, entries.copied(), used));
                }
            }
        }
    }

    fn leaf(&self) -> Option<&Leaf> {
        match self {
            Node::Leaf(leaf) => Some(leaf),
            Node::Branch(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        const COUNTS: usize = 16;
        match self {
            Node::Leaf(leaf) => COUNTS + size_of_val(&*leaf.slots),
            Node::Branch(children) => {
                let below: usize = children.iter().map(Node::bytes).sum();
                COUNTS + size_of_val(&**children) + below
            }
        }
    }
}

/// The entries of all children, if these are leaves that one leaf could
/// replace and not be split again soon.
fn few(children: &[Node; FAN]) -> Option<usize> {
    let used = children
        .iter()
        .map(|child| child.leaf().map(|leaf| leaf.used));
    used.sum::<Option<usize>>().filter(|used| *used <= LEAF / 4)
}

/// All entries, in no order.
pub(super) struct Iter<'a> {
    slots: std::slice::Iter<'a, Entry>,
    nodes: Vec<std::slice::Iter<'a, Node>>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            if let Some(slot) = self.slots.find(|slot| !slot.is_free()) {
                return Some(slot);
            }
            match self.nodes.last_mut()?.next() {
                Some(Node::Leaf(leaf)) => self.slots = leaf.slots.iter(),
                Some(Node::Branch(children)) => self.nodes.push(children.iter()),
                None => {
                    self.nodes.pop();
                }
            }
        }
    }
}
