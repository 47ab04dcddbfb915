//! Addresses that nodes are seen to use beside or instead of their own: whether
//! they may, and who is told.

use crate::control::proto::{
    AddressVerdict, Counter, Event, Learned as LearnedReport, LearnedAddress, SeenBy,
};
use crate::control::store::{Store, Unfit};
use crate::mapping::{Key, NodeIndex, Target};
use crate::model::{Binding, Learn};
use crate::node::addresses::{AddressRefused, By, Learned, Node, Rule, Seen, Verdict, Whose};
use crate::node::arp;
use crate::wire::{Mac, Vaddr, Vni};

use super::Replies;
use crate::appliance::plant::Plant;

/// An address and a node, and what became of both.
#[derive(Clone, Copy, Debug)]
pub(in crate::appliance) struct Told {
    pub(in crate::appliance) node: NodeIndex,
    pub(in crate::appliance) bound: Vaddr,
    pub(in crate::appliance) address: Vaddr,
    pub(in crate::appliance) verdict: Verdict,
    /// Why it is not the node's any more.
    pub(in crate::appliance) why: Option<AddressRefused>,
    pub(in crate::appliance) seen: Option<(By, Mac)>,
}

/// What was learned so far, and what was not.
#[derive(Debug, Default)]
pub(in crate::appliance) struct AddressCounters {
    learned: u64,
    refused: [u64; AddressRefused::COUNT],
}

impl AddressCounters {
    /// By name, with their help.
    pub(in crate::appliance) fn report(&self) -> impl Iterator<Item = (String, Counter)> {
        let learned = "Addresses that became nodes' by their own doing.";
        let learned = ("addresses_learned", learned, self.learned);
        let refused = AddressRefused::ALL.iter().zip(self.refused);
        let refused = refused.map(|(why, total)| (why.name(), why.help(), total));
        let all = std::iter::once(learned).chain(refused);
        all.map(|(name, help, total)| {
            let help = help.to_owned();
            let counter = Counter {
                help,
                total,
                ..Counter::default()
            };
            (name.to_owned(), counter)
        })
    }
}

impl Plant {
    /// A packet waits that came from an address which is not its node's.
    pub(super) fn packet_from(
        &mut self,
        node: NodeIndex,
        (address, mac): (Vaddr, Mac),
        store: &Store,
        replies: &mut Replies,
    ) {
        let seen = Seen {
            address,
            mac,
            by: By::Packet,
            until: None,
        };
        self.address_seen(node, seen, store, replies);
    }

    /// A DHCP server gives a node an address, for so many seconds or for good.
    /// True if it is the node's now.
    pub(in crate::appliance) fn address_by_dhcp(
        &mut self,
        node: NodeIndex,
        (address, mac): (Vaddr, Mac),
        seconds: Option<u32>,
        store: &Store,
        replies: &mut Replies,
    ) -> bool {
        let now = self.now();
        let seen = Seen {
            address,
            mac,
            by: By::Dhcp,
            until: seconds.map(|seconds| now.after(u64::from(seconds) * 1000)),
        };
        self.address_seen(node, seen, store, replies)
    }

    /// ARP of a node names its sender: it may be new.
    pub(super) fn hear_address(
        &mut self,
        node: NodeIndex,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        let ruled = self.ruled(node, store);
        let ruled = ruled.filter(|(_, rule, _)| rule.learn != Learn::Never);
        let Some(((binding, _), rule, _)) = ruled else {
            return;
        };
        let claim = self.topology().node(node).and_then(|record| {
            let vlan = (record.vlan != 0).then_some(record.vlan);
            let claim = arp::claim(frame, vlan, binding.mac)?;
            Some((claim, record.owns(claim.address)))
        });
        let Some((claim, owned)) = claim else {
            return;
        };
        if self.addresses.mac_seen(node, claim.address, claim.mac) {
            self.mark_dirty();
        }
        let by = match claim.announces {
            true => By::Announce,
            false => By::Arp,
        };
        if owned || self.addresses.has(node, claim.address) || !rule.takes(by) {
            return;
        }
        let seen = Seen {
            address: claim.address,
            mac: claim.mac,
            by,
            until: None,
        };
        self.address_seen(node, seen, store, replies);
    }

