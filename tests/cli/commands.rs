//! Every command once: the request it becomes, and the answer as text and as
//! JSON. Those of the objects are in `objects`.

use serde_json::{Value, json};

use crate::objects::mapping;
use crate::scripted::{Appliance, Say};

/// Runs a command both ways and holds it against one request and its answer.
#[track_caller]
pub(crate) fn case(args: &str, method: &'static str, params: Value, reply: Value, text: &str) {
    let lines = match reply.as_object().and_then(|o| o.values().next()) {
        // Lists are an object a line.
        Some(Value::Array(items)) if method.ends_with(".list") => items.clone(),
        _ => vec![reply.clone()],
    };
    let appliance = Appliance::answering(method, reply);
    let ran = appliance.weft(args).ok();
    assert_eq!(appliance.asked(), [(method.to_owned(), params.clone())]);
    let text = text.lines().map(str::trim_start);
    assert_eq!(
        ran.out.lines().collect::<Vec<_>>(),
        text.collect::<Vec<_>>()
    );
    let ran = appliance.weft(&format!("{args} --json")).ok();
    assert_eq!(ran.json(), lines);
    let changes = [".set", ".remove"].iter().any(|end| method.ends_with(end));
    assert_eq!(appliance.access(), if changes { "rw" } else { "ro" });
}

#[track_caller]
pub(crate) fn change(args: &str, method: &'static str, params: Value) {
    let reply = json!({"applied": 1, "unchanged": 0, "stale": 0});
    case(args, method, params, reply, "1 applied");
}

#[test]
fn ports() {
    let reply = json!({"ports": [{
        "name": "wan0", "role": "uplink", "device": "net_tap0", "driver": "net_tap",
        "mac": "02:00:00:00:00:0a", "up": true, "speed": 0, "mtu": 1500, "rx_queues": 2,
        "tx_queues": 2, "offloads": ["tx-tcp-checksum", "tx-multi-segs"], "addresses": ["2001:db8:ffff::1/64"], "counters": {"ipackets": 17},
    }]});
    case(
        "port list",
        "port.list",
        json!({}),
        reply.clone(),
        "NAME  ROLE    LINK  MBIT/S  MAC                 MTU  RXQ  TXQ  OFFLOADS                       DRIVER   DEVICE    ADDRESSES
         wan0  uplink  up         -  02:00:00:00:00:0a  1500    2    2  tx-tcp-checksum,tx-multi-segs  net_tap  net_tap0  2001:db8:ffff::1/64",
    );
    let ran = Appliance::answering("port.list", reply)
        .weft("port list --counters")
        .ok();
    assert!(
        ran.out
            .ends_with("\nPORT  COUNTER   VALUE\nwan0  ipackets     17\n"),
        "{}",
        ran.out
    );
}

#[test]
fn status() {
    case(
        "status",
        "status.get",
        json!({}),
        json!({
            "version": "0.1.0", "pid": 4711, "objects": {"mapping": 3, "vnet": 2},
            "origins": {"file": 5}, "tombstones": 0, "mapping_bytes": 20480, "clients": 1,
            "socket": {"requests": 9}, "journal": {"path": "/var/lib/weft/journal", "bytes": 100,
            "records": 2, "compactions": 0, "error": "disk full"},
            "plant": {"uptime_ms": 61_000, "workers": 2, "layout": "p72",
                      "locator": "2001:db8:0:a:100::/72", "facts": {"eal": "22.11"}},
        }),
        "WHAT            VALUE
         version         0.1.0
         process         4711
         up              1 min 1 s
         workers         2
         layout          p72
         locator         2001:db8:0:a:100::/72
         eal             22.11
         objects         mapping 3, vnet 2
         by origin       file 5
         tombstones      0
         mapping memory  20 KiB
         clients         1
         socket          requests 9
         journal         /var/lib/weft/journal, 2 records, 100 B
         journal error   disk full",
    );
}

