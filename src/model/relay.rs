//! The plain SIIT relay: what stands between other people's IPv4 and IPv6, and
//! the addresses that have a place in both.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Interface4, Interface6};
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Prefix6, Vaddr};

/// A stateless translator (RFC 7915) between one IPv4 and one IPv6 port.
/// Whatever arrives and is not for the relay itself is translated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Prefix of IPv6 addresses that contain IPv4 addresses (RFC 6052), of
    /// length 32, 40, 48, 56, 64 or 96. When absent, only explicit mappings
    /// translate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool6: Option<Prefix6>,
    /// Refuse the well-known prefix `64:ff9b::/96` for addresses that are not
    /// global, as RFC 6052 section 3.1 demands.
    #[serde(default = "yes")]
    pub well_known_strict: bool,
    /// What becomes of IPv6 packets whose IPv4 destination is again an IPv6
    /// system's (RFC 7757 section 4).
    #[serde(default)]
    pub hairpin: Hairpin,
    /// Whole IPv4 UDP packets without a checksum, which IPv6 does not allow.
    #[serde(default)]
    pub udp_zero_checksum: UdpZero,
    /// IPv6 traffic class from IPv4 TOS: `"copy"`, or a value to set.
    #[serde(default)]
    pub traffic_class: ClassRule,
    /// IPv4 TOS from IPv6 traffic class: `"copy"`, or a value to set.
    #[serde(default)]
    pub tos: ClassRule,
    /// Least MTU of the IPv6 network behind the relay: IPv4 packets that may
    /// be fragmented are cut to it.
    #[serde(default = "least_mtu")]
    #[schemars(range(min = 1280, max = 16000))]
    pub lowest_ipv6_mtu: u16,
    /// MTUs to guess from when an IPv4 router names none (RFC 1191 section 7):
    /// 1 to 32, descending.
    #[serde(default = "plateaus")]
    #[schemars(inner(range(min = 68, max = 65535)))]
    pub mtu_plateaus: Vec<u16>,
    /// IPv4 addresses that are not translated, as source or destination.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny4: Vec<Prefix4>,
    /// IPv6 addresses that are not translated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny6: Vec<Prefix6>,
    /// IPv4 sources of ICMP errors whose IPv6 source has no IPv4 address (RFC
    /// 6791); one is picked at random. When empty, the relay's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub error_sources4: Vec<Prefix4>,
    /// IPv6 source of ICMP errors whose IPv4 source has no IPv6 address. When
    /// absent, the relay's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_source6: Option<Ipv6Addr>,
    /// Name the IPv6 source in ICMP errors that bear another (RFC 5837).
    #[serde(default = "yes")]
    pub error_source_extension: bool,
    /// ICMP errors of the relay's own each second and side; 0 sends none.
    /// `"unlimited"` sends all that the control thread can make.
    #[serde(default)]
    pub icmp_rate: IcmpRate,
    /// File of explicit mappings, one `IPV4-PREFIX IPV6-PREFIX` a line, `#`
    /// begins a comment; read at the start, at SIGHUP and by `weft apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eam_file: Option<PathBuf>,
    /// The IPv4 side.
    pub ipv4: RelaySide4,
    /// The IPv6 side.
    pub ipv6: RelaySide6,
}

/// The relay's side towards IPv4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelaySide4 {
    /// Name of the port of role `relay4`.
    pub port: String,
    /// Own address with the length of its link: answers ARP and ping, and is
    /// the source of the relay's own ICMP errors.
    pub address: Interface4,
    /// Next hop of everything that leaves here.
    pub via: Vaddr,
    /// Its hardware address; asked for by ARP when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via_mac: Option<Mac>,
    /// Largest IPv4 packet to send; the port's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 16000))]
    pub mtu: Option<u16>,
}

/// The relay's side towards IPv6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelaySide6 {
    /// Name of the port of role `relay6`.
    pub port: String,
    /// Own address with the length of its link: answers neighbour solicitations
    /// and ping, and is the source of the relay's own ICMP errors.
    pub address: Interface6,
    /// Next hop of everything that leaves here.
    pub via: Ipv6Addr,
    /// Its hardware address; solicited when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via_mac: Option<Mac>,
    /// Largest IPv6 packet to send; the port's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1280, max = 16000))]
    pub mtu: Option<u16>,
}

/// Traffic between IPv6 systems by way of IPv4 addresses (RFC 7757 section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hairpin {
    /// Turned around in the relay.
    #[default]
    Intrinsic,
    /// Turned around by the IPv4 router; sources of packets from there are
    /// never translated by an explicit mapping.
    Simple,
    /// Not provided for.
    Off,
}

/// UDP over IPv4 without a checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UdpZero {
    /// A checksum is computed.
    #[default]
    Compute,
    /// Dropped and counted.
    Drop,
    /// Sent without, for receivers that accept it (RFC 6936).
    Forward,
}

