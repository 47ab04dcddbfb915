//! Reading the store, page by page.

use std::ops::Bound;

use super::Store;
use super::check_member::left;
use super::mappings::{Cursor, Key, Slot};
use super::objects::page;
use crate::control::proto::{
    BindingList, EamList, Error, ErrorCode, Held, HostList, MappingGet, MappingList, MemberList,
    OutsiderList, Page, RouteList, RouterList, SubnetList, VnetList, VrouteList,
};
use crate::model::{
    Binding, Eam, Host, Mapping, Member, Outsider, Route, Router, Subnet, Vnet, Vroute,
};

impl Store {
    pub fn list_vnets(&self, ask: &VnetList, most: usize) -> Page<Held<Vnet>> {
        let (items, next) = page(
            &self.vnets,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            |_| true,
        );
        Page { items, next }
    }

    pub fn list_hosts(&self, ask: &HostList, most: usize) -> Page<Held<Host>> {
        let (items, next) = page(
            &self.hosts,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            |_| true,
        );
        Page { items, next }
    }

    pub fn list_routes(&self, ask: &RouteList, most: usize) -> Page<Held<Route>> {
        let (items, next) = page(
            &self.routes,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            |_| true,
        );
        Page { items, next }
    }

    pub fn list_bindings(&self, ask: &BindingList, most: usize) -> Page<Held<Binding>> {
        let of_vnet = |b: &Binding| ask.vnet.as_ref().is_none_or(|vnet| b.vnet == *vnet);
        let (items, next) = page(
            &self.bindings,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            of_vnet,
        );
        Page { items, next }
    }

    pub fn list_outsiders(&self, ask: &OutsiderList, most: usize) -> Page<Held<Outsider>> {
        let of_vnet = |o: &Outsider| ask.vnet.as_ref().is_none_or(|vnet| o.vnet == *vnet);
        let (items, next) = page(
            &self.outsiders,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            of_vnet,
        );
        Page { items, next }
    }

    pub fn list_subnets(&self, ask: &SubnetList, most: usize) -> Page<Held<Subnet>> {
        let of_vnet = |s: &Subnet| ask.vnet.as_ref().is_none_or(|vnet| s.vnet == *vnet);
        let (items, next) = page(
            &self.subnets,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            of_vnet,
        );
        Page { items, next }
    }

    pub fn list_routers(&self, ask: &RouterList, most: usize) -> Page<Held<Router>> {
        let of_vnet = |r: &Router| ask.vnet.as_ref().is_none_or(|vnet| r.vnet == *vnet);
        let (items, next) = page(
            &self.routers,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            of_vnet,
        );
        Page { items, next }
    }

    pub fn list_members(&self, ask: &MemberList, most: usize, now: u32) -> Page<Held<Member>> {
        let wanted = |one: &Member| {
            let of_vnet = ask.vnet.as_ref().is_none_or(|vnet| one.vnet == *vnet);
            of_vnet && one.expires.is_none_or(|at| at > now)
        };
        let (mut items, next) = page(
            &self.members,
            ask.cursor.as_deref(),
            size(ask.limit, most),
            wanted,
        );
        for held in &mut items {
            held.object = left(&held.object, now);
        }
        Page { items, next }
    }

    /// Those of one router lie together: its list begins where they do, and
    /// ends with them.
    pub fn list_vroutes(&self, ask: &VrouteList, most: usize) -> Page<Held<Vroute>> {
        let limit = size(ask.limit, most);
        let Some(router) = &ask.router else {
            let (items, next) = page(&self.vroutes, ask.cursor.as_deref(), limit, |_| true);
            return Page { items, next };
        };
        let first = format!("{router} ");
        let from = match &ask.cursor {
            Some(cursor) if *cursor > first => cursor,
            _ => &first,
        };
        let after = (Bound::Excluded(from.as_str()), Bound::Unbounded);
        let mut theirs = self
            .vroutes
            .range::<str, _>(after)
            .take_while(|(_, entry)| entry.object.router == *router);
        let mut last = None;
        let items: Vec<_> = theirs
            .by_ref()
            .take(limit)
            .map(|(key, entry)| {
                last = Some(key);
                entry.held()
            })
            .collect();
        let next = theirs.next().and(last.cloned());
        Page { items, next }
    }

    /// As [`Store::list_mappings`].
    pub fn list_eams(&self, ask: &EamList, most: usize) -> Result<Page<Held<Eam>>, Error> {
        let mut cursor = cursor(ask.cursor.as_deref())?;
        let limit = size(ask.limit, most);
        let mut items = Vec::new();
        let end = self.eams.walk(&mut cursor, limit * 16, |held| {
            items.push(held.as_held());
            items.len() < limit
        });
        Ok(Page {
            items,
            next: (!end).then(|| cursor.to_text()),
        })
    }

    /// In no order; while mappings are added one may be shown twice. A page
    /// may hold fewer than asked for, even none, and still have a next one:
    /// the walk looks at a bounded number of places.
    pub fn list_mappings(
        &self,
        ask: &MappingList,
        most: usize,
        now: u32,
    ) -> Result<Page<Held<Mapping>>, Error> {
        let mut cursor = cursor(ask.cursor.as_deref())?;
        let vni = match &ask.vnet {
            None => None,
            Some(name) => Some(self.vnet_for_mappings(name)?.0),
        };
        let limit = size(ask.limit, most);
        let mut items = Vec::new();
        let end = self.mappings.walk(&mut cursor, limit * 16, |slot| {
            if vni.is_none_or(|vni| slot.key().vni == vni) {
                items.extend(self.held_mapping(slot, now));
            }
            items.len() < limit
        });
        Ok(Page {
            items,
            next: (!end).then(|| cursor.to_text()),
        })
    }

    pub fn get_mapping(&self, ask: &MappingGet, now: u32) -> Result<Held<Mapping>, Error> {
        let (vni, _) = self.vnet_for_mappings(&ask.vnet)?;
        let slot = match ask.longest {
            true => self.mappings.longest(vni, ask.address.address),
            false => self.mappings.get(Key {
                vni,
                prefix: ask.address,
            }),
        };
        slot.and_then(|slot| self.held_mapping(&slot, now))
            .ok_or_else(|| {
                Error::new(
                    ErrorCode::NotFound,
                    format!("vnet {} has no mapping of {}", ask.vnet, ask.address),
                )
                .field("address")
            })
    }

    pub(crate) fn held_mapping(&self, slot: &Slot, now: u32) -> Option<Held<Mapping>> {
        let key = slot.key();
        if slot.expires().is_some_and(|at| at <= now) {
            return None;
        }
        Some(Held {
            object: Mapping {
                vnet: self.vnet_of(key.vni)?.name.clone(),
                address: key.prefix,
                host: self.host(slot.host())?.name.clone(),
                expires: slot.expires().map(|at| at.saturating_sub(now)),
                revision: slot.revision(),
                slot: slot.place().slot,
                mac: slot.mac(),
            },
            origin: slot.origin(),
            revision: slot.revision(),
            learned: None,
        })
    }
}

/// The place a page begins at.
fn cursor(text: Option<&str>) -> Result<Cursor, Error> {
    let Some(text) = text else {
        return Ok(Cursor::default());
    };
    Cursor::from_text(text).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidParams,
            format!("`{text}` is not a cursor"),
        )
        .field("cursor")
        .hint("give `next` of the page before")
    })
}

fn size(wanted: Option<usize>, most: usize) -> usize {
    wanted.unwrap_or(most).clamp(1, most.max(1))
}
