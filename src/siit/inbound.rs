//! From the substrate to a node.
//!
//! ```text
//! before   | IPv6 header [| Fragment header] | payload | padding |
//! after    | ... room ...     | IPv4 header  | payload | padding |
//!          ^ buf              ^ Restored::offset
//! ```
//!
//! Two steps, because between them the caller authenticates: [`Arrived::parse`]
//! reads and checks without writing, [`inbound`] restores. How a packet is
//! restored follows from its own flow label, never from a setting.

use super::{Refusal, transport};
use crate::wire::flowlabel::{Label, Tag};
use crate::wire::{Vaddr, checksum, icmpv4, icmpv6, ipv4, ipv6, protocol};

/// A packet from the substrate that can be restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived {
    pub words: ipv6::Words,
    /// `None` also for an atomic fragment, which is a whole packet.
    pub fragment: Option<ipv6::Fragment>,
    /// The IPv4 protocol.
    pub protocol: u8,
    /// Travelled as ICMPv6 echo, not as next header 1.
    pub echo: bool,
    /// Bytes of IPv6 and Fragment header.
    pub header_len: u8,
    /// Bytes after those.
    pub payload_len: u16,
}

/// What restoring needs beside the packet.
#[derive(Clone, Copy, Debug)]
pub struct Inbound {
    /// [`address_delta`](super::address_delta) of both ends: the same value
    /// with which the sender translated.
    pub checksum_delta: u16,
    /// A fresh IPv4 ID, for a packet that routers may fragment.
    pub id: u16,
}

/// A restored packet: where it begins and how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Bytes to trim off the front.
    pub offset: usize,
    /// The IPv4 header now standing there. Beyond its `total_len` is padding.
    pub header: ipv4::Header,
}

impl From<ipv6::Malformed> for Refusal {
    fn from(malformed: ipv6::Malformed) -> Refusal {
        match malformed {
            ipv6::Malformed::TooShort => Refusal::TooShort,
            ipv6::Malformed::BadVersion => Refusal::BadVersion,
            ipv6::Malformed::BadPayloadLength => Refusal::BadPayloadLength,
        }
    }
}

impl Arrived {
    /// Reads a packet that begins in `bytes`; `available` counts its bytes in
    /// all segments.
    #[inline]
    pub fn parse(bytes: &[u8], available: usize) -> Result<Arrived, Refusal> {
        let words = ipv6::Words::parse_within(bytes, available)?;
        let rest = bytes.get(ipv6::HEADER_LEN..).ok_or(Refusal::TooShort)?;
        Arrived::after(words, rest)
    }

    /// The same from a header that is already read and what follows it.
    #[inline(always)]
    pub fn after(words: ipv6::Words, rest: &[u8]) -> Result<Arrived, Refusal> {
        let header = words.header();
        let label = Label::decode(header.flow_label);
        let mut arrived = Arrived {
            words,
            fragment: None,
            protocol: header.next_header,
            echo: false,
            header_len: ipv6::HEADER_LEN as u8,
            payload_len: header.payload_len,
        };
        let mut payload = rest;
        if header.next_header == protocol::FRAGMENT {
            arrived.payload_len = header
                .payload_len
                .checked_sub(ipv6::FRAGMENT_LEN as u16)
                .ok_or(Refusal::BadPayloadLength)?;
            let (fragment, after) = fragment_header(rest)?;
            arrived.fragment = (!fragment.is_atomic()).then_some(fragment);
            arrived.protocol = fragment.next_header;
            arrived.header_len += ipv6::FRAGMENT_LEN as u8;
            payload = after;
        }
        if usize::from(arrived.payload_len) + ipv4::HEADER_LEN > usize::from(u16::MAX) {
            return Err(Refusal::BadPayloadLength);
        }
        if protocol::is_extension_header(arrived.protocol) {
            return Err(Refusal::ExtensionHeader);
        }
        // Before the label: routers write errors with any label.
        if arrived.protocol == protocol::ICMPV6 {
            let whole = arrived.fragment.is_none();
            expect_echo(whole, arrived.payload_len, payload)?;
            arrived.echo = true;
        }
        match label.tag {
            Tag::Foreign => return Err(Refusal::LabelLost),
            Tag::Reserved => return Err(Refusal::LabelReserved),
            Tag::Siit if arrived.echo => arrived.protocol = protocol::ICMP,
            Tag::Siit | Tag::Transparent => {}
        }
        if protocol::is_not_carried(arrived.protocol) {
            return Err(Refusal::ProtocolNotCarried);
        }
        if label.ttl == 0 {
            return Err(Refusal::TtlZero);
        }
        Ok(arrived)
    }

    /// The usual packet, without a Fragment header. What is computed from it
    /// has constants for its lengths and offsets.
    #[inline(always)]
    pub fn plain(&self) -> Option<Arrived> {
        (usize::from(self.header_len) == ipv6::HEADER_LEN).then_some(Arrived {
            fragment: None,
            header_len: ipv6::HEADER_LEN as u8,
            ..*self
        })
    }

