//! Frames as nodes and the substrate send them, written without the code under
//! test; checksums on the substrate are checked with smoltcp's.

use smoltcp::wire::{
    Icmpv6Message, Icmpv6Packet, Ipv6Address, Ipv6FragmentHeader, Ipv6Packet, TcpPacket, UdpPacket,
};
use weft::wire::virtual_mac::{self, Kind};
use weft::wire::{Mac, Saddr, Vaddr, Vni};

use super::topology::*;

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// An IPv4 packet to be.
#[derive(Clone, Debug)]
pub struct Ip {
    pub tos: u8,
    pub id: u16,
    pub df: bool,
    pub mf: bool,
    pub offset: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub src: Vaddr,
    pub dst: Vaddr,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Ip {
    pub fn new(src: Vaddr, dst: Vaddr, protocol: u8, payload: Vec<u8>) -> Ip {
        Ip {
            tos: 0,
            id: 0x1234,
            df: true,
            mf: false,
            offset: 0,
            ttl: 64,
            protocol,
            src,
            dst,
            options: Vec::new(),
            payload,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        assert_eq!(header_len % 4, 0);
        let flags = u16::from(self.df) << 14 | u16::from(self.mf) << 13 | self.offset;
        let total = (header_len + self.payload.len()) as u16;
        let mut out = vec![0x40 | (header_len / 4) as u8, self.tos];
        out.extend(total.to_be_bytes());
        out.extend(self.id.to_be_bytes());
        out.extend(flags.to_be_bytes());
        out.extend([self.ttl, self.protocol, 0, 0]);
        out.extend(self.src.bytes());
        out.extend(self.dst.bytes());
        out.extend(&self.options);
        let sum = internet_checksum(&out);
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend(&self.payload);
        out
    }
}

/// RFC 1071, word by word.
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn with_pseudo_header(src: Vaddr, dst: Vaddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut all = Vec::from(src.bytes());
    all.extend(dst.bytes());
    all.extend([0, protocol]);
    all.extend((segment.len() as u16).to_be_bytes());
    all.extend(segment);
    internet_checksum(&all)
}

pub fn udp(src: Vaddr, dst: Vaddr, (from, to): (u16, u16), data: &[u8]) -> Ip {
    let mut out = Vec::from(from.to_be_bytes());
    out.extend(to.to_be_bytes());
    out.extend((8 + data.len() as u16).to_be_bytes());
    out.extend([0, 0]);
    out.extend(data);
    let sum = match with_pseudo_header(src, dst, UDP, &out) {
        0 => 0xffff,
        sum => sum,
    };
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    Ip::new(src, dst, UDP, out)
}

pub fn tcp(src: Vaddr, dst: Vaddr, (from, to): (u16, u16), data: &[u8]) -> Ip {
    let mut out = Vec::from(from.to_be_bytes());
    out.extend(to.to_be_bytes());
    out.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
    out.extend(data);
    let sum = with_pseudo_header(src, dst, TCP, &out);
    out[16..18].copy_from_slice(&sum.to_be_bytes());
    Ip::new(src, dst, TCP, out)
}

pub fn echo(src: Vaddr, dst: Vaddr, kind: u8, data: &[u8]) -> Ip {
    let mut out = vec![kind, 0, 0, 0, 0x12, 0x34, 0, 1];
    out.extend(data);
    let sum = internet_checksum(&out);
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    Ip::new(src, dst, ICMP, out)
}

pub fn ethernet(dst: Mac, src: Mac, vlan: Option<u16>, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::from(dst.0);
    out.extend(src.0);
    if let Some(vlan) = vlan {
        out.extend([0x81, 0x00]);
        out.extend(vlan.to_be_bytes());
    }
    out.extend(ethertype.to_be_bytes());
    out.extend(payload);
    out
}

/// The MAC by which a node of `vni` knows `vaddr`.
pub fn virtual_mac(vni: Vni, vaddr: Vaddr) -> Mac {
    virtual_mac::of(Kind::Node, vni, vaddr)
}

/// A frame of A.
pub fn from_a(ip: &Ip) -> Vec<u8> {
    let dst = virtual_mac(Z, ip.dst);
    ethernet(dst, MAC_A, None, 0x0800, &ip.bytes())
}

pub fn from_c(ip: &Ip) -> Vec<u8> {
    let dst = virtual_mac(Z, ip.dst);
    ethernet(dst, MAC_C, Some(TAG_C), 0x0800, &ip.bytes())
}

pub fn from_twin(ip: &Ip) -> Vec<u8> {
    let dst = virtual_mac(Y, ip.dst);
    ethernet(dst, MAC_TWIN, None, 0x0800, &ip.bytes())
}

/// A frame of G, or of its twin in Y.
pub fn from_g(vni: Vni, ip: &Ip) -> Vec<u8> {
    ethernet(virtual_mac(vni, ip.dst), MAC_G, None, 0x0800, &ip.bytes())
}

/// "hello-onm" from A to G: the packet of the byte-exact walk.
pub fn hello() -> Ip {
    Ip {
        tos: 0xb8,
        ..udp(A, G, (4000, 5000), b"hello-onm")
    }
}

/// The answer of G.
pub fn answer() -> Ip {
    udp(G, A, (5000, 4000), b"hello-onm")
}

/// An IPv6 packet to be.
#[derive(Clone, Debug)]
pub struct Ip6 {
    pub traffic_class: u8,
    pub label: u32,
    pub next_header: u8,
    pub hop_limit: u8,
    pub src: Saddr,
    pub dst: Saddr,
    pub payload: Vec<u8>,
}

impl Ip6 {
    /// From node to node of Z, transparent, TTL 64 and DF.
    pub fn new(src: Saddr, dst: Saddr, next_header: u8, payload: Vec<u8>) -> Ip6 {
        Ip6 {
            traffic_class: 0,
            label: label(64, true, 2),
            next_header,
            hop_limit: 63,
            src,
            dst,
            payload,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.label;
        let mut out = Vec::from(first.to_be_bytes());
        out.extend((self.payload.len() as u16).to_be_bytes());
        out.extend([self.next_header, self.hop_limit]);
        out.extend(self.src);
        out.extend(self.dst);
        out.extend(&self.payload);
        out
    }

    /// As it reaches R from a router.
    pub fn to_r(&self) -> Vec<u8> {
        ethernet(MAC_R, MAC_S, None, 0x86dd, &self.bytes())
    }
}

pub fn label(ttl: u8, df: bool, tag: u32) -> u32 {
    u32::from(ttl) << 12 | u32::from(df) << 11 | tag << 9
}

/// From G to A over the substrate, as S sends it.
pub fn g_to_a() -> Ip6 {
    let payload = answer().payload;
    let src = saddr(&locator_s(), Z, G);
    Ip6::new(src, saddr(&locator_r(), Z, A), UDP, payload)
}

/// What smoltcp makes of a frame on the substrate. Panics if it is anything
/// but plain IPv6 with right checksums, whose next header is neither an
/// extension header, our own Fragment header apart, nor ICMPv6 but for echo.
/// `checksums` is off where the tenant may have sent wrong ones.
pub fn check_substrate_frame(frame: &[u8], checksums: bool) -> (Saddr, Saddr) {
    let ip = Ipv6Packet::new_checked(&frame[14..]).expect("an IPv6 packet");
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    assert_eq!(ip.version(), 6);
    assert_eq!(
        ip.total_len(),
        frame.len() - 14,
        "no padding, nothing cut off"
    );
    assert_eq!(ip.hop_limit(), 64);
    let (src, dst): (Ipv6Address, Ipv6Address) = (ip.src_addr(), ip.dst_addr());
    let payload = ip.payload();
    match u8::from(ip.next_header()) {
        44 => {
            let fragment = Ipv6FragmentHeader::new_checked(payload).expect("a fragment header");
            let inner = payload[0];
            assert!(
                fragment.more_frags() || fragment.frag_offset() != 0,
                "never atomic"
            );
            assert!(
                is_payload(inner) && inner != 58,
                "next header {inner} in a fragment"
            );
        }
        58 => {
            let icmp = Icmpv6Packet::new_checked(payload).expect("an ICMPv6 message");
            let kind = icmp.msg_type();
            assert!(
                matches!(kind, Icmpv6Message::EchoRequest | Icmpv6Message::EchoReply),
                "ICMPv6 {kind}"
            );
            assert!(!checksums || icmp.verify_checksum(&src, &dst));
        }
        17 if checksums => {
            let udp = UdpPacket::new_checked(payload).expect("UDP");
            assert!(
                udp.verify_checksum(&src.into(), &dst.into()),
                "UDP checksum"
            );
        }
        6 if checksums => {
            let tcp = TcpPacket::new_checked(payload).expect("TCP");
            assert!(
                tcp.verify_checksum(&src.into(), &dst.into()),
                "TCP checksum"
            );
        }
        other => assert!(is_payload(other), "next header {other}"),
    }
    (src.octets(), dst.octets())
}

/// Anything but what would be a further header of the substrate's.
fn is_payload(next_header: u8) -> bool {
    !matches!(next_header, 0 | 43 | 44 | 59 | 60 | 135 | 139 | 140)
}
