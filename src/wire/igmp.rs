//! IGMP (RFC 1112, RFC 2236, RFC 3376): what follows the IPv4 header.
//!
//! Messages of nodes are read in all three versions, and queries are written in
//! the third: hosts of an older version read its first eight bytes as theirs.
//! Whether a sender may say what it says hangs on who reads it.

use super::{Mac, Vaddr, checksum, ipv4, protocol};

/// Every system on a link; general queries go there, and nobody reports it.
pub const ALL_SYSTEMS: Vaddr = Vaddr(0xe000_0001);

/// Length of every message of versions 1 and 2, and of none that is shorter.
const SHORT_LEN: usize = 8;
/// Length of a query of version 3 without its sources.
const QUERY_LEN: usize = 12;
/// Length of a record without its sources.
const RECORD_LEN: usize = 8;
/// The IPv4 header with the Router Alert option (RFC 2113).
const HEADER_LEN: usize = 24;
const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0, 0];
/// Internetwork Control: RFC 3376 section 4.
const TOS: u8 = 0xc0;

/// The most sources a query has room for, in a packet of 576 bytes.
pub const MOST_SOURCES: usize = (576 - HEADER_LEN - QUERY_LEN) / 4;
/// Length of the longest packet that [`Query::packet`] writes.
pub const MOST_BYTES: usize = HEADER_LEN + QUERY_LEN + 4 * MOST_SOURCES;

mod kind {
    pub(super) const QUERY: u8 = 0x11;
    pub(super) const REPORT_V1: u8 = 0x12;
    pub(super) const REPORT_V2: u8 = 0x16;
    pub(super) const LEAVE: u8 = 0x17;
    pub(super) const REPORT_V3: u8 = 0x22;
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("fewer bytes than an IGMP message")]
    TooShort,
    #[error("the checksum is wrong")]
    BadChecksum,
    #[error("a type that is none of a membership protocol")]
    UnknownType,
    #[error("records that reach beyond the message")]
    BadRecords,
}

/// A message, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Of any version.
    Query,
    ReportV1(Vaddr),
    ReportV2(Vaddr),
    Leave(Vaddr),
    ReportV3(Records<'a>),
}

impl Message<'_> {
    /// Reads the payload of an IPv4 packet, all of which the checksum covers.
    pub fn parse(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
        let (front, rest) = bytes
            .split_first_chunk::<SHORT_LEN>()
            .ok_or(Malformed::TooShort)?;
        if checksum::fold(checksum::sum(bytes)) != 0xffff {
            return Err(Malformed::BadChecksum);
        }
        let [kind, _, _, _, group @ ..] = *front;
        let group = Vaddr::from_bytes(group);
        match kind {
            kind::QUERY => Ok(Message::Query),
            kind::REPORT_V1 => Ok(Message::ReportV1(group)),
            kind::REPORT_V2 => Ok(Message::ReportV2(group)),
            kind::LEAVE => Ok(Message::Leave(group)),
            kind::REPORT_V3 => {
                let count = u16::from_be_bytes([front[6], front[7]]);
                Records::checked(rest, count).map(Message::ReportV3)
            }
            _ => Err(Malformed::UnknownType),
        }
    }
}

/// What a record of a report says, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// The state is: these sources.
    IsIn = 1,
    /// The state is: all but these.
    IsEx = 2,
    /// Changes to: these sources.
    ToIn = 3,
    /// Changes to: all but these.
    ToEx = 4,
    /// These sources as well.
    Allow = 5,
    /// These sources no more.
    Block = 6,
}

impl RecordKind {
    fn of(number: u8) -> Option<RecordKind> {
        Some(match number {
            1 => RecordKind::IsIn,
            2 => RecordKind::IsEx,
            3 => RecordKind::ToIn,
            4 => RecordKind::ToEx,
            5 => RecordKind::Allow,
            6 => RecordKind::Block,
            _ => return None,
        })
    }
}

/// The records of a report, all of which lie in the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    left: u16,
}

