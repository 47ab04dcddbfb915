//! Explicit address mappings (RFC 7757): IPv4 prefixes and the IPv6 prefixes
//! that their addresses are translated to, found by the longest match on
//! either side.
//!
//! [`Eams`] is persistent. A clone costs a few counts whatever the size; an
//! entry is added to one clone or taken from it in microseconds, and all others
//! stay as they are. So control changes its own and hands workers a clone, and
//! workers follow references and nothing else: no lock, no count, no retry.
//!
//! | File | What |
//! |---|---|
//! | `entry` | a mapping of 24 bytes, and translation by it |
//! | `tree`, `side` | one side: entries by hash, shared between clones |
//! | `lengths` | what is not worth asking for |
//! | `hash` | where, and why a stranger cannot tell |
//!
//! Single IPv4 addresses are looked for first. Of the other IPv4 prefixes
//! [`Lpm`] says which length to ask for, so that nobody looks more than twice,
//! however many lengths there are. IPv6 prefixes are asked for by every length
//! in use.

mod entry;
mod hash;
mod lengths;
mod side;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::num::NonZeroU32;

pub use entry::Entry;

use self::hash::Seed;
use self::lengths::{Lengths, Presence};
use self::side::{Side, Side4, Side6};
use self::tree::{Place, Tree};
use super::halves::{Halves, halves};
use crate::lpm::Lpm;
use crate::model::Eam;
use crate::wire::address::Prefix4;
use crate::wire::{Prefix6, Saddr, Vaddr};

/// Addresses that go through a lookup together, a bit of a word for each.
pub const BURST: usize = u32::BITS as usize;

/// Why a mapping is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadEam {
    #[error(
        "{} has more bits after its prefix than {} (RFC 7757 section 3.2)",
        eam.ipv4, eam.ipv6
    )]
    SuffixTooLong { eam: Eam },
    #[error("{} is mapped already, to {}", holder.ipv4, holder.ipv6)]
    Ipv4Taken { holder: Eam },
    #[error("{} is mapped already, to {}", holder.ipv6, holder.ipv4)]
    Ipv6Taken { holder: Eam },
    #[error("there are {limit} explicit mappings already, which is the limit")]
    Full { limit: usize },
}

/// The first of many mappings that is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("mapping {index}: {error}")]
pub struct BadEamAt {
    /// From 0.
    pub index: usize,
    pub error: BadEam,
}

/// A table of explicit mappings.
///
/// Takes 90 to 100 bytes for each mapping: 24 on each side, in buckets that are
/// a little more than half full. IPv4 prefixes that are no single addresses take
/// what [`Lpm`] takes besides.
#[derive(Clone)]
pub struct Eams {
    by4: Tree<Side4>,
    by6: Tree<Side6>,
    lens4: Lengths,
    lens6: Lengths,
    presence: Presence,
    /// The lengths of IPv4 prefixes, single addresses apart.
    nets: Lpm,
    len: usize,
    limit: usize,
    /// How many have to do with a prefix of IPv6.
    watched: Option<(Prefix6, usize)>,
}

impl Eams {
    /// An empty table that takes so many mappings.
    pub fn new(limit: usize) -> Eams {
        let seed = Seed::random();
        Eams {
            by4: Tree::new(seed),
            by6: Tree::new(seed),
            lens4: Lengths::new(),
            lens6: Lengths::new(),
            presence: Presence::new(),
            nets: Lpm::new(),
            len: 0,
            // Counts by length are of 32 bits.
            limit: limit.min(u32::MAX as usize),
            watched: None,
        }
    }

    /// A table of all these, or the first that cannot be taken.
    pub fn build(limit: usize, eams: impl IntoIterator<Item = Eam>) -> Result<Eams, BadEamAt> {
        let eams: Vec<Eam> = eams.into_iter().collect();
        let mut table = Eams::new(limit);
        if table.fill(&eams).is_some() {
            return Ok(table);
        }
        // One by one, to see which.
        let mut table = Eams::new(limit);
        for (index, eam) in eams.into_iter().enumerate() {
            let taken = table.insert(eam);
            taken.map_err(|error| BadEamAt { index, error })?;
        }
        Ok(table)
    }

    /// Makes the table anew of all these; None if any of them is bad.
    fn fill(&mut self, eams: &[Eam]) -> Option<()> {
        if eams.len() > self.limit || eams.iter().any(is_too_long) {
            return None;
        }
        let seed = Seed::random();
        let entries: Vec<Entry> = eams.iter().copied().map(Entry::new).collect();
        self.by6 = Tree::of(seed, entries.clone())?;
        self.by4 = Tree::of(seed, entries)?;
        for eam in eams {
            self.lens4.add(eam.ipv4.len);
            self.lens6.add(eam.ipv6.len());
            self.presence.add(eam.ipv4);
        }
        let nets = eams.iter().map(|eam| eam.ipv4).filter(is_net);
        self.nets = Lpm::build(nets.map(|net| (net, u32::from(net.len))));
        self.len = eams.len();
        Some(())
    }

