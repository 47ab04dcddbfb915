//! Commands that go on: events, traces, captures, live tables.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::failures::status;
use crate::scripted::{Appliance, Say, directory};

const BEFORE: &str =
    "02000000000202000000000a08004500002000004000400100000a0000020a0000030800000000000000";
const AFTER: &str = "02000000000102000000000b86dd6b840a0000083a4020010db80000000a015a00010a00000220010db80000000b025a00010a0000038000000000010001";

fn miss(n: u32) -> Value {
    json!({"topic": "miss", "vnet": "Z", "address": "10.0.0.3", "node": "A", "held": n})
}

#[test]
fn events_as_they_come() {
    let appliance = Appliance::new(|method, params| {
        assert_eq!(method, "subscribe");
        // One before the answer, as a busy appliance may.
        vec![
            Say::Event(miss(1)),
            Say::Result(json!({"topics": params["topics"]})),
            Say::Event(miss(2)),
            Say::Event(miss(3)),
        ]
    });
    let ran = appliance.weft("events miss port -c 2 --json").ok();
    assert_eq!(ran.json(), [miss(1), miss(2)]);
    assert_eq!(appliance.asked()[0].1, json!({"topics": ["miss", "port"]}));
    let ran = appliance.weft("events --seconds 0.5").ok();
    let lines: Vec<_> = ran
        .out
        .lines()
        .map(|line| line.split_once("Z  ").unwrap().1)
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "miss     vnet=Z address=10.0.0.3 node=A held=1");
    let topics = &appliance.asked()[0].1["topics"];
    assert_eq!(
        topics.as_array().unwrap().len(),
        weft::control::proto::Topic::ALL.len()
    );
}

#[test]
fn events_end_with_the_appliance() {
    let appliance = Appliance::new(|_, _| {
        vec![
            Say::Result(json!({"topics": []})),
            Say::Event(miss(1)),
            Say::Close,
        ]
    });
    let ran = appliance.weft("events");
    assert_eq!(ran.out.lines().count(), 1);
    ran.failed(3, "weft: the appliance closed the connection");
}

