//! From IPv4 to IPv6: RFC 7915 section 4.

use super::cut::{Front, Made};
use super::extensions::Family;
use super::icmp::{FRAGMENT_GROWTH, GROWTH, Sort};
use super::transport::{Covered, Part, icmp_header, is_zero, pseudo_header, udp_checksum};
use super::{
    Addresses, Context, Hairpin, NoAddress, Refusal, Reply, Translated, UdpZero, Why, quote,
};
use crate::wire::{Saddr, checksum, icmpv4, icmpv6, ipv4, ipv6, protocol};

/// What a sender is told where the RFC names nothing else (section 4.4).
const PROHIBITED: Option<Reply> = Some(Reply {
    kind: icmpv4::kind::UNREACHABLE,
    code: icmpv4::unreachable::COMMUNICATION_PROHIBITED,
    word: 0,
});

fn refuse(why: Why, reply: Option<Reply>) -> Refusal {
    Refusal { why, reply }
}

impl From<ipv4::Malformed> for Refusal {
    fn from(malformed: ipv4::Malformed) -> Refusal {
        Refusal::from(match malformed {
            ipv4::Malformed::TooShort => Why::TooShort,
            ipv4::Malformed::BadVersion => Why::BadVersion,
            ipv4::Malformed::BadHeaderLength => Why::BadHeaderLength,
            ipv4::Malformed::BadTotalLength => Why::BadLength,
            ipv4::Malformed::BadHeaderChecksum => Why::BadHeaderChecksum,
        })
    }
}

fn bad_source(no: NoAddress) -> Refusal {
    match no {
        NoAddress::Unmapped => refuse(Why::SourceUnmapped, PROHIBITED),
        NoAddress::Denied => refuse(Why::Denied, PROHIBITED),
        // Silently: RFC 1812 section 5.3.7.
        NoAddress::Illegal => Why::IllegalSource.into(),
    }
}

fn bad_destination(no: NoAddress) -> Refusal {
    match no {
        NoAddress::Unmapped => refuse(Why::DestinationUnmapped, PROHIBITED),
        NoAddress::Denied => refuse(Why::Denied, PROHIBITED),
        NoAddress::Illegal => refuse(Why::IllegalDestination, PROHIBITED),
    }
}

/// A checked header, and where its payload lies.
struct Arrived<'a> {
    h: ipv4::Header,
    packet: &'a [u8],
    payload: &'a [u8],
    part: Part,
}

