//! pcapng files (draft-ietf-opsawg-pcapng), as far as a capture needs them.
//!
//! A captured packet is up to two frames, the one received and the one sent.
//! Each is an Enhanced Packet Block on an interface of its own, `wan0
//! received` or `vm1 sent`, so that a reader shows and filters both. Blocks of
//! one record carry the same packet id, the option made for one packet seen at
//! two interfaces, and comments with the record's number and what the stages
//! decided.
//!
//! Interface blocks are written when an interface is first seen; readers only
//! ask that they stand before their packets. Numbers are little-endian, and
//! the section header says so.

use std::io::{self, Write};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET: u16 = 1;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const EPB_FLAGS: u16 = 2;
const EPB_PACKETID: u16 = 5;

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Received,
    Sent,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Received => "received",
            Direction::Sent => "sent",
        }
    }

    /// The two lowest bits of `epb_flags`.
    fn flags(self) -> u32 {
        match self {
            Direction::Received => 0b01,
            Direction::Sent => 0b10,
        }
    }
}

/// One frame of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) port: &'a str,
    pub(super) direction: Direction,
    /// Microseconds since 1970.
    pub(super) time_us: u64,
    pub(super) bytes: &'a [u8],
    /// Length on the wire, if that is more than the bytes kept.
    pub(super) length: u32,
    /// Number of the record.
    pub(super) record: u64,
    pub(super) comment: &'a str,
}

/// A file being written.
#[derive(Debug)]
pub(super) struct Writer<W> {
    sink: W,
    interfaces: Vec<(String, Direction)>,
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    pub(super) fn new(sink: W) -> io::Result<Writer<W>> {
        let mut writer = Writer {
            sink,
            interfaces: Vec::new(),
        };
        let mut body = Vec::new();
        body.extend(BYTE_ORDER.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // Length of the section: not said, so that it can be piped.
        body.extend(u64::MAX.to_le_bytes());
        let program = concat!("weft ", env!("CARGO_PKG_VERSION"));
        option(&mut body, SHB_USERAPPL, program.as_bytes());
        option(&mut body, OPT_END, &[]);
        writer.block(SECTION_HEADER, &body)?;
        Ok(writer)
    }

    pub(super) fn frame(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let interface = self.interface(frame.port, frame.direction)?;
        let kept = u32::try_from(frame.bytes.len()).map_err(io::Error::other)?;
        let mut body = Vec::with_capacity(frame.bytes.len() + frame.comment.len() + 64);
        body.extend(interface.to_le_bytes());
        // A timestamp is two words, the high one first in either byte order.
        body.extend(((frame.time_us >> 32) as u32).to_le_bytes());
        body.extend((frame.time_us as u32).to_le_bytes());
        body.extend(kept.to_le_bytes());
        body.extend(frame.length.max(kept).to_le_bytes());
        body.extend(frame.bytes);
        pad(&mut body);
        option(&mut body, OPT_COMMENT, frame.comment.as_bytes());
        option(&mut body, EPB_FLAGS, &frame.direction.flags().to_le_bytes());
        option(&mut body, EPB_PACKETID, &frame.record.to_le_bytes());
        option(&mut body, OPT_END, &[]);
        self.block(ENHANCED_PACKET, &body)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    /// Index of the interface, whose block is written on its first use.
    fn interface(&mut self, port: &str, direction: Direction) -> io::Result<u32> {
        let known = |(name, way): &(String, Direction)| name == port && *way == direction;
        let index = match self.interfaces.iter().position(known) {
            Some(index) => index,
            None => {
                let mut body = Vec::new();
                body.extend(LINKTYPE_ETHERNET.to_le_bytes());
                body.extend(0_u16.to_le_bytes());
                // Snap length 0: none.
                body.extend(0_u32.to_le_bytes());
                let name = format!("{port} {}", direction.name());
                option(&mut body, IF_NAME, name.as_bytes());
                option(&mut body, OPT_END, &[]);
                self.block(INTERFACE, &body)?;
                self.interfaces.push((port.to_owned(), direction));
                self.interfaces.len() - 1
            }
        };
        u32::try_from(index).map_err(io::Error::other)
    }

    /// Type and length, the body, and the length again.
    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 12).map_err(io::Error::other)?;
        self.sink.write_all(&kind.to_le_bytes())?;
        self.sink.write_all(&length.to_le_bytes())?;
        self.sink.write_all(body)?;
        self.sink.write_all(&length.to_le_bytes())
    }
}

