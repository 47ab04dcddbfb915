//! What the engine is told, checked once, so that it never meets a next hop
//! that cannot be on its link.

use crate::model::{IcmpRate, Interface4};
use crate::wire::{Mac, Vaddr};

/// A next hop and, where it is not asked for, its hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    pub address: Vaddr,
    pub mac: Option<Mac>,
}

/// Everything that can change on reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link4Config {
    /// Index of the port in the appliance.
    pub port: u16,
    pub mac: Mac,
    /// VLAN id of the link's frames; untagged when `None`.
    pub vlan: Option<u16>,
    /// The one own address.
    pub address: Interface4,
    pub hops: Vec<Hop>,
    /// Largest IPv4 packet.
    pub mtu: u16,
    pub timers: Timers,
    pub limits: Limits,
    /// Where the identifications of packets begin; give it random bits. Only
    /// read by `new`.
    pub seed: u64,
}

/// Milliseconds, except where the name says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Between announcements of the own address (RFC 5227: 2 s).
    pub announce_interval: u64,
    /// How many announcements (RFC 5227: 2).
    pub announcements: u8,
    /// At most one defence of the own address in this time (RFC 5227: 10 s).
    pub defend_interval: u64,
    /// Between requests: RFC 1122 section 2.3.2.1 wants no more than one a
    /// second. A next hop that does not answer is asked on at this pace: with
    /// so few of them, asking more seldom would spare nothing and cost time
    /// when they return.
    pub ask_interval: u64,
    /// A next hop that answered is asked again after this.
    pub probe_interval: u64,
    /// So many requests without answer, first to its hardware address and then
    /// to everybody, and the next hop is out. With the defaults 30 + 2 x 3 s
    /// after its last answer.
    pub misses: u8,
    /// A next hop whose hardware address changed keeps the new one for at
    /// least this, so that two systems that fight for its address do not drag
    /// all traffic to and fro.
    pub settle: u64,
}

impl Timers {
    pub const DEFAULT: Timers = Timers {
        announce_interval: 2000,
        announcements: 2,
        defend_interval: 10_000,
        ask_interval: 1000,
        probe_interval: 30_000,
        misses: 3,
        settle: 1000,
    };
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::DEFAULT
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// ARP replies per second.
    pub answers: u32,
    /// Echo replies per second, apart from the above so that a ping flood never
    /// costs us our neighbours.
    pub echoes: u32,
    /// ICMP errors per second about what the own address does not serve.
    pub errors: IcmpRate,
    /// Frames that wait for `poll_frame`.
    pub frames: usize,
    /// Events that wait for `poll_event`.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            answers: 1000,
            echoes: 1000,
            errors: IcmpRate::default(),
            frames: 4096,
            events: 1024,
        }
    }
}

/// Why a configuration is refused: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Link4Error {
    #[error("mac: {mac} is a group or zero; give an individual address")]
    OwnMac { mac: Mac },
    #[error("vlan: {vlan} is out of range; use 1 to 4094")]
    Vlan { vlan: u16 },
    #[error("mtu: {mtu} is below 68, the least that IPv4 allows; raise it")]
    Mtu { mtu: u16 },
    #[error(
        "address: {address} names no single system of its link; give one that is neither the \
         first nor the last of its prefix"
    )]
    OwnAddress { address: Interface4 },
    #[error("hops[{at}]: {address} appears twice; remove one")]
    RepeatedHop { at: usize, address: Vaddr },
    #[error("hops[{at}]: {address} is the own address; name another system")]
    OwnHop { at: usize, address: Vaddr },
    #[error(
        "hops[{at}]: {address} is no single system of {link}; name one of that prefix, or give \
         the own address the length of the link"
    )]
    OffLink {
        at: usize,
        address: Vaddr,
        link: Interface4,
    },
    #[error("hops[{at}]: hardware address {mac} is a group or zero; give an individual one")]
    HopMac { at: usize, mac: Mac },
    #[error("hops[{at}]: hardware address {mac} is the port's own; give the next hop's")]
    OwnHopMac { at: usize, mac: Mac },
}

impl Link4Config {
    /// Defaults for all that is not about this port's place.
    pub fn new(port: u16, mac: Mac, address: Interface4, mtu: u16) -> Link4Config {
        Link4Config {
            port,
            mac,
            vlan: None,
            address,
            hops: Vec::new(),
            mtu,
            timers: Timers::default(),
            limits: Limits::default(),
            seed: 0,
        }
    }

    pub(super) fn check(&self) -> Result<(), Link4Error> {
        let mac = self.mac;
        if !mac.is_unicast() {
            return Err(Link4Error::OwnMac { mac });
        }
        if let Some(vlan) = self.vlan.filter(|id| !(1..=4094).contains(id)) {
            return Err(Link4Error::Vlan { vlan });
        }
        let mtu = self.mtu;
        if mtu < 68 {
            return Err(Link4Error::Mtu { mtu });
        }
        let address = self.address;
        if !is_one_system(address.address) || is_edge(address, address.address) {
            return Err(Link4Error::OwnAddress { address });
        }
        (0..self.hops.len()).try_for_each(|at| self.check_hop(at))
    }

    fn check_hop(&self, at: usize) -> Result<(), Link4Error> {
        let Hop { address, mac } = self.hops[at];
        let link = self.address;
        if self.hops[..at].iter().any(|hop| hop.address == address) {
            return Err(Link4Error::RepeatedHop { at, address });
        }
        if address == link.address {
            return Err(Link4Error::OwnHop { at, address });
        }
        // With an address that is alone in its prefix nothing is on the link
        // but what is said to be: a next hop that somebody put there.
        let near = link.len == 32 || link.reaches(address);
        if !near || !is_one_system(address) || is_edge(link, address) {
            return Err(Link4Error::OffLink { at, address, link });
        }
        match mac {
            Some(mac) if !mac.is_unicast() => Err(Link4Error::HopMac { at, mac }),
            Some(mac) if mac == self.mac => Err(Link4Error::OwnHopMac { at, mac }),
            _ => Ok(()),
        }
    }
}

/// Neither this network (0/8), nor loopback (127/8), nor a group, nor any of
/// what is reserved from 240/4 up to broadcast.
pub(super) fn is_one_system(address: Vaddr) -> bool {
    !matches!(address.bytes()[0], 0 | 127 | 224..)
}

/// The first and the last address of a link: the network's and the broadcast
/// one. Links of one or two addresses have neither (RFC 3021).
pub(super) fn is_edge(link: Interface4, address: Vaddr) -> bool {
    let host = u32::MAX.checked_shr(u32::from(link.len)).unwrap_or(0);
    link.len < 31 && link.reaches(address) && (address.0 & host == 0 || address.0 & host == host)
}
