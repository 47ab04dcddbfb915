//! `docs/configuration.md`, written from the types: their doc comments,
//! defaults and kinds, by way of the JSON schema that also tells unknown keys.

use std::fmt::Write;

use serde_json::Value;

use super::load::{not_null, resolve, schema};

const HEAD: &str = "\
# Configuration of `weft run`

One TOML file. `weft check FILE` says what is wrong with one, where, and what
would be right; unknown keys are errors.

Keys of one table stand below `[table]`, once. Lists have a `[[list]]` for
each of their members. A key without a default may be left out unless it is
marked required. `configs/minimal.toml` is the least that carries traffic,
`configs/pci.toml` a commented file for real network cards,
`configs/siit-relay.toml` one for a plain relay.

This file is written by `weft check --reference`; do not edit it.
";

/// The reference of all keys as Markdown.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    let root = schema();
    section(&mut out, "## Top of the file", root, |value| {
        !is_table(value) && list_of(value).is_none()
    });
    for (key, value) in properties(root) {
        if let Some(items) = list_of(value) {
            object(&mut out, &format!("## `[[{key}]]`"), key, items);
        } else if is_table(value) {
            object(&mut out, &format!("## `[{key}]`"), key, resolve(value));
        }
    }
    out.push_str("\n## Words and values\n");
    let defs = root.get("$defs").and_then(Value::as_object);
    for (name, def) in defs.into_iter().flatten().filter(|(_, def)| !is_table(def)) {
        let _ = write!(out, "\n**{name}**: {}\n", text(def));
        let words = words(def);
        if words.iter().any(|(_, help)| !help.is_empty()) {
            out.push('\n');
            for (word, help) in words {
                let _ = writeln!(out, "- `\"{word}\"`: {}", one_line(help));
            }
        }
    }
    out
}

/// The part about one table, and below it those of the tables in it.
fn object(out: &mut String, title: &str, path: &str, table: &Value) {
    section(out, title, table, |value| !is_table(value));
    for (key, value) in properties(table) {
        if let Some(items) = list_of(value) {
            object(out, &format!("### Members of `{key}`"), key, items);
        } else if is_table(value) {
            let inner = format!("{path}.{key}");
            object(out, &format!("### `[{inner}]`"), &inner, resolve(value));
        }
    }
}

fn section(out: &mut String, title: &str, table: &Value, show: impl Fn(&Value) -> bool) {
    let _ = write!(out, "\n{title}\n\n{}\n", text(table));
    out.push_str("\n| Key | Kind | Default | What it is |\n|---|---|---|---|\n");
    let required = table.get("required").and_then(Value::as_array);
    for (key, value) in properties(table).filter(|(_, value)| show(value)) {
        let must = required.is_some_and(|list| list.iter().any(|name| name == key));
        let default = match value.get("default") {
            _ if must => "**required**".to_owned(),
            None if json_type(value) == "boolean" => "`false`".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let _ = writeln!(
            out,
            "| `{key}` | {} | {default} | {} |",
            kind(value),
            one_line(text(value))
        );
    }
}

fn properties(table: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let map = table.get("properties").and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

fn is_table(value: &Value) -> bool {
    resolve(value).get("properties").is_some()
}

/// The members' schema, if they are tables.
fn list_of(value: &Value) -> Option<&Value> {
    let items = resolve(resolve(value).get("items")?);
    is_table(items).then_some(items)
}

fn text(value: &Value) -> &str {
    value
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Markdown tables have one line for each row, and no bars inside.
fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// The words of an enumeration with what they mean.
fn words(value: &Value) -> Vec<(&str, &str)> {
    let value = resolve(value);
    let plain = value
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let plain = plain.filter_map(|word| Some((word.as_str()?, "")));
    let described = value
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let described = described.flat_map(|one| match one.get("const").and_then(Value::as_str) {
        Some(word) => vec![(word, text(one))],
        None => words(one),
    });
    plain.chain(described).collect()
}

/// What may stand there, in words.
fn kind(value: &Value) -> String {
    let words: Vec<_> = words(value)
        .iter()
        .map(|(word, _)| format!("`\"{word}\"`"))
        .collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    let whole = not_null(value);
    if let Some(reference) = whole.get("$ref").and_then(Value::as_str)
        && !is_table(whole)
    {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        return format!("[{name}](#words-and-values)");
    }
    let whole = resolve(whole);
    let most = whole.get("maximum");
    match json_type(whole) {
        "array" => {
            let items = whole.get("items").unwrap_or(&Value::Null);
            match is_table(items) {
                true => "list of tables".to_owned(),
                false => format!("list of {}", kind(items)),
            }
        }
        "integer" => match whole.get("minimum").zip(most) {
            Some((least, most)) => format!("number, {least} to {most}"),
            None => "number".to_owned(),
        },
        "boolean" => "`true` or `false`".to_owned(),
        "object" => "table".to_owned(),
        _ => "text".to_owned(),
    }
}

fn json_type(value: &Value) -> &str {
    match value.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            kinds
                .into_iter()
                .find(|kind| *kind != "null")
                .unwrap_or_default()
        }
        _ => "",
    }
}
