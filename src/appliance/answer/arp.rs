//! ARP: what nodes ask for, the node that is asked, and whom it tells of.

use crate::control::proto::{Event, Sighting};
use crate::control::store::Store;
use crate::datapath::segments::NONE;
use crate::datapath::topology::NodeRecord;
use crate::mapping::{Key, NodeIndex, Target};
use crate::node::arp::{self, ArpIgnored, ArpOutcome, Asker};
use crate::wire::address::Prefix4;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, Vni};

use super::Replies;
use crate::appliance::plant::Plant;

/// What a node may be told of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Yes,
    /// It is there, and not for this node.
    Withheld,
    No,
}

impl Plant {
    pub(super) fn answer_arp(
        &mut self,
        node: NodeIndex,
        port: u16,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        self.hear_address(node, frame, store, replies);
        let Some(record) = self.topology().node(node) else {
            return;
        };
        // What was learned is no rule: the node may have another card by now.
        let given = store.binding(&record.name).and_then(|binding| binding.mac);
        // Workers learn of a new one a little later.
        let owns = |address| record.owns(address) || self.addresses.has(node, address);
        let asker = Asker {
            owns: &owns,
            mac: given,
            vlan: (record.vlan != 0).then_some(record.vlan),
        };
        let mut unknown = None;
        let server = self.dhcp_server(node, store);
        let outcome = arp::answer(frame, &asker, |target| {
            if server == Some(target) {
                return Ok(virtual_mac::of(Kind::Router, record.vni, target));
            }
            let told = self.told_of(node, record, target);
            if told == Err(ArpIgnored::UnknownTarget) {
                unknown = Some(target);
            }
            told
        });
        // Another address may be behind another card.
        let beside = arp::claim(frame, asker.vlan, given)
            .is_some_and(|claim| self.addresses.is_beside(node, claim.address));
        let sender = arp::sender_of(frame, &asker).filter(|_| !beside);
        let vni = record.vni;
        let announced = outcome == ArpOutcome::Ignored(ArpIgnored::Gratuitous);
        match outcome {
            ArpOutcome::Answer(reply) => {
                self.slow.arp_answered += 1;
                replies.frames.push((port, reply));
            }
            ArpOutcome::Ignored(why) => self.slow.arp_ignored[why as usize] += 1,
        }
        if let Some(mac) = sender {
            let seen = match announced {
                true => Sighting::Announce,
                false => Sighting::Frame,
            };
            if given.is_none() || announced {
                self.node_seen(node, mac, seen, store, replies);
            }
        }
        if let Some(address) = unknown {
            let now = self.now();
            self.unknowns.note(vni, address, now);
            self.tell_unknown(Key::new(vni.0, address.0), node, store, replies);
        }
    }

    /// A guest has come to its port, its hypervisor says.
    pub(super) fn note_arrival(
        &mut self,
        node: NodeIndex,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        let owns = |address| record.owns(address);
        let asker = Asker {
            owns: &owns,
            mac: store.binding(&record.name).and_then(|binding| binding.mac),
            vlan: (record.vlan != 0).then_some(record.vlan),
        };
        match arp::arrival(frame, &asker) {
            Ok(mac) => {
                self.slow.rarp_seen += 1;
                self.node_seen(node, mac, Sighting::Rarp, store, replies);
            }
            Err(why) => self.slow.arp_ignored[why as usize] += 1,
        }
    }

