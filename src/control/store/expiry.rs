//! Mappings whose time is over leave the store, a few places a call.

use super::{Store, mappings};
use crate::control::plant::Plant;

/// Places looked at in one call: a million mappings are seen every two
/// seconds at a call a millisecond. The plant judges expiry itself by the
/// second; this only gives the memory back.
const BUCKETS: usize = 2048;

impl Store {
    pub fn expire(&mut self, plant: &mut impl Plant, now: u32) -> usize {
        self.object_tombs.expire(now, 64);
        self.mapping_tombs.expire(now, 1024);
        self.eam_tombs.expire(now, 1024);
        if self.mappings.expiring() == 0 {
            return 0;
        }
        let mut cursor = self.expiry;
        let mut gone = Vec::new();
        let end = self.mappings.walk(&mut cursor, BUCKETS, |slot| {
            if slot.expires().is_some_and(|at| at <= now) {
                gone.push(slot.key());
            }
            true
        });
        self.expiry = if end {
            mappings::Cursor::default()
        } else {
            cursor
        };
        for key in &gone {
            self.mappings.take(*key);
            plant.mapping_remove(key.vni, key.prefix);
        }
        gone.len()
    }
}
