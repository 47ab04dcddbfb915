//! Requests that change no object: what there is, and what to watch.

use serde_json::value::RawValue;

use super::Server;
use super::dispatch::params;
use super::write::{Answer, result};
use std::net::IpAddr;

use crate::control::events;
use crate::control::plant::Plant;
use crate::control::proto::{self, *};
use crate::control::store::Store;
use crate::model::Origin;

impl Server {
    #[allow(
        clippy::too_many_arguments,
        reason = "one request with its surroundings"
    )]
    pub(super) fn read(
        &mut self,
        token: usize,
        origin: Origin,
        method: Method,
        raw: Option<&RawValue>,
        store: &mut Store,
        plant: &mut impl Plant,
        now: u32,
    ) -> Result<Answer, Error> {
        let page = self.config.page;
        match method {
            Method::Hello => result::<Hello>(&self.hello(token, params(raw)?)?),
            Method::VnetList => result::<VnetList>(&store.list_vnets(&params(raw)?, page)),
            Method::HostList => result::<HostList>(&store.list_hosts(&params(raw)?, page)),
            Method::BindingList => {
                let mut bindings = store.list_bindings(&params(raw)?, page);
                for held in &mut bindings.items {
                    held.learned = plant.learned(&held.object.name);
                    let slot = plant.slot_of(&held.object.name);
                    if let Some(slot) = slot.filter(|_| held.object.slot.is_none()) {
                        held.learned.get_or_insert_default().slot = Some(slot);
                    }
                }
                result::<BindingList>(&bindings)
            }
            Method::RouteList => result::<RouteList>(&store.list_routes(&params(raw)?, page)),
            Method::MappingList => {
                result::<MappingList>(&store.list_mappings(&params(raw)?, page, now)?)
            }
            Method::MappingGet => result::<MappingGet>(&store.get_mapping(&params(raw)?, now)?),
            Method::RelayGet => {
                let RelayGet {} = params(raw)?;
                result::<RelayGet>(&RelayReport {
                    state: plant.relay_state(),
                    ..store.get_relay()?
                })
            }
            Method::EamGet => result::<EamGet>(&store.translate(&params(raw)?)?),
            Method::EamList => result::<EamList>(&store.list_eams(&params(raw)?, page)?),
            Method::OutsiderList => {
                result::<OutsiderList>(&store.list_outsiders(&params(raw)?, page))
            }
            Method::SubnetList => result::<SubnetList>(&store.list_subnets(&params(raw)?, page)),
            Method::RouterList => result::<RouterList>(&store.list_routers(&params(raw)?, page)),
            Method::VrouteList => result::<VrouteList>(&store.list_vroutes(&params(raw)?, page)),
            Method::MemberList => {
                result::<MemberList>(&store.list_members(&params(raw)?, page, now))
            }
            Method::PortSet => {
                let ask: PortSet = params(raw)?;
                result::<PortSet>(&self.port_set(ask.port, origin, store, plant, now)?)
            }
            Method::PortRemove => {
                let ask: PortRemove = params(raw)?;
                result::<PortRemove>(&self.port_remove(&ask.name, origin, store, plant, now)?)
            }
            Method::NeighborList => {
                let NeighborList {} = params(raw)?;
                result::<NeighborList>(&Neighbors {
                    neighbors: neighbors(store, plant),
                })
            }
            Method::LeaseList => {
                let ask: LeaseList = params(raw)?;
                check_vnet(store, ask.vnet.as_deref())?;
                result::<LeaseList>(&leases(plant, &ask, page))
            }
            Method::GroupList => {
                let ask: GroupList = params(raw)?;
                let mut groups = plant.groups(store);
                check_vnet(store, ask.vnet.as_deref())?;
                if let Some(vnet) = &ask.vnet {
                    groups.retain(|group| group.vnet == *vnet);
                }
                result::<GroupList>(&Groups { groups })
            }
            Method::PortList => {
                let PortList {} = params(raw)?;
                result::<PortList>(&Ports {
                    ports: plant.ports(),
                })
            }
            Method::StatsGet => {
                let StatsGet {} = params(raw)?;
                result::<StatsGet>(&plant.stats())
            }
            Method::StatsCycles => {
                let StatsCycles {} = params(raw)?;
                result::<StatsCycles>(&plant.cycles())
            }
            Method::StatusGet => {
                let StatusGet {} = params(raw)?;
                result::<StatusGet>(&self.status(store, plant))
            }
            Method::Subscribe => {
                let ask: Subscribe = params(raw)?;
                result::<Subscribe>(&self.subscribe(token, &ask)?)
            }
            Method::Unsubscribe => {
                let ask: Unsubscribe = params(raw)?;
                result::<Unsubscribe>(&self.unsubscribe(token, &ask)?)
            }
            Method::SyncAbort => {
                let SyncAbort {} = params(raw)?;
                self.own_sync(token)?;
                store.sync_abort(origin)?;
                result::<SyncAbort>(&Done {})
            }
            Method::ConfigDump => {
                let ConfigDump {} = params(raw)?;
                result::<ConfigDump>(&dump(store, plant)?)
            }
            Method::Explain => result::<Explain>(&plant.explain(&params(raw)?)?),
            Method::TraceStart | Method::TraceStop => self.watch(token, method, raw, plant),
            Method::LogSet => {
                let ask: LogSet = params(raw)?;
                plant.log_set(&ask.filter)?;
                result::<LogSet>(&Done {})
            }
            _ => Err(Error::new(
                ErrorCode::Internal,
                format!("{method} has no reader"),
            )),
        }
    }

    fn hello(&mut self, token: usize, hello: Hello) -> Result<Welcome, Error> {
        if hello.version != proto::VERSION {
            return Err(Error::new(
                ErrorCode::Version,
                format!("version {} is not spoken here", hello.version),
            )
            .field("version")
            .hint(format!("this appliance speaks version {}", proto::VERSION)));
        }
        if hello.origin == Origin::File {
            return Err(Error::new(
                ErrorCode::InvalidParams,
                "objects of origin file come from the file only",
            )
            .field("origin")
            .hint("operator or agent"));
        }
        let Some(client) = self.clients.get_mut(token) else {
            return Err(gone());
        };
        if hello.access > client.may {
            return Err(Error::new(ErrorCode::Denied, "this user may only read")
                .field("access")
                .hint("become root, or ask for access ro"));
        }
        let welcome = Welcome {
            version: proto::VERSION,
            server: concat!("weft ", env!("CARGO_PKG_VERSION")).to_owned(),
            access: hello.access,
            origin: hello.origin,
            capabilities: proto::CAPABILITIES.map(str::to_owned).to_vec(),
            limits: Limits {
                line: self.config.line,
                batch: self.config.batch,
                page: self.config.page,
            },
        };
        client.session = Some(hello);
        Ok(welcome)
    }

    /// Subscribing changes nothing but what this client is told, unless it
    /// says that it answers misses: from then on packets wait for it.
    fn subscribe(&mut self, token: usize, ask: &Subscribe) -> Result<Subscribed, Error> {
        let client = self.clients.get_mut(token).ok_or_else(gone)?;
        let topics = client.topics | events::bits(&ask.topics);
        if ask.answers {
            let access = client.session.as_ref().map(|session| session.access);
            if access != Some(Access::ReadWrite) {
                let error = Error::new(ErrorCode::Denied, "who answers misses must be able to");
                return Err(error.field("answers").hint("say hello with access rw"));
            }
            if topics & Topic::Miss.bit() == 0 {
                let text = "misses cannot be answered without hearing of them";
                let error = Error::new(ErrorCode::InvalidParams, text);
                return Err(error.field("answers").hint("add the topic miss"));
            }
        }
        client.topics = topics;
        client.answers |= ask.answers;
        Ok(client.subscribed())
    }

    fn unsubscribe(&mut self, token: usize, ask: &Unsubscribe) -> Result<Subscribed, Error> {
        let client = self.clients.get_mut(token).ok_or_else(gone)?;
        client.topics &= !events::bits(&ask.topics);
        client.answers &= client.topics & Topic::Miss.bit() != 0;
        Ok(client.subscribed())
    }

    /// A trace belongs to the connection that started them.
    fn watch(
        &mut self,
        token: usize,
        method: Method,
        raw: Option<&RawValue>,
        plant: &mut impl Plant,
    ) -> Result<Answer, Error> {
        let Some(client) = self.clients.get_mut(token) else {
            return Err(gone());
        };
        let not_yours = |trace: u64| {
            Error::new(
                ErrorCode::NotFound,
                format!("this connection has no trace {trace}"),
            )
            .field("trace")
        };
        match method {
            Method::TraceStart => {
                let trace = plant.trace_start(&params(raw)?)?;
                client.traces.push(trace);
                result::<TraceStart>(&TraceStarted { trace })
            }
            _ => {
                let TraceStop { trace } = params(raw)?;
                let at = client.traces.iter().position(|t| *t == trace);
                client
                    .traces
                    .swap_remove(at.ok_or_else(|| not_yours(trace))?);
                result::<TraceStop>(&plant.trace_stop(trace)?)
            }
        }
    }

    fn status(&self, store: &Store, plant: &impl Plant) -> StatusReport {
        let origins = [Origin::File, Origin::Operator, Origin::Agent];
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            objects: Kind::ALL
                .map(|kind| (kind.to_string(), store.count(kind) as u64))
                .into(),
            origins: origins
                .map(|origin| (origin.to_string(), store.count_of(origin) as u64))
                .into(),
            tombstones: store.tombstones() as u64,
            mapping_bytes: store.mapping_bytes() as u64,
            eam_bytes: store.eam_bytes() as u64,
            clients: u32::try_from(self.clients.len()).unwrap_or(u32::MAX),
            socket: self.counters.report(),
            journal: self.journal.as_ref().map(|journal| journal.report()),
            plant: plant.status(),
        }
    }
}

