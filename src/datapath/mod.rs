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

mod aside;
pub mod authorize;
mod between;
pub mod clamp;
pub mod classify;
pub mod counters;
mod cut;
pub mod cycles;
pub mod drop;
pub mod fan;
pub mod fragment;
mod front;
pub mod given;
pub mod hold;
mod lane;
pub mod limit;
pub mod misdirected;
pub mod offload;
pub mod outsider;
pub mod parse;
pub mod plain;
pub mod ports;
pub mod record;
pub mod relay;
pub mod resolve;
pub mod results;
pub mod rewrite;
pub mod route;
pub mod segments;
pub mod slot;
pub mod tally;
pub mod tell;
pub mod topology;
pub mod trace;
pub mod translate;
pub mod watch;
pub mod wiring;
pub mod worker;

pub use drop::Drop;
pub use lane::{walk, walk_plain};
pub use results::Results;
pub use topology::{Snapshot, Topology};

use crate::mapping::{Found, HostIndex, Key, NodeIndex, Participant, Reader};
pub use crate::packet::BURST;
use crate::packet::{Meta, Packet};
use crate::siit;
use plain::Rest;
use results::Asked;
use trace::{Stage, Tracer};

/// What a walk reads. All of it is immutable for the length of a burst.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub topology: &'a Snapshot,
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
    /// Larger than what lies ahead takes, and to be cut before or after it is
    /// translated to the letter of RFC 7915.
    Cut(translate::Cut),
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
    /// The relay's: dropped, and whoever sent it is told this by ICMP, if
    /// anything; it is logged in any case.
    Tell {
        why: Drop,
        reply: Option<siit::rfc7915::Reply>,
    },
    /// For a node of ours, and not from a host of ours: an outsider's, or
    /// nobody's, which is what `why` says. Ends in no walk.
    Foreign {
        why: Drop,
    },
    /// Not ours: unchanged out of another port (an uplink's exception port).
    Pass {
        port: u16,
    },
    /// For the control thread.
    Punt(Punt),
    /// Untouched, to be copied to everybody it is for.
    Fan(fan::Whence),
    /// Waits for an answer; dropped for this reason if none comes.
    Hold {
        why: Drop,
        key: Key,
        whose: Party,
    },
}

// Functions that are seldom called return an exit in registers. One that is
// returned in memory would keep all else of its caller in memory too.
const _: () = assert!(size_of::<Exit>() <= 16);

/// Whose share of the waiting room a packet takes: a node's of ours (the one
/// that sent it, or that cannot be reached yet), or the host's it came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Party(u32);

impl Party {
    /// Indices have 28 bits.
    const HOST: u32 = 1 << 31;

    pub fn node(node: NodeIndex) -> Party {
        Party(node.get())
    }

    pub fn host(host: HostIndex) -> Party {
        Party(host.get() | Party::HOST)
    }

    /// The node, unless it is a host.
    pub fn as_node(self) -> Option<NodeIndex> {
        NodeIndex::new(self.0)
    }
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.0 & Party::HOST == 0 {
            "node"
        } else {
            "host"
        };
        write!(f, "{kind} {}", self.0 & !Party::HOST)
    }
}

impl From<Drop> for Exit {
    fn from(why: Drop) -> Exit {
        Exit::Drop(why)
    }
}

/// A refusal of the translation, as the exit it is.
impl From<siit::Refusal> for Exit {
    #[cold]
    fn from(why: siit::Refusal) -> Exit {
        use siit::Refusal;
        Exit::Drop(match why {
            Refusal::SubstrateIcmp => return Exit::Punt(Punt::SubstrateError),
            Refusal::TooShort => Drop::TooShort,
            Refusal::BadVersion => Drop::BadVersion,
            Refusal::BadPayloadLength => Drop::BadTotalLength,
            Refusal::HeadersSplit => Drop::HeadersSplit,
            Refusal::ExtensionHeader => Drop::ExtensionHeader,
            Refusal::ProtocolNotCarried => Drop::ProtocolNotCarried,
            Refusal::TtlZero => Drop::TtlZero,
            Refusal::LabelLost => Drop::LabelLost,
            Refusal::LabelReserved => Drop::LabelInvalid,
        })
    }
}

/// Packets that the control thread answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Punt {
    /// An ARP packet of a node.
    Arp { node: NodeIndex },
    /// A message of a node to a DHCP server, or of a vnet's server.
    Dhcp { node: NodeIndex },
    /// A message of another host's client or server.
    DhcpBetween,
    /// A node, or its hypervisor, says by RARP that it has come.
    Rarp { node: NodeIndex },
    /// Neighbour discovery, MLD or an echo request for the host itself.
    Substrate,
    /// An ICMPv6 error about a packet that a node of ours sent.
    SubstrateError,
    /// A packet of another host for a node that was here until lately.
    Gone,
    /// ARP, neighbour discovery or anything else for the relay itself.
    Relay,
    /// A node's packet for a router of its vnet.
    Router { node: NodeIndex },
    /// IGMP of a node.
    Igmp { node: NodeIndex },
}

