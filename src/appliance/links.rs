//! What the engines of the links have to send and to tell.

use std::net::IpAddr;

use crate::control::proto::Event;
use crate::link4::Event as Link4Event;
use crate::substrate::{Event as SubstrateEvent, NeighborState};
use crate::wire::Mac;

use super::answer::Replies;
use super::plant::Plant;

/// What happened on a link, of either family.
#[derive(Clone, Copy, Debug)]
enum Happened {
    Up(Mac),
    Moved(Mac),
    Down,
    /// The own address is in use.
    Ready,
    /// Somebody else had the own address, and keeps it.
    Duplicate(Mac),
    /// Somebody else claims the own address.
    Conflict(Mac),
}

impl Plant {
    pub(super) fn collect_links(&mut self, replies: &mut Replies) {
        while let Some(output) = self.substrate.poll_frame() {
            replies.frames.push((output.port, output.bytes));
        }
        while let Some(event) = self.substrate.poll_event() {
            self.tell(of_ipv6(event), replies);
        }
        // The relay's are taken out meanwhile: telling reads the rest.
        let Some(mut relay) = self.relay.take() else {
            return;
        };
        if let Some(link4) = &mut relay.link4 {
            while let Some(output) = link4.poll_frame() {
                replies.frames.push((output.port, output.bytes));
            }
            while let Some(event) = link4.poll_event() {
                self.tell(of_ipv4(event), replies);
            }
        }
        while let Some(output) = relay.link6.poll_frame() {
            replies.frames.push((output.port, output.bytes));
        }
        while let Some(event) = relay.link6.poll_event() {
            self.tell(of_ipv6(event), replies);
        }
        self.relay = Some(relay);
    }

    fn tell(&self, (port, address, what): (u16, IpAddr, Happened), replies: &mut Replies) {
        let record = self.topology().port(port);
        let port = record.map_or_else(|| "?".to_owned(), |port| port.name.clone());
        log(&port, address, what);
        let (state, mac) = match what {
            Happened::Up(mac) | Happened::Moved(mac) => (NeighborState::Reachable, Some(mac)),
            Happened::Down => (NeighborState::Failed, None),
            Happened::Ready => return,
            Happened::Duplicate(mac) | Happened::Conflict(mac) => {
                let limit = match what {
                    Happened::Duplicate(_) => "address_duplicate",
                    _ => "address_conflict",
                };
                replies.events.push(Event::Limit {
                    limit: limit.to_owned(),
                    detail: format!("{address} on {port} is also used by {mac}"),
                });
                return;
            }
        };
        replies.events.push(Event::Neighbor {
            port,
            address,
            state: super::reports::neighbor_state(state),
            mac,
        });
    }
}

fn of_ipv4(event: Link4Event) -> (u16, IpAddr, Happened) {
    let (port, address, what) = match event {
        Link4Event::NeighborUp { port, address, mac } => (port, address, Happened::Up(mac)),
        Link4Event::NeighborMoved { port, address, mac } => (port, address, Happened::Moved(mac)),
        Link4Event::NeighborDown { port, address } => (port, address, Happened::Down),
        Link4Event::AddressConflict { port, address, mac } => {
            (port, address, Happened::Conflict(mac))
        }
    };
    (port, std::net::Ipv4Addr::from(address).into(), what)
}

fn of_ipv6(event: SubstrateEvent) -> (u16, IpAddr, Happened) {
    let (port, address, what) = match event {
        SubstrateEvent::NeighborUp { port, address, mac } => (port, address, Happened::Up(mac)),
        SubstrateEvent::NeighborMoved { port, address, mac } => {
            (port, address, Happened::Moved(mac))
        }
        SubstrateEvent::NeighborDown { port, address } => (port, address, Happened::Down),
        SubstrateEvent::AddressReady { port, address } => (port, address, Happened::Ready),
        SubstrateEvent::AddressDuplicate { port, address, mac } => {
            (port, address, Happened::Duplicate(mac))
        }
        SubstrateEvent::AddressConflict { port, address, mac } => {
            (port, address, Happened::Conflict(mac))
        }
    };
    (port, address.into(), what)
}

fn log(port: &str, address: IpAddr, what: Happened) {
    match what {
        Happened::Ready => log::info!("{port}: address {address} is in use"),
        Happened::Duplicate(mac) => {
            log::error!("{port}: address {address} is not used: {mac} has it");
        }
        Happened::Conflict(mac) => log::warn!("{port}: {mac} claims our address {address}"),
        Happened::Up(mac) => log::info!("{port}: next hop {address} is at {mac}"),
        Happened::Moved(mac) => log::info!("{port}: next hop {address} is now at {mac}"),
        Happened::Down => log::warn!("{port}: next hop {address} does not answer"),
    }
}
