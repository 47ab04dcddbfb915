//! Both addresses of a packet, for a burst of packets: the lookups of a burst
//! wait for memory together, and what the new addresses change in a checksum
//! comes with them.
//!
//! A relay's packet has an explicit mapping at one end and a stranger behind
//! the prefix at the other. The stranger costs no lookup: his IPv4 address ends
//! at the bitmap of [`Eams`], his IPv6 address at the prefix, as long as no
//! mapping overlaps that.
//!
//! [`Eams`]: crate::siit::rfc7757::Eams

use super::AddressMap;
use crate::siit::rfc7757::{BURST, Entry};
use crate::siit::rfc7915::NoAddress;
use crate::wire::{Saddr, Vaddr, checksum};

/// Addresses of a packet that becomes IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair6 {
    pub source: Saddr,
    pub destination: Saddr,
    /// For [`checksum::adjust`]: the new addresses in place of the old ones.
    pub delta: u16,
}

/// Addresses of a packet that becomes IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair4 {
    pub source: Vaddr,
    pub destination: Vaddr,
    /// For [`checksum::adjust`]: the new addresses in place of the old ones.
    pub delta: u16,
    /// The destination was translated by RFC 6052, and an explicit mapping
    /// covers what it became: conditions A2 and A3 of RFC 7757 section 4.2.2.
    pub returns: bool,
}

/// Of which end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Source,
    Destination,
}

/// Which address has no counterpart, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unpaired {
    pub end: End,
    pub why: NoAddress,
}

impl AddressMap {
    /// Translates `pairs` of source and destination; `out[i]` is what becomes
    /// of `pairs[i]`, the same as by [`to_ipv6`] of each. With
    /// `explicit_sources` false, sources are translated by RFC 6052 only.
    ///
    /// [`to_ipv6`]: crate::siit::rfc7915::Addresses::to_ipv6
    #[inline]
    pub fn pairs_to_ipv6(
        &self,
        pairs: &[(Vaddr, Vaddr)],
        explicit_sources: bool,
        out: &mut [Result<Pair6, Unpaired>],
    ) {
        for (pairs, out) in pairs.chunks(BURST).zip(out.chunks_mut(BURST)) {
            let n = pairs.len();
            let mut asked = [Vaddr(0); BURST];
            let (mut sources, mut destinations) = ([None; BURST], [None; BURST]);
            if explicit_sources {
                for (asked, pair) in asked.iter_mut().zip(pairs) {
                    *asked = pair.0;
                }
                self.eams.find4_burst(&asked[..n], &mut sources[..n]);
            }
            for (asked, pair) in asked.iter_mut().zip(pairs) {
                *asked = pair.1;
            }
            self.eams.find4_burst(&asked[..n], &mut destinations[..n]);
            let found = sources.iter().zip(&destinations);
            for ((pair, out), found) in pairs.iter().zip(out).zip(found) {
                *out = self.pair6(*pair, *found.0, *found.1);
            }
        }
    }

    #[inline(always)]
    fn pair6(
        &self,
        pair: (Vaddr, Vaddr),
        source: Option<&Entry>,
        destination: Option<&Entry>,
    ) -> Result<Pair6, Unpaired> {
        let (source, first) = self.one6(pair.0, source).map_err(End::Source.has())?;
        let (destination, second) = self
            .one6(pair.1, destination)
            .map_err(End::Destination.has())?;
        Ok(Pair6 {
            source,
            destination,
            delta: checksum::fold(u64::from(first) + u64::from(second)),
        })
    }

    #[inline(always)]
    fn one6(&self, address: Vaddr, entry: Option<&Entry>) -> Result<(Saddr, u16), NoAddress> {
        self.admit4(address)?;
        let (made, delta) = match entry {
            Some(entry) => {
                let made = entry.to_ipv6(address);
                (made, entry.delta(address, &made))
            }
            None => self.behind_pool_with_delta(address)?,
        };
        self.admit6(&made)?;
        Ok((made, delta))
    }

    #[inline(always)]
    fn behind_pool_with_delta(&self, address: Vaddr) -> Result<(Saddr, u16), NoAddress> {
        let made = self.behind_pool(address)?;
        Ok((made, self.pool_delta(address, &made)))
    }

    #[inline(always)]
    fn pool_delta(&self, ipv4: Vaddr, ipv6: &Saddr) -> u16 {
        self.pool6.as_ref().map_or(0, |pool| pool.delta(ipv4, ipv6))
    }

    /// The same for packets that become IPv4.
    #[inline]
    pub fn pairs_to_ipv4(&self, pairs: &[(Saddr, Saddr)], out: &mut [Result<Pair4, Unpaired>]) {
        for (pairs, out) in pairs.chunks(BURST).zip(out.chunks_mut(BURST)) {
            let n = pairs.len();
            let asked = |address: &Saddr| (!self.is_only_pools(address)).then_some(*address);
            let mut keys = [None; BURST];
            let (mut sources, mut destinations) = ([None; BURST], [None; BURST]);
            for (key, pair) in keys.iter_mut().zip(pairs) {
                *key = asked(&pair.0);
            }
            self.eams.find6_burst(&keys[..n], &mut sources[..n]);
            for (key, pair) in keys.iter_mut().zip(pairs) {
                *key = asked(&pair.1);
            }
            self.eams.find6_burst(&keys[..n], &mut destinations[..n]);
            let found = sources.iter().zip(&destinations);
            for ((pair, out), found) in pairs.iter().zip(out).zip(found) {
                *out = self.pair4(pair, *found.0, *found.1);
            }
        }
    }

    #[inline(always)]
    fn pair4(
        &self,
        pair: &(Saddr, Saddr),
        source: Option<&Entry>,
        destination: Option<&Entry>,
    ) -> Result<Pair4, Unpaired> {
        let explicit = destination.is_some();
        let (source, first) = self.one4(&pair.0, source).map_err(End::Source.has())?;
        let (destination, second) = self
            .one4(&pair.1, destination)
            .map_err(End::Destination.has())?;
        Ok(Pair4 {
            source,
            destination,
            // Deltas are of the other direction.
            delta: !checksum::fold(u64::from(first) + u64::from(second)),
            returns: !explicit && self.eams.find4(destination).is_some(),
        })
    }

    #[inline(always)]
    fn one4(&self, address: &Saddr, entry: Option<&Entry>) -> Result<(Vaddr, u16), NoAddress> {
        self.admit6(address)?;
        let (made, delta) = match entry {
            Some(entry) => {
                let made = entry.to_ipv4(address);
                (made, entry.delta(made, address))
            }
            None => {
                let made = self.in_pool(address)?;
                (made, self.pool_delta(made, address))
            }
        };
        self.admit4(made)?;
        Ok((made, delta))
    }
}

impl End {
    #[inline(always)]
    fn has(self) -> impl Fn(NoAddress) -> Unpaired {
        move |why| Unpaired { end: self, why }
    }
}
