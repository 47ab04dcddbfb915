//! Plain packets of other hosts, to nodes of this one.

use crate::arch::{Work, widest};
use crate::mapping::{Found, Key};
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::{be64, chunk};
use crate::wire::{Mark, Vaddr, ethernet, ipv4, ipv6};

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
    let sort = Sort {
        own: &tables.own,
        door,
        packets,
        metas,
        scratch,
    };
    let (mut rest, n) = widest(sort);
    meter.passed(Stage::Classify, n);
    let ends = 2 * n;
    cx.mappings
        .reach_burst(cx.pin, &scratch.keys[..ends], &mut scratch.found[..ends]);
    meter.passed(Stage::Resolve, n);
    // Twice, so that who has no slots does not look for them.
    rest.add_all(match tables.own.slots {
        false => widest(Deliver::<_, false> {
            cx,
            packets,
            scratch,
            n,
            results,
        }),
        true => widest(Deliver::<_, true> {
            cx,
            packets,
            scratch,
            n,
            results,
        }),
    });
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
        let scratch = self.scratch;
        let len = self.packets.len().min(self.metas.len()).min(BURST);
        let (packets, metas) = (&self.packets[..len], &self.metas[..len]);
        let mut rest = Rest::default();
        let mut n = 0;
        for i in 0..len {
            match examine(self.own, self.door, &packets[i], &metas[i]) {
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
}

/// Authorize, resolve and rewrite; nothing of a packet that is not delivered
/// has changed. Returns what is not plain.
struct Deliver<'a, 'c, P, const SLOTS: bool> {
    cx: &'a Context<'c>,
    packets: &'a mut [P],
    scratch: &'a Scratch,
    n: usize,
    results: &'a mut Results,
}

impl<P: Packet, const SLOTS: bool> Work for Deliver<'_, '_, P, SLOTS> {
    type Done = Rest;

    #[inline(always)]
    fn run(self) -> Rest {
        let (cx, scratch) = (self.cx, self.scratch);
        let mut rest = Rest::default();
        for k in 0..self.n.min(BURST) {
            let i = usize::from(scratch.at[k]);
            let ends = (scratch.found[2 * k], scratch.found[2 * k + 1]);
            let key = scratch.keys[2 * k + 1];
            let sent = match self.packets.get_mut(i) {
                Some(packet) => deliver_one::<P, SLOTS>(cx, packet, ends, (key, i)),
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
fn deliver_one<P: Packet, const SLOTS: bool>(
    cx: &Context<'_>,
    packet: &mut P,
    (source, destination): (Found, Found),
    what: (Key, usize),
) -> Option<u16> {
    let tables = cx.topology.plain();
    let way = tables.ways.get(source.host_at(cx.seconds)?.index())?;
    let receiver = tables.receivers.get(destination.node()?.index())?;
    restore::<P, SLOTS>(cx, packet, (way, receiver), what)
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
/// that is not delivered has changed. `i` is its place in the burst.
#[inline(always)]
fn restore<P: Packet, const SLOTS: bool>(
    cx: &Context<'_>,
    packet: &mut P,
    (way, receiver): (&Way, &Receiver),
    (key, i): (Key, usize),
) -> Option<u16> {
    let own = &cx.topology.plain().own;
    let frame = packet.head().first_chunk::<IPV6_FRONT>()?;
    let (first, low) = (First(be64(frame, L3)), be64(frame, SOURCE + 8));
    let authentic = way.high == chunk(frame, SOURCE) && way.low == low & own.mask;
    let fits = receiver.key == key.number() && first.payload_len() <= receiver.room;
    // A slot that is not the receiver's does no harm, but is not plain.
    let its_slot = !SLOTS || frame[DESTINATION + 8] == receiver.mark.byte();
    if !(authentic && fits && its_slot) {
        return None;
    }
    let sender = Mark::from_byte(frame[SOURCE + 8]);
    if first.is_siit() {
        let slot = if SLOTS { plain::part(sender.sum()) } else { 0 };
        let parts = receiver.part + way.part + slot;
        let transport = packet.head_mut().get_mut(L4..)?;
        plain::restore(transport, first.protocol(), parts)?;
    }
    let len = L3 + ipv4::HEADER_LEN + usize::from(first.payload_len());
    let frame = packet.reshape(-(SHRINKING as isize), len).ok()?;
    let (link, rest) = frame.split_first_chunk_mut()?;
    let net = rest.first_chunk_mut::<{ ipv4::HEADER_LEN }>()?;
    *link = receiver.link(Vaddr(low as u32));
    let id = if first.df() { 0 } else { cx.fresh.of(i) };
    let (ab, cd, e) = first.restored(low as u32, key.vaddr(), id);
    net[..8].copy_from_slice(&ab.to_be_bytes());
    net[8..16].copy_from_slice(&cd.to_be_bytes());
    net[16..].copy_from_slice(&e.to_be_bytes());
    Some(receiver.port)
}
