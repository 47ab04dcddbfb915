//! What workers leave to the control thread: frames for the host itself, ARP
//! of nodes, errors to be told, addresses to be asked for.

use crate::control::proto::Event;
use crate::control::store::Store;
use crate::datapath::wiring::{Notice, Punted};
use crate::datapath::{Context, Drop, FreshIds, Outcome, Punt, outsider};
use crate::mapping::{Key, NodeIndex, Target};
use crate::node::arp::{self, ArpIgnored, ArpOutcome, Asker};
use crate::packet::{Buffer, Packet};
use crate::siit::substrate_error;
use crate::wire::address::Prefix4;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::icmpv4::{self, Problem, unreachable};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, Vni, ipv4, ipv6};

use super::plant::Plant;

/// Frames that control answers are copied out of their packets: it has time.
const MOST: usize = 2048;

/// What the slow path counts.
#[derive(Debug)]
pub struct SlowCounters {
    pub arp_answered: u64,
    pub arp_ignored: [u64; ArpIgnored::ALL.len()],
    pub arp_asked: u64,
    pub icmp_sent: u64,
    pub substrate_errors: u64,
    pub substrate_errors_ignored: u64,
    pub misses: u64,
    pub unsent: u64,
}

impl Default for SlowCounters {
    fn default() -> Self {
        SlowCounters {
            arp_answered: 0,
            arp_ignored: [0; ArpIgnored::ALL.len()],
            arp_asked: 0,
            icmp_sent: 0,
            substrate_errors: 0,
            substrate_errors_ignored: 0,
            misses: 0,
            unsent: 0,
        }
    }
}

/// Frames to send and events to tell, out of one slice of work.
#[derive(Debug, Default)]
pub struct Replies {
    pub frames: Vec<(u16, Vec<u8>)>,
    pub events: Vec<Event>,
}

impl Plant {
    /// A packet of the protocol ring.
    pub fn answer<P: Packet>(&mut self, punted: &Punted<P>, store: &Store, replies: &mut Replies) {
        let mut bytes = [0; MOST];
        let len = punted.packet.copy_out(0, &mut bytes);
        let frame = &bytes[..len];
        match punted.what {
            Punt::Arp { node } => self.answer_arp(node, punted.port, frame, store, replies),
            Punt::Substrate => {
                let now = self.now();
                // What has no effect is counted by the engine, by reason.
                let _ = self.substrate.input(punted.port, frame, now);
            }
            Punt::SubstrateError => self.translate_error(frame, replies),
            Punt::Relay => self.answer_for_relay(punted.port, frame),
        }
    }

