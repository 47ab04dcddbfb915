//! What other hosts send to nodes that were here until lately, and what those
//! hosts say of theirs.
//!
//! The answer is an ICMPv6 error of this host's control address to the sender,
//! which the other host translates for its node as it does a router's. Like a
//! router's it is believed for the packet that it quotes; that a node has
//! *moved*, and where to, is for the manager to say.

use std::net::Ipv6Addr;

use crate::control::proto::Event;
use crate::control::store::Store;
use crate::mapping::{HostIndex, Key, Target};
use crate::siit::substrate_error::SubstrateError;
use crate::wire::{Saddr, Vni, ethernet, icmpv6, ipv6};

use super::Replies;
use crate::appliance::plant::Plant;

/// Destination unreachable: there is no such address (RFC 4443 section 3.1).
const ADDRESS_UNREACHABLE: u8 = 3;

impl Plant {
    pub(super) fn answer_gone(&mut self, frame: &[u8], store: &Store, replies: &mut Replies) {
        let packet = ethernet::Header::parse(frame).and_then(|link| frame.get(link.len..));
        let Some(packet) = packet else {
            return;
        };
        let (Ok(outer), Some(own)) = (ipv6::Header::parse_quoted(packet), self.site.locator) else {
            return;
        };
        let layout = self.site.layout;
        let (vni, address) = (Vni(layout.vni(&outer.dst)), layout.vaddr(&outer.dst));
        let sender = layout.locator(&outer.src);
        let host = self.topology().host_by_locator.get(&sender).copied();
        // A node may have taken the address while the packet waited here.
        let key = Key::new(vni.0, address.0);
        let entry = self.reader.resolve(&self.participant, key);
        let gone = entry.is_some_and(|entry| entry.target == Target::Gone);
        let (Some(host), true) = (host, gone) else {
            return;
        };
        if !self.gone.first_word(vni, address, sender) {
            return;
        }
        let from = layout.control_address(&own);
        let what = (icmpv6::kind::UNREACHABLE, ADDRESS_UNREACHABLE, 0);
        let mut message = [0; icmpv6::MAX_ERROR_LEN];
        let len = icmpv6::error(what, &from, packet, &mut message);
        let error = len.and_then(|len| message.get(..len));
        if let Some(frame) = error.and_then(|error| self.towards(host, error)) {
            self.slow.gone_told += 1;
            replies.frames.push(frame);
        }
        tell_redirect((vni, key), &outer.src, store, replies);
    }

    /// A packet as a frame to another host, with its port.
    pub(super) fn towards(&self, host: HostIndex, packet: &[u8]) -> Option<(u16, Vec<u8>)> {
        let host = self.topology().host(host)?;
        let hop = self.topology().hop(host, 0)?;
        let mut frame = vec![0; hop.link_len() + packet.len()];
        hop.write_link(&mut frame)?.copy_from_slice(packet);
        Some((hop.port, frame))
    }

    /// Another host says that it has the node no longer that a packet of ours
    /// was for: believed of the host that the address is mapped to.
    pub(super) fn hear_of_gone(
        &self,
        (from, code): (&Saddr, u8),
        error: &SubstrateError,
        store: &Store,
        replies: &mut Replies,
    ) {
        let key = Key::new(error.vni.0, error.dst.0);
        let entry = self.reader.resolve(&self.participant, key);
        let Some(Target::Remote(host)) = entry.map(|entry| entry.target) else {
            return;
        };
        let host = self.topology().host(host);
        let layout = self.site.layout;
        let its = host.is_some_and(|host| layout.control_address(&host.locator) == *from);
        if its && code == ADDRESS_UNREACHABLE {
            tell_redirect((error.vni, key), from, store, replies);
        }
    }
}

