//! `weft eam`: the relay's explicit mappings.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::failure::Failure;
use super::load::{Bulk, Source, json_fault};
use super::objects::{Most, Revision};
use super::output::Context;
use super::pages::{self, Row, or_empty};
use super::table::{Column, Table, text};
use crate::config::eam_of_line;
use crate::control::client::{Client, ClientError};
use crate::control::proto::{
    Applied, EamGet, EamKey, EamList, EamRemove, EamRow, EamSet, Kind, Learned, Translation,
};
use crate::model;
use crate::wire::Prefix6;
use crate::wire::address::{Prefix4, prefix6_or_address};

/// Explicit mappings of the relay: IPv4 prefix -> IPv6 prefix.
#[derive(Debug, Subcommand)]
pub(super) enum Eam {
    /// List explicit mappings.
    #[command(after_help = "Method: eam.list")]
    List(Most),
    /// Show what the relay makes of an address, and by which mapping.
    #[command(after_help = "Method: eam.get")]
    Get {
        /// An IPv4 or IPv6 address.
        address: IpAddr,
    },
    /// Add an explicit mapping, or replace the one of that IPv4 prefix.
    #[command(after_help = "Method: eam.set")]
    Add {
        /// IPv4 address or prefix.
        ipv4: Prefix4,
        /// IPv6 address, or a prefix with at least as many bits after it.
        #[arg(value_parser = prefix6_or_address::parse)]
        ipv6: Prefix6,
        #[command(flatten)]
        revision: Revision,
    },
    /// Remove explicit mappings, all or none.
    #[command(after_help = "Method: eam.remove")]
    Remove {
        /// IPv4 addresses or prefixes.
        #[arg(required = true)]
        ipv4: Vec<Prefix4>,
        #[command(flatten)]
        revision: Revision,
    },
    Load(Load),
}

/// Load explicit mappings from a file.
///
/// Each line is `IPV4 IPV6`, two prefixes or addresses with blanks between them, or a JSON object
/// with the keys `ipv4`, `ipv6` and `revision`, as `weft eam list --json` prints them. Empty lines
/// are skipped, and what follows a `#`. The operator's explicit mappings that the file does not
/// mention are removed at the end, without a gap in forwarding.
#[derive(Debug, Args)]
#[command(after_help = "Methods: sync.begin, eam.set, sync.commit, sync.abort")]
pub(super) struct Load {
    #[command(flatten)]
    source: Source,
}

impl Eam {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        match self {
            Eam::List(most) => pages::list(context, EamList::default(), most.get()),
            Eam::Get { address } => {
                let found = context.call(&EamGet { address })?;
                match context.json {
                    true => context.json(&found),
                    false => print(context, &found),
                }
            }
            Eam::Add {
                ipv4,
                ipv6,
                revision,
            } => {
                let row = EamRow {
                    ipv4,
                    ipv6,
                    revision: revision.revision,
                };
                pages::change(context, &EamSet { eams: vec![row] })
            }
            Eam::Remove { ipv4, revision } => {
                let revision = revision.revision;
                let keys = ipv4.into_iter().map(|ipv4| EamKey { ipv4, revision });
                let eams = keys.collect();
                pages::change(context, &EamRemove { eams })
            }
            Eam::Load(load) => load.source.load::<EamLines>(context),
        }
    }
}

fn print(context: &mut Context, found: &Translation) -> Result<(), Failure> {
    let why = match (&found.why, &found.eam) {
        (Some(why), _) => why.clone(),
        (None, Some(held)) => {
            let eam = &held.object;
            format!("explicit mapping {} {}", short4(eam), short6(&eam.ipv6))
        }
        (None, None) => "pool6".to_owned(),
    };
    let mut table = Table::new([text("ADDRESS"), text("TRANSLATED"), text("WHY")]);
    table.row([found.address.to_string(), or_empty(found.translated), why]);
    table.write(context)
}

/// A whole address is written as it is typed.
fn short4(eam: &model::Eam) -> String {
    match eam.ipv4.len {
        32 => eam.ipv4.address.to_string(),
        _ => eam.ipv4.to_string(),
    }
}

/// The same of IPv6.
pub(super) fn short6(prefix: &Prefix6) -> String {
    match prefix.len() {
        128 => std::net::Ipv6Addr::from(prefix.bits()).to_string(),
        _ => prefix.to_string(),
    }
}

impl Row for model::Eam {
    const COLUMNS: &'static [Column] = &[text("IPV4"), text("IPV6")];

    fn cells(&self, _: Option<&Learned>) -> Vec<String> {
        vec![short4(self), short6(&self.ipv6)]
    }
}

/// The lines of a file of explicit mappings.
struct EamLines;

impl Bulk for EamLines {
    type Row<'t> = EamRow;

    const KIND: Kind = Kind::Eam;
    const ROWS: &'static str = "eams";
    const HEADING: &'static str = "ipv4,";

    fn parse(line: &str) -> Result<Option<EamRow>, String> {
        match line.starts_with('{') {
            true => parse_json(line).map(Some),
            false => Ok(eam_of_line(line.as_bytes())?.map(|eam| EamRow::of(eam, 0))),
        }
    }

    fn send(client: &mut Client, eams: Vec<EamRow>) -> (Vec<usize>, Result<Applied, ClientError>) {
        (vec![eams.len()], client.call(&EamSet { eams }))
    }
}

/// What the list prints: the mapping inside, origin and revision beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    object: EamRow,
    #[serde(default, rename = "origin")]
    _origin: serde::de::IgnoredAny,
    #[serde(default)]
    revision: u64,
}

fn parse_json(line: &str) -> Result<EamRow, String> {
    if !line.contains("\"object\"") {
        return serde_json::from_str(line).map_err(json_fault);
    }
    let listed: Listed = serde_json::from_str(line).map_err(json_fault)?;
    Ok(EamRow {
        revision: listed.revision.max(listed.object.revision),
        ..listed.object
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_json_and_listed_lines_say_the_same() {
        let parse = |line| EamLines::parse(line).unwrap();
        let plain = parse("198.51.100.1\t2001:db8::1 # web");
        let json = parse(r#"{"ipv4":"198.51.100.1","ipv6":"2001:db8::1/128"}"#);
        assert_eq!(plain, json);
        let listed = parse(
            r#"{"object":{"ipv4":"198.51.100.1/32","ipv6":"2001:db8::1"},"origin":"file","revision":7}"#,
        );
        assert_eq!(listed.unwrap().revision, 7);
        for (line, part) in [
            ("198.51.100.1", "1 field"),
            ("198.51.100.0/24 2001:db8::/124", "8 bits"),
            (r#"{"ipv4":"198.51.100.1"}"#, "missing field `ipv6`"),
            (r#"{"ipv4":"198.51.100.1","ipv6":"x"}"#, "`x`"),
        ] {
            let error = EamLines::parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
