//! What senders leave to the devices on the way: checksums that cover no more
//! than the pseudo header, TCP packets of up to 64 KiB that are to be cut, and
//! packets that lie in several segments of memory. A virtual machine sends
//! nothing else, once it is offered to.
//!
//! The stages know nothing of all this. A burst in which no packet has anything
//! left to be done never comes here; of any other, every packet is made such
//! that a stage need not know, and seen to once more when its port is known:
//!
//! | left undone | before the walk | behind it |
//! |---|---|---|
//! | checksum | exchanged for what every mode can adjust (`sum.rs`) | the device completes it, or software does |
//! | cutting | cut into segments (`segment.rs`), which walk as any packet does | each as above |
//! | cutting, and a device that could do it | the first segment walks ahead | if it leaves by such a device, its headers go before the whole packet |
//! | memory in pieces | – | joined, where the device wants it so |
//!
//! So with and without a device's help the same bytes leave, the limits of MTU
//! and every drop apply to segments, and what a device cannot do costs a copy.
//! What software and device agree on: a checksum is handed to a device only if
//! the field holds the sum over the very pseudo header that stands before it.
//!
//! Order is kept: packets of a burst leave as they came.

mod ask;
mod place;
mod segment;
mod sum;

use std::num::NonZeroU16;

use crate::model::Role;
use crate::packet::{Meta, NoRoom, Offload, Packet, Request};
use crate::port::{Burst, Capabilities, Pool, Port};

use super::lane::Lane;
use super::{Context, Drop, Exit, Outcome};
use ask::{rejoin, request, takes_scattered, uncut};
use place::Place;
use segment::{Segmenting, Unmade};

impl<Io: Port, Po: Pool<Packet = Io::Packet>> Lane<Io, Po> {
    /// A burst in which something is left to be done.
    #[cold]
    pub(super) fn receive_unfinished(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<Io::Packet>,
        now: u64,
    ) {
        let mut run = Burst::default();
        let metas = std::mem::take(&mut burst.metas);
        for (packet, meta) in burst.packets.drain(..).zip(metas) {
            match meta.offload.size() {
                Some(size) => self.cut_up(cx, &mut run, (packet, meta), size, now),
                None => self.queue(cx, &mut run, packet, meta, now),
            }
        }
        self.walk_run(cx, &mut run, now);
    }

    /// Lets a packet that stays whole walk with the next run.
    fn queue(
        &mut self,
        cx: &Context<'_>,
        run: &mut Burst<Io::Packet>,
        mut packet: Io::Packet,
        mut meta: Meta,
        now: u64,
    ) {
        if meta.offload.is_partial() && packet.is_shared() {
            return self.counters.count(Drop::BufferShared);
        }
        // A relay's engine wants all headers in one piece, and its plain path
        // more of them than there may be.
        if meta.offload.is_scattered() && is_relay(cx, &meta) {
            packet = match self.joined(packet) {
                Ok(packet) => packet,
                Err(why) => return self.counters.count(why),
            };
            meta.offload = meta.offload.in_one();
        }
        meta.offload = before_walk(&mut packet, meta.offload);
        if run.packets.is_full() {
            self.walk_run(cx, run, now);
        }
        run.packets.push(packet);
        run.metas.push(meta);
    }

    fn walk_run(&mut self, cx: &Context<'_>, run: &mut Burst<Io::Packet>, now: u64) {
        let n = run.packets.len();
        if n == 0 {
            return;
        }
        let cx = &Context {
            fresh: self.fresh,
            ..*cx
        };
        let results = self.walk_any(cx, run, now, &mut ());
        self.tally(cx, &results, 0);
        self.fresh.advance(n);
        let metas = std::mem::take(&mut run.metas);
        for (i, (packet, meta)) in run.packets.drain(..).zip(metas).enumerate() {
            self.apply(cx, packet, meta, results.get(i), now);
        }
    }

    /// A TCP packet to be cut.
    fn cut_up(
        &mut self,
        cx: &Context<'_>,
        run: &mut Burst<Io::Packet>,
        (packet, meta): (Io::Packet, Meta),
        size: NonZeroU16,
        now: u64,
    ) {
        let mut segments = match Segmenting::new(&packet, size) {
            Ok(segments) => segments,
            Err(why) => return self.counters.count(why),
        };
        let whole = Meta {
            offload: meta.offload.whole(),
            ..meta
        };
        if segments.count() < 2 {
            return self.queue(cx, run, packet, whole, now);
        }
        let first = match segments.next(&packet, &mut self.pool) {
            Some(Ok(first)) => first,
            Some(Err(Unmade::NoBuffer)) => return self.counters.count(Drop::NoBuffer),
            // Then the walk says what becomes of such a packet.
            Some(Err(Unmade::TooLarge)) | None => return self.queue(cx, run, packet, whole, now),
        };
        let segment = Meta {
            offload: Offload::PARTIAL,
            ..meta
        };
        let any = |port: &Io| port.transmits() && port.capabilities().tcp_segments;
        if self.ports.iter().any(|port| any(port)) {
            self.walk_run(cx, run, now);
            match self.walk_ahead(cx, &segments, first, segment, packet, now) {
                Some(packet) => self.queue_rest(cx, run, (segments, segment), &packet, now),
                None => return,
            }
        } else {
            self.queue(cx, run, first, segment, now);
            self.queue_rest(cx, run, (segments, segment), &packet, now);
        }
        self.counters.segmented.add(1);
    }

