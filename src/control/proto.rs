//! The control protocol: newline-delimited JSON-RPC 2.0, every method a typed
//! request with a typed reply, declared once in the table at the foot of this
//! file. Server, client, documentation and tests all go by that table.
//!
//! The first request of a connection is `hello`.

pub mod apply;
pub mod change;
pub mod cycles;
pub mod event;
pub mod report;

use std::fmt;
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{
    Binding, Eam, Host, Mapping, Member, Origin, Outsider, Port, Route, Router, Subnet, Vnet,
    Vroute,
};
use crate::wire::address::Prefix4;

pub use apply::*;
pub use change::*;
pub use cycles::*;
pub use event::{AddressVerdict, Event, LeaseChange, SeenBy, Sighting, Topic};
pub use report::*;

/// Version of the protocol; `hello` must name it.
pub const VERSION: u32 = 1;

/// What this version of the server can do beyond the version's base.
pub const CAPABILITIES: [&str; 7] = [
    "batch", "sync", "events", "explain", "trace", "answers", "apply",
];

/// Method name of notifications.
pub const EVENT: &str = "event";

/// May a client change things?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Access {
    #[default]
    #[serde(rename = "ro")]
    ReadOnly,
    #[serde(rename = "rw")]
    ReadWrite,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
        })
    }
}

/// Kinds of objects, as `sync.begin` names them. In this order they can be set:
/// what is referred to comes before what refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Vnet,
    Subnet,
    Router,
    Host,
    Binding,
    Mapping,
    Route,
    Neighbor,
    Relay,
    Eam,
    Outsider,
    Vroute,
    Member,
}

impl Kind {
    pub const ALL: [Kind; 13] = [
        Kind::Vnet,
        Kind::Subnet,
        Kind::Router,
        Kind::Host,
        Kind::Binding,
        Kind::Mapping,
        Kind::Route,
        Kind::Neighbor,
        Kind::Relay,
        Kind::Eam,
        Kind::Outsider,
        Kind::Vroute,
        Kind::Member,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Vnet => "vnet",
            Kind::Subnet => "subnet",
            Kind::Router => "router",
            Kind::Host => "host",
            Kind::Binding => "binding",
            Kind::Mapping => "mapping",
            Kind::Route => "route",
            Kind::Neighbor => "neighbor",
            Kind::Relay => "relay",
            Kind::Eam => "eam",
            Kind::Outsider => "outsider",
            Kind::Vroute => "vroute",
            Kind::Member => "member",
        })
    }
}

impl Kind {
    /// An object of the kind in a sentence; there is only one relay.
    pub fn named(self, key: &str) -> String {
        match self {
            Kind::Relay => "the relay".to_owned(),
            _ => format!("{self} {key}"),
        }
    }
}

/// Opens the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    pub version: u32,
    /// Wanted access; read-only when absent.
    #[serde(default)]
    pub access: Access,
    /// On whose behalf changes are made: `operator` (default) or `agent`.
    #[serde(default = "operator")]
    pub origin: Origin,
    /// Name of the client, for the log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub client: String,
}

fn operator() -> Origin {
    Origin::Operator
}

/// Reply of `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u32,
    /// Program and version of the appliance.
    pub server: String,
    pub access: Access,
    pub origin: Origin,
    pub capabilities: Vec<String>,
    pub limits: Limits,
}

/// Limits of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest line in bytes, its newline not counted.
    pub line: usize,
    /// Most objects in one request.
    pub batch: usize,
    /// Most items on a page of a list.
    pub page: usize,
}

/// Asks for a page of a list.
macro_rules! lists {
    ($($name:ident $(($of:ident))?;)*) => {$(
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Only objects of this vnet, or router.
            $(#[serde(default, skip_serializing_if = "Option::is_none")]
            pub $of: Option<String>,)?
            /// `next` of the page before; absent for the first page.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub cursor: Option<String>,
            /// Items wanted on a page.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub limit: Option<usize>,
        }
    )*};
}

lists! {
    VnetList; HostList; BindingList(vnet); MappingList(vnet); RouteList; EamList; OutsiderList(vnet);
    SubnetList(vnet); RouterList(vnet); VrouteList(router); MemberList(vnet); LeaseList(vnet);
}

macro_rules! empty_requests {
    ($($name:ident)*) => {$(
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {}
    )*};
}

empty_requests! { RelayGet NeighborList PortList StatsGet StatsCycles StatusGet SyncCommit SyncAbort ConfigDump }

/// An empty reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingGet {
    pub vnet: String,
    /// Exactly this entry; with `match` the one a packet would take.
    pub address: Prefix4,
    /// Longest match instead of the exact entry.
    #[serde(default, rename = "match", skip_serializing_if = "std::ops::Not::not")]
    pub longest: bool,
}

/// Asks for the groups as they live.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupList {
    /// Only groups of this vnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnet: Option<String>,
}

