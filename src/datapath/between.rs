//! DHCP between hosts, in vnets where a node is the server.
//!
//! A client without an address is 0.0.0.0 to the hosts of its vnet: a request
//! comes from there and is to everybody, an answer goes there. No node has that
//! address and no mapping proves it, so these two are the only packets that are
//! let past the check of sources and destinations, to the control thread, which
//! delivers them to the server or to the one client. Requests must come from a
//! known host, answers from the host that the server is mapped to.

use super::classify::Incoming;
use super::{Context, Exit, Punt};
use crate::wire::Vaddr;

/// Somebody who has no address yet.
const NOBODY: Vaddr = Vaddr(0);

/// A request that has come from this locator.
#[cold]
pub(super) fn request(cx: &Context<'_>, it: &Incoming, came_from: u128) -> Option<Exit> {
    let ends = (it.packet.src(), it.packet.dst());
    let known = cx.topology.host_by_locator.contains_key(&came_from);
    let asks = ends == (NOBODY, Vaddr::BROADCAST) && known && server_of(cx, it).is_some();
    asks.then_some(Exit::Punt(Punt::DhcpBetween))
}

/// An answer, whose source has been proved.
#[cold]
pub(super) fn answer(cx: &Context<'_>, it: &Incoming) -> Option<Exit> {
    let answers = it.packet.dst() == NOBODY && server_of(cx, it) == Some(it.packet.src());
    answers.then_some(Exit::Punt(Punt::DhcpBetween))
}

fn server_of(cx: &Context<'_>, it: &Incoming) -> Option<Vaddr> {
    let vnet = cx.topology.vnets.iter().find(|vnet| vnet.vni == it.vni);
    vnet?.dhcp_server
}
