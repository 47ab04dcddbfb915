//! Which prefixes of a vnet there are, five lengths at a time.
//!
//! A node has a bit for each prefix that ends within the five bits after its
//! first ones, 62 in all, so it is one word, and one AND with the path of an
//! address leaves the prefixes that cover it. The directory of a vnet is the
//! node of the lengths from 0 to 4.
//!
//! The steps end at 24 bits, where most routes do.

use super::{Prefix, Words, mask};

/// Steps after that of the directory.
pub(super) const LEVELS: u8 = 6;
/// Lengths of a step.
const STRIDE: u8 = 5;
/// The longest prefixes that stand in the directory.
const SHORT: u8 = 4;

const NUMBER_SHIFT: u32 = 38;
const LENGTH_SHIFT: u32 = 32;
/// Marks directory keys.
const DIRECTORY: u64 = 1 << 63;
/// Stands for a length in the key of a node of level 0; others follow.
const NODE: u8 = 33;
/// Numbers fit the 25 bits between length and [`DIRECTORY`].
pub(super) const MAX_VNETS: usize = 1 << NUMBER_BITS;
const NUMBER_BITS: u32 = 25;

/// By the last bits of an address within a node, with a one before them: the
/// places of all prefixes of the node that it is in.
static COVERING: [u64; 64] = covering();

const fn covering() -> [u64; 64] {
    let mut all = [0; 64];
    let mut path = 0;
    while path < 64 {
        let mut shorter = path;
        while shorter > 0 {
            all[path] |= 1 << shorter;
            shorter >>= 1;
        }
        path += 1;
    }
    all
}

/// How many bits lead to the nodes of a level.
const fn base(level: u8) -> u8 {
    SHORT + STRIDE * level
}

/// Where the bit of a prefix is: its level (none: the directory), and the bit.
pub(super) fn bit(prefix: Prefix) -> (Option<u8>, u64) {
    let (level, first) = match prefix.len.checked_sub(SHORT + 1) {
        Some(beyond) => (Some(beyond / STRIDE), base(beyond / STRIDE)),
        None => (None, 0),
    };
    // A one and the bits of the prefix that are the node's.
    let len = u32::from(prefix.len - first);
    let own = (u64::from(prefix.addr) << (32 + first)) >> 32;
    let place = 1 << len | own >> (32 - len);
    (level, 1 << place)
}

/// The lengths of a node's prefixes that an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Covering {
    bits: u64,
    base: u8,
}

impl Covering {
    /// Of the node of a level that the address leads to.
    #[inline]
    pub(super) fn of_node(bits: u64, level: u8, addr: u32) -> Covering {
        let base = base(level);
        let path = 32 | (addr << base) >> 27;
        Covering {
            bits: bits & COVERING[path as usize & 63],
            base,
        }
    }

    /// Of the directory.
    #[inline]
    pub(super) fn of_directory(bits: u64, addr: u32) -> Covering {
        let path = 16 | addr >> 28;
        Covering {
            bits: bits & COVERING[path as usize & 63],
            base: 0,
        }
    }

    #[inline]
    pub(super) fn longest(self) -> Option<u8> {
        // A longer one has a higher place, and that tells its length.
        let place = self.bits.checked_ilog2()?;
        Some(self.base + place.checked_ilog2()? as u8)
    }
}

impl Iterator for Covering {
    type Item = u8;

    /// From the longest on.
    fn next(&mut self) -> Option<u8> {
        let len = self.longest()?;
        self.bits ^= 1 << self.bits.ilog2();
        Some(len)
    }
}

#[inline]
fn key(number: u32, len: u8, addr: u32) -> u64 {
    u64::from(number) << NUMBER_SHIFT | u64::from(len) << LENGTH_SHIFT | u64::from(addr)
}

/// The key of a vnet's directory.
#[inline]
pub(super) fn directory_key(vni: u32) -> u64 {
    DIRECTORY | u64::from(vni)
}

/// The key of the node that an address leads to.
#[inline]
pub(super) fn node_key(number: u32, level: u8, addr: u32) -> u64 {
    key(number, NODE + level, addr & mask(base(level)))
}

