//! Subnets, virtual routers and their routes.

use serde_json::{Value, json};
use weft::config::Config;
use weft::control::journal::Journal;
use weft::control::proto::{Change, ErrorCode, Held, HostRemove, Kind, MemberList, MemberSet};
use weft::control::store::{Desired, Store};
use weft::model::{Member, Origin};

use crate::rig::*;

fn subnet(name: &str, prefix: &str, gateway: &str) -> Value {
    let mut subnet = json!({"name": name, "vnet": "Z", "prefix": prefix});
    if !gateway.is_empty() {
        subnet["gateway"] = json!(gateway);
    }
    json!({ "subnet": subnet })
}

fn router(name: &str, interfaces: &[(&str, &str)]) -> Value {
    let interface =
        |&(subnet, address): &(&str, &str)| json!({"subnet": subnet, "address": address});
    let interfaces: Vec<_> = interfaces.iter().map(interface).collect();
    json!({"router": {"name": name, "vnet": "Z", "interfaces": interfaces}})
}

fn via(router: &str, prefix: &str, via: &str) -> Value {
    json!({"vroute": {"router": router, "prefix": prefix, "via": via}})
}

fn binding(name: &str, address: &str) -> Value {
    json!({"binding": {"name": name, "vnet": "Z", "address": address, "port": "tap0", "vlan": 7}})
}

/// Z with `web` (gateway, r1), `link` (r1), `db` (the vnet's own router) and a
/// route of each router.
fn segmented(raw: &mut Raw) {
    let node = json!({"name": "A", "vnet": "Z", "address": "10.0.0.2", "port": "tap1"});
    raw.ok("binding.set", json!({"binding": node}));
    raw.ok(
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.3", "S", 0)]}),
    );
    raw.ok("subnet.set", subnet("web", "10.0.0.0/24", "10.0.0.1"));
    raw.ok("subnet.set", subnet("link", "10.0.255.0/30", ""));
    raw.ok("subnet.set", subnet("db", "10.0.2.0/24", "10.0.2.1"));
    raw.ok(
        "router.set",
        router("r1", &[("web", "10.0.0.1"), ("link", "10.0.255.1")]),
    );
    raw.ok("vroute.set", via("r1", "10.0.2.0/24", "10.0.255.2"));
    raw.ok("vroute.set", via("Z", "10.0.9.0/24", "10.0.2.9"));
}

#[test]
fn segments_are_judged_by_the_rules_of_the_file() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    segmented(&mut raw);
    for (method, params, field) in [
        (
            "subnet.set",
            subnet("x", "10.0.0.128/25", ""),
            "subnet.prefix",
        ),
        (
            "subnet.set",
            subnet("x", "11.0.0.0/24", ""),
            "subnet.prefix",
        ),
        (
            "subnet.set",
            subnet("x", "10.7.0.0/24", "10.8.0.1"),
            "subnet.gateway",
        ),
        // That of a binding, and of a mapping.
        (
            "subnet.set",
            subnet("web", "10.0.0.0/24", "10.0.0.2"),
            "subnet.gateway",
        ),
        (
            "subnet.set",
            subnet("web", "10.0.0.0/24", "10.0.0.3"),
            "subnet.gateway",
        ),
        (
            "router.set",
            router("r2", &[("web", "10.0.0.1")]),
            "router.interfaces[0].address",
        ),
        (
            "router.set",
            router("r2", &[("web", "10.0.0.2")]),
            "router.interfaces[0].address",
        ),
        (
            "router.set",
            router("r2", &[("wbe", "10.0.0.9")]),
            "router.interfaces[0].subnet",
        ),
        (
            "router.set",
            router("Z", &[("web", "10.0.0.9")]),
            "router.name",
        ),
        (
            "vroute.set",
            via("r2", "10.0.9.0/24", "10.0.255.2"),
            "vroute.router",
        ),
        (
            "vroute.set",
            via("r1", "10.0.9.0/24", "10.0.2.2"),
            "vroute.via",
        ),
        (
            "vroute.set",
            via("Z", "10.0.9.0/24", "10.0.0.2"),
            "vroute.via",
        ),
        (
            "vroute.set",
            via("r1", "10.0.0.0/24", "10.0.255.2"),
            "vroute.prefix",
        ),
        ("binding.set", binding("B", "10.0.3.4"), "binding.address"),
        ("binding.set", binding("B", "10.0.0.1"), "binding.address"),
        ("binding.set", binding("B", "10.0.2.1"), "binding.address"),
        ("binding.set", binding("B", "10.0.2.255"), "binding.address"),
        (
            "mapping.set",
            json!({"vnet": "Z", "mappings": [{"address": "10.0.2.1", "host": "S"}]}),
            "mappings[0].address",
        ),
    ] {
        let error = raw.refused(ErrorCode::InvalidParams, method, params);
        assert_eq!(error["data"]["field"], field, "{error}");
    }
    raw.ok("binding.set", binding("B", "10.0.2.4"));
}