    /// The MAC that a node is told of an address: a router's or a neighbour's.
    fn told_of(
        &self,
        node: NodeIndex,
        record: &NodeRecord,
        address: Vaddr,
    ) -> Result<Mac, ArpIgnored> {
        let vni = record.vni;
        if self.topology().router_near(record, address).is_some() {
            return Ok(virtual_mac::of(Kind::Router, vni, address));
        }
        if !record.segment.prefix.contains(address) {
            return Err(ArpIgnored::WrongSubnet);
        }
        // A mapping of a prefix may cover it: nobody has it nevertheless.
        let subnet = self.topology().subnets.get(record.segment.subnet as usize);
        if subnet.is_some_and(|subnet| subnet.is_broadcast(address)) {
            return Err(ArpIgnored::NoUnicastTarget);
        }
        if self.unknowns.holds(vni, address, self.now()) {
            return Err(ArpIgnored::CachedUnknown);
        }
        match self.is_known(node, vni, address) {
            Known::Yes => Ok(self.given().neighbor(record, address)),
            Known::Withheld => Err(ArpIgnored::Withheld),
            Known::No => Err(ArpIgnored::UnknownTarget),
        }
    }

    /// Whether a node of the vnet may be told that the address exists.
    fn is_known(&self, node: NodeIndex, vni: Vni, address: Vaddr) -> Known {
        let found = self
            .reader
            .resolve(&self.participant, Key::new(vni.0, address.0));
        match found {
            Some(mapping) if !mapping.is_expired(self.seconds()) => match mapping.target {
                Target::Local(_) | Target::Remote(_) => Known::Yes,
                Target::Side(outsider) => {
                    let outsider = self.topology().outsiders.get(outsider, vni);
                    match outsider.is_some_and(|outsider| outsider.admits(node)) {
                        true => Known::Yes,
                        false => Known::Withheld,
                    }
                }
                Target::Blackhole | Target::Refused => Known::Withheld,
                Target::Gone => Known::No,
            },
            _ => Known::No,
        }
    }

