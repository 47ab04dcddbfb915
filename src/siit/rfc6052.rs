//! IPv6 addresses that contain IPv4 addresses (RFC 6052).
//!
//! ```text
//! bit 0        32  40  48  56  64  72  80  88  96  104     128
//! /32 | prefix  |  address      | u |       suffix          |
//! /40 | prefix      |  address  | u | a |     suffix        |
//! /48 | prefix          | addr. | u | addr. |   suffix      |
//! /56 | prefix              | a | u |  address  |  suffix   |
//! /64 | prefix                  | u |    address    | suffix|
//! /96 | prefix                                  |  address  |
//! ```
//!
//! `u` is zero. The suffix is written as zero and not looked at, which is what
//! section 2.2 asks of a receiver; an address whose `u` is not zero does not
//! have the format, so it contains nothing.

use super::halves::{self, Halves, halves, joined};
use super::illegal;
use crate::wire::{Prefix6, Saddr, Vaddr, checksum};

/// `64:ff9b::/96` (section 2.1).
const WELL_KNOWN: u128 = 0x0064_ff9b << 96;

/// Why a prefix cannot hold IPv4 addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPool {
    #[error("{0} cannot contain IPv4 addresses: its length must be 32, 40, 48, 56, 64 or 96")]
    Length(Prefix6),
    #[error("{0} cannot contain IPv4 addresses: bits 64 to 71 must be zero (RFC 6052 section 2.2)")]
    ReservedBits(Prefix6),
    #[error("{0} cannot contain IPv4 addresses: it is not of global unicast addresses")]
    Scope(Prefix6),
}

/// A prefix that IPv4 addresses are put behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool6 {
    high: u64,
    low: u64,
    len: u8,
    well_known: bool,
    /// What the prefix adds to a checksum; with /96 that is all that replacing
    /// the address changes.
    sum: u16,
}

impl Pool6 {
    /// A checked prefix.
    pub fn new(prefix: Prefix6) -> Result<Pool6, BadPool> {
        let len = prefix.len();
        if !matches!(len, 32 | 40 | 48 | 56 | 64 | 96) {
            return Err(BadPool::Length(prefix));
        }
        let (high, low) = halves(&prefix.bits().to_be_bytes());
        if low >> 56 != 0 {
            return Err(BadPool::ReservedBits(prefix));
        }
        if illegal::ipv6(&prefix.bits().to_be_bytes()) {
            return Err(BadPool::Scope(prefix));
        }
        Ok(Pool6 {
            high,
            low,
            len,
            well_known: len == 96 && prefix.bits() == WELL_KNOWN,
            sum: checksum::fold(checksum::sum(&prefix.bits().to_be_bytes())),
        })
    }

    /// The prefix it was made from.
    pub fn prefix(&self) -> Prefix6 {
        let bits = u128::from(self.high) << 64 | u128::from(self.low);
        // Checked when it was made; a fallback only for the compiler.
        Prefix6::new(bits.into(), self.len).unwrap_or(Prefix6::ANY)
    }

    /// The IPv6 address that contains an IPv4 address.
    #[inline(always)]
    pub fn to_ipv6(&self, address: Vaddr) -> Saddr {
        joined(self.to_halves(address))
    }

    /// [`to_ipv6`](Self::to_ipv6) as two words.
    #[inline(always)]
    pub fn to_halves(&self, address: Vaddr) -> Halves {
        if self.len == 96 {
            return (self.high, self.low | u64::from(address.0));
        }
        // The address with its first bit where the first bit of a half is:
        // moved right, what leaves the upper half goes on after `u`.
        let word = u64::from(address.0) << 32;
        let len = u32::from(self.len);
        let high = word.checked_shr(len).unwrap_or(0);
        let low = word << (64 - len) >> 8;
        (self.high | high, self.low | low)
    }

    /// The IPv4 address in an address, if it has the prefix and the format.
    #[inline(always)]
    pub fn to_ipv4(&self, address: &Saddr) -> Option<Vaddr> {
        self.to_vaddr(halves(address))
    }

