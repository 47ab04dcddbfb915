//! IGMP of nodes, and what comes of it.

use crate::control::proto::{Event, GroupMember, GroupReport, GroupSources};
use crate::control::store::Store;
use crate::datapath::topology::NodeRecord;
use crate::mapping::NodeIndex;
use crate::node::igmp::{Change, Filter, IgmpIgnored, ToNode};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Vaddr, Vni, igmp, ipv4};

use super::Replies;
use crate::appliance::plant::Plant;
use crate::appliance::reports::{Counters, insert};

impl Plant {
    /// What a node says of groups.
    pub(super) fn hear_igmp(&mut self, node: NodeIndex, frame: &[u8]) {
        let link = ethernet::Header::parse(frame);
        let packet = link.and_then(|link| frame.get(link.len..)).unwrap_or(&[]);
        let now = self.now();
        let topology = self.publisher.current();
        let owns = |address| {
            topology
                .node(node)
                .is_some_and(|record| record.owns(address))
        };
        self.multicast.engine.input(node, packet, owns, now);
    }

    /// Queries that are due, and news of what has been joined and left.
    pub fn poll_groups(&mut self, store: &Store, replies: &mut Replies) {
        let now = self.now();
        for packet in self.multicast.engine.poll(now) {
            if let Some(record) = self.topology().node(packet.node) {
                replies.frames.push((record.port, framed(record, &packet)));
            }
        }
        for change in self.multicast.engine.take_changes() {
            replies.events.extend(self.group_event(store, change));
        }
        if self.multicast.refresh(now) {
            self.mark_dirty();
        }
    }

    fn group_event(&self, store: &Store, change: Change) -> Option<Event> {
        Some(Event::Group {
            vnet: store.vnet_of(change.vni)?.name.clone(),
            group: change.group,
            joined: change.joined,
            members: self.multicast.engine.members(change.vni, change.group) as u32,
        })
    }

    pub(in crate::appliance) fn group_counters(&self, out: &mut Counters) {
        let counts = &self.multicast.engine.counts;
        for (name, help, total) in [
            ("igmp_reports", "IGMP reports of nodes.", counts.reports),
            ("igmp_leaves", "IGMP leaves of nodes.", counts.leaves),
            (
                "igmp_queries",
                "IGMP queries sent to nodes.",
                counts.queries,
            ),
        ] {
            insert(out, name, help, total);
        }
        for (why, total) in IgmpIgnored::ALL.iter().zip(counts.ignored) {
            insert(out, why.name(), why.help(), total);
        }
    }

    /// What has been joined here, and where else there are members.
    pub(in crate::appliance) fn group_reports(&self, store: &Store) -> Vec<GroupReport> {
        let now = self.now();
        let topology = self.topology();
        let fans = &topology.fans;
        let mut reports: Vec<GroupReport> = fans
            .groups
            .iter()
            .filter_map(|(key, members)| {
                let vni = Vni(key.vni());
                let group = Vaddr(key.vaddr());
                let hosts = members.hosts.iter();
                let member = |node: NodeIndex| {
                    let membership = self.multicast.engine.membership(node, group)?;
                    let (mode, sources) = match membership.filter() {
                        Filter::Any => (GroupSources::Any, Vec::new()),
                        Filter::Only(sources) => (GroupSources::Only, sources),
                        Filter::Except(sources) => (GroupSources::Except, sources),
                    };
                    Some(GroupMember {
                        node: topology.node(node)?.name.clone(),
                        version: membership.version(now),
                        sources: mode,
                        addresses: sources,
                        expires: (membership.until().since(now) / 1000) as u32,
                    })
                };
                Some(GroupReport {
                    vnet: store.vnet_of(vni)?.name.clone(),
                    group,
                    members: members
                        .nodes
                        .iter()
                        .filter_map(|it| member(it.node))
                        .collect(),
                    hosts: hosts
                        .filter_map(|host| store.host(host.get()))
                        .map(|host| host.name.clone())
                        .collect(),
                })
            })
            .collect();
        reports.sort_by(|a, b| (&a.vnet, a.group).cmp(&(&b.vnet, b.group)));
        reports
    }
}

/// As from the router that the node sees, which need not have an address.
fn framed(record: &NodeRecord, packet: &ToNode) -> Vec<u8> {
    let source = ipv4::Header::parse_unchecked(&packet.packet);
    let source = source.map_or(Vaddr(0), |header| header.src);
    let link = ethernet::Header {
        destination: igmp::mac_of(packet.group),
        source: virtual_mac::of(Kind::Router, record.vni, source),
        vlan: (record.vlan != 0).then_some(record.vlan),
        ethertype: ethertype::IPV4,
        len: 0,
    };
    let mut frame = vec![0; ethernet::HEADER_LEN + ethernet::TAG_LEN];
    let len = link.emit(&mut frame);
    frame.truncate(len);
    frame.extend_from_slice(&packet.packet);
    frame
}
