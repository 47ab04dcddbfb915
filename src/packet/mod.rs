//! A packet as the walk sees it: bytes with room in front.
//!
//! The walk is generic over [`Packet`], so the DPDK mbuf and the memory buffer
//! of tests and `explain` run the same machine code paths without `dyn` and
//! without a copy.

mod memory;
mod meta;
mod request;

pub use memory::Buffer;
pub use meta::{Meta, Offload};
pub use request::{Request, Segments, Transport};

/// Room that every packet has in front of its first byte when it is received:
/// enough for the 28 bytes by which a fragment grows and a VLAN tag.
pub const HEADROOM: usize = 128;

/// The most packets that go through a port, and a walk, at once.
pub const BURST: usize = 32;

/// There was not enough room in front of or behind the packet's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

/// Bytes of a frame, the head of which can grow and shrink.
///
/// A packet may consist of several segments. Headers are only ever looked for
/// in the first one; a packet whose headers lie further back is refused by
/// name (`headers_split`), never misread.
pub trait Packet: Sized {
    /// The first segment.
    fn head(&self) -> &[u8];

    fn head_mut(&mut self) -> &mut [u8];

    /// Bytes in all segments.
    fn total_len(&self) -> usize;

    /// Whether somebody else holds a reference to the first segment, so that
    /// it must not be written.
    fn is_shared(&self) -> bool;

    /// Whether it is one segment and nobody else's.
    #[inline(always)]
    fn is_simple(&self) -> bool {
        self.head().len() == self.total_len() && !self.is_shared()
    }

    /// Whether a [simple](Self::is_simple) packet can grow so much at the front.
    fn has_headroom(&self, n: usize) -> bool;

    /// Moves the packet's first byte outward by `out`, inward if that is
    /// negative, and sets the packet's length; new bytes are undefined until
    /// written. The packet must be that long then. Returns the first segment.
    #[inline(always)]
    fn reshape(&mut self, out: isize, len: usize) -> Result<&mut [u8], NoRoom> {
        if out >= 0 {
            self.prepend(out as usize)?;
        } else {
            self.trim_front(out.unsigned_abs())?;
        }
        self.truncate(len);
        Ok(self.head_mut())
    }

    /// Grows the packet by `n` bytes at the front; what they hold is
    /// undefined until written.
    fn prepend(&mut self, n: usize) -> Result<(), NoRoom>;

    /// Takes `n` bytes off the front. At most the first segment's length.
    fn trim_front(&mut self, n: usize) -> Result<(), NoRoom>;

    /// Shortens the packet to `len` bytes in all, if it is longer.
    fn truncate(&mut self, len: usize);

    /// Copies bytes from `offset` on, across segments, until `out` is full or
    /// the packet ends; returns how many.
    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize;

    /// Appends bytes to a packet of one segment.
    fn append(&mut self, bytes: &[u8]) -> Result<(), NoRoom>;

    /// Shows the bytes from `offset` on, `len` of them or as many as there
    /// are, in as many parts as they lie in.
    fn visit(&self, offset: usize, len: usize, mut see: impl FnMut(&[u8])) {
        let end = offset.saturating_add(len).min(self.total_len());
        let (mut at, mut chunk) = (offset, [0; 512]);
        while at < end {
            let n = self.copy_out(at, &mut chunk[..(end - at).min(512)]);
            if n == 0 {
                return;
            }
            see(&chunk[..n]);
            at += n;
        }
    }

    /// In how many segments of memory it lies.
    fn parts(&self) -> usize {
        1 + usize::from(self.total_len() > self.head().len())
    }

    /// Brings all bytes into the first segment, if it has room.
    fn linearise(&mut self) -> Result<(), NoRoom> {
        match self.total_len() > self.head().len() {
            true => Err(NoRoom),
            false => Ok(()),
        }
    }

    /// Asks the device that sends the packet for something, or for nothing
    /// any more. A packet that cannot carry a request refuses it.
    fn request(&mut self, request: Option<&Request>) -> Result<(), NoRoom> {
        match request {
            Some(_) => Err(NoRoom),
            None => Ok(()),
        }
    }

    /// Brings what the device will read into the cache.
    fn prefetch(&self) {}
}
