//! Slots of bindings and mappings, in layout `slot`.

use serde_json::{Value, json};
use weft::config::Config;
use weft::control::journal::Journal;
use weft::control::proto::Kind;
use weft::control::store::{Desired, Settings, Store};
use weft::model::Origin;
use weft::wire::{Layout, Vni};

use crate::rig::*;

fn slotted() -> Store {
    Store::new(Settings {
        layout: Layout::Slot,
        locator: Some("2001:db8:0:a::/64".parse().unwrap()),
        ..settings()
    })
}

fn binding(n: u8, slot: Option<u8>) -> Value {
    let mut binding = json!({
        "name": format!("n{n}"), "vnet": "Z", "address": format!("10.0.0.{n}"),
        "port": "tap0", "vlan": u16::from(n) + 1,
    });
    if let Some(slot) = slot {
        binding["slot"] = json!(slot);
    }
    json!({ "binding": binding })
}

fn mapped(address: &str, slot: Option<u8>) -> Value {
    let mut row = json!({"address": address, "host": "S"});
    if let Some(slot) = slot {
        row["slot"] = json!(slot);
    }
    json!({"vnet": "Z", "mappings": [row]})
}

fn plan(raw: &mut Raw) {
    let vnet = json!({"name": "Z", "vni": "0x5a0001", "prefixes": ["10.0.0.0/8"]});
    raw.ok("vnet.set", json!({ "vnet": vnet }));
    let host = json!({"name": "S", "locator": "2001:db8:0:b::/64"});
    raw.ok("host.set", json!({ "host": host }));
}

#[test]
fn other_layouts_have_none() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let refused = |reply: Value| {
        let error = &reply["error"];
        assert!(
            error["message"].as_str().unwrap().contains("have no slot"),
            "{error}"
        );
        error["data"]["field"].clone()
    };
    let reply = raw.call("binding.set", binding(2, Some(3)));
    assert_eq!(refused(reply), "binding.slot");
    let reply = raw.call("mapping.set", mapped("10.0.0.3", Some(0)));
    assert_eq!(refused(reply), "mappings[0].slot");
}

