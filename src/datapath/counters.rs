//! What a worker counts. One block a worker, written by it alone and read by
//! control with relaxed loads; blocks are padded, so no two workers ever write
//! the same cache line.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Drop;
use super::cycles::Cycles;

/// A counter with a single writer: a load and a store, no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, n: u64) {
        // Relaxed: the worker is the only writer, and a reader may be a burst
        // behind.
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Traffic of a port, as one worker saw it. Aligned, since it lies in memory of
/// its own, where another worker's might be next to it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct PortCounters {
    pub rx_packets: Counter,
    pub rx_bytes: Counter,
    pub tx_packets: Counter,
    pub tx_bytes: Counter,
}

macro_rules! worker_counters {
    ($($(#[doc = $help:literal])+ $field:ident,)*) => {
        /// A worker's block.
        #[derive(Debug)]
        #[repr(align(128))]
        pub struct Counters {
            $($(#[doc = $help])+ pub $field: Counter,)*
            pub drops: [Counter; Drop::COUNT],
            pub ports: Vec<PortCounters>,
            pub cycles: Cycles,
        }

        impl Counters {
            pub fn new(ports: usize) -> Counters {
                Counters {
                    $($field: Counter::default(),)*
                    drops: std::array::from_fn(|_| Counter::default()),
                    ports: (0..ports).map(|_| PortCounters::default()).collect(),
                    cycles: Cycles::default(),
                }
            }

            /// Name, help and value of every counter that is not a drop or a port's.
            pub fn values(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((
                    stringify!($field),
                    concat!($($help,)+).trim_ascii(),
                    self.$field.get(),
                ),)*]
            }
        }
    };
}

worker_counters! {
    /// Packets received from ports.
    rx,
    /// Packets handed to ports.
    tx,
    /// Packets that went to the control thread.
    punted,
    /// Packets that wait for an answer now.
    held,
    /// Packets made here: further pieces of fragmented ones, further copies for groups.
    generated,
    /// Packets to members of groups and to everybody of a subnet, one for each receiver or host.
    replicated,
    /// Packets sent to groups of the substrate, each once for all hosts that listen.
    native_sent,
    /// Packets that came by groups of the substrate.
    native_received,
    /// Packets that came from the control thread to be sent.
    from_control,
    /// Packets handed to the worker that owns their port.
    handed_over,
    /// Packets taken over from other workers.
    taken_over,
    /// Packets whose IPv4 options were left out on the substrate.
    options_removed,
    /// Packets sent in pieces because they were larger than the path takes.
    fragmented,
    /// TCP packets that were left to be cut and were cut here.
    segmented,
    /// TCP packets that were left to be cut and that the sending device cuts.
    segments_left,
    /// Partial checksums that were completed here.
    checksums_completed,
    /// Partial checksums that the sending device completes.
    checksums_left,
    /// Dropped packets whose sender was to be told by ICMP.
    refused,
    /// Rounds of the worker's loop; stands still when the worker hangs.
    rounds,
    /// Rounds that found packets.
    busy_rounds,
    /// TSC cycles spent in rounds that found packets.
    busy_cycles,
    /// TSC cycles spent in rounds that found none.
    idle_cycles,
    /// Trace records that did not fit into the ring to control.
    trace_lost,
    /// Notices to control beyond the rate of their node, or without room in the ring.
    miss_lost,
}

impl Counters {
    #[inline]
    pub fn count(&self, why: Drop) {
        self.drops[why as usize].add(1);
    }

    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(Counter::get).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_share_cache_lines() {
        assert_eq!(align_of::<Counters>(), 128);
        assert_eq!(size_of::<Counters>() % 128, 0);
        assert_eq!(align_of::<PortCounters>(), 128);
    }

    #[test]
    fn values_carry_names_and_help() {
        let counters = Counters::new(1);
        counters.rx.add(2);
        counters.count(Drop::TooBig);
        let values = counters.values();
        assert_eq!(values[0].0, "rx");
        assert_eq!(values[0].2, 2);
        assert!(
            values
                .iter()
                .all(|(_, help, _)| help.ends_with('.') && !help.starts_with(' '))
        );
        assert_eq!(counters.dropped(), 1);
    }
}
