//! `weft mapping`: where the nodes are.

use std::borrow::Cow;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::load::Source;
use super::mapping_file::MappingFile;
use super::objects::{Most, Revision};
use super::output::Context;
use super::pages::{self, Row, or_empty};
use super::table::{Column, number, text};
use crate::control::proto::{
    Learned, MappingGet, MappingKey, MappingList, MappingRemove, MappingRow, MappingSet,
};
use crate::model;
use crate::wire::Mac;
use crate::wire::address::Prefix4;

/// Where nodes are: (vnet, address) -> host.
#[derive(Debug, Subcommand)]
pub(super) enum Mapping {
    /// List mappings.
    #[command(after_help = "Method: mapping.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Show one mapping.
    #[command(after_help = "Method: mapping.get")]
    Show {
        /// The address, or the prefix.
        address: Prefix4,
        /// Name of the vnet.
        #[arg(long)]
        vnet: String,
        /// The entry a packet would take (longest match), not exactly this one.
        #[arg(long = "match")]
        longest: bool,
    },
    /// Add a mapping, or replace the one of that address.
    #[command(after_help = "Method: mapping.set")]
    Add(Add),
    /// Remove mappings of one vnet, all or none.
    #[command(after_help = "Method: mapping.remove")]
    Remove {
        /// Addresses or prefixes.
        #[arg(required = true)]
        addresses: Vec<Prefix4>,
        /// Name of the vnet.
        #[arg(long)]
        vnet: String,
        #[command(flatten)]
        revision: Revision,
    },
    Load(Load),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The node's address, or a prefix that lies behind one host as a whole.
    address: Prefix4,
    /// Name of the vnet.
    #[arg(long)]
    vnet: String,
    /// Name of the host it is behind.
    #[arg(long)]
    host: String,
    /// Seconds from now after which it is no longer valid; never when absent.
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u32>,
    /// Layout `slot`: slot of the node at that host, or of the node that the prefix is behind.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=63))]
    slot: Option<u8>,
    /// Of a vnet with given MACs: the node's, or that of the node that the prefix is behind.
    #[arg(long)]
    mac: Option<Mac>,
    #[command(flatten)]
    revision: Revision,
}

/// Load mappings from a file.
///
/// Each line is `vnet,address,host[,expires[,revision[,slot[,mac]]]]` or a JSON object with these keys,
/// as `weft mapping list --json` prints them. Empty lines, lines that start with `#` and a heading
/// that starts with `vnet,` are skipped. The operator's mappings that the file does not mention
/// are removed at the end, without a gap in forwarding.
#[derive(Debug, Args)]
#[command(after_help = "Methods: sync.begin, mapping.set, batch, sync.commit, sync.abort")]
pub(super) struct Load {
    #[command(flatten)]
    source: Source,
}

impl Mapping {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Mapping::List { vnet, most } => {
                let request = MappingList {
                    vnet,
                    ..MappingList::default()
                };
                pages::list(context, request, most.get())
            }
            Mapping::Show {
                address,
                vnet,
                longest,
            } => {
                let held = context.call(&MappingGet {
                    vnet,
                    address,
                    longest,
                })?;
                pages::show_held(context, &held)
            }
            Mapping::Add(add) => {
                let row = MappingRow {
                    address: add.address,
                    host: Cow::Owned(add.host),
                    expires: add.expires,
                    revision: add.revision.revision,
                    slot: add.slot,
                    mac: add.mac,
                };
                let request = MappingSet {
                    vnet: Cow::Owned(add.vnet),
                    mappings: vec![row],
                };
                pages::change(context, &request)
            }
            Mapping::Remove {
                addresses,
                vnet,
                revision,
            } => {
                let revision = revision.revision;
                let keys = addresses
                    .into_iter()
                    .map(|address| MappingKey { address, revision });
                let request = MappingRemove {
                    vnet: Cow::Owned(vnet),
                    mappings: keys.collect(),
                };
                pages::change(context, &request)
            }
            Mapping::Load(load) => load.source.load::<MappingFile>(context),
        }
    }
}

impl Row for model::Mapping {
    const COLUMNS: &'static [Column] = &[
        text("VNET"),
        text("ADDRESS"),
        text("HOST"),
        number("SLOT"),
        text("MAC"),
        number("EXPIRES"),
    ];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![
            self.vnet.clone(),
            // A single node is an address, as it is typed.
            match self.address.len {
                32 => self.address.address.to_string(),
                _ => self.address.to_string(),
            },
            self.host.clone(),
            or_empty(self.slot),
            or_empty(self.mac),
            or_empty(self.expires),
        ]
    }
}
