//! `weft check FILE`: is this configuration right, and what follows from it?
//!
//! Exit code 0 and a summary, or 1 and every problem. Without `--json` the
//! summary goes to standard output, problems and warnings to standard error;
//! with it everything is one JSON object on standard output.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::config::{self, Config, PoolSize, Problem};
use crate::wire::{Layout, Locator};

/// Check a configuration file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file.
    #[arg(required_unless_present = "reference")]
    pub file: Option<PathBuf>,
    /// Print the result as JSON; the flag is common to all commands.
    #[arg(skip)]
    pub json: bool,
    /// Print the reference of all keys as Markdown and check nothing.
    #[arg(long, conflicts_with = "file")]
    pub reference: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: &Args, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    let Some(file) = args.file.as_ref().filter(|_| !args.reference) else {
        out.write_all(config::reference().as_bytes())?;
        return Ok(0);
    };
    let outcome = Config::load(file);
    let ok = outcome.is_ok();
    match outcome {
        Ok((config, warnings)) if args.json => {
            let report = Report {
                ok,
                file: file.display().to_string(),
                problems: Vec::new(),
                warnings: warnings
                    .into_iter()
                    .map(|warning| warning.problem)
                    .collect(),
                summary: Some(Summary::of(&config)),
            };
            json(&report, out)?;
        }
        Ok((config, warnings)) => {
            for warning in &warnings {
                writeln!(err, "{warning}")?;
            }
            writeln!(out, "{}: ok", file.display())?;
            Summary::of(&config).print(out)?;
        }
        Err(refused) if args.json => {
            let report = Report {
                ok,
                file: refused.file,
                problems: refused.problems,
                warnings: Vec::new(),
                summary: None,
            };
            json(&report, out)?;
        }
        Err(refused) => writeln!(err, "{refused}")?,
    }
    Ok(u8::from(!ok))
}

fn json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    file: String,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
}

/// What follows from a configuration.
#[derive(Serialize)]
struct Summary {
    name: String,
    layout: Layout,
    #[serde(skip_serializing_if = "Option::is_none")]
    locator: Option<Locator>,
    mtu: u16,
    /// How many of each kind, in the order of the reference.
    objects: Vec<(&'static str, usize)>,
    control_cpu: u16,
    workers: Vec<Worker>,
    pools: Vec<PoolSize>,
    /// What the EAL is asked for, in MiB.
    memory_mb: u32,
}

#[derive(Serialize)]
struct Worker {
    cpu: u16,
    /// Receive queues as `port/queue`.
    polls: Vec<String>,
}

impl Summary {
    fn of(config: &Config) -> Summary {
        let polls = config.polls();
        let workers = config
            .runtime
            .workers
            .iter()
            .enumerate()
            .map(|(index, &cpu)| {
                let mine = polls
                    .iter()
                    .filter(|poll| usize::from(poll.worker) == index);
                let name =
                    |poll: &config::Poll| format!("{}/{}", config.port[poll.port].name, poll.queue);
                Worker {
                    cpu,
                    polls: mine.map(name).collect(),
                }
            });
        Summary {
            name: config.name.clone(),
            layout: config.layout,
            locator: config.locator,
            mtu: config.mtu,
            objects: vec![
                ("port", config.port.len()),
                ("vnet", config.vnet.len()),
                ("binding", config.binding.len()),
                ("host", config.host.len()),
                ("mapping", config.mapping.len()),
                ("route", config.route.len()),
                ("neighbor", config.neighbor.len()),
                ("relay", usize::from(config.relay.is_some())),
                ("eam", config.eam.len() + config.eam_file.eams.len()),
                ("outsider", config.outsider.len()),
                ("subnet", config.subnet.len()),
                ("router", config.router.len()),
                ("vroute", config.vroute.len()),
                ("member", config.member.len()),
            ],
            control_cpu: config.runtime.control_cpu,
            workers: workers.collect(),
            pools: config::pools(config),
            memory_mb: config
                .runtime
                .memory_mb
                .unwrap_or_else(|| config::memory_mb(config)),
        }
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Summary {
            name,
            locator,
            layout,
            mtu,
            ..
        } = self;
        let place = match locator {
            Some(locator) => {
                format!("locator {locator}, layout {layout}, substrate MTU {mtu}")
            }
            None => "no locator: a plain relay".to_owned(),
        };
        writeln!(out, "  host {name}, {place}")?;
        let objects = self.objects.iter().filter(|(_, count)| *count > 0);
        let objects: Vec<_> = objects
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        writeln!(out, "  objects: {}", objects.join(", "))?;
        writeln!(out, "  control on CPU {}", self.control_cpu)?;
        for (index, worker) in self.workers.iter().enumerate() {
            let polls = match worker.polls.is_empty() {
                true => "nothing".to_owned(),
                false => worker.polls.join(", "),
            };
            writeln!(out, "  worker {index} on CPU {} polls {polls}", worker.cpu)?;
        }
        for pool in &self.pools {
            writeln!(
                out,
                "  pool on NUMA node {}: {} buffers of {} bytes, {} MiB",
                pool.socket,
                pool.mbufs,
                pool.data_room,
                pool.bytes().div_ceil(1 << 20)
            )?;
        }
        writeln!(out, "  memory: {} MiB", self.memory_mb)
    }
}