#[test]
fn what_something_refers_to_stays() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    segmented(&mut raw);
    for (method, params) in [
        ("subnet.remove", json!({"name": "link"})),
        ("subnet.remove", json!({"name": "web"})),
        // The vnet's own router would lose its route's next hop.
        ("subnet.remove", json!({"name": "db"})),
        ("router.remove", json!({"name": "r1"})),
        ("vnet.remove", json!({"name": "Z"})),
        // The node at 10.0.0.2, the interface at 10.0.255.1, the next hop 10.0.2.9.
        ("subnet.set", subnet("web", "10.0.0.128/25", "")),
        ("subnet.set", subnet("link", "10.0.255.4/30", "")),
        ("subnet.set", subnet("db", "10.0.2.0/24", "")),
        ("router.set", router("r1", &[("web", "10.0.0.1")])),
        // A router that takes the gateway takes the vnet's own router away.
        ("router.set", router("r2", &[("db", "10.0.2.1")])),
    ] {
        raw.refused(ErrorCode::InUse, method, params.clone());
    }
    // In one request all of it can move.
    let change = |method: &str, params: Value| json!({"method": method, "params": params});
    raw.ok(
        "batch",
        json!({"changes": [
            change("subnet.set", subnet("link", "10.0.255.4/30", "")),
            change("router.set", router("r1", &[("web", "10.0.0.1"), ("link", "10.0.255.5")])),
            change("vroute.set", via("r1", "10.0.2.0/24", "10.0.255.6")),
        ]}),
    );
    for (method, params) in [
        (
            "vroute.remove",
            json!({"router": "r1", "prefix": "10.0.2.0/24"}),
        ),
        (
            "vroute.remove",
            json!({"router": "Z", "prefix": "10.0.9.0/24"}),
        ),
        ("router.remove", json!({"name": "r1"})),
        ("subnet.remove", json!({"name": "link"})),
        ("subnet.remove", json!({"name": "db"})),
        // The last one may go from under its nodes: the vnet is flat again.
        ("subnet.remove", json!({"name": "web"})),
    ] {
        raw.ok(method, params);
    }
    raw.ok("binding.set", binding("B", "10.0.77.4"));
    // And the first must hold them all.
    raw.refused(
        ErrorCode::InUse,
        "subnet.set",
        subnet("web", "10.0.0.0/24", ""),
    );
}

#[test]
fn routes_come_by_router_and_page() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    segmented(&mut raw);
    // A name that begins like another's.
    raw.ok("router.set", router("r10", &[("link", "10.0.255.2")]));
    raw.ok("vroute.set", via("r10", "10.0.9.0/24", "10.0.255.1"));
    for n in 0..5 {
        raw.ok(
            "vroute.set",
            via("r1", &format!("10.1.{n}.0/24"), "10.0.255.2"),
        );
    }
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = raw.ok(
            "vroute.list",
            json!({"router": "r1", "limit": 4, "cursor": cursor}),
        );
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item["object"]["router"], "r1");
            seen.push(item["object"]["prefix"].as_str().unwrap().to_owned());
        }
        cursor = page["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    seen.dedup();
    assert_eq!(seen.len(), 6);
    let all = raw.ok("vroute.list", json!({}));
    assert_eq!(all["items"].as_array().unwrap().len(), 8);
}

