//! Ports on DPDK. The only file of this crate that names the `dpdk` crate's
//! packets and queues.

use arrayvec::ArrayVec;
use dpdk::mbuf::{L3, L4, RxChecksum, TxChecksums};
use dpdk::mempool::Mempool;
use dpdk::port::{RxQueue, TxQueue};

pub use dpdk::Mbuf;

use crate::packet::{Meta, NoRoom, Offload, Packet, Request, Transport};

use super::spread::{self, Queues};
use super::{BURST, Burst, Capabilities, Pool, Port, Refused};

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
    fn has_headroom(&self, n: usize) -> bool {
        self.headroom() >= n
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

    fn visit(&self, offset: usize, len: usize, mut see: impl FnMut(&[u8])) {
        let (mut skip, mut left) = (offset, len);
        for segment in self.segments() {
            let bytes = segment.get(skip..).unwrap_or(&[]);
            skip = skip.saturating_sub(segment.len());
            let bytes = &bytes[..bytes.len().min(left)];
            left -= bytes.len();
            if !bytes.is_empty() {
                see(bytes);
            }
        }
    }

    fn parts(&self) -> usize {
        usize::from(self.nb_segs())
    }

    fn linearise(&mut self) -> Result<(), NoRoom> {
        Mbuf::linearise(self).map_err(|_| NoRoom)
    }

    fn request(&mut self, request: Option<&Request>) -> Result<(), NoRoom> {
        let Some(request) = request else {
            self.clear_offloads();
            return Ok(());
        };
        self.set_tx_checksums(&TxChecksums {
            l2_len: request.l2_len,
            l3_len: request.l3_len,
            l3: match request.ipv6 {
                true => L3::Ipv6,
                // Only of a packet that is cut is it not there already.
                false => L3::Ipv4 {
                    checksum: request.cut.is_some(),
                },
            },
            l4: match request.transport {
                Transport::Tcp => L4::Tcp,
                Transport::Udp => L4::Udp,
            },
        });
        if let Some(cut) = request.cut {
            self.set_tso(cut.l4_len, cut.size.get());
        }
        Ok(())
    }

    #[inline]
    fn prefetch(&self) {
        self.prefetch_data();
    }
}

/// Where a worker sends on a device.
#[derive(Debug, Default)]
pub enum Out {
    /// Another worker does.
    #[default]
    Nowhere,
    Queue(TxQueue),
    Guest(Box<Guest>),
}

/// A guest's queues, all of them one worker's: see [`spread`].
#[derive(Debug)]
pub struct Guest {
    queues: Vec<TxQueue>,
    used: Queues,
    /// By queue, empty between bursts.
    sorted: Vec<ArrayVec<Mbuf, BURST>>,
}

impl Guest {
    pub fn new(queues: Vec<TxQueue>, used: Queues) -> Guest {
        let sorted = queues.iter().map(|_| ArrayVec::new()).collect();
        Guest {
            queues,
            used,
            sorted,
        }
    }

    /// What a queue does not take comes back in its order.
    fn send(&mut self, packets: &mut ArrayVec<Mbuf, BURST>) -> usize {
        let used = self.used.used();
        if used == 1 || self.queues.len() < 2 {
            let first = self.queues.first_mut();
            return first.map_or(0, |queue| queue.tx_burst(packets));
        }
        let offered = packets.len();
        let last = self.sorted.len() - 1;
        for packet in packets.drain(..) {
            let queue = spread::queue_of(packet.data(), used);
            // As many fit as were offered.
            self.sorted[queue.min(last)].push(packet);
        }
        let mut left = 0;
        for (queue, sorted) in self.queues.iter_mut().zip(&mut self.sorted) {
            if !sorted.is_empty() {
                queue.tx_burst(sorted);
                left += sorted.len();
                packets.extend(sorted.drain(..));
            }
        }
        offered - left
    }
}

/// One worker's queues of a device. A worker has as many receive queues as
/// its share is, and one transmit queue where the device has enough.
#[derive(Debug, Default)]
pub struct DpdkPort {
    rx: Vec<RxQueue>,
    turn: usize,
    tx: Out,
    capabilities: Capabilities,
    /// Whether the device may deliver packets that are not finished, or that
    /// lie in several segments: of all others nobody asks.
    unfinished: bool,
}

impl DpdkPort {
    pub fn new(
        rx: Vec<RxQueue>,
        tx: Out,
        capabilities: Capabilities,
        unfinished: bool,
    ) -> DpdkPort {
        DpdkPort {
            rx,
            turn: 0,
            tx,
            capabilities,
            unfinished,
        }
    }
}

/// Of packets that nothing is to be known of.
const PLAIN: [Meta; BURST] = [Meta::PLAIN; BURST];

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
        let mut tagged = false;
        for packet in &into.packets {
            packet.prefetch_data();
            tagged |= packet.stripped_vlan().is_some();
        }
        // Nearly always there is nothing to know of any of them.
        if tagged {
            into.metas.extend(into.packets.iter().map(meta));
        } else {
            // In one copy, where `extend` would look for room each time. A burst
            // has room for all that a queue gives.
            let _ = into.metas.try_extend_from_slice(&PLAIN[..n.min(BURST)]);
        }
        into.unfinished = self.unfinished && mark(into);
        n
    }

    #[inline]
    fn tx_burst(&mut self, packets: &mut ArrayVec<Mbuf, BURST>) -> usize {
        match &mut self.tx {
            Out::Queue(queue) => queue.tx_burst(packets),
            Out::Guest(guest) => guest.send(packets),
            Out::Nowhere => 0,
        }
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn prepare(&mut self, packet: &mut Mbuf) -> Result<(), Refused> {
        let queue = match &mut self.tx {
            Out::Queue(queue) => queue,
            Out::Guest(guest) => guest.queues.first_mut().ok_or(Refused)?,
            Out::Nowhere => return Err(Refused),
        };
        match queue.prepare(std::slice::from_mut(packet)) {
            1 => Ok(()),
            _ => Err(Refused),
        }
    }

    fn receives(&self) -> bool {
        !self.rx.is_empty()
    }

    fn transmits(&self) -> bool {
        !matches!(self.tx, Out::Nowhere)
    }
}

#[inline]
fn meta(packet: &Mbuf) -> Meta {
    Meta {
        port: 0,
        vlan: packet.stripped_vlan().map_or(0, |tci| tci & 0xfff),
        offload: Offload::NONE,
    }
}

/// Notes what is left to be done; whether there is anything.
fn mark(burst: &mut Burst<Mbuf>) -> bool {
    let mut unfinished = false;
    for (packet, meta) in burst.packets.iter().zip(&mut burst.metas) {
        meta.offload = left_undone(packet);
        unfinished |= !meta.offload.is_none();
    }
    unfinished
}

#[inline]
fn left_undone(packet: &Mbuf) -> Offload {
    let mut left = match packet.rx_gso_size() {
        // A device that put finished packets together says no size, or one
        // that the packet does not exceed.
        Some(size) if size != 0 => Offload::to_be_cut(size),
        _ => Offload::NONE,
    };
    if packet.rx_l4_checksum() == RxChecksum::None {
        left = left.and(Offload::PARTIAL);
    }
    if packet.nb_segs() > 1 {
        left = left.and(Offload::SCATTERED);
    }
    left
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
