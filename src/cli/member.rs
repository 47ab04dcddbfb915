//! `weft member`: which hosts hear which multicast groups.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::objects::{Most, Revision};
use super::output::Context;
use super::pages::{self, Row, or_empty};
use super::table::{Column, number, text};
use crate::control::proto::{Learned, MemberList, MemberRemove, MemberSet};
use crate::model;
use crate::wire::Vaddr;

/// Hosts that hear multicast groups of vnets.
#[derive(Debug, Subcommand)]
pub(super) enum Member {
    /// List hosts that hear groups.
    #[command(after_help = "Method: member.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Add a host that hears a group, or say again that it does.
    #[command(after_help = "Method: member.set")]
    Add(Add),
    /// Remove a host that heard a group.
    #[command(after_help = "Method: member.remove")]
    Remove {
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// Name of the vnet.
    vnet: String,
    /// The group, such as 239.1.2.3.
    group: Vaddr,
    /// Name of the host.
    host: String,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    #[command(flatten)]
    who: Who,
    /// Seconds after which it is one no longer; never when absent.
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u32>,
    #[command(flatten)]
    revision: Revision,
}

impl Member {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Member::List { vnet, most } => {
                let request = MemberList {
                    vnet,
                    ..MemberList::default()
                };
                pages::list(context, request, most.get())
            }
            Member::Add(add) => {
                let member = model::Member {
                    vnet: add.who.vnet,
                    group: add.who.group,
                    host: add.who.host,
                    expires: add.expires,
                };
                let revision = add.revision.revision;
                pages::change(context, &MemberSet { member, revision })
            }
            Member::Remove { who, revision } => {
                let Who { vnet, group, host } = who;
                let revision = revision.revision;
                let request = MemberRemove {
                    vnet,
                    group,
                    host,
                    revision,
                };
                pages::change(context, &request)
            }
        }
    }
}

impl Row for model::Member {
    const COLUMNS: &'static [Column] =
        &[text("VNET"), text("GROUP"), text("HOST"), number("EXPIRES")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![
            self.vnet.clone(),
            self.group.to_string(),
            self.host.clone(),
            or_empty(self.expires),
        ]
    }
}
