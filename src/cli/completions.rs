//! `weft completions`: for the shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::failure::Failure;
use super::output::Context;

/// Print completions for a shell.
///
/// For bash: `weft completions bash > /etc/bash_completion.d/weft`
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        // clap_complete panics when it cannot write, so it writes to memory.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "weft", &mut script);
        context.raw(&script)
    }
}
