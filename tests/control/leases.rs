//! Addresses that nodes have by DHCP, as the socket shows them.

use serde_json::{Value, json};
use weft::control::proto::{ErrorCode, Lease};

use crate::rig::*;

fn lease(node: &str, vnet: &str, expires: Option<u64>) -> Lease {
    Lease {
        node: node.into(),
        vnet: vnet.into(),
        address: "10.0.0.2".parse().unwrap(),
        mac: "02:00:00:00:00:0a".parse().unwrap(),
        host_name: String::new(),
        expires,
    }
}

fn nodes(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|lease| lease["node"].as_str().unwrap())
        .collect()
}

#[test]
fn leases_come_by_page_and_vnet() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    assert_eq!(raw.ok("lease.list", json!({})), json!({"items": []}));
    let error = raw.refused(ErrorCode::NotFound, "lease.list", json!({"vnet": "W"}));
    assert_eq!(error["data"]["field"], "vnet", "{error}");
    rig.plant.0.lock().unwrap().leases = vec![
        lease("C", "Z", None),
        lease("A", "Z", Some(600)),
        lease("B", "Y", Some(1)),
    ];
    let all = raw.ok("lease.list", json!({}));
    assert_eq!(nodes(&all), ["A", "B", "C"]);
    assert_eq!(
        all["items"][0],
        json!({"node": "A", "vnet": "Z", "address": "10.0.0.2", "mac": "02:00:00:00:00:0a", "expires": 600})
    );
    assert_eq!(all["items"][2].get("expires"), None);
    assert_eq!(all.get("next"), None);
    let of_z = raw.ok("lease.list", json!({"vnet": "Z", "limit": 1}));
    assert_eq!((nodes(&of_z), &of_z["next"]), (vec!["A"], &json!("A")));
    let rest = raw.ok(
        "lease.list",
        json!({"vnet": "Z", "limit": 1, "cursor": "A"}),
    );
    assert_eq!((nodes(&rest), rest.get("next")), (vec!["C"], None));
    assert_eq!(
        nodes(&raw.ok("lease.list", json!({"cursor": "Z"}))),
        [""; 0]
    );
}

fn vnet(name: &str, dhcp: &str) -> Value {
    let (vni, prefixes) = match name {
        "Z" => (0x5a_0001, json!(["10.0.0.0/8"])),
        _ => (0x59_0001, json!([])),
    };
    json!({"vnet": {"name": name, "vni": vni, "prefixes": prefixes, "dhcp": dhcp}})
}

fn subnet(name: &str, vnet: &str, dhcp: Value) -> Value {
    let mut subnet =
        json!({"name": name, "vnet": vnet, "prefix": "10.0.1.0/24", "gateway": "10.0.1.1"});
    if !dhcp.is_null() {
        subnet["dhcp"] = dhcp;
    }
    json!({ "subnet": subnet })
}

fn pool() -> Value {
    json!({"pool": "10.0.1.100-10.0.1.199"})
}

fn change(method: &str, params: Value) -> Value {
    json!({"method": method, "params": params})
}

#[test]
fn hosts_answer_dhcp_where_there_are_subnets() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let error = raw.refused(ErrorCode::InvalidParams, "vnet.set", vnet("Z", "host"));
    assert_eq!(error["data"]["field"], "vnet.dhcp", "{error}");
    assert!(error["message"].as_str().unwrap().contains("has no subnet"));
    // Both at once, in the order in which they refer to each other.
    raw.ok(
        "batch",
        json!({"changes": [
            change("vnet.set", vnet("Z", "host")),
            change("subnet.set", subnet("web", "Z", Value::Null)),
        ]}),
    );
    // And one after the other.
    raw.ok("subnet.set", subnet("far", "Y", Value::Null));
    raw.ok("vnet.set", vnet("Y", "host"));
    let error = raw.refused(ErrorCode::InUse, "subnet.remove", json!({"name": "far"}));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("vnet Y would be wrong: "), "{message}");
    raw.ok("vnet.set", vnet("Y", "off"));
    raw.ok("subnet.remove", json!({"name": "far"}));
}

#[test]
fn nodes_without_addresses_need_a_pool() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    raw.ok(
        "batch",
        json!({"changes": [
            change("vnet.set", vnet("Z", "host")),
            change("subnet.set", subnet("web", "Z", Value::Null)),
            change("subnet.set", subnet("far", "Y", Value::Null)),
        ]}),
    );
    let node = |vnet: &str, more: Value| {
        let mut node = json!({"name": "P", "vnet": vnet, "port": "tap0"});
        for (key, value) in more.as_object().unwrap() {
            node[key] = value.clone();
        }
        json!({ "binding": node })
    };
    let of_web = || node("Z", json!({"subnet": "web"}));
    for (params, field) in [
        (node("Y", json!({"subnet": "far"})), "binding.address"),
        (node("Z", json!({})), "binding.address"),
        (of_web(), "binding.subnet"),
        (node("Z", json!({"subnet": "wep"})), "binding.subnet"),
        (node("Z", json!({"subnet": "far"})), "binding.subnet"),
        (
            node("Z", json!({"subnet": "web", "address": "10.0.1.2"})),
            "binding.subnet",
        ),
    ] {
        let error = raw.refused(ErrorCode::InvalidParams, "binding.set", params);
        assert_eq!(error["data"]["field"], field, "{error}");
    }
    raw.ok("subnet.set", subnet("web", "Z", pool()));
    raw.ok("binding.set", of_web());
    let listed = raw.ok("binding.list", json!({}));
    assert_eq!(listed["items"][0]["object"], of_web()["binding"]);
    // What it gets its address from stays.
    for (method, params) in [
        ("subnet.set", subnet("web", "Z", Value::Null)),
        ("subnet.remove", json!({"name": "web"})),
        ("vnet.set", vnet("Z", "off")),
    ] {
        let error = raw.refused(ErrorCode::InUse, method, params);
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("binding P would be wrong: "),
            "{message}"
        );
    }
    // It is in nobody's way, and takes the room of an address.
    raw.ok(
        "binding.set",
        json!({"binding": {"name": "A", "vnet": "Z", "address": "10.0.1.2", "port": "tap1"}}),
    );
    raw.ok("binding.remove", json!({"name": "P"}));
    raw.ok("subnet.set", subnet("web", "Z", Value::Null));
    drop(raw);
    assert_eq!(rig.end().table_entries(), (1, 0));
}

#[test]
fn a_pool_is_of_its_subnet_and_not_too_large() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    test_plan(&mut raw);
    let with = |pool: &str| {
        json!({"changes": [
            change("vnet.set", vnet("Z", "host")),
            change("subnet.set", json!({"subnet": {
                "name": "web", "vnet": "Z", "prefix": "10.0.0.0/9", "gateway": "10.0.0.1",
                "dhcp": {"pool": pool},
            }})),
        ]})
    };
    for bad in ["10.1.0.0-10.2.0.0", "10.127.255.0-10.128.0.0"] {
        let error = raw.refused(ErrorCode::InvalidParams, "batch", with(bad));
        let field = "changes[1].params.subnet.dhcp.pool";
        assert_eq!(error["data"]["field"], field, "{error}");
    }
    raw.ok("batch", with("10.1.0.0-10.1.255.255"));
}
