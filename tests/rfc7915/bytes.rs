//! Packets as the cases write them: hex with comments, and bytes that may be
//! anything.

use std::fmt::Write;

/// A packet, or what is known of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Packet {
    pub(super) version: u8,
    pub(super) bytes: Vec<u8>,
    /// Which bits of each byte count.
    pub(super) mask: Vec<u8>,
    /// Where an IPv4 header checksum stands that is whatever is right.
    pub(super) sums: Vec<usize>,
    /// What each line says, and where it begins.
    notes: Vec<(usize, String)>,
}

/// Byte `at` of all patterns: two fragments of one tell where they were cut.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

impl Packet {
    pub(super) fn new(version: u8) -> Packet {
        Packet {
            version,
            ..Packet::default()
        }
    }

    /// Adds a line: `45 00 xx 4x cc cc`, `pattern 0..1232` or `zero 20`.
    pub(super) fn add(&mut self, line: &str) -> Result<(), String> {
        let (data, note) = line.split_once('#').unwrap_or((line, ""));
        let words: Vec<&str> = data.split_whitespace().collect();
        self.notes.push((self.bytes.len(), note.trim().to_owned()));
        let number = |text: &str| text.parse::<usize>().map_err(|e| format!("`{text}`: {e}"));
        match words[..] {
            ["pattern", range] => {
                let (from, to) = range.split_once("..").ok_or("pattern A..B")?;
                self.bytes.extend((number(from)?..number(to)?).map(pattern));
            }
            ["zero", count] => self.bytes.resize(self.bytes.len() + number(count)?, 0),
            _ => words.iter().try_for_each(|word| self.add_byte(word))?,
        }
        self.mask.resize(self.bytes.len(), 0xff);
        Ok(())
    }

    fn add_byte(&mut self, word: &str) -> Result<(), String> {
        let known = self
            .sums
            .last()
            .is_some_and(|&at| at + 1 == self.bytes.len());
        self.mask.resize(self.bytes.len(), 0xff);
        let digits: Vec<char> = word.chars().collect();
        let (byte, mask) = match digits[..] {
            ['c', 'c'] if known || self.may_be_sum() => {
                if !known {
                    self.sums.push(self.bytes.len());
                }
                (0, 0)
            }
            [high, low] => {
                let digit = |c: char| match c {
                    'x' => Ok((0, 0)),
                    _ => c.to_digit(16).map(|d| (d as u8, 0xf)).ok_or(c),
                };
                let bad = |c| format!("`{c}` in `{word}` is no hex digit");
                let ((a, b), (c, d)) = (digit(high).map_err(bad)?, digit(low).map_err(bad)?);
                (a << 4 | c, b << 4 | d)
            }
            _ => return Err(format!("`{word}` is no byte")),
        };
        self.bytes.push(byte);
        self.mask.push(mask);
        Ok(())
    }

    /// `cc` is a byte like any other, but behind an identification that may be
    /// anything no header checksum can be known.
    fn may_be_sum(&self) -> bool {
        let at = self.bytes.len();
        at >= 10 && self.mask[at - 6] == 0 && self.mask[at - 5] == 0
    }

    /// Whether these bytes are the packet.
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.bytes.len()
            && (0..bytes.len()).all(|at| self.agrees(bytes, at))
            && self
                .sums
                .iter()
                .all(|&at| header_sum(&bytes[at - 10..]) == 0)
    }

    fn agrees(&self, bytes: &[u8], at: usize) -> bool {
        bytes[at] & self.mask[at] == self.bytes[at] & self.mask[at]
    }

    /// Line by line, what was expected and what is there.
    pub(super) fn diff(&self, bytes: &[u8]) -> String {
        let mut out = String::new();
        let ends = self.notes.iter().skip(1).map(|(at, _)| *at);
        let ends = ends.chain([self.bytes.len()]);
        for ((from, note), to) in self.notes.iter().zip(ends) {
            let there = &bytes[(*from).min(bytes.len())..to.min(bytes.len())];
            let same = there.len() == to - from && (*from..to).all(|at| self.agrees(bytes, at));
            if same {
                continue;
            }
            let _ = writeln!(out, "   byte {from}: {note}");
            let _ = writeln!(
                out,
                "     expected {}",
                short(&self.bytes[*from..to], &self.mask[*from..to])
            );
            let _ = writeln!(
                out,
                "     found    {}",
                short(there, &vec![0xff; there.len()])
            );
        }
        for &at in &self.sums {
            if bytes
                .get(at - 10..)
                .is_some_and(|header| header_sum(header) != 0)
            {
                let _ = writeln!(out, "   byte {at}: wrong header checksum");
            }
        }
        if bytes.len() != self.bytes.len() {
            let lengths = (self.bytes.len(), bytes.len());
            let _ = writeln!(out, "   {} bytes expected, {} found", lengths.0, lengths.1);
            let more = &bytes[self.bytes.len().min(bytes.len())..];
            if !more.is_empty() {
                let _ = writeln!(
                    out,
                    "     also     {}",
                    short(more, &vec![0xff; more.len()])
                );
            }
        }
        out
    }

    /// Version and length, so that a slip of the pen is found.
    pub(super) fn check_form(&self) -> Result<(), String> {
        let b = &self.bytes;
        let word = |at: usize| usize::from(b[at]) << 8 | usize::from(b[at + 1]);
        if b.len() < 20 || b[0] >> 4 != self.version {
            return Err("no packet of its version".to_owned());
        }
        let length = match self.version {
            4 => word(2),
            _ => 40 + word(4),
        };
        if length != b.len() {
            return Err(format!("{} bytes, and its header says {length}", b.len()));
        }
        if self.version == 4 && self.sums.first() != Some(&10) && header_sum(b) != 0 {
            return Err("a wrong header checksum".to_owned());
        }
        Ok(())
    }

    /// Its identification, if it is IPv4 and may be any.
    pub(super) fn free_id(&self, bytes: &[u8]) -> Option<[u8; 2]> {
        let free = self.version == 4 && self.mask.get(4) == Some(&0);
        free.then(|| [bytes[4], bytes[5]])
    }
}

/// Of an IPv4 header: 0 if its checksum is right.
fn header_sum(bytes: &[u8]) -> u16 {
    let len = usize::from(bytes[0] & 0xf) * 4;
    let words = bytes.get(..len).unwrap_or(&[1]).chunks(2);
    let mut sum: u32 = words
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn short(bytes: &[u8], mask: &[u8]) -> String {
    let digit = |value: u8, known: u8| match known {
        0 => 'x',
        _ => char::from_digit(u32::from(value), 16).unwrap_or('?'),
    };
    let mut out: Vec<String> = bytes
        .iter()
        .zip(mask)
        .take(48)
        .map(|(b, m)| {
            [digit(b >> 4, m >> 4), digit(b & 15, m & 15)]
                .iter()
                .collect()
        })
        .collect();
    if bytes.len() > 48 {
        out.push(format!("… ({} bytes)", bytes.len()));
    }
    out.join(" ")
}
