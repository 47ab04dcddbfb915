//! DHCP for IPv4 (RFC 2131): what a UDP datagram to or from port 67 holds.
//!
//! Options lie in up to three fields: when the first says so (option
//! "overload"), the unused `file` and `sname` hold more of them. An option that
//! occurs twice is one option in parts, joined in the order of options,
//! `file`, `sname` (RFC 3396). So a reader asks for an option by its code and
//! gets its parts; all three fields have been walked once before, and a message
//! in which a length points beyond its field is no message.

use super::{Mac, Vaddr};

/// UDP ports of servers and clients.
pub const SERVER_PORT: u16 = 67;
pub const CLIENT_PORT: u16 = 68;

/// What lies before the options, cookie included.
pub const FIXED_LEN: usize = 240;
/// The shortest message that every client takes: one of BOOTP (RFC 1542
/// section 2.1).
pub const MIN_LEN: usize = 300;

/// What tells options from BOOTP's vendor extensions.
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
const SNAME: std::ops::Range<usize> = 44..108;
const FILE: std::ops::Range<usize> = 108..236;
/// Bytes of the option that says that `file` and `sname` hold options.
const OVERLOAD_LEN: usize = 3;
const BROADCAST: u16 = 0x8000;

/// Options that have a meaning here (RFC 2132 unless said).
pub mod option {
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DNS: u8 = 6;
    pub const HOST_NAME: u8 = 12;
    pub const DOMAIN: u8 = 15;
    pub const MTU: u8 = 26;
    pub const BROADCAST: u8 = 28;
    pub const NTP: u8 = 42;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const PARAMETERS: u8 = 55;
    pub const TEXT: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL: u8 = 58;
    pub const REBINDING: u8 = 59;
    pub const CLIENT_ID: u8 = 61;
    /// RFC 4702.
    pub const FQDN: u8 = 81;
    /// RFC 3046: what a relay says.
    pub const RELAY: u8 = 82;
    /// RFC 3397.
    pub const SEARCH: u8 = 119;
    /// RFC 3442.
    pub const ROUTES: u8 = 121;
    pub const END: u8 = 255;
}

/// Whether a message asks or answers (`op`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Request,
    Reply,
}

/// What a message is (option 53).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    Discover = 1,
    Offer,
    Request,
    Decline,
    Ack,
    Nak,
    Release,
    Inform,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Discover,
        Kind::Offer,
        Kind::Request,
        Kind::Decline,
        Kind::Ack,
        Kind::Nak,
        Kind::Release,
        Kind::Inform,
    ];

    pub fn of(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// As people and counters write it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Discover => "discover",
            Kind::Offer => "offer",
            Kind::Request => "request",
            Kind::Decline => "decline",
            Kind::Ack => "ack",
            Kind::Nak => "nak",
            Kind::Release => "release",
            Kind::Inform => "inform",
        }
    }
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("fewer bytes than a DHCP message")]
    TooShort,
    #[error("neither request nor reply")]
    BadDirection,
    #[error("hardware type or length is not Ethernet's")]
    NotEthernet,
    #[error("no cookie before the options: BOOTP, not DHCP")]
    NoCookie,
    #[error("an option is longer than the field it is in")]
    BadOption,
}

/// The fields of fixed place that have a meaning here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
    pub direction: Direction,
    pub xid: u32,
    /// The client cannot take a unicast before it has its address.
    pub broadcast: bool,
    /// Address that the client has and uses.
    pub ciaddr: Vaddr,
    /// Address that the client is given.
    pub yiaddr: Vaddr,
    /// Relay that passed it on.
    pub giaddr: Vaddr,
    pub chaddr: Mac,
}

/// A message, its options checked for their form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    pub fixed: Fixed,
    /// The fields that hold options, in the order in which parts are joined.
    fields: [&'a [u8]; 3],
}

impl<'a> Message<'a> {
    /// Reads the data of a UDP datagram.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let (head, options) = bytes
            .split_first_chunk::<FIXED_LEN>()
            .ok_or(Malformed::TooShort)?;
        if head[236..] != COOKIE {
            return Err(Malformed::NoCookie);
        }
        if head[1..3] != [1, 6] {
            return Err(Malformed::NotEthernet);
        }
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let fixed = Fixed {
            direction: match head[0] {
                1 => Direction::Request,
                2 => Direction::Reply,
                _ => return Err(Malformed::BadDirection),
            },
            xid: word(4),
            broadcast: word(8) as u16 & BROADCAST != 0,
            ciaddr: Vaddr(word(12)),
            yiaddr: Vaddr(word(16)),
            giaddr: Vaddr(word(24)),
            chaddr: Mac([head[28], head[29], head[30], head[31], head[32], head[33]]),
        };
        let (file, sname) = match overload(options)? {
            0 => (&[][..], &[][..]),
            1 => (&head[FILE], &[][..]),
            2 => (&[][..], &head[SNAME]),
            3 => (&head[FILE], &head[SNAME]),
            _ => return Err(Malformed::BadOption),
        };
        for field in [file, sname] {
            Walk(field).try_for_each(|option| option.map(drop))?;
        }
        Ok(Message {
            fixed,
            fields: [options, file, sname],
        })
    }

    /// The parts of an option, in order; none if it is absent.
    pub fn parts(&self, code: u8) -> impl Iterator<Item = &'a [u8]> {
        let options = self
            .fields
            .into_iter()
            .flat_map(|field| Walk(field).flatten());
        options.filter_map(move |(found, value)| (found == code).then_some(value))
    }

    pub fn has(&self, code: u8) -> bool {
        self.parts(code).next().is_some()
    }

    /// An option's parts, joined in `room`; what does not fit is left out.
    /// `None` if it is absent.
    pub fn joined<'r>(&self, code: u8, room: &'r mut [u8]) -> Option<&'r [u8]> {
        let mut len = None;
        for part in self.parts(code) {
            let at = len.unwrap_or(0);
            let rest = room.get_mut(at..).unwrap_or_default();
            let taken = part.len().min(rest.len());
            rest[..taken].copy_from_slice(&part[..taken]);
            len = Some(at + taken);
        }
        room.get(..len?)
    }

    /// An option of a certain length; `None` if it is absent or of another.
    pub fn exactly<const N: usize>(&self, code: u8) -> Option<[u8; N]> {
        let mut room = [0; 16];
        let value = self.joined(code, &mut room)?;
        value.try_into().ok()
    }

    /// Option 53; `None` if it is absent or unknown.
    pub fn kind(&self) -> Option<Kind> {
        let [byte] = self.exactly(option::MESSAGE_TYPE)?;
        Kind::of(byte)
    }

    /// An option that is one address.
    pub fn address(&self, code: u8) -> Option<Vaddr> {
        self.exactly(code).map(Vaddr::from_bytes)
    }
}

