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
//!
//! So the plain path decides nothing by itself. What it sends, the walk sends
//! by the same port with the same bytes: `tests/walk/plain.rs` holds it to
//! that. It exists for what it saves: no verdicts in memory, no case that
//! does not occur, every word of a header read once and written once. Who
//! watches packets sees them in the walk, so nothing here knows of tracing.

mod inbound;
mod outbound;
mod route;
mod spans;
mod tables;

pub use inbound::inbound;
pub use outbound::outbound;
pub use tables::Tables;

use super::BURST;
use super::trace::Stage;
use crate::mapping::{Found, HostIndex, Key, NodeIndex};
use crate::siit::plain::First;
use crate::wire::{ethernet, ipv4, udp};

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
    /// One key a packet, or its two ends'.
    keys: [Key; 2 * BURST],
    found: [Found; 2 * BURST],
    /// What the IPv6 headers of packets begin with.
    firsts: [First; BURST],
    senders: [NodeIndex; BURST],
    /// By which path, and [`ROUTED`].
    paths: [u8; BURST],
    /// Of those that are [`ROUTED`], by which interface their first router passes
    /// them on, or [`FURTHER`].
    outs: [u32; BURST],
    /// Their places in the burst.
    at: [u8; BURST],
    /// Of those that go on, which they are, and from or to which host.
    remote: [u8; BURST],
    hosts: [HostIndex; BURST],
    /// The same of those for a node of this host.
    local: [u8; BURST],
    nodes: [NodeIndex; BURST],
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            keys: [Key::new(0, 0); 2 * BURST],
            found: [Found::NOTHING; 2 * BURST],
            firsts: [First(0); BURST],
            senders: [NodeIndex::MAX; BURST],
            paths: [0; BURST],
            outs: [FURTHER; BURST],
            at: [0; BURST],
            remote: [0; BURST],
            hosts: [HostIndex::MAX; BURST],
            local: [0; BURST],
            nodes: [NodeIndex::MAX; BURST],
        }
    }
}

/// Set beside the path of a packet that was given to its gateway.
const ROUTED: u8 = 0x80;

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
