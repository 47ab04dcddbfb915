//! Plain packets of nodes, to other hosts and to each other.

use crate::mapping::{Found, Key, NodeIndex};
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::{be32, be64, chunk};
use crate::wire::{Vaddr, ethernet, flow, ipv4, ipv6};

use super::super::topology::{PATHS, PortRecord};
use super::super::trace::Stage;
use super::super::{BURST, Context, Results};
use super::tables::{Door, Hop, Receiver, Sender, Tables, Way};
use super::{IPV4_FRONT, Meter, Rest};

/// Where the IPv4 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv4::HEADER_LEN;
/// How much longer the network header becomes.
const GROWTH: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;
/// As far as a packet is written.
const IPV6_FRONT: usize = IPV4_FRONT + GROWTH;

/// The packets that may be sent: what stage leaves to stage. Keys are apart, as
/// the table is asked for them.
struct Permitted<'t> {
    n: usize,
    keys: [Key; BURST],
    ones: [One<'t>; BURST],
}

/// One of them.
#[derive(Clone, Copy)]
struct One<'t> {
    /// What its IPv6 header begins with.
    first: First,
    sender: Option<&'t Sender>,
    /// Its place in the burst.
    at: u8,
    path: u8,
}

/// Sends what is plain of a burst that came in by one port; returns the rest.
#[inline(always)]
pub fn outbound<P: Packet, M: Meter>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
    meter: &mut M,
) -> Rest {
    let port = metas.first().and_then(|meta| {
        let door = cx.topology.plain().doors.get(usize::from(meta.port))?;
        Some((door, cx.topology.port(meta.port)?))
    });
    let Some(port) = port else {
        return Rest::all(packets.len());
    };
    let mut permitted = Permitted {
        n: 0,
        keys: [Key::new(0, 0); BURST],
        ones: [One {
            first: First(0),
            sender: None,
            at: 0,
            path: 0,
        }; BURST],
    };
    let mut rest = permit(cx.topology.plain(), port, packets, metas, &mut permitted);
    let n = permitted.n.min(BURST);
    meter.passed(Stage::Authorize, n);
    let mut found = [Found::NOTHING; BURST];
    cx.mappings
        .resolve_burst(cx.pin, &permitted.keys[..n], &mut found[..n]);
    meter.passed(Stage::Resolve, n);
    rest.add_all(send(cx, packets, &permitted, &found[..n], results));
    meter.passed(Stage::Rewrite, n);
    rest
}

/// Parse, classify and authorize.
#[inline(never)]
fn permit<'t, P: Packet>(
    tables: &'t Tables,
    port: (&Door, &PortRecord),
    packets: &[P],
    metas: &[Meta],
    permitted: &mut Permitted<'t>,
) -> Rest {
    let mut rest = Rest::default();
    let mut n = 0;
    for (i, (packet, meta)) in packets.iter().zip(metas).enumerate() {
        match examine(tables, port, packet, meta) {
            Some((key, one)) => {
                permitted.keys[n % BURST] = key;
                permitted.ones[n % BURST] = One { at: i as u8, ..one };
                n += 1;
            }
            None => rest.add(i),
        }
    }
    permitted.n = n;
    rest
}

/// What is asked of the table for a plain packet, and what is kept of it.
#[inline(always)]
fn examine<'t, P: Packet>(
    tables: &'t Tables,
    (door, port): (&Door, &PortRecord),
    packet: &P,
    meta: &Meta,
) -> Option<(Key, One<'t>)> {
    let head = packet.head();
    let frame = head.first_chunk::<IPV4_FRONT>()?;
    let (ab, cd, dst) = (be64(frame, L3), be64(frame, L3 + 8), be32(frame, L3 + 16));
    // Ethertype and the first byte of the header at once.
    let kind = be32(frame, L3 - 2) >> 8;
    let usual = kind == u32::from(ethernet::ethertype::IPV4) << 8 | 0x45;
    // Neither a fragment nor TTL 0.
    let whole = (ab & 0x3fff == 0) & (cd >> 56 != 0);
    let alone = packet.is_simple() & meta.is_plain();
    if !(usual & whole & alone & plain::is_right(ab, cd, dst)) {
        return None;
    }
    let (src, protocol) = (cd as u32, (cd >> 48) as u8);
    let payload = usize::from((ab >> 32) as u16).wrapping_sub(ipv4::HEADER_LEN);
    if payload > head.len() - L4 || payload < plain::least(protocol) {
        return None;
    }
    let node = if be64(frame, 6) >> 16 & door.mask == door.mac {
        door.node
    } else {
        among(door, port, frame)?
    };
    let sender = tables.senders.get(node.index())?;
    let theirs = (sender.own as u32 == src)
        & (sender.neighbors | u64::from(dst) == be64(frame, 0) >> 16)
        & (dst & sender.mask == sender.net)
        & (dst >> 28 != 0xe);
    if !theirs {
        return None;
    }
    let flow = flow::of(Vaddr(src), Vaddr(dst), protocol, be32(frame, L4));
    let one = One {
        first: sender.form.first([ab, cd], flow::entropy(flow)),
        sender: Some(sender),
        at: 0,
        path: (flow as usize % PATHS) as u8,
    };
    let key = sender.own & !u64::from(u32::MAX) | u64::from(dst);
    Some((Key::from_number(key), one))
}

