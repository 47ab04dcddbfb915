//! Stage *rewrite*: by the engine, whole. Plain packets come this way only when
//! they are watched; else they are rewritten in place, in
//! [`plain`](super::plain).

use crate::packet::Packet;
use crate::siit::rfc7915::{self, Done, Refusal, Translated, Why};
use crate::wire::{ipv4, ipv6};

use super::super::topology::{Hop, RelayRecord};
use super::super::translate::{Cut, Link, Side, Whose, put, refill, whole};
use super::super::{Context, Drop, Exit, Outcome};
use super::resolve::{Onward4, Onward6};
use super::unreachable;

/// Room for a packet that is turned around.
const MOST: usize = u16::MAX as usize;

#[inline(always)]
pub(super) fn to_ipv6<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    packet: &mut P,
    it: Onward6,
    i: usize,
) -> Result<Outcome, Exit> {
    if packet.is_shared() {
        return Err(Drop::BufferShared.into());
    }
    let hop = relay.hop6.as_ref().ok_or_else(|| unreachable(Side::Ipv4))?;
    whole_to_ipv6(cx, relay, hop, packet, (it.passing.l3, i))
}

#[inline(always)]
pub(super) fn to_ipv4<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    packet: &mut P,
    it: Onward4,
    i: usize,
) -> Result<Outcome, Exit> {
    if packet.is_shared() {
        return Err(Drop::BufferShared.into());
    }
    let hop = relay.hop4.as_ref().ok_or_else(|| unreachable(Side::Ipv6))?;
    whole_to_ipv4(cx, relay, hop, packet, (it.passing.l3, i))
}

#[inline(always)]
pub(super) fn sent(hop: &Hop) -> Outcome {
    Outcome::Send {
        port: hop.port,
        options_removed: false,
    }
}

/// A packet from IPv4. The engine wants the packet in one piece:
/// buffers of relay ports have room for whole frames.
#[inline(never)]
fn whole_to_ipv6<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    hop: &Hop,
    packet: &mut P,
    (l3, i): (u16, usize),
) -> Result<Outcome, Exit> {
    let engine = relay.engine(cx.fresh.of(i), false);
    match rfc7915::to_ipv6(whole(packet, l3)?, &engine)? {
        Done::Whole(translated) => {
            put(packet, Link::Hop(hop), l3, &translated)?;
            Ok(sent(hop))
        }
        Done::Cut => Ok(Outcome::Cut(Cut {
            from: Side::Ipv4,
            l3,
            id: cx.fresh.of(i),
            hairpinned: false,
            whose: Whose::Relay,
        })),
    }
}

/// A packet from IPv6.
#[inline(never)]
fn whole_to_ipv4<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    hop: &Hop,
    packet: &mut P,
    (l3, i): (u16, usize),
) -> Result<Outcome, Exit> {
    let id = cx.fresh.of(i);
    match rfc7915::to_ipv4(whole(packet, l3)?, &relay.engine(id, false))? {
        Done::Whole(translated) if translated.hairpin => {
            turn_around(relay, packet, l3, &translated, id)
        }
        Done::Whole(translated) => {
            put(packet, Link::Hop(hop), l3, &translated)?;
            Ok(sent(hop))
        }
        Done::Cut => Ok(Outcome::Cut(Cut {
            from: Side::Ipv6,
            l3,
            id,
            hairpinned: false,
            whose: Whose::Relay,
        })),
    }
}

/// From IPv6 by way of IPv4 back to IPv6 (RFC 7757 section 4.2.2). Rare, so it
/// may copy; the packet stays as it came until all is decided.
#[cold]
fn turn_around<P: Packet>(
    relay: &RelayRecord,
    packet: &mut P,
    l3: u16,
    first: &Translated,
    id: u16,
) -> Result<Outcome, Exit> {
    let hop = relay.hop6.as_ref().ok_or_else(|| unreachable(Side::Ipv6))?;
    let rest = whole(packet, l3)?.get(first.rest.clone()).unwrap_or(&[]);
    let mut middle = [0; MOST];
    let len = first.head.len() + rest.len();
    let between = middle.get_mut(..len).ok_or(Drop::BadTotalLength)?;
    let (head, tail) = between.split_at_mut(first.head.len());
    head.copy_from_slice(&first.head);
    tail.copy_from_slice(rest);
    match rfc7915::to_ipv6(between, &relay.engine(id, true)) {
        Ok(Done::Whole(second)) => {
            let rest = between.get(second.rest.clone()).unwrap_or(&[]);
            refill(packet, &[&second.head, rest])?;
            let link_len = hop.link_len();
            packet.prepend(link_len)?;
            hop.write_link(packet.head_mut())
                .ok_or(Drop::HeadersSplit)?;
            Ok(sent(hop))
        }
        Ok(Done::Cut) => {
            refill(packet, &[between])?;
            Ok(Outcome::Cut(Cut {
                from: Side::Ipv4,
                l3: 0,
                id,
                hairpinned: true,
                whose: Whose::Relay,
            }))
        }
        Err(refusal) => Err(seen_from_ipv6(refusal).into()),
    }
}

/// What the second half of a turn refuses, told to the IPv6 system that sent
/// the packet: of errors about IPv4 only a size has a meaning for it.
fn seen_from_ipv6(refusal: Refusal) -> Refusal {
    let reply = refusal.reply.filter(|_| refusal.why == Why::TooBig);
    Refusal {
        why: refusal.why,
        reply: reply.map(|reply| rfc7915::Reply {
            kind: 2,
            code: 0,
            word: reply.word + (ipv6::HEADER_LEN - ipv4::HEADER_LEN) as u32,
        }),
    }
}
