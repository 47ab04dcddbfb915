//! weft carries tenants' IPv4 packets over an IPv6 substrate by replacing
//! headers, without encapsulation, and translates between other people's IPv4
//! and IPv6 as a plain relay. This page is the map.
//!
//! # Layers
//!
//! Each uses those below it, none those above.
//!
//! | Layer | What it is |
//! |---|---|
//! | [`cli`] | one command a file; all but `run` and `check` are clients of the socket |
//! | [`appliance`] | `weft run`: devices, workers and the control thread, put together |
//! | [`control`], [`substrate`], [`link4`], [`node`] | what the control thread does: the socket and the desired state; neighbour discovery and next hops; the same for IPv4; ARP towards nodes |
//! | [`datapath`] | the two walks and the relay's, their stages, the worker that drives them |
//! | [`mapping`] | (vni, address) to host: one writer, a reader for each worker |
//! | [`siit`] | translation: pure functions on bytes; to the letter of the RFC in [`siit::rfc7915`] |
//! | [`port`], [`packet`] | where frames come from and what they are: DPDK or memory |
//! | [`config`], [`model`] | the file; the objects that file and protocol share |
//! | [`wire`] | formats, addresses, checksums: bytes and nothing else |
//! | [`lpm`] | the longest prefix that an IPv4 address is in |
//! | [`arch`], [`clock`], [`time`], [`pace`] | intrinsics; the workers' ticks; the control thread's milliseconds; its token buckets |
//!
//! Everything but [`port::dpdk`] and the start of the appliance builds without
//! DPDK (feature `dpdk`, on by default).
//!
//! # Node to substrate
//!
//! [`Worker::round`] receives a burst and calls [`datapath::outbound`]:
//!
//! 1. [`parse::from_node`]: bytes to checked headers;
//! 2. [`classify::from_node`]: port, VLAN and MAC name the node, and with it
//!    the vnet;
//! 3. [`authorize::to_send`]: its source is its own, its destination in the vnet;
//! 4. [`resolve::destinations`], [`resolve::onward`]: the burst's destinations in
//!    the mapping table, by [`Reader::resolve_burst`];
//! 5. [`rewrite::onward`]: link and IPv6 header, by [`siit::outbound()`]; or only
//!    the link header, to a node of this host;
//! 6. back in the [worker](datapath::worker): out of a port, to the worker that
//!    has it, cut into [pieces](datapath::fragment), to [wait](datapath::hold),
//!    or counted as a [`Drop`](datapath::Drop).
//!
//! # Substrate to node
//!
//! The same round calls [`datapath::inbound`]:
//!
//! 1. [`parse::from_substrate`];
//! 2. [`classify::from_substrate`]: for the locator, for the host itself, for the
//!    exception port, or for nobody;
//! 3. [`resolve::both_ends`], [`authorize::to_arrive`]: the sender is mapped to
//!    the host its packet came from;
//! 4. [`resolve::inward`]: the node that has the address;
//! 5. [`rewrite::inward`]: the IPv4 header again, by [`siit::inbound()`];
//! 6. the worker, as above.
//!
//! # Relay and outsiders
//!
//! A worker's ports of the relay go to [`datapath::relay`], which has walks of
//! its own: [`datapath::relay::to_ipv6`] and [`datapath::relay::to_ipv4`].
//! Which address is which is [`siit::address_map`], from the prefix
//! ([`siit::rfc6052`]) and explicit mappings ([`siit::rfc7757`]). Between nodes
//! and [outsiders](datapath::outsider) the two walks above branch off to the same
//! engine; [`datapath::translate`] has what relay and outsiders share, packets
//! that go through it as a whole.
//!
//! # Beside the walks
//!
//! What a walk [punts](datapath::Punt) reaches
//! [`appliance::answer`]; what changes the tables goes from [`control::server`]
//! through [`control::store`] to [`appliance::plant`], the one writer, which
//! publishes a [`Topology`](datapath::Topology) that
//! [`appliance::compile`] makes. Which thread may touch what is said once, at
//! the head of [`datapath::worker`].
//!
//! `docs/packet-walk.md` tells the same with bytes and with every drop.
//!
//! [`Worker::round`]: datapath::worker::Worker::round
//! [`Reader::resolve_burst`]: mapping::Reader::resolve_burst
//! [`parse::from_node`]: datapath::parse::from_node
//! [`parse::from_substrate`]: datapath::parse::from_substrate
//! [`classify::from_node`]: datapath::classify::from_node
//! [`classify::from_substrate`]: datapath::classify::from_substrate
//! [`authorize::to_send`]: datapath::authorize::to_send
//! [`authorize::to_arrive`]: datapath::authorize::to_arrive
//! [`resolve::destinations`]: datapath::resolve::destinations
//! [`resolve::both_ends`]: datapath::resolve::both_ends
//! [`resolve::onward`]: datapath::resolve::onward
//! [`resolve::inward`]: datapath::resolve::inward
//! [`rewrite::onward`]: datapath::rewrite::onward
//! [`rewrite::inward`]: datapath::rewrite::inward

#![deny(unsafe_code)]

pub mod appliance;
pub mod arch;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod datapath;
pub mod link4;
pub mod lpm;
#[allow(unsafe_code)]
pub mod mapping;
pub mod model;
pub mod node;
pub mod pace;
pub mod packet;
pub mod port;
mod reasons;
pub mod siit;
pub mod substrate;
pub mod time;
pub mod wire;