/// Code, length, value, and zeros up to a multiple of four. Too long a value
/// is cut, at a character's end where it is text.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let mut length = value.len().min(usize::from(u16::MAX));
    if length < value.len() {
        while length > 0 && value[length] & 0xc0 == 0x80 {
            length -= 1;
        }
    }
    body.extend(code.to_le_bytes());
    body.extend((length as u16).to_le_bytes());
    body.extend(&value[..length]);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of a file as (type, body), each with both its lengths checked.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        while !file.is_empty() {
            let length = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(file[length - 4..length], file[4..8]);
            let kind = u32::from_le_bytes(file[..4].try_into().unwrap());
            all.push((kind, file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        all
    }

    fn frame<'a>(port: &'a str, direction: Direction, bytes: &'a [u8]) -> Frame<'a> {
        Frame {
            port,
            direction,
            time_us: 0x0001_0203_0405_0607,
            bytes,
            length: 0,
            record: 7,
            comment: "n7",
        }
    }

    #[test]
    fn the_section_header_is_as_the_draft_draws_it() {
        let writer = Writer::new(Vec::new()).unwrap();
        let file = writer.sink;
        assert_eq!(file[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
        assert_eq!(file[8..16], [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0]);
        assert_eq!(file[16..24], [0xff; 8]);
        assert_eq!(blocks(&file).len(), 1);
    }

    #[test]
    fn a_packet_block_holds_its_bytes_times_and_options() {
        let mut writer = Writer::new(Vec::new()).unwrap();
        let mut sent = frame("vm1", Direction::Sent, &[0xa5, 1, 2, 3, 4]);
        sent.length = 1500;
        writer.frame(&sent).unwrap();
        let blocks = blocks(&writer.sink);
        let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION_HEADER, INTERFACE, ENHANCED_PACKET]);
        #[rustfmt::skip]
        assert_eq!(blocks[1].1, [
            1, 0, 0, 0, 0, 0, 0, 0,
            2, 0, 8, 0, b'v', b'm', b'1', b' ', b's', b'e', b'n', b't',
            0, 0, 0, 0,
        ]);
        #[rustfmt::skip]
        assert_eq!(blocks[2].1, [
            0, 0, 0, 0,                     // interface
            3, 2, 1, 0, 7, 6, 5, 4,         // time
            5, 0, 0, 0, 0xdc, 5, 0, 0,      // kept, on the wire
            0xa5, 1, 2, 3, 4, 0, 0, 0,      // padded
            1, 0, 2, 0, b'n', b'7', 0, 0,   // comment
            2, 0, 4, 0, 2, 0, 0, 0,         // outbound
            5, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0,
        ]);
    }

    #[test]
    fn an_interface_is_described_once_for_each_direction() {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for direction in [Direction::Received, Direction::Sent, Direction::Received] {
            writer.frame(&frame("wan0", direction, &[])).unwrap();
        }
        let blocks = blocks(&writer.sink);
        let of = |kind| blocks.iter().filter(move |(k, _)| *k == kind);
        assert_eq!(of(INTERFACE).count(), 2);
        let used: Vec<_> = of(ENHANCED_PACKET).map(|(_, body)| body[0]).collect();
        assert_eq!(used, [0, 1, 0]);
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let mut body = Vec::new();
        option(&mut body, OPT_COMMENT, "aé".repeat(40_000).as_bytes());
        let length = u16::from_le_bytes([body[2], body[3]]);
        assert!(std::str::from_utf8(&body[4..4 + usize::from(length)]).is_ok());
        assert_eq!(body.len() % 4, 0);
    }
}
