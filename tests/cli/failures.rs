//! What goes wrong, and that the exit code and one line say so.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use serde_json::json;

use crate::scripted::{Appliance, Say, command, directory, run};

fn silent() -> Appliance {
    Appliance::new(|_, _| vec![])
}

#[test]
fn nobody_listens() {
    let place = directory();
    let missing = place.join("no.sock");
    let why = format!(
        "weft: no appliance listens on {}; start `weft run`, or name its socket with --socket",
        missing.display()
    );
    run(&mut command(&missing, "stats"), "").failed(3, &why);
    // A socket left behind by a process that is gone.
    let stale = place.join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let ran = run(&mut command(&stale, "vnet list --json"), "");
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert!(ran.err.contains("no appliance listens"));
    // The option is stronger than the environment.
    let option = format!("status -s {}", missing.display());
    run(&mut command(&stale, &option), "").failed(3, &why);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn the_socket_may_be_forbidden() {
    let appliance = silent();
    let mode = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(&appliance.socket, mode).unwrap();
    let mut command = command(&appliance.socket, "stats");
    if !is_root() {
        // The owner is never forbidden by the group's bits.
        let mode = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(&appliance.socket, mode).unwrap();
    } else {
        command.uid(65534).gid(65534);
    }
    run(&mut command, "").failed(
        3,
        &format!(
            "weft: permission denied on {}; become root or join the group of the socket",
            appliance.socket.display()
        ),
    );
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

#[test]
fn the_appliance_refuses() {
    let appliance = Appliance::new(|_, _| {
        vec![Say::Error(json!({
            "code": -32005, "message": "no host is called `T`",
            "data": {"field": "mappings[0].host", "hint": "add it with host.set"},
        }))]
    });
    let why = "weft: mappings[0].host: no host is called `T` (add it with host.set)";
    appliance
        .weft("mapping add --vnet Z 10.0.0.3 --host T")
        .failed(1, why);
    let ran = appliance.weft("mapping add --vnet Z 10.0.0.3 --host T --json");
    ran.failed(1, why);
    assert_eq!(ran.out, "");
    appliance.weft("ctl nonsense").failed(1, why);
}

#[test]
fn a_message_of_several_lines_stays_on_one() {
    let appliance = Appliance::new(|_, _| {
        vec![Say::Error(
            json!({"code": -32603, "message": "a\nb\u{1b}[31m"}),
        )]
    });
    appliance.weft("stats").failed(1, "weft: a\\nb\\u{1b}[31m");
}

#[test]
fn the_connection_ends_in_the_middle_of_an_answer() {
    let appliance = Appliance::new(|_, _| {
        vec![
            Say::Bytes("{\"jsonrpc\":\"2.0\",\"id\":2,\"res"),
            Say::Close,
        ]
    });
    appliance
        .weft("status")
        .failed(3, "weft: the appliance closed the connection");
}

#[test]
fn the_last_word_of_the_appliance_is_passed_on() {
    let last = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32007,\"message\":\"too many clients\"}}\n";
    let appliance = Appliance::new(move |_, _| vec![Say::Bytes(last), Say::Close]);
    appliance.weft("status").failed(
        1,
        "weft: the appliance closed the connection: too many clients",
    );
}

#[test]
fn another_protocol_is_not_mistaken_for_ours() {
    for (bytes, part) in [
        ("HTTP/1.1 400 Bad Request\n", "not this protocol"),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"items\":7}}\n",
            "reply of vnet.list",
        ),
    ] {
        let appliance = Appliance::new(move |_, _| vec![Say::Bytes(bytes), Say::Close]);
        let ran = appliance.weft("vnet list");
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let frame = json!({"steps": [], "outcome": "sent", "before": "xyz"});
    Appliance::answering("explain", frame)
        .weft("explain --from A --to 10.0.0.3")
        .failed(3, "weft: the appliance sent what is not this protocol: `before` is not a frame in hexadecimal");
}

#[test]
fn a_list_that_goes_in_circles_ends() {
    let page = json!({"items": [], "next": "again"});
    Appliance::answering("vnet.list", page)
        .weft("vnet list")
        .failed(3, "weft: the appliance sent what is not this protocol: vnet.list turned to the same page twice");
}

#[test]
fn wrong_arguments_are_usage_errors_and_ask_nobody() {
    let appliance = Appliance::new(|_, _| panic!("asked"));
    for args in [
        "",
        "vnets",
        "vnet add Z",
        "vnet add Z --vni 0",
        "vnet add Z --vni 1 --mode vxlan",
        "vnet add Z --vni 1 --dscp 64",
        "vnet add Z --vni 1 --prefix 10.0.0.1/24",
        "vnet add Z --vni 1 --revision 9007199254740992",
        "host add S 2001:db8::1/72",
        "binding add A --vnet Z --address 10.0.0.256 --port p",
        "binding add A --vnet Z --address 10.0.0.2 --port p --vlan 4095",
        "mapping add 10.0.0.3 --vnet Z",
        "mapping remove --vnet Z",
        "mapping list --limit 0",
        "route add ::/0",
        "route add ::/0 --via fe80::1",
        "stats --watch 0",
        "stats --count 3",
        "events misses",
        "explain --from A --to 10.0.0.3 --proto 256",
        "trace -c 0",
        "capture",
        "capture -w - --json",
        "ctl",
        "ctl vnet.list []",
        "ctl vnet.list {",
        "ctl vnet.list --batch x",
        "run",
        "apply",
    ] {
        let ran = appliance.weft(args);
        assert_eq!(ran.code, 2, "{args}: {ran:?}");
        assert!(!ran.err.is_empty(), "{args}");
    }
    assert!(appliance.asked().is_empty());
}

#[test]
fn files_that_are_not_there_are_named() {
    let appliance = silent();
    for args in ["mapping load /nowhere/m.csv", "ctl --batch /nowhere/m.csv"] {
        appliance.weft(args).failed(
            1,
            "weft: /nowhere/m.csv: No such file or directory (os error 2)",
        );
    }
    let appliance = Appliance::answering("status.get", status());
    appliance.weft("capture -w /nowhere/m.pcapng").failed(
        1,
        "weft: /nowhere/m.pcapng: No such file or directory (os error 2)",
    );
}

pub(crate) fn status() -> serde_json::Value {
    json!({
        "version": "0.1.0", "pid": 1, "objects": {}, "origins": {}, "tombstones": 0,
        "mapping_bytes": 0, "clients": 1, "socket": {},
        "plant": {"uptime_ms": 10_000, "workers": 1, "layout": "p72", "locator": ""},
    })
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let appliance = Appliance::new(|_, params| {
        let n: u32 = params["cursor"].as_str().map_or(0, |c| c.parse().unwrap());
        let item = json!({"object": {"name": "S".repeat(1000), "locator": "2001:db8::/72"},
                          "origin": "file", "revision": 0});
        vec![Say::Result(
            json!({"items": vec![item; 100], "next": (n + 1).to_string()}),
        )]
    });
    let mut child = command(&appliance.socket, "host list --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with('{'));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn running_without_dpdk_says_so() {
    if cfg!(feature = "dpdk") {
        return;
    }
    silent().weft("run -c host.toml --no-huge").failed(
        1,
        "weft: cannot run host.toml: this binary was built without DPDK; build it with the feature `dpdk` (the default)",
    );
}
