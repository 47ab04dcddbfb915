//! `weft route` and `weft neighbor`: the way over the substrate.

use std::net::Ipv6Addr;

use clap::Subcommand;

use super::failure::Failure;
use super::objects::{Most, Revision};
use super::output::{Context, word};
use super::pages::{self, Row, or_empty};
use super::table::{Column, Table, number, text};
use super::values;
use crate::control::proto::{
    Learned, NeighborList, NeighborRemove, NeighborSet, RouteList, RouteRemove, RouteSet,
};
use crate::model;
use crate::wire::{Locator, Mac};

/// Routes of the substrate.
#[derive(Debug, Subcommand)]
pub(super) enum Route {
    /// List routes.
    #[command(after_help = "Method: route.list")]
    List(Most),
    /// Add a route, or replace the one of that prefix.
    #[command(after_help = "Method: route.set")]
    Add {
        /// Destinations, such as 2001:db8::/32 or ::/0.
        prefix: Locator,
        /// A next hop, such as fe80::1%wan0; repeat for more, which share the flows.
        #[arg(long, required = true, value_name = "ADDRESS%PORT", value_parser = values::next_hop)]
        via: Vec<model::NextHop>,
        #[command(flatten)]
        revision: Revision,
    },
    /// Remove a route.
    #[command(after_help = "Method: route.remove")]
    Remove {
        /// Its prefix.
        prefix: Locator,
        #[command(flatten)]
        revision: Revision,
    },
}

impl Route {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Route::List(most) => pages::list(context, RouteList::default(), most.get()),
            Route::Add {
                prefix,
                via,
                revision,
            } => {
                let route = model::Route { prefix, via };
                let revision = revision.revision;
                pages::change(context, &RouteSet { route, revision })
            }
            Route::Remove { prefix, revision } => {
                let revision = revision.revision;
                pages::change(context, &RouteRemove { prefix, revision })
            }
        }
    }
}

impl Row for model::Route {
    const COLUMNS: &'static [Column] = &[text("PREFIX"), text("VIA")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        let via: Vec<_> = self
            .via
            .iter()
            .map(|hop| format!("{}%{}", hop.address, hop.port))
            .collect();
        vec![self.prefix.to_string(), via.join(",")]
    }
}

/// Neighbours on the substrate's links.
#[derive(Debug, Subcommand)]
pub(super) enum Neighbor {
    /// List neighbours with their live state.
    #[command(after_help = "Method: neighbor.list")]
    List,
    /// Add a static neighbour, or replace the one of that address.
    #[command(after_help = "Method: neighbor.set")]
    Add {
        /// Its address on the link.
        address: Ipv6Addr,
        /// Its hardware address.
        mac: Mac,
        /// Name of the uplink.
        #[arg(long)]
        port: String,
        #[command(flatten)]
        revision: Revision,
    },
    /// Remove a static neighbour.
    #[command(after_help = "Method: neighbor.remove")]
    Remove {
        /// Its address on the link.
        address: Ipv6Addr,
        /// Name of the uplink.
        #[arg(long)]
        port: String,
        #[command(flatten)]
        revision: Revision,
    },
}

impl Neighbor {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Neighbor::List => list_neighbors(context),
            Neighbor::Add {
                address,
                mac,
                port,
                revision,
            } => {
                let neighbor = model::Neighbor { port, address, mac };
                let revision = revision.revision;
                pages::change(context, &NeighborSet { neighbor, revision })
            }
            Neighbor::Remove {
                address,
                port,
                revision,
            } => {
                let revision = revision.revision;
                let request = NeighborRemove {
                    port,
                    address,
                    revision,
                };
                pages::change(context, &request)
            }
        }
    }
}

fn list_neighbors(context: &mut Context) -> Result<(), Failure> {
    let reply = context.call(&NeighborList {})?;
    let mut table = Table::new([
        text("PORT"),
        text("ADDRESS"),
        text("MAC"),
        text("STATE"),
        number("CONFIRMED"),
        text("ORIGIN"),
    ]);
    for neighbor in reply.neighbors {
        if context.json {
            context.json(&neighbor)?;
            continue;
        }
        let confirmed = neighbor.confirmed_ms.map(super::output::duration);
        table.row([
            neighbor.port,
            neighbor.address.to_string(),
            or_empty(neighbor.mac),
            word(&neighbor.state),
            confirmed.unwrap_or_default(),
            neighbor
                .origin
                .map_or_else(|| "learned".to_owned(), |origin| origin.to_string()),
        ]);
    }
    match context.json {
        true => Ok(()),
        false => table.write(context),
    }
}
