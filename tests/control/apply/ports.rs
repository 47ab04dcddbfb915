//! Ports of nodes come and go while all else runs: with the file, and one by one.

use serde_json::{Value, json};
use weft::control::client::ClientError;
use weft::control::proto::*;

use super::{apply, ask, calls, dump, refused, running};
use crate::rig::*;

const NEW_PORT: &str = "[[port]]\nname = \"new\"\ndevice = \"net_null7\"\nrole = \"node\"\n";
const NEW_NODE: &str =
    "[[binding]]\nname = \"N\"\nvnet = \"Z\"\naddress = \"10.0.0.9\"\nport = \"new\"\n";

#[test]
fn ports_of_nodes_come_and_go() {
    let (rig, mut client) = running();
    let text = format!("{FILE}{NEW_PORT}{NEW_NODE}");
    let mut dry = ask(&text);
    dry.dry_run = true;
    let planned = client.call(&dry).unwrap();
    assert_eq!((planned.added, planned.changed), (1, 1), "{planned:?}");
    assert_eq!(calls(&rig), [""; 0]);
    let report = apply(&mut client, &text);
    assert_eq!((report.added, report.changed), (1, 1), "{report:?}");
    // Open before anything names it.
    let made = calls(&rig);
    assert_eq!(made[0], "open new");
    assert!(made[1].starts_with("topology"), "{made:?}");
    assert_eq!(apply(&mut client, &text).changes(), 0);
    calls(&rig);
    // Closed when nothing names it any more.
    let report = apply(&mut client, FILE);
    assert_eq!((report.changed, report.removed), (1, 1), "{report:?}");
    let made = calls(&rig);
    assert_eq!(made.last().unwrap(), "close new");
    assert!(made[0].starts_with("topology"), "{made:?}");
    assert_eq!(apply(&mut client, FILE).changes(), 0);
}

#[test]
fn a_port_in_use_stays_and_a_broken_one_changes_nothing() {
    let (rig, mut client) = running();
    rig.plant.0.lock().unwrap().refuse_ports = true;
    let text = format!("{FILE}{NEW_PORT}{NEW_NODE}");
    let error = refused(&mut client, &text);
    assert_eq!(error.message, "no such device");
    assert_eq!(apply(&mut client, FILE).changes(), 0);
    rig.plant.0.lock().unwrap().refuse_ports = false;
    // What comes after the device fails: it is closed again.
    rig.plant.0.lock().unwrap().refuse_topology = true;
    refused(&mut client, &text);
    rig.plant.0.lock().unwrap().refuse_topology = false;
    assert_eq!(calls(&rig).last().unwrap(), "close new");
    assert_eq!(apply(&mut client, FILE).changes(), 0);
    // An operator's node is on it.
    apply(&mut client, &format!("{FILE}{NEW_PORT}"));
    let node = json!({"name": "N", "vnet": "Z", "address": "10.0.0.9", "port": "new"});
    let set = serde_json::from_value::<BindingSet>(json!({"binding": node})).unwrap();
    client.call(&set).unwrap();
    calls(&rig);
    let error = refused(&mut client, FILE);
    assert_eq!(error.message, "binding N: there is no port new");
    assert_eq!(calls(&rig), [""; 0]);
}

#[track_caller]
fn refusal(answer: Result<Applied, ClientError>) -> Error {
    match answer {
        Err(ClientError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn port(value: Value) -> PortSet {
    serde_json::from_value(json!({ "port": value })).unwrap()
}

#[test]
fn one_port_of_nodes_comes_and_goes() {
    let (rig, mut client) = running();
    let new = port(json!({"name": "new", "device": "net_null7", "role": "node"}));
    assert_eq!(client.call(&new).unwrap().applied, 1);
    let made = calls(&rig);
    assert_eq!(made[0], "open new");
    assert!(made[1].starts_with("topology"), "{made:?}");
    assert_eq!(client.call(&new).unwrap().unchanged, 1);
    assert_eq!(calls(&rig), [""; 0]);
    assert!(dump(&mut client).0.toml.contains("net_null7"));
    // A node on it holds it.
    let node = json!({"name": "N", "vnet": "Z", "address": "10.0.0.9", "port": "new"});
    let set = serde_json::from_value::<BindingSet>(json!({"binding": node})).unwrap();
    client.call(&set).unwrap();
    let remove = |name: &str| PortRemove { name: name.into() };
    let error = refusal(client.call(&remove("new")));
    assert_eq!(error.message, "port new is used by binding N");
    let gone = serde_json::from_value::<BindingRemove>(json!({"name": "N"})).unwrap();
    client.call(&gone).unwrap();
    calls(&rig);
    client.call(&remove("new")).unwrap();
    let made = calls(&rig);
    assert!(made[0].starts_with("topology"), "{made:?}");
    assert_eq!(made.last().unwrap(), "close new");
    let error = refusal(client.call(&remove("new")));
    assert_eq!(error.message, "there is no port new");
}

#[test]
fn a_port_that_does_not_fit_changes_nothing() {
    let (rig, mut client) = running();
    for (value, field) in [
        (
            json!({"name": "up9", "device": "net_null7", "role": "uplink"}),
            "port.role",
        ),
        (
            json!({"name": "new", "device": "net_null7", "role": "node", "queues": 60}),
            "port.queues",
        ),
        (
            json!({"name": "new", "device": "net_vhost7,iface=/v,queues=2", "role": "node"}),
            "port.queues",
        ),
        (
            json!({"name": "new", "device": "", "role": "node"}),
            "port.device",
        ),
    ] {
        let error = refusal(client.call(&port(value)));
        assert_eq!(error.data.unwrap_or_default().field, field);
    }
    let new = port(json!({"name": "new", "device": "net_null7", "role": "node"}));
    rig.plant.0.lock().unwrap().refuse_ports = true;
    assert_eq!(refusal(client.call(&new)).message, "no such device");
    rig.plant.0.lock().unwrap().refuse_ports = false;
    rig.plant.0.lock().unwrap().refuse_topology = true;
    refusal(client.call(&new));
    rig.plant.0.lock().unwrap().refuse_topology = false;
    assert_eq!(calls(&rig).last().unwrap(), "close new");
    assert!(!dump(&mut client).0.toml.contains("net_null7"));
    client.call(&new).unwrap();
    // An open port does not change.
    let other = port(json!({"name": "new", "device": "net_null8", "role": "node"}));
    let error = refusal(client.call(&other));
    assert_eq!(error.data.unwrap_or_default().field, "port.name");
}
