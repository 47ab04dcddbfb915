//! Mark and sweep, each origin for itself.

use std::time::Duration;

use serde_json::json;
use weft::control::proto::ErrorCode;

use crate::rig::*;
use crate::state::{agent, set};

#[test]
fn a_sync_sweeps_its_own_origin_without_a_gap() {
    let rig = Rig::new();
    let (mut operator, mut first) = (rig.raw_rw(), agent(&rig));
    test_plan(&mut operator);
    set(&mut operator, &[mapping("10.1.0.1", "S", 0)]);
    set(
        &mut first,
        &[
            mapping("10.0.0.3", "S", 1),
            mapping("10.0.0.4", "S", 1),
            mapping("10.0.0.5", "S", 1),
        ],
    );
    first.ok("sync.begin", json!({"kinds": ["mapping"]}));
    let mut second = agent(&rig);
    second.refused(ErrorCode::Sync, "sync.begin", json!({"kinds": ["mapping"]}));
    second.refused(ErrorCode::Sync, "sync.commit", json!({}));
    // Unchanged, stale and new mentions all count.
    set(
        &mut first,
        &[mapping("10.0.0.3", "S", 1), mapping("10.0.0.6", "T", 1)],
    );
    rig.plant.0.lock().unwrap().removes = 0;
    assert_eq!(
        rig.plant.0.lock().unwrap().mappings.len(),
        5,
        "nothing goes before commit"
    );
    assert_eq!(
        first.ok("sync.commit", json!({})),
        json!({"removed": 2, "kept": []})
    );
    {
        let told = rig.plant.0.lock().unwrap();
        assert_eq!(
            (told.mappings.len(), told.removes),
            (3, 2),
            "what stays is never removed"
        );
    }
    // An aborted sync removes nothing, and the one after it is right.
    first.ok("sync.begin", json!({"kinds": ["mapping"]}));
    set(&mut first, &[mapping("10.0.0.3", "S", 1)]);
    first.ok("sync.abort", json!({}));
    assert_eq!(rig.plant.0.lock().unwrap().mappings.len(), 3);
    first.ok("sync.begin", json!({"kinds": ["mapping"]}));
    set(&mut first, &[mapping("10.0.0.6", "T", 1)]);
    assert_eq!(first.ok("sync.commit", json!({}))["removed"], 1);
    let left = operator.ok("mapping.list", json!({"vnet": "Z"}))["items"].take();
    assert_eq!(left.as_array().unwrap().len(), 2);
    // A client that leaves aborts its sync.
    first.ok("sync.begin", json!({"kinds": ["mapping", "vnet"]}));
    drop(first);
    for _ in 0..200 {
        if second
            .call("sync.begin", json!({"kinds": ["mapping"]}))
            .get("error")
            .is_none()
        {
            assert_eq!(second.ok("sync.commit", json!({}))["removed"], 1);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the sync of a client that left is still open");
}

#[test]
fn a_sync_keeps_what_others_refer_to() {
    let rig = Rig::new();
    let (mut operator, mut first) = (rig.raw_rw(), agent(&rig));
    test_plan(&mut first);
    set(&mut operator, &[mapping("10.1.0.1", "S", 0)]);
    first.ok("sync.begin", json!({"kinds": ["vnet", "host", "mapping"]}));
    let swept = first.ok("sync.commit", json!({}));
    assert_eq!(swept["removed"], 2, "{swept}");
    assert_eq!(
        swept["kept"],
        json!([
            "host S is used by 1 mappings",
            "vnet Z is used by 1 mappings"
        ])
    );
}
