//! An ICMPv6 error of the substrate about a packet of ours, in the words of
//! the node that sent the packet.
//!
//! Hosts never send ICMPv6 errors into a network, so one that arrives at a
//! node's address was written by a router on the way. It is believed only if
//! it quotes a packet that this host could have sent: from the address it was
//! sent back to, with a label of ours, and, if it complains of size, larger
//! than the size it names.

use super::{Arrived, Refusal, address_delta_of, fragment};
use crate::wire::icmpv4::{MAX_QUOTE_LEN, Problem, unreachable};
use crate::wire::{Layout, Locator, Vaddr, Vni, icmpv6, ipv4, ipv6};

/// Why a message is not passed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotOurs {
    #[error("not an ICMPv6 error that has a meaning for a node")]
    NotAnError,
    #[error("the ICMPv6 checksum is wrong")]
    BadChecksum,
    #[error("the quoted packet cannot be read: {0}")]
    BadQuote(Refusal),
    #[error("the quoted packet did not come from here")]
    NotFromHere,
    #[error("an MTU below 1280, or one that the quoted packet fits")]
    ImpossibleMtu,
}

/// A message for a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SubstrateError {
    /// The network of the node that sent the quoted packet.
    pub vni: Vni,
    /// That node.
    pub src: Vaddr,
    /// To whom it wrote.
    pub dst: Vaddr,
    pub problem: Problem,
    /// What a router on the way can pass, of a "packet too big".
    pub substrate_mtu: Option<u32>,
    quote: [u8; MAX_QUOTE_LEN],
    quote_len: u16,
}

impl SubstrateError {
    /// The packet as the node sent it, header first, as far as it was quoted:
    /// what [`icmpv4::error`](crate::wire::icmpv4::error) takes.
    pub fn quote(&self) -> &[u8] {
        &self.quote[..usize::from(self.quote_len)]
    }
}

/// Reads an error that arrived in a packet with header `outer`; `message`
/// begins with the ICMPv6 header and ends with the packet, padding cut off.
pub fn read(
    outer: &ipv6::Header,
    message: &[u8],
    layout: Layout,
    ours: &Locator,
) -> Result<SubstrateError, NotOurs> {
    let icmp = icmpv6::Header::parse(message).ok_or(NotOurs::NotAnError)?;
    if !matches!(
        icmp.kind,
        icmpv6::kind::UNREACHABLE | icmpv6::kind::PACKET_TOO_BIG | icmpv6::kind::TIME_EXCEEDED
    ) {
        return Err(NotOurs::NotAnError);
    }
    if !icmpv6::is_valid(&outer.src, &outer.dst, message) {
        return Err(NotOurs::BadChecksum);
    }
    let quoted = &message[icmpv6::HEADER_LEN..];
    let header = ipv6::Header::parse_quoted(quoted).map_err(|bad| NotOurs::BadQuote(bad.into()))?;
    let vni = layout.vni(&header.src);
    if header.src != outer.dst || !ours.contains(&header.src) || vni == 0 {
        return Err(NotOurs::NotFromHere);
    }
    let problem = problem_of(&icmp, &header)?;
    let arrived =
        Arrived::after(header.words(), &quoted[ipv6::HEADER_LEN..]).map_err(NotOurs::BadQuote)?;
    let (quote, quote_len) = restore(&arrived, &quoted[usize::from(arrived.header_len)..]);
    Ok(SubstrateError {
        vni: Vni(vni),
        src: arrived.src(),
        dst: arrived.dst(),
        problem,
        substrate_mtu: (icmp.kind == icmpv6::kind::PACKET_TOO_BIG).then_some(icmp.word),
        quote,
        quote_len,
    })
}

/// RFC 7915 section 5.2, with the node MTU in place of "minus 20": a node that
/// heeds it fits whether it then sends whole packets or fragments.
fn problem_of(icmp: &icmpv6::Header, quoted: &ipv6::Header) -> Result<Problem, NotOurs> {
    Ok(match (icmp.kind, icmp.code) {
        (icmpv6::kind::PACKET_TOO_BIG, _) => {
            let quoted_len = ipv6::HEADER_LEN + usize::from(quoted.payload_len);
            // RFC 8201 section 4: below 1280 it must be discarded.
            if icmp.word < ipv6::MIN_MTU as u32 || icmp.word as usize >= quoted_len {
                return Err(NotOurs::ImpossibleMtu);
            }
            let mtu = u16::try_from(icmp.word).unwrap_or(u16::MAX);
            Problem::FragmentationNeeded {
                mtu: fragment::node_mtu(mtu),
            }
        }
        (icmpv6::kind::TIME_EXCEEDED, code) => Problem::TimeExceeded(code),
        // Administratively prohibited; source address failed policy.
        (_, 1 | 5) => Problem::Unreachable(unreachable::HOST_PROHIBITED),
        (_, 4) => Problem::Unreachable(unreachable::PORT),
        _ => Problem::Unreachable(unreachable::HOST),
    })
}

