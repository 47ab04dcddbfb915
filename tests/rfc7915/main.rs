//! The RFCs of translation sentence by sentence: `requirements.md` lists what
//! they ask, `cases/` has a packet and what must become of it for each.
//! `README.md` says how to read and write them.

mod bytes;
mod case;
mod engine;
mod requirements;
mod world;

use std::path::{Path, PathBuf};

use case::Case;
use weft::config::Config;

/// The folder of this test.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc7915")
}

/// All cases, by name.
fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder().join("cases"))
        .expect("the cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_suffix(".txt"));
        let name = name.unwrap_or_else(|| panic!("{} is no case", path.display()));
        let text = std::fs::read_to_string(path).expect("text");
        Case::parse(name, &text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
    };
    paths.iter().map(read).collect()
}

#[test]
fn the_engine_does_what_every_case_says() {
    let cases = cases();
    assert!(cases.len() >= 700, "{} cases", cases.len());
    let failed: Vec<String> = cases
        .iter()
        .filter_map(|case| engine::run(case).err().map(|why| describe(case, &why)))
        .collect();
    assert!(
        failed.is_empty(),
        "{}\n{} of {} cases",
        failed.join("\n"),
        failed.len(),
        cases.len()
    );
}

fn describe(case: &Case, why: &str) -> String {
    format!("== {}\n   {}\n{why}", case.name, case.title.join("\n   "))
}

#[test]
fn every_requirement_is_covered_or_has_a_reason() {
    requirements::check(&cases());
}

#[test]
fn every_relay_is_one_that_can_be_configured() {
    let refused: Vec<String> = cases()
        .iter()
        .filter_map(|case| {
            let file = world::host_file(case).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            let loaded = Config::parse(&case.name, file.as_bytes());
            loaded.err().map(|problems| problems.to_string())
        })
        .collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn what_is_expected_is_itself_well_formed() {
    for case in cases() {
        for exchange in &case.exchanges {
            for packet in exchange.outputs.iter().chain(&exchange.reply) {
                let problem = packet.check_form();
                assert_eq!(problem, Ok(()), "{}", case.name);
            }
        }
    }
}