fn counters() -> Value {
    json!({"uptime_ms": 1000, "counters": {
        "rx": {"help": "Packets received.", "total": 1000, "workers": [400, 600]},
        "drop_no_mapping": {"help": "No mapping.", "total": 7, "workers": [7, 0]},
        "drop_too_short": {"help": "Too short.", "total": 0},
        "held": {"help": "Packets held.", "total": 3, "gauge": true},
    }})
}

#[test]
fn stats() {
    case(
        "stats",
        "stats.get",
        json!({}),
        counters(),
        "NAME             TOTAL
         drop_no_mapping      7
         held                 3
         rx                1000",
    );
    let appliance = Appliance::answering("stats.get", counters());
    assert_eq!(
        appliance
            .weft("stats --drops --all --explain --workers")
            .ok()
            .out,
        "NAME             TOTAL  W0  W1  WHAT IT COUNTS\n\
         drop_no_mapping      7   7   0  No mapping.\n\
         drop_too_short       0   -   -  Too short.\n"
    );
    let json = appliance.weft("stats --drops --json").ok().json();
    let names: Vec<_> = json[0]["counters"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["drop_no_mapping", "drop_too_short"]);
}

/// Two workers, of which the second has done nothing yet.
fn cycles() -> Value {
    let worker = |n: u64, busy: u64| {
        json!({
            "worker": n, "rounds": 90, "busy_rounds": 30, "busy_cycles": busy * 900,
            "idle_cycles": 1000 - busy * 900, "packets": busy * 9, "sampled": busy,
            "interrupted": 0,
            "stages": [
                {"stage": "rx", "cycles": busy * 320, "packets": busy * 32},
                {"stage": "round", "cycles": busy * 80, "packets": busy * 32},
            ],
            "bursts": [
                {"from": 1, "to": 1, "count": busy}, {"from": 2, "to": 3, "count": busy * 3},
            ],
        })
    };
    json!({
        "uptime_ms": 2000, "hz": 1000, "workers": [worker(0, 1), worker(1, 0)],
        "fills": [
            {"name": "mappings", "used": 1, "limit": 4},
            {"name": "held", "worker": 1, "used": 0, "limit": 4096},
        ],
    })
}

#[test]
fn stats_cycles() {
    let appliance = Appliance::answering("stats.cycles", cycles());
    assert_eq!(
        appliance.weft("stats --cycles").ok().out,
        "up 2.0 s; of the last 2.0 s:\n\
         \n\
         worker 0: busy 90.0 %; 9 packets, 100.0 cycles a packet while busy\n\
         STAGE  PACKETS  CYCLES/PACKET    SHARE\n\
         rx          32           10.0   80.0 %\n\
         round       32            2.5   20.0 %\n\
         all         32           12.5  100.0 %\n\
         sampled: 1 rounds\n\
         bursts: 4; of 1: 25.0 %; 2-3: 75.0 %\n\
         \n\
         worker 1: busy 0.0 %; 0 packets, - cycles a packet while busy\n\
         STAGE  PACKETS  CYCLES/PACKET  SHARE\n\
         rx           0              -      -\n\
         round        0              -      -\n\
         all          0              -      -\n\
         sampled: 0 rounds\n\
         bursts: 0; of 1: -; 2-3: -\n\
         \n\
         all workers: busy 45.0 %; 9 packets, 100.0 cycles a packet while busy\n\
         STAGE  PACKETS  CYCLES/PACKET    SHARE\n\
         rx          32           10.0   80.0 %\n\
         round       32            2.5   20.0 %\n\
         all         32           12.5  100.0 %\n\
         sampled: 1 rounds\n\
         bursts: 4; of 1: 25.0 %; 2-3: 75.0 %\n\
         \n\
         FILL      WORKER  USED  LIMIT   SHARE\n\
         mappings       -     1      4  25.0 %\n\
         held           1     0   4096   0.0 %\n"
    );
    let one = appliance
        .weft("stats --cycles --worker 1 --json")
        .ok()
        .json();
    assert_eq!(one[0]["over_ms"], json!(2000));
    assert_eq!(one[0]["workers"].as_array().unwrap().len(), 1);
    assert_eq!(one[0]["workers"][0]["worker"], json!(1));
    assert_eq!(one[0]["fills"].as_array().unwrap().len(), 2);
    let why = "weft: there is no worker 2; there are 2, from 0 on";
    appliance.weft("stats --cycles --worker 2").failed(2, why);
}

