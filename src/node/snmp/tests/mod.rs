//! A router to ask, and requests as net-snmp 5.9 sends them with what must come
//! back. The replies of version 3 were worked out with another implementation of
//! the algorithms (Python's hashlib and cryptography).

use std::cell::Cell;
use std::collections::BTreeMap;

use super::message::{Answer, Message, kind, scoped, status, v2c};
use super::*;
use crate::wire::address::Prefix4;
use crate::wire::{Mac, Vaddr};

/// r1 joins web (10.0.1.0/24) and db (10.0.2.0/24).
pub(super) struct World {
    pub(super) routes: BTreeMap<(u32, u8), Route>,
    /// Searches for a route so far.
    pub(super) searches: Cell<u64>,
    pub(super) contact: String,
}

pub(super) fn route(text: &str, hop: Hop) -> ((u32, u8), Route) {
    let prefix: Prefix4 = text.parse().unwrap();
    ((prefix.address.0, prefix.len), Route { prefix, hop })
}

impl World {
    pub(super) fn new() -> World {
        let via = |address| Hop::Via { address, iface: 2 };
        let routes = [
            route("0.0.0.0/0", via(Vaddr(0x0a00_02fe))),
            route("10.0.1.0/24", Hop::Connected(1)),
            route("10.0.2.0/24", Hop::Connected(2)),
            route("10.0.0.0/8", Hop::Blackhole),
            route("10.0.0.0/16", Hop::Prohibited),
            route("192.0.2.7/32", via(Vaddr(0x0a00_0209))),
        ];
        World {
            routes: routes.into(),
            searches: Cell::new(0),
            contact: "noc".to_owned(),
        }
    }
}

impl Source for World {
    fn system(&self) -> System<'_> {
        System {
            description: "a router",
            contact: &self.contact,
            name: "r1",
            location: "here",
        }
    }

    fn iface_count(&self) -> u32 {
        2
    }

    fn iface(&self, number: u32) -> Option<Iface<'_>> {
        // Numbers in another order than addresses.
        let (name, address, packets) = match number {
            1 => ("db", "10.0.2.1", 5),
            2 => ("web", "10.0.1.1", 1 << 32 | 7),
            _ => return None,
        };
        let address: Vaddr = address.parse().unwrap();
        Some(Iface {
            name,
            address,
            prefix: Prefix4 {
                address: Vaddr(address.0 & !0xff),
                len: 24,
            },
            mac: Mac([0x0e, 0, 0, 0, 0, number as u8]),
            mtu: 1472,
            traffic: Some(Traffic {
                in_packets: packets,
                in_bytes: packets * 100,
                out_packets: packets + 1,
                out_bytes: packets * 100 + 1,
                dropped: 3 * u64::from(number),
            }),
        })
    }

    fn route_count(&self) -> u32 {
        self.routes.len() as u32
    }

    fn route_from(&self, address: u32, len: u8) -> Option<Route> {
        self.searches.set(self.searches.get() + 1);
        self.routes
            .range((address, len)..)
            .next()
            .map(|(_, route)| *route)
    }
}

pub(super) const ENGINE: &[u8] = &[0x80, 0, 0, 0, 5, b'r', b'1'];
const LIMIT: usize = 1472;

fn agent() -> Agent {
    let user = |name: &str, auth: Option<Auth>, privacy: Option<&str>| User {
        name: name.to_owned(),
        auth: auth.map(|auth| (auth, "maplesyrup".to_owned())),
        privacy: privacy.map(str::to_owned),
    };
    let access = Access {
        communities: vec!["other".to_owned(), "public".to_owned()],
        users: vec![
            user("alice", Some(Auth::Sha256), Some("mapletree")),
            user("bob", Some(Auth::Sha1), None),
            user("carol", Some(Auth::Sha1), Some("mapletree")),
            user("dave", None, None),
        ],
    };
    Agent::new(access, ENGINE.to_vec())
}

fn clock(boots: u32) -> Clock {
    Clock {
        boots,
        ticks: 10_000,
        salt: 0,
    }
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16);
    pairs.map(|pair| byte(pair).unwrap()).collect()
}

fn ask(agent: &mut Agent, datagram: &[u8], boots: u32) -> Outcome {
    agent.answer(datagram, &World::new(), &mut clock(boots), LIMIT)
}

