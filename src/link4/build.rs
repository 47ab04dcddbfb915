//! Frames out.

use crate::wire::ethernet::{HEADER_LEN, Header, TAG_LEN, ethertype};
use crate::wire::icmpv4::{self, MAX_ERROR_LEN, Problem};
use crate::wire::{Mac, Vaddr, arp, checksum, ipv4, protocol};

/// The link a frame leaves by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) mac: Mac,
    pub(super) vlan: Option<u16>,
    pub(super) address: Vaddr,
}

impl Link {
    /// Asks for the hardware address of `target`, everybody or at `to`.
    pub(super) fn request(self, to: Mac, target: Vaddr) -> Vec<u8> {
        self.question(self.address, to, target)
    }

    /// Says that the own address is ours: a request for itself, which
    /// everybody reads and nobody answers (RFC 5227 section 3).
    pub(super) fn announcement(self) -> Vec<u8> {
        self.question(self.address, Mac::BROADCAST, self.address)
    }

    /// Asks who else has the own address, from nobody.
    pub(super) fn probe(self) -> Vec<u8> {
        self.question(Vaddr(0), Mac::BROADCAST, self.address)
    }

    fn question(self, sender: Vaddr, to: Mac, target: Vaddr) -> Vec<u8> {
        let message = arp::Message {
            is_request: true,
            sender_mac: self.mac,
            sender,
            target_mac: Mac::ZERO,
            target,
        };
        self.frame(to, ethertype::ARP, &message.bytes())
    }

    /// The answer to a request for the own address.
    pub(super) fn reply(self, asked: &arp::Message) -> Vec<u8> {
        let message = arp::Message {
            is_request: false,
            sender_mac: self.mac,
            sender: self.address,
            target_mac: asked.sender_mac,
            target: asked.sender,
        };
        self.frame(asked.sender_mac, ethertype::ARP, &message.bytes())
    }

    /// `body` is all after the checksum, as it came. It may be fragmented on
    /// its way: nothing here would learn of a smaller MTU there.
    pub(super) fn echo_reply(self, to: Mac, asked: &ipv4::Header, id: u16, body: &[u8]) -> Vec<u8> {
        let len = ipv4::HEADER_LEN + 4 + body.len();
        let header = ipv4::Header {
            // As RFC 1349 wants it, but for the congestion bits: they were the
            // request's.
            tos: asked.tos & 0xfc,
            // No longer than the request, which had a field for its length.
            total_len: len as u16,
            id,
            reserved: false,
            df: false,
            mf: false,
            offset: 0,
            ttl: 64,
            protocol: protocol::ICMP,
            src: self.address,
            dst: asked.src,
            header_len: ipv4::HEADER_LEN as u8,
        };
        let mut packet = Vec::with_capacity(len);
        packet.extend(header.bytes());
        packet.extend([icmpv4::kind::ECHO_REPLY, 0]);
        // Type and code are 0 and add nothing to the sum.
        packet.extend((!checksum::fold(checksum::sum(body))).to_be_bytes());
        packet.extend(body);
        self.frame(to, ethertype::IPV4, &packet)
    }

    /// An error about a packet, if one can be written.
    pub(super) fn error(
        self,
        to: Mac,
        problem: Problem,
        packet: &[u8],
        mtu: u16,
    ) -> Option<Vec<u8>> {
        let most = usize::from(mtu).saturating_sub(ipv4::HEADER_LEN + icmpv4::HEADER_LEN);
        let quote = &packet[..packet.len().min(most)];
        let mut out = [0; MAX_ERROR_LEN];
        let len = icmpv4::error(problem, self.address, quote, &mut out)?;
        Some(self.frame(to, ethertype::IPV4, &out[..len]))
    }

    fn frame(self, destination: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
        let head = HEADER_LEN + if self.vlan.is_some() { TAG_LEN } else { 0 };
        let mut out = Vec::with_capacity(head + payload.len());
        out.resize(head, 0);
        Header {
            destination,
            source: self.mac,
            vlan: self.vlan,
            ethertype,
            len: head,
        }
        .emit(&mut out);
        out.extend(payload);
        out
    }
}
