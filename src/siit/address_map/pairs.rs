//! Both addresses of a packet: the lookups of a burst wait for memory
//! together, and what the new addresses change in a checksum comes with them.
//!
//! A relay's packet has an explicit mapping at one end and a stranger behind
//! the prefix at the other. The stranger costs no lookup: his IPv4 address ends
//! at the bitmap of [`Eams`], his IPv6 address at the prefix, as long as no
//! mapping overlaps that.
//!
//! A burst takes two steps, `find…` for all of it and `pair…` for each packet,
//! so that what was found is not written down in between but for a reference.
//! IPv6 addresses are halves in processor order throughout: bytes that are
//! written singly and read as a word stall for longer than all of this takes.
//!
//! [`Eams`]: crate::siit::rfc7757::Eams

use super::AddressMap;
use crate::siit::halves::{Halves, halves};
use crate::siit::rfc7757::{BURST, Entry};
use crate::siit::rfc7915::NoAddress;
use crate::wire::{Saddr, Vaddr, checksum};

/// Addresses of a packet that becomes IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pair6 {
    pub source: Halves,
    pub destination: Halves,
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

/// Both ends of a burst's packets.
#[derive(Clone, Copy, Debug)]
pub struct Ends<T> {
    pub sources: [T; BURST],
    pub destinations: [T; BURST],
}

impl<T: Copy> Ends<T> {
    #[inline(always)]
    pub fn new(nothing: T) -> Ends<T> {
        Ends {
            sources: [nothing; BURST],
            destinations: [nothing; BURST],
        }
    }
}

/// The explicit mappings of both ends.
pub type Found<'a> = Ends<Option<&'a Entry>>;

impl AddressMap {
    /// The mappings of a burst's packets that become IPv6, of those whose bit is
    /// set. With `explicit_sources` false, sources have none.
    #[inline(always)]
    pub fn find_to_ipv6(&self, of: &Ends<Vaddr>, asked: u32, explicit_sources: bool) -> Found<'_> {
        let mut found = Found::new(None);
        if explicit_sources {
            self.eams
                .find4_burst(&of.sources, asked, &mut found.sources);
        }
        self.eams
            .find4_burst(&of.destinations, asked, &mut found.destinations);
        found
    }

    /// The same for packets that become IPv4.
    #[inline(always)]
    pub fn find_to_ipv4(&self, of: &Ends<Halves>, asked: u32) -> Found<'_> {
        let mut found = Found::new(None);
        let sources = self.not_only_pools(&of.sources, asked);
        self.eams
            .find6_burst(&of.sources, sources, &mut found.sources);
        let destinations = self.not_only_pools(&of.destinations, asked);
        self.eams
            .find6_burst(&of.destinations, destinations, &mut found.destinations);
        found
    }

    /// Takes out addresses that the prefix has and no explicit mapping can.
    #[inline(always)]
    fn not_only_pools(&self, addresses: &[Halves; BURST], asked: u32) -> u32 {
        let Some(pool) = self.pool6.as_ref().filter(|_| self.eams.watched() == 0) else {
            return asked;
        };
        let mut pools = 0;
        if let Some(usual) = self.usual() {
            for (i, address) in addresses.iter().enumerate() {
                pools |= u32::from(usual.is_pools(*address)) << i;
            }
            return asked & !pools;
        }
        for (i, address) in addresses.iter().enumerate() {
            pools |= u32::from(pool.to_vaddr(*address).is_some()) << i;
        }
        asked & !pools
    }

    /// What becomes of one packet's addresses, with what was found for them.
    #[inline(always)]
    pub fn pair6(
        &self,
        (source, destination): (Vaddr, Vaddr),
        (one, other): (Option<&Entry>, Option<&Entry>),
    ) -> Result<Pair6, Unpaired> {
        let (source, first) = self.one6(source, one).map_err(End::Source.has())?;
        let (destination, second) = self
            .one6(destination, other)
            .map_err(End::Destination.has())?;
        Ok(Pair6 {
            source,
            destination,
            delta: checksum::fold(u64::from(first) + u64::from(second)),
        })
    }

    #[inline(always)]
    fn one6(&self, address: Vaddr, entry: Option<&Entry>) -> Result<(Halves, u16), NoAddress> {
        self.admit4(address)?;
        let Some(entry) = entry else {
            return self.behind_pool_with_delta(address);
        };
        let made = entry.to_halves(address);
        self.admit6(made)?;
        Ok((made, entry.delta(address, made)))
    }

    #[inline(always)]
    fn behind_pool_with_delta(&self, address: Vaddr) -> Result<(Halves, u16), NoAddress> {
        let made = self.behind_pool(address)?;
        // No prefix makes an illegal address.
        if self.denies {
            self.admit6(made)?;
        }
        Ok((made, self.pool_delta(address, made)))
    }

    #[inline(always)]
    fn pool_delta(&self, ipv4: Vaddr, ipv6: Halves) -> u16 {
        self.pool6.as_ref().map_or(0, |pool| pool.delta(ipv4, ipv6))
    }

    /// The same for a packet that becomes IPv4.
    #[inline(always)]
    pub fn pair4(
        &self,
        (source, destination): (Halves, Halves),
        (one, other): (Option<&Entry>, Option<&Entry>),
    ) -> Result<Pair4, Unpaired> {
        let (source, first) = self.one4(source, one).map_err(End::Source.has())?;
        let (destination, second) = self
            .one4(destination, other)
            .map_err(End::Destination.has())?;
        Ok(Pair4 {
            source,
            destination,
            // Deltas are of the other direction.
            delta: !checksum::fold(u64::from(first) + u64::from(second)),
            returns: other.is_none() && self.eams.has4(destination),
        })
    }

    #[inline(always)]
    fn one4(&self, address: Halves, entry: Option<&Entry>) -> Result<(Vaddr, u16), NoAddress> {
        self.admit6(address)?;
        let (made, delta) = match entry {
            Some(entry) => {
                let made = entry.to_vaddr(address);
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

    /// Both addresses of a single packet that becomes IPv6.
    pub fn find_pair6(&self, of: (Vaddr, Vaddr), explicit_source: bool) -> Result<Pair6, Unpaired> {
        let source = explicit_source.then(|| self.eams.find4(of.0)).flatten();
        self.pair6(of, (source, self.eams.find4(of.1)))
    }

    /// Both addresses of a single packet that becomes IPv4.
    pub fn find_pair4(&self, of: (Saddr, Saddr)) -> Result<Pair4, Unpaired> {
        let found = (self.eams.find6(&of.0), self.eams.find6(&of.1));
        self.pair4((halves(&of.0), halves(&of.1)), found)
    }
}

impl End {
    #[inline(always)]
    fn has(self) -> impl Fn(NoAddress) -> Unpaired {
        move |why| Unpaired { end: self, why }
    }
}
