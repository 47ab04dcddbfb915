//! MACs that addresses were given before: neighbours may remember them.
//!
//! Nobody announces a new one. A host that makes an address known by another MAC
//! would have to tell every node of the vnet, and again whoever was off; ARP
//! entries are renewed by themselves within a minute or so, and until then the
//! old MAC leads to the same node.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::datapath::Topology;
use crate::datapath::given::{Formers, Given};
use crate::datapath::topology::NodeRecord;
use crate::mapping::Key;
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr, Vni};

use super::plant::Plant;

/// For which one that was given before is still its address's.
const SECONDS: u32 = 24 * 60 * 60;
/// That are remembered: each change costs workers a copy of all.
const MOST: usize = 4096;

/// What workers are told of, and in which order it came.
#[derive(Debug, Default)]
pub(super) struct FormerMacs {
    shared: Arc<Formers>,
    order: VecDeque<((Key, Mac), u32)>,
}

impl FormerMacs {
    pub(super) fn shared(&self) -> Arc<Formers> {
        self.shared.clone()
    }

    /// An address had this one until now.
    fn note(&mut self, key: Key, mac: Mac, now: u32) {
        let formers = Arc::make_mut(&mut self.shared);
        if formers.has(key, mac, 0) {
            self.order.retain(|(place, _)| *place != (key, mac));
        }
        let until = now.saturating_add(SECONDS);
        formers.add(key, mac, until);
        self.order.push_back(((key, mac), until));
        while let Some(((key, mac), until)) = self.order.front().copied()
            && (until <= now || self.order.len() > MOST)
        {
            self.order.pop_front();
            Arc::make_mut(&mut self.shared).remove(key, mac);
        }
    }
}

impl Plant {
    /// What is known of given MACs, as a worker would find it.
    pub(super) fn given(&self) -> Given<'_> {
        Given {
            topology: self.topology(),
            mappings: &self.reader,
            pin: &self.participant,
        }
    }

    /// A mapping is not any more what it was.
    pub(super) fn note_former(
        &mut self,
        (vni, prefix): (Vni, Prefix4),
        before: Option<Mac>,
        after: Option<Mac>,
    ) {
        if let (Some(mac), 32) = (before, prefix.len)
            && after != before
        {
            let now = self.seconds();
            let key = Key::new(vni.0, prefix.address.0);
            self.former_macs.note(key, mac, now);
            self.mark_dirty();
        }
    }

    /// Nodes of this host that were given another MAC, or are not here any more.
    pub(super) fn note_former_nodes(&mut self, next: &mut Topology) {
        let now = self.seconds();
        let mut lost = Vec::new();
        for (before, after) in self.topology().nodes.iter().zip(&next.nodes) {
            let Some(mac) = before.given else { continue };
            let kept = |address: &Vaddr| {
                after.vni == before.vni && after.owns(*address) && after.given == Some(mac)
            };
            let gone = addresses(before).filter(|address| !kept(address));
            lost.extend(gone.map(|address| (Key::new(before.vni.0, address.0), mac)));
        }
        for (key, mac) in lost {
            self.former_macs.note(key, mac, now);
        }
        next.former_macs = self.former_macs.shared();
    }
}

/// A node's own addresses, without what is behind it.
fn addresses(node: &NodeRecord) -> impl Iterator<Item = Vaddr> {
    let others = node.prefixes.iter().filter(|prefix| prefix.len == 32);
    let own = Some(node.vaddr).filter(|own| own.0 != 0);
    own.into_iter().chain(others.map(|prefix| prefix.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: Key = Key::new(0x5a_0001, 0x0a00_0003);
    const MAC: Mac = Mac([2, 0, 0, 0, 0, 3]);

    #[test]
    fn a_former_mac_is_its_addresss_for_a_day() {
        let mut former = FormerMacs::default();
        former.note(G, MAC, 100);
        let told = former.shared();
        assert!(told.has(G, MAC, 100 + SECONDS - 1));
        assert!(!told.has(G, MAC, 100 + SECONDS));
        assert!(!told.has(Key::new(0x59_0001, 0x0a00_0003), MAC, 100));
        assert!(!told.has(G, Mac([2, 0, 0, 0, 0, 4]), 100));
        // Once more: it begins anew.
        former.note(G, MAC, 200);
        assert!(former.shared().has(G, MAC, 200 + SECONDS - 1));
        former.note(Key::new(1, 1), MAC, 200 + SECONDS);
        assert_eq!(former.shared().len(), 1);
        // What workers have does not change under them.
        assert!(told.has(G, MAC, 100));
    }

    #[test]
    fn they_are_bounded_and_the_oldest_goes_first() {
        let mut former = FormerMacs::default();
        for n in 0..=MOST as u32 {
            former.note(Key::new(1, n), MAC, n);
        }
        let told = former.shared();
        assert_eq!((told.len(), former.order.len()), (MOST, MOST));
        assert!(!told.has(Key::new(1, 0), MAC, 1));
        assert!(told.has(Key::new(1, 1), MAC, 1));
    }
}
