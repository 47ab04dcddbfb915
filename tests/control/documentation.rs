//! docs/control-protocol.md says what is: its examples are sent, its answers
//! compared, its tables checked.

use serde_json::Value;
use weft::control::proto::{ErrorCode, Event, Kind, Method, Topic};

use crate::rig::*;

const TEXT: &str = include_str!("../../docs/control-protocol.md");

/// Blocks of JSON with what their fence says of them.
fn blocks() -> Vec<(&'static str, Vec<Value>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<Value>)> = None;
    for line in TEXT.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(fence)) => open = Some((fence, Vec::new())),
            (Some(_), Some(_)) => blocks.extend(open.take().filter(|b| b.0.starts_with("json"))),
            (Some((fence, lines)), None) if fence.starts_with("json") => {
                lines.push(serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")));
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn examples_are_accepted_and_answered_as_written() {
    let rig = Rig::new();
    let mut raw = rig.raw();
    let mut last = Value::Null;
    let mut shown = std::collections::BTreeSet::new();
    for (fence, lines) in blocks() {
        for line in lines {
            match fence {
                "json request" | "json request error" => {
                    raw.send(format!("{line}\n").as_bytes());
                    loop {
                        last = raw.line().unwrap();
                        if last.get("id").is_some() {
                            break;
                        }
                    }
                    let refused = last.get("error").is_some();
                    assert_eq!(refused, fence.ends_with("error"), "{line} -> {last}");
                    shown.insert(line["method"].as_str().unwrap().to_owned());
                }
                "json answer" => assert_eq!(last, line),
                "json event" => {
                    let event: Event = serde_json::from_value(line.clone()).unwrap();
                    assert_eq!(serde_json::to_value(event).unwrap(), line);
                    shown.insert(line["topic"].as_str().unwrap().to_owned());
                }
                other => panic!("unknown kind of block: {other}"),
            }
        }
    }
    for method in Method::ALL {
        assert!(shown.contains(method.name()), "no example of {method}");
    }
    for topic in Topic::ALL {
        let name = serde_json::to_value(topic).unwrap();
        assert!(
            shown.contains(name.as_str().unwrap()),
            "no example of topic {name}"
        );
    }
}

#[test]
fn tables_list_every_method_code_and_kind() {
    for method in Method::ALL {
        let row = format!("| `{method}` | {} | {} |", method.access(), method.help());
        assert!(TEXT.contains(&row), "missing: {row}");
    }
    for code in ErrorCode::ALL {
        assert!(TEXT.contains(&format!("| {} |", code.number())), "{code:?}");
    }
    for kind in Kind::ALL {
        assert!(TEXT.contains(&format!("`{kind}`")), "{kind}");
    }
}
