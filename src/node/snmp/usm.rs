//! The user-based security model (RFC 3414): who sent a message of version 3,
//! and that nobody changed, repeated or delayed it.
//!
//! Every refusal but that of a time is told without a signature: whoever does
//! not know the user's key could not check one.

use super::ber::{self, Malformed, Reader, tag};
use super::keys::{Keys, Vector, decrypt, encrypt};
use super::message::{Data, V3, flag, v3_head};

/// Seconds that a message may be early or late (RFC 3414 section 2.2.3).
const WINDOW: u64 = 150;
/// Boots of an engine that has run out of them.
const LAST_BOOTS: u32 = i32::MAX as u32;

/// What a message says of its security.
#[derive(Clone, Copy, Debug)]
pub struct Security<'a> {
    pub engine: &'a [u8],
    pub boots: u32,
    pub time: u32,
    pub user: &'a [u8],
    pub digest: Reader<'a>,
    pub salt: &'a [u8],
}

impl<'a> Security<'a> {
    pub fn read(mut outer: Reader<'a>) -> Result<Security<'a>, Malformed> {
        let mut inside = outer.inside(tag::SEQUENCE)?;
        outer.end()?;
        let engine = inside.octets()?;
        let mut count = || u32::try_from(inside.integer()?).map_err(|_| Malformed);
        let (boots, time) = (count()?, count()?);
        let user = inside.octets()?;
        let digest = inside.inside(tag::OCTETS)?;
        let salt = inside.octets()?;
        inside.end()?;
        if user.len() > 32 {
            return Err(Malformed);
        }
        Ok(Security {
            engine,
            boots,
            time,
            user,
            digest,
            salt,
        })
    }

    /// Whether the message was made for this moment.
    pub fn is_timely(&self, boots: u32, time: u32) -> bool {
        boots != LAST_BOOTS && self.boots == boots && u64::from(self.time.abs_diff(time)) <= WINDOW
    }

    /// Whether the digest is that of the message with zeros in its place.
    pub fn is_genuine(&self, datagram: &[u8], keys: &Keys) -> bool {
        let Some((auth, key)) = &keys.auth else {
            return false;
        };
        let (at, digest) = (self.digest.position(), self.digest.rest());
        let mut message = datagram.to_vec();
        let Some(place) = message.get_mut(at..at + digest.len()) else {
            return false;
        };
        place.fill(0);
        auth.verify(key, &message, digest)
    }

    /// What is inside of a message, readable; `None` if it cannot be made so.
    pub fn open(&self, message: &V3<'_>, keys: &Keys) -> Option<Vec<u8>> {
        let sealed = match &message.data {
            Data::Plain(inside) => return Some(inside.rest().to_vec()),
            Data::Encrypted(sealed) => sealed,
        };
        let vector = Vector {
            boots: self.boots,
            time: self.time,
            salt: self.salt.try_into().ok()?,
        };
        let mut data = sealed.to_vec();
        decrypt(keys.privacy.as_ref()?, vector, &mut data);
        let mut outer = Reader::new(&data);
        let inside = outer.inside(tag::SEQUENCE).ok()?.rest().to_vec();
        outer.end().ok()?;
        Some(inside)
    }
}

/// What a message of version 3 is sent in.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    pub id: i32,
    pub max_size: i32,
    pub flags: u8,
    pub engine: &'a [u8],
    pub boots: u32,
    pub time: u32,
    pub user: &'a [u8],
    /// Of the user; those that `flags` ask for.
    pub keys: &'a Keys,
    /// Never the same twice.
    pub salt: u64,
}

impl Envelope<'_> {
    /// The message around a scoped PDU.
    pub fn seal(&self, scoped: &[u8]) -> Vec<u8> {
        let auth = self.keys.auth.as_ref();
        let auth = auth.filter(|_| self.flags & flag::AUTH != 0);
        let privacy = self.keys.privacy.as_ref();
        let privacy = privacy.filter(|_| self.flags & flag::PRIV != 0);
        let salt = self.salt.to_be_bytes();
        let mut data = scoped.to_vec();
        if let Some(key) = privacy {
            let vector = Vector {
                boots: self.boots,
                time: self.time,
                salt,
            };
            encrypt(key, vector, &mut data);
            let sealed = std::mem::take(&mut data);
            ber::put(&mut data, tag::OCTETS, &sealed);
        }
        let mut security = Vec::with_capacity(128);
        ber::put(&mut security, tag::OCTETS, self.engine);
        ber::put_integer(&mut security, tag::INTEGER, self.boots.into());
        ber::put_integer(&mut security, tag::INTEGER, self.time.into());
        ber::put(&mut security, tag::OCTETS, self.user);
        let digest_len = auth.map_or(0, |(auth, _)| auth.digest_len());
        ber::put(&mut security, tag::OCTETS, &[0; 24][..digest_len]);
        let signed = security.len();
        let salt = if privacy.is_some() { &salt[..] } else { &[] };
        ber::put(&mut security, tag::OCTETS, salt);
        // Lengths are in front, so the place of the digest is counted from behind.
        let behind = security.len() - signed + data.len();

        let mut sequence = Vec::with_capacity(security.len() + 4);
        ber::put(&mut sequence, tag::SEQUENCE, &security);
        let mut inside = v3_head(self.id, self.max_size, self.flags);
        ber::put(&mut inside, tag::OCTETS, &sequence);
        inside.extend(data);
        let mut message = Vec::with_capacity(inside.len() + 4);
        ber::put(&mut message, tag::SEQUENCE, &inside);
        if let Some((auth, key)) = auth {
            let digest = auth.sign(key, &message);
            let end = message.len() - behind;
            if let Some(place) = message.get_mut(end - digest_len..end) {
                place.copy_from_slice(&digest);
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_hundred_and_fifty_seconds_both_ways() {
        let security = |boots, time| Security {
            engine: &[],
            boots,
            time,
            user: &[],
            digest: Reader::new(&[]),
            salt: &[],
        };
        for (boots, time, timely) in [
            (7, 1000, true),
            (7, 850, true),
            (7, 849, false),
            (7, 1150, true),
            (7, 1151, false),
            (6, 1000, false),
            (8, 1000, false),
        ] {
            assert_eq!(security(boots, time).is_timely(7, 1000), timely, "{time}");
        }
        assert!(security(7, 0).is_timely(7, 150));
        assert!(!security(LAST_BOOTS, 1000).is_timely(LAST_BOOTS, 1000));
    }
}
