//! `weft config dump`: the running state as a file that can be loaded.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::Failure;
use super::output::Context;
use super::pages::each_page;
use crate::control::proto::{Access, ConfigDump, Held, MappingList};
use crate::model;

/// The running configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    Dump(Dump),
}

/// Print the running state as loadable TOML.
///
/// Mappings come last, page by page. With --json the text is in `toml`, without the mappings,
/// and `mappings` says how many there are.
#[derive(Debug, Args)]
#[command(after_help = "Methods: config.dump, mapping.list")]
pub(super) struct Dump {
    /// Leave the mappings out.
    #[arg(long)]
    no_mappings: bool,
}

/// One page of mappings as tables of the file.
#[derive(Serialize)]
struct Mappings<'a> {
    mapping: Vec<&'a model::Mapping>,
}

impl Config {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Config::Dump(dump) = self;
        dump.run(context)
    }
}

impl Dump {
    fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.connect(Access::ReadOnly)?;
        let dump = client.call(&ConfigDump {})?;
        if context.json {
            return context.json(&dump);
        }
        context.raw(dump.toml.as_bytes())?;
        if self.no_mappings || dump.mappings == 0 {
            return Ok(());
        }
        each_page(&mut client, MappingList::default(), None, |page| {
            context.raw(tables(&page)?.as_bytes())
        })?;
        Ok(())
    }
}

fn tables(page: &[Held<model::Mapping>]) -> Result<String, Failure> {
    if page.is_empty() {
        return Ok(String::new());
    }
    let mapping = page.iter().map(|held| &held.object).collect();
    let text = toml::to_string(&Mappings { mapping });
    // The blank line ends the table before, whatever that was.
    let text = text.map_err(|e| Failure::local("cannot write mappings as TOML", e))?;
    Ok(format!("\n{text}"))
}
