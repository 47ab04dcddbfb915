//! Messages of SNMP: version 2c (RFC 1901) and 3 (RFC 3412), and the requests
//! and responses (RFC 3416) in both.
//!
//! What is read borrows from the datagram. The bindings of a request are kept as
//! they came as well: a response that refuses has them unchanged.

use super::ber::{self, Malformed, Reader, tag};
use super::oid::Oid;
use super::value::Value;

/// What a PDU is, by its tag.
pub mod kind {
    pub const GET: u8 = 0xa0;
    pub const GET_NEXT: u8 = 0xa1;
    pub const RESPONSE: u8 = 0xa2;
    pub const SET: u8 = 0xa3;
    pub const GET_BULK: u8 = 0xa5;
    pub const REPORT: u8 = 0xa8;
}

/// What a response says of its request (RFC 3416 section 3).
pub mod status {
    pub const NO_ERROR: i32 = 0;
    pub const TOO_BIG: i32 = 1;
    pub const NO_ACCESS: i32 = 6;
    pub const AUTHORIZATION_ERROR: i32 = 16;
}

/// Bits of a message's flags (RFC 3412 section 6.4).
pub mod flag {
    pub const AUTH: u8 = 1;
    pub const PRIV: u8 = 2;
    pub const REPORTABLE: u8 = 4;
}

/// The user-based security model (RFC 3411 section 5).
pub const USM: i32 = 3;
/// The least that every engine must take (RFC 3412 section 6.3).
pub const LEAST_MAX_SIZE: i32 = 484;

const VERSION_2C: i32 = 1;
const VERSION_3: i32 = 3;

/// A request, or any other PDU of version 2.
#[derive(Clone, Debug)]
pub struct Pdu<'a> {
    pub kind: u8,
    pub request: i32,
    /// Status, or repetitions that there are none of.
    pub first: i32,
    /// Index, or most repetitions.
    pub second: i32,
    pub names: Vec<Oid>,
    /// Names and values as they came.
    pub bindings: &'a [u8],
}

impl<'a> Pdu<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Result<Pdu<'a>, Malformed> {
        let (kind, mut inside) = reader.any()?;
        let request = inside.integer()?;
        let (first, second) = (inside.integer()?, inside.integer()?);
        let mut list = inside.inside(tag::SEQUENCE)?;
        inside.end()?;
        let bindings = list.rest();
        let mut names = Vec::new();
        while list.peek().is_some() {
            let mut binding = list.inside(tag::SEQUENCE)?;
            names.push(binding.oid()?);
            binding.any()?;
            binding.end()?;
        }
        Ok(Pdu {
            kind,
            request,
            first,
            second,
            names,
            bindings,
        })
    }

    /// Whether it asks for something.
    pub fn is_request(&self) -> bool {
        use kind::{GET, GET_BULK, GET_NEXT, SET};
        matches!(self.kind, GET | GET_NEXT | SET | GET_BULK)
    }
}

/// A PDU to send.
#[derive(Clone, Debug)]
pub struct Answer {
    pub kind: u8,
    pub request: i32,
    pub status: i32,
    pub index: i32,
    /// Names and values.
    pub bindings: Vec<u8>,
}

impl Answer {
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut inside = Vec::with_capacity(self.bindings.len() + 24);
        for value in [self.request, self.status, self.index] {
            ber::put_integer(&mut inside, tag::INTEGER, i128::from(value));
        }
        ber::put(&mut inside, tag::SEQUENCE, &self.bindings);
        ber::put(out, self.kind, &inside);
    }
}

/// Appends a name and its value.
pub fn put_binding(out: &mut Vec<u8>, name: &Oid, value: &Value) {
    let mut inside = Vec::with_capacity(32);
    name.put(&mut inside);
    value.put(&mut inside);
    ber::put(out, tag::SEQUENCE, &inside);
}

/// A datagram.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    V2c {
        community: &'a [u8],
        pdu: Pdu<'a>,
    },
    V3(V3<'a>),
    /// Of a version that is not spoken.
    Other,
}

/// A message of version 3, before anything of it is believed.
#[derive(Clone, Debug)]
pub struct V3<'a> {
    pub id: i32,
    /// The longest message that the sender takes.
    pub max_size: i32,
    pub flags: u8,
    pub model: i32,
    /// Inside of the security parameters.
    pub security: Reader<'a>,
    pub data: Data<'a>,
}

