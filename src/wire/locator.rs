//! Tenants' addresses inside substrate addresses, bit by bit.
//!
//! ```text
//! bit   0               64      72         96              128
//! p72   |       locator /72     |  vni 24  |   IPv4 32      |
//! p64   |  locator /64  |      vni 32      |   IPv4 32      |
//! slot  |  locator /64  |slot|UG|  vni 24  |   IPv4 32      |
//! ```
//!
//! `UG` are the U/L and I/G bits (70 and 71); `slot` is bits 64 to 69: see
//! [`mark`](super::mark). Both addresses of a packet are composed and taken
//! apart here and there and nowhere else.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::{ParseError, Vaddr, Vni};
use super::checksum;

/// A substrate address as it stands in a header.
pub type Saddr = [u8; 16];

/// How the parts lie in the 128 bits; one per deployment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    #[default]
    P72,
    P64,
    Slot,
}

impl Layout {
    /// Length of a host's locator.
    pub const fn locator_len(self) -> u8 {
        match self {
            Layout::P72 => 72,
            Layout::P64 | Layout::Slot => 64,
        }
    }

    /// The largest vni there is room for.
    pub const fn max_vni(self) -> u32 {
        match self {
            Layout::P72 | Layout::Slot => Vni::MAX_24,
            Layout::P64 => u32::MAX,
        }
    }

    #[inline]
    const fn locator_mask(self) -> u128 {
        u128::MAX << (128 - self.locator_len() as u32)
    }

    #[inline]
    const fn vni_mask(self) -> u32 {
        self.max_vni()
    }

    /// locator | vni | vaddr. The locator's low bits are zero by construction,
    /// and a vni too large for the layout never reaches a table.
    #[inline]
    pub fn compose(self, locator: &Locator, vni: Vni, vaddr: Vaddr) -> Saddr {
        debug_assert!(vni.0 <= self.max_vni(), "{vni} is too large");
        let low = u64::from(vni.0) << 32 | u64::from(vaddr.0);
        (locator.bits | u128::from(low)).to_be_bytes()
    }

    /// The locator part of an address.
    #[inline]
    pub fn locator(self, address: &Saddr) -> u128 {
        u128::from_be_bytes(*address) & self.locator_mask()
    }

    /// The vni part of an address; 0 stands for the host itself.
    #[inline]
    pub fn vni(self, address: &Saddr) -> u32 {
        u32::from_be_bytes([address[8], address[9], address[10], address[11]]) & self.vni_mask()
    }

    /// The tenant's address in an address.
    #[inline]
    pub fn vaddr(self, address: &Saddr) -> Vaddr {
        Vaddr::from_bytes([address[12], address[13], address[14], address[15]])
    }

    /// What the locator and a vni add to the checksum of a pseudo header in
    /// place of an IPv4 address: the IPv4 part stays where 16-bit words are,
    /// so it cancels out, and the rest is the same for all nodes of a vnet on
    /// a host.
    #[inline]
    pub fn checksum_part(self, locator: &Locator, vni: Vni) -> u64 {
        checksum::sum(&self.compose(locator, vni, Vaddr(0)))
    }

    /// The address the host itself answers at: locator | 0 | 0.0.0.1.
    pub fn control_address(self, locator: &Locator) -> Saddr {
        (locator.bits | 1).to_be_bytes()
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::P72 => "p72",
            Layout::P64 => "p64",
            Layout::Slot => "slot",
        })
    }
}

/// Any IPv6 prefix: a locator is one.
pub type Prefix6 = Locator;

/// The leading bits by which the substrate routes to a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Locator {
    bits: u128,
    len: u8,
}

impl Locator {
    /// `::/0`, which every address is in.
    pub const ANY: Locator = Locator { bits: 0, len: 0 };

    pub fn new(address: Ipv6Addr, len: u8) -> Option<Locator> {
        let bits = u128::from(address);
        let host_bits = u128::MAX.checked_shr(u32::from(len)).unwrap_or(0);
        (len <= 128 && bits & host_bits == 0).then_some(Locator { bits, len })
    }

    /// The locator as the upper bits of an address, all else zero.
    #[inline]
    pub fn bits(&self) -> u128 {
        self.bits
    }