    fn answer_arp(
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
        let outcome = arp::answer(frame, &asker, |target| {
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

    /// An ICMPv6 error about a node's packet, told to the node in ICMP.
    fn translate_error(&mut self, frame: &[u8], replies: &mut Replies) {
        let read = ethernet::Header::parse(frame).and_then(|link| {
            let packet = frame.get(link.len..)?;
            let outer = ipv6::Header::parse(packet).ok()?;
            let end = ipv6::HEADER_LEN + usize::from(outer.payload_len);
            let message = packet.get(ipv6::HEADER_LEN..end)?;
            let own = self.site.locator?;
            substrate_error::read(&outer, message, self.site.layout, &own).ok()
        });
        let Some(error) = read else {
            return self.error_about_outsider(frame, replies);
        };
        self.slow.substrate_errors += 1;
        let own = Key::new(error.vni.0, error.src.0);
        let mapping = self.reader.resolve(&self.participant, own);
        let Some(Target::Local(node)) = mapping.map(|mapping| mapping.target) else {
            return;
        };
        if let Some(mtu) = error.substrate_mtu {
            self.lower_path_mtu(error.vni, error.dst, mtu);
        }
        self.tell_node(node, error.problem, error.quote(), replies);
    }

    /// A router's error about a packet to an outsider goes through the walk's
    /// own translation; here, because it comes from anywhere and so was limited
    /// in rate.
    fn error_about_outsider(&mut self, frame: &[u8], replies: &mut Replies) {
        let cx = Context {
            topology: self.publisher.current(),
            mappings: &self.reader,
            pin: &self.participant,
            seconds: self.clock.seconds(self.clock.now()),
            fresh: FreshIds::new(0, 1),
        };
        let mut packet = Buffer::new(frame);
        match outsider::inward(&cx, &mut packet, 0) {
            Some(Ok(Outcome::Send { port, .. })) => {
                self.slow.substrate_errors += 1;
                replies.frames.push((port, packet.frame().to_vec()));
            }
            _ => self.slow.substrate_errors_ignored += 1,
        }
    }

    /// Packets that may be cut are cut here, so the host must know the path.
    fn lower_path_mtu(&mut self, vni: Vni, dst: Vaddr, mtu: u32) {
        let mapping = self
            .reader
            .resolve(&self.participant, Key::new(vni.0, dst.0));
        let Some(Target::Remote(host)) = mapping.map(|mapping| mapping.target) else {
            return;
        };
        let locator = self.topology().host(host).map(|host| host.locator.bits());
        let now = self.now();
        if let (Some(locator), Ok(mtu)) = (locator, u16::try_from(mtu))
            && self.path_mtu.lower(locator, mtu, now)
        {
            self.mark_dirty();
        }
    }

    /// A notice of the notice ring.
    pub fn notice<P: Packet>(&mut self, notice: Notice<P>, store: &Store, replies: &mut Replies) {
        match notice {
            Notice::Miss {
                why: Drop::NodeMacUnknown,
                node: Some(node),
                ..
            } => {
                self.ask_for_mac(node, replies);
            }
            Notice::Miss { key, node, .. } => self.tell_miss(key, node, store, replies),
            Notice::NodeSeen { node, mac } => self.node_seen(node, mac, store, replies),
            Notice::RelayRefused {
                why,
                reply,
                port,
                packet,
            } => {
                let mut bytes = [0; MOST];
                let len = packet.copy_out(0, &mut bytes);
                self.tell_sender((why, reply, port), &bytes[..len], replies);
            }
            Notice::Refused {
                why,
                node,
                mtu,
                packet,
            } => {
                let problem = match why {
                    Drop::TooBig => Problem::FragmentationNeeded { mtu },
                    Drop::TtlExceeded => Problem::TimeExceeded(0),
                    Drop::Denied | Drop::OutsideVnet => {
                        Problem::Unreachable(unreachable::COMMUNICATION_PROHIBITED)
                    }
                    Drop::SourceRoute => Problem::Unreachable(unreachable::SOURCE_ROUTE_FAILED),
                    _ => Problem::Unreachable(unreachable::HOST),
                };
                let mut bytes = [0; MOST];
                let len = packet.copy_out(0, &mut bytes);
                let link = ethernet::Header::parse(&bytes[..len]);
                let quote = link.and_then(|link| bytes[..len].get(link.len..));
                if let Some(quote) = quote {
                    self.tell_node(node, problem, quote, replies);
                }
            }
        }
    }

    /// An ICMP error to a node about a packet it sent, as from the address it
    /// wrote to.
    fn tell_node(
        &mut self,
        node: NodeIndex,
        problem: Problem,
        quote: &[u8],
        replies: &mut Replies,
    ) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        let problem = match (problem, self.topology().vnet(record.vnet)) {
            (Problem::FragmentationNeeded { mtu }, Some(vnet)) => {
                let mtu = mtu.min(vnet.mtu);
                Problem::FragmentationNeeded { mtu }
            }
            (problem, _) => problem,
        };
        let (Some(mac), Some(fault)) = (record.mac, ipv4::Header::parse_unchecked(quote)) else {
            return;
        };
        let payload = quote.get(usize::from(fault.header_len)..).unwrap_or(&[]);
        if !icmpv4::may_answer_with_error(&fault, payload) || !record.owns(fault.src) {
            return;
        }
        let mut message = [0; icmpv4::MAX_ERROR_LEN];
        let Some(len) = icmpv4::error(problem, fault.dst, quote, &mut message) else {
            return;
        };
        let link = ethernet::Header {
            destination: mac,
            source: virtual_mac::of(Kind::Node, record.vni, fault.dst),
            vlan: (record.vlan != 0).then_some(record.vlan),
            ethertype: ethertype::IPV4,
            len: 0,
        };
        let port = record.port;
        let mut frame = vec![0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
        let link_len = link.emit(&mut frame);
        frame.truncate(link_len);
        frame.extend_from_slice(&message[..len]);
        self.slow.icmp_sent += 1;
        replies.frames.push((port, frame));
    }

    /// Asks a node for its hardware address, as a neighbour of its subnet.
    fn ask_for_mac(&mut self, node: NodeIndex, replies: &mut Replies) {
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

    fn tell_miss(
        &mut self,
        key: Key,
        node: Option<NodeIndex>,
        store: &Store,
        replies: &mut Replies,
    ) {
        self.slow.misses += 1;
        let Some(vnet) = store.vnet_of(Vni(key.vni())) else {
            return;
        };
        let node = node.and_then(|node| self.topology().node(node));
        replies.events.push(Event::Miss {
            vnet: vnet.name.clone(),
            address: Vaddr(key.vaddr()),
            node: node.map_or_else(String::new, |node| node.name.clone()),
            held: 1,
        });
    }

    fn node_seen(&mut self, node: NodeIndex, mac: Mac, store: &Store, replies: &mut Replies) {
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
    use crate::appliance::testing::host_r;

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

    /// The MTU that A is told when a packet of its own did not fit 1472 bytes.
    fn told(vnet: &str) -> u16 {
        let (mut plant, store) = host_r(vnet);
        let node = plant.numbers.get("A").unwrap();
        plant.learn(node, Mac([2, 0, 0, 0, 0, 9]));
        plant.step(&store);
        let ip = ipv4::Header {
            tos: 0,
            total_len: 48,
            id: 1,
            reserved: false,
            df: true,
            mf: false,
            offset: 0,
            ttl: 64,
            protocol: 17,
            src: "10.0.0.2".parse().unwrap(),
            dst: "10.0.0.3".parse().unwrap(),
            header_len: 20,
        };
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend(ip.bytes());
        frame.extend([0; 28]);
        let refused = Notice::Refused {
            why: Drop::TooBig,
            node,
            mtu: 1472,
            packet: Buffer::new(&frame),
        };
        let mut replies = Replies::default();
        plant.notice(refused, &store, &mut replies);
        let [(1, reply)] = &replies.frames[..] else {
            panic!("{replies:?}");
        };
        assert_eq!(reply[34..36], [3, 4], "fragmentation needed");
        u16::from_be_bytes([reply[40], reply[41]])
    }

    #[test]
    fn nodes_are_told_the_mtu_of_their_vnet() {
        assert_eq!(told(""), 1472);
        assert_eq!(told("mtu = 1400"), 1400);
        assert_eq!(told("mtu = 1472"), 1472);
    }
}
