//! A million mappings over the socket, inside one sync.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;
use weft::control::server::{Server, ServerConfig};

use crate::rig::*;

/// In release the real number, with its bar; otherwise enough to be a test.
const MAPPINGS: u32 = if cfg!(debug_assertions) {
    50_000
} else {
    1_000_000
};
const BATCH: u32 = 1000;
const BAR: Duration = Duration::from_secs(2);

fn batches() -> Vec<u8> {
    let mut text = Vec::new();
    for batch in 0..MAPPINGS / BATCH {
        let rows: Vec<_> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|n| {
                let [_, b, c, d] = n.to_be_bytes();
                let host = if n % 3 == 0 { "S" } else { "T" };
                mapping(&format!("10.{b}.{c}.{d}"), host, 5)
            })
            .collect();
        let params = json!({"vnet": "Z", "mappings": rows});
        writeln!(
            text,
            "{}",
            json!({"jsonrpc": "2.0", "id": batch, "method": "mapping.set", "params": params})
        )
        .unwrap();
    }
    text
}

#[test]
fn a_million_mappings_in_one_sync() {
    let rig = Rig::new();
    rig.plant.0.lock().unwrap().count_only = true;
    let mut raw = rig.raw();
    raw.ok(
        "hello",
        json!({"version": 1, "access": "rw", "origin": "agent"}),
    );
    test_plan(&mut raw);
    let text = batches();
    for (round, applied) in [("new", BATCH), ("again", 0)] {
        let started = Instant::now();
        raw.ok("sync.begin", json!({"kinds": ["mapping"]}));
        let mut writer = raw.reader.get_ref().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&text).unwrap());
            for _ in 0..MAPPINGS / BATCH {
                let answer = raw.line().unwrap();
                assert_eq!(answer["result"]["applied"], applied, "{answer}");
            }
        });
        assert_eq!(raw.ok("sync.commit", json!({}))["removed"], 0);
        let took = started.elapsed();
        println!("{round}: {MAPPINGS} mappings in {took:?}");
        assert!(cfg!(debug_assertions) || took < BAR, "{took:?}");
    }
    assert_eq!(rig.plant.0.lock().unwrap().sets, MAPPINGS as usize);
    let started = Instant::now();
    raw.ok("sync.begin", json!({"kinds": ["mapping"]}));
    assert_eq!(raw.ok("sync.commit", json!({}))["removed"], MAPPINGS);
    println!("swept in {:?}", started.elapsed());
    let store = rig.end();
    assert_eq!(store.mapping_count(), 0);
}

/// Time this thread has worked: what others do on the machine is not counted.
pub(crate) fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The server in this thread: how long one call of `poll` takes under the
/// flood, and what a mapping costs on one core.
#[test]
fn a_slice_is_short_under_a_flood() {
    let directory = std::env::temp_dir().join(format!("weft-control-slice-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&directory));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("s");
    let mut server = Server::bind(ServerConfig::new(&path), None).unwrap();
    let mut store = new_store();
    let mut plant = TestPlant::default();
    plant.0.lock().unwrap().count_only = true;
    let sender = std::thread::spawn(move || {
        let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let mut raw = Raw {
            reader: std::io::BufReader::new(stream),
        };
        raw.ok(
            "hello",
            json!({"version": 1, "access": "rw", "origin": "agent"}),
        );
        test_plan(&mut raw);
        let text = batches();
        let mut writer = raw.reader.get_ref().try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&text).unwrap());
            for _ in 0..MAPPINGS / BATCH {
                raw.line().unwrap();
            }
        });
        raw.ok("sync.begin", json!({"kinds": ["mapping"]}));
        raw.ok("sync.commit", json!({}));
    });
    let mut slices = Vec::new();
    while !sender.is_finished() {
        let started = cpu();
        server
            .poll(Duration::ZERO, &mut store, &mut plant, 0)
            .unwrap();
        slices.push(cpu() - started);
    }
    sender.join().unwrap();
    slices.sort();
    // Only those with work: the others would hide them.
    slices.retain(|slice| *slice > Duration::from_micros(50));
    let at = |part: f64| slices[((slices.len() - 1) as f64 * part) as usize];
    let busy: Duration = slices.iter().sum();
    println!(
        "slices with work: p50 {:?} p99 {:?} max {:?}; busy {busy:?} for {MAPPINGS} mappings",
        at(0.5),
        at(0.99),
        at(1.0),
    );
    // A line begun just before the end of a slice is finished; the rest is
    // slack for a machine that does other things.
    assert!(cfg!(debug_assertions) || at(0.99) < Duration::from_millis(5));
    assert_eq!(
        store.mapping_count(),
        0,
        "the sync swept what it did not mention"
    );
    assert_eq!(plant.0.lock().unwrap().removes, MAPPINGS as usize);
    std::fs::remove_dir_all(&directory).unwrap();
}
