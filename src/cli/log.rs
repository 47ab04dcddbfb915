//! `weft log`: what the appliance logs, while it runs.

use clap::Args;

use super::failure::Failure;
use super::output::Context;
use crate::control::proto::LogSet;

/// Change what the appliance logs.
#[derive(Debug, Args)]
#[command(after_help = "Method: log.set")]
pub(super) struct Log {
    /// As in RUST_LOG: `info`, or `warn,weft::control=debug`.
    filter: String,
}

impl Log {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let done = context.call(&LogSet {
            filter: self.filter,
        })?;
        match context.json {
            true => context.json(&done),
            false => Ok(()),
        }
    }
}
