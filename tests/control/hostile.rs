//! Clients that send nonsense, too much, or do not read.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::json;
use weft::control::client::{Client, ClientError};
use weft::control::proto::{Access, ErrorCode, Event, Hello, Method};
use weft::control::server::{BindError, Server, ServerConfig};
use weft::model::Origin;

use crate::rig::*;

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn garbage_gets_an_error_and_the_connection_goes_on() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    for (line, code) in [
        (&b"{"[..], ErrorCode::Parse),
        (b"nonsense", ErrorCode::Parse),
        (b"\xff\xfe", ErrorCode::Parse),
        (b"\0\0\0", ErrorCode::Parse),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\x28\"}",
            ErrorCode::Parse,
        ),
        (b"[]", ErrorCode::InvalidRequest),
        (b"1", ErrorCode::InvalidRequest),
        (b"{}", ErrorCode::InvalidRequest),
        (
            br#"{"jsonrpc":"1.0","id":1,"method":"vnet.list"}"#,
            ErrorCode::InvalidRequest,
        ),
        (
            br#"{"jsonrpc":"2.0","id":{},"method":"vnet.list"}"#,
            ErrorCode::InvalidRequest,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"vnet.list","x":1}"#,
            ErrorCode::InvalidRequest,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"vnet.list"}"#,
            ErrorCode::InvalidRequest,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"vnet.destroy"}"#,
            ErrorCode::MethodNotFound,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"vnet.list","params":[1]}"#,
            ErrorCode::InvalidParams,
        ),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"vnet.list","params":{"cursor":7}}"#,
            ErrorCode::InvalidParams,
        ),
    ] {
        raw.send(line);
        raw.send(b"\n");
        let answer = raw.line().unwrap();
        assert_eq!(
            answer["error"]["code"],
            code.number(),
            "{} -> {answer}",
            String::from_utf8_lossy(line)
        );
    }
    // Empty lines and carriage returns do no harm; text ids come back.
    raw.send(b"\n\r\n{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"vnet.list\"}\r\n");
    assert_eq!(raw.line().unwrap()["id"], "x");
    // A notification gets no answer, whatever becomes of it.
    raw.send(b"{\"jsonrpc\":\"2.0\",\"method\":\"vnet.remove\",\"params\":{\"name\":\"none\"}}\n");
    assert_eq!(raw.ok("vnet.list", json!({}))["items"], json!([]));
}

#[test]
fn every_method_refuses_wrong_types_by_name() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    for method in Method::ALL {
        let error = raw.call(method.name(), json!({"no_such_field": 1}))["error"].take();
        if *method == Method::Hello {
            assert_eq!(error["code"], ErrorCode::InvalidRequest.number());
            continue;
        }
        assert_eq!(
            error["code"],
            ErrorCode::InvalidParams.number(),
            "{method}: {error}"
        );
        let told = error.to_string();
        assert!(
            told.contains("no_such_field") || told.contains("missing field"),
            "{method}: {error}"
        );
        for wrong in [json!([]), json!(1), json!("x"), json!(null)] {
            let answer = raw.call(method.name(), wrong.clone());
            let may_be_empty =
                wrong.is_null() && answer.get("error").is_none_or(|e| e["code"] != -32603);
            assert!(
                may_be_empty || answer["error"]["code"] == -32602,
                "{method} {wrong}: {answer}"
            );
        }
    }
    let error = raw.refused(
        ErrorCode::InvalidParams,
        "mapping.set",
        json!({"vnet": "Z", "mappings": [{"address": "10.0.0.3", "host": 5}]}),
    );
    assert_eq!(error["data"]["field"], "mappings[0].host");
    let error = raw.refused(
        ErrorCode::InvalidParams,
        "vnet.set",
        json!({"vnet": {"name": "Z", "vni": 0}}),
    );
    assert_eq!(error["data"]["field"], "vnet.vni");
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    for depth in [100, 127, 128, 129, 100_000, 1_000_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        raw.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vnet.set\",\"params\":{{\"vnet\":{deep}}}}}\n").as_bytes());
        assert!(raw.line().unwrap().get("error").is_some());
        raw.send(format!("{deep}\n").as_bytes());
        assert!(raw.line().unwrap().get("error").is_some());
    }
}

