//! Plain packets from the IPv6 side.

use crate::arch::{Work, widest};
use crate::packet::{Meta, Packet};
use crate::siit::address_map::{AddressMap, Ends, Found, Ready, Usual};
use crate::siit::halves::Halves;
use crate::siit::plain::{self, First};
use crate::siit::rfc7757::{Eams, ones};
use crate::siit::rfc7915::Hairpin;
use crate::wire::ethernet::ethertype;
use crate::wire::load::{be64, chunk};
use crate::wire::{Saddr, Vaddr, checksum, ipv4, ipv6, tcp};

use super::super::super::topology::Hop;
use super::super::super::{BURST, Context, FreshIds, Results, port_of};
use super::{BARE, Entries, Gate, Make, Noted, TAGGED, all, has_usual_sum, kept_and_set};

/// The least IPv4 packet that says not to be fragmented (RFC 7915 section 5.1).
const DONT_FRAGMENT_ABOVE: u64 = 1260;
/// As far as a packet is read, from its header on.
const READ: usize = ipv6::HEADER_LEN + tcp::HEADER_LEN;

/// What all packets of a burst share.
struct Way<'a> {
    gate: Gate,
    addresses: &'a AddressMap,
    /// The port's own addresses.
    own: &'a [Saddr],
    /// Whether packets between two hosts of ours are turned around: that is
    /// the engine's to do.
    turns: bool,
    /// The largest payload that passes in one piece.
    room: usize,
    /// Of the class, what is kept and what is set, where the TOS is.
    keep: u64,
    set: u64,
    hop: &'a Hop,
}

impl<'a> Way<'a> {
    fn of(cx: &Context<'a>, metas: &[Meta]) -> Option<Way<'a>> {
        let (relay, port) = (cx.topology.relay()?, port_of(cx, metas)?);
        let (keep, set) = kept_and_set(relay.rules.tos);
        Some(Way {
            gate: Gate::of(port, metas, ethertype::IPV6, (0x60, 0xf0)),
            addresses: &relay.addresses,
            own: &port.own,
            turns: relay.rules.hairpin == Hairpin::Intrinsic,
            room: usize::from(relay.rules.mtu4).saturating_sub(ipv4::HEADER_LEN),
            keep: u64::from(keep) << 48,
            set: 0x45 << 56 | u64::from(set) << 48,
            hop: relay.hop4.as_ref()?,
        })
    }
}

/// Rewrites what is plain of a burst, and returns the bits of the others.
#[inline(always)]
pub(in super::super) fn to_ipv4<P: Packet>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let Some(way) = Way::of(cx, metas) else {
        return all(packets.len());
    };
    match way.gate.is_tagged() {
        false => burst::<P, BARE, { BARE + READ }>(cx, &way, packets, metas, results),
        true => burst::<P, TAGGED, { TAGGED + READ }>(cx, &way, packets, metas, results),
    }
}

#[inline(always)]
fn burst<P: Packet, const L3: usize, const FRONT: usize>(
    cx: &Context<'_>,
    way: &Way<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let mut noted = Noted::new((0, 0));
    let examine = Examine::<P, L3, FRONT> {
        way,
        packets,
        metas,
        noted: &mut noted,
    };
    let plain = widest(examine);
    let found = widest(Find {
        way,
        ends: &noted.ends,
        plain,
    });
    let mut sent = 0;
    if let Some(usual) = way.addresses.usual() {
        let eams = way.turns.then(|| way.addresses.eams());
        let write = Write::<P, _, L3> {
            fresh: cx.fresh,
            way,
            packets,
            noted: &noted,
            found: &found,
            plain,
            results,
            make: (usual, eams),
        };
        sent = widest(write);
    }
    if plain & !sent != 0 {
        let write = Write::<P, _, L3> {
            fresh: cx.fresh,
            way,
            packets,
            noted: &noted,
            found: &found,
            plain: plain & !sent,
            results,
            make: (way.addresses, way.turns),
        };
        sent |= write.run();
    }
    all(packets.len()) & !sent
}

/// The first pass. Returns the bits of what is plain.
struct Examine<'a, P, const L3: usize, const FRONT: usize> {
    way: &'a Way<'a>,
    packets: &'a [P],
    metas: &'a [Meta],
    noted: &'a mut Noted<Halves>,
}

impl<P: Packet, const L3: usize, const FRONT: usize> Work for Examine<'_, P, L3, FRONT> {
    type Done = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        let len = self.packets.len().min(self.metas.len()).min(BURST);
        let (packets, metas) = (&self.packets[..len], &self.metas[..len]);
        let Noted { ends, firsts } = self.noted;
        let mut plain = 0;
        for i in 0..len {
            let one = examine::<P, L3, FRONT>(self.way, &packets[i], &metas[i]);
            if let Some((first, source, destination)) = one {
                firsts[i] = first;
                ends.sources[i] = source;
                ends.destinations[i] = destination;
                plain |= 1 << i;
            }
        }
        plain
    }
}

/// The second pass.
struct Find<'a> {
    way: &'a Way<'a>,
    ends: &'a Ends<Halves>,
    plain: u32,
}

impl<'a> Work for Find<'a> {
    type Done = Found<'a>;

