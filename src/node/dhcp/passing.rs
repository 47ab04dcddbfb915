//! Messages between clients and a server that is a node too, as hosts pass them
//! on.
//!
//! They are read as those that a host answers itself, and nothing else goes on:
//! so clients cannot speak for others, and the server's answers say to whom they
//! go. A server is asked to answer by broadcast, because its neighbours have
//! other hardware addresses than it reads in the requests of clients: what it
//! learned from those would lead nowhere.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::time::Time;
use crate::wire::dhcp::{
    CLIENT_PORT, Direction, FIXED_LEN, Fixed, Kind, Message, SERVER_PORT, option,
};
use crate::wire::{Mac, Vaddr, Vni, ethernet};

use super::reply::packet;
use super::request::{Request, datagram_of, parsed};
use super::{Client, DhcpIgnored};

/// Everybody, and somebody without an address.
const EVERYBODY: Vaddr = Vaddr(u32::MAX);
const NOBODY: Vaddr = Vaddr(0);
/// Where a message says that its answer is to be broadcast.
const FLAGS: std::ops::Range<usize> = 10..12;

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passing {
    pub kind: Kind,
    pub fixed: Fixed,
    /// Seconds, of an answer that gives an address.
    pub lease: Option<u32>,
    /// What the client calls itself; empty if it does not.
    pub host_name: String,
    data: Vec<u8>,
}

impl Passing {
    /// A frame of a client to its vnet's server.
    pub fn of_client(frame: &[u8], client: &Client, server: Vaddr) -> Result<Passing, DhcpIgnored> {
        let request = Request::read(frame, client, server)?;
        let link = ethernet::Header::parse(frame).ok_or(DhcpIgnored::BadPacket)?;
        Passing::request(frame.get(link.len..).unwrap_or(&[]), request.host_name())
    }

    /// A client's packet that its host has passed on.
    pub fn of_host(ip: &[u8]) -> Result<Passing, DhcpIgnored> {
        Passing::request(ip, String::new())
    }

    fn request(ip: &[u8], host_name: String) -> Result<Passing, DhcpIgnored> {
        let (_, data) = datagram_of(ip, (CLIENT_PORT, SERVER_PORT))?;
        let message = parsed(data)?;
        let fixed = message.fixed;
        if fixed.direction != Direction::Request {
            return Err(DhcpIgnored::NotARequest);
        }
        match relayed(&message)? {
            Kind::Offer | Kind::Ack | Kind::Nak => Err(DhcpIgnored::NotARequest),
            kind => Ok(Passing {
                kind,
                fixed,
                lease: None,
                host_name,
                data: data.to_vec(),
            }),
        }
    }

    /// The server's packet to a client, from its node or from that one's host.
    pub fn of_server(ip: &[u8], server: Vaddr) -> Result<Passing, DhcpIgnored> {
        let (header, data) = datagram_of(ip, (SERVER_PORT, CLIENT_PORT))?;
        let message = parsed(data)?;
        if header.src != server || message.fixed.direction != Direction::Reply {
            return Err(DhcpIgnored::NotAnAnswer);
        }
        match relayed(&message)? {
            kind @ (Kind::Offer | Kind::Ack | Kind::Nak) => Ok(Passing {
                kind,
                fixed: message.fixed,
                lease: message.exactly(option::LEASE).map(u32::from_be_bytes),
                host_name: String::new(),
                data: data.to_vec(),
            }),
            _ => Err(DhcpIgnored::NotAnAnswer),
        }
    }

    /// The packet for the server.
    pub fn to_server(&self) -> Vec<u8> {
        let mut data = self.data.clone();
        if let Some([high, _]) = data.get_mut(FLAGS) {
            *high |= 0x80;
        }
        packet((NOBODY, EVERYBODY), (CLIENT_PORT, SERVER_PORT), &data)
    }

    /// The packet for the client's host.
    pub fn to_host(&self, server: Vaddr) -> Vec<u8> {
        packet((server, NOBODY), (SERVER_PORT, CLIENT_PORT), &self.data)
    }

