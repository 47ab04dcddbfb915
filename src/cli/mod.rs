//! The command line: one clap tree, whose leaves are the methods of the
//! control protocol, one to one. The text at the foot of each command's help
//! names its method, and a test holds the tree against the protocol.
//!
//! Every file here holds the arguments of its commands and what they do with
//! the answer. Nothing is decided here: what a change means, and whether it is
//! allowed, is the appliance's business.
//!
//! ```text
//! arguments -> typed request -> control::client -> typed reply -> text or JSON
//! ```
//!
//! Exit codes: 0 done, 1 refused (by the appliance, or a file that cannot be
//! read or written), 2 wrong usage, 3 the appliance cannot be reached.

mod apply;
mod capture;
pub mod check;
mod completions;
mod config;
mod ctl;
mod cycles;
pub mod docs;
mod eam;
mod events;
mod explain;
mod failure;
mod frame;
mod group;
mod lease;
mod load;
mod log;
mod mapping;
mod mapping_file;
mod member;
mod objects;
mod output;
mod outsider;
mod pages;
mod pcapng;
mod policy;
mod port;
mod relay;
mod run;
mod segment;
mod stats;
mod status;
mod substrate;
mod table;
mod trace;
mod values;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use failure::Failure;
use output::Context;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 refused by the appliance, or a file cannot be read or written; \
2 wrong usage; 3 the appliance cannot be reached.";

/// Kernel-bypass overlay appliance and its operator's client.
#[derive(Debug, Parser)]
#[command(name = "weft", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Control socket of the appliance.
    #[arg(short, long, global = true, value_name = "PATH", env = "WEFT_SOCKET")]
    #[arg(help_heading = "Common options", hide_env_values = true, default_value = crate::config::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Print JSON: one object, or one object a line.
    #[arg(long, global = true, help_heading = "Common options")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Check(check::Args),
    Status(status::Status),
    Stats(stats::Stats),
    #[command(subcommand)]
    Vnet(objects::Vnet),
    #[command(subcommand)]
    Host(objects::Host),
    #[command(subcommand)]
    Binding(objects::Binding),
    #[command(subcommand)]
    Mapping(mapping::Mapping),
    #[command(subcommand)]
    Route(substrate::Route),
    #[command(subcommand)]
    Neighbor(substrate::Neighbor),
    #[command(subcommand)]
    Relay(relay::Relay),
    #[command(subcommand)]
    Eam(eam::Eam),
    #[command(subcommand)]
    Outsider(outsider::Outsider),
    #[command(subcommand)]
    Subnet(segment::Subnet),
    #[command(subcommand)]
    Router(segment::Router),
    #[command(subcommand)]
    Vroute(segment::Vroute),
    #[command(subcommand)]
    Member(member::Member),
    #[command(subcommand)]
    Lease(lease::Lease),
    #[command(subcommand)]
    Port(port::Port),
    #[command(subcommand)]
    Group(group::Group),
    Events(events::Events),
    Explain(explain::Explain),
    Trace(trace::Trace),
    Capture(capture::Capture),
    #[command(subcommand)]
    Config(config::Config),
    Apply(apply::Apply),
    Log(log::Log),
    Ctl(ctl::Ctl),
    Completions(completions::Completions),
}

/// Does what the command line says; errors are told on standard error.
pub fn run(cli: Cli) -> ExitCode {
    let mut context = Context::new(cli.global.socket, cli.global.json);
    let result = dispatch(cli.command, &mut context);
    match result.and_then(|code| context.flush().map(|()| code)) {
        Ok(code) => code,
        Err(failure) => {
            // What was found before the failure is still worth reading.
            let _ = context.flush();
            failure.report()
        }
    }
}

fn dispatch(command: Command, context: &mut Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(command) => command.run(),
        Command::Check(command) => return check(command, context),
        Command::Status(command) => command.run(context),
        Command::Stats(command) => command.run(context),
        Command::Vnet(command) => command.run(context),
        Command::Host(command) => command.run(context),
        Command::Binding(command) => command.run(context),
        Command::Mapping(command) => command.run(context),
        Command::Route(command) => command.run(context),
        Command::Neighbor(command) => command.run(context),
        Command::Relay(command) => command.run(context),
        Command::Eam(command) => command.run(context),
        Command::Outsider(command) => command.run(context),
        Command::Subnet(command) => command.run(context),
        Command::Router(command) => command.run(context),
        Command::Vroute(command) => command.run(context),
        Command::Member(command) => command.run(context),
        Command::Lease(command) => command.run(context),
        Command::Group(command) => command.run(context),
        Command::Port(command) => command.run(context),
        Command::Events(command) => command.run(context),
        Command::Explain(command) => command.run(context),
        Command::Trace(command) => command.run(context),
        Command::Capture(command) => command.run(context),
        Command::Config(command) => command.run(context),
        Command::Apply(command) => command.run(context),
        Command::Log(command) => command.run(context),
        Command::Ctl(command) => command.run(context),
        Command::Completions(command) => command.run(context),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// `weft check` writes to both outputs, and its exit code is its answer.
fn check(args: check::Args, context: &mut Context) -> Result<ExitCode, Failure> {
    let args = check::Args {
        json: context.json,
        ..args
    };
    let code = check::run(&args, context.writer(), &mut std::io::stderr())?;
    Ok(ExitCode::from(code))
}
