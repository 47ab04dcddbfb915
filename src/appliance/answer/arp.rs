//! ARP: what nodes ask for, the node that is asked, and whom it tells of.

use crate::control::proto::Event;
use crate::control::store::Store;
use crate::mapping::{Key, NodeIndex, Target};
use crate::node::arp::{self, ArpOutcome, Asker};
use crate::wire::address::Prefix4;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, Vni};

use super::Replies;
use crate::appliance::plant::Plant;

impl Plant {
    pub(super) fn answer_arp(
        &mut self,
        node: NodeIndex,
        port: u16,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        // What was learned is no rule: the node may have another card by now.
        let given = store.binding(&record.name).and_then(|binding| binding.mac);
        let asker = Asker {
            address: record.vaddr,
            mac: given,
            vlan: (record.vlan != 0).then_some(record.vlan),
        };
        let (vni, name) = (record.vni, record.name.clone());
        let mut unknown = None;
        let server = self.dhcp_server(node, store);
        let outcome = arp::answer(frame, &asker, |target| {
            if server == Some(target) {
                return Some(virtual_mac::of(Kind::Router, vni, target));
            }
            let known = self.is_known(node, vni, target);
            if !known {
                unknown = Some(target);
            }
            known.then(|| virtual_mac::of(Kind::Node, vni, target))
        });
        match outcome {
            ArpOutcome::Answer(reply) => {
                self.slow.arp_answered += 1;
                replies.frames.push((port, reply));
            }
            ArpOutcome::Ignored(why) => self.slow.arp_ignored[why as usize] += 1,
        }
        if let (None, Some(mac)) = (given, arp::sender_of(frame, &asker)) {
            self.node_seen(node, mac, store, replies);
        }
        if let (Some(address), Some(vnet)) = (unknown, store.vnet_of(vni)) {
            self.slow.misses += 1;
            let vnet = vnet.name.clone();
            replies.events.push(Event::Miss {
                vnet,
                address,
                node: name,
                held: 0,
            });
        }
    }

    /// Whether a node of the vnet may be told that the address exists.
    fn is_known(&self, node: NodeIndex, vni: Vni, address: Vaddr) -> bool {
        let found = self
            .reader
            .resolve(&self.participant, Key::new(vni.0, address.0));
        found.is_some_and(|mapping| {
            let reachable = match mapping.target {
                Target::Local(_) | Target::Remote(_) => true,
                Target::Side(outsider) => {
                    let outsider = self.topology().outsiders.get(outsider, vni);
                    outsider.is_some_and(|outsider| outsider.admits(node))
                }
                Target::Blackhole | Target::Refused => false,
            };
            reachable && !mapping.is_expired(self.seconds())
        })
    }

    /// Asks a node for its hardware address, as a neighbour of its subnet.
    pub(super) fn ask_for_mac(&mut self, node: NodeIndex, replies: &mut Replies) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        let vnet = self.topology().vnet(record.vnet);
        let ranges = vnet.map_or(&[][..], |vnet| &vnet.prefixes);
        let peer = peer_of(record.vaddr, ranges);
        let vlan = (record.vlan != 0).then_some(record.vlan);
        let frame = arp::request(
            record.vaddr,
            vlan,
            peer,
            virtual_mac::of(Kind::Node, record.vni, peer),
        );
        let port = record.port;
        self.slow.arp_asked += 1;
        replies.frames.push((port, frame));
    }

    pub(super) fn node_seen(
        &mut self,
        node: NodeIndex,
        mac: Mac,
        store: &Store,
        replies: &mut Replies,
    ) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        let event = Event::Node {
            node: record.name.clone(),
            vnet: store
                .vnet_of(record.vni)
                .map_or_else(String::new, |vnet| vnet.name.clone()),
            address: record.vaddr,
            mac,
            port: self
                .topology()
                .port(record.port)
                .map_or_else(String::new, |port| port.name.clone()),
        };
        if self.learn(node, mac) {
            replies.events.push(event);
        }
    }
}

/// An address of the node's subnet other than its own: the first of its
/// range, or the second if the node has that.
fn peer_of(node: Vaddr, ranges: &[Prefix4]) -> Vaddr {
    let range = ranges
        .iter()
        .filter(|range| range.contains(node))
        .max_by_key(|range| range.len);
    match range {
        Some(range) if range.len <= 30 => {
            let first = Vaddr(range.address.0 + 1);
            if first == node {
                Vaddr(range.address.0 + 2)
            } else {
                first
            }
        }
        _ => Vaddr(node.0 ^ 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_never_the_node_itself() {
        let range = ["10.0.0.0/24".parse().unwrap()];
        let peer =
            |node: &str, ranges: &[Prefix4]| peer_of(node.parse().unwrap(), ranges).to_string();
        assert_eq!(peer("10.0.0.2", &range), "10.0.0.1");
        assert_eq!(peer("10.0.0.1", &range), "10.0.0.2");
        assert_eq!(peer("192.0.2.7", &range), "192.0.2.6");
        assert_eq!(peer("192.0.2.6", &[]), "192.0.2.7");
    }
}
