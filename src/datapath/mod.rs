//! The two walks. Everything weft does to a frame on its way is one of the
//! calls below; each stage is a file of the same name, a pure decision on one
//! packet, and takes what the stage before it returned, so that the order is
//! checked by the compiler.
//!
//! ```text
//! node -> substrate    parse  classify  authorize  resolve  rewrite  (tx)
//! substrate -> node    parse  classify  authorize  resolve  rewrite  (tx)
//! ```
//!
//! Bursts, prefetching, counting, holding, handing over and sending are the
//! worker's (`worker.rs`). `weft explain` and the tests call these same walks.

pub mod authorize;
pub mod classify;
pub mod counters;
pub mod drop;
pub mod fragment;
pub mod hold;
pub mod limit;
pub mod parse;
pub mod record;
pub mod resolve;
pub mod rewrite;
pub mod tell;
pub mod topology;
pub mod trace;
pub mod watch;
pub mod wiring;
pub mod worker;

pub use drop::Drop;
pub use topology::Topology;

use crate::mapping::{HostIndex, Key, Mapping, NodeIndex, Participant, Reader};
use crate::packet::{Meta, Packet};
use trace::{Stage, Tracer};

/// The most packets a walk takes at once.
pub const BURST: usize = 32;

/// What a walk reads. All of it is immutable for the length of a burst.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub topology: &'a Topology,
    pub mappings: &'a Reader,
    pub pin: &'a Participant,
    /// Seconds since the appliance started, for expiry.
    pub seconds: u32,
    /// IPv4 IDs for packets that may be fragmented later and carried none.
    pub fresh: FreshIds,
}

/// IPv4 IDs, of which no two workers ever use the same: each goes round and
/// round in a range of its own.
#[derive(Clone, Copy, Debug)]
pub struct FreshIds {
    first: u32,
    len: u32,
    /// Below `len`.
    next: u32,
}

impl FreshIds {
    pub fn new(worker: u16, workers: u16) -> FreshIds {
        let len = 0x1_0000 / u32::from(workers.max(1));
        FreshIds {
            first: u32::from(worker) * len,
            len,
            next: 0,
        }
    }

    /// The ID of packet `i` of a burst.
    #[inline]
    fn of(&self, i: usize) -> u16 {
        (self.first + self.after(i)) as u16
    }

    /// Goes on to the next burst.
    #[inline]
    pub fn advance(&mut self, packets: usize) {
        self.next = self.after(packets);
    }

    #[inline]
    fn after(&self, packets: usize) -> u32 {
        let next = self.next + packets as u32;
        if next < self.len {
            next
        } else {
            next % self.len
        }
    }
}

/// What becomes of a packet that got through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Rewritten in place, ready for this port.
    Send {
        port: u16,
        /// Its IPv4 options were left out.
        options_removed: bool,
    },
    /// Untouched, but larger than the path to the host takes: to be cut and
    /// each piece rewritten.
    Split(rewrite::Cut),
}

/// How a packet leaves the walk early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    Drop(Drop),
    /// Dropped, and the node that sent it is told by ICMP.
    Refuse {
        why: Drop,
        node: NodeIndex,
        mtu: u16,
    },
    /// Not ours: unchanged out of another port (an uplink's exception port).
    Pass {
        port: u16,
    },
    /// For the control thread.
    Punt(Punt),
    /// Waits for an answer; dropped for this reason if none comes.
    Hold {
        why: Drop,
        key: Key,
        whose: Party,
    },
}

/// Whose share of the waiting room a packet takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Party {
    /// A node of ours: the one that sent it, or that cannot be reached yet.
    Node(NodeIndex),
    /// The host it came from.
    Host(HostIndex),
}

impl From<Drop> for Exit {
    fn from(why: Drop) -> Exit {
        Exit::Drop(why)
    }
}

/// Packets that the control thread answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Punt {
    /// An ARP packet of a node.
    Arp { node: NodeIndex },
    /// Neighbour discovery, MLD or an echo request for the host itself.
    Substrate,
    /// An ICMPv6 error about a packet that a node of ours sent.
    SubstrateError,
}

/// One result a packet; as long as the burst.
pub type Results = arrayvec::ArrayVec<Result<Outcome, Exit>, BURST>;

/// Node -> substrate, or to another node of this host.
pub fn outbound<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let mut asked = Asked::<authorize::Permitted>::new();
    for (i, (packet, meta)) in packets.iter().zip(metas).enumerate() {
        tracer.packet(i, meta, packet);
        asked.push(
            tracer
                .see(i, Stage::Parse, parse::from_node(packet))
                .and_then(|it| tracer.see(i, Stage::Classify, classify::from_node(cx, meta, it)))
                .and_then(|it| tracer.see(i, Stage::Authorize, authorize::to_send(cx, it))),
        );
    }
    let found = resolve::destinations(cx, &asked);
    let mut results = Results::new();
    for (i, (packet, permitted)) in packets.iter_mut().zip(&asked).enumerate() {
        let permitted = permitted.as_ref().map_err(|exit| *exit);
        results.push(
            permitted
                .and_then(|it| tracer.see(i, Stage::Resolve, resolve::onward(cx, it, found[i])))
                .and_then(|it| tracer.see(i, Stage::Rewrite, rewrite::onward(cx, packet, it))),
        );
        tracer.done(i, packet, &results[i]);
    }
    results
}

/// Substrate -> node.
pub fn inbound<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    tracer: &mut T,
) -> Results {
    let mut asked = Asked::<classify::Incoming>::new();
    for (i, (packet, meta)) in packets.iter().zip(metas).enumerate() {
        tracer.packet(i, meta, packet);
        asked.push(
            tracer
                .see(i, Stage::Parse, parse::from_substrate(packet))
                .and_then(|it| {
                    tracer.see(
                        i,
                        Stage::Classify,
                        classify::from_substrate(cx, meta, packet, it),
                    )
                }),
        );
    }
    let found = resolve::both_ends(cx, &asked);
    let mut results = Results::new();
    for (i, (packet, arrived)) in packets.iter_mut().zip(&asked).enumerate() {
        let (source, destination) = (found[2 * i], found[2 * i + 1]);
        let arrived = arrived.as_ref().map_err(|exit| *exit);
        results.push(
            arrived
                .and_then(|it| {
                    tracer.see(i, Stage::Authorize, authorize::to_arrive(cx, it, source))
                })
                .and_then(|it| tracer.see(i, Stage::Resolve, resolve::inward(cx, it, destination)))
                .and_then(|it| tracer.see(i, Stage::Rewrite, rewrite::inward(cx, packet, it, i))),
        );
        tracer.done(i, packet, &results[i]);
    }
    results
}

/// What the first half of a walk leaves for the second.
type Asked<T> = arrayvec::ArrayVec<Result<T, Exit>, BURST>;
/// What the table said, question by question.
type Found<const N: usize> = [Option<Mapping>; N];
