//! Keys and what is done with them: HMAC-SHA-1-96 (RFC 3414), HMAC-SHA-256-192
//! (RFC 7860) and AES-128 in cipher feedback mode (RFC 3826).
//!
//! A password becomes a key by a megabyte of hashing, and then the key of one
//! engine, so that a key taken from one router opens no other.

use std::fmt;

use aes::Aes128;
use cfb_mode::cipher::KeyIvInit;
use cfb_mode::{Decryptor, Encryptor};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How messages are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Auth {
    Sha1,
    Sha256,
}

impl Auth {
    /// Bytes of a digest that a message has.
    pub fn digest_len(self) -> usize {
        match self {
            Auth::Sha1 => 12,
            Auth::Sha256 => 24,
        }
    }

    /// The digest of a message, as long as [`Auth::digest_len`].
    pub fn sign(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut digest = match self {
            Auth::Sha1 => hmac::<Hmac<Sha1>>(key, message),
            Auth::Sha256 => hmac::<Hmac<Sha256>>(key, message),
        };
        digest.truncate(self.digest_len());
        digest
    }

    /// Whether a digest is right, in a time that does not tell where it is not.
    pub fn verify(self, key: &[u8], message: &[u8], digest: &[u8]) -> bool {
        digest.len() == self.digest_len()
            && match self {
                Auth::Sha1 => verify::<Hmac<Sha1>>(key, message, digest),
                Auth::Sha256 => verify::<Hmac<Sha256>>(key, message, digest),
            }
    }

    /// The key of a password at one engine (RFC 3414 section A.2).
    pub fn key(self, password: &str, engine: &[u8]) -> Vec<u8> {
        match self {
            Auth::Sha1 => localized::<Sha1>(password, engine),
            Auth::Sha256 => localized::<Sha256>(password, engine),
        }
    }
}

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // A key of any length will do.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn verify<M: Mac + KeyInit>(key: &[u8], message: &[u8], digest: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
        return false;
    };
    mac.update(message);
    mac.verify_truncated_left(digest).is_ok()
}

fn localized<D: Digest>(password: &str, engine: &[u8]) -> Vec<u8> {
    const EXPANDED: usize = 1 << 20;
    const BLOCK: usize = 64;
    if password.is_empty() {
        return Vec::new();
    }
    let mut hash = D::new();
    let mut bytes = password.bytes().cycle();
    let mut block = [0; BLOCK];
    for _ in 0..EXPANDED / BLOCK {
        for (to, from) in block.iter_mut().zip(&mut bytes) {
            *to = from;
        }
        hash.update(block);
    }
    let key = hash.finalize();
    let mut hash = D::new();
    hash.update(&key);
    hash.update(engine);
    hash.update(&key);
    hash.finalize().to_vec()
}

/// The keys of a user at one engine.
#[derive(Clone, Default)]
pub struct Keys {
    pub auth: Option<(Auth, Vec<u8>)>,
    pub privacy: Option<[u8; 16]>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let auth = self.auth.as_ref().map(|(auth, _)| auth);
        write!(f, "Keys({auth:?}, privacy: {})", self.privacy.is_some())
    }
}

/// What makes every message's encryption another one.
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    pub boots: u32,
    pub time: u32,
    pub salt: [u8; 8],
}

impl Vector {
    fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (boots, rest) = bytes.split_at_mut(4);
        let (time, salt) = rest.split_at_mut(4);
        boots.copy_from_slice(&self.boots.to_be_bytes());
        time.copy_from_slice(&self.time.to_be_bytes());
        salt.copy_from_slice(&self.salt);
        bytes
    }
}

pub fn encrypt(key: &[u8; 16], vector: Vector, data: &mut [u8]) {
    Encryptor::<Aes128>::new(key.into(), (&vector.bytes()).into()).encrypt(data);
}

pub fn decrypt(key: &[u8; 16], vector: Vector, data: &mut [u8]) {
    Decryptor::<Aes128>::new(key.into(), (&vector.bytes()).into()).decrypt(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// RFC 3414 section A.3.2.
    #[test]
    fn a_password_becomes_the_key_of_an_engine() {
        let engine = hex("000000000000000000000002");
        let key = Auth::Sha1.key("maplesyrup", &engine);
        assert_eq!(key, hex("6695febc9288e36282235fc7151f128497b38f3f"));
        assert_ne!(Auth::Sha1.key("maplesyrup", b"another"), key);
    }

    /// RFC 4231 section 4.3 (case 2), RFC 2202 section 3 (case 2).
    #[test]
    fn digests_are_those_of_the_hash_cut_short() {
        let (key, data) = (b"Jefe", b"what do ya want for nothing?");
        let long = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(Auth::Sha256.sign(key, data), long[..24]);
        assert!(Auth::Sha256.verify(key, data, &long[..24]));
        assert!(!Auth::Sha256.verify(key, data, &long[..12]));
        assert!(!Auth::Sha256.verify(key, data, &long));
        let long = hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(Auth::Sha1.sign(key, data), long[..12]);
        assert!(Auth::Sha1.verify(key, data, &long[..12]));
        let mut wrong = long[..12].to_vec();
        wrong[11] ^= 1;
        assert!(!Auth::Sha1.verify(key, data, &wrong));
        assert!(!Auth::Sha1.verify(key, data, &[]));
    }

    /// NIST SP 800-38A section F.3.13, CFB128-AES128, and part of a block more.
    #[test]
    fn cipher_feedback_is_that_of_the_standard() {
        let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
        let key: [u8; 16] = key.try_into().unwrap();
        let vector = Vector {
            boots: 0x0001_0203,
            time: 0x0405_0607,
            salt: [8, 9, 10, 11, 12, 13, 14, 15],
        };
        let plain = hex("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c8");
        let sealed = hex("3b3fd92eb72dad20333449f8e83cfb4a c8a64537a0b3a93fcde3cdad9f1ce58b 2675");
        let mut data = plain.clone();
        encrypt(&key, vector, &mut data);
        assert_eq!(data, sealed);
        decrypt(&key, vector, &mut data);
        assert_eq!(data, plain);
    }
}
