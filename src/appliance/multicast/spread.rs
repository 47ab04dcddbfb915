//! On which hosts the nodes of a broadcast domain are: read off the mappings,
//! of vnets that carry broadcasts and of no others.
//!
//! Kept as a set of places beside the counts, so that being told of a mapping
//! twice, or of its end twice, changes nothing.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::mapping::HostIndex;
use crate::wire::Vni;
use crate::wire::address::Prefix4;

/// Hosts of a domain, with how many places of the domain each has.
type Hosts = BTreeMap<HostIndex, usize>;

#[derive(Debug, Default)]
pub(super) struct Spread {
    places: HashMap<(Vni, Prefix4), HostIndex>,
    domains: HashMap<Vni, BTreeMap<Prefix4, Hosts>>,
}

impl Spread {
    /// The domains there are from now on. True if they are others than before:
    /// then nothing is known, and every mapping is to be told anew.
    pub(super) fn set_domains(&mut self, wanted: HashMap<Vni, Vec<Prefix4>>) -> bool {
        let same = wanted.len() == self.domains.len()
            && wanted.iter().all(|(vni, prefixes)| {
                self.domains.get(vni).is_some_and(|now| {
                    now.len() == prefixes.len() && prefixes.iter().all(|one| now.contains_key(one))
                })
            });
        if same {
            return false;
        }
        self.places.clear();
        let empty = |prefixes: Vec<Prefix4>| prefixes.into_iter().map(|it| (it, Hosts::new()));
        let domains = wanted.into_iter();
        self.domains = domains
            .map(|(vni, prefixes)| (vni, empty(prefixes).collect()))
            .collect();
        true
    }

    /// Whether mappings of the vnet matter at all.
    pub(super) fn concerns(&self, vni: Vni) -> bool {
        self.domains.contains_key(&vni)
    }

    /// The place is on this host, or on none. True if a domain's hosts have
    /// changed by it.
    pub(super) fn set(&mut self, vni: Vni, place: Prefix4, host: Option<HostIndex>) -> bool {
        let Some(domains) = self.domains.get_mut(&vni) else {
            return false;
        };
        let before = match host {
            Some(host) => self.places.insert((vni, place), host),
            None => self.places.remove(&(vni, place)),
        };
        if before == host {
            return false;
        }
        let mut changed = false;
        for (domain, hosts) in domains {
            if !overlap(*domain, place) {
                continue;
            }
            if let Some(host) = host {
                let count = hosts.entry(host).or_default();
                *count += 1;
                changed |= *count == 1;
            }
            if let Some(host) = before
                && let Some(count) = hosts.get_mut(&host)
            {
                *count -= 1;
                if *count == 0 {
                    hosts.remove(&host);
                    changed = true;
                }
            }
        }
        changed
    }

    pub(super) fn hosts(&self, vni: Vni, domain: Prefix4) -> impl Iterator<Item = HostIndex> + '_ {
        let hosts = self.domains.get(&vni).and_then(|it| it.get(&domain));
        hosts.into_iter().flat_map(|hosts| hosts.keys().copied())
    }
}

/// Whether one prefix is inside the other.
fn overlap(one: Prefix4, other: Prefix4) -> bool {
    one.contains(other.address) || other.contains(one.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: Vni = Vni(0x5a_0001);
    const Y: Vni = Vni(0x59_0001);

    fn prefix(text: &str) -> Prefix4 {
        text.parse().unwrap()
    }

    fn host(n: u32) -> Option<HostIndex> {
        HostIndex::new(n)
    }

    fn web_and_db() -> Spread {
        let mut spread = Spread::default();
        let wanted = vec![prefix("10.0.1.0/24"), prefix("10.0.2.0/24")];
        assert!(spread.set_domains([(Z, wanted)].into_iter().collect()));
        spread
    }

    fn of(spread: &Spread, domain: &str) -> Vec<u32> {
        let hosts = spread.hosts(Z, prefix(domain));
        hosts.map(HostIndex::get).collect()
    }

    #[test]
    fn hosts_come_with_their_first_place_and_go_with_their_last() {
        let mut spread = web_and_db();
        assert!(spread.set(Z, prefix("10.0.1.2"), host(1)));
        assert!(!spread.set(Z, prefix("10.0.1.3"), host(1)), "known");
        assert!(!spread.set(Z, prefix("10.0.1.3"), host(1)), "told twice");
        assert!(spread.set(Z, prefix("10.0.1.4"), host(2)));
        assert_eq!(of(&spread, "10.0.1.0/24"), [1, 2]);
        assert_eq!(of(&spread, "10.0.2.0/24"), [0; 0]);
        assert!(!spread.set(Z, prefix("10.0.1.2"), None));
        assert!(!spread.set(Z, prefix("10.0.1.2"), None));
        // The last place of one moves to the other.
        assert!(spread.set(Z, prefix("10.0.1.3"), host(2)));
        assert_eq!(of(&spread, "10.0.1.0/24"), [2]);
        assert!(!spread.set(Z, prefix("10.0.1.4"), None));
        assert!(spread.set(Z, prefix("10.0.1.3"), None));
        assert_eq!(of(&spread, "10.0.1.0/24"), [0; 0]);
    }

    #[test]
    fn prefixes_count_where_they_overlap() {
        let mut spread = web_and_db();
        assert!(spread.set(Z, prefix("10.0.0.0/16"), host(1)));
        assert!(spread.set(Z, prefix("10.0.2.128/25"), host(2)));
        assert!(!spread.set(Z, prefix("10.1.0.0/16"), host(3)));
        assert_eq!(of(&spread, "10.0.1.0/24"), [1]);
        assert_eq!(of(&spread, "10.0.2.0/24"), [1, 2]);
    }

    #[test]
    fn other_vnets_cost_nothing() {
        let mut spread = web_and_db();
        assert!(spread.concerns(Z) && !spread.concerns(Y));
        assert!(!spread.set(Y, prefix("10.0.1.2"), host(1)));
        assert!(spread.places.is_empty());
    }

    #[test]
    fn other_domains_are_told_all_anew() {
        let mut spread = web_and_db();
        let both = || vec![prefix("10.0.2.0/24"), prefix("10.0.1.0/24")];
        assert!(!spread.set_domains([(Z, both())].into_iter().collect()));
        spread.set(Z, prefix("10.0.1.2"), host(1));
        assert!(spread.set_domains([(Z, vec![prefix("10.0.1.0/24")])].into_iter().collect()));
        assert_eq!(of(&spread, "10.0.1.0/24"), [0; 0]);
        assert!(spread.set(Z, prefix("10.0.1.2"), host(1)));
        assert!(spread.set_domains(HashMap::new()));
        assert!(!spread.concerns(Z));
    }
}
