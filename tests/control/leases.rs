//! Addresses that nodes have by DHCP, as the socket shows them.

use serde_json::{Value, json};
use weft::control::proto::Lease;

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
    let mut raw = rig.raw();
    raw.ok("hello", json!({"version": 1}));
    assert_eq!(raw.ok("lease.list", json!({})), json!({"items": []}));
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
