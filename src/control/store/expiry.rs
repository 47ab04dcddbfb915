//! Mappings and members whose time is over leave the store, a few places a call.

use super::{Store, mappings};
use crate::control::plant::Plant;
use crate::model::Member;

/// Places looked at in one call: a million mappings are seen every two
/// seconds at a call a millisecond. The plant judges expiry itself by the
/// second; this only gives the memory back.
const BUCKETS: usize = 2048;

impl Store {
    pub fn expire(&mut self, plant: &mut impl Plant, now: u32) -> usize {
        self.object_tombs.expire(now, 64);
        self.mapping_tombs.expire(now, 1024);
        self.eam_tombs.expire(now, 1024);
        let members = self.expire_members(plant, now);
        if self.mappings.expiring() == 0 {
            return members;
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
        members + gone.len()
    }

    /// Members of groups are few enough to be looked at together, when the first
    /// of them ends.
    fn expire_members(&mut self, plant: &mut impl Plant, now: u32) -> usize {
        if self.indices.member_ends.is_none_or(|first| first > now) {
            return 0;
        }
        let over = |at: u32| at <= now;
        let ended = self.members.iter();
        let ended = ended.filter(|(_, entry)| entry.object.expires.is_some_and(over));
        let gone: Vec<_> = ended.map(|(key, _)| key.clone()).collect();
        for key in &gone {
            drop(self.take::<Member>(key));
        }
        self.indices.member_ends = self.members().filter_map(|member| member.expires).min();
        if !gone.is_empty()
            && let Err(error) = plant.topology_changed(self)
        {
            log::error!("members of groups that have ended: {error}");
        }
        gone.len()
    }
}
