//! Which IPv4 address is which IPv6 address, for an engine that translates to
//! the letter: deny lists first, then explicit mappings (RFC 7757), then the
//! prefix (RFC 6052).
//!
//! Deny lists hold for what comes in and for what it becomes, or an address
//! that is denied could be written in its other form (RFC 6052 section 5.3).
//!
//! The relay's own addresses are not made by way of the prefix. As a source
//! they would be forged; a packet to one would cross the link twice to reach
//! who has it already, and its other form is nobody's. Where an operator wants
//! them translated, an explicit mapping does it. They *are* translated where
//! they come in, for an error that bears one as its source may be turned
//! around by the router, or by the relay itself.

mod pairs;
mod ranges;
#[cfg(test)]
mod tests;
mod usual;

use std::sync::Arc;

pub use pairs::{End, Ends, Found, Pair4, Pair6, Unpaired};
pub use usual::{Ready, Usual};

use self::ranges::Ranges;
use super::halves::{Halves, halves, joined};
use super::illegal;
use super::rfc6052::{self, Pool6};
use super::rfc7757::Eams;
use super::rfc7915::{Addresses, Mapped4, NoAddress};
use crate::wire::address::Prefix4;
use crate::wire::{Prefix6, Saddr, Vaddr};

/// What an operator says about addresses, explicit mappings apart.
#[derive(Clone, Debug, Default)]
pub struct AddressRules {
    pub pool6: Option<Pool6>,
    /// The well-known prefix stands for global addresses only (RFC 6052
    /// section 3.1).
    pub strict: bool,
    pub deny4: Vec<Prefix4>,
    pub deny6: Vec<Prefix6>,
    /// What errors come from whose source has no IPv4 address (RFC 6791).
    pub error_sources4: Vec<Prefix4>,
    /// The same for a source without IPv6 address.
    pub error_source6: Option<Saddr>,
    /// The translator's own: stand in for error sources that are not given.
    pub own4: Option<Vaddr>,
    pub own6: Option<Saddr>,
}

/// All of it, ready to ask. A clone costs a few counts.
#[derive(Clone, Debug)]
pub struct AddressMap {
    pool6: Option<Pool6>,
    /// The pool is the well-known prefix and the rule for it holds.
    only_global: bool,
    /// Lists that are empty are not asked.
    denies: bool,
    deny4: Ranges<u32>,
    deny6: Ranges<u128>,
    error_sources4: Arc<[Prefix4]>,
    error_source6: Option<Saddr>,
    own4: Option<Vaddr>,
    own6: Option<Halves>,
    eams: Eams,
    usual: Option<Usual>,
}

impl AddressMap {
    /// Put together. Has the mappings counted that overlap the prefix, which
    /// takes the longer the more there are, unless `eams` is from an
    /// [`AddressMap`] with the same prefix.
    pub fn new(rules: &AddressRules, mut eams: Eams) -> AddressMap {
        eams.watch(rules.pool6.map(|pool| pool.prefix()));
        let own4 = rules.own4;
        let mut map = AddressMap {
            pool6: rules.pool6,
            only_global: rules.strict && rules.pool6.is_some_and(|pool| pool.is_well_known()),
            denies: !rules.deny4.is_empty() || !rules.deny6.is_empty(),
            deny4: ranges::of4(&rules.deny4),
            deny6: ranges::of6(&rules.deny6),
            error_sources4: match (&rules.error_sources4[..], own4) {
                ([], Some(address)) => [Prefix4 { address, len: 32 }].into(),
                (given, _) => given.into(),
            },
            error_source6: rules.error_source6.or(rules.own6),
            own4,
            own6: rules.own6.as_ref().map(halves),
            eams,
            usual: None,
        };
        map.usual = Usual::of(&map);
        map
    }

    /// The explicit mappings.
    pub fn eams(&self) -> &Eams {
        &self.eams
    }

    /// The explicit mappings, to be changed; clones made before do not change.
    pub fn eams_mut(&mut self) -> &mut Eams {
        &mut self.eams
    }

    /// Whether an IPv4 address may be looked for.
    #[inline(always)]
    fn admit4(&self, address: Vaddr) -> Result<(), NoAddress> {
        if illegal::ipv4(address) {
            return Err(NoAddress::Illegal);
        }
        if self.denies && self.deny4.contain(address.0) {
            return Err(NoAddress::Denied);
        }
        Ok(())
    }

