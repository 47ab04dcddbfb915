//! What a worker does with packets that are not simply sent: they wait, go to
//! control, are cut, or their sender is told why they were dropped.
//!
//! All of it is rare or limited in rate, so it may cost more than a walk.

use std::time::Duration;

use arrayvec::ArrayVec;

use crate::mapping::{Key, NodeIndex};
use crate::model::IcmpRate;
use crate::packet::{Meta, Packet};
use crate::port::{Burst, Pool, Port};
use crate::siit::rfc7915::Reply;
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Mac, Vaddr, icmpv6, ipv4, ipv6, protocol};

use super::classify;
use super::cut::MOST_PIECES;
use super::fragment::Cutting;
use super::hold::{Held, Waiting};
use super::lane::{Lane, walk};
use super::record::{Record, Recorder};
use super::rewrite::Cut;
use super::tally::{self, By};
use super::trace::{self, Tracer};
use super::wiring::{Notice, Punted};
use super::{
    BURST, Context, Drop, Exit, Outcome, Party, Punt, Results, cut, offload, relay, translate,
};

/// How often waiting packets are tried again.
const RETRY: Duration = Duration::from_millis(1);
/// Packets a second that are logged where no ICMP errors are sent.
const LOGGED: IcmpRate = IcmpRate::PerSecond(10);
/// How many of them in one round.
const RETRIES: usize = 2 * BURST;

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Lane<Io, Po> {
    /// Lets a packet wait, and asks control for what it waits for.
    pub(super) fn hold(
        &mut self,
        cx: &Context<'_>,
        packet: Io::Packet,
        meta: Meta,
        (why, key, whose): (Drop, Key, Party),
        now: u64,
    ) {
        let source = source_of(&packet);
        match self.holds.put(packet, meta, (why, key, whose), now) {
            Ok(Waiting::First) => self.tell_miss((why, key, whose), source, meta.port, now),
            Ok(Waiting::Further) => {}
            Err((_, Drop::HoldFull)) => self.counters.count(Drop::HoldFull),
            Err((packet, why)) => {
                self.apply(cx, packet, meta, Err(end_of_wait(why, whose)), now);
            }
        }
        self.counters.held.set(self.holds.len() as u64);
    }

    /// Asks control for what a packet waits for, unless its node asks too much.
    fn tell_miss(&mut self, (why, key, whose): (Drop, Key, Party), mac: Mac, port: u16, now: u64) {
        let node = whose.as_node();
        let bucket = node.map_or(self.settings.nodes + usize::from(port), NodeIndex::index);
        let notice = match (why, node) {
            (Drop::SpoofedSource, Some(node)) => Notice::AddressSeen {
                node,
                address: Vaddr(key.vaddr()),
                mac,
            },
            _ => Notice::Miss { why, key, node },
        };
        if !self.miss_limit.allow(bucket, now) || self.ends.notices.push(notice).is_err() {
            self.counters.miss_lost.add(1);
        }
    }

    pub(super) fn split(&mut self, cx: &Context<'_>, packet: &Io::Packet, cut: Cut) {
        let mut cutting = Cutting::new(cx, packet, cut);
        let mut pieces = 0;
        while let Some(piece) = cutting.next(&mut self.pool) {
            match piece {
                Ok((port, piece)) => {
                    pieces += 1;
                    self.send(port, piece);
                }
                // What was sent is of no use to the receiver, and costs it
                // only a reassembly timer.
                Err(why) => {
                    self.counters.count(why);
                    return self.counters.generated.add(pieces);
                }
            }
        }
        self.counters.fragmented.add(1);
        if cutting.removes_options() {
            self.counters.options_removed.add(1);
        }
        self.counters.generated.add(pieces.saturating_sub(1));
    }

    /// Counts at the interfaces of routers what went by them, and bytes that the
    /// walk did not see.
    #[inline(never)]
    pub(super) fn tally(&self, cx: &Context<'_>, results: &Results, more: u32) {
        let by = By::Worker(self.settings.index);
        for passage in results.passages() {
            tally::count(cx.topology, passage, more, by);
        }
    }

    pub(super) fn punt(&mut self, packet: Io::Packet, meta: &Meta, what: Punt, now: u64) {
        let bucket = match what {
            Punt::Arp { node }
            | Punt::Dhcp { node }
            | Punt::Igmp { node }
            | Punt::Rarp { node }
            | Punt::Router { node } => node.index(),
            Punt::Substrate
            | Punt::SubstrateError
            | Punt::Gone
            | Punt::DhcpBetween
            | Punt::Relay => {
                // Pings and errors have a bucket apart, so that no flood of
                // them silences neighbour discovery.
                let other = usize::from(!is_neighbor_discovery(&packet));
                self.settings.nodes + 2 * usize::from(meta.port) + other
            }
        };
        let limit = match what {
            // Apart, so that a node's scan does not cost it its address.
            Punt::Dhcp { .. } => &mut self.dhcp_limit,
            _ => &mut self.punt_limit,
        };
        if !limit.allow(bucket, now) {
            return self.counters.count(Drop::PuntLimited);
        }
        let punted = Punted {
            what,
            port: meta.port,
            packet,
        };
        match self.ends.protocol.push(punted) {
            Ok(()) => self.counters.punted.add(1),
            Err(_) => self.counters.count(Drop::PuntFull),
        }
    }

    /// Tells control of nodes whose hardware address was not known, and of
    /// watched addresses that are in use. Only what bears the node's own IPv4
    /// address counts: a bridge on the way has frames of its own. ARP tells
    /// control itself.
    #[cold]
    pub(super) fn learn(&mut self, cx: &Context<'_>, burst: &Burst<Io::Packet>, now: u64) {
        let mut last = None;
        for (packet, meta) in burst.packets.iter().zip(&burst.metas) {
            let Some(link) = ethernet::Header::parse(packet.head()) else {
                continue;
            };
            let vlan = classify::tag(&link, meta);
            let nodes = cx.topology.port(meta.port).map(|port| &port.nodes);
            let node = nodes
                .zip(vlan)
                .and_then(|(nodes, vlan)| nodes.find(vlan, link.source));
            let Some(node) = node else {
                continue;
            };
            let source = match link.ethertype {
                ethertype::IPV4 => packet.head().get(link.len..),
                _ => None,
            };
            let source = source.and_then(ipv4::Header::parse_unchecked);
            let (Some(ip), Some(record)) = (source, cx.topology.node(node)) else {
                continue;
            };
            if record.mac.is_none() && record.owns(ip.src) && link.source.is_unicast() {
                let mac = link.source;
                self.tell_of(node, Notice::NodeSeen { node, mac }, now);
            }
            // One of a burst says it.
            if record.watched.contains(&ip.src) && last != Some((node, ip.src)) {
                last = Some((node, ip.src));
                let address = ip.src;
                self.tell_of(node, Notice::AddressUsed { node, address }, now);
            }
        }
    }

    /// Tells control of a node, unless it has told too much of it.
    fn tell_of(&mut self, node: NodeIndex, notice: Notice<Io::Packet>, now: u64) {
        if self.miss_limit.allow(node.index(), now) && self.ends.notices.push(notice).is_err() {
            self.counters.miss_lost.add(1);
        }
    }

    pub(super) fn refuse(
        &mut self,
        packet: Io::Packet,
        why: Drop,
        node: NodeIndex,
        mtu: u16,
        now: u64,
    ) {
        if !self.icmp_limit.allow(node.index(), now) {
            return;
        }
        match self.ends.notices.push(Notice::Refused {
            why,
            node,
            mtu,
            packet,
        }) {
            Ok(()) => self.counters.refused.add(1),
            Err(_) => self.counters.miss_lost.add(1),
        }
    }

    /// Cuts a packet of the relay's and translates the pieces.
    pub(super) fn cut(
        &mut self,
        cx: &Context<'_>,
        packet: Io::Packet,
        meta: Meta,
        what: translate::Cut,
        now: u64,
    ) {
        let mut pieces = ArrayVec::<_, MOST_PIECES>::new();
        let made = cut::cut(cx, &packet, what, &mut self.pool, &mut pieces);
        match made {
            Ok(port) => {
                self.counters.fragmented.add(1);
                self.counters
                    .generated
                    .add(pieces.len().saturating_sub(1) as u64);
                for piece in pieces {
                    self.send(port, piece);
                }
            }
            // The pieces that were made are of no use without the rest.
            Err(exit) => self.apply(cx, packet, meta, Err(exit), now),
        }
    }

    /// Tells control of a packet that the relay dropped, for its sender or for
    /// the log.
    pub(super) fn tell_sender(
        &mut self,
        cx: &Context<'_>,
        packet: Io::Packet,
        meta: &Meta,
        (why, reply): (Drop, Option<Reply>),
        now: u64,
    ) {
        let rate = match cx.topology.relay() {
            Some(relay) => relay.icmp_rate,
            None => IcmpRate::PerSecond(self.settings.icmp_rate),
        };
        // Who wants no errors sent still reads the log.
        let (rate, reply) = match rate {
            IcmpRate::PerSecond(0) if relay::is_logged(why) => (LOGGED, None),
            rate => (rate, reply),
        };
        if !self.relay_limit.allow(meta.port, rate, now) {
            return;
        }
        let notice = Notice::RelayRefused {
            why,
            reply,
            port: meta.port,
            packet,
        };
        match self.ends.notices.push(notice) {
            Ok(()) => self.counters.refused.add(1),
            Err(_) => self.counters.miss_lost.add(1),
        }
    }

    /// Lets waiting packets walk again, oldest first.
    pub(super) fn retry(&mut self, cx: &Context<'_>, now: u64) {
        if now < self.next_retry {
            return;
        }
        self.next_retry = now + self.clock.ticks(RETRY);
        for _ in 0..RETRIES.min(self.holds.len()) {
            let Some(mut held) = self.holds.take() else {
                break;
            };
            let ended = held.deadline <= now;
            if !ended && self.holds.is_behind(&held) {
                self.holds.keep(held);
                continue;
            }
            match self.walk_again(cx, &mut held, ended, now) {
                Err(Exit::Hold { why, key, whose }) if !ended => {
                    // It has its mapping and lacks the node's address, say.
                    if why != held.why {
                        let source = source_of(&held.packet);
                        self.tell_miss((why, key, whose), source, held.meta.port, now);
                        (held.why, held.key) = (why, key);
                    }
                    self.holds.keep(held);
                }
                Err(Exit::Hold { why, whose, .. }) => {
                    self.holds.refuse(&held, now);
                    let end = Err(end_of_wait(why, whose));
                    self.apply(cx, held.packet, held.meta, end, now);
                }
                result => self.apply(cx, held.packet, held.meta, result, now),
            }
        }
        self.counters.held.set(self.holds.len() as u64);
    }

    /// One walk of a waiting packet. Who watches it sees the last one.
    pub(super) fn walk_again(
        &mut self,
        cx: &Context<'_>,
        held: &mut Held<Io::Packet>,
        ended: bool,
        now: u64,
    ) -> Result<Outcome, Exit> {
        let cx = &Context {
            fresh: self.fresh,
            ..*cx
        };
        self.fresh.advance(1);
        held.meta.offload = offload::before_walk(&mut held.packet, held.meta.offload);
        let result = self.walk_held(cx, held, ended, now);
        if let Err(Exit::Hold { .. }) = result {
            offload::after_walk(&mut held.packet, held.meta.offload);
        }
        result
    }

    fn walk_held(
        &mut self,
        cx: &Context<'_>,
        held: &mut Held<Io::Packet>,
        ended: bool,
        now: u64,
    ) -> Result<Outcome, Exit> {
        let (packet, metas) = (std::slice::from_mut(&mut held.packet), &[held.meta]);
        if cx.topology.watch.is_empty() {
            let results = walk(cx, packet, metas, &mut trace::Off);
            self.tally(cx, &results, 0);
            return results.get(0);
        }
        let (ring, lost) = (&mut self.ends.trace, &self.counters.trace_lost);
        let sink = |record: &Record| {
            let waits = matches!(record.result, Some(Err(Exit::Hold { .. })));
            if !waits && ring.push(record.clone()).is_err() {
                lost.add(1);
            }
        };
        let who = (self.settings.index, now);
        let mut recorder =
            Recorder::new(cx.topology, &cx.topology.watch, &mut self.slots, who, sink);
        let results = walk(cx, packet, metas, &mut recorder);
        let result = results.get(0);
        if let (true, Err(Exit::Hold { why, whose, .. })) = (ended, result) {
            recorder.done(0, &held.packet, &Err(end_of_wait(why, whose)));
        }
        self.tally(cx, &results, 0);
        result
    }
}

