//! Where the workers' cycles go: the reply of `stats.cycles`.
//!
//! All of it is counted since the start; who wants to know of an interval asks
//! twice and takes [the difference](CyclesReport::since).

use serde::{Deserialize, Serialize};

/// Reply of `stats.cycles`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CyclesReport {
    /// Milliseconds since the appliance started.
    pub uptime_ms: u64,
    /// Cycles a second, by the clock that they are counted with.
    pub hz: u64,
    pub workers: Vec<WorkerCycles>,
    /// What can become full, as it is now.
    pub fills: Vec<Fill>,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerCycles {
    pub worker: u32,
    pub rounds: u64,
    /// Rounds that moved packets.
    pub busy_rounds: u64,
    pub busy_cycles: u64,
    /// Cycles of rounds that moved none, sleep included.
    pub idle_cycles: u64,
    /// Packets received, taken over from other workers and from control.
    pub packets: u64,
    /// Busy rounds that were sampled; `stages` speaks of these alone.
    pub sampled: u64,
    /// Sampled rounds left out because the worker was not on its core.
    pub interrupted: u64,
    /// In the order in which packets pass.
    pub stages: Vec<StageCycles>,
    /// Received bursts by size.
    pub bursts: Vec<Bursts>,
}

/// A part of the sampled rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCycles {
    pub stage: String,
    pub cycles: u64,
    /// Packets that came to it; of `round` those that moved at all.
    pub packets: u64,
}

/// Bursts of some sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bursts {
    pub from: u32,
    pub to: u32,
    pub count: u64,
}

/// Something that can become full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    pub name: String,
    /// Whose it is, if it is a worker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<u32>,
    pub used: u64,
    pub limit: u64,
}

impl CyclesReport {
    /// What has been counted since an earlier report, and what is full now.
    /// `None` if the appliance was started anew between the two.
    pub fn since(&self, before: &CyclesReport) -> Option<CyclesReport> {
        let workers = self.workers.iter().zip(&before.workers);
        let workers: Option<Vec<_>> = workers.map(|(now, before)| now.since(before)).collect();
        (self.workers.len() == before.workers.len()).then_some(())?;
        Some(CyclesReport {
            uptime_ms: self.uptime_ms.checked_sub(before.uptime_ms)?,
            hz: self.hz,
            workers: workers?,
            fills: self.fills.clone(),
        })
    }
}

impl WorkerCycles {
    fn since(&self, before: &WorkerCycles) -> Option<WorkerCycles> {
        let stages = self.stages.iter().zip(&before.stages);
        let stages: Option<_> = stages
            .map(|(now, before)| {
                Some(StageCycles {
                    stage: now.stage.clone(),
                    cycles: now.cycles.checked_sub(before.cycles)?,
                    packets: now.packets.checked_sub(before.packets)?,
                })
            })
            .collect();
        let bursts = self.bursts.iter().zip(&before.bursts);
        let bursts: Option<_> = bursts
            .map(|(now, before)| {
                let count = now.count.checked_sub(before.count)?;
                Some(Bursts { count, ..*now })
            })
            .collect();
        Some(WorkerCycles {
            worker: self.worker,
            rounds: self.rounds.checked_sub(before.rounds)?,
            busy_rounds: self.busy_rounds.checked_sub(before.busy_rounds)?,
            busy_cycles: self.busy_cycles.checked_sub(before.busy_cycles)?,
            idle_cycles: self.idle_cycles.checked_sub(before.idle_cycles)?,
            packets: self.packets.checked_sub(before.packets)?,
            sampled: self.sampled.checked_sub(before.sampled)?,
            interrupted: self.interrupted.checked_sub(before.interrupted)?,
            stages: stages?,
            bursts: bursts?,
        })
    }

    /// Adds another worker's, for a total.
    pub fn add(&mut self, other: &WorkerCycles) {
        self.rounds += other.rounds;
        self.busy_rounds += other.busy_rounds;
        self.busy_cycles += other.busy_cycles;
        self.idle_cycles += other.idle_cycles;
        self.packets += other.packets;
        self.sampled += other.sampled;
        self.interrupted += other.interrupted;
        for (stage, more) in self.stages.iter_mut().zip(&other.stages) {
            stage.cycles += more.cycles;
            stage.packets += more.packets;
        }
        for (bursts, more) in self.bursts.iter_mut().zip(&other.bursts) {
            bursts.count += more.count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(uptime_ms: u64, cycles: u64) -> CyclesReport {
        let stage = StageCycles {
            stage: "rx".into(),
            cycles,
            packets: cycles / 10,
        };
        let worker = WorkerCycles {
            busy_cycles: 3 * cycles,
            stages: vec![stage],
            bursts: vec![Bursts {
                from: 32,
                to: 32,
                count: cycles,
            }],
            ..WorkerCycles::default()
        };
        CyclesReport {
            uptime_ms,
            hz: 1000,
            workers: vec![worker],
            fills: Vec::new(),
        }
    }

    #[test]
    fn the_difference_of_two_reports_is_what_was_counted_between() {
        let mut between = report(1500, 140).since(&report(1000, 100)).unwrap();
        assert_eq!((between.uptime_ms, between.hz), (500, 1000));
        let worker = between.workers.remove(0);
        assert_eq!((worker.busy_cycles, worker.bursts[0].count), (120, 40));
        assert_eq!((worker.stages[0].cycles, worker.stages[0].packets), (40, 4));
    }

    #[test]
    fn a_restart_has_no_difference() {
        let old = report(100_000, 5000);
        assert_eq!(report(50, 7).since(&old), None);
        assert_eq!(report(200_000, 7).since(&old), None);
        let mut grown = report(200_000, 6000);
        grown.workers.push(WorkerCycles::default());
        assert_eq!(grown.since(&old), None);
    }

    #[test]
    fn totals_are_sums() {
        let mut total = report(0, 100).workers.remove(0);
        total.add(&report(0, 11).workers[0]);
        assert_eq!((total.busy_cycles, total.stages[0].cycles), (333, 111));
        assert_eq!((total.stages[0].packets, total.bursts[0].count), (11, 111));
    }
}
