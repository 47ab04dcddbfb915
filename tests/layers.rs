//! The structure that the map at the head of the crate promises, read off the
//! sources: who may use whom, and where the exceptions may stand.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the bottom up. A module uses its own and lower layers' ones.
const LAYERS: [&[&str]; 8] = [
    &["arch", "reasons", "time", "wire"],
    &["clock", "lpm", "model", "packet", "pace"],
    &["mapping", "siit", "port"],
    &["datapath", "link4", "node", "substrate", "config"],
    &["control"],
    &["appliance"],
    &["cli"],
    &["lib", "main"],
];

/// Where unsafe code may stand; the rest of the crate denies it.
const UNSAFE: [&str; 2] = ["src/mapping/", "src/arch.rs"];

/// Who may name the crate that wraps DPDK.
const NAMES_DPDK: [&str; 6] = [
    "src/port/dpdk.rs",
    "src/appliance/dpdk.rs",
    "src/appliance/dpdk/offload.rs",
    "src/appliance/dpdk_devices.rs",
    "src/appliance/dpdk_hotplug.rs",
    "src/appliance/start.rs",
];

fn sources(directory: &str) -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(directory), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    found
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).unwrap()))
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top module a file of `src/` belongs to.
fn module(file: &str) -> &str {
    let rest = file.strip_prefix("src/").unwrap();
    rest.split(['/', '.']).next().unwrap()
}

/// Lines that are code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.split("//").next().unwrap_or_default()))
}

/// The modules that `crate::…` names in a line, braces included.
fn used(line: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let group = rest.strip_prefix('{');
        let names = match group {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => rest,
        };
        for name in names.split(',').take(if group.is_some() { 64 } else { 1 }) {
            let end = |c: char| !(c.is_alphanumeric() || c == '_');
            modules.extend(
                name.trim()
                    .split(end)
                    .next()
                    .filter(|name| !name.is_empty()),
            );
        }
    }
    modules
}

#[test]
fn arrows_point_down_only() {
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for (file, text) in sources("src") {
        let own = module(&file);
        let rank = layer(own).unwrap_or_else(|| panic!("{file}: no layer has `{own}`"));
        for (n, line) in code(&text) {
            for other in used(line) {
                // A macro or an item of the crate's root.
                let Some(theirs) = layer(other) else { continue };
                arrows += 1;
                if other != own && theirs >= rank {
                    wrong.push(format!("{file}:{n}: {own} uses {other}"));
                }
            }
        }
    }
    assert!(
        arrows > 200,
        "only {arrows} uses found: the search is broken"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stands_where_it_may() {
    let mut blocks = 0;
    for (file, text) in sources("src") {
        let allowed = UNSAFE.iter().any(|place| file.starts_with(place));
        for (n, line) in code(&text) {
            let found = line.contains("unsafe {")
                || line.contains("unsafe fn")
                || line.contains("unsafe impl");
            assert!(allowed || !found, "{file}:{n}: {}", line.trim());
            blocks += usize::from(found);
        }
    }
    assert!(
        blocks > 5,
        "only {blocks} blocks found: the search is broken"
    );
}

#[test]
fn dpdk_is_named_by_its_port_and_its_start() {
    let mut names = 0;
    for (file, text) in sources("src") {
        for (n, line) in code(&text) {
            let found = line.contains("use dpdk::") || line.contains(" dpdk::Eal");
            let allowed = NAMES_DPDK.contains(&file.as_str());
            assert!(allowed || !found, "{file}:{n}: {}", line.trim());
            names += usize::from(found);
        }
    }
    assert!(names > 1, "nobody names it: the search is broken");
}

#[test]
fn what_is_not_done_is_refused_not_left_out() {
    for directory in ["src", "dpdk", "tests", "benches"] {
        for (file, text) in sources(directory) {
            if file == "tests/layers.rs" {
                continue;
            }
            for word in ["todo!(", "unimplemented!(", "#[ignore", "FIXME", "XXX"] {
                assert!(!text.contains(word), "{file}: {word}");
            }
        }
    }
}

#[test]
fn lines_are_read_as_meant() {
    assert_eq!(used("use crate::wire::{Mac, Vni};"), ["wire"]);
    assert_eq!(used("use crate::{wire::Mac, model};"), ["wire", "model"]);
    assert_eq!(
        used("pub(in crate::control) fn a(b: crate::time::T)"),
        ["control", "time"]
    );
    assert_eq!(
        code("a // crate::cli\n//! b")
            .map(|(_, line)| line)
            .collect::<Vec<_>>(),
        ["a ", ""]
    );
}
