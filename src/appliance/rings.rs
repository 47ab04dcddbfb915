//! How full the rings between threads are.
//!
//! Looked at by control at the head of a round, before it takes anything out:
//! what is found then is what had to wait. Workers do nothing for it, except
//! that each tells now and then of its rings to other workers, of which
//! control has no end.

use crate::control::proto::{Counter, Fill};
use crate::datapath::wiring::ControlEnds;

use super::reports::Counters;

/// A kind of ring, by worker: its fill, the most of it since the start, and
/// its size.
#[derive(Debug, Default)]
struct Ring {
    fill: Vec<u64>,
    most: Vec<u64>,
    capacity: Vec<u64>,
}

impl Ring {
    fn clear(&mut self) {
        self.fill.clear();
        self.capacity.clear();
    }

    /// The next worker's.
    fn add(&mut self, fill: usize, capacity: usize) {
        let (worker, fill) = (self.fill.len(), fill as u64);
        match self.most.get_mut(worker) {
            Some(most) => *most = fill.max(*most),
            None => self.most.push(fill),
        }
        self.fill.push(fill);
        self.capacity.push(capacity as u64);
    }
}

/// All rings, as they were at the last look.
#[derive(Debug, Default)]
pub(super) struct Rings {
    protocol: Ring,
    notices: Ring,
    from_control: Ring,
    trace: Ring,
    /// By the worker that takes out; in each by the one that puts in.
    handover: Vec<Ring>,
}

impl Rings {
    /// Costs a load or two for each ring and, after the first time, no memory.
    pub(super) fn look<P>(&mut self, ends: &[ControlEnds<P>]) {
        for ring in [
            &mut self.protocol,
            &mut self.notices,
            &mut self.from_control,
            &mut self.trace,
        ] {
            ring.clear();
        }
        self.handover.resize_with(ends.len(), Ring::default);
        self.handover.iter_mut().for_each(Ring::clear);
        for (from, ends) in ends.iter().enumerate() {
            let (protocol, notices) = (&ends.protocol, &ends.notices);
            self.protocol
                .add(protocol.slots(), protocol.buffer().capacity());
            self.notices
                .add(notices.slots(), notices.buffer().capacity());
            let capacity = ends.to_worker.buffer().capacity();
            let filled = capacity - ends.to_worker.slots();
            self.from_control.add(filled, capacity);
            self.trace
                .add(ends.trace.slots(), ends.trace.buffer().capacity());
            for (to, ring) in self.handover.iter_mut().enumerate() {
                match from == to {
                    true => ring.add(0, 0),
                    false => ring.add(ends.handover.fill(to) as usize, ends.handover.capacity()),
                }
            }
        }
    }

    /// Fill and capacity of every ring there is.
    pub(super) fn fills(&self) -> Vec<Fill> {
        let kinds = [
            ("protocol", &self.protocol),
            ("notices", &self.notices),
            ("from_control", &self.from_control),
            ("trace", &self.trace),
        ];
        let named = kinds.map(|(name, ring)| (name.to_owned(), ring));
        let handover = self.handover.iter().enumerate();
        let handover = handover.map(|(to, ring)| (format!("to_worker{to}"), ring));
        let mut fills = Vec::new();
        for (name, ring) in named.into_iter().chain(handover) {
            let places = ring.fill.iter().zip(&ring.capacity).enumerate();
            let places = places.filter(|(_, (_, capacity))| **capacity > 0);
            fills.extend(places.map(|(worker, (&used, &limit))| Fill {
                name: format!("ring_{name}"),
                worker: Some(worker as u32),
                used,
                limit,
            }));
        }
        fills
    }

    /// Gauges of fill and capacity.
    pub(super) fn report(&self, out: &mut Counters) {
        for (name, ring, what) in [
            (
                "protocol",
                &self.protocol,
                "Packets of the worker that wait for the control thread",
            ),
            (
                "notices",
                &self.notices,
                "Notices of the worker (misses, refusals, learned addresses) that wait for the \
                 control thread",
            ),
            (
                "from_control",
                &self.from_control,
                "Packets of the control thread that wait for the worker to send them",
            ),
            (
                "trace",
                &self.trace,
                "Trace records of the worker that wait for the control thread",
            ),
        ] {
            gauges(out, name, ring, what);
        }
        if self.handover.len() < 2 {
            return;
        }
        for (to, ring) in self.handover.iter().enumerate() {
            let what = format!("Packets handed over that wait for worker {to} to send them");
            gauges(out, &format!("to_worker{to}"), ring, &what);
        }
    }
}