/// TOS or traffic class across a translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClassRule {
    /// All eight bits as they came.
    #[default]
    Copy,
    /// This value instead.
    Set(u8),
}

impl ClassRule {
    /// The field on the far side of what it was on this one.
    #[inline(always)]
    pub fn of(self, field: u8) -> u8 {
        match self {
            ClassRule::Copy => field,
            ClassRule::Set(value) => value,
        }
    }
}

/// ICMP errors each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpRate {
    PerSecond(u32),
    Unlimited,
}

impl Default for IcmpRate {
    fn default() -> Self {
        IcmpRate::PerSecond(100)
    }
}

/// An explicit address mapping (RFC 7757): the addresses of an IPv4 prefix are
/// those of an IPv6 prefix, one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eam {
    /// IPv4 prefix; an address alone is a /32.
    pub ipv4: Prefix4,
    /// IPv6 prefix with at least as many bits after it; an address alone is a
    /// /128.
    #[serde(with = "crate::wire::address::prefix6_or_address")]
    #[schemars(with = "Prefix6")]
    pub ipv6: Prefix6,
}

/// An IPv6 system, or a prefix of them, that is no node of ours and has a
/// virtual IPv4 address in a vnet all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outsider {
    /// Its name.
    pub name: String,
    /// Name of the vnet.
    pub vnet: String,
    /// Its address in the vnet, or a prefix for a prefix of systems.
    pub address: Prefix4,
    /// Its IPv6 address, or a prefix with at least as many bits after it.
    #[serde(with = "crate::wire::address::prefix6_or_address")]
    #[schemars(with = "Prefix6")]
    pub ipv6: Prefix6,
    /// Nodes of this host that it may write to, and that may write to it.
    /// Absent: all nodes of the vnet. Empty: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

fn least_mtu() -> u16 {
    1280
}

fn plateaus() -> Vec<u16> {
    vec![
        65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68,
    ]
}

/// Serde by hand: a word or a number.
macro_rules! word_or_number {
    ($kind:ident, $word:literal => $named:expr, $most:expr, $value:ident: $number:ty) => {
        impl Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    $kind::$value(number) => s.serialize_u32(u32::from(*number)),
                    _ => s.serialize_str($word),
                }
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<$kind, D::Error> {
                use serde::de::{Error, Unexpected};
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $kind;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(f, "\"{}\" or a number from 0 to {}", $word, $most)
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$kind, E> {
                        match text {
                            $word => Ok($named),
                            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                        }
                    }
                    fn visit_u64<E: Error>(self, value: u64) -> Result<$kind, E> {
                        match <$number>::try_from(value) {
                            Ok(number) if value <= $most => Ok($kind::$value(number)),
                            _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                        }
                    }
                    fn visit_i64<E: Error>(self, value: i64) -> Result<$kind, E> {
                        match u64::try_from(value) {
                            Ok(value) => self.visit_u64(value),
                            Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
                        }
                    }
                }
                d.deserialize_any(Visitor)
            }
        }
    };
}

word_or_number!(ClassRule, "copy" => ClassRule::Copy, 255, Set: u8);
word_or_number!(IcmpRate, "unlimited" => IcmpRate::Unlimited, 1_000_000, PerSecond: u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_rates_are_words_or_numbers() {
        let rule = |text: &str| serde_json::from_str::<ClassRule>(text);
        assert_eq!(rule("\"copy\"").unwrap(), ClassRule::Copy);
        assert_eq!(rule("0").unwrap(), ClassRule::Set(0));
        assert_eq!(rule("255").unwrap(), ClassRule::Set(255));
        let rate = |text: &str| serde_json::from_str::<IcmpRate>(text);
        assert_eq!(rate("\"unlimited\"").unwrap(), IcmpRate::Unlimited);
        assert_eq!(rate("0").unwrap(), IcmpRate::PerSecond(0));
        for bad in ["256", "-1", "\"zero\"", "true"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
        for bad in ["1000001", "-1", "\"copy\""] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        for value in [IcmpRate::Unlimited, IcmpRate::PerSecond(7)] {
            let text = serde_json::to_string(&value).unwrap();
            assert_eq!(rate(&text).unwrap(), value);
        }
    }

    #[test]
    fn an_address_alone_is_a_whole_one() {
        let eam: Eam =
            serde_json::from_str(r#"{"ipv4":"192.0.2.1","ipv6":"2001:db8::1"}"#).unwrap();
        assert_eq!((eam.ipv4.len, eam.ipv6.len()), (32, 128));
        let text = serde_json::to_string(&eam).unwrap();
        assert_eq!(serde_json::from_str::<Eam>(&text).unwrap(), eam);
    }
}
