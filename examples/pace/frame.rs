//! The frames: what they carry, and how they are known again.

use weft::wire::checksum;

/// Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;
const LENGTH: usize = 60;
const PAYLOAD: usize = LENGTH - HEADERS;
/// The first of the far nodes, 10.128.0.0.
const FAR: u32 = 0x0a80_0000;
/// The first of those that have no mapping until somebody sets one, 10.64.0.0.
const UNKNOWN: u32 = 0x0a40_0000;
const NODE: u32 = 0x0a00_0002;
const NODE_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
/// A virtual MAC is this, the fold of the vni, and the address.
const NODE_KIND: u8 = 0x76;
const VNI: [u8; 3] = [0x5a, 0x00, 0x01];
const PORTS: [u16; 2] = [4000, 5000];
/// Tells frames of the stream, and probes, from what else comes.
const STREAM: u16 = 0x5057;
const PROBE: u16 = 0x5051;

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) kind: Kind,
    /// Of the stream: its number; of a probe: that of its address.
    pub(crate) number: u64,
    /// When it was sent, in nanoseconds.
    pub(crate) time: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    Probe,
}

/// Writes frames from a template.
pub(crate) struct Builder {
    template: [u8; LENGTH],
    /// Checksums of all that does not change, not yet folded.
    ip_sum: u64,
    udp_sum: u64,
    flows: u32,
}

impl Builder {
    pub(crate) fn new(flows: u32) -> Builder {
        let mut template = [0; LENGTH];
        let fold = VNI.into_iter().fold(0, |all, octet| all ^ octet);
        template[..2].copy_from_slice(&[NODE_KIND, fold]);
        template[6..12].copy_from_slice(&NODE_MAC);
        template[12..14].copy_from_slice(&[0x08, 0x00]);
        let (total, length) = (LENGTH as u16 - 14, PAYLOAD as u16 + 8);
        let ip = &mut template[14..34];
        ip[..2].copy_from_slice(&[0x45, 0]);
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        // Not to be fragmented; 64 hops; UDP.
        ip[6..10].copy_from_slice(&[0x40, 0, 64, 17]);
        ip[12..16].copy_from_slice(&NODE.to_be_bytes());
        let ip_sum = checksum::sum(ip);
        let udp = &mut template[34..42];
        udp[..2].copy_from_slice(&PORTS[0].to_be_bytes());
        udp[2..4].copy_from_slice(&PORTS[1].to_be_bytes());
        udp[4..6].copy_from_slice(&length.to_be_bytes());
        let udp_sum =
            checksum::sum(udp) + checksum::sum(&NODE.to_be_bytes()) + 17 + u64::from(length);
        Builder {
            template,
            ip_sum,
            udp_sum,
            flows,
        }
    }

    /// A frame of the stream goes to one of the flows, of which neighbours in
    /// time are none in memory; a probe to an address of its own.
    pub(crate) fn write(&self, out: &mut [u8; LENGTH], stamp: Stamp) {
        let (magic, to) = match stamp.kind {
            Kind::Stream => {
                let flow = (stamp.number as u32).wrapping_mul(0x9e37_79b1) & (self.flows - 1);
                (STREAM, FAR + flow)
            }
            Kind::Probe => (PROBE, UNKNOWN + stamp.number as u32),
        };
        *out = self.template;
        out[2..6].copy_from_slice(&to.to_be_bytes());
        out[30..34].copy_from_slice(&to.to_be_bytes());
        out[42..44].copy_from_slice(&magic.to_be_bytes());
        out[44..52].copy_from_slice(&stamp.number.to_be_bytes());
        out[52..60].copy_from_slice(&stamp.time.to_be_bytes());
        let addressed = checksum::sum(&to.to_be_bytes());
        let ip = !checksum::fold(self.ip_sum + addressed);
        out[24..26].copy_from_slice(&ip.to_be_bytes());
        let udp = match !checksum::fold(self.udp_sum + addressed + checksum::sum(&out[42..60])) {
            0 => 0xffff,
            sum => sum,
        };
        out[40..42].copy_from_slice(&udp.to_be_bytes());
    }
}

pub(crate) const FRAME: usize = LENGTH;

/// What a frame that came back says of itself; nothing if it is none of ours.
pub(crate) fn read(frame: &[u8]) -> Option<Stamp> {
    let network = match frame.get(12..14)? {
        [0x08, 0x00] => 20,
        [0x86, 0xdd] => 40,
        _ => return None,
    };
    let payload = frame.get(14 + network + 8..)?;
    let (magic, rest) = payload.split_first_chunk()?;
    let kind = match u16::from_be_bytes(*magic) {
        STREAM => Kind::Stream,
        PROBE => Kind::Probe,
        _ => return None,
    };
    let (number, rest) = rest.split_first_chunk()?;
    Some(Stamp {
        kind,
        number: u64::from_be_bytes(*number),
        time: u64::from_be_bytes(*rest.first_chunk()?),
    })
}