fn gone() -> Error {
    Error::new(ErrorCode::Internal, "the client is gone")
}

/// Live neighbours with who configured them, and configured ones the plant
/// does not know (yet).
fn neighbors(store: &Store, plant: &impl Plant) -> Vec<NeighborReport> {
    let mut all = plant.neighbors();
    for live in &mut all {
        if let IpAddr::V6(address) = live.address {
            live.origin = store.neighbor_origin(&live.port, address);
        }
    }
    for wanted in store.neighbors() {
        if !all
            .iter()
            .any(|live| live.port == wanted.port && live.address == wanted.address)
        {
            all.push(NeighborReport {
                port: wanted.port.clone(),
                address: wanted.address.into(),
                mac: Some(wanted.mac),
                state: NeighborState::Permanent,
                origin: store.neighbor_origin(&wanted.port, wanted.address),
                confirmed_ms: None,
            });
        }
    }
    all
}

/// By the nodes' names; the last one of a page is where the next one begins.
/// What is asked of a vnet that is not there has no answer: not even an empty one.
fn check_vnet(store: &Store, vnet: Option<&str>) -> Result<(), Error> {
    match vnet.filter(|vnet| store.vnet(vnet).is_none()) {
        None => Ok(()),
        Some(vnet) => {
            let message = format!("there is no vnet {vnet}");
            Err(Error::new(ErrorCode::NotFound, message).field("vnet"))
        }
    }
}

