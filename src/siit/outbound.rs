//! From a node to the substrate.
//!
//! ```text
//! before   | ... room ...   | IPv4 header, options | payload |
//! after    | IPv6 header [| Fragment header]       | payload |
//!          ^ buf                                   ^ substrate_header_len
//! ```
//!
//! The payload stays where it is. The caller parses the IPv4 header, moves the
//! packet's front by [`growth`], and calls [`outbound`] on what then begins
//! where the IPv6 header will stand.

use super::{HOP_LIMIT, Mode, Refusal, transport};
use crate::wire::flowlabel::{Label, Tag};
use crate::wire::{Saddr, Vaddr, checksum, icmpv4, icmpv6, ipv4, ipv6, protocol};

/// What translation needs beside the packet.
#[derive(Clone, Copy, Debug)]
pub struct Outbound {
    pub src: Saddr,
    pub dst: Saddr,
    /// [`address_delta`](super::address_delta) of both ends.
    pub checksum_delta: u16,
    pub mode: Mode,
    /// TOS, as the network's DSCP rule leaves it; ECN always copied.
    pub traffic_class: u8,
    /// Nine bits of flow hash.
    pub entropy: u16,
}

/// How long the headers are that stand before the payload on the substrate.
#[inline]
pub fn substrate_header_len(h: &ipv4::Header) -> usize {
    if h.is_fragment() {
        ipv6::HEADER_LEN + ipv6::FRAGMENT_LEN
    } else {
        ipv6::HEADER_LEN
    }
}

/// By how many bytes the packet's front moves outward: 20, or 28 for a
/// fragment, less the options' length. Negative if options outweigh it: then
/// the packet's front is trimmed.
#[inline]
pub fn growth(h: &ipv4::Header) -> isize {
    substrate_header_len(h) as isize - isize::from(h.header_len)
}

/// Writes the IPv6 headers of the packet whose IPv4 header was `h` into the
/// front of `buf` and adjusts its payload. Returns the length of the IPv6
/// packet; what `buf` holds beyond it is padding. `buf` may end before the
/// payload does, if the packet goes on in further segments.
#[inline(always)]
pub fn outbound(buf: &mut [u8], h: &ipv4::Header, cx: &Outbound) -> Result<usize, Refusal> {
    check(h)?;
    carry(buf, h, cx)
}

/// Whether a packet with this header may be carried at all.
#[inline(always)]
pub fn check(h: &ipv4::Header) -> Result<(), Refusal> {
    if protocol::is_not_carried(h.protocol) {
        return Err(Refusal::ProtocolNotCarried);
    }
    if h.ttl == 0 {
        return Err(Refusal::TtlZero);
    }
    Ok(())
}

/// [`outbound`] of a packet whose header has passed [`check`].
#[inline(always)]
pub fn carry(buf: &mut [u8], h: &ipv4::Header, cx: &Outbound) -> Result<usize, Refusal> {
    let (front, rest) = buf
        .split_first_chunk_mut::<{ ipv6::HEADER_LEN }>()
        .ok_or(Refusal::TooShort)?;
    let payload_len = h.payload_len();
    let label = |tag| Label {
        ttl: h.ttl,
        df: h.df,
        tag,
        entropy: cx.entropy,
    };
    let mut header = ipv6::Header {
        traffic_class: cx.traffic_class,
        flow_label: 0,
        payload_len: payload_len as u16,
        next_header: h.protocol,
        hop_limit: HOP_LIMIT,
        src: cx.src,
        dst: cx.dst,
    };
    if h.is_fragment() {
        let (fragment, payload) = rest
            .split_first_chunk_mut::<{ ipv6::FRAGMENT_LEN }>()
            .ok_or(Refusal::TooShort)?;
        header.flow_label = label(payload_to_substrate(payload, h, cx)?.0).encode();
        header.next_header = protocol::FRAGMENT;
        header.payload_len = (payload_len + ipv6::FRAGMENT_LEN) as u16;
        *fragment = ipv6::Fragment {
            next_header: h.protocol,
            offset: h.offset,
            more: h.mf,
            id: u32::from(h.id),
        }
        .bytes();
    } else {
        let (tag, next_header) = payload_to_substrate(rest, h, cx)?;
        header.flow_label = label(tag).encode();
        header.next_header = next_header;
    }
    *front = header.bytes();
    Ok(ipv6::HEADER_LEN + usize::from(header.payload_len))
}

/// Adjusts the payload to its new header; returns under which tag it travels
/// and as which next header.
#[inline(always)]
fn payload_to_substrate(
    payload: &mut [u8],
    h: &ipv4::Header,
    cx: &Outbound,
) -> Result<(Tag, u8), Refusal> {
    if cx.mode == Mode::Transparent {
        return Ok((Tag::Transparent, h.protocol));
    }
    if let Some(at) = transport::checksum_at(h.protocol, h.offset, h.payload_len()) {
        let field = transport::field(payload, at)?;
        let value = u16::from_be_bytes(*field);
        if value == 0xffff && h.protocol == protocol::TCP {
            return Ok((Tag::Transparent, h.protocol));
        }
        *field = transport::adjust(h.protocol, value, cx.checksum_delta).to_be_bytes();
    } else if h.protocol == protocol::ICMP && !h.is_fragment() {
        return Ok((
            Tag::Siit,
            echo_to_substrate(payload, (h.src, h.dst), h.payload_len(), cx.checksum_delta)?,
        ));
    }
    Ok((Tag::Siit, h.protocol))
}

/// Makes an ICMPv6 echo of an ICMP echo; leaves every other message alone.
/// Returns the next header.
#[inline(never)]
fn echo_to_substrate(
    payload: &mut [u8],
    (src, dst): (Vaddr, Vaddr),
    payload_len: usize,
    checksum_delta: u16,
) -> Result<u8, Refusal> {
    if payload_len < icmpv4::HEADER_LEN {
        return Ok(protocol::ICMP);
    }
    let head = payload
        .first_chunk_mut::<{ icmpv4::HEADER_LEN }>()
        .ok_or(Refusal::HeadersSplit)?;
    let mut message = icmpv6::Header::from_bytes(*head);
    let request = match (message.kind, message.code, message.checksum) {
        (_, _, 0xffff) => return Ok(protocol::ICMP),
        (icmpv4::kind::ECHO_REQUEST, 0, _) => true,
        (icmpv4::kind::ECHO_REPLY, 0, _) => false,
        _ => return Ok(protocol::ICMP),
    };
    message.kind = if request {
        icmpv6::kind::ECHO_REQUEST
    } else {
        icmpv6::kind::ECHO_REPLY
    };
    let delta = transport::echo_delta(checksum_delta, src, dst, payload_len, request);
    message.checksum = checksum::adjust(message.checksum, delta);
    *head = message.bytes();
    Ok(protocol::ICMPV6)
}
