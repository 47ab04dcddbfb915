//! Numbers of nodes and of outsiders: mappings in the table name them, so they
//! stay what they are as long as the object exists.

use hashbrown::HashMap;

use crate::mapping::{NodeIndex, SideIndex};

/// A number that the mapping table can name.
pub trait Index: Copy {
    fn new(number: u32) -> Option<Self>;
}

impl Index for NodeIndex {
    fn new(number: u32) -> Option<Self> {
        NodeIndex::new(number)
    }
}

impl Index for SideIndex {
    fn new(number: u32) -> Option<Self> {
        SideIndex::new(number)
    }
}

/// Numbers of nodes, or of outsiders, by name; kept for the life of each.
#[derive(Debug)]
pub struct Numbers<I> {
    by_name: HashMap<String, I>,
    free: Vec<I>,
    pub(super) next: u32,
}

impl<I> Default for Numbers<I> {
    fn default() -> Self {
        Numbers {
            by_name: HashMap::new(),
            free: Vec::new(),
            next: 0,
        }
    }
}

impl<I: Index> Numbers<I> {
    /// Brings the numbers in step with the bindings there are. A freed number
    /// is given out again only at a later call, when nothing names it.
    pub fn update<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let wanted: hashbrown::HashSet<&str> = names.collect();
        let mut freed = Vec::new();
        self.by_name.retain(|name, index| {
            let keep = wanted.contains(name.as_str());
            if !keep {
                freed.push(*index);
            }
            keep
        });
        for name in wanted {
            if self.by_name.contains_key(name) {
                continue;
            }
            let fresh = self.free.pop().or_else(|| {
                let index = I::new(self.next)?;
                self.next += 1;
                Some(index)
            });
            if let Some(index) = fresh {
                self.by_name.insert(name.to_owned(), index);
            }
        }
        self.free.extend(freed);
    }

    pub fn get(&self, name: &str) -> Option<I> {
        self.by_name.get(name).copied()
    }
}
