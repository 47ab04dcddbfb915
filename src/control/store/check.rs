//! Is an object right, given everything else? And may it go?

use super::check_relay::first;
use super::objects::Objects;
use super::stage::Object;
use super::{ObjectUndo, Store, Transaction, mappings};
use crate::config::check::{self, At, Findings};
use crate::control::proto::{Error, ErrorCode};
use crate::model::{Binding, Host, Outsider, Role, Router, Subnet, Vnet};
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vni};

const MAX_NAME: usize = 64;

pub(super) fn invalid(field: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidParams, message).field(field)
}

pub(super) fn name(text: &str) -> Result<(), Error> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-:".contains(&c);
    match !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(fits) {
        true => Ok(()),
        false => Err(invalid("name", format!("`{text}` is not a name"))
            .hint(format!("1 to {MAX_NAME} of a-z A-Z 0-9 . _ - :"))),
    }
}

/// `A, B, C and 9 more`.
pub(super) fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut first = Vec::new();
    let mut more = 0;
    for name in names {
        match first.len() < 5 {
            true => first.push(name),
            false => more += 1,
        }
    }
    let listed = first.join(", ");
    match (first.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(listed),
        (false, more) => Some(format!("{listed} and {more} more")),
    }
}

/// A plain relay has no tenants and no other hosts.
pub(super) fn managed(field: &str, store: &Store) -> Result<(), Error> {
    match store.settings.locator {
        Some(_) => Ok(()),
        None => Err(
            invalid(field, "this appliance has no locator: it is a plain relay")
                .hint("set `locator` in its configuration file and start it again"),
        ),
    }
}

pub(super) fn in_use(message: String) -> Error {
    Error::new(ErrorCode::InUse, message).hint("remove what refers to it first")
}

/// Is this an address (or range) a vnet's node can have?
pub(super) fn mapping(vnet: &str, prefixes: &[Prefix4], given: Prefix4) -> Result<(), Error> {
    if given.address.is_multicast() {
        return Err(invalid(
            "address",
            format!("{given} is multicast; a mapping is of a node"),
        ));
    }
    let inside = |range: &Prefix4| range.len <= given.len && range.contains(given.address);
    match prefixes.is_empty() || prefixes.iter().any(inside) {
        true => Ok(()),
        false => Err(outside("address", &given.to_string(), vnet, prefixes)),
    }
}

fn outside(field: &str, given: &str, vnet: &str, prefixes: &[Prefix4]) -> Error {
    let ranges: Vec<_> = prefixes.iter().map(Prefix4::to_string).collect();
    invalid(field, format!("{given} is outside vnet {vnet}"))
        .hint(format!("its ranges are {}", ranges.join(", ")))
}

impl Store {
    pub(super) fn vnet_for_mappings(&self, name: &str) -> Result<(Vni, Vec<Prefix4>), Error> {
        match self.vnet(name) {
            Some(vnet) => Ok((vnet.vni, vnet.prefixes.clone())),
            None => Err(no_vnet(name)),
        }
    }

    /// A slot that a binding or a mapping names.
    pub(super) fn check_slot(&self, slot: Option<u8>) -> Result<(), Error> {
        if slot.is_none() {
            return Ok(());
        }
        let mut findings = Findings::default();
        check::slot(At::only("slot"), slot, self.settings.layout, &mut findings);
        first(findings, "slot")
    }

    /// A MAC that a mapping names.
    pub(super) fn check_mac(&self, vnet: &str, mac: Option<Mac>) -> Result<(), Error> {
        // Nearly none does: the vnet is not looked up for the others.
        let Some((mac, vnet)) = mac.and_then(|mac| Some((mac, self.vnet(vnet)?))) else {
            return Ok(());
        };
        let mut findings = Findings::default();
        check::given_mac(At::only("mac"), mac, vnet, &mut findings);
        first(findings, "mac")
    }

