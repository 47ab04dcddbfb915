//! BER (X.690), as much of it as SNMP uses (RFC 3417 section 8): tags of one
//! byte, definite lengths.
//!
//! A reader never leaves the element that it was made for, and says where in the
//! whole message it is: what a digest covers is the message with a field of it
//! set to zero. Everything that is wrong is wrong alike: nobody is told more.

use std::fmt;

use super::oid::Oid;

pub mod tag {
    pub const INTEGER: u8 = 0x02;
    pub const OCTETS: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OBJECT_ID: u8 = 0x06;
    pub const SEQUENCE: u8 = 0x30;
    pub const ADDRESS: u8 = 0x40;
    pub const COUNTER32: u8 = 0x41;
    pub const GAUGE32: u8 = 0x42;
    pub const TICKS: u8 = 0x43;
    pub const COUNTER64: u8 = 0x46;
    pub const NO_SUCH_OBJECT: u8 = 0x80;
    pub const NO_SUCH_INSTANCE: u8 = 0x81;
    pub const END_OF_MIB_VIEW: u8 = 0x82;
}

/// What was read is not what it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Elements of one element, in order.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
    end: usize,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({}..{})", self.at, self.end)
    }
}

impl<'a> Reader<'a> {
    pub fn new(whole: &'a [u8]) -> Reader<'a> {
        Reader {
            whole,
            at: 0,
            end: whole.len(),
        }
    }

    /// Everything that was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.whole.get(self.at..self.end).unwrap_or(&[])
    }

    /// Place of the next byte in the whole message.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let byte = self.peek().ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        // 0x80 alone would be the indefinite form.
        let bytes = first & 0x7f;
        if !(1..=4).contains(&bytes) {
            return Err(Malformed);
        }
        let mut length: u32 = 0;
        for _ in 0..bytes {
            length = length << 8 | u32::from(self.byte()?);
        }
        usize::try_from(length).map_err(|_| Malformed)
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<(u8, Reader<'a>), Malformed> {
        let tag = self.byte()?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let length = self.length()?;
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        if end > self.end {
            return Err(Malformed);
        }
        let inside = Reader { end, ..*self };
        self.at = end;
        Ok((tag, inside))
    }

    /// The inside of the next element, which must have this tag.
    pub fn inside(&mut self, tag: u8) -> Result<Reader<'a>, Malformed> {
        match self.any()? {
            (found, inside) if found == tag => Ok(inside),
            _ => Err(Malformed),
        }
    }

    /// An integer of 32 bits, in as many bytes as it needs and no more.
    pub fn integer(&mut self) -> Result<i32, Malformed> {
        let bytes = self.inside(tag::INTEGER)?.rest();
        let first = *bytes.first().ok_or(Malformed)?;
        if bytes.len() > 4 {
            return Err(Malformed);
        }
        if let [0x00, second, ..] | [0xff, second, ..] = bytes
            && (first ^ second) & 0x80 == 0
        {
            return Err(Malformed);
        }
        let sign = if first & 0x80 != 0 { -1 } else { 0 };
        Ok(bytes
            .iter()
            .fold(sign, |value: i32, byte| value << 8 | i32::from(*byte)))
    }

    pub fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        Ok(self.inside(tag::OCTETS)?.rest())
    }

    pub fn oid(&mut self) -> Result<Oid, Malformed> {
        Oid::read(self.inside(tag::OBJECT_ID)?.rest()).ok_or(Malformed)
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Malformed> {
        match self.at == self.end {
            true => Ok(()),
            false => Err(Malformed),
        }
    }
}

