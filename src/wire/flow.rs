//! A hash over the flow, for ECMP and for the entropy in the flow label.

use super::{ipv4, protocol};

/// Mixes addresses, protocol and, where the packet shows them, ports (of ESP
/// the SPI). No fragment shows its ports, not even the first, so that all
/// fragments of a datagram take one way.
///
/// `payload` is what follows the header; less of it than there is does no
/// harm but is a different flow.
#[inline]
pub fn hash(header: &ipv4::Header, payload: &[u8]) -> u32 {
    let has_ports = matches!(
        header.protocol,
        protocol::TCP
            | protocol::UDP
            | protocol::SCTP
            | protocol::DCCP
            | protocol::UDP_LITE
            | protocol::ESP
    );
    let ports = match payload.first_chunk() {
        Some(ports) if has_ports && !header.is_fragment() => *ports,
        _ => [0; 4],
    };
    let mut addresses = [0; 8];
    addresses[..4].copy_from_slice(&header.src.bytes());
    addresses[4..].copy_from_slice(&header.dst.bytes());
    of(addresses, header.protocol, ports)
}

/// [`hash`] of what was read already: both addresses and the ports as they
/// stand in the packet, the ports zero where none are shown.
#[inline(always)]
pub fn of(addresses: [u8; 8], protocol: u8, ports: [u8; 4]) -> u32 {
    let ports = u32::from_le_bytes(ports);
    mix(u64::from_le_bytes(addresses), protocol.into(), ports.into()) as u32
}

/// [`of`] of the same in words, lowest byte first. Products of two numbers of 32
/// bits and nothing else, of which a vector register takes several flows at once.
#[inline(always)]
pub fn mix(addresses: u64, protocol: u64, ports: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    // A multiplier of its own for each: no two differences cancel by chance
    // more often than chance has it. The constants are odd and have their bits
    // well spread.
    let sum = ((addresses & LOW) * 0x9e37_79b1)
        .wrapping_add((addresses >> 32) * 0x85eb_ca77)
        .wrapping_add((ports & LOW) * 0xc2b2_ae3d)
        .wrapping_add((protocol & LOW) * 0x27d4_eb2f);
    // The middle of a product depends on every bit of its factors.
    let folded = (sum ^ sum >> 32) & LOW;
    (folded * 0x9fb2_1c65) >> 24 & LOW
}

/// The bits of a hash that go into the flow label: the upper ones, so that
/// they are not those by which `hash % n` chooses a next hop here.
#[inline]
pub fn entropy(hash: u32) -> u16 {
    (hash >> 23) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Vaddr;

    fn header(protocol: u8) -> ipv4::Header {
        ipv4::Header {
            tos: 0,
            total_len: 28,
            id: 0,
            reserved: false,
            df: true,
            mf: false,
            offset: 0,
            ttl: 64,
            protocol,
            src: Vaddr(0x0a00_0002),
            dst: Vaddr(0x0a00_0003),
            header_len: 20,
        }
    }

    #[test]
    fn neighbouring_ports_spread_evenly() {
        let udp = header(protocol::UDP);
        let mut low = [0u32; 16];
        let mut labels = [0u32; 512];
        for port in 0..65536u32 {
            let hash = hash(&udp, &(0x1388_0000 | port).to_be_bytes());
            low[(hash % 16) as usize] += 1;
            labels[usize::from(entropy(hash))] += 1;
        }
        // Means 4096 and 128; five standard deviations either way.
        assert!(low.iter().all(|n| (3776..4416).contains(n)), "{low:?}");
        assert!(labels.iter().all(|n| (72..184).contains(n)), "{labels:?}");
    }

    #[test]
    fn neighbouring_addresses_spread_evenly() {
        let mut low = [0u32; 16];
        for node in 0..65536 {
            let mut pair = header(protocol::ICMP);
            pair.src.0 += node;
            low[(hash(&pair, &[]) % 16) as usize] += 1;
        }
        assert!(low.iter().all(|n| (3776..4416).contains(n)), "{low:?}");
    }

    #[test]
    fn what_tells_flows_apart() {
        let (udp, icmp) = (header(protocol::UDP), header(protocol::ICMP));
        let ports = [1, 2, 3, 4];
        assert_ne!(hash(&udp, &ports), hash(&udp, &[1, 2, 3, 5]));
        assert_ne!(hash(&udp, &ports), hash(&header(protocol::TCP), &ports));
        // Echo requests of one ping are one flow.
        assert_eq!(hash(&icmp, &ports), hash(&icmp, &[1, 2, 3, 5]));
        let back = ipv4::Header {
            src: udp.dst,
            dst: udp.src,
            ..udp
        };
        assert_ne!(hash(&udp, &ports), hash(&back, &ports));
    }

    #[test]
    fn fragments_of_a_datagram_are_one_flow() {
        let udp = header(protocol::UDP);
        let first = ipv4::Header { mf: true, ..udp };
        let last = ipv4::Header { offset: 5, ..udp };
        assert_eq!(hash(&first, &[1, 2, 3, 4]), hash(&last, &[9; 100]));
        // Too short for ports.
        assert_eq!(hash(&udp, &[1, 2, 3]), hash(&udp, &[]));
    }
}
