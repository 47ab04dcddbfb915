//! Against a stack that others wrote: smoltcp as the router.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::raw;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, IpProtocol, IpVersion};

use super::*;

/// Frames to and from the stack.
#[derive(Default)]
struct Cable {
    to_stack: VecDeque<Vec<u8>>,
    from_stack: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);
struct Sent<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        let frame = self.to_stack.pop_front()?;
        Some((Received(frame), Sent(&mut self.from_stack)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.from_stack))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

/// The engine and the stack, joined by a cable.
struct Pair {
    link: Link4,
    stack: Interface,
    sockets: SocketSet<'static>,
    /// Raw, of ICMP and of UDP.
    icmp: SocketHandle,
    udp: SocketHandle,
    cable: Cable,
    now: u64,
}

fn raw_socket(protocol: IpProtocol) -> raw::Socket<'static> {
    let buffer = || raw::PacketBuffer::new(vec![raw::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    raw::Socket::new(Some(IpVersion::Ipv4), Some(protocol), buffer(), buffer())
}

impl Pair {
    fn new(stack_mac: Mac, config: Link4Config) -> Pair {
        let mut cable = Cable::default();
        let address = EthernetAddress(stack_mac.0).into();
        let mut stack = Interface::new(Config::new(address), &mut cable, Instant::ZERO);
        stack.update_ip_addrs(|addresses| {
            let own = IpCidr::new(std::net::Ipv4Addr::from(ROUTER).into(), 24);
            addresses.push(own).unwrap();
        });
        let mut sockets = SocketSet::new(Vec::new());
        let mut link = Link4::new(config).unwrap();
        link.link(true, Time::ZERO);
        Pair {
            link,
            stack,
            icmp: sockets.add(raw_socket(IpProtocol::Icmp)),
            udp: sockets.add(raw_socket(IpProtocol::Udp)),
            sockets,
            cable,
            now: 0,
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            let now = Time(self.now);
            for frame in std::mem::take(&mut self.cable.from_stack) {
                let _ = self.link.input(&frame, now);
            }
            self.link.poll(now);
            self.cable.to_stack.extend(sent(&mut self.link));
            let instant = Instant::from_millis(self.now as i64);
            self.stack.poll(instant, &mut self.cable, &mut self.sockets);
        }
    }

    /// The stack sends a packet and gets one by ICMP.
    fn exchange(&mut self, by: SocketHandle, packet: &[u8]) -> Option<Vec<u8>> {
        let socket = self.sockets.get_mut::<raw::Socket>(by);
        socket.send_slice(packet).unwrap();
        self.run(10);
        let socket = self.sockets.get_mut::<raw::Socket>(self.icmp);
        socket.recv().ok().map(<[u8]>::to_vec)
    }
}

#[test]
fn a_foreign_stack_resolves_and_is_resolved() {
    let mut pair = Pair::new(ROUTER_MAC, config());
    pair.run(5);
    assert_eq!(pair.link.hop(&ROUTER).unwrap().dst_mac, ROUTER_MAC);
    let body = b"\x12\x34\0\x01from another stack";
    let ping = packet(ROUTER, 1, &icmp(8, 0, body));
    let reply = pair.exchange(pair.icmp, &ping).expect("no reply");
    let header = ipv4::Header::parse(&reply).unwrap();
    assert_eq!((header.src, header.dst), (OWN, ROUTER));
    assert_eq!(reply[20..], icmp(0, 0, body));
    assert_eq!(
        pair.link.counters().replies_sent,
        0,
        "it knew us by our question"
    );
    // A port that is not there.
    let datagram = packet(ROUTER, 17, &[0x0f, 0xa0, 0x82, 0x9a, 0, 8, 0, 0]);
    let error = pair.exchange(pair.udp, &datagram).expect("no error");
    assert_eq!(error[20..22], [3, 3]);
    // It keeps answering what it is asked at its own hardware address.
    let generation = pair.link.generation();
    pair.run(100_000);
    assert_eq!(pair.link.generation(), generation);
    assert_eq!(pair.link.neighbors()[0].state, NeighborState::Reachable);
    assert!(pair.link.neighbors()[0].confirmed > Some(Time(60_000)));
    assert_eq!(pair.link.counters().conflicts, 0);
}

#[test]
fn a_foreign_stack_that_was_never_asked_asks_us() {
    let mut config = config();
    config.hops[0].mac = Some(ROUTER_MAC);
    let mut pair = Pair::new(ROUTER_MAC, config);
    pair.run(5);
    let ping = packet(ROUTER, 1, &icmp(8, 0, b"\x12\x34\0\x01"));
    let reply = pair.exchange(pair.icmp, &ping).expect("no reply");
    assert_eq!(reply[20..], icmp(0, 0, b"\x12\x34\0\x01"));
    assert_eq!(pair.link.counters().replies_sent, 1);
    assert_eq!(pair.link.counters().requests_sent, 0);
}

#[test]
fn a_foreign_stack_in_the_place_of_another_is_found_within_seconds() {
    let mut pair = Pair::new(ROUTER_MAC, config());
    pair.run(10_000);
    // Another device, which says nothing by itself.
    let Pair { link, now, .. } = pair;
    let mut pair = Pair {
        link,
        now,
        ..Pair::new(OTHER_MAC, config())
    };
    pair.run(24_000);
    let mac = |pair: &Pair| pair.link.hop(&ROUTER).map(|hop| hop.dst_mac);
    assert_eq!(mac(&pair), Some(OTHER_MAC));
    assert_eq!(pair.link.counters().next_hop_failures, 0);
}