    /// [`to_ipv4`](Self::to_ipv4) of two words.
    #[inline(always)]
    pub fn to_vaddr(&self, (high, low): Halves) -> Option<Vaddr> {
        if self.len == 96 {
            let own = high == self.high && low >> 32 == self.low >> 32;
            return own.then_some(Vaddr(low as u32));
        }
        let len = u32::from(self.len);
        let own = (high ^ self.high) >> (64 - len) == 0 && low >> 56 == 0;
        let word = high.checked_shl(len).unwrap_or(0) | low << 8 >> (64 - len);
        own.then_some(Vaddr((word >> 32) as u32))
    }

    /// Whether this is the well-known prefix, which must not stand before an
    /// address that is not global (section 3.1).
    #[inline(always)]
    pub fn is_well_known(&self) -> bool {
        self.well_known
    }

    /// What a checksum changes by when an IPv4 address is replaced by the IPv6
    /// address made from it.
    #[inline(always)]
    pub fn delta(&self, address: Vaddr, made: Halves) -> u16 {
        if self.len == 96 {
            return self.sum;
        }
        halves::delta(address.0, made)
    }
}

/// IPv4 addresses that are not global, as section 3.1 means it: those of
/// section 3 of RFC 5735, documentation and benchmarks included, and the
/// shared ones that came later (RFC 6598).
pub fn is_global(address: Vaddr) -> bool {
    const NOT_GLOBAL: [(u32, u32); 15] = [
        (0x0000_0000, 8),  // 0.0.0.0/8, this network
        (0x0a00_0000, 8),  // 10.0.0.0/8, private
        (0x6440_0000, 10), // 100.64.0.0/10, shared
        (0x7f00_0000, 8),  // 127.0.0.0/8, loopback
        (0xa9fe_0000, 16), // 169.254.0.0/16, link-local
        (0xac10_0000, 12), // 172.16.0.0/12, private
        (0xc000_0000, 24), // 192.0.0.0/24, protocols
        (0xc000_0200, 24), // 192.0.2.0/24, documentation
        (0xc058_6300, 24), // 192.88.99.0/24, 6to4 relays
        (0xc0a8_0000, 16), // 192.168.0.0/16, private
        (0xc612_0000, 15), // 198.18.0.0/15, benchmarks
        (0xc633_6400, 24), // 198.51.100.0/24, documentation
        (0xcb00_7100, 24), // 203.0.113.0/24, documentation
        (0xe000_0000, 4),  // 224.0.0.0/4, groups
        (0xf000_0000, 4),  // 240.0.0.0/4, reserved and broadcast
    ];
    !NOT_GLOBAL
        .iter()
        .any(|(prefix, len)| (address.0 ^ prefix) >> (32 - len) == 0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    fn pool(text: &str) -> Pool6 {
        Pool6::new(text.parse().unwrap()).unwrap()
    }

    fn v4(text: &str) -> Vaddr {
        text.parse().unwrap()
    }

    fn v6(text: &str) -> Saddr {
        text.parse::<Ipv6Addr>().unwrap().octets()
    }

    /// Tables 1 and 2 of section 2.4, and the example of section 3.3.
    #[test]
    fn examples_of_the_rfc() {
        for (prefix, address, whole) in [
            ("2001:db8::/32", "192.0.2.33", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "192.0.2.33", "2001:db8:1c0:2:21::"),
            (
                "2001:db8:122::/48",
                "192.0.2.33",
                "2001:db8:122:c000:2:2100::",
            ),
            (
                "2001:db8:122:300::/56",
                "192.0.2.33",
                "2001:db8:122:3c0:0:221::",
            ),
            (
                "2001:db8:122:344::/64",
                "192.0.2.33",
                "2001:db8:122:344:c0:2:2100::",
            ),
            (
                "2001:db8:122:344::/96",
                "192.0.2.33",
                "2001:db8:122:344::192.0.2.33",
            ),
            ("64:ff9b::/96", "192.0.2.33", "64:ff9b::192.0.2.33"),
        ] {
            let pool = pool(prefix);
            assert_eq!(pool.to_ipv6(v4(address)), v6(whole), "{prefix}");
            assert_eq!(pool.to_ipv4(&v6(whole)), Some(v4(address)), "{prefix}");
            assert_eq!(pool.prefix().to_string(), prefix);
        }
    }

    #[test]
    fn prefixes_of_other_forms_are_refused() {
        let new = |text: &str| Pool6::new(text.parse().unwrap());
        for len in 0..=128u8 {
            let prefix = Prefix6::new(Ipv6Addr::from(0x2001_0db8 << 96), len.max(32)).unwrap();
            let good = [32, 40, 48, 56, 64, 96].contains(&len.max(32));
            assert_eq!(Pool6::new(prefix).is_ok(), good, "{len}");
        }
        assert!(matches!(new("::/0"), Err(BadPool::Length(_))));
        let reserved = "2001:db8:0:0:100::/96";
        assert_eq!(
            new(reserved),
            Err(BadPool::ReservedBits(reserved.parse().unwrap()))
        );
        // Bit 72 is not one of them.
        assert!(new("2001:db8:0:0:80::/96").is_ok());
        for scope in ["fe80::/64", "ff0e::/96", "::ffff:0:0/96", "::/96"] {
            assert!(matches!(new(scope), Err(BadPool::Scope(_))), "{scope}");
        }
        assert!(new("64:ff9b:1::/48").is_ok());
    }

    #[test]
    fn the_suffix_is_ignored_and_the_reserved_octet_is_not() {
        for (prefix, address) in [
            ("2001:db8::/32", "2001:db8:c000:221:ff:ffff:ffff:ffff"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:21ff:ffff:ffff"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:21ff:ffff"),
        ] {
            let (pool, mut address) = (pool(prefix), v6(address));
            assert_eq!(pool.to_ipv4(&address), Some(v4("192.0.2.33")), "{prefix}");
            address[8] = 1;
            assert_eq!(pool.to_ipv4(&address), None, "{prefix}");
        }
        let pool = pool("64:ff9b::/96");
        assert_eq!(pool.to_ipv4(&v6("64:ff9b:0:0:100::1")), None);
        assert_eq!(pool.to_ipv4(&v6("64:ff9b::1:0:1")), None);
        assert_eq!(pool.to_ipv4(&v6("64:ff9a::1")), None);
    }

    #[test]
    fn only_the_well_known_prefix_is_well_known() {
        assert!(pool("64:ff9b::/96").is_well_known());
        assert!(!pool("64:ff9b::/64").is_well_known());
        assert!(!pool("64:ff9b:1::/96").is_well_known());
        // Checksum neutral, section 4.1.
        assert_eq!(pool("64:ff9b::/96").sum, 0xffff);
    }

    #[test]
    fn global_addresses_end_where_the_lists_say() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let (first, last) = (v4(first), v4(last));
            assert!(!is_global(first) && !is_global(last), "{first}");
            assert!(first.0 == 0 || is_global(Vaddr(first.0 - 1)), "{first}");
            assert!(last.0 == u32::MAX || is_global(Vaddr(last.0 + 1)), "{last}");
        }
    }

    proptest! {
        /// As the RFC's algorithm has it: write bit after bit, leaving out `u`.
        #[test]
        fn every_length_is_the_algorithm_of_section_2_3(
            bits: u128, address: u32, n in 0..6usize,
        ) {
            let len = [32u8, 40, 48, 56, 64, 96][n];
            let bits = bits >> 3 | 1 << 125;
            let bits = bits & (u128::MAX << (128 - u32::from(len))) & !(0xff << 56);
            let pool = Pool6::new(Prefix6::new(bits.into(), len).unwrap()).unwrap();
            let mut expected = bits;
            let places = (u32::from(len)..128).filter(|bit| !(64..72).contains(bit));
            for (n, place) in places.take(32).enumerate() {
                expected |= u128::from(address >> (31 - n) & 1) << (127 - place);
            }
            let made = pool.to_ipv6(Vaddr(address));
            prop_assert_eq!(u128::from_be_bytes(made), expected);
            prop_assert_eq!(pool.to_ipv4(&made), Some(Vaddr(address)));
            // The delta turns the checksum of one into that of the other.
            let field = checksum::checksum(&[&address.to_be_bytes()[..], &[6, 0]].concat());
            let adjusted = checksum::adjust(field, pool.delta(Vaddr(address), halves(&made)));
            prop_assert_eq!(adjusted, checksum::checksum(&[&made[..], &[6, 0]].concat()));
            // One wrong bit of the prefix, and it is none of ours.
            for bit in 0..len {
                let other = (expected ^ 1 << (127 - bit)).to_be_bytes();
                prop_assert_eq!(pool.to_ipv4(&other), None, "bit {}", bit);
            }
        }
    }
}