#[derive(Clone, Debug)]
pub enum Data<'a> {
    Plain(Reader<'a>),
    Encrypted(&'a [u8]),
}

impl<'a> Message<'a> {
    pub fn read(datagram: &'a [u8]) -> Result<Message<'a>, Malformed> {
        let mut outer = Reader::new(datagram);
        let mut message = outer.inside(tag::SEQUENCE)?;
        outer.end()?;
        match message.integer()? {
            VERSION_2C => {
                let community = message.octets()?;
                let pdu = Pdu::read(&mut message)?;
                message.end()?;
                Ok(Message::V2c { community, pdu })
            }
            VERSION_3 => V3::read(message).map(Message::V3),
            _ => Ok(Message::Other),
        }
    }
}

impl<'a> V3<'a> {
    fn read(mut message: Reader<'a>) -> Result<V3<'a>, Malformed> {
        let mut header = message.inside(tag::SEQUENCE)?;
        let (id, max_size) = (header.integer()?, header.integer()?);
        let &[flags] = header.octets()? else {
            return Err(Malformed);
        };
        let model = header.integer()?;
        header.end()?;
        if id < 0 || max_size < LEAST_MAX_SIZE || model < 1 {
            return Err(Malformed);
        }
        let security = message.inside(tag::OCTETS)?;
        let data = if flags & flag::PRIV != 0 {
            Data::Encrypted(message.octets()?)
        } else {
            Data::Plain(message.inside(tag::SEQUENCE)?)
        };
        message.end()?;
        Ok(V3 {
            id,
            max_size,
            flags,
            model,
            security,
            data,
        })
    }
}

/// A PDU, and whose objects it is about.
#[derive(Clone, Debug)]
pub struct Scoped<'a> {
    pub engine: &'a [u8],
    pub context: &'a [u8],
    pub pdu: Pdu<'a>,
}

impl<'a> Scoped<'a> {
    /// From the inside of its sequence.
    pub fn read(mut inside: Reader<'a>) -> Result<Scoped<'a>, Malformed> {
        let engine = inside.octets()?;
        let context = inside.octets()?;
        let pdu = Pdu::read(&mut inside)?;
        inside.end()?;
        Ok(Scoped {
            engine,
            context,
            pdu,
        })
    }
}

/// A PDU about the objects of an engine, as a sequence.
pub fn scoped(engine: &[u8], answer: &Answer) -> Vec<u8> {
    let mut inside = Vec::with_capacity(answer.bindings.len() + 64);
    ber::put(&mut inside, tag::OCTETS, engine);
    ber::put(&mut inside, tag::OCTETS, &[]);
    answer.put(&mut inside);
    let mut out = Vec::with_capacity(inside.len() + 4);
    ber::put(&mut out, tag::SEQUENCE, &inside);
    out
}

/// A message of version 2c.
pub fn v2c(community: &[u8], answer: &Answer) -> Vec<u8> {
    let mut inside = Vec::with_capacity(answer.bindings.len() + 64);
    ber::put_integer(&mut inside, tag::INTEGER, i128::from(VERSION_2C));
    ber::put(&mut inside, tag::OCTETS, community);
    answer.put(&mut inside);
    let mut out = Vec::with_capacity(inside.len() + 4);
    ber::put(&mut out, tag::SEQUENCE, &inside);
    out
}

/// The head of a message of version 3, up to its security parameters.
pub fn v3_head(id: i32, max_size: i32, flags: u8) -> Vec<u8> {
    let mut header = Vec::with_capacity(24);
    ber::put_integer(&mut header, tag::INTEGER, i128::from(id));
    ber::put_integer(&mut header, tag::INTEGER, i128::from(max_size));
    ber::put(&mut header, tag::OCTETS, &[flags]);
    ber::put_integer(&mut header, tag::INTEGER, i128::from(USM));
    let mut out = Vec::with_capacity(32);
    ber::put_integer(&mut out, tag::INTEGER, i128::from(VERSION_3));
    ber::put(&mut out, tag::SEQUENCE, &header);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `snmpget -v2c -c public … 1.3.6.1.2.1.1.5.0`.
    const GET: &[u8] = &[
        0x30, 0x26, 0x02, 0x01, 0x01, 0x04, 0x06, b'p', b'u', b'b', b'l', b'i', b'c', 0xa0, 0x19,
        0x02, 0x01, 0x2a, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x0e, 0x30, 0x0c, 0x06, 0x08,
        0x2b, 0x06, 0x01, 0x02, 0x01, 0x01, 0x05, 0x00, 0x05, 0x00,
    ];

    #[test]
    fn a_request_is_read() {
        let Ok(Message::V2c { community, pdu }) = Message::read(GET) else {
            panic!("not read");
        };
        assert_eq!((community, pdu.kind), (&b"public"[..], kind::GET));
        assert_eq!((pdu.request, pdu.first, pdu.second), (42, 0, 0));
        assert_eq!(pdu.names, [Oid::new(&[1, 3, 6, 1, 2, 1, 1, 5, 0])]);
        assert_eq!(pdu.bindings, &GET[26..]);
        let answer = Answer {
            kind: pdu.kind,
            request: pdu.request,
            status: pdu.first,
            index: pdu.second,
            bindings: pdu.bindings.to_vec(),
        };
        assert_eq!(v2c(community, &answer), GET);
    }

    #[test]
    fn no_part_of_it_is_one() {
        for length in 0..GET.len() {
            assert!(Message::read(&GET[..length]).is_err(), "{length} bytes");
        }
        let longer = [GET, &[0]].concat();
        assert!(Message::read(&longer).is_err());
    }

    /// A byte more in an element, and in all that it is in.
    #[test]
    fn nothing_may_follow_in_any_element() {
        for (at, holders) in [
            (40, &[1][..]),
            (40, &[1, 14]),
            (40, &[1, 14, 25]),
            (40, &[1, 14, 25, 27]),
        ] {
            let mut longer = GET.to_vec();
            longer.insert(at, 0);
            for holder in holders {
                longer[*holder] += 1;
            }
            assert!(Message::read(&longer).is_err(), "{holders:?}");
        }
    }

    #[test]
    fn other_versions_are_told_apart() {
        let mut first = GET.to_vec();
        first[4] = 0;
        assert!(matches!(Message::read(&first), Ok(Message::Other)));
    }
}
