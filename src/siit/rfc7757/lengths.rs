//! Which lengths the prefixes of one side have, longest first, and where in
//! the IPv4 space there are any: what keeps a lookup from asking in vain.

use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Lengths in use, with how many prefixes have them.
#[derive(Clone)]
pub(super) struct Lengths {
    used: ArrayVec<u8, 129>,
    counts: [u32; 129],
}

impl Lengths {
    pub(super) fn new() -> Lengths {
        Lengths {
            used: ArrayVec::new(),
            counts: [0; 129],
        }
    }

    /// Longest first.
    #[inline(always)]
    pub(super) fn used(&self) -> &[u8] {
        &self.used
    }

    pub(super) fn add(&mut self, len: u8) {
        let count = &mut self.counts[usize::from(len)];
        *count += 1;
        if *count == 1 {
            let place = self.used.partition_point(|other| *other > len);
            self.used.insert(place, len);
        }
    }

    pub(super) fn remove(&mut self, len: u8) {
        let count = &mut self.counts[usize::from(len)];
        *count -= 1;
        if *count == 0 {
            self.used.retain(|other| *other != len);
        }
    }
}

/// One bit for each /16 of the IPv4 space: whether any prefix has to do with
/// it. Most addresses of strangers end here, in 8 kB that stay in the nearest
/// cache.
#[derive(Clone)]
pub(super) struct Presence {
    bits: Arc<[u64; 1024]>,
    /// How many prefixes, by the two upper bytes.
    counts: Arc<[Arc<[u32; 256]>; 256]>,
}

impl Presence {
    pub(super) fn new() -> Presence {
        let none = Arc::new([0; 256]);
        Presence {
            bits: Arc::new([0; 1024]),
            counts: Arc::new(std::array::from_fn(|_| none.clone())),
        }
    }

    #[inline(always)]
    pub(super) fn of(&self, address: Vaddr) -> bool {
        self.bits[(address.0 >> 22) as usize] >> (address.0 >> 16 & 63) & 1 != 0
    }

    pub(super) fn add(&mut self, prefix: Prefix4) {
        self.change(prefix, |count| {
            *count += 1;
            (*count == 1).then_some(true)
        });
    }

    pub(super) fn remove(&mut self, prefix: Prefix4) {
        self.change(prefix, |count| {
            *count -= 1;
            (*count == 0).then_some(false)
        });
    }

    /// `change` says which bit to write, if one.
    fn change(&mut self, prefix: Prefix4, change: impl Fn(&mut u32) -> Option<bool>) {
        let first = prefix.address.0 >> 16;
        let last = (prefix.address.0 | !Prefix4::mask(prefix.len)) >> 16;
        let counts = Arc::make_mut(&mut self.counts);
        for place in first..=last {
            let (upper, lower) = ((place >> 8) as usize, (place & 0xff) as usize);
            let count = &mut Arc::make_mut(&mut counts[upper])[lower];
            if let Some(bit) = change(count) {
                let bits = Arc::make_mut(&mut self.bits);
                let mask = 1 << (place & 63);
                match bit {
                    true => bits[(place >> 6) as usize] |= mask,
                    false => bits[(place >> 6) as usize] &= !mask,
                }
            }
        }
    }
}
