//! ICMP errors to nodes about packets of theirs.

use crate::datapath::Drop;
use crate::mapping::NodeIndex;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::icmpv4::{self, Problem, unreachable};
use crate::wire::ipv4;
use crate::wire::virtual_mac::{self, Kind};

use super::Replies;
use crate::appliance::plant::Plant;

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
            Drop::TtlExceeded => Problem::TimeExceeded(0),
            Drop::Denied | Drop::OutsideVnet => {
                Problem::Unreachable(unreachable::COMMUNICATION_PROHIBITED)
            }
            Drop::SourceRoute => Problem::Unreachable(unreachable::SOURCE_ROUTE_FAILED),
            _ => Problem::Unreachable(unreachable::HOST),
        };
        let quote = ethernet::Header::parse(frame).and_then(|link| frame.get(link.len..));
        if let Some(quote) = quote {
            self.tell_node(node, problem, quote, replies);
        }
    }

    /// An ICMP error to a node about a packet it sent, as from the address it
    /// wrote to.
    pub(super) fn tell_node(
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
