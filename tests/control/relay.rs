//! The relay and outsiders; explicit mappings are in `eams`.

use serde_json::{Value, json};
use weft::control::journal::Journal;
use weft::control::proto::{ErrorCode, Kind};
use weft::control::store::{Desired, Store};
use weft::model::{Eam, Origin, Relay};

use crate::rig::*;

pub(crate) fn relay() -> Value {
    json!({
        "pool6": "64:ff9b::/96",
        "ipv4": {"port": "v4", "address": "192.0.2.2/24", "via": "192.0.2.1"},
        "ipv6": {"port": "v6", "address": "2001:db8:ffff::2/64", "via": "fe80::1"},
    })
}

pub(crate) fn eam(ipv4: &str, ipv6: &str) -> Value {
    json!({"ipv4": ipv4, "ipv6": ipv6})
}

/// With a relay and two mappings.
pub(crate) fn with_relay(raw: &mut Raw) {
    raw.ok("relay.set", json!({"relay": relay()}));
    raw.ok(
        "eam.set",
        json!({"eams": [eam("198.51.100.1", "2001:db8::1"), eam("198.51.100.2", "2001:db8::2")]}),
    );
}

/// All mappings as text, sorted.
pub(crate) fn eams(store: &Store) -> Vec<String> {
    let mut all: Vec<_> = store
        .eams()
        .iter()
        .map(|entry| format!("{} {}", entry.eam().ipv4, entry.eam().ipv6))
        .collect();
    all.sort();
    all
}

#[test]
fn a_relay_is_judged_by_the_rules_of_the_file() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    raw.refused(ErrorCode::NotFound, "relay.get", json!({}));
    let changed = |path: &str, value: Value| {
        let mut relay = relay();
        *relay.pointer_mut(path).unwrap() = value;
        json!({ "relay": relay })
    };
    for (params, field, message) in [
        (
            changed("/pool6", json!("64:ff9b::/80")),
            "relay.pool6",
            "64:ff9b::/80 cannot contain IPv4 addresses",
        ),
        (
            changed("/ipv4/port", json!("up0")),
            "relay.ipv4.port",
            "port `up0` is of role `uplink`",
        ),
        (
            changed("/ipv6/port", json!("v7")),
            "relay.ipv6.port",
            "no port is called `v7`",
        ),
        (
            changed("/ipv4/via", json!("192.0.3.1")),
            "relay.ipv4.via",
            "192.0.3.1 is not on the link of 192.0.2.2/24",
        ),
    ] {
        let error = raw.refused(ErrorCode::InvalidParams, "relay.set", params);
        assert_eq!(error["data"]["field"], field);
        assert_eq!(error["message"], message);
    }
    let mut file = relay();
    file["eam_file"] = json!("/etc/weft/eam.txt");
    let error = raw.refused(
        ErrorCode::InvalidParams,
        "relay.set",
        json!({"relay": file}),
    );
    assert_eq!(error["data"]["field"], "relay.eam_file");
    assert_eq!(rig.plant.0.lock().unwrap().topologies, 0);
    raw.ok("relay.set", json!({"relay": relay()}));
    assert_eq!(rig.plant.0.lock().unwrap().topologies, 1);
    let shown = raw.ok("relay.get", json!({}));
    assert_eq!(shown["relay"]["object"]["hairpin"], "intrinsic");
    assert_eq!(shown["relay"]["origin"], "operator");
    assert!(shown.get("state").is_none());
    let again = raw.ok("relay.set", json!({"relay": relay()}));
    assert_eq!(again["unchanged"], 1);
}

#[test]
fn without_ports_for_it_a_relay_is_refused_by_name() {
    let mut settings = settings();
    settings.ports.truncate(3);
    let rig = Rig::with(|_| {}, Store::new(settings), None);
    let mut raw = rig.raw_rw();
    let error = raw.refused(
        ErrorCode::InvalidParams,
        "relay.set",
        json!({"relay": relay()}),
    );
    assert_eq!(error["data"]["field"], "relay.ipv4.port");
    assert_eq!(
        error["data"]["hint"],
        "there is none of role `relay4`: ports are the configuration file's, and made at the start"
    );
}

#[test]
fn a_plain_relay_has_no_vnets_and_no_hosts() {
    let mut settings = settings();
    settings.locator = None;
    let rig = Rig::with(|_| {}, Store::new(settings), None);
    let mut raw = rig.raw_rw();
    for (method, params) in [
        ("vnet.set", json!({"vnet": {"name": "Z", "vni": 1}})),
        (
            "host.set",
            json!({"host": {"name": "S", "locator": "2001:db8:0:b:200::/72"}}),
        ),
    ] {
        let error = raw.refused(ErrorCode::InvalidParams, method, params);
        assert_eq!(
            error["message"],
            "this appliance has no locator: it is a plain relay"
        );
    }
    with_relay(&mut raw);
}

