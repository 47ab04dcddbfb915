//! Values on the command line that are not numbers, addresses or names.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control::proto::Protocol;
use crate::model::{Dscp, MssClamp, NextHop};

/// One of the words that the protocol knows for a type.
pub(super) fn one_of<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value(Value::String(word)))
}

/// A number or a word, as the protocol takes them.
fn number_or_word<T: DeserializeOwned>(text: &str, expected: &str) -> Result<T, String> {
    let value = match text.parse::<u64>() {
        Ok(number) => Value::from(number),
        Err(_) => Value::from(text),
    };
    serde_json::from_value(value).map_err(|_| format!("expected {expected}"))
}

pub(super) fn dscp(text: &str) -> Result<Dscp, String> {
    number_or_word(text, "`copy`, `zero` or a number from 0 to 63")
}

pub(super) fn mss_clamp(text: &str) -> Result<MssClamp, String> {
    let number = serde_json::from_str(text);
    number.map_err(|_| "expected true, false or a number from 536 to 65495".to_owned())
}

pub(super) fn protocol(text: &str) -> Result<Protocol, String> {
    number_or_word(text, "`icmp`, `tcp`, `udp` or a number from 0 to 255")
}

/// `ADDRESS%PORT`, as the scope of a link-local address is written.
pub(super) fn next_hop(text: &str) -> Result<NextHop, String> {
    let wrong = || "expected ADDRESS%PORT such as fe80::1%wan0".to_owned();
    let (address, port) = text.split_once('%').ok_or_else(wrong)?;
    match port.is_empty() {
        true => Err(wrong()),
        false => Ok(NextHop {
            address: address.parse().map_err(|_| wrong())?,
            port: port.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_told_apart() {
        assert_eq!(dscp("copy"), Ok(Dscp::Copy));
        assert_eq!(dscp("63"), Ok(Dscp::Fixed(63)));
        assert!(dscp("64").is_err());
        assert!(dscp("").is_err());
        assert_eq!(protocol("udp"), Ok(Protocol::Udp));
        assert_eq!(protocol("132"), Ok(Protocol::Number(132)));
        assert!(protocol("256").is_err());
        assert!(protocol("sctp").is_err());
    }

    #[test]
    fn a_next_hop_has_an_address_and_a_port() {
        let hop = next_hop("fe80::1%wan0").unwrap();
        assert_eq!(hop.address.to_string(), "fe80::1");
        assert_eq!(hop.port, "wan0");
        for bad in ["fe80::1", "fe80::1%", "%wan0", "10.0.0.1%wan0"] {
            assert!(next_hop(bad).is_err(), "{bad}");
        }
    }
}
