//! Answers of a server (RFC 2131 section 4.3, table 3), from the fixed fields to
//! the link header.
//!
//! Options stand in the order in which the client asks for them, as clients
//! with little room read the first ones only; what it needs to be on the
//! network at all (mask, router, MTU) comes in any case. What finds no room in
//! the size that a client takes is left out and counted.

use crate::wire::address::Prefix4;
use crate::wire::dhcp::{CLIENT_PORT, Direction, Fixed, Kind, SERVER_PORT, Writer, option};
use crate::wire::ethernet::{self, ethertype};
use crate::wire::{Mac, Vaddr, checksum, ipv4, protocol, udp};

use super::Terms;
use super::request::{Fqdn, Request, pseudo_header};

/// Headers of IPv4 and UDP, which the size that a client takes includes.
const HEADERS: usize = ipv4::HEADER_LEN + udp::HEADER_LEN;
/// What every client takes (RFC 2131 section 2), and what any link does.
const LEAST_SIZE: usize = 576;
const MOST_SIZE: usize = 1500;

/// What a client without option 55 is told.
const USUAL: &[u8] = &[
    option::SUBNET_MASK,
    option::ROUTER,
    option::DNS,
    option::HOST_NAME,
    option::DOMAIN,
    option::MTU,
    option::BROADCAST,
    option::NTP,
];
/// What comes even if a client does not ask for it.
const NEEDED: [u8; 3] = [option::SUBNET_MASK, option::ROUTER, option::MTU];

/// An answer before it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) kind: Kind,
    lease: Option<u32>,
}

impl Reply {
    /// An offer or a grant of so many seconds.
    pub(super) fn lease(kind: Kind, seconds: u32) -> Reply {
        Reply {
            kind,
            lease: Some(seconds),
        }
    }

    /// For a client that has an address.
    pub(super) fn informing() -> Reply {
        Reply {
            kind: Kind::Ack,
            lease: None,
        }
    }

    pub(super) fn refusing() -> Reply {
        Reply {
            kind: Kind::Nak,
            lease: None,
        }
    }

    /// The frame that goes to the node.
    pub(super) fn write(self, request: &Request, terms: &Terms, left_out: &mut u32) -> Vec<u8> {
        let mut room = [0; MOST_SIZE - HEADERS];
        let most = size_of(request, terms) - HEADERS;
        let room = room.get_mut(..most).unwrap_or_default();
        // The least size is more than a writer needs.
        let len = Writer::new(room, &self.fixed(request, terms)).map_or(0, |mut writer| {
            self.put_options(&mut writer, request, terms, left_out);
            writer.finish()
        });
        self.frame(request, terms, room.get(..len).unwrap_or_default())
    }

    fn fixed(self, request: &Request, terms: &Terms) -> Fixed {
        let asked = &request.message.fixed;
        let none = Vaddr(0);
        let (ciaddr, yiaddr) = match (self.kind, self.lease) {
            (Kind::Ack, None) => (asked.ciaddr, none),
            (Kind::Ack, Some(_)) => (asked.ciaddr, terms.address),
            (Kind::Offer, _) => (none, terms.address),
            _ => (none, none),
        };
        Fixed {
            direction: Direction::Reply,
            xid: asked.xid,
            broadcast: asked.broadcast,
            ciaddr,
            yiaddr,
            giaddr: none,
            chaddr: asked.chaddr,
        }
    }

    fn put_options(
        self,
        writer: &mut Writer,
        request: &Request,
        terms: &Terms,
        left_out: &mut u32,
    ) {
        let mut put = |code: u8, value: &[u8]| *left_out += u32::from(!writer.put(code, value));
        put(option::MESSAGE_TYPE, &[self.kind as u8]);
        put(option::SERVER, &terms.server.bytes());
        if let Some(seconds) = self.lease {
            put(option::LEASE, &seconds.to_be_bytes());
            // A lease without end is never renewed.
            if seconds != u32::MAX {
                put(option::RENEWAL, &(seconds / 2).to_be_bytes());
                let rebinding = u64::from(seconds) * 7 / 8;
                put(option::REBINDING, &(rebinding as u32).to_be_bytes());
            }
        }
        // A client tells its own answers by it (RFC 6842).
        let mut room = [0; 255];
        if let Some(id) = request.message.joined(option::CLIENT_ID, &mut room) {
            put(option::CLIENT_ID, id);
        }
        if self.kind == Kind::Nak {
            let text = match terms.address {
                Vaddr(0) => "that address is not for this node".to_owned(),
                own => format!("the address of this node is {own}"),
            };
            return put(option::TEXT, text.as_bytes());
        }
        let mut list = [0; 255];
        let asked = request.message.joined(option::PARAMETERS, &mut list);
        let asked = asked.map_or(USUAL, |list| list);
        let routed = asked.contains(&option::ROUTES) && !terms.routes.is_empty();
        let mut told = [false; 256];
        for code in asked.iter().copied().chain(NEEDED) {
            // With routes, among them the default one, it is not told (RFC 3442).
            if std::mem::replace(&mut told[usize::from(code)], true)
                || routed && code == option::ROUTER
            {
                continue;
            }
            if let Some(value) = value_of(code, terms) {
                put(code, &value);
            }
        }
        if let Some(asked) = request.fqdn() {
            put(option::FQDN, &fqdn_of(&asked, terms));
        }
    }

    /// Where an answer goes: RFC 2131 section 4.1, fourth paragraph.
    fn destination(self, request: &Request, terms: &Terms) -> (Mac, Vaddr) {
        let asked = &request.message.fixed;
        let everybody = (Mac::BROADCAST, Vaddr(u32::MAX));
        match self.kind {
            Kind::Nak => everybody,
            _ if asked.ciaddr != Vaddr(0) => (asked.chaddr, asked.ciaddr),
            _ if asked.broadcast => everybody,
            _ => (asked.chaddr, terms.address),
        }
    }

