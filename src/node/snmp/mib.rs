//! The objects of a router, in the order of their names: system and interfaces
//! (RFC 3418, 2863), IP with its addresses and routes (RFC 1213, 4292), and the
//! engine itself (RFC 3411, 3414).
//!
//! Columns of what weft does not count (errors, discards on the way out) are not
//! there: that an object is missing can be believed, a counter that is always 0
//! cannot. A route
//! is in the old table of RFC 1213 by its destination alone, so of several with
//! one the shortest is there; the newer table has them all.

use std::cmp::Ordering;
use std::fmt;

use super::oid::Oid;
use super::source::{Hop, Iface, Route, Source, Traffic};
use super::value::Value;
use crate::wire::Vaddr;

/// All that a request may see.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub source: &'a dyn Source,
    pub engine: Engine<'a>,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "View({:?})", self.engine)
    }
}

/// The engine that answers.
#[derive(Clone, Copy, Debug)]
pub struct Engine<'a> {
    pub id: &'a [u8],
    pub boots: u32,
    /// Hundredths of a second since it started.
    pub ticks: u64,
    /// The longest message it takes and sends.
    pub max_size: i32,
    /// Refusals in the order of RFC 3414 section 5.
    pub refusals: &'a [u32],
}

/// An object and where its instances are.
struct Object {
    name: &'static [u32],
    rows: Rows,
}

