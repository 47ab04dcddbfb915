//! How a command fails, and the exit code that says so to scripts.

use std::io;
use std::process::ExitCode;

use super::output::clean;
use crate::control::client::ClientError;

/// Why a command did not do what it was asked. Its text is one line for
/// standard error: what, where, and what would help.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Client(#[from] ClientError),
    /// Arguments that clap could not judge by itself.
    #[error("{0}")]
    Usage(String),
    /// A file of the operator's, or what is in it.
    #[error("{0}")]
    Local(String),
    /// Standard output; a closed pipe is not a failure.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Exit codes, as the manual lists them.
pub(super) const REFUSED: u8 = 1;
pub(super) const USAGE: u8 = 2;
pub(super) const UNREACHABLE: u8 = 3;

impl Failure {
    pub(super) fn local(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Failure {
        Failure::Local(format!("{what}: {error}"))
    }

    /// Nobody reads the output any more, as in `weft mapping list | head`.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Local(_) | Failure::Output(_) => REFUSED,
            Failure::Client(error) => match error {
                // The appliance answered, and its answer is no.
                ClientError::Refused(_)
                | ClientError::Version(_)
                | ClientError::Closed(Some(_)) => REFUSED,
                ClientError::NobodyListens { .. }
                | ClientError::Permission { .. }
                | ClientError::Timeout { .. }
                | ClientError::Closed(None)
                | ClientError::Nonsense(_)
                | ClientError::Io(_) => UNREACHABLE,
            },
        }
    }

    /// Says it on standard error and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        let text = self.to_string();
        let text = match self {
            // The problems of a configuration file come as several lines.
            Failure::Local(_) => text.lines().map(clean).collect::<Vec<_>>().join("\n"),
            _ => clean(&text).into_owned(),
        };
        super::output::remark(&format!("weft: {text}"));
        ExitCode::from(self.code())
    }
}
