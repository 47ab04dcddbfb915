//! `weft ctl`: any method by its name, for scripts and for what has no command
//! of its own.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output::Context;
use crate::control::proto::{Access, Method};

/// Call a method of the control protocol and print its result as JSON.
#[derive(Debug, Args)]
#[command(after_help = "Method: the one named; with --batch: batch")]
#[command(after_long_help = methods())]
pub(super) struct Ctl {
    /// Name of the method, such as `mapping.list`.
    #[arg(required_unless_present = "batch")]
    method: Option<String>,
    /// Its parameters, a JSON object; `-` reads them from standard input.
    params: Option<String>,
    /// Apply the changes in this file, all or none. Each line is
    /// `{"method": …, "params": …}`; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "params"])]
    batch: Option<PathBuf>,
}

/// The protocol's own list, so that it cannot be out of date.
fn methods() -> String {
    let mut text = "Methods:\n".to_owned();
    for method in Method::ALL {
        text += &format!("  {:<16} {}\n", method.name(), method.help());
    }
    text + "\nExample: weft ctl mapping.list '{\"vnet\": \"Z\", \"limit\": 10}'"
}

impl Ctl {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let (method, params) = match (&self.batch, self.method) {
            (Some(file), _) => ("batch".to_owned(), json!({ "changes": changes(file)? })),
            (None, method) => (method.unwrap_or_default(), params(self.params)?),
        };
        // The appliance names the methods it has; one unknown here may be newer.
        let access = Method::from_name(&method).map_or(Access::ReadOnly, Method::access);
        let mut client = context.connect(access)?;
        let result = client.call_raw(&method, &params)?;
        match context.json || !context.terminal {
            true => context.json(&result),
            false => context.line(format_args!("{result:#}")),
        }
    }
}

fn params(given: Option<String>) -> Result<Value, Failure> {
    let text = match given.as_deref() {
        None => return Ok(Value::Object(Map::new())),
        Some("-") => read(Path::new("-"))?,
        Some(text) => text.to_owned(),
    };
    let wrong = |what: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "the parameters are not a JSON object: {what}; example: '{{\"name\": \"Z\"}}'"
        ))
    };
    match serde_json::from_str(&text).map_err(|e| wrong(&e))? {
        Value::Object(map) => Ok(Value::Object(map)),
        other => Err(wrong(&format!("got {other}"))),
    }
}

fn changes(file: &Path) -> Result<Vec<Value>, Failure> {
    let text = read(file)?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.map(|(index, line)| {
        let at = format!("{}:{}", file.display(), index + 1);
        serde_json::from_str(line).map_err(|e| Failure::local(at, e))
    });
    parsed.collect()
}

/// A whole file, or standard input.
fn read(file: &Path) -> Result<String, Failure> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        return match read {
            Ok(_) => Ok(text),
            Err(error) => Err(Failure::local("standard input", error)),
        };
    }
    std::fs::read_to_string(file).map_err(|e| Failure::local(file.display(), e))
}
