//! What all tables are asked to do.

use weft::lpm::BURST;
use weft::wire::Vaddr;

use crate::routes::Route;

/// The answer for an address that is in no route.
pub(crate) const NOTHING: u32 = (1 << 24) - 1;

pub(crate) trait Candidate {
    fn name(&self) -> &'static str;
    /// Answers one burst, all of one vnet.
    fn find(&self, vnet: usize, addresses: &[Vaddr; BURST], out: &mut [u32; BURST]);
    fn bytes(&self) -> usize;
    /// Takes a route out and puts it back; false where a change writes all.
    fn change(&mut self, vnet: usize, route: Route) -> bool;
    /// What readers do while a route is changed.
    fn beside(&self) -> &'static str;
}

/// Groups of 24 bits with longer routes in them.
#[cfg(feature = "dpdk")]
pub(crate) fn groups(routes: &[Route]) -> usize {
    let long = routes.iter().filter(|(prefix, _)| prefix.len > 24);
    let mut groups: Vec<u32> = long.map(|(prefix, _)| prefix.address.0 >> 8).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.len()
}

/// Asks one by one.
pub(crate) fn each(
    addresses: &[Vaddr; BURST],
    out: &mut [u32; BURST],
    find: impl Fn(Vaddr) -> Option<u32>,
) {
    for (address, out) in addresses.iter().zip(out) {
        *out = find(*address).unwrap_or(NOTHING);
    }
}
