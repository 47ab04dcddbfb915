//! `weft config dump`: the running state as a file that can be loaded.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::failure::Failure;
use super::output::Context;
use super::pages::each_page;
use crate::control::proto::{
    Access, ConfigDump, EamList, Held, MappingList, MemberList, VrouteList,
};
use crate::model;

/// The running configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    Dump(Dump),
}

/// Print the running state as loadable TOML.
///
/// Routes of virtual routers, members of groups and mappings of vnets and of the relay come last,
/// page by page. With --json the text is in `toml`,
/// without these, and `vroutes`, `members`, `mappings` and `eams` say how many there are.
#[derive(Debug, Args)]
#[command(after_help = "Methods: config.dump, vroute.list, member.list, mapping.list, eam.list")]
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

/// The same of explicit mappings.
#[derive(Serialize)]
struct Eams<'a> {
    eam: Vec<&'a model::Eam>,
}

/// The same of routes of virtual routers.
#[derive(Serialize)]
struct Vroutes<'a> {
    vroute: Vec<&'a model::Vroute>,
}

/// The same of members of groups.
#[derive(Serialize)]
struct Members<'a> {
    member: Vec<&'a model::Member>,
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
        if dump.vroutes > 0 {
            each_page(&mut client, VrouteList::default(), None, |page| {
                let vroute = objects(&page);
                context.raw(tables(page.is_empty(), &Vroutes { vroute })?.as_bytes())
            })?;
        }
        if dump.members > 0 {
            each_page(&mut client, MemberList::default(), None, |page| {
                let member = objects(&page);
                context.raw(tables(page.is_empty(), &Members { member })?.as_bytes())
            })?;
        }
        if !self.no_mappings && dump.mappings > 0 {
            each_page(&mut client, MappingList::default(), None, |page| {
                let mapping = objects(&page);
                context.raw(tables(page.is_empty(), &Mappings { mapping })?.as_bytes())
            })?;
        }
        if !self.no_mappings && dump.eams > 0 {
            each_page(&mut client, EamList::default(), None, |page| {
                let eam = objects(&page);
                context.raw(tables(page.is_empty(), &Eams { eam })?.as_bytes())
            })?;
        }
        Ok(())
    }
}

fn objects<T>(page: &[Held<T>]) -> Vec<&T> {
    page.iter().map(|held| &held.object).collect()
}

fn tables(empty: bool, page: &impl Serialize) -> Result<String, Failure> {
    if empty {
        return Ok(String::new());
    }
    let text = toml::to_string(page);
    // The blank line ends the table before, whatever that was.
    let text = text.map_err(|e| Failure::local("cannot write mappings as TOML", e))?;
    Ok(format!("\n{text}"))
}
