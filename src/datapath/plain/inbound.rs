//! Plain packets of other hosts, to nodes of this one.

use crate::arch::widest;
use crate::mapping::Key;
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::{be64, chunk};
use crate::wire::{Vaddr, ethernet, ipv4, ipv6};

use super::super::trace::Stage;
use super::super::{BURST, Context, Results};
use super::tables::{Door, Own, Receiver, Way};
use super::{IPV4_FRONT, Meter, Rest, Scratch};

/// Where the IPv6 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv6::HEADER_LEN;
/// Its addresses.
const SOURCE: usize = L3 + ipv6::field::SOURCE;
const DESTINATION: usize = L3 + ipv6::field::DESTINATION;
/// How much shorter the network header becomes.
const SHRINKING: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;
/// As far as a packet is read.
const IPV6_FRONT: usize = IPV4_FRONT + SHRINKING;

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
    let (mut rest, n) = widest(|| sort(&tables.own, door, packets, metas, scratch));
    meter.passed(Stage::Classify, n);
    let ends = 2 * n;
    cx.mappings
        .resolve_burst(cx.pin, &scratch.keys[..ends], &mut scratch.found[..ends]);
    meter.passed(Stage::Resolve, n);
    rest.add_all(widest(|| deliver(cx, packets, scratch, n, results)));
    meter.passed(Stage::Rewrite, n);
    rest
}

/// Parse and classify. Returns what is not plain, and how many are.
#[inline(always)]
fn sort<P: Packet>(
    own: &Own,
    door: &Door,
    packets: &[P],
    metas: &[Meta],
    scratch: &mut Scratch,
) -> (Rest, usize) {
    let mut rest = Rest::default();
    let mut n = 0;
    for (i, (packet, meta)) in packets.iter().zip(metas).take(BURST).enumerate() {
        match examine(own, door, packet, meta) {
            Some([source, destination]) => {
                let k = n % BURST;
                scratch.keys[2 * k] = source;
                scratch.keys[2 * k + 1] = destination;
                scratch.at[k] = i as u8;
                n += 1;
            }
            None => rest.add(i),
        }
    }
    (rest, n)
}

/// Authorize, resolve and rewrite; nothing of a packet that is not delivered
/// has changed.
#[inline(always)]
fn deliver<P: Packet>(
    cx: &Context<'_>,
    packets: &mut [P],
    scratch: &Scratch,
    n: usize,
    results: &mut Results,
) -> Rest {
    let tables = cx.topology.plain();
    let mut rest = Rest::default();
    for k in 0..n.min(BURST) {
        let i = usize::from(scratch.at[k]);
        let (source, destination) = (scratch.found[2 * k], scratch.found[2 * k + 1]);
        let key = scratch.keys[2 * k + 1];
        let ends = || {
            let way = tables.ways.get(source.host_at(cx.seconds)?.index())?;
            let receiver = tables.receivers.get(destination.node()?.index())?;
            Some((way, receiver))
        };
        let sent = match (packets.get_mut(i), ends()) {
            (Some(packet), Some(ends)) => restore(packet, &tables.own, ends, (key, cx.fresh.of(i))),
            _ => None,
        };
        match sent {
            Some(port) => results.sent(i, port),
            None => rest.add(i),
        }
    }
    rest
}

/// Source and destination of a packet that a host may have sent.
#[inline(always)]
fn examine<P: Packet>(own: &Own, door: &Door, packet: &P, meta: &Meta) -> Option<[Key; 2]> {
    let head = packet.head();
    let frame = head.first_chunk::<IPV6_FRONT>()?;
    let first = First(be64(frame, L3));
    let (source, low) = (be64(frame, SOURCE + 8), be64(frame, DESTINATION + 8));
    let [from, to] = [source & own.key, low & own.key];
    let ours = door.form.is_of(chunk(frame, 0))
        && chunk(frame, DESTINATION) == own.high
        && low & own.mask == own.low
        && to >> 32 != 0
        && from >> 32 == to >> 32
        && first.is_from_host()
        && packet.is_simple()
        && meta.is_plain();
    let payload = usize::from(first.payload_len());
    let fits = payload >= plain::least(first.protocol()) && payload <= head.len() - L4;
    (ours && fits).then(|| [from, to].map(Key::from_number))
}

/// Authorizes a packet and writes link and IPv4 header over it; nothing of one
/// that is not delivered has changed.
#[inline(always)]
fn restore<P: Packet>(
    packet: &mut P,
    own: &Own,
    (way, receiver): (&Way, &Receiver),
    (key, fresh): (Key, u16),
) -> Option<u16> {
    let frame = packet.head().first_chunk::<IPV6_FRONT>()?;
    let first = First(be64(frame, L3));
    let (high, low) = (chunk(frame, SOURCE), be64(frame, SOURCE + 8));
    let came_from = (way.high == high) & (way.low == low & own.mask);
    let room = receiver.room.checked_sub(ipv4::HEADER_LEN as u16)?;
    if !came_from | (receiver.key != key.number()) | (first.payload_len() > room) {
        return None;
    }
    let at = plain::checksum_at(first.protocol());
    let field = chunk(frame, L4 + at);
    let adjusts = first.is_siit() && !plain::is_absent(first.protocol(), field);
    if plain::is_odd(field) && adjusts {
        return None;
    }
    let (ab, cd, e) = first.restored(low as u32, key.vaddr(), fresh);
    let len = L3 + ipv4::HEADER_LEN + usize::from(first.payload_len());
    let frame = packet.reshape(-(SHRINKING as isize), len).ok()?;
    let (link, rest) = frame.split_first_chunk_mut()?;
    let (net, transport) = rest.split_first_chunk_mut::<{ ipv4::HEADER_LEN }>()?;
    *link = receiver.link(Vaddr(low as u32));
    net[..8].copy_from_slice(&ab.to_be_bytes());
    net[8..16].copy_from_slice(&cd.to_be_bytes());
    net[16..].copy_from_slice(&e.to_be_bytes());
    if adjusts {
        let restored = plain::restore(first.protocol(), field, receiver.part + way.part);
        *transport.get_mut(at..)?.first_chunk_mut()? = restored;
    }
    Some(receiver.port)
}