    /// The packet for the client, and to which hardware address it goes: to the
    /// one that it uses if it has an address already, else to everybody on its
    /// wire, as the server was asked to send it.
    pub fn to_client(&self, server: Vaddr) -> (Mac, Vec<u8>) {
        let (mac, dst) = match self.fixed.ciaddr {
            own if own != NOBODY && self.kind != Kind::Nak => (self.fixed.chaddr, own),
            _ => (Mac::BROADCAST, EVERYBODY),
        };
        (
            mac,
            packet((server, dst), (SERVER_PORT, CLIENT_PORT), &self.data),
        )
    }
}

/// What kind of message it is, if it needs no relay.
fn relayed(message: &Message<'_>) -> Result<Kind, DhcpIgnored> {
    if message.fixed.giaddr != NOBODY || message.has(option::RELAY) {
        return Err(DhcpIgnored::Relayed);
    }
    message.kind().ok_or(DhcpIgnored::NoKind)
}

const _: () = assert!(FLAGS.end <= FIXED_LEN);

/// Milliseconds for which a question is remembered.
const ASKED: u64 = 60_000;
/// Questions that are remembered at most.
const MOST_ASKED: usize = 4096;

/// Who asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asker {
    /// A node here, by its name.
    Node(String),
    /// A node of the host with this locator.
    Host(u128),
}

/// What an answer repeats of its question.
type Question = (Vni, Mac, u32);

/// Who is to get the server's answers. The latest questions are kept: whoever
/// asks without end shortens for others how long they may wait, and no more.
#[derive(Clone, Debug, Default)]
pub struct Askers {
    asked: HashMap<Question, (Asker, Time)>,
    /// The questions in their order; one that was repeated is there repeatedly.
    order: VecDeque<(Question, Time)>,
}

impl Askers {
    /// Remembers who asked.
    pub fn note(&mut self, vni: Vni, fixed: &Fixed, asker: Asker, now: Time) {
        let (key, until) = ((vni, fixed.chaddr, fixed.xid), now.after(ASKED));
        self.asked.insert(key, (asker, until));
        self.order.push_back((key, until));
        let over = |until: Time| until <= now;
        while self.order.len() > MOST_ASKED || self.order.front().is_some_and(|it| over(it.1)) {
            let Some((key, until)) = self.order.pop_front() else {
                return;
            };
            if self.asked.get(&key).is_some_and(|(_, its)| *its == until) {
                self.asked.remove(&key);
            }
        }
    }

    /// Who asked what is answered.
    pub fn find(&self, vni: Vni, fixed: &Fixed, now: Time) -> Option<&Asker> {
        let (asker, until) = self.asked.get(&(vni, fixed.chaddr, fixed.xid))?;
        (now < *until).then_some(asker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(xid: u32) -> Fixed {
        Fixed {
            direction: Direction::Request,
            xid,
            broadcast: false,
            ciaddr: NOBODY,
            yiaddr: NOBODY,
            giaddr: NOBODY,
            chaddr: Mac([2, 0, 0, 0, 0, 0x0a]),
        }
    }

    #[test]
    fn who_asks_without_end_keeps_nobody_from_asking() {
        let vni = Vni(0x5a_0001);
        let mut askers = Askers::default();
        let flood = Asker::Node("flood".to_owned());
        for xid in 0..3 * MOST_ASKED as u32 {
            askers.note(vni, &question(xid), flood.clone(), Time(0));
        }
        let one = Asker::Host(7);
        askers.note(vni, &question(u32::MAX), one.clone(), Time(1));
        let found = |askers: &Askers, now| {
            let found = askers.find(vni, &question(u32::MAX), Time(now));
            found.cloned()
        };
        assert_eq!(found(&askers, 1), Some(one.clone()));
        assert_eq!(askers.asked.len(), MOST_ASKED);
        // Said again, it is as new.
        for xid in 0..MOST_ASKED as u32 / 2 {
            askers.note(vni, &question(xid), flood.clone(), Time(1));
        }
        askers.note(vni, &question(u32::MAX), one.clone(), Time(2));
        for xid in 0..MOST_ASKED as u32 - 1 {
            askers.note(vni, &question(xid), flood.clone(), Time(2));
        }
        assert_eq!(found(&askers, 2), Some(one));
        askers.note(vni, &question(0), flood, Time(2 + ASKED));
        assert_eq!((askers.asked.len(), askers.order.len()), (1, 1));
        assert_eq!(found(&askers, 2 + ASKED), None);
    }
}