#[test]
fn ctrl_c_ends_a_trace_in_good_order() {
    let appliance = tracing(vec![sent(1_000)]);
    let mut command = crate::scripted::command(&appliance.socket, "trace -c 100");
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !appliance
        .requests
        .lock()
        .unwrap()
        .iter()
        .any(|(m, _)| m == "trace.start")
    {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = crate::scripted::finished(child.wait_with_output().unwrap()).ok();
    assert!(ran.out.starts_with("#1 at 0.001000 s"), "{}", ran.out);
    assert_eq!(appliance.asked().pop().unwrap().0, "trace.stop");
}

fn sent(time_us: u64) -> Value {
    json!({
        "time_us": time_us, "worker": 1, "outcome": "sent", "port": "vm1", "out_port": "wan0",
        "before": BEFORE, "after": AFTER, "before_length": 1514,
        "steps": [
            {"stage": "parse", "verdict": "icmp"},
            {"stage": "resolve", "verdict": "remote", "detail": "S"},
        ],
    })
}

fn dropped(time_us: u64) -> Value {
    json!({
        "time_us": time_us, "worker": 0, "outcome": "no_mapping", "port": "vm1", "before": BEFORE,
        "steps": [{"stage": "resolve", "verdict": "no_mapping"}],
    })
}

/// Traces these packets, with one of somebody else's trace between them.
fn tracing(records: Vec<Value>) -> Appliance {
    Appliance::new(move |method, _| match method {
        "status.get" => vec![Say::Result(status())],
        "trace.start" => {
            let mut says = vec![Say::Result(json!({"trace": 5}))];
            let event = |trace, record| {
                Say::Event(json!({"topic": "trace", "trace": trace, "record": record}))
            };
            for record in &records {
                says.push(event(6, dropped(0)));
                says.push(event(5, record.clone()));
            }
            says
        }
        "trace.stop" => vec![Say::Error(json!({"code": -32005, "message": "no trace 5"}))],
        other => panic!("{other}"),
    })
}

#[test]
fn trace_shows_packets_stage_by_stage() {
    let appliance = tracing(vec![sent(1_500_000), dropped(2_000_001)]);
    let ran = appliance
        .weft("trace --node A --vnet Z --address 10.0.0.3 --port vm1 --drops -c 2")
        .ok();
    assert_eq!(
        ran.out,
        "#1 at 1.500000 s, worker 1, in vm1, out wan0: sent
  before: 10.0.0.2 > 10.0.0.3 icmp type 8 code 0, length 32, ttl 64, df
  parse    icmp
  resolve  remote  S
  after: 2001:db8:0:a:15a:1:a00:2 > 2001:db8:0:b:25a:1:a00:3 icmpv6 type 128 code 0, payload 8, hop limit 64, label 0x40a00, class 0xb8
#2 at 2.000001 s, worker 0, in vm1: no_mapping
  before: 10.0.0.2 > 10.0.0.3 icmp type 8 code 0, length 32, ttl 64, df
  resolve  no_mapping
"
    );
    assert_eq!(
        appliance.asked(),
        [
            (
                "trace.start".to_owned(),
                json!({"filter": {"node": "A", "vnet": "Z", "address": "10.0.0.3", "port": "vm1", "drops": true}, "count": 2})
            ),
            ("trace.stop".to_owned(), json!({"trace": 5})),
        ]
    );
    let ran = appliance.weft("trace -c 1 --json").ok();
    assert_eq!(ran.json(), [sent(1_500_000)]);
}

#[test]
fn lost_records_are_told_and_not_waited_for() {
    let appliance = Appliance::new(|method, _| match method {
        "trace.start" => vec![
            Say::Result(json!({"trace": 5})),
            Say::Event(json!({"topic": "lost", "lost": 3})),
            Say::Event(json!({"topic": "trace", "trace": 5, "record": dropped(0)})),
        ],
        _ => vec![Say::Result(json!({"packets": 4, "lost": 2}))],
    });
    let ran = appliance.weft("trace -c 4");
    assert_eq!(ran.code, 0);
    assert!(
        ran.err.starts_with("weft: 5 records were lost"),
        "{}",
        ran.err
    );
}

/// Blocks of a pcapng file: type and body.
fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
    let mut all = Vec::new();
    while let Some(head) = file.get(..8) {
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let length = word(4) as usize;
        all.push((word(0), &file[8..length - 4]));
        file = &file[length..];
    }
    all
}

#[test]
fn capture_writes_both_sides_of_a_packet() {
    let appliance = tracing(vec![sent(1_500_000), dropped(2_000_001)]);
    let place = directory();
    let file = place.join("a.pcapng");
    let name = file.display();
    let ran = appliance
        .weft(&format!("capture -w {name} --address 2001:db8::1 -c 2"))
        .ok();
    assert_eq!(ran.out, format!("2 packets, 3 frames in {name}\n"));
    let bytes = std::fs::read(&file).unwrap();
    let blocks = blocks(&bytes);
    let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 1, 6, 6]);
    let text: Vec<_> = blocks
        .iter()
        .map(|(_, body)| String::from_utf8_lossy(body))
        .collect();
    assert!(text[1].contains("vm1 received") && text[3].contains("wan0 sent"));
    assert!(text[2].contains("record 1 before: sent; parse: icmp; resolve: remote (S)"));
    assert!(text[4].contains("record 1 after: sent"));
    assert!(text[5].contains("record 2 before: dropped as no_mapping"));
    // Kept and original length of the first frame, which was cut.
    assert_eq!(blocks[2].1[12..20], [42, 0, 0, 0, 0xea, 5, 0, 0]);
    let filter = json!({"filter": {"address": "2001:db8::1"}, "count": 2});
    assert_eq!(appliance.asked()[1], ("trace.start".to_owned(), filter));
    let json = appliance
        .weft(&format!("capture -w {name} -c 2 --json"))
        .ok()
        .json();
    assert_eq!(
        json,
        [json!({"records": 2, "frames": 3, "lost": 0, "file": name.to_string()})]
    );
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn capture_to_a_pipe_is_a_capture_and_nothing_else() {
    let appliance = tracing(vec![sent(0)]);
    let output = crate::scripted::command(&appliance.socket, "capture -w - -c 1")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(blocks(&output.stdout).len(), 5);
    assert_eq!(output.stderr, b"weft: 1 packets, 2 frames\n");
}

