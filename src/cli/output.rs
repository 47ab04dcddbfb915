//! Where a command's output goes: text for people or JSON for programs, both
//! through one buffered writer whose errors are returned, never panicked on.
//!
//! Names and messages come over a socket, so control characters in them are
//! escaped before they reach a terminal.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::failure::Failure;
use crate::control::client::Client;
use crate::control::proto::{self, Access, Hello, Request};
use crate::model::Origin;

/// What every command is given.
#[derive(Debug)]
pub(super) struct Context {
    socket: PathBuf,
    /// Print JSON instead of text.
    pub(super) json: bool,
    /// Standard output is a terminal.
    pub(super) terminal: bool,
    colour: bool,
    out: BufWriter<io::Stdout>,
}

/// Colours, by what they mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    Head,
    Good,
    Bad,
}

impl Context {
    pub(super) fn new(socket: PathBuf, json: bool) -> Context {
        let terminal = io::stdout().is_terminal();
        // <https://no-color.org>: any value but the empty one.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Context {
            socket,
            json,
            terminal,
            colour: terminal && !refused && !dumb,
            out: BufWriter::new(io::stdout()),
        }
    }

    /// Connects and says hello as the operator.
    pub(super) fn connect(&self, access: Access) -> Result<Client, Failure> {
        let hello = Hello {
            version: proto::VERSION,
            access,
            origin: Origin::Operator,
            client: format!("weft {}", env!("CARGO_PKG_VERSION")),
        };
        Ok(Client::connect(&self.socket, &hello)?)
    }

    /// One request on a connection of its own, with the access it needs.
    pub(super) fn call<R: Request>(&self, request: &R) -> Result<R::Reply, Failure> {
        Ok(self.connect(R::METHOD.access())?.call(request)?)
    }

    /// One line of JSON.
    pub(super) fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.out, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// One line of text.
    pub(super) fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Text as it is, for help, completions and dumps.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.out.write_all(bytes)?)
    }

    pub(super) fn writer(&mut self) -> &mut impl Write {
        &mut self.out
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Clears the screen, for live tables on a terminal.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        match self.terminal {
            true => self.raw(b"\x1b[H\x1b[2J"),
            false => Ok(()),
        }
    }

    /// The text in colour, where colours are wanted.
    pub(super) fn paint<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        let code = match style {
            _ if !self.colour => return Cow::Borrowed(text),
            Style::Head => 1,
            Style::Good => 32,
            Style::Bad => 31,
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }
}

/// A line beside the output, on standard error; nobody may be there to read it.
pub(super) fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The text with control characters escaped, so that it stays on its line.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c.is_control() {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The word by which the protocol calls a value.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Seconds as people say them.
pub(super) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}.{} s", ms % 1000 / 100),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(clean("a\x1b[31m\nb"), "a\\u{1b}[31m\\nb");
        assert!(matches!(clean("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn durations_read_well_at_every_size() {
        for (ms, text) in [
            (0, "0.0 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min 0 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }
}
