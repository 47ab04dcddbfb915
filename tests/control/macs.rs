//! MACs that mappings give to their nodes.

use serde_json::{Value, json};
use weft::config::Config;
use weft::control::journal::Journal;
use weft::control::proto::Kind;
use weft::control::store::{Desired, Store};
use weft::model::{Macs, Origin};

use crate::rig::*;

const MAC: &str = "02:00:00:00:00:03";
const OTHER: &str = "02:00:00:00:00:04";

fn vnet(raw: &mut Raw, macs: &str) -> Value {
    let vnet = json!({
        "name": "Z", "vni": "0x5A0001", "prefixes": ["10.0.0.0/8"], "macs": macs,
    });
    raw.call("vnet.set", json!({ "vnet": vnet }))
}

fn mapped(address: &str, mac: Option<&str>) -> Value {
    let mut row = json!({"address": address, "host": "S"});
    if let Some(mac) = mac {
        row["mac"] = json!(mac);
    }
    json!({"vnet": "Z", "mappings": [row]})
}

fn refusal(reply: &Value) -> (String, String) {
    let error = &reply["error"];
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    (text(&error["data"]["field"]), text(&error["message"]))
}

#[test]
fn only_vnets_that_ask_for_them_have_any() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let (field, message) = refusal(&raw.call("mapping.set", mapped("10.0.0.3", Some(MAC))));
    assert_eq!(field, "mappings[0].mac");
    assert!(message.contains("has computed MACs"), "{message}");
    assert!(vnet(&mut raw, "given")["result"].is_object());
    raw.ok("mapping.set", mapped("10.0.0.3", Some(MAC)));
    for bad in [
        "01:00:5e:00:00:01",
        "00:00:00:00:00:00",
        "ff:ff:ff:ff:ff:ff",
    ] {
        let (field, message) = refusal(&raw.call("mapping.set", mapped("10.0.0.4", Some(bad))));
        assert_eq!(field, "mappings[0].mac");
        assert!(
            message.contains("not the address of one device"),
            "{message}"
        );
    }
    // And not back while some have one.
    let (field, message) = refusal(&vnet(&mut raw, "computed"));
    assert_eq!(field, "vnet.macs");
    assert!(message.contains("1 mappings of it have a MAC"), "{message}");
    raw.ok("mapping.set", mapped("10.0.0.3", None));
    assert!(vnet(&mut raw, "computed")["result"].is_object());
}

#[test]
fn the_mac_of_a_mapping_is_part_of_it() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    vnet(&mut raw, "given");
    for (mac, applied) in [
        (Some(MAC), 1),
        (Some(MAC), 0),
        (Some(OTHER), 1),
        (None, 1),
        (None, 0),
        (Some(MAC), 1),
    ] {
        let reply = raw.ok("mapping.set", mapped("10.0.0.3", mac));
        assert_eq!(reply["applied"], applied, "{mac:?}");
        let held = raw.ok("mapping.get", json!({"vnet": "Z", "address": "10.0.0.3"}));
        assert_eq!(
            held["object"].get("mac"),
            mac.map(|mac| json!(mac)).as_ref()
        );
    }
    raw.ok("mapping.set", mapped("10.0.9.0/24", Some(OTHER)));
    // A refused batch takes nothing of it along.
    let change = |method: &str, params: Value| json!({"method": method, "params": params});
    let batch = json!({"changes": [
        change("mapping.set", mapped("10.0.0.3", Some(OTHER))),
        change("mapping.set", json!({"vnet": "Z", "mappings": [{"address": "10.0.0.9", "host": "?"}]})),
    ]});
    assert!(raw.call("batch", batch)["error"].is_object());
    let held = raw.ok("mapping.get", json!({"vnet": "Z", "address": "10.0.0.3"}));
    assert_eq!(held["object"]["mac"], MAC);
    let told = rig.plant.0.lock().unwrap().calls.clone();
    let sets: Vec<_> = told.iter().filter(|call| call.starts_with("set")).collect();
    assert_eq!(
        sets,
        [
            "set 10.0.0.3/32 as 02:00:00:00:00:03",
            "set 10.0.0.3/32 as 02:00:00:00:00:04",
            "set 10.0.0.3/32",
            "set 10.0.0.3/32 as 02:00:00:00:00:03",
            "set 10.0.9.0/24 as 02:00:00:00:00:04",
        ]
    );
}

/// As the tests of the journal: a directory that goes.
struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn macs_outlive_the_process() {
    let name = format!("weft-control-macs-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    std::fs::create_dir_all(&directory.0).unwrap();
    let path = directory.0.join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    let rig = Rig::with(|_| {}, Store::new(settings()), Some(journal));
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let again = |macs| {
        // The journal itself is in use.
        let copy = directory.0.join("copy");
        std::fs::copy(&path, &copy).unwrap();
        let (_, recovered) = Journal::open(&copy).unwrap();
        let mut store = Store::new(settings());
        assert_eq!(recovered.replay(&mut store, 0), Vec::<String>::new());
        assert_eq!(store.vnet("Z").unwrap().macs, macs);
        let mut plant = TestPlant::default();
        store.push_all(&mut plant).unwrap();
        let mut told = plant.0.lock().unwrap().calls.clone();
        told.retain(|call| call.starts_with("set"));
        told.sort();
        told
    };
    vnet(&mut raw, "given");
    raw.ok("mapping.set", mapped("10.0.0.3", Some(MAC)));
    raw.ok("mapping.set", mapped("10.0.0.4", None));
    let kept = ["set 10.0.0.3/32 as 02:00:00:00:00:03", "set 10.0.0.4/32"];
    assert_eq!(again(Macs::Given), kept);
    // Both at once, which are two statements of one line.
    let computed = json!({"name": "Z", "vni": "0x5A0001", "prefixes": ["10.0.0.0/8"]});
    raw.ok(
        "batch",
        json!({"changes": [
            {"method": "mapping.set", "params": mapped("10.0.0.3", None)},
            {"method": "vnet.set", "params": {"vnet": computed}},
        ]}),
    );
    assert_eq!(
        again(Macs::Computed),
        ["set 10.0.0.3/32", "set 10.0.0.4/32"]
    );
}

#[test]
fn a_file_replaces_them() {
    let file = |macs: &str, mac: &str| {
        let text = FILE.replace("vni = 0x5A0001\n", &format!("vni = 0x5A0001\n{macs}\n"));
        let text = text.replace("host = \"S\"", &format!("host = \"S\"\n{mac}"));
        let parsed = Config::parse("macs", text.as_bytes());
        let (mut config, _) = parsed.unwrap_or_else(|e| panic!("{e}"));
        Desired::take(&mut config)
    };
    let (mut store, mut plant) = (Store::new(settings()), TestPlant::default());
    for (macs, mac, said) in [
        (
            "macs = \"given\"",
            "mac = \"02:00:00:00:00:03\"",
            " as 02:00:00:00:00:03",
        ),
        ("", "", ""),
        (
            "macs = \"given\"",
            "mac = \"02:00:00:00:00:04\"",
            " as 02:00:00:00:00:04",
        ),
        ("macs = \"given\"", "", ""),
    ] {
        let wanted = file(macs, mac);
        store.replace(&mut plant, Origin::File, &wanted, 0).unwrap();
        let set = plant.0.lock().unwrap().calls.clone();
        let last = set.iter().rfind(|call| call.starts_with("set")).cloned();
        assert_eq!(last, Some(format!("set 10.0.0.3/32{said}")));
    }
    assert_eq!(store.count(Kind::Mapping), 1);
}
