//! The least a walk does around its lookup: takes the address out of the
//! frame, asks for the whole burst, puts 40 bytes of IPv6 header and the link
//! header in front, adjusts the checksum of UDP.
//!
//! Frames come from a template into warm buffers, as from a card whose rings
//! are in the cache. So what differs from table to table is the lookup, in the
//! company it has in a walk: other loads under way, a host table beside it.

use std::hint::black_box;

use weft::mapping::Key;
use weft::wire::checksum;

use crate::candidate::{BURST, Far, Reader};
use crate::plan::Asked;

pub(crate) const HOSTS: u32 = 256;
const BUFFERS: usize = 1024;
const ROOM: usize = 256;
/// Of the Ethernet header in a buffer.
const START: usize = 128;
const IPV4: usize = START + 14;
const DESTINATION: usize = IPV4 + 16;
const UDP: usize = IPV4 + 20;
const IPV6: usize = UDP - 40;

#[derive(Clone, Copy)]
struct Host {
    locator: u128,
    part: u16,
    mac: u64,
}

pub(crate) struct Floor {
    hosts: Vec<Host>,
    buffers: Vec<[u8; ROOM]>,
    next: usize,
    frame: [u8; 60],
    header: [u8; 24],
    pub(crate) missed: u64,
}

impl Floor {
    pub(crate) fn new() -> Self {
        let locator = |n: u32| 0x2001_0db8_0000_000b_0200 << 48 | u128::from(n) << 64;
        let host = |n| Host {
            locator: locator(n),
            part: checksum::fold(sum_of(locator(n))),
            mac: 0x0200_0000_0000 | u64::from(n),
        };
        let mut frame = [0; 60];
        frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        frame[23] = 17;
        let mut header = [0; 24];
        header[0] = 0x60;
        header[6..8].copy_from_slice(&[17, 64]);
        Self {
            hosts: (0..HOSTS).map(host).collect(),
            buffers: vec![[0; ROOM]; BUFFERS],
            next: 0,
            frame,
            header,
            missed: 0,
        }
    }

    /// Where frames for `key` behind a host go.
    #[inline]
    pub(crate) fn host(&self, host: u32, key: Key) -> Far {
        let host = &self.hosts[host as usize % HOSTS as usize];
        let node = u128::from(key.vni()) << 32 | u128::from(key.vaddr());
        Far {
            address: host.locator | node,
            delta: host.part,
            mac: host.mac,
        }
    }

    #[inline]
    pub(crate) fn burst<R: Reader + ?Sized>(&mut self, reader: &mut R, asked: Asked<'_>) {
        let first = self.next;
        self.next = (first + BURST) % BUFFERS;
        let buffers = first..first + BURST;
        for (buffer, key) in self.buffers[buffers.clone()].iter_mut().zip(asked.keys) {
            buffer[START..START + 60].copy_from_slice(&self.frame);
            buffer[DESTINATION..][..4].copy_from_slice(&key.vaddr().to_be_bytes());
        }
        let mut keys = [Key::new(0, 0); BURST];
        let arrived = self.buffers[buffers.clone()].iter().zip(asked.keys);
        for (key, (buffer, known)) in keys.iter_mut().zip(arrived) {
            // The vnet is its port's, the address the frame's.
            let word = buffer[DESTINATION..].first_chunk().copied();
            *key = Key::new(known.vni(), u32::from_be_bytes(word.unwrap_or_default()));
        }
        let mut out = [R::NOTHING; BURST];
        let numbers = asked.numbers;
        reader.burst(
            Asked {
                keys: black_box(&keys),
                numbers,
            },
            &mut out,
        );
        for ((i, key), answer) in buffers.zip(keys).zip(&out) {
            match R::far(self, key, answer) {
                Some(far) => self.rewrite(i, far),
                None => self.missed += 1,
            }
        }
    }

    #[inline]
    fn rewrite(&mut self, i: usize, far: Far) {
        let buffer = &mut self.buffers[i];
        buffer[IPV6 - 14..][..8].copy_from_slice(&(far.mac << 16).to_be_bytes());
        buffer[IPV6 - 2..IPV6].copy_from_slice(&[0x86, 0xdd]);
        buffer[IPV6..][..24].copy_from_slice(&self.header);
        buffer[IPV6 + 24..][..16].copy_from_slice(&far.address.to_be_bytes());
        let field = u16::from_be_bytes([buffer[UDP + 6], buffer[UDP + 7]]);
        let sum = checksum::adjust(field, far.delta);
        buffer[UDP + 6..][..2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The sum of an address's sixteen-bit words.
fn sum_of(address: u128) -> u64 {
    checksum::sum(&address.to_be_bytes())
}
