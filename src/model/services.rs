//! What hosts answer in place of servers and devices of the tenant: DHCP in a
//! subnet, SNMP of a router.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::Vaddr;
use crate::wire::address::{ParseError, Prefix4, serde_as_text};

/// What nodes of a subnet are told by DHCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubnetDhcp {
    /// Address that answers, where the subnet has no `gateway`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Vaddr>,
    /// Resolvers, up to 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<Vaddr>,
    /// Domain of the nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Domains in which short names are sought, up to 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Time servers, up to 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ntp: Vec<Vaddr>,
    /// Seconds that a lease lasts.
    #[schemars(range(min = 60, max = 31536000))]
    pub lease_seconds: u32,
    /// MTU of the nodes; that of the vnet when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 15972))]
    pub mtu: Option<u16>,
    /// Addresses that this host gives to nodes whose bindings have none, up to
    /// 65536. Hosts that share the subnet have pools apart from each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Range4>,
    /// Routes beside that to the gateway, up to 32.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<DhcpRoute>,
}

impl Default for SubnetDhcp {
    fn default() -> SubnetDhcp {
        SubnetDhcp {
            server: None,
            dns: Vec::new(),
            domain: None,
            search: Vec::new(),
            ntp: Vec::new(),
            lease_seconds: 86_400,
            mtu: None,
            pool: None,
            routes: Vec::new(),
        }
    }
}

/// A route that nodes are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DhcpRoute {
    /// Destinations.
    pub prefix: Prefix4,
    /// Next hop, in the subnet.
    pub via: Vaddr,
}

/// Addresses from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range4 {
    pub first: Vaddr,
    pub last: Vaddr,
}

impl Range4 {
    pub fn contains(self, address: Vaddr) -> bool {
        (self.first.0..=self.last.0).contains(&address.0)
    }
}

impl fmt::Display for Range4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl std::str::FromStr for Range4 {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Range4, ParseError> {
        let bad = || ParseError::new(text, "addresses such as 10.0.1.100-10.0.1.199");
        let (first, last) = text.split_once('-').ok_or_else(bad)?;
        let range = Range4 {
            first: first.parse().map_err(|_| bad())?,
            last: last.parse().map_err(|_| bad())?,
        };
        match range.first <= range.last {
            true => Ok(range),
            false => Err(bad()),
        }
    }
}

serde_as_text!(Range4);

/// Whom a virtual router answers by SNMP, and what it says of itself. Keys and
/// communities are shown to whoever may read the control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snmp {
    /// Communities that may read by version 2c, up to 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub communities: Vec<String>,
    /// Who is responsible for it (`sysContact`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact: String,
    /// Where it is (`sysLocation`).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// Users of version 3, up to 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<SnmpUser>,
}

/// A user of SNMP version 3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnmpUser {
    /// Its name.
    pub name: String,
    /// Its messages are authenticated by this; not at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<SnmpAuth>,
    /// Pass phrase of that, 8 to 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_key: Option<String>,
    /// Its messages are encrypted by this; not at all when absent.
    #[serde(default, rename = "priv", skip_serializing_if = "Option::is_none")]
    pub privacy: Option<SnmpPrivacy>,
    /// Pass phrase of that, 8 to 64 characters.
    #[serde(default, rename = "priv_key", skip_serializing_if = "Option::is_none")]
    pub privacy_key: Option<String>,
}

/// Authentication of SNMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnmpAuth {
    /// HMAC-SHA-1-96 (RFC 3414).
    Sha1,
    /// HMAC-SHA-256-192 (RFC 7860).
    Sha256,
}

/// Encryption of SNMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SnmpPrivacy {
    /// AES-128 in CFB mode (RFC 3826).
    Aes128,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_go_upwards() {
        let range: Range4 = "10.0.1.100-10.0.1.199".parse().unwrap();
        assert_eq!(range.to_string(), "10.0.1.100-10.0.1.199");
        for (address, inside) in [
            ("10.0.1.99", false),
            ("10.0.1.100", true),
            ("10.0.1.199", true),
            ("10.0.1.200", false),
        ] {
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
        let one: Range4 = "10.0.1.1-10.0.1.1".parse().unwrap();
        assert!(one.contains(one.first));
        for bad in [
            "",
            "10.0.1.1",
            "10.0.1.2-10.0.1.1",
            "10.0.1.0/24",
            "-",
            "a-b",
        ] {
            assert!(bad.parse::<Range4>().is_err(), "{bad}");
        }
    }
}
