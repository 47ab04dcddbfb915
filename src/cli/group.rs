//! `weft group`: who has joined which group.

use clap::Subcommand;

use super::failure::Failure;
use super::output::{Context, word};
use super::table::{Table, number, text};
use crate::control::proto::{GroupList, GroupMember, GroupSources};

/// Multicast groups of vnets.
#[derive(Debug, Subcommand)]
pub(super) enum Group {
    /// List groups with the nodes that have joined and the other hosts with members.
    #[command(after_help = "Method: group.list")]
    List {
        /// Only groups of this vnet.
        #[arg(long)]
        vnet: Option<String>,
    },
}

impl Group {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Group::List { vnet } = self;
        let reply = context.call(&GroupList { vnet })?;
        let mut table = Table::new([
            text("VNET"),
            text("GROUP"),
            text("NODE"),
            text("HOST"),
            number("IGMP"),
            text("SOURCES"),
            number("EXPIRES"),
        ]);
        for group in reply.groups {
            if context.json {
                context.json(&group)?;
                continue;
            }
            let address = group.group.to_string();
            for member in &group.members {
                table.row([
                    &group.vnet,
                    &address,
                    &member.node,
                    "",
                    &member.version.to_string(),
                    &sources(member),
                    &format!("{} s", member.expires),
                ]);
            }
            for host in &group.hosts {
                table.row([&group.vnet, &address, "", host, "", "", ""]);
            }
        }
        match context.json {
            true => Ok(()),
            false => table.write(context),
        }
    }
}

/// From whom the member takes packets.
fn sources(member: &GroupMember) -> String {
    let addresses = member.addresses.iter().map(ToString::to_string);
    let words = std::iter::once(word(&member.sources));
    match member.sources {
        GroupSources::Any => word(&member.sources),
        _ => words.chain(addresses).collect::<Vec<_>>().join(" "),
    }
}
