//! What goes up and down: fill of tables, rings and packet pools.

use crate::control::proto::Counter;

use super::plant::{Plant, RingFill};
use super::reports::{Counters, insert};

impl Plant {
    pub(super) fn ring_gauges(&self, out: &mut Counters) {
        for (ring, name, what) in [
            (
                RingFill::PROTOCOL,
                "protocol",
                "Frames that wait for control",
            ),
            (
                RingFill::NOTICES,
                "notices",
                "Notices that wait for control",
            ),
            (
                RingFill::FROM_CONTROL,
                "from_control",
                "Frames of control that wait for a worker",
            ),
            (
                RingFill::TRACE,
                "trace",
                "Records of traces that wait for control",
            ),
        ] {
            let by_worker = || self.rings.iter().map(|fill| fill.rings[ring]);
            let now: Vec<u64> = by_worker().map(|(now, _)| now).collect();
            let most: Vec<u64> = by_worker().map(|(_, most)| most).collect();
            for (suffix, help, workers) in [
                ("fill", format!("{what}."), now),
                ("fill_most", format!("{what}: most since the start."), most),
            ] {
                let total = workers.iter().sum();
                let gauge = true;
                let counter = Counter {
                    help,
                    total,
                    workers,
                    gauge,
                };
                out.insert(format!("ring_{name}_{suffix}"), counter);
            }
        }
    }

    pub(super) fn table_counters(&self, out: &mut Counters) {
        let topology = self.publisher.current();
        let pending = self.publisher.domain().pending();
        for (name, help, total) in [
            (
                "table_entries",
                "Entries of the mapping table, own nodes included.",
                self.writer.len() as u64,
            ),
            (
                "table_limit",
                "Entries the mapping table may hold.",
                self.writer.limit() as u64,
            ),
            (
                "table_prefixes",
                "Prefixes in the mapping table.",
                self.writer.prefix_len() as u64,
            ),
            (
                "table_bytes",
                "Memory of the mapping table.",
                self.writer.memory_bytes() as u64,
            ),
            (
                "table_growing",
                "Whether the mapping table is growing.",
                u64::from(self.writer.is_growing()),
            ),
            (
                "reclaim_pending_items",
                "Replaced objects that a worker may still read.",
                pending.items as u64,
            ),
            (
                "reclaim_pending_bytes",
                "Bytes of those.",
                pending.bytes as u64,
            ),
            (
                "nodes",
                "Nodes on this host.",
                topology.nodes.iter().filter(|n| !n.name.is_empty()).count() as u64,
            ),
            (
                "hosts",
                "Other hosts that are known.",
                topology.host_by_locator.len() as u64,
            ),
            ("next_hops", "Next hops in use.", topology.hops.len() as u64),
        ] {
            insert(out, name, help, total);
            if let Some(counter) = out.get_mut(name) {
                counter.gauge = true;
            }
        }
        for pool in self.devices.pools() {
            let help = "Packet buffers in use.";
            insert(
                out,
                &format!("pool_{}_in_use", pool.name),
                help,
                u64::from(pool.in_use),
            );
            insert(
                out,
                &format!("pool_{}_size", pool.name),
                "Packet buffers there are.",
                u64::from(pool.size),
            );
            for what in ["in_use", "size"] {
                if let Some(counter) = out.get_mut(&format!("pool_{}_{what}", pool.name)) {
                    counter.gauge = true;
                }
            }
        }
    }
}
