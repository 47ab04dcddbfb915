//! Explicit mappings: one by one, and that no two are of the same prefix.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::tenant::{Short, unusable};
use super::{At, Findings};
use crate::config::eam_file::{self, BadLine};
use crate::config::{Config, Problem};
use crate::model::Eam;
use crate::wire::Prefix6;
use crate::wire::address::Prefix4;

/// What is wrong with an explicit mapping by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EamFault {
    /// `ipv4` or `ipv6`.
    pub key: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for EamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The rules for one explicit mapping; file, list and socket have the same.
pub fn eam_fault(eam: &Eam) -> Option<EamFault> {
    let fault = |key, message, hint: Option<&str>| {
        Some(EamFault {
            key,
            message,
            hint: hint.map(str::to_owned),
        })
    };
    if let Some(why) = unusable(eam.ipv4) {
        return fault("ipv4", format!("{} {why}", Short(eam.ipv4)), None);
    }
    if let Some(why) = unusable6(&eam.ipv6) {
        return fault("ipv6", format!("{} {why}", Short6(eam.ipv6)), None);
    }
    suffix_fault(eam.ipv4, &eam.ipv6)
}

/// The suffix of an IPv4 address must have room behind the IPv6 prefix (RFC
/// 7757 section 3.2).
pub(super) fn suffix_fault(ipv4: Prefix4, ipv6: &Prefix6) -> Option<EamFault> {
    let (suffix, room) = (32 - ipv4.len, 128 - ipv6.len());
    (suffix > room).then(|| EamFault {
        key: "ipv6",
        message: format!(
            "{ipv4} has {suffix} bits after its prefix and {ipv6} has {room}, which must be as many or more"
        ),
        hint: Some(format!(
            "an IPv6 prefix of length {} or shorter",
            128 - suffix
        )),
    })
}

/// Why no host can be at an address, or in a prefix; wider ones are meant.
pub(super) fn unusable6(prefix: &Prefix6) -> Option<&'static str> {
    let bits = prefix.bits();
    let within = |range: u128, len: u8| {
        prefix.len() >= len && (bits ^ range).leading_zeros() >= u32::from(len)
    };
    match () {
        () if within(0xff << 120, 8) => Some("is a multicast address"),
        () if within(0xfe80 << 112, 10) => Some("is a link-local address"),
        () if within(1, 128) => Some("is the loopback address"),
        () if within(0, 128) => Some("is the unspecified address"),
        () if within(0xffff << 32, 96) => Some("is an IPv4-mapped address, never on a wire"),
        () => None,
    }
}

/// A prefix of one address is written as the address.
pub(super) struct Short6(pub(super) Prefix6);

impl fmt::Display for Short6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            128 => std::net::Ipv6Addr::from(self.0.bits()).fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

/// One explicit mapping.
pub fn eam(at: At<'_>, eam: &Eam, out: &mut Findings) {
    if let Some(fault) = eam_fault(eam) {
        let mut problem = Problem::new(at.key(fault.key), fault.message);
        problem.hint = fault.hint;
        out.problems.push(problem);
    }
}

pub(super) fn check(config: &Config, out: &mut Findings) {
    for (nth, one) in config.eam.iter().enumerate() {
        eam(At::nth("eam", nth), one, out);
    }
    if config.relay.is_none() && !config.eam.is_empty() {
        out.hinted(
            "eam[0]".to_owned(),
            "explicit mappings are the relay's, and there is no `[relay]`",
            "add a `[relay]`, or make it an `[[outsider]]` of a vnet",
        );
    }
    once(config, out);
}

/// Where a mapping stands: in the list, or behind it in the file.
fn place(config: &Config, nth: usize) -> String {
    let in_file = nth.checked_sub(config.eam.len());
    let path = config.relay.as_ref().and_then(|r| r.eam_file.as_deref());
    match (in_file.and_then(|nth| config.eam_file.lines.get(nth)), path) {
        (Some(line), Some(path)) => format!("{}:{line}", path.display()),
        _ => At::nth("eam", nth).to_string(),
    }
}

/// The first place of each key of a long list. Keys stay in the list: of a
/// million only their places are kept.
struct Firsts<F> {
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    key: F,
}

impl<K: Hash + Eq, F: Fn(usize) -> Option<K>> Firsts<F> {
    /// `key` gives the key at a place.
    fn new(count: usize, key: F) -> Self {
        Firsts {
            places: HashTable::with_capacity(count),
            hasher: DefaultHashBuilder::default(),
            key,
        }
    }

    /// Where the key at place `nth` stands first.
    fn of(&mut self, nth: usize, wanted: K) -> usize {
        let (key, hasher) = (&self.key, &self.hasher);
        let hash = hasher.hash_one(&wanted);
        let is_it = |place: &u32| key(*place as usize).as_ref() == Some(&wanted);
        let rehash = |place: &u32| key(*place as usize).map_or(0, |key| hasher.hash_one(&key));
        match self.places.entry(hash, is_it, rehash) {
            Entry::Occupied(first) => *first.get() as usize,
            Entry::Vacant(place) => {
                place.insert(nth as u32);
                nth
            }
        }
    }
}

/// A prefix of either side occurs once: two mappings of it would contradict
/// each other.
fn once(config: &Config, out: &mut Findings) {
    let listed = config.eam.len();
    let total = listed + config.eam_file.eams.len();
    let all = |nth: usize| match nth.checked_sub(listed) {
        None => config.eam.get(nth),
        Some(nth) => config.eam_file.eams.get(nth),
    };
    let mut by4 = Firsts::new(total, |nth| all(nth).map(|eam| eam.ipv4));
    let mut by6 = Firsts::new(total, |nth| all(nth).map(|eam| eam.ipv6));
    let mut bad = Vec::new();
    for (nth, eam) in config.eam.iter().chain(&config.eam_file.eams).enumerate() {
        let (ipv4, ipv6) = (eam.ipv4, eam.ipv6);
        let (first4, first6) = (by4.of(nth, ipv4), by6.of(nth, ipv6));
        let (key, what, first) = match (first4 != nth, first6 != nth) {
            (true, _) => ("ipv4", Short(ipv4).to_string(), first4),
            (_, true) => ("ipv6", Short6(ipv6).to_string(), first6),
            _ => continue,
        };
        let message = format!("{what} is mapped by {} already", place(config, first));
        match nth.checked_sub(listed) {
            None => out.problem(At::nth("eam", nth).key(key), message),
            Some(nth) => bad.push(BadLine {
                line: config.eam_file.lines.get(nth).copied().unwrap_or(0),
                why: message,
            }),
        }
    }
    if let Some(path) = config.relay.as_ref().and_then(|r| r.eam_file.as_deref()) {
        out.problems.extend(eam_file::told(path, bad));
    }
}