fn leases(plant: &impl Plant, ask: &LeaseList, most: usize) -> Page<Lease> {
    let mut all = plant.leases();
    let after = ask.cursor.as_deref();
    all.retain(|lease| {
        ask.vnet.as_ref().is_none_or(|vnet| lease.vnet == *vnet)
            && after.is_none_or(|after| lease.node.as_str() > after)
    });
    all.sort_by(|a, b| a.node.cmp(&b.node));
    let limit = ask.limit.unwrap_or(most).clamp(1, most.max(1));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|lease| lease.node.clone());
    Page { items: all, next }
}

fn dump(store: &Store, plant: &impl Plant) -> Result<Dump, Error> {
    let unwritable = |e| Error::new(ErrorCode::Internal, format!("as TOML: {e}"));
    let objects = store.to_toml().map_err(unwritable)?;
    let mut toml = plant.settings().to_toml().map_err(unwritable)?;
    if !toml.is_empty() && !toml.ends_with("\n\n") {
        toml.push('\n');
    }
    toml.push_str(&objects);
    Ok(Dump {
        toml,
        mappings: store.mapping_count() as u64,
        eams: store.count(Kind::Eam) as u64,
        vroutes: store.count(Kind::Vroute) as u64,
        members: store.count(Kind::Member) as u64,
    })
}
