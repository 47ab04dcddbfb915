//! The routers of a vnet: what all of them on a packet's way would have done
//! with it, decided at once on the host that it comes from.
//!
//! Routers are emulated where their packets come from, so TTL is spent, errors
//! are found and routes are followed before the table is asked where the
//! destination is. What routers themselves say (errors, echo replies) is the
//! control thread's; it follows the same route again to know who speaks.

use crate::mapping::{Found, Key};
use crate::wire::Vaddr;

use super::authorize::Permitted;
use super::segments::{Leg, RouterRecord};
use super::topology::Topology;
use super::{Context, Drop, Exit, Party, Punt, slot};

/// Routers that one packet may cross. Longer chains are none that anybody
/// builds, and routes that go round would cost a packet's whole TTL.
pub const MOST_HOPS: u8 = 16;

/// Where a packet got to that was given to a router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    pub end: End,
    /// Routers that passed it on, each for one of its TTL.
    pub hops: u8,
    /// The interface at which the last router got it.
    pub at: u32,
}

/// What became of it there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It goes to its destination, in a subnet of the last router.
    Connected,
    /// It goes to a node of such a subnet, which has the destination behind it.
    Node(Vaddr),
    /// It is for the router itself.
    Own,
    Broadcast,
    Blackhole,
    Prohibited,
    NoRoute,
    TimeExceeded,
    Loop,
}

/// Follows a packet for `dst` from the interface that it reaches a router by.
pub fn follow(topology: &Topology, entry: u32, dst: Vaddr, ttl: u8) -> Route {
    follow_with(topology, (entry, dst, ttl), |_| ())
}

/// The same; `passed_by` is told of each router that passes it on.
pub fn follow_with(
    topology: &Topology,
    (entry, dst, ttl): (u32, Vaddr, u8),
    mut passed_by: impl FnMut(&RouterRecord),
) -> Route {
    let router = topology.ifaces.get(entry as usize);
    let router = router.map(|iface| iface.router);
    let told = |router: &RouterRecord, _, _| passed_by(router);
    from_router(topology, (router, entry), (dst, ttl), told)
}

/// The same; `each` is told by which interfaces a packet comes to each router
/// that passes it on, and leaves it.
pub fn passed(
    topology: &Topology,
    (entry, dst, ttl): (u32, Vaddr, u8),
    mut each: impl FnMut(u32, Option<u32>),
) -> Route {
    let router = topology.ifaces.get(entry as usize);
    let router = router.map(|iface| iface.router);
    let told = |_: &RouterRecord, at, leg| each(at, out_of(topology, at, leg));
    from_router(topology, (router, entry), (dst, ttl), told)
}

/// The interface by which a packet leaves a router that it came to at `at`.
fn out_of(topology: &Topology, at: u32, leg: Leg) -> Option<u32> {
    let iface = |at: u32| topology.ifaces.get(at as usize);
    let next = match leg {
        Leg::Connected { iface } | Leg::Node { iface, .. } => return Some(iface),
        Leg::Next { iface, .. } => iface,
        _ => return None,
    };
    // The router's own, in the subnet in which the next one gets it.
    let router = iface(at)?.router;
    let subnet = topology.subnets.get(iface(next)?.subnet as usize)?;
    let mut ifaces = subnet.ifaces.iter().copied();
    ifaces.find(|out| iface(*out).is_some_and(|out| out.router == router))
}