    pub(super) fn check_port(&self, port: &str, role: Role) -> Result<(), Error> {
        let known = || self.settings.ports.iter();
        match known().find(|known| known.name == port) {
            Some(found) if found.role == role => Ok(()),
            found => {
                let fitting: Vec<_> = known()
                    .filter(|known| known.role == role)
                    .map(|known| known.name.as_str())
                    .collect();
                let wanted = format!("{role:?}").to_lowercase();
                let message = match found {
                    None => format!("there is no port {port}"),
                    Some(_) => format!("port {port} is not of role {wanted}"),
                };
                Err(invalid("port", message)
                    .hint(format!("ports of role {wanted}: {}", fitting.join(", "))))
            }
        }
    }

    /// Everything once more, after a whole set was replaced.
    pub(super) fn check_all(&self, tx: &Transaction) -> Result<(), Error> {
        fn each<T: Object>(store: &Store, objects: &Objects<T>) -> Result<(), Error> {
            objects.iter().try_for_each(|(key, entry)| {
                entry.object.check(store).map_err(|mut error| {
                    error.message = format!("{}: {}", T::KIND.named(key), error.message);
                    error
                })
            })
        }
        each(self, &self.vnets)?;
        each(self, &self.subnets)?;
        each(self, &self.routers)?;
        each(self, &self.hosts)?;
        each(self, &self.bindings)?;
        each(self, &self.routes)?;
        each(self, &self.neighbors)?;
        each(self, &self.relays)?;
        each(self, &self.outsiders)?;
        each(self, &self.vroutes)?;
        each(self, &self.members)?;
        self.vnets
            .keys()
            .try_for_each(|vnet| self.check_answered(vnet))?;
        self.check_eams()?;
        // There may be millions, and mostly nothing has happened to them.
        match tx.objects.iter().any(|undo| self.unsettles_mappings(undo)) {
            true => self.check_mappings(),
            false => Ok(()),
        }
    }

    /// May mappings be wrong now that this was changed?
    fn unsettles_mappings(&self, undo: &ObjectUndo) -> bool {
        match undo {
            ObjectUndo::Vnet(name, Some(old)) => self.vnet(name).is_none_or(|vnet| {
                (vnet.vni, &vnet.prefixes) != (old.object.vni, &old.object.prefixes)
            }),
            ObjectUndo::Host(name, Some(_)) => !self.hosts.contains_key(name),
            _ => false,
        }
    }

    fn check_mappings(&self) -> Result<(), Error> {
        let mut problem = None;
        self.mappings
            .walk(&mut mappings::Cursor::default(), usize::MAX, |slot| {
                let key = slot.key();
                problem = match (self.vnet_of(key.vni), self.host(slot.host())) {
                    (None, _) => Some(in_use(format!(
                        "the vnet with network id {} is used by mapping {} of origin {}",
                        key.vni,
                        key.prefix,
                        slot.origin()
                    ))),
                    (_, None) => Some(in_use(format!(
                        "a removed host is used by mapping {} of origin {}",
                        key.prefix,
                        slot.origin()
                    ))),
                    (Some(vnet), _) => mapping(&vnet.name, &vnet.prefixes, key.prefix).err(),
                };
                problem.is_none()
            });
        problem.map_or(Ok(()), Err)
    }

    /// Makes the ways to find objects anew, after objects were exchanged
    /// without regard to each other.
    pub(super) fn rebuild_indices(&mut self) {
        self.indices.vni.clear();
        self.indices.locator.clear();
        self.indices.address.clear();
        self.indices.wire.clear();
        self.indices.outsider.clear();
        self.indices.system.clear();
        self.indices.second.clear();
        self.indices.segments.clear();
        let indices = &mut self.indices;
        self.vnets
            .values_mut()
            .for_each(|entry| Vnet::link(indices, entry));
        self.hosts
            .values_mut()
            .for_each(|entry| Host::link(indices, entry));
        self.bindings
            .values_mut()
            .for_each(|entry| Binding::link(indices, entry));
        self.outsiders
            .values_mut()
            .for_each(|entry| Outsider::link(indices, entry));
        self.subnets
            .values_mut()
            .for_each(|entry| Subnet::link(indices, entry));
        self.routers
            .values_mut()
            .for_each(|entry| Router::link(indices, entry));
    }
}

pub(super) fn no_vnet(name: &str) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no vnet {name}"))
        .field("vnet")
        .hint("add it with vnet.set first")
}