fn tell_redirect((vni, key): (Vni, Key), sender: &Saddr, store: &Store, replies: &mut Replies) {
    if let Some(vnet) = store.vnet_of(vni) {
        replies.events.push(Event::Redirect {
            vnet: vnet.name.clone(),
            address: crate::wire::Vaddr(key.vaddr()),
            sender: Ipv6Addr::from(*sender),
            host: String::new(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::testing::host_r;
    use crate::control::proto::{BindingRemove, Change};
    use crate::control::store::mappings::Place;
    use crate::model::Origin;
    use crate::wire::{Layout, Locator, Vaddr};

    const Z: Vni = Vni(0x5a_0001);
    const A: Vaddr = Vaddr(0x0a00_0002);
    const G: Vaddr = Vaddr(0x0a00_0003);

    fn locator(text: &str) -> Locator {
        text.parse().unwrap()
    }

    /// A frame of the other host for A: eight bytes of UDP.
    fn to_a(from: &str) -> Vec<u8> {
        let header = ipv6::Header {
            traffic_class: 0,
            flow_label: 0x4_0e00,
            payload_len: 8,
            next_header: 17,
            hop_limit: 64,
            src: Layout::P72.compose(&locator(from), Z, G),
            dst: Layout::P72.compose(&locator("2001:db8:0:a:100::/72"), Z, A),
        };
        let mut frame = vec![0x02; 12];
        frame.extend([0x86, 0xdd]);
        frame.extend(header.bytes());
        frame.extend([0, 1, 0, 2, 0, 8, 0xab, 0xcd]);
        frame
    }

    fn target(plant: &Plant) -> Option<Target> {
        let entry = plant.table_entry(Z, "10.0.0.2".parse().unwrap());
        entry.map(|entry| entry.target)
    }

    #[test]
    fn a_node_that_goes_leaves_word() {
        let (mut plant, mut store) = host_r("");
        let binding = store.binding("A").unwrap().clone();
        let (name, revision) = ("A".to_owned(), 0);
        let remove = [Change::BindingRemove(BindingRemove { name, revision })];
        store
            .apply(&mut plant, Origin::Operator, &remove, 0)
            .unwrap();
        assert_eq!(target(&plant), Some(Target::Gone));
        let redirects = |replies: &Replies| -> Vec<(Vaddr, Ipv6Addr)> {
            let of = |event: &Event| match event {
                Event::Redirect {
                    address, sender, ..
                } => Some((*address, *sender)),
                _ => None,
            };
            replies.events.iter().filter_map(of).collect()
        };
        let mut replies = Replies::default();
        let frame = to_a("2001:db8:0:b:200::/72");
        for _ in 0..3 {
            plant.answer_gone(&frame, &store, &mut replies);
        }
        // A stranger is told nothing.
        plant.answer_gone(&to_a("2001:db8:0:d:900::/72"), &store, &mut replies);
        let sender = Layout::P72.compose(&locator("2001:db8:0:b:200::/72"), Z, G);
        assert_eq!(redirects(&replies), [(A, Ipv6Addr::from(sender))]);
        // The address is another host's: its word ends.
        let host = store.host_index("S").unwrap();
        plant
            .point(Z, "10.0.0.2".parse().unwrap(), Place::host(host), None)
            .unwrap();
        assert!(matches!(target(&plant), Some(Target::Remote(_))));
        plant.forget_gone(u32::MAX);
        assert!(matches!(target(&plant), Some(Target::Remote(_))));
        plant.unpoint(Z, "10.0.0.2".parse().unwrap());
        assert_eq!(target(&plant), None);
        // And it comes back.
        let set = [Change::BindingSet(crate::control::proto::BindingSet {
            binding,
            revision: 0,
        })];
        store.apply(&mut plant, Origin::Operator, &set, 0).unwrap();
        assert!(matches!(target(&plant), Some(Target::Local(_))));
    }

    #[test]
    fn words_that_are_left_end() {
        let (mut plant, mut store) = host_r("");
        let remove = |plant: &mut Plant, store: &mut Store| {
            let (name, revision) = ("A".to_owned(), 0);
            let remove = [Change::BindingRemove(BindingRemove { name, revision })];
            store.apply(plant, Origin::Operator, &remove, 0).unwrap();
        };
        remove(&mut plant, &mut store);
        plant.forget_gone(299);
        assert_eq!(target(&plant), Some(Target::Gone));
        plant.forget_gone(300);
        assert_eq!(target(&plant), None);
        let (mut plant, mut store) = host_r("");
        plant.settings.limits.gone_seconds = 0;
        remove(&mut plant, &mut store);
        assert_eq!(target(&plant), None);
    }
}
