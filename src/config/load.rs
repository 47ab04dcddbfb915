//! From bytes to a checked [`Config`], collecting every problem on the way.
//!
//! serde stops at its first error, so it is asked table by table: a file with
//! a fault in three tables gets three messages. Unknown keys are found before,
//! by the schema of the types, all of them, and taken out of the document.
//! Meaning is checked only when the form is right.

use std::path::Path;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::document::{self, Document, Lines, join};
use super::{Config, Problem, Problems, Warning, check, eam_file, types};

impl Config {
    /// Reads, checks and returns a host file, or everything that is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<(Config, Vec<Warning>), Problems> {
        let path = path.as_ref();
        let file = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Config::parse(&file, &bytes),
            Err(error) => Err(Problems {
                file,
                problems: vec![Problem::new("", format!("cannot read the file: {error}"))],
            }),
        }
    }

    /// The same for a file's bytes; `file` is its name in messages.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<(Config, Vec<Warning>), Problems> {
        let refuse = |problems| Problems {
            file: file.to_owned(),
            problems,
        };
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (good, _) = bytes.split_at(error.valid_up_to());
            let good = String::from_utf8_lossy(good);
            let mut problem = Problem::new("", "the file is not text in UTF-8");
            problem.at = Some(Lines::new(&good).position(good.len()));
            refuse(vec![problem])
        })?;
        let mut reader = Reader::new(text).map_err(refuse)?;
        let config = reader.config();
        let document = reader.document;
        let place = |mut problem: Problem| {
            let at = problem.at.or_else(|| document.position(&problem.path));
            // What is missing altogether is missing from the first line on.
            problem.at = at.or(Some((1, 1)));
            problem
        };
        let in_order = |problems: Vec<Problem>| {
            let mut problems: Vec<_> = problems.into_iter().map(place).collect();
            problems.sort_by_key(|problem| problem.at);
            problems
        };
        let mut config = match config {
            Some(config) if reader.problems.is_empty() => config,
            _ => return Err(refuse(in_order(reader.problems))),
        };
        let unread = config.read_eams().err().unwrap_or_default();
        let mut findings = check::check(&config);
        findings.problems.extend(unread);
        if !findings.problems.is_empty() {
            return Err(refuse(in_order(findings.problems)));
        }
        let warnings = in_order(findings.warnings)
            .into_iter()
            .map(|problem| Warning {
                file: file.to_owned(),
                problem,
            });
        Ok((config, warnings.collect()))
    }

    /// Reads the file of explicit mappings, if one is named.
    fn read_eams(&mut self) -> Result<(), Vec<Problem>> {
        let file = self.relay.as_ref().and_then(|r| r.eam_file.as_deref());
        if let Some(file) = file {
            self.eam_file = eam_file::read(file, self.limits.eams as usize)?;
        }
        Ok(())
    }
}

/// Line and column of keys in the text of a file; the first place of all for
/// what stands nowhere in it.
pub fn places<'p>(text: &str, paths: impl Iterator<Item = &'p str>) -> Vec<(usize, usize)> {
    let (root, _) = DeTable::parse_recoverable(text);
    let document = Document::new(Lines::new(text), root.into_inner());
    let place = |path| document.position(path).unwrap_or((1, 1));
    paths.map(place).collect()
}

/// JSON schema of the types, from which unknown keys are told and the
/// reference is written.
pub(super) fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| schemars::schema_for!(Config).to_value())
}

/// An optional type is written as itself or null: itself, then.
pub(super) fn not_null(schema: &Value) -> &Value {
    let any = schema.get("anyOf").and_then(Value::as_array);
    let null = |one: &&Value| one.get("type").and_then(Value::as_str) == Some("null");
    any.and_then(|any| any.iter().find(|one| !null(one)))
        .unwrap_or(schema)
}

/// A schema with its reference followed.
pub(super) fn resolve(schema: &Value) -> &Value {
    let schema = not_null(schema);
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| self::schema().pointer(pointer));
    target.unwrap_or(schema)
}

/// The range that a type's schema gives to a key.
pub(super) fn bounds(table: &str, key: &str) -> Option<(u64, u64)> {
    let table = match table {
        "" => schema(),
        _ => schema().get("$defs")?.get(table)?,
    };
    let key = table.get("properties")?.get(key)?;
    let key = key.get("items").unwrap_or(key);
    Some((key.get("minimum")?.as_u64()?, key.get("maximum")?.as_u64()?))
}

struct Reader<'i> {
    document: Document<'i>,
    problems: Vec<Problem>,
}

impl<'i> Reader<'i> {
    fn new(text: &'i str) -> Result<Self, Vec<Problem>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut root = root.into_inner();
        let lines = Lines::new(text);
        if !errors.is_empty() {
            // After the first error the parser guesses; its further findings
            // on the same line are echoes.
            let mut problems: Vec<_> = errors.iter().map(|e| syntax(&lines, e)).collect();
            problems.sort_by_key(|problem| problem.at);
            problems.dedup_by_key(|problem| problem.at.map(|(line, _)| line));
            return Err(problems);
        }
        other_kind(&root, &lines)?;
        let mut problems = Vec::new();
        take_unknown(&mut root, schema(), "", &lines, &mut problems);
        Ok(Reader {
            document: Document::new(lines, root),
            problems,
        })
    }

