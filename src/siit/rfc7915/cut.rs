//! The end of either translation: the header is written, and what is larger
//! than lies ahead is cut.
//!
//! A packet is cut after it was translated, as a whole: so the checksum of UDP
//! that had none covers all of it, and a long echo needs no translation of
//! fragments, which ICMP does not have. The pieces are those that cutting
//! before would have made, with the ID of the IPv4 packet in either case.

use std::ops::Range;

use arrayvec::ArrayVec;

use super::icmp::Sort;
use super::transport::icmp_header;
use super::{MAX_HEAD, Translated};
use crate::wire::{checksum, icmpv6, ipv4, ipv6, protocol};

/// Length of an IPv6 and a Fragment header.
const MAX_FRONT: usize = ipv6::HEADER_LEN + ipv6::FRAGMENT_LEN;

/// A header but for its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    Ipv4(ipv4::Header),
    Ipv6 {
        header: ipv6::Header,
        fragment: Option<ipv6::Fragment>,
        /// For a Fragment header, should there be need of one.
        id: u32,
    },
}

impl Front {
    pub(super) fn len(&self) -> usize {
        match self {
            Front::Ipv4(_) => ipv4::HEADER_LEN,
            Front::Ipv6 { fragment: None, .. } => ipv6::HEADER_LEN,
            Front::Ipv6 { .. } => MAX_FRONT,
        }
    }

    /// Length of the header of a piece.
    fn piece_len(&self) -> usize {
        match self {
            Front::Ipv4(_) => ipv4::HEADER_LEN,
            Front::Ipv6 { .. } => MAX_FRONT,
        }
    }

    /// The header before this many bytes of payload.
    fn bytes(&self, payload_len: usize) -> ArrayVec<u8, MAX_FRONT> {
        let mut bytes = ArrayVec::new();
        match *self {
            Front::Ipv4(header) => bytes.extend(
                ipv4::Header {
                    total_len: (ipv4::HEADER_LEN + payload_len) as u16,
                    ..header
                }
                .bytes(),
            ),
            Front::Ipv6 {
                header,
                fragment: None,
                ..
            } => bytes.extend(
                ipv6::Header {
                    payload_len: payload_len as u16,
                    ..header
                }
                .bytes(),
            ),
            Front::Ipv6 {
                header,
                fragment: Some(fragment),
                ..
            } => {
                let header = ipv6::Header {
                    payload_len: (ipv6::FRAGMENT_LEN + payload_len) as u16,
                    next_header: protocol::FRAGMENT,
                    ..header
                };
                bytes.extend(header.bytes());
                bytes.extend(fragment.bytes());
            }
        }
        bytes
    }

    /// The header of the piece that begins `at` bytes into the payload.
    fn piece(&self, at: usize, last: bool) -> Front {
        let offset = (at / 8) as u16;
        match *self {
            Front::Ipv4(header) => Front::Ipv4(ipv4::Header {
                mf: header.mf || !last,
                offset: header.offset + offset,
                ..header
            }),
            Front::Ipv6 {
                header,
                fragment,
                id,
            } => {
                let whole = fragment.unwrap_or(ipv6::Fragment {
                    next_header: header.next_header,
                    offset: 0,
                    more: false,
                    id,
                });
                let fragment = Some(ipv6::Fragment {
                    offset: whole.offset + offset,
                    more: whole.more || !last,
                    ..whole
                });
                Front::Ipv6 {
                    header,
                    fragment,
                    id,
                }
            }
        }
    }
}

impl Translated {
    /// One whose header is still to be written.
    pub(super) fn starting(front_len: usize) -> Translated {
        let mut translated = Translated {
            head: ArrayVec::new(),
            rest: 0..0,
            hairpin: false,
        };
        translated.push(&[0; MAX_FRONT + icmpv6::HEADER_LEN][..front_len]);
        translated
    }

    /// Appends what is known to fit: a transport header.
    pub(super) fn push(&mut self, bytes: &[u8]) -> &mut [u8] {
        let at = self.head.len();
        // Cannot fail: these are the first bytes of many.
        let _ = self.head.try_extend_from_slice(bytes);
        &mut self.head[at..]
    }

