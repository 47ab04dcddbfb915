//! ARP (RFC 826) for Ethernet and IPv4: what follows the link header.
//!
//! Only the form is checked here. Whether a sender may say what it says hangs
//! on who reads it: towards a node a message must come from whom it names;
//! on an open link it need not (routers that share an address answer with a
//! hardware address that is not the frame's source).

use super::{Mac, Vaddr};

/// Length of a message; padding of the frame may follow it.
pub const MESSAGE_LEN: usize = 28;

/// Ethernet, IPv4, six and four bytes.
const PREAMBLE: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
/// Of RARP (RFC 903), which has the same form.
const REVERSE_REQUEST: u16 = 3;

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    #[error("fewer bytes than an ARP message")]
    TooShort,
    #[error("hardware or protocol type or length is not Ethernet's and IPv4's")]
    NotEthernetIpv4,
    #[error("neither request nor reply")]
    BadOperation,
}

/// A message, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Otherwise a reply.
    pub is_request: bool,
    pub sender_mac: Mac,
    pub sender: Vaddr,
    pub target_mac: Mac,
    pub target: Vaddr,
}

impl Message {
    pub fn parse(bytes: &[u8]) -> Result<Message, Malformed> {
        let body = bytes
            .first_chunk::<MESSAGE_LEN>()
            .ok_or(Malformed::TooShort)?;
        if body[..6] != PREAMBLE {
            return Err(Malformed::NotEthernetIpv4);
        }
        let mac = |at: usize| {
            let mut bytes = [0; 6];
            bytes.copy_from_slice(&body[at..at + 6]);
            Mac(bytes)
        };
        let address =
            |at: usize| Vaddr::from_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        Ok(Message {
            is_request: match u16::from_be_bytes([body[6], body[7]]) {
                REQUEST => true,
                REPLY => false,
                _ => return Err(Malformed::BadOperation),
            },
            sender_mac: mac(8),
            sender: address(14),
            target_mac: mac(18),
            target: address(24),
        })
    }

    pub fn bytes(&self) -> [u8; MESSAGE_LEN] {
        let operation = if self.is_request { REQUEST } else { REPLY };
        let mut out = [0; MESSAGE_LEN];
        out[..6].copy_from_slice(&PREAMBLE);
        out[6..8].copy_from_slice(&operation.to_be_bytes());
        out[8..14].copy_from_slice(&self.sender_mac.0);
        out[14..18].copy_from_slice(&self.sender.bytes());
        out[18..24].copy_from_slice(&self.target_mac.0);
        out[24..].copy_from_slice(&self.target.bytes());
        out
    }
}

/// The sender's hardware address in a reverse request (RFC 903).
pub fn reverse_request(bytes: &[u8]) -> Option<Mac> {
    let body = bytes.first_chunk::<MESSAGE_LEN>()?;
    let (head, rest) = body.split_first_chunk::<8>()?;
    let sender = rest.first_chunk()?;
    let operation = REVERSE_REQUEST.to_be_bytes();
    (head[..6] == PREAMBLE && head[6..] == operation).then_some(Mac(*sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 10.0.0.2 asks for 10.0.0.3.
    const ASKS: [u8; 28] = [
        0, 1, 0x08, 0, 6, 4, 0, 1, // Ethernet, IPv4, request
        0x02, 0, 0, 0, 0, 0x0a, 10, 0, 0, 2, // sender
        0, 0, 0, 0, 0, 0, 10, 0, 0, 3, // target
    ];
    const MESSAGE: Message = Message {
        is_request: true,
        sender_mac: Mac([0x02, 0, 0, 0, 0, 0x0a]),
        sender: Vaddr(0x0a00_0002),
        target_mac: Mac::ZERO,
        target: Vaddr(0x0a00_0003),
    };

    #[test]
    fn deconstruct() {
        assert_eq!(Message::parse(&ASKS), Ok(MESSAGE));
        let mut padded = ASKS.to_vec();
        padded.resize(46, 0xa5);
        padded[7] = 2;
        let reply = Message {
            is_request: false,
            ..MESSAGE
        };
        assert_eq!(Message::parse(&padded), Ok(reply));
    }

    #[test]
    fn construct() {
        assert_eq!(MESSAGE.bytes(), ASKS);
    }

    #[test]
    fn other_messages_are_named() {
        for len in 0..ASKS.len() {
            assert_eq!(Message::parse(&ASKS[..len]), Err(Malformed::TooShort));
        }
        for (at, to, reason) in [
            (1, 6, Malformed::NotEthernetIpv4),
            (2, 0x86, Malformed::NotEthernetIpv4),
            (4, 8, Malformed::NotEthernetIpv4),
            (5, 16, Malformed::NotEthernetIpv4),
            (6, 1, Malformed::BadOperation),
            (7, 0, Malformed::BadOperation),
            (7, 3, Malformed::BadOperation),
        ] {
            let mut bytes = ASKS;
            bytes[at] = to;
            assert_eq!(Message::parse(&bytes), Err(reason), "{at}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_written_again(mut bytes: [u8; 28], reply: bool) {
            bytes[..6].copy_from_slice(&PREAMBLE);
            bytes[6..8].copy_from_slice(&[0, 1 + u8::from(reply)]);
            prop_assert_eq!(Message::parse(&bytes).unwrap().bytes(), bytes);
        }
    }
}
