//! A packet in plain memory: for tests, benches and `explain`.

use super::{HEADROOM, NoRoom, Packet, Request};

/// One segment in a vector, with headroom.
#[derive(Debug, Clone)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    /// Where the first segment ends, if there are two; only to show the walk
    /// such packets.
    split_at: Option<usize>,
    /// Somebody else holds it too; only to show the walk such packets.
    shared: bool,
    limit: usize,
    request: Option<Request>,
}

impl Buffer {
    /// The most a buffer holds, headroom included; as large as a data room of
    /// the appliance's pools.
    pub const ROOM: usize = HEADROOM + 9216 + 128;

    pub fn new(frame: &[u8]) -> Buffer {
        let mut bytes = Vec::with_capacity(HEADROOM + frame.len() + 64);
        bytes.resize(HEADROOM, 0xa5);
        bytes.extend_from_slice(frame);
        Buffer {
            bytes,
            start: HEADROOM,
            split_at: None,
            shared: false,
            limit: Buffer::ROOM.max(HEADROOM + frame.len()),
            request: None,
        }
    }

    /// An empty one with less room, headroom included.
    pub fn limited(limit: usize) -> Buffer {
        Buffer {
            limit,
            ..Buffer::new(&[])
        }
    }

    /// What the sending device is asked to do.
    pub fn requested(&self) -> Option<Request> {
        self.request
    }

    /// A packet whose first segment ends after `at` bytes.
    pub fn split(frame: &[u8], at: usize) -> Buffer {
        Buffer {
            split_at: (at < frame.len()).then_some(HEADROOM + at),
            ..Buffer::new(frame)
        }
    }

    /// A packet that must not be written to.
    pub fn shared(frame: &[u8]) -> Buffer {
        Buffer {
            shared: true,
            ..Buffer::new(frame)
        }
    }

    /// The whole frame.
    pub fn frame(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn head_end(&self) -> usize {
        self.split_at
            .unwrap_or(self.bytes.len())
            .min(self.bytes.len())
    }

    /// Replaces the contents without giving memory back.
    pub fn refill(&mut self, frame: &[u8]) {
        self.bytes.truncate(HEADROOM);
        self.bytes.resize(HEADROOM, 0xa5);
        self.bytes.extend_from_slice(frame);
        self.start = HEADROOM;
        self.split_at = None;
        self.shared = false;
        self.request = None;
    }
}

impl Packet for Buffer {
    fn head(&self) -> &[u8] {
        &self.bytes[self.start..self.head_end()]
    }

    fn head_mut(&mut self) -> &mut [u8] {
        let end = self.head_end();
        &mut self.bytes[self.start..end]
    }

    fn total_len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn has_headroom(&self, n: usize) -> bool {
        self.start >= n
    }

    fn prepend(&mut self, n: usize) -> Result<(), NoRoom> {
        self.start = self.start.checked_sub(n).ok_or(NoRoom)?;
        Ok(())
    }

    fn trim_front(&mut self, n: usize) -> Result<(), NoRoom> {
        if self.start + n > self.head_end() {
            return Err(NoRoom);
        }
        self.start += n;
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.start + len);
    }

    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize {
        let bytes = self.frame().get(offset..).unwrap_or(&[]);
        let n = bytes.len().min(out.len());
        out[..n].copy_from_slice(&bytes[..n]);
        n
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), NoRoom> {
        if self.split_at.is_some() || self.bytes.len() + bytes.len() > self.limit {
            return Err(NoRoom);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn linearise(&mut self) -> Result<(), NoRoom> {
        // As in an mbuf, where the first segment must have room for all.
        if self.bytes.len() > self.limit.min(Buffer::ROOM) {
            return Err(NoRoom);
        }
        self.split_at = None;
        Ok(())
    }

    fn request(&mut self, request: Option<&Request>) -> Result<(), NoRoom> {
        self.request = request.copied();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_at_the_front() {
        let mut p = Buffer::new(b"abcdef");
        p.prepend(2).unwrap();
        p.head_mut()[..2].copy_from_slice(b"xy");
        assert_eq!(p.head(), b"xyabcdef");
        p.trim_front(5).unwrap();
        assert_eq!(p.head(), b"def");
        p.truncate(2);
        assert_eq!((p.head(), p.total_len()), (&b"de"[..], 2));
        assert_eq!(p.prepend(1000), Err(NoRoom));
        assert_eq!(p.trim_front(3), Err(NoRoom));
        assert_eq!(p.frame(), b"de");
    }

    #[test]
    fn a_split_packet_shows_only_its_first_segment_as_head() {
        let mut p = Buffer::split(b"abcdef", 2);
        assert_eq!((p.head(), p.total_len()), (&b"ab"[..], 6));
        let mut out = [0; 3];
        assert_eq!(p.copy_out(1, &mut out), 3);
        assert_eq!(&out, b"bcd");
        assert_eq!(p.append(b"g"), Err(NoRoom));
    }
}