    fn frame(self, request: &Request, terms: &Terms, message: &[u8]) -> Vec<u8> {
        let (mac, dst) = self.destination(request, terms);
        let tag = request.vlan.map_or(0, |_| ethernet::TAG_LEN);
        let mut out = vec![0; ethernet::HEADER_LEN + tag];
        ethernet::Header {
            destination: mac,
            source: terms.server_mac,
            vlan: request.vlan,
            ethertype: ethertype::IPV4,
            len: out.len(),
        }
        .emit(&mut out);
        out.extend(packet(
            (terms.server, dst),
            (SERVER_PORT, CLIENT_PORT),
            message,
        ));
        out
    }
}

/// One datagram, never fragmented, so that it needs no identification (RFC 6864).
pub(super) fn packet((src, dst): (Vaddr, Vaddr), ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        tos: 0,
        total_len: (HEADERS + data.len()) as u16,
        id: 0,
        reserved: false,
        df: true,
        mf: false,
        offset: 0,
        ttl: 64,
        protocol: protocol::UDP,
        src,
        dst,
        header_len: ipv4::HEADER_LEN as u8,
    };
    let mut datagram = udp::Header {
        source: ports.0,
        destination: ports.1,
        len: (udp::HEADER_LEN + data.len()) as u16,
        checksum: 0,
    };
    let sum = pseudo_header(src, dst, datagram.len) + checksum::sum(data);
    datagram.checksum = match !checksum::fold(sum + checksum::sum(&datagram.bytes())) {
        0 => 0xffff,
        field => field,
    };
    let mut out = header.bytes().to_vec();
    out.extend(datagram.bytes());
    out.extend(data);
    out
}

/// How long the packet may be: what the client says it takes, as far as the
/// link does. A link that is narrower than any client may be told is no reason
/// to tell less.
fn size_of(request: &Request, terms: &Terms) -> usize {
    let asked = request
        .message
        .exactly(option::MAX_SIZE)
        .map(u16::from_be_bytes);
    let link = terms.mtu.map_or(MOST_SIZE, usize::from).min(MOST_SIZE);
    asked
        .map_or(LEAST_SIZE, usize::from)
        .min(link)
        .max(LEAST_SIZE)
}

/// The value of an option; `None` if there is nothing to tell.
fn value_of(code: u8, terms: &Terms) -> Option<Vec<u8>> {
    let addresses = |list: &[Vaddr]| list.iter().flat_map(|address| address.bytes()).collect();
    let text = |text: &Option<String>| text.as_ref().map(|text| text.clone().into_bytes());
    let mask = Prefix4::mask(terms.subnet.len);
    let value: Vec<u8> = match code {
        option::SUBNET_MASK => mask.to_be_bytes().to_vec(),
        option::ROUTER => addresses(terms.router.as_slice()),
        option::DNS => addresses(&terms.dns),
        option::NTP => addresses(&terms.ntp),
        option::HOST_NAME => text(&terms.host_name)?,
        option::DOMAIN => text(&terms.domain)?,
        option::MTU => terms.mtu?.to_be_bytes().to_vec(),
        option::BROADCAST if terms.subnet.len < 31 => {
            (terms.address.0 | !mask).to_be_bytes().to_vec()
        }
        option::SEARCH => terms
            .search
            .iter()
            .flat_map(|name| labels(name, true))
            .collect(),
        option::ROUTES => routes(terms),
        _ => return None,
    };
    (!value.is_empty()).then_some(value)
}

/// Option 121: length of the prefix, as many of its bytes as that needs, router.
/// The default route goes with the others, as a client that takes them does not
/// look at option 3.
fn routes(terms: &Terms) -> Vec<u8> {
    if terms.routes.is_empty() {
        return Vec::new();
    }
    let everywhere = Prefix4 {
        address: Vaddr(0),
        len: 0,
    };
    let default = terms.router.map(|router| (everywhere, router));
    let mut out = Vec::new();
    for (prefix, via) in terms.routes.iter().copied().chain(default) {
        let bytes = prefix.address.bytes();
        out.push(prefix.len);
        out.extend(bytes.iter().take(usize::from(prefix.len.div_ceil(8))));
        out.extend(via.bytes());
    }
    out
}

/// A name as in the DNS (RFC 1035 section 3.1), not compressed; nothing if it
/// is none.
fn labels(name: &str, ended: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        match u8::try_from(label.len()) {
            Ok(len @ 1..=63) => out.push(len),
            _ => return Vec::new(),
        }
        out.extend(label.as_bytes());
    }
    if ended {
        out.push(0);
    }
    if out.len() > 255 { Vec::new() } else { out }
}

/// Option 81 of an answer: nobody here enters names into the DNS, which is told
/// as what it is to a client that wanted it (RFC 4702 section 4).
fn fqdn_of(asked: &Fqdn, terms: &Terms) -> Vec<u8> {
    let mut flags = asked.flags & Fqdn::E | Fqdn::N;
    if asked.flags & Fqdn::S != 0 {
        flags |= Fqdn::O;
    }
    // Result codes that have no meaning any more.
    let mut out = vec![flags, 255, 255];
    let host = terms.host_name.as_deref().unwrap_or_default();
    let full = match &terms.domain {
        Some(domain) if !host.is_empty() => format!("{host}.{domain}"),
        _ => host.to_owned(),
    };
    match (full.as_str(), asked.flags & Fqdn::E) {
        // What the client calls itself is as good.
        ("", _) => out.extend(asked.bytes()),
        (full, 0) => out.extend(full.bytes()),
        (full, _) => out.extend(labels(full, terms.domain.is_some())),
    }
    out
}
