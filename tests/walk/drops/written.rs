//! What is wrong with the packet itself: its bytes, and the buffer they are in.

use weft::datapath::Drop;
use weft::packet::{Buffer, Meta};

use super::{Case, r_after_a, r_after_uplink, transparent};
use crate::common::Host;
use crate::common::frames::*;
use crate::common::topology::*;

fn from_a_with_ethertype(ethertype: u16) -> Host {
    r_after_a(ethernet(
        virtual_mac(Z, G),
        MAC_A,
        None,
        ethertype,
        &hello().bytes(),
    ))
}

/// Bytes of the IPv4 header changed, its checksum made right again.
fn r_after_header(change: fn(&mut [u8])) -> Host {
    let mut frame = from_a(&hello());
    change(&mut frame[14..]);
    frame[24..26].fill(0);
    let sum = internet_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    r_after_a(frame)
}

fn with_options(options: &[u8]) -> Vec<u8> {
    from_a(&Ip {
        options: options.to_vec(),
        ..hello()
    })
}

fn split(port: u16, frame: Vec<u8>, at: usize) -> Host {
    let mut r = setup_r().start();
    r.send_packet(port, Buffer::split(&frame, at));
    r.settle();
    r
}

fn shared(port: u16, frame: Vec<u8>) -> Host {
    let mut r = setup_r().start();
    r.wires[usize::from(port)].send_packet(Buffer::shared(&frame), Meta::default());
    r.settle();
    r
}

