//! The objects an operator names: what the configuration file, the control
//! socket and `weft config dump` all speak of, declared once.
//!
//! Doc comments here are the reference documentation of the keys.

mod member;
mod policy;
mod port;
mod relay;
mod segment;
mod services;

pub use relay::{
    ClassRule, Eam, Hairpin, IcmpRate, Outsider, Relay, RelaySide4, RelaySide6, UdpZero,
};

pub use member::Member;
pub use policy::{Dhcp, Learn, LearnAs, Macs, MssClamp, UnknownMac};
pub use port::{Interface4, Interface6, Port, Role, RssKey};
pub(crate) use port::{default_descriptors, default_mtu};
pub use segment::{Router, RouterInterface, Subnet, Vroute, VrouteAction};
pub use services::{DhcpRoute, Range4, Snmp, SnmpAuth, SnmpPrivacy, SnmpUser, SubnetDhcp};

use std::fmt;
use std::net::Ipv6Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::address::Prefix4;
use crate::wire::{Layout, Locator, Mac, Vaddr, Vni};

/// A tenant's virtual network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vnet {
    /// Name by which bindings and mappings refer to it.
    pub name: String,
    /// Network id inside substrate addresses: 1 to 0xffffff, to 0xffffffff in layout `p64`.
    pub vni: Vni,
    /// How packets travel on the substrate.
    #[serde(default)]
    pub mode: Mode,
    /// What becomes of the DSCP bits on the substrate.
    #[serde(default)]
    pub dscp: Dscp,
    /// The ranges its addresses lie in. Empty: any address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Prefix4>,
    /// How the source of an arriving packet is checked.
    #[serde(default)]
    pub verify: Verify,
    /// MTU of its nodes: the most they are told when a packet of theirs is too
    /// big, even where the path takes more. When absent, what the path takes
    /// (substrate - 28).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 15972))]
    pub mtu: Option<u16>,
    /// Who answers DHCP requests of its nodes.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub dhcp: Dhcp,
    /// With `dhcp = "node"`: address of the node that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dhcp_server: Option<Vaddr>,
    /// Whether a broadcast reaches the other nodes of its subnet.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub broadcast: bool,
    /// Multicast groups that are not carried.
    #[serde(
        default = "policy::withheld",
        skip_serializing_if = "policy::withheld_as_usual"
    )]
    pub withheld: Vec<Prefix4>,
    /// Lower the segment size of TCP connections: `true` to what the nodes' MTU
    /// holds, or a number to that.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub mss_clamp: MssClamp,
    /// What makes a host learn a further address of a node.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub learn: Learn,
    /// What a learned address is to the one that the node had.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub learn_as: LearnAs,
    /// With `learn_as = "watch"`: seconds after which that one of both goes that
    /// was not used. With `"guess"`: seconds in which a node that goes back uses
    /// both.
    #[serde(
        default = "policy::learn_seconds",
        skip_serializing_if = "policy::learn_seconds_as_usual"
    )]
    #[schemars(range(min = 1, max = 86400))]
    pub learn_seconds: u32,
    /// What becomes of a frame for a hardware address that nobody has.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub unknown_mac: UnknownMac,
    /// By which hardware addresses its nodes see each other.
    #[serde(default, skip_serializing_if = "policy::usual")]
    pub macs: Macs,
    /// Whom its own router answers by SNMP; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snmp: Option<Box<Snmp>>,
}

impl Vnet {
    /// With every key but these as it is when absent.
    pub fn new(name: &str, vni: Vni) -> Vnet {
        Vnet {
            name: name.to_owned(),
            vni,
            mode: Mode::default(),
            dscp: Dscp::default(),
            prefixes: Vec::new(),
            verify: Verify::default(),
            mtu: None,
            dhcp: Dhcp::default(),
            dhcp_server: None,
            broadcast: false,
            withheld: policy::withheld(),
            mss_clamp: MssClamp::default(),
            learn: Learn::default(),
            learn_as: LearnAs::default(),
            learn_seconds: policy::LEARN_SECONDS,
            unknown_mac: UnknownMac::default(),
            macs: Macs::default(),
            snmp: None,
        }
    }
}

/// Modes of carriage between weft hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Valid IPv6 with transport checksums adjusted.
    #[default]
    Siit,
    /// Payload bytes untouched; checksums become right again at the exit.
    Transparent,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Siit => "siit",
            Mode::Transparent => "transparent",
        })
    }
}

/// DSCP on the substrate: `"copy"`, `"zero"`, or a fixed value from 0 to 63.
/// ECN is always copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dscp {
    #[default]
    Copy,
    Zero,
    Fixed(u8),
}

impl Serialize for Dscp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Dscp::Copy => s.serialize_str("copy"),
            Dscp::Zero => s.serialize_str("zero"),
            Dscp::Fixed(value) => s.serialize_u8(*value),
        }
    }
}

impl<'de> Deserialize<'de> for Dscp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Dscp, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Dscp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"copy\", \"zero\" or a number from 0 to 63")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Dscp, E> {
                match text {
                    "copy" => Ok(Dscp::Copy),
                    "zero" => Ok(Dscp::Zero),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Dscp, E> {
                match u8::try_from(value) {
                    Ok(value @ 0..=63) => Ok(Dscp::Fixed(value)),
                    _ => Err(E::invalid_value(
                        serde::de::Unexpected::Unsigned(value),
                        &self,
                    )),
                }
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Dscp, E> {
                match u64::try_from(value) {
                    Ok(value) => self.visit_u64(value),
                    Err(_) => Err(E::invalid_value(
                        serde::de::Unexpected::Signed(value),
                        &self,
                    )),
                }
            }
        }
        d.deserialize_any(Text)
    }
}

