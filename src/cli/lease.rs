//! `weft lease`: which nodes have their address by DHCP.

use clap::Subcommand;

use super::failure::Failure;
use super::output::{Context, duration};
use super::table::{Table, number, text};
use crate::control::proto::{Access, LeaseList};

/// Addresses that nodes have by DHCP.
#[derive(Debug, Subcommand)]
pub(super) enum Lease {
    /// List them: what was granted since the appliance started, and leases of
    /// pools that were kept over its restart.
    #[command(after_help = "Method: lease.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
    },
}

impl Lease {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Lease::List { vnet } = self;
        list(context, vnet)
    }
}

fn list(context: &mut Context, vnet: Option<String>) -> Result<(), Failure> {
    let mut client = context.connect(Access::ReadOnly)?;
    let mut table = Table::new([
        text("NODE"),
        text("VNET"),
        text("ADDRESS"),
        text("MAC"),
        text("HOST NAME"),
        number("EXPIRES"),
    ]);
    let mut request = LeaseList {
        vnet,
        ..LeaseList::default()
    };
    loop {
        let reply = client.call(&request)?;
        for lease in reply.items {
            if context.json {
                context.json(&lease)?;
                continue;
            }
            let expires = lease
                .expires
                .map(|seconds| duration(seconds.saturating_mul(1000)));
            table.row([
                lease.node,
                lease.vnet,
                lease.address.to_string(),
                lease.mac.to_string(),
                lease.host_name,
                expires.unwrap_or_else(|| "never".to_owned()),
            ]);
        }
        if reply.next.is_none() || reply.next == request.cursor {
            break;
        }
        request.cursor = reply.next;
    }
    match context.json {
        true => Ok(()),
        false => table.write(context),
    }
}
