//! Plain packets from the IPv4 side.

use crate::packet::{Meta, Packet};
use crate::siit::address_map::{Ends, Pair6};
use crate::siit::rfc7757::ones;
use crate::siit::rfc7915::Hairpin;
use crate::wire::ethernet::ethertype;
use crate::wire::{Vaddr, checksum, ipv4, ipv6, protocol, udp};

use super::super::super::rewrite::move_front;
use super::super::super::topology::{Hop, RelayRecord};
use super::super::super::{Context, Drop, Exit, Outcome, Results, port_of};
use super::super::rewrite::sent;
use super::{BARE, Gate, TAGGED, adjusted, all, field, halves, transport};

const DONT_FRAGMENT: u64 = 0x4000;
/// The bits of a packet that is a part: more to come, or not the first.
const FRAGMENT: u64 = 0x3fff;

/// What all packets of a burst share.
struct Way<'a> {
    relay: &'a RelayRecord,
    hop: &'a Hop,
    gate: Gate,
}

/// Rewrites what is plain of a burst, and returns the bits of the others.
#[inline(always)]
pub(in super::super) fn to_ipv6<P: Packet>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let (Some(relay), Some(port)) = (cx.topology.relay(), port_of(cx, metas)) else {
        return all(packets.len());
    };
    let Some(hop) = &relay.hop6 else {
        return all(packets.len());
    };
    let way = Way {
        relay,
        hop,
        gate: Gate::of(port, ethertype::IPV4),
    };
    match way.gate.is_tagged(metas) {
        false => burst::<P, BARE>(&way, packets, metas, results),
        true => burst::<P, TAGGED>(&way, packets, metas, results),
    }
}

#[inline(always)]
fn burst<P: Packet, const L3: usize>(
    way: &Way<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let Way { relay, hop, .. } = *way;
    let mut ends = Ends::new(Vaddr(0));
    let (mut plain, mut bit) = (0, 1u32);
    let places = ends.sources.iter_mut().zip(&mut ends.destinations);
    for ((packet, meta), place) in packets.iter().zip(metas).zip(places) {
        if let Some(addresses) = note::<P, L3>(way, packet, meta) {
            (*place.0, *place.1) = addresses;
            plain |= bit;
        }
        bit <<= 1;
    }
    // RFC 7757 section 4.2.1: in simple mode what comes from the IPv4 side may
    // have been turned around there.
    let explicit = relay.rules.hairpin != Hairpin::Simple;
    let found = relay.addresses.find_to_ipv6(&ends, plain, explicit);
    let mut left = all(packets.len());
    for i in ones(plain) {
        let entries = (found.sources[i], found.destinations[i]);
        let addresses = (ends.sources[i], ends.destinations[i]);
        let pair = relay.addresses.pair6(addresses, entries);
        if let (Ok(pair), Some(packet)) = (pair, packets.get_mut(i)) {
            results.set(i, write::<P, L3>(packet, relay, hop, &pair));
            left &= !(1 << i);
        }
    }
    left
}

/// The addresses of a frame that passes through and is plain.
#[inline(always)]
fn note<P: Packet, const L3: usize>(
    way: &Way<'_>,
    packet: &P,
    meta: &Meta,
) -> Option<(Vaddr, Vaddr)> {
    let bytes = way.gate.pass::<L3>(packet.head(), meta)?;
    let addresses = read(bytes, packet.total_len() - L3, way.relay)?;
    let ours = addresses.1 == way.relay.own4 || addresses.1 == way.relay.broadcast4;
    (!ours && !packet.is_shared()).then_some(addresses)
}

/// The addresses of a packet that is plain.
#[inline(always)]
pub(in super::super) fn read(
    bytes: &[u8],
    available: usize,
    relay: &RelayRecord,
) -> Option<(Vaddr, Vaddr)> {
    let header = bytes.first_chunk::<{ ipv4::HEADER_LEN }>()?;
    let (first, second, last) = words(header);
    let sum = halves(first) + halves(second) + u64::from(last);
    let total_len = (first >> 32) as usize & 0xffff;
    let usual = first >> 56 == 0x45
        && first & FRAGMENT == 0
        && second >> 56 > 1
        && checksum::fold(sum) == 0xffff
        && total_len <= available;
    if !usual {
        return None;
    }
    let protocol = (second >> 48) as u8;
    let (at, header_len) = transport(protocol)?;
    let no_sum = protocol == protocol::UDP && field(bytes, ipv4::HEADER_LEN + at)? == 0;
    let most = match first & DONT_FRAGMENT {
        0 => relay.uncut6,
        _ => relay.rules.mtu6,
    };
    const GROWTH: usize = ipv6::HEADER_LEN - ipv4::HEADER_LEN;
    let fits = total_len >= ipv4::HEADER_LEN + header_len
        && total_len + GROWTH <= usize::from(most)
        && bytes.len() >= ipv4::HEADER_LEN + at + 2;
    (fits && !no_sum).then_some((Vaddr(second as u32), Vaddr(last)))
}

/// Writes the new headers of a packet that is plain.
#[inline(always)]
pub(in super::super) fn write<P: Packet, const L3: usize>(
    packet: &mut P,
    relay: &RelayRecord,
    hop: &Hop,
    pair: &Pair6,
) -> Result<Outcome, Exit> {
    let bytes = packet.head().get(L3..).ok_or(Drop::HeadersSplit)?;
    let header = bytes.first_chunk().ok_or(Drop::HeadersSplit)?;
    let (first, second, _) = words(header);
    let protocol = (second >> 48) as u8;
    let (at, _) = transport(protocol).unwrap_or((udp::field::CHECKSUM, 0));
    let old = field(bytes, ipv4::HEADER_LEN + at).ok_or(Drop::HeadersSplit)?;
    let sum = adjusted(old, protocol, pair.delta);
    let total_len = (first >> 32) as u16;
    let class = relay.rules.traffic_class.of((first >> 48) as u8);
    let new = 6 << 60
        | u64::from(class) << 52
        | u64::from(total_len - ipv4::HEADER_LEN as u16) << 16
        | u64::from(protocol) << 8
        | ((second >> 56) - 1);

    packet.truncate(L3 + usize::from(total_len));
    let front = hop.link_len() + ipv6::HEADER_LEN;
    move_front(packet, front as isize - (L3 + ipv4::HEADER_LEN) as isize)?;
    let frame = packet.head_mut();
    let rest = hop.write_link(frame).ok_or(Drop::HeadersSplit)?;
    let (header, payload) = rest
        .split_first_chunk_mut::<{ ipv6::HEADER_LEN }>()
        .ok_or(Drop::HeadersSplit)?;
    let (source, destination) = (pair.source, pair.destination);
    let words = [new, source.0, source.1, destination.0, destination.1];
    for (eight, word) in header.as_chunks_mut().0.iter_mut().zip(words) {
        *eight = word.to_be_bytes();
    }
    let place = payload.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    *place.ok_or(Drop::HeadersSplit)? = sum.to_be_bytes();
    Ok(sent(hop))
}

#[inline(always)]
fn words(header: &[u8; ipv4::HEADER_LEN]) -> (u64, u64, u32) {
    let (eights, rest) = header.as_chunks();
    let [first, second] = [0, 1].map(|i| eights.get(i).map_or(0, |e| u64::from_be_bytes(*e)));
    let last = rest
        .first_chunk()
        .map_or(0, |four| u32::from_be_bytes(*four));
    (first, second, last)
}
