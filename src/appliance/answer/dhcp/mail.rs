//! Messages of DHCP as nodes send them, for tests.

use crate::appliance::answer::Replies;
use crate::appliance::plant::Plant;
use crate::control::store::Store;
use crate::datapath::Punt;
use crate::datapath::wiring::Punted;
use crate::packet::Buffer;
use crate::wire::{Mac, checksum};

pub(super) const NOBODY: [u8; 4] = [0; 4];
pub(super) const ALL: [u8; 4] = [255; 4];

pub(super) struct Mail {
    pub(super) op: u8,
    pub(super) xid: u8,
    pub(super) ciaddr: [u8; 4],
    pub(super) yiaddr: [u8; 4],
    pub(super) chaddr: Mac,
    pub(super) options: Vec<u8>,
}

impl Mail {
    /// Of a client without an address.
    pub(super) fn of(client: Mac, options: &[u8]) -> Mail {
        Mail {
            op: 1,
            xid: 7,
            ciaddr: NOBODY,
            yiaddr: NOBODY,
            chaddr: client,
            options: options.to_vec(),
        }
    }

    pub(super) fn data(&self) -> Vec<u8> {
        let mut data = vec![0; 240];
        data[..8].copy_from_slice(&[self.op, 1, 6, 0, 0, 0, 0, self.xid]);
        data[12..16].copy_from_slice(&self.ciaddr);
        data[16..20].copy_from_slice(&self.yiaddr);
        data[28..34].copy_from_slice(&self.chaddr.0);
        data[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        data.extend(&self.options);
        data.push(255);
        data.resize(300, 0);
        data
    }

    /// As a frame, its datagram without checksum.
    pub(super) fn frame(&self, from: Mac, [src, dst]: [[u8; 4]; 2]) -> Vec<u8> {
        let ports = match self.op {
            1 => [0, 68, 0, 67],
            _ => [0, 67, 0, 68],
        };
        let ip = [
            &[0x45, 0, 1, 0x48, 0, 7, 0, 0, 64, 17, 0, 0],
            &src[..],
            &dst[..],
        ]
        .concat();
        let sum = checksum::checksum(&ip).to_be_bytes();
        let ip = [&ip[..10], &sum[..], &ip[12..]].concat();
        let udp = [&ports[..], &[1, 0x34, 0, 0]].concat();
        [&[0xff; 6], &from.0[..], &[8, 0], &ip, &udp, &self.data()].concat()
    }

    /// From the client to everybody.
    pub(super) fn broadcast(&self) -> Vec<u8> {
        self.frame(self.chaddr, [NOBODY, ALL])
    }
}

/// What control does about a frame that came in by a port.
pub(super) fn hear(
    plant: &mut Plant,
    store: &Store,
    (what, port): (Punt, u16),
    frame: &[u8],
) -> Replies {
    let punted = Punted {
        what,
        port,
        packet: Buffer::new(frame),
    };
    let mut replies = Replies::default();
    plant.answer(&punted, store, &mut replies);
    plant.step(store);
    replies
}

/// The same of a node by its name; nodes are behind port 1.
pub(super) fn from_node(plant: &mut Plant, store: &Store, name: &str, frame: &[u8]) -> Replies {
    let node = plant.numbers.get(name).unwrap();
    hear(plant, store, (Punt::Dhcp { node }, 1), frame)
}
