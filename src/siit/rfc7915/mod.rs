//! Translation to the letter of RFC 7915, for systems that are not ours:
//! bytes and a context in, bytes or a named refusal out.
//!
//! [`to_ipv6`] and [`to_ipv4`] take a whole packet and return the bytes that
//! stand in front of what is left of it, so that a caller with a packet buffer
//! writes only those. A packet that must be fragmented is said to be so, and
//! [`pieces_to_ipv6`] and [`pieces_to_ipv4`] make the fragments.
//!
//! Where the RFCs leave a choice:
//!
//! - A whole packet that ends before its TCP, UDP or ICMP header does is
//!   `prohibited`: its checksum cannot be adjusted, and no receiver has use for
//!   it.
//! - An extension header that ends beyond the packet is a parameter problem (RFC
//!   4443 section 3.4), as segments left are: its sender can put a length right,
//!   and would look for a filter if it were told of one.
//! - Atomic fragments are whole packets (RFC 6946), of ICMPv6 too.
//! - A fragment is `prohibited` like any packet; who sends errors knows that
//!   later fragments are not answered.
//! - IGMP counts as a type of ICMP without counterpart, as MLD is one.

mod cut;
mod extensions;
mod icmp;
mod quote;
mod tell;
#[cfg(test)]
mod tests;
mod to_ipv4;
mod to_ipv6;
mod transport;

use std::ops::Range;

use arrayvec::ArrayVec;

pub use cut::{Piece, Pieces};
pub use to_ipv4::MAY_BE_CUT;

pub use crate::model::{ClassRule, Hairpin, UdpZero};
use crate::wire::{Saddr, Vaddr};

/// Room for the longest head: a translated ICMP error is head as a whole, and
/// no ICMPv6 error is longer than 1280 bytes (RFC 4443 section 2.4).
pub const MAX_HEAD: usize = 1280;

/// What an operator decides; the same for all packets.
#[derive(Clone, Debug)]
pub struct Rules {
    pub traffic_class: ClassRule,
    pub tos: ClassRule,
    pub udp_zero: UdpZero,
    pub hairpin: Hairpin,
    /// Largest packet the next hop of each side takes.
    pub mtu4: u16,
    pub mtu6: u16,
    /// IPv4 packets that may be fragmented are cut to this as IPv6.
    pub lowest_ipv6_mtu: u16,
    /// Descending.
    pub mtu_plateaus: Vec<u16>,
    /// RFC 5837: name the source that an error's header cannot.
    pub error_source_extension: bool,
}

/// Which IPv4 address is which IPv6 address.
pub trait Addresses {
    /// With `explicit` false as RFC 7757 section 4.2.1 demands it: explicit
    /// mappings are not asked.
    fn to_ipv6(&self, address: Vaddr, explicit: bool) -> Result<Saddr, NoAddress>;
    fn to_ipv4(&self, address: &Saddr) -> Result<Mapped4, NoAddress>;
    /// Whether an explicit mapping covers an IPv4 address.
    fn is_explicit(&self, address: Vaddr) -> bool;
    /// What an ICMP error is said to come from whose source has no IPv4
    /// address (RFC 6791); `about` is the destination of the packet it quotes.
    fn error_source4(&self, source: &Saddr, about: Vaddr, random: u32) -> Option<Vaddr>;
    /// The same for a source without IPv6 address.
    fn error_source6(&self, source: Vaddr, about: &Saddr) -> Option<Saddr>;
}

/// An IPv4 address and where it comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapped4 {
    pub address: Vaddr,
    /// By an explicit mapping, not by RFC 6052.
    pub explicit: bool,
}

/// Why an address has no counterpart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAddress {
    #[error("no prefix and no explicit mapping covers it")]
    Unmapped,
    #[error("it is on a deny list")]
    Denied,
    /// Also: not of the kind that the well-known prefix may hold.
    #[error("it names no single host")]
    Illegal,
}

/// What a translation reads beside the packet.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a, A> {
    pub rules: &'a Rules,
    pub addresses: &'a A,
    /// Identification of an IPv4 packet that has none yet; also the source of
    /// chance.
    pub id: u16,
    /// The packet was translated to IPv4 already and goes back (RFC 7757
    /// section 4.2.2): its hop limit was spent.
    pub hairpinned: bool,
}