    /// All the tables. The values that stand in for missing ones are never
    /// seen: a problem was noted for each.
    fn config(&mut self) -> Option<Config> {
        let name = self.required("name");
        let config = Config {
            layout: self.optional("layout").unwrap_or_default(),
            mtu: self.optional("mtu").unwrap_or_else(types::default_mtu),
            runtime: self.table("runtime"),
            control: self.table("control"),
            limits: self.table("limits"),
            multicast: self.table("multicast"),
            log: self.table("log"),
            metrics: self.table("metrics"),
            state: self.table("state"),
            port: self.list("port"),
            vnet: self.list("vnet"),
            subnet: self.list("subnet"),
            router: self.list("router"),
            vroute: self.list("vroute"),
            member: self.list("member"),
            binding: self.list("binding"),
            host: self.list("host"),
            mapping: self.list("mapping"),
            route: self.list("route"),
            neighbor: self.list("neighbor"),
            relay: self.single("relay"),
            eam: self.list("eam"),
            outsider: self.list("outsider"),
            eam_file: Default::default(),
            locator: self.optional("locator"),
            name: name?,
        };
        Some(config)
    }

    fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        if !self.document.root.contains_key(key) {
            self.problems
                .push(Problem::new(key, format!("`{key}` is missing")));
            return None;
        }
        self.optional(key)
    }

    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.document.root.get(key)?;
        match read(value, key, &self.document.lines) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(*problem);
                None
            }
        }
    }

    fn table<T: DeserializeOwned + Default>(&mut self, key: &str) -> T {
        self.single(key).unwrap_or_default()
    }

    /// A table that occurs at most once.
    fn single<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        match self.document.root.get(key).map(|value| value.get_ref()) {
            Some(DeValue::Array(_)) => {
                let problem = Problem::new(key, format!("`{key}` is one table, not a list"));
                self.problems
                    .push(problem.hint(format!("write `[{key}]`, once")));
                None
            }
            _ => self.optional(key),
        }
    }

    fn list<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let Some(value) = self.document.root.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            let problem = Problem::new(key, format!("`{key}` is a list of tables"));
            self.problems
                .push(problem.hint(format!("write `[[{key}]]` for each")));
            return Vec::new();
        };
        let mut list = Vec::with_capacity(array.len());
        for (index, value) in array.iter().enumerate() {
            match read(value, &format!("{key}[{index}]"), &self.document.lines) {
                Ok(value) => list.push(value),
                Err(problem) => self.problems.push(*problem),
            }
        }
        list
    }
}

/// One value as its type; the problem carries the path of the key at fault,
/// and stands where the value does. What is missing stands nowhere.
fn read<T: DeserializeOwned>(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    lines: &Lines<'_>,
) -> Result<T, Box<Problem>> {
    T::deserialize(ValueDeserializer::from(value.clone())).map_err(|error| {
        let offset = error.span().map_or(value.span().start, |span| span.start);
        let path = document::path_at(value.get_ref(), path, offset);
        let mut problem = explain(path, error.message());
        if !error.message().starts_with(MISSING) {
            problem.at = Some(lines.position(offset));
        }
        Box::new(problem)
    })
}

/// How serde begins to say that a key is not there.
const MISSING: &str = "missing field ";

/// serde's words in ours.
fn explain(path: String, message: &str) -> Problem {
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    if let Some(key) = message.strip_prefix(MISSING).and_then(quoted) {
        return Problem::new(join(&path, &key), format!("`{key}` is missing"));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut names = rest.split('`').skip(1).step_by(2);
        let given = names.next().unwrap_or_default().to_owned();
        let names: Vec<_> = names.collect();
        return none_of(path, &given, &names);
    }
    for (words, hint) in [
        (
            "invalid socket address syntax",
            "an address and a port, such as `127.0.0.1:9464` or `[::1]:9464`",
        ),
        (
            "invalid IPv6 address syntax",
            "an address such as `2001:db8:ffff::ff`",
        ),
    ] {
        if message == words {
            return Problem::new(path, message).hint(hint);
        }
    }
    Problem::new(path, in_words(message))
}

/// Words of other versions: the key they belong to, and what they are there.
const LATER: &[(&str, &[&str], &str)] = &[
    (
        "mode",
        &["rfc7915", "rewrite4", "vxlan", "geneve"],
        "no mode",
    ),
    ("role", &["edge"], "no role"),
];

/// A word that is not one of those a key takes.
fn none_of(path: String, given: &str, names: &[&str]) -> Problem {
    let key = path.rsplit('.').next().unwrap_or(&path);
    let known = LATER
        .iter()
        .find(|(of, words, _)| *of == key && words.contains(&given));
    if let Some((_, _, what)) = known {
        let message = format!("this version has {what} `{given}`");
        return Problem::new(path, message).hint(format!("one of {}", names.join(", ")));
    }
    let problem = Problem::new(path, format!("`{given}` is none of {}", names.join(", ")));
    problem.near(given, names.iter().copied())
}

