//! From IPv6 to IPv4: RFC 7915 section 5.

use super::cut::{Front, Made};
use super::extensions::{self, Family};
use super::icmp::{GROWTH, Sort};
use super::transport::{Covered, Part, icmp_header, is_zero, pseudo_header};
use super::{
    Addresses, Context, Hairpin, MAX_HEAD, NoAddress, Refusal, Reply, Translated, Why, quote,
};
use crate::wire::{Vaddr, checksum, icmpv4, icmpv6, ipv4, ipv6, protocol};

/// The largest packet that says it may be cut: it fits the least IPv6 link when
/// it is translated back (section 5.1).
pub const MAY_BE_CUT: usize = ipv6::MIN_MTU - GROWTH as usize;

/// A header to fill in.
pub(super) const EMPTY: ipv4::Header = ipv4::Header {
    tos: 0,
    total_len: 0,
    id: 0,
    reserved: false,
    df: false,
    mf: false,
    offset: 0,
    ttl: 0,
    protocol: 0,
    src: Vaddr(0),
    dst: Vaddr(0),
    header_len: ipv4::HEADER_LEN as u8,
};

/// A header with all that has to do with fragments: from the Fragment header
/// (section 5.1.1), which also an atomic fragment has, or else `id` and what
/// the length says (section 5.1).
pub(super) fn header(upper: &ipv6::Upper, id: u16, h: ipv4::Header) -> ipv4::Header {
    match upper.fragment {
        Some(fragment) => ipv4::Header {
            id: fragment.id as u16,
            df: false,
            mf: fragment.more,
            offset: fragment.offset,
            ..h
        },
        None => ipv4::Header {
            id,
            df: usize::from(h.total_len) > MAY_BE_CUT,
            ..h
        },
    }
}

impl From<ipv6::Malformed> for Refusal {
    fn from(malformed: ipv6::Malformed) -> Refusal {
        Refusal::from(match malformed {
            ipv6::Malformed::TooShort => Why::TooShort,
            ipv6::Malformed::BadVersion => Why::BadVersion,
            ipv6::Malformed::BadPayloadLength => Why::BadLength,
        })
    }
}

impl From<ipv6::BadChain> for Refusal {
    fn from(bad: ipv6::BadChain) -> Refusal {
        match bad {
            ipv6::BadChain::TooShort(at) => bad_field(Why::BadExtensions, at),
            ipv6::BadChain::SegmentsLeft(at) => bad_field(Why::SegmentsLeft, at),
            ipv6::BadChain::Fragmented => Refusal {
                why: Why::FragmentedExtensions,
                reply: PROHIBITED,
            },
        }
    }
}

/// A parameter problem with a field, by its place behind the fixed header.
fn bad_field(why: Why, at: usize) -> Refusal {
    Refusal {
        why,
        reply: Some(Reply {
            kind: icmpv6::kind::PARAMETER_PROBLEM,
            code: icmpv6::parameter::FIELD,
            word: (ipv6::HEADER_LEN + at) as u32,
        }),
    }
}

/// What a sender is told where the RFC names nothing else (section 5.4).
const PROHIBITED: Option<Reply> = Some(Reply {
    kind: icmpv6::kind::UNREACHABLE,
    code: icmpv6::unreachable::PROHIBITED,
    word: 0,
});

/// A checked header, and where its payload lies.
struct Arrived<'a> {
    h: ipv6::Header,
    upper: ipv6::Upper,
    packet: &'a [u8],
    payload: &'a [u8],
    part: Part,
}

