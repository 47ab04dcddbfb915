//! `weft capture`: a trace written to a pcapng file.
//!
//! The file is written here and not by the appliance, so that an operator's
//! request never makes a privileged process open a path, and a full disk is
//! nobody's trouble but the operator's. Records come as events over the
//! socket; when it is too slow the appliance drops records, never packets, and
//! says how many.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use super::events::Wait;
use super::explain::{is_drop, nonsense};
use super::failure::Failure;
use super::frame::from_hex;
use super::output::{Context, remark};
use super::pcapng::{Direction, Frame, Writer};
use super::stats::seconds;
use super::trace::{self, Filter};
use crate::control::proto::{Access, StatusGet, TraceRecord, TraceStart};

/// Write frames, as received and as sent, to a pcapng file.
///
/// A packet is a record: the frame as it was received and, if it was sent, the frame as it left.
/// Both are in the file, on interfaces named `PORT received` and `PORT sent`, with the same packet
/// id and with comments that tell the record's number and what each stage decided; a dropped
/// packet names its drop. Ends by itself after --count packets, on Ctrl-C, or after --seconds.
#[derive(Debug, Args)]
#[command(after_help = "Methods: status.get, trace.start, trace.stop")]
pub(super) struct Capture {
    /// File to write; `-` is standard output, as for `weft capture -w - | tshark -r -`.
    #[arg(short, long = "write", value_name = "FILE")]
    write: PathBuf,
    #[command(flatten)]
    filter: Filter,
    /// End after so many packets.
    #[arg(short, long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// End after so many seconds.
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
}

/// What `--json` prints at the end.
#[derive(Debug, Serialize)]
struct Report {
    records: u64,
    frames: u64,
    lost: u64,
    file: String,
}

impl Capture {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let file = self.write.display().to_string();
        let to_stdout = file == "-";
        if to_stdout && context.json {
            let why = "--json and -w - would both write to standard output; name a file";
            return Err(Failure::Usage(why.to_owned()));
        }
        let mut client = context.connect(Access::ReadOnly)?;
        // Records are timed from the appliance's start.
        let uptime_ms = client.call(&StatusGet {})?.plant.uptime_ms;
        let started_us = now_us().saturating_sub(uptime_ms.saturating_mul(1000));
        let sink: Box<dyn Write> = match to_stdout {
            true => Box::new(io::stdout()),
            false => Box::new(File::create(&self.write).map_err(|e| Failure::local(&file, e))?),
        };
        let failed = |error: io::Error| match to_stdout {
            true => Failure::Output(error),
            false => Failure::local(&file, error),
        };
        let mut writer = Writer::new(BufWriter::new(sink)).map_err(failed)?;
        writer.flush().map_err(failed)?;
        let start = TraceStart {
            filter: self.filter.into(),
            count: self.count,
        };
        let wait = Wait::new(self.seconds)?;
        let mut frames = 0;
        let end = trace::records(context, &mut client, &start, wait, |_, n, record| {
            frames += write(&mut writer, started_us, n, record, failed)?;
            // A pipe's reader wants to see it now, and Ctrl-C may come twice.
            writer.flush().map_err(failed)
        })?;
        let report = Report {
            records: end.taken,
            frames,
            lost: end.lost,
            file,
        };
        tell(context, &report, to_stdout)?;
        trace::tell_lost(&end);
        Ok(())
    }
}

fn tell(context: &mut Context, report: &Report, to_stdout: bool) -> Result<(), Failure> {
    let Report {
        records,
        frames,
        file,
        ..
    } = report;
    match context.json {
        true => context.json(report),
        false if to_stdout => {
            remark(&format!("weft: {records} packets, {frames} frames"));
            Ok(())
        }
        false => context.line(format_args!("{records} packets, {frames} frames in {file}")),
    }
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// Writes the frames of a record; how many there were.
fn write<W: Write>(
    writer: &mut Writer<W>,
    started_us: u64,
    n: u64,
    record: &TraceRecord,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let verdicts = verdicts(record);
    let sides = [
        (
            Direction::Received,
            &record.port,
            &record.before,
            record.before_length,
        ),
        (
            Direction::Sent,
            &record.out_port,
            &record.after,
            record.after_length,
        ),
    ];
    let mut frames = 0;
    for (direction, port, digits, length) in sides {
        if digits.is_empty() {
            continue;
        }
        let name = match direction {
            Direction::Received => "before",
            Direction::Sent => "after",
        };
        let bytes = from_hex(digits).ok_or_else(|| nonsense(name))?;
        let frame = Frame {
            port: match port.as_str() {
                "" => "unknown",
                port => port,
            },
            direction,
            time_us: started_us.saturating_add(record.time_us),
            bytes: &bytes,
            length,
            record: n,
            comment: &format!("record {n} {name}: {verdicts}"),
        };
        writer.frame(&frame).map_err(&failed)?;
        frames += 1;
    }
    Ok(frames)
}

/// `dropped as no_mapping; parse: ok; classify: remote (Z); …`
fn verdicts(record: &TraceRecord) -> String {
    let mut text = match is_drop(&record.outcome) {
        true => format!("dropped as {}", record.outcome),
        false => record.outcome.clone(),
    };
    for step in &record.steps {
        text += &format!("; {}: {}", step.stage, step.verdict);
        if !step.detail.is_empty() {
            text += &format!(" ({})", step.detail);
        }
    }
    text
}
