//! `weft explain`: what would become of a packet, and at which stage.

use std::net::IpAddr;

use clap::Args;

use super::failure::Failure;
use super::frame;
use super::output::{Context, Style, clean};
use super::table::{Table, text};
use super::values;
use crate::control::proto::{self, ExplainReport, Protocol, Step};

/// Explain what would become of a packet, stage by stage.
///
/// The appliance runs the real stages on a made-up packet against its live tables, without
/// effects.
#[derive(Debug, Args)]
#[command(after_help = "Method: explain")]
pub(super) struct Explain {
    /// Name of the binding (node) it comes from; at a relay, its source address.
    #[arg(long, value_name = "NODE|ADDRESS")]
    from: String,
    /// Address it goes to.
    #[arg(long, value_name = "ADDRESS")]
    to: IpAddr,
    /// Protocol: `icmp`, `tcp`, `udp` or a number.
    #[arg(long, default_value = "icmp", value_parser = values::protocol)]
    proto: Protocol,
    /// Source port.
    #[arg(long, value_name = "PORT")]
    sport: Option<u16>,
    /// Destination port.
    #[arg(long, value_name = "PORT")]
    dport: Option<u16>,
    /// Length of the packet in bytes.
    #[arg(long, value_name = "BYTES")]
    size: Option<u16>,
    /// Time to live, or hop limit.
    #[arg(long)]
    ttl: Option<u8>,
    /// DSCP.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=63))]
    dscp: Option<u8>,
    /// Don't-fragment bit; the appliance sets it when this is absent.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    df: Option<bool>,
    /// Show the bytes too.
    #[arg(long)]
    hex: bool,
}

impl Explain {
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let report = context.call(&proto::Explain {
            from: self.from,
            to: self.to,
            protocol: self.proto,
            source_port: self.sport,
            destination_port: self.dport,
            length: self.size,
            ttl: self.ttl,
            dscp: self.dscp,
            df: self.df,
        })?;
        match context.json {
            true => context.json(&report),
            false => print(context, &report, self.hex),
        }
    }
}

fn print(context: &mut Context, report: &ExplainReport, hex: bool) -> Result<(), Failure> {
    show_frame(context, "before", &report.before, hex)?;
    // A column of dashes says nothing.
    let detailed = report.steps.iter().any(|step| !step.detail.is_empty());
    let columns = [text("STAGE"), text("VERDICT"), text("DETAIL")];
    let shown = if detailed { 3 } else { 2 };
    let mut table = Table::new(columns.into_iter().take(shown));
    for step in &report.steps {
        table.row(cells(step).into_iter().take(shown));
    }
    table.write(context)?;
    show_frame(context, "after", &report.after, hex)?;
    let port = report.port.as_deref().map(|port| format!(" by {port}"));
    let outcome = clean(&report.outcome).into_owned() + &clean(&port.unwrap_or_default());
    let painted = context.paint(style(&report.outcome), &outcome).into_owned();
    context.line(format_args!("outcome: {painted}"))
}

pub(super) fn cells(step: &Step) -> [&str; 3] {
    [&step.stage, &step.verdict, &step.detail]
}

/// Anything but these outcomes is the name of a drop.
pub(super) fn is_drop(outcome: &str) -> bool {
    !matches!(
        outcome,
        "sent" | "fragmented" | "delivered" | "passed" | "held" | "punted" | "copied"
    )
}

pub(super) fn style(outcome: &str) -> Style {
    match is_drop(outcome) {
        true => Style::Bad,
        false => Style::Good,
    }
}

/// One line about a frame, and its bytes where they are wanted. Nothing for a
/// packet that has none, as a dropped one after the drop.
pub(super) fn show_frame(
    context: &mut Context,
    name: &str,
    digits: &str,
    hex: bool,
) -> Result<(), Failure> {
    if digits.is_empty() {
        return Ok(());
    }
    let Some(bytes) = frame::from_hex(digits) else {
        return Err(nonsense(name));
    };
    context.line(format_args!("{name}: {}", frame::describe(&bytes)))?;
    if hex {
        for line in frame::dump(&bytes) {
            context.line(format_args!("  {line}"))?;
        }
    }
    Ok(())
}

/// The appliance sent a frame that is not in hexadecimal.
pub(super) fn nonsense(name: &str) -> Failure {
    let what = format!("`{name}` is not a frame in hexadecimal");
    crate::control::client::ClientError::Nonsense(what).into()
}
