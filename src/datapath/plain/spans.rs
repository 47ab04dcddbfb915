//! What becomes of all addresses at a router, and at those behind it: where
//! the answer changes, and how many routers pass packets on.
//!
//! A tenant's router has a few subnets and routes. To find an address among so
//! few beginnings is to compare it with all of them at once, in a cache line
//! or two; to follow it through the tables of a chain of routers takes several
//! times as long. Routers with more than fit keep to their tables.

use crate::wire::Vaddr;

use super::super::route::{self, End};
use super::super::segments::{Leg, NONE};
use super::super::topology::Topology;
use super::FURTHER;

/// Answers that fit, and one for the last address of all.
const MOST: usize = 32;
/// As many as nearly all routers have: a comparison of one register.
const FEW: usize = 8;
/// Prefixes of a chain of routers that are looked at.
const PREFIXES: usize = 96;

/// Of one router.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Spans {
    /// Where each span begins; the first at zero, and none begins at the last
    /// address there is, which stands for those that there are not.
    firsts: [u32; MOST],
    /// Routers that pass packets for a span on, to a node that is in one of
    /// their subnets; 0 if packets go elsewhere.
    hops: [u8; MOST],
    /// How many there are; none if that is not known here.
    len: usize,
    /// By which interface the first of them does, if there is no other.
    outs: [u32; MOST],
}

impl Spans {
    const UNKNOWN: Spans = Spans {
        firsts: [u32::MAX; MOST],
        hops: [0; MOST],
        len: 0,
        outs: [FURTHER; MOST],
    };

    pub(super) fn of(topology: &Topology, router: u32) -> Spans {
        let mut spans = Spans::UNKNOWN;
        let Some(borders) = borders(topology, router) else {
            return spans;
        };
        let mut len = 0;
        let mut last = None;
        for first in borders {
            let (hops, out) = way_to(topology, router, Vaddr(first));
            if last == Some((hops, out)) {
                continue;
            }
            if len == MOST - 1 || first == u32::MAX {
                // The last address of all is nobody's, so it may be left out.
                if first == u32::MAX && hops == 0 {
                    continue;
                }
                return Spans::UNKNOWN;
            }
            (spans.firsts[len], spans.hops[len]) = (first, hops);
            spans.outs[len] = out;
            last = Some((hops, out));
            len += 1;
        }
        spans.len = len;
        spans
    }

    /// Routers that pass packets for an address on, and by which interface the
    /// only one does; `None` if that is not known here.
    #[inline(always)]
    pub(super) fn find(&self, address: u32) -> Option<(u8, u32)> {
        let begun = |firsts: &[u32]| -> u32 {
            let firsts = firsts.iter();
            firsts.map(|first| u32::from(*first <= address)).sum()
        };
        let begun = match self.len {
            0 => return None,
            1..FEW => begun(&self.firsts[..FEW]),
            _ => begun(&self.firsts),
        };
        let place = (begun as usize).wrapping_sub(1) % MOST;
        Some((self.hops[place], self.outs[place]))
    }
}

/// The first address of each range in which a router and all behind it have one
/// answer; `None` if that are too many to ask for.
fn borders(topology: &Topology, router: u32) -> Option<Vec<u32>> {
    let mut routers = vec![router];
    let mut borders = vec![0];
    let mut at = 0;
    while let Some(&router) = routers.get(at) {
        at += 1;
        let router = topology.routers.get(router as usize)?;
        if router.routes.len() > PREFIXES || borders.len() > 2 * PREFIXES {
            return None;
        }
        for prefix in router.routes.prefixes() {
            let size = 1u64 << (32 - prefix.len);
            let behind = u64::from(prefix.address.0) + size;
            borders.push(prefix.address.0);
            borders.extend(u32::try_from(behind).ok());
        }
        for leg in router.legs.iter() {
            if let Leg::Next { router, .. } = leg
                && !routers.contains(router)
            {
                routers.push(*router);
            }
        }
    }
    borders.sort_unstable();
    borders.dedup();
    Some(borders)
}

fn way_to(topology: &Topology, router: u32, address: Vaddr) -> (u8, u32) {
    let from = (Some(router), NONE);
    let mut out = FURTHER;
    let route = route::from_router(topology, from, (address, u8::MAX), |_, _, leg| {
        if let Leg::Connected { iface } = leg {
            out = iface;
        }
    });
    match (route.end, route.hops) {
        (End::Connected, 1) => (1, out),
        (End::Connected, hops) => (hops, FURTHER),
        _ => (0, FURTHER),
    }
}
