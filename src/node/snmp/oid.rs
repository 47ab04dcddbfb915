//! Object identifiers, in the order in which a table is walked.

use std::fmt;

use super::ber::{self, tag};

/// Most numbers that one may have (RFC 2578 section 3.5).
const MOST: usize = 128;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u32>);

impl Oid {
    pub fn new(numbers: &[u32]) -> Oid {
        Oid(numbers.to_vec())
    }

    /// This one with more numbers behind it.
    pub fn of(object: &[u32], instance: &[u32]) -> Oid {
        Oid([object, instance].concat())
    }

    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// From its content in BER.
    pub(super) fn read(bytes: &[u8]) -> Option<Oid> {
        let mut numbers = Vec::with_capacity(bytes.len() + 1);
        let mut rest = bytes.iter();
        while let Some(first) = rest.as_slice().first() {
            // A number does not begin with seven bits of nothing.
            if *first == 0x80 {
                return None;
            }
            let mut number: u64 = 0;
            loop {
                let byte = *rest.next()?;
                number = number << 7 | u64::from(byte & 0x7f);
                if byte & 0x80 == 0 {
                    break;
                }
                if number >> 35 != 0 {
                    return None;
                }
            }
            // Two numbers are in the first.
            if numbers.is_empty() {
                let top = (number / 40).min(2);
                numbers.push(top as u32);
                number -= top * 40;
            }
            if numbers.len() == MOST {
                return None;
            }
            numbers.push(u32::try_from(number).ok()?);
        }
        (!numbers.is_empty()).then_some(Oid(numbers))
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        let (top, rest) = match self.0.as_slice() {
            [top, second, rest @ ..] => (u64::from(*top) * 40 + u64::from(*second), rest),
            [top] => (u64::from(*top) * 40, &[][..]),
            [] => (0, &[][..]),
        };
        let mut content = Vec::with_capacity(self.0.len() + 4);
        put_number(&mut content, top);
        for number in rest {
            put_number(&mut content, u64::from(*number));
        }
        ber::put(out, tag::OBJECT_ID, &content);
    }
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    let bits = u64::BITS - number.leading_zeros();
    for group in (1..bits.div_ceil(7)).rev() {
        out.push((number >> (7 * group)) as u8 & 0x7f | 0x80);
    }
    out.push(number as u8 & 0x7f);
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_and_numbers() {
        let table: &[(&[u8], &[u32])] = &[
            (&[0], &[0, 0]),
            (&[0x2b], &[1, 3]),
            (&[0x2b, 6, 1, 2, 1, 1, 5, 0], &[1, 3, 6, 1, 2, 1, 1, 5, 0]),
            // 8.19.5 of X.690: 2.999.3.
            (&[0x88, 0x37, 3], &[2, 999, 3]),
            (&[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f], &[1, 3, u32::MAX]),
            (&[0x90, 0x80, 0x80, 0x80, 0x4f], &[2, u32::MAX]),
            (&[0x2b, 0x81, 0x00], &[1, 3, 128]),
        ];
        for (bytes, numbers) in table {
            let oid = Oid::new(numbers);
            assert_eq!(Oid::read(bytes).as_ref(), Some(&oid));
            let mut out = Vec::new();
            oid.put(&mut out);
            assert_eq!(&out[2..], *bytes);
        }
        for wrong in [
            &[][..],
            &[0x2b, 0x86],
            &[0x2b, 0x80, 1],
            &[0x2b, 0x90, 0x80, 0x80, 0x80, 0x00],
            &[0x2b, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[1; 128],
        ] {
            assert_eq!(Oid::read(wrong), None, "{wrong:?}");
        }
        assert_eq!(Oid::read(&[1; 127]).map(|oid| oid.0.len()), Some(128));
        assert_eq!(format!("{}", Oid::of(&[1, 3, 6], &[4, 0])), "1.3.6.4.0");
    }

    #[test]
    fn a_prefix_is_before_what_it_is_a_prefix_of() {
        assert!(Oid::new(&[1, 3]) < Oid::new(&[1, 3, 0]));
        assert!(Oid::new(&[1, 3, 9, 9]) < Oid::new(&[1, 3, 10]));
    }

    proptest! {
        #[test]
        fn any_comes_back(
            top in 0..3u32,
            second in 0..40u32,
            rest in prop::collection::vec(any::<u32>(), 0..126),
        ) {
            let oid = Oid::of(&[top, second], &rest);
            let mut out = Vec::new();
            oid.put(&mut out);
            prop_assert_eq!(ber::Reader::new(&out).oid(), Ok(oid));
        }
    }
}
