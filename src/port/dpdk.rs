//! Ports on DPDK. The only file of this crate that names the `dpdk` crate's
//! packets and queues.

use arrayvec::ArrayVec;
use dpdk::mempool::Mempool;
use dpdk::port::{RxQueue, TxQueue};

pub use dpdk::Mbuf;

use crate::packet::{Meta, NoRoom, Packet};

use super::{BURST, Burst, Pool, Port};

impl Packet for Mbuf {
    #[inline]
    fn head(&self) -> &[u8] {
        self.data()
    }

    #[inline]
    fn head_mut(&mut self) -> &mut [u8] {
        self.data_mut()
    }

    #[inline]
    fn total_len(&self) -> usize {
        self.pkt_len()
    }

    #[inline]
    fn is_shared(&self) -> bool {
        Mbuf::is_shared(self)
    }

    #[inline(always)]
    fn is_simple(&self) -> bool {
        Mbuf::is_simple(self)
    }

    #[inline(always)]
    fn reshape(&mut self, out: isize, len: usize) -> Result<&mut [u8], NoRoom> {
        Mbuf::reshape(self, out, len).map_err(|_| NoRoom)
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> Result<(), NoRoom> {
        Mbuf::prepend(self, n).map_err(|_| NoRoom)
    }

    #[inline]
    fn trim_front(&mut self, n: usize) -> Result<(), NoRoom> {
        Mbuf::trim_front(self, n).map_err(|_| NoRoom)
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        let excess = self.pkt_len().saturating_sub(len);
        // Padding never spans segments; if a chain claims it does, the packet
        // keeps it and the length fields in its headers stay true.
        if excess > 0 {
            let _ = self.trim_back(excess);
        }
    }

    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize {
        let mut skip = offset;
        let mut filled = 0;
        for segment in self.segments() {
            let bytes = segment.get(skip..).unwrap_or(&[]);
            skip = skip.saturating_sub(segment.len());
            let n = bytes.len().min(out.len() - filled);
            out[filled..filled + n].copy_from_slice(&bytes[..n]);
            filled += n;
        }
        filled
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        let room = Mbuf::append(self, bytes.len()).map_err(|_| NoRoom)?;
        room.copy_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn prefetch(&self) {
        self.prefetch_data();
    }
}

/// One worker's queues of a device. A worker has as many receive queues as
/// its share is, and one transmit queue where the device has enough.
#[derive(Debug, Default)]
pub struct DpdkPort {
    rx: Vec<RxQueue>,
    turn: usize,
    tx: Option<TxQueue>,
}

impl DpdkPort {
    pub fn new(rx: Vec<RxQueue>, tx: Option<TxQueue>) -> DpdkPort {
        DpdkPort { rx, turn: 0, tx }
    }
}

impl Port for DpdkPort {
    type Packet = Mbuf;

    #[inline]
    fn rx_burst(&mut self, into: &mut Burst<Mbuf>) -> usize {
        // One queue a call, in turn, so that a full one starves no other.
        self.turn = if self.turn + 1 < self.rx.len() {
            self.turn + 1
        } else {
            0
        };
        let Some(queue) = self.rx.get_mut(self.turn) else {
            return 0;
        };
        let n = queue.rx_burst(&mut into.packets);
        for packet in &into.packets {
            packet.prefetch_data();
        }
        into.metas.extend(into.packets.iter().map(meta));
        n
    }

    #[inline]
    fn tx_burst(&mut self, packets: &mut ArrayVec<Mbuf, BURST>) -> usize {
        match &mut self.tx {
            Some(queue) => queue.tx_burst(packets),
            None => 0,
        }
    }

    fn receives(&self) -> bool {
        !self.rx.is_empty()
    }

    fn transmits(&self) -> bool {
        self.tx.is_some()
    }
}

#[inline]
fn meta(packet: &Mbuf) -> Meta {
    Meta {
        port: 0,
        vlan: packet.stripped_vlan().map_or(0, |tci| tci & 0xfff),
    }
}

/// A pool of mbufs.
#[derive(Debug, Clone)]
pub struct MbufPool(pub Mempool);

impl Pool for MbufPool {
    type Packet = Mbuf;

    fn alloc(&mut self) -> Option<Mbuf> {
        self.0.alloc()
    }
}
