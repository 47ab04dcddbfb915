//! `weft apply FILE`: makes a running appliance what a file says.
//!
//! The file is read here and judged there: the answer is the difference, or
//! everything that is wrong, in the words and places of `weft check`.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::failure::Failure;
use super::output::{Context, Style, clean, remark};
use crate::config::{PortChange, Problem, Problems, SettingChange, Warning, shown};
use crate::control::client::{Client, ClientError};
use crate::control::proto::{
    Access, ApplyReport, ConfigApply, Difference, Error, ErrorData, Fate, FieldChange, Kind,
};

/// What a request has around the file, its name included: JSON-RPC's words.
const AROUND: usize = 256;

/// Change the running appliance to a file.
///
/// The file is a whole host file, as for `weft run`. Objects and some settings change at once and
/// without loss, all or nothing; the difference is printed. If anything in it is wrong, or needs a
/// restart, all of that is named and nothing changes. What an operator or agent has set stays. The
/// file that SIGHUP reads is still the one of `weft run`.
#[derive(Debug, Args)]
#[command(after_help = "Method: config.apply")]
pub(super) struct Apply {
    /// The file; `-` is standard input.
    file: PathBuf,
    /// Print the difference and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// List every mapping that differs, not only the first 20 of each sort.
    #[arg(long)]
    all: bool,
}

/// What `--json` prints of a file that is refused.
#[derive(Serialize)]
struct Refused<'a> {
    ok: bool,
    file: &'a str,
    error: &'a str,
    problems: &'a [Problem],
    more: u64,
}

impl Apply {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let (name, text) = self.read()?;
        let request = ConfigApply {
            name: Cow::Borrowed(&name),
            text: Cow::Borrowed(&text),
            dry_run: self.dry_run,
            // Programs get what there is.
            mappings: (self.all || context.json).then_some(u64::MAX >> 11),
        };
        let mut client = context.connect(Access::ReadWrite)?;
        check_size(&name, &request, &client)?;
        // A large file takes its time to be read.
        let patience = 30 + text.len() as u64 / (1 << 20) * 4;
        client.set_patience(std::time::Duration::from_secs(patience));
        match client.call(&request) {
            Ok(report) if context.json => context.json(&report),
            Ok(report) => print(context, &name, &report),
            Err(ClientError::Refused(error)) => Err(refused(context, &name, error)?),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self) -> Result<(String, String), Failure> {
        let name = self.file.display().to_string();
        let bytes = match name.as_str() {
            "-" => {
                let mut bytes = Vec::new();
                let read = io::stdin().read_to_end(&mut bytes);
                read.map(|_| bytes)
            }
            _ => std::fs::read(&self.file),
        };
        let bytes = bytes.map_err(|error| Failure::local(&name, error))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok((name, text)),
            Err(_) => Err(Failure::local(name, "the file is not text in UTF-8")),
        }
    }
}

/// The whole file is one line of the protocol, whose length has a limit. It is
/// better told here than by a connection that ends.
fn check_size(name: &str, request: &ConfigApply<'_>, client: &Client) -> Result<(), Failure> {
    let limit = client.welcome().limits.line;
    let written = serde_json::to_vec(request).map_or(0, |line| line.len());
    match written + AROUND > limit {
        true => Err(Failure::Local(format!(
            "{name}: too large: {written} bytes as a request, and the appliance takes {limit} \
             (raise control.line_bytes, up to 67108864; or leave mappings out of the file and \
             load them with `weft mapping load`)"
        ))),
        false => Ok(()),
    }
}

/// Shows what is wrong as `weft check` does; the failure has the last word.
fn refused(context: &mut Context, name: &str, mut error: Error) -> Result<Failure, Failure> {
    let Some(data) = error.data.take().filter(|data| !data.problems.is_empty()) else {
        return Ok(ClientError::Refused(error).into());
    };
    let ErrorData { problems, more, .. } = *data;
    if context.json {
        let (error, problems) = (error.message.as_str(), problems.as_slice());
        context.json(&Refused {
            ok: false,
            file: name,
            error,
            problems,
            more,
        })?;
    } else {
        let file = name.to_owned();
        let text = Problems { file, problems }.to_string();
        text.lines().for_each(|line| remark(&clean(line)));
        if more > 0 {
            remark(&format!("{name}: and {more} more"));
        }
    }
    Ok(ClientError::Refused(error).into())
}

