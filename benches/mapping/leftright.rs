//! Two copies of hashbrown behind the crate `left-right`: readers have one,
//! the writer the other; what it does there it does again when they have
//! changed places, and it waits for readers to do so.

use hashbrown::HashMap;
use left_right::{Absorb, ReadHandle, WriteHandle};
use weft::mapping::Key;

use crate::brown::{self, NOTHING, Value};
use crate::candidate::{Built, Far, Reader, Writer, host_of};
use crate::floor::Floor;
use crate::plan::{Asked, Plan};

#[derive(Clone)]
pub(crate) struct Map(HashMap<Key, Value>);

pub(crate) struct Set(Key, Value);

impl Absorb<Set> for Map {
    fn absorb_first(&mut self, Set(key, value): &mut Set, _: &Self) {
        self.0.insert(*key, *value);
    }

    fn sync_with(&mut self, first: &Self) {
        self.0.clone_from(&first.0);
    }
}

pub(crate) struct Half(ReadHandle<Map>);

pub(crate) fn build(plan: Plan) -> Built<Half, WriteHandle<Map, Set>> {
    let map = Map(brown::filled(plan));
    let bytes = 2 * map.0.allocation_size();
    let (mut writer, reader) = left_right::new_from_empty::<Map, Set>(map);
    // Before the first publication operations are not done twice.
    writer.publish();
    Built {
        reader: Half(reader),
        writer,
        bytes,
    }
}

impl Reader for Half {
    type Answer = Value;
    const NOTHING: Value = NOTHING;

    #[inline]
    fn burst(&mut self, asked: Asked<'_>, out: &mut [Value]) {
        match self.0.enter() {
            Some(map) => brown::look_up(&map.0, asked, out),
            None => out.fill(NOTHING),
        }
    }

    #[inline]
    fn far(floor: &Floor, key: Key, answer: &Value) -> Option<Far> {
        brown::far(floor, key, answer)
    }
}

impl Writer for WriteHandle<Map, Set> {
    fn update(&mut self, key: Key, n: u32, revision: u32) {
        self.append(Set(key, (host_of(n, revision), revision)));
    }

    fn publish(&mut self) {
        WriteHandle::publish(self);
    }
}
