//! What was looked at a moment ago: so that asking for everybody costs control
//! as little as asking for one, and is told once.
//!
//! Each key has one place, which a newer one takes over: the memory is bounded
//! whatever a node sends, and forgetting too early only costs a look.

use crate::time::Time;
use crate::wire::{Vaddr, Vni};

/// Places. A scan of more addresses at once is told of again.
const PLACES: usize = 4096;

/// Addresses that were looked at within a while.
#[derive(Debug)]
pub struct Recent {
    places: Box<[Option<Place>]>,
    /// How long it lasts, in milliseconds.
    millis: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    vni: Vni,
    address: Vaddr,
    until: Time,
}

impl Recent {
    pub fn new(millis: u64) -> Recent {
        Recent {
            places: vec![None; PLACES].into_boxed_slice(),
            millis,
        }
    }

    /// Whether it was noted a moment ago.
    pub fn holds(&self, vni: Vni, address: Vaddr, now: Time) -> bool {
        let place = self.places.get(place_of(vni, address)).copied().flatten();
        place.is_some_and(|it| (it.vni, it.address) == (vni, address) && now < it.until)
    }

    /// Notes an address; true if that is news.
    pub fn note(&mut self, vni: Vni, address: Vaddr, now: Time) -> bool {
        if self.holds(vni, address, now) {
            return false;
        }
        if let Some(place) = self.places.get_mut(place_of(vni, address)) {
            *place = Some(Place {
                vni,
                address,
                until: Time(now.0 + self.millis),
            });
        }
        true
    }

    /// Something is new at an address.
    pub fn forget(&mut self, vni: Vni, address: Vaddr) {
        if let Some(place) = self.places.get_mut(place_of(vni, address))
            && place.is_some_and(|it| (it.vni, it.address) == (vni, address))
        {
            *place = None;
        }
    }

    /// Something is new at very many.
    pub fn clear(&mut self) {
        self.places.fill(None);
    }
}

/// Neighbouring addresses, which a scan asks for, have different places.
fn place_of(vni: Vni, address: Vaddr) -> usize {
    let spread = vni.0.wrapping_mul(0x9e37_79b9) >> 20;
    (spread ^ address.0) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: Vni = Vni(0x5a_0001);
    const Y: Vni = Vni(0x59_0001);

    #[test]
    fn what_was_noted_is_no_news_for_a_while() {
        let mut recent = Recent::new(1000);
        let address = Vaddr(0x0a00_0009);
        assert!(!recent.holds(Z, address, Time(0)));
        assert!(recent.note(Z, address, Time(5)));
        assert!(!recent.note(Z, address, Time(1004)));
        assert!(recent.holds(Z, address, Time(1004)));
        assert!(!recent.holds(Y, address, Time(6)), "another vnet");
        assert!(recent.note(Z, address, Time(1005)), "its time was over");
        recent.forget(Y, address);
        assert!(recent.holds(Z, address, Time(1005)));
        recent.forget(Z, address);
        assert!(!recent.holds(Z, address, Time(1005)));
        recent.note(Z, address, Time(2000));
        recent.clear();
        assert!(!recent.holds(Z, address, Time(2000)));
    }

    #[test]
    fn a_scan_of_a_few_thousand_is_held_whole() {
        let mut recent = Recent::new(1000);
        let all = || (0..PLACES as u32).map(|n| Vaddr(0x0a00_0000 + n));
        assert!(all().all(|address| recent.note(Z, address, Time(0))));
        assert!(all().all(|address| recent.holds(Z, address, Time(1))));
        // One more takes a place over, and is held itself.
        let more = Vaddr(0x0a00_0000 + PLACES as u32);
        assert!(recent.note(Z, more, Time(1)));
        assert!(recent.holds(Z, more, Time(1)));
        assert!(!recent.holds(Z, Vaddr(0x0a00_0000), Time(1)));
    }
}
