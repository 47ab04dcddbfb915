//! The configuration as its users meet it: every file in `configs/` loads, and
//! every fault in `tests/configs/` is answered by the text beside it.
//!
//! `WEFT_WRITE=1 cargo test --test configs` writes the expected texts and the
//! reference anew; read the difference before committing it.

#[path = "configs/effects.rs"]
mod effects;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use weft::cli::check;
use weft::config::{self, Config, Problems};

/// All files of a kind below a folder, sorted; at least `least`.
fn files(folder: &str, least: usize) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "toml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(folder), &mut found);
    found.sort();
    assert!(found.len() >= least, "{folder} has {} files", found.len());
    found
}

/// Compares a file with a text, or writes it when told so.
fn golden(path: &Path, text: &str) {
    if std::env::var_os("WEFT_WRITE").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        text,
        expected,
        "{} differs; `WEFT_WRITE=1 cargo test --test configs` writes it anew",
        path.display()
    );
}

fn load(path: &Path) -> Config {
    let (config, warnings) = Config::load(path).unwrap_or_else(|e| panic!("{e}"));
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    config
}

fn check_file(path: &Path) -> (u8, String, String) {
    let args = check::Args {
        file: Some(path.to_owned()),
        json: false,
        reference: false,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check::run(&args, &mut out, &mut err).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code, text(out), text(err))
}

#[test]
fn every_file_loads_and_its_dump_is_the_same() {
    for path in files("configs", 7) {
        let config = load(&path);
        let dump = config.to_toml().unwrap();
        let (again, _) = Config::parse("dump", dump.as_bytes())
            .unwrap_or_else(|e| panic!("{}: {e}\n{dump}", path.display()));
        assert_eq!(again, config, "{}", path.display());
        let (code, out, err) = check_file(&path);
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(
            out.contains(": ok\n") && out.contains("  pool on NUMA node 0: "),
            "{out}"
        );
    }
}

#[test]
fn the_minimal_file_stays_small() {
    let text = std::fs::read_to_string("configs/minimal.toml").unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    assert!(lines.count() <= 30);
}

#[test]
fn every_fault_is_named() {
    for path in files("tests/configs/bad", 40) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let Err(problems) = Config::parse(name, &bytes) else {
            panic!("{} loads", path.display());
        };
        let several = name.starts_with("several");
        assert!(
            several || problems.problems.len() == 1,
            "one file one fault:\n{problems}"
        );
        golden(&path.with_extension("txt"), &format!("{problems}\n"));
    }
}

#[test]
fn doubtful_things_are_warned_of() {
    for path in files("tests/configs/warn", 3) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (_, warnings) = Config::parse(name, &bytes).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
        golden(&path.with_extension("txt"), &format!("{}\n", warnings[0]));
    }
}

#[test]
fn the_reference_is_that_of_the_types() {
    golden(Path::new("docs/configuration.md"), &config::reference());
    let args = check::Args {
        file: None,
        json: false,
        reference: true,
    };
    let mut out = Vec::new();
    assert_eq!(check::run(&args, &mut out, &mut Vec::new()).unwrap(), 0);
    assert_eq!(out, config::reference().as_bytes());
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_told() {
    let problems = Config::load("configs/nowhere.toml").unwrap_err();
    let text = problems.to_string();
    assert!(
        text.starts_with("configs/nowhere.toml: cannot read the file: "),
        "{text}"
    );
    let problems = Config::parse("x", b"name = \"R\"\n\xff").unwrap_err();
    assert_eq!(problems.to_string(), "x:2:1: the file is not text in UTF-8");
}

#[test]
fn check_reports_errors_and_json() {
    let bad = Path::new("tests/configs/bad/binding-vnet-unknown.toml");
    let (code, out, err) = check_file(bad);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("binding[1].vnet: no vnet is called `z`\n  hint: did you mean `Z`?"),
        "{err}"
    );
    let mut args = check::Args {
        file: Some(bad.to_owned()),
        json: true,
        reference: false,
    };
    let mut out = Vec::new();
    assert_eq!(check::run(&args, &mut out, &mut Vec::new()).unwrap(), 1);
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["problems"][0]["path"], "binding[1].vnet");
    args.file = Some("configs/minimal.toml".into());
    out.clear();
    assert_eq!(check::run(&args, &mut out, &mut Vec::new()).unwrap(), 0);
    let report: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(report["ok"], true);
    assert_eq!(report["summary"]["workers"][0]["polls"][0], "up/0");
    assert_eq!(report["summary"]["pools"][0]["data_room"], 2176);
}