impl<'p> Arrived<'p> {
    fn read(packet: &'p [u8]) -> Result<Arrived<'p>, Refusal> {
        let h = ipv4::Header::parse(packet)?;
        let (header_len, total_len) = (usize::from(h.header_len), usize::from(h.total_len));
        let options = packet.get(ipv4::HEADER_LEN..header_len).unwrap_or(&[]);
        // Also those that do not add up are ignored (section 4.1).
        if ipv4::options(options) == ipv4::Options::SourceRoute {
            let reply = Reply {
                kind: icmpv4::kind::UNREACHABLE,
                code: icmpv4::unreachable::SOURCE_ROUTE_FAILED,
                word: 0,
            };
            return Err(refuse(Why::SourceRoute, Some(reply)));
        }
        let payload = packet.get(header_len..total_len).ok_or(Why::BadLength)?;
        if usize::from(h.offset) * 8 + payload.len() + ipv4::HEADER_LEN > usize::from(u16::MAX) {
            return Err(Why::BadFragment.into());
        }
        Ok(Arrived {
            part: Part::of(h.offset, h.mf),
            h,
            packet,
            payload,
        })
    }

    fn next_header(&self) -> u8 {
        match self.h.protocol {
            protocol::ICMP => protocol::ICMPV6,
            other => other,
        }
    }

    /// The hop limit, spent by this hop unless a turn spent it before.
    fn hop_limit(&self, hairpinned: bool) -> Result<u8, Refusal> {
        match self.h.ttl {
            ttl if hairpinned => Ok(ttl),
            0 | 1 => {
                let reply = Reply {
                    kind: icmpv4::kind::TIME_EXCEEDED,
                    code: 0,
                    word: 0,
                };
                Err(refuse(Why::TtlExceeded, Some(reply)))
            }
            ttl => Ok(ttl - 1),
        }
    }

    fn front<A>(&self, cx: &Context<'_, A>, ends: (Saddr, Saddr)) -> Result<Front, Refusal> {
        let fragment = self.h.is_fragment().then_some(ipv6::Fragment {
            next_header: self.next_header(),
            offset: self.h.offset,
            more: self.h.mf,
            id: self.h.id.into(),
        });
        let header = ipv6::Header {
            traffic_class: cx.rules.traffic_class.of(self.h.tos),
            flow_label: 0,
            payload_len: 0,
            next_header: self.next_header(),
            hop_limit: self.hop_limit(cx.hairpinned)?,
            src: ends.0,
            dst: ends.1,
        };
        let id = fragment.map_or(self.h.id.into(), |fragment| fragment.id);
        Ok(Front::Ipv6 {
            header,
            fragment,
            id,
        })
    }
}

/// The translation of a packet, and into how large packets it is to be cut.
pub(super) fn translate<'p, A: Addresses>(
    packet: &'p [u8],
    cx: &Context<'_, A>,
) -> Result<Made<'p>, Refusal> {
    let arrived = Arrived::read(packet)?;
    let h = &arrived.h;
    if h.protocol == protocol::IGMP {
        return Err(Why::IcmpType.into());
    }
    if h.protocol == protocol::ICMP && arrived.part == Part::Whole {
        let message = icmpv6::Header::parse(arrived.payload)
            .ok_or_else(|| refuse(Why::TooShort, PROHIBITED))?;
        if Sort::read(&message).is_error4() {
            // Nobody is told of what becomes of an error.
            return error(&arrived, &message, cx).map_err(|refusal| refusal.why.into());
        }
    }
    let simple = cx.hairpinned || cx.rules.hairpin == Hairpin::Simple;
    let src = cx.addresses.to_ipv6(h.src, !simple).map_err(bad_source)?;
    let dst = cx.addresses.to_ipv6(h.dst, true).map_err(bad_destination)?;
    let front = arrived.front(cx, (src, dst))?;
    let mut translated = Translated::starting(front.len());
    let taken = if h.protocol == protocol::ICMP {
        query(&arrived, (&src, &dst), &mut translated)?
    } else {
        transport(&arrived, (&src, &dst), cx, &mut translated)?
    };
    let at = usize::from(h.header_len);
    translated.rest = at + taken..usize::from(h.total_len);
    let made = Made::new(packet, front, translated);
    let limit = limit(h, made.len(), cx)?;
    Ok(made.limited(limit))
}

/// How large the pieces may be: an error if the packet is larger and says not
/// to be cut.
fn limit<A>(h: &ipv4::Header, len: usize, cx: &Context<'_, A>) -> Result<usize, Refusal> {
    let rules = cx.rules;
    if !h.df {
        let lowest = rules.lowest_ipv6_mtu.min(rules.mtu6);
        return Ok(usize::from(lowest).max(ipv6::MIN_MTU));
    }
    // By the length that the sender knows, options included.
    let growth = if h.is_fragment() {
        FRAGMENT_GROWTH
    } else {
        GROWTH
    };
    if usize::from(h.total_len) + usize::from(growth) > usize::from(rules.mtu6) {
        // The next hop's alone (RFC 1191 section 4).
        let mtu = rules.mtu6.saturating_sub(growth);
        let reply = Reply {
            kind: icmpv4::kind::UNREACHABLE,
            code: icmpv4::unreachable::FRAGMENTATION_NEEDED,
            word: mtu.into(),
        };
        return Err(refuse(Why::TooBig, Some(reply)));
    }
    Ok(len)
}