/// The rest of serde's messages name Rust's types; ours do not.
fn in_words(message: &str) -> String {
    let Some((given, expected)) = message.split_once(", expected ") else {
        return message.replace(
            "wanted string or table",
            "a word in quotes is expected here",
        );
    };
    let given = given
        .replace("invalid type: ", "wrong type: ")
        .replace("invalid value: ", "wrong value: ")
        .replace("sequence", "list")
        .replace("map", "table")
        .replace("string", "text");
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number",
        "a string" => "text in quotes",
        "a boolean" => "true or false",
        "a sequence" => "a list in brackets",
        "path string" => "a path in quotes",
        _ if expected.starts_with("struct ") => "a table",
        _ => match expected.strip_prefix("the text form of a ") {
            Some("Mac") => "a hardware address such as \"02:00:00:00:00:01\"",
            Some("Vaddr") => "an IPv4 address such as \"10.0.0.2\"",
            Some("Range4") => "addresses such as \"10.0.1.100-10.0.1.199\"",
            Some("Prefix4") => "an IPv4 prefix such as \"10.0.0.0/24\"",
            Some("Locator") => "an IPv6 prefix such as \"2001:db8:0:a:100::/72\"",
            Some("Interface4") => "an address with its length such as \"192.0.2.1/24\"",
            Some("Interface6") => "an address with its length such as \"2001:db8:ffff::1/64\"",
            Some("RssKey") => "a key in hexadecimal, or \"driver\"",
            Some("FileMode") => "permissions in octal such as \"0660\"",
            _ => expected,
        },
    };
    format!("{given}, expected {expected}")
}

/// Takes keys that the schema does not know out of a table, noting each.
fn take_unknown(
    table: &mut DeTable<'_>,
    schema: &Value,
    path: &str,
    lines: &Lines<'_>,
    problems: &mut Vec<Problem>,
) {
    let Some(known) = resolve(schema).get("properties").and_then(Value::as_object) else {
        return;
    };
    let mut unknown = Vec::new();
    for (key, value) in table.iter_mut() {
        let here = join(path, key.get_ref());
        let Some(schema) = known.get(key.get_ref().as_ref()) else {
            let message = match path {
                "" => format!("there is no key `{}`", key.get_ref()),
                _ => format!("there is no key `{}` in {}", key.get_ref(), kind(path)),
            };
            let mut problem =
                Problem::new(here, message).near(key.get_ref(), known.keys().map(String::as_str));
            problem.at = Some(lines.position(key.span().start));
            problems.push(problem);
            unknown.push(key.get_ref().to_string());
            continue;
        };
        match value.get_mut() {
            DeValue::Table(inner) => take_unknown(inner, schema, &here, lines, problems),
            DeValue::Array(array) => {
                let items = resolve(schema).get("items").unwrap_or(&Value::Null);
                for (index, value) in array.iter_mut().enumerate() {
                    if let DeValue::Table(inner) = value.get_mut() {
                        take_unknown(inner, items, &format!("{here}[{index}]"), lines, problems);
                    }
                }
            }
            _ => {}
        }
    }
    for key in unknown {
        table.remove(key.as_str());
    }
}

/// `route[0].via[1]` -> "a `via` of a `route`": what a reader calls the table.
fn kind(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    match last.split_once('[') {
        Some((list, _)) => format!("a `{list}`"),
        None if path.contains('[') => format!("`[{last}]`"),
        None => format!("`[{path}]`"),
    }
}

/// A file of another program is told by name, rather than by every key.
fn other_kind(root: &DeTable<'_>, lines: &Lines<'_>) -> Result<(), Vec<Problem>> {
    let known = resolve(schema())
        .get("properties")
        .and_then(Value::as_object);
    let ours = |key: &str| known.is_some_and(|known| known.contains_key(key));
    for (key, _) in root {
        if let kind @ ("manager" | "agent") = key.get_ref().as_ref() {
            let message = format!("this is a file for `weft {kind}`, not a host file");
            let mut problem = Problem::new(kind, message)
                .hint("this version of weft knows host files only, for `weft run`");
            problem.at = Some(lines.position(key.span().start));
            return Err(vec![problem]);
        }
    }
    if !root.is_empty() && !root.keys().any(|key| ours(key.get_ref())) {
        let mut problem = Problem::new("", "this is no weft file: it has none of the keys of one")
            .hint("a host file begins with `name`; `weft check --reference` lists all keys");
        problem.at = Some((1, 1));
        return Err(vec![problem]);
    }
    Ok(())
}

fn syntax(lines: &Lines<'_>, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or_default();
    let message = match error.message() {
        "duplicate key" => format!("`{}` is there already", lines.text(span.clone())),
        other => other.to_owned(),
    };
    let mut problem = Problem::new("", message);
    problem.at = Some(lines.position(span.start));
    problem
}