/// A million mappings are a file like any other.
#[test]
fn large_files_load_in_linear_time() {
    use std::fmt::Write;
    let mut text = std::fs::read_to_string("configs/minimal.toml").unwrap();
    for i in 0..20_000_u32 {
        let [_, b, c, d] = (0x0a10_0000 + i).to_be_bytes();
        let _ = write!(
            text,
            "\n[[mapping]]\nvnet = \"Z\"\naddress = \"10.{b}.{c}.{d}\"\nhost = \"S\"\n"
        );
    }
    let (config, _) = Config::parse("large", text.as_bytes()).unwrap();
    assert_eq!(config.mapping.len(), 20_001);
}

/// A relay's configuration that names a file of explicit mappings, and the file.
fn with_eams(name: &str, lines: &str) -> (String, PathBuf) {
    let file = std::env::temp_dir().join(format!("weft-eams-{}-{name}", std::process::id()));
    std::fs::write(&file, lines).unwrap();
    let text = std::fs::read_to_string("configs/siit-relay.toml").unwrap();
    let key = format!("[relay]\neam_file = \"{}\"\n", file.display());
    (text.replacen("[relay]\n", &key, 1), file)
}

#[test]
fn explicit_mappings_come_from_a_file() {
    let lines = "# more\n198.51.100.2 2001:db8:0:a::2\n\n198.51.100.3\t2001:db8:0:a::3 # web\n";
    let (text, file) = with_eams("good", lines);
    let (config, _) = Config::parse("r", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((config.eam.len(), config.eam_file.eams.len()), (2, 2));
    // What came from there stays there.
    assert!(!config.to_toml().unwrap().contains("198.51.100.3"));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn wrong_lines_of_a_file_of_explicit_mappings_are_told_by_number() {
    let told = |name: &str, lines: &str| {
        let (text, file) = with_eams(name, lines);
        let refused = Config::parse("r", text.as_bytes()).unwrap_err();
        std::fs::remove_file(&file).unwrap();
        let shown = file.display().to_string();
        let at: Vec<_> = refused.problems.iter().map(|p| (&*p.path, p.at)).collect();
        let line = text.lines().position(|line| line.starts_with("eam_file"));
        assert!(
            at.iter()
                .all(|p| *p == ("relay.eam_file", line.map(|n| (n + 1, 1)))),
            "{at:?}"
        );
        let messages = refused.problems.into_iter().map(|p| p.message);
        let messages: Vec<_> = messages.map(|m| m.replace(&shown, "F")).collect();
        messages.join("\n")
    };
    assert_eq!(
        told("form", "198.51.100.2\n\n198.51.100.3 x\n"),
        "F:1: 1 field, and a mapping has two: `IPV4 IPV6`\n\
         F:3: `x` is not an IPv6 prefix such as 2001:db8:0:a:100::/72"
    );
    assert_eq!(
        told(
            "twice",
            "198.51.100.1 2001:db8:0:a::2\n198.51.100.3 2001:db8:0:a::3\n198.51.100.4 2001:db8:0:a::3\n"
        ),
        "F:1: 198.51.100.1 is mapped by eam[0] already\n\
         F:3: 2001:db8:0:a::3 is mapped by F:2 already"
    );
    let many: String = (0..30).map(|n| format!("line {n} is wrong\n")).collect();
    let all = told("many", &many);
    assert_eq!(all.lines().count(), 21);
    assert!(all.ends_with("F: and 10 more wrong lines"), "{all}");
}

/// Time this thread has worked: what others do on the machine is not counted.
fn cpu() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// In release the real number, with its bar.
#[test]
fn a_million_explicit_mappings_load_in_a_second() {
    use std::fmt::Write;
    let count: u32 = if cfg!(debug_assertions) {
        50_000
    } else {
        1_000_000
    };
    let mut lines = String::new();
    for n in 0..count {
        let [_, b, c, d] = n.to_be_bytes();
        let _ = writeln!(lines, "20.{b}.{c}.{d}\t2001:db8:5:{b:x}::{c:x}:{d:x} # {n}");
    }
    let (text, file) = with_eams("million", &lines);
    let started = cpu();
    let (config, _) = Config::parse("r", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    let took = cpu() - started;
    println!("{count} explicit mappings in {took:?}");
    std::fs::remove_file(file).unwrap();
    assert_eq!(config.eam_file.eams.len(), count as usize);
    assert!(
        cfg!(debug_assertions) || took.as_secs_f32() < 1.0,
        "{took:?}"
    );
}

/// Checks run on before a number is refused, and must bear any.
#[test]
fn extreme_numbers_are_refused_and_no_more() {
    let port = |n: u32, role: &str| {
        format!(
            "[[port]]\nname = \"p{n}\"\ndevice = \"net_null{n}\"\nrole = \"{role}\"\nqueues = 65535\ndescriptors = 65535\nmtu = 65535\n"
        )
    };
    let workers: Vec<_> = (0..70_000).map(|n| (n % 65_536).to_string()).collect();
    let text = format!(
        "name = \"R\"\nlocator = \"2001:db8:0:a:100::/72\"\nmtu = 65535\n[runtime]\nworkers = [{}]\n[limits]\nring = 4294967295\nholds = 4294967295\nmbufs = 4294967295\n{}{}",
        workers.join(","),
        port(0, "uplink"),
        port(1, "node"),
    );
    let problems = Config::parse("f", text.as_bytes()).unwrap_err().problems;
    for path in [
        "mtu",
        "runtime.workers",
        "limits.ring",
        "limits.holds",
        "limits.mbufs",
        "port[1].descriptors",
    ] {
        let told = problems.iter().any(|problem| problem.path == path);
        assert!(told, "{path}");
    }
}

/// Whatever the bytes, there is an answer; and a refusal says something, at a
/// place that is in the file.
fn answers(bytes: &[u8]) {
    if let Err(Problems { problems, .. }) = Config::parse("f", bytes) {
        assert!(!problems.is_empty());
        let lines = bytes.iter().filter(|&&b| b == b'\n').count() + 1;
        for problem in problems {
            assert!(!problem.message.is_empty());
            assert!(
                problem
                    .at
                    .is_none_or(|(line, column)| (1..=lines).contains(&line) && column >= 1)
            );
        }
    }
}

fn good() -> Vec<Vec<u8>> {
    files("configs", 1)
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        answers(&bytes);
    }

    #[test]
    fn random_keys_are_answered(text in "(\\[{0,2}(port|vnet|host|runtime|relay|eam|outsider|subnet|router|vroute|interfaces|member|dhcp|snmp|users|ipv4|via|é)(\\.[a-z]{1,4})?\\]{0,2} ?(= ?(\\{\\}|\\[1\\]|\"x\"|-7|1e9))?\n){0,12}") {
        answers(text.as_bytes());
    }

    #[test]
    fn mutated_files_are_answered(
        which in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>(), 0..40_usize), 1..6),
    ) {
        let files = good();
        let mut bytes = which.get(&files).clone();
        for (at, kind, byte, length) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.drain(at..end)),
                2 => bytes.insert(at, b"\"[]{}=#.,\n0-"[usize::from(byte) % 12]),
                _ => {
                    let piece = bytes[at..end].to_vec();
                    let to = usize::from(byte) * bytes.len() / 256;
                    bytes.splice(to..to, piece);
                }
            }
        }
        answers(&bytes);
    }
}