#[test]
fn explain() {
    let before =
        "02000000000202000000000a08004500002000004000400100000a0000020a0000030800000000000000";
    case(
        "explain --from A --to 10.0.0.3 --proto tcp --sport 1024 --dport 80 --size 1500 --ttl 3 \
         --dscp 46 --df false",
        "explain",
        json!({"from": "A", "to": "10.0.0.3", "protocol": "tcp", "source_port": 1024,
               "destination_port": 80, "length": 1500, "ttl": 3, "dscp": 46, "df": false}),
        json!({
            "steps": [
                {"stage": "parse", "verdict": "icmp"},
                {"stage": "resolve", "verdict": "S", "detail": "2001:db8:0:b:200::/72"},
            ],
            "outcome": "sent", "port": "wan0", "before": before,
        }),
        "before: 10.0.0.2 > 10.0.0.3 icmp type 8 code 0, length 32, ttl 64, df
         STAGE    VERDICT  DETAIL
         parse    icmp     -
         resolve  S        2001:db8:0:b:200::/72
         outcome: sent by wan0",
    );
    let appliance = Appliance::answering(
        "explain",
        json!({"steps": [], "outcome": "no_mapping", "before": before}),
    );
    let ran = appliance
        .weft("explain --from A --to 10.0.0.9 --proto 132 --hex")
        .ok();
    assert!(
        ran.out.contains("\n  0000  02 00 00 00 00 02 02 00"),
        "{}",
        ran.out
    );
    assert!(ran.out.ends_with("outcome: no_mapping\n"));
    assert_eq!(appliance.asked()[0].1["protocol"], json!(132));
}

#[test]
fn config_dump_ends_with_the_mappings() {
    let appliance = Appliance::new(|method, params| {
        let reply = match (method, params["cursor"].as_str()) {
            ("config.dump", _) => json!({"toml": "name = \"R\"\n", "mappings": 3}),
            ("mapping.list", None) => json!({"items": [mapping(3), mapping(4)], "next": "x"}),
            ("mapping.list", Some("x")) => json!({"items": [mapping(5)]}),
            other => panic!("{other:?}"),
        };
        vec![Say::Result(reply)]
    });
    let ran = appliance.weft("config dump").ok();
    let dumped: toml::Table = ran.out.parse().unwrap();
    assert_eq!(dumped["name"].as_str(), Some("R"));
    let rows = dumped["mapping"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2]["address"].as_str(), Some("10.0.0.5/32"));
    assert_eq!(
        appliance.weft("config dump --no-mappings").ok().out,
        "name = \"R\"\n"
    );
    let json = appliance.weft("config dump --json").ok().json();
    assert_eq!(json, [json!({"toml": "name = \"R\"\n", "mappings": 3})]);
}

#[test]
fn config_dump_ends_with_explicit_mappings() {
    let appliance = Appliance::new(|method, params| {
        let eam = |n: u8| json!({"object": {"ipv4": format!("198.51.100.{n}"), "ipv6": format!("2001:db8::{n}")}, "origin": "file", "revision": 0});
        let reply = match (method, params["cursor"].as_str()) {
            ("config.dump", _) => json!({"toml": "name = \"R\"\n", "mappings": 0, "eams": 3}),
            ("eam.list", None) => json!({"items": [eam(1), eam(2)], "next": "x"}),
            ("eam.list", Some("x")) => json!({"items": [eam(3)]}),
            other => panic!("{other:?}"),
        };
        vec![Say::Result(reply)]
    });
    let dumped: toml::Table = appliance.weft("config dump").ok().out.parse().unwrap();
    let rows = dumped["eam"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[2]["ipv6"].as_str(), Some("2001:db8::3/128"));
    assert_eq!(
        appliance.weft("config dump --no-mappings").ok().out,
        "name = \"R\"\n"
    );
}