    /// Asks a node for its hardware address, as a neighbour of its subnet.
    pub(super) fn ask_for_mac(&mut self, node: NodeIndex, replies: &mut Replies) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        if record.vaddr == Vaddr(0) {
            return;
        }
        let segment = &record.segment;
        let subnet = [segment.prefix];
        let vnet = self.topology().vnet(record.vnet);
        let ranges = match segment.subnet {
            NONE => vnet.map_or(&[][..], |vnet| &vnet.prefixes),
            _ => &subnet,
        };
        // The node believes what it is asked with, so it is the gateway's
        // MAC that stands beside the gateway's address.
        let gateway = self.topology().ifaces.get(segment.gateway as usize);
        let (kind, peer) = match gateway {
            Some(gateway) => (Kind::Router, gateway.address),
            None => (Kind::Node, peer_of(record.vaddr, ranges)),
        };
        let vlan = (record.vlan != 0).then_some(record.vlan);
        let peer_mac = match kind {
            Kind::Router => virtual_mac::of(kind, record.vni, peer),
            Kind::Node => self.given().neighbor(record, peer),
        };
        let frame = arp::request(record.vaddr, vlan, peer, peer_mac);
        let port = record.port;
        self.slow.arp_asked += 1;
        replies.frames.push((port, frame));
    }

    /// Tells of a node: when its hardware address is news, and when it says
    /// itself that it is there.
    pub(super) fn node_seen(
        &mut self,
        node: NodeIndex,
        mac: Mac,
        seen: Sighting,
        store: &Store,
        replies: &mut Replies,
    ) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        // Of one that has just got its address workers do not know it yet.
        let address = match record.vaddr {
            Vaddr(0) => self.dhcp.leases().address(&record.name),
            own => Some(own),
        };
        let address = address.unwrap_or(Vaddr(0));
        let event = Event::Node {
            node: record.name.clone(),
            vnet: store
                .vnet_of(record.vni)
                .map_or_else(String::new, |vnet| vnet.name.clone()),
            address,
            mac,
            port: self
                .topology()
                .port(record.port)
                .map_or_else(String::new, |port| port.name.clone()),
            seen,
        };
        let vni = record.vni;
        let given = store.binding(&record.name).and_then(|binding| binding.mac);
        let news = given.is_none() && self.learn(node, mac);
        let now = self.now();
        // Some announce themselves all the time.
        let said = seen != Sighting::Frame && self.announced.note(vni, address, now);
        if news || said {
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
    use crate::control::store::mappings::Place;

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

    use crate::appliance::testing::{built, host_r, host_r_with};
    use crate::config::Config;
    use crate::control::proto::{BindingSet, Change};
    use crate::control::store::Desired;
    use crate::model::{Binding, Origin};
    use crate::wire::ethernet;

    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];

    /// A request of A from one address for another.
    fn asks(from: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let message = crate::wire::arp::Message {
            is_request: true,
            sender_mac: Mac(OWN),
            sender: Vaddr::from_bytes(from),
            target_mac: Mac::ZERO,
            target: Vaddr::from_bytes(target),
        };
        let mut frame = vec![0xff; 6];
        frame.extend(OWN);
        frame.extend(ethernet::ethertype::ARP.to_be_bytes());
        frame.extend(message.bytes());
        frame
    }

    /// Replies to frames of A, one after the other.
    fn after(plant: &mut Plant, store: &Store, frames: &[Vec<u8>]) -> Replies {
        let node = plant.numbers.get("A").unwrap();
        let mut replies = Replies::default();
        for frame in frames {
            plant.answer_arp(node, 1, frame, store, &mut replies);
        }
        replies
    }

    fn ignored(plant: &Plant, why: ArpIgnored) -> u64 {
        plant.slow.arp_ignored[why as usize]
    }

    #[test]
    fn a_scan_asks_for_each_address_once() {
        let (mut plant, store) = host_r("");
        let scan = [
            asks([10, 0, 0, 2], [10, 0, 0, 99]),
            asks([10, 0, 0, 2], [10, 0, 0, 98]),
        ];
        let scan: Vec<_> = scan.iter().cycle().take(1000).cloned().collect();
        let replies = after(&mut plant, &store, &scan);
        assert!(replies.frames.is_empty());
        let missed = replies.events.iter();
        let missed = missed.filter(|event| matches!(event, Event::Miss { .. }));
        assert_eq!((missed.count(), plant.slow.misses), (2, 2));
        assert_eq!(ignored(&plant, ArpIgnored::UnknownTarget), 2);
        assert_eq!(ignored(&plant, ArpIgnored::CachedUnknown), 998);
        // What comes in the meantime is known at once.
        let vni = Vni(0x5a_0001);
        let here = "10.0.0.99".parse().unwrap();
        plant
            .point(vni, here, Place::host(store.host_index("S").unwrap()), None)
            .unwrap();
        let replies = after(&mut plant, &store, &scan[..1]);
        assert_eq!(replies.frames.len(), 1);
    }

    #[test]
    fn what_is_told_is_bound_by_the_table_and_not_by_the_asker() {
        let (mut plant, store) = host_r("");
        let told = |plant: &mut Plant, from, target| {
            let replies = after(plant, &store, &[asks(from, target)]);
            replies.frames.first().map(|(port, frame)| {
                assert_eq!((*port, &frame[..6]), (1, &OWN[..]));
                frame[6..12].to_vec()
            })
        };
        let virtual_g = virtual_mac::of(Kind::Node, Vni(0x5a_0001), Vaddr(0x0a00_0003));
        let g = Some(virtual_g.0.to_vec());
        assert_eq!(told(&mut plant, [10, 0, 0, 2], [10, 0, 0, 3]), g);
        // A probe: G has the address.
        assert_eq!(told(&mut plant, [0; 4], [10, 0, 0, 3]), g);
        assert_eq!(told(&mut plant, [0; 4], [10, 0, 0, 2]), None);
        assert_eq!(ignored(&plant, ArpIgnored::Probe), 1);
        assert_eq!(told(&mut plant, [10, 0, 0, 3], [10, 0, 0, 2]), None);
        assert_eq!(ignored(&plant, ArpIgnored::SpoofedAddress), 1);
    }

    #[test]
    fn who_is_on_another_wire_is_asked_again() {
        let port = "[[port]]\nname = \"b\"\ndevice = \"net_tap7\"\nrole = \"node\"\n";
        let (mut plant, mut store) = host_r_with("", port);
        after(&mut plant, &store, &[asks([10, 0, 0, 2], [10, 0, 0, 3])]);
        let node = plant.numbers.get("A").unwrap();
        assert_eq!(plant.learned.get(&node), Some(&Mac(OWN)));
        let mut set = |change: fn(&mut Binding)| {
            let mut binding = store.binding("A").unwrap().clone();
            change(&mut binding);
            let revision = 0;
            let set = [Change::BindingSet(BindingSet { binding, revision })];
            store.apply(&mut plant, Origin::Operator, &set, 0).unwrap();
            plant.step(&store);
            plant.learned.contains_key(&node)
        };
        assert!(set(
            |binding| binding.prefixes = vec!["10.0.0.30/32".parse().unwrap()]
        ));
        assert!(!set(|binding| binding.port = "b".to_owned()));
    }

    #[test]
    fn nobody_has_the_ends_of_a_subnet() {
        let (mut plant, store) = host_r_with(
            "",
            "[[subnet]]\nname = \"web\"\nvnet = \"Z\"\nprefix = \"10.0.0.0/24\"\n\
             [[mapping]]\nvnet = \"Z\"\naddress = \"10.0.0.0/24\"\nhost = \"S\"\n",
        );
        let asked = |last| asks([10, 0, 0, 2], [10, 0, 0, last]);
        let replies = after(&mut plant, &store, &[asked(0), asked(255)]);
        assert!(replies.frames.is_empty());
        assert_eq!(plant.slow.misses, 0);
        assert_eq!(ignored(&plant, ArpIgnored::NoUnicastTarget), 2);
        assert_eq!(after(&mut plant, &store, &[asked(254)]).frames.len(), 1);
    }

    #[test]
    fn a_node_that_says_that_it_is_there_is_told_of_once() {
        let (mut plant, store) = host_r("");
        let announces = asks([10, 0, 0, 2], [10, 0, 0, 2]);
        let replies = after(&mut plant, &store, &vec![announces; 50]);
        let sightings = |replies: &Replies| -> Vec<_> {
            let seen = |event: &Event| match event {
                Event::Node {
                    node, mac, seen, ..
                } => Some((node.clone(), *mac, *seen)),
                _ => None,
            };
            replies.events.iter().filter_map(seen).collect()
        };
        let once = [("A".to_owned(), Mac(OWN), Sighting::Announce)];
        assert_eq!(sightings(&replies), once);
        // By RARP too, and its hardware address is learned by it.
        let (mut plant, store) = host_r("");
        let mut arrives = asks([0; 4], [0; 4]);
        arrives[12..14].copy_from_slice(&ethernet::ethertype::RARP.to_be_bytes());
        arrives[20..22].copy_from_slice(&[0, 3]);
        let node = plant.numbers.get("A").unwrap();
        let mut replies = Replies::default();
        plant.note_arrival(node, &arrives, &store, &mut replies);
        plant.note_arrival(node, &arrives, &store, &mut replies);
        let once = [("A".to_owned(), Mac(OWN), Sighting::Rarp)];
        assert_eq!(sightings(&replies), once);
        assert_eq!(plant.slow.rarp_seen, 2);
        assert_eq!(plant.learned.get(&node), Some(&Mac(OWN)));
    }

    /// R with G's MAC in its mapping, and C's in its binding.
    fn given() -> (Plant, Store) {
        let more = "[[port]]\nname = \"c\"\ndevice = \"net_null1\"\nrole = \"node\"\n\
             [[binding]]\nname = \"C\"\nvnet = \"Z\"\naddress = \"10.0.0.5\"\nport = \"c\"\n\
             mac = \"02:00:00:00:00:0c\"\n";
        let file = include_str!("../../../configs/first/r.toml")
            .replacen("[[vnet]]\n", "[[vnet]]\nmacs = \"given\"\n", 1)
            .replacen(
                "host = \"S\"",
                "host = \"S\"\nmac = \"52:54:00:00:00:03\"",
                1,
            );
        let (mut plant, store) = built(&format!("{file}\n{more}"));
        plant.step(&store);
        (plant, store)
    }

    #[test]
    fn neighbours_are_told_given_macs() {
        let (mut plant, store) = given();
        let told = |plant: &mut Plant, target| {
            let replies = after(plant, &store, &[asks([10, 0, 0, 2], target)]);
            replies.frames.first().map(|(_, frame)| {
                let [link, message] = [&frame[6..12], &frame[22..28]];
                assert_eq!(link, message);
                Mac(message.try_into().unwrap())
            })
        };
        let g = Mac([0x52, 0x54, 0, 0, 0, 3]);
        assert_eq!(told(&mut plant, [10, 0, 0, 3]), Some(g));
        assert_eq!(
            told(&mut plant, [10, 0, 0, 5]),
            Some(Mac([2, 0, 0, 0, 0, 0x0c]))
        );
        // Where none is given, the computed one; and at once another one.
        let vni = Vni(0x5a_0001);
        let host = store.host_index("S").unwrap();
        let point = |plant: &mut Plant, address: &str, mac| {
            let at = Place {
                mac,
                ..Place::host(host)
            };
            let address = address.parse().unwrap();
            plant.point(vni, address, at, None).unwrap();
        };
        point(&mut plant, "10.0.0.7", None);
        let computed = virtual_mac::of(Kind::Node, vni, Vaddr(0x0a00_0007));
        assert_eq!(told(&mut plant, [10, 0, 0, 7]), Some(computed));
        let other = Mac([0x52, 0x54, 0, 0, 0, 4]);
        point(&mut plant, "10.0.0.3", Some(other));
        assert_eq!(told(&mut plant, [10, 0, 0, 3]), Some(other));
        // The one of before is remembered, and workers are told of it.
        plant.step(&store);
        let key = Key::new(vni.0, 0x0a00_0003);
        assert!(plant.topology().former_macs.has(key, g, 1));
        assert_eq!(plant.topology().former_macs.len(), 1);
    }

    /// A node believes what it is asked with.
    #[test]
    fn nodes_are_asked_by_given_macs() {
        let file = include_str!("../../../configs/first/r.toml")
            .replacen("[[vnet]]\n", "[[vnet]]\nmacs = \"given\"\n", 1)
            .replacen(
                "host = \"S\"",
                "host = \"S\"\nmac = \"52:54:00:00:00:03\"",
                1,
            )
            .replacen("\"10.0.0.3\"", "\"10.0.0.1\"", 1);
        let (mut plant, store) = built(&file);
        plant.step(&store);
        let node = plant.numbers.get("A").unwrap();
        let mut replies = Replies::default();
        plant.ask_for_mac(node, &mut replies);
        let [(_, frame)] = &replies.frames[..] else {
            panic!("{replies:?}");
        };
        assert_eq!(frame[28..32], [10, 0, 0, 1]);
        assert_eq!(frame[22..28], [0x52, 0x54, 0, 0, 0, 3]);
    }

    #[test]
    fn a_binding_that_loses_its_mac_leaves_it_behind() {
        let (mut plant, mut store) = given();
        let file = include_str!("../../../configs/first/r.toml");
        let (mut config, _) = Config::parse("r", file.as_bytes()).unwrap();
        let wanted = Desired::take(&mut config);
        store.replace(&mut plant, Origin::File, &wanted, 0).unwrap();
        plant.step(&store);
        let formers = &plant.topology().former_macs;
        let key = |address| Key::new(0x5a_0001, address);
        assert!(formers.has(key(0x0a00_0005), Mac([2, 0, 0, 0, 0, 0x0c]), 1));
        assert!(formers.has(key(0x0a00_0003), Mac([0x52, 0x54, 0, 0, 0, 3]), 1));
        assert_eq!(formers.len(), 2);
    }
}
