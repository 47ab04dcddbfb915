//! The server by literal bytes: message by message, state by state.

mod options;
mod properties;
mod refusals;
mod states;

use super::*;
use crate::wire::{checksum, ipv4, udp};

const A: Mac = Mac([0x02, 0, 0, 0, 0, 0x0a]);
const A_ADDRESS: Vaddr = Vaddr(0x0a00_0002);
const SERVER: Vaddr = Vaddr(0x0a00_0001);
const SERVER_MAC: Mac = Mac([0x72, 0x5b, 10, 0, 0, 1]);
const NOBODY: Vaddr = Vaddr(0);
const EVERYBODY: Vaddr = Vaddr(u32::MAX);

const NODE_A: Client = Client {
    mac: Some(A),
    vlan: None,
};

/// The subnet of the tests, 10.0.0.0/24, with everything that can be told.
fn terms() -> Terms {
    let prefix = |text: &str| text.parse().unwrap();
    Terms {
        address: A_ADDRESS,
        subnet: prefix("10.0.0.0/24"),
        server: SERVER,
        server_mac: SERVER_MAC,
        lease: 3600,
        router: Some(SERVER),
        routes: vec![(prefix("172.16.0.0/16"), Vaddr(0x0a00_0009))],
        dns: vec![Vaddr(0x0a00_0035), Vaddr(0x0a00_0036)],
        ntp: vec![Vaddr(0x0a00_007b)],
        host_name: Some("a".into()),
        domain: Some("z.example".into()),
        search: vec!["z.example".into(), "example".into()],
        mtu: Some(1472),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// What a client sends.
#[derive(Clone)]
struct Ask {
    to: Mac,
    from: Mac,
    vlan: Option<u16>,
    src: Vaddr,
    dst: Vaddr,
    ports: (u16, u16),
    direction: u8,
    flags: u16,
    ciaddr: Vaddr,
    giaddr: Vaddr,
    chaddr: Mac,
    options: Vec<u8>,
}

impl Ask {
    /// From a client without address, to everybody.
    fn new(options: &str) -> Ask {
        Ask {
            to: Mac::BROADCAST,
            from: A,
            vlan: None,
            src: NOBODY,
            dst: EVERYBODY,
            ports: (68, 67),
            direction: 1,
            flags: 0,
            ciaddr: NOBODY,
            giaddr: NOBODY,
            chaddr: A,
            options: hex(options),
        }
    }

    /// From a client that uses an address, to the server alone.
    fn unicast(address: Vaddr, options: &str) -> Ask {
        Ask {
            to: SERVER_MAC,
            src: address,
            dst: SERVER,
            ciaddr: address,
            ..Ask::new(options)
        }
    }

    fn frame(&self) -> Vec<u8> {
        let mut message = vec![0; 240];
        message[..4].copy_from_slice(&[self.direction, 1, 6, 0]);
        message[4..8].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
        message[10..12].copy_from_slice(&self.flags.to_be_bytes());
        message[12..16].copy_from_slice(&self.ciaddr.bytes());
        message[24..28].copy_from_slice(&self.giaddr.bytes());
        message[28..34].copy_from_slice(&self.chaddr.0);
        message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        message.extend(&self.options);
        message.push(255);
        message.resize(message.len().max(300), 0);

        let mut frame = self.to.0.to_vec();
        frame.extend(self.from.0);
        if let Some(vlan) = self.vlan {
            frame.extend([0x81, 0]);
            frame.extend(vlan.to_be_bytes());
        }
        frame.extend([8, 0]);
        let ip = ipv4::Header {
            tos: 0,
            total_len: 28 + message.len() as u16,
            id: 7,
            reserved: false,
            df: false,
            mf: false,
            offset: 0,
            ttl: 64,
            protocol: 17,
            src: self.src,
            dst: self.dst,
            header_len: 20,
        };
        frame.extend(ip.bytes());
        let mut udp = udp::Header {
            source: self.ports.0,
            destination: self.ports.1,
            len: 8 + message.len() as u16,
            checksum: 0,
        };
        let pseudo = [
            self.src.bytes(),
            self.dst.bytes(),
            [0, 17, (udp.len >> 8) as u8, udp.len as u8],
        ];
        let sum = checksum::sum(pseudo.as_flattened()) + checksum::sum(&udp.bytes());
        udp.checksum = !checksum::fold(sum + checksum::sum(&message));
        frame.extend(udp.bytes());
        frame.extend(message);
        frame
    }

    fn answer(&self) -> Result<Answer, DhcpIgnored> {
        answer(&self.frame(), &NODE_A, &terms())
    }
}

/// Where an answer goes and what stands in it.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    to: Mac,
    dst: Vaddr,
    flags: u16,
    ciaddr: Vaddr,
    yiaddr: Vaddr,
    options: Vec<u8>,
}

/// Takes an answer apart by the places of its fields.
fn told(answer: &Answer) -> Told {
    let (_, frame) = answer.reply.as_ref().expect("no answer");
    let word = |at: usize| Vaddr::from_bytes(frame[at..at + 4].try_into().unwrap());
    let end = frame.iter().rposition(|byte| *byte == 255).unwrap();
    Told {
        to: Mac(frame[..6].try_into().unwrap()),
        dst: word(30),
        flags: u16::from_be_bytes([frame[52], frame[53]]),
        ciaddr: word(54),
        yiaddr: word(58),
        options: frame[282..end].to_vec(),
    }
}

/// Of an answer that says who gives what for how long.
const GIVEN: &str = "36040a000001 330400000e10 3a0400000708 3b0400000c4e";

/// Everything of a message up to its cookie, from a hardware address on:
/// `sname`, `file` and the rest of the hardware address are empty.
fn with_rest(head: &str, options: &str, len: usize) -> Vec<u8> {
    let mut frame = hex(head);
    let cookie = frame.len() + 202;
    frame.resize(cookie, 0);
    frame.extend(hex("63825363"));
    frame.extend(hex(options));
    frame.resize(len, 0);
    frame
}

/// Frames that another implementation has built.
fn discover() -> Vec<u8> {
    with_rest(
        "ffffffffffff 02000000000a 0800
         45000148 00070000 4011799f 00000000 ffffffff 0044 0043 0134 ab5d
         01010600 12345678 00000000 00000000 00000000 00000000 00000000 02000000000a",
        "350101 3d070102000000000a 0c05616c706861 37090103060c0f1a1c7977 ff",
        342,
    )
}

#[test]
fn a_discover_is_offered_the_nodes_address_to_the_byte() {
    let offer = with_rest(
        "02000000000a 725b0a000001 0800
         4500017d 00004000 4011256e 0a000001 0a000002 0043 0044 0169 89f3
         02010600 12345678 00000000 00000000 0a000002 00000000 00000000 02000000000a",
        "350102 36040a000001 330400000e10 3a0400000708 3b0400000c4e
         3d070102000000000a 0104ffffff00 06080a0000350a000036 0c0161
         0f097a2e6578616d706c65 1a0205c0 1c040a0000ff
         790c 10ac100a000009 000a000001
         7714 017a076578616d706c6500 076578616d706c6500 ff",
        395,
    );
    let answer = answer(&discover(), &NODE_A, &terms()).unwrap();
    assert_eq!(answer.heard, Kind::Discover);
    assert_eq!(answer.effect, Effect::Offered);
    assert_eq!(answer.host_name, "alpha");
    assert_eq!(answer.left_out, 0);
    assert_eq!(answer.reply, Some((Kind::Offer, offer)));
}

#[test]
fn a_request_for_another_address_is_refused_to_the_byte() {
    let nak = with_rest(
        "ffffffffffff 725b0a000001 0800
         45000148 00004000 40112fa5 0a000001 ffffffff 0043 0044 0134 433a
         02010600 12345678 00000000 00000000 00000000 00000000 00000000 02000000000a",
        "350106 36040a000001 3d070102000000000a
         3824 7468652061646472657373206f662074686973206e6f64652069732031302e302e302e32 ff",
        342,
    );
    let ask = Ask::new("350103 32040a000007 3d070102000000000a 370103");
    let answer = ask.answer().unwrap();
    let asked = Vaddr(0x0a00_0007);
    assert_eq!(answer.effect, Effect::Refused { asked });
    assert_eq!(answer.reply, Some((Kind::Nak, nak)));
}

/// The frames of these tests are what a client sends.
#[test]
fn the_tests_write_as_another_does() {
    let ask = Ask::new("350101 3d070102000000000a 0c05616c706861 37090103060c0f1a1c7977");
    assert_eq!(ask.frame(), discover());
}