/// Appends an element.
pub fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len();
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        0x100..=0xffff => {
            out.push(0x82);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x84);
            out.extend((length as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
}

/// Appends an integer of any type, in as few bytes as hold it with its sign.
pub fn put_integer(out: &mut Vec<u8>, tag: u8, value: i128) {
    let bytes = value.to_be_bytes();
    let spare = bytes
        .windows(2)
        .take_while(|pair| matches!(pair, [0x00, 0x00..=0x7f] | [0xff, 0x80..=0xff]))
        .count();
    put(out, tag, bytes.get(spare..).unwrap_or(&bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integer(bytes: &[u8]) -> Result<i32, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = reader.integer()?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn integers_are_as_short_as_they_can_be() {
        let table: &[(&[u8], i32)] = &[
            (&[2, 1, 0], 0),
            (&[2, 1, 0x7f], 127),
            (&[2, 2, 0, 0x80], 128),
            (&[2, 1, 0x80], -128),
            (&[2, 2, 0xff, 0x7f], -129),
            (&[2, 4, 0x7f, 0xff, 0xff, 0xff], i32::MAX),
            (&[2, 4, 0x80, 0, 0, 0], i32::MIN),
        ];
        for (bytes, value) in table {
            assert_eq!(integer(bytes), Ok(*value));
            let mut out = Vec::new();
            put_integer(&mut out, tag::INTEGER, i128::from(*value));
            assert_eq!(&out, bytes);
        }
        for wrong in [
            &[2, 0][..],
            &[2, 2, 0, 0x7f],
            &[2, 2, 0xff, 0x80],
            &[2, 5, 0, 0x80, 0, 0, 0],
            &[2, 2, 1],
            &[4, 1, 1],
            &[],
        ] {
            assert_eq!(integer(wrong), Err(Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn unsigned_ones_keep_their_sign_bit_free() {
        let mut out = Vec::new();
        put_integer(&mut out, tag::COUNTER32, i128::from(u32::MAX));
        assert_eq!(out, [0x41, 5, 0, 0xff, 0xff, 0xff, 0xff]);
        out.clear();
        put_integer(&mut out, tag::COUNTER64, i128::from(u64::MAX));
        let ones = [0xff; 8];
        assert_eq!(out, [&[0x46, 9, 0][..], &ones].concat());
    }

    #[test]
    fn lengths_are_definite_and_stay_inside() {
        let long = [&[4, 0x81, 2][..], b"ab"].concat();
        assert_eq!(Reader::new(&long).octets(), Ok(&b"ab"[..]));
        let padded = [&[4, 0x84, 0, 0, 0, 2][..], b"ab"].concat();
        assert_eq!(Reader::new(&padded).octets(), Ok(&b"ab"[..]));
        for wrong in [
            &[4, 0x80, 1, 0, 0][..],
            &[4, 0x85, 0, 0, 0, 0, 1, 7],
            &[4, 0xff, 1],
            &[4, 2, 1],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[4],
            &[0x3f, 1, 0],
        ] {
            assert_eq!(Reader::new(wrong).octets(), Err(Malformed), "{wrong:?}");
        }
        // The inner one claims a byte of what follows the outer one.
        let mut reader = Reader::new(&[0x30, 3, 4, 2, 7, 7]);
        let mut inside = reader.inside(tag::SEQUENCE).unwrap();
        assert_eq!(inside.octets(), Err(Malformed));
    }

    #[test]
    fn positions_are_those_of_the_whole() {
        let mut reader = Reader::new(&[2, 1, 5, 0x30, 3, 4, 1, 9]);
        assert_eq!(reader.integer(), Ok(5));
        let mut inside = reader.inside(tag::SEQUENCE).unwrap();
        assert_eq!((inside.position(), inside.peek()), (5, Some(4)));
        let octets = inside.inside(tag::OCTETS).unwrap();
        assert_eq!((octets.position(), octets.rest()), (7, &[9][..]));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn long_contents_get_long_lengths() {
        for (length, head) in [
            (0x7f, &[4, 0x7f][..]),
            (0x80, &[4, 0x81, 0x80]),
            (0x100, &[4, 0x82, 1, 0]),
            (0x10000, &[4, 0x84, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            put(&mut out, tag::OCTETS, &vec![7; length]);
            assert_eq!(&out[..head.len()], head);
            assert_eq!(Reader::new(&out).octets().map(<[u8]>::len), Ok(length));
        }
    }

    proptest! {
        #[test]
        fn any_integer_comes_back(value: i32) {
            let mut out = Vec::new();
            put_integer(&mut out, tag::INTEGER, i128::from(value));
            prop_assert_eq!(integer(&out), Ok(value));
        }
    }
}
