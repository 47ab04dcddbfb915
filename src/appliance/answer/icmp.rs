//! ICMP errors to nodes about packets of theirs.

use crate::datapath::given::Given;
use crate::datapath::route::{self, End, Route};
use crate::datapath::segments::NONE;
use crate::datapath::topology::NodeRecord;
use crate::datapath::{Drop, tally};
use crate::mapping::NodeIndex;
use crate::node::router;
use crate::wire::icmpv4::{Problem, unreachable};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, ethernet, ipv4};

use super::Replies;
use super::router::framed;
use crate::appliance::plant::Plant;

/// Who tells a node about its packet.
struct Speaker {
    address: Vaddr,
    mac: Mac,
    /// Routers that the packet had crossed when this one got it.
    hops: u8,
}

impl Plant {
    /// What a node is told about a frame of its own that the walk refused.
    pub(super) fn tell_refused(
        &mut self,
        (why, mtu): (Drop, u16),
        node: NodeIndex,
        frame: &[u8],
        replies: &mut Replies,
    ) {
        let problem = match why {
            Drop::TooBig => Problem::FragmentationNeeded { mtu },
            Drop::TtlExceeded | Drop::RouteLoop => Problem::TimeExceeded(0),
            Drop::Denied | Drop::OutsideVnet | Drop::RouteProhibited => {
                Problem::Unreachable(unreachable::COMMUNICATION_PROHIBITED)
            }
            Drop::SourceRoute => Problem::Unreachable(unreachable::SOURCE_ROUTE_FAILED),
            Drop::NoRoute => Problem::Unreachable(unreachable::NET),
            _ => Problem::Unreachable(unreachable::HOST),
        };
        let Some(link) = ethernet::Header::parse(frame) else {
            return;
        };
        if let Some(quote) = frame.get(link.len..) {
            self.tell_node(node, problem, (Some(link.destination), quote), replies);
        }
    }

    /// An ICMP error to a node about a packet it sent, and to which MAC it sent
    /// it if that is known.
    pub(super) fn tell_node(
        &mut self,
        node: NodeIndex,
        problem: Problem,
        (sent_to, quote): (Option<Mac>, &[u8]),
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
        let mut subnets = self.topology().subnets.iter();
        let to_all =
            subnets.any(|subnet| subnet.vnet == record.vnet && subnet.is_broadcast(fault.dst));
        if !record.owns(fault.src) || to_all {
            return;
        }
        let entry = sent_to.and_then(|mac| self.router_of(node, mac));
        let sent = (entry, sent_to.is_some(), problem);
        let speaker = speaker(self.given(), record, sent, &fault);
        let Some(message) = router::error(problem, quote, speaker.address, speaker.hops) else {
            return;
        };
        if let Some(entry) = entry {
            let bytes = ethernet::HEADER_LEN + message.len();
            tally::count_answer(self.topology(), (entry, fault.dst, fault.ttl), bytes);
        }
        let frame = framed([mac, speaker.mac], record.vlan, &message);
        let port = record.port;
        self.slow.icmp_sent += 1;
        replies.frames.push((port, frame));
    }
}

/// The router at which the packet ended; on a link without routers, whom it
/// was for. What ends in the substrate ended behind the last router, and is
/// quoted as it was sent there. No router takes a source route, so the first one
/// says so.
fn speaker(
    given: Given<'_>,
    record: &NodeRecord,
    (entry, refused, problem): (Option<u32>, bool, Problem),
    fault: &ipv4::Header,
) -> Speaker {
    let topology = given.topology;
    let iface = |at: u32| topology.ifaces.get(at as usize);
    let segment = &record.segment;
    let beyond = !refused && segment.gateway != NONE && !segment.prefix.contains(fault.dst);
    let entry = entry.or_else(|| beyond.then_some(segment.gateway));
    if let Some((entry, iface_in)) = entry.and_then(|entry| Some((entry, iface(entry)?))) {
        let ttl = if refused { fault.ttl } else { u8::MAX };
        let route = match problem {
            Problem::Unreachable(unreachable::SOURCE_ROUTE_FAILED) if refused => Route {
                end: End::NoRoute,
                hops: 0,
                at: entry,
            },
            _ => route::follow(topology, entry, fault.dst, ttl),
        };
        let before = match route.end {
            End::Connected | End::Node(_) => route.hops.saturating_sub(1),
            _ => route.hops,
        };
        return Speaker {
            address: iface(route.at).map_or(iface_in.address, |iface| iface.address),
            mac: virtual_mac::of(Kind::Router, record.vni, iface_in.address),
            hops: if refused { before } else { 0 },
        };
    }
    match (iface(segment.gateway), segment.gateway_mac) {
        (Some(gateway), Some(mac)) => Speaker {
            address: gateway.address,
            mac,
            hops: 0,
        },
        _ => Speaker {
            address: fault.dst,
            mac: given.neighbor(record, fault.dst),
            hops: 0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::testing::host_r;
    use crate::datapath::wiring::Notice;
    use crate::packet::Buffer;
    use crate::wire::Mac;

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