fn text(outcome: &Outcome) -> String {
    let bytes = outcome.reply.iter().flatten();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// What is asked, of an engine that was never started or at its seventh start;
/// what is answered; why it is no more than that.
type Row = (
    &'static str,
    u32,
    &'static str,
    &'static str,
    Option<SnmpRefused>,
);

const V2C: &str =
    "302902010104067075626c6963a01c020406c40b09020100020100300e300c06082b060102010105000500";
const SHA1: &str = "3069020103301102040ef9a83b020300ffe304010502010304263024040780000000057231\
    0201000201000403626f62040ccb3b75173418740789e86ea9040030290407800000000572310400a01c\
    02043ba3b1a3020100020100300e300c06082b060102010105000500";

const ROWS: &[Row] = &[
    (
        "version 2c",
        0,
        V2C,
        "302b02010104067075626c6963a21e020406c40b090201000201003010300e06082b0601020101050004\
         027231",
        None,
    ),
    (
        "the first request of a client",
        0,
        "303e0201033011020461ac3880020300ffe30401040201030410300e0400020100020100040004000400\
         301404000400a00e02044b7f22510201000201003000",
        "305c0201033010020461ac3880020205c004010002010304173015040780000000057231020100020164\
         040004000400302c0407800000000572310400a81f02044b7f22510201000201003011300f060a2b0601\
         06030f01010400410101",
        Some(SnmpRefused::Engine),
    ),
    (
        "no security",
        0,
        "305e0201033011020429d4a7d3020300ffe3040104020103041b30190407800000000572310201000201\
         000404646176650400040030290407800000000572310400a01c020405d22fff020100020100300e300c\
         06082b060102010105000500",
        "305f0201033010020429d4a7d3020205c0040100020103041b3019040780000000057231020100020164\
         04046461766504000400302b0407800000000572310400a21e020405d22fff0201000201003010300e06\
         082b0601020101050004027231",
        None,
    ),
    (
        "HMAC-SHA-1-96",
        0,
        SHA1,
        "306a020103301002040ef9a83b020205c004010102010304263024040780000000057231020100020164\
         0403626f62040cf4b6986d5d255172fad850960400302b0407800000000572310400a21e02043ba3b1a3\
         0201000201003010300e06082b0601020101050004027231",
        None,
    ),
    (
        "HMAC-SHA-1-96, AES-128",
        0,
        "307502010330110204477cec80020300ffe30401070201030430302e0407800000000572310201000201\
         0004056361726f6c040c4202e8ddce98dc68a7374719040813dc69af11e37e50042b9f0f95b28c4a16f2\
         939babe8016eb815ab247063193c5cee044e6e02cfc1252da60a849133807af158b02b",
        "307602010330100204477cec80020205c00401030201030430302e040780000000057231020100020164\
         04056361726f6c040c4581908f8b426624acca5c7004080000000000000001042d0e1a51178c68091e77\
         84fe4a103d9548d846cc01a9cc6c031119e4c612ac2e430bff5ba9f48c0d391c8ce7d8bd",
        None,
    ),
    (
        "HMAC-SHA-256-192, AES-128",
        0,
        "308181020103301102047b580e22020300ffe3040107020103043c303a04078000000005723102010002\
         01000405616c6963650418b65a41173393f05851b3614b4a75a576af9892971a1d1d4b0408da1a9d3b6f\
         2b6b5c042bc79cbe785194f4fa3befb29116a42fa123af48123699515c853484d9d33c9f714894bbe04b\
         cbe08790d9df",
        "308182020103301002047b580e22020205c0040103020103043c303a0407800000000572310201000201\
         640405616c69636504180732a61340316093922d9a111fe94cc039780e71893d789f0408000000000000\
         0001042db817026349161e994bd63859312390bcb40018f64b9c3b89fe44907a4f4c336bb1633cf4e358\
         e2cba203c61b87",
        None,
    ),
    (
        "of another start",
        7,
        SHA1,
        "306b020103301002040ef9a83b020205c004010102010304263024040780000000057231020107020164\
         0403626f62040ce878354a5125b77dc77b1e870400302c0407800000000572310400a81f02043ba3b1a3\
         0201000201003011300f060a2b060106030f01010200410101",
        Some(SnmpRefused::Window),
    ),
];

#[test]
fn what_net_snmp_asks_is_answered_to_the_byte() {
    for (name, boots, request, reply, refused) in ROWS {
        let outcome = ask(&mut agent(), &hex(request), *boots);
        assert_eq!(text(&outcome), *reply, "{name}");
        assert_eq!(outcome.refused, *refused, "{name}");
    }
}

/// A changed byte is another message: nothing of it is believed.
#[test]
fn a_signed_message_cannot_be_changed() {
    let mut agent = agent();
    let request = hex(SHA1);
    for at in 0..request.len() {
        let mut changed = request.clone();
        changed[at] ^= 0x10;
        let outcome = ask(&mut agent, &changed, 0);
        assert!(outcome.refused.is_some(), "byte {at}");
        if let Some(reply) = outcome.reply {
            let report = reply
                .windows(8)
                .any(|part| part == [0x2b, 6, 1, 6, 3, 15, 1, 1]);
            assert!(report, "byte {at}");
        }
    }
}

fn pdu(kind: u8, (first, second): (i32, i32), names: &[&[u32]]) -> Answer {
    let mut bindings = Vec::new();
    for name in names {
        message::put_binding(&mut bindings, &Oid::new(name), &Value::Integer(1));
    }
    Answer {
        kind,
        request: 9,
        status: first,
        index: second,
        bindings,
    }
}

const NAME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 5, 0];

