//! What the objects say of an address that a node takes by itself.

use super::Store;
use super::check_relay::first;
use crate::config::check::{self, At, Findings, alone};
use crate::model::Binding;
use crate::wire::Vaddr;

/// Why an address cannot be a node's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Outside of its vnet or subnet, or not of a single node.
    Outside,
    /// A router's, or a DHCP server's.
    Router,
    /// Another binding's, or an outsider's.
    Taken,
}

impl Store {
    /// Whether a node could be bound to this address, in the subnet that it is
    /// in. Mappings are not looked at: the table has them.
    pub fn fits(&self, binding: &Binding, address: Vaddr) -> Result<(), Unfit> {
        let vnet = binding.vnet.as_str();
        let candidate = Binding {
            address: Some(address),
            prefixes: Vec::new(),
            ..binding.clone()
        };
        let mut findings = Findings::default();
        check::binding(At::only("binding"), &candidate, self, &mut findings);
        first(findings, "binding").map_err(|_| Unfit::Outside)?;
        let subnet = |address| self.subnet_at(vnet, address).map(|subnet| &subnet.name);
        let other = |own| subnet(address) != subnet(own);
        if binding.address.is_none_or(other) {
            return Err(Unfit::Outside);
        }
        let own = alone(address);
        let routers = self.not_a_routers("address", vnet, own);
        routers.map_err(|_| Unfit::Router)?;
        let place = (vnet.to_owned(), address.0);
        let bound = self.indices.address.get(&place);
        let holders = bound.into_iter().chain(self.indices.second.get(&place));
        let anothers = holders.into_iter().any(|name| *name != binding.name);
        match anothers || self.not_an_outsiders(vnet, own).is_err() {
            true => Err(Unfit::Taken),
            false => Ok(()),
        }
    }
}
