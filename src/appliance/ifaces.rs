//! What interfaces of routers have passed on, for people and scrapers.

use crate::datapath::tally::Totals;

use super::plant::Plant;
use super::reports::{Counters, insert};

/// Names, help and where the figure is.
type Row = (&'static str, &'static str, fn(&Totals) -> u64);

const ROWS: [Row; 5] = [
    (
        "in_packets",
        "Packets of nodes here that came to the router by this interface.",
        |it| it.in_packets,
    ),
    ("in_bytes", "Bytes of their frames.", |it| it.in_bytes),
    (
        "out_packets",
        "Packets of nodes here that the router passed on by this interface, and answers of its own.",
        |it| it.out_packets,
    ),
    ("out_bytes", "Bytes of their frames.", |it| it.out_bytes),
    (
        "dropped",
        "Packets that came by this interface and that the router did not pass on.",
        |it| it.dropped,
    ),
];

impl Plant {
    pub(super) fn iface_counters(&self, out: &mut Counters) {
        let topology = self.topology();
        for iface in &topology.ifaces {
            let router = topology.routers.get(iface.router as usize);
            let subnet = topology.subnets.get(iface.subnet as usize);
            let (Some(router), Some(subnet)) = (router, subnet) else {
                continue;
            };
            let totals = iface.traffic.totals();
            for (what, help, of) in ROWS {
                let name = format!("iface_{}_{}_{what}", router.name, subnet.name);
                insert(out, &name, help, of(&totals));
            }
        }
    }
}