    /// All segments but the first.
    fn queue_rest(
        &mut self,
        cx: &Context<'_>,
        run: &mut Burst<Io::Packet>,
        (mut segments, meta): (Segmenting, Meta),
        packet: &Io::Packet,
        now: u64,
    ) {
        while let Some(made) = segments.next(packet, &mut self.pool) {
            self.counters.generated.add(1);
            match made {
                Ok(segment) => self.queue(cx, run, segment, meta, now),
                // TCP sends the rest again.
                Err(_) => return self.counters.count(Drop::NoBuffer),
            }
        }
    }

    /// The first segment's walk, where the whole packet may be able to follow.
    /// Gives it back if the other segments are to be made.
    fn walk_ahead(
        &mut self,
        cx: &Context<'_>,
        segments: &Segmenting,
        first: Io::Packet,
        meta: Meta,
        packet: Io::Packet,
        now: u64,
    ) -> Option<Io::Packet> {
        let cx = &Context {
            fresh: self.fresh,
            ..*cx
        };
        // All that counts the segment in place of the packet leaves out.
        let rest = packet.total_len().saturating_sub(first.total_len()) as u32;
        let mut ahead = Burst::default();
        ahead.packets.push(first);
        ahead.metas.push(meta);
        for packet in &mut ahead.packets {
            before_walk(packet, meta.offload);
        }
        let results = self.walk_any(cx, &mut ahead, now, &mut ());
        let result = results.get(0);
        self.fresh.advance(1);
        let first = ahead.packets.pop()?;
        let request = match result {
            Ok(Outcome::Send { port, .. }) | Err(Exit::Pass { port }) => {
                let capabilities = self.capabilities(port);
                uncut(segments, &first, &packet, &capabilities).map(|asked| (port, asked))
            }
            Ok(Outcome::Split(_) | Outcome::Cut(_))
            | Err(Exit::Hold { .. } | Exit::Punt(_) | Exit::Fan(_)) => None,
            // What ends here ends as one packet.
            Err(_) => {
                let meta = Meta {
                    offload: Offload::NONE,
                    ..meta
                };
                self.tally(cx, &results, rest);
                self.apply(cx, packet, meta, result, now);
                return None;
            }
        };
        self.tally(cx, &results, request.map_or(0, |_| rest));
        let Some((port, request)) = request else {
            self.apply(cx, first, meta, result, now);
            return Some(packet);
        };
        if let Ok(Outcome::Send {
            options_removed: true,
            ..
        }) = result
        {
            self.counters.options_removed.add(1);
        }
        match rejoin(segments, &first, packet, &request) {
            Ok(packet) => self.send_uncut(port, packet),
            Err(NoRoom) => self.counters.count(Drop::NoBuffer),
        }
        None
    }

    /// What the device can do that this worker sends by. For another worker's
    /// nothing is left undone.
    fn capabilities(&self, port: u16) -> Capabilities {
        match self.ports.get(usize::from(port)) {
            Some(port) if port.transmits() => port.capabilities(),
            _ => Capabilities::default(),
        }
    }

    /// Sends a packet that the device is to cut.
    fn send_uncut(&mut self, port: u16, mut packet: Io::Packet) {
        let device = self.ports.get_mut(usize::from(port));
        match device.map(|device| device.prepare(&mut packet)) {
            Some(Ok(())) => {
                self.counters.segments_left.add(1);
                self.send(port, packet);
            }
            _ => self.counters.count(Drop::OffloadRefused),
        }
    }

    /// The effects of the walk of a packet that is not finished.
    #[cold]
    pub(super) fn apply_unfinished(
        &mut self,
        cx: &Context<'_>,
        mut packet: Io::Packet,
        meta: Meta,
        result: Result<Outcome, Exit>,
        now: u64,
    ) {
        let finished = Meta {
            offload: Offload::NONE,
            ..meta
        };
        match result {
            Ok(Outcome::Send {
                port,
                options_removed,
            }) => {
                if options_removed {
                    self.counters.options_removed.add(1);
                }
                return self.send_unfinished(port, packet, meta.offload);
            }
            Err(Exit::Pass { port }) => return self.send_unfinished(port, packet, meta.offload),
            // Pieces of it have no checksum of their own.
            Ok(Outcome::Split(cut)) => {
                self.complete(&mut packet, meta.offload, Some(cut.l3));
            }
            Ok(Outcome::Cut(cut)) => {
                self.complete(&mut packet, meta.offload, Some(cut.l3));
            }
            Err(Exit::Punt(_)) => {
                self.complete(&mut packet, meta.offload, None);
            }
            // Each copy leaves by a device of its own.
            Err(Exit::Fan(_)) => {
                self.complete(&mut packet, meta.offload, None);
                packet = match self.joined(packet) {
                    Ok(packet) => packet,
                    Err(why) => return self.counters.count(why),
                };
            }
            Err(Exit::Hold { why, key, whose }) => {
                after_walk(&mut packet, meta.offload);
                return self.hold(cx, packet, meta, (why, key, whose), now);
            }
            // In what is quoted to a sender nobody checks a checksum.
            Err(_) => {}
        }
        self.apply(cx, packet, finished, result, now);
    }

