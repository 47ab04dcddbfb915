//! Values of objects (RFC 2578 section 7, RFC 3416 section 3).

use super::ber::{self, tag};
use super::oid::Oid;
use crate::wire::{Mac, Vaddr};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Integer(i32),
    Octets(Vec<u8>),
    ObjectId(Oid),
    Address(Vaddr),
    Counter32(u32),
    Gauge32(u32),
    /// Hundredths of a second.
    Ticks(u32),
    Counter64(u64),
    NoSuchObject,
    NoSuchInstance,
    EndOfMibView,
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Octets(text.as_bytes().to_vec())
    }

    pub fn mac(mac: Mac) -> Value {
        Value::Octets(mac.0.to_vec())
    }

    /// The low half of a counter, which wraps.
    pub fn low(counter: u64) -> Value {
        Value::Counter32(counter as u32)
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Value::Integer(value) => ber::put_integer(out, tag::INTEGER, i128::from(*value)),
            Value::Octets(bytes) => ber::put(out, tag::OCTETS, bytes),
            Value::ObjectId(oid) => oid.put(out),
            Value::Address(address) => ber::put(out, tag::ADDRESS, &address.bytes()),
            Value::Counter32(value) => ber::put_integer(out, tag::COUNTER32, i128::from(*value)),
            Value::Gauge32(value) => ber::put_integer(out, tag::GAUGE32, i128::from(*value)),
            Value::Ticks(value) => ber::put_integer(out, tag::TICKS, i128::from(*value)),
            Value::Counter64(value) => ber::put_integer(out, tag::COUNTER64, i128::from(*value)),
            Value::NoSuchObject => ber::put(out, tag::NO_SUCH_OBJECT, &[]),
            Value::NoSuchInstance => ber::put(out, tag::NO_SUCH_INSTANCE, &[]),
            Value::EndOfMibView => ber::put(out, tag::END_OF_MIB_VIEW, &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_bytes() {
        let table: &[(Value, &[u8])] = &[
            (Value::Integer(-1), &[2, 1, 0xff]),
            (Value::text("r1"), &[4, 2, b'r', b'1']),
            (
                Value::mac(Mac([2, 0, 0, 0, 0, 1])),
                &[4, 6, 2, 0, 0, 0, 0, 1],
            ),
            (Value::ObjectId(Oid::new(&[0, 0])), &[6, 1, 0]),
            (Value::Address(Vaddr(0x0a00_0101)), &[0x40, 4, 10, 0, 1, 1]),
            (Value::Counter32(128), &[0x41, 2, 0, 0x80]),
            (Value::low(0x1_0000_0007), &[0x41, 1, 7]),
            (Value::Gauge32(7), &[0x42, 1, 7]),
            (Value::Ticks(100), &[0x43, 1, 100]),
            (Value::Counter64(1 << 32), &[0x46, 5, 1, 0, 0, 0, 0]),
            (Value::NoSuchObject, &[0x80, 0]),
            (Value::NoSuchInstance, &[0x81, 0]),
            (Value::EndOfMibView, &[0x82, 0]),
        ];
        for (value, bytes) in table {
            let mut out = Vec::new();
            value.put(&mut out);
            assert_eq!(&out, bytes, "{value:?}");
        }
    }
}
