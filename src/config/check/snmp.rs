//! Whom virtual routers answer by SNMP.

use super::{At, Findings, Once};
use crate::model::{Snmp, SnmpUser};

/// Communities, and users, of a router or of a vnet's own.
const MOST: usize = 16;
/// Bytes of a community or a user's name (RFC 3414 section 5).
const NAME: std::ops::RangeInclusive<usize> = 1..=32;
/// Bytes of a text of the system group (RFC 3418).
const TEXT: usize = 255;
/// A shorter pass phrase is refused (RFC 3414 section 11.2).
const KEY: std::ops::RangeInclusive<usize> = 8..=64;

pub(super) fn snmp(at: At<'_>, snmp: &Snmp, out: &mut Findings) {
    if snmp.communities.is_empty() && snmp.users.is_empty() {
        out.hinted(
            at.key("snmp"),
            "nobody is answered",
            "name `communities` or `users`, or leave the table out",
        );
    }
    for (key, count) in [
        ("communities", snmp.communities.len()),
        ("users", snmp.users.len()),
    ] {
        if count > MOST {
            out.problem(at.key(&format!("snmp.{key}")), format!("more than {MOST}"));
        }
    }
    for (key, text) in [("contact", &snmp.contact), ("location", &snmp.location)] {
        if text.len() > TEXT || !printable(text) {
            let message = format!("not a text of at most {TEXT} printable ASCII characters");
            out.problem(at.key(&format!("snmp.{key}")), message);
        }
    }
    let mut once = Once::new("communities");
    for (i, community) in snmp.communities.iter().enumerate() {
        let path = || at.key(&format!("snmp.communities[{i}]"));
        word(path, community, out);
        if once.again(community, i).is_some() {
            out.problem(path(), format!("`{community}` occurs twice"));
        }
    }
    let mut once = Once::new("users");
    for (i, user) in snmp.users.iter().enumerate() {
        let path = |key: &str| at.key(&format!("snmp.users[{i}].{key}"));
        word(|| path("name"), &user.name, out);
        if once.again(&user.name, i).is_some() {
            out.problem(path("name"), format!("`{}` occurs twice", user.name));
        }
        keys(path, user, out);
    }
}

/// A key belongs to a method, and nothing is encrypted that is not authentic.
fn keys(path: impl Fn(&str) -> String, user: &SnmpUser, out: &mut Findings) {
    if user.privacy.is_some() && user.auth.is_none() {
        out.hinted(
            path("priv"),
            "messages are encrypted only if they are authenticated",
            "set `auth` and `auth_key`",
        );
    }
    for (method, given, name, key) in [
        ("auth", user.auth.is_some(), "auth_key", &user.auth_key),
        (
            "priv",
            user.privacy.is_some(),
            "priv_key",
            &user.privacy_key,
        ),
    ] {
        match (given, key) {
            (true, Some(key)) if !KEY.contains(&key.len()) => out.problem(
                path(name),
                format!("not {} to {} characters", KEY.start(), KEY.end()),
            ),
            (true, None) => out.problem(path(name), format!("`{method}` needs `{name}`")),
            (false, Some(_)) => out.hinted(
                path(name),
                format!("it is used for nothing without `{method}`"),
                format!("set `{method}`, or leave the key out"),
            ),
            _ => {}
        }
    }
}

fn word(path: impl Fn() -> String, text: &str, out: &mut Findings) {
    if !NAME.contains(&text.len()) || !printable(text) {
        let message = format!(
            "not {} to {} printable ASCII characters",
            NAME.start(),
            NAME.end()
        );
        out.problem(path(), message);
    }
}

fn printable(text: &str) -> bool {
    text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}