/// What a report says of one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// `None` of a kind that is not known: not an error, and without effect.
    pub kind: Option<RecordKind>,
    pub group: Vaddr,
    sources: &'a [u8],
}

impl<'a> Records<'a> {
    fn checked(bytes: &'a [u8], count: u16) -> Result<Records<'a>, Malformed> {
        let records = Records { bytes, left: count };
        let mut walked = records;
        for _ in 0..count {
            walked.next().ok_or(Malformed::BadRecords)?;
        }
        Ok(records)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (front, rest) = self.bytes.split_first_chunk::<RECORD_LEN>()?;
        let [number, auxiliary, high, low, group @ ..] = *front;
        let sources = 4 * usize::from(u16::from_be_bytes([high, low]));
        let (sources, rest) = rest.split_at_checked(sources)?;
        // Nothing is defined that stands there; it is passed over.
        self.bytes = rest.get(4 * usize::from(auxiliary)..)?;
        Some(Record {
            kind: RecordKind::of(number),
            group: Vaddr::from_bytes(group),
            sources,
        })
    }
}

impl Record<'_> {
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Vaddr> + '_ {
        let four = self.sources.as_chunks().0.iter();
        four.map(|bytes| Vaddr::from_bytes(*bytes))
    }
}

/// A question of the querier, in version 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// `None` asks for all groups.
    pub group: Option<Vaddr>,
    /// Tenths of a second that an answer may take.
    pub max_response: u16,
    /// Other routers keep their timers.
    pub suppress: bool,
    pub robustness: u8,
    /// Seconds between general queries.
    pub interval: u16,
    /// At most [`MOST_SOURCES`]; further ones are left out.
    pub sources: &'a [Vaddr],
}