fn print(context: &mut Context, name: &str, report: &ApplyReport) -> Result<(), Failure> {
    for problem in &report.warnings {
        let (file, problem) = (name.to_owned(), problem.clone());
        let text = Warning { file, problem }.to_string();
        text.lines().for_each(|line| remark(&clean(line)));
    }
    for setting in &report.settings {
        context.line(clean(&setting_line(setting)))?;
    }
    for object in &report.objects {
        let style = match object.change {
            Fate::Added => Style::Good,
            Fate::Changed => Style::Head,
            Fate::Removed => Style::Bad,
        };
        let line = object_line(object);
        let line = context.paint(style, &clean(&line)).into_owned();
        context.line(line)?;
    }
    if report.unlisted > 0 {
        context.line(format_args!("… and {} more", report.unlisted))?;
    }
    for held in &report.overridden {
        let line = format!(
            "{} stays as origin {} wants it",
            held.kind.named(&held.key),
            held.origin
        );
        context.line(clean(&line))?;
    }
    if report.more_overridden > 0 {
        context.line(format_args!("… and {} more stay", report.more_overridden))?;
    }
    context.line(summary(report))
}

fn setting_line(setting: &SettingChange) -> String {
    match setting.port_change() {
        Some(PortChange::Added(port)) => return format!("port {port}: added"),
        Some(PortChange::Removed(port)) => return format!("port {port}: removed"),
        None => {}
    }
    let (old, new) = (shown(setting.old.as_ref()), shown(setting.new.as_ref()));
    format!("{}: {old} -> {new}", setting.path)
}

/// `vnet Z: mode siit -> transparent`, `mapping Z 10.0.0.9/32 -> S: added`.
fn object_line(object: &Difference) -> String {
    let Difference {
        kind,
        key,
        change,
        fields,
    } = object;
    // Where a mapping leads says more than that it is there.
    let field = match kind {
        Kind::Mapping => "host",
        Kind::Eam => "ipv6",
        Kind::Vroute => "via",
        _ => "",
    };
    let target = fields.iter().find(|change| change.field == field);
    let to = match (change, target) {
        (Fate::Added | Fate::Removed, Some(target)) => {
            let target = target.new.as_ref().or(target.old.as_ref());
            format!(" -> {}", shown(target))
        }
        _ => String::new(),
    };
    let what = match change {
        Fate::Added => "added".to_owned(),
        Fate::Removed => "removed".to_owned(),
        Fate::Changed => {
            let fields: Vec<String> = fields.iter().map(field_text).collect();
            fields.join(", ")
        }
    };
    format!("{}{to}: {what}", kind.named(key))
}

fn field_text(change: &FieldChange) -> String {
    let text = |value: &Option<serde_json::Value>| match value {
        // As files and addresses have it.
        Some(value) if change.field == "vni" => match value.as_u64() {
            Some(vni) => format!("{vni:#x}"),
            None => shown(Some(value)),
        },
        other => shown(other.as_ref()),
    };
    let (old, new) = (text(&change.old), text(&change.new));
    format!("{} {old} -> {new}", change.field)
}

fn summary(report: &ApplyReport) -> String {
    let (n, unchanged) = (report.changes(), report.unchanged);
    if n == 0 {
        return format!("nothing to change, {unchanged} unchanged");
    }
    let s = if n == 1 { "" } else { "s" };
    let done = match report.dry_run {
        true => "would be applied",
        false => "applied",
    };
    format!(
        "{n} change{s} {done} ({} added, {} changed, {} removed), {unchanged} unchanged",
        report.added, report.changed, report.removed
    )
}
