//! One side of the table: prefixes by hash, in small open tables under a trie.
//!
//! A leaf is an open table of up to [`LEAF`] entries. A fuller one is split
//! into [`FAN`] leaves under a branch that picks by the next six bits of the
//! hash; so a table grows where it must, in steps of one leaf, and is never
//! built anew as a whole. Everything hangs on `Arc`s that are copied before
//! they are changed if anybody else has them: a change costs two branches and
//! a leaf, and a clone of the tree is one count.
//!
//! A leaf's entries lie in buckets of two cache lines, which are fetched
//! together: five entries, and a byte of the hash of each, so that one
//! comparison finds the only entry worth a look. That is one wait for memory
//! below a trie that stays in a core's own cache, and a path without loops,
//! which the processor can foresee.

use std::marker::PhantomData;
use std::sync::Arc;

use super::entry::Entry;
use super::hash::Seed;
use super::side::Side;
use crate::arch::prefetch;

/// Entries of a leaf before it is split: at most 74 kB to copy. Chosen so that
/// round numbers of entries are far from a split.
const LEAF: usize = 1536;
/// Leaves or branches under a branch.
const FAN: usize = 64;
/// Entries of a bucket.
const BUCKET: usize = 5;
/// Marks a bucket that entries were sent on from, beside its tags.
const OVERFLOW: u64 = 1 << 63;
/// Branches above a leaf. Leaves below so many only grow.
const DEPTH: u32 = 5;

#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    Branch(Arc<[Node; FAN]>),
}

/// An open table of buckets; what does not fit its bucket is in the next one.
/// At most three entries a bucket on average, so that about one in fourteen
/// buckets overflows.
#[derive(Clone)]
struct Leaf {
    buckets: Arc<[Bucket]>,
    used: usize,
}

/// Two lines that are fetched together.
#[derive(Clone)]
#[repr(C, align(128))]
struct Bucket {
    /// Five tags from the lowest byte, 0 where a place is free; [`OVERFLOW`].
    tags: u64,
    entries: [Entry; BUCKET],
}

const _: () = assert!(size_of::<Bucket>() == 128);

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

/// Where a search begins; its lines are on the way.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    bucket: &'a Bucket,
    tag: u8,
}

impl Place<'_> {
    /// Where nothing is found.
    pub(super) const NOWHERE: Place<'static> = Place {
        bucket: &Bucket::FREE,
        tag: 0xff,
    };
}

impl<S: Side> Tree<S> {
    /// A tree of all these, or nothing if two have the same key. Leaf by leaf,
    /// which takes a fraction of the time of inserting one by one.
    pub(super) fn of(seed: Seed, entries: Vec<Entry>) -> Option<Self> {
        Some(Tree {
            root: Node::of::<S>(seed, entries, 0)?,
            seed,
            side: PhantomData,
        })
    }

    pub(super) fn new(seed: Seed) -> Self {
        Tree {
            root: Node::Leaf(Leaf::with_room(0)),
            seed,
            side: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn find(&self, key: S::Key) -> Option<&Entry> {
        let hash = S::hash(self.seed, key);
        self.search(self.leaf(hash).place(hash), key)
    }

    /// The leaf that a hash belongs to.
    #[inline(always)]
    fn leaf(&self, hash: u64) -> &Leaf {
        let mut node = &self.root;
        let mut bits = hash;
        loop {
            match node {
                Node::Leaf(leaf) => return leaf,
                Node::Branch(children) => {
                    node = &children[top(bits)];
                    bits <<= 6;
                }
            }
        }
    }

    /// The first of two steps: where to search, and the order to fetch it.
    #[inline(always)]
    pub(super) fn fetch(&self, key: S::Key) -> Place<'_> {
        let hash = S::hash(self.seed, key);
        let place = self.leaf(hash).place(hash);
        prefetch(&place.bucket.tags);
        prefetch(&place.bucket.entries[BUCKET - 1]);
        place
    }

    /// The second step.
    #[inline(always)]
    pub(super) fn search<'a>(&'a self, place: Place<'a>, key: S::Key) -> Option<&'a Entry> {
        let found = place.bucket.find::<S>(place.tag, key);
        if found.is_none() && place.bucket.tags & OVERFLOW != 0 {
            return self.search_on(key);
        }
        found
    }

    /// In the buckets after the first, which few entries are in.
    #[cold]
    #[inline(never)]
    fn search_on(&self, key: S::Key) -> Option<&Entry> {
        let hash = S::hash(self.seed, key);
        self.leaf(hash).find_on::<S>(hash, key)
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
            entries: [].iter(),
            buckets: [].iter(),
            nodes: vec![std::slice::from_ref(&self.root).iter()],
        }
    }

    /// Bytes on the heap, whoever shares them.
    pub(super) fn bytes(&self) -> usize {
        self.root.bytes()
    }
}

/// Which child the top bits choose.
#[inline(always)]
fn top(bits: u64) -> usize {
    (bits >> 58) as usize
}

