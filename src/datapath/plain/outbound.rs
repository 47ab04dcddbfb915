//! Plain packets of nodes, to other hosts and to each other.

use crate::arch::{Work, widest};
use crate::mapping::{Found, Key, NodeIndex};
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::{be32, be64, chunk};
use crate::wire::{Vaddr, ethernet, flow, ipv4, ipv6};

use super::super::topology::{PATHS, PortRecord};
use super::super::trace::Stage;
use super::super::{BURST, Context, Results};
use super::tables::{Door, Hop, Receiver, Sender, Tables, Way};
use super::{IPV4_FRONT, Meter, Rest, Scratch};

/// Where the IPv4 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv4::HEADER_LEN;
/// How much longer the network header becomes.
const GROWTH: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;

/// What is kept of a packet that may be sent, its key apart.
struct One {
    first: First,
    sender: NodeIndex,
    path: u8,
}

/// Sends what is plain of a burst that came in by one port; returns the rest.
#[inline(always)]
pub fn outbound<P: Packet, M: Meter>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    scratch: &mut Scratch,
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
    let permit = Permit {
        tables: cx.topology.plain(),
        port,
        packets,
        metas,
        scratch,
    };
    let (mut rest, n) = widest(permit);
    meter.passed(Stage::Authorize, n);
    cx.mappings
        .resolve_burst(cx.pin, &scratch.keys[..n], &mut scratch.found[..n]);
    meter.passed(Stage::Resolve, n);
    let send = Send {
        cx,
        packets,
        scratch,
        n,
        results,
    };
    rest.add_all(widest(send));
    meter.passed(Stage::Rewrite, n);
    rest
}

/// Parse, classify and authorize. Returns what is not plain, and how many are.
struct Permit<'a, P> {
    tables: &'a Tables,
    port: (&'a Door, &'a PortRecord),
    packets: &'a [P],
    metas: &'a [Meta],
    scratch: &'a mut Scratch,
}

impl<P: Packet> Work for Permit<'_, P> {
    type Done = (Rest, usize);

    #[inline(always)]
    fn run(self) -> (Rest, usize) {
        let scratch = self.scratch;
        let len = self.packets.len().min(self.metas.len()).min(BURST);
        let (packets, metas) = (&self.packets[..len], &self.metas[..len]);
        let mut rest = Rest::default();
        let mut n = 0;
        for i in 0..len {
            match examine(self.tables, self.port, &packets[i], &metas[i]) {
                Some((key, one)) => {
                    let k = n % BURST;
                    scratch.keys[k] = key;
                    scratch.firsts[k] = one.first;
                    scratch.senders[k] = one.sender;
                    scratch.paths[k] = one.path;
                    scratch.at[k] = i as u8;
                    n += 1;
                }
                None => rest.add(i),
            }
        }
        (rest, n)
    }
}

/// What is asked of the table for a plain packet, and what is kept of it.
#[inline(always)]
fn examine<P: Packet>(
    tables: &Tables,
    (door, port): (&Door, &PortRecord),
    packet: &P,
    meta: &Meta,
) -> Option<(Key, One)> {
    let head = packet.head();
    let frame = head.first_chunk::<IPV4_FRONT>()?;
    let node = if door.many {
        among(port, frame)?
    } else {
        door.node
    };
    let sender = tables.senders.get(node.index())?;
    let raw = |at| u32::from_ne_bytes(chunk(frame, at));
    let (src, dst) = (
        raw(L3 + ipv4::field::SOURCE),
        raw(L3 + ipv4::field::DESTINATION),
    );
    // The MAC of a neighbour ends with its address. No group is anybody's.
    let theirs = sender.form.is_of(chunk(frame, 0))
        && raw(2) == dst
        && src == sender.source
        && dst & sender.mask == sender.net
        && frame[L3 + ipv4::field::DESTINATION] >> 4 != 0xe;
    let (ab, cd) = (be64(frame, L3), be64(frame, L3 + 8));
    // Neither a fragment nor TTL 0.
    let whole = ab & 0x3fff == 0 && cd >> 56 != 0;
    let alone = packet.is_simple() && meta.is_plain();
    if !(theirs && whole && alone && plain::is_right(&chunk(frame, L3))) {
        return None;
    }
    let protocol = frame[L3 + ipv4::field::PROTOCOL];
    let payload = usize::from((ab >> 32) as u16).wrapping_sub(ipv4::HEADER_LEN);
    if payload > head.len() - L4 || payload < plain::least(protocol) {
        return None;
    }
    let addresses = chunk(frame, L3 + ipv4::field::SOURCE);
    let flow = flow::of(addresses, protocol, chunk(frame, L4));
    let one = One {
        first: sender.header.first([ab, cd], flow::entropy(flow)),
        sender: node,
        path: (flow as usize % PATHS) as u8,
    };
    let key = sender.own & !u64::from(u32::MAX) | u64::from(u32::from_be(dst));
    Some((Key::from_number(key), one))
}

