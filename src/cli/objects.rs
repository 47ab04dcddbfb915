//! `weft vnet`, `host` and `binding`: the objects of the tenants that change
//! seldom. Mappings, which come in millions, are in `mapping`.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::{Context, word};
use super::pages::{self, Row, join, or_empty};
use super::table::{Column, number, text};
use super::values;
use crate::control::proto::{
    BindingList, BindingRemove, BindingSet, HostList, HostRemove, HostSet, Learned, LearnedAddress,
    VnetList, VnetRemove, VnetSet,
};
use crate::model;
use crate::wire::address::Prefix4;
use crate::wire::{Locator, Mac, Vaddr, Vni};

/// Items wanted of a list.
#[derive(Debug, Args)]
pub(super) struct Most {
    /// Most objects to print; all when absent.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

impl Most {
    pub(super) fn get(&self) -> Option<usize> {
        self.limit.and_then(|n| usize::try_from(n).ok())
    }
}

/// The order of changes.
#[derive(Debug, Args)]
pub(super) struct Revision {
    /// Revision of the change; an older one never replaces a newer one.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=crate::control::proto::MAX_REVISION))]
    pub(super) revision: u64,
}

/// Tenants' virtual networks.
#[derive(Debug, Subcommand)]
pub(super) enum Vnet {
    /// List vnets.
    #[command(after_help = "Method: vnet.list")]
    List(Most),
    /// Show one vnet.
    #[command(after_help = "Method: vnet.list")]
    Show {
        /// Its name.
        name: String,
    },
    /// Add a vnet, or replace the one of that name.
    #[command(after_help = "Method: vnet.set")]
    Add(VnetAdd),
    /// Remove a vnet that nothing refers to.
    #[command(after_help = "Method: vnet.remove")]
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct VnetAdd {
    /// Name by which bindings and mappings refer to it.
    name: String,
    /// Network id inside substrate addresses, such as 0x5A0001.
    #[arg(long)]
    vni: Vni,
    /// How packets travel on the substrate.
    #[arg(long, default_value = "siit", value_parser = values::one_of::<model::Mode>(&["siit", "transparent"]))]
    mode: model::Mode,
    /// DSCP on the substrate: `copy`, `zero`, or a value from 0 to 63.
    #[arg(long, default_value = "copy", value_parser = values::dscp)]
    dscp: model::Dscp,
    /// A range its addresses lie in; repeat for more. None: any address.
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<Prefix4>,
    /// How the source of an arriving packet is checked.
    #[arg(long, default_value = "strict", value_parser = values::one_of::<model::Verify>(&["strict", "locator"]))]
    verify: model::Verify,
    /// MTU of its nodes; made from the substrate's when absent.
    #[arg(long)]
    mtu: Option<u16>,
    #[command(flatten)]
    policy: super::policy::Policy,
    #[command(flatten)]
    device: super::policy::Device,
    #[command(flatten)]
    revision: Revision,
}

impl Vnet {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Vnet::List(most) => pages::list(context, VnetList::default(), most.get()),
            Vnet::Show { name } => pages::show(context, VnetList::default(), &name, |vnet| {
                vnet.name == name
            }),
            Vnet::Add(add) => {
                let mut vnet = model::Vnet {
                    mode: add.mode,
                    dscp: add.dscp,
                    prefixes: add.prefixes,
                    verify: add.verify,
                    mtu: add.mtu,
                    ..model::Vnet::new(&add.name, add.vni)
                };
                add.policy.give(&mut vnet);
                vnet.snmp = add.device.table().map(Box::new);
                let revision = add.revision.revision;
                pages::change(context, &VnetSet { vnet, revision })
            }
            Vnet::Remove { name, revision } => {
                let revision = revision.revision;
                pages::change(context, &VnetRemove { name, revision })
            }
        }
    }
}

impl Row for model::Vnet {
    const COLUMNS: &'static [Column] = &[
        text("NAME"),
        text("VNI"),
        text("MODE"),
        text("DSCP"),
        text("PREFIXES"),
        text("VERIFY"),
        number("MTU"),
    ];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![
            self.name.clone(),
            self.vni.to_string(),
            self.mode.to_string(),
            word(&self.dscp),
            join(&self.prefixes),
            word(&self.verify),
            or_empty(self.mtu),
        ]
    }
}

/// The other appliances of the deployment.
#[derive(Debug, Subcommand)]
pub(super) enum Host {
    /// List hosts.
    #[command(after_help = "Method: host.list")]
    List(Most),
    /// Show one host.
    #[command(after_help = "Method: host.list")]
    Show {
        /// Its name.
        name: String,
    },
    /// Add a host, or replace the one of that name.
    #[command(after_help = "Method: host.set")]
    Add {
        /// Name by which mappings refer to it.
        name: String,
        /// Its part of the substrate's address space, such as 2001:db8:0:b:200::/72.
        locator: Locator,
        #[command(flatten)]
        revision: Revision,
    },
    /// Remove a host that no mapping refers to.
    #[command(after_help = "Method: host.remove")]
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        revision: Revision,
    },
}