/// The bucket to start from; of the low half of the hash, as [`top`] takes the
/// high one.
#[inline(always)]
fn home(hash: u64, buckets: usize) -> usize {
    (((hash & 0xffff_ffff) * buckets as u64) >> 32) as usize
}

/// 1 to 255.
#[inline(always)]
fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

#[inline(always)]
fn next(at: usize, buckets: usize) -> usize {
    if at + 1 == buckets { 0 } else { at + 1 }
}

/// The top bits of those of the lower five bytes that equal `tag`; above one of
/// them perhaps one that does not, which comparing the entry sorts out.
#[inline(always)]
fn matching(tags: u64, tag: u8) -> u64 {
    const ONES: u64 = 0x01_0101_0101;
    let differ = tags ^ (ONES * u64::from(tag));
    differ.wrapping_sub(ONES) & !differ & (ONES << 7)
}

impl Bucket {
    const FREE: Bucket = Bucket {
        tags: 0,
        entries: [Entry::FREE; BUCKET],
    };

    #[inline(always)]
    fn find<S: Side>(&self, tag: u8, key: S::Key) -> Option<&Entry> {
        let mut mask = matching(self.tags, tag);
        while mask != 0 {
            let entry = self.entries.get(mask.trailing_zeros() as usize / 8)?;
            if S::holds(entry, key) {
                return Some(entry);
            }
            mask &= mask - 1;
        }
        None
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_free())
    }
}

impl Leaf {
    /// A leaf for `used` entries and an eighth more.
    fn with_room(used: usize) -> Leaf {
        Leaf {
            buckets: vec![Bucket::FREE; 1 + (used + used / 8) / 3].into(),
            used: 0,
        }
    }

    /// A leaf of so many entries, whose keys differ.
    fn of<S: Side>(seed: Seed, entries: impl IntoIterator<Item = Entry>, used: usize) -> Leaf {
        let mut leaf = Leaf::with_room(used);
        let buckets = Arc::make_mut(&mut leaf.buckets);
        for entry in entries {
            put(buckets, entry, S::hash(seed, S::key(&entry)));
        }
        leaf.used = used;
        leaf
    }

