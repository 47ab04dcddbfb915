//! Types, codes and second words of ICMP across the families: the tables of RFC
//! 7915 sections 4.2 and 5.2.
//!
//! The length attribute of RFC 4884 lies in the second word too; it is
//! [`extensions`](super::extensions)'s, and zero in what these tables return.

use super::Rules;
use crate::wire::{icmpv4, icmpv6, ipv4, ipv6};

/// What the two families' headers differ by.
pub(super) const GROWTH: u16 = (ipv6::HEADER_LEN - ipv4::HEADER_LEN) as u16;
/// The same if the IPv6 packet has a Fragment header.
pub(super) const FRAGMENT_GROWTH: u16 = GROWTH + ipv6::FRAGMENT_LEN as u16;
/// No IPv4 path is narrower (RFC 791, RFC 1191 section 3).
const LEAST_MTU4: u16 = 68;

/// Type, code and second word, as they stand in a message of either family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sort {
    pub kind: u8,
    pub code: u8,
    pub word: u32,
}

impl Sort {
    pub(super) fn read(message: &icmpv6::Header) -> Sort {
        Sort {
            kind: message.kind,
            code: message.code,
            word: message.word,
        }
    }

    /// Of ICMPv4 the types that quote a packet; not all are translated.
    pub(super) fn is_error4(&self) -> bool {
        use icmpv4::kind;
        matches!(
            self.kind,
            kind::UNREACHABLE
                | kind::SOURCE_QUENCH
                | kind::REDIRECT
                | kind::TIME_EXCEEDED
                | kind::PARAMETER_PROBLEM
        )
    }

    pub(super) fn is_error6(&self) -> bool {
        self.kind < 128
    }

    /// A query or its answer, in ICMPv6.
    pub(super) fn query_to_ipv6(self) -> Option<Sort> {
        let kind = match self.kind {
            icmpv4::kind::ECHO_REQUEST => icmpv6::kind::ECHO_REQUEST,
            icmpv4::kind::ECHO_REPLY => icmpv6::kind::ECHO_REPLY,
            // Information, timestamp and mask are obsolete; router discovery
            // is of one hop.
            _ => return None,
        };
        Some(Sort { kind, ..self })
    }

    /// A query or its answer, in ICMPv4.
    pub(super) fn query_to_ipv4(self) -> Option<Sort> {
        let kind = match self.kind {
            icmpv6::kind::ECHO_REQUEST => icmpv4::kind::ECHO_REQUEST,
            icmpv6::kind::ECHO_REPLY => icmpv4::kind::ECHO_REPLY,
            // Multicast listeners and neighbour discovery are of one hop.
            _ => return None,
        };
        Some(Sort { kind, ..self })
    }

    /// An ICMPv4 error about a packet of this total length, in ICMPv6.
    pub(super) fn error_to_ipv6(self, total_len: u16, rules: &Rules) -> Option<Sort> {
        use icmpv4::{kind, unreachable as code};
        use icmpv6::{kind as kind6, parameter, unreachable as code6};
        let sort = |kind, code, word| Some(Sort { kind, code, word });
        let unreachable = |code| sort(kind6::UNREACHABLE, code, 0);
        match (self.kind, self.code) {
            (kind::UNREACHABLE, code::PROTOCOL) => sort(
                kind6::PARAMETER_PROBLEM,
                parameter::NEXT_HEADER,
                ipv6::field::NEXT_HEADER as u32,
            ),
            (kind::UNREACHABLE, code::FRAGMENTATION_NEEDED) => {
                let mtu = mtu_to_ipv6(self.word as u16, total_len, rules);
                sort(kind6::PACKET_TOO_BIG, 0, mtu.into())
            }
            (kind::UNREACHABLE, code) => unreachable(match code {
                code::NET
                | code::HOST
                | code::SOURCE_ROUTE_FAILED
                | code::NET_UNKNOWN
                | code::HOST_UNKNOWN
                | code::SOURCE_ISOLATED
                | code::NET_FOR_TOS
                | code::HOST_FOR_TOS => code6::NO_ROUTE,
                code::PORT => code6::PORT,
                code::NET_PROHIBITED
                | code::HOST_PROHIBITED
                | code::COMMUNICATION_PROHIBITED
                | code::PRECEDENCE_CUTOFF => code6::PROHIBITED,
                _ => return None,
            }),
            (kind::TIME_EXCEEDED, code) => sort(kind6::TIME_EXCEEDED, code, 0),
            // A wrong field, a wrong length.
            (kind::PARAMETER_PROBLEM, 0 | 2) => {
                let pointer = pointer_to_ipv6((self.word >> 24) as u8)?;
                sort(kind6::PARAMETER_PROBLEM, parameter::FIELD, pointer.into())
            }
            _ => None,
        }
    }

