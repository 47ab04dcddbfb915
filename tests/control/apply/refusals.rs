//! Files that are refused leave everything as it was.

use serde_json::json;
use weft::control::proto::*;

use super::{apply, calls, dump, refused, running, with};
use crate::rig::*;

#[test]
fn what_needs_a_restart_is_refused_all_of_it_by_name() {
    let (rig, mut client) = running();
    let before = dump(&mut client);
    let text = with("device = \"net_null1\"", "device = \"net_null7\"")
        .replace(
            "locator = \"2001:db8:0:a:100::/72\"",
            "locator = \"2001:db8:0:d:100::/72\"",
        )
        .replace("vni = 0x5A0001", "vni = 7")
        + "[runtime]\nworkers = [1, 2]\n[log]\nlevel = \"debug\"\n[limits]\nhosts = 5\n";
    let error = refused(&mut client, &text);
    assert_eq!(error.code, ErrorCode::Restart);
    assert_eq!(
        error.message,
        "new.toml changes 4 keys that need a restart; nothing was changed"
    );
    let data = error.data.unwrap();
    let lines: Vec<_> = data
        .problems
        .iter()
        .map(|p| (p.path.as_str(), p.at.unwrap(), json!([p.old, p.new])))
        .collect();
    assert_eq!(
        lines,
        [
            (
                "locator",
                (2, 1),
                json!(["2001:db8:0:a:100::/72", "2001:db8:0:d:100::/72"])
            ),
            ("port[1].device", (11, 1), json!(["net_null1", "net_null7"])),
            ("runtime.workers", (33, 1), json!([[1], [1, 2]])),
            ("limits.hosts", (37, 1), json!([4096, 5])),
        ]
    );
    assert!(
        data.problems
            .iter()
            .all(|p| p.hint.as_ref().is_some_and(|h| h.contains("restart")))
    );
    assert_eq!(calls(&rig), [""; 0]);
    assert_eq!(dump(&mut client), before);
}

/// Hosts of two layouts do not understand each other, so none changes while
/// nodes talk.
#[test]
fn a_layout_stays() {
    let (rig, mut client) = running();
    let text = with("name = \"R\"", "name = \"R\"\nlayout = \"slot\"")
        .replace("2001:db8:0:a:100::/72", "2001:db8:0:a::/64")
        .replace("2001:db8:0:b:200::/72", "2001:db8:0:b::/64");
    let error = refused(&mut client, &text);
    assert_eq!(error.code, ErrorCode::Restart);
    let data = error.data.unwrap();
    let paths: Vec<_> = data.problems.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["layout", "locator"]);
    assert_eq!(calls(&rig), [""; 0]);
}

#[test]
fn a_broken_file_is_refused_with_its_places() {
    let (rig, mut client) = running();
    let before = dump(&mut client);
    let error = refused(&mut client, &with("vnet = \"Z\"", "vnet = \"Q\""));
    assert_eq!(error.code, ErrorCode::InvalidParams);
    let data = error.data.unwrap();
    let problem = &data.problems[0];
    assert_eq!(
        (problem.path.as_str(), problem.at),
        ("mapping[0].vnet", Some((29, 1)))
    );
    let error = refused(&mut client, &with("[[vnet]]", "[[vnet"));
    assert_eq!(error.data.unwrap().problems[0].at.unwrap().0, 19);
    // Thousands of problems are counted, not sent.
    let many = "[[mapping]]\nvnet = 1\naddress = 1\nhost = 1\n".repeat(50_000);
    let data = refused(&mut client, &(FILE.to_owned() + &many))
        .data
        .unwrap();
    assert!(
        data.problems.len() > 1000 && data.more > 10_000,
        "{}",
        data.more
    );
    assert_eq!(calls(&rig), [""; 0]);
    assert_eq!(dump(&mut client), before);
}

#[test]
fn a_plant_that_refuses_gets_the_old_state_back() {
    let (rig, mut client) = running();
    let before = dump(&mut client);
    let rows = |n: u32| -> String {
        let row =
            |i| format!("[[mapping]]\nvnet = \"Z\"\naddress = \"10.1.0.{i}\"\nhost = \"S\"\n");
        FILE.to_owned() + &(0..n).map(row).collect::<String>() + "[log]\nlevel = \"warn\"\n"
    };
    let held = |rig: &Rig| rig.plant.0.lock().unwrap().mappings.clone();
    let had = held(&rig);
    // The table is full in the middle.
    rig.plant.0.lock().unwrap().room = Some(5);
    assert_eq!(refused(&mut client, &rows(9)).code, ErrorCode::Limit);
    assert_eq!(
        (held(&rig), dump(&mut client)),
        (had.clone(), before.clone())
    );
    // At the limit, what goes makes room for what comes.
    let report = apply(&mut client, &rows(4));
    assert_eq!(report.added, 4);
    let other = rows(4).replace("10.1.0.", "10.2.0.");
    assert_eq!(apply(&mut client, &other).removed, 4);
    assert_eq!(held(&rig).len(), 5);
    apply(&mut client, FILE);
    // No snapshot, or the last step fails.
    for stage in ["topology", "settings"] {
        let set = |on: bool| {
            let mut told = rig.plant.0.lock().unwrap();
            match stage {
                "topology" => told.refuse_topology = on,
                _ => told.refuse_settings = on,
            }
        };
        set(true);
        let text = rows(2).replace("prefixes = [\"10.0.0.0/8\"]", "prefixes = []");
        assert_eq!(
            refused(&mut client, &text).code,
            ErrorCode::Refused,
            "{stage}"
        );
        set(false);
        assert_eq!(
            (held(&rig), dump(&mut client)),
            (had.clone(), before.clone()),
            "{stage}"
        );
    }
}
