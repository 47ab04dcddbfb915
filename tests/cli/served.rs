//! The real binary against the real server: an operator at work.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use weft::control::proto::{Access, Event};
use weft::control::server::ServerConfig;

use crate::rig::{Rig, new_store};
use crate::scripted::{Ran, command, directory, run};

fn weft(rig: &Rig, args: &str) -> Ran {
    run(&mut command(&rig.path, args), "")
}

fn weft_with(rig: &Rig, args: &str, input: &str) -> Ran {
    run(&mut command(&rig.path, args), input)
}

/// The test plan of addresses, typed by hand.
fn planned() -> Rig {
    let rig = Rig::new();
    for args in [
        "vnet add Z --vni 0x5A0001 --prefix 10.0.0.0/8",
        "vnet add Y --vni 0x590001",
        "host add S 2001:db8:0:b:200::/72",
        "host add T 2001:db8:0:c:500::/72",
        "binding add A --vnet Z --address 10.0.0.2 --port tap0 --mac 02:00:00:00:00:02",
        "mapping add --vnet Z 10.0.0.3 --host S --revision 3",
        "route add ::/0 --via fe80::1%up0",
        "neighbor add fe80::1 02:00:00:00:00:01 --port up0",
    ] {
        assert_eq!(weft(&rig, args).ok().out, "1 applied\n", "{args}");
    }
    rig
}

#[test]
fn what_was_added_is_listed_shown_and_removed() {
    let rig = planned();
    assert_eq!(rig.plant.0.lock().unwrap().mappings.len(), 1);
    let again = weft(&rig, "host add S 2001:db8:0:b:200::/72").ok();
    assert_eq!(again.out, "1 unchanged\n");
    let old = weft(&rig, "mapping add --vnet Z 10.0.0.3 --host T --revision 2").ok();
    assert_eq!(old.out, "1 stale (a newer revision is known)\n");
    assert_eq!(weft(&rig, "vnet list").ok().out.lines().count(), 3);
    let held = weft(&rig, "vnet show Z --json").ok().json();
    assert_eq!(held[0]["object"]["vni"], json!(0x5a_0001));
    assert_eq!(held[0]["origin"], json!("operator"));
    let found = weft(&rig, "mapping show --vnet Z 10.0.0.3 --json")
        .ok()
        .json();
    assert_eq!(found[0]["object"]["host"], json!("S"));
    for args in [
        "mapping remove --vnet Z 10.0.0.3 --revision 4",
        "binding remove A",
        "route remove ::/0",
        "neighbor remove fe80::1 --port up0",
        "host remove S",
        "vnet remove Z",
    ] {
        assert_eq!(weft(&rig, args).ok().out, "1 applied\n", "{args}");
    }
    assert!(rig.plant.0.lock().unwrap().mappings.is_empty());
}

#[test]
fn refusals_of_the_server_are_told_with_their_field() {
    let rig = planned();
    for (args, parts) in [
        (
            "mapping add --vnet Z 10.0.0.4 --host X",
            ["mappings[0].host", "X"],
        ),
        ("vnet remove Z", ["vnet", "Z"]),
        ("mapping show --vnet Z 10.9.9.9", ["10.9.9.9", ""]),
        ("explain --from nobody --to 10.0.0.3", ["nobody", ""]),
        ("ctl vnet.list {\"limt\":1}", ["limt", ""]),
        ("ctl no.such", ["no.such", ""]),
        ("log //", ["//", ""]),
    ] {
        let ran = weft(&rig, args);
        assert_eq!(
            (ran.code, ran.err.lines().count()),
            (1, 1),
            "{args}: {ran:?}"
        );
        assert!(ran.err.starts_with("weft: "), "{args}: {}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{args}: {}", ran.err);
        }
    }
}

#[test]
fn reading_commands_read() {
    let rig = planned();
    assert!(weft(&rig, "status").ok().out.contains("\nlayout"));
    assert_eq!(
        weft(&rig, "status --json").ok().json()[0]["plant"]["workers"],
        json!(2)
    );
    assert_eq!(
        weft(&rig, "stats --workers").ok().out,
        "NAME  TOTAL  W0  W1\nrx        3   1   2\n"
    );
    assert_eq!(weft(&rig, "port list").ok().out.lines().count(), 1);
    let cycles = weft(&rig, "stats --cycles").ok().out;
    assert!(
        cycles.contains("worker 0: busy 60.0 %; 6000 packets, 100.0 cycles"),
        "{cycles}"
    );
    let neighbors = weft(&rig, "neighbor list --json").ok().json();
    assert_eq!(neighbors[0]["state"], json!("permanent"));
    assert!(
        weft(&rig, "explain --from A --to 10.0.0.3")
            .ok()
            .out
            .ends_with("outcome: sent\n")
    );
    assert_eq!(weft(&rig, "log warn").ok().out, "");
    assert!(weft(&rig, "trace --seconds 0.3").ok().out.is_empty());
    assert_eq!(rig.plant.0.lock().unwrap().stopped, [1]);
}

