//! The tables against a plain map, one thread: any sequence of operations
//! leaves both with the same contents, and every way of asking agrees.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::{grow::RawWriter, hash::Seed, *};
use crate::wire::{Mac, Mark};

fn host(index: u32) -> Target {
    Target::Remote(HostIndex::new(index).unwrap())
}

fn key(n: u32) -> Key {
    Key::new(0x5A0001 + n % 3, 0x0A00_0000 + n / 3)
}

fn limits(mappings: usize) -> Limits {
    Limits {
        mappings,
        initial: 0,
        prefixes: 1000,
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u32, Mapping),
    /// So many keys in a row, so that growing is reached often.
    Load(u32, u32),
    Remove(u32),
    RemoveMany(u32, u32),
    Step(usize),
    Expire(u32),
    Retain(u32),
    /// The reader passes a quiescent state.
    Pass,
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let previous = proptest::option::of((0..5u32, 0..9u32));
    (0..9u32, 0..9u32, previous).prop_map(|(index, expires, previous)| Mapping {
        target: host(index),
        expires,
        previous: previous.map(|(host, until)| (HostIndex::new(host).unwrap(), until)),
        mark: Mark::from_byte((index * 20) as u8 & !1),
        mac: None,
    })
}

/// Addresses, half of them in few places, so that prefixes of all lengths lie
/// in each other.
fn near() -> impl Strategy<Value = u32> {
    let byte = || prop_oneof![Just(0u8), Just(10), 0..4u8];
    let close = (byte(), byte(), byte(), byte());
    prop_oneof![
        any::<u32>(),
        close.prop_map(|(a, b, c, d)| u32::from_be_bytes([a, b, c, d])),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..2000u32, mapping()).prop_map(|(n, m)| Op::Insert(n, m)),
        1 => (0..2000u32, 1..300u32).prop_map(|(n, count)| Op::Load(n, count)),
        3 => (0..2000u32).prop_map(Op::Remove),
        1 => (0..2000u32, 1..300u32).prop_map(|(n, count)| Op::RemoveMany(n, count)),
        1 => (0..20usize).prop_map(Op::Step),
        1 => (0..9u32).prop_map(Op::Expire),
        1 => (2..9u32).prop_map(Op::Retain),
        1 => Just(Op::Pass),
    ]
}

struct Twin {
    writer: Writer,
    reader: Reader,
    pin: Participant,
    model: HashMap<Key, Mapping>,
    limit: usize,
}

impl Twin {
    fn new(limit: usize) -> Self {
        let domain = Domain::default();
        let writer = Writer::new(&domain, limits(limit)).unwrap();
        Self {
            reader: writer.readers().reader(),
            pin: domain.register().unwrap(),
            model: HashMap::new(),
            writer,
            limit,
        }
    }

    fn insert(&mut self, key: Key, mapping: Mapping) {
        let result = self.writer.insert(key, mapping);
        if self.model.len() == self.limit && !self.model.contains_key(&key) {
            let current = self.limit;
            let limit = self.limit;
            assert_eq!(result, Err(InsertError::Full { limit, current }));
        } else {
            assert_eq!(result, Ok(self.model.insert(key, mapping)));
        }
    }