impl<'p> Arrived<'p> {
    fn read(packet: &'p [u8]) -> Result<Arrived<'p>, Refusal> {
        let h = ipv6::Header::parse(packet)?;
        let end = ipv6::HEADER_LEN + usize::from(h.payload_len);
        let behind = packet.get(ipv6::HEADER_LEN..end).ok_or(Why::BadLength)?;
        let upper = ipv6::upper(h.next_header, behind)?;
        let payload = behind.get(upper.offset..).ok_or(Why::BadExtensions)?;
        let part = upper.fragment.map_or(Part::Whole, |fragment| {
            Part::of(fragment.offset, fragment.more)
        });
        let arrived = Arrived {
            h,
            upper,
            packet,
            payload,
            part,
        };
        if let Some(fragment) = upper.fragment {
            // What it is part of would be too long for IPv4, if not for IPv6.
            let reaches = usize::from(fragment.offset) * 8 + payload.len() + ipv4::HEADER_LEN;
            if reaches > usize::from(u16::MAX) {
                return Err(arrived.prohibited(Why::BadFragment));
            }
        }
        Ok(arrived)
    }

    /// Discarded; the sender is told so, but not of ICMPv6.
    fn prohibited(&self, why: Why) -> Refusal {
        Refusal {
            why,
            reply: PROHIBITED.filter(|_| self.upper.protocol != protocol::ICMPV6),
        }
    }

    fn bad_source(&self, no: NoAddress) -> Refusal {
        match no {
            NoAddress::Unmapped => self.prohibited(Why::SourceUnmapped),
            NoAddress::Denied => self.prohibited(Why::Denied),
            NoAddress::Illegal => Why::IllegalSource.into(),
        }
    }

    fn bad_destination(&self, no: NoAddress) -> Refusal {
        self.prohibited(match no {
            NoAddress::Unmapped => Why::DestinationUnmapped,
            NoAddress::Denied => Why::Denied,
            NoAddress::Illegal => Why::IllegalDestination,
        })
    }

    fn ttl(&self) -> Result<u8, Refusal> {
        match self.h.hop_limit {
            0 | 1 => Err(Refusal {
                why: Why::TtlExceeded,
                reply: Some(Reply {
                    kind: icmpv6::kind::TIME_EXCEEDED,
                    code: 0,
                    word: 0,
                }),
            }),
            hop_limit => Ok(hop_limit - 1),
        }
    }

    /// The IPv4 header but for its length, and for what depends on that.
    fn front<A>(
        &self,
        cx: &Context<'_, A>,
        (src, dst): (Vaddr, Vaddr),
    ) -> Result<ipv4::Header, Refusal> {
        Ok(ipv4::Header {
            tos: cx.rules.tos.of(self.h.traffic_class),
            ttl: self.ttl()?,
            protocol: match self.upper.protocol {
                protocol::ICMPV6 => protocol::ICMP,
                other => other,
            },
            src,
            dst,
            ..EMPTY
        })
    }

    /// Decides over the size of what was made.
    fn made<A>(
        &self,
        front: ipv4::Header,
        translated: Translated,
        cx: &Context<'_, A>,
    ) -> Result<Made<'p>, Refusal> {
        let len = translated.len();
        let rules = cx.rules;
        let too_big = || Refusal {
            why: Why::TooBig,
            reply: Some(Reply {
                kind: icmpv6::kind::PACKET_TOO_BIG,
                code: 0,
                // The next hop's alone (RFC 4443 section 3.2).
                word: (u32::from(rules.mtu4) + u32::from(GROWTH)).max(ipv6::MIN_MTU as u32),
            }),
        };
        let total_len = u16::try_from(len).map_err(|_| too_big())?;
        let front = header(&self.upper, cx.id, ipv4::Header { total_len, ..front });
        // What turns around here never sees a link of IPv4.
        let limit = if translated.hairpin {
            len
        } else {
            usize::from(rules.mtu4).max(LEAST_MTU)
        };
        if front.df && len > limit {
            return Err(too_big());
        }
        Ok(Made::new(self.packet, Front::Ipv4(front), translated).limited(limit))
    }
}

/// No link of IPv4 takes less (RFC 791).
const LEAST_MTU: usize = 68;

/// The translation of a packet, and into how large packets it is to be cut.
pub(super) fn translate<'p, A: Addresses>(
    packet: &'p [u8],
    cx: &Context<'_, A>,
) -> Result<Made<'p>, Refusal> {
    let arrived = Arrived::read(packet)?;
    let is_icmp = arrived.upper.protocol == protocol::ICMPV6;
    if is_icmp && arrived.part == Part::Whole {
        let message =
            icmpv6::Header::parse(arrived.payload).ok_or(arrived.prohibited(Why::TooShort))?;
        if Sort::read(&message).is_error6() {
            // Nobody is told of what becomes of an error.
            return error(&arrived, &message, cx).map_err(|refusal| refusal.why.into());
        }
    }
    let src = cx
        .addresses
        .to_ipv4(&arrived.h.src)
        .map_err(|no| arrived.bad_source(no))?;
    let dst = cx
        .addresses
        .to_ipv4(&arrived.h.dst)
        .map_err(|no| arrived.bad_destination(no))?;
    let front = arrived.front(cx, (src.address, dst.address))?;
    let mut translated = Translated::starting(ipv4::HEADER_LEN);
    // RFC 7757 section 4.2.2: condition set A.
    translated.hairpin = cx.rules.hairpin == Hairpin::Intrinsic
        && !dst.explicit
        && cx.addresses.is_explicit(dst.address);
    let taken = if is_icmp {
        query(&arrived, &mut translated)?
    } else {
        transport(&arrived, (src.address, dst.address), &mut translated)?
    };
    let end = ipv6::HEADER_LEN + usize::from(arrived.h.payload_len);
    translated.rest = end - arrived.payload.len() + taken..end;
    arrived.made(front, translated, cx)
}

