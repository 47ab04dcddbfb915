//! How workers reach the groups of the substrate.

use std::net::Ipv6Addr;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::datapath::fan::Native;
use crate::datapath::topology::{Hop, HostRecord, NO_HOP, PATHS};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Mac, Saddr, Vaddr, checksum, native};

use super::hosts::HopTable;
use super::{Live, Site};

/// Somebody in each of both sorts of groups.
const NEAR: Vaddr = Vaddr::BROADCAST;
const FAR: Vaddr = Vaddr(0xefff_ffff);
/// Stands for the MAC of a group, which follows from its address.
const ANY: Mac = Mac([0x33, 0x33, 0, 0, 0, 0]);

pub(super) fn record(
    site: &Site,
    live: &Live<'_>,
    heard: Arc<HashSet<Saddr>>,
    hops: &mut HopTable,
) -> Native {
    let port = live.substrate.groups_by();
    let uplink = port.and_then(|port| Some((port, site.ports.get(usize::from(port))?)));
    let path = uplink.map_or(NO_HOP, |(port, uplink)| {
        let link = ethernet::Header {
            destination: ANY,
            source: uplink.mac,
            vlan: uplink.config.vlan,
            ethertype: ethertype::IPV6,
            len: 0,
        };
        hops.hops.push(Hop::new(port, Ipv6Addr::UNSPECIFIED, &link));
        (hops.hops.len() - 1) as u16
    });
    let mtu = uplink.map_or(site.mtu, |(_, uplink)| uplink.config.mtu.min(site.mtu));
    let all = |some: Vaddr| {
        let locator = native::prefix(site.layout, some);
        HostRecord {
            name: String::new(),
            locator,
            checksum_part: checksum::fold(checksum::sum(&locator.bits().to_be_bytes())),
            mtu,
            paths: [path; PATHS],
        }
    };
    Native {
        port,
        near: all(NEAR),
        far: all(FAR),
        heard,
    }
}