    fn remove(&mut self, key: Key) {
        assert_eq!(self.writer.remove(key), self.model.remove(&key));
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(n, mapping) => self.insert(key(n), mapping),
            Op::Load(n, count) => (n..n + count).for_each(|n| {
                self.insert(key(n), Mapping::new(host(n)));
            }),
            Op::Remove(n) => self.remove(key(n)),
            Op::RemoveMany(n, count) => (n..n + count).for_each(|n| self.remove(key(n))),
            Op::Step(budget) => _ = self.writer.step(budget),
            Op::Expire(now) => {
                let model = &mut self.model;
                while self.writer.expire(now, 3, |key, mapping| {
                    assert!(mapping.is_expired(now));
                    assert_eq!(model.remove(&key), Some(mapping));
                }) == Progress::More
                {}
                assert!(self.model.values().all(|m| !m.is_expired(now)));
            }
            Op::Retain(divisor) => {
                let keep = |key: Key| !key.vaddr().is_multiple_of(divisor);
                let mut cursor = Cursor::default();
                while self.writer.retain_chunk(&mut cursor, 2, |key, _| keep(key)) == Progress::More
                {
                }
                self.model.retain(|&key, _| keep(key));
            }
            Op::Pass => self.pin.quiescent(),
        }
        assert_eq!(self.writer.len(), self.model.len());
    }

    fn compare(&self) {
        let mut cursor = Cursor::default();
        let mut seen = HashMap::new();
        while self
            .writer
            .for_each_chunk(&mut cursor, 5, |key, mapping| _ = seen.insert(key, mapping))
            == Progress::More
        {}
        assert_eq!(seen, self.model);
        let keys: Vec<_> = (0..2310).map(key).collect();
        let mut found = vec![Found::NOTHING; keys.len()];
        self.reader.lookup_burst(&self.pin, &keys, &mut found);
        for (&key, found) in keys.iter().zip(found) {
            let expected = self.model.get(&key).copied();
            assert_eq!(found.mapping(), expected);
            assert_eq!(self.reader.lookup(&self.pin, key), expected);
            assert_eq!(self.writer.get(key), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_operations_agree_with_a_map(
        limit in prop_oneof![Just(40usize), Just(700), Just(100_000)],
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut twin = Twin::new(limit);
        for op in &ops {
            twin.apply(op);
        }
        twin.compare();
    }

    #[test]
    fn prefixes_agree_with_a_search_of_all(
        ops in prop::collection::vec((any::<bool>(), 0..2u32, near(), 0..=32u8), 1..200),
        probes in prop::collection::vec(near(), 20),
    ) {
        let domain = Domain::default();
        let mut writer = Writer::new(&domain, limits(10)).unwrap();
        let reader = writer.readers().reader();
        let pin = domain.register().unwrap();
        let mut model = BTreeMap::new();
        let mut addresses = probes;
        for (i, &(add, vni, addr, len)) in ops.iter().enumerate() {
            let covered = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            let prefix = Prefix::new(vni + 1, addr & covered, len).unwrap();
            addresses.push(addr);
            let mapping = Mapping::new(host(i as u32));
            if add {
                let old = writer.insert_prefix(prefix, mapping).unwrap();
                prop_assert_eq!(old, model.insert(prefix, mapping));
            } else {
                // One that exists, or there would be little to remove.
                let prefix = model.range(prefix..).next().map_or(prefix, |(&p, _)| p);
                prop_assert_eq!(writer.remove_prefix(prefix), model.remove(&prefix));
            }
            prop_assert_eq!(writer.prefix_len(), model.len());
        }
        let mut listed = BTreeMap::new();
        let mut cursor = Cursor::default();
        while writer.for_each_prefix_chunk(&mut cursor, 3, |p, m| _ = listed.insert(p, m))
            == Progress::More {}
        prop_assert_eq!(&listed, &model);
        let (mut keys, mut answers) = (Vec::new(), Vec::new());
        for addr in addresses {
            for vni in 1..=2 {
                let key = Key::new(vni, addr);
                let covering = model.iter().filter(|(prefix, _)| prefix.contains(key));
                let expected = covering.max_by_key(|(prefix, _)| prefix.len()).map(|(_, m)| *m);
                prop_assert_eq!(reader.resolve(&pin, key), expected);
                keys.push(key);
                answers.push(expected);
            }
        }
        // As many at once as come, of two vnets by turns.
        let mut found = vec![Found::NOTHING; keys.len()];
        reader.resolve_burst(&pin, &keys, &mut found);
        let found: Vec<_> = found.into_iter().map(Found::mapping).collect();
        prop_assert_eq!(&found, &answers);
        // Who leaves out where they were before learns where they are.
        let mut reached = vec![Reached::NOTHING; keys.len()];
        reader.reach_burst(&pin, &keys, &mut reached);
        for (reached, answer) in reached.into_iter().map(Reached::mapping).zip(answers) {
            let bare = |mapping: Mapping| (mapping.target, mapping.expires);
            prop_assert_eq!(reached.map(bare), answer.map(bare));
        }
    }
}

#[test]
fn resolve_prefers_the_exact_entry_and_then_the_longest() {
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, limits(10)).unwrap();
    let reader = writer.readers().reader();
    let pin = domain.register().unwrap();
    let (z, y) = (0x5A0001, 0x590001);
    let a = Key::new(z, 0x0A00_0002);
    writer.insert(a, Mapping::new(host(1))).unwrap();
    for (addr, len, to) in [(0x0A00_0000, 8, 8), (0x0A00_0000, 24, 24), (0, 0, 0)] {
        let prefix = Prefix::new(z, addr, len).unwrap();
        let none = writer.insert_prefix(prefix, Mapping::new(host(to)));
        assert_eq!(none, Ok(None));
    }
    let keys = [
        a,
        Key::new(z, 0x0A00_0003),
        Key::new(z, 0x0A01_0003),
        Key::new(z, 0xC000_0201),
        // The other tenant's twin has neither.
        Key::new(y, 0x0A00_0002),
    ];
    let mut out = [Found::NOTHING; 6];
    reader.resolve_burst(&pin, &keys, &mut out);
    let to = |index| Some(Mapping::new(host(index)));
    assert_eq!(
        out.map(Found::mapping),
        [to(1), to(24), to(8), to(0), None, None]
    );
    reader.lookup_burst(&pin, &keys, &mut out);
    assert_eq!(
        out.map(Found::mapping),
        [to(1), None, None, None, None, None]
    );
}

#[test]
fn prefixes_expire_and_are_swept() {
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, limits(10)).unwrap();
    for n in 0..100u32 {
        let prefix = Prefix::new(1, n << 24, 8).unwrap();
        let mapping = Mapping {
            expires: n,
            ..Mapping::new(host(n))
        };
        writer.insert_prefix(prefix, mapping).unwrap();
    }
    let mut gone = 0;
    while writer.expire_prefixes(50, 1, |_, m| {
        assert!(m.is_expired(50));
        gone += 1;
    }) == Progress::More
    {}
    assert_eq!((gone, writer.prefix_len()), (50, 50));
    let mut cursor = Cursor::default();
    while writer.retain_prefix_chunk(&mut cursor, 1, |p, _| p.addr() == 0) == Progress::More {}
    assert_eq!(writer.prefix_len(), 1);
    assert_eq!(
        writer
            .remove_prefix(Prefix::new(1, 0, 8).unwrap())
            .map(|m| m.expires),
        Some(0)
    );
    assert_eq!(writer.prefix_len(), 0);
}