/// The key of the prefix of a length that an address is in.
#[inline]
pub(super) fn prefix_key(number: u32, len: u8, addr: u32) -> u64 {
    key(number, len, addr & mask(len.min(32)))
}

/// Number, length and address of a prefix's key; of other keys none.
pub(super) fn decode(key: u64) -> Option<(u32, u8, u32)> {
    let len = (key >> LENGTH_SHIFT) as u8 & 0x3f;
    let number = (key >> NUMBER_SHIFT) as u32;
    (key & DIRECTORY == 0 && len <= 32).then_some((number, len, key as u32))
}

/// What the directory of a vnet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    /// Stands for the vnet in keys.
    pub(super) number: u32,
    /// A bit for each level that has prefixes.
    pub(super) levels: u8,
    /// Those of its own.
    pub(super) bits: u64,
}

impl Directory {
    #[inline]
    pub(super) fn decode([word, ..]: Words) -> Directory {
        Directory {
            number: word as u32 & (MAX_VNETS as u32 - 1),
            levels: (word as u32 >> NUMBER_BITS) as u8,
            bits: word >> 32,
        }
    }

    /// One word: a number, a bit for each level, and 32 places.
    pub(super) fn encode(self) -> Words {
        let low = self.number | u32::from(self.levels) << NUMBER_BITS;
        [u64::from(low) | self.bits << 32, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(addr: u32, len: u8) -> Prefix {
        Prefix::new(7, addr & mask(len), len).unwrap()
    }

    #[test]
    fn each_prefix_has_a_bit_of_its_own_and_covers_its_addresses() {
        for len in 0..=32u8 {
            for addr in [0, u32::MAX, 0x0a00_0002, 0xa5a5_5a5a] {
                let (level, bit) = bit(prefix(addr, len));
                let covering = |addr| match level {
                    Some(level) => Covering::of_node(bit, level, addr),
                    None => Covering::of_directory(bit, addr),
                };
                assert_eq!(covering(addr).collect::<Vec<_>>(), [len], "{addr:#x}/{len}");
                // The neighbour that differs in the last bit of the prefix.
                if let Some(last) = len.checked_sub(1) {
                    assert_eq!(covering(addr ^ 1 << (31 - last)).longest(), None);
                }
            }
        }
    }

    #[test]
    fn a_node_answers_with_all_that_cover_from_the_longest_on() {
        let addr = 0xc0a8_b1ff;
        let bits = (20..=24).fold(0, |bits, len| {
            let (level, bit) = bit(prefix(addr, len));
            assert_eq!(level, Some(3));
            bits | bit
        });
        let covering: Vec<u8> = Covering::of_node(bits, 3, addr).collect();
        assert_eq!(covering, [24, 23, 22, 21, 20]);
        let near: Vec<u8> = Covering::of_node(bits, 3, addr ^ 1 << 8).collect();
        assert_eq!(near, [23, 22, 21, 20]);
    }

    #[test]
    fn keys_of_all_kinds_differ_and_only_those_of_prefixes_are_prefixes() {
        let addr = 0x0a00_0002;
        let mut keys: Vec<u64> = (0..=32).map(|len| prefix_key(5, len, addr)).collect();
        for (len, key) in keys.iter().enumerate() {
            let len = len as u8;
            assert_eq!(decode(*key), Some((5, len, addr & mask(len))));
        }
        let others = (0..LEVELS).map(|level| node_key(5, level, addr));
        let others: Vec<u64> = others.chain([directory_key(5)]).collect();
        assert!(others.iter().all(|key| decode(*key).is_none()));
        keys.extend(others);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 33 + usize::from(LEVELS) + 1);
    }

    #[test]
    fn directories_survive_the_table() {
        let directory = Directory {
            number: MAX_VNETS as u32 - 1,
            levels: 0x3f,
            bits: 0xffff_fffe,
        };
        assert_eq!(Directory::decode(directory.encode()), directory);
    }
}
