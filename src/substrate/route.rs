//! Routes to locators, and how flows are spread over their next hops.

use std::net::Ipv6Addr;

use crate::pace::mix;
use crate::wire::{Locator, Mac, Saddr};

/// Slots of a flow hash, and so the most next hops a route can have.
pub const SLOTS: usize = 16;

/// A next hop by its place: what stays the same when its state changes.
pub(super) type HopKey = (u16, Ipv6Addr);

/// A next hop that packets can be sent to now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResolvedHop {
    pub port: u16,
    pub address: Ipv6Addr,
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub vlan: Option<u16>,
    /// Largest IPv6 packet on the link.
    pub mtu: u16,
}

/// The usable next hops of a destination and which of them each slot uses.
///
/// Slot = flow hash modulo 16. Each slot belongs to one *configured* next hop,
/// evenly; while that one is out, the slot goes to the first usable one in an
/// order of its own (rendezvous hashing). So a next hop that fails moves its
/// own slots only, wherever they were, and takes back the same when it returns.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EcmpSlots {
    /// In configured order.
    pub hops: Vec<ResolvedHop>,
    /// Indexes into `hops`; without meaning while `hops` is empty.
    pub slots: [u8; SLOTS],
}

impl EcmpSlots {
    /// `usable` answers for each configured next hop, in the same order.
    pub(super) fn fill(configured: &[HopKey], usable: &[Option<ResolvedHop>]) -> EcmpSlots {
        let mut hops = Vec::new();
        let mut place = [None; SLOTS];
        for (hop, place) in usable.iter().zip(&mut place) {
            if let Some(hop) = hop {
                *place = Some(hops.len() as u8);
                hops.push(*hop);
            }
        }
        let mut slots = [0; SLOTS];
        for (slot, (out, owner)) in slots.iter_mut().zip(owners(configured)).enumerate() {
            let substitute = || {
                let up = (0..configured.len()).filter(|hop| place[*hop].is_some());
                up.max_by_key(|hop| weight(slot, configured[*hop]))
            };
            let hop = place[owner].map(|_| owner).or_else(substitute);
            *out = hop.and_then(|hop| place[hop]).unwrap_or(0);
        }
        EcmpSlots { hops, slots }
    }

    /// The next hop of a flow.
    #[inline]
    pub fn pick(&self, flow_hash: u32) -> Option<&ResolvedHop> {
        let slot = flow_hash as usize % SLOTS;
        self.hops.get(usize::from(self.slots[slot]))
    }
}

/// The configured next hop each slot belongs to. Plain rendezvous hashing
/// would give two hops anything up to 12 : 4 of 16 slots; so a hop takes no
/// more than its share, and slots choose in turn.
fn owners(configured: &[HopKey]) -> [usize; SLOTS] {
    let count = configured.len().clamp(1, SLOTS);
    // The first SLOTS % count hops (by weight, not by place) may take one more.
    let mut extra = SLOTS % count;
    let mut taken = [0; SLOTS];
    let mut owners = [0; SLOTS];
    for (slot, owner) in owners.iter_mut().enumerate() {
        let share = SLOTS / count;
        let free = |hop: &usize| taken[*hop] < share || (taken[*hop] == share && extra > 0);
        let best = (0..count)
            .filter(free)
            .max_by_key(|hop| configured.get(*hop).map(|key| weight(slot, *key)));
        *owner = best.unwrap_or(0);
        if taken[*owner] == share {
            extra -= 1;
        }
        taken[*owner] += 1;
    }
    owners
}

/// Rendezvous weight: the same on every start and for every order of hops.
fn weight(slot: usize, (port, address): HopKey) -> u64 {
    let bits = u128::from(address);
    let mut hash = mix(slot as u64 ^ (u64::from(port) << 32));
    hash = mix(hash ^ (bits >> 64) as u64);
    mix(hash ^ bits as u64)
}

/// A route whose next hops are known by their place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Via {
    pub(super) prefix: Locator,
    pub(super) hops: Vec<HopKey>,
}

/// All routes, longest prefix first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Routes(Vec<Via>);

impl Routes {
    pub(super) fn new(mut routes: Vec<Via>) -> Routes {
        routes.sort_by_key(|via| std::cmp::Reverse((via.prefix.len(), via.prefix.bits())));
        Routes(routes)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Via> {
        self.0.iter()
    }

    /// The routes that cover an address, longest first; for a whole locator
    /// those no longer than it.
    pub(super) fn covering(&self, address: Saddr, longest: u8) -> impl Iterator<Item = &Via> {
        self.0
            .iter()
            .filter(move |via| via.prefix.len() <= longest && via.prefix.contains(&address))
    }
}

#[cfg(test)]
#[path = "tests/route.rs"]
mod tests;
