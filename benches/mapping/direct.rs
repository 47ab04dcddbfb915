//! No table: the frame brings the number of its entry, as it would if nodes
//! were told a next hop's hardware address that contains it. The key is only
//! compared. What a lookup cannot be below: one line fetched per frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weft::arch::prefetch;
use weft::mapping::Key;

use crate::brown::{self, NOTHING, Value};
use crate::candidate::{Built, Far, Reader, Writer, host_of};
use crate::floor::Floor;
use crate::plan::{Asked, Plan};

/// Key and value; a value is one word, so no version is needed.
type Slot = (u64, AtomicU64);

pub(crate) struct Index(Arc<[Slot]>);

fn bits(key: Key) -> u64 {
    u64::from(key.vni()) << 32 | u64::from(key.vaddr())
}

fn word(n: u32, revision: u32) -> u64 {
    u64::from(host_of(n, revision)) | u64::from(revision) << 32
}

pub(crate) fn build(plan: Plan) -> Built<Index, Index> {
    let slot = |(n, key)| (bits(key), AtomicU64::new(word(n, 0)));
    let slots: Arc<[Slot]> = plan.keys().map(slot).collect();
    Built {
        bytes: size_of_val(&*slots),
        reader: Index(Arc::clone(&slots)),
        writer: Index(slots),
    }
}

impl Reader for Index {
    type Answer = Value;
    const NOTHING: Value = NOTHING;

    #[inline]
    fn burst(&mut self, asked: Asked<'_>, out: &mut [Value]) {
        let at = |n: &u32| &self.0[*n as usize];
        asked.numbers.iter().for_each(|n| prefetch(at(n)));
        for ((key, n), out) in asked.keys.iter().zip(asked.numbers).zip(out) {
            let (known, value) = at(n);
            let value = value.load(Ordering::Acquire);
            let value = (value as u32, (value >> 32) as u32);
            *out = if *known == bits(*key) { value } else { NOTHING };
        }
    }

    #[inline]
    fn far(floor: &Floor, key: Key, answer: &Value) -> Option<Far> {
        brown::far(floor, key, answer)
    }
}

impl Writer for Index {
    fn update(&mut self, _: Key, n: u32, revision: u32) {
        self.0[n as usize]
            .1
            .store(word(n, revision), Ordering::Release);
    }
}
