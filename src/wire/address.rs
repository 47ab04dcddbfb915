//! The small values everything else is made of: MACs, network ids, virtual
//! addresses. Newtypes, so that a vni never stands where an address should.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize, de};

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    pub const ZERO: Mac = Mac([0; 6]);

    /// Group bit set: broadcast or multicast.
    #[inline]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    #[inline]
    pub fn is_unicast(self) -> bool {
        !self.is_group() && self != Mac::ZERO
    }

    /// The Ethernet group of an IPv6 multicast address (RFC 2464 section 7).
    pub fn of_ipv6_group(group: [u8; 16]) -> Mac {
        Mac([0x33, 0x33, group[12], group[13], group[14], group[15]])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was wrong with a value given as text; says what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct ParseError {
    pub given: String,
    pub expected: &'static str,
}

impl ParseError {
    pub fn new(given: &str, expected: &'static str) -> Self {
        ParseError {
            given: given.to_owned(),
            expected,
        }
    }
}

impl FromStr for Mac {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Mac, ParseError> {
        let bad = || ParseError::new(text, "a MAC address such as 02:00:00:00:00:01");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(bad)?;
            if part.len() != 2 {
                return Err(bad());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Mac(bytes))
    }
}

/// A virtual network's id. 24 bits, or 32 in layout `p64`; 0 is reserved for
/// the host itself, so a `Vni` in a table is never 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vni(pub u32);

impl Vni {
    pub const MAX_24: u32 = 0xff_ffff;
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:06x}", self.0)
    }
}

impl fmt::Debug for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Vni {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Vni, ParseError> {
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        match parsed {
            Ok(id) if id != 0 => Ok(Vni(id)),
            _ => Err(ParseError::new(
                text,
                "a network id from 1 to 0xffffff (0xffffffff in layout p64)",
            )),
        }
    }
}

/// A tenant's IPv4 address, in host order so that it compares and masks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vaddr(pub u32);

impl Vaddr {
    /// All of a link, 255.255.255.255.
    pub const BROADCAST: Vaddr = Vaddr(u32::MAX);

    #[inline]
    pub fn from_bytes(bytes: [u8; 4]) -> Vaddr {
        Vaddr(u32::from_be_bytes(bytes))
    }

    #[inline]
    pub fn bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// 224.0.0.0/4.
    #[inline]
    pub fn is_multicast(self) -> bool {
        self.0 >> 28 == 0xe
    }
}

impl From<Ipv4Addr> for Vaddr {
    fn from(address: Ipv4Addr) -> Vaddr {
        Vaddr(u32::from(address))
    }
}

impl From<Vaddr> for Ipv4Addr {
    fn from(address: Vaddr) -> Ipv4Addr {
        Ipv4Addr::from(address.0)
    }
}

impl fmt::Display for Vaddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Ipv4Addr::from(*self), f)
    }
}

impl fmt::Debug for Vaddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Vaddr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Vaddr, ParseError> {
        text.parse::<Ipv4Addr>()
            .map(Vaddr::from)
            .map_err(|_| ParseError::new(text, "an IPv4 address such as 10.0.0.2"))
    }
}

/// An IPv4 prefix whose host bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix4 {
    pub address: Vaddr,
    pub len: u8,
}

impl Prefix4 {
    /// The mask of a length from 0 to 32.
    #[inline(always)]
    pub const fn mask(len: u8) -> u32 {
        (u64::MAX << (32 - len as u32)) as u32
    }

    #[inline(always)]
    pub fn contains(self, address: Vaddr) -> bool {
        address.0 & Prefix4::mask(self.len) == self.address.0
    }

