//! Addresses whose nodes were here until lately, and who was told.
//!
//! Other hosts may not have heard yet: what they send is a question that only
//! this host can answer. It answers each of them once an address, because an
//! error to every packet would be as much traffic again.

use hashbrown::{HashMap, HashSet};

use crate::wire::address::Prefix4;
use crate::wire::{Vaddr, Vni};

/// Hosts and addresses that are remembered. Who is told twice only knows it the
/// better.
const MOST_TOLD: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Gone {
    /// The second at which each is forgotten.
    until: HashMap<(Vni, Prefix4), u32>,
    told: HashSet<(Vni, Vaddr, u128)>,
}

impl Gone {
    pub(super) fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// The node of an address has left.
    pub(super) fn add(&mut self, vni: Vni, prefix: Prefix4, until: u32) {
        self.until.insert((vni, prefix), until);
        self.told
            .retain(|(of, address, _)| *of != vni || !prefix.contains(*address));
    }

    /// Whether this host has not been told of this address.
    pub(super) fn first_word(&mut self, vni: Vni, address: Vaddr, locator: u128) -> bool {
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.insert((vni, address, locator))
    }

    /// Addresses whose time is over, which are then forgotten.
    pub(super) fn ended(&mut self, now: u32) -> Vec<(Vni, Prefix4)> {
        if self.until.is_empty() {
            return Vec::new();
        }
        let over = self.until.extract_if(|_, until| *until <= now);
        over.map(|(place, _)| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_told_once_of_each_departure() {
        let (z, a) = (Vni(0x5a_0001), Vaddr(0x0a00_0002));
        let own: Prefix4 = "10.0.0.2".parse().unwrap();
        let mut gone = Gone::default();
        gone.add(z, own, 100);
        assert!(gone.first_word(z, a, 1));
        assert!(!gone.first_word(z, a, 1));
        assert!(gone.first_word(z, a, 2), "another host");
        assert!(gone.first_word(z, Vaddr(a.0 + 1), 1), "another address");
        // It comes and goes again.
        gone.add(z, own, 200);
        assert!(gone.first_word(z, a, 1));
        assert!(!gone.first_word(z, Vaddr(a.0 + 1), 1));
        assert_eq!(gone.ended(199), []);
        assert_eq!(gone.ended(200), [(z, own)]);
        assert!(gone.is_empty());
    }

    #[test]
    fn who_was_told_is_bounded() {
        let mut gone = Gone::default();
        for locator in 0..3 * MOST_TOLD as u128 {
            assert!(gone.first_word(Vni(1), Vaddr(1), locator));
        }
        assert!(gone.told.len() <= MOST_TOLD);
    }
}
