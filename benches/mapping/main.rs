//! Tables for (vnet, address) beside each other: lookups in bursts of 32,
//! alone, in the company of a walk, and beside a writer that never rests.
//!
//! ```text
//! cargo bench --bench mapping -- [--quick] [--json] [--only NAME,…] [--sizes 1k,64k,1m,8m]
//!                                [--rounds N] [--upkeep]
//! ```
//!
//! The reader is on core 1, the writer on core 0. Machines move by a third
//! from minute to minute, so tables are measured in turn, a few milliseconds
//! each, round after round; figures are medians over rounds, slow-downs are
//! medians of the ratios within rounds. Cycles are those of the TSC.

mod brown;
mod candidate;
mod direct;
mod floor;
mod groups;
mod leftright;
mod measure;
mod options;
mod ours;
mod plan;
mod report;
#[cfg(feature = "dpdk")]
mod rte;
mod upkeep;

use candidate::Subject;
use floor::Floor;
use options::Options;
use plan::{Plan, Spread, Stream};

fn main() {
    // `cargo test` runs benches too, without this argument: a short check then.
    let options = Options::parse();
    measure::pin(1);
    let mut report = report::Report::default();
    for size in options.sizes() {
        let plan = Plan { size };
        let mut subjects = subjects(plan, &options);
        let floor = Floor::new();
        for subject in &mut subjects {
            let missing = subject.reads.missing(&floor, plan);
            assert_eq!(missing, 0, "{} does not find all of {size}", subject.name);
        }
        for spread in [Spread::Uniform, Spread::Zipf] {
            let stream = Stream::new(plan, spread);
            let rows = measure::rounds(&mut subjects, plan, stream, &options);
            report.lookups(size, spread, &rows);
        }
    }
    if options.upkeep() {
        upkeep::run(&options, &mut report);
    }
    report.end(&options);
}

/// The tables that were asked for, filled.
fn subjects(plan: Plan, options: &Options) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let mut offer = |name: &'static str, make: &dyn Fn() -> Subject| {
        if options.wants(name) {
            subjects.push(make());
        }
    };
    offer("weft", &|| Subject::new("weft", ours::build(plan)));
    offer("tag-groups", &|| {
        Subject::new("tag-groups", groups::build::<groups::Small>(plan))
    });
    offer("ready-made", &|| {
        Subject::new("ready-made", groups::build::<groups::Ready>(plan))
    });
    offer("left-right", &|| {
        Subject::new("left-right", leftright::build(plan))
    });
    offer("hashbrown", &|| {
        Subject::new("hashbrown", brown::build(plan))
    });
    #[cfg(feature = "dpdk")]
    offer("rte_hash", &|| {
        let largest = options.sizes().into_iter().max().unwrap_or(plan.size);
        Subject::new("rte_hash", rte::build(plan, largest))
    });
    offer("direct", &|| Subject::new("direct", direct::build(plan)));
    subjects
}