/// The same from a router that got the packet by some interface.
pub(super) fn from_router(
    topology: &Topology,
    (router, entry): (Option<u32>, u32),
    (dst, ttl): (Vaddr, u8),
    mut passed_by: impl FnMut(&RouterRecord, u32, Leg),
) -> Route {
    let (mut at, mut index) = (entry, router);
    for hops in 0..MOST_HOPS {
        let router = index.and_then(|index| topology.routers.get(index as usize));
        let Some((router, leg)) = router.and_then(|router| Some((router, router.leg(dst)?))) else {
            let end = End::NoRoute;
            return Route { end, hops, at };
        };
        let end = match leg {
            Leg::Own => End::Own,
            Leg::Broadcast => End::Broadcast,
            Leg::Blackhole => End::Blackhole,
            Leg::Prohibited => End::Prohibited,
            Leg::Unreachable => End::NoRoute,
            // All others are passed on.
            Leg::Connected { .. } | Leg::Node { .. } | Leg::Next { .. } if ttl <= hops + 1 => {
                End::TimeExceeded
            }
            Leg::Next {
                router: next,
                iface,
            } => {
                passed_by(router, at, leg);
                (index, at) = (Some(next), iface);
                continue;
            }
            Leg::Connected { .. } | Leg::Node { .. } => {
                passed_by(router, at, leg);
                let end = match leg {
                    Leg::Node { via, .. } => End::Node(via),
                    _ => End::Connected,
                };
                let hops = hops + 1;
                return Route { end, hops, at };
            }
        };
        return Route { end, hops, at };
    }
    Route {
        end: End::Loop,
        hops: MOST_HOPS,
        at,
    }
}

/// How much of its TTL a packet spends that is sent to a router, if it gets
/// through. `found` is what the table says of its destination.
#[cold]
#[inline(never)]
pub(super) fn through(
    cx: &Context<'_>,
    it: &Permitted<'_>,
    found: Found,
    entry: u32,
) -> Result<u8, Exit> {
    let ip = it.ip.header();
    let route = follow(cx.topology, entry, ip.dst, ip.ttl);
    let refuse = |why| {
        let node = it.node;
        Err(Exit::Refuse { why, node, mtu: 0 })
    };
    match route.end {
        End::Connected => Ok(route.hops),
        End::Node(via) => behind(cx, it, found, via).map(|()| route.hops),
        End::Own => Err(Exit::Punt(Punt::Router { node: it.node })),
        End::Broadcast => Err(Drop::Broadcast.into()),
        End::Blackhole => Err(Drop::Blackholed.into()),
        End::Prohibited => refuse(Drop::RouteProhibited),
        End::NoRoute => refuse(Drop::NoRoute),
        End::TimeExceeded => refuse(Drop::TtlExceeded),
        End::Loop => refuse(Drop::RouteLoop),
    }
}

/// Whether the destination is where the node is that a route names: each
/// mapping is the truth of its own, and a route must not lead past it.
fn behind(cx: &Context<'_>, it: &Permitted<'_>, found: Found, via: Vaddr) -> Result<(), Exit> {
    let key = Key::new(it.key.vni(), via.0);
    let next = cx.mappings.resolve(cx.pin, key);
    let next = next.filter(|next| !next.is_expired(cx.seconds));
    match (next, found.mapping()) {
        // What is not known of the destination is asked for as ever.
        (Some(_), None) => Ok(()),
        (Some(next), Some(mapping)) if slot::is_behind(&next, &mapping) => Ok(()),
        (Some(_), Some(_)) => Err(Exit::Refuse {
            why: Drop::NotBehind,
            node: it.node,
            mtu: 0,
        }),
        (None, _) if cx.topology.resolver => Err(Exit::Hold {
            why: Drop::NoMapping,
            key,
            whose: Party::node(it.node),
        }),
        (None, _) => Err(Exit::Refuse {
            why: Drop::NoMapping,
            node: it.node,
            mtu: 0,
        }),
    }
}

/// A packet that its node gave to a node of its subnet, for an address that
/// must be behind it: not one that the table names by itself.
#[cold]
#[inline(never)]
pub(super) fn via(
    cx: &Context<'_>,
    it: &Permitted<'_>,
    found: Found,
    via: Vaddr,
) -> Result<(), Exit> {
    let by_itself = cx.mappings.lookup(cx.pin, it.key).is_some();
    match found.mapping() {
        Some(_) if !by_itself => match behind(cx, it, found, via) {
            Err(Exit::Refuse { .. }) => Err(Drop::MacMismatch.into()),
            verdict => verdict,
        },
        None if cx.topology.resolver => Ok(()),
        _ => Err(Drop::MacMismatch.into()),
    }
}
