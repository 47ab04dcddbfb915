//! `requirements.md` against the cases: nothing asked without an answer, no
//! case about nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::case::Case;

/// So many names stand in a row.
const NAMES: usize = 6;

/// How a reason begins, where a row needs no case.
const REASONS: [&str; 3] = ["beside: ", "n/a: ", "not done: "];

/// One row of a table.
struct Row<'a> {
    /// All but the last cell, with its bars.
    front: &'a str,
    id: &'a str,
    covered_by: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Row<'a>> {
        let cells = line.strip_prefix("| ")?;
        if cells.starts_with("Id |") {
            return None;
        }
        let (front, last) = line.strip_suffix('|')?.rsplit_once('|')?;
        let cells: Vec<&str> = front[1..].split('|').map(str::trim).collect();
        let whole = cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty());
        assert!(whole, "four cells and what covers it: {line}");
        Some(Row {
            front,
            id: cells[0],
            covered_by: last.trim(),
        })
    }

    /// Why there is no case, if there need be none.
    fn reason(&self) -> Option<&str> {
        let mut given = REASONS.iter();
        given.find_map(|kind| self.covered_by.strip_prefix(kind))
    }

    fn problem(&self, names: &[&str], cases: &[Case]) -> Option<String> {
        match self.reason() {
            None if names.is_empty() => Some("no case, and no reason".to_owned()),
            None => None,
            Some(_) if !names.is_empty() => Some(format!("a reason, and {}", names[0])),
            Some(reason) if reason.len() < 10 => Some("no reason".to_owned()),
            Some(reason) => names_exist(reason, cases).err(),
        }
    }
}

/// Of each requirement, the names of its cases.
fn covering(cases: &[Case]) -> BTreeMap<&str, Vec<&str>> {
    let mut covering: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for case in cases {
        for id in &case.covers {
            covering.entry(id).or_default().push(&case.name);
        }
    }
    covering
}

pub(super) fn check(cases: &[Case]) {
    let path = super::folder().join("requirements.md");
    let text = std::fs::read_to_string(&path).expect("requirements.md");
    let mut covering = covering(cases);
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut written = String::new();
    for line in text.lines() {
        let Some(row) = Row::parse(line) else {
            written += &format!("{line}\n");
            continue;
        };
        if !ids.insert(row.id) {
            wrong.push(format!("{} is there twice", row.id));
        }
        let names = covering.remove(row.id).unwrap_or_default();
        let problem = row.problem(&names, cases);
        wrong.extend(problem.map(|problem| format!("{}: {problem}", row.id)));
        let covered_by = match row.reason() {
            Some(_) => row.covered_by.to_owned(),
            None => list(&names),
        };
        written += &format!("{}| {covered_by} |\n", row.front);
    }
    for (id, names) in covering {
        let names = names.join(", ");
        wrong.push(format!("{id} is not listed, but covered by {names}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if std::env::var_os("WEFT_WRITE").is_some() {
        std::fs::write(&path, &written).expect("written");
        return;
    }
    assert!(
        written == text,
        "requirements.md names other cases; \
         `WEFT_WRITE=1 cargo test --test rfc7915 requirement` writes it anew"
    );
}

/// In code marks: cases are there, and files, and tests named as `file::test`
/// in them.
fn names_exist(reason: &str, cases: &[Case]) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in reason.split('`').skip(1).step_by(2) {
        let (file, test) = name.split_once("::").unwrap_or((name, ""));
        if file.ends_with(".rs") {
            let text = std::fs::read_to_string(root.join(file));
            let text = text.map_err(|e| format!("{file}: {e}"))?;
            if !test.is_empty() && !text.contains(&format!("fn {test}(")) {
                return Err(format!("{file} has no {test}"));
            }
        } else if name.starts_with(|c: char| c.is_ascii_digit())
            && !cases.iter().any(|case| case.name == name)
        {
            return Err(format!("there is no case {name}"));
        }
    }
    Ok(())
}

fn list(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES);
    let mut out: Vec<String> = shown.map(|name| format!("`{name}`")).collect();
    if names.len() > NAMES {
        out.push(format!("and {} more", names.len() - NAMES));
    }
    out.join(", ")
}
