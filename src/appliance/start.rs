//! The way up and the way down of `weft run`.
//!
//! Up: the socket first (a second instance ends here, before it touches a
//! device), then devices, tables, the state from file and journal, and only
//! then the workers: the first packet finds everything loaded. Down: workers
//! stop and give back what they hold, queues close, the EAL is cleaned up.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dpdk::eal::Eal;

use crate::clock::Clock;
use crate::config::{self, Config, Problems};
use crate::control::journal::Journal;
use crate::control::proto::Error as ControlError;
use crate::control::server::{BindError, Server, ServerConfig};
use crate::control::store::{self, Desired, Store};
use crate::datapath::counters::Counters;
use crate::datapath::hold::HoldLimits;
use crate::datapath::ports;
use crate::datapath::wiring::{self, RingSizes};
use crate::datapath::worker::{Idle, Settings, View, Worker};
use crate::mapping::{Domain, InsertError, TooManyParticipants, Writer};
use crate::model::Origin;
use crate::port::dpdk::{DpdkPort, MbufPool};
use crate::substrate::{Substrate, SubstrateConfig, SubstrateError, Uplink};

use super::compile;
use super::control::{Control, Signals};
use super::dpdk::{Opened, eal_config, open, pools};
use super::dpdk_devices::DpdkDevices;
use super::dpdk_hotplug::Hotplug;
use super::logging;
use super::metrics::Metrics;
use super::notify::Notify;
use super::plant::{Parts, Plant};

/// What a file cannot say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Ordinary pages, whatever the file says.
    pub no_huge: bool,
}