    /// An ICMPv6 error in ICMPv4; `fragment` says whether the packet that it is
    /// about has a Fragment header.
    pub(super) fn error_to_ipv4(self, fragment: bool, rules: &Rules) -> Option<Sort> {
        use icmpv4::{kind as kind4, unreachable as code4};
        use icmpv6::{kind, parameter, unreachable as code};
        let sort = |kind, code, word| Some(Sort { kind, code, word });
        match (self.kind, self.code) {
            (kind::UNREACHABLE, code) => {
                let code = match code {
                    code::NO_ROUTE | code::BEYOND_SCOPE | code::ADDRESS => code4::HOST,
                    code::PROHIBITED => code4::HOST_PROHIBITED,
                    code::PORT => code4::PORT,
                    _ => return None,
                };
                sort(kind4::UNREACHABLE, code, 0)
            }
            // The code means nothing (RFC 4443 section 3.2).
            (kind::PACKET_TOO_BIG, _) => {
                let mtu = mtu_to_ipv4(self.word, fragment, rules);
                sort(kind4::UNREACHABLE, code4::FRAGMENTATION_NEEDED, mtu.into())
            }
            (kind::TIME_EXCEEDED, code) => sort(kind4::TIME_EXCEEDED, code, 0),
            (kind::PARAMETER_PROBLEM, parameter::FIELD) => {
                let pointer = pointer_to_ipv4(self.word)?;
                sort(kind4::PARAMETER_PROBLEM, 0, u32::from(pointer) << 24)
            }
            (kind::PARAMETER_PROBLEM, parameter::NEXT_HEADER) => {
                sort(kind4::UNREACHABLE, code4::PROTOCOL, 0)
            }
            _ => None,
        }
    }
}

/// The MTU of a "packet too big" from that of a "fragmentation needed" about a
/// packet of this total length.
fn mtu_to_ipv6(mtu: u16, total_len: u16, rules: &Rules) -> u16 {
    let mtu = match mtu {
        // Written before RFC 1191: a guess takes its place. Without a plateau
        // below the packet, the least MTU of IPv6 is what remains.
        0 => rules
            .mtu_plateaus
            .iter()
            .copied()
            .find(|&plateau| plateau < total_len && usize::from(plateau) >= ipv6::MIN_MTU)
            .unwrap_or(0),
        named => named,
    };
    mtu.saturating_add(GROWTH)
        .min(rules.mtu6)
        .min(rules.mtu4.saturating_add(GROWTH))
        .max(ipv6::MIN_MTU as u16)
}

/// The MTU of a "fragmentation needed" from that of a "packet too big".
fn mtu_to_ipv4(mtu: u32, fragment: bool, rules: &Rules) -> u16 {
    let growth = if fragment { FRAGMENT_GROWTH } else { GROWTH };
    u16::try_from(mtu)
        .unwrap_or(u16::MAX)
        .min(rules.mtu6)
        .saturating_sub(growth)
        .min(rules.mtu4)
        .max(LEAST_MTU4)
}

/// Figure 3: the same field of the other header.
fn pointer_to_ipv6(pointer: u8) -> Option<u8> {
    Some(match pointer {
        0 | 1 => pointer,
        2 | 3 => 4,
        8 => 7,
        9 => 6,
        12..16 => 8,
        16..20 => 24,
        _ => return None,
    })
}

/// Figure 6.
fn pointer_to_ipv4(pointer: u32) -> Option<u8> {
    Some(match pointer {
        0 => 0,
        1 => 1,
        4 | 5 => 2,
        6 => 9,
        7 => 8,
        8..24 => 12,
        24..40 => 16,
        _ => return None,
    })
}
