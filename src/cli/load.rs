//! `weft mapping load`: mappings by the million.
//!
//! The file is read a thousand lines at a time, and each such part becomes one
//! request whose rows borrow from the text just read. Without `--keep` all of
//! it happens inside one sync: forwarding never stops, and what the file does
//! not mention is removed at the end.
//!
//! A line is CSV (`vnet,address,host[,expires[,revision]]`) or a JSON object
//! with these keys; what `weft mapping list --json` prints can be loaded too.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::output::Context;
use crate::control::client::{Client, ClientError};
use crate::control::proto::{
    Access, Applied, Batch, Change, Kind, MappingRow, MappingSet, Swept, SyncAbort, SyncBegin,
    SyncCommit,
};
use crate::wire::address::Prefix4;

/// Mappings in one request.
const BATCH: usize = 1000;

/// Longest line taken from a file; longer ones are surely not mappings.
const MAX_LINE: u64 = 4096;

/// Load mappings from a file.
///
/// Each line is `vnet,address,host[,expires[,revision]]` or a JSON object with these keys, as
/// `weft mapping list --json` prints them. Empty lines, lines that start with `#` and a heading
/// that starts with `vnet,` are skipped. The operator's mappings that the file does not mention
/// are removed at the end, without a gap in forwarding.
#[derive(Debug, Args)]
#[command(after_help = "Methods: sync.begin, mapping.set, batch, sync.commit, sync.abort")]
pub(super) struct Load {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// Keep mappings that the file does not mention.
    #[arg(long)]
    keep: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    mappings: u64,
    seconds: f64,
    per_second: u64,
    applied: u64,
    unchanged: u64,
    stale: u64,
    #[serde(flatten)]
    swept: Option<Swept>,
}

impl Load {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let name = self.file.display().to_string();
        let source: Box<dyn BufRead> = match name.as_str() {
            "-" => Box::new(io::stdin().lock()),
            _ => {
                let file = File::open(&self.file).map_err(|e| Failure::local(&name, e))?;
                Box::new(BufReader::with_capacity(256 << 10, file))
            }
        };
        let mut client = context.connect(Access::ReadWrite)?;
        let begin = Instant::now();
        if !self.keep {
            let kinds = vec![Kind::Mapping];
            client.call(&SyncBegin { kinds })?;
        }
        let mut loader = Loader::new(name, source, client.welcome().limits.batch);
        let loaded = loader.run(&mut client);
        let swept = match (loaded, self.keep) {
            (Ok(()), true) => None,
            (Ok(()), false) => Some(client.call(&SyncCommit {})?),
            (Err(failure), keep) => return Err(give_up(&mut client, &loader, keep, failure)),
        };
        let seconds = begin.elapsed().as_secs_f64();
        report(context, loader.totals(seconds, swept))
    }
}

/// Ends the sync so that nothing is removed, and says what stays.
fn give_up(client: &mut Client, loader: &Loader, keep: bool, failure: Failure) -> Failure {
    // Without a connection the appliance ends the sync by itself.
    if !keep {
        let _ = client.call(&SyncAbort {});
    }
    match (failure, loader.sent) {
        (Failure::Local(why), sent @ 1..) => Failure::Local(format!(
            "{why}; the {sent} mappings before it are loaded, nothing is removed"
        )),
        (failure, _) => failure,
    }
}

fn report(context: &mut Context, report: Report) -> Result<(), Failure> {
    if context.json {
        return context.json(&report);
    }
    let mut text = format!(
        "{} mappings in {:.2} s ({}/s): {} applied, {} unchanged, {} stale",
        report.mappings,
        report.seconds,
        report.per_second,
        report.applied,
        report.unchanged,
        report.stale
    );
    if let Some(swept) = &report.swept {
        text += &format!(", {} removed", swept.removed);
    }
    context.line(text)?;
    for kept in report.swept.iter().flat_map(|swept| &swept.kept) {
        let kept = super::output::clean(kept).into_owned();
        context.line(format_args!("kept {kept}"))?;
    }
    Ok(())
}

struct Loader {
    name: String,
    source: Box<dyn BufRead>,
    batch: usize,
    /// Lines read so far.
    lines: usize,
    /// Mappings the appliance has taken.
    sent: u64,
    applied: u64,
    unchanged: u64,
    stale: u64,
}

impl Loader {
    fn new(name: String, source: Box<dyn BufRead>, limit: usize) -> Loader {
        Loader {
            name,
            source,
            batch: BATCH.min(limit.max(1)),
            lines: 0,
            sent: 0,
            applied: 0,
            unchanged: 0,
            stale: 0,
        }
    }

