//! What comes out of the engine beside answers: frames, events, counters, and
//! its state for people.

use std::net::Ipv6Addr;

use crate::model::Interface6;
use crate::time::Time;
use crate::wire::Mac;

use super::address::AddressState;
use super::ignored::Ignored;
use super::neighbor::State as NeighborState;

/// A frame to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    pub port: u16,
    pub bytes: Vec<u8>,
}

/// What an operator may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// No duplicate was found; the address is in use.
    AddressReady { port: u16, address: Ipv6Addr },
    /// Another system has the address; it is not used.
    AddressDuplicate {
        port: u16,
        address: Ipv6Addr,
        mac: Mac,
    },
    /// Another system claims an address we use; it was answered.
    AddressConflict {
        port: u16,
        address: Ipv6Addr,
        mac: Mac,
    },
    /// A next hop can be used, for the first time or again.
    NeighborUp {
        port: u16,
        address: Ipv6Addr,
        mac: Mac,
    },
    /// A next hop that is in use has another hardware address.
    NeighborMoved {
        port: u16,
        address: Ipv6Addr,
        mac: Mac,
    },
    /// A next hop cannot be used any more.
    NeighborDown { port: u16, address: Ipv6Addr },
}

impl Event {
    pub const fn name(&self) -> &'static str {
        match self {
            Event::AddressReady { .. } => "address_ready",
            Event::AddressDuplicate { .. } => "address_duplicate",
            Event::AddressConflict { .. } => "address_conflict",
            Event::NeighborUp { .. } => "neighbor_up",
            Event::NeighborMoved { .. } => "neighbor_moved",
            Event::NeighborDown { .. } => "neighbor_down",
        }
    }
}

/// Whose an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The host itself: this engine's.
    Own,
    /// A group the host listens to: this engine's.
    OwnGroup,
    /// In the host's locator, so some node's: the walk's.
    Locator,
    Other,
}

/// An own address and how it is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnAddress {
    pub port: u16,
    pub interface: Interface6,
    pub state: AddressState,
}

/// A neighbour, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighborView {
    pub port: u16,
    pub address: Ipv6Addr,
    pub mac: Option<Mac>,
    pub state: NeighborState,
    /// When it last answered a solicitation of ours.
    pub confirmed: Option<Time>,
    pub router: bool,
    /// Next hop of a route.
    pub used: bool,
}

/// Frames in = `accepted` + sum of `ignored`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters {
    pub accepted: u64,
    pub ignored: [u64; Ignored::COUNT],
    pub solicitations_sent: u64,
    pub advertisements_sent: u64,
    pub echo_replies_sent: u64,
    pub listener_reports_sent: u64,
    /// Frames for which there was no room to wait.
    pub frames_lost: u64,
    /// Events for which there was no room to wait.
    pub events_lost: u64,
    /// Next hops that stopped to be usable.
    pub next_hop_failures: u64,
    /// Neighbours forgotten for want of room.
    pub neighbors_evicted: u64,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            accepted: 0,
            ignored: [0; Ignored::COUNT],
            solicitations_sent: 0,
            advertisements_sent: 0,
            echo_replies_sent: 0,
            listener_reports_sent: 0,
            frames_lost: 0,
            events_lost: 0,
            next_hop_failures: 0,
            neighbors_evicted: 0,
        }
    }
}

impl Counters {
    pub fn ignored(&self, reason: Ignored) -> u64 {
        self.ignored[reason as usize]
    }
}
