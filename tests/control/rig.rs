//! What the tests share: a plant that only remembers, and a server thread.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use weft::config::Config;
use weft::control::client::Client;
use weft::control::journal::Journal;
use weft::control::plant::{Plant, PlantError};
use weft::control::proto::*;
use weft::control::server::{Server, ServerConfig};
use weft::control::store::mappings::Place;
use weft::control::store::{Desired, Limits as StoreLimits, Settings, Store};
use weft::model::{Origin, Port};
use weft::wire::address::Prefix4;
use weft::wire::{Layout, Vni};

/// The file it runs with.
pub(crate) const FILE: &str = r#"name = "R"
locator = "2001:db8:0:a:100::/72"

[[port]]
name = "up0"
device = "net_null0"
role = "uplink"

[[port]]
name = "tap0"
device = "net_null1"
role = "node"

[[port]]
name = "tap1"
device = "net_null2"
role = "node"

[[vnet]]
name = "Z"
vni = 0x5A0001
prefixes = ["10.0.0.0/8"]

[[host]]
name = "S"
locator = "2001:db8:0:b:200::/72"

[[mapping]]
vnet = "Z"
address = "10.0.0.3"
host = "S"
"#;

/// What the plant was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) mappings: BTreeMap<(Vni, Prefix4), (u32, Option<u32>)>,
    pub(crate) sets: usize,
    pub(crate) removes: usize,
    pub(crate) topologies: usize,
    /// Refuse to hold more mappings than that.
    pub(crate) room: Option<usize>,
    pub(crate) refuse_topology: bool,
    /// Say beforehand that there is no room for more.
    pub(crate) measured: Option<usize>,
    /// The file it runs with, when that has changed.
    pub(crate) settings: Option<Config>,
    pub(crate) refuse_settings: bool,
    pub(crate) refuse_ports: bool,
    /// Every call, in order.
    pub(crate) calls: Vec<String>,
    /// Only count: for the test of a million.
    pub(crate) count_only: bool,
    pub(crate) stopped: Vec<u64>,
    /// Live neighbours.
    pub(crate) neighbors: Vec<NeighborReport>,
    pub(crate) leases: Vec<Lease>,
    /// Hardware addresses of nodes.
    pub(crate) learned: BTreeMap<String, Learned>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct TestPlant(pub(crate) Arc<Mutex<Told>>);

impl Plant for TestPlant {
    fn mapping_set(
        &mut self,
        vni: Vni,
        prefix: Prefix4,
        Place { host, slot, mac }: Place,
        at: Option<u32>,
    ) -> Result<(), PlantError> {
        let mut told = self.0.lock().unwrap();
        told.sets += 1;
        if !told.count_only {
            let slot = slot.map_or(String::new(), |slot| format!(" in slot {slot}"));
            let mac = mac.map_or(String::new(), |mac| format!(" as {mac}"));
            told.calls.push(format!("set {prefix}{slot}{mac}"));
        }
        if told.count_only {
            return Ok(());
        }
        if let Some(limit) = told.room
            && told.mappings.len() >= limit
            && !told.mappings.contains_key(&(vni, prefix))
        {
            return Err(PlantError::Full {
                table: "mapping table",
                limit,
            });
        }
        told.mappings.insert((vni, prefix), (host, at));
        Ok(())
    }

    fn mapping_remove(&mut self, vni: Vni, prefix: Prefix4) {
        let mut told = self.0.lock().unwrap();
        told.removes += 1;
        if !told.count_only {
            told.calls.push(format!("remove {prefix}"));
        }
        told.mappings.remove(&(vni, prefix));
    }

    fn topology_changed(&mut self, store: &Store) -> Result<(), PlantError> {
        let mut told = self.0.lock().unwrap();
        told.topologies += 1;
        let mut hosts: Vec<_> = store.hosts().map(|(_, host)| host.name.as_str()).collect();
        hosts.sort_unstable();
        told.calls.push(format!("topology {}", hosts.join(",")));
        match told.refuse_topology {
            true => Err(PlantError::Refused("no memory for another snapshot".into())),
            false => Ok(()),
        }
    }

    fn settings(&self) -> Config {
        let told = self.0.lock().unwrap();
        told.settings.clone().unwrap_or_else(|| {
            let (mut config, _) = Config::parse("rig.toml", FILE.as_bytes()).unwrap();
            drop(Desired::take(&mut config));
            config
        })
    }

