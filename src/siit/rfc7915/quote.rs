//! The packet inside an ICMP error (RFC 7915 sections 4.3 and 5.3): translated
//! like any other, but for its TTL, and though it may be cut short anywhere.
//!
//! Its lengths are reckoned from what its header says, not from the bytes there
//! are. A checksum that was not quoted needs no adjusting. One packet is all
//! that is looked into: an error about an error is refused.

use super::icmp::Sort;
use super::transport::{Covered, Part, icmp_header, pseudo_header};
use super::{Addresses, Context, Hairpin, MAX_HEAD, Mapped4, NoAddress, Why};
use crate::wire::{Saddr, Vaddr, checksum, icmpv6, ipv4, ipv6, protocol};
use arrayvec::ArrayVec;

/// What the outer packet's translation wants to know of a packet that was
/// translated to IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Quoted6 {
    pub header: ipv4::Header,
    /// To whom it was written, as IPv6 knows it.
    pub dst: Saddr,
}

/// The same of one that was translated to IPv4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Quoted4 {
    pub src: Mapped4,
    pub dst: Vaddr,
    /// It has a Fragment header.
    pub fragment: bool,
}

fn refused(no: NoAddress) -> Why {
    match no {
        NoAddress::Denied => Why::Denied,
        NoAddress::Unmapped | NoAddress::Illegal => Why::InnerUntranslatable,
    }
}

/// Appends an IPv4 packet's translation to `head`, as far as there is room.
pub(super) fn to_ipv6<A: Addresses>(
    quote: &[u8],
    padded: bool,
    cx: &Context<'_, A>,
    head: &mut ArrayVec<u8, MAX_HEAD>,
) -> Result<Quoted6, Why> {
    let h = ipv4::Header::parse_unchecked(quote).ok_or(Why::InnerUntranslatable)?;
    let payload = rest(quote, usize::from(h.header_len), h.total_len.into(), padded)?;
    let simple = cx.hairpinned || cx.rules.hairpin == Hairpin::Simple;
    let src = cx.addresses.to_ipv6(h.src, true).map_err(refused)?;
    let dst = cx.addresses.to_ipv6(h.dst, !simple).map_err(refused)?;
    let is_icmp = h.protocol == protocol::ICMP;
    let next_header = if is_icmp {
        protocol::ICMPV6
    } else {
        h.protocol
    };
    let growth = if h.is_fragment() {
        ipv6::FRAGMENT_LEN
    } else {
        0
    };
    let header = ipv6::Header {
        traffic_class: cx.rules.traffic_class.of(h.tos),
        flow_label: 0,
        // At most 65,535 less the IPv4 header, so with the Fragment header too.
        payload_len: (h.payload_len() + growth) as u16,
        next_header: if h.is_fragment() {
            protocol::FRAGMENT
        } else {
            next_header
        },
        hop_limit: h.ttl,
        src,
        dst,
    };
    put(head, &header.bytes());
    if h.is_fragment() {
        let fragment = ipv6::Fragment {
            next_header,
            offset: h.offset,
            more: h.mf,
            id: h.id.into(),
        };
        put(head, &fragment.bytes());
    }
    let start = head.len();
    put(head, payload);
    let part = Part::of(h.offset, h.mf);
    let old = u64::from(h.src.0) + u64::from(h.dst.0);
    let new = checksum::sum(&src) + checksum::sum(&dst);
    let payload = &mut head[start..];
    if is_icmp {
        let pseudo = pseudo_header(new, h.payload_len());
        translate_icmp(payload, part, (0, pseudo), |sort| {
            if sort.is_error4() {
                return Err(Why::InnerError);
            }
            sort.query_to_ipv6().ok_or(Why::InnerUntranslatable)
        })?;
    } else {
        adjust(payload, part, h.protocol, checksum::delta(old, new));
    }
    Ok(Quoted6 { header: h, dst })
}

