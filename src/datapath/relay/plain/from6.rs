//! Plain packets from the IPv6 side.

use crate::packet::{Meta, Packet};
use crate::siit::address_map::{Ends, Pair4};
use crate::siit::halves::{Halves, joined};
use crate::siit::rfc7757::ones;
use crate::siit::rfc7915::Hairpin;
use crate::wire::ethernet::ethertype;
use crate::wire::{checksum, ipv4, ipv6, protocol, udp};

use super::super::super::rewrite::move_front;
use super::super::super::topology::{Hop, PortRecord, RelayRecord};
use super::super::super::{Context, Drop, Exit, Outcome, Results, port_of};
use super::super::rewrite::sent;
use super::{BARE, Gate, TAGGED, adjusted, all, field, halves, transport};

/// The least IPv4 packet that says not to be fragmented (RFC 7915 section 5.1).
const DONT_FRAGMENT_ABOVE: u64 = 1260;

/// Both addresses of a packet.
type Addresses = (Halves, Halves);

/// What all packets of a burst share.
struct Way<'a> {
    port: &'a PortRecord,
    relay: &'a RelayRecord,
    hop: &'a Hop,
    gate: Gate,
}

/// Rewrites what is plain of a burst, and returns the bits of the others.
#[inline(always)]
pub(in super::super) fn to_ipv4<P: Packet>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let (Some(relay), Some(port)) = (cx.topology.relay(), port_of(cx, metas)) else {
        return all(packets.len());
    };
    let Some(hop) = &relay.hop4 else {
        return all(packets.len());
    };
    let way = Way {
        port,
        relay,
        hop,
        gate: Gate::of(port, ethertype::IPV6),
    };
    match way.gate.is_tagged(metas) {
        false => burst::<P, BARE>(cx, &way, packets, metas, results),
        true => burst::<P, TAGGED>(cx, &way, packets, metas, results),
    }
}

#[inline(always)]
fn burst<P: Packet, const L3: usize>(
    cx: &Context<'_>,
    way: &Way<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let Way { relay, hop, .. } = *way;
    let mut ends = Ends::new((0, 0));
    let (mut plain, mut bit) = (0, 1u32);
    let places = ends.sources.iter_mut().zip(&mut ends.destinations);
    for ((packet, meta), place) in packets.iter().zip(metas).zip(places) {
        if let Some(addresses) = note::<P, L3>(way, packet, meta) {
            (*place.0, *place.1) = addresses;
            plain |= bit;
        }
        bit <<= 1;
    }
    let found = relay.addresses.find_to_ipv4(&ends, plain);
    let mut left = all(packets.len());
    for i in ones(plain) {
        let entries = (found.sources[i], found.destinations[i]);
        let addresses = (ends.sources[i], ends.destinations[i]);
        let pair = relay.addresses.pair4(addresses, entries);
        if let (Ok(pair), Some(packet)) = (pair, packets.get_mut(i))
            && !is_turned_around(relay, &pair)
        {
            let id = cx.fresh.of(i);
            results.set(i, write::<P, L3>(packet, relay, hop, &pair, id));
            left &= !(1 << i);
        }
    }
    left
}

/// Whether it goes back to IPv6, which is the engine's to do.
#[inline(always)]
pub(in super::super) fn is_turned_around(relay: &RelayRecord, pair: &Pair4) -> bool {
    pair.returns && relay.rules.hairpin == Hairpin::Intrinsic
}

/// The addresses of a frame that passes through and is plain.
#[inline(always)]
fn note<P: Packet, const L3: usize>(way: &Way<'_>, packet: &P, meta: &Meta) -> Option<Addresses> {
    let bytes = way.gate.pass::<L3>(packet.head(), meta)?;
    let addresses = read(bytes, packet.total_len() - L3, way.relay)?;
    let ours = way.port.own.contains(&joined(addresses.1));
    (!ours && !packet.is_shared()).then_some(addresses)
}