    /// How many mappings.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No mapping at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many it takes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Adds a mapping. Identical prefixes are refused, as RFC 7757 section 5
    /// permits, for one of the directions would be lost; prefixes within each
    /// other are not.
    pub fn insert(&mut self, eam: Eam) -> Result<(), BadEam> {
        if is_too_long(&eam) {
            return Err(BadEam::SuffixTooLong { eam });
        }
        let entry = Entry::new(eam);
        if let Some(holder) = self.by4.find((entry.ipv4, entry.len4)) {
            return Err(BadEam::Ipv4Taken {
                holder: holder.eam(),
            });
        }
        if let Some(holder) = self.by6.find((entry.high, entry.low, entry.len6)) {
            return Err(BadEam::Ipv6Taken {
                holder: holder.eam(),
            });
        }
        if self.len >= self.limit {
            return Err(BadEam::Full { limit: self.limit });
        }
        self.by4.insert(entry);
        self.by6.insert(entry);
        self.lens4.add(entry.len4);
        self.lens6.add(entry.len6);
        self.presence.add(eam.ipv4);
        if is_net(&eam.ipv4) {
            self.nets.insert(eam.ipv4, u32::from(eam.ipv4.len));
        }
        self.len += 1;
        if let Some((prefix, count)) = &mut self.watched {
            *count += usize::from(prefix.overlaps(&eam.ipv6));
        }
        Ok(())
    }

    /// Takes out the mapping of an IPv4 prefix.
    pub fn remove(&mut self, ipv4: Prefix4) -> Option<Eam> {
        let entry = *self.get(ipv4)?;
        self.by4.remove((entry.ipv4, entry.len4));
        self.by6.remove((entry.high, entry.low, entry.len6));
        self.lens4.remove(entry.len4);
        self.lens6.remove(entry.len6);
        self.presence.remove(ipv4);
        if is_net(&ipv4) {
            self.nets.remove(ipv4);
        }
        self.len -= 1;
        let eam = entry.eam();
        if let Some((prefix, count)) = &mut self.watched {
            *count -= usize::from(prefix.overlaps(&eam.ipv6));
        }
        Some(eam)
    }

    /// The mapping of exactly this prefix.
    pub fn get(&self, ipv4: Prefix4) -> Option<&Entry> {
        self.by4.find((ipv4.address.0, ipv4.len))
    }