    fn run(&mut self, client: &mut Client) -> Result<(), Failure> {
        let mut text = String::new();
        loop {
            let first = self.lines;
            if !self.read(&mut text)? {
                return Ok(());
            }
            let rows = self.parse(&text, first)?;
            if !rows.is_empty() {
                self.send(client, rows)?;
            }
        }
    }

    /// Reads the lines of one batch; false at the end of the file.
    fn read(&mut self, text: &mut String) -> Result<bool, Failure> {
        text.clear();
        for _ in 0..self.batch {
            let mut limited = io::Read::take(&mut self.source, MAX_LINE);
            match limited.read_line(text) {
                Ok(0) => break,
                Ok(n) if n as u64 == MAX_LINE && !text.ends_with('\n') => {
                    return Err(self.at(self.lines + 1, "the line is too long for a mapping"));
                }
                Ok(_) => self.lines += 1,
                Err(error) => return Err(self.at(self.lines + 1, error)),
            }
        }
        Ok(!text.is_empty())
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> Failure {
        Failure::Local(format!("{}:{line}: {what}", self.name))
    }

    fn parse<'t>(&self, text: &'t str, before: usize) -> Result<Vec<Row<'t>>, Failure> {
        let mut rows = Vec::with_capacity(self.batch);
        for (index, line) in text.lines().enumerate() {
            let number = before + index + 1;
            let line = line.trim();
            let heading = number == 1 && line.starts_with("vnet,");
            if line.is_empty() || line.starts_with('#') || heading {
                continue;
            }
            let (vnet, row) = parse_line(line).map_err(|what| self.at(number, what))?;
            rows.push(Row { number, vnet, row });
        }
        Ok(rows)
    }

    /// Sends rows of one vnet as a `mapping.set`, of several as a `batch`.
    fn send(&mut self, client: &mut Client, rows: Vec<Row<'_>>) -> Result<(), Failure> {
        let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
        let mut sets: Vec<MappingSet<'_>> = Vec::new();
        for Row { vnet, row, .. } in rows {
            match sets.last_mut() {
                Some(set) if set.vnet == vnet => set.mappings.push(row),
                _ => sets.push(MappingSet {
                    vnet,
                    mappings: vec![row],
                }),
            }
        }
        let sizes: Vec<_> = sets.iter().map(|set| set.mappings.len()).collect();
        let reply = match <[_; 1]>::try_from(sets) {
            Ok([set]) => client.call(&set),
            Err(sets) => client.call(&Batch {
                changes: sets.into_iter().map(Change::MappingSet).collect(),
            }),
        };
        match reply {
            Ok(applied) => {
                self.add(applied);
                self.sent += numbers.len() as u64;
                Ok(())
            }
            Err(ClientError::Refused(error)) => {
                let field = error.data.as_ref().map_or("", |data| &data.field);
                let line = row_of(field, &sizes).and_then(|row| numbers.get(row));
                Err(match line {
                    Some(&line) => self.at(line, error),
                    None => Failure::local(&self.name, error),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn add(&mut self, applied: Applied) {
        self.applied += u64::from(applied.applied);
        self.unchanged += u64::from(applied.unchanged);
        self.stale += u64::from(applied.stale);
    }

    fn totals(&self, seconds: f64, swept: Option<Swept>) -> Report {
        Report {
            mappings: self.sent,
            seconds,
            per_second: (self.sent as f64 / seconds.max(1e-6)) as u64,
            applied: self.applied,
            unchanged: self.unchanged,
            stale: self.stale,
            swept,
        }
    }
}

/// A mapping with the line it stands on.
struct Row<'t> {
    number: usize,
    vnet: Cow<'t, str>,
    row: MappingRow<'t>,
}

/// Which row an error means: `mappings[3].host`, or `changes[2]` and so on in
/// a batch whose changes have these sizes. The first row of a change when it
/// means the change as a whole.
fn row_of(field: &str, sizes: &[usize]) -> Option<usize> {
    let index = |name: &str| -> Option<usize> {
        let (_, rest) = field.split_once(name)?;
        rest.split_once(']')?.0.parse().ok()
    };
    let change = index("changes[").unwrap_or(0);
    let before: usize = sizes.get(..change)?.iter().sum();
    Some(before + index("mappings[").unwrap_or(0))
}

type Parsed<'t> = (Cow<'t, str>, MappingRow<'t>);

fn parse_line(line: &str) -> Result<Parsed<'_>, String> {
    match line.starts_with('{') {
        true => parse_json(line),
        false => parse_csv(line),
    }
}

fn parse_csv(line: &str) -> Result<Parsed<'_>, String> {
    let mut fields = line.split(',').map(str::trim);
    let mut next = |name| match fields.next() {
        Some("") | None => Err(format!(
            "{name} is missing; expected vnet,address,host[,expires[,revision]]"
        )),
        Some(field) => Ok(field),
    };
    let vnet = next("vnet")?;
    let address = next("address")?;
    let host = next("host")?;
    let expires = fields.next().unwrap_or_default();
    let revision = fields.next().unwrap_or_default();
    if fields.next().is_some() {
        return Err("too many fields; expected vnet,address,host[,expires[,revision]]".to_owned());
    }
    let address: Prefix4 = address.parse().map_err(|e| format!("address: {e}"))?;
    let row = MappingRow {
        address,
        host: Cow::Borrowed(host),
        expires: match expires {
            "" => None,
            text => Some(number("expires", text)?),
        },
        revision: match revision {
            "" => 0,
            text => number("revision", text)?,
        },
    };
    Ok((Cow::Borrowed(vnet), row))
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    let wrong = |_| format!("{name}: `{text}` is not a number");
    text.parse().map_err(wrong)
}

/// A line of JSON: the mapping itself, or what the list prints, where the
/// mapping is inside and `origin` and `revision` are beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'t> {
    #[serde(borrow)]
    vnet: Cow<'t, str>,
    address: Prefix4,
    #[serde(borrow)]
    host: Cow<'t, str>,
    #[serde(default)]
    expires: Option<u32>,
    #[serde(default)]
    revision: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed<'t> {
    #[serde(borrow)]
    object: Line<'t>,
    #[serde(default, rename = "origin")]
    _origin: serde::de::IgnoredAny,
    #[serde(default)]
    revision: u64,
}

