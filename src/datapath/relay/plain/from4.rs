//! Plain packets from the IPv4 side.

use crate::arch::{Work, widest};
use crate::packet::{Meta, Packet};
use crate::siit::address_map::{AddressMap, Ends, Found, Ready, Usual};
use crate::siit::halves::Halves;
use crate::siit::plain::{self, First};
use crate::siit::rfc7757::ones;
use crate::siit::rfc7915::Hairpin;
use crate::wire::ethernet::ethertype;
use crate::wire::load::{be32, be64};
use crate::wire::{Vaddr, checksum, ipv4, ipv6, tcp};

use super::super::super::topology::Hop;
use super::super::super::{BURST, Context, Results, port_of};
use super::{BARE, Entries, Gate, Make, Noted, TAGGED, all, has_usual_sum, kept_and_set};

const DONT_FRAGMENT: u64 = 0x4000;
/// The bits of a packet that is a part: more to come, or not the first.
const FRAGMENT: u64 = 0x3fff;
/// As far as a packet is read, from its header on.
const READ: usize = ipv4::HEADER_LEN + tcp::HEADER_LEN;

/// What all packets of a burst share.
struct Way<'a> {
    gate: Gate,
    addresses: &'a AddressMap,
    /// The relay's own address, and the broadcast of its link.
    own: Vaddr,
    broadcast: Vaddr,
    /// Whether sources are looked for among explicit mappings.
    explicit_sources: bool,
    /// The largest payload of a packet that may be cut, and of one that may not.
    uncut: usize,
    room: usize,
    /// Of the TOS, what is kept and what is set, where the class is.
    keep: u64,
    set: u64,
    hop: &'a Hop,
}

impl<'a> Way<'a> {
    fn of(cx: &Context<'a>, metas: &[Meta]) -> Option<Way<'a>> {
        let (relay, port) = (cx.topology.relay()?, port_of(cx, metas)?);
        let (keep, set) = kept_and_set(relay.rules.traffic_class);
        let payload = |mtu: u16| usize::from(mtu).saturating_sub(ipv6::HEADER_LEN);
        Some(Way {
            gate: Gate::of(port, metas, ethertype::IPV4, (0x45, 0xff)),
            addresses: &relay.addresses,
            own: relay.own4,
            broadcast: relay.broadcast4,
            // RFC 7757 section 4.2.1: in simple mode what comes from the IPv4
            // side may have been turned around there.
            explicit_sources: relay.rules.hairpin != Hairpin::Simple,
            uncut: payload(relay.uncut6),
            room: payload(relay.rules.mtu6),
            keep: u64::from(keep) << 52,
            set: 6 << 60 | u64::from(set) << 52,
            hop: relay.hop6.as_ref()?,
        })
    }
}

/// Rewrites what is plain of a burst, and returns the bits of the others.
#[inline(always)]
pub(in super::super) fn to_ipv6<P: Packet>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let Some(way) = Way::of(cx, metas) else {
        return all(packets.len());
    };
    match way.gate.is_tagged() {
        false => burst::<P, BARE, { BARE + READ }>(&way, packets, metas, results),
        true => burst::<P, TAGGED, { TAGGED + READ }>(&way, packets, metas, results),
    }
}

#[inline(always)]
fn burst<P: Packet, const L3: usize, const FRONT: usize>(
    way: &Way<'_>,
    packets: &mut [P],
    metas: &[Meta],
    results: &mut Results,
) -> u32 {
    let mut noted = Noted::new(Vaddr(0));
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
        let write = Write::<P, _, L3> {
            way,
            packets,
            noted: &noted,
            found: &found,
            plain,
            results,
            make: usual,
        };
        sent = widest(write);
    }
    if plain & !sent != 0 {
        let write = Write::<P, _, L3> {
            way,
            packets,
            noted: &noted,
            found: &found,
            plain: plain & !sent,
            results,
            make: way.addresses,
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
    noted: &'a mut Noted<Vaddr>,
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
    ends: &'a Ends<Vaddr>,
    plain: u32,
}

impl<'a> Work for Find<'a> {
    type Done = Found<'a>;

    #[inline(always)]
    fn run(self) -> Found<'a> {
        let Find { way, ends, plain } = self;
        way.addresses
            .find_to_ipv6(ends, plain, way.explicit_sources)
    }
}