    #[inline(always)]
    fn run(self) -> Found<'a> {
        let Find { way, ends, plain } = self;
        way.addresses.find_to_ipv4(ends, plain)
    }
}

/// The third pass: first what is usual, then what is not. Returns the bits of what was sent.
struct Write<'a, P, F, const L3: usize> {
    fresh: FreshIds,
    way: &'a Way<'a>,
    packets: &'a mut [P],
    noted: &'a Noted<Halves>,
    found: &'a Found<'a>,
    plain: u32,
    results: &'a mut Results,
    /// Makes the new addresses.
    make: F,
}

impl<P, F, const L3: usize> Work for Write<'_, P, F, L3>
where
    P: Packet,
    F: Make<Halves, Vaddr>,
{
    type Done = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        let (way, ends, found) = (self.way, &self.noted.ends, self.found);
        let mut sent = 0;
        for i in ones(self.plain) {
            let addresses = (ends.sources[i], ends.destinations[i]);
            let entries = (found.sources[i], found.destinations[i]);
            let ready = self.make.make(addresses, entries);
            let own = (self.noted.firsts[i], self.fresh.of(i));
            if let (Some(ready), Some(packet)) = (ready, self.packets.get_mut(i))
                && write::<P, L3>(packet, way, own, ready).is_some()
            {
                self.results.sent(i, way.hop.port);
                sent |= 1 << i;
            }
        }
        sent
    }
}

/// With the explicit mappings, if packets are turned around.
impl Make<Halves, Vaddr> for (&Usual, Option<&Eams>) {
    #[inline(always)]
    fn make(&self, ends: (Halves, Halves), entries: Entries<'_>) -> Option<Ready<Vaddr>> {
        self.0.ready4(ends, entries, self.1)
    }
}

/// With whether packets are turned around.
impl Make<Halves, Vaddr> for (&AddressMap, bool) {
    fn make(&self, ends: (Halves, Halves), entries: Entries<'_>) -> Option<Ready<Vaddr>> {
        self.0.any4(ends, entries, self.1)
    }
}

/// What is noted of a packet that passes through and is plain.
#[inline(always)]
fn examine<P: Packet, const L3: usize, const FRONT: usize>(
    way: &Way<'_>,
    packet: &P,
    meta: &Meta,
) -> Option<(First, Halves, Halves)> {
    let frame = packet.head().first_chunk::<FRONT>()?;
    let l4 = L3 + ipv6::HEADER_LEN;
    let first = First(be64(frame, L3));
    let protocol = first.protocol();
    let payload = usize::from(first.payload_len());
    let (source, destination) = (L3 + ipv6::field::SOURCE, L3 + ipv6::field::DESTINATION);
    let to: Saddr = chunk(frame, destination);
    let usual = way.gate.admits::<L3, FRONT>(frame, meta)
        && first.0 as u8 > 1
        && payload >= plain::least(protocol)
        && payload <= packet.total_len() - l4
        && payload <= way.room
        && !packet.is_shared()
        && has_usual_sum(frame, l4, protocol)
        && !way.own.contains(&to);
    let halves = |at| (be64(frame, at), be64(frame, at + 8));
    usual.then(|| (first, halves(source), halves(destination)))
}

/// Writes the new headers of a packet that is plain; nothing of one that has no
/// room has changed.
#[inline(always)]
fn write<P: Packet, const L3: usize>(
    packet: &mut P,
    way: &Way<'_>,
    (first, id): (First, u16),
    (source, destination, parts): Ready<Vaddr>,
) -> Option<()> {
    let front = way.hop.link_len() + ipv4::HEADER_LEN;
    let growth = front as isize - (L3 + ipv6::HEADER_LEN) as isize;
    let len = front + usize::from(first.payload_len());
    let frame = packet.reshape(growth, len).ok()?;
    let (net, transport) = way
        .hop
        .write_link(frame)?
        .split_first_chunk_mut::<{ ipv4::HEADER_LEN }>()?;
    plain::adjust(transport, first.protocol(), parts)?;
    let (ab, cd, e) = header(way, (first, id), source, destination);
    net[..8].copy_from_slice(&ab.to_be_bytes());
    net[8..16].copy_from_slice(&cd.to_be_bytes());
    net[16..].copy_from_slice(&e.to_be_bytes());
    Some(())
}

/// The IPv4 header: its first two words, its third and fourth, its fifth.
#[inline(always)]
fn header(
    way: &Way<'_>,
    (first, id): (First, u16),
    source: Vaddr,
    destination: Vaddr,
) -> (u64, u64, u32) {
    let total_len = u64::from(first.payload_len()) + ipv4::HEADER_LEN as u64;
    let whole = u64::from(total_len > DONT_FRAGMENT_ABOVE) << 14;
    let tos = first.0 >> 4 & way.keep;
    let ab = way.set | tos | total_len << 32 | u64::from(id) << 16 | whole;
    let hop_limit = (first.0 & 0xff).wrapping_sub(1);
    let protocol = u64::from(first.protocol());
    let cd = hop_limit << 56 | protocol << 48 | u64::from(source.0);
    let e = destination.0;
    let sum = !checksum::fold(plain::sum(ab, cd, e));
    (ab, cd | u64::from(sum) << 32, e)
}
