//! Plain packets of nodes, to other hosts and to each other.

use crate::arch::{Work, widest};
use crate::mapping::{Key, NodeIndex};
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::{be32, be64, chunk};
use crate::wire::{Vaddr, ethernet, flow, ipv4, ipv6, protocol};

use super::super::clamp::is_syn;
use super::super::topology::{PATHS, PortRecord};
use super::super::trace::Stage;
use super::super::{BURST, Context, Drop, Results};
use super::tables::{Door, Hop, ROUTER, Receiver, Sender, Tables, Way};
use super::{IPV4_FRONT, Meter, ROUTED, Rest, Scratch, route};

/// Where the IPv4 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv4::HEADER_LEN;
/// How much longer the network header becomes.
const GROWTH: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;

/// What is kept of a packet that may be sent, its key apart.
struct One {
    first: First,
    sender: NodeIndex,
    /// And [`ROUTED`].
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
    let (mut rest, n, paths) = widest(permit);
    if paths & ROUTED != 0 {
        route::follow(cx.topology, scratch, n);
    }
    meter.passed(Stage::Authorize, n);
    cx.mappings
        .reach_burst(cx.pin, &scratch.keys[..n], &mut scratch.found[..n]);
    meter.passed(Stage::Resolve, n);
    let tables = cx.topology.plain();
    // Twice, so that who has no slots does not look for them.
    let (left, local) = match tables.own.slots {
        false => onward::<_, false>(tables, cx.seconds, packets, (scratch, n), results),
        true => onward::<_, true>(tables, cx.seconds, packets, (scratch, n), results),
    };
    rest.add_all(left);
    if local > 0 {
        let links = Links {
            tables,
            packets,
            scratch,
            n: local,
            results,
        };
        rest.add_all(widest(links));
    }
    if paths & ROUTED != 0 {
        route::tally(cx.topology, scratch, (n, rest), results);
    }
    meter.passed(Stage::Rewrite, n);
    rest
}

/// Resolves packets and sends those for other hosts. Returns what is not
/// plain, and how many are for nodes of this host.
#[inline(always)]
fn onward<P: Packet, const SLOTS: bool>(
    tables: &Tables,
    now: u32,
    packets: &mut [P],
    (scratch, n): (&mut Scratch, usize),
    results: &mut Results,
) -> (Rest, usize) {
    let resolve = Resolve::<_, SLOTS> {
        tables,
        now,
        packets,
        scratch,
        n,
    };
    let (left, remote, local) = widest(resolve);
    let headers = Headers::<_, SLOTS> {
        tables,
        packets,
        scratch,
        n: remote,
        results,
    };
    widest(headers);
    (left, local)
}

/// Parse, classify and authorize. Returns what is not plain, how many are, and
/// the bits of all their paths.
struct Permit<'a, P> {
    tables: &'a Tables,
    port: (&'a Door, &'a PortRecord),
    packets: &'a [P],
    metas: &'a [Meta],
    scratch: &'a mut Scratch,
}

impl<P: Packet> Work for Permit<'_, P> {
    type Done = (Rest, usize, u8);

    #[inline(always)]
    fn run(self) -> (Rest, usize, u8) {
        let scratch = self.scratch;
        let len = self.packets.len().min(self.metas.len()).min(BURST);
        let (packets, metas) = (&self.packets[..len], &self.metas[..len]);
        let mut rest = Rest::default();
        let mut n = 0;
        let mut paths = 0;
        for i in 0..len {
            match examine(self.tables, self.port, &packets[i], &metas[i]) {
                Some((key, one)) => {
                    let k = n % BURST;
                    scratch.keys[k] = key;
                    scratch.firsts[k] = one.first;
                    scratch.senders[k] = one.sender;
                    scratch.paths[k] = one.path;
                    paths |= one.path;
                    scratch.at[k] = i as u8;
                    n += 1;
                }
                None => rest.add(i),
            }
        }
        (rest, n, paths)
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
    let near =
        sender.form.is_of(chunk(frame, 0)) && raw(2) == dst && dst & sender.mask == sender.net;
    if !near && !is_for_gateway(sender, frame, dst) {
        return None;
    }
    let theirs = src == sender.source && frame[L3 + ipv4::field::DESTINATION] >> 4 != 0xe;
    let (ab, cd) = (be64(frame, L3), be64(frame, L3 + 8));
    // Neither a fragment nor TTL 0.
    let whole = ab & 0x3fff == 0 && cd >> 56 != 0;
    let alone = packet.is_simple() && meta.is_plain();
    if !(theirs && whole && alone && plain::is_right(&chunk(frame, L3))) {
        return None;
    }
    let carried = frame[L3 + ipv4::field::PROTOCOL];
    let payload = usize::from((ab >> 32) as u16).wrapping_sub(ipv4::HEADER_LEN);
    if payload > head.len() - L4 || payload < plain::least(carried) {
        return None;
    }
    if sender.clamps && carried == protocol::TCP && is_syn(&head[L4..]) {
        return None;
    }
    let addresses = chunk(frame, L3 + ipv4::field::SOURCE);
    let flow = flow::of(addresses, carried, chunk(frame, L4));
    let one = One {
        first: sender.header.first([ab, cd], flow::entropy(flow)),
        sender: node,
        path: (flow as usize % PATHS) as u8 | if near { 0 } else { ROUTED },
    };
    let key = sender.own & !u64::from(u32::MAX) | u64::from(u32::from_be(dst));
    Some((Key::from_number(key), one))
}

