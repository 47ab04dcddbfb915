//! Stage *rewrite*: plain packets in place, all others by the engine.

use crate::packet::Packet;
use crate::siit::rfc7915::{self, Done, Hairpin, Refusal, Translated, Why};
use crate::wire::{checksum, ipv4, ipv6, protocol, tcp, udp};

use super::super::rewrite::move_front;
use super::super::topology::{Hop, RelayRecord};
use super::super::translate::{Cut, Link, Side, Whose, put, refill, whole};
use super::super::{Context, Drop, Exit, Outcome};
use super::resolve::{Onward4, Onward6};
use super::unreachable;

/// The least IPv4 packet that says not to be fragmented (RFC 7915 section 5.1).
const DONT_FRAGMENT_ABOVE: usize = 1260;

/// Room for a packet that is turned around.
const MOST: usize = u16::MAX as usize;

#[inline(always)]
pub(super) fn to_ipv6<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    packet: &mut P,
    it: Onward6<'_>,
    i: usize,
) -> Result<Outcome, Exit> {
    if packet.is_shared() {
        return Err(Drop::BufferShared.into());
    }
    let hop = relay.hop6.as_ref().ok_or_else(|| unreachable(Side::Ipv4))?;
    match plain_to_ipv6(relay, packet, &it) {
        Some(plain) => write_ipv6(packet, hop, it.passing.l3, &plain),
        None => whole_to_ipv6(cx, relay, packet, it.passing.l3, i),
    }
}

#[inline(always)]
pub(super) fn to_ipv4<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    packet: &mut P,
    it: Onward4<'_>,
    i: usize,
) -> Result<Outcome, Exit> {
    if packet.is_shared() {
        return Err(Drop::BufferShared.into());
    }
    let hop = relay.hop4.as_ref().ok_or_else(|| unreachable(Side::Ipv6))?;
    match plain_to_ipv4(relay, packet, &it, cx.fresh.of(i)) {
        Some(plain) => write_ipv4(packet, hop, it.passing.l3, &plain),
        None => whole_to_ipv4(cx, relay, packet, it.passing.l3, i),
    }
}

/// A plain packet, translated but for being written.
struct Plain<H> {
    header: H,
    /// Where the transport checksum lies in the payload, and what it becomes.
    at: usize,
    sum: [u8; 2],
}

/// Where the checksum of a whole TCP or UDP packet lies.
#[inline(always)]
fn checksum_at(protocol: u8, payload_len: usize) -> Option<usize> {
    let (at, header_len) = match protocol {
        protocol::TCP => (tcp::field::CHECKSUM, tcp::HEADER_LEN),
        protocol::UDP => (udp::field::CHECKSUM, udp::HEADER_LEN),
        _ => return None,
    };
    (payload_len >= header_len).then_some(at)
}

/// The transport checksum after its addresses were exchanged. `None` for UDP
/// that has none.
#[inline(always)]
fn adjusted(bytes: &[u8], protocol: u8, delta: u16) -> Option<[u8; 2]> {
    let field = u16::from_be_bytes(*bytes.first_chunk()?);
    let sum = checksum::adjust(field, delta);
    if protocol != protocol::UDP {
        return Some(sum.to_be_bytes());
    }
    // Of the two zeros of one's complement, one means that there is no sum.
    (field != 0).then(|| {
        if sum == 0 {
            [0xff; 2]
        } else {
            sum.to_be_bytes()
        }
    })
}

#[inline(always)]
fn plain_to_ipv6<P: Packet>(
    relay: &RelayRecord,
    packet: &P,
    it: &Onward6<'_>,
) -> Option<Plain<ipv6::Header>> {
    let ends = it.ends.as_ref().ok()?;
    let bytes = packet.head().get(usize::from(it.passing.l3)..)?;
    let ip = ipv4::Words::read(bytes)?.plain()?;
    let payload_len = ip.payload_len();
    let at = checksum_at(ip.protocol, payload_len)?;
    let most = if ip.df {
        relay.rules.mtu6
    } else {
        relay.uncut6
    };
    if ip.ttl < 2 || payload_len + ipv6::HEADER_LEN > usize::from(most) {
        return None;
    }
    let field = bytes.get(ipv4::HEADER_LEN + at..)?;
    let sum = adjusted(field, ip.protocol, ends.delta)?;
    let header = ipv6::Header {
        traffic_class: relay.rules.traffic_class.of(ip.tos),
        flow_label: 0,
        payload_len: payload_len as u16,
        next_header: ip.protocol,
        hop_limit: ip.ttl - 1,
        src: ends.source,
        dst: ends.destination,
    };
    Some(Plain { header, at, sum })
}