    /// Whether an IPv6 address may be looked for.
    #[inline(always)]
    fn admit6(&self, address: Halves) -> Result<(), NoAddress> {
        // Nearly all addresses are of 2000::/3, and all of those are legal.
        if address.0 >> 61 != 1 && illegal::ipv6_halves(address) {
            return Err(NoAddress::Illegal);
        }
        if self.denies && self.is_denied6(address) {
            return Err(NoAddress::Denied);
        }
        Ok(())
    }

    #[inline(never)]
    fn is_denied6(&self, address: Halves) -> bool {
        self.deny6.contain(u128::from_be_bytes(joined(address)))
    }

    /// RFC 6052 alone, of an address that was admitted.
    #[inline(always)]
    fn behind_pool(&self, address: Vaddr) -> Result<Halves, NoAddress> {
        let pool = self.pool6.as_ref().ok_or(NoAddress::Unmapped)?;
        if self.only_global && !rfc6052::is_global(address) {
            return Err(NoAddress::Illegal);
        }
        let made = pool.to_halves(address);
        if self.own6 == Some(made) {
            return Err(NoAddress::Denied);
        }
        Ok(made)
    }

    /// The reverse.
    #[inline(always)]
    fn in_pool(&self, address: Halves) -> Result<Vaddr, NoAddress> {
        let pool = self.pool6.as_ref().ok_or(NoAddress::Unmapped)?;
        let made = pool.to_vaddr(address).ok_or(NoAddress::Unmapped)?;
        if self.only_global && !rfc6052::is_global(made) {
            return Err(NoAddress::Illegal);
        }
        if self.own4 == Some(made) {
            return Err(NoAddress::Denied);
        }
        Ok(made)
    }

    /// Whether the prefix has this address and no explicit mapping can.
    #[inline(always)]
    fn is_only_pools(&self, address: Halves) -> bool {
        self.eams.watched() == 0
            && self
                .pool6
                .as_ref()
                .is_some_and(|pool| pool.to_vaddr(address).is_some())
    }
}

impl Addresses for AddressMap {
    #[inline]
    fn to_ipv6(&self, address: Vaddr, explicit: bool) -> Result<Saddr, NoAddress> {
        self.admit4(address)?;
        let entry = explicit.then(|| self.eams.find4(address)).flatten();
        let made = match entry {
            Some(entry) => entry.to_halves(address),
            None => self.behind_pool(address)?,
        };
        self.admit6(made)?;
        Ok(joined(made))
    }

    #[inline]
    fn to_ipv4(&self, address: &Saddr) -> Result<Mapped4, NoAddress> {
        let words = halves(address);
        self.admit6(words)?;
        let entry = match self.is_only_pools(words) {
            true => None,
            false => self.eams.find6(address),
        };
        let made = match entry {
            Some(entry) => entry.to_vaddr(words),
            None => self.in_pool(words)?,
        };
        self.admit4(made)?;
        Ok(Mapped4 {
            address: made,
            explicit: entry.is_some(),
        })
    }

    #[inline]
    fn is_explicit(&self, address: Vaddr) -> bool {
        self.eams.find4(address).is_some()
    }

    /// One of all addresses of the prefixes, each as likely as any other (RFC
    /// 6791 section 5), so that the hops of one traceroute look different.
    fn error_source4(&self, _source: &Saddr, _about: Vaddr, random: u32) -> Option<Vaddr> {
        let size = |prefix: &Prefix4| 1u64 << (32 - prefix.len);
        let total: u64 = self.error_sources4.iter().map(size).sum();
        let mut pick = ((u128::from(random) * u128::from(total)) >> 32) as u64;
        for prefix in &*self.error_sources4 {
            if pick < size(prefix) {
                return Some(Vaddr(prefix.address.0 + pick as u32));
            }
            pick -= size(prefix);
        }
        None
    }

    /// A source that is illegal is put behind the prefix all the same (RFC 7915
    /// section 4.1, for trouble shooting), where the prefix may stand for it.
    fn error_source6(&self, source: Vaddr, _about: &Saddr) -> Option<Saddr> {
        if illegal::ipv4(source)
            && let Ok(made) = self.behind_pool(source)
        {
            return Some(joined(made));
        }
        self.error_source6
    }
}