    fn settings_changed(&mut self, settings: &Config) -> Result<(), PlantError> {
        let mut told = self.0.lock().unwrap();
        match told.refuse_settings {
            true => Err(PlantError::Refused("no".into())),
            false => {
                told.settings = Some(settings.clone());
                Ok(())
            }
        }
    }

    fn ports_open(&mut self, wanted: &Config, names: &[&str]) -> Result<(), PlantError> {
        let mut told = self.0.lock().unwrap();
        told.calls.push(format!("open {}", names.join(",")));
        let known = |name: &&str| wanted.port.iter().any(|port| port.name == *name);
        assert!(names.iter().all(known));
        match told.refuse_ports {
            true => Err(PlantError::Refused("no such device".into())),
            false => Ok(()),
        }
    }

    fn ports_close(&mut self, names: &[&str]) {
        let mut told = self.0.lock().unwrap();
        told.calls.push(format!("close {}", names.join(",")));
    }

    fn has_room(&self, store: &Store) -> Result<(), PlantError> {
        let (addresses, _) = store.table_entries();
        match self.0.lock().unwrap().measured {
            Some(limit) if addresses > limit => Err(PlantError::Full {
                table: "limits.mappings",
                limit,
            }),
            _ => Ok(()),
        }
    }

    fn status(&self) -> PlantStatus {
        PlantStatus {
            workers: 2,
            layout: "p72".into(),
            ..PlantStatus::default()
        }
    }

    fn stats(&self) -> StatsReport {
        let counter = Counter {
            help: "Packets received.".into(),
            total: 3,
            workers: vec![1, 2],
            gauge: false,
        };
        StatsReport {
            uptime_ms: 1,
            counters: [("rx".to_owned(), counter)].into(),
        }
    }

    fn cycles(&self) -> CyclesReport {
        CyclesReport {
            uptime_ms: 1000,
            hz: 1_000_000,
            workers: vec![WorkerCycles {
                busy_cycles: 600_000,
                idle_cycles: 400_000,
                packets: 6000,
                ..WorkerCycles::default()
            }],
            fills: Vec::new(),
        }
    }

    fn ports(&self) -> Vec<PortReport> {
        Vec::new()
    }

    fn leases(&self) -> Vec<Lease> {
        self.0.lock().unwrap().leases.clone()
    }

    fn neighbors(&self) -> Vec<NeighborReport> {
        self.0.lock().unwrap().neighbors.clone()
    }

    fn learned(&self, binding: &str) -> Option<Learned> {
        self.0.lock().unwrap().learned.get(binding).cloned()
    }

    fn explain(&mut self, request: &Explain) -> Result<ExplainReport, PlantError> {
        match request.from.as_str() {
            "A" => Ok(ExplainReport {
                outcome: "sent".into(),
                ..ExplainReport::default()
            }),
            other => Err(PlantError::NotFound(format!("there is no binding {other}"))),
        }
    }

    fn trace_start(&mut self, _: &TraceStart) -> Result<u64, PlantError> {
        Ok(1)
    }

    fn trace_stop(&mut self, trace: u64) -> Result<Seen, PlantError> {
        self.0.lock().unwrap().stopped.push(trace);
        Ok(Seen::default())
    }

    fn log_set(&mut self, filter: &str) -> Result<(), PlantError> {
        match filter.contains("//") {
            true => Err(PlantError::Refused(format!(
                "`{filter}` is not a log filter"
            ))),
            false => Ok(()),
        }
    }
}

fn port((name, role): (&str, &str)) -> Port {
    let device = format!("net_null,{name}");
    serde_json::from_value(json!({"name": name, "device": device, "role": role})).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        name: "R".into(),
        layout: Layout::P72,
        locator: Some("2001:db8:0:a:100::/72".parse().unwrap()),
        mtu: 1500,
        workers: 1,
        ports: [
            ("up0", "uplink"),
            ("tap0", "node"),
            ("tap1", "node"),
            ("v4", "relay4"),
            ("v6", "relay6"),
        ]
        .map(port)
        .into(),
        limits: StoreLimits {
            tombstone_seconds: 5,
            ..StoreLimits::default()
        },
    }
}