/// The third pass: first what is usual, then what is not. Returns the bits of what was sent.
struct Write<'a, P, F, const L3: usize> {
    way: &'a Way<'a>,
    packets: &'a mut [P],
    noted: &'a Noted<Vaddr>,
    found: &'a Found<'a>,
    plain: u32,
    results: &'a mut Results,
    /// Makes the new addresses.
    make: F,
}

impl<P, F, const L3: usize> Work for Write<'_, P, F, L3>
where
    P: Packet,
    F: Make<Vaddr, Halves>,
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
            if let (Some(ready), Some(packet)) = (ready, self.packets.get_mut(i))
                && write::<P, L3>(packet, way.hop, self.noted.firsts[i], ready).is_some()
            {
                self.results.sent(i, way.hop.port);
                sent |= 1 << i;
            }
        }
        sent
    }
}

impl Make<Vaddr, Halves> for &Usual {
    #[inline(always)]
    fn make(&self, ends: (Vaddr, Vaddr), entries: Entries<'_>) -> Option<Ready<Halves>> {
        self.ready6(ends, entries)
    }
}

impl Make<Vaddr, Halves> for &AddressMap {
    fn make(&self, ends: (Vaddr, Vaddr), entries: Entries<'_>) -> Option<Ready<Halves>> {
        self.any6(ends, entries)
    }
}

/// What is noted of a packet that passes through and is plain.
#[inline(always)]
fn examine<P: Packet, const L3: usize, const FRONT: usize>(
    way: &Way<'_>,
    packet: &P,
    meta: &Meta,
) -> Option<(First, Vaddr, Vaddr)> {
    let frame = packet.head().first_chunk::<FRONT>()?;
    let l4 = L3 + ipv4::HEADER_LEN;
    let (ab, cd) = (be64(frame, L3), be64(frame, L3 + 8));
    let to = Vaddr(be32(frame, L3 + ipv4::field::DESTINATION));
    let protocol = (cd >> 48) as u8;
    let payload = usize::from((ab >> 32) as u16).wrapping_sub(ipv4::HEADER_LEN);
    let room = match ab & DONT_FRAGMENT {
        0 => way.uncut,
        _ => way.room,
    };
    let usual = way.gate.admits::<L3, FRONT>(frame, meta)
        && ab & FRAGMENT == 0
        && cd >> 56 > 1
        && payload >= plain::least(protocol)
        && payload <= packet.total_len() - l4
        && payload <= room
        && to != way.own
        && to != way.broadcast
        && !packet.is_shared()
        && checksum::fold(plain::sum(ab, cd, to.0)) == 0xffff
        && has_usual_sum(frame, l4, protocol);
    let first = way.set
        | ab << 4 & way.keep
        | (payload as u64) << 16
        | u64::from(protocol) << 8
        | (cd >> 56).wrapping_sub(1);
    usual.then_some((First(first), Vaddr(cd as u32), to))
}

/// Writes the new headers of a packet that is plain; nothing of one that has no
/// room has changed.
#[inline(always)]
fn write<P: Packet, const L3: usize>(
    packet: &mut P,
    hop: &Hop,
    first: First,
    (source, destination, parts): Ready<Halves>,
) -> Option<()> {
    let front = hop.link_len() + ipv6::HEADER_LEN;
    let growth = front as isize - (L3 + ipv4::HEADER_LEN) as isize;
    let len = front + usize::from(first.payload_len());
    let frame = packet.reshape(growth, len).ok()?;
    let (net, transport) = hop
        .write_link(frame)?
        .split_first_chunk_mut::<{ ipv6::HEADER_LEN }>()?;
    plain::adjust(transport, first.protocol(), parts)?;
    let words = [first.0, source.0, source.1, destination.0, destination.1];
    for (eight, word) in net.as_chunks_mut().0.iter_mut().zip(words) {
        *eight = word.to_be_bytes();
    }
    Some(())
}
