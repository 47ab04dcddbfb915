//! Traces under way: who wants to see which packets, and how many more.

use crate::control::plant::PlantError;
use crate::control::proto::{self, Seen, Step, TraceRecord};
use crate::datapath::record::{Frame, Record};
use crate::datapath::tell::Tell;
use crate::datapath::topology::Topology;
use crate::datapath::watch::Filter;
use crate::datapath::{Exit, Outcome};

/// Traces there can be at a time; a record says by a bit whose it is.
const SLOTS: usize = 64;

/// All traces.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    watchers: Vec<Watcher>,
    filters: Vec<Filter>,
    next_id: u64,
}

#[derive(Debug)]
struct Watcher {
    id: u64,
    filter: Filter,
    left: u32,
    seen: u64,
}

impl Watchers {
    /// What the workers are to look for.
    pub(super) fn filters(&self) -> &[Filter] {
        &self.filters
    }

    pub(super) fn start(
        &mut self,
        wanted: &proto::Filter,
        count: u32,
        topology: &Topology,
    ) -> Result<u64, PlantError> {
        let mut filter = resolve(wanted, topology)?;
        // Slots go round, so that a late record of an old trace does not show
        // up in a new one.
        let taken = |slot: u8| {
            self.watchers
                .iter()
                .any(|watcher| watcher.filter.slot == slot)
        };
        let slot = (0..SLOTS as u64)
            .map(|i| ((self.next_id + i) % SLOTS as u64) as u8)
            .find(|slot| !taken(*slot))
            .ok_or(PlantError::Full {
                table: "traces",
                limit: SLOTS,
            })?;
        filter.slot = slot;
        let id = self.next_id;
        self.next_id += 1;
        self.watchers.push(Watcher {
            id,
            filter,
            left: count,
            seen: 0,
        });
        self.refresh();
        Ok(id)
    }

    pub(super) fn stop(&mut self, id: u64) -> Result<Seen, PlantError> {
        let place = self.watchers.iter().position(|watcher| watcher.id == id);
        let place = place
            .ok_or_else(|| PlantError::NotFound(format!("no trace {id}; it may have ended")))?;
        let watcher = self.watchers.swap_remove(place);
        self.refresh();
        Ok(Seen {
            packets: watcher.seen,
            lost: 0,
        })
    }

    /// The traces a record belongs to. A trace that has all it asked for ends.
    pub(super) fn take(&mut self, record: &Record) -> Vec<u64> {
        let mut owners = Vec::new();
        for watcher in &mut self.watchers {
            let wants = record.watchers >> watcher.filter.slot & 1 != 0 && watcher.left > 0;
            if wants {
                watcher.left -= 1;
                watcher.seen += 1;
                owners.push(watcher.id);
            }
        }
        if self.filters.len()
            > self
                .watchers
                .iter()
                .filter(|watcher| watcher.left > 0)
                .count()
        {
            self.refresh();
        }
        owners
    }

    fn refresh(&mut self) {
        self.filters.clear();
        let active = self.watchers.iter().filter(|watcher| watcher.left > 0);
        self.filters
            .extend(active.map(|watcher| watcher.filter.clone()));
    }

    /// Whether the workers' snapshot must change.
    pub(super) fn differs(&self, topology: &Topology) -> bool {
        self.filters != topology.watch
    }
}

fn resolve(wanted: &proto::Filter, topology: &Topology) -> Result<Filter, PlantError> {
    let not_found =
        |kind: &str, name: &str| PlantError::NotFound(format!("no {kind} is called `{name}`"));
    let mut filter = Filter {
        address: wanted.address,
        drops: wanted.drops,
        ..Filter::default()
    };
    if let Some(name) = &wanted.node {
        let node = topology.nodes.iter().find(|node| node.name == *name);
        let node = node.ok_or_else(|| not_found("node", name))?;
        filter.node = Some((node.vni, node.vaddr));
    }
    if let Some(name) = &wanted.vnet {
        let vnet = topology.vnets.iter().find(|vnet| vnet.name == *name);
        filter.vni = Some(vnet.ok_or_else(|| not_found("vnet", name))?.vni);
    }
    if let Some(name) = &wanted.port {
        let index = topology.ports.iter().position(|port| port.name == *name);
        filter.port = Some(index.ok_or_else(|| not_found("port", name))? as u16);
    }
    Ok(filter)
}

/// A record in the protocol's words.
pub(super) fn report(record: &Record, topology: &Topology, micros: u64) -> TraceRecord {
    let name = |port: u16| {
        topology
            .port(port)
            .map_or_else(String::new, |port| port.name.clone())
    };
    let length = |frame: &Frame| if frame.is_whole() { 0 } else { frame.len };
    TraceRecord {
        time_us: micros,
        worker: u32::from(record.worker),
        steps: record
            .steps()
            .map(|(stage, words)| step(stage.name(), words))
            .collect(),
        outcome: record
            .result
            .as_ref()
            .map_or_else(String::new, |result| outcome(result).to_owned()),
        port: name(record.port),
        out_port: match record.result {
            Some(Ok(Outcome::Send { port, .. }) | Err(Exit::Pass { port })) => name(port),
            _ => String::new(),
        },
        before: hex(record.before.bytes()),
        after: record
            .after
            .as_ref()
            .map_or_else(String::new, |frame| hex(frame.bytes())),
        before_length: length(&record.before),
        after_length: record.after.as_ref().map_or(0, length),
    }
}

/// A stage's name with what it said.
pub(super) fn step(stage: &str, verdict: &str) -> Step {
    Step {
        stage: stage.to_owned(),
        verdict: verdict.to_owned(),
        detail: String::new(),
    }
}

/// One word for what became of a packet.
pub(super) fn outcome(result: &Result<Outcome, Exit>) -> &'static str {
    match result {
        Ok(Outcome::Send { .. }) => "sent",
        Ok(Outcome::Split(_) | Outcome::Cut(_)) => "fragmented",
        Err(
            Exit::Drop(why)
            | Exit::Refuse { why, .. }
            | Exit::Tell { why, .. }
            | Exit::Foreign { why },
        ) => why.name(),
        Err(Exit::Pass { .. }) => "passed",
        Err(Exit::Punt(_)) => "punted",
        Err(Exit::Fan(_)) => "copied",
        Err(Exit::Hold { .. }) => "held",
    }
}

/// The words of an outcome.
pub(super) fn tell_outcome(result: &Result<Outcome, Exit>, topology: &Topology) -> String {
    let mut words = String::new();
    // Writing to a string does not fail.
    let _ = match result {
        Ok(outcome) => outcome.tell(topology, &mut words),
        Err(exit) => exit.tell(topology, &mut words),
    };
    words
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}
