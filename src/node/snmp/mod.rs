//! SNMP towards nodes: what a virtual router tells of itself, to read only.
//!
//! Version 2c by communities, version 3 by users (RFC 3410 has the map of the
//! RFCs). Pure: a datagram, a look at the router and the time in, a datagram or a
//! named refusal out.
//!
//! Every host emulates every router, and each is an engine of its own: it counts
//! what itself has passed on, and what it encrypts must not be encrypted by
//! another with the same key and vector. So an engine's name has the host in it.

mod agent;
pub mod ber;
pub mod keys;
pub mod message;
pub mod mib;
mod oid;
mod source;
pub mod usm;
mod value;
pub mod walk;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::reasons::reasons;

pub use agent::Agent;
pub use keys::{Auth, Keys};
use message::flag;
pub use oid::Oid;
pub use source::{Hop, Iface, Route, Source, System, Traffic};
pub use usm::Envelope;
pub use value::Value;

/// The port of UDP.
pub const PORT: u16 = 161;

reasons! {
    /// Why a request is not answered with what it asks for.
    pub enum SnmpRefused {
        Malformed = "snmp_malformed", "Not a message of SNMP; silence.";
        Version = "snmp_version", "Neither version 2c nor 3; silence.";
        NotARequest = "snmp_not_a_request", "Response, report or notification; silence.";
        Community = "snmp_community", "Unknown community; silence.";
        Model = "snmp_security_model", "Security model other than that of users; silence.";
        Flags = "snmp_flags", "Encrypted but not authenticated; silence.";
        Engine = "snmp_unknown_engine", "For another engine, as the first request of every client is; told ours.";
        User = "snmp_unknown_user", "User that the router does not have; told so.";
        Level = "snmp_unsupported_level", "Authentication or encryption that the user has no key for; told so.";
        Digest = "snmp_wrong_digest", "Signed with another key, or changed; told so.";
        Window = "snmp_not_in_window", "Too old or too early, or repeated; told the time.";
        Decryption = "snmp_undecryptable", "Encrypted with another key; told so.";
        Context = "snmp_unknown_context", "For a context or the objects of an engine that there are not; told so.";
        Access = "snmp_access", "Without the user's authentication or encryption; told so.";
        ReadOnly = "snmp_read_only", "To change something; told that nothing can be.";
        TooBig = "snmp_too_big", "No answer fits where it has to; told so if that fits.";
    }
}

/// Who may ask a router.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Of version 2c.
    pub communities: Vec<String>,
    /// Of version 3.
    pub users: Vec<User>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<_> = self.users.iter().map(|user| &user.name).collect();
        write!(
            f,
            "Access({} communities, users {users:?})",
            self.communities.len()
        )
    }
}

/// A user with as much security as it has keys for; requests with less are
/// refused.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub auth: Option<(Auth, String)>,
    /// Password of AES-128; only with authentication.
    pub privacy: Option<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({}, level {})", self.name, self.level())
    }
}

impl User {
    fn level(&self) -> u8 {
        match (&self.auth, &self.privacy) {
            (None, _) => 0,
            (Some(_), None) => flag::AUTH,
            (Some(_), Some(_)) => flag::AUTH | flag::PRIV,
        }
    }

    fn keys(&self, engine: &[u8]) -> Keys {
        let Some((auth, password)) = &self.auth else {
            return Keys::default();
        };
        // RFC 3826 section 1.2: the first bytes of a key made like the other.
        let privacy = self.privacy.as_ref().map(|password| {
            let mut key = [0; 16];
            let long = auth.key(password, engine);
            key.iter_mut().zip(long).for_each(|(to, from)| *to = from);
            key
        });
        Keys {
            auth: Some((*auth, auth.key(password, engine))),
            privacy,
        }
    }
}

/// The time of all engines of this process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// More at every start of the process.
    pub boots: u32,
    /// Hundredths of a second since then.
    pub ticks: u64,
    /// Messages that were encrypted since then.
    pub salt: u64,
}

impl Clock {
    fn seconds(&self) -> u32 {
        let most = i32::MAX as u64;
        (self.ticks / 100).min(most) as u32
    }
}

/// Name of the engine of a router at a host. No authority has given this
/// software an enterprise's number, so it is the one that is nobody's.
pub fn engine_id(host: &[u8], vnet: &str, router: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in [host, vnet.as_bytes(), router.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut id = vec![0x80, 0, 0, 0, 5];
    id.extend(hash.finalize().iter().take(16));
    id
}

/// What becomes of a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    pub reply: Option<Vec<u8>>,
    /// Also of requests that are answered with an error.
    pub refused: Option<SnmpRefused>,
}

impl Outcome {
    fn silence(why: SnmpRefused) -> Outcome {
        Outcome {
            reply: None,
            refused: Some(why),
        }
    }
}

#[cfg(test)]
mod tests;
