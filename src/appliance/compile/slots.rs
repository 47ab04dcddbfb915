//! Slots of the nodes of this host, in layout `slot`.

use hashbrown::{HashMap, HashSet};

use crate::model::Binding;
use crate::wire::Mark;

/// By the nodes' names. A slot that was found for a node stays with it as long
/// as there is a binding, and nobody else was given it.
#[derive(Debug, Default)]
pub struct Slots(HashMap<String, u8>);

impl Slots {
    /// Brings the slots in step with the bindings, which come in the order of
    /// their names: first those that say which, then those that have one
    /// already, and whoever is left takes the lowest free ones.
    pub fn update(&mut self, bindings: &[&Binding]) {
        let given: HashMap<&str, u8> = bindings
            .iter()
            .filter_map(|one| Some((one.name.as_str(), one.slot?)))
            .collect();
        let mut taken: HashSet<u8> = given.values().copied().collect();
        let mut wanting = Vec::new();
        let before = std::mem::take(&mut self.0);
        for name in bindings.iter().map(|one| one.name.as_str()) {
            let kept = before
                .get(name)
                .copied()
                .filter(|slot| !taken.contains(slot));
            match (given.get(name), kept) {
                (Some(&slot), _) => drop(self.0.insert(name.to_owned(), slot)),
                (None, Some(slot)) => {
                    taken.insert(slot);
                    self.0.insert(name.to_owned(), slot);
                }
                (None, None) => wanting.push(name),
            }
        }
        let mut free = (0..Mark::SLOTS as u8).filter(|slot| !taken.contains(slot));
        for name in wanting {
            match free.next() {
                Some(slot) => drop(self.0.insert(name.to_owned(), slot)),
                None => return,
            }
        }
    }

    /// A node's slot; of more nodes than there are slots, some have none.
    pub fn get(&self, name: &str) -> Option<u8> {
        self.0.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(name: &str, slot: Option<u8>) -> Binding {
        let text = format!("name = \"{name}\"\nvnet = \"Z\"\naddress = \"10.0.0.2\"\nport = \"p\"");
        Binding {
            slot,
            ..toml::from_str(&text).unwrap()
        }
    }

    fn after(slots: &mut Slots, wanted: &[(&str, Option<u8>)]) -> Vec<Option<u8>> {
        let bindings: Vec<_> = wanted
            .iter()
            .map(|(name, slot)| binding(name, *slot))
            .collect();
        slots.update(&bindings.iter().collect::<Vec<_>>());
        wanted.iter().map(|(name, _)| slots.get(name)).collect()
    }

    #[test]
    fn the_lowest_free_ones_in_order() {
        let mut slots = Slots::default();
        let wanted = [("a", None), ("b", Some(0)), ("c", None), ("d", Some(63))];
        assert_eq!(after(&mut slots, &wanted), [1, 0, 2, 63].map(Some));
    }

    #[test]
    fn a_node_keeps_its_own_unless_another_is_given_it() {
        let mut slots = Slots::default();
        after(&mut slots, &[("a", None), ("b", None), ("c", None)]);
        let wanted = [("b", None), ("c", None), ("d", None)];
        assert_eq!(after(&mut slots, &wanted), [1, 2, 0].map(Some));
        let wanted = [("b", None), ("c", None), ("d", Some(2))];
        assert_eq!(after(&mut slots, &wanted), [1, 0, 2].map(Some));
        assert_eq!(slots.get("a"), None);
    }

    #[test]
    fn there_are_64() {
        let names: Vec<_> = (0..65).map(|n| format!("n{n:02}")).collect();
        let wanted: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
        let got = after(&mut Slots::default(), &wanted);
        assert_eq!(got[63..], [Some(63), None]);
    }
}
