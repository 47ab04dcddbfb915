//! The plain path: the walks once more, for what nearly all packets are.
//!
//! A packet is *plain* if it is TCP or UDP, whole and without options, in one
//! segment without a tag, between two addresses that stand in the tables by
//! themselves, and if nothing is wrong with it. The walks in
//! [`datapath`](super) decide over one packet after the other and have a name
//! for everything that can be; here a burst goes through each stage together,
//! in words that were made ready when the snapshot was compiled, and the only
//! verdict besides "sent" is "not plain": such a packet has not been touched,
//! and goes through the walk.
//!
//! Each stage is a loop over the burst that does little and has all it needs in
//! registers: one loop over everything spends half its time on the stack.
//! What is asked of all packets alike is asked in columns, of several at once
//! (`fronts.rs`, `arrivals.rs`); what is left to be done packet by packet is to
//! copy words out of frames, to look addresses up and to write headers.
//!
//! So the plain path decides nothing by itself. What it sends, the walk sends
//! by the same port with the same bytes: `tests/walk/plain.rs` holds it to
//! that. It exists for what it saves: no verdicts in memory, no case that
//! does not occur, every word of a header read once and written once. Who
//! watches packets sees them in the walk, so nothing here knows of tracing.

mod arrivals;
mod fronts;
mod inbound;
mod outbound;
mod route;
mod spans;
mod tables;

pub use inbound::inbound;
pub use outbound::outbound;
pub use tables::Tables;

use super::BURST;
use super::segments::NONE;
use super::trace::Stage;
use crate::mapping::{Key, NodeIndex, Reached};
use crate::siit::plain::First;
use crate::wire::{ethernet, ipv4, udp};
use arrivals::Arrivals;
use fronts::Fronts;

/// Which packets of a burst are not plain, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rest(u32);

const _: () = assert!(BURST <= 32, "a bit for every packet");

impl Rest {
    /// All of the first `n` packets.
    pub fn all(n: usize) -> Rest {
        Rest(u32::MAX.checked_shr(32 - n as u32).unwrap_or(0))
    }

    #[inline(always)]
    fn add(&mut self, i: usize) {
        self.0 |= 1 << (i % BURST);
    }

    #[inline(always)]
    fn add_all(&mut self, rest: Rest) {
        self.0 |= rest.0;
    }