#[test]
fn limits_of_explicit_mappings_and_outsiders_are_kept() {
    let mut settings = settings();
    settings.limits.eams = 2;
    settings.limits.outsiders = 0;
    let rig = Rig::with(|_| {}, Store::new(settings), None);
    let mut raw = rig.raw_rw();
    with_relay(&mut raw);
    test_plan(&mut raw);
    let third = json!({"eams": [eam("198.51.100.3", "2001:db8::3")]});
    let error = raw.refused(ErrorCode::Limit, "eam.set", third);
    assert!(
        error["data"]["hint"]
            .as_str()
            .unwrap()
            .contains("limits.eams")
    );
    let one = json!({"outsider": {"name": "p", "vnet": "Z", "address": "10.0.0.20", "ipv6": "2001:db8:c::1"}});
    raw.refused(ErrorCode::Limit, "outsider.set", one);
}

fn outsider(name: &str, address: &str, ipv6: &str) -> Value {
    json!({"outsider": {"name": name, "vnet": "Z", "address": address, "ipv6": ipv6, "nodes": ["A"]}})
}

#[test]
fn outsiders_and_managed_objects_keep_apart() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let node = |name: &str, address: &str| json!({"binding": {"name": name, "vnet": "Z", "address": address, "port": "tap0", "mac": format!("02:00:00:00:00:0{}", name.len())}});
    raw.ok("binding.set", node("A", "10.0.0.2"));
    raw.ok(
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.3", "S", 0)]}),
    );
    for (address, ipv6, field) in [
        ("10.0.0.2", "2001:db8:c::1", "outsider.address"),
        ("10.0.0.3", "2001:db8:c::1", "outsider.address"),
        ("127.0.0.1", "2001:db8:c::1", "outsider.address"),
        ("10.0.0.20", "2001:db8:0:a:15a:1:a00:9", "outsider.ipv6"),
        ("10.0.0.20", "2001:db8:0:b:25a:1:a00:9", "outsider.ipv6"),
        ("10.0.0.20", "2001:db8:0:b::/64", "outsider.ipv6"),
        ("10.0.4.0/24", "2001:db8:c::/124", "outsider.ipv6"),
    ] {
        let error = raw.refused(
            ErrorCode::InvalidParams,
            "outsider.set",
            outsider("printer", address, ipv6),
        );
        assert_eq!(error["data"]["field"], field, "{error}");
    }
    raw.ok(
        "outsider.set",
        outsider("printer", "10.0.0.20", "2001:db8:c::1"),
    );
    for (address, ipv6) in [
        ("10.0.0.20", "2001:db8:c::2"),
        ("10.0.0.21", "2001:db8:c::1"),
    ] {
        raw.refused(
            ErrorCode::InvalidParams,
            "outsider.set",
            outsider("other", address, ipv6),
        );
    }
    // Nothing else may take its place, nor what it refers to go.
    let row = json!({"vnet": "Z", "mappings": [mapping("10.0.0.20", "S", 0)]});
    let error = raw.refused(ErrorCode::InvalidParams, "mapping.set", row);
    assert_eq!(error["data"]["field"], "mappings[0].address");
    raw.refused(
        ErrorCode::InvalidParams,
        "binding.set",
        node("BB", "10.0.0.20"),
    );
    let host = json!({"host": {"name": "U", "locator": "2001:db8:c::/72"}});
    let error = raw.refused(ErrorCode::InvalidParams, "host.set", host);
    assert_eq!(error["data"]["field"], "host.locator");
    raw.refused(ErrorCode::InUse, "binding.remove", json!({"name": "A"}));
    raw.refused(ErrorCode::InUse, "vnet.remove", json!({"name": "Z"}));
    let narrow = json!({"vnet": {"name": "Z", "vni": 0x5a_0001, "prefixes": ["10.0.0.0/28"]}});
    let error = raw.refused(ErrorCode::InUse, "vnet.set", narrow);
    assert_eq!(error["data"]["field"], "vnet.prefixes");
    let moved =
        json!({"binding": {"name": "A", "vnet": "Y", "address": "10.0.0.2", "port": "tap0"}});
    raw.refused(ErrorCode::InUse, "binding.set", moved);
    raw.ok("outsider.remove", json!({"name": "printer"}));
    raw.ok("binding.remove", json!({"name": "A"}));
}

pub(crate) fn file() -> Desired {
    let relay: Relay = serde_json::from_value(relay()).unwrap();
    let eam = |n: u8| -> Eam {
        serde_json::from_value(eam(&format!("198.51.100.{n}"), &format!("2001:db8::{n}"))).unwrap()
    };
    Desired {
        relay: Some(relay),
        eams: (1..=4).map(eam).collect(),
        ..Desired::default()
    }
}

fn from_file(desired: &Desired) -> Store {
    let mut store = new_store();
    let plant = &mut TestPlant::default();
    store.replace(plant, Origin::File, desired, 1000).unwrap();
    store
}

