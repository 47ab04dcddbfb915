//! Who is to get what is sent to several: members of groups, and everybody of a
//! broadcast domain.
//!
//! Made by control whenever a membership changes, and shared by snapshots until
//! the next change.

use hashbrown::HashMap;

use crate::mapping::{HostIndex, Key, NodeIndex};
use crate::wire::address::Prefix4;
use crate::wire::{Vaddr, Vni};

/// From whom a member takes packets. Addresses are sorted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    Any,
    Only(Box<[Vaddr]>),
    Except(Box<[Vaddr]>),
}

impl Filter {
    pub fn admits(&self, source: Vaddr) -> bool {
        match self {
            Filter::Any => true,
            Filter::Only(sources) => sources.binary_search(&source).is_ok(),
            Filter::Except(sources) => sources.binary_search(&source).is_err(),
        }
    }
}

/// A node of ours that has joined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    pub node: NodeIndex,
    pub filter: Filter,
}

impl Member {
    pub fn of_all(node: NodeIndex) -> Member {
        Member {
            node,
            filter: Filter::Any,
        }
    }
}

/// Hosts with members, each once, and members here.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Members {
    pub hosts: Box<[HostIndex]>,
    pub nodes: Box<[Member]>,
}

/// Nodes that hear each other's broadcasts: a subnet, or a vnet without any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    pub prefix: Prefix4,
    /// What means all of it, beside 255.255.255.255.
    pub directed: Box<[Vaddr]>,
    pub members: Members,
}

/// What a vnet says of groups and broadcasts.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct VnetGroups {
    /// Groups that are never forwarded.
    pub withheld: Box<[Prefix4]>,
    /// Sorted by address, without overlaps; none where broadcasts are not
    /// carried.
    pub domains: Box<[Domain]>,
}

/// All of it, by vnet and by group.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Fans {
    pub vnets: HashMap<Vni, VnetGroups>,
    pub groups: HashMap<Key, Members>,
}

impl Fans {
    pub fn is_withheld(&self, vni: Vni, group: Vaddr) -> bool {
        let vnet = self.vnets.get(&vni);
        vnet.is_some_and(|vnet| vnet.withheld.iter().any(|prefix| prefix.contains(group)))
    }

    /// Whether the vnet carries broadcasts at all.
    pub fn has_broadcasts(&self, vni: Vni) -> bool {
        let vnet = self.vnets.get(&vni);
        vnet.is_some_and(|vnet| !vnet.domains.is_empty())
    }

    /// Everybody of the sender's domain, if that is what an address means.
    pub fn everybody(&self, vni: Vni, from: Vaddr, to: Vaddr) -> Option<&Members> {
        let domains = &self.vnets.get(&vni)?.domains;
        let behind = domains.partition_point(|domain| domain.prefix.address <= from);
        let domain = domains.get(behind.checked_sub(1)?)?;
        let meant = to == Vaddr(u32::MAX) || domain.directed.contains(&to);
        (domain.prefix.contains(from) && meant).then_some(&domain.members)
    }

    /// Who gets a packet; `None` if nobody does, or if the address is one
    /// node's.
    pub fn find(&self, vni: Vni, from: Vaddr, to: Vaddr) -> Option<&Members> {
        match to.is_multicast() {
            true => self.groups.get(&Key::new(vni.0, to.0)),
            false => self.everybody(vni, from, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: Vni = Vni(0x5a_0001);

    fn address(text: &str) -> Vaddr {
        text.parse().unwrap()
    }

    fn domain(prefix: &str, directed: &str, node: u32) -> Domain {
        let node = NodeIndex::new(node).unwrap();
        Domain {
            prefix: prefix.parse().unwrap(),
            directed: [address(directed)].into(),
            members: Members {
                nodes: [Member::of_all(node)].into(),
                ..Members::default()
            },
        }
    }

    #[test]
    fn a_broadcast_means_the_sender_s_domain_and_no_other() {
        let vnet = VnetGroups {
            withheld: [].into(),
            domains: [
                domain("10.0.1.0/24", "10.0.1.255", 1),
                domain("10.0.2.0/25", "10.0.2.127", 2),
            ]
            .into(),
        };
        let fans = Fans {
            vnets: [(Z, vnet)].into_iter().collect(),
            ..Fans::default()
        };
        let who = |from: &str, to: &str| {
            let members = fans.find(Z, address(from), address(to))?;
            Some(members.nodes[0].node.get())
        };
        assert_eq!(who("10.0.1.7", "255.255.255.255"), Some(1));
        assert_eq!(who("10.0.1.7", "10.0.1.255"), Some(1));
        assert_eq!(who("10.0.2.7", "255.255.255.255"), Some(2));
        assert_eq!(who("10.0.2.7", "10.0.2.127"), Some(2));
        // Another subnet's, a neighbour's, and of senders in no subnet.
        assert_eq!(who("10.0.2.7", "10.0.1.255"), None);
        assert_eq!(who("10.0.2.7", "10.0.2.126"), None);
        assert_eq!(who("10.0.2.128", "255.255.255.255"), None);
        assert_eq!(who("10.0.0.1", "255.255.255.255"), None);
        assert_eq!(who("11.0.0.1", "255.255.255.255"), None);
        let other = Vni(1);
        assert_eq!(fans.find(other, address("10.0.1.7"), Vaddr(u32::MAX)), None);
    }

    #[test]
    fn filters_admit_what_they_name() {
        let sources: Box<[Vaddr]> = [address("10.0.0.2"), address("10.0.0.4")].into();
        let admitted = |filter: &Filter| {
            let some = (1..6).filter(|n| filter.admits(Vaddr(0x0a00_0000 + n)));
            some.collect::<Vec<_>>()
        };
        assert_eq!(admitted(&Filter::Any), [1, 2, 3, 4, 5]);
        assert_eq!(admitted(&Filter::Only(sources.clone())), [2, 4]);
        assert_eq!(admitted(&Filter::Except(sources)), [1, 3, 5]);
    }
}