/// The hardware address that a frame comes from.
fn source_of<P: Packet>(packet: &P) -> Mac {
    ethernet::Header::parse(packet.head()).map_or(Mac::ZERO, |link| link.source)
}

/// What becomes of a packet that waited in vain: its node is told, if it was
/// the one that sent it.
fn end_of_wait(why: Drop, whose: Party) -> Exit {
    match (why, whose.as_node()) {
        (Drop::NoMapping | Drop::Expired, Some(node)) => Exit::Refuse { why, node, mtu: 0 },
        _ => Exit::Drop(why),
    }
}

/// Whether a frame is of the messages without which a link is dead. No
/// router passes them on (RFC 4861 section 3.1), so a flood of them comes from
/// the link itself.
fn is_neighbor_discovery<P: Packet>(packet: &P) -> bool {
    let head = packet.head();
    let rest = ethernet::Header::parse(head).and_then(|link| head.get(link.len..));
    if ethernet::Header::parse(head).is_some_and(|link| link.ethertype == ethertype::ARP) {
        return true;
    }
    rest.is_some_and(|rest| {
        let kind = rest.get(ipv6::HEADER_LEN + icmpv6::field::TYPE);
        rest.get(ipv6::field::NEXT_HEADER) == Some(&protocol::ICMPV6)
            && rest.get(ipv6::field::HOP_LIMIT) == Some(&255)
            && matches!(kind, Some(133..=137))
    })
}
