//! Over which of its queues a guest is given a packet.
//!
//! A guest with several processors reads each queue on one of them, so one that
//! gets everything by its first queue works on one processor. What goes to it is
//! spread by flow: a flow keeps to its queue, and so to its order, as long as the
//! guest uses the same queues. It may use fewer than it was offered, and nothing
//! given to the others would arrive; it always uses the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::{ethernet, flow, ipv4};

/// Queues of one guest at most.
pub const MOST: usize = 64;

/// The queues that a guest uses, a bit for each. Control writes, the worker that
/// sends reads: a number by itself, which is in step with nothing else.
#[derive(Clone, Debug)]
pub struct Queues(Arc<AtomicU64>);

impl Default for Queues {
    fn default() -> Queues {
        Queues(Arc::new(AtomicU64::new(FIRST)))
    }
}

const FIRST: u64 = 1;

impl Queues {
    #[inline]
    pub fn used(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// What the device says of queues that have been switched on or off since it
    /// was last asked. A guest that comes anew switches its first queue on, and
    /// of what was before nothing is said.
    pub fn follow(&self, events: impl Iterator<Item = (u16, bool)> + Clone) {
        let anew = events.clone().any(|(queue, on)| queue == 0 && on);
        let before = if anew { FIRST } else { self.used() };
        let after = events.fold(before, |used, (queue, on)| {
            let bit = 1u64.checked_shl(queue.into()).unwrap_or(0);
            if on { used | bit } else { used & !bit }
        });
        self.0.store(after | FIRST, Ordering::Relaxed);
    }
}

/// The queue of a frame, of those that are used.
#[inline]
pub fn queue_of(frame: &[u8], used: u64) -> usize {
    let place = (u64::from(flow_of(frame)) * u64::from(used.count_ones())) >> 32;
    let mut rest = used;
    for _ in 0..place {
        rest &= rest.wrapping_sub(1);
    }
    rest.trailing_zeros() as usize % MOST
}

/// Frames of no flow have one in common: ARP keeps its order too.
fn flow_of(frame: &[u8]) -> u32 {
    let Some(link) = ethernet::Header::parse(frame) else {
        return 0;
    };
    let packet = frame.get(link.len..).unwrap_or(&[]);
    if link.ethertype != ethernet::ethertype::IPV4 {
        return 0;
    }
    let Some(header) = ipv4::Header::parse_unchecked(packet) else {
        return 0;
    };
    let payload = packet.get(usize::from(header.header_len)..);
    flow::hash(&header, payload.unwrap_or(&[]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A datagram of UDP, or a part of one.
    fn frame(port: u16, fragment: u16) -> Vec<u8> {
        let mut frame = vec![0; 14 + 20 + 8];
        frame[12..14].copy_from_slice(&[0x08, 0]);
        frame[14] = 0x45;
        frame[17] = 28;
        frame[20..22].copy_from_slice(&fragment.to_be_bytes());
        frame[22..24].copy_from_slice(&[64, 17]);
        frame[26..34].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 3]);
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        frame
    }

    #[test]
    fn flows_are_spread_evenly_over_what_is_used() {
        for used in [0b1u64, 0b11, 0b101, 0b1111, 1 | 1 << 63, u64::MAX] {
            let mut counts = [0u32; MOST];
            for port in 0..=u16::MAX {
                counts[queue_of(&frame(port, 0), used)] += 1;
            }
            let share = 65536 / used.count_ones();
            for (queue, count) in counts.iter().enumerate() {
                match used >> queue & 1 {
                    0 => assert_eq!(*count, 0, "{used:#x} {queue}"),
                    _ => assert!(count.abs_diff(share) < share / 4 + 1, "{used:#x} {count}"),
                }
            }
        }
    }

    #[test]
    fn a_datagrams_fragments_keep_together() {
        let of = |port, fragment| queue_of(&frame(port, fragment), u64::MAX);
        for port in 0..100 {
            assert_eq!(of(port, 0x2000), of(0, 3));
        }
    }

    #[test]
    fn what_is_no_flow_goes_by_one_queue() {
        let mut arp = frame(1, 0);
        arp[13] = 6;
        assert_eq!(queue_of(&arp, u64::MAX), 0);
        assert_eq!(queue_of(&arp[..3], 0b1100), 2);
        assert_eq!(queue_of(&[], 0), 0);
    }

    #[test]
    fn guests_switch_queues_on_and_off() {
        let queues = Queues::default();
        let told = |events: &[(u16, bool)]| {
            queues.follow(events.iter().copied());
            queues.used()
        };
        assert_eq!(told(&[]), 0b1);
        assert_eq!(told(&[(0, true), (1, true)]), 0b11);
        assert_eq!(told(&[(1, false)]), 0b1);
        assert_eq!(told(&[(3, true), (1, true)]), 0b1011);
        // Another guest, of one queue; the order is any.
        assert_eq!(told(&[(0, true)]), 0b1);
        assert_eq!(told(&[(2, true), (0, true)]), 0b101);
        assert_eq!(told(&[(0, false), (64, true), (200, true)]), 0b101);
    }

    proptest! {
        #[test]
        fn any_bytes_go_somewhere(frame in prop::collection::vec(any::<u8>(), 0..80), used: u64) {
            let queue = queue_of(&frame, used | 1);
            prop_assert!((used | 1) >> queue & 1 == 1);
            prop_assert_eq!(queue, queue_of(&frame, used | 1));
        }
    }
}