/// What becomes of an address of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EamGet {
    pub address: IpAddr,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    pub topics: Vec<Topic>,
    /// This client answers misses: packets for unknown addresses wait for it.
    /// Needs write access and topic `miss`; lasts until that is unsubscribed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    pub topics: Vec<Topic>,
}

/// Topics a client is subscribed to now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    pub topics: Vec<Topic>,
    /// Whether it answers misses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncBegin {
    /// Kinds whose whole set of the caller's origin follows.
    pub kinds: Vec<Kind>,
}

/// Reply of `sync.commit`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Objects that were not mentioned and are gone.
    pub removed: u64,
    /// Objects that had to stay, with the reason.
    pub kept: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceStart {
    #[serde(default)]
    pub filter: Filter,
    /// Packets after which it ends by itself.
    pub count: u32,
}

/// Reply of `trace.start`; records come as events of topic `trace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStarted {
    pub trace: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceStop {
    pub trace: u64,
}

/// Packets seen by a trace that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub packets: u64,
    /// Records lost because they came too fast.
    pub lost: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSet {
    /// As in `RUST_LOG`: `info`, `warn,weft::control=debug`.
    pub filter: String,
}

/// Opens a port of nodes. It is the file's that lists ports: at the next start
/// there are those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSet {
    pub port: Port,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRemove {
    pub name: String,
}

/// A request type: it knows its method and its reply.
pub trait Request: Serialize {
    const METHOD: Method;
    type Reply: DeserializeOwned + Serialize;
}

macro_rules! methods {
    ($($variant:ident $(<$life:lifetime>)? -> $reply:ty, $name:literal, $access:ident, $help:literal;)*) => {
        /// Every method of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Method { $(#[doc = $help] $variant,)* }

        impl Method {
            pub const ALL: &'static [Method] = &[$(Method::$variant,)*];

            pub const fn name(self) -> &'static str {
                match self { $(Method::$variant => $name,)* }
            }

            pub fn from_name(name: &str) -> Option<Method> {
                match name { $($name => Some(Method::$variant),)* _ => None }
            }

            /// Access a client needs for it.
            pub const fn access(self) -> Access {
                match self { $(Method::$variant => Access::$access,)* }
            }

            /// One sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Method::$variant => $help,)* }
            }
        }

        $(impl Request for $variant $(<$life>)? {
            const METHOD: Method = Method::$variant;
            type Reply = $reply;
        })*
    };
}

