//! `weft stats`: counters once, or as a live table with rates.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::cycles;
use super::failure::Failure;
use super::output::{Context, Style, duration};
use super::table::{Table, number, text};
use crate::control::proto::{Access, Counter, StatsGet, StatsReport};

/// Counters of packets that were not carried begin so; the rest of the name is
/// the reason.
pub(super) const DROP_PREFIX: &str = "drop_";

/// Show the appliance's counters.
#[derive(Debug, Args)]
#[command(after_help = "Methods: stats.get, stats.cycles")]
pub(super) struct Stats {
    /// Only drops: why packets were not carried.
    #[arg(long)]
    drops: bool,
    /// Also counters that are zero.
    #[arg(long)]
    all: bool,
    /// Say what each counter counts.
    #[arg(long)]
    explain: bool,
    /// A column for each worker.
    #[arg(long)]
    workers: bool,
    /// Where the workers' cycles go: stage by stage, from sampled rounds, with
    /// burst sizes and the fill of tables and rings. Since the start, or with
    /// --watch of each interval.
    #[arg(long, conflicts_with_all = ["drops", "all", "explain", "workers"])]
    cycles: bool,
    /// With --cycles: only this worker.
    #[arg(long, value_name = "N", requires = "cycles")]
    worker: Option<u32>,
    /// Live table with rates, anew after so many seconds.
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    #[arg(value_parser = seconds)]
    watch: Option<Duration>,
    /// With --watch: end after so many tables.
    #[arg(short, long, value_name = "N", requires = "watch")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
}

/// A time of 0.1 s to a day, so that nobody asks the appliance in a tight loop.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.1..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("expected seconds from 0.1 to 86400".to_owned()),
    }
}

/// Counters at one time, with rates per second since the time before.
#[derive(Debug, Serialize)]
struct Sample {
    #[serde(flatten)]
    report: StatsReport,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rates: BTreeMap<String, f64>,
}

impl Stats {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        if self.cycles {
            let asked = cycles::Asked {
                worker: self.worker,
                watch: self.watch,
                count: self.count,
            };
            return cycles::run(&asked, context);
        }
        let mut client = context.connect(Access::ReadOnly)?;
        let mut before: Option<StatsReport> = None;
        let mut left = self.count;
        loop {
            let mut report = client.call(&StatsGet {})?;
            report
                .counters
                .retain(|name, _| !self.drops || name.starts_with(DROP_PREFIX));
            let rates = before.as_ref().map(|before| rates(before, &report));
            let sample = Sample {
                rates: rates.unwrap_or_default(),
                report,
            };
            self.print(context, &sample)?;
            context.flush()?;
            left = left.map(|n| n - 1);
            match self.watch {
                Some(pause) if left != Some(0) => std::thread::sleep(pause),
                _ => return Ok(()),
            }
            before = Some(sample.report);
        }
    }

    fn print(&self, context: &mut Context, sample: &Sample) -> Result<(), Failure> {
        if context.json {
            return context.json(sample);
        }
        if self.watch.is_some() {
            context.clear()?;
            let up = duration(sample.report.uptime_ms);
            context.line(format_args!("up {up}"))?;
        }
        let workers = match self.workers {
            true => widest(&sample.report),
            false => 0,
        };
        let titles = (0..workers).map(|index| number(WORKER_TITLES[index]));
        let mut columns = vec![text("NAME"), number("TOTAL")];
        columns.extend(self.watch.map(|_| number("PER SECOND")));
        columns.extend(titles);
        columns.extend(self.explain.then_some(text("WHAT IT COUNTS")));
        let mut table = Table::new(columns);
        for (name, counter) in &sample.report.counters {
            if !self.all && is_zero(counter) {
                continue;
            }
            let rate = sample.rates.get(name).copied();
            let mut cells = vec![name.clone(), counter.total.to_string()];
            cells.extend(self.watch.map(|_| rate.map_or_else(String::new, show_rate)));
            cells.extend((0..workers).map(|index| worker(counter, index)));
            cells.extend(self.explain.then(|| counter.help.clone()));
            // What is being lost right now should be seen at once.
            let losing = name.starts_with(DROP_PREFIX) && rate.is_some_and(|rate| rate > 0.0);
            table.styled(losing.then_some(Style::Bad), cells);
        }
        table.write(context)
    }
}

/// More workers than this are seen with `--json`.
const WORKER_TITLES: [&str; 16] = [
    "W0", "W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10", "W11", "W12", "W13", "W14",
    "W15",
];

fn widest(report: &StatsReport) -> usize {
    let counts = report.counters.values().map(|c| c.workers.len());
    counts.max().unwrap_or(0).min(WORKER_TITLES.len())
}

fn worker(counter: &Counter, index: usize) -> String {
    super::pages::or_empty(counter.workers.get(index))
}

fn is_zero(counter: &Counter) -> bool {
    counter.total == 0 && counter.workers.iter().all(|&n| n == 0)
}

/// Rates of what only counts up. None across a restart of the appliance, when
/// time and counters have gone back.
fn rates(before: &StatsReport, now: &StatsReport) -> BTreeMap<String, f64> {
    let Some(ms) = now
        .uptime_ms
        .checked_sub(before.uptime_ms)
        .filter(|&ms| ms > 0)
    else {
        return BTreeMap::new();
    };
    let grown = now.counters.iter().filter_map(|(name, counter)| {
        let was = before.counters.get(name).map_or(0, |c| c.total);
        let grown = counter.total.checked_sub(was)?;
        (!counter.gauge).then(|| (name.clone(), grown as f64 * 1000.0 / ms as f64))
    });
    grown.collect()
}

/// Whole numbers, except where they would hide that something happens.
fn show_rate(rate: f64) -> String {
    match rate {
        rate if rate > 0.0 && rate < 10.0 => format!("{rate:.1}"),
        rate => format!("{rate:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(uptime_ms: u64, counters: &[(&str, u64, bool)]) -> StatsReport {
        let counters = counters.iter().map(|&(name, total, gauge)| {
            let counter = Counter {
                total,
                gauge,
                ..Counter::default()
            };
            (name.to_owned(), counter)
        });
        StatsReport {
            uptime_ms,
            counters: counters.collect(),
        }
    }

    #[test]
    fn rates_are_by_the_appliances_clock_and_not_of_gauges() {
        let before = report(1000, &[("rx", 10, false), ("held", 3, true)]);
        let now = report(1500, &[("rx", 60, false), ("held", 9, true)]);
        let rates = rates(&before, &now);
        assert_eq!(rates.get("rx"), Some(&100.0));
        assert_eq!(rates.get("held"), None);
    }

    #[test]
    fn a_restart_has_no_rates() {
        let before = report(100_000, &[("rx", 1000, false)]);
        assert!(rates(&before, &report(50, &[("rx", 5, false)])).is_empty());
        assert!(rates(&before, &before).is_empty());
        let reset = report(100_500, &[("rx", 5, false)]);
        assert!(rates(&before, &reset).is_empty());
    }

    #[test]
    fn slow_rates_keep_a_digit() {
        assert_eq!(show_rate(0.0), "0");
        assert_eq!(show_rate(0.5), "0.5");
        assert_eq!(show_rate(12_345.6), "12346");
    }

    #[test]
    fn a_pause_is_neither_nothing_nor_for_ever() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "1e9", "NaN", "inf", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
