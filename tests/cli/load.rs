//! `weft mapping load`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::scripted::{Appliance, Say};

fn loading() -> Appliance {
    Appliance::new(|method, params| {
        let count = |set: &Value| set["mappings"].as_array().unwrap().len();
        let applied = match method {
            "sync.begin" | "sync.abort" => return vec![Say::Result(json!({}))],
            "sync.commit" => {
                return vec![Say::Result(
                    json!({"removed": 4, "kept": ["host S: in use"]}),
                )];
            }
            "mapping.set" => count(params),
            "batch" => {
                let changes = params["changes"].as_array().unwrap();
                changes.iter().map(|change| count(&change["params"])).sum()
            }
            other => panic!("{other}"),
        };
        vec![Say::Result(
            json!({"applied": applied, "unchanged": 0, "stale": 0}),
        )]
    })
}

#[test]
fn a_file_is_loaded_by_the_thousand_inside_one_sync() {
    let appliance = loading();
    let mut file = "vnet,address,host\n# comment\n\n".to_owned();
    for n in 0..2500 {
        writeln!(file, "Z,10.0.{}.{},S", n / 250, n % 250).unwrap();
    }
    let ran = appliance.weft_with("mapping load - --json", &file).ok();
    let report = &ran.json()[0];
    for (key, value) in [("mappings", 2500), ("applied", 2500), ("removed", 4)] {
        assert_eq!(report[key], json!(value), "{key}");
    }
    assert!(report["per_second"].as_u64().unwrap() > 0);
    let asked = appliance.asked();
    let methods: Vec<_> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(
        methods,
        [
            "sync.begin",
            "mapping.set",
            "mapping.set",
            "mapping.set",
            "sync.commit"
        ]
    );
    assert_eq!(asked[0].1, json!({"kinds": ["mapping"]}));
    let sizes: Vec<_> = asked[1..4]
        .iter()
        .map(|(_, p)| p["mappings"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [997, 1000, 503]);
    assert_eq!(
        asked[1].1["mappings"][0],
        json!({"address": "10.0.0.0/32", "host": "S"})
    );
    assert_eq!(appliance.access(), "rw");
}

#[test]
fn rows_of_several_vnets_become_one_batch() {
    let appliance = loading();
    let file = "Z,10.0.0.3,S,300,7\nZ,10.0.0.4,S\n{\"vnet\":\"Y\",\"address\":\"10.0.0.3\",\"host\":\"T\"}\n";
    let ran = appliance.weft_with("mapping load --keep -", file).ok();
    assert!(ran.out.starts_with("3 mappings in 0."), "{}", ran.out);
    assert!(
        ran.out.ends_with("3 applied, 0 unchanged, 0 stale\n"),
        "{}",
        ran.out
    );
    assert_eq!(
        appliance.asked(),
        [(
            "batch".to_owned(),
            json!({"changes": [
                {"method": "mapping.set", "params": {"vnet": "Z", "mappings": [
                    {"address": "10.0.0.3/32", "host": "S", "expires": 300, "revision": 7},
                    {"address": "10.0.0.4/32", "host": "S"},
                ]}},
                {"method": "mapping.set", "params": {"vnet": "Y", "mappings": [
                    {"address": "10.0.0.3/32", "host": "T"},
                ]}},
            ]})
        )]
    );
}

#[test]
fn what_a_list_prints_can_be_loaded() {
    let appliance = loading();
    let line = "{\"object\":{\"vnet\":\"Z\",\"address\":\"10.0.0.3/32\",\"host\":\"S\"},\"origin\":\"operator\",\"revision\":5}\n";
    let ran = appliance.weft_with("mapping load -", line).ok();
    assert!(
        ran.out.ends_with(", 4 removed\nkept host S: in use\n"),
        "{}",
        ran.out
    );
    assert_eq!(appliance.asked()[1].1["mappings"][0]["revision"], json!(5));
}

#[test]
fn a_wrong_line_ends_the_sync_without_removing_anything() {
    let appliance = loading();
    let mut file = "Z,10.0.0.3,S\n".repeat(1000);
    file += "Z,10.0.0.3,S\nZ,10.0.0.300,S\n";
    appliance.weft_with("mapping load -", &file).failed(
        1,
        "weft: -:1002: address: `10.0.0.300` is not an IPv4 prefix such as 10.0.0.0/24; \
         the 1000 mappings before it are loaded, nothing is removed",
    );
    let methods: Vec<_> = appliance
        .asked()
        .into_iter()
        .map(|(method, _)| method)
        .collect();
    assert_eq!(methods, ["sync.begin", "mapping.set", "sync.abort"]);
    let endless = "Z".repeat(10_000);
    appliance
        .weft_with("mapping load -", &endless)
        .failed(1, "weft: -:1: the line is too long for a mapping");
}

#[test]
fn a_refused_row_is_traced_to_its_line() {
    let appliance = Appliance::new(|method, _| {
        vec![match method {
            "mapping.set" => Say::Error(
                json!({"code": -32005, "message": "no host is called `X`", "data": {"field": "mappings[1].host"}}),
            ),
            "batch" => Say::Error(
                json!({"code": -32005, "message": "no vnet is called `Y`", "data": {"field": "changes[1].vnet"}}),
            ),
            _ => Say::Result(json!({})),
        }]
    });
    appliance
        .weft_with("mapping load -", "\nZ,10.0.0.3,S\n\nZ,10.0.0.4,X\n")
        .failed(1, "weft: -:4: mappings[1].host: no host is called `X`");
    appliance
        .weft_with(
            "mapping load -",
            "Z,10.0.0.3,S\nZ,10.0.0.4,S\nY,10.0.0.4,S\n",
        )
        .failed(1, "weft: -:3: changes[1].vnet: no vnet is called `Y`");
}

#[test]
fn an_empty_file_removes_all() {
    let appliance = loading();
    appliance.weft_with("mapping load -", "").ok();
    let methods: Vec<_> = appliance
        .asked()
        .into_iter()
        .map(|(method, _)| method)
        .collect();
    assert_eq!(methods, ["sync.begin", "sync.commit"]);
}