pub(crate) fn new_store() -> Store {
    Store::new(settings())
}

/// A server thread with its socket in a directory of its own.
pub(crate) struct Rig {
    pub(crate) directory: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) plant: TestPlant,
    clock: Arc<AtomicU32>,
    pub(crate) publish: Arc<Mutex<Vec<Event>>>,
    /// Whether the server has a client that answers misses.
    pub(crate) answered: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Store>>,
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with(|_| {}, new_store(), None)
    }

    pub(crate) fn with(
        tune: impl FnOnce(&mut ServerConfig),
        mut store: Store,
        journal: Option<Journal>,
    ) -> Rig {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("weft-control-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("weft.sock");
        let mut config = ServerConfig::new(&path);
        tune(&mut config);
        let mut server = Server::bind(config, journal).unwrap();
        let plant = TestPlant::default();
        let stop = Arc::new(AtomicBool::new(false));
        let clock = Arc::new(AtomicU32::new(1000));
        let publish = Arc::new(Mutex::new(Vec::new()));
        let answered = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (mut plant, stop, clock, publish) =
                (plant.clone(), stop.clone(), clock.clone(), publish.clone());
            let answered = answered.clone();
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let now = clock.load(Ordering::Relaxed);
                    server
                        .poll(Duration::from_millis(2), &mut store, &mut plant, now)
                        .unwrap();
                    for event in publish.lock().unwrap().drain(..) {
                        server.publish(&event);
                    }
                    answered.store(server.has_answerer(), Ordering::Relaxed);
                }
                store
            }
        });
        Rig {
            directory,
            path,
            plant,
            clock,
            publish,
            answered,
            stop,
            thread: Some(thread),
        }
    }

    /// Ends the server; the store as it was left.
    pub(crate) fn end(mut self) -> Store {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }

    /// Lets seconds pass; the server has seen it on return.
    pub(crate) fn advance(&self, seconds: u32) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(20));
    }

    pub(crate) fn client(&self) -> Client {
        self.client_of(Origin::Operator)
    }

    pub(crate) fn client_of(&self, origin: Origin) -> Client {
        Client::connect(&self.path, &hello(origin)).unwrap()
    }

    pub(crate) fn raw(&self) -> Raw {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Raw {
            reader: BufReader::new(stream),
        }
    }

    /// A raw connection that has said hello.
    pub(crate) fn raw_rw(&self) -> Raw {
        let mut raw = self.raw();
        let hello = raw.call("hello", json!({"version": 1, "access": "rw"}));
        assert_eq!(hello["result"]["access"], "rw", "{hello}");
        raw
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

pub(crate) fn hello(origin: Origin) -> Hello {
    Hello {
        version: VERSION,
        access: Access::ReadWrite,
        origin,
        client: "test".into(),
    }
}

/// A connection without manners of its own.
pub(crate) struct Raw {
    pub(crate) reader: BufReader<UnixStream>,
}

impl Raw {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// The next line as JSON; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("{e}"),
        }
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(format!("{request}\n").as_bytes());
        self.line().expect("an answer")
    }

    /// Calls and wants it to be done.
    pub(crate) fn ok(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.call(method, params);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Calls and wants it refused with this code; the error.
    pub(crate) fn refused(&mut self, code: ErrorCode, method: &str, params: Value) -> Value {
        let mut answer = self.call(method, params);
        assert_eq!(answer["error"]["code"], code.number(), "{method}: {answer}");
        answer["error"].take()
    }
}

/// The test plan: vnets Z and Y, hosts S and T.
pub(crate) fn test_plan(raw: &mut Raw) {
    raw.ok("batch", json!({"changes": [
        {"method": "vnet.set", "params": {"vnet": {"name": "Z", "vni": "0x5A0001", "prefixes": ["10.0.0.0/8"]}}},
        {"method": "vnet.set", "params": {"vnet": {"name": "Y", "vni": 0x590001}}},
        {"method": "host.set", "params": {"host": {"name": "S", "locator": "2001:db8:0:b:200::/72"}}},
        {"method": "host.set", "params": {"host": {"name": "T", "locator": "2001:db8:0:c:500::/72"}}},
    ]}));
}

pub(crate) fn mapping(address: &str, host: &str, revision: u64) -> Value {
    json!({"address": address, "host": host, "revision": revision})
}