fn parse_json(line: &str) -> Result<Parsed<'_>, String> {
    let parsed = match line.contains("\"object\"") {
        true => serde_json::from_str::<Listed<'_>>(line).map(|listed| Line {
            revision: listed.revision.max(listed.object.revision),
            ..listed.object
        }),
        false => serde_json::from_str(line),
    };
    let line: Line<'_> = parsed.map_err(|e| {
        // serde_json numbers the lines of its own text, which is one line.
        let text = e.to_string();
        match text.split_once(" at line 1 ") {
            Some((what, place)) => format!("{what} ({place})"),
            None => text,
        }
    })?;
    let row = MappingRow {
        address: line.address,
        host: line.host,
        expires: line.expires,
        revision: line.revision,
    };
    Ok((line.vnet, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_json_and_listed_lines_say_the_same() {
        let csv = parse_line("Z, 10.0.0.3 ,S,300,7").unwrap();
        let json = parse_line(
            r#"{"vnet":"Z","address":"10.0.0.3","host":"S","expires":300,"revision":7}"#,
        );
        let listed = parse_line(
            r#"{"object":{"vnet":"Z","address":"10.0.0.3/32","host":"S","expires":300},"origin":"operator","revision":7}"#,
        );
        assert_eq!(csv.1.expires, Some(300));
        assert_eq!(csv.1.revision, 7);
        assert_eq!(json.unwrap(), csv);
        assert_eq!(listed.unwrap(), csv);
        let short = parse_line("Z,10.0.1.0/24,S").unwrap().1;
        assert_eq!((short.expires, short.revision), (None, 0));
        assert_eq!(short.address.len, 24);
    }

    #[test]
    fn a_wrong_line_names_its_field() {
        for (line, part) in [
            ("Z", "address is missing"),
            ("Z,10.0.0.3", "host is missing"),
            (",10.0.0.3,S", "vnet is missing"),
            ("Z,10.0.0.300,S", "address: `10.0.0.300`"),
            ("Z,10.0.0.3/24,S", "host bits"),
            ("Z,10.0.0.3,S,soon", "expires: `soon`"),
            ("Z,10.0.0.3,S,-1", "expires: `-1`"),
            ("Z,10.0.0.3,S,1,x", "revision: `x`"),
            ("Z,10.0.0.3,S,1,2,3", "too many"),
            (
                r#"{"vnet":"Z","address":"10.0.0.3"}"#,
                "missing field `host`",
            ),
            (r#"{"vnet":"Z","adress":"10.0.0.3"}"#, "`adress`"),
            ("{", "column"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn an_error_is_traced_to_its_row() {
        assert_eq!(row_of("mappings[3].host", &[1000]), Some(3));
        assert_eq!(row_of("vnet", &[1000]), Some(0));
        assert_eq!(row_of("changes[2].mappings[1].host", &[3, 4, 5]), Some(8));
        assert_eq!(row_of("changes[2].params.mappings[1]", &[3, 4, 5]), Some(8));
        assert_eq!(row_of("changes[1].vnet", &[3, 4]), Some(3));
        assert_eq!(row_of("changes[9]", &[3]), None);
        assert_eq!(row_of("changes[x]", &[3]), Some(0));
    }
}