/// Appends the transport header, as far as it changes; returns how many bytes
/// of the payload it was.
fn transport<A>(
    arrived: &Arrived<'_>,
    (src, dst): (&Saddr, &Saddr),
    cx: &Context<'_, A>,
    translated: &mut Translated,
) -> Result<usize, Refusal> {
    let (h, payload) = (&arrived.h, arrived.payload);
    let Some(covered) = Covered::of(h.protocol).filter(|_| arrived.part != Part::Later) else {
        return Ok(0);
    };
    let Some(header) = payload.get(..covered.len) else {
        return match covered.required {
            true => Err(refuse(arrived.part.too_short(), PROHIBITED)),
            false => Ok(0),
        };
    };
    let new = checksum::sum(src) + checksum::sum(dst);
    let delta = checksum::delta(u64::from(h.src.0) + u64::from(h.dst.0), new);
    let header = translated.push(header);
    if !covered.adjust(header, delta) && h.protocol == protocol::UDP {
        let field = match (cx.rules.udp_zero, arrived.part) {
            (UdpZero::Forward, _) => 0,
            (UdpZero::Compute, Part::Whole) => {
                udp_checksum(payload, new).map_err(|why| refuse(why, PROHIBITED))?
            }
            (UdpZero::Drop, Part::Whole) => {
                return Err(refuse(Why::UdpZeroChecksum, PROHIBITED));
            }
            _ => return Err(refuse(Why::UdpZeroFragment, PROHIBITED)),
        };
        header[covered.at..covered.at + 2].copy_from_slice(&field.to_be_bytes());
    }
    Ok(covered.len)
}

/// The same of an ICMP query or its answer.
fn query(
    arrived: &Arrived<'_>,
    (src, dst): (&Saddr, &Saddr),
    translated: &mut Translated,
) -> Result<usize, Refusal> {
    if arrived.part != Part::Whole {
        return Err(refuse(Why::IcmpFragment, PROHIBITED));
    }
    let mut old = icmpv6::Header::parse(arrived.payload).ok_or(Why::TooShort)?;
    let sort = Sort::read(&old).query_to_ipv6().ok_or(Why::IcmpType)?;
    if is_zero(arrived.payload) {
        // Wrong, and must not become right.
        old.checksum = 1;
    }
    let addresses = checksum::sum(src) + checksum::sum(dst);
    let sums = (
        u64::from(old.kind) << 8,
        pseudo_header(addresses, arrived.payload.len()) + (u64::from(sort.kind) << 8),
    );
    translated.push(&icmp_header(&old, sort, sums).bytes());
    Ok(icmpv6::HEADER_LEN)
}

/// An ICMP error: all of it becomes head.
fn error<'p, A: Addresses>(
    arrived: &Arrived<'p>,
    old: &icmpv6::Header,
    cx: &Context<'_, A>,
) -> Result<Made<'p>, Refusal> {
    let (h, payload) = (&arrived.h, arrived.payload);
    let came = Sort::read(old);
    // Whether it has a counterpart does not depend on what it quotes.
    came.error_to_ipv6(0, cx.rules).ok_or(Why::IcmpType)?;
    let parts = Family::Ipv4.split(old, &payload[icmpv6::HEADER_LEN..]);
    let mut translated = Translated::starting(ipv6::HEADER_LEN + icmpv6::HEADER_LEN);
    let start = translated.head.len();
    let quoted = quote::to_ipv6(parts.quote, parts.padded, cx, &mut translated.head)?;
    let mut sort = came
        .error_to_ipv6(quoted.header.total_len, cx.rules)
        .ok_or(Why::IcmpType)?;
    // RFC 7757 section 4.2.1: rule 3.
    let simple = cx.hairpinned || cx.rules.hairpin == Hairpin::Simple;
    let explicit = !(simple && h.src == quoted.header.dst);
    let src = match cx.addresses.to_ipv6(h.src, explicit) {
        Ok(src) => src,
        Err(NoAddress::Denied) => return Err(Why::Denied.into()),
        // Also an illegal one, so that there is something to be found.
        Err(no) => cx
            .addresses
            .error_source6(h.src, &quoted.dst)
            .ok_or(bad_source(no))?,
    };
    let dst = cx.addresses.to_ipv6(h.dst, true).map_err(bad_destination)?;
    let front = arrived.front(cx, (src, dst))?;
    let limits = (start, icmpv6::MAX_ERROR_LEN);
    sort.word |= Family::Ipv6.join(sort.kind, &mut translated.head, limits, parts.structure);
    let bare = icmpv6::Header {
        checksum: 0,
        ..*old
    };
    let sum = checksum::sum(&bare.bytes()) + checksum::sum(&payload[icmpv6::HEADER_LEN..]);
    translated.seal(start, old, sort, |message_len| {
        let addresses = checksum::sum(&src) + checksum::sum(&dst);
        (sum, pseudo_header(addresses, message_len))
    });
    Ok(Made::new(arrived.packet, front, translated))
}
