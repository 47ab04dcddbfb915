//! What nodes were granted, for people and managers to look at.
//!
//! Of a node whose binding has an address nothing is decided by it: it has that
//! one with or without a lease. A node without has what it was granted, as long
//! as the lease lasts. There is at most one lease for each node that is bound.

use hashbrown::HashMap;

use crate::time::Time;
use crate::wire::{Mac, Vaddr};

use super::{Answer, Effect};

/// A node's address by DHCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    pub vnet: String,
    pub address: Vaddr,
    pub mac: Mac,
    /// What the node calls itself; empty if it does not.
    pub host_name: String,
    /// `None`: it does not end.
    pub until: Option<Time>,
}

/// What became of a node's lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Granted,
    Renewed,
    /// The node asked for another address.
    Refused,
    /// The node found its address in use.
    Declined,
    Released,
    Expired,
}

/// The leases of a host by the names of the nodes.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    held: HashMap<String, Lease>,
    /// No lease ends before.
    next: Option<Time>,
}

impl Leases {
    /// Takes note of what a message meant. `lease` is what the node has if it
    /// was granted. `None` if nothing changed.
    pub fn note(
        &mut self,
        node: &str,
        answer: &Answer,
        mut lease: Lease,
        now: Time,
    ) -> Option<Change> {
        match answer.effect {
            Effect::Offered | Effect::Informed => None,
            Effect::Refused { .. } => Some(Change::Refused),
            Effect::Declined => {
                self.held.remove(node);
                Some(Change::Declined)
            }
            // A client that says so twice has one lease.
            Effect::Released => self.held.remove(node).map(|_| Change::Released),
            Effect::Granted { seconds } => {
                lease.until = end_of(seconds, now);
                Some(self.grant(node, lease))
            }
        }
    }

    /// A node has a lease from now on.
    pub fn grant(&mut self, node: &str, lease: Lease) -> Change {
        let before = self.held.get(node);
        let same =
            before.is_some_and(|before| before.address == lease.address && before.mac == lease.mac);
        self.restore(node.to_owned(), lease);
        match same {
            true => Change::Renewed,
            false => Change::Granted,
        }
    }

    /// A node has its lease no more.
    pub fn end(&mut self, node: &str) -> Option<Lease> {
        self.held.remove(node)
    }

    /// Ends the leases that cannot be any more, and tells which.
    pub fn forget(&mut self, keep: impl Fn(&str, &Lease) -> bool) -> Vec<(String, Lease)> {
        let gone = self.held.extract_if(|node, lease| !keep(node, lease));
        gone.collect()
    }

    /// A lease of before a restart.
    pub fn restore(&mut self, node: String, lease: Lease) {
        self.next = match (self.next, lease.until) {
            (Some(next), Some(until)) => Some(next.min(until)),
            (next, until) => next.or(until),
        };
        self.held.insert(node, lease);
    }

    /// What a node has by its lease.
    pub fn address(&self, node: &str) -> Option<Vaddr> {
        self.held.get(node).map(|lease| lease.address)
    }

    /// Leases that have ended, which are then gone.
    pub fn poll(&mut self, now: Time) -> Vec<(String, Lease)> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let over = |lease: &Lease| lease.until.is_some_and(|until| until <= now);
        let mut ended: Vec<_> = self.held.extract_if(|_, lease| over(lease)).collect();
        ended.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.next = self.held.values().filter_map(|lease| lease.until).min();
        ended
    }

    /// All of them, by the node's name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Lease)> {
        self.held.iter().map(|(node, lease)| (node.as_str(), lease))
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

/// When a lease ends; one of all ones does not.
pub fn end_of(seconds: u32, now: Time) -> Option<Time> {
    let ends = now.after(u64::from(seconds).saturating_mul(1000));
    (seconds != u32::MAX).then_some(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dhcp::Kind;

    fn answer(effect: Effect) -> Answer {
        Answer {
            heard: Kind::Request,
            effect,
            host_name: String::new(),
            reply: None,
            left_out: 0,
        }
    }

    fn lease(address: u32) -> Lease {
        Lease {
            vnet: "Z".into(),
            address: Vaddr(address),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            host_name: "a".into(),
            until: None,
        }
    }

    const FOR_A_MINUTE: Effect = Effect::Granted { seconds: 60 };

    #[test]
    fn from_grant_to_end() {
        let mut leases = Leases::default();
        let mut note =
            |effect, address, at| leases.note("A", &answer(effect), lease(address), Time(at));
        assert_eq!(note(Effect::Offered, 2, 0), None);
        assert_eq!(note(FOR_A_MINUTE, 2, 1000), Some(Change::Granted));
        assert_eq!(note(FOR_A_MINUTE, 2, 31_000), Some(Change::Renewed));
        assert_eq!(note(Effect::Informed, 2, 32_000), None);
        assert_eq!(note(FOR_A_MINUTE, 3, 33_000), Some(Change::Granted));
        assert_eq!(
            note(Effect::Refused { asked: Vaddr(9) }, 3, 34_000),
            Some(Change::Refused)
        );
        assert_eq!(leases.poll(Time(92_999)), []);
        assert_eq!(leases.len(), 1);
        let ended = leases.poll(Time(93_000));
        assert_eq!(ended.len(), 1);
        assert_eq!(
            (ended[0].0.as_str(), ended[0].1.until),
            ("A", Some(Time(93_000)))
        );
        assert!(leases.is_empty() && leases.poll(Time(u64::MAX)).is_empty());
    }

    #[test]
    fn released_once_and_declined() {
        let mut leases = Leases::default();
        let mut note = |effect| leases.note("A", &answer(effect), lease(2), Time(0));
        assert_eq!(note(Effect::Released), None);
        note(FOR_A_MINUTE);
        assert_eq!(note(Effect::Released), Some(Change::Released));
        assert_eq!(note(Effect::Released), None);
        note(FOR_A_MINUTE);
        assert_eq!(note(Effect::Declined), Some(Change::Declined));
        assert_eq!(
            note(Effect::Declined),
            Some(Change::Declined),
            "it is told again"
        );
        assert!(leases.is_empty());
    }

    #[test]
    fn leases_without_end_and_of_nodes_that_are_gone() {
        let mut leases = Leases::default();
        let endless = answer(Effect::Granted { seconds: u32::MAX });
        leases.note("A", &endless, lease(2), Time(0));
        leases.note("C", &answer(FOR_A_MINUTE), lease(3), Time(0));
        leases.note("D", &answer(FOR_A_MINUTE), lease(4), Time(5000));
        let gone = leases.forget(|node, _| node != "C");
        assert_eq!((gone.len(), leases.address("C")), (1, None));
        assert_eq!(leases.address("D"), Some(Vaddr(4)));
        assert_eq!(leases.poll(Time(60_000)), [], "forgotten is not ended");
        assert_eq!(leases.poll(Time(65_000)).len(), 1);
        assert_eq!(leases.poll(Time(u64::MAX)), []);
        assert_eq!(
            leases.iter().map(|(node, _)| node).collect::<Vec<_>>(),
            ["A"]
        );
    }
}