    /// Of the whole packet.
    #[expect(clippy::len_without_is_empty, reason = "a packet has a header")]
    pub fn len(&self) -> usize {
        self.head.len() + self.rest.len()
    }

    /// Writes the header of an ICMP error whose quoted packet begins at `start`;
    /// `sums` makes of the message's length what [`icmp_header`] adjusts by,
    /// new message excepted.
    pub(super) fn seal(
        &mut self,
        start: usize,
        old: &icmpv6::Header,
        sort: Sort,
        sums: impl FnOnce(usize) -> (u64, u64),
    ) {
        let message = &mut self.head[start - icmpv6::HEADER_LEN..];
        let bare = icmpv6::Header {
            kind: sort.kind,
            code: sort.code,
            checksum: 0,
            word: sort.word,
        };
        bare.emit(message);
        let (sum, pseudo) = sums(message.len());
        let new_sum = pseudo + checksum::sum(message);
        icmp_header(old, sort, (sum, new_sum)).emit(message);
    }
}

/// A packet that is translated, and how large it may leave.
#[derive(Clone, Debug)]
pub(super) struct Made<'p> {
    packet: &'p [u8],
    front: Front,
    translated: Translated,
    limit: usize,
}

impl<'p> Made<'p> {
    /// Writes the header; without a limit until [`limited`](Self::limited).
    pub(super) fn new(packet: &'p [u8], front: Front, mut translated: Translated) -> Made<'p> {
        let bytes = front.bytes(translated.len() - front.len());
        translated.head[..bytes.len()].copy_from_slice(&bytes);
        Made {
            packet,
            front,
            translated,
            limit: usize::MAX,
        }
    }

    pub(super) fn limited(self, limit: usize) -> Made<'p> {
        Made { limit, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.translated.len()
    }

    pub(super) fn fits(&self) -> bool {
        self.len() <= self.limit
    }

    pub(super) fn whole(self) -> Translated {
        self.translated
    }

    pub(super) fn pieces(self) -> Pieces<'p> {
        let step = if self.fits() {
            usize::MAX
        } else {
            self.limit.saturating_sub(self.front.piece_len()) & !7
        };
        Pieces {
            made: self,
            step: step.max(8),
        }
    }
}

/// A translated packet in as many pieces as it takes; one, if it fits.
#[derive(Clone, Debug)]
pub struct Pieces<'p> {
    made: Made<'p>,
    step: usize,
}

/// One piece: a packet of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    header: ArrayVec<u8, MAX_FRONT>,
    head: &'a [u8],
    rest: &'a [u8],
}

impl Piece<'_> {
    /// Its bytes, in order.
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.header, self.head, self.rest]
    }
}

impl Pieces<'_> {
    /// The pieces in order.
    pub fn iter(&self) -> impl Iterator<Item = Piece<'_>> {
        let end = self.made.len() - self.made.front.len();
        (0..end.max(1)).step_by(self.step).map(move |at| {
            let to = at.saturating_add(self.step).min(end);
            self.piece(at..to, end)
        })
    }

    fn piece(&self, payload: Range<usize>, end: usize) -> Piece<'_> {
        let Made {
            packet,
            front,
            translated,
            ..
        } = &self.made;
        let (at, len) = (payload.start, payload.len());
        let header = if len == end {
            front.bytes(len)
        } else {
            front.piece(at, payload.end == end).bytes(len)
        };
        // The payload is what of the head is not header, then the rest.
        let head = &translated.head[front.len()..];
        let rest = packet.get(translated.rest.clone()).unwrap_or(&[]);
        let split = |bytes: &'_ [u8], base: usize| {
            let from = payload.start.saturating_sub(base).min(bytes.len());
            let to = payload.end.saturating_sub(base).min(bytes.len());
            from..to
        };
        Piece {
            header,
            head: &head[split(head, 0)],
            rest: &rest[split(rest, head.len())],
        }
    }
}

const _: () = assert!(MAX_HEAD >= icmpv6::MAX_ERROR_LEN);