/// Whether a frame is for the sender's gateway, and its packet for nobody whom
/// the sender could reach by itself.
#[inline(always)]
fn is_for_gateway(sender: &Sender, frame: &[u8; IPV4_FRONT], dst: u32) -> bool {
    let mut front: [u8; 16] = chunk(frame, 0);
    // As if for a neighbour.
    front[0] ^= ROUTER;
    sender.form.is_of(front)
        && u32::from_ne_bytes(chunk(frame, 2)) == sender.gateway
        && dst & sender.mask != sender.net
}

/// The sender behind a port of several.
#[inline(never)]
fn among(port: &PortRecord, frame: &[u8; IPV4_FRONT]) -> Option<NodeIndex> {
    port.nodes.find(0, ethernet::Header::parse(frame)?.source)
}

/// Sorts packets by where they go, and adjusts the checksums of those that go
/// to other hosts. Returns what is not plain, how many go to other hosts, and
/// how many to nodes of this one.
struct Resolve<'a, P, const SLOTS: bool> {
    tables: &'a Tables,
    now: u32,
    packets: &'a mut [P],
    scratch: &'a mut Scratch,
    n: usize,
}

impl<P: Packet, const SLOTS: bool> Work for Resolve<'_, P, SLOTS> {
    type Done = (Rest, usize, usize);

    #[inline(always)]
    fn run(self) -> (Rest, usize, usize) {
        let (tables, scratch) = (self.tables, self.scratch);
        let mut rest = Rest::default();
        let (mut remote, mut local) = (0, 0);
        for k in 0..self.n.min(BURST) {
            let found = scratch.found[k];
            let i = usize::from(scratch.at[k]);
            if let Some(host) = found.host_at(self.now) {
                let ends = tables
                    .senders
                    .get(scratch.senders[k].index())
                    .zip(tables.ways.get(host.index()));
                let slot = if SLOTS {
                    plain::part(found.mark().sum())
                } else {
                    0
                };
                let first = scratch.firsts[k];
                let ready = match (self.packets.get_mut(i), ends) {
                    (Some(packet), Some(ends)) => make_ready(packet, ends, (first, slot)),
                    _ => None,
                };
                if ready.is_some() {
                    scratch.remote[remote % BURST] = k as u8;
                    scratch.hosts[remote % BURST] = host;
                    remote += 1;
                    continue;
                }
            } else if let Some(node) = found.node().filter(|_| found.lasts(self.now)) {
                scratch.local[local % BURST] = k as u8;
                scratch.nodes[local % BURST] = node;
                local += 1;
                continue;
            }
            rest.add(i);
        }
        (rest, remote, local)
    }
}

/// Adjusts the checksum of a packet whose headers will then be written for
/// certain; `None`, and nothing has changed, of one that is not plain.
#[inline(always)]
fn make_ready<P: Packet>(
    packet: &mut P,
    (sender, way): (&Sender, &Way),
    (first, slot): (First, u32),
) -> Option<()> {
    if first.payload_len() > way.room || !packet.has_headroom(GROWTH) {
        return None;
    }
    if !sender.siit {
        return Some(());
    }
    let transport = packet.head_mut().get_mut(L4..)?;
    let parts = sender.part + way.part + slot;
    plain::adjust(transport, first.protocol(), parts)
}