/// A translated packet: `head`, then `rest` of the packet that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    pub head: ArrayVec<u8, MAX_HEAD>,
    pub rest: Range<usize>,
    /// Now IPv4, but for an IPv6 system: to be given to [`to_ipv6`] with
    /// `hairpinned`, and not to be sent.
    pub hairpin: bool,
}

/// What came of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one packet"
)]
pub enum Done {
    Whole(Translated),
    /// Larger than what lies ahead takes, and may be cut: see [`pieces_to_ipv6`] and
    /// [`pieces_to_ipv4`].
    Cut,
}

/// Why a packet is not translated, and what its sender is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub why: Why,
    /// An ICMP error of the packet's own family, if one is due; whether one may
    /// be sent at all (not about errors, groups, fragments) is seen when it is
    /// written: [`Reply::to_ipv4`], [`Reply::to_ipv6`].
    pub reply: Option<Reply>,
}

/// Type, code and second word of an ICMP error, in the family of the packet
/// that it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    pub kind: u8,
    pub code: u8,
    pub word: u32,
}

/// The reasons by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Why {
    #[error("fewer bytes than the headers need")]
    TooShort,
    #[error("the version is wrong")]
    BadVersion,
    #[error("the header length is wrong")]
    BadHeaderLength,
    #[error("the length field disagrees with the bytes there are")]
    BadLength,
    #[error("the IPv4 header checksum is wrong")]
    BadHeaderChecksum,
    #[error("an unexpired source route")]
    SourceRoute,
    #[error("a routing header with segments left")]
    SegmentsLeft,
    #[error("IPv6 extension headers that do not add up")]
    BadExtensions,
    #[error("a fragment whose next header is an extension header")]
    FragmentedExtensions,
    #[error("TTL or hop limit is used up")]
    TtlExceeded,
    #[error("larger than the next hop takes, and not to be fragmented")]
    TooBig,
    #[error("a source that names no single host")]
    IllegalSource,
    #[error("a destination that names no single host")]
    IllegalDestination,
    #[error("the source has no address of the other family")]
    SourceUnmapped,
    #[error("the destination has no address of the other family")]
    DestinationUnmapped,
    #[error("source or destination is on a deny list")]
    Denied,
    #[error("an ICMP type or code that has no counterpart")]
    IcmpType,
    #[error("fragmented ICMP")]
    IcmpFragment,
    #[error("an ICMP error whose quoted packet cannot be translated")]
    InnerUntranslatable,
    #[error("an ICMP error about an ICMP error")]
    InnerError,
    #[error("UDP without checksum")]
    UdpZeroChecksum,
    #[error("fragmented UDP without checksum")]
    UdpZeroFragment,
    #[error("a first fragment without its whole transport header")]
    FirstFragmentTooShort,
    #[error("a fragment beyond the 65,535 bytes of a packet")]
    BadFragment,
}

/// What [`Why`] and its reply are in one word.
impl From<Why> for Refusal {
    fn from(why: Why) -> Refusal {
        Refusal { why, reply: None }
    }
}

/// Translates an IPv4 packet, the first in `packet`; what follows it is padding.
pub fn to_ipv6<A: Addresses>(packet: &[u8], cx: &Context<'_, A>) -> Result<Done, Refusal> {
    to_ipv6::translate(packet, cx).map(done)
}

/// Translates an IPv6 packet, the first in `packet`; what follows it is padding.
pub fn to_ipv4<A: Addresses>(packet: &[u8], cx: &Context<'_, A>) -> Result<Done, Refusal> {
    to_ipv4::translate(packet, cx).map(done)
}

/// [`to_ipv6`] of a packet that is to be [`Cut`](Done::Cut), and of any other.
pub fn pieces_to_ipv6<'p, A: Addresses>(
    packet: &'p [u8],
    cx: &Context<'_, A>,
) -> Result<Pieces<'p>, Refusal> {
    to_ipv6::translate(packet, cx).map(cut::Made::pieces)
}

/// [`to_ipv4`] of a packet that is to be [`Cut`](Done::Cut), and of any other.
pub fn pieces_to_ipv4<'p, A: Addresses>(
    packet: &'p [u8],
    cx: &Context<'_, A>,
) -> Result<Pieces<'p>, Refusal> {
    to_ipv4::translate(packet, cx).map(cut::Made::pieces)
}

fn done(made: cut::Made<'_>) -> Done {
    if made.fits() {
        Done::Whole(made.whole())
    } else {
        Done::Cut
    }
}
