//! Pairs of the usual kind, in a few instructions each.
//!
//! Nearly always an address's suffix lies in the last 32 bits of its
//! counterpart: behind a prefix of 96 bits, or in an explicit mapping of
//! single addresses. Then prefix and mapping are one thing, a record with the
//! bits to put before the suffix, and what that changes in a checksum does not
//! depend on the suffix. All else, and whatever could be illegal or the
//! relay's own, is left to [`AddressMap::pair6`] and [`AddressMap::pair4`].

use super::AddressMap;
use crate::model::Eam;
use crate::siit::halves::Halves;
use crate::siit::plain;
use crate::siit::rfc7757::{Eams, Entry};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Source and destination, and what [`plain::adjust`] adds for both.
pub type Ready<A> = (A, A, u32);

/// By the first byte of an IPv4 address: whether all such may be translated.
type Firsts = [bool; 256];

/// Those with no illegal address among them.
static LEGAL: Firsts = without(&[0, 127, 169]);
/// Those of which all are global, too.
static GLOBAL: Firsts = without(&[0, 127, 169, 10, 100, 172, 192, 198, 203]);

const fn without(firsts: &[u8]) -> Firsts {
    let mut all = [true; 256];
    let mut i = 0;
    while i < firsts.len() {
        all[firsts[i] as usize] = false;
        i += 1;
    }
    let mut group = 224;
    while group < 256 {
        all[group] = false;
        group += 1;
    }
    all
}

/// What an [`AddressMap`] with a prefix of 96 bits and without deny lists has
/// ready.
#[derive(Clone, Debug)]
pub struct Usual {
    /// The prefix as a mapping of all addresses.
    pool: Entry,
    /// For addresses behind the prefix.
    firsts: &'static Firsts,
    /// Own addresses, of the second one its lower half. Where there is none,
    /// one that is left to the others in vain.
    own4: Vaddr,
    own6: u64,
}

impl Usual {
    pub(super) fn of(map: &AddressMap) -> Option<Usual> {
        let prefix = map.pool6.filter(|_| !map.denies)?.prefix();
        let everything = Prefix4 {
            address: Vaddr(0),
            len: 0,
        };
        let pool = Eam {
            ipv4: everything,
            ipv6: prefix,
        };
        (prefix.len() == 96).then(|| Usual {
            pool: Entry::new(pool),
            firsts: if map.only_global { &GLOBAL } else { &LEGAL },
            own4: map.own4.unwrap_or(Vaddr(0)),
            own6: map.own6.map_or(0, |own| own.1),
        })
    }

    #[inline(always)]
    fn entry<'a>(&'a self, found: Option<&'a Entry>) -> (&'a Entry, &'static Firsts) {
        match found {
            Some(entry) => (entry, &LEGAL),
            None => (&self.pool, self.firsts),
        }
    }

    #[inline(always)]
    fn one6(&self, address: Vaddr, found: Option<&Entry>) -> Option<(Halves, u16)> {
        let (entry, firsts) = self.entry(found);
        let made = entry.aligned_halves(address);
        let usual = entry.is_aligned()
            && firsts[(address.0 >> 24) as usize]
            && is_legal(made)
            && made.1 != self.own6;
        if !usual {
            return None;
        }
        Some((made, entry.part()))
    }

    #[inline(always)]
    fn one4(&self, address: Halves, found: Option<&Entry>) -> Option<(Vaddr, u16)> {
        let (entry, firsts) = self.entry(found);
        let made = entry.aligned_vaddr(address);
        let usual = entry.is_aligned()
            && entry.begins(address)
            && firsts[(made.0 >> 24) as usize]
            && is_legal(address)
            && made != self.own4;
        if !usual {
            return None;
        }
        Some((made, !entry.part()))
    }
}

/// Whether an address is above all illegal ones but those of links and groups,
/// and below these.
#[inline(always)]
fn is_legal(address: Halves) -> bool {
    address.0.wrapping_sub(1) < (0xfe80 << 48) - 1
}

