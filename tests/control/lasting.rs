//! What outlives the process: the journal.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::json;
use weft::control::client::Client;
use weft::control::journal::{Disk, Journal};
use weft::control::proto::{ErrorCode, MappingRow, MappingSet, VnetList};
use weft::control::server::{Server, ServerConfig};
use weft::control::store::{Desired, Store};
use weft::model::Origin;

use crate::rig::*;

const DIRECTORY: &str = "WEFT_TEST_DIRECTORY";

/// The process that [`a_killed_appliance_has_every_acknowledged_change`] kills;
/// without the directory which that names there is nothing to serve.
#[test]
fn appliance_to_kill() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let directory = Path::new(&directory);
    let (journal, recovered) = Journal::open(&directory.join("journal")).unwrap();
    let mut store = new_store();
    assert!(recovered.replay(&mut store, 0).is_empty());
    let mut plant = TestPlant::default();
    store.push_all(&mut plant).unwrap();
    let config = ServerConfig::new(directory.join("s"));
    let mut server = Server::bind(config, Some(journal)).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(60) {
        server
            .poll(Duration::from_millis(10), &mut store, &mut plant, 0)
            .unwrap();
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(directory: &Path) -> (Killed, Client) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lasting::appliance_to_kill", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let child = Killed(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match Client::connect(&directory.join("s"), &hello(Origin::Operator)) {
            Ok(client) => return (child, client),
            Err(error) if Instant::now() > deadline => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn vnet(n: u32) -> serde_json::Value {
    json!({"vnet": {"name": format!("v{n}"), "vni": n}})
}

#[test]
fn a_killed_appliance_has_every_acknowledged_change() {
    let directory = std::env::temp_dir().join(format!("weft-control-kill-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let mut acknowledged = 0;
    for round in 0..3 {
        let (child, mut client) = start(&directory);
        let there = client.call(&VnetList::default()).unwrap().items.len();
        assert!(
            there >= acknowledged,
            "round {round}: {there} of {acknowledged}"
        );
        // A thread sends as fast as it can while the process is killed.
        let sender = std::thread::spawn(move || {
            let mut done = there;
            while client.call_raw("vnet.set", &vnet(done as u32 + 1)).is_ok() {
                done += 1;
            }
            done
        });
        std::thread::sleep(Duration::from_millis(100 + round * 37));
        drop(child);
        let done = sender.join().unwrap();
        assert!(done > there, "nothing was acknowledged");
        acknowledged = done;
    }
    let (_, recovered) = Journal::open(&directory.join("journal")).unwrap();
    let mut store = new_store();
    assert!(recovered.replay(&mut store, 0).is_empty());
    // One more may have been written and not acknowledged.
    assert!((acknowledged..=acknowledged + 1).contains(&store.vnets().count()));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A disk on which nothing can be written.
#[derive(Debug)]
struct FullDisk;

impl Disk for FullDisk {
    fn write_all(&mut self, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, _: u64) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_refuses_the_operator_and_changes_nothing() {
    let journal = Journal::over(Path::new("nowhere"), Box::new(FullDisk), 0);
    let mut store = new_store();
    store
        .replace(&mut TestPlant::default(), Origin::File, &file(), 0)
        .unwrap();
    let rig = Rig::with(|_| {}, store, Some(journal));
    let mut raw = rig.raw_rw();
    let error = raw.refused(ErrorCode::Journal, "vnet.set", vnet(7));
    assert!(
        error["data"]["hint"]
            .as_str()
            .unwrap()
            .contains("nothing was changed")
    );
    raw.refused(
        ErrorCode::Journal,
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.9", "S", 0)]}),
    );
    raw.refused(
        ErrorCode::Journal,
        "host.set",
        json!({"host": {"name": "S", "locator": "2001:db8:0:e:700::/72"}}),
    );
    // Several in one slice: each is refused, all are undone.
    let lines: String = (10..20)
        .map(|n| {
            json!({"jsonrpc": "2.0", "id": n, "method": "vnet.set", "params": vnet(n)}).to_string()
                + "\n"
        })
        .collect();
    raw.send(lines.as_bytes());
    for _ in 10..20 {
        assert_eq!(
            raw.line().unwrap()["error"]["code"],
            ErrorCode::Journal.number()
        );
    }
    assert_eq!(
        raw.ok("vnet.list", json!({}))["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        raw.ok("host.list", json!({}))["items"][0]["object"]["locator"],
        "2001:db8:0:b:200::/72"
    );
    assert!(rig.plant.0.lock().unwrap().mappings.is_empty());
    // What is not journalled goes on.
    let mut agent = rig.raw();
    agent.ok(
        "hello",
        json!({"version": 1, "access": "rw", "origin": "agent"}),
    );
    agent.ok(
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.9", "S", 1)]}),
    );
    let status = raw.ok("status.get", json!({}));
    assert_eq!(status["socket"]["journal_errors"], 13);
    assert!(status["journal"]["error"].is_string());
}

fn file() -> Desired {
    serde_json::from_value::<FileObjects>(json!({
        "vnets": [{"name": "Z", "vni": 0x5A0001}],
        "hosts": [{"name": "S", "locator": "2001:db8:0:b:200::/72"}],
        "bindings": [{"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "tap0"}],
        "mappings": [{"vnet": "Z", "address": "10.0.0.3", "host": "S"}],
    }))
    .unwrap()
    .into()
}

#[derive(serde::Deserialize)]
struct FileObjects {
    vnets: Vec<weft::model::Vnet>,
    hosts: Vec<weft::model::Host>,
    bindings: Vec<weft::model::Binding>,
    mappings: Vec<weft::model::Mapping>,
}

impl From<FileObjects> for Desired {
    fn from(of: FileObjects) -> Desired {
        let FileObjects {
            vnets,
            hosts,
            bindings,
            mappings,
        } = of;
        Desired {
            vnets,
            hosts,
            bindings,
            mappings,
            ..Desired::default()
        }
    }
}

fn with_file(desired: &Desired) -> Store {
    let mut store = new_store();
    store
        .replace(&mut TestPlant::default(), Origin::File, desired, 1000)
        .unwrap();
    store
}

#[test]
fn what_the_operator_made_of_the_files_objects_comes_back() {
    let directory = std::env::temp_dir().join(format!("weft-control-file-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    let rig = Rig::with(|_| {}, with_file(&file()), Some(journal));
    let mut raw = rig.raw_rw();
    raw.ok(
        "mapping.remove",
        json!({"vnet": "Z", "mappings": [{"address": "10.0.0.3"}]}),
    );
    raw.ok("mapping.set", json!({"vnet": "Z", "mappings": [
        {"address": "10.0.0.4", "host": "S", "revision": 7, "expires": 3000}, mapping("10.0.0.5", "S", 0)]}));
    raw.ok(
        "binding.set",
        json!({"binding": {"name": "A", "vnet": "Z", "address": "10.0.0.7", "port": "tap1"}}),
    );
    raw.ok("sync.begin", json!({"kinds": ["mapping"]}));
    raw.ok(
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.6", "S", 0)]}),
    );
    raw.ok("mapping.set", json!({"vnet": "Z", "mappings": [{"address": "10.0.0.4", "host": "S", "revision": 7, "expires": 3000}]}));
    assert_eq!(raw.ok("sync.commit", json!({}))["removed"], 1);
    drop(raw);
    let mut lived = rig.end();
    // SIGHUP: the same file does not undo what the operator did.
    let changes = lived
        .replace(&mut TestPlant::default(), Origin::File, &file(), 1000)
        .unwrap();
    assert_eq!(changes.overridden.len(), 2, "{changes:?}");
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    let mut again = with_file(&file());
    assert_eq!(recovered.replay(&mut again, 1000), Vec::<String>::new());
    let state = |store: &Store| {
        let mappings = store
            .list_mappings(&Default::default(), 100, 1000)
            .unwrap()
            .items;
        let mut mappings: Vec<_> = mappings
            .into_iter()
            .map(|m| (m.object.address, m.object.revision, m.origin))
            .collect();
        mappings.sort();
        (store.to_toml().unwrap(), mappings)
    };
    assert_eq!(state(&again), state(&lived));
    assert_eq!(state(&again).1.len(), 2);
    // The snapshot says the same.
    journal.compact(&again, 1000).unwrap();
    drop(journal);
    let (_, recovered) = Journal::open(&path).unwrap();
    let mut third = with_file(&file());
    assert_eq!(recovered.replay(&mut third, 1000), Vec::<String>::new());
    assert_eq!(state(&third), state(&lived));
    // A file that no longer fits: what can stays, the rest is told.
    let (_, recovered) = Journal::open(&path).unwrap();
    let mut without_host = file();
    without_host.hosts.clear();
    without_host.mappings.clear();
    let problems = recovered.replay(&mut with_file(&without_host), 1000);
    assert!(
        problems.iter().any(|p| p.contains("there is no host S")),
        "{problems:?}"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_file_is_taken_as_a_whole_or_not_at_all() {
    let plant = &mut TestPlant::default();
    let mut store = with_file(&file());
    // Two vnets swap their ids, which no order of single changes can do.
    let swap = |z, y| {
        let mut desired = file();
        let mut other = desired.vnets[0].clone();
        (desired.vnets[0].vni, other.vni, other.name) =
            (weft::wire::Vni(z), weft::wire::Vni(y), "Y".into());
        desired.vnets.push(other);
        desired
    };
    store.replace(plant, Origin::File, &swap(1, 2), 0).unwrap();
    plant.0.lock().unwrap().mappings.clear();
    let changes = store.replace(plant, Origin::File, &swap(2, 1), 0).unwrap();
    assert_eq!(
        (changes.applied, changes.removed),
        (3, 1),
        "two vnets, and the mapping under its new id"
    );
    assert_eq!(store.vnet_of(weft::wire::Vni(2)).unwrap().name, "Z");
    // A wrong one changes nothing.
    let before = store.to_toml().unwrap();
    let mut twice = file();
    twice.vnets.push(twice.vnets[0].clone());
    let mut clash = swap(3, 3);
    clash.mappings.clear();
    let mut orphan = file();
    orphan.hosts.clear();
    for wrong in [twice, clash, orphan] {
        store.replace(plant, Origin::File, &wrong, 0).unwrap_err();
        assert_eq!(store.to_toml().unwrap(), before);
        assert_eq!(store.mapping_count(), 1);
    }
    // A host of the file that an operator's mapping needs cannot go.
    let row = MappingRow {
        address: "10.0.0.8".parse().unwrap(),
        host: "S".into(),
        expires: None,
        revision: 0,
        slot: None,
        mac: None,
    };
    let set = MappingSet {
        vnet: "Z".into(),
        mappings: vec![row],
    };
    store
        .apply(
            plant,
            Origin::Operator,
            &[weft::control::proto::Change::MappingSet(set)],
            0,
        )
        .unwrap();
    let mut less = swap(2, 1);
    less.hosts.clear();
    less.mappings.clear();
    let error = store.replace(plant, Origin::File, &less, 0).unwrap_err();
    assert_eq!(error.code, ErrorCode::InUse, "{error}");
    assert_eq!(store.to_toml().unwrap(), before);
}

#[test]
fn answers_keep_the_order_of_requests_while_the_journal_waits() {
    let directory = std::env::temp_dir().join(format!("weft-control-order-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let (journal, _) = Journal::open(&directory.join("journal")).unwrap();
    let rig = Rig::with(|_| {}, new_store(), Some(journal));
    let mut raw = rig.raw_rw();
    let line = |id: u32, method: &str, params: serde_json::Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
    };
    let mut text = String::new();
    for id in (0..500).step_by(5) {
        text += &line(id, "vnet.set", vnet(id + 1));
        text += &line(id + 1, "vnet.set", vnet(0));
        text += &line(id + 2, "vnet.set", vnet(id + 1));
        text += &line(id + 3, "no.such", json!({}));
        text += &line(id + 4, "vnet.list", json!({"limit": 1}));
    }
    raw.send(text.as_bytes());
    for id in 0..500 {
        let answer = raw.line().unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        assert_eq!(
            answer.get("error").is_some(),
            matches!(id % 5, 1 | 3),
            "{answer}"
        );
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