#[test]
fn the_dump_is_toml_with_every_mapping() {
    let rig = planned();
    let mut rows = String::new();
    for n in 0..3000 {
        rows += &format!("Z,10.1.{}.{},S\n", n / 250, n % 250);
    }
    weft_with(&rig, "mapping load --keep -", &rows).ok();
    let dump: toml::Table = weft(&rig, "config dump").ok().out.parse().unwrap();
    assert_eq!(dump["vnet"].as_array().unwrap().len(), 2);
    assert_eq!(dump["mapping"].as_array().unwrap().len(), 3001);
    assert_eq!(weft(&rig, "mapping list").ok().out.lines().count(), 3002);
    assert_eq!(weft(&rig, "mapping list --vnet Y --json").ok().out, "");
}

#[test]
fn a_load_replaces_the_operators_mappings_and_a_failed_one_does_not() {
    let rig = planned();
    let ran = weft_with(
        &rig,
        "mapping load - --json",
        "Z,10.0.0.4,S\nY,10.0.0.4,T\n",
    )
    .ok();
    let report = &ran.json()[0];
    assert_eq!(
        (&report["applied"], &report["removed"]),
        (&json!(2), &json!(1))
    );
    let ran = weft_with(&rig, "mapping load -", "Z,10.0.0.5,S\nZ,10.0.0.6,X\n");
    assert!(
        ran.err.starts_with("weft: -:2: mappings[1].host"),
        "{}",
        ran.err
    );
    let left = weft(&rig, "mapping list --json").ok().json();
    let addresses: Vec<_> = left.iter().map(|held| &held["object"]["address"]).collect();
    assert_eq!(addresses, [&json!("10.0.0.4/32"), &json!("10.0.0.4/32")]);
    // What a list prints loads as it is.
    let list = weft(&rig, "mapping list --json").ok().out;
    let ran = weft_with(&rig, "mapping load -", &list).ok();
    assert!(
        ran.out
            .ends_with("0 applied, 2 unchanged, 0 stale, 0 removed\n"),
        "{}",
        ran.out
    );
}

#[test]
fn a_batch_is_all_or_nothing() {
    let rig = planned();
    let lines = "{\"method\":\"host.remove\",\"params\":{\"name\":\"T\"}}\n\
                 {\"method\":\"host.remove\",\"params\":{\"name\":\"S\"}}\n";
    let ran = weft_with(&rig, "ctl --batch -", lines);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("changes[1]"), "{}", ran.err);
    assert_eq!(weft(&rig, "host list --json").ok().json().len(), 2);
}

#[test]
fn events_reach_the_operator() {
    let rig = planned();
    let mut child = command(&rig.path, "events config port --json")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = AtomicBool::new(false);
    let port_down = json!({"topic": "port", "port": "up0", "up": false});
    std::thread::scope(|scope| {
        // Again and again, as nothing says when the subscription is there.
        scope.spawn(|| {
            while !told.load(Ordering::Relaxed) {
                rig.publish.lock().unwrap().push(Event::Port {
                    port: "up0".into(),
                    up: false,
                });
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        told.store(true, Ordering::Relaxed);
        assert_eq!(first, port_down);
    });
    weft(&rig, "host remove T").ok();
    let mut events = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let config = events.find(|event| *event != port_down);
    let removed =
        json!({"topic": "config", "origin": "operator", "method": "host.remove", "applied": 1});
    assert_eq!(config, Some(removed));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_capture_without_packets_is_a_file_without_packets() {
    let rig = planned();
    let place = directory();
    let file = place.join("none.pcapng");
    let ran = weft(
        &rig,
        &format!("capture -w {} --seconds 0.2", file.display()),
    )
    .ok();
    assert_eq!(
        ran.out,
        format!("0 packets, 0 frames in {}\n", file.display())
    );
    assert_eq!(std::fs::read(&file).unwrap()[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_reader_reads_and_may_not_write() {
    if !crate::failures::is_root() {
        eprintln!("only root can become somebody else; not checked");
        return;
    }
    let of_group = |access: Access| {
        let tune = |config: &mut ServerConfig| {
            config.group = Some(65534);
            config.group_access = access;
        };
        Rig::with(tune, new_store(), None)
    };
    let rig = of_group(Access::ReadWrite);
    let nobody = |args: &str| run(command(&rig.path, args).uid(65534).gid(65534), "");
    assert_eq!(nobody("vnet add Z --vni 1").ok().out, "1 applied\n");
    let other = run(command(&rig.path, "vnet list").uid(65534).gid(65533), "");
    let refused = format!(
        "weft: permission denied on {}; become root or join the group of the socket",
        rig.path.display()
    );
    other.failed(3, &refused);

    let rig = of_group(Access::ReadOnly);
    let nobody = |args: &str| run(command(&rig.path, args).uid(65534).gid(65534), "");
    nobody("vnet list").ok();
    let own = run(&mut command(&rig.path, "vnet add Z --vni 1"), "");
    assert_eq!(own.ok().out, "1 applied\n");
    nobody("ctl vnet.list").ok();
    for args in [
        "vnet remove Z",
        "ctl vnet.remove {\"name\":\"Z\"}",
        "mapping load -",
    ] {
        nobody(args).failed(
            1,
            "weft: access: this user may only read (become root, or ask for access ro)",
        );
    }
}