#[inline(always)]
fn sum(one: u16, other: u16) -> u32 {
    u32::from(one) + u32::from(other)
}

impl Usual {
    /// Whether the prefix has this address.
    #[inline(always)]
    pub(super) fn is_pools(&self, address: Halves) -> bool {
        self.pool.begins(address)
    }

    /// What becomes of a packet's addresses, with what was found for them, if
    /// that is usual.
    #[inline(always)]
    pub fn ready6(
        &self,
        (source, destination): (Vaddr, Vaddr),
        (one, other): (Option<&Entry>, Option<&Entry>),
    ) -> Option<Ready<Halves>> {
        let (source, first) = self.one6(source, one)?;
        let (destination, second) = self.one6(destination, other)?;
        Some((source, destination, sum(first, second)))
    }

    /// The same for a packet that becomes IPv4. With `turns` not for one whose
    /// destination may [return](super::Pair4::returns).
    #[inline(always)]
    pub fn ready4(
        &self,
        (source, destination): (Halves, Halves),
        (one, other): (Option<&Entry>, Option<&Entry>),
        turns: Option<&Eams>,
    ) -> Option<Ready<Vaddr>> {
        let (source, first) = self.one4(source, one)?;
        let (destination, second) = self.one4(destination, other)?;
        if let (Some(eams), None) = (turns, other)
            && eams.may_have4(destination)
        {
            return None;
        }
        Some((source, destination, sum(first, second)))
    }
}

impl AddressMap {
    /// What makes short work of usual pairs, if this map has any.
    pub fn usual(&self) -> Option<&Usual> {
        self.usual.as_ref()
    }

    /// What becomes of a packet's addresses, usual or not.
    #[inline(never)]
    pub fn any6(
        &self,
        ends: (Vaddr, Vaddr),
        entries: (Option<&Entry>, Option<&Entry>),
    ) -> Option<Ready<Halves>> {
        let pair = self.pair6(ends, entries).ok()?;
        Some((pair.source, pair.destination, plain::part(pair.delta)))
    }

    /// The same for a packet that becomes IPv4. With `turns` not for one whose
    /// destination [returns](super::Pair4::returns).
    #[inline(never)]
    pub fn any4(
        &self,
        ends: (Halves, Halves),
        entries: (Option<&Entry>, Option<&Entry>),
        turns: bool,
    ) -> Option<Ready<Vaddr>> {
        let pair = self.pair4(ends, entries).ok()?;
        let ready = (pair.source, pair.destination, plain::part(pair.delta));
        (!(pair.returns && turns)).then_some(ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::siit::{illegal, rfc6052};

    /// Every /16, which no range is smaller than but for some /24, whose /16
    /// are looked through.
    #[test]
    fn what_is_allowed_by_its_first_byte_is_allowed() {
        for first in 0..=255u32 {
            let addresses = (0..1 << 16).map(|n| Vaddr(first << 24 | n << 8 | 7));
            let legal = |address: &Vaddr| !illegal::ipv4(*address);
            let all_legal = addresses.clone().all(|address| legal(&address));
            assert_eq!(LEGAL[first as usize], all_legal, "{first}");
            let global = |address: Vaddr| legal(&address) && rfc6052::is_global(address);
            assert_eq!(
                GLOBAL[first as usize],
                addresses.clone().all(global),
                "{first}"
            );
        }
    }

    #[test]
    fn what_is_taken_for_legal_is_legal() {
        for high in [1, 1 << 32, 0xfe7f << 48, (0xfe80 << 48) - 1, 0x2000 << 48] {
            for low in [0, 1, 0xffff << 32, u64::MAX] {
                assert!(is_legal((high, low)) && !illegal::ipv6_halves((high, low)));
            }
        }
        for illegal in [(0, 1), (0xfe80 << 48, 1), (u64::MAX, 0)] {
            assert!(!is_legal(illegal));
        }
    }
}