    /// What is said of a node: its binding with its address, its vnet's rule,
    /// and the vnet. Who gets its address by DHCP takes none by itself.
    fn ruled<'s>(
        &self,
        node: NodeIndex,
        store: &'s Store,
    ) -> Option<((&'s Binding, Vaddr), Rule, Vni)> {
        let record = self.topology().node(node)?;
        let binding = store.binding(&record.name)?;
        let vnet = store.vnet(&binding.vnet)?;
        let rule = Rule {
            learn: vnet.learn,
            learn_as: vnet.learn_as,
            seconds: vnet.learn_seconds,
        };
        Some(((binding, binding.address?), rule, vnet.vni))
    }

    /// Decides over an address; true if the node has it now.
    fn address_seen(
        &mut self,
        node: NodeIndex,
        seen: Seen,
        store: &Store,
        replies: &mut Replies,
    ) -> bool {
        let Some(((binding, bound), rule, vni)) = self.ruled(node, store) else {
            return false;
        };
        let now = self.now();
        let whose = Whose {
            node,
            vni,
            bound,
            mac: binding.mac.or_else(|| self.learned.get(&node).copied()),
        };
        let elsewhere = self.elsewhere(node, (binding, vni), seen.address, store);
        let saved = self.addresses.of(node).cloned();
        let before = self.addresses.all_of(node, bound);
        let mut verdict = self.addresses.seen(whose, rule, seen, elsewhere, now);
        match verdict {
            Verdict::Known => return true,
            Verdict::Refused(_) => {}
            _ => {
                if let Err(error) = self.settle((node, vni, bound), &before) {
                    log::warn!("{}: {error}", seen.address);
                    self.addresses.restore(node, saved);
                    verdict = Verdict::Refused(AddressRefused::TableFull);
                }
            }
        }
        let told = Told {
            node,
            bound,
            address: seen.address,
            verdict,
            why: None,
            seen: Some((seen.by, seen.mac)),
        };
        if let Verdict::Refused(why) = verdict {
            self.address_counters.refused[why as usize] += 1;
            // Some try again and again.
            if self.refused_addresses.note(vni, seen.address, now) {
                replies.events.extend(self.address_event(told));
            }
            return false;
        }
        self.address_counters.learned += 1;
        self.follow_card(node, (seen.address, seen.mac), binding.mac);
        replies.events.extend(self.address_event(told));
        true
    }

    /// A node's hardware address is that behind its first address, unless it is
    /// given.
    fn follow_card(&mut self, node: NodeIndex, (address, mac): (Vaddr, Mac), given: Option<Mac>) {
        let own = self.addresses.of(node).map(Node::own);
        if given.is_none() && own == Some(address) {
            self.learn(node, mac);
        }
    }

    /// Why an address cannot be a node's, if it cannot.
    fn elsewhere(
        &self,
        node: NodeIndex,
        (binding, vni): (&Binding, Vni),
        address: Vaddr,
        store: &Store,
    ) -> Option<AddressRefused> {
        match store.fits(binding, address) {
            Err(Unfit::Outside) => return Some(AddressRefused::Outside),
            Err(Unfit::Router) => return Some(AddressRefused::Router),
            Err(Unfit::Taken) => return Some(AddressRefused::Taken),
            Ok(()) => {}
        }
        let key = Key::new(vni.0, address.0);
        let found = self.reader.resolve(&self.participant, key);
        match found.map(|mapping| mapping.target) {
            None | Some(Target::Gone) => None,
            Some(Target::Local(other)) if other == node => None,
            Some(_) => Some(AddressRefused::Taken),
        }
    }

    /// A watched address is in use.
    pub(super) fn address_used(&mut self, node: NodeIndex, address: Vaddr) {
        if self.addresses.used(node, address) {
            self.mark_dirty();
        }
    }

    /// Ends watches and leases, and tells of what was lost otherwise.
    pub(in crate::appliance) fn poll_addresses(&mut self, store: &Store, replies: &mut Replies) {
        let now = self.now();
        replies.events.append(&mut self.address_news);
        while let Some(ended) = self.addresses.ended(now) {
            let whose = (ended.node, ended.vni, ended.bound);
            if let Err(error) = self.settle(whose, &ended.before) {
                log::error!("{}: {error}", ended.bound);
            }
            let given = self.ruled(ended.node, store);
            let given = given.and_then(|((binding, _), ..)| binding.mac);
            let instead = self.addresses.of(ended.node).and_then(Node::instead);
            if let Some(instead) = instead {
                self.follow_card(ended.node, (instead.address, instead.mac), given);
            }
            let told = Told {
                node: ended.node,
                bound: ended.bound,
                address: ended.address,
                verdict: ended.verdict,
                why: None,
                seen: None,
            };
            replies.events.extend(self.address_event(told));
        }
    }

    pub(in crate::appliance) fn address_event(&self, told: Told) -> Option<Event> {
        let record = self.topology().node(told.node)?;
        let vnet = self.topology().vnet(record.vnet)?;
        let (verdict, replaced, why) = match told.verdict {
            Verdict::Added | Verdict::Known => (AddressVerdict::Added, None, told.why),
            Verdict::Changed(before) => (AddressVerdict::Changed, Some(before), told.why),
            Verdict::Watching => (AddressVerdict::Watching, None, told.why),
            Verdict::Kept => (AddressVerdict::Kept, None, told.why),
            Verdict::Dropped => (AddressVerdict::Dropped, None, told.why),
            Verdict::Refused(why) => (AddressVerdict::Refused, None, Some(why)),
        };
        Some(Event::Address {
            node: record.name.clone(),
            vnet: vnet.name.clone(),
            bound: told.bound,
            seen: told.address,
            verdict,
            by: told.seen.map(|(by, _)| seen_by(by)),
            mac: told.seen.map(|(_, mac)| mac),
            replaced,
            why: why.map_or_else(String::new, |why| why.name().to_owned()),
        })
    }

    /// What was found out of a binding's node.
    pub(in crate::appliance) fn learned_of(&self, binding: &str) -> Option<LearnedReport> {
        let node = self.numbers.get(binding)?;
        let mac = self.learned.get(&node).copied();
        let of = self.addresses.of(node);
        let report = |learned: &Learned, instead| LearnedAddress {
            address: learned.address,
            mac: learned.mac,
            by: seen_by(learned.by),
            instead,
            watched: learned.is_watched(),
        };
        let instead = of.and_then(Node::instead).into_iter();
        let instead = instead.map(|learned| report(learned, true));
        let beside = of.into_iter().flat_map(Node::beside);
        let beside = beside.map(|learned| report(learned, false));
        let addresses: Vec<_> = instead.chain(beside).collect();
        let any = mac.is_some() || !addresses.is_empty();
        any.then_some(LearnedReport {
            mac,
            slot: None,
            addresses,
        })
    }
}

fn seen_by(by: By) -> SeenBy {
    match by {
        By::Packet => SeenBy::Packet,
        By::Arp => SeenBy::Arp,
        By::Announce => SeenBy::Announce,
        By::Dhcp => SeenBy::Dhcp,
    }
}

#[cfg(test)]
#[path = "addresses/tests.rs"]
mod tests;
