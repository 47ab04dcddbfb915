//! Stage *classify*: for the relay itself, or to be translated. Everything that
//! is addressed to the relay's hardware and not to its own address is passing
//! through, whatever its destination.

use crate::packet::Meta;
use crate::wire::ethernet;
use crate::wire::{Vaddr, ipv6};

use super::super::Punt;
use super::super::classify::tag;
use super::super::parse::{FromSubstrate, SubstrateNet};
use super::super::topology::{PortRecord, RelayRecord};
use super::parse::{From4, Net4};
use super::{Drop, Exit};

/// An IPv4 packet that passes through, by the place of its header. The header
/// itself is read again where it is needed: it is at hand, and to carry it from
/// stage to stage takes longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing4 {
    pub l3: u16,
}

/// An IPv6 packet that passes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passing6 {
    pub l3: u16,
}

type Place<'a> = (Option<&'a RelayRecord>, Option<&'a PortRecord>, &'a Meta);

#[inline(always)]
pub(super) fn from_ipv4((relay, port, meta): Place<'_>, it: From4) -> Result<Passing4, Exit> {
    let (relay, port) = relay.zip(port).ok_or(Drop::NotForUs)?;
    on_link(port, &it.link, meta)?;
    let Net4::Ipv4(ip) = it.net else {
        return Err(Exit::Punt(Punt::Relay));
    };
    let header = ip.header();
    if it.link.destination != port.mac {
        return Err(not_ours(&it.link, header.dst.is_multicast()).into());
    }
    if header.dst == relay.own4 {
        return Err(Exit::Punt(Punt::Relay));
    }
    if is_broadcast(relay, header.dst) {
        return Err(Drop::Broadcast.into());
    }
    Ok(Passing4 {
        l3: it.link.len as u16,
    })
}

/// A broadcast of the relay's own link that came in a unicast frame.
#[inline(always)]
fn is_broadcast(relay: &RelayRecord, dst: Vaddr) -> bool {
    dst == relay.broadcast4
}

#[inline(always)]
pub(super) fn from_ipv6(
    (relay, port, meta): Place<'_>,
    it: FromSubstrate,
) -> Result<Passing6, Exit> {
    let (_, port) = relay.zip(port).ok_or(Drop::NotForUs)?;
    on_link(port, &it.link, meta)?;
    let SubstrateNet::Ipv6(ip) = it.net else {
        return Err(Drop::EthertypeOther.into());
    };
    if it.link.destination != port.mac || port.own.contains(&ip.dst) {
        return Err(to_the_relay(port, &it.link, &ip));
    }
    Ok(Passing6 {
        l3: it.link.len as u16,
    })
}

#[inline(always)]
fn on_link(port: &PortRecord, link: &ethernet::Header, meta: &Meta) -> Result<(), Exit> {
    if tag(link, meta) != Some(port.vlan.unwrap_or(0)) {
        return Err(Drop::WrongVlan.into());
    }
    Ok(())
}

/// A frame that is not for translation: for the relay, or for others.
#[cold]
fn to_the_relay(port: &PortRecord, link: &ethernet::Header, ip: &ipv6::Words) -> Exit {
    let ours = link.destination == port.mac || link.destination.is_group();
    if ours && (port.own.contains(&ip.dst) || port.groups.contains(&ip.dst)) {
        return Exit::Punt(Punt::Relay);
    }
    not_ours(link, ip.dst[0] == 0xff).into()
}

#[cold]
fn not_ours(link: &ethernet::Header, group: bool) -> Drop {
    match link.destination.is_group() {
        true if group => Drop::Multicast,
        true => Drop::Broadcast,
        false => Drop::WrongMac,
    }
}
