//! What fuzzing has found worth keeping, run again: every input that once
//! reached something new must still hold to what its target promises.

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_holds() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, run) in targets::ALL {
        let folder = corpora.join(name);
        let files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(files.len() >= 20, "{name} has a corpus of {}", files.len());
        for file in files {
            let data = fs::read(&file).unwrap();
            // A panic names the file by the last line before it.
            println!("{}", file.display());
            run(&data);
        }
    }
}

/// Every target has a program for the fuzzer, and the reverse.
#[test]
fn targets_and_programs_agree() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/src/bin");
    let mut programs: Vec<_> = fs::read_dir(programs)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    programs.sort();
    let mut names: Vec<_> = targets::ALL
        .iter()
        .map(|(name, _)| format!("{name}.rs"))
        .collect();
    names.sort();
    assert_eq!(programs, names);
}
