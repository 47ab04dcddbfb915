//! Plain packets of other hosts, to nodes of this one.

use crate::arch::{self, Work};
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::{Vaddr, ethernet, ipv4, ipv6, protocol};

use super::super::trace::Stage;
use super::super::{BURST, Context, Results};
use super::arrivals::{Arrivals, Columns};
use super::tables::{Door, Own, Receiver, Tables};
use super::{IN_PLACE, Meter, Rest, Scratch};

/// Where the IPv6 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
/// What the headers of IPv4 take.
const FRONT: usize = L3 + ipv4::HEADER_LEN;
/// How much shorter the network header becomes.
const SHRINKING: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;
/// The sign of a column: of what is less than nothing.
const BELOW: u64 = 1 << 63;

/// Delivers what is plain of a burst that came in by one port; returns the
/// rest.
#[inline(always)]
pub fn inbound<P: Packet, M: Meter>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    scratch: &mut Scratch,
    results: &mut Results,
    meter: &mut M,
) -> Rest {
    let tables = cx.topology.plain();
    let port = metas.first().map_or(usize::MAX, |meta| meta.port.into());
    let Some(door) = tables.doors.get(port) else {
        return Rest::all(packets.len());
    };
    let sort = Sort {
        own: &tables.own,
        door,
        packets,
        metas,
        scratch,
    };
    let (mut rest, n) = arch::columns(sort);
    meter.passed(Stage::Classify, n);
    let Scratch {
        keys,
        sources,
        found,
        origins,
        ..
    } = scratch;
    cx.mappings
        .reach_burst(cx.pin, &sources[..n], &mut origins[..n]);
    cx.mappings.reach_burst(cx.pin, &keys[..n], &mut found[..n]);
    meter.passed(Stage::Resolve, n);
    let deliver = Deliver {
        cx,
        tables,
        packets,
        scratch,
        n,
        results,
    };
    rest.add_all(arch::columns(deliver));
    meter.passed(Stage::Rewrite, n);
    rest
}

/// Parse and classify. Returns what is not plain, and how many are.
struct Sort<'a, P> {
    own: &'a Own,
    door: &'a Door,
    packets: &'a [P],
    metas: &'a [Meta],
    scratch: &'a mut Scratch,
}

impl<P: Packet> Work for Sort<'_, P> {
    type Done = (Rest, usize);

    #[inline(always)]
    fn run(self) -> (Rest, usize) {
        let len = self.packets.len().min(self.metas.len()).min(BURST);
        let (packets, metas) = (&self.packets[..len], &self.metas[..len]);
        let scratch = self.scratch;
        let Scratch {
            arrivals,
            sources,
            keys,
            firsts,
            faults: odd,
            sums,
            at,
            ..
        } = scratch;
        arrivals.read(packets, metas, sums);
        let columns = Columns {
            sources,
            destinations: keys,
            firsts,
            faults: odd,
        };
        let faults = arrivals.judge(self.own, self.door, len, columns);
        *at = IN_PLACE;
        match faults {
            0 => (Rest::default(), len),
            _ => scratch.close_ranks(len),
        }
    }
}

/// Authorize, resolve and rewrite; nothing of a packet that is not delivered
/// has changed. Returns what is not plain.
struct Deliver<'a, 'c, P> {
    cx: &'a Context<'c>,
    tables: &'a Tables,
    packets: &'a mut [P],
    scratch: &'a mut Scratch,
    n: usize,
    results: &'a mut Results,
}

impl<P: Packet> Work for Deliver<'_, '_, P> {
    type Done = Rest;

