//! The tracer that writes down what it sees: for `weft trace`, `weft capture`
//! and `weft explain`.
//!
//! A worker records into slots it has owned since it started, and pushes
//! finished records into a bounded ring. When the ring is full the record is
//! lost, and counted; the packet never is.

use std::fmt::{self, Write};

use arrayvec::ArrayString;

use crate::packet::{Meta, Packet};

use super::tell::Tell;
use super::topology::Topology;
use super::trace::{Stage, Tracer};
use super::watch::{Filter, Glance};
use super::{BURST, Exit, Outcome};

/// Bytes of a frame that a record keeps: a whole one on ordinary links.
pub const SNAP: usize = 1600;

/// One frame, as it was at one moment.
#[derive(Clone)]
pub struct Frame {
    bytes: [u8; SNAP],
    kept: u16,
    /// The frame's real length.
    pub len: u32,
}

impl Frame {
    const EMPTY: Frame = Frame {
        bytes: [0; SNAP],
        kept: 0,
        len: 0,
    };

    fn take<P: Packet>(&mut self, packet: &P) {
        self.kept = packet.copy_out(0, &mut self.bytes) as u16;
        self.len = packet.total_len() as u32;
    }

    /// Whether all of the frame was kept.
    pub fn is_whole(&self) -> bool {
        u32::from(self.kept) == self.len
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.kept)]
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

/// What a stage said. The longest sentences have two names of 63 letters, or
/// the help of a drop; a test holds them against this.
pub type Words = ArrayString<192>;

/// A packet's way through the walk.
#[derive(Clone, Debug)]
pub struct Record {
    /// Worker that saw it.
    pub worker: u16,
    /// Ticks of the clock.
    pub time: u64,
    pub port: u16,
    pub before: Frame,
    /// As it left; only of packets that got through.
    pub after: Option<Frame>,
    pub stages: [Option<Words>; STAGES],
    pub result: Option<Result<Outcome, Exit>>,
    /// Whoever's filters matched; bit i is that of the filter with slot i.
    pub watchers: u64,
}

/// Stages that come to a verdict in the walk (`tx` is the worker's).
pub const STAGES: usize = 5;

impl Record {
    fn empty() -> Record {
        Record {
            worker: 0,
            time: 0,
            port: 0,
            before: Frame::EMPTY,
            after: None,
            stages: [None; STAGES],
            result: None,
            watchers: 0,
        }
    }

    /// The stages' words in order.
    pub fn steps(&self) -> impl Iterator<Item = (Stage, &str)> {
        Stage::ALL
            .iter()
            .zip(&self.stages)
            .filter_map(|(stage, words)| words.as_ref().map(|words| (*stage, words.as_str())))
    }
}

/// Slots for a burst's records; large, so a worker makes them once.
#[derive(Debug)]
pub struct Slots(Box<[Record]>);

impl Default for Slots {
    fn default() -> Self {
        Slots(vec![Record::empty(); BURST].into_boxed_slice())
    }
}

/// Records packets that a filter wants, and gives them to `sink`.
#[derive(Debug)]
pub struct Recorder<'a, S> {
    topology: &'a Topology,
    filters: &'a [Filter],
    slots: &'a mut Slots,
    worker: u16,
    time: u64,
    sink: S,
}

impl<'a, S: FnMut(&Record)> Recorder<'a, S> {
    pub fn new(
        topology: &'a Topology,
        filters: &'a [Filter],
        slots: &'a mut Slots,
        (worker, time): (u16, u64),
        sink: S,
    ) -> Recorder<'a, S> {
        Recorder {
            topology,
            filters,
            slots,
            worker,
            time,
            sink,
        }
    }

    fn watched(&mut self, i: usize) -> Option<&mut Record> {
        self.slots
            .0
            .get_mut(i)
            .filter(|record| record.watchers != 0)
    }
}