/// Node -> substrate, or to another node of this host. All packets came in by
/// one port; those that are not of `these` have been dealt with.
#[inline(never)]
pub fn outbound<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    these: Rest,
    tracer: &mut T,
    results: &mut Results,
) {
    let mut asked = Asked::new();
    let port = port_of(cx, metas);
    for (i, (packet, meta)) in packets.iter().zip(metas).enumerate() {
        if !these.has(i) {
            continue;
        }
        tracer.packet(i, meta, packet);
        let permitted = tracer
            .see(i, Stage::Parse, parse::from_node(packet))
            .and_then(|it| {
                tracer.see(
                    i,
                    Stage::Classify,
                    classify::from_node(cx, (port, meta), packet, it),
                )
            })
            .and_then(|it| tracer.see(i, Stage::Authorize, authorize::to_send(cx, it)));
        match permitted {
            Ok(permitted) => asked.push((i, permitted)),
            Err(exit) => end(tracer, results, i, packet, exit),
        }
    }
    let found = resolve::destinations(cx, &asked);
    for ((i, permitted), found) in asked.iter().zip(found) {
        let (i, packet) = (*i, &mut packets[*i]);
        let result = tracer
            .see(i, Stage::Resolve, resolve::onward(cx, permitted, found))
            .inspect(|it| {
                if it.sent.vnet.mss != 0 {
                    clamp::lower_offer(packet, it.sent, &metas[i]);
                }
            })
            .and_then(|it| tracer.see(i, Stage::Rewrite, rewrite::onward(cx, packet, it)));
        if let misdirected::Way::Router(entry) = permitted.way {
            tally::walked(results, entry, permitted, &result);
        }
        tracer.done(i, packet, &result);
        results.set(i, result);
    }
}

/// Substrate -> node; otherwise as [`outbound`].
#[inline(never)]
pub fn inbound<P: Packet, T: Tracer>(
    cx: &Context<'_>,
    packets: &mut [P],
    metas: &[Meta],
    these: Rest,
    tracer: &mut T,
    results: &mut Results,
) {
    let mut asked = Asked::new();
    let port = port_of(cx, metas);
    for (i, (packet, meta)) in packets.iter_mut().zip(metas).enumerate() {
        if !these.has(i) {
            continue;
        }
        tracer.packet(i, meta, packet);
        let incoming = tracer
            .see(i, Stage::Parse, parse::from_substrate(packet))
            .and_then(|it| {
                let verdict = classify::from_substrate(cx, (port, meta), packet, it);
                tracer.see(i, Stage::Classify, verdict)
            });
        match incoming {
            Ok(incoming) => asked.push((i, incoming)),
            Err(Exit::Foreign { why }) => {
                let ended = from_outside(cx, packet, why, i);
                tracer.done(i, packet, &ended);
                results.set(i, ended);
            }
            Err(exit) => end(tracer, results, i, packet, exit),
        }
    }
    let found = resolve::both_ends(cx, &asked);
    for ((i, incoming), [source, destination]) in asked.iter().zip(found.as_chunks().0) {
        let (i, packet) = (*i, &mut packets[*i]);
        let verdict = authorize::to_arrive(cx, incoming, *source);
        let result = tracer
            .see(i, Stage::Authorize, verdict)
            .and_then(|it| tracer.see(i, Stage::Resolve, resolve::inward(cx, it, *destination)))
            .and_then(|it| tracer.see(i, Stage::Rewrite, rewrite::inward(cx, packet, it, i)));
        let result = match result {
            Err(Exit::Foreign { why }) => from_outside(cx, packet, why, i),
            result => result,
        };
        tracer.done(i, packet, &result);
        results.set(i, result);
    }
}

/// A packet that no host of ours sent: an outsider's, or dropped for this
/// reason.
#[cold]
fn from_outside<P: Packet>(
    cx: &Context<'_>,
    packet: &mut P,
    why: Drop,
    i: usize,
) -> Result<Outcome, Exit> {
    let id = cx.fresh.of(i);
    outsider::inward(cx, packet, id).unwrap_or(Err(why.into()))
}

/// The one port that all packets of a burst came in by.
fn port_of<'t>(cx: &Context<'t>, metas: &[Meta]) -> Option<&'t topology::PortRecord> {
    let meta = metas.first()?;
    cx.topology.port(meta.port)
}

/// A packet that does not come as far as the table.
#[inline(always)]
fn end<P: Packet, T: Tracer>(
    tracer: &mut T,
    results: &mut Results,
    i: usize,
    packet: &P,
    exit: Exit,
) {
    tracer.done(i, packet, &Err(exit));
    results.set(i, Err(exit));
}

/// What the table said, question by question.
type Answers<const N: usize> = [Found; N];
