//! The TOML document with its positions: which key stands where.
//!
//! Nothing is indexed beforehand. A path is walked when there is a problem to
//! place, so a file of a million mappings costs no second tree.

use std::cell::OnceCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file's text with the beginnings of its lines, so that a million problems
/// are placed as quickly as one.
pub(super) struct Lines<'i> {
    text: &'i str,
    starts: OnceCell<Vec<usize>>,
}

/// A parsed file.
pub(super) struct Document<'i> {
    pub(super) lines: Lines<'i>,
    pub(super) root: DeTable<'i>,
}

impl<'i> Document<'i> {
    pub(super) fn new(lines: Lines<'i>, root: DeTable<'i>) -> Self {
        Document { lines, root }
    }

    /// Line and column of the key at the end of a path. Where the path goes
    /// further than the document, of its deepest part that is there.
    pub(super) fn position(&self, path: &str) -> Option<(usize, usize)> {
        let mut start = None;
        let mut table = Some(&self.root);
        let mut value: Option<&Spanned<DeValue<'i>>> = None;
        for step in steps(path) {
            let next = match step {
                Step::Key(key) => {
                    let entry = table.and_then(|t| t.iter().find(|(k, _)| k.get_ref() == key));
                    entry.map(|(key, value)| (key.span().start, value))
                }
                Step::Index(index) => value
                    .and_then(|value| value.get_ref().as_array())
                    .and_then(|array| array.get(index))
                    .map(|value| (value.span().start, value)),
            };
            let Some((at, found)) = next else { break };
            start = Some(at);
            value = Some(found);
            table = found.get_ref().as_table();
        }
        start.map(|start| self.lines.position(start))
    }
}

enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// `route[0].via[1].address` in its steps.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').flat_map(|part| {
        let (key, indices) = match part.find('[') {
            Some(at) => part.split_at(at),
            None => (part, ""),
        };
        let indices = indices
            .split(['[', ']'])
            .filter(|index| !index.is_empty())
            .filter_map(|index| index.parse().ok().map(Step::Index));
        std::iter::once(Step::Key(key)).chain(indices)
    })
}

/// Path of the innermost key below `value` whose value covers `offset`. Every
/// table is looked into: the span of one with a header is the header alone.
pub(super) fn path_at(value: &DeValue<'_>, prefix: &str, offset: usize) -> String {
    fn find(value: &DeValue<'_>, path: &str, offset: usize) -> Option<String> {
        let look = |value: &Spanned<DeValue<'_>>, path: String| {
            let covers = value.span().contains(&offset);
            find(value.get_ref(), &path, offset).or(covers.then_some(path))
        };
        match value {
            DeValue::Table(table) => table
                .iter()
                .find_map(|(key, value)| look(value, join(path, key.get_ref()))),
            DeValue::Array(array) => array
                .iter()
                .enumerate()
                .find_map(|(index, value)| look(value, format!("{path}[{index}]"))),
            _ => None,
        }
    }
    find(value, prefix, offset).unwrap_or_else(|| prefix.to_owned())
}

/// `prefix.key`, or the key alone at the top.
pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

impl<'i> Lines<'i> {
    pub(super) fn new(text: &'i str) -> Self {
        Lines {
            text,
            starts: OnceCell::new(),
        }
    }

    /// The text between two bytes; empty when they do not bound any.
    pub(super) fn text(&self, span: std::ops::Range<usize>) -> &'i str {
        self.text.get(span).unwrap_or_default()
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let starts = self.starts.get_or_init(|| {
            let newlines = self.text.match_indices('\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(newlines).collect()
        });
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let line = starts.partition_point(|&start| start <= end);
        let start = line.checked_sub(1).and_then(|line| starts.get(line));
        let before = self.text(start.copied().unwrap_or(0)..end);
        (line, 1 + before.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"R\"\n\n[runtime]\nworkers = [1, 2]\n\n[[route]]\nprefix = \"::/0\"\nvia = [{ address = \"fe80::1\", port = \"up\" }]\n";

    #[test]
    fn paths_lead_to_positions() {
        let root = DeTable::parse(TEXT).unwrap().into_inner();
        let document = Document::new(Lines::new(TEXT), root);
        for (path, position) in [
            ("name", Some((1, 1))),
            ("runtime.workers", Some((4, 1))),
            ("runtime.workers[1]", Some((4, 15))),
            ("runtime.idle", Some((3, 2))),
            ("route[0]", Some((6, 1))),
            ("route[0].via[0].port", Some((8, 31))),
            ("route[0].via[0].mac", Some((8, 8))),
            ("route[7].via", Some((6, 3))),
            ("port", None),
            ("", None),
            ("route[x].[[", Some((6, 3))),
        ] {
            assert_eq!(document.position(path), position, "{path}");
        }
    }

    #[test]
    fn columns_count_characters() {
        let lines = Lines::new("a\n\u{e9}\u{e9}x\n");
        for (offset, position) in [
            (0, (1, 1)),
            (1, (1, 2)),
            (2, (2, 1)),
            (3, (2, 1)),
            (6, (2, 3)),
            (8, (3, 1)),
        ] {
            assert_eq!(lines.position(offset), position, "{offset}");
        }
        assert_eq!(Lines::new("").position(9), (1, 1));
    }

    #[test]
    fn offsets_lead_to_paths() {
        let root = DeTable::parse(TEXT).unwrap().into_inner();
        let offset = TEXT.find("fe80").unwrap();
        let value = DeValue::Table(root);
        assert_eq!(path_at(&value, "", offset), "route[0].via[0].address");
        let offset = TEXT.find("2]").unwrap();
        let DeValue::Table(root) = value else {
            panic!()
        };
        let runtime = root.get("runtime").unwrap();
        assert_eq!(
            path_at(runtime.get_ref(), "runtime", offset),
            "runtime.workers[1]"
        );
    }
}
