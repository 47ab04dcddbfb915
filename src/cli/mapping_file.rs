//! The file that `weft mapping load` reads, line by line.
//!
//! A line is CSV (`vnet,address,host[,expires[,revision[,slot[,mac]]]]`) or a JSON
//! object with these keys; what `weft mapping list --json` prints can be loaded too.

use std::borrow::Cow;

use serde::Deserialize;

use super::load::{Bulk, json_fault};
use crate::control::client::{Client, ClientError};
use crate::control::proto::{Applied, Batch, Change, Kind, MappingRow, MappingSet};
use crate::wire::Mac;
use crate::wire::address::Prefix4;

/// Mappings of vnets.
pub(super) struct MappingFile;

impl Bulk for MappingFile {
    type Row<'t> = Parsed<'t>;

    const KIND: Kind = Kind::Mapping;
    const ROWS: &'static str = "mappings";
    const HEADING: &'static str = "vnet,";

    fn parse(line: &str) -> Result<Option<Parsed<'_>>, String> {
        parse_line(line).map(Some)
    }

    /// Rows of one vnet are a `mapping.set`, of several a `batch`.
    fn send(
        client: &mut Client,
        rows: Vec<Parsed<'_>>,
    ) -> (Vec<usize>, Result<Applied, ClientError>) {
        let mut sets: Vec<MappingSet<'_>> = Vec::new();
        for (vnet, row) in rows {
            match sets.last_mut() {
                Some(set) if set.vnet == vnet => set.mappings.push(row),
                _ => sets.push(MappingSet {
                    vnet,
                    mappings: vec![row],
                }),
            }
        }
        let sizes = sets.iter().map(|set| set.mappings.len()).collect();
        let reply = match <[_; 1]>::try_from(sets) {
            Ok([set]) => client.call(&set),
            Err(sets) => client.call(&Batch {
                changes: sets.into_iter().map(Change::MappingSet).collect(),
            }),
        };
        (sizes, reply)
    }
}

type Parsed<'t> = (Cow<'t, str>, MappingRow<'t>);

fn parse_line(line: &str) -> Result<Parsed<'_>, String> {
    match line.starts_with('{') {
        true => parse_json(line),
        false => parse_csv(line),
    }
}

const EXPECTED: &str = "vnet,address,host[,expires[,revision[,slot[,mac]]]]";

fn parse_csv(line: &str) -> Result<Parsed<'_>, String> {
    let mut fields = line.split(',').map(str::trim);
    let mut next = |name| match fields.next() {
        Some("") | None => Err(format!("{name} is missing; expected {EXPECTED}")),
        Some(field) => Ok(field),
    };
    let vnet = next("vnet")?;
    let address = next("address")?;
    let host = next("host")?;
    let expires = fields.next().unwrap_or_default();
    let revision = fields.next().unwrap_or_default();
    let slot = fields.next().unwrap_or_default();
    let mac = fields.next().unwrap_or_default();
    if fields.next().is_some() {
        return Err(format!("too many fields; expected {EXPECTED}"));
    }
    let address: Prefix4 = address.parse().map_err(|e| format!("address: {e}"))?;
    let row = MappingRow {
        address,
        host: Cow::Borrowed(host),
        expires: match expires {
            "" => None,
            text => Some(number("expires", text)?),
        },
        revision: match revision {
            "" => 0,
            text => number("revision", text)?,
        },
        slot: match slot {
            "" => None,
            text => Some(number("slot", text)?),
        },
        mac: match mac {
            "" => None,
            text => Some(text.parse().map_err(|e| format!("mac: {e}"))?),
        },
    };
    Ok((Cow::Borrowed(vnet), row))
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    let wrong = |_| format!("{name}: `{text}` is not a number");
    text.parse().map_err(wrong)
}

