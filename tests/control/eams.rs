//! Explicit mappings of the relay.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft::control::proto::{Change, EamKey, EamRemove, EamRow, EamSet, ErrorCode, Kind};
use weft::control::store::Store;
use weft::model::{Eam, Origin};
use weft::wire::address::Prefix4;
use weft::wire::{Prefix6, Vaddr};

use crate::load::cpu;
use crate::relay::{eam, eams, file, relay, with_relay};
use crate::rig::*;

#[test]
fn explicit_mappings_need_a_relay_and_a_place() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    let one = json!({"eams": [eam("198.51.100.1", "2001:db8::1")]});
    raw.refused(ErrorCode::NotFound, "eam.set", one);
    with_relay(&mut raw);
    raw.refused(ErrorCode::InUse, "relay.remove", json!({}));
    for (row, field) in [
        (eam("198.51.100.3", "2001:db8::1"), "eams[1].ipv6"),
        (eam("198.51.100.0/24", "2001:db8::/124"), "eams[1].ipv6"),
        (eam("224.0.0.1", "2001:db8::9"), "eams[1].ipv4"),
        (eam("198.51.100.9", "fe80::9"), "eams[1].ipv6"),
    ] {
        let fine = eam("198.51.100.8", "2001:db8::8");
        let error = raw.refused(
            ErrorCode::InvalidParams,
            "eam.set",
            json!({"eams": [fine, row]}),
        );
        assert_eq!(error["data"]["field"], field, "{error}");
    }
    assert_eq!(raw.ok("status.get", json!({}))["objects"]["eam"], 2);
    // All or none, across kinds; and the table is as it was.
    let refused = json!({"changes": [
        {"method": "eam.set", "params": {"eams": [eam("198.51.100.1", "2001:db8::7")]}},
        {"method": "eam.remove", "params": {"eams": [{"ipv4": "198.51.100.2"}]}},
        {"method": "vnet.remove", "params": {"name": "Z", "revision": 9_007_199_254_740_992_u64}},
    ]});
    raw.refused(ErrorCode::InvalidParams, "batch", refused);
    let exchange =
        json!({"eams": [eam("198.51.100.1", "2001:db8::2"), eam("198.51.100.2", "2001:db8::1")]});
    assert_eq!(raw.ok("eam.set", exchange)["applied"], 2);
    let store = rig.end();
    assert_eq!(
        eams(&store),
        [
            "198.51.100.1/32 2001:db8::2/128",
            "198.51.100.2/32 2001:db8::1/128"
        ]
    );
}

#[test]
fn revisions_and_tombstones_hold_for_explicit_mappings() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    with_relay(&mut raw);
    let row = |ipv6: &str, revision: u64| json!({"eams": [{"ipv4": "198.51.100.1", "ipv6": ipv6, "revision": revision}]});
    assert_eq!(raw.ok("eam.set", row("2001:db8::a", 5))["applied"], 1);
    assert_eq!(raw.ok("eam.set", row("2001:db8::b", 4))["stale"], 1);
    assert_eq!(raw.ok("eam.set", row("2001:db8::a", 5))["unchanged"], 1);
    let gone = json!({"eams": [{"ipv4": "198.51.100.1", "revision": 6}]});
    assert_eq!(raw.ok("eam.remove", gone)["applied"], 1);
    assert_eq!(raw.ok("eam.set", row("2001:db8::a", 5))["stale"], 1);
    rig.advance(6);
    assert_eq!(raw.ok("eam.set", row("2001:db8::a", 5))["applied"], 1);
    let mut agent = rig.raw();
    agent.ok(
        "hello",
        json!({"version": 1, "access": "rw", "origin": "agent"}),
    );
    assert_eq!(agent.ok("eam.set", row("2001:db8::c", 1))["applied"], 1);
    let error = raw.refused(ErrorCode::Conflict, "eam.set", row("2001:db8::d", 9));
    assert_eq!(error["data"]["field"], "eams[0].ipv4");
    agent.ok("relay.set", json!({"relay": relay()}));
    let error = raw.refused(ErrorCode::Conflict, "relay.set", json!({"relay": relay()}));
    assert_eq!(
        error["message"],
        "the relay is held by origin agent; origin operator cannot change it"
    );
}

#[test]
fn a_sync_sweeps_explicit_mappings_of_its_own_origin() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    with_relay(&mut raw);
    let mut agent = rig.raw();
    agent.ok(
        "hello",
        json!({"version": 1, "access": "rw", "origin": "agent"}),
    );
    agent.ok(
        "eam.set",
        json!({"eams": [eam("198.51.100.7", "2001:db8::7")]}),
    );
    raw.ok("sync.begin", json!({"kinds": ["eam", "mapping"]}));
    raw.ok(
        "eam.set",
        json!({"eams": [eam("198.51.100.2", "2001:db8::2")]}),
    );
    raw.ok("sync.abort", json!({}));
    let before = rig.plant.0.lock().unwrap().topologies;
    raw.ok("sync.begin", json!({"kinds": ["eam", "mapping"]}));
    raw.ok(
        "eam.set",
        json!({"eams": [eam("198.51.100.2", "2001:db8::2"), eam("198.51.100.3", "2001:db8::3")]}),
    );
    assert_eq!(raw.ok("sync.commit", json!({}))["removed"], 1);
    assert_eq!(rig.plant.0.lock().unwrap().topologies, before + 2);
    // A relay that has mappings stays, whoever forgot it.
    raw.ok("sync.begin", json!({"kinds": ["relay"]}));
    let kept = raw.ok("sync.commit", json!({}));
    assert_eq!(kept["kept"], json!(["the relay has 3 explicit mappings"]));
    let store = rig.end();
    assert_eq!(
        eams(&store),
        [
            "198.51.100.2/32 2001:db8::2/128",
            "198.51.100.3/32 2001:db8::3/128",
            "198.51.100.7/32 2001:db8::7/128",
        ]
    );
}

