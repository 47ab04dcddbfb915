//! Packets of nodes and of the substrate, drawn so that most of them are what
//! the plain path is for and each kind of exception is among the others.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::select;

use weft::wire::{Mac, Vaddr, virtual_mac};

use super::world::{Segments, World};
use crate::common::frames::{self, Ip, Ip6, TCP, UDP};
use crate::common::topology::*;

/// A number, mostly one of a few that matter.
pub(super) fn mostly<T: Copy + Debug + 'static, S: Strategy<Value = T>>(
    usual: &[T],
    any: S,
) -> impl Strategy<Value = T> + use<T, S> {
    prop_oneof![9 => select(usual.to_vec()), 1 => any]
}

/// One packet: by which port, and what.
pub(super) type Frame = (u16, Vec<u8>, Kind);

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Whole,
    Split,
    Shared,
    Stripped,
}

pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    let odd = select(vec![Kind::Split, Kind::Shared, Kind::Stripped]);
    prop_oneof![12 => Just(Kind::Whole), 1 => odd]
}

pub(super) fn payloads() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = mostly(&[TCP, UDP, UDP], any::<u8>());
    let len = mostly(&[18, 20, 40, 1300, 1452, 1472], 0..64usize);
    let sum = mostly(&[0, 0xffff, 0x1234, 0x5aa5], any::<u16>());
    (protocol, len, sum, any::<u32>()).prop_map(|(protocol, len, sum, ports)| {
        let mut payload = vec![0x5a; len];
        let at = if protocol == TCP { 16 } else { 6 };
        if let Some(field) = payload.get_mut(at..at + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        if let Some(field) = payload.get_mut(..4) {
            field.copy_from_slice(&ports.to_be_bytes());
        }
        (protocol, payload)
    })
}

/// What happens to a finished frame on its way here.
pub(super) fn accidents() -> impl Strategy<Value = (usize, usize, Option<(usize, u8)>)> {
    let padding = mostly(&[0, 0, 14], 0..30usize);
    let cut = mostly(&[0, 0, 0], 0..80usize);
    let flip = prop_oneof![12 => Just(None), 1 => (0..80usize, 1..=255u8).prop_map(Some)];
    (padding, cut, flip)
}

pub(super) fn suffer(mut frame: Vec<u8>, accident: (usize, usize, Option<(usize, u8)>)) -> Vec<u8> {
    let (padding, cut, flip) = accident;
    frame.resize(frame.len() + padding, 0);
    frame.truncate(frame.len().saturating_sub(cut).max(1));
    if let Some((at, bits)) = flip {
        let at = at % frame.len();
        frame[at] ^= bits;
    }
    frame
}

/// Of a node. Addresses and MACs are those of the world it is sent in.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) port: u16,
    pub(super) mac: Mac,
    pub(super) ip: Ip,
    pub(super) to: To,
    pub(super) kind: Kind,
    pub(super) accident: (usize, usize, Option<(usize, u8)>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// Whom it has to give it to.
    Right,
    Neighbor,
    Gateway,
    /// That of another subnet.
    OtherGateway,
    Nobody,
    All,
}

impl Sent {
    pub(super) fn frame(self, world: &World) -> Frame {
        let vni = if self.port == PORT_TWIN { Y } else { Z };
        let place = |vaddr| match vni {
            Z => world.place(vaddr),
            _ => vaddr,
        };
        let ip = Ip {
            src: place(self.ip.src),
            dst: place(self.ip.dst),
            ..self.ip
        };
        let gateways = match ip.src.0 & 0x20 {
            0 => [0x0a00_0001, 0x0a00_0021],
            _ => [0x0a00_0021, 0x0a00_0001],
        };
        let router = |address| virtual_mac::of(virtual_mac::Kind::Router, vni, Vaddr(address));
        let routed = matches!(world.segments, Segments::Routed(..)) && vni == Z;
        let elsewhere = ip.src.0 >> 4 != ip.dst.0 >> 4;
        let to = match self.to {
            To::Right if routed && elsewhere => router(gateways[0]),
            To::Right | To::Neighbor => frames::virtual_mac(vni, ip.dst),
            To::Gateway => router(gateways[0]),
            To::OtherGateway => router(gateways[1]),
            To::Nobody => router(u32::MAX),
            To::All => Mac::BROADCAST,
        };
        let frame = frames::ethernet(to, self.mac, None, 0x0800, &ip.bytes());
        (self.port, suffer(frame, self.accident), self.kind)
    }
}