    #[inline(always)]
    fn run(self) -> Rest {
        let Deliver {
            cx,
            tables,
            packets,
            results,
            ..
        } = self;
        let Tables {
            ways,
            receivers,
            own,
            ..
        } = tables;
        let (ways, receivers) = (&ways[..], &receivers[..]);
        let (mask, marked) = (own.mask, own.marked());
        let n = self.n.min(BURST);
        let Scratch {
            arrivals,
            keys,
            firsts,
            at,
            found,
            origins,
            hosts,
            ends,
            faults,
            sums,
            ..
        } = self.scratch;
        let mut ids = [0; BURST];
        if firsts[..n].iter().any(|first| !first.df()) {
            for (id, at) in ids.iter_mut().zip(at[..n].iter()) {
                *id = u64::from(cx.fresh.of(usize::from(*at)));
            }
        }
        arrivals.compose(n, &ids, firsts, keys);
        super::hosts(origins, cx.seconds, n, hosts);
        for k in 0..n {
            let way = super::at(ways, hosts[k]);
            let node = found[k].node();
            let receiver = node.and_then(|node| receivers.get(node.index()));
            ends.rooms_and_parts[k] = 0;
            if let (Some(way), Some(receiver)) = (way, receiver) {
                let back = u64::from(way.back) + u64::from(receiver.back);
                let room_and_mark =
                    u64::from(receiver.room) | u64::from(receiver.mark.byte()) << 16;
                ends.rooms_and_parts[k] = room_and_mark << 32 | back;
                ends.high[k] = u64::from_le_bytes(way.high);
                ends.low[k] = way.low;
                ends.keys[k] = receiver.key;
            }
        }
        for k in 0..n {
            let room = ends.rooms_and_parts[k] >> 32 & 0xffff;
            // A slot that is not the receiver's does no harm, but is not plain.
            let (from, to) = arrivals.marks(k);
            let slot = (ends.rooms_and_parts[k] >> 48 ^ to) & marked;
            let mark = plain::part_of_mark(from & marked) ^ 0xffff;
            let (high, low) = arrivals.source(k);
            let authentic = ends.high[k] ^ high | ends.low[k] ^ low & mask;
            // Of what was not adjusted nothing is taken back.
            let back = (ends.rooms_and_parts[k] & u64::from(u32::MAX)) + mark;
            let back = if firsts[k].is_siit() { back } else { 0 };
            let is_udp = firsts[k].is(protocol::UDP);
            let (sum, odd) = plain::adjusted(sums[k], is_udp, back);
            let payload = u64::from(firsts[k].payload_len());
            sums[k] = sum;
            let fits = ends.keys[k] ^ keys[k].number() | room.wrapping_sub(payload) & BELOW;
            faults[k] = odd | authentic | fits | slot;
        }
        let mut rest = Rest::default();
        for k in 0..n {
            let i = usize::from(at[k]);
            let sent = match (found[k].node(), packets.get_mut(i)) {
                (Some(node), Some(packet)) if faults[k] == 0 => {
                    let receiver = receivers.get(node.index());
                    deliver(packet, receiver, arrivals, (firsts[k], sums[k] as u16), k)
                }
                _ => None,
            };
            match sent {
                Some(port) => results.sent(i, port),
                None => rest.add(i),
            }
        }
        rest
    }
}

/// Writes link and IPv4 header over the `k`th plain packet, and the checksum
/// that goes with them; nothing has changed of one that has no room. Returns
/// the port that it leaves by.
#[inline(always)]
fn deliver<P: Packet>(
    packet: &mut P,
    receiver: Option<&Receiver>,
    arrivals: &Arrivals,
    (first, sum): (First, u16),
    k: usize,
) -> Option<u16> {
    let receiver = receiver?;
    let len = FRONT + usize::from(first.payload_len());
    let frame = packet.reshape(-(SHRINKING as isize), len).ok()?;
    let (front, transport) = frame.split_first_chunk_mut::<FRONT>()?;
    let (_, low) = arrivals.source(k);
    *front.first_chunk_mut()? = receiver.link(Vaddr(low as u32));
    arrivals.write(k, front.last_chunk_mut()?);
    plain::set_checksum(transport, first.protocol(), sum);
    Some(receiver.port)
}
