//! Datagrams to a virtual router: as they are, and inside of what a fuzzer cannot
//! guess, the community and the digests of version 3.

use std::sync::LazyLock;

use weft::node::snmp::message::{self, Answer, Message, flag, kind};
use weft::node::snmp::{
    Access, Agent, Auth, Clock, Envelope, Hop, Iface, Keys, Route, Source, System, Traffic, User,
};
use weft::wire::address::Prefix4;
use weft::wire::{Mac, Vaddr};

const ENGINE: &[u8] = &[0x80, 0, 0, 0, 5, b'r', b'1'];
const PASSWORD: &str = "maplesyrup";
const LIMITS: [usize; 4] = [484, 600, 1472, 9000];

struct World;

impl World {
    fn route(at: u8) -> Route {
        let hop = match at % 4 {
            0 => Hop::Connected(1),
            1 => Hop::Via {
                address: Vaddr(0x0a00_0102),
                iface: 1,
            },
            2 => Hop::Blackhole,
            _ => Hop::Prohibited,
        };
        let prefix = Prefix4 {
            address: Vaddr(u32::from(at) << 26),
            len: 6 + at % 3,
        };
        Route { prefix, hop }
    }
}

impl Source for World {
    fn system(&self) -> System<'_> {
        System {
            description: "a router",
            contact: "",
            name: "r1",
            location: "",
        }
    }

    fn iface_count(&self) -> u32 {
        1
    }

    fn iface(&self, number: u32) -> Option<Iface<'_>> {
        (number == 1).then(|| Iface {
            name: "web",
            address: Vaddr(0x0a00_0101),
            prefix: Prefix4 {
                address: Vaddr(0x0a00_0100),
                len: 24,
            },
            mac: Mac([0x0e, 0, 0, 0, 0, 1]),
            mtu: 1472,
            traffic: Some(Traffic::default()),
        })
    }

    fn route_count(&self) -> u32 {
        64
    }

    fn route_from(&self, address: u32, len: u8) -> Option<Route> {
        let place = |route: &Route| (route.prefix.address.0, route.prefix.len);
        let mut routes = (0..64).map(World::route);
        routes.find(|route| place(route) >= (address, len))
    }
}

/// Keys take a megabyte of hashing: once.
static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let key = Auth::Sha256.key(PASSWORD, ENGINE);
    let mut privacy = [0; 16];
    privacy.copy_from_slice(&key[..16]);
    Keys {
        auth: Some((Auth::Sha256, key)),
        privacy: Some(privacy),
    }
});

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let user = User {
        name: "alice".to_owned(),
        auth: Some((Auth::Sha256, PASSWORD.to_owned())),
        privacy: Some(PASSWORD.to_owned()),
    };
    let access = Access {
        communities: vec!["public".to_owned()],
        users: vec![user],
    };
    let mut agent = Agent::new(access, ENGINE.to_vec());
    // It keeps the keys of who has asked.
    let outcome = agent.answer(&sealed(&[0x30, 0]), &World, &mut clock(), LIMITS[2]);
    assert!(outcome.reply.is_some());
    agent
});

fn clock() -> Clock {
    Clock {
        boots: 7,
        ticks: 10_000,
        salt: 0,
    }
}

fn sealed(inside: &[u8]) -> Vec<u8> {
    let envelope = Envelope {
        id: 1,
        max_size: 65507,
        flags: flag::AUTH | flag::PRIV | flag::REPORTABLE,
        engine: ENGINE,
        boots: 7,
        time: 100,
        user: b"alice",
        keys: &KEYS,
        salt: 9,
    };
    envelope.seal(inside)
}

/// The first byte says what the rest is: a datagram, the inside of an encrypted
/// one, or kind, numbers and bindings of a request in either version.
pub(crate) fn snmp(data: &[u8]) {
    let [choice, rest @ ..] = data else {
        return;
    };
    let limit = LIMITS[usize::from(choice >> 2 & 3)];
    let request = match *rest {
        [kind, first, second, ref bindings @ ..] => Answer {
            kind: 0xa0 | kind & 7,
            request: 9,
            status: i32::from(first as i8),
            index: i32::from(second as i8),
            bindings: bindings.to_vec(),
        },
        _ => return,
    };
    let datagram = match choice & 3 {
        0 => rest.to_vec(),
        1 => sealed(rest),
        2 => message::v2c(b"public", &request),
        _ => sealed(&message::scoped(ENGINE, &request)),
    };
    let mut agent = AGENT.clone();
    let outcome = agent.answer(&datagram, &World, &mut clock(), limit);
    let Some(reply) = outcome.reply else {
        assert!(outcome.refused.is_some());
        return;
    };
    assert!(reply.len() <= limit, "{} bytes", reply.len());
    let asked = Message::read(&datagram).expect("only what can be read is answered");
    let told = Message::read(&reply).expect("a message");
    let (Message::V2c { pdu: asked, .. }, Message::V2c { pdu: told, .. }) = (asked, told) else {
        return;
    };
    assert_eq!((told.kind, told.request), (kind::RESPONSE, asked.request));
    if asked.kind == kind::GET_NEXT && told.first == 0 {
        assert_eq!(asked.names.len(), told.names.len());
        for (asked, told) in asked.names.iter().zip(&told.names) {
            assert!(told >= asked, "{told} behind {asked}");
        }
    }
}
