//! Where two files differ in what names no objects: settings, key by key, and
//! ports by their names.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::join;
use super::{Config, Problem};
use crate::model::Port;

/// A setting that one file has otherwise than another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingChange {
    /// Path of the key in the wanted file, such as `runtime.workers`.
    pub path: String,
    /// Name of the port it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Absent: it is not there, and has no default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// A port of nodes that one file has and another has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChange<'a> {
    Added(&'a str),
    Removed(&'a str),
}

impl SettingChange {
    /// A port of nodes that comes or goes, which it can while the appliance
    /// runs.
    pub fn port_change(&self) -> Option<PortChange<'_>> {
        let name = self.port.as_deref().filter(|_| !self.path.contains('.'))?;
        let of_nodes = |port: &Value| port.get("role").and_then(Value::as_str) == Some("node");
        match (&self.old, &self.new) {
            (None, Some(port)) if of_nodes(port) => Some(PortChange::Added(name)),
            (Some(port), None) if of_nodes(port) => Some(PortChange::Removed(name)),
            _ => None,
        }
    }

    /// For a setting that cannot change while the appliance runs.
    pub fn refused(&self) -> Problem {
        let (path, of) = (&self.path, self.port.as_deref());
        let message = match (of, &self.old, &self.new) {
            (Some(port), None, _) if !path.contains('.') => {
                format!("port {port} cannot be added while running")
            }
            (Some(port), _, None) if !path.contains('.') => {
                format!("port {port} cannot be removed while running")
            }
            (of, old, new) => {
                let key = path.rsplit('.').next().unwrap_or(path);
                let of = of.map(|port| format!("{key} of port {port} "));
                format!(
                    "{}cannot change while running: {} -> {}",
                    of.unwrap_or_default(),
                    shown(old.as_ref()),
                    shown(new.as_ref())
                )
            }
        };
        let mut problem = Problem::new(path.as_str(), message)
            .hint("restart the appliance with this file, or take this back");
        problem.old = self.old.clone().map(Box::new);
        problem.new = self.new.clone().map(Box::new);
        problem
    }
}

/// A value as people read it: text without quotes.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Settings that differ, in the order of the reference. Objects are not looked
/// at.
pub fn setting_changes(running: &Config, wanted: &Config) -> Vec<SettingChange> {
    let mut changes = Vec::new();
    let found = &mut |path: String, old: Option<&Value>, new: Option<&Value>| {
        changes.push(SettingChange {
            path,
            port: None,
            old: old.cloned(),
            new: new.cloned(),
        });
    };
    compare("", &settings(running), &settings(wanted), found);
    ports(&running.port, &wanted.port, &mut changes);
    changes
}

/// Everything that names no object and is no port.
fn settings(config: &Config) -> Map<String, Value> {
    let Config {
        name,
        layout,
        locator,
        mtu,
        runtime,
        control,
        limits,
        multicast,
        log,
        metrics,
        state,
        ..
    } = config;
    let tables = [
        ("name", value(name)),
        ("layout", value(layout)),
        ("locator", value(locator)),
        ("mtu", value(mtu)),
        ("runtime", value(runtime)),
        ("control", value(control)),
        ("limits", value(limits)),
        ("multicast", value(multicast)),
        ("log", value(log)),
        ("metrics", value(metrics)),
        ("state", value(state)),
    ];
    let named = tables.map(|(key, value)| (key.to_owned(), value));
    named.into_iter().collect()
}

/// None of the types refuses to be written.
fn value<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// Leaves that differ; a list is a leaf.
fn compare(
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut impl FnMut(String, Option<&Value>, Option<&Value>),
) {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    for key in new.keys().chain(gone) {
        let here = join(path, key);
        match (old.get(key), new.get(key)) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                compare(&here, old, new, found);
            }
            (old, new) if old != new => found(here, old, new),
            _ => {}
        }
    }
}

