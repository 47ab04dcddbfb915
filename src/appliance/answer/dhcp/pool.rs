//! Addresses of pools: which are free, and whose they are.

use crate::control::proto::{Event, LeaseChange};
use crate::control::store::Store;
use crate::mapping::{Key, NodeIndex, Target};
use crate::model::{Binding, Dhcp, Range4, Subnet};
use crate::node::dhcp::{Answer, Asked, DhcpIgnored, Effect, Exhausted, Seeker};
use crate::time::Time;
use crate::wire::address::Prefix4;
use crate::wire::dhcp::Kind;
use crate::wire::{Mac, Vaddr, Vni};

use super::Dhcps;
use super::relay::may_be_given;
use crate::appliance::answer::Replies;
use crate::appliance::compile::subnet_of;
use crate::appliance::plant::Plant;

impl Dhcps {
    /// Ends the leases of nodes that are bound no more, have another address, or
    /// one that is not to be had any more.
    pub(in crate::appliance) fn forget(&mut self, store: &Store) {
        let gone = self.leases.forget(|node, lease| {
            let binding = store.binding(node);
            binding.is_some_and(|it| it.vnet == lease.vnet && may_have(it, lease.address, store))
        });
        self.pools.forget(|node, vni, address| {
            store.binding(node).is_some_and(|it| {
                let vnet = store.vnet(&it.vnet);
                it.address.is_none()
                    && vnet.is_some_and(|vnet| vnet.vni == vni)
                    && may_have(it, address, store)
            })
        });
        let pooled = gone.into_iter().filter(|(node, _)| {
            let binding = store.binding(node);
            binding.is_none_or(|binding| binding.address.is_none())
        });
        let before = self.lost.len();
        self.lost.extend(pooled);
        self.changes += (self.lost.len() - before) as u64;
    }
}

/// Whether a node may have an address by what is configured.
pub(super) fn may_have(binding: &Binding, address: Vaddr, store: &Store) -> bool {
    match binding.address {
        Some(own) => own == address,
        None => store
            .vnet(&binding.vnet)
            .is_some_and(|vnet| match vnet.dhcp {
                Dhcp::Host => pool_of(binding, store).is_some_and(|(_, pool)| {
                    pool.contains(address) && !store.is_held(&binding.vnet, address)
                }),
                Dhcp::Node => may_be_given(binding, vnet, address, store),
                Dhcp::Off => false,
            }),
    }
}

/// The subnet that gives a node its address, and of what.
fn pool_of<'s>(binding: &Binding, store: &'s Store) -> Option<(&'s Subnet, Range4)> {
    let subnet = subnet_of(store, binding)?;
    let dhcp = subnet.dhcp.as_ref()?;
    Some((subnet, dhcp.pool?))
}

impl Plant {
    /// The address that a message of a node without one is about; 0.0.0.0 if it
    /// has none and gets none by it.
    pub(super) fn address_of_pool(
        &mut self,
        node: NodeIndex,
        asked: Asked,
        mac: Mac,
        store: &Store,
        replies: &mut Replies,
    ) -> Result<Vaddr, DhcpIgnored> {
        let record = self.topology().node(node).ok_or(DhcpIgnored::NotServed)?;
        let (name, vni) = (record.name.clone(), record.vni);
        let binding = store.binding(&name).ok_or(DhcpIgnored::NotServed)?;
        let (subnet, pool) = pool_of(binding, store).ok_or(DhcpIgnored::NotServed)?;
        let who = Seeker {
            node: &name,
            vni,
            pool,
        };
        let now = self.now();
        let mut pools = std::mem::take(&mut self.dhcp.pools);
        let free = |address| self.is_free((node, vni), subnet, address, store);
        let found = match asked.kind {
            Kind::Discover => pools.offer(&who, asked.address, now, free),
            Kind::Request => Ok(pools
                .request(&who, asked.address, now, free)
                .unwrap_or(Vaddr(0))),
            _ => Ok(pools.address(&name).unwrap_or(Vaddr(0))),
        };
        self.dhcp.pools = pools;
        found.map_err(|Exhausted { news }| {
            if news {
                replies.events.push(Event::Lease {
                    change: LeaseChange::Exhausted,
                    node: name,
                    vnet: binding.vnet.clone(),
                    address: Vaddr(0),
                    mac,
                    host_name: String::new(),
                    seconds: None,
                });
            }
            DhcpIgnored::PoolExhausted
        })
    }

    /// Whether nobody else has an address, by what is configured and by what the
    /// table says.
    fn is_free(
        &self,
        (node, vni): (NodeIndex, Vni),
        subnet: &Subnet,
        address: Vaddr,
        store: &Store,
    ) -> bool {
        let ends = [0, !Prefix4::mask(subnet.prefix.len)];
        let within = address.0 & !Prefix4::mask(subnet.prefix.len);
        if subnet.prefix.len <= 30 && ends.contains(&within) {
            return false;
        }
        let key = Key::new(vni.0, address.0);
        let found = self.reader.resolve(&self.participant, key);
        let found = found.filter(|mapping| !mapping.is_expired(self.seconds()));
        let others = found.is_some_and(|mapping| match mapping.target {
            Target::Gone => false,
            Target::Local(owner) => owner != node,
            _ => true,
        });
        !others && !store.is_held(&subnet.vnet, address)
    }

    /// What an answer makes of the claim of a node without address.
    pub(super) fn settle_claim(&mut self, node: &str, answer: &Answer, now: Time) {
        let dhcp = &mut self.dhcp;
        let Some(address) = dhcp.pools.address(node) else {
            return;
        };
        match answer.effect {
            Effect::Granted { .. } => {
                dhcp.pools.grant(node);
                dhcp.moved |= dhcp.leases.address(node) != Some(address);
            }
            Effect::Declined => {
                dhcp.pools.decline(node, now);
                dhcp.moved = true;
            }
            Effect::Released => dhcp.moved |= dhcp.pools.end(node),
            Effect::Offered | Effect::Refused { .. } | Effect::Informed => return,
        }
        dhcp.changes += 1;
    }
}

#[cfg(test)]
#[path = "pool/tests.rs"]
mod tests;
