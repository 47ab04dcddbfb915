//! What workers leave to the control thread, and to whom it goes: one file for
//! each kind of it.

pub(in crate::appliance) mod addresses;
mod arp;
mod dhcp;
mod gone;
mod groups;
mod icmp;
mod misses;
mod router;
pub(in crate::appliance) mod snmp;
mod substrate;

use crate::control::proto::{Event, Sighting};
use crate::control::store::Store;
use crate::datapath::wiring::{Notice, Punted};
use crate::datapath::{Drop, Punt};
use crate::node::arp::ArpIgnored;
use crate::node::router::RouterIgnored;
use crate::packet::Packet;

use super::plant::Plant;

pub use dhcp::Dhcps;

/// Frames that control answers are copied out of their packets: it has time.
/// Pings of routers may be as long as a link takes.
const MOST: usize = 9728;

/// What the slow path counts.
#[derive(Debug)]
pub struct SlowCounters {
    pub arp_answered: u64,
    pub arp_ignored: [u64; ArpIgnored::ALL.len()],
    pub arp_asked: u64,
    pub rarp_seen: u64,
    pub gone_told: u64,
    pub router_answered: u64,
    pub router_ignored: [u64; RouterIgnored::COUNT],
    pub icmp_sent: u64,
    pub substrate_errors: u64,
    pub substrate_errors_ignored: u64,
    pub misses: u64,
    pub unsent: u64,
}

impl Default for SlowCounters {
    fn default() -> Self {
        SlowCounters {
            arp_answered: 0,
            arp_ignored: [0; ArpIgnored::ALL.len()],
            arp_asked: 0,
            rarp_seen: 0,
            gone_told: 0,
            router_answered: 0,
            router_ignored: [0; RouterIgnored::COUNT],
            icmp_sent: 0,
            substrate_errors: 0,
            substrate_errors_ignored: 0,
            misses: 0,
            unsent: 0,
        }
    }
}

/// Frames to send and events to tell, out of one slice of work.
#[derive(Debug, Default)]
pub struct Replies {
    pub frames: Vec<(u16, Vec<u8>)>,
    pub events: Vec<Event>,
}

impl Plant {
    /// A packet of the protocol ring.
    pub fn answer<P: Packet>(&mut self, punted: &Punted<P>, store: &Store, replies: &mut Replies) {
        let mut bytes = [0; MOST];
        let len = punted.packet.copy_out(0, &mut bytes);
        let frame = &bytes[..len];
        match punted.what {
            Punt::Arp { node } => self.answer_arp(node, punted.port, frame, store, replies),
            Punt::Dhcp { node } => self.answer_dhcp(node, punted.port, frame, store, replies),
            Punt::Rarp { node } => self.note_arrival(node, frame, store, replies),
            Punt::Substrate => {
                let now = self.now();
                // What has no effect is counted by the engine, by reason.
                let _ = self.substrate.input(punted.port, frame, now);
            }
            Punt::SubstrateError => self.translate_error(frame, store, replies),
            Punt::DhcpBetween => self.hear_dhcp_between(frame, store, replies),
            Punt::Gone => self.answer_gone(frame, store, replies),
            Punt::Relay => self.answer_for_relay(punted.port, frame),
            Punt::Router { node } => self.answer_for_router(node, frame, store, replies),
            Punt::Igmp { node } => self.hear_igmp(node, frame),
        }
    }

    /// A notice of the notice ring.
    pub fn notice<P: Packet>(&mut self, notice: Notice<P>, store: &Store, replies: &mut Replies) {
        match notice {
            Notice::Miss {
                why: Drop::NodeMacUnknown,
                node: Some(node),
                ..
            } => {
                self.ask_for_mac(node, replies);
            }
            Notice::Miss { key, node, .. } => self.tell_miss(key, node, store, replies),
            Notice::NodeSeen { node, mac } => {
                self.node_seen(node, mac, Sighting::Frame, store, replies);
            }
            Notice::AddressSeen { node, address, mac } => {
                self.packet_from(node, (address, mac), store, replies);
            }
            Notice::AddressUsed { node, address } => self.address_used(node, address),
            Notice::RelayRefused {
                why,
                reply,
                port,
                packet,
            } => {
                let mut bytes = [0; MOST];
                let len = packet.copy_out(0, &mut bytes);
                self.tell_sender((why, reply, port), &bytes[..len], replies);
            }
            Notice::Refused {
                why,
                node,
                mtu,
                packet,
            } => {
                let mut bytes = [0; MOST];
                let len = packet.copy_out(0, &mut bytes);
                self.tell_refused((why, mtu), node, &bytes[..len], replies);
            }
        }
    }
}
