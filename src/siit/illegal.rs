//! Addresses that name no single host beyond a link, so that a packet from or
//! to one is not translated.
//!
//! RFC 7915 (sections 4.1 and 5.1) calls a source illegal and gives `0.0.0.0`,
//! `127.0.0.1` and `::1` as examples; it refers to RFC 1812 section 5.3.7, which
//! has the same for destinations. Multicast has no unicast mapping (RFC 7915
//! section 1.2). Addresses of a link are not forwarded (RFC 3927 section 7,
//! RFC 4291 section 2.5.6), and IPv4-mapped ones are not for the wire (RFC 6890
//! section 2.2.3). Private IPv4 addresses are legal: only the well-known prefix
//! minds them. Broadcasts of a subnet are not seen from here.

use super::halves::{Halves, halves};
use crate::wire::{Saddr, Vaddr};

/// 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, and all from 224.0.0.0 on: groups,
/// class E, broadcast.
#[inline(always)]
pub(super) fn ipv4(address: Vaddr) -> bool {
    let first = address.0 >> 24;
    (first == 0) | (first == 127) | (first >= 224) | (address.0 >> 16 == 0xa9fe)
}

/// `::`, `::1`, `::ffff:0:0/96`, `fe80::/10`, `ff00::/8`.
#[inline(always)]
pub(super) fn ipv6(address: &Saddr) -> bool {
    ipv6_halves(halves(address))
}

/// The same of two words.
#[inline(always)]
pub(super) fn ipv6_halves((high, low): Halves) -> bool {
    let first = high >> 54;
    let local = (high == 0) & ((low <= 1) | (low >> 32 == 0xffff));
    local | (first == 0xfe80 >> 6) | (first >= 0xff00 >> 6)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn ipv4_ends_where_the_rfcs_say() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let (first, last): (Vaddr, Vaddr) = (first.parse().unwrap(), last.parse().unwrap());
            assert!(ipv4(first) && ipv4(last), "{first}");
            assert!(first.0 == 0 || !ipv4(Vaddr(first.0 - 1)), "{first}");
            assert!(last.0 == u32::MAX || !ipv4(Vaddr(last.0 + 1)), "{last}");
        }
        for legal in ["10.0.0.1", "192.168.0.1", "100.64.0.1", "192.0.2.1"] {
            assert!(!ipv4(legal.parse().unwrap()), "{legal}");
        }
    }

    #[test]
    fn ipv6_ends_where_the_rfcs_say() {
        for (first, last) in [
            ("::", "::1"),
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let parse = |text: &str| u128::from(text.parse::<Ipv6Addr>().unwrap());
            let (first, last) = (parse(first), parse(last));
            let illegal = |bits: u128| ipv6(&bits.to_be_bytes());
            assert!(illegal(first) && illegal(last), "{first:x}");
            assert!(first == 0 || !illegal(first - 1), "{first:x}");
            assert!(last == u128::MAX || !illegal(last + 1), "{last:x}");
        }
        for legal in ["64:ff9b::1", "2001:db8::1", "fc00::1", "fec0::1"] {
            let address = legal.parse::<Ipv6Addr>().unwrap().octets();
            assert!(!ipv6(&address), "{legal}");
        }
    }
}