/// Why the appliance did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Config(#[from] Problems),
    #[error("{0}")]
    Socket(#[from] BindError),
    #[error("{0}")]
    Dpdk(#[from] dpdk::Error),
    #[error("substrate: {0}")]
    Substrate(#[from] SubstrateError),
    #[error("mapping table: {0}")]
    Table(#[from] InsertError),
    #[error("{0}")]
    Participants(#[from] TooManyParticipants),
    #[error("{}: {message}", path.display())]
    State { path: PathBuf, message: String },
    #[error("port {port}: device {device}: {message}")]
    Absent {
        port: String,
        device: String,
        message: String,
    },
    #[error("group `{0}` does not exist; create it, or leave `control.group` out")]
    Group(String),
    #[error("metrics.listen {address}: {error}")]
    Metrics {
        address: std::net::SocketAddr,
        error: std::io::Error,
    },
    #[error("signals: {0}")]
    Signals(std::io::Error),
    #[error("control thread: {0}")]
    Control(std::io::Error),
}

/// Runs an appliance until it is told to stop.
pub fn run(path: &Path, options: Options) -> Result<(), Error> {
    let (mut config, warnings) = Config::load(path)?;
    let desired = Desired::take(&mut config);
    logging::init(config.log.level.into());
    for warning in &warnings {
        log::warn!("{warning}");
    }
    let signals = signals()?;
    let mut server = Server::bind(server_config(&config)?, None)?;
    let recovered = open_journal(&config, &mut server)?;
    let metrics = listen_for_scrapers(&config)?;
    find_devices(&config)?;
    super::stale::remove_sockets(config.port.iter().map(|port| port.device.as_str()));
    let eal = Rc::new(Eal::init(&eal_config(&config, options.no_huge))?);
    log::info!("memory: {}", eal.memory_note());
    let built = build(&config, &eal)?;
    let state = State { desired, recovered };
    let (workers, mut control) = assemble(path, &config, built, server, metrics, state, &eal)?;
    let stop = Arc::new(AtomicBool::new(false));
    for (lcore, worker) in eal.workers().to_vec().into_iter().zip(workers) {
        let stop = stop.clone();
        eal.launch(lcore, move || worker.run(&stop))?;
    }
    log::info!(
        "ready: {} workers, socket {}",
        control.ends.len(),
        control.socket.display()
    );
    control.notify.ready();
    let outcome = control.run(&signals);
    control.notify.stopping();
    log::info!("stopping");
    stop.store(true, Ordering::Relaxed);
    for lcore in eal.workers() {
        eal.wait(*lcore)?;
    }
    control.plant.save_leases_now();
    // Rings and pools hold packets and ports: they go before the EAL does.
    drop(control);
    if let Some(eal) = Rc::into_inner(eal)
        && let Err(error) = eal.shutdown()
    {
        log::warn!("{error}");
    }
    outcome.map_err(Error::Control)
}

/// What can be said of devices before DPDK is asked, which says less.
fn find_devices(config: &Config) -> Result<(), Error> {
    for port in &config.port {
        if let Some(message) = super::absent::reason(&port.device) {
            return Err(Error::Absent {
                port: port.name.clone(),
                device: port.device.clone(),
                message,
            });
        }
    }
    Ok(())
}

fn signals() -> Result<Arc<Signals>, Error> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = Arc::new(Signals::default());
    for signal in [SIGTERM, SIGINT] {
        let stop = signals.clone();
        let store = move || stop.stop.store(true, Ordering::Relaxed);
        super::signal::on(signal, store).map_err(Error::Signals)?;
    }
    let reload = signals.clone();
    let count = move || {
        reload.reload.fetch_add(1, Ordering::Relaxed);
    };
    super::signal::on(SIGHUP, count).map_err(Error::Signals)?;
    Ok(signals)
}

type Recovered = Option<crate::control::journal::Recovered>;

fn open_journal(config: &Config, server: &mut Server) -> Result<Recovered, Error> {
    let Some(path) = &config.state.journal else {
        return Ok(None);
    };
    let (journal, recovered) = Journal::open(path).map_err(|error| Error::State {
        path: path.clone(),
        message: format!("cannot be used as journal: {error}"),
    })?;
    server.keep(journal);
    Ok(Some(recovered))
}

fn server_config(config: &Config) -> Result<ServerConfig, Error> {
    let control = &config.control;
    let group = match &control.group {
        None => None,
        Some(name) => Some(super::group::id_of(name).ok_or_else(|| Error::Group(name.clone()))?),
    };
    let mut server = ServerConfig {
        mode: control.mode.0,
        group,
        ..ServerConfig::new(&control.socket)
    };
    server.adopt(control);
    Ok(server)
}

fn listen_for_scrapers(config: &Config) -> Result<Option<Metrics>, Error> {
    let Some(address) = config.metrics.listen else {
        return Ok(None);
    };
    let metrics = Metrics::listen(address).map_err(|error| Error::Metrics { address, error })?;
    Ok(Some(metrics))
}

/// Devices, opened, and their queues by worker.
struct Built {
    ports: Vec<Opened>,
    pools: Vec<dpdk::mempool::Mempool>,
    /// By worker, by port.
    queues: Vec<Vec<DpdkPort>>,
    transmitters: Vec<Vec<u16>>,
}

fn build(config: &Config, eal: &Eal) -> Result<Built, Error> {
    let pools = pools(eal, config)?;
    let mut opened = Vec::new();
    let mut actual = config.clone();
    for index in 0..config.port.len() {
        let port = open(eal, config, index, &pools)?;
        actual.port[index].queues = Some(port.rx_queues);
        opened.push(port);
    }
    let polls = actual.polls();
    let mut queues = Vec::new();
    let mut transmitters = Vec::new();
    for worker in 0..config.workers() {
        let mut of_worker = Vec::new();
        for (index, port) in opened.iter_mut().enumerate() {
            let mine = polls
                .iter()
                .filter(|poll| poll.port == index && poll.worker == worker);
            let rx: Vec<u16> = mine.map(|poll| poll.queue).collect();
            of_worker.push(port.take(&rx, worker));
        }
        queues.push(of_worker);
        transmitters.push(opened.iter().map(|port| port.transmitter(worker)).collect());
    }
    Ok(Built {
        ports: opened,
        pools,
        queues,
        transmitters,
    })
}

/// What was said before the start.
struct State {
    desired: Desired,
    recovered: Recovered,
}

type Workers = Vec<Worker<DpdkPort, MbufPool>>;

fn assemble(
    path: &Path,
    config: &Config,
    built: Built,
    server: Server,
    metrics: Option<Metrics>,
    state: State,
    eal: &Rc<Eal>,
) -> Result<(Workers, Control<MbufPool>), Error> {
    let clock = Clock::tsc(eal.tsc_hz());
    let domain = Domain::default();
    let writer = Writer::new(&domain, table_limits(&config.limits))?;
    let readers = writer.readers();
    let pool = MbufPool(built.pools[0].clone());
    let slots = config.port.len() + ports::SPARE;
    let (port_ends, handles) = ports::rings(built.queues.len(), slots);
    let hotplug = Hotplug::new(eal.clone(), config, handles);
    let blocks: Vec<Arc<Counters>> = built
        .queues
        .iter()
        .map(|_| Arc::new(Counters::new(slots)))
        .collect();
    let macs: Vec<_> = built.ports.iter().map(|port| port.mac).collect();
    let site = compile::site(config, &macs);
    let senders = (0..config.port.len())
        .map(|port| built.transmitters.first().map_or(0, |first| first[port]))
        .collect();
    let mut plant = Plant::new(Parts {
        settings: config.clone(),
        substrate: Substrate::new(substrate_config(config, &site))?,
        site,
        domain: domain.clone(),
        writer,
        counters: blocks.clone(),
        devices: Box::new(DpdkDevices::new(built.ports, built.pools, hotplug)),
        clock: clock.clone(),
        seed: random(),
    })?;
    let store = load_state(path, config, &mut plant, state)?;
    let ring = config.limits.ring as usize;
    let sizes = RingSizes {
        protocol: ring,
        notices: ring,
        from_control: ring,
        handover: ring,
        ..RingSizes::default()
    };
    let (worker_ends, control_ends) = wiring::wire(built.queues.len(), sizes);
    let mut workers = Vec::new();
    let parts = built
        .queues
        .into_iter()
        .zip(built.transmitters)
        .zip(worker_ends)
        .zip(blocks)
        .zip(port_ends);
    for (index, ((((ports, transmitter), ends), counters), changes)) in parts.enumerate() {
        let view = View {
            topology: plant.publisher.subscribe(),
            mappings: readers.reader(),
            participant: domain.register()?,
        };
        let settings = settings(config, index as u16, transmitter, &clock);
        let worker = Worker::new(
            settings,
            view,
            ports,
            pool.clone(),
            ends,
            counters,
            clock.clone(),
        );
        workers.push(worker.with_ports(changes));
    }
    let socket = config.control.socket.clone();
    let control = Control {
        store,
        plant,
        server,
        ends: control_ends,
        pool,
        senders,
        metrics,
        notify: Notify,
        socket,
        file: path.to_owned(),
    };
    Ok((workers, control))
}

fn substrate_config(config: &Config, site: &compile::Site) -> SubstrateConfig {
    let uplinks = site
        .ports
        .iter()
        .enumerate()
        .filter(|(_, port)| port.config.role == crate::model::Role::Uplink);
    let uplinks = uplinks.map(|(index, port)| Uplink::of(&port.config, index as u16, port.mac));
    SubstrateConfig {
        seed: random(),
        ..SubstrateConfig::new(config.locator, config.layout, uplinks.collect())
    }
}

/// Bits that a neighbour cannot guess; from the hash keys the standard
/// library draws from the system.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// What file and journal say, put into store, table and snapshot.
fn load_state(
    path: &Path,
    config: &Config,
    plant: &mut Plant,
    state: State,
) -> Result<Store, Error> {
    let mut store = Store::new(store::Settings::of(config, store_limits(&config.limits)));
    let now = plant.seconds();
    let failed = |message: String| Error::State {
        path: path.to_owned(),
        message,
    };
    store
        .replace(plant, Origin::File, &state.desired, now)
        .map_err(|error: ControlError| failed(error.to_string()))?;
    if let (Some(recovered), Some(journal)) = (state.recovered, &config.state.journal) {
        if let Some((bytes, why)) = &recovered.torn {
            log::warn!(
                "{}: the last {bytes} bytes are left out: {why}",
                journal.display()
            );
        }
        for problem in recovered.replay(&mut store, now) {
            log::warn!("{}: {problem}", journal.display());
        }
        log::info!(
            "{}: {} records read",
            journal.display(),
            recovered.records()
        );
        store
            .push_all(plant)
            .map_err(|error| failed(error.to_string()))?;
        plant.keep_leases(journal, &store);
    }
    Ok(store)
}

/// Own nodes are in the table beside the mappings.
fn table_limits(limits: &config::Limits) -> crate::mapping::Limits {
    crate::mapping::Limits {
        mappings: (limits.mappings + limits.nodes) as usize,
        prefixes: limits.prefixes as usize,
        ..crate::mapping::Limits::default()
    }
}

/// The store does not tell mappings of prefixes from others; the table does.
fn store_limits(limits: &config::Limits) -> store::Limits {
    store::Limits {
        mappings: (limits.mappings + limits.prefixes) as usize,
        bindings: limits.nodes as usize,
        hosts: limits.hosts as usize,
        eams: limits.eams as usize,
        outsiders: limits.outsiders as usize,
        subnets: limits.subnets as usize,
        routers: limits.routers as usize,
        vroutes: limits.vroutes as usize,
        members: limits.members as usize,
        ..store::Limits::default()
    }
}

fn settings(config: &Config, index: u16, transmitter: Vec<u16>, clock: &Clock) -> Settings {
    let limits = &config.limits;
    let millis = |ms: u32| clock.ticks(Duration::from_millis(ms.into()));
    Settings {
        index,
        workers: config.workers(),
        idle: match config.runtime.idle {
            config::Idle::Poll => Idle::Poll,
            config::Idle::Backoff => Idle::Backoff,
        },
        holds: HoldLimits {
            per_destination: limits.holds_per_destination as u16,
            per_node: limits.holds_per_node.min(u16::MAX.into()) as u16,
            total: limits.holds / u32::from(config.workers().max(1)),
            ticks: millis(limits.hold_ms),
            refusal_ticks: millis(1000),
        },
        nodes: limits.nodes as usize,
        punt_rate: limits.punt_rate,
        miss_rate: limits.miss_rate,
        icmp_rate: limits.icmp_rate,
        flood_rate: limits.flood_rate,
        hosts: limits.hosts as usize,
        group_rate: limits.group_rate,
        fanout: limits.fanout,
        transmitter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_room_for_its_own() {
        let limits = config::Limits {
            mappings: 5,
            prefixes: 3,
            nodes: 2,
            hosts: 7,
            ..config::Limits::default()
        };
        let (table, store) = (table_limits(&limits), store_limits(&limits));
        assert_eq!((table.mappings, table.prefixes), (5 + 2, 3));
        assert_eq!((store.mappings, store.bindings, store.hosts), (5 + 3, 2, 7));
    }
}
