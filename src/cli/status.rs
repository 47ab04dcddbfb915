//! `weft status`: what runs.

use std::collections::BTreeMap;
use std::fmt::Display;

use clap::Args;

use super::failure::Failure;
use super::output::{Context, duration};
use super::table::{Table, text};
use crate::control::proto::{StatusGet, StatusReport};

/// Show what runs: objects, clients, journal, data path.
#[derive(Debug, Args)]
#[command(after_help = "Method: status.get")]
pub(super) struct Status {}

impl Status {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let report = context.call(&StatusGet {})?;
        match context.json {
            true => context.json(&report),
            false => print(context, &report),
        }
    }
}

fn print(context: &mut Context, report: &StatusReport) -> Result<(), Failure> {
    let plant = &report.plant;
    let mut table = Table::new([text("WHAT"), text("VALUE")]);
    table.row(["version", &report.version]);
    table.row(["process", &report.pid.to_string()]);
    table.row(["up", &duration(plant.uptime_ms)]);
    table.row(["workers", &plant.workers.to_string()]);
    table.row(["layout", &plant.layout]);
    if !plant.locator.is_empty() {
        table.row(["locator", &plant.locator]);
    }
    for (name, value) in &plant.facts {
        table.row([name, value]);
    }
    table.row(["objects", &listed(&report.objects)]);
    table.row(["by origin", &listed(&report.origins)]);
    table.row(["tombstones", &report.tombstones.to_string()]);
    table.row(["mapping memory", &bytes(report.mapping_bytes)]);
    if report.eam_bytes > 0 {
        table.row(["eam memory", &bytes(report.eam_bytes)]);
    }
    table.row(["clients", &report.clients.to_string()]);
    table.row(["socket", &listed(&report.socket)]);
    match &report.journal {
        None => table.row(["journal", "none: changes end with the process"]),
        Some(journal) => {
            let (path, size) = (&journal.path, bytes(journal.bytes));
            let records = journal.records;
            table.row(["journal", &format!("{path}, {records} records, {size}")]);
            if let Some(error) = &journal.error {
                table.row(["journal error", error]);
            }
        }
    }
    table.write(context)
}

fn listed<T: Display>(map: &BTreeMap<String, T>) -> String {
    let parts: Vec<_> = map.iter().map(|(k, v)| format!("{k} {v}")).collect();
    parts.join(", ")
}

fn bytes(n: u64) -> String {
    match n {
        0..10_240 => format!("{n} B"),
        10_240..10_485_760 => format!("{} KiB", n >> 10),
        _ => format!("{} MiB", n >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_digits_until_they_are_large() {
        assert_eq!(bytes(10_239), "10239 B");
        assert_eq!(bytes(10_240), "10 KiB");
        assert_eq!(bytes(10 << 20), "10 MiB");
    }
}
