//! What comes out of the engine beside answers: frames, events, counters, and
//! its state for people.

use crate::model::Interface4;
use crate::time::Time;
use crate::wire::{Mac, Vaddr};

use super::ignored::Ignored;
use super::neighbor::State as NeighborState;

/// A frame to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    pub port: u16,
    pub bytes: Vec<u8>,
}

/// A next hop that packets can be sent to now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResolvedHop {
    pub port: u16,
    pub address: Vaddr,
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub vlan: Option<u16>,
    /// Largest IPv4 packet on the link.
    pub mtu: u16,
}

/// What an operator may want to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Another system claims the own address; it was answered.
    AddressConflict { port: u16, address: Vaddr, mac: Mac },
    /// A next hop can be used, for the first time or again.
    NeighborUp { port: u16, address: Vaddr, mac: Mac },
    /// A next hop that is in use has another hardware address.
    NeighborMoved { port: u16, address: Vaddr, mac: Mac },
    /// A next hop cannot be used any more.
    NeighborDown { port: u16, address: Vaddr },
}

impl Event {
    pub const fn name(&self) -> &'static str {
        match self {
            Event::AddressConflict { .. } => "address_conflict",
            Event::NeighborUp { .. } => "neighbor_up",
            Event::NeighborMoved { .. } => "neighbor_moved",
            Event::NeighborDown { .. } => "neighbor_down",
        }
    }
}

/// Who else claimed the own address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
    pub mac: Mac,
    /// When it last did.
    pub seen: Time,
}

/// The own address and how it is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnAddress {
    pub port: u16,
    pub interface: Interface4,
    /// The last claim of another system, since the address is ours.
    pub conflict: Option<Conflict>,
}

/// A next hop, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighborView {
    pub port: u16,
    pub address: Vaddr,
    pub mac: Option<Mac>,
    pub state: NeighborState,
    /// When it last answered a request of ours.
    pub confirmed: Option<Time>,
}

/// Frames in = `accepted` + sum of `ignored`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters {
    pub accepted: u64,
    pub ignored: [u64; Ignored::COUNT],
    /// ARP requests to and for next hops.
    pub requests_sent: u64,
    pub replies_sent: u64,
    /// Announcements of the own address, defences and probes included.
    pub announcements_sent: u64,
    pub echo_replies_sent: u64,
    pub errors_sent: u64,
    /// Claims of other systems to the own address.
    pub conflicts: u64,
    /// Frames for which there was no room to wait.
    pub frames_lost: u64,
    /// Events for which there was no room to wait.
    pub events_lost: u64,
    /// Next hops that stopped to be usable.
    pub next_hop_failures: u64,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            accepted: 0,
            ignored: [0; Ignored::COUNT],
            requests_sent: 0,
            replies_sent: 0,
            announcements_sent: 0,
            echo_replies_sent: 0,
            errors_sent: 0,
            conflicts: 0,
            frames_lost: 0,
            events_lost: 0,
            next_hop_failures: 0,
        }
    }
}

impl Counters {
    pub fn ignored(&self, reason: Ignored) -> u64 {
        self.ignored[reason as usize]
    }
}
