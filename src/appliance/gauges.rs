//! What goes up and down: fill of tables and packet pools.

use super::plant::Plant;
use super::reports::{Counters, insert};

impl Plant {
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
            (
                "groups_heard",
                "Groups of the substrate that nodes here have joined.",
                topology
                    .native
                    .as_ref()
                    .map_or(0, |native| native.heard.len() as u64),
            ),
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