/// Check of an arriving packet's source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// The sender's mapping must name the host the packet came from.
    #[default]
    Strict,
    /// Any known host may send for an address that has no mapping.
    Locator,
}

/// A node of a vnet and the wire it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The node's name.
    pub name: String,
    /// Name of its vnet.
    pub vnet: String,
    /// The node's address; by DHCP when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Vaddr>,
    /// Without `address`: name of the subnet that it is in, which gives it one
    /// from its pool where hosts answer DHCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Prefixes behind the node, for nodes that route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Prefix4>,
    /// Name of the port it is behind.
    pub port: String,
    /// VLAN id of its frames on that port; untagged when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<u16>,
    /// Its hardware address. When absent it is learned from its frames, or
    /// asked for by ARP; then only one node can be on the port and VLAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Layout `slot`: its slot on this host. When absent it gets the lowest that
    /// is free, which may be another one after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 63))]
    pub slot: Option<u8>,
}

/// Another appliance of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Name by which mappings refer to it.
    pub name: String,
    /// Its part of the substrate's address space: a /72 in layout `p72`, a /64 in the others.
    pub locator: Locator,
}

/// Where a node of a vnet is: (vnet, address) -> host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Name of the vnet.
    pub vnet: String,
    /// The node's address, or a prefix that lies behind one host as a whole.
    pub address: Prefix4,
    /// Name of the host it is behind.
    pub host: String,
    /// Seconds from now after which it is no longer valid; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u32>,
    /// Revision of this fact; an older one never replaces a newer one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// Layout `slot`: slot of the node at that host. Of a prefix, the slot of
    /// the node that it is behind: that node gets the packets, whatever else
    /// its host knows of the addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 63))]
    pub slot: Option<u8>,
    /// In a vnet with `macs = "given"`: hardware address by which other nodes
    /// see the node; the computed one when absent. Of a prefix, that of the node
    /// that it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A route of the substrate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Destinations, such as `2001:db8::/32` or `::/0`.
    pub prefix: Locator,
    /// Next hops, 1 to 16; several share the flows (ECMP).
    pub via: Vec<NextHop>,
}

/// A router or host one hop away.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct NextHop {
    /// Its address on the link.
    pub address: Ipv6Addr,
    /// Name of the uplink.
    pub port: String,
}

/// A neighbour that is not asked for: its hardware address is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Neighbor {
    /// Name of the uplink.
    pub port: String,
    /// Its address on the link.
    pub address: Ipv6Addr,
    /// Its hardware address.
    pub mac: Mac,
}

/// Who said that an object exists. Stronger origins win: agent over operator
/// over file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    File,
    Operator,
    Agent,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::File => "file",
            Origin::Operator => "operator",
            Origin::Agent => "agent",
        })
    }
}

impl JsonSchema for Layout {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Layout".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "How the 128 bits of a substrate address are divided.",
            "oneOf": [
                { "const": "p72", "description": "Locator /72, network id 24, IPv4 32." },
                { "const": "p64", "description": "Locator /64, network id 32, IPv4 32." },
                { "const": "slot", "description": "Locator /64, slot 6, flags 2, network id 24, IPv4 32: at most 64 nodes on a host." },
            ],
        })
    }
}

/// Schemas of the types that are written as text or number by hand.
macro_rules! schema_of_text {
    ($($kind:ty => $name:literal, $kind_of:literal, $description:literal;)*) => {$(
        impl JsonSchema for $kind {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": $kind_of, "description": $description })
            }
        }
    )*};
}

schema_of_text! {
    Mac => "Mac", "string", "Hardware address such as `02:00:00:00:00:01`.";
    Vaddr => "Vaddr", "string", "IPv4 address such as `10.0.0.2`.";
    Prefix4 => "Prefix4", "string", "IPv4 prefix such as `10.0.0.0/24`, or an address.";
    Vni => "Vni", "integer", "Network id such as `0x5A0001`.";
    Locator => "Prefix6", "string", "IPv6 prefix such as `2001:db8:0:a:100::/72`.";
    Interface4 => "Interface4", "string", "IPv4 address with its length such as `192.0.2.1/24`.";
    ClassRule => "ClassRule", "string or integer", "`\"copy\"`, or a value from 0 to 255.";
    IcmpRate => "IcmpRate", "string or integer", "A number each second, or `\"unlimited\"`.";
    Interface6 => "Interface6", "string", "IPv6 address with its length such as `2001:db8:ffff::1/64`.";
    Range4 => "Range4", "string", "IPv4 addresses from one to another such as `10.0.1.100-10.0.1.199`.";
    MssClamp => "MssClamp", "boolean or integer", "`true`, `false`, or a value from 536 to 65495.";
    RssKey => "RssKey", "string", "Bytes in hexadecimal such as `6d5a6d5a…`, or `driver`.";
    Dscp => "Dscp", "string or integer", "`\"copy\"`, `\"zero\"`, or a value from 0 to 63.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dscp_is_a_word_or_a_number() {
        for (text, value) in [
            ("\"copy\"", Dscp::Copy),
            ("\"zero\"", Dscp::Zero),
            ("46", Dscp::Fixed(46)),
        ] {
            assert_eq!(serde_json::from_str::<Dscp>(text).unwrap(), value);
            assert_eq!(serde_json::to_string(&value).unwrap(), text);
        }
        for bad in ["64", "-1", "\"fixed\"", "true"] {
            assert!(serde_json::from_str::<Dscp>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = serde_json::from_str::<Host>(r#"{"name":"S","locater":"2001:db8::/72"}"#);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("unknown field `locater`")
        );
    }
}
