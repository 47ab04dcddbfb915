//! Stage *resolve*: the addresses of the other family, of one packet. What the
//! plain packets of a burst become is asked for all at once, in
//! [`plain`](super::plain).

use crate::packet::Packet;
use crate::siit::address_map::{Pair4, Pair6, Unpaired};
use crate::siit::rfc7915::Hairpin;
use crate::wire::{ipv4, ipv6};

use super::super::topology::RelayRecord;
use super::classify::{Passing4, Passing6};
use super::{Drop, Exit};

/// A packet, and what its source and destination become. Without them it is
/// for the engine, which knows what to make of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onward<P, A> {
    pub passing: P,
    /// None where nobody watches: then all plain packets are gone already, and
    /// the engine looks for itself.
    pub ends: Option<Result<A, Unpaired>>,
}

pub(super) type Onward6 = Onward<Passing4, Pair6>;
pub(super) type Onward4 = Onward<Passing6, Pair4>;

#[inline(always)]
pub(super) fn to_ipv6<P: Packet>(
    relay: &RelayRecord,
    packet: &P,
    passing: Passing4,
    watched: bool,
) -> Result<Onward6, Exit> {
    let find = || {
        let bytes = packet.head().get(usize::from(passing.l3)..)?;
        let addresses = ipv4::addresses(bytes.first_chunk()?);
        // RFC 7757 section 4.2.1: in simple mode what comes from the IPv4 side
        // may have been turned around there.
        let explicit = relay.rules.hairpin != Hairpin::Simple;
        Some(relay.addresses.find_pair6(addresses, explicit))
    };
    let ends = match watched {
        true => Some(find().ok_or(Drop::TooShort)?),
        false => None,
    };
    Ok(Onward { passing, ends })
}

#[inline(always)]
pub(super) fn to_ipv4<P: Packet>(
    relay: &RelayRecord,
    packet: &P,
    passing: Passing6,
    watched: bool,
) -> Result<Onward4, Exit> {
    let find = || {
        let bytes = packet.head().get(usize::from(passing.l3)..)?;
        let addresses = ipv6::addresses(bytes.first_chunk()?);
        Some(relay.addresses.find_pair4(addresses))
    };
    let ends = match watched {
        true => Some(find().ok_or(Drop::TooShort)?),
        false => None,
    };
    Ok(Onward { passing, ends })
}