impl Host {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Host::List(most) => pages::list(context, HostList::default(), most.get()),
            Host::Show { name } => pages::show(context, HostList::default(), &name, |host| {
                host.name == name
            }),
            Host::Add {
                name,
                locator,
                revision,
            } => {
                let host = model::Host { name, locator };
                let revision = revision.revision;
                pages::change(context, &HostSet { host, revision })
            }
            Host::Remove { name, revision } => {
                let revision = revision.revision;
                pages::change(context, &HostRemove { name, revision })
            }
        }
    }
}

impl Row for model::Host {
    const COLUMNS: &'static [Column] = &[text("NAME"), text("LOCATOR")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![self.name.clone(), self.locator.to_string()]
    }
}

/// Nodes on this host, and the wires they are on.
#[derive(Debug, Subcommand)]
pub(super) enum Binding {
    /// List bindings.
    #[command(after_help = "Method: binding.list")]
    List {
        /// Only those of this vnet.
        #[arg(long)]
        vnet: Option<String>,
        #[command(flatten)]
        most: Most,
    },
    /// Show one binding.
    #[command(after_help = "Method: binding.list")]
    Show {
        /// The node's name.
        name: String,
    },
    /// Add a binding, or replace the one of that name.
    #[command(after_help = "Method: binding.set")]
    Add(BindingAdd),
    /// Remove a binding.
    #[command(after_help = "Method: binding.remove")]
    Remove {
        /// The node's name.
        name: String,
        #[command(flatten)]
        revision: Revision,
    },
}

#[derive(Debug, Args)]
pub(super) struct BindingAdd {
    /// The node's name.
    name: String,
    /// Name of its vnet.
    #[arg(long)]
    vnet: String,
    /// The node's address; by DHCP when absent.
    #[arg(long)]
    address: Option<Vaddr>,
    /// Without an address: name of the subnet that it is in.
    #[arg(long, value_name = "NAME")]
    subnet: Option<String>,
    /// Name of the port it is behind.
    #[arg(long)]
    port: String,
    /// VLAN id of its frames on that port; untagged when absent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4094))]
    vlan: Option<u16>,
    /// Its hardware address; learned when absent.
    #[arg(long)]
    mac: Option<Mac>,
    /// Layout `slot`: its slot on this host; the lowest free one when absent.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=63))]
    slot: Option<u8>,
    /// A prefix behind the node, if it routes; repeat for more.
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<Prefix4>,
    #[command(flatten)]
    revision: Revision,
}

impl Binding {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Binding::List { vnet, most } => {
                let request = BindingList {
                    vnet,
                    ..BindingList::default()
                };
                pages::list(context, request, most.get())
            }
            Binding::Show { name } => {
                pages::show(context, BindingList::default(), &name, |binding| {
                    binding.name == name
                })
            }
            Binding::Add(add) => {
                let binding = model::Binding {
                    name: add.name,
                    vnet: add.vnet,
                    address: add.address,
                    subnet: add.subnet,
                    prefixes: add.prefixes,
                    port: add.port,
                    vlan: add.vlan,
                    mac: add.mac,
                    slot: add.slot,
                };
                let revision = add.revision.revision;
                pages::change(context, &BindingSet { binding, revision })
            }
            Binding::Remove { name, revision } => {
                let revision = revision.revision;
                pages::change(context, &BindingRemove { name, revision })
            }
        }
    }
}

impl Row for model::Binding {
    const COLUMNS: &'static [Column] = &[
        text("NAME"),
        text("VNET"),
        text("ADDRESS"),
        text("PREFIXES"),
        text("PORT"),
        number("VLAN"),
        number("SLOT"),
        text("MAC"),
        text("MAC-FROM"),
    ];

    fn cells(&self, learned: Option<&Learned>) -> Vec<String> {
        let slot = learned.and_then(|learned| learned.slot);
        let (mac, from) = match (self.mac, learned.and_then(|learned| learned.mac)) {
            (Some(mac), _) => (mac.to_string(), "given"),
            (None, Some(mac)) => (mac.to_string(), "learned"),
            (None, None) => Default::default(),
        };
        let found = learned.map_or(&[][..], |learned| &learned.addresses);
        vec![
            self.name.clone(),
            self.vnet.clone(),
            address_of(self.address, found),
            join(&self.prefixes),
            self.port.clone(),
            or_empty(self.vlan),
            or_empty(self.slot.or(slot)),
            mac,
            from.to_owned(),
        ]
    }
}

/// The address of a binding, and those that its node took by itself.
fn address_of(bound: Option<Vaddr>, found: &[LearnedAddress]) -> String {
    let told = found.iter().map(|learned| {
        let how = match (learned.instead, learned.watched) {
            (true, _) => "now",
            (false, true) => "watched",
            (false, false) => "also",
        };
        format!(" ({how} {})", learned.address)
    });
    std::iter::once(or_empty(bound)).chain(told).collect()
}