/// The addresses of a packet that is plain.
#[inline(always)]
pub(in super::super) fn read(
    bytes: &[u8],
    available: usize,
    relay: &RelayRecord,
) -> Option<Addresses> {
    let header = bytes.first_chunk::<{ ipv6::HEADER_LEN }>()?;
    let [first, addresses @ ..] = words(header);
    let payload_len = (first >> 16) as usize & 0xffff;
    let usual = first >> 60 == 6 && first & 0xff > 1 && payload_len + ipv6::HEADER_LEN <= available;
    if !usual {
        return None;
    }
    let protocol = (first >> 8) as u8;
    let (at, header_len) = transport(protocol)?;
    let no_sum = protocol == protocol::UDP && field(bytes, ipv6::HEADER_LEN + at)? == 0;
    let fits = payload_len >= header_len
        && payload_len + ipv4::HEADER_LEN <= usize::from(relay.rules.mtu4)
        && bytes.len() >= ipv6::HEADER_LEN + at + 2;
    let [a, b, c, d] = addresses;
    (fits && !no_sum).then_some(((a, b), (c, d)))
}

/// Writes the new headers of a packet that is plain.
#[inline(always)]
pub(in super::super) fn write<P: Packet, const L3: usize>(
    packet: &mut P,
    relay: &RelayRecord,
    hop: &Hop,
    pair: &Pair4,
    id: u16,
) -> Result<Outcome, Exit> {
    let bytes = packet.head().get(L3..).ok_or(Drop::HeadersSplit)?;
    let old = bytes.first_chunk().ok_or(Drop::HeadersSplit)?;
    let old = u64::from_be_bytes(*old);
    let protocol = (old >> 8) as u8;
    let (at, _) = transport(protocol).unwrap_or((udp::field::CHECKSUM, 0));
    let sum = field(bytes, ipv6::HEADER_LEN + at).ok_or(Drop::HeadersSplit)?;
    let sum = adjusted(sum, protocol, pair.delta);
    let payload_len = old >> 16 & 0xffff;
    let total_len = payload_len + ipv4::HEADER_LEN as u64;
    let tos = relay.rules.tos.of((old >> 52) as u8);
    let whole = u64::from(total_len > DONT_FRAGMENT_ABOVE) << 14;
    let first = 0x45 << 56 | u64::from(tos) << 48 | total_len << 32 | u64::from(id) << 16 | whole;
    let second = ((old & 0xff) - 1) << 56 | u64::from(protocol) << 48 | u64::from(pair.source.0);
    let last = pair.destination.0;
    let header_sum = !checksum::fold(halves(first) + halves(second) + u64::from(last));
    let second = second | u64::from(header_sum) << 32;

    packet.truncate(L3 + ipv6::HEADER_LEN + payload_len as usize);
    let front = hop.link_len() + ipv4::HEADER_LEN;
    move_front(packet, front as isize - (L3 + ipv6::HEADER_LEN) as isize)?;
    let frame = packet.head_mut();
    let rest = hop.write_link(frame).ok_or(Drop::HeadersSplit)?;
    let (header, payload) = rest
        .split_first_chunk_mut::<{ ipv4::HEADER_LEN }>()
        .ok_or(Drop::HeadersSplit)?;
    let (eights, rest) = header.as_chunks_mut();
    for (eight, word) in eights.iter_mut().zip([first, second]) {
        *eight = word.to_be_bytes();
    }
    rest.copy_from_slice(&last.to_be_bytes());
    let place = payload.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    *place.ok_or(Drop::HeadersSplit)? = sum.to_be_bytes();
    Ok(sent(hop))
}

#[inline(always)]
fn words(header: &[u8; ipv6::HEADER_LEN]) -> [u64; 5] {
    let mut words = [0; 5];
    for (word, eight) in words.iter_mut().zip(header.as_chunks().0) {
        *word = u64::from_be_bytes(*eight);
    }
    words
}