/// The sender behind a port of several.
#[inline(never)]
fn among(door: &Door, port: &PortRecord, frame: &[u8; IPV4_FRONT]) -> Option<NodeIndex> {
    let link = ethernet::Header::parse(frame)?;
    door.many.then(|| port.nodes.find(0, link.source))?
}

/// Resolve and rewrite; nothing of a packet that does not leave has changed.
#[inline(never)]
fn send<P: Packet>(
    cx: &Context<'_>,
    packets: &mut [P],
    permitted: &Permitted<'_>,
    found: &[Found],
    results: &mut Results,
) -> Rest {
    let tables = cx.topology.plain();
    let mut rest = Rest::default();
    let ones = permitted.ones.iter().zip(&permitted.keys);
    for ((one, key), found) in ones.zip(found) {
        let i = usize::from(one.at);
        let sent = match packets.get_mut(i) {
            Some(packet) => send_one(tables, packet, *key, one, (*found, cx.seconds)),
            None => None,
        };
        match sent {
            Some(port) => results.sent(i, port),
            None => rest.add(i),
        }
    }
    rest
}

/// Returns the port that it leaves by.
#[inline(always)]
fn send_one<P: Packet>(
    tables: &Tables,
    packet: &mut P,
    key: Key,
    one: &One<'_>,
    (found, now): (Found, u32),
) -> Option<u16> {
    let Some(host) = found.host_at(now) else {
        let node = found.node().filter(|_| found.lasts(now))?;
        return to_neighbor(packet, tables.receivers.get(node.index())?, key, one.first);
    };
    let way = tables.ways.get(host.index())?;
    let hop = way.hops[usize::from(one.path) % PATHS];
    let hop = tables.hops.get(usize::from(hop))?;
    to_host(packet, one.sender?, (way, hop), key, one.first)
}

/// Writes link and IPv6 header over a packet.
#[inline(always)]
fn to_host<P: Packet>(
    packet: &mut P,
    sender: &Sender,
    (way, hop): (&Way, &Hop),
    key: Key,
    first: First,
) -> Option<u16> {
    let protocol = first.protocol();
    let at = plain::checksum_at(protocol);
    let field = chunk(packet.head().first_chunk::<IPV4_FRONT>()?, L4 + at);
    let adjusts = sender.siit && !plain::is_absent(protocol, field);
    if first.payload_len() > way.room || (plain::is_odd(field) && adjusts) {
        return None;
    }
    packet.prepend(GROWTH).ok()?;
    let frame = packet.head_mut().first_chunk_mut::<IPV6_FRONT>()?;
    let (link, rest) = frame.split_first_chunk_mut()?;
    let (net, transport) = rest.split_first_chunk_mut::<{ ipv6::HEADER_LEN }>()?;
    *link = hop.link;
    net[..8].copy_from_slice(&first.0.to_be_bytes());
    net[8..24].copy_from_slice(&sender.saddr);
    net[24..32].copy_from_slice(&way.high);
    net[32..].copy_from_slice(&(way.low | key.number()).to_be_bytes());
    if adjusts {
        let adjusted = plain::adjust(protocol, field, sender.part + way.part);
        *transport.get_mut(at..)?.first_chunk_mut()? = adjusted;
    }
    packet.truncate(L3 + ipv6::HEADER_LEN + usize::from(first.payload_len()));
    Some(hop.port)
}

/// Puts the link header of a neighbour on this host in the place of the
/// sender's.
#[inline(always)]
fn to_neighbor<P: Packet>(
    packet: &mut P,
    receiver: &Receiver,
    key: Key,
    first: First,
) -> Option<u16> {
    let total_len = first.payload_len() + ipv4::HEADER_LEN as u16;
    if receiver.key != key.number() || total_len > receiver.room {
        return None;
    }
    let frame = packet.head_mut().first_chunk_mut::<IPV4_FRONT>()?;
    let source = Vaddr(be32(frame, L3 + ipv4::field::SOURCE));
    *frame.first_chunk_mut()? = receiver.link(source);
    packet.truncate(L3 + usize::from(total_len));
    Some(receiver.port)
}
