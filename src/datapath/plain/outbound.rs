//! Plain packets of nodes, to other hosts and to each other.

use crate::arch::{self, Work, widest};
use crate::mapping::Key;
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::{be32, chunk};
use crate::wire::{Vaddr, ethernet, ipv4, ipv6, protocol};

use super::super::clamp::is_syn;
use super::super::topology::PATHS;
use super::super::trace::Stage;
use super::super::{BURST, Context, Results};
use super::fronts::{Columns, Senders, Several, Sole, Sum};
use super::tables::{Hop, Receiver, Sender, Tables, Way};
use super::{IN_PLACE, Meter, ROUTED, Rest, Scratch, route};

/// Where the IPv4 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv4::HEADER_LEN;
/// The same of IPv6.
const FRONT: usize = L3 + ipv6::HEADER_LEN;
/// How much longer the network header becomes.
const GROWTH: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;
/// The sign of a column: of what is less than nothing.
const BELOW: u64 = 1 << 63;

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
    let tables = cx.topology.plain();
    let door = metas
        .first()
        .and_then(|meta| tables.doors.get(usize::from(meta.port)));
    let burst = Burst {
        cx,
        packets,
        metas,
        scratch,
        results,
    };
    // The compiler makes two of what follows: in the one everything about the
    // sender is known before the burst is looked at.
    match door {
        Some(door) if !door.many => match Sole::new(tables, door.node) {
            Some(sole) => burst.send(sole, meter),
            None => Rest::all(burst.packets.len()),
        },
        Some(_) => burst.send_of_several(meter),
        None => Rest::all(burst.packets.len()),
    }
}

/// What all stages have to do with.
struct Burst<'a, 'c, P> {
    cx: &'a Context<'c>,
    packets: &'a mut [P],
    metas: &'a [Meta],
    scratch: &'a mut Scratch,
    results: &'a mut Results,
}

impl<P: Packet> Burst<'_, '_, P> {
    /// Out of line: ports of several nodes are few.
    #[inline(never)]
    fn send_of_several<M: Meter>(self, meter: &mut M) -> Rest {
        let topology = self.cx.topology;
        let port = self.metas.first().and_then(|meta| topology.port(meta.port));
        match port.and_then(|port| Several::new(topology.plain(), port)) {
            Some(several) => self.send(several, meter),
            None => Rest::all(self.packets.len()),
        }
    }

    #[inline(always)]
    fn send<S: Senders, M: Meter>(self, senders: S, meter: &mut M) -> Rest {
        let Burst {
            cx,
            packets,
            metas,
            scratch,
            results,
        } = self;
        let permit = Permit {
            senders,
            packets,
            metas,
            scratch,
        };
        // Rules that differ from packet to packet are read from memory, and
        // make no columns that would be worth their width.
        let (mut rest, n, routed) = match S::SEVERAL {
            true => widest(permit),
            false => arch::columns(permit),
        };
        if routed {
            if !S::SEVERAL {
                scratch.senders = [senders.node(&scratch.senders, 0); BURST];
            }
            route::follow(cx.topology, scratch, n);
        }
        meter.passed(Stage::Authorize, n);
        cx.mappings
            .reach_burst(cx.pin, &scratch.keys[..n], &mut scratch.found[..n]);
        meter.passed(Stage::Resolve, n);
        let tables = cx.topology.plain();
        let forward = Forward {
            senders,
            tables,
            now: cx.seconds,
            packets,
            scratch,
            results,
            n,
        };
        let (left, local) = arch::columns(forward);
        rest.add_all(left);
        if local > 0 {
            let links = Links {
                senders,
                tables,
                packets,
                scratch,
                n: local,
                results,
            };
            rest.add_all(widest(links));
        }
        if routed {
            route::tally(scratch, (n, rest), results);
        }
        meter.passed(Stage::Rewrite, n);
        rest
    }
}

/// Parse, classify and authorize. Returns what is not plain, how many are, and
/// whether some were given to a gateway.
struct Permit<'a, P, S> {
    senders: S,
    packets: &'a [P],
    metas: &'a [Meta],
    scratch: &'a mut Scratch,
}

impl<P: Packet, S: Senders> Work for Permit<'_, P, S> {
    type Done = (Rest, usize, bool);

    #[inline(always)]
    fn run(self) -> (Rest, usize, bool) {
        let len = self.packets.len().min(self.metas.len()).min(BURST);
        let (packets, metas) = (&self.packets[..len], &self.metas[..len]);
        let (senders, scratch) = (self.senders, self.scratch);
        let Scratch {
            fronts,
            senders: nodes,
            keys,
            firsts,
            flows,
            faults: odd,
            sums,
            at,
            ..
        } = scratch;
        fronts.read(senders, packets, metas, nodes, sums);
        let columns = Columns {
            keys,
            firsts,
            flows,
            faults: odd,
        };
        let Sum {
            mut faults,
            routed,
            clamps,
        } = fronts.judge(senders, nodes, len, columns);
        if clamps {
            faults |= offers(packets, firsts, odd);
        }
        *at = IN_PLACE;
        if faults == 0 {
            return (Rest::default(), len, routed != 0);
        }
        let (rest, n) = scratch.close_ranks(len);
        (rest, n, routed != 0)
    }
}

/// Takes out the SYNs of senders whose offers are lowered on their way.
#[inline(never)]
fn offers<P: Packet>(packets: &[P], firsts: &[First; BURST], faults: &mut [u64; BURST]) -> u64 {
    let mut found = 0;
    for (i, packet) in packets.iter().enumerate().take(BURST) {
        let segment = packet.head().get(L4..).unwrap_or(&[]);
        if faults[i] == 0 && firsts[i].protocol() == protocol::TCP && is_syn(segment) {
            faults[i] = 1;
            found = 1;
        }
    }
    found
}

