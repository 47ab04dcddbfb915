//! What a vnet gives its nodes beside the carriage of their packets, and what it
//! lets them do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Who answers DHCP requests of a vnet's nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dhcp {
    /// Nobody.
    #[default]
    Off,
    /// The host that a node is on, with the address of its binding. The vnet
    /// must have subnets.
    Host,
    /// The node at `dhcp_server`.
    Node,
}

/// What makes a host learn a further address of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Learn {
    /// Nothing: packets from another address are dropped.
    #[default]
    Never,
    /// The node announces it by ARP, or gets it by DHCP.
    Announce,
    /// That, or the first packet from it.
    Auto,
}

/// What a newly seen address is to the node's address so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LearnAs {
    /// In its place if it comes from the same hardware address, else beside it;
    /// beside it too if the node goes back within `learn_seconds`.
    #[default]
    Guess,
    /// In its place.
    Change,
    /// Beside it.
    Add,
    /// Both are valid for `learn_seconds`; then the one that was not used goes.
    Watch,
}

/// What becomes of a frame for a hardware address that nobody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownMac {
    /// It is dropped.
    #[default]
    Drop,
    /// It goes where its IPv4 address says.
    Resolve,
}

/// By which hardware addresses the nodes of a vnet see each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Macs {
    /// Computed from vnet and address: the same on every host, whatever the
    /// node's own is.
    #[default]
    Computed,
    /// Those of their bindings and mappings; computed where none is given.
    Given,
}

/// Lowering of the segment size that TCP connections begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MssClamp {
    #[default]
    Off,
    /// To what the MTU of the vnet's nodes holds.
    Mtu,
    /// To this.
    Fixed(u16),
}

/// A smaller size than hosts must take anyway (RFC 9293 section 3.7.1) helps
/// nobody; a larger one does not fit a packet.
const MSS: std::ops::RangeInclusive<u64> = 536..=65_495;

impl Serialize for MssClamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            MssClamp::Off => s.serialize_bool(false),
            MssClamp::Mtu => s.serialize_bool(true),
            MssClamp::Fixed(most) => s.serialize_u16(*most),
        }
    }
}

impl<'de> Deserialize<'de> for MssClamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<MssClamp, D::Error> {
        use serde::de::{Error, Unexpected};
        struct Either;
        impl serde::de::Visitor<'_> for Either {
            type Value = MssClamp;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(
                    f,
                    "true, false or a number from {} to {}",
                    MSS.start(),
                    MSS.end()
                )
            }
            fn visit_bool<E: Error>(self, on: bool) -> Result<MssClamp, E> {
                Ok(if on { MssClamp::Mtu } else { MssClamp::Off })
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<MssClamp, E> {
                match u16::try_from(value) {
                    Ok(most) if MSS.contains(&value) => Ok(MssClamp::Fixed(most)),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
                }
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<MssClamp, E> {
                match u64::try_from(value) {
                    Ok(value) => self.visit_u64(value),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
                }
            }
        }
        d.deserialize_any(Either)
    }
}

/// Those of the link itself (RFC 5771 section 4).
pub(super) fn withheld() -> Vec<Prefix4> {
    vec![Prefix4 {
        address: Vaddr(0xe000_0000),
        len: 24,
    }]
}

pub(super) fn withheld_as_usual(groups: &[Prefix4]) -> bool {
    groups == withheld()
}

pub(super) const LEARN_SECONDS: u32 = 60;

pub(super) fn learn_seconds() -> u32 {
    LEARN_SECONDS
}

pub(super) fn learn_seconds_as_usual(seconds: &u32) -> bool {
    *seconds == LEARN_SECONDS
}

pub(super) fn usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_size_is_clamped_or_not_or_given() {
        for (text, value) in [
            ("true", MssClamp::Mtu),
            ("false", MssClamp::Off),
            ("536", MssClamp::Fixed(536)),
            ("65495", MssClamp::Fixed(65_495)),
        ] {
            assert_eq!(serde_json::from_str::<MssClamp>(text).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
        }
        for bad in ["535", "65496", "-1", "\"mtu\"", "1e9"] {
            assert!(serde_json::from_str::<MssClamp>(bad).is_err(), "{bad}");
        }
    }
}