#[test]
fn a_sync_sweeps_from_the_routes_down() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    segmented(&mut raw);
    raw.ok(
        "sync.begin",
        json!({"kinds": ["subnet", "router", "vroute"]}),
    );
    raw.ok("subnet.set", subnet("web", "10.0.0.0/24", "10.0.0.1"));
    let swept = raw.ok("sync.commit", json!({}));
    assert_eq!(swept["removed"], 5, "{swept}");
    assert_eq!(swept["kept"], json!([]));
    drop(raw);
    let store = rig.end();
    let count = |kind| store.count(kind);
    assert_eq!(
        (
            count(Kind::Subnet),
            count(Kind::Router),
            count(Kind::Vroute)
        ),
        (1, 0, 0)
    );
}

/// Objects of the file `configs/subnets.toml`.
fn file(text: &str) -> Desired {
    let (mut config, _) =
        Config::parse("subnets", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let mut desired = Desired::take(&mut config);
    for binding in &mut desired.bindings {
        binding.port = "tap0".to_owned();
        binding.vlan = Some(if binding.name == "A" { 1 } else { 2 });
    }
    for route in &mut desired.routes {
        route.via[0].port = "up0".to_owned();
    }
    desired
}

const FILE: &str = include_str!("../../configs/subnets.toml");

#[test]
fn a_file_is_exchanged_as_a_whole() {
    let mut store = Store::new(settings());
    let plant = &mut TestPlant::default();
    store.replace(plant, Origin::File, &file(FILE), 0).unwrap();
    assert_eq!(
        store
            .subnet_at("Z", "10.0.2.5".parse().unwrap())
            .unwrap()
            .name,
        "db"
    );
    assert_eq!(store.subnet_at("Z", "10.0.4.5".parse().unwrap()), None);
    let prefixes = |router: &str| -> Vec<String> {
        store
            .vroutes_of(router)
            .map(|route| route.prefix.to_string())
            .collect()
    };
    assert_eq!(prefixes("r1"), ["0.0.0.0/0", "10.0.2.0/24"]);
    assert_eq!(prefixes("Z"), ["10.0.64.0/18"]);
    // Two subnets exchange their prefixes, with all that is in them.
    let turned = FILE
        .replace("10.0.1.", "10.0.77.")
        .replace("10.0.2.", "10.0.1.")
        .replace("10.0.77.", "10.0.2.");
    let changes = store
        .replace(plant, Origin::File, &file(&turned), 0)
        .unwrap();
    assert_eq!((changes.removed, changes.applied), (3, 9), "{changes:?}");
    assert_eq!(
        store
            .subnet_at("Z", "10.0.2.5".parse().unwrap())
            .unwrap()
            .name,
        "web"
    );
    // What is wrong leaves everything as it was.
    let mut wrong = file(&turned);
    wrong.subnets.retain(|subnet| subnet.name != "link");
    let error = store.replace(plant, Origin::File, &wrong, 0).unwrap_err();
    assert!(error.message.contains("router r1"), "{error}");
    assert_eq!(
        store
            .subnet_at("Z", "10.0.255.1".parse().unwrap())
            .unwrap()
            .name,
        "link"
    );
}

#[test]
fn changes_of_routes_are_told_one_by_one() {
    let mut store = Store::new(settings());
    let plant = &mut TestPlant::default();
    store.replace(plant, Origin::File, &file(FILE), 0).unwrap();
    let (segments, routes) = (store.segment_changes(), store.vroute_changes());
    assert_eq!(store.vroutes_since(routes).unwrap().count(), 0);
    let mut desired = file(FILE);
    desired.vroutes[0].via = Some("10.0.1.9".parse().unwrap());
    let gone = desired.vroutes.pop().unwrap();
    store.replace(plant, Origin::File, &desired, 0).unwrap();
    let mut told: Vec<_> = store
        .vroutes_since(routes)
        .unwrap()
        .map(|(router, prefix)| (router.to_owned(), prefix.to_string()))
        .collect();
    told.sort();
    told.dedup();
    assert_eq!(
        told,
        [
            (gone.router.clone(), gone.prefix.to_string()),
            ("r1".to_owned(), "10.0.2.0/24".to_owned()),
        ]
    );
    assert_eq!(store.vroute(&gone.router, gone.prefix), None);
    assert!(store.vroutes_since(routes + 1_000_000).is_none());
    assert!(store.segment_changes() >= segments);
    // Too many to tell.
    let before = store.vroute_changes();
    for n in 0..5000 {
        desired.vroutes[0].via = Some(format!("10.0.1.{}", 9 + n % 2).parse().unwrap());
        store.replace(plant, Origin::File, &desired, 0).unwrap();
    }
    assert!(store.vroutes_since(before).is_none());
}

#[test]
fn what_the_operator_made_survives_and_is_dumped() {
    let directory = std::env::temp_dir().join(format!("weft-segments-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    let rig = Rig::with(|_| {}, new_store(), Some(journal));
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    segmented(&mut raw);
    raw.ok("binding.set", binding("B", "10.0.2.4"));
    raw.ok(
        "vroute.remove",
        json!({"router": "Z", "prefix": "10.0.9.0/24"}),
    );
    drop(raw);
    let lived = rig.end();
    let state = |store: &Store| {
        let routes: Vec<_> = store.vroutes().cloned().collect();
        (store.to_toml().unwrap(), routes)
    };
    let (mut journal, recovered) = Journal::open(&path).unwrap();
    let mut again = new_store();
    assert_eq!(recovered.replay(&mut again, 1000), Vec::<String>::new());
    assert_eq!(state(&again), state(&lived));
    // As a snapshot it is the same.
    journal.compact(&again, 1000).unwrap();
    drop(journal);
    let (_, recovered) = Journal::open(&path).unwrap();
    let mut third = new_store();
    assert_eq!(recovered.replay(&mut third, 1000), Vec::<String>::new());
    assert_eq!(state(&third), state(&lived));
    assert_eq!(third.vroutes().count(), 1);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// A member of a group, as a change.
fn hears(group: &str, host: &str, expires: Option<u32>) -> Change<'static> {
    let (vnet, group, host) = ("Z".to_owned(), group.parse().unwrap(), host.to_owned());
    Change::MemberSet(MemberSet {
        member: Member {
            vnet,
            group,
            host,
            expires,
        },
        revision: 0,
    })
}

/// Groups, hosts and seconds left.
fn heard(store: &Store, now: u32) -> Vec<String> {
    let page = store.list_members(&MemberList::default(), 100, now);
    let line = |held: Held<Member>| {
        let Member {
            group,
            host,
            expires,
            ..
        } = held.object;
        format!("{group} {host} {expires:?}")
    };
    page.items.into_iter().map(line).collect()
}

#[test]
fn members_of_groups_end_by_themselves() {
    let mut store = Store::new(settings());
    let plant = &mut TestPlant::default();
    store.replace(plant, Origin::File, &file(FILE), 0).unwrap();
    let operator = Origin::Operator;
    let changes = [
        hears("239.1.2.3", "S", Some(20)),
        hears("239.1.2.4", "S", None),
        hears("239.1.2.5", "S", Some(40)),
    ];
    store.apply(plant, operator, &changes, 100).unwrap();
    assert_eq!(store.expire(plant, 119), 0);
    // Said again it lasts longer.
    let again = [hears("239.1.2.3", "S", Some(20))];
    let tx = store.apply(plant, operator, &again, 110).unwrap();
    assert_eq!(tx.applied.applied, 1);
    assert_eq!(store.expire(plant, 120), 0);
    assert_eq!(
        heard(&store, 120),
        [
            "239.1.2.3 S Some(10)",
            "239.1.2.4 S None",
            "239.1.2.5 S Some(20)"
        ]
    );
    // The list does not wait for the sweep; the sweep tells the plant.
    assert_eq!(heard(&store, 130).len(), 2);
    assert_eq!(store.expire(plant, 130), 1);
    assert_eq!(store.expire(plant, 139), 0);
    assert_eq!(store.expire(plant, 140), 1);
    assert_eq!(store.count(Kind::Member), 1);
    assert_eq!(store.expire(plant, 100_000), 0);
}

#[test]
fn members_of_groups_hold_what_they_name() {
    let mut store = Store::new(settings());
    let plant = &mut TestPlant::default();
    let mut desired = file(FILE);
    desired.mappings.clear();
    store.replace(plant, Origin::File, &desired, 0).unwrap();
    for (group, host) in [
        ("10.0.1.2", "S"),
        ("239.1.2.3", "T"),
        // Withheld.
        ("224.0.0.9", "S"),
    ] {
        let change = [hears(group, host, None)];
        let refused = store.apply(plant, Origin::Operator, &change, 0);
        assert_eq!(
            refused.unwrap_err().code,
            ErrorCode::InvalidParams,
            "{group}"
        );
    }
    let change = [hears("239.1.2.3", "S", None)];
    store.apply(plant, Origin::Operator, &change, 0).unwrap();
    let mut without = desired.clone();
    without.hosts.clear();
    assert!(store.replace(plant, Origin::File, &without, 0).is_err());
    desired.vnets[0].withheld = vec!["239.0.0.0/8".parse().unwrap()];
    assert!(store.replace(plant, Origin::File, &desired, 0).is_err());
    let (name, revision) = ("S".to_owned(), 0);
    let remove = [Change::HostRemove(HostRemove { name, revision })];
    let refused = store.apply(plant, Origin::Agent, &remove, 0).unwrap_err();
    assert_eq!(refused.code, ErrorCode::InUse);
    assert_eq!(heard(&store, 0), ["239.1.2.3 S None"]);
}

#[test]
fn members_of_groups_are_put_back_with_the_time_that_is_left() {
    let mut store = new_store();
    let plant = &mut TestPlant::default();
    store.replace(plant, Origin::File, &file(FILE), 0).unwrap();
    let changes = [
        hears("239.1.2.3", "S", Some(20)),
        hears("239.1.2.4", "S", Some(90)),
    ];
    let tx = store.apply(plant, Origin::Operator, &changes, 100).unwrap();
    let line = serde_json::to_value(store.changes_of(&tx, 105)).unwrap();
    assert_eq!(line[0]["params"]["member"]["expires"], 15, "{line}");
    let snapshot = store.operator_snapshot(119);
    let left: Vec<_> = snapshot
        .iter()
        .flatten()
        .map(|change| serde_json::to_value(change).unwrap()["params"]["member"]["expires"].clone())
        .collect();
    assert_eq!(left, [json!(1), json!(71)]);
}

/// Who may ask a vnet's own router is nothing to say where there is none.
#[test]
fn a_vnet_that_is_asked_keeps_its_own_router() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    let vnet = |snmp: bool| {
        let mut vnet = json!({"name": "Z", "vni": "0x5A0001"});
        if snmp {
            vnet["snmp"] = json!({"communities": ["public"]});
        }
        json!({ "vnet": vnet })
    };
    let subnet = json!({"subnet": {
        "name": "web", "vnet": "Z", "prefix": "10.0.1.0/24", "gateway": "10.0.1.1",
    }});
    let router = json!({"router": {
        "name": "r1", "vnet": "Z", "interfaces": [{"subnet": "web", "address": "10.0.1.1"}],
    }});
    let refused = |reply: Value| {
        let message = reply["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(message.contains("has no router of its own"), "{reply}");
    };
    raw.ok("vnet.set", vnet(false));
    refused(raw.call("vnet.set", vnet(true)));
    raw.ok("subnet.set", subnet);
    raw.ok("vnet.set", vnet(true));
    // Another router takes its gateway, or the subnet goes.
    refused(raw.call("router.set", router.clone()));
    refused(raw.call("subnet.remove", json!({"name": "web"})));
    raw.ok("vnet.set", vnet(false));
    raw.ok("router.set", router);
    refused(raw.call("vnet.set", vnet(true)));
}
