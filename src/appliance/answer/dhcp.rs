//! DHCP of nodes: what their bindings, subnets and vnets say, in the engine's
//! terms, and what became of it for those who look on.

use crate::control::proto::{self, Counter, Event, LeaseChange, Sighting};
use crate::control::store::Store;
use crate::mapping::NodeIndex;
use crate::model::{Binding, Dhcp, Subnet, Vnet};
use crate::node::dhcp::{self, Answer, Change, Client, DhcpIgnored, Effect, Lease, Leases, Terms};
use crate::wire::dhcp::Kind as Message;
use crate::wire::virtual_mac::{self, Kind};
use crate::wire::{Mac, Vaddr, ethernet};

use super::Replies;
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

/// What DHCP remembers, none of which decides anything.
#[derive(Debug, Default)]
pub struct Dhcps {
    leases: Leases,
    /// By message; what clients sent, and what they got.
    messages: [u64; Message::ALL.len()],
    ignored: [u64; DhcpIgnored::COUNT],
    left_out: u64,
}

impl Dhcps {
    /// Ends the leases of nodes that are bound no more, or have another address.
    pub(in crate::appliance) fn forget(&mut self, store: &Store) {
        self.leases.forget(|node, lease| {
            let binding = store.binding(node);
            binding.is_some_and(|it| it.vnet == lease.vnet && it.address == lease.address)
        });
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
        let answered = self.terms(node, store).and_then(|(client, terms)| {
            let answer = dhcp::answer(frame, &client, &terms)?;
            Ok((answer, terms))
        });
        let (answer, terms) = match answered {
            Ok(answered) => answered,
            Err(why) => {
                if let Some(count) = self.dhcp.ignored.get_mut(why as usize) {
                    *count += 1;
                }
                return;
            }
        };
        self.dhcp.count(answer.heard);
        self.dhcp.left_out += u64::from(answer.left_out);
        let mac = ethernet::Header::parse(frame).map_or(Mac::ZERO, |link| link.source);
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
        let subnet = store.subnet_at(&binding.vnet, binding.address)?;
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
            address: binding.address,
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
        let ended = self.dhcp.leases.poll(now).into_iter();
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
mod tests {
    use super::*;
    use crate::appliance::testing::host_r_with;
    use crate::control::plant::Plant as _;
    use crate::datapath::Punt;
    use crate::datapath::wiring::Punted;
    use crate::packet::Buffer;
    use crate::time::Time;
    use crate::wire::checksum;

    const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
    const SUBNET: &str = "[[subnet]]\nname = \"web\"\nvnet = \"Z\"\nprefix = \"10.0.0.0/24\"\ngateway = \"10.0.0.1\"\n[subnet.dhcp]\nlease_seconds = 600\n";

    /// A frame of A to everybody, its datagram without checksum.
    fn frame(options: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 240];
        message[..3].copy_from_slice(&[1, 1, 6]);
        message[28..34].copy_from_slice(&A.0);
        message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        message.extend(options);
        message.resize(300, 0);
        let mut ip = vec![
            0x45, 0, 1, 0x48, 0, 7, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255,
        ];
        let sum = checksum::checksum(&ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        let udp = [0, 68, 0, 67, 1, 0x34, 0, 0];
        [&[0xff; 6], &A.0[..], &[8, 0], &ip, &udp, &message].concat()
    }

    fn told(plant: &mut Plant, store: &Store, options: &[u8]) -> Replies {
        let node = plant.numbers.get("A").unwrap();
        let punted = Punted {
            what: Punt::Dhcp { node },
            port: 1,
            packet: Buffer::new(&frame(options)),
        };
        let mut replies = Replies::default();
        plant.answer(&punted, store, &mut replies);
        replies
    }

    fn total(plant: &Plant, name: &str) -> u64 {
        plant.stats().counters[name].total
    }

    const DISCOVER: &[u8] = &[53, 1, 1, 255];
    const REQUEST: &[u8] = &[53, 1, 3, 50, 4, 10, 0, 0, 2, 12, 1, b'x', 255];

    #[test]
    fn a_node_gets_the_address_of_its_binding() {
        let (mut plant, store) = host_r_with("dhcp = \"host\"", SUBNET);
        let replies = told(&mut plant, &store, DISCOVER);
        assert!(replies.events.is_empty());
        let [(1, offer)] = &replies.frames[..] else {
            panic!("{replies:?}")
        };
        assert_eq!(
            offer[..14],
            [2, 0, 0, 0, 0, 0x0a, 0x72, 0x5b, 10, 0, 0, 1, 8, 0]
        );
        assert_eq!(offer[26..34], [10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(offer[58..62], [10, 0, 0, 2]);
        // The MTU of the vnet, as far as the port has it, and the name.
        let has = |option: &[u8]| offer.windows(option.len()).any(|at| at == option);
        assert!(has(&[26, 2, 5, 0xc0]) && has(&[12, 1, b'A']) && has(&[51, 4, 0, 0, 2, 88]));

        assert!(plant.leases().is_empty(), "an offer is none");
        let replies = told(&mut plant, &store, REQUEST);
        assert_eq!(replies.frames[0].1[284], 5, "an ACK");
        let granted = Event::Lease {
            change: LeaseChange::Granted,
            node: "A".into(),
            vnet: "Z".into(),
            address: Vaddr(0x0a00_0002),
            mac: A,
            host_name: "x".into(),
            seconds: Some(600),
        };
        assert_eq!(replies.events[0], granted);
        // It was not asked for its hardware address, and is known by it now.
        assert!(matches!(replies.events[1], Event::Node { mac: A, .. }));
        assert_eq!(plant.learned("A").unwrap().mac, Some(A));
        let [lease] = &plant.leases()[..] else {
            panic!()
        };
        assert_eq!((lease.node.as_str(), lease.expires), ("A", Some(600)));
        for (name, expected) in [
            ("dhcp_discover_in", 1),
            ("dhcp_request_in", 1),
            ("dhcp_offer_out", 1),
            ("dhcp_ack_out", 1),
            ("dhcp_nak_out", 0),
        ] {
            assert_eq!(total(&plant, name), expected, "{name}");
        }
    }

    #[test]
    fn nodes_without_dhcp_get_no_answer() {
        let bare = SUBNET.replace("[subnet.dhcp]\nlease_seconds = 600\n", "");
        for (vnet, more) in [("", &bare), ("dhcp = \"host\"", &String::new())] {
            let (mut plant, store) = host_r_with(vnet, more);
            let replies = told(&mut plant, &store, DISCOVER);
            assert!(replies.frames.is_empty() && replies.events.is_empty());
            assert_eq!(total(&plant, "dhcp_not_served"), 1, "{vnet}");
        }
    }

    #[test]
    fn the_server_is_found_by_arp_and_says_what_it_must() {
        let alone = SUBNET.replace("gateway = \"10.0.0.1\"\n", "");
        let alone = format!("{alone}server = \"10.0.0.6\"\n");
        for (more, server) in [(SUBNET, 1), (alone.as_str(), 6)] {
            let (mut plant, store) = host_r_with("dhcp = \"host\"", more);
            let replies = told(&mut plant, &store, DISCOVER);
            assert_eq!(replies.frames[0].1[26..30], [10, 0, 0, server]);
            let router = replies.frames[0]
                .1
                .windows(6)
                .any(|at| at == [3, 4, 10, 0, 0, 1]);
            assert_eq!(router, server == 1);
            let mut arp = [&[0xff; 6], &A.0[..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &A.0].concat();
            arp.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, server]);
            let node = plant.numbers.get("A").unwrap();
            let punted = Punted {
                what: Punt::Arp { node },
                port: 1,
                packet: Buffer::new(&arp),
            };
            let mut replies = Replies::default();
            plant.answer(&punted, &store, &mut replies);
            assert_eq!(replies.frames[0].1[6..12], [0x72, 0x5b, 10, 0, 0, server]);
        }
    }

    #[test]
    fn leases_end_and_go_with_their_binding() {
        let (mut plant, mut store) = host_r_with("dhcp = \"host\"", SUBNET);
        told(&mut plant, &store, REQUEST);
        let mut replies = Replies::default();
        plant.poll_dhcp(&mut replies);
        assert!(replies.events.is_empty());
        let ended = plant.dhcp.leases.poll(Time(600_000));
        assert_eq!(ended.len(), 1);
        told(&mut plant, &store, REQUEST);
        let mut binding = store.binding("A").unwrap().clone();
        binding.address = Vaddr(0x0a00_0009);
        let set = proto::Change::BindingSet(proto::BindingSet {
            binding,
            revision: 0,
        });
        store
            .apply(&mut plant, crate::model::Origin::Operator, &[set], 0)
            .unwrap();
        assert!(plant.leases().is_empty());
        // The client wants what it had, and is told to begin anew.
        plant.step(&store);
        let replies = told(&mut plant, &store, REQUEST);
        assert_eq!(replies.frames[0].1[284], 6, "a NAK");
        assert!(matches!(
            replies.events[..],
            [Event::Lease {
                change: LeaseChange::Refused,
                ..
            }]
        ));
    }

    #[test]
    fn host_names_are_those_of_machines() {
        let long = "a".repeat(64);
        for good in ["a", "A", "web-1", "4", &long[1..]] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a.b", "a_b", "ä", &long] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }

    #[test]
    fn every_message_is_counted_once() {
        let mut dhcp = Dhcps::default();
        for (n, what) in Message::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| dhcp.count(what));
        }
        let counters = dhcp.counters();
        let reasons = DhcpIgnored::COUNT + 1;
        let messages = counters.iter().take(counters.len() - reasons);
        assert_eq!(messages.clone().count(), Message::ALL.len());
        assert_eq!(messages.map(|(_, counter)| counter.total).sum::<u64>(), 36);
    }
}
