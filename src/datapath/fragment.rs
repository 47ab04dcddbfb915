//! Cutting a packet that is larger than the path takes. Rare, so it may copy.
//!
//! Pieces are cut as an IPv4 router would cut them, and each is an ordinary
//! fragment that goes through the same rewrite as any other.

use crate::packet::Packet;
use crate::port::Pool;
use crate::siit::fragment::{Piece, Pieces, pieces};
use crate::wire::ipv4;

use super::authorize::Permitted;
use super::misdirected::Way;
use super::rewrite::{self, Cut};
use super::{Context, Drop, Exit, Outcome};

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
        let mtu = cx.topology.host(cut.host).map_or(0, |host| host.mtu);
        let spent = |header: ipv4::Header| ipv4::Header {
            ttl: header.ttl.wrapping_sub(cut.hops),
            ..header
        };
        let pieces = header.and_then(|header| pieces(&spent(header), mtu));
        let header_len = header.map_or(0, |header| usize::from(header.header_len));
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
        let host = topology.host(self.cut.host).ok_or(Drop::NoMapping)?;
        match rewrite::to_substrate(self.cx, &mut packet, &permitted, host) {
            Ok(Outcome::Send { port, .. }) => Ok((port, packet)),
            Err(Exit::Drop(why) | Exit::Refuse { why, .. }) => Err(why),
            Ok(Outcome::Split(_) | Outcome::Cut(_)) | Err(_) => Err(Drop::TooBig),
        }
    }
}
