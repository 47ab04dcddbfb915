//! `weft port`: ports as they run, and those of nodes that come and go.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::{Context, word};
use super::pages;
use super::table::{Table, number, text};
use crate::control::proto::{PortList, PortRemove, PortReport, PortSet};
use crate::model::{self, Role};
use crate::wire::Mac;

/// Ports: those that run, and ports of nodes that come and go.
#[derive(Debug, Subcommand)]
pub(super) enum Port {
    /// List ports with link state and traffic.
    #[command(after_help = "Method: port.list")]
    List {
        /// The devices' own counters too.
        #[arg(long)]
        counters: bool,
    },
    /// Open a port of nodes. At the next start there are the file's ports.
    #[command(after_help = "Method: port.set")]
    Add(Add),
    /// Close a port of nodes that no binding names.
    #[command(after_help = "Method: port.remove")]
    Remove {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Its name.
    name: String,
    /// DPDK device string: a PCI address or a virtual device with its arguments.
    device: String,
    /// Receive queues [default: 1].
    #[arg(long)]
    queues: Option<u16>,
    /// Index of the worker that polls it.
    #[arg(long)]
    worker: Option<u16>,
    /// Descriptors of a queue.
    #[arg(long, default_value_t = model::default_descriptors())]
    descriptors: u16,
    /// Largest IP packet on this port.
    #[arg(long, default_value_t = model::default_mtu())]
    mtu: u16,
    /// Hardware address to set.
    #[arg(long)]
    mac: Option<Mac>,
    /// Neither leave checksums and the cutting of TCP packets to the device,
    /// nor take packets that need them.
    #[arg(long)]
    no_offloads: bool,
}

impl Port {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Port::List { counters } => list(context, counters),
            Port::Add(add) => pages::change(context, &PortSet { port: add.port() }),
            Port::Remove { name } => pages::change(context, &PortRemove { name }),
        }
    }
}

impl Add {
    fn port(self) -> model::Port {
        model::Port {
            name: self.name,
            device: self.device,
            role: Role::Node,
            queues: self.queues,
            rss_key: None,
            offloads: !self.no_offloads,
            descriptors: self.descriptors,
            mtu: self.mtu,
            mac: self.mac,
            vlan: None,
            addresses: Vec::new(),
            exception: None,
            nd_proxy: false,
            worker: self.worker,
        }
    }
}

fn list(context: &mut Context, counters: bool) -> Result<(), Failure> {
    let reply = context.call(&PortList {})?;
    let mut table = Table::new([
        text("NAME"),
        text("ROLE"),
        text("LINK"),
        number("MBIT/S"),
        text("MAC"),
        number("MTU"),
        number("RXQ"),
        number("TXQ"),
        text("OFFLOADS"),
        text("DRIVER"),
        text("DEVICE"),
        text("ADDRESSES"),
    ]);
    let mut values = Table::new([text("PORT"), text("COUNTER"), number("VALUE")]);
    for port in reply.ports {
        if context.json {
            context.json(&port)?;
            continue;
        }
        for (name, value) in &port.counters {
            values.row([&port.name, name, &value.to_string()]);
        }
        table.row(row(port));
    }
    match (context.json, counters) {
        (true, _) => Ok(()),
        (false, false) => table.write(context),
        (false, true) => {
            table.write(context)?;
            context.line("")?;
            values.write(context)
        }
    }
}

fn row(port: PortReport) -> [String; 12] {
    [
        port.name,
        word(&port.role),
        if port.up { "up" } else { "down" }.to_owned(),
        match port.speed {
            0 => String::new(),
            speed => speed.to_string(),
        },
        port.mac.to_string(),
        port.mtu.to_string(),
        port.rx_queues.to_string(),
        port.tx_queues.to_string(),
        port.offloads.join(","),
        port.driver,
        port.device,
        port.addresses.join(","),
    ]
}
