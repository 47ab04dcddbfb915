//! The engine as a whole, on frames and simulated time.

use super::*;
use crate::model::IcmpRate;
use crate::wire::{arp, checksum, ipv4};

mod duties;
mod hops;
mod reload;
mod simulation;
mod stack;

const OWN_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);
const ROUTER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
const OTHER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x66]);
/// 192.0.2.10, .1 and .7
const OWN: Vaddr = Vaddr(0xc000_020a);
const ROUTER: Vaddr = Vaddr(0xc000_0201);
const OTHER: Vaddr = Vaddr(0xc000_0207);
const NOBODY: Vaddr = Vaddr(0);

/// The relay's port: 192.0.2.10/24, everything by the router .1.
fn config() -> Link4Config {
    Link4Config {
        hops: vec![Hop {
            address: ROUTER,
            mac: None,
        }],
        seed: 1,
        ..Link4Config::new(3, OWN_MAC, "192.0.2.10/24".parse().unwrap(), 1500)
    }
}

/// With its link up since time 0 and its first frames and events taken.
fn up(config: Link4Config) -> Link4 {
    let mut link = Link4::new(config).unwrap();
    link.link(true, Time::ZERO);
    sent(&mut link);
    told(&mut link);
    link
}

/// As `up`, and the router answered.
fn resolved() -> Link4 {
    let mut link = up(config());
    link.input(&answers(ROUTER_MAC, ROUTER), Time(1)).unwrap();
    told(&mut link);
    link
}

fn sent(link: &mut Link4) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| link.poll_frame())
        .map(|output| output.bytes)
        .collect()
}

fn told(link: &mut Link4) -> Vec<Event> {
    std::iter::from_fn(|| link.poll_event()).collect()
}

/// Lets the engine do all that comes due until `until`.
fn run(link: &mut Link4, until: u64) {
    while let Some(due) = link.next_timeout().filter(|due| due.0 <= until) {
        link.poll(due);
    }
}

/// An untagged frame.
fn frame(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = [to.0, from.0].concat();
    out.extend(ethertype.to_be_bytes());
    out.extend(payload);
    out
}

fn arp_frame(to: Mac, message: arp::Message) -> Vec<u8> {
    frame(to, message.sender_mac, 0x0806, &message.bytes())
}

/// Asks everybody for `target`; an announcement if that is `sender`, a probe
/// if `sender` is nobody.
fn asks(mac: Mac, sender: Vaddr, target: Vaddr) -> Vec<u8> {
    let message = arp::Message {
        is_request: true,
        sender_mac: mac,
        sender,
        target_mac: Mac::ZERO,
        target,
    };
    arp_frame(Mac::BROADCAST, message)
}

/// Replies to the own address.
fn answers(mac: Mac, sender: Vaddr) -> Vec<u8> {
    let message = arp::Message {
        is_request: false,
        sender_mac: mac,
        sender,
        target_mac: OWN_MAC,
        target: OWN,
    };
    arp_frame(OWN_MAC, message)
}

/// The requests among frames: (hardware destination, sender, target).
fn requests(frames: &[Vec<u8>]) -> Vec<(Mac, Vaddr, Vaddr)> {
    let read = |frame: &Vec<u8>| match wire::parse(frame) {
        Ok((envelope, wire::Message::Arp(message))) if message.is_request => {
            Some((envelope.to, message.sender, message.target))
        }
        _ => None,
    };
    frames.iter().filter_map(read).collect()
}

/// A packet from `src` to the own address, header checksum right.
fn packet(src: Vaddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        tos: 0,
        total_len: (20 + payload.len()) as u16,
        id: 7,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: 9,
        protocol,
        src,
        dst: OWN,
        header_len: 20,
    };
    let mut packet = header.bytes().to_vec();
    packet.extend(payload);
    packet
}

/// From the router's hardware address to ours.
fn ip_frame(packet: &[u8]) -> Vec<u8> {
    frame(OWN_MAC, ROUTER_MAC, 0x0800, packet)
}

/// An ICMP message with its checksum made right.
fn icmp(kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest);
    let sum = checksum::checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An echo request to the own address; `body` begins with identifier and
/// sequence number.
fn ping(src: Vaddr, body: &[u8]) -> Vec<u8> {
    ip_frame(&packet(src, 1, &icmp(8, 0, body)))
}
