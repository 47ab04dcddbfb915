//! hashbrown as it comes, one reader and no writer: the yardstick for one
//! thread. Where there is a writer, it is two of them (`leftright`).

use hashbrown::HashMap;
use weft::mapping::Key;

use crate::candidate::{Built, Far, Reader, Writer, host_of};
use crate::floor::Floor;
use crate::plan::{Asked, Plan};

/// Host and end of a mapping: what a small entry holds.
pub(crate) type Value = (u32, u32);
pub(crate) const NOTHING: Value = (u32::MAX, 0);

/// Nobody writes here: a map cannot be read and written at once.
pub(crate) struct Nobody;

impl Writer for Nobody {
    fn update(&mut self, _: Key, _: u32, _: u32) {}
}

pub(crate) fn filled(plan: Plan) -> HashMap<Key, Value> {
    let mut map = HashMap::with_capacity(plan.size as usize);
    map.extend(plan.keys().map(|(n, key)| (key, (host_of(n, 0), 0))));
    map
}

pub(crate) fn build(plan: Plan) -> Built<HashMap<Key, Value>, Nobody> {
    let reader = filled(plan);
    Built {
        bytes: reader.allocation_size(),
        reader,
        writer: Nobody,
    }
}

impl Reader for HashMap<Key, Value> {
    type Answer = Value;
    const NOTHING: Value = NOTHING;

    #[inline]
    fn burst(&mut self, asked: Asked<'_>, out: &mut [Value]) {
        look_up(self, asked, out);
    }

    #[inline]
    fn far(floor: &Floor, key: Key, answer: &Value) -> Option<Far> {
        far(floor, key, answer)
    }
}

#[inline]
pub(crate) fn look_up(map: &HashMap<Key, Value>, asked: Asked<'_>, out: &mut [Value]) {
    for (key, out) in asked.keys.iter().zip(out) {
        *out = map.get(key).copied().unwrap_or(NOTHING);
    }
}

#[inline]
pub(crate) fn far(floor: &Floor, key: Key, answer: &Value) -> Option<Far> {
    (*answer != NOTHING).then(|| floor.host(answer.0, key))
}