#[test]
fn a_refused_snapshot_puts_explicit_mappings_back() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    with_relay(&mut raw);
    rig.plant.0.lock().unwrap().refuse_topology = true;
    raw.refused(
        ErrorCode::Refused,
        "eam.set",
        json!({"eams": [eam("198.51.100.1", "2001:db8::9"), eam("198.51.100.3", "2001:db8::1")]}),
    );
    raw.refused(
        ErrorCode::Refused,
        "eam.remove",
        json!({"eams": [{"ipv4": "198.51.100.2"}]}),
    );
    let store = rig.end();
    assert_eq!(
        eams(&store),
        [
            "198.51.100.1/32 2001:db8::1/128",
            "198.51.100.2/32 2001:db8::2/128"
        ]
    );
}

#[test]
fn addresses_are_translated_as_the_relay_would() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    raw.refused(
        ErrorCode::NotFound,
        "eam.get",
        json!({"address": "8.8.8.8"}),
    );
    let mut strict = relay();
    strict["deny4"] = json!(["9.9.9.0/24"]);
    raw.ok("relay.set", json!({"relay": strict}));
    raw.ok(
        "eam.set",
        json!({"eams": [eam("198.51.100.0/24", "2001:db8:5::/120"), eam("198.51.100.7", "2001:db8::7")]}),
    );
    let mut get = |address: &str| raw.ok("eam.get", json!({"address": address}));
    for (address, translated, prefix) in [
        ("198.51.100.7", "2001:db8::7", Some("198.51.100.7/32")),
        ("198.51.100.8", "2001:db8:5::8", Some("198.51.100.0/24")),
        ("2001:db8:5::8", "198.51.100.8", Some("198.51.100.0/24")),
        ("8.8.8.8", "64:ff9b::808:808", None),
        ("64:ff9b::808:808", "8.8.8.8", None),
    ] {
        let found = get(address);
        assert_eq!(found["translated"], translated, "{address}");
        let by = found["eam"]["object"]["ipv4"].as_str();
        assert_eq!(by, prefix, "{address}");
    }
    for (address, why) in [
        ("9.9.9.9", "deny list"),
        ("10.0.0.1", "no single host"),
        ("2001:db8:9::1", "no prefix and no explicit mapping"),
    ] {
        let found = get(address);
        assert!(found["why"].as_str().unwrap().contains(why), "{found}");
        assert!(found.get("translated").is_none());
    }
    let pages = |raw: &mut Raw| {
        let (mut all, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut params = json!({"limit": 1});
            if !cursor.is_null() {
                params["cursor"] = cursor;
            }
            let page = raw.ok("eam.list", params);
            all.extend(page["items"].as_array().unwrap().clone());
            match page.get("next") {
                None => return all,
                Some(next) => cursor = next.clone(),
            }
        }
    };
    assert_eq!(pages(&mut raw).len(), 2);
}

const MANY: u32 = if cfg!(debug_assertions) {
    20_000
} else {
    1_000_000
};

fn nth(n: u32) -> Eam {
    Eam {
        ipv4: Prefix4 {
            address: Vaddr(0x1400_0000 + n),
            len: 32,
        },
        ipv6: Prefix6::new(
            (0x2001_0db8_u128 << 96 | 5 << 64 | u128::from(n)).into(),
            128,
        )
        .unwrap(),
    }
}

/// A million are there, and a thousand more or less cost what a thousand cost.
#[test]
fn a_change_among_a_million_costs_only_itself() {
    let mut settings = settings();
    settings.limits.eams = MANY as usize + 1000;
    let mut store = Store::new(settings);
    let plant = &mut TestPlant::default();
    let mut desired = file();
    desired.eams = (0..MANY).map(nth).collect();
    let started = Instant::now();
    store.replace(plant, Origin::File, &desired, 0).unwrap();
    println!("{MANY} loaded in {:?}", started.elapsed());
    let started = Instant::now();
    let changes = store.replace(plant, Origin::File, &desired, 0).unwrap();
    println!("and again in {:?}", started.elapsed());
    assert_eq!((changes.applied, changes.unchanged), (0, MANY + 1));
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let rows = (MANY..MANY + 1000).map(|n| EamRow::of(nth(n), 0)).collect();
        let set = [Change::EamSet(EamSet { eams: rows })];
        // The workers still have the table before.
        let held = store.eams().clone();
        let started = cpu();
        store.apply(plant, Origin::Operator, &set, 0).unwrap();
        let seen = store.eams().clone();
        slowest = slowest.max(cpu() - started);
        assert_eq!(
            (held.len(), seen.len()),
            (MANY as usize, MANY as usize + 1000)
        );
        let eams = (MANY..MANY + 1000)
            .map(|n| EamKey {
                ipv4: nth(n).ipv4,
                revision: 0,
            })
            .collect();
        let remove = [Change::EamRemove(EamRemove { eams })];
        let started = cpu();
        store.apply(plant, Origin::Operator, &remove, 0).unwrap();
        slowest = slowest.max(cpu() - started);
        assert_eq!(store.count(Kind::Eam), MANY as usize, "round {round}");
    }
    println!("a thousand among them in {slowest:?} at most");
    assert!(
        cfg!(debug_assertions) || slowest < Duration::from_millis(50),
        "{slowest:?}"
    );
}