/// The packet as the node sent it, as far as an ICMP error will quote it.
fn restore(arrived: &Arrived, payload: &[u8]) -> ([u8; MAX_QUOTE_LEN], u16) {
    let mut quote = [0; MAX_QUOTE_LEN];
    let header = arrived.restored_header(0);
    let len = payload
        .len()
        .min(header.payload_len())
        .min(MAX_QUOTE_LEN - ipv4::HEADER_LEN);
    let (front, rest) = quote.split_at_mut(ipv4::HEADER_LEN);
    header.emit(front);
    rest[..len].copy_from_slice(&payload[..len]);
    let delta = address_delta_of(&arrived.words.src, &arrived.words.dst);
    // A checksum that was not quoted needs no restoring.
    let _ = arrived.restore_payload(&mut rest[..len], delta);
    (quote, (ipv4::HEADER_LEN + len) as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::siit::tests::{header, packet, saddr, translate};
    use crate::siit::{HOP_LIMIT, Mode};
    use crate::wire::{Saddr, icmpv4};

    const ROUTER: &str = "2001:db8:ffff::1";

    fn locator() -> Locator {
        "2001:db8:0:a:100::/72".parse().unwrap()
    }

    /// An error about `quoted`, as a router writes it.
    fn error(kind: u8, code: u8, word: u32, quoted: &[u8]) -> (ipv6::Header, Vec<u8>) {
        let src = saddr(ROUTER);
        let dst: Saddr = quoted
            .get(8..24)
            .and_then(|src| src.try_into().ok())
            .unwrap_or_default();
        let mut message = icmpv6::Header {
            kind,
            code,
            checksum: 0,
            word,
        }
        .bytes()
        .to_vec();
        message.extend(quoted);
        let sum = icmpv6::checksum(&src, &dst, &message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        let outer = ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_len: message.len() as u16,
            next_header: 58,
            hop_limit: HOP_LIMIT,
            src,
            dst,
        };
        (outer, message)
    }

    fn read_error(outer: &ipv6::Header, message: &[u8]) -> Result<SubstrateError, NotOurs> {
        read(outer, message, Layout::P72, &locator())
    }

    fn tcp(len: usize) -> (ipv4::Header, Vec<u8>) {
        let h = header(6, len);
        let mut payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        payload[16..18].copy_from_slice(&[0x12, 0x34]);
        (h, payload)
    }

    #[test]
    fn packet_too_big_comes_back_as_the_node_knows_it() {
        let (h, payload) = tcp(1460);
        for mode in [Mode::Siit, Mode::Transparent] {
            let there = translate(&packet(&h, &payload), mode).unwrap();
            // As much as fits into 1280.
            let (outer, message) = error(2, 0, 1400, &there[..1232]);
            let error = read_error(&outer, &message).unwrap();
            assert_eq!(
                (error.vni, error.src, error.dst),
                (Vni(0x5a_0001), h.src, h.dst)
            );
            assert_eq!(error.problem, Problem::FragmentationNeeded { mtu: 1372 });
            assert_eq!(error.substrate_mtu, Some(1400));
            let sent = ipv4::Header { id: 0, ..h };
            assert_eq!(error.quote(), &packet(&sent, &payload)[..548]);
            let mut out = [0; 576];
            let gateway = Vaddr(0x0a00_0001);
            let len = icmpv4::error(error.problem, gateway, error.quote(), &mut out).unwrap();
            assert_eq!(len, 576);
            let header = ipv4::Header::parse(&out[..len]).unwrap();
            assert_eq!((header.src, header.dst), (gateway, h.src));
        }
    }

    #[test]
    fn short_quotes_are_restored_as_far_as_they_go() {
        let (h, payload) = tcp(100);
        let there = translate(&packet(&h, &payload), Mode::Siit).unwrap();
        let sent = packet(&ipv4::Header { id: 0, ..h }, &payload);
        for len in 0..=there.len() {
            let (outer, message) = error(1, 0, 0, &there[..len]);
            let read = read_error(&outer, &message);
            if len < 40 {
                assert_eq!(read, Err(NotOurs::BadQuote(Refusal::TooShort)), "{len}");
                continue;
            }
            let read = read.unwrap();
            let quote = read.quote();
            assert_eq!(quote.len(), len - 20);
            // The first half of a checksum alone cannot be restored.
            let same = if len == 57 { 36 } else { quote.len() };
            assert_eq!(quote[..same], sent[..same], "{len}");
        }
    }

    #[test]
    fn echo_and_fragments_are_quoted_as_sent() {
        let echo = packet(
            &ipv4::Header {
                id: 0,
                ..header(1, 8)
            },
            &[8, 0, 9, 9, 0, 1, 0, 1],
        );
        let there = translate(&echo, Mode::Siit).unwrap();
        assert_eq!(there[40], 128);
        let (outer, message) = error(3, 0, 0, &there);
        let read = read_error(&outer, &message).unwrap();
        assert_eq!(
            (read.problem, read.quote()),
            (Problem::TimeExceeded(0), &echo[..])
        );
        let (h, payload) = tcp(1448);
        let fragment = packet(&ipv4::Header { mf: true, ..h }, &payload);
        let there = translate(&fragment, Mode::Siit).unwrap();
        let (outer, message) = error(2, 0, 1280, &there[..1232]);
        let read = read_error(&outer, &message).unwrap();
        assert_eq!(read.quote(), &fragment[..548]);
    }

    #[test]
    fn kinds_and_codes() {
        let (h, payload) = tcp(20);
        let there = translate(&packet(&h, &payload), Mode::Siit).unwrap();
        for (kind, code, expected) in [
            (1, 0, Problem::Unreachable(1)),
            (1, 1, Problem::Unreachable(10)),
            (1, 2, Problem::Unreachable(1)),
            (1, 3, Problem::Unreachable(1)),
            (1, 4, Problem::Unreachable(3)),
            (1, 5, Problem::Unreachable(10)),
            (1, 6, Problem::Unreachable(1)),
            (3, 0, Problem::TimeExceeded(0)),
            (3, 1, Problem::TimeExceeded(1)),
        ] {
            let (outer, message) = error(kind, code, 0, &there);
            let read = read_error(&outer, &message).unwrap();
            assert_eq!((read.problem, read.substrate_mtu), (expected, None));
        }
        for kind in [0, 4, 100, 127, 128, 129, 134, 136] {
            let (outer, message) = error(kind, 0, 0, &there);
            assert_eq!(read_error(&outer, &message), Err(NotOurs::NotAnError));
        }
    }

    #[test]
    fn forgeries_are_not_believed() {
        let (h, payload) = tcp(1460);
        let there = translate(&packet(&h, &payload), Mode::Siit).unwrap();
        let (outer, message) = error(2, 0, 1400, &there);
        let mut wrong = message.clone();
        wrong[100] ^= 1;
        assert_eq!(read_error(&outer, &wrong), Err(NotOurs::BadChecksum));
        // Not below 1280, and not what the packet fits.
        for mtu in [0, 68, 1279, 1500, u32::MAX] {
            let (outer, message) = error(2, 0, mtu, &there);
            assert_eq!(
                read_error(&outer, &message),
                Err(NotOurs::ImpossibleMtu),
                "{mtu}"
            );
        }
        for mtu in [1280, 1499] {
            let (outer, message) = error(2, 0, mtu, &there);
            assert!(read_error(&outer, &message).is_ok());
        }
        // Another host's packet, the host's own, and one quoted to somebody else.
        for at in [9, 15] {
            let mut foreign = there.clone();
            foreign[at] ^= 1;
            let (outer, message) = error(2, 0, 1400, &foreign);
            assert_eq!(read_error(&outer, &message), Err(NotOurs::NotFromHere));
        }
        let mut own = there.clone();
        own[17..20].fill(0);
        let (outer, message) = error(2, 0, 1400, &own);
        assert_eq!(read_error(&outer, &message), Err(NotOurs::NotFromHere));
        let mut other_node = there.clone();
        other_node[23] = 9;
        let (outer, mut message) = error(2, 0, 1400, &there);
        message[8..].copy_from_slice(&other_node);
        message[2..4].fill(0);
        let sum = icmpv6::checksum(&outer.src, &outer.dst, &message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        assert_eq!(read_error(&outer, &message), Err(NotOurs::NotFromHere));
        // A label that no host writes.
        let mut unlabelled = there.clone();
        unlabelled[1..4].fill(0);
        let (outer, message) = error(2, 0, 1400, &unlabelled);
        let bad = NotOurs::BadQuote(Refusal::LabelLost);
        assert_eq!(read_error(&outer, &message), Err(bad));
    }

    proptest! {
        #[test]
        fn random_quotes_never_panic(
            mut quoted in proptest::collection::vec(any::<u8>(), 0..700),
            kind in 0..5u8, word in 1000..70000u32, next: u8, label: [u8; 2],
        ) {
            let (h, payload) = tcp(20);
            let there = translate(&packet(&h, &payload), Mode::Siit).unwrap();
            let front = quoted.len().min(40);
            quoted[..front].copy_from_slice(&there[..front]);
            for (at, byte) in [(1, label[0]), (2, label[1]), (4, label[0]), (6, next)] {
                if let Some(place) = quoted.get_mut(at) {
                    *place = byte;
                }
            }
            let (outer, message) = error(kind, 0, word, &quoted);
            if let Ok(read) = read_error(&outer, &message) {
                prop_assert!(read.quote().len() <= MAX_QUOTE_LEN);
            }
        }
    }
}
