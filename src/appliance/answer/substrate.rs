//! ICMPv6 errors of the substrate about packets of this host.

use crate::control::store::Store;
use crate::datapath::{Context, FreshIds, Outcome, outsider};
use crate::mapping::{Key, Target};
use crate::packet::Buffer;
use crate::siit::substrate_error;
use crate::wire::{Vaddr, Vni, ethernet, ipv6};

use super::Replies;
use crate::appliance::plant::Plant;

impl Plant {
    /// An ICMPv6 error about a node's packet, told to the node in ICMP.
    pub(super) fn translate_error(&mut self, frame: &[u8], store: &Store, replies: &mut Replies) {
        let read = ethernet::Header::parse(frame).and_then(|link| {
            let packet = frame.get(link.len..)?;
            let outer = ipv6::Header::parse(packet).ok()?;
            let end = ipv6::HEADER_LEN + usize::from(outer.payload_len);
            let message = packet.get(ipv6::HEADER_LEN..end)?;
            let own = self.site.locator?;
            let error = substrate_error::read(&outer, message, self.site.layout, &own).ok()?;
            Some((outer.src, *message.get(1)?, error))
        });
        let Some((from, code, error)) = read else {
            return self.error_about_outsider(frame, replies);
        };
        self.slow.substrate_errors += 1;
        let own = Key::new(error.vni.0, error.src.0);
        let mapping = self.reader.resolve(&self.participant, own);
        let Some(Target::Local(node)) = mapping.map(|mapping| mapping.target) else {
            return;
        };
        self.hear_of_gone((&from, code), &error, store, replies);
        if let Some(mtu) = error.substrate_mtu {
            self.lower_path_mtu(error.vni, error.dst, mtu);
        }
        self.tell_node(node, error.problem, (None, error.quote()), replies);
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
}
