//! Which groups of the substrate have members here.
//!
//! A broadcast is a group like any other: one for everybody, which all subnets
//! of a vnet have in common, and one for each address that means a subnet.

use hashbrown::HashSet;

use crate::datapath::fan::Fans;
use crate::wire::{Layout, Saddr, Vaddr, Vni, native};

pub(super) fn joined(fans: &Fans, layout: Layout) -> HashSet<Saddr> {
    let mut joined = HashSet::new();
    for (key, members) in &fans.groups {
        if !members.nodes.is_empty() {
            let group = native::compose(layout, Vni(key.vni()), Vaddr(key.vaddr()));
            joined.insert(group);
        }
    }
    for (vni, vnet) in &fans.vnets {
        for domain in &vnet.domains {
            let everybody = [Vaddr::BROADCAST];
            let all = domain.directed.iter().chain(&everybody);
            if !domain.members.nodes.is_empty() {
                joined.extend(all.map(|to| native::compose(layout, *vni, *to)));
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv6Addr;

    use super::*;
    use crate::datapath::fan::{Domain, Member, Members, VnetGroups};
    use crate::mapping::{HostIndex, Key, NodeIndex};

    const Z: Vni = Vni(0x5a_0001);

    fn here(nodes: &[u32]) -> Members {
        let hosts: Vec<_> = HostIndex::new(1).into_iter().collect();
        let nodes = nodes.iter().filter_map(|node| NodeIndex::new(*node));
        Members {
            hosts: hosts.into(),
            nodes: nodes.map(Member::of_all).collect(),
        }
    }

    fn domain(prefix: &str, directed: &str, nodes: &[u32]) -> Domain {
        Domain {
            prefix: prefix.parse().unwrap(),
            directed: [directed.parse().unwrap()].into(),
            members: here(nodes),
        }
    }

    #[test]
    fn what_has_members_here_is_joined_and_nothing_else() {
        let key = |group: &str| Key::new(Z.0, group.parse::<Vaddr>().unwrap().0);
        let vnet = VnetGroups {
            withheld: [].into(),
            domains: [
                domain("10.0.1.0/24", "10.0.1.255", &[1]),
                domain("10.0.2.0/24", "10.0.2.255", &[]),
            ]
            .into(),
        };
        let groups = [
            (key("239.1.2.3"), here(&[1, 2])),
            // Members elsewhere are their hosts' matter.
            (key("239.1.2.4"), here(&[])),
        ];
        let fans = Fans {
            vnets: [(Z, vnet)].into_iter().collect(),
            groups: groups.into_iter().collect(),
        };
        let joined: BTreeSet<_> = joined(&fans, Layout::P72)
            .into_iter()
            .map(|group| Ipv6Addr::from(group).to_string())
            .collect();
        let expected = [
            "ff15::5a:1:ef01:203",
            "ff36::5a:1:a00:1ff",
            "ff36::5a:1:ffff:ffff",
        ];
        assert_eq!(joined, expected.map(str::to_owned).into());
    }
}