/// Frame lengths and comments as a reader other than ours sees them.
#[test]
fn tshark_reads_a_capture() {
    let appliance = tracing(vec![sent(1_500_000), dropped(2_000_001)]);
    let place = directory();
    let file = place.join("a.pcapng");
    appliance
        .weft(&format!("capture -w {} -c 2", file.display()))
        .ok();
    let fields = [
        "frame.interface_name",
        "frame.packet_id",
        "frame.packet_flags_direction",
        "frame.comment",
    ];
    let mut tshark = std::process::Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-T", "fields"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let Ok(output) = tshark.output() else {
        eprintln!("tshark is not installed; not checked");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(
        rows.len(),
        3,
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(rows[0][0], "vm1 received");
    assert_eq!(rows[1][0], "wan0 sent");
    assert_eq!(
        rows[1][3],
        "record 1 after: sent; parse: icmp; resolve: remote (S)"
    );
    assert_eq!(
        rows[2][3],
        "record 2 before: dropped as no_mapping; resolve: no_mapping"
    );
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn stats_cycles_of_an_interval() {
    let asked = AtomicU64::new(0);
    let appliance = Appliance::new(move |_, _| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        vec![Say::Result(
            json!({"uptime_ms": 1000 + n * 500, "hz": 1000, "fills": [], "workers": [{
                "worker": 0, "rounds": 0, "busy_rounds": 0, "busy_cycles": 5000 + n * 300,
                "idle_cycles": 7000 + n * 100, "packets": 100 + n * 30, "sampled": n,
                "interrupted": 0, "bursts": [],
                "stages": [{"stage": "rx", "cycles": 70 + n * 64, "packets": 7 + n * 32}],
            }]}),
        )]
    });
    let json = appliance
        .weft("stats --cycles -w 0.1 -c 2 --json")
        .ok()
        .json();
    for (n, shown) in json.iter().enumerate() {
        let worker = &shown["workers"][0];
        assert_eq!(shown["over_ms"], json!(500));
        assert_eq!(shown["uptime_ms"], json!(1500 + n * 500));
        assert_eq!(worker["busy_cycles"], json!(300));
        assert_eq!(worker["idle_cycles"], json!(100));
        assert_eq!(worker["packets"], json!(30));
        assert_eq!(
            worker["stages"][0],
            json!({"stage": "rx", "cycles": 64, "packets": 32})
        );
    }
    assert_eq!(json.len(), 2);
    let text = appliance.weft("stats --cycles -w 0.1 -c 1").ok().out;
    assert!(
        text.contains("worker 0: busy 75.0 %; 30 packets, 10.0 cycles a packet"),
        "{text}"
    );
}

#[test]
fn stats_watch_shows_rates() {
    let asked = AtomicU64::new(0);
    let appliance = Appliance::new(move |_, _| {
        let n = asked.fetch_add(1, Ordering::Relaxed);
        vec![Say::Result(
            json!({"uptime_ms": 1000 + n * 500, "counters": {
                "rx": {"help": "", "total": 1000 + n * 250},
                "held": {"help": "", "total": 3, "gauge": true},
            }}),
        )]
    });
    let ran = appliance.weft("stats --watch 0.1 -c 2").ok();
    assert_eq!(
        ran.out,
        "up 1.0 s\nNAME  TOTAL  PER SECOND\nheld      3           -\nrx     1000           -\n\
         up 1.5 s\nNAME  TOTAL  PER SECOND\nheld      3           -\nrx     1250         500\n"
    );
    let json = appliance.weft("stats -w 0.1 -c 2 --json").ok().json();
    assert_eq!(json[0].get("rates"), None);
    assert_eq!(json[1]["rates"], json!({"rx": 500.0}));
}