    #[inline(always)]
    fn place(&self, hash: u64) -> Place<'_> {
        Place {
            bucket: &self.buckets[home(hash, self.buckets.len())],
            tag: tag(hash),
        }
    }

    /// Searches the buckets after the first.
    fn find_on<S: Side>(&self, hash: u64, key: S::Key) -> Option<&Entry> {
        let mut at = home(hash, self.buckets.len());
        loop {
            at = next(at, self.buckets.len());
            let bucket = &self.buckets[at];
            let found = bucket.find::<S>(tag(hash), key);
            // Not all overflow: there are fewer entries than places.
            if found.is_some() || bucket.tags & OVERFLOW == 0 {
                return found;
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(Bucket::entries)
    }

    /// Of two with the same key a search finds the first.
    fn is_of_one_each<S: Side>(&self, seed: Seed) -> bool {
        self.entries().all(|entry| {
            let key = S::key(entry);
            let hash = S::hash(seed, key);
            let first = self.place(hash);
            let found = match first.bucket.find::<S>(first.tag, key) {
                None if first.bucket.tags & OVERFLOW != 0 => self.find_on::<S>(hash, key),
                found => found,
            };
            found.is_some_and(|found| std::ptr::eq(found, entry))
        })
    }

    fn insert<S: Side>(&mut self, seed: Seed, entry: Entry, hash: u64) {
        self.used += 1;
        if self.used > 3 * self.buckets.len() {
            let entries = self.entries().copied().chain([entry]);
            *self = Leaf::of::<S>(seed, entries, self.used);
        } else {
            put(Arc::make_mut(&mut self.buckets), entry, hash);
        }
    }

    /// In place if nothing was sent on from the bucket; so a bucket that says
    /// so is always full, and a search comes to one that is not. Also all anew
    /// when it has become much too large.
    fn remove<S: Side>(&mut self, seed: Seed, key: S::Key) {
        let holds = |entry: &Entry| S::holds(entry, key);
        let place = |bucket: &Bucket| bucket.entries.iter().position(holds);
        let start = home(S::hash(seed, key), self.buckets.len());
        let mut order = (start..self.buckets.len()).chain(0..start);
        let found = order.find_map(|at| Some((at, place(&self.buckets[at])?)));
        let Some((at, n)) = found else {
            return;
        };
        self.used -= 1;
        let sent_on = self.buckets[at].tags & OVERFLOW != 0;
        if sent_on || self.used < self.buckets.len() {
            let left = self.entries().copied().filter(|entry| !holds(entry));
            *self = Leaf::of::<S>(seed, left, self.used);
        } else {
            let bucket = &mut Arc::make_mut(&mut self.buckets)[at];
            bucket.entries[n] = Entry::FREE;
            bucket.tags &= !(0xff << (8 * n));
        }
    }

    fn split<S: Side>(&self, seed: Seed, depth: u32) -> Node {
        let parts = parts::<S>(seed, self.entries().copied(), depth);
        Node::Branch(Arc::new(parts.map(|part| {
            let used = part.len();
            Node::Leaf(Leaf::of::<S>(seed, part, used))
        })))
    }
}

/// There is a free place.
fn put(buckets: &mut [Bucket], entry: Entry, hash: u64) {
    let mut at = home(hash, buckets.len());
    loop {
        let bucket = &mut buckets[at];
        if let Some(n) = bucket.entries.iter().position(Entry::is_free) {
            bucket.entries[n] = entry;
            bucket.tags |= u64::from(tag(hash)) << (8 * n);
            return;
        }
        bucket.tags |= OVERFLOW;
        at = next(at, buckets.len());
    }
}

/// Entries by the child they belong to.
fn parts<S: Side>(
    seed: Seed,
    entries: impl Iterator<Item = Entry>,
    depth: u32,
) -> [Vec<Entry>; FAN] {
    let room = entries.size_hint().0 / FAN * 9 / 8;
    let mut parts = std::array::from_fn(|_| Vec::with_capacity(room));
    for entry in entries {
        parts[top(S::hash(seed, S::key(&entry)) << (6 * depth))].push(entry);
    }
    parts
}

impl Node {
    /// None if two entries have the same key.
    fn of<S: Side>(seed: Seed, entries: Vec<Entry>, depth: u32) -> Option<Node> {
        if entries.len() > LEAF && depth < DEPTH {
            let parts = parts::<S>(seed, entries.into_iter(), depth);
            let children = parts
                .into_iter()
                .map(|part| Node::of::<S>(seed, part, depth + 1));
            let children: Box<[Node]> = children.collect::<Option<_>>()?;
            let children: Box<[Node; FAN]> = children.try_into().ok()?;
            return Some(Node::Branch(children.into()));
        }
        let used = entries.len();
        let leaf = Leaf::of::<S>(seed, entries, used);
        leaf.is_of_one_each::<S>(seed).then_some(Node::Leaf(leaf))
    }

    fn remove<S: Side>(&mut self, seed: Seed, key: S::Key, bits: u64) {
        match self {
            Node::Leaf(leaf) => leaf.remove::<S>(seed, key),
            Node::Branch(children) => {
                let children = Arc::make_mut(children);
                children[top(bits)].remove::<S>(seed, key, bits << 6);
                if let Some(used) = few(children) {
                    let leaves = children.iter().filter_map(Node::leaf);
                    let entries = leaves.flat_map(Leaf::entries).copied();
                    *self = Node::Leaf(Leaf::of::<S>(seed, entries, used));
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
        // Two counts, and what aligns the buckets after them.
        let (counts, aligned) = (16, 128);
        match self {
            Node::Leaf(leaf) => aligned + size_of_val(&*leaf.buckets),
            Node::Branch(children) => {
                let below: usize = children.iter().map(Node::bytes).sum();
                counts + size_of_val(&**children) + below
            }
        }
    }
}

/// The entries of all children, if these are leaves that one leaf could
/// replace and not be split again soon.
fn few(children: &[Node; FAN]) -> Option<usize> {
    let used = children.iter().map(|child| Some(child.leaf()?.used));
    used.sum::<Option<usize>>().filter(|used| *used <= LEAF / 4)
}

/// All entries, in no order.
pub(super) struct Iter<'a> {
    entries: std::slice::Iter<'a, Entry>,
    buckets: std::slice::Iter<'a, Bucket>,
    nodes: Vec<std::slice::Iter<'a, Node>>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            if let Some(entry) = self.entries.find(|entry| !entry.is_free()) {
                return Some(entry);
            }
            if let Some(bucket) = self.buckets.next() {
                self.entries = bucket.entries.iter();
                continue;
            }
            match self.nodes.last_mut()?.next() {
                Some(Node::Leaf(leaf)) => self.buckets = leaf.buckets.iter(),
                Some(Node::Branch(children)) => self.nodes.push(children.iter()),
                None => {
                    self.nodes.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Of tags that equal, all are among what is found; what is not a tag
        /// never is.
        #[test]
        fn tags_are_found(bytes: [u8; 8], planted in 0..BUCKET, tag in 1..=255u8) {
            let mut bytes = bytes;
            bytes[planted] = tag;
            let mut mask = matching(u64::from_le_bytes(bytes), tag);
            let mut found = Vec::new();
            while mask != 0 {
                found.push(mask.trailing_zeros() as usize / 8);
                mask &= mask - 1;
            }
            for (n, byte) in bytes.iter().enumerate() {
                let equal = *byte == tag && n < BUCKET;
                prop_assert!(!equal || found.contains(&n), "{}", n);
            }
            prop_assert!(found.iter().all(|n| *n < BUCKET));
        }
    }
}
