//! `config.apply`: the whole file at once, or nothing of it.

#[path = "apply/ports.rs"]
mod ports;
#[path = "apply/refusals.rs"]
mod refusals;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft::control::client::{Client, ClientError};
use weft::control::journal::Journal;
use weft::control::proto::*;
use weft::model::Origin;

use crate::rig::*;

fn ask(text: &str) -> ConfigApply<'_> {
    ConfigApply {
        name: "new.toml".into(),
        text: text.into(),
        ..ConfigApply::default()
    }
}

#[track_caller]
fn apply(client: &mut Client, text: &str) -> ApplyReport {
    client.call(&ask(text)).unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
fn refused(client: &mut Client, text: &str) -> Error {
    match client.call(&ask(text)) {
        Err(ClientError::Refused(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The first file with a text in place of another.
fn with(from: &str, to: &str) -> String {
    assert!(FILE.contains(from), "{from}");
    FILE.replacen(from, to, 1)
}

/// An appliance that runs the first file.
fn running() -> (Rig, Client) {
    let rig = Rig::new();
    let mut client = rig.client();
    let report = apply(&mut client, FILE);
    assert_eq!(
        (report.added, report.changed, report.removed),
        (3, 0, 0),
        "{report:?}"
    );
    rig.plant.0.lock().unwrap().calls.clear();
    (rig, client)
}

fn calls(rig: &Rig) -> Vec<String> {
    std::mem::take(&mut rig.plant.0.lock().unwrap().calls)
}

fn dump(client: &mut Client) -> (Dump, Value) {
    let mappings = client.call(&MappingList::default()).unwrap();
    let mappings = serde_json::to_value(mappings).unwrap();
    (client.call(&ConfigDump {}).unwrap(), mappings)
}

/// `kind key change field old new` of every difference.
fn told(report: &ApplyReport) -> Vec<String> {
    let mut lines = Vec::new();
    for object in &report.objects {
        let change = serde_json::to_value(object.change).unwrap();
        let head = format!(
            "{} {} {}",
            object.kind,
            object.key,
            change.as_str().unwrap()
        );
        match object.change {
            Fate::Changed => lines.extend(object.fields.iter().map(|field| {
                let (old, new) = (json!(field.old), json!(field.new));
                format!("{head} {} {old} {new}", field.field)
            })),
            _ => lines.push(head),
        }
    }
    lines
}

#[test]
fn the_difference_is_told_by_object_and_field() {
    let (rig, mut client) = running();
    assert_eq!(apply(&mut client, FILE).unchanged, 3);
    assert_eq!(calls(&rig), [""; 0], "nothing to do is nothing done");
    let text = with(
        "vni = 0x5A0001\n",
        "vni = 0x5A0001\nmode = \"transparent\"\ndscp = 10\n",
    )
    .replace("address = \"10.0.0.3\"", "address = \"10.0.0.4\"")
        + "[[host]]\nname = \"T\"\nlocator = \"2001:db8:0:c:500::/72\"\n\
           [log]\nlevel = \"debug\"\n[control]\nbatch = 7\n";
    let report = apply(&mut client, &text);
    assert_eq!(
        told(&report),
        [
            "vnet Z changed mode \"siit\" \"transparent\"",
            "vnet Z changed dscp \"copy\" 10",
            "host T added",
            "mapping Z 10.0.0.4/32 added",
            "mapping Z 10.0.0.3/32 removed",
        ]
    );
    let settings: Vec<_> = report.settings.iter().map(|s| &*s.path).collect();
    assert_eq!(settings, ["control.batch", "log.level"]);
    let counts = (
        report.added,
        report.changed,
        report.removed,
        report.unchanged,
    );
    assert_eq!(counts, (2, 3, 1, 1));
    assert_eq!(
        calls(&rig),
        ["topology S,T", "set 10.0.0.4/32", "remove 10.0.0.3/32"],
        "what is new comes before what is old goes"
    );
    let (dump, _) = dump(&mut client);
    for part in ["batch = 7", "level = \"debug\"", "mode = \"transparent\""] {
        assert!(dump.toml.contains(part), "{part}: {}", dump.toml);
    }
    // The settings of the socket are in force.
    let rows = (0..8).map(|n| MappingRow {
        address: format!("10.9.0.{n}").parse().unwrap(),
        host: "S".into(),
        expires: None,
        revision: 0,
        slot: None,
        mac: None,
    });
    let set = MappingSet {
        vnet: "Z".into(),
        mappings: rows.collect(),
    };
    assert!(
        client
            .call(&set)
            .unwrap_err()
            .to_string()
            .contains("at most 7")
    );
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let (rig, mut client) = running();
    let before = dump(&mut client);
    let text = with("name = \"S\"", "name = \"S2\"").replace("host = \"S\"", "host = \"S2\"")
        + "[log]\nlevel = \"warn\"\n";
    let mut dry = ask(&text);
    dry.dry_run = true;
    let said = client.call(&dry).unwrap();
    assert!(said.dry_run);
    assert_eq!(calls(&rig), [""; 0]);
    assert_eq!(dump(&mut client), before);
    assert_eq!(
        rig.plant
            .0
            .lock()
            .unwrap()
            .settings
            .as_ref()
            .map(|s| s.log.level),
        Some(weft::config::Level::Info)
    );
    let done = apply(&mut client, &text);
    assert_eq!(told(&done), told(&said));
    assert_eq!(
        calls(&rig),
        ["topology S,S2", "set 10.0.0.3/32", "topology S2"],
        "the old host stays until no mapping names it"
    );
    // Limits are judged without trying.
    rig.plant.0.lock().unwrap().measured = Some(1);
    let more = text.clone() + "[[mapping]]\nvnet = \"Z\"\naddress = \"10.0.0.9\"\nhost = \"S2\"\n";
    let mut dry = ask(&more);
    dry.dry_run = true;
    let Err(ClientError::Refused(full)) = client.call(&dry) else {
        panic!("there is no room")
    };
    assert_eq!(full.code, ErrorCode::Limit, "{full}");
}

#[test]
fn what_others_hold_stays_and_is_named() {
    let (rig, mut client) = running();
    let mut raw = rig.raw_rw();
    raw.ok("mapping.set", json!({"vnet": "Z", "mappings": [mapping("10.0.0.3", "S", 0), mapping("10.0.0.8", "S", 0)]}));
    raw.ok(
        "host.set",
        json!({"host": {"name": "S", "locator": "2001:db8:0:c:500::/72"}}),
    );
    let text = with("address = \"10.0.0.3\"", "address = \"10.0.0.7\"");
    let report = apply(&mut client, &text);
    assert_eq!(told(&report), ["mapping Z 10.0.0.7/32 added"]);
    let held: Vec<_> = report
        .overridden
        .iter()
        .map(|o| (o.kind, o.key.as_str(), o.origin))
        .collect();
    assert_eq!(held, [(Kind::Host, "S", Origin::Operator)]);
    // The operator's are not swept, and what they need cannot go.
    let without = with(
        "[[host]]\nname = \"S\"\nlocator = \"2001:db8:0:b:200::/72\"\n",
        "",
    )
    .replace(
        "[[mapping]]\nvnet = \"Z\"\naddress = \"10.0.0.3\"\nhost = \"S\"\n",
        "",
    )
    .replace(
        "prefixes = [\"10.0.0.0/8\"]",
        "prefixes = [\"10.0.0.0/30\"]",
    );
    let error = refused(&mut client, &without);
    assert!(error.message.contains("outside"), "{error}");
    let list = client.call(&MappingList::default()).unwrap();
    assert_eq!(list.items.len(), 3);
}

#[test]
fn the_relay_and_its_mappings_are_told_like_all_else() {
    let text = FILE.to_owned()
        + "[[port]]\nname = \"v4\"\ndevice = \"net_null3\"\nrole = \"relay4\"\n\
           [[port]]\nname = \"v6\"\ndevice = \"net_null4\"\nrole = \"relay6\"\n\
           [relay]\npool6 = \"64:ff9b::/96\"\n\
           ipv4 = { port = \"v4\", address = \"192.0.2.1/24\", via = \"192.0.2.254\" }\n\
           ipv6 = { port = \"v6\", address = \"2001:db8:6::1/64\", via = \"2001:db8:6::fe\" }\n\
           [[eam]]\nipv4 = \"198.51.100.1\"\nipv6 = \"2001:db8:1::1\"\n\
           [[eam]]\nipv4 = \"198.51.100.2\"\nipv6 = \"2001:db8:1::2\"\n\
           [[outsider]]\nname = \"W\"\nvnet = \"Z\"\naddress = \"10.7.0.1\"\nipv6 = \"2001:db8:7::1\"\n";
    let (mut settings, _) =
        weft::config::Config::parse("f", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    drop(weft::control::store::Desired::take(&mut settings));
    let rig = Rig::new();
    rig.plant.0.lock().unwrap().settings = Some(settings);
    let mut client = rig.client();
    assert_eq!(apply(&mut client, &text).added, 7);
    // Two exchange their addresses, which no order of single changes could do.
    let other = text
        .replace("2001:db8:1::1\"", "swap")
        .replace("2001:db8:1::2\"", "2001:db8:1::1\"")
        .replace("swap", "2001:db8:1::2\"")
        .replace("pool6 =", "tos = 8\npool6 =")
        .replace("10.7.0.1", "10.7.0.2")
        + "[[eam]]\nipv4 = \"198.51.100.4\"\nipv6 = \"2001:db8:1::4\"\n";
    let mut dry = ask(&other);
    dry.dry_run = true;
    let before = dump(&mut client);
    let said = told(&client.call(&dry).unwrap());
    assert_eq!(
        said,
        [
            "relay relay changed tos \"copy\" 8",
            "outsider W changed address \"10.7.0.1/32\" \"10.7.0.2/32\"",
            "eam 198.51.100.1/32 changed ipv6 \"2001:db8:1::1/128\" \"2001:db8:1::2/128\"",
            "eam 198.51.100.2/32 changed ipv6 \"2001:db8:1::2/128\" \"2001:db8:1::1/128\"",
            "eam 198.51.100.4/32 added",
        ]
    );
    assert_eq!(dump(&mut client), before);
    assert_eq!(told(&apply(&mut client, &other)), said);
    assert_eq!(apply(&mut client, &other).unchanged, 8);
    let back = apply(&mut client, &text);
    assert_eq!((back.added, back.changed, back.removed), (0, 4, 1));
}

#[test]
fn many_mappings_are_counted_and_some_listed() {
    let rig = Rig::with(|config| config.queue = 64 << 10, new_store(), None);
    let mut client = rig.client();
    let row = |i: u32| {
        format!(
            "[[mapping]]\nvnet = \"Z\"\naddress = \"10.1.{}.{}\"\nhost = \"S\"\n",
            i / 250,
            i % 250
        )
    };
    let text = FILE.to_owned() + &(0..5000).map(row).collect::<String>();
    let report = apply(&mut client, &text);
    assert_eq!(
        (report.added, report.objects.len(), report.unlisted),
        (5003, 22, 4981)
    );
    // Everything asked for is as much as goes into the answer.
    let mut back = ask(FILE);
    back.mappings = Some(u64::MAX >> 11);
    let report = client.call(&back).unwrap();
    assert_eq!(report.removed, 5000);
    let listed = report.objects.len() as u64;
    assert!(listed > 30 && listed + report.unlisted == 5000, "{listed}");
}

#[test]
fn others_are_served_meanwhile_and_requests_keep_their_order() {
    let (rig, mut other) = running();
    let row = |i: u32| {
        format!(
            "[[mapping]]\nvnet = \"Z\"\naddress = \"10.1.{}.{}\"\nhost = \"S\"\n",
            i / 250,
            i % 250
        )
    };
    let text = FILE.to_owned() + &(0..20_000).map(row).collect::<String>();
    let mut raw = rig.raw_rw();
    let before = other.call(&StatusGet {}).unwrap().socket["requests"];
    let line = |id: u32, method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string() + "\n"
    };
    let apply = line(1, "config.apply", json!({"name": "f", "text": text}));
    let list = line(2, "status.get", json!({}));
    raw.send((apply + &list).as_bytes());
    // Whoever else asks is served, and sees when the file has arrived.
    let mut own = 1;
    let begun = Instant::now();
    while other.call(&StatusGet {}).unwrap().socket["requests"] == before + own {
        own += 1;
        assert!(begun.elapsed() < Duration::from_secs(20), "not served");
    }
    match other.call(&ask(FILE)) {
        Err(ClientError::Refused(error)) => assert_eq!(error.code, ErrorCode::Limit, "{error}"),
        other => panic!("a second file at a time: {other:?}"),
    }
    let first = raw.line().unwrap();
    assert_eq!(
        (&first["id"], &first["result"]["added"]),
        (&json!(1), &json!(20_000)),
        "{first}"
    );
    let second = raw.line().unwrap();
    assert_eq!(
        (&second["id"], &second["result"]["objects"]["mapping"]),
        (&json!(2), &json!(20_001))
    );
}

#[test]
fn who_may_only_look_may_not_apply() {
    let rig = Rig::new();
    let mut raw = rig.raw();
    raw.ok("hello", json!({"version": 1}));
    raw.refused(
        ErrorCode::Denied,
        "config.apply",
        json!({"name": "f", "text": FILE}),
    );
    let mut raw = rig.raw_rw();
    let error = raw.refused(
        ErrorCode::InvalidParams,
        "config.apply",
        json!({"name": "f"}),
    );
    assert!(
        error["message"].as_str().unwrap().contains("text"),
        "{error}"
    );
}

#[test]
fn the_journal_keeps_operators_and_not_the_file() {
    let directory = std::env::temp_dir().join(format!("weft-apply-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    let rig = Rig::with(|_| {}, new_store(), Some(journal));
    let mut client = rig.client();
    apply(&mut client, FILE);
    let mut raw = rig.raw_rw();
    raw.ok(
        "mapping.set",
        json!({"vnet": "Z", "mappings": [mapping("10.0.0.8", "S", 0)]}),
    );
    apply(
        &mut client,
        &with("address = \"10.0.0.3\"", "address = \"10.0.0.4\""),
    );
    drop((client, raw));
    rig.end();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("10.0.0.8") && !text.contains("10.0.0.4"),
        "{text}"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}
