//! DHCP of vnets whose server is one of their nodes.
//!
//! A client's host passes its messages on to the server's host and to no other,
//! and that one delivers them to the server's node. An answer goes to who asked:
//! hosts remember for a minute from whom a question came. On the client's host
//! the answer says which address the node has from now on, and for how long.

use crate::control::store::Store;
use crate::datapath::topology::NodeRecord;
use crate::mapping::{HostIndex, Key, NodeIndex, Target};
use crate::model::{Binding, Dhcp, Vnet};
use crate::node::dhcp::{Asker, Change, Client, DhcpIgnored, Lease, Passing, end_of};
use crate::siit::{self, Arrived, Inbound, Outbound};
use crate::wire::address::Prefix4;
use crate::wire::dhcp::Kind as Message;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, Vni, ethernet, ipv4, ipv6};

use super::lease_event;
use crate::appliance::answer::Replies;
use crate::appliance::answer::router::framed;
use crate::appliance::compile::subnet_of;
use crate::appliance::plant::Plant;
use crate::control::proto::Sighting;

const NOBODY: Vaddr = Vaddr(0);

/// A vnet and the node that serves it.
#[derive(Clone, Copy)]
struct Served<'s> {
    vnet: &'s Vnet,
    vni: Vni,
    server: Vaddr,
}

impl Served<'_> {
    fn of(store: &Store, vni: Vni) -> Option<Served<'_>> {
        let vnet = store.vnet_of(vni).filter(|vnet| vnet.dhcp == Dhcp::Node)?;
        Some(Served {
            vnet,
            vni,
            server: vnet.dhcp_server?,
        })
    }
}

/// Where an address of a vnet is.
enum Place {
    Here(NodeIndex),
    There(HostIndex),
}

impl Plant {
    /// A message of a node, if its vnet's server is a node; `None` if it is not.
    pub(super) fn pass_on(
        &mut self,
        node: NodeIndex,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) -> Option<Result<(), DhcpIgnored>> {
        let record = self.topology().node(node)?.clone();
        let served = Served::of(store, record.vni)?;
        let link = ethernet::Header::parse(frame)?;
        let packet = frame.get(link.len..).unwrap_or(&[]);
        let from_server = record.serves_dhcp
            && ipv4::Header::parse(packet).is_ok_and(|ip| ip.src == served.server);
        Some(match from_server {
            true => self.pass_answer(served, packet, false, store, replies),
            false => self.pass_question(served, (node, &record), frame, store, replies),
        })
    }

    /// A packet of another host.
    pub(in crate::appliance::answer) fn hear_dhcp_between(
        &mut self,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        if let Err(why) = self.between_hosts(frame, store, replies) {
            self.dhcp.ignore(why);
        }
    }

    fn between_hosts(
        &mut self,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) -> Result<(), DhcpIgnored> {
        let bad = DhcpIgnored::BadPacket;
        let link = ethernet::Header::parse(frame).ok_or(bad)?;
        let mut bytes = frame.get(link.len..).unwrap_or(&[]).to_vec();
        let arrived = Arrived::parse(&bytes, bytes.len()).map_err(|_| bad)?;
        let (src, dst) = (arrived.words.src, arrived.words.dst);
        let translation = Inbound {
            checksum_delta: siit::address_delta_of(&src, &dst),
            id: 0,
        };
        let restored = siit::inbound(&mut bytes, &arrived, &translation).map_err(|_| bad)?;
        let packet = bytes.get(restored.offset..).unwrap_or(&[]);
        let layout = self.site.layout;
        let vni = Vni(layout.vni(&dst));
        let served = Served::of(store, vni).ok_or(DhcpIgnored::NotServed)?;
        if arrived.src() != NOBODY {
            return self.pass_answer(served, packet, true, store, replies);
        }
        let passing = Passing::of_host(packet)?;
        let Some(Place::Here(server)) = self.place_of(vni, served.server) else {
            return Err(DhcpIgnored::NoServer);
        };
        let asker = Asker::Host(layout.locator(&src));
        self.remember(vni, &passing, asker);
        self.ask_server(server, &passing, replies);
        Ok(())
    }

