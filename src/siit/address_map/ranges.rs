//! Sets of addresses: what a list of prefixes covers, as ranges that do not
//! touch, in order. Membership is a binary search, which for a few prefixes is
//! as quick as comparing with each.

use std::sync::Arc;

use crate::wire::Prefix6;
use crate::wire::address::Prefix4;

/// First and last of each range.
#[derive(Clone, Debug)]
pub(super) struct Ranges<T>(Arc<[(T, T)]>);

impl<T: Ord + Copy> Ranges<T> {
    fn of(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1 => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged.into())
    }

    #[inline]
    pub(super) fn contain(&self, address: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after > 0 && self.0[after - 1].1 >= address
    }
}

pub(super) fn of4(prefixes: &[Prefix4]) -> Ranges<u32> {
    let range = |prefix: &Prefix4| {
        let first = prefix.address.0;
        (first, first | !Prefix4::mask(prefix.len))
    };
    Ranges::of(prefixes.iter().map(range).collect())
}

pub(super) fn of6(prefixes: &[Prefix6]) -> Ranges<u128> {
    let range = |prefix: &Prefix6| {
        let below = u128::MAX.checked_shr(u32::from(prefix.len())).unwrap_or(0);
        (prefix.bits(), prefix.bits() | below)
    };
    Ranges::of(prefixes.iter().map(range).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Vaddr;

    proptest! {
        #[test]
        fn a_set_is_its_prefixes(
            given in prop::collection::vec((any::<u32>(), 0..=32u8), 0..20),
            asked in prop::collection::vec(any::<u32>(), 50),
        ) {
            let prefixes4: Vec<Prefix4> = given
                .iter()
                .map(|&(address, len)| Prefix4 {
                    address: Vaddr(address & Prefix4::mask(len)),
                    len,
                })
                .collect();
            let set4 = of4(&prefixes4);
            let prefixes6: Vec<Prefix6> = prefixes4
                .iter()
                .map(|p| Prefix6::new((u128::from(p.address.0) << 96).into(), p.len).unwrap())
                .collect();
            let set6 = of6(&prefixes6);
            // Also both sides of every end.
            let ends = prefixes4.iter().flat_map(|p| {
                let last = p.address.0 | !Prefix4::mask(p.len);
                [p.address.0, p.address.0.wrapping_sub(1), last, last.wrapping_add(1)]
            });
            for address in asked.into_iter().chain(ends) {
                let inside = prefixes4.iter().any(|p| p.contains(Vaddr(address)));
                prop_assert_eq!(set4.contain(address), inside);
                for low in [0, u128::MAX >> 32] {
                    prop_assert_eq!(set6.contain(u128::from(address) << 96 | low), inside);
                }
            }
        }
    }
}
