//! The first look at a burst of an uplink, and the headers that nodes get: in
//! columns, as [`fronts`](super::fronts) has those of nodes.

use crate::mapping::Key;
use crate::packet::{Meta, Packet};
use crate::siit::plain::{self, First};
use crate::wire::load::le64;
use crate::wire::{ethernet, ipv4, ipv6, protocol, tcp, udp};

use super::super::BURST;
use super::IPV4_FRONT;
use super::tables::{Door, Own};

/// Where the IPv6 header begins, and what follows it.
const L3: usize = ethernet::HEADER_LEN;
const L4: usize = L3 + ipv6::HEADER_LEN;
/// Its addresses.
const SOURCE: usize = L3 + ipv6::field::SOURCE;
const DESTINATION: usize = L3 + ipv6::field::DESTINATION;
/// As far as a packet is read.
const IPV6_FRONT: usize = IPV4_FRONT + ipv6::HEADER_LEN - ipv4::HEADER_LEN;

/// The sign: of what is less than nothing.
const BELOW: u64 = 1 << 63;

/// Words of frames, and what is found about them. Columns have the places of
/// the burst.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Arrivals {
    /// Bytes 0 to 7 and 8 to 15, lowest byte first, as all that was only read.
    link: [[u64; BURST]; 2],
    first: [u64; BURST],
    source: [[u64; BURST]; 2],
    destination: [[u64; BURST]; 2],
    /// Bytes behind the IPv6 header; less than any packet has if it is not to
    /// be looked at.
    rooms: [u64; BURST],
    /// The IPv4 header's words, as they are to lie in the packet.
    headers: [[u64; BURST]; 3],
}

impl Default for Arrivals {
    fn default() -> Arrivals {
        let column = [0; BURST];
        Arrivals {
            link: [column; 2],
            first: column,
            source: [column; 2],
            destination: [column; 2],
            rooms: column,
            headers: [column; 3],
        }
    }
}

/// What is found of packets that are plain.
pub(super) struct Columns<'a> {
    pub sources: &'a mut [Key; BURST],
    pub destinations: &'a mut [Key; BURST],
    pub firsts: &'a mut [First; BURST],
    /// Not zero of what is not plain.
    pub faults: &'a mut [u64; BURST],
}

impl Arrivals {
    /// Lays out the fronts of packets.
    #[inline(always)]
    pub(super) fn read<P: Packet>(
        &mut self,
        packets: &[P],
        metas: &[Meta],
        sums: &mut [u64; BURST],
    ) {
        for i in 0..packets.len().min(metas.len()).min(BURST) {
            let head = packets[i].head();
            let frame = match head.first_chunk::<IPV6_FRONT>() {
                Some(frame) if packets[i].is_simple() && metas[i].is_plain() => frame,
                _ => {
                    self.rooms[i] = 0;
                    continue;
                }
            };
            self.link[0][i] = le64(frame, 0);
            self.link[1][i] = le64(frame, 8);
            self.first[i] = le64(frame, L3);
            self.source[0][i] = le64(frame, SOURCE);
            self.source[1][i] = le64(frame, SOURCE + 8);
            self.destination[0][i] = le64(frame, DESTINATION);
            self.destination[1][i] = le64(frame, DESTINATION + 8);
            self.rooms[i] = (head.len() - L4) as u64;
            let sum = L4 + plain::checksum_at(frame[L3 + ipv6::field::NEXT_HEADER]);
            match head.get(sum..).and_then(|field| field.first_chunk()) {
                Some(sum) => sums[i] = u64::from(u16::from_ne_bytes(*sum)),
                None => self.rooms[i] = 0,
            }
        }
    }

