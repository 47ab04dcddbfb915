use super::*;

const OWN: Vaddr = Vaddr(0x0a00_0101);
const NODE: Vaddr = Vaddr(0x0a00_0102);

fn router(hops: u8) -> Router<'static> {
    Router {
        vnet: "Z",
        name: "r1",
        own: OWN,
        hops,
    }
}

fn asked(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Header {
        tos: 0xb8,
        total_len: (20 + payload.len()) as u16,
        id: 7,
        reserved: false,
        df: false,
        mf: false,
        offset: 0,
        ttl: 9,
        protocol,
        src: NODE,
        dst: OWN,
        header_len: 20,
    };
    let mut packet = header.bytes().to_vec();
    packet.extend(payload);
    packet
}

fn of(packet: &[u8]) -> Result<Vec<u8>, RouterIgnored> {
    answer(packet, &router(0), &mut Services::default())
}

/// A transport header and data, its checksum made right.
fn summed(protocol: u8, mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let pseudo = pseudo_sum(NODE, OWN, protocol, bytes.len());
    put_checksum(&mut bytes, at, pseudo);
    bytes
}

#[test]
fn an_echo_reply_to_the_byte() {
    let mut ping = vec![8, 0, 0, 0, 0x12, 0x34, 0, 5, 0xde, 0xad, 0xbe];
    put_checksum(&mut ping, 2, 0);
    let reply = answer(&asked(1, &ping), &router(2), &mut Services::default()).unwrap();
    // TTL 62: two routers on the way back.
    assert_eq!(
        reply,
        [
            0x45, 0xb8, 0, 31, 0, 0, 0x40, 0, 62, 1, 0x26, 0x24, 10, 0, 1, 1, 10, 0, 1, 2, //
            0, 0, 0x51, 0x18, 0x12, 0x34, 0, 5, 0xde, 0xad, 0xbe
        ]
    );
    assert_eq!(checksum::checksum(&reply[..20]), 0);
    ping[9] ^= 1;
    assert_eq!(of(&asked(1, &ping)), Err(RouterIgnored::Malformed));
    assert_eq!(of(&asked(1, &ping[..7])), Err(RouterIgnored::Malformed));
    let mut stamp = vec![13, 0, 0, 0, 0, 0, 0, 0];
    put_checksum(&mut stamp, 2, 0);
    assert_eq!(of(&asked(1, &stamp)), Err(RouterIgnored::IcmpType));
}

#[test]
fn tcp_is_reset_as_its_segment_asks() {
    let syn = summed(
        6,
        vec![
            0x0f, 0xa0, 0, 80, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
        ],
        16,
    );
    let reply = of(&asked(6, &syn)).unwrap();
    assert_eq!(
        reply[20..36],
        [0, 80, 0x0f, 0xa0, 0, 0, 0, 0, 0, 0, 0, 10, 0x50, 0x14, 0, 0]
    );
    let sum = pseudo_sum(OWN, NODE, 6, 20) + checksum::sum(&reply[20..]);
    assert_eq!(checksum::fold(sum), 0xffff);
    let mut with_ack = syn.clone();
    (with_ack[13], with_ack[11]) = (0x10, 77);
    let with_ack = summed(6, with_ack, 16);
    let reply = of(&asked(6, &with_ack)).unwrap();
    assert_eq!(
        reply[24..34],
        [0, 0, 0, 77, 0, 0, 0, 0, 0x50, 0x04],
        "{reply:?}"
    );
    let mut reset = syn.clone();
    reset[13] = 0x04;
    let reset = summed(6, reset, 16);
    assert_eq!(of(&asked(6, &reset)), Err(RouterIgnored::Error));
    assert_eq!(of(&asked(6, &syn[..19])), Err(RouterIgnored::Malformed));
}

struct Echo;

impl Service for Echo {
    fn answer(&mut self, ask: &Ask<'_>) -> Option<Vec<u8>> {
        assert_eq!((ask.vnet, ask.router, ask.own), ("Z", "r1", OWN));
        assert_eq!(ask.from, (NODE, 4000));
        (!ask.data.is_empty()).then(|| ask.data.to_vec())
    }
}

fn datagram(port: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x0f, 0xa0, 0, port, 0, 8 + data.len() as u8, 0, 0];
    bytes.extend(data);
    summed(17, bytes, 6)
}

#[test]
fn services_answer_and_their_absence_is_told() {
    let mut services = Services::default();
    services.add(7, Box::new(Echo));
    let ask =
        |bytes: &[u8], services: &mut Services| answer(&asked(17, bytes), &router(1), services);
    let reply = ask(&datagram(7, b"hello"), &mut services).unwrap();
    assert_eq!(reply[20..26], [0, 7, 0x0f, 0xa0, 0, 13]);
    assert_eq!(&reply[28..], b"hello");
    let sum = pseudo_sum(OWN, NODE, 17, 13) + checksum::sum(&reply[20..]);
    assert_eq!(checksum::fold(sum), 0xffff);
    let silent = ask(&datagram(7, b""), &mut services);
    assert_eq!(silent, Err(RouterIgnored::Service));
    // The last step of traceroute; quoted with the TTL it came with.
    let probe = datagram(200, b"hop");
    let reply = ask(&probe, &mut services).unwrap();
    assert_eq!(reply[20..22], [3, 3]);
    assert_eq!(reply[8], 63);
    assert_eq!(reply[28 + 8], 8);
    assert_eq!(checksum::checksum(&reply[28..48]), 0);
    assert_eq!(reply[48..], probe);
    let mut broken = probe.clone();
    broken[9] ^= 1;
    assert_eq!(ask(&broken, &mut services), Err(RouterIgnored::Malformed));
    let mut long = probe;
    long[5] = 200;
    assert_eq!(ask(&long, &mut services), Err(RouterIgnored::Malformed));
}

#[test]
fn what_else_may_come() {
    let reply = of(&asked(132, &[0; 12])).unwrap();
    assert_eq!(reply[20..22], [3, 2]);
    let mut fragment = asked(17, &datagram(7, b"x"));
    fragment[6] = 0x20;
    assert_eq!(of(&fragment), Err(RouterIgnored::Fragment));
    let cut = &asked(17, &datagram(7, b"x"))[..25];
    assert_eq!(of(cut), Err(RouterIgnored::TooLong));
    assert_eq!(of(&[0x45; 10]), Err(RouterIgnored::Malformed));
}