pub(super) fn sent() -> impl Strategy<Value = Sent> {
    let source = select(vec![
        (PORT_A, MAC_A, A),
        (PORT_A, MAC_A, A),
        (PORT_C, MAC_C, C),
        (PORT_TWIN, MAC_TWIN, A),
        (TRUNK, MAC_TWIN, E),
        (TRUNK, MAC_E, E),
        (PORT_C, MAC_C, Vaddr(0x0a00_0011)),
        (PORT_A, MAC_C, A),
        (PORT_A, MAC_A, C),
    ]);
    let dst = mostly(
        &[G, G, G, C, A, E],
        select(vec![
            NOBODY,
            OUTSIDE,
            Vaddr(0xe000_0001),
            Vaddr(0x0a00_0011),
            // Routers, broadcasts, and behind routes.
            Vaddr(0x0a00_0001),
            Vaddr(0x0a00_0021),
            Vaddr(0x0a00_002f),
            Vaddr(0x0a00_0032),
            Vaddr(0x0a00_0029),
            Vaddr(0x0a00_0041),
            Vaddr(u32::MAX),
        ]),
    );
    let header = (
        mostly(&[0, 0xb8], any::<u8>()),
        any::<u16>(),
        any::<bool>(),
        mostly(&[false], any::<bool>()),
        mostly(&[0], 0..200u16),
        mostly(&[64, 1, 2, 3, 255], any::<u8>()),
    );
    let options = mostly(&[0], select(vec![4usize, 8]));
    let to = mostly(
        &[To::Right],
        select(vec![
            To::Neighbor,
            To::Gateway,
            To::OtherGateway,
            To::Nobody,
            To::All,
        ]),
    );
    (
        source,
        dst,
        header,
        payloads(),
        (options, to, kinds()),
        accidents(),
    )
        .prop_map(
            |(
                (port, mac, src),
                dst,
                header,
                (protocol, payload),
                (options, to, kind),
                accident,
            )| {
                let (tos, id, df, mf, offset, ttl) = header;
                let ip = Ip {
                    tos,
                    id,
                    df,
                    mf,
                    offset,
                    ttl,
                    options: vec![1; options],
                    ..Ip::new(src, dst, protocol, payload)
                };
                Sent {
                    port,
                    mac,
                    ip,
                    to,
                    kind,
                    accident,
                }
            },
        )
}

/// Of the substrate. The addresses are made when the layout is known.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) from: (u8, Vaddr),
    pub(super) to: (u8, Vaddr),
    /// Bits of their marks that are not what they should be.
    pub(super) twists: (u8, u8),
    pub(super) header: (u8, u32, u8),
    pub(super) payload: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) accident: (usize, usize, Option<(usize, u8)>),
}

pub(super) fn came() -> impl Strategy<Value = Came> {
    let host = |usual| mostly(&[usual], 0..3u8);
    let from = (host(1), mostly(&[G], select(vec![A, NOBODY, OUTSIDE])));
    let to = (host(0), mostly(&[A, A, C], select(vec![G, E, NOBODY])));
    let label = (
        mostly(&[64u8, 1], any::<u8>()),
        any::<bool>(),
        mostly(&[1u32, 1, 2], 0..4u32),
    );
    let label = (label, 0..512u32)
        .prop_map(|((ttl, df, tag), entropy)| frames::label(ttl, df, tag) | entropy);
    let header = (any::<u8>(), label, kinds(), accidents());
    let twist = || mostly(&[0, 0, 0, 4], any::<u8>());
    (from, to, (twist(), twist()), header, payloads()).prop_map(
        |(from, to, twists, (class, label, kind, accident), (next_header, payload))| Came {
            from,
            to,
            twists,
            header: (class, label, next_header),
            payload,
            kind,
            accident,
        },
    )
}

impl Came {
    pub(super) fn frame(self, world: &World) -> Frame {
        let ends = (
            world.saddr(self.from, self.twists.0),
            world.saddr(self.to, self.twists.1),
        );
        let (traffic_class, label, next_header) = self.header;
        let ip = Ip6 {
            traffic_class,
            label,
            ..Ip6::new(ends.0, ends.1, next_header, self.payload)
        };
        (UPLINK, suffer(ip.to_r(), self.accident), self.kind)
    }
}