#[test]
fn a_line_beyond_the_limit_ends_the_connection() {
    let rig = Rig::with(|config| config.line = 1000, new_store(), None);
    let mut raw = rig.raw_rw();
    let mut other = rig.raw_rw();
    raw.send(&vec![b' '; 100_000]);
    let answer = raw.line().unwrap();
    assert_eq!(answer["error"]["code"], ErrorCode::Limit.number());
    assert!(raw.line().is_none());
    assert_eq!(other.ok("status.get", json!({}))["socket"]["cut_line"], 1);
}

#[test]
fn half_lines_wait_and_are_dropped_with_their_client() {
    let rig = Rig::new();
    let mut raw = rig.raw();
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"hello","params":{"version":1}}"#;
    for byte in text {
        raw.send(&[*byte]);
    }
    let mut other = rig.raw_rw();
    assert_eq!(other.ok("status.get", json!({}))["clients"], 2);
    raw.send(b"\n");
    assert_eq!(raw.line().unwrap()["result"]["version"], 1);
    raw.send(b"{\"jsonrpc\":\"2.0\",\"id\":2,");
    drop(raw);
    let gone = || other.ok("status.get", json!({}))["clients"] == 1;
    assert!(eventually(gone));
}

fn eventually(mut so: impl FnMut() -> bool) -> bool {
    (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        so()
    })
}