/// The sender behind a port of several.
#[inline(never)]
fn among(port: &PortRecord, frame: &[u8; IPV4_FRONT]) -> Option<NodeIndex> {
    port.nodes.find(0, ethernet::Header::parse(frame)?.source)
}

/// Resolve and rewrite; nothing of a packet that does not leave has changed.
/// Returns what is not plain.
struct Send<'a, 'c, P> {
    cx: &'a Context<'c>,
    packets: &'a mut [P],
    scratch: &'a Scratch,
    n: usize,
    results: &'a mut Results,
}

impl<P: Packet> Work for Send<'_, '_, P> {
    type Done = Rest;

    #[inline(always)]
    fn run(self) -> Rest {
        let (tables, scratch) = (self.cx.topology.plain(), self.scratch);
        let mut rest = Rest::default();
        for k in 0..self.n.min(BURST) {
            let i = usize::from(scratch.at[k]);
            let one = One {
                first: scratch.firsts[k],
                sender: scratch.senders[k],
                path: scratch.paths[k],
            };
            let found = (scratch.found[k], self.cx.seconds);
            let sent = match self.packets.get_mut(i) {
                Some(packet) => send_one(tables, packet, scratch.keys[k], one, found),
                None => None,
            };
            match sent {
                Some(port) => self.results.sent(i, port),
                None => rest.add(i),
            }
        }
        rest
    }
}

/// Returns the port that it leaves by.
#[inline(always)]
fn send_one<P: Packet>(
    tables: &Tables,
    packet: &mut P,
    key: Key,
    one: One,
    (found, now): (Found, u32),
) -> Option<u16> {
    let Some(host) = found.host_at(now) else {
        let node = found.node().filter(|_| found.lasts(now))?;
        return to_neighbor(packet, tables.receivers.get(node.index())?, key, one.first);
    };
    let way = tables.ways.get(host.index())?;
    let hop = match &way.hop {
        Some(hop) => hop,
        None => {
            let hop = way.hops[usize::from(one.path) % PATHS];
            tables.hops.get(usize::from(hop))?.as_ref()?
        }
    };
    let sender = tables.senders.get(one.sender.index())?;
    to_host(packet, sender, (way, hop), key, one.first)
}

/// Writes link and IPv6 header over a packet. The order is that of fewest
/// values alive at once: the transport header, then the front from left to
/// right.
#[inline(always)]
fn to_host<P: Packet>(
    packet: &mut P,
    sender: &Sender,
    (way, hop): (&Way, &Hop),
    key: Key,
    first: First,
) -> Option<u16> {
    if first.payload_len() > way.room || !packet.has_headroom(GROWTH) {
        return None;
    }
    if sender.siit {
        let frame = packet.head_mut().first_chunk_mut::<IPV4_FRONT>()?;
        let parts = sender.part + way.part;
        plain::adjust(&mut frame[L4..], first.protocol(), parts)?;
    }
    let len = L3 + ipv6::HEADER_LEN + usize::from(first.payload_len());
    let frame = packet.reshape(GROWTH as isize, len).ok()?;
    let (link, rest) = frame.split_first_chunk_mut()?;
    let net = rest.first_chunk_mut::<{ ipv6::HEADER_LEN }>()?;
    *link = hop.link;
    net[..8].copy_from_slice(&first.0.to_be_bytes());
    net[8..24].copy_from_slice(&sender.saddr);
    net[24..32].copy_from_slice(&way.high);
    net[32..].copy_from_slice(&(way.low | key.number()).to_be_bytes());
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
    if receiver.key != key.number() || first.payload_len() > receiver.room {
        return None;
    }
    let len = L4 + usize::from(first.payload_len());
    let frame = packet.reshape(0, len).ok()?;
    let front = frame.first_chunk_mut::<L4>()?;
    let source = Vaddr(be32(front, L3 + ipv4::field::SOURCE));
    *front.first_chunk_mut()? = receiver.link(source);
    Some(receiver.port)
}
