//! Ports, and what is written of them as text: keys of their hash, addresses
//! with the length of their link.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::address::{ParseError, Prefix4, serde_as_text};
use crate::wire::{Mac, Vaddr};

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

impl FromStr for RssKey {
    type Err = ParseError;

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

impl FromStr for Interface6 {
    type Err = ParseError;

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

impl FromStr for Interface4 {
    type Err = ParseError;

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

serde_as_text!(RssKey, Interface4, Interface6);

#[cfg(test)]
mod tests {
    use super::*;

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
}