fn ports(running: &[Port], wanted: &[Port], changes: &mut Vec<SettingChange>) {
    let names = |ports: &[Port]| -> Vec<String> { ports.iter().map(|p| p.name.clone()).collect() };
    for (index, port) in wanted.iter().enumerate() {
        let path = format!("port[{index}]");
        let Some(old) = running.iter().find(|old| old.name == port.name) else {
            changes.push(SettingChange {
                path,
                port: Some(port.name.clone()),
                old: None,
                new: Some(value(port)),
            });
            continue;
        };
        if let (Value::Object(old), Value::Object(new)) = (value(old), value(port)) {
            let found = &mut |path: String, old: Option<&Value>, new: Option<&Value>| {
                changes.push(SettingChange {
                    path,
                    port: Some(port.name.clone()),
                    old: old.cloned(),
                    new: new.cloned(),
                });
            };
            compare(&path, &old, &new, found);
        }
    }
    let (before, after) = (names(running), names(wanted));
    for old in running.iter().filter(|old| !after.contains(&old.name)) {
        changes.push(SettingChange {
            path: "port".to_owned(),
            port: Some(old.name.clone()),
            old: Some(value(old)),
            new: None,
        });
    }
    // Workers get ports in this order.
    let mut sorted = (before.clone(), after.clone());
    sorted.0.sort();
    sorted.1.sort();
    if before != after && sorted.0 == sorted.1 {
        changes.push(SettingChange {
            path: "port".to_owned(),
            port: None,
            old: Some(value(&before)),
            new: Some(value(&after)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = r#"
name = "R"
locator = "2001:db8:0:a:100::/72"
[runtime]
workers = [1]
[[port]]
name = "up"
device = "net_tap0"
role = "uplink"
[[port]]
name = "a"
device = "net_tap1"
role = "node"
[[vnet]]
name = "Z"
vni = 0x5A0001
"#;

    fn parsed(text: &str) -> Config {
        let (config, _) = Config::parse("f", text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        config
    }

    /// What is refused of the running file with a text in place of another.
    fn refused(from: &str, to: &str) -> Vec<String> {
        assert!(RUNNING.contains(from));
        let wanted = parsed(&RUNNING.replacen(from, to, 1));
        let changes = setting_changes(&parsed(RUNNING), &wanted);
        let text =
            |change: &SettingChange| format!("{}: {}", change.path, change.refused().message);
        changes.iter().map(text).collect()
    }

    #[test]
    fn every_key_is_told_with_both_values() {
        let change = |from, to, expected: &[&str]| assert_eq!(refused(from, to), expected);
        change("workers = [1]", "workers = [1]", &[]);
        change("vni = 0x5A0001", "vni = 7", &[]);
        change(
            "workers = [1]",
            "workers = [1, 2]\nfile_prefix = \"x\"",
            &[
                "runtime.workers: cannot change while running: [1] -> [1,2]",
                "runtime.file_prefix: cannot change while running: (none) -> x",
            ],
        );
        change(
            "name = \"R\"",
            "name = \"Q\"\nmtu = 1400",
            &[
                "name: cannot change while running: R -> Q",
                "mtu: cannot change while running: 1500 -> 1400",
            ],
        );
    }

    #[test]
    fn ports_are_known_by_their_names() {
        let change = |from, to, expected: &[&str]| assert_eq!(refused(from, to), expected);
        change(
            "device = \"net_tap1\"",
            "device = \"net_tap2\"\nmtu = 1400",
            &[
                "port[1].device: device of port a cannot change while running: net_tap1 -> net_tap2",
                "port[1].mtu: mtu of port a cannot change while running: 1500 -> 1400",
            ],
        );
        change(
            "name = \"a\"",
            "name = \"b\"",
            &[
                "port[1]: port b cannot be added while running",
                "port: port a cannot be removed while running",
            ],
        );
        let mut turned = parsed(RUNNING);
        turned.port.reverse();
        let changes = setting_changes(&parsed(RUNNING), &turned);
        let [order] = &changes[..] else {
            panic!("{changes:?}")
        };
        assert_eq!(
            order.refused().message,
            "cannot change while running: [\"up\",\"a\"] -> [\"a\",\"up\"]"
        );
    }
}
