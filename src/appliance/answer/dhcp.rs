//! DHCP of nodes: what their bindings, subnets and vnets say, in the engine's
//! terms, and what became of it for those who look on.
//!
//! A node whose binding has no address is given one of its subnet's pool, and
//! owns it as long as it has a lease of it: then it is in the table, and packets
//! from it are its own. Workers learn of that at the end of the control thread's
//! round, before the answer that grants it leaves.

mod file;
#[cfg(test)]
mod mail;
mod pool;
mod relay;

use crate::control::proto::{self, Counter, Event, LeaseChange, Sighting};
use crate::control::store::Store;
use crate::mapping::NodeIndex;
use crate::model::{Binding, Dhcp, Subnet, Vnet};
use crate::node::dhcp::{
    self, Answer, Askers, Change, Client, DhcpIgnored, Effect, Lease, Leases, Pools, Terms,
};
use crate::time::Time;
use crate::wire::dhcp::Kind as Message;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, ethernet};

use super::Replies;
use crate::appliance::compile::subnet_of;
use crate::appliance::plant::Plant;

/// Of which message a client's, and of which a server's.
const ASKED: [Message; 5] = [
    Message::Discover,
    Message::Request,
    Message::Decline,
    Message::Release,
    Message::Inform,
];
const TOLD: [Message; 3] = [Message::Offer, Message::Ack, Message::Nak];

/// What DHCP remembers. Of nodes whose bindings have addresses it decides
/// nothing.
#[derive(Debug, Default)]
pub struct Dhcps {
    leases: Leases,
    pools: Pools,
    /// Who waits for the answer of a server that is a node.
    askers: Askers,
    /// Leases that ended because something else changed: not told yet.
    lost: Vec<(String, Lease)>,
    /// A node has another address than workers know.
    moved: bool,
    /// Where leases of pools are kept, and how often they have changed.
    file: Option<file::LeaseFile>,
    changes: u64,
    /// By message; what clients sent, and what they got.
    messages: [u64; Message::ALL.len()],
    ignored: [u64; DhcpIgnored::COUNT],
    left_out: u64,
}

impl Dhcps {
    /// What nodes have.
    pub(in crate::appliance) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Whether a node has got another address since this was asked last.
    pub(in crate::appliance) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }

    /// Counters by name, with their help.
    pub(in crate::appliance) fn counters(&self) -> Vec<(String, Counter)> {
        let count = |what: Message| self.messages.get(what as usize - 1).copied().unwrap_or(0);
        let mut out = Vec::new();
        let mut add = |name: String, help: String, total| {
            let counter = Counter {
                help,
                total,
                ..Counter::default()
            };
            out.push((name, counter));
        };
        for what in ASKED {
            let name = what.name();
            let help = format!("DHCP messages of nodes: {name}.");
            add(format!("dhcp_{name}_in"), help, count(what));
        }
        for what in TOLD {
            let name = what.name();
            let help = format!("DHCP messages sent to nodes: {name}.");
            add(format!("dhcp_{name}_out"), help, count(what));
        }
        for (why, total) in DhcpIgnored::ALL.iter().zip(self.ignored) {
            add(why.name().to_owned(), why.help().to_owned(), total);
        }
        let help = "DHCP options that found no room in what a client takes.";
        add(
            "dhcp_options_left_out".to_owned(),
            help.to_owned(),
            self.left_out,
        );
        out
    }

    fn ignore(&mut self, why: DhcpIgnored) {
        if let Some(count) = self.ignored.get_mut(why as usize) {
            *count += 1;
        }
    }

    fn count(&mut self, what: Message) {
        if let Some(count) = self.messages.get_mut(what as usize - 1) {
            *count += 1;
        }
    }
}

/// A node whose host answers it, and who.
struct Served<'s> {
    binding: &'s Binding,
    vnet: &'s Vnet,
    subnet: &'s Subnet,
    server: Vaddr,
}

impl Plant {
    pub(super) fn answer_dhcp(
        &mut self,
        node: NodeIndex,
        port: u16,
        frame: &[u8],
        store: &Store,
        replies: &mut Replies,
    ) {
        if let Some(passed) = self.pass_on(node, frame, store, replies) {
            return passed.unwrap_or_else(|why| self.dhcp.ignore(why));
        }
        let mac = ethernet::Header::parse(frame).map_or(Mac::ZERO, |link| link.source);
        let answered = self.terms(node, store).and_then(|(client, mut terms)| {
            if terms.address == Vaddr(0) {
                let asked = dhcp::asked(frame, &client, terms.server)?;
                terms.address = self.address_of_pool(node, asked, mac, store, replies)?;
            }
            let answer = dhcp::answer(frame, &client, &terms)?;
            Ok((answer, terms))
        });
        let (answer, terms) = match answered {
            Ok(answered) => answered,
            Err(why) => return self.dhcp.ignore(why),
        };
        self.dhcp.count(answer.heard);
        self.dhcp.left_out += u64::from(answer.left_out);
        self.note(node, &answer, (&terms, mac), replies);
        let Some((what, reply)) = answer.reply else {
            return;
        };
        self.dhcp.count(what);
        replies.frames.push((port, reply));
        // It is about to use its address: nobody needs to ask it by ARP.
        if matches!(answer.effect, Effect::Granted { .. }) {
            let given = self
                .topology()
                .node(node)
                .map(|record| record.name.as_str());
            let given = given.and_then(|name| store.binding(name)?.mac);
            if given.is_none() {
                self.node_seen(node, mac, Sighting::Frame, store, replies);
            }
            // It may have used another one in between.
            let own = (terms.address, mac);
            self.address_by_dhcp(node, own, None, store, replies);
        }
    }