    /// Whether the first `n` packets may be from hosts, and for nodes of this
    /// one. Returns zero if all may.
    #[inline(always)]
    pub(super) fn judge(&mut self, own: &Own, door: &Door, n: usize, out: Columns<'_>) -> u64 {
        // By value: what the loop stores cannot change them.
        let Own {
            high,
            low,
            key,
            mask,
            ..
        } = *own;
        let high = u64::from_le_bytes(high);
        let (bytes, known) = door.form.words();
        let mut any = 0;
        for i in 0..n.min(BURST) {
            let first = First(self.first[i].swap_bytes());
            let source = self.source[1][i].swap_bytes();
            let destination = self.destination[1][i].swap_bytes();
            let (from, to) = (source & key, destination & key);
            let link = [self.link[0][i] & known[0], self.link[1][i] & known[1]];
            let form = link[0] ^ bytes[0] | link[1] ^ bytes[1];
            let ours = self.destination[0][i] ^ high | destination & mask ^ low;
            // Of one vnet, which is one.
            let vnet = (from ^ to) >> 32 | if to >> 32 == 0 { 1 } else { 0 };
            let label = if first.is_from_host() { 0 } else { 1 };
            let fault = form | ours | vnet | label | lengths(first, self.rooms[i]);
            out.firsts[i] = first;
            out.sources[i] = Key::from_number(from);
            out.destinations[i] = Key::from_number(to);
            self.source[1][i] = source;
            out.faults[i] = fault;
            any |= fault;
        }
        any
    }

    /// Makes the IPv4 headers of the first `n` packets; `ids` are for those
    /// that may be fragmented.
    #[inline(always)]
    pub(super) fn compose(
        &mut self,
        n: usize,
        ids: &[u64; BURST],
        firsts: &[First; BURST],
        destinations: &[Key; BURST],
    ) {
        for i in 0..n.min(BURST) {
            let first = firsts[i];
            let id = if first.df() { 0 } else { ids[i] };
            let destination = destinations[i].number() & 0xffff_ffff;
            let [ab, cd, e] = first.restored(self.source[1][i], destination, id);
            self.headers[0][i] = ab.swap_bytes();
            self.headers[1][i] = cd.swap_bytes();
            self.headers[2][i] = e.swap_bytes() >> 32;
        }
    }

    /// Puts what was kept of packet `i` in the place of `k`, which is before it.
    pub(super) fn move_up(&mut self, i: usize, k: usize) {
        let [high, low] = &mut self.source;
        for column in [high, low, &mut self.destination[1]] {
            column[k % BURST] = column[i % BURST];
        }
    }

    /// The first half of the source of packet `i`, lowest byte first, and the
    /// second as a number.
    #[inline(always)]
    pub(super) fn source(&self, i: usize) -> (u64, u64) {
        let [high, low] = &self.source;
        (high[i % BURST], low[i % BURST])
    }

    /// The bytes of the marks of packet `i`: of where it is from, and for whom
    /// it is.
    #[inline(always)]
    pub(super) fn marks(&self, i: usize) -> (u64, u64) {
        let [_, low] = &self.source;
        (low[i % BURST] >> 56, self.destination[1][i % BURST] & 0xff)
    }

    /// The IPv4 header of packet `i`.
    #[inline(always)]
    pub(super) fn write(&self, i: usize, net: &mut [u8; ipv4::HEADER_LEN]) {
        let [ab, cd, e] = &self.headers;
        net[..8].copy_from_slice(&ab[i % BURST].to_le_bytes());
        net[8..16].copy_from_slice(&cd[i % BURST].to_le_bytes());
        net[16..].copy_from_slice(&(e[i % BURST] as u32).to_le_bytes());
    }
}

/// Zero of TCP or UDP with a header of that, and as long as it says or longer.
#[inline(always)]
fn lengths(first: First, room: u64) -> u64 {
    let payload = u64::from(first.payload_len());
    let udp = if first.is(protocol::UDP) {
        udp::HEADER_LEN as u64
    } else {
        u32::MAX.into()
    };
    let least = if first.is(protocol::TCP) {
        tcp::HEADER_LEN as u64
    } else {
        udp
    };
    (payload.wrapping_sub(least) | room.wrapping_sub(payload)) & BELOW
}