/// Sends packets to other hosts on their way, and notes those for nodes of this
/// one. Returns what is not plain, and how many are for such nodes.
struct Forward<'a, P, S> {
    senders: S,
    tables: &'a Tables,
    now: u32,
    packets: &'a mut [P],
    scratch: &'a mut Scratch,
    results: &'a mut Results,
    n: usize,
}

impl<P: Packet, S: Senders> Work for Forward<'_, P, S> {
    type Done = (Rest, usize);

    #[inline(always)]
    fn run(self) -> (Rest, usize) {
        let Forward {
            senders,
            now,
            packets,
            results,
            n,
            ..
        } = self;
        let Tables {
            ways, hops, own, ..
        } = self.tables;
        let (ways, hops, marked) = (&ways[..], &hops[..], own.marked());
        let Scratch {
            keys,
            firsts,
            flows,
            senders: from,
            found,
            hosts,
            ends,
            faults,
            sums,
            at,
            local,
            nodes,
            ..
        } = self.scratch;
        let n = n.min(BURST);
        *faults = [1; BURST];
        if super::hosts(found, now, n, hosts) {
            for (host, end) in hosts.iter().zip(&mut ends.rooms_and_parts).take(n) {
                let way = super::at(ways, *host);
                *end = way.map_or(0, |way| way.room_and_part);
            }
            for k in 0..n {
                let (own, adjusts) = senders.part(from, k);
                let room = ends.rooms_and_parts[k] >> 32;
                let part = ends.rooms_and_parts[k] & u64::from(u32::MAX);
                // Of none but layout `slot` is there a mark.
                let mark = found[k].mark() & marked;
                let parts = (own + part + plain::part_of_mark(mark)) & adjusts;
                let is_udp = firsts[k].is(protocol::UDP);
                let (sum, odd) = plain::adjusted(sums[k], is_udp, parts);
                let payload = u64::from(firsts[k].payload_len());
                sums[k] = sum;
                ends.low[k] = mark << 56 | keys[k].number();
                faults[k] = odd | room.wrapping_sub(payload) & BELOW;
            }
        } else {
            // For nodes of this host all of them, or for nobody.
            for k in 0..n {
                nodes[k] = found[k].node_at(now);
            }
            *local = IN_PLACE;
            return (Rest::default(), n);
        }
        let mut rest = Rest::default();
        let mut locals = 0;
        let low = &ends.low;
        for k in 0..n {
            let i = usize::from(at[k]);
            let Some(packet) = packets.get_mut(i) else {
                continue;
            };
            if faults[k] == 0 {
                let ends = (senders.sender(from, k), super::at(ways, hosts[k]));
                let what = (low[k], firsts[k], flows[k]);
                if let Some(port) = forward(packet, hops, ends, what, sums[k] as u16) {
                    results.sent(i, port);
                    continue;
                }
            } else {
                local[locals % BURST] = k as u8;
                nodes[locals % BURST] = found[k].node_at(now);
                locals += 1;
                continue;
            }
            rest.add(i);
        }
        (rest, locals)
    }
}

/// Writes link and IPv6 header over a packet's, and the checksum that goes with
/// them. Returns the port that it leaves by; `None`, and nothing has changed, of
/// one that has no room.
#[inline(always)]
fn forward<P: Packet>(
    packet: &mut P,
    hops: &[Option<Hop>],
    (sender, way): (&Sender, Option<&Way>),
    (low, first, flow): (u64, First, u64),
    sum: u16,
) -> Option<u16> {
    let way = way?;
    let hop = way.hop(hops, (flow as usize % PATHS) as u8)?;
    let len = FRONT + usize::from(first.payload_len());
    let frame = packet.reshape(GROWTH as isize, len).ok()?;
    let (front, transport) = frame.split_first_chunk_mut::<FRONT>()?;
    // The end of the link header's sixteen bytes is written over.
    *front.first_chunk_mut()? = hop.link;
    let net = front.last_chunk_mut::<{ ipv6::HEADER_LEN }>()?;
    net[..8].copy_from_slice(&first.0.to_be_bytes());
    net[8..24].copy_from_slice(&sender.saddr);
    net[24..32].copy_from_slice(&way.high);
    net[32..].copy_from_slice(&(way.low | low).to_be_bytes());
    plain::set_checksum(transport, first.protocol(), sum);
    Some(hop.port)
}

/// Puts the link headers of neighbours on this host in the place of the
/// senders'. Returns what is not plain.
struct Links<'a, P, S> {
    senders: S,
    tables: &'a Tables,
    packets: &'a mut [P],
    scratch: &'a Scratch,
    n: usize,
    results: &'a mut Results,
}

impl<P: Packet, S: Senders> Work for Links<'_, P, S> {
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
                (Some(receiver), Some(packet))
                    if node != self.senders.node(&scratch.senders, k) =>
                {
                    let routed = scratch.flows[k] & ROUTED != 0;
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
    // Sixteen bytes are copied in one go, of which the header keeps its two.
    let [version, tos] = chunk(front, L3);
    if routed {
        *front.first_chunk_mut()? = receiver.link(source);
        ipv4::set_ttl(front[L3..].first_chunk_mut()?, first.ttl());
    } else {
        *front.first_chunk_mut()? = receiver.link_of_neighbor(source);
    }
    [front[L3], front[L3 + 1]] = [version, tos];
    Some(receiver.port)
}