#[test]
fn each_is_one_nodes() {
    let rig = Rig::with(|_| {}, slotted(), None);
    let mut raw = rig.raw_rw();
    plan(&mut raw);
    raw.ok("binding.set", binding(2, Some(3)));
    // Said again, and moved.
    raw.ok("binding.set", binding(2, Some(3)));
    raw.ok("binding.set", binding(2, Some(63)));
    let refusal = |reply: Value| {
        let error = reply["error"].clone();
        let field = error["data"]["field"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (
            field,
            error["message"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let (field, message) = refusal(raw.call("binding.set", binding(3, Some(63))));
    assert_eq!(field, "binding.slot");
    assert!(message.contains("that of binding n2"), "{message}");
    for (method, params, wanted) in [
        ("binding.set", binding(3, Some(64)), "binding.slot"),
        (
            "mapping.set",
            mapped("10.0.0.9", Some(64)),
            "mappings[0].slot",
        ),
    ] {
        let (field, message) = refusal(raw.call(method, params));
        assert_eq!(field, wanted);
        assert!(message.contains("0 to 63"), "{message}");
    }
    // And there are 64.
    for n in 3..66 {
        raw.ok("binding.set", binding(n, None));
    }
    let (field, message) = refusal(raw.call("binding.set", binding(66, None)));
    assert_eq!(field, "binding.slot");
    assert!(message.contains("all 64 slots"), "{message}");
    raw.ok("binding.remove", json!({"name": "n3"}));
    raw.ok("binding.set", binding(66, None));
}

#[test]
fn the_slot_of_a_mapping_is_part_of_it() {
    let rig = Rig::with(|_| {}, slotted(), None);
    let mut raw = rig.raw_rw();
    plan(&mut raw);
    for (slot, applied) in [
        (Some(63), 1),
        (Some(63), 0),
        (Some(0), 1),
        (None, 1),
        (None, 0),
    ] {
        let reply = raw.ok("mapping.set", mapped("10.0.9.0/28", slot));
        assert_eq!(reply["applied"], applied, "{slot:?}");
        let ask = json!({"vnet": "Z", "address": "10.0.9.0/28"});
        let held = raw.ok("mapping.get", ask);
        assert_eq!(
            held["object"].get("slot"),
            slot.map(|slot| json!(slot)).as_ref()
        );
    }
    let told = rig.plant.0.lock().unwrap().calls.clone();
    let sets: Vec<_> = told.iter().filter(|call| call.starts_with("set")).collect();
    assert_eq!(
        sets,
        [
            "set 10.0.9.0/28 in slot 63",
            "set 10.0.9.0/28 in slot 0",
            "set 10.0.9.0/28"
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
fn slots_outlive_the_process() {
    let name = format!("weft-control-slots-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    std::fs::create_dir_all(&directory.0).unwrap();
    let path = directory.0.join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    let rig = Rig::with(|_| {}, slotted(), Some(journal));
    let mut raw = rig.raw_rw();
    plan(&mut raw);
    raw.ok("binding.set", binding(2, Some(0)));
    raw.ok("mapping.set", mapped("10.0.0.9", Some(0)));
    raw.ok("mapping.set", mapped("10.0.9.0/28", Some(63)));
    drop(raw);
    drop(rig);
    let (_, recovered) = Journal::open(&path).unwrap();
    let mut store = slotted();
    assert!(recovered.replay(&mut store, 0).is_empty());
    assert_eq!(store.binding("n2").unwrap().slot, Some(0));
    let mut plant = TestPlant::default();
    store.push_all(&mut plant).unwrap();
    let mut told = plant.0.lock().unwrap().calls.clone();
    told.retain(|call| call.starts_with("set"));
    told.sort();
    assert_eq!(
        told,
        ["set 10.0.0.9/32 in slot 0", "set 10.0.9.0/28 in slot 63"]
    );
}

#[test]
fn a_file_replaces_slots() {
    let file = |slots: [&str; 2]| {
        let text = FILE
            .replace("2001:db8:0:a:100::/72", "2001:db8:0:a::/64")
            .replace("2001:db8:0:b:200::/72", "2001:db8:0:b::/64");
        let text = format!(
            "layout = \"slot\"\n{text}{}\n[[binding]]\nname = \"A\"\nvnet = \"Z\"\n\
             address = \"10.0.0.2\"\nport = \"tap0\"\n{}\n",
            slots[0], slots[1]
        );
        let parsed = Config::parse("slots", text.as_bytes());
        let (mut config, _) = parsed.unwrap_or_else(|e| panic!("{e}"));
        Desired::take(&mut config)
    };
    let (mut store, mut plant) = (slotted(), TestPlant::default());
    for slots in [
        ["slot = 9", "slot = 3"],
        ["slot = 9", ""],
        ["", "slot = 63"],
    ] {
        let wanted = file(slots);
        store.replace(&mut plant, Origin::File, &wanted, 0).unwrap();
        let slot = |text: &str| text.split("= ").nth(1).map(|n| n.parse::<u8>().unwrap());
        assert_eq!(store.binding("A").unwrap().slot, slot(slots[1]));
        let set = plant.0.lock().unwrap().calls.clone();
        let last = set.iter().rfind(|call| call.starts_with("set")).cloned();
        let said = match slot(slots[0]) {
            Some(slot) => format!("set 10.0.0.3/32 in slot {slot}"),
            None => "set 10.0.0.3/32".to_owned(),
        };
        assert_eq!(last, Some(said));
    }
    assert_eq!(store.count(Kind::Mapping), 1);
    assert!(store.vnet_of(Vni(0x5a_0001)).is_some());
}
