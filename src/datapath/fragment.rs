//! Cutting a packet that is larger than the path takes. Rare, so it may copy.
//!
//! Pieces are cut as an IPv4 router would cut them, and each is an ordinary
//! fragment that goes through the same rewrite as any other.

use crate::packet::Packet;
use crate::port::Pool;
use crate::siit::fragment::{Piece, Pieces, pieces, pieces_on_link};
use crate::wire::{Vaddr, Vni, ipv4};

use super::authorize::Permitted;
use super::misdirected::Way;
use super::rewrite::{self, Cut, Toward};
use super::topology::HostRecord;
use super::{Context, Drop, Exit, Outcome, fan, slot};

/// A packet being cut.
#[derive(Debug)]
pub struct Cutting<'a, P> {
    cx: &'a Context<'a>,
    packet: &'a P,
    cut: Cut,
    header_len: usize,
    pieces: Option<Pieces>,
}

impl<'a, P: Packet> Cutting<'a, P> {
    /// `packet` is as it came from the node.
    pub fn new(cx: &'a Context<'a>, packet: &'a P, cut: Cut) -> Cutting<'a, P> {
        let header = packet
            .head()
            .get(usize::from(cut.l3)..)
            .and_then(ipv4::Header::parse_unchecked);
        let header_len = header.map_or(0, |header| usize::from(header.header_len));
        let spent = header.map(|header| ipv4::Header {
            ttl: header.ttl.wrapping_sub(cut.hops),
            ..header
        });
        let topology = cx.topology;
        let pieces = spent.and_then(|header| match cut.to {
            Toward::Host(..) | Toward::Listeners => pieces(&header, host_of(cx, &cut)?.mtu),
            Toward::Node(index) => {
                let port = topology.port(topology.node(index)?.port)?;
                pieces_on_link(&header, port.mtu)
            }
        });
        Cutting {
            cx,
            packet,
            cut,
            header_len,
            pieces,
        }
    }

    /// Whether the packet has options, which no piece gets.
    pub fn removes_options(&self) -> bool {
        self.header_len > ipv4::HEADER_LEN
    }

    /// The next piece, ready for its port.
    pub fn next<Po: Pool<Packet = P>>(&mut self, pool: &mut Po) -> Option<Result<(u16, P), Drop>> {
        let piece = self.pieces.as_mut()?.next()?;
        Some(self.make(pool, piece))
    }

    fn make<Po: Pool<Packet = P>>(&self, pool: &mut Po, piece: Piece) -> Result<(u16, P), Drop> {
        let mut packet = pool.alloc().ok_or(Drop::NoBuffer)?;
        packet
            .append(&piece.header.bytes())
            .map_err(|_| Drop::NoBuffer)?;
        let mut at = usize::from(self.cut.l3) + self.header_len + piece.payload_offset;
        let mut left = piece.len;
        let mut chunk = [0; 512];
        while left > 0 {
            let n = left.min(chunk.len());
            if self.packet.copy_out(at, &mut chunk[..n]) < n {
                return Err(Drop::TooShort);
            }
            packet.append(&chunk[..n]).map_err(|_| Drop::NoBuffer)?;
            at += n;
            left -= n;
        }
        match self.cut.to {
            Toward::Host(..) | Toward::Listeners => self.to_host(packet, &piece),
            Toward::Node(index) => {
                let node = self.cx.topology.node(index).ok_or(Drop::NotLocal)?;
                let ends = (piece.header.src, piece.header.dst);
                let link = rewrite::link_to(self.cx, (node, index), ends);
                let ready = link.and_then(|link| rewrite::replace_link(&mut packet, 0, &link));
                ready.map_err(why)?;
                Ok((node.port, packet))
            }
        }
    }

    fn to_host(&self, mut packet: P, piece: &Piece) -> Result<(u16, P), Drop> {
        let topology = self.cx.topology;
        let record = topology.node(self.cut.node).ok_or(Drop::UnknownNode)?;
        let permitted = Permitted {
            node: self.cut.node,
            record,
            vnet: topology.vnet(record.vnet).ok_or(Drop::UnknownNode)?,
            l3: 0,
            flow: self.cut.flow,
            key: self.cut.key,
            ip: piece.header.words(),
            way: Way::Direct,
        };
        let host = host_of(self.cx, &self.cut).ok_or(Drop::NoMapping)?;
        let mark = match self.cut.to {
            Toward::Host(_, mark) => mark,
            Toward::Node(_) | Toward::Listeners => slot::of_group(topology),
        };
        match rewrite::to_substrate(self.cx, &mut packet, &permitted, (host, mark)) {
            Ok(Outcome::Send { port, .. }) => {
                if self.cut.to == Toward::Listeners {
                    let key = self.cut.key;
                    let group = (Vni(key.vni()), Vaddr(key.vaddr()));
                    fan::address_link(topology.layout, group, &mut packet)?;
                }
                Ok((port, packet))
            }
            Ok(Outcome::Split(_) | Outcome::Cut(_)) => Err(Drop::TooBig),
            Err(exit) => Err(why(exit)),
        }
    }
}

/// Where in the substrate the pieces go.
fn host_of<'t>(cx: &Context<'t>, cut: &Cut) -> Option<&'t HostRecord> {
    match cut.to {
        Toward::Host(index, _) => cx.topology.host(index),
        Toward::Listeners => {
            let native = cx.topology.native.as_ref()?;
            Some(native.towards(cx.topology.layout, Vaddr(cut.key.vaddr())))
        }
        Toward::Node(_) => None,
    }
}

/// Where a piece ends that cannot be sent: nothing waits, and the whole was
/// refused already if anybody is to be told.
fn why(exit: Exit) -> Drop {
    match exit {
        Exit::Drop(why) | Exit::Refuse { why, .. } | Exit::Hold { why, .. } => why,
        _ => Drop::TooBig,
    }
}