    #[inline(always)]
    pub fn has(self, i: usize) -> bool {
        self.0 >> (i % BURST) & 1 != 0
    }

    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// What stage leaves to stage, packet by packet side by side. It is kept from
/// burst to burst only because to clear it would take time: nothing is read
/// that was not written for the same burst.
#[derive(Debug)]
pub struct Scratch {
    /// Where packets go, and where those of the substrate are from.
    keys: [Key; BURST],
    found: [Reached; BURST],
    sources: [Key; BURST],
    origins: [Reached; BURST],
    /// What the IPv6 headers of packets begin with.
    firsts: [First; BURST],
    senders: [NodeIndex; BURST],
    /// What tells their paths, and [`ROUTED`].
    flows: [u64; BURST],
    /// Of those that are [`ROUTED`], by which interface their first router got
    /// them, and by which it passes them on, or [`FURTHER`].
    entries: [u32; BURST],
    outs: [u32; BURST],
    fronts: Fronts,
    arrivals: Arrivals,
    /// Not zero of what is not plain.
    faults: [u64; BURST],
    /// The checksums of their transport headers, as they lie there.
    sums: [u64; BURST],
    /// What is to be known of the ends that were found.
    ends: Ends,
    /// Numbers of hosts they go to, or are from.
    hosts: [u64; BURST],
    /// Their places in the burst.
    at: [u8; BURST],
    /// Of those for a node of this host, which they are, and for which node.
    local: [u8; BURST],
    nodes: [NodeIndex; BURST],
}

/// Of hosts and nodes, gathered for each packet, so that all packets are held
/// against them at once.
#[derive(Debug)]
#[repr(align(64))]
struct Ends {
    /// The largest payload, and what is added to a checksum.
    rooms_and_parts: [u64; BURST],
    /// Where packets may be from, and for whom they are; of packets to other
    /// hosts `low` is what is behind a host's address.
    high: [u64; BURST],
    low: [u64; BURST],
    keys: [u64; BURST],
}

impl Default for Ends {
    fn default() -> Ends {
        Ends {
            rooms_and_parts: [0; BURST],
            high: [0; BURST],
            low: [0; BURST],
            keys: [0; BURST],
        }
    }
}

/// The numbers of hosts in answers. Returns whether there are any.
#[inline(always)]
fn hosts(found: &[Reached; BURST], now: u32, n: usize, hosts: &mut [u64; BURST]) -> bool {
    let mut some = 0;
    for k in 0..n.min(BURST) {
        hosts[k] = found[k].host_at(now);
        some |= !hosts[k];
    }
    some != 0
}

/// What is at a number of a column in a table.
#[inline(always)]
fn at<T>(table: &[T], number: u64) -> Option<&T> {
    table.get(usize::try_from(number).ok()?)
}

impl Scratch {
    /// Brings what was found of the plain ones of `len` packets together.
    /// Returns which are not, and how many are.
    #[inline(never)]
    fn close_ranks(&mut self, len: usize) -> (Rest, usize) {
        let mut rest = Rest::default();
        let mut n = 0;
        for i in 0..len.min(BURST) {
            if self.faults[i] != 0 {
                rest.add(i);
                continue;
            }
            let k = n % BURST;
            self.keys[k] = self.keys[i];
            self.sources[k] = self.sources[i];
            self.firsts[k] = self.firsts[i];
            self.flows[k] = self.flows[i];
            self.senders[k] = self.senders[i];
            self.sums[k] = self.sums[i];
            self.arrivals.move_up(i, k);
            self.at[k] = i as u8;
            n += 1;
        }
        (rest, n)
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            keys: [Key::new(0, 0); BURST],
            found: [Reached::NOTHING; BURST],
            sources: [Key::new(0, 0); BURST],
            origins: [Reached::NOTHING; BURST],
            firsts: [First(0); BURST],
            senders: [NodeIndex::MAX; BURST],
            flows: [0; BURST],
            entries: [NONE; BURST],
            outs: [FURTHER; BURST],
            fronts: Fronts::default(),
            arrivals: Arrivals::default(),
            faults: [0; BURST],
            sums: [0; BURST],
            ends: Ends::default(),
            hosts: [0; BURST],
            at: [0; BURST],
            local: [0; BURST],
            nodes: [NodeIndex::MAX; BURST],
        }
    }
}

/// Set beside the flow, of 32 bits, of a packet that was given to its gateway.
const ROUTED: u64 = 1 << 63;

/// The places of a burst all of whose packets are plain.
const IN_PLACE: [u8; BURST] = {
    let mut at = [0; BURST];
    let mut i = 0;
    while i < BURST {
        at[i] = i as u8;
        i += 1;
    }
    at
};

/// Stands for the interface of a router behind which there is another one.
const FURTHER: u32 = u32::MAX;

/// Is told when a burst has passed a stage, with the number of packets that
/// came so far.
pub trait Meter {
    fn passed(&mut self, stage: Stage, packets: usize);

    /// So many packets, not plain, have been through the walk.
    fn walked(&mut self, packets: usize);
}

/// Nobody measures.
impl Meter for () {
    #[inline(always)]
    fn passed(&mut self, _: Stage, _: usize) {}

    #[inline(always)]
    fn walked(&mut self, _: usize) {}
}

/// The bytes of an IPv4 frame up to the end of the shortest transport header:
/// what a stage reads at fixed places.
const IPV4_FRONT: usize = ethernet::HEADER_LEN + ipv4::HEADER_LEN + udp::HEADER_LEN;