#[test]
fn log() {
    let appliance = Appliance::answering("log.set", json!({}));
    assert_eq!(appliance.weft("log warn,weft::control=debug").ok().out, "");
    let filter = json!({"filter": "warn,weft::control=debug"});
    assert_eq!(appliance.asked(), [("log.set".to_owned(), filter)]);
    assert_eq!(appliance.weft("log info --json").ok().json(), [json!({})]);
}

#[test]
fn ctl_calls_anything() {
    let appliance = Appliance::new(|_, params| vec![Say::Result(json!({"got": params}))]);
    let ran = appliance.weft(r#"ctl mapping.list '{"vnet": "Z"}'"#).ok();
    assert_eq!(ran.json(), [json!({"got": {"vnet": "Z"}})]);
    assert_eq!(appliance.access(), "ro");
    appliance
        .weft_with("ctl vnet.remove - --json", r#"{"name": "Z"}"#)
        .ok();
    assert_eq!(appliance.access(), "rw");
    appliance.weft("ctl some.thing-new").ok();
    let last = appliance.asked().pop().unwrap();
    assert_eq!(last, ("some.thing-new".to_owned(), json!({})));
}

#[test]
fn ctl_batch_is_one_request() {
    let applied = json!({"applied": 2, "unchanged": 0, "stale": 0});
    let appliance = Appliance::answering("batch", applied.clone());
    let lines = "{\"method\":\"vnet.remove\",\"params\":{\"name\":\"Z\"}}\n\n\
                 {\"method\":\"host.remove\",\"params\":{\"name\":\"S\"}}\n";
    let ran = appliance.weft_with("ctl --batch -", lines).ok();
    assert_eq!(ran.json(), [applied]);
    assert_eq!(appliance.access(), "rw");
    let changes = json!([
        {"method": "vnet.remove", "params": {"name": "Z"}},
        {"method": "host.remove", "params": {"name": "S"}},
    ]);
    assert_eq!(
        appliance.asked(),
        [("batch".to_owned(), json!({"changes": changes}))]
    );
    appliance.weft_with("ctl --batch -", "{}\n{\n").failed(
        1,
        "weft: -:2: EOF while parsing an object at line 1 column 1",
    );
}

#[test]
fn completions_know_the_commands() {
    let appliance = Appliance::new(|_, _| panic!("asked"));
    for shell in ["bash", "zsh", "fish"] {
        let ran = appliance.weft(&format!("completions {shell}")).ok();
        assert!(ran.out.contains("neighbor"), "{shell}");
    }
}

#[test]
fn groups_with_members_here_and_elsewhere() {
    let reply = json!({"groups": [{"vnet": "Z", "group": "239.1.2.3", "hosts": ["S"], "members": [
        {"node": "A", "version": 3, "sources": "any", "expires": 255},
        {"node": "C", "version": 3, "sources": "except", "addresses": ["10.0.0.3"], "expires": 9}
    ]}]});
    case(
        "group list --vnet Z",
        "group.list",
        json!({"vnet": "Z"}),
        reply,
        "VNET  GROUP      NODE  HOST  IGMP  SOURCES          EXPIRES
         Z     239.1.2.3  A     -        3  any                255 s
         Z     239.1.2.3  C     -        3  except 10.0.0.3      9 s
         Z     239.1.2.3  -     S        -  -                      -",
    );
}
