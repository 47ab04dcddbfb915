//! `weft trace`: packets as they go through the stages.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

use super::events::Wait;
use super::explain::{cells, show_frame, style};
use super::failure::Failure;
use super::output::{Context, clean, remark};
use super::stats::seconds;
use crate::control::client::{Client, ClientError};
use crate::control::proto::{
    self, Access, ErrorCode, Event, Seen, TraceRecord, TraceStart, TraceStop,
};

/// Which packets, for trace and capture.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Only packets from or to this node (name of a binding).
    #[arg(long)]
    node: Option<String>,
    /// Only packets of this vnet.
    #[arg(long)]
    vnet: Option<String>,
    /// Only packets with this virtual (IPv4) or substrate (IPv6) address.
    #[arg(long)]
    address: Option<IpAddr>,
    /// Only packets of this port.
    #[arg(long)]
    port: Option<String>,
    /// Only packets that are dropped.
    #[arg(long)]
    drops: bool,
}

impl From<Filter> for proto::Filter {
    fn from(filter: Filter) -> proto::Filter {
        proto::Filter {
            node: filter.node,
            vnet: filter.vnet,
            address: filter.address,
            port: filter.port,
            drops: filter.drops,
        }
    }
}

/// Print packets stage by stage, with what each stage decided.
///
/// Ends by itself after --count packets, on Ctrl-C, or after --seconds.
#[derive(Debug, Args)]
#[command(after_help = "Methods: trace.start, trace.stop")]
pub(super) struct Trace {
    #[command(flatten)]
    filter: Filter,
    /// End after so many packets.
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// End after so many seconds.
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// Show the bytes too.
    #[arg(long)]
    hex: bool,
}

impl Trace {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let mut client = context.connect(Access::ReadOnly)?;
        let start = TraceStart {
            filter: self.filter.into(),
            count: self.count,
        };
        let wait = Wait::new(self.seconds)?;
        let end = records(
            context,
            &mut client,
            &start,
            wait,
            |context, n, record| match context.json {
                true => context.json(record),
                false => print(context, n, record, self.hex),
            },
        )?;
        context.flush()?;
        tell_lost(&end);
        Ok(())
    }
}

/// What a finished trace or capture says on standard error, where it disturbs
/// no output.
pub(super) fn tell_lost(end: &End) {
    if end.lost > 0 {
        let lost = end.lost;
        remark(&format!(
            "weft: {lost} records were lost because they came too fast; narrow the filter"
        ));
    }
}

/// How a trace ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Records that arrived here.
    pub(super) taken: u64,
    /// Records lost on the way.
    pub(super) lost: u64,
}

/// Runs a trace and hands over its records, numbered from 1.
pub(super) fn records(
    context: &mut Context,
    client: &mut Client,
    start: &TraceStart,
    mut wait: Wait,
    mut take: impl FnMut(&mut Context, u64, &TraceRecord) -> Result<(), Failure>,
) -> Result<End, Failure> {
    let trace = client.call(start)?.trace;
    let mut end = End { taken: 0, lost: 0 };
    while end.taken + end.lost < u64::from(start.count) {
        match wait.next(context, client)? {
            Some(Event::Trace { trace: of, record }) if of == trace => {
                end.taken += 1;
                take(context, end.taken, &record)?;
            }
            Some(Event::Lost { lost }) => end.lost += lost,
            Some(_) => {}
            None => break,
        }
    }
    // A trace that reached its count has ended and may be forgotten already.
    let seen = match client.call(&TraceStop { trace }) {
        Ok(seen) => seen,
        Err(ClientError::Refused(e)) if e.code == ErrorCode::NotFound => Seen::default(),
        Err(error) => return Err(error.into()),
    };
    end.lost += seen.lost;
    Ok(end)
}

fn print(context: &mut Context, n: u64, record: &TraceRecord, hex: bool) -> Result<(), Failure> {
    let (s, us) = (record.time_us / 1_000_000, record.time_us % 1_000_000);
    let painted = context
        .paint(style(&record.outcome), &clean(&record.outcome))
        .into_owned();
    let mut head = format!("#{n} at {s}.{us:06} s, worker {}", record.worker);
    for (way, port) in [("in", &record.port), ("out", &record.out_port)] {
        if !port.is_empty() {
            head += &format!(", {way} {}", clean(port));
        }
    }
    context.line(format_args!("{head}: {painted}"))?;
    show_frame(context, "  before", &record.before, hex)?;
    let width = |of: fn(&[&str; 3]) -> usize| {
        record
            .steps
            .iter()
            .map(|step| of(&cells(step)))
            .max()
            .unwrap_or(0)
    };
    let (stage, verdict) = (width(|c| c[0].len()), width(|c| c[1].len()));
    for step in &record.steps {
        let [name, decided, detail] = cells(step).map(clean);
        let line = format!("  {name:stage$}  {decided:verdict$}  {detail}");
        context.line(line.trim_end())?;
    }
    show_frame(context, "  after", &record.after, hex)
}