#[inline(always)]
fn plain_to_ipv4<P: Packet>(
    relay: &RelayRecord,
    packet: &P,
    it: &Onward4<'_>,
    id: u16,
) -> Option<Plain<ipv4::Header>> {
    // What goes back to IPv6 is the engine's to turn around.
    let turns = relay.rules.hairpin == Hairpin::Intrinsic;
    let ends = it
        .ends
        .as_ref()
        .ok()
        .filter(|ends| !(turns && ends.returns))?;
    let bytes = packet.head().get(usize::from(it.passing.l3)..)?;
    let ip = ipv6::Header::parse_quoted(bytes).ok()?;
    let payload_len = usize::from(ip.payload_len);
    let at = checksum_at(ip.next_header, payload_len)?;
    let total_len = payload_len + ipv4::HEADER_LEN;
    if ip.hop_limit < 2 || total_len > usize::from(relay.rules.mtu4) {
        return None;
    }
    let field = bytes.get(ipv6::HEADER_LEN + at..)?;
    let sum = adjusted(field, ip.next_header, ends.delta)?;
    let header = ipv4::Header {
        tos: relay.rules.tos.of(ip.traffic_class),
        total_len: total_len as u16,
        id,
        reserved: false,
        df: total_len > DONT_FRAGMENT_ABOVE,
        mf: false,
        offset: 0,
        ttl: ip.hop_limit - 1,
        protocol: ip.next_header,
        src: ends.source,
        dst: ends.destination,
        header_len: ipv4::HEADER_LEN as u8,
    };
    Some(Plain { header, at, sum })
}

#[inline(always)]
fn write_ipv6<P: Packet>(
    packet: &mut P,
    hop: &Hop,
    l3: u16,
    plain: &Plain<ipv6::Header>,
) -> Result<Outcome, Exit> {
    let l4 = usize::from(l3) + ipv4::HEADER_LEN;
    packet.truncate(l4 + usize::from(plain.header.payload_len));
    let front = hop.link_len() + ipv6::HEADER_LEN;
    move_front(packet, front as isize - l4 as isize)?;
    let rest = hop
        .write_link(packet.head_mut())
        .ok_or(Drop::HeadersSplit)?;
    let (header, payload) = rest.split_first_chunk_mut().ok_or(Drop::HeadersSplit)?;
    *header = plain.header.bytes();
    write_sum(payload, plain.at, plain.sum)?;
    Ok(sent(hop))
}

#[inline(always)]
fn write_ipv4<P: Packet>(
    packet: &mut P,
    hop: &Hop,
    l3: u16,
    plain: &Plain<ipv4::Header>,
) -> Result<Outcome, Exit> {
    let l4 = usize::from(l3) + ipv6::HEADER_LEN;
    packet.truncate(l4 + plain.header.payload_len());
    let front = hop.link_len() + ipv4::HEADER_LEN;
    move_front(packet, front as isize - l4 as isize)?;
    let rest = hop
        .write_link(packet.head_mut())
        .ok_or(Drop::HeadersSplit)?;
    let (header, payload) = rest.split_first_chunk_mut().ok_or(Drop::HeadersSplit)?;
    *header = plain.header.bytes();
    write_sum(payload, plain.at, plain.sum)?;
    Ok(sent(hop))
}

#[inline(always)]
fn write_sum(payload: &mut [u8], at: usize, sum: [u8; 2]) -> Result<(), Exit> {
    let field = payload
        .get_mut(at..)
        .and_then(|bytes| bytes.first_chunk_mut());
    *field.ok_or(Drop::HeadersSplit)? = sum;
    Ok(())
}

#[inline(always)]
fn sent(hop: &Hop) -> Outcome {
    Outcome::Send {
        port: hop.port,
        options_removed: false,
    }
}

/// All that is not plain, from IPv4. The engine wants the packet in one piece:
/// buffers of relay ports have room for whole frames.
#[inline(never)]
fn whole_to_ipv6<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    packet: &mut P,
    l3: u16,
    i: usize,
) -> Result<Outcome, Exit> {
    let hop = relay.hop6.as_ref().ok_or(Drop::NoNeighbor)?;
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

/// All that is not plain, from IPv6.
#[inline(never)]
fn whole_to_ipv4<P: Packet>(
    cx: &Context<'_>,
    relay: &RelayRecord,
    packet: &mut P,
    l3: u16,
    i: usize,
) -> Result<Outcome, Exit> {
    let hop = relay.hop4.as_ref().ok_or(Drop::NoNeighbor)?;
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