    fn pass_question(
        &mut self,
        served: Served<'_>,
        (node, record): (NodeIndex, &NodeRecord),
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) -> Result<(), DhcpIgnored> {
        // Nobody gets an address of a subnet that it is not in.
        if !record.segment.prefix.contains(served.server) {
            return Err(DhcpIgnored::NotServed);
        }
        let binding = store.binding(&record.name);
        let client = Client {
            mac: binding.and_then(|binding| binding.mac),
            vlan: (record.vlan != 0).then_some(record.vlan),
        };
        let passing = Passing::of_client(frame, &client, served.server)?;
        self.dhcp.count(passing.kind);
        let place = self.place_of(served.vni, served.server);
        let Some(place) = place else {
            let key = Key::new(served.vni.0, served.server.0);
            self.tell_unknown(key, node, store, replies);
            return Err(DhcpIgnored::NoServer);
        };
        self.remember(served.vni, &passing, Asker::Node(record.name.clone()));
        let gone = match passing.kind {
            Message::Release => Some(Change::Released),
            Message::Decline => Some(Change::Declined),
            _ => None,
        };
        if let Some(change) = gone {
            self.lose(&record.name, change, replies);
        }
        match place {
            Place::Here(server) => {
                self.ask_server(server, &passing, replies);
                Ok(())
            }
            Place::There(host) => self.between(host, served, &passing.to_server(), replies),
        }
    }

    fn pass_answer(
        &mut self,
        served: Served<'_>,
        packet: &[u8],
        from_host: bool,
        store: &Store,
        replies: &mut Replies,
    ) -> Result<(), DhcpIgnored> {
        let passing = Passing::of_server(packet, served.server)?;
        let now = self.now();
        let asker = self.dhcp.askers.find(served.vni, &passing.fixed, now);
        let asker = asker.cloned().or_else(|| self.owner(served, &passing));
        match asker.ok_or(DhcpIgnored::NoClient)? {
            Asker::Node(name) => self.deliver(served, &name, &passing, store, replies),
            Asker::Host(_) if from_host => Err(DhcpIgnored::NoClient),
            Asker::Host(locator) => {
                let host = self.topology().host_by_locator.get(&locator).copied();
                let host = host.ok_or(DhcpIgnored::NoClient)?;
                self.between(host, served, &passing.to_host(served.server), replies)
            }
        }
    }

    /// Who has the address that an answer renews: then the server was asked by
    /// itself, as any node is, and no host saw the question.
    fn owner(&self, served: Served<'_>, passing: &Passing) -> Option<Asker> {
        match self.place_of(served.vni, passing.fixed.ciaddr)? {
            Place::Here(node) => {
                let name = self.topology().node(node)?.name.clone();
                let its = self.dhcp.leases.iter().find(|(node, _)| *node == name);
                let its = its.is_some_and(|(_, lease)| lease.mac == passing.fixed.chaddr);
                its.then_some(Asker::Node(name))
            }
            Place::There(host) => {
                let host = self.topology().host(host)?;
                Some(Asker::Host(host.locator.bits()))
            }
        }
    }

    /// Where the table says that one address is.
    fn place_of(&self, vni: Vni, address: Vaddr) -> Option<Place> {
        let key = Key::new(vni.0, address.0);
        let found = self.reader.resolve(&self.participant, key)?;
        match found.target {
            _ if found.is_expired(self.seconds()) => None,
            Target::Local(node) => Some(Place::Here(node)),
            Target::Remote(host) => Some(Place::There(host)),
            _ => None,
        }
    }

    fn remember(&mut self, vni: Vni, passing: &Passing, asker: Asker) {
        let now = self.now();
        self.dhcp.askers.note(vni, &passing.fixed, asker, now);
    }

    fn ask_server(&self, server: NodeIndex, passing: &Passing, replies: &mut Replies) {
        if let Some(record) = self.topology().node(server) {
            let nobody = virtual_mac::of(Kind::Node, record.vni, NOBODY);
            let link = [Mac::BROADCAST, nobody];
            let frame = framed(link, record.vlan, &passing.to_server());
            replies.frames.push((record.port, frame));
        }
    }

    fn deliver(
        &mut self,
        served: Served<'_>,
        name: &str,
        passing: &Passing,
        store: &Store,
        replies: &mut Replies,
    ) -> Result<(), DhcpIgnored> {
        let binding = store.binding(name).ok_or(DhcpIgnored::NoClient)?;
        let node = self.numbers.get(name).ok_or(DhcpIgnored::NoClient)?;
        let record = self.topology().node(node).ok_or(DhcpIgnored::NoClient)?;
        if record.vni != served.vni {
            return Err(DhcpIgnored::NoClient);
        }
        let from = self.given().neighbor(record, served.server);
        let (to, packet) = passing.to_client(served.server);
        let frame = framed([to, from], record.vlan, &packet);
        let port = record.port;
        match (passing.kind, passing.lease) {
            (Message::Ack, Some(seconds)) => {
                self.believe(served, (node, binding), (passing, seconds), store, replies)?;
            }
            (Message::Nak, _) => self.lose(name, Change::Refused, replies),
            _ => {}
        }
        self.dhcp.count(passing.kind);
        replies.frames.push((port, frame));
        Ok(())
    }