    /// Sends a packet whose port is known, with what is left to be done done by
    /// its device or here.
    fn send_unfinished(&mut self, port: u16, mut packet: Io::Packet, offload: Offload) {
        let capabilities = self.capabilities(port);
        if offload.is_scattered() && !takes_scattered(&packet, &capabilities) {
            packet = match self.joined(packet) {
                Ok(packet) => packet,
                Err(why) => return self.counters.count(why),
            };
        }
        if offload.is_partial() {
            let place = Place::of_frame(packet.head(), packet.total_len());
            let asked =
                place.and_then(|place| Some((place, request(&place, &packet, &capabilities)?)));
            let left = match asked {
                Some((place, request)) => self.ask(port, &mut packet, &place, &request).is_err(),
                None => true,
            };
            if left && !self.complete(&mut packet, offload, None) {
                return self.counters.count(Drop::HeadersSplit);
            }
        }
        self.send(port, packet);
    }

    /// Leaves the checksum to the device. The packet is as before if it will
    /// not have it.
    fn ask(
        &mut self,
        port: u16,
        packet: &mut Io::Packet,
        place: &Place,
        request: &Request,
    ) -> Result<(), NoRoom> {
        let device = self.ports.get_mut(usize::from(port)).ok_or(NoRoom)?;
        packet.request(Some(request))?;
        let before = place.checksum(packet.head());
        place.set_checksum(packet.head_mut(), place.pseudo_header(place.len));
        if device.prepare(packet).is_ok() {
            self.counters.checksums_left.add(1);
            return Ok(());
        }
        place.set_checksum(packet.head_mut(), before);
        packet.request(None)?;
        Err(NoRoom)
    }

    /// Completes the checksum of a packet that walked. `l3` is where its
    /// network header lies, if no link header tells. False if there is nothing
    /// left to complete it by.
    fn complete(&mut self, packet: &mut Io::Packet, offload: Offload, l3: Option<u16>) -> bool {
        if !offload.is_partial() {
            return true;
        }
        let (head, total) = (packet.head(), packet.total_len());
        let place = match l3 {
            Some(l3) => Place::of_packet(head, usize::from(l3), total),
            None => Place::of_frame(head, total),
        };
        let Some(place) = place else {
            return false;
        };
        sum::complete(packet, &place);
        self.counters.checksums_completed.add(1);
        true
    }

    /// A packet in one segment, if need be in another buffer.
    fn joined(&mut self, mut packet: Io::Packet) -> Result<Io::Packet, Drop> {
        if packet.linearise().is_ok() {
            return Ok(packet);
        }
        let mut copy = self.pool.alloc().ok_or(Drop::NoBuffer)?;
        let mut copied = Ok(());
        packet.visit(0, packet.total_len(), |bytes| {
            copied = copied.and_then(|()| copy.append(bytes));
        });
        copied.map_err(|_| Drop::NoBuffer)?;
        Ok(copy)
    }
}

/// Whether a packet came in by a port of the relay.
fn is_relay(cx: &Context<'_>, meta: &Meta) -> bool {
    let port = cx.topology.port(meta.port);
    port.is_some_and(|port| matches!(port.role, Role::Relay4 | Role::Relay6))
}

/// Makes a packet such that no stage need know of its checksum. What is not
/// TCP or UDP as a whole has none that could be partial: devices complete
/// what they cannot describe.
pub(super) fn before_walk<P: Packet>(packet: &mut P, offload: Offload) -> Offload {
    if !offload.is_partial() {
        return offload;
    }
    match Place::of_frame(packet.head(), packet.total_len()) {
        Some(place) if !sum::is_absent(&place, place.checksum(packet.head())) => {
            sum::invert(&place, packet.head_mut());
            offload
        }
        _ => offload.complete(),
    }
}

/// Makes a packet that the walk left alone as it was before.
pub(super) fn after_walk<P: Packet>(packet: &mut P, offload: Offload) {
    if !offload.is_partial() {
        return;
    }
    if let Some(place) = Place::of_frame(packet.head(), packet.total_len()) {
        sum::invert(&place, packet.head_mut());
    }
}