impl Query<'_> {
    /// The whole packet as it goes to a link, from `source`: of a TTL that no
    /// router passes on, to the group in question or else to every system.
    /// Returns how many bytes of `out` it is.
    pub fn packet(&self, source: Vaddr, out: &mut [u8; MOST_BYTES]) -> usize {
        let sources = &self.sources[..self.sources.len().min(MOST_SOURCES)];
        let len = HEADER_LEN + QUERY_LEN + 4 * sources.len();
        let (header, rest) = out.split_at_mut(HEADER_LEN);
        let message = &mut rest[..len - HEADER_LEN];
        message[..4].copy_from_slice(&[kind::QUERY, code(self.max_response), 0, 0]);
        message[4..8].copy_from_slice(&self.group.unwrap_or(Vaddr(0)).bytes());
        // A robustness that has no room is told as 0: RFC 3376 section 4.1.6.
        let robustness = if self.robustness > 7 {
            0
        } else {
            self.robustness
        };
        message[8] = u8::from(self.suppress) << 3 | robustness;
        message[9] = code(self.interval);
        message[10..12].copy_from_slice(&(sources.len() as u16).to_be_bytes());
        for (four, source) in message[QUERY_LEN..]
            .as_chunks_mut()
            .0
            .iter_mut()
            .zip(sources)
        {
            *four = source.bytes();
        }
        let sum = checksum::checksum(message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.header(source, len, header);
        len
    }

    fn header(&self, source: Vaddr, len: usize, out: &mut [u8]) {
        let header = ipv4::Header {
            tos: TOS,
            total_len: len as u16,
            id: 0,
            reserved: false,
            df: true,
            mf: false,
            offset: 0,
            ttl: 1,
            protocol: protocol::IGMP,
            src: source,
            dst: self.group.unwrap_or(ALL_SYSTEMS),
            header_len: HEADER_LEN as u8,
        };
        header.emit(out);
        out[0] = 0x40 | (HEADER_LEN / 4) as u8;
        out[ipv4::HEADER_LEN..].copy_from_slice(&ROUTER_ALERT);
        out[ipv4::field::CHECKSUM..ipv4::field::CHECKSUM + 2].fill(0);
        let sum = checksum::checksum(out);
        out[ipv4::field::CHECKSUM..ipv4::field::CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// A length of time as one byte: itself below 128, beyond that a mantissa of
/// four bits and an exponent of three (RFC 3376 section 4.1.1). What lies
/// between two that can be told is told as the smaller one.
fn code(value: u16) -> u8 {
    if value < 128 {
        return value as u8;
    }
    let exponent = value.ilog2() - 7;
    if exponent > 7 {
        return 0xff;
    }
    let mantissa = (value >> (exponent + 3)) & 0xf;
    0x80 | (exponent as u8) << 4 | mantissa as u8
}

/// The Ethernet group of an IPv4 one: its lower 23 bits (RFC 1112 section 6.4).
#[inline]
pub fn mac_of(group: Vaddr) -> Mac {
    let [_, b, c, d] = group.bytes();
    Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GROUP: Vaddr = Vaddr(0xef01_0203);

    fn written(query: &Query<'_>, source: Vaddr) -> Vec<u8> {
        let mut out = [0xa5; MOST_BYTES];
        let len = query.packet(source, &mut out);
        out[..len].to_vec()
    }

    const GENERAL: Query<'_> = Query {
        group: None,
        max_response: 100,
        suppress: false,
        robustness: 2,
        interval: 125,
        sources: &[],
    };

    #[test]
    fn a_general_query_to_the_byte() {
        let bytes = [
            0x46, 0xc0, 0, 36, 0, 0, 0x40, 0, 1, 2, 0xfa, 0x11, 10, 0, 0, 1, 224, 0, 0, 1, 0x94,
            0x04, 0, 0, // header and Router Alert
            0x11, 100, 0xec, 0x1e, 0, 0, 0, 0, 2, 125, 0, 0,
        ];
        assert_eq!(written(&GENERAL, Vaddr(0x0a00_0001)), bytes);
    }

    #[test]
    fn a_query_for_sources_of_a_group_to_the_byte() {
        let query = Query {
            group: Some(GROUP),
            max_response: 10,
            suppress: true,
            sources: &[Vaddr(0x0a00_0002), Vaddr(0x0a00_0003)],
            ..GENERAL
        };
        let bytes = written(&query, Vaddr(0));
        assert_eq!(bytes[..4], [0x46, 0xc0, 0, 44]);
        assert_eq!(bytes[12..20], [0, 0, 0, 0, 239, 1, 2, 3]);
        assert_eq!(bytes[24..26], [0x11, 10]);
        let rest = [239, 1, 2, 3, 0x0a, 125, 0, 2, 10, 0, 0, 2, 10, 0, 0, 3];
        assert_eq!(bytes[28..], rest);
        assert_eq!(checksum::fold(checksum::sum(&bytes[..24])), 0xffff);
        assert_eq!(Message::parse(&bytes[24..]), Ok(Message::Query));
        let many = vec![GROUP; 200];
        let full = Query {
            sources: &many,
            ..query
        };
        let bytes = written(&full, Vaddr(0));
        assert_eq!(bytes.len(), MOST_BYTES);
        assert_eq!(ipv4::Header::parse(&bytes).unwrap().total_len, 576);
        assert_eq!(Message::parse(&bytes[24..]), Ok(Message::Query));
    }

    #[test]
    fn a_robustness_beyond_seven_is_told_as_none() {
        let said = |robustness| {
            let query = Query {
                robustness,
                ..GENERAL
            };
            written(&query, Vaddr(0))[32]
        };
        assert_eq!([said(7), said(8), said(255)], [7, 0, 0]);
    }

    #[test]
    fn times_as_one_byte() {
        let value = |code: u8| match code {
            0..128 => u16::from(code),
            _ => (u16::from(code & 0xf) | 0x10) << ((code >> 4 & 7) + 3),
        };
        for given in [0, 1, 100, 127] {
            assert_eq!(u16::from(code(given)), given);
        }
        assert_eq!([code(128), code(135), code(136)], [0x80, 0x80, 0x81]);
        assert_eq!([code(31744), code(u16::MAX)], [0xff, 0xff]);
        for byte in 0..=255 {
            assert_eq!(code(value(byte)), byte);
        }
    }

    fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[2..4].fill(0);
        let sum = checksum::checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn messages_of_all_versions() {
        for (kind, message) in [
            (0x11, Message::Query),
            (0x12, Message::ReportV1(GROUP)),
            (0x16, Message::ReportV2(GROUP)),
            (0x17, Message::Leave(GROUP)),
        ] {
            let bytes = summed(vec![kind, 0, 0, 0, 239, 1, 2, 3]);
            assert_eq!(Message::parse(&bytes), Ok(message));
            // More may follow, which the checksum covers.
            let longer = summed([&bytes[..], &[1, 2, 3, 4]].concat());
            assert_eq!(Message::parse(&longer), Ok(message));
        }
        // The report of RFC 2236 for 239.1.2.3, literally.
        let report = [0x16, 0, 0xf8, 0xfa, 239, 1, 2, 3];
        assert_eq!(Message::parse(&report), Ok(Message::ReportV2(GROUP)));
    }

    fn report() -> Vec<u8> {
        summed(vec![
            0x22, 0, 0, 0, 0, 0, 0, 3, // three records
            4, 0, 0, 0, 239, 1, 2, 3, // to all sources
            5, 1, 0, 2, 239, 1, 2, 4, 10, 0, 0, 2, 10, 0, 0, 3, 1, 2, 3, 4, // and these
            9, 0, 0, 0, 239, 1, 2, 5, // a kind that nobody knows
        ])
    }

    #[test]
    fn records_of_a_report() {
        let bytes = report();
        let Ok(Message::ReportV3(records)) = Message::parse(&bytes) else {
            panic!("no report")
        };
        let read: Vec<_> = records
            .map(|record| {
                (
                    record.kind,
                    record.group,
                    record.sources().collect::<Vec<_>>(),
                )
            })
            .collect();
        let both = vec![Vaddr(0x0a00_0002), Vaddr(0x0a00_0003)];
        let expected = [
            (Some(RecordKind::ToEx), Vaddr(0xef01_0203), vec![]),
            (Some(RecordKind::Allow), Vaddr(0xef01_0204), both),
            (None, Vaddr(0xef01_0205), vec![]),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn other_bytes_are_named() {
        let bytes = report();
        for len in 0..8 {
            assert_eq!(Message::parse(&bytes[..len]), Err(Malformed::TooShort));
        }
        for len in 8..bytes.len() {
            let short = summed(bytes[..len].to_vec());
            assert_eq!(Message::parse(&short), Err(Malformed::BadRecords), "{len}");
        }
        for (at, byte) in bytes.iter().enumerate() {
            let mut wrong = bytes.clone();
            wrong[at] = byte ^ 0x40;
            assert_eq!(Message::parse(&wrong), Err(Malformed::BadChecksum), "{at}");
        }
        for kind in (0..=255).filter(|kind| ![0x11, 0x12, 0x16, 0x17, 0x22].contains(kind)) {
            let other = summed(vec![kind, 0, 0, 0, 239, 1, 2, 3]);
            assert_eq!(
                Message::parse(&other),
                Err(Malformed::UnknownType),
                "{kind}"
            );
        }
        // Counts beyond what is there.
        let mut many = bytes.clone();
        many[7] = 4;
        assert_eq!(Message::parse(&summed(many)), Err(Malformed::BadRecords));
        let mut long = bytes;
        long[18..20].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Message::parse(&summed(long)), Err(Malformed::BadRecords));
    }

    #[test]
    fn groups_of_ethernet() {
        assert_eq!(mac_of(GROUP), Mac([0x01, 0, 0x5e, 1, 2, 3]));
        assert_eq!(
            mac_of(Vaddr(0xe0ff_ffff)),
            Mac([0x01, 0, 0x5e, 0x7f, 0xff, 0xff])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end_or_not_at_all(bytes: Vec<u8>) {
            if bytes.len() >= 8
                && let Ok(Message::ReportV3(records)) = Message::parse(&summed(bytes.clone()))
            {
                let count = u16::from_be_bytes([bytes[6], bytes[7]]);
                prop_assert_eq!(records.count(), usize::from(count));
            }
        }
    }
}