#[test]
fn prefix_limit_and_errors_are_named() {
    let domain = Domain::default();
    let small = Limits {
        prefixes: 2,
        ..limits(1)
    };
    let mut writer = Writer::new(&domain, small).unwrap();
    let prefix = |vni| Prefix::new(vni, 0, 0).unwrap();
    writer
        .insert_prefix(prefix(1), Mapping::new(host(1)))
        .unwrap();
    writer
        .insert_prefix(prefix(2), Mapping::new(host(1)))
        .unwrap();
    let full = writer.insert_prefix(prefix(3), Mapping::new(host(1)));
    let (limit, current) = (2, 2);
    assert_eq!(full, Err(InsertError::Full { limit, current }));
    assert!(
        writer
            .insert_prefix(prefix(2), Mapping::new(host(2)))
            .is_ok()
    );
    let error = Prefix::new(1, 0x0A00_0001, 24).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10.0.0.1/24 has bits set beyond its length; write 10.0.0.0/24"
    );
    assert_eq!(Prefix::new(1, 0, 33), Err(PrefixError::Length(33)));
}

/// A reader with an old directory entry must not take a prefix of the vnet
/// that got the number later.
#[test]
fn a_reused_number_leads_to_no_other_vnet() {
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, limits(10)).unwrap();
    let reader = writer.readers().reader();
    let pin = domain.register().unwrap();
    let prefix = |vni| Prefix::new(vni, 0x0A00_0000, 8).unwrap();
    for vni in [1, 2, 3] {
        writer
            .insert_prefix(prefix(vni), Mapping::new(host(vni)))
            .unwrap();
        let key = Key::new(vni, 0x0A00_0001);
        assert_eq!(reader.resolve(&pin, key), Some(Mapping::new(host(vni))));
        writer.remove_prefix(prefix(vni));
        assert_eq!(reader.resolve(&pin, key), None);
    }
}

#[test]
fn a_stalled_worker_makes_growing_wait_not_fail() {
    let domain = Domain::new(DomainLimits {
        items: 1,
        ..DomainLimits::default()
    });
    let mut writer = Writer::new(&domain, limits(100_000)).unwrap();
    let reader = writer.readers().reader();
    let mut pin = domain.register().unwrap();
    let (mut n, error) = loop_until_error(&mut writer);
    assert!(matches!(error, InsertError::Busy(busy) if busy.behind == 1));
    // One table was replaced and waits; the one that follows is filled well
    // beyond its threshold before an insertion is refused, and nothing is lost.
    assert!(writer.is_growing());
    for i in 0..n {
        assert_eq!(reader.lookup(&pin, key(i)), Some(Mapping::new(host(i))));
    }
    assert_eq!(reader.lookup(&pin, key(n)), None);
    pin.quiescent();
    writer.insert(key(n), Mapping::new(host(n))).unwrap();
    n += 1;
    assert_eq!(writer.len(), n as usize);
    assert!(!writer.is_growing());
}