/// Appends an IPv6 packet's translation to `head`, as far as there is room.
pub(super) fn to_ipv4<A: Addresses>(
    quote: &[u8],
    padded: bool,
    cx: &Context<'_, A>,
    head: &mut ArrayVec<u8, MAX_HEAD>,
) -> Result<Quoted4, Why> {
    let h = ipv6::Header::parse_quoted(quote).map_err(|_| Why::InnerUntranslatable)?;
    let upper = ipv6::upper(h.next_header, &quote[ipv6::HEADER_LEN..])
        .map_err(|_| Why::InnerUntranslatable)?;
    let headers_len = ipv6::HEADER_LEN + upper.offset;
    let whole_len = ipv6::HEADER_LEN + usize::from(h.payload_len);
    let payload = rest(quote, headers_len, whole_len, padded)?;
    let payload_len = whole_len - headers_len;
    let total_len =
        u16::try_from(ipv4::HEADER_LEN + payload_len).map_err(|_| Why::InnerUntranslatable)?;
    let src = cx.addresses.to_ipv4(&h.src).map_err(refused)?;
    let dst = cx.addresses.to_ipv4(&h.dst).map_err(refused)?.address;
    let is_icmp = upper.protocol == protocol::ICMPV6;
    let header = super::to_ipv4::header(
        &upper,
        // Which ID the packet had is not known on this side.
        0,
        ipv4::Header {
            tos: cx.rules.tos.of(h.traffic_class),
            total_len,
            ttl: h.hop_limit,
            protocol: if is_icmp {
                protocol::ICMP
            } else {
                upper.protocol
            },
            src: src.address,
            dst,
            ..super::to_ipv4::EMPTY
        },
    );
    put(head, &header.bytes());
    let start = head.len();
    put(head, payload);
    let part = Part::of(header.offset, header.mf);
    let old = checksum::sum(&h.src) + checksum::sum(&h.dst);
    let new = u64::from(src.address.0) + u64::from(dst.0);
    let payload = &mut head[start..];
    if is_icmp {
        let pseudo = pseudo_header(old, payload_len);
        translate_icmp(payload, part, (pseudo, 0), |sort| {
            if sort.is_error6() {
                return Err(Why::InnerError);
            }
            sort.query_to_ipv4().ok_or(Why::InnerUntranslatable)
        })?;
    } else {
        adjust(payload, part, upper.protocol, checksum::delta(old, new));
    }
    Ok(Quoted4 {
        src,
        dst,
        fragment: upper.fragment.is_some(),
    })
}

/// What is quoted behind the headers. Zeros that pad a packet to where an
/// extension begins are not part of it.
fn rest(quote: &[u8], headers_len: usize, whole_len: usize, padded: bool) -> Result<&[u8], Why> {
    let end = if padded {
        quote.len().min(whole_len)
    } else {
        quote.len()
    };
    if whole_len < headers_len {
        return Err(Why::InnerUntranslatable);
    }
    quote.get(headers_len..end).ok_or(Why::InnerUntranslatable)
}

/// Appends bytes, as far as there is room.
fn put(head: &mut ArrayVec<u8, MAX_HEAD>, bytes: &[u8]) {
    let len = bytes.len().min(head.remaining_capacity());
    // Cannot fail: the room was asked for.
    let _ = head.try_extend_from_slice(&bytes[..len]);
}

fn adjust(payload: &mut [u8], part: Part, protocol: u8, delta: u16) {
    if part != Part::Later
        && let Some(covered) = Covered::of(protocol)
    {
        covered.adjust(payload, delta);
    }
}

/// Exchanges the type of a quoted echo, and adjusts its checksum if it has one.
/// Of a first fragment the checksum stays: it covers a length that only the
/// last one knows.
fn translate_icmp(
    payload: &mut [u8],
    part: Part,
    (pseudo, new_pseudo): (u64, u64),
    translate: impl FnOnce(Sort) -> Result<Sort, Why>,
) -> Result<(), Why> {
    if part == Part::Later {
        return Ok(());
    }
    // What is not quoted of the header counts as zeros, before and after.
    let mut bytes = [0; icmpv6::HEADER_LEN];
    let len = payload.len().min(bytes.len());
    bytes[..len].copy_from_slice(&payload[..len]);
    if len == 0 {
        return Ok(());
    }
    let old = icmpv6::Header::from_bytes(bytes);
    let sort = translate(Sort::read(&old))?;
    let sums = (
        pseudo + (u64::from(old.kind) << 8),
        new_pseudo + (u64::from(sort.kind) << 8),
    );
    let mut new = icmp_header(&old, sort, sums);
    if part == Part::First {
        new.checksum = old.checksum;
    }
    payload[..len].copy_from_slice(&new.bytes()[..len]);
    Ok(())
}