    /// All mappings, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.by4.iter()
    }

    /// Mappings within which a prefix of `eam` lies, by IPv4 and by IPv6: of
    /// these RFC 7757 section 5 lets an operator be warned.
    pub fn around(&self, eam: Eam) -> [Option<Eam>; 2] {
        let (high, low) = halves(&eam.ipv6.bits().to_be_bytes());
        let mut shorter4 = self.lens4.used().iter().filter(|len| **len < eam.ipv4.len);
        let mut shorter6 = self
            .lens6
            .used()
            .iter()
            .filter(|len| **len < eam.ipv6.len());
        [
            shorter4.find_map(|len| self.by4.find(key4(eam.ipv4.address, *len))),
            shorter6.find_map(|len| self.by6.find(key6(high, low, *len))),
        ]
        .map(|found| found.map(Entry::eam))
    }

    /// The longest IPv4 prefix that an address is in.
    #[inline(never)]
    pub fn find4(&self, address: Vaddr) -> Option<&Entry> {
        if !self.presence.of(address) {
            return None;
        }
        let single = self.by4.find((address.0, SINGLE));
        single.or_else(|| {
            let len = self.nets.find(address)? as u8;
            self.by4.find(key4(address, len))
        })
    }

    /// Whether [`find4`](Self::find4) may find anything.
    #[inline(always)]
    pub fn may_have4(&self, address: Vaddr) -> bool {
        self.presence.of(address)
    }

    /// Whether [`find4`](Self::find4) finds anything. Of strangers it is known
    /// without a call.
    #[inline(always)]
    pub fn has4(&self, address: Vaddr) -> bool {
        self.presence.of(address) && self.find4(address).is_some()
    }

    /// The longest IPv6 prefix that an address is in.
    #[inline]
    pub fn find6(&self, address: &Saddr) -> Option<&Entry> {
        let mut lens = self.lens6.used().iter();
        let (high, low) = halves(address);
        lens.find_map(|len| self.by6.find(key6(high, low, *len)))
    }

    /// Of the addresses whose bit is set, those that may have a mapping: for a
    /// stranger nobody need look further.
    #[inline(always)]
    fn near4(&self, addresses: &[Vaddr; BURST], asked: u32) -> u32 {
        let mut near = 0;
        for (i, address) in addresses.iter().enumerate() {
            near |= u32::from(self.presence.of(*address)) << i;
        }
        near & asked
    }

    /// [`find4`](Self::find4) for the addresses whose bit is set, their waits
    /// for memory overlapping; `out[i]` is the answer for `addresses[i]`, and
    /// stays as it is if there is none.
    #[inline(always)]
    pub fn find4_burst<'a>(
        &'a self,
        addresses: &[Vaddr; BURST],
        asked: u32,
        out: &mut [Option<&'a Entry>; BURST],
    ) {
        let mut left = self.near4(addresses, asked);
        if self.lens4.used().first() == Some(&SINGLE) {
            left = find_round(&self.by4, left, out, |i| (addresses[i].0, SINGLE));
        }
        if left != 0 && !self.nets.is_empty() {
            let mut lens = [None; BURST];
            self.nets.find_burst(addresses, left, &mut lens);
            let known = ones(left).fold(0, |known, i| known | u32::from(lens[i].is_some()) << i);
            let len = |i: usize| lens[i].map_or(SINGLE, |len| len as u8);
            find_round(&self.by4, known, out, |i| key4(addresses[i], len(i)));
        }
    }

    /// The same for IPv6 addresses, given as halves.
    #[inline(always)]
    pub fn find6_burst<'a>(
        &'a self,
        addresses: &[Halves; BURST],
        asked: u32,
        out: &mut [Option<&'a Entry>; BURST],
    ) {
        let mut left = asked;
        for &len in self.lens6.used() {
            if left == 0 {
                return;
            }
            left = find_round(&self.by6, left, out, |i| {
                let (high, low) = addresses[i];
                key6(high, low, len)
            });
        }
    }

    /// Counts from now on the mappings that overlap a prefix: counts all, if
    /// it is another one than before.
    pub fn watch(&mut self, prefix: Option<Prefix6>) {
        if self.watched.map(|(prefix, _)| prefix) != prefix {
            self.watched = prefix.map(|prefix| {
                let overlaps = |entry: &&Entry| prefix.overlaps(&entry.eam().ipv6);
                (prefix, self.iter().filter(overlaps).count())
            });
        }
    }

    /// How many mappings overlap the prefix that is watched.
    pub fn watched(&self) -> usize {
        self.watched.map_or(0, |(_, count)| count)
    }

    /// Bytes on the heap; what clones share counts for each of them.
    pub fn bytes(&self) -> usize {
        self.by4.bytes() + self.by6.bytes() + self.nets.bytes()
    }
}

impl fmt::Debug for Eams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eams")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The length of a single IPv4 address.
const SINGLE: u8 = 32;

/// More than a single address.
fn is_net(ipv4: &Prefix4) -> bool {
    ipv4.len < SINGLE
}

/// More bits after the IPv4 prefix than after the IPv6 prefix.
fn is_too_long(eam: &Eam) -> bool {
    32 - eam.ipv4.len > 128 - eam.ipv6.len()
}

#[inline(always)]
fn key4(address: Vaddr, len: u8) -> (u32, u8) {
    (address.0 & Prefix4::mask(len), len)
}

#[inline(always)]
fn key6(high: u64, low: u64, len: u8) -> (u64, u64, u8) {
    // The usual length by itself: masks of 128 bits take ten instructions.
    if len == 128 {
        return (high, low, len);
    }
    let bits = u128::from(high) << 64 | u128::from(low);
    let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
    let bits = bits & mask;
    ((bits >> 64) as u64, bits as u64, len)
}

/// Looks for a key of each that is `left`: fetches for the whole burst, then
/// compares. Returns those that have no such entry.
#[inline(always)]
fn find_round<'a, S: Side>(
    tree: &'a Tree<S>,
    mut left: u32,
    out: &mut [Option<&'a Entry>; BURST],
    key: impl Fn(usize) -> S::Key,
) -> u32 {
    let mut places = [Place::NOWHERE; BURST];
    for i in ones(left) {
        places[i] = tree.fetch(key(i));
    }
    for i in ones(left) {
        if let Some(entry) = tree.search(places[i], key(i)) {
            out[i] = Some(entry);
            left &= !(1 << i);
        }
    }
    left
}

/// The places of the bits that are set, from the lowest.
#[inline(always)]
pub fn ones(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let some = NonZeroU32::new(bits)?;
        bits &= bits - 1;
        // Below 32 anyway; so the compiler knows it in arrays of a burst.
        Some((some.trailing_zeros() & 31) as usize)
    })
}