fn loop_until_error(writer: &mut Writer) -> (u32, InsertError) {
    let mut n = 0;
    loop {
        if let Err(error) = writer.insert(key(n), Mapping::new(host(n))) {
            return (n, error);
        }
        n += 1;
    }
}

/// At the limit everything goes on but one more.
#[test]
fn a_full_table_refuses_only_what_is_new() {
    let domain = Domain::default();
    let mut writer = Writer::new(&domain, limits(1000)).unwrap();
    let reader = writer.readers().reader();
    let mut pin = domain.register().unwrap();
    for n in 0..1000 {
        writer.insert(key(n), Mapping::new(host(n))).unwrap();
        pin.quiescent();
    }
    let refused = writer.insert(key(1000), Mapping::new(host(0))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the table is full: 1000 entries of at most 1000; raise its limit"
    );
    assert_eq!((writer.len(), reader.lookup(&pin, key(1000))), (1000, None));
    for n in 0..1000 {
        let moved = Mapping {
            previous: Some((HostIndex::new(n).unwrap(), 9)),
            expires: u32::from(n % 2 == 0),
            mac: (n % 3 == 0).then_some(Mac([2, 0, 0, 0, (n >> 8) as u8, n as u8])),
            ..Mapping::new(host(n + 1))
        };
        let old = writer.insert(key(n), moved).unwrap();
        assert_eq!(old, Some(Mapping::new(host(n))));
        assert_eq!(reader.lookup(&pin, key(n)), Some(moved));
    }
    assert!(writer.remove(key(1)).is_some());
    writer.insert(key(1000), Mapping::new(host(0))).unwrap();
    assert!(writer.insert(key(1), Mapping::new(host(0))).is_err());
    while writer.expire(1, 7, |_, _| {}) == Progress::More {}
    assert_eq!(writer.len(), 500);
    assert!(writer.insert(key(1), Mapping::new(host(0))).is_ok());
}

/// The overflow bits go away with the keys that needed them.
#[test]
fn an_emptied_table_is_as_good_as_new() {
    let domain = Domain::default();
    let mut writer = RawWriter::new(&domain, 4000, 4000, Seed::random()).unwrap();
    for key in 0..4000 {
        writer.insert(key, [key; 3]).unwrap();
    }
    assert!(writer.overflowing() > 10, "{}", writer.overflowing());
    for key in 0..4000 {
        assert_eq!(writer.remove(key), Some([key; 3]));
    }
    assert_eq!(writer.overflowing(), 0);
}

/// A multiplier of four bits makes neighbours meet: when all groups of a key
/// are full the table is replaced at once, by one with a better seed.
#[test]
fn keys_that_collide_get_another_table() {
    let domain = Domain::default();
    let seed = Seed::from_words([0; 3]);
    let mut writer = RawWriter::new(&domain, 10_000, 10_000, seed).unwrap();
    let before = writer.memory_bytes();
    for key in 0..1000 {
        assert_eq!(writer.insert(key, [key; 3]), Ok(None));
    }
    assert!(writer.memory_bytes() > before, "this seed is no test");
    for key in 0..1000 {
        assert_eq!(writer.get(key), Some([key; 3]));
    }
}

/// Bounds what the layout promises: how full, how far from home.
#[test]
fn nearly_all_keys_are_in_their_first_bucket() {
    let domain = Domain::default();
    let mut writer = RawWriter::new(&domain, 200_000, 200_000, Seed::random()).unwrap();
    for n in 0..200_000u64 {
        writer.insert(0x5A0001 << 32 | n, [n, 0, 0]).unwrap();
    }
    let away = writer.away_from_home();
    assert!(away < 200_000 / 13, "{away}");
    let bytes = writer.memory_bytes();
    assert!(bytes < 200_000 * 43, "{bytes}");
    // Rare words have room of their own, once there are any.
    writer.insert(0x5A0001 << 32, [1, 2, 3]).unwrap();
    let bytes = writer.memory_bytes();
    assert!(bytes < 200_000 * 75, "{bytes}");
}