/// Status of the response, and its bindings.
fn said(reply: &[u8]) -> (i32, i32, Vec<u8>) {
    let Ok(Message::V2c { pdu, .. }) = Message::read(reply) else {
        panic!("not version 2c");
    };
    assert_eq!((pdu.kind, pdu.request), (kind::RESPONSE, 9));
    (pdu.first, pdu.second, pdu.bindings.to_vec())
}

#[test]
fn nothing_can_be_set() {
    let set = pdu(kind::SET, (0, 0), &[NAME]);
    let outcome = ask(&mut agent(), &v2c(b"public", &set), 0);
    assert_eq!(outcome.refused, Some(SnmpRefused::ReadOnly));
    let said = said(&outcome.reply.unwrap());
    assert_eq!(said, (status::NO_ACCESS, 1, set.bindings));
}

#[test]
fn what_is_not_for_us_to_answer_is_met_with_silence() {
    let get = pdu(kind::GET, (0, 0), &[NAME]);
    let mut first = v2c(b"public", &get);
    first[4] = 0;
    let mut model = hex(SHA1);
    model[23] = 2;
    let mut flags = hex(ROWS[5].2);
    flags[21] = 2;
    for (why, datagram) in [
        (SnmpRefused::Malformed, vec![0x30, 0]),
        (SnmpRefused::Malformed, vec![]),
        (SnmpRefused::Version, first),
        (SnmpRefused::Community, v2c(b"publi", &get)),
        (SnmpRefused::Community, v2c(b"public\0", &get)),
        (
            SnmpRefused::NotARequest,
            v2c(b"public", &pdu(kind::RESPONSE, (0, 0), &[NAME])),
        ),
        (
            SnmpRefused::NotARequest,
            v2c(b"public", &pdu(0xa7, (0, 0), &[NAME])),
        ),
        (SnmpRefused::Model, model),
        (SnmpRefused::Flags, flags),
    ] {
        let outcome = ask(&mut agent(), &datagram, 0);
        assert_eq!(outcome, Outcome::silence(why));
    }
}

/// A request of version 3 of a user who has these keys.
fn sealed(user: &str, keys: &Keys, flags: u8, time: u32, inside: &[u8]) -> Vec<u8> {
    let envelope = Envelope {
        id: 1,
        max_size: 65507,
        flags,
        engine: ENGINE,
        boots: 7,
        time,
        user: user.as_bytes(),
        keys,
        salt: 77,
    };
    envelope.seal(inside)
}

fn keys_of(user: &str) -> Keys {
    let agent = agent();
    let mut users = agent.access().users.iter();
    users.find(|known| known.name == user).unwrap().keys(ENGINE)
}

const SIGNED: u8 = flag::AUTH | flag::REPORTABLE;
const SECRET: u8 = SIGNED | flag::PRIV;

#[test]
fn every_refusal_of_version_3_has_its_report() {
    let get = scoped(ENGINE, &pdu(kind::GET, (0, 0), &[NAME]));
    let (alice, bob) = (keys_of("alice"), keys_of("bob"));
    let mut wrong = alice.clone();
    wrong.privacy = Some([7; 16]);
    let elsewhere = scoped(b"another", &pdu(kind::GET, (0, 0), &[NAME]));
    let usm = |number| Oid::new(&[1, 3, 6, 1, 6, 3, 15, 1, 1, number, 0]);
    let handler = Oid::new(&[1, 3, 6, 1, 6, 3, 11, 2, 1, 3, 0]);
    for (report, refused, datagram) in [
        (
            usm(3),
            SnmpRefused::User,
            sealed("eve", &bob, SIGNED, 100, &get),
        ),
        (
            usm(1),
            SnmpRefused::Level,
            sealed("dave", &bob, SIGNED, 100, &get),
        ),
        (
            usm(1),
            SnmpRefused::Level,
            sealed("bob", &alice, SECRET, 100, &get),
        ),
        (
            usm(5),
            SnmpRefused::Digest,
            sealed("bob", &alice, SIGNED, 100, &get),
        ),
        (
            usm(5),
            SnmpRefused::Digest,
            sealed("carol", &alice, SIGNED, 100, &get),
        ),
        (
            usm(2),
            SnmpRefused::Window,
            sealed("bob", &bob, SIGNED, 251, &get),
        ),
        (
            usm(6),
            SnmpRefused::Decryption,
            sealed("alice", &wrong, SECRET, 100, &get),
        ),
        (
            handler,
            SnmpRefused::Context,
            sealed("bob", &bob, SIGNED, 100, &elsewhere),
        ),
    ] {
        let mut agent = agent();
        let outcome = ask(&mut agent, &datagram, 7);
        assert_eq!(outcome.refused, Some(refused), "{report}");
        let mut name = Vec::new();
        report.put(&mut name);
        let reply = outcome.reply.unwrap();
        assert!(
            reply.windows(name.len()).any(|part| part == name),
            "{report}"
        );
        // The same without the wish to be told.
        let mut mute = datagram.clone();
        let at = mute
            .windows(3)
            .position(|part| part[..2] == [4, 1])
            .unwrap()
            + 2;
        mute[at] &= !flag::REPORTABLE;
        assert_eq!(ask(&mut agent, &mute, 7).reply, None, "{report}");
    }
}