/// Writes link and IPv6 headers over packets to other hosts, from which on
/// nothing can go wrong any more.
struct Headers<'a, P, const SLOTS: bool> {
    tables: &'a Tables,
    packets: &'a mut [P],
    scratch: &'a Scratch,
    n: usize,
    results: &'a mut Results,
}

impl<P: Packet, const SLOTS: bool> Work for Headers<'_, P, SLOTS> {
    type Done = ();

    #[inline(always)]
    fn run(self) {
        let (tables, scratch) = (self.tables, self.scratch);
        for r in 0..self.n.min(BURST) {
            let k = usize::from(scratch.remote[r]) % BURST;
            let i = usize::from(scratch.at[k]);
            let way = tables.ways.get(scratch.hosts[r].index());
            let sender = tables.senders.get(scratch.senders[k].index());
            let hop = way.and_then(|way| way.hop(&tables.hops, scratch.paths[k]));
            let sent = match (way, sender, hop, self.packets.get_mut(i)) {
                (Some(way), Some(sender), Some(hop), Some(packet)) => {
                    let mut low = way.low | scratch.keys[k].number();
                    if SLOTS {
                        low |= u64::from(scratch.found[k].mark().byte()) << 56;
                    }
                    write(packet, (way, hop), sender, low, scratch.firsts[k])
                }
                _ => None,
            };
            match sent {
                Some(port) => self.results.sent(i, port),
                // It was looked at before; but never send half a packet.
                None => self.results.set(i, Err(Drop::NoBuffer.into())),
            }
        }
    }
}

/// Returns the port that the packet leaves by.
#[inline(always)]
fn write<P: Packet>(
    packet: &mut P,
    (way, hop): (&Way, &Hop),
    sender: &Sender,
    low: u64,
    first: First,
) -> Option<u16> {
    let len = L3 + ipv6::HEADER_LEN + usize::from(first.payload_len());
    let frame = packet.reshape(GROWTH as isize, len).ok()?;
    let (link, rest) = frame.split_first_chunk_mut()?;
    let net = rest.first_chunk_mut::<{ ipv6::HEADER_LEN }>()?;
    *link = hop.link;
    net[..8].copy_from_slice(&first.0.to_be_bytes());
    net[8..24].copy_from_slice(&sender.saddr);
    net[24..32].copy_from_slice(&way.high);
    net[32..].copy_from_slice(&low.to_be_bytes());
    Some(hop.port)
}

/// Puts the link headers of neighbours on this host in the place of the
/// senders'. Returns what is not plain.
struct Links<'a, P> {
    tables: &'a Tables,
    packets: &'a mut [P],
    scratch: &'a Scratch,
    n: usize,
    results: &'a mut Results,
}

impl<P: Packet> Work for Links<'_, P> {
    type Done = Rest;

    #[inline(always)]
    fn run(self) -> Rest {
        let (tables, scratch) = (self.tables, self.scratch);
        let mut rest = Rest::default();
        for l in 0..self.n.min(BURST) {
            let k = usize::from(scratch.local[l]) % BURST;
            let i = usize::from(scratch.at[k]);
            let node = scratch.nodes[l];
            let receiver = tables.receivers.get(node.index());
            let sent = match (receiver, self.packets.get_mut(i)) {
                (Some(receiver), Some(packet)) if node != scratch.senders[k] => {
                    let routed = scratch.paths[k] & ROUTED != 0;
                    let what = (scratch.keys[k], scratch.firsts[k], routed);
                    to_neighbor(packet, receiver, what)
                }
                _ => None,
            };
            match sent {
                Some(port) => self.results.sent(i, port),
                None => rest.add(i),
            }
        }
        rest
    }
}

/// Returns the port that the packet leaves by.
#[inline(always)]
fn to_neighbor<P: Packet>(
    packet: &mut P,
    receiver: &Receiver,
    (key, first, routed): (Key, First, bool),
) -> Option<u16> {
    if receiver.key != key.number() || first.payload_len() > receiver.room {
        return None;
    }
    let len = L4 + usize::from(first.payload_len());
    let frame = packet.reshape(0, len).ok()?;
    let front = frame.first_chunk_mut::<L4>()?;
    let source = Vaddr(be32(front, L3 + ipv4::field::SOURCE));
    if routed {
        *front.first_chunk_mut()? = receiver.link(source);
        ipv4::set_ttl(front[L3..].first_chunk_mut()?, first.ttl());
    } else {
        *front.first_chunk_mut()? = receiver.link_of_neighbor(source);
    }
    Some(receiver.port)
}
