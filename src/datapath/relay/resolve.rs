//! Stage *resolve*: the addresses of the other family. The tables are asked for
//! the whole burst at once, so that their cache misses overlap.

use crate::packet::Packet;
use crate::siit::address_map::{End, Pair4, Pair6, Unpaired};
use crate::siit::rfc7915::{Hairpin, NoAddress};
use crate::wire::{Saddr, Vaddr, ipv4, ipv6};

use super::super::BURST;
use super::super::results::Asked;
use super::super::topology::RelayRecord;
use super::Exit;
use super::classify::{Passing4, Passing6};

/// A packet, and what its source and destination become. Without them it is
/// for the engine, which knows what to make of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onward<'a, P, A> {
    pub passing: &'a P,
    pub ends: Result<A, Unpaired>,
}

pub(super) type Onward6<'a> = Onward<'a, Passing4, Pair6>;
pub(super) type Onward4<'a> = Onward<'a, Passing6, Pair4>;

/// What a burst's addresses become, packet by packet.
pub(super) type Ends<A> = [Result<A, Unpaired>; BURST];

/// Stands where nobody has looked yet.
const NOT_ASKED: Unpaired = Unpaired {
    end: End::Source,
    why: NoAddress::Unmapped,
};

pub(super) fn to_ipv6<P: Packet>(
    relay: &RelayRecord,
    packets: &[P],
    asked: &Asked<Passing4>,
) -> Ends<Pair6> {
    let mut pairs = [(Vaddr(0), Vaddr(0)); BURST];
    let mut ends = [Err(NOT_ASKED); BURST];
    for (pair, (i, passing)) in pairs.iter_mut().zip(asked) {
        let l3 = usize::from(passing.l3);
        if let Some(bytes) = packets[*i].head().get(l3..).and_then(<[u8]>::first_chunk) {
            *pair = ipv4::addresses(bytes);
        }
    }
    // RFC 7757 section 4.2.1: in simple mode what comes from the IPv4 side may
    // have been turned around there.
    let explicit = relay.rules.hairpin != Hairpin::Simple;
    let n = asked.len();
    relay
        .addresses
        .pairs_to_ipv6(&pairs[..n], explicit, &mut ends[..n]);
    ends
}

pub(super) fn to_ipv4<P: Packet>(
    relay: &RelayRecord,
    packets: &[P],
    asked: &Asked<Passing6>,
) -> Ends<Pair4> {
    const UNSPECIFIED: Saddr = [0; 16];
    let mut pairs = [(UNSPECIFIED, UNSPECIFIED); BURST];
    let mut ends = [Err(NOT_ASKED); BURST];
    for (pair, (i, passing)) in pairs.iter_mut().zip(asked) {
        let l3 = usize::from(passing.l3);
        if let Some(bytes) = packets[*i].head().get(l3..).and_then(<[u8]>::first_chunk) {
            *pair = ipv6::addresses(bytes);
        }
    }
    let n = asked.len();
    relay.addresses.pairs_to_ipv4(&pairs[..n], &mut ends[..n]);
    ends
}

#[inline(always)]
pub(super) fn onward6(
    passing: &Passing4,
    ends: Result<Pair6, Unpaired>,
) -> Result<Onward6<'_>, Exit> {
    Ok(Onward { passing, ends })
}

#[inline(always)]
pub(super) fn onward4(
    passing: &Passing6,
    ends: Result<Pair4, Unpaired>,
) -> Result<Onward4<'_>, Exit> {
    Ok(Onward { passing, ends })
}
