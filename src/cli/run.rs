//! `weft run`: from arguments to the appliance.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::Failure;

/// Run the appliance.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Its configuration; see `weft check --reference`.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// What a file cannot say, because it depends on the machine and the day.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Options {
    /// Ordinary pages, whatever the file says: for tests, and for users without hugepages.
    #[arg(long)]
    pub(super) no_huge: bool,
}

impl Run {
    pub(super) fn run(self) -> Result<(), Failure> {
        start(&self.config, self.options)
    }
}

/// Where the appliance is called.
#[cfg(feature = "dpdk")]
fn start(config: &Path, options: Options) -> Result<(), Failure> {
    let options = crate::appliance::Options {
        no_huge: options.no_huge,
    };
    crate::appliance::run(config, options).map_err(|error| Failure::Local(error.to_string()))
}

#[cfg(not(feature = "dpdk"))]
fn start(config: &Path, _: Options) -> Result<(), Failure> {
    Err(Failure::Local(format!(
        "cannot run {}: this binary was built without DPDK; build it with the feature `dpdk` \
         (the default)",
        config.display()
    )))
}