#[test]
fn random_bytes_and_mutated_requests_never_hurt() {
    let rig = Rig::new();
    let mut random = Random(0x5a0001);
    let good = json!({"jsonrpc": "2.0", "id": 1, "method": "batch", "params": {"changes": [
        {"method": "vnet.set", "params": {"vnet": {"name": "Z", "vni": 1, "prefixes": ["10.0.0.0/8"]}}},
        {"method": "mapping.set", "params": {"vnet": "Z", "mappings": [mapping("10.0.0.3", "S", 1)]}}]}});
    let good = good.to_string().into_bytes();
    for _ in 0..20 {
        let mut raw = rig.raw_rw();
        for _ in 0..200 {
            let mut line = good.clone();
            for _ in 0..=random.next() % 4 {
                let at = random.next() as usize % line.len();
                line[at] = random.next() as u8;
            }
            line.retain(|byte| *byte != b'\n' && *byte != b'\r');
            line.push(b'\n');
            raw.send(&line);
        }
        raw.send(b"{\"jsonrpc\":\"2.0\",\"id\":99,\"method\":\"status.get\"}\n");
        while raw.line().expect("the connection lives")["id"] != 99 {}
    }
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_nobody_waits() {
    let rig = Rig::with(
        |config| {
            config.queue = 64 << 10;
            config.stall = Duration::from_millis(200);
        },
        new_store(),
        None,
    );
    let mut other = rig.raw_rw();
    let mut slow = rig.raw_rw();
    slow.reader
        .get_ref()
        .set_write_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let ask = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"status.get\"}\n".repeat(1000);
    // It asks and asks, and takes no answer, until its requests are not taken either.
    while std::io::Write::write_all(slow.reader.get_mut(), &ask).is_ok() {}
    let started = Instant::now();
    other.ok("vnet.list", json!({}));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(eventually(
        || other.ok("status.get", json!({}))["socket"]["cut_slow"] == 1
    ));
    drop(slow);
}

#[test]
fn events_that_find_no_room_are_counted_and_told() {
    let rig = Rig::with(|config| config.queue = 8 << 10, new_store(), None);
    let mut slow = rig.raw_rw();
    slow.ok("subscribe", json!({"topics": ["limit"]}));
    let event = |n: u32| Event::Limit {
        limit: "hold".into(),
        detail: format!("{n:0200}"),
    };
    for n in 0..20 {
        rig.publish
            .lock()
            .unwrap()
            .extend((0..500).map(|m| event(n * 500 + m)));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(eventually(|| rig.publish.lock().unwrap().is_empty()));
    let (mut got, mut lost) = (0, 0);
    while got + lost < 10_000 {
        let line = slow.line().unwrap();
        match line["params"]["topic"].as_str() {
            Some("limit") => got += 1,
            Some("lost") => lost += line["params"]["lost"].as_u64().unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got + lost, 10_000);
    assert!(lost > 0 && got > 0, "{got} {lost}");
}

#[test]
fn a_hundred_clients_are_served_and_one_too_many_is_told() {
    let rig = Rig::with(|config| config.clients = 100, new_store(), None);
    let mut all: Vec<_> = (0..100).map(|_| rig.raw_rw()).collect();
    for raw in &mut all {
        raw.send(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"stats.get\"}\n");
    }
    for raw in &mut all {
        assert_eq!(raw.line().unwrap()["result"]["counters"]["rx"]["total"], 3);
    }
    match Client::connect(&rig.path, &hello(Origin::Operator)) {
        Err(ClientError::Closed(Some(error))) => assert_eq!(error.code, ErrorCode::Limit),
        other => panic!("{other:?}"),
    }
    drop(all.pop());
    assert!(eventually(|| Client::connect(
        &rig.path,
        &hello(Origin::Operator)
    )
    .is_ok()));
}

#[test]
fn hello_comes_first_and_grants_what_was_asked() {
    let rig = Rig::new();
    let mut raw = rig.raw();
    raw.refused(ErrorCode::HelloFirst, "vnet.list", json!({}));
    raw.refused(ErrorCode::Version, "hello", json!({"version": 99}));
    raw.refused(
        ErrorCode::InvalidParams,
        "hello",
        json!({"version": 1, "origin": "file"}),
    );
    raw.ok("hello", json!({"version": 1}));
    let error = raw.refused(
        ErrorCode::Denied,
        "vnet.set",
        json!({"vnet": {"name": "Z", "vni": 1}}),
    );
    assert!(error["data"]["hint"].as_str().unwrap().contains("rw"));
    raw.ok("vnet.list", json!({}));
    let old = Hello {
        version: 2,
        access: Access::ReadOnly,
        origin: Origin::Operator,
        client: String::new(),
    };
    assert!(matches!(
        Client::connect(&rig.path, &old),
        Err(ClientError::Version(_))
    ));
}

#[test]
fn the_socket_is_one_appliances_and_goes_with_it() {
    let rig = Rig::new();
    match Server::bind(ServerConfig::new(&rig.path), None) {
        Err(BindError::InUse { path }) => assert_eq!(path, rig.path),
        other => panic!("{other:?}"),
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&rig.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let directory = std::env::temp_dir().join(format!("weft-control-one-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("s");
    let nobody = || Client::connect(&path, &hello(Origin::Operator));
    assert!(matches!(nobody(), Err(ClientError::NobodyListens { .. })));
    // A socket left by a killed appliance is taken over.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(nobody(), Err(ClientError::NobodyListens { .. })));
    let server = Server::bind(ServerConfig::new(&path), None).unwrap();
    drop(server);
    assert_eq!(
        std::fs::read_dir(&directory).unwrap().count(),
        0,
        "nothing is left behind"
    );
    // What is not a socket is left alone.
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(
        Server::bind(ServerConfig::new(&path), None),
        Err(BindError::NotASocket { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn traces_end_with_their_client() {
    let rig = Rig::new();
    let mut raw = rig.raw_rw();
    raw.ok("trace.start", json!({"count": 10, "filter": {"node": "A"}}));
    raw.refused(ErrorCode::NotFound, "trace.stop", json!({"trace": 2}));
    let mut rest = Vec::new();
    raw.reader
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    raw.reader.read_to_end(&mut rest).unwrap();
    assert!(eventually(|| rig.plant.0.lock().unwrap().stopped == [1]));
}
