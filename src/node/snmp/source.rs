//! What is asked about: a router, as the appliance knows it.
//!
//! The tables are not copied to be walked. Each step finds its row anew where it
//! is kept in order, so a walk of a hundred thousand routes costs as many
//! searches, routes may change in between, and nothing is kept for a walk that
//! never ends.

use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr};

/// A router. Interfaces are numbered from 1 without gaps.
pub trait Source {
    fn system(&self) -> System<'_>;
    fn iface_count(&self) -> u32;
    fn iface(&self, number: u32) -> Option<Iface<'_>>;
    fn route_count(&self) -> u32;
    /// The first route at or behind an address and a length, in this order.
    fn route_from(&self, address: u32, len: u8) -> Option<Route>;
}

/// Words about the router as a whole.
#[derive(Clone, Copy, Debug)]
pub struct System<'a> {
    pub description: &'a str,
    pub contact: &'a str,
    pub name: &'a str,
    pub location: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub struct Iface<'a> {
    /// The subnet's.
    pub name: &'a str,
    pub address: Vaddr,
    pub prefix: Prefix4,
    pub mac: Mac,
    pub mtu: u16,
    /// `None` while nobody counts.
    pub traffic: Option<Traffic>,
}

/// What an interface has passed on, at this host.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    pub in_packets: u64,
    pub in_bytes: u64,
    pub out_packets: u64,
    pub out_bytes: u64,
    /// Of those that came in.
    pub dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    pub prefix: Prefix4,
    pub hop: Hop,
}

/// Where a route goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hop {
    /// Out of an interface, by its number.
    Connected(u32),
    /// To a router or node there; 0 is no interface.
    Via {
        address: Vaddr,
        iface: u32,
    },
    Blackhole,
    Prohibited,
}

impl Route {
    /// Number of its interface; 0 if it has none.
    pub fn iface(&self) -> u32 {
        match self.hop {
            Hop::Connected(iface) | Hop::Via { iface, .. } => iface,
            Hop::Blackhole | Hop::Prohibited => 0,
        }
    }
}
