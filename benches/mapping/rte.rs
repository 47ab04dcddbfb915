//! DPDK's `rte_hash` in its lock-free form, asked for whole bursts.

use std::cell::RefCell;

use dpdk::hash::{self, HashReader, HashWriter};
use dpdk::{Eal, EalConfig};
use weft::mapping::Key;

use crate::brown::{self, NOTHING, Value};
use crate::candidate::{BURST, Built, Far, Reader, Writer, host_of};
use crate::floor::Floor;
use crate::measure;
use crate::plan::{Asked, Plan};

thread_local! {
    /// EAL stays with its thread, and there is one of each.
    static EAL: RefCell<Option<Eal>> = const { RefCell::new(None) };
}

fn word(n: u32, revision: u32) -> u64 {
    u64::from(host_of(n, revision)) | u64::from(revision) << 32
}

fn wide(key: Key) -> hash::Key {
    [u64::from(key.vni()) << 32 | u64::from(key.vaddr()), 0]
}

/// `largest` is the most that will be asked for: EAL's memory is reserved once.
pub(crate) fn build(plan: Plan, largest: u32) -> Built<Bulk, HashWriter> {
    let (mut writer, reader) = EAL.with_borrow_mut(|eal| {
        let eal = eal.get_or_insert_with(|| {
            let config = EalConfig {
                program: "mapping".into(),
                memory_mb: Some(64 + largest / 1024 * 180 / 1024),
                // The reader's, which this thread is bound to.
                lcores: vec![(0, 1)],
                ..EalConfig::default()
            };
            let eal = Eal::init(&config).expect("EAL starts");
            // It has bound this thread to a core of its own choice.
            measure::pin(1);
            eal
        });
        hash::create(eal, &format!("keys{}", plan.size), plan.size).expect("memory")
    });
    for (n, key) in plan.keys() {
        assert!(writer.insert(&wide(key), word(n, 0)), "no room");
    }
    Built {
        reader: Bulk(reader),
        writer,
        // A key store of 32 bytes an entry, buckets of 64 bytes for eight, as
        // many for those that are full, and two rings of free numbers.
        bytes: plan.size as usize * (32 + 8 + 8 + 4 + 4),
    }
}

pub(crate) struct Bulk(HashReader);

impl Reader for Bulk {
    type Answer = Value;
    const NOTHING: Value = NOTHING;

    #[inline]
    fn burst(&mut self, asked: Asked<'_>, out: &mut [Value]) {
        let mut keys = [[0; 2]; BURST];
        for (wide, key) in keys.iter_mut().zip(asked.keys) {
            *wide = self::wide(*key);
        }
        let values = self.0.lookup(&keys);
        for (i, out) in out.iter_mut().enumerate() {
            let split = |word: u64| (word as u32, (word >> 32) as u32);
            *out = values.get(i).map_or(NOTHING, split);
        }
    }

    #[inline]
    fn far(floor: &Floor, key: Key, answer: &Value) -> Option<Far> {
        brown::far(floor, key, answer)
    }
}

impl Writer for HashWriter {
    fn update(&mut self, key: Key, n: u32, revision: u32) {
        assert!(self.insert(&wide(key), word(n, revision)));
    }
}
