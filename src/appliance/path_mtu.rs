//! What routers on the way said about the size of packets to a host.
//!
//! A node that sets DF is told and adapts; packets without DF are cut here, so
//! the host must know. An entry lasts ten minutes (RFC 8201 section 4 asks
//! for at least five before trying more again).

use hashbrown::HashMap;

use crate::time::Time;

const LASTS: u64 = 10 * 60 * 1000;
/// One for each host there may be, so that forged errors cannot fill memory.
const MOST: usize = 65_536;

/// MTUs by the locator's bits.
#[derive(Debug, Default)]
pub(super) struct PathMtus {
    mtus: HashMap<u128, u16>,
    until: HashMap<u128, Time>,
}

impl PathMtus {
    /// Whether the workers have to hear of it.
    pub(super) fn lower(&mut self, locator: u128, mtu: u16, now: Time) -> bool {
        let known = self.mtus.get(&locator).copied();
        if known.is_none() && self.mtus.len() >= MOST {
            return false;
        }
        self.until.insert(locator, now.after(LASTS));
        let lower = known.is_none_or(|known| mtu < known);
        if lower {
            self.mtus.insert(locator, mtu);
        }
        lower
    }

    /// Forgets what is too old; true if anything was.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let before = self.mtus.len();
        if before > 0 {
            self.until.retain(|_, until| *until > now);
            self.mtus
                .retain(|locator, _| self.until.contains_key(locator));
        }
        self.mtus.len() != before
    }

    pub(super) fn by_locator(&self) -> &HashMap<u128, u16> {
        &self.mtus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mtus_only_fall_until_they_are_forgotten() {
        let mut mtus = PathMtus::default();
        assert!(mtus.lower(1, 1400, Time(0)));
        assert!(!mtus.lower(1, 1450, Time(10)));
        assert!(mtus.lower(1, 1300, Time(20)));
        assert_eq!(mtus.by_locator().get(&1), Some(&1300));
        assert!(!mtus.expire(Time(LASTS + 19)));
        assert!(mtus.expire(Time(LASTS + 20)));
        assert!(mtus.by_locator().is_empty());
    }
}
