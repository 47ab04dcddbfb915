//! Where the workers' cycles go and what is how full, for the control socket and
//! for scrapers.

use crate::control::proto::{Bursts, CyclesReport, Fill, StageCycles, WorkerCycles};
use crate::datapath::counters::Counters as Block;
use crate::datapath::cycles::{Part, sizes};

use super::plant::Plant;
use super::reports::Counters;

impl Plant {
    pub(super) fn cycles_report(&self) -> CyclesReport {
        let blocks = self.counters.iter().enumerate();
        CyclesReport {
            uptime_ms: self.now().0,
            hz: self.clock.hz(),
            workers: blocks.map(|(worker, block)| of(worker, block)).collect(),
            fills: self.fills(),
        }
    }

    fn fills(&self) -> Vec<Fill> {
        let mut fills = vec![Fill {
            name: "mappings".to_owned(),
            worker: None,
            used: self.writer.len() as u64,
            limit: self.writer.limit() as u64,
        }];
        fills.extend(self.devices.pools().into_iter().map(|pool| Fill {
            name: format!("pool_{}", pool.name),
            worker: None,
            used: pool.in_use.into(),
            limit: pool.size.into(),
        }));
        let workers = self.counters.len().max(1) as u64;
        let holds = u64::from(self.settings.limits.holds) / workers;
        let held = self
            .counters
            .iter()
            .enumerate()
            .map(|(worker, block)| Fill {
                name: "held".to_owned(),
                worker: Some(worker as u32),
                used: block.held.get(),
                limit: holds,
            });
        fills.extend(held);
        fills.extend(self.rings.fills());
        fills
    }

    /// The same as counters by worker.
    pub(super) fn cycle_counters(&self, out: &mut Counters) {
        for block in self.counters.iter().map(|block| &block.cycles) {
            let mut add = |name: String, help: String, value: u64| {
                let counter = out.entry(name).or_default();
                counter.help = help;
                counter.total += value;
                counter.workers.push(value);
            };
            for (part, counters) in Part::ALL.into_iter().zip(&block.parts) {
                let (name, what) = (part.name(), part.help());
                let help = format!("Cycles of sampled rounds: {what}.");
                add(format!("cycles_{name}"), help, counters.cycles.get());
                let help = format!("Packets of sampled rounds: {what}.");
                add(
                    format!("cycles_{name}_packets"),
                    help,
                    counters.packets.get(),
                );
            }
            let help = "Busy rounds that were sampled for their cycles.";
            add(
                "cycles_sampled_rounds".into(),
                help.into(),
                block.sampled.get(),
            );
            let help = "Sampled rounds left out: the worker was not on its core.";
            let interrupted = block.interrupted.get();
            add("cycles_interrupted_rounds".into(), help.into(), interrupted);
            for (size, counter) in block.bursts.iter().enumerate() {
                let (name, help) = match sizes(size) {
                    (n, to) if n == to => {
                        (format!("bursts_{n}"), format!("Bursts of {n} packets."))
                    }
                    (n, to) => (
                        format!("bursts_{n}_{to}"),
                        format!("Bursts of {n} to {to} packets."),
                    ),
                };
                add(name, help, counter.get());
            }
        }
    }
}

fn of(worker: usize, block: &Block) -> WorkerCycles {
    let cycles = &block.cycles;
    let stages = Part::ALL.into_iter().zip(&cycles.parts);
    let bursts = cycles.bursts.iter().enumerate();
    WorkerCycles {
        worker: worker as u32,
        rounds: block.rounds.get(),
        busy_rounds: block.busy_rounds.get(),
        busy_cycles: block.busy_cycles.get(),
        idle_cycles: block.idle_cycles.get(),
        packets: block.rx.get() + block.taken_over.get() + block.from_control.get(),
        sampled: cycles.sampled.get(),
        interrupted: cycles.interrupted.get(),
        stages: stages
            .map(|(part, counters)| StageCycles {
                stage: part.name().to_owned(),
                cycles: counters.cycles.get(),
                packets: counters.packets.get(),
            })
            .collect(),
        bursts: bursts
            .map(|(size, count)| Bursts {
                from: sizes(size).0 as u32,
                to: sizes(size).1 as u32,
                count: count.get(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::metrics::render;
    use super::super::testing::host_r;
    use super::*;
    use crate::control::plant::Plant as _;

    #[test]
    fn scrapers_and_the_socket_are_told_the_same() {
        let (mut plant, _) = host_r("");
        plant.counters = vec![Arc::new(Block::new(1))];
        let block = &plant.counters[0];
        block.cycles.burst(32);
        block.cycles.burst(3);
        block.cycles.sampled.add(1);
        block.cycles.parts[Part::Rewrite as usize].cycles.add(700);
        block.cycles.parts[Part::Rewrite as usize].packets.add(35);
        block.rx.add(35);
        let report = plant.cycles();
        let worker = &report.workers[0];
        assert_eq!((worker.packets, worker.sampled), (35, 1));
        let rewrite = worker.stages.iter().find(|stage| stage.stage == "rewrite");
        assert_eq!(
            rewrite.map(|stage| (stage.cycles, stage.packets)),
            Some((700, 35))
        );
        let counts: Vec<_> = worker.bursts.iter().map(|bursts| bursts.count).collect();
        assert_eq!(counts, [0, 1, 0, 0, 0, 1]);
        let mappings = &report.fills[0];
        assert_eq!(mappings.name, "mappings");
        assert_eq!(mappings.limit, plant.writer.limit() as u64);
        assert!(
            report
                .fills
                .iter()
                .any(|fill| fill.name == "held" && fill.limit > 0)
        );
        let text = render(&plant.stats());
        for line in [
            "weft_cycles_rewrite_total{worker=\"0\"} 700",
            "weft_cycles_rewrite_packets_total{worker=\"0\"} 35",
            "weft_bursts_2_3_total{worker=\"0\"} 1",
            "weft_bursts_32_total{worker=\"0\"} 1",
        ] {
            assert!(text.contains(line), "{line}");
        }
    }
}
