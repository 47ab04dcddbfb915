//! What changes do: atomicity, origins, revisions, tombstones, sync.

use crate::rig::*;
use serde_json::{Value, json};
use std::time::Duration;
use weft::control::proto::ErrorCode;

pub(crate) fn set(raw: &mut Raw, rows: &[Value]) -> Value {
    raw.ok("mapping.set", json!({"vnet": "Z", "mappings": rows}))
}

pub(crate) fn agent(rig: &Rig) -> Raw {
    let mut raw = rig.raw();
    raw.ok(
        "hello",
        json!({"version": 1, "access": "rw", "origin": "agent"}),
    );
    raw
}

fn counts(applied: u32, unchanged: u32, stale: u32) -> Value {
    json!({"applied": applied, "unchanged": unchanged, "stale": stale})
}

#[test]
fn one_bad_element_changes_nothing() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let before = rig.plant.0.lock().unwrap().topologies;
    let error = raw.refused(ErrorCode::NotFound, "batch", json!({"changes": [
        {"method": "host.set", "params": {"host": {"name": "U", "locator": "2001:db8:0:d:600::/72"}}},
        {"method": "mapping.set", "params": {"vnet": "Z", "mappings": [mapping("10.0.0.3", "U", 1)]}},
        {"method": "host.set", "params": {"host": {"name": "S", "locator": "2001:db8:0:e:700::/72"}}},
        {"method": "mapping.set", "params": {"vnet": "Z", "mappings": [mapping("10.0.0.4", "S", 1), mapping("10.0.0.5", "V", 1)]}},
    ]}));
    assert_eq!(error["data"]["field"], "changes[3].params.mappings[1].host");
    let hosts = raw.ok("host.list", json!({}));
    let names: Vec<_> = hosts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h["object"]["name"].clone())
        .collect();
    assert_eq!(names, ["S", "T"]);
    assert_eq!(
        hosts["items"][0]["object"]["locator"],
        "2001:db8:0:b:200::/72"
    );
    assert_eq!(raw.ok("mapping.list", json!({}))["items"], json!([]));
    let told = rig.plant.0.lock().unwrap();
    assert_eq!(
        (told.topologies, told.sets),
        (before, 0),
        "the plant saw nothing of it"
    );
}

