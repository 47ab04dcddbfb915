//! The trie beside a list that is searched from end to end.

use proptest::prelude::*;

use super::*;

fn prefix(address: u32, len: u8) -> Prefix4 {
    Prefix4 {
        address: Vaddr(address & Prefix4::mask(len)),
        len,
    }
}

#[derive(Clone, Debug, Default)]
struct Model(Vec<(Prefix4, u32)>);

impl Model {
    fn insert(&mut self, prefix: Prefix4, value: u32) -> Option<u32> {
        match self.0.iter_mut().find(|it| it.0 == prefix) {
            Some(it) => Some(std::mem::replace(&mut it.1, value)),
            None => {
                self.0.push((prefix, value));
                None
            }
        }
    }

    fn remove(&mut self, prefix: Prefix4) -> Option<u32> {
        let at = self.0.iter().position(|it| it.0 == prefix)?;
        Some(self.0.swap_remove(at).1)
    }

    fn find(&self, address: Vaddr) -> Option<u32> {
        let covering = self.0.iter().filter(|it| it.0.contains(address));
        covering.max_by_key(|it| it.0.len).map(|it| it.1)
    }
}

fn agree(lpm: &Lpm, model: &Model, more: &[u32]) -> Result<(), TestCaseError> {
    prop_assert_eq!(lpm.len(), model.0.len());
    prop_assert_eq!(lpm.is_empty(), model.0.is_empty());
    // Both sides of every end.
    let ends = model.0.iter().flat_map(|(prefix, _)| {
        let (first, last) = (
            prefix.address.0,
            prefix.address.0 | !Prefix4::mask(prefix.len),
        );
        [first, first.wrapping_sub(1), last, last.wrapping_add(1)]
    });
    let asked: Vec<Vaddr> = ends.chain(more.iter().copied()).map(Vaddr).collect();
    for address in &asked {
        prop_assert_eq!(lpm.find(*address), model.find(*address), "{}", address);
    }
    for chunk in asked.chunks(BURST) {
        let (mut addresses, mut out) = ([Vaddr(0); BURST], [None; BURST]);
        addresses[..chunk.len()].copy_from_slice(chunk);
        lpm.find_burst(&addresses, 0x5555_5555, &mut out);
        for (i, address) in addresses.iter().enumerate() {
            let expected = lpm.find(*address).filter(|_| i % 2 == 0);
            prop_assert_eq!(out[i], expected);
        }
    }
    for (prefix, value) in &model.0 {
        prop_assert_eq!(lpm.get(*prefix), Some(*value));
    }
    Ok(())
}

/// Within a few bytes of each other, so that they overlap; all lengths.
fn any_prefix() -> impl Strategy<Value = Prefix4> {
    let byte = || prop_oneof![3 => Just(10u8), 2 => 0..4u8, 1 => any::<u8>()];
    let len = prop_oneof![Just(0u8), Just(32), Just(24), Just(16), Just(8), 0..=32u8];
    let bytes = (byte(), byte(), byte(), byte());
    (bytes, len).prop_map(|((a, b, c, d), len)| prefix(u32::from_be_bytes([a, b, c, d]), len))
}

proptest! {
    #[test]
    fn the_trie_is_a_list_searched_for_the_longest(
        changes in prop::collection::vec((any_prefix(), prop::option::weighted(0.7, 0..9u32)), 1..150),
        asked in prop::collection::vec(any::<u32>(), 20),
    ) {
        let (mut lpm, mut model) = (Lpm::new(), Model::default());
        let mut clones = Vec::new();
        for (prefix, value) in changes {
            match value {
                Some(value) => prop_assert_eq!(lpm.insert(prefix, value), model.insert(prefix, value)),
                None => prop_assert_eq!(lpm.remove(prefix), model.remove(prefix)),
            }
            clones.push((lpm.clone(), model.clone()));
        }
        // What was cloned before did not change.
        for (lpm, model) in clones.iter().rev().step_by(7) {
            agree(lpm, model, &asked)?;
        }
        agree(&Lpm::build(model.0.iter().copied()), &model, &asked)?;
        // Down to nothing, and nothing is left behind.
        for (prefix, value) in std::mem::take(&mut model.0) {
            prop_assert_eq!(lpm.remove(prefix), Some(value));
        }
        agree(&lpm, &model, &asked)?;
        prop_assert_eq!(lpm.bytes(), Lpm::new().bytes());
    }
}

#[test]
fn the_whole_space_and_single_addresses() {
    let mut lpm = Lpm::new();
    assert_eq!(lpm.find(Vaddr(0)), None);
    assert_eq!(lpm.insert(prefix(0, 0), 1), None);
    assert_eq!(lpm.insert(prefix(u32::MAX, 32), u32::MAX), None);
    assert_eq!(lpm.insert(prefix(0, 32), 3), None);
    let asked = [0, 1, u32::MAX - 1, u32::MAX].map(|address| lpm.find(Vaddr(address)));
    assert_eq!(asked, [Some(3), Some(1), Some(1), Some(u32::MAX)]);
    assert_eq!(lpm.insert(prefix(0, 0), 5), Some(1));
    assert_eq!(lpm.remove(prefix(0, 32)), Some(3));
    assert_eq!(lpm.remove(prefix(0, 31)), None);
    assert_eq!(lpm.find(Vaddr(0)), Some(5));
}

/// A node with all of its 256 slots and children different.
#[test]
fn full_nodes() {
    let mut lpm = Lpm::new();
    for n in 0..256 {
        lpm.insert(prefix(n << 24, 8), n);
        lpm.insert(prefix(n << 24 | n << 16, 16), 256 + n);
    }
    for n in 0..256 {
        assert_eq!(lpm.find(Vaddr(n << 24 | n << 16 | 7)), Some(256 + n));
        assert_eq!(lpm.find(Vaddr(n << 24 | (n ^ 1) << 16)), Some(n));
    }
    for n in (0..256).step_by(3) {
        assert_eq!(lpm.remove(prefix(n << 24 | n << 16, 16)), Some(256 + n));
    }
    for n in 0..256 {
        let expected = if n % 3 == 0 { n } else { 256 + n };
        assert_eq!(lpm.find(Vaddr(n << 24 | n << 16)), Some(expected));
    }
}
