//! Cutting a TCP packet that its sender left to be cut, as the device would
//! have: each segment with all headers, the next sequence number, of IPv4 the
//! next ID; FIN and PSH on the last one only, CWR on the first (RFC 3168
//! section 6.1.2). Checksums are left partial: whether the device that sends
//! the segment completes them shows behind the walk.

use std::num::NonZeroU16;

use crate::packet::{Packet, Transport};
use crate::port::Pool;
use crate::wire::{checksum, ipv4, ipv6, tcp};

use super::super::Drop;
use super::place::Place;

/// The most segments of one packet. A sender that keeps TCP's least segment
/// size of 64 bytes makes no more of the largest packet.
const MOST: usize = 1024;

/// The largest header: link with a tag, IPv6, TCP with all its options.
const HEADERS: usize = 18 + 60 + 60;

/// Where fields lie that nothing else looks at: of an IPv4 header its length
/// and ID, of a TCP header the sequence number.
const TOTAL_LENGTH: usize = 2;
const ID: usize = 4;
const SEQUENCE: usize = 4;
/// Congestion window reduced.
const CWR: u8 = 0x80;

/// A packet being cut.
#[derive(Debug)]
pub(super) struct Segmenting {
    place: Place,
    headers: [u8; HEADERS],
    headers_len: usize,
    size: NonZeroU16,
    /// Bytes of data in all, and those in segments already made.
    data: usize,
    done: usize,
}

/// Why no segment was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmade {
    NoBuffer,
    /// Larger than a buffer, so larger than any port takes.
    TooLarge,
}

impl Segmenting {
    pub(super) fn new<P: Packet>(packet: &P, size: NonZeroU16) -> Result<Segmenting, Drop> {
        let head = packet.head();
        let place = Place::of_frame(head, packet.total_len()).ok_or(Drop::BadSegmentation)?;
        if place.transport == Transport::Udp {
            return Err(Drop::UdpSegmentation);
        }
        let header = head.get(place.l4..).and_then(tcp::Header::parse);
        let header_len = usize::from(header.ok_or(Drop::BadSegmentation)?.header_len);
        let headers_len = place.l4 + header_len;
        let data = place.len.checked_sub(header_len);
        let data = data.ok_or(Drop::BadSegmentation)?;
        if data.div_ceil(usize::from(size.get())) > MOST {
            return Err(Drop::BadSegmentation);
        }
        let from = head.get(..headers_len).ok_or(Drop::HeadersSplit)?;
        let mut headers = [0; HEADERS];
        let copy = headers.get_mut(..headers_len);
        copy.ok_or(Drop::BadSegmentation)?.copy_from_slice(from);
        Ok(Segmenting {
            place,
            headers,
            headers_len,
            size,
            data,
            done: 0,
        })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Link, network and TCP header as the sender wrote them.
    pub(super) fn headers(&self) -> &[u8] {
        self.headers.get(..self.headers_len).unwrap_or(&[])
    }

    /// Bytes of the TCP header.
    pub(super) fn tcp_header_len(&self) -> usize {
        self.headers_len - self.place.l4
    }

    /// How many segments it makes.
    pub(super) fn count(&self) -> usize {
        self.data.div_ceil(self.step())
    }

    /// Bytes of data of every segment but the last.
    pub(super) fn size(&self) -> NonZeroU16 {
        self.size
    }

    fn step(&self) -> usize {
        usize::from(self.size.get())
    }

    /// The next segment, or `None` when all are made.
    pub(super) fn next<P: Packet, Po: Pool<Packet = P>>(
        &mut self,
        packet: &P,
        pool: &mut Po,
    ) -> Option<Result<P, Unmade>> {
        let len = self.step().min(self.data - self.done);
        if len == 0 {
            return None;
        }
        let made = self.make(packet, len, pool);
        if made.is_ok() {
            self.done += len;
        }
        Some(made)
    }

    fn make<P: Packet, Po: Pool<Packet = P>>(
        &self,
        packet: &P,
        len: usize,
        pool: &mut Po,
    ) -> Result<P, Unmade> {
        let mut segment = pool.alloc().ok_or(Unmade::NoBuffer)?;
        let append = |segment: &mut P, bytes: &[u8]| segment.append(bytes);
        append(&mut segment, self.headers()).map_err(|_| Unmade::TooLarge)?;
        let mut appended = Ok(());
        packet.visit(self.headers_len + self.done, len, |bytes| {
            appended = appended.and_then(|()| append(&mut segment, bytes));
        });
        appended.map_err(|_| Unmade::TooLarge)?;
        self.write(segment.head_mut(), len);
        Ok(segment)
    }

    /// What differs from the sender's headers.
    fn write(&self, head: &mut [u8], len: usize) {
        let number = self.done / self.step();
        let tcp_len = self.tcp_header_len() + len;
        if let Some((at, told)) = length(&self.place, tcp_len) {
            self.exchange(head, at, told);
        }
        if !self.place.ipv6 {
            let at = self.place.l3 + ID;
            let id = word(head, at).wrapping_add(number as u16);
            self.exchange(head, at, id);
        }
        let sequence = self.place.l4 + SEQUENCE;
        let first = u32::from(word(head, sequence)) << 16 | u32::from(word(head, sequence + 2));
        let here = first.wrapping_add(self.done as u32);
        set_word(head, sequence, (here >> 16) as u16);
        set_word(head, sequence + 2, here as u16);
        if let Some(flags) = head.get_mut(self.place.l4 + tcp::field::FLAGS) {
            if self.done + len < self.data {
                *flags &= !(tcp::flag::FIN | tcp::flag::PSH);
            }
            if number > 0 {
                *flags &= !CWR;
            }
        }
        let sum = self.place.pseudo_header(tcp_len);
        self.place.set_checksum(head, sum);
    }

    /// Exchanges a word of the network header. A header checksum that was wrong
    /// stays so, and is dropped for it.
    fn exchange(&self, head: &mut [u8], at: usize, value: u16) {
        if !self.place.ipv6 {
            let sum = self.place.l3 + ipv4::field::CHECKSUM;
            let delta = checksum::delta(word(head, at).into(), value.into());
            set_word(head, sum, checksum::adjust(word(head, sum), delta));
        }
        set_word(head, at, value);
    }
}

/// The word in which a network header tells its length, with so many bytes from
/// the transport header on: where it is, and what it tells. `None` if they are
/// too many.
pub(super) fn length(place: &Place, transport_len: usize) -> Option<(usize, u16)> {
    let (at, before) = match place.ipv6 {
        true => (ipv6::field::PAYLOAD_LEN, ipv6::HEADER_LEN),
        false => (TOTAL_LENGTH, 0),
    };
    let told = (place.l4 - place.l3).checked_sub(before)? + transport_len;
    Some((place.l3 + at, u16::try_from(told).ok()?))
}

fn word(head: &[u8], at: usize) -> u16 {
    let bytes = head.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

pub(super) fn set_word(head: &mut [u8], at: usize, value: u16) {
    if let Some(bytes) = head.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *bytes = value.to_be_bytes();
    }
}
