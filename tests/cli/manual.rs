//! The manual is the tree's own words, and the tree is the protocol's shape.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use weft::control::proto::Method;

#[test]
fn the_manual_is_up_to_date() {
    let text = weft::cli::docs::markdown();
    if std::env::var_os("WEFT_BLESS").is_some() {
        std::fs::write("docs/cli.md", &text).unwrap();
    }
    let written = std::fs::read_to_string("docs/cli.md").unwrap_or_default();
    assert!(
        written == text,
        "docs/cli.md is out of date; write it with `WEFT_BLESS=1 cargo test --test cli manual`"
    );
}

fn leaves(command: &Command, path: &str, take: &mut dyn FnMut(&str, &Command)) {
    let mut subs = command
        .get_subcommands()
        .filter(|c| c.get_name() != "help")
        .peekable();
    if subs.peek().is_none() {
        take(path, command);
    }
    for sub in subs {
        leaves(sub, &format!("{path} {}", sub.get_name()), take);
    }
}

/// Commands that are not clients of the socket.
const LOCAL: [&str; 3] = ["weft run", "weft check", "weft completions"];

/// Methods without a command of their own.
const WITHOUT: [&str; 6] = [
    // Said by every command that connects.
    "hello",
    // A connection's end is the end of its subscriptions.
    "unsubscribe",
    // `weft capture` writes its file itself, from a trace.
    "capture.start",
    "capture.stop",
    // The relay is changed by way of the file.
    "relay.set",
    "relay.remove",
];

#[test]
fn commands_and_methods_are_one_to_one() {
    let mut named = BTreeSet::new();
    leaves(&weft::cli::Cli::command(), "weft", &mut |path, command| {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        if LOCAL.contains(&path) {
            return;
        }
        let (label, methods) = help
            .split_once(": ")
            .unwrap_or_else(|| panic!("{path} names no method"));
        assert!(["Method", "Methods"].contains(&label), "{path}: {help}");
        if path == "weft ctl" {
            return;
        }
        for method in methods.split(", ") {
            let known = Method::from_name(method);
            named.insert(
                known
                    .unwrap_or_else(|| panic!("{path}: no method {method}"))
                    .name(),
            );
        }
    });
    let all: BTreeSet<_> = Method::ALL.iter().map(|method| method.name()).collect();
    let expected: BTreeSet<_> = all.into_iter().filter(|m| !WITHOUT.contains(m)).collect();
    assert_eq!(named, expected);
}
