//! Cases on the engine alone, with what its caller adds: the second pass of
//! hairpinning, fragments, and the errors that a sender is told.

use weft::siit::rfc7915::{
    Context, Done, Hairpin, Piece, Refusal, Reply, Translated, pieces_to_ipv4, pieces_to_ipv6,
    to_ipv4, to_ipv6,
};
use weft::wire::{icmpv4, icmpv6, ipv4, ipv6};

use super::bytes::Packet;
use super::case::{Case, Exchange};
use super::world::World;

/// Identifications that must make no difference.
const IDS: [u16; 4] = [0, 1, 0x8000, 0xffff];

/// Runs a case; an error tells what came instead, in lines.
pub(super) fn run(case: &Case) -> Result<(), String> {
    let world = World::of(case).map_err(|problem| format!("   {problem}\n"))?;
    for exchange in &case.exchanges {
        for id in IDS {
            let found = translate(&world, exchange.input.version, &exchange.input.bytes, id);
            compare(&world, exchange, found)?;
        }
    }
    Ok(())
}

/// The packets that leave.
fn translate(world: &World, version: u8, packet: &[u8], id: u16) -> Result<Vec<Vec<u8>>, Refusal> {
    let cx = Context {
        rules: &world.rules,
        addresses: &world.addresses,
        id,
        hairpinned: false,
    };
    if version == 4 {
        return match to_ipv6(packet, &cx)? {
            Done::Whole(whole) => Ok(vec![joined(&whole, packet)]),
            Done::Cut => Ok(pieces_to_ipv6(packet, &cx)?.iter().map(flat).collect()),
        };
    }
    let whole = match to_ipv4(packet, &cx)? {
        Done::Whole(whole) => whole,
        Done::Cut => return Ok(pieces_to_ipv4(packet, &cx)?.iter().map(flat).collect()),
    };
    let once = joined(&whole, packet);
    if !whole.hairpin {
        return Ok(vec![once]);
    }
    assert_eq!(world.rules.hairpin, Hairpin::Intrinsic);
    let back = Context {
        hairpinned: true,
        ..cx
    };
    match to_ipv6(&once, &back).map_err(turned)? {
        Done::Whole(whole) => Ok(vec![joined(&whole, &once)]),
        Done::Cut => Ok(pieces_to_ipv6(&once, &back)?.iter().map(flat).collect()),
    }
}

/// A refusal of the second pass, for the IPv6 system that sent the packet: of
/// what is said about IPv4 only a size means something to it.
fn turned(refusal: Refusal) -> Refusal {
    let too_big = refusal
        .reply
        .filter(|reply| (reply.kind, reply.code) == (3, 4));
    Refusal {
        why: refusal.why,
        reply: too_big.map(|reply| Reply {
            kind: 2,
            code: 0,
            word: reply.word + 20,
        }),
    }
}

fn joined(translated: &Translated, packet: &[u8]) -> Vec<u8> {
    [&translated.head[..], &packet[translated.rest.clone()]].concat()
}

fn flat(piece: Piece<'_>) -> Vec<u8> {
    piece.parts().concat()
}

fn compare(
    world: &World,
    exchange: &Exchange,
    found: Result<Vec<Vec<u8>>, Refusal>,
) -> Result<(), String> {
    match (found, &exchange.drop) {
        (Ok(found), None) => same_packets(&exchange.outputs, &found),
        (Err(refusal), Some(why)) => {
            let name = snake(&format!("{:?}", refusal.why));
            if name != *why {
                return Err(format!("   dropped as {name}, not as {why}\n"));
            }
            same_reply(exchange, told(world, &exchange.input, refusal.reply))
        }
        (Ok(found), Some(why)) => {
            let mut text = format!("   not dropped as {why}, but sent:\n");
            for packet in found {
                let packet: Vec<String> = packet.iter().map(|b| format!("{b:02x}")).collect();
                text += &format!("     {}\n", packet.join(" "));
            }
            Err(text)
        }
        (Err(refusal), None) => Err(format!("   dropped: {refusal:?}\n")),
    }
}

fn same_packets(expected: &[Packet], found: &[Vec<u8>]) -> Result<(), String> {
    let lengths = || found.iter().map(Vec::len).collect::<Vec<_>>();
    if expected.len() != found.len() {
        let counts = (expected.len(), found.len());
        return Err(format!(
            "   {} packets expected, {} found, of {:?} bytes\n",
            counts.0,
            counts.1,
            lengths()
        ));
    }
    let pairs = || expected.iter().zip(found);
    if let Some((packet, bytes)) = pairs().find(|(packet, bytes)| !packet.matches(bytes)) {
        return Err(packet.diff(bytes));
    }
    // Fragments of one packet say so.
    let ids: Vec<_> = pairs().filter_map(|(p, bytes)| p.free_id(bytes)).collect();
    if ids.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("   fragments of different packets\n".to_owned());
    }
    Ok(())
}

fn same_reply(exchange: &Exchange, found: Option<Vec<u8>>) -> Result<(), String> {
    match (&exchange.reply, found) {
        (None, None) => Ok(()),
        (None, Some(bytes)) => Err(format!("   its sender is told: {bytes:02x?}\n")),
        (Some(_), None) => Err("   its sender is told nothing\n".to_owned()),
        (Some(packet), Some(bytes)) if packet.matches(&bytes) => Ok(()),
        (Some(packet), Some(bytes)) => Err(packet.diff(&bytes)),
    }
}

/// The error that the relay sends, if one may be sent.
fn told(world: &World, input: &Packet, reply: Option<Reply>) -> Option<Vec<u8>> {
    let Reply { kind, code, word } = reply?;
    let sort = (kind, code, word);
    let packet = &input.bytes;
    if input.version == 4 {
        let header = ipv4::Header::parse_unchecked(packet)?;
        if !icmpv4::may_answer_with_error(&header, &packet[usize::from(header.header_len)..]) {
            return None;
        }
        let mut out = [0; icmpv4::MAX_ERROR_LEN];
        let len = icmpv4::error_of(sort, world.own4, packet, &mut out)?;
        return Some(out[..len].to_vec());
    }
    let header = ipv6::Header::parse_quoted(packet).ok()?;
    if !icmpv6::may_answer_with_error(&header, &packet[ipv6::HEADER_LEN..], (kind, code)) {
        return None;
    }
    let mut out = [0; icmpv6::MAX_ERROR_LEN];
    let len = icmpv6::error(sort, &world.own6, packet, &mut out)?;
    Some(out[..len].to_vec())
}

/// `TtlExceeded` as `ttl_exceeded`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
