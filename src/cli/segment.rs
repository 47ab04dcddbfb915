//! `weft subnet`, `router` and `vroute`: what is inside a vnet.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::objects::{Most, Revision};
use super::output::Context;
use super::pages::{self, Row, join, or_empty};
use super::policy::{Device, Told};
use super::table::{Column, text};
use super::values;
use crate::control::proto::{
    Learned, RouterList, RouterRemove, RouterSet, SubnetList, SubnetRemove, SubnetSet, VrouteList,
    VrouteRemove, VrouteSet,
};
use crate::model::{self, RouterInterface};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Parts of vnets whose nodes are neighbours.
#[derive(Debug, Subcommand)]
pub(super) enum Subnet {
    /// List subnets.
    #[command(after_help = "Method: subnet.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Show one subnet.
    #[command(after_help = "Method: subnet.list")]
    Show {
        /// Its name.
        name: String,
    },
    /// Add a subnet, or replace the one of that name.
    #[command(after_help = "Method: subnet.set")]
    Add(SubnetAdd),
    /// Remove a subnet that nothing refers to.
    #[command(after_help = "Method: subnet.remove")]
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct SubnetAdd {
    /// Name by which routers refer to it.
    name: String,
    /// Name of its vnet.
    #[arg(long)]
    vnet: String,
    /// Its addresses, such as 10.0.1.0/24.
    #[arg(long)]
    prefix: Prefix4,
    /// Address of its nodes' default router.
    #[arg(long)]
    gateway: Option<Vaddr>,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    revision: Revision,
}

impl Subnet {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Subnet::List { vnet, most } => {
                let request = SubnetList {
                    vnet,
                    ..SubnetList::default()
                };
                pages::list(context, request, most.get())
            }
            Subnet::Show { name } => {
                let it = |subnet: &model::Subnet| subnet.name == name;
                pages::show(context, SubnetList::default(), &name, it)
            }
            Subnet::Add(add) => {
                let subnet = model::Subnet {
                    name: add.name,
                    vnet: add.vnet,
                    prefix: add.prefix,
                    gateway: add.gateway,
                    dhcp: add.told.table(),
                };
                let revision = add.revision.revision;
                pages::change(context, &SubnetSet { subnet, revision })
            }
            Subnet::Remove { name, revision } => {
                let revision = revision.revision;
                pages::change(context, &SubnetRemove { name, revision })
            }
        }
    }
}

impl Row for model::Subnet {
    const COLUMNS: &'static [Column] =
        &[text("NAME"), text("VNET"), text("PREFIX"), text("GATEWAY")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![
            self.name.clone(),
            self.vnet.clone(),
            self.prefix.to_string(),
            or_empty(self.gateway),
        ]
    }
}

/// Virtual routers between subnets of a vnet.
#[derive(Debug, Subcommand)]
pub(super) enum Router {
    /// List virtual routers; those of the vnets themselves are not listed.
    #[command(after_help = "Method: router.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Show one virtual router.
    #[command(after_help = "Method: router.list")]
    Show {
        /// Its name.
        name: String,
    },
    /// Add a virtual router, or replace the one of that name.
    #[command(after_help = "Method: router.set")]
    Add(RouterAdd),
    /// Remove a virtual router that has no routes.
    #[command(after_help = "Method: router.remove")]
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct RouterAdd {
    /// Name by which routes refer to it.
    name: String,
    /// Name of its vnet.
    #[arg(long)]
    vnet: String,
    /// A subnet that it joins and its address there, such as web=10.0.1.1; repeat for more.
    #[arg(long = "interface", value_name = "SUBNET=ADDRESS", required = true, value_parser = interface)]
    interfaces: Vec<RouterInterface>,
    #[command(flatten)]
    device: Device,
    #[command(flatten)]
    revision: Revision,
}

fn interface(text: &str) -> Result<RouterInterface, String> {
    let (subnet, address) = text
        .split_once('=')
        .ok_or("a subnet and an address such as web=10.0.1.1")?;
    Ok(RouterInterface {
        subnet: subnet.to_owned(),
        address: address.parse().map_err(|error| format!("{error}"))?,
    })
}

impl Router {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Router::List { vnet, most } => {
                let request = RouterList {
                    vnet,
                    ..RouterList::default()
                };
                pages::list(context, request, most.get())
            }
            Router::Show { name } => {
                let it = |router: &model::Router| router.name == name;
                pages::show(context, RouterList::default(), &name, it)
            }
            Router::Add(add) => {
                let router = model::Router {
                    name: add.name,
                    vnet: add.vnet,
                    interfaces: add.interfaces,
                    snmp: add.device.table(),
                };
                let revision = add.revision.revision;
                pages::change(context, &RouterSet { router, revision })
            }
            Router::Remove { name, revision } => {
                let revision = revision.revision;
                pages::change(context, &RouterRemove { name, revision })
            }
        }
    }
}

impl Row for model::Router {
    const COLUMNS: &'static [Column] = &[text("NAME"), text("VNET"), text("INTERFACES")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        let interfaces = self.interfaces.iter();
        let interfaces: Vec<_> = interfaces
            .map(|one| format!("{}={}", one.subnet, one.address))
            .collect();
        vec![self.name.clone(), self.vnet.clone(), join(&interfaces)]
    }
}

/// Routes of virtual routers.
#[derive(Debug, Subcommand)]
pub(super) enum Vroute {
    /// List routes of virtual routers.
    #[command(after_help = "Method: vroute.list")]
    List {
        /// Only those of this router, or of the vnet's own.
        #[arg(long)]
        router: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Add a route, or replace the one of that router and prefix.
    #[command(after_help = "Method: vroute.set")]
    Add(VrouteAdd),
    /// Remove a route.
    #[command(after_help = "Method: vroute.remove")]
    Remove {
        /// Name of the router, or of the vnet for its own.
        router: String,
        /// Its destinations.
        prefix: Prefix4,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct VrouteAdd {
    /// Name of the router, or of the vnet for its own.
    router: String,
    /// Destinations, such as 10.0.2.0/24 or 0.0.0.0/0.
    prefix: Prefix4,
    /// Next hop: a router or node in one of the router's subnets.
    #[arg(long, required_unless_present = "action", conflicts_with = "action")]
    via: Option<Vaddr>,
    /// What becomes of packets instead.
    #[arg(long, value_parser = values::one_of::<model::VrouteAction>(&["blackhole", "prohibit"]))]
    action: Option<model::VrouteAction>,
    #[command(flatten)]
    revision: Revision,
}

impl Vroute {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Vroute::List { router, most } => {
                let request = VrouteList {
                    router,
                    ..VrouteList::default()
                };
                pages::list(context, request, most.get())
            }
            Vroute::Add(add) => {
                let vroute = model::Vroute {
                    router: add.router,
                    prefix: add.prefix,
                    via: add.via,
                    action: add.action,
                };
                let revision = add.revision.revision;
                pages::change(context, &VrouteSet { vroute, revision })
            }
            Vroute::Remove {
                router,
                prefix,
                revision,
            } => {
                let revision = revision.revision;
                let request = VrouteRemove {
                    router,
                    prefix,
                    revision,
                };
                pages::change(context, &request)
            }
        }
    }
}

impl Row for model::Vroute {
    const COLUMNS: &'static [Column] = &[text("ROUTER"), text("PREFIX"), text("NEXT-HOP")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        let to = self.via.map(|via| via.to_string());
        vec![
            self.router.clone(),
            self.prefix.to_string(),
            to.unwrap_or_else(|| or_empty(self.action)),
        ]
    }
}
