//! The relay's two walks: between other people's IPv4 and IPv6, to the letter
//! of RFC 7915.
//!
//! ```text
//! IPv4 -> IPv6    parse  classify  resolve  rewrite  (tx)
//! IPv6 -> IPv4    parse  classify  resolve  rewrite  (tx)
//! ```
//!
//! There are no nodes and no vnets here, so nothing is authorized: whoever is
//! routed to the relay is translated, unless a deny list says otherwise, which
//! is a matter of addresses and so of `resolve`.
//!
//! Most packets are *plain*: TCP or UDP with a checksum, whole, without options
//! or extension headers, small enough and alive. While nobody watches, they are
//! rewritten by the burst, in the passes of `plain`. All others go through
//! the stages one by one, and as a whole through the engine
//! ([`rfc7915`](crate::siit::rfc7915)), which knows the rest of the RFCs; the
//! two agree on plain packets, which a test holds them to.

mod classify;
mod parse;
mod plain;
mod resolve;
mod rewrite;
mod tell;
#[cfg(test)]
mod tests;

use crate::packet::{Meta, Packet};
use crate::siit::rfc7757::ones;
use crate::siit::rfc7915::{Refusal, Reply, Why};

use super::trace::{Stage, Tracer};
use super::translate::Side;
use super::{Context, Drop, Exit, Outcome, Results};

/// From the IPv4 side. All packets came in by one port.
#[inline(never)]
pub fn to_ipv6<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let mut results = Results::default();
    let left = match T::WATCHES {
        false => plain::to_ipv6(cx, packets, metas, &mut results),
        true => plain::all(packets.len()),
    };
    if left != 0 {
        singly(packets, metas, left, |i, packet, meta| {
            tracer.packet(i, meta, packet);
            let end = one_to_ipv6(cx, packet, meta, tracer, i);
            tracer.done(i, packet, &end);
            results.set(i, end);
        });
    }
    results
}

/// From the IPv6 side. All packets came in by one port.
#[inline(never)]
pub fn to_ipv4<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let mut results = Results::default();
    let left = match T::WATCHES {
        false => plain::to_ipv4(cx, packets, metas, &mut results),
        true => plain::all(packets.len()),
    };
    if left != 0 {
        singly(packets, metas, left, |i, packet, meta| {
            tracer.packet(i, meta, packet);
            let end = one_to_ipv4(cx, packet, meta, tracer, i);
            tracer.done(i, packet, &end);
            results.set(i, end);
        });
    }
    results
}

/// The packets whose bit is set, one by one.
#[inline(never)]
fn singly<P>(
    packets: &mut [P],
    metas: &[Meta],
    left: u32,
    mut walk: impl FnMut(usize, &mut P, &Meta),
) {
    for i in ones(left) {
        if let (Some(packet), Some(meta)) = (packets.get_mut(i), metas.get(i)) {
            walk(i, packet, meta);
        }
    }
}

fn one_to_ipv6<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packet: &mut P,
    meta: &Meta,
    tracer: &mut T,
    i: usize,
) -> Result<Outcome, Exit> {
    let (port, relay) = (cx.topology.port(meta.port), cx.topology.relay());
    let it = tracer.see(i, Stage::Parse, parse::from_ipv4(packet))?;
    let verdict = classify::from_ipv4((relay, port, meta), it);
    let passing = tracer.see(i, Stage::Classify, verdict)?;
    let relay = relay.ok_or(Drop::NotForUs)?;
    let verdict = resolve::to_ipv6(relay, packet, passing, T::WATCHES);
    let onward = tracer.see(i, Stage::Resolve, verdict)?;
    let end = rewrite::to_ipv6(cx, relay, packet, onward, i);
    tracer.see(i, Stage::Rewrite, end)
}

fn one_to_ipv4<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packet: &mut P,
    meta: &Meta,
    tracer: &mut T,
    i: usize,
) -> Result<Outcome, Exit> {
    let (port, relay) = (cx.topology.port(meta.port), cx.topology.relay());
    let it = tracer.see(i, Stage::Parse, super::parse::from_substrate(packet))?;
    let verdict = classify::from_ipv6((relay, port, meta), it);
    let passing = tracer.see(i, Stage::Classify, verdict)?;
    let relay = relay.ok_or(Drop::NotForUs)?;
    let verdict = resolve::to_ipv4(relay, packet, passing, T::WATCHES);
    let onward = tracer.see(i, Stage::Resolve, verdict)?;
    let end = rewrite::to_ipv4(cx, relay, packet, onward, i);
    tracer.see(i, Stage::Rewrite, end)
}

/// A refusal of the engine, as the exit it is.
impl From<Refusal> for Exit {
    #[cold]
    fn from(refusal: Refusal) -> Exit {
        let why = Drop::from(refusal.why);
        match refusal.reply {
            None if !is_logged(why) => Exit::Drop(why),
            reply => Exit::Tell { why, reply },
        }
    }
}

/// What the RFC wants the management to hear of.
pub fn is_logged(why: Drop) -> bool {
    matches!(
        why,
        Drop::UdpZeroChecksum | Drop::UdpZeroFragment | Drop::FragmentedExtensions
    )
}

impl From<Why> for Drop {
    fn from(why: Why) -> Drop {
        match why {
            Why::TooShort => Drop::TooShort,
            Why::BadVersion => Drop::BadVersion,
            Why::BadHeaderLength => Drop::BadHeaderLength,
            Why::BadLength => Drop::BadTotalLength,
            Why::BadHeaderChecksum => Drop::BadHeaderChecksum,
            Why::SourceRoute => Drop::SourceRoute,
            Why::SegmentsLeft => Drop::SegmentsLeft,
            Why::BadExtensions => Drop::BadExtensions,
            Why::FragmentedExtensions => Drop::FragmentedExtensions,
            Why::TtlExceeded => Drop::TtlExceeded,
            Why::TooBig => Drop::TooBig,
            Why::IllegalSource => Drop::IllegalSource,
            Why::IllegalDestination => Drop::IllegalDestination,
            Why::SourceUnmapped => Drop::SourceUnmapped,
            Why::DestinationUnmapped => Drop::DestinationUnmapped,
            Why::Denied => Drop::AddressDenied,
            Why::IcmpType => Drop::IcmpType,
            Why::IcmpFragment => Drop::IcmpFragment,
            Why::InnerUntranslatable => Drop::InnerUntranslatable,
            Why::InnerError => Drop::InnerError,
            Why::UdpZeroChecksum => Drop::UdpZeroChecksum,
            Why::UdpZeroFragment => Drop::UdpZeroFragment,
            Why::FirstFragmentTooShort => Drop::FirstFragmentShort,
            Why::BadFragment => Drop::BadFragment,
        }
    }
}

/// Nothing leaves while the next hop is not known; whoever sent it is told, as
/// a router would after a resolution in vain.
#[cold]
fn unreachable(side: Side) -> Exit {
    let (kind, code) = match side {
        // Told to IPv6 senders: address unreachable.
        Side::Ipv6 => (1, 3),
        // Told to IPv4 senders: host unreachable.
        Side::Ipv4 => (3, 1),
    };
    Exit::Tell {
        why: Drop::NoNeighbor,
        reply: Some(Reply {
            kind,
            code,
            word: 0,
        }),
    }
}
