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
//! or extension headers, small enough and alive. They are rewritten in place
//! from what the stages know. All others go as a whole through the engine
//! ([`rfc7915`](crate::siit::rfc7915)), which knows the rest of the RFCs; the two agree on
//! plain packets, which a test holds them to.

mod classify;
mod parse;
mod resolve;
mod rewrite;
mod tell;
#[cfg(test)]
mod tests;

use crate::packet::{Meta, Packet};
use crate::siit::rfc7915::{Refusal, Reply, Why};

use super::results::Asked;
use super::trace::{Stage, Tracer};
use super::translate::Side;
use super::{Context, Drop, Exit, Results, end, port_of};

/// From the IPv4 side. All packets came in by one port.
#[inline(never)]
pub fn to_ipv6<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let mut results = Results::default();
    let mut asked = Asked::new();
    let (port, relay) = (port_of(cx, metas), cx.topology.relay());
    for (i, (packet, meta)) in packets.iter().zip(metas).enumerate() {
        tracer.packet(i, meta, packet);
        let passing = tracer
            .see(i, Stage::Parse, parse::from_ipv4(packet))
            .and_then(|it| {
                let verdict = classify::from_ipv4((relay, port, meta), it);
                tracer.see(i, Stage::Classify, verdict)
            });
        match passing {
            Ok(passing) => asked.push((i, passing)),
            Err(exit) => end(tracer, &mut results, i, packet, exit),
        }
    }
    let Some(relay) = relay else {
        return results;
    };
    let found = resolve::to_ipv6(relay, packets, &asked);
    for ((i, passing), found) in asked.iter().zip(found) {
        let (i, packet) = (*i, &mut packets[*i]);
        let result = tracer
            .see(i, Stage::Resolve, resolve::onward6(passing, found))
            .and_then(|it| {
                let end = rewrite::to_ipv6(cx, relay, packet, it, i);
                tracer.see(i, Stage::Rewrite, end)
            });
        tracer.done(i, packet, &result);
        results.set(i, result);
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
    let mut asked = Asked::new();
    let (port, relay) = (port_of(cx, metas), cx.topology.relay());
    for (i, (packet, meta)) in packets.iter().zip(metas).enumerate() {
        tracer.packet(i, meta, packet);
        let passing = tracer
            .see(i, Stage::Parse, super::parse::from_substrate(packet))
            .and_then(|it| {
                let verdict = classify::from_ipv6((relay, port, meta), it);
                tracer.see(i, Stage::Classify, verdict)
            });
        match passing {
            Ok(passing) => asked.push((i, passing)),
            Err(exit) => end(tracer, &mut results, i, packet, exit),
        }
    }
    let Some(relay) = relay else {
        return results;
    };
    let found = resolve::to_ipv4(relay, packets, &asked);
    for ((i, passing), found) in asked.iter().zip(found) {
        let (i, packet) = (*i, &mut packets[*i]);
        let result = tracer
            .see(i, Stage::Resolve, resolve::onward4(passing, found))
            .and_then(|it| {
                let end = rewrite::to_ipv4(cx, relay, packet, it, i);
                tracer.see(i, Stage::Rewrite, end)
            });
        tracer.done(i, packet, &result);
        results.set(i, result);
    }
    results
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
