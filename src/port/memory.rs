//! Ports in memory: two queues, and a far end that a test holds. Of a network
//! card they have what a test gives them ([`Wire::with`]), and no more.

mod card;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrayvec::ArrayVec;

use crate::packet::{Buffer, Meta};

use super::{BURST, Burst, Capabilities, Pool, Port, Refused};

/// What a test holds of a memory port: the far end of the wire.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    queues: Arc<Mutex<Queues>>,
    capabilities: Capabilities,
}

#[derive(Debug, Default)]
struct Queues {
    to_port: VecDeque<(Buffer, Meta)>,
    from_port: VecDeque<Buffer>,
    /// How many packets the port still takes; unlimited when absent.
    room: Option<usize>,
    /// Packets that the card was given and should not have been.
    misused: usize,
    /// The card's driver takes no requests, whatever the card can do.
    refusing: bool,
}

impl Wire {
    pub fn new() -> Wire {
        Wire::default()
    }

    /// The wire of a card that does this and refuses everything else.
    pub fn with(capabilities: Capabilities) -> Wire {
        Wire {
            capabilities,
            ..Wire::default()
        }
    }

    /// Packets that were sent and ask for what the card cannot do, or ask for
    /// it wrongly: a real one would send rubbish, or stand still.
    pub fn misused(&self) -> usize {
        self.queues().misused
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame on the wire towards the port.
    pub fn send(&self, frame: &[u8]) {
        self.send_packet(Buffer::new(frame), Meta::default());
    }

    pub fn send_packet(&self, packet: Buffer, meta: Meta) {
        self.queues().to_port.push_back((packet, meta));
    }

    /// The next frame that came out of the port.
    pub fn receive(&self) -> Option<Vec<u8>> {
        self.queues()
            .from_port
            .pop_front()
            .map(|packet| packet.frame().to_vec())
    }

    /// Makes the card's driver refuse every request, as for a packet beyond
    /// its limits.
    pub fn refuse_requests(&self) {
        self.queues().refusing = true;
    }

    /// Makes the port refuse to send more than `n` further packets.
    pub fn limit(&self, n: usize) {
        self.queues().room = Some(n);
    }

    /// The worker's end.
    pub fn port(&self) -> MemoryPort {
        MemoryPort {
            wire: self.clone(),
            receives: true,
            transmits: true,
        }
    }

    /// An end without transmit queue, as a device with fewer queues than
    /// workers gives the others.
    pub fn receive_only(&self) -> MemoryPort {
        MemoryPort {
            wire: self.clone(),
            receives: true,
            transmits: false,
        }
    }

    /// An end of a device that another worker receives from.
    pub fn absent(&self) -> MemoryPort {
        MemoryPort {
            wire: self.clone(),
            receives: false,
            transmits: false,
        }
    }

    /// An end with nothing but a transmit queue.
    pub fn transmit_only(&self) -> MemoryPort {
        MemoryPort {
            wire: self.clone(),
            receives: false,
            transmits: true,
        }
    }
}

/// The worker's end of a [`Wire`].
#[derive(Debug)]
pub struct MemoryPort {
    wire: Wire,
    receives: bool,
    transmits: bool,
}

impl Port for MemoryPort {
    type Packet = Buffer;

    fn rx_burst(&mut self, into: &mut Burst<Buffer>) -> usize {
        let mut queues = self.wire.queues();
        while !into.packets.is_full() {
            let Some((packet, meta)) = queues.to_port.pop_front() else {
                break;
            };
            into.packets.push(packet);
            into.metas.push(meta);
        }
        into.unfinished = into.metas.iter().any(|meta| !meta.offload.is_none());
        into.packets.len()
    }

    fn tx_burst(&mut self, packets: &mut ArrayVec<Buffer, BURST>) -> usize {
        let mut queues = self.wire.queues();
        let n = queues.room.unwrap_or(usize::MAX).min(packets.len());
        if let Some(room) = &mut queues.room {
            *room -= n;
        }
        for packet in packets.drain(..n) {
            match card::send(&packet, &self.wire.capabilities) {
                Ok(None) => queues.from_port.push_back(packet),
                Ok(Some(frames)) => {
                    let frames = frames.iter().map(|frame| Buffer::new(frame));
                    queues.from_port.extend(frames);
                }
                Err(Refused) => queues.misused += 1,
            }
        }
        n
    }

    fn capabilities(&self) -> Capabilities {
        self.wire.capabilities
    }

    fn prepare(&mut self, packet: &mut Buffer) -> Result<(), Refused> {
        match self.wire.queues().refusing {
            true => Err(Refused),
            false => card::send(packet, &self.wire.capabilities).map(drop),
        }
    }

    fn receives(&self) -> bool {
        self.receives
    }

    fn transmits(&self) -> bool {
        self.transmits
    }
}

/// A pool of plain memory, bounded so that exhaustion can be tested.
#[derive(Debug, Clone, Copy)]
pub struct MemoryPool {
    pub left: usize,
}

impl Pool for MemoryPool {
    type Packet = Buffer;

    fn alloc(&mut self) -> Option<Buffer> {
        self.left = self.left.checked_sub(1)?;
        Some(Buffer::new(&[]))
    }
}