pub(super) const CASES: &[Case] = &[
    (Drop::TooShort, "no Ethernet header", || {
        r_after_a(vec![2; 13])
    }),
    (Drop::TooShort, "no IPv4 header", || {
        r_after_a(from_a(&hello())[..33].to_vec())
    }),
    (Drop::TooShort, "no Ethernet header, uplink", || {
        r_after_uplink(vec![2; 13])
    }),
    (Drop::TooShort, "no IPv6 header", || {
        r_after_uplink(g_to_a().to_r()[..53].to_vec())
    }),
    (Drop::HeadersSplit, "link header split", || {
        split(PORT_A, from_a(&hello()), 10)
    }),
    (Drop::HeadersSplit, "IPv4 header split", || {
        split(PORT_A, from_a(&hello()), 30)
    }),
    (Drop::HeadersSplit, "options split", || {
        split(PORT_A, with_options(&[1; 8]), 36)
    }),
    (Drop::HeadersSplit, "UDP header split", || {
        split(PORT_A, from_a(&hello()), 38)
    }),
    (Drop::HeadersSplit, "IPv6 header split", || {
        split(UPLINK, g_to_a().to_r(), 50)
    }),
    (Drop::HeadersSplit, "UDP header split, uplink", || {
        let mut packet = g_to_a();
        packet.label = label(64, true, 1);
        split(UPLINK, packet.to_r(), 58)
    }),
    (Drop::BufferShared, "shared, node", || {
        shared(PORT_A, from_a(&hello()))
    }),
    (Drop::BufferShared, "shared, uplink", || {
        shared(UPLINK, g_to_a().to_r())
    }),
    (Drop::BadVersion, "IPv6 under the ethertype of IPv4", || {
        r_after_header(|ip| ip[0] = 0x65)
    }),
    (Drop::BadVersion, "IPv4 under the ethertype of IPv6", || {
        r_after_uplink(ethernet(
            MAC_R,
            MAC_S,
            None,
            0x86dd,
            &udp(G, A, (1, 2), &[0; 40]).bytes(),
        ))
    }),
    (Drop::BadHeaderLength, "16 bytes", || {
        r_after_header(|ip| ip[0] = 0x44)
    }),
    (Drop::BadHeaderLength, "beyond the packet", || {
        r_after_header(|ip| ip[0] = 0x4f)
    }),
    (Drop::BadTotalLength, "beyond the frame", || {
        r_after_header(|ip| ip[3] += 1)
    }),
    (Drop::BadTotalLength, "below the header", || {
        r_after_header(|ip| ip[3] = 19)
    }),
    (Drop::BadTotalLength, "IPv6, beyond the frame", || {
        let mut frame = g_to_a().to_r();
        frame[19] += 1;
        r_after_uplink(frame)
    }),
    (Drop::BadTotalLength, "IPv6, more than IPv4 can say", || {
        transparent(|packet| packet.payload = vec![0; 65_516])
    }),
    (
        Drop::BadTotalLength,
        "IPv6, no room for the Fragment header",
        || transparent(|packet| (packet.next_header, packet.payload) = (44, vec![17; 7])),
    ),
    (Drop::BadHeaderChecksum, "one bit", || {
        let mut frame = from_a(&hello());
        frame[15] ^= 1;
        r_after_a(frame)
    }),
    (Drop::ProtocolNotCarried, "ICMPv6 from a node", || {
        r_after_header(|ip| ip[9] = 58)
    }),
    (
        Drop::ProtocolNotCarried,
        "ICMPv6 echo under the tag of transparent",
        || {
            transparent(|packet| {
                packet.next_header = 58;
                packet.payload = vec![128, 0, 0, 0, 0, 0, 0, 1];
            })
        },
    ),
    (Drop::ProtocolNotCarried, "no next header", || {
        transparent(|packet| packet.next_header = 59)
    }),
    (Drop::TtlZero, "from a node", || {
        r_after_header(|ip| ip[8] = 0)
    }),
    (Drop::TtlZero, "in the label", || {
        transparent(|packet| packet.label = label(0, true, 2))
    }),
    (Drop::SourceRoute, "loose", || {
        r_after_a(with_options(&[131, 7, 4, 10, 0, 0, 9, 0]))
    }),
    (Drop::SourceRoute, "strict", || {
        r_after_a(with_options(&[137, 7, 4, 10, 0, 0, 9, 0]))
    }),
    (Drop::BadOptions, "length 1", || {
        r_after_a(with_options(&[7, 1, 0, 0]))
    }),
    (Drop::BadOptions, "beyond the header", || {
        r_after_a(with_options(&[7, 9, 4, 0]))
    }),
    (Drop::ExtensionHeader, "hop by hop", || {
        transparent(|packet| packet.next_header = 0)
    }),
    (Drop::ExtensionHeader, "routing", || {
        transparent(|packet| packet.next_header = 43)
    }),
    (Drop::ExtensionHeader, "in a fragment", || {
        transparent(|packet| {
            packet.next_header = 44;
            packet.payload.splice(..0, [60, 0, 0, 1, 0, 0, 0, 1]);
        })
    }),
    (Drop::BadFragment, "beyond 65,535 bytes", || {
        r_after_a(from_a(&Ip {
            df: false,
            offset: 0x1ff0,
            ..udp(A, G, (1, 2), &[0; 2000])
        }))
    }),
    (Drop::LabelLost, "label 0", || {
        transparent(|packet| packet.label = 0)
    }),
    (Drop::LabelInvalid, "tag 3", || {
        transparent(|packet| packet.label = label(64, true, 3))
    }),
    (Drop::EthertypeIpv6, "a node's IPv6", || {
        from_a_with_ethertype(0x86dd)
    }),
    (Drop::EthertypeRarp, "", || from_a_with_ethertype(0x8035)),
    (Drop::EthertypeLldp, "", || from_a_with_ethertype(0x88cc)),
    (Drop::EthertypeVlan, "802.1ad", || {
        from_a_with_ethertype(0x88a8)
    }),
    (Drop::EthertypeVlan, "two tags", || {
        let inner = [&[0, 100, 0x08, 0x00][..], &hello().bytes()].concat();
        r_after_a(ethernet(
            virtual_mac(Z, G),
            MAC_A,
            Some(100),
            0x8100,
            &inner,
        ))
    }),
    (
        Drop::EthertypeVlan,
        "a tag behind the one that the device took off",
        || {
            let mut r = setup_r().start();
            r.send_stripped(PORT_C, &from_c(&udp(C, G, (1, 2), b"hop")), 99);
            r.settle();
            r
        },
    ),
    (Drop::EthertypeOther, "MPLS", || {
        from_a_with_ethertype(0x8847)
    }),
    (Drop::EthertypeOther, "an 802.3 length", || {
        from_a_with_ethertype(100)
    }),
];