/// A line of JSON: the mapping itself, or what the list prints, where the
/// mapping is inside and `origin` and `revision` are beside it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'t> {
    #[serde(borrow)]
    vnet: Cow<'t, str>,
    address: Prefix4,
    #[serde(borrow)]
    host: Cow<'t, str>,
    #[serde(default)]
    expires: Option<u32>,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    slot: Option<u8>,
    #[serde(default)]
    mac: Option<Mac>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed<'t> {
    #[serde(borrow)]
    object: Line<'t>,
    #[serde(default, rename = "origin")]
    _origin: serde::de::IgnoredAny,
    #[serde(default)]
    revision: u64,
}

fn parse_json(line: &str) -> Result<Parsed<'_>, String> {
    let parsed = match line.contains("\"object\"") {
        true => serde_json::from_str::<Listed<'_>>(line).map(|listed| Line {
            revision: listed.revision.max(listed.object.revision),
            ..listed.object
        }),
        false => serde_json::from_str(line),
    };
    let line: Line<'_> = parsed.map_err(json_fault)?;
    let row = MappingRow {
        address: line.address,
        host: line.host,
        expires: line.expires,
        revision: line.revision,
        slot: line.slot,
        mac: line.mac,
    };
    Ok((line.vnet, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_json_and_listed_lines_say_the_same() {
        let csv = parse_line("Z, 10.0.0.3 ,S,300,7").unwrap();
        let json = parse_line(
            r#"{"vnet":"Z","address":"10.0.0.3","host":"S","expires":300,"revision":7}"#,
        );
        let listed = parse_line(
            r#"{"object":{"vnet":"Z","address":"10.0.0.3/32","host":"S","expires":300},"origin":"operator","revision":7}"#,
        );
        assert_eq!(csv.1.expires, Some(300));
        assert_eq!(csv.1.revision, 7);
        assert_eq!(json.unwrap(), csv);
        assert_eq!(listed.unwrap(), csv);
        let csv = parse_line("Z,10.0.1.0/24,S,,,63").unwrap();
        let json = parse_line(r#"{"vnet":"Z","address":"10.0.1.0/24","host":"S","slot":63}"#);
        assert_eq!(json.unwrap(), csv);
        assert_eq!(csv.1.slot, Some(63));
        let csv = parse_line("Z,10.0.0.3,S,,,,02:00:00:00:00:03").unwrap();
        let json =
            parse_line(r#"{"vnet":"Z","address":"10.0.0.3","host":"S","mac":"02:00:00:00:00:03"}"#);
        assert_eq!(json.unwrap(), csv);
        assert_eq!(csv.1.mac, Some(Mac([2, 0, 0, 0, 0, 3])));
        let short = parse_line("Z,10.0.1.0/24,S").unwrap().1;
        assert_eq!((short.expires, short.revision, short.slot), (None, 0, None));
        assert_eq!(short.address.len, 24);
    }

    #[test]
    fn a_wrong_line_names_its_field() {
        for (line, part) in [
            ("Z", "address is missing"),
            ("Z,10.0.0.3", "host is missing"),
            (",10.0.0.3,S", "vnet is missing"),
            ("Z,10.0.0.300,S", "address: `10.0.0.300`"),
            ("Z,10.0.0.3/24,S", "host bits"),
            ("Z,10.0.0.3,S,soon", "expires: `soon`"),
            ("Z,10.0.0.3,S,-1", "expires: `-1`"),
            ("Z,10.0.0.3,S,1,x", "revision: `x`"),
            ("Z,10.0.0.3,S,1,2,x", "slot: `x`"),
            ("Z,10.0.0.3,S,1,2,256", "slot: `256`"),
            ("Z,10.0.0.3,S,1,2,3,02:00", "mac: `02:00`"),
            ("Z,10.0.0.3,S,1,2,3,02:00:00:00:00:04,5", "too many"),
            (
                r#"{"vnet":"Z","address":"10.0.0.3"}"#,
                "missing field `host`",
            ),
            (r#"{"vnet":"Z","adress":"10.0.0.3"}"#, "`adress`"),
            ("{", "column"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
