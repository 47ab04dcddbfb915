//! Numbers that stand for vnets in the keys of prefixes.
//!
//! A number that a vnet gives back may still be in the hands of a reader that
//! has read the vnet's directory and not yet asked for the prefix. So it waits
//! until every reader has let go of what it held, and only then goes to another
//! vnet: no lookup ever ends in a foreign one. Numbers wait in lots, one at a
//! time, so that the reclamation domain never has more than one object of ours.

use crate::mapping::{
    reclaim::Domain,
    sync::{Arc, AtomicBool, Ordering},
};

pub(super) struct Numbers {
    domain: Domain,
    /// The vnet of each number ever given.
    vnets: Vec<u32>,
    free: Vec<u32>,
    /// Nobody reads with these once `passed` says so.
    waiting: Vec<u32>,
    passed: Option<Arc<AtomicBool>>,
    /// Given back since.
    returned: Vec<u32>,
    limit: usize,
}

/// Says by its end that all readers have moved on.
struct Lot(Arc<AtomicBool>);

impl Drop for Lot {
    fn drop(&mut self) {
        // Release pairs with the acquire in `collect`; the readers' own stores
        // are ordered with this drop by the domain.
        self.0.store(true, Ordering::Release);
    }
}

impl Numbers {
    /// Numbers below `limit`.
    pub(super) fn new(domain: &Domain, limit: usize) -> Numbers {
        Numbers {
            domain: domain.clone(),
            vnets: Vec::new(),
            free: Vec::new(),
            waiting: Vec::new(),
            passed: None,
            returned: Vec::new(),
            limit,
        }
    }

    /// The vnet that a number stands for.
    pub(super) fn vnet(&self, number: u32) -> Option<u32> {
        self.vnets.get(number as usize).copied()
    }

    /// A number for a vnet; none when all are taken or waiting.
    pub(super) fn take(&mut self, vni: u32) -> Option<u32> {
        if self.free.is_empty() {
            self.collect();
        }
        if let Some(number) = self.free.pop() {
            if let Some(vnet) = self.vnets.get_mut(number as usize) {
                *vnet = vni;
            }
            return Some(number);
        }
        let number = self.vnets.len();
        (number < self.limit).then(|| {
            self.vnets.push(vni);
            number as u32
        })
    }

    /// Gives a number back that readers may know.
    pub(super) fn give_back(&mut self, number: u32) {
        self.returned.push(number);
        self.collect();
    }

    /// Gives a number back that no reader has seen.
    pub(super) fn give_back_unseen(&mut self, number: u32) {
        self.free.push(number);
    }

    fn collect(&mut self) {
        if self.passed.is_some() {
            self.domain.collect();
        }
        // Acquire pairs with the release in `Lot::drop`.
        let is_over = |passed: &mut Arc<AtomicBool>| passed.load(Ordering::Acquire);
        if self.passed.take_if(is_over).is_some() {
            self.free.append(&mut self.waiting);
        }
        if self.passed.is_none() && !self.returned.is_empty() {
            let passed = Arc::new(AtomicBool::new(false));
            let lot = Box::new(Lot(passed.clone()));
            let bytes = size_of::<Lot>() + self.returned.len() * size_of::<u32>();
            // Refused for now: they go on waiting among those given back.
            if self.domain.retire(lot, bytes).is_ok() {
                self.waiting.append(&mut self.returned);
                self.passed = Some(passed);
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let lists = [&self.vnets, &self.free, &self.waiting, &self.returned];
        let capacity: usize = lists.map(Vec::capacity).iter().sum();
        capacity * size_of::<u32>()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_again_only_when_all_readers_have_moved_on() {
        let domain = Domain::default();
        let mut pin = domain.register().unwrap();
        let mut numbers = Numbers::new(&domain, 3);
        assert_eq!([7, 8].map(|vni| numbers.take(vni)), [Some(0), Some(1)]);
        assert_eq!(numbers.vnet(1), Some(8));
        numbers.give_back(0);
        numbers.give_back(1);
        assert_eq!(numbers.take(9), Some(2));
        // All are taken or waiting.
        assert_eq!(numbers.take(10), None);
        pin.quiescent();
        assert_eq!(numbers.take(10), Some(0));
        assert_eq!(numbers.vnet(0), Some(10));
        // The second came back after the first began to wait.
        assert_eq!(numbers.take(11), None);
        pin.quiescent();
        assert_eq!(numbers.take(11), Some(1));
        numbers.give_back_unseen(1);
        assert_eq!(numbers.take(12), Some(1));
        assert_eq!(numbers.take(13), None);
    }

    #[test]
    fn a_full_domain_makes_numbers_wait() {
        let domain = Domain::new(crate::mapping::DomainLimits {
            items: 1,
            ..Default::default()
        });
        let mut pin = domain.register().unwrap();
        domain.retire(Box::new(0), 1).unwrap();
        let mut numbers = Numbers::new(&domain, 1);
        assert_eq!(numbers.take(7), Some(0));
        numbers.give_back(0);
        pin.quiescent();
        // Now the domain takes it; readers may have looked meanwhile.
        assert_eq!(numbers.take(8), None);
        pin.quiescent();
        assert_eq!(numbers.take(8), Some(0));
    }
}