fn gauges(out: &mut Counters, name: &str, ring: &Ring, what: &str) {
    let mut add = |suffix: &str, help: String, values: &[u64]| {
        let gauge = Counter {
            help,
            total: values.iter().sum(),
            workers: values.to_vec(),
            gauge: true,
        };
        out.insert(format!("ring_{name}_{suffix}"), gauge);
    };
    add("fill", format!("{what}."), &ring.fill);
    add(
        "fill_most",
        format!("{what}: most since the start."),
        &ring.most,
    );
    let help = format!("Places for {}.", what.to_lowercase());
    add("capacity", help, &ring.capacity);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::wiring::{Notice, Outgoing, RingSizes, wire};
    use crate::mapping::NodeIndex;
    use crate::packet::Buffer;
    use crate::wire::Mac;

    #[test]
    fn every_ring_shows_its_fill_and_its_size() {
        let sizes = RingSizes {
            protocol: 8,
            notices: 16,
            from_control: 32,
            handover: 64,
            trace: 128,
        };
        let (mut workers, mut control) = wire::<Buffer>(2, sizes);
        let outgoing = || Outgoing {
            port: 0,
            packet: Buffer::new(&[0; 60]),
        };
        for _ in 0..3 {
            let seen = Notice::NodeSeen {
                node: NodeIndex::new(0).unwrap(),
                mac: Mac([2; 6]),
            };
            workers[1].notices.push(seen).unwrap();
        }
        control[0].to_worker.push(outgoing()).unwrap();
        for _ in 0..5 {
            let ring = workers[0].to_workers[1].as_mut().unwrap();
            ring.push(outgoing()).unwrap();
        }
        let mut rings = Rings::default();
        let mut report = |control: &[ControlEnds<Buffer>]| {
            rings.look(control);
            let mut out = Counters::new();
            rings.report(&mut out);
            out
        };
        let out = report(&control);
        let values = |out: &Counters, name: &str| out[name].workers.clone();
        for (name, fill, size) in [
            ("protocol", [0, 0], 8),
            ("notices", [0, 3], 16),
            ("from_control", [1, 0], 32),
            ("trace", [0, 0], 128),
        ] {
            assert_eq!(values(&out, &format!("ring_{name}_fill")), fill, "{name}");
            let capacity = values(&out, &format!("ring_{name}_capacity"));
            assert_eq!(capacity, [size, size], "{name}");
        }
        assert_eq!(values(&out, "ring_to_worker1_fill"), [0, 0], "not told yet");
        workers[0].tell_fills();
        workers[1]
            .notices
            .push(Notice::NodeSeen {
                node: NodeIndex::new(0).unwrap(),
                mac: Mac([2; 6]),
            })
            .unwrap();
        let out = report(&control);
        assert_eq!(values(&out, "ring_to_worker1_fill"), [5, 0]);
        assert_eq!(values(&out, "ring_to_worker1_capacity"), [64, 0]);
        assert_eq!(values(&out, "ring_to_worker0_capacity"), [0, 64]);
        assert_eq!(values(&out, "ring_notices_fill"), [0, 4]);
        control[1].notices.pop().unwrap();
        let later = report(&control);
        assert_eq!(values(&later, "ring_notices_fill"), [0, 3]);
        assert_eq!(values(&later, "ring_notices_fill_most"), [0, 4]);
        assert!(
            out.values()
                .all(|gauge| gauge.gauge && gauge.help.ends_with('.'))
        );
        let one = wire::<Buffer>(1, sizes).1;
        let out = report(&one);
        assert_eq!(values(&out, "ring_protocol_fill"), [0]);
        assert!(!out.keys().any(|name| name.contains("to_worker")));
        rings.look(&control);
        let fills = rings.fills();
        let fill = fills.iter().find(|fill| fill.name == "ring_to_worker1");
        let fill = fill.map(|fill| (fill.worker, fill.used, fill.limit));
        assert_eq!(fill, Some((Some(0), 5, 64)));
        assert_eq!(
            fills.len(),
            10,
            "four kinds of two workers, and one each way"
        );
    }
}