methods! {
    Hello -> Welcome, "hello", ReadOnly, "Opens the conversation: version, access, origin.";
    VnetSet -> Applied, "vnet.set", ReadWrite, "Adds or replaces a vnet.";
    VnetRemove -> Applied, "vnet.remove", ReadWrite, "Removes a vnet that nothing refers to.";
    VnetList -> Page<Held<Vnet>>, "vnet.list", ReadOnly, "Lists vnets.";
    BindingSet -> Applied, "binding.set", ReadWrite, "Adds or replaces a binding.";
    BindingRemove -> Applied, "binding.remove", ReadWrite, "Removes a binding.";
    BindingList -> Page<Held<Binding>>, "binding.list", ReadOnly, "Lists bindings, of one vnet or all.";
    HostSet -> Applied, "host.set", ReadWrite, "Adds or replaces a host.";
    HostRemove -> Applied, "host.remove", ReadWrite, "Removes a host that no mapping refers to.";
    HostList -> Page<Held<Host>>, "host.list", ReadOnly, "Lists hosts.";
    MappingSet<'_> -> Applied, "mapping.set", ReadWrite, "Adds or replaces mappings of one vnet, all or none.";
    MappingRemove<'_> -> Applied, "mapping.remove", ReadWrite, "Removes mappings of one vnet, all or none.";
    MappingGet -> Held<Mapping>, "mapping.get", ReadOnly, "Shows one mapping, exactly or as a packet would find it.";
    MappingList -> Page<Held<Mapping>>, "mapping.list", ReadOnly, "Lists mappings by page, of one vnet or all.";
    RouteSet -> Applied, "route.set", ReadWrite, "Adds or replaces a route of the substrate.";
    RouteRemove -> Applied, "route.remove", ReadWrite, "Removes a route.";
    RouteList -> Page<Held<Route>>, "route.list", ReadOnly, "Lists routes.";
    NeighborSet -> Applied, "neighbor.set", ReadWrite, "Adds or replaces a static neighbour.";
    NeighborRemove -> Applied, "neighbor.remove", ReadWrite, "Removes a static neighbour.";
    NeighborList -> Neighbors, "neighbor.list", ReadOnly, "Lists neighbours with their live state.";
    RelaySet -> Applied, "relay.set", ReadWrite, "Adds or replaces the relay.";
    RelayRemove -> Applied, "relay.remove", ReadWrite, "Removes the relay, when it has no explicit mappings.";
    RelayGet -> RelayReport, "relay.get", ReadOnly, "Shows the relay with its live state.";
    EamSet -> Applied, "eam.set", ReadWrite, "Adds or replaces explicit mappings of the relay, all or none.";
    EamRemove -> Applied, "eam.remove", ReadWrite, "Removes explicit mappings of the relay, all or none.";
    EamGet -> Translation, "eam.get", ReadOnly, "Shows what the relay makes of an address, and by which mapping.";
    EamList -> Page<Held<Eam>>, "eam.list", ReadOnly, "Lists explicit mappings by page.";
    OutsiderSet -> Applied, "outsider.set", ReadWrite, "Adds or replaces an outsider.";
    OutsiderRemove -> Applied, "outsider.remove", ReadWrite, "Removes an outsider.";
    OutsiderList -> Page<Held<Outsider>>, "outsider.list", ReadOnly, "Lists outsiders, of one vnet or all.";
    SubnetSet -> Applied, "subnet.set", ReadWrite, "Adds or replaces a subnet.";
    SubnetRemove -> Applied, "subnet.remove", ReadWrite, "Removes a subnet that nothing refers to.";
    SubnetList -> Page<Held<Subnet>>, "subnet.list", ReadOnly, "Lists subnets, of one vnet or all.";
    RouterSet -> Applied, "router.set", ReadWrite, "Adds or replaces a virtual router.";
    RouterRemove -> Applied, "router.remove", ReadWrite, "Removes a virtual router that has no routes.";
    RouterList -> Page<Held<Router>>, "router.list", ReadOnly, "Lists virtual routers, of one vnet or all.";
    VrouteSet -> Applied, "vroute.set", ReadWrite, "Adds or replaces a route of a virtual router.";
    VrouteRemove -> Applied, "vroute.remove", ReadWrite, "Removes a route of a virtual router.";
    VrouteList -> Page<Held<Vroute>>, "vroute.list", ReadOnly, "Lists routes of virtual routers, of one or all.";
    MemberSet -> Applied, "member.set", ReadWrite, "Adds or replaces a host that hears a group.";
    MemberRemove -> Applied, "member.remove", ReadWrite, "Removes a host that heard a group.";
    MemberList -> Page<Held<Member>>, "member.list", ReadOnly, "Lists hosts that hear groups, of one vnet or all.";
    LeaseList -> Page<Lease>, "lease.list", ReadOnly, "Lists addresses that nodes have by DHCP, of one vnet or all.";
    PortSet -> Applied, "port.set", ReadWrite, "Opens a port of nodes, until it is removed or the appliance ends.";
    PortRemove -> Applied, "port.remove", ReadWrite, "Closes a port of nodes that no binding names.";
    GroupList -> Groups, "group.list", ReadOnly, "Lists groups: nodes that have joined, and other hosts with members.";
    PortList -> Ports, "port.list", ReadOnly, "Lists ports as they run.";
    StatsGet -> StatsReport, "stats.get", ReadOnly, "Shows every counter with its help, in total and by worker.";
    StatsCycles -> CyclesReport, "stats.cycles", ReadOnly, "Shows where the workers' cycles go, how large their bursts are, and how full tables and rings.";
    StatusGet -> StatusReport, "status.get", ReadOnly, "Shows what runs: objects, clients, journal, data path.";
    Subscribe -> Subscribed, "subscribe", ReadOnly, "Asks for events of some topics.";
    Unsubscribe -> Subscribed, "unsubscribe", ReadOnly, "Ends events of some topics.";
    Batch<'_> -> Applied, "batch", ReadWrite, "Applies several changes in order, all or none.";
    SyncBegin -> Done, "sync.begin", ReadWrite, "Starts to state the whole set of some kinds.";
    SyncCommit -> Swept, "sync.commit", ReadWrite, "Removes what was not mentioned since sync.begin.";
    SyncAbort -> Done, "sync.abort", ReadWrite, "Ends a sync; nothing is removed, changes made since stay.";
    ConfigDump -> Dump, "config.dump", ReadOnly, "Shows the running state as loadable TOML.";
    ConfigApply<'_> -> ApplyReport, "config.apply", ReadWrite, "Makes the running state that of a file, all or nothing.";
    Explain -> ExplainReport, "explain", ReadOnly, "Runs the real stages on a made-up packet and shows each verdict.";
    TraceStart -> TraceStarted, "trace.start", ReadOnly, "Shows matching packets stage by stage.";
    TraceStop -> Seen, "trace.stop", ReadOnly, "Ends a trace.";
    LogSet -> Done, "log.set", ReadWrite, "Changes what is logged.";
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub mod error;
pub use error::{Error, ErrorCode, ErrorData};

/// A request as it is written to the socket.
#[derive(Debug, Serialize)]
pub struct RequestLine<'a, P: ?Sized> {
    pub jsonrpc: &'static str,
    pub id: u64,
    pub method: &'a str,
    pub params: &'a P,
}

/// A request or notification as it was read, its params still text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub jsonrpc: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub method: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

/// Whatever a server writes: a reply, an error or a notification.
#[derive(Debug, Deserialize)]
pub struct ReplyLine<'a> {
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
    #[serde(default)]
    pub error: Option<Error>,
    #[serde(borrow, default)]
    pub method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}
