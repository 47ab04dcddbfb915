//! The engine as a whole, on frames and simulated time.

use std::net::Ipv6Addr;

use super::build::{Link, To};
use super::wire::{Flags, Message, parse, solicited_node};
use super::*;
use crate::model::{Neighbor as Static, NextHop, Route};

mod duties;
mod failover;
mod relay;
mod simulation;

const R_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);
const ROUTER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);
const OTHER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x66]);
const ROUTER: Link = Link {
    mac: ROUTER_MAC,
    vlan: None,
};
/// The link-local address made from R_MAC.
const R_LINK_LOCAL: &str = "fe80::ff:fe00:a";

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn uplink(port: u16, mac: Mac, address: &str) -> Uplink {
    Uplink {
        port,
        name: format!("up{port}"),
        mac,
        vlan: None,
        addresses: vec![address.parse().unwrap()],
        mtu: 1500,
        nd_proxy: false,
    }
}

fn route(prefix: &str, hops: &[(u16, &str)]) -> Route {
    let hop = |(port, address): &(u16, &str)| NextHop {
        address: ip(address),
        port: format!("up{port}"),
    };
    Route {
        prefix: prefix.parse().unwrap(),
        via: hops.iter().map(hop).collect(),
    }
}

fn s_locator() -> Locator {
    "2001:db8:0:b:200::/72".parse().unwrap()
}

/// Host R, one uplink 2001:db8:ffff::a/64, S behind the router ::1.
fn config_of_r() -> SubstrateConfig {
    SubstrateConfig {
        routes: vec![route("2001:db8::/32", &[(0, "2001:db8:ffff::1")])],
        seed: 1,
        ..SubstrateConfig::new(
            "2001:db8:0:a:100::/72".parse().ok(),
            Layout::P72,
            vec![uplink(0, R_MAC, "2001:db8:ffff::a/64")],
        )
    }
}

fn without_dad(mut config: SubstrateConfig) -> SubstrateConfig {
    config.timers.dad = 0;
    config
}

/// R with its link up and duplicate detection left out, at time 0.
fn r_up() -> Substrate {
    let mut r = Substrate::new(without_dad(config_of_r())).unwrap();
    r.link(0, true, Time::ZERO);
    sent(&mut r);
    while r.poll_event().is_some() {}
    r
}

fn sent(substrate: &mut Substrate) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| substrate.poll_frame())
        .map(|output| output.bytes)
        .collect()
}

fn told(substrate: &mut Substrate) -> Vec<Event> {
    std::iter::from_fn(|| substrate.poll_event()).collect()
}

/// Lets the engine do all that comes due until `until`.
fn run(substrate: &mut Substrate, until: u64) {
    while let Some(due) = substrate.next_timeout().filter(|due| due.0 <= until) {
        substrate.poll(due);
    }
}

fn from_router(source: &str, destination: &str) -> To {
    To {
        mac: R_MAC,
        source: ip(source),
        destination: ip(destination),
    }
}

/// A solicitation of the router for an address of R, at its group.
fn asks(source: &str, target: &str) -> Vec<u8> {
    let to = To::group(ip(source), solicited_node(ip(target)));
    build::solicitation(ROUTER, to, ip(target), [9; 6])
}

fn advertises(mac: Mac, target: &str, flags: Flags) -> Vec<u8> {
    let to = match flags.solicited {
        true => from_router(target, "2001:db8:ffff::a"),
        false => To::group(ip(target), build::ALL_NODES),
    };
    build::advertisement(Link { mac, vlan: None }, to, ip(target), flags)
}

const SOLICITED: Flags = Flags {
    router: true,
    solicited: true,
    overriding: true,
};
const UNSOLICITED: Flags = Flags {
    router: true,
    solicited: false,
    overriding: true,
};

/// The solicitations among frames: (source, target, to a group).
fn solicitations(frames: &[Vec<u8>]) -> Vec<(Ipv6Addr, Ipv6Addr, bool)> {
    let read = |frame: &Vec<u8>| match parse(frame) {
        Ok((envelope, Message::Solicitation { target, .. })) => {
            Some((envelope.source, target, envelope.to.is_group()))
        }
        _ => None,
    };
    frames.iter().filter_map(read).collect()
}

/// The advertisements among frames: (destination, target, flags).
fn advertisements(frames: &[Vec<u8>]) -> Vec<(Ipv6Addr, Ipv6Addr, Flags)> {
    let read = |frame: &Vec<u8>| match parse(frame) {
        Ok((envelope, Message::Advertisement { target, flags, .. })) => {
            Some((envelope.destination, target, flags))
        }
        _ => None,
    };
    frames.iter().filter_map(read).collect()
}

/// Checksum of a message that was put together by hand; untagged.
fn echo_request(source: &str, destination: &str, body: &[u8]) -> Vec<u8> {
    let reply = build::echo_reply(ROUTER, from_router(source, destination), body);
    let mut request = reply;
    // 129 became 128: the sum is less by 0x0100, its complement greater.
    request[54] = 128;
    let old = u16::from_be_bytes([request[56], request[57]]);
    let new = crate::wire::checksum::adjust(old, crate::wire::checksum::delta(0x8100, 0x8000));
    request[56..58].copy_from_slice(&new.to_be_bytes());
    request
}