#[test]
fn a_user_with_keys_has_to_use_them() {
    let get = scoped(ENGINE, &pdu(kind::GET, (0, 0), &[NAME]));
    let alice = keys_of("alice");
    for flags in [flag::REPORTABLE, SIGNED] {
        let datagram = sealed("alice", &alice, flags, 100, &get);
        let outcome = ask(&mut agent(), &datagram, 7);
        assert_eq!(outcome.refused, Some(SnmpRefused::Access));
        let reply = outcome.reply.unwrap();
        // Request 9: authorizationError, index 0.
        let told = [2, 1, 9, 2, 1, 16, 2, 1, 0];
        assert!(reply.windows(9).any(|part| part == told));
        assert!(
            !reply.windows(4).any(|part| part == b"\x04\x02r1"),
            "{reply:?}"
        );
    }
    let datagram = sealed("alice", &alice, SECRET, 100, &get);
    assert_eq!(ask(&mut agent(), &datagram, 7).refused, None);
}

/// The same key and vector twice would give the messages away.
#[test]
fn no_two_replies_are_encrypted_alike() {
    let get = scoped(ENGINE, &pdu(kind::GET, (0, 0), &[NAME]));
    let datagram = sealed("alice", &keys_of("alice"), SECRET, 100, &get);
    let (mut agent, mut clock) = (agent(), clock(7));
    let mut reply = || {
        let outcome = agent.answer(&datagram, &World::new(), &mut clock, LIMIT);
        outcome.reply.unwrap()
    };
    let (one, other) = (reply(), reply());
    assert_eq!(one.len(), other.len());
    assert_ne!(one, other);
    assert_eq!(clock.salt, 2);
}

#[test]
fn a_reply_is_never_longer_than_it_may_be() {
    let names = vec![&[1u32, 3, 6, 1, 2, 1][..]; 20];
    let bob = keys_of("bob");
    for limit in [0, 40, 100, 484, 600, LIMIT] {
        for (kind, numbers) in [(kind::GET_BULK, (0, 100)), (kind::GET_NEXT, (0, 0))] {
            let asked = pdu(kind, numbers, &names);
            let inside = scoped(ENGINE, &asked);
            for datagram in [
                v2c(b"public", &asked),
                sealed("bob", &bob, SIGNED, 100, &inside),
            ] {
                let outcome = agent().answer(&datagram, &World::new(), &mut clock(7), limit);
                match outcome.reply {
                    Some(reply) => assert!(reply.len() <= limit, "{} of {limit}", reply.len()),
                    None => assert_eq!(outcome.refused, Some(SnmpRefused::TooBig)),
                }
            }
        }
    }
}

/// The client's own limit counts as well.
#[test]
fn a_client_gets_no_more_than_it_takes() {
    let inside = scoped(ENGINE, &pdu(kind::GET_BULK, (0, 100), &[&[1, 3, 6, 1]]));
    let bob = keys_of("bob");
    let envelope = Envelope {
        id: 1,
        max_size: 484,
        flags: SIGNED,
        engine: ENGINE,
        boots: 7,
        time: 100,
        user: b"bob",
        keys: &bob,
        salt: 0,
    };
    let outcome = ask(&mut agent(), &envelope.seal(&inside), 7);
    let length = outcome.reply.unwrap().len();
    assert!((300..=484).contains(&length), "{length}");
}

#[test]
fn an_engine_is_that_of_one_router_at_one_host() {
    let id = engine_id(b"host", "Z", "r1");
    assert_eq!((&id[..5], id.len()), (&[0x80, 0, 0, 0, 5][..], 21));
    assert_ne!(id, engine_id(b"host", "Z", "r2"));
    assert_ne!(id, engine_id(b"tsoh", "Z", "r1"));
    assert_ne!(engine_id(b"h", "Zr", "1"), engine_id(b"h", "Z", "r1"));
}

#[test]
fn secrets_are_not_shown() {
    let text = format!("{:?} {:?}", agent(), keys_of("alice"));
    for secret in ["public", "maplesyrup", "mapletree"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("alice"), "{text}");
}