    pub fn len(&self) -> u8 {
        self.len
    }

    /// A locator of length 0 would be everybody's.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn contains(&self, address: &Saddr) -> bool {
        let mask = u128::MAX
            .checked_shl(128 - u32::from(self.len))
            .unwrap_or(0);
        u128::from_be_bytes(*address) & mask == self.bits
    }

    pub fn overlaps(&self, other: &Locator) -> bool {
        self.contains(&other.bits.to_be_bytes()) || other.contains(&self.bits.to_be_bytes())
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.bits), self.len)
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Locator {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Locator, ParseError> {
        let bad = || ParseError::new(text, "an IPv6 prefix such as 2001:db8:0:a:100::/72");
        let (address, len) = text.split_once('/').ok_or_else(bad)?;
        let address = address.parse().map_err(|_| bad())?;
        let len = len.parse().map_err(|_| bad())?;
        if len > 128 {
            return Err(bad());
        }
        Locator::new(address, len)
            .ok_or_else(|| ParseError::new(text, "a prefix whose bits after its length are zero"))
    }
}

super::address::serde_as_text!(Locator);

#[cfg(test)]
mod tests {
    use super::*;

    const Z: Vni = Vni(0x5a_0001);
    const Y: Vni = Vni(0x59_0001);

    fn text(address: Saddr) -> String {
        Ipv6Addr::from(address).to_string()
    }

    fn locator(text: &str) -> Locator {
        text.parse().unwrap()
    }

    #[test]
    fn worked_addresses_of_p72() {
        let r = locator("2001:db8:0:a:100::/72");
        let s = locator("2001:db8:0:b:200::/72");
        let a = "10.0.0.2".parse().unwrap();
        let g = "10.0.0.3".parse().unwrap();
        assert_eq!(
            text(Layout::P72.compose(&r, Z, a)),
            "2001:db8:0:a:15a:1:a00:2"
        );
        assert_eq!(
            text(Layout::P72.compose(&r, Y, a)),
            "2001:db8:0:a:159:1:a00:2"
        );
        assert_eq!(
            text(Layout::P72.compose(&s, Z, g)),
            "2001:db8:0:b:25a:1:a00:3"
        );
        assert_eq!(text(Layout::P72.control_address(&r)), "2001:db8:0:a:100::1");
    }

    #[test]
    fn taking_apart_reverses_composing() {
        let vaddr = Vaddr(0xc0a8_ff01);
        for (layout, locator_text, vni) in [
            (Layout::P72, "2001:db8:0:a:100::/72", Vni(0xff_ffff)),
            (Layout::P64, "2001:db8:0:a::/64", Vni(0xffff_fffe)),
            (Layout::Slot, "2001:db8:511:c809::/64", Vni(0x5a_0001)),
        ] {
            let host = locator(locator_text);
            let address = layout.compose(&host, vni, vaddr);
            assert_eq!(layout.locator(&address), host.bits(), "{layout}");
            assert_eq!(layout.vni(&address), vni.0, "{layout}");
            assert_eq!(layout.vaddr(&address), vaddr, "{layout}");
            assert!(host.contains(&address));
        }
    }

    #[test]
    fn checksum_part_and_ipv4_make_the_whole_sum() {
        let r = locator("2001:db8:0:a:100::/72");
        let vaddr = Vaddr(0x0a00_0002);
        let whole = checksum::sum(&Layout::P72.compose(&r, Z, vaddr));
        let parts = Layout::P72.checksum_part(&r, Z) + checksum::sum(&vaddr.bytes());
        assert_eq!(checksum::fold(whole), checksum::fold(parts));
    }

    #[test]
    fn locators_refuse_stray_bits_and_find_overlaps() {
        assert!("2001:db8:0:a:1ff::/72".parse::<Locator>().is_err());
        assert!("2001:db8::/129".parse::<Locator>().is_err());
        assert!("2001:db8::".parse::<Locator>().is_err());
        assert!(locator("2001:db8::/32").overlaps(&locator("2001:db8:0:a:100::/72")));
        assert!(!locator("2001:db8:0:a:100::/72").overlaps(&locator("2001:db8:0:a:200::/72")));
        assert!(locator("::/0").contains(&[0xff; 16]));
    }
}
