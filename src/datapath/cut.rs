//! Packets that are larger than what lies ahead takes, translated to the letter
//! of RFC 7915 and cut. Rare, so it may copy.

use arrayvec::ArrayVec;

use crate::packet::Packet;
use crate::port::Pool;
use crate::siit::rfc7915::{self, Addresses};

use super::translate::{Cut, Link, Side, Whose, whole};
use super::{Context, Drop, Exit, outsider};

/// The most pieces of one packet: as many as 16,000 bytes make on the narrowest
/// IPv4 link, of 68 bytes.
pub(super) const MOST_PIECES: usize = 336;

/// Makes the pieces of a packet; returns the port that all of them leave by.
pub(super) fn cut<P: Packet, Po: Pool<Packet = P>>(
    cx: &Context<'_>,
    packet: &P,
    what: Cut,
    pool: &mut Po,
    pieces: &mut ArrayVec<P, MOST_PIECES>,
) -> Result<u16, Exit> {
    let bytes = whole(packet, what.l3)?;
    match what.whose {
        Whose::Relay => {
            let relay = cx.topology.relay().ok_or(Drop::NotForUs)?;
            let hop = match what.from {
                Side::Ipv4 => &relay.hop6,
                Side::Ipv6 => &relay.hop4,
            };
            let hop = hop.as_ref().ok_or(Drop::NoNeighbor)?;
            let engine = relay.engine(what.id, what.hairpinned);
            make((bytes, what.from), &engine, Link::Hop(hop), pool, pieces)?;
            Ok(hop.port)
        }
        Whose::Outsider(index, node) => {
            let way = outsider::way_out(cx, bytes, index, node)?;
            let engine = way.engine(what.id);
            make((bytes, what.from), &engine, way.link, pool, pieces)?;
            Ok(way.port)
        }
        Whose::Node(node) => {
            let way = outsider::way_in(cx, bytes, node)?;
            let engine = way.engine(what.id);
            make((bytes, what.from), &engine, way.link, pool, pieces)?;
            Ok(way.port)
        }
    }
}

fn make<P: Packet, Po: Pool<Packet = P>, A: Addresses>(
    (bytes, from): (&[u8], Side),
    engine: &rfc7915::Context<'_, A>,
    link: Link<'_>,
    pool: &mut Po,
    out: &mut ArrayVec<P, MOST_PIECES>,
) -> Result<(), Exit> {
    let pieces = match from {
        Side::Ipv4 => rfc7915::pieces_to_ipv6(bytes, engine)?,
        Side::Ipv6 => rfc7915::pieces_to_ipv4(bytes, engine)?,
    };
    for piece in pieces.iter() {
        let mut packet = pool.alloc().ok_or(Drop::NoBuffer)?;
        for part in piece.parts() {
            packet.append(part)?;
        }
        packet.prepend(link.len())?;
        link.write(packet.head_mut()).ok_or(Drop::NoBuffer)?;
        out.try_push(packet).map_err(|_| Drop::TooBig)?;
    }
    Ok(())
}
