//! Arguments of objects for what hosts give nodes beside the carriage of their
//! packets.

use clap::Args;

use super::values;
use crate::model::{self, DhcpRoute, Range4, Snmp, SubnetDhcp};
use crate::wire::Vaddr;
use crate::wire::address::Prefix4;

/// Of a vnet.
#[derive(Debug, Args)]
pub(super) struct Policy {
    /// Who answers DHCP requests of its nodes.
    #[arg(long, default_value = "off", value_parser = values::one_of::<model::Dhcp>(&["off", "host", "node"]))]
    dhcp: model::Dhcp,
    /// Address of the node that answers DHCP.
    #[arg(long, value_name = "ADDRESS")]
    dhcp_server: Option<Vaddr>,
    /// Broadcasts reach the other nodes of the subnet.
    #[arg(long)]
    broadcast: bool,
    /// Multicast groups that are not carried; repeat for more. None: 224.0.0.0/24.
    #[arg(long, value_name = "PREFIX")]
    withheld: Vec<Prefix4>,
    /// Segment size of TCP connections: `true` for what the nodes' MTU holds, or a number.
    #[arg(long, default_value = "false", value_parser = values::mss_clamp)]
    mss_clamp: model::MssClamp,
    /// What makes a host learn a further address of a node.
    #[arg(long, default_value = "never", value_parser = values::one_of::<model::Learn>(&["never", "announce", "auto"]))]
    learn: model::Learn,
    /// What a learned address is to the one that the node had.
    #[arg(long, default_value = "guess", value_parser = values::one_of::<model::LearnAs>(&["guess", "change", "add", "watch"]))]
    learn_as: model::LearnAs,
    /// Seconds until one of two watched addresses goes, or in which a node that
    /// goes back uses both.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    learn_seconds: u32,
    /// What becomes of frames for a hardware address that nobody has.
    #[arg(long, default_value = "drop", value_parser = values::one_of::<model::UnknownMac>(&["drop", "resolve"]))]
    unknown_mac: model::UnknownMac,
    /// By which hardware addresses its nodes see each other.
    #[arg(long, default_value = "computed", value_parser = values::one_of::<model::Macs>(&["computed", "given"]))]
    macs: model::Macs,
}

impl Policy {
    pub(super) fn give(self, vnet: &mut model::Vnet) {
        vnet.dhcp = self.dhcp;
        vnet.dhcp_server = self.dhcp_server;
        vnet.broadcast = self.broadcast;
        if !self.withheld.is_empty() {
            vnet.withheld = self.withheld;
        }
        vnet.mss_clamp = self.mss_clamp;
        vnet.learn = self.learn;
        vnet.learn_as = self.learn_as;
        vnet.learn_seconds = self.learn_seconds;
        vnet.unknown_mac = self.unknown_mac;
        vnet.macs = self.macs;
    }
}

/// Of a subnet: any of these makes its table for DHCP.
#[derive(Debug, Args)]
pub(super) struct Told {
    /// Address that answers DHCP, where there is no gateway.
    #[arg(long, value_name = "ADDRESS")]
    dhcp_server: Option<Vaddr>,
    /// A resolver; repeat for more.
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<Vaddr>,
    /// Domain of the nodes.
    #[arg(long)]
    domain: Option<String>,
    /// A domain in which short names are sought; repeat for more.
    #[arg(long, value_name = "DOMAIN")]
    search: Vec<String>,
    /// A time server; repeat for more.
    #[arg(long, value_name = "ADDRESS")]
    ntp: Vec<Vaddr>,
    /// Seconds that a lease lasts; a day when absent.
    #[arg(long, value_name = "SECONDS")]
    lease_seconds: Option<u32>,
    /// MTU that nodes are told; that of the vnet when absent.
    #[arg(long)]
    mtu: Option<u16>,
    /// Addresses for nodes whose binding names none, such as 10.0.1.100-10.0.1.199.
    #[arg(long)]
    pool: Option<Range4>,
    /// A route beside that to the gateway; repeat for more.
    #[arg(long = "route", value_name = "PREFIX=NEXT-HOP", value_parser = route)]
    routes: Vec<DhcpRoute>,
}

fn route(text: &str) -> Result<DhcpRoute, String> {
    let wrong = || "expected PREFIX=NEXT-HOP such as 10.9.0.0/16=10.0.1.9".to_owned();
    let (prefix, via) = text.split_once('=').ok_or_else(wrong)?;
    Ok(DhcpRoute {
        prefix: prefix.parse().map_err(|_| wrong())?,
        via: via.parse().map_err(|_| wrong())?,
    })
}

impl Told {
    pub(super) fn table(self) -> Option<SubnetDhcp> {
        let usual = SubnetDhcp::default();
        let told = SubnetDhcp {
            server: self.dhcp_server,
            dns: self.dns,
            domain: self.domain,
            search: self.search,
            ntp: self.ntp,
            lease_seconds: self.lease_seconds.unwrap_or(usual.lease_seconds),
            mtu: self.mtu,
            pool: self.pool,
            routes: self.routes,
        };
        (told != usual).then_some(told)
    }
}

/// Of a router, or of a vnet's own. Users of version 3 have keys, which are nothing
/// for a command line that others can see: they are stated in a file, or by `weft
/// ctl`.
#[derive(Debug, Args)]
pub(super) struct Device {
    /// A community that may read by SNMP; repeat for more.
    #[arg(long = "snmp-community", value_name = "NAME")]
    communities: Vec<String>,
    /// Who is responsible for it.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        requires = "communities"
    )]
    contact: String,
    /// Where it is.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        requires = "communities"
    )]
    location: String,
}

impl Device {
    pub(super) fn table(self) -> Option<Snmp> {
        (!self.communities.is_empty()).then_some(Snmp {
            communities: self.communities,
            contact: self.contact,
            location: self.location,
            users: Vec::new(),
        })
    }
}
