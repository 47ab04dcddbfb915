//! Lines in, lines out, both bounded.
//!
//! A reader that meets a line longer than its limit cannot find its place
//! again cheaply, so the connection is closed after an error. A queue that is
//! full means a client that does not read: it is cut off, never waited for.

use std::io::{self, Read, Write};
use std::ops::Range;

/// Default limit of a line: 40,000 mappings.
pub const MAX_LINE: usize = 4 << 20;

/// Bytes asked for at once.
const CHUNK: usize = 64 << 10;

/// Buffers that grew beyond this are given back when empty.
const KEEP: usize = 256 << 10;

/// The line limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line longer than {limit} bytes")]
pub struct TooLong {
    pub limit: usize,
}

/// What a [`LineReader::fill`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    Bytes(usize),
    /// Nothing there now.
    Empty,
    /// The peer will send no more.
    End,
}

/// Cuts a stream of bytes into lines.
#[derive(Debug)]
pub struct LineReader {
    buffer: Vec<u8>,
    /// First byte not yet handed out.
    start: usize,
    /// Bytes before this hold no newline.
    scanned: usize,
    limit: usize,
}

impl LineReader {
    pub fn new(limit: usize) -> LineReader {
        LineReader {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            limit,
        }
    }

    /// Reads once.
    pub fn fill(&mut self, source: &mut impl Read) -> io::Result<Fill> {
        self.compact();
        let end = self.buffer.len();
        self.buffer.resize(end + CHUNK, 0);
        let got = loop {
            match source.read(&mut self.buffer[end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer
            .truncate(end + got.as_ref().copied().unwrap_or(0));
        match got {
            Ok(0) => Ok(Fill::End),
            Ok(n) => Ok(Fill::Bytes(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Fill::Empty),
            Err(error) => Err(error),
        }
    }

    /// The next full line without its newline (and without a carriage return
    /// before it); bytes are had by [`LineReader::bytes`].
    pub fn next_line(&mut self) -> Result<Option<Range<usize>>, TooLong> {
        let too_long = TooLong { limit: self.limit };
        match memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            Some(offset) => {
                let newline = self.scanned + offset;
                let line = self.start..newline;
                self.start = newline + 1;
                self.scanned = self.start;
                if line.len() > self.limit {
                    return Err(too_long);
                }
                let cr = self.buffer[line.clone()].last() == Some(&b'\r');
                Ok(Some(line.start..line.end - usize::from(cr)))
            }
            None => {
                self.scanned = self.buffer.len();
                match self.scanned - self.start > self.limit {
                    true => Err(too_long),
                    false => Ok(None),
                }
            }
        }
    }

    pub fn bytes(&self, line: Range<usize>) -> &[u8] {
        self.buffer.get(line).unwrap_or_default()
    }

    /// Is a whole line waiting? Looks at no byte twice.
    pub fn has_line(&mut self) -> bool {
        match memchr::memchr(b'\n', &self.buffer[self.scanned..]) {
            Some(offset) => {
                self.scanned += offset;
                true
            }
            None => {
                self.scanned = self.buffer.len();
                false
            }
        }
    }

    /// Bytes of an unfinished line.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Moves what is left to the front. A partial line is moved once for each
    /// time the lines before it were taken, not once per read.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        }
    }
}

/// The queue is full; the client does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client does not read: {queued} bytes wait for it")]
pub struct Full {
    pub queued: usize,
}

/// Bytes waiting to be written to one client.
#[derive(Debug)]
pub struct OutQueue {
    buffer: Vec<u8>,
    start: usize,
    limit: usize,
}

impl OutQueue {
    pub fn new(limit: usize) -> OutQueue {
        OutQueue {
            buffer: Vec::new(),
            start: 0,
            limit,
        }
    }

    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Queues a line; its newline is added. All of it or nothing.
    pub fn push(&mut self, line: &[u8]) -> Result<(), Full> {
        if self.len() + line.len() + 1 > self.limit {
            return Err(Full { queued: self.len() });
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(line);
        self.buffer.push(b'\n');
        Ok(())
    }

    /// Writes what the peer takes now; the bytes it took.
    pub fn flush(&mut self, sink: &mut impl Write) -> io::Result<usize> {
        let before = self.len();
        while !self.is_empty() {
            match sink.write(&self.buffer[self.start..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.start += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let written = before - self.len();
        if self.is_empty() {
            self.start = 0;
            self.buffer.clear();
            if self.buffer.capacity() > KEEP {
                self.buffer = Vec::new();
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(reader: &mut LineReader) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(Some(line)) = reader.next_line() {
            all.push(String::from_utf8_lossy(reader.bytes(line)).into_owned());
        }
        all
    }

    #[test]
    fn lines_come_out_however_the_bytes_come_in() {
        let text = b"one\ntwo\r\n\nthree is longer\nrest";
        for step in 1..=text.len() {
            let mut reader = LineReader::new(100);
            let mut all = Vec::new();
            for mut part in text.chunks(step) {
                let n = part.len();
                assert_eq!(reader.fill(&mut part).unwrap(), Fill::Bytes(n));
                all.extend(lines(&mut reader));
            }
            assert_eq!(all, ["one", "two", "", "three is longer"], "step {step}");
            assert_eq!(reader.pending(), 4);
        }
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_byte_more_does_not() {
        let mut reader = LineReader::new(8);
        reader.fill(&mut &b"12345678\n123456789\n"[..]).unwrap();
        let line = reader.next_line().unwrap().unwrap();
        assert_eq!(reader.bytes(line), b"12345678");
        assert_eq!(reader.next_line(), Err(TooLong { limit: 8 }));
        let mut endless = LineReader::new(8);
        endless.fill(&mut &b"123456789"[..]).unwrap();
        assert_eq!(endless.next_line(), Err(TooLong { limit: 8 }));
    }

    #[test]
    fn looking_for_a_line_does_not_lose_it() {
        let mut reader = LineReader::new(8);
        reader.fill(&mut &b"a\nb"[..]).unwrap();
        assert!(reader.has_line());
        assert!(reader.has_line());
        assert_eq!(lines(&mut reader), ["a"]);
        assert!(!reader.has_line());
    }

    #[test]
    fn the_end_is_told_from_silence() {
        let mut reader = LineReader::new(8);
        assert_eq!(reader.fill(&mut &b""[..]).unwrap(), Fill::End);
    }

    #[test]
    fn a_full_queue_takes_nothing_more() {
        let mut queue = OutQueue::new(8);
        queue.push(b"1234").unwrap();
        assert_eq!(queue.push(b"567"), Err(Full { queued: 5 }));
        queue.push(b"56").unwrap();
        let mut out = Vec::new();
        assert_eq!(queue.flush(&mut out).unwrap(), 8);
        assert_eq!(out, b"1234\n56\n");
        assert!(queue.is_empty());
    }

    #[test]
    fn what_the_peer_does_not_take_stays() {
        struct Three(Vec<u8>);
        impl Write for Three {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0.len() >= 3 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.0.push(bytes[0]);
                Ok(1)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut queue = OutQueue::new(64);
        queue.push(b"abcd").unwrap();
        let mut sink = Three(Vec::new());
        assert_eq!(queue.flush(&mut sink).unwrap(), 3);
        assert_eq!(queue.len(), 2);
        queue.push(b"e").unwrap();
        let mut rest = Vec::new();
        queue.flush(&mut rest).unwrap();
        assert_eq!(rest, b"d\ne\n");
    }
}
