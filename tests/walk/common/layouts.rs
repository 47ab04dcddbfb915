//! The test plan of addresses in other layouts than p72.

use weft::datapath::slot::Slots;
use weft::datapath::topology::Topology;
use weft::mapping::{HostIndex, Mapping};
use weft::wire::{Layout, Locator, Mark, Saddr, Vaddr, Vni, checksum};

use super::Setup;
use super::topology::*;

/// Of A, C, Y's twin, E and F at R.
pub const SLOTS_R: [u8; 5] = [3, 4, 5, 6, 7];
/// Of G and its twin at S.
pub const SLOTS_S: [u8; 2] = [9, 10];

pub fn slot(slot: u8) -> Mark {
    Mark::of_slot(slot).expect("below 64")
}

/// What remains of a locator where it is a /64.
pub fn locator(layout: Layout, of: Locator) -> Locator {
    match layout {
        Layout::P72 => of,
        _ => Locator::new((of.bits() >> 64 << 64).into(), 64).expect("64 bits"),
    }
}

/// In layout `slot`, a node's or whatever is behind one.
pub fn marked(of: Locator, mark: Mark, vni: Vni, vaddr: Vaddr) -> Saddr {
    mark.on(Layout::Slot.compose(&locator(Layout::Slot, of), vni, vaddr))
}

/// In a slot of another host.
pub fn remote_in(host: HostIndex, mark: Mark) -> Mapping {
    Mapping {
        mark,
        ..remote(host)
    }
}

pub fn lay(topology: &mut Topology, layout: Layout, slots: &[u8]) {
    let own = locator(layout, topology.locator.expect("a host with nodes"));
    topology.layout = layout;
    topology.locator = Some(own);
    topology.slots = Slots::default();
    for (index, node) in (0..).zip(&mut topology.nodes) {
        let mark = match layout {
            Layout::Slot => slot(slots[index as usize]),
            _ => Mark::NONE,
        };
        node.saddr = mark.on(layout.compose(&own, node.vni, Vaddr(0)));
        let vni_alone = checksum::sum(&(u128::from(node.vni.0) << 32).to_be_bytes());
        node.checksum_part = checksum::fold(checksum::sum(&node.saddr) + vni_alone);
        if layout == Layout::Slot {
            topology.slots.put(mark, node_index(index));
        }
    }
    topology.host_by_locator.clear();
    for (index, host) in (0..).zip(&mut topology.hosts) {
        host.locator = locator(layout, host.locator);
        host.checksum_part = checksum::fold(checksum::sum(&host.locator.bits().to_be_bytes()));
        let bits = host.locator.bits();
        topology.host_by_locator.insert(bits, host_index(index));
    }
}

/// R with everybody's mappings and slots.
pub fn r_in(layout: Layout) -> Setup {
    let mut setup = setup_r();
    lay(&mut setup.topology, layout, &SLOTS_R);
    if layout == Layout::Slot {
        let [g, twin] = SLOTS_S.map(|s| remote_in(HOST_S, slot(s)));
        setup.mappings.extend([(key(Z, G), g), (key(Y, G), twin)]);
    }
    setup
}

/// S with everybody's mappings and slots.
pub fn s_in(layout: Layout) -> Setup {
    let mut setup = setup_s();
    lay(&mut setup.topology, layout, &SLOTS_S);
    if layout == Layout::Slot {
        let [a, c, twin, ..] = SLOTS_R.map(|s| remote_in(HOST_R, slot(s)));
        let all = [(key(Z, A), a), (key(Z, C), c), (key(Y, A), twin)];
        setup.mappings.extend(all);
    }
    setup
}
