//! What the relay makes of addresses, as the store has it.

use std::net::IpAddr;

use super::Store;
use super::eams::HeldEam;
use crate::control::proto::{EamGet, Error, ErrorCode, Held, RelayReport, Translation};
use crate::model::{Eam, Relay};
use crate::siit::address_map::{AddressMap, AddressRules};
use crate::siit::rfc6052::Pool6;
use crate::siit::rfc7915::Addresses;
use crate::wire::Vaddr;

/// What a relay says about addresses. Its prefix was checked when it was set.
fn address_rules(relay: &Relay) -> AddressRules {
    AddressRules {
        pool6: relay.pool6.and_then(|prefix| Pool6::new(prefix).ok()),
        strict: relay.well_known_strict,
        deny4: relay.deny4.clone(),
        deny6: relay.deny6.clone(),
        error_sources4: relay.error_sources4.clone(),
        error_source6: relay.error_source6.map(|address| address.octets()),
        own4: Some(relay.ipv4.address.address),
        own6: Some(relay.ipv6.address.address.octets()),
    }
}

impl HeldEam {
    pub(super) fn as_held(&self) -> Held<Eam> {
        Held {
            object: self.eam,
            origin: self.origin,
            revision: self.revision,
            learned: None,
        }
    }
}

fn no_relay() -> Error {
    Error::new(ErrorCode::NotFound, "there is no relay")
}

impl Store {
    /// Which IPv4 address is which IPv6 address for the relay; `None` without
    /// one. Costs little whatever the number of explicit mappings.
    pub fn address_map(&self) -> Option<AddressMap> {
        let rules = address_rules(self.relay()?);
        Some(AddressMap::new(&rules, self.eams().clone()))
    }

    /// Mappings that meet the relay's prefix are counted from now on, so that
    /// [`Store::address_map`] has not to count them.
    pub(super) fn watch_pool(&mut self) {
        let pool = self.relay().and_then(|relay| relay.pool6);
        self.eams.table_mut().watch(pool);
    }

    pub fn get_relay(&self) -> Result<RelayReport, Error> {
        let entry = self.relays.values().next().ok_or_else(no_relay)?;
        Ok(RelayReport {
            relay: entry.held(),
            eams: self.eams.len() as u64,
            state: None,
        })
    }

    /// What becomes of an address, and by what.
    pub fn translate(&self, ask: &EamGet) -> Result<Translation, Error> {
        let map = self.address_map().ok_or_else(no_relay)?;
        let (entry, made) = match ask.address {
            IpAddr::V4(address) => {
                let address = Vaddr::from(address);
                let made = map.to_ipv6(address, true).map(IpAddr::from);
                (map.eams().find4(address), made)
            }
            IpAddr::V6(address) => {
                let address = address.octets();
                let made = map.to_ipv4(&address);
                let made = made.map(|mapped| IpAddr::V4(mapped.address.into()));
                (map.eams().find6(&address), made)
            }
        };
        let held = entry.and_then(|entry| self.eams.get(entry.ipv4()));
        Ok(Translation {
            address: ask.address,
            translated: made.ok(),
            eam: held.map(|held| held.as_held()),
            why: made.err().map(|why| why.to_string()),
        })
    }
}