/// Instances, by what they are numbered with.
enum Rows {
    /// One, called 0.
    Scalar(fn(&View<'_>) -> Value),
    /// An interface's number.
    Iface(fn(u32, &Iface<'_>) -> Value),
    /// The same, of those whose traffic is counted.
    Traffic(fn(&Traffic) -> Value),
    /// An interface's address.
    Address(fn(u32, &Iface<'_>) -> Value),
    /// A route's destination.
    Destination(fn(&Route, &View<'_>) -> Value),
    /// All that makes a route another one.
    Route(fn(&Route) -> Value),
}

macro_rules! object {
    ($rows:ident, [$($number:literal),*], $value:expr) => {
        Object { name: &[1, 3, 6, 1, $($number),*], rows: Rows::$rows($value) }
    };
}

/// Up and running; so is what exists by being configured.
const UP: Value = Value::Integer(1);

static OBJECTS: &[Object] = &[
    // system
    object!(Scalar, [2, 1, 1, 1], |v| Value::text(
        v.source.system().description
    )),
    // No authority names products for this one: 0.0, as RFC 2578 section 7.3 has it.
    object!(Scalar, [2, 1, 1, 2], |_| Value::ObjectId(Oid::new(&[0, 0]))),
    object!(Scalar, [2, 1, 1, 3], |v| Value::Ticks(
        v.engine.ticks as u32
    )),
    object!(Scalar, [2, 1, 1, 4], |v| Value::text(
        v.source.system().contact
    )),
    object!(Scalar, [2, 1, 1, 5], |v| Value::text(
        v.source.system().name
    )),
    object!(Scalar, [2, 1, 1, 6], |v| Value::text(
        v.source.system().location
    )),
    // Layer 3 and no other: 2^(3-1).
    object!(Scalar, [2, 1, 1, 7], |_| Value::Integer(4)),
    // interfaces
    object!(Scalar, [2, 1, 2, 1], |v| integer(v.source.iface_count())),
    object!(Iface, [2, 1, 2, 2, 1, 1], |number, _| integer(number)),
    object!(Iface, [2, 1, 2, 2, 1, 2], |_, i| Value::text(i.name)),
    // ethernetCsmacd
    object!(Iface, [2, 1, 2, 2, 1, 3], |_, _| Value::Integer(6)),
    object!(Iface, [2, 1, 2, 2, 1, 4], |_, i| Value::Integer(
        i.mtu.into()
    )),
    // No bandwidth of its own (RFC 2863, ifSpeed).
    object!(Iface, [2, 1, 2, 2, 1, 5], |_, _| Value::Gauge32(0)),
    object!(Iface, [2, 1, 2, 2, 1, 6], |_, i| Value::mac(i.mac)),
    object!(Iface, [2, 1, 2, 2, 1, 7], |_, _| UP),
    object!(Iface, [2, 1, 2, 2, 1, 8], |_, _| UP),
    object!(Traffic, [2, 1, 2, 2, 1, 10], |t| Value::low(t.in_bytes)),
    object!(Traffic, [2, 1, 2, 2, 1, 11], |t| Value::low(t.in_packets)),
    object!(Traffic, [2, 1, 2, 2, 1, 13], |t| Value::low(t.dropped)),
    object!(Traffic, [2, 1, 2, 2, 1, 16], |t| Value::low(t.out_bytes)),
    object!(Traffic, [2, 1, 2, 2, 1, 17], |t| Value::low(t.out_packets)),
    // ip
    object!(Scalar, [2, 1, 4, 1], |_| Value::Integer(1)),
    object!(Scalar, [2, 1, 4, 2], |_| Value::Integer(64)),
    object!(Address, [2, 1, 4, 20, 1, 1], |_, i| Value::Address(
        i.address
    )),
    object!(Address, [2, 1, 4, 20, 1, 2], |number, _| integer(number)),
    object!(Address, [2, 1, 4, 20, 1, 3], |_, i| Value::Address(mask(
        i.prefix.len
    ))),
    // ipRouteTable
    object!(Destination, [2, 1, 4, 21, 1, 1], |r, _| Value::Address(
        r.prefix.address
    )),
    object!(Destination, [2, 1, 4, 21, 1, 2], |r, _| integer(r.iface())),
    object!(Destination, [2, 1, 4, 21, 1, 3], |_, _| NO_METRIC),
    object!(Destination, [2, 1, 4, 21, 1, 7], next_hop),
    object!(Destination, [2, 1, 4, 21, 1, 8], |r, _| Value::Integer(
        match r.hop {
            Hop::Connected(_) => 3,
            Hop::Via { .. } => 4,
            Hop::Blackhole | Hop::Prohibited => 1,
        }
    )),
    object!(Destination, [2, 1, 4, 21, 1, 9], |r, _| protocol(r)),
    object!(Destination, [2, 1, 4, 21, 1, 11], |r, _| Value::Address(
        mask(r.prefix.len)
    )),
    // inetCidrRouteNumber, inetCidrRouteTable
    object!(Scalar, [2, 1, 4, 24, 6], |v| Value::Gauge32(
        v.source.route_count()
    )),
    object!(Route, [2, 1, 4, 24, 7, 1, 7], |r| integer(r.iface())),
    object!(Route, [2, 1, 4, 24, 7, 1, 8], |r| Value::Integer(
        match r.hop {
            Hop::Prohibited => 2,
            Hop::Connected(_) => 3,
            Hop::Via { .. } => 4,
            Hop::Blackhole => 5,
        }
    )),
    object!(Route, [2, 1, 4, 24, 7, 1, 9], protocol),
    // Seconds since it was last found right, which it is now.
    object!(Route, [2, 1, 4, 24, 7, 1, 10], |_| Value::Gauge32(0)),
    // No autonomous system.
    object!(Route, [2, 1, 4, 24, 7, 1, 11], |_| Value::Gauge32(0)),
    object!(Route, [2, 1, 4, 24, 7, 1, 12], |_| NO_METRIC),
    object!(Route, [2, 1, 4, 24, 7, 1, 17], |_| UP),
    // ifXTable
    object!(Iface, [2, 1, 31, 1, 1, 1, 1], |_, i| Value::text(i.name)),
    object!(Traffic, [2, 1, 31, 1, 1, 1, 6], |t| Value::Counter64(
        t.in_bytes
    )),
    object!(Traffic, [2, 1, 31, 1, 1, 1, 7], |t| Value::Counter64(
        t.in_packets
    )),
    object!(Traffic, [2, 1, 31, 1, 1, 1, 10], |t| Value::Counter64(
        t.out_bytes
    )),
    object!(Traffic, [2, 1, 31, 1, 1, 1, 11], |t| Value::Counter64(
        t.out_packets
    )),
    object!(Iface, [2, 1, 31, 1, 1, 1, 15], |_, _| Value::Gauge32(0)),
    // snmpEngine
    object!(Scalar, [6, 3, 10, 2, 1, 1], |v| Value::Octets(
        v.engine.id.to_vec()
    )),
    object!(Scalar, [6, 3, 10, 2, 1, 2], |v| integer(v.engine.boots)),
    object!(Scalar, [6, 3, 10, 2, 1, 3], |v| Value::Integer(
        i32::try_from(v.engine.ticks / 100).unwrap_or(i32::MAX)
    )),
    object!(Scalar, [6, 3, 10, 2, 1, 4], |v| Value::Integer(
        v.engine.max_size
    )),
    // usmStats
    object!(Scalar, [6, 3, 15, 1, 1, 1], |v| refusals(v, 0)),
    object!(Scalar, [6, 3, 15, 1, 1, 2], |v| refusals(v, 1)),
    object!(Scalar, [6, 3, 15, 1, 1, 3], |v| refusals(v, 2)),
    object!(Scalar, [6, 3, 15, 1, 1, 4], |v| refusals(v, 3)),
    object!(Scalar, [6, 3, 15, 1, 1, 5], |v| refusals(v, 4)),
    object!(Scalar, [6, 3, 15, 1, 1, 6], |v| refusals(v, 5)),
];

const NO_METRIC: Value = Value::Integer(-1);

fn integer(value: u32) -> Value {
    Value::Integer(i32::try_from(value).unwrap_or(i32::MAX))
}

fn refusals(view: &View<'_>, at: usize) -> Value {
    Value::Counter32(view.engine.refusals.get(at).copied().unwrap_or(0))
}

fn mask(len: u8) -> Vaddr {
    Vaddr(
        u32::MAX
            .checked_shl(32 - u32::from(len.min(32)))
            .unwrap_or(0),
    )
}

/// Subnets are local, routes come from management.
fn protocol(route: &Route) -> Value {
    Value::Integer(match route.hop {
        Hop::Connected(_) => 2,
        _ => 3,
    })
}

/// RFC 1213: of a connected one, the router's own address there.
fn next_hop(route: &Route, view: &View<'_>) -> Value {
    let own = |iface| view.source.iface(iface).map(|iface| iface.address);
    Value::Address(match route.hop {
        Hop::Connected(iface) => own(iface).unwrap_or(Vaddr(0)),
        Hop::Via { address, .. } => address,
        Hop::Blackhole | Hop::Prohibited => Vaddr(0),
    })
}

/// What has exactly this name.
pub fn get(view: &View<'_>, name: &Oid) -> Value {
    let name = name.numbers();
    let behind = OBJECTS.partition_point(|object| object.name <= name);
    let object = behind.checked_sub(1).and_then(|at| OBJECTS.get(at));
    let found = object.and_then(|object| Some((object, name.strip_prefix(object.name)?)));
    let Some((object, instance)) = found else {
        return Value::NoSuchObject;
    };
    let value = object.rows.at(view, instance);
    value.unwrap_or(Value::NoSuchInstance)
}

/// What has the first name behind this one.
pub fn next(view: &View<'_>, name: &Oid) -> Option<(Oid, Value)> {
    let name = name.numbers();
    let behind = OBJECTS.partition_point(|object| object.name <= name);
    let inside = behind.checked_sub(1).and_then(|at| {
        let object = OBJECTS.get(at)?;
        object.next(view, name.strip_prefix(object.name)?)
    });
    let later = || {
        OBJECTS
            .get(behind..)?
            .iter()
            .find_map(|object| object.next(view, &[]))
    };
    inside.or_else(later)
}

impl Object {
    fn next(&self, view: &View<'_>, behind: &[u32]) -> Option<(Oid, Value)> {
        let (instance, value) = self.rows.next(view, behind)?;
        Some((Oid::of(self.name, &instance), value))
    }
}

impl Rows {
    fn at(&self, view: &View<'_>, instance: &[u32]) -> Option<Value> {
        let source = view.source;
        match (self, instance) {
            (Rows::Scalar(value), [0]) => Some(value(view)),
            (Rows::Iface(value), [number]) => Some(value(*number, &source.iface(*number)?)),
            (Rows::Traffic(value), [number]) => source.iface(*number)?.traffic.as_ref().map(value),
            (Rows::Address(value), _) => {
                let address = address_of(instance)?;
                let (number, iface) = by_address(source, u64::from(address))?;
                (iface.address.0 == address).then(|| value(number, &iface))
            }
            (Rows::Destination(value), _) => {
                let address = address_of(instance)?;
                let route = source.route_from(address, 0)?;
                (route.prefix.address.0 == address).then(|| value(&route, view))
            }
            (Rows::Route(value), [1, 4, a, b, c, d, len, ..]) => {
                let address = address_of(&[*a, *b, *c, *d])?;
                let route = source.route_from(address, u8::try_from(*len).ok()?)?;
                (instance_of(&route) == instance).then(|| value(&route))
            }
            _ => None,
        }
    }

    /// The first instance behind one that need not exist; behind nothing, the
    /// first of all.
    fn next(&self, view: &View<'_>, behind: &[u32]) -> Option<(Vec<u32>, Value)> {
        let source = view.source;
        match self {
            Rows::Scalar(value) => behind.is_empty().then(|| (vec![0], value(view))),
            Rows::Iface(value) => {
                let number = number_behind(behind)?;
                Some((vec![number], value(number, &source.iface(number)?)))
            }
            Rows::Traffic(value) => {
                let mut numbers = number_behind(behind)?..=source.iface_count();
                numbers.find_map(|number| {
                    let traffic = source.iface(number)?.traffic?;
                    Some((vec![number], value(&traffic)))
                })
            }
            Rows::Address(value) => {
                let (number, iface) = by_address(source, bytes_behind(behind, 4))?;
                Some((numbers(iface.address), value(number, &iface)))
            }
            Rows::Destination(value) => {
                let address = u32::try_from(bytes_behind(behind, 4)).ok()?;
                let route = source.route_from(address, 0)?;
                Some((numbers(route.prefix.address), value(&route, view)))
            }
            Rows::Route(value) => {
                let route = route_behind(source, behind)?;
                Some((instance_of(&route), value(&route)))
            }
        }
    }
}

/// The least number of an interface behind a part of a name.
fn number_behind(parts: &[u32]) -> Option<u32> {
    parts.first().map_or(Some(1), |last| last.checked_add(1))
}

/// The interface with the lowest address from `least` on, and its number.
fn by_address(source: &dyn Source, least: u64) -> Option<(u32, Iface<'_>)> {
    (1..=source.iface_count())
        .filter_map(|number| Some((number, source.iface(number)?)))
        .filter(|(_, iface)| u64::from(iface.address.0) >= least)
        .min_by_key(|(_, iface)| iface.address)
}

fn address_of(instance: &[u32]) -> Option<u32> {
    let &[a, b, c, d] = instance else {
        return None;
    };
    [a, b, c, d].iter().try_fold(0, |address, byte| {
        Some(address << 8 | u32::from(u8::try_from(*byte).ok()?))
    })
}

fn numbers(address: Vaddr) -> Vec<u32> {
    address.bytes().map(u32::from).to_vec()
}

/// The least number of `count` bytes whose bytes, as parts of a name, are behind
/// these parts. More than `count` bytes hold if there is none.
fn bytes_behind(parts: &[u32], count: u32) -> u64 {
    let mut number: u64 = 0;
    for done in 0..count {
        let left = 8 * (count - done);
        match parts.get(done as usize) {
            None => return number << left,
            Some(part) if *part > 255 => return (number + 1) << left,
            Some(part) => number = number << 8 | u64::from(*part),
        }
    }
    number + 1
}

/// How the parts of a route's name begin: IPv4, four bytes.
const FAMILY: [u32; 2] = [1, 4];

/// The parts of a route's name: destination, length, no policy (0.0), next hop.
/// A route to a subnet has none of the latter, of no type.
fn instance_of(route: &Route) -> Vec<u32> {
    let mut parts = FAMILY.to_vec();
    parts.extend(numbers(route.prefix.address));
    parts.extend([u32::from(route.prefix.len), 2, 0, 0]);
    match route.hop {
        Hop::Via { address, .. } => {
            parts.extend(FAMILY);
            parts.extend(numbers(address));
        }
        Hop::Connected(_) | Hop::Blackhole | Hop::Prohibited => parts.extend([0, 0]),
    }
    parts
}

fn route_behind(source: &dyn Source, behind: &[u32]) -> Option<Route> {
    let (family, place) = behind.split_at(behind.len().min(FAMILY.len()));
    match family.cmp(FAMILY.get(..family.len()).unwrap_or(&[])) {
        Ordering::Less => return source.route_from(0, 0),
        Ordering::Greater => return None,
        Ordering::Equal => {}
    }
    // One whose destination and length are just these may still be behind them,
    // by its next hop.
    if let [a, b, c, d, len, ..] = *place
        && let (Some(address), Ok(len)) = (address_of(&[a, b, c, d]), u8::try_from(len))
        && let Some(route) = source.route_from(address, len)
        && instance_of(&route).as_slice() > behind
    {
        return Some(route);
    }
    let first = bytes_behind(place, 5);
    let address = u32::try_from(first >> 8).ok()?;
    source.route_from(address, first as u8)
}

#[cfg(test)]
#[path = "tests/mib.rs"]
mod tests;
