//! The running objects as loadable TOML.

use serde::Serialize;

use super::Store;
use crate::model::{Binding, Host, Neighbor, Outsider, Relay, Route, Router, Subnet, Vnet};

/// Tables in the order a reader wants them; empty ones are left out.
#[derive(Serialize)]
struct Tables<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vnet: Vec<&'a Vnet>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subnet: Vec<&'a Subnet>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    router: Vec<&'a Router>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    host: Vec<&'a Host>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    binding: Vec<&'a Binding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    route: Vec<&'a Route>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    neighbor: Vec<&'a Neighbor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<Relay>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outsider: Vec<&'a Outsider>,
}

impl Store {
    /// Every object but those there may be very many of: mappings of vnets and
    /// of the relay, routes of virtual routers and members of groups.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&Tables {
            vnet: self.vnets().collect(),
            subnet: self.subnets().collect(),
            router: self.routers().collect(),
            host: self.hosts.values().map(|entry| &entry.object).collect(),
            binding: self.bindings().collect(),
            route: self.routes().collect(),
            neighbor: self.neighbors().collect(),
            // What the file of explicit mappings held is listed with the rest.
            relay: self.relay().map(|relay| Relay {
                eam_file: None,
                ..relay.clone()
            }),
            outsider: self.outsiders().collect(),
        })
    }
}