/// The value of option 52 in the field of options, which is checked whole.
fn overload(options: &[u8]) -> Result<u8, Malformed> {
    let mut overload = 0;
    for found in Walk(options) {
        match found? {
            (option::OVERLOAD, &[value @ 1..=3]) => overload = value,
            (option::OVERLOAD, _) => return Err(Malformed::BadOption),
            _ => {}
        }
    }
    Ok(overload)
}

/// The options of one field. Ends after an error, which says that the rest
/// cannot be read.
#[derive(Clone, Debug)]
struct Walk<'a>(&'a [u8]);

impl<'a> Iterator for Walk<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (code, rest) = self.0.split_first()?;
            match *code {
                option::PAD => self.0 = rest,
                option::END => return None,
                code => {
                    let field = rest
                        .split_first()
                        .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)));
                    let Some((value, rest)) = field else {
                        self.0 = &[];
                        return Some(Err(Malformed::BadOption));
                    };
                    self.0 = rest;
                    return Some(Ok((code, value)));
                }
            }
        }
    }
}

/// Writes a message. Options go where there is room: behind the fixed fields,
/// then into `file`, then into `sname`.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    /// Where the next option begins, and the last byte that one may take, in
    /// each of the fields; behind that the end is marked.
    fields: [(usize, usize); 3],
}

impl<'a> Writer<'a> {
    /// Begins a message of at most `out.len()` bytes; `None` if that is less
    /// than [`MIN_LEN`].
    pub fn new(out: &'a mut [u8], fixed: &Fixed) -> Option<Writer<'a>> {
        let most = out.len();
        if most < MIN_LEN {
            return None;
        }
        out.fill(0);
        out[0] = match fixed.direction {
            Direction::Request => 1,
            Direction::Reply => 2,
        };
        out[1..3].copy_from_slice(&[1, 6]);
        out[4..8].copy_from_slice(&fixed.xid.to_be_bytes());
        let flags = if fixed.broadcast { BROADCAST } else { 0 };
        out[10..12].copy_from_slice(&flags.to_be_bytes());
        for (at, address) in [(12, fixed.ciaddr), (16, fixed.yiaddr), (24, fixed.giaddr)] {
            out[at..at + 4].copy_from_slice(&address.bytes());
        }
        out[28..34].copy_from_slice(&fixed.chaddr.0);
        out[236..FIXED_LEN].copy_from_slice(&COOKIE);
        Some(Writer {
            out,
            fields: [
                (FIXED_LEN, most - 1 - OVERLOAD_LEN),
                (FILE.start, FILE.end - 1),
                (SNAME.start, SNAME.end - 1),
            ],
        })
    }

    /// Adds an option, cut into parts when it is longer than 255 bytes. False,
    /// with nothing written, if it fits into none of the fields as a whole.
    #[must_use]
    pub fn put(&mut self, code: u8, value: &[u8]) -> bool {
        let parts = value.len().div_ceil(255).max(1);
        let len = value.len() + 2 * parts;
        let free = |(at, end): &&mut (usize, usize)| end.saturating_sub(*at) >= len;
        let Some((at, _)) = self.fields.iter_mut().find(free) else {
            return false;
        };
        // `chunks` of nothing are none, but an empty option is one part.
        let empty = value.is_empty().then_some(value);
        for part in value.chunks(255).chain(empty) {
            self.out[*at] = code;
            self.out[*at + 1] = part.len() as u8;
            self.out[*at + 2..*at + 2 + part.len()].copy_from_slice(part);
            *at += 2 + part.len();
        }
        true
    }

    /// Marks the ends and returns the length, of at least [`MIN_LEN`] bytes.
    pub fn finish(self) -> usize {
        let [(mut end, _), (file, _), (sname, _)] = self.fields;
        let used = u8::from(file > FILE.start) | u8::from(sname > SNAME.start) << 1;
        if used != 0 {
            self.out[end..end + OVERLOAD_LEN].copy_from_slice(&[option::OVERLOAD, 1, used]);
            end += OVERLOAD_LEN;
        }
        if used & 1 != 0 {
            self.out[file] = option::END;
        }
        if used & 2 != 0 {
            self.out[sname] = option::END;
        }
        self.out[end] = option::END;
        (end + 1).max(MIN_LEN)
    }
}

#[cfg(test)]
mod tests;