#[test]
fn a_file_is_exchanged_as_a_whole() {
    let plant = &mut TestPlant::default();
    let mut store = from_file(&file());
    assert_eq!(store.count(Kind::Eam), 4);
    let mut desired = file();
    desired.eams.truncate(2);
    let [a, b] = &mut desired.eams[..] else {
        panic!()
    };
    std::mem::swap(&mut a.ipv6, &mut b.ipv6);
    let changes = store.replace(plant, Origin::File, &desired, 1000).unwrap();
    assert_eq!(
        (changes.applied, changes.unchanged, changes.removed),
        (2, 1, 2)
    );
    let swapped = eams(&store);
    assert_eq!(
        swapped,
        [
            "198.51.100.1/32 2001:db8::2/128",
            "198.51.100.2/32 2001:db8::1/128"
        ]
    );
    // What cannot be leaves everything as it was.
    let mut twice = file();
    twice.eams.push(Eam {
        ipv4: "198.51.100.9".parse().unwrap(),
        ..twice.eams[0]
    });
    let error = store
        .replace(plant, Origin::File, &twice, 1000)
        .unwrap_err();
    assert_eq!(error.data.unwrap().field, "eam[4].ipv6");
    let mut without = file();
    without.relay = None;
    let error = store
        .replace(plant, Origin::File, &without, 1000)
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InUse);
    assert_eq!(eams(&store), swapped);
    store
        .replace(plant, Origin::File, &Desired::default(), 1000)
        .unwrap();
    assert_eq!((store.count(Kind::Eam), store.count(Kind::Relay)), (0, 0));
}

#[test]
fn what_the_operator_made_of_the_relay_survives() {
    let directory = std::env::temp_dir().join(format!("weft-control-relay-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    let rig = Rig::with(|_| {}, from_file(&file()), Some(journal));
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let mut other = relay();
    other["pool6"] = json!("2001:db8:64::/96");
    raw.ok("relay.set", json!({"relay": other}));
    raw.ok(
        "eam.remove",
        json!({"eams": [{"ipv4": "198.51.100.4"}, {"ipv4": "198.51.100.3"}]}),
    );
    raw.ok(
        "eam.set",
        json!({"eams": [eam("198.51.100.1", "2001:db8::a"), eam("198.51.100.0/28", "2001:db8:5::/124"), eam("198.51.100.3", "2001:db8::3")]}),
    );
    raw.ok("eam.remove", json!({"eams": [{"ipv4": "198.51.100.0/28"}]}));
    let mut printer = outsider("printer", "10.0.0.20", "2001:db8:c::1");
    printer["outsider"]["nodes"].take();
    raw.ok("outsider.set", printer);
    drop(raw);
    let mut lived = rig.end();
    let state = |store: &Store| (store.to_toml().unwrap(), eams(store));
    // SIGHUP: the same file does not undo it.
    let changes = lived
        .replace(&mut TestPlant::default(), Origin::File, &file(), 1000)
        .unwrap();
    assert_eq!(changes.overridden.len(), 3, "{changes:?}");
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    let mut again = from_file(&file());
    assert_eq!(recovered.replay(&mut again, 1000), Vec::<String>::new());
    assert_eq!(state(&again), state(&lived));
    assert_eq!(
        eams(&again),
        [
            "198.51.100.1/32 2001:db8::a/128",
            "198.51.100.2/32 2001:db8::2/128",
            "198.51.100.3/32 2001:db8::3/128",
        ]
    );
    // The snapshot says the same.
    journal.compact(&again, 1000).unwrap();
    drop(journal);
    let (_, recovered) = Journal::open(&path).unwrap();
    let mut third = from_file(&file());
    assert_eq!(recovered.replay(&mut third, 1000), Vec::<String>::new());
    assert_eq!(state(&third), state(&lived));
    // A mapping that no longer fits is told; the others stay.
    let mut desired = file();
    desired.eams[3].ipv6 = "2001:db8::a/128".parse().unwrap();
    desired.eams[3].ipv4 = "198.51.100.77".parse().unwrap();
    let (_, recovered) = Journal::open(&path).unwrap();
    let mut fourth = from_file(&desired);
    let problems = recovered.replay(&mut fourth, 1000);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(eams(&fourth).len(), 4);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_dump_of_a_relay_is_a_file() {
    let mut desired = file();
    if let Some(relay) = &mut desired.relay {
        relay.eam_file = Some("/etc/weft/eam.txt".into());
    }
    let store = from_file(&desired);
    let head = "name = \"relay\"\n[[port]]\nname = \"v4\"\ndevice = \"net_null0\"\nrole = \"relay4\"\n[[port]]\nname = \"v6\"\ndevice = \"net_null1\"\nrole = \"relay6\"\n";
    let text = format!("{head}{}", store.to_toml().unwrap());
    let (config, warnings) = weft::config::Config::parse("dump", text.as_bytes())
        .unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert!(warnings.is_empty());
    // Its mappings are listed with the others.
    assert_eq!(config.relay, file().relay);
}
