//! `weft mapping load` and `weft eam load`: mappings by the million.
//!
//! The file is read a thousand lines at a time, and each such part becomes one
//! request whose rows may borrow from the text just read. Without `--keep` all
//! of it happens inside one sync: forwarding never stops, and what the file
//! does not mention is removed at the end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::Context;
use crate::control::client::{Client, ClientError};
use crate::control::proto::{Access, Applied, Kind, Swept, SyncAbort, SyncBegin, SyncCommit};

/// Mappings in one request.
const BATCH: usize = 1000;

/// Longest line taken from a file; longer ones are surely not mappings.
const MAX_LINE: u64 = 4096;

/// What a file holds in so many lines.
pub(super) trait Bulk {
    /// What one line says.
    type Row<'t>;

    const KIND: Kind;
    /// The list of rows in the request.
    const ROWS: &'static str;
    /// How a first line begins that says nothing.
    const HEADING: &'static str;

    /// A line that is neither empty nor a comment.
    fn parse(line: &str) -> Result<Option<Self::Row<'_>>, String>;

    /// Sends rows in one request; also says how many rows each of its changes
    /// has.
    fn send(
        client: &mut Client,
        rows: Vec<Self::Row<'_>>,
    ) -> (Vec<usize>, Result<Applied, ClientError>);
}

/// The file and what becomes of the rest.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// Keep mappings that the file does not mention.
    #[arg(long)]
    keep: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    /// By the name of their list.
    #[serde(flatten)]
    rows: BTreeMap<&'static str, u64>,
    #[serde(skip)]
    sent: u64,
    seconds: f64,
    per_second: u64,
    applied: u64,
    unchanged: u64,
    stale: u64,
    #[serde(flatten)]
    swept: Option<Swept>,
}

impl Source {
    pub(super) fn load<B: Bulk>(self, context: &mut Context) -> Result<(), Failure> {
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
            let kinds = vec![B::KIND];
            client.call(&SyncBegin { kinds })?;
        }
        let mut loader = Loader::new(name, source, client.welcome().limits.batch);
        let loaded = loader.run::<B>(&mut client);
        let swept = match (loaded, self.keep) {
            (Ok(()), true) => None,
            (Ok(()), false) => Some(client.call(&SyncCommit {})?),
            (Err(failure), keep) => return Err(give_up(&mut client, &loader, keep, failure)),
        };
        let seconds = begin.elapsed().as_secs_f64();
        report(context, loader.totals(B::ROWS, seconds, swept))
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
        report.sent,
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

    fn run<B: Bulk>(&mut self, client: &mut Client) -> Result<(), Failure> {
        let mut text = String::new();
        loop {
            let first = self.lines;
            if !self.read(&mut text)? {
                return Ok(());
            }
            let (numbers, rows) = self.parse::<B>(&text, first)?;
            if !rows.is_empty() {
                self.send::<B>(client, &numbers, rows)?;
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

    /// Rows, and the lines they stand on.
    fn parse<'t, B: Bulk>(
        &self,
        text: &'t str,
        before: usize,
    ) -> Result<(Vec<usize>, Vec<B::Row<'t>>), Failure> {
        let mut numbers = Vec::with_capacity(self.batch);
        let mut rows = Vec::with_capacity(self.batch);
        for (index, line) in text.lines().enumerate() {
            let number = before + index + 1;
            let line = line.trim();
            let heading = number == 1 && line.starts_with(B::HEADING);
            if line.is_empty() || line.starts_with('#') || heading {
                continue;
            }
            if let Some(row) = B::parse(line).map_err(|what| self.at(number, what))? {
                numbers.push(number);
                rows.push(row);
            }
        }
        Ok((numbers, rows))
    }

    fn send<B: Bulk>(
        &mut self,
        client: &mut Client,
        numbers: &[usize],
        rows: Vec<B::Row<'_>>,
    ) -> Result<(), Failure> {
        let (sizes, reply) = B::send(client, rows);
        match reply {
            Ok(applied) => {
                self.add(applied);
                self.sent += numbers.len() as u64;
                Ok(())
            }
            Err(ClientError::Refused(error)) => {
                let field = error.data.as_ref().map_or("", |data| &data.field);
                let line = row_of(field, B::ROWS, &sizes).and_then(|row| numbers.get(row));
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

    fn totals(&self, rows: &'static str, seconds: f64, swept: Option<Swept>) -> Report {
        Report {
            rows: [(rows, self.sent)].into(),
            sent: self.sent,
            seconds,
            per_second: (self.sent as f64 / seconds.max(1e-6)) as u64,
            applied: self.applied,
            unchanged: self.unchanged,
            stale: self.stale,
            swept,
        }
    }
}

/// Which row an error means: `mappings[3].host`, or `changes[2]` and so on in
/// a batch whose changes have these sizes. The first row of a change when it
/// means the change as a whole.
fn row_of(field: &str, rows: &str, sizes: &[usize]) -> Option<usize> {
    let index = |name: &str| -> Option<usize> {
        let (_, rest) = field.split_once(name)?;
        rest.split_once(']')?.0.parse().ok()
    };
    let change = index("changes[").unwrap_or(0);
    let before: usize = sizes.get(..change)?.iter().sum();
    Some(before + index(&format!("{rows}[")).unwrap_or(0))
}

/// serde_json numbers the lines of its own text, which is one line.
pub(super) fn json_fault(error: serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 ") {
        Some((what, place)) => format!("{what} ({place})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_traced_to_its_row() {
        assert_eq!(row_of("mappings[3].host", "mappings", &[1000]), Some(3));
        assert_eq!(row_of("vnet", "mappings", &[1000]), Some(0));
        assert_eq!(
            row_of("changes[2].mappings[1].host", "mappings", &[3, 4, 5]),
            Some(8)
        );
        assert_eq!(
            row_of("changes[2].params.mappings[1]", "mappings", &[3, 4, 5]),
            Some(8)
        );
        assert_eq!(row_of("changes[1].vnet", "mappings", &[3, 4]), Some(3));
        assert_eq!(row_of("changes[9]", "mappings", &[3]), None);
        assert_eq!(row_of("changes[x]", "mappings", &[3]), Some(0));
    }
}