#[test]
fn a_plant_that_refuses_leaves_the_old_state() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    rig.plant.0.lock().unwrap().room = Some(2);
    set(&mut raw, &[mapping("10.0.0.3", "S", 1)]);
    let error = raw.refused(
        ErrorCode::Limit,
        "mapping.set",
        json!({"vnet": "Z", "mappings":
        [mapping("10.0.0.3", "T", 2), mapping("10.0.0.4", "S", 1), mapping("10.0.0.5", "S", 1)]}),
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("mapping table is full"),
        "{error}"
    );
    let items = raw.ok("mapping.list", json!({}))["items"].take();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(items[0]["object"], mapping_object("10.0.0.3/32", "S", 1));
    assert_eq!(rig.plant.0.lock().unwrap().mappings.len(), 1);
    rig.plant.0.lock().unwrap().refuse_topology = true;
    raw.refused(ErrorCode::Refused, "vnet.remove", json!({"name": "Y"}));
    assert_eq!(
        raw.ok("vnet.list", json!({}))["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

fn mapping_object(address: &str, host: &str, revision: u64) -> Value {
    json!({"vnet": "Z", "address": address, "host": host, "revision": revision})
}

#[test]
fn an_older_revision_never_replaces_a_newer_one() {
    let rig = Rig::new();
    let mut raw = agent(&rig);
    test_plan(&mut raw);
    assert_eq!(
        set(&mut raw, &[mapping("10.0.0.3", "S", 5)]),
        counts(1, 0, 0)
    );
    assert_eq!(
        set(&mut raw, &[mapping("10.0.0.3", "S", 5)]),
        counts(0, 1, 0)
    );
    assert_eq!(
        set(&mut raw, &[mapping("10.0.0.3", "T", 4)]),
        counts(0, 0, 1)
    );
    assert_eq!(
        set(&mut raw, &[mapping("10.0.0.3", "T", 6)]),
        counts(1, 0, 0)
    );
    let remove = |revision| json!({"vnet": "Z", "mappings": [{"address": "10.0.0.3", "revision": revision}]});
    assert_eq!(raw.ok("mapping.remove", remove(5)), counts(0, 0, 1));
    assert_eq!(raw.ok("mapping.remove", remove(7)), counts(1, 0, 0));
    assert_eq!(
        set(&mut raw, &[mapping("10.0.0.3", "S", 6)]),
        counts(0, 0, 1),
        "the tombstone remembers"
    );
    // After its time the tombstone is forgotten.
    rig.advance(6);
    assert_eq!(
        set(&mut raw, &[mapping("10.0.0.3", "S", 6)]),
        counts(1, 0, 0)
    );
    // A removal that overtakes its set.
    let early = json!({"vnet": "Z", "mappings": [{"address": "10.9.9.9", "revision": 3}]});
    assert_eq!(raw.ok("mapping.remove", early), counts(0, 1, 0));
    assert_eq!(
        set(&mut raw, &[mapping("10.9.9.9", "S", 2)]),
        counts(0, 0, 1)
    );
    let error = raw.refused(
        ErrorCode::InvalidParams,
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.9", "S", 1 << 53)]}),
    );
    assert_eq!(error["data"]["field"], "mappings[0].revision");
}

#[test]
fn a_weaker_origin_cannot_change_what_a_stronger_holds() {
    let rig = Rig::new();
    let (mut operator, mut agent) = (rig.raw_rw(), agent(&rig));
    test_plan(&mut operator);
    set(&mut operator, &[mapping("10.0.0.3", "S", 50)]);
    assert_eq!(
        set(&mut agent, &[mapping("10.0.0.3", "T", 1)]),
        counts(1, 0, 0),
        "agent beats operator"
    );
    let error = operator.refused(
        ErrorCode::Conflict,
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.3", "S", 99)]}),
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("held by origin agent"),
        "{error}"
    );
    operator.refused(
        ErrorCode::Conflict,
        "mapping.remove",
        json!({"vnet": "Z", "mappings": [{"address": "10.0.0.3"}]}),
    );
    agent.ok(
        "vnet.set",
        json!({"vnet": {"name": "Y", "vni": 0x590001, "mode": "transparent"}}),
    );
    operator.refused(ErrorCode::Conflict, "vnet.remove", json!({"name": "Y"}));
}

#[test]
fn what_is_referred_to_stays() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    set(&mut raw, &[mapping("10.0.0.3", "S", 0)]);
    raw.ok(
        "binding.set",
        json!({"binding": {"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "tap0"}}),
    );
    let message = |error: Value| error["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message(raw.refused(ErrorCode::InUse, "host.remove", json!({"name": "S"}))),
        "host S is used by 1 mappings"
    );
    assert!(
        message(raw.refused(ErrorCode::InUse, "vnet.remove", json!({"name": "Z"})))
            .contains("bindings A")
    );
    raw.refused(
        ErrorCode::InUse,
        "vnet.set",
        json!({"vnet": {"name": "Z", "vni": 77}}),
    );
    let error = raw.refused(
        ErrorCode::InUse,
        "vnet.set",
        json!({"vnet": {"name": "Z", "vni": 0x5A0001, "prefixes": ["10.1.0.0/16"]}}),
    );
    assert_eq!(error["data"]["field"], "vnet.prefixes");
    // All of it in one batch, what refers first.
    raw.ok("batch", json!({"changes": [
        {"method": "mapping.remove", "params": {"vnet": "Z", "mappings": [{"address": "10.0.0.3"}]}},
        {"method": "binding.remove", "params": {"name": "A"}},
        {"method": "host.remove", "params": {"name": "S"}},
        {"method": "vnet.remove", "params": {"name": "Z"}},
    ]}));
    assert!(rig.plant.0.lock().unwrap().mappings.is_empty());
}

#[test]
fn objects_are_checked_and_the_field_is_named() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let binding = |change: Value| {
        let mut b = json!({"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "tap0"});
        b.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        json!({"binding": b})
    };
    raw.ok("binding.set", binding(json!({"mac": "02:00:00:00:00:01"})));
    for (method, params, field) in [
        (
            "vnet.set",
            json!({"vnet": {"name": "X", "vni": 0x1000000}}),
            "vnet.vni",
        ),
        (
            "vnet.set",
            json!({"vnet": {"name": "X", "vni": 0x5A0001}}),
            "vnet.vni",
        ),
        (
            "vnet.set",
            json!({"vnet": {"name": "a b", "vni": 9}}),
            "vnet.name",
        ),
        (
            "vnet.set",
            json!({"vnet": {"name": "X", "vni": 9, "prefixes": ["10.0.0.0/8", "10.1.0.0/16"]}}),
            "vnet.prefixes[1]",
        ),
        (
            "host.set",
            json!({"host": {"name": "U", "locator": "2001:db8:0:a::/64"}}),
            "host.locator",
        ),
        (
            "host.set",
            json!({"host": {"name": "U", "locator": "2001:db8:0:a:100::/72"}}),
            "host.locator",
        ),
        (
            "host.set",
            json!({"host": {"name": "U", "locator": "2001:db8:0:b:200::/72"}}),
            "host.locator",
        ),
        (
            "binding.set",
            binding(json!({"name": "B"})),
            "binding.address",
        ),
        (
            "binding.set",
            binding(json!({"name": "B", "address": "10.0.0.9"})),
            "binding.mac",
        ),
        (
            "binding.set",
            binding(json!({"name": "B", "address": "10.0.0.9", "mac": "02:00:00:00:00:01"})),
            "binding.mac",
        ),
        (
            "binding.set",
            binding(json!({"address": "11.0.0.2"})),
            "binding.address",
        ),
        (
            "binding.set",
            binding(json!({"vlan": 4095})),
            "binding.vlan",
        ),
        (
            "binding.set",
            binding(json!({"port": "up0"})),
            "binding.port",
        ),
        (
            "binding.set",
            binding(json!({"mac": "01:00:00:00:00:01"})),
            "binding.mac",
        ),
        (
            "route.set",
            json!({"route": {"prefix": "::/0", "via": []}}),
            "route.via",
        ),
        (
            "route.set",
            json!({"route": {"prefix": "::/0", "via": [{"address": "ff02::1", "port": "up0"}]}}),
            "route.via[0].address",
        ),
        (
            "route.set",
            json!({"route": {"prefix": "::/0", "via": [{"address": "fe80::1", "port": "tap0"}]}}),
            "route.via[0].port",
        ),
        (
            "neighbor.set",
            json!({"neighbor": {"port": "up0", "address": "fe80::1", "mac": "00:00:00:00:00:00"}}),
            "neighbor.mac",
        ),
        (
            "mapping.set",
            json!({"vnet": "Z", "mappings": [mapping("11.0.0.1", "S", 0)]}),
            "mappings[0].address",
        ),
        (
            "mapping.set",
            json!({"vnet": "Y", "mappings": [mapping("224.0.0.1", "S", 0)]}),
            "mappings[0].address",
        ),
        (
            "mapping.set",
            json!({"vnet": "Z", "mappings": [mapping("10.0.0.0/7", "S", 0)]}),
            "mappings[0].address",
        ),
    ] {
        let error = raw.refused(ErrorCode::InvalidParams, method, params);
        assert_eq!(error["data"]["field"], field, "{error}");
    }
}

#[test]
fn mappings_expire_and_are_renewed() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let row = json!({"address": "10.0.0.3", "host": "S", "revision": 5, "expires": 300});
    assert_eq!(set(&mut raw, std::slice::from_ref(&row)), counts(1, 0, 0));
    rig.advance(299);
    let get = json!({"vnet": "Z", "address": "10.0.0.3"});
    assert_eq!(raw.ok("mapping.get", get.clone())["object"]["expires"], 1);
    assert_eq!(
        set(&mut raw, &[row]),
        counts(1, 0, 0),
        "the same revision renews"
    );
    assert_eq!(raw.ok("mapping.get", get.clone())["object"]["expires"], 300);
    rig.advance(300);
    raw.refused(ErrorCode::NotFound, "mapping.get", get);
    for _ in 0..200 {
        if rig.plant.0.lock().unwrap().mappings.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the plant still has it");
}

#[test]
fn prefixes_are_found_by_longest_match_and_lists_come_in_pages() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let rows: Vec<_> = (0..2500u32)
        .map(|n| mapping(&format!("10.2.{}.{}", n >> 8, n & 255), "S", 0))
        .collect();
    set(&mut raw, &rows);
    set(&mut raw, &[mapping("10.0.0.0/24", "T", 0)]);
    let found = raw.ok(
        "mapping.get",
        json!({"vnet": "Z", "address": "10.0.0.77", "match": true}),
    );
    assert_eq!(
        found["object"],
        json!({"vnet": "Z", "address": "10.0.0.0/24", "host": "T"})
    );
    let mut seen = std::collections::BTreeSet::new();
    let mut params = json!({"vnet": "Z", "limit": 300});
    loop {
        let page = raw.ok("mapping.list", params.clone());
        for item in page["items"].as_array().unwrap() {
            assert!(seen.insert(item["object"]["address"].as_str().unwrap().to_owned()));
        }
        match page.get("next") {
            Some(next) => params["cursor"] = next.clone(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 2501);
    let first = raw.ok("vnet.list", json!({"limit": 1}));
    assert_eq!(
        (
            first["items"][0]["object"]["name"].as_str(),
            first["next"].as_str()
        ),
        (Some("Y"), Some("Y"))
    );
    let second = raw.ok("vnet.list", json!({"limit": 1, "cursor": "Y"}));
    assert_eq!(
        (
            second["items"][0]["object"]["name"].as_str(),
            second.get("next")
        ),
        (Some("Z"), None)
    );
}