    /// A node has what the server gives it, if it can.
    fn believe(
        &mut self,
        served: Served<'_>,
        (node, binding): (NodeIndex, &Binding),
        (passing, seconds): (&Passing, u32),
        store: &Store,
        replies: &mut Replies,
    ) -> Result<(), DhcpIgnored> {
        let fixed = &passing.fixed;
        let address = fixed.yiaddr;
        let now = self.now();
        let record = self.topology().node(node).ok_or(DhcpIgnored::NoClient)?;
        match binding.address {
            Some(own) if own != address => return Err(DhcpIgnored::OtherAddress),
            None if !record.segment.prefix.contains(address)
                || !may_be_given(binding, served.vnet, address, store) =>
            {
                return Err(DhcpIgnored::HeldAddress);
            }
            _ => {}
        }
        // The server knows best: who had it before has it no more.
        let before = self.dhcp.leases.iter().find(|(other, lease)| {
            *other != binding.name && lease.vnet == binding.vnet && lease.address == address
        });
        if let Some(before) = before.map(|(other, _)| other.to_owned()) {
            self.lose(&before, Change::Expired, replies);
        }
        let lease = Lease {
            vnet: binding.vnet.clone(),
            address,
            mac: fixed.chaddr,
            host_name: passing.host_name.clone(),
            until: end_of(seconds, now),
        };
        let moved = self.dhcp.leases.address(&binding.name) != Some(address);
        self.dhcp.moved |= moved && binding.address.is_none();
        self.dhcp.changes += 1;
        let change = self.dhcp.leases.grant(&binding.name, lease.clone());
        let event = lease_event(change, binding.name.clone(), lease, Some(seconds));
        replies.events.push(event);
        if binding.mac.is_none() {
            self.node_seen(node, fixed.chaddr, Sighting::Frame, store, replies);
        }
        Ok(())
    }

    /// A node has its lease no more.
    fn lose(&mut self, node: &str, change: Change, replies: &mut Replies) {
        if let Some(lease) = self.dhcp.leases.end(node) {
            self.dhcp.moved = true;
            self.dhcp.changes += 1;
            let event = lease_event(change, node.to_owned(), lease, None);
            replies.events.push(event);
        }
    }

    /// A packet to another host, as packets of nodes travel.
    fn between(
        &self,
        host: HostIndex,
        served: Served<'_>,
        packet: &[u8],
        replies: &mut Replies,
    ) -> Result<(), DhcpIgnored> {
        let ip = ipv4::Header::parse(packet).map_err(|_| DhcpIgnored::BadPacket)?;
        let own = self.site.locator.ok_or(DhcpIgnored::NoServer)?;
        let there = self.topology().host(host).ok_or(DhcpIgnored::NoServer)?;
        let layout = self.site.layout;
        let src = layout.compose(&own, served.vni, ip.src);
        let dst = layout.compose(&there.locator, served.vni, ip.dst);
        let translation = Outbound {
            src,
            dst,
            checksum_delta: siit::address_delta_of(&src, &dst),
            mode: served.vnet.mode,
            traffic_class: 0,
            entropy: 0,
        };
        let mut bytes = vec![0; ipv6::HEADER_LEN - ipv4::HEADER_LEN];
        bytes.extend(packet);
        if bytes.len() > usize::from(there.mtu) {
            return Err(DhcpIgnored::TooLarge);
        }
        siit::outbound(&mut bytes, &ip, &translation).map_err(|_| DhcpIgnored::BadPacket)?;
        let frame = self.towards(host, &bytes).ok_or(DhcpIgnored::NoServer)?;
        replies.frames.push(frame);
        Ok(())
    }
}

/// Whether the server may give a node an address, by what is configured.
pub(super) fn may_be_given(binding: &Binding, vnet: &Vnet, address: Vaddr, store: &Store) -> bool {
    let inside = vnet.prefixes.is_empty() || vnet.prefixes.iter().any(|it| it.contains(address));
    let one = address != NOBODY && address != Vaddr::BROADCAST && !address.is_multicast();
    let subnet = subnet_of(store, binding).map(|subnet| subnet.prefix);
    let links = vnet.prefixes.iter().copied().chain(subnet);
    let is_end = |link: Prefix4| {
        let rest = !Prefix4::mask(link.len);
        let within = address.0 & rest;
        link.len <= 30 && link.contains(address) && (within == 0 || within == rest)
    };
    let free = vnet.dhcp_server != Some(address) && !store.is_held(&binding.vnet, address);
    inside && one && free && !links.into_iter().any(is_end)
}

#[cfg(test)]
#[path = "relay/tests.rs"]
mod tests;
