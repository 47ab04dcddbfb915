//! The file of explicit mappings that `relay.eam_file` names: millions of
//! lines, so a line is text, not a table.
//!
//! ```text
//! # comment
//! 192.0.2.1       2001:db8:aaaa::1     # an address alone is a whole one
//! 192.0.2.16/28   2001:db8:cccc::/124
//! ```

use std::path::Path;

use super::Problem;
use crate::model::Eam;
use crate::wire::address::prefix6_or_address;

/// Most bytes of a file: more than the largest table there can be.
const MOST_BYTES: u64 = 2 << 30;
/// Wrong lines that are told one by one.
const TOLD: usize = 20;
/// The key all this is about.
const KEY: &str = "relay.eam_file";

/// The mappings of a file, and on which line each stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EamFile {
    pub eams: Vec<Eam>,
    pub lines: Vec<u32>,
}

/// A line that is none, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: u32,
    pub(super) why: String,
}

/// Reads a file of up to `limit` mappings. A path that is not absolute is the
/// check's to refuse.
pub(super) fn read(path: &Path, limit: usize) -> Result<EamFile, Vec<Problem>> {
    if !path.is_absolute() {
        return Ok(EamFile::default());
    }
    let refuse = |why: String| {
        let problem = Problem::new(KEY, format!("cannot read {}: {why}", path.display()));
        vec![problem.hint("a text file of lines `IPV4 IPV6`, readable by the appliance")]
    };
    let metadata = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("it is not a file".to_owned()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(refuse(format!("it has more than {MOST_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    parse(&bytes, limit).map_err(|bad| told(path, bad))
}

/// Wrong lines as problems of the key that names the file.
pub(super) fn told(path: &Path, bad: Vec<BadLine>) -> Vec<Problem> {
    let more = bad.len().saturating_sub(TOLD);
    let one = |bad: &BadLine| format!("{}:{}: {}", path.display(), bad.line, bad.why);
    let mut problems: Vec<_> = bad.iter().take(TOLD).map(one).collect();
    if more > 0 {
        problems.push(format!("{}: and {more} more wrong lines", path.display()));
    }
    let problem = |message| Problem::new(KEY, message);
    problems.into_iter().map(problem).collect()
}

/// All the mappings, or all the lines that are none.
pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<EamFile, Vec<BadLine>> {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let mut file = EamFile {
        eams: Vec::with_capacity(lines.min(limit)),
        lines: Vec::with_capacity(lines.min(limit)),
    };
    let mut bad = Vec::new();
    for (line, text) in (1..=u32::MAX).zip(bytes.split(|byte| *byte == b'\n')) {
        match eam_of_line(text) {
            Ok(None) => {}
            Ok(Some(_)) if file.eams.len() >= limit => {
                let why = format!("more than {limit} mappings, which is `limits.eams`");
                bad.push(BadLine { line, why });
                break;
            }
            Ok(Some(eam)) => {
                file.eams.push(eam);
                file.lines.push(line);
            }
            Err(why) => bad.push(BadLine { line, why }),
        }
    }
    match bad.is_empty() {
        true => Ok(file),
        false => Err(bad),
    }
}

/// The mapping of a line, if there is one.
pub fn eam_of_line(line: &[u8]) -> Result<Option<Eam>, String> {
    let said = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let text = std::str::from_utf8(said).map_err(|_| "not text in UTF-8".to_owned())?;
    let mut fields = text.split_whitespace();
    let Some(ipv4) = fields.next() else {
        return Ok(None);
    };
    let (Some(ipv6), None) = (fields.next(), fields.next()) else {
        let count = text.split_whitespace().count();
        let s = if count == 1 { "" } else { "s" };
        return Err(format!(
            "{count} field{s}, and a mapping has two: `IPV4 IPV6`"
        ));
    };
    let eam = Eam {
        ipv4: ipv4.parse().map_err(|error| format!("{error}"))?,
        ipv6: prefix6_or_address::parse(ipv6).map_err(|error| error.to_string())?,
    };
    match super::check::eam_fault(&eam) {
        Some(fault) => Err(fault.to_string()),
        None => Ok(Some(eam)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn why(text: &str) -> String {
        let bad = parse(text.as_bytes(), 10).unwrap_err();
        assert_eq!(bad.len(), 1, "{bad:?}");
        format!("{}: {}", bad[0].line, bad[0].why)
    }

    #[test]
    fn lines_are_mappings_comments_or_empty() {
        let text = "# all\n\n192.0.2.1 2001:db8::1\r\n\t192.0.2.16/28\t2001:db8:1::/124 # range\n   #\n192.0.2.2/32\u{a0}2001:db8::2/128";
        let file = parse(text.as_bytes(), 3).unwrap();
        let texts: Vec<_> = file
            .eams
            .iter()
            .map(|eam| format!("{} {}", eam.ipv4, eam.ipv6))
            .collect();
        assert_eq!(
            texts,
            [
                "192.0.2.1/32 2001:db8::1/128",
                "192.0.2.16/28 2001:db8:1::/124",
                "192.0.2.2/32 2001:db8::2/128",
            ]
        );
        assert_eq!(file.lines, [3, 4, 6]);
        assert_eq!(parse(b"", 0).unwrap(), EamFile::default());
    }

    #[test]
    fn a_wrong_line_says_why() {
        for (text, expected) in [
            (
                "192.0.2.1",
                "1: 1 field, and a mapping has two: `IPV4 IPV6`",
            ),
            ("\n1 2 3", "2: 3 fields, and a mapping has two: `IPV4 IPV6`"),
            (
                "192.0.2.300 2001:db8::1",
                "1: `192.0.2.300` is not an IPv4 prefix such as 10.0.0.0/24",
            ),
            (
                "192.0.2.1/24 2001:db8::/120",
                "1: `192.0.2.1/24` is not a prefix whose host bits are zero",
            ),
            (
                "192.0.2.1 192.0.2.2",
                "1: `192.0.2.2` is not an IPv6 prefix such as 2001:db8:0:a:100::/72",
            ),
            (
                "192.0.2.0/24 2001:db8::/124",
                "1: 192.0.2.0/24 has 8 bits after its prefix and 2001:db8::/124 has 4",
            ),
            (
                "224.0.0.1 2001:db8::1",
                "1: 224.0.0.1 is a multicast address",
            ),
        ] {
            assert!(why(text).starts_with(expected), "{text}: {}", why(text));
        }
        let bad = parse(b"\xff\xfe 2001:db8::1\n192.0.2.1 ::zz\n", 9).unwrap_err();
        assert_eq!((bad[0].line, bad[1].line), (1, 2));
        assert_eq!(bad[0].why, "not text in UTF-8");
    }

    #[test]
    fn more_than_the_limit_is_told_once() {
        let text = "192.0.2.1 2001:db8::1\n192.0.2.2 2001:db8::2\n192.0.2.3 2001:db8::3\n";
        assert!(parse(text.as_bytes(), 3).is_ok());
        let bad = parse(text.as_bytes(), 1).unwrap_err();
        assert_eq!((bad.len(), bad[0].line), (1, 2));
        let path = Path::new("/e");
        let many: Vec<_> = (1..=25)
            .map(|line| BadLine {
                line,
                why: "x".to_owned(),
            })
            .collect();
        let problems = told(path, many);
        assert_eq!(problems.len(), TOLD + 1);
        assert_eq!(problems[0].message, "/e:1: x");
        assert_eq!(problems[TOLD].message, "/e: and 5 more wrong lines");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        for (path, why) in [
            ("/dev/zero", "not a file"),
            ("/nowhere/eams", "No such file"),
        ] {
            let problems = read(Path::new(path), 9).unwrap_err();
            assert!(problems[0].message.contains(why), "{}", problems[0]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 9);
        }

        #[test]
        fn any_fields_are_answered(text in "([0-9a-f:./#]{0,12}[ \t\n]){0,12}") {
            let _ = parse(text.as_bytes(), 9);
        }
    }
}
