//! The objects an operator names: what the configuration file, the control
//! socket and `weft config dump` all speak of, declared once.
//!
//! Doc comments here are the reference documentation of the keys.

mod member;
mod policy;
mod relay;
mod segment;
mod services;

pub use relay::{
    ClassRule, Eam, Hairpin, IcmpRate, Outsider, Relay, RelaySide4, RelaySide6, UdpZero,
};

pub use member::Member;
pub use policy::{Dhcp, Learn, LearnAs, Macs, MssClamp, UnknownMac};
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

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Joins the substrate.
    Uplink,
    /// Nodes are behind it.
    Node,
    /// Takes an uplink's other traffic, for a routing daemon.
    Exception,
    /// The relay's side towards IPv4.
    Relay4,
    /// The relay's side towards IPv6.
    Relay6,
}

impl Role {
    /// Whether vnets, hosts and a locator belong to it.
    pub fn has_nodes(self) -> bool {
        match self {
            Role::Uplink | Role::Node | Role::Exception => true,
            Role::Relay4 | Role::Relay6 => false,
        }
    }
}

/// A DPDK port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Name by which everything else refers to it.
    pub name: String,
    /// DPDK device string: a PCI address or a virtual device with its arguments.
    pub device: String,
    /// What the port is for.
    pub role: Role,
    /// Receive queues; every worker polls its share. Default: one per worker
    /// on an uplink and on the relay's ports, one on other ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<u16>,
    /// Key of the hash that spreads packets over the receive queues: as many
    /// bytes as the device has, in hexadecimal, or `driver` for the device's
    /// own. When absent, one that gives both directions of a flow to one queue,
    /// where the device takes a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_key: Option<RssKey>,
    /// Let the device, and who sends by it, leave checksums and the cutting of
    /// TCP packets to each other, as far as they can.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub offloads: bool,
    /// Descriptors of a receive and of a transmit queue.
    #[serde(default = "default_descriptors")]
    #[schemars(range(min = 32, max = 16384))]
    pub descriptors: u16,
    /// Largest IP packet on this port.
    #[serde(default = "default_mtu")]
    #[schemars(range(min = 68, max = 16000))]
    pub mtu: u16,
    /// Hardware address to set; the device's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Uplinks and the relay's ports: VLAN id of all frames; untagged when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<u16>,
    /// Uplinks: own addresses on the link with their prefix lengths. A
    /// link-local address is made from the hardware address when none is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Interface6>,
    /// Uplinks: name of the port of role `exception` that gets what is not for weft.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Uplinks: answer neighbour solicitations for every address of the
    /// locator. Costs the router an entry per node; route the locator instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nd_proxy: bool,
    /// Index (0, 1, …) of the worker that polls a node or exception port;
    /// spread over the workers when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u16>,
}

/// Key of a device's hash over packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RssKey {
    /// The device's own.
    Driver,
    Bytes(Vec<u8>),
}

impl fmt::Display for RssKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RssKey::Driver => f.write_str("driver"),
            RssKey::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl std::str::FromStr for RssKey {
    type Err = crate::wire::address::ParseError;

    /// Pairs of digits, with or without colons between them.
    fn from_str(text: &str) -> Result<RssKey, Self::Err> {
        if text == "driver" {
            return Ok(RssKey::Driver);
        }
        let bad = || Self::Err::new(text, "a key of 1 to 255 bytes in hexadecimal, or `driver`");
        let joined: Vec<u8> = match text.contains(':') {
            true if text.split(':').any(|part| part.len() != 2) => return Err(bad()),
            _ => text.bytes().filter(|byte| *byte != b':').collect(),
        };
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        let (pairs, []) = joined.as_chunks::<2>() else {
            return Err(bad());
        };
        let pair = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        match pairs.iter().map(pair).collect::<Option<Vec<u8>>>() {
            Some(bytes) if (1..=255).contains(&bytes.len()) => Ok(RssKey::Bytes(bytes)),
            _ => Err(bad()),
        }
    }
}

crate::wire::address::serde_as_text!(RssKey);

fn yes() -> bool {
    true
}

pub(crate) fn default_descriptors() -> u16 {
    1024
}

pub(crate) fn default_mtu() -> u16 {
    1500
}

/// An own address with the prefix length of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interface6 {
    pub address: Ipv6Addr,
    pub len: u8,
}

impl fmt::Display for Interface6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl std::str::FromStr for Interface6 {
    type Err = crate::wire::address::ParseError;

    fn from_str(text: &str) -> Result<Interface6, Self::Err> {
        let bad = || Self::Err::new(text, "an address with its length such as 2001:db8:1::1/64");
        let (address, len) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv6Addr = address.parse().map_err(|_| bad())?;
        let len = len.parse().map_err(|_| bad())?;
        if len > 128 || address.is_multicast() || address.is_unspecified() {
            return Err(bad());
        }
        Ok(Interface6 { address, len })
    }
}

/// An own IPv4 address with the prefix length of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interface4 {
    pub address: Vaddr,
    pub len: u8,
}

impl Interface4 {
    /// Whether an address is on the same link.
    pub fn reaches(self, address: Vaddr) -> bool {
        (self.address.0 ^ address.0) & Prefix4::mask(self.len) == 0
    }
}

impl fmt::Display for Interface4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl std::str::FromStr for Interface4 {
    type Err = crate::wire::address::ParseError;

    fn from_str(text: &str) -> Result<Interface4, Self::Err> {
        let bad = || Self::Err::new(text, "an address with its length such as 192.0.2.1/24");
        let (address, len) = text.split_once('/').ok_or_else(bad)?;
        let address: Vaddr = address.parse().map_err(|_| bad())?;
        let len = len.parse().map_err(|_| bad())?;
        if len > 32 || matches!(address.bytes()[0], 0 | 127 | 224..) {
            return Err(bad());
        }
        Ok(Interface4 { address, len })
    }
}

crate::wire::address::serde_as_text!(Interface4, Interface6);

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
    fn rss_keys_are_hexadecimal() {
        let bytes = RssKey::Bytes(vec![0x6d, 0x5a, 0x00, 0xff]);
        for text in ["6d5a00ff", "6D:5a:00:FF"] {
            assert_eq!(text.parse(), Ok(bytes.clone()), "{text}");
        }
        assert_eq!(bytes.to_string(), "6d5a00ff");
        assert_eq!("driver".parse(), Ok(RssKey::Driver));
        assert_eq!(RssKey::Driver.to_string(), "driver");
        let long = "00".repeat(256);
        for bad in [
            "", "6d5", "6d5a0", "6d:5", ":", "6:d5:a", "0x6d", "zz", "+1", "é", &long,
        ] {
            assert!(bad.parse::<RssKey>().is_err(), "{bad}");
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
