//! What frames do to the engine.

use crate::time::Time;
use crate::wire::{Mac, arp, icmpv4, ipv4};

use super::config;
use super::wire::{self, Envelope, Message, Wish};
use super::{Event, Ignored, Link4};

impl Link4 {
    /// Takes a frame that arrived on the port, as it was on the wire: with its
    /// VLAN tag, if the device did not keep that to itself. The answer says
    /// why a frame had no effect; it is counted already.
    pub fn input(&mut self, frame: &[u8], now: Time) -> Result<(), Ignored> {
        let result = self.receive(frame, now);
        match result {
            Ok(()) => self.outbox.counters.accepted += 1,
            Err(reason) => self.outbox.counters.ignored[reason as usize] += 1,
        }
        result
    }

    fn receive(&mut self, frame: &[u8], now: Time) -> Result<(), Ignored> {
        if !self.up {
            return Err(Ignored::LinkDown);
        }
        let (envelope, message) = wire::parse(frame)?;
        if envelope.vlan != self.vlan {
            return Err(Ignored::WrongVlan);
        }
        if envelope.from == self.mac {
            return Err(Ignored::LoopedBack);
        }
        if !envelope.to.is_group() && envelope.to != self.mac {
            return Err(Ignored::OtherMac);
        }
        match message {
            Message::Arp(message) => self.arp(&message, now),
            Message::Packet(header, packet) => self.packet(&envelope, &header, packet, now),
        }
    }

    /// In the order of RFC 826: what a message tells of its sender is read
    /// before what it asks.
    fn arp(&mut self, message: &arp::Message, now: Time) -> Result<(), Ignored> {
        if message.sender_mac == self.mac {
            return Err(Ignored::LoopedBack);
        }
        let own = self.own.interface.address;
        if message.sender == own {
            self.claimed(message.sender_mac, now);
            return Ok(());
        }
        // Also if sent to everybody (RFC 5227 section 2.6): it answers us.
        let to_us = !message.is_request && message.target == own;
        let timers = self.timers;
        // Nobody is remembered for having spoken of itself: next hops are
        // configured, and other systems are written to through them.
        let told = self.change(message.sender, |hop| {
            hop.heard(message.sender_mac, to_us, &timers, now)
        });
        match (message.is_request, told) {
            (true, _) if message.target == own => self.answer(message, now),
            (true, None) => Err(Ignored::NotOurTarget),
            (false, None) => Err(Ignored::UnknownNeighbor),
            (_, Some(told)) => told,
        }
    }

    fn answer(&mut self, asked: &arp::Message, now: Time) -> Result<(), Ignored> {
        if !self.answers.take(now) {
            return Err(Ignored::RateLimited);
        }
        let bytes = self.link_header().reply(asked);
        self.outbox.counters.replies_sent += self.send(bytes);
        Ok(())
    }

    /// Another system says that the own address is its.
    fn claimed(&mut self, mac: Mac, now: Time) {
        self.outbox.counters.conflicts += 1;
        if self.own.claimed(mac, &self.timers, now) {
            let (port, address) = (self.port, self.own.interface.address);
            self.outbox
                .tell(Event::AddressConflict { port, address, mac });
            self.announce();
        }
    }

    fn packet(
        &mut self,
        envelope: &Envelope,
        header: &ipv4::Header,
        packet: &[u8],
        now: Time,
    ) -> Result<(), Ignored> {
        let own = self.own.interface;
        if header.dst != own.address {
            return Err(Ignored::NotOurAddress);
        }
        if envelope.to.is_group() {
            return Err(Ignored::GroupMac);
        }
        if header.src == own.address {
            return Err(Ignored::OwnSource);
        }
        if !config::is_one_system(header.src) || config::is_edge(own, header.src) {
            return Err(Ignored::BadSource);
        }
        match wire::wish(header, packet)? {
            Wish::Echo(body) => self.echo(envelope.from, header, body, now),
            Wish::Unserved(problem) => self.refuse(envelope.from, problem, packet, now),
        }
    }

    /// Back to where it came from: a reply needs no next hop, and shows that
    /// the way back works that the asker's packets took.
    fn echo(
        &mut self,
        to: Mac,
        asked: &ipv4::Header,
        body: &[u8],
        now: Time,
    ) -> Result<(), Ignored> {
        // Four bytes of type, code and checksum stand before the body.
        if ipv4::HEADER_LEN + 4 + body.len() > usize::from(self.mtu) {
            return Err(Ignored::EchoTooBig);
        }
        if !self.echoes.take(now) {
            return Err(Ignored::RateLimited);
        }
        self.id = self.id.wrapping_add(1);
        let bytes = self.link_header().echo_reply(to, asked, self.id, body);
        self.outbox.counters.echo_replies_sent += self.send(bytes);
        Ok(())
    }

    /// Says that a port or protocol is not served, as a host does (RFC 1122
    /// section 3.2.2.1): silence would look like loss, and a traceroute to the
    /// own address would not end.
    fn refuse(
        &mut self,
        to: Mac,
        problem: icmpv4::Problem,
        packet: &[u8],
        now: Time,
    ) -> Result<(), Ignored> {
        if !self.errors.as_mut().is_none_or(|errors| errors.take(now)) {
            return Err(Ignored::RateLimited);
        }
        let bytes = self.link_header().error(to, problem, packet, self.mtu);
        if let Some(bytes) = bytes {
            self.outbox.counters.errors_sent += self.send(bytes);
        }
        Ok(())
    }
}