/// Appends the transport header, as far as it changes; returns how many bytes
/// of the payload it was. UDP without a checksum (RFC 6936) stays without: IPv4
/// allows it.
fn transport(
    arrived: &Arrived<'_>,
    (src, dst): (Vaddr, Vaddr),
    translated: &mut Translated,
) -> Result<usize, Refusal> {
    let Some(covered) = Covered::of(arrived.upper.protocol).filter(|_| arrived.part != Part::Later)
    else {
        return Ok(0);
    };
    let Some(header) = arrived.payload.get(..covered.len) else {
        return match covered.required {
            true => Err(arrived.prohibited(arrived.part.too_short())),
            false => Ok(0),
        };
    };
    let old = checksum::sum(&arrived.h.src) + checksum::sum(&arrived.h.dst);
    let new = u64::from(src.0) + u64::from(dst.0);
    covered.adjust(translated.push(header), checksum::delta(old, new));
    Ok(covered.len)
}

/// The same of an ICMPv6 query or its answer.
fn query(arrived: &Arrived<'_>, translated: &mut Translated) -> Result<usize, Refusal> {
    if arrived.part != Part::Whole {
        return Err(arrived.prohibited(Why::IcmpFragment));
    }
    let old = icmpv6::Header::parse(arrived.payload).ok_or(Why::TooShort)?;
    let sort = Sort::read(&old).query_to_ipv4().ok_or(Why::IcmpType)?;
    let addresses = checksum::sum(&arrived.h.src) + checksum::sum(&arrived.h.dst);
    let sums = (
        pseudo_header(addresses, arrived.payload.len()) + (u64::from(old.kind) << 8),
        u64::from(sort.kind) << 8,
    );
    let mut new = icmp_header(&old, sort, sums);
    let rest = &arrived.payload[icmpv6::HEADER_LEN..];
    if is_zero(&new.bytes()) && is_zero(rest) {
        new.checksum = 0xffff;
    }
    translated.push(&new.bytes());
    Ok(icmpv6::HEADER_LEN)
}

/// An ICMPv6 error: all of it becomes head.
fn error<'p, A: Addresses>(
    arrived: &Arrived<'p>,
    old: &icmpv6::Header,
    cx: &Context<'_, A>,
) -> Result<Made<'p>, Refusal> {
    let (h, payload) = (&arrived.h, arrived.payload);
    let came = Sort::read(old);
    // Whether it has a counterpart does not depend on what it quotes.
    came.error_to_ipv4(false, cx.rules).ok_or(Why::IcmpType)?;
    let parts = Family::Ipv6.split(old, &payload[icmpv6::HEADER_LEN..]);
    let mut translated = Translated::starting(ipv4::HEADER_LEN + icmpv6::HEADER_LEN);
    let start = translated.head.len();
    let quoted = quote::to_ipv4(parts.quote, parts.padded, cx, &mut translated.head)?;
    let mut sort = came
        .error_to_ipv4(quoted.fragment, cx.rules)
        .ok_or(Why::IcmpType)?;
    let (src, replaced) = match cx.addresses.to_ipv4(&h.src) {
        Ok(src) => (src.address, false),
        Err(NoAddress::Unmapped) => {
            // The ID is all the chance there is: spread over the word.
            let random = u32::from(cx.id).wrapping_mul(0x9e37_79b1);
            let src = cx.addresses.error_source4(&h.src, quoted.dst, random);
            (src.ok_or(Why::SourceUnmapped)?, true)
        }
        Err(no) => return Err(arrived.bad_source(no)),
    };
    let dst = cx
        .addresses
        .to_ipv4(&h.dst)
        .map_err(|no| arrived.bad_destination(no))?
        .address;
    let front = arrived.front(cx, (src, dst))?;
    // RFC 7757 section 4.2.2: condition set B.
    translated.hairpin = cx.rules.hairpin == Hairpin::Intrinsic
        && !quoted.src.explicit
        && cx.addresses.is_explicit(quoted.src.address);
    // No host need take more than 576 bytes (RFC 1812 section 4.3.2.3, RFC 4884
    // section 3), though routers of IPv6 quote up to 1280.
    let most = if translated.hairpin {
        MAX_HEAD
    } else {
        icmpv4::MAX_ERROR_LEN
    };
    let named = (replaced && cx.rules.error_source_extension)
        .then(|| extensions::naming(parts.structure, &h.src))
        .flatten()
        .filter(|named| Family::Ipv4.fits(named, start, most));
    let structure = named.as_deref().unwrap_or(parts.structure);
    sort.word |= Family::Ipv4.join(sort.kind, &mut translated.head, (start, most), structure);
    let bare = icmpv6::Header {
        checksum: 0,
        ..*old
    };
    let addresses = checksum::sum(&h.src) + checksum::sum(&h.dst);
    let sum = pseudo_header(addresses, payload.len())
        + checksum::sum(&bare.bytes())
        + checksum::sum(&payload[icmpv6::HEADER_LEN..]);
    translated.seal(start, old, sort, |_| (sum, 0));
    arrived.made(front, translated, cx)
}