    /// What the sender wrote into the flow label.
    #[inline(always)]
    pub fn label(&self) -> Label {
        Label::decode(self.words.header().flow_label)
    }

    /// The sender's address in its network: every layout keeps it in the last
    /// four bytes.
    #[inline]
    pub fn src(&self) -> Vaddr {
        let [.., a, b, c, d] = self.words.src;
        Vaddr::from_bytes([a, b, c, d])
    }

    /// The receiver's address in its network.
    #[inline]
    pub fn dst(&self) -> Vaddr {
        let [.., a, b, c, d] = self.words.dst;
        Vaddr::from_bytes([a, b, c, d])
    }

    /// The IPv4 header; `fresh_id` is for a whole packet without DF.
    #[inline(always)]
    pub(super) fn restored_header(&self, fresh_id: u16) -> ipv4::Header {
        let label = self.label();
        let (id, mf, offset) = match self.fragment {
            Some(fragment) => (fragment.id as u16, fragment.more, fragment.offset),
            None if label.df => (0, false, 0),
            None => (fresh_id, false, 0),
        };
        ipv4::Header {
            tos: self.words.header().traffic_class,
            total_len: self.payload_len + ipv4::HEADER_LEN as u16,
            id,
            reserved: false,
            df: label.df,
            mf,
            offset,
            ttl: label.ttl,
            protocol: self.protocol,
            src: self.src(),
            dst: self.dst(),
            header_len: ipv4::HEADER_LEN as u8,
        }
    }

    /// Undoes what the sender did to the payload.
    #[inline(always)]
    pub(super) fn restore_payload(&self, payload: &mut [u8], delta: u16) -> Result<(), Refusal> {
        if self.label().tag != Tag::Siit {
            return Ok(());
        }
        let offset = self.fragment.map_or(0, |fragment| fragment.offset);
        let payload_len = usize::from(self.payload_len);
        if let Some(at) = transport::checksum_at(self.protocol, offset, payload_len) {
            let field = transport::field(payload, at)?;
            let value = u16::from_be_bytes(*field);
            *field = transport::adjust(self.protocol, value, !delta).to_be_bytes();
        } else if self.echo {
            restore_echo(payload, (self.src(), self.dst()), payload_len, delta)?;
        }
        Ok(())
    }
}

/// Makes an ICMP echo of an ICMPv6 echo.
#[inline(never)]
fn restore_echo(
    payload: &mut [u8],
    (src, dst): (Vaddr, Vaddr),
    payload_len: usize,
    delta: u16,
) -> Result<(), Refusal> {
    let head = payload
        .first_chunk_mut::<{ icmpv6::HEADER_LEN }>()
        .ok_or(Refusal::HeadersSplit)?;
    let mut message = icmpv6::Header::from_bytes(*head);
    let request = message.kind == icmpv6::kind::ECHO_REQUEST;
    message.kind = if request {
        icmpv4::kind::ECHO_REQUEST
    } else {
        icmpv4::kind::ECHO_REPLY
    };
    let delta = transport::echo_delta(delta, src, dst, payload_len, request);
    message.checksum = checksum::adjust(message.checksum, !delta);
    *head = message.bytes();
    Ok(())
}

/// The Fragment header, and what follows it.
#[inline(always)]
fn fragment_header(rest: &[u8]) -> Result<(ipv6::Fragment, &[u8]), Refusal> {
    let fragment = ipv6::Fragment::parse(rest).ok_or(Refusal::HeadersSplit)?;
    Ok((fragment, &rest[ipv6::FRAGMENT_LEN..]))
}

/// Of ICMPv6, only what [`outbound`](super::outbound) makes is a node's.
fn expect_echo(whole: bool, payload_len: u16, payload: &[u8]) -> Result<(), Refusal> {
    if !whole || usize::from(payload_len) < icmpv6::HEADER_LEN {
        return Err(Refusal::SubstrateIcmp);
    }
    let message = icmpv6::Header::parse(payload).ok_or(Refusal::HeadersSplit)?;
    if message.is_echo() && message.code == 0 {
        Ok(())
    } else {
        Err(Refusal::SubstrateIcmp)
    }
}

/// Restores the IPv4 packet in place; `buf` begins with the IPv6 header from
/// which `arrived` was read.
#[inline(always)]
pub fn inbound(buf: &mut [u8], arrived: &Arrived, cx: &Inbound) -> Result<Restored, Refusal> {
    let (front, payload) = buf
        .split_at_mut_checked(usize::from(arrived.header_len))
        .ok_or(Refusal::TooShort)?;
    let (_, place) = front
        .split_last_chunk_mut::<{ ipv4::HEADER_LEN }>()
        .ok_or(Refusal::TooShort)?;
    arrived.restore_payload(payload, cx.checksum_delta)?;
    let header = arrived.restored_header(cx.id);
    *place = header.bytes();
    Ok(Restored {
        offset: usize::from(arrived.header_len) - ipv4::HEADER_LEN,
        header,
    })
}