    /// What speaks of a node's DHCP, if its host answers it.
    fn served<'s>(&self, node: NodeIndex, store: &'s Store) -> Option<Served<'s>> {
        let record = self.topology().node(node)?;
        let binding = store.binding(&record.name)?;
        let vnet = store.vnet(&binding.vnet)?;
        let subnet = subnet_of(store, binding)?;
        let named = subnet.dhcp.as_ref().and_then(|told| told.server);
        let server = subnet.gateway.or(named);
        (vnet.dhcp == Dhcp::Host).then_some(Served {
            binding,
            vnet,
            subnet,
            server: server?,
        })
    }

    /// The address that answers a node's DHCP, if its host does.
    pub(super) fn dhcp_server(&self, node: NodeIndex, store: &Store) -> Option<Vaddr> {
        Some(self.served(node, store)?.server)
    }

    /// What a node is told, if its subnet has DHCP.
    fn terms(&self, node: NodeIndex, store: &Store) -> Result<(Client, Terms), DhcpIgnored> {
        let served = self.served(node, store).zip(self.topology().node(node));
        let (served, record) = served.ok_or(DhcpIgnored::NotServed)?;
        let Served {
            binding,
            vnet,
            subnet,
            server,
        } = served;
        let told = subnet.dhcp.clone().unwrap_or_default();
        let client = Client {
            // What was learned is no rule: the node may have another card by now.
            mac: binding.mac,
            vlan: (record.vlan != 0).then_some(record.vlan),
        };
        let link = self.site.ports.get(usize::from(record.port));
        let link = link.map_or(u16::MAX, |port| port.config.mtu);
        let mtu = told.mtu.unwrap_or_else(|| self.settings.vnet_mtu(vnet));
        let terms = Terms {
            address: binding.address.unwrap_or(Vaddr(0)),
            subnet: subnet.prefix,
            server,
            server_mac: virtual_mac::of(Kind::Router, record.vni, server),
            lease: told.lease_seconds,
            router: subnet.gateway,
            routes: told
                .routes
                .iter()
                .map(|route| (route.prefix, route.via))
                .collect(),
            dns: told.dns,
            ntp: told.ntp,
            host_name: is_host_name(&binding.name).then(|| binding.name.clone()),
            domain: told.domain,
            search: told.search,
            mtu: Some(mtu.min(link)),
        };
        Ok((client, terms))
    }

    /// Keeps what a message meant, and tells of it.
    fn note(
        &mut self,
        node: NodeIndex,
        answer: &Answer,
        (terms, mac): (&Terms, Mac),
        replies: &mut Replies,
    ) {
        let Some(record) = self.topology().node(node) else {
            return;
        };
        let vnet = self.topology().vnet(record.vnet);
        let lease = Lease {
            vnet: vnet.map_or_else(String::new, |vnet| vnet.name.clone()),
            address: terms.address,
            mac,
            host_name: answer.host_name.clone(),
            until: None,
        };
        let (name, now) = (record.name.clone(), self.now());
        self.settle_claim(&name, answer, now);
        let change = self.dhcp.leases.note(&name, answer, lease.clone(), now);
        let seconds = match answer.effect {
            Effect::Granted { seconds } => Some(seconds),
            _ => None,
        };
        let event = change.map(|change| lease_event(change, name, lease, seconds));
        replies.events.extend(event);
    }

    /// Tells of leases that have ended.
    pub(in crate::appliance) fn poll_dhcp(&mut self, replies: &mut Replies) {
        let now = self.now();
        self.end_leases(now, replies);
        self.save_leases(now);
    }

    fn end_leases(&mut self, now: Time, replies: &mut Replies) {
        let mut ended = std::mem::take(&mut self.dhcp.lost);
        for (node, lease) in self.dhcp.leases.poll(now) {
            self.dhcp.pools.end(&node);
            self.dhcp.moved = true;
            self.dhcp.changes += 1;
            ended.push((node, lease));
        }
        let ended = ended.into_iter();
        replies
            .events
            .extend(ended.map(|(node, lease)| lease_event(Change::Expired, node, lease, None)));
    }

    /// Addresses that nodes have by DHCP.
    pub(in crate::appliance) fn leases_now(&self) -> Vec<proto::Lease> {
        let now = self.now();
        let leases = self.dhcp.leases.iter();
        let reports = leases.map(|(node, lease)| proto::Lease {
            node: node.to_owned(),
            vnet: lease.vnet.clone(),
            address: lease.address,
            mac: lease.mac,
            host_name: lease.host_name.clone(),
            expires: lease.until.map(|until| until.since(now).div_ceil(1000)),
        });
        reports.collect()
    }
}

fn lease_event(change: Change, node: String, lease: Lease, seconds: Option<u32>) -> Event {
    Event::Lease {
        change: match change {
            Change::Granted => LeaseChange::Granted,
            Change::Renewed => LeaseChange::Renewed,
            Change::Refused => LeaseChange::Refused,
            Change::Declined => LeaseChange::Declined,
            Change::Released => LeaseChange::Released,
            Change::Expired => LeaseChange::Expired,
        },
        node,
        vnet: lease.vnet,
        address: lease.address,
        mac: lease.mac,
        host_name: lease.host_name,
        seconds,
    }
}

/// Whether a binding's name can be a machine's (RFC 1123 section 2.1).
fn is_host_name(name: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inside)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
#[path = "dhcp/tests.rs"]
mod tests;