impl<S: FnMut(&Record)> Tracer for Recorder<'_, S> {
    fn packet<P: Packet>(&mut self, i: usize, meta: &Meta, packet: &P) {
        let glance = Glance::at(self.topology, meta, packet);
        let Some(record) = self.slots.0.get_mut(i) else {
            return;
        };
        record.watchers = 0;
        for filter in self.filters {
            if glance.matches(self.topology, filter) {
                record.watchers |= 1 << (filter.slot & 63);
            }
        }
        if record.watchers != 0 {
            record.worker = self.worker;
            record.time = self.time;
            record.port = meta.port;
            record.before.take(packet);
            record.after = None;
            record.stages = [None; STAGES];
            record.result = None;
        }
    }

    fn see<T: Tell>(
        &mut self,
        i: usize,
        stage: Stage,
        verdict: Result<T, Exit>,
    ) -> Result<T, Exit> {
        let topology = self.topology;
        if let Some(record) = self.watched(i) {
            let mut words = Words::new();
            let mut cut = Cut::new(&mut words);
            // `Cut` has no errors: what does not fit is left out.
            let _ = match &verdict {
                Ok(it) => it.tell(topology, &mut cut),
                Err(exit) => exit.tell(topology, &mut cut),
            };
            if let Some(place) = record.stages.get_mut(stage as usize) {
                *place = Some(words);
            }
        }
        verdict
    }

    fn done<P: Packet>(&mut self, i: usize, packet: &P, result: &Result<Outcome, Exit>) {
        let dropped = matches!(
            result,
            Err(Exit::Drop(_) | Exit::Refuse { .. } | Exit::Tell { .. })
        );
        let filters = self.filters;
        let Some(record) = self.watched(i) else {
            return;
        };
        let watchers = record.watchers;
        for filter in filters {
            if filter.drops && !dropped {
                record.watchers &= !(1 << (filter.slot & 63));
            }
        }
        let wanted = std::mem::replace(&mut record.watchers, watchers);
        if wanted == 0 {
            return;
        }
        record.result = Some(*result);
        if let Ok(Outcome::Send { .. }) = result {
            record.after.get_or_insert(Frame::EMPTY).take(packet);
        }
        record.watchers = wanted;
        (self.sink)(&self.slots.0[i]);
        // A packet that waited comes to a second end when the wait does.
        self.slots.0[i].watchers = watchers;
    }
}

/// Writes what fits into a record's place for words, and shows by an ellipsis
/// that something did not.
struct Cut<'a> {
    words: &'a mut Words,
    full: bool,
}

impl Cut<'_> {
    const MARK: char = '\u{2026}';

    fn new(words: &mut Words) -> Cut<'_> {
        Cut { words, full: false }
    }

    fn mark(&mut self) {
        self.full = true;
        while self.words.try_push(Cut::MARK).is_err() {
            self.words.pop();
        }
    }
}

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.full {
                break;
            }
            if self.words.try_push(c).is_err() {
                self.mark();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::{Drop, Party};
    use crate::mapping::{Key, NodeIndex};

    fn told(topology: &Topology, what: &impl Tell) -> (String, Words) {
        let (mut whole, mut words) = (String::new(), Words::new());
        what.tell(topology, &mut whole).unwrap();
        what.tell(topology, &mut Cut::new(&mut words)).unwrap();
        (whole, words)
    }

    #[test]
    fn every_end_of_a_packet_is_told_in_full() {
        let topology = Topology::default();
        let node = NodeIndex::new(0).unwrap();
        for why in Drop::ALL.iter().copied() {
            let key = Key::new(1, 1);
            let whose = Party::node(node);
            for exit in [
                Exit::Drop(why),
                Exit::Refuse { why, node, mtu: 0 },
                Exit::Hold { why, key, whose },
            ] {
                let (whole, words) = told(&topology, &exit);
                assert_eq!(whole, words.as_str());
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_marked() {
        let mut words = Words::new();
        let full = "x".repeat(words.capacity());
        let mut cut = Cut::new(&mut words);
        write!(cut, "{full}").unwrap();
        assert_eq!(words.as_str(), full, "just fits");
        let mut words = Words::new();
        let mut cut = Cut::new(&mut words);
        write!(cut, "{full}é").unwrap();
        write!(cut, "more").unwrap();
        assert!(words.ends_with("x…"), "{words}");
        assert_eq!(words.chars().filter(|c| *c == 'x').count(), 189);
    }
}
