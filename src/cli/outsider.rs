//! `weft outsider`: IPv6 systems that are no nodes and have an address in a
//! vnet.

use clap::{Args, Subcommand};

use super::eam::short6;
use super::failure::Failure;
use super::objects::{Most, Revision};
use super::output::Context;
use super::pages::{self, Row, join};
use super::table::{Column, text};
use crate::control::proto::{Learned, OutsiderList, OutsiderRemove, OutsiderSet};
use crate::model;
use crate::wire::Prefix6;
use crate::wire::address::{Prefix4, prefix6_or_address};

/// IPv6 systems that are no nodes and have an address in a vnet.
#[derive(Debug, Subcommand)]
pub(super) enum Outsider {
    /// List outsiders.
    #[command(after_help = "Method: outsider.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Show one outsider.
    #[command(after_help = "Method: outsider.list")]
    Show {
        /// Its name.
        name: String,
    },
    /// Add an outsider, or replace the one of that name.
    #[command(after_help = "Method: outsider.set")]
    Add(Add),
    /// Remove an outsider.
    #[command(after_help = "Method: outsider.remove")]
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name.
    name: String,
    /// Name of the vnet.
    #[arg(long)]
    vnet: String,
    /// Its address in the vnet, or a prefix for a prefix of systems.
    #[arg(long)]
    address: Prefix4,
    /// Its IPv6 address, or a prefix with at least as many bits after it.
    #[arg(long, value_parser = prefix6_or_address::parse)]
    ipv6: Prefix6,
    /// A node that it may write to, and that may write to it; repeat for more. None: all of the
    /// vnet.
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
    /// No node at all, for now.
    #[arg(long, conflicts_with = "nodes")]
    no_nodes: bool,
    #[command(flatten)]
    revision: Revision,
}

impl Outsider {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Outsider::List { vnet, most } => {
                let request = OutsiderList {
                    vnet,
                    ..OutsiderList::default()
                };
                pages::list(context, request, most.get())
            }
            Outsider::Show { name } => {
                pages::show(context, OutsiderList::default(), &name, |outsider| {
                    outsider.name == name
                })
            }
            Outsider::Add(add) => {
                let outsider = model::Outsider {
                    name: add.name,
                    vnet: add.vnet,
                    address: add.address,
                    ipv6: add.ipv6,
                    nodes: (add.no_nodes || !add.nodes.is_empty()).then_some(add.nodes),
                };
                let revision = add.revision.revision;
                pages::change(context, &OutsiderSet { outsider, revision })
            }
            Outsider::Remove { name, revision } => {
                let revision = revision.revision;
                pages::change(context, &OutsiderRemove { name, revision })
            }
        }
    }
}

impl Row for model::Outsider {
    const COLUMNS: &'static [Column] = &[
        text("NAME"),
        text("VNET"),
        text("ADDRESS"),
        text("IPV6"),
        text("NODES"),
    ];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![
            self.name.clone(),
            self.vnet.clone(),
            match self.address.len {
                32 => self.address.address.to_string(),
                _ => self.address.to_string(),
            },
            short6(&self.ipv6),
            match self.nodes.as_deref() {
                None => "all".to_owned(),
                Some(nodes) => join(nodes),
            },
        ]
    }
}
