//! What clients are told: events, for which they ask, and what was found out
//! beside what was said.

use crate::rig::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use weft::control::proto::{
    ErrorCode, Event, Learned, LearnedAddress, NeighborReport, NeighborState, SeenBy, Subscribe,
    Topic,
};
use weft::model::Origin;

#[test]
fn events_reach_who_asked() {
    let rig = Rig::new();
    let mut listener = rig.client();
    listener
        .call(&Subscribe {
            topics: vec![Topic::Config, Topic::Port],
            answers: false,
        })
        .unwrap();
    let mut raw = rig.raw_rw();
    raw.ok("vnet.set", json!({"vnet": {"name": "Z", "vni": 1}}));
    let wait = Some(Duration::from_secs(10));
    let event = listener.next_event(wait).unwrap().unwrap();
    assert_eq!(
        event,
        Event::Config {
            origin: Origin::Operator,
            method: "vnet.set".into(),
            applied: 1
        }
    );
    let port = |up| Event::Port {
        port: "up0".into(),
        up,
    };
    let miss = Event::Limit {
        limit: "x".into(),
        detail: "not subscribed to".into(),
    };
    rig.publish.lock().unwrap().extend([miss, port(false)]);
    assert_eq!(listener.next_event(wait).unwrap().unwrap(), port(false));
}

/// Packets wait only for a client that has said to answer: one that looks on
/// changes nothing.
#[test]
fn only_who_says_so_answers_misses() {
    let rig = Rig::new();
    let settled = |wanted: bool| {
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while rig.answered.load(Ordering::Relaxed) != wanted {
            assert!(
                std::time::Instant::now() < until,
                "answered is not {wanted}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let mut looker = rig.raw_rw();
    let all: Vec<_> = Topic::ALL.to_vec();
    let reply = looker.ok("subscribe", json!({"topics": all}));
    assert_eq!(reply, json!({"topics": all}));
    std::thread::sleep(Duration::from_millis(20));
    assert!(!rig.answered.load(Ordering::Relaxed));

    let wanted = json!({"topics": ["miss"], "answers": true});
    let mut reader = rig.raw();
    reader.ok("hello", json!({"version": 1}));
    let error = reader.refused(ErrorCode::Denied, "subscribe", wanted.clone());
    assert_eq!(error["data"]["field"], "answers");
    let mut client = rig.raw_rw();
    let deaf = json!({"topics": ["port"], "answers": true});
    let error = client.refused(ErrorCode::InvalidParams, "subscribe", deaf);
    assert_eq!(error["data"]["field"], "answers");
    assert_eq!(
        client.ok("subscribe", json!({"topics": []})),
        json!({"topics": []})
    );
    settled(false);

    assert_eq!(client.ok("subscribe", wanted.clone()), wanted);
    settled(true);
    // A further subscription takes nothing back; losing the topic does.
    let reply = client.ok("subscribe", json!({"topics": ["port"]}));
    assert_eq!(reply, json!({"topics": ["miss", "port"], "answers": true}));
    let reply = client.ok("unsubscribe", json!({"topics": ["miss"]}));
    assert_eq!(reply, json!({"topics": ["port"]}));
    settled(false);

    client.ok("subscribe", wanted);
    settled(true);
    drop(client);
    settled(false);
}

#[test]
fn what_was_found_out_stands_beside_what_was_said() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let (given, seen) = ("02:00:00:00:00:01", "02:00:00:00:00:05");
    raw.ok("batch", json!({"changes": [
        {"method": "binding.set", "params": {"binding": {"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "tap0", "mac": given}}},
        {"method": "binding.set", "params": {"binding": {"name": "C", "vnet": "Z", "address": "10.0.0.5", "port": "tap1"}}},
        {"method": "neighbor.set", "params": {"neighbor": {"port": "up0", "address": "fe80::1", "mac": given}}},
    ]}));
    {
        let mut told = rig.plant.0.lock().unwrap();
        let address = |address: &str, instead| LearnedAddress {
            address: address.parse().unwrap(),
            mac: seen.parse().unwrap(),
            by: SeenBy::Announce,
            instead,
            watched: !instead,
        };
        let learned = Learned {
            slot: None,
            mac: Some(seen.parse().unwrap()),
            addresses: vec![address("10.0.0.9", true), address("10.0.0.10", false)],
        };
        told.learned.insert("C".into(), learned);
        let live = |address: &str, state, confirmed_ms| NeighborReport {
            port: "up0".into(),
            address: address.parse().unwrap(),
            mac: Some(given.parse().unwrap()),
            state,
            origin: None,
            confirmed_ms,
        };
        told.neighbors = vec![
            live("fe80::1", NeighborState::Permanent, None),
            live("fe80::2", NeighborState::Reachable, Some(30)),
        ];
    }
    let list = raw.ok("binding.list", json!({}));
    let (a, c) = (&list["items"][0], &list["items"][1]);
    assert_eq!(
        (&a["object"]["mac"], &a["learned"]),
        (&json!(given), &Value::Null)
    );
    assert_eq!(
        c["object"].get("mac"),
        None,
        "what was said stays what was said"
    );
    assert_eq!(
        c["learned"],
        json!({"mac": seen, "addresses": [
            {"address": "10.0.0.9", "mac": seen, "by": "announce", "instead": true},
            {"address": "10.0.0.10", "mac": seen, "by": "announce", "watched": true},
        ]})
    );
    let list = raw.ok("neighbor.list", json!({}));
    assert_eq!(list["neighbors"][0]["origin"], "operator");
    assert_eq!(list["neighbors"][1].get("origin"), None);
    assert_eq!(list["neighbors"][1]["confirmed_ms"], 30);
}
