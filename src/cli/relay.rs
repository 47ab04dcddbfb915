//! `weft relay`: the translator between other people's IPv4 and IPv6. It is
//! changed by way of the configuration file.

use std::fmt::Display;

use clap::Subcommand;

use super::failure::Failure;
use super::output::{Context, word};
use super::pages::{join, or_empty};
use super::table::{Table, text};
use crate::control::proto::{RelayGet, RelayReport, RelaySideState};
use crate::model;

/// The relay between IPv4 and IPv6.
#[derive(Debug, Subcommand)]
pub(super) enum Relay {
    /// Show all of the relay's settings, and how its sides are doing.
    #[command(after_help = "Method: relay.get")]
    Show {},
}

impl Relay {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let Relay::Show {} = self;
        let report = context.call(&RelayGet {})?;
        match context.json {
            true => context.json(&report),
            false => print(context, &report),
        }
    }
}

fn print(context: &mut Context, report: &RelayReport) -> Result<(), Failure> {
    let relay = &report.relay.object;
    let mut table = Table::new([text("WHAT"), text("VALUE")]);
    rules(&mut table, relay);
    table.row(["explicit mappings", &report.eams.to_string()]);
    let (ipv4, ipv6) = (&relay.ipv4, &relay.ipv6);
    let state = report.state.as_ref();
    side(
        &mut table,
        "ipv4",
        [
            ("port", ipv4.port.clone()),
            ("address", ipv4.address.to_string()),
            ("via", ipv4.via.to_string()),
            ("via_mac", or(ipv4.via_mac, "asked for by ARP")),
            ("mtu", or(ipv4.mtu, "the port's")),
        ],
        state.map(|state| &state.ipv4),
    );
    side(
        &mut table,
        "ipv6",
        [
            ("port", ipv6.port.clone()),
            ("address", ipv6.address.to_string()),
            ("via", ipv6.via.to_string()),
            ("via_mac", or(ipv6.via_mac, "solicited")),
            ("mtu", or(ipv6.mtu, "the port's")),
        ],
        state.map(|state| &state.ipv6),
    );
    table.row(["origin", &report.relay.origin.to_string()]);
    table.row(["revision", &report.relay.revision.to_string()]);
    table.write(context)
}

/// A value, or what stands in for it.
fn or<T: Display>(value: Option<T>, absent: &str) -> String {
    value.map_or_else(|| absent.to_owned(), |value| value.to_string())
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn rules(table: &mut Table, relay: &model::Relay) {
    let file = relay.eam_file.as_ref().map(|file| file.display());
    let sources4 = match relay.error_sources4.is_empty() {
        true => "the relay's own".to_owned(),
        false => join(&relay.error_sources4),
    };
    for (key, value) in [
        ("pool6", or_empty(relay.pool6)),
        ("well_known_strict", yes_no(relay.well_known_strict).into()),
        ("hairpin", word(&relay.hairpin)),
        ("udp_zero_checksum", word(&relay.udp_zero_checksum)),
        ("traffic_class", word(&relay.traffic_class)),
        ("tos", word(&relay.tos)),
        ("lowest_ipv6_mtu", relay.lowest_ipv6_mtu.to_string()),
        ("mtu_plateaus", join(&relay.mtu_plateaus)),
        ("deny4", join(&relay.deny4)),
        ("deny6", join(&relay.deny6)),
        ("error_sources4", sources4),
        ("error_source6", or(relay.error_source6, "the relay's own")),
        (
            "error_source_extension",
            yes_no(relay.error_source_extension).into(),
        ),
        ("icmp_rate", word(&relay.icmp_rate)),
        ("eam_file", or_empty(file)),
    ] {
        table.row([key, value.as_str()]);
    }
}

fn side(table: &mut Table, name: &str, keys: [(&str, String); 5], state: Option<&RelaySideState>) {
    for (key, value) in keys {
        table.row([format!("{name}.{key}"), value]);
    }
    let Some(state) = state else { return };
    let hop = match (state.next_hop, &state.state) {
        (Some(mac), Some(state)) => format!("{mac}, {}", word(state)),
        (Some(mac), None) => mac.to_string(),
        (None, Some(state)) => word(state),
        (None, None) => "not asked for yet".to_owned(),
    };
    table.row([
        format!("{name} link"),
        if state.up { "up" } else { "down" }.to_owned(),
    ]);
    table.row([format!("{name} sends up to"), state.mtu.to_string()]);
    table.row([format!("{name} next hop"), hop]);
}
