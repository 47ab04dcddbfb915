//! `weft apply`: a file, its difference, and its faults.

use serde_json::json;
use weft::control::server::ServerConfig;

use crate::rig::{FILE, Rig, new_store};
use crate::scripted::{Appliance, Ran, Say, command, directory, run};

/// Files in a directory of their own.
struct Files(std::path::PathBuf);

impl Files {
    fn new() -> Files {
        Files(directory())
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn weft(rig: &Rig, args: &str) -> Ran {
    run(&mut command(&rig.path, args), "")
}

#[test]
fn the_file_is_sent_and_the_difference_printed() {
    let appliance = Appliance::answering(
        "config.apply",
        json!({
            "dry_run": false,
            "settings": [{"path": "log.level", "old": "info", "new": "debug"}],
            "objects": [
                {"kind": "vnet", "key": "Z", "change": "changed", "fields": [
                    {"field": "mode", "old": "siit", "new": "transparent"},
                    {"field": "vni", "old": 5898241, "new": 5898242},
                    {"field": "mtu", "new": 1400},
                    {"field": "prefixes", "old": ["10.0.0.0/8"]}]},
                {"kind": "host", "key": "T\u{1b}[2J", "change": "removed", "fields": [{"field": "name", "old": "T"}]},
                {"kind": "mapping", "key": "Z 10.0.0.9/32", "change": "added", "fields": [{"field": "host", "new": "S"}]},
                {"kind": "mapping", "key": "Z 10.0.0.8/32", "change": "changed", "fields": [{"field": "host", "old": "S", "new": "T"}]}],
            "added": 101, "changed": 3, "removed": 1, "unchanged": 120, "unlisted": 100,
            "overridden": [{"kind": "binding", "key": "A", "origin": "operator"}],
            "more_overridden": 7,
            "warnings": [{"path": "host[0].locator", "message": "no route", "hint": "add one", "at": [3, 1]}],
        }),
    );
    let files = Files::new();
    let file = files.put("new.toml", "name = \"R\"\n");
    let ran = appliance.weft(&format!("apply {file} --dry-run"));
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.out,
        "log.level: info -> debug\n\
         vnet Z: mode siit -> transparent, vni 0x5a0001 -> 0x5a0002, mtu (none) -> 1400, \
         prefixes [\"10.0.0.0/8\"] -> (none)\n\
         host T\\u{1b}[2J: removed\n\
         mapping Z 10.0.0.9/32 -> S: added\n\
         mapping Z 10.0.0.8/32: host S -> T\n\
         … and 100 more\n\
         binding A stays as origin operator wants it\n\
         … and 7 more stay\n\
         105 changes applied (101 added, 3 changed, 1 removed), 120 unchanged\n"
    );
    assert_eq!(
        ran.err,
        format!("{file}:3:1: warning: host[0].locator: no route\n  hint: add one\n")
    );
    let sent = json!({"name": file, "text": "name = \"R\"\n", "dry_run": true});
    assert_eq!(appliance.asked(), [("config.apply".to_owned(), sent)]);
    assert_eq!(appliance.access(), "rw");
    appliance.weft(&format!("apply {file} --all"));
    assert!(appliance.asked()[0].1["mappings"].as_u64() > Some(1 << 40));
    let ran = appliance.weft_with("apply - --json", "name = 1");
    assert_eq!(ran.json()[0]["added"], 101);
    assert_eq!(appliance.asked()[0].1["name"], "-");
}

#[test]
fn what_is_wrong_is_shown_as_check_shows_it() {
    let rig = Rig::new();
    let files = Files::new();
    let good = files.put("good.toml", FILE);
    let bad = files.put(
        "bad.toml",
        &FILE
            .replace("vnet = \"Z\"", "vnet = \"X\"")
            .replace("vni =", "vno ="),
    );
    let checked = weft(&rig, &format!("check {bad}"));
    let ran = weft(&rig, &format!("apply {bad}"));
    let last = format!("weft: {bad} has 2 problems; nothing was changed\n");
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert_eq!(ran.err, checked.err + &last);
    let told = weft(&rig, &format!("apply {bad} --json")).json();
    assert_eq!(
        (&told[0]["ok"], &told[0]["file"]),
        (&json!(false), &json!(bad))
    );
    assert_eq!(told[0]["problems"][0]["at"], json!([19, 1]));
    // Nothing of it is there.
    assert_eq!(weft(&rig, "vnet list").ok().out.lines().count(), 1);

    let ran = weft(&rig, &format!("apply {good}"));
    assert!(
        ran.out
            .ends_with("3 changes applied (3 added, 0 changed, 0 removed), 0 unchanged\n"),
        "{}",
        ran.out
    );
    let again = weft(&rig, &format!("apply {good}"));
    assert_eq!(again.out, "nothing to change, 3 unchanged\n");
    let other = files.put("other.toml", &FILE.replace("name = \"R\"", "name = \"Q\""));
    let ran = weft(&rig, &format!("apply --dry-run {other}"));
    assert_eq!(
        (ran.code, ran.err),
        (
            1,
            format!(
                "{other}:1:1: name: cannot change while running: R -> Q\n  \
             hint: restart the appliance with this file, or take this back\n\
             weft: {other} changes a key that needs a restart; nothing was changed\n"
            )
        )
    );
    let moved = files.put("moved.toml", &FILE.replace("10.0.0.3", "10.0.0.4"));
    let dry = weft(&rig, &format!("apply --dry-run {moved}"));
    assert_eq!(
        dry.out,
        "mapping Z 10.0.0.4/32 -> S: added\n\
         mapping Z 10.0.0.3/32 -> S: removed\n\
         2 changes would be applied (1 added, 0 changed, 1 removed), 2 unchanged\n"
    );
}

#[test]
fn files_that_cannot_be_sent_are_told_before() {
    let files = Files::new();
    let tune = |config: &mut ServerConfig| config.line = 2048;
    let rig = Rig::with(tune, new_store(), None);
    let file = files.put("large.toml", &(FILE.to_owned() + &"# a line\n".repeat(300)));
    let ran = weft(&rig, &format!("apply {file}"));
    assert_eq!(ran.code, 1);
    for part in [
        &*file,
        "the appliance takes 2048",
        "control.line_bytes",
        "weft mapping load",
    ] {
        assert!(ran.err.contains(part), "{}", ran.err);
    }
    let small = files.put("small.toml", FILE);
    assert_eq!(weft(&rig, &format!("apply {small}")).code, 0);
    let missing = weft(&rig, "apply /nonexistent.toml");
    missing.failed(
        1,
        "weft: /nonexistent.toml: No such file or directory (os error 2)",
    );
    std::fs::write(files.0.join("latin"), b"name = \"\xe9\"").unwrap();
    let ran = weft(&rig, &format!("apply {}", files.0.join("latin").display()));
    assert!(ran.err.ends_with("not text in UTF-8\n"), "{}", ran.err);
    let appliance =
        Appliance::new(|_, _| vec![Say::Error(json!({"code": -32007, "message": "full"}))]);
    appliance
        .weft(&format!("apply {small}"))
        .failed(1, "weft: full");
    assert_eq!(appliance.weft("apply").code, 2);
}
