//! `weft stats --cycles`: where the workers' cycles go.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::failure::Failure;
use super::output::{Context, duration};
use super::table::{Table, number, text};
use crate::control::proto::{Access, CyclesReport, Fill, StatsCycles, WorkerCycles};

/// What is to be shown.
pub(super) struct Asked {
    pub(super) worker: Option<u32>,
    /// Of intervals so long; else since the start.
    pub(super) watch: Option<Duration>,
    pub(super) count: Option<u32>,
}

/// A report with the time that it speaks of.
#[derive(Debug, Serialize)]
struct Shown {
    over_ms: u64,
    #[serde(flatten)]
    report: CyclesReport,
}

pub(super) fn run(asked: &Asked, context: &mut Context) -> Result<(), Failure> {
    let mut client = context.connect(Access::ReadOnly)?;
    let mut before: CyclesReport = client.call(&StatsCycles {})?;
    let Some(pause) = asked.watch else {
        return show(asked, context, before.uptime_ms, before);
    };
    let mut left = asked.count;
    while left != Some(0) {
        std::thread::sleep(pause);
        let now = client.call(&StatsCycles {})?;
        // Across a restart: what there is since.
        let report = now.since(&before).unwrap_or_else(|| now.clone());
        let over_ms = report.uptime_ms;
        let uptime_ms = now.uptime_ms;
        show(
            asked,
            context,
            over_ms,
            CyclesReport {
                uptime_ms,
                ..report
            },
        )?;
        context.flush()?;
        before = now;
        left = left.map(|n| n - 1);
    }
    Ok(())
}

fn show(
    asked: &Asked,
    context: &mut Context,
    over_ms: u64,
    mut report: CyclesReport,
) -> Result<(), Failure> {
    if let Some(worker) = asked.worker {
        let there = report.workers.len();
        report.workers.retain(|w| w.worker == worker);
        if report.workers.is_empty() {
            let why = format!("there is no worker {worker}; there are {there}, from 0 on");
            return Err(Failure::Usage(why));
        }
        report
            .fills
            .retain(|fill| fill.worker.is_none_or(|w| w == worker));
    }
    if context.json {
        return context.json(&Shown { over_ms, report });
    }
    if asked.watch.is_some() {
        context.clear()?;
    }
    let (up, over) = (duration(report.uptime_ms), duration(over_ms));
    context.line(format_args!("up {up}; of the last {over}:"))?;
    for worker in &report.workers {
        block(context, &format!("worker {}", worker.worker), worker)?;
    }
    if let [first, others @ ..] = &report.workers[..]
        && !others.is_empty()
    {
        let mut total = first.clone();
        others.iter().for_each(|worker| total.add(worker));
        block(context, "all workers", &total)?;
    }
    fills(context, &report.fills)
}

/// A worker, or all of them.
fn block(context: &mut Context, name: &str, worker: &WorkerCycles) -> Result<(), Failure> {
    let all = worker.busy_cycles + worker.idle_cycles;
    let busy = or_dash(percent(worker.busy_cycles, all));
    let each = or_dash(per(worker.busy_cycles, worker.packets));
    context.line("")?;
    context.line(format_args!(
        "{name}: busy {busy}; {} packets, {each} cycles a packet while busy",
        worker.packets
    ))?;
    let sum: u64 = worker.stages.iter().map(|stage| stage.cycles).sum();
    let mut table = Table::new([
        text("STAGE"),
        number("PACKETS"),
        number("CYCLES/PACKET"),
        number("SHARE"),
    ]);
    for stage in &worker.stages {
        table.row([
            stage.stage.clone(),
            stage.packets.to_string(),
            per(stage.cycles, stage.packets),
            percent(stage.cycles, sum),
        ]);
    }
    let moved = worker.stages.last().map_or(0, |round| round.packets);
    table.row([
        "all".to_owned(),
        moved.to_string(),
        per(sum, moved),
        percent(sum, sum),
    ]);
    table.write(context)?;
    let mut sampled = format!("sampled: {} rounds", worker.sampled);
    if worker.interrupted > 0 {
        // Writing to a string does not fail.
        let _ = write!(sampled, ", {} more were interrupted", worker.interrupted);
    }
    context.line(sampled)?;
    context.line(bursts(worker))
}

/// How the bursts' sizes are spread.
fn bursts(worker: &WorkerCycles) -> String {
    let all: u64 = worker.bursts.iter().map(|bursts| bursts.count).sum();
    let mut line = format!("bursts: {all}");
    for bursts in &worker.bursts {
        let share = or_dash(percent(bursts.count, all));
        let _ = match bursts.from == bursts.to {
            true => write!(line, "; of {}: {share}", bursts.from),
            false => write!(line, "; {}-{}: {share}", bursts.from, bursts.to),
        };
    }
    line
}

fn fills(context: &mut Context, fills: &[Fill]) -> Result<(), Failure> {
    context.line("")?;
    let mut table = Table::new([
        text("FILL"),
        number("WORKER"),
        number("USED"),
        number("LIMIT"),
        number("SHARE"),
    ]);
    for fill in fills {
        table.row([
            fill.name.clone(),
            super::pages::or_empty(fill.worker.as_ref()),
            fill.used.to_string(),
            fill.limit.to_string(),
            percent(fill.used, fill.limit),
        ]);
    }
    table.write(context)
}

/// As tables show what is empty.
fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Empty where nothing was counted.
fn per(cycles: u64, packets: u64) -> String {
    match packets {
        0 => String::new(),
        packets => format!("{:.1}", cycles as f64 / packets as f64),
    }
}

fn percent(part: u64, all: u64) -> String {
    match all {
        0 => String::new(),
        all => format!("{:.1} %", 100.0 * part as f64 / all as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_not_divided() {
        assert_eq!((per(5, 0), percent(5, 0)), (String::new(), String::new()));
        assert_eq!((per(5, 2), percent(1, 3)), ("2.5".into(), "33.3 %".into()));
    }
}
