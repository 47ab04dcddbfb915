//! The reader's side: the longest prefix of each key of a burst.
//!
//! Directories and nodes may be older than what they lead to. Where a prefix is
//! no longer there, the key is looked for once more, by itself and without
//! leaving anything out, so that a shorter one which was there all the while is
//! found.

use arrayvec::ArrayVec;

use super::node::{Covering, Directory, LEVELS, directory_key, node_key, prefix_key};
use crate::mapping::{
    arch::prefetch,
    entry::{Key, Words},
    reader::BURST,
    table::{First, Table},
};

/// The words of the longest prefix that covers `key`, one probe after another.
#[inline(never)]
pub(in super::super) fn longest(table: &Table, key: Key) -> Option<Words> {
    let directory = Directory::decode(table.find(directory_key(key.vni()))?);
    let number = directory.number;
    let node = |level| {
        let words = table.find(node_key(number, level, key.vaddr()));
        let bits = words.map_or(0, |words| words[0]);
        Covering::of_node(bits, level, key.vaddr())
    };
    let used = |level: &u8| directory.levels >> level & 1 != 0;
    let nodes = (0..LEVELS).rev().filter(used).flat_map(node);
    let short = Covering::of_directory(directory.bits, key.vaddr());
    let find = |len| table.find(prefix_key(number, len, key.vaddr()));
    nodes.chain(short).find_map(find)
}

/// A key that is looked for.
struct Search {
    /// Its place in the burst.
    at: usize,
    key: Key,
    number: u32,
    /// Those that are still to be asked; none once a length is known.
    levels: u8,
    /// The longest there is, as far as was asked.
    len: Option<u8>,
}

type Searches = ArrayVec<Search, BURST>;

/// [`longest`] for each of at most [`BURST`] keys: `found` hears of each that is
/// in a prefix, by its place.
#[inline]
pub(in super::super) fn longest_burst(
    table: &Table,
    keys: &[Key],
    mut found: impl FnMut(usize, Words),
) {
    let (mut searches, levels) = enter(table, keys);
    for level in (0..LEVELS).rev().filter(|level| levels >> level & 1 != 0) {
        ask(table, &mut searches, level);
    }
    searches.retain(|search| search.len.is_some());
    let key = |search: &Search| {
        let len = search.len.unwrap_or_default();
        prefix_key(search.number, len, search.key.vaddr())
    };
    find_all(table, searches.iter().map(key), |i, words| {
        let Search { at, key, .. } = searches[i];
        if let Some(words) = words.or_else(|| longest(table, key)) {
            found(at, words);
        }
    });
}

/// The keys whose vnet has prefixes, and all levels that are to be asked. The
/// keys of a burst are mostly of one vnet.
fn enter(table: &Table, keys: &[Key]) -> (Searches, u8) {
    let mut last = None;
    let mut levels = 0;
    let search = |(at, key): (usize, &Key)| {
        let directory = match last {
            Some((vni, directory)) if vni == key.vni() => directory,
            _ => table.find(directory_key(key.vni())).map(Directory::decode),
        };
        last = Some((key.vni(), directory));
        let directory = directory?;
        levels |= directory.levels;
        Some(Search {
            at,
            key: *key,
            number: directory.number,
            levels: directory.levels,
            len: Covering::of_directory(directory.bits, key.vaddr()).longest(),
        })
    };
    let keys = keys.iter().take(BURST).enumerate();
    let searches = keys.filter_map(search).collect();
    (searches, levels)
}

/// Asks the nodes of a level, for the keys of which nothing longer is known.
fn ask(table: &Table, searches: &mut Searches, level: u8) {
    let asked = |search: &&mut Search| search.levels >> level & 1 != 0;
    let mut asked: ArrayVec<&mut Search, BURST> = searches.iter_mut().filter(asked).collect();
    let keys: ArrayVec<u64, BURST> = asked
        .iter()
        .map(|search| node_key(search.number, level, search.key.vaddr()))
        .collect();
    find_all(table, keys.into_iter(), |i, words| {
        let search = &mut *asked[i];
        let bits = words.map_or(0, |words| words[0]);
        let covering = Covering::of_node(bits, level, search.key.vaddr());
        if let Some(len) = covering.longest() {
            search.len = Some(len);
            search.levels = 0;
        }
    });
}

/// The entries of at most [`BURST`] keys: all are fetched before any is read.
#[inline]
fn find_all(
    table: &Table,
    keys: impl Iterator<Item = u64>,
    mut each: impl FnMut(usize, Option<Words>),
) {
    let at_home = |key| (key, table.home(table.hash(key)));
    let keys: ArrayVec<_, BURST> = keys.take(BURST).map(at_home).collect();
    for (_, home) in &keys {
        prefetch(table.bucket(*home));
    }
    for (i, (key, home)) in keys.into_iter().enumerate() {
        let words = match table.bucket(home).look(key, true) {
            First::Hit(word) => Some([word, 0, 0]),
            First::Nothing => None,
            First::Further | First::Unclear => table.find(key),
        };
        each(i, words);
    }
}