    pub fn overlaps(self, other: Prefix4) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl fmt::Display for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl fmt::Debug for Prefix4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix4 {
    type Err = ParseError;

    /// `10.0.0.0/24`, or a bare address, which is a /32.
    fn from_str(text: &str) -> Result<Prefix4, ParseError> {
        let bad = || ParseError::new(text, "an IPv4 prefix such as 10.0.0.0/24");
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, len.parse().map_err(|_| bad())?),
            None => (text, 32),
        };
        let address: Vaddr = address.parse().map_err(|_| bad())?;
        if len > 32 {
            return Err(bad());
        }
        if address.0 & !Prefix4::mask(len) != 0 {
            return Err(ParseError::new(text, "a prefix whose host bits are zero"));
        }
        Ok(Prefix4 { address, len })
    }
}

/// Serde through the text form, for every value that people write by hand.
macro_rules! serde_as_text {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $kind;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("the text form of a ", stringify!($kind)))
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$kind, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                d.deserialize_str(Text)
            }
        }
    )*};
}
pub(crate) use serde_as_text;

serde_as_text!(Mac, Vaddr, Prefix4);

impl Serialize for Vni {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u32(self.0)
    }
}

/// A vni is a number (TOML knows hexadecimal ones) or its text.
impl<'de> Deserialize<'de> for Vni {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Vni, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Vni;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a network id such as 0x5A0001")
            }
            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Vni, E> {
                match u32::try_from(id) {
                    Ok(id) if id != 0 => Ok(Vni(id)),
                    _ => Err(E::custom(format!(
                        "network id {id} is out of range; 1 to 0xffffff (0xffffffff in layout p64)"
                    ))),
                }
            }
            fn visit_i64<E: de::Error>(self, id: i64) -> Result<Vni, E> {
                self.visit_u64(u64::try_from(id).unwrap_or(0))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vni, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Either)
    }
}

/// Serde for an IPv6 prefix of which a whole address needs no length.
pub mod prefix6_or_address {
    use std::net::Ipv6Addr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::super::Prefix6;

    /// `2001:db8::/32`, or an address, which is a /128.
    pub fn parse(text: &str) -> Result<Prefix6, super::ParseError> {
        match text
            .parse::<Ipv6Addr>()
            .map(|address| Prefix6::new(address, 128))
        {
            Ok(Some(prefix)) => Ok(prefix),
            _ => text.parse(),
        }
    }

    pub fn serialize<S: Serializer>(prefix: &Prefix6, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(prefix)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Prefix6, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_text_goes_both_ways() {
        let mac: Mac = "02:1f:00:aa:0B:ff".parse().unwrap();
        assert_eq!(mac, Mac([2, 0x1f, 0, 0xaa, 0x0b, 0xff]));
        assert_eq!(mac.to_string(), "02:1f:00:aa:0b:ff");
        for bad in [
            "",
            "02:1f:00:aa:0b",
            "02:1f:00:aa:0b:ff:00",
            "2:1f:0:aa:b:ff",
            "zz:1f:00:aa:0b:ff",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn vni_is_never_zero() {
        assert_eq!("0x5A0001".parse(), Ok(Vni(0x5a_0001)));
        assert_eq!("5898241".parse(), Ok(Vni(0x5a_0001)));
        assert!("0".parse::<Vni>().is_err());
        assert!("-1".parse::<Vni>().is_err());
        assert!(serde_json::from_str::<Vni>("0").is_err());
        assert!(serde_json::from_str::<Vni>("4294967296").is_err());
        assert_eq!(
            serde_json::from_str::<Vni>("\"0x5a0001\"").unwrap(),
            Vni(0x5a_0001)
        );
    }

    #[test]
    fn prefixes_refuse_host_bits_and_know_their_overlaps() {
        let p: Prefix4 = "10.0.0.0/24".parse().unwrap();
        assert!(p.contains("10.0.0.255".parse().unwrap()));
        assert!(!p.contains("10.0.1.0".parse().unwrap()));
        assert!("10.0.0.1/24".parse::<Prefix4>().is_err());
        assert!("10.0.0.0/33".parse::<Prefix4>().is_err());
        assert!(p.overlaps("0.0.0.0/0".parse().unwrap()));
        assert!(p.overlaps("10.0.0.7".parse().unwrap()));
        assert!(!p.overlaps("10.0.1.0/24".parse().unwrap()));
    }
}
